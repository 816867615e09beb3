"""What a learner calls: check, hint and solution."""

import ast
import linecache
import sys
from types import FunctionType, ModuleType

from coursekit.exercises import library, progress
from coursekit.exercises.call import describe
from coursekit.exercises.card import Card, show, show_card, verdict_card
from coursekit.exercises.exercise import examine
from coursekit.exercises.guards import learners_code_runs

# The names that notebooks give to modules.
MODULES = ("np", "numpy", "torch", "nn", "F", "tf", "keras", "ops", "math", "coursekit")


def check(id, obj=None):
    """Check the exercise `id` and show a card: passed, or which mistake it is, or what differs first.

    The learner's object is the one of the exercise's name in the notebook or script that calls; `obj` is checked
    instead if it is given. Raises ValueError for an unknown exercise, and nothing else, whatever the learner's code
    does.
    """
    exercise = library.find(id)
    if learners_code_runs.get():
        print(f'check("{id}") is called inside the code that it checks. Move it out of there, to the left margin.')
        return
    frame = sys._getframe(1)
    namespace = frame.f_globals
    if frame.f_locals is not namespace:  # called in a function, which has names of its own
        namespace = {**namespace, **frame.f_locals}
    if obj is not None:
        namespace = {**namespace, exercise.task.name: obj}
    verdict = examine(exercise, namespace)
    card = verdict_card(exercise.task, verdict, solved_text(exercise))
    if verdict.status == "failed":
        card.body += notes(exercise.task, namespace)
        card.body.append(f'Stuck? coursekit.hint("{id}")')
    if verdict.status in ("passed", "failed"):
        already = progress.load().get(id, {}).get("passed", False)
        progress.update(id, passed=already or verdict.status == "passed")
    show_card(card)


def solved_text(exercise):
    """What a passed card adds: for a choice, why the right option is right."""
    if exercise.task.kind != "choice":
        return ""
    return exercise.task.options[exercise.questions()[0].expected][1]


def notes(task, namespace):
    """What in the notebook may mislead: a module's name that holds something else, a name defined twice in one cell."""
    found = [f"Note: in this notebook, {name} is {describe(namespace[name])}, not a module. It was assigned "
             "somewhere; import it again."
             for name in MODULES if name in namespace and not isinstance(namespace[name], ModuleType)]
    lines = [node.lineno for node in definitions(namespace.get(task.name)) if node.name == task.name]
    if len(lines) > 1:
        found.append(f"Note: {task.name} is defined {len(lines)} times (lines {', '.join(map(str, lines))}); "
                     "the last one counts.")
    return found


def definitions(found):
    """The functions and classes that are defined beside this one, in its cell or script."""
    members = vars(found).values() if isinstance(found, type) else [found]
    code = next((member.__code__ for member in members if isinstance(member, FunctionType)), None)
    try:
        body = ast.parse("".join(linecache.getlines(code.co_filename))).body if code else []
    except SyntaxError:  # a cell with a magic command
        body = []
    return [node for node in body if isinstance(node, (ast.FunctionDef, ast.ClassDef))]


def hint(id):
    """Show the next hint of the exercise `id`; after the last, say so. Raises ValueError for an unknown exercise."""
    task = library.find(id).task
    shown = progress.load().get(id, {}).get("hints", 0)
    if shown >= len(task.hints):
        worked = f'The worked solution: coursekit.solution("{id}")'
        show_card(Card("note", f"{id} {task.title}", "no further hints", [worked]))
        return
    progress.update(id, hints=shown + 1)
    show_card(Card("note", f"{id} {task.title}", f"hint {shown + 1} of {len(task.hints)}", [task.hints[shown]]))


def solution(id):
    """Show the worked solution of the exercise `id` and why it is right. Raises ValueError for an unknown exercise."""
    exercise = library.find(id)
    if not exercise.solution:
        show_card(Card("note", f"{id} {exercise.task.title}", "", ["This copy of the course comes without solutions."]))
        return
    text = f"{exercise.solution.rstrip()}\n\n{exercise.explanation}"
    show(text, {"text/markdown": f"```python\n{exercise.solution.rstrip()}\n```\n\n{exercise.explanation}"})
