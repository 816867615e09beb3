"""The wording of every construction: what is said, in English, Russian and French."""

from coursekit.datasets.translation import english, french, russian
from coursekit.datasets.translation.lexicon import PRONOUNS, lexicon
from coursekit.datasets.translation.phrase import Phrase, Three, words

DAYS = {"Monday": ("в понедельник", "lundi"), "Tuesday": ("в вторник", "mardi"), "Wednesday": ("в среду", "mercredi"),
        "Thursday": ("в четверг", "jeudi"), "Friday": ("в пятницу", "vendredi"), "Saturday": ("в субботу", "samedi"),
        "Sunday": ("в воскресенье", "dimanche")}
OTHER_DAYS = {"yesterday": ("вчера", "hier"), "today": ("сегодня", "aujourd'hui"), "tomorrow": ("завтра", "demain")}
ON_DAYS = {"Monday": "по понедельникам", "Tuesday": "по вторникам", "Wednesday": "по средам",
           "Thursday": "по четвергам", "Friday": "по пятницам", "Saturday": "по субботам",
           "Sunday": "по воскресеньям"}
# Before the verb in each language; in French never is what stands instead of "pas".
HOW_OFTEN = {"often": ("often", "часто", "souvent"), "never": ("never", "никогда", ""),
             "every day": ("", "каждый день", "")}
# English, Russian with its case, French. One can live "near", and sit "by" a window; the words are the same.
POSITIONS = {"under": ("under", "под", "ins", "sous"), "behind": ("behind", "за", "ins", "derrière"),
             "near": ("near", "около", "gen", "près de"), "by": ("near", "около", "gen", "près de"),
             "front": ("in front of", "перед", "ins", "devant")}
MODALS = {"want": (("want to", "wants to"), russian.WANT, french.WANT),
          "can": (("can", "can"), russian.CAN, french.CAN),
          "must": (("must", "must"), russian.MUST, french.MUST)}


def point(mark):
    return Three(*(words(mark, "end") for _ in range(3)))


def subject_of(subject):
    return Three(english.noun_phrase(subject, "subject"), russian.noun_phrase(subject, "nom"),
                 french.noun_phrase(subject))


def predicate(verb, subject, tense, negated=False, tag="verb"):
    return Three(*(language.predicate(verb, subject, tense, negated, tag=tag)
                   for language in (english, russian, french)))


def object_of(verb, object, negated=False):
    """The object with the preposition and the case that its verb governs in each language."""
    governs = verb.governs
    tag = object.tag("prep") if governs.english else "verb"  # a preposition that English does not have
    indefinite = "de" if negated and not governs.french else "des"
    return Three(words(governs.english, tag) + english.noun_phrase(object),
                 words(governs.russian, tag) + russian.noun_phrase(object, governs.case),
                 words(governs.french, tag) + french.noun_phrase(object, indefinite))


def place(position, phrase):
    """Where: "at" (the noun's own prepositions), POSITIONS. Where to: "onto", "to". Where from: "from", "out"."""
    tag = phrase.tag("prep")
    en, ru, fr = phrase.noun.at or ("", "", "")
    case = "place"
    if position in POSITIONS:
        en, ru, case, fr = POSITIONS[position]
    elif position == "onto":
        case = "acc"
    elif position == "to":
        case, en, fr = "acc", "to", "à"
    elif position in ("from", "out"):
        case, en, ru, fr = "gen", position.replace("out", "of"), {"в": "из", "на": "с"}[ru], "de"
    return Three(words(en, tag) + english.noun_phrase(phrase), words(ru, tag) + russian.noun_phrase(phrase, case),
                 words(fr, tag) + french.noun_phrase(phrase))


def statement(subject, verb, tense, rest, negated=False):
    """The black cat ate the mouse. rest: `object_of` or `place`."""
    return subject_of(subject) + predicate(verb, subject, tense, negated) + rest + point(".")


