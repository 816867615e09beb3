"""Which words go together: every construction draws its words by sense, so that nobody eats an idea."""

from functools import cache

from coursekit.datasets.translation import russian, sentences
from coursekit.datasets.translation.lexicon import PRONOUNS, lexicon
from coursekit.datasets.translation.phrase import Both, Phrase
from coursekit.datasets.translation.sentences import object_of, place

# What one can be under, behind, near or in front of.
SUITABLE = {"under": "table chair bed sofa bench tree",
            "behind": "door tree sofa cupboard house school shop church museum",
            "near": "house school station river lake church park", "by": "window door tree",
            "front": "house school museum theatre hotel church station shop"}
# Things and their places.
SCENES = (
    ("lie", "table shelf chair bed sofa bench bag box cupboard"),
    ("cup glass plate bottle vase lamp box computer cake pie", "table shelf"),
    ("table chair cupboard", "kitchen bedroom flat"),
    ("bed sofa armchair chair lamp", "bedroom flat"),
    ("bench", "garden park street"),
    ("food drink", "fridge"),
    ("museum hospital station theatre hotel university airport library bank park restaurant", "city"),
    ("school church shop library hotel restaurant park market", "village"),
    ("plant", "garden park street"),
    ("cow horse pig goat duck hen rabbit", "farm"),
)
# Who eats and catches what.
PREY = {"cat": "mouse bird fish meat", "dog": "rabbit meat bread", "fox": "hen rabbit duck mouse",
        "wolf": "pig rabbit goat", "bear": "fish honey apple", "mouse": "cheese bread", "bird": "bread fish",
        "rabbit": "apple cucumber salad", "horse": "apple bread", "goat": "apple cucumber", "elephant": "banana apple",
        "duck": "bread fish"}
HUNTERS = ("cat", "fox", "wolf", "bear")
BY_SIZE = "mouse duck rabbit cat fox wolf cow elephant".split()
# What can be compared by an adjective: two nouns of one group.
COMPARED = {
    "big": ("house church hotel museum school", "garden park", "table bed sofa cupboard", "boat car", "city village"),
    "small": ("house church hotel museum school", "garden park", "table bed sofa", "fork spoon knife", "key ring"),
    "old": ("man woman doctor teacher nurse neighbour farmer cook driver writer artist", "brother sister friend"),
    "young": ("man woman doctor teacher nurse neighbour farmer cook driver writer artist", "brother sister friend"),
    "beautiful": ("flower dress ring picture vase", "garden park church square", "horse bird cat"),
    "good": ("book film novel story", "restaurant hotel", "doctor lawyer engineer", "pupil student"),
    "long": ("novel book", "article letter", "street bridge", "dress coat"),
    "interesting": ("book film novel story article magazine newspaper", "museum city library"),
    "expensive": ("car boat", "coat hat dress shirt", "phone computer guitar", "hotel restaurant", "house flat"),
    "cheap": ("car boat", "coat hat dress shirt", "phone computer guitar", "hotel restaurant", "house flat"),
    "heavy": ("bag box", "table cupboard armchair sofa bed", "book computer lamp"),
    "strong": ("man brother father boy son farmer", "horse bear elephant wolf"),
    "kind": ("man woman girl doctor nurse teacher neighbour", "grandmother grandfather"),
    "clever": ("boy girl pupil student son daughter", "dog fox cat horse", "lawyer engineer doctor"),
    "cold": ("lake sea river", "water milk juice tea"),
    "sweet": ("apple pear orange banana", "tea coffee juice", "cake pie"),
    "rich": ("man woman neighbour farmer singer lawyer tourist",),
}
GRADED = ("big small old young beautiful good bad long interesting expensive cheap heavy strong kind clever hot cold "
          "fresh sweet delicious clean dirty famous rich sad funny difficult important lazy modern").split()
