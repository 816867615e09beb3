"""The calling side of a check: it runs what the learner wrote and hands out plain arrays, and it knows no right answer.

In a notebook this happens in the learner's own process; grading makes the same calls in a separate one.
"""

import contextlib
import ctypes
import dis
import io
import linecache
import signal
import sys
import threading
from dataclasses import dataclass, field
from types import FunctionType, GeneratorType, ModuleType

import numpy as np

LARGEST_ANSWER = 10_000_000  # numbers; what an exercise asks for has at most thousands


@dataclass(frozen=True)
class Case:
    """What one call is made with: `inputs` by name, in order. A class is constructed with `init` and given `weights`."""

    inputs: dict
    init: dict = field(default_factory=dict)
    weights: dict = field(default_factory=dict)

    def map(self, change):
        """The case with every floating-point array replaced by `change(array)`."""
        def mapped(values):
            return {name: change(value) if getattr(value, "dtype", np.dtype(int)).kind == "f" else value
                    for name, value in values.items()}
        return Case(mapped(self.inputs), self.init, mapped(self.weights))

    def size(self):
        return sum(np.size(value) for value in self.inputs.values())


@dataclass
class Outcome:
    """What one call gave, in plain values.

    status: "answered", "missing", "not attempted", "raised", "timed out" or "unusable" (no array, number or text).
    answer: an array, a text, or a tuple of these. message: what went wrong, for the learner. changed: the inputs that
    the call modified. printed: the beginning of what it printed, and how many characters it printed in all.
    """

    status: str
    answer: object = None
    message: str = ""
    changed: tuple = ()
    printed: str = ""
    printed_length: int = 0


def call(namespace, task, case):
    """Ask the object called `task.name` in `namespace` one case and return an Outcome, whatever the object does.

    Not attempted is: the name holds `...`; the function, or the class's forward or call, has a body of nothing but a
    docstring, `...` or `pass`; the learner's code raises NotImplementedError; or the answer, or a part of it, is `...`.
    """
    if task.name not in namespace:
        return Outcome("missing")
    found = namespace[task.name]
    if holds_ellipsis(found) or is_empty(found):
        return Outcome("not attempted")
    inputs = {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in case.inputs.items()}
    printed = Beginning()
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed), time_limit(task.seconds):
            answer = ASK[task.kind](found, task, case, inputs)
            # Inside the limit too: turning a strange object into an array may run the learner's code.
            outcome = Outcome("not attempted") if holds_ellipsis(answer) else Outcome("answered", plain(answer))
    except TimeUp:
        outcome = Outcome("timed out", message=f"It was stopped after {task.seconds:.3g} seconds. Is there a loop that never ends?")
    except Unusable as error:
        outcome = Outcome("unusable", message=str(error))
    except BaseException as error:  # SystemExit, too, is only an answer here
        outcome = raised(error, (namespace, globals_of(found)))
    outcome.changed = tuple(name for name, value in inputs.items()
                            if isinstance(value, np.ndarray) and not unchanged(value, case.inputs[name]))
    outcome.printed, outcome.printed_length = printed.kept, printed.length
    return outcome


# How the kinds of exercise are asked.

def ask_function(found, task, case, inputs):
    if not callable(found) or isinstance(found, type):
        raise Unusable(f"{task.name} is {describe(found)}, expected a function.")
    return found(*(tensors(inputs) if task.framework == "torch" else inputs.values()))


def ask_class(found, task, case, inputs):
    if not isinstance(found, type):
        raise Unusable(f"{task.name} is {describe(found)}, expected a class.")
    model = found(**case.init)
    if is_a(model, "torch", "nn.Module"):
        return ask_torch_module(model, case, inputs)
    if is_a(model, "keras", "Layer"):
        return ask_keras_layer(model, case, inputs)
    raise Unusable(f"{task.name} is a plain class, expected an nn.Module or a Keras layer.")


def ask_value(found, task, case, inputs):
    return found


def ask_predictor(found, task, case, inputs):
    """A predictor is a function of the inputs, or the pair (function, seconds it was trained)."""
    predict, *seconds = found if isinstance(found, tuple) else (found,)
    if not callable(predict) or len(seconds) > 1:
        raise Unusable(f"{task.name} is {describe(found)}, expected {task.signature}.")
    if task.limit and not seconds:
        raise Unusable(f"{task.name} is a function alone, expected the pair {task.signature}.")
    tokens = predict(*inputs.values())
    return (tokens, float(seconds[0])) if task.limit else tokens


ASK = {"function": ask_function, "class": ask_class, "number": ask_value, "choice": ask_value, "predictor": ask_predictor}


