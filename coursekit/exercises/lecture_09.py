"""Exercises of lecture 09: the language model and generation."""

import math

import numpy as np
import torch

from coursekit import reference
from coursekit.exercises.exercise import Exercise

READY_MADE = (
    "coursekit.torch.filter_logits", "coursekit.torch.generation.filter_logits", "coursekit.torch.sample",
    "coursekit.torch.generation.sample", "transformers.TopPLogitsWarper", "transformers.TemperatureLogitsWarper",
)


# ---------------------------------------------------------------------------------------------------------------------
# Perplexity by hand

task = Exercise(
    "09.perplexity_by_hand", "Perplexity by hand",
    "A model gives the four tokens of a text the probabilities 1/2, 1/4, 1/8 and 1/4, each after the tokens before it. "
    "What is its perplexity on this text? Give `perplexity_by_hand` that number.",
    difficulty=1, minutes=4, points=1, kind="number",
    hints=("Which power of 2 is each probability? Take the mean of the exponents.",
           "Perplexity is the geometric mean of 1/p: the fourth root of 2 · 4 · 8 · 4."),
    explanation="2 · 4 · 8 · 4 = 256, and its fourth root is 4: on average the model hesitates as it would among 4 "
                "equally probable tokens.",
)


@task.reference
def perplexity_by_hand():
    return (2 * 4 * 8 * 4) ** (1 / 4)


@task.misconception
def arithmetic_mean():
    """That is the ordinary mean of 1/p. Logarithms are averaged, and so 1/p is multiplied, not added."""
    return (2 + 4 + 8 + 4) / 4


@task.misconception
def inverse_of_the_mean_probability():
    """That is 1 divided by the mean probability. Perplexity averages the logarithms of the probabilities."""
    return 1 / ((1 / 2 + 1 / 4 + 1 / 8 + 1 / 4) / 4)


@task.misconception
def bits_put_into_e():
    """You took the loss in bits, 2, and raised e to it. To bits belongs the base 2, to nats the base e."""
    return math.e ** 2


@task.misconception
def loss_in_bits():
    """That is the mean loss in bits. Perplexity is 2 to that power."""
    return 2


@task.misconception
def loss_in_nats():
    """That is the mean loss in nats. Perplexity is e to that power."""
    return 2 * math.log(2)


@task.misconception
def root_forgotten():
    """You multiplied 1/p of all tokens: that grows with the length of the text. Perplexity is per token: take the
    fourth root."""
    return 2 * 4 * 8 * 4


# ---------------------------------------------------------------------------------------------------------------------
# Shifted targets

task = Exercise(
    "09.next_token_loss", "The loss of a batch of texts",
    "Write `next_token_loss`: the mean negative log-likelihood, in nats, of all tokens that are predicted. Row b has "
    "`lengths[b]` tokens and then padding. The logits at place t are about the token at place t + 1; the first token "
    "of a row is given and not predicted.",
    difficulty=2, minutes=12, points=2, framework="torch",
    sizes=(dict(batch=1, length=3, vocab=5), dict(batch=2, length=5, vocab=4), dict(batch=3, length=6, vocab=7),
           dict(batch=4, length=5, vocab=6)),
    returns={"loss": ()},
    withhold=("coursekit.torch.training.token_cross_entropy",),
    hints=(
        "A row of n tokens has n - 1 predictions. Which logits belong to which tokens?",
        "logits[:, :-1] predict tokens[:, 1:]. Which of these targets are padding?",
        "The target at place t is a token if t is below the row's length. Sum the losses of those, divide by their "
        "number.",
    ),
    explanation="The logits lose their last place and the tokens their first. Padding is left out of the sum and of "
                "the count, so that every token weighs the same, whatever the length of its row.",
)


@task.reference
def next_token_loss(logits, tokens, lengths):
    """The loss, one number, of logits (batch, length, vocab), tokens (batch, length), whole numbers, and lengths
    (batch,): how many tokens of each row are no padding, at least 2."""
    wanted = torch.arange(1, tokens.shape[1]) < lengths[:, None]
    log_p, targets = logits[:, :-1][wanted].log_softmax(1), tokens[:, 1:][wanted]
    return -log_p[torch.arange(len(targets)), targets].mean()


