"""Grades as spreadsheets, Canvas, Moodle and Gradescope read them: parsed back, and never a formula."""

import csv
import json
import re
import stat
import subprocess
import unicodedata
import zipfile

import pytest

from coursekit.grading import export
from coursekit.grading.report import write


def exercise(id, points, of, status="passed", mistake="", text="", passed=(True, True), kind="function"):
    return {"id": id, "title": id.title(), "kind": kind, "points": points, "of": of, "status": status,
            "mistake": mistake, "text": text, "passed": list(passed), "seconds": 0.01}


def record(learner, name=None, status="graded", exercises=None, **more):
    """A line of results.jsonl. Without other exercises: 2 of 2 points, and 1.5 of 3 with a known mistake."""
    if exercises is None:
        exercises = [exercise("05.attend", 2.0, 2), exercise("05.masked", 1.5, 3, "failed", "mask upside down",
                                                             "True means may attend.", (True, False))]
    points = [row["points"] for row in exercises if row["points"] is not None]
    return {"key": "k", "learner": learner, "name": name or f"Name {learner}", "file": f"{learner}.ipynb",
            "content": f"hash of {learner}", "lecture": "05", "seed": 987654321, "policy": "proportional",
            "box": "bubblewrap", "coursekit": "0.1.0", "status": status, "message": "", "of": 5, "days_late": 0,
            "points": sum(points) if points else None, "deducted": 0.0, "exercises": exercises, "seconds": 0.3,
            "memory": 10**8, **more}


def report_of(folder, records, roster=None):
    folder.mkdir(exist_ok=True)
    lines = "".join(json.dumps(line) + "\n" for line in records)
    (folder / "results.jsonl").write_text(lines, encoding="utf-8")
    if roster:
        (folder / "roster.csv").write_text("\n".join(roster) + "\n", encoding="utf-8")
    write(folder)
    return folder


def rows_of(path):
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file, strict=True))


CANVAS = ["Student,ID,SIS User ID,SIS Login ID,Section,Lecture 04 (90),Lecture 05 (91),Current Score",
          "    Points Possible,,,,,10,100,(read only)", '"Lee, Anna",12,S1,anna@x.org,"A and B",3,4,50',
          '"Z, Ben",77,S2,ben@x.org,A,,4,', '"D, Cy",78,S3,cy@x.org,A,,,']
MOODLE = ["Identifier,Full name,Email address,Status,Grade,Maximum Grade,Last modified (grade),Feedback comments",
          "Teilnehmer/in 12,Anna Lee,anna@x.org,Submitted,,{maximum},-,",
          "Teilnehmer/in 77,Ben Z,b@x.org,,3,{maximum},-,well"]
UNGRADED = {"status": "crashed", "exercises": []}


def test_grades_one_row_for_each_learner(tmp_path):
    practice = exercise("05.train", None, 0, "practice", passed=())
    folder = report_of(tmp_path / "r", [
        record("2", "Zoë, \"Z\"", deducted=0.7, days_late=2),
        record("1", "Anna", exercises=[exercise("05.attend", 0, 2), practice]),
        record("3", "Mo", **UNGRADED), record("1", "Anna", "duplicate", [], file="old.ipynb")])
    content = (folder / "grades.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbflearner") and content.count(b"\r\n") == content.count(b"\n") == 4
    assert rows_of(folder / "grades.csv") == [
        ["learner", "name", "file", "status", "points", "of", "deducted", "days late", "05.attend", "05.train",
         "05.masked", "mistakes"],
        ["1", "Anna", "1.ipynb", "graded", "0", "5", "0", "0", "0", "", "", ""],
        ["3", "Mo", "3.ipynb", "crashed", "", "5", "0", "0", "", "", "", ""],
        ["2", 'Zoë, "Z"', "2.ipynb", "graded", "2.8", "5", "0.7", "2", "2", "", "1.5", "05.masked: mask upside down"]]


FORMULAS = ["=1+1", "+1+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "\u00a0=1", "\u3000=1",
            "＝1+1", "＋1", "－1", "＠A1", "﹦1", "\u200b=1", "\ufeff=1", "\u202e=1", "a;=1+1", "a; @b", "a\n=1",
            '=HYPERLINK("http://x","y")', "x\x00\n=1"]