NATIONAL = ("French", "Italian", "Russian")  # an artist is a Frenchman, not French, in Russian
# The more often a colour stands here, the more often it is said: the agreement of black has to be learned.
COLOURS = "black black black black white white red green blue yellow grey".split()
PAIRS = ("boy girl", "man woman", "mother father", "brother sister", "son daughter", "grandmother grandfather",
         "teacher pupil", "doctor nurse", "mother daughter", "father son", "grandmother girl", "woman girl",
         "writer artist", "engineer lawyer", "cook driver", "farmer neighbour", "Anna Victor", "Emma Nina",
         "Martin Oscar", "Anna Emma", "Nina Oscar", "cat dog", "student teacher", "tourist guest", "singer artist")
OWNED = ("brother sister son daughter friend computer lamp guitar house flat garden farm thing vehicle "
         "cat dog horse rabbit").split()
# What "my" and "our" may stand before.
MINE = "thing vehicle pet kin friend neighbour house flat garden computer guitar lamp".split()
OURS = "kin friend neighbour pet vehicle house flat garden kitchen school city village teacher doctor".split()

# Verbs by what may follow them: only a known object; also "some" or a bare plural; things in general (loves music).
DEFINITE = ("open close clean wash forget hear know approach help phone answer wait look listen think pride talk care "
            "thank feed play_with").split()
INDEFINITE = "buy sell write draw cook see".split()
GENERIC = ("love", "fear")
CONSUMED = ("eat", "drink", "read")
# Verbs by construction.
GIVING = "give show send bring tell sell".split()
GOVERNED = "help phone answer wait look listen think dream fear pride play_with talk search care approach thank".split()
HABITS = "eat drink read buy wash draw cook clean feed help phone visit watch play_with talk".split()
HABITS_OF_PLACE = "go_often play walk have_lunch swim work sing".split()
COUNTED = "buy find wash read write break eat choose repair take sell lose".split()
ASKED_WHO = ("eat drink read write buy sell find lose see open close break wash draw take forget hear build repair "
             "watch choose feed hide clean help phone wait look").split()
ASKED_WHAT = ("eat drink read write buy sell find lose see draw build repair choose hide forget cook break open "
              "take").split()
MADE = "read write buy find choose forget hide wash repair watch lose open sell break".split()
OF_OWNERS = "find lose take forget read repair wash open hide sell break".split()
ABLE = "find open close repair catch read sell help".split()
UNWANTED = "lose forget break hear meet find see".split()
WANTED_PLACES = "go sleep walk play swim live have_lunch work sit_down".split()

# In the past Russian would show the gender of "I".
IN_PAST, IN_PRESENT = ("he", "she", "they"), ("I", "he", "she", "they")


def kinds_of(phrase):
    """The kinds of a phrase's noun; none for a pronoun."""
    return frozenset() if phrase.is_pronoun else phrase.noun.kinds


def has_kind(noun, kinds):
    return noun.name in kinds or not noun.kinds.isdisjoint(kinds)


@cache
def nouns_of(kinds):
    return [noun for noun in lexicon().nouns.values() if has_kind(noun, kinds)]


@cache
def adjectives_of(noun):
    return [adjective for adjective in lexicon().adjectives.values() if has_kind(noun, adjective.kinds)]


@cache
def plain_verbs():
    """Verbs with a direct object in all three languages, except those of giving."""
    return [name for name, verb in lexicon().verbs.items() if verb.objects and name not in GIVING
            and (verb.governs.english, verb.governs.case, verb.governs.french) == ("", "acc", "")]


