"""The sentences: made from templates and names, or written by hand; stored in data/entities, read by `entities`."""

import re
import tomllib
from random import Random
from typing import NamedTuple

from coursekit.datasets import data_folder
from coursekit.datasets.entities.labels import spans
from coursekit.files import replace_file
from coursekit.shapes import expect_choice

SPLITS = ("train", "validation", "test_seen", "test_unseen", "test_written")
# Sentences of a split, those by hand included, and where its names come from.
MADE = {"train": (1600, "seen"), "validation": (200, "validation"), "test_seen": (300, "seen"),
        "test_unseen": (300, "unseen")}
SEED = 12
AMBIGUOUS = 0.2  # how often a name is one that can be of more than one type, where there is one
MARKED = re.compile(r"\[(PER|ORG|LOC) ([^\]]+)\]")
WORD = re.compile(r"\d+(?:[.,:]\d+)*|'s\b|\w+(?:-\w+)*(?:'(?!s\b)\w+)*|[^\w\s]")
# Organisations that are called after people and places.
CALLED_AFTER = {"last": ("{} & Sons", "{} Brothers", "{} Foundation", "{} Motors", "{} Hospital"),
                "place": ("University of {}", "Bank of {}", "{} City Council", "{} Museum", "{} Airport")}
NAMES = ("per", "surname", "loc", "org", "club")  # the slots of a template that a name fills
CLUBS = ("{}", "{}", "{} United", "{} Rovers", "{} City")


class Sentence(NamedTuple):
    """A sentence's words and as many BIO labels, both lists of strings."""

    words: list
    labels: list


def read(name):
    return (data_folder() / "entities" / name).read_text(encoding="utf-8")


def lines(name):
    return [line for line in read(name).splitlines() if line and not line.startswith("#")]


def marked(text):
    """The `Sentence` of text in which a name stands as [PER Maria Lopez]. Words and punctuation marks are cut apart."""
    words, labels, end = [], [], 0
    for name in [*MARKED.finditer(text), None]:
        outside = WORD.findall(text[end:name.start()] if name else text[end:])
        words, labels = words + outside, labels + ["O"] * len(outside)
        if name:
            inside = WORD.findall(name[2])
            if inside[0].lower() == "the":  # an article is no part of a name
                words, labels, inside = [*words, inside[0]], [*labels, "O"], inside[1:]
            words, labels = words + inside, labels + [f"B-{name[1]}"] + [f"I-{name[1]}"] * (len(inside) - 1)
            end = name.end()
    return Sentence(words, labels)


def bare(name):
    return name.removeprefix("the ")


class Names:
    """The names of one list of names.toml; draws one for a slot of a template."""

    def __init__(self, lists, random):
        self.random = random
        self.lists = {kind: [name.strip() for name in (text.split("|") if "|" in text else text.split())]
                      for kind, text in lists.items()}

    def one(self, kind):
        """A name of a kind, more often than others one that another kind has too."""
        other = {"first": ("place", "organisation"), "last": ("place", "organisation"),
                 "place": ("first", "last", "organisation"), "organisation": ("first", "last", "place")}[kind]
        both = [name for name in self.lists[kind] if any(bare(name) in self.lists[each] for each in other)]
        return self.random.choice(both if self.random.random() < AMBIGUOUS else self.lists[kind])

    def per(self):
        form = self.random.random()
        first, last = self.one("first"), self.one("last")
        return f"[PER {first if form < 0.3 else last if form < 0.45 else f'{first} {last}'}]"

    def surname(self):
        return f"[PER {self.one('last')}]"

    def loc(self):
        return f"[LOC {self.one('place')}]"

    def org(self):
        if self.random.random() < 0.7:
            return f"[ORG {self.one('organisation')}]"
        kind = self.random.choice(list(CALLED_AFTER))
        form, name = self.random.choice(CALLED_AFTER[kind]), self.town() if kind == "place" else self.one(kind)
        return f"[ORG {form.format(name)}]"

    def town(self):
        """A place of one word."""
        while " " in (name := self.one("place")):
            pass
        return name

    def club(self):
        return f"[ORG {self.random.choice(CLUBS).format(self.town())}]"


def fill(template, names, words, random):
    """A sentence from a template: one of every (a|b), a name or a word for every {slot}."""
    text = re.sub(r"\(([^()]*\|[^()]*)\)", lambda choice: random.choice(choice[1].split("|")), template)

    def slot(found):
        name = found[1]
        return getattr(names, name)() if name in NAMES else random.choice(words[name])

    return re.sub(r"\{(\w+)\}", slot, text)


def generate():
    """The sentences of every split, a dictionary, made anew; the same sentences every time."""
    templates = lines("templates.txt")
    words = {name: text.split(" | ") for name, text in tomllib.loads(read("words.toml")).items()}
    lists, random = tomllib.loads(read("names.toml")), Random(SEED)
    splits = {"test_written": [marked(line) for line in lines("written_test.txt")]}
    by_hand = [marked(line) for line in lines("written_train.txt")]
    seen = {tuple(sentence.words) for sentence in (*splits["test_written"], *by_hand)}
    for split, (number, names) in MADE.items():
        drawn = Names(lists[names], random)
        made = list(by_hand) if split == "train" else []
        while len(made) < number:
            template = templates[len(made) % len(templates)]
            sentence = marked(fill(template, drawn, words, random))
            sentence.words[0] = sentence.words[0][0].upper() + sentence.words[0][1:]
            if tuple(sentence.words) not in seen:
                seen.add(tuple(sentence.words))
                made.append(sentence)
        random.shuffle(made)
        splits[split] = made
    return {split: splits[split] for split in SPLITS}


def conll(sentences):
    """The text of sentences in two columns: word, label; an empty line after every sentence."""
    return "".join("".join(f"{word} {label}\n" for word, label in zip(*sentence)) + "\n" for sentence in sentences)


def write():
    """Write the files that `entities` reads."""
    for name, sentences in generate().items():
        replace_file(path(name), conll(sentences))


def path(split):
    return data_folder() / "entities" / f"{split}.conll"


def entities(split="train"):
    """The sentences of a split: a list of `Sentence(words, labels)`.

    split: "train", "validation" (names of its own), "test_seen" (the names and templates of training), "test_unseen"
    (no name of training) or "test_written" (sentences by hand, in constructions of their own). Raises ValueError for
    another split, and for a file with a line that is not a word and a label, or with labels that cannot be (file and
    line are named).
    """
    expect_choice("split", split, SPLITS)
    return read_conll(path(split))


def read_conll(path):
    """The sentences of a file in two columns, as `entities` gives them; errors as there."""
    sentences, words, labels = [], [], []
    for number, line in enumerate([*path.read_text(encoding="utf-8").splitlines(), ""], 1):
        if line.strip():
            columns = line.split()
            if len(columns) != 2:
                raise ValueError(f"{path.name}, line {number} has {len(columns)} columns, expected a word and a label")
            words.append(columns[0])
            labels.append(columns[1])
        elif words:
            try:
                spans(labels)
            except ValueError as error:
                raise ValueError(f"{path.name}, sentence from line {number - len(words)}: {error}") from None
            sentences.append(Sentence(words, labels))
            words, labels = [], []
    return sentences
