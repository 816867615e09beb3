"""The synthetic class: what truth.json says of a notebook is so, and a grading of the class is held against it."""

import json
import math
import shutil
import sys
from collections import Counter
from datetime import datetime

import numpy as np
import pytest

from coursekit import cli
from coursekit.exercises import library
from coursekit.exercises.exercise import examine
from coursekit.grading import rehearsal
from coursekit.grading.batch import grade_class
from coursekit.grading.collect import collect
from coursekit.grading.hostile import CORPUS
from coursekit.grading.rehearsal import DAMAGES, cells_of, compare, disagreements, expected, rehearse

GRADED = [exercise for lecture in library.lectures() for exercise in library.exercises(lecture)
          if exercise.kind != "predictor"]


@pytest.fixture(scope="module")
def classroom(tmp_path_factory):
    folder = tmp_path_factory.mktemp("class")
    return folder, rehearse("05", folder)


@pytest.mark.filterwarnings("ignore:invalid value encountered")  # some mistakes divide by zero
@pytest.mark.parametrize("exercise", GRADED, ids=lambda exercise: exercise.id)
def test_every_answer_is_what_it_is_called(exercise):
    """Each as a notebook's cells, run alone: right ones pass, each misconception is the one that it is said to be."""
    rng = np.random.default_rng(0)
    for answer in ("right", "restyled", "nothing", *exercise.wrong):
        names = {}
        for cell in cells_of(exercise, answer, rng):
            exec(cell, names)
        verdict = examine(exercise, names, seed=3)
        said = verdict.mistake or verdict.status
        assert said == {"right": "passed", "restyled": "passed", "nothing": "not attempted"}.get(answer, answer)


def test_restyled_answers_are_written_differently():
    rng = np.random.default_rng(0)
    for exercise in GRADED:
        assert cells_of(exercise, "restyled", rng) != cells_of(exercise, "right", rng)


def test_every_misconception_is_there_with_the_others_right(classroom):
    answers = [student["answers"] for student in classroom[1]["students"].values() if student["kind"] == "mistake"]
    for exercise in library.exercises("05"):
        for name in exercise.wrong:
            assert {other.id: name if other is exercise else "right" for other in library.exercises("05")} in answers


def test_everything_that_comes_in_is_there(classroom):
    students = classroom[1]["students"].values()
    kinds = Counter(student["kind"] for student in students)
    assert sum(kinds.values()) == 300
    assert kinds.keys() == {"mistake", "hostile", "damaged", "missing", "empty", "repeated", "late", "restyled",
                            "perfect", "mixed"}
    assert kinds["hostile"] >= 20 and kinds["perfect"] + kinds["mixed"] + kinds["restyled"] >= 150
    assert {student["damage"] for student in students if student["kind"] == "damaged"} == set(DAMAGES)
    entries = {student["entry"] for student in students if student["kind"] == "hostile"}
    assert entries <= {entry.name for entry in CORPUS}


def test_the_same_seed_gives_the_same_bytes(classroom, tmp_path):
    folder, truth = classroom
    assert rehearse("05", tmp_path / "again") == truth
    paths = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    assert paths == sorted(path.relative_to(tmp_path / "again") for path in (tmp_path / "again").rglob("*")
                           if path.is_file())
    for path in paths:
        assert (folder / path).read_bytes() == (tmp_path / "again" / path).read_bytes()
        if path.suffix == ".ipynb":
            assert (folder / path).stat().st_mtime == (tmp_path / "again" / path).stat().st_mtime
    assert rehearse("05", tmp_path / "another", seed=1)["students"] != truth["students"]