class Draw:
    """Draws words that make sense together, from a `random.Random`."""

    def __init__(self, random):
        self.random = random
        self.words = lexicon()

    def chance(self, share):
        return self.random.random() < share

    def pick(self, choices):
        return self.random.choice(list(choices))

    def verb(self, names, tense=None):
        """One of the verbs that have the tense; a habit is said in the present."""
        needed = {None: None, "habit": "present"}.get(tense, tense)
        return self.words.verbs[self.pick(name for name in names
                                          if needed is None or needed in self.words.verbs[name].russian)]

    def noun(self, kinds, but=(), suits=lambda noun: True):
        """A noun of these kinds or names (a string), none of the names `but`, that suits."""
        return self.pick(noun for noun in nouns_of(frozenset(kinds.split() if isinstance(kinds, str) else kinds))
                         if noun.name not in but and suits(noun))

    def adjective(self, noun, share):
        """With this share an adjective that suits the noun, half the time a colour; otherwise None."""
        fitting = adjectives_of(noun)
        if not fitting or not self.chance(share):
            return None
        colours = [self.words.adjectives[name] for name in COLOURS if self.words.adjectives[name] in fitting]
        return self.pick(colours if colours and self.chance(0.5) else fitting)

    def phrase(self, role, noun, articles="the the the the this my our", plural=0.25, adjective=0.15):
        """A noun phrase. Names take neither article nor adjective; relatives are mine or ours more often than not."""
        if "name" in noun.kinds:
            return Phrase(role, noun, article="")
        if "kin" in noun.kinds and "my" in articles:
            articles = "the my my my our our"
        suitable = {"my": has_kind(noun, MINE), "our": has_kind(noun, OURS), "this": "kin" not in noun.kinds}
        article = self.pick([each for each in articles.split() if suitable.get(each, True)] or ["the"])
        many = noun.countable and "single" not in noun.kinds and self.chance(plural)
        if adjective and "animal" in noun.kinds:
            adjective = 0.5  # which cat? The black one
        return Phrase(role, noun, many, article, None if "kin" in noun.kinds else self.adjective(noun, adjective))

    def pronoun(self, role, names):
        return Phrase(role, PRONOUNS[self.pick(names)], article="")

    def subject(self, kinds, pronouns=(), role="subject", **options):
        """Who does it. pronouns: those that may stand instead of a person."""
        noun = self.noun(kinds)
        if pronouns and has_kind(noun, ("person", "name")) and self.chance(0.2):
            return self.pronoun(role, pronouns)
        return self.phrase(role, noun, **options)

    def object(self, verb, subject, tense, articles="the the a a this my", adjective=0.3, plural=0.25, but=()):
        """What is done to, by the sense of the verb; children have nothing to do with grown-up things."""
        child = "child" in kinds_of(subject)
        noun = self.noun(verb.objects, (subject.noun.name, *but), lambda noun: not (child and "grown" in noun.kinds))
        if subject.person == 1:
            articles = articles.replace("my", "the")
        if verb.name in GENERIC and not has_kind(noun, ("person", "sea")):
            return Phrase("object", noun, noun.countable, "generic")
        if has_kind(noun, ("person", "name")):
            articles = "my my our" if "kin" in noun.kinds else "the the the this my our"
            articles = articles if subject.person == 3 else "the this"
        elif verb.name in (*DEFINITE, *GENERIC) or "sight" in noun.kinds:
            articles = " ".join(article for article in articles.split() if article != "a")
        phrase = self.phrase("object", noun, articles, plural, adjective)
        some = phrase.article == "a" and (phrase.plural or not noun.countable)
        consumed = verb.name in CONSUMED and tense in ("present", "habit")
        return phrase._replace(article="the") if some and not consumed and verb.name not in INDEFINITE else phrase

    def action(self, tense, names=None, pronouns=IN_PAST, **options):
        """Subject, verb and object that make sense together; names: the verbs to draw from."""
        verb = self.verb(names or plain_verbs(), tense)
        if names is None and self.chance(0.1):
            verb = self.verb(("eat", "catch"), tense)
        if verb.name in ("eat", "catch") and self.chance(0.7):
            animal = self.pick(PREY if verb.name == "eat" else HUNTERS)
            prey = self.noun(PREY[animal], suits=lambda noun: verb.name == "eat" or has_kind(noun, ("animal", "fish")))
            hunter = self.phrase("subject", self.words.nouns[animal])
            return hunter, verb, self.phrase("object", prey, "the the this")
        subject = self.subject(verb.subjects, pronouns)
        return subject, verb, self.object(verb, subject, tense, **options)

    def place_phrase(self, noun, plain=False):
        """plain: only "the", as after "to"; French has no "à ce musée" either."""
        plain = plain or noun.at[2:] == ("à",) or not noun.countable
        return self.phrase("place", noun, "the" if plain else "the the the this", 0, 0.1)

    def place(self, verb, subject):
        """A place that suits the verb; under furniture there are only animals."""
        position = self.pick(verb.where[1:])
        if position == "under" and "animal" not in kinds_of(subject):
            noun = self.words.nouns["tree"]
        else:
            noun = self.noun(SUITABLE.get(position, verb.places))
        return place(position, self.place_phrase(noun, position in ("to", "from")))

    def movement(self, tense, where, pronouns=IN_PAST):
        """Subject, verb and place of an intransitive verb of "motion" or "rest"."""
        verb = self.verb((name for name, verb in self.words.verbs.items() if verb.where[:1] == [where]), tense)
        subject = self.subject(verb.subjects, pronouns)
        return subject, verb, self.place(verb, subject)

    def scene(self, articles, plural, adjective, suits=lambda noun: True):
        """A thing that suits, and where it is."""
        kinds, places = self.pick(SCENES)
        while not any(map(suits, nouns_of(frozenset(kinds.split())))):
            kinds, places = self.pick(SCENES)
        thing = self.phrase("subject", self.noun(kinds, suits=suits), articles, plural, adjective)
        return thing, place("at", self.place_phrase(self.noun(places, but=(thing.noun.name,))))


