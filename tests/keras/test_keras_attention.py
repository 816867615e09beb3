"""coursekit.keras.attention against NumPy, against Keras's own attention layers, and given wrong input."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from coursekit import reference
from coursekit.keras import BahdanauAttention, LuongAttention

BATCH, LENGTH, UNITS = 2, 5, 3
SCORES = ["dot", "general", "concat", "additive"]
MASK = np.array([[True, False, True, True, False], [False, False, False, False, False]])  # the second row: no place


def make(score, **kwargs):
    layer = BahdanauAttention(UNITS, **kwargs) if score == "additive" else LuongAttention(UNITS, score, **kwargs)
    layer.build()
    random = np.random.default_rng(1)
    layer.set_weights([random.normal(size=weight.shape) for weight in layer.get_weights()])
    return layer


def reference_scores(score, layer, query, values):
    if score == "dot":
        return reference.dot_score(query, values)
    kernels = [weight.T for weight in layer.get_weights()]
    if score == "general":
        return reference.general_score(query, values, kernels[0])
    if score == "concat":
        W, v = kernels
        return reference.concat_score(query, values, W, v[0])
    W1, b, W2, v = kernels
    return reference.additive_score(query, values, W1, W2, v[0], b)


@pytest.fixture
def query():
    return np.random.default_rng(2).normal(size=(BATCH, UNITS)).astype("float32")


@pytest.fixture
def values():
    return np.random.default_rng(3).normal(size=(BATCH, LENGTH, UNITS)).astype("float32")


@pytest.mark.parametrize("mask", [None, MASK], ids=["unmasked", "masked"])
@pytest.mark.parametrize("score", SCORES)
def test_context_and_weights_equal_numpy(score, mask, query, values):
    layer = make(score)
    context, weights = layer(query, values, mask=mask, return_weights=True)
    expected = reference.softmax(reference_scores(score, layer, query, values), mask=mask)
    np.testing.assert_allclose(weights, expected, atol=1e-6)
    np.testing.assert_allclose(context, reference.context(expected, values), atol=1e-6)
    np.testing.assert_array_equal(layer(query, values, mask=mask), context)
    if mask is not None:
        assert not np.any(weights[1]) and not np.any(context[1])


@pytest.mark.parametrize("score", ["dot", "general"])
def test_dot_and_general_equal_keras_attention(score, query, values):
    layer = make(score)
    key = values if score == "dot" else values @ layer.W.kernel.numpy()
    mask = np.array([[True, True, False, True, False], [False, True, True, True, True]])
    theirs = keras.layers.Attention(use_scale=False)
    context, weights = theirs([query[:, None], values, key], mask=[None, mask], return_attention_scores=True)
    ours, our_weights = layer(query, values, mask=mask, return_weights=True)
    np.testing.assert_allclose(our_weights, weights[:, 0], atol=1e-6)
    np.testing.assert_allclose(ours, context[:, 0], atol=1e-6)


@pytest.mark.parametrize("score", ["concat", "additive"])
def test_concat_and_additive_equal_keras_additive_attention(score, query, values):
    layer = make(score)
    if score == "concat":
        W, v = layer.get_weights()
        projected, key = query @ W[:UNITS], values @ W[UNITS:]
    else:
        W1, b, W2, v = layer.get_weights()
        projected, key = query @ W1 + b, values @ W2
    mask = np.array([[True, True, False, True, False], [False, True, True, True, True]])
    theirs = keras.layers.AdditiveAttention(use_scale=True)
    theirs.build([(BATCH, 1, UNITS), (BATCH, LENGTH, UNITS), (BATCH, LENGTH, UNITS)])
    theirs.set_weights([v[:, 0]])
    context, weights = theirs([projected[:, None], values, key], mask=[None, mask], return_attention_scores=True)
    ours, our_weights = layer(query, values, mask=mask, return_weights=True)
    np.testing.assert_allclose(our_weights, weights[:, 0], atol=1e-6)
    np.testing.assert_allclose(ours, context[:, 0], atol=1e-6)


def test_the_mask_that_keras_carries_is_used_unless_one_is_given(query):
    tokens = np.array([[4, 1, 2, 0, 0], [3, 0, 0, 0, 0]])
    embedding, layer = keras.layers.Embedding(7, UNITS, mask_zero=True), make("general")
    _, carried = layer(query, embedding(tokens), return_weights=True)
    np.testing.assert_array_equal(np.asarray(carried) > 0, tokens > 0)
    _, given = layer(query, embedding(tokens), mask=MASK, return_weights=True)
    np.testing.assert_array_equal(np.asarray(given) > 0, MASK)

    inputs = [keras.Input((UNITS,)), keras.Input((None,), dtype="int32")]
    model = keras.Model(inputs, layer(inputs[0], embedding(inputs[1]), return_weights=True))
    np.testing.assert_allclose(model([query, tokens])[1], carried, atol=1e-6)


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_a_fully_masked_row_is_finite_throughout_and_so_is_its_gradient(policy, query, values):
    layer, values = make("additive", dtype=policy), tf.constant(values)
    tf.debugging.enable_check_numerics()  # raises at the first operation that gives NaN or infinity
    try:
        with tf.GradientTape() as tape:
            tape.watch(values)
            loss = ops.sum(layer(query, values, mask=MASK) ** 2)
        gradients = tape.gradient(loss, [values, *layer.trainable_weights])
    finally:
        tf.debugging.disable_check_numerics()
    assert all(np.isfinite(gradient).all() for gradient in gradients)
    assert np.any(gradients[0][0]) and not np.any(gradients[0][1])


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_masks_exactly_and_stays_close(policy, query, values):
    layer, half = make("general"), make("general", dtype=policy)
    context, weights = (np.float32(x) for x in half(query, values, mask=MASK, return_weights=True))
    np.testing.assert_array_equal(weights > 0, MASK)
    np.testing.assert_allclose(context, layer(query, values, mask=MASK), atol=0.03)


@pytest.mark.parametrize("score", SCORES)
def test_saved_and_loaded_it_gives_the_same(score, query, values, tmp_path):
    inputs = [keras.Input((UNITS,)), keras.Input((LENGTH, UNITS)), keras.Input((LENGTH,), dtype="bool")]
    layer = make(score, name="scorer")
    model = keras.Model(inputs, layer(*inputs, return_weights=True))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded.get_layer("scorer")) is type(layer)
    assert loaded.get_layer("scorer").get_config() == layer.get_config()
    for ours, theirs in zip(model([query, values, MASK]), loaded([query, values, MASK])):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("query_shape, values_shape, mask, message", [
    ((3, 3), (2, 5, 3), None, "query has batch 3, values have 2"),
    ((2, 4), (2, 5, 3), None, "query has units 4, expected 3"),
    ((2, 3), (2, 5, 4), None, "values has units 4, expected 3"),
    ((2, 3), (2, 3), None, "values has shape (2, 3), expected the 3 axes (batch, length, units)"),
    ((2, 3), (2, 5, 3), np.ones((2, 7), bool), "mask has length 7, values have 5"),
    ((2, 3), (2, 5, 3), np.ones((4, 5), bool), "mask has batch 4, values have 2"),
    ((2, 3), (2, 5, 3), np.ones((2, 5), "int32"), "mask has dtype"),
])
@pytest.mark.parametrize("score", ["concat", "additive"])
def test_wrong_input_names_the_axis_and_both_sizes(score, query_shape, values_shape, mask, message):
    with pytest.raises(ValueError) as error:
        make(score)(np.zeros(query_shape, "float32"), np.zeros(values_shape, "float32"), mask=mask)
    assert message in str(error.value)


@pytest.mark.parametrize("wrong, message", [
    (lambda: LuongAttention(3, "cosine"), "unknown score 'cosine', expected one of 'dot', 'general', 'concat'"),
    (lambda: LuongAttention(0), "units is 0, expected a whole number of at least 1"),
    (lambda: BahdanauAttention(-2), "units is -2, expected a whole number of at least 1"),
    (lambda: BahdanauAttention(2.5), "units is 2.5, expected a whole number of at least 1"),
])
def test_wrong_settings_are_refused(wrong, message):
    with pytest.raises(ValueError) as error:
        wrong()
    assert message in str(error.value)


@pytest.mark.parametrize("query, values, message", [
    (np.zeros((2, 3), int), np.zeros((2, 5, 3), "float32"), "query has dtype"),
    (np.zeros((2, 3), "float32"), np.zeros((2, 5, 3), int), "values has dtype"),
])
def test_whole_numbers_are_refused(query, values, message):
    with pytest.raises(ValueError, match=f"{message} .*int.*, expected a floating-point type"):
        make("dot")(query, values)
