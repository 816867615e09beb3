"""The encoder against NumPy by hand and against nn.TransformerEncoderLayer and nn.TransformerEncoder."""

import numpy as np
import pytest
import torch
from torch import nn

from coursekit import reference
from coursekit.torch import Encoder, EncoderLayer, FeedForward, causal_mask, padding_mask

BATCH, LENGTH, D_MODEL, HEADS, D_FF = 2, 5, 12, 3, 7
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}
DTYPES = pytest.mark.parametrize("dtype", TOLERANCE)
NORM_FIRST = pytest.mark.parametrize("norm_first", [False, True], ids=["post-norm", "pre-norm"])
ACTIVATION = pytest.mark.parametrize("activation", ["relu", "gelu"])
MASKS = {"none": None, "padding": padding_mask([3, 5]), "causal": causal_mask(LENGTH),
         "both": padding_mask([3, 5]) & causal_mask(LENGTH)}


def random(*shape, dtype=torch.float64, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def away_from_start(module, dtype=torch.float64):
    """Norms that scale and shift, biases that are not zero."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return module.to(dtype)


def torch_names(state):
    """The weights of our layer by the names of nn.TransformerEncoderLayer."""
    names = {"attention.output_projection": "self_attn.out_proj", "attention_norm": "norm1",
             "feed_forward.expand": "linear1", "feed_forward.contract": "linear2", "feed_forward_norm": "norm2"}
    theirs = {f"{names[layer]}.{kind}": state[f"{layer}.{kind}"] for layer in names for kind in ("weight", "bias")}
    for kind in ("weight", "bias"):
        projections = [state[f"attention.{name}_projection.{kind}"] for name in ("query", "key", "value")]
        theirs[f"self_attn.in_proj_{kind}"] = torch.cat(projections)
    return theirs


def of_torch(ours, dtype=torch.float64, **settings):
    theirs = nn.TransformerEncoderLayer(D_MODEL, HEADS, D_FF, batch_first=True, dtype=dtype,
                                        **({"dropout": 0.0} | settings))
    theirs.load_state_dict(torch_names(ours.state_dict()))
    return theirs


def their_masks(mask):
    """A mask of ours as nn.TransformerEncoder's `mask`, True = forbidden, (batch · heads, length, length)."""
    return None if mask is None else ~mask.expand(BATCH, LENGTH, LENGTH).repeat_interleave(HEADS, 0)


@DTYPES
@NORM_FIRST
@ACTIVATION
@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_layer_equals_numpy_and_torch_with_gradients(dtype, norm_first, activation, mask):
    settings = dict(activation=activation, norm_first=norm_first)
    ours = away_from_start(EncoderLayer(D_MODEL, HEADS, D_FF, norm_epsilon=1e-3, **settings), dtype)
    theirs = of_torch(ours, dtype, layer_norm_eps=1e-3, **settings)
    x, tolerance = random(BATCH, LENGTH, D_MODEL, dtype=dtype).requires_grad_(), TOLERANCE[dtype]
    same = x.detach().clone().requires_grad_()
    output, expected = ours(x, mask), theirs(same, src_mask=their_masks(mask))
    by_hand = reference.encoder_layer(
        x.detach().numpy(), {name: tensor.numpy() for name, tensor in ours.state_dict().items()}, HEADS,
        None if mask is None else mask.numpy()[..., None, :, :] if mask.dim() == 3 else mask.numpy(),
        activation=getattr(reference, activation), norm_first=norm_first, epsilon=1e-3)
    np.testing.assert_allclose(output.detach(), by_hand, atol=tolerance, rtol=0)
    torch.testing.assert_close(output, expected, atol=tolerance, rtol=0)
    readable, weights = ours(x, mask, return_weights=True)
    torch.testing.assert_close(readable, output, atol=tolerance, rtol=0)
    assert weights.shape == (BATCH, HEADS, LENGTH, LENGTH)
    for made in (output, expected):
        made.square().sum().backward()
    torch.testing.assert_close(x.grad, same.grad, atol=10 * tolerance, rtol=tolerance)
    gradients = torch_names({name: parameter.grad for name, parameter in ours.named_parameters()})
    for name, parameter in theirs.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad, atol=10 * tolerance, rtol=tolerance, msg=name)


