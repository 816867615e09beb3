"""Exercises of lecture 08: the decoder and translation."""

import math

import numpy as np

from coursekit.exercises.exercise import Exercise
from coursekit.reference import softmax


# ---------------------------------------------------------------------------------------------------------------------
# Masks

task = Exercise(
    "08.decoder_mask", "Causal, and no padding",
    "Write `may_attend`, the mask of the decoder's self-attention for a batch whose row i has lengths[i] tokens, the "
    "rest being padding on the right: a place may attend to itself and to what comes before it, and never to padding.",
    difficulty=2, minutes=8, points=2,
    sizes=(dict(batch=2, length=4), dict(batch=3, length=5), dict(batch=4, length=3)),
    returns={"mask": ("batch", "length", "length")},
    withhold=("coursekit.torch.causal_mask", "coursekit.torch.padding_mask", "coursekit.torch.attention.causal_mask",
              "coursekit.torch.attention.padding_mask", "coursekit.keras.padding_mask",
              "coursekit.keras.attention.padding_mask"),
    hints=(
        "The mask has queries on axis 1 and keys on axis 2; True means may attend.",
        "Causal: key place ≤ query place. No padding: key place < lengths[i]. Both must hold.",
        "np.arange(length) along the keys and np.arange(length)[:, None] along the queries broadcast into a square.",
    ),
    explanation="With padding on the right the causal part alone already keeps every real token from seeing padding. "
                "With padding on the left, as when prompts are continued, only both together do.",
)


@task.reference
def may_attend(lengths, length):
    """The boolean mask (batch, length, length) of lengths (batch,), True = may attend, queries on axis 1."""
    place = np.arange(length)
    causal = place <= place[:, None]
    real = place < lengths[:, None]
    return causal & real[:, None, :]


@task.draw
def draw(rng, batch, length):
    return {"lengths": rng.permutation(np.arange(batch) % (length - 1) + 1), "length": length}


@task.misconception
def causal_only(lengths, length):
    """Yours is the causal mask for every row: padding at the end may be attended to by the places after it."""
    return may_attend(np.full_like(lengths, length), length)


@task.misconception
def padding_only(lengths, length):
    """Padding is masked, the future is not: while it trains, the decoder would see the word that it has to predict."""
    return np.repeat((np.arange(length) < lengths[:, None])[:, None, :], length, axis=1)


@task.misconception
def future_instead_of_past(lengths, length):
    """Your triangle is upside down: a place sees itself and what comes after it. Queries are on axis 1, keys on axis
    2."""
    return np.triu(np.ones((length, length), bool)) & padding_only(lengths, length)


@task.misconception
def not_to_itself(lengths, length):
    """A place of yours does not see itself. What it reads is the word before the one that is wanted, so it may; and
    the first place would have nothing to attend to."""
    return np.tril(np.ones((length, length), bool), -1) & padding_only(lengths, length)


@task.misconception
def one_of_the_two_is_enough(lengths, length):
    """You allow a place that is past or real: `|`. It must be both: `&`."""
    return may_attend(np.full_like(lengths, length), length) | padding_only(lengths, length)


@task.misconception
def true_means_forbidden(lengths, length):
    """Your mask says what is forbidden, as some of PyTorch's do. Here True means may attend."""
    return ~may_attend(lengths, length)


@task.misconception
def padded_queries(lengths, length):
    """You mask the rows of padded queries; it is the keys that nobody may attend to. What a padded query gathers does
    not matter: the loss leaves it out."""
    return may_attend(np.full_like(lengths, length), length) & (np.arange(length) < lengths[:, None])[:, :, None]


# ---------------------------------------------------------------------------------------------------------------------
# A choice

