"""The class's grades in the forms that Canvas, Moodle, Gradescope and spreadsheets read."""

import csv
import io
import json
import re
import secrets
import shlex
import tempfile
import zipfile
from pathlib import Path

from coursekit.exercises import library
from coursekit.exercises.build import build_wheel
from coursekit.files import replace_file
from coursekit.grading.records import grade_of, number

UNSEEN = r"[\s\u00ad\u061c\u180e\u200b-\u200f\u2060-\u2064\ufeff]*"
# A sign at the start of a cell, in any width; also after a semicolon, which separates cells in half of Europe.
FORMULA = re.compile(rf"(^|;)(?={UNSEEN}[=+\-@＝＋－＠﹢﹣﹦﹫].)")
PLAIN_NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?")
CANVAS_IDENTITY = ("Student", "ID", "SIS User ID", "SIS Login ID", "Section")
MOODLE_WORKSHEET = ("Identifier", "Full name", "Email address", "Status", "Grade", "Maximum Grade",
                    "Grade can be changed", "Last modified (submission)", "Last modified (grade)", "Feedback comments")


def cell(value):
    """A value as a spreadsheet's cell: numbers are numbers, and no text is a formula. Line breaks become spaces."""
    if value is None or isinstance(value, (int, float)):
        return number(value)
    text = " ".join(value.split())
    return text if PLAIN_NUMBER.fullmatch(text) else FORMULA.sub(r"\1'", text)


def csv_text(rows):
    """Rows as RFC 4180 writes them."""
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\r\n").writerows([cell(value) for value in row] for row in rows)
    return buffer.getvalue()


class GradeRows:
    """The lines of grades.csv: fed one record after another, written once all exercises are known."""

    HEADER = ("learner", "name", "file", "status", "points", "of", "deducted", "days late")

    def __init__(self):
        self.exercises, self.rows = {}, []

    def add(self, record):
        points = {row["id"]: row["points"] for row in record["exercises"]}
        self.exercises.update(dict.fromkeys(points))
        mistakes = "; ".join(f"{row['id']}: {row['mistake']}" for row in record["exercises"] if row["mistake"])
        self.rows.append(([record["learner"], record["name"], record["file"], record["status"], grade_of(record),
                           record["of"], record["deducted"], record["days_late"]], points, mistakes))

    def text(self):
        rows = ([*start, *(points.get(id) for id in self.exercises), mistakes] for start, points, mistakes in self.rows)
        return csv_text([[*self.HEADER, *self.exercises, "mistakes"], *rows])


def canvas_text(grades, total, title, roster, names):
    """Canvas's gradebook import. grades: {learner: points or None}; None leaves the cell empty.

    From a roster that is Canvas's own export, the identifying columns are kept as they are, and a column that is called
    `title`, with Canvas's number behind it, is taken. Points possible are stated for a new column only.
    """
    if roster and roster.kind == "canvas":
        identity = roster.header[:roster.header.index("Section") + 1] if "Section" in roster.header else CANVAS_IDENTITY
        known = [column for column in roster.header if re.sub(r" \(\d+\)$", "", column) == title]
        people = [(person.id, [person.row.get(column, "") for column in identity]) for person in roster.people]
    else:
        identity, known = CANVAS_IDENTITY, []
        people = [(person.id, [person.name, person.id, "", "".join(person.logins[:1]), ""])
                  for person in roster.people] if roster else [(key, [name, key, "", "", ""])
                                                              for key, name in names.items()]
    possible = ["Points Possible", *[""] * (len(identity) - 1), "" if known else total]
    return csv_text([[*identity, known[0] if known else title], possible,
                     *([*columns, grades.get(key)] for key, columns in people)])


def moodle_text(grades, total, roster, names):
    """Moodle's grading worksheet. Where the worksheet has another maximum, the points are scaled to it; None leaves the
    cell empty."""
    if roster and roster.kind == "moodle":
        header = [*roster.header, *(["Grade"] if "Grade" not in roster.header else [])]
        return csv_text([header, *([grade_to(grades.get(person.id), total, person.row.get("Maximum Grade", ""))
                                    if column == "Grade" else person.row.get(column, "") for column in header]
                                   for person in roster.people)])
    emails = {person.id: next((login for login in person.logins if "@" in login), "")
              for person in (roster.people if roster else ())}
    people = {person.id: person.name for person in roster.people} if roster else names
    rows = ([f"Participant {key}" if key.isdigit() else key, name, emails.get(key, ""), "", grades.get(key), total,
             "Yes", "-", "-", ""] for key, name in people.items())
    return csv_text([MOODLE_WORKSHEET, *rows])