def starts_a_formula(text):
    """Whether a spreadsheet may compute this: the first visible sign, narrowed, is one of four, and not alone."""
    visible = [letter for letter in text if not letter.isspace() and unicodedata.category(letter) not in ("Cf", "Cc")]
    return len(visible) > 1 and unicodedata.normalize("NFKC", visible[0])[0] in "=+-@"


def test_what_a_formula_is():
    assert starts_a_formula("\u200b ＝1") and not starts_a_formula("'=1") and not starts_a_formula("Anna-Lee")


@pytest.mark.parametrize("text", FORMULAS, ids=ascii)
def test_no_cell_is_a_formula(tmp_path, text):
    folder = report_of(tmp_path / "r", [record("=7", text, file=text, exercises=[
        exercise("05.attend", 0.0, 2, "failed", text)])])
    for name in ("grades.csv", "canvas.csv", "moodle.csv"):
        rows = rows_of(folder / name)
        assert len({len(row) for row in rows}) == 1
        assert not any(starts_a_formula(part) for row in rows for value in row for part in value.split(";")), name
    header, row = rows_of(folder / "grades.csv")
    assert dict(zip(header, row))["points"] == "0"  # numbers stay numbers


@pytest.mark.parametrize("value, written", [
    ("-5", "-5"), ("+4,5", "+4,5"), ("-", "-"), ("a\r\n\tb", "a b"), ("Anna-Lee", "Anna-Lee"), ("-5 a", "'-5 a"),
    (7.0, "7"), (-1.5, "-1.5"), (20 / 3, "6.67"), (100, "100"), (0, "0"), (None, ""),
])
def test_cells(value, written):
    assert export.cell(value) == written


def test_what_is_no_formula_stays(tmp_path):
    folder = report_of(tmp_path / "r", [record("0042", "O'Neill-Smith, Åsa (=)", file="a-b.ipynb")])
    assert rows_of(folder / "grades.csv")[1][:3] == ["0042", "O'Neill-Smith, Åsa (=)", "a-b.ipynb"]


def test_canvas_keeps_its_columns_and_leaves_the_ungraded_empty(tmp_path):
    folder = report_of(tmp_path / "r", [record("12"), record("77", **UNGRADED), record("999", "Stranger")], CANVAS)
    assert rows_of(folder / "canvas.csv") == [
        ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "Lecture 05 (91)"],
        ["Points Possible", "", "", "", "", ""],  # empty: Canvas would take 5 for the assignment's new maximum
        ["Lee, Anna", "12", "S1", "anna@x.org", "A and B", "3.5"],
        ["Z, Ben", "77", "S2", "ben@x.org", "A", ""],
        ["D, Cy", "78", "S3", "cy@x.org", "A", ""]]


def test_canvas_without_its_own_roster(tmp_path):
    folder = report_of(tmp_path / "r", [record("12", "Anna"), record("77", "Ben", **UNGRADED)])
    assert rows_of(folder / "canvas.csv") == [
        ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "Lecture 05"],
        ["Points Possible", "", "", "", "", "5"], ["Anna", "12", "", "", "", "3.5"], ["Ben", "77", "", "", "", ""]]


@pytest.mark.parametrize("maximum, grade", [("5.00", "3.5"), ("100.00", "70"), ('"10,00"', "7"), ("Scale", "3.5")])
def test_moodle_fills_in_its_own_worksheet(tmp_path, maximum, grade):
    roster = [line.format(maximum=maximum) for line in MOODLE]
    header, *rows = rows_of(report_of(tmp_path / "r", [record("12"), record("77", **UNGRADED)], roster) / "moodle.csv")
    assert header == roster[0].split(",")
    anna, ben = (dict(zip(header, row)) for row in rows)
    assert anna["Identifier"] == "Teilnehmer/in 12" and anna["Grade"] == grade
    assert ben["Grade"] == "" and ben["Feedback comments"] == "well" and ben["Last modified (grade)"] == "-"


