"""Marks: statuses, points and policies, on answers whose marks are known beforehand."""

import json

import pytest

from coursekit.exercises import library
from coursekit.exercises.exercise import examine
from coursekit.grading import batch
from coursekit.grading.batch import Worker
from coursekit.grading.mark import Assignment, Unreadable, code_cells, mark, outcome_of

SEED = 31
RIGHT = {  # of lecture 05, by name; written here, not taken from the references
    "attention_parameters": "attention_parameters = 787968",
    "attend": "def attend(query, key, value):\n    return (query @ key.T / query.shape[1] ** 0.5).softmax(1) @ value",
    "attend_in_columns": "import numpy as np\n\ndef attend_in_columns(X, W_query, W_key, W_value):\n"
                         "    q, k, v = W_query @ X, W_key @ X, W_value @ X\n    e = np.exp(k.T @ q / np.sqrt(len(q)))\n"
                         "    return v @ (e / e.sum(0))",
    "attend_where_allowed": "def attend_where_allowed(query, key, value, mask):\n"
                            "    powers = (query @ key.mT / query.shape[-1] ** 0.5).exp() * mask\n"
                            "    return powers / powers.sum(-1, keepdim=True).clamp(min=1e-30) @ value",
    "what_happened": "what_happened = 'c'",
}
POINTS = {"attention_parameters": 1, "attend": 2, "attend_in_columns": 3, "attend_where_allowed": 3, "what_happened": 1}


def notebook(*cells):
    return json.dumps({"cells": [{"cell_type": "code", "source": cell} for cell in cells]}).encode()


def marks(boxes, *cells, **rules):
    made = mark(notebook(*cells), Assignment("05", SEED, **rules), boxes)
    return made, {row["id"].partition(".")[2]: row for row in made["exercises"]}


def with_answer(name, text):
    return [text if other == name else right for other, right in RIGHT.items()]


def test_right_answers_in_any_order_and_number_of_cells(boxes):
    expected = {"status": "graded", "points": 10.0, "of": 14}  # the class is missing: 4 points
    for cells in (list(RIGHT.values()), list(reversed(RIGHT.values())), ["\n".join(RIGHT.values())],
                  [*RIGHT.values(), *RIGHT.values()]):
        made, rows = marks(boxes, *cells)
        assert {name: made[name] for name in expected} == expected
        assert rows["causal_self_attention"] | {"seconds": 0} == {
            "id": "05.causal_self_attention", "title": "A causal self-attention layer", "kind": "class", "of": 4,
            "mistake": "", "text": "nothing defines CausalSelfAttention", "passed": [], "seconds": 0,
            "status": "missing", "points": 0.0}
    assert made["memory"] > 2**20 and made["seconds"] > 0


def test_a_misconception_is_named_and_its_cases_count(boxes):
    wrong = RIGHT["attend"].replace(" / query.shape[1] ** 0.5", "")
    exercise = library.find("05.attend")
    cases = examine(exercise, exercise.namespace(exercise.wrong["scale forgotten"]), SEED).passed
    for policy, points in (("strict", 0.0), ("proportional", round(2 * sum(cases) / len(cases), 2))):
        made, rows = marks(boxes, *with_answer("attend", wrong), policy=policy)
        assert rows["attend"]["mistake"] == "scale forgotten"
        assert rows["attend"]["text"] == exercise.task.mistakes["scale forgotten"]
        assert (rows["attend"]["passed"], rows["attend"]["points"]) == (list(map(bool, cases)), points)
        assert made["points"] == 8 + points


def test_partial_credit_by_cases(boxes):
    some = "def attend(query, key, value):\n    if len(query) == 1: raise ValueError('one')\n" \
           "    return (query @ key.T / query.shape[1] ** 0.5).softmax(1) @ value"
    for policy, points in (("strict", 0.0), ("proportional", 1.5)):
        _, rows = marks(boxes, some, policy=policy)
        assert (sum(rows["attend"]["passed"]), rows["attend"]["points"]) == (3, points)
        assert rows["attend"]["text"] == "Line 2: if len(query) == 1: raise ValueError('one')\nValueError: one"


ENDINGS = {
    "a loop that never ends": ("while True: pass", "timed out"),
    "the end of the process": ("import os; os._exit(0)", "crashed"),
    "a crash": ("import ctypes; ctypes.string_at(0)", "crashed"),
    "too much memory": ("return [bytearray(2**26) for _ in range(64) if not __import__('os').fork() or True]", "crashed"),
    "an exit": ("raise SystemExit", "failed"),
    "too large an answer": ("import numpy; return numpy.zeros(4 * 2**20)", "failed"),
    "no array": ("return object()", "failed"),
}


