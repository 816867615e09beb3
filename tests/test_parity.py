"""The parity ladder: one set of weights, copied from class to class and back, gives the same numbers in all of them."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch

import coursekit.keras
import coursekit.torch
from coursekit import weights

BATCH, QUERIES, KEYS, D_MODEL, HEADS, D_FF = 2, 5, 7, 12, 3, 8
NORM_FIRST = pytest.mark.parametrize("norm_first", [False, True], ids=["post-norm", "pre-norm"])
ACTIVATION = pytest.mark.parametrize("activation", ["relu", "gelu"])
SHAPES = pytest.mark.parametrize("batch, queries, keys", [(BATCH, QUERIES, KEYS), (1, 1, 1), (3, 1, 9), (1, 7, 1)])
MASKS = {"none": None, "padding": np.arange(QUERIES) < np.array([[[3]], [[5]]]), "causal": np.tri(QUERIES, dtype=bool)}


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def away_from_start(module):
    """Norms that scale and shift, biases that are not zero."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return module.eval()


def arrays(layer):
    return {name: weights.read(weight) for name, weight in weights.weights_of(layer).items()}


def assert_copies_back_unchanged(ours, theirs, fresh):
    """ours → theirs → a layer with other weights, which then has those of ours, all of them."""
    weights.copy(ours, theirs)
    weights.copy(theirs, fresh)
    for name, array in arrays(ours).items():
        np.testing.assert_array_equal(arrays(fresh)[name], array, err_msg=name)


def assert_same(results, expected, atol=1e-5):
    for name, result in results.items():
        result = result.detach() if isinstance(result, torch.Tensor) else result
        np.testing.assert_allclose(result, expected.detach(), atol=atol, rtol=0, err_msg=name)


