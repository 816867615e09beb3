"""Paragraphs from facts.txt: which facts are told, of whom, in which words, and what is asked."""

import re
from collections import defaultdict
from typing import NamedTuple

PRONOUNS = {"she": ("she", "her", "her", "herself"), "he": ("he", "him", "his", "himself"),
            "it": ("it", "it", "its", "itself")}
MENTION = re.compile(r"\{([SsP])\}")
THINGS = ("company", "building", "event", "animal", "book")
OPENINGS = {"company": "{S} is a small firm.", "building": "{S} is on every postcard.",
            "event": "{S} is held every year.", "animal": "{S} is not easy to find.", "book": "{S} is a novel."}
UNANSWERABLE = 0.25  # of the questions
PERSON = 0.55  # of the paragraphs about one person or thing
FILLER = 0.6  # of them have a sentence that nobody asks about
NAMED = 0.2  # of the sentences after the first have the name where others have a pronoun
TWICE = 0.4  # of the paragraphs with a group of several facts have two of it


class Fact(NamedTuple):
    """One thing that can be said. group: facts of the same sort; statements: the answer in <>; questions."""

    group: str
    statements: tuple
    questions: tuple


class Subject(NamedTuple):
    """Whom or what a paragraph is about. full: its name in full; short: the same shorter; pronoun: she, he or it."""

    full: str
    short: str
    pronoun: str


def parse(text):
    """Facts by kind, from the text of facts.txt."""
    kinds = {}
    for block in re.split(r"\n\n+", re.sub(r"(?m)^#.*\n", "", text).strip()):
        lines = block.splitlines()
        if lines[0].startswith("["):
            facts = kinds.setdefault(lines.pop(0).strip("[]"), [])
        if lines:
            facts.append(Fact(lines[0][2:], tuple(line for line in lines[1:] if not line.startswith("?")),
                              tuple(line[2:] for line in lines[1:] if line.startswith("?"))))
    return kinds


