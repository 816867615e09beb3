"""The stored translation corpus: its files, splits, tokens, alignments, and the figures of its data card."""

import re
from collections import Counter, defaultdict
from random import Random

import pytest
from matplotlib.font_manager import FontProperties, findfont, get_font

from coursekit.datasets import data_folder
from coursekit.datasets.translation import Pair, corpus, detokenize, draw, generate, tokenize, translation
from coursekit.datasets.translation.lexicon import lexicon
from coursekit.datasets.translation.tokens import CAPITALS, LANGUAGES

OTHERS = ("validation", "test", "held_out")


@pytest.fixture(scope="module")
def rows():
    return generate()


@pytest.fixture(scope="module")
def counts(rows):
    """In how many training sentences a word of a language stands."""
    return Counter(word for row in rows["train"] for word in row.words)


def test_stored_files_are_what_the_grammar_makes(rows):
    assert tuple(rows) == ("train", "validation", "test", "held_out") == corpus.SPLITS
    for split, made in rows.items():
        stored = (data_folder() / "translation" / f"{split}.tsv").read_text(encoding="utf-8")
        assert stored == "\n".join(("\t".join(corpus.COLUMNS), *(row.line() for row in made))) + "\n"


@pytest.mark.parametrize("language, place", [("ru", 1), ("fr", 2)])
def test_loader_gives_the_sentences_and_alignments_of_the_grammar(rows, language, place):
    for split, made in rows.items():
        assert translation(language, split) == [
            Pair(row.sentences[0], row.sentences[place], row.construction, row.alignments[place - 1]) for row in made]


def test_source_sentences_are_in_the_test_set_with_their_alignment():
    to_russian, to_french = ({pair.english: pair for pair in translation(language, "test")}
                             for language in ("ru", "fr"))
    assert to_russian["The cat sat on the mat."].other == "Кот сел на коврик."
    assert to_french["The cat sat on the mat."].other == "Le chat s'est assis sur le tapis."
    pair = to_french["The black cat ate the mouse."]
    assert pair.other == "Le chat noir a mangé la souris."
    # the-le, black-noir, cat-chat, ate-a, ate-mangé, the-la, mouse-souris and the full stops
    assert pair.alignment == [(0, 0), (1, 2), (2, 1), (3, 3), (3, 4), (4, 5), (5, 6), (6, 7)]
    pair = to_russian["The black cat ate the mouse."]
    assert pair.other == "Чёрный кот съел мышь." and pair.alignment == [(1, 0), (2, 1), (3, 2), (5, 3), (6, 4)]
    pair = to_french["The cat ate the black mouse."]
    assert pair.other == "Le chat a mangé la souris noire." and (4, 6) in pair.alignment
    assert to_russian["The cat ate the black mouse."].other == "Кот съел чёрную мышь."


@pytest.mark.parametrize("english, other, language, expected", [
    # in-au, the-au: a contraction stands for both
    ("at the museum", "au musée", "fr", [(0, 0), (1, 0), (2, 1)]),
    ("has", "у есть", "ru", None),
])
def test_merged_words_keep_both_meanings(rows, english, other, language, expected):
    place = LANGUAGES.index(language)
    en, tr = english.split(), other.split()
    row = next(row for split in rows.values() for row in split
               if " ".join(en) in " ".join(row.tokens[0]) and set(tr) <= set(row.tokens[place]))
    pairs = {(row.tokens[0][i], row.tokens[place][j]) for i, j in row.alignments[place - 1]}
    assert pairs >= ({(en[i], tr[j]) for i, j in expected} if expected else {("has", "у"), ("has", "есть")})


def test_no_sentence_stands_twice_in_any_language(rows):
    for place in range(3):
        sentences = [row.sentences[place] for split in rows.values() for row in split]
        assert len(set(sentences)) == len(sentences)


def test_words_of_the_other_splits_are_frequent_in_training(rows, counts):
    for split in OTHERS:
        assert min(counts[word] for row in rows[split] for word in row.words) >= 12


@pytest.mark.parametrize("language, place, agreements", [
    ("ru", 1, ["чёрный", "чёрная", "чёрные", "чёрную", "чёрных"]),
    ("fr", 2, ["noir", "noire", "noirs", "noires"]),
])
def test_black_is_frequent_enough_in_training_to_learn_its_agreement(rows, counts, language, place, agreements):
    assert min(counts[language, form] for form in agreements) >= 40
    black_subject = [row.tokens[place] for row in rows["train"] if row.tokens[0][1:3] == ("black", "cat")]
    assert len(black_subject) >= 8, "a black cat that does something"
    test = [row for row in rows["test"] if "black" in row.tokens[0]]
    assert len(test) >= 15 and len({token for row in test for token in row.tokens[place]} & {*agreements}) >= 3


def test_training_never_shows_the_held_out_construction(rows):
    constructions = {split: {row.construction for row in made} for split, made in rows.items()}
    assert constructions["held_out"] == {"possession_negated"}
    assert len(constructions["train"]) == 29 and "possession_negated" not in constructions["train"]
    assert constructions["test"] == constructions["validation"] == constructions["train"]
    assert not any({"have", "has"} & set(row.tokens[0]) and "not" in row.tokens[0] and row.construction == "possession"
                   for row in rows["train"])


def test_one_english_sentence_has_one_translation():
    drawing, translations = draw.Draw(Random(1)), {}
    for pair in zip(*(translation(language, split) for language in ("ru", "fr") for split in ["train"])):
        translations[pair[0].english] = tuple(each.other for each in pair)
    for construction in (*draw.CONSTRUCTIONS, draw.HELD_OUT):
        for _ in range(120):
            english, *others = corpus.make_row(construction, construction(drawing)).sentences
            assert translations.setdefault(english, tuple(others)) == tuple(others)


