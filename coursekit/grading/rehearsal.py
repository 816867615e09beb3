"""A synthetic class of which every mark is known: to rehearse grading before a real class hands in, and to test it.

`rehearse` writes submissions, a roster and truth.json, which says for every student what the notebook holds.
`expected` makes marks of that, without a box, and `disagreements` holds the records of a grading against them.
"""

import ast
import copy
import csv
import inspect
import json
import os
import re
import textwrap
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path
from types import ModuleType

import numpy as np

from coursekit.exercises import library, try_out
from coursekit.exercises.exercise import examine
from coursekit.files import replace_file
from coursekit.grading import hostile

# Every lecture's notebook begins like this; what nothing needs costs nothing when it is graded.
SET_UP = """\
try:
    import coursekit
except ImportError:
    %pip install --quiet coursekit
    import coursekit

coursekit.start(seed=0, threads=1)"""
IMPORTS = """\
import math
import os

os.environ["KERAS_BACKEND"] = "tensorflow"  # read when Keras is imported

import keras
import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from coursekit import reference"""
PLOT = """\
fig, axis = plt.subplots()
axis.plot(np.linspace(0, 1), np.linspace(0, 1) ** 2)
plt.show()"""
TRAINING = """\
import time

model = nn.Linear(8, 8)
for epoch in range(600):  # ten minutes on my machine
    loss = model(torch.randn(4, 8)).square().mean()
    loss.backward()
    time.sleep(1)
print(float(loss))"""

GIVEN = ("Ada", "Zoë", "Nguyễn", "Łukasz", "Fatima", "Jürgen", "Aoife", "Søren", "Chiara", "Dmitri", "Mei",
         "Kofi", "Ana María", "Ömer", "Siobhán", "Yuki", "Noor", "Tāne", "Irène", "Božena")
FAMILY = ("Lee", "O'Brien", "Kovač", "García Márquez", "Nakamura", "Müller", "de la Cruz", "Thị Hà", "Ødegård",
          "Petrov", "Smith-Jones", "Mensah", "Çelik", "Rossi", "Dvořák", "Haddad", "Ferreira", "Wójcik", "Kim",
          "Andersson")
STRANGE = ("=1+1", "<img src=x onerror=alert(1)>", "Robert'); DROP TABLE Students;--", "../../etc/passwd", "-2+3")

DEADLINE = datetime(2027, 1, 15, 12, tzinfo=timezone.utc)
DAY = 86_400  # seconds

