"""The parity ladder: one set of weights, copied from class to class and back, gives the same numbers in all of them."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch

import coursekit.keras
import coursekit.torch
from coursekit import reference, weights

BATCH, QUERIES, KEYS, D_MODEL, HEADS, D_FF = 2, 5, 7, 12, 3, 8
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}  # of outputs and of every gradient
DTYPE = pytest.mark.parametrize("dtype", TOLERANCE)
NORM_FIRST = pytest.mark.parametrize("norm_first", [False, True], ids=["post-norm", "pre-norm"])
ACTIVATION = pytest.mark.parametrize("activation", ["relu", "gelu"])
SHAPES = pytest.mark.parametrize("batch, queries, keys", [(BATCH, QUERIES, KEYS), (1, 1, 1), (3, 1, 9), (1, 7, 1)])
MASKS = {"none": None, "padding": np.arange(QUERIES) < np.array([[[3]], [[5]]]), "causal": np.tri(QUERIES, dtype=bool)}
NOTHING = np.arange(QUERIES) < np.array([[[0]], [[3]]])  # the first row's queries may attend to nothing
EVERY_MASK = pytest.mark.parametrize("mask", (MASKS | {"nothing": NOTHING}).values(), ids=[*MASKS, "nothing"])
KINDS = pytest.mark.parametrize("kind", ["attention", "post-norm", "pre-norm"])

# Keras warns of sequences of length 1.
pytestmark = pytest.mark.filterwarnings("ignore:You are using a softmax over axis")


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def random(*shape, dtype="float32", seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def away_from_start(module, dtype="float32"):
    """Norms that scale and shift, biases that are not zero."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return module.to(getattr(torch, dtype)).eval()


def arrays(layer):
    return {name: weights.read(weight) for name, weight in weights.weights_of(layer).items()}


def assert_copies_back_unchanged(ours, theirs, fresh):
    """ours → theirs → a layer with other weights, which then has those of ours, all of them."""
    weights.copy(ours, theirs)
    weights.copy(theirs, fresh)
    for name, array in arrays(ours).items():
        np.testing.assert_array_equal(arrays(fresh)[name], array, err_msg=name)


def run(layer, call, *inputs):
    """What `call(layer, *inputs)` returns, and the gradients of its sum with factors, by input and by weight."""
    by_name, is_keras = weights.weights_of(layer), isinstance(layer, keras.layers.Layer)
    variables = [variable for weight in by_name.values() for variable in weight.variables]
    if is_keras:
        variables, tensors = [variable.value for variable in variables], [tf.constant(array) for array in inputs]
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            output = call(layer, *tensors)
            loss = tf.reduce_sum(tf.cast(output, "float64") * factors(output.shape))
        gradients = tape.gradient(loss, tensors + variables)
    else:
        tensors = [torch.from_numpy(array).requires_grad_() for array in inputs]
        output = call(layer, *tensors)
        loss = (output.double() * torch.tensor(factors(output.shape))).sum()
        gradients = torch.autograd.grad(loss, tensors + variables)
        output, gradients = output.detach().double(), [gradient.double() for gradient in gradients]
    gradients = [torch.tensor(np.float64(gradient)) for gradient in gradients]
    results = {f"gradient of input {number}": gradients[number].numpy() for number in range(len(inputs))}
    for (name, weight), gradient in zip(by_name.items(), gradients[len(inputs):], strict=True):
        results[f"gradient of {name}"] = weights.read(weight._replace(variables=[gradient]))
    return {"output": np.float64(output)} | results


def factors(shape):
    return random(*shape, dtype="float64", seed=9)


def assert_same(results, expected, atol):
    for label, result in results.items():
        assert result.keys() == expected.keys(), label
        for name, array in result.items():
            np.testing.assert_allclose(array, expected[name], atol=atol, rtol=0, err_msg=f"{label}: {name}")