def keras_attention(d_head=D_MODEL // HEADS, **settings):
    layer = keras.layers.MultiHeadAttention(HEADS, d_head, **settings)
    layer.build((None, None, D_MODEL), (None, None, D_MODEL))
    return layer


def torch_encoder_layer(activation, norm_first, **settings):
    return torch.nn.TransformerEncoderLayer(D_MODEL, HEADS, D_FF, activation=activation, norm_first=norm_first,
                                            batch_first=True, **settings)


def bert_model():
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(vocab_size=11, hidden_size=D_MODEL, num_hidden_layers=1, num_attention_heads=HEADS,
                                     intermediate_size=D_FF, max_position_embeddings=QUERIES)
    return away_from_start(transformers.BertModel(config))


def their_mask(mask):
    """A mask of ours as PyTorch's layers take it: (batch · heads, queries, keys), True = forbidden."""
    return None if mask is None else ~torch.tensor(np.broadcast_to(mask, (BATCH, *mask.shape[-2:]))).expand(
        BATCH, QUERIES, QUERIES).repeat_interleave(HEADS, 0)


@SHAPES
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("masked", [False, True], ids=["unmasked", "masked"])
def test_attention_of_five_classes(batch, queries, keys, bias, masked):
    ours = away_from_start(coursekit.torch.MultiHeadAttention(D_MODEL, HEADS, bias=bias))
    mine, theirs = coursekit.keras.MultiHeadAttention(D_MODEL, HEADS, bias=bias), keras_attention(use_bias=bias)
    torchs = torch.nn.MultiheadAttention(D_MODEL, HEADS, bias=bias, batch_first=True)
    for other, fresh in ((mine, coursekit.keras.MultiHeadAttention(D_MODEL, HEADS, bias=bias)),
                         (theirs, coursekit.keras.MultiHeadAttention(D_MODEL, HEADS, bias=bias)),
                         (torchs, coursekit.torch.MultiHeadAttention(D_MODEL, HEADS, bias=bias))):
        assert_copies_back_unchanged(ours, other, fresh)
    query, key, value = (random(batch, size, D_MODEL, seed=seed) for seed, size in enumerate((queries, keys, keys)))
    mask = random(batch, queries, keys) > 0
    mask[..., -1] = True
    tensors = [torch.tensor(array) for array in (query, key, value)]
    torch_mask = torch.tensor(mask) if masked else None
    mask = mask if masked else None
    expected, expected_weights = ours(*tensors, torch_mask, return_weights=True)
    kernel = theirs(query, value, key, attention_mask=mask, return_attention_scores=True)
    packed = torchs(*tensors, attn_mask=None if mask is None else ~torch_mask.repeat_interleave(HEADS, 0),
                    average_attn_weights=False)
    readable = mine(query, key, value, mask=mask, return_weights=True)
    assert_same({"coursekit.torch": ours(*tensors, torch_mask), "coursekit.keras": readable[0],
                 "coursekit.keras, fused": mine(query, key, value, mask=mask),
                 "keras.layers": kernel[0], "torch.nn": packed[0]}, expected)
    assert_same({"coursekit.keras": readable[1], "keras.layers": kernel[1], "torch.nn": packed[1]}, expected_weights)


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
@NORM_FIRST
@ACTIVATION
def test_encoder_layer_of_three_classes(mask, norm_first, activation):
    settings = dict(activation=activation, norm_first=norm_first, norm_epsilon=1e-5)
    ours, fresh = (away_from_start(coursekit.torch.EncoderLayer(D_MODEL, HEADS, D_FF, **settings)) for _ in range(2))
    mine, fresh_mine = (coursekit.keras.EncoderLayer(D_MODEL, HEADS, D_FF, **settings) for _ in range(2))
    theirs = torch_encoder_layer(activation, norm_first, dropout=0.0)
    assert_copies_back_unchanged(ours, mine, fresh)
    assert_copies_back_unchanged(mine, theirs, fresh_mine)
    x = random(BATCH, QUERIES, D_MODEL)
    expected = theirs(torch.tensor(x), src_mask=their_mask(mask))
    assert_same({"coursekit.torch": ours(torch.tensor(x), None if mask is None else torch.tensor(mask)),
                 "coursekit.keras": mine(x, mask=mask)}, expected)


@NORM_FIRST
def test_stack_of_three_classes(norm_first):
    settings = dict(activation="gelu", norm_first=norm_first)
    ours = away_from_start(coursekit.torch.Encoder(2, D_MODEL, HEADS, D_FF, **settings))
    mine, fresh = (coursekit.keras.Encoder(2, D_MODEL, HEADS, D_FF, **settings) for _ in range(2))
    theirs = torch.nn.TransformerEncoder(torch_encoder_layer(dropout=0.0, **settings), 2, enable_nested_tensor=False,
                                         norm=torch.nn.LayerNorm(D_MODEL) if norm_first else None).eval()
    assert_copies_back_unchanged(ours, mine, coursekit.torch.Encoder(2, D_MODEL, HEADS, D_FF, **settings))
    assert_copies_back_unchanged(mine, theirs, fresh)
    x, mask = random(BATCH, QUERIES, D_MODEL), MASKS["padding"]
    expected = theirs(torch.tensor(x), src_key_padding_mask=~torch.tensor(mask[:, 0]))
    assert_same({"coursekit.torch": ours(torch.tensor(x), torch.tensor(mask)), "coursekit.keras": mine(x, mask=mask)},
                expected)


@pytest.mark.parametrize("padded", [False, True], ids=["unpadded", "padded"])
def test_one_layer_of_bert(padded):
    """Its norms have the epsilon 1e-12 and its GELU is exact; the padding's own rows are whatever they are."""
    bert, settings = bert_model(), dict(activation="gelu", norm_epsilon=1e-12)
    layer, fresh = bert.encoder.layer[0], bert_model().encoder.layer[0]
    ours = coursekit.torch.EncoderLayer(D_MODEL, HEADS, D_FF, **settings)
    mine = coursekit.keras.EncoderLayer(D_MODEL, HEADS, D_FF, **settings)
    for copied in (ours, mine):
        away_from_start(fresh)
        assert_copies_back_unchanged(layer, copied, fresh)
        for before, after in zip(layer.parameters(), fresh.parameters()):
            assert torch.equal(before, after)
    tokens, mask = torch.tensor([[1, 5, 2, 6, 3], [4, 4, 1, 0, 0]]), np.ones((BATCH, 1, QUERIES), bool)
    if padded:
        mask = tokens.numpy()[:, None] > 0
    with torch.no_grad():
        hidden = bert(tokens, attention_mask=torch.tensor(mask[:, 0]).long(), output_hidden_states=True).hidden_states
        x, expected = hidden
        result = ours(x, torch.tensor(mask))
    assert_same({"coursekit.torch": result, "coursekit.keras": mine(x.numpy(), mask=mask)}, expected)


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
@NORM_FIRST
def test_gradients_of_a_layer(mask, norm_first):
    settings = dict(activation="gelu", norm_first=norm_first)
    ours = away_from_start(coursekit.torch.EncoderLayer(D_MODEL, HEADS, D_FF, **settings))
    mine = coursekit.keras.EncoderLayer(D_MODEL, HEADS, D_FF, **settings)
    weights.copy(ours, mine)
    x, factors = random(BATCH, QUERIES, D_MODEL), random(BATCH, QUERIES, D_MODEL, seed=1)
    torch_mask = None if mask is None else torch.tensor(mask)
    (ours(torch.tensor(x), torch_mask) * torch.tensor(factors)).sum().backward()
    expected, my_weights = weights.weights_of(ours), weights.weights_of(mine)
    for return_weights in (False, True):
        with tf.GradientTape() as tape:
            output = mine(x, mask=mask, return_weights=return_weights)
            loss = tf.reduce_sum((output[0] if return_weights else output) * factors)
        gradients = tape.gradient(loss, [weight.variables[0].value for weight in my_weights.values()])
        for (name, weight), gradient in zip(my_weights.items(), gradients):
            gradient = gradient.numpy().T if weight.transposed else gradient.numpy()
            np.testing.assert_allclose(gradient, expected[name].variables[0].grad, atol=1e-4, rtol=1e-5, err_msg=name)


def test_the_norm_epsilon_of_keras_is_a_known_difference():
    theirs, x = torch_encoder_layer("relu", False, dropout=0.0).eval(), 0.1 * random(BATCH, QUERIES, D_MODEL)
    same, keras_default = (coursekit.keras.EncoderLayer(D_MODEL, HEADS, D_FF, norm_epsilon=epsilon)
                           for epsilon in (1e-5, keras.layers.LayerNormalization().epsilon))
    for layer in (same, keras_default):
        weights.copy(theirs, layer)
    expected = theirs(torch.tensor(x)).detach()
    np.testing.assert_allclose(same(x), expected, atol=1e-5)
    assert np.abs(keras_default(x) - expected.numpy()).max() > 1e-3


@pytest.mark.parametrize("source, target, message", [
    (lambda: keras.layers.MultiHeadAttention(3, 4), lambda: coursekit.torch.MultiHeadAttention(12, 3),
     "keras.layers.MultiHeadAttention has no weights yet, expected it to have been called once"),
    (lambda: keras_attention(d_head=5), lambda: coursekit.torch.MultiHeadAttention(12, 3),
     "projection.weight has shape (15, 12) in source, (12, 12) in target"),
    (lambda: torch.nn.MultiheadAttention(12, 3, kdim=4), lambda: coursekit.keras.MultiHeadAttention(12, 3),
     "torch.nn.MultiheadAttention has a kdim, a vdim or add_bias_kv, expected none of them"),
    (lambda: torch.nn.MultiheadAttention(12, 3, add_bias_kv=True), lambda: coursekit.keras.MultiHeadAttention(12, 3),
     "torch.nn.MultiheadAttention has a kdim, a vdim or add_bias_kv, expected none of them"),
    (lambda: torch.nn.MultiheadAttention(12, 3, bias=False), lambda: coursekit.keras.MultiHeadAttention(12, 3),
     "target MultiHeadAttention has the weight key_projection.bias, which source has not"),
    (lambda: torch_encoder_layer("relu", False), lambda: coursekit.keras.Encoder(1, 12, 3, 8),
     "source is a EncoderLayer, target is a Encoder, expected the same class in either framework"),
    (lambda: coursekit.keras.Encoder(1, 12, 3, 8, norm_first=True), lambda: coursekit.torch.Encoder(1, 12, 3, 8),
     "source Encoder has the weight final_norm.bias, which target has not"),
    (lambda: coursekit.keras.Encoder(2, 12, 3, 8), lambda: coursekit.torch.Encoder(1, 12, 3, 8),
     "source Encoder has the weight layers.1.attention"),
])
def test_wrong_pairs_are_refused(source, target, message):
    with pytest.raises(ValueError) as error:
        weights.copy(source(), target())
    assert message in str(error.value)


def test_the_smaller_parts():
    for name, sizes in (("FeedForward", (D_MODEL, D_FF)), ("LearnedPositions", (QUERIES, D_MODEL))):
        ours, mine, fresh = (getattr(framework, name)(*sizes)
                             for framework in (coursekit.torch, coursekit.keras, coursekit.torch))
        assert_copies_back_unchanged(ours, mine, fresh)
        x = random(BATCH, QUERIES, D_MODEL)
        assert_same({"coursekit.keras": mine(x)}, ours(torch.tensor(x)))