@task.draw
def draw(rng, batch, length, vocab):
    lengths = rng.integers(2, length, batch)
    lengths[0] = length - 1
    tokens = rng.integers(1, vocab, (batch, length))
    tokens[np.arange(length) >= lengths[:, None]] = 0
    return {"logits": rng.normal(size=(batch, length, vocab)), "tokens": tokens, "lengths": lengths}


def token_losses(logits, tokens):
    return -logits.log_softmax(-1).gather(-1, tokens[..., None])[..., 0]


@task.misconception
def not_shifted(logits, tokens, lengths):
    """Your logits are asked about the token that they have just read. The logits at place t are about place t + 1."""
    return token_losses(logits, tokens)[torch.arange(tokens.shape[1]) < lengths[:, None]].mean()


@task.misconception
def shifted_the_wrong_way(logits, tokens, lengths):
    """You compare the logits at place t with the token at t - 1, which the model has read already. Drop the last logits
    and the first token, not the other way round."""
    wanted = torch.arange(1, tokens.shape[1]) < lengths[:, None]
    return token_losses(logits[:, 1:], tokens[:, :-1])[wanted].mean()


@task.misconception
def padding_included(logits, tokens, lengths):
    """Your mean includes the padding. Nobody asks the model to predict it: keep the targets before `lengths`."""
    return token_losses(logits[:, :-1], tokens[:, 1:]).mean()


@task.misconception
def divided_by_all_places(logits, tokens, lengths):
    """You leave the padding out of the sum but divide by all places: the loss looks better the more padding there is.
    Divide by the number of tokens that count."""
    losses = token_losses(logits[:, :-1], tokens[:, 1:])
    return (losses * (torch.arange(1, tokens.shape[1]) < lengths[:, None])).mean()


@task.misconception
def mean_of_the_rows_means(logits, tokens, lengths):
    """You average the rows' means: a token of a short row then weighs more than one of a long row. Take one mean over
    all tokens."""
    losses = token_losses(logits[:, :-1], tokens[:, 1:])
    wanted = torch.arange(1, tokens.shape[1]) < lengths[:, None]
    return ((losses * wanted).sum(1) / wanted.sum(1)).mean()


@task.misconception
def one_padding_too_many(logits, tokens, lengths):
    """Your mask was not shifted with the targets: each row still predicts the first padding after its text."""
    wanted = torch.arange(tokens.shape[1] - 1) < lengths[:, None]
    return token_losses(logits[:, :-1], tokens[:, 1:])[wanted].mean()


@task.misconception
def probabilities_averaged(logits, tokens, lengths):
    """You take the logarithm of the mean probability. First the logarithm of every token's, then the mean."""
    wanted = torch.arange(1, tokens.shape[1]) < lengths[:, None]
    return -token_losses(logits[:, :-1], tokens[:, 1:])[wanted].neg().exp().mean().log()


@task.misconception
def sign_forgotten(logits, tokens, lengths):
    """Your numbers are the log-likelihood. A loss is its negative: never below 0, and small where the model is good."""
    return -next_token_loss(logits, tokens, lengths)


@task.misconception
def in_bits(logits, tokens, lengths):
    """Your logarithm has the base 2: those are bits. Asked for are nats, the base e."""
    return next_token_loss(logits, tokens, lengths) / math.log(2)


# ---------------------------------------------------------------------------------------------------------------------
# Temperature

task = Exercise(
    "09.with_temperature", "Temperature on probabilities",
    "Someone gives you next-token *probabilities*, and the logits are lost. Write `with_temperature`: the "
    "probabilities that softmax would have given, had the logits been divided by the temperature.",
    difficulty=2, minutes=8, points=2,
    sizes=(dict(batch=1, vocab=4), dict(batch=2, vocab=5), dict(batch=3, vocab=7)),
    returns={"probabilities": ("batch", "vocab")},
    withhold=READY_MADE,
    hints=("Logits are known up to a number added to all of them, and softmax does not see that number. Which logits "
           "does log give?",
           "exp(log(p) / T) is a power of p. Which one? And what must a distribution sum to?"),
    explanation="log p is a set of logits for p. Divided by T and put through softmax this is p^(1/T), shared out to "
                "sum to 1. Dividing p itself would change nothing but the sum.",
)


