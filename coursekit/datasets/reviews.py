"""Product reviews, for or against: read by `reviews`, written anew by `python -m coursekit.datasets.reviews`.

`test` and `hard` are written by hand and only read; the other splits are made here from the clauses, adjectives and
frames that lie beside them in `data/reviews`.
"""

import re
import tomllib
from functools import cache
from random import Random
from typing import NamedTuple

from coursekit.datasets import data_folder
from coursekit.files import replace_file
from coursekit.shapes import expect_choice

SPLITS = ("train", "validation", "test", "hard", "unseen")
SECTIONS = {"plain": 28, "but": 20, "although": 12, "negation": 16, "expectation": 6, "comparison": 6,
            "mock_praise": 8, "mock_complaint": 4}  # of the frames, and how many in a hundred generated reviews
IRONY = {"mock_praise": 0, "mock_complaint": 1}  # with this label the frame says the opposite of what it means
KINDS = (*list(SECTIONS)[:6], "irony")
PAIRS = {"train": 800, "validation": 100, "unseen": 120}
VALIDATION_PRODUCTS = ("tent", "toaster")
SAME_ASPECT = ("expectation", "comparison")  # sections whose two opinions are about one aspect
# The slots of a frame for the review's own opinion, and for the opposite one; those of phrases that training knows.
OPPOSITE = {"x": "y", "x2": "y2", "a": "b", "a2": "b2", "v": "w", "v2": "w2", "n": "m", "d": "e", "f": "g"}
TOLD = ("{v}", "{w}", "{v2}", "{w2}", "{n}", "{m}", "{d}", "{e}", "{f}", "{g}")
WRITTEN = 0.7  # share of clauses that are written whole, of those that training may have
PREDICATES = ("the {noun} {is} {a}", "the {noun} {is} really {a}", "the {noun} turned out to be {a}",
              "the {noun} {is} simply {a}")
SEED = 12


class Review(NamedTuple):
    """label: 1 for, 0 against. kind: one of `KINDS`. aspect: what the verdict is about. pair: a number shared with the
    mirror image, which has the opposite label, or None."""

    text: str
    label: int
    kind: str
    product: str
    aspect: str
    pair: int | None


def reviews(split="train"):
    """The reviews of a split: a list of `Review(text, label, kind, product, aspect, pair)`.

    split: "train", "validation" (products that training never shows), "test" (written by hand), "hard" (by hand, with
    the verdict between the lines) or "unseen" (judged with adjectives that training never shows). Mirror images are
    neighbours, so any even number of reviews from the start of a generated split has as many for as against.
    Raises ValueError for another split.
    """
    expect_choice("split", split, SPLITS)
    rows = (line.split("\t") for line in path(split).read_text(encoding="utf-8").splitlines()[1:])
    return [Review(text, int(label), *facts, int(pair) if pair else None) for text, label, *facts, pair in rows]


def path(split):
    return data_folder() / "reviews" / f"{split}.tsv"


@cache
def parts(name):
    """What `data/reviews/NAME.toml` has."""
    return tomllib.loads((data_folder() / "reviews" / f"{name}.toml").read_text(encoding="utf-8"))


