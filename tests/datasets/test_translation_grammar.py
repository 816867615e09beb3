"""Every construction of the translation corpus against sentences written by hand in the three languages."""

import pytest

from coursekit.datasets.translation import detokenize, english, french, russian, sentences
from coursekit.datasets.translation.corpus import make_row
from coursekit.datasets.translation.lexicon import PRONOUNS, lexicon
from coursekit.datasets.translation.phrase import Both, Phrase
from coursekit.datasets.translation.sentences import object_of, place

ARTICLES = {"the", "a", "this", "my", "our", *russian.NUMBERS}
OTHER_ARTICLES = {"some": "a", "these": "this", "an": "a", "all": "generic"}  # "all dogs": dogs in general


def phrase(text, role="object"):
    """A noun phrase from plain English: "two old chairs", "some milk", "my brother's dog", "she"."""
    if " & " in text:
        return Both(*(phrase(part, f"{role}{place}") for place, part in enumerate(text.split(" & "))))
    if text in PRONOUNS:
        return Phrase(role, PRONOUNS[text], article="")
    owner, _, text = text.rpartition("'s ")
    *before, name = text.split()
    noun, plural = next((noun, plural) for noun in lexicon().nouns.values() for plural in (False, True)
                        if noun.english[plural] == name)
    article = OTHER_ARTICLES.get(before[0], before[0]) if before and before[0] in ARTICLES | set(OTHER_ARTICLES) else ""
    adjective = lexicon().adjectives[before[-1]] if before and before[-1] in lexicon().adjectives else None
    return Phrase(role, noun, plural, "the" if owner else article, adjective,
                  phrase(owner, f"{role}.owner") if owner else None)


def rest(verb, text, negated=False):
    """What follows the verb: "@onto the mat" is a place, "the mouse" an object."""
    if text.startswith("@"):
        position, _, where = text[1:].partition(" ")
        return place(position, phrase(where, "place"))
    return object_of(verb, phrase(text), negated)


def verb(name):
    return lexicon().verbs[name]


def written(three):
    return [detokenize([word.form for word in language.smooth(said)], code)
            for language, said, code in zip((english, russian, french), three, ("en", "ru", "fr"))]


def statement(text):
    who, name, tense, what = text.split(" | ")
    negated = tense.startswith("not ")
    return sentences.statement(phrase(who, "subject"), verb(name), tense.removeprefix("not "),
                               rest(verb(name), what, negated), negated)


def dated(text):
    who, name, tense, what, day = text.split(" | ")
    return sentences.dated(phrase(who, "subject"), verb(name), tense, rest(verb(name), what), day)


def habit(text):
    who, how, name, what = text.split(" | ")
    return sentences.habit(phrase(who, "subject"), verb(name), rest(verb(name), what, how == "never"), how)


def description(text):
    who, be, how, adjective = text.split(" | ")
    return sentences.description(phrase(who, "subject"), lexicon().adjectives[adjective], be == "was", how)


def comparison(text):
    first, adjective, second = text.split(" | ")
    return sentences.comparison(phrase(first, "subject"), lexicon().adjectives[adjective], phrase(second))


def two_phrases(function):
    def say(text):
        first, second = text.split(" | ")
        if second.startswith("@"):
            return function(phrase(first, "subject"), rest(None, second))
        return function(phrase(first, "subject"), phrase(second))
    return say


def location(text):
    who, where, *was = text.split(" | ")
    return sentences.location(phrase(who, "subject"), rest(None, where), bool(was))


def giving(text):
    who, name, tense, taker, what = text.split(" | ")
    return sentences.giving(phrase(who, "subject"), verb(name), tense, phrase(what), phrase(taker, "taker"))


def question(text):
    who, name, tense, what = text.split(" | ")
    return sentences.question(phrase(who, "subject"), verb(name), tense, rest(verb(name), what))


def who(text):
    name, tense, what = text.split(" | ")
    return sentences.who(verb(name), tense, phrase(what))


def what(text):
    who, name, tense = text.split(" | ")
    return sentences.what(phrase(who, "subject"), verb(name), tense)


def how_many(text):
    thing, *others = text.split(" | ")
    if others[0].startswith("@"):
        return sentences.how_many_there(phrase(thing), rest(None, others[0]))
    return sentences.how_many_done(phrase(thing), phrase(others[0], "subject"), verb(others[1]))


def modal(text):
    who, name, action, what = text.split(" | ")
    return sentences.modal(name.removeprefix("not "), phrase(who, "subject"), verb(action), rest(verb(action), what),
                           name.startswith("not "))


def imperative(text):
    how, name, what = text.split(" | ")
    return sentences.imperative(verb(name), rest(verb(name), what), how)


def relative_subject(text):
    if text.count(" | ") == 3:
        knower, who, name, what = text.split(" | ")
        return sentences.relative_known(phrase(knower, "outer"), phrase(who, "subject"), verb(name), phrase(what))
    who, name, what, outer, where = text.split(" | ")
    return sentences.relative_subject(phrase(who, "subject"), verb(name), phrase(what), verb(outer), rest(None, where))


def relative_object(text):
    what, who, name, end = text.split(" | ")
    thing = phrase(what)
    if end.startswith("@"):
        end = sentences.be(thing, posture=russian.posture(thing.noun)) + rest(None, end)
    else:
        end = sentences.be(thing) + sentences.said_of(thing, lexicon().adjectives[end])
    return sentences.relative_object(thing, phrase(who, "subject"), verb(name), end)


