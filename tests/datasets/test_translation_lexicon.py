"""The lexicon of the translation corpus: every form against rules and lists of exceptions written apart from it."""

import tomllib

import pytest

from coursekit.datasets import data_folder
from coursekit.datasets.translation import draw
from coursekit.datasets.translation.lexicon import ADJECTIVE_FORMS, CASES, lexicon

NOUNS, ADJECTIVES, VERBS = lexicon().nouns, lexicon().adjectives, lexicon().verbs

# Singular (nom gen dat acc ins prep; the accusative of masculines follows from the animate rule) and plural
# (nom gen dat ins prep) endings, after the standard declensions.
DECLENSIONS = {
    "стол": ("- а у = ом е", "ы ов ам ами ах"), "мальчик": ("- а у = ом е", "и ов ам ами ах"),
    "нож": ("- а у = ом е", "и ей ам ами ах"), "пляж": ("- а у = ем е", "и ей ам ами ах"),
    "дом": ("- а у = ом е", "а ов ам ами ах"), "гость": ("ь я ю = ем е", "и ей ям ями ях"),
    "учитель": ("ь я ю = ем е", "я ей ям ями ях"), "музей": ("й я ю = ем е", "и ев ям ями ях"),
    "лампа": ("а ы е у ой е", "ы - ам ами ах"), "книга": ("а и е у ой е", "и - ам ами ах"),
    "птица": ("а ы е у ей е", "ы - ам ами ах"), "груша": ("а и е у ей е", "и - ам ами ах"),
    "история": ("я и и ю ей и", "и й ям ями ях"), "дверь": ("ь и и ь ью и", "и ей ям ями ях"),
    "мышь": ("ь и и ь ью и", "и ей ам ами ах"), "зеркало": ("о а у о ом е", "а - ам ами ах"),
    "море": ("е я ю е ем е", "я ей ям ями ях"), "здание": ("е я ю е ем и", "я й ям ями ях"),
}
# Every noun that no declension above gives: fleeting vowels, ё, other plurals.
IRREGULAR = """
ребёнок ребёнка ребёнку ребёнка ребёнком ребёнке / дети детей детям детей детьми детях
девочка девочки девочке девочку девочкой девочке / девочки девочек девочкам девочек девочками девочках
медсестра медсестры медсестре медсестру медсестрой медсестре /
 медсёстры медсестёр медсёстрам медсестёр медсёстрами медсёстрах
сосед соседа соседу соседа соседом соседе / соседи соседей соседям соседей соседями соседях
друг друга другу друга другом друге / друзья друзей друзьям друзей друзьями друзьях
брат брата брату брата братом брате / братья братьев братьям братьев братьями братьях
сестра сестры сестре сестру сестрой сестре / сёстры сестёр сёстрам сестёр сёстрами сёстрах
мать матери матери мать матерью матери / матери матерей матерям матерей матерями матерях
отец отца отцу отца отцом отце / отцы отцов отцам отцов отцами отцах
сын сына сыну сына сыном сыне / сыновья сыновей сыновьям сыновей сыновьями сыновьях
дочь дочери дочери дочь дочерью дочери / дочери дочерей дочерям дочерей дочерьми дочерях
бабушка бабушки бабушке бабушку бабушкой бабушке / бабушки бабушек бабушкам бабушек бабушками бабушках
дедушка дедушки дедушке дедушку дедушкой дедушке / дедушки дедушек дедушкам дедушек дедушками дедушках
певец певца певцу певца певцом певце / певцы певцов певцам певцов певцами певцах
лошадь лошади лошади лошадь лошадью лошади / лошади лошадей лошадям лошадей лошадьми лошадях
утка утки утке утку уткой утке / утки уток уткам уток утками утках
курица курицы курице курицу курицей курице / куры кур курам кур курами курах
свинья свиньи свинье свинью свиньёй свинье / свиньи свиней свиньям свиней свиньями свиньях
яблоко яблока яблоку яблоко яблоком яблоке / яблоки яблок яблокам яблоки яблоками яблоках
яйцо яйца яйцу яйцо яйцом яйце / яйца яиц яйцам яйца яйцами яйцах
огурец огурца огурцу огурец огурцом огурце / огурцы огурцов огурцам огурцы огурцами огурцах
кофе кофе кофе кофе кофе кофе
чай чая чаю чай чаем чае
письмо письма письму письмо письмом письме / письма писем письмам письма письмами письмах
статья статьи статье статью статьёй статье / статьи статей статьям статьи статьями статьях
ручка ручки ручке ручку ручкой ручке / ручки ручек ручкам ручки ручками ручках
чашка чашки чашке чашку чашкой чашке / чашки чашек чашкам чашки чашками чашках
тарелка тарелки тарелке тарелку тарелкой тарелке / тарелки тарелок тарелкам тарелки тарелками тарелках
вилка вилки вилке вилку вилкой вилке / вилки вилок вилкам вилки вилками вилках
ложка ложки ложке ложку ложкой ложке / ложки ложек ложкам ложки ложками ложках
бутылка бутылки бутылке бутылку бутылкой бутылке / бутылки бутылок бутылкам бутылки бутылками бутылках
сумка сумки сумке сумку сумкой сумке / сумки сумок сумкам сумки сумками сумках
коробка коробки коробке коробку коробкой коробке / коробки коробок коробкам коробки коробками коробках
пальто пальто пальто пальто пальто пальто / пальто пальто пальто пальто пальто пальто
платье платья платью платье платьем платье / платья платьев платьям платья платьями платьях
рубашка рубашки рубашке рубашку рубашкой рубашке / рубашки рубашек рубашкам рубашки рубашками рубашках
кошелёк кошелька кошельку кошелёк кошельком кошельке / кошельки кошельков кошелькам кошельки кошельками кошельках
цветок цветка цветку цветок цветком цветке / цветы цветов цветам цветы цветами цветах
дерево дерева дереву дерево деревом дереве / деревья деревьев деревьям деревья деревьями деревьях
игрушка игрушки игрушке игрушку игрушкой игрушке / игрушки игрушек игрушкам игрушки игрушками игрушках
подарок подарка подарку подарок подарком подарке / подарки подарков подаркам подарки подарками подарках
кольцо кольца кольцу кольцо кольцом кольце / кольца колец кольцам кольца кольцами кольцах
песня песни песне песню песней песне / песни песен песням песни песнями песнях
лодка лодки лодке лодку лодкой лодке / лодки лодок лодкам лодки лодками лодках
стул стула стулу стул стулом стуле / стулья стульев стульям стулья стульями стульях
кресло кресла креслу кресло креслом кресле / кресла кресел креслам кресла креслами креслах
полка полки полке полку полкой полке / полки полок полкам полки полками полках
скамейка скамейки скамейке скамейку скамейкой скамейке / скамейки скамеек скамейкам скамейки скамейками скамейках
окно окна окну окно окном окне / окна окон окнам окна окнами окнах
спальня спальни спальне спальню спальней спальне / спальни спален спальням спальни спальнями спальнях
кухня кухни кухне кухню кухней кухне / кухни кухонь кухням кухни кухнями кухнях
рынок рынка рынку рынок рынком рынке / рынки рынков рынкам рынки рынками рынках
церковь церкви церкви церковь церковью церкви / церкви церквей церквам церкви церквами церквах
деревня деревни деревне деревню деревней деревне / деревни деревень деревням деревни деревнями деревнях
озеро озера озеру озеро озером озере / озёра озёр озёрам озёра озёрами озёрах
"""
HARD = "ый ое ая ые ого ому ым ом ой ую ых ыми"
ADJECTIVE_ENDINGS = (HARD, "ой" + HARD[2:],
                     "ий ое ая ие ого ому им ом ой ую их ими", "ой ое ая ие ого ому им ом ой ую их ими",
                     "ий ее ая ие его ему им ем ей ую их ими", "ий ее яя ие его ему им ем ей юю их ими")
