"""The comparing side of a check: it sees only plain values that came back, never the learner's objects."""

from dataclasses import dataclass, field

import numpy as np

from coursekit.exercises.call import Case, Outcome

# The coarsest precision that may have been used on the way, whatever dtype came in or goes out: honest solutions in
# float64 pass through float32 (torch's and Keras's default), and half precision is refused with its own message.
LADDER = {"b": 0.0, "i": 0.0, "u": 0.0, "f": float(np.finfo(np.float32).eps)}
KINDS = {"b": "booleans", "i": "whole numbers", "u": "whole numbers", "f": "real numbers", "c": "complex numbers"}


@dataclass
class Question:
    """A case, its sizes by name, the right answer, how far an answer may be from it, and what each mistake answers."""

    case: Case
    sizes: dict
    expected: object
    tolerance: float
    mistaken: dict


@dataclass
class Verdict:
    """status: "passed", "failed", "not attempted" or "missing". passed: for each case, whether it passed.
    mistake: the name of the recognised misconception, with `text` as its hint; without one, text says what differs.
    question: the smallest failing case; outcome: what was answered there."""

    status: str
    passed: list = field(default_factory=list)
    mistake: str = ""
    text: str = ""
    question: Question = None
    outcome: Outcome = None


def judge(task, questions, outcomes):
    """The Verdict on one outcome per question."""
    for status in ("missing", "not attempted"):
        if all(outcome.status == status for outcome in outcomes):
            return Verdict(status, [False] * len(questions))
    problems = [problem(task, question, outcome) for question, outcome in zip(questions, outcomes)]
    passed = [found is None for found in problems]
    if all(passed):
        return Verdict("passed", passed)
    failing = min((i for i, found in enumerate(problems) if found is not None), key=lambda i: questions[i].case.size())
    named = mistakes(task, questions, outcomes)
    text = task.mistakes[named[0]] if named else problems[failing]
    return Verdict("failed", passed, named[0] if named else "", text, questions[failing], outcomes[failing])


def problem(task, question, outcome):
    """What is wrong with the outcome, in words, or None."""
    if outcome.status == "not attempted":
        return "This case is not written yet: it gives ... or raises NotImplementedError, while other cases do not."
    if outcome.status != "answered":
        return outcome.message
    found = COMPARE[task.kind](task, question, outcome.answer)
    if not outcome.changed:
        return found
    names = " and ".join(outcome.changed)
    if found is None:
        return (f"The answer is right, but the call changed {names}, which belongs to whoever called the function. "
                "Work on a copy, or build a new array.")
    return f"{found} The call also changed {names} in place, which may be why: work on a copy."


def mistakes(task, questions, outcomes):
    """The misconceptions that answer all questions as the learner did; where one fails to answer, so must the other.

    A case in which only the learner's numbers overflowed is set aside: it hides the mistake that the others show.
    """
    def same(question, outcome, mistaken):
        if outcome.status != "answered" or mistaken.status != "answered":
            return outcome.status != "answered" and mistaken.status != "answered"
        if task.kind == "predictor":
            return resembles(task, question, outcome.answer, mistaken.answer)
        as_mistaken = Question(question.case, question.sizes, mistaken.answer, question.tolerance, {})
        return COMPARE[task.kind](task, as_mistaken, outcome.answer) is None

    def tells(question, mistaken):
        return mistaken.status == "answered" and problem(task, question, mistaken) is not None

    def recognised(name):
        kept = [(question, outcome, question.mistaken[name]) for question, outcome in zip(questions, outcomes)
                if not overflowed(outcome.answer, question.mistaken[name].answer)]
        return all(same(*row) for row in kept) and any(tells(question, mistaken) for question, _, mistaken in kept)

    return [name for name in task.mistakes if recognised(name)]


def overflowed(answer, mistaken):
    """True where the answer holds NaN and the misconception has a number at the same place."""
    if isinstance(answer, tuple) and isinstance(mistaken, tuple):
        return any(overflowed(*parts) for parts in zip(answer, mistaken))
    if not isinstance(answer, np.ndarray) or not isinstance(mistaken, np.ndarray) or answer.shape != mistaken.shape:
        return False
    return (np.isnan(answer) & ~np.isnan(mistaken)).any()


def resembles(task, question, answer, mistaken):
    """True where at least nine in ten of a predictor's tokens are those of the misconception, and fewer are right:
    a model that has learned little agrees with many a misconception now and then."""
    tokens, mistaken, right = (given[0] if task.limit else given for given in (answer, mistaken, question.expected))
    if not isinstance(tokens, np.ndarray) or tokens.dtype.kind not in "iu" or tokens.shape != right.shape:
        return False
    alike = (tokens == mistaken).mean()
    return alike >= 0.9 and alike > (tokens == right).mean()


