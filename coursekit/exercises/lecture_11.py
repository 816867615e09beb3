"""Exercises of lecture 11: a pretrained BERT, words in context, and attention from inside."""

import numpy as np

from coursekit import reference
from coursekit.exercises.exercise import Exercise

# ---------------------------------------------------------------------------------------------------------------------
# What goes into the first layer

task = Exercise(
    "11.embeddings", "What goes into the first layer",
    "Write `embeddings`, the input of BERT's first layer: the sum of three rows for each token, and a layer norm. The "
    "first token of a text has position 0.",
    difficulty=2, minutes=10, points=2,
    sizes=(dict(batch=1, length=2, units=4, vocab=5), dict(batch=2, length=4, units=3, vocab=7),
           dict(batch=3, length=5, units=6, vocab=8), dict(batch=5, length=5, units=5, vocab=9)),
    returns={"x": ("batch", "length", "units")},
    hints=(
        "A row of each table for each token: which one is chosen by the token's id, which by its place, which by its "
        "text?",
        "First the sum of the three, then one layer norm over the units. tokens[ids] has all rows of the first table "
        "at once.",
    ),
    explanation="Three tables, one sum, one norm. After the sum nobody can tell which part came from where; the layers "
                "above learn to.",
)


@task.reference
def embeddings(ids, segment_ids, tokens, positions, segments, gamma, beta, epsilon):
    """The input (batch, length, units) of the first layer, of ids and segment_ids (batch, length), the tables tokens
    (vocab, units), positions (max_length, units) and segments (2, units), and the norm's gamma and beta (units,)."""
    x = tokens[ids] + positions[:ids.shape[1]] + segments[segment_ids]
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = (centred**2).mean(axis=-1, keepdims=True)
    return centred / np.sqrt(variance + epsilon) * gamma + beta


@task.draw
def draw(rng, batch, length, units, vocab):
    first = rng.integers(1, length, (batch, 1))  # so many tokens are the first text's
    return {"ids": rng.integers(0, vocab, (batch, length)), "segment_ids": (np.arange(length) >= first).astype(int),
            "tokens": 0.4 * rng.normal(size=(vocab, units)), "positions": 0.3 * rng.normal(size=(length + 3, units)),
            "segments": 0.3 * rng.normal(size=(2, units)), "gamma": rng.uniform(0.5, 1.5, units),
            "beta": rng.normal(size=units), "epsilon": 0.04}


def summed(ids, segment_ids, tokens, positions, segments):
    return tokens[ids] + positions[:ids.shape[1]] + segments[segment_ids]


@task.misconception
def positions_from_one(ids, segment_ids, tokens, positions, segments, gamma, beta, epsilon):
    """Your first token has position 1. BERT counts from 0: the first row of the table belongs to the first token."""
    return embeddings(ids, segment_ids, tokens, positions[1:], segments, gamma, beta, epsilon)


@task.misconception
def no_segments(ids, segment_ids, tokens, positions, segments, gamma, beta, epsilon):
    """You add no segment's row. BERT adds one to every token, even where there is only one text."""
    return embeddings(ids, segment_ids, tokens, positions, 0 * segments, gamma, beta, epsilon)


@task.misconception
def first_segment_everywhere(ids, segment_ids, tokens, positions, segments, gamma, beta, epsilon):
    """All your tokens get the row of the first text. Those of the second need the other row: segments[segment_ids]."""
    return embeddings(ids, 0 * segment_ids, tokens, positions, segments, gamma, beta, epsilon)


@task.misconception
def positions_start_again(ids, segment_ids, tokens, positions, segments, gamma, beta, epsilon):
    """Your positions start again at 0 with the second text. They go on: segments say which text it is, positions say
    where in the whole input."""
    places = np.arange(ids.shape[1]) - segment_ids * (1 - segment_ids).sum(axis=1, keepdims=True)
    x = tokens[ids] + positions[places] + segments[segment_ids]
    return reference.layer_norm(x, gamma, beta, epsilon)


