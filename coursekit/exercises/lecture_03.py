"""Exercises of lecture 03: tokens and embeddings."""

import collections

import numpy as np

from coursekit.exercises.exercise import Exercise


# ---------------------------------------------------------------------------------------------------------------------
# The most frequent pair

task = Exercise(
    "03.most_frequent_pair", "The pair to merge",
    "Write `most_frequent_pair`, the heart of byte-pair encoding: which two tokens stand next to each other most "
    "often? `words` has a different word in each row, filled up with zeros at the end, and `times` says how often each "
    "word occurs in the text. Of pairs that are equally frequent take the one with the smaller first token, then the "
    "one with the smaller second.",
    difficulty=2, minutes=15, points=2,
    sizes=(dict(n=3, length=5, equals=True), dict(n=6, length=7), dict(n=7, length=8, equals=True),
           dict(n=8, length=6), dict(n=9, length=4, alike=True)),
    returns={"left": (), "right": ()},
    withhold=("coursekit.text.BytePairEncoding", "coursekit.text.bpe.BytePairEncoding",
              "tokenizers.trainers.BpeTrainer"),
    hints=(
        "The pairs of one row are its tokens but the last beside its tokens but the first: zip(row, row[1:]).",
        "Count in a dictionary from (left, right) to a number. What does a pair add to it in a word that occurs 7 "
        "times?",
        "0 is no token: skip every pair with a 0 in it.",
        "min(counts, key=lambda pair: (-counts[pair], pair)) takes the largest count first and then the smallest pair.",
    ),
    explanation="A word that occurs 7 times gives each of its pairs 7 counts, and pairs never cross from one word to "
                "the next. Without a rule for ties two programs learn different merges from the same text.",
)


@task.reference
def most_frequent_pair(words, times):
    """The pair (left, right) of tokens, of words (n, length), filled up with 0, that occur times (n,) in the text."""
    counts = collections.Counter()
    for word, count in zip(words, times):
        for pair in zip(word, word[1:]):
            if pair[1]:
                counts[pair] += count
    return min(counts, key=lambda pair: (-counts[pair], pair))


@task.draw
def draw(rng, n, length, equals=False, alike=False):
    mistakes = (first_of_equals, largest_of_equals, second_token_ignored) if equals else (
        pairs_across_words,) if alike else (times_forgotten, padding_counted, order_ignored, once_in_a_word)
    while True:  # until each of these mistakes has an answer of its own
        words, times = rng.integers(1, 6, (n, length)), rng.integers(1, 6, n)
        if alike:  # all words begin alike and end alike, and no padding keeps them apart
            words[:, [0, -1]] = rng.permutation(5)[:2] + 1
        else:
            words[np.arange(length) >= rng.integers(2, length, n)[:, None]] = 0
        if len({answer(words, times) for answer in (most_frequent_pair, *mistakes)}) == 1 + len(mistakes):
            return {"words": words, "times": times}


def pairs_of(word):
    return [pair for pair in zip(word, word[1:]) if pair[1]]


def most_frequent(pairs_with_counts, key=lambda pair, count: (-count, pair)):
    counts = collections.Counter()
    for pair, count in pairs_with_counts:
        counts[pair] += count
    return min(counts, key=lambda pair: key(pair, counts[pair]))


@task.misconception
def times_forgotten(words, times):
    """You count every word once. A pair in a word that occurs 7 times occurs 7 times as well: add times, not 1."""
    return most_frequent((pair, 1) for word in words.tolist() for pair in pairs_of(word))


@task.misconception
def padding_counted(words, times):
    """You count the padding. The zeros at the end of a row are no tokens: no pair has a 0."""
    return most_frequent((pair, count) for word, count in zip(words.tolist(), times.tolist())
                         for pair in zip(word, word[1:]))


@task.misconception
def first_of_equals(words, times):
    """Of equally frequent pairs you take the one that was counted first, as max and Counter.most_common do. The rule
    is: the smaller first token, then the smaller second."""
    return most_frequent(((pair, count) for word, count in zip(words.tolist(), times.tolist())
                          for pair in pairs_of(word)), key=lambda pair, count: -count)


