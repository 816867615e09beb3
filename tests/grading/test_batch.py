"""A class: killed and started again, in shares, on a cluster, graded twice, late."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

import pytest

from coursekit.cli import main
from coursekit.grading.batch import grade_class, records
from coursekit.grading.mark import Assignment

from test_mark import RIGHT, notebook

needs_bubblewrap = pytest.mark.skipif(not shutil.which("bwrap"), reason="bubblewrap is not installed")


@pytest.fixture
def submissions(tmp_path):
    """Seven learners of lecture 05 and their points, right but for the class: all, some, nothing, damaged."""
    folder = tmp_path / "submissions"
    folder.mkdir()
    call = 'import coursekit\ncoursekit.check("05.attend")'
    for name, content in {
            "all": notebook(call, *RIGHT.values()), "copy": notebook(call, *RIGHT.values()),
            "numbers": notebook(call, RIGHT["attention_parameters"], RIGHT["what_happened"]), "nothing": notebook(call),
            "damaged": b'{"cells": [', "one": notebook(call, RIGHT["attend_in_columns"]),
            "two": notebook(call, RIGHT["attend_in_columns"], RIGHT["attend"])}.items():
        (folder / f"{name}.ipynb").write_bytes(content)
    return folder


POINTS = {"all": 10, "copy": 10, "numbers": 2, "nothing": 0, "damaged": None, "one": 3, "two": 5}


def points(out):
    return {record["learner"]: record["points"] for path in sorted(out.glob("results*.jsonl"))
            for record in records(path)}


@needs_bubblewrap
def test_a_class_graded_twice(submissions, tmp_path, capsys):
    assert main(["grade", str(submissions), "--out", str(tmp_path / "a"), "--workers", "2"]) == 0
    assert points(tmp_path / "a") == POINTS
    rules = json.loads((tmp_path / "a" / "assignment.json").read_text())
    assert (rules["lecture"], rules["policy"], rules["box"]) == ("05", "strict", "bubblewrap")
    assert main(["grade", str(submissions), "--out", str(tmp_path / "b"), "--seed", str(rules["seed"])]) == 0

    def without_use(out):
        return {record["learner"]: record | {"seconds": 0, "memory": 0, "exercises": [
            row | {"seconds": 0} for row in record["exercises"]]} for record in records(out / "results.jsonl")}

    assert without_use(tmp_path / "a") == without_use(tmp_path / "b")
    assert (tmp_path / "a" / "index.html").exists() and (tmp_path / "a" / "grades.csv").exists()


@needs_bubblewrap
def test_what_is_done_is_not_done_again(submissions, tmp_path):
    out = tmp_path / "out"
    grade_class(submissions, out, workers=1)
    lines = (out / "results.jsonl").read_text().splitlines()
    with (out / "results.jsonl").open("a") as file:
        file.write('{"key": "cut sho')  # a kill in the middle of a line
    shutil.copy(submissions / "one.ipynb", submissions / "new.ipynb")
    (submissions / "nothing.ipynb").write_bytes(notebook(RIGHT["attend"]))
    grade_class(submissions, out, workers=1)
    after = list(records(out / "results.jsonl"))
    assert (out / "results.jsonl").read_text().splitlines()[:len(lines)] == lines
    assert {record["learner"]: record["points"] for record in after[len(lines):]} == {"new": 3, "nothing": 2}
    (submissions / "nothing.ipynb").write_bytes(notebook('import coursekit\ncoursekit.check("05.attend")'))  # as before
    grade_class(submissions, out, workers=1)
    assert points(out) == POINTS | {"new": 3}


@needs_bubblewrap
def test_killed_at_any_moment(submissions, tmp_path):
    """SIGKILL, then again: every submission has one line in the end, and the boxes of the killed run are gone."""
    for index in range(20):
        shutil.copy(submissions / "one.ipynb", submissions / f"more{index:02}.ipynb")
    out = tmp_path / "out"
    command = [sys.executable, "-c", "import sys; from coursekit.cli import main; sys.exit(main(sys.argv[1:]))", "grade",
               str(submissions), "--out", str(out), "--workers", "1", "--seed", "4", "--lecture", "05"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    while not (out / "results.jsonl").exists() or (out / "results.jsonl").read_text().count("\n") < 5:
        time.sleep(0.05)
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = (out / "results.jsonl").read_text().count("\n")
    assert before < 27
    assert subprocess.run(command, capture_output=True).returncode == 0
    assert points(out) == POINTS | {f"more{index:02}": 3 for index in range(20)}
    assert len((out / "results.jsonl").read_text().splitlines()) in (27, 28)  # 28: one line was cut short
    deadline = time.monotonic() + 10
    while any(inside(process.pid) for _ in "x") and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not inside(process.pid)


def inside(parent):
    """The processes in a box whose parent's parent was this process."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if b"coursekit.grading.inside" in (entry / "cmdline").read_bytes():
                    found += [entry.name] * (f"\nPPid:\t{parent}\n" in (entry / "status").read_text())
            except (FileNotFoundError, ProcessLookupError):
                continue
    return found


