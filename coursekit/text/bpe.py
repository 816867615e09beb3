"""Byte-pair encoding: Sennrich, Haddow and Birch 2016, algorithm 1, on bytes as in GPT-2 (Radford et al. 2019, 2.2)."""

import json
import re
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path

from coursekit.files import replace_file
from coursekit.shapes import expect_at_least

# A run of letters, of digits or of other signs, each with the space before it, or white space; every character is in
# exactly one. White space leaves its last character to the word that follows.
WORDS = re.compile(r" ?[^\W\d_]+| ?\d+| ?(?:[^\w\s]|_)+|\s+(?!\S)|\s+")


class BytePairEncoding:
    """Tokens are the 256 bytes and, after them, what each merge joins: nothing is unknown.

    merges: list of pairs of token ids; merge i makes token 256 + i of two earlier ones. `tokens` holds the bytes of
    every token. Raises ValueError for a merge of tokens that do not exist yet, or one that is there twice.
    """

    def __init__(self, merges):
        self.tokens = [bytes([byte]) for byte in range(256)]
        self.merges = {}
        for left, right in merges:
            new = len(self.tokens)
            if not (0 <= left < new and 0 <= right < new) or (left, right) in self.merges:
                merge = f"merge {new - 256} is ({left}, {right})"
                raise ValueError(f"{merge}, expected a new pair of ids from 0 to {new - 1}")
            self.merges[left, right] = new
            self.tokens.append(self.tokens[left] + self.tokens[right])

    @classmethod
    def train(cls, text, vocab_size):
        """Join the most frequent pair of neighbours within words, again and again, until there are vocab_size tokens.

        Of pairs that are equally frequent the one with the lowest ids is joined, the left id first. Ends early when no
        pair is left that occurs twice. Raises ValueError for a vocab_size below 256.
        """
        expect_at_least("vocab_size", vocab_size, 256)
        frequency = Counter(WORDS.findall(text))
        words = [(list(_bytes(word)), times) for word, times in frequency.items()]
        counts, places = Counter(), defaultdict(set)  # of each pair: how often it occurs, and in which words
        for place, (word, times) in enumerate(words):
            for pair in pairwise(word):
                counts[pair] += times
                places[pair].add(place)

        merges = []
        while len(merges) < vocab_size - 256 and counts:
            best = min(counts, key=lambda pair: (-counts[pair], pair))
            if counts[best] < 2:
                break
            for place in places.pop(best):  # all other words stay as they are, and so do their pairs
                word, times = words[place]
                joined = _join(word, best, 256 + len(merges))
                for pair in pairwise(word):
                    counts[pair] -= times
                for pair in pairwise(joined):
                    counts[pair] += times
                    places[pair].add(place)
                words[place] = joined, times
            counts += Counter()  # drops the pairs that are gone
            merges.append(best)
        return cls(merges)

    def encode(self, text):
        """The ids of text: in every word the merges are made in the order in which they were learned."""
        words = WORDS.findall(text)
        ids = {word: self._encode_word(word) for word in set(words)}
        return [token for word in words for token in ids[word]]

    def _encode_word(self, word):
        ids = list(_bytes(word))
        while known := [pair for pair in pairwise(ids) if pair in self.merges]:
            earliest = min(known, key=self.merges.get)
            ids = _join(ids, earliest, self.merges[earliest])
        return ids

    def decode(self, ids):
        """The text of ids; bytes that are no UTF-8, as when a character is cut in two, become U+FFFD.

        decode(encode(text)) is text. Raises ValueError for ids outside the vocabulary.
        """
        ids = list(ids)
        for token in ids:
            if not 0 <= token < len(self.tokens):
                raise ValueError(f"token {token} is unknown, expected 0 to {len(self.tokens) - 1}")
        data = b"".join(self.tokens[token] for token in ids)
        try:
            return data.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            return data.decode("utf-8", "replace")

    def save(self, path):
        """Write the merges to a JSON file."""
        replace_file(Path(path), json.dumps({"merges": list(self.merges)}) + "\n")

    @classmethod
    def load(cls, path):
        """The encoding that `save` wrote. Raises ValueError for a file that is truncated or is not such a file."""
        try:
            merges = json.loads(Path(path).read_text(encoding="utf-8"))["merges"]
            return cls(merges)
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"{path} is truncated, or was not written by BytePairEncoding.save: {error}") from error


def _bytes(text):
    """UTF-8; half a surrogate pair, which UTF-8 forbids but a Python string may hold, is kept as well."""
    return text.encode("utf-8", "surrogatepass")


def _join(ids, pair, new):
    """ids with every occurrence of pair, from the left, replaced by new."""
    joined = []
    for token in ids:
        joined.append(token)
        if tuple(joined[-2:]) == pair:
            joined[-2:] = [new]
    return joined
