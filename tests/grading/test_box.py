"""The box, seen from inside: what there is, what is not, what is refused, and that nothing is left afterwards."""

import os
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from coursekit.exercises.exercise import Task
from coursekit.grading import box as grading_box
from coursekit.grading import confine, wire
from coursekit.grading.box import Box

TASK = asdict(Task(id="00.probe", title="", kind="function", name="probe", signature="probe()", difficulty=1, minutes=1,
                   points=1, text="", starter="", hints=(), mistakes={}, returns={}, framework="numpy", withhold=(),
                   seconds=20, goal=None, limit=None, symptoms=(), options={}))
PREFIX = "import ctypes, errno, os, signal, socket, subprocess, sys, time\nlibc = ctypes.CDLL(None, use_errno=True)\n"


def set_up(visit, code, seconds=20):
    return visit.ask({"do": "set up", "task": TASK, "statements": [[0, 1, PREFIX + code]], "modules": [],
                      "seconds": seconds}, 60)


def probe(box, body, **limits):
    """What `body`, the body of a function, returns in the box: a text, or the message where it raises."""
    with box.open(**limits) as visit:
        set_up(visit, "def probe():\n    " + body.replace("\n", "\n    "))
        outcome = visit.ask({"do": "ask", "inputs": {}, "init": {}, "weights": {}}, 60)
        return outcome["answer"] if outcome["status"] == "answered" else outcome["message"]


@pytest.fixture(scope="module")
def box(boxes):
    return boxes.of(())


def test_nothing_of_the_machine_is_visible(box):
    assert probe(box, "return ' '.join(sorted(os.listdir('/')))").split() == sorted(
        set("bin course dev etc lib lib64 proc sbin tmp usr".split()) & set(os.listdir("/")) |
        {"course", "packages", "tmp", "proc", "dev", "usr", "etc", Path(os.path.realpath(os.sys.executable)).parts[1]})
    assert probe(box, "return ' '.join(sorted(os.listdir('/etc')))").split() == [
        name for name in ("alternatives", "ld.so.cache") if Path("/etc", name).exists()]
    assert probe(box, "return ' '.join(os.listdir('/usr')) + str(os.path.exists('/usr/bin'))") in (
        "lib lib64False", "lib64 libFalse", "libFalse")
    assert probe(box, "return str(os.path.exists(%r))" % str(Path(__file__).resolve())) == "False"
    assert probe(box, "return str(os.path.exists(%r))" % str(Path.home() / ".profile")) == "False"


def test_the_package_is_there_without_solutions(box):
    assert probe(box, "import coursekit; return coursekit.__file__") == "/course/coursekit/__init__.py"
    listing = probe(box, "return ' '.join(os.listdir('/course/coursekit/exercises'))")
    assert "call.py" in listing and "lecture_" not in listing
    found = probe(box, "return ' '.join(os.path.join(folder, name) for start in ['/course', *sys.path] for folder, _, "
                       "names in os.walk(start) for name in names if name.startswith('lecture_0'))")
    assert found == ""


def test_an_installed_copy_is_covered(monkeypatch):
    """Where coursekit is installed with its solutions, beside the packages that the box needs."""
    with tempfile.TemporaryDirectory() as folder:
        solution = Path(folder, "coursekit", "exercises", "lecture_05.py")
        solution.parent.mkdir(parents=True)
        solution.write_text("SOLUTION = 1")
        Path(folder).chmod(0o755)  # as packages are: the box's user reads them
        known = grading_box.package_folders()
        monkeypatch.setattr(grading_box, "package_folders", lambda: [*known, folder])
        box = Box()
        try:
            assert probe(box, f"return ' '.join(os.listdir('/packages/{len(known)}'))") == "coursekit"
            assert probe(box, f"return ' '.join(os.listdir('/packages/{len(known)}/coursekit'))") == ""
        finally:
            box.close()


def test_environment_is_clean(box, monkeypatch):
    names = probe(box, "return ' '.join(sorted(os.environ))").split()
    assert set(names) <= {"PATH", "HOME", "TMPDIR", "USER", "LOGNAME", "LANG", "PYTHONPATH", "PYTHONHASHSEED",
                          "PYTHONDONTWRITEBYTECODE", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS",
                          "OMP_WAIT_POLICY", "MPLBACKEND", "KERAS_BACKEND", "TF_CPP_MIN_LOG_LEVEL", "HF_HUB_OFFLINE",
                          "CUDA_VISIBLE_DEVICES", "OPENBLAS_CORETYPE", "TF_NUM_INTRAOP_THREADS",
                          "TF_NUM_INTEROP_THREADS"}
    assert probe(box, "return ' '.join(sorted(os.listdir('/proc/self/fd')))").split()[:4] == ["0", "1", "2", "3"]


def test_only_the_own_processes_are_visible(box):
    assert probe(box, "return ' '.join(name for name in os.listdir('/proc') if name.isdigit())") == "1"
    assert probe(box, "return f'{os.getpid()} {os.getuid()}'") == "1 1000"


