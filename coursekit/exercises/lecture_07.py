"""Exercises of lecture 07: the Transformer layer."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import coursekit.reference as reference
from coursekit.exercises.call import Case
from coursekit.exercises.exercise import Exercise


# ---------------------------------------------------------------------------------------------------------------------
# Layer norm

task = Exercise(
    "07.layer_norm", "Layer norm",
    "Write `normalise_tokens`: subtract from each token's vector its mean, divide by the root of its variance (the "
    "mean of the squared deviations) plus epsilon, multiply by `scale` and add `shift`.",
    difficulty=1, minutes=10, points=2,
    sizes=(dict(batch=2, length=3, d_model=4, epsilon=0.25), dict(batch=3, length=2, d_model=5, epsilon=0.1),
           dict(batch=4, length=6, d_model=3, epsilon=0.5)),
    returns={"normalised": ("batch", "length", "d_model")},
    withhold=("coursekit.reference.layer_norm", "torch.nn.LayerNorm", "torch.nn.functional.layer_norm",
              "torch.layer_norm", "torch.native_layer_norm", "torch.nn.GroupNorm", "torch.nn.functional.group_norm",
              "torch.group_norm", "torch.nn.functional.instance_norm", "torch.instance_norm",
              "keras.layers.LayerNormalization", "keras.layers.GroupNormalization", "keras.ops.layer_normalization",
              "keras.ops.nn.layer_normalization"),
    hints=(
        "Each token has a mean of its own: the mean over the last axis, kept as an axis of length 1.",
        "np.var divides by the number of values, which is what is asked for. torch.var divides by one less unless told "
        "otherwise.",
        "epsilon is added to the variance, and the root is taken of the sum.",
    ),
    explanation="Everything happens inside one vector, so neither the length of the sentence nor its neighbours in the "
                "batch matter. epsilon keeps a vector of equal numbers from giving 0/0.",
)


@task.reference
def normalise_tokens(x, scale, shift, epsilon):
    """x (batch, length, d_model) normalised over its last axis, in the same shape; scale and shift (d_model,), epsilon
    a number."""
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = (centred ** 2).mean(axis=-1, keepdims=True)
    return centred / np.sqrt(variance + epsilon) * scale + shift


@task.draw
def draw(rng, batch, length, d_model, epsilon):
    return {"x": rng.normal(1.0, 0.8, size=(batch, length, d_model)), "scale": rng.uniform(0.5, 2.0, size=d_model),
            "shift": rng.normal(size=d_model), "epsilon": epsilon}


def normalised_over(axis, x, scale, shift, epsilon):
    variance = x.var(axis=axis, keepdims=True)
    return (x - x.mean(axis=axis, keepdims=True)) / np.sqrt(variance + epsilon) * scale + shift


@task.misconception
def unbiased_variance(x, scale, shift, epsilon):
    """Your variance divides by n − 1, as torch.var and torch.std do by default. Layer norm divides by n, the number of
    units."""
    variance = x.var(axis=-1, keepdims=True, ddof=1)
    return (x - x.mean(axis=-1, keepdims=True)) / np.sqrt(variance + epsilon) * scale + shift


@task.misconception
def epsilon_outside_the_root(x, scale, shift, epsilon):
    """You add epsilon to the standard deviation. It belongs inside the root, to the variance."""
    deviation = x.std(axis=-1, keepdims=True)
    return (x - x.mean(axis=-1, keepdims=True)) / (deviation + epsilon) * scale + shift


@task.misconception
def epsilon_forgotten(x, scale, shift, epsilon):
    """epsilon has no say in your result. A vector of equal numbers would give 0/0."""
    return normalise_tokens(x, scale, shift, 0.0)


@task.misconception
def statistics_over_time(x, scale, shift, epsilon):
    """Your mean runs over the tokens of a sentence. Each token is normalised by itself, over its units: the last axis.
    Otherwise padding and later tokens would change the earlier ones."""
    return normalised_over(1, x, scale, shift, epsilon)


@task.misconception
def statistics_over_the_batch(x, scale, shift, epsilon):
    """Your mean runs over the sentences of a batch: that is batch norm. Layer norm uses one token's vector only: the
    last axis."""
    return normalised_over(0, x, scale, shift, epsilon)


@task.misconception
def one_mean_for_everything(x, scale, shift, epsilon):
    """You take one mean and one variance of the whole array. Each token has its own: axis=-1, keepdims=True."""
    return normalised_over(None, x, scale, shift, epsilon)


@task.misconception
def scale_and_shift_left_out(x, scale, shift, epsilon):
    """You normalise and stop there. scale and shift (gamma and beta), which are learned, follow."""
    return normalise_tokens(x, 1.0, 0.0, epsilon)


@task.misconception
def shift_before_scale(x, scale, shift, epsilon):
    """You add shift and then multiply by scale. Scale first: shift is not scaled."""
    return (normalise_tokens(x, 1.0, 0.0, epsilon) + shift) * scale


@task.misconception
def root_forgotten(x, scale, shift, epsilon):
    """You divide by the variance. Divide by its root: otherwise doubling x would halve the result."""
    return (x - x.mean(axis=-1, keepdims=True)) / (x.var(axis=-1, keepdims=True) + epsilon) * scale + shift


@task.misconception
def mean_not_subtracted(x, scale, shift, epsilon):
    """Your mean is not subtracted from x: you divide x by its root mean square. That is RMSNorm, another norm."""
    return x / np.sqrt((x ** 2).mean(axis=-1, keepdims=True) + epsilon) * scale + shift


# ---------------------------------------------------------------------------------------------------------------------
# The feed-forward network

task = Exercise(
    "07.feed_forward", "The same network at every position",
    "Write `position_wise`, the feed-forward network $W_2\\,\\text{relu}(W_1 x + b_1) + b_2$, applied to the vector of "
    "each position.",
    difficulty=2, minutes=10, points=2,
    sizes=(dict(batch=2, length=5, d_model=3, d_ff=7), dict(batch=3, length=4, d_model=4, d_ff=6),
           dict(batch=4, length=2, d_model=5, d_ff=8), dict(batch=2, length=3, d_model=6, d_ff=9)),
    returns={"output": ("batch", "length", "d_model")},
    withhold=("coursekit.reference.feed_forward", "coursekit.torch.FeedForward",
              "coursekit.torch.transformer.FeedForward", "coursekit.keras.FeedForward",
              "coursekit.keras.transformer.FeedForward"),
    hints=(
        "For one vector it is W1 @ vector. For vectors in the last axis of an array it is x @ W1.T.",
        "The first layer gives d_ff units, relu keeps those above 0, and the second layer goes back to d_model.",
    ),
    explanation="A matrix product from the right acts on the last axis, so every position of every sentence goes "
                "through the same two matrices, and no position sees another.",
    equivalent={
        "np.maximum(x @ W1.T + b1, 0) -> np.maximum(0, x @ W1.T + b1), in hidden = np.maximum(x @ W1.T + b1, 0)":
            "The larger of two numbers does not depend on their order.",
    },
)


@task.reference
def position_wise(x, W1, b1, W2, b2):
    """The output (batch, length, d_model) for x (batch, length, d_model), W1 (d_ff, d_model), b1 (d_ff,), W2 (d_model,
    d_ff) and b2 (d_model,)."""
    hidden = np.maximum(x @ W1.T + b1, 0)
    return hidden @ W2.T + b2


@task.draw
def draw(rng, batch, length, d_model, d_ff):
    return {"x": rng.normal(size=(batch, length, d_model)), "W1": 0.7 * rng.normal(size=(d_ff, d_model)),
            "b1": 0.7 * rng.normal(size=d_ff), "W2": 0.7 * rng.normal(size=(d_model, d_ff)),
            "b2": 0.7 * rng.normal(size=d_model)}


@task.misconception
def W_applied_along_time(x, W1, b1, W2, b2):
    """W1 and W2 multiply the axis of time: they mix positions. That runs only where the length happens to equal
    d_model. They act on the units, the last axis: x @ W1.T."""
    hidden = np.maximum(W1 @ x + b1[:, None], 0)
    return W2 @ hidden + b2[:, None]


@task.misconception
def activation_forgotten(x, W1, b1, W2, b2):
    """There is no relu. Then W2 W1 is a single matrix of d_model × d_model numbers, and all of d_ff is wasted."""
    return (x @ W1.T + b1) @ W2.T + b2


@task.misconception
def activation_after_the_second_layer(x, W1, b1, W2, b2):
    """Your relu stands at the end. It belongs between the two layers; the output may be negative."""
    return np.maximum((x @ W1.T + b1) @ W2.T + b2, 0)


@task.misconception
def activation_twice(x, W1, b1, W2, b2):
    """A second relu stands at the end of yours. The output is added to x and must be able to lower it: no activation
    there."""
    return np.maximum(position_wise(x, W1, b1, W2, b2), 0)


@task.misconception
def first_bias_missing(x, W1, b1, W2, b2):
    """b1 is missing. It decides from where on each unit of the hidden layer is active."""
    return position_wise(x, W1, 0.0, W2, b2)


@task.misconception
def first_bias_after_the_activation(x, W1, b1, W2, b2):
    """You add b1 after the relu. It belongs inside, where it moves the point from which a unit is active."""
    return (np.maximum(x @ W1.T, 0) + b1) @ W2.T + b2


@task.misconception
def second_bias_missing(x, W1, b1, W2, b2):
    """b2 is missing, the bias of the layer that goes back to d_model."""
    return position_wise(x, W1, b1, W2, 0.0)


@task.misconception
def mean_of_the_positions(x, W1, b1, W2, b2):
    """You feed the mean of all positions through the network, so that every position gets the same. Each position goes
    through it on its own."""
    return position_wise(np.broadcast_to(x.mean(axis=1, keepdims=True), x.shape), W1, b1, W2, b2)


# ---------------------------------------------------------------------------------------------------------------------
# GELU

task = Exercise(
    "07.gelu", "The exact GELU",
    "BERT's activation is $\\text{gelu}(x) = x\\,\\Phi(x)$, where $\\Phi(x) = (1 + \\text{erf}(x / \\sqrt 2)) / 2$ is "
    "the share of a normal distribution below x. Write `exact_gelu`, by erf and not by one of the approximations. "
    "`math.erf` takes one number at a time, `torch.erf` takes a tensor.",
    difficulty=2, minutes=8, points=2,
    sizes=(dict(batch=2, units=3), dict(batch=3, units=5), dict(batch=4, units=7)),
    returns={"activated": ("batch", "units")},
    withhold=("coursekit.reference.gelu", "coursekit.keras.transformer.gelu", "coursekit.keras.transformer.ACTIVATIONS",
              "coursekit.torch.transformer.ACTIVATIONS", "torch.nn.GELU", "torch.nn.functional.gelu",
              "torch.ops.aten.gelu", "keras.activations.gelu", "keras.activations.get", "keras.layers.Activation",
              "keras.ops.gelu", "keras.ops.nn.gelu", "transformers.activations.ACT2FN",
              "transformers.activations.GELUActivation"),
    hints=(
        "np.vectorize(math.erf) makes a function of arrays.",
        "x is multiplied by a number between 0 and 1 that grows with x: half at 0, nearly all at 3.",
    ),
    explanation="GELU lets a number through in proportion to how large it is among normally distributed ones. The tanh "
                "formula differs from it by up to 0.0005; which one a model was trained with is part of the model.",
)


@task.reference
def exact_gelu(x):
    """gelu of x (batch, units), element by element, in the same shape."""
    share_below = (1 + np.vectorize(math.erf)(x / np.sqrt(2))) / 2
    return x * share_below


@task.draw
def draw(rng, batch, units):
    x = rng.uniform(-2.5, 2.5, size=(batch, units))
    x[0, 0] = rng.uniform(2.6, 2.8)  # where the approximation by tanh is farthest off
    return {"x": x}


@task.misconception
def approximation_by_tanh(x):
    """That is the approximation by tanh, which GPT-2 uses. It is off by up to 0.0005 in each number; BERT uses erf."""
    return x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x ** 3))) / 2


@task.misconception
def approximation_by_sigmoid(x):
    """That is x · sigmoid(1.702 x), the rough approximation, off by up to 0.02. Use erf."""
    return x / (1 + np.exp(-1.702 * x))


@task.misconception
def silu(x):
    """That is x · sigmoid(x), called SiLU or swish. GELU has the normal distribution in place of the sigmoid."""
    return x / (1 + np.exp(-x))


@task.misconception
def relu(x):
    """That is relu. GELU is smooth, and a little below 0 for negative x."""
    return np.maximum(x, 0)


@task.misconception
def root_of_2_forgotten(x):
    """Inside erf, x is divided by √2: erf is scaled so that its bell curve has variance 1/2."""
    return x * (1 + np.vectorize(math.erf)(x)) / 2


@task.misconception
def half_forgotten(x):
    """Your result is twice too large: 1 + erf runs from 0 to 2, so divide by 2."""
    return 2 * exact_gelu(x)


@task.misconception
def x_not_multiplied(x):
    """You return Φ(x), the share itself. GELU is x times that share."""
    return (1 + np.vectorize(math.erf)(x / np.sqrt(2))) / 2


# ---------------------------------------------------------------------------------------------------------------------
# Counting

task = Exercise(
    "07.layer_parameters", "One layer of BERT-large",
    "BERT-large has layers with d_model 1024, 16 heads and d_ff 4096. How many numbers does one of them learn, biases "
    "and norms included? Give `large_layer` that number.",
    difficulty=2, minutes=8, points=2, kind="number",
    hints=(
        "Four parts: attention, its norm, the feed-forward network, its norm. The residual connections learn nothing.",
        "Attention has four projections, 1024 × 1024 each, with a bias each. How often do the 16 heads enter?",
        "The feed-forward network has two matrices of 1024 × 4096; one bias has 4096 numbers, the other 1024.",
    ),
    explanation="4 (D² + D) for attention, 2 D F + F + D for the feed-forward network, 2 · 2 D for the norms. With "
                "F = 4 D that is 12 D² + 13 D, of which the feed-forward network has two thirds.",
)


@task.reference
def large_layer():
    D, F = 1024, 4096
    attention = 4 * (D * D + D)
    feed_forward = 2 * D * F + F + D
    return attention + feed_forward + 2 * 2 * D


@task.misconception
def biases_left_out():
    """Besides the matrices you count 4 · 1024 numbers. The norms alone have so many, and so have the biases of
    attention. The biases of all linear layers, one number for each output, are 9 · 1024."""
    return 12 * 1024 ** 2 + 4 * 1024


@task.misconception
def matrices_alone():
    """Those are the matrices. Biases and norms are missing."""
    return 12 * 1024 ** 2


@task.misconception
def norms_left_out():
    """The two norms are missing. Each has a scale and a shift of d_model numbers."""
    return 12 * 1024 ** 2 + 9 * 1024


@task.misconception
def one_norm():
    """You counted one norm. A layer has two: one for attention, one for the feed-forward network."""
    return 12 * 1024 ** 2 + 11 * 1024


@task.misconception
def output_projection_forgotten():
    """You counted three projections: query, key and value. The fourth recombines the heads."""
    return 11 * 1024 ** 2 + 12 * 1024


@task.misconception
def every_head_of_full_width():
    """You gave each of the 16 heads projections of full width. A head has 1024 / 16 = 64 units: all heads together
    have one d_model × d_model matrix each for query, key and value."""
    return 16 * 3 * (1024 ** 2 + 1024) + 1024 ** 2 + 1024 + 8 * 1024 ** 2 + 9 * 1024


@task.misconception
def second_matrix_forgotten():
    """You counted the matrix to d_ff but not the one back to d_model."""
    return 8 * 1024 ** 2 + 13 * 1024


# ---------------------------------------------------------------------------------------------------------------------
# A choice

task = Exercise(
    "07.which_order", "Which order is this code?",
    "A repository says that it follows the paper: a norm after each residual sum. This is its code.\n\n"
    "```\ndef block(x):\n    h = norm_a(x)\n    x = x + attention(h, h, h)\n    h = norm_b(x)\n    return x + mlp(h)\n\n\n"
    "def encoder(x):\n    for block in blocks:\n        x = block(x)\n    return x\n```\n\n"
    "Which order is it, and is anything missing? Give `norm_order` the letter.",
    difficulty=2, minutes=4, points=1, kind="choice",
    options={
        "a": ("Post-norm, as the repository says: norm_b stands after the first residual sum.",
              "It does, but what it gives goes into the mlp only. In post-norm the sum itself is replaced by its "
              "norm, and the next sum starts from that; here x stays as it was."),
        "b": ("Pre-norm, and nothing is missing: every part gets a normalised input.",
              "The order is right. But every norm here stands before a part. Which norm has the sum that leaves the "
              "last block passed through?"),
        "c": ("Pre-norm, and the last norm is missing: what leaves the encoder is a sum that no norm has seen.",
              "Follow x: it is only added to, from the input to the return. Its size grows with the number of blocks, "
              "and whatever comes after the encoder has to live with that."),
        "d": ("Neither: norm_a is pre-norm, norm_b is post-norm.",
              "Both do the same: a norm makes the input of a part, and the part's output is added to x itself."),
        "e": ("It cannot be told without the weights.",
              "The order is a matter of wiring. The weights of a layer have the same names and shapes in both orders, "
              "so that the weights are what would not tell."),
    },
    hints=("Follow x from top to bottom. Is it ever replaced by something that a norm gave?",
           "In post-norm the last thing that a block does is a norm. And here, what is the last thing of all?"),
    explanation="x is only added to, and each norm stands at the entrance of a part: that is pre-norm, whatever the text "
                "says. A stack of such layers ends with one more norm, and this one does not.",
)


@task.reference
def norm_order():
    return "c"


# ---------------------------------------------------------------------------------------------------------------------
# Both orders

task = Exercise(
    "07.both_orders", "One layer, both orders",
    "Assemble a small layer in both orders, as an `nn.Module`. Its parts are\n\n"
    "- attention with fixed weights: `mixing @ x`;\n"
    "- a feed-forward network without biases: $W_2\\,\\text{relu}(W_1 x)$ at each position, `W1` and `W2` being linear "
    "layers;\n"
    "- a norm without scale and shift, with epsilon 1e-5: `F.layer_norm(x, x.shape[-1:])` in PyTorch.\n\n"
    "It is pre-norm if `norm_first` is true and post-norm otherwise.",
    difficulty=3, minutes=15, points=3, kind="class",
    sizes=(dict(batch=2, length=3, d_model=5, d_ff=12, norm_first=False),
           dict(batch=3, length=2, d_model=4, d_ff=9, norm_first=True),
           dict(batch=3, length=4, d_model=6, d_ff=16, norm_first=False),
           dict(batch=4, length=3, d_model=5, d_ff=8, norm_first=True)),
    returns={"output": ("batch", "length", "d_model")},
    hints=(
        "Write the parts as small functions inside forward first; then each order is two lines.",
        "Post-norm: x = norm(x + part(x)), once for each part.",
        "Pre-norm: x = x + part(norm(x)), once for each part. What is added to is x, not norm(x).",
    ),
    explanation="The parts are the same and so are their weights. What differs is where the sum goes: post-norm "
                "normalises it, pre-norm hands it on as it is.",
)


@task.reference
class SmallLayer(nn.Module):
    """Attention with fixed weights, then relu between W1 and W2, linear layers without bias, at each position."""

    def __init__(self, d_model, d_ff, norm_first):
        super().__init__()
        self.W1 = nn.Linear(d_model, d_ff, bias=False)
        self.W2 = nn.Linear(d_ff, d_model, bias=False)
        self.norm_first = norm_first

    def forward(self, x, mixing):
        """The output (batch, length, d_model) for x (batch, length, d_model) and mixing (length, length)."""
        def norm(x):
            return F.layer_norm(x, x.shape[-1:])

        def feed_forward(x):
            return self.W2(torch.relu(self.W1(x)))

        if self.norm_first:
            x = x + mixing @ norm(x)
            return x + feed_forward(norm(x))
        x = norm(x + mixing @ x)
        return norm(x + feed_forward(x))


@task.draw
def draw(rng, batch, length, d_model, d_ff, norm_first):
    powers = np.exp(rng.normal(size=(length, length)))
    return Case({"x": rng.normal(0.5, 1.5, size=(batch, length, d_model)),
                 "mixing": powers / powers.sum(axis=1, keepdims=True)},
                init={"d_model": d_model, "d_ff": d_ff, "norm_first": norm_first},
                weights={"W1": 0.7 * rng.normal(size=(d_ff, d_model)), "W2": 0.7 * rng.normal(size=(d_model, d_ff))})


def norm(x):
    return F.layer_norm(x, x.shape[-1:])


def feed_forward(layer, x):
    return layer.W2(torch.relu(layer.W1(x)))


@task.misconception
class always_post_norm(SmallLayer):
    """Your post-norm is right, and norm_first changes nothing. With it, each norm moves to the entrance of its part."""

    def __init__(self, d_model, d_ff, norm_first):
        super().__init__(d_model, d_ff, False)


@task.misconception
class always_pre_norm(SmallLayer):
    """Your pre-norm is right and is used in both cases. Without norm_first, the sum is normalised."""

    def __init__(self, d_model, d_ff, norm_first):
        super().__init__(d_model, d_ff, True)


@task.misconception
class orders_swapped(SmallLayer):
    """Both orders are right, each in the place of the other. norm_first means that the norm comes before the part."""

    def __init__(self, d_model, d_ff, norm_first):
        super().__init__(d_model, d_ff, not norm_first)


@task.misconception
class residual_from_the_normalised_x(SmallLayer):
    """In your pre-norm the residual is norm(x). Keep x itself: x + part(norm(x)). Otherwise nothing is carried through
    the stack unchanged."""

    def forward(self, x, mixing):
        if not self.norm_first:
            return super().forward(x, mixing)
        x = norm(x) + mixing @ norm(x)
        return norm(x) + feed_forward(self, norm(x))


@task.misconception
class sum_not_normalised(SmallLayer):
    """In your post-norm the norm is around the part alone: x + norm(part(x)). It belongs around the sum."""

    def forward(self, x, mixing):
        if self.norm_first:
            return super().forward(x, mixing)
        x = x + norm(mixing @ x)
        return x + norm(feed_forward(self, x))


@task.misconception
class first_residual_missing(SmallLayer):
    """The residual connection around attention is missing: x is replaced by what attention gives."""

    def forward(self, x, mixing):
        if self.norm_first:
            x = mixing @ norm(x)
            return x + feed_forward(self, norm(x))
        x = norm(mixing @ x)
        return norm(x + feed_forward(self, x))


@task.misconception
class second_residual_missing(SmallLayer):
    """The residual connection around the feed-forward network is missing."""

    def forward(self, x, mixing):
        if self.norm_first:
            return feed_forward(self, norm(x + mixing @ norm(x)))
        return norm(feed_forward(self, norm(x + mixing @ x)))


@task.misconception
class second_residual_from_the_input(SmallLayer):
    """Your second sum adds the layer's input. It adds what goes into the second half, which attention has changed
    already."""

    def forward(self, x, mixing):
        if self.norm_first:
            return x + feed_forward(self, norm(x + mixing @ norm(x)))
        return norm(x + feed_forward(self, norm(x + mixing @ x)))


@task.misconception
class last_norm_in_every_layer(SmallLayer):
    """Your pre-norm layer ends with one more norm. That one belongs to the stack, after its last layer."""

    def forward(self, x, mixing):
        output = super().forward(x, mixing)
        return norm(output) if self.norm_first else output


# ---------------------------------------------------------------------------------------------------------------------
# A whole encoder

task = Exercise(
    "07.encoder", "A whole encoder, from its weights",
    "Write `pre_norm_encoder` in NumPy: as many pre-norm layers as there are weights, and the last norm. No linear layer "
    "has a bias, and the activation is relu.\n\n"
    "- `attention` holds the matrices W_q, W_k, W_v and W_o of each layer, outputs first; `expand` and `contract` hold "
    "those of its feed-forward network.\n"
    "- `real` is True at tokens and False at padding, to which nobody may attend.\n"
    "- `reference.layer_norm(x, 1, 0)` is the norm, without scale and shift. `reference.softmax(scores, mask=...)` gives "
    "weights, 0 where the mask is False.",
    difficulty=5, minutes=35, points=5,
    sizes=(dict(batch=2, length=5, n_heads=3, d_head=4, d_ff=9, n_layers=1),
           dict(batch=4, length=6, n_heads=3, d_head=5, d_ff=8, n_layers=2),
           dict(batch=1, length=4, n_heads=5, d_head=2, d_ff=11, n_layers=3)),
    returns={"output": ("batch", "length", "d_model")},
    withhold=("coursekit.reference.encoder_layer", "coursekit.torch.EncoderLayer", "coursekit.torch.Encoder",
              "coursekit.torch.transformer.EncoderLayer", "coursekit.torch.transformer.Encoder",
              "coursekit.keras.EncoderLayer", "coursekit.keras.Encoder", "coursekit.keras.transformer.EncoderLayer",
              "coursekit.keras.transformer.Encoder", "torch.nn.TransformerEncoderLayer",
              "torch.nn.TransformerEncoder"),
    hints=(
        "Write one layer first, as section 8 has it: x + attention(norm(x)), then x + FFN(norm(x)) with the new x. The "
        "second case has two layers.",
        "Attention: three products with normed @ W.T, each cut into (batch, heads, length, d_head); scores; weights; "
        "heads back beside each other; the product with W_o.",
        "The scores are (batch, heads, queries, keys), and real is (batch, keys): real[:, None, None].",
        "zip(attention, expand, contract) gives the weights of one layer after the other. The last norm is outside of "
        "the loop.",
    ),
    explanation="Every line is a part of this lecture or of the one before. In pre-norm x itself runs through the whole "
                "stack and is only added to; a part sees x through a norm, and so does whoever reads the output. With "
                "biases, scale and shift it is the encoder of section 9, with norm_first=True.",
)


@task.reference
def pre_norm_encoder(x, real, attention, expand, contract, n_heads):
    """The output (batch, length, d_model) for x (batch, length, d_model), real (batch, length), boolean, attention
    (layers, 4, d_model, d_model), expand (layers, d_ff, d_model) and contract (layers, d_model, d_ff)."""
    def norm(x):
        return reference.layer_norm(x, 1, 0)

    def split(x):
        return x.reshape(*x.shape[:2], n_heads, x.shape[2] // n_heads).transpose(0, 2, 1, 3)

    for (W_q, W_k, W_v, W_o), W1, W2 in zip(attention, expand, contract):
        normed = norm(x)
        q, k, v = (split(normed @ W.T) for W in (W_q, W_k, W_v))
        scores = np.einsum("bhqd,bhkd->bhqk", q, k) / np.sqrt(q.shape[3])
        weights = reference.softmax(scores, mask=real[:, None, None])
        x = x + (weights @ v).transpose(0, 2, 1, 3).reshape(x.shape) @ W_o.T
        x = x + reference.relu(norm(x) @ W1.T) @ W2.T
    return norm(x)


@task.draw
def draw(rng, batch, length, n_heads, d_head, d_ff, n_layers):
    d_model = n_heads * d_head
    # Every sentence has padding, so that a mask upside down has no empty row either.
    real = np.arange(length) < rng.integers(2, length, size=(batch, 1))
    return {"x": rng.normal(0.5, 1.5, size=(batch, length, d_model)), "real": real,
            "attention": rng.normal(size=(n_layers, 4, d_model, d_model)) / d_model ** 0.5,
            "expand": rng.normal(size=(n_layers, d_ff, d_model)) / d_model ** 0.5,
            "contract": rng.normal(size=(n_layers, d_model, d_ff)) / d_ff ** 0.5, "n_heads": n_heads}


def same(x):
    return x


class EncoderParts:
    """The encoder in parts, of which a misconception changes one."""

    def __call__(self, x, real, attention, expand, contract, n_heads):
        self.real, self.n_heads = real, n_heads
        for matrices, W1, W2 in zip(attention, expand, contract):
            x = self.layer(x, matrices, W1, W2)
        return self.last(x)

    def layer(self, x, matrices, W1, W2):
        x = x + self.attend(self.norm(x), self.norm(x), matrices)
        return x + self.network(self.norm(x), W1, W2)

    def attend(self, x, carries, matrices):
        W_q, W_k, W_v, W_o = matrices
        q, k, v = self.split(x @ W_q.T), self.split(x @ W_k.T), self.split(carries @ W_v.T)
        weights = reference.softmax(q @ k.swapaxes(2, 3) / self.scale(q), mask=self.mask())
        return self.combine(self.merge(weights @ v), W_o)

    def norm(self, x):
        return reference.layer_norm(x, 1, 0)

    last = norm

    def split(self, x):
        return x.reshape(*x.shape[:2], self.n_heads, -1).swapaxes(1, 2)

    def merge(self, contexts):
        return contexts.swapaxes(1, 2).reshape(len(contexts), contexts.shape[2], -1)

    def scale(self, q):
        return np.sqrt(q.shape[3])

    def mask(self):
        return self.real[:, None, None]

    def combine(self, contexts, W_o):
        return contexts @ W_o.T

    def network(self, x, W1, W2):
        return np.maximum(x @ W1.T, 0) @ W2.T


def encoder_misconception(changed):
    """Register a class with one part changed as the function that it answers like."""
    def wrong(*inputs):
        return changed()(*inputs)
    wrong.__name__, wrong.__doc__ = changed.__name__, changed.__doc__
    return task.misconception(wrong)


@encoder_misconception
class last_norm_missing(EncoderParts):
    """Your encoder returns the sum as the last layer leaves it. A pre-norm stack ends with one more norm: otherwise its
    output grows with every layer."""

    last = staticmethod(same)


@encoder_misconception
class last_norm_in_every_layer(EncoderParts):
    """Your last norm stands inside the loop, so that every layer normalises what it hands on. It belongs to the stack,
    once, after all layers."""

    def layer(self, x, *weights):
        return self.norm(super().layer(x, *weights))


@encoder_misconception
class post_norm_layers(EncoderParts):
    """Your layers are post-norm: they normalise each sum. In pre-norm a norm stands before each part, and the sum stays
    as it is."""

    def layer(self, x, matrices, W1, W2):
        x = self.norm(x + self.attend(x, x, matrices))
        return self.norm(x + self.network(x, W1, W2))


@encoder_misconception
class residual_from_the_normalised_x(EncoderParts):
    """You add the parts to norm(x). They are added to x itself, so that x can run through the stack unchanged."""

    def layer(self, x, matrices, W1, W2):
        x = self.norm(x) + self.attend(self.norm(x), self.norm(x), matrices)
        return self.norm(x) + self.network(self.norm(x), W1, W2)


@encoder_misconception
class both_parts_from_the_same_x(EncoderParts):
    """Your feed-forward network reads the layer's input, beside attention. It comes after: normalise the new x, which
    attention has been added to."""

    def layer(self, x, matrices, W1, W2):
        return x + self.attend(self.norm(x), self.norm(x), matrices) + self.network(self.norm(x), W1, W2)


@encoder_misconception
class values_not_normalised(EncoderParts):
    """Your queries and keys come from norm(x), and your values from x. All three come from norm(x)."""

    def layer(self, x, matrices, W1, W2):
        x = x + self.attend(self.norm(x), x, matrices)
        return x + self.network(self.norm(x), W1, W2)


@encoder_misconception
class feed_forward_without_its_norm(EncoderParts):
    """Your feed-forward network reads x as it is. A second norm stands before it, as one does before attention."""

    def layer(self, x, matrices, W1, W2):
        x = x + self.attend(self.norm(x), self.norm(x), matrices)
        return x + self.network(x, W1, W2)


@encoder_misconception
class only_the_first_layer(EncoderParts):
    """You stop after one layer. Is there a return inside the loop?"""

    def __call__(self, x, real, attention, expand, contract, n_heads):
        return super().__call__(x, real, attention[:1], expand[:1], contract[:1], n_heads)


@encoder_misconception
class every_layer_reads_the_input(EncoderParts):
    """All your layers read the encoder's input, and only the last one counts. Each reads what the one before gave."""

    def __call__(self, x, real, attention, expand, contract, n_heads):
        return super().__call__(x, real, attention[-1:], expand[-1:], contract[-1:], n_heads)


