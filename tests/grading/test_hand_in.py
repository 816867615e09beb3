"""From hand-out to mark: a lecture as it was handed out, answered, and saved by programs that treat notebooks in their own
ways, gets all its points."""

import json
import random

import nbformat
import pytest

from coursekit.exercises import library
from coursekit.grading.handout import handout
from coursekit.grading.mark import Assignment, mark


@pytest.fixture(scope="module")
def answered(tmp_path_factory):
    """The cells of hand-out 05 with the worked solutions in place of the starters."""
    path = handout("05", tmp_path_factory.mktemp("handout"), source="coursekit")
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    answers = {exercise.task.starter.strip(): exercise.solution if exercise.kind in ("function", "class")
               else f"{exercise.task.name} = {exercise.right()!r}" for exercise in library.exercises("05")}
    for cell in cells:
        cell["source"] = "".join(cell["source"])
        cell["source"] = answers.pop(cell["source"].strip(), cell["source"])
    assert not answers
    return cells


def as_saved(cells):
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}


def by_colab(cells):
    """No ids, other metadata, sources as lists of lines, a widget's state."""
    cells = [{"cell_type": cell["cell_type"], "source": cell["source"].splitlines(True),
              "metadata": {"id": f"x{index}", "outputId": "y"}} | ({"execution_count": index, "outputs": []}
              if cell["cell_type"] == "code" else {}) for index, cell in enumerate(cells)]
    return {"nbformat": 4, "nbformat_minor": 0, "metadata": {"colab": {"provenance": []}}, "cells": cells}


def by_jupyterlab(cells):
    notebook = nbformat.from_dict(as_saved([dict(cell, id=f"new-{index}") for index, cell in enumerate(cells)]))
    return json.loads(nbformat.writes(notebook))


def without_metadata(cells):
    return {"cells": [{"cell_type": cell["cell_type"], "source": cell["source"]} for cell in cells]}


def split(cells):
    """Every code cell in two, where a blank line at the margin allows it."""
    parts = []
    for cell in cells:
        head, gap, tail = cell["source"].partition("\n\n\n")
        parts += [dict(cell, source=head), dict(cell, source=tail)] if gap and cell["cell_type"] == "code" else [cell]
    return as_saved(parts)


def copied(cells):
    return as_saved([*cells, *cells])


def moved(cells):
    """Imports stay in front, where a notebook runs; all else in another order."""
    rest = cells[6:]
    random.Random(0).shuffle(rest)
    return as_saved([*cells[:6], *rest])


def merged(cells):
    return as_saved([dict(cells[2], source="\n".join(cell["source"] for cell in cells if cell["cell_type"] == "code"
                                                     and not cell["source"].lstrip().startswith("%")))])


def code_alone(cells):
    return as_saved([cell for cell in cells if cell["cell_type"] == "code"])


@pytest.mark.parametrize("saved", [as_saved, by_colab, by_jupyterlab, without_metadata, split, copied, moved, merged,
                                   code_alone])
def test_all_points_whoever_saved_it(saved, answered, boxes):
    cells = json.loads(json.dumps(answered))
    made = mark(json.dumps(saved(cells)).encode(), Assignment("05", 77), boxes)
    assert [(row["id"], row["status"], row["text"]) for row in made["exercises"] if row["status"] != "passed"] == []
    assert (made["status"], made["points"]) == ("graded", 14)
