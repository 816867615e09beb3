"""Exercises of lecture 05: self-attention."""

import math

import numpy as np
import torch
from torch import nn

from coursekit import reference
from coursekit.exercises.call import Case
from coursekit.exercises.exercise import Exercise

READY_MADE = (
    "coursekit.torch.scaled_dot_product_attention", "coursekit.keras.scaled_dot_product_attention",
    "coursekit.torch.attention.scaled_dot_product_attention", "coursekit.keras.attention.scaled_dot_product_attention",
    "coursekit.torch.MultiHeadAttention", "coursekit.torch.attention.MultiHeadAttention",
    "coursekit.keras.MultiHeadAttention", "coursekit.keras.attention.MultiHeadAttention",
    "coursekit.keras.attention.fused_attention", "coursekit.reference.multi_head_attention",
    "coursekit.reference.scaled_dot_product_attention", "coursekit.reference.scaled_dot_product_attention_in_loops",
    "coursekit.reference.scaled_dot_product_attention_in_columns", "torch.nn.functional.scaled_dot_product_attention",
    "torch.nn.MultiheadAttention", "torch.nn.functional.multi_head_attention_forward", "keras.layers.Attention",
    "keras.layers.MultiHeadAttention", "keras.layers.GroupQueryAttention", "keras.ops.dot_product_attention",
    "keras.ops.nn.dot_product_attention", "torch.nn.attention.flex_attention.flex_attention",
    "torch.ops.aten.scaled_dot_product_attention",
)


# ---------------------------------------------------------------------------------------------------------------------
# A number

task = Exercise(
    "05.attention_parameters", "How many numbers does attention learn?",
    "A text has 50 words, each a vector of 512 numbers. Self-attention gives every word a query, a key and a value of "
    "512 numbers each, by three linear maps with biases. How many numbers does it learn? Give `attention_parameters` "
    "that number.",
    difficulty=1, minutes=4, points=1, kind="number",
    hints=("What of the text enters the count: its 50 words, or only the size of a word?",
           "One map is a matrix (512, 512) and a bias of 512 numbers, and there are three of them."),
    explanation="Every word goes through the same three maps, so that the number of words does not matter. The weights "
                "between the words are computed, not learned.",
)


@task.reference
def attention_parameters():
    d_model = 512
    return 3 * (d_model * d_model + d_model)


@task.misconception
def a_dense_layer():
    """That is a dense layer from the whole text to the whole text, in which every number sees every number."""
    return (50 * 512) ** 2 + 50 * 512


@task.misconception
def maps_for_every_word():
    """You gave each of the 50 words maps of its own. All words share the same three, whatever their place."""
    return 50 * 3 * (512 * 512 + 512)


@task.misconception
def biases_left_out():
    """You counted the three matrices but not the biases, 512 numbers for each map."""
    return 3 * 512 * 512


@task.misconception
def one_map():
    """That is one map. Query, key and value have one each."""
    return 512 * 512 + 512


@task.misconception
def values_forgotten():
    """Those are two maps, for queries and keys. The values have a third."""
    return 2 * (512 * 512 + 512)


@task.misconception
def an_output_map_as_well():
    """Those are four maps. A fourth, behind the heads, comes with multi-head attention in lecture 06; here there are
    three."""
    return 4 * (512 * 512 + 512)


# ---------------------------------------------------------------------------------------------------------------------
# Scaled dot-product attention

