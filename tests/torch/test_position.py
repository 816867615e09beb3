"""Positions against numbers worked out by hand and against NumPy."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from coursekit import reference
from coursekit.torch import LearnedPositions, PositionalEncoding, rotary, sinusoidal_positions

BATCH, HEADS, LENGTH, D_HEAD, MAX_LENGTH = 2, 3, 5, 4, 7


def random(*shape, dtype=torch.float64, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def test_five_words_in_four_dimensions_by_hand():
    expected = [[math.sin(p), math.cos(p), math.sin(p / 100), math.cos(p / 100)] for p in range(5)]
    torch.testing.assert_close(sinusoidal_positions(5, 4), torch.tensor(expected), atol=1e-7, rtol=0)
    assert sinusoidal_positions(5, 4)[0].tolist() == [0, 1, 0, 1]


def test_slowest_wave_and_far_positions_are_exact():
    far = sinusoidal_positions(5001, 6)[5000]
    angle = 5000 / 10000 ** (4 / 6)
    torch.testing.assert_close(far[4:], torch.tensor([math.sin(angle), math.cos(angle)]), atol=1e-7, rtol=0)
    torch.testing.assert_close(far[:2], torch.tensor([math.sin(5000.0), math.cos(5000.0)]), atol=1e-7, rtol=0)


@pytest.mark.parametrize("length, d_model", [(50, 128), (1, 2), (0, 6), (3, 0)])
def test_equals_numpy(length, d_model):
    made = sinusoidal_positions(length, d_model)
    assert made.dtype == torch.float32
    np.testing.assert_allclose(made, reference.sinusoidal_positions(length, d_model), atol=1e-7, rtol=0)


def test_computed_once_and_a_caller_cannot_change_it(monkeypatch):
    first = sinusoidal_positions(31, 8)
    kept = first.clone()
    monkeypatch.setattr(torch.Tensor, "sin", None)  # a second computation would fail
    first.zero_()
    again = sinusoidal_positions(31, 8)
    assert torch.equal(again, kept)
    again += 1
    assert torch.equal(sinusoidal_positions(31, 8), kept)
    for other in (dict(length=32, d_model=8), dict(length=31, d_model=6), dict(length=31, d_model=8, device="meta")):
        with pytest.raises(TypeError, match="not callable"):  # each length, width and device has a table of its own
            sinusoidal_positions(**other)


def test_a_table_first_asked_for_in_inference_mode_serves_training():
    with torch.inference_mode():
        sinusoidal_positions(29, 6)
        rotary(torch.ones(1, 1, 29, 6))
    weight = torch.ones(6, requires_grad=True)
    (sinusoidal_positions(29, 6) * weight + rotary(weight.expand(1, 1, 29, 6))).sum().backward()
    assert weight.grad.isfinite().all()


def test_device_is_the_callers():
    assert sinusoidal_positions(3, 4, device="meta").device.type == "meta"
    assert sinusoidal_positions(3, 4).device.type == "cpu"
    with torch.device("meta"):
        assert sinusoidal_positions(3, 4).device.type == "meta"


@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-6), (torch.float64, 1e-7), (torch.bfloat16, 2e-2)])
def test_encoding_is_added(dtype, tolerance):
    x = random(BATCH, LENGTH, D_HEAD, dtype=dtype)
    encoding = PositionalEncoding(D_HEAD, MAX_LENGTH)
    output = encoding(x)
    assert output.dtype == dtype and not encoding.state_dict()
    expected = x.double().numpy() + reference.sinusoidal_positions(LENGTH, D_HEAD)
    np.testing.assert_allclose(output.double(), expected, atol=tolerance, rtol=0)
    assert torch.equal(x, random(BATCH, LENGTH, D_HEAD, dtype=dtype))


def test_dropout_follows_the_sum_in_training_only():
    encoding, x = PositionalEncoding(D_HEAD, MAX_LENGTH, dropout=0.4), random(20, LENGTH, D_HEAD)
    total, output = x + sinusoidal_positions(LENGTH, D_HEAD), encoding(x)
    dropped = output == 0
    assert 0.3 < dropped.double().mean() < 0.5
    torch.testing.assert_close(output[~dropped], total[~dropped] / 0.6)
    torch.testing.assert_close(encoding.eval()(x), total)


def test_learned_positions_equal_an_embedding_of_the_index():
    learned, x = LearnedPositions(MAX_LENGTH, D_HEAD).double(), random(BATCH, LENGTH, D_HEAD)
    embedding = nn.Embedding.from_pretrained(learned.table.detach().clone(), freeze=False)
    torch.testing.assert_close(learned(x), x + embedding(torch.arange(LENGTH)))
    learned(x).square().sum().backward()
    (x + embedding(torch.arange(LENGTH))).square().sum().backward()
    torch.testing.assert_close(learned.table.grad, embedding.weight.grad)
    assert not learned.table.grad[LENGTH:].any()
    torch.manual_seed(0)
    assert LearnedPositions(100, 50).table.std().item() == pytest.approx(0.02, rel=0.05)


@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-6), (torch.float64, 1e-12)])
@pytest.mark.parametrize("positions", [None, [3, 0, 8, 1000, 2]])
def test_rotary_equals_numpy(dtype, tolerance, positions):
    x = random(BATCH, HEADS, LENGTH, D_HEAD, dtype=dtype)
    turned = rotary(x, None if positions is None else torch.tensor(positions))
    expected = reference.rotary(x.double().numpy(), range(LENGTH) if positions is None else positions)
    assert turned.dtype == dtype
    np.testing.assert_allclose(turned.double(), expected, atol=tolerance, rtol=0)
    assert torch.equal(x, random(BATCH, HEADS, LENGTH, D_HEAD, dtype=dtype))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_rotary_in_half_precision_is_rounded_once(dtype):
    x = random(BATCH, HEADS, LENGTH, D_HEAD, dtype=dtype)
    turned = rotary(x)
    assert turned.dtype == dtype
    assert torch.equal(turned, torch.from_numpy(reference.rotary(x.double().numpy(), range(LENGTH))).to(dtype))


def test_rotary_by_hand():
    # position 2: the first pair turns by 2, the second by 2 / 100
    turned = rotary(torch.tensor([1.0, 0, 0, 1]).expand(1, 1, 3, 4))[0, 0, 2]
    expected = torch.tensor([math.cos(2), math.sin(2), -math.sin(0.02), math.cos(0.02)])
    torch.testing.assert_close(turned, expected, atol=1e-7, rtol=0)


def test_rotary_keeps_lengths_and_depends_on_distance_alone():
    query, key = random(1, 1, 1, D_HEAD), random(1, 1, 1, D_HEAD, seed=1)

    def score(query_position, key_position):
        return (rotary(query, torch.tensor([query_position])) * rotary(key, torch.tensor([key_position]))).sum()

    torch.testing.assert_close(rotary(query, torch.tensor([9])).norm(), query.norm())
    torch.testing.assert_close(score(5, 2), score(105, 102))
    assert not torch.isclose(score(5, 2), score(5, 3))


def test_rotary_of_non_contiguous_units_and_its_gradient():
    x = random(LENGTH, BATCH, D_HEAD, HEADS).permute(1, 3, 0, 2)
    torch.testing.assert_close(rotary(x), rotary(x.contiguous()))
    assert torch.autograd.gradcheck(rotary, x.clone().requires_grad_())


@pytest.mark.parametrize("call, message", [
    (lambda: sinusoidal_positions(-1, 4), "length is -1, expected a whole number of at least 0"),
    (lambda: sinusoidal_positions(3, 5), "d_model is 5, expected an even number"),
    (lambda: sinusoidal_positions(3, -2), "d_model is -2"),
    (lambda: PositionalEncoding(5, 9), "d_model is 5, expected an even number"),
    (lambda: PositionalEncoding(4, 7)(torch.zeros(2, 8, 4)), "x has length 8, expected at most max_length, which is 7"),
    (lambda: PositionalEncoding(4, 7)(torch.zeros(2, 5, 6)), "x has d_model 6, expected 4"),
    (lambda: PositionalEncoding(4, 7)(torch.zeros(5, 4)), r"x has shape \(5, 4\), expected the 3 axes \(batch, length"),
    (lambda: LearnedPositions(7, 4)(torch.zeros(2, 8, 4)), "x has length 8, expected at most max_length, which is 7"),
    (lambda: LearnedPositions(7, 4)(torch.zeros(2, 5, 1)), "x has d_model 1, expected 4"),
    (lambda: LearnedPositions(0, 4), "max_length is 0, expected a whole number of at least 1"),
    (lambda: rotary(torch.zeros(2, 3, 5, 7)), "d_head is 7, expected an even number"),
    (lambda: rotary(torch.zeros(2, 5, 4)), r"x has shape \(2, 5, 4\), expected the 4 axes \(batch, heads"),
    (lambda: rotary(torch.zeros(2, 3, 5, 4), torch.arange(6)), "positions has length 6, x has 5"),
])
def test_wrong_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
