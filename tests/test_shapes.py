"""Messages that name the axis, what came and what was expected."""

import pytest

from coursekit.shapes import expect, expect_at_least, expect_choice, expect_even, expect_real


@pytest.mark.parametrize("call, message", [
    (lambda: expect("mask", (2, 5), batch=(2, "values"), length=(7, "values")), "mask has length 5, values have 7"),
    (lambda: expect("mask", (2, 5), batch=(3, "source"), length=None), "mask has batch 2, source has 3"),
    (lambda: expect("query", (2, 5), batch=None, units=4), "query has units 5, expected 4"),
    (lambda: expect("query", (2,), batch=2, units=4), "query has shape (2,), expected the 2 axes (batch, units)"),
    (lambda: expect("v", (2, 5), units=3), "v has shape (2, 5), expected the one axis (units)"),
    (lambda: expect_choice("score", "sum", ("dot", "concat")), "unknown score 'sum', expected one of 'dot', 'concat'"),
    (lambda: expect_at_least("length", -3, 0), "length is -3, expected a whole number of at least 0"),
    (lambda: expect_at_least("length", True, 0), "length is True, expected a whole number of at least 0"),
    (lambda: expect_at_least("length", "4", 0), "length is '4', expected a whole number of at least 0"),
    (lambda: expect_real("values", "int64"), "values has dtype int64, expected a floating-point type"),
    (lambda: expect_even("d_model", 7), "d_model is 7, expected an even number: each sine has its cosine"),
])
def test_messages(call, message):
    with pytest.raises(ValueError) as error:
        call()
    assert str(error.value) == message


def test_right_and_unknown_sizes_pass():
    expect("values", (None, 5, 3), batch=4, length=None, units=3)
    expect_at_least("length", 0, 0)
    expect_even("d_model", 6)
