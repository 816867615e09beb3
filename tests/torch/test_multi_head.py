"""Scaled dot-product and multi-head attention against NumPy by hand, the fused kernel and nn.MultiheadAttention."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from coursekit import reference
from coursekit.torch import MultiHeadAttention, causal_mask, padding_mask, scaled_dot_product_attention

BATCH, HEADS, QUERIES, KEYS, D_HEAD, D_VALUE, D_MODEL = 2, 3, 5, 7, 4, 6, 12
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}
DTYPES = pytest.mark.parametrize("dtype", TOLERANCE)
SHAPES = pytest.mark.parametrize("batch, queries, keys", [(BATCH, QUERIES, KEYS), (1, 4, 9), (4, 1, 1), (1, 1, 6)])


def random(*shape, dtype=torch.float64, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def some_mask(*shape):
    """Random, with at least one allowed key for every query."""
    mask = random(*shape, seed=9) > 0.3
    mask[..., -1] = True
    return mask


def layer(dtype=torch.float64, **settings):
    torch.manual_seed(1)
    return MultiHeadAttention(D_MODEL, HEADS, **settings).to(dtype)


def of_torch(ours):
    """nn.MultiheadAttention with the weights of ours."""
    bias = ours.query_projection.bias is not None
    projections = (ours.query_projection, ours.key_projection, ours.value_projection)
    theirs = nn.MultiheadAttention(D_MODEL, HEADS, bias=bias, batch_first=True, dtype=projections[0].weight.dtype)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([projection.weight for projection in projections]))
        theirs.out_proj.weight.copy_(ours.output_projection.weight)
        if bias:
            theirs.in_proj_bias.copy_(torch.cat([projection.bias for projection in projections]))
            theirs.out_proj.bias.copy_(ours.output_projection.bias)
    return theirs


def arrays(module):
    return {name: tensor.detach().numpy() for name, tensor in module.state_dict().items()}


def heads(dtype=torch.float64):
    shapes = (BATCH, HEADS, QUERIES, D_HEAD), (BATCH, HEADS, KEYS, D_HEAD), (BATCH, HEADS, KEYS, D_VALUE)
    return [random(*shape, dtype=dtype, seed=seed) for seed, shape in enumerate(shapes)]


# The formula alone


@DTYPES
@pytest.mark.parametrize("mask_shape", [None, (QUERIES, KEYS), (1, KEYS), (BATCH, 1, 1, KEYS), (HEADS, QUERIES, KEYS),
                                        (BATCH, HEADS, QUERIES, KEYS)])
def test_formula_equals_numpy_and_the_kernel(dtype, mask_shape):
    query, key, value = heads(dtype)
    mask = None if mask_shape is None else some_mask(*mask_shape)
    context, weights = scaled_dot_product_attention(query, key, value, mask, return_weights=True)
    expected = reference.scaled_dot_product_attention(query.numpy(), key.numpy(), value.numpy(),
                                                      None if mask is None else mask.numpy())
    for ours, by_hand in zip((context, weights), expected):
        assert ours.dtype == dtype
        np.testing.assert_allclose(ours, by_hand, atol=TOLERANCE[dtype], rtol=0)
    fused = scaled_dot_product_attention(query, key, value, mask)
    torch.testing.assert_close(fused, context, atol=TOLERANCE[dtype] / 10, rtol=0)
    kernel = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    torch.testing.assert_close(context, kernel, atol=TOLERANCE[dtype], rtol=0)


def test_formula_without_heads_and_without_batch():
    query, key, value = heads()
    context, weights = scaled_dot_product_attention(query, key, value, return_weights=True)
    for index in ((1,), (1, 2)):
        alone = [tensor[index] for tensor in (query, key, value)]
        torch.testing.assert_close(scaled_dot_product_attention(*alone), context[index], atol=1e-12, rtol=0)
        readable = scaled_dot_product_attention(*alone, return_weights=True)
        torch.testing.assert_close(readable, (context[index], weights[index]), atol=1e-12, rtol=0)


@pytest.mark.filterwarnings("ignore:Anomaly Detection")
@pytest.mark.parametrize("return_weights", [False, True])
def test_fully_masked_rows_are_zero_and_their_gradients_finite(return_weights):
    query, key, value = (tensor.requires_grad_() for tensor in heads())
    mask = some_mask(BATCH, 1, QUERIES, KEYS)
    mask[0] = False
    mask[1, 0, 3] = False
    with torch.autograd.detect_anomaly(check_nan=True):
        context = scaled_dot_product_attention(query, key, value, mask, return_weights=return_weights)
        context, weights = context if return_weights else (context, None)
        context.square().sum().backward()
    by_hand, weights_by_hand = reference.scaled_dot_product_attention(
        *(tensor.detach().numpy() for tensor in (query, key, value)), mask.numpy())
    assert not by_hand[0].any() and not by_hand[1, :, 3].any() and by_hand[1, :, 2].all()
    np.testing.assert_allclose(context.detach(), by_hand, atol=1e-12)
    assert torch.equal(context == 0, torch.from_numpy(by_hand == 0))
    if return_weights:
        np.testing.assert_allclose(weights.detach(), weights_by_hand, atol=1e-12)
    for tensor in (query, key, value):
        assert tensor.grad.isfinite().all() and not tensor.grad[0].any() and tensor.grad[1].any()
    assert not query.grad[1, :, 3].any()


def test_a_kernel_that_gives_nan_for_fully_masked_rows_is_never_asked(monkeypatch):
    def textbook(query, key, value, attn_mask, dropout_p):
        scores = query @ key.transpose(-2, -1) / D_HEAD**0.5
        return scores.masked_fill(~attn_mask, -torch.inf).softmax(-1) @ value

    inputs, mask = [tensor.requires_grad_() for tensor in heads()], some_mask(BATCH, 1, QUERIES, KEYS)
    mask[1, 0, 3] = False
    expected = scaled_dot_product_attention(*inputs, mask)
    monkeypatch.setattr(F, "scaled_dot_product_attention", textbook)
    context = scaled_dot_product_attention(*inputs, mask)
    torch.testing.assert_close(context, expected, atol=1e-12, rtol=0)
    context.square().sum().backward()
    assert all(tensor.grad.isfinite().all() for tensor in inputs)


@DTYPES
def test_gradients_of_both_paths_equal_the_kernel(dtype):
    mask, gradients = some_mask(BATCH, 1, QUERIES, KEYS), []
    for function in (lambda q, k, v: scaled_dot_product_attention(q, k, v, mask),
                     lambda q, k, v: scaled_dot_product_attention(q, k, v, mask, return_weights=True)[0],
                     lambda q, k, v: F.scaled_dot_product_attention(q, k, v, attn_mask=mask)):
        inputs = [tensor.requires_grad_() for tensor in heads(dtype)]
        function(*inputs).square().sum().backward()
        gradients.append([tensor.grad for tensor in inputs])
    for ours in gradients[:2]:
        torch.testing.assert_close(ours, gradients[2], atol=TOLERANCE[dtype], rtol=TOLERANCE[dtype])


def test_gradients_by_finite_differences():
    inputs, mask = [tensor.requires_grad_() for tensor in heads()], some_mask(QUERIES, KEYS)
    mask[2] = False
    for weights in (False, True):
        assert torch.autograd.gradcheck(lambda *qkv: scaled_dot_product_attention(*qkv, mask, return_weights=weights),
                                        inputs)


def test_dropout_leaves_out_weights_and_scales_the_others():
    query, key, _ = heads()
    one_hot = torch.eye(KEYS, dtype=torch.float64).expand(BATCH, HEADS, -1, -1)  # the context is then the weights used
    torch.manual_seed(3)
    used, weights = scaled_dot_product_attention(query, key, one_hot, dropout=0.25, return_weights=True)
    torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights[..., 0]))
    dropped = used == 0
    assert 0.15 < dropped.double().mean() < 0.35
    torch.testing.assert_close(used[~dropped], weights[~dropped] / 0.75)
    torch.manual_seed(3)
    fused = scaled_dot_product_attention(query, key, one_hot, dropout=0.25)
    assert 0.15 < (fused == 0).double().mean() < 0.35


# Masks


def test_masks_by_hand():
    assert causal_mask(3).tolist() == [[True, False, False], [True, True, False], [True, True, True]]
    assert causal_mask(0).shape == (0, 0)
    assert padding_mask([2, 0, 3]).tolist() == [[[True, True, False]], [[False] * 3], [[True] * 3]]
    assert padding_mask(torch.tensor([1]), max_length=2).tolist() == [[[True, False]]]
    assert padding_mask([1]).dtype == causal_mask(1).dtype == torch.bool


def test_causal_mask_is_the_kernels():
    query, _, _ = heads()
    expected = F.scaled_dot_product_attention(query, query, query, is_causal=True)
    ours = scaled_dot_product_attention(query, query, query, causal_mask(QUERIES))
    torch.testing.assert_close(ours, expected, atol=1e-12, rtol=0)


def test_padding_has_no_influence():
    attention, x = layer(), random(BATCH, KEYS, D_MODEL)
    mask = padding_mask([4, 6], max_length=KEYS)
    output = attention(x, mask=mask)
    torch.testing.assert_close(output[0, :4], attention(x[:1, :4])[0], atol=1e-12, rtol=0)
    torch.testing.assert_close(output[1, :6], attention(x[1:, :6])[0], atol=1e-12, rtol=0)


def test_later_places_have_no_influence():
    attention, x = layer(), random(BATCH, KEYS, D_MODEL)
    others = torch.cat([x[:, :3], random(BATCH, KEYS - 3, D_MODEL, seed=5)], dim=1)
    ours, changed = (attention(inputs, mask=causal_mask(KEYS)) for inputs in (x, others))
    assert torch.equal(ours[:, :3], changed[:, :3]) and not torch.isclose(ours[:, 3:], changed[:, 3:]).any()


# The layer


@DTYPES
@SHAPES
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("masked", [False, True])
def test_layer_equals_numpy_and_nn_multihead_attention(dtype, batch, queries, keys, bias, masked):
    ours = layer(dtype, bias=bias)
    theirs, tolerance = of_torch(ours), TOLERANCE[dtype]
    inputs = [random(batch, length, D_MODEL, dtype=dtype, seed=seed)
              for seed, length in enumerate((queries, keys, keys))]
    mask = some_mask(batch, queries, keys) if masked else None
    output, weights = ours(*inputs, mask=mask, return_weights=True)
    by_hand = reference.multi_head_attention(*(tensor.numpy() for tensor in inputs), arrays(ours), HEADS,
                                             None if mask is None else mask.unsqueeze(1).numpy())
    for made, expected in zip((output, weights), by_hand):
        assert made.dtype == dtype and made.shape == expected.shape
        np.testing.assert_allclose(made.detach(), expected, atol=tolerance, rtol=0)
    # its mask is True where attending is forbidden, (batch · heads, queries, keys)
    forbidden = None if mask is None else ~mask.repeat_interleave(HEADS, 0)
    expected = theirs(*inputs, attn_mask=forbidden, average_attn_weights=False)
    torch.testing.assert_close((output, weights), expected, atol=tolerance, rtol=0)
    torch.testing.assert_close(ours(*inputs, mask=mask), expected[0], atol=tolerance, rtol=0)


@DTYPES
@pytest.mark.parametrize("return_weights", [False, True])
def test_gradients_equal_nn_multihead_attention(dtype, return_weights):
    ours = layer(dtype)
    theirs = of_torch(ours)
    x, memory = random(BATCH, QUERIES, D_MODEL, dtype=dtype), random(BATCH, KEYS, D_MODEL, dtype=dtype, seed=1)
    mask = padding_mask([4, 6], max_length=KEYS)
    inputs = [tensor.clone().requires_grad_() for tensor in (x, memory, x, memory)]
    output = ours(*inputs[:2], mask=mask, return_weights=return_weights)
    (output[0] if return_weights else output).square().sum().backward()
    theirs(inputs[2], inputs[3], inputs[3], key_padding_mask=~mask[:, 0])[0].square().sum().backward()
    tolerance = dict(atol=TOLERANCE[dtype], rtol=TOLERANCE[dtype])
    for mine, its in zip(inputs[:2], inputs[2:]):
        torch.testing.assert_close(mine.grad, its.grad, **tolerance)
    projections = (ours.query_projection, ours.key_projection, ours.value_projection)
    torch.testing.assert_close(torch.cat([p.weight.grad for p in projections]), theirs.in_proj_weight.grad, **tolerance)
    # The bias of the keys moves all scores of a query alike: its gradient is rounding around zero.
    torch.testing.assert_close(torch.cat([p.bias.grad for p in projections]), theirs.in_proj_bias.grad, **tolerance)
    torch.testing.assert_close(ours.output_projection.weight.grad, theirs.out_proj.weight.grad, **tolerance)


@pytest.mark.parametrize("mask", [None, causal_mask(QUERIES), padding_mask([3, 4], max_length=QUERIES)],
                         ids=["none", "causal", "padding"])
def test_asking_for_weights_changes_rounding_only(mask):
    attention, x = layer(torch.float32), random(BATCH, QUERIES, D_MODEL, dtype=torch.float32)
    output, weights = attention(x, mask=mask, return_weights=True)
    torch.testing.assert_close(attention(x, mask=mask), output, atol=1e-6, rtol=0)
    assert weights.shape == (BATCH, HEADS, QUERIES, QUERIES)


def test_mask_axes():
    attention, x, memory = layer(), random(BATCH, QUERIES, D_MODEL), random(BATCH, KEYS, D_MODEL, seed=1)
    per_head = some_mask(BATCH, HEADS, QUERIES, KEYS)
    output, weights = attention(x, memory, mask=per_head, return_weights=True)
    by_hand = reference.multi_head_attention(x.numpy(), memory.numpy(), memory.numpy(), arrays(attention), HEADS,
                                             per_head.numpy())
    torch.testing.assert_close((output, weights), tuple(map(torch.from_numpy, by_hand)), atol=1e-12, rtol=0)
    for mask, full in [(per_head[0, 0], (1, 1, QUERIES, KEYS)), (per_head[0, 0, :1], (1, 1, 1, KEYS)),
                       (per_head[:, 0], (BATCH, 1, QUERIES, KEYS)), (per_head[:, 0, :1], (BATCH, 1, 1, KEYS)),
                       (per_head[:1, 0], (1, 1, QUERIES, KEYS)), (per_head[:1], (1, HEADS, QUERIES, KEYS))]:
        expected = attention(x, memory, mask=mask.reshape(full).expand(BATCH, HEADS, QUERIES, KEYS))
        assert torch.equal(attention(x, memory, mask=mask), expected)


@pytest.mark.parametrize("return_weights", [False, True])
def test_fully_masked_queries_give_the_bias_of_the_last_projection(return_weights):
    attention, x = layer(), random(BATCH, QUERIES, D_MODEL).requires_grad_()
    output = attention(x, mask=padding_mask([0, 3], max_length=QUERIES), return_weights=return_weights)
    output = output[0] if return_weights else output
    output.square().sum().backward()
    assert torch.equal(output[0], attention.output_projection.bias.expand(QUERIES, -1))
    assert not x.grad[0].any() and x.grad[1].any()
    assert all(parameter.grad.isfinite().all() for parameter in attention.parameters())


def test_non_contiguous_inputs_are_read_and_left_as_they_were():
    attention = layer()
    transposed = random(D_MODEL, QUERIES, BATCH).permute(2, 1, 0)
    strided = random(BATCH, 2 * KEYS, D_MODEL, seed=1)[:, ::2]
    mask = some_mask(KEYS, QUERIES).T
    mask_before, before = mask.clone(), (transposed.clone(), strided.clone())
    expected = attention(*(tensor.contiguous() for tensor in (transposed, strided)), mask=mask.contiguous())
    for return_weights in (False, True):
        output = attention(transposed, strided, mask=mask, return_weights=return_weights)
        torch.testing.assert_close(output[0] if return_weights else output, expected, atol=1e-12, rtol=0)
    assert torch.equal(transposed, before[0]) and torch.equal(strided, before[1]) and torch.equal(mask, mask_before)


def test_dropout_is_of_weights_and_in_training_only():
    attention, x = layer(dropout=0.5), random(BATCH, QUERIES, D_MODEL)
    theirs = of_torch(attention)
    theirs.dropout = 0.5
    outputs = []
    for run in (lambda: attention(x, return_weights=True)[0], lambda: theirs(x, x, x, average_attn_weights=False)[0]):
        torch.manual_seed(4)
        outputs.append(run())
    torch.testing.assert_close(outputs[0], outputs[1], atol=1e-12, rtol=0)  # the same draws, at the same place
    assert not torch.isclose(attention(x), attention(x)).all()
    attention.eval()
    assert torch.equal(attention(x), attention(x))
    assert not torch.isclose(outputs[0], attention(x)).all()


@pytest.mark.parametrize("mask", [None, padding_mask([0, 3], max_length=QUERIES)], ids=["none", "padding"])
@pytest.mark.parametrize("dtype, bound", [(torch.bfloat16, 2e-2), (torch.float16, 2e-3)])
def test_half_precision(dtype, bound, mask):
    attention, x = layer(torch.float32), random(BATCH, QUERIES, D_MODEL, dtype=torch.float32)
    exact = attention(x, mask=mask)
    half = layer(dtype)
    output, weights = half(x.to(dtype), mask=mask, return_weights=True)
    for made in (half(x.to(dtype), mask=mask), output):
        assert made.dtype == weights.dtype == dtype
        torch.testing.assert_close(made.float(), exact, atol=bound, rtol=0)
    half(x.to(dtype), mask=mask).sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in half.parameters())
    with torch.autocast("cpu", dtype):
        for made in (attention(x, mask=mask), attention(x, mask=mask, return_weights=True)[0]):
            assert made.dtype == dtype
            torch.testing.assert_close(made.float(), exact, atol=bound, rtol=0)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("return_weights", [False, True])
def test_fully_masked_rows_on_a_gpu(dtype, return_weights):
    query, key, value = (tensor.to("cuda", dtype).requires_grad_() for tensor in heads())
    mask = padding_mask(torch.tensor([0, 3], device="cuda"), max_length=KEYS).unsqueeze(1)
    context = scaled_dot_product_attention(query, key, value, mask, return_weights=return_weights)
    context = context[0] if return_weights else context
    context.sum().backward()
    assert not context[0].any() and context[1].isfinite().all()
    assert all(tensor.grad.isfinite().all() and not tensor.grad[0].any() for tensor in (query, key, value))


@pytest.mark.parametrize("return_weights", [False, True])
def test_no_rows_and_no_keys(return_weights):
    attention = layer()
    for batch, queries, keys in ((0, QUERIES, KEYS), (BATCH, 0, KEYS), (BATCH, QUERIES, 0)):
        x, memory = random(batch, queries, D_MODEL), random(batch, keys, D_MODEL)
        for mask in (None, torch.ones(batch, queries, keys, dtype=torch.bool)):
            output = attention(x, memory, mask=mask, return_weights=return_weights)
            output, weights = output if return_weights else (output, random(batch, HEADS, queries, keys))
            assert output.shape == x.shape and weights.shape == (batch, HEADS, queries, keys)
            # without keys the context is zero, and the bias of the last projection is what is left
            assert keys or torch.equal(output, attention.output_projection.bias.expand(batch, queries, -1))


@pytest.mark.parametrize("mask", [
    torch.ones(5, 5, dtype=torch.uint8), torch.ones(5, 5, dtype=torch.int32), torch.ones(2, 5, 5, dtype=torch.int64),
    torch.ones(2, 3, 5, 5, dtype=torch.float16), torch.ones(5, 5, dtype=torch.bfloat16), torch.ones(1, 5).double(),
    torch.nn.Transformer.generate_square_subsequent_mask(5)], ids=lambda mask: str(mask.dtype))
def test_masks_of_every_other_dtype_are_refused(mask):
    for call in (lambda: layer()(random(2, 5, 12), mask=mask),
                 lambda: scaled_dot_product_attention(*[random(2, 3, 5, 4)] * 3, mask)):
        with pytest.raises(ValueError) as error:
            call()
        assert str(error.value) == f"mask has dtype {mask.dtype}, expected torch.bool (True = may attend)"


def zeros(*shape):
    return torch.zeros(*shape)


def ones(*shape):
    return torch.ones(*shape, dtype=torch.bool)


@pytest.mark.parametrize("call, message", [
    (lambda a: MultiHeadAttention(10, 3), "d_model is 10, expected a multiple of n_heads, which is 3"),
    (lambda a: MultiHeadAttention(0, 1), "d_model is 0, expected a whole number of at least 1"),
    (lambda a: MultiHeadAttention(4, 0), "n_heads is 0, expected a whole number of at least 1"),
    (lambda a: MultiHeadAttention(4, 2.0), "n_heads is 2.0, expected a whole number"),
    (lambda a: MultiHeadAttention(4, 2, dropout=1.5), "dropout probability"),
    (lambda a: a(zeros(2, 5, 8)), "query has d_model 8, expected 12"),
    (lambda a: a(zeros(5, 12)), r"query has shape \(5, 12\), expected the 3 axes \(batch, queries, d_model\)"),
    (lambda a: a(zeros(2, 5, 12), zeros(3, 7, 12)), "key has batch 3, query has 2"),
    (lambda a: a(zeros(2, 5, 12), zeros(2, 7, 4)), "key has d_model 4, expected 12"),
    (lambda a: a(zeros(2, 5, 12), zeros(2, 7, 12), zeros(2, 6, 12)), "value has keys 6, key has 7"),
    (lambda a: a(zeros(2, 5, 12), zeros(2, 7, 12), zeros(1, 7, 12)), "value has batch 1, query has 2"),
    (lambda a: a(zeros(2, 5, 12), mask=zeros(5, 5)), "mask has dtype torch.float32, expected torch.bool"),
    (lambda a: a(zeros(2, 5, 12), mask=ones(5, 5).long()), "mask has dtype torch.int64, expected torch.bool"),
    (lambda a: a(zeros(2, 5, 12), mask=np.ones((2, 5, 5), bool)), "mask has dtype bool, expected torch.bool"),
    (lambda a: a(zeros(2, 5, 12), zeros(2, 7, 12), mask=ones(5, 6)), "mask has keys 6, key has 7"),
    (lambda a: a(zeros(2, 5, 12), zeros(2, 7, 12), mask=ones(5, 1)), "mask has keys 1, key has 7"),
    (lambda a: a(zeros(2, 5, 12), mask=ones(2, 5)), "mask has queries 2, query has 5"),
    (lambda a: a(zeros(2, 5, 12), mask=ones(3, 5, 5)), "mask has batch 3, query has 2"),
    (lambda a: a(zeros(2, 5, 12), mask=ones(2, 4, 5)), "mask has queries 4, query has 5"),
    (lambda a: a(zeros(2, 5, 12), mask=ones(2, 2, 5, 5)), "mask has heads 2, query has 3"),
    (lambda a: a(zeros(2, 5, 12), mask=ones(5)), r"mask has shape \(5,\), expected the 4 axes \(batch, heads, queries"),
    (lambda a: a(zeros(2, 5, 12), mask=ones(1, 2, 3, 5, 5)), r"mask has shape \(1, 2, 3, 5, 5\), expected the 4 axes"),
    (lambda a: scaled_dot_product_attention(*[zeros(4)] * 3), r"query has shape \(4,\), expected the 4 axes"),
    (lambda a: scaled_dot_product_attention(*[zeros(1, 2, 3, 5, 4)] * 3), r"query has shape \(1, 2, 3, 5, 4\)"),
    (lambda a: scaled_dot_product_attention(zeros(5, 4), zeros(7, 3), zeros(7, 4)), "key has d_head 3, query has 4"),
    (lambda a: scaled_dot_product_attention(zeros(5, 4), zeros(7, 4), zeros(6, 4)), "value has keys 6, key has 7"),
    (lambda a: scaled_dot_product_attention(zeros(5, 4), zeros(2, 7, 4), zeros(7, 4)), r"key has shape \(2, 7, 4\)"),
    (lambda a: scaled_dot_product_attention(zeros(5, 4), zeros(4), zeros(7, 4)), r"key has shape \(4,\)"),
    (lambda a: scaled_dot_product_attention(*[zeros(5, 4)] * 3, ones(1, 5, 5)), r"mask has shape \(1, 5, 5\)"),
    (lambda a: scaled_dot_product_attention(*[zeros(5, 4)] * 3, dropout=-1), "dropout is -1, expected a probability"),
    (lambda a: causal_mask(-1), "length is -1, expected a whole number of at least 0"),
    (lambda a: causal_mask(2.5), "length is 2.5, expected a whole number"),
    (lambda a: padding_mask([3, 8], max_length=7), "lengths has 3 to 8, expected 0 to 7"),
    (lambda a: padding_mask([-1, 2]), "lengths has -1 to 2, expected 0 to 2"),
    (lambda a: padding_mask([[1, 2]]), r"lengths has shape \(1, 2\), expected the"),
    (lambda a: padding_mask([1.5]), "lengths is tensor.*, expected whole numbers"),
    (lambda a: padding_mask(ones(3)), "lengths is tensor.*, expected whole numbers"),
    (lambda a: padding_mask([]), "lengths is tensor.*, expected whole numbers"),
])
def test_wrong_input_names_the_axis(call, message):
    with pytest.raises(ValueError, match=message):
        call(layer(torch.float32))