task = Exercise(
    "05.attend", "Scaled dot-product attention",
    "Write `attend`: every query's weighted sum of the values. The weights of a query are the softmax, over the keys, "
    "of its dot products with the keys, divided by the root of the size of a key.",
    difficulty=2, minutes=10, points=2, framework="torch",
    sizes=(dict(queries=1, keys=3, d_head=4, d_value=2), dict(queries=5, keys=3, d_head=2, d_value=4),
           dict(queries=2, keys=6, d_head=8, d_value=3), dict(queries=4, keys=4, d_head=3, d_value=3)),
    returns={"context": ("queries", "d_value")},
    withhold=READY_MADE,
    hints=(
        "All dot products at once are one matrix product: rows are queries, columns are keys.",
        "Divide the scores before softmax. By what? By the root of query.shape[1].",
        "Each query shares out 1 among the keys: softmax along the last axis of (queries, keys).",
    ),
    explanation="query @ key.T is (queries, keys), softmax keeps that shape, and weights @ value is (queries, "
                "d_value): the axis of the keys is summed over. The size of a value enters nowhere.",
)


@task.reference
def attend(query, key, value):
    """The context (queries, d_value) of query (queries, d_head), key (keys, d_head) and value (keys, d_value), all of
    them tensors."""
    scores = query @ key.T / math.sqrt(query.shape[1])
    return scores.softmax(1) @ value


@task.draw
def draw(rng, queries, keys, d_head, d_value):
    return {"query": rng.normal(size=(queries, d_head)), "key": rng.normal(size=(keys, d_head)),
            "value": rng.normal(size=(keys, d_value))}


@task.misconception
def scale_forgotten(query, key, value):
    """The scale is missing. A dot product of d numbers varies by √d; without the division softmax is too sharp."""
    return (query @ key.T).softmax(-1) @ value


@task.misconception
def divided_by_d(query, key, value):
    """You divide by d, not by its root. The scores become so small that all weights are nearly alike."""
    return (query @ key.T / query.shape[-1]).softmax(-1) @ value


@task.misconception
def root_of_the_size_of_a_value(query, key, value):
    """You divide by the root of the size of a value. Only the size of a query and key matters: their products are
    summed."""
    return (query @ key.T / math.sqrt(value.shape[-1])).softmax(-1) @ value


@task.misconception
def divided_after_softmax(query, key, value):
    """You divide the weights. The scale belongs before softmax: divided afterwards, the weights no longer sum to 1."""
    return (query @ key.T).softmax(-1) / math.sqrt(query.shape[-1]) @ value


@task.misconception
def softmax_over_the_queries(query, key, value):
    """Your softmax runs over the queries. Each query shares out 1 among the keys: the last axis of (queries, keys)."""
    return (query @ key.T / math.sqrt(query.shape[-1])).softmax(0) @ value


@task.misconception
def softmax_forgotten(query, key, value):
    """You sum the values with the scores themselves. Softmax makes them weights: positive, with the sum 1."""
    return query @ key.T / math.sqrt(query.shape[-1]) @ value


@task.misconception
def transposed_result(query, key, value):
    """Your result is right, but lies on its side: (d_value, queries). In rows, one word is one row."""
    return attend(query, key, value).T


@task.misconception
def queries_meet_values(query, key, value):
    """You compare the queries with the values. The keys decide how much of a value is taken. Where keys and values
    differ in size this does not even run."""
    return (query @ value.T / math.sqrt(query.shape[-1])).softmax(-1) @ value


# ---------------------------------------------------------------------------------------------------------------------
# The book's convention

task = Exercise(
    "05.in_columns", "Self-attention in columns",
    "Write the scaled self-attention of one text in the book's convention, in which a word is a column of $X$. Every "
    "matrix acts from the left, $q_n = W^q x_n$, and the outputs are columns again. For softmax you may take "
    "`reference.softmax(scores, axis=...)`.",
    difficulty=3, minutes=15, points=3,
    sizes=(dict(d_model=3, words=2, d_head=4, d_value=5), dict(d_model=5, words=4, d_head=2, d_value=3),
           dict(d_model=4, words=6, d_head=3, d_value=2), dict(d_model=3, words=3, d_head=3, d_value=3)),
    returns={"outputs": ("d_value", "words")},
    withhold=READY_MADE,
    hints=(
        "The query of word n is column n of W_query @ X. What shape do all keys have, side by side?",
        "scores[m, n] compares key m with query n: key.T @ query. The weights of word n stand in column n, and a "
        "column sums to 1.",
        "Output n is a sum of the columns of value, weighted by column n of the weights: value @ weights.",
    ),
    explanation="Every product of the rows' formula is turned around: (Q Kᵀ)ᵀ = K Qᵀ, which is Kᵀ Q in columns, and "
                "(A V)ᵀ = Vᵀ Aᵀ, which is V A. With the scores, the axis of softmax turns too.",
)


