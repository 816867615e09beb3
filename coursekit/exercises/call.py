"""The calling side of a check: it runs what the learner wrote and hands out plain arrays, and it knows no right answer.

In a notebook this happens in the learner's own process; grading makes the same calls in a separate one.
"""

import contextlib
import dis
import linecache
import numbers
import re
from dataclasses import dataclass, field
from types import FunctionType

import numpy as np

from coursekit.exercises.guards import Beginning, TimeUp, on_cpu, running, time_limit
from coursekit.exercises.plain import Unusable, describe, is_a, plain


@dataclass(frozen=True)
class Case:
    """What a call is made with: `inputs` by name, in order; a class is constructed with `init` and given `weights`."""

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

    status: "answered", "missing", "not attempted", "raised", "interrupted" (Ctrl-C), "timed out" or "unusable" (no
    array, number or text).
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
    # A trained model is where the learner put it; all else is given its inputs on the CPU.
    device = contextlib.nullcontext() if task.kind == "predictor" else on_cpu()
    try:
        with (contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed), device, running(),
              time_limit(task.seconds)):
            answer = ASK[task.kind](found, task, case, inputs)
            # Inside the limit too: turning a strange object into an array may run the learner's code.
            outcome = Outcome("not attempted") if holds_ellipsis(answer) else Outcome("answered", plain(answer))
    except TimeUp:
        outcome = Outcome("timed out", message=f"It was stopped after {task.seconds:.3g} seconds. "
                                               "Is there a loop that never ends?")
    except Unusable as error:
        outcome = Outcome("unusable", message=str(error))
    except KeyboardInterrupt:
        outcome = Outcome("interrupted", message="It was stopped from the keyboard (KeyboardInterrupt).")
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
    if is_a(model, "keras", "Layer"):  # first, for on the torch backend a Keras layer is an nn.Module too
        return ask_keras_layer(model, case, inputs)
    if is_a(model, "torch", "nn.Module"):
        return ask_torch_module(model, case, inputs)
    raise Unusable(f"{task.name} is a plain class, expected an nn.Module or a Keras layer.")


def ask_value(found, task, case, inputs):
    if found is None or callable(found):
        wanted = "a number" if task.kind == "number" else "a letter in quotes"
        raise Unusable(f"{task.name} is {describe(found)}, expected {wanted}.")
    return found


def ask_predictor(found, task, case, inputs):
    """A predictor is a function of the inputs, or the pair (function, seconds it was trained)."""
    predict, *seconds = found if isinstance(found, (tuple, list)) and found else (found,)
    if not callable(predict) or len(seconds) > 1:
        raise Unusable(f"{task.name} is {describe(found)}, expected {task.signature}.")
    if task.limit and not seconds:
        raise Unusable(f"{task.name} is a function alone, expected the pair {task.signature}.")
    if task.limit and not (isinstance(seconds[0], numbers.Real) and seconds[0] >= 0):
        raise Unusable(f"The second part of {task.name} is how long the training took: a number of seconds, at least "
                       "0.")
    tokens = predict(*inputs.values())
    return (tokens, float(seconds[0])) if task.limit else tokens


ASK = {"function": ask_function, "class": ask_class, "number": ask_value, "choice": ask_value,
       "predictor": ask_predictor}


def ask_torch_module(model, case, inputs):
    import torch

    if any(isinstance(weight, torch.nn.parameter.UninitializedParameter) for weight in model.parameters()):
        model(*tensors(inputs))  # a lazy layer makes its weights at the first call
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
    given = [value.to(device) if isinstance(value, torch.Tensor) else value for value in tensors(inputs)]
    return model.eval()(*given)


def ask_keras_layer(model, case, inputs):
    import keras

    given = [keras.ops.convert_to_tensor(value) if isinstance(value, np.ndarray) else value
             for value in inputs.values()]
    model(*given)  # a Keras layer makes its weights at the first call
    for name, array in case.weights.items():
        target = weight_of(model, name)
        if isinstance(target, keras.layers.Dense):
            if target.use_bias:
                raise Unusable(f"{name} has a bias, the formula has none: give Dense use_bias=False.")
            target, array = target.kernel, array.T  # in Keras (inputs, outputs), in the formulas (outputs, inputs)
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


def unchanged(value, original):
    return value.shape == original.shape and np.array_equal(value, original, equal_nan=value.dtype.kind == "f")


def holds_ellipsis(answer):
    return answer is ... or isinstance(answer, (tuple, list)) and any(part is ... for part in answer)


def is_empty(found):
    """True for a function, or a class with a forward or call, whose body is a docstring, `...` or `pass` alone."""
    if isinstance(found, type):
        return any(is_empty(vars(found).get(name)) for name in ("forward", "call"))
    if not isinstance(found, FunctionType):
        return False
    nothing = {"RESUME", "NOP", "LOAD_CONST", "RETURN_VALUE", "RETURN_CONST"}
    return all(step.opname in nothing and (step.opcode not in dis.hasconst or step.argval is None)
               for step in dis.get_instructions(found))


def globals_of(found):
    """The module or notebook in which a function, a class or a predictor was written, as its dictionary of names."""
    if isinstance(found, (tuple, list)):
        return globals_of(found[0]) if found else None
    if isinstance(found, type):
        return next((globals_of(member) for member in vars(found).values() if isinstance(member, FunctionType)), None)
    return getattr(found, "__globals__", None)


def raised(error, own):
    """The outcome of an exception, with the last line it passed of the learner's `own` code, known by its globals."""
    line = None
    trace = error.__traceback__
    while trace is not None:
        if any(trace.tb_frame.f_globals is names for names in own):
            line = trace
        last, trace = trace, trace.tb_next
    if isinstance(error, NotImplementedError) and last is line:
        return Outcome("not attempted")
    message = ": ".join(filter(None, (type(error).__name__, words_of(error))))
    if line is not None:
        source = linecache.getline(line.tb_frame.f_code.co_filename, line.tb_lineno).strip()
        message = f"Line {line.tb_lineno}" + (f": {source}" if source else "") + f"\n{message}"
    return Outcome("raised", message=message)


def words_of(error):
    """What the exception says, in short; nothing where its own code fails to say it or takes longer than a second."""
    try:
        with time_limit(1):
            return re.sub(r"\x1b\[[0-9;]*m", "", str(error))[:500]  # Keras writes in bold
    except BaseException:  # this code is the learner's too
        return ""