def dated(subject, verb, tense, rest, day):
    """The doctor bought a car on Monday: the day stands first in Russian and French."""
    en, ru, fr = (f"on {day}", *DAYS[day]) if day in DAYS else (day, *OTHER_DAYS[day])
    said = subject_of(subject) + predicate(verb, subject, tense) + rest
    return Three(said.en + words(en, "time"), words(ru, "time") + said.ru,
                 words(f"{fr} ,", "time") + said.fr) + point(".")


def habit(subject, verb, rest, how):
    """The teacher often reads newspapers. how: "often", "never", "every day" or a weekday."""
    en, ru, fr = HOW_OFTEN.get(how, ("", "", ""))
    said = subject_of(subject) + Three(
        english.predicate(verb, subject, "habit", adverb=en),
        russian.predicate(verb, subject, "habit", how == "never", adverb=ru),
        french.predicate(verb, subject, "habit", how == "never", adverb=fr, never="jamais")) + rest
    if how == "every day":
        said = said + Three(words("every day", "adverb"), [], words("tous les jours", "adverb"))
    elif how in ON_DAYS:
        said = Three(said.en + words(f"on {how}s", "time"), words(ON_DAYS[how], "time") + said.ru,
                     said.fr + words(f"le {DAYS[how][1]}", "time"))
    return said + point(".")


def said_of(subject, adjective):
    """The adjective of a predicate; Russian has its long form in the nominative."""
    return Three(words(adjective.name, "adjective"),
                 words(adjective.russian["pl" if subject.plural else subject.gender], "adjective"),
                 words(french.agree(adjective.french, subject.french_gender, subject.plural), "adjective"))


def be(subject, past=False, posture=("", "")):
    """Forms of "to be"; Russian has none in the present, or a verb of posture (singular, plural)."""
    forms = ((english.was(subject), russian.was(subject), french.was(subject)) if past else
             (english.be(subject), posture[subject.is_plural], french.be(subject)))
    return Three(*(words(form, "verb") for form in forms))


def description(subject, adjective, past=False, how=""):
    """The soup is very hot. how: "", "very" or "not"."""
    group = be(subject, past)
    if how == "very":
        group = group + Three(words("very", "very"), words("очень", "very"), words("très", "very"))
    if how == "not":
        group = Three(group.en + words("not", "not"), words("не", "not") + group.ru,
                      words("ne", "not") + group.fr + words("pas", "not"))
    return subject_of(subject) + group + said_of(subject, adjective) + point(".")


def comparison(subject, adjective, other):
    """The dog is bigger than the cat."""
    en, ru, *fr = adjective.comparative
    form = fr[subject.french_gender == "f"] + ("s" if subject.plural else "")
    return subject_of(subject) + be(subject) + Three(
        words(en, "adjective") + words("than", "than") + english.noun_phrase(other),
        words(ru, "adjective") + russian.noun_phrase(other, "gen"),
        words(form, "adjective") + words("que", "than") + french.noun_phrase(other)) + point(".")


def possession(owner, object):
    """The girl has a red book. With a number Russian has no verb."""
    has = "has" if owner.person == 3 and not owner.is_plural else "have"
    there_is = [] if object.article in russian.NUMBERS else words("есть", "verb")
    return Three(
        english.noun_phrase(owner, "subject") + words(has, "verb") + english.noun_phrase(object),
        words("у", "verb") + russian.noun_phrase(owner, "gen") + there_is + russian.noun_phrase(object),
        french.noun_phrase(owner) + words(french.avoir(owner), "verb") + french.noun_phrase(object)) + point(".")


def possession_negated(owner, object):
    """The girl does not have a book."""
    return Three(
        english.noun_phrase(owner, "subject") + words(english.do(owner), "verb") + words("not", "not")
        + words("have", "verb") + english.noun_phrase(object),
        words("у", "verb") + russian.noun_phrase(owner, "gen") + words("нет", "verb", "not")
        + russian.noun_phrase(object, "gen"),
        french.noun_phrase(owner) + words("ne", "not") + words(french.avoir(owner), "verb") + words("pas", "not")
        + french.noun_phrase(object, "de")) + point(".")


