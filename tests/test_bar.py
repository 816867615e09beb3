"""What a watcher sees of the progress bar, and that nothing stays."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import time
from coursekit.bar import ProgressBar
with ProgressBar(3, "training") as bar:
    for step in range(3):
        time.sleep(0.15)
        bar.update(f"loss {step}")
"""


def test_silent_where_nobody_watches():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_terminal_sees_it_and_it_is_cleared():
    import termios

    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (24, 80))  # tqdm draws nothing on a screen of no lines
    subprocess.run([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, stderr=theirs, check=True)
    written = os.read(ours, 100_000).decode()
    os.close(theirs)
    os.close(ours)
    assert "training" in written and "3/3" in written
    last = written.rstrip("\r\n").rsplit("\r", 1)[-1]
    assert written.endswith("\r") and not last.strip()


def test_a_notebook_sees_it_and_stores_nothing_but_an_empty_text():
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    spy = "from IPython.display import DisplayHandle\nseen, update = [], DisplayHandle.update\n" \
          "def spying(self, data, **kwargs):\n    seen.append(data['text/plain']); update(self, data, **kwargs)\n" \
          "DisplayHandle.update = spying"
    cells = [nbformat.v4.new_code_cell(source) for source in (spy, SCRIPT, "print(seen)")]
    notebook = nbclient.execute(nbformat.v4.new_notebook(cells=cells), kernel_name="python3")
    outputs = notebook.cells[1].outputs
    assert [(output.output_type, output.data) for output in outputs] == [("display_data", {"text/plain": ""})]
    seen = notebook.cells[2].outputs[0].text
    assert "3/3" in seen and "loss 2" in seen and "training" in seen
