"""The exercises in the lectures: their cells are the data's, the lecture needs no answer, and the solutions pass."""

import ast
import builtins
import re
import symtable
from pathlib import Path
from types import SimpleNamespace

import jupytext
import pytest
from IPython.core.inputtransformer2 import TransformerManager
from safetensors.torch import load_file

import coursekit.torch
from coursekit.exercises import library
from coursekit.exercises.try_out import cells
from coursekit.notebooks import NOTEBOOKS

LECTURES = library.lectures()
EXERCISES = [exercise for lecture in LECTURES for exercise in library.exercises(lecture)]
STORED = {16: "length_20_seed_0", 20: "length_100_seed_0"}  # trained models, by the width of their vectors

every_exercise = pytest.mark.parametrize("exercise", EXERCISES, ids=[exercise.id for exercise in EXERCISES])


def parts(text):
    return [(cell.cell_type, cell.source) for cell in jupytext.reads(text, fmt="py:percent").cells]


def lecture_of(number):
    source, = (NOTEBOOKS / "source").glob(f"{number}_*.py")
    return parts(source.read_text(encoding="utf-8"))


def place_of(exercise, lecture):
    """Where the three cells of an exercise begin; ValueError unless they stand there once."""
    wanted = parts(cells(exercise.id))
    place, = [i for i in range(len(lecture)) if lecture[i:i + 3] == wanted]
    return place


def code(source):
    """Python without the magics of notebooks."""
    return TransformerManager().transform_cell(source)


def defined(source):
    """The names that a cell binds at its top level, each with what it imports there, or None."""
    imported = {}
    for node in ast.walk(ast.parse(source)):
        for alias in node.names if isinstance(node, (ast.Import, ast.ImportFrom)) else []:
            module = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            name = alias.asname or alias.name.partition(".")[0]
            imported[name] = module + alias.name if alias.asname or module else name
    symbols = symtable.symtable(source, "cell", "exec").get_symbols()
    return {symbol.get_name(): imported.get(symbol.get_name())
            for symbol in symbols if symbol.is_assigned() or symbol.is_imported()}


def used(source):
    """The names that a cell reads from the notebook, inside functions and classes too."""
    tables, names = [symtable.symtable(source, "cell", "exec")], set()
    while tables:
        table = tables.pop()
        tables += table.get_children()
        names |= {symbol.get_name() for symbol in table.get_symbols()
                  if symbol.is_referenced() and (table.get_type() == "module" or symbol.is_global())}
    return names - set(dir(builtins))


def solved(exercise):
    """What a learner would put into the starter cell."""
    name = exercise.task.name
    return exercise.solution + (f"\n{name} = {name}()\n" if exercise.kind in ("number", "choice") else "")


def with_what_it_needs(statements, chosen):
    """The chosen statements and, of those above them, the last ones to bind the names that are used."""
    chosen = set(chosen)
    for here in reversed(range(len(statements))):
        for name in used(statements[here]) if here in chosen else ():
            above = [i for i in range(here) if name in defined(statements[i])]
            chosen.update(above[-1:])
    return [statements[i] for i in sorted(chosen)]


@every_exercise
def test_cells_are_those_of_the_data(exercise):
    assert place_of(exercise, lecture_of(exercise.id[:2])) > 0


@pytest.mark.parametrize("number", LECTURES)
def test_each_exercise_is_there_once_and_in_the_order_of_the_data(number):
    text = "\n".join(source for _, source in lecture_of(number))
    ids = [exercise.id for exercise in library.exercises(number)]
    assert re.findall(r"(?m)^### Exercise (\S+):", text) == ids
    assert re.findall(r'(?m)^coursekit\.check\("(\S+)"\)', text) == ids


@every_exercise
def test_no_other_cell_needs_the_answer(exercise):
    """Neither the starter nor the worked solution binds a name that another cell defines or reads; the same import
    may stand twice."""
    lecture = lecture_of(exercise.id[:2])
    place = place_of(exercise, lecture)
    others = [code(source) for kind, source in lecture[:place] + lecture[place + 3:] if kind == "code"]
    for name, imported in (defined(exercise.starter) | defined(solved(exercise))).items():
        elsewhere = {defined(source)[name] for source in others if name in defined(source)}
        assert elsewhere <= {imported} - {None} and (imported or all(name not in used(source) for source in others)), name


@pytest.mark.parametrize("number", LECTURES)
def test_solutions_in_the_starter_cells_pass_every_check(number, monkeypatch, tmp_path, capsys):
    def stored(model, *args, **kwargs):
        weights = load_file(Path(__file__).parents[1] / "exercises" / f"{STORED[model.vocab_size]}.safetensors")
        model.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
        return SimpleNamespace(seconds=60.0)

    monkeypatch.setattr(coursekit.torch, "fit", stored)
    monkeypatch.setenv("COURSEKIT_PROGRESS", str(tmp_path / "progress.json"))
    lecture, exercises = lecture_of(number), library.exercises(number)
    answers = {place_of(exercise, lecture) + 1: solved(exercise) for exercise in exercises}
    statements, chosen = [], []
    for i, (kind, source) in enumerate(lecture):
        body = ast.parse(code(answers.get(i, source))).body if kind == "code" else []
        statements += [ast.unparse(node) for node in body]
        if i in answers or i - 1 in answers:
            chosen += range(len(statements) - len(body), len(statements))

    namespace = {}
    for statement in with_what_it_needs(statements, chosen):
        exec(statement, namespace)
    cards = re.findall(r"(?m)^\[.*", capsys.readouterr().out)
    assert len(cards) == len(exercises)
    for exercise, card in zip(exercises, cards):
        assert card.startswith(f"[✓] {exercise.id} {exercise.title}: passed"), card
