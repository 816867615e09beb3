"""A pretraining corpus whose associations are known: who works as what, when, and what is bought where.

The tables are invented. No number in them says anything about people or places outside this corpus.
"""

from itertools import islice
from zlib import crc32

from coursekit.datasets.grammar import MASK, Grammar, Kind
from coursekit.shapes import expect_at_least, expect_choice
from coursekit.text.vocabulary import Vocabulary
from coursekit.text.wordpiece import SPECIAL

SHARES = {"work": 0.40, "place": 0.35, "fishing": 0.05, "shopping": 0.05, "coffee": 0.05, "garden": 0.05,
          "ice cream": 0.05}
YEARS = (1908, 1948, 1988, 2018)

# How often a name is given in each of the four years, relative to the other names of its gender.
NAMES = {
    "she": {"Jane": (3, 3, 3, 3), "Ramona": (2, 2, 2, 2), "Mary": (4, 4, 4, 4), "Alice": (2, 2, 2, 2),
            "Ethel": (8, 3, 1, 0), "Mabel": (6, 2, 0, 0), "Susan": (0, 5, 8, 2), "Chloe": (0, 0, 2, 8)},
    "he": {"Jim": (3, 3, 3, 3), "Paul": (2, 2, 2, 2), "John": (4, 4, 4, 4), "Peter": (2, 2, 2, 2),
           "Walter": (8, 3, 1, 0), "Clarence": (6, 2, 0, 0), "Gary": (0, 5, 8, 2), "Liam": (0, 0, 2, 8)},
}
OTHER_FORMS = {"she": {"him": "her", "his": "her"}, "he": {"him": "him", "his": "his"}}

# Of a hundred people of that year and pronoun, how many work as what. "driver" of 1948 and "cook" of 2018 are there to
# be found: they go against what one might expect.
OCCUPATIONS = {
    (1908, "she"): dict(nurse=25, teacher=25, cook=25, farmer=10, secretary=10, doctor=2, driver=1, manager=2),
    (1908, "he"): dict(farmer=35, miner=25, carpenter=15, teacher=8, doctor=5, lawyer=5, driver=2, manager=5),
    (1948, "she"): dict(secretary=26, driver=20, nurse=18, teacher=16, cook=10, farmer=5, doctor=3, manager=2),
    (1948, "he"): dict(miner=24, farmer=20, carpenter=16, driver=14, manager=9, teacher=7, lawyer=6, doctor=4),
    (1988, "she"): dict(secretary=24, teacher=20, nurse=18, manager=12, programmer=8, doctor=8, lawyer=6, cook=4),
    (1988, "he"): dict(driver=24, manager=20, carpenter=14, programmer=12, miner=8, teacher=8, lawyer=7, doctor=7),
    (2018, "she"): dict(doctor=22, programmer=18, teacher=16, lawyer=14, manager=14, nurse=12, driver=3, carpenter=1),
    (2018, "he"): dict(programmer=28, cook=24, driver=14, nurse=10, manager=10, teacher=6, carpenter=5, lawyer=3),
}
WORKPLACES = {
    "carpenter": dict(workshop=90, yard=10), "cook": dict(kitchen=80, restaurant=20),
    "doctor": dict(hospital=60, clinic=40), "driver": dict(garage=70, yard=30), "farmer": dict(field=60, barn=40),
    "lawyer": dict(court=70, office=30), "manager": dict(office=60, factory=40), "miner": dict(mine=80, yard=20),
    "nurse": dict(hospital=80, clinic=20), "programmer": dict(office=80, cellar=20), "secretary": dict(office=100),
    "teacher": dict(school=70, library=30),
}
TOOLS = {
    "carpenter": dict(hammer=60, saw=40), "cook": dict(knife=70, spoon=30), "doctor": dict(thermometer=40, bag=60),
    "driver": dict(map=80, lamp=20), "farmer": dict(plough=50, spade=50), "lawyer": dict(briefcase=80, pen=20),
    "manager": dict(briefcase=50, telephone=50), "miner": dict(lamp=60, spade=40),
    "nurse": dict(thermometer=70, bag=30), "programmer": dict(keyboard=90, telephone=10),
    "secretary": dict(typewriter=60, telephone=40), "teacher": dict(ruler=60, pen=40),
}
OTHERS = {
    "carpenter": dict(customers=80, apprentices=20), "cook": dict(guests=80, apprentices=20),
    "doctor": dict(patients=100), "driver": dict(passengers=100), "farmer": dict(neighbours=60, friends=40),
    "lawyer": dict(clients=100), "manager": dict(workers=80, clients=20), "miner": dict(workers=60, neighbours=40),
    "nurse": dict(patients=90, visitors=10), "programmer": dict(users=90, clients=10),
    "secretary": dict(visitors=70, managers=30), "teacher": dict(pupils=100),
}