@task.misconception
def no_positions(ids, segment_ids, tokens, positions, segments, gamma, beta, epsilon):
    """You add no positions. Attention does not see order: without them a sentence is a bag of words."""
    return embeddings(ids, segment_ids, tokens, 0 * positions, segments, gamma, beta, epsilon)


@task.misconception
def positions_by_id(ids, segment_ids, tokens, positions, segments, gamma, beta, epsilon):
    """You choose the row of the positions by the token's id. Its place in the input chooses it: 0, 1, 2, …"""
    x = tokens[ids] + positions[ids] + segments[segment_ids]
    return reference.layer_norm(x, gamma, beta, epsilon)


@task.misconception
def scaled_tokens(ids, segment_ids, tokens, positions, segments, gamma, beta, epsilon):
    """You multiply the tokens' rows by the root of their units, as the Transformer of 2017 does. BERT does not."""
    return embeddings(ids, segment_ids, tokens * np.sqrt(tokens.shape[1]), positions, segments, gamma, beta, epsilon)


@task.misconception
def each_normalised(ids, segment_ids, tokens, positions, segments, gamma, beta, epsilon):
    """You normalise each of the three rows and add afterwards. There is one norm, and it is of the sum."""
    rows = tokens[ids], np.broadcast_to(positions[:ids.shape[1]], tokens[ids].shape), segments[segment_ids]
    return sum(reference.layer_norm(row, gamma, beta, epsilon) for row in rows)


@task.misconception
def norm_before_the_sum(ids, segment_ids, tokens, positions, segments, gamma, beta, epsilon):
    """You normalise the tokens' rows and add the others afterwards. The norm is of the sum."""
    return reference.layer_norm(tokens[ids], gamma, beta, epsilon) + positions[:ids.shape[1]] + segments[segment_ids]


@task.misconception
def no_norm(ids, segment_ids, tokens, positions, segments, gamma, beta, epsilon):
    """Your sum is right, and it is not normalised: BERT has a layer norm before its first layer."""
    return summed(ids, segment_ids, tokens, positions, segments)


@task.misconception
def not_scaled_and_shifted(ids, segment_ids, tokens, positions, segments, gamma, beta, epsilon):
    """You leave out gamma and beta. They are learned, and the weights above count on them."""
    return embeddings(ids, segment_ids, tokens, positions, segments, 1, 0, epsilon)


@task.misconception
def norm_over_the_length(ids, segment_ids, tokens, positions, segments, gamma, beta, epsilon):
    """Your norm takes its mean and variance over the tokens. Each token is normalised by itself, over its units."""
    x = summed(ids, segment_ids, tokens, positions, segments)
    return (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + epsilon) * gamma + beta


@task.misconception
def divided_by_one_less(ids, segment_ids, tokens, positions, segments, gamma, beta, epsilon):
    """Your variance divides by the number of units less one (torch.var does so unless told otherwise). A layer norm
    divides by their number."""
    x = summed(ids, segment_ids, tokens, positions, segments)
    variance = x.var(axis=-1, keepdims=True, ddof=1)
    return (x - x.mean(axis=-1, keepdims=True)) / np.sqrt(variance + epsilon) * gamma + beta


@task.misconception
def no_root(ids, segment_ids, tokens, positions, segments, gamma, beta, epsilon):
    """You divide by the variance. A layer norm divides by its square root."""
    x = summed(ids, segment_ids, tokens, positions, segments)
    return (x - x.mean(-1, keepdims=True)) / (x.var(-1, keepdims=True) + epsilon) * gamma + beta


@task.misconception
def epsilon_outside_the_root(ids, segment_ids, tokens, positions, segments, gamma, beta, epsilon):
    """Your epsilon is added to the standard deviation. It belongs to the variance, under the root."""
    x = summed(ids, segment_ids, tokens, positions, segments)
    return (x - x.mean(-1, keepdims=True)) / (x.std(-1, keepdims=True) + epsilon) * gamma + beta