def test_tokens_and_back(rows):
    for made in rows.values():
        for row in made:
            for language, tokens, sentence in zip(LANGUAGES, row.tokens, row.sentences):
                assert tuple(tokenize(sentence, language)) == tokens
                assert detokenize(tokens, language) == sentence


@pytest.mark.parametrize("sentence, language, tokens", [
    ("The teacher's book is on the table.", "en", "the teacher 's book is on the table ."),
    ("I found Anna's key on Monday.", "en", "I found Anna 's key on Monday ."),
    ("Open the window!", "en", "open the window !"),
    ("Анна купила хлеб, который ест кот.", "ru", "Анна купила хлеб , который ест кот ."),
    ("L'homme n'a pas d'ami.", "fr", "l' homme n' a pas d' ami ."),
    ("Qu'est-ce qu'Anna a lu ?", "fr", "qu' est-ce qu' Anna a lu ?"),
    ("Aujourd'hui, j'achète du pain.", "fr", "aujourd'hui , j' achète du pain ."),
    ("Donnez-moi la clé, s'il vous plaît.", "fr", "donnez-moi la clé , s' il vous plaît ."),
])
def test_tokens_by_hand(sentence, language, tokens):
    assert tokenize(sentence, language) == tokens.split()
    assert detokenize(tokens.split(), language) == sentence


def test_words_with_a_capital_are_known():
    words = lexicon()
    forms = {form for noun in words.nouns.values() if "name" in noun.kinds
             for form in (noun.english[0], noun.french[0], *(pair[0] for pair in noun.russian.values()))}
    assert forms <= CAPITALS and {"I", "French", "Italian", "Russian", "Monday", "Mondays"} <= CAPITALS


def test_alignments_are_inside_the_sentences_and_cover_what_is_said(rows):
    """Without a counterpart are only the commas of Russian and the articles, est-ce que and que of French."""
    for made in rows.values():
        for row in made:
            for tokens, links in zip(row.tokens[1:], row.alignments):
                assert links == sorted(set(links)) and max(i for i, _ in links) < len(row.tokens[0])
                assert max(j for _, j in links) < len(tokens)
            russian = {j for _, j in row.alignments[0]}
            free = {token for j, token in enumerate(row.tokens[1]) if j not in russian}
            assert free <= {","}, row
            french = {j for _, j in row.alignments[1]}
            free = {token for j, token in enumerate(row.tokens[2]) if j not in french}
            assert free <= set("des de d' la du l' le les un une est-ce que qu' ,".split()), row


def forms(rows, place):
    """How often each English word of the training split is aligned with each word of the translation."""
    table = defaultdict(Counter)
    for row in rows["train"]:
        for i, j in row.alignments[place - 1]:
            table[row.tokens[0][i]][row.tokens[place][j]] += 1
    return table


def word_by_word(rows, place):
    """Share of test sentences that are right when every English word becomes its most frequent translation."""
    best = {english: table.most_common(1)[0][0] for english, table in forms(rows, place).items()}
    return sum(tuple(best[token] for token in row.tokens[0] if token in best) == row.tokens[place]
               for row in rows["test"]) / len(rows["test"])


def bigrams(row, place):
    return set(zip(row.tokens[place], row.tokens[place][1:]))


def figures(rows):
    """The figures of the data card, in the order in which they stand there."""
    every = [row for made in rows.values() for row in made]
    lengths = sorted(len(row.tokens[0]) for row in every)
    words = lexicon()
    yield from (f"{len(rows[split]):,}" for split in rows)
    yield f"{len(every):,}"
    yield from (str(len(table)) for table in (words.nouns, words.adjectives, words.verbs))
    yield from (f"{len({token for row in every for token in row.tokens[place]}):,}" for place in range(3))
    yield from (str(lengths[at]) for at in (0, len(lengths) // 2, -1))
    for place in (1, 2):
        table = forms(rows, place)
        yield f"{100 * sum(len(each) > 1 for each in table.values()) / len(table):.0f} %"
    for place in (1, 2):
        yield f"{100 * word_by_word(rows, place):.1f} %"
    for place in (1, 2):
        seen = set().union(*(bigrams(row, place) for row in rows["train"]))
        tests = [bigram for row in rows["test"] for bigram in bigrams(row, place)]
        yield f"{100 * sum(bigram in seen for bigram in tests) / len(tests):.0f} %"


def test_every_letter_can_be_drawn_in_a_figure(rows):
    font = get_font(findfont(FontProperties(), fallback_to_default=False))
    letters = {letter for made in rows.values() for row in made for sentence in row.sentences for letter in sentence}
    assert {"ё", "Ч", "œ", "ç"} <= letters
    assert not [letter for letter in letters if not font.get_char_index(ord(letter))]


def test_figures_of_the_data_card(rows):
    card = (data_folder() / "translation.md").read_text(encoding="utf-8")
    counts = card[card.index("**Counts.**"):card.index("**What it is for.**")]
    assert re.findall(r"(?<![\w,.])\d+(?:[,.]\d+)*(?: %)?", counts) == list(figures(rows))


@pytest.mark.parametrize("call, message", [
    (lambda: translation("de"), "unknown language 'de', expected one of 'ru', 'fr'"),
    (lambda: translation("en"), "unknown language 'en', expected one of 'ru', 'fr'"),
    (lambda: translation("fr", "dev"), "unknown split 'dev', expected one of 'train', 'validation', "),
    (lambda: tokenize("Oui.", "de"), "unknown language 'de', expected one of 'en', 'ru', 'fr'"),
    (lambda: detokenize(["oui"], "de"), "unknown language 'de'"),
])
def test_wrong_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
