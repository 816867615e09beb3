"""Extractive question answering: windows of a long paragraph, spans of tokens and characters, and SQuAD's metrics.

Sources: Rajpurkar et al. 2016 (SQuAD 1.1: exact match, F1) and Rajpurkar et al. 2018 (SQuAD 2.0: unanswerable
questions), with their published evaluation scripts; Devlin et al. 2019, section 4.2 and 4.3 (spans, windows, [CLS] for
no answer). Arrays are NumPy's, so that both frameworks can use them.
"""

import re
import string
from collections import Counter
from typing import NamedTuple

import numpy as np

from coursekit.shapes import expect, expect_at_least
from coursekit.text import Batch, pad

PUNCTUATION = str.maketrans("", "", string.punctuation)
ARTICLES = re.compile(r"\b(a|an|the)\b")


def normalise(text):
    """Text as SQuAD compares it: lower case, without ASCII punctuation and a, an, the; single spaces."""
    return " ".join(ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split())


def exact(prediction, answers):
    """1.0 if a prediction equals one of the answers, both normalised, else 0.0.

    prediction: a string, "" for no answer; answers: list of strings, or one string; "" or an empty list for an
    unanswerable question.
    """
    return float(max(normalise(prediction) == normalise(answer) for answer in _each(answers)))


def f1(prediction, answers):
    """The F1 of the tokens (words, with their number) of a prediction and an answer; the best over the answers.

        F1 = 2 · precision · recall / (precision + recall)

    Where prediction or answer is empty, it is 1.0 if both are and 0.0 otherwise. Arguments as in `exact`.
    """
    return max(_f1(normalise(prediction).split(), normalise(answer).split()) for answer in _each(answers))


def score(predictions, answers):
    """The mean of `exact` and of `f1` over all questions, as {"exact": ..., "f1": ...}, each from 0 to 1.

    predictions: list of strings; answers: list of strings, or of lists of strings. Raises ValueError when there are not
    as many of both, or none.
    """
    expect("predictions", (len(predictions),), length=(len(answers), "answers"))
    expect_at_least("the number of predictions", len(predictions), 1)
    return {metric.__name__: float(np.mean([metric(*both) for both in zip(predictions, answers)]))
            for metric in (exact, f1)}


def _each(answers):
    return [answers] if isinstance(answers, str) else [answer for answer in answers if normalise(answer)] or [""]


def _f1(predicted, true):
    if not predicted or not true:
        return float(predicted == true)
    same = (Counter(predicted) & Counter(true)).total()
    return 2 * same / (len(predicted) + len(true))


class Window(NamedTuple):
    """[CLS] question [SEP] piece of the paragraph [SEP], one entry per token.

    segment_ids: 0 up to the first [SEP], then 1; offsets: (start, end) in the paragraph, None for tokens not of it.
    """

    ids: list
    segment_ids: list
    offsets: list


class Answer(NamedTuple):
    """text: "" for no answer; start: its place in the paragraph, -1 for no answer.

    score: of the best span; null_score: of no answer, the least over the windows.
    """

    text: str
    start: int
    score: float
    null_score: float


def windows(tokenizer, question, paragraph, max_length=384, stride=128):
    """The `Window`s of max_length tokens that cover a paragraph, each beginning stride tokens after the one before.

    stride is BERT's doc_stride; the argument of that name in `transformers` is how many tokens two windows share.
    Raises ValueError for a question that leaves no room for the paragraph, an empty paragraph, and a stride that is
    below 1 or leaves tokens out.
    """
    expect_at_least("stride", stride, 1)
    vocabulary, special = tokenizer.vocabulary, tokenizer.special_ids
    asked = [vocabulary.id(token) for token, _ in tokenizer.tokenize(question)]
    tokens = tokenizer.tokenize(paragraph)
    if not tokens:
        raise ValueError(f"the paragraph {paragraph!r} has no tokens, expected at least one")
    room = max_length - len(asked) - 3
    if room < 1:
        raise ValueError(f"the question has {len(asked)} tokens, expected at most {max_length - 4} for max_length "
                         f"{max_length}: [CLS], two [SEP] and a token of the paragraph need room")
    if room < stride and room < len(tokens):
        raise ValueError(f"stride is {stride}, expected at most {room}, the tokens of the paragraph in a window")
    found = []
    for first in range(0, len(tokens), stride):
        part = tokens[first:first + room]
        found.append(Window([special["[CLS]"], *asked, special["[SEP]"], *(vocabulary.id(token) for token, _ in part),
                             special["[SEP]"]],
                            [0] * (len(asked) + 2) + [1] * (len(part) + 1),
                            [None] * (len(asked) + 2) + [place for _, place in part] + [None]))
        if first + room >= len(tokens):
            break
    return found


