"""check, hint, solution and progress where learners are: in a kernel and in a plain script."""

import json
import os
import subprocess
import sys
from html.parser import HTMLParser

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

from coursekit.exercises import progress
from coursekit.exercises.card import MARKS, Block, Card
from coursekit.exercises.notebook import check, hint, solution

CELLS = [
    "import numpy as np\nfrom coursekit.exercises.notebook import check",
    "def context_vector(weights, values):\n    ...",
    "check('02.context_vector')",
    "def context_vector(weights, values):\n    return values.mean(1)",
    "check('02.context_vector')",
    "def context_vector(weights, values):\n    total = weights @ values\n    return total + nothing",
    "check('02.context_vector')",
    "np = 3\ndef context_vector(weights, values):\n    return np.einsum('bs,bsu->bu', weights, values)",
    "check('02.context_vector')",
    "import numpy as np\ncheck('02.context_vector'); print('after')",
    "check = 'shadowed'\nimport coursekit.exercises.notebook as n\nn.check('02.context_vector')",
]


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """What each cell shows when the notebook runs in a real kernel, without any metadata."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS])
    patch = pytest.MonkeyPatch()
    patch.setenv("COURSEKIT_PROGRESS", str(tmp_path_factory.mktemp("kernel") / "progress.json"))
    try:
        NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    finally:
        patch.undo()
    return [cell.outputs for cell in notebook.cells]


def text(output):
    return output[0].data["text/plain"]


def test_a_kernel_shows_cards_as_text_and_html(outputs):
    assert text(outputs[2]) == "[–] 02.context_vector The context vector: not attempted, about 5 minutes, 1 point"
    assert "looks like this one: plain mean. You average the values evenly" in text(outputs[4])
    assert "<strong>" in outputs[4][0].data["text/html"] and "plain mean" in outputs[4][0].data["text/html"]
    assert "Line 3: return total + nothing" in text(outputs[6])
    assert "NameError: name 'nothing' is not defined" in text(outputs[6])
    assert "in this notebook, np is an object of type int, not a module" in text(outputs[8])
    assert "passed, 3 of 3 cases" in text(outputs[9]) and outputs[9][1].text == "after\n"
    assert "passed" in text(outputs[10])
    assert all(output.output_type != "error" for cell in outputs for output in cell)


SCRIPT = """
import numpy as np
from coursekit.exercises.notebook import check
def context_vector(weights, values):
    return 0
def context_vector(weights, values):
    return np.einsum("bs,bsu->bu", weights, values) * 2
