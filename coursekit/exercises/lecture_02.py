"""Exercises of lecture 02: attention as soft alignment."""

import numpy as np
import torch
from torch import nn

from coursekit.datasets import reversal
from coursekit.exercises.call import Case
from coursekit.exercises.exercise import Exercise


# ---------------------------------------------------------------------------------------------------------------------
# The context vector

task = Exercise(
    "02.context_vector", "The context vector",
    "Write `context_vector`, the sum of the values, each multiplied by its weight.",
    difficulty=1, minutes=5, points=1,
    sizes=(dict(batch=1, length=2, units=3), dict(batch=2, length=5, units=3), dict(batch=3, length=4, units=6)),
    returns={"context": ("batch", "units")},
    withhold=("coursekit.reference.context",),
    hints=(
        "A weight multiplies a whole vector, so weights need one more axis at the end: weights[:, :, None].",
        "Which axis is summed over? The result has one vector per sequence, so the axis of time goes.",
    ),
    explanation="The weights are a distribution over time steps, and the context is the mean of the states under it. "
                "As a matrix product, each sequence multiplies a row (1, length) by its values (length, units).",
)


@task.reference
def context_vector(weights, values):
    """The context (batch, units) of weights (batch, length) and values (batch, length, units)."""
    return np.einsum("bs,bsu->bu", weights, values)


@task.draw
def draw(rng, batch, length, units):
    return {"weights": softmax(rng.normal(size=(batch, length))), "values": rng.normal(size=(batch, length, units))}


@task.misconception
def plain_mean(weights, values):
    """You average the values evenly and do not use the weights: every query would see the same context."""
    return values.mean(axis=1)


@task.misconception
def divided_by_the_length(weights, values):
    """Your context is too small by the factor length. The weights sum to 1 already: take a sum, not a mean."""
    return (weights[:, :, None] * values).mean(axis=1)


@task.misconception
def only_the_largest_weight(weights, values):
    """You pick the value with the largest weight. That is hard attention, which has no gradient; here every value takes
    part with its weight."""
    return values[np.arange(len(values)), weights.argmax(axis=1)]


@task.misconception
def not_summed(weights, values):
    """You multiply but do not add up: the axis of time is still there. Sum over axis 1."""
    return weights[:, :, None] * values


@task.misconception
def summed_over_the_units(weights, values):
    """You sum over the units and keep the time. The context is a vector of units: sum over axis 1."""
    return (weights[:, :, None] * values).sum(axis=2)


# ---------------------------------------------------------------------------------------------------------------------
# The four scores

task = Exercise(
    "02.four_scores", "Four scores on one footing",
    "Write `attention_scores`, which compares a query with every value by one of four scores:\n\n"
    "- `\"dot\"`: $q^\\top h_j$\n- `\"general\"`: $q^\\top W h_j$, with $W$ (units, units)\n"
    "- `\"concat\"`: $v^\\top \\tanh(W [q; h_j])$, with $W$ (units, 2 · units)\n"
    "- `\"additive\"`: $v^\\top \\tanh(W_1 q + W_2 h_j + b)$, with $W = [W_1\\; W_2]$\n\n"
    "All six arguments always come; a score ignores what it does not need.",
    difficulty=3, minutes=20, points=4,
    sizes=(dict(kind="dot", batch=2, length=5, units=3), dict(kind="dot", batch=3, length=2, units=4),
           dict(kind="general", batch=1, length=2, units=3), dict(kind="general", batch=2, length=5, units=3),
           dict(kind="general", batch=2, length=3, units=3), dict(kind="concat", batch=2, length=3, units=4),
           dict(kind="concat", batch=3, length=5, units=2), dict(kind="additive", batch=2, length=3, units=4),
           dict(kind="additive", batch=3, length=5, units=2)),
    returns={"scores": ("batch", "length")},
    withhold=(
        "coursekit.reference.dot_score", "coursekit.reference.general_score", "coursekit.reference.concat_score",
        "coursekit.reference.additive_score", "coursekit.torch.LuongAttention", "coursekit.torch.BahdanauAttention",
        "coursekit.keras.LuongAttention", "coursekit.keras.BahdanauAttention",
        "coursekit.torch.attention.LuongAttention", "coursekit.torch.attention.BahdanauAttention",
        "coursekit.keras.attention.LuongAttention", "coursekit.keras.attention.BahdanauAttention",
    ),
    hints=(
        "Each score is one number for each sequence and each of its values: (batch, length). Begin with the dot score.",
        "W multiplies vectors of size units, so it acts on the last axis of values, never on the axis of time. values "
        "@ W.T does that.",
        "In the concat score, W [q; h] is W₁q + W₂h, where W₁ is the left half of the columns of W and W₂ the right "
        "half. The query needs an axis of length 1 to be added to every value.",
        "The additive score is the concat score with b added inside the tanh.",
    ),
    explanation="In the dot and the general score the query meets each value in a product, in the other two in a sum "
                "inside a tanh. Concat and additive are the same function up to the bias b: what differs between "
                "Luong's and Bahdanau's models is the wiring around the score.",
)