@task.misconception
def largest_of_equals(words, times):
    """Of equally frequent pairs you take the largest, as max does with (count, pair). The rule is: the smaller first
    token, then the smaller second."""
    return most_frequent(((pair, count) for word, count in zip(words.tolist(), times.tolist())
                          for pair in pairs_of(word)), key=lambda pair, count: (-count, -pair[0], -pair[1]))


@task.misconception
def second_token_ignored(words, times):
    """Of equally frequent pairs with the same first token you take the one that was counted first. The rule is: the
    smaller second token. Pairs as tuples are compared so."""
    return most_frequent(((pair, count) for word, count in zip(words.tolist(), times.tolist())
                          for pair in pairs_of(word)), key=lambda pair, count: (-count, pair[0]))


@task.misconception
def order_ignored(words, times):
    """You count left-right and right-left as the same pair. A merge joins them in one order only: in "er" e comes
    first."""
    return most_frequent((tuple(sorted(pair)), count) for word, count in zip(words.tolist(), times.tolist())
                         for pair in pairs_of(word))


@task.misconception
def once_in_a_word(words, times):
    """A pair that stands twice in one word counts only once with you. Each place counts: the a-n of "banana" is there
    two times."""
    return most_frequent((pair, count) for word, count in zip(words.tolist(), times.tolist())
                         for pair in dict.fromkeys(pairs_of(word)))


@task.misconception
def pairs_across_words(words, times):
    """You put the words one after another and count the pair at each border too. A merge joins tokens within a word:
    count every row for itself."""
    text = np.repeat(words, times, axis=0)
    return most_frequent((pair, 1) for pair in pairs_of(text[text > 0].tolist()))


# ---------------------------------------------------------------------------------------------------------------------
# The order of merges

task = Exercise(
    "03.merge_order", "In which order?",
    "Byte-pair encoding has learned five merges, in this order: e + s, es + t, w + est, l + o, lo + w. Which tokens "
    "does it make of the word lowest? Give `lowest_tokens` the letter.",
    difficulty=1, minutes=5, points=1, kind="choice",
    options={
        "a": ("low, est",
              "That is the longest match from the left, WordPiece's rule. In byte-pair encoding the merge that was "
              "learned earlier goes first, and w + est was learned before lo + w: it takes the w away."),
        "b": ("lo, west",
              "The merges in their order: l o w es t, then l o w est, l o west, lo west. For the last one, lo + w, no "
              "w is left."),
        "c": ("lo, w, es, t",
              "So it comes out when the merges are tried from the last to the first. es + t needs an es, which only "
              "the first merge makes: the order is that of learning."),
        "d": ("lowest",
              "A merge joins only the two tokens that it names. No merge joins lo and west, so they stay apart."),
    },
    hints=("Write the word as l o w e s t and make the first merge wherever it fits. Then the second, and so on.",
           "After the third merge: is there still a w for lo + w?"),
    explanation="A text is encoded as the training text was: merge after merge, in the order in which they were "
                "learned. The tokens depend on that order and not only on which tokens there are.",
)


@task.reference
def lowest_tokens():
    return "b"


# ---------------------------------------------------------------------------------------------------------------------
# WordPiece

task = Exercise(
    "03.wordpiece", "Greedy longest match",
    "Write `wordpiece_ids`, which cuts one word into tokens as BERT does. From the left, take the longest token of the "
    "vocabulary that fits, again and again; inside the word tokens begin with `##`. If at some place nothing fits, the "
    "whole word is the one token `[UNK]`. A token's id is its place in the vocabulary.",
    difficulty=3, minutes=20, points=3,
    sizes=(dict(letters=4, pieces=9), dict(letters=7, pieces=12), dict(letters=6, pieces=11),
           dict(letters=5, pieces=8, unknown=True), dict(letters=7, pieces=10, unknown=True)),
    returns={"ids": ("token",)},
    withhold=("coursekit.text.WordPiece", "coursekit.text.wordpiece.WordPiece", "tokenizers.models.WordPiece",
              "tokenizers.BertWordPieceTokenizer", "tokenizers.implementations.BertWordPieceTokenizer",
              "transformers.BertTokenizer", "transformers.BertTokenizerFast"),
    hints=(
        "Keep the place `start` where the next token begins, and let `end` run down from the end of the word.",
        "What you look up is word[start:end], with ## before it if start is greater than 0.",
        "Found: keep its id and go on with start = end. Nothing found down to end = start + 1: the answer is [UNK] "
        "alone.",
    ),
    explanation="Greedy means that a token once taken is never given back, even where a shorter one would have left a "
                "rest that fits. That is fast and usually good. The price is an [UNK] now and then for a word that "
                "could have been cut.",
)


