"""The model that lecture 04 trains live is the one that its stored tables measure."""

from coursekit.notebooks import NOTEBOOKS
from coursekit.results import PROJECT


def test_the_lecture_and_the_benchmark_define_the_same_model():
    benchmark = (PROJECT / "benchmarks/positions.py").read_text(encoding="utf-8")
    lecture = (NOTEBOOKS / "source/04_positional_encoding.py").read_text(encoding="utf-8")
    _, _, rest = benchmark.partition("class Finder")
    model, _, _ = rest.partition("\n\n\n")
    assert len(model.splitlines()) > 20
    assert f"class Finder{model}\n\n# %%" in lecture
