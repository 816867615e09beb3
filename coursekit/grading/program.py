"""From a notebook's cells to the statements that one exercise depends on. This runs in the box, on a stranger's text.

An exercise is found by its name. What it depends on is found by the names that statements bind, change and use: a
statement counts if it binds or changes a needed name, and then the names it uses are needed too, wherever in the
notebook they are bound. So a long training on which nothing graded depends is not run. `narrow` is that; `wide` adds
bare calls that mention a needed name of the learner's, for they may change what they are given, and all that makes names
in ways that no reader of the text can follow (exec, globals, magic commands).
"""

import ast
import re
import symtable
import types
import warnings
from collections import defaultdict
from dataclasses import dataclass

from IPython.core.inputtransformer2 import TransformerManager

COURSE_CALLS = {"start", "check", "hint", "solution", "progress", "show_source"}  # a learner's, of no use here
SHOWN = {"print", "display"}
DYNAMIC = {"exec", "globals", "locals", "vars", "setattr", "get_ipython"}


@dataclass
class Statement:
    """One top-level statement: its cell, its first line there, its source, and the names it binds, changes (an item, an
    attribute, by a method) and uses. modules: what it imports. kind: "import", "future" (an import from __future__),
    "setting" (a module's function is called with constants), "call" (any other bare call) or ""."""

    cell: int
    line: int
    source: str
    binds: set
    changes: set
    uses: set
    modules: set
    kind: str


def statements(cells):
    """The statements of the cells, a list of texts, in order; and {cell: why it cannot be read}."""
    found, unreadable, modules = [], {}, set()
    for index, text in enumerate(cells):
        try:
            text, body = parsed(text)
            lines = text.splitlines()
            found += [read(part, index, lines, modules) for node in body for part in one_by_one(node)]
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            where = f" in line {error.lineno}" if getattr(error, "lineno", None) else ""
            unreadable[index] = f"cell {index + 1} cannot be read as Python: {type(error).__name__}{where}"
    return found, unreadable


def parsed(text):
    """The text as Python, in which IPython's magic commands have become calls of get_ipython(), and its statements."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an invalid escape is not our business
        try:
            return text, ast.parse(text).body
        except SyntaxError:
            text = TransformerManager().transform_cell(text)
            return text, ast.parse(text).body


def one_by_one(node):
    """An import of several names as several imports, so that one name does not bring the others' modules."""
    if not isinstance(node, (ast.Import, ast.ImportFrom)) or len(node.names) == 1:
        return [node]
    place = {"lineno": node.lineno, "col_offset": 1, "end_lineno": node.end_lineno}  # a part of a line
    rest = {"module": node.module, "level": node.level} if isinstance(node, ast.ImportFrom) else {}
    return [type(node)(names=[name], **rest, **place) for name in node.names]


def read(node, cell, lines, imported):
    """The Statement of a node. `imported` collects the names that imports have bound so far."""
    first = min([node.lineno, *(part.lineno for part in getattr(node, "decorator_list", ()))])
    alone = node.col_offset == 0 and ";" not in lines[node.end_lineno - 1]
    source = "\n".join(lines[first - 1:node.end_lineno]) if alone else ast.unparse(node)
    binds, uses = scope(source)
    modules, changes, kind = set(), set(), ""
    for part in ast.walk(node):
        if isinstance(part, ast.ImportFrom):
            modules.update([part.module or "", *(f"{part.module}.{item.name}" for item in part.names)])
        elif isinstance(part, ast.Import):
            modules.update(item.name for item in part.names)
        elif isinstance(part, (ast.Attribute, ast.Subscript)) and isinstance(part.ctx, (ast.Store, ast.Del)):
            changes.add(base(part))
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        imported.update(binds)
        kind = "future" if getattr(node, "module", "") == "__future__" else "import"
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        called, owner = node.value, base(node.value.func)
        given = [*called.args, *(keyword.value for keyword in called.keywords)]
        if owner in SHOWN or owner == "coursekit" and getattr(called.func, "attr", "") in COURSE_CALLS:
            uses = set()
        elif owner in imported and all(isinstance(part, ast.Constant) for part in given):
            kind = "setting"
            changes.add(owner)
        else:
            kind = "call"
            if isinstance(called.func, ast.Attribute) and owner not in imported:
                changes.add(owner)
    return Statement(cell, first, source, binds, changes - {None}, uses, modules, kind)