@task.reference
def attention_scores(kind, query, values, W, v, b):
    """Scores (batch, length) of query (batch, units) and values (batch, length, units); kind is "dot", "general",
    "concat" or "additive"; W (units, units) for "general" and (units, 2 * units) otherwise; v and b (units,)."""
    if kind == "dot":
        return np.einsum("bu,bsu->bs", query, values)
    if kind == "general":
        return np.einsum("bi,ij,bsj->bs", query, W, values)
    units = query.shape[1]
    inside = (query @ W[:, :units].T)[:, None, :] + values @ W[:, units:].T
    if kind == "additive":
        inside = inside + b
    return np.tanh(inside) @ v


@task.draw
def draw(rng, kind, batch, length, units):
    columns = units if kind == "general" else 2 * units
    return {"kind": kind, "query": rng.normal(size=(batch, units)), "values": rng.normal(size=(batch, length, units)),
            "W": 0.5 * rng.normal(size=(units, columns)), "v": rng.normal(size=units), "b": rng.normal(size=units)}


@task.misconception
def W_applied_along_time(kind, query, values, W, v, b):
    """In your general score W mixes the time steps. It fits only where the length happens to equal the units, and even
    there it is another formula: W acts on the last axis of values, the units."""
    if kind == "general":
        return np.einsum("bu,st,btu->bs", query, W, values)
    return attention_scores(kind, query, values, W, v, b)


@task.misconception
def W_transposed(kind, query, values, W, v, b):
    """Your general score is hᵀ W q. In qᵀ W h the rows of W belong to the query and its columns to the value, as in
    query @ W, or W @ value."""
    return attention_scores(kind, query, values, W.T if kind == "general" else W, v, b)


@task.misconception
def W_forgotten(kind, query, values, W, v, b):
    """Your general score is the dot score: W does not enter it."""
    return attention_scores("dot" if kind == "general" else kind, query, values, W, v, b)


@task.misconception
def value_before_query(kind, query, values, W, v, b):
    """Your concat and additive scores use [h; q]. The query comes first: the left half of W's columns belongs to it."""
    half = W.shape[1] // 2
    swapped = np.concatenate([W[:, half:], W[:, :half]], axis=1)
    return attention_scores(kind, query, values, W if kind == "general" else swapped, v, b)


@task.misconception
def tanh_forgotten(kind, query, values, W, v, b):
    """The tanh is missing from your concat and additive scores. Without it vᵀW₁q would be the same for every value, and
    softmax ignores what all scores share: the query would have no say."""
    if kind in ("dot", "general"):
        return attention_scores(kind, query, values, W, v, b)
    half = W.shape[1] // 2
    return (query @ W[:, :half].T @ v)[:, None] + values @ W[:, half:].T @ v + (b @ v if kind == "additive" else 0)


@task.misconception
def tanh_around_everything(kind, query, values, W, v, b):
    """You apply tanh after v. It stands inside, on the vector of units: v weighs what comes out of it, and the score is
    not confined to −1 … 1."""
    if kind in ("dot", "general"):
        return attention_scores(kind, query, values, W, v, b)
    half = W.shape[1] // 2
    inside = (query @ W[:, :half].T @ v)[:, None] + values @ W[:, half:].T @ v
    return np.tanh(inside + (b @ v if kind == "additive" else 0))


