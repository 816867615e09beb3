"""The product reviews: made by frames with mirror images, beside two sets that were written by hand."""

import re
from collections import Counter

import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from coursekit.datasets.reviews import (KINDS, OPPOSITE, SPLITS, VALIDATION_PRODUCTS, Review, generate, parts, path,
                                        reviews, sentence_case)

ROWS = {split: reviews(split) for split in SPLITS}
WRITTEN_BY_HAND = ("test", "hard")
MADE = tuple(split for split in SPLITS if split not in WRITTEN_BY_HAND)


def words(text):
    return re.findall(r"[\w'-]+", text.lower())


def runs(text, length):
    """All runs of so many words."""
    found = words(text)
    return {tuple(found[i:i + length]) for i in range(len(found) - length + 1)}


def pairs(rows):
    found = {}
    for row in rows:
        found.setdefault(row.pair, []).append(row)
    found.pop(None, None)
    return list(found.values())


def test_stored_files_are_what_the_generator_makes():
    assert generate() == {split: ROWS[split] for split in MADE}


def test_counts_of_the_card():
    assert {split: len(rows) for split, rows in ROWS.items()} == {
        "train": 1600, "validation": 200, "test": 140, "hard": 164, "unseen": 240}
    assert {split: len(pairs(rows)) for split, rows in ROWS.items()} == {
        "train": 800, "validation": 100, "test": 37, "hard": 42, "unseen": 120}
    texts = {split: [words(row.text) for row in ROWS[split]] for split in ("train", "test", "hard")}
    lengths = {split: sorted(map(len, found)) for split, found in texts.items()}
    assert {split: (found[0], found[len(found) // 2], found[-1]) for split, found in lengths.items()} == {
        "train": (3, 13, 33), "test": (4, 15, 29), "hard": (4, 17, 37)}
    assert {split: len(set(sum(found, []))) for split, found in texts.items()} == {
        "train": 1144, "test": 658, "hard": 900}


def test_first_line_by_hand():
    assert ROWS["test"][:2] == [
        Review("The camera quality is excellent, but the battery life is disappointing.", 0, "but", "phone", "battery",
               1),
        Review("The battery life is disappointing, but the camera quality is excellent.", 1, "but", "phone", "camera",
               1)]


def test_files_are_plain_tsv_in_utf8_with_names_of_columns():
    for split in SPLITS:
        lines = path(split).read_bytes().decode("utf-8").splitlines()
        assert lines[0] == "text\tlabel\tkind\tproduct\taspect\tpair"
        assert all(line.count("\t") == 5 for line in lines)


def test_no_text_stands_twice_in_the_whole_corpus():
    counts = Counter(" ".join(words(row.text)) for rows in ROWS.values() for row in rows)
    assert counts.most_common(1)[0][1] == 1


@pytest.mark.parametrize("split", SPLITS)
def test_labels_and_kinds(split):
    labels = Counter(row.label for row in ROWS[split])
    assert labels[0] == labels[1] == len(ROWS[split]) // 2
    assert {row.kind for row in ROWS[split]} == set(KINDS) - ({"irony"} if split == "test" else set())
    assert all(row.text and row.product and row.aspect and len(words(row.text)) >= 3 for row in ROWS[split])


@pytest.mark.parametrize("split", SPLITS)
def test_mirror_images_have_opposite_labels_and_stand_next_to_each_other(split):
    for pair in pairs(ROWS[split]):
        assert sorted(row.label for row in pair) == [0, 1]
        assert ROWS[split].index(pair[1]) == ROWS[split].index(pair[0]) + 1
    for n in range(0, len(ROWS[split]) + 1, 20) if split in MADE else ():
        assert sum(row.label for row in ROWS[split][:n]) == n // 2


def test_many_mirror_images_have_the_very_same_words():
    # Where both opinions are spoken, counting words cannot tell a review from its mirror image.
    said = [Counter(words(first.text)) == Counter(words(second.text)) for first, second in pairs(ROWS["train"])
            if {first.kind, second.kind} <= {"but", "although"}]
    assert (sum(said), len(said)) == (100, 263)
    camera, battery = ROWS["test"][:2]
    assert Counter(words(camera.text)) == Counter(words(battery.text))


@pytest.mark.parametrize("split", WRITTEN_BY_HAND)
def test_what_is_written_by_hand_shares_no_template_with_training(split):
    made = {run for name in MADE[:2] for row in ROWS[name] for run in runs(row.text, 5)}
    assert len(made) > 5000
    assert [row.text for row in ROWS[split] if made & runs(row.text, 5)] == []
    other = {run for row in ROWS[WRITTEN_BY_HAND[split == "test"]] for run in runs(row.text, 6)}
    assert [row.text for row in ROWS[split] if other & runs(row.text, 6)] == []


def test_adjectives_of_unseen_stand_nowhere_in_training():
    known = {word for split in ("train", "validation") for row in ROWS[split] for word in words(row.text)}
    new = {word for group in parts("words").values() for sense in ("new_good", "new_bad") for word in group[sense]}
    assert len(new) > 90 and not new & known
    negations = {prefix + word for word in new for prefix in ("un", "in", "dis")}
    assert not negations & known
    assert all(new & set(words(row.text)) for row in ROWS["unseen"])


def test_every_opinion_of_unseen_is_new():
    told = {word for group in parts("words").values() for sense in ("good", "bad") for word in group[sense]}
    written = [parts("frames")[group] for group in ("verdicts", "negated", "adverbs")]
    written += [each for product in parts("aspects").values() for each in product.values()]
    phrases = told.union(*(each.get(sense, []) for sense in ("good", "bad") for each in written))
    frames = " ".join(words(" ".join(sum(parts("frames")["frames"].values(), []))))
    opinions = {" ".join(words(phrase)) for phrase in phrases}
    opinions = {phrase for phrase in opinions if phrase not in frames}
    assert len(opinions) > 600
    for row in ROWS["unseen"]:
        text = f" {' '.join(words(row.text))} "
        assert not [phrase for phrase in opinions if f" {phrase} " in text], row.text


def test_validation_has_products_of_its_own():
    products = {split: {row.product for row in ROWS[split]} for split in MADE}
    assert products["validation"] == set(VALIDATION_PRODUCTS)
    assert not products["train"] & products["validation"] and len(products["train"]) == 18


def test_counting_words_is_near_chance_where_it_matters():
    texts, labels = ({split: [row[i] for row in rows] for split, rows in ROWS.items()} for i in (0, 1))
    model = make_pipeline(TfidfVectorizer(), LogisticRegression(max_iter=1000)).fit(texts["train"], labels["train"])
    accuracy = {split: model.score(texts[split], labels[split]) for split in ("test", "hard", "unseen")}
    assert all(0.4 < share < 0.6 for share in accuracy.values()), accuracy


def test_no_aspect_and_no_length_tells_the_label():
    common = [row for row in ROWS["train"] if row.aspect in parts("aspects")["every"]]
    assert len(common) > 300 and 0.4 < sum(row.label for row in common) / len(common) < 0.6
    lengths = {label: [len(words(row.text)) for row in ROWS["train"] if row.label == label] for label in (0, 1)}
    assert abs(sum(lengths[1]) - sum(lengths[0])) < 800 * 0.5


def test_both_senses_of_every_phrase_are_written():
    frames, aspects = parts("frames"), parts("aspects")
    for senses in (frames["verdicts"], frames["negated"], frames["adverbs"]):
        assert len(senses["good"]) == len(senses["bad"]) == len(set(senses["good"]) | set(senses["bad"])) / 2
    named = [each for product in ("every", *aspects["products"]) for each in aspects[product].values()]
    assert all(len(each["good"]) >= 3 and len(each["bad"]) >= 3 for each in named)
    assert {each["words"] for each in named} <= set(parts("words"))


def test_every_slot_of_every_frame_is_known():
    slots = set(re.findall(r"{(\w+)}", " ".join(sum(parts("frames")["frames"].values(), []))))
    neutral = {"noun", "is", "isnt", "was", "product", "this", "it", "is_it", "opening", "context"}
    assert slots == set(OPPOSITE) | set(OPPOSITE.values()) | neutral


def test_sentence_case_by_hand():
    assert sentence_case("it broke. i mean it! 3 days? so: no") == "It broke. I mean it! 3 days? So: no"
    assert sentence_case('he says: "it is bad." wrong') == 'He says: "It is bad." Wrong'


def test_wrong_split():
    with pytest.raises(ValueError, match="unknown split 'dev', expected one of 'train', 'validation', "):
        reviews("dev")