def scope(source):
    """The names that a statement binds and uses at the notebook's level, those in functions' bodies included."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = symtable.symtable(source, "cell", "exec")
    binds = {symbol.get_name() for symbol in table.get_symbols()
             if symbol.is_assigned() or symbol.is_imported()}
    uses = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_referenced()}
    inner = list(table.get_children())
    while inner:
        table = inner.pop()
        inner += table.get_children()
        for symbol in table.get_symbols():
            if symbol.is_global():
                uses.add(symbol.get_name())
                if symbol.is_declared_global() and symbol.is_assigned():
                    binds.add(symbol.get_name())
    return binds, uses


def base(node):
    """The name at the root of a.b[c].d, or None."""
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else None


def needed(found, name, wide=False):
    """The statements that the exercise called `name` depends on, in the notebook's order; none if nothing binds it."""
    making = defaultdict(list)  # name: the statements that bind or change it
    for index, statement in enumerate(found):
        for made in statement.binds | statement.changes:
            making[made].append(index)
    kept = closure(found, making, {name}, ())
    if wide:
        own = set().union(*(found[index].binds for index in kept if found[index].kind != "import"))
        more = [index for index, statement in enumerate(found) if statement.uses & DYNAMIC
                or statement.kind == "call" and statement.uses & own]
        kept = closure(found, making, {name}, more)
    chosen = [statement for index, statement in enumerate(found) if index in kept or statement.kind == "future"]
    return chosen if any(name in part.binds or part.uses & DYNAMIC for part in chosen) else []


def closure(found, making, names, indices):
    """The indices given, and those of all statements on which these, and the names, depend."""
    kept, known, waiting = set(), set(), list(names)
    for index in indices:
        kept.add(index)
        waiting += found[index].uses
    while waiting:
        name = waiting.pop()
        if name not in known:
            known.add(name)
            for index in making.get(name, ()):
                if index not in kept:
                    kept.add(index)
                    waiting += found[index].uses
    return kept


def plan(cells, names):
    """For every exercise's name its statements as [cell, line, source] with the modules they import, `narrow` and, where
    that is more, `wide`; and why its definition may be missing."""
    found, unreadable = statements(cells)
    plans = {}
    for name in names:
        narrow, wide = needed(found, name), needed(found, name, wide=True)
        why = next((text for index, text in unreadable.items() if re.search(rf"\b{name}\b", cells[index])), "")
        plans[name] = {"narrow": listed(narrow), "why": why,
                       "wide": listed(wide) if len(wide) > len(narrow) else None}
    return plans


def listed(chosen):
    return {"statements": [[part.cell, part.line, part.source] for part in chosen],
            "modules": sorted(set().union(*(part.modules for part in chosen)))}


def notebook_module():
    """An empty notebook: a module called __main__ with what IPython provides and nothing does."""
    module = types.ModuleType("__main__")
    module.display = lambda *shown, **options: None
    module.get_ipython = Shell
    return module


class Shell:
    """Stands for IPython: magic commands that time or hide a statement run it, all others do nothing."""

    RUN = {"time", "timeit", "capture", "prun"}

    def run_line_magic(self, name, line, *rest):
        if name in self.RUN:
            import __main__

            exec(line, vars(__main__))

    def run_cell_magic(self, name, line, cell):
        if name in self.RUN:
            import __main__

            exec(cell, vars(__main__))

    def __getattr__(self, name):
        return lambda *arguments, **options: None
