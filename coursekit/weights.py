"""Copies weights between the same layer of coursekit.keras and coursekit.torch, so that both compute the same."""

from typing import NamedTuple

import numpy as np


class Weight(NamedTuple):
    """One weight matrix or vector of a layer: the sum of `variables`, `transposed` if stored (inputs, outputs)."""

    variables: list
    transposed: bool = False


def copy(source, target):
    """Give `target` the weights of `source`, of the same class, in either framework; `source` is left as it is.

    Where PyTorch's LSTM has two biases and Keras's has one, Keras gets their sum, and PyTorch gets it in the first
    and zeros in the second. From Keras to PyTorch and back is exact.
    Raises `ValueError`, before anything is written, where the classes differ, one has a weight that the other lacks,
    or two shapes differ.
    """
    kind, target_kind = type(source).__name__, type(target).__name__
    if kind != target_kind:
        raise ValueError(f"source is a {kind}, target is a {target_kind}, expected the same class in either framework")
    arrays, weights = {name: read(weight) for name, weight in weights_of(source).items()}, weights_of(target)
    for name in sorted(arrays.keys() ^ weights.keys()):
        having, lacking = ("source", "target") if name in arrays else ("target", "source")
        raise ValueError(f"{having} {kind} has the weight {name}, which {lacking} has not: their settings differ")
    for name, array in arrays.items():
        shape = read(weights[name]).shape
        if array.shape != shape:
            raise ValueError(f"{name} has shape {array.shape} in source, {shape} in target")
    for name, array in arrays.items():
        write(array, weights[name])


def weights_of(model):
    """The weights of a layer by the names that `coursekit.torch` gives them."""
    frameworks = {cls.__module__.partition(".")[0] for cls in type(model).__mro__}
    if "keras" in frameworks:  # asked first: with its torch backend, a Keras layer is a PyTorch module as well
        kind = type(model).__name__
        if kind not in KERAS:
            raise ValueError(f"no weights known of {kind}, expected one of {', '.join(KERAS)}")
        if not model.built:
            model.build()
        return KERAS[kind](model)
    if "torch" in frameworks:
        return torch_weights(model)
    raise ValueError(f"source or target is a {type(model).__name__}, expected a layer of Keras or of PyTorch")


def torch_weights(module):
    weights = {}
    for name, parameter in module.named_parameters():
        name = name.replace("bias_hh", "bias_ih").removesuffix("_l0")  # nn.LSTM numbers its layers, nn.LSTMCell is one
        weights.setdefault(name, Weight([])).variables.append(parameter)
    return weights


def luong(layer):
    weights = {} if layer.kind == "dot" else dense("W", layer.W)
    return weights | dense("v", layer.v) if layer.kind == "concat" else weights


def bahdanau(layer):
    return dense("query_layer", layer.query_layer) | dense("values_layer", layer.values_layer) | dense("v", layer.v)


def seq2seq(model):
    weights = lstm("encoder", model.encoder.cell) | lstm("decoder", model.decoder) | dense("output", model.output_layer)
    if model.attention is not None:
        weights |= {f"attention.{name}": weight for name, weight in weights_of(model.attention).items()}
        if model.wiring == "luong":
            weights |= dense("combine", model.combine)
    return weights


def dense(name, layer):
    weights = {f"{name}.weight": Weight([layer.kernel], transposed=True)}
    return weights | {f"{name}.bias": Weight([layer.bias])} if layer.use_bias else weights


def lstm(name, cell):
    # Both frameworks stack the gates in one order: input, forget, candidate (Keras's c, PyTorch's g), output.
    return {
        f"{name}.weight_ih": Weight([cell.kernel], transposed=True),
        f"{name}.weight_hh": Weight([cell.recurrent_kernel], transposed=True),
        f"{name}.bias_ih": Weight([cell.bias]),
    }


KERAS = {"LuongAttention": luong, "BahdanauAttention": bahdanau, "Seq2Seq": seq2seq}


def read(weight):
    array = sum(as_array(variable) for variable in weight.variables)
    return array.T if weight.transposed else array


def write(array, weight):
    first, *rest = weight.variables
    assign(first, array.T if weight.transposed else array)
    for variable in rest:
        assign(variable, np.zeros_like(array))


def as_array(variable):
    if hasattr(variable, "assign"):  # Keras's variables have it, PyTorch's parameters have not
        return np.asarray(variable)
    return variable.detach().cpu().numpy()


def assign(variable, array):
    if hasattr(variable, "assign"):
        variable.assign(array)
    else:
        import torch

        variable.data.copy_(torch.tensor(array))
