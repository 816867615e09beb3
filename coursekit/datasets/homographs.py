"""Homographs: words with two senses, six sentences for each, and for every sense a word that is near to it."""

import csv
from typing import NamedTuple

from coursekit.datasets import data_folder


class Use(NamedTuple):
    """A word in a sentence. sense: which of its two; near: another word for that sense; start, end: where the word
    stands in the sentence, as in sentence[start:end]."""

    word: str
    sense: str
    near: str
    sentence: str
    start: int
    end: int


def homographs():
    """All uses, a list of `Use`, by word and sense: 20 words, 2 senses each, 6 sentences of each sense."""
    with open(data_folder() / "homographs" / "homographs.tsv", encoding="utf-8", newline="") as table:
        rows = list(csv.DictReader(table, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [Use(**row, start=(start := _place(row)), end=start + len(row["word"])) for row in rows]


def _place(row):
    """Where the word begins: as a word of its own, not inside another one."""
    padded = "".join(character if character.isalpha() else " " for character in f" {row['sentence']} ")
    return padded.index(f" {row['word']} ")
