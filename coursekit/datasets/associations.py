"""A pretraining corpus whose associations are known: who works as what, when, and what is bought where.

The tables are invented. No number in them says anything about people or places outside this corpus.
"""

from itertools import islice
from zlib import crc32

from coursekit.datasets.grammar import MASK, Grammar, Kind
from coursekit.shapes import expect_at_least, expect_choice
from coursekit.text.vocabulary import Vocabulary
from coursekit.text.wordpiece import SPECIAL

SHARES = {"work": 0.45, "place": 0.35, "fishing": 0.04, "shopping": 0.04, "coffee": 0.04, "garden": 0.04,
          "ice cream": 0.04}
YEARS = {1908: 0.5, 2018: 0.5}
PLACES = {"Texas": 0.28, "New York": 0.28, "Florida": 0.14, "Alaska": 0.12, "Maine": 0.10, "Kansas": 0.08}

# How often a name is given in each of the years, relative to the other names of its gender.
NAMES = {
    "she": {"Jane": (5, 5), "Mary": (4, 4), "Ramona": (1, 1), "Ethel": (6, 0), "Susan": (2, 4), "Chloe": (0, 6)},
    "he": {"Jim": (5, 5), "John": (4, 4), "Paul": (1, 1), "Walter": (6, 0), "Gary": (2, 4), "Liam": (0, 6)},
}
OTHER_FORMS = {"she": {"him": "her", "his": "her"}, "he": {"him": "him", "his": "his"}}

# Of a hundred people of that year and pronoun, how many work as what. Women who drive in 1908 and men who cook in 2018
# are there to be found: they go against what one might expect.
OCCUPATIONS = {
    (1908, "she"): dict(nurse=36, cook=26, teacher=20, secretary=10, driver=8),
    (1908, "he"): dict(farmer=40, miner=28, carpenter=18, driver=8, teacher=6),
    (2018, "she"): dict(doctor=34, programmer=20, teacher=20, secretary=16, nurse=10),
    (2018, "he"): dict(programmer=34, driver=22, cook=18, carpenter=14, doctor=12),
}
WORKPLACES = {
    "carpenter": dict(workshop=90, yard=10), "cook": dict(kitchen=80, restaurant=20),
    "doctor": dict(hospital=60, clinic=40), "driver": dict(garage=70, yard=30), "farmer": dict(field=60, barn=40),
    "miner": dict(mine=80, yard=20), "nurse": dict(hospital=80, clinic=20), "programmer": dict(office=80, cellar=20),
    "secretary": dict(office=100), "teacher": dict(school=70, library=30),
}
TOOLS = {
    "carpenter": dict(hammer=60, saw=40), "cook": dict(knife=70, spoon=30), "doctor": dict(thermometer=40, bag=60),
    "driver": dict(map=80, lamp=20), "farmer": dict(plough=50, spade=50), "miner": dict(lamp=60, spade=40),
    "nurse": dict(thermometer=70, bag=30), "programmer": dict(keyboard=90, telephone=10),
    "secretary": dict(typewriter=60, telephone=40), "teacher": dict(ruler=60, pen=40),
}

# Of a hundred purchases at a place, how many are of what.
PURCHASES = {
    "Texas": dict(boots=38, trucks=28, hats=16, saddles=10, tickets=5, coats=3),
    "New York": dict(tickets=38, bagels=30, coats=14, books=10, hats=5, boots=3),
    "Florida": dict(oranges=40, boats=26, sandals=20, hats=9, tickets=5),
    "Alaska": dict(coats=36, boots=24, sledges=22, boats=12, books=6),
    "Maine": dict(lobsters=44, boats=26, books=18, coats=12),
    "Kansas": dict(tractors=44, trucks=26, hats=16, boots=14),
}
SIGHTS = {
    "Texas": dict(canyons=60, ranches=40), "New York": dict(towers=60, theatres=40),
    "Florida": dict(beaches=60, swamps=40), "Alaska": dict(glaciers=70, mountains=30),
    "Maine": dict(lighthouses=70, cliffs=30), "Kansas": dict(fields=100),
}
WEATHER = {
    "Texas": dict(hot=60, dry=40), "New York": dict(grey=50, cold=50), "Florida": dict(hot=60, wet=40),
    "Alaska": dict(cold=70, dark=30), "Maine": dict(cold=60, wet=40), "Kansas": dict(windy=70, dry=30),
}


def shares(table):
    return {value: weight / sum(table.values()) for value, weight in table.items()}


def names(year, pronoun):
    """p(name | year, pronoun), a dict."""
    column = list(YEARS).index(year)
    return shares({name: weights[column] for name, weights in NAMES[pronoun].items()})


def names_of_all_years(pronoun):
    """p(name | pronoun), a dict."""
    return {name: sum(p * names(year, pronoun)[name] for year, p in YEARS.items()) for name in NAMES[pronoun]}


def given(variable, table):
    """The rows of a table, chosen by a variable of the document."""
    return lambda values: shares(table[values[variable]])


PRONOUN = {"he": {"she": 0.5, "he": 0.5}, "him": lambda values: {OTHER_FORMS[values["he"]]["him"]: 1.0},
           "his": lambda values: {OTHER_FORMS[values["he"]]["his"]: 1.0}}