@encoder_misconception
class first_weights_in_every_layer(EncoderParts):
    """You use the first layer's weights in all of them. The layers are alike in structure, and each has weights of its
    own."""

    def __call__(self, x, real, attention, expand, contract, n_heads):
        repeated = (np.repeat(weights[:1], len(weights), axis=0) for weights in (attention, expand, contract))
        return super().__call__(x, real, *repeated, n_heads)


@encoder_misconception
class scaled_by_d_model(EncoderParts):
    """You divide the scores by the root of d_model. A score is a sum over one head's units: the root of d_head."""

    def scale(self, q):
        return np.sqrt(self.n_heads * q.shape[3])


@encoder_misconception
class heads_cut_by_reshape(EncoderParts):
    """You reshape straight to (batch, heads, length, d_head), so that a head gets all units of some tokens. Cut the last
    axis first, then transpose."""

    def split(self, x):
        return x.reshape(len(x), self.n_heads, x.shape[1], -1)


@encoder_misconception
class heads_not_moved_back(EncoderParts):
    """You join the heads without moving their axis back behind the length: the shape is right, and positions are
    mixed."""

    def merge(self, contexts):
        return contexts.reshape(len(contexts), contexts.shape[2], -1)


@encoder_misconception
class output_projection_forgotten(EncoderParts):
    """W_o is missing: the heads, side by side, go through it before they are added to x."""

    def combine(self, contexts, W_o):
        return contexts


@encoder_misconception
class padding_not_masked(EncoderParts):
    """Tokens attend to the padding: real has no say in your weights."""

    def mask(self):
        return None


@encoder_misconception
class mask_upside_down(EncoderParts):
    """Your tokens attend to the padding and to nothing else. real is True where one may attend."""

    def mask(self):
        return ~self.real[:, None, None]


@encoder_misconception
class padding_masked_as_queries(EncoderParts):
    """Your mask takes the rows of the padding away, its queries. It is as keys that nobody may attend to it: the last
    axis of the scores."""

    def mask(self):
        return self.real[:, None, :, None]


@encoder_misconception
class activation_forgotten(EncoderParts):
    """There is no relu between expand and contract: together they are then a single matrix."""

    def network(self, x, W1, W2):
        return x @ W1.T @ W2.T