task = Exercise(
    "08.which_attention", "Which attention is this?",
    "A translation model has read a sentence of 7 tokens and has written 4 so far. Somewhere in its decoder attention "
    "weights of shape (1, 8, 4, 7) turn up, and no entry among them is 0. Which attention do they belong to? Give "
    "`attention_with_7_keys` the letter.",
    difficulty=1, minutes=3, points=1, kind="choice",
    options={
        "a": ("The decoder's self-attention, with its causal mask.",
              "Its queries and its keys both are the target's tokens: 4 and 4. And its mask leaves zeros above the "
              "diagonal."),
        "b": ("The encoder's self-attention, with 8 heads.",
              "That is not in the decoder, and it is square: 7 queries, 7 keys."),
        "c": ("Cross-attention, with a causal mask over the source.",
              "A causal mask would leave zeros. And why should the decoder wait? The source is known as a whole."),
        "d": ("Cross-attention: each target token has a row over the whole source.",
              "Queries are the 4 target tokens, keys the 7 source tokens, for 1 sentence and 8 heads. Nothing of the "
              "source is in the future, so that nothing is masked."),
        "e": ("Cross-attention, with the source's tokens as queries.",
              "Then the 7 would stand before the 4: queries are on the axis before the last."),
    },
    hints=("The last two axes of attention weights are queries, keys.",
           "Who asks in the decoder, and whom? Which places would a causal mask set to 0?"),
    explanation="Self-attention is square, cross-attention is not: the target's length times the source's. Only the "
                "target has a future that must be hidden.",
)


@task.reference
def attention_with_7_keys():
    return "d"


# ---------------------------------------------------------------------------------------------------------------------
# Cross-attention

task = Exercise(
    "08.cross_attend", "Cross-attention",
    "Write `cross_attend`, one head of the decoder's cross-attention: queries are `target @ WQ`, keys `memory @ WK` "
    "and values `memory @ WV`, where memory is the encoder's output; scaled dot-product attention over the source. "
    "`real` says which source tokens are no padding.",
    difficulty=3, minutes=12, points=3,
    sizes=(dict(batch=2, length=3, source=5, d_model=6, d_head=4, d_value=7),
           dict(batch=3, length=4, source=2, d_model=5, d_head=6, d_value=1),
           dict(batch=4, length=2, source=6, d_model=7, d_head=3, d_value=5),
           dict(batch=2, length=4, source=4, d_model=3, d_head=2, d_value=3)),
    returns={"context": ("batch", "length", "d_value")},
    withhold=("coursekit.reference.scaled_dot_product_attention", "coursekit.torch.scaled_dot_product_attention",
              "coursekit.keras.scaled_dot_product_attention", "torch.nn.functional.scaled_dot_product_attention",
              "coursekit.torch.attention.scaled_dot_product_attention", "keras.ops.dot_product_attention",
              "coursekit.keras.attention.scaled_dot_product_attention", "coursekit.torch.MultiHeadAttention",
              "coursekit.torch.attention.MultiHeadAttention", "keras.layers.Attention",
              "keras.layers.MultiHeadAttention", "torch.nn.MultiheadAttention"),
    hints=(
        "Scores are (batch, length, source): one row for each target place, one column for each source token.",
        "keys.swapaxes(1, 2) exchanges the last two axes. Divide by the root of the size of a key.",
        "Softmax goes along the source. `real` is (batch, source): real[:, None, :] stands for every query.",
    ),
    explanation="Nothing here is square but by chance: the target has its length, the source another. There is no "
                "causal mask, since the whole source is known before the first word is written.",
    equivalent={
        "key.swapaxes(1, 2) -> key.swapaxes(2, 1), in scores = query @ key.swapaxes(1, 2) / math.sqrt(WK.shape[1])":
            "Two axes are exchanged, whichever is named first.",
    },
)


@task.reference
def cross_attend(target, memory, WQ, WK, WV, real):
    """The context (batch, length, d_value) of target (batch, length, d_model), memory (batch, source, d_model), WQ and
    WK (d_model, d_head), WV (d_model, d_value) and the boolean real (batch, source)."""
    query, key, value = target @ WQ, memory @ WK, memory @ WV
    scores = query @ key.swapaxes(1, 2) / math.sqrt(WK.shape[1])
    powers = np.exp(scores) * real[:, None, :]
    return powers / powers.sum(axis=2, keepdims=True) @ value


@task.draw
def draw(rng, batch, length, source, d_model, d_head, d_value):
    return {"target": rng.normal(size=(batch, length, d_model)), "memory": rng.normal(size=(batch, source, d_model)),
            "WQ": 0.6 * rng.normal(size=(d_model, d_head)), "WK": 0.6 * rng.normal(size=(d_model, d_head)),
            "WV": rng.normal(size=(d_model, d_value)),
            "real": np.arange(source) < rng.permutation(np.arange(batch) % source + 1)[:, None]}