@task.misconception
def no_epsilon(ids, segment_ids, tokens, positions, segments, gamma, beta, epsilon):
    """You do not use epsilon. It is added to the variance, under the root."""
    return embeddings(ids, segment_ids, tokens, positions, segments, gamma, beta, 0.0)


# ---------------------------------------------------------------------------------------------------------------------
# A word's vector

task = Exercise(
    "11.word_vector", "The vector of a word that has several pieces",
    "A tokenizer may cut a word into pieces. Write `word_vector`, the mean of the vectors of a word's pieces. "
    "`offsets` says for each token where in the text it begins and ends; the special tokens at both ends have (0, 0). "
    "The word is text[start:end].",
    difficulty=2, minutes=10, points=2,
    sizes=(dict(words=2, units=4, number=1), dict(words=4, units=3, number=2), dict(words=3, units=5, number=0),
           dict(words=5, units=6, number=2)),
    returns={"vector": ("units",)},
    hints=(
        "A piece belongs to the word if it begins at `start` or later and ends at `end` or earlier.",
        "[CLS] has the offsets (0, 0). Is that inside a word that begins at 0? A piece that is one has at least one "
        "character.",
    ),
    explanation="Offsets tie tokens to text whatever the tokenizer did to it. The condition start < end of the piece "
                "keeps [CLS] and [SEP] out of a text's first word.",
)


@task.reference
def word_vector(states, offsets, start, end):
    """The vector (units,) of the word text[start:end], of states (length, units) and offsets (length, 2)."""
    inside = (offsets[:, 0] >= start) & (offsets[:, 1] <= end) & (offsets[:, 0] < offsets[:, 1])
    return states[inside].mean(axis=0)


@task.draw
def draw(rng, words, units, number):
    place, rows, spans = 0, [(0, 0)], []
    for word in range(words):
        begins = place
        for _ in range(3 if word == number else rng.integers(1, 3)):
            length = int(rng.integers(1, 6))
            rows.append((place, place + length))
            place += length
        spans.append((begins, place))
        place += word != number and word + 1 != number  # no space beside the word: it stands between quotation marks
    rows.append((0, 0))
    start, end = spans[number]
    return {"states": rng.normal(size=(len(rows), units)), "offsets": np.array(rows), "start": start, "end": end}


def pieces(offsets, start, end):
    return np.flatnonzero((offsets[:, 0] >= start) & (offsets[:, 1] <= end) & (offsets[:, 0] < offsets[:, 1]))


@task.misconception
def first_piece(states, offsets, start, end):
    """You return the vector of the first piece alone. Asked for is the mean of all pieces of the word."""
    return states[pieces(offsets, start, end)[0]]


@task.misconception
def last_piece(states, offsets, start, end):
    """You return the vector of the last piece alone. Asked for is the mean of all pieces of the word."""
    return states[pieces(offsets, start, end)[-1]]


@task.misconception
def sum_of_the_pieces(states, offsets, start, end):
    """You add the pieces and do not divide: the vector of a long word would be longer."""
    return states[pieces(offsets, start, end)].sum(axis=0)


@task.misconception
def special_tokens_included(states, offsets, start, end):
    """Where the word is the first of the text, you count [CLS] and [SEP] as pieces of it: their (0, 0) lies inside the
    word too. A piece has at least one character."""
    return states[(offsets[:, 0] >= start) & (offsets[:, 1] <= end)].mean(axis=0)


@task.misconception
def touching_pieces(states, offsets, start, end):
    """You take in the neighbours that only touch the word, such as a full stop: `end` is the first character that is
    not the word's."""
    touching = (offsets[:, 0] <= end) & (offsets[:, 1] >= start) & (offsets[:, 0] < offsets[:, 1])
    return states[touching].mean(axis=0)


