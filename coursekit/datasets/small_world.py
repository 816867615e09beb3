"""A small world: sentences about people, animals, countries and food, made by a grammar whose structure is known."""

import numpy as np

from coursekit.shapes import expect_at_least

# Of each relation the pairs of words, and what is said of both words of a pair.
PEOPLE = {
    ("king", "queen"): ("ruled", "crown"), ("prince", "princess"): ("inherited", "castle"),
    ("duke", "duchess"): ("visited", "estate"), ("emperor", "empress"): ("conquered", "empire"),
    ("father", "mother"): ("raised", "children"), ("son", "daughter"): ("obeyed", "parents"),
    ("brother", "sister"): ("teased", "siblings"), ("husband", "wife"): ("married", "spouse"),
    ("uncle", "aunt"): ("invited", "cousins"), ("man", "woman"): ("painted", "house"),
    ("boy", "girl"): ("missed", "school"), ("actor", "actress"): ("learned", "role"),
    ("waiter", "waitress"): ("served", "guests"), ("monk", "nun"): ("whispered", "prayers"),
}
ANIMALS = {
    ("dog", "puppy"): ("chewed", "bone"), ("cat", "kitten"): ("chased", "mouse"),
    ("cow", "calf"): ("crossed", "meadow"), ("horse", "foal"): ("jumped", "fence"),
    ("sheep", "lamb"): ("lost", "wool"), ("duck", "duckling"): ("swam", "pond"),
    ("pig", "piglet"): ("rolled", "mud"), ("hen", "chick"): ("picked", "grain"),
    ("goat", "kid"): ("climbed", "rocks"), ("swan", "cygnet"): ("crossed", "lake"),
}
CAPITALS = {
    ("france", "paris"): ("wine", "lavender"), ("italy", "rome"): ("pasta", "marble"),
    ("japan", "tokyo"): ("rice", "silk"), ("egypt", "cairo"): ("dates", "cotton"),
    ("kenya", "nairobi"): ("tea", "roses"), ("peru", "lima"): ("potatoes", "copper"),
    ("cuba", "havana"): ("sugar", "tobacco"), ("norway", "oslo"): ("salmon", "timber"),
    ("iran", "tehran"): ("carpets", "saffron"), ("chile", "santiago"): ("grapes", "salt"),
}
FOOD = ("bread", "cheese", "soup", "honey", "cake", "pie", "porridge", "stew", "salad", "butter")
RELATIONS = {"man to woman": tuple(PEOPLE), "grown to young": tuple(ANIMALS), "country to capital": tuple(CAPITALS)}

# What is said of the first words of all pairs of a relation, and of the second words.
GENDER = (("his", "he", "beard", "moustache"), ("her", "she", "gown", "necklace"))
AGE = (("old", "heavy", "strong", "tired"), ("newborn", "tiny", "clumsy", "hungry"))
SIGHTS = (("border", "army", "flag", "government"), ("streets", "airport", "mayor", "stations"))
# Where the first four pairs of people are met, the next five, and the rest.
PLACES = (("palace", "throne", "guards", "treasure"),) * 4 + (("garden", "kitchen", "family", "home"),) * 5 + (
    ("village", "market", "town", "neighbours"),) * 5
FARM = ("barn", "stable", "farm", "field")
TIMES = ("yesterday", "today", "tomorrow", "again", "often", "early", "late", "sometimes")
# Each word has habits of its own, which no relation explains.
HABITS = ("music", "rain", "chess", "letters", "apples", "candles", "bells", "flowers", "maps", "stones", "mirrors",
          "ships", "stars", "drums", "songs", "clocks", "feathers", "ribbons", "lanterns", "kites")
WORDS = [word for pairs in RELATIONS.values() for pair in pairs for word in pair]


def small_world(n, seed=0):
    """n sentences of the small world, each a list of lower-case words; the same seed gives the same sentences.

    Raises ValueError for n below 1 and for a seed below 0.
    """
    expect_at_least("n", n, 1)
    expect_at_least("seed", seed, 0)
    rng = np.random.default_rng(seed)

    def one_of(options):
        return options[rng.integers(len(options))]

    kinds = (person, person, person, animal, animal, country, country, meal)
    return [one_of(kinds)(one_of).split() for _ in range(n)]


def analogies():
    """All questions that the relations give: list of (relation, a, b, c, d), where b is to a as d is to c.

    Of every relation each pair beside each other pair, in both directions.
    """
    return [(relation, *first[::step], *second[::step]) for relation, pairs in RELATIONS.items() for step in (1, -1)
            for first in pairs for second in pairs if first != second]


def habit(word, one_of):
    place = WORDS.index(word)
    return HABITS[(7 * place + one_of((0, 3))) % len(HABITS)]


def person(one_of):
    pair = one_of(RELATIONS["man to woman"])
    verb, thing = PEOPLE[pair]
    gender = one_of((0, 1))
    word, (his, he, *worn) = pair[gender], GENDER[gender]
    place = one_of(PLACES[RELATIONS["man to woman"].index(pair)])
    return one_of((
        f"the {word} {verb} {one_of(TIMES)} in the {place}",
        f"the {word} forgot {his} {thing} {one_of(TIMES)}",
        f"people saw the {word} in the {place} {one_of(TIMES)}",
        f"the {word} left {his} {one_of(worn)} near the {place}",
        f"the {word} said {he} likes {habit(word, one_of)}",
        f"{one_of(TIMES)} the {word} dreamed of {habit(word, one_of)}",
    ))


def animal(one_of):
    pair = one_of(RELATIONS["grown to young"])
    verb, thing = ANIMALS[pair]
    age = one_of((0, 1))
    word, quality = pair[age], one_of(AGE[age])
    return one_of((
        f"the {quality} {word} {verb} {one_of(TIMES)}",
        f"a {quality} {word} by the {thing}",
        f"the {quality} {word} slept in the {one_of(FARM)}",
        f"people fed the {word} in the {one_of(FARM)} {one_of(TIMES)}",
        f"the {word} listened to {habit(word, one_of)} {one_of(TIMES)}",
    ))


def country(one_of):
    pair = one_of(RELATIONS["country to capital"])
    product = one_of(CAPITALS[pair])
    capital = one_of((0, 1))
    word, sight = pair[capital], one_of(SIGHTS[capital])
    return one_of((
        f"people in {word} sell {product} {one_of(TIMES)}",
        f"the {sight} of {word} changed {one_of(TIMES)}",
        f"they saw the {sight} of {word} and bought {product}",
        f"a book about {word} and {habit(word, one_of)}",
        f"{one_of(TIMES)} the {sight} in {word} was closed",
    ))


def meal(one_of):
    return one_of((
        f"they cooked {one_of(FOOD)} with {one_of(FOOD)} {one_of(TIMES)}",
        f"people like warm {one_of(FOOD)} {one_of(TIMES)}",
        f"a plate of {one_of(FOOD)} and {one_of(FOOD)}",
    ))
