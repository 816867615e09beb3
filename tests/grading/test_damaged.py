"""Randomly damaged notebooks: each gets a record, and none of them stops anything or gains a point.

    python tests/grading/test_damaged.py 2000    grades so many in the box and prints the records by status
"""

import copy
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from coursekit.grading import batch
from coursekit.grading.collect import what_is_wrong
from coursekit.grading.hostile import ANSWERS, IMPORTS
from coursekit.grading.mark import Assignment, Unreadable, code_cells, mark
from coursekit.grading.rehearsal import as_json

SEED = 5
STATUSES = {"graded", "partly graded", "timed out", "crashed", "unreadable"}
CELLS = [IMPORTS, *list(ANSWERS["05"].values())[1:]]
WHOLE = as_json([("markdown", "# Lösungen ✓"), *(("code", text) for text in CELLS), ("markdown", "Ende")])
DEEP, HUGE = "deep-7f3a", "huge-7f3a"  # stand for what json.dumps would not write

VALUES = (None, True, False, 0, -1, 2**63, 1.5, float("nan"), float("inf"), "", "text", "\0", "\ud800", "\u202e",
          [], {}, [None], {"": None}, [[]], ["a", 5, None], DEEP, HUGE, "x" * 100_000)


def damaged(seed):
    """The bytes of a notebook to which one to three things have happened."""
    rng = np.random.default_rng(seed)
    content = WHOLE
    for _ in range(rng.integers(1, 4)):
        damage = DAMAGES[rng.integers(len(DAMAGES))]
        try:
            content = damage(content, rng)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
            pass  # this cannot happen to what is damaged already
    return content


# To bytes.

def flipped(content, rng):
    changed = bytearray(content)
    for place in rng.integers(len(changed), size=rng.integers(1, 20)):
        changed[place] ^= 1 << rng.integers(8)
    return bytes(changed)


def cut(content, rng):
    return content[:rng.integers(len(content))]


def beheaded(content, rng):
    return content[rng.integers(1, len(content)):]


def inserted(content, rng):
    place = rng.integers(len(content))
    return content[:place] + rng.bytes(rng.integers(1, 50)) + content[place:]


def a_part_twice(content, rng):
    first, last = sorted(rng.integers(len(content), size=2))
    return content[:last] + content[first:]


def a_part_missing(content, rng):
    first, last = sorted(rng.integers(len(content), size=2))
    return content[:first] + content[last:]


def without_some_quotes(content, rng):
    parts = content.split(b'"')
    place = rng.integers(1, len(parts))
    return b'"'.join(parts[:place]) + b'"'.join(parts[place:])


def encoded(content, rng):
    encoding = rng.choice(["utf-16", "utf-16-be", "utf-32", "latin-1", "utf-8-sig", "cp1252", "utf-7", "cp500"])
    return content.decode().encode(encoding, "replace")


def other_line_ends(content, rng):
    return content.replace(b"\n", rng.choice([b"\r\n", b"\r", b"\x0b"]))


def something_behind(content, rng):
    return content + rng.choice([b"\0", b"}", b"[]", b"\n<html>", content[:200]])


def a_name_twice(content, rng):
    name = rng.choice([b'"cells"', b'"source"', b'"cell_type"', b'"metadata"'])
    return content.replace(name + b":", name + rng.choice([b": null, ", b": [], ", b": 5, "]) + name + b":", 1)


# To what the JSON says.

def of_json(change):
    def damage(content, rng):
        return written(change(json.loads(content), rng), rng)
    return damage


def written(parsed, rng):
    text = json.dumps(parsed, ensure_ascii=bool(rng.integers(2)), indent=[None, 1][rng.integers(2)])
    depth = int(rng.choice([100, 990, 5_000, 200_000]))
    text = text.replace(json.dumps(DEEP), "[" * depth + "]" * depth).replace(json.dumps(HUGE), "9" * 5_000)
    return text.encode("utf-8", "surrogatepass")


def places(value, path=()):
    """The paths of everything in a parsed notebook."""
    yield path
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield from places(part, (*path, key))


def another_value(parsed, rng):
    def change(holder, key):
        holder[key] = copy.deepcopy(VALUES[rng.integers(len(VALUES))])
    return with_change(parsed, rng, change)


def a_value_missing(parsed, rng):
    return with_change(parsed, rng, lambda holder, key: holder.__delitem__(key))


def with_change(parsed, rng, change):
    for _ in range(rng.integers(1, 6)):
        every = [path for path in places(parsed) if path]
        path = every[rng.integers(len(every))]
        holder = parsed
        for key in path[:-1]:
            holder = holder[key]
        change(holder, path[-1])
    return parsed


