"""The place of a number that is NaN or infinite, and a message that tells it."""

import numpy as np
import pytest

from coursekit.finite import expect_finite

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize("shape, place, number, message", [
    ((2, 5, 3), (1, 3, 0), NAN, "norm: x is nan at batch 1, position 3, unit 0, the first of 1 out of 30 numbers"),
    ((2, 4, 5, 3), (1, 2, 4, 1), -INF,
     "norm: x is -inf at batch 1, head 2, position 4, unit 1, the first of 1 out of 120 numbers"),
    ((4, 3), (2, 1), INF, "norm: x is inf at batch 2, unit 1, the first of 1 out of 12 numbers"),
    ((7,), (6,), NAN, "norm: x is nan at index (6,), the first of 1 out of 7 numbers"),
    ((), (), NAN, "norm: x is nan at index (), the first of 1 out of 1 numbers"),
])
def test_the_message(shape, place, number, message):
    array = np.ones(shape)
    array[place] = number
    with pytest.raises(ValueError) as error:
        expect_finite("norm", "x", array)
    assert str(error.value) == message


def test_the_first_of_several_and_none_at_all():
    array = np.zeros((2, 5, 3))
    expect_finite("norm", "x", array)
    expect_finite("norm", "x", array[:0])
    array[1, :, 2] = INF
    with pytest.raises(ValueError, match="x is inf at batch 1, position 0, unit 2, the first of 5 out of 30 numbers"):
        expect_finite("norm", "x", array)
