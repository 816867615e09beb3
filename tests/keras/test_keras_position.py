"""coursekit.keras.position against the formula, worked by hand and in NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from coursekit.keras import sinusoidal_positions


def test_the_first_positions_by_hand():
    expected = [[0, 1, 0, 1], [np.sin(1), np.cos(1), np.sin(0.01), np.cos(0.01)],
                [np.sin(2), np.cos(2), np.sin(0.02), np.cos(0.02)]]
    np.testing.assert_allclose(sinusoidal_positions(3, 4), expected, atol=1e-7)


def test_far_positions_keep_the_precision_of_float32():
    table = np.asarray(sinusoidal_positions(5001, 6))
    assert table.dtype == np.float32 and table.shape == (5001, 6)
    angles = 5000 / 10000 ** (np.arange(0, 6, 2) / 6)
    np.testing.assert_allclose(table[-1], np.stack([np.sin(angles), np.cos(angles)], axis=-1).ravel(), atol=1e-7)


def test_a_graph_may_learn_the_length_when_it_runs():
    table = tf.function(lambda tokens: sinusoidal_positions(tf.shape(tokens)[0], 4),
                        input_signature=[tf.TensorSpec([None], tf.int32)])
    np.testing.assert_allclose(table(tf.zeros(7, tf.int32)), sinusoidal_positions(7, 4), atol=1e-7)


@pytest.mark.parametrize("length, d_model, message", [
    (-1, 4, "length is -1, expected a whole number of at least 0"),
    (3, 5, "d_model is 5, expected an even number"),
    (3, -2, "d_model is -2, expected a whole number of at least 0"),
])
def test_wrong_sizes_are_refused(length, d_model, message):
    with pytest.raises(ValueError) as error:
        sinusoidal_positions(length, d_model)
    assert message in str(error.value)
