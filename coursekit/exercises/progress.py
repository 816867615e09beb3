"""What a learner has done, in a small local file; no grade ever looks at it."""

import json
import os
import sys
from contextlib import suppress
from pathlib import Path

from coursekit.exercises import library
from coursekit.exercises.card import Block, Card, points, show_card


def location():
    """The file: COURSEKIT_PROGRESS, or the platform's place for an application's state."""
    if "COURSEKIT_PROGRESS" in os.environ:
        return Path(os.environ["COURSEKIT_PROGRESS"])
    if sys.platform == "win32":
        folder = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData/Local"))
    elif sys.platform == "darwin":
        folder = Path.home() / "Library/Application Support"
    else:
        folder = Path(os.environ.get("XDG_STATE_HOME", Path.home() / ".local/state"))
    return folder / "coursekit" / "progress.json"


def load():
    """{exercise id: {"passed": bool, "hints": int}}; empty where there is no readable file."""
    try:
        stored = json.loads(location().read_text(encoding="utf-8"))
        return {id: {"passed": bool(entry["passed"]), "hints": int(entry["hints"])} for id, entry in stored.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def update(id, **changes):
    """Record something about one exercise. A disk that is full or read-only must not stop anybody from learning."""
    stored = load()
    stored[id] = {"passed": False, "hints": 0, **stored.get(id, {}), **changes}
    path = location()
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(json.dumps(stored, indent=1), encoding="utf-8")
        beside.replace(path)


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
