"""The wheel for learners has nothing of the references, and its checks say which mistake it is; the other has all."""

import inspect
import json
import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from coursekit.exercises import compiled, library
from coursekit.exercises.build import build_wheel, files_below, gives_away
from coursekit.exercises.compare import judge
from coursekit.exercises.call import call
from coursekit.exercises.exercise import KNOWN
from all_exercises import ALL


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build_wheel(tmp_path_factory.mktemp("dist"))


def test_no_source_and_no_bytecode_of_a_reference_is_in_it(wheel):
    with zipfile.ZipFile(wheel) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    assert not [name for name in files if name.endswith(".pyc") or "lecture_" in name and name.endswith(".py")]
    assert {"coursekit/exercises/lecture_01.json", "coursekit/exercises/lecture_02.npz"} <= set(files)
    exercises = b"\n".join(content for name, content in files.items()
                           if name.startswith("coursekit/exercises/") and "npz" not in name)

    def contained(text):
        return text.encode() in exercises or json.dumps(text)[1:-1].encode() in exercises

    for exercise in ALL:
        assert contained(exercise.title) and contained(exercise.starter)
        assert not contained(exercise.explanation) and not contained(exercise.solution)
        for definition in [] if exercise.kind in ("number", "choice") else [exercise.right, *exercise.wrong.values()]:
            body = inspect.getsource(definition).split('"""')[-1].strip()
            assert body and not contained(body), definition


def test_the_wheel_is_whole(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        assert archive.testzip() is None and len(names) == len(set(names))
        record = next(name for name in names if name.endswith("RECORD"))
        listed = [line.split(",")[0] for line in archive.read(record).decode().splitlines()]
    assert sorted(listed) == sorted(names)
    assert {"coursekit/__init__.py", "coursekit/torch/attention.py", "coursekit/exercises/call.py"} <= set(names)


def test_copies_of_a_lectures_exercises_stay_at_home(tmp_path):
    text = (library.HERE / "lecture_02.py").read_text()
    kept = {"call.py": "x = 1", "exercise.py": (library.HERE / "exercise.py").read_text(), "parts/more.py": ""}
    copies = (".ipynb_checkpoints/lecture_02-checkpoint.py", "copy_of_lecture_02.py", "lecture_02.py.bak", "old.py",
              "parts/__pycache__/lecture_02.cpython-311.pyc", ".call.py.swp")
    for name, content in {**kept, **dict.fromkeys(copies, text)}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    files = files_below(tmp_path, "coursekit")
    shared = {name: content for name, content in files.items() if not gives_away(name, content)}
    assert shared == {f"coursekit/{name}": kept[name].encode() for name in kept}
    assert "coursekit/old.py" in files and "coursekit/.call.py.swp" not in files


def test_the_same_package_gives_the_same_wheel(wheel, tmp_path):
    assert build_wheel(tmp_path).read_bytes() == wheel.read_bytes()


def test_a_wheel_with_solutions_has_the_references_as_they_are_written(tmp_path):
    with zipfile.ZipFile(build_wheel(tmp_path, solutions=True)) as archive:
        names = archive.namelist()
        for lecture in library.lectures():
            written = library.HERE / f"lecture_{lecture}.py"
            assert archive.read(f"coursekit/exercises/{written.name}") == written.read_bytes()
    assert "coursekit/data/reviews/train.tsv" in names and len(names) == len(set(names))
    assert not [name for name in names if name.endswith((".npz", ".pyc"))]


def test_a_copy_without_solutions_makes_no_wheel_with_them(tmp_path, monkeypatch):
    (tmp_path / "lecture_01.json").write_text("[]")
    monkeypatch.setattr(library, "HERE", tmp_path)
    with pytest.raises(ValueError, match="comes without solutions"):
        build_wheel(tmp_path / "dist", solutions=True)
    assert not (tmp_path / "dist").exists()


SCRIPT = """
import numpy as np
import coursekit
from coursekit import cli
from coursekit.exercises.notebook import check, solution
from coursekit.exercises.progress import progress
print(coursekit.__file__)
def context_vector(weights, values):
    return values.mean(1)
check("02.context_vector")
check("02.context_vector", lambda weights, values: (weights[:, None] @ values)[:, 0])
check("01.bottleneck", "b")
solution("02.context_vector")
progress()
print("status", cli.main(["exercise", "02.context_vector"]), cli.main(["mutation", "02"]))
"""


def test_checks_work_from_it(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(tmp_path / "site"), "PYTHONIOENCODING": "utf-8"})
    assert done.returncode == 0, done.stderr
    assert str(tmp_path / "site") in done.stdout
    assert "looks like this one: plain mean" in done.stdout and "passed, 3 of 3 cases" in done.stdout
    assert "The last h and c are 128 numbers" in done.stdout
    assert "comes without solutions" in done.stdout and "Your progress, 2 of" in done.stdout
    assert "status 2 2" in done.stdout
    assert done.stderr == 2 * ("coursekit: 02.context_vector is compiled: this copy of the course comes without "
                               "solutions\n")


