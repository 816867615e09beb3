"""The `coursekit` command: each subcommand reaches its function, and its exit status says how it went."""

import pytest

from coursekit import cli, results
from coursekit.exercises import build, mutate, try_out


def test_exercise_prints_its_table_and_its_cells(capsys):
    assert cli.main(["exercise", "02.context_vector"]) == 0
    table = capsys.readouterr().out
    assert "plain mean" in table and "20 of 20" in table
    assert cli.main(["exercise", "02.context_vector", "--cells"]) == 0
    assert 'coursekit.check("02.context_vector")' in capsys.readouterr().out


def test_an_unknown_exercise_is_answered_with_the_known_ones(capsys):
    assert cli.main(["exercise", "02.nothing"]) == 2
    assert "02.context_vector" in capsys.readouterr().err


@pytest.mark.parametrize("passed, status", [(True, 0), (False, 1)])
def test_exercise_fails_where_a_misconception_is_not_told(monkeypatch, passed, status):
    monkeypatch.setattr(try_out, "try_out", lambda exercise: passed)
    assert cli.main(["exercise", "02.context_vector"]) == status


@pytest.mark.parametrize("gaps, status", [([[], []], 0), ([[], ["a mutant"]], 1)])
def test_mutation_fails_where_a_mutant_goes_unnoticed(monkeypatch, gaps, status):
    class Row:
        def __init__(self, gaps):
            self.gaps = gaps

    asked = []
    monkeypatch.setattr(mutate, "mutation_table", lambda lectures: asked.append(lectures) or [Row(g) for g in gaps])
    assert (cli.main(["mutation"]), cli.main(["mutation", "01", "02"])) == (status, status)
    assert asked == [None, ["01", "02"]]


def test_build_is_asked_for_a_wheel_without_solutions(monkeypatch, capsys):
    monkeypatch.setattr(build, "build_wheel", lambda out: f"{out}/the.whl")
    assert cli.main(["build", "--without-solutions", "--out", "here"]) == 0
    assert capsys.readouterr().out == "here/the.whl\n"
    with pytest.raises(SystemExit):
        cli.main(["build"])


@pytest.mark.parametrize("changed, words", [(True, "README.md has changed."), (False, "README.md is as stored.")])
def test_tables_says_whether_the_readme_changed(monkeypatch, capsys, changed, words):
    monkeypatch.setattr(results, "fill_readme", lambda: changed)
    assert cli.main(["tables"]) == 0 and capsys.readouterr().out.strip() == words
