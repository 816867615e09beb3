"""French: noun phrases, verb groups with participle agreement, elision and contraction."""

from coursekit.datasets.translation.phrase import Both, Word, words

ARTICLES = {"the": ("le", "la", "les"), "this": ("ce", "cette", "ces"), "my": ("mon", "ma", "mes"),
            "our": ("notre", "notre", "nos"), "a": ("un", "une", "des")}
BEFORE_VOWEL = {"ce": "cet", "ma": "mon"}
NUMBERS = {"two": "deux", "three": "trois", "four": "quatre", "five": "cinq", "six": "six", "seven": "sept",
           "ten": "dix"}
ELIDED = ("le", "la", "de", "ne", "je", "me", "se", "que")
CONTRACTED = {("de", "le"): "du", ("de", "les"): "des", ("à", "le"): "au", ("à", "les"): "aux"}
AVOIR, ETRE = ("ai", "a", "ont"), ("suis", "est", "sont")
FUTURE = ("ai", "a", "ont")
WANT = "veux veut veulent voulons voulez".split()
CAN = "peux peut peuvent pouvons pouvez".split()
MUST = "dois doit doivent devons devez".split()


def starts_with_vowel(form):
    """Whether elision happens before the word: a vowel or a mute h, as every h of the lexicon is."""
    return form[:1].lower() in tuple("aeiouyàâéèêëîïôûœh")


def agree(forms, gender, plural):
    """One of m, f, m plural, f plural."""
    return forms[2 * plural + (gender == "f")]


def noun_phrase(phrase, indefinite="des"):
    """The words of a phrase; indefinite="de" after a negated verb: de instead of un, une, du, de la, des."""
    if isinstance(phrase, Both):
        return noun_phrase(phrase.first) + words("et", "and") + noun_phrase(phrase.second)
    noun = phrase.noun
    if phrase.is_pronoun:
        return words(noun.french[0], phrase.tag("noun"))
    core = words(noun.french[phrase.plural], phrase.tag("noun"))
    if phrase.adjective:
        core = with_adjective(phrase, core)
    group = determiner(phrase, core[0].form, indefinite) + core
    if phrase.owner:
        group += words("de", phrase.owner.tag("of")) + noun_phrase(phrase.owner)
    return group


def with_adjective(phrase, noun):
    adjective = phrase.adjective
    form = agree(adjective.french, phrase.french_gender, phrase.plural)
    if not adjective.before:
        return noun + words(form, phrase.tag("adj"))
    if phrase.french_gender == "m" and not phrase.plural and starts_with_vowel(noun[0].form):
        form = adjective.french[-1] if len(adjective.french) == 5 else form
    return words(form, phrase.tag("adj")) + noun


def determiner(phrase, after, indefinite):
    if phrase.article in NUMBERS:
        return words(NUMBERS[phrase.article], phrase.tag("det"))
    if not phrase.article:
        return []
    forms = ARTICLES["the" if phrase.article == "generic" else phrase.article]
    form = forms[2] if phrase.plural else forms[phrase.french_gender == "f"]
    if phrase.article == "a" and indefinite == "de":
        form = "de"
    elif phrase.article == "a" and not phrase.noun.countable:
        form = "de " + ARTICLES["the"][phrase.french_gender == "f"]
    elif phrase.article == "a" and phrase.plural and phrase.adjective and phrase.adjective.before:
        form = "de"
    elif starts_with_vowel(after):
        form = BEFORE_VOWEL.get(form, form)
    return words(form, phrase.tag("det"))


def person(subject):
    return 2 if subject.is_plural else 0 if subject.person == 1 else 1


def participle(verb, agreement):
    """The participle that agrees with a phrase, or the masculine singular for None."""
    masculine, feminine = verb.french["participle"]
    if agreement is None:
        return masculine
    form = feminine if agreement.french_gender == "f" else masculine
    invariable = masculine == feminine or not agreement.is_plural or form.endswith("s")
    return form if invariable else form + "s"


def finite(verb, subject, tense, before=None):
    """The finite verb, and what follows the negation. before: an object before the verb; the participle agrees."""
    if verb.auxiliary == "attribute":
        return ETRE[person(subject)], participle(verb, subject)
    if tense == "past":
        with_etre = verb.auxiliary in ("être", "reflexive")
        return (ETRE if with_etre else AVOIR)[person(subject)], participle(verb, subject if with_etre else before)
    if tense == "future":
        return verb.french["future"][0] + FUTURE[person(subject)], ""
    first, _, rest = verb.french["present"][person(subject)].partition("_")
    return first, rest


def predicate(verb, subject, tense, negated=False, adverb="", clitic=(), before=None, never="pas", tag="verb"):
    first, rest = finite(verb, subject, tense, before)
    pronoun = words("me" if subject.person == 1 else "se", tag) if verb.auxiliary == "reflexive" else []
    return ((words("ne", "not") if negated else []) + list(clitic) + pronoun + words(first, tag)
            + (words(never, "not") if negated else []) + words(adverb, "adverb") + words(rest, tag))


def avoir(subject):
    """The present of avoir in all persons."""
    return {1: ("ai", "avons"), 2: ("avez", "avez"), 3: ("a", "ont")}[subject.person][subject.is_plural]


def inverted_past(verb, subject, object):
    """A question about an object that stands before: la fille a-t-elle achetées, a-t-il lus."""
    pronoun = ("elle" if subject.french_gender == "f" else "il") + ("s" if subject.is_plural else "")
    first, rest = finite(verb, subject, "past", before=object)
    named = [] if subject.is_pronoun else noun_phrase(subject)
    asked = words(f"{first}{'-' if subject.is_plural else '-t-'}{pronoun}", subject.tag("noun"), "verb")
    return named + asked + words(rest, "verb")


def be(subject):
    return ETRE[person(subject)]


def modal_person(subject):
    """The place in WANT, CAN and MUST."""
    if subject.person == 3 or not subject.is_plural:
        return person(subject)
    return 3 if subject.person == 1 else 4


def infinitive(verb, subject):
    """With the reflexive pronoun of the subject where the verb has one."""
    reflexive = {"I": "me ", "we": "nous ", "you": "vous "}.get(subject.noun.name, "se ")
    return (reflexive if verb.auxiliary == "reflexive" else "") + verb.french["infinitive"][0]


def was(subject):
    return "étaient" if subject.is_plural else "était"


def smooth(sentence):
    """Elision (le homme: l'homme), then contraction (de le: du, à les: aux); what is merged keeps both meanings."""
    following = [word.form for word in sentence[1:]] + [""]
    elided = [Word(word.form[:-1] + "'", word.tags) if word.form in ELIDED and starts_with_vowel(after) else word
              for word, after in zip(sentence, following)]
    merged = []
    for word in elided:
        if merged and (merged[-1].form, word.form) in CONTRACTED:
            last = merged.pop()
            word = Word(CONTRACTED[last.form, word.form], last.tags | word.tags)
        merged.append(word)
    return merged