def test_compiled_exercises_judge_like_the_written_ones(tmp_path):
    for lecture in library.lectures():
        written = library.exercises(lecture)
        compiled.save(written, tmp_path / f"lecture_{lecture}")
        for exercise, stored in zip(written, compiled.load(tmp_path / f"lecture_{lecture}"), strict=True):
            assert stored.task == exercise.task and not stored.solution
            questions = stored.questions()
            for definition in [exercise.right, *exercise.wrong.values()]:
                outcomes = [call(exercise.namespace(definition), stored.task, question.case) for question in questions]
                one = judge(stored.task, questions, outcomes)
                other = judge(exercise.task, exercise.questions(), outcomes)
                assert (one.status, one.mistake, one.passed) == (other.status, other.mistake, other.passed)


def test_plain_values_survive_packing():
    arrays = []
    value = {"a": (np.eye(2), [1, "x", None, True]), "b": {"c": np.float32(2) * np.ones(3, np.float32)}, "array": 3}
    packed = compiled.pack(value, arrays)
    again = compiled.unpack(packed, arrays)
    assert again["a"][1] == [1, "x", None, True] and isinstance(again["a"], tuple) and again["array"] == 3
    assert again["a"][0].tolist() == [[1, 0], [0, 1]] and again["b"]["c"].dtype == np.float32
    with pytest.raises(ValueError, match="object is no plain value"):
        compiled.pack(object(), [])


PRIVATE = '''
"""An exam."""
from coursekit.exercises.exercise import Exercise

task = Exercise("77.double", "Doubling", "Write `double`.", difficulty=1, minutes=1, points=1, sizes=(dict(n=3),),
                returns={"doubled": ("n",)}, hints=("One operation.", "Times 2."), explanation="Twice.")


@task.reference
def double(x):
    """Twice x (n,)."""
    return 2 * x


@task.draw
def draw(rng, n):
    return {"x": rng.normal(size=n)}


@task.misconception
def squared(x):
    """You square."""
    return x ** 2
'''


def test_private_exercises_load_from_a_folder(tmp_path, monkeypatch):
    (tmp_path / "lecture_77.py").write_text(PRIVATE)
    with pytest.raises(ValueError, match="unknown exercise '77.double'"):
        library.find("77.double")
    monkeypatch.setenv("COURSEKIT_EXERCISES", str(tmp_path))
    try:
        exercise = library.find("77.double")
        assert exercise.starter == 'def double(x):\n    """Twice x (n,)."""\n    ...\n'
        questions = exercise.questions(3)
        outcomes = [exercise.ask(lambda x: x * x, question.case) for question in questions]
        verdict = judge(exercise.task, questions, outcomes)
        assert verdict.mistake == "squared"
        assert "77" in library.lectures() and library.find("01.one_hot")
    finally:
        KNOWN.pop("77.double", None)
        sys.modules.pop("coursekit_private_lecture_77", None)


def test_a_private_file_with_an_error_can_be_mended(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSEKIT_EXERCISES", str(tmp_path))
    (tmp_path / "lecture_78.py").write_text(PRIVATE.replace("77.", "78.") + "\nraise RuntimeError('slip')\n")
    with pytest.raises(RuntimeError, match="slip"):
        library.find("78.double")
    (tmp_path / "lecture_78.py").write_text(PRIVATE.replace("77.", "78."))
    try:
        assert library.find("78.double").title == "Doubling"
    finally:
        KNOWN.pop("78.double", None)
        sys.modules.pop("coursekit_private_lecture_78", None)