@task.reference
def with_temperature(probabilities, temperature):
    """The probabilities (batch, vocab) after a temperature, a number above 0, of probabilities (batch, vocab), all
    above 0."""
    powers = probabilities ** (1 / temperature)
    return powers / powers.sum(axis=1, keepdims=True)


@task.draw
def draw(rng, batch, vocab):
    return {"probabilities": rng.dirichlet(np.full(vocab, 3.0), batch) * 0.9 + 0.1 / vocab,
            "temperature": float(rng.choice([0.5, 0.7, 1.6, 2.5]))}


def shared_out(powers, axis=-1):
    return powers / powers.sum(axis, keepdims=True)


@task.misconception
def multiplied(probabilities, temperature):
    """You take the power T, which multiplies the logits by T. A high temperature must flatten: divide, the power
    1/T."""
    return shared_out(probabilities ** temperature)


@task.misconception
def divided_after_softmax(probabilities, temperature):
    """You divide the probabilities by the temperature. Shared out again that changes nothing: the temperature acts on
    logits."""
    return shared_out(probabilities / temperature)


@task.misconception
def probabilities_taken_for_logits(probabilities, temperature):
    """You put probabilities through softmax as if they were logits. Their logarithms are logits."""
    return shared_out(np.exp(probabilities / temperature))


@task.misconception
def not_shared_out(probabilities, temperature):
    """Your numbers do not sum to 1. Divide the powers by their sum."""
    return probabilities ** (1 / temperature)


@task.misconception
def shared_out_over_the_batch(probabilities, temperature):
    """You divide by the sum over the batch. Every row is a distribution of its own: the last axis, kept."""
    return shared_out(probabilities ** (1 / temperature), axis=0)


# ---------------------------------------------------------------------------------------------------------------------
# The nucleus

task = Exercise(
    "09.nucleus", "The nucleus",
    "Write `nucleus`, top-p on the probabilities of the next token: keep the fewest tokens, the most probable first, "
    "whose probabilities sum up to at least `top_p`. All others get 0, and what is kept is shared out to sum to 1. No "
    "two probabilities are equal.",
    difficulty=3, minutes=15, points=3,
    sizes=(dict(vocab=4), dict(vocab=5), dict(vocab=8), dict(vocab=7)),
    returns={"probabilities": ("vocab",)},
    withhold=READY_MADE,
    hints=(
        "Sort, largest first, and add up. Where does the sum reach top_p?",
        "A token is kept if what stands before it, without itself, sums to less than top_p. So the first one always "
        "is.",
        "np.argsort(-probabilities) lists the tokens, the most probable first. Which of them are kept? Write their "
        "probabilities into zeros, each at its own place.",
    ),
    explanation="The sum before a token decides, not the sum with it: otherwise the token that crosses the border is "
                "lost. A model that is sure keeps one token, one that is not keeps nearly all.",
    equivalent={"before < top_p -> before <= top_p, in kept = order[before < top_p]":
                "No sum that is drawn lies within 0.005 of top_p, so that none is equal to it."},
)


@task.reference
def nucleus(probabilities, top_p):
    """The probabilities (vocab,) that are left of probabilities (vocab,), for a top_p between 0 and 1."""
    order = np.argsort(-probabilities)
    before = probabilities[order].cumsum() - probabilities[order]
    kept = order[before < top_p]
    left = np.zeros_like(probabilities)
    left[kept] = probabilities[kept]
    return left / left.sum()


@task.draw
def draw(rng, vocab):
    while True:  # the border is no token's, and order and inverse order of the sorting differ
        probabilities, top_p = rng.dirichlet(np.full(vocab, 2.0)), float(rng.uniform(0.4, 0.8))
        order, sums = np.argsort(-probabilities), np.sort(probabilities)[::-1].cumsum()
        if (np.abs(sums - top_p).min() > 0.005 and -np.diff(probabilities[order]).max() > 0.005
                and 1 < np.sum(sums < top_p) + 1 < vocab - 1 and (np.argsort(order) != order).any()):
            return {"probabilities": probabilities, "top_p": top_p}