def attended(query, key, value, mask, scale=None):
    return softmax(query @ key.swapaxes(1, 2) / (scale or math.sqrt(key.shape[2])), mask=mask) @ value


@task.misconception
def self_attention(target, memory, WQ, WK, WV, real):
    """Keys and values come from the target: that is self-attention. In cross-attention they come from memory."""
    return attended(target @ WQ, target @ WK, target @ WV, None)


@task.misconception
def queries_from_the_source(target, memory, WQ, WK, WV, real):
    """Your queries come from memory, so that there is one context for each source token. The target asks: one query
    for each of its places."""
    return attended(memory @ WQ, target @ WK, target @ WV, None)


@task.misconception
def values_from_the_target(target, memory, WQ, WK, WV, real):
    """Your keys come from memory and your values from the target. Keys and values belong together: both from memory.
    Yours runs only where both lengths are alike."""
    return attended(target @ WQ, memory @ WK, target @ WV, real[:, None, :])


@task.misconception
def padding_attended(target, memory, WQ, WK, WV, real):
    """`real` has no say: padding of the source takes a share of the attention."""
    return attended(target @ WQ, memory @ WK, memory @ WV, None)


@task.misconception
def masked_after_softmax(target, memory, WQ, WK, WV, real):
    """You set the weights of padding to 0 after softmax, and what is left does not sum to 1."""
    weights = softmax(target @ WQ @ (memory @ WK).swapaxes(1, 2) / math.sqrt(WK.shape[1]))
    return weights * real[:, None, :] @ (memory @ WV)


@task.misconception
def softmax_over_the_target(target, memory, WQ, WK, WV, real):
    """Your softmax goes along the target's places. Each target place shares out 1 among the source tokens: the last
    axis."""
    scores = target @ WQ @ (memory @ WK).swapaxes(1, 2) / math.sqrt(WK.shape[1])
    return softmax(scores, axis=1) * real[:, None, :] @ (memory @ WV)


@task.misconception
def scale_forgotten(target, memory, WQ, WK, WV, real):
    """The division by the root of the size of a key is missing."""
    return attended(target @ WQ, memory @ WK, memory @ WV, real[:, None, :], scale=1)


@task.misconception
def scaled_by_d_model(target, memory, WQ, WK, WV, real):
    """You divide by the root of d_model. The products are sums over d_head numbers: its root is what is meant."""
    return attended(target @ WQ, memory @ WK, memory @ WV, real[:, None, :], scale=math.sqrt(WK.shape[0]))


# ---------------------------------------------------------------------------------------------------------------------
# Teacher forcing

task = Exercise(
    "08.shifted", "What goes in, what is wanted",
    "Write `shifted`: from sentences as ids, make what the decoder reads and what it has to predict. It reads the "
    "token `start` and then the sentence; it has to predict the sentence and then the token `end`. Sentences have "
    "different lengths: a place after the last token of a row is `padding` in what it reads and `no_target` in what "
    "it has to predict.",
    difficulty=2, minutes=12, points=2,
    sizes=(dict(batch=3, length=4), dict(batch=2, length=6), dict(batch=5, length=3)),
    returns={"read": ("batch", "length + 1"), "wanted": ("batch", "length + 1")},
    hints=(
        "Both arrays have one place more than the longest sentence. np.full makes them, filled with padding and with "
        "no_target.",
        "What is read: start at place 0, the sentence from place 1 on.",
        "What is wanted: the sentence from place 0 on, and end at place lengths[row], just after its last token.",
    ),
    explanation="At every place the decoder has read the tokens before the one that is wanted, and not that one "
                "itself. Start has no place among the wanted tokens, and end none among the read ones.",
)


@task.reference
def shifted(sentences, lengths, start, end, padding, no_target):
    """What is read and what is wanted, both (batch, length + 1), for sentences (batch, length), of whose row i the
    first lengths[i] tokens count."""
    batch, length = sentences.shape
    read = np.full((batch, length + 1), padding)
    wanted = np.full((batch, length + 1), no_target)
    for row, n in enumerate(lengths):
        read[row, 0] = start
        read[row, 1:n + 1] = sentences[row, :n]
        wanted[row, :n] = sentences[row, :n]
        wanted[row, n] = end
    return read, wanted


