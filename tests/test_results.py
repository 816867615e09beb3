import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from coursekit import results

ROWS = [
    {"score": "dot", "tokens": np.float64(0.98765), "epochs": np.int64(5), "seconds": 1.25},
    {"score": "concat|v", "tokens": 0.5, "epochs": 13, "seconds": 10.0},
]
COLUMNS = {"Score": "{score}", "Tokens right": "{tokens:.1%}", "Effort": "{epochs} epochs, {seconds:.0f} s"}
MARKDOWN = """\
Three scores.

| Score     | Tokens right |          Effort |
| --------- | -----------: | --------------: |
| dot       |        98.8% |   5 epochs, 1 s |
| concat\\|v |        50.0% | 13 epochs, 10 s |
"""


@pytest.fixture
def stored(tmp_path, monkeypatch):
    (tmp_path / "results").mkdir()
    monkeypatch.setattr(results, "data_folder", lambda: tmp_path)
    return tmp_path / "results"


def test_what_is_recorded_is_loaded(stored):
    results.record("scores", ROWS, columns=COLUMNS, caption="Two scores.", seeds=[0, 1])
    rows, about = results.load("scores")
    assert rows == [{**ROWS[0], "tokens": 0.98765, "epochs": 5}, ROWS[1]]
    assert type(rows[0]["epochs"]) is int
    assert about["columns"] == COLUMNS
    assert (about["name"], about["caption"], about["seeds"]) == ("scores", "Two scores.", [0, 1])
    assert about["versions"]["numpy"] == np.__version__
    assert about["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))


@pytest.mark.parametrize("folder", [".", "benchmarks"])
def test_the_command_is_kept_as_typed_in_the_project(folder):
    code = f"""if True:
        import os, sys
        from coursekit import results
        os.chdir(results.PROJECT / {folder!r})
        script = os.path.relpath(results.PROJECT / "benchmarks" / "one.py")
        words = [results.PROJECT / "data" / "a b.txt", os.path.abspath(os.sep + "secret/x")]
        sys.argv = [script, "--seeds", "3", *map(str, words)]
        print(results._command())
    """
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "python benchmarks/one.py --seeds 3 'data/a b.txt' x"


def test_threads_are_those_of_the_framework_that_is_loaded(stored):
    torch = pytest.importorskip("torch")
    about = json.loads(results.record("one", ROWS).read_text())
    assert about["threads"] == torch.get_num_threads()
    assert about["versions"]["torch"] == torch.__version__


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [1], {"a": 1}, np.zeros(2), b"x"])
def test_only_plain_finite_values_are_stored(stored, value):
    with pytest.raises(ValueError, match="tokens is .*expected text, a finite number"):
        results.record("bad", [{"tokens": value}])
    assert list(stored.iterdir()) == []


def test_a_column_that_no_row_has_is_named(stored):
    with pytest.raises(ValueError, match="'{token:.1%}', a row has only score, tokens"):
        results.record("bad", ROWS, columns={"Tokens": "{token:.1%}"})


def test_an_unknown_name_is_answered_with_the_known_ones(stored):
    results.record("scores", ROWS)
    with pytest.raises(ValueError, match="'score', expected one of: scores"):
        results.load("score")


def test_a_full_disk_leaves_the_previous_result(stored, monkeypatch):
    path = results.record("scores", ROWS)
    before = path.read_bytes()

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        results.record("scores", ROWS[:1])
    assert path.read_bytes() == before
    assert [file.name for file in stored.iterdir()] == ["scores.json"]


def test_the_table_as_markdown():
    assert results.markdown(ROWS, COLUMNS, "Three scores.") + "\n" == MARKDOWN


def test_the_table_is_shown_as_markdown_and_as_text(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw: shown.append(data))
    results.table(ROWS, COLUMNS, "Three scores.")
    assert shown == [{"text/markdown": MARKDOWN.rstrip("\n"), "text/plain": MARKDOWN.rstrip("\n")}]


def test_tables_between_markers_are_made_anew(stored):
    results.record("scores", ROWS, columns=COLUMNS, caption="Three scores.")
    old = "Before\n<!-- table: scores -->\nwrong\n<!-- end of table -->\nAfter\n"
    new = results.filled(old)
    assert new == f"Before\n<!-- table: scores -->\n{MARKDOWN}<!-- end of table -->\nAfter\n"
    assert results.filled(new) == new


SEEDS = [
    {"score": "dot", "seed": 0, "tokens": 0.5, "mass": 0.25},
    {"score": "none", "seed": 0, "tokens": 0.125, "mass": None},
    {"score": "dot", "seed": 1, "tokens": 1.0, "mass": 0.75},
]


def test_rows_over_seeds_have_mean_and_extremes():
    dot, none = results.over_seeds(SEEDS, by=["score"])
    assert dot == {"seeds": 2, "score": "dot", "seed": 0.5, "seed_low": 0, "seed_high": 1, "tokens": 0.75,
                   "tokens_low": 0.5, "tokens_high": 1.0, "mass": 0.5, "mass_low": 0.25, "mass_high": 0.75}
    assert (none["seeds"], none["tokens"], none["tokens_high"], none["mass"]) == (1, 0.125, 0.125, None)
    assert results.over_seeds(SEEDS, by=()) == SEEDS


def test_a_result_over_seeds_keeps_every_row_and_shows_the_groups(stored):
    columns = {"Score": "{score}", "Tokens": "{tokens:.0%} ({tokens_low:.0%})", "Mass": "{mass:.2f}"}
    results.record("seeds", SEEDS, columns=columns, caption="Two seeds.", by=["score"])
    assert results.load("seeds")[0] == SEEDS
    lines = results.filled("<!-- table: seeds -->\n<!-- end of table -->").splitlines()
    assert lines[5:7] == ["| dot   | 75% (50%) | 0.50 |", "| none  | 12% (12%) |    – |"]


def test_the_tables_of_the_readme_are_the_stored_ones():
    text = Path(results.PROJECT / "README.md").read_text(encoding="utf-8")
    assert results.filled(text) == text


def test_over_seeds_by_hand():
    rows = [{"score": "dot", "seed": 0, "right": 0.5, "off": 1.0, "note": "a"},
            {"score": "none", "seed": 0, "right": 0.1, "off": None, "note": "b"},
            {"score": "dot", "seed": 1, "right": 0.75, "off": 4.0, "note": "c"}]
    dot, none = results.over_seeds(rows, ["score"])
    assert dot["seeds"] == 2 and (dot["right"], dot["right_low"], dot["right_high"]) == (0.625, 0.5, 0.75)
    assert (dot["off"], dot["off_low"], dot["off_high"], dot["note"]) == (2.5, 1.0, 4.0, "a")
    assert none["seeds"] == 1 and none["off"] is None and none["score"] == "none"
    assert results.over_seeds(rows, []) == rows
    assert [row["seed"] for row in results.over_seeds(rows, ["score", "seed"])] == [0, 0, 1], "what it is by stays whole"


def test_a_table_over_seeds_shows_means_and_stores_every_row(stored):
    rows = [{"score": score, "right": right} for score, right in (("dot", 0.5), ("dot", 0.7), ("none", None))]
    results.record("seeds", rows, columns={"Score": "{score}", "Right": "{right:.2f}"}, by=["score"])
    assert results.load("seeds")[0] == rows
    text = results.filled("<!-- table: seeds -->\n<!-- end of table -->")
    assert "| dot   |  0.60 |" in text and "| none  |     – |" in text