@task.misconception
def last_piece_left_out(states, offsets, start, end):
    """Your last piece is missing. It ends where the word ends, so the condition is at most `end`, not below it."""
    return states[pieces(offsets, start, end - 1)].mean(axis=0)


@task.misconception
def first_piece_left_out(states, offsets, start, end):
    """Your first piece is missing. It begins where the word begins, so the condition is at least `start`, not above
    it."""
    return states[pieces(offsets, start + 1, end)].mean(axis=0)


@task.misconception
def without_cls(states, offsets, start, end):
    """Your pieces are one place too far to the left: the first row of the states belongs to [CLS]."""
    return states[pieces(offsets, start, end) - 1].mean(axis=0)


@task.misconception
def mean_of_the_text(states, offsets, start, end):
    """You average all tokens of the text. Asked for are the pieces of the one word between `start` and `end`."""
    return states[1:-1].mean(axis=0)


@task.misconception
def largest_of_each_unit(states, offsets, start, end):
    """You take the largest value of each unit. Asked for is the mean of the pieces."""
    return states[pieces(offsets, start, end)].max(axis=0)


@task.misconception
def weighted_by_letters(states, offsets, start, end):
    """Your mean gives a piece more weight the more letters it has. Asked for is the plain mean of the pieces."""
    at = pieces(offsets, start, end)
    return np.average(states[at], axis=0, weights=offsets[at, 1] - offsets[at, 0])


# ---------------------------------------------------------------------------------------------------------------------
# AUC by hand

task = Exercise(
    "11.auc_by_hand", "Separation by hand",
    "Four pairs of one sense have the cosines 0.9, 0.8, 0.7 and 0.6, two pairs across senses 0.75 and 0.6. What is the "
    "AUC: how often is a cosine of the first kind larger than one of the second, a tie counting half? Give "
    "`auc_by_hand` that number.",
    difficulty=1, minutes=4, points=1, kind="number",
    hints=("There are 4 · 2 comparisons. How many does the first kind win?",
           "0.9 and 0.8 win twice, 0.7 wins once, and 0.6 has a tie with 0.6."),
    explanation="0.9 and 0.8 win against both, 0.7 against one, 0.6 ties with one: 2 + 2 + 1 + 0.5 = 5.5 of 8, which "
                "is 0.6875. Only the order of the cosines counts: their squares would give the same.",
)


@task.reference
def auc_by_hand():
    return (2 + 2 + 1 + 0.5) / (4 * 2)


@task.misconception
def tie_lost():
    """You count the tie, 0.6 and 0.6, as lost. It counts half."""
    return 5 / 8


@task.misconception
def tie_won():
    """You count the tie, 0.6 and 0.6, as won. It counts half."""
    return 6 / 8


@task.misconception
def tie_left_out():
    """You leave the tie out of the count altogether. It is one of the 8 comparisons, and counts half."""
    return 5 / 7


@task.misconception
def the_other_way_round():
    """You count how often a pair across senses is larger. Asked for is the other direction: 1 minus your number."""
    return 2.5 / 8


@task.misconception
def comparisons_counted():
    """You count the comparisons that are won. Asked for is their share of all 8."""
    return 5.5


@task.misconception
def difference_of_the_means():
    """That is the difference of the two means. It depends on how large the cosines are; AUC looks at their order
    alone."""
    return (0.9 + 0.8 + 0.7 + 0.6) / 4 - (0.75 + 0.6) / 2


@task.misconception
def larger_than_all():
    """You count the pairs that are larger than every pair across. AUC compares each with each, 8 comparisons."""
    return 2 / 4


@task.misconception
def best_threshold():
    """That is the share of pairs on the right side of the best threshold. AUC needs no threshold: it compares each pair
    of one kind with each of the other."""
    return 4 / 6


# ---------------------------------------------------------------------------------------------------------------------
# The nearest use

