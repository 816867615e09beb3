"""Where a token stands: sinusoids and learned vectors that are added to it, and rotary positions that turn it."""

import keras
from keras import ops

from coursekit.shapes import expect, expect_at_least, expect_even


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
    return ops.cast(waves(ops.arange(length), d_model), "float32")


def waves(positions, d_model):
    """The sinusoids of any positions (length,): (length, d_model), float64."""
    # float64 until the end: at position 5,000 a float32 angle is off by 2e-4.
    frequency = ops.power(10000.0, -ops.arange(0, d_model, 2, dtype="float64") / d_model)
    angle = ops.expand_dims(ops.cast(positions, "float64"), 1) * frequency
    return ops.reshape(ops.stack([ops.sin(angle), ops.cos(angle)], axis=-1), (ops.shape(positions)[0], d_model))


@keras.saving.register_keras_serializable(package="coursekit")
class PositionalEncoding(keras.layers.Layer):
    """Adds the sinusoids of its position to every token, then leaves some units out (in training only).

    output = dropout(x + PE)

    Shapes: x (batch, length, d_model), length at most `max_length`; the output has the shape and dtype of x.
    Raises `ValueError` where an axis does not fit or the sequence is longer than `max_length`.
    Source: Vaswani et al. 2017, Attention Is All You Need, sections 3.5 and 5.4.
    """

    def __init__(self, d_model, max_length, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        self.d_model, self.max_length, self.supports_masking = d_model, max_length, True
        self.table = ops.convert_to_numpy(sinusoidal_positions(max_length, d_model))
        self.dropout = keras.layers.Dropout(dropout, dtype=self.dtype_policy)

    def call(self, x):
        table = ops.convert_to_tensor(self.table, dtype=x.dtype)
        return self.dropout(x + rows_for(x, table))

    def compute_output_shape(self, x_shape):
        return x_shape  # else Keras finds it out with an unknown length of its own choice, beyond max_length

    def get_config(self):
        return {**super().get_config(), "d_model": self.d_model, "max_length": self.max_length,
                "dropout": self.dropout.rate}


@keras.saving.register_keras_serializable(package="coursekit")
class LearnedPositions(keras.layers.Layer):
    """Adds a learned vector to every token, one for each of `max_length` positions.

    output = x + P,   P (length, d_model): the first rows of `table`, which starts as normal numbers of deviation 0.02

    Shapes: x (batch, length, d_model), length at most `max_length`; the output has the shape of x.
    Raises `ValueError` where an axis does not fit or the sequence is longer than `max_length`.
    Source: Gehring et al. 2017, Convolutional Sequence to Sequence Learning, section 3.1; Devlin et al. 2019, BERT,
    section 3 and the authors' code.
    """

    def __init__(self, max_length, d_model, **kwargs):
        super().__init__(**kwargs)
        expect_at_least("max_length", max_length, 1)
        expect_at_least("d_model", d_model, 1)
        self.max_length, self.d_model, self.supports_masking = max_length, d_model, True

    def build(self, x_shape=None):
        start = keras.initializers.RandomNormal(stddev=0.02)
        self.table = self.add_weight(shape=(self.max_length, self.d_model), initializer=start, name="table")

    def call(self, x):
        return x + rows_for(x, ops.convert_to_tensor(self.table))

    def compute_output_shape(self, x_shape):
        return x_shape  # as in PositionalEncoding

    def get_config(self):
        return {**super().get_config(), "max_length": self.max_length, "d_model": self.d_model}


def rows_for(x, table):
    """The first rows of a table of positions, as many as x (batch, length, d_model) is long.

    A graph that learns the length when it runs raises TensorFlow's `InvalidArgumentError` then for one beyond the rows.
    """
    max_length, d_model = table.shape
    expect("x", x.shape, batch=None, length=None, d_model=d_model)
    length = ops.shape(x)[1]
    if getattr(x, "is_meta", False):  # of the torch backend, which stands in a number of its own for an unknown length
        return ops.broadcast_to(table[:1], (length, d_model))
    if ops.is_tensor(length):  # a graph of TensorFlow that learns the length when it runs
        import tensorflow as tf

        message = f"x is longer than max_length, which is {max_length}"
        with tf.control_dependencies([tf.debugging.assert_less_equal(length, max_length, message)]):
            length = tf.identity(length)
    elif length is not None and length > max_length:
        raise ValueError(f"x has length {length}, expected at most max_length, which is {max_length}")
    return table[:length]


def rotary(x, positions=None):
    """Turns each pair of neighbouring units by an angle that grows with the position.

    (x_2i, x_2i+1) → (x_2i cos a - x_2i+1 sin a, x_2i sin a + x_2i+1 cos a),   a = pos / 10000^(2i / d_head)

    Used on queries and keys, their dot products then depend on the distance of the two positions alone.
    Shapes: x (batch, heads, length, d_head); positions (length,), whole numbers, 0 to length - 1 by default.
    Returns the shape and dtype of x. Raises `ValueError` where an axis does not fit or d_head is odd.
    Source: Su et al. 2021, RoFormer: Enhanced Transformer with Rotary Position Embedding, section 3.2.
    """
    expect("x", x.shape, batch=None, heads=None, length=None, d_head=None)
    length, d_head = x.shape[2:]
    expect_even("d_head", d_head)
    if positions is None:
        positions = ops.arange(ops.shape(x)[2])
    else:
        expect("positions", positions.shape, length=(length, "x"))
    dtype = keras.backend.result_type(x.dtype, "float32")  # half precision is too coarse for sines
    turns, exact = ops.cast(waves(positions, d_head), dtype), ops.cast(x, dtype)
    sine, cosine = turns[:, 0::2], turns[:, 1::2]
    even, odd = exact[..., 0::2], exact[..., 1::2]
    turned = ops.stack([even * cosine - odd * sine, even * sine + odd * cosine], axis=-1)
    return ops.cast(ops.reshape(turned, ops.shape(x)), x.dtype)
