"""An exercise is data: a reference, a way to draw inputs, and the misconceptions, each a small wrong implementation.

The learner's definition has the reference's name and signature; its starter is the reference without the body, and the
worked solution is the reference itself. A misconception is called what its function is called, and its docstring is the
hint. So an exercise is written as

    task = Exercise("02.context_vector", "The context vector", ...)

    @task.reference
    def context_vector(weights, values): ...

    @task.draw
    def draw(rng, batch, length, units): ...

    @task.misconception
    def plain_mean(weights, values): ...
"""

import ast
import inspect
import textwrap
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from types import ModuleType

import numpy as np

from coursekit.exercises.call import Case, call
from coursekit.exercises.compare import Question, judge, tolerance

KNOWN = {}  # every Exercise that was defined, by id


@dataclass(frozen=True)
class Task:
    """What a learner may see of an exercise: text and numbers, no solution. It travels as JSON."""

    id: str
    title: str
    kind: str
    name: str
    signature: str
    difficulty: int
    minutes: int
    points: int
    text: str
    starter: str
    hints: tuple
    mistakes: dict
    returns: dict
    framework: str
    withhold: tuple
    seconds: float
    goal: float
    limit: float
    symptoms: tuple
    options: dict


@dataclass(eq=False, repr=False)
class Exercise:
    """One exercise of a lecture.

    id: "02.context_vector", lecture and name. text: what is asked, in Markdown. difficulty: 1 to 5. hints: from gentle
    to almost the answer. explanation: why the solution is what it is. kind: "function", "class" (an nn.Module or Keras
    layer), "number", "choice" or "predictor" (trained, and judged on fresh data). sizes: the arguments of `draw` for
    each case. returns: the names of what comes back with their axes. framework: what a function receives, "numpy"
    arrays or "torch" tensors. withhold: importable names that would give the answer away. seconds: time limit of a
    check. goal, limit, symptoms: of a predictor, the share of tokens asked for, the longest training in seconds, and
    what accuracies below a bound mean. options: of a choice, letter → (text, why it is wrong or right).
    equivalent: mutants of the reference that are no different, with the proof. starter, solution: where they are not
    the reference without and with its body.
    """

    id: str
    title: str
    text: str
    difficulty: int
    minutes: int
    points: int
    hints: tuple
    explanation: str
    kind: str = "function"
    sizes: tuple = ({},)
    returns: dict = field(default_factory=dict)
    framework: str = "numpy"
    withhold: tuple = ()
    seconds: float = 5
    goal: float = None
    limit: float = None
    symptoms: tuple = ()
    options: dict = field(default_factory=dict)
    signature: str = ""
    starter: str = ""
    solution: str = ""
    equivalent: dict = field(default_factory=dict)

    def __post_init__(self):
        if self.id in KNOWN:
            raise ValueError(f"exercise {self.id} is defined twice")
        KNOWN[self.id] = self
        self.right, self.wrong = None, {}
        self.inputs_of = dict  # without a draw, there is one case without inputs

    # The three decorators of an author.

    def reference(self, definition):
        self.right = definition
        self.source = source_of(definition)
        self.solution = self.solution or self.source
        self.signature = self.signature or signature_of(self.kind, definition)
        self.starter = self.starter or starter_of(self.kind, definition, self.source)
        for letter in self.options:
            if letter != definition():
                self.wrong[letter] = lambda letter=letter: letter
        return definition

    def draw(self, function):
        self.inputs_of = function
        return function

    def misconception(self, definition):
        if not definition.__doc__:
            raise ValueError(f"misconception {definition.__name__} of {self.id} has no docstring, which is its hint")
        self.wrong[definition.__name__.replace("_", " ")] = definition
        return definition

    # What a check needs.

    @cached_property
    def task(self):
        mistakes = {name: self.options[name][1] if self.options else " ".join(definition.__doc__.split())
                    for name, definition in self.wrong.items()}
        return Task(name=self.right.__name__, mistakes=mistakes, **{
            name: getattr(self, name) for name in Task.__dataclass_fields__ if name not in ("name", "mistakes")})

    @lru_cache(maxsize=64)
    def questions(self, seed=0):
        """The cases of one seed with the right answer and every mistaken one, smallest first."""
        rng = np.random.default_rng([seed, *self.id.encode()])
        questions = []
        for index, sizes in enumerate(self.sizes):
            drawn = self.inputs_of(rng, **sizes) if sizes else self.inputs_of()
            drawn = drawn if isinstance(drawn, Case) else Case(drawn)
            # NumPy code gets both precisions; torch and Keras get their default, float32.
            single = index % 2 == 0 or self.framework == "torch" or self.kind == "class"
            case = drawn.map(lambda array: array.astype(np.float32 if single else np.float64))
            exact = case.map(lambda array: array.astype(np.float64))
            expected = self.answer(exact)
            mistaken = {name: self.ask(definition, exact) for name, definition in self.wrong.items()}
            questions.append(Question(case, sizes, expected, tolerance(self.answer, exact, expected), mistaken))
        return sorted(questions, key=lambda question: question.case.size())

    def answer(self, case):
        """The reference's answer; an error in the reference is the author's to see."""
        outcome = self.ask(self.right, case)
        if outcome.status != "answered":
            raise ValueError(f"the reference of {self.id} gave no answer ({outcome.status}): {outcome.message}")
        return outcome.answer

    def ask(self, definition, case):
        return call(self.namespace(definition), self.task, case)

    def namespace(self, definition):
        """A notebook in which `definition` is the learner's answer. Numbers and choices are written as functions that
        give the value, so that the source shows where it comes from."""
        if self.kind in ("number", "choice"):
            return {self.task.name: definition()}
        return {self.task.name: (definition, 0.0) if self.limit else definition}