def batch(windows):
    """The `coursekit.text.Batch` of windows, padded to the longest with id 0, which is BERT's [PAD]."""
    return Batch(*(pad(rows, value) for rows, value in (
        ([window.ids for window in windows], 0), ([window.segment_ids for window in windows], 0),
        ([[True] * len(window.ids) for window in windows], False))))


def token_span(window, answer, start):
    """The places (first, last) of the tokens that hold an answer's characters; both are tokens of the answer.

    answer, start: as in `coursekit.datasets.questions.Question`. (0, 0), that is [CLS], for an unanswerable question
    and for a window that does not hold the whole answer. Raises ValueError for an answer without a place.
    """
    if not answer:
        return 0, 0
    if start < 0:
        raise ValueError(f"start is {start} for the answer {answer!r}, expected its place in the paragraph")
    end = start + len(answer)
    inside = [place for place, offset in enumerate(window.offsets) if offset and offset[0] < end and offset[1] > start]
    whole = inside and window.offsets[inside[0]][0] <= start and window.offsets[inside[-1]][1] >= end
    return (inside[0], inside[-1]) if whole else (0, 0)


def best_span(start_scores, end_scores, offsets, longest=30):
    """The best (score, first, last): the largest start_scores[first] + end_scores[last] of a span that can be.

    A span that can be lies in the paragraph (offset not None), has first <= last, and at most longest tokens.
    start_scores, end_scores: (length,), logits; offsets: as in `Window`, entries beyond it are padding. Raises
    ValueError for scores of unlike or too small length, longest below 1, and a window without paragraph.
    """
    expect_at_least("longest", longest, 1)
    start_scores, end_scores = np.asarray(start_scores), np.asarray(end_scores)
    expect("end_scores", end_scores.shape, length=(len(start_scores), "start_scores"))
    expect_at_least("the length of start_scores", len(start_scores), len(offsets))
    inside = np.flatnonzero([offset is not None for offset in offsets])
    if not len(inside):
        raise ValueError("no token of the window is of the paragraph, expected at least one")
    lengths = inside[None, :] - inside[:, None] + 1
    sums = start_scores[inside][:, None] + end_scores[inside][None, :]
    sums = np.where((lengths >= 1) & (lengths <= longest), sums, -np.inf)
    first, last = np.unravel_index(sums.argmax(), sums.shape)
    return float(sums[first, last]), int(inside[first]), int(inside[last])


def best_answer(paragraph, windows, start_scores, end_scores, longest=30, threshold=0.0):
    """The `Answer` to a question: the best span over all its windows, or none.

    start_scores, end_scores: one row of logits for each window. No answer wins where the least score of [CLS] as start
    and end over the windows exceeds that of the best span by more than threshold. Errors as in `best_span`. Source:
    Devlin et al. 2019, section 4.3.
    """
    expect("start_scores", (len(start_scores),), rows=(len(windows), "windows"))
    expect("end_scores", (len(end_scores),), rows=(len(windows), "windows"))
    rows = list(zip(windows, start_scores, end_scores))
    null_score = min(float(starts[0] + ends[0]) for _, starts, ends in rows)
    (score, first, last), window = max(((best_span(starts, ends, window.offsets, longest), window)
                                        for window, starts, ends in rows), key=lambda found: found[0][0])
    if null_score > score + threshold:
        return Answer("", -1, score, null_score)
    start, end = window.offsets[first][0], window.offsets[last][1]
    return Answer(paragraph[start:end], start, score, null_score)
