"""Every exercise keeps its promises: on 20 seeds the reference passes and each misconception is named, alone."""

import ast
from dataclasses import replace

import pytest

from coursekit.exercises.compare import judge, mistakes
from coursekit.exercises.exercise import examine
from coursekit.exercises.mutate import survey
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
        axes = [value for name, value in sizes.items() if isinstance(value, int) and name != "offset"]
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


def test_lectures_have_enough_exercises_of_rising_difficulty():
    for lecture in ("01", "02"):
        difficulties = [exercise.difficulty for exercise in ALL if exercise.id.startswith(lecture)]
        assert len(difficulties) >= 4 and max(difficulties) >= 3


def test_every_kind_is_used():
    assert {exercise.kind for exercise in ALL} == {"function", "class", "number", "choice", "predictor"}


def test_try_out_prints_a_table(capsys):
    assert try_out("02.context_vector", seeds=2)
    printed = capsys.readouterr().out
    assert "ok  plain mean" in printed and "BAD" not in printed and "2 of 2" in printed


def test_cells_hold_the_starter_and_the_check(exercise):
    text = cells(exercise.id)
    assert f"### Exercise {exercise.id}: {exercise.title}" in text and exercise.starter.strip() in text
    assert f'coursekit.check("{exercise.id}")' in text