@NORM_FIRST
@pytest.mark.parametrize("batch, length", [(1, 1), (1, 7), (4, 1)])
def test_layer_equals_torch_on_small_batches(norm_first, batch, length):
    ours = away_from_start(EncoderLayer(D_MODEL, HEADS, D_FF, norm_first=norm_first))
    x = random(batch, length, D_MODEL)
    torch.testing.assert_close(ours(x), of_torch(ours, norm_first=norm_first)(x), atol=1e-12, rtol=0)


@NORM_FIRST
def test_dropout_falls_where_torchs_does(norm_first):
    """The same draws at the same places: attention weights, units inside the feed-forward network, both outputs."""
    ours = away_from_start(EncoderLayer(D_MODEL, HEADS, D_FF, dropout=0.3, norm_first=norm_first))
    # One row: with more, torch's attention returns them in another order of memory, in which the draws are made.
    theirs, x, outputs = of_torch(ours, dropout=0.3, norm_first=norm_first), random(1, LENGTH, D_MODEL), []
    for layer in (ours, theirs):
        torch.manual_seed(4)
        outputs.append(layer(x))
    torch.testing.assert_close(*outputs, atol=1e-12, rtol=0)
    assert not torch.isclose(ours(x), outputs[0]).all()
    torch.testing.assert_close(ours.eval()(x), of_torch(ours, norm_first=norm_first)(x), atol=1e-12, rtol=0)


@DTYPES
@NORM_FIRST
@ACTIVATION
def test_stack_equals_torch(dtype, norm_first, activation):
    settings = dict(activation=activation, norm_first=norm_first)
    ours = away_from_start(Encoder(3, D_MODEL, HEADS, D_FF, norm_epsilon=1e-6, **settings), dtype)
    theirs = nn.TransformerEncoder(of_torch(ours.layers[0], dtype, layer_norm_eps=1e-6, **settings), 3,
                                   norm=nn.LayerNorm(D_MODEL, eps=1e-6, dtype=dtype) if norm_first else None,
                                   enable_nested_tensor=False)
    for mine, its in zip(ours.layers, theirs.layers):
        its.load_state_dict(torch_names(mine.state_dict()))
    if norm_first:
        theirs.norm.load_state_dict(ours.final_norm.state_dict())
    x, mask = random(BATCH, LENGTH, D_MODEL, dtype=dtype), padding_mask([3, 5])
    output, weights = ours(x, mask, return_weights=True)
    expected = theirs(x, src_key_padding_mask=~mask[:, 0])
    for made in (output, ours(x, mask)):
        torch.testing.assert_close(made, expected, atol=TOLERANCE[dtype], rtol=0)
    assert [layer.shape for layer in weights] == [(BATCH, HEADS, LENGTH, LENGTH)] * 3
    first = ours.layers[0](x, mask, return_weights=True)
    torch.testing.assert_close(weights[0], first[1], atol=0, rtol=0)
    torch.testing.assert_close(weights[1], ours.layers[1](first[0], mask, return_weights=True)[1], atol=0, rtol=0)


@DTYPES
@ACTIVATION
def test_feed_forward_equals_numpy(dtype, activation):
    network = away_from_start(FeedForward(D_MODEL, D_FF, activation), dtype)
    x = random(BATCH, LENGTH, D_MODEL, dtype=dtype)
    parameters = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    expected = reference.feed_forward(x.numpy(), parameters, getattr(reference, activation))
    np.testing.assert_allclose(network(x).detach(), expected, atol=TOLERANCE[dtype], rtol=0)


def test_feed_forward_drops_units_between_its_layers():
    network, x, outputs = FeedForward(D_MODEL, D_FF, dropout=0.5).double(), random(BATCH, LENGTH, D_MODEL), []
    torch.manual_seed(4)
    outputs.append(network(x))
    torch.manual_seed(4)
    outputs.append(network.contract(nn.functional.dropout(network.expand(x).relu(), 0.5)))
    torch.testing.assert_close(*outputs)
    torch.testing.assert_close(network.eval()(x), network.contract(network.expand(x).relu()))