@task.reference
def attend_in_columns(X, W_query, W_key, W_value):
    """The outputs (d_value, words) of X (d_model, words), W_query and W_key (d_head, d_model) and W_value (d_value,
    d_model)."""
    query, key, value = W_query @ X, W_key @ X, W_value @ X
    return value @ reference.softmax(key.T @ query / np.sqrt(len(query)), axis=0)


@task.draw
def draw(rng, d_model, words, d_head, d_value):
    shapes = {"X": (d_model, words), "W_query": (d_head, d_model), "W_key": (d_head, d_model),
              "W_value": (d_value, d_model)}
    return {name: rng.normal(size=shape) * (1 if name == "X" else 0.7) for name, shape in shapes.items()}


@task.misconception
def softmax_along_the_rows(X, W_query, W_key, W_value):
    """Your softmax runs along the rows, as in the other convention. Here the weights of one word are a column: axis
    0."""
    query, key, value = W_query @ X, W_key @ X, W_value @ X
    return value @ reference.softmax(key.T @ query / np.sqrt(len(query)), axis=1)


@task.misconception
def queries_and_keys_swapped(X, W_query, W_key, W_value):
    """You compute Qᵀ K with softmax along its columns: every key shares itself out among the queries. In columns the
    scores are Kᵀ Q."""
    return attend_in_columns(X, W_key, W_query, W_value)


@task.misconception
def weights_transposed(X, W_query, W_key, W_value):
    """You multiply the values by the transposed weights. Column n of the weights belongs to output n: value @
    weights."""
    query, key, value = W_query @ X, W_key @ X, W_value @ X
    return value @ reference.softmax(key.T @ query / np.sqrt(len(query)), axis=0).T


@task.misconception
def rows_returned(X, W_query, W_key, W_value):
    """Your numbers are right, but each output is a row. Asked for are columns, (d_value, words)."""
    return attend_in_columns(X, W_query, W_key, W_value).T


@task.misconception
def W_along_the_words(X, W_query, W_key, W_value):
    """Your matrices mix the words and not the units of a word: they stand on the wrong side of X. Where words and units
    are of one number this runs, and is wrong."""
    query, key, value = X @ W_query.T, X @ W_key.T, X @ W_value.T
    return value @ reference.softmax(key.T @ query / np.sqrt(len(query)), axis=0)


@task.misconception
def scale_forgotten(X, W_query, W_key, W_value):
    """The scale is missing: divide the scores by the root of the size of a key before softmax."""
    query, key, value = W_query @ X, W_key @ X, W_value @ X
    return value @ reference.softmax(key.T @ query, axis=0)


@task.misconception
def root_of_d_model(X, W_query, W_key, W_value):
    """You divide by the root of the size of a word. What is summed in a score are the numbers of a query: the root of
    their count, len(query)."""
    query, key, value = W_query @ X, W_key @ X, W_value @ X
    return value @ reference.softmax(key.T @ query / np.sqrt(len(X)), axis=0)


@task.misconception
def root_of_the_number_of_words(X, W_query, W_key, W_value):
    """You divide by the root of the number of words. In columns query.shape[-1] counts words; the size of a query is
    len(query)."""
    query, key, value = W_query @ X, W_key @ X, W_value @ X
    return value @ reference.softmax(key.T @ query / np.sqrt(query.shape[-1]), axis=0)


