"""From an LSTM that reverses sequences to BERT: the layers, data, figures and checks of a course on attention."""

from coursekit import device
from coursekit.runtime import seed_everything, show_source, start

__all__ = ["device", "seed_everything", "show_source", "start"]


def __getattr__(name):
    # importlib.metadata alone costs half of what importing coursekit may.
    if name == "__version__":
        from importlib.metadata import version

        return version("coursekit")
    raise AttributeError(f"module 'coursekit' has no attribute {name!r}")