@pytest.mark.parametrize("family", [0, *range(2, 46)])  # 2 and 10 are IPv4 and IPv6, 16 netlink, 17 packet, 40 vsock
def test_no_socket_but_unix(box, family):
    assert "PermissionError" in probe(box, f"socket.socket({family}, socket.SOCK_DGRAM)")


def test_unix_sockets_reach_nobody(box):
    assert probe(box, "a, b = socket.socketpair(); a.send(b'x'); return b.recv(1).decode()") == "x"
    assert "ConnectionRefused" in probe(box, "socket.socket(socket.AF_UNIX).connect('\\0anybody')")


REFUSED = {  # each returns -1 with EPERM
    "a nested user namespace": "libc.unshare(0x10000000)",
    "a mount namespace": "libc.unshare(0x20000)",
    "clone of a user namespace": "libc.syscall(56 if os.uname().machine == 'x86_64' else 220, 0x10000011, 0, 0, 0, 0)",
    "ptrace": "libc.ptrace(0, 0, 0, 0)",
    "reading another's memory": "libc.process_vm_readv(1, 0, 0, 0, 0, 0)",
    "keyctl": "libc.syscall(250 if os.uname().machine == 'x86_64' else 219, 0, -3, 0)",
    "mount": "libc.mount(b'x', b'/tmp', b'tmpfs', 0, None)",
    "umount": "libc.umount2(b'/tmp', 0)",
    "chroot": "libc.chroot(b'/tmp')",
    "pivot_root": "libc.syscall(155 if os.uname().machine == 'x86_64' else 41, b'/', b'/')",
    "bpf": "libc.syscall(321 if os.uname().machine == 'x86_64' else 280, 0, 0, 0)",
    "io_uring": "libc.syscall(425, 1, 0)",
    "perf": "libc.syscall(298 if os.uname().machine == 'x86_64' else 241, 0, 0, 0, 0, 0)",
    "userfaultfd": "libc.syscall(323 if os.uname().machine == 'x86_64' else 282, 0)",
    "memfd": "libc.memfd_create(b'x', 0)",
    "shared memory segments": "libc.shmget(0, 4096, 0o1600)",
    "opening by handle": "libc.open_by_handle_at(0, 0, 0)",
    "setting the clock": "libc.syscall(164 if os.uname().machine == 'x86_64' else 170, 0, 0)",
    "personality": "libc.personality(0x0040000)",
}


@pytest.mark.parametrize("what", REFUSED)
def test_system_calls_that_are_refused(box, what):
    answer = probe(box, f"result = {REFUSED[what]}\nreturn f'{{result}} {{errno.errorcode[ctypes.get_errno()]}}'")
    assert answer == "-1 EPERM"


def test_nobody_else_can_be_become(box):
    for call in ("os.setuid(0)", "os.setgid(0)", "os.setgroups([0])", "os.setresuid(61200, 61200, 61200)"):
        assert probe(box, call).rpartition("\n")[2].split(":")[0] in ("PermissionError", "OSError")


def test_no_new_namespace_by_clone3(box):
    answer = probe(box, "args = (ctypes.c_uint64 * 11)(0x10000000, 0, 0, 0, 17)\nresult = libc.syscall(435, args, 88)\n"
                        "return f'{result} {errno.errorcode[ctypes.get_errno()]}'")
    assert answer == "-1 ENOSYS"


def test_capabilities_are_gone(box):
    sets = probe(box, "return ' '.join(line for line in open('/proc/self/status') if line[:3] == 'Cap' or 'NoNew' in line)")
    assert sets.split() == ["CapInh:", "0" * 16, "CapPrm:", "0" * 16, "CapEff:", "0" * 16, "CapBnd:", "0" * 16, "CapAmb:",
                            "0" * 16, "NoNewPrivs:", "1"]


@pytest.mark.parametrize("path", ["/course/coursekit/evil.py", "/usr/lib/evil", "/evil", "/dev/evil", "/etc/evil",
                                  "/proc/sys/kernel/hostname", "/proc/sysrq-trigger"])
def test_only_the_home_can_be_written(box, path):
    assert probe(box, f"open({path!r}, 'w').write('x')").rpartition("\n")[2].split(":")[0] in (
        "OSError", "PermissionError", "FileNotFoundError")
    assert probe(box, "open('/tmp/a', 'w').write('x'); open('/dev/shm/a', 'w').write('x'); return os.getcwd()") == "/tmp"


def test_the_next_visit_finds_an_empty_home(box):
    probe(box, "open('/tmp/left', 'w').write('x'); open('/dev/shm/left', 'w').write('x'); return ''")
    assert probe(box, "return ' '.join(os.listdir('/tmp') + os.listdir('/dev/shm'))") == ""