# ---------------------------------------------------------------------------------------------------------------------
# With a mask

task = Exercise(
    "05.masked", "Attention with a mask",
    "Write `attend_where_allowed`: scaled dot-product attention of a batch in which a query may attend only where the "
    "mask is True. What is masked has weight 0, the rest shares the 1, and a query that may attend to nothing gets a "
    "context of zeros.",
    difficulty=3, minutes=15, points=3, framework="torch",
    sizes=(dict(batch=1, queries=2, keys=3, d_head=4, d_value=5), dict(batch=2, queries=3, keys=5, d_head=4, d_value=6),
           dict(batch=3, queries=6, keys=4, d_head=2, d_value=5),
           dict(batch=2, queries=4, keys=4, d_head=3, d_value=5)),
    returns={"context": ("batch", "queries", "d_value")},
    withhold=(*READY_MADE, "coursekit.reference.softmax", "coursekit.torch.attention.masked_softmax",
              "coursekit.keras.attention.masked_softmax", "keras.layers.Softmax"),
    hints=(
        "In a batch, key.mT turns the last two axes alone, as key.transpose(-2, -1) does.",
        "A place has weight 0 if its score is so low that exp gives 0: scores.masked_fill(~mask, ...).",
        "A row in which every score is minus infinity is 0 divided by 0. With a very low finite number it is even, "
        "which is wrong too: set the masked weights to 0 once more, after softmax.",
    ),
    explanation="The first masked_fill keeps masked places out of the sum of softmax. The second does nothing, except "
                "in a row where nothing is allowed: there it makes all weights zero, and so the context.",
)


@task.reference
def attend_where_allowed(query, key, value, mask):
    """The context (batch, queries, d_value) of query (batch, queries, d_head), key (batch, keys, d_head), value (batch,
    keys, d_value) and a boolean mask (batch, queries, keys), True = may attend."""
    scores = query @ key.mT / math.sqrt(query.shape[-1])
    weights = scores.masked_fill(~mask, -1e30).softmax(-1)
    return weights.masked_fill(~mask, 0.0) @ value


@task.draw
def draw(rng, batch, queries, keys, d_head, d_value):
    mask = np.arange(keys) < rng.integers(1, keys, (batch, queries, 1))
    mask = rng.permuted(mask, axis=-1)
    mask[-1, -1] = False
    return {"query": rng.normal(size=(batch, queries, d_head)), "key": rng.normal(size=(batch, keys, d_head)),
            "value": rng.normal(size=(batch, keys, d_value)), "mask": mask}


def scores_of(query, key):
    return query @ key.mT / math.sqrt(query.shape[-1])


@task.misconception
def mask_after_softmax(query, key, value, mask):
    """You mask after softmax. What is left of a row then sums to less than 1: masked places took their share before
    they went."""
    return scores_of(query, key).softmax(-1).masked_fill(~mask, 0.0) @ value


@task.misconception
def mask_upside_down(query, key, value, mask):
    """You keep what should go. In this course True means "may attend"; in torch.nn.MultiheadAttention it means the
    opposite."""
    return attend_where_allowed(query, key, value, ~mask)


@task.misconception
def mask_not_used(query, key, value, mask):
    """The mask has no say: every query attends to everything."""
    return scores_of(query, key).softmax(-1) @ value


@task.misconception
def minus_one_added(query, key, value, mask):
    """Your mask moves scores by 1 alone, down or up. exp(−1) is 0.37: masked places keep a good third of their share.
    It takes minus infinity, or a number near it."""
    return (scores_of(query, key) - (~mask).float()).softmax(-1) @ value


@task.misconception
def scores_times_the_mask(query, key, value, mask):
    """You set masked scores to 0. exp(0) is 1, so they keep weight; masked scores must be very low, not zero."""
    return (scores_of(query, key) * mask).softmax(-1) @ value


