"""The small world says what its tables plant, and nothing else."""

from collections import Counter
from itertools import chain

import pytest

from coursekit.datasets.small_world import AGE, GENDER, RELATIONS, SIGHTS, WORDS, analogies, small_world


@pytest.fixture(scope="module")
def sentences():
    return small_world(8000, seed=0)


def together(sentences, word):
    """How often each other word stands in a sentence with `word`."""
    return Counter(chain.from_iterable(sentence for sentence in sentences if word in sentence))


def test_same_seed_same_sentences():
    assert small_world(50, seed=3) == small_world(50, seed=3) != small_world(50, seed=4)
    assert small_world(50, seed=3)[:20] == small_world(20, seed=3)


def test_size_as_on_the_data_card(sentences):
    assert len(sentences) == 8000 and {len(sentence) for sentence in sentences} == {5, 6, 7, 8, 9}
    for seed in (0, 1, 2):
        assert len(set(chain.from_iterable(small_world(8000, seed)))) == 244


def test_only_men_have_a_beard_and_only_women_a_gown(sentences):
    for men, women in RELATIONS["man to woman"]:
        for word, own, other in ((men, *GENDER), (women, *GENDER[::-1])):
            seen = together(sentences, word)
            assert all(seen[token] for token in own) and not any(seen[token] for token in other), word


def test_quality_tells_age_and_sight_tells_country_from_capital(sentences):
    for relation, (first, second) in (("grown to young", AGE), ("country to capital", SIGHTS)):
        for words in RELATIONS[relation]:
            for word, own, other in zip(words, (first, second), (second, first)):
                seen = together(sentences, word)
                assert sum(seen[token] for token in own) > 20 and not any(seen[token] for token in other), word


def test_words_of_a_pair_share_what_is_said_of_them(sentences):
    for word in ("king", "queen"):
        seen = together(sentences, word)
        assert seen["ruled"] > 5 and seen["crown"] > 5 and not seen["castle"] and seen["palace"] and not seen["kitchen"]


def test_every_word_of_a_relation_is_about_as_frequent_as_the_others_of_it(sentences):
    counts = Counter(chain.from_iterable(sentences))
    for relation, share in (("man to woman", 3 / 8), ("grown to young", 2 / 8), ("country to capital", 2 / 8)):
        words = [word for pair in RELATIONS[relation] for word in pair]
        expected = 8000 * share / len(words)
        assert all(abs(counts[word] - expected) < 4.5 * expected ** 0.5 for word in words), relation


def test_analogies_are_all_pairs_of_pairs_both_ways():
    questions = analogies()
    assert len(questions) == len(set(questions)) == 2 * (14 * 13 + 10 * 9 + 10 * 9)
    assert ("man to woman", "man", "woman", "king", "queen") in questions
    assert ("man to woman", "queen", "king", "woman", "man") in questions
    assert len(set(WORDS)) == len(WORDS) == 2 * (14 + 10 + 10)


@pytest.mark.parametrize("call, message", [
    (lambda: small_world(0), "n is 0, expected a whole number of at least 1"),
    (lambda: small_world(5, seed=-1), "seed is -1"),
])
def test_wrong_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