def left_where(probabilities, rule, order=None):
    """What `rule(sorted, sums)` keeps of the probabilities in this order, by default the largest first."""
    order = np.argsort(-probabilities) if order is None else order
    left = np.zeros_like(probabilities)
    left[order] = np.where(rule(probabilities[order], probabilities[order].cumsum()), probabilities[order], 0)
    return left


@task.misconception
def one_too_few(probabilities, top_p):
    """You keep one token too few: the sum with it must not decide. The token that reaches top_p is kept as well, and
    the first one always."""
    return shared_out(left_where(probabilities, lambda p, sums: (sums <= top_p) | (sums == p)))


@task.misconception
def one_too_many(probabilities, top_p):
    """You keep one token too many. As soon as the sum reaches top_p, no further token is needed."""
    return shared_out(left_where(probabilities, lambda p, sums: sums - p - np.roll(p, 1) < top_p))


@task.misconception
def smallest_first(probabilities, top_p):
    """You sorted with the smallest first, and keep the improbable tokens. Largest first."""
    return shared_out(left_where(probabilities, lambda p, sums: sums - p < top_p, np.argsort(probabilities)))


@task.misconception
def not_sorted(probabilities, top_p):
    """You add up in the order of the vocabulary. Sort first: the most probable tokens are kept, wherever they stand."""
    return shared_out(left_where(probabilities, lambda p, sums: sums - p < top_p, np.arange(len(probabilities))))


@task.misconception
def not_shared_out(probabilities, top_p):
    """What is left does not sum to 1. Divide by its sum."""
    return left_where(probabilities, lambda p, sums: sums - p < top_p)


@task.misconception
def left_in_sorted_order(probabilities, top_p):
    """Your probabilities are in sorted order. Put each back at the place of its token."""
    return -np.sort(-nucleus(probabilities, top_p))


@task.misconception
def sorting_undone_with_itself(probabilities, top_p):
    """You put the probabilities back with the same order that sorted them. It takes the inverse: argsort of the
    order."""
    return -np.sort(-nucleus(probabilities, top_p))[np.argsort(-probabilities)]


@task.misconception
def without_a_sum(probabilities, top_p):
    """You keep tokens down to the share top_p of the best one. That is another filter, called min-p: top-p adds the
    probabilities up."""
    return shared_out(np.where(probabilities >= top_p * probabilities.max(), probabilities, 0))


# ---------------------------------------------------------------------------------------------------------------------
# One step of beam search

task = Exercise(
    "09.beam_step", "One step of beam search",
    "Write `beam_step`. Each of several beginnings has a score, its log-probability so far, and the model gives the "
    "log-probabilities of its next token. Return the best continuations, as many as there are beginnings, best first: "
    "the beginning that each goes on from, its new token, and its new score.",
    difficulty=4, minutes=15, points=4,
    sizes=(dict(beams=2, vocab=4), dict(beams=3, vocab=5), dict(beams=4, vocab=3), dict(beams=4, vocab=4)),
    returns={"beginnings": ("beams",), "tokens": ("beams",), "scores": ("beams",)},
    hints=(
        "The score of a continuation is a sum: its beginning's score and the token's log-probability.",
        "All beams · vocab continuations compete with each other. Two may come from one beginning, and a beginning may "
        "die out.",
        "In a flattened (beams, vocab) table, entry i belongs to beginning i // vocab and token i % vocab.",
    ),
    explanation="Logarithms of probabilities add where probabilities multiply. That all continuations compete is what "
                "makes it one search and not several greedy ones side by side.",
)


@task.reference
def beam_step(scores, log_p):
    """beginnings, tokens and scores, each (beams,), of scores (beams,) and log_p (beams, vocab)."""
    candidates = (scores[:, None] + log_p).flatten()
    best = np.argsort(-candidates)[:len(scores)]
    return best // log_p.shape[1], best % log_p.shape[1], candidates[best]


