"""How fast a class is graded, whether memory stays flat, and nbgrader beside it where it is installed.

    python benchmarks/grading.py                  # 100 submissions a lecture, one box and one box per core
    python benchmarks/grading.py --many 10000     # memory of the grader while it grades so many

Submissions are a whole lecture with right answers, a wrong one or the empty hand-out, each with other bytes. nbgrader
grades notebooks with one NumPy exercise, and so do we beside it; it is taken from the PATH, since it need not be installed
in this environment. It runs a submission as the instructor; ours is in its box.
"""

import argparse
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from coursekit.exercises import library
from coursekit.grading.batch import grade_class, records
from coursekit.notebooks import NOTEBOOKS
from coursekit.results import record

LECTURES = {"01": "NumPy", "05": "PyTorch"}
CLASS = 100
ONE, FEW = "02.context_vector", 8  # the exercise and the class beside nbgrader
COLUMNS = {"Graded by": "{by}", "Submissions": "{submissions:d} of {what}", "Exercises each": "{exercises:d}",
           "Boxes at once": "{boxes:d}", "Seconds": "{seconds:.1f}", "Submissions a second": "{rate:.2f}"}
CAPTION = ("The seconds that pass in a whole run: starting the boxes, importing the frameworks, drawing the hidden inputs, "
           "grading, records. Nine in ten submissions are right, one in ten is the empty hand-out.")


def hand_ins(lecture, count, folder):
    """Write so many notebooks of a lecture, answered, without outputs."""
    source = json.loads(next(NOTEBOOKS.glob(f"{lecture}_*.ipynb")).read_text(encoding="utf-8"))
    answers = {exercise.task.starter.strip(): answer_of(exercise) for exercise in library.exercises(lecture)
               if exercise.kind != "predictor"}
    empty = [cell | ({"outputs": [], "execution_count": None} if cell["cell_type"] == "code" else {})
             for cell in source["cells"]]
    solved = [cell | {"source": answers.get("".join(cell["source"]).strip(), cell["source"])} for cell in empty]
    folder.mkdir(parents=True)
    for index in range(count):
        name = {"cell_type": "markdown", "metadata": {}, "source": f"Handed in by number {index}."}
        cells = empty if index % 10 == 9 else solved
        (folder / f"{index:05d}.ipynb").write_text(json.dumps(source | {"cells": [name, *cells]}), encoding="utf-8")


def answer_of(exercise):
    if exercise.kind in ("function", "class"):
        return exercise.solution
    return f"{exercise.task.name} = {exercise.right()!r}"


def ours(lecture, count, boxes, folder):
    hand_ins(lecture, count, folder / "submissions")
    return row(f"coursekit, bubblewrap, {LECTURES[lecture]}", f"lecture {lecture}", folder, count, boxes,
               sum(exercise.kind != "predictor" for exercise in library.exercises(lecture)), lecture)


def row(by, what, folder, count, boxes, exercises, lecture):
    started = time.perf_counter()
    assignment = grade_class(folder / "submissions", folder / "report", lecture, seed=1, workers=boxes)
    seconds = time.perf_counter() - started
    marks = [record["points"] for record in records(folder / "report" / "results.jsonl")]
    full = assignment.of if exercises > 1 else library.find(ONE).points
    expect(marks, full, count)
    return {"by": by, "what": what, "submissions": count, "exercises": exercises, "boxes": boxes,
            "seconds": round(seconds, 2), "rate": round(count / seconds, 2)}


def expect(marks, full, count):
    empty = len(range(9, count, 10))
    if sorted(marks) != [0.0] * empty + [float(full)] * (count - empty):
        raise ValueError(f"the marks are not those of the class: {sorted(set(marks))}, expected 0 and {full}")


# Beside nbgrader: the same answers to one exercise.