def ways(mask):
    """A call of our layers, and the same by way of the weights."""
    return (lambda layer, *inputs: layer(*inputs, mask=as_mask(layer, mask)),
            lambda layer, *inputs: layer(*inputs, mask=as_mask(layer, mask), return_weights=True)[0])


def both_ways(ours, mine, mask, *inputs):
    """The results of our layers in both frameworks, by the fused kernel and by way of the weights."""
    return {f"{name}, {way}": run(layer, call, *inputs) for name, layer in (("torch", ours), ("keras", mine))
            for way, call in zip(("fused", "with weights"), ways(mask))}


def as_mask(layer, mask):
    return mask if mask is None or isinstance(layer, keras.layers.Layer) else torch.from_numpy(mask)


def keras_attention(d_head=D_MODEL // HEADS, **settings):
    layer = keras.layers.MultiHeadAttention(HEADS, d_head, **settings)
    layer.build((None, None, D_MODEL), (None, None, D_MODEL))
    return layer


def torch_encoder_layer(activation, norm_first, **settings):
    return torch.nn.TransformerEncoderLayer(D_MODEL, HEADS, D_FF, activation=activation, norm_first=norm_first,
                                            batch_first=True, dropout=0.0, **settings)


def bert_layer(dtype):
    bert = pytest.importorskip("transformers.models.bert.modeling_bert")
    config = bert.BertConfig(hidden_size=D_MODEL, num_attention_heads=HEADS, intermediate_size=D_FF,
                             attn_implementation="sdpa")
    return away_from_start(bert.BertLayer(config), dtype)


def forbidden(mask, batch, queries, keys):
    """A mask of ours as PyTorch's layers take it: (batch · heads, queries, keys), True = forbidden."""
    return None if mask is None else ~torch.tensor(mask).expand(batch, queries, keys).repeat_interleave(HEADS, 0)


@DTYPE
@SHAPES
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("masked", [False, True], ids=["unmasked", "masked"])
def test_attention_of_six(dtype, batch, queries, keys, bias, masked):
    ours = away_from_start(coursekit.torch.MultiHeadAttention(D_MODEL, HEADS, bias=bias), dtype)
    mine, fresh = (coursekit.keras.MultiHeadAttention(D_MODEL, HEADS, bias=bias, dtype=dtype) for _ in range(2))
    theirs = keras_attention(use_bias=bias, dtype=dtype)
    torchs = torch.nn.MultiheadAttention(D_MODEL, HEADS, bias=bias, batch_first=True, dtype=getattr(torch, dtype))
    for other in (mine, theirs, torchs):
        assert_copies_back_unchanged(ours, other, fresh)
    inputs = [random(batch, size, D_MODEL, dtype=dtype, seed=seed) for seed, size in enumerate((queries, keys, keys))]
    mask = random(batch, queries, keys) > 0
    mask[..., -1] = True
    mask = mask if masked else None
    expected = run(torchs, lambda layer, *qkv: layer(*qkv, attn_mask=forbidden(mask, batch, queries, keys))[0], *inputs)
    kernel = run(theirs, lambda layer, query, key, value: layer(query, value, key, attention_mask=mask), *inputs)
    assert_same(both_ways(ours, mine, mask, *inputs) | {"keras.layers": kernel}, expected, TOLERANCE[dtype])
    of_heads = None if mask is None else mask[:, None]
    output, attended = reference.multi_head_attention(*inputs, arrays(ours), HEADS, of_heads)
    np.testing.assert_allclose(expected["output"], output, atol=TOLERANCE[dtype], rtol=0)
    with torch.no_grad():
        made = {"coursekit.torch": ours(*map(torch.tensor, inputs), as_mask(ours, mask), return_weights=True)[1],
                "coursekit.keras": mine(*inputs, mask=mask, return_weights=True)[1],
                "torch.nn": torchs(*map(torch.tensor, inputs), attn_mask=forbidden(mask, batch, queries, keys),
                                   average_attn_weights=False)[1],
                "keras.layers": theirs(*(inputs[i] for i in (0, 2, 1)), attention_mask=mask,
                                       return_attention_scores=True)[1]}
    for label, result in made.items():
        np.testing.assert_allclose(result, attended, atol=TOLERANCE[dtype], rtol=0, err_msg=label)


@DTYPE
@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
@NORM_FIRST
@ACTIVATION
def test_encoder_layer_of_four(dtype, mask, norm_first, activation):
    settings = dict(activation=activation, norm_first=norm_first)
    ours, fresh = (away_from_start(coursekit.torch.EncoderLayer(D_MODEL, HEADS, D_FF, **settings), dtype)
                   for _ in range(2))
    mine, fresh_mine = (coursekit.keras.EncoderLayer(D_MODEL, HEADS, D_FF, **settings, dtype=dtype) for _ in range(2))
    theirs = torch_encoder_layer(**settings, dtype=getattr(torch, dtype))
    assert_copies_back_unchanged(ours, mine, fresh)
    assert_copies_back_unchanged(mine, theirs, fresh_mine)
    x = random(BATCH, QUERIES, D_MODEL, dtype=dtype)
    expected = run(theirs, lambda layer, x: layer(x, src_mask=forbidden(mask, *x.shape[:2], QUERIES)), x)
    assert_same(both_ways(ours, mine, mask, x), expected, TOLERANCE[dtype])
    by_hand = reference.encoder_layer(x, arrays(ours), HEADS, None if mask is None else np.expand_dims(mask, -3),
                                      activation=getattr(reference, activation), norm_first=norm_first)
    np.testing.assert_allclose(by_hand, expected["output"], atol=TOLERANCE[dtype], rtol=0)


@DTYPE
@NORM_FIRST
@pytest.mark.parametrize("batch, length", [(BATCH, QUERIES), (1, 1), (3, 1), (1, 7)])
def test_stack_of_three_classes(dtype, norm_first, batch, length):
    settings, torch_dtype = dict(activation="gelu", norm_first=norm_first), getattr(torch, dtype)
    ours = away_from_start(coursekit.torch.Encoder(2, D_MODEL, HEADS, D_FF, **settings), dtype)
    mine, fresh = (coursekit.keras.Encoder(2, D_MODEL, HEADS, D_FF, **settings, dtype=dtype) for _ in range(2))
    theirs = torch.nn.TransformerEncoder(torch_encoder_layer(**settings), 2, enable_nested_tensor=False,
                                         norm=torch.nn.LayerNorm(D_MODEL) if norm_first else None).to(torch_dtype)
    fresh_ours = coursekit.torch.Encoder(2, D_MODEL, HEADS, D_FF, **settings).to(torch_dtype)
    assert_copies_back_unchanged(ours, mine, fresh_ours)
    assert_copies_back_unchanged(mine, theirs, fresh)
    x = random(batch, length, D_MODEL, dtype=dtype)
    mask = np.arange(length) < np.linspace(1, length, batch).astype(int)[:, None, None]
    expected = run(theirs, lambda stack, x: stack(x, src_key_padding_mask=~torch.tensor(mask[:, 0])), x)
    assert_same(both_ways(ours, mine, mask, x), expected, TOLERANCE[dtype])


@DTYPE
@pytest.mark.parametrize("padded", [False, True], ids=["unpadded", "padded"])
def test_one_layer_of_bert(dtype, padded):
    """Its norms have the epsilon 1e-12 and its GELU is exact."""
    theirs, fresh, settings = bert_layer(dtype), bert_layer(dtype), dict(activation="gelu", norm_epsilon=1e-12)
    ours = coursekit.torch.EncoderLayer(D_MODEL, HEADS, D_FF, **settings).to(getattr(torch, dtype))
    mine = coursekit.keras.EncoderLayer(D_MODEL, HEADS, D_FF, **settings, dtype=dtype)
    for copied in (ours, mine):
        away_from_start(fresh)
        assert_copies_back_unchanged(theirs, copied, fresh)
        for before, after in zip(theirs.parameters(), fresh.parameters()):
            assert torch.equal(before, after)
    mask, x = MASKS["padding"] if padded else None, random(BATCH, QUERIES, D_MODEL, dtype=dtype)
    their_mask = None if mask is None else torch.tensor(mask[:, None])
    expected = run(theirs, lambda layer, x: last(layer(x, attention_mask=their_mask)), x)
    assert_same(both_ways(ours, mine, mask, x), expected, TOLERANCE[dtype])


def last(output):
    """What transformers' BertLayer returns: the hidden states, before 5.0 in a tuple."""
    return output[0] if isinstance(output, tuple) else output


# NumPy alone, half precision and strides: one layer of ours in both frameworks, alone or inside an encoder layer


def make(framework, kind, **settings):
    if kind == "attention":
        return framework.MultiHeadAttention(D_MODEL, HEADS, **settings)
    return framework.EncoderLayer(D_MODEL, HEADS, D_FF, activation="gelu", norm_first=kind == "pre-norm", **settings)


def pair(kind):
    """Our layer in PyTorch and in Keras, in float64, with the same weights."""
    ours, mine = away_from_start(make(coursekit.torch, kind), "float64"), make(coursekit.keras, kind, dtype="float64")
    weights.copy(ours, mine)
    return ours, mine


def by_hand(kind, x, parameters, mask):
    mask = None if mask is None else np.expand_dims(mask, -3)
    if kind == "attention":
        return reference.multi_head_attention(x, x, x, parameters, HEADS, mask)[0]
    return reference.encoder_layer(x, parameters, HEADS, mask, activation=reference.gelu, norm_first=kind == "pre-norm")


def by_differences(loss, array, step=1e-5):
    """The gradient of a loss by central differences, one number of the array after the other."""
    gradient = np.empty_like(array)
    for place in np.ndindex(array.shape):
        kept = array[place]
        losses = []
        for array[place] in (kept + step, kept - step):
            losses.append(loss())
        array[place], gradient[place] = kept, (losses[0] - losses[1]) / (2 * step)
    return gradient


@EVERY_MASK
@KINDS
def test_outputs_and_gradients_of_numpy(kind, mask):
    """A query that may attend to nothing has zero context here: the libraries disagree about it, NumPy decides."""
    x, layers = random(BATCH, QUERIES, D_MODEL, dtype="float64"), pair(kind)
    parameters = {name: array.copy() for name, array in arrays(layers[0]).items()}

    def loss():
        return (by_hand(kind, x, parameters, mask) * factors(x.shape)).sum()

    results = both_ways(*layers, mask, x)
    outputs = {label: {"output": result.pop("output")} for label, result in results.items()}
    assert_same(outputs, {"output": by_hand(kind, x, parameters, mask)}, 1e-12)
    expected = {f"gradient of {name}": by_differences(loss, array) for name, array in parameters.items()}
    # of differences of numbers around 10 with a step of 1e-5, rounding leaves eight digits
    assert_same(results, expected | {"gradient of input 0": by_differences(loss, x)}, 1e-7)


@EVERY_MASK
@KINDS
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_and_autocast(dtype, kind, mask):
    """Against float64 with the same weights and inputs, all of them numbers that the half precision has."""
    half = getattr(torch, dtype)
    x = torch.tensor(random(BATCH, QUERIES, D_MODEL)).to(half).float().numpy()
    exact = away_from_start(make(coursekit.torch, kind)).to(half).double()
    low, cast = make(coursekit.torch, kind).to(half), make(coursekit.torch, kind)
    mixed, whole = (make(coursekit.keras, kind, dtype=policy) for policy in (f"mixed_{dtype}", dtype))
    for layer in (low, cast, mixed, whole):
        weights.copy(exact, layer)
    for call in ways(mask):
        expected = run(exact, call, np.float64(x))
        with torch.autocast("cpu", half):
            results = {"torch, autocast": run(cast, call, x)}
        results |= {"torch": run(low, lambda layer, x: call(layer, x.to(half)), x),
                    "keras, mixed": run(mixed, call, x), "keras": run(whole, call, x)}
        for name, wanted in expected.items():
            # An output is rounded about five times on its way, by half a spacing each; the gradient of a weight sums
            # ten products of numbers that are.
            spacings = 4 if name == "output" else 16
            atol = spacings * torch.finfo(half).eps * max(1, np.abs(wanted).max())
            assert_same({label: {name: result[name]} for label, result in results.items()}, {name: wanted}, atol)


@KINDS
def test_non_contiguous_inputs(kind):
    x, mask = random(D_MODEL, QUERIES, BATCH, dtype="float64").T, np.tri(QUERIES, dtype=bool).T
    assert not x.flags.c_contiguous and not mask.flags.c_contiguous
    ours, mine = pair(kind)
    for as_it_is, contiguous in zip(ways(mask), ways(mask.copy())):
        expected = run(ours, contiguous, x.copy())
        assert_same({"coursekit.torch": run(ours, as_it_is, x)}, expected, 1e-12)
        np.testing.assert_allclose(as_it_is(mine, x), expected["output"], atol=1e-12, rtol=0)
    np.testing.assert_array_equal(x, random(D_MODEL, QUERIES, BATCH, dtype="float64").T)


def test_the_norm_epsilon_of_keras_is_a_known_difference():
    theirs, x = torch_encoder_layer("relu", False).eval(), 0.1 * random(BATCH, QUERIES, D_MODEL)
    same, keras_default = (coursekit.keras.EncoderLayer(D_MODEL, HEADS, D_FF, norm_epsilon=epsilon)
                           for epsilon in (1e-5, keras.layers.LayerNormalization().epsilon))
    for layer in (same, keras_default):
        weights.copy(theirs, layer)
    expected = theirs(torch.tensor(x)).detach()
    np.testing.assert_allclose(same(x), expected, atol=1e-5)
    assert np.abs(keras_default(x) - expected.numpy()).max() > 1e-3


def test_the_scale_of_keras_attention_is_a_known_difference():
    """It has none by default, and takes the value before the key."""
    query, key, value = (random(BATCH, size, 4, seed=seed) for seed, size in enumerate((QUERIES, KEYS, KEYS)))
    expected = reference.scaled_dot_product_attention(query, key, value)[0]
    theirs = keras.layers.Attention()
    np.testing.assert_allclose(theirs([query / 2, value, key]), expected, atol=1e-5)  # √d_head is 2
    assert np.abs(theirs([query, value, key]) - expected).max() > 0.1


def test_the_mask_of_torch_attention_is_a_known_difference():
    """True is forbidden there."""
    theirs = torch.nn.MultiheadAttention(D_MODEL, HEADS, batch_first=True)
    ours, x = coursekit.torch.MultiHeadAttention(D_MODEL, HEADS), torch.tensor(random(BATCH, KEYS, D_MODEL))
    weights.copy(theirs, ours)
    chessboard = torch.tensor(np.indices((KEYS, KEYS)).sum(0) % 2 == 0)
    given = theirs(x, x, x, attn_mask=chessboard)[0]
    torch.testing.assert_close(given, ours(x, mask=~chessboard), atol=1e-5, rtol=0)
    assert (given - ours(x, mask=chessboard)).abs().max() > 0.01


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


@DTYPE
@pytest.mark.parametrize("name, sizes", [("FeedForward", (D_MODEL, D_FF)), ("LearnedPositions", (QUERIES, D_MODEL))])
def test_the_smaller_parts(dtype, name, sizes):
    ours, fresh = (away_from_start(getattr(coursekit.torch, name)(*sizes), dtype) for _ in range(2))
    mine, x = getattr(coursekit.keras, name)(*sizes, dtype=dtype), random(BATCH, QUERIES, D_MODEL, dtype=dtype)
    assert_copies_back_unchanged(ours, mine, fresh)
    expected = run(ours, lambda layer, x: layer(x), x)
    assert_same({"coursekit.keras": run(mine, lambda layer, x: layer(x), x)}, expected, TOLERANCE[dtype])
