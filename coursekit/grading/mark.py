"""Marking one submission: ask the box, compare out here.

A verdict is made as a check makes it, by `judge`, from the same questions with inputs drawn from another seed. A failure
of the box is an outcome like any other: what timed out or crashed is said, and costs its own points only.
"""

import hashlib
import json
import re
import time
from dataclasses import asdict, dataclass, field
from importlib.metadata import version

import numpy as np

from coursekit.exercises import library
from coursekit.exercises.call import Outcome
from coursekit.exercises.compare import judge
from coursekit.grading import wire
from coursekit.grading.box import Box

POLICIES = ("strict", "proportional")
STATUSES = {"answered", "missing", "not attempted", "raised", "interrupted", "timed out", "unusable"}
LONGEST = 2000  # characters of a text that came out of a box
CELLS, CHARACTERS = 2000, 4 * 2**20  # of one notebook; a lecture has a hundred cells
PACKED = re.compile(r"(?:^[A-Za-z0-9+/=]{60,}\n){100,}", re.MULTILINE)
PARTS, DEEPEST = 10_000, 8  # arrays and texts of one answer, tuples within tuples


@dataclass(frozen=True)
class Assignment:
    """What is graded, and how.

    lecture: such as "05". seed: from which the hidden inputs are drawn. policy: "strict" (an exercise's points for all
    its cases or none) or "proportional" (by cases passed). box: how submissions are confined. seconds: of one statement
    of a notebook; set_up: of all that one exercise depends on. memory: bytes of one exercise's processes; processes: the
    most of them, threads included.
    """

    lecture: str
    seed: int
    policy: str = "strict"
    box: str = "bubblewrap"
    seconds: float = 10
    set_up: float = 60
    memory: int = 2 * 2**30
    processes: int = 64
    exercises: list = field(init=False, compare=False, repr=False)

    def __post_init__(self):
        if self.lecture not in library.lectures():
            raise ValueError(f"unknown lecture {self.lecture!r}: the lectures are {', '.join(library.lectures())}")
        if self.policy not in POLICIES:
            raise ValueError(f"the policy is {self.policy!r}, expected {' or '.join(POLICIES)}")
        object.__setattr__(self, "exercises", [
            library.with_reference(exercise) for exercise in library.exercises(self.lecture)])

    def __reduce__(self):  # exercises do not travel; whoever gets the rest has the package
        return Assignment, tuple(value for name, value in vars(self).items() if name != "exercises")

    @property
    def of(self):
        """All points; a predictor, which would have to be trained again, is practice."""
        return sum(exercise.points for exercise in self.exercises if exercise.kind != "predictor")

    def key(self, content):
        """What a mark depends on, as one hash: the notebook, the hidden inputs, the rules and this package."""
        rules = {name: value for name, value in vars(self).items() if name != "exercises"}
        rules["exercises"] = [asdict(exercise.task) for exercise in self.exercises]
        text = json.dumps([rules, version("coursekit")], sort_keys=True)
        return hashlib.sha256(text.encode() + b"\0" + content).hexdigest()


class Boxes:
    """The warm boxes of one worker, by what they have imported; they start when they are first needed."""

    def __init__(self, mode):
        self.mode, self.warm = mode, {}

    def of(self, frameworks):
        if frameworks not in self.warm:
            self.warm[frameworks] = Box(self.mode, frameworks)
        return self.warm[frameworks]

    def close(self):
        for box in self.warm.values():
            box.close()
        self.warm.clear()


class Unreadable(ValueError):
    """The content is no notebook."""


def mark(content, assignment, boxes):
    """The part of a record that depends on the notebook's bytes: status, message, points, of, exercises, seconds,
    memory."""
    started = time.perf_counter()
    try:
        cells = code_cells(content)
    except Unreadable as error:
        return no_marks("unreadable", str(error), assignment)
    use = Use(assignment, boxes)
    plans, message = use.plan(cells)
    rows = [mark_exercise(exercise, cells, plans.get(exercise.task.name), use) for exercise in assignment.exercises]
    failed = [row["status"] for row in rows if row["status"] in ("timed out", "crashed")]
    graded = [row for row in rows if row["points"] is not None]
    status = "graded" if not failed else "partly graded" if graded else failed[0]
    return {"status": status, "message": message, "points": round(sum(row["points"] for row in graded), 2) if graded
            else None, "of": assignment.of, "exercises": rows,
            "seconds": round(time.perf_counter() - started, 3), "memory": use.memory}