@task.draw
def draw(rng, batch, length):
    lengths = rng.permutation(np.arange(batch) % length + 1)
    sentences = np.where(np.arange(length) < lengths[:, None], rng.integers(10, 40, (batch, length)), 7)
    return {"sentences": sentences, "lengths": lengths, "start": 3, "end": 5, "padding": 7, "no_target": -100}


@task.misconception
def not_shifted(sentences, lengths, start, end, padding, no_target):
    """At each place your decoder reads the very token that it has to predict. It would learn to copy, and could not
    write a word by itself. What it reads is one place behind: start comes first."""
    _, wanted = shifted(sentences, lengths, start, end, padding, no_target)
    return np.where(wanted == no_target, padding, wanted), wanted


@task.misconception
def end_forgotten(sentences, lengths, start, end, padding, no_target):
    """No row of yours has end among what is wanted. The model would never learn where a sentence ends."""
    read, wanted = shifted(sentences, lengths, start, end, padding, no_target)
    return read, np.where(wanted == end, no_target, wanted)


@task.misconception
def end_in_the_last_column(sentences, lengths, start, end, padding, no_target):
    """Your end stands in the last column of every row. It belongs just after the row's own last token."""
    read, wanted = shifted(sentences, lengths, start, end, padding, no_target)
    wanted = np.where(wanted == end, no_target, wanted)
    wanted[:, -1] = end
    return read, wanted


@task.misconception
def end_is_read(sentences, lengths, start, end, padding, no_target):
    """Your decoder also reads end, in rows shorter than the longest. After end nothing is to be predicted, so nothing
    needs to read it."""
    read, wanted = shifted(sentences, lengths, start, end, padding, no_target)
    for row, n in enumerate(lengths):
        read[row, n + 1:n + 2] = end
    return read, wanted


@task.misconception
def padding_is_wanted(sentences, lengths, start, end, padding, no_target):
    """After end your model has to predict padding. Those places would count in the loss, and short sentences would
    mostly teach padding: they are no_target."""
    read, wanted = shifted(sentences, lengths, start, end, padding, no_target)
    return read, np.where(wanted == no_target, padding, wanted)


@task.misconception
def start_is_wanted(sentences, lengths, start, end, padding, no_target):
    """You ask the model to predict start. It is given: the first thing that is wanted is the first word."""
    read, wanted = shifted(sentences, lengths, start, end, padding, no_target)
    return read, np.where(read == padding, no_target, read)


@task.misconception
def shifted_the_other_way(sentences, lengths, start, end, padding, no_target):
    """The two arrays are swapped: you return what is wanted first. And would the model read no_target?"""
    return shifted(sentences, lengths, start, end, padding, no_target)[::-1]


# ---------------------------------------------------------------------------------------------------------------------
# Label smoothing

task = Exercise(
    "08.smoothed_loss", "Label smoothing",
    "Write `smoothed_loss`, the mean over the tokens of $-\\sum_v q_v \\log p_v$, where p is the softmax of the logits "
    "and q gives 1 − smoothing to the wanted token and, on top of it, smoothing / vocab_size to every token. Places "
    "whose wanted token is −100 do not count.",
    difficulty=3, minutes=12, points=3,
    sizes=(dict(batch=2, length=3, vocab_size=5, smoothing=0.1), dict(batch=3, length=4, vocab_size=6, smoothing=0.3),
           dict(batch=4, length=2, vocab_size=3, smoothing=0.2)),
    returns={"loss": ()},
    withhold=("coursekit.torch.training.token_cross_entropy", "torch.nn.functional.cross_entropy",
              "torch.nn.CrossEntropyLoss", "keras.losses.CategoricalCrossentropy",
              "keras.losses.categorical_crossentropy", "keras.losses.SparseCategoricalCrossentropy",
              "keras.losses.sparse_categorical_crossentropy"),
    hints=(
        "logits[wanted != -100] is (tokens, vocab_size): from there on there is no padding.",
        "log p = logits − log of the sum of exp(logits), along the last axis.",
        "The sum over q is two terms: (1 − smoothing) times log p of the wanted token, and smoothing times the mean of "
        "log p over the vocabulary.",
    ),
    explanation="The second term makes it costly to be sure: a token with p near 0 has a very negative log p, and "
                "every token is wanted a little. So even a perfect model has a loss above 0.",
    equivalent={
        "log_p.mean(axis=1) -> log_p.mean(), in return -((1 - smoothing) * of_wanted + smoothing * "
        "log_p.mean(axis=1)).mean()":
            "Every token has as many logits, so that the mean of the tokens' means is the mean of all.",
    },
)


