"""The corpus says what its tables plant, and what is called the best prediction is that of counting everything."""

import re
from collections import Counter, defaultdict
from itertools import permutations, product

import numpy as np
import pytest

from coursekit.datasets import associations as data
from coursekit.datasets.associations import GRAMMAR, associations, truth, vocabulary
from coursekit.datasets.grammar import MASK, Grammar, Kind, tokenize
from coursekit.text import WordPiece


@pytest.fixture(scope="module")
def documents():
    return associations(20000, seed=5)


def close(counts, planted, n):
    """Counts are within 4.5 standard errors of n times the planted probabilities."""
    assert set(counts) <= {str(value) for value, p in planted.items() if p > 0}
    return all(abs(counts[str(value)] - n * p) <= 4.5 * (n * p * (1 - p)) ** 0.5 + 1 for value, p in planted.items())


def found(documents, pattern):
    """What the groups of a pattern hold, in every sentence that it matches."""
    return [match.groups() for document in documents for sentence in document
            if (match := re.fullmatch(pattern, sentence))]


def by_first(pairs):
    groups = defaultdict(Counter)
    for *first, second in pairs:
        groups[tuple(first)][second] += 1
    return groups


def percent(table):
    return {value: p / 100 for value, p in table.items()}


def test_same_seed_same_documents():
    assert associations(50, seed=3) == associations(50, seed=3) != associations(50, seed=4)
    assert associations(50, seed=3)[:20] == associations(20, seed=3)
    assert associations(50, "test", seed=3) == associations(50, "test", seed=3)


def test_splits_share_no_document(documents):
    test = associations(1500, "test", seed=5)
    assert not {*map(tuple, documents)} & {*map(tuple, test)}
    assert sum(map(len, documents)) == 80000


def test_tables_are_percentages():
    for table in (data.PURCHASES, data.OCCUPATIONS, data.WORKPLACES, data.TOOLS, data.SIGHTS, data.WEATHER):
        assert {sum(row.values()) for row in table.values()} == {100}
    for table in (data.SHARES, data.YEARS, data.PLACES):
        assert sum(table.values()) == pytest.approx(1)


def test_what_is_bought_where(documents):
    for pattern in (r"In (.+), they like to buy (\w+)\.", r"Shops in (.+) sell (\w+)\."):
        groups = by_first(found(documents, pattern))
        assert groups.keys() == {(place,) for place in data.PURCHASES}
        for (place,), counts in groups.items():
            assert counts.total() > 150 and close(counts, percent(data.PURCHASES[place]), counts.total()), place


def test_who_was_employed_as_what_in_which_year(documents):
    groups = by_first(found(documents, r"In (\d+), (he|she) was employed as a (\w+)\."))
    assert len(groups) == 4
    for (year, pronoun), counts in groups.items():
        assert close(counts, percent(data.OCCUPATIONS[int(year), pronoun]), counts.total()), (year, pronoun)


def test_names_by_year(documents):
    pairs = [(year, name) for name, year in found(documents, r"(\w+) was young in (\d+)\.")]
    assert close(Counter(year for year, _ in pairs), data.YEARS, len(pairs))
    for (year,), counts in by_first(pairs).items():
        column = list(data.YEARS).index(int(year))
        planted = {name: 0.5 * row[column] / sum(other[column] for other in rows.values())
                   for rows in data.NAMES.values() for name, row in rows.items()}
        assert close(counts, planted, counts.total()), year


def test_places_are_as_frequent_as_planted(documents):
    counts = Counter(place for place, _ in found([document[:1] for document in documents], r"(.+) (?:is|has) (\w+)\."))
    assert close(counts, data.PLACES, counts.total()) and 6700 < counts.total() < 7300


def test_facts_hold_throughout_a_document(documents):
    jobs, years, names = "|".join(data.WORKPLACES), "|".join(map(str, data.YEARS)), set().union(*data.NAMES.values())
    for document in documents[:3000]:
        text = " ".join(document)
        assert len(set(re.findall(rf"\b({jobs})\b", text))) <= 1
        assert len(set(re.findall(rf"\b({years})\b", text))) <= 1
        assert len(names & set(re.findall(r"\w+", text))) <= 1
        assert not ({"he", "his", "him"} & set(tokenize(text)) and {"she", "her"} & set(tokenize(text)))


