"""SQuAD's metrics by hand, windows against the library, spans against trying them all."""

from itertools import product
from random import Random

import numpy as np
import pytest

from coursekit import pretrained, squad
from coursekit.datasets.questions import questions
from coursekit.text import Vocabulary, WordPiece

SMALL = WordPiece(Vocabulary("[PAD] [UNK] [CLS] [SEP] [MASK] who is it an ##na b c d e f , paris ##ian".split()))


@pytest.mark.parametrize("prediction, answers, exact, f1", [
    ("The Glass Ferry!", "glass ferry", 1, 1),
    ("a  Ferry", "the ferry.", 1, 1),
    ("glass", "the glass ferry", 0, 2 / 3),  # precision 1, recall 1/2
    ("in the old town of York", "York", 0, 1 / 3),  # 5 words without the article: precision 1/5, recall 1
    ("red red bus", "red bus bus", 0, 2 / 3),  # words count as often as they stand in both
    ("theatre", "the atre", 0, 0),  # an article is a word of its own
    ("U.S.", "us", 1, 1), ("state-owned", "stateowned", 1, 1),  # punctuation goes and leaves no space
    ("9 May 1904", ["1904", "May 1904"], 0, 0.8), ("1904", ["9 May 1904", "1904"], 1, 1),
    ("", "", 1, 1), ("", [], 1, 1), ("York", "", 0, 0), ("", "York", 0, 0), ("York", [], 0, 0),
    ("the", "", 1, 1), ("“York”", "York", 0, 0),  # only ASCII punctuation, as in the published script
])
def test_metrics_by_hand(prediction, answers, exact, f1):
    assert squad.exact(prediction, answers) == exact
    assert squad.f1(prediction, answers) == pytest.approx(f1, abs=1e-12)


def test_f1_on_random_texts():
    """Against pairing off equal words one by one."""
    random, words = Random(0), "the a red Bus, bus. old! York 9 May an".split()
    some = 0
    for _ in range(2000):
        prediction, answer = (" ".join(random.choices(words, k=random.randrange(6))) for _ in range(2))
        ours, theirs = ([word.lower().strip(",.!") for word in text.split() if word not in ("the", "a", "an")]
                        for text in (prediction, answer))
        left, same = list(theirs), 0
        for word in ours:
            if word in left:
                left.remove(word)
                same += 1
        expected = float(ours == theirs) if not ours or not theirs else 2 * same / (len(ours) + len(theirs))
        assert squad.f1(prediction, answer) == pytest.approx(expected, abs=1e-12), (prediction, answer)
        assert squad.exact(prediction, answer) == (ours == theirs)
        some += 0 < expected < 1
    assert some > 500


def test_score_is_the_mean():
    assert squad.score(["the bus", "red", "", "York"], ["bus", ["red bus", "blue"], "", ""]) == {
        "exact": 0.5, "f1": pytest.approx((1 + 2 / 3 + 1 + 0) / 4)}


@pytest.fixture(scope="module")
def tokenizers():
    transformers = pytest.importorskip("transformers")
    folder = pretrained.installed()
    if folder is None:
        pytest.skip("needs the extra offline")
    return WordPiece.load(folder / "vocab.txt"), transformers.AutoTokenizer.from_pretrained(folder)


@pytest.mark.parametrize("max_length, stride", [(384, 128), (64, 16), (41, 9), (33, 1)])
def test_windows_are_those_of_the_library(tokenizers, max_length, stride):
    ours, theirs = tokenizers
    many = 0
    for record in questions("written")[:150:13]:
        found = squad.windows(ours, record.question, record.paragraph, max_length, stride)
        room = max_length - len(ours.tokenize(record.question)) - 3
        expected = theirs(record.question, record.paragraph, truncation="only_second", max_length=max_length,
                          stride=room - stride, return_overflowing_tokens=True, return_offsets_mapping=True)
        assert [window.ids for window in found] == expected["input_ids"]
        assert [window.segment_ids for window in found] == expected["token_type_ids"]
        for place, window in enumerate(found):
            offsets = [offset if part == 1 else None for offset, part in
                       zip(expected["offset_mapping"][place], expected.sequence_ids(place))]
            assert window.offsets == offsets
        many += len(found) > 2
    assert many or max_length == 384


def test_every_token_of_the_paragraph_is_in_a_window():
    paragraph = "b c d e f b c d anna"
    places = [place for _, place in SMALL.tokenize(paragraph)]
    for max_length, stride in product(range(9, 18), (1, 2, 3)):
        found = squad.windows(SMALL, "who is it", paragraph, max_length, stride)
        assert {offset for window in found for offset in window.offsets if offset} == set(places)
        assert all(len(window.ids) == len(window.segment_ids) == len(window.offsets) <= max_length for window in found)
    assert len(squad.windows(SMALL, "who", paragraph, 14, 1)) == 1


def test_token_span_finds_every_answer_again(tokenizers):
    for record in questions("written"):
        window, = squad.windows(tokenizers[0], record.question, record.paragraph, max_length=512)
        first, last = squad.token_span(window, record.answer, record.start)
        if record.answer:
            assert record.paragraph[window.offsets[first][0]:window.offsets[last][1]] == record.answer
        else:
            assert (first, last) == (0, 0)


