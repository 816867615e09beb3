"""Homographs: each word stands once in its sentence, senses are alike in number, and nothing else gives them away."""

import re
from collections import Counter, defaultdict

import pytest

from coursekit.datasets.homographs import homographs

USES = homographs()


def words(sentence):
    return re.findall(r"[a-z]+", sentence.lower())


def test_twenty_words_two_senses_six_sentences_and_one_near_word_for_each():
    counts = Counter((use.word, use.sense) for use in USES)
    assert len(counts) == 40 and set(counts.values()) == {6}
    assert set(Counter(word for word, _ in counts).values()) == {2}
    assert len({(use.word, use.sense, use.near) for use in USES}) == 40
    assert len({use.near for use in USES}) == 40


@pytest.mark.parametrize("use", USES, ids=[f"{use.word}-{i}" for i, use in enumerate(USES)])
def test_the_word_stands_once_and_where_it_is_said_to(use):
    places = [match.span() for match in re.finditer(rf"\b{use.word}\b", use.sentence, re.IGNORECASE)]
    assert places == [(use.start, use.end)] and use.sentence[use.start:use.end] == use.word
    assert use.near not in words(use.sentence)
    assert use.sentence[0].isupper() and use.sentence[-1] in ".?" and 7 <= len(words(use.sentence)) <= 14


def test_no_sentence_twice():
    assert len({use.sentence for use in USES}) == len(USES)


def test_no_other_word_marks_a_sense():
    """Of the words of at least four letters, none but the homograph is in more than three sentences of one sense."""
    for word, sense in {(use.word, use.sense) for use in USES}:
        counts = Counter(other for use in USES if (use.word, use.sense) == (word, sense)
                         for other in set(words(use.sentence)) if len(other) >= 4 and other != word)
        assert max(counts.values()) <= 3, (word, sense, counts.most_common(2))


def test_the_place_in_the_sentence_does_not_give_the_sense_away():
    places = defaultdict(list)
    for use in USES:
        places[use.word, use.sense].append(len(words(use.sentence[:use.start])))
    assert all(len(set(found)) >= 3 for found in places.values()), places


def test_the_loader_reads_what_the_file_says():
    use = USES[3]
    assert use == ("bank", "river", "shore", "A heron stood on the opposite bank and waited for fish.", 30, 34)