FRENCH_FEMININES = {
    "blanc": "blanche", "vieux": "vieille", "nouveau": "nouvelle", "beau": "belle", "bon": "bonne", "long": "longue",
    "cher": "chère", "gentil": "gentille", "frais": "fraîche", "délicieux": "délicieuse", "paresseux": "paresseuse",
    "italien": "italienne", "bon marché": "bon marché"}
FRENCH_PLURALS = {"grand-mère": "grands-mères", "grand-père": "grands-pères"}
ENGLISH_PLURALS = {"man": "men", "woman": "women", "child": "children", "mouse": "mice", "wolf": "wolves",
                   "knife": "knives", "shelf": "shelves", "tomato": "tomatoes"}
ENGLISH_PASTS = ("eat ate, drink drank, read read, write wrote, buy bought, sell sold, find found, lose lost, see "
                 "saw, break broke, draw drew, take took, forget forgot, hear heard, catch caught, build built, meet "
                 "met, choose chose, feed fed, hide hid, give gave, show showed, send sent, bring brought, tell told, "
                 "think thought, sit sat, lie_down lay_down, go went, come came, run ran, come_out came_out, sleep "
                 "slept, sing sang, swim swam, have_lunch had_lunch")
FRENCH_PARTICIPLES = ("boire bu, lire lu, écrire écrit, vendre vendu, perdre perdu, voir vu, ouvrir ouvert, prendre "
                      "pris, entendre entendu, construire construit, répondre répondu, attendre attendu, asseoir "
                      "assis, venir venu, courir couru, revenir revenu")