def no_marks(status, message, assignment):
    """What `mark` gives of a submission that cannot be graded: no points, which is not 0 points."""
    return {"status": status, "message": message, "points": None, "of": assignment.of, "exercises": [], "seconds": 0.0,
            "memory": 0}


def code_cells(content):
    """The code cells' texts. What is no cell is passed over; raises Unreadable where nothing can be made of it."""
    try:
        notebook = json.loads(content)
    except (ValueError, RecursionError, MemoryError) as error:
        raise Unreadable(f"not JSON ({type(error).__name__})") from None
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
        raise Unreadable("JSON, but not a notebook: it has no list of cells")
    texts = []
    for cell in notebook["cells"]:
        if isinstance(cell, dict) and cell.get("cell_type") == "code":
            source = cell.get("source", "")
            lines = source if isinstance(source, list) else [source]
            texts.append(without_packed("".join(line for line in lines if isinstance(line, str))))
    if len(texts) > CELLS or sum(map(len, texts)) > CHARACTERS:
        raise Unreadable(f"more than {CELLS:,} code cells or {CHARACTERS:,} characters of code")
    return texts


def without_packed(text):
    """The text without a long run of base64, such as the package in a hand-out; its lines stay, empty."""
    return PACKED.sub(lambda run: "\n" * run[0].count("\n"), text) if len(text) > 100_000 else text


class Use:
    """One submission's use of the boxes; `memory` is the most that one of its visits took, in bytes."""

    def __init__(self, assignment, boxes):
        self.assignment, self.boxes, self.memory = assignment, boxes, 0

    def visit(self, frameworks=()):
        return self.boxes.of(frameworks).open(self.assignment.memory, self.assignment.processes)

    def plan(self, cells):
        """({exercise's name: its statements}, "") or, where the text itself broke the box, ({}, why)."""
        names = [exercise.task.name for exercise in self.assignment.exercises if exercise.kind != "predictor"]
        with (visit := self.visit()):
            try:
                plans = visit.ask({"do": "plan", "cells": cells, "names": names}, self.assignment.set_up)
                return {name: checked_plan(plans[name]) for name in names}, ""
            except (wire.Broken, wire.TooLate, KeyError, TypeError, ValueError) as error:
                return {}, f"the notebook could not be read as a program ({type(error).__name__})"


def checked_plan(plan):
    """The plan, in which nothing but lists of whole numbers and texts is left; raises TypeError or ValueError."""
    def listed(part):
        statements = [[int(cell), int(line), str(source)] for cell, line, source in part["statements"]]
        return {"statements": statements, "modules": [str(module) for module in part["modules"]]}

    return {"narrow": listed(plan["narrow"]), "why": str(plan["why"])[:LONGEST],
            "wide": listed(plan["wide"]) if plan["wide"] else None}


def mark_exercise(exercise, cells, plan, use):
    """The record of one exercise."""
    task, started = exercise.task, time.perf_counter()
    row = {"id": task.id, "title": task.title, "kind": task.kind, "of": task.points, "mistake": "", "text": "",
           "passed": [], "seconds": 0.0}
    if task.kind == "predictor":
        return row | {"status": "practice", "points": None, "of": 0}
    if plan is None:
        return row | {"status": "crashed", "points": None, "text": "the notebook could not be read as a program"}
    best = None
    for part in ("narrow", "wide"):
        if plan[part] and plan[part]["statements"] and (best is None or is_open(best)):
            found = examine_in_box(exercise, plan[part], use)
            best = found if best is None or sum(found["passed"]) > sum(best["passed"]) else best
    if best is None:
        best = {"status": "missing", "mistake": "", "passed": [], "text": plan["why"] or f"nothing defines {task.name}"}
    share = sum(best["passed"]) / len(best["passed"]) if best["passed"] else 0.0
    if use.assignment.policy == "strict":
        share = float(share == 1)
    lost = best["status"] in ("timed out", "crashed") and not share
    best["points"] = None if lost else round(task.points * share, 2)
    return row | best | {"seconds": round(time.perf_counter() - started, 3)}


