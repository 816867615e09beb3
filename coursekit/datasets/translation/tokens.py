"""Sentences to tokens and exactly back: one rule for each language."""

import re

from coursekit.shapes import expect_choice

LANGUAGES = ("en", "ru", "fr")
# Words that keep their capital inside a sentence; every other capital is the first letter of a sentence.
CAPITALS = frozenset(
    "I Anna Emma Nina Victor Martin Oscar Monday Tuesday Wednesday Thursday Friday Saturday Sunday Mondays Tuesdays "
    "Wednesdays Thursdays Fridays Saturdays Sundays French Russian Italian Анна Анны Анне Анну Анной Эмма Эммы Эмме "
    "Эмму Эммой Нина Нины Нине Нину Ниной Виктор Виктора Виктору Виктором Викторе Мартин Мартина Мартину Мартином "
    "Мартине Оскар Оскара Оскару Оскаром Оскаре".split())
TOKEN = {"en": r"'s\b|[^\s.,?!']+|[.,?!]", "ru": r"[^\s.,?!]+|[.,?!]", "fr": r"[Aa]ujourd'hui|[^\s.,?!']+'?|[.,?!]"}


def tokenize(sentence, language):
    """The tokens of a sentence of the corpus: words and punctuation marks.

    A French word ends at its apostrophe ("l'", "homme"; not in "aujourd'hui"), the English possessive stands alone
    ("teacher", "'s"), hyphens stay inside words. The capital of the first word goes, unless the word always has one
    ("I", "Anna").
    """
    expect_choice("language", language, LANGUAGES)
    tokens = re.findall(TOKEN[language], sentence)
    if tokens and tokens[0] not in CAPITALS:
        tokens[0] = tokens[0][:1].lower() + tokens[0][1:]
    return tokens


def detokenize(tokens, language):
    """The written sentence of its tokens; `detokenize(tokenize(sentence, language), language) == sentence`.

    No space stands before a full stop, a comma or "'s", nor after a French apostrophe; before ? and ! there is a
    plain space in French and none in English and Russian.
    """
    expect_choice("language", language, LANGUAGES)
    text = " ".join(tokens)
    text = re.sub(r" ([.,])" if language == "fr" else r" ([.,?!]|'s\b)", r"\1", text)
    if language == "fr":
        text = text.replace("' ", "'")
    return text[:1].upper() + text[1:]
