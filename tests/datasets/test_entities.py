"""The entities: stored files, splits, labels that cannot be, and the alignment with WordPiece, against the library."""

import re
from collections import Counter, defaultdict

import numpy as np
import pytest

from coursekit import pretrained
from coursekit.datasets import data_folder
from coursekit.datasets.entities import IGNORED, LABELS, Sentence, align, align_batch, corpus, entities, generate, spans
from coursekit.text import Vocabulary, WordPiece

SMALL = WordPiece(Vocabulary("[PAD] [UNK] [CLS] [SEP] [MASK] anna joined bo ##sch & sons ,".split()))


@pytest.fixture(scope="module")
def splits():
    return {split: entities(split) for split in corpus.SPLITS}


def names(sentences, parts=False):
    """The names of sentences with their types; with parts, only the words of people, and places and firms whole."""
    found = defaultdict(set)
    for words, labels in sentences:
        for type, start, end in spans(labels):
            name = words[start:end]
            for each in (name if parts and type == "PER" else [" ".join(name)]):
                found[each].add(type)
    return found


def test_stored_files_are_what_the_generator_makes(splits):
    for split, made in generate().items():
        assert corpus.path(split).read_text(encoding="utf-8") == corpus.conll(made)
        assert made == splits[split]


def test_every_sentence_stands_once(splits):
    every = [tuple(word.lower() for word in sentence.words) for made in splits.values() for sentence in made]
    assert len(set(every)) == len(every)
    assert all(len(sentence.words) == len(sentence.labels) > 1 for made in splits.values() for sentence in made)


def test_unseen_names_are_unseen(splits):
    train = names(splits["train"], parts=True)
    seen = {word for name in train for word in name.split()}
    for split in ("validation", "test_unseen"):
        found = names(splits[split], parts=True)
        assert len(found) > 60 and not set(found) & set(train)
        assert all(set(name.split()) - seen for name in found), split
    assert set(names(splits["test_seen"], parts=True)) - set(names(splits["train"], parts=True)) < {
        name for name in names(splits["test_seen"]) if len(name.split()) > 1}


def test_written_sentences_share_no_name_but_the_ambiguous(splits):
    train = names(splits["train"])
    shared = {name for name in names(splits["test_written"]) if name in train}
    assert shared and all(len(train[name]) > 1 for name in shared)


def test_the_same_name_is_of_several_types(splits):
    for split, least in (("train", 15), ("test_seen", 10), ("test_unseen", 8), ("test_written", 8)):
        assert sum(len(types) > 1 for types in names(splits[split]).values()) >= least, split
    train = names(splits["train"])
    assert train["Washington"] >= {"PER", "LOC"} and train["Phoenix"] >= {"LOC", "ORG"}
    assert train["Ford"] == {"PER", "ORG"} and train["Jordan"] >= {"PER", "LOC"}


def test_names_are_marked_as_written():
    assert corpus.marked("In [LOC New York] [PER Ann O'Neil]'s son met [ORG the Red Cross], didn't he?") == Sentence(
        "In New York Ann O'Neil 's son met the Red Cross , didn't he ?".split(),
        "O B-LOC I-LOC B-PER I-PER O O O O B-ORG I-ORG O O O O".split())


@pytest.mark.parametrize("labels, expected", [
    ("", []),
    ("O O", []),
    ("B-PER I-PER O B-ORG", [("PER", 0, 2), ("ORG", 3, 4)]),
    ("B-LOC B-LOC I-LOC", [("LOC", 0, 1), ("LOC", 1, 3)]),
    ("B-ORG I-ORG I-ORG B-PER", [("ORG", 0, 3), ("PER", 3, 4)]),
])
def test_spans(labels, expected):
    assert spans(labels.split()) == expected


def test_spans_are_those_of_seqeval(splits):
    labeling = pytest.importorskip("seqeval.metrics.sequence_labeling")
    for sentence in splits["test_seen"]:
        assert spans(sentence.labels) == [(type, start, end + 1) for type, start, end
                                          in labeling.get_entities(sentence.labels)]


def test_first_piece_has_the_label():
    aligned = align(SMALL, ["Anna", "joined", "Bosch", "&", "Sons"], ["B-PER", "O", "B-ORG", "I-ORG", "I-ORG"])
    assert aligned.ids == [2, 5, 6, 7, 8, 9, 10, 3]
    assert aligned.words == [None, 0, 1, 2, 2, 3, 4, None]
    assert [LABELS[target] if target != IGNORED else None for target in aligned.targets] == [
        None, "B-PER", "O", "B-ORG", None, "I-ORG", "I-ORG", None]
    cut = align(SMALL, ["Anna", "joined", "Bosch"], ["B-PER", "O", "B-ORG"], max_length=5)
    assert cut.ids == [2, 5, 6, 7, 3] and cut.words == [None, 0, 1, 2, None]
    assert cut.targets == [IGNORED, LABELS.index("B-PER"), 0, LABELS.index("B-ORG"), IGNORED]


