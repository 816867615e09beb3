"""The report on a graded class: a page for the instructor, a page for each learner, and the exports.

Everything in a record may come from a learner: it is escaped wherever it stands, never stands in an attribute, and the
pages forbid every script, picture and request to themselves.
"""

import base64
import hashlib
import math
import re
import statistics
from collections import Counter, defaultdict
from pathlib import Path

import jinja2
from markupsafe import Markup

from coursekit.files import replace_file
from coursekit.grading import export
from coursekit.grading.records import RULES, Records, grade_of, number

SLUG = re.compile(r"\d{5,}-[0-9a-f]{12}\.(html|json)")
BINS = 19  # the most bars of the histogram
WORDS = {"passed": "Passed", "failed": "Not passed", "not attempted": "Not attempted", "missing": "No answer found",
         "timed out": "Took too long", "crashed": "Ended its process", "practice": "Practice"}
MARKS = {"passed": "✓", "failed": "✗", "practice": "–", "not attempted": "–"}
KINDS = {"passed": "good", "practice": "quiet", "not attempted": "quiet"}
POLICIES = {"strict": "an exercise's points for all of its cases or none",
            "proportional": "an exercise's points by the share of cases passed"}
STATUSES = ("graded", "partly graded", "timed out", "crashed", "unreadable", "missing")
EYE = {  # what needs a look: title and what to do
    "crashed": ("Crashed", "Nothing could be graded. Read the notebook before you run it anywhere."),
    "timed out": ("Timed out", "Nothing could be graded in time. A look at the notebook, or more time."),
    "partly graded": ("Graded in part", "Some exercises have no verdict; the points are those of the others."),
    "unreadable": ("Unreadable", "There is no notebook, or none that can be read. Ask for it again."),
    "missing": ("Missing", "On the roster, and nothing came in. The exports leave the grade empty, not zero."),
    "stranger": ("Not on the roster", "Graded, but in no export that goes by the roster."),
    "late": ("Late", "After the deadline, or late by what the export says."),
    "duplicate": ("Handed in more than once", "One file counts; these do not."),
}


def write(folder, assignment=""):
    """Read results.jsonl in `folder` (and roster.csv, where there is one) and write beside it grades.csv, canvas.csv,
    moodle.csv, index.html, students/*.html and gradescope/*.json.

    assignment: the title of the column in Canvas, "Lecture 05" by default. Raises ValueError where nothing was graded.
    """
    folder = Path(folder)
    records = Records(folder)
    pages, summary, rows, grades, names = Pages(), Summary(records), export.GradeRows(), {}, {}
    for name in ("students", "gradescope"):
        (folder / name).mkdir(exist_ok=True)
    for place, record in records:
        summary.add(place, record)
        rows.add(record)
        grades[place.learner], names[place.learner] = grade_of(record), record["name"]
        put(folder / "students" / f"{place.slug}.html", pages.student(record))
        put(folder / "gradescope" / f"{place.slug}.json", export.gradescope_text(record))
    for place in records.duplicates.values():
        summary.add_duplicate(records, records.read(place))
    title = assignment or f"Lecture {summary.lecture}"
    put(folder / "grades.csv", "\ufeff" + rows.text())
    put(folder / "canvas.csv", export.canvas_text(grades, summary.of, title, records.roster, names))
    put(folder / "moodle.csv", export.moodle_text(grades, summary.of, records.roster, names))
    put(folder / "index.html", pages.class_(summary))
    clear(folder, {place.slug for place in records.order})


def put(path, text):
    """Write a file that is not as it should be already; ten thousand that are unchanged need not reach the disk."""
    content = text.encode()
    if not path.exists() or path.read_bytes() != content:
        replace_file(path, content)


def clear(folder, slugs):
    """Remove the pages of an earlier report that this one does not have."""
    for path in [*(folder / "students").iterdir(), *(folder / "gradescope").iterdir()]:
        if SLUG.fullmatch(path.name) and path.stem not in slugs:
            path.unlink()


class Pages:
    """The templates, with one style sheet that the pages' security policy knows by its hash."""

    def __init__(self):
        self.templates = jinja2.Environment(
            loader=jinja2.PackageLoader("coursekit.grading"), autoescape=True, undefined=jinja2.StrictUndefined,
            trim_blocks=True, lstrip_blocks=True)
        style = self.templates.loader.get_source(self.templates, "style.css")[0]
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        self.templates.globals.update(style=Markup(style), style_hash=digest, words=WORDS, marks=MARKS, kinds=KINDS,
                                      policies=POLICIES)
        self.templates.filters["number"] = number

    def student(self, record):
        counted = [row for row in record["exercises"] if row["status"] != "practice"]
        passed = sum(row["status"] == "passed" for row in counted) if counted else None
        return self.templates.get_template("student.html").render(
            record=record, grade=grade_of(record), passed=passed, counted=len(counted))

    def class_(self, summary):
        return self.templates.get_template("class.html").render({"class": summary})


