"""coursekit.keras.position against the formula, worked by hand and in NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from coursekit import reference
from coursekit.keras import LearnedPositions, PositionalEncoding, rotary, sinusoidal_positions

BATCH, HEADS, LENGTH, D_HEAD, MAX_LENGTH = 2, 3, 5, 4, 7


def random(*shape, dtype="float32", seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


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


@pytest.mark.parametrize("dtype, tolerance", [("float32", 1e-6), ("float64", 1e-7), ("bfloat16", 2e-2)])
def test_encoding_is_added(dtype, tolerance):
    x, encoding = random(BATCH, LENGTH, D_HEAD), PositionalEncoding(D_HEAD, MAX_LENGTH, dtype=dtype)
    output = encoding(x)
    assert keras.backend.standardize_dtype(output.dtype) == dtype and not encoding.weights
    np.testing.assert_allclose(np.float64(output), x + reference.sinusoidal_positions(LENGTH, D_HEAD), atol=tolerance)


def test_the_table_is_computed_once_for_all_calls(monkeypatch):
    encoding = PositionalEncoding(D_HEAD, MAX_LENGTH)
    monkeypatch.setattr("coursekit.keras.position.waves", None)  # a second computation would fail
    for length in (LENGTH, MAX_LENGTH):
        expected = reference.sinusoidal_positions(length, D_HEAD)
        np.testing.assert_allclose(encoding(random(BATCH, length, D_HEAD) * 0)[1], expected, atol=1e-7)


def test_dropout_follows_the_sum_in_training_only():
    x, encoding = random(200, LENGTH, D_HEAD), PositionalEncoding(D_HEAD, MAX_LENGTH, dropout=0.4)
    total, output = np.asarray(encoding(x)), np.asarray(encoding(x, training=True))
    assert 0.3 < (output == 0).mean() < 0.5
    np.testing.assert_allclose(output[output != 0], total[output != 0] / 0.6, rtol=1e-5)


def test_learned_positions_are_the_first_rows_of_a_trained_table():
    x, layer = random(BATCH, LENGTH, D_HEAD), LearnedPositions(MAX_LENGTH, D_HEAD)
    np.testing.assert_allclose(layer(x), x + layer.table.numpy()[:LENGTH], atol=1e-6)
    assert layer.trainable_weights == [layer.table]
    start = LearnedPositions(400, 50)
    start.build()
    np.testing.assert_allclose(start.table.numpy().std(), 0.02, rtol=0.05)


def test_both_take_any_length_in_a_saved_model_and_carry_the_mask(tmp_path):
    tokens = keras.Input((None,), dtype="int32")
    x = keras.layers.Embedding(9, D_HEAD, mask_zero=True)(tokens)
    model = keras.Model(tokens, LearnedPositions(MAX_LENGTH, D_HEAD)(PositionalEncoding(D_HEAD, MAX_LENGTH, 0.1)(x)))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for ids in (np.array([[3, 0, 0]]), np.array([[1, 2, 3, 4, 5, 6, 0]])):
        np.testing.assert_array_equal(loaded(ids), model(ids))
        np.testing.assert_array_equal(model(ids)._keras_mask, ids > 0)
    assert model.predict(np.ones((2, 4), "int32"), verbose=0).shape == (2, 4, D_HEAD)


@pytest.mark.parametrize("layer", [PositionalEncoding(D_HEAD, MAX_LENGTH), LearnedPositions(MAX_LENGTH, D_HEAD)])
def test_a_model_of_any_length_refuses_one_that_is_too_long(layer):
    x = keras.Input((None, D_HEAD))
    model = keras.Model(x, layer(x))
    for call in (model, lambda x: model.predict(x, verbose=0)):
        with pytest.raises(ValueError, match="x has length 8, expected at most max_length, which is 7"):
            call(random(2, MAX_LENGTH + 1, D_HEAD))
    for length in (MAX_LENGTH, MAX_LENGTH - 1):  # from the second length on, Keras's graph is of any length
        assert model.predict(random(2, length, D_HEAD), verbose=0).shape == (2, length, D_HEAD)
    with pytest.raises(tf.errors.InvalidArgumentError, match="x is longer than max_length, which is 7"):
        model.predict(random(2, MAX_LENGTH + 1, D_HEAD), verbose=0)


@pytest.mark.parametrize("dtype, tolerance", [("float32", 1e-6), ("float64", 1e-12), ("float16", 2e-3)])
@pytest.mark.parametrize("positions", [None, np.array([4, 0, 900, 7, 7])], ids=["in order", "given"])
def test_rotary_equals_a_turn_in_the_complex_plane(dtype, tolerance, positions):
    x = random(BATCH, HEADS, LENGTH, D_HEAD, dtype=dtype)
    turned = rotary(x, positions)
    assert keras.backend.standardize_dtype(turned.dtype) == dtype
    expected = reference.rotary(np.float64(x), range(LENGTH) if positions is None else positions)
    np.testing.assert_allclose(turned, expected, atol=tolerance)


def test_rotary_products_depend_on_the_distance_alone():
    query, key = (np.broadcast_to(random(D_HEAD, dtype="float64", seed=seed), (1, 1, 6, D_HEAD)) for seed in (1, 2))
    products = (np.asarray(rotary(query)) @ np.asarray(rotary(key)).swapaxes(-1, -2))[0, 0]
    for offset in range(-5, 6):
        np.testing.assert_allclose(np.diag(products, offset), np.diag(products, offset)[0])


@pytest.mark.parametrize("call, message", [
    (lambda: PositionalEncoding(5, MAX_LENGTH), "d_model is 5, expected an even number"),
    (lambda: PositionalEncoding(4, -1), "length is -1, expected a whole number of at least 0"),
    (lambda: PositionalEncoding(4, MAX_LENGTH)(random(2, 8, 4)),
     "x has length 8, expected at most max_length, which is 7"),
    (lambda: PositionalEncoding(4, MAX_LENGTH)(random(2, 5, 6)), "x has d_model 6, expected 4"),
    (lambda: LearnedPositions(0, 4), "max_length is 0, expected a whole number of at least 1"),
    (lambda: LearnedPositions(4, 0), "d_model is 0, expected a whole number of at least 1"),
    (lambda: LearnedPositions(7, 4)(random(2, 8, 4)), "x has length 8, expected at most max_length, which is 7"),
    (lambda: LearnedPositions(7, 4)(random(5, 4)), "x has shape (5, 4), expected the 3 axes (batch, length, d_model)"),
    (lambda: rotary(random(2, 3, 5, 3)), "d_head is 3, expected an even number"),
    (lambda: rotary(random(2, 5, 4)), "x has shape (2, 5, 4), expected the 4 axes (batch, heads, length, d_head)"),
    (lambda: rotary(random(2, 3, 5, 4), np.arange(6)), "positions has length 6, x has 5"),
])
def test_wrong_input_names_the_axis_and_both_sizes(call, message):
    with pytest.raises(ValueError) as error:
        call()
    assert message in str(error.value)
