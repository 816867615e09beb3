"""The comparison itself is tested: a changed number in a stored output fails, the notebook as stored passes."""

import re
import subprocess
import sys

import nbformat
import pytest

from coursekit.notebooks import NOTEBOOKS

NUMBER = re.compile(r"\d+(?=\D*$)")


def is_compared(cell):
    return "NBVAL_CHECK_OUTPUT" in cell.source or "nbval-check-output" in cell.metadata.get("tags", [])


def texts(cell):
    """Where a cell's output has text, and the key it stands under."""
    for output in cell.get("outputs", []):
        yield (output, "text") if output.output_type == "stream" else (output.data, "text/plain")


def head(path):
    """A lecture up to its first compared cell whose output has a number."""
    notebook = nbformat.read(path, 4)
    last = next(i for i, cell in enumerate(notebook.cells)
                if is_compared(cell) and any(NUMBER.search(place[key]) for place, key in texts(cell)))
    notebook.cells = notebook.cells[: last + 1]
    return notebook


@pytest.mark.parametrize("lecture", list(NOTEBOOKS.glob("01_*.ipynb")), ids=lambda path: path.stem)
def test_a_changed_number_in_a_stored_output_fails(lecture, tmp_path):
    notebook = head(lecture)
    nbformat.write(notebook, tmp_path / "stored.ipynb")
    place, key = next((place, key) for place, key in texts(notebook.cells[-1]) if NUMBER.search(place[key]))
    place[key] = NUMBER.sub(lambda number: str(int(number[0]) + 1), place[key])
    nbformat.write(notebook, tmp_path / "changed.ipynb")

    command = [sys.executable, "-m", "pytest", "--nbval-lax", "--nbval-current-env", "-p", "no:cacheprovider", "-rA",
               "--color=no", "--rootdir", tmp_path, "stored.ipynb", "changed.ipynb"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    cells = sum(cell.cell_type == "code" for cell in notebook.cells)
    failed = re.findall(r"(?m)^FAILED (\S+?\.ipynb::Cell \d+)", ran.stdout)
    assert failed == [f"changed.ipynb::Cell {cells - 1}"], ran.stdout
    assert f"1 failed, {2 * cells - 1} passed" in ran.stdout