class Summary:
    """What the class's page says, gathered one record at a time; of each learner it keeps a line."""

    def __init__(self, records):
        self.roster = {person.id for person in records.roster.people} if records.roster else None
        self.damaged = records.damaged
        self.rows, self.points, self.partly = [], [], 0
        self.counts, self.tables, self.settings = Counter(), {}, Counter()
        self.noted = defaultdict(list)
        self.seconds, self.memory, self.of, self.lecture = 0, 0, 0, ""

    def add(self, place, record):
        grade = grade_of(record)
        self.counts[record["status"]] += 1
        self.settings[tuple(record[name] for name in RULES)] += 1
        self.lecture, self.of = record["lecture"], max(self.of, record["of"])
        self.seconds += record.get("seconds", 0)
        self.memory = max(self.memory, record.get("memory", 0) / 1e6)
        if grade is not None:
            self.points.append(grade)
            self.partly += record["status"] == "partly graded"
        passed = sum(row["status"] == "passed" for row in record["exercises"]) if grade is not None else ""
        row = {"slug": place.slug, "name": record["name"], "learner": record["learner"], "status": record["status"],
               "grade": grade, "of": record["of"], "passed": passed, "days_late": record["days_late"]}
        self.rows.append(row)
        self.note(row, record)
        for row in record["exercises"]:
            self.tables.setdefault(row["id"], ExerciseTable(row)).add(row)

    def note(self, row, record):
        line = {"slug": row["slug"], "name": row["name"], "file": record["file"], "message": record["message"]}
        if record["status"] in EYE:
            self.noted[record["status"]].append(line | {"message": record["message"] or stopped(record)})
        if self.roster is not None and row["learner"] not in self.roster:
            self.noted["stranger"].append(line | {"message": f"handed in as {row['learner']}"})
        if record["days_late"]:
            taken = f", {number(record['deducted'])} points taken off" if record["deducted"] else ""
            self.noted["late"].append(line | {"message": f"{plural(record['days_late'], 'day')}{taken}"})
        elif record.get("late") and record.get("when") is None:
            self.noted["late"].append(line)

    def add_duplicate(self, records, record):
        counts = records.places.get(record["learner"])
        if counts:
            self.noted["duplicate"].append({"slug": counts.slug, "name": record["name"], "file": record["file"],
                                            "message": record["message"]})

    @property
    def size(self):
        return len(self.rows)

    @property
    def on_roster(self):
        return len(self.roster or ())

    @property
    def waiting(self):
        return len((self.roster or set()) - {row["learner"] for row in self.rows})

    @property
    def statuses(self):
        known = [(status, self.counts[status]) for status in STATUSES if self.counts[status]]
        return known + [item for item in self.counts.items() if item[0] not in STATUSES]

    @property
    def median(self):
        return statistics.median(self.points)

    @property
    def mean(self):
        return statistics.fmean(self.points)

    @property
    def exercises(self):
        return list(self.tables.values())

    @property
    def eye(self):
        return [{"title": title, "advice": advice, "rows": self.noted[kind]}
                for kind, (title, advice) in EYE.items() if self.noted[kind]]

    @property
    def rules(self):
        return [dict(zip(RULES, settings)) for settings, _ in self.settings.most_common()]

    @property
    def step(self):
        return max(1, math.ceil(self.of / (BINS - 1)))

    @property
    def axis(self):
        return "points, rounded down" if self.step == 1 else f"points, rounded down to a multiple of {self.step}"

    @property
    def bins(self):
        """The bars, in the units of a drawing 400 wide whose base line is at 150. Full points have one of their own if
        the steps come out even."""
        count = math.floor(self.of / self.step) + 1
        heights = Counter(min(max(math.floor(points / self.step), 0), count - 1) for points in self.points)
        width, tallest = 400 / count, max(heights.values())
        bins = []
        for index in range(count):
            low, high = index * self.step, min((index + 1) * self.step, self.of)
            height = round(130 * heights[index] / tallest, 1)
            label = number(low) if low == high else f"{number(low)} to below {number(high)}"
            if index == count - 1 and low != high:
                label = f"{number(low)} to {number(high)}"
            bins.append({"label": label, "short": number(low), "count": heights[index],
                         "x": round(index * width + 2, 1), "width": round(width - 4, 1), "y": round(150 - height, 1),
                         "height": height, "middle": round((index + 0.5) * width, 1)})
        return bins


class ExerciseTable:
    """How one exercise went in the class."""

    def __init__(self, row):
        self.id, self.title = row["id"], row["title"]
        self.practice, self.choice = row["status"] == "practice", row["kind"] == "choice"
        self.counts, self.known, self.texts = Counter(), Counter(), {}

    def add(self, row):
        self.counts[row["status"]] += 1
        if name := row["mistake"]:
            self.known[name] += 1
            # The hint alone is the shortest; a record may add what went wrong before.
            self.texts[name] = min(self.texts.get(name, row["text"]), row["text"], key=len)

    @property
    def passed(self):
        return self.counts["passed"]

    @property
    def failed(self):
        return self.counts["failed"]

    @property
    def without(self):
        return self.counts["not attempted"] + self.counts["missing"]

    @property
    def lost(self):
        return self.counts["timed out"] + self.counts["crashed"]

    @property
    def share(self):
        judged = self.passed + self.failed + self.without
        return round(100 * self.passed / judged) if judged else 0

    @property
    def mistakes(self):
        return [{"name": name, "count": count, "text": self.texts[name]} for name, count in self.known.most_common()]

    @property
    def unknown(self):
        return max(0, self.failed - sum(self.known.values()))


def stopped(record):
    """Why exercises have no verdict, in short."""
    whys = defaultdict(list)
    for row in record["exercises"]:
        if row["status"] in ("timed out", "crashed"):
            whys[row["status"], row["text"][:200]].append(row["id"])
    return "; ".join(f"{', '.join(ids)} {status}" + (f": {text}" if text else "")
                     for (status, text), ids in whys.items())


def plural(count, word):
    return f"{count} {word}{'' if count == 1 else 's'}"