# Of a hundred purchases at a place, how many are of what.
PURCHASES = {
    "Texas": dict(boots=34, trucks=26, hats=16, saddles=9, barbecues=8, tickets=4, coats=3),
    "New York": dict(tickets=33, bagels=27, coats=14, paintings=11, books=8, hats=4, boots=3),
    "Florida": dict(oranges=30, boats=24, sandals=20, hats=13, tickets=8, trucks=5),
    "Alaska": dict(coats=30, boots=22, sledges=20, boats=15, trucks=8, books=5),
    "Maine": dict(lobsters=36, boats=25, books=16, coats=13, boots=10),
    "Kansas": dict(tractors=38, trucks=22, hats=14, barbecues=13, books=8, boots=5),
    "Hawaii": dict(surfboards=35, sandals=25, oranges=16, boats=12, paintings=7, tickets=5),
    "California": dict(surfboards=22, oranges=20, computers=20, paintings=14, tickets=12, books=7, sandals=5),
}
SIGHTS = {
    "Texas": dict(canyons=60, ranches=40), "New York": dict(towers=60, theatres=40),
    "Florida": dict(beaches=60, swamps=40), "Alaska": dict(glaciers=70, mountains=30),
    "Maine": dict(lighthouses=70, cliffs=30), "Kansas": dict(fields=100), "Hawaii": dict(volcanoes=60, beaches=40),
    "California": dict(bridges=40, beaches=30, mountains=30),
}
WEATHER = {
    "Texas": dict(hot=60, dry=40), "New York": dict(grey=50, cold=50), "Florida": dict(hot=60, wet=40),
    "Alaska": dict(cold=70, dark=30), "Maine": dict(cold=60, wet=40), "Kansas": dict(windy=70, dry=30),
    "Hawaii": dict(warm=80, wet=20), "California": dict(warm=60, dry=40),
}
VEHICLES = {
    "Texas": dict(truck=60, horse=40), "New York": dict(subway=70, taxi=30), "Florida": dict(car=60, boat=40),
    "Alaska": dict(plane=60, sledge=40), "Maine": dict(boat=60, train=40), "Kansas": dict(truck=60, train=40),
    "Hawaii": dict(boat=60, plane=40), "California": dict(car=70, bicycle=30),
}


def shares(table):
    return {value: weight / sum(table.values()) for value, weight in table.items()}


def names(year, pronoun):
    """p(name | year, pronoun), a dict."""
    return shares({name: weights[YEARS.index(year)] for name, weights in NAMES[pronoun].items()})


def names_of_all_years(pronoun):
    """p(name | pronoun), a dict: every year is as probable."""
    by_year = [names(year, pronoun) for year in YEARS]
    return {name: sum(of_year[name] for of_year in by_year) / len(YEARS) for name in NAMES[pronoun]}


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
            "year": {year: 1 / len(YEARS) for year in YEARS},
            "name": lambda values: names(values["year"], values["he"]),
            "job": lambda values: shares(OCCUPATIONS[values["year"], values["he"]]),
        },
        {"workplace": given("job", WORKPLACES), "tool": given("job", TOOLS), "others": given("job", OTHERS)},
        ("{name} worked as a {job}.", "this is the story of {name}, a {job}.", "{name} was young in {year}."),
        (
            ("in {year}, {he} was employed as a {job}.", "{he} was employed as a {job} in {year}."),
            ("{he} spent every day in the {workplace}.", "every morning {he} went to the {workplace}."),
            ("{he} never left home without a {tool}.", "{his} {tool} was always at hand."),
            ("{he} was good to {his} {others}.", "the {others} came to thank {him}."),
            ("people said that {name} was a good {job}.", "nobody was a better {job} than {name}."),
        ),
    ),
    "place": Kind(
        SHARES["place"],
        {"place": {place: 1 / len(PURCHASES) for place in PURCHASES}},
        {"good": given("place", PURCHASES), "sight": given("place", SIGHTS), "weather": given("place", WEATHER),
         "vehicle": given("place", VEHICLES)},
        ("many people live in {place}.", "{place} is famous for its {sight}.", "it is often {weather} in {place}."),
        (
            ("in {place}, they like to buy {good}.", "people in {place} like to buy {good}."),
            ("the shops there are full of {good}.", "you can buy {good} at every corner."),
            ("visitors take pictures of the {sight}.", "nobody forgets the {sight}."),
            ("the winter there is {weather}.", "it is too {weather} for some people."),
            ("most people travel by {vehicle}.", "the {vehicle} is never late."),
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
            ("{he} sat by the {water} all day.", "the {water} was cold and clear."),
            ("the {fish} was too strong for {him}.", "{he} talked about the {fish} for weeks."),
        ),
    ),
    "shopping": Kind(
        SHARES["shopping"],
        PERSON | {"garment": dict(shirt=0.4, coat=0.3, hat=0.2, scarf=0.1)},
        {"colour": dict(blue=0.4, red=0.3, green=0.2, white=0.1)},
        ("{name} went shopping.", "{name} needed something to wear."),
        (
            ("{he} bought a new {garment}.", "{he} tried a {colour} {garment} on."),
            ("the {garment} was on sale.", "the {garment} was not cheap."),
            ("{he} paid and left the shop.", "{his} bags were heavy."),
        ),
    ),
    "coffee": Kind(
        SHARES["coffee"],
        PERSON,
        {"addition": dict(milk=0.6, sugar=0.3, cream=0.1)},
        ("{name} made coffee.", "{name} wanted a cup of coffee."),
        (
            ("{he} added some {addition}.", "there was no {addition} left."),
            ("the cup was still hot.", "{he} drank it in the kitchen at home."),
            ("it tasted good.", "{he} made another cup."),
        ),
    ),
    "garden": Kind(
        SHARES["garden"],
        PERSON | {"plants": dict(roses=0.4, beans=0.3, tulips=0.2, apples=0.1)},
        {},
        ("{name} loved the garden.", "{name} got up early to work in the garden."),
        (
            ("{he} watered the {plants}.", "the {plants} needed some rain."),
            ("{his} {plants} won a prize.", "{he} gave the {plants} away."),
            ("the birds sang all morning.", "{his} hands were full of earth."),
        ),
    ),
    "ice cream": Kind(
        SHARES["ice cream"],
        PERSON,
        {"flavour": dict(vanilla=0.5, chocolate=0.3, lemon=0.2)},
        ("{name} had a small ice cream van.", "{name} sold ice cream."),
        (
            ("{flavour} ice cream cones for sale.", "two {flavour} ice cream cones, please."),
            ("the children waited in a long line.", "a dog ate one of the cones."),
            ("{he} rang the bell of the van.", "at night {he} washed the van."),
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