@task.reference
def smoothed_loss(logits, wanted, smoothing):
    """The loss, a number, of logits (batch, length, vocab_size) and wanted (batch, length)."""
    counts = wanted != -100
    logits, wanted = logits[counts], wanted[counts]
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    of_wanted = log_p[np.arange(len(wanted)), wanted]
    return -((1 - smoothing) * of_wanted + smoothing * log_p.mean(axis=1)).mean()


@task.draw
def draw(rng, batch, length, vocab_size, smoothing):
    wanted = rng.integers(0, vocab_size, (batch, length))
    wanted[0, -1] = wanted[-1, -1] = -100
    return {"logits": 1.5 * rng.normal(size=(batch, length, vocab_size)), "wanted": wanted, "smoothing": smoothing}


def terms(logits, wanted):
    """log p of the wanted token and of all, for the tokens that count."""
    counts = wanted != -100
    log_p = np.log(softmax(logits[counts]))
    return log_p[np.arange(len(log_p)), wanted[counts]], log_p


@task.misconception
def not_smoothed(logits, wanted, smoothing):
    """smoothing has no say in your loss: it is the plain cross-entropy."""
    return smoothed_loss(logits, wanted, 0.0)


@task.misconception
def shared_among_the_others(logits, wanted, smoothing):
    """You share smoothing among the other tokens only, vocab_size − 1 of them. That is another usual form; here, as in
    PyTorch, the wanted token gets its part as well."""
    of_wanted, log_p = terms(logits, wanted)
    others = (log_p.sum(axis=1) - of_wanted) / (log_p.shape[1] - 1)
    return -((1 - smoothing) * of_wanted + smoothing * others).mean()


@task.misconception
def whole_weight_and_smoothing(logits, wanted, smoothing):
    """Your q sums to more than 1: the wanted token keeps its whole weight of 1. It gives smoothing away."""
    of_wanted, log_p = terms(logits, wanted)
    return -(of_wanted + smoothing * log_p.mean(axis=1)).mean()


@task.misconception
def smoothing_for_every_token(logits, wanted, smoothing):
    """Each token of the vocabulary gets all of smoothing. They share it: smoothing / vocab_size each."""
    of_wanted, log_p = terms(logits, wanted)
    return -((1 - smoothing) * of_wanted + smoothing * log_p.sum(axis=1)).mean()


@task.misconception
def divided_by_all_places(logits, wanted, smoothing):
    """The sum is right, but you divide it by all places, padding included. Divide by the tokens that count."""
    return smoothed_loss(logits, wanted, smoothing) * (wanted != -100).mean()


@task.misconception
def sum_of_the_tokens(logits, wanted, smoothing):
    """That is the sum over the tokens, not their mean: it would grow with the batch."""
    return smoothed_loss(logits, wanted, smoothing) * (wanted != -100).sum()


@task.misconception
def mean_of_the_sentences(logits, wanted, smoothing):
    """You take the mean of each sentence, then the mean of these. Then a word of a short sentence counts for more.
    Every token counts alike."""
    return np.mean([smoothed_loss(row[None], ids[None], smoothing) for row, ids in zip(logits, wanted)])


@task.misconception
def sign_forgotten(logits, wanted, smoothing):
    """The sign is missing: a loss falls when the probability of the wanted token grows."""
    return -smoothed_loss(logits, wanted, smoothing)


@task.misconception
def probabilities_smoothed(logits, wanted, smoothing):
    """You smooth what the model says, p. It is what is wanted that is smoothed, q."""
    counts = wanted != -100
    p = (1 - smoothing) * softmax(logits[counts]) + smoothing / logits.shape[-1]
    return -np.log(p[np.arange(len(p)), wanted[counts]]).mean()


# ---------------------------------------------------------------------------------------------------------------------
# Attention against an alignment

