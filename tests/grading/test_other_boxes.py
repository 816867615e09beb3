"""The weaker boxes, by choice: another user id, and none for submissions that are trusted."""

import os
import sys

import pytest

from coursekit.grading import box as grading_box
from coursekit.grading.box import Box
from coursekit.grading.mark import Assignment, Boxes, mark

from test_box import LATE, probe, processes_of, set_up
from test_mark import RIGHT, notebook

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the boxes are Linux's")
as_root = pytest.mark.skipif(sys.platform == "linux" and os.getuid() != 0, reason="only root can become another user")


@pytest.fixture(scope="module")
def other_user():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grading_box, "solutions_readable", lambda: None)  # those of a checkout are
        box = Box("uid")
    yield box
    box.close()


@as_root
def test_another_user(other_user):
    assert probe(other_user, "return f'{os.getresuid()} {os.getresgid()} {os.getgroups()}'") == (
        f"({other_user.uid}, {other_user.uid}, {other_user.uid}) ({other_user.uid}, {other_user.uid}, "
        f"{other_user.uid}) []")
    assert "PermissionError" in probe(other_user, "os.kill(os.getppid(), 9)")
    assert "PermissionError" in probe(other_user, "socket.socket()")
    assert "PermissionError" in probe(other_user, "os.setuid(0)")
    assert "PermissionError" in probe(other_user, "open('/etc/shadow')")
    assert "PermissionError" in probe(other_user, "open('/etc/evil', 'w')")
    assert probe(other_user, "return str(libc.unshare(0x10000000))") == "-1"


@as_root
def test_another_user_leaves_nothing(other_user):
    home = probe(other_user, "open('left', 'w').write('x'); os.mkdir('folder'); return os.getcwd()")
    assert home == str(other_user.folder / "home") and os.listdir(home) == []
    with other_user.open() as visit:
        set_up(visit, LATE)
        assert len(processes_of(other_user)) == 2
    assert processes_of(other_user) == []


@as_root
def test_solutions_must_be_closed_to_others(tmp_path, monkeypatch):
    package = tmp_path / "coursekit"
    package.mkdir(mode=0o755)
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_mode & 0o001 == 0:
            folder.chmod(0o755)
    monkeypatch.setattr(grading_box.coursekit, "__file__", str(package / "__init__.py"))
    assert grading_box.solutions_readable() == package
    with pytest.raises(ValueError, match="submissions could read the solutions"):
        Box("uid")
    package.chmod(0o750)
    assert grading_box.solutions_readable() is None


@pytest.mark.parametrize("mode", [pytest.param("uid", marks=as_root), "none"])
def test_the_marks_are_the_same(mode, monkeypatch):
    monkeypatch.setattr(grading_box, "solutions_readable", lambda: None)
    boxes = Boxes(mode)
    try:
        made = mark(notebook(*RIGHT.values(), "def causal(*x): pass"), Assignment("05", 31, box=mode), boxes)
        assert (made["status"], made["points"]) == ("graded", 10)
        ended = mark(notebook("def attend(*x):\n    import os; os._exit(3)"), Assignment("05", 31, box=mode), boxes)
        assert ended["exercises"][1]["status"] == "crashed"
    finally:
        boxes.close()


def test_only_linux_has_a_box(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(grading_box.platform, "system", lambda: "Darwin")
    with pytest.raises(ValueError, match="this is Darwin\n(.*\n)*.*WSL 2 on Windows, Lima"):
        Box()


def test_only_root_becomes_another_user(monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    with pytest.raises(ValueError, match="only root can do"):
        Box("uid")