TESTS = """\
import numpy as np
weights, values = np.array([[0.25, 0.75]]), np.array([[[1.0, 2.0], [3.0, 4.0]]])
assert np.allclose(context_vector(weights, values), [[2.5, 3.5]])"""


def cell(source, name, **nbgrader):
    about = {"grade_id": name, "schema_version": 3, "locked": False, "grade": False, "solution": False, "task": False}
    return {"cell_type": "code", "id": name, "metadata": {"nbgrader": about | nbgrader}, "outputs": [],
            "execution_count": None, "source": source}


def notebook(answer):
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": kernel, "cells": [
        cell(answer, "answer", solution=True), cell(TESTS, "tests", grade=True, locked=True, points=1)]})


def beside_nbgrader(folder):
    exercise = library.find(ONE)
    answers = [exercise.task.starter if index % 10 == 9 else exercise.solution for index in range(FEW)]
    for index, answer in enumerate(answers):
        for place in (folder / f"submitted/s{index}/ps/ps.ipynb", folder / f"submissions/s{index}.ipynb"):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(notebook(f"{answer}\n# {index}\n"), encoding="utf-8")
    (folder / "source" / "ps").mkdir(parents=True)
    source = notebook(f"### BEGIN SOLUTION\n{exercise.solution}### END SOLUTION\n")
    (folder / "source" / "ps" / "ps.ipynb").write_text(source, encoding="utf-8")
    run = {"cwd": folder, "check": True, "capture_output": True}
    subprocess.run(["nbgrader", "generate_assignment", "ps"], **run)
    started = time.perf_counter()
    subprocess.run(["nbgrader", "autograde", "ps"], **run)
    seconds = time.perf_counter() - started
    done = len(list((folder / "autograded").glob("*/ps/ps.ipynb")))
    if done != FEW:
        raise ValueError(f"nbgrader graded {done} of {FEW} submissions")
    version = subprocess.run(["nbgrader", "--version"], **run).stdout.decode().split()[-1]
    return {"by": f"nbgrader {version}", "what": "one exercise", "submissions": FEW, "exercises": 1, "boxes": 1,
            "seconds": round(seconds, 2), "rate": round(FEW / seconds, 2)}


# Memory.

def with_memory(count, folder):
    """The row of a class, and the grader's own memory in MB when a tenth was done and at the end."""
    sizes, done = [], threading.Event()

    def watch():
        path = folder / "report" / "results.jsonl"
        while not done.wait(1):
            if path.exists():
                graded = sum(1 for _ in path.open("rb"))
                sizes.append((graded, own_memory()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        graded = ours("01", count, os.cpu_count(), folder)
    finally:
        done.set()
        watcher.join()
    early = max(size for graded_then, size in sizes if graded_then <= count // 10)
    return graded, {"submissions": count, "early": early, "most": max(size for _, size in sizes)}


def own_memory():
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def main(many):
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        if many:
            graded, memory = with_memory(many, folder / "many")
            record("grading_memory", [graded | memory], boxes=os.cpu_count(), columns={
                "Submissions": "{submissions:d}", "Grader's memory, first tenth, MB": "{early:.0f}",
                "most, MB": "{most:.0f}"}, caption="Lecture 01, one box per core: the resident memory of the grading "
                                                   "process itself, without the boxes.")
            return
        rows = []
        for lecture in LECTURES:
            for boxes in (1, os.cpu_count()):
                rows.append(ours(lecture, CLASS, boxes, folder / f"{lecture}-{boxes}"))
                print(rows[-1], flush=True)
        if shutil.which("nbgrader"):
            rows.append(beside_nbgrader(folder / "beside"))
            rows.append(row("coursekit, bubblewrap", "one exercise", folder / "beside", FEW, 1, 1, "02"))
        else:
            print("nbgrader is not on the PATH: no row for it")
        record("grading", rows, columns=COLUMNS, caption=CAPTION)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--many", type=int, help="grade so many and store the grader's memory instead")
    main(parser.parse_args().many)