@pytest.mark.parametrize("what", ENDINGS)
def test_what_ends_badly_costs_its_own_points_only(boxes, what):
    body, status = ENDINGS[what]
    made, rows = marks(boxes, *with_answer("attend_in_columns", f"def attend_in_columns(X, Q, K, V):\n    {body}"))
    row = rows.pop("in_columns")
    assert row["status"] == status and row["text"]
    assert row["points"] == (0.0 if status == "failed" else None)  # no silent zero
    assert made["status"] == ("graded" if status == "failed" else "partly graded")
    assert made["points"] == 7.0


def test_a_cell_that_hangs_costs_what_depends_on_it(boxes):
    hanging = "import time\ntime.sleep(1000)\nSLOW = [time.sleep(1000)]"
    cells = [hanging, *with_answer("what_happened", "what_happened = 'c' if SLOW else 'c'")]
    made, rows = marks(boxes, *cells, seconds=0.3)
    assert rows["too_good"]["status"] == "missing"
    assert "cell 1, line 3: stopped after 0.3 seconds" in rows["too_good"]["text"]
    assert made["points"] == 9.0


def test_one_of_few_hangs(boxes):
    made, _ = marks(boxes, "def attend(*given):\n    while True: pass")
    assert [row["status"] for row in made["exercises"]] == ["missing", "timed out", *["missing"] * 4]
    assert (made["status"], made["points"]) == ("partly graded", 0.0)


def test_a_withheld_name_is_of_no_use_for_its_exercise_and_of_use_elsewhere(boxes):
    library_call = "import torch.nn.functional as F\n\ndef attend(query, key, value):\n" \
                   "    return F.scaled_dot_product_attention(query, key, value)"
    elsewhere = "COMPARED = F.scaled_dot_product_attention(*torch.ones(3, 1, 2, 2))\nimport torch"
    _, rows = marks(boxes, *with_answer("attend", library_call), elsewhere)
    assert "it is withheld here" in rows["attend"]["text"] and rows["attend"]["points"] == 0
    assert rows["masked"]["status"] == "passed"
    for route in ("torch.nn.functional.scaled_dot_product_attention", "torch._C._nn.scaled_dot_product_attention",
                  "vars(torch.nn.functional)['scaled_dot_product_attention']",
                  "__import__('coursekit.torch.attention').torch.scaled_dot_product_attention"):
        sly = f"import torch\nimport coursekit.torch\nKEPT = {route}\n\ndef attend(query, key, value):\n    return KEPT(query, key, value)"
        _, rows = marks(boxes, *with_answer("attend", sly))
        assert rows["attend"]["points"] == 0, route
    _, rows = marks(boxes, "import torch\nlayer = torch.nn.MultiheadAttention(4, 2)", *RIGHT.values())
    assert rows["attend"]["status"] == "passed"


def test_a_notebook_keeps_its_line_numbers(boxes):
    cell = "\n\ndef attend(query, key, value):\n    # two\n    return query.nothing"
    _, rows = marks(boxes, "x = 1", cell)
    assert rows["attend"]["text"].startswith("Line 5: return query.nothing\nAttributeError")


def test_an_import_from_the_future_holds_for_later_cells(boxes):
    cells = ["from __future__ import annotations", "def attend(query: Nowhere, key, value) -> Nothing:\n"
             "    return (query @ key.T / query.shape[1] ** 0.5).softmax(1) @ value"]
    assert marks(boxes, *cells)[1]["attend"]["status"] == "passed"
    assert marks(boxes, cells[1])[1]["attend"]["status"] == "missing"


def test_predictors_are_practice():
    assert Assignment("02", SEED).of == sum(
        exercise.points for exercise in library.exercises("02") if exercise.kind != "predictor") == 14


def test_the_same_seed_gives_the_same_marks_and_another_other_inputs(boxes):
    typed_in = "SEEN = []\n\ndef attend(query, key, value):\n    raise ValueError(repr(query.sum().item()))"
    texts = []
    for seed in (1, 1, 2):
        made = mark(notebook(typed_in), Assignment("05", seed), boxes)
        texts.append(made["exercises"][1]["text"])
    assert texts[0] == texts[1] != texts[2]


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"null", b"[]", b'{"cells": 3}', b"[" * 10**6, b'{"cells": [',
                                     b'{"worksheets": []}'])