class Teller:
    """Tells paragraphs. facts: the text of facts.txt; values: what each slot may be, as in the TOML files."""

    def __init__(self, facts, values, random):
        self.random = random
        self.kinds = parse(facts)
        self.values = {slot: [value.strip() for value in (text.split("|") if "|" in text else text.split())]
                       for slot, text in values.items()}

    def person(self):
        pronoun = self.random.choice(("she", "he"))
        first, last = self.random.choice(self.values[pronoun]), self.random.choice(self.values["last"])
        return Subject(f"{first} {last}", self.random.choice((first, last)), pronoun)

    def subject(self, kind):
        if kind == "person":
            return self.person()
        name = self.random.choice(self.values["firm" if kind == "company" else kind])
        return Subject(name, name, "it")

    def choose(self, kind, n):
        """n facts of a kind, of different groups; now and then two are of one group."""
        facts = [fact for fact in self.kinds[kind] if fact.group != "filler"]
        self.random.shuffle(facts)
        by_group = defaultdict(list)
        for fact in facts:
            by_group[fact.group].append(fact)
        groups = self.random.sample(list(by_group), min(n, len(by_group) - 1))
        chosen = [by_group[group].pop() for group in groups]
        again = [group for group in groups if by_group[group]]
        if again and self.random.random() < TWICE:
            chosen[-1] = by_group[again[0]].pop()
        return chosen

    def say(self, statements, subject, name, used):
        """One of the statements in words, the answer still in <>.

        name: what the subject is called where it is first mentioned (of a person it is), None for the pronoun; used:
        values that stand in the paragraph already, so that no two facts have the same answer.
        """
        if name:
            statements = [statement for statement in statements if MENTION.search(statement)] or statements
        she, her, p, self_ = PRONOUNS[subject.pronoun]
        statement = self.random.choice(statements)
        if name:
            statement = MENTION.sub(lambda found: name + "'s" * (found[1] == "P"), statement, count=1)
        values = {"S": she, "s": she, "P": p, "p": p, "o": her, "r": self_}
        statement = re.sub(r"\{(\w+)\}", lambda slot: values.get(slot[1]) or self.value(slot[1], used), statement)
        first = statement.startswith("<")
        return statement[:first] + statement[first].upper() + statement[first + 1:]

    def value(self, slot, used):
        while (value := self.person().full if slot == "full" else self.random.choice(self.values[slot])) in used:
            pass
        used.add(value)
        return value

    def ask(self, fact, subject):
        """A question about a fact, in the subject's full or short name."""
        name = self.random.choice((subject.full, subject.short))
        return self.random.choice(fact.questions).format(name=name)

    def paragraph(self, said, asked):
        """The text of statements, and the (question, answer, start) of what is asked.

        said: pairs (key, statement with its answer in <>), the key None for what nobody asks; asked: pairs (question,
        key of the statement with its answer), the key None or of no statement for a question without answer.
        """
        text, answers = "", {}
        for key, statement in said:
            text += " " * bool(text)
            if key is not None:
                start = len(text) + statement.index("<")
                answers[key] = (statement[statement.index("<") + 1:statement.index(">")], start)
            text += re.sub("[<>]", "", statement)
        return text, [(question, *answers.get(key, ("", -1))) for question, key in asked]

    def one(self):
        """A paragraph about one person or thing, with two questions."""
        kind = "person" if self.random.random() < PERSON else self.random.choice(THINGS)
        subject, used = self.subject(kind), set()
        facts = self.choose(kind, self.random.choice((3, 3, 4, 5)))
        said = [(place, fact.statements) for place, fact in enumerate(facts)]
        if self.random.random() < FILLER:
            said.insert(self.random.randrange(len(said) + 1), (None, self.fillers(kind)))
        if kind != "person":
            said.insert(0, (None, (OPENINGS[kind],)))
        told = []
        for key, statements in said:
            name = None if told and self.random.random() > NAMED else subject.short if told else subject.full
            told.append((key, self.say(statements, subject, name, used)))
        asked = [(self.ask(facts[place], subject), place) for place in self.random.sample(range(len(facts)), 2)]
        if self.random.random() < 2 * UNANSWERABLE:
            asked[1] = (self.ask(self.missing(kind, facts), subject), None)
        return self.paragraph(told, asked)

    def fillers(self, kind):
        return next(fact.statements for fact in self.kinds[kind] if fact.group == "filler")

    def missing(self, kind, facts):
        """A fact that is not among facts; every other time of the same sort as one of them, if there is any."""
        others = [fact for fact in self.kinds[kind] if fact.group != "filler" and fact not in facts]
        alike = [fact for fact in others if fact.group in {fact.group for fact in facts}]
        return self.random.choice(alike if alike and self.random.random() < 0.5 else others)

    def two_people(self):
        """A paragraph in which the same facts, and more, are told of two people by turns, with two questions."""
        people = []
        while len(people) < 2 or not set(people[0].full.split()).isdisjoint(people[1].full.split()):
            people = [self.person(), self.person()]
        shared, facts, used = self.choose("person", 2), self.choose("person", 4), set()
        own = [fact for fact in facts if fact not in shared][:2]
        turns = [(who, fact) for fact in shared for who in self.random.sample((0, 1), 2)]
        turns += list(zip(self.random.sample((0, 1), 2), own))
        if self.random.random() < 0.5:  # one person after the other instead of fact by fact
            turns.sort(key=lambda turn: turn[0])
        told, met, before = [], set(), None
        for who, fact in turns:
            name = people[who].full if who not in met else people[who].short if before != who else None
            told.append(((who, fact), self.say(fact.statements, people[who], name, used)))
            met.add(who)
            before = who
        asked = [(self.ask(fact, people[who]), (who, fact)) for who, fact in self.random.sample(turns, 2)]
        if self.random.random() < 2 * UNANSWERABLE:
            who, fact = next((who, fact) for who, fact in turns if fact in own)  # asked of the other one
            asked[1] = (self.ask(fact, people[1 - who]), None)
        return self.paragraph(told, asked)