FRENCH_FUTURES = ("acheter achèter, voir verr, envoyer enverr, nettoyer nettoier, asseoir assiér, aller ir, venir "
                  "viendr, courir courr, revenir reviendr, promener promèner")


def paradigm(noun):
    singular, plural = zip(*(noun.russian[case] for case in CASES))
    return " ".join(singular) + (" / " + " ".join(plural) if noun.countable else "")


def declined(stem, endings, animate, countable):
    """The paradigm of a stem in one declension."""
    singular, plural = ([stem + ending.strip("-") for ending in part.split()] for part in endings)
    if singular[3].endswith("="):
        singular[3] = singular[animate]
    plural.insert(3, plural[animate])
    return " ".join(singular) + (" / " + " ".join(plural) if countable else "")


@pytest.mark.parametrize("noun", NOUNS.values(), ids=lambda noun: noun.name)
def test_russian_noun_is_declined_by_rule_or_is_a_known_exception(noun):
    nominative = noun.russian["nom"][0]
    irregular = {line.split()[0]: line for line in IRREGULAR.replace("/\n", "/").strip().splitlines()}
    if nominative in irregular:
        assert paradigm(noun) == irregular[nominative]
        return
    candidates = [declined(nominative.removesuffix(ending), endings, noun.animate, noun.countable)
                  for endings in DECLENSIONS.values()
                  for ending in [endings[0].split()[0].strip("-")] if nominative.endswith(ending)]
    assert paradigm(noun) in candidates


def test_russian_gender_is_seen_in_the_nominative():
    masculine_in_a = {"мужчина", "дедушка"}
    soft_feminines = {"мышь", "лошадь", "мать", "дочь", "кровать", "дверь", "церковь", "площадь"}
    for noun in NOUNS.values():
        nominative = noun.russian["nom"][0]
        if nominative == "кофе" or nominative in masculine_in_a:
            expected = "m"
        elif nominative in soft_feminines or nominative[-1] in "ая":
            expected = "f"
        else:
            expected = "n" if nominative[-1] in "ое" else "m"
        assert noun.gender == expected, nominative


def test_the_second_locative_by_hand():
    pairs = {(noun.russian["place"][0], noun.russian["prep"][0]) for noun in NOUNS.values()}
    special = {place for place, prepositional in pairs if place != prepositional}
    assert special == {"шкафу", "саду", "аэропорту", "лесу", "мосту"}


def test_no_word_is_written_with_and_without_yo():
    forms = {form for noun in NOUNS.values() for pair in noun.russian.values() for form in pair if form}
    forms |= {form for adjective in ADJECTIVES.values() for form in adjective.russian.values()}
    forms |= {form for verb in VERBS.values() for each in verb.russian.values() for form in each}
    # озера, сестры and their like are other cases of the same noun: the genitive singular beside the plural
    both = {form for form in forms if "ё" in form and form.replace("ё", "е") in forms}
    assert both == {"озёра", "сёстры", "медсёстры"}


def test_russian_adjectives_are_declined_by_rule():
    for adjective in ADJECTIVES.values():
        forms = [adjective.russian[form] for form in ADJECTIVE_FORMS]
        stem = forms[0][:-2]
        assert any(forms == [stem + ending for ending in endings.split()] for endings in ADJECTIVE_ENDINGS), forms


def test_french_plurals_by_rule():
    for noun in filter(lambda noun: noun.countable, NOUNS.values()):
        singular, plural = noun.french
        if singular.endswith(("s", "x", "z")):
            expected = singular
        elif singular.endswith("al"):
            expected = singular[:-2] + "aux"
        else:
            expected = singular + ("x" if singular.endswith("eau") else "s")
        assert plural == FRENCH_PLURALS.get(singular, expected)


