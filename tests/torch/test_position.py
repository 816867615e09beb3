"""The sinusoids against numbers worked out by hand."""

import math

import pytest
import torch

from coursekit.torch import sinusoidal_positions


def test_five_words_in_four_dimensions_by_hand():
    expected = [[math.sin(p), math.cos(p), math.sin(p / 100), math.cos(p / 100)] for p in range(5)]
    torch.testing.assert_close(sinusoidal_positions(5, 4), torch.tensor(expected), atol=1e-7, rtol=0)
    assert sinusoidal_positions(5, 4)[0].tolist() == [0, 1, 0, 1]


def test_slowest_wave_and_far_positions_are_exact():
    far = sinusoidal_positions(5001, 6)[5000]
    angle = 5000 / 10000 ** (4 / 6)
    torch.testing.assert_close(far[4:], torch.tensor([math.sin(angle), math.cos(angle)]), atol=1e-7, rtol=0)
    torch.testing.assert_close(far[:2], torch.tensor([math.sin(5000.0), math.cos(5000.0)]), atol=1e-7, rtol=0)


@pytest.mark.parametrize("length, d_model, message", [
    (-1, 4, "length is -1, expected a whole number of at least 0"),
    (3, 5, "d_model is 5, expected an even number"),
    (3, -2, "d_model is -2"),
])
def test_wrong_input(length, d_model, message):
    with pytest.raises(ValueError, match=message):
        sinusoidal_positions(length, d_model)