@task.reference
def wordpiece_ids(word, vocabulary):
    """The list of ids of word, a string; vocabulary is a tuple of strings, among them "[UNK]"."""
    ids, start = [], 0
    while start < len(word):
        prefix = "##" if start else ""
        for end in range(len(word), start, -1):
            if vocabulary.count(prefix + word[start:end]):
                break
        else:
            return [vocabulary.index("[UNK]")]
        ids.append(vocabulary.index(prefix + word[start:end]))
        start = end
    return ids


@task.draw
def draw(rng, letters, pieces, unknown=False):
    def text(length):
        return "".join("abc"[letter] for letter in rng.integers(0, 3, length))

    mistakes = (shortest_token, not_marked_inside, rest_unknown, letter_skipped, from_the_right)
    while True:  # until every mistake that can show itself has an answer of its own
        word = text(letters)
        tokens = {text(rng.integers(1, 4)) for _ in range(pieces)}
        tokens |= {"##" + text(rng.integers(1, 4)) for _ in range(pieces)}
        vocabulary = tuple(rng.permutation(["[PAD]", "[UNK]", *sorted(tokens)]).tolist())
        right = wordpiece_ids(word, vocabulary)
        answers = {tuple(mistake(word, vocabulary)) for mistake in mistakes} - {tuple(right)}
        longest = max(len(vocabulary[id].removeprefix("##")) for id in right)
        alone = token_given_back(word, vocabulary) != right and (
            rest_unknown(word, vocabulary) != letter_skipped(word, vocabulary))
        if len(answers) >= 3 and (alone if unknown else len(right) > 1 and longest == 3):
            return {"word": word, "vocabulary": vocabulary}


def cut(word, vocabulary, choose=max, inside="##", give_up=True):
    """Greedy matching from the left; without give_up, a letter where nothing fits is [UNK]."""
    ids, start, unknown = [], 0, vocabulary.index("[UNK]")
    while start < len(word):
        prefix = inside if start else ""
        fits = [end for end in range(start + 1, len(word) + 1) if prefix + word[start:end] in vocabulary]
        if not fits and give_up:
            return [unknown]
        ids.append(vocabulary.index(prefix + word[start:choose(fits)]) if fits else unknown)
        start = choose(fits) if fits else start + 1
    return ids


@task.misconception
def shortest_token(word, vocabulary):
    """You take the shortest token that fits. Taken is the longest: begin with the whole rest of the word and make it
    shorter."""
    return cut(word, vocabulary, choose=min)


@task.misconception
def not_marked_inside(word, vocabulary):
    """Inside the word you look for tokens without ##. A token that begins a word and one that goes on in it are two
    entries of the vocabulary, each with an id of its own."""
    return cut(word, vocabulary, inside="")


@task.misconception
def rest_unknown(word, vocabulary):
    """Where nothing fits you keep the tokens found so far and add [UNK]. In BERT the whole word is then [UNK], and only
    that."""
    ids, start = [], 0
    while start < len(word):
        prefix = "##" if start else ""
        fits = [end for end in range(start + 1, len(word) + 1) if prefix + word[start:end] in vocabulary]
        if not fits:
            return [*ids, vocabulary.index("[UNK]")]
        ids.append(vocabulary.index(prefix + word[start:max(fits)]))
        start = max(fits)
    return ids


