"""Documents from a grammar of templates, and the best that any model could predict on them, computed exactly."""

import re
from itertools import chain, product
from typing import NamedTuple

import numpy as np

from coursekit.shapes import expect_at_least

LATER = 3  # sentences of a document after its opening
MASK = "[MASK]"
TOKEN = re.compile(r"\[MASK\]|[^\W_]+|[^\w\s]")


class Kind(NamedTuple):
    """One kind of document: an opening, then `LATER` of the other sentences, each at most once, in random order.

    share: of all documents; variables: what holds for the whole document, dict from a name to {value: probability} or
    to a function that gives it for the values before; slots: the same for what every sentence draws anew. opening:
    templates, of which one is taken; others: for each other sentence its templates. A template is text with variables
    and slots in braces, such as "in {year}, {he} was employed as a {job}."; its first letter is made a capital.
    """

    share: float
    variables: dict
    slots: dict
    opening: tuple
    others: tuple


def tokenize(text):
    """The words and punctuation marks of a sentence in lower case, as WordPiece cuts them; [MASK] stays as it is."""
    return [token if token == MASK else token.lower() for token in TOKEN.findall(text)]


class Grammar:
    """kinds: dict from a name to a `Kind`, whose shares sum to 1.

    `sentences` are all sentences that it can say, `words` their tokens, sorted. Raises ValueError for probabilities
    that do not sum to 1, and for a sentence that could be of two kinds or stand at two places of its kind.
    """

    def __init__(self, kinds):
        self.kinds = kinds
        _expect_distribution("the shares of the kinds", {name: kind.share for name, kind in kinds.items()})
        self.states = [_states(kind.variables) for kind in kinds.values()]
        found = {}  # sentence: (kind, step, probability given each state of its kind)
        for number, (kind, states) in enumerate(zip(kinds.values(), self.states)):
            expect_at_least("the number of other sentences", len(kind.others), LATER)
            for step, templates in enumerate((kind.opening, *kind.others)):
                for template, (column, (values, _)) in product(templates, enumerate(states)):
                    for sentence, p in _said(template, values, kind.slots):
                        row = found.setdefault(sentence, (number, step, np.zeros(len(states))))
                        if row[:2] != (number, step):
                            raise ValueError(f"{sentence!r} could stand at two places, expected one")
                        row[2][column] += p / len(templates)
        self.sentences = list(found)
        self.kind, self.step = (np.array([row[i] for row in found.values()]) for i in (0, 1))
        shares = [kind.share for kind in kinds.values()]
        self.given_state = [row[2] for row in found.values()]  # p(sentence | step, state)
        self.with_state = [shares[number] * given * [p for _, p in self.states[number]]  # p(sentence, state | step)
                           for number, _, given in found.values()]
        tokens = [tokenize(sentence) for sentence in self.sentences]
        self.words = sorted(set(chain.from_iterable(tokens)))
        self.ids = {word: number for number, word in enumerate(self.words)}
        self.tokens = np.full((len(tokens), max(map(len, tokens))), -1)
        for row, sentence in zip(self.tokens, tokens):
            row[:len(sentence)] = [self.ids[word] for word in sentence]

    # ------------------------------------------------------------------------------------------------------ documents

    def documents(self, seed=0):
        """Documents without end, each a list of sentences. Raises ValueError for a seed below 0."""
        expect_at_least("seed", seed, 0)
        rng = np.random.default_rng(seed)
        while True:
            yield self._document(rng)

    def _document(self, rng):
        kind = self.kinds[_draw({name: kind.share for name, kind in self.kinds.items()}, rng)]
        values = {}
        for name, given in kind.variables.items():
            values[name] = _draw(_distribution(given, values), rng)
        steps = [kind.opening] + [kind.others[i] for i in rng.permutation(len(kind.others))[:LATER]]
        sentences = []
        for templates in steps:
            template = templates[rng.integers(len(templates))]
            drawn = {name: _draw(_distribution(kind.slots[name], values), rng)
                     for name in _names(template) if name in kind.slots}
            sentences.append(_filled(template, values | drawn))
        return sentences

    # -------------------------------------------------------------------------------------------------- what is known

    def masked(self, first, second=None):
        """p(word | all that is visible) at every [MASK], as a list of dicts {word: probability}, likeliest first.

        first, second: sentences in which words may be replaced with [MASK]. Alone, `first` is any sentence of a
        document. With `second` they are a pair as `next_sentence_pairs` makes them: of two neighbours in one document,
        or, as often, of two documents. The sum is over everything that the grammar could have said. Raises ValueError
        for what it could not.
        """
        rows, p = self._possible(first, second)
        found = []
        for side, sentence in enumerate((first, second)[:len(rows)]):
            weight = p.sum(axis=tuple(i for i in range(len(rows)) if i != side))
            for place, token in enumerate(tokenize(sentence)):
                if token == MASK:
                    at_word = np.bincount(self.tokens[rows[side], place], weight, len(self.words)) / weight.sum()
                    best = np.argsort(-at_word, kind="stable")
                    found.append({self.words[word]: float(at_word[word]) for word in best if at_word[word] > 0})
        return found

    def follows(self, first, second):
        """p(the second sentence follows the first in one document), if half of all pairs do; [MASK] as in `masked`."""
        rows, p = self._possible(first, second)
        return float(0.5 * self._neighbours(*rows).sum() / p.sum())

    def _possible(self, first, second):
        """Which sentences fit (for each text the rows), and the probability of each of them, or of each pair."""
        rows = [self._fitting(text) for text in (first, second) if text is not None]
        anywhere = LATER + 1
        if second is None:
            p = self._alone(rows[0], 1 / anywhere)
        else:
            at_random = np.outer(self._alone(rows[0], 1 / LATER), self._alone(rows[1], 1 / anywhere))
            p = 0.5 * at_random + 0.5 * self._neighbours(*rows)
        if not p.sum() > 0:
            raise ValueError(f"{first!r} and {second!r} never stand together" if all(map(len, rows)) else
                             f"{first if not len(rows[0]) else second!r} is not a sentence of this grammar")
        return rows, p

    def _fitting(self, text):
        tokens = tokenize(text)
        if len(tokens) > self.tokens.shape[1]:
            return np.array([], int)
        pattern = np.array([-2 if token == MASK else self.ids.get(token, -3) for token in tokens])
        fits = ((self.tokens[:, :len(pattern)] == pattern) | (pattern == -2)).all(1)
        lengths = (self.tokens >= 0).sum(1)
        return np.flatnonzero(fits & (lengths == len(pattern)))

    def _alone(self, rows, opening):
        """p(sentence) for rows, where a sentence is an opening with the probability `opening`."""
        steps = np.array([len(kind.others) for kind in self.kinds.values()])[self.kind[rows]]
        place = np.where(self.step[rows] == 0, opening, (1 - opening) / steps)
        return place * np.array([self.with_state[row].sum() for row in rows])

    def _neighbours(self, first, second):
        """p(first, second) of two neighbours in one document, for all pairs of rows."""
        p = np.zeros((len(first), len(second)))
        for number, kind in enumerate(self.kinds.values()):
            i, j = np.flatnonzero(self.kind[first] == number), np.flatnonzero(self.kind[second] == number)
            if len(i) and len(j):
                here, after = self.step[first[i]][:, None], self.step[second[j]][None]
                others = len(kind.others)
                place = np.where(here == 0, 1 / LATER / others, (1 - 1 / LATER) / (others * (others - 1)))
                place = place * ((after > 0) & (here != after))
                both = np.array([self.with_state[row] for row in first[i]]) @ np.array(
                    [self.given_state[row] for row in second[j]]).T
                p[np.ix_(i, j)] = place * both
        return p