def place_past(draw):
    subject, verb, where = draw.movement("past", draw.pick(("motion", "motion", "rest")))
    return sentences.statement(subject, verb, "past", where)


def place_present(draw):
    subject, verb, where = draw.movement("present", draw.pick(("motion", "rest", "rest", "rest")), IN_PRESENT)
    return sentences.statement(subject, verb, "present", where)


def transitive_past(draw):
    subject, verb, object = draw.action("past")
    return sentences.statement(subject, verb, "past", object_of(verb, object))


def transitive_present(draw):
    subject, verb, object = draw.action("present", pronouns=IN_PRESENT)
    return sentences.statement(subject, verb, "present", object_of(verb, object))


def transitive_future(draw):
    subject, verb, object = draw.action("future", pronouns=IN_PRESENT)
    return sentences.statement(subject, verb, "future", object_of(verb, object))


def negation(draw):
    """In the past and the future nothing is "some": «не купил молоко» would say that the milk is known."""
    tense = draw.pick(("past", "present", "future"))
    subject, verb, object = draw.action(tense, pronouns=IN_PAST if tense == "past" else IN_PRESENT, adjective=0.1)
    if tense != "present" and not object.noun.countable:
        object = object._replace(article="the")
    return sentences.statement(subject, verb, tense, object_of(verb, object, negated=True), negated=True)


def habit(draw):
    if draw.chance(0.35):
        verb = draw.verb(HABITS_OF_PLACE)
        subject = draw.subject(verb.subjects, IN_PRESENT)
        how = draw.pick(("often", "never", "every day", *("days" for _ in range("animal" not in kinds_of(subject)))))
        rest = draw.place(verb, subject)
    else:
        subject, verb, object = draw.action("habit", HABITS, IN_PRESENT, adjective=0)
        while verb.name == "buy" and not has_kind(object.noun, ("food", "drink", "newspaper", "flower")):
            object = draw.object(verb, subject, "habit", adjective=0)
        how = draw.pick(("often", "never", "every day", *("days" for _ in range(verb.name not in ("eat", "drink")))))
        if has_kind(object.noun, ("food", "drink", "read", "film", "flower")):
            object = object._replace(article="a", plural=object.noun.countable)
        elif object.article == "a":
            object = object._replace(article="the")
        rest = object_of(verb, object, negated=how == "never")
    return sentences.habit(subject, verb, rest, draw.pick(sentences.DAYS) if how == "days" else how)


def time(draw):
    tense = draw.pick(("past", "past", "future"))
    pronouns = IN_PAST if tense == "past" else IN_PRESENT
    if draw.chance(0.35):
        subject, verb, rest = draw.movement(tense, "motion", pronouns)
    else:
        subject, verb, object = draw.action(tense, pronouns=pronouns)
        rest = object_of(verb, object)
    others = {"past": ("yesterday", "today"), "future": ("tomorrow", "today")}[tense]
    return sentences.dated(subject, verb, tense, rest, draw.pick((*sentences.DAYS, *others, *others)))


