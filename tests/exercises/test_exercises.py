"""Every exercise keeps its promises: on 20 seeds the reference passes and each misconception is named, alone."""

import ast
import importlib
from dataclasses import replace

import numpy as np
import pytest
import torch

from coursekit.exercises import library
from coursekit.exercises.call import Case, Outcome
from coursekit.exercises.compare import Question, judge, mistakes
from coursekit.exercises.exercise import examine
from coursekit.exercises.library import find
from coursekit.exercises.mutate import mutation_table, survey
from coursekit.exercises.try_out import cells, try_out
from all_exercises import ALL, SEEDS


def outcomes(exercise, definition, seed):
    return [exercise.ask(definition, question.case) for question in exercise.questions(seed)]


def test_reference_passes(exercise):
    assert [examine(exercise, exercise.namespace(exercise.right), seed).status for seed in SEEDS] == ["passed"] * 20


def test_each_misconception_gets_its_own_hint_and_no_other(exercise):
    assert len(exercise.wrong) >= 3
    for name, definition in exercise.wrong.items():
        for seed in SEEDS:
            verdict = examine(exercise, exercise.namespace(definition), seed)
            assert (verdict.status, verdict.mistake, verdict.text) == ("failed", name, exercise.task.mistakes[name])
            assert mistakes(exercise.task, exercise.questions(seed), outcomes(exercise, definition, seed)) == [name]
    assert len(set(exercise.task.mistakes.values())) == len(exercise.wrong)


def test_starter_is_not_attempted(exercise):
    namespace = {}
    exec(exercise.task.starter, namespace)
    assert examine(exercise, namespace).status == "not attempted"


def test_worked_solution_passes_in_the_starters_place(exercise):
    if exercise.kind == "predictor":
        return  # trained in test_predictors.py
    namespace = {}
    exec(exercise.solution, namespace)
    if exercise.kind in ("number", "choice"):
        namespace[exercise.task.name] = namespace[exercise.task.name]()
    assert examine(exercise, namespace).status == "passed"


def test_mutants_of_the_reference_are_rejected(exercise):
    row = survey(exercise)
    assert row.gaps == []
    assert row.equivalent == len(exercise.equivalent)  # a proof of nothing is out of date


def test_few_mutants_are_equivalent():
    rows = [survey(exercise) for exercise in ALL]
    equivalent = sum(row.equivalent for row in rows)
    assert equivalent <= 0.05 * (equivalent + sum(row.rejected for row in rows))


def test_axes_have_different_sizes(exercise):
    """An answer along the wrong axis must not fit by chance. One case may be square, for a mistake that needs it."""
    if exercise.kind not in ("function", "class"):
        return
    square = 0
    for sizes in exercise.sizes:
        axes = [value for name, value in sizes.items() if type(value) is int and name != "offset"]
        square += len(set(axes)) < len(axes)
    assert square <= 1 and len(exercise.sizes) - square >= 3


@pytest.mark.parametrize("seed", SEEDS)
def test_weights_are_not_saturated(seed):
    """A softmax that is nearly one-hot or nearly even would hide what went into it."""
    exercise = next(exercise for exercise in ALL if exercise.id == "02.masked_weights")
    for question in exercise.questions(seed):
        rows = question.expected[question.case.inputs["mask"].any(axis=1)]
        assert 0.2 < rows.max() < 0.97


def test_tolerance_is_far_from_every_mistake(exercise):
    """With a hundred times the tolerance, every misconception would still be rejected."""
    if exercise.kind not in ("function", "class"):
        return
    for seed in SEEDS:
        wide = [replace(question, tolerance=100 * question.tolerance) for question in exercise.questions(seed)]
        for definition in exercise.wrong.values():
            assert judge(exercise.task, wide, outcomes(exercise, definition, seed)).status == "failed"


def test_the_data_reads_well(exercise):
    task = exercise.task
    assert 1 <= task.difficulty <= 5 and task.minutes > 0 and task.points > 0
    assert len(task.hints) >= 2 and exercise.explanation and task.signature.startswith(task.name)
    for text in (task.text, exercise.explanation, *task.hints, *task.mistakes.values()):
        assert text == text.strip() and len(text) < 700
    ast.parse(task.starter)
    for path in task.withhold:
        assert path.count(".") >= 1


def found_at(path):
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def test_what_is_withheld_is_withheld_where_it_is_defined_too(exercise):
    """A name that is exported from a package can also be imported from the module behind it."""
    for path in exercise.withhold:
        if path.startswith("coursekit."):
            found = found_at(path)
            home = f"{getattr(found, '__module__', '')}.{getattr(found, '__qualname__', '')}"
            assert home in exercise.withhold or not home.startswith("coursekit.")