task = Exercise(
    "11.nearest_sense", "Does the nearest use have the same sense?",
    "Row i of `vectors` is the vector of one word in sentence i, and `senses[i]` its sense there. Write "
    "`nearest_sense`: the share of sentences whose most similar *other* sentence, by the cosine, has the same sense.",
    difficulty=3, minutes=12, points=3,
    sizes=(dict(uses=9, units=3), dict(uses=12, units=4), dict(uses=15, units=6), dict(uses=14, units=5)),
    returns={"share": ()},
    hints=(
        "Divide each row by its length; the products of all rows with all rows are then the cosines.",
        "Every sentence is most similar to itself. What must happen to the diagonal before you look for the largest?",
        "argmax over each row gives the nearest. Compare its sense with the row's, and take the mean.",
    ),
    explanation="Leave the sentence itself out, or the share is 1 for any vectors at all. Chance is a little less than "
                "one half for two senses with equally many sentences, since one of the same sense is left out.",
    equivalent={
        "1 -> 0, in return (senses[cosines.argmax(axis=1)] == senses).mean()":
            "The cosine of i and j is that of j and i: rows and columns of the matrix are the same.",
    },
)


@task.reference
def nearest_sense(vectors, senses):
    """The share, one number, of vectors (uses, units) and senses (uses,), whole numbers."""
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = units @ units.T
    np.fill_diagonal(cosines, -np.inf)
    return (senses[cosines.argmax(axis=1)] == senses).mean()


@task.draw
def draw(rng, uses, units):
    while True:  # until every mistake makes a difference
        senses = rng.permutation(np.arange(uses) % 2)
        centres = rng.normal(size=(2, units)) + 0.6 * rng.normal(size=units)
        vectors = (centres[senses] + 0.7 * rng.normal(size=(uses, units))) * rng.lognormal(0, 0.7, (uses, 1))
        case = {"vectors": vectors, "senses": senses}
        answers = [answer(**case) for answer in (
            nearest_sense, itself, dot_products, straight_distance, farthest, mean_of_the_sense, same_and_most, counted,
            normalised_along_the_uses)]
        if len(set(np.round(answers, 6))) == len(answers):
            return case


def chosen_share(likeness, senses):
    likeness = likeness.copy()
    np.fill_diagonal(likeness, -np.inf)
    return (senses[likeness.argmax(axis=1)] == senses).mean()


def all_cosines(vectors):
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return units @ units.T


@task.misconception
def itself(vectors, senses):
    """Every sentence is nearest to itself, so your share is always 1. Leave the diagonal out."""
    return 1.0


@task.misconception
def dot_products(vectors, senses):
    """You compare dot products: long vectors are then near to everything. Divide by the lengths first."""
    return chosen_share(vectors @ vectors.T, senses)


@task.misconception
def straight_distance(vectors, senses):
    """You compare distances in a straight line, in which lengths count. Asked for is the cosine, the angle alone."""
    return chosen_share(-np.linalg.norm(vectors[:, None] - vectors, axis=-1), senses)


@task.misconception
def farthest(vectors, senses):
    """You take the smallest cosine, the most different sentence. The nearest has the largest."""
    return chosen_share(-all_cosines(vectors), senses)


@task.misconception
def second_in_rising_order(vectors, senses):
    """You sort from the smallest cosine up and take the second. argsort puts the largest last: the sentence itself is
    [:, -1], the nearest other one [:, -2]."""
    return (senses[np.argsort(all_cosines(vectors), axis=1)[:, 1]] == senses).mean()


@task.misconception
def share_of_the_other_sense(vectors, senses):
    """That is the share whose nearest sentence has the other sense: 1 minus what is asked for."""
    return 1 - nearest_sense(vectors, senses)


@task.misconception
def mean_of_the_sense(vectors, senses):
    """You compare with the mean of each sense. Asked for is the single nearest sentence."""
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    means = np.stack([units[senses == sense].mean(axis=0) for sense in (0, 1)])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    return ((units @ means.T).argmax(axis=1) == senses).mean()


