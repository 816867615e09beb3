"""BERT's WordPiece: text to the ids that BERT was trained on (Devlin et al. 2019, section 3.1, and its published code).

Every character carries its place in the original text along, so that every token knows where it came from.
"""

import re
import unicodedata
import warnings
from typing import NamedTuple

import numpy as np

from coursekit.text.padding import pad
from coursekit.text.vocabulary import Vocabulary

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WRITTEN_OUT = re.compile("(" + "|".join(map(re.escape, SPECIAL)) + ")")
# Unicode calls $ + < = > ^ ` | ~ symbols; BERT splits at them as well.
ASCII_PUNCTUATION = set(r"""!"#$%&'()*+,-./:;<=>?@[\]^_`{|}~""")
CHINESE = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002a6df\U0002a700-\U0002b81f"
                     "\U0002b920-\U0002ceaf\U0002f800-\U0002fa1f]")


def normalise(text, lowercase=True):
    """The characters BERT reads: list of (character, place), place being its origin's index in text.

    Control and format characters go, white space becomes a space, a Chinese character stands between spaces; with
    lowercase, each character is decomposed (NFD), loses its accents (category Mn) and is lower-cased. What a character
    is, this Python's Unicode says; unassigned ones stay. The library `tokenizers` has an older Unicode, and it sorts
    the spacing marks (category Mc) that follow one another, which no common script needs.
    """
    characters = []
    for place, character in enumerate(text):
        category = unicodedata.category(character)
        if category in ("Zs", "Zl", "Zp") or character in "\t\n\r":
            kept = " "
        elif category in ("Cc", "Cf", "Co", "Cs") or character == "\ufffd":
            kept = ""
        else:
            kept = character
            if lowercase:
                decomposed = unicodedata.normalize("NFD", character)
                kept = "".join(part.lower() for part in decomposed if unicodedata.category(part) != "Mn")
            if CHINESE.match(character):
                kept = f" {kept} "
        characters += [(part, place) for part in kept]
    return characters


def split_words(characters):
    """Words of normalised characters: lists of (character, place), cut at spaces and around every punctuation mark."""
    words = [[]]
    for character, place in characters:
        if character == " ":
            words.append([])
        elif character in ASCII_PUNCTUATION or unicodedata.category(character).startswith("P"):
            words += [[(character, place)], []]
        else:
            words[-1].append((character, place))
    return [word for word in words if word]


class Encoding(NamedTuple):
    """One input of the model, one entry per token.

    segment_ids: 0 for the first text and its special tokens, 1 for the second; offsets: (start, end) in the text the
    token is from, (0, 0) for the [CLS] and [SEP] that were added.
    """

    ids: list
    tokens: list
    segment_ids: list
    offsets: list


class Batch(NamedTuple):
    """Inputs of the model, padded to the longest: ids and segment_ids (batch, length) int64, mask (batch, length) bool.

    The mask is True at tokens and False at padding.
    """

    ids: np.ndarray
    segment_ids: np.ndarray
    mask: np.ndarray