def test_alignment_is_that_of_the_library(splits):
    transformers = pytest.importorskip("transformers")
    folder = pretrained.installed()
    if folder is None:
        pytest.skip("needs the extra offline")
    ours, theirs = WordPiece.load(folder / "vocab.txt"), transformers.AutoTokenizer.from_pretrained(folder)
    pieces = 0
    for split, max_length in (("test_unseen", None), ("test_written", None), ("test_written", 12)):
        for words, labels in splits[split]:
            aligned = align(ours, words, labels, max_length)
            expected = theirs(words, is_split_into_words=True, truncation=max_length is not None,
                              max_length=max_length)
            assert aligned.ids == expected["input_ids"] and aligned.words == expected.word_ids()
            before = [None, *expected.word_ids()]
            assert aligned.targets == [LABELS.index(labels[word]) if word is not None and word != last else -100
                                       for last, word in zip(before, expected.word_ids())]
            pieces += aligned.targets.count(-100) - 2
    assert pieces > 250


def test_batch_is_padded_with_targets_that_are_ignored():
    batch, targets = align_batch(SMALL, [Sentence(["Bosch"], ["B-ORG"]),
                                         Sentence(["Anna", ",", "Bo"], ["B-PER", "O", "O"])])
    assert batch.ids.tolist() == [[2, 7, 8, 3, 0], [2, 5, 11, 7, 3]]
    assert batch.mask.tolist() == [[True] * 4 + [False], [True] * 5] and not batch.segment_ids.any()
    organisation, person = LABELS.index("B-ORG"), LABELS.index("B-PER")
    assert np.array_equal(targets, [[-100, organisation, -100, -100, -100], [-100, person, 0, 0, -100]])


def figures(splits):
    """The figures of the data card, in the order in which they stand there."""
    yield from (f"{len(made):,}" for made in splits.values())
    train = splits["train"]
    yield f"{sum(len(sentence.words) for sentence in train):,}"
    counts = Counter(span.type for sentence in train for span in spans(sentence.labels))
    yield from (f"{counts[type]:,}" for type in ("PER", "ORG", "LOC"))
    yield str(sum(not spans(sentence.labels) for sentence in train))
    yield str(sum(len(types) > 1 for types in names(train).values()))
    yield str(len(corpus.lines("templates.txt")))
    yield from (str(len(corpus.lines(name))) for name in ("written_train.txt", "written_test.txt"))


def test_figures_of_the_data_card(splits):
    card = (data_folder() / "entities.md").read_text(encoding="utf-8")
    counts = card[card.index("**Counts.**"):card.index("**What it is for.**")]
    assert re.findall(r"(?<![\w,.])\d+(?:[,.]\d+)*(?: %)?", counts) == list(figures(splits))


def test_a_file_that_cannot_be_is_named(tmp_path):
    path = tmp_path / "own.conll"
    path.write_text("Anna B-PER\n. O\n\nIn O\nYork I-LOC\n", encoding="utf-8")
    with pytest.raises(ValueError, match="own.conll, sentence from line 4: label 1 is I-LOC after O, expected I-LOC"):
        corpus.read_conll(path)
    path.write_text("Anna B-PER\nleft\n", encoding="utf-8")
    with pytest.raises(ValueError, match="own.conll, line 2 has 1 columns, expected a word and a label"):
        corpus.read_conll(path)


@pytest.mark.parametrize("call, message", [
    (lambda: entities("test"), "unknown split 'test', expected one of 'train', 'validation', 'test_seen'"),
    (lambda: spans(["O", "I-PER"]), "label 1 is I-PER after O, expected I-PER only after B-PER or I-PER"),
    (lambda: spans(["B-LOC", "I-PER"]), "label 1 is I-PER after B-LOC, expected I-PER only after B-PER or I-PER"),
    (lambda: spans(["I-ORG"]), "label 0 is I-ORG at the start, expected I-ORG only after B-ORG or I-ORG"),
    (lambda: spans(["O", "B-MISC"]), "label 1 is 'B-MISC', expected one of O, B-PER, I-PER"),
    (lambda: align(SMALL, ["Anna", ","], ["O"]), "labels has length 1, words have 2"),
    (lambda: align(SMALL, ["Anna", ","], ["O", "I-PER"]), "label 1 is I-PER after O"),
    (lambda: align(SMALL, ["Anna"], ["O"], max_length=1), "max_length is 1, expected at least 2"),
])
def test_wrong_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
