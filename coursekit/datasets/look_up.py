"""Look-ups: a query names two letters of a short list and asks about their digits."""

import numpy as np

from coursekit.shapes import expect_at_least, expect_choice

LETTERS, DIGITS, ITEMS, D_MODEL = 8, 10, 6, 24
QUESTIONS = {
    "one": lambda first, second: first > 4,
    "sum": lambda first, second: first + second > 9,
    "compare": lambda first, second: first > second,
}


def look_up(n, question, seed=0):
    """Lists of 6 items, a letter (of 8) and a digit each, no letter and no digit twice, and a query about two of them.

    `question` is "one": is the first letter's digit above 4?  "sum": is the sum of both digits above 9?  "compare": is
    the first letter's digit larger than the second's? Returns (rows, answers): rows (n, 7, 24) float32, row 0 the query
    with a one for its first letter (columns 0 to 7) and one for its second (8 to 15), rows 1 to 6 the items with a one
    for the letter (0 to 7) and one for the digit (8 to 17); answers (n,) float32, 1 for yes and 0 for no. The same seed
    gives the same rows. Raises `ValueError` for an unknown question and for a number of rows below 1.
    """
    expect_at_least("n", n, 1)
    expect_choice("question", question, tuple(QUESTIONS))
    expect_at_least("seed", seed, 0)
    rng = np.random.default_rng(seed)

    def choose(count, size):
        return rng.permuted(np.tile(np.arange(size), (n, 1)), axis=1)[:, :count]

    letters, digits, asked = choose(ITEMS, LETTERS), choose(ITEMS, DIGITS), choose(2, ITEMS)
    first_letter, second_letter = np.take_along_axis(letters, asked, axis=1).T
    rows, number = np.zeros((n, 1 + ITEMS, D_MODEL), np.float32), np.arange(n)
    rows[number, 0, first_letter] = rows[number, 0, LETTERS + second_letter] = 1
    np.put_along_axis(rows[:, 1:], letters[..., None], 1, axis=-1)
    np.put_along_axis(rows[:, 1:], LETTERS + digits[..., None], 1, axis=-1)
    return rows, QUESTIONS[question](*np.take_along_axis(digits, asked, axis=1).T).astype(np.float32)
