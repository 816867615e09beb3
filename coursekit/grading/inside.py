"""The process in the box: it imports the frameworks once, then forks for every exercise of every submission.

    python -m coursekit.grading.inside FD MODE FRAMEWORKS

On the socket FD the grader sends the limits with the file descriptor of a new wire. The fork leaves this process's
namespaces, privileges and file descriptors behind, then obeys the wire: "plan", "set up", "ask". This process watches its
memory meanwhile, ends the whole tree when the grader says so or when it outgrows its limit, and answers how it ended. It
never reads a word that a submission wrote.
"""

import __future__
import gc
import json
import linecache
import os
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from importlib import import_module

import numpy as np

from coursekit.exercises.call import Case, call
from coursekit.exercises.exercise import Task
from coursekit.exercises.guards import Beginning, TimeUp, time_limit
from coursekit.grading import confine, program, wire

FROM_FUTURE = __future__.annotations.compiler_flag  # the one that still changes anything
GRACE = 0.02  # seconds between two looks at the memory


def main(descriptor, mode, frameworks):
    control = socket.socket(fileno=int(descriptor))
    for name in ("coursekit.reference", *frameworks, *(f"coursekit.{name}" for name in frameworks)):
        import_module(name)
    if "torch" in frameworks:
        sys.modules["torch"].set_num_threads(1)
    warm_up("torch" in frameworks)
    remember_holders()
    gc.freeze()  # what the forks share is not looked at, and so not copied, by their garbage collectors
    control.send(b"ready")
    while True:
        order, descriptors, _, _ = socket.recv_fds(control, 4096, 1)
        if not descriptors:
            return  # the grader is gone
        limits = json.loads(order)
        tree = Tree(mode, limits, descriptors[0], control)
        os.close(descriptors[0])
        control.send(json.dumps(tree.watch(control, limits["memory"])).encode())


def warm_up(torch):
    """Do once what every fork does, so that what is imported or made at its first use is there before."""
    program.plan(["%time x = 1", "def answer(x): return x"], ["answer"])
    task = Task("", "", "function", "answer", "", 1, 1, 1, "", "", (), {}, {}, "torch" if torch else "numpy", (), 5, None,
                None, (), {})
    ours, theirs = wire.pair()
    wire.send(ours, 0, vars(call({"answer": lambda x: (x + 1, [1.0, 2.0])}, task, Case({"x": np.ones((2, 3))}))))
    wire.receive(theirs)


class Tree:
    """One exercise's processes: a fork of this one and all that descends from it."""

    def __init__(self, mode, limits, wire_descriptor, control):
        self.mode = mode
        self.uid = limits["uid"]
        self.keeper = os.fork()
        if self.keeper == 0:
            try:
                os.setsid()
                control.close()
                if mode == "bubblewrap":
                    confine.own_namespaces()
                    if process := os.fork():  # process 1 of the new namespace, whose end ends all others in it
                        os.close(wire_descriptor)
                        how = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
                        os._exit(how if how >= 0 else 128 - how)  # as a shell says it
                    confine.own_files()
                serve(enter(mode, limits, wire_descriptor))
            finally:
                os._exit(1)

    def watch(self, control, most):
        """Wait for the order to end, the end itself, or too much memory; then end every process."""
        peak, ended, ordered = 0, "asked", False
        while not (ordered or self.gone()):
            ordered = bool(select.select([control], [], [], GRACE)[0])
            peak = max(peak, self.memory())
            if peak > most:
                ended = "memory"
                break
        if not ordered:
            gone = self.gone()
            self.end()  # at once: what is left may keep the grader waiting
        broken = control.recv(16) == b"why"  # then the process is about to end
        if ordered:
            deadline = time.monotonic() + 0.5
            while not (gone := self.gone()) and broken and time.monotonic() < deadline:
                time.sleep(0.002)
            self.end()
        if gone and ended == "asked":
            ended = f"exit {gone.si_status}" if gone.si_code == os.CLD_EXITED else f"signal {gone.si_status}"
        return {"memory": peak, "ended": ended}

    def gone(self):
        """How the first process ended, or None."""
        return os.waitid(os.P_PID, self.keeper, os.WEXITED | os.WNOHANG | os.WNOWAIT)

    def processes(self):
        """The process ids of the tree: in the box all but this one and bubblewrap's, elsewhere by user or descent."""
        others = []
        for name in os.listdir("/proc"):
            if name.isdigit() and int(name) not in (1, os.getpid()):
                others.append(int(name))
        if self.mode == "bubblewrap":
            return others
        if self.mode == "uid":
            return [process for process in others if owner(process) == self.uid]
        return descendants(self.keeper, others)

    def memory(self):
        """Bytes that are the tree's own: anonymous and shared memory, not files."""
        total = 0
        for process in self.processes():
            try:
                with open(f"/proc/{process}/status") as status:
                    total += sum(int(line.split()[1]) for line in status if line.startswith(("RssAnon", "RssShmem")))
            except (FileNotFoundError, ProcessLookupError):
                continue
        return total * 1024

    def end(self):
        """End every process of the tree and wait until none is left."""
        while alive := self.processes():
            for process in alive:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            with suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            time.sleep(0.0005)


def owner(process):
    try:
        return os.stat(f"/proc/{process}").st_uid
    except FileNotFoundError:
        return None


