"""Compiled exercises: questions with their right and mistaken answers as JSON and plain arrays, without any solution.

`save` writes one lecture as lecture_NN.json and lecture_NN.npz; `load` reads them back as objects that a check uses
like an Exercise. `pack` and `unpack` turn plain values into JSON and numbered arrays, and back; nothing is pickled.
"""

import json
from dataclasses import asdict, dataclass

import numpy as np

from coursekit.exercises.call import Case, Outcome
from coursekit.exercises.compare import Question
from coursekit.exercises.exercise import Task


@dataclass(eq=False)
class Compiled:
    """An exercise as it ships to learners: the same public questions every time, and no worked solution."""

    task: Task
    stored: list
    solution: str = ""
    explanation: str = ""

    def questions(self, seed=0):
        return self.stored


def save(exercises, path):
    arrays, records = [], []
    for exercise in exercises:
        questions = [{
            "inputs": question.case.inputs, "init": question.case.init, "weights": question.case.weights,
            "sizes": question.sizes, "expected": question.expected, "tolerance": question.tolerance,
            "mistaken": {name: [outcome.status, outcome.answer] for name, outcome in question.mistaken.items()},
        } for question in exercise.questions()]
        records.append(pack({"task": asdict(exercise.task), "questions": questions}, arrays))
    path.with_suffix(".json").write_text(json.dumps(records, indent=1), encoding="utf-8")
    np.savez_compressed(path.with_suffix(".npz"), *arrays)


def load(path):
    with np.load(path.with_suffix(".npz"), allow_pickle=False) as stored:
        arrays = [stored[f"arr_{index}"] for index in range(len(stored.files))]
    exercises = []
    for record in unpack(json.loads(path.with_suffix(".json").read_text(encoding="utf-8")), arrays):
        questions = [Question(
            Case(question["inputs"], question["init"], question["weights"]), question["sizes"], question["expected"],
            question["tolerance"], {name: Outcome(*outcome) for name, outcome in question["mistaken"].items()},
        ) for question in record["questions"]]
        exercises.append(Compiled(Task(**record["task"]), questions))
    return exercises


def pack(value, arrays):
    """The value as JSON, its arrays appended to `arrays` and replaced by their numbers."""
    if isinstance(value, np.ndarray):
        arrays.append(value)
        return {"array": len(arrays) - 1}
    if isinstance(value, tuple):
        return {"tuple": [pack(part, arrays) for part in value]}
    if isinstance(value, list):
        return [pack(part, arrays) for part in value]
    if isinstance(value, dict):
        return {"dict": {name: pack(part, arrays) for name, part in value.items()}}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise ValueError(f"{type(value).__name__} is no plain value")


def unpack(value, arrays):
    if isinstance(value, list):
        return [unpack(part, arrays) for part in value]
    if isinstance(value, dict):
        (kind, content), = value.items()
        if kind == "array":
            return arrays[content]
        parts = unpack(content if kind == "tuple" else list(content.values()), arrays)
        return tuple(parts) if kind == "tuple" else dict(zip(content, parts))
    return value