@task.misconception
def same_and_most(vectors, senses):
    """You compare the mean cosines with both senses. Asked for is the single nearest sentence."""
    cosines = all_cosines(vectors)
    np.fill_diagonal(cosines, 0)
    same = senses[:, None] == senses
    return ((cosines * same).sum(1) / (same.sum(1) - 1) > (cosines * ~same).sum(1) / (~same).sum(1)).mean()


@task.misconception
def normalised_along_the_uses(vectors, senses):
    """You divide each unit by its length over all sentences. A cosine needs the length of each row: axis 1."""
    columns = vectors / np.linalg.norm(vectors, axis=0)
    return chosen_share(columns @ columns.T, senses)


@task.misconception
def counted(vectors, senses):
    """You return how many. Asked for is their share of all sentences, between 0 and 1."""
    return nearest_sense(vectors, senses) * len(senses)


# ---------------------------------------------------------------------------------------------------------------------
# Where a score comes from

task = Exercise(
    "11.score_products", "Where one score comes from",
    "Write `score_products`: for one head, one asking token and one attended token, the d_head products whose sum is "
    "the score that goes into the softmax. The matrices are those of `nn.Linear`, (units out, units in). The heads are "
    "blocks of neighbouring units.",
    difficulty=3, minutes=12, points=3,
    sizes=(dict(n_heads=2, d_head=3, d_model=6), dict(n_heads=3, d_head=2, d_model=6),
           dict(n_heads=4, d_head=5, d_model=20), dict(n_heads=5, d_head=3, d_model=15)),
    returns={"products": ("d_head",)},
    hints=(
        "The query is x_query @ W_query.T + b_query, of which the head has the units from head · d_head up to, and "
        "without, (head + 1) · d_head.",
        "A dot product is a sum of products: leave out the sum. And by what is a score divided before the softmax?",
    ),
    explanation="The scale belongs to every product, since the sum is divided as a whole. A large score is often the "
                "sum of many small agreements: look at all products before you name a unit.",
)


@task.reference
def score_products(x_query, x_key, W_query, b_query, W_key, b_key, head, n_heads):
    """The products (d_head,) of x_query and x_key (d_model,), W_query and W_key (d_model, d_model), b_query and b_key
    (d_model,), for head number `head`, from 0, of n_heads."""
    d_head = len(W_query) // n_heads
    units = slice(head * d_head, (head + 1) * d_head)
    query = W_query @ x_query + b_query
    key = W_key @ x_key + b_key
    return query[units] * key[units] / np.sqrt(d_head)


@task.draw
def draw(rng, n_heads, d_head, d_model):
    def vector():
        return rng.normal(size=d_model)

    def matrix():
        return rng.normal(size=(d_model, d_model)) / np.sqrt(d_model)

    return {"x_query": vector(), "x_key": vector(), "W_query": matrix(), "b_query": vector(), "W_key": matrix(),
            "b_key": vector(), "head": int(rng.integers(1, n_heads)), "n_heads": n_heads}


def all_units(x_query, x_key, W_query, b_query, W_key, b_key):
    return (W_query @ x_query + b_query) * (W_key @ x_key + b_key)