def grade_to(grade, total, maximum):
    """Points of `total` as points of Moodle's maximum, such as "100.00" or "100,00", where that is a number."""
    if grade is None or not total or not PLAIN_NUMBER.fullmatch(maximum):
        return grade
    return grade * float(maximum.replace(",", ".")) / total


def gradescope_text(record):
    """Gradescope's results.json. A submission of which nothing was graded has no score there, so that Gradescope asks
    the staff instead of writing a zero."""
    grade, late = grade_of(record), record["deducted"]
    words = [record["message"], f"{number(late)} points were deducted for lateness." if late else ""]
    if grade is None:
        words.insert(0, f"Not graded ({record['status']}).")
    tests = []
    for row in record["exercises"]:
        score = {"score": row["points"], "max_score": row["of"]} if row["points"] is not None else {}
        lines = [row["status"], f"{sum(row['passed'])} of {len(row['passed'])} cases passed" if row["passed"] else "",
                 f"This looks like: {row['mistake']}" if row["mistake"] else "", row["text"]]
        tests.append({"name": f"{row['id']} {row['title']}", "name_format": "text", **score,
                      "status": "passed" if row["status"] == "passed" else "failed",
                      "output": "\n".join(filter(None, lines)), "output_format": "text", "visibility": "visible"})
    total = {"score": grade} if grade is not None else {}
    return json.dumps({**total, "output": "\n".join(filter(None, words)), "output_format": "text",
                       "visibility": "visible", "stdout_visibility": "hidden",
                       "tests": tests if grade is not None else []}) + "\n"


SETUP = """\
#!/usr/bin/env bash
# Gradescope runs this once, as root, when it builds the image.
set -euo pipefail
apt-get update
for version in 3.13 3.12 3.11; do
    if apt-get install -y "python$version" "python$version-venv"; then break; fi
done
"python$version" -m venv /opt/coursekit
/opt/coursekit/bin/pip install torch --index-url https://download.pytorch.org/whl/cpu
/opt/coursekit/bin/pip install "/autograder/source/{wheel}[{extras}]"
# The wheel holds the solutions and run_autograder the seed: root's alone. Submissions run as another user.
chmod -R go-rwx /autograder/source /opt/coursekit/lib/python*/site-packages/coursekit
"""
RUN = """\
#!/usr/bin/env bash
# Gradescope runs this as root for every submission.
set -euo pipefail
chmod go-rwx /autograder/run_autograder
work=$(mktemp -d)
mkdir -p "$work/submissions/submission_1"
cp -rP /autograder/submission/. "$work/submissions/submission_1/"
/opt/coursekit/bin/coursekit grade "$work/submissions" --out "$work/report" --box uid \\
    --lecture {lecture} --seed {seed} --policy {policy}
cat "$work"/report/gradescope/*.json > /autograder/results/results.json
"""


def autograder(lecture, out, *, seed=None, policy="strict", extras=("torch", "tensorflow")):
    """Write autograder-<lecture>.zip for Gradescope into the folder `out` and return its path.

    It holds the wheel with solutions and the seed of the hidden inputs (drawn anew where it is None), so it is the
    instructor's alone; in Gradescope's container, only root can read them. extras: of coursekit, which Gradescope
    installs; without TensorFlow the image is smaller, and an answer in Keras fails. Raises ValueError for an unknown
    lecture or policy.
    """
    if lecture not in library.lectures():
        raise ValueError(f"unknown lecture {lecture!r}: the lectures are {', '.join(library.lectures())}")
    if policy not in ("strict", "proportional"):
        raise ValueError(f"the policy is {policy!r}, expected strict or proportional")
    seed = secrets.randbelow(2**32) if seed is None else seed
    with tempfile.TemporaryDirectory() as folder:
        wheel = build_wheel(folder, solutions=True)
        scripts = {"setup.sh": SETUP.format(wheel=wheel.name, extras=",".join(["grading", *extras])),
                   "run_autograder": RUN.format(lecture=shlex.quote(lecture), seed=int(seed), policy=policy)}
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in scripts.items():
                info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
                info.create_system, info.external_attr = 3, 0o100700 << 16
                archive.writestr(info, text)
            archive.write(wheel, wheel.name)
    path = Path(out) / f"autograder-{lecture}.zip"
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, buffer.getvalue())
    return path