def descendants(root, candidates):
    parents = {}
    for process in candidates:
        try:
            with open(f"/proc/{process}/stat") as stat:
                parents[process] = int(stat.read().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
    tree = {root}
    while more := {process for process, parent in parents.items() if parent in tree} - tree:
        tree |= more
    return [process for process in tree if process in parents]


# What follows runs in the fork.

def enter(mode, limits, wire_descriptor):
    """Give everything up but the wire, and return it."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    os.dup2(wire_descriptor, 3)
    os.set_inheritable(3, False)
    os.closerange(4, 65536)
    os.environ.clear()
    os.environ.update(limits["environment"])
    os.chdir(limits["environment"]["HOME"])
    confine.limit(limits["data"], limits["processes"])
    if mode == "uid":
        os.setgroups([])
        os.setresgid(limits["uid"], limits["uid"], limits["uid"])
        os.setresuid(limits["uid"], limits["uid"], limits["uid"])
    if mode != "none":
        confine.drop_privileges()
    return socket.socket(fileno=3)


def serve(connection):
    """Answer the grader's messages, one at a time, until the process is ended."""
    module = program.notebook_module()
    sys.modules["__main__"] = module
    tasks = {}
    while True:
        number, order = wire.receive(connection)
        if order["do"] == "plan":
            answer = program.plan(order["cells"], order["names"])
        elif order["do"] == "set up":
            tasks = {"task": Task(**order["task"])}
            answer = set_up(module, order)
        else:
            outcome = call(vars(module), tasks["task"], Case(order["inputs"], order["init"], order["weights"]))
            answer = vars(outcome)
        try:
            wire.send(connection, number, answer)
        except wire.Broken as error:  # an answer that is too large is an answer too
            wire.send(connection, number, {"status": "unusable", "answer": None, "message": str(error), "changed": (),
                                           "printed": "", "printed_length": 0})


def set_up(module, order):
    """Run the statements, each within its seconds; what raises or hangs costs what depends on it and nothing else.
    Returns the errors, at most ten."""
    withhold(order["task"]["withhold"], order["modules"])
    errors, features = [], 0
    for cell, line, source in order["statements"]:
        name = f"<cell {cell + 1}>"
        text = "\n" * (line - 1) + source + "\n"
        earlier = linecache.cache.get(name, (0, None, [], name))[2]
        lines = text.splitlines(True)
        linecache.cache[name] = (len(text), None, earlier + lines[len(earlier):], name)
        sys.stdout = sys.stderr = Beginning()
        try:
            with time_limit(order["seconds"]):
                code = compile(text, name, "exec", features, dont_inherit=True)
                features |= code.co_flags & FROM_FUTURE  # in a notebook it holds for the cells that follow
                exec(code, vars(module))
        except TimeUp:
            errors.append(f"cell {cell + 1}, line {line}: stopped after {order['seconds']:g} seconds")
        except BaseException as error:  # SystemExit and whatever else a cell raises
            errors.append(f"cell {cell + 1}, line {line}: {type(error).__name__}")
    return {"errors": errors[:10]}


class Withheld(Exception):
    """The name is not to be used for this exercise."""


class Stub:
    """Stands where a withheld name was: it can be imported, and nothing else."""

    def __init__(self, path):
        self.__path = path

    def __refuse(self, *arguments, **options):
        raise Withheld(f"{self.__path} gives the answer of this exercise away; it is withheld here. Write it yourself.")

    __call__ = __mro_entries__ = __refuse


def withhold(paths, modules):
    """Put a Stub wherever a loaded module holds one of the objects, under whatever name. A package with such an object
    that the statements do not import cannot be imported any more."""
    stubs, wanted = {}, {module.partition(".")[0] for module in modules}
    for path in paths:
        package = next((part for part in path.split(".")[:2] if part in FRAMEWORKS), None)
        if package and package not in sys.modules and package not in wanted:
            sys.modules[package] = None
        if package and sys.modules.get(package, ...) is None:
            continue
        parent, _, name = path.rpartition(".")
        owner = resolve(parent)
        found = getattr(owner, name, None)
        if found is not None:
            stubs[id(found)] = Stub(path)
            with suppress(TypeError, AttributeError):  # a class written in C cannot be changed
                setattr(owner, name, stubs[id(found)])
    later = {name: module for name, module in sys.modules.items() if name not in HOLDERS["modules"]}
    for found, stub in stubs.items():
        for module, name in [*HOLDERS["of"].get(found, ()), *holders(later).get(found, ())]:
            setattr(module, name, stub)


HOLDERS = {"modules": set(), "of": {}}  # made once, before the forks


def remember_holders():
    HOLDERS.update(modules=set(sys.modules), of=holders(dict(sys.modules)))


def holders(modules):
    """{id of a function, class or other callable: [(module, its name there)]}."""
    found = {}
    for module in modules.values():
        for name, value in list(getattr(module, "__dict__", {}).items()):
            if callable(value):
                found.setdefault(id(value), []).append((module, name))
    return found


FRAMEWORKS = ("torch", "keras", "transformers", "tokenizers")


def resolve(path):
    """The module, or the attribute of one, at a dotted path; None where there is none."""
    try:
        return import_module(path)
    except ImportError:
        parent, _, name = path.rpartition(".")
        return getattr(resolve(parent), name, None) if parent else None


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3].split(",") if sys.argv[3] else [])
