"""A debugging switch that finds where NaN and infinity come from."""

import inspect
from contextlib import contextmanager

import keras
from keras import ops

from coursekit.finite import expect_finite


@contextmanager
def report_nan(model):
    """Within it, every layer of a model, Keras's own included, refuses inputs that are NaN or infinite.

        with report_nan(model):
            model(x)
        ValueError: encoder/encoder_layer_1 (EncoderLayer): x is nan at batch 1, position 3, unit 0, ...

    The layer named is the first that was given such a number, so the one before it made it. Masks are not looked at:
    where they are added to scores, -inf is meant. With TensorFlow, `fit`, `predict` and every tf.function run eagerly
    meanwhile: a compiled graph has no numbers to look at. Off, it costs nothing.
    Raises `ValueError` that names the layer, the argument and the place.
    """
    layers = model._flatten_layers()  # Keras has no public list of the layers inside layers
    for layer in layers:
        layer.call = checked(layer)
    try:
        with eagerly():
            yield
    finally:
        for layer in layers:
            del layer.call  # the class's own is seen again


def checked(layer):
    """The layer's `call`, with a look at its arguments before."""
    call, signature = layer.call, inspect.signature(layer.call)

    def call_checked(*args, **kwargs):
        for argument, value in signature.bind(*args, **kwargs).arguments.items():
            for tensor in keras.tree.flatten(value):
                if has_numbers(tensor) and "mask" not in argument:
                    array = ops.convert_to_numpy(ops.cast(tensor, "float64"))
                    expect_finite(f"{layer.path or layer.name} ({type(layer).__name__})", argument, array)
        return call(*args, **kwargs)

    return call_checked


def has_numbers(tensor):
    """Whether it is a tensor of real numbers, and not of a graph or a model that is only being built."""
    if not ops.is_tensor(tensor) or not keras.backend.is_float_dtype(keras.backend.standardize_dtype(tensor.dtype)):
        return False
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return not tf.is_symbolic_tensor(tensor)
    return keras.backend.backend() != "torch" or tensor.device.type != "meta"


@contextmanager
def eagerly():
    """With TensorFlow, every tf.function runs as plain Python within it."""
    if keras.backend.backend() != "tensorflow":
        yield
        return
    import tensorflow as tf

    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)
