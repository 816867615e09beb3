"""The launcher on machines that are not this one, and the files that say what to install."""

import ast
import importlib.util
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from coursekit import cli

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CPU_INDEX = ["--index-url", "https://download.pytorch.org/whl/cpu"]


class Machine:
    """Stands in for subprocess and os.execv: it notes the calls, and what is not named in `fails` succeeds."""

    def __init__(self, folder, pip_config=""):
        self.folder, self.pip_config, self.calls, self.fails = folder, pip_config, [], ()

    def run(self, call, check=False, **_):
        call = [str(part) for part in call]
        self.calls.append(call)
        if "venv" in call:
            (self.folder / ".venv" / "bin").mkdir(parents=True)
            (self.folder / ".venv" / "bin" / "python").touch()
        code = int(any(word in call for word in self.fails))
        if check and code:
            raise subprocess.CalledProcessError(code, call)
        return subprocess.CompletedProcess(call, code, stdout=self.pip_config if "config" in call else "")

    def installs(self):
        """The arguments of every install command, without the constraints that each of them has."""
        found = [call[call.index("install") + 1:] for call in self.calls if "install" in call]
        constraints = ["--constraint", str(self.folder / "constraints.txt")]
        assert all(call[:2] == constraints for call in found)
        return [call[2:] for call in found]


