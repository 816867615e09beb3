"""Where a token stands, as a vector."""

import keras
from keras import ops

from coursekit.shapes import expect_at_least, expect_even


def sinusoidal_positions(length, d_model):
    """Sines and cosines of each position at d_model / 2 wavelengths from 2π to 10000 · 2π.

    PE(pos, 2i) = sin(pos / 10000^(2i / d_model));   PE(pos, 2i + 1) = cos(pos / 10000^(2i / d_model))

    `length` is a number, or a scalar tensor where a graph learns it only when it runs.
    Returns (length, d_model), float32. Raises `ValueError` for a negative length and for an odd or negative d_model.
    Source: Vaswani et al. 2017, Attention Is All You Need, section 3.5.
    """
    if not ops.is_tensor(length):
        expect_at_least("length", length, 0)
    expect_even("d_model", d_model)
    # float64 until the end: at position 5,000 a float32 angle is off by 2e-4.
    frequency = ops.power(10000.0, -ops.arange(0, d_model, 2, dtype="float64") / d_model)
    angle = ops.expand_dims(ops.arange(length, dtype="float64"), 1) * frequency
    waves = ops.stack([ops.sin(angle), ops.cos(angle)], axis=-1)
    return ops.cast(ops.reshape(waves, (length, d_model)), "float32")