def is_open(found):
    """Whether a second try, with more of the notebook, may find more than the first."""
    return found["status"] in ("failed", "missing") and not found["mistake"]


def examine_in_box(exercise, part, use):
    """Set the exercise up in a box, ask every question, and judge: what a record says of it."""
    task, questions = exercise.task, exercise.questions(use.assignment.seed)
    outcomes, errors, ended = [], [], ""
    with (visit := use.visit(frameworks_of(exercise, part))):
        try:
            answer = visit.ask({"do": "set up", "task": asdict(task), **part, "seconds": use.assignment.seconds},
                               use.assignment.set_up)
            errors = [str(error)[:200] for error in answer["errors"]]
            for question in questions:
                case = {"do": "ask", "inputs": question.case.inputs, "init": question.case.init,
                        "weights": question.case.weights}
                outcomes.append(outcome_of(visit.ask(case, 1.5 * task.seconds + 2)))
                if outcomes[-1].status in ("missing", "timed out"):
                    outcomes += [outcomes[-1]] * (len(questions) - len(outcomes))
                    break  # no need to wait in every case
        except wire.TooLate:
            ended = "timed out"
        except (wire.Broken, KeyError, TypeError, ValueError) as error:
            ended = f"crashed: {error}"
    use.memory = max(use.memory, visit.memory)
    if ended.startswith("crashed") and visit.ended != "asked":
        ended += f" ({visit.ended})"
    if visit.ended == "memory":
        ended = f"crashed: it took more than {use.assignment.memory / 2**30:.3g} GiB of memory"
    message = "It was stopped: it took too long." if ended == "timed out" else ended.partition(": ")[2]
    outcomes += [Outcome("timed out" if ended == "timed out" else "raised", message=message)] * (
        len(questions) - len(outcomes))
    verdict = judge(task, questions, outcomes)
    status, text = verdict.status, verdict.text
    if status == "failed" and (ended or any(outcome.status == "timed out" for outcome in outcomes)):
        status = ended.partition(":")[0] or "timed out"
    if status in ("missing", "failed") and errors:
        text = "; ".join(filter(None, [text, "before that, " + ", ".join(errors)]))
    return {"status": status, "mistake": verdict.mistake, "text": text[:LONGEST],
            "passed": list(map(bool, verdict.passed))}


def frameworks_of(exercise, part):
    """What the box for an exercise has imported beforehand."""
    packages = {name for module in part["modules"] for name in module.split(".")[:2]}
    keras = {"keras", "tensorflow"} & packages
    torch = "torch" in packages or exercise.framework == "torch"
    return tuple(["torch"] * bool(torch) + ["keras"] * bool(keras))


def outcome_of(answer):
    """The Outcome that a box's answer claims, every field of the type that it should be; raises ValueError."""
    if not isinstance(answer, dict) or answer.get("status") not in STATUSES:
        raise ValueError("the answer is no outcome")
    if answer["status"] == "answered":
        expect_plain(answer["answer"])
    changed = tuple(str(name)[:100] for name in answer["changed"])
    return Outcome(answer["status"], answer["answer"] if answer["status"] == "answered" else None,
                   str(answer["message"])[:LONGEST], changed)


def expect_plain(value):
    """Raise ValueError unless the answer is an array, a text, or a tuple of these, with PARTS parts at most, DEEPEST
    levels."""
    waiting, parts = [(value, 0)], 0
    while waiting:
        part, depth = waiting.pop()
        parts += 1
        if isinstance(part, tuple) and part and parts + len(part) <= PARTS and depth < DEEPEST:
            waiting += [(inner, depth + 1) for inner in part]
        elif not (isinstance(part, np.ndarray) or isinstance(part, str) and len(part) <= LONGEST):
            raise ValueError("the answer is no array, no text and no tuple of a few of these")
