"""The switch that reports NaN and infinity: which layer, which argument, where."""

import pytest
import torch
from torch import nn

from coursekit.torch import Encoder, LuongAttention, MultiHeadAttention, report_nan

BATCH, LENGTH, D_MODEL, HEADS, D_FF = 2, 5, 12, 3, 7


def x(number=None):
    made = torch.randn((BATCH, LENGTH, D_MODEL), generator=torch.Generator().manual_seed(0))
    if number is not None:
        made[1, 3, 0] = number
    return made


def broken():
    """An encoder in whose second layer's feed-forward network one unit overflows."""
    model = Encoder(2, D_MODEL, HEADS, D_FF)
    with torch.no_grad():
        model.layers[1].feed_forward.contract.bias[4] = torch.inf
    return model


@pytest.mark.parametrize("number", ["nan", "inf", "-inf"])
@pytest.mark.parametrize("argument", ["query", "key", "value"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_every_argument_by_place_and_by_name(number, argument, dtype):
    layer = MultiHeadAttention(D_MODEL, HEADS).to(dtype)
    inputs = dict.fromkeys(("query", "key", "value"), x().to(dtype))
    inputs[argument] = x(float(number)).to(dtype)
    message = f"MultiHeadAttention: {argument} is {number} at batch 1, position 3, unit 0, the first of 1 out of 120 "
    for call in (lambda: layer(*inputs.values()), lambda: layer(**inputs)):
        with report_nan(layer), pytest.raises(ValueError, match=message):
            call()
    assert layer(**inputs).shape == (BATCH, LENGTH, D_MODEL)  # not reported by default


def test_the_layer_that_made_it_comes_just_before_the_one_named():
    model = broken()
    assert model(x()).isnan().all()
    with report_nan(model), pytest.raises(ValueError) as error:
        model(x())
    assert str(error.value) == ("layers.1.dropout (Dropout): input is inf at batch 0, position 0, unit 4, "
                                "the first of 10 out of 120 numbers")


def test_finite_numbers_and_forbidden_places_pass_unchanged():
    model, theirs = Encoder(2, D_MODEL, HEADS, D_FF).double(), nn.TransformerEncoderLayer(D_MODEL, HEADS, D_FF)
    inputs, mask = 1e100 * x().double(), torch.ones(LENGTH, LENGTH, dtype=torch.bool).tril()
    expected = model(inputs, mask)
    added = nn.Transformer.generate_square_subsequent_mask(LENGTH)
    assert added.isinf().any()
    with report_nan(model), report_nan(theirs):
        assert torch.equal(model(inputs, mask), expected)
        theirs(x().transpose(0, 1), src_mask=added)


def test_states_in_a_tuple_and_axes_without_a_length():
    lstm, luong = nn.LSTM(D_MODEL, 4, batch_first=True), LuongAttention(D_MODEL)
    state = torch.zeros(1, BATCH, 4)
    with report_nan(lstm), pytest.raises(ValueError, match="LSTM: hx is inf"):
        lstm(x(), (state, state + torch.inf))
    with report_nan(luong), pytest.raises(ValueError, match="LuongAttention: query is nan at batch 0, unit 0"):
        luong(torch.full((BATCH, D_MODEL), torch.nan), x())


def test_what_is_compiled_is_looked_at_as_well():
    model = broken()
    compiled = torch.compile(model, backend="eager")
    compiled(x())
    for given in (model, compiled):
        with report_nan(given), pytest.raises(ValueError, match=r"layers.1.dropout \(Dropout\): input is inf"):
            compiled(x())
    assert compiled(x()).isnan().all()


def test_nothing_of_it_is_left():
    model = broken()
    with pytest.raises(ZeroDivisionError), report_nan(model):
        raise ZeroDivisionError
    assert not any(layer._forward_pre_hooks for layer in model.modules())
    assert model(x(float("nan"))).isnan().all()