def description(draw):
    adjective = draw.words.adjectives[draw.pick([name for name in draw.words.adjectives if name != "new"] + COLOURS)]
    noun = draw.noun(adjective.kinds, suits=lambda noun: adjective.name not in NATIONAL or "person" not in noun.kinds)
    subject = draw.phrase("subject", noun, "the the this my our", adjective=0)
    past = draw.chance(0.4)
    how = draw.pick(("", "", *("very" for _ in range(adjective.name in GRADED)), *("not" for _ in range(not past))))
    return sentences.description(subject, adjective, past, how)


def comparison(draw):
    name = draw.pick(COMPARED)
    if name in ("big", "small") and draw.chance(0.5):
        pair = sorted(draw.random.sample(BY_SIZE, 2), key=BY_SIZE.index, reverse=name == "big")
    else:
        pair = draw.random.sample(draw.pick(COMPARED[name]).split(), 2)
    first, second = (draw.words.nouns[each] for each in pair)
    subject = draw.phrase("subject", first, "the this my our", 0.2, 0)
    other = draw.phrase("object", second, "the the this my our", 0.2 if subject.plural else 0, 0)
    return sentences.comparison(subject, draw.words.adjectives[name], other)


def owner_and_object(draw, numbers):
    owner = draw.subject("person name", PRONOUNS, plural=0.15)
    child = "child" in kinds_of(owner)
    noun = draw.noun(OWNED, (owner.noun.name,), lambda noun: not (child and "grown" in noun.kinds))
    object = draw.phrase("object", noun, "a", 0.25, 0.35)
    if noun.countable and draw.chance(numbers):
        object = object._replace(article=draw.pick(russian.NUMBERS), plural=True)
    return owner, object


def possession(draw):
    return sentences.possession(*owner_and_object(draw, numbers=0.25))


def possession_negated(draw):
    return sentences.possession_negated(*owner_and_object(draw, numbers=0))


def numerals(draw):
    """Two to four animals would take another form of the number in the accusative, so things only."""
    verb = draw.verb(COUNTED)
    subject = draw.subject(verb.subjects, IN_PAST)
    noun = draw.noun(verb.objects, suits=lambda noun: noun.countable and not noun.animate and "grown" not in noun.kinds)
    object = Phrase("object", noun, True, draw.pick(russian.NUMBERS), draw.adjective(noun, 0.3))
    return sentences.statement(subject, verb, "past", object_of(verb, object))


def existence(draw):
    thing, where = draw.scene("a", 0.4, 0.25)
    if thing.noun.countable and draw.chance(0.25):
        thing = thing._replace(article=draw.pick(russian.NUMBERS), plural=True)
    return sentences.existence(thing, where)


def absence(draw):
    thing, where = draw.scene("a", 0.5, 0.15)
    if has_kind(thing.noun, ("food", "plant")):
        thing = thing._replace(plural=thing.noun.countable)
    return sentences.absence(thing, where)


def location(draw):
    if draw.chance(0.5):
        thing, where = draw.scene("the the this my our", 0.35, 0.2, lambda noun: any(russian.posture(noun)))
        return sentences.location(thing, where)
    subject = draw.subject("person name pet", IN_PAST)
    where = place("at", draw.place_phrase(draw.noun("work place room outside home", suits=lambda noun: noun.at)))
    return sentences.location(subject, where, past=draw.chance(0.5))


def giver(draw):
    verb, tense = draw.verb(GIVING), draw.pick(("past", "past", "future"))
    subject = draw.subject(verb.subjects, IN_PAST if tense == "past" else IN_PRESENT)
    return subject, verb, tense, draw.object(verb, subject, tense, "the a a", 0.2)


def recipient(draw):
    subject, verb, tense, object = giver(draw)
    articles = "the the the this my our" if subject.person == 3 else "the the this"
    noun = draw.noun("adult name" if verb.name == "sell" else "person name", but=(subject.noun.name,))
    taker = draw.phrase("taker", noun, articles, 0.2, 0.1)
    return sentences.giving(subject, verb, tense, object, taker)