def ask_torch_module(model, case, inputs):
    import torch

    for name, array in case.weights.items():
        target = weight_of(model, name)
        if is_a(target, "torch", "nn.Linear"):
            if target.bias is not None:
                raise Unusable(f"{name} has a bias, the formula has none: give nn.Linear bias=False.")
            target = target.weight
        if not isinstance(target, torch.Tensor):
            raise Unusable(f"{name} is {describe(target)}, expected an nn.Linear or an nn.Parameter.")
        expect_shape(name, target, array)
        with torch.no_grad():
            target.copy_(torch.from_numpy(array))
    first = next(model.parameters(), None)
    floats = [value.dtype for value in inputs.values() if getattr(value, "dtype", np.dtype(int)).kind == "f"]
    if floats:
        model = model.to(getattr(torch, floats[0].name))
    device = "cpu" if first is None else first.device
    return model.eval()(*(tensor.to(device) if isinstance(tensor, torch.Tensor) else tensor for tensor in tensors(inputs)))


def ask_keras_layer(model, case, inputs):
    import keras

    given = [keras.ops.convert_to_tensor(value) if isinstance(value, np.ndarray) else value for value in inputs.values()]
    model(*given)  # a Keras layer makes its weights at the first call
    for name, array in case.weights.items():
        target = weight_of(model, name)
        if isinstance(target, keras.layers.Dense):
            if target.use_bias:
                raise Unusable(f"{name} has a bias, the formula has none: give Dense use_bias=False.")
            target, array = target.kernel, array.T  # Keras keeps (inputs, outputs), torch and the formulas (outputs, inputs)
        if not isinstance(target, keras.Variable):
            raise Unusable(f"{name} is {describe(target)}, expected a Dense layer or a weight.")
        expect_shape(name, target, array)
        target.assign(array)
    return model(*given)


def weight_of(model, name):
    if not hasattr(model, name):
        raise Unusable(f"{type(model).__name__} has no attribute {name}, where the check puts the weights.")
    return getattr(model, name)


def expect_shape(name, weight, array):
    if tuple(weight.shape) != array.shape:
        raise Unusable(f"{name} has shape {tuple(weight.shape)}, expected {array.shape}.")


def tensors(inputs):
    """The inputs with arrays as torch tensors on the same memory, so that a change in place is seen."""
    import torch

    return [torch.from_numpy(value) if isinstance(value, np.ndarray) else value for value in inputs.values()]


# From what came back to plain values.

class Unusable(Exception):
    """An answer that no comparison can use; the message is for the learner."""


def plain(answer):
    """The answer as a text, a NumPy array of its own, or a tuple of these; raises Unusable for anything else."""
    if isinstance(answer, str):
        return str(answer)
    if isinstance(answer, (bool, int, float, complex, np.generic)):
        return plain_array(np.asarray(answer))
    if isinstance(answer, np.ndarray):
        return plain_array(answer)
    if is_a(answer, "torch", "Tensor"):
        return plain_tensor(answer)
    if is_a(answer, "keras", "KerasTensor"):
        raise Unusable("A symbolic Keras tensor came back; it has a shape but no values.")
    if is_a(answer, "tensorflow", "Tensor") or is_a(answer, "keras", "Variable"):
        return plain_array(np.asarray(answer.numpy()))
    if isinstance(answer, (tuple, list)):
        parts = tuple(plain(part) for part in answer)
        alike = len({part.shape for part in parts if isinstance(part, np.ndarray)}) == 1
        if isinstance(answer, list) and alike and not any(isinstance(part, (str, tuple)) for part in parts):
            return np.stack(parts)
        return parts
    if answer is None:
        raise Unusable("None came back. Does every path of the function end with a return?")
    if isinstance(answer, GeneratorType):
        raise Unusable("A generator came back: it makes its values later. Is there a yield, or a for in round brackets?")
    raise Unusable(f"What came back is {describe(answer)}, expected an array.")


def plain_array(array):
    if isinstance(array, np.ma.MaskedArray):
        if np.ma.is_masked(array):
            raise Unusable("A masked array with masked entries came back; those entries have no value. "
                           "Return a plain array with every value filled in.")
        array = array.data
    if array.dtype.kind not in "biufc":
        raise Unusable(f"An array of dtype {array.dtype} came back, expected numbers.")
    if array.dtype.kind == "f" and array.dtype.itemsize < 4:
        raise Unusable(f"An array of dtype {array.dtype} came back: three digits are too few to tell right from almost "
                       "right. Compute in float32 or float64.")
    if array.size > LARGEST_ANSWER:
        raise Unusable(f"An array of {array.size:,} numbers came back, shape {array.shape}.")
    return np.array(array, dtype=np.float64 if array.dtype.kind == "f" and array.dtype.itemsize > 8 else array.dtype)


