"""The box in which a stranger's code runs, seen from outside: start it, open it for one exercise, ask, end it.

bubblewrap (https://github.com/containers/bubblewrap) gives the box its own user, process, network, IPC and mount
namespaces: of the machine it holds the interpreter, the C library and the installed packages, read-only, and of this
package a copy without exercises. `inside.py` runs there; `confine.py` separates one submission from the next.
"""

import json
import os
import platform
import shutil
import site
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import coursekit
from coursekit.datasets import data_folder
from coursekit.exercises.build import files_below, gives_away
from coursekit.grading import wire

MODES = ("bubblewrap", "uid", "none")
FIRST_UID = 61200  # of 4,000 that no distribution gives to people or services
HOW_TO = """the box needs bubblewrap and user namespaces on Linux: {why}
  install it:      apt install bubblewrap, dnf install bubblewrap, pacman -S bubblewrap
  Ubuntu 24.04 on: sysctl kernel.apparmor_restrict_unprivileged_userns=0, or a profile for bwrap in /etc/apparmor.d
  in a container:  --box uid (as root: another user, resource limits, no network; weaker, see SECURITY.md)
  macOS, Windows:  run it in a Linux machine (WSL 2 on Windows, Lima or another virtual machine on macOS)"""


class NoBox(ValueError):
    """No box can be made here; the message says what to do."""


class Box:
    """A warm process in a box, with frameworks imported, that forks for every exercise.

    mode: "bubblewrap"; "uid", another user without namespaces; "none", the same user, for trusted code. frameworks:
    what is imported beforehand, of ("torch", "keras"). Raises NoBox, with what to do, where it cannot be made.
    """

    def __init__(self, mode="bubblewrap", frameworks=(), seconds=120):
        if mode not in MODES:
            raise ValueError(f"the box is {mode!r}, expected one of {', '.join(MODES)}")
        if sys.platform != "linux":
            raise NoBox(HOW_TO.format(why=f"this is {platform.system()}"))
        self.mode, self.folder = mode, Path(tempfile.mkdtemp(prefix="coursekit-box-"))
        self.uid, self.claim = unused_uid()
        self.control, theirs = wire.pair()
        try:
            command, environment = self.command(theirs.fileno(), frameworks)
            with (self.folder / "errors").open("wb") as errors:
                self.process = subprocess.Popen(
                    command, env=environment, pass_fds=[theirs.fileno()], cwd="/", stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL, stderr=errors, start_new_session=True)
            theirs.close()
            self.control.settimeout(seconds)
            if self.control.recv(16) != b"ready":
                words = (self.folder / "errors").read_text(errors="replace").strip().splitlines()
                raise NoBox(HOW_TO.format(why=words[-1] if words else "it ended at once"))
        except BaseException:
            self.close()
            raise

    def command(self, descriptor, frameworks):
        course = self.folder / "course"
        self.folder.chmod(0o711)  # the box's user passes through
        for name, content in (files_below(Path(coursekit.__file__).parent, "coursekit")
                              | files_below(data_folder(), "coursekit/data")).items():
            if not gives_away(name, content):
                target = course / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
        if self.mode != "bubblewrap":
            return self.without_bubblewrap(course, descriptor, frameworks)
        if not shutil.which("bwrap"):
            raise NoBox(HOW_TO.format(why="there is no bwrap on the PATH"))
        python = os.path.realpath(sys.executable)
        # Packages have another place in the box: theirs may lie in /tmp, where the box has a folder of its own.
        packages = {path: f"/packages/{number}" for number, path in enumerate(package_folders())}
        visible = {str(course): "/course", **{path: path for path in interpreter_files(python)}, **packages}
        environment = environment_of(["/course", *packages.values()])
        inner = [python, "-S", "-B", "-m", "coursekit.grading.inside", str(descriptor), self.mode, ",".join(frameworks)]
        root = os.getuid() == 0
        places = self.stages(visible) if root else {path: path for path in visible}
        command = ["bwrap", "--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent", "--new-session",
                   "--uid", "1000", "--gid", "1000", "--hostname", "box",
                   "--cap-drop", "ALL", "--cap-add", "CAP_SYS_ADMIN", "--cap-add", "CAP_SETPCAP",
                   "--tmpfs", "/tmp"]
        for path, inside in visible.items():
            command += ["--ro-bind", places[path], inside]
        for path, inside in packages.items():
            if Path(path, "coursekit").is_dir():
                command += ["--tmpfs", f"{inside}/coursekit"]  # an installed copy has the solutions
        for name in ("bin", "lib", "lib64", "sbin"):
            if os.path.islink(f"/{name}"):
                command += ["--symlink", os.readlink(f"/{name}"), f"/{name}"]
        command += ["--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev", "--remount-ro", "/", "--", *inner]
        return self.as_another_user(command, places) if root else command, environment

    def stages(self, paths):
        """Where each path can be seen by a user to whom a folder above it may be closed, such as /root."""
        return {path: str(self.folder / "stage" / str(number)) for number, path in enumerate(paths)}

    def as_another_user(self, command, places):
        """Root shows the folders to an unprivileged user, in a mount namespace of their own, and becomes that user:
        root itself has no limit to its number of processes, and should run nobody's code."""
        script = ('uid=$1; shift; while [ "$1" != -- ]; do mkdir -p "${2%/*}"; '
                  'if [ -d "$1" ]; then mkdir "$2"; else : > "$2"; fi; mount --bind "$1" "$2"; shift 2; done; shift; '
                  'exec setpriv --reuid "$uid" --regid "$uid" --clear-groups -- "$@"')
        return ["unshare", "--mount", "--propagation", "private", "sh", "-ec", script, "sh", str(self.uid),
                *(part for pair in places.items() for part in pair), "--", *command]

    def without_bubblewrap(self, course, descriptor, frameworks):
        if self.mode == "uid":
            if os.getuid() != 0:
                raise NoBox("--box uid changes to another user, which only root can do")
            readable = solutions_readable()
            if readable:
                raise NoBox(f"with --box uid, submissions could read the solutions in {readable}: "
                                 f"chmod -R o-rwx {readable}")
        home = self.folder / "home"
        home.mkdir()
        if self.mode == "uid":
            os.chown(home, self.uid, self.uid)
        environment = environment_of([str(course), *package_folders()], str(home))
        return [sys.executable, "-S", "-B", "-m", "coursekit.grading.inside", str(descriptor), self.mode,
                ",".join(frameworks)], environment

    def open(self, memory=2 * 2**30, processes=64):
        """A Visit: fresh processes for one exercise. memory: bytes of all of them together; processes: the most,
        threads included."""
        ours, theirs = wire.pair()
        home = "/tmp" if self.mode == "bubblewrap" else str(self.folder / "home")
        limits = {"memory": memory, "data": memory, "processes": processes, "uid": self.uid,
                  "environment": environment_of([], home)}
        socket.send_fds(self.control, [json.dumps(limits).encode()], [theirs.fileno()])
        theirs.close()
        return Visit(self, ours)

    def close(self):
        """End the box and everything in it."""
        self.control.close()
        if hasattr(self, "process"):
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.claim.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class Visit:
    """One exercise of one submission in the box. After `close`, `memory` is the most it used, in bytes, and `ended` how
    it ended: "asked", "memory" (it took too much), or by itself, "exit 0" or "signal 11"; an exit of 128 and more stands
    for a signal."""

    def __init__(self, box, connection):
        self.box, self.connection = box, connection
        self.number, self.memory, self.ended, self.broken = 0, 0, "", False

    def ask(self, order, seconds):
        """Send an order and return the answer to this very order. Raises wire.Broken or wire.TooLate."""
        self.number += 1
        deadline = time.monotonic() + seconds
        try:
            wire.send(self.connection, self.number, order, deadline)
            number, answer = wire.receive(self.connection, deadline)
        except wire.Broken:
            self.broken = True
            raise
        if number != self.number:
            raise wire.Broken(f"the answer to message {self.number} came with another number")
        return answer

    def close(self):
        self.connection.close()
        self.box.control.settimeout(60)
        self.box.control.send(b"why" if self.broken else b"end")
        report = json.loads(self.box.control.recv(4096))
        self.memory, self.ended = report["memory"], report["ended"]
        if self.box.mode != "bubblewrap":
            empty(self.box.folder / "home")

    def __enter__(self):
        return self

    def __exit__(self, *raised):
        self.close()