@task.misconception
def not_scaled(x_query, x_key, W_query, b_query, W_key, b_key, head, n_heads):
    """Your products add up to the score times the root of d_head. The score is divided by that root, so each product
    is."""
    size = np.sqrt(len(W_query) // n_heads)
    return score_products(x_query, x_key, W_query, b_query, W_key, b_key, head, n_heads) * size


@task.misconception
def scaled_by_the_model(x_query, x_key, W_query, b_query, W_key, b_key, head, n_heads):
    """You divide by the root of d_model. The vectors that are multiplied have d_head units: its root is the scale."""
    return score_products(x_query, x_key, W_query, b_query, W_key, b_key, head, n_heads) / np.sqrt(n_heads)


@task.misconception
def scaled_by_d_head(x_query, x_key, W_query, b_query, W_key, b_key, head, n_heads):
    """You divide by d_head itself. The scale is its square root."""
    size = np.sqrt(len(W_query) // n_heads)
    return score_products(x_query, x_key, W_query, b_query, W_key, b_key, head, n_heads) / size


@task.misconception
def biases_left_out(x_query, x_key, W_query, b_query, W_key, b_key, head, n_heads):
    """You leave out the biases. In BERT both projections have one, and they change the score."""
    return score_products(x_query, x_key, W_query, 0 * b_query, W_key, 0 * b_key, head, n_heads)


@task.misconception
def matrices_transposed(x_query, x_key, W_query, b_query, W_key, b_key, head, n_heads):
    """Your matrices are transposed: those of nn.Linear are (units out, units in), x @ W.T or W @ x."""
    return score_products(x_query, x_key, W_query.T, b_query, W_key.T, b_key, head, n_heads)


@task.misconception
def tokens_exchanged(x_query, x_key, W_query, b_query, W_key, b_key, head, n_heads):
    """You make the query from the attended token and the key from the asking one: that is the score of the other
    direction."""
    return score_products(x_key, x_query, W_query, b_query, W_key, b_key, head, n_heads)


@task.misconception
def heads_interleaved(x_query, x_key, W_query, b_query, W_key, b_key, head, n_heads):
    """You take every n_heads-th unit. A head is a block of neighbouring units."""
    products = all_units(x_query, x_key, W_query, b_query, W_key, b_key)
    return products[head::n_heads] / np.sqrt(len(W_query) // n_heads)


@task.misconception
def head_counted_from_one(x_query, x_key, W_query, b_query, W_key, b_key, head, n_heads):
    """You took the head before: heads are counted from 0."""
    return score_products(x_query, x_key, W_query, b_query, W_key, b_key, head - 1, n_heads)


@task.misconception
def products_of_all_heads(x_query, x_key, W_query, b_query, W_key, b_key, head, n_heads):
    """You return the products of all heads. Asked for are the d_head products of the one head."""
    return all_units(x_query, x_key, W_query, b_query, W_key, b_key) / np.sqrt(len(W_query) // n_heads)


@task.misconception
def not_projected(x_query, x_key, W_query, b_query, W_key, b_key, head, n_heads):
    """You multiply the tokens' own vectors. A head compares their query and key: each vector goes through its matrix
    and bias first."""
    d_head = len(W_query) // n_heads
    units = slice(head * d_head, (head + 1) * d_head)
    return x_query[units] * x_key[units] / np.sqrt(d_head)


@task.misconception
def softmax_of_the_products(x_query, x_key, W_query, b_query, W_key, b_key, head, n_heads):
    """You put the products through a softmax. Softmax compares the scores of several tokens; these are the parts of one
    score, and must add up to it."""
    return reference.softmax(score_products(x_query, x_key, W_query, b_query, W_key, b_key, head, n_heads))


# ---------------------------------------------------------------------------------------------------------------------
# Hiding and silencing

task = Exercise(
    "11.hide_or_silence", "Hide a token, or silence it",
    "There are two ways to take one token out of attention. *Hide* it: nobody may attend to it, and the others share "
    "the weight. *Silence* it: it keeps its weights, but its value is zero. Write `hide_or_silence`, which returns "
    "both contexts.",
    difficulty=4, minutes=15, points=4,
    sizes=(dict(queries=1, keys=3, units=2), dict(queries=3, keys=5, units=4), dict(queries=4, keys=6, units=3),
           dict(queries=5, keys=5, units=6)),
    returns={"hidden": ("queries", "units"), "silenced": ("queries", "units")},
    hints=(
        "Hiding happens before the softmax, silencing after it.",
        "A score of minus infinity gives the weight 0. What does a score of 0 give?",
        "Silenced, a row's weights that still carry something sum to less than 1, and that is meant.",
    ),
    explanation="Hiding shares the token's weight among the others, so they all become louder. Silencing takes away "
                "what the token says and leaves the others as they were. A token at which heads rest can matter much "
                "by the first test and nothing by the second.",
)


@task.reference
def hide_or_silence(scores, values, place):
    """Two contexts (queries, units), hidden and silenced, of scores (queries, keys) before the softmax, values (keys,
    units) and the place of the token among the keys."""
    without = scores.copy()
    without[:, place] = -np.inf
    silent = values.copy()
    silent[place] = 0
    return reference.softmax(without) @ values, reference.softmax(scores) @ silent


@task.draw
def draw(rng, queries, keys, units):
    return {"scores": rng.normal(size=(queries, keys)), "values": rng.normal(size=(keys, units)) + 0.5,
            "place": int(rng.integers(1, keys))}


@task.misconception
def score_of_zero(scores, values, place):
    """You hide the token by a score of 0. Softmax turns that into exp(0) = 1, a weight like any other; minus infinity
    gives the weight 0."""
    kept = np.arange(scores.shape[1]) != place
    return reference.softmax(scores * kept) @ values, hide_or_silence(scores, values, place)[1]


@task.misconception
def not_shared_out(scores, values, place):
    """Your hidden token's weight is lost: you set it to 0 after the softmax, and the row does not sum to 1. That is
    silencing."""
    silenced = hide_or_silence(scores, values, place)[1]
    return silenced, silenced


@task.misconception
def both_hidden(scores, values, place):
    """You share out the weight of the silenced token too. A silenced token keeps its weight, and says nothing."""
    hidden = hide_or_silence(scores, values, place)[0]
    return hidden, hidden


@task.misconception
def the_two_swapped(scores, values, place):
    """Your two contexts have changed places: first the hidden one, then the silenced."""
    hidden, silenced = hide_or_silence(scores, values, place)
    return silenced, hidden


@task.misconception
def query_taken_out(scores, values, place):
    """You take out a row of the scores, a token that asks. A token that is attended to is a column."""
    scores = scores.copy()
    scores[place % len(scores)] = -1e9
    return reference.softmax(scores) @ values, hide_or_silence(scores, values, place)[1]


@task.misconception
def silenced_score(scores, values, place):
    """You silence by multiplying the score by 0. The scores stay as they are; it is the value that becomes zero."""
    kept = np.arange(scores.shape[1]) != place
    return hide_or_silence(scores, values, place)[0], reference.softmax(scores * kept) @ values


@task.misconception
def scaled_again(scores, values, place):
    """You divide the scores by a root first. They come as they go into the softmax: already scaled."""
    return hide_or_silence(scores / np.sqrt(values.shape[1]), values, place)


@task.misconception
def nothing_silenced(scores, values, place):
    """Your silenced context is the plain one: the value of the token still counts. Make its row of the values zero."""
    return hide_or_silence(scores, values, place)[0], reference.softmax(scores) @ values


@task.misconception
def no_softmax(scores, values, place):
    """You multiply the values by the scores themselves. The weights are the softmax of the scores."""
    kept = np.arange(scores.shape[1]) != place
    return scores * kept @ values, scores * kept @ values


@task.misconception
def unit_silenced(scores, values, place):
    """You set a unit of all values to zero. The token is a row of the values, (keys, units)."""
    silent = values.copy()
    silent[:, place % values.shape[1]] = 0
    return hide_or_silence(scores, values, place)[0], reference.softmax(scores) @ silent


@task.misconception
def softmax_over_the_queries(scores, values, place):
    """Your softmax runs over the queries. Each query shares one weight among the keys: the last axis."""
    scores = scores.copy()
    weights = reference.softmax(scores.T).T
    without = weights.copy()
    without[:, place] = 0
    silent = values.copy()
    silent[place] = 0
    return without / without.sum(axis=1, keepdims=True) @ values, weights @ silent
