"""Tolerances and messages against values worked out by hand."""

from types import SimpleNamespace

import numpy as np
import pytest

from coursekit.exercises.call import Case, Outcome
from coursekit.exercises.compare import Question, judge, tolerance
from coursekit.exercises.mutate import mutants
from coursekit.exercises.plain import plain

EPS = 2.0 ** -23
TASK = SimpleNamespace(kind="function", name="f", mistakes={}, returns={"y": ("batch", "units")})
PAIR = SimpleNamespace(kind="function", name="f", mistakes={}, returns={"h": ("units",), "c": ("units",)})


@pytest.mark.parametrize("function, x, condition", [
    (lambda x: 3 * x, np.array([1.0, -2.0]), 6),  # |dy| = |y| δ, and y is at most 6
    (lambda x: x ** 4, np.array([3.0]), 4 * 81),  # a power multiplies relative changes by its exponent
    (lambda x: np.array(x.sum() - 1000), np.array([999.0, 1.5]), 1000.5),  # cancellation: far more than |y| = 0.5
    (lambda x: np.ones(2), np.array([5.0]), 1),  # nothing moves, but the answer is rounded
])
def test_tolerance_is_eps_times_roundings_times_condition(function, x, condition):
    case = Case({"x": x})
    found = tolerance(lambda case: function(case.inputs["x"]), case, function(x))
    # Random signs find the worst direction of two inputs in one of four tries or come close to it.
    assert 0.99 * condition <= found / (EPS * (len(x) + 8)) <= 1.001 * condition


def test_whole_numbers_are_exact():
    assert tolerance(lambda case: case.inputs["x"], Case({"x": np.arange(3)}), np.arange(3)) == 0


def verdict(expected, answer, task=TASK, **outcome):
    question = Question(Case({}), {}, expected, 1e-6, {})
    return judge(task, [question], [Outcome("answered", answer, **outcome)])


def test_first_difference_names_axis_and_value():
    expected = np.arange(6.0).reshape(2, 3)
    answer = expected.copy()
    answer[1, 2], answer[1, 0] = 9, 3 + 2 ** -18
    assert verdict(expected, answer).text == ("y differs in 2 of 6 values, first at [batch 1, units 0]: "
                                              "3.0000038146972656 came, expected 3.")
    assert verdict(expected, expected + 9e-7).status == "passed"
    assert verdict(expected, np.float32(expected)).status == "passed"
    assert verdict(expected, expected.T).text == "y has shape (3, 2), expected (2, 3): axis 0 (batch) is 3, not 2."


def test_parts_are_compared_by_name():
    h, c = np.ones(2), np.zeros(2)
    assert verdict((h, c), (h, c), PAIR).status == "passed"
    assert verdict((h, c), np.stack([h, c]), PAIR).status == "passed"
    assert verdict((h, c), (h, h), PAIR).text.startswith("c differs in 2 of 2 values, first at [units 0]: 1 came")
    assert verdict((h, c), (h, c, c), PAIR).text == "Expected 2 values (h, c); a sequence of 3 came back."
    assert verdict((h, c), h[:1], PAIR).text == "Expected 2 values (h, c); one value came back."


def test_a_single_number():
    h = np.ones(2)
    task = SimpleNamespace(kind="function", name="f", mistakes={}, returns={"y": ()})
    assert verdict(np.array(2.0), np.array([2.0]), task).text == "y has shape (1,), expected a single number."
    assert verdict(np.array(2.0), np.array(2), task).status == "passed"
    assert verdict(np.array(2.0), np.array(3), task).text == "y is 3, expected 2."
    assert verdict(np.array(2.0), np.array(-0.0), task).text == "y is 0, expected 2."
    assert verdict(np.array(2.0), np.array(np.nan), task).text.startswith("y is NaN.")
    assert verdict(np.array(2.0), (h, h), task).text == "A sequence of 2 came back, expected a single number."
    pair = SimpleNamespace(kind="function", name="f", mistakes={}, returns={"left": (), "right": ()})
    text = verdict((np.array(1), np.array(2)), ((h, h), np.array(7)), pair).text
    assert text == "left is a sequence of 2, expected a single number."


def test_lists_of_several_dtypes():
    """A list of different answers keeps their dtypes; a list of rows is one array whatever its numbers are."""
    several = SimpleNamespace(kind="function", name="f", mistakes={},
                              returns={"ids": ("n",), "share": (), "mask": ("n",)})
    ids, share, mask = np.array([7, 8]), np.array(0.5), np.array([True, False])
    assert verdict((ids, share, mask), plain([[7, 8], 0.5, [True, False]]), several).status == "passed"
    text = verdict((ids, share, mask), plain([[7, 8], 0.5, [True, True]]), several).text
    assert text == "mask differs in 1 of 2 values, first at [n 1]: True came, expected False."
    rows = [[1, 2.5, 0], [3, 4, 5]]
    assert verdict(np.array(rows), plain(rows)).status == "passed"
    task = SimpleNamespace(kind="function", name="f", mistakes={}, returns={"y": ("batch", "units"), "z": ()})
    assert verdict((np.array(rows), share), plain([rows, 0.5]), task).status == "passed"


def test_grey_only_where_nothing_is_written():
    questions = [Question(Case({"x": np.ones(size)}), {}, np.ones((1, 1)), 1e-6, {}) for size in (1, 2)]
    answered, empty = Outcome("answered", np.ones((1, 1))), Outcome("not attempted")
    assert judge(TASK, questions, [empty, empty]).status == "not attempted"
    found = judge(TASK, questions, [answered, empty])
    assert (found.status, found.passed, found.question) == ("failed", [True, False], questions[1])
    assert found.text.startswith("This case is not written yet")


def test_infinity_and_whole_tables():
    inf = np.array([[np.inf, 1.0]])
    assert verdict(inf, inf).status == "passed"
    assert verdict(inf, -inf).status == "failed"
    assert verdict(inf, np.array([[1e30, 1.0]])).status == "failed"


def test_a_right_answer_that_changed_its_input_fails():
    right = np.ones((1, 1))
    assert verdict(right, right, changed=("x",)).status == "failed"


def test_mutants_of_a_small_function():
    source = "def f(a, b):\n    'doc 1'\n    return g(a, axis=1) - b[0]\n"
    found = {mutant.change.split(", in ")[0] for mutant in mutants(source)}
    assert found == {
        "g(a, axis=1) - b[0] -> g(a, axis=1) + b[0]", "g(a, axis=1) - b[0] -> b[0] - g(a, axis=1)",
        "g(a, axis=1) - b[0] -> g(a, axis=1)", "g(a, axis=1) - b[0] -> b[0]", "g(a, axis=1) -> a",
        "g(a, axis=1) -> g(a)", "b[0] -> b", "1 -> 2", "1 -> 0", "0 -> 1", "0 -> -1"}


@pytest.mark.parametrize("operator, other", [("in", "not in"), ("not in", "in"), ("is", "is not"), ("is not", "is")])
def test_mutants_of_membership_and_identity(operator, other):
    found = {mutant.change for mutant in mutants(f"def f(a, b):\n    return a {operator} b\n")}
    assert found == {f"a {operator} b -> a {other} b, in return a {operator} b"}
