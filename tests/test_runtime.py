import os
import random
import re
import subprocess
import sys
from importlib import metadata

import nbformat
import numpy as np
import pytest
import torch
from nbclient import NotebookClient

import coursekit
from coursekit import runtime

# A stand-in for TensorFlow: talks to file descriptor 2 at import, and fails on demand, as on a CPU without AVX.
FAKE_TENSORFLOW = '''
import os
from types import SimpleNamespace as names

os.write(2, b"a line of C++\\n")
if "BROKEN" in os.environ:
    raise ImportError("no AVX")
calls = []
def note(name):
    return lambda *arguments: calls.append((name, *arguments))
random = names(set_seed=note("seed"))
config = names(
    list_physical_devices=lambda kind: ["gpu 0", "gpu 1"],
    threading=names(set_intra_op_parallelism_threads=note("intra"), set_inter_op_parallelism_threads=note("inter")),
    experimental=names(set_memory_growth=note("growth"), get_device_details=lambda gpu: {"device_name": "Fake GPU"}),
)
'''


@pytest.fixture
def fake_tensorflow(tmp_path):
    (tmp_path / "tensorflow.py").write_text(FAKE_TENSORFLOW)
    (tmp_path / "keras.py").write_text("import tensorflow\n")
    return {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}


@pytest.fixture
def session(monkeypatch):
    """Undo what start() changes in this process."""
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.setattr(runtime, "_settings", {"seed": None, "threads": None})
    for name in ("OMP_WAIT_POLICY", "OMP_NUM_THREADS", "TF_CPP_MIN_LOG_LEVEL"):
        monkeypatch.setenv(name, os.environ.get(name, "1"))
    monkeypatch.setattr(torch, "set_num_threads", lambda threads: None)


def python(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | environment, check=False
    )


def test_import_and_start_load_no_framework_and_report_the_same_three_lines():
    code = """
import sys
import coursekit
heavy = {"torch", "tensorflow", "keras", "numpy", "matplotlib", "IPython"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
coursekit.start(seed=5)
hooks = len(sys.meta_path)
coursekit.start(seed=5)
assert len(sys.meta_path) == hooks
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    first, second = python(code, CI=""), python(code, CI="")
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout == second.stdout
    once, again = first.stdout.splitlines()[:3], first.stdout.splitlines()[3:]
    assert once == again
    where, device, versions = once
    assert "plain Python" in where and where.endswith("seed 5")
    assert "no framework is loaded yet" in device
    assert f"coursekit {coursekit.__version__}" in versions and f"torch {metadata.version('torch')}" in versions


def test_version_is_the_installed_one_and_other_names_are_refused():
    assert re.fullmatch(r"\d+\.\d+\.\d+", coursekit.__version__)
    with pytest.raises(AttributeError, match="'coursekit' has no attribute 'nothing'"):
        coursekit.nothing


@pytest.mark.parametrize("backend", ["tensorflow", "torch"])
def test_keras_and_the_frameworks_draw_the_same_whatever_is_imported_first(backend):
    """Two fresh processes, one with Keras loaded before start(), one with everything loaded after it."""
    code = """
import sys
import coursekit
{before}
coursekit.start(seed=3, threads=1)
{after}
import keras, numpy, random, torch
dense = keras.layers.Dense(2)
dense.build((None, 3))
draws = [
    dense.kernel, keras.random.normal((2,)), keras.random.normal((2,), seed=keras.random.SeedGenerator()),
    torch.rand(2), numpy.random.rand(2), random.random(),
]
if "tensorflow" in sys.modules:
    import tensorflow
    draws.append(tensorflow.random.normal((2,)))
    assert tensorflow.config.threading.get_intra_op_parallelism_threads() == 1
print([keras.ops.convert_to_numpy(draw).tolist() for draw in draws])
assert torch.get_num_threads() == 1
assert ("tensorflow" in sys.modules) == (keras.backend.backend() == "tensorflow")
model = keras.Sequential([keras.layers.Dense(1)])
model.compile("sgd", "mse")
model.fit(numpy.ones((4, 2)), numpy.ones((4, 1)), verbose=0)
"""
    # On the torch backend Keras has drawn before; on the TensorFlow one that would fix the number of threads.
    before = {"tensorflow": "import keras", "torch": "import keras; keras.random.normal((2,))"}[backend]
    early = python(code.format(before=before, after=""), KERAS_BACKEND=backend)
    late = python(code.format(before="", after="import torch"), KERAS_BACKEND=backend)
    assert (early.returncode, late.returncode) == (0, 0), early.stderr + late.stderr
    assert early.stdout.splitlines()[-1] == late.stdout.splitlines()[-1]
    assert late.stderr == ""


def test_a_framework_loaded_later_is_prepared_quietly_and_in_full(fake_tensorflow):
    answer = python("""