@needs_bubblewrap
def test_shares_are_the_whole(submissions, tmp_path):
    for share in (1, 2, 3):
        assert main(["grade", str(submissions), "--out", str(tmp_path / "out"), "--shard", f"{share}/3", "--seed", "5",
                     "--lecture", "05", "--workers", "1"]) == 0
    files = sorted(path.name for path in (tmp_path / "out").glob("results*"))
    assert files == ["results-1-of-3.jsonl", "results-2-of-3.jsonl", "results-3-of-3.jsonl"]
    assert points(tmp_path / "out") == POINTS
    assert sum(1 for name in files for _ in records(tmp_path / "out" / name)) == 7


@needs_bubblewrap
def test_a_cluster_gives_the_same_records(submissions, tmp_path):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None,
                                  processes=True) as cluster:
        grade_class(submissions, tmp_path / "there", seed=6, dask=cluster.scheduler_address)
    grade_class(submissions, tmp_path / "here", seed=6)
    assert points(tmp_path / "there") == points(tmp_path / "here") == POINTS


@needs_bubblewrap
def test_lateness(submissions, tmp_path):
    for name in POINTS:
        os.utime(submissions / f"{name}.ipynb", (0, datetime(2027, 1, 10, 12, tzinfo=timezone.utc).timestamp()))
    os.utime(submissions / "all.ipynb", (0, datetime(2027, 1, 12, 13, tzinfo=timezone.utc).timestamp()))
    rules = {"seed": 1, "deadline": datetime(2027, 1, 10, 12, tzinfo=timezone.utc), "workers": 1}
    grade_class(submissions, tmp_path / "out", late_percent=10, **rules)
    late = {record["learner"]: (record["points"], record["days_late"], record["deducted"])
            for record in records(tmp_path / "out" / "results.jsonl")}
    assert late.pop("all") == (10, 3, 3.0)  # two days and an hour are three begun days
    assert set(late.values()) == {(10, 0, 0.0), (2, 0, 0.0), (0, 0, 0.0), (None, 0, 0.0), (3, 0, 0.0), (5, 0, 0.0)}
    grade_class(submissions, tmp_path / "out", late_percent=50, **rules)
    *_, last = records(tmp_path / "out" / "results.jsonl")
    assert (last["learner"], last["points"], last["days_late"], last["deducted"]) == ("all", 10, 3, 10.0)
    assert sum(1 for _ in records(tmp_path / "out" / "results.jsonl")) == 8  # nothing was marked again


def test_the_command_says_what_is_wrong(tmp_path, capsys):
    (tmp_path / "anna.ipynb").write_bytes(notebook("x = 1"))
    (tmp_path / "ben.ipynb").write_bytes(notebook("x = 1"))
    for arguments, message in {
            (str(tmp_path), "--box", "none", "--out", str(tmp_path / "o")): "say --trust-submissions if you trust all",
            (str(tmp_path), "--out", str(tmp_path / "o")): "name it (--lecture)",
            (str(tmp_path), "--out", str(tmp_path / "o"), "--lecture", "99"): "unknown lecture '99'",
            (str(tmp_path / "no"), "--out", str(tmp_path / "o"), "--lecture", "05"): "no such folder or zip"}.items():
        assert main(["grade", *arguments]) == 2
        assert message in capsys.readouterr().err
    for wrong in (["--shard", "4/3"], ["--shard", "x"], ["--policy", "kind"], ["--deadline", "soon"]):
        with pytest.raises(SystemExit) as ended:
            main(["grade", str(tmp_path), "--out", "o", *wrong])
        assert ended.value.code == 2


def test_rules_travel():
    import pickle

    assert vars(pickle.loads(pickle.dumps(Assignment("05", 3, "proportional", seconds=2)))) | {"exercises": 0} == vars(
        Assignment("05", 3, "proportional", seconds=2)) | {"exercises": 0}
