"""Which statements an exercise depends on: notebooks written by hand, and the lines that must run, no more and no fewer."""

import pytest

from coursekit.grading import program


def chosen(cells, name, part="narrow"):
    plan = program.plan(cells, [name])[name]
    return [source for _, _, source in plan[part]["statements"]] if plan[part] else None


def test_what_nothing_depends_on_is_left_out():
    cells = ["import time\nimport math", "time.sleep(1000)", "def double(x):\n    return 2 * x",
             "def answer(x):\n    return double(x) + math.pi", "losses = [answer(i) for i in range(10**9)]"]
    assert chosen(cells, "answer") == ["import math", cells[2], cells[3]]


def test_names_are_needed_wherever_they_are_bound():
    cells = ["def answer(x):\n    return SCALE * x", "unused = 1", "SCALE = 3"]
    assert chosen(cells, "answer") == [cells[0], "SCALE = 3"]


def test_every_definition_runs_and_so_the_last_one_counts():
    cells = ["def answer(x):\n    ...", "def answer(x):\n    return 1", "answer = answer"]
    assert chosen(cells, "answer") == cells


def test_changes_by_item_attribute_and_method():
    cells = ["TABLE = {}", "TABLE['a'] = 1", "ITEMS = []", "ITEMS.append(2)\nITEMS += [3]", "class Box: pass",
             "box = Box()", "box.size = 4", "other = []\nother.append(5)",
             "def answer():\n    return TABLE, ITEMS, box"]
    assert chosen(cells, "answer") == ["TABLE = {}", "TABLE['a'] = 1", "ITEMS = []", "ITEMS.append(2)", "ITEMS += [3]",
                                       "class Box: pass", "box = Box()", "box.size = 4", cells[-1]]


def test_settings_of_needed_modules():
    cells = ["import numpy as np\nimport torch", "np.random.seed(3)", "torch.set_default_dtype(torch.float64)",
             "torch.manual_seed(0)", "np.save('x', data)", "def answer(x):\n    return np.exp(x)"]
    assert chosen(cells, "answer") == ["import numpy as np", "np.random.seed(3)", cells[-1]]


def test_one_name_of_an_import_does_not_bring_the_others():
    cells = ["from coursekit import plots, reference", "import os, sys as system",
             "def answer():\n    return reference, system"]
    assert chosen(cells, "answer") == ["from coursekit import reference", "import sys as system", cells[-1]]
    assert program.plan(cells, ["answer"])["answer"]["narrow"]["modules"] == ["coursekit", "coursekit.reference", "sys"]


def test_scopes():
    cells = ["x = 1", "y = 2", "def answer(x, z=None):\n    y = [x for x in range(3)]\n    return y, (lambda q: q + W)(x)",
             "W = 5", "q = 6", "z = 7"]
    assert chosen(cells, "answer") == [cells[2], "W = 5"]
    bodies = ["N = 4", "base = object", "class Answer(base):\n    size = N\n    def forward(self, N):\n        return M",
              "M = 1"]
    assert chosen(bodies, "Answer") == bodies


def test_defaults_decorators_and_annotations():
    cells = ["import functools", "LIMIT = 3", "@functools.cache\ndef answer(x=LIMIT):\n    return x"]
    assert chosen(cells, "answer") == cells


def test_compound_statements_are_whole():
    cells = ["try:\n    import numpy as np\nexcept ImportError:\n    np = None", "for K in range(3):\n    pass",
             "if True:\n    def answer():\n        return np, K"]
    assert chosen(cells, "answer") == cells


def test_learners_calls_of_the_course_do_not_run():
    cells = ["import coursekit", "coursekit.start(seed=0)", "def answer():\n    return coursekit", "print(answer())",
             'coursekit.check("05.attend", answer)', "display(answer())"]
    assert chosen(cells, "answer") == [cells[0], cells[2]]
    assert chosen(cells, "answer", "wide") is None


def test_wide_adds_calls_that_may_change_something():
    cells = ["CONFIG = {}", "def fill(config):\n    config['a'] = 1", "fill(CONFIG)", "unrelated(1)",
             "def answer():\n    return CONFIG['a']"]
    assert chosen(cells, "answer") == [cells[0], cells[4]]
    assert chosen(cells, "answer", "wide") == [cells[0], cells[1], cells[2], cells[4]]


def test_wide_adds_what_makes_names_unseen():
    cells = ["code = 'def answer(x): return x'", "exec(code)"]
    assert chosen(cells, "answer") == []
    assert chosen(cells, "answer", "wide") == cells


def test_global_statements():
    cells = ["def set_up():\n    global TABLE\n    TABLE = 3", "set_up()", "def answer():\n    return TABLE"]
    assert chosen(cells, "answer") == [cells[0], cells[2]]
    assert chosen(cells, "answer", "wide") == cells


def test_several_statements_on_a_line_and_magic_commands():
    cells = ["%matplotlib inline\n!pip install x\na = 1; b = 2", "%%time\ndef answer():\n    return b",
             "text = '''\n%not magic\n'''"]
    assert chosen(cells, "answer", "wide")[-1].startswith("get_ipython().run_cell_magic('time'")
    assert chosen(cells, "b") == ["b = 2"]
    assert chosen(cells, "text") == [cells[2]]


@pytest.mark.parametrize("bad", ["def answer(:\n  pass", "answer = '\ud800'", "answer = " + "(" * 5000, "answer = 1\x00"])
def test_a_cell_that_cannot_be_read_costs_only_itself(bad):
    plans = program.plan(["import math", bad, "def other():\n    return math"], ["answer", "other"])
    assert plans["answer"]["narrow"]["statements"] == []
    assert plans["answer"]["why"].startswith("cell 2 cannot be read as Python")
    assert [line for _, _, line in plans["other"]["narrow"]["statements"]] == ["import math", "def other():\n    return math"]


def test_lines_are_the_cells_own():
    plan = program.plan(["# one\n\nx = 1\n\n\n@staticmethod\ndef answer():\n    return x"], ["answer"])["answer"]
    assert [(cell, line) for cell, line, _ in plan["narrow"]["statements"]] == [(0, 3), (0, 6)]


def test_a_long_chain_takes_no_longer_than_its_length():
    cells = ["\n".join(["x0 = 1", *(f"x{i} = x{i - 1}" for i in range(1, 20_000))])]
    found, _ = program.statements(cells)
    looked = []

    class Counted(set):
        def __iter__(self):
            looked.append(1)
            return super().__iter__()

    for statement in found:
        statement.uses = Counted(statement.uses)
    assert len(program.needed(found, "x19999")) == 20_000
    assert len(looked) <= 2 * 20_000
