"""From an LSTM that reverses sequences to BERT: the layers, data, figures and checks of a course on attention."""

from coursekit import device
from coursekit.runtime import seed_everything, show_source, start

__all__ = ["check", "device", "hint", "progress", "seed_everything", "show_source", "solution", "start"]
_EXERCISES = {"check": "notebook", "hint": "notebook", "solution": "notebook", "progress": "progress"}


def __getattr__(name):
    # importlib.metadata alone costs half of what importing coursekit may.
    if name == "__version__":
        from importlib.metadata import version

        return version("coursekit")
    if name in _EXERCISES:  # these load NumPy
        from importlib import import_module

        return getattr(import_module(f"coursekit.exercises.{_EXERCISES[name]}"), name)
    raise AttributeError(f"module 'coursekit' has no attribute {name!r}")