CASES = {
    ("place_past", statement): """
the cat | sit_down | past | @onto the mat
    The cat sat on the mat.
    Кот сел на коврик.
    Le chat s'est assis sur le tapis.
the girls | sit_down | past | @onto the sofa
    The girls sat on the sofa.
    Девочки сели на диван.
    Les filles se sont assises sur le canapé.
she | lie_down | past | @onto the bed
    She lay down on the bed.
    Она легла на кровать.
    Elle s'est couchée sur le lit.
the man | go | past | @to the museum
    The man went to the museum.
    Мужчина пошёл в музей.
    L'homme est allé au musée.
my sister | go | past | @to the station
    My sister went to the station.
    Моя сестра пошла на вокзал.
    Ma sœur est allée à la gare.
they | come | past | @to the hotel
    They came to the hotel.
    Они пришли в гостиницу.
    Ils sont venus à l'hôtel.
Anna | return | past | @from the market
    Anna returned from the market.
    Анна вернулась с рынка.
    Anna est revenue du marché.
the nurses | come_out | past | @out the hospital
    The nurses came out of the hospital.
    Медсёстры вышли из больницы.
    Les infirmières sont sorties de l'hôpital.
the boy | sit_down | past | @onto the armchair
    The boy sat in the armchair.
    Мальчик сел в кресло.
    Le garçon s'est assis dans le fauteuil.
Nina | sleep | past | @under the tree
    Nina slept under the tree.
    Нина спала под деревом.
    Nina a dormi sous l'arbre.
the teacher | return | past | @from the stadium
    The teacher returned from the stadium.
    Учитель вернулся со стадиона.
    Le professeur est revenu du stade.
""",
    ("place_present", statement): """
the girl | sleep | present | @at the sofa
    The girl is sleeping on the sofa.
    Девочка спит на диване.
    La fille dort sur le canapé.
I | walk | present | @at the garden
    I am walking in the garden.
    Я гуляю в саду.
    Je me promène dans le jardin.
I | live | present | @at the city
    I live in the city.
    Я живу в городе.
    J'habite dans la ville.
the doctors | work | present | @at the hospital
    The doctors are working at the hospital.
    Врачи работают в больнице.
    Les médecins travaillent à l'hôpital.
the women | be_sitting | present | @by the window
    The women are sitting near the window.
    Женщины сидят около окна.
    Les femmes sont assises près de la fenêtre.
the dog | be_lying | present | @under the table
    The dog is lying under the table.
    Собака лежит под столом.
    Le chien est couché sous la table.
the horse | stand | present | @front the house
    The horse is standing in front of the house.
    Лошадь стоит перед домом.
    Le cheval est debout devant la maison.
he | return | present | @from the school
    He is returning from the school.
    Он возвращается из школы.
    Il revient de l'école.
the children | play | present | @at the beach
    The children are playing on the beach.
    Дети играют на пляже.
    Les enfants jouent sur la plage.
the birds | sing | present | @at the forest
    The birds are singing in the forest.
    Птицы поют в лесу.
    Les oiseaux chantent dans la forêt.
she | study | present | @at the university
    She studies at the university.
    Она учится в университете.
    Elle étudie à l'université.
""",
    ("transitive_past", statement): """
the black cat | eat | past | the mouse
    The black cat ate the mouse.
    Чёрный кот съел мышь.
    Le chat noir a mangé la souris.
the cat | eat | past | the black mouse
    The cat ate the black mouse.
    Кот съел чёрную мышь.
    Le chat a mangé la souris noire.
the women | buy | past | some red apples
    The women bought red apples.
    Женщины купили красные яблоки.
    Les femmes ont acheté des pommes rouges.
my brother | find | past | these old books
    My brother found these old books.
    Мой брат нашёл эти старые книги.
    Mon frère a trouvé ces vieux livres.
she | wash | past | the white plates
    She washed the white plates.
    Она помыла белые тарелки.
    Elle a lavé les assiettes blanches.
the farmer | sell | past | an old bicycle
    The farmer sold an old bicycle.
    Фермер продал старый велосипед.
    Le fermier a vendu un vieux vélo.
the wolf | eat | past | the pig
    The wolf ate the pig.
    Волк съел свинью.
    Le loup a mangé le cochon.
the boy | see | past | the young artists
    The boy saw the young artists.
    Мальчик увидел молодых художников.
    Le garçon a vu les jeunes artistes.
my mother | buy | past | some bread
    My mother bought bread.
    Моя мать купила хлеб.
    Ma mère a acheté du pain.
he | buy | past | some big lamps
    He bought big lamps.
    Он купил большие лампы.
    Il a acheté de grandes lampes.
he | feed | past | these white cows
    He fed these white cows.
    Он накормил этих белых коров.
    Il a nourri ces vaches blanches.
this man | know | present | the nurse
    This man knows the nurse.
    Этот мужчина знает медсестру.
    Cet homme connaît l'infirmière.
the engineer | build | past | a new hotel
    The engineer built a new hotel.
    Инженер построил новую гостиницу.
    L'ingénieur a construit un nouvel hôtel.
the girl | draw | past | a beautiful tree
    The girl drew a beautiful tree.
    Девочка нарисовала красивое дерево.
    La fille a dessiné un bel arbre.
Victor | meet | past | this old man
    Victor met this old man.
    Виктор встретил этого старого мужчину.
    Victor a rencontré ce vieil homme.
""",
    ("transitive_present", statement): """
the boy | read | present | a book
    The boy is reading a book.
    Мальчик читает книгу.
    Le garçon lit un livre.
I | buy | present | some milk
    I am buying milk.
    Я покупаю молоко.
    J'achète du lait.
the children | drink | present | some water
    The children are drinking water.
    Дети пьют воду.
    Les enfants boivent de l'eau.
Emma | love | present | all music
    Emma loves music.
    Эмма любит музыку.
    Emma aime la musique.
our daughter | love | present | all dogs
    Our daughter loves dogs.
    Наша дочь любит собак.
    Notre fille aime les chiens.
I | hear | present | the birds
    I hear the birds.
    Я слышу птиц.
    J'entends les oiseaux.
the pupils | write | present | some letters
    The pupils are writing letters.
    Ученики пишут письма.
    Les élèves écrivent des lettres.
he | open | present | the blue door
    He is opening the blue door.
    Он открывает синюю дверь.
    Il ouvre la porte bleue.
my grandmother | cook | present | some soup
    My grandmother is cooking soup.
    Моя бабушка готовит суп.
    Ma grand-mère prépare de la soupe.
the foxes | catch | present | a hen
    The foxes are catching a hen.
    Лисы ловят курицу.
    Les renards attrapent une poule.
""",
    ("transitive_future", statement): """
the engineer | build | future | a bridge
    The engineer will build a bridge.
    Инженер построит мост.
    L'ingénieur construira un pont.
I | write | future | the letter
    I will write the letter.
    Я напишу письмо.
    J'écrirai la lettre.
they | see | future | the sea
    They will see the sea.
    Они увидят море.
    Ils verront la mer.
the cook | buy | future | some cheese
    The cook will buy cheese.
    Повар купит сыр.
    Le cuisinier achètera du fromage.
my sisters | invite | future | the guests
    My sisters will invite the guests.
    Мои сёстры пригласят гостей.
    Mes sœurs inviteront les invités.
I | break | future | this old mirror
    I will break this old mirror.
    Я разобью это старое зеркало.
    Je casserai ce vieux miroir.
the son | find | future | the keys
    The son will find the keys.
    Сын найдёт ключи.
    Le fils trouvera les clés.
the nurse | take | future | the white coat
    The nurse will take the white coat.
    Медсестра возьмёт белое пальто.
    L'infirmière prendra le manteau blanc.
he | feed | future | the rabbits
    He will feed the rabbits.
    Он накормит кроликов.
    Il nourrira les lapins.
""",
    ("negation", statement): """
the boy | eat | not present | some meat
    The boy is not eating meat.
    Мальчик не ест мясо.
    Le garçon ne mange pas de viande.
the doctor | buy | not past | a car
    The doctor did not buy a car.
    Врач не купил машину.
    Le médecin n'a pas acheté de voiture.
I | see | not present | the bridge
    I do not see the bridge.
    Я не вижу мост.
    Je ne vois pas le pont.
he | love | not present | all coffee
    He does not love coffee.
    Он не любит кофе.
    Il n'aime pas le café.
the students | read | not past | the article
    The students did not read the article.
    Студенты не прочитали статью.
    Les étudiants n'ont pas lu l'article.
my father | sell | not future | the house
    My father will not sell the house.
    Мой отец не продаст дом.
    Mon père ne vendra pas la maison.
Anna | write | not present | a novel
    Anna is not writing a novel.
    Анна не пишет роман.
    Anna n'écrit pas de roman.
they | open | not future | the gift
    They will not open the gift.
    Они не откроют подарок.
    Ils n'ouvriront pas le cadeau.
the child | drink | not present | some juice
    The child is not drinking juice.
    Ребёнок не пьёт сок.
    L'enfant ne boit pas de jus.
""",
    ("habit", habit): """
the teacher | often | read | some newspapers
    The teacher often reads newspapers.
    Учитель часто читает газеты.
    Le professeur lit souvent des journaux.
the girl | never | drink | some tea
    The girl never drinks tea.
    Девочка никогда не пьёт чай.
    La fille ne boit jamais de thé.
he | every day | buy | some bread
    He buys bread every day.
    Он каждый день покупает хлеб.
    Il achète du pain tous les jours.
the boy | Monday | play | @at the park
    The boy plays in the park on Mondays.
    По понедельникам мальчик играет в парке.
    Le garçon joue dans le parc le lundi.
I | often | help | my grandmother
    I often help my grandmother.
    Я часто помогаю моей бабушке.
    J'aide souvent ma grand-mère.
my mother | Sunday | phone | the sister
    My mother phones the sister on Sundays.
    По воскресеньям моя мать звонит сестре.
    Ma mère téléphone à la sœur le dimanche.
they | never | go_often | @to the theatre
    They never go to the theatre.
    Они никогда не ходят в театр.
    Ils ne vont jamais au théâtre.
the old man | every day | walk | @at the forest
    The old man walks in the forest every day.
    Старый мужчина каждый день гуляет в лесу.
    Le vieil homme se promène dans la forêt tous les jours.
I | never | eat | some eggs
    I never eat eggs.
    Я никогда не ем яйца.
    Je ne mange jamais d'œufs.
Emma | Wednesday | cook | some fish
    Emma cooks fish on Wednesdays.
    По средам Эмма готовит рыбу.
    Emma prépare du poisson le mercredi.
""",
    ("time", dated): """
the doctor | buy | past | a car | Monday
    The doctor bought a car on Monday.
    В понедельник врач купил машину.
    Lundi, le médecin a acheté une voiture.
she | wash | future | the cups | tomorrow
    She will wash the cups tomorrow.
    Завтра она помоет чашки.
    Demain, elle lavera les tasses.
the women | go | past | @to the church | Tuesday
    The women went to the church on Tuesday.
    Во вторник женщины пошли в церковь.
    Mardi, les femmes sont allées à l'église.
I | visit | future | the museum | Friday
    I will visit the museum on Friday.
    В пятницу я посещу музей.
    Vendredi, je visiterai le musée.
my son | lose | past | the umbrella | yesterday
    My son lost the umbrella yesterday.
    Вчера мой сын потерял зонт.
    Hier, mon fils a perdu le parapluie.
Anna | return | past | @from the village | Saturday
    Anna returned from the village on Saturday.
    В субботу Анна вернулась из деревни.
    Samedi, Anna est revenue du village.
he | sell | past | the white horse | today
    He sold the white horse today.
    Сегодня он продал белую лошадь.
    Aujourd'hui, il a vendu le cheval blanc.
the tourists | come | future | @to the airport | Wednesday
    The tourists will come to the airport on Wednesday.
    В среду туристы придут в аэропорт.
    Mercredi, les touristes viendront à l'aéroport.
""",
    ("description", description): """
the soup | is | very | hot
    The soup is very hot.
    Суп очень горячий.
    La soupe est très chaude.
these cars | was |  | dirty
    These cars were dirty.
    Эти машины были грязные.
    Ces voitures étaient sales.
the book | is | not | interesting
    The book is not interesting.
    Книга не интересная.
    Le livre n'est pas intéressant.
this coat | is |  | heavy
    This coat is heavy.
    Это пальто тяжёлое.
    Ce manteau est lourd.
our house | was | very | old
    Our house was very old.
    Наш дом был очень старый.
    Notre maison était très vieille.
the letters | is |  | long
    The letters are long.
    Письма длинные.
    Les lettres sont longues.
this orange | is | very | sweet
    This orange is very sweet.
    Этот апельсин очень сладкий.
    Cette orange est très sucrée.
the trees | was |  | beautiful
    The trees were beautiful.
    Деревья были красивые.
    Les arbres étaient beaux.
the milk | is |  | fresh
    The milk is fresh.
    Молоко свежее.
    Le lait est frais.
this hat | is | not | expensive
    This hat is not expensive.
    Эта шляпа не дорогая.
    Ce chapeau n'est pas cher.
the apples | is |  | green
    The apples are green.
    Яблоки зелёные.
    Les pommes sont vertes.
""",
    ("comparison", comparison): """
the elephant | big | the cow
    The elephant is bigger than the cow.
    Слон больше коровы.
    L'éléphant est plus grand que la vache.
these books | interesting | the newspapers
    These books are more interesting than the newspapers.
    Эти книги интереснее газет.
    Ces livres sont plus intéressants que les journaux.
my flat | expensive | this house
    My flat is more expensive than this house.
    Моя квартира дороже этого дома.
    Mon appartement est plus cher que cette maison.
the nurse | young | the doctor
    The nurse is younger than the doctor.
    Медсестра моложе врача.
    L'infirmière est plus jeune que le médecin.
this film | good | the novel
    This film is better than the novel.
    Этот фильм лучше романа.
    Ce film est meilleur que le roman.
the pear | sweet | the apple
    The pear is sweeter than the apple.
    Груша слаще яблока.
    La poire est plus sucrée que la pomme.
our car | cheap | the boat
    Our car is cheaper than the boat.
    Наша машина дешевле лодки.
    Notre voiture est moins chère que le bateau.
my sister | old | our brother
    My sister is older than our brother.
    Моя сестра старше нашего брата.
    Ma sœur est plus âgée que notre frère.
the tables | heavy | these armchairs
    The tables are heavier than these armchairs.
    Столы тяжелее этих кресел.
    Les tables sont plus lourdes que ces fauteuils.
the street | long | the bridge
    The street is longer than the bridge.
    Улица длиннее моста.
    La rue est plus longue que le pont.
""",
    ("possession", two_phrases(sentences.possession)): """
the girl | a red book
    The girl has a red book.
    У девочки есть красная книга.
    La fille a un livre rouge.
I | two brothers
    I have two brothers.
    У меня два брата.
    J'ai deux frères.
he | an old car
    He has an old car.
    У него есть старая машина.
    Il a une vieille voiture.
we | a beautiful garden
    We have a beautiful garden.
    У нас есть красивый сад.
    Nous avons un beau jardin.
you | some new phones
    You have new phones.
    У вас есть новые телефоны.
    Vous avez de nouveaux téléphones.
the children | five cats
    The children have five cats.
    У детей пять котов.
    Les enfants ont cinq chats.
they | an umbrella
    They have an umbrella.
    У них есть зонт.
    Ils ont un parapluie.
she | three daughters
    She has three daughters.
    У неё три дочери.
    Elle a trois filles.
Oscar | a flat
    Oscar has a flat.
    У Оскара есть квартира.
    Oscar a un appartement.
my friends | two white dogs
    My friends have two white dogs.
    У моих друзей две белые собаки.
    Mes amis ont deux chiens blancs.
""",
    ("possession_negated", two_phrases(sentences.possession_negated)): """
the girl | a book
    The girl does not have a book.
    У девочки нет книги.
    La fille n'a pas de livre.
I | some friends
    I do not have friends.
    У меня нет друзей.
    Je n'ai pas d'amis.
he | a computer
    He does not have a computer.
    У него нет компьютера.
    Il n'a pas d'ordinateur.
we | a new house
    We do not have a new house.
    У нас нет нового дома.
    Nous n'avons pas de nouvelle maison.
you | some blue cups
    You do not have blue cups.
    У вас нет синих чашек.
    Vous n'avez pas de tasses bleues.
the engineers | a map
    The engineers do not have a map.
    У инженеров нет карты.
    Les ingénieurs n'ont pas de carte.
she | a sister
    She does not have a sister.
    У неё нет сестры.
    Elle n'a pas de sœur.
they | some keys
    They do not have keys.
    У них нет ключей.
    Ils n'ont pas de clés.
Anna | a coat
    Anna does not have a coat.
    У Анны нет пальто.
    Anna n'a pas de manteau.
""",
    ("numerals", statement): """
the boy | eat | past | five apples
    The boy ate five apples.
    Мальчик съел пять яблок.
    Le garçon a mangé cinq pommes.
the woman | wash | past | two big plates
    The woman washed two big plates.
    Женщина помыла две большие тарелки.
    La femme a lavé deux grandes assiettes.
he | buy | past | three chairs
    He bought three chairs.
    Он купил три стула.
    Il a acheté trois chaises.
my sister | read | past | ten interesting novels
    My sister read ten interesting novels.
    Моя сестра прочитала десять интересных романов.
    Ma sœur a lu dix romans intéressants.
the girls | find | past | four keys
    The girls found four keys.
    Девочки нашли четыре ключа.
    Les filles ont trouvé quatre clés.
the artist | break | past | two mirrors
    The artist broke two mirrors.
    Художник разбил два зеркала.
    L'artiste a cassé deux miroirs.
the cook | take | past | seven eggs
    The cook took seven eggs.
    Повар взял семь яиц.
    Le cuisinier a pris sept œufs.
they | write | past | six long letters
    They wrote six long letters.
    Они написали шесть длинных писем.
    Ils ont écrit six longues lettres.
the tourist | buy | past | four red pens
    The tourist bought four red pens.
    Турист купил четыре красные ручки.
    Le touriste a acheté quatre stylos rouges.
the lawyer | buy | past | two new hats
    The lawyer bought two new hats.
    Адвокат купил две новые шляпы.
    L'avocat a acheté deux nouveaux chapeaux.
""",
    ("existence", two_phrases(sentences.existence)): """
a book | @at the table
    There is a book on the table.
    На столе лежит книга.
    Il y a un livre sur la table.
four chairs | @at the kitchen
    There are four chairs in the kitchen.
    На кухне четыре стула.
    Il y a quatre chaises dans la cuisine.
some milk | @at the fridge
    There is milk in the fridge.
    В холодильнике есть молоко.
    Il y a du lait dans le réfrigérateur.
a museum | @at the city
    There is a museum in the city.
    В городе есть музей.
    Il y a un musée dans la ville.
a university | @at the city
    There is a university in the city.
    В городе есть университет.
    Il y a une université dans la ville.
some flowers | @at the garden
    There are flowers in the garden.
    В саду растут цветы.
    Il y a des fleurs dans le jardin.
an old tree | @at the park
    There is an old tree in the park.
    В парке растёт старое дерево.
    Il y a un vieil arbre dans le parc.
some cups | @at the shelf
    There are cups on the shelf.
    На полке стоят чашки.
    Il y a des tasses sur l'étagère.
some keys | @at the cupboard
    There are keys in the cupboard.
    В шкафу лежат ключи.
    Il y a des clés dans l'armoire.
some water | @at the fridge
    There is water in the fridge.
    В холодильнике есть вода.
    Il y a de l'eau dans le réfrigérateur.
five horses | @at the farm
    There are five horses on the farm.
    На ферме пять лошадей.
    Il y a cinq chevaux à la ferme.
""",
    ("absence", two_phrases(sentences.absence)): """
some milk | @at the fridge
    There is no milk in the fridge.
    В холодильнике нет молока.
    Il n'y a pas de lait dans le réfrigérateur.
some cups | @at the table
    There are no cups on the table.
    На столе нет чашек.
    Il n'y a pas de tasses sur la table.
a hotel | @at the village
    There is no hotel in the village.
    В деревне нет гостиницы.
    Il n'y a pas d'hôtel dans le village.
some chairs | @at the kitchen
    There are no chairs in the kitchen.
    На кухне нет стульев.
    Il n'y a pas de chaises dans la cuisine.
some trees | @at the street
    There are no trees in the street.
    На улице нет деревьев.
    Il n'y a pas d'arbres dans la rue.
some eggs | @at the fridge
    There are no eggs in the fridge.
    В холодильнике нет яиц.
    Il n'y a pas d'œufs dans le réfrigérateur.
a white cow | @at the farm
    There is no white cow on the farm.
    На ферме нет белой коровы.
    Il n'y a pas de vache blanche à la ferme.
some letters | @at the box
    There are no letters in the box.
    В коробке нет писем.
    Il n'y a pas de lettres dans la boîte.
some honey | @at the fridge
    There is no honey in the fridge.
    В холодильнике нет мёда.
    Il n'y a pas de miel dans le réfrigérateur.
""",
    ("location", location): """
the keys | @at the table
    The keys are on the table.
    Ключи лежат на столе.
    Les clés sont sur la table.
the girl | @at the garden | was
    The girl was in the garden.
    Девочка была в саду.
    La fille était dans le jardin.
the lamp | @at the shelf
    The lamp is on the shelf.
    Лампа стоит на полке.
    La lampe est sur l'étagère.
my book | @at the cupboard
    My book is in the cupboard.
    Моя книга лежит в шкафу.
    Mon livre est dans l'armoire.
the tourists | @at the airport | was
    The tourists were at the airport.
    Туристы были в аэропорту.
    Les touristes étaient à l'aéroport.
she | @at the office
    She is at the office.
    Она в офисе.
    Elle est au bureau.
Martin | @at the bridge | was
    Martin was on the bridge.
    Мартин был на мосту.
    Martin était sur le pont.
our armchairs | @at the bedroom
    Our armchairs are in the bedroom.
    Наши кресла стоят в спальне.
    Nos fauteuils sont dans la chambre.
these letters | @at the bag
    These letters are in the bag.
    Эти письма лежат в сумке.
    Ces lettres sont dans le sac.
""",
    ("recipient", giving): """
the teacher | give | past | the girl | a book
    The teacher gave the girl a book.
    Учитель дал девочке книгу.
    Le professeur a donné un livre à la fille.
the woman | show | past | the doctor | the letter
    The woman showed the doctor the letter.
    Женщина показала врачу письмо.
    La femme a montré la lettre au médecin.
he | send | future | the children | some books
    He will send the children books.
    Он отправит детям книги.
    Il enverra des livres aux enfants.
Anna | tell | past | the artist | a story
    Anna told the artist a story.
    Анна рассказала художнику историю.
    Anna a raconté une histoire à l'artiste.
I | bring | future | my mother | the flowers
    I will bring my mother the flowers.
    Я принесу моей матери цветы.
    J'apporterai les fleurs à ma mère.
the farmer | sell | past | the neighbour | an old car
    The farmer sold the neighbour an old car.
    Фермер продал соседу старую машину.
    Le fermier a vendu une vieille voiture au voisin.
my brother | give | past | Emma | a ring
    My brother gave Emma a ring.
    Мой брат дал Эмме кольцо.
    Mon frère a donné une bague à Emma.
they | show | future | these tourists | the picture
    They will show these tourists the picture.
    Они покажут этим туристам картину.
    Ils montreront le tableau à ces touristes.
the pupil | bring | past | the old woman | some water
    The pupil brought the old woman water.
    Ученик принёс старой женщине воду.
    L'élève a apporté de l'eau à la vieille femme.
""",
    ("recipient_pronoun", giving): """
the teacher | give | past | I | a book
    The teacher gave me a book.
    Учитель дал мне книгу.
    Le professeur m'a donné un livre.
she | send | past | he | a letter
    She sent him a letter.
    Она отправила ему письмо.
    Elle lui a envoyé une lettre.
the nurse | bring | past | she | a glass
    The nurse brought her a glass.
    Медсестра принесла ей стакан.
    L'infirmière lui a apporté un verre.
my friends | show | past | we | the map
    My friends showed us the map.
    Мои друзья показали нам карту.
    Mes amis nous ont montré la carte.
I | give | future | they | the keys
    I will give them the keys.
    Я дам им ключи.
    Je leur donnerai les clés.
he | sell | future | I | the guitar
    He will sell me the guitar.
    Он продаст мне гитару.
    Il me vendra la guitare.
our grandfather | tell | past | we | a story
    Our grandfather told us a story.
    Наш дедушка рассказал нам историю.
    Notre grand-père nous a raconté une histoire.
Nina | send | future | I | the tickets
    Nina will send me the tickets.
    Нина отправит мне билеты.
    Nina m'enverra les billets.
""",
    ("government", statement): """
the man | look | present | the picture
    The man is looking at the picture.
    Мужчина смотрит на картину.
    L'homme regarde le tableau.
she | fear | present | all dogs
    She is afraid of dogs.
    Она боится собак.
    Elle a peur des chiens.
the boy | wait | past | the bus
    The boy waited for the bus.
    Мальчик ждал автобус.
    Le garçon a attendu le bus.
my daughter | dream | present | a bicycle
    My daughter is dreaming of a bicycle.
    Моя дочь мечтает о велосипеде.
    Ma fille rêve d'un vélo.
the student | help | past | the old woman
    The student helped the old woman.
    Студент помог старой женщине.
    L'étudiant a aidé la vieille femme.
they | play_with | present | the rabbit
    They are playing with the rabbit.
    Они играют с кроликом.
    Ils jouent avec le lapin.
I | think | present | the horses
    I am thinking about the horses.
    Я думаю о лошадях.
    Je pense aux chevaux.
Anna | talk | past | the student
    Anna talked to the student.
    Анна поговорила со студентом.
    Anna a parlé avec l'étudiant.
the mother | pride | present | the sons
    The mother is proud of the sons.
    Мать гордится сыновьями.
    La mère est fière des fils.
the women | approach | past | the church
    The women approached the church.
    Женщины подошли к церкви.
    Les femmes se sont approchées de l'église.
he | think | past | Anna
    He thought about Anna.
    Он думал об Анне.
    Il a pensé à Anna.
I | listen | present | the teacher
    I am listening to the teacher.
    Я слушаю учителя.
    J'écoute le professeur.
they | phone | past | the engineer
    They phoned the engineer.
    Они позвонили инженеру.
    Ils ont téléphoné à l'ingénieur.
""",
    ("question", question): """
the boy | read | past | the book
    Did the boy read the book?
    Мальчик прочитал книгу?
    Est-ce que le garçon a lu le livre ?
she | sleep | present | @at the bed
    Is she sleeping on the bed?
    Она спит на кровати?
    Est-ce qu'elle dort sur le lit ?
Anna | find | past | the key
    Did Anna find the key?
    Анна нашла ключ?
    Est-ce qu'Anna a trouvé la clé ?
the students | know | present | this lawyer
    Do the students know this lawyer?
    Студенты знают этого адвоката?
    Est-ce que les étudiants connaissent cet avocat ?
he | see | present | the plane
    Does he see the plane?
    Он видит самолёт?
    Est-ce qu'il voit l'avion ?
the women | buy | past | some oranges
    Did the women buy oranges?
    Женщины купили апельсины?
    Est-ce que les femmes ont acheté des oranges ?
they | play | present | @at the garden
    Are they playing in the garden?
    Они играют в саду?
    Est-ce qu'ils jouent dans le jardin ?
our doctor | work | past | @at the hospital
    Did our doctor work at the hospital?
    Наш врач работал в больнице?
    Est-ce que notre médecin a travaillé à l'hôpital ?
""",
    ("who", who): """
break | past | the window
    Who broke the window?
    Кто разбил окно?
    Qui a cassé la fenêtre ?
read | present | this letter
    Who is reading this letter?
    Кто читает это письмо?
    Qui lit cette lettre ?
see | present | the fox
    Who sees the fox?
    Кто видит лису?
    Qui voit le renard ?
eat | past | the oranges
    Who ate the oranges?
    Кто съел апельсины?
    Qui a mangé les oranges ?
help | past | the nurses
    Who helped the nurses?
    Кто помог медсёстрам?
    Qui a aidé les infirmières ?
wait | present | the train
    Who is waiting for the train?
    Кто ждёт поезд?
    Qui attend le train ?
find | past | my white shirt
    Who found my white shirt?
    Кто нашёл мою белую рубашку?
    Qui a trouvé ma chemise blanche ?
feed | present | the pig
    Who is feeding the pig?
    Кто кормит свинью?
    Qui nourrit le cochon ?
""",
    ("what", what): """
the girl | buy | past
    What did the girl buy?
    Что купила девочка?
    Qu'est-ce que la fille a acheté ?
he | read | present
    What is he reading?
    Что он читает?
    Qu'est-ce qu'il lit ?
Emma | lose | past
    What did Emma lose?
    Что потеряла Эмма?
    Qu'est-ce qu'Emma a perdu ?
the children | draw | present
    What are the children drawing?
    Что рисуют дети?
    Qu'est-ce que les enfants dessinent ?
they | see | past
    What did they see?
    Что они увидели?
    Qu'est-ce qu'ils ont vu ?
this writer | write | past
    What did this writer write?
    Что написал этот писатель?
    Qu'est-ce que cet écrivain a écrit ?
my mother | drink | present
    What is my mother drinking?
    Что пьёт моя мать?
    Qu'est-ce que ma mère boit ?
the engineers | build | present
    What are the engineers building?
    Что строят инженеры?
    Qu'est-ce que les ingénieurs construisent ?
""",
    ("where", lambda text: sentences.where_is(phrase(text, "subject"))): """
the cat
    Where is the cat?
    Где кот?
    Où est le chat ?
my keys
    Where are my keys?
    Где мои ключи?
    Où sont mes clés ?
the hospital
    Where is the hospital?
    Где больница?
    Où est l'hôpital ?
Victor
    Where is Victor?
    Где Виктор?
    Où est Victor ?
our children
    Where are our children?
    Где наши дети?
    Où sont nos enfants ?
my umbrella
    Where is my umbrella?
    Где мой зонт?
    Où est mon parapluie ?
my plate
    Where is my plate?
    Где моя тарелка?
    Où est mon assiette ?
the white horses
    Where are the white horses?
    Где белые лошади?
    Où sont les chevaux blancs ?
""",
    ("how_many", how_many): """
apples | the girl | buy
    How many apples did the girl buy?
    Сколько яблок купила девочка?
    Combien de pommes la fille a-t-elle achetées ?
chairs | @at the kitchen
    How many chairs are there in the kitchen?
    Сколько стульев на кухне?
    Combien de chaises y a-t-il dans la cuisine ?
books | he | read
    How many books did he read?
    Сколько книг он прочитал?
    Combien de livres a-t-il lus ?
eggs | the boys | eat
    How many eggs did the boys eat?
    Сколько яиц съели мальчики?
    Combien d'œufs les garçons ont-ils mangés ?
cups | they | break
    How many cups did they break?
    Сколько чашек они разбили?
    Combien de tasses ont-ils cassées ?
trees | @at the garden
    How many trees are there in the garden?
    Сколько деревьев в саду?
    Combien d'arbres y a-t-il dans le jardin ?
letters | Nina | write
    How many letters did Nina write?
    Сколько писем написала Нина?
    Combien de lettres Nina a-t-elle écrites ?
cows | @at the farm
    How many cows are there on the farm?
    Сколько коров на ферме?
    Combien de vaches y a-t-il à la ferme ?
pens | my sisters | lose
    How many pens did my sisters lose?
    Сколько ручек потеряли мои сёстры?
    Combien de stylos mes sœurs ont-elles perdus ?
""",
    ("modal", modal): """
the boy | want | read | the book
    The boy wants to read the book.
    Мальчик хочет прочитать книгу.
    Le garçon veut lire le livre.
she | can | repair | the car
    She can repair the car.
    Она может починить машину.
    Elle peut réparer la voiture.
we | must | wash | the cups
    We must wash the cups.
    Мы должны помыть чашки.
    Nous devons laver les tasses.
he | not can | open | the door
    He cannot open the door.
    Он не может открыть дверь.
    Il ne peut pas ouvrir la porte.
my daughter | must | help | the grandmother
    My daughter must help the grandmother.
    Моя дочь должна помочь бабушке.
    Ma fille doit aider la grand-mère.
you | can | take | this umbrella
    You can take this umbrella.
    Вы можете взять этот зонт.
    Vous pouvez prendre ce parapluie.
I | want | go | @to the museum
    I want to go to the museum.
    Я хочу пойти в музей.
    Je veux aller au musée.
the girls | want | walk | @at the park
    The girls want to walk in the park.
    Девочки хотят гулять в парке.
    Les filles veulent se promener dans le parc.
they | not can | find | the tickets
    They cannot find the tickets.
    Они не могут найти билеты.
    Ils ne peuvent pas trouver les billets.
I | want | walk | @at the forest
    I want to walk in the forest.
    Я хочу гулять в лесу.
    Je veux me promener dans la forêt.
we | want | walk | @at the beach
    We want to walk on the beach.
    Мы хотим гулять на пляже.
    Nous voulons nous promener sur la plage.
""",
    ("imperative", imperative): """
do | open | the window
    Open the window!
    Откройте окно!
    Ouvrez la fenêtre !
do_not | open | the window
    Do not open the window!
    Не открывайте окно!
    N'ouvrez pas la fenêtre !
please | close | the door
    Please close the door.
    Закройте, пожалуйста, дверь.
    Fermez la porte, s'il vous plaît.
me | give | the key
    Please give me the key.
    Дайте мне, пожалуйста, ключ.
    Donnez-moi la clé, s'il vous plaît.
do_not | forget | the umbrella
    Do not forget the umbrella!
    Не забудьте зонт!
    N'oubliez pas le parapluie !
do | listen | the teacher
    Listen to the teacher!
    Послушайте учителя!
    Écoutez le professeur !
please | wait | the doctor
    Please wait for the doctor.
    Подождите, пожалуйста, врача.
    Attendez le médecin, s'il vous plaît.
do_not | eat | these apples
    Do not eat these apples!
    Не ешьте эти яблоки!
    Ne mangez pas ces pommes !
me | show | these pictures
    Please show me these pictures.
    Покажите мне, пожалуйста, эти картины.
    Montrez-moi ces tableaux, s'il vous plaît.
do | phone | the lawyer
    Phone the lawyer!
    Позвоните адвокату!
    Téléphonez à l'avocat !
""",
    ("relative_subject", relative_subject): """
the woman | buy | the car | live | @at the village
    The woman who bought the car lives in the village.
    Женщина, которая купила машину, живёт в деревне.
    La femme qui a acheté la voiture habite dans le village.
I | the man | build | this house
    I know the man who built this house.
    Я знаю мужчину, который построил этот дом.
    Je connais l'homme qui a construit cette maison.
the dog | eat | the meat | sleep | @at the garden
    The dog that ate the meat is sleeping in the garden.
    Собака, которая съела мясо, спит в саду.
    Le chien qui a mangé la viande dort dans le jardin.
the boys | find | a ring | play | @at the park
    The boys who found a ring are playing in the park.
    Мальчики, которые нашли кольцо, играют в парке.
    Les garçons qui ont trouvé une bague jouent dans le parc.
she | the doctor | write | the article
    She knows the doctor who wrote the article.
    Она знает врача, который написал статью.
    Elle connaît le médecin qui a écrit l'article.
they | the nurses | help | the tourist
    They know the nurses who helped the tourist.
    Они знают медсестёр, которые помогли туристу.
    Ils connaissent les infirmières qui ont aidé le touriste.
the writer | sell | the house | work | @at the library
    The writer who sold the house is working at the library.
    Писатель, который продал дом, работает в библиотеке.
    L'écrivain qui a vendu la maison travaille à la bibliothèque.
the girls | lose | the tickets | be_sitting | @at the bench
    The girls who lost the tickets are sitting on the bench.
    Девочки, которые потеряли билеты, сидят на скамейке.
    Les filles qui ont perdu les billets sont assises sur le banc.
""",
    ("relative_object", relative_object): """
the letter | the boy | write | @at the table
    The letter that the boy wrote is on the table.
    Письмо, которое написал мальчик, лежит на столе.
    La lettre que le garçon a écrite est sur la table.
the film | he | watch | interesting
    The film that he watched is interesting.
    Фильм, который он посмотрел, интересный.
    Le film qu'il a regardé est intéressant.
the cups | my mother | buy | @at the shelf
    The cups that my mother bought are on the shelf.
    Чашки, которые купила моя мать, стоят на полке.
    Les tasses que ma mère a achetées sont sur l'étagère.
the story | Anna | read | long
    The story that Anna read is long.
    История, которую прочитала Анна, длинная.
    L'histoire qu'Anna a lue est longue.
the shirts | the woman | choose | expensive
    The shirts that the woman chose are expensive.
    Рубашки, которые выбрала женщина, дорогие.
    Les chemises que la femme a choisies sont chères.
the keys | they | find | @at the bag
    The keys that they found are in the bag.
    Ключи, которые они нашли, лежат в сумке.
    Les clés qu'ils ont trouvées sont dans le sac.
the book | the teacher | write | interesting
    The book that the teacher wrote is interesting.
    Книга, которую написал учитель, интересная.
    Le livre que le professeur a écrit est intéressant.
the umbrella | the nurse | lose | old
    The umbrella that the nurse lost is old.
    Зонт, который потеряла медсестра, старый.
    Le parapluie que l'infirmière a perdu est vieux.
""",
    ("coordination", statement): """
the mother & the daughter | go | past | @to the park
    The mother and the daughter went to the park.
    Мать и дочь пошли в парк.
    La mère et la fille sont allées au parc.
Anna & Victor | buy | past | a car
    Anna and Victor bought a car.
    Анна и Виктор купили машину.
    Anna et Victor ont acheté une voiture.
the boy & the girl | come | past | @to the school
    The boy and the girl came to the school.
    Мальчик и девочка пришли в школу.
    Le garçon et la fille sont venus à l'école.
my brother & my sister | work | present | @at the bank
    My brother and my sister are working at the bank.
    Мой брат и моя сестра работают в банке.
    Mon frère et ma sœur travaillent à la banque.
Emma & Nina | sit_down | past | @onto the bench
    Emma and Nina sat on the bench.
    Эмма и Нина сели на скамейку.
    Emma et Nina se sont assises sur le banc.
the woman & the man | return | past | @from the park
    The woman and the man returned from the park.
    Женщина и мужчина вернулись из парка.
    La femme et l'homme sont revenus du parc.
the doctor & the nurse | help | future | the child
    The doctor and the nurse will help the child.
    Врач и медсестра помогут ребёнку.
    Le médecin et l'infirmière aideront l'enfant.
the cat & the dog | be_lying | present | @at the sofa
    The cat and the dog are lying on the sofa.
    Кот и собака лежат на диване.
    Le chat et le chien sont couchés sur le canapé.
this man & this woman | be_sitting | present | @at the sofa
    This man and this woman are sitting on the sofa.
    Этот мужчина и эта женщина сидят на диване.
    Cet homme et cette femme sont assis sur le canapé.
""",
    ("possessor", statement): """
the girl | find | past | Anna's key
    The girl found Anna's key.
    Девочка нашла ключ Анны.
    La fille a trouvé la clé d'Anna.
my brother's dog | sleep | present | @under the table
    My brother's dog is sleeping under the table.
    Собака моего брата спит под столом.
    Le chien de mon frère dort sous la table.
he | read | past | the teacher's book
    He read the teacher's book.
    Он прочитал книгу учителя.
    Il a lu le livre du professeur.
the boy | lose | past | the engineer's map
    The boy lost the engineer's map.
    Мальчик потерял карту инженера.
    Le garçon a perdu la carte de l'ingénieur.
my mother | wash | past | the child's plates
    My mother washed the child's plates.
    Моя мать помыла тарелки ребёнка.
    Ma mère a lavé les assiettes de l'enfant.
Victor's cat | be_lying | present | @at the bed
    Victor's cat is lying on the bed.
    Кот Виктора лежит на кровати.
    Le chat de Victor est couché sur le lit.
Oscar | take | past | the nurse's umbrella
    Oscar took the nurse's umbrella.
    Оскар взял зонт медсестры.
    Oscar a pris le parapluie de l'infirmière.
the man | repair | past | the neighbour's bicycle
    The man repaired the neighbour's bicycle.
    Мужчина починил велосипед соседа.
    L'homme a réparé le vélo du voisin.
the woman | open | past | our father's letters
    The woman opened our father's letters.
    Женщина открыла письма нашего отца.
    La femme a ouvert les lettres de notre père.
""",
}