@task.misconception
def bias_forgotten(kind, query, values, W, v, b):
    """Your additive score is the concat score: the bias b, inside the tanh, is missing."""
    return attention_scores("concat" if kind == "additive" else kind, query, values, W, v, b)


@task.misconception
def weights_instead_of_scores(kind, query, values, W, v, b):
    """You return weights: your rows sum to 1. Asked for are the scores, before the softmax."""
    powers = np.exp(attention_scores(kind, query, values, W, v, b))
    return powers / powers.sum(axis=1, keepdims=True)


# ---------------------------------------------------------------------------------------------------------------------
# Masked weights

task = Exercise(
    "02.masked_weights", "Weights with a mask",
    "Write `masked_weights`: a softmax over the places that the mask allows. Places that are not allowed get weight 0, "
    "a row without any allowed place is all zeros, and large scores do not overflow.",
    difficulty=3, minutes=15, points=3,
    sizes=(dict(batch=2, length=3), dict(batch=3, length=5), dict(batch=4, length=6, offset=1000),
           dict(batch=5, length=7)),
    returns={"weights": ("batch", "length")},
    withhold=("coursekit.reference.softmax", "coursekit.torch.attention.masked_softmax", "keras.layers.Softmax"),
    hints=(
        "Softmax without a mask: exp(scores), divided by its sum over the row.",
        "A place that must not count has exp(score) = 0, that is, a score of minus infinity, before the sum is taken.",
        "Subtracting the same number from all scores of a row changes no weight. Which number keeps exp from "
        "overflowing?",
        "A row without an allowed place has the sum 0. Divide by 1 there: np.where(total == 0, 1, total).",
    ),
    explanation="The mask acts before the softmax, so that the allowed places share the whole weight. Subtracting the "
                "largest allowed score makes every exponent 0 or less; initial, a number below any score, stands in "
                "where nothing is allowed, so that no infinity is subtracted from infinity. All powers of such a row "
                "are 0, and the guarded division leaves zeros.",
    equivalent={
        "1 -> 2, in return powers / np.where(total == 0, 1, total)":
            "The 1 is used where the total is 0; all powers of such a row are 0, and 0 divided by 2 is 0 as well.",
    },
)


@task.reference
def masked_weights(scores, mask):
    """Weights (batch, length) of scores (batch, length) and a boolean mask (batch, length), True where attending is
    allowed."""
    lowered = np.where(mask, scores, -np.inf)
    largest = lowered.max(axis=1, keepdims=True, initial=-1e30)
    powers = np.exp(lowered - largest)
    total = powers.sum(axis=1, keepdims=True)
    return powers / np.where(total == 0, 1, total)


@task.draw
def draw(rng, batch, length, offset=0):
    mask = np.arange(length) < rng.integers(2, length, batch)[:, None]
    mask = rng.permuted(mask, axis=1)
    mask[-1] = False
    # Rows of very different size, and what is masked may hold anything, also what is by far the largest.
    offsets = offset * np.arange(1, batch + 1)[:, None] + np.where(mask, 0, offset)
    return {"scores": rng.normal(size=(batch, length)) + offsets, "mask": mask}