# Comparisons: None where the answer is right, otherwise what differs.

def compare_arrays(task, question, answer):
    expected = question.expected
    if not isinstance(expected, tuple):
        name, axes = next(iter(task.returns.items()))
        if isinstance(answer, tuple) and any(isinstance(part, str) for part in answer):
            return f"{name} holds texts, expected {KINDS[expected.dtype.kind]} ({expected.dtype})."
        answer = stacked(answer, expected.ndim)
        if isinstance(answer, tuple):
            ragged = ragged_rows(expected, answer)
            if ragged is not None:
                return (f"Row 0 has shape {answer[0].shape}, row {ragged} has shape {answer[ragged].shape}; in an "
                        "array all rows have the same shape.")
            return f"A sequence of {len(answer)} came back, expected {one(expected)}."
        return array_difference(expected, answer, question, name, axes)
    names = tuple(task.returns)
    if isinstance(answer, np.ndarray) and answer.ndim and len(answer) == len(expected):
        answer = tuple(np.asarray(part) for part in answer)
    if not isinstance(answer, tuple) or len(answer) != len(expected):
        came = f"a sequence of {len(answer)}" if isinstance(answer, tuple) else "one value"
        return f"Expected {len(expected)} values ({', '.join(names)}); {came} came back."
    for name, right, part in zip(names, expected, answer):
        found = array_difference(right, stacked(part, right.ndim), question, name, task.returns[name])
        if found is not None:
            return found
    return None


def stacked(answer, axes):
    """A tuple of equally shaped rows as one array of so many axes; anything else as it is."""
    if not isinstance(answer, tuple):
        return answer
    rows = tuple(stacked(part, axes - 1) for part in answer)
    if all(isinstance(row, np.ndarray) and row.ndim == axes - 1 and row.shape == rows[0].shape for row in rows):
        return np.stack(rows)
    return rows


def ragged_rows(expected, parts):
    """The first row whose shape is not that of row 0, where the parts are rows of the array asked for; else None."""
    if not all(isinstance(part, np.ndarray) and part.ndim == expected.ndim - 1 for part in parts):
        return None
    return next((row for row, part in enumerate(parts) if part.shape != parts[0].shape), None)


def array_difference(expected, answer, question, name, axes):
    """The first difference between two arrays, type before shape before values, naming the axis."""
    if not isinstance(answer, np.ndarray):
        came = "a text" if isinstance(answer, str) else f"a sequence of {len(answer)}"
        return f"{name} is {came}, expected {one(expected)}."
    wanted, came = KINDS[expected.dtype.kind], KINDS[answer.dtype.kind]
    # A single number has no dtype that the next line of code could stumble over: 1 is as good as 1.0.
    if wanted != came and not (wanted == "real numbers" and came == "whole numbers" and expected.ndim == 0):
        return f"{name} holds {came} ({answer.dtype}), expected {wanted} ({expected.dtype})."
    if answer.ndim and not expected.ndim:
        return f"{name} has shape {answer.shape}, expected a single number."
    if answer.ndim != expected.ndim:
        came = f"has shape {answer.shape}" if answer.ndim else "is a single number"
        return f"{name} {came}, expected {expected.shape}: ({', '.join(axes)})."
    for axis, (size, right) in enumerate(zip(answer.shape, expected.shape)):
        if size != right:
            return (f"{name} has shape {answer.shape}, expected {expected.shape}: "
                    f"axis {axis} ({axes[axis]}) is {size}, not {right}.")
    if wanted == "real numbers":
        nan = np.isnan(answer) & ~np.isnan(expected)
        if nan.any():
            came = f"contains NaN, first {place(nan, axes)}" if axes else "is NaN"
            return f"{name} {came}. NaN comes from 0/0, inf - inf or inf * 0."
    with np.errstate(invalid="ignore"):
        distance = np.abs(np.subtract(answer, expected, dtype=np.float64))
        wrong = ~((distance <= question.tolerance) | (answer == expected) | (np.isnan(answer) & np.isnan(expected)))
    if wrong.any():
        first = tuple(np.argwhere(wrong)[0])
        came, right = numbers(answer[first], expected[first])
        if not axes:
            return f"{name} is {came}, expected {right}."
        return (f"{name} differs in {wrong.sum()} of {wrong.size} values, first {place(wrong, axes)}: {came} came, "
                f"expected {right}.")
    return None


