"""The words of the corpus: nouns.toml, adjectives.toml and verbs.toml, where every form is written out."""

import tomllib
from dataclasses import dataclass
from functools import cache
from types import SimpleNamespace

from coursekit.datasets import data_folder

CASES = ("nom", "gen", "dat", "acc", "ins", "prep")
ADJECTIVE_FORMS = ("m", "n", "f", "pl", "gen_m", "dat_m", "ins_m", "prep_m", "gen_f", "acc_f", "gen_pl", "ins_pl")


@dataclass(frozen=True, eq=False)
class Noun:
    """english, french: (singular, plural); russian: {case: (singular, plural)}; at: the three prepositions of place.

    The plural is None where the grammar has none (mass nouns, names).
    """

    name: str
    english: tuple
    french: tuple
    french_gender: str
    russian: dict
    gender: str
    animate: bool
    kinds: frozenset
    at: tuple

    @property
    def countable(self):
        return self.english[1] is not None


@dataclass(frozen=True, eq=False)
class Pronoun:
    """english: (subject, object); russian: {case: form}; french: (subject, dative before the verb)."""

    name: str
    english: tuple
    russian: dict
    french: tuple
    gender: str = "m"
    plural: bool = False
    person: int = 3

    @property
    def french_gender(self):
        return self.gender


@dataclass(frozen=True, eq=False)
class Adjective:
    """french: m, f, their plurals, m before a vowel; russian: {form: word}; before: stands before a French noun.

    comparative: None or a (english, russian, french m, french f).
    """

    name: str
    french: tuple
    russian: dict
    before: bool
    comparative: tuple | None
    kinds: frozenset


PRONOUNS = {p.name: p for p in (
    Pronoun("I", ("I", "me"), dict(nom="я", gen="меня", dat="мне"), ("je", "me"), person=1),
    Pronoun("we", ("we", "us"), dict(nom="мы", gen="нас", dat="нам"), ("nous", "nous"), plural=True, person=1),
    Pronoun("you", ("you", "you"), dict(nom="вы", gen="вас", dat="вам"), ("vous", "vous"), plural=True, person=2),
    Pronoun("he", ("he", "him"), dict(nom="он", gen="него", dat="ему"), ("il", "lui")),
    Pronoun("she", ("she", "her"), dict(nom="она", gen="неё", dat="ей"), ("elle", "lui"), gender="f"),
    Pronoun("they", ("they", "them"), dict(nom="они", gen="них", dat="им"), ("ils", "leur"), plural=True),
)}


def read_nouns(table):
    nouns = {}
    for name, row in table.items():
        gender, *french = row["french"].split()
        singular, plural = row["cases"].split(), row.get("plural_cases", "").split() or [None] * 6
        russian = dict(zip(CASES, zip(singular, plural, strict=True), strict=True))
        russian["place"] = (row.get("locative", russian["prep"][0]), russian["prep"][1])
        nouns[name] = Noun(name, (name, row.get("plural")), tuple(french), gender, russian, row["gender"],
                           row.get("animate", False), frozenset(row["kinds"].split()), tuple(row.get("at", "").split()))
    return nouns


def read_adjectives(table):
    adjectives = {}
    for name, row in table.items():
        french = tuple(form.replace("_", " ") for form in row["french"].split())
        russian = dict(zip(ADJECTIVE_FORMS, row["russian"].split(), strict=True))
        adjectives[name] = Adjective(name, french, russian, row.get("before", False),
                                     tuple(row["comparative"]) if "comparative" in row else None,
                                     frozenset(row["kinds"].split()))
    return adjectives


def read_verb(name, row):
    """A verb: `english`, `russian` and `french` have its forms, `governs` its prepositions and case."""
    russian, french, sense = row["russian"], row["french"], row["sense"]
    preposition, case = ([""] + row.get("governs", {}).get("russian", "acc").split())[-2:]
    return SimpleNamespace(
        name=name, english=row["english"], russian={key: value.split() for key, value in russian.items()},
        french={key: value.split() for key, value in french.items()}, auxiliary=french.get("auxiliary", "avoir"),
        governs=SimpleNamespace(english=row.get("governs", {}).get("english", ""), russian=preposition, case=case,
                                french=row.get("governs", {}).get("french", "")),
        subjects=frozenset(sense["subjects"].split()), objects=frozenset(sense.get("objects", "").split()),
        places=frozenset(sense.get("places", "").split()), where=sense.get("where", "").split())


@cache
def lexicon():
    """All words: `nouns`, `adjectives`, `verbs`, each a dictionary by English name."""
    tables = {kind: tomllib.loads((data_folder() / "translation" / f"{kind}.toml").read_text(encoding="utf-8"))
              for kind in ("nouns", "adjectives", "verbs")}
    return SimpleNamespace(nouns=read_nouns(tables["nouns"]), adjectives=read_adjectives(tables["adjectives"]),
                           verbs={name: read_verb(name, row) for name, row in tables["verbs"].items()})