def _distribution(given, values):
    return given(values) if callable(given) else given


def _expect_distribution(name, distribution):
    if min(distribution.values()) < 0 or abs(sum(distribution.values()) - 1) > 1e-9:
        raise ValueError(f"{name} are {distribution}, expected probabilities that sum to 1")


def _draw(distribution, rng):
    values, p = list(distribution), np.cumsum(list(distribution.values()))
    return values[np.searchsorted(p, rng.random() * p[-1], side="right")]


def _states(variables):
    """All states of a document: list of (values, probability)."""
    states = [({}, 1.0)]
    for name, given in variables.items():
        for values, _ in states:
            _expect_distribution(f"the probabilities of {name}", _distribution(given, values))
        states = [(values | {name: value}, p * q) for values, p in states
                  for value, q in _distribution(given, values).items() if q > 0]
    return states


def _names(template):
    return re.findall(r"{(\w+)}", template)


def _filled(template, values):
    text = template.format(**values)
    return text[0].upper() + text[1:]


def _said(template, values, slots):
    """What a template can say in a state: pairs of a sentence and its probability."""
    names = [name for name in _names(template) if name in slots]
    choices = [_distribution(slots[name], values) for name in names]
    for name, choice in zip(names, choices):
        _expect_distribution(f"the probabilities of {name}", choice)
    for drawn in product(*(choice.items() for choice in choices)):
        words = {name: word for name, (word, _) in zip(names, drawn)}
        yield _filled(template, values | words), float(np.prod([p for _, p in drawn]))