def generate():
    """The reviews of every split that is not written by hand, a dictionary, made anew; the same reviews every time."""
    random, seen, splits = Random(SEED), set(), {}
    products = tuple(parts("aspects")["products"])
    for split, n_pairs in PAIRS.items():
        validating = split == "validation"
        suited = [product for product in products if (product in VALIDATION_PRODUCTS) == validating]
        splits[split] = []
        while len(splits[split]) < 2 * n_pairs:
            section, = random.choices(list(SECTIONS), SECTIONS.values())
            pair = mirror_images(random, section, random.choice(suited), new_words=split == "unseen")
            if pair and seen.isdisjoint(review.text for review in pair):
                seen.update(review.text for review in pair)
                splits[split] += [review._replace(pair=len(splits[split]) // 2 + 1) for review in pair]
    return splits


def mirror_images(random, section, product, new_words):
    """Two reviews from one frame with good and bad exchanged, or None where frame and product do not go together."""
    facts = parts("aspects")["products"][product]
    frame = random.choice(parts("frames")["frames"][section])
    if new_words and any(slot in frame for slot in TOLD) or section == "comparison" and "once" in facts:
        return None
    names = own_first(random, product)
    same = section in SAME_ASPECT
    praised, blamed = random.sample((names[:2], names[:2] if same else names[2:4]), 2)
    named = names[0 if same else 4]
    good, bad = (opinion(random, product, sense, about, named, new_words)
                 for sense, about in (("good", praised), ("bad", blamed)))
    fixed = wording(random, product, named)
    pair = []
    for label in random.sample((0, 1), 2):
        mine, other = (good, bad) if label else (bad, good)
        opposite = {OPPOSITE[slot]: words for slot, words in other.items()}
        kind = section if section not in IRONY else "irony" if label == IRONY[section] else "plain"
        about = (praised if label else blamed)[0] if "{x}" in frame else named if "{noun}" in frame else "overall"
        text = sentence_case(frame.format(**fixed, **mine, **opposite))
        pair.append(Review(text, label, kind, facts.get("name", product), about, None))
    return pair


def own_first(random, product):
    """The aspects of a product in a random order in which its own tend to come before those of every product."""
    aspects, without = parts("aspects"), parts("aspects")["products"][product].get("without", ())
    late = {name: 0.0 for name in aspects[product]} | {name: 0.5 for name in aspects["every"] if name not in without}
    return sorted(late, key=lambda name: late[name] + random.random())


def aspect(product, name):
    return parts("aspects")[product].get(name) or parts("aspects")["every"][name]


def opinion(random, product, sense, about, named, new_words):
    """What fills the slots of one sense: two clauses, an adjective, a verdict, a negated clause, a doing."""
    def one_of(phrases):
        return random.choice(speakable(phrases, product))

    def clause(name):
        """A written clause, or one made with an adjective."""
        if not new_words and random.random() < WRITTEN:
            return one_of(aspect(product, name)[sense])
        a = random.choice(adjectives(product, name, sense, new_words))
        return random.choice(PREDICATES).format(a=a, **naming(product, name))

    frames, (a, a2) = parts("frames"), random.sample(adjectives(product, named, sense, new_words), 2)
    v, v2 = random.sample(speakable(frames["verdicts"][sense], product), 2)
    return {"x": clause(about[0]), "x2": clause(about[1]), "a": a, "a2": a2, "v": v, "v2": v2,
            "n": one_of(frames["negated"][sense]), "d": one_of(parts("aspects")["doing"][product][sense]),
            "f": random.choice(frames["adverbs"][sense])}


def speakable(phrases, product):
    """The phrases that may be said of a product: of one in the plural none with "it"."""
    plural = "are" in parts("aspects")["products"][product]
    return [phrase for phrase in phrases if not plural or {"it", "its"}.isdisjoint(phrase.split())]


def adjectives(product, name, sense, new_words):
    """The adjectives that suit an aspect, and those that suit all."""
    words, kind = parts("words"), ("new_" if new_words else "") + sense
    return sorted({*words[aspect(product, name)["words"]][kind], *words["any"][kind]})


def naming(product, name):
    """How a frame names an aspect."""
    are = "are" in aspect(product, name)
    return {"noun": aspect(product, name).get("noun", name), "is": "are" if are else "is",
            "isnt": "aren't" if are else "isn't", "was": "were" if are else "was"}


def wording(random, product, named):
    """What fills the slots that have no opinion."""
    facts, neutral = parts("aspects")["products"][product], parts("frames")["neutral"]
    are = "are" in facts
    return naming(product, named) | {
        "product": facts.get("name", product), "this": "these" if are else "this", "it": "them" if are else "it",
        "is_it": "are" if are else "is", "opening": random.choice(neutral["opening"]),
        "context": random.choice(neutral["context"])}


def sentence_case(text):
    """A capital at the start of every sentence."""
    return re.sub(r'(^\W*|[.!?]"? \W*|: ")([a-z])', lambda found: found[1] + found[2].upper(), text)


def write():
    """Write the files that `reviews` reads and that are not written by hand."""
    for split, rows in generate().items():
        lines = ["\t".join(Review._fields), *("\t".join(map(str, review)) for review in rows)]
        replace_file(path(split), "\n".join(lines) + "\n")


if __name__ == "__main__":
    write()
