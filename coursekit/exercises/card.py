"""Cards: what a check, a hint or the progress shows, as text and as HTML that says the same."""

import sys
from dataclasses import dataclass, field
from html import escape
from textwrap import indent

import numpy as np

# A mark and a word say how it went; the colour, readable on white and on black, only repeats it.
MARKS = {
    "passed": ("✓", "Passed", "#1a7f5a"), "failed": ("✗", "Not yet", "#b3541e"),
    "missing": ("!", "Nothing to check", "#b3541e"), "not attempted": ("–", "Not attempted", "#808080"),
    "note": ("i", "", "#4a78b5"),
}


class Block(str):
    """A part of a card that keeps its line breaks and is set in a fixed-width font."""


@dataclass
class Card:
    """A heading, how it went, and the body: paragraphs, which are texts, and Blocks."""

    kind: str
    title: str
    summary: str = ""
    body: list = field(default_factory=list)

    def text(self):
        mark, word, _ = MARKS[self.kind]
        head = ", ".join(filter(None, (f"[{mark}] {self.title}" + (f": {word.lower()}" if word else ""), self.summary)))
        return "\n".join([head, *(indent(part, "    ") if isinstance(part, Block) else part for part in self.body)])

    def html(self):
        mark, word, colour = MARKS[self.kind]
        if self.kind == "not attempted":
            return f'<div style="color:{colour}">{escape(self.text())}</div>'
        head = ", ".join(escape(part) for part in (word, self.summary) if part)
        coloured = f'<span aria-hidden="true" style="color:{colour}">{mark}</span>'
        body = [f"<div><strong>{coloured} {escape(self.title)}</strong>" + (f" · {head}" if head else "") + "</div>"]
        for part in self.body:
            tag, wrap = ("pre", ";white-space:pre-wrap") if isinstance(part, Block) else ("p", "")
            body.append(f'<{tag} style="margin:0.4em 0{wrap}">{escape(part)}</{tag}>')
        return f'<div style="border-left:4px solid {colour};padding:0.3em 0.8em">{"".join(body)}</div>'


def show(text, rich):
    """Display in a notebook `rich`, a dictionary of MIME types, with the text beside it; elsewhere print the text."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is None:
        # A Windows console may lack a character; a question mark is better than an error.
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        print(text.encode(encoding, "replace").decode(encoding))
        return
    from IPython.display import display

    display({"text/plain": text, **rich}, raw=True)


def show_card(card):
    show(card.text(), {"text/html": card.html()})


def verdict_card(task, verdict, solved=""):
    """The card of a check. `solved` is said when it passed."""
    title, total, good = f"{task.id} {task.title}", len(verdict.passed), sum(verdict.passed)
    cases = f"{good} of {total} cases" if total > 1 else ""
    if verdict.status == "not attempted":
        return Card("not attempted", title, f"about {task.minutes} minutes, {points(task)}")
    if verdict.status == "missing":
        advice = f"There is no {task.name} in this notebook. Run the cell that defines {task.signature}."
        return Card("missing", title, "", [advice])
    if verdict.status == "passed":
        return Card("passed", title, ", ".join(filter(None, (cases, points(task)))), [solved] if solved else [])
    card = Card("failed", title, cases and f"{cases} pass")
    if verdict.mistake:
        named = f'Option "{verdict.mistake}"' if task.options else f"The mistake looks like this one: {verdict.mistake}"
        card.body.append(f"{named}. {verdict.text}")
    elif verdict.outcome.status == "raised":
        card.body.append("Your code raised an exception.")
        card.body.append(Block(verdict.text))
    else:
        card.body.append(verdict.text)
    if task.kind in ("function", "class"):
        card.body.append(f"The smallest failing case{sizes_of(verdict.question)}")
        card.body.append(Block(describe_case(task, verdict)))
    if verdict.outcome.printed:
        card.body.append(f"It printed {verdict.outcome.printed_length:,} characters, beginning with:")
        card.body.append(Block(verdict.outcome.printed[:200]))
    return card


def points(task):
    return f"{task.points} point{'s' if task.points != 1 else ''}"


def sizes_of(question):
    sizes = ", ".join(f"{name} {value}" for name, value in question.sizes.items())
    return f", {sizes}:" if sizes else ":"


def describe_case(task, verdict):
    case = verdict.question.case
    lines = [f"{name} = {short(value)}" for name, value in {**case.init, **case.inputs}.items()]
    lines += [f"{name} {shape(array)}" for name, array in case.weights.items()]
    if verdict.outcome.status == "answered":
        lines.append(f"yours    = {short(verdict.outcome.answer)}")
        lines.append(f"expected = {short(verdict.question.expected)}")
    return "\n".join(lines)


def short(value):
    """A value on one line: an array by its shape, with the values where they are few."""
    if isinstance(value, tuple):
        return "(" + ", ".join(short(part) for part in value) + ")"
    if not isinstance(value, np.ndarray):
        return repr(value)
    few = np.array2string(value, precision=4, suppress_small=True, separator=", ", max_line_width=1000)
    return few if not value.ndim else shape(value) + (f" {' '.join(few.split())}" if value.size <= 12 else "")


def shape(array):
    return f"{array.shape} {array.dtype}"
