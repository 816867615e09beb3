"""Finding exercises: those of the package, written or compiled, and an instructor's own from a folder."""

import importlib.util
import os
import re
import sys
from functools import lru_cache
from pathlib import Path

from coursekit.exercises import compiled
from coursekit.exercises.exercise import KNOWN

HERE = Path(__file__).parent


def find(id):
    """The exercise with this id. Raises ValueError that lists what there is."""
    lecture = str(id).partition(".")[0]
    known = {exercise.task.id: exercise for exercise in exercises(lecture)} if lecture in lectures() else {}
    if not isinstance(id, str) or id not in known:
        there = f"lecture {lecture} has {', '.join(known)}" if known else f"the lectures are {', '.join(lectures())}"
        raise ValueError(f"unknown exercise {id!r}: {there}")
    return known[id]


def lectures():
    """The numbers of all lectures with exercises: ["01", "02", ...]."""
    return sorted({path.stem.removeprefix("lecture_") for folder in folders() for path in folder.glob("lecture_*")
                   if re.fullmatch(r"lecture_\d\d\.(py|json)", path.name)})


def folders():
    """The package's own exercises and, if COURSEKIT_EXERCISES names a folder, an instructor's private ones."""
    private = os.environ.get("COURSEKIT_EXERCISES")
    return [HERE, *([Path(private)] if private else [])]


def with_reference(exercise):
    """The exercise, for what needs its reference. Raises ValueError where it is compiled and has none."""
    if isinstance(exercise, compiled.Compiled):
        raise ValueError(f"{exercise.task.id} is compiled: this copy of the course comes without solutions")
    return exercise


def exercises(lecture):
    """All exercises of one lecture, in the order in which they are written."""
    return [exercise for folder in folders() for exercise in load(folder, f"lecture_{lecture}")]


@lru_cache
def load(folder, module):
    if (folder / f"{module}.json").exists():
        return compiled.load(folder / module)
    if not (folder / f"{module}.py").exists():
        return []
    name = f"coursekit.exercises.{module}" if folder == HERE else f"coursekit_private_{module}"
    if name not in sys.modules:
        before = set(KNOWN)
        spec = importlib.util.spec_from_file_location(name, folder / f"{module}.py")
        sys.modules[name] = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(sys.modules[name])
        except BaseException:
            del sys.modules[name]  # so that the mended file can be loaded
            for id in set(KNOWN) - before:
                del KNOWN[id]
            raise
    return [exercise for exercise in KNOWN.values() if exercise.right.__module__ == name]
