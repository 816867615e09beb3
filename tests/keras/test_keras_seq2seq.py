"""coursekit.keras.Seq2Seq against NumPy, step by step; in graphs, saved, trained, masked, and given wrong input."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from coursekit import reference
from coursekit.keras import Seq2Seq, sinusoidal_positions

BATCH, LENGTH, STEPS, VOCAB, UNITS, POSITIONS = 2, 5, 4, 7, 3, 6
SOURCE = np.array([[1, 5, 2, 6, 3], [4, 4, 1, 0, 0]])
MASK = SOURCE > 0
VARIANTS = [(attention, wiring) for attention in (None, "dot", "general", "concat", "additive")
            for wiring in ("bahdanau", "luong")]


def make(attention=None, wiring="bahdanau", position_units=0):
    model = Seq2Seq(VOCAB, UNITS, attention=attention, wiring=wiring, position_units=position_units)
    model.build()
    random = np.random.default_rng(1)
    model.set_weights([random.normal(size=weight.shape) for weight in model.get_weights()])
    return model


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm(cell, x, h, c):
    kernel, recurrent_kernel, bias = cell.get_weights()
    i, f, g, o = np.split(x @ kernel + h @ recurrent_kernel + bias, 4, axis=-1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def attend(layer, query, values, mask):
    """The layer's own weights in NumPy's scores."""
    kernels = [weight.T for weight in layer.get_weights()]
    if len(kernels) == 0:
        scores = reference.dot_score(query, values)
    elif len(kernels) == 1:
        scores = reference.general_score(query, values, kernels[0])
    elif len(kernels) == 2:
        scores = reference.concat_score(query, values, kernels[0], kernels[1][0])
    else:
        W1, b, W2, v = kernels
        scores = reference.additive_score(query, values, W1, W2, v[0], b)
    weights = reference.softmax(scores, mask=mask)
    return reference.context(weights, values), weights


def in_numpy(model, source, mask, steps, feed_back):
    """The model of the docstring, one Python step after the other."""
    table = np.asarray(sinusoidal_positions(10, POSITIONS))[:, :model.position_units]
    h = c = np.zeros((len(source), UNITS))
    values = np.zeros((len(source), source.shape[1], UNITS))
    for t in range(source.shape[1]):
        x = np.concatenate([np.eye(VOCAB)[source[:, t]], np.tile(table[t], (len(source), 1))], axis=-1)
        new_h, new_c = lstm(model.encoder.cell, x, h, c)
        h, c = np.where(mask[:, t, None], new_h, h), np.where(mask[:, t, None], new_c, c)
        values[:, t] = h
    y, all_logits, all_weights = np.zeros((len(source), VOCAB)), [], []
    for t in range(steps):
        x = np.concatenate([y, np.tile(table[t], (len(source), 1))], axis=-1)
        if model.attention is None:
            top, c = lstm(model.decoder, x, h, c)
            h = top
        elif model.wiring == "bahdanau":
            context, weights = attend(model.attention, h, values, mask)
            top, c = lstm(model.decoder, np.concatenate([x, context], axis=-1), h, c)
            h = top
        else:
            h, c = lstm(model.decoder, x, h, c)
            context, weights = attend(model.attention, h, values, mask)
            top = np.tanh(np.concatenate([context, h], axis=-1) @ model.combine.get_weights()[0])
        kernel, bias = model.output_layer.get_weights()
        logits = top @ kernel + bias
        y = feed_back(logits)
        all_logits.append(logits)
        all_weights.append(None if model.attention is None else weights)
    return np.stack(all_logits, axis=1), None if model.attention is None else np.stack(all_weights, axis=1)


@pytest.mark.parametrize("position_units", [0, POSITIONS])
@pytest.mark.parametrize("attention, wiring", VARIANTS)
def test_logits_weights_and_greedy_equal_numpy(attention, wiring, position_units):
    model = make(attention, wiring, position_units)
    expected, expected_weights = in_numpy(model, SOURCE, MASK, STEPS, reference.softmax)
    logits = model(SOURCE, mask=MASK, length=STEPS)
    np.testing.assert_allclose(logits, expected, atol=1e-5)
    hard, _ = in_numpy(model, SOURCE, MASK, STEPS, lambda logits: np.eye(VOCAB)[logits.argmax(-1)])
    np.testing.assert_array_equal(model.greedy(SOURCE, MASK, STEPS), hard.argmax(-1))
    if attention is not None:
        again, weights = model(SOURCE, mask=MASK, length=STEPS, return_weights=True)
        np.testing.assert_allclose(weights, expected_weights, atol=1e-5)
        np.testing.assert_array_equal(again, logits)


@pytest.mark.parametrize("attention, wiring", [(None, "bahdanau"), ("additive", "luong")])
def test_padding_changes_nothing(attention, wiring):
    model = make(attention, wiring, POSITIONS)
    padded = model(SOURCE, mask=MASK)
    np.testing.assert_allclose(padded[1:], model(SOURCE[1:, :3], length=LENGTH), atol=1e-5)
    assert padded.shape == (BATCH, LENGTH, VOCAB)


def test_a_mask_attached_by_keras_is_used():
    class MaskZeros(keras.layers.Layer):
        def call(self, tokens):
            return tokens + 0

        def compute_mask(self, tokens, previous_mask):
            return keras.ops.not_equal(tokens, 0)

    model = make("dot", "luong")
    np.testing.assert_allclose(model(MaskZeros()(SOURCE)), model(SOURCE, mask=MASK), atol=1e-6)
    assert np.abs(model(SOURCE) - model(SOURCE, mask=MASK)).max() > 1e-3


def test_a_graph_of_unknown_batch_and_length_serves_all():
    model = make("general", "bahdanau", POSITIONS)
    source, mask = keras.Input((None,), dtype="int32"), keras.Input((None,), dtype="bool")
    functional = keras.Model([source, mask], model(source, mask=mask, return_weights=True))
    for rows, length in [(2, 5), (1, 3), (2, 4)]:
        given = SOURCE[:rows, :length], MASK[:rows, :length]
        logits, weights = functional.predict_on_batch(given)
        expected, expected_weights = model(given[0], mask=given[1], return_weights=True)
        np.testing.assert_allclose(logits, expected, atol=1e-6)
        np.testing.assert_allclose(weights, expected_weights, atol=1e-6)


def test_the_graph_does_not_grow_with_the_length():
    model = make("additive", "luong", POSITIONS)

    def size(length):
        spec = tf.TensorSpec([2, length], tf.int64)
        return len(tf.function(model).get_concrete_function(spec).graph.as_graph_def().node)

    assert size(20) == size(4)


@pytest.mark.parametrize("attention, wiring", [(None, "bahdanau"), ("concat", "bahdanau"), ("general", "luong")])
def test_twenty_steps_compile_and_learn(attention, wiring):
    random = np.random.default_rng(4)
    source = random.integers(1, VOCAB, (30, 20))
    model = Seq2Seq(VOCAB, 8, attention=attention, wiring=wiring)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    before = model.evaluate(source, source[:, ::-1], batch_size=30, verbose=0)[0]
    model.fit(source, source[:, ::-1], batch_size=15, epochs=2, verbose=0)
    assert model.evaluate(source, source[:, ::-1], batch_size=30, verbose=0)[0] < before
    assert model.predict(source, verbose=0).shape == (30, 20, VOCAB)


@pytest.mark.parametrize("attention, wiring, position_units", [(None, "luong", 6), ("dot", "bahdanau", 0),
                                                               ("concat", "luong", 6), ("additive", "bahdanau", 6)])
def test_saved_and_loaded_it_gives_the_same(attention, wiring, position_units, tmp_path):
    model = make(attention, wiring, position_units)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.get_config() == model.get_config()
    np.testing.assert_array_equal(loaded(SOURCE, mask=MASK), model(SOURCE, mask=MASK))


def test_half_precision_stays_close():
    half = Seq2Seq(VOCAB, UNITS, attention="additive", wiring="luong", position_units=POSITIONS, dtype="mixed_float16")
    half.build()
    model = make("additive", "luong", POSITIONS)
    half.set_weights(model.get_weights())
    logits, weights = half(SOURCE, mask=MASK, return_weights=True)
    assert logits.dtype == "float16" and not np.any(np.asarray(weights)[1, :, 3:])
    np.testing.assert_allclose(np.float32(logits), model(SOURCE, mask=MASK), atol=0.05)


@pytest.mark.parametrize("source, options, message", [
    (SOURCE.astype("float32"), {}, "source has dtype"),
    (SOURCE[0], {}, "source has shape (5,), expected the 2 axes (batch, length)"),
    (SOURCE[:, :0], {}, "source has shape (2, 0), expected at least one row and one symbol"),
    (SOURCE + 3, {}, "source has ids 3 to 9, expected 0 to 6"),
    (SOURCE - 1, {}, "source has ids -1 to 5, expected 0 to 6"),
    (SOURCE, {"mask": MASK[:, :4]}, "mask has length 4, source has 5"),
    (SOURCE, {"mask": MASK[:1]}, "mask has batch 1, source has 2"),
    (SOURCE, {"mask": MASK.astype("float32")}, "mask has dtype"),
    (SOURCE, {"mask": ~MASK}, "mask has padding before a symbol"),
    (SOURCE, {"mask": MASK[:, [0, 3, 1, 2, 4]]}, "mask has padding before a symbol"),
    (SOURCE, {"length": 0}, "length is 0, expected a whole number of at least 1"),
    (SOURCE, {"length": -3}, "length is -3, expected a whole number of at least 1"),
    (SOURCE, {"return_weights": True}, "this Seq2Seq has no attention, so it has no weights to return"),
])
def test_wrong_input_names_the_axis_and_both_sizes(source, options, message):
    model = make()
    with pytest.raises(ValueError) as error:
        model(source, **options)
    assert message in str(error.value)
    if "return_weights" not in options:
        with pytest.raises(ValueError) as error:
            model.greedy(source, **options)
        assert message in str(error.value)


@pytest.mark.parametrize("settings, message", [
    ({"attention": "cosine"}, "unknown attention 'cosine'"),
    ({"wiring": "vaswani"}, "unknown wiring 'vaswani', expected one of 'bahdanau', 'luong'"),
    ({"vocab_size": 0}, "vocab_size is 0, expected a whole number of at least 1"),
    ({"units": -1}, "units is -1, expected a whole number of at least 1"),
    ({"position_units": -2}, "position_units is -2, expected a whole number of at least 0"),
    ({"position_units": 3}, "position_units is 3, expected an even number"),
])
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ValueError) as error:
        Seq2Seq(**{"vocab_size": VOCAB, "units": UNITS, **settings})
    assert message in str(error.value)