def unused_uid():
    """A user id that no other box of this machine has, and the socket that holds the claim to it."""
    for uid in range(FIRST_UID, FIRST_UID + 4000):
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            claim.bind(f"\0coursekit-box-{uid}")
            return uid, claim
        except OSError:
            claim.close()
    raise NoBox("4,000 boxes are open on this machine, and each needs a user id of its own")


def environment_of(path, home="/tmp"):
    return {"PATH": "/usr/bin:/bin", "HOME": home, "TMPDIR": home, "USER": "student", "LOGNAME": "student",
            "LANG": "C.UTF-8", "PYTHONPATH": ":".join(path), "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1",
            "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE",
            "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1",
            "MPLBACKEND": "agg", "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "",
            "HF_HUB_OFFLINE": "1",
            # Some processors need it to compute right; it is no secret.
            **{name: os.environ[name] for name in ("OPENBLAS_CORETYPE",) if name in os.environ}}


def package_folders():
    """The folders of installed packages that this interpreter reads."""
    known = [*site.getsitepackages(), site.getusersitepackages()]
    return [path for path in dict.fromkeys(sys.path) if path in known or Path(path).name == "dist-packages"
            if os.path.isdir(path)]


def interpreter_files(python):
    """What the interpreter needs of the machine: its executable and library, the C library and the loader."""
    base = Path(sys.base_prefix)
    wanted = [python, str(base / "lib"), *map(str, base.glob("lib64")), "/usr/lib", "/usr/lib64",
              "/etc/ld.so.cache", "/etc/alternatives"]
    wanted += [f"/{name}" for name in ("lib", "lib64") if not os.path.islink(f"/{name}")]
    return [path for path in dict.fromkeys(wanted) if os.path.exists(path)]


def solutions_readable():
    """The folder of the exercises if any user may read them, else None."""
    folder = Path(coursekit.__file__).resolve().parent
    passable = all(parent.stat().st_mode & 0o001 for parent in folder.parents)
    return folder if passable and folder.stat().st_mode & 0o005 == 0o005 else None


def empty(folder):
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path, ignore_errors=True)
        else:
            os.unlink(entry.path)