@task.misconception
def nan_where_nothing_is_allowed(query, key, value, mask):
    """Where a query may attend to nothing you get NaN, 0 divided by 0: from a row of minus infinity, or from weights
    with the sum 0. Its context is zero."""
    return scores_of(query, key).masked_fill(~mask, -torch.inf).softmax(-1) @ value


@task.misconception
def evenly_where_nothing_is_allowed(query, key, value, mask):
    """Where a query may attend to nothing you give it the mean of all values, all of them masked. Its context is
    zero."""
    return scores_of(query, key).masked_fill(~mask, -1e30).softmax(-1) @ value


@task.misconception
def scale_forgotten(query, key, value, mask):
    """The mask is right, the scale is missing: divide the scores by the root of the size of a key."""
    return attend_where_allowed(query * math.sqrt(query.shape[-1]), key, value, mask)


# ---------------------------------------------------------------------------------------------------------------------
# A choice

task = Exercise(
    "05.too_good", "Too good to be true",
    "A next-word predictor is trained on the sentences of this section, where no prediction can have a loss below "
    "0.78. Its test loss is 0.09. What is most likely? Give `what_happened` the letter.",
    difficulty=2, minutes=3, points=1, kind="choice",
    options={
        "a": ("It has overfitted: it knows its training sentences by heart.",
              "Then the training loss would be low and the test loss high. Here the test loss is low, on windows "
              "that it was not trained on."),
        "b": ("Its architecture is so good that it found a rule which the grammar's author did not see.",
              "The words are drawn at random, after the words before them: there is no rule to find, and 0.78 is what "
              "such a draw costs on average."),
        "c": ("At most places the answer is among its inputs, and it looks there.",
              "A loss below what any prediction can have is a sign of a leak. Test it: change the last word and see "
              "which outputs before it change."),
        "d": ("The test set is too small to tell.",
              "It has 1,000 windows of 16 words. Chance moves such a mean by about 0.01, not by 0.7."),
    },
    hints=("What would the training and the test loss be in each of the four cases?",
           "The best prediction is known here. What can be better than a prediction?"),
    explanation="The floor is the entropy of the next word, given all words before it. Only who sees more than the "
                "words before can be below it.",
)


@task.reference
def what_happened():
    return "c"


# ---------------------------------------------------------------------------------------------------------------------
# The whole layer

task = Exercise(
    "05.causal_self_attention", "A causal self-attention layer",
    "Write causal self-attention with one head as a class, an `nn.Module` or a Keras layer. `W_query`, `W_key` and "
    "`W_value` are linear layers without bias, from d_model to d_head. Each word attends to itself and to the words "
    "before it; the scores are scaled.",
    difficulty=4, minutes=20, points=4, kind="class",
    sizes=(dict(batch=1, length=3, d_model=4, d_head=2), dict(batch=2, length=5, d_model=3, d_head=4),
           dict(batch=4, length=2, d_model=5, d_head=3)),
    returns={"context": ("batch", "length", "d_head")},
    withhold=(*READY_MADE, "coursekit.torch.causal_mask", "coursekit.keras.causal_mask",
              "coursekit.torch.attention.causal_mask", "coursekit.keras.attention.causal_mask"),
    hints=(
        "Three linear layers in __init__; in forward the same x goes through each of them.",
        "scores (batch, length, length): rows are the words that ask, columns the words that answer. The future of row "
        "i are the columns after i.",
        "torch.ones(n, n, dtype=torch.bool).tril() is True on the diagonal and below it. Is the diagonal allowed?",
        "scores.masked_fill(~allowed, -torch.inf), before softmax.",
    ),
    explanation="Row i of the mask is True in the columns up to i. The diagonal is allowed, so that no row is empty "
                "and minus infinity is safe. The scale is the root of d_head, the size of what is multiplied.",
)