def test_unreadable(content, boxes):
    made = mark(content, Assignment("05", SEED), boxes)
    assert (made["status"], made["points"], made["exercises"]) == ("unreadable", None, [])
    assert made["message"]
    with pytest.raises(Unreadable):
        code_cells(content)


def test_odd_cells():
    cells = [None, 3, {}, {"cell_type": "code"}, {"cell_type": "code", "source": None}, {"cell_type": "raw", "source": "a"},
             {"cell_type": "code", "source": ["x = 1\n", 2, "y = 2"]}, {"cell_type": "code", "source": "z = 3",
                                                                       "metadata": {"tags": ["skip-execution"]}}]
    assert code_cells(json.dumps({"cells": cells}).encode()) == ["", "", "x = 1\ny = 2", "z = 3"]
    with pytest.raises(Unreadable, match="more than 2,000 code cells"):
        code_cells(json.dumps({"cells": [{"cell_type": "code", "source": ""}] * 2001}).encode())


def test_a_package_in_a_notebook_is_passed_over():
    packed = "\n".join(["QUJD" * 19] * 2000)
    text = f'WHEEL = """\n{packed}\n"""\nx = 1'
    short, = code_cells(notebook(text))
    assert len(short) < 3000 and short.count("\n") == text.count("\n") and short.endswith('"""\nx = 1')


@pytest.mark.parametrize("answer", [
    None, [], {"status": "passed"}, {"status": "answered", "answer": None, "message": "", "changed": ()},
    {"status": "answered", "answer": (), "message": "", "changed": ()},
    {"status": "answered", "answer": {"a": 1}, "message": "", "changed": ()},
    {"status": "answered", "answer": 3, "message": "", "changed": ()},
    {"status": "answered", "answer": (("a",) * 100,) * 100, "message": "", "changed": ()},
    {"status": "answered", "answer": (((((((((("a",),),),),),),),),),), "message": "", "changed": ()},
    {"status": "answered", "answer": ((),), "message": "", "changed": ()},
    {"status": "answered", "answer": "x" * 10**5, "message": "", "changed": ()}])
def test_forged_outcomes_are_refused(answer):
    with pytest.raises((ValueError, KeyError, TypeError)):
        outcome_of(answer)


def test_rules_are_checked():
    with pytest.raises(ValueError, match="unknown lecture '77': the lectures are 01, 02"):
        Assignment("77", 0)
    with pytest.raises(ValueError, match="the policy is 'kind', expected strict or proportional"):
        Assignment("05", 0, policy="kind")


def test_the_key_knows_what_a_mark_depends_on():
    keys = [Assignment("05", 0).key(b"a"), Assignment("05", 0).key(b"a"), Assignment("05", 1).key(b"a"),
            Assignment("05", 0).key(b"b"), Assignment("05", 0, "proportional").key(b"a"), Assignment("02", 0).key(b"a")]
    assert keys[0] == keys[1] and len(set(keys)) == 5


def test_what_nobody_foresaw_costs_one_submission(monkeypatch):
    monkeypatch.setattr(batch, "mark", lambda content, *rest: {}[content])
    made = Worker.mark(b"x", Assignment("05", SEED))
    assert (made["status"], made["points"], made["message"]) == ("crashed", None, "grading it failed twice: KeyError")


def test_a_box_that_dies_is_replaced(boxes):
    assignment = Assignment("05", SEED)
    try:
        assert Worker.mark(notebook(*RIGHT.values()), assignment)["points"] == 10
        (boxes_here,) = Worker.boxes.values()
        for box in boxes_here.warm.values():
            box.process.kill()
            box.process.wait()
        assert Worker.mark(notebook(*RIGHT.values()), assignment)["points"] == 10
    finally:
        Worker.close()


def test_a_worker_that_outlives_a_class_asks_for_the_box_of_the_next(monkeypatch):
    """A Dask worker's threads stay: what one class was graded in must not be taken for another."""
    used = []
    monkeypatch.setattr(batch, "mark", lambda content, assignment, boxes: used.append(boxes) or {})
    for mode in ("none", "bubblewrap", "bubblewrap"):
        Worker.mark(b"", Assignment("05", SEED, box=mode))
    assert [boxes.mode for boxes in used] == ["none", "bubblewrap", "bubblewrap"] and used[1] is used[2]
    Worker.close()
    Worker.mark(b"", Assignment("05", SEED))
    assert used[3] is not used[2] and list(Worker.boxes.values()) == [used[3]]  # so that the next close finds it
    Worker.close()
    assert not Worker.boxes