@pytest.fixture
def course(tmp_path, monkeypatch):
    """course.py as if it stood in an empty folder with the project's two files, on Linux without uv and NVIDIA GPU."""
    for name in ("course.py", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    spec = importlib.util.spec_from_file_location("course", tmp_path / "course.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.machine = Machine(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "PYTHON", tmp_path / ".venv" / "bin" / "python")
    monkeypatch.setattr(module.subprocess, "run", module.machine.run)
    monkeypatch.setattr(module.shutil, "which", lambda name: None)
    monkeypatch.setattr(module.platform, "system", lambda: "Linux")
    monkeypatch.setattr(module.os, "execv", lambda path, call: module.machine.calls.append(["exec", *call]))
    return module


def test_first_run_makes_the_environment_installs_and_hands_over(course, tmp_path):
    course.main(["doctor", "torch"])
    python = str(tmp_path / ".venv" / "bin" / "python")
    assert [sys.executable, "-m", "venv", str(tmp_path / ".venv")] in course.machine.calls
    assert course.machine.calls[-2][:4] == [python, "-m", "pip", "install"]
    assert course.machine.calls[-1] == ["exec", str(tmp_path / ".venv" / "bin" / "python"), "-m", "coursekit.cli", "doctor", "torch"]


def test_an_unknown_command_installs_nothing_and_names_the_known_ones(course):
    with pytest.raises(SystemExit, match="There is no command 'labs', only install, lab, test, autograder, build, doctor"):
        course.main(["labs"])
    assert course.machine.calls == []


def test_the_launcher_knows_every_command_of_coursekit(course):
    parser = cli._parser()
    assert sorted(course.COMMANDS) == sorted(parser._subparsers._group_actions[0].choices)


@pytest.mark.parametrize("command, tool", [
    (["lab", "--no-browser"],
     ["jupyterlab", "--LabApp.default_url=/lab/tree/notebooks/01_seq2seq_reversal.ipynb", "--no-browser"]),
    (["test", "-k", "mask"], ["pytest", "-n", "2", "--dist", "loadscope", "-k", "mask"]),
])
def test_second_run_installs_nothing(course, tmp_path, monkeypatch, command, tool):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    course.main(["install"])
    course.machine.calls.clear()
    course.main(command)
    assert course.machine.calls == [["exec", str(tmp_path / ".venv" / "bin" / "python"), "-m", *tool]]
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"


def test_changed_pyproject_installs_into_the_same_environment(course, tmp_path):
    course.main(["install"])
    course.machine.calls.clear()
    with open(tmp_path / "pyproject.toml", "a", encoding="utf-8") as pyproject:
        pyproject.write("# one more line\n")
    course.main(["doctor"])
    assert not any("venv" in call for call in course.machine.calls)
    assert course.machine.installs()[-1] == ["--editable", f"{tmp_path}[all]"]


def test_another_python_makes_the_environment_anew(course, monkeypatch):
    course.main(["install"])
    course.machine.calls.clear()
    monkeypatch.setattr(course.platform, "python_version", lambda: "3.12.99")
    course.main(["doctor"])
    assert any("venv" in call for call in course.machine.calls)


def test_environment_whose_python_is_gone_is_made_anew(course, tmp_path):
    course.main(["install"])
    course.machine.calls.clear()
    (tmp_path / ".venv" / "bin" / "python").unlink()
    course.main(["doctor"])
    assert any("venv" in call for call in course.machine.calls)


@pytest.mark.parametrize("before", ["no environment", "an older installation"])
def test_interrupted_installation_is_started_afresh(course, tmp_path, before):
    if before == "an older installation":
        course.main(["install"])
        (tmp_path / "constraints.txt").write_text("torch==2.14.0\n", encoding="utf-8")
    course.machine.fails = ("--editable",)
    with pytest.raises(SystemExit, match="did not finish"):
        course.main(["lab"])
    assert course.machine.calls[-1][0] != "exec"
    course.machine.fails = ()
    course.machine.calls.clear()
    (tmp_path / ".venv" / "half_written").touch()
    course.main(["lab"])
    assert not (tmp_path / ".venv" / "half_written").exists()
    assert course.machine.calls[-1][0] == "exec"


@pytest.mark.parametrize("system, nvidia, pip_config, expected", [
    ("Linux", False, "", [CPU_INDEX]),
    ("Linux", False, "global.find-links='/wheels'", [["--no-index"]]),
    ("Linux", True, "", []),
    ("Darwin", False, "", []),
    ("Windows", False, "", []),
])
def test_torch_is_a_cpu_build_where_it_should_be(course, monkeypatch, system, nvidia, pip_config, expected):
    monkeypatch.setattr(course.platform, "system", lambda: system)
    monkeypatch.setattr(course, "has_nvidia_gpu", lambda: nvidia)
    course.machine.pip_config = pip_config
    course.main(["install"])
    *torch, everything = course.machine.installs()
    assert torch == [["--no-deps", *source, "torch"] for source in expected]
    assert everything[0] == "--editable"


def test_torch_comes_from_pytorch_where_find_links_has_none(course, capfd):
    course.machine.pip_config = ":env:.find-links='/wheels'"
    course.machine.fails = ("--no-index",)
    course.main(["install"])
    assert [call[1:-1] for call in course.machine.installs()[:2]] == [["--no-index"], CPU_INDEX]
    assert "No CPU build" not in capfd.readouterr().out


def test_default_torch_is_announced_where_no_cpu_build_answers(course, capfd):
    course.machine.fails = ("--index-url",)
    course.main(["install"])
    assert "No CPU build of torch was found" in capfd.readouterr().out
    assert course.machine.installs()[-1][0] == "--editable"


@pytest.mark.parametrize("answer, expected", [(0, True), (9, False)])
def test_nvidia_gpu_counts_only_when_its_driver_answers(course, monkeypatch, answer, expected):
    assert course.has_nvidia_gpu() is False
    monkeypatch.setattr(course.shutil, "which", lambda name: name)
    monkeypatch.setattr(course.subprocess, "run", lambda call, **_: subprocess.CompletedProcess(call, answer))
    assert course.has_nvidia_gpu() is expected


@pytest.mark.parametrize("pip_config, tool", [
    ("", "uv"),
    ("global.cert='/etc/ca.crt'", "uv"),
    ("global.find-links='/wheels'", "pip"),
    (":env:.index-url='https://mirror.example/simple'", "pip"),
])
def test_uv_installs_unless_pip_knows_sources_that_uv_does_not(course, tmp_path, monkeypatch, pip_config, tool):
    monkeypatch.setattr(course.shutil, "which", lambda name: f"/bin/{name}" if name == "uv" else None)
    course.machine.pip_config = pip_config
    course.main(["install"])
    assert (["/bin/uv", "venv", "--seed", "--python", sys.executable, str(tmp_path / ".venv")]
            in course.machine.calls) is (tool == "uv")
    python = str(tmp_path / ".venv" / "bin" / "python")
    expected = {"uv": ["/bin/uv", "pip", "install", "--python", python], "pip": [python, "-m", "pip", "install"]}[tool]
    assert course.machine.calls[-1][:len(expected)] == expected


@pytest.mark.parametrize("version", [(3, 10, 14), (3, 14, 0), (2, 7, 18)])
def test_wrong_python_is_named_before_anything_happens(course, monkeypatch, version):
    monkeypatch.setattr(course.sys, "version_info", version)
    with pytest.raises(SystemExit, match=rf"needs Python 3.11 to 3.13; this is Python {version[0]}\.{version[1]} "):
        course.main(["lab"])
    assert course.machine.calls == []


def test_without_a_command_the_launcher_explains_itself(course, capsys):
    course.main([])
    assert "python course.py lab" in capsys.readouterr().out
    assert course.machine.calls == []


def test_launcher_uses_the_standard_library_only():
    tree = ast.parse((ROOT / "course.py").read_text(encoding="utf-8"), feature_version=(3, 7))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported <= sys.stdlib_module_names


def test_python_range_is_the_same_everywhere(course):
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    range_ = PROJECT["requires-python"]
    assert range_ == f">={course.OLDEST[0]}.{course.OLDEST[1]},<{course.NEWEST[0]}.{course.NEWEST[1] + 1}"
    assert f"python{range_}" in environment["dependencies"]


def test_conda_supplies_python_and_pip_and_pyproject_the_rest():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert environment["name"] == PROJECT["name"]
    assert environment["channels"] == ["conda-forge"]
    *conda, pip = environment["dependencies"]
    assert [Requirement(line).name for line in conda] == ["python", "pip"]
    assert pip == {"pip": ["-e .[all]"]}


def test_all_extras_together_are_everything():
    extras = PROJECT["optional-dependencies"]
    assert Requirement(*extras["all"]).extras == extras.keys() - {"all"}


def test_bounds_leave_colab_as_it_is():
    lines = (ROOT / "tests" / "colab_versions_2026-08-19.txt").read_text(encoding="utf-8").splitlines()
    colab = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert colab.pop("Python") in SpecifierSet(PROJECT["requires-python"])
    extras = PROJECT["optional-dependencies"]
    for line in PROJECT["dependencies"] + extras["torch"] + extras["tensorflow"]:
        requirement = Requirement(line)
        assert requirement.specifier.contains(colab[requirement.name]), line
    for requirement in map(Requirement, extras["lab"] + extras["offline"]):
        if requirement.name in colab:
            assert requirement.specifier.contains(colab[requirement.name]), requirement.name


def test_bounds_are_lower_bounds():
    for lines in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()):
        assert {bound.operator for line in lines for bound in Requirement(line).specifier} <= {">="}


def test_tested_torch_is_within_the_bound():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    tested, = (Requirement(line) for line in lines if not line.startswith("#"))
    bound = Requirement(*PROJECT["optional-dependencies"]["torch"])
    version, = tested.specifier
    assert tested.name == bound.name and bound.specifier.contains(version.version)


def test_citation_names_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == PROJECT["version"]
    assert " AND ".join(citation["license"]) == PROJECT["license"]


def test_wheel_carries_the_data(tmp_path):
    subprocess.run([sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", tmp_path],
                   cwd=ROOT, check=True, capture_output=True)
    wheel, = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = {name: archive.read(name) for name in archive.namelist() if name.startswith("coursekit/data/")}
    files = [path for path in (ROOT / "data").rglob("*") if path.is_file()]
    assert files
    for path in files:
        assert packed[f"coursekit/{path.relative_to(ROOT).as_posix()}"] == path.read_bytes()
