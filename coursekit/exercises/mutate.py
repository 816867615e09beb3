"""Do the checks check? Every reference is damaged in one place at a time, and the check must notice.

Every mutant changes one place of the reference: a constant, an operator, a comparison, the order of two arguments; or
it drops a call, an index, a keyword or a statement. It is rejected when the check of seed 0 does not pass it. One that
passes is either equivalent, listed in the exercise with a proof, or a gap in the check.
"""

import ast
import copy
import sys
from dataclasses import dataclass

import numpy as np

from coursekit.exercises import library
from coursekit.exercises.compare import Verdict
from coursekit.exercises.exercise import examine

OPERATORS = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.MatMult: ast.Mult,
    ast.FloorDiv: ast.Div, ast.Mod: ast.FloorDiv, ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
    ast.And: ast.Or, ast.Or: ast.And, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt,
    ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}


@dataclass
class Mutant:
    """One damaged reference: what was changed, as "before -> after", and its source."""

    change: str
    source: str


def mutants(source):
    """All mutants of a definition, one change each."""
    tree = ast.parse(source)
    docstrings = [node.body[0] for node in ast.walk(tree)
                  if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(node)]
    skipped = {id(part) for docstring in docstrings for part in ast.walk(docstring)}
    seen = {ast.unparse(tree)}
    for index, node in enumerate(ast.walk(tree)):
        for changed in [] if id(node) in skipped else changes(node):
            damaged = copy.deepcopy(tree)
            replace(damaged, list(ast.walk(damaged))[index], changed)
            after = ast.unparse(ast.fix_missing_locations(damaged))
            if after not in seen:
                seen.add(after)
                yield Mutant(f"{ast.unparse(node)} -> {ast.unparse(changed)}, in {statement_of(tree, node)}", after)


def changes(node):
    """The nodes that may stand in this node's place."""
    if isinstance(node, ast.Constant):
        yield from constants(node.value)
    elif isinstance(node, ast.BinOp):
        if type(node.op) in OPERATORS:
            yield ast.BinOp(node.left, OPERATORS[type(node.op)](), node.right)
        if not isinstance(node.op, (ast.Add, ast.Mult, ast.BitAnd, ast.BitOr)):
            yield ast.BinOp(node.right, node.op, node.left)
        yield node.left
        yield node.right
    elif isinstance(node, ast.UnaryOp):
        yield node.operand
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(OPERATORS[type(node.op)](), node.values)
    elif isinstance(node, ast.Compare):
        yield ast.Compare(node.left, [OPERATORS[type(node.ops[0])](), *node.ops[1:]], node.comparators)
    elif isinstance(node, ast.Call):
        yield from calls(node)
    elif isinstance(node, ast.Subscript):
        yield node.value
    elif isinstance(node, ast.Tuple) and isinstance(node.ctx, ast.Load) and len(node.elts) > 1:
        yield ast.Tuple([node.elts[1], node.elts[0], *node.elts[2:]], node.ctx)
    elif isinstance(node, (ast.Assign, ast.AugAssign, ast.For)):
        yield ast.Pass()
    elif isinstance(node, ast.If):
        yield ast.If(ast.UnaryOp(ast.Not(), node.test), node.body, node.orelse)


def constants(value):
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, (int, float)):
        yield ast.Constant(value + 1)
        yield ast.Constant(value - 1)
    elif isinstance(value, str) and "->" in value:  # einsum: every letter of the result in turn is left out
        inputs, result = value.split("->")
        for letter in result:
            yield ast.Constant(f"{inputs}->{result.replace(letter, '')}")
        yield ast.Constant(f"{inputs}->{result[::-1]}")
    elif isinstance(value, str):
        yield ast.Constant(value + "?")


def calls(node):
    if len(node.args) > 1:
        yield ast.Call(node.func, [node.args[1], node.args[0], *node.args[2:]], node.keywords)
    if node.args:
        yield node.args[0]
    if isinstance(node.func, ast.Attribute):
        yield node.func.value
    for dropped in node.keywords:
        yield ast.Call(node.func, node.args, [keyword for keyword in node.keywords if keyword is not dropped])


def statement_of(tree, node):
    """The first line of the innermost statement that contains the node."""
    around = [statement for statement in ast.walk(tree)
              if isinstance(statement, ast.stmt) and any(part is node for part in ast.walk(statement))]
    return ast.unparse(around[-1]).splitlines()[0]  # ast.walk goes from the outside in


def replace(tree, old, new):
    """Put `new` in the place of `old`."""
    for parent in ast.walk(tree):
        for name, value in ast.iter_fields(parent):
            if value is old:
                setattr(parent, name, new)
            elif isinstance(value, list):
                setattr(parent, name, [new if item is old else item for item in value])


# The table.

@dataclass
class Row:
    """What became of the mutants of one exercise."""

    id: str
    rejected: int
    named: int
    equivalent: int
    gaps: list


def survey(exercise):
    """Check every mutant of one exercise's reference; "named" are the rejected ones that a misconception explains."""
    row = Row(exercise.id, 0, 0, 0, [])
    for mutant in mutants(exercise.source):
        names = dict(vars(sys.modules[exercise.right.__module__]))
        try:
            exec(compile(mutant.source, "<mutant>", "exec"), names)
            with np.errstate(all="ignore"):
                verdict = examine(exercise, exercise.namespace(names[exercise.task.name]))
        except Exception:  # a number's function is called outside the check
            verdict = Verdict("failed")
        if verdict.status != "passed":
            row.rejected += 1
            row.named += bool(verdict.mistake)
        elif mutant.change in exercise.equivalent:
            row.equivalent += 1
        else:
            row.gaps.append(mutant.change)
    return row


def mutation_table(lectures=None):
    """Print the table of all exercises and every gap; return the rows. Raises ValueError for an unknown lecture, and in
    a copy without solutions."""
    known = library.lectures()
    unknown = sorted(set(lectures or []) - set(known))
    if unknown:
        raise ValueError(f"unknown lecture {', '.join(unknown)}: the lectures are {', '.join(known)}")
    rows = [survey(library.with_reference(exercise))
            for lecture in lectures or known for exercise in library.exercises(lecture)]
    total = Row("all", *(sum(getattr(row, name) for row in rows) for name in ("rejected", "named", "equivalent")),
                [gap for row in rows for gap in row.gaps])
    print(f"{'exercise':<24}{'mutants':>9}{'equivalent':>12}{'rejected':>10}{'score':>9}{'named':>7}")
    for row in [*rows, total]:
        judged = row.rejected + len(row.gaps)
        print(f"{row.id:<24}{judged + row.equivalent:>9}{row.equivalent:>12}{row.rejected:>10}"
              f"{row.rejected / judged:>9.1%}{row.named:>7}")
        for gap in row.gaps if row is not total else []:
            print(f"    not noticed: {gap}")
    return rows