PERSON = PRONOUN | {"name": lambda values: names_of_all_years(values["he"])}

KINDS = {
    "work": Kind(
        SHARES["work"],
        PRONOUN | {
            "year": YEARS,
            "name": lambda values: names(values["year"], values["he"]),
            "job": lambda values: shares(OCCUPATIONS[values["year"], values["he"]]),
        },
        {"workplace": given("job", WORKPLACES), "tool": given("job", TOOLS)},
        ("{name} worked as a {job}.", "{name} was young in {year}."),
        (
            ("in {year}, {he} was employed as a {job}.",),
            ("{he} went to the {workplace}.", "{he} liked the {workplace}."),
            ("{he} used a {tool}.", "{his} {tool} was old."),
            ("{name} was a {job} in {year}.",),
        ),
    ),
    "place": Kind(
        SHARES["place"],
        {"place": PLACES},
        {"good": given("place", PURCHASES), "sight": given("place", SIGHTS), "weather": given("place", WEATHER)},
        ("{place} is {weather}.", "{place} has {sight}."),
        (
            ("in {place}, they like to buy {good}.",),
            ("shops in {place} sell {good}.",),
            ("visitors of {place} see {sight}.",),
            ("winter in {place} is {weather}.",),
        ),
    ),
    "fishing": Kind(
        SHARES["fishing"],
        PERSON | {
            "fish": dict(trout=0.5, salmon=0.3, pike=0.2), "water": dict(river=0.6, lake=0.4),
        },
        {"verb": dict(broke=0.6, took=0.25, cut=0.15)},
        ("{name} was out fishing.", "{name} wrote: I'm out fishing."),
        (
            ("a huge {fish} just {verb} {his} line.", "dang! A huge {fish} just {verb} my line!"),
            ("{he} sat by the {water}.", "the {water} was cold."),
            ("the {fish} was too strong.", "{he} talked about the {fish}."),
        ),
    ),
    "shopping": Kind(
        SHARES["shopping"],
        PERSON | {"garment": dict(shirt=0.4, coat=0.3, hat=0.2, scarf=0.1)},
        {"colour": dict(blue=0.4, red=0.3, green=0.2, white=0.1)},
        ("{name} went shopping.",),
        (
            ("{he} bought a new {garment}.", "{he} tried a {colour} {garment}."),
            ("the {garment} was on sale.",),
            ("{he} paid and left the shop.", "{his} bags were heavy."),
        ),
    ),
    "coffee": Kind(
        SHARES["coffee"],
        PERSON,
        {"addition": dict(milk=0.6, sugar=0.3, cream=0.1)},
        ("{name} made coffee.",),
        (
            ("{he} added some {addition}.", "there was no {addition} left."),
            ("the cup was still warm.", "{he} drank it."),
            ("it tasted good.", "{he} made another cup."),
        ),
    ),
    "garden": Kind(
        SHARES["garden"],
        PERSON | {"plants": dict(roses=0.4, beans=0.3, tulips=0.2, apples=0.1)},
        {},
        ("{name} loved the garden.",),
        (
            ("{he} watered the {plants}.", "the {plants} needed rain."),
            ("{his} {plants} won a prize.", "{he} gave the {plants} away."),
            ("birds sang in the trees.", "{his} hands were dirty."),
        ),
    ),
    "ice cream": Kind(
        SHARES["ice cream"],
        PERSON,
        {"flavour": dict(vanilla=0.5, chocolate=0.3, lemon=0.2)},
        ("{name} had an ice cream van.",),
        (
            ("{flavour} ice cream cones for sale.", "two {flavour} ice cream cones, please."),
            ("the children waited in line.", "a dog ate one of the cones."),
            ("{he} rang the bell.", "{he} washed the van."),
        ),
    ),
}
GRAMMAR = Grammar(KINDS)


def associations(n, split="train", seed=0):
    """n documents of four sentences each, as a list of lists of text; the same seed gives the same documents.

    split: "train" or "test". A checksum of its text puts one document in ten into the test split, so that the two
    never share one, whatever n and seed. Raises ValueError for another split, an n below 1 or a seed below 0.
    """
    expect_at_least("n", n, 1)
    expect_choice("split", split, ("train", "test"))
    wanted = (document for document in GRAMMAR.documents(seed)
              if (crc32(" ".join(document).encode()) % 10 == 0) == (split == "test"))
    return list(islice(wanted, n))


def truth(first, second=None):
    """The planted probabilities {word: p} at the one [MASK] of a sentence, or of a pair; see `Grammar.masked`.

    Raises ValueError unless there is exactly one [MASK], and for what the grammar cannot say.
    """
    found = GRAMMAR.masked(first, second)
    if len(found) != 1:
        raise ValueError(f"{first!r} has {len(found)} places of {MASK}, expected one")
    return found[0]


def vocabulary():
    """A `Vocabulary` of BERT's special tokens and every word of the corpus, with which `WordPiece` reads it."""
    return Vocabulary([*SPECIAL, *GRAMMAR.words])
