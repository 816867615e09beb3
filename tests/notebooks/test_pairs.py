"""Sources and notebooks: built, compared and stamped, on a small lecture and on the course's own."""

import json
import os
import shutil
import subprocess
import sys

import nbformat
import pytest

from coursekit import notebooks

SMALL = """\
# %% [markdown]
# # A small lecture
#
# What it says.

# %%
coursekit.start(seed=1, threads=1)

# %% tags=["nbval-check-output"]
import os, sys

print(sys.executable, os.getcwd(), os.environ["OMP_WAIT_POLICY"])
1 / 3

# %%
# the same twice

# %%
# the same twice

# %%
from coursekit.bar import ProgressBar

with ProgressBar(1, "training") as bar:
    bar.update()
print("trained")
"""


def write(folder, text=SMALL):
    (folder / "source").mkdir(parents=True)
    (folder / "source" / "01_small.py").write_text(text, encoding="utf-8")
    notebooks.stamp(folder)
    return folder


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = write(tmp_path_factory.mktemp("course") / "notebooks")
    assert notebooks.build(folder=folder) == [folder / "01_small.ipynb"]
    return folder


@pytest.fixture
def course(built, tmp_path):
    """A copy of the small course, for a test that changes it."""
    return shutil.copytree(built, tmp_path / "notebooks")


def change(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_every_notebook_of_the_course_agrees_with_its_source():
    assert notebooks.check() == []


def test_a_built_notebook_agrees_and_holds_what_its_cells_gave(built):
    assert notebooks.check(built) == []
    notebook = nbformat.read(built / "01_small.ipynb", 4)
    setup, stated, *_ = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert "threads" in setup.source
    assert stated.outputs[0].text.split() == [sys.executable, str(built.resolve()), "PASSIVE"]
    assert stated.outputs[1].data["text/plain"] == "0.3333333333333333"
    assert [output.get("text") for output in notebook.cells[-1].outputs] == ["trained\n"], "the bar has cleared itself"
    assert stated.metadata == {"tags": ["nbval-check-output"]}
    assert notebook.metadata == {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
                                 "language_info": {"name": "python"}}


def test_the_badge_is_in_the_notebook(built):
    first = nbformat.read(built / "01_small.ipynb", 4).cells[0]
    assert "(attachment:open_in_colab.png)" in first.source
    assert first.attachments["open_in_colab.png"]["image/png"].startswith("iVBORw0KGgo")


def test_rebuilding_an_unchanged_notebook_gives_the_same_bytes(built):
    before = (built / "01_small.ipynb").read_bytes()
    (built / "01_small.ipynb").unlink()
    notebooks.build(["01"], built)
    assert (built / "01_small.ipynb").read_bytes() == before


def test_a_cell_keeps_its_id_when_another_is_added(built, tmp_path):
    added = write(tmp_path / "notebooks", SMALL.replace("# %% tags", "# %%\n'new'\n\n# %% tags"))
    old, new = ([cell.id for cell in notebooks._cells(folder / "source" / "01_small.py")] for folder in (built, added))
    assert len(set(new)) == len(new) == len(old) + 1
    assert [name for name in new if name in old] == old


@pytest.mark.parametrize("file, old, new, expected", [
    ("source/01_small.py", "1 / 3", "1 / 4", "01_small: cell 3: id, source differ"),
    ("source/01_small.py", "What it says", "What it said", "01_small: cell 1: id, source differ"),
    ("source/01_small.py", '["nbval-check-output"]', '["slow"]', "01_small: cell 3: metadata differ"),
    ("source/01_small.py", "\n# %%\n# the same twice\n", "", "01_small: cell 6: only in the notebook"),
    ("source/01_small.py", "\n# %%\n# the", "\n# %%\n3\n\n# %%\n# the", "01_small: cell 7: only in the source"),
    ("source/01_small.py", "--no-deps ", "", "01_small: badge or set-up cell is not the project's"),
    ("source/01_small.py", "/blob/main/", "/blob/other/", "01_small: badge or set-up cell is not the project's"),
    ("01_small.ipynb", "1 / 3", "1 / 4", "01_small: cell 3: source differ"),
    ("01_small.ipynb", "iVBORw0KGgo", "iVBORw0KGgp", "01_small: cell 1: attachments differ"),
    ("01_small.ipynb", '"id": "', '"id": "x', "01_small: cell 1: id differ"),
])
def test_a_change_in_one_of_a_pair_is_found(course, file, old, new, expected):
    change(course / file, old, new)
    assert any(line.startswith(expected) for line in notebooks.check(course)), notebooks.check(course)


def test_a_missing_or_foreign_file_is_found(course):
    (course / "01_small.ipynb").rename(course / "02_other.ipynb")
    (course / "source" / "notes.md").write_text("")
    assert notebooks.check(course) == [
        "source/notes.md: not a lecture, whose name is NN_name.py",
        "01_small: has no notebook; run: coursekit notebooks build 01",
        "02_other: has no source in notebooks/source",
    ]


def test_a_kernel_that_ends_is_told_in_words_and_leaves_the_notebook(course):
    before = (course / "01_small.ipynb").read_bytes()
    change(course / "source" / "01_small.py", "1 / 3", "os._exit(1)")
    with pytest.raises(ValueError, match="the kernel ended before the notebook did"):
        notebooks.build(folder=course)
    assert (course / "01_small.ipynb").read_bytes() == before


def test_building_an_unknown_lecture_names_the_known_ones(course):
    with pytest.raises(ValueError, match="no lecture is named 07; there are 01_small"):
        notebooks.build(["07"], course)


@pytest.mark.parametrize("step", ["os.fsync", "os.replace"])
@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=repr)
def test_a_rebuild_that_cannot_be_written_leaves_the_previous_notebook(course, monkeypatch, step, failure):
    before = (course / "01_small.ipynb").read_bytes()

    def fail(*args):
        raise failure

    monkeypatch.setattr(notebooks, "_execute", lambda notebook, folder: None)
    monkeypatch.setattr(step, fail)
    with pytest.raises(type(failure)):
        notebooks.build(["01"], course)
    assert (course / "01_small.ipynb").read_bytes() == before
    assert sorted(path.name for path in course.iterdir()) == ["01_small.ipynb", "source"]