def test_moodle_without_its_own_worksheet(tmp_path):
    folder = report_of(tmp_path / "r", [record("12", "Anna")], ["id,name,email", "12,Anna,a@x.org"])
    rows = rows_of(folder / "moodle.csv")
    assert {"Identifier", "Grade", "Last modified (grade)"} <= set(rows[0])  # what Moodle's importer asks for
    assert dict(zip(*rows))["Identifier"] == "Participant 12" and dict(zip(*rows))["Email address"] == "a@x.org"


def gradescope(folder):
    return [json.loads(path.read_text()) for path in sorted((folder / "gradescope").iterdir())]


def test_gradescope_results(tmp_path):
    late = record("1", deducted=0.5, days_late=1, message="a note")
    result, = gradescope(report_of(tmp_path / "r", [late]))
    assert result["score"] == 3.0 and result["visibility"] == "visible" and result["stdout_visibility"] == "hidden"
    assert result["output"] == "a note\n0.5 points were deducted for lateness."
    assert [(test["name"], test["score"], test["max_score"], test["status"]) for test in result["tests"]] == [
        ("05.attend 05.Attend", 2.0, 2, "passed"), ("05.masked 05.Masked", 1.5, 3, "failed")]
    assert result["tests"][1]["output"] == "\n".join([
        "failed", "1 of 2 cases passed", "This looks like: mask upside down", "True means may attend."])
    assert {test[key] for test in result["tests"] for key in ("output_format", "name_format")} == {"text"}
    assert "987654321" not in json.dumps(result)  # the seed of the hidden inputs


def test_gradescope_gives_no_zero_where_nothing_was_graded(tmp_path):
    result, = gradescope(report_of(tmp_path / "r", [record("1", **UNGRADED, message="why")]))
    assert "score" not in result and result["tests"] == [] and result["output"] == "Not graded (crashed).\nwhy"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    path = export.autograder("05", tmp_path_factory.mktemp("out"), seed=4711, policy="proportional", extras=("torch",))
    with zipfile.ZipFile(path) as archive:
        yield path, archive


def test_the_autograder_holds_scripts_and_the_wheel_with_solutions(built, tmp_path):
    path, archive = built
    wheel, = (name for name in archive.namelist() if name.endswith(".whl"))
    assert path.name == "autograder-05.zip" and set(archive.namelist()) == {"setup.sh", "run_autograder", wheel}
    setup, run = archive.read("setup.sh").decode(), archive.read("run_autograder").decode()
    assert f'/autograder/source/{wheel}[grading,torch]"' in setup
    assert re.search(r"chmod -R go-rwx /autograder/source \S*/site-packages/coursekit$", setup, re.MULTILINE)
    command = " ".join(run.replace("\\\n", " ").split())
    assert '--box uid --lecture 05 --seed 4711 --policy proportional' in command
    assert "/autograder/results/results.json" in run
    for name in ("setup.sh", "run_autograder"):
        assert stat.S_IMODE(archive.getinfo(name).external_attr >> 16) == 0o700
        subprocess.run(["bash", "-n"], input=archive.read(name), check=True)
    archive.extract(wheel, tmp_path)
    with zipfile.ZipFile(tmp_path / wheel) as inside:
        assert b".reference\n" in inside.read("coursekit/exercises/lecture_05.py")
        assert "coursekit/grading/templates/class.html" in inside.namelist()


def test_an_autograder_without_a_seed_draws_one(tmp_path, monkeypatch):
    (tmp_path / "x.whl").write_bytes(b"")
    monkeypatch.setattr(export, "build_wheel", lambda out, solutions: tmp_path / "x.whl")
    seeds = set()
    for _ in range(2):
        with zipfile.ZipFile(export.autograder("05", tmp_path)) as archive:
            seeds.add(re.search(rb"--seed (\d+)", archive.read("run_autograder"))[1])
    assert len(seeds) == 2


@pytest.mark.parametrize("lecture, policy", [("99", "strict"), ("05", "generous"), ("05; rm -rf /", "strict")])
def test_an_autograder_of_something_unknown(tmp_path, lecture, policy):
    with pytest.raises(ValueError, match="99|generous|rm -rf"):
        export.autograder(lecture, tmp_path, policy=policy)
