"""From whatever the learner's code returned to plain values: a text, an array, or a tuple of these."""

import sys
from types import FunctionType, GeneratorType, ModuleType

import numpy as np

LARGEST_ANSWER = 10_000_000  # numbers; what an exercise asks for has at most thousands
TOO_COARSE = "three digits are too few to tell right from almost right. Compute in float32 or float64."


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
    if is_a(answer, "jax", "Array"):
        return plain_array(np.asarray(answer))
    if is_a(answer, "tensorflow", "Tensor") or is_a(answer, "keras", "Variable"):
        return plain_array(np.asarray(answer.numpy()))
    if isinstance(answer, (tuple, list)):
        if not answer:
            raise Unusable(f"An empty {type(answer).__name__} came back.")
        parts = tuple(plain(part) for part in answer)
        # A list of rows is an array. A list of whole numbers and real ones, or of booleans, may be several answers.
        alike = all(isinstance(part, np.ndarray) and part.shape == parts[0].shape
                    and part.dtype.kind == parts[0].dtype.kind for part in parts)
        return np.stack(parts) if isinstance(answer, list) and alike else parts
    if answer is None:
        raise Unusable("None came back. Does every path of the function end with a return?")
    if isinstance(answer, GeneratorType):
        raise Unusable("A generator came back: it makes its values later. Is there a yield, or a for in round "
                       "brackets?")
    raise Unusable(f"What came back is {describe(answer)}, expected an array or a number.")


def plain_array(array):
    if isinstance(array, np.ma.MaskedArray):
        if np.ma.is_masked(array):
            raise Unusable("A masked array with masked entries came back; those entries have no value. "
                           "Return a plain array with every value filled in.")
        array = array.data
    if array.dtype.kind not in "biufc":
        raise Unusable(f"An array of dtype {array.dtype} came back, expected numbers.")
    if array.dtype.kind == "f" and array.dtype.itemsize < 4:
        raise Unusable(f"An array of dtype {array.dtype} came back: {TOO_COARSE}")
    if array.size > LARGEST_ANSWER:
        raise Unusable(f"An array of {array.size:,} numbers came back, shape {array.shape}.")
    return np.array(array, dtype=np.float64 if array.dtype.kind == "f" and array.dtype.itemsize > 8 else array.dtype)


def plain_tensor(tensor):
    if tensor.device.type == "meta":
        raise Unusable("A tensor on the device \"meta\" came back; it has a shape but no values.")
    tensor = tensor.detach().to_dense().cpu()
    if tensor.is_floating_point() and tensor.element_size() < 4:
        raise Unusable(f"A tensor of dtype {tensor.dtype} came back: {TOO_COARSE}")
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
