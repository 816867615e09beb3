"""Look-ups: what the query names is in the list, and the answer is that of the digits found there."""

import numpy as np
import pytest

from coursekit.datasets.look_up import look_up


def read(row):
    """The two digits that a row (7, 24) asks for, found by searching its list."""
    items = {int(item[:8].argmax()): int(item[8:18].argmax()) for item in row[1:]}
    return items[int(row[0, :8].argmax())], items[int(row[0, 8:16].argmax())]


@pytest.mark.parametrize("question, right", [
    ("one", lambda a, b: a in (5, 6, 7, 8, 9)), ("sum", lambda a, b: a + b >= 10), ("compare", lambda a, b: a - b > 0)])
def test_answers_are_those_of_the_list(question, right):
    rows, answers = look_up(300, question, seed=3)
    assert rows.shape == (300, 7, 24) and answers.shape == (300,) and rows.dtype == answers.dtype == np.float32
    assert [right(*read(row)) for row in rows] == answers.astype(bool).tolist()


def test_letters_and_digits_once_and_two_ones_in_every_row():
    rows, _ = look_up(200, "one", seed=1)
    assert set(np.unique(rows)) == {0, 1} and (rows.sum(-1) == 2).all() and not rows[..., 18:].any()
    assert rows[:, 1:, :8].sum(1).max() == rows[:, 1:, 8:].sum(1).max() == 1
    assert (rows[:, 0, :8] * rows[:, 0, 8:16]).max() == 0  # two different letters are asked for


def test_every_place_digit_and_letter_is_asked_for():
    rows, answers = look_up(2000, "compare", seed=0)
    first = (rows[:, :1, :8] @ rows[:, 1:, :8].swapaxes(1, 2))[:, 0]  # (n, 6): where the first letter stands
    # 2,000 draws of 6 places: 333 each, standard deviation 17; four of them either way. Answers: 1,000, deviation 22.
    assert (abs(first.sum(0) - 2000 / 6) < 4 * 16.7).all() and abs(answers.sum() - 1000) < 4 * 22.4


def test_same_seed_same_rows():
    assert (look_up(9, "sum", seed=1)[0] == look_up(9, "sum", seed=1)[0]).all()
    assert (look_up(9, "sum", seed=1)[0] != look_up(9, "sum", seed=2)[0]).any()


@pytest.mark.parametrize("arguments, message", [
    ((0, "one"), "n is 0"), ((3, "both"), "unknown question 'both', expected one of 'one', 'sum', 'compare'"),
    ((3, "one", -1), "seed is -1")])
def test_wrong_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        look_up(*arguments)