# What is done to a notebook's bytes, and whether a notebook can still be read of it.
DAMAGES = {
    "cut in half": (lambda content: content[:len(content) // 2], False),
    "an empty file": (lambda content: b"", False),
    "a picture": (lambda content: b"\x89PNG\r\n\x1a\n" + content[:50], False),
    "a web page": (lambda content: b"<!doctype html><title>Log in</title>", False),
    "a list": (lambda content: b"[" + content + b"]", False),
    "no cells": (lambda content: content.replace(b'"cells"', b'"worksheets"', 1), False),
    "deeply nested": (lambda content: b"[" * 200_000, False),
    "UTF-16": (lambda content: json.dumps(json.loads(content), ensure_ascii=False).encode("utf-16"), True),
    "with a byte order mark": (lambda content: b"\xef\xbb\xbf" + content, True),
}


def rehearse(lecture, out, students=300, seed=0):
    """Write a class for the lecture ("05") into the folder `out`: submissions/, roster.csv and truth.json. The same
    arguments give the same bytes. Returns what truth.json holds.

    In it is every misconception of every exercise with the other answers right, and everything else that comes in:
    right answers in several styles, empty hand-outs, late and repeated ones, damaged ones, none at all, and where
    `hostile.CORPUS` has some for the lecture and there is room, hostile ones.
    Raises ValueError for an unknown lecture, for too few students, and where `out` has submissions already.
    """
    out = Path(out)
    if lecture not in library.lectures():
        raise ValueError(f"unknown lecture {lecture!r}: the lectures are {', '.join(library.lectures())}")
    exercises = [library.with_reference(exercise) for exercise in library.exercises(lecture)]
    graded = [exercise for exercise in exercises if exercise.kind != "predictor"]
    if (out / "submissions").exists():
        raise ValueError(f"{out / 'submissions'} exists already; choose a new folder")
    rng = np.random.default_rng([seed, int(lecture)])
    plans = plans_of(graded, lecture, students, rng)
    writer = Writer(lecture, graded, rng)
    (out / "submissions").mkdir(parents=True)
    truth = {"lecture": lecture, "seed": seed, "deadline": DEADLINE.isoformat(), "students": {}}
    rows = []
    for index, plan in enumerate(plans):
        id, name = f"{index + 1:04}", name_of(index, rng)
        login = re.sub(r"[\W_]+", "_", f"{id}_{name}").strip("_")
        rows.append([id, name, login])
        truth["students"][id] = {"name": name, **plan, "files": writer.write(out / "submissions", login, plan)}
    with (out / "roster.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["id", "name", "username"], *rows])
    replace_file(out / "truth.json", json.dumps(truth, indent=1, ensure_ascii=False) + "\n")
    return truth


def name_of(index, rng):
    if index < len(STRANGE):
        return STRANGE[index]
    return f"{rng.choice(GIVEN)} {rng.choice(FAMILY)}"


def plans_of(exercises, lecture, students, rng):
    """What each student hands in, shuffled: kind, and for each exercise "right", "restyled", "nothing" or the name of a
    misconception."""
    def all_of(answer):
        return {exercise.id: answer for exercise in exercises}

    mistakes = [{"kind": "mistake", "answers": all_of("right") | {exercise.id: name}}
                for exercise in exercises for name in exercise.wrong]
    share = max(2, students // 50)
    plans = [
        *mistakes,
        *({"kind": "damaged", "damage": damage, "answers": all_of("right")} for damage in DAMAGES),
        *({"kind": "missing"} for _ in range(share)),
        *({"kind": "empty", "answers": all_of("nothing")} for _ in range(share)),
        *({"kind": "repeated", "answers": all_of("right")} for _ in range(share)),
        *({"kind": "late", "days": days, "answers": all_of("right")} for days in range(1, share + 1)),
        *({"kind": "restyled", "answers": all_of("restyled")} for _ in range(2)),
    ]
    room = students - len(plans) - 2
    if room < 0:
        raise ValueError(f"{students} students are too few to hold everything once: expected at least {len(plans) + 2}")
    entries = [entry for entry in hostile.CORPUS if entry.lecture == lecture]
    quick = rng.permutation([entry.name for entry in entries if not entry.slow])[:students // 12]
    slow = rng.permutation([entry.name for entry in entries if entry.slow])[:students // 100]
    plans += [{"kind": "hostile", "entry": str(name)} for name in [*slow, *quick][:room]]
    while len(plans) < students:
        kind = rng.choice(["perfect", "restyled", "mixed"], p=[0.3, 0.2, 0.5])
        if kind == "mixed":
            answers = {exercise.id: str(rng.choice(["right", "restyled", "nothing", *exercise.wrong], p=[
                0.4, 0.2, 0.15, *[0.25 / len(exercise.wrong)] * len(exercise.wrong)])) for exercise in exercises}
        else:
            answers = all_of("right" if kind == "perfect" else "restyled")
        plans.append({"kind": str(kind), "answers": answers})
    return [plans[index] for index in rng.permutation(len(plans))]


class Writer:
    """Writes notebooks as learners hand them in."""

    def __init__(self, lecture, exercises, rng):
        self.lecture, self.exercises, self.rng = lecture, {exercise.id: exercise for exercise in exercises}, rng

    def write(self, folder, login, plan):
        """Write the files of one student and return their names, that which counts first."""
        if plan["kind"] == "missing":
            return []
        if plan["kind"] == "repeated":
            names = [f"{login}/{self.lecture}-1.ipynb", f"{login}/{self.lecture}.ipynb"]
            (folder / login).mkdir()
        else:
            names = [f"{login}.ipynb"]
        contents = [self.content(plan), self.notebook({id: "nothing" for id in self.exercises})]
        for name, content in zip(names, contents):
            (folder / name).write_bytes(content)
            # Whoever is late is so by the end of the given day.
            when = DEADLINE.timestamp() + (DAY * plan["days"] - 60 if plan["kind"] == "late" else -DAY)
            os.utime(folder / name, (when, when))
        return names

    def content(self, plan):
        if plan["kind"] == "hostile":
            return next(entry for entry in hostile.CORPUS if entry.name == plan["entry"]).content()
        content = self.notebook(plan["answers"])
        return DAMAGES[plan["damage"]][0](content) if plan["kind"] == "damaged" else content

    def notebook(self, answers):
        cells = [("markdown", f"# {self.lecture}"), ("code", SET_UP), ("code", IMPORTS), ("code", PLOT),
                 ("code", TRAINING)]
        for id, answer in answers.items():
            cells.append(("markdown", asked(id)))
            cells += [("code", text) for text in cells_of(self.exercises[id], answer, self.rng)]
            cells.append(("code", f'coursekit.check("{id}")'))
        return as_json(cells)


@lru_cache(maxsize=None)
def asked(id):
    """What an exercise asks, as in its lecture."""
    text = try_out.cells(id).partition("\n# %%\n")[0].removeprefix("# %% [markdown]\n")
    return re.sub(r"(?m)^# ?", "", text)


def as_json(cells):
    """A notebook of (kind, text) pairs, as Jupyter writes it."""
    made = []
    for index, (kind, text) in enumerate(cells):
        cell = {"cell_type": kind, "id": f"cell-{index}", "metadata": {}, "source": text.splitlines(keepends=True)}
        made.append(cell | {"execution_count": None, "outputs": []} if kind == "code" else cell)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return json.dumps({"cells": made, "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
                       "nbformat": 4, "nbformat_minor": 5}, indent=1, ensure_ascii=False).encode()


# What a learner wrote.

def cells_of(exercise, answer, rng):
    """The code cells of one answer: the starter where there is nothing, else the definition."""
    if answer == "nothing":
        return [exercise.task.starter]
    if answer == "right":
        return [definition(exercise, exercise.right)]
    if answer == "restyled":
        return restyled(exercise, rng)
    return [definition(exercise, exercise.wrong[answer])]


@lru_cache(maxsize=None)
def definition(exercise, what):
    """The source of the reference or a misconception as a learner's answer: under the exercise's name, with everything
    of the lecture's module that it uses."""
    if exercise.kind in ("number", "choice"):
        return f"{exercise.task.name} = {what()!r}"
    return Standalone(exercise).source(what)


class Standalone:
    """Collects a definition and what it needs. Helpers that are called like an exercise's answer are renamed, since in
    the notebook that name is the learner's."""

    def __init__(self, exercise):
        self.name = exercise.task.name
        self.module = inspect.getmodule(exercise.right)
        self.tree = ast.parse(inspect.getsource(self.module))
        self.answers = {other.task.name for other in library.exercises(exercise.id[:2])}
        self.imports, self.helpers = {}, {}

    def source(self, what):
        top = self.define(what, self.name)
        imports = "\n".join(sorted(self.imports.values()))
        return "\n\n\n".join(filter(None, [imports, *self.helpers.values(), top]))

    def define(self, what, name):
        node = self.node_of(what)
        node.decorator_list, node.name = [], name
        if ast.get_docstring(node):
            node.body = node.body[1:]
        enclosed = inspect.getclosurevars(what).nonlocals if inspect.isfunction(what) else {}
        return self.with_needs(node, {what.__name__: name} if what.__name__ != name else {}, enclosed)

    def node_of(self, what):
        if inspect.isfunction(what):
            return ast.parse(textwrap.dedent(inspect.getsource(what))).body[0]
        # Two exercises may have classes of one name, which inspect does not tell apart.
        return copy.deepcopy(next(node for node in self.tree.body if isinstance(node, ast.ClassDef) and
                                  (node.name, ast.get_docstring(node, clean=False)) == (what.__name__, what.__doc__)))

    def with_needs(self, node, renamed, enclosed={}):
        """The node's text, after the names of the lecture's module, or `enclosed`, have become imports or helpers."""
        used = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
        own = {part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}
        own |= {part.arg for part in ast.walk(node) if isinstance(part, ast.arg)}
        for name in sorted(used - own - renamed.keys()):
            if name in enclosed or name in vars(self.module):
                renamed[name] = self.need(name, {**vars(self.module), **enclosed}[name])
        for part in ast.walk(node):
            if isinstance(part, ast.Name) and part.id in renamed:
                part.id = renamed[part.id]
        return ast.unparse(node)

    def need(self, name, value):
        """What a global of the lecture's module is called in the notebook."""
        given = f"{name}_helper" if name in self.answers else name
        if given in self.helpers or given in self.imports:
            return given
        home = getattr(value, "__module__", None)
        if isinstance(value, ModuleType):
            self.imports[name] = f"import {value.__name__} as {name}" if value.__name__ != name else f"import {name}"
        elif callable(value) and home == self.module.__name__:
            self.helpers[given] = None  # while it is being written: it may call itself
            written = self.define(value, given)
            del self.helpers[given]  # what it needs stands before it
            self.helpers[given] = written
        elif callable(value):
            self.imports[name] = f"from {home} import {value.__name__}"
        else:
            constant = next(node for node in self.tree.body if isinstance(node, ast.Assign) and any(
                isinstance(part, ast.Name) and part.id == name for target in node.targets for part in ast.walk(target)))
            written = self.with_needs(constant, {})
            self.helpers[given] = written
        return given


COMMENTS = ("# is this right?", "# see the formula above", "# this took me an hour", "# Zeile für Zeile",
            "# shapes first")


def restyled(exercise, rng):
    """The right answer as another person writes it: an attempt that came to nothing, names of its own, comments."""
    if exercise.kind == "number":
        return [f"{exercise.task.name} = float({exercise.right()!r})  {rng.choice(COMMENTS)}"]
    if exercise.kind == "choice":
        return [f"{exercise.task.name} = \" {exercise.right().upper()} \"  {rng.choice(COMMENTS)}"]
    tree = ast.parse(definition(exercise, exercise.right))
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            rename_locals(node)
    *before, answer = (f"{rng.choice(COMMENTS)}\n{ast.unparse(node)}" for node in tree.body)
    return [*before, exercise.task.starter, answer]


def rename_locals(node):
    """Give the variables that a function assigns names of their own. Those of inner functions and arguments stay."""
    kept = {part.arg for part in ast.walk(node) if isinstance(part, ast.arg)}
    kept |= {name for part in ast.walk(node) if isinstance(part, (ast.Global, ast.Nonlocal)) for name in part.names}
    stored = {part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}
    new = {name: f"my_{name}" for name in stored - kept}
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            part.id = new.get(part.id, part.id)


# What the marks should be.

def expected(truth, seed, policy="strict"):
    """The marks of a rehearsed class: {id: {"status", "points": [least, most], "exercises": {id: {"status", "mistake",
    "points": [least, most]}}}}.

    truth: what truth.json holds. seed, policy: those of the grading. points None: nothing to grade. A status of None
    can be any. Between least and most is what a hostile submission may get.
    """
    marks = Marks(truth["lecture"], seed, policy)
    return {id: marks.of_student(student) for id, student in truth["students"].items()}


class Marks:
    def __init__(self, lecture, seed, policy):
        self.seed, self.policy, self.known = seed, policy, {}
        self.exercises = {exercise.id: exercise for exercise in library.exercises(lecture)}

    def of_student(self, student):
        if student["kind"] == "missing":
            return {"status": "missing", "points": None, "exercises": {}}
        if student["kind"] == "damaged" and not DAMAGES[student["damage"]][1]:
            return {"status": "unreadable", "points": None, "exercises": {}}
        if student["kind"] == "hostile":
            entry = next(entry for entry in hostile.CORPUS if entry.name == student["entry"])
            rows = {id: {"status": None, "mistake": None, "points": [points * entry.stands, points]}
                    for id, points in entry.honest.items()}
        else:
            rows = {id: self.of_answer(self.exercises[id], answer) for id, answer in student["answers"].items()}
        points = [round(sum(row["points"][end] for row in rows.values()), 2) for end in (0, 1)]
        return {"status": None if student["kind"] == "hostile" else "graded", "points": points, "exercises": rows}

    def of_answer(self, exercise, answer):
        if (exercise.id, answer) not in self.known:
            self.known[exercise.id, answer] = self.row(exercise, answer)
        return self.known[exercise.id, answer]

    def row(self, exercise, answer):
        points = exercise.points
        if answer in ("right", "restyled"):
            return {"status": "passed", "mistake": "", "points": [points, points]}
        if answer == "nothing":
            return {"status": "not attempted", "mistake": "", "points": [0, 0]}
        verdict = examine(exercise, exercise.namespace(exercise.wrong[answer]), self.seed)
        share = sum(verdict.passed) / len(verdict.passed) if self.policy == "proportional" else 0
        got = round(points * share, 2)
        return {"status": "failed", "mistake": answer, "points": [got, got]}


def disagreements(truth, records):
    """Where the records of a grading differ from what the class is known to be, one line each. Days late are compared
    where the grading had a deadline, which should be that of truth.json."""
    if not records:
        return ["there are no records"]
    counted = {record["learner"]: record for record in records if record["status"] != "duplicate"}
    lines = [f"{id}: no such student" for id in sorted(counted.keys() - truth["students"].keys())]
    wanted = expected(truth, records[0]["seed"], records[0]["policy"])
    with_deadline = any(record["days_late"] for record in records)
    for id, mark in wanted.items():
        who = f"{id} ({truth['students'][id].get('entry') or truth['students'][id]['kind']})"
        if id not in counted:
            lines.append(f"{who}: no record")
            continue
        record = counted[id]
        if mark["status"] not in (None, record["status"]):
            lines.append(f"{who}: {record['status']}, expected {mark['status']}")
        if mark["points"] is None and record["points"] is not None:
            lines.append(f"{who}: {record['points']} points, expected none")
        days = truth["students"][id].get("days", 0)
        if with_deadline and record["days_late"] != days:
            lines.append(f"{who}: {record['days_late']} days late, expected {days}")
        rows = {row["id"]: row for row in record["exercises"]}
        for exercise, row in mark["exercises"].items():
            got = rows.get(exercise, {"status": "no record", "mistake": "", "points": None})
            least, most = row["points"]
            if not least <= (got["points"] or 0) <= most:
                lines.append(f"{who} {exercise}: {got['points']} points, expected {least:g}"
                             + f" to {most:g}" * (least != most))
            for key in ("status", "mistake"):
                if row[key] not in (None, got[key]):
                    lines.append(f"{who} {exercise}: {key} {got[key]!r}, expected {row[key]!r}")
    return lines


def compare(folder, report):
    """The disagreements of the grading in the folder `report` with the class in `folder`. Raises ValueError where there
    is no such grading or class."""
    try:
        truth = json.loads((Path(folder) / "truth.json").read_text(encoding="utf-8"))
        lines = (Path(report) / "results.jsonl").read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ValueError(f"{error.filename} cannot be read: {error.strerror}") from error
    return disagreements(truth, [json.loads(line) for line in lines])