def softmax(scores, axis=-1):
    powers = np.exp(scores - scores.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


@task.misconception
def mask_after_softmax(scores, mask):
    """You set weights to 0 after the softmax, so that the rest no longer sums to 1: part of the weight went to places
    that do not count. Mask the scores first."""
    return softmax(scores) * mask


@task.misconception
def mask_not_used(scores, mask):
    """You take the softmax over all places: the mask has no say, and places that do not count get weight."""
    return softmax(scores)


@task.misconception
def mask_upside_down(scores, mask):
    """You keep what should go. In this course True means "may attend" (PyTorch's nn.MultiheadAttention has it the other
    way round)."""
    return masked_weights(scores, ~mask)


@task.misconception
def masked_scores_set_to_zero(scores, mask):
    """You set masked scores to 0. exp(0) is 1, so these places still get weight; their score must be minus infinity."""
    return softmax(scores * mask)


@task.misconception
def nan_where_nothing_is_allowed(scores, mask):
    """Where a row has no allowed place you get NaN, from 0 divided by 0 or from minus infinity less itself. One such
    row spoils all gradients of a batch: give it zeros."""
    with np.errstate(invalid="ignore"):
        return softmax(np.where(mask, scores, -np.inf))


@task.misconception
def evenly_where_nothing_is_allowed(scores, mask):
    """Where a row has no allowed place you spread the weight evenly over places that do not count. Its weights are all
    0."""
    return softmax(np.where(mask, scores, -1e30))


@task.misconception
def exp_overflows(scores, mask):
    """Your formula is right for small scores; large ones overflow in exp and give infinity over infinity. Subtract the
    largest allowed score of the row first: that changes no weight."""
    with np.errstate(over="ignore", invalid="ignore"):
        powers = np.exp(np.where(mask, scores, -np.inf))
        total = powers.sum(axis=-1, keepdims=True)
        return powers / np.where(total == 0, 1, total)


@task.misconception
def sum_over_the_batch(scores, mask):
    """Your weights sum to 1 over the batch. Each sequence shares its own weight among its places: the last axis."""
    return masked_weights(scores.T, mask.T).T


# ---------------------------------------------------------------------------------------------------------------------
# A choice

task = Exercise(
    "02.wiring", "Which state asks?",
    "In Bahdanau's wiring, which decoder state is the query of step t? Give `query_state` the letter.",
    difficulty=1, minutes=3, points=1, kind="choice",
    options={
        "a": ("The state before the step, since the context is an input of the step.",
              "Attend, then step: the context of step t is joined to the LSTM's input, so it must be known before the "
              "LSTM runs, and only the state of step t − 1 exists then."),
        "b": ("The state after the step, as in Luong's wiring.",
              "Luong steps first and attends with the new state. In Bahdanau's wiring the LSTM's input contains the "
              "context: the new state cannot exist before it."),
        "c": ("The encoder's last state, in every step.",
              "The decoder begins from that state, but if it were the query of every step, all steps would attend "
              "alike."),
        "d": ("The encoder state at place t.",
              "Encoder states are what is attended to. Tying step t to place t would write the alignment down in place "
              "of learning it."),
    },
    hints=("Write down one step in order: what does the LSTM need as its input?",
           "Which states exist before the LSTM of step t has run?"),
    explanation="Bahdanau: attend with the old state, then step. Luong: step, then attend with the new state.",
)


@task.reference
def query_state():
    return "a"


# ---------------------------------------------------------------------------------------------------------------------
# Luong's attentional vector

task = Exercise(
    "02.attentional_vector", "Luong's attentional vector",
    "In Luong's wiring the decoder steps first and then looks back; context and state are joined to the attentional "
    "vector $\\tanh(W [c; s])$. Write it as a class, an `nn.Module` or a Keras layer, whose `W` is a linear layer "
    "without bias.",
    difficulty=2, minutes=10, points=2, kind="class",
    sizes=(dict(batch=1, units=2), dict(batch=2, units=3), dict(batch=5, units=4)),
    returns={"attentional": ("batch", "units")},
    withhold=("coursekit.torch.Seq2Seq", "coursekit.torch.seq2seq.Seq2Seq", "coursekit.keras.Seq2Seq",
              "coursekit.keras.seq2seq.Seq2Seq"),
    hints=(
        "[c; s] has size 2 · units: concatenate along the last axis, the context first.",
        "W is nn.Linear(2 * units, units, bias=False), or Dense(units, use_bias=False) in Keras.",
    ),
    explanation="W mixes what the decoder knows with what it has just looked up, and tanh bounds the result. The "
                "logits are read from this vector, not from s.",
)


@task.reference
class AttentionalVector(nn.Module):
    """tanh(W [c; s]); W is linear, from 2 * units to units, without bias."""

    def __init__(self, units):
        super().__init__()
        self.W = nn.Linear(2 * units, units, bias=False)

    def forward(self, context, state):
        """The attentional vector (batch, units) of a context (batch, units) and a decoder state (batch, units)."""
        return torch.tanh(self.W(torch.cat([context, state], dim=1)))


@task.draw
def draw(rng, batch, units):
    return Case({"context": rng.normal(size=(batch, units)), "state": rng.normal(size=(batch, units))},
                init={"units": units}, weights={"W": 0.5 * rng.normal(size=(units, 2 * units))})


@task.misconception
class state_before_context(AttentionalVector):
    """You join [s; c]. The context comes first: the left half of W's columns belongs to it. A model trained with one
    order does not work with the other."""

    def forward(self, context, state):
        return super().forward(state, context)


@task.misconception
class tanh_left_out(AttentionalVector):
    """The tanh is missing: your vector is W [c; s] itself."""

    def forward(self, context, state):
        return self.W(torch.cat([context, state], dim=-1))


@task.misconception
class tanh_before_W(AttentionalVector):
    """You apply tanh to [c; s] and then W. It stands outside: tanh(W [c; s])."""

    def forward(self, context, state):
        return self.W(torch.tanh(torch.cat([context, state], dim=-1)))


@task.misconception
class relu_for_tanh(AttentionalVector):
    """You use relu. Luong's vector goes through tanh, which keeps negative values."""

    def forward(self, context, state):
        return torch.relu(self.W(torch.cat([context, state], dim=-1)))


# ---------------------------------------------------------------------------------------------------------------------
# How well the alignment fits

task = Exercise(
    "02.alignment", "How mirrored is the alignment?",
    "Counted from 0, the mirrored place of step t is length − 1 − t. Write `measure_alignment`, which returns two "
    "numbers for a tensor of attention weights: `hits`, the share of steps whose largest weight is on the mirrored "
    "place, and `mass`, the mean weight there.",
    difficulty=3, minutes=15, points=3, framework="torch",
    sizes=(dict(batch=2, length=3), dict(batch=3, length=5), dict(batch=5, length=4)),
    returns={"hits": (), "mass": ()},
    hints=(
        "For each step of each sequence, argmax over the last axis says where the largest weight is.",
        "The mirrored places are length − 1, length − 2, …, 0: torch.arange(length - 1, -1, -1), or a flipped arange.",
        "weights[:, steps, places] with two lists of the same length picks one weight for each step.",
    ),
    explanation="Both are means over the batch and all steps. hits asks only which weight is largest, mass how much of "
                "the attention is there; a map can have few hits and still give right predictions, since neighbouring "
                "states hold the symbol too.",
    equivalent={
        "0 -> -1, in mirrored = steps.flip(0)": "steps has a single axis, which is axis 0 and axis −1.",
        "1 -> 2, in steps = torch.arange(weights.shape[1])": "There are as many steps as symbols, so axes 1 and 2 have "
                                                             "one size.",
    },
)


@task.reference
def measure_alignment(weights):
    """hits and mass, two numbers, of weights (batch, steps, length), a tensor with as many steps as the source has
    symbols."""
    steps = torch.arange(weights.shape[1])
    mirrored = steps.flip(0)
    hits = (weights.argmax(dim=-1) == mirrored).float().mean()
    return hits, weights[:, steps, mirrored].mean()


@task.draw
def draw(rng, batch, length):
    mirror, beside = np.eye(length)[::-1], np.eye(length, k=-1)[::-1]
    # Some steps look at the mirrored place, some beside it, some at the diagonal, and no sequence is like another.
    scores = 0.3 * rng.normal(size=(batch, length, length)) + 1.5 * mirror
    scores += 2.5 * rng.random((batch, length, 1)) * beside
    scores[0, 0] = np.eye(length)[0]
    scores[-1] = 0.3 * rng.normal(size=(length, length)) + 1.5 * np.eye(length)
    return {"weights": softmax(scores)}


@task.misconception
def main_diagonal(weights):
    """You compare with the diagonal that runs from the first place to the last. The target is the source reversed: step
    0 belongs to the last place."""
    steps = torch.arange(weights.shape[1])
    return (weights.argmax(dim=-1) == steps).float().mean(), weights[:, steps, steps].mean()


@task.misconception
def largest_over_the_steps(weights):
    """You take the largest weight of each source place over the steps. The weights of one step lie on the last axis:
    which place does each step look at most?"""
    steps = torch.arange(weights.shape[1])
    return (weights.argmax(dim=1) == steps.flip(0)).float().mean(), weights[:, steps, steps.flip(0)].mean()


@task.misconception
def averaged_before_argmax(weights):
    """You average the batch first and look for the largest weight of the mean map. A map that is right on average may
    be right in no sequence: compare each sequence, then average."""
    steps = torch.arange(weights.shape[1])
    return (weights.mean(dim=0).argmax(dim=-1) == steps.flip(0)).float().mean(), weights[:, steps, steps.flip(0)].mean()


@task.misconception
def mass_summed_up(weights):
    """Your mass is a sum over the steps, averaged over the batch. Asked for is the weight of a step on average, between
    0 and 1."""
    steps = torch.arange(weights.shape[1])
    hits, mass = measure_alignment(weights)
    return hits, mass * len(steps)


@task.misconception
def one_place_off(weights):
    """You compare with length − t. Places count from 0, so the last is length − 1, and step t belongs to length − 1 −
    t."""
    length = weights.shape[1]
    steps = torch.arange(length)
    place = length - steps
    return (weights.argmax(dim=-1) == place).float().mean(), weights[:, steps, place % length].mean()


# ---------------------------------------------------------------------------------------------------------------------
# The capstone

task = Exercise(
    "02.length_100", "Capstone: length 100 in two minutes",
    "Reverse sequences of 100 symbols out of 19 (`reversal(2000, 100, 20)`). Train for at most 120 seconds and give "
    "`reverse_100` the pair (predictor, seconds): a function from sources (n, 100) to predicted tokens (n, 100), NumPy "
    "arrays of whole numbers, and the seconds its training took (`fit(...).seconds`). It passes with 99 % of the "
    "tokens of 50 fresh sequences.",
    difficulty=5, minutes=45, points=5, kind="predictor", goal=0.99, limit=120, seconds=30,
    sizes=(dict(n=50),), signature="reverse_100 = (a function of source, seconds)",
    symptoms=(
        (0.20, "Attention alone stalls here: a state does not say at which place it stands, and the symbols repeat. "
               "What could tell it?"),
        (0.90, "It has begun to find the alignment. Is the gradient clipped, and the learning rate not above 0.01?"),
        (0.99, "Nearly: a stop rule such as reached(\"val_token_accuracy\", 0.99) trains until it is there."),
    ),
    starter="# Train for at most 120 seconds on reversal(2000, 100, 20), then:\n\nreverse_100 = (..., ...)   # a "
            "function from source (n, 100) to tokens (n, 100), and the seconds\n",
    hints=(
        "Look at the map of a model that stalls at length 100. Does it know where it is looking?",
        "Tell the encoder and the decoder the position: Seq2Seq takes position_units, the number of sinusoids that are "
        "joined to each input.",
        "Luong's wiring, dot scores, 32 units, 16 position units, batches of 50, learning rate 0.01, clip 1.0: about 5 "
        "epochs.",
    ),
    solution="""import torch
from coursekit.datasets import reversal
from coursekit.torch import Seq2Seq, fit, reached

pair_100, check_100 = (tuple(torch.from_numpy(array) for array in reversal(n, 100, 20, seed=n)) for n in (2000, 200))
model_100 = Seq2Seq(20, 32, attention="dot", wiring="luong", position_units=16)
history_100 = fit(model_100, pair_100, check_100, epochs=8, batch_size=50, learning_rate=0.01, clip=1.0,
                  stop=reached("val_token_accuracy", 0.995))

reverse_100 = (lambda source: model_100.greedy(torch.from_numpy(source)).numpy(), history_100.seconds)
""",
    explanation="With the position in its inputs, a state can ask for a place and not only for a symbol, and mirroring "
                "becomes a function of position alone. Lecture 04 takes these sinusoids apart.",
)


@task.reference
def reverse_100(source):
    return source[:, ::-1]


@task.draw
def draw(rng, n):
    return {"source": reversal(n, 100, 20, seed=int(rng.integers(2**31)))[0]}


@task.misconception
def source_copied(source):
    """Your predictor repeats the source in its own order. Is the target of the training reversed?"""
    return source


@task.misconception
def one_step_late(source):
    """Your predictor is one step late: each token stands one place after its own. Is a start symbol in the target?"""
    return np.roll(source[:, ::-1], 1, axis=1)


@task.misconception
def symbols_counted_from_zero(source):
    """Every token is one too small. Symbols run from 1 to 19, since 0 is padding; was 1 taken off for the training and
    not put back?"""
    return source[:, ::-1] - 1


@task.misconception
def batch_reversed(source):
    """Your predictor reverses the order of the sequences and not that of their steps: axis 1, not axis 0."""
    return source[::-1]