def cells_shuffled(parsed, rng):
    return {**parsed, "cells": [parsed["cells"][index] for index in rng.permutation(len(parsed["cells"]))]}


def cells_by_name(parsed, rng):
    return {**parsed, "cells": {str(index): cell for index, cell in enumerate(parsed["cells"])}}


def as_in_version_3(parsed, rng):
    cells = [{**cell, "input": cell["source"]} for cell in parsed["cells"]]
    return {"worksheets": [{"cells": cells}], "metadata": {}, "nbformat": 3, "nbformat_minor": 0}


def sources_as(kind):
    def change(parsed, rng):
        for cell in parsed["cells"]:
            cell["source"] = kind(cell["source"])
        return parsed
    return change


def other_kinds(parsed, rng):
    for cell in parsed["cells"]:
        cell["cell_type"] = ["code", "markdown", "raw", "Code", None, 5, ["code"]][rng.integers(7)]
    return parsed


DAMAGES = [
    flipped, cut, beheaded, inserted, a_part_twice, a_part_missing, without_some_quotes, encoded, other_line_ends,
    something_behind, a_name_twice, *map(of_json, (
        another_value, another_value, another_value, a_value_missing, a_value_missing, cells_shuffled, cells_by_name,
        as_in_version_3, other_kinds, sources_as("".join), sources_as(lambda lines: None),
        sources_as(lambda lines: [lines]), sources_as(lambda lines: dict(enumerate(lines))),
        sources_as(lambda lines: lines[::-1]), sources_as(lambda lines: [*lines, None, 5]),
        lambda parsed, rng: parsed["cells"], lambda parsed, rng: [parsed], lambda parsed, rng: DEEP)),
]


def test_each_of_2000_is_read_or_refused():
    """What is refused at collection has no cells, what is read has texts; nothing else happens."""
    read = 0
    for seed in range(2000):
        content = damaged(seed)
        wrong = what_is_wrong(content)
        try:
            texts = code_cells(content)
        except Unreadable as error:
            assert str(error)
            continue
        assert not wrong and all(type(text) is str for text in texts)
        read += 1
    assert 500 < read < 1500


def test_damage_is_of_many_kinds():
    contents = {damaged(seed) for seed in range(500)}
    assert len(contents) > 350
    assert [damaged(seed) for seed in range(50)] == [damaged(seed) for seed in range(50)]


def test_every_damage_can_happen_to_a_whole_notebook():
    for damage in DAMAGES:
        assert damage(WHOLE, np.random.default_rng(1)) != WHOLE


@pytest.fixture(scope="module")
def assignment():
    return Assignment("05", SEED, seconds=5, set_up=10)


def test_a_whole_one_has_its_points(assignment, boxes):
    marks = mark(WHOLE, assignment, boxes)
    assert (marks["status"], marks["points"]) == ("graded", 5)


@pytest.mark.parametrize("harmless", [
    of_json(cells_shuffled), of_json(sources_as("".join)),
    lambda content, rng: content.replace(b"\n", b"\r\n"),
    lambda content, rng: content.decode().encode("utf-16"), lambda content, rng: content.decode().encode("utf-8-sig"),
    lambda content, rng: content.replace(b'"id"', b'"ID"').replace(b'"metadata": {}', b'"metadata": null')])
def test_harmless_damage_costs_nothing(harmless, assignment, boxes):
    marks = mark(harmless(WHOLE, np.random.default_rng(0)), assignment, boxes)
    assert (marks["status"], marks["points"]) == ("graded", 5)


@pytest.mark.parametrize("seed", range(40))
def test_a_damaged_one_is_marked(seed, assignment, boxes):
    check(mark(damaged(seed), assignment, boxes))


def check(marks):
    assert marks["status"] in STATUSES
    assert marks["points"] is None if marks["status"] == "unreadable" else marks["points"] <= 5
    json.dumps(marks, allow_nan=False)


def main(count):
    with tempfile.TemporaryDirectory() as folder:
        submissions = Path(folder, "submissions")
        submissions.mkdir()
        for seed in range(count):
            (submissions / f"{seed:05}.ipynb").write_bytes(damaged(seed))
        batch.grade_class(submissions, Path(folder, "out"), "05", SEED)
        records = [json.loads(line) for line in Path(folder, "out", "results.jsonl").read_text().splitlines()]
    assert sorted(record["learner"] for record in records) == [f"{seed:05}" for seed in range(count)]
    for record in records:
        check(record)
    for (status, points), number in sorted(Counter((record["status"], record["points"]) for record in records).items(),
                                           key=lambda item: -item[1]):
        print(f"{number:6} {status:14} {'no points' if points is None else f'{points:g} of 5 points'}")


if __name__ == "__main__":
    main(int(sys.argv[1]))