def one(expected):
    """What is expected, where several values came."""
    return "one array" if expected.ndim else "a single number"


def place(wrong, axes):
    """Where the first True is: "at [batch 1, length 0]"."""
    return f"at [{', '.join(f'{axis} {index}' for axis, index in zip(axes, np.argwhere(wrong)[0]))}]"


def numbers(*values):
    """The numbers in six digits, or in as many as it takes to tell them apart; booleans as True and False."""
    if all(value.dtype.kind == "b" for value in values):
        return [str(value) for value in values]
    texts = [f"{value.item() + 0:.6g}" for value in values]  # -0.0 + 0 is 0.0
    return [f"{value.item():.17g}" for value in values] if len(set(texts)) < len(values) else texts


def compare_number(task, question, answer):
    """A number is compared like an array, without showing the right one."""
    if isinstance(answer, str):
        return f"{task.name} is a text, expected a number: without quotes."
    if not isinstance(answer, np.ndarray) or answer.ndim or answer.dtype.kind not in "iuf":
        return f"{task.name} is not a number."
    if abs(float(answer) - float(question.expected)) <= question.tolerance:
        return None
    return f"{answer.item()} is not the number asked for."


def compare_choice(task, question, answer):
    letters = ", ".join(f'"{letter}"' for letter in task.options)
    letter = answer.strip().lower() if isinstance(answer, str) else answer
    if not isinstance(letter, str) or letter not in task.options:
        return f"Expected one of {letters}, in quotes."
    return None if letter == question.expected else "Not this one."


def compare_predictor(task, question, answer):
    """A predictor is right when `goal` of all tokens are, and its training took no longer than `limit` seconds."""
    expected = question.expected[0] if task.limit else question.expected
    tokens, seconds = answer if task.limit else (answer, 0.0)
    if not isinstance(tokens, np.ndarray) or tokens.dtype.kind not in "iu":
        return "The prediction holds no whole numbers, expected one token for each step."
    if tokens.shape != expected.shape:
        return f"The prediction has shape {tokens.shape}, expected {expected.shape}: (batch, length)."
    right = tokens == expected
    if right.mean() >= task.goal:
        if task.limit and not seconds <= task.limit:
            return (f"The tokens are right, but the training took {float(seconds):.0f} seconds; the limit is "
                    f"{task.limit:.0f}.")
        return None
    quarters = ", ".join(f"{part.mean():.0%}" for part in np.array_split(right, 4, axis=1))
    symptom = next((f" {text}" for below, text in task.symptoms if right.mean() < below), "")
    return (f"{right.mean():.1%} of the tokens are right and {right.all(axis=1).mean():.1%} of the sequences; "
            f"asked for are {task.goal:.0%} of the tokens. By quarter of the sequence: {quarters}.{symptom}")


COMPARE = {"function": compare_arrays, "class": compare_arrays, "number": compare_number, "choice": compare_choice,
           "predictor": compare_predictor}


# How far an answer may be from the right one.

def tolerance(answer_of, case, expected):
    """eps · n · κ: how far rounding can move the answer of a correct solution, norm by norm.

    eps is the precision of `LADDER`; n the number of roundings in one value, at most the longest axis of the inputs
    (the longest sum) plus 8 for functions such as exp and tanh; κ how far the largest value of the answer moves per
    unit of relative change of the inputs, measured by nudging each by ±2⁻²⁰ in float64 (and at least the largest value
    of the answer, which is rounded too). This is the bound "forward error ≤ condition number × backward error"
    (Higham 2002, Accuracy and Stability of Numerical Algorithms, section 1.6), with the condition number measured.
    """
    parts = expected if isinstance(expected, tuple) else (expected,)
    if not any(isinstance(part, np.ndarray) and part.dtype.kind == "f" for part in parts):
        return 0.0
    nudge, rng = 2.0 ** -20, np.random.default_rng(0)
    condition = max(np.abs(part).max() for part in parts)
    for _ in range(4):
        moved = answer_of(case.map(lambda array: array * (1 + nudge * rng.choice([-1, 1], array.shape))))
        moved = moved if isinstance(moved, tuple) else (moved,)
        condition = max([condition, *(np.abs(after - part).max() / nudge for after, part in zip(moved, parts))])
    longest = max([1, *(size for value in case.inputs.values() for size in np.shape(value))])
    return LADDER["f"] * (longest + 8) * float(condition)