def plain_tensor(tensor):
    if tensor.device.type == "meta":
        raise Unusable("A tensor on the device \"meta\" came back; it has a shape but no values.")
    tensor = tensor.detach().to_dense().cpu()
    if tensor.is_floating_point() and tensor.element_size() < 4:
        raise Unusable(f"A tensor of dtype {tensor.dtype} came back: three digits are too few to tell right from almost "
                       "right. Compute in float32 or float64.")
    return plain_array(tensor.resolve_conj().resolve_neg().numpy())


def describe(value):
    """What the value is, in the words of a message."""
    if value is None:
        return "None"
    if isinstance(value, FunctionType):
        return "a function"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if isinstance(value, ModuleType):
        return f"the module {value.__name__}"
    return f"an object of type {type(value).__name__}"


def is_a(value, package, path):
    """isinstance without importing the package: where it is not loaded, no value can be one of its objects."""
    kind = sys.modules.get(package)
    for part in path.split("."):
        kind = getattr(kind, part, None)
    return kind is not None and isinstance(value, kind)


def unchanged(value, original):
    return value.shape == original.shape and np.array_equal(value, original, equal_nan=value.dtype.kind == "f")


def holds_ellipsis(answer):
    return answer is ... or isinstance(answer, tuple) and any(part is ... for part in answer)


def is_empty(found):
    """True for a function, or a class with a forward or call, whose body holds nothing but a docstring, `...` or `pass`."""
    if isinstance(found, type):
        return any(is_empty(vars(found).get(name)) for name in ("forward", "call"))
    if not isinstance(found, FunctionType):
        return False
    nothing = {"RESUME", "NOP", "LOAD_CONST", "RETURN_VALUE", "RETURN_CONST"}
    return all(step.opname in nothing and (step.opcode not in dis.hasconst or step.argval is None)
               for step in dis.get_instructions(found))


def globals_of(found):
    """The module or notebook in which a function, a class or a predictor was written, as its dictionary of names."""
    if isinstance(found, tuple):
        return globals_of(found[0]) if found else None
    if isinstance(found, type):
        return next((globals_of(member) for member in vars(found).values() if isinstance(member, FunctionType)), None)
    return getattr(found, "__globals__", None)


def raised(error, own):
    """The outcome of an exception, with the last line that it passed of the learner's `own` code, known by its globals."""
    line = None
    trace = error.__traceback__
    while trace is not None:
        if any(trace.tb_frame.f_globals is names for names in own):
            line = trace
        last, trace = trace, trace.tb_next
    if isinstance(error, NotImplementedError) and last is line:
        return Outcome("not attempted")
    message = f"{type(error).__name__}: {str(error)[:500]}" if str(error) else type(error).__name__
    if line is not None:
        source = linecache.getline(line.tb_frame.f_code.co_filename, line.tb_lineno).strip()
        message = f"Line {line.tb_lineno}" + (f": {source}" if source else "") + f"\n{message}"
    return Outcome("raised", message=message)


# Guards around the call.

class Beginning(io.TextIOBase):
    """Takes whatever is printed, keeps the first 500 characters and counts the rest."""

    def __init__(self):
        self.kept, self.length = "", 0

    def write(self, text):
        if len(self.kept) < 500:
            self.kept += text[:500 - len(self.kept)]
        self.length += len(text)
        return len(text)


class TimeUp(BaseException):
    """Not an Exception: `except Exception` in the learner's loop must not swallow it."""


@contextlib.contextmanager
def time_limit(seconds):
    """Raise TimeUp in the body after `seconds`.

    In the main thread of Linux and macOS a timer signal does it, again and again, and the line after raises once more:
    inside a loop, a bare `except` would swallow the first. Elsewhere (Windows, other threads) a second thread asks the
    interpreter to raise it, once. Both act between two steps of Python: a single long call into compiled code, such as
    one enormous matrix product, ends first. What swallows exceptions on two levels at once must be stopped by hand.
    """
    outside = sys._getframe(2)  # the frame of the with statement: frames above it belong to the body
    tracing = sys.gettrace()

    def next_line(frame, event, argument):
        if event == "line":
            raise TimeUp
        return next_line

    def interrupt(signum, frame):
        sys.settrace(lambda *event: None)
        while frame is not None and frame is not outside:
            frame.f_trace = next_line
            frame = frame.f_back
        raise TimeUp

    if hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread():
        handler = signal.signal(signal.SIGALRM, interrupt)
        timer = signal.setitimer(signal.ITIMER_REAL, seconds, 0.1)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, *timer)
            signal.signal(signal.SIGALRM, handler)
            sys.settrace(tracing)
    else:
        thread = ctypes.c_ulong(threading.get_ident())
        alarm = threading.Timer(seconds, ctypes.pythonapi.PyThreadState_SetAsyncExc, (thread, ctypes.py_object(TimeUp)))
        alarm.daemon = True
        alarm.start()
        try:
            yield
        finally:
            alarm.cancel()
