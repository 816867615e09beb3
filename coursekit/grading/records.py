"""What a class's grading wrote: results*.jsonl in the report's folder, read one record at a time."""

import hashlib
import json
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from coursekit.grading.collect import shown
from coursekit.grading.roster import read as read_roster

LONGEST = 4000  # characters of a line of text
RULES = ("lecture", "seed", "policy", "box", "coursekit")
NEEDED = {*RULES, "learner", "name", "file", "content", "status", "message", "points", "of", "days_late", "deducted",
          "exercises"}


@dataclass(frozen=True)
class Place:
    """Where a record stands. number: of its learner, by first appearance, so that it stays as records are added."""

    path: Path
    offset: int
    learner: str
    name: str
    number: int

    @property
    def slug(self):
        """A file name that is this learner's alone and holds no text of theirs."""
        return f"{self.number:05d}-{hashlib.sha256(self.learner.encode()).hexdigest()[:12]}"


class Records:
    """The records of a folder. Iterating gives (Place, record) of every learner, sorted by name; a learner's last line
    counts, `duplicates` are the records of hand-ins that do not.

    Where the folder has an assignment.json, lines of other rules, from an earlier run, are passed over. A line that a
    kill cut short is left out, and `damaged` counts such lines. Only places are held in memory.
    """

    def __init__(self, folder):
        folder = Path(folder)
        self.paths = sorted(folder.glob("results*.jsonl"))
        if not self.paths:
            raise ValueError(f"{folder} has no results.jsonl: nothing was graded into it")
        roster = folder / "roster.csv"
        self.roster = read_roster(roster) if roster.exists() else None
        self.damaged, self.places, self.duplicates = 0, {}, {}
        self.rules = rules_of(folder / "assignment.json")
        numbers = {}
        for path in self.paths:
            for offset, record in self.lines(path):
                learner = record["learner"]
                place = Place(path, offset, learner, record["name"], numbers.setdefault(learner, len(numbers) + 1))
                if record["status"] == "duplicate":
                    self.duplicates[learner, record["file"]] = place
                else:
                    self.places[learner] = place
        self.order = sorted(self.places.values(), key=lambda place: (plain_letters(place.name), place.learner))

    def lines(self, path):
        """(offset, record) of every whole line under the rules."""
        offset = 0
        with path.open("rb") as file:
            for line in file:
                record = parsed(line)
                if record is None:
                    self.damaged += bool(line.strip())
                elif all(record[name] == value for name, value in self.rules.items()):
                    yield offset, record
                offset += len(line)

    def read(self, place):
        with place.path.open("rb") as file:
            file.seek(place.offset)
            return parsed(file.readline())

    def __len__(self):
        return len(self.order)

    def __iter__(self):
        for place in self.order:
            yield place, self.read(place)


def plain_letters(name):
    """A name to sort by: Öztürk stands with the other names in O."""
    letters = unicodedata.normalize("NFKD", name.casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def rules_of(path):
    stored = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return {name: stored[name] for name in RULES if name in stored}


def parsed(line):
    """The record in a line, all its text fit for people; None where it holds no record."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return readable(record) if isinstance(record, dict) and NEEDED <= set(record) else None


def readable(value):
    """The same, without characters that turn the direction of what follows, are invisible, or are none."""
    if isinstance(value, str):
        return "\n".join(shown(line, LONGEST) for line in value.split("\n"))
    if isinstance(value, list):
        return [readable(item) for item in value]
    if isinstance(value, dict):
        return {key: readable(item) for key, item in value.items()}
    return value


def grade_of(record):
    """What counts: the points less what lateness took; None where nothing was graded, which is no zero."""
    return None if record["points"] is None else round(record["points"] - record["deducted"], 2)


def number(value):
    """A number as people write it: 7 and 7.5, at most two decimals, and nothing for None."""
    return "" if value is None else f"{round(value, 2):.2f}".rstrip("0").rstrip(".")