def examine(exercise, namespace, seed=0):
    """Ask every case of a seed, then judge: the Verdict on what `namespace` defines."""
    questions, outcomes = exercise.questions(seed), []
    for question in questions:
        outcomes.append(call(namespace, exercise.task, question.case))
        if outcomes[-1].status in ("missing", "timed out", "interrupted"):
            outcomes += [outcomes[-1]] * (len(questions) - len(outcomes))  # no need to wait in every case
            break
    return judge(exercise.task, questions, outcomes)


def source_of(definition):
    """The definition as a learner would write it: without decorators, after the imports that it uses."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(definition)))
    lines = textwrap.dedent(inspect.getsource(definition)).splitlines()
    source = "\n".join(lines[tree.body[0].lineno - 1:]) + "\n"
    return imports_of(tree, inspect.getmodule(definition)) + source


def imports_of(tree, module):
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    found = [(name, value.__name__) for name, value in vars(module).items()
             if name in used and isinstance(value, ModuleType)]
    lines = [f"import {path}" if path == name else f"import {path} as {name}" for name, path in sorted(found)]
    return "\n".join(lines) + "\n\n\n" if lines else ""


def signature_of(kind, definition):
    if kind in ("function", "class"):
        parameters = inspect.signature(definition).parameters.values()
        return f"{definition.__name__}({', '.join(str(parameter) for parameter in parameters)})"
    return definition.__name__


def starter_of(kind, definition, source):
    """The reference with its bodies replaced by `...`, docstrings and calls of super().__init__ kept."""
    if kind in ("number", "choice"):
        return f"{definition.__name__} = ...\n"
    tree = ast.parse(source)
    lines, kept = source.splitlines(), []
    top = tree.body[-1]
    position = 0
    functions = [node for node in top.body if isinstance(node, ast.FunctionDef)] if kind == "class" else [top]
    for function in functions:
        body = [node for node in function.body if ast.get_docstring(function) and node is function.body[0]
                or "super().__init__" in ast.unparse(node)]
        start = body[-1].end_lineno if body else function.body[0].lineno - 1
        kept += lines[position:start] + [" " * function.body[0].col_offset + "..."]
        position = function.end_lineno
    return "\n".join(kept + lines[position:]) + "\n"