def test_collection_finds_whose_each_is(classroom):
    folder, truth = classroom
    found = {}
    for submission in collect(folder / "submissions", folder / "roster.csv"):
        found.setdefault(submission.learner, []).append(submission)
    assert found.keys() == truth["students"].keys()
    for id, student in truth["students"].items():
        assert [submission.name for submission in found[id]] == [student["name"]] * max(1, len(student["files"]))
        assert [submission.file for submission in found[id] if submission.file] == student["files"]
        first, *others = found[id]
        assert [submission.status for submission in others] == ["duplicate"] * (student["kind"] == "repeated")
        if first.when:
            late = first.when - datetime.fromisoformat(truth["deadline"]).timestamp()
            assert math.ceil(late / 86_400) == student.get("days", -1)


def test_marks_that_can_be_counted_by_hand():
    answers = {"05.attention_parameters": "right", "05.attend": "root of the size of a value",
               "05.in_columns": "nothing", "05.masked": "restyled", "05.too_good": "a",
               "05.causal_self_attention": "mask forgotten"}
    truth = {"lecture": "05", "seed": 0, "deadline": 0, "students": {
        "1": {"kind": "mixed", "answers": answers}, "2": {"kind": "missing"},
        "3": {"kind": "damaged", "damage": "a list", "answers": answers},
        "4": {"kind": "damaged", "damage": "UTF-16", "answers": answers},
        "5": {"kind": "hostile", "entry": "an early end"}, "6": {"kind": "hostile", "entry": "a long line"}}}
    strict = expected(truth, seed=5)
    assert strict["1"]["points"] == strict["4"]["points"] == [1 + 3, 1 + 3]
    assert strict["1"]["exercises"]["05.attend"] == {
        "status": "failed", "mistake": "root of the size of a value", "points": [0, 0]}
    assert strict["1"]["exercises"]["05.in_columns"]["status"] == "not attempted"
    assert strict["2"] == {"status": "missing", "points": None, "exercises": {}}
    assert strict["3"] == {"status": "unreadable", "points": None, "exercises": {}}
    assert strict["5"]["points"] == [5, 5] and strict["6"]["points"] == [0, 5]
    # In one of the four cases keys and values are of one size, and dividing by the root of the wrong one is right.
    proportional = expected(truth, seed=5, policy="proportional")
    assert proportional["1"]["exercises"]["05.attend"]["points"] == [0.5, 0.5]
    assert proportional["1"]["points"] == [4.5, 4.5]


def record_of(student, mark):
    """What a faultless grading would write."""
    rows = [{"id": id, "status": row["status"] or "crashed", "mistake": row["mistake"] or "",
             "points": row["points"][0]} for id, row in mark["exercises"].items()]
    return {"learner": student, "seed": 7, "policy": "strict", "status": mark["status"] or "partly graded",
            "points": mark["points"] and mark["points"][0], "days_late": 0, "exercises": rows}


@pytest.fixture
def records(classroom):
    return {id: record_of(id, mark) for id, mark in expected(classroom[1], 7).items()}


def student_of(truth, kind):
    return next(id for id, student in truth["students"].items() if student["kind"] == kind)


def test_a_faultless_grading_agrees(classroom, records):
    assert disagreements(classroom[1], list(records.values())) == []


@pytest.mark.parametrize("kind, damage, words", [
    ("perfect", lambda record: record["exercises"][1].update(points=0), "0 points, expected 2"),
    ("perfect", lambda record: record["exercises"][1].update(points=None), "None points, expected 2"),
    ("perfect", lambda record: record["exercises"].pop(0), "expected 1"),
    ("perfect", lambda record: record.update(status="partly graded"), "partly graded, expected graded"),
    ("empty", lambda record: record["exercises"][0].update(status="failed"), "'failed', expected 'not attempted'"),
    ("mistake", lambda record: [row.update(mistake="") for row in record["exercises"]], "mistake '', expected"),
    ("hostile", lambda record: record["exercises"][1].update(points=2), "2 points, expected 0"),
    ("perfect", lambda record: record.update(days_late=2), "2 days late, expected 0"),
    ("missing", lambda record: record.update(points=0), "0 points, expected none"),
    ("missing", lambda record: record.update(status="graded"), "graded, expected missing"),
])
def test_a_wrong_mark_is_found(classroom, records, kind, damage, words):
    id = student_of(classroom[1], kind)
    damage(records[id])
    lines = disagreements(classroom[1], list(records.values()))
    assert words in "\n".join(lines)
    late = [student for student, known in classroom[1]["students"].items() if known["kind"] == "late"]
    assert {line[:4] for line in lines} == ({id, *late} if kind == "perfect" and "days" in words else {id})