import coursekit
coursekit.start(seed=7, threads=2)
import keras, tensorflow
print(tensorflow.calls)
coursekit.start(seed=8)
""", **fake_tensorflow)
    calls = [("seed", 7), ("intra", 2), ("inter", 2), ("growth", "gpu 0", True), ("growth", "gpu 1", True)]
    assert str(calls) in answer.stdout
    assert "Device:   CUDA, Fake GPU, for TensorFlow" in answer.stdout
    assert answer.stderr == ""


@pytest.mark.parametrize("module", ["tensorflow", "keras"])
def test_what_tensorflow_said_is_shown_after_all_when_its_import_fails(fake_tensorflow, module):
    answer = python(f"import coursekit; coursekit.start(); import {module}", BROKEN="1", **fake_tensorflow)
    assert answer.returncode == 1
    assert answer.stderr.startswith("a line of C++\n")
    assert answer.stderr.rstrip().endswith("ImportError: no AVX")


def test_in_a_notebook_kernel(fake_tensorflow):
    """ipykernel watches file descriptor 2 itself: a failed import shows its lines, a good one leaves no stderr."""
    sources = [
        "import os, coursekit\ncoursekit.start()",
        "os.environ['BROKEN'] = '1'\nimport tensorflow",
        "del os.environ['BROKEN']\nimport tensorflow",
        "coursekit.show_source(coursekit.seed_everything)",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    client = NotebookClient(notebook, kernel_name="python3", timeout=60, allow_errors=True)
    # Where pytest runs it, ipykernel would leave the descriptor alone.
    environment = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    client.execute(env=environment | fake_tensorflow | {"CI": "true"})
    started, failed, loaded, shown = (cell.outputs for cell in notebook.cells)
    assert [output.name for output in started] == ["stdout"] and "JupyterLab" in started[0].text
    assert [output.get("text") for output in failed if output.output_type == "stream"] == ["a line of C++\n"]
    assert failed[-1].evalue == "no AVX"
    assert loaded == []
    source = shown[0].data["text/plain"]
    assert source.startswith("def seed_everything(seed):")
    assert shown[0].data["text/markdown"] == f"```python\n{source}\n```"


@pytest.mark.parametrize("variables, place", [
    ({}, "python"),
    ({"CI": "true"}, "ci"),
    ({"CI": "false"}, "python"),
    ({"KAGGLE_KERNEL_RUN_TYPE": "Interactive"}, "kaggle"),
    ({"COLAB_RELEASE_TAG": "release-colab"}, "colab"),
])
def test_where(monkeypatch, variables, place):
    for name in ("CI", "KAGGLE_KERNEL_RUN_TYPE", "COLAB_RELEASE_TAG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert runtime.where() == place


def test_seed_everything_seeds_what_is_loaded(session):
    coursekit.seed_everything(11)
    assert random.random() == random.Random(11).random()
    assert np.random.rand() == np.random.RandomState(11).rand()
    assert torch.rand(()) == torch.rand((), generator=torch.Generator().manual_seed(11))


def test_start_warns_when_torch_was_loaded_too_early(session, monkeypatch):
    monkeypatch.delenv("OMP_WAIT_POLICY")
    with pytest.warns(UserWarning, match="too late for OMP_WAIT_POLICY=PASSIVE"):
        coursekit.start(threads=1)
    assert (os.environ["OMP_WAIT_POLICY"], os.environ["OMP_NUM_THREADS"]) == ("PASSIVE", "1")


@pytest.mark.parametrize("arguments, message", [
    ({"seed": -1}, "seed is -1, expected a whole number of at least 0"),
    ({"seed": 2**32}, "seed is 4294967296"),
    ({"seed": 1.5}, "seed is 1.5"),
    ({"seed": None}, "seed is None"),
    ({"seed": True}, "seed is True"),
    ({"threads": 0}, "threads is 0, expected a whole number of at least 1"),
    ({"threads": True}, "threads is True"),
    ({"seed": -1, "threads": 4}, "seed is -1"),
])
def test_wrong_arguments_are_named_and_change_nothing(session, arguments, message):
    before = dict(os.environ), dict(runtime._settings)
    with pytest.raises(ValueError, match=re.escape(message)):
        coursekit.start(**arguments)
    assert (dict(os.environ), runtime._settings) == before


def test_show_source_prints_outside_ipython(monkeypatch, capsys):
    monkeypatch.setattr(runtime, "_shell", lambda: None)
    coursekit.show_source(runtime._Watcher.find_spec)
    assert capsys.readouterr().out.startswith("def find_spec(self, name, path=None, target=None):\n    if name not in")
    with pytest.raises(ValueError, match="obj is <built-in function len>, expected a class, function"):
        coursekit.show_source(len)