def recipient_pronoun(draw):
    subject, verb, tense, object = giver(draw)
    takers = [name for name in ("I", "we", "he", "she", "they")
              if name != subject.noun.name and not (subject.person == 1 and name == "we")]
    return sentences.giving(subject, verb, tense, object, draw.pronoun("taker", takers))


def government(draw):
    tense = draw.pick(("past", "present"))
    subject, verb, object = draw.action(tense, GOVERNED, IN_PAST if tense == "past" else IN_PRESENT, adjective=0.1)
    if verb.name == "dream" and object.noun.countable:
        object = object._replace(article="a", plural=False)
    return sentences.statement(subject, verb, tense, object_of(verb, object))


def question(draw):
    tense = draw.pick(("past", "present"))
    if draw.chance(0.3):
        subject, verb, rest = draw.movement(tense, "rest")
    else:
        subject, verb, object = draw.action(tense)
        rest = object_of(verb, object)
    return sentences.question(subject, verb, tense, rest)


def who(draw):
    tense = draw.pick(("past", "present"))
    _, verb, object = draw.action(tense, ASKED_WHO, articles="the the the this my")
    return sentences.who(verb, tense, object)


def what(draw):
    tense = draw.pick(("past", "present"))
    subject, verb, _ = draw.action(tense, ASKED_WHAT)
    return sentences.what(subject, verb, tense)


def where(draw):
    noun = draw.noun("person name animal thing vehicle work place")
    return sentences.where_is(draw.phrase("subject", noun, "the the my our", 0 if noun.at else 0.35, 0.15))


def how_many(draw):
    if draw.chance(0.5):
        thing, where = draw.scene("a", 0, 0, lambda noun: noun.countable)
        return sentences.how_many_there(thing._replace(plural=True), where)
    verb = draw.verb(COUNTED)
    thing = Phrase("object", draw.noun(verb.objects, suits=lambda noun: noun.countable), True)
    return sentences.how_many_done(thing, draw.subject(verb.subjects, IN_PAST), verb)


def modal(draw):
    name = draw.pick(sentences.MODALS)
    pronouns = [each for each in PRONOUNS if name != "must" or each != "I"]  # «должен» would show the gender of "I"
    negated = name == "can" and draw.chance(0.4)
    if not negated and draw.chance(0.25):
        verb = draw.verb(WANTED_PLACES)
        subject = draw.subject(verb.subjects, pronouns)
        return sentences.modal(name, subject, verb, draw.place(verb, subject))
    verbs = ABLE if negated else [name for name, verb in draw.words.verbs.items()
                                  if verb.objects and name not in (*GIVING, *UNWANTED)]
    subject, verb, object = draw.action("infinitive", verbs, pronouns)
    if negated and object.article == "a":
        object = object._replace(article="the")
    return sentences.modal(name, subject, verb, object_of(verb, object), negated)


def imperative(draw):
    how = draw.pick(("do", "do_not", "please", "me"))
    verbs = GIVING[:4] if how == "me" else [name for name, verb in draw.words.verbs.items()
                                            if name not in (*GIVING, "build") and verb.auxiliary != "reflexive"]
    verb = draw.verb(verbs, "do_not" if how == "do_not" else "do")
    noun = draw.noun(verb.objects, suits=lambda noun: "grown" not in noun.kinds)
    return sentences.imperative(verb, object_of(verb, draw.phrase("object", noun, "the the the this", 0.15)), how)


def doer(draw):
    """Who did what: a subject for a relative clause, not a relative of ours and with nothing but "the"."""
    subject, verb, object = draw.action("past", pronouns=())
    while not has_kind(subject.noun, ("person", "cat", "dog")) or "kin" in subject.noun.kinds:
        subject, verb, object = draw.action("past", pronouns=())
    return subject._replace(article="the", adjective=None), verb, object


def relative_subject(draw):
    subject, verb, object = doer(draw)
    if "person" in subject.noun.kinds and draw.chance(0.3):
        return sentences.relative_known(draw.pronoun("outer", IN_PRESENT), subject, verb, object)
    outer = draw.verb((name for name, each in draw.words.verbs.items()
                       if each.where[:1] == ["rest"] and has_kind(subject.noun, each.subjects)), "present")
    return sentences.relative_subject(subject, verb, object, outer, draw.place(outer, subject))


