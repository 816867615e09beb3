"""Whatever a check accepts, grading gives full marks: every exercise in every coding style, through the box."""

import ast
import importlib
import inspect
import json
from pathlib import Path

import pytest

from coursekit.exercises import library
from coursekit.grading.mark import Assignment, mark

from exercise_styles import KERAS_STYLES, STYLES

for file in sorted((Path(__file__).parent.parent / "exercises").glob("styles_*.py")):
    importlib.import_module(file.stem)
GRADED = [exercise for lecture in library.lectures() for exercise in library.exercises(lecture)
          if exercise.kind != "predictor"]
SHARED = "import numpy as np\nfrom numpy import array\nimport torch\nfrom torch import tensor\n"


def notebook(*cells):
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [
        {"cell_type": "code", "source": cell, "metadata": {}, "outputs": [], "execution_count": None}
        for cell in cells]}).encode()


def cells_of(exercise, style):
    """A notebook's cells in which one style is the learner's answer."""
    name = exercise.task.name
    if exercise.kind in ("number", "choice"):
        value = style()
        return [SHARED, f"{name} = " + (f"tensor({value.item()!r})" if is_tensor(value) else repr(value))]
    line = inspect.getsourcelines(style)[1]
    kept = [node for node in ast.parse(Path(inspect.getsourcefile(style)).read_text(encoding="utf-8")).body
            if not isinstance(node, (ast.Expr, ast.For)) and getattr(node, "module", "") != "exercise_styles"]
    for node in kept:  # later styles go, earlier ones may be a base class of this one
        if getattr(node, "decorator_list", None):
            node.name = node.name if node.decorator_list[0].lineno <= line else "later"
            node.decorator_list = []
    return ["\n\n".join(map(ast.unparse, kept)), f"{name} = {style.__name__}"]


def is_tensor(value):
    return type(value).__name__ == "Tensor"


@pytest.mark.parametrize("exercise", GRADED, ids=[exercise.id for exercise in GRADED])
def test_every_style_gets_full_marks(exercise, boxes):
    assignment = Assignment(exercise.id.partition(".")[0], seed=20261127)
    assignment.exercises[:] = [exercise]
    for style in STYLES[exercise.id]:
        row, = mark(notebook(*cells_of(exercise, style)), assignment, boxes)["exercises"]
        if "it is withheld here" in row["text"]:
            assert inspect.getsource(style).count(row["text"].split("Withheld: ")[1].split()[0].rpartition(".")[2]), style
        else:
            assert (row["status"], row["points"], row["text"]) == ("passed", exercise.points, ""), style


@pytest.mark.parametrize("id", sorted(KERAS_STYLES))
def test_keras_layers_get_full_marks(id, boxes):
    assignment = Assignment(id.partition(".")[0], seed=20261127)
    assignment.exercises[:] = [exercise] = [library.find(id)]
    layers = KERAS_STYLES[id]
    common, _ = cells_of(exercise, layers)
    for index in range(len(list(layers()))):
        cells = [common, f"{exercise.task.name} = list({layers.__name__}())[{index}]"]
        row, = mark(notebook(*cells), assignment, boxes)["exercises"]
        assert (row["status"], row["points"], row["text"]) == ("passed", exercise.points, "")
