"""Russian: noun phrases in six cases, verb groups, and prepositions that take a vowel."""

import re

from coursekit.datasets.translation.lexicon import ADJECTIVE_FORMS
from coursekit.datasets.translation.phrase import Both, Word, words

DETERMINERS = {name: dict(zip(ADJECTIVE_FORMS, forms.split(), strict=True)) for name, forms in {
    "this": "этот это эта эти этого этому этим этом этой эту этих этими",
    "my": "мой моё моя мои моего моему моим моём моей мою моих моими",
    "our": "наш наше наша наши нашего нашему нашим нашем нашей нашу наших нашими"}.items()}
WHICH = {"nom": dict(m="который", n="которое", f="которая", pl="которые"),
         "acc": dict(m="который", n="которое", f="которую", pl="которые")}
NUMBERS = {"two": "два", "three": "три", "four": "четыре", "five": "пять", "six": "шесть", "seven": "семь",
           "ten": "десять"}
WANT = dict(zip(("I", "he", "they", "we", "you"), "хочу хочет хотят хотим хотите".split()))
CAN = dict(zip(("I", "he", "they", "we", "you"), "могу может могут можем можете".split()))
MUST = {"m": "должен", "f": "должна", "pl": "должны"}
PAUCAL = ("two", "three", "four")


def agree(forms, case, gender, plural, animate):
    """The form of an adjective or determiner: `forms` by name, as `Adjective.russian`."""
    if case == "place":
        case = "prep"
    if case == "acc":
        if gender == "f" and not plural:
            return forms["acc_f"]
        case = "gen" if animate and (plural or gender == "m") else "nom"
    if case == "nom":
        return forms["pl" if plural else gender]
    if plural:
        return forms[{"gen": "gen_pl", "dat": "ins_m", "ins": "ins_pl", "prep": "gen_pl"}[case]]
    return forms["gen_f" if gender == "f" else f"{case}_m"]


def noun_phrase(phrase, case="nom"):
    """The words of a phrase in a case: "nom", "gen", "dat", "acc", "ins", "prep", or "place" (where)."""
    if isinstance(phrase, Both):
        return noun_phrase(phrase.first, case) + words("и", "and") + noun_phrase(phrase.second, case)
    noun = phrase.noun
    if phrase.is_pronoun:
        return words(noun.russian[case], phrase.tag("noun"))
    if phrase.article in NUMBERS:
        return counted(phrase)
    group = []
    if phrase.article in DETERMINERS:
        form = agree(DETERMINERS[phrase.article], case, noun.gender, phrase.plural, noun.animate)
        group += words(form, phrase.tag("det"))
    if phrase.adjective:
        form = agree(phrase.adjective.russian, case, noun.gender, phrase.plural, noun.animate)
        group += words(form, phrase.tag("adj"))
    group += words(noun.russian[case][phrase.plural], phrase.tag("noun"))
    return group + noun_phrase(phrase.owner, "gen") if phrase.owner else group


def counted(phrase):
    """Nominative (inanimate accusative) with a number: from two to four the genitive singular, then the plural."""
    noun, few = phrase.noun, phrase.article in PAUCAL
    number = "две" if phrase.article == "two" and noun.gender == "f" else NUMBERS[phrase.article]
    adjective = []
    if phrase.adjective:
        form = phrase.adjective.russian["pl" if few and noun.gender == "f" else "gen_pl"]
        adjective = words(form, phrase.tag("adj"))
    return words(number, phrase.tag("det")) + adjective + words(noun.russian["gen"][not few], phrase.tag("noun"))


def form(verb, subject, tense):
    """One finite form; past: perfective, except for activities; future: perfective; present and habit: imperfective."""
    if tense == "past":
        return verb.russian["past"][2 if subject.is_plural else subject.gender == "f"]
    forms = verb.russian["future" if tense == "future" else "present"]
    return forms[2 if subject.is_plural else 0 if subject.person == 1 else 1]


def predicate(verb, subject, tense, negated=False, adverb="", tag="verb"):
    return (words(adverb, "adverb") + (words("не", "not") if negated else [])
            + words(form(verb, subject, tense), tag))


def which(case, phrase):
    """The relative pronoun that stands for a phrase, as the subject or the object of its clause."""
    if case == "acc" and phrase.noun.animate and (phrase.plural or phrase.gender == "m"):
        return "которых" if phrase.plural else "которого"
    return WHICH[case]["pl" if phrase.plural else phrase.gender]


def inverted(subject, noun, verb):
    """After a question word or a relative pronoun a noun follows its verb, a pronoun does not."""
    return noun + verb if subject.is_pronoun else verb + noun


def modal(forms, subject):
    """The form of WANT, CAN or MUST; the last agrees in gender."""
    if forms is MUST:
        return forms["pl" if subject.is_plural else subject.gender]
    if subject.person == 3:
        return forms["they" if subject.is_plural else "he"]
    return forms[subject.noun.name]


def posture(noun):
    """The verb that says where a thing is, (singular, plural): some lie, some stand; people and animals have none."""
    if "lie" in noun.kinds:
        return "лежит", "лежат"
    return ("стоит", "стоят") if noun.kinds & {"stand", "furniture"} else ("", "")


def there_is(noun):
    """The verb that introduces something, (singular, plural)."""
    if "plant" in noun.kinds:
        return "растёт", "растут"
    return posture(noun) if any(posture(noun)) else ("есть", "есть")


def was(subject):
    return "были" if subject.is_plural else {"m": "был", "f": "была", "n": "было"}[subject.gender]


def smooth(sentence):
    """во вторник, со студентом, об артисте: a vowel where the next word begins hard to say."""
    spoken = []
    for word, after in zip(sentence, [word.form.lower() for word in sentence[1:]] + [""]):
        form = word.form
        if form == "в" and re.match("[вф][^аеёиоуыэюяь]", after):
            form = "во"
        elif form == "с" and re.match("[сзшж][^аеёиоуыэюяь]", after):
            form = "со"
        elif form == "о" and after[:1] in tuple("аиоуэ"):
            form = "об"
        spoken.append(Word(form, word.tags))
    return spoken