def test_disk_has_an_end(box):
    answer = probe(box, "written = 0\ntry:\n    for i in range(400):\n        with open(f'/tmp/{i}', 'wb') as file:\n"
                        "            written += file.write(bytes(2**20))\nexcept OSError as error:\n"
                        "    return f'{errno.errorcode[error.errno]} {written}'")
    assert answer == f"ENOSPC {64 * 2**20}"
    files = probe(box, "try:\n    for i in range(10000): open(f'/tmp/{i}', 'w').close()\nexcept OSError as error:\n"
                       "    return errno.errorcode[error.errno]")
    assert files == "ENOSPC"


def test_memory_of_one_process_has_an_end(box):
    assert "MemoryError" in probe(box, "return str(len(bytearray(300 * 2**20)))", memory=256 * 2**20)


def test_memory_of_all_processes_has_an_end(box):
    code = ("children = []\nfor i in range(8):\n    if os.fork() == 0:\n        kept = bytearray(os.urandom(1)) * (60 * 2**20)\n"
            "        time.sleep(60)\ntime.sleep(60)")
    with box.open(memory=256 * 2**20) as visit, pytest.raises(wire.Broken):
        set_up(visit, code, seconds=50)
    assert visit.ended == "memory" and visit.memory > 256 * 2**20


def test_processes_and_threads_have_an_end(box):
    forked = probe(box, "count = 0\ntry:\n    while count < 200:\n        if os.fork() == 0: time.sleep(60)\n        count += 1\n"
                        "except OSError as error:\n    return f'{errno.errorcode[error.errno]} {count}'", processes=32)
    assert forked.split()[0] == "EAGAIN" and int(forked.split()[1]) < 32
    threads = probe(box, "import threading\ntry:\n    for i in range(200): threading.Thread(target=time.sleep, args=(60,), "
                         "daemon=True).start()\nexcept RuntimeError as error:\n    return str(error)", processes=32)
    assert threads == "can't start new thread"


def test_files_have_an_end(box):
    assert "Too many open files" in probe(box, "return str([open('/dev/null') for i in range(500)])")


def test_core_files_and_output_go_nowhere(box):
    with box.open() as visit, pytest.raises(wire.Broken):
        set_up(visit, "os.write(1, b'x' * 10**6); os.write(2, b'y' * 10**6)\nos.kill(os.getpid(), signal.SIGSEGV)\n"
                      "ctypes.string_at(0)")
    assert visit.ended in ("exit 139", "signal 11")
    assert (box.folder / "errors").read_bytes() == b""


LATE = """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for number in (1, 2, 15): signal.signal(number, signal.SIG_IGN)
        time.sleep(600)
    os._exit(0)
time.sleep(0.3)
"""


def test_no_process_is_left(box):
    with box.open() as visit:
        assert set_up(visit, LATE) == {"errors": []}
        assert len(processes_of(box)) == 4  # the warm one, the visit's two, and the late one
    assert len(processes_of(box)) == 1
    assert probe(box, "return 'still serving'") == "still serving"


def processes_of(box):
    """The processes of the box, without bubblewrap's own."""
    owner = box.uid if os.getuid() == 0 else os.getuid()
    inside = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                named = (entry / "status").read_text()
                command = (entry / "cmdline").read_bytes()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if f"\nUid:\t{owner}" in named and b"coursekit.grading.inside" in command and b"bwrap" not in command[:6]:
                inside.append(entry.name)
    return inside


def test_the_grader_can_end_what_refuses_to_end(box):
    stubborn = ("for number in range(1, 32):\n    try: signal.signal(number, signal.SIG_IGN)\n    except (OSError, ValueError): "
                "pass\nwhile True:\n    try:\n        while True: time.sleep(1)\n    except BaseException: pass")
    started = time.monotonic()
    with box.open() as visit, pytest.raises(wire.TooLate):
        visit.ask({"do": "set up", "task": TASK, "statements": [[0, 1, PREFIX + stubborn]], "modules": [], "seconds": 60}, 1)
    assert time.monotonic() - started < 10
    assert len(processes_of(box)) == 1


def test_answers_are_numbered(box):
    forged = "from coursekit.grading import wire\nfor n in (2, 3): wire.send(socket.socket(fileno=os.dup(3)), n, {'status': 'x'})"
    with box.open() as visit, pytest.raises(wire.Broken, match="another number"):
        set_up(visit, forged)


def test_a_closed_box_leaves_nothing():
    made = Box()
    folder, process = made.folder, made.process
    made.close()
    assert not folder.exists() and process.poll() is not None


def test_how_to_get_a_box_is_said(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ValueError, match="there is no bwrap on the PATH\n.*apt install bubblewrap"):
        Box()
    with pytest.raises(ValueError, match="the box is 'tight', expected one of bubblewrap, uid, none"):
        Box("tight")


def test_unknown_machines_are_refused():
    with pytest.raises(ValueError, match="this machine is riscv64"):
        confine.seccomp_filter("riscv64")
