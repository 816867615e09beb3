"""Stored results: what takes longer than a lecture may is measured by a script in benchmarks/, kept in data/results/
with its command and versions, and shown as a table in the lecture and in the README.

A column of a table is a header and a format: {"Score": "{score}", "Tokens right": "{tokens:.1%}"}.
"""

import json
import math
import os
import re
import shlex
import string
import sys
from pathlib import Path

from coursekit.datasets import data_folder
from coursekit.files import replace_file

PROJECT = Path(__file__).resolve().parent.parent


def record(name, rows, *, columns=None, caption="", by=(), **about):
    """Store rows (a list of flat dicts) as data/results/<name>.json, with how they are shown and how they were made.

    columns, caption: as in `table`, by default every value as it is. by: names of values; with them the table shows
    `over_seeds(rows, by)`, while every row is stored. Kept beside them: the command, the versions of
    Python and of the frameworks that are loaded, the number of CPUs, this process's threads, and whatever `about` says
    (threads=1, say, where other processes did the work). Returns the path. Raises ValueError for a value that is not a
    finite number, text, bool or None.
    """
    rows = [{key: _plain(key, value) for key, value in row.items()} for row in rows]
    columns = columns or {key: f"{{{key}}}" for key in rows[0]}
    markdown(over_seeds(rows, by), columns, caption)  # what cannot be shown is not stored
    made = {"command": _command(), "versions": _versions(), "cpus": os.cpu_count(), "threads": _threads()}
    stored = {"name": name} | made | about | {"caption": caption, "columns": columns, "by": list(by), "rows": rows}
    path = data_folder() / "results" / f"{name}.json"
    replace_file(path, json.dumps(stored, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    return path


def load(name):
    """The rows of a stored result and what is known about it: (list of dicts, dict)."""
    folder = data_folder() / "results"
    path = folder / f"{name}.json"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in folder.glob("*.json")))
        raise ValueError(f"no stored result is named {name!r}, expected one of: {known}")
    about = json.loads(path.read_text(encoding="utf-8"))
    return about.pop("rows"), about


def table(rows, columns, caption):
    """Show rows (a list of dicts) as a Markdown table; columns: dict from header to a format of a row's values."""
    from IPython.display import display

    text = markdown(rows, columns, caption)
    display({"text/markdown": text, "text/plain": text}, raw=True)


def stored_table(name):
    """Show a stored result as its table."""
    rows, about = load(name)
    table(over_seeds(rows, about["by"]), about["columns"], about["caption"])


def over_seeds(rows, by):
    """One row for every combination of the values named in `by` (all rows as they are, if it is empty).

    Of each number x that the rows of a group hold, the row has the mean as x, and x_low and x_high; "seeds" is how many
    rows there were. What is None or text in one of them is taken from the first.
    """
    groups = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in by), []).append(row)
    return [_summary(group, by) for group in groups.values()] if by else rows


def _summary(group, by):
    summary = {"seeds": len(group)}
    for name in group[0]:
        values = [row[name] for row in group]
        if name in by or any(isinstance(value, str | None) for value in values):
            summary[name] = values[0]
        else:
            summary |= {name: sum(values) / len(values), f"{name}_low": min(values), f"{name}_high": max(values)}
    return summary


def markdown(rows, columns, caption):
    """The table as Markdown text, padded so that it also reads as plain text; columns of numbers are to the right."""
    cells = [list(columns)] + [[_cell(row, template) for template in columns.values()] for row in rows]
    widths = [max(3, *(len(cell) for cell in column)) for column in zip(*cells)]
    numbers = [":" in template for template in columns.values()]
    lines = [[cell.rjust(w) if n else cell.ljust(w) for cell, w, n in zip(line, widths, numbers)] for line in cells]
    lines.insert(1, ["-" * (w - 1) + (":" if n else "-") for w, n in zip(widths, numbers)])
    return "\n".join([caption, ""] + ["| " + " | ".join(line) + " |" for line in lines])


def filled(text):
    """`text` with every table between `<!-- table: NAME -->` and `<!-- end of table -->` made anew from the store."""

    def fill(match):
        rows, about = load(match["name"])
        made = markdown(over_seeds(rows, about["by"]), about["columns"], about["caption"])
        return f"{match['start']}\n{made}\n{match['end']}"

    pattern = r"(?P<start><!-- table: (?P<name>\w+) -->)\n.*?(?P<end><!-- end of table -->)"
    return re.sub(pattern, fill, text, flags=re.DOTALL)


def fill_readme():
    """Make the README's tables anew; returns whether anything changed."""
    readme = PROJECT / "README.md"
    text = readme.read_text(encoding="utf-8")
    if changed := filled(text) != text:
        replace_file(readme, filled(text))
    return changed


def _plain(key, value):
    value = value.item() if getattr(value, "ndim", None) == 0 else value  # a number of NumPy or PyTorch
    if not isinstance(value, str | int | float | None) or isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{key} is {value!r}, expected text, a finite number, a bool or None")
    return value


def _cell(row, template):
    if any(field and row.get(field, "") is None for _, field, _, _ in string.Formatter().parse(template)):
        return "–"
    try:
        return template.format(**row).replace("|", "\\|")
    except KeyError as missing:
        raise ValueError(f"a column shows {template!r}, a row has only {', '.join(row)}") from missing


def _command():
    """The command as it would be typed in the project's folder, without the path of this machine."""
    script, *words = (Path(word) for word in (Path(sys.argv[0]).resolve(), *sys.argv[1:]))
    paths = [p.relative_to(PROJECT) if p.is_relative_to(PROJECT) else Path(p.name) if p.is_absolute() else p
             for p in (script, *words)]
    return shlex.join(["python", *(path.as_posix() for path in paths)])


def _versions():
    loaded = sys.modules.keys() & {"numpy", "torch", "tensorflow", "keras"}
    return {"python": sys.version.split()[0]} | {name: sys.modules[name].__version__ for name in sorted(loaded)}


def _threads():
    if "torch" in sys.modules:
        return sys.modules["torch"].get_num_threads()
    if "tensorflow" in sys.modules:
        return sys.modules["tensorflow"].config.threading.get_intra_op_parallelism_threads()
    return None