@task.misconception
def letter_skipped(word, vocabulary):
    """Where nothing fits you write [UNK] for one letter and go on behind it. In BERT the whole word is then [UNK], and
    only that."""
    return cut(word, vocabulary, give_up=False)


@task.misconception
def token_given_back(word, vocabulary):
    """Where nothing fits you give the last token back and try a shorter one. Greedy means that a token once taken
    stays taken: the whole word is then [UNK]."""
    def rest(start):
        if start == len(word):
            return []
        for end in range(len(word), start, -1):
            token = ("##" if start else "") + word[start:end]
            after = rest(end) if token in vocabulary else None
            if after is not None:
                return [vocabulary.index(token), *after]
        return None

    ids = rest(0)
    return [vocabulary.index("[UNK]")] if ids is None else ids


@task.misconception
def from_the_right(word, vocabulary):
    """You begin at the end of the word. WordPiece goes from the left, and greedy from the other side cuts other
    tokens."""
    ids, end = [], len(word)
    while end > 0:
        fits = [start for start in range(end) if ("##" if start else "") + word[start:end] in vocabulary]
        if not fits:
            return [vocabulary.index("[UNK]")]
        ids.insert(0, vocabulary.index(("##" if min(fits) else "") + word[min(fits):end]))
        end = min(fits)
    return ids


# ---------------------------------------------------------------------------------------------------------------------
# A pair as BERT's input

task = Exercise(
    "03.pair_input", "A pair as BERT reads it",
    "Write `pair_input`, which makes the input of BERT from the ids of two texts: [CLS] first [SEP] second [SEP], then "
    "[PAD] up to `length`. Return the ids, the segment ids (0 for everything up to the first [SEP], that one included, "
    "then 1, and 0 at padding) and the mask, which is True at tokens and False at padding. The ids are: [PAD] 0, [CLS] "
    "101, [SEP] 102.",
    difficulty=2, minutes=10, points=2,
    sizes=(dict(first=2, second=3, length=9), dict(first=4, second=2, length=12), dict(first=5, second=6, length=17)),
    returns={"ids": ("length",), "segment_ids": ("length",), "mask": ("length",)},
    withhold=("coursekit.text.WordPiece", "coursekit.text.wordpiece.WordPiece",
              "tokenizers.processors.BertProcessing", "tokenizers.processors.TemplateProcessing",
              "transformers.BertTokenizer", "transformers.BertTokenizerFast"),
    hints=(
        "np.concatenate([[101], first, [102], second, [102]]) is what counts; how long is it?",
        "Begin with zeros of the full length and write into their beginning.",
        "Segment 1 begins after len(first) + 2 tokens, and there are len(second) + 1 of it.",
    ),
    explanation="[CLS] gives the model a place for what concerns the whole input, [SEP] says where a text ends, and "
                "the segments say which text a token belongs to. The mask keeps padding out of every sum.",
)


@task.reference
def pair_input(first, second, length):
    """The ids, segment ids and mask, each (length,), of two texts' ids first (n,) and second (m,)."""
    tokens = np.concatenate([[101], first, [102], second, [102]])
    ids, segment_ids = np.zeros(length, int), np.zeros(length, int)
    ids[:len(tokens)] = tokens
    segment_ids[len(first) + 2:len(tokens)] = 1
    return ids, segment_ids, np.arange(length) < len(tokens)


@task.draw
def draw(rng, first, second, length):
    return {"first": rng.integers(1000, 30000, first), "second": rng.integers(1000, 30000, second), "length": length}


@task.misconception
def no_token_between(first, second, length):
    """The [SEP] between the texts is missing: [CLS] first [SEP] second [SEP] has two of them."""
    tokens = np.concatenate([[101], first, second, [102]])
    ids, segment_ids = np.zeros(length, int), np.zeros(length, int)
    ids[:len(tokens)] = tokens
    segment_ids[len(first) + 1:len(tokens)] = 1
    return ids, segment_ids, np.arange(length) < len(tokens)


