"""Every hostile submission, in one class with honest ones, through the real box: nobody gets a point that is not
earned, nobody loses one, nothing outside is read, written or called, and nothing stays behind."""

import contextlib
import dataclasses
import functools
import json
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from coursekit.exercises import library
from coursekit.grading import batch, hostile, report
from coursekit.grading.hostile import ANSWERS, CANARY, CORPUS, IMPORTS, PORT, SECRET
from coursekit.grading.mark import Assignment

pytestmark = pytest.mark.skipif(not shutil.which("bwrap"), reason="bubblewrap is not installed")

HONEST = 4  # honest submissions beside the hostile ones
RIGHT = '''
def attend(query, key, value):
    return (query @ key.T / math.sqrt(query.shape[1])).softmax(1) @ value'''
SEED = 20_261


def places():
    """The folders in which a canary lies, and into which nothing may be written."""
    found = [os.path.expanduser("~"), tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm", os.getcwd()]
    return [Path(folder) for folder in dict.fromkeys(found) if os.access(folder, os.W_OK)]


def canaries():
    """Everything called like the canary in the folders that an attack tries to write to."""
    folders = {*places(), *map(Path, ("/", "/run", "/home", "/root", "/etc", "/usr", "/opt"))}
    names = ("sitecustomize.py", "usercustomize.py", "results.jsonl")
    return {str(path) for folder in folders if os.access(folder, os.R_OK) for path in folder.iterdir()
            if CANARY in path.name or path.name in names}


def strangers():
    """The processes of this one that are in another process namespace, or called like the canary: {id: its name}. Those
    that descend from another Python, such as other tests, are not ours."""
    here, found = os.readlink("/proc/self/ns/pid"), {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            called = Path("/proc", name, "comm").read_text().strip()
            outside = os.readlink(f"/proc/{name}/ns/pid") != here
            if (outside or CANARY[:15] in called) and not of_another(int(name), here):
                found[int(name)] = called
    return found


def of_another(process, here):
    while process > 1 and process != os.getpid():
        called, _, numbers = Path(f"/proc/{process}/stat").read_text().partition(" (")[2].rpartition(") ")
        if os.readlink(f"/proc/{process}/ns/pid") == here and called.startswith(("python", "pytest")):
            return True
        process = int(numbers.split()[1])
    return False


class Listeners:
    """Sockets where the attacks call. `calls` are the names of those that somebody called."""

    def __init__(self, folder):
        self.open = {}
        for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                self.listen(f"{host} {kind.name}", family, kind, (host, PORT))
        self.listen("abstract", socket.AF_UNIX, socket.SOCK_STREAM, f"\0{CANARY}")
        self.listen("abstract datagram", socket.AF_UNIX, socket.SOCK_DGRAM, f"\0{CANARY}-datagram")
        self.listen("file", socket.AF_UNIX, socket.SOCK_STREAM, f"{folder}/{CANARY}.sock")

    def listen(self, name, family, kind, address):
        with contextlib.suppress(OSError):  # a machine without IPv6
            listener = socket.socket(family, kind)
            listener.bind(address)
            if kind == socket.SOCK_STREAM:
                listener.listen()
            listener.setblocking(False)
            self.open[name] = listener

    def calls(self):
        called = []
        for name, listener in self.open.items():
            with contextlib.suppress(BlockingIOError):
                listener.accept() if listener.type == socket.SOCK_STREAM else listener.recv(1)
                called.append(name)
        return called

    def close(self):
        for listener in self.open.values():
            listener.close()


@dataclasses.dataclass
class Graded:
    """A graded class, and what was seen outside meanwhile."""

    records: dict  # by the entry's name, or the number of an honest submission
    out: Path
    secret: str
    before: set
    after: set
    left: dict
    calls: list
    listening: list
    changed: list


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """The corpus of lecture 05 with honest submissions between, graded by two workers with short limits."""
    folder = tmp_path_factory.mktemp("hostile")
    entries = [entry for entry in CORPUS if entry.lecture == "05"]
    secret = SECRET + secrets.token_hex(8)
    names = write_class(folder / "submissions", entries, secret)
    planted = [place / CANARY for place in [*places(), folder]]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("COURSEKIT_CANARY", secret)
        short_limits(patch, "05")
        listeners, before_processes = Listeners("/tmp"), strangers()
        try:
            for path in planted:
                path.write_text(secret)
            before = canaries()
            batch.grade_class(folder / "submissions", folder / "out", "05", SEED, workers=2)
            left = wait_for_none(before_processes)
            after, changed = canaries(), [str(path) for path in planted if path.read_text() != secret]
            calls = listeners.calls()
        finally:
            listeners.close()
            for path in [*planted, Path(f"/tmp/{CANARY}.sock")]:
                path.unlink(missing_ok=True)
    report.write(folder / "out")
    lines = (folder / "out" / "results.jsonl").read_text().splitlines()
    records = {names[record["learner"]]: record for record in map(json.loads, lines)}
    return Graded(records, folder / "out", secret, before, after, left, calls, list(listeners.open), changed)


def write_class(folder, entries, secret):
    """Write the submissions, honest ones among them with the secret in a comment, and a link to a secret file; returns
    what stands under each learner's name."""
    folder.mkdir()
    names = {f"{index:03}": entry.name for index, entry in enumerate(entries)}
    for name, entry in zip(names, entries):
        (folder / f"{name}.ipynb").write_bytes(entry.content())
    honest = hostile.notebook([IMPORTS, f"# {secret}{RIGHT}", *list(ANSWERS["05"].values())[1:]])
    for number in range(HONEST):
        name = f"{len(entries) * number // HONEST:03}-honest"
        names[name] = number
        (folder / f"{name}.ipynb").write_bytes(honest)
    (folder / "link.ipynb").symlink_to(f"/tmp/{CANARY}")
    names["link"] = "link"
    return names


def short_limits(patch, lecture):
    """What hangs, hangs for seconds."""
    patch.setattr(batch, "Assignment", functools.partial(Assignment, seconds=1.5, set_up=5))
    for exercise in library.exercises(lecture):
        patch.setitem(vars(exercise), "task", dataclasses.replace(exercise.task, seconds=1.0))


def wait_for_none(before):
    """The processes that are still there some seconds after the grading."""
    for _ in range(50):
        left = {process: name for process, name in strangers().items() if process not in before}
        if not left:
            break
        time.sleep(0.1)
    return left


def points(row):
    """The points of an exercise or a record as a number: where nothing was graded, nothing was gained."""
    return row["points"] or 0


LECTURE_05 = [entry.name for entry in CORPUS if entry.lecture == "05"]


@pytest.mark.parametrize("name", LECTURE_05)
def test_no_point_is_gained_and_no_honest_one_lost(graded, name):
    entry = next(entry for entry in CORPUS if entry.name == name)
    record = graded.records[name]
    rows = {row["id"]: row for row in record["exercises"]}
    if record["status"] == "unreadable":
        assert record["points"] is None and not entry.stands
        return
    assert rows.keys() == entry.honest.keys()
    for id, honest in entry.honest.items():
        assert points(rows[id]) == honest if entry.stands else points(rows[id]) <= honest
    assert points(record) == sum(map(points, rows.values()))


def test_honest_submissions_between_them_have_their_points(graded):
    for number in range(HONEST):
        record = graded.records[number]
        assert (record["status"], record["points"]) == ("graded", 7)
        assert [row["status"] for row in record["exercises"]] == [
            "passed", "passed", "passed", "missing", "passed", "missing"]


def test_the_batch_has_a_record_for_everybody(graded):
    assert graded.records.keys() == {*LECTURE_05, *range(HONEST), "link"}
    assert graded.records["link"]["status"] == "unreadable" and graded.records["link"]["points"] is None


def test_no_secret_is_in_any_record_or_report(graded):
    # What attacks say when they got somewhere, and the first account of this machine.
    marks = [graded.secret, *(f"{SECRET}{what}" for what in (
        "leftbehind", "keyring", "disk", "handle", "settings", "replaced"))]
    if os.access("/etc/shadow", os.R_OK):
        marks.append(Path("/etc/shadow").read_text().splitlines()[0])
    files = [path for path in graded.out.rglob("*") if path.is_file()]
    assert len(files) > len(LECTURE_05)
    for path in files:
        content = path.read_bytes()
        assert not [mark for mark in marks if mark.encode() in content], path


def test_nothing_outside_is_written_or_changed(graded):
    assert graded.after - graded.before == set() and graded.changed == []
    assert len(graded.before) >= 3
    assert not [path for path in (graded.out.parent / "submissions").iterdir() if not path.name.endswith(".ipynb")]


def test_nobody_calls(graded):
    assert graded.calls == []
    assert len(graded.listening) >= 5


def test_no_process_is_left(graded):
    assert graded.left == {}


def test_pages_hold_no_script(graded):
    pages = list(graded.out.rglob("*.html"))
    assert len(pages) > len(LECTURE_05)
    for page in pages:
        text = page.read_text()
        assert not [mark for mark in ("<script", "<img", "\x1b", "\u202e") if mark in text], page


def test_records_are_short(graded):
    """However much a submission printed, raised or answered."""
    assert max(len(line) for line in (graded.out / "results.jsonl").read_text().splitlines()) < 20_000


def test_another_lecture(tmp_path, boxes):
    assignment = Assignment("02", SEED, seconds=5)
    for entry in CORPUS:
        if entry.lecture == "02":
            rows = {row["id"]: points(row) for row in batch.mark(entry.content(), assignment, boxes)["exercises"]}
            assert rows == entry.honest


# The corpus itself: an attack that does not run would prove nothing.

def test_the_corpus_is_large_and_its_names_tell_entries_apart():
    names = [entry.name for entry in CORPUS]
    assert len(set(names)) == len(names) >= 80
    assert {"lying objects", "secrets", "network", "forged answers", "floods"} <= {entry.family for entry in CORPUS}
    for entry in CORPUS:
        assert entry.honest.keys() == {exercise.id for exercise in library.exercises(entry.lecture)}
        assert entry.aim.endswith(".") and entry.cells and entry.content()


@pytest.mark.parametrize("lecture", ANSWERS)
def test_the_honest_answers_are_right_and_worth_their_points(lecture, boxes):
    cells = [IMPORTS, *ANSWERS[lecture].values()]
    attacked, *others = ANSWERS[lecture]
    marks = batch.mark(hostile.notebook(cells), Assignment(lecture, SEED), boxes)
    rows = {row["id"]: row for row in marks["exercises"]}
    assert points(rows[attacked]) == 0 and rows[attacked]["status"] == "failed"
    for id in others:
        assert points(rows[id]) == library.find(id).task.points == hostile.POINTS[lecture][id]


def test_attacks_know_that_they_are_in_a_box(boxes):
    said = in_box(boxes, hostile.CONFINED, 'raise ValueError(f"confined {confined()}")')
    assert "confined True" in said


def test_attacks_reach_the_wire(boxes):
    said = in_box(boxes, hostile.FORGE, "wire.send(grader, number(), 'forged')")
    assert "no outcome" in said


def test_attacks_that_look_for_secrets_say_what_they_find(boxes):
    plant = f'open("/tmp/{CANARY}", "w").write("{SECRET}" + "abc")'
    said = in_box(boxes, hostile.LOOT, f'{plant}\n    look(*below("/tmp"))\n    raise ValueError(FOUND)')
    assert f"{SECRET}abc" in said


def in_box(boxes, before, line):
    """What the mark of an attack says that runs `line` in its answer."""
    answer = f"def attend(query, key, value):\n    {line}\n    return torch.zeros(1)"
    marks = batch.mark(hostile.notebook([IMPORTS, before, answer]), Assignment("05", SEED), boxes)
    return next(row["text"] for row in marks["exercises"] if row["id"] == "05.attend")


# What looks from outside must see.

def test_the_listeners_hear(tmp_path):
    names, listeners = {}, Listeners(tmp_path)
    exec(hostile.CALL, names)
    try:
        for listener in listeners.open.values():
            names["call"](listener.family, listener.type, listener.getsockname())
        time.sleep(0.1)
        assert listeners.calls() == list(listeners.open)
    finally:
        listeners.close()


def test_strangers_are_seen():
    before = strangers()
    stranger = subprocess.Popen(["bwrap", "--dev-bind", "/", "/", "--unshare-pid", "--die-with-parent", "sleep", "60"])
    try:
        for _ in range(100):
            if "sleep" in [name for process, name in strangers().items() if process not in before]:
                break
            time.sleep(0.05)
        else:
            pytest.fail("a process in another namespace was not seen")
    finally:
        stranger.kill()
        stranger.wait()


def test_canaries_are_seen(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = canaries()
    Path(f"{CANARY}-left-behind").touch()
    assert canaries() - before == {f"{tmp_path}/{CANARY}-left-behind"}


def test_attacks_outside_a_box_know_it(monkeypatch):
    """What would hit every process of a machine first looks at how many there are."""
    names = {}
    exec(hostile.CONFINED, names)
    monkeypatch.setattr(names["os"], "listdir", lambda folder: [str(number) for number in range(50)])
    assert not names["confined"]()
    monkeypatch.setattr(names["os"], "listdir", lambda folder: ["1", "2", "self"])
    monkeypatch.setattr(names["os"].path, "exists", lambda path: path == f"/tmp/{CANARY}")
    assert not names["confined"]()