check("02.context_vector")
"""


def test_a_plain_script_prints_the_card(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    # An encoding without the marks, as on some Windows consoles.
    done = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True,
                          env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0 and done.stdout.startswith("[?] 02.context_vector The context vector: not yet")
    assert "Note: context_vector is defined 2 times (lines 4, 6); the last one counts." in done.stdout


def test_unknown_exercise():
    with pytest.raises(ValueError, match="unknown exercise '02.contxt': lecture 02 has 02.context_vector, "):
        check("02.contxt")
    with pytest.raises(ValueError, match="the lectures are 01, 02"):
        hint("99.nothing")
    with pytest.raises(ValueError, match="unknown exercise 7"):
        solution(7)
    for ask in (check, hint, solution):
        with pytest.raises(ValueError, match=r"unknown exercise \['02.wiring'\]"):
            ask(["02.wiring"])


def test_names_of_the_function_that_calls_are_seen(capsys):
    def context_vector(weights, values):
        return np.einsum("bs,bsu->bu", weights, values)

    check("02.context_vector")
    assert "passed, 3 of 3 cases" in capsys.readouterr().out


def test_hints_come_one_by_one(capsys):
    shown = []
    for _ in range(4):
        hint("01.one_hot")
        shown.append(capsys.readouterr().out)
    heads = [card.splitlines()[0].split(", ")[-1] for card in shown]
    assert heads == ["hint 1 of 3", "hint 2 of 3", "hint 3 of 3", "no further hints"]
    assert 'coursekit.solution("01.one_hot")' in shown[3] and len(set(shown)) == 4


def test_solution_shows_code_and_explanation(capsys):
    solution("02.context_vector")
    shown = capsys.readouterr().out
    assert shown.startswith("import numpy as np\n\n\ndef context_vector(weights, values):")
    assert "a distribution over time steps" in shown


def test_progress_survives_and_keeps_what_was_passed(capsys, tmp_path):
    progress.progress()
    assert "0 of " in capsys.readouterr().out
    check("01.bottleneck", "b")
    check("01.bottleneck", "a")
    check("01.encoder_weights", 3)
    check("01.one_hot", ...)
    capsys.readouterr()
    assert json.loads((tmp_path / "progress.json").read_text()) == {
        "01.bottleneck": {"passed": True, "hints": 0}, "01.encoder_weights": {"passed": False, "hints": 0}}
    progress.progress()
    shown = capsys.readouterr().out
    assert "[done]  01.bottleneck" in shown and "[tried] 01.encoder_weights" in shown
    assert "Next: 01.reversed_target" in shown


@pytest.mark.parametrize("content", ["", "{", "[]", '{"01.one_hot": 3}', '{"01.one_hot": {"passed": []}}', "\x00"])
def test_a_damaged_progress_file_is_no_obstacle(content, tmp_path, capsys):
    (tmp_path / "progress.json").write_text(content)
    check("01.bottleneck", "b")
    assert "passed" in capsys.readouterr().out and progress.load()["01.bottleneck"]["passed"]


@pytest.mark.parametrize("content", [
    '{"01.one_hot": {"passed": true, "hints": %s}, "01.lstm_step": {"passed": true, "hints": 1}}' % hints
    for hints in ("Infinity", "NaN", "null", '"many"', "[]")])
def test_one_damaged_entry_does_not_cost_the_others(content, tmp_path):
    (tmp_path / "progress.json").write_text(content)
    assert progress.load() == {"01.lstm_step": {"passed": True, "hints": 1}}


def test_deep_nesting_is_no_obstacle(tmp_path):
    (tmp_path / "progress.json").write_text("[" * 100_000)
    assert progress.load() == {}


def test_hints_below_zero_count_as_none(tmp_path, capsys):
    (tmp_path / "progress.json").write_text('{"01.one_hot": {"passed": false, "hints": -1}}')
    hint("01.one_hot")
    assert "hint 1 of 3" in capsys.readouterr().out


@pytest.mark.parametrize("place", ["/", "folder"])
def test_a_place_that_is_no_file(place, tmp_path, monkeypatch, capsys):
    (tmp_path / "folder").mkdir()
    monkeypatch.setenv("COURSEKIT_PROGRESS", str(tmp_path / place))
    check("01.bottleneck", "b")
    assert "passed" in capsys.readouterr().out and progress.load() == {}
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]  # nothing is left behind


def test_nobody_knows_the_home_folder(monkeypatch, capsys):
    def unknown():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("COURSEKIT_PROGRESS")
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setattr(progress.Path, "home", unknown)
    check("01.bottleneck", "b")
    assert "passed" in capsys.readouterr().out and progress.load() == {}


def test_an_empty_variable_is_as_good_as_none(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSEKIT_PROGRESS", "")
    monkeypatch.setenv("XDG_STATE_HOME", "")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(progress.Path, "home", lambda: tmp_path)
    assert progress.location() == tmp_path / ".local/state/coursekit/progress.json"


def test_progress_that_cannot_be_written(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("COURSEKIT_PROGRESS", str(tmp_path / "file" / "progress.json"))
    check("01.bottleneck", "b")
    assert "passed" in capsys.readouterr().out


def test_the_platforms_place(monkeypatch, tmp_path):
    monkeypatch.delenv("COURSEKIT_PROGRESS")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "linux")
    assert progress.location() == tmp_path / "coursekit" / "progress.json"
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    monkeypatch.setattr(sys, "platform", "win32")
    assert progress.location() == tmp_path / "local" / "coursekit" / "progress.json"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert progress.location().parts[-4:] == ("Library", "Application Support", "coursekit", "progress.json")


class Words(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.tags, self.words = [], ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)

    def handle_data(self, data):
        self.words += data + " "


@pytest.mark.parametrize("kind", MARKS)
def test_html_says_what_the_text_says_and_escapes_the_learner(kind):
    card = Card(kind, "01.x <b>", "2 of 3", ["<script>alert(1)</script>", Block("a < b\n  & c")])
    page, mark, word = Words(card.html()), *MARKS[kind][:2]
    assert mark in page.words and word.lower() in page.words.lower()
    for part in ("01.x <b>", "2 of 3", "<script>alert(1)</script>", "a < b"):
        assert part in page.words and part in card.text()
    assert set(page.tags) <= {"div", "strong", "span", "p", "pre"}


def test_the_same_array_again_is_not_kept():
    """A learner's array that changes after the check must not change what was compared."""
    kept = []

    def context_vector(weights, values):
        kept.append(np.einsum("bs,bsu->bu", weights, values))
        return kept[0] if kept[0].shape == kept[-1].shape else kept[-1]

    from coursekit.exercises.exercise import examine
    from coursekit.exercises.library import find

    assert examine(find("02.context_vector"), {"context_vector": context_vector}).status == "passed"
    kept[0][:] = 0
    assert examine(find("02.context_vector"), {"context_vector": find("02.context_vector").right}).status == "passed"
