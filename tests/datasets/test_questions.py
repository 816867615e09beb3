"""The questions: stored files, splits, answers in their place, and what each kind of paragraph promises."""

import re

import pytest

from coursekit.datasets import data_folder
from coursekit.datasets.questions import Question, check, corpus, generate, questions, story


@pytest.fixture(scope="module")
def splits():
    return {split: questions(split) for split in corpus.SPLITS}


def paragraphs(records):
    return {record.paragraph for record in records}


def test_stored_files_are_what_the_generator_makes(splits):
    assert generate() == splits
    assert tuple(splits) == corpus.SPLITS


def test_every_paragraph_is_in_one_split_only(splits):
    every = [paragraph for records in splits.values() for paragraph in paragraphs(records)]
    assert len(set(every)) == len(every)
    for records in splits.values():
        asked = [(record.paragraph, record.question) for record in records]
        assert len(set(asked)) == len(asked)


def test_answers_are_whole_words_at_their_place(splits):
    for records in splits.values():
        for paragraph, question, answer, start in records:
            assert question.endswith("?") and "{" not in question + paragraph and "<" not in paragraph
            assert "  " not in paragraph and paragraph[-1] in ".\""
            if answer:
                end = start + len(answer)
                assert paragraph[start:end] == answer.strip()
                assert not paragraph[:start][-1:].isalnum() and not paragraph[end:][:1].isalnum()
            else:
                assert start == -1


def test_a_quarter_has_no_answer(splits):
    for split, records in splits.items():
        share = sum(not record.answer for record in records) / len(records)
        assert 0.2 < share < 0.3, split


def test_generated_answers_stand_once_in_their_paragraph(splits):
    """What is asked for is nowhere else in the paragraph, but in four (law, and against the law; with its two)."""
    several = [record for split, records in splits.items() for record in records if split != "written"
               and record.answer and len(re.findall(rf"(?<!\w){re.escape(record.answer)}(?!\w)", record.paragraph)) > 1]
    assert len(several) == 4


def test_unseen_names_are_unseen(splits):
    names = corpus.tomllib.loads(corpus.read("names.toml"))
    told = " ".join(paragraphs(splits["train"]))
    for split in ("test_unseen", "two_people"):
        text = " ".join(paragraphs(splits[split]))
        for kind in ("she", "he", "last"):
            assert not any(re.search(rf"\b{name}\b", told) for name in names["unseen"][kind].split())
            assert not any(re.search(rf"\b{name}\b", text) for name in names["seen"][kind].split())
        for kind in ("town", "firm"):
            assert not any(name.strip() in told for name in names["unseen"][kind].split("|"))
            assert not any(name.strip() in text for name in names["seen"][kind].split("|"))


def test_a_person_is_named_in_full_before_pronouns(splits):
    names = corpus.tomllib.loads(corpus.read("names.toml"))["seen"]
    firsts = "|".join([*names["she"].split(), *names["he"].split()])
    full = re.compile(rf"(?:{firsts}) (?:{'|'.join(names['last'].split())})\b")
    openings = [opening.removeprefix("{S}") for opening in story.OPENINGS.values()]
    for paragraph in paragraphs(splits["train"]):
        first = re.split(r"(?<=\.) ", paragraph)[0]
        assert full.search(first) or any(first.endswith(opening) for opening in openings), paragraph


def test_two_people_have_the_same_facts(splits):
    """Two full names in every paragraph; and the answer to another's question is often there."""
    names = corpus.tomllib.loads(corpus.read("names.toml"))["unseen"]
    firsts = "|".join([*names["she"].split(), *names["he"].split()])
    full = re.compile(rf"\b(?:{firsts}) (?:{'|'.join(names['last'].split())})\b")
    for paragraph in paragraphs(splits["two_people"]):
        found = set(full.findall(paragraph))
        assert len(found) == 2 and len({word for name in found for word in name.split()}) == 4, paragraph