def existence(thing, where):
    """There is a book on the table. With a number Russian has no verb."""
    verb = [] if thing.article in russian.NUMBERS else words(russian.there_is(thing.noun)[thing.plural], "verb")
    return Three(words(f"there {english.be(thing)}", "verb") + english.noun_phrase(thing) + where.en,
                 where.ru + verb + russian.noun_phrase(thing),
                 words("il y a", "verb") + french.noun_phrase(thing) + where.fr) + point(".")


def absence(thing, where):
    """There is no milk in the fridge."""
    return Three(
        words(f"there {english.be(thing)}", "verb") + words("no", "not")
        + english.noun_phrase(thing._replace(article="")) + where.en,
        where.ru + words("нет", "verb", "not") + russian.noun_phrase(thing, "gen"),
        words("il", "verb") + words("ne", "not") + words("y a", "verb") + words("pas", "not")
        + french.noun_phrase(thing, "de") + where.fr) + point(".")


def location(subject, where, past=False):
    """The keys are on the table. The girl was in the garden."""
    posture = ("", "") if past or subject.is_pronoun else russian.posture(subject.noun)
    return subject_of(subject) + be(subject, past, posture) + where + point(".")


def giving(subject, verb, tense, object, taker):
    """The teacher gave the girl a book. The teacher gave me a book."""
    en = english.noun_phrase(taker) + english.noun_phrase(object)
    ru = russian.noun_phrase(taker, "dat") + russian.noun_phrase(object, "acc")
    fr, clitic = french.noun_phrase(object), []
    if taker.is_pronoun:
        clitic = words(taker.noun.french[1], taker.tag("noun"))
    else:
        fr = fr + words("à", "verb") + french.noun_phrase(taker)
    return subject_of(subject) + Three(
        english.predicate(verb, subject, tense) + en, russian.predicate(verb, subject, tense) + ru,
        french.predicate(verb, subject, tense, clitic=clitic) + fr) + point(".")


def question(subject, verb, tense, rest):
    """Did the boy read the book?"""
    first, last = english.finite(verb, subject, tense)
    asked, group = subject_of(subject), predicate(verb, subject, tense)
    return Three(words(first, "verb") + asked.en + words(last, "verb"), asked.ru + group.ru,
                 words("est-ce que") + asked.fr + group.fr) + rest + point("?")


def who(verb, tense, object):
    """Who broke the window?"""
    he = Phrase("subject", PRONOUNS["he"], article="")
    return (Three(words("who", "asked"), words("кто", "asked"), words("qui", "asked")) + predicate(verb, he, tense)
            + object_of(verb, object) + point("?"))


def what(subject, verb, tense):
    """What did the girl buy? A Russian noun follows its verb, a pronoun does not."""
    first, last = english.finite(verb, subject, tense)
    asked, group = subject_of(subject), predicate(verb, subject, tense)
    return Three(words("what", "asked") + words(first, "verb") + asked.en + words(last, "verb"),
                 words("что", "asked") + russian.inverted(subject, asked.ru, group.ru),
                 words("que est-ce que", "asked") + asked.fr + group.fr) + point("?")


def where_is(thing):
    """Where is the cat?"""
    return Three(words("where", "asked") + words(english.be(thing), "verb"), words("где", "asked"),
                 words("où", "asked") + words(french.be(thing), "verb")) + subject_of(thing) + point("?")


def how_many(thing):
    thing = thing._replace(article="")
    return Three(words("how many", "asked") + english.noun_phrase(thing),
                 words("сколько", "asked") + russian.noun_phrase(thing, "gen"),
                 words("combien de", "asked") + french.noun_phrase(thing))


def how_many_there(thing, where):
    """How many chairs are there in the kitchen?"""
    return how_many(thing) + Three(words("are there", "verb"), [], words("y a-t-il", "verb")) + where + point("?")