@task.misconception
def CLS_before_both(first, second, length):
    """You put [CLS] before the second text as well. There is one [CLS] for the whole input, at its beginning."""
    tokens = np.concatenate([[101], first, [102, 101], second, [102]])[:length]
    ids, segment_ids = np.zeros(length, int), np.zeros(length, int)
    ids[:len(tokens)] = tokens
    segment_ids[len(first) + 2:len(tokens)] = 1
    return ids, segment_ids, np.arange(length) < len(tokens)


@task.misconception
def first_SEP_in_segment_1(first, second, length):
    """You count the first [SEP] to the second text. It ends the first one, so its segment is 0."""
    ids, segment_ids, mask = pair_input(first, second, length)
    segment_ids[len(first) + 1] = 1
    return ids, segment_ids, mask


@task.misconception
def padding_in_segment_1(first, second, length):
    """Your segment 1 runs on through the padding. BERT's tokenizer gives padding segment 0."""
    ids, segment_ids, mask = pair_input(first, second, length)
    segment_ids[~mask] = 1
    return ids, segment_ids, mask


@task.misconception
def segments_from_1(first, second, length):
    """Your segments are 1 and 2. They count from 0, like everything that looks up a row of a matrix."""
    ids, segment_ids, mask = pair_input(first, second, length)
    return ids, np.where(mask, segment_ids + 1, 0), mask


@task.misconception
def mask_upside_down(first, second, length):
    """Your mask is True at the padding. In this course True means "may attend": True at tokens."""
    ids, segment_ids, mask = pair_input(first, second, length)
    return ids, segment_ids, ~mask


@task.misconception
def padding_in_front(first, second, length):
    """You put the padding in front. BERT has its positions counted from [CLS] at place 0, so the padding stands at the
    end."""
    ids, segment_ids, mask = pair_input(first, second, length)
    return tuple(np.roll(row, length - mask.sum()) for row in (ids, segment_ids, mask))


# ---------------------------------------------------------------------------------------------------------------------
# The gradient of a look-up

task = Exercise(
    "03.embedding_gradient", "The gradient of a look-up",
    "A layer looks up `E[tokens]`. Backpropagation hands it the gradient of the loss with respect to each of the "
    "vectors that were looked up. Write `embedding_gradient`, the gradient with respect to E. Tokens repeat.",
    difficulty=3, minutes=15, points=3,
    sizes=(dict(batch=2, length=3, d_model=4, vocab_size=5), dict(batch=3, length=5, d_model=2, vocab_size=8),
           dict(batch=4, length=6, d_model=3, vocab_size=7)),
    returns={"gradient_of_E": ("vocab_size", "d_model")},
    withhold=("torch.ops.aten.embedding_dense_backward",),
    hints=(
        "Row 7 of E was used wherever token 7 stands. By the chain rule its gradient is a sum: over what?",
        "In NumPy E[tokens] += x writes each row once, however often a token stands in tokens. Try it with tokens = "
        "[0, 0].",
        "np.add.at(result, tokens, gradient) adds every time. So does the one-hot matrix, transposed, times the "
        "gradient.",
    ),
    explanation="The look-up is one_hot @ E, so the gradient is the transposed one-hot matrix times the gradient that "
                "comes in: a sum over all places where the token stands, and zero for tokens that do not occur.",
)


@task.reference
def embedding_gradient(tokens, gradient, vocab_size):
    """The gradient (vocab_size, d_model) of E, for tokens (batch, length) and the gradient (batch, length, d_model) of
    E[tokens]."""
    result = np.zeros((vocab_size, gradient.shape[2]))
    np.add.at(result, tokens, gradient)
    return result


@task.draw
def draw(rng, batch, length, d_model, vocab_size):
    tokens = rng.integers(0, vocab_size - 2, (batch, length))
    tokens[-1, -2:] = tokens[0, :2] = vocab_size - 2  # one token four times, in two rows; the last one never
    return {"tokens": tokens, "gradient": rng.normal(size=(batch, length, d_model)), "vocab_size": vocab_size}


