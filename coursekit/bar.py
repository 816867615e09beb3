"""A progress bar that leaves nothing behind: no line of stderr, no widget, no output in a stored notebook."""

import sys
import time

from tqdm import tqdm


class ProgressBar:
    """tqdm's bar, which clears itself: in a notebook one text that is updated in place, in a terminal a line of stderr.

    Used as a context manager; where nobody watches (a pipe, a log file) it is silent. tqdm's own notebook bar is a
    widget, whose state would stay in the stored notebook, and its plain bar would leave stderr there.
    """

    def __init__(self, total, label):
        self.total, self.label, self.done = total, label, 0

    def __enter__(self):
        self.started = self.drawn = time.monotonic()
        self.handle = self.bar = None
        if in_kernel():
            from IPython.display import display
            self.handle = display({"text/plain": self.line("")}, raw=True, display_id=True)
        else:
            self.bar = tqdm(total=self.total, desc=self.label, leave=False, disable=None)
        return self

    def update(self, note=""):
        """Count one more step; a notebook's bar is redrawn at most ten times a second."""
        self.done += 1
        if self.bar is not None:
            self.bar.set_postfix_str(note, refresh=False)
            self.bar.update()
        elif time.monotonic() - self.drawn >= 0.1:
            self.drawn = time.monotonic()
            self.handle.update({"text/plain": self.line(note)}, raw=True)

    def line(self, note):
        elapsed = time.monotonic() - self.started
        return tqdm.format_meter(self.done, self.total, elapsed, prefix=self.label, postfix=note, ncols=110, ascii=True)

    def __exit__(self, *exception):
        if self.bar is not None:
            self.bar.close()
        else:
            self.handle.update({"text/plain": ""}, raw=True)


def in_kernel():
    """True inside a Jupyter kernel (JupyterLab, Colab, Kaggle, nbclient)."""
    if "IPython" not in sys.modules:
        return False
    shell = sys.modules["IPython"].get_ipython()
    return shell is not None and hasattr(shell, "kernel")