@task.draw
def draw(rng, beams, vocab):
    while True:  # some beginning goes on twice, so that another dies out
        scores = np.sort(-rng.uniform(1, 4, beams))[::-1].copy()
        logits = 1.5 * rng.normal(size=(beams, vocab))
        log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        beginnings, _, _ = beam_step(scores, log_p)
        if len(set(beginnings.tolist())) < beams:
            return {"scores": scores, "log_p": log_p}


def best_of(candidates, n):
    best = np.argsort(-candidates.flatten())[:n]
    return best // candidates.shape[1], best % candidates.shape[1], candidates.flatten()[best]


@task.misconception
def each_beginning_for_itself(scores, log_p):
    """You take the best token of each beginning: that is greedy search, several times side by side. All continuations
    compete, and a beginning may go on twice or not at all."""
    tokens = log_p.argmax(1)
    new = scores + log_p.max(1)
    order = np.argsort(-new)
    return order, tokens[order], new[order]


@task.misconception
def old_scores_forgotten(scores, log_p):
    """You compare the new tokens alone. A beginning brings its score along: add it before you compare."""
    return best_of(log_p, len(scores))


@task.misconception
def scores_multiplied(scores, log_p):
    """You multiply logarithms. Probabilities multiply, so their logarithms add."""
    return best_of(-scores[:, None] * log_p, len(scores))


@task.misconception
def scores_along_the_vocabulary(scores, log_p):
    """You lay the scores along the vocabulary. They belong to the rows: scores[:, None]. Where there are as many
    beginnings as tokens, no error would tell you."""
    return best_of(scores + log_p, len(scores))


@task.misconception
def row_and_column_swapped(scores, log_p):
    """You take beginnings for tokens and tokens for beginnings. In a flattened (beams, vocab) table, i // vocab is the
    row, the beginning, and i % vocab the token."""
    beginnings, tokens, new = best_of(scores[:, None] + log_p, len(scores))
    return tokens, beginnings, new


@task.misconception
def divided_by_the_beams(scores, log_p):
    """You divide the flat index by the number of beams. A row of the table is as long as the vocabulary: divide by
    that."""
    candidates = (scores[:, None] + log_p).flatten()
    best = np.argsort(-candidates)[:len(scores)]
    return best // len(scores), best % len(scores), candidates[best]


@task.misconception
def worst_first(scores, log_p):
    """Your continuations are the right ones, but the worst comes first. Asked for is best first."""
    return tuple(array[::-1] for array in beam_step(scores, log_p))


@task.misconception
def only_the_tokens_score(scores, log_p):
    """You return the log-probability of the last token. The new score is that of the whole: the old score plus the
    token's."""
    beginnings, tokens, _ = beam_step(scores, log_p)
    return beginnings, tokens, log_p[beginnings, tokens]


# ---------------------------------------------------------------------------------------------------------------------
# One step with a cache

task = Exercise(
    "09.cached_step", "One step with a cache",
    "Write `cached_step`, self-attention with one head for the newest token alone. The cache holds keys and values of "
    "the tokens before it. Return the context of the new token, and the keys and values for the next step.",
    difficulty=4, minutes=15, points=4,
    sizes=(dict(seen=2, d_model=3, d_head=4, d_value=5), dict(seen=4, d_model=5, d_head=2, d_value=3),
           dict(seen=5, d_model=4, d_head=3, d_value=2), dict(seen=3, d_model=3, d_head=3, d_value=3)),
    returns={"context": ("d_value",), "keys": ("seen + 1", "d_head"), "values": ("seen + 1", "d_value")},
    withhold=("torch.nn.functional.scaled_dot_product_attention", "coursekit.reference.scaled_dot_product_attention",
              "coursekit.torch.scaled_dot_product_attention", "coursekit.keras.scaled_dot_product_attention",
              "coursekit.torch.attention.scaled_dot_product_attention",
              "coursekit.keras.attention.scaled_dot_product_attention"),
    hints=(
        "The new token has a query, a key and a value. Which of them will later tokens need?",
        "Append the new key and value first: a token attends to itself as well.",
        "There is one query, so there is one row of scores: keys @ query / √d_head. No mask is needed, for everything "
        "in the cache is the past. For softmax you may take `reference.softmax(scores)`.",
    ),
    explanation="Nothing of the past is computed again: not its keys, not its values, and not its contexts, of which "
                "the new token has no need. Queries are never kept.",
)