@NORM_FIRST
def test_non_contiguous_input_is_left_as_it_was(norm_first):
    ours = away_from_start(EncoderLayer(D_MODEL, HEADS, D_FF, norm_first=norm_first))
    x = random(D_MODEL, LENGTH, BATCH).permute(2, 1, 0)
    before = x.clone()
    torch.testing.assert_close(ours(x), ours(x.contiguous()), atol=1e-12, rtol=0)
    assert torch.equal(x, before)


@NORM_FIRST
def test_fully_padded_rows_stay_finite(norm_first):
    ours = away_from_start(Encoder(2, D_MODEL, HEADS, D_FF, norm_first=norm_first))
    x, mask = random(BATCH, LENGTH, D_MODEL), padding_mask([0, 4], max_length=LENGTH)
    ours(x, mask).square().sum().backward()
    assert ours(x, mask).isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in ours.parameters())
    torch.testing.assert_close(ours(x, mask)[1, :4], ours(x[1:, :4])[0], atol=1e-12, rtol=0)


@NORM_FIRST
@pytest.mark.parametrize("batch, length", [(0, 5), (2, 0)])
def test_nothing_in_and_nothing_out(norm_first, batch, length):
    stack = Encoder(2, D_MODEL, HEADS, D_FF, norm_first=norm_first)
    output, weights = stack(torch.zeros(batch, length, D_MODEL), return_weights=True)
    assert output.shape == stack(torch.zeros(batch, length, D_MODEL)).shape == (batch, length, D_MODEL)
    assert weights[1].shape == (batch, HEADS, length, length)


@NORM_FIRST
def test_half_precision(norm_first):
    exact = away_from_start(Encoder(2, D_MODEL, HEADS, D_FF, norm_first=norm_first), torch.float32)
    x, mask = random(BATCH, LENGTH, D_MODEL, dtype=torch.float32), padding_mask([3, 5])
    expected = exact(x, mask)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(exact(x, mask).float(), expected, atol=0.1, rtol=0)
    output = exact.bfloat16()(x.bfloat16(), mask)
    assert output.dtype == torch.bfloat16
    torch.testing.assert_close(output.float(), expected, atol=0.1, rtol=0)


@pytest.mark.parametrize("call, message", [
    (lambda: EncoderLayer(10, 3, 7), "d_model is 10, expected a multiple of n_heads, which is 3"),
    (lambda: EncoderLayer(12, 3, 0), "d_ff is 0, expected a whole number of at least 1"),
    (lambda: EncoderLayer(12, 3, 7, activation="tanh"), "unknown activation 'tanh', expected one of 'relu', 'gelu'"),
    (lambda: EncoderLayer(12, 3, 7, dropout=2), "dropout probability"),
    (lambda: EncoderLayer(12, 3, 7)(torch.zeros(2, 5, 8)), "x has d_model 8, expected 12"),
    (lambda: EncoderLayer(12, 3, 7, norm_first=True)(torch.zeros(2, 5, 8)), "x has d_model 8, expected 12"),
    (lambda: EncoderLayer(12, 3, 7)(torch.zeros(2, 5, 12), padding_mask([4, 6])), "mask has keys 6, key has 5"),
    (lambda: Encoder(0, 12, 3, 7), "n_layers is 0, expected a whole number of at least 1"),
    (lambda: Encoder(2, 12, 5, 7), "d_model is 12, expected a multiple of n_heads, which is 5"),
    (lambda: Encoder(2, 12, 3, 7)(torch.zeros(2, 5, 12), torch.ones(5, 5)), "mask has dtype torch.float32, expected"),
    (lambda: Encoder(2, 12, 3, 7)(torch.zeros(2, 5, 12), torch.ones(2, 5, dtype=torch.bool)), "mask has queries 2, "),
    (lambda: FeedForward(12, 7)(torch.zeros(2, 5, 8)), "x has d_model 8, expected 12"),
    (lambda: FeedForward(0, 7), "d_model is 0, expected a whole number of at least 1"),
])
def test_wrong_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