def test_token_span_by_hand():
    window, = squad.windows(SMALL, "who", "b anna, c")  # [CLS] who [SEP] b an ##na , c [SEP]
    assert window.offsets == [None, None, None, (0, 1), (2, 4), (4, 6), (6, 7), (8, 9), None]
    assert squad.token_span(window, "anna", 2) == (4, 5)
    assert squad.token_span(window, "na, c", 4) == (5, 7)
    assert squad.token_span(window, "nn", 3) == (4, 5)  # inside a word: the tokens that hold it
    assert squad.token_span(window, "", -1) == (0, 0)
    first, second = squad.windows(SMALL, "who", "b anna, c", max_length=7, stride=2)  # b an ##na and ##na , c
    assert squad.token_span(first, "anna", 2) == (4, 5) and squad.token_span(second, "anna", 2) == (0, 0)
    assert squad.token_span(first, "anna, c", 2) == squad.token_span(second, "anna, c", 2) == (0, 0)


def test_best_span_is_the_best_of_all():
    rng = np.random.default_rng(0)
    for trial in range(300):
        length, padding, longest = int(rng.integers(1, 12)), int(rng.integers(0, 3)), int(rng.integers(1, 6))
        offsets = [None, None, *[(place, place + 1) for place in range(length)], None]
        starts, ends = rng.normal(size=(2, len(offsets) + padding))
        starts[len(offsets):], ends[len(offsets):] = 1e3, 1e3  # padding must not win
        starts[0] = ends[0] = 1e3  # nor [CLS]
        spans = [(starts[first] + ends[last], first, last) for first in range(2, 2 + length)
                 for last in range(first, min(first + longest, 2 + length))]
        assert squad.best_span(starts, ends, offsets, longest) == pytest.approx(max(spans)), trial


def test_best_answer_over_windows():
    paragraph = "b anna, c"
    both = squad.windows(SMALL, "who", paragraph, max_length=7, stride=2)  # b an ##na and ##na , c
    starts, ends = np.zeros((2, 2, 7))
    starts[0, 4], ends[0, 5] = 3, 2  # anna in the first window: 5
    starts[1, 5], ends[1, 5] = 2, 2  # c in the second: 4
    starts[0, 0], starts[1, 0] = 9, 4  # no answer: the least over the windows, 4
    assert squad.best_answer(paragraph, both, starts, ends) == ("anna", 2, 5, 4)
    assert squad.best_answer(paragraph, both, starts, ends, longest=1) == ("c", 8, 4, 4)
    assert squad.best_answer(paragraph, both, starts, ends, threshold=-1.5) == ("", -1, 5, 4)
    starts[1, 0] = 6
    assert squad.best_answer(paragraph, both, starts, ends) == ("", -1, 5, 6)
    assert squad.best_answer(paragraph, both, starts, ends, threshold=1) == ("anna", 2, 5, 6)


def test_batch_of_windows_is_padded():
    found = [*squad.windows(SMALL, "who", "b c"), *squad.windows(SMALL, "who is it", "anna, c")]
    batch = squad.batch(found)
    assert batch.ids.shape == batch.segment_ids.shape == batch.mask.shape == (2, 10)
    assert batch.ids[0].tolist() == [2, 5, 3, 10, 11, 3, 0, 0, 0, 0] and batch.ids[1].tolist() == found[1].ids
    assert batch.mask.sum(1).tolist() == [6, 10]
    assert batch.segment_ids[0].tolist() == [0, 0, 0, 1, 1, 1, 0, 0, 0, 0]


WINDOW = squad.windows(SMALL, "who", "b c d")  # 7 tokens


@pytest.mark.parametrize("call, message", [
    (lambda: squad.score(["b"], ["b", "c"]), "predictions has length 1, answers have 2"),
    (lambda: squad.score([], []), "the number of predictions is 0"),
    (lambda: squad.windows(SMALL, "who is it", "b", max_length=6),
     "the question has 3 tokens, expected at most 2 for max_length 6"),
    (lambda: squad.windows(SMALL, "who", " \n"), r"the paragraph ' \\n' has no tokens"),
    (lambda: squad.windows(SMALL, "who", "b c d e", max_length=7, stride=4), "stride is 4, expected at most 3"),
    (lambda: squad.windows(SMALL, "who", "b", stride=0), "stride is 0, expected a whole number of at least 1"),
    (lambda: squad.token_span(WINDOW[0], "b", -1), "start is -1 for the answer 'b'"),
    (lambda: squad.best_span(np.zeros(7), np.zeros(8), WINDOW[0].offsets),
     "end_scores has length 8, start_scores have 7"),
    (lambda: squad.best_span(np.zeros(6), np.zeros(6), WINDOW[0].offsets), "the length of start_scores is 6"),
    (lambda: squad.best_span(np.zeros(2), np.zeros(2), [None, None]), "no token of the window is of the paragraph"),
    (lambda: squad.best_span(np.zeros(7), np.zeros(7), WINDOW[0].offsets, longest=0), "longest is 0"),
    (lambda: squad.best_answer("b c d", WINDOW, np.zeros((2, 7)), np.zeros((1, 7))),
     "start_scores has rows 2, windows have 1"),
])
def test_wrong_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