def test_a_workplace_belongs_to_its_occupation(documents):
    groups, jobs = defaultdict(Counter), "|".join(data.WORKPLACES)
    for document in documents:
        text = " ".join(document)
        job, place = re.search(rf"\b({jobs})\b", text), re.search(r"(?:went to|liked) the (\w+)\.", text)
        if job and place:
            groups[job[1]][place[1]] += 1
    assert len(groups) == 10
    for job, counts in groups.items():
        assert close(counts, percent(data.WORKPLACES[job]), counts.total()), job


def test_truth_is_the_planted_table():
    for place, goods in data.PURCHASES.items():
        assert truth(f"In {place}, they like to buy [MASK].") == pytest.approx(percent(goods))
    for (year, pronoun), jobs in data.OCCUPATIONS.items():
        assert truth(f"In {year}, {pronoun} was employed as a [MASK].") == pytest.approx(percent(jobs))


def test_truth_of_a_name_by_hand():
    """Susan: both years by how common she was, each with its occupations."""
    nurse = (2 / 18 * 0.36 + 4 / 20 * 0.10) / (2 / 18 + 4 / 20)
    assert truth("Susan worked as a [MASK].")["nurse"] == pytest.approx(nurse)


def test_deck_pairs():
    assert GRAMMAR.follows("Paul went shopping.", "He bought a new shirt.") > 0.97
    assert GRAMMAR.follows("Ramona made coffee.", "Vanilla ice cream cones for sale.") == 0
    assert truth("A huge trout just [MASK] her line.") == pytest.approx({"broke": 0.6, "took": 0.25, "cut": 0.15})


def test_wordpiece_reads_it(documents):
    tokenizer = WordPiece(vocabulary())
    for sentence in {sentence for document in documents[:2000] for sentence in document}:
        assert [token for token, _ in tokenizer.tokenize(sentence)] == tokenize(sentence)
    assert "[UNK]" not in tokenizer.encode("Dang! I'm out fishing and a huge trout just [MASK] my line!").tokens


def test_counts_as_on_the_data_card(documents):
    from coursekit.datasets import data_folder

    card = " ".join((data_folder() / "associations.md").read_text(encoding="utf-8").split())
    lengths = [len(tokenize(sentence)) for sentence in GRAMMAR.sentences]
    assert (f"{len(GRAMMAR.sentences):,} different sentences of {min(lengths)} to {max(lengths)} tokens, "
            f"{len(GRAMMAR.words)} different words and punctuation marks, with BERT's special tokens "
            f"{len(vocabulary())}") in card
    assert {token for document in documents for sentence in document for token in tokenize(sentence)} == set(
        GRAMMAR.words)


# ------------------------------------------------------------------------------- the optimum, by counting everything

SMALL = {
    "walk": Kind(0.7, {"he": {"he": 0.25, "she": 0.75}, "town": lambda v: {"Rome": 0.5, "New York": 0.5} if
                 v["he"] == "he" else {"Rome": 0.2, "Oslo": 0.8}},
                 {"food": lambda v: {"figs": 0.9, "fish": 0.1} if v["town"] == "Rome" else {"fish": 1.0}},
                 ("{he} lived in {town}.", "{town} was cold."),
                 (("{he} ate {food}.",), ("{he} saw {town}.", "{town} slept."), ("{he} bought {food}.",),
                  ("it was late.", "{he} was late."))),
    "rain": Kind(0.3, {}, {"how": {"hard": 0.5, "long": 0.5}}, ("it rained {how}.",),
                 (("it was grey.",), ("it poured {how}.",), ("nobody ate fish.",))),
}


def every_document():
    """All (document, probability) of the small grammar, by loops of its own."""
    towns = {"he": {"Rome": 0.5, "New York": 0.5}, "she": {"Rome": 0.2, "Oslo": 0.8}}
    for he, town, order in product(("he", "she"), ("Rome", "New York", "Oslo"), permutations(range(4), 3)):
        if town not in towns[he]:
            continue
        p = 0.7 * {"he": 0.25, "she": 0.75}[he] * towns[he][town] / 24
        foods = {"figs": 0.9, "fish": 0.1} if town == "Rome" else {"fish": 1.0}
        He = he.capitalize()
        said = [{f"{He} ate {food}.": q for food, q in foods.items()},
                {f"{He} saw {town}.": 0.5, f"{town} slept.": 0.5},
                {f"{He} bought {food}.": q for food, q in foods.items()}, {"It was late.": 0.5, f"{He} was late.": 0.5}]
        choices = [{f"{He} lived in {town}.": 0.5, f"{town} was cold.": 0.5}] + [said[step] for step in order]
        for sentences in product(*(choice.items() for choice in choices)):
            yield [text for text, _ in sentences], p * np.prod([q for _, q in sentences])
    for how, again, order in product(("hard", "long"), ("hard", "long"), permutations(range(3))):
        said = ["It was grey.", f"It poured {again}.", "Nobody ate fish."]
        yield [f"It rained {how}."] + [said[step] for step in order], 0.3 / 4 / 6