def test_an_error_in_a_cell_leaves_the_previous_notebook(course):
    from nbclient.exceptions import CellExecutionError

    before = (course / "01_small.ipynb").read_bytes()
    change(course / "source" / "01_small.py", "1 / 3", "1 / 0")
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        notebooks.build(["01"], course)
    assert (course / "01_small.ipynb").read_bytes() == before


def test_a_stamp_is_written_once_and_keeps_the_call_of_start(tmp_path):
    folder = write(tmp_path / "notebooks")
    text = (folder / "source" / "01_small.py").read_text()
    assert text.count("coursekit.start(") == text.count("coursekit.start(seed=1, threads=1)\n") == 1
    assert text.count("# # A small lecture\n#\n# [![Open in Colab](attachment:open_in_colab.png)](https://colab.") == 1
    assert notebooks.stamp(folder) == []


def test_a_lecture_without_a_set_up_cell_gets_one_before_its_first_code(tmp_path):
    folder = write(tmp_path / "notebooks", "# %% [markdown]\n# # Title\n\n# %%\n1\n")
    cells = notebooks._cells(folder / "source" / "01_small.py")
    assert [cell.source.split("\n")[0] for cell in cells] == ["# Title", "try:", "1"]
    assert notebooks.stamp(folder) == []


def test_a_new_address_reaches_badge_and_set_up_cell(tmp_path, monkeypatch):
    folder = write(tmp_path / "notebooks")
    (tmp_path / "pyproject.toml").write_text('[tool.coursekit]\naddress = "https://github.com/somebody/course"\n')
    monkeypatch.setattr(notebooks, "PROJECT", tmp_path)
    assert notebooks.stamp(folder) == [folder / "source" / "01_small.py"]
    text = (folder / "source" / "01_small.py").read_text()
    assert "(https://colab.research.google.com/github/somebody/course/blob/main/notebooks/01_small.ipynb)" in text
    assert "# %pip install --quiet --no-deps git+https://github.com/somebody/course\n" in text
    assert text.count("github") == 2


@pytest.mark.parametrize("there", [True, False])
def test_the_set_up_cell_installs_only_where_coursekit_is_missing(built, tmp_path, there):
    cell = nbformat.read(built / "01_small.ipynb", 4).cells[1].source
    assert len(cell.splitlines()) <= 8
    code = """if True:
        import json, sys
        from IPython.core.interactiveshell import InteractiveShell

        cell, there = json.loads(sys.argv[1])
        installed = []

        class Absent:
            def find_spec(self, name, path=None, target=None):
                if name == "coursekit" and not (there or installed):
                    raise ModuleNotFoundError(name)

        sys.meta_path.insert(0, Absent())
        shell = InteractiveShell.instance()
        shell.register_magic_function(installed.append, magic_name="pip")
        shell.run_cell(cell).raise_error()
        print(json.dumps(installed))
    """
    ran = subprocess.run([sys.executable, "-c", code, json.dumps([cell, there])], capture_output=True, text=True,
                         cwd=tmp_path, env=os.environ | {"IPYTHONDIR": str(tmp_path)})
    assert ran.returncode == 0, ran.stderr
    address = notebooks.stamped(built / "source" / "01_small.py").split("git+")[1].split()[0]
    installed = json.loads(ran.stdout.splitlines()[-1])
    assert installed == ([] if there else [f"install --quiet --no-deps git+{address}"])
