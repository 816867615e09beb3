"""The corpus: made by the grammar, stored in data/translation, read by `translation`."""

from collections import Counter
from random import Random
from typing import NamedTuple

from coursekit.datasets import data_folder
from coursekit.datasets.translation import draw, english, french, russian
from coursekit.datasets.translation.tokens import LANGUAGES, detokenize
from coursekit.files import replace_file
from coursekit.shapes import expect_choice

SPLITS = ("train", "validation", "test", "held_out")
COLUMNS = ("english", "russian", "french", "construction", "russian_alignment", "french_alignment")
EACH = 500  # sentences of a construction
N_TEST, N_VALIDATION, N_HELD_OUT = 800, 400, 200
LEAST = 12  # how many training sentences have every word of the other splits, in each language
SEED = 3


class Pair(NamedTuple):
    """alignment: list of (place of an English token, place of a token of the translation), from the grammar."""

    english: str
    other: str
    construction: str
    alignment: list


class Row(NamedTuple):
    """A sentence in English, Russian and French. alignments: English to Russian, English to French."""

    construction: str
    sentences: tuple
    tokens: tuple
    alignments: tuple

    @property
    def words(self):
        return {(language, token) for language, tokens in zip(LANGUAGES, self.tokens) for token in tokens}

    def line(self):
        alignments = (" ".join(f"{i}-{j}" for i, j in alignment) for alignment in self.alignments)
        return "\t".join((*self.sentences, self.construction, *alignments))


def make_row(construction, sentence):
    """The row of a sentence in its three languages; words with a common tag are aligned."""
    spoken = [language.smooth(words) for language, words in zip((english, russian, french), sentence)]
    tokens = tuple(tuple(word.form for word in words) for words in spoken)
    alignments = tuple([(i, j) for i, word in enumerate(spoken[0]) for j, other in enumerate(translated)
                        if word.tags & other.tags] for translated in spoken[1:])
    return Row(construction.__name__, tuple(map(detokenize, tokens, LANGUAGES)), tokens, alignments)


def generate():
    """The rows of every split, a dictionary, made anew; the same rows every time."""
    drawing = draw.Draw(Random(SEED))
    source = [make_row(*sentence) for sentence in draw.source_sentences()]
    seen = {sentence for row in source for sentence in row.sentences}

    def new_row(construction, suits=lambda row: True):
        """A row that suits, no sentence of which there was before in any language."""
        while True:
            row = make_row(construction, construction(drawing))
            if seen.isdisjoint(row.sentences) and suits(row):
                seen.update(row.sentences)
                return row

    rows = [new_row(construction) for construction in draw.CONSTRUCTIONS for _ in range(EACH)]
    drawing.random.shuffle(rows)
    splits = split(source, rows)
    counts = Counter(word for row in splits["train"] for word in row.words)
    known = {word for word, count in counts.items() if count >= LEAST}
    held_out = [new_row(draw.HELD_OUT, lambda row: row.words <= known) for _ in range(N_HELD_OUT)]
    return splits | {"held_out": held_out}


def split(source, rows):
    """Source sentences and the first rows to test and validation, if training keeps their words often enough."""
    counts = Counter(word for row in rows for word in row.words)
    splits = {"train": [], "validation": [], "test": list(source)}
    for row in rows:
        name = "train"
        if all(counts[word] > LEAST for word in row.words):
            name = ("test" if len(splits["test"]) < N_TEST else
                    "validation" if len(splits["validation"]) < N_VALIDATION else "train")
        if name != "train":
            counts.subtract(row.words)
        splits[name].append(row)
    return splits


def write():
    """Write the files that `translation` reads."""
    for name, rows in generate().items():
        replace_file(path(name), "\n".join(("\t".join(COLUMNS), *(row.line() for row in rows))) + "\n")


def path(split):
    return data_folder() / "translation" / f"{split}.tsv"


def translation(language="ru", split="train"):
    """The pairs of a split: a list of `Pair(english, other, construction, alignment)`.

    language: "ru" or "fr"; split: "train", "validation", "test" (combinations of words that training never shows) or
    "held_out" (a construction that training never shows). Raises ValueError for another language or split.
    """
    expect_choice("language", language, LANGUAGES[1:])
    expect_choice("split", split, SPLITS)
    pairs = []
    for line in path(split).read_text(encoding="utf-8").splitlines()[1:]:
        en, ru, fr, construction, to_russian, to_french = line.split("\t")
        other, alignment = (ru, to_russian) if language == "ru" else (fr, to_french)
        pairs.append(Pair(en, other, construction,
                          [tuple(map(int, link.split("-"))) for link in alignment.split(" ")]))
    return pairs
