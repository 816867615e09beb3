"""The encoder in Keras against NumPy by hand: both orders of the norms, both activations, masks, dropout, saving."""

import keras
import numpy as np
import pytest
from keras import ops

from coursekit import reference, weights
from coursekit.keras import (Encoder, EncoderLayer, FeedForward, LearnedPositions, PositionalEncoding, causal_mask,
                             padding_mask)

BATCH, LENGTH, D_MODEL, HEADS, D_FF, VOCAB = 2, 5, 12, 3, 7, 9
TOKENS = np.array([[1, 2, 3, 0, 0], [4, 5, 6, 7, 8]])
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}
NORM_FIRST = pytest.mark.parametrize("norm_first", [False, True], ids=["post-norm", "pre-norm"])
ACTIVATION = pytest.mark.parametrize("activation", ["relu", "gelu"])


def random(*shape, dtype="float32", seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def away_from_start(layer):
    """Norms that scale and shift, biases that are not zero."""
    layer.build()
    layer.set_weights([array + random(*array.shape, seed=seed) / 5 for seed, array in enumerate(layer.get_weights())])
    return layer


def parameters(layer):
    return {name: weights.read(weight) for name, weight in weights.weights_of(layer).items()}


@pytest.mark.parametrize("dtype", TOLERANCE)
@NORM_FIRST
@ACTIVATION
@pytest.mark.parametrize("mask", [None, padding_mask([3, 5]), causal_mask(LENGTH)], ids=["none", "padding", "causal"])
def test_layer_equals_numpy(dtype, norm_first, activation, mask):
    layer = away_from_start(EncoderLayer(D_MODEL, HEADS, D_FF, activation=activation, norm_first=norm_first,
                                         norm_epsilon=1e-3, dtype=dtype))
    x = random(BATCH, LENGTH, D_MODEL, dtype=dtype)
    mask_of_heads = None if mask is None else np.expand_dims(mask, -3)
    expected = reference.encoder_layer(x, parameters(layer), HEADS, mask_of_heads, norm_first=norm_first,
                                       activation=getattr(reference, activation), epsilon=1e-3)
    output, attended = layer(x, mask=mask, return_weights=True)
    assert attended.shape == (BATCH, HEADS, LENGTH, LENGTH)
    for ours in (output, layer(x, mask=mask)):
        np.testing.assert_allclose(ours, expected, atol=TOLERANCE[dtype], rtol=0)


@NORM_FIRST
@pytest.mark.parametrize("batch, length", [(1, 1), (3, 1), (1, 7)])
def test_stack_is_its_layers_and_with_pre_norm_a_last_norm(norm_first, batch, length):
    stack = away_from_start(Encoder(2, D_MODEL, HEADS, D_FF, norm_first=norm_first))
    x = random(batch, length, D_MODEL)
    output, all_weights = stack(x, return_weights=True)
    for number, layer in enumerate(stack.layers):
        x, attended = layer(x, return_weights=True)
        np.testing.assert_array_equal(all_weights[number], attended)
    if norm_first:
        last = parameters(stack)
        x = reference.layer_norm(np.asarray(x), last["final_norm.weight"], last["final_norm.bias"])
    np.testing.assert_allclose(output, x, atol=1e-5)
    assert len(all_weights) == 2


@pytest.mark.parametrize("dtype", TOLERANCE)
@ACTIVATION
def test_feed_forward_equals_numpy(dtype, activation):
    network = away_from_start(FeedForward(D_MODEL, D_FF, activation, dtype=dtype))
    x = random(3, 2, D_MODEL, dtype=dtype)
    expected = reference.feed_forward(x, parameters(network), getattr(reference, activation))
    np.testing.assert_allclose(network(x), expected, atol=TOLERANCE[dtype])


@NORM_FIRST
@pytest.mark.parametrize("symbolic", [False, True], ids=["eager", "symbolic"])
def test_padding_that_keras_carries_reaches_every_layer_and_comes_out(norm_first, symbolic):
    stack = away_from_start(Encoder(2, D_MODEL, HEADS, D_FF, norm_first=norm_first))
    embed = keras.Sequential([keras.layers.Embedding(VOCAB, D_MODEL, mask_zero=True), PositionalEncoding(D_MODEL, 8),
                              LearnedPositions(8, D_MODEL)])
    tokens = keras.Input((None,), dtype="int32") if symbolic else TOKENS
    output, all_weights = stack(embed(tokens), mask=causal_mask(LENGTH), return_weights=True)
    if symbolic:
        output, all_weights = keras.Model(tokens, [output, all_weights])(TOKENS)
    seen = np.tri(LENGTH, dtype=bool) & (TOKENS > 0)[:, None, None]
    for attended in all_weights:
        np.testing.assert_array_equal(np.asarray(attended) > 0, np.broadcast_to(seen, attended.shape))
    np.testing.assert_array_equal(output._keras_mask, TOKENS > 0)
    expected = stack(ops.convert_to_tensor(np.asarray(embed(TOKENS))), mask=seen)
    np.testing.assert_allclose(output, expected, atol=1e-5)
    alone = keras.Sequential([embed, stack])
    np.testing.assert_allclose(alone(TOKENS)[0, :3], stack(embed(TOKENS[:1, :3]))[0], atol=1e-5)


@pytest.mark.parametrize("part", ["attention", "feed_forward", "attention output", "feed_forward output"])
@NORM_FIRST
def test_dropout_falls_at_four_places_in_training_only(norm_first, part):
    layer, x = away_from_start(EncoderLayer(D_MODEL, HEADS, D_FF, dropout=0.5, norm_first=norm_first)), random(2, 5, 12)
    still = layer(x)
    np.testing.assert_array_equal(layer(x, training=False), still)
    rates = {"attention": (layer.attention, "dropout"), "feed_forward": (layer.feed_forward.dropout, "rate")}
    for name, (owner, attribute) in rates.items():
        if name != part:
            setattr(owner, attribute, 0)
    if "output" not in part:
        layer.dropout.rate = 0
    elif part == "attention output":
        layer.feed_forward.contract.set_weights([0 * array for array in layer.feed_forward.contract.get_weights()])
    else:
        layer.attention.output_projection.set_weights([0 * a for a in layer.attention.output_projection.get_weights()])
    assert np.abs(np.asarray(layer(x, training=True) - layer(x))).max() > 0.05


def test_trains_saves_and_loads(tmp_path):
    keras.utils.set_random_seed(0)
    tokens = keras.Input((None,), dtype="int32")
    x = PositionalEncoding(D_MODEL, 8, dropout=0.1)(keras.layers.Embedding(VOCAB, D_MODEL, mask_zero=True)(tokens))
    stack = Encoder(1, D_MODEL, HEADS, D_FF, dropout=0.1, activation="gelu", norm_epsilon=1e-6)
    model = keras.Model(tokens, keras.layers.Dense(VOCAB)(stack(LearnedPositions(8, D_MODEL)(x))))
    model.compile(keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    losses = model.fit(TOKENS, TOKENS, epochs=8, verbose=0).history["loss"]
    assert losses[-1] < 0.9 * losses[0]
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.get_layer(stack.name).get_config() == stack.get_config()
    for tokens in (TOKENS, TOKENS[:, :3]):
        np.testing.assert_array_equal(loaded(tokens), model(tokens))


@NORM_FIRST
@pytest.mark.parametrize("batch, length", [(0, 5), (2, 0)])
def test_nothing_in_and_nothing_out(norm_first, batch, length):
    stack, x = Encoder(2, D_MODEL, HEADS, D_FF, norm_first=norm_first), random(batch, length, D_MODEL)
    output, all_weights = stack(x, return_weights=True)
    assert output.shape == stack(x).shape == (batch, length, D_MODEL)
    assert all_weights[1].shape == (batch, HEADS, length, length)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_stays_close_and_finite(policy):
    exact, half = (away_from_start(Encoder(2, D_MODEL, HEADS, D_FF, norm_first=True, dtype=dtype))
                   for dtype in ("float32", policy))
    half.set_weights(exact.get_weights())
    x, mask = random(BATCH, LENGTH, D_MODEL), padding_mask([3, 0], LENGTH)
    output = half(x, mask=mask)
    assert keras.backend.standardize_dtype(output.dtype) == half.compute_dtype
    np.testing.assert_allclose(np.float32(output), exact(x, mask=mask), atol=0.1)


@pytest.mark.parametrize("call, message", [
    (lambda: EncoderLayer(10, 3, 7), "d_model is 10, expected a multiple of n_heads, which is 3"),
    (lambda: EncoderLayer(12, 3, 0), "d_ff is 0, expected a whole number of at least 1"),
    (lambda: EncoderLayer(12, 3, 7, activation="tanh"), "unknown activation 'tanh', expected one of 'relu', 'gelu'"),
    (lambda: EncoderLayer(12, 3, 7, dropout=2), "dropout is 2, expected a probability from 0 to 1"),
    (lambda: EncoderLayer(12, 3, 7)(random(2, 5, 8)), "x has d_model 8, expected 12"),
    (lambda: EncoderLayer(12, 3, 7)(random(5, 12)),
     "x has shape (5, 12), expected the 3 axes (batch, length, d_model)"),
    (lambda: EncoderLayer(12, 3, 7)(random(2, 5, 12), mask=padding_mask([4, 6])), "mask has keys 6, key has 5"),
    (lambda: Encoder(2, 12, 3, 7)(random(2, 5, 12), mask=random(5, 5)), "mask has dtype float32, expected bool (True"),
    (lambda: Encoder(2, 12, 3, 7)(random(2, 5, 12), mask=np.ones((2, 5), bool)), "mask has queries 2, query has 5"),
    (lambda: FeedForward(12, 7)(random(2, 5, 8)), "x has d_model 8, expected 12"),
    (lambda: Encoder(0, 12, 3, 7), "n_layers is 0, expected a whole number of at least 1"),
    (lambda: Encoder(2, 12, 5, 7), "d_model is 12, expected a multiple of n_heads, which is 5"),
    (lambda: FeedForward(0, 7), "d_model is 0, expected a whole number of at least 1"),
])
def test_wrong_input_names_the_axis_and_both_sizes(call, message):
    with pytest.raises(ValueError) as error:
        call()
    assert message in str(error.value)