def test_lectures_have_enough_exercises_of_rising_difficulty():
    for lecture in library.lectures():
        difficulties = [exercise.difficulty for exercise in ALL if exercise.id.startswith(lecture)]
        assert len(difficulties) >= 4 and max(difficulties) >= 3


def test_every_kind_is_used():
    assert {exercise.kind for exercise in ALL} == {"function", "class", "number", "choice", "predictor"}


def naive_softmax(scores):
    powers = np.exp(scores)
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name, function", [
    ("mask after softmax", lambda scores, mask: naive_softmax(scores) * mask),
    ("mask not used", lambda scores, mask: naive_softmax(scores)),
    ("mask upside down", lambda scores, mask: naive_softmax(np.where(mask, -1e9, scores))),
    ("masked scores set to zero", lambda scores, mask: naive_softmax(scores * mask)),
    ("nan where nothing is allowed", lambda scores, mask: naive_softmax(np.where(mask, scores, -np.inf))),
    ("mask not used", lambda scores, mask: torch.softmax(torch.from_numpy(scores), dim=1)),
    ("", lambda scores, mask: np.full(scores.shape, np.nan)),
])
def test_an_overflow_does_not_hide_what_else_is_wrong(name, function):
    """exp without the largest score subtracted gives NaN in one of the cases; the others show the mistake."""
    exercise = find("02.masked_weights")
    for seed in SEEDS:
        assert examine(exercise, exercise.namespace(function), seed).mistake == name


@pytest.mark.parametrize("name, function", [
    ("", lambda tokens, vocab_size: np.eye(vocab_size - 1)[tokens]),
    ("width read off the tokens", lambda tokens, vocab_size: np.eye(tokens.max() + 1)[tokens]),
])
def test_a_width_that_is_one_too_small_is_not_read_off_the_tokens(name, function):
    exercise = find("01.one_hot")
    for seed in SEEDS:
        assert examine(exercise, exercise.namespace(function), seed).mistake == name


def test_zeros_everywhere_are_told_as_what_they_are():
    exercise = find("01.read_tokens")
    verdict = examine(exercise, exercise.namespace(lambda probabilities: probabilities.astype(int).argmax(-1)))
    assert verdict.mistake == "token 0 everywhere" and verdict.text.startswith("All your tokens are 0.")


@pytest.mark.parametrize("share, late, status, name", [
    (0.27, 0.37, "failed", ""),  # a weak model, and not one whose tokens come late
    (0.20, 0.80, "failed", ""),
    (0.05, 0.95, "failed", "one step late"),
    (0.40, 0.60, "passed", ""),
])
def test_a_predictor_is_named_after_nine_tokens_in_ten(share, late, status, name):
    def predictor(source):
        draw, right = np.random.default_rng(0).permutation(source.size).reshape(source.shape), source[:, ::-1]
        guess = np.where(draw < (share + late) * source.size, np.roll(right, 1, axis=1), 0)
        return np.where(draw < share * source.size, right, guess)

    verdict = examine(find("01.length_20"), {"reverse_20": predictor})
    assert (verdict.status, verdict.mistake) == (status, name)


def test_a_predictor_that_is_nearer_to_the_right_answer_is_not_named():
    """In the capstone 96 % are not enough, and a misconception may be nearly right too."""
    task = replace(find("02.length_100").task, mistakes={"last token lost": "You lose the last token."})
    right = np.arange(100).reshape(1, 100)
    lost, several = right.copy(), right.copy()
    lost[0, -1:], several[0, :4] = -1, -1
    question = Question(Case({}), {}, (right, np.zeros(())), 0.0,
                        {"last token lost": Outcome("answered", (lost, np.zeros(())))})

    def named(tokens):
        return mistakes(replace(task, goal=0.995), [question], [Outcome("answered", (tokens, np.zeros(())))])

    assert named(several) == [] and named(lost) == ["last token lost"]


def test_mutation_of_an_unknown_lecture():
    with pytest.raises(ValueError, match="unknown lecture 99: the lectures are 01, 02"):
        mutation_table(["02", "99"])


def test_try_out_prints_a_table(capsys):
    assert try_out("02.context_vector", seeds=2)
    printed = capsys.readouterr().out
    assert "ok  plain mean" in printed and "BAD" not in printed and "2 of 2" in printed


def test_cells_hold_the_starter_and_the_check(exercise):
    text = cells(exercise.id)
    assert f"### Exercise {exercise.id}: {exercise.title}" in text and exercise.starter.strip() in text
    assert f'coursekit.check("{exercise.id}")' in text