def test_missing_and_unknown_records_are_found(classroom, records):
    del records["0007"]
    records["0"] = {**records["0008"], "learner": "nobody"}
    lines = disagreements(classroom[1], list(records.values()))
    assert lines[0] == "nobody: no such student" and lines[1].startswith("0007 (") and lines[1].endswith("no record")
    assert disagreements(classroom[1], []) == ["there are no records"]


def test_too_few_students_or_a_used_folder_are_refused(tmp_path):
    with pytest.raises(ValueError, match="63 students are too few .* at least 64"):
        rehearse("05", tmp_path, students=63)
    assert list(tmp_path.iterdir()) == []
    assert len(rehearse("05", tmp_path / "smallest", students=64)["students"]) == 64
    with pytest.raises(ValueError, match="unknown lecture '99'"):
        rehearse("99", tmp_path)
    rehearse("13", tmp_path, students=80)
    with pytest.raises(ValueError, match="exists already"):
        rehearse("13", tmp_path, students=80)


@pytest.mark.parametrize("lecture", library.lectures())
def test_every_lecture_has_a_class(tmp_path, lecture):
    assert len(rehearse(lecture, tmp_path, students=120)["students"]) == 120


@pytest.mark.skipif(not shutil.which("bwrap"), reason="bubblewrap is not installed")
@pytest.mark.parametrize("policy", ["strict", "proportional"])
def test_a_small_class_is_graded_as_it_should_be(tmp_path, capsys, policy):
    assert cli.main(["rehearse", "13", "--out", f"{tmp_path}/class", "--students", "75"]) == 0
    assert "coursekit grade" in capsys.readouterr().out
    grade_class(tmp_path / "class/submissions", tmp_path / "report", "13", 11, policy, workers=2,
                roster=tmp_path / "class/roster.csv", deadline=rehearsal.DEADLINE, late_percent=50)
    assert compare(tmp_path / "class", tmp_path / "report") == []
    compared = ["rehearse", "13", "--out", f"{tmp_path}/class", "--compare", f"{tmp_path}/report"]
    assert cli.main(compared) == 0
    assert capsys.readouterr().out == "Every mark is what it should be.\n"

    results = tmp_path / "report/results.jsonl"
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    known = json.loads((tmp_path / "class/truth.json").read_text())["students"]
    assert {record["deducted"] for record in lines if known[record["learner"]]["kind"] == "late"} == {6.5, 13}
    best = max(lines, key=lambda record: record["points"] or 0)
    best["exercises"][0]["points"] = 0
    results.write_text("".join(json.dumps(record) + "\n" for record in lines))
    assert cli.main(compared) == 1
    assert capsys.readouterr().out.startswith(best["learner"])


def test_comparing_nothing_says_so(tmp_path, capsys):
    assert cli.main(["rehearse", "05", "--out", f"{tmp_path}", "--compare", f"{tmp_path}"]) == 2
    assert "truth.json cannot be read" in capsys.readouterr().err


def test_learners_copies_have_no_rehearsal(monkeypatch, capsys):
    monkeypatch.delattr("coursekit.grading.rehearsal")
    monkeypatch.setitem(sys.modules, "coursekit.grading.rehearsal", None)
    assert cli.main(["rehearse", "05", "--out", "nowhere"]) == 2
    assert "without solutions" in capsys.readouterr().err