def test_the_split_by_hand_is_long_and_varied(splits):
    by_hand = splits["written"]
    lengths = [len(paragraph.split()) for paragraph in paragraphs(by_hand)]
    assert len(lengths) >= 30 and len(by_hand) >= 90 and min(lengths) >= 45
    firsts = {record.question.split()[0] for record in by_hand}
    assert firsts >= {"Who", "What", "When", "Where", "Why", "How", "Which"}


def test_facts_say_their_answer_once_and_name_a_person():
    for kind, facts in story.parse(corpus.read("facts.txt")).items():
        for fact in facts:
            told = fact.group != "filler"
            assert all(statement.count("<") == statement.count(">") == told for statement in fact.statements), fact
            assert bool(fact.questions) == told
            if kind == "person":
                assert any(story.MENTION.search(statement) for statement in fact.statements), fact
                assert all("{name}" in question for question in fact.questions), fact


def figures(splits):
    """The figures of the data card, in the order in which they stand there."""
    for records in splits.values():
        yield f"{len(records):,}"
    yield f"{len(paragraphs(splits['train'])):,}"
    yield str(len(paragraphs(splits["written"])))
    yield str(sum(not record.answer for record in splits["written"]))
    for split in ("train", "two_people", "written"):
        yield str(sorted(len(record.paragraph.split()) for record in splits[split])[len(splits[split]) // 2])
    facts = story.parse(corpus.read("facts.txt"))
    yield str(sum(fact.group != "filler" for kind in facts.values() for fact in kind))
    yield str(sum(len(fact.statements) for kind in facts.values() for fact in kind))
    yield str(sum(len(fact.questions) for kind in facts.values() for fact in kind))


def test_figures_of_the_data_card(splits):
    card = (data_folder() / "questions.md").read_text(encoding="utf-8")
    counts = card[card.index("**Counts.**"):card.index("**What it is for.**")]
    assert re.findall(r"(?<![\w,.])\d+(?:[,.]\d+)*(?: %)?", counts) == list(figures(splits))


def test_a_file_that_cannot_be_is_named(tmp_path):
    path = tmp_path / "own.tsv"
    head = "paragraph\tquestion\tanswer\tstart\n"
    path.write_text(head + "Ann was born in York.\tWhere?\tYork\t16\nAnn left.\tWho left?\tAnn\t1\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"own.tsv, line 3 \('Who left\?'\) has the answer 'Ann' at start 1, where the "
                                         "paragraph has 'nn ': it is at 0"):
        corpus.read_tsv(path)
    path.write_text(head + "Ann left.\tWho left?\tAnn\n", encoding="utf-8")
    with pytest.raises(ValueError, match="own.tsv, line 2 has 3 columns, expected paragraph, question, answer, start"):
        corpus.read_tsv(path)
    path.write_text(head + "Ann left.\tWho left?\tAnn\tone\n", encoding="utf-8")
    with pytest.raises(ValueError, match="own.tsv, line 2 has start 'one', expected a whole number"):
        corpus.read_tsv(path)


@pytest.mark.parametrize("call, message", [
    (lambda: questions("test"), "unknown split 'test', expected one of 'train', 'validation', 'test_seen'"),
    (lambda: check(Question("Ann left.", "Who?", "Bob", 0), "question 7"),
     r"question 7 \('Who\?'\) has the answer 'Bob' at start 0, where the paragraph has 'Ann': it is nowhere in"),
    (lambda: check(Question("Ann left Ann.", "Who?", "Ann", -1)), "start -1, where the paragraph has '': it is at 0"),
    (lambda: check(Question("Ann left.", "Who?", "left.", 5)), "it is at 4"),
    (lambda: check(Question("Ann left.", "Who?", "", 4)), "record has no answer but start 4, expected -1"),
    (lambda: check(Question(" ", "Who?", "", -1)), "record has an empty paragraph"),
    (lambda: check(Question("Ann left.", "", "", -1)), "record has an empty question"),
])
def test_wrong_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