@task.misconception
def last_one_wins(tokens, gradient, vocab_size):
    """A token that stands in several places has only its last gradient. E[tokens] = x overwrites, and E[tokens] += x
    does too: NumPy adds once for each row. np.add.at adds every time."""
    result = np.zeros((vocab_size, gradient.shape[2]))
    result[tokens] = gradient
    return result


@task.misconception
def averaged(tokens, gradient, vocab_size):
    """You average over the places of a token. The vector was used in all of them, so what they ask for adds up."""
    counts = np.bincount(tokens.ravel(), minlength=vocab_size)[:, None]
    return embedding_gradient(tokens, gradient, vocab_size) / np.maximum(counts, 1)


@task.misconception
def divided_by_the_batch(tokens, gradient, vocab_size):
    """Your gradient is too small by the size of the batch. If the loss is a mean, the gradient that comes in has that
    factor already."""
    return embedding_gradient(tokens, gradient, vocab_size) / len(tokens)


@task.misconception
def only_tokens_that_occur(tokens, gradient, vocab_size):
    """You leave out the tokens that do not occur. The gradient has the shape of E: their rows are zero."""
    return embedding_gradient(tokens, gradient, vocab_size)[np.unique(tokens)]


@task.misconception
def counts_in_place_of_gradients(tokens, gradient, vocab_size):
    """You add 1 for every place of a token, whatever the gradient there is. Add the gradient's vector."""
    return embedding_gradient(tokens, np.ones_like(gradient), vocab_size)


# ---------------------------------------------------------------------------------------------------------------------
# Analogies

task = Exercise(
    "03.analogy", "King − man + woman",
    "Write `analogy_answers`: for each question (a, b, c), such as (man, woman, king), the word nearest to b − a + c. "
    "First divide every word vector by its length. Nearest means the largest cosine, and the three words of the "
    "question themselves do not count.",
    difficulty=4, minutes=20, points=3,
    sizes=(dict(n=3, vocab_size=9, d_model=4), dict(n=8, vocab_size=20, d_model=5),
           dict(n=11, vocab_size=30, d_model=6), dict(n=2, vocab_size=5, d_model=4, opposite=True)),
    returns={"answers": ("n",)},
    withhold=("coursekit.text.word_vectors.solve_analogies",),
    hints=(
        "Divide: vectors / np.linalg.norm(vectors, axis=1, keepdims=True). Then a dot product of two of them is a "
        "cosine.",
        "questions[:, 0] are all a at once, and looking them up gives (n, d_model).",
        "(directions[b] − directions[a] + directions[c]) @ directions.T has a row for each question and a column for "
        "each word. The length of the sum does not change which one is largest.",
        "Before argmax, set the columns of a, b and c to minus infinity, in each row its own.",
    ),
    explanation="Dividing first gives every word the same say in the sum; word vectors differ in length mostly because "
                "words differ in frequency. Leaving out the three question words is the custom, and it is no detail: "
                "without it the answer is often c itself.",
)


@task.reference
def analogy_answers(vectors, questions):
    """The ids (n,) of the words nearest to b - a + c, of vectors (vocab_size, d_model) and questions (n, 3) of a, b,
    c."""
    directions = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    a, b, c = questions.T
    cosines = (directions[b] - directions[a] + directions[c]) @ directions.T
    np.put_along_axis(cosines, questions, -np.inf, axis=1)
    return cosines.argmax(axis=1)


@task.draw
def draw(rng, n, vocab_size, d_model, opposite=False):
    mistakes = (question_words_allowed, question_words_at_zero) if opposite else (
        question_words_allowed, only_c_left_out, only_a_allowed, only_b_allowed, only_c_allowed, signs_swapped,
        lengths_kept, lengths_kept_to_the_end, nearest_to_c)
    while True:  # until every mistake has an answer of its own, and none hangs on a rounding
        vectors = rng.normal(size=(vocab_size, d_model)) * rng.uniform(0.4, 2.5, (vocab_size, 1))
        questions = rng.permuted(np.tile(np.arange(vocab_size), (n, 1)), axis=1)[:, :3]
        if not opposite:  # a lies between b and c, so that b − a + c points to it; not midway, which would be a tie
            a, *b_and_c = questions[0]
            vectors[a] = [0.8, 1.0] @ directions_of(vectors)[b_and_c]
        answers = [function(vectors, questions) for function in (analogy_answers, *mistakes)]
        if len({tuple(answer) for answer in answers}) == len(answers) and clear(vectors, questions):
            return {"vectors": vectors, "questions": questions}


