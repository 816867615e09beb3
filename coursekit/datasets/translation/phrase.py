"""What the three languages share: words that know what they stand for, and noun phrases in no language."""

from typing import NamedTuple


class Word(NamedTuple):
    """form: as written inside a sentence; tags: what it stands for. Words of two languages with a common tag are
    translations of each other, which gives the alignment."""

    form: str
    tags: frozenset


def words(text, *tags):
    """Every word of `text`, all of them standing for `tags`."""
    return [Word(form, frozenset(tags)) for form in text.split()]


class Phrase(NamedTuple):
    """A noun phrase. role: the prefix of its tags; article: "the", "a", "this", "my", "our", a number word, or "" for
    names and pronouns; owner: the phrase of a possessor."""

    role: str
    noun: object
    plural: bool = False
    article: str = "the"
    adjective: object = None
    owner: object = None

    @property
    def is_pronoun(self):
        return hasattr(self.noun, "person")

    @property
    def is_plural(self):
        return self.noun.plural if self.is_pronoun else self.plural

    @property
    def person(self):
        return self.noun.person if self.is_pronoun else 3

    @property
    def gender(self):
        return self.noun.gender

    @property
    def french_gender(self):
        return self.noun.french_gender

    def tag(self, part):
        return f"{self.role}.{part}"


class Both(NamedTuple):
    """Two phrases joined by "and"."""

    first: Phrase
    second: Phrase
    is_plural = True
    is_pronoun = False
    person = 3
    gender = "m"

    @property
    def french_gender(self):
        return "f" if self.first.french_gender == self.second.french_gender == "f" else "m"


class Three(NamedTuple):
    """The same words in English, Russian and French; + joins them language by language."""

    en: list
    ru: list
    fr: list

    def __add__(self, other):
        return Three(*(ours + theirs for ours, theirs in zip(self, other)))
