"""For authors: try an exercise from the shell against its own misconceptions, and print its notebook cells."""

import time
from textwrap import wrap

from coursekit.exercises import library
from coursekit.exercises.card import points
from coursekit.exercises.compare import mistakes
from coursekit.exercises.exercise import examine


def try_out(id, seeds=20):
    """Print what the check says to the reference, the starter and every misconception on each of `seeds` seeds; True if
    all is as it should be: passed, not attempted, and named by its own name and no other."""
    exercise = library.with_reference(library.find(id))
    task, started = exercise.task, time.perf_counter()
    print(f"{task.id}  {task.title}: {task.kind} {task.signature}, difficulty {task.difficulty}, {task.minutes} min")
    starter = {}
    exec(task.starter, starter)
    rows = [("reference", "passed", [verdict_on(exercise, exercise.right, seed) for seed in range(seeds)]),
            ("starter", "not attempted", [examine(exercise, starter, seed).status for seed in range(seeds)])]
    rows += [(name, name, [verdict_on(exercise, definition, seed) for seed in range(seeds)])
             for name, definition in exercise.wrong.items()]
    for who, wanted, verdicts in rows:
        other = sorted(set(verdicts) - {wanted})
        mark, share = "BAD" if other else "ok ", f"{verdicts.count(wanted):3} of {seeds}"
        print(f"  {mark} {who:38} {share}  {'; '.join(other)}".rstrip())
    print(f"  one check takes {(time.perf_counter() - started) / seeds / len(rows):.3f} s")
    return all(set(verdicts) == {wanted} for _, wanted, verdicts in rows)


def verdict_on(exercise, definition, seed):
    """ "passed", or the names of the misconceptions that are recognised, or "failed"."""
    verdict = examine(exercise, exercise.namespace(definition), seed)
    if verdict.status != "failed":
        return verdict.status
    questions = exercise.questions(seed)
    outcomes = [exercise.ask(definition, question.case) for question in questions]
    return " and ".join(mistakes(exercise.task, questions, outcomes)) or "failed"


def cells(id):
    """The exercise as three cells of a notebook in py:percent: what is asked, the starter, the check."""
    task = library.find(id).task
    stars = "●" * task.difficulty + "○" * (5 - task.difficulty)
    asked = [f"### Exercise {task.id}: {task.title}", "", f"Difficulty {stars} ({task.difficulty} of 5), "
             f"about {task.minutes} minutes, {points(task)}", "", *task.text.splitlines()]
    asked += ["", *(f"- **{letter}** {text}" for letter, (text, _) in task.options.items())] if task.options else []
    markdown = "\n".join(f"# {part}".rstrip() for line in asked for part in wrapped(line))
    return f'# %% [markdown]\n{markdown}\n\n# %%\n{task.starter.rstrip()}\n\n# %%\ncoursekit.check("{task.id}")\n'


def wrapped(line):
    """The line of Markdown in parts of at most 118 characters; the parts of a list's entry stay in it."""
    return wrap(line, 118, break_long_words=False, break_on_hyphens=False,
                subsequent_indent="  " if line.startswith("- ") else "") or [""]
