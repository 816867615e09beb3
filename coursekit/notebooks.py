"""The lectures as pairs: notebooks/source/NN_name.py (text, py:percent) and notebooks/NN_name.ipynb (with outputs).

`build` executes a source and stores the notebook, `check` says where the two disagree, and `stamp` writes what every
lecture shares, the Colab badge and the set-up cell, from the address in pyproject.toml. jupytext, nbclient and
nbformat come with the extra `lab`, and are imported only when needed.
"""

import base64
import hashlib
import os
import re
import tomllib
from collections import Counter
from itertools import zip_longest
from pathlib import Path

from coursekit.files import replace_file

PROJECT = Path(__file__).resolve().parent.parent
NOTEBOOKS = PROJECT / "notebooks"
BADGE = PROJECT / "notebooks" / "open_in_colab.png"
CELL_SECONDS = 300

SET_UP = """\
try:
    import coursekit
except ImportError:  # a fresh Colab: whatever it has (numpy, torch, tensorflow) stays as it is
    # %pip install --quiet --no-deps git+{address}
    import coursekit

{start}
"""


def build(names=None, folder=NOTEBOOKS):
    """Execute the named sources ("01", "02_luong_bahdanau_attention"; all by default) and store the notebooks.

    Each runs in a fresh kernel of this interpreter, in `folder`. The same source gives the same bytes. Returns the
    paths written. Raises ValueError for a name that no source has; an error in a cell is raised and leaves the
    previous notebook as it was.
    """
    import nbformat

    written = []
    for source in _chosen(names, folder):
        notebook = nbformat.v4.new_notebook(cells=_cells(source))
        _execute(notebook, folder)
        notebook.metadata = {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
        nbformat.validate(notebook)
        path = folder / f"{source.stem}.ipynb"
        replace_file(path, nbformat.writes(notebook).rstrip("\n") + "\n")
        written.append(path)
    return written


def check(folder=NOTEBOOKS):
    """Where sources and notebooks disagree, one line each: names, cells (source, tags, id), badge and set-up cell."""
    sources = {path.stem: path for path in _sources(folder)}
    notebooks = {path.stem: path for path in folder.glob("*.ipynb")}
    lines = [f"source/{path.name}: not a lecture, whose name is NN_name.py"
             for path in sorted((folder / "source").iterdir()) if path.is_file() and path.stem not in sources]
    for name in sorted(sources.keys() | notebooks.keys()):
        if name not in notebooks:
            lines.append(f"{name}: has no notebook; run: coursekit notebooks build {name[:2]}")
        elif name not in sources:
            lines.append(f"{name}: has no source in {folder.name}/source")
        else:
            lines += [f"{name}: {line}" for line in _differences(sources[name], notebooks[name])]
    return lines


def stamp(folder=NOTEBOOKS):
    """Write the badge and the set-up cell of this project's address into every source; returns the paths changed."""
    changed = [path for path in _sources(folder) if path.read_text(encoding="utf-8") != stamped(path)]
    for path in changed:
        replace_file(path, stamped(path))
    return changed


def stamped(source):
    """The text of a source with the current badge and set-up cell; its call of coursekit.start is kept as written."""
    address = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["coursekit"]["address"]
    colab = address.replace("https://github.com", "https://colab.research.google.com/github")
    badge = f"# [![Open in Colab](attachment:{BADGE.name})]({colab}/blob/main/notebooks/{source.stem}.ipynb)"
    text = source.read_text(encoding="utf-8")
    text = re.sub(r"(?m)^#\n# \[!\[Open in Colab\].*\n", "", text)
    text = re.sub(r"(?m)^# # .*$", lambda title: f"{title[0]}\n#\n{badge}", text, count=1)

    cells = re.split(r"(?m)^(?=# %%)", text)
    first = next((i for i, cell in enumerate(cells) if re.match(r"# %%(?! \[)", cell)), len(cells))
    start = re.search(r"(?m)^coursekit\.start\(.*$", cells[first]) if first < len(cells) else None
    set_up = "# %%\n" + SET_UP.format(address=address, start=start[0] if start else "coursekit.start()") + "\n"
    cells[first : first + bool(start)] = [set_up]
    return "".join(cells)


def _sources(folder):
    return sorted((folder / "source").glob("[0-9][0-9]_*.py"))


def _chosen(names, folder):
    sources = _sources(folder)
    for name in names or []:
        if not any(path.stem.startswith(name) for path in sources):
            raise ValueError(f"no lecture is named {name}; there are {', '.join(path.stem for path in sources)}")
    return [path for path in sources if not names or path.stem.startswith(tuple(names))]


def _cells(source):
    """The cells of a source. An id is a hash of the cell and of how often it stood before, so that it stays the
    same when something is added elsewhere."""
    import jupytext
    import nbformat

    cells, seen = [], Counter()
    for read in jupytext.reads(source.read_text(encoding="utf-8"), fmt="py:percent").cells:
        new = {"code": nbformat.v4.new_code_cell, "markdown": nbformat.v4.new_markdown_cell}[read.cell_type]
        seen[read.source] += 1
        hashed = hashlib.sha256(f"{read.cell_type} {seen[read.source]} {read.source}".encode()).hexdigest()
        cell = new(read.source, id=hashed[:12])
        if "tags" in read.metadata:
            cell.metadata["tags"] = read.metadata["tags"]
        if f"(attachment:{BADGE.name})" in read.source:
            cell["attachments"] = {BADGE.name: {"image/png": base64.b64encode(BADGE.read_bytes()).decode()}}
        cells.append(cell)
    return cells


def _execute(notebook, folder):
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient
    from nbclient.exceptions import DeadKernelError

    # Without folders to look in, python3 is the interpreter that runs this, whatever kernels the machine has.
    kernel = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=KernelSpecManager(kernel_dirs=[]))
    client = NotebookClient(
        notebook,
        km=kernel,
        timeout=CELL_SECONDS,
        resources={"metadata": {"path": str(folder)}},
        record_timing=False,
        store_widget_state=False,
        coalesce_streams=True,
        extra_arguments=["--HistoryManager.enabled=False", "--IPKernelApp.log_level=ERROR"],
    )
    # Waiting threads must not spin: two busy processes on two cores were 20 to 80 times slower.
    try:
        client.execute(env=os.environ | {"OMP_WAIT_POLICY": "PASSIVE", "COURSEKIT_HEADLESS": "1"})
    except DeadKernelError:  # Ctrl-C reaches the kernel as well, and may end it first
        raise ValueError("the kernel ended before the notebook did (interrupted, or out of memory); "
                         "the stored notebook is as it was") from None
    for cell in notebook.cells:
        if cell.cell_type == "code":  # a progress bar that has cleared itself is an empty text
            cell.outputs = [output for output in cell.outputs if output.get("data") != {"text/plain": ""}]


def _differences(source, notebook):
    import nbformat

    if source.read_text(encoding="utf-8") != stamped(source):
        yield "badge or set-up cell is not the project's; run: coursekit notebooks stamp"
    results = {"outputs", "execution_count"}
    stored = [{k: v for k, v in cell.items() if k not in results} for cell in nbformat.read(notebook, 4).cells]
    expected = [{k: v for k, v in cell.items() if k not in results} for cell in _cells(source)]
    for number, (here, there) in enumerate(zip_longest(expected, stored), 1):
        if here is None or there is None:
            yield f"cell {number}: only in the {'notebook' if here is None else 'source'}"
        elif here != there:
            keys = sorted(key for key in here.keys() | there.keys() if here.get(key) != there.get(key))
            yield f"cell {number}: {', '.join(keys)} differ; run: coursekit notebooks build {source.stem[:2]}"