def test_french_adjectives_by_rule():
    for adjective in ADJECTIVES.values():
        masculine, feminine, plural, feminine_plural = adjective.french[:4]
        assert feminine == FRENCH_FEMININES.get(masculine, masculine if masculine.endswith("e") else masculine + "e")
        if masculine != "bon marché":
            assert plural == masculine + ("" if masculine[-1] in "sx" else "x" if masculine.endswith("eau") else "s")
            assert feminine_plural == feminine + "s"
    before_vowels = {adjective.french[4] for adjective in ADJECTIVES.values() if len(adjective.french) == 5}
    assert before_vowels == {"bel", "nouvel", "vieil"}


def test_english_plurals_by_rule():
    for noun in filter(lambda noun: noun.countable, NOUNS.values()):
        singular, plural = noun.english
        if singular.endswith(("s", "x", "ch", "sh")):
            expected = singular + "es"
        elif singular[-1] == "y" and singular[-2] not in "aeiou":
            expected = singular[:-1] + "ies"
        else:
            expected = singular + "s"
        assert plural == ENGLISH_PLURALS.get(singular, expected)


def test_english_verbs_by_rule():
    pasts = {base.replace("_", " "): past.replace("_", " ") for base, past in map(str.split, ENGLISH_PASTS.split(", "))}
    for verb in VERBS.values():
        if "past" in verb.english:
            base = verb.english["base"]
            regular = base + ("d" if base.endswith("e") else "ed")
            assert verb.english["past"] == pasts.get(base, regular)
            first, _, rest = base.partition(" ")
            regular = first + ("es" if first.endswith(("s", "ch", "sh")) else "s")
            third = {"have": "has", "go": "goes"}.get(first, regular)
            assert verb.english["s"] == (third + " " + rest).strip()


def test_french_verbs_by_rule():
    participles, futures = (dict(map(str.split, text.split(", "))) for text in (FRENCH_PARTICIPLES, FRENCH_FUTURES))
    for verb in VERBS.values():
        infinitive = verb.french.get("infinitive", [""])[0]
        if "participle" in verb.french and verb.auxiliary != "attribute":
            regular = infinitive[:-2] + {"er": "é", "ir": "i"}.get(infinitive[-2:], "?")
            masculine, feminine = verb.french["participle"]
            assert (masculine, feminine) == (participles.get(infinitive, regular), masculine + "e")
        if "future" in verb.french:
            assert verb.french["future"][0] == futures.get(infinitive, infinitive.removesuffix("e"))


def test_russian_past_agrees():
    for verb in VERBS.values():
        if "past" in verb.russian:
            masculine, feminine, plural = verb.russian["past"]
            reflexive = "сь" if masculine.endswith("ся") else ""
            assert plural == feminine.removesuffix(reflexive)[:-1] + "и" + reflexive
            assert feminine.removesuffix(reflexive).endswith("ла")


def test_kinds_and_names_exist_and_places_have_prepositions():
    known = set(NOUNS) | {kind for noun in NOUNS.values() for kind in noun.kinds}
    for word in (*VERBS.values(), *ADJECTIVES.values()):
        used = word.kinds if hasattr(word, "kinds") else word.subjects | word.objects | word.places
        assert used <= known, (word.name, used - known)
    for verb in VERBS.values():
        if {"at", "onto", "from", "out"} & set(verb.where):
            assert all(len(noun.at) == 3 for noun in draw.nouns_of(verb.places)), verb.name
    for kinds, places in draw.SCENES:
        assert set(kinds.split()) | set(places.split()) <= known
        assert all(len(noun.at) == 3 for noun in draw.nouns_of(frozenset(places.split())))


def test_files_have_no_field_that_nobody_reads():
    fields = {"nouns": {"plural", "french", "gender", "animate", "cases", "plural_cases", "locative", "at", "kinds"},
              "adjectives": {"french", "before", "russian", "comparative", "kinds"},
              "verbs": {"english", "russian", "french", "governs", "sense"}}
    for name, allowed in fields.items():
        with (data_folder() / "translation" / f"{name}.toml").open("rb") as file:
            assert {field for row in tomllib.load(file).values() for field in row} == allowed
