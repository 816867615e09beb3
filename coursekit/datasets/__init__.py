"""The data of the course: what is made on the spot, and the texts of `data/`."""

from pathlib import Path

from coursekit.datasets.reversal import one_hot, one_hot_decode, reversal

__all__ = ["data_folder", "one_hot", "one_hot_decode", "reversal"]


def data_folder():
    """The folder of the course's data: inside an installed package, or beside the package in a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "data"
    return inside if inside.is_dir() else package.parent / "data"
