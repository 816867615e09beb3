"""What lectures train live is what their stored tables measure."""

import ast
import re

import pytest

from coursekit.notebooks import NOTEBOOKS
from coursekit.results import PROJECT


def definition(path, name):
    """The class or function as it is in this file, but for docstrings, comments and the ways to write torch.nn."""
    tree = ast.parse(re.sub(r"(?m)^# %pip.*$", "", path.read_text(encoding="utf-8")))
    found = next(node for node in tree.body if getattr(node, "name", None) == name)
    for node in ast.walk(found):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return ast.unparse(found).replace("torch.nn.", "nn.")


@pytest.mark.parametrize("name, benchmark, lecture", [
    ("Finder", "positions", "04_positional_encoding"),
    ("windows", "causal_leak", "05_self_attention"),
    ("InBatches", "translation", "08_decoder_and_translation"),
    ("inputs_and_targets", "scaling", "09_language_model"),
])
def test_the_lecture_and_the_benchmark_define_the_same(name, benchmark, lecture):
    there = definition(PROJECT / f"benchmarks/{benchmark}.py", name)
    assert len(there.splitlines()) >= 4
    assert definition(NOTEBOOKS / f"source/{lecture}.py", name) == there
