"""The questions: made from facts, or written by hand; stored in data/questions, read by `questions`."""

import re
import tomllib
from random import Random
from typing import NamedTuple

from coursekit.datasets import data_folder
from coursekit.datasets.questions.story import Teller
from coursekit.files import replace_file
from coursekit.shapes import expect_choice

SPLITS = ("train", "validation", "test_seen", "test_unseen", "two_people_train", "two_people", "written")
COLUMNS = ("paragraph", "question", "answer", "start")
# Paragraphs of a split, whose names are in it, and whether it is about two people.
MADE = {"train": (1200, "seen", False), "validation": (100, "seen", False), "test_seen": (150, "seen", False),
        "test_unseen": (150, "unseen", False), "two_people_train": (600, "seen", True),
        "two_people": (150, "unseen", True)}
SEED = 12


class Question(NamedTuple):
    """A question about a paragraph. answer: a piece of the paragraph, start: the place of its first character.

    Where the paragraph does not say, answer is "" and start is -1.
    """

    paragraph: str
    question: str
    answer: str
    start: int


def check(record, name="record"):
    """Raise `ValueError` unless a `Question` has its answer in its paragraph, at its start; name says which it is."""
    paragraph, question, answer, start = record
    for part, text in (("paragraph", paragraph), ("question", question)):
        if not text.strip():
            raise ValueError(f"{name} has an empty {part}")
    if not answer:
        if start != -1:
            raise ValueError(f"{name} has no answer but start {start}, expected -1 for an unanswerable question")
    elif start < 0 or paragraph[start:start + len(answer)] != answer:
        found = paragraph.find(answer)
        where = f"it is at {found}" if found >= 0 else "it is nowhere in the paragraph"
        raise ValueError(f"{name} ({question!r}) has the answer {answer!r} at start {start}, where the paragraph has "
                         f"{paragraph[start:start + len(answer)] if start >= 0 else ''!r}: {where}")


def read(name):
    return (data_folder() / "questions" / name).read_text(encoding="utf-8")


def written():
    """The questions by hand, from written.txt."""
    made, paragraph, question = [], "", ""
    for line in read("written.txt").splitlines():
        if line.startswith("Q: "):
            question = line[3:]
        elif line.startswith("A:"):
            answer, _, which = line[2:].strip().partition(" @ ")
            places = [found.start() for found in re.finditer(rf"\b{re.escape(answer)}(?!\w)", paragraph)]
            if answer and len(places) < int(which or 1):
                raise ValueError(f"written.txt: {answer!r}, the answer to {question!r}, is not in its paragraph")
            made.append(Question(paragraph, question, answer, places[int(which or 1) - 1] if answer else -1))
        elif line and not line.startswith("#"):
            paragraph = line
    return made


def generate():
    """The questions of every split, a dictionary, made anew; the same questions every time."""
    names, values = tomllib.loads(read("names.toml")), tomllib.loads(read("values.toml"))
    random, seen, splits = Random(SEED), set(), {"written": written()}
    for split, (paragraphs, pool, two_people) in MADE.items():
        teller = Teller(read("facts.txt"), names[pool] | values, random)
        splits[split] = []
        for _ in range(paragraphs):
            paragraph, asked = teller.two_people() if two_people else teller.one()
            if paragraph not in seen:
                seen.add(paragraph)
                splits[split] += [Question(paragraph, *each) for each in asked]
        random.shuffle(splits[split])
    return {split: splits[split] for split in SPLITS}


def write():
    """Write the files that `questions` reads."""
    for name, records in generate().items():
        rows = ["\t".join(map(str, record)) for record in records]
        replace_file(path(name), "\n".join(("\t".join(COLUMNS), *rows)) + "\n")


def path(split):
    return data_folder() / "questions" / f"{split}.tsv"


def questions(split="train"):
    """The questions of a split: a list of `Question(paragraph, question, answer, start)`, as in SQuAD 2.0.

    split: "train", "validation", "test_seen" (names of training), "test_unseen" (people, towns and firms that training
    does not have), "two_people_train" and "two_people" (paragraphs in which the facts of two people are mixed; the
    second with unseen names), or "written" (by hand). Raises ValueError for another split, and for an answer that is
    not in its paragraph at its start (file and line are named). Source of the form: Rajpurkar et al. 2016 and 2018.
    """
    expect_choice("split", split, SPLITS)
    return read_tsv(path(split))


def read_tsv(path):
    """The questions of a file of `COLUMNS`, as `questions` gives them; errors as there."""
    records = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()[1:], 2):
        name, columns = f"{path.name}, line {number}", line.split("\t")
        if len(columns) != len(COLUMNS):
            raise ValueError(f"{name} has {len(columns)} columns, expected {', '.join(COLUMNS)}")
        if not re.fullmatch(r"-?\d+", columns[3]):
            raise ValueError(f"{name} has start {columns[3]!r}, expected a whole number")
        records.append(Question(*columns[:3], int(columns[3])))
        check(records[-1], name)
    return records