def relative_object(draw):
    subject, verb, object = draw.action("past", MADE, adjective=0, articles="the")
    adjectives = [each for each in adjectives_of(object.noun) if each.name != "new"]
    while object.noun.animate or not object.noun.countable or not adjectives:
        subject, verb, object = draw.action("past", MADE, adjective=0, articles="the")
        adjectives = [each for each in adjectives_of(object.noun) if each.name != "new"]
    posture = russian.posture(object.noun)
    if has_kind(object.noun, ("lie", "thing")) and draw.chance(0.6):
        noun = draw.noun("table shelf chair bed sofa bag cupboard", but=(object.noun.name,))
        rest = sentences.be(object, posture=posture) + place("at", Phrase("place", noun))
    else:
        rest = sentences.be(object) + sentences.said_of(object, draw.pick(adjectives))
    return sentences.relative_object(object, subject, verb, rest)


def coordination(draw):
    tense = draw.pick(("past", "past", "present", "future"))
    names = draw.random.sample(draw.pick(PAIRS).split(), 2)
    verb = draw.verb((name for name, verb in draw.words.verbs.items()
                      if verb.where[:1] != ["habit"] and name not in GIVING
                      and all(has_kind(draw.words.nouns[each], verb.subjects) for each in names)), tense)
    first = draw.phrase("first", draw.words.nouns[names[0]], plural=0, adjective=0)
    subject = Both(first, Phrase("second", draw.words.nouns[names[1]], article=first.article))
    if verb.where:
        return sentences.statement(subject, verb, tense, draw.place(verb, first))
    object = draw.object(verb, first, tense, "the the a", but=names)
    return sentences.statement(subject, verb, tense, object_of(verb, object))


def possessor(draw):
    owner = draw.subject("person name", role="owner", plural=0, adjective=0)
    how = draw.pick(("lies", "done", "pet"))
    if how == "pet":
        verb = draw.verb(("sleep", "play", "be_sitting", "be_lying"))
        subject = Phrase("subject", draw.words.nouns[draw.pick(("cat", "dog"))], owner=owner)
        return sentences.statement(subject, verb, "present", draw.place(verb, subject))
    if how == "done":
        verb = draw.verb(OF_OWNERS)
        subject = draw.phrase("subject", draw.noun(verb.subjects, but=(owner.noun.name,)))
        noun = draw.noun(verb.objects, suits=lambda noun: has_kind(noun, ("thing", "vehicle")))
        object = Phrase("object", noun, draw.chance(0.2), owner=owner)
        return sentences.statement(subject, verb, "past", object_of(verb, object))
    thing, where = draw.scene("the", 0.2, 0, lambda noun: "thing" in noun.kinds)
    return sentences.location(thing._replace(owner=owner), where)


CONSTRUCTIONS = (
    place_past, place_present, transitive_past, transitive_present, transitive_future, negation, habit, time,
    description, comparison, possession, numerals, existence, absence, location, recipient, recipient_pronoun,
    government, question, who, what, where, how_many, modal, imperative, relative_subject, relative_object,
    coordination, possessor)
HELD_OUT = possession_negated


def source_sentences():
    """The sentences of the course's source material and their mirror image, from the same rules."""
    nouns, verbs, black = lexicon().nouns, lexicon().verbs, lexicon().adjectives["black"]
    cat, mouse, mat = Phrase("subject", nouns["cat"]), Phrase("object", nouns["mouse"]), Phrase("place", nouns["mat"])
    sit, eat = verbs["sit_down"], verbs["eat"]
    return [
        (place_past, sentences.statement(cat, sit, "past", place("onto", mat))),
        (transitive_past, sentences.statement(cat._replace(adjective=black), eat, "past", object_of(eat, mouse))),
        (transitive_past, sentences.statement(cat, eat, "past", object_of(eat, mouse._replace(adjective=black)))),
    ]