@task.reference
def cached_step(x, keys, values, W_query, W_key, W_value):
    """The context (d_value,), keys (seen + 1, d_head) and values (seen + 1, d_value) after the new token x (d_model,),
    of keys (seen, d_head) and values (seen, d_value), W_query and W_key (d_head, d_model) and W_value (d_value,
    d_model)."""
    keys = np.concatenate([keys, [W_key @ x]])
    values = np.concatenate([values, [W_value @ x]])
    weights = reference.softmax(keys @ (W_query @ x) / np.sqrt(len(W_query)))
    return weights @ values, keys, values


@task.draw
def draw(rng, seen, d_model, d_head, d_value):
    shapes = {"x": (d_model,), "keys": (seen, d_head), "values": (seen, d_value), "W_query": (d_head, d_model),
              "W_key": (d_head, d_model), "W_value": (d_value, d_model)}
    return {name: rng.normal(size=shape) * 0.7 for name, shape in shapes.items()}


def context_of(query, keys, values, scale):
    return reference.softmax(keys @ query / scale) @ values


@task.misconception
def token_itself_not_seen(x, keys, values, W_query, W_key, W_value):
    """Your new token attends to the old ones only: its own key and value come into the cache too late. Append first,
    then attend."""
    _, new_keys, new_values = cached_step(x, keys, values, W_query, W_key, W_value)
    return context_of(W_query @ x, keys, values, np.sqrt(len(W_query))), new_keys, new_values


@task.misconception
def stale_cache(x, keys, values, W_query, W_key, W_value):
    """Your cache stays as it was: the next token will not see this one. Return the keys and values with the new ones
    appended."""
    context, _, _ = cached_step(x, keys, values, W_query, W_key, W_value)
    return context, keys, values


@task.misconception
def mask_from_the_top_left(x, keys, values, W_query, W_key, W_value):
    """Your token sees the first token only. A causal mask of one row, laid at the top left, allows one column; the new
    token's row is the last, and it may see all."""
    _, new_keys, new_values = cached_step(x, keys, values, W_query, W_key, W_value)
    return new_values[0], new_keys, new_values


@task.misconception
def appended_in_front(x, keys, values, W_query, W_key, W_value):
    """You put the new key and value in front. The context is the same, but the order of the cache is the order of the
    text: append at the end."""
    context, new_keys, new_values = cached_step(x, keys, values, W_query, W_key, W_value)
    return context, np.roll(new_keys, 1, axis=0), np.roll(new_values, 1, axis=0)


@task.misconception
def oldest_token_dropped(x, keys, values, W_query, W_key, W_value):
    """Your cache keeps its length: the oldest token is gone. Here nothing is dropped, the cache grows by one."""
    _, new_keys, new_values = cached_step(x, keys, values, W_query, W_key, W_value)
    new_keys, new_values = new_keys[1:], new_values[1:]
    return context_of(W_query @ x, new_keys, new_values, np.sqrt(len(W_query))), new_keys, new_values


@task.misconception
def query_kept_as_the_key(x, keys, values, W_query, W_key, W_value):
    """You append the query of the new token to the keys. Later tokens need its key, W_key @ x; its query is used now
    and never again."""
    return cached_step(x, keys, values, W_query, W_query, W_value)


@task.misconception
def scale_forgotten(x, keys, values, W_query, W_key, W_value):
    """The scale is missing: divide the scores by the root of d_head before softmax."""
    _, new_keys, new_values = cached_step(x, keys, values, W_query, W_key, W_value)
    return context_of(W_query @ x, new_keys, new_values, 1), new_keys, new_values


@task.misconception
def root_of_d_model(x, keys, values, W_query, W_key, W_value):
    """You divide by the root of the size of x. What is summed in a score are the numbers of a query: the root of
    d_head."""
    _, new_keys, new_values = cached_step(x, keys, values, W_query, W_key, W_value)
    return context_of(W_query @ x, new_keys, new_values, np.sqrt(len(x))), new_keys, new_values
