"""BIO labels: what they may look like, the names they mark, and how they come to stand on WordPiece pieces."""

from typing import NamedTuple

import numpy as np

from coursekit.shapes import expect
from coursekit.text import Batch, pad

TYPES = ("PER", "ORG", "LOC")
LABELS = ("O", *(f"{place}-{type}" for type in TYPES for place in "BI"))
IGNORED = -100  # the target that PyTorch's cross_entropy leaves out


class Span(NamedTuple):
    """A name: the words from start up to, but without, end; type: "PER", "ORG" or "LOC"."""

    type: str
    start: int
    end: int


class Aligned(NamedTuple):
    """A sentence as the model reads it, one entry per token.

    targets: the place in `LABELS` of a word's label at its first piece, `IGNORED` at its other pieces and at [CLS] and
    [SEP]; words: which word the token is from, None for [CLS] and [SEP].
    """

    ids: list
    targets: list
    words: list


def spans(labels):
    """The names that BIO labels mark: a list of `Span(type, start, end)`.

    B-X begins a name of type X, I-X continues one, O is outside. Raises ValueError for a label that is none of `LABELS`
    and for an I-X that follows neither B-X nor I-X. A model's output may well be such a sequence: score it with a
    library that says how it repairs it. Source: Ramshaw and Marcus 1995; Tjong Kim Sang and De Meulder 2003.
    """
    found, before = [], None
    for place, label in enumerate(labels):
        if label not in LABELS:
            raise ValueError(f"label {place} is {label!r}, expected one of {', '.join(LABELS)}")
        inside, _, type = label.partition("-")
        if inside == "I" and (before is None or before == "O" or before[2:] != type):
            came = f"after {before}" if before else "at the start"
            raise ValueError(f"label {place} is {label} {came}, expected I-{type} only after B-{type} or I-{type}")
        if inside == "B":
            found.append(Span(type, place, place + 1))
        elif inside == "I":
            found[-1] = found[-1]._replace(end=place + 1)
        before = label
    return found


def align(tokenizer, words, labels, max_length=None):
    """The `Aligned` pieces of words with one BIO label each.

    tokenizer: a `coursekit.text.WordPiece`. The first piece of a word carries the word's label, its other pieces are
    ignored, so that every word is judged once. What lies beyond max_length tokens ([CLS] and [SEP] included) is cut
    off: `words` of the result says which words are left. Raises ValueError for words and labels of different number,
    for labels that cannot be (see `spans`), and for a max_length without room for the special tokens.
    """
    expect("labels", (len(labels),), length=(len(words), "words"))
    spans(labels)
    if max_length is not None and max_length < 2:
        raise ValueError(f"max_length is {max_length}, expected at least 2 for the special tokens")
    ids, targets, places = [], [], []
    for place, (word, label) in enumerate(zip(words, labels)):
        pieces = [tokenizer.vocabulary.id(token) for token, _ in tokenizer.tokenize(word)]
        ids += pieces
        targets += [LABELS.index(label)] * bool(pieces) + [IGNORED] * (len(pieces) - 1)
        places += [place] * len(pieces)
    room = None if max_length is None else max_length - 2
    first, last = tokenizer.special_ids["[CLS]"], tokenizer.special_ids["[SEP]"]
    return Aligned([first, *ids[:room], last], [IGNORED, *targets[:room], IGNORED], [None, *places[:room], None])


def align_batch(tokenizer, sentences, max_length=None):
    """Sentences (with words and labels) as `(Batch, targets)`, padded: targets (batch, length), `IGNORED` at padding.

    Arguments and errors as in `align`.
    """
    rows = [align(tokenizer, sentence.words, sentence.labels, max_length) for sentence in sentences]
    ids = pad([row.ids for row in rows], tokenizer.special_ids["[PAD]"])
    mask = pad([[True] * len(row.ids) for row in rows], False)
    return Batch(ids, np.zeros_like(ids), mask), pad([row.targets for row in rows], IGNORED)