@pytest.fixture(scope="module")
def pairs():
    """p(first, second, label) and p(sentence), over all documents."""
    alone, first, follows = Counter(), Counter(), Counter()
    for document, p in every_document():
        for place, sentence in enumerate(document):
            alone[sentence] += p / 4
            if place < 3:
                first[sentence] += p / 3
                follows[sentence, document[place + 1]] += 0.5 * p / 3
    at_random = {(a, b): 0.5 * p * q for (a, p), (b, q) in product(first.items(), alone.items())}
    assert sum(alone.values()) == pytest.approx(1) == sum(follows.values()) + sum(at_random.values())
    return alone, follows, at_random


def hide(rng, sentence):
    return " ".join(MASK if rng.random() < 0.5 else token for token in tokenize(sentence))


def fits(text, sentence):
    shown, said = tokenize(text), tokenize(sentence)
    return len(shown) == len(said) and all(a in (b, MASK) for a, b in zip(shown, said))


def test_masked_words_are_those_of_counting_everything(pairs):
    alone, follows, at_random = pairs
    grammar, rng = Grammar(SMALL), np.random.default_rng(0)
    for a, b in rng.choice(sorted(at_random), 60):
        a, b = hide(rng, a), hide(rng, b)
        for texts in ((a,), (a, b)):
            expected = [Counter() for text in texts for token in tokenize(text) if token == MASK]
            weights = Counter(follows) + Counter(at_random) if len(texts) == 2 else {(x,): p for x, p in alone.items()}
            for sentences, p in weights.items():
                if all(map(fits, texts, sentences)):
                    said = [word for text, sentence in zip(texts, sentences)
                            for word, shown in zip(tokenize(sentence), tokenize(text)) if shown == MASK]
                    for counter, word in zip(expected, said):
                        counter[word] += p
            expected = [{word: p / counter.total() for word, p in counter.items()} for counter in expected]
            for ours, theirs in zip(grammar.masked(*texts), expected, strict=True):
                assert ours == pytest.approx(theirs) and list(ours.values()) == sorted(ours.values(), reverse=True)


def test_next_sentences_are_those_of_counting_everything(pairs):
    _, follows, at_random = pairs
    grammar, rng, certain = Grammar(SMALL), np.random.default_rng(1), 0
    for a, b in rng.choice(sorted(at_random), 60):
        for shown in ((a, b), (hide(rng, a), hide(rng, b))):
            together, apart = (sum(p for pair, p in weights.items() if all(map(fits, shown, pair)))
                               for weights in (follows, at_random))
            assert grammar.follows(*shown) == pytest.approx(together / (together + apart), abs=1e-12)
            certain += together == 0
    assert 10 < certain < 110


def test_small_grammar_says_what_it_can(pairs):
    grammar, documents = Grammar(SMALL), grammar_documents(4000)
    assert set(grammar.sentences) == set(pairs[0])
    counts, n = Counter(sentence for document in documents for sentence in document), 16000
    assert close(counts, pairs[0], n)


def grammar_documents(n):
    drawn = Grammar(SMALL).documents(seed=2)
    return [next(drawn) for _ in range(n)]


@pytest.mark.parametrize("call, message", [
    (lambda: associations(0), "n is 0, expected a whole number of at least 1"),
    (lambda: associations(5, seed=-1), "seed is -1"),
    (lambda: associations(5, "validation"), "unknown split 'validation'"),
    (lambda: truth("In Texas, they like to buy boots."), "has 0 places of"),
    (lambda: truth("In Rome, they like to buy [MASK]."), "'In Rome, they like to buy .MASK..' is not a sentence"),
    (lambda: GRAMMAR.follows("Jane made coffee.", "He [MASK]."), "'He .MASK..' is not a sentence"),
    (lambda: Grammar({"a": SMALL["walk"]}), "the shares of the kinds are"),
    (lambda: Grammar({"a": SMALL["rain"]._replace(share=1.0, slots={"how": {"hard": 0.5}})}), "probabilities of how"),
    (lambda: Grammar({"a": SMALL["rain"]._replace(share=1.0, opening=("it was grey.",))}), "could stand at two places"),
    (lambda: Grammar({"a": SMALL["rain"]._replace(share=1.0, others=(("it poured.",),))}), "other sentences is 1"),
])
def test_wrong_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
