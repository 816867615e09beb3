"""The doctor on this machine, where nothing is missing, and on machines where something is."""

import sys
from importlib import metadata

import pytest

from coursekit import cli, device, doctor


def lines(capsys):
    return {line.split()[1]: line for line in capsys.readouterr().out.splitlines() if line.startswith("[")}


def missing(capsys):
    """The names reported as missing, with the command named for each."""
    out = capsys.readouterr().out.splitlines()
    return {line.split()[1]: after.split("to mend it: ")[1]
            for line, after in zip(out, out[1:]) if line.startswith("[missing]")}


def test_nothing_is_missing_here(capsys):
    status = cli.main(["doctor"])
    found = lines(capsys)
    assert [name for name, line in found.items() if not line.startswith("[ok]")] == []
    assert status == 0
    assert {"Python", "torch", "tensorflow", "jupyterlab", "device", "memory", "weights", "network"} <= found.keys()
    assert metadata.version("torch") in found["torch"]


def test_missing_package_is_named_with_its_command(monkeypatch, capsys):
    monkeypatch.setattr(doctor.metadata, "requires", lambda name: ["numpy>=2", 'no-such-package>=3.1; extra == "lab"'])
    monkeypatch.setattr(sys, "prefix", "/elsewhere")
    assert cli.main(["doctor", "lab"]) == 1
    assert missing(capsys) == {"no-such-package": f'{sys.executable} -m pip install "no-such-package>=3.1"'}


def test_package_below_its_bound_counts_as_missing(monkeypatch, capsys):
    monkeypatch.setattr(doctor.metadata, "requires", lambda name: ["numpy>=2"])
    monkeypatch.setattr(doctor.metadata, "version", lambda name: "1.26.4")
    assert cli.main(["doctor", "lab"]) == 1
    assert list(missing(capsys)) == ["numpy"]


def test_launchers_environment_is_mended_by_the_launcher(monkeypatch, capsys):
    checkout = doctor.Path(doctor.__file__).resolve().parent.parent
    monkeypatch.setattr(doctor.metadata, "requires", lambda name: ["no-such-package"])
    monkeypatch.setattr(sys, "prefix", str(checkout / ".venv"))
    assert cli.main(["doctor", "lab"]) == 1
    assert missing(capsys) == {"no-such-package": f"python {checkout / 'course.py'} install"}


def test_python_outside_the_range_is_missing(monkeypatch, capsys):
    monkeypatch.setattr(doctor.platform, "python_version", lambda: "3.10.14")
    assert cli.main(["doctor", "lab"]) == 1
    assert list(missing(capsys)) == ["Python"]


def test_torch_that_cannot_be_imported_is_missing(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert cli.main(["doctor", "torch"]) == 1
    assert list(missing(capsys)) == ["device"]


def test_torch_without_one_of_its_libraries_is_missing(monkeypatch, capsys):
    def broken(framework):
        raise OSError("libtorch_cpu.so: cannot open shared object file")

    monkeypatch.setattr(doctor.device, "best", broken)
    assert cli.main(["doctor", "torch"]) == 1
    assert list(missing(capsys)) == ["device"]


def test_torch_is_not_imported_where_it_is_not_needed(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert cli.main(["doctor", "lab"]) == 0


def test_too_little_memory_is_missing(monkeypatch, capsys):
    monkeypatch.setattr(device, "memory", lambda device: device_memory)
    device_memory = device.Memory(free=2**30, total=3 * 2**30)
    assert cli.main(["doctor", "lab"]) == 1
    assert list(missing(capsys)) == ["memory"]


@pytest.mark.parametrize("content", [b"not the weights", None])
def test_wrong_weights_are_missing(monkeypatch, capsys, tmp_path, content):
    path = tmp_path / "model.safetensors"
    if content is not None:
        path.write_bytes(content)

    class File:
        name = "model.safetensors"

        def locate(self):
            return path

    monkeypatch.setattr(metadata, "files", lambda name: [File()])
    assert cli.main(["doctor", "offline"]) == 1
    assert list(missing(capsys)) == ["weights"]


def test_network_is_tried_when_asked_for_and_never_needed(capsys):
    assert cli.main(["doctor", "lab", "--network"]) == 0
    assert "the tests refuse the network" in lines(capsys)["network"]


def test_unknown_extra_is_refused(capsys):
    assert cli.main(["doctor", "pytorch"]) == 2
    assert "extra is 'pytorch', expected one of all, grading, lab, offline, tensorflow, test, torch" in capsys.readouterr().err