@task.reference
class CausalSelfAttention(nn.Module):
    """Self-attention with one head in which a word sees itself and the words before it; W_query, W_key and W_value are
    linear, from d_model to d_head, without bias."""

    def __init__(self, d_model, d_head):
        super().__init__()
        self.W_query = nn.Linear(d_model, d_head, bias=False)
        self.W_key = nn.Linear(d_model, d_head, bias=False)
        self.W_value = nn.Linear(d_model, d_head, bias=False)

    def forward(self, x):
        """The context (batch, length, d_head) of x (batch, length, d_model)."""
        query, key, value = self.W_query(x), self.W_key(x), self.W_value(x)
        scores = query @ key.mT / math.sqrt(key.shape[-1])
        allowed = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).tril()
        return scores.masked_fill(~allowed, -torch.inf).softmax(-1) @ value


@task.draw
def draw(rng, batch, length, d_model, d_head):
    weights = {name: rng.normal(size=(d_head, d_model)) for name in ("W_query", "W_key", "W_value")}
    return Case({"x": 0.7 * rng.normal(size=(batch, length, d_model))},
                init={"d_model": d_model, "d_head": d_head}, weights=weights)


class Altered(CausalSelfAttention):
    """The reference in pieces, for the mistakes that change one of them."""

    def forward(self, x):
        query, key, value = self.project(x)
        weights = self.weights(query @ key.mT / self.scale(x, key))
        return weights @ value

    def project(self, x):
        return self.W_query(x), self.W_key(x), self.W_value(x)

    def scale(self, x, key):
        return math.sqrt(key.shape[-1])

    def weights(self, scores):
        return scores.masked_fill(~self.allowed(torch.ones_like(scores).bool()), -torch.inf).softmax(-1)

    def allowed(self, everything):
        return everything.tril()


@task.misconception
class query_and_key_swapped(Altered):
    """You compare the keys of the asking words with the queries of the answering ones. Rows of the scores are queries:
    W_query(x) @ W_key(x)ᵀ."""

    def project(self, x):
        return self.W_key(x), self.W_query(x), self.W_value(x)


@task.misconception
class one_projection_for_query_and_key(Altered):
    """Query and key come from one projection. The scores are then symmetric, and a word mostly finds itself; the two
    are learned apart."""

    def project(self, x):
        return self.W_query(x), self.W_query(x), self.W_value(x)


@task.misconception
class keys_as_values(Altered):
    """You sum the keys. What is summed are the values, W_value(x)."""

    def project(self, x):
        return self.W_query(x), self.W_key(x), self.W_key(x)


@task.misconception
class mask_forgotten(Altered):
    """Your words see the future. Before softmax, scores of later words must be minus infinity."""

    def allowed(self, everything):
        return everything


@task.misconception
class mask_transposed(Altered):
    """Your words see themselves and the future: the mask is transposed. Row i is True up to column i, below the
    diagonal: tril, not triu."""

    def allowed(self, everything):
        return everything.triu()


@task.misconception
class word_itself_forbidden(Altered):
    """Your words do not see themselves: the diagonal is masked as well. The first word then has nothing to attend to,
    and its row is NaN."""

    def allowed(self, everything):
        return everything.tril(-1)


@task.misconception
class mask_after_softmax(Altered):
    """You mask after softmax. The rows no longer sum to 1, and how much is lost depends on the future: it still
    leaks."""

    def weights(self, scores):
        return scores.softmax(-1).tril()


@task.misconception
class scale_forgotten(Altered):
    """The scale is missing: divide the scores by the root of d_head."""

    def scale(self, x, key):
        return 1


@task.misconception
class root_of_d_model(Altered):
    """You divide by the root of d_model. What is summed in a score are d_head products: the root of d_head."""

    def scale(self, x, key):
        return math.sqrt(x.shape[-1])


@task.misconception
class divided_by_d_head(Altered):
    """You divide by d_head, not by its root. The scores become so small that all weights are nearly alike."""

    def scale(self, x, key):
        return key.shape[-1]
