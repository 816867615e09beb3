"""The score layers against the fused kernel of PyTorch and against NumPy by hand."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from coursekit import reference
from coursekit.torch import BahdanauAttention, LuongAttention

BATCH, LENGTH, UNITS = 2, 5, 3
SCORES = ("dot", "general", "concat", "additive")


def layer(name, dtype=torch.float64):
    torch.manual_seed(1)
    made = BahdanauAttention(UNITS) if name == "additive" else LuongAttention(UNITS, name)
    return made.to(dtype)


def tensors(dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    query = torch.randn(BATCH, UNITS, generator=generator, dtype=torch.float64)
    values = torch.randn(BATCH, LENGTH, UNITS, generator=generator, dtype=torch.float64)
    return query.to(dtype), values.to(dtype)


def by_hand(name, attention, query, values):
    """The scores in NumPy, from the layer's own weights."""
    weight = {key: value.detach().numpy() for key, value in attention.state_dict().items()}
    query, values = query.numpy(), values.numpy()
    if name == "dot":
        return reference.dot_score(query, values)
    if name == "general":
        return reference.general_score(query, values, weight["W.weight"])
    if name == "concat":
        return reference.concat_score(query, values, weight["W.weight"], weight["v.weight"][0])
    return reference.additive_score(query, values, weight["query_layer.weight"], weight["values_layer.weight"],
                                    weight["v.weight"][0], weight["query_layer.bias"])


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-6), (torch.float64, 1e-12)])
def test_equals_numpy_by_hand(name, dtype, tolerance):
    attention, (query, values) = layer(name, dtype), tensors(dtype)
    mask = torch.tensor([[True] * 5, [True, False, True, True, False]])
    context, weights = attention(query, values, mask, return_weights=True)
    expected = reference.softmax(by_hand(name, attention, query, values), mask=mask.numpy())
    np.testing.assert_allclose(weights.detach(), expected, atol=tolerance)
    np.testing.assert_allclose(context.detach(), reference.context(expected, values.numpy()), atol=tolerance)
    assert context.dtype == weights.dtype == dtype


@pytest.mark.parametrize("name", ["dot", "general"])
@pytest.mark.parametrize("mask", [None, torch.tensor([[True] * 4 + [False], [False, True, True, False, True]])])
def test_multiplicative_scores_equal_the_fused_kernel_without_its_scale(name, mask):
    attention, (query, values) = layer(name), tensors()
    keys = values @ attention.W.weight.T if name == "general" else values
    fused = F.scaled_dot_product_attention(query.unsqueeze(1), keys, values, scale=1.0,
                                           attn_mask=None if mask is None else mask.unsqueeze(1)).squeeze(1)
    torch.testing.assert_close(attention(query, values, mask), fused, atol=1e-12, rtol=0)


def test_concat_is_additive_without_bias():
    concat, additive, (query, values) = layer("concat"), layer("additive"), tensors()
    with torch.no_grad():
        additive.query_layer.weight.copy_(concat.W.weight[:, :UNITS])
        additive.values_layer.weight.copy_(concat.W.weight[:, UNITS:])
        additive.query_layer.bias.zero_()
        additive.v.weight.copy_(concat.v.weight)
    torch.testing.assert_close(concat(query, values), additive(query, values), atol=1e-12, rtol=0)


@pytest.mark.parametrize("name", SCORES)
def test_asking_for_weights_changes_nothing(name):
    attention, (query, values) = layer(name), tensors()
    context, weights = attention(query, values, return_weights=True)
    assert torch.equal(context, attention(query, values))
    assert weights.shape == (BATCH, LENGTH)
    torch.testing.assert_close(weights.sum(-1), torch.ones(BATCH, dtype=torch.float64))


@pytest.mark.parametrize("name", SCORES)
def test_masked_values_have_no_influence(name):
    attention, (query, values) = layer(name), tensors()
    mask = torch.tensor([[True, True, False, True, True], [True, True, True, True, False]])
    others = torch.where(mask.unsqueeze(-1), values, torch.full_like(values, 7.0))
    assert torch.equal(attention(query, values, mask), attention(query, others, mask))


@pytest.mark.parametrize("name", SCORES)
def test_fully_masked_row_is_zero_and_its_gradient_finite(name):
    attention, (query, values) = layer(name), tensors()
    values.requires_grad_()
    mask = torch.tensor([[False] * 5, [True] * 5])
    context, weights = attention(query, values, mask, return_weights=True)
    context.sum().backward()
    assert torch.equal(context[0], torch.zeros(UNITS, dtype=torch.float64)) and not weights[0].any()
    assert torch.equal(values.grad[0], torch.zeros(LENGTH, UNITS, dtype=torch.float64))
    assert values.grad[1].abs().sum() > 0
    assert all(parameter.grad.isfinite().all() for parameter in attention.parameters())


@pytest.mark.parametrize("name", SCORES)
def test_inputs_stay_as_they_were(name):
    attention, (query, values), mask = layer(name), tensors(), torch.tensor([[True] * 4 + [False]] * 2)
    before = query.clone(), values.clone(), mask.clone()
    attention(query, values, mask)
    assert all(torch.equal(a, b) for a, b in zip(before, (query, values, mask)))


def zeros(*shape):
    return torch.zeros(*shape)


@pytest.mark.parametrize("call, message", [
    (lambda a: a(zeros(4, 3), zeros(2, 5, 3)), "query has batch 4, values have 2"),
    (lambda a: a(zeros(2, 6), zeros(2, 5, 3)), "query has units 6, expected 3"),
    (lambda a: a(zeros(2, 3), zeros(2, 5, 4)), "values has units 4, expected 3"),
    (lambda a: a(zeros(2, 3), zeros(2, 3)), r"values has shape \(2, 3\), expected the 3 axes \(batch, length, units\)"),
    (lambda a: a(zeros(2, 1, 3), zeros(2, 5, 3)), r"query has shape \(2, 1, 3\), expected the 2 axes"),
    (lambda a: a(zeros(2, 3), zeros(2, 5, 3), zeros(2, 7).bool()), "mask has length 7, values have 5"),
    (lambda a: a(zeros(2, 3), zeros(2, 5, 3), zeros(1, 5).bool()), "mask has batch 1, values have 2"),
    (lambda a: a(zeros(2, 3), zeros(2, 5, 3), zeros(2, 5)), "mask has dtype torch.float32, expected torch.bool"),
    (lambda a: a(zeros(2, 3).int(), zeros(2, 5, 3)), "query has dtype torch.int32, expected a floating-point type"),
    (lambda a: a(zeros(2, 3).double(), zeros(2, 5, 3)), "query has dtype torch.float64, values have torch.float32"),
    (lambda a: LuongAttention(3, "additive"), "unknown score 'additive', expected one of 'dot', 'general', 'concat'"),
    (lambda a: LuongAttention(0), "units is 0, expected a whole number of at least 1"),
    (lambda a: BahdanauAttention(2.5), "units is 2.5"),
])
def test_wrong_input_names_the_axis(call, message):
    with pytest.raises(ValueError, match=message):
        call(LuongAttention(3))