task = Exercise(
    "08.share_aligned", "Attention against an alignment",
    "Row t of cross-attention `weights` belongs to the word that is written at place t. `links` says which source "
    "tokens are aligned with that word; a row of `links` without any True is a word without a partner, or padding, and "
    "does not count. Write `share_aligned`: of the words that count, in the whole batch, the share whose most attended "
    "source token, by the mean of the heads, is aligned with them.",
    difficulty=4, minutes=15, points=4,
    sizes=(dict(batch=3, heads=2, length=6, source=5), dict(batch=4, heads=4, length=7, source=6),
           dict(batch=5, heads=2, length=9, source=8), dict(batch=2, heads=3, length=5, source=7)),
    returns={"share": ()},
    hints=(
        "The mean over the heads is (batch, length, source): one row for each word that is written.",
        "argmax along the source gives a place for each word. Is `links` True at that place?",
        "np.take_along_axis(links, place[..., None], axis=-1) looks it up; links.any(axis=-1) says which words count.",
    ),
    explanation="The same weights give other shares by head, by layer, by row or by another mean. Say which one you "
                "counted, before you look at it.",
)


@task.reference
def share_aligned(weights, links):
    """The share, a number, of weights (batch, heads, length, source) and the boolean links (batch, length, source)."""
    place = weights.mean(axis=1).argmax(axis=2)
    batch, length = place.shape
    aligned = links[np.arange(batch)[:, None], np.arange(length), place]
    return aligned[links.any(axis=2)].mean()


@task.draw
def draw(rng, batch, heads, length, source):
    """Most words look at a partner, not in every head. The first row has two words without one, other rows fewer."""
    links = np.eye(source, dtype=bool)[rng.integers(source, size=(batch, length))]
    links[:, 1, :2] = True
    links[0, -2:] = links[1, -1:] = False
    while True:
        scores = 1.5 * rng.normal(size=(batch, heads, length, source)) + 1.2 * links[:, None]
        weights = softmax(scores)
        best = np.sort(weights.mean(axis=1), axis=2)
        if (best[..., -1] - best[..., -2]).min() > 0.01:  # no doubt in any precision
            return {"weights": weights, "links": links}


def hits(place, links):
    """Whether the place (batch, length) of each word is aligned with it."""
    return np.take_along_axis(links, place[:, :, None], axis=2)[:, :, 0]


@task.misconception
def all_words_count(weights, links):
    """You divide by all words. Those without a partner, padding among them, can never be right: leave them out."""
    return hits(weights.mean(axis=1).argmax(axis=2), links).mean()


@task.misconception
def mean_of_the_sentences(weights, links):
    """You take the share in each sentence, then the mean of these. Then a word of a short sentence counts for more.
    Every word counts alike."""
    return np.mean([share_aligned(weights[i:i + 1], links[i:i + 1]) for i in range(len(weights))])


@task.misconception
def first_head_only(weights, links):
    """You look at one head. It is the mean of the heads that is asked for; heads differ, and a head may be chosen."""
    return share_aligned(weights[:, :1], links)


@task.misconception
def strongest_head(weights, links):
    """You take the largest weight of any head. One sure head then outvotes all others; take the mean of the heads."""
    return share_aligned(weights.max(axis=1, keepdims=True), links)


@task.misconception
def any_head_will_do(weights, links):
    """You count a word as right if any of its heads looks at a partner. With many heads that is nearly always so."""
    found = [hits(weights[:, head].argmax(axis=2), links) for head in range(weights.shape[1])]
    return np.any(found, axis=0)[links.any(axis=2)].mean()


@task.misconception
def every_head_counts(weights, links):
    """You count each head by itself and average the shares. Average the weights first, then look for the largest."""
    return np.mean([share_aligned(weights[:, head:head + 1], links) for head in range(weights.shape[1])])


@task.misconception
def weight_on_the_partners(weights, links):
    """You sum the weight that lies on the partners. Asked for is whether the most attended token is one of them."""
    return (weights.mean(axis=1) * links).sum(axis=2)[links.any(axis=2)].mean()


@task.misconception
def row_of_the_word_just_read(weights, links):
    """You take the row after each word's own: that is where the model looks when it has read the word and writes the
    next one. Row t belongs to the word written at place t."""
    return share_aligned(np.roll(weights, -1, axis=2), links)


@task.misconception
def asked_from_the_source(weights, links):
    """You look for the written word that attends most to each source token, an argmax along the wrong axis. Each
    written word has its row over the source; the argmax goes along it."""
    place = weights.mean(axis=1).argmax(axis=1)
    return np.take_along_axis(links, place[:, None, :], axis=1)[:, 0][links.any(axis=1)].mean()
