"""Exercises of lecture 06: several heads."""

import numpy as np
import torch
import torch.nn as nn

from coursekit.exercises.call import Case
from coursekit.exercises.exercise import Exercise

LAYERS = ("coursekit.torch.MultiHeadAttention", "coursekit.torch.attention.MultiHeadAttention",
          "coursekit.keras.MultiHeadAttention", "coursekit.keras.attention.MultiHeadAttention")


# ---------------------------------------------------------------------------------------------------------------------
# Splitting into heads

task = Exercise(
    "06.split_heads", "Split into heads",
    "Write `split_heads`. Each head gets its own block of neighbouring units, head 0 the first, and the axis of heads "
    "comes before the axis of time.",
    difficulty=2, minutes=10, points=2,
    sizes=(dict(batch=1, length=3, n_heads=2, d_head=5), dict(batch=2, length=3, n_heads=4, d_head=5),
           dict(batch=3, length=4, n_heads=2, d_head=1), dict(batch=2, length=5, n_heads=3, d_head=3)),
    returns={"x": ("batch", "heads", "length", "d_head")},
    withhold=LAYERS,
    hints=(
        "Two steps: first cut the last axis into (heads, d_head), then move the axis of heads to its place.",
        "x.reshape(batch, length, n_heads, d_head) cuts each vector into blocks. It moves no number.",
        "After that the axes are (batch, length, heads, d_head), and axes 1 and 2 have to change places.",
    ),
    explanation="Reshape cuts along the units only, since the axes before them stay as they are. The transpose then "
                "puts heads before time, so that a matrix product over the last two axes works for each head alone.",
)


