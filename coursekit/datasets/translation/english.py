"""English: noun phrases, verb groups, and a/an."""

from coursekit.datasets.translation.phrase import Both, Word, words

CONSONANT_SOUND = ("university",)


def noun_phrase(phrase, role="object"):
    """The words of a phrase; pronouns depend on the role, "subject" or "object"."""
    if isinstance(phrase, Both):
        return noun_phrase(phrase.first) + words("and", "and") + noun_phrase(phrase.second)
    determiner = words(article(phrase), phrase.tag("det"))
    if phrase.owner:
        determiner = noun_phrase(phrase.owner) + words("'s", phrase.owner.tag("of"))
    adjective = words(phrase.adjective.name, phrase.tag("adj")) if phrase.adjective else []
    return determiner + adjective + words_of_noun(phrase, role)


def words_of_noun(phrase, role):
    form = phrase.noun.english[role == "object"] if phrase.is_pronoun else phrase.noun.english[phrase.plural]
    return words(form, phrase.tag("noun"))


def article(phrase):
    if phrase.article == "generic" or (phrase.article == "a" and (phrase.plural or not phrase.noun.countable)):
        return ""
    return "these" if phrase.article == "this" and phrase.plural else phrase.article


def be(subject):
    return "are" if subject.is_plural else "am" if subject.person == 1 else "is"


def was(subject):
    return "were" if subject.is_plural else "was"


def simple(verb, subject):
    return verb.english["s" if subject.person == 3 and not subject.is_plural else "base"]


def do(subject):
    return "does" if subject.person == 3 and not subject.is_plural else "do"


def finite(verb, subject, tense):
    """The finite verb that "not" follows and a question begins with, and the rest of the group."""
    if tense == "future":
        return "will", verb.english["base"]
    if tense == "past":
        return "did", verb.english["base"]
    if tense == "present" and "ing" in verb.english:
        return be(subject), verb.english["ing"]
    return do(subject), verb.english["base"]


def predicate(verb, subject, tense, negated=False, adverb="", tag="verb"):
    """The verb group: tense "past", "present" (progressive where the verb has it), "habit" or "future"."""
    if negated:
        first, rest = finite(verb, subject, tense)
        return words(first, tag) + words("not", "not") + words(rest, tag)
    if tense == "past":
        return words(verb.english["past"], tag)
    if tense == "habit" or (tense == "present" and "ing" not in verb.english):
        return words(adverb, "adverb", "not") + words(simple(verb, subject), tag)
    return words(" ".join(finite(verb, subject, tense)), tag)


def smooth(sentence):
    """Write "an" before a vowel sound."""
    following = [word.form for word in sentence[1:]] + [""]
    return [Word("an", word.tags) if word.form == "a" and after[0] in "aeiouAEIOU" and after not in CONSONANT_SOUND
            else word for word, after in zip(sentence, following)]