def cases():
    for (construction, say), table in CASES.items():
        lines = [line.strip() for line in table.strip().splitlines()]
        for spec, *expected in zip(*(lines[start::4] for start in range(4)), strict=True):
            yield pytest.param(say, spec, expected, id=f"{construction}: {expected[0]}")


@pytest.mark.parametrize("say, spec, expected", list(cases()))
def test_sentence_as_written_by_hand(say, spec, expected):
    assert written(say(spec)) == expected


def test_every_construction_has_eight_sentences_by_hand():
    from coursekit.datasets.translation.draw import CONSTRUCTIONS, HELD_OUT

    tables = {construction: len(table.strip().splitlines()) // 4 for (construction, _), table in CASES.items()}
    assert set(tables) == {construction.__name__ for construction in (*CONSTRUCTIONS, HELD_OUT)}
    assert min(tables.values()) >= 8


# The numbers are places of tokens in the sentences above them, read off by hand.
@pytest.mark.parametrize("say, spec, to_russian, to_french", [
    # there is no milk in the fridge . / в холодильнике нет молока . / il n' y a pas de lait dans le réfrigérateur .
    (two_phrases(sentences.absence), "some milk | @at the fridge",
     "0-2 1-2 2-2 3-3 4-0 6-1 7-4", "0-0 0-2 0-3 1-0 1-2 1-3 2-1 2-4 3-6 4-7 5-8 6-9 7-10"),
    # he does not see the white cow . / он не видит белую корову . / il ne voit pas la vache blanche .
    (statement, "he | see | not present | the white cow",
     "0-0 1-2 2-1 3-2 5-3 6-4 7-5", "0-0 1-2 2-1 2-3 3-2 4-4 5-6 6-5 7-7"),
    # the girl went to the museum . / девочка пошла в музей . / la fille est allée au musée .
    (statement, "the girl | go | past | @to the museum",
     "1-0 2-1 3-2 5-3 6-4", "0-0 1-1 2-2 2-3 3-4 4-4 5-5 6-6"),
    # she gave me the teacher 's book . / она дала мне книгу учителя . / elle m' a donné le livre du professeur .
    (giving, "she | give | past | I | the teacher's book",
     "0-0 1-1 2-2 4-4 6-3 7-5", "0-0 1-2 1-3 2-1 3-6 4-7 5-6 6-5 7-8"),
    # the boy never drinks tea . / мальчик никогда не пьёт чай . / le garçon ne boit jamais de thé .
    (habit, "the boy | never | drink | some tea",
     "1-0 2-1 2-2 3-3 4-4 5-5", "0-0 1-1 2-2 2-4 3-3 4-6 5-7"),
    # the man approached the house . / мужчина подошёл к дому . / l' homme s' est approché de la maison .
    (statement, "the man | approach | past | the house",
     "1-0 2-1 2-2 4-3 5-4", "0-0 1-1 2-2 2-3 2-4 2-5 3-6 4-7 5-8"),
])
def test_alignment_by_hand(say, spec, to_russian, to_french):
    row = make_row(say, say(spec))
    assert row.line().split("\t")[-2:] == [to_russian, to_french]
