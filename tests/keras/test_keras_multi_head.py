"""Scaled dot-product and multi-head attention in Keras against NumPy by hand, with masks given and carried."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from coursekit import reference, weights
from coursekit.keras import MultiHeadAttention, causal_mask, padding_mask, scaled_dot_product_attention

BATCH, HEADS, QUERIES, KEYS, D_HEAD, D_VALUE, D_MODEL = 2, 3, 5, 7, 4, 6, 12
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}
DTYPES = pytest.mark.parametrize("dtype", TOLERANCE)
MASK_SHAPES = pytest.mark.parametrize("mask_shape", [
    None, (QUERIES, KEYS), (1, KEYS), (BATCH, 1, 1, KEYS), (BATCH, HEADS, QUERIES, KEYS)])


def random(*shape, dtype="float64", seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def some_mask(*shape):
    """Random, and nothing allowed to one query of the first row, where a row has its own."""
    mask = random(*shape, seed=9) > 0.3
    mask[..., -1] = True
    if len(shape) == 4:
        mask[0, ..., -1, :] = False
    return mask


def heads(dtype="float64"):
    shapes = (BATCH, HEADS, QUERIES, D_HEAD), (BATCH, HEADS, KEYS, D_HEAD), (BATCH, HEADS, KEYS, D_VALUE)
    return [random(*shape, dtype=dtype, seed=seed) for seed, shape in enumerate(shapes)]


def make(d_model=D_MODEL, **settings):
    layer = MultiHeadAttention(d_model, HEADS, **settings)
    layer.build()
    layer.set_weights([random(*array.shape, seed=number) / 2 for number, array in enumerate(layer.get_weights())])
    return layer


def by_hand(layer, query, key, value, mask=None):
    parameters = {name: weights.read(weight) for name, weight in weights.weights_of(layer).items()}
    return reference.multi_head_attention(query, key, value, parameters, HEADS, mask)


# The formula alone


@DTYPES
@MASK_SHAPES
def test_formula_equals_numpy_with_weights_and_without(dtype, mask_shape):
    mask = None if mask_shape is None else some_mask(*mask_shape)
    context, attended = scaled_dot_product_attention(*heads(dtype), mask, return_weights=True)
    query, key, value = heads(dtype)
    fused = scaled_dot_product_attention(query, key, value[..., :D_HEAD], mask)
    expected = reference.scaled_dot_product_attention(query, key, value, mask)
    for ours, wanted in ((context, expected[0]), (fused, expected[0][..., :D_HEAD]), (attended, expected[1])):
        assert keras.backend.standardize_dtype(ours.dtype) == dtype
        np.testing.assert_allclose(ours, wanted, atol=TOLERANCE[dtype], rtol=0)
        assert mask_shape != (BATCH, 1, 1, KEYS) or not np.any(ours[0])


def test_formula_without_heads_and_without_batch():
    context, attended = scaled_dot_product_attention(*heads(), return_weights=True)
    for index in ((1,), (1, 2)):
        alone = [array[index] for array in heads()]
        np.testing.assert_allclose(scaled_dot_product_attention(*alone), context[index], atol=1e-12)
        readable = scaled_dot_product_attention(*alone, return_weights=True)
        np.testing.assert_allclose(readable[1], attended[index], atol=1e-12)


def test_formula_of_a_symbolic_model():
    inputs = [keras.Input(array.shape[1:], dtype="float32") for array in heads()]
    model = keras.Model(inputs, scaled_dot_product_attention(*inputs, return_weights=True))
    assert scaled_dot_product_attention(*inputs).shape == model.output_shape[0] == (None, HEADS, QUERIES, D_VALUE)
    expected = reference.scaled_dot_product_attention(*heads("float32"))
    for ours, wanted in zip(model(heads("float32")), expected):
        np.testing.assert_allclose(ours, wanted, atol=1e-5)


def test_dropout_leaves_out_weights_and_scales_the_others():
    query, key, _ = heads()
    one_hot = np.broadcast_to(np.eye(KEYS), (BATCH, HEADS, KEYS, KEYS))  # the context is then the weights used
    used, attended = (np.asarray(x) for x in scaled_dot_product_attention(query, key, one_hot, dropout=0.25, seed=3,
                                                                          return_weights=True))
    np.testing.assert_allclose(attended.sum(-1), 1)
    assert 0.1 < (used == 0).mean() < 0.4
    np.testing.assert_allclose(used[used > 0], attended[used > 0] / 0.75)
    np.testing.assert_array_equal(scaled_dot_product_attention(query, key, one_hot, dropout=0.25, seed=3), used)


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
@pytest.mark.parametrize("return_weights", [False, True])
def test_a_row_without_any_place_is_finite_throughout_and_so_is_its_gradient(policy, return_weights):
    layer, x = make(dtype=policy), tf.constant(random(BATCH, QUERIES, D_MODEL, dtype="float32"))
    tf.debugging.enable_check_numerics()  # raises at the first operation that gives NaN or infinity
    try:
        with tf.GradientTape() as tape:
            tape.watch(x)
            output = layer(x, mask=padding_mask([0, 4], QUERIES), return_weights=return_weights)
            output = output[0] if return_weights else output
            loss = ops.sum(output ** 2)
        gradients = tape.gradient(loss, [x, *layer.trainable_weights])
    finally:
        tf.debugging.disable_check_numerics()
    np.testing.assert_allclose(output[0], np.tile(layer.output_projection.bias, (QUERIES, 1)), rtol=1e-3)
    assert all(np.isfinite(gradient).all() for gradient in gradients)
    assert not np.any(gradients[0][0]) and np.any(gradients[0][1])


# Masks


def test_masks_by_hand():
    np.testing.assert_array_equal(causal_mask(3), [[True, False, False], [True, True, False], [True, True, True]])
    assert causal_mask(0).shape == (0, 0)
    np.testing.assert_array_equal(padding_mask([2, 0, 3]), [[[True, True, False]], [[False] * 3], [[True] * 3]])
    np.testing.assert_array_equal(padding_mask(np.array([1]), 2), [[[True, False]]])
    length_of_a_graph = tf.function(lambda x: causal_mask(tf.shape(x)[0]), input_signature=[tf.TensorSpec([None])])
    np.testing.assert_array_equal(length_of_a_graph(tf.zeros(4)), np.tri(4, dtype=bool))


@pytest.mark.parametrize("given", [None, (QUERIES, QUERIES), (BATCH, 1, QUERIES), (BATCH, HEADS, QUERIES, QUERIES)])
@pytest.mark.parametrize("symbolic", [False, True], ids=["eager", "symbolic"])
def test_the_mask_that_keras_carries_holds_besides_the_one_given(symbolic, given):
    tokens = np.array([[4, 1, 2, 0, 0], [3, 0, 0, 0, 0]])
    embedding, layer = keras.layers.Embedding(7, D_MODEL, mask_zero=True), make()
    mask = None if given is None else some_mask(*given)
    expected = (tokens > 0)[:, None, None]
    if mask is not None:
        expected = expected & (mask[:, None] if mask.ndim == 3 else mask)
    if symbolic:
        inputs = [keras.Input((None,), dtype="int32")]
        inputs += [] if mask is None else [keras.Input(batch_shape=given, dtype="bool")]
        outputs = layer(embedding(inputs[0]), mask=None if mask is None else inputs[1], return_weights=True)
        output, attended = keras.Model(inputs, outputs)([tokens] if mask is None else [tokens, mask])
    else:
        output, attended = layer(embedding(tokens), mask=mask, return_weights=True)
        np.testing.assert_array_equal(output._keras_mask, tokens > 0)
        np.testing.assert_allclose(layer(embedding(tokens), mask=mask), output, atol=1e-6)
    np.testing.assert_array_equal(np.asarray(attended) > 0, np.broadcast_to(expected, attended.shape))


def test_the_query_carries_its_own_mask_on_and_the_keys_decide_what_is_seen():
    embedding, layer = keras.layers.Embedding(7, D_MODEL, mask_zero=True), make()
    query, key = np.array([[4, 1, 0]]), np.array([[3, 2, 5, 6, 0]])
    output, attended = layer(embedding(query), embedding(key), return_weights=True)
    np.testing.assert_array_equal(np.asarray(attended)[0, 1] > 0, np.tile(key[0] > 0, (3, 1)))
    np.testing.assert_array_equal(output._keras_mask, query > 0)


# The layer


@DTYPES
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("batch, queries, keys", [(BATCH, QUERIES, KEYS), (1, 4, 9), (4, 1, 1), (1, 1, 6)])
def test_layer_equals_numpy(dtype, bias, batch, queries, keys):
    layer, mask = make(bias=bias, dtype=dtype), some_mask(batch, 1, queries, keys)
    query, key, value = (random(batch, length, D_MODEL, dtype=dtype, seed=length) for length in (queries, keys, keys))
    output, attended = layer(query, key, value, mask[:, 0], return_weights=True)
    expected = by_hand(layer, query, key, value, mask)
    np.testing.assert_allclose(attended, expected[1], atol=TOLERANCE[dtype], rtol=0)
    for ours in (output, layer(query, key, value, mask=mask)):
        np.testing.assert_allclose(ours, expected[0], atol=TOLERANCE[dtype], rtol=0)


def test_value_is_the_key_and_the_key_the_query_by_default():
    layer, x, memory = make(), random(2, QUERIES, D_MODEL), random(2, KEYS, D_MODEL, seed=1)
    np.testing.assert_allclose(layer(x), by_hand(layer, x, x, x)[0], atol=1e-5)
    np.testing.assert_allclose(layer(x, memory), by_hand(layer, x, memory, memory)[0], atol=1e-5)


def test_dropout_of_the_weights_in_training_only():
    layer, x = make(dropout=0.5), random(2, QUERIES, D_MODEL)
    output, attended = layer(x, return_weights=True, training=True)
    expected = by_hand(layer, x, x, x)
    np.testing.assert_allclose(attended, expected[1], atol=1e-6)
    assert np.abs(output - expected[0]).max() > 0.1
    assert np.abs(layer(x, training=True) - output).max() > 0.1
    np.testing.assert_allclose(layer(x), expected[0], atol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_masks_exactly_and_stays_close(policy):
    exact, half, mask = make(), make(dtype=policy), some_mask(BATCH, 1, QUERIES, QUERIES)
    x = random(BATCH, QUERIES, D_MODEL, dtype="float32")
    output, attended = half(x, mask=mask, return_weights=True)
    assert keras.backend.standardize_dtype(output.dtype) == half.compute_dtype
    np.testing.assert_array_equal(np.float32(attended) > 0, np.broadcast_to(mask, attended.shape))
    for ours in (output, half(x, mask=mask)):
        np.testing.assert_allclose(np.float32(ours), exact(x, mask=mask), atol=0.1)


def test_saved_and_loaded_it_gives_the_same(tmp_path):
    inputs = [keras.Input((None, D_MODEL)), keras.Input((KEYS, D_MODEL)), keras.Input((None, KEYS), dtype="bool")]
    layer = make(name="attention", bias=False, dropout=0.1)
    model = keras.Model(inputs, layer(inputs[0], inputs[1], mask=inputs[2], return_weights=True))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.get_layer("attention").get_config() == layer.get_config()
    values = [random(BATCH, QUERIES, D_MODEL), random(BATCH, KEYS, D_MODEL), some_mask(BATCH, QUERIES, KEYS)]
    for ours, theirs in zip(model(values), loaded(values)):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_allclose(model(values)[0], layer(*values[:2], mask=values[2]), atol=1e-5)


@pytest.mark.parametrize("return_weights", [False, True])
def test_no_rows_and_no_keys(return_weights):
    layer = make(dtype="float64")
    for batch, queries, keys in ((0, QUERIES, KEYS), (BATCH, 0, KEYS), (BATCH, QUERIES, 0)):
        query, memory = random(batch, queries, D_MODEL), random(batch, keys, D_MODEL)
        for mask in (None, np.ones((batch, queries, keys), bool)):
            output = layer(query, memory, mask=mask, return_weights=return_weights)
            output, attended = output if return_weights else (output, random(batch, HEADS, queries, keys))
            assert output.shape == query.shape and attended.shape == (batch, HEADS, queries, keys)
            if not keys:  # the context is zero, and the bias of the last projection is what is left
                np.testing.assert_array_equal(output, np.broadcast_to(layer.output_projection.bias, output.shape))


@pytest.mark.parametrize("mask", [
    np.ones((5, 5), "uint8"), np.ones((5, 5), "int32"), np.ones((2, 5, 5), "int64"), np.ones((2, 3, 5, 5), "float16"),
    np.ones((1, 5), "float64"), np.where(np.tri(5), 0, -np.inf).astype("float32")], ids=lambda mask: str(mask.dtype))
def test_masks_of_every_other_dtype_are_refused(mask):
    with pytest.raises(ValueError) as error:
        scaled_dot_product_attention(*[random(2, 3, 5, 4)] * 3, mask)
    assert str(error.value) == f"mask has dtype {mask.dtype}, expected bool (True = may attend)"
    dtype = mask.dtype if mask.dtype.kind in "iu" else "float32"  # Keras casts all that is real to the layer's
    for tensor in (mask, tf.constant(mask)):
        with pytest.raises(ValueError) as error:
            make()(random(2, 5, 12), mask=tensor)
        assert f"mask has dtype {dtype}, expected bool (True = may attend)" in str(error.value)


def x(*shape):
    return np.zeros(shape, "float32")


@pytest.mark.parametrize("call, message", [
    (lambda layer: layer(x(2, 5, 8)), "query has d_model 8, expected 12"),
    (lambda layer: layer(x(5, 12)), "query has shape (5, 12), expected the 3 axes (batch, queries, d_model)"),
    (lambda layer: layer(x(2, 5, 12), x(3, 7, 12)), "key has batch 3, query has 2"),
    (lambda layer: layer(x(2, 5, 12), x(2, 7, 12), x(2, 6, 12)), "value has keys 6, key has 7"),
    (lambda layer: layer(x(2, 5, 12), mask=np.ones((2, 5), bool)), "mask has queries 2, query has 5"),
    (lambda layer: layer(x(2, 5, 12), mask=np.ones((5, 1), bool)), "mask has keys 1, key has 5"),
    (lambda layer: layer(x(2, 5, 12), mask=np.ones((3, 1, 5), bool)), "mask has batch 3, query has 2"),
    (lambda layer: layer(x(2, 5, 12), mask=np.ones((2, 4, 5, 5), bool)), "mask has heads 4, "),
    (lambda layer: layer(x(2, 5, 12), mask=np.ones(5, bool)),
     "mask has shape (5,), expected the 4 axes (batch, heads, queries, keys)"),
    (lambda layer: layer(x(2, 5, 12), mask=np.ones((1, 2, 3, 5, 5), bool)),
     "mask has shape (1, 2, 3, 5, 5), expected the 4 axes (batch, heads, queries, keys)"),
    (lambda layer: layer(x(2, 5, 12), x(2, 7, 12), mask=np.ones((5, 6), bool)), "mask has keys 6, key has 7"),
    (lambda layer: layer(x(2, 5, 12), x(2, 7, 12), mask=np.ones((7, 5), bool)), "mask has queries 7, query has 5"),
    (lambda layer: layer(x(2, 5, 12), mask=np.ones((2, 5, 1), bool)), "mask has keys 1, key has 5"),
    (lambda layer: layer(x(2, 5, 12), mask=np.ones((2, 2, 5, 5), bool)), "mask has heads 2, "),
    (lambda layer: layer(keras.layers.Embedding(3, 12, mask_zero=True)(np.ones((2, 5))), mask=np.ones((5, 6), bool)),
     "mask has keys 6, key has 5"),
    (lambda layer: MultiHeadAttention(10, 3), "d_model is 10, expected a multiple of n_heads, which is 3"),
    (lambda layer: MultiHeadAttention(0, 3), "d_model is 0, expected a whole number of at least 1"),
    (lambda layer: MultiHeadAttention(12, 2.0), "n_heads is 2.0, expected a whole number of at least 1"),
    (lambda layer: MultiHeadAttention(12, 3, dropout=1.5), "dropout is 1.5, expected a probability from 0 to 1"),
    (lambda layer: scaled_dot_product_attention(x(5), x(5), x(5)), "query has shape (5,), expected the 4 axes"),
    (lambda layer: scaled_dot_product_attention(x(5, 4), x(7, 3), x(7, 6)), "key has d_head 3, query has 4"),
    (lambda layer: scaled_dot_product_attention(*[x(5, 4)] * 3, np.ones((1, 5, 5), bool)),
     "mask has shape (1, 5, 5), expected the 2 axes (queries, keys)"),
    (lambda layer: scaled_dot_product_attention(*[x(2, 3, 5, 4)] * 3, np.ones((2, 5, 5), bool)),
     "mask has heads 2, query has 3"),
    (lambda layer: scaled_dot_product_attention(*[x(5, 4)] * 3, dropout=-1), "dropout is -1, expected a probability"),
    (lambda layer: padding_mask([]), "expected whole numbers, one for each row of a batch"),
    (lambda layer: scaled_dot_product_attention(x(5, 4), x(7, 4), x(6, 6)), "value has keys 6, key has 7"),
    (lambda layer: causal_mask(-1), "length is -1, expected a whole number of at least 0"),
    (lambda layer: padding_mask([3, 5], 4), "lengths has 3 to 5, expected 0 to 4"),
    (lambda layer: padding_mask([3, -1], 4), "lengths has -1 to 3, expected 0 to 4"),
    (lambda layer: padding_mask([1.5]), "expected whole numbers, one for each row of a batch"),
    (lambda layer: padding_mask([[1]]), "lengths has shape (1, 1), expected the "),
])
def test_wrong_input_names_the_axis_and_both_sizes(call, message):
    with pytest.raises(ValueError) as error:
        call(make())
    assert message in str(error.value)