class WordPiece:
    """vocabulary: a `Vocabulary` with BERT's special tokens; lowercase: see `normalise`.

    Raises ValueError when a special token is missing. Source: Devlin et al. 2019; Wu et al. 2016, section 4.1.
    """

    longest_word = 100  # characters; a longer word is [UNK], as in BERT

    def __init__(self, vocabulary, lowercase=True):
        self.vocabulary, self.lowercase = vocabulary, lowercase
        self.special_ids = {token: vocabulary.id(token) for token in SPECIAL}

    @classmethod
    def load(cls, path, vocab_size=None, lowercase=True):
        """The tokenizer of a vocabulary file; arguments and errors as in `Vocabulary.load`."""
        return cls(Vocabulary.load(path, vocab_size), lowercase)

    def tokenize(self, text):
        """The tokens of text, as a list of (token, (start, end)). A special token written out in text is that token."""
        tokens, start = [], 0
        for part in WRITTEN_OUT.split(text):
            if part in SPECIAL:
                tokens.append((part, (start, start + len(part))))
            else:
                for word in split_words(normalise(part, self.lowercase)):
                    tokens += [(token, (start + first, start + end)) for token, (first, end) in self.split_word(word)]
            start += len(part)
        return tokens

    def split_word(self, word):
        """The tokens of one word of `split_words`, offsets as its places.

        Greedy: from the left, the longest token of the vocabulary each time; [UNK] where there is none.
        """
        text = "".join(character for character, _ in word)
        places = [place for _, place in word]
        unknown = [("[UNK]", (places[0], places[-1] + 1))]
        if len(text) > self.longest_word:
            return unknown
        tokens, start = [], 0
        while start < len(text):
            end = len(text)
            before = "##" if start else ""
            while end > start and before + text[start:end] not in self.vocabulary.ids:
                end -= 1
            if end == start:
                return unknown
            tokens.append((before + text[start:end], (places[start], places[end - 1] + 1)))
            start = end
        return tokens

    def encode(self, text, pair=None, max_length=None):
        """The `Encoding` of [CLS] text [SEP], or of [CLS] text [SEP] pair [SEP].

        Beyond max_length tokens the longer text is cut at its end, and once it is no longer than the other, both are.
        Raises ValueError for a max_length that has no room for the special tokens.
        """
        parts = [self.tokenize(part) for part in (text, pair) if part is not None]
        if max_length is not None:
            parts = _cut(parts, max_length)
        rows = [("[CLS]", 0, (0, 0))]
        for segment, part in enumerate(parts):
            rows += [(token, segment, offset) for token, offset in part] + [("[SEP]", segment, (0, 0))]
        tokens, segment_ids, offsets = map(list, zip(*rows))
        return Encoding([self.vocabulary.id(token) for token in tokens], tokens, segment_ids, offsets)

    def encode_batch(self, texts, pairs=None, max_length=None):
        """The `Batch` of a list of texts, or of texts and as many pairs; max_length as in `encode`, but what it cuts off
        is counted in a warning."""
        if isinstance(texts, str):
            raise ValueError(f"texts is the string {texts!r}, expected a list of strings")
        if pairs is not None and len(pairs) != len(texts):
            raise ValueError(f"pairs has length {len(pairs)}, texts have {len(texts)}")
        both = list(zip(texts, pairs or [None] * len(texts)))
        encodings = [self.encode(*texts) for texts in both]
        if max_length is not None:
            beyond = [len(encoding.ids) - max_length for encoding in encodings]
            encodings = [self.encode(*texts, max_length) if more > 0 else encoding
                         for texts, encoding, more in zip(both, encodings, beyond)]
            if cut := [more for more in beyond if more > 0]:
                warnings.warn(f"{len(cut)} of {len(both)} inputs have more than {max_length} tokens; {sum(cut)} tokens "
                              "at their ends were cut off", stacklevel=2)
        ids = pad([encoding.ids for encoding in encodings], self.special_ids["[PAD]"])
        segment_ids = pad([encoding.segment_ids for encoding in encodings])
        mask = pad([[True] * len(encoding.ids) for encoding in encodings], False)
        return Batch(ids, segment_ids, mask)

    def decode(self, ids):
        """The text of ids without special tokens: pieces joined, no space before . , ? and !

        What `normalise` took away stays away. Raises ValueError for ids outside the vocabulary.
        """
        tokens = [self.vocabulary.token(id) for id in ids if id not in self.special_ids.values()]
        return re.sub(" (?=[.,?!])", "", " ".join(tokens).replace(" ##", ""))


def _cut(parts, max_length):
    """One or two lists of tokens shortened to max_length, special tokens included, as the library `tokenizers` does.

    When both must be cut and the room is odd, the longer one has one token more; the second, if they are equally long.
    """
    room = max_length - 1 - len(parts)
    if room < 0:
        raise ValueError(f"max_length is {max_length}, expected at least {1 + len(parts)} for the special tokens")
    if len(parts) == 1:
        return [parts[0][:room]]
    first, second = parts
    if len(first) <= len(second):
        kept = min(len(first), room // 2)
    else:
        kept = room - min(len(second), room // 2)
    return [first[:kept], second[:room - kept]]