def clear(vectors, questions):
    """Whether the nearest word is nearer than the next, and not at a right angle, by more than single precision could
    hide."""
    directions = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    a, b, c = questions.T
    cosines = (directions[b] - directions[a] + directions[c]) @ directions.T
    np.put_along_axis(cosines, questions, -9, axis=1)
    best = np.sort(cosines, axis=1)[:, -2:]
    return (best[:, 1] - best[:, 0]).min() > 1e-3 and np.abs(best).min() > 1e-3


def answers(vectors, questions, left_out, signs=(-1, 1, 1)):
    a, b, c = questions.T
    scores = (signs[0] * vectors[a] + signs[1] * vectors[b] + signs[2] * vectors[c]) @ directions_of(vectors).T
    np.put_along_axis(scores, left_out, -np.inf, axis=1)
    return scores.argmax(axis=1)


def directions_of(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@task.misconception
def question_words_allowed(vectors, questions):
    """You let the words of the question answer it. Then c itself wins often, since b − a is a small step. Leave out a,
    b and c."""
    return answers(directions_of(vectors), questions, questions[:, :0])


@task.misconception
def question_words_at_zero(vectors, questions):
    """You set the cosines of the question's words to 0. Where every other word has a cosine below 0, one of them still
    wins: minus infinity is below everything."""
    directions = directions_of(vectors)
    a, b, c = questions.T
    cosines = (directions[b] - directions[a] + directions[c]) @ directions.T
    np.put_along_axis(cosines, questions, 0.0, axis=1)
    return cosines.argmax(axis=1)


@task.misconception
def only_c_left_out(vectors, questions):
    """You leave out c and let a and b answer. All three words of the question are left out."""
    return answers(directions_of(vectors), questions, questions[:, 2:])


@task.misconception
def only_a_allowed(vectors, questions):
    """You leave out b and c and let a answer. Where a lies between b and c, b − a + c points back to a itself: leave
    out all three."""
    return answers(directions_of(vectors), questions, questions[:, 1:])


@task.misconception
def only_b_allowed(vectors, questions):
    """You leave out a and c and let b answer. Where a and c lie near one another, the sum stays near b: leave out all
    three."""
    return answers(directions_of(vectors), questions, questions[:, ::2])


@task.misconception
def only_c_allowed(vectors, questions):
    """You leave out a and b and let c answer. Where a and b lie near one another, the sum stays near c: leave out all
    three."""
    return answers(directions_of(vectors), questions, questions[:, :2])


@task.misconception
def signs_swapped(vectors, questions):
    """You compute a − b + c. For man, woman, king that is king − woman + man. Asked for is b − a + c."""
    return answers(directions_of(vectors), questions, questions, signs=(1, -1, 1))


@task.misconception
def lengths_kept(vectors, questions):
    """You add the vectors as they are, so that a long one has more say than a short one. Divide every vector by its
    length first, then add."""
    return answers(vectors, questions, questions)


@task.misconception
def lengths_kept_to_the_end(vectors, questions):
    """You compare by the dot product of vectors of different lengths: long vectors win. Divide every vector by its
    length first."""
    a, b, c = questions.T
    scores = (vectors[b] - vectors[a] + vectors[c]) @ vectors.T
    np.put_along_axis(scores, questions, -np.inf, axis=1)
    return scores.argmax(axis=1)


@task.misconception
def nearest_to_c(vectors, questions):
    """Your answer is the nearest word to c, whatever a and b are. The step from a to b has to be added."""
    return answers(directions_of(vectors), questions, questions, signs=(0, 0, 1))
