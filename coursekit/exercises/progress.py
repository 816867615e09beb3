"""What a learner has done, in a small local file; no grade ever looks at it."""

import json
import os
import sys
from contextlib import suppress
from pathlib import Path

from coursekit.exercises import library
from coursekit.exercises.card import Block, Card, points, show_card


def location():
    """The file: COURSEKIT_PROGRESS, or the platform's place for an application's state. An empty variable is as good as
    none. Raises RuntimeError where nobody knows the home folder."""
    if os.environ.get("COURSEKIT_PROGRESS"):
        return Path(os.environ["COURSEKIT_PROGRESS"])
    if sys.platform == "win32":
        folder = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local")
    elif sys.platform == "darwin":
        folder = Path.home() / "Library/Application Support"
    else:
        folder = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state")
    return folder / "coursekit" / "progress.json"


def load():
    """{exercise id: {"passed": bool, "hints": int}}, without damaged entries; empty where there is no readable file."""
    try:
        stored = json.loads(location().read_text(encoding="utf-8")).items()
    except (OSError, ValueError, AttributeError, RuntimeError):  # RuntimeError: no home folder, or nested too deeply
        return {}
    entries = {}
    for id, entry in stored:
        with suppress(TypeError, KeyError, ValueError, OverflowError):  # OverflowError: JSON's Infinity
            entries[id] = {"passed": bool(entry["passed"]), "hints": max(0, int(entry["hints"]))}
    return entries


def update(id, **changes):
    """Record something about one exercise. A disk that is full or read-only must not stop anybody from learning."""
    stored = load()
    stored[id] = {"passed": False, "hints": 0, **stored.get(id, {}), **changes}
    with suppress(OSError, ValueError, RuntimeError):  # ValueError: a path without a name, such as /
        path = location()
        beside = path.with_name(f"{path.name}.{os.getpid()}")
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            beside.write_text(json.dumps(stored, indent=1), encoding="utf-8")
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)  # it stays behind where `path` is a folder


def progress():
    """Show what is done and what is next, lecture by lecture. The file is COURSEKIT_PROGRESS or, by default, in the
    platform's folder for application state."""
    stored, lines, following, earned, total = load(), [], None, 0, 0
    for lecture in library.lectures():
        tasks = [exercise.task for exercise in library.exercises(lecture)]
        lines.append(f"Lecture {lecture}")
        for task in tasks:
            passed = stored.get(task.id, {}).get("passed", False)
            earned, total = earned + passed * task.points, total + task.points
            following = following or (None if passed else task)
            state = "[done]" if passed else "[tried]" if task.id in stored else "[    ]"
            lines.append(f"  {state:7} {task.id:22} {points(task):8} {task.minutes:3} min  {task.title}")
    ahead = f"Next: {following.id}, {following.title}." if following else "Everything is done."
    show_card(Card("note", "Your progress", f"{earned} of {total} points", [ahead, Block("\n".join(lines))]))
