"""A progress bar that leaves nothing behind: no line of stderr, no widget, no output in a stored notebook."""

import sys
import time


class ProgressBar:
    """Shows `label`, a bar, what is left, and a note; used as a context manager, it clears itself at the end.

    In a notebook it is one display that is updated in place, in a terminal one line of stderr; where nobody watches
    (a pipe, a log file) it is silent.
    """

    def __init__(self, total, label):
        self.total, self.label = total, label
        self.done, self.started, self.drawn = 0, time.monotonic(), 0.0
        self.handle = None

    def __enter__(self):
        self.in_notebook = in_kernel()
        if self.in_notebook:
            from IPython.display import display
            self.handle = display({"text/plain": self.line("")}, raw=True, display_id=True)
        return self

    def update(self, note=""):
        """Count one more step and redraw, at most ten times a second."""
        self.done += 1
        now = time.monotonic()
        if now - self.drawn < 0.1 and self.done < self.total:
            return
        self.drawn = now
        if self.in_notebook:
            self.handle.update({"text/plain": self.line(note)}, raw=True)
        elif sys.stderr.isatty():
            print("\r\033[K" + self.line(note), end="", file=sys.stderr, flush=True)

    def line(self, note):
        filled = round(20 * self.done / self.total)
        left = (time.monotonic() - self.started) / max(self.done, 1) * (self.total - self.done)
        rest = f"about {left:.0f} s left" if self.done else "starting"
        return f"{self.label} [{'#' * filled}{'.' * (20 - filled)}] {self.done}/{self.total}, {rest} {note}".rstrip()

    def __exit__(self, *exception):
        if self.in_notebook:
            self.handle.update({"text/plain": ""}, raw=True)
        elif sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def in_kernel():
    """True inside a Jupyter kernel (JupyterLab, Colab, Kaggle, nbclient)."""
    if "IPython" not in sys.modules:
        return False
    shell = sys.modules["IPython"].get_ipython()
    return shell is not None and hasattr(shell, "kernel")