def how_many_done(thing, subject, verb):
    """How many apples did the girl buy?"""
    first, last = english.finite(verb, subject, "past")
    group = russian.predicate(verb, subject, "past")
    return how_many(thing) + Three(
        words(first, "verb") + english.noun_phrase(subject, "subject") + words(last, "verb"),
        russian.inverted(subject, russian.noun_phrase(subject), group),
        french.inverted_past(verb, subject, thing)) + point("?")


def modal(name, subject, verb, rest, negated=False):
    """The boy wants to read the book. He cannot open the door. name: "want", "can" or "must"."""
    (base, third), ru, fr = MODALS[name]
    en = words("cannot", "modal", "not") if negated else words(
        third if subject.person == 3 and not subject.is_plural else base, "modal")
    group = Three(
        en + words(verb.english["base"], "verb"),
        (words("не", "not") if negated else []) + words(russian.modal(ru, subject), "modal")
        + words(verb.russian["infinitive"][0], "verb"),
        (words("ne", "not") if negated else []) + words(fr[french.modal_person(subject)], "modal")
        + (words("pas", "not") if negated else []) + words(french.infinitive(verb, subject), "verb"))
    return subject_of(subject) + group + rest + point(".")


def imperative(verb, rest, how):
    """Open the window! how: "do", "do_not", "please" (Please open the window.) or "me" (Please give me the key.)."""
    en, ru = words(verb.english["base"], "verb"), words(verb.russian["do_not" if how == "do_not" else "do"][0], "verb")
    fr = words(verb.french["present"][3], "verb")
    if how == "do":
        return Three(en, ru, fr) + rest + point("!")
    if how == "do_not":
        return Three(words("do", "verb") + words("not", "not") + en, words("не", "not") + ru,
                     words("ne", "not") + fr + words("pas", "not")) + rest + point("!")
    if how == "me":
        en, ru = en + words("me", "taker"), ru + words("мне", "taker")
        fr = words(f"{verb.french['present'][3]}-moi", "verb", "taker")
    return Three(words("please", "please") + en + rest.en, ru + words(", пожалуйста ,", "please") + rest.ru,
                 fr + rest.fr + words(", s' il vous plaît", "please")) + point(".")


def doer(subject, verb, object, case="nom"):
    """The woman who bought the car, as a noun phrase in a Russian case."""
    clause = predicate(verb, subject, "past", tag="inner") + object_of(verb, object)
    who = "that" if "animal" in subject.noun.kinds else "who"
    return Three(
        english.noun_phrase(subject) + words(who, "which") + clause.en,
        russian.noun_phrase(subject, case) + words(",") + words(russian.which("nom", subject), "which") + clause.ru,
        french.noun_phrase(subject) + words("qui", "which") + clause.fr)


def relative_subject(subject, verb, object, outer, where):
    """The woman who bought the car lives in the village."""
    return (doer(subject, verb, object) + Three([], words(","), []) + predicate(outer, subject, "present") + where
            + point("."))


def relative_known(knower, subject, verb, object):
    """I know the man who built this house."""
    know = lexicon().verbs["know"]
    return subject_of(knower) + predicate(know, knower, "present") + doer(subject, verb, object, "acc") + point(".")


def relative_object(object, subject, verb, rest):
    """The letter that the boy wrote ... rest: a predicate of the letter. The French participle agrees with it."""
    asked = subject_of(subject)
    group = Three(*(language.predicate(verb, subject, "past", tag="inner") for language in (english, russian)),
                  french.predicate(verb, subject, "past", before=object, tag="inner"))
    return Three(
        english.noun_phrase(object) + words("that", "which") + asked.en + group.en,
        russian.noun_phrase(object) + words(",") + words(russian.which("acc", object), "which")
        + russian.inverted(subject, asked.ru, group.ru) + words(","),
        french.noun_phrase(object) + words("que", "which") + asked.fr + group.fr) + rest + point(".")