@task.reference
def split_heads(x, n_heads):
    """(batch, heads, length, d_head) of x (batch, length, d_model), where d_model is n_heads times d_head."""
    batch, length, d_model = x.shape
    return x.reshape(batch, length, n_heads, d_model // n_heads).transpose(0, 2, 1, 3)


@task.draw
def draw(rng, batch, length, n_heads, d_head):
    return {"x": rng.normal(size=(batch, length, n_heads * d_head)), "n_heads": n_heads}


@task.misconception
def reshaped_without_transpose(x, n_heads):
    """You reshape straight to (batch, heads, length, d_head). The shape is right and the numbers are not: a head
    gets all units of some tokens, not some units of all tokens. Cut the last axis first, then transpose."""
    batch, length, d_model = x.shape
    return x.reshape(batch, n_heads, length, d_model // n_heads)


@task.misconception
def heads_left_after_time(x, n_heads):
    """You cut the units into heads but leave the axes as (batch, length, heads, d_head). A product over the last
    two axes would let heads attend to heads: move heads before time."""
    batch, length, d_model = x.shape
    return x.reshape(batch, length, n_heads, d_model // n_heads)


@task.misconception
def units_dealt_out_in_turn(x, n_heads):
    """Your heads take every n_heads-th unit, because you cut into (d_head, heads). A head has neighbouring units:
    cut into (heads, d_head)."""
    batch, length, d_model = x.shape
    return x.reshape(batch, length, d_model // n_heads, n_heads).transpose(0, 3, 1, 2)


@task.misconception
def heads_and_d_head_swapped(x, n_heads):
    """You have d_head heads of n_heads units each. The number of heads is n_heads, and a head has d_model / n_heads
    units."""
    batch, length, d_model = x.shape
    return x.reshape(batch, length, d_model // n_heads, n_heads).transpose(0, 2, 1, 3)


@task.misconception
def time_and_units_swapped(x, n_heads):
    """Your last two axes are (d_head, length), as a transposed key has them. Asked for is (length, d_head)."""
    batch, length, d_model = x.shape
    return x.reshape(batch, length, n_heads, d_model // n_heads).transpose(0, 2, 3, 1)


# ---------------------------------------------------------------------------------------------------------------------
# Learned numbers

task = Exercise(
    "06.parameters", "The attention of one layer of GPT-3",
    "A layer of GPT-3 has `d_model` 12,288 and 96 heads. Taken as the layer of this section, with four projections and "
    "their biases, how many learned numbers does its attention have? Give `gpt3_attention` the number.",
    difficulty=1, minutes=5, points=1, kind="number",
    hints=("Which matrices are there, and what is the shape of each? Does the number of heads occur in it?",
           "Each of the four projections has d_model · d_model weights and d_model biases."),
    explanation="Four matrices of 12,288 × 12,288 and four biases: 604,028,928. Cut into 96 heads of 128 units or "
                "left as one head of 12,288, the number is the same.",
)


@task.reference
def gpt3_attention():
    d_model = 12288
    return 4 * (d_model * d_model + d_model)


@task.misconception
def once_for_each_head():
    """You counted full projections for each of the 96 heads. A head has only its 128 of the 12,288 units: all heads
    together have one full matrix for each projection."""
    return 96 * 4 * (12288 * 12288 + 12288)


@task.misconception
def output_projection_left_out():
    """That is three projections: query, key and value. The fourth, after the heads are put side by side, is
    missing."""
    return 3 * (12288 * 12288 + 12288)


@task.misconception
def biases_left_out():
    """You counted the four matrices but not their biases, 12,288 numbers each."""
    return 4 * 12288 * 12288


@task.misconception
def projections_within_the_head():
    """You gave a head matrices of 128 × 128. Its projections read the whole vector of 12,288 units: each is 12,288
    × 128."""
    return 96 * 4 * (128 * 128 + 128)


@task.misconception
def one_head_only():
    """That is one head. There are 96 of them in the layer, each with its block of 128 units of the four
    projections."""
    return 4 * (12288 * 128 + 128)


# ---------------------------------------------------------------------------------------------------------------------
# Heads add up

task = Exercise(
    "06.contributions", "What each head adds to the output",
    "The output projection without its bias, `W` (outputs, inputs), acts on the contexts of all heads side by side. "
    "Write `contributions`: what each head alone adds to the output. The sum over the heads is the layer's output.",
    difficulty=3, minutes=15, points=3,
    sizes=(dict(batch=1, n_heads=2, length=4, d_head=3), dict(batch=2, n_heads=3, length=4, d_head=5),
           dict(batch=3, n_heads=4, length=1, d_head=2)),
    returns={"contributions": ("batch", "heads", "length", "d_model")},
    withhold=LAYERS,
    hints=(
        "Side by side, head 0 stands in the first d_head units, head 1 in the next. Which entries of W multiply them?",
        "W is (outputs, inputs) and the contexts are its inputs: a head owns d_head columns of W and all rows.",
        "Head i adds contexts[:, i] @ W[:, i * d_head:(i + 1) * d_head].T, of shape (batch, length, d_model).",
    ),
    explanation="A matrix times vectors put side by side is the sum of its blocks of columns times each of them. So "
                "every head has its own output matrix (d_model, d_head), and each may write to all units.",
)


@task.reference
def contributions(contexts, W):
    """(batch, heads, length, d_model) of contexts (batch, heads, length, d_head) and W (d_model, d_model), outputs
    first."""
    n_heads, d_head = contexts.shape[1], contexts.shape[3]
    return np.einsum("bhqd,mhd->bhqm", contexts, W.reshape(len(W), n_heads, d_head))


@task.draw
def draw(rng, batch, n_heads, length, d_head):
    d_model = n_heads * d_head
    return {"contexts": rng.normal(size=(batch, n_heads, length, d_head)), "W": rng.normal(size=(d_model, d_model))}


@task.misconception
def W_not_transposed(contexts, W):
    """You multiply with a head's rows of W. W is (outputs, inputs) as in nn.Linear, and a context is an input: its
    block is d_head columns of W."""
    return contributions(contexts, W.T)


@task.misconception
def columns_dealt_out_in_turn(contexts, W):
    """You give head i the columns i, i + n_heads, i + 2 · n_heads and so on. Heads stand side by side: head i owns
    d_head neighbouring columns."""
    n_heads, d_head = contexts.shape[1], contexts.shape[3]
    return np.einsum("bhqd,mdh->bhqm", contexts, W.reshape(-1, d_head, n_heads))


@task.misconception
def every_head_the_first_block(contexts, W):
    """Every head uses the first d_head columns of W. Only head 0 owns those; each head has a block of its own."""
    return np.einsum("bhqd,md->bhqm", contexts, W[:, :contexts.shape[3]])


@task.misconception
def already_added_up(contexts, W):
    """You return the sum over the heads, which is the layer's output. Asked for is what each head adds, with an
    axis of heads."""
    return contributions(contexts, W).sum(axis=1)


@task.misconception
def outputs_cut_as_well(contexts, W):
    """Your heads write only into their own d_head units of the output. W mixes: each head may write to all d_model
    units."""
    n_heads, d_head = contexts.shape[1], contexts.shape[3]
    blocks = W.reshape(n_heads, d_head, n_heads, d_head)
    return np.einsum("bhqd,hmhd->bhqm", contexts, blocks)


# ---------------------------------------------------------------------------------------------------------------------
# The layer

task = Exercise(
    "06.multi_head", "Multi-head attention",
    "Write the layer as an `nn.Module` (or a Keras layer). It has four linear layers from `d_model` to `d_model` "
    "without bias, called `W_q`, `W_k`, `W_v` and `W_o`. The mask is boolean, `True` = may attend.",
    difficulty=4, minutes=25, points=4, kind="class",
    sizes=(dict(batch=1, queries=2, keys=4, n_heads=3, d_head=5), dict(batch=2, queries=4, keys=5, n_heads=3, d_head=1),
           dict(batch=3, queries=5, keys=6, n_heads=2, d_head=4),
           dict(batch=3, queries=5, keys=5, n_heads=4, d_head=2)),
    returns={"output": ("batch", "queries", "d_model")},
    withhold=(*LAYERS, "coursekit.reference.multi_head_attention", "torch.nn.MultiheadAttention",
              "torch.nn.functional.multi_head_attention_forward", "keras.layers.MultiHeadAttention",
              "keras.layers.GroupQueryAttention"),
    hints=(
        "In order: project, split into heads, attend, move the heads back, put them side by side, project with W_o.",
        "The scores are (batch, heads, queries, keys). The mask has no axis of heads yet: mask[:, None].",
        "Each head's scores are divided by the square root of its own size, d_head. Softmax goes along the keys.",
        "Heads move back by transpose(1, 2) before the last two axes are joined by flatten(2) or reshape.",
    ),
    explanation="Only the two reshapes and transposes are new against one head. The scale is that of a head, since a "
                "score is a sum of d_head products, and W_o lets each head write to every unit.",
    equivalent={
        "x.unflatten(-1, (self.n_heads, -1)).transpose(1, 2) -> x.unflatten(-1, (self.n_heads, -1)).transpose(2, 1), "
        "in q, k, v = (x.unflatten(-1, (self.n_heads, -1)).transpose(1, 2) for x in (self.W_q(query), self.W_k(key), "
        "self.W_v(key)))": "torch's transpose exchanges two axes, in whichever order they are named.",
        "(weights @ v).transpose(1, 2) -> (weights @ v).transpose(2, 1), in return self.W_o((weights @ v).transpose(1, "
        "2).flatten(2))": "torch's transpose exchanges two axes, in whichever order they are named.",
    },
)


@task.reference
class MultiHead(nn.Module):
    """[head_1; …; head_h] W_o, head_i = softmax(q_i k_iᵀ / √d_head) v_i; all four linear layers without bias."""

    def __init__(self, d_model, n_heads):
        super().__init__()
        self.n_heads = n_heads
        self.W_q, self.W_k, self.W_v, self.W_o = (nn.Linear(d_model, d_model, bias=False) for _ in range(4))

    def forward(self, query, key, mask):
        """Output (batch, queries, d_model) of query (batch, queries, d_model), key (batch, keys, d_model), which is
        the value too, and mask (batch, queries, keys), boolean, True = may attend."""
        q, k, v = (x.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)
                   for x in (self.W_q(query), self.W_k(key), self.W_v(key)))
        scores = q @ k.mT / q.shape[-1] ** 0.5
        weights = scores.masked_fill(~mask[:, None], float("-inf")).softmax(-1)
        return self.W_o((weights @ v).transpose(1, 2).flatten(2))


@task.draw
def draw(rng, batch, queries, keys, n_heads, d_head):
    d_model = n_heads * d_head
    mask = rng.random((batch, queries, keys)) < 0.6
    # Each query may attend to something, and not to everything: an inverted mask has no empty row either.
    mask[..., 0], mask[..., -1] = True, False
    return Case({"query": rng.normal(size=(batch, queries, d_model)), "key": rng.normal(size=(batch, keys, d_model)),
                 "mask": rng.permuted(mask, axis=-1)},
                init={"d_model": d_model, "n_heads": n_heads},
                weights={name: rng.normal(size=(d_model, d_model)) / d_model**0.5
                         for name in ("W_q", "W_k", "W_v", "W_o")})


class Parts(MultiHead):
    """The layer in parts, of which a misconception changes one."""

    def forward(self, query, key, mask):
        q, k, v = (self.split(x) for x in (self.W_q(query), self.W_k(key), self.W_v(key)))
        return self.W_o(self.merge(self.weigh(q @ k.transpose(2, 3) / self.scale(q), mask[:, None]) @ v))

    def split(self, x):
        return x.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)

    def merge(self, x):
        return x.transpose(1, 2).flatten(2)

    def scale(self, q):
        return q.shape[-1] ** 0.5

    def weigh(self, scores, mask):
        return scores.masked_fill(~mask, float("-inf")).softmax(-1)


@task.misconception
class scaled_by_d_model(Parts):
    """You divide the scores by the square root of d_model. A score is a sum over one head's d_head units, so the
    scale is the square root of d_head; yours makes the weights too even."""

    def scale(self, q):
        return self.W_q.weight.shape[0] ** 0.5


@task.misconception
class scale_forgotten(Parts):
    """You do not divide the scores by the square root of d_head: the weights are sharper than they should be."""

    def scale(self, q):
        return 1


@task.misconception
class heads_not_moved_back(Parts):
    """You join the axes without moving the heads back. The shape is right, but a row of your output mixes several
    queries: transpose (batch, heads, queries, d_head) to (batch, queries, heads, d_head) first."""

    def merge(self, x):
        return x.reshape(len(x), -1, self.W_o.weight.shape[1])


@task.misconception
class split_without_transpose(Parts):
    """You reshape straight to (batch, heads, length, d_head). A head then gets all units of some tokens. Cut the
    last axis into (heads, d_head), then transpose."""

    def split(self, x):
        return x.reshape(len(x), self.n_heads, x.shape[1], -1)


@task.misconception
class softmax_over_the_queries(Parts):
    """Your softmax goes along the queries. A query shares its attention among the keys: the last axis of the
    scores."""

    def weigh(self, scores, mask):
        # No row is all masked, but a column may be, and softmax of nothing is NaN.
        return scores.masked_fill(~mask, -1e30).softmax(-2).masked_fill(~mask, 0)


@task.misconception
class mask_upside_down(Parts):
    """You keep what should go. Here True means "may attend"; nn.MultiheadAttention has it the other way round."""

    def weigh(self, scores, mask):
        return super().weigh(scores, ~mask)


@task.misconception
class mask_not_used(Parts):
    """The mask has no say in your layer: forbidden keys get weight."""

    def weigh(self, scores, mask):
        return scores.softmax(-1)


@task.misconception
class mask_after_softmax(Parts):
    """You set weights to 0 after the softmax, so that a row no longer sums to 1. Mask the scores first."""

    def weigh(self, scores, mask):
        return scores.softmax(-1) * mask


@task.misconception
class weights_not_transposed(Parts):
    """You multiply x @ W. The check gives W_q, W_k, W_v and W_o the shape (outputs, inputs), as nn.Linear stores them,
    so a matrix of your own needs x @ W.T."""

    def forward(self, query, key, mask):
        q, k, v = (self.split(x) for x in (query @ self.W_q.weight, key @ self.W_k.weight, key @ self.W_v.weight))
        weights = self.weigh(q @ k.transpose(2, 3) / self.scale(q), mask[:, None])
        return self.merge(weights @ v) @ self.W_o.weight


@task.misconception
class output_projection_left_out(Parts):
    """You return the heads side by side. W_o comes after that: without it no unit of the output sees two heads."""

    def forward(self, query, key, mask):
        q, k, v = (self.split(x) for x in (self.W_q(query), self.W_k(key), self.W_v(key)))
        return self.merge(self.weigh(q @ k.transpose(2, 3) / self.scale(q), mask[:, None]) @ v)


# ---------------------------------------------------------------------------------------------------------------------
# A mask for another library

task = Exercise(
    "06.mask_for_torch", "A mask for nn.MultiheadAttention",
    "In this course `True` means \"may attend\". `nn.MultiheadAttention` takes `attn_mask` (batch · heads, queries, "
    "keys) in which `True` means \"forbidden\"; all heads of the first row of the batch come first. Write "
    "`mask_for_torch`.",
    difficulty=3, minutes=10, points=2, framework="torch",
    sizes=(dict(batch=2, queries=3, keys=4, n_heads=5), dict(batch=3, queries=5, keys=4, n_heads=2),
           dict(batch=4, queries=2, keys=5, n_heads=3), dict(batch=2, queries=3, keys=3, n_heads=4)),
    returns={"attn_mask": ("batch * heads", "queries", "keys")},
    hints=(
        "Two things change: the meaning of True, and the first axis, on which each mask stands once for each head.",
        "~mask inverts. Which of repeat and repeat_interleave gives the order first, first, second, second?",
    ),
    explanation="The library folds batch and heads into one axis, batch first, so each mask is repeated n_heads times "
                "in a row. An inverted mask raises no error, which is why this is worth a test.",
)


@task.reference
def mask_for_torch(mask, n_heads):
    """attn_mask (batch * n_heads, queries, keys), boolean, True = forbidden, of mask (batch, queries, keys),
    boolean, True = may attend."""
    return ~mask.repeat_interleave(n_heads, dim=0)


@task.draw
def draw(rng, batch, queries, keys, n_heads):
    mask = rng.random((batch, queries, keys)) < 0.6
    mask[0], mask[1] = np.tri(queries, keys, dtype=bool), np.arange(keys) < 1  # no two of a batch are alike
    return {"mask": mask, "n_heads": n_heads}


@task.misconception
def not_inverted(mask, n_heads):
    """Your True still means "may attend". The library would attend to exactly what it must not see, without an
    error."""
    return mask.repeat_interleave(n_heads, dim=0)


@task.misconception
def whole_batch_repeated(mask, n_heads):
    """You repeat the whole batch n_heads times, so head 1 of the first row gets the mask of another row. All heads
    of one row stand together: repeat_interleave."""
    return ~mask.repeat(n_heads, 1, 1)


@task.misconception
def queries_and_keys_swapped(mask, n_heads):
    """You swapped queries and keys. A row of the mask belongs to a query, in both conventions."""
    return mask_for_torch(mask.transpose(1, 2), n_heads)


@task.misconception
def axis_of_heads_kept(mask, n_heads):
    """Your mask has four axes, with heads on one of their own. This library takes three: join batch and heads."""
    return ~mask[:, None].expand(-1, n_heads, -1, -1)


@task.misconception
def one_mask_for_each_row(mask, n_heads):
    """You invert, but the first axis has only the batch. The library wants one mask for each head of each row."""
    return ~mask


@task.misconception
def numbers_for_booleans(mask, n_heads):
    """You give numbers. A mask of 0 and 1 as floating-point numbers is added to the scores and forbids nothing;
    keep it boolean."""
    return (~mask.repeat_interleave(n_heads, dim=0)).float()


# ---------------------------------------------------------------------------------------------------------------------
# A head among all heads

task = Exercise(
    "06.find_head", "Find the head, and say how special it is",
    "`weights` are those of a whole model for one sentence. A head *prefers* the token at `wanted` by its weight from "
    "`query` to `wanted` minus its weight from `query` to `other`. Write `find_head`, which returns three numbers: "
    "layer and number of the head that prefers it most, and the share of all heads whose preference is above zero.",
    difficulty=3, minutes=15, points=3,
    sizes=(dict(n_layers=2, n_heads=3, length=6), dict(n_layers=3, n_heads=5, length=7, common=True),
           dict(n_layers=4, n_heads=2, length=8), dict(n_layers=5, n_heads=4, length=9)),
    returns={"layer": (), "head": (), "share": ()},
    hints=(
        "Row query, column wanted: weights[:, :, query, wanted] has one number for each layer and head.",
        "argmax gives a place in the flattened array. np.unravel_index, or divmod by the number of heads, gives layer "
        "and head.",
    ),
    explanation="The largest of many numbers is large by choice. The share says how common the preference is, and a "
                "fresh set of sentences says whether it holds.",
    equivalent={
        "preference > 0 -> preference >= 0, in return (layer, head, (preference > 0).mean())":
            "No head is undecided here: two weights of a row are never equal.",
    },
)


@task.reference
def find_head(weights, query, wanted, other):
    """layer, head and share, three numbers, of weights (layers, heads, queries, keys) and three places in the
    sentence."""
    preference = weights[:, :, query, wanted] - weights[:, :, query, other]
    layer, head = np.unravel_index(preference.argmax(), preference.shape)
    return layer, head, (preference > 0).mean()


@task.draw
def draw(rng, n_layers, n_heads, length, common=False):
    while True:  # where the preference is common, until a mean in the place of zero makes a difference
        case = draw_weights(rng, n_layers, n_heads, length, common)
        answers = {answer(**case) for answer in (find_head, share_above_the_mean, less_the_mean_of_the_layer)}
        if not common or len(answers) == 3:
            return case


def draw_weights(rng, n_layers, n_heads, length, common):
    scores = 0.3 * rng.normal(size=(n_layers, n_heads, length, length))
    query, wanted, other = (int(place) for place in rng.permutation(length)[:3])
    step = rng.uniform(0.2, 0.7, (n_layers, n_heads)) * rng.choice([-1, 1], (n_layers, n_heads))  # nobody is undecided
    scores[..., query, wanted] = scores[..., query, other] + step
    # The head to find does not have the number of its layer. Its neighbour prefers the other token still more. Where
    # the preference is common, its whole layer has it, and another layer has one such head. In other layers, one
    # head looks most at the wanted token, but at the other as well; one looks at neither, but 54 to 1.
    places = rng.permutation([(i, j) for i in range(n_layers) for j in range(n_heads) if i != j]).tolist()
    layer, head = places[0]
    both, neither, *rest = [place for place in places if place[0] != layer]
    if common:
        scores[layer, :, query, wanted], scores[layer, :, query, other] = 0.8, -2.0
    alone, values = (rest[0], (1.0, -2.0)) if common else ((layer, head - 1), (-2.0, 2.0))
    for place, values in (((layer, head), (1.2, -2.0)), (alone, values), (both, (5.0, 4.9)), (neither, (-0.5, -4.5))):
        scores[*place, query, [wanted, other]] = values
    powers = np.exp(scores)
    return {"weights": powers / powers.sum(-1, keepdims=True), "query": query, "wanted": wanted, "other": other}


@task.misconception
def only_the_wanted_weight(weights, query, wanted, other):
    """You look for the largest weight on the wanted token. A head that looks at both tokens alike does not prefer
    it: take the difference."""
    weight = weights[:, :, query, wanted]
    return *np.unravel_index(weight.argmax(), weight.shape), find_head(weights, query, wanted, other)[2]


@task.misconception
def larger_in_either_direction(weights, query, wanted, other):
    """You compare the sizes of the differences. A head that prefers the other token has a large difference too, but
    with a minus sign."""
    size = np.abs(weights[:, :, query, wanted] - weights[:, :, query, other])
    return *np.unravel_index(size.argmax(), size.shape), find_head(weights, query, wanted, other)[2]


@task.misconception
def quotient_of_the_weights(weights, query, wanted, other):
    """You divide one weight by the other. A head that looks at neither of the two can have a large quotient; asked for
    is the difference."""
    quotient = weights[:, :, query, wanted] / weights[:, :, query, other]
    return *np.unravel_index(quotient.argmax(), quotient.shape), find_head(weights, query, wanted, other)[2]


@task.misconception
def query_and_key_swapped(weights, query, wanted, other):
    """You read the weights from the two tokens to the query. A row belongs to the token that asks: weights[:, :,
    query, wanted]."""
    return find_head(weights.swapaxes(2, 3), query, wanted, other)


@task.misconception
def wanted_and_other_swapped(weights, query, wanted, other):
    """You found the head that prefers the other token: the sign of the difference is turned round."""
    return find_head(weights, query, other, wanted)


@task.misconception
def counted_and_not_shared(weights, query, wanted, other):
    """You return how many heads prefer the token. Asked for is their share, between 0 and 1."""
    layer, head, share = find_head(weights, query, wanted, other)
    return layer, head, share * weights.shape[0] * weights.shape[1]


@task.misconception
def share_above_the_mean(weights, query, wanted, other):
    """Your share is that of the heads above the mean preference. Asked for is above zero: some heads are
    above the mean even where none prefers the token."""
    preference = weights[:, :, query, wanted] - weights[:, :, query, other]
    return *find_head(weights, query, wanted, other)[:2], (preference > preference.mean()).mean()


@task.misconception
def less_the_mean_of_the_layer(weights, query, wanted, other):
    """You compare each head with the mean of its layer. That finds the head most unlike its neighbours; asked for is
    the one with the largest preference of all."""
    preference = weights[:, :, query, wanted] - weights[:, :, query, other]
    above = preference - preference.mean(axis=1, keepdims=True)
    return *np.unravel_index(above.argmax(), above.shape), find_head(weights, query, wanted, other)[2]


@task.misconception
def layer_and_head_swapped(weights, query, wanted, other):
    """Layer and head have changed places: the layer is the first axis of the weights."""
    layer, head, share = find_head(weights, query, wanted, other)
    return head, layer, share
