"""Exercises of lecture 13: BERT in Keras."""

import numpy as np

from coursekit.exercises.exercise import Exercise


# ---------------------------------------------------------------------------------------------------------------------
# A square matrix

task = Exercise(
    "13.square_matrix", "A square matrix, not transposed",
    "Someone loads BERT into Keras by hand and forgets to transpose the 384 × 384 weight of the query projection in "
    "layer 4 of 6. All other weights are right. What happens? Set `square_matrix` to a letter.",
    difficulty=1, minutes=4, points=1, kind="choice",
    hints=("Which shape has the transpose of a 384 × 384 matrix? What can Keras check?",
           "What does layer 5 get as its input? And what had layer 3 computed before layer 4 began?"),
    options={
        "a": ("Keras raises a `ValueError`, since a kernel is (inputs, outputs).",
              "The transpose of a square matrix has the same shape, and the shape is all that Keras can check. With "
              "the weights of the feed-forward network, 384 × 1536, it would raise one."),
        "b": ("Nothing changes: all the numbers of the weight are there.",
              "The same numbers at other places are another matrix: x Wᵀ is not x W."),
        "c": ("The model runs. The output of layer 3 is right, that of layer 4 and of all layers after it is not.",
              "Layer 3 was finished before. Everything after layer 4 is computed from its output."),
        "d": ("The model runs. Only the output of layer 4 is wrong; the residual connections carry the right numbers "
              "past it.",
              "A residual connection adds the layer's input to what attention gives, and what it gives is wrong. "
              "Layer 5 gets that sum."),
        "e": ("The model runs. Every output is wrong, that of the embeddings too.",
              "Embeddings and layers 1 to 3 do not read what layer 4 gives: a model is computed from the bottom to the "
              "top."),
    },
    explanation="No error message will ever point to a square matrix that was not transposed. Comparing the outputs "
                "after each layer does: the first that differs is the one to look at.",
)


@task.reference
def square_matrix():
    return "c"


# ---------------------------------------------------------------------------------------------------------------------
# The first layer that differs

task = Exercise(
    "13.first_wrong_layer", "The first layer that differs",
    "Write `first_wrong_layer`: the number of the first layer at which two models differ by more than `tolerance` at "
    "any real token, or -1 if there is none. Layer 0 is the embeddings' output. What stands at padding does not count.",
    difficulty=2, minutes=10, points=2,
    sizes=(dict(layers=5, batch=2, length=3, d_model=6, wrong=1, sign=1.0),
           dict(layers=3, batch=2, length=5, d_model=4, wrong=None, sign=1.0),
           dict(layers=6, batch=4, length=3, d_model=7, wrong=2, sign=-1.0),
           dict(layers=4, batch=3, length=2, d_model=6, wrong=0, sign=1.0)),
    returns={"layer": ()},
    hints=("Differences may be negative: take their absolute values before you compare.",
           "`difference[:, mask]` has the real tokens only: (layers, tokens, d_model).",
           "One number per layer, the largest difference; then the first layer at which it is above the tolerance."),
    explanation="Padding attends to nothing sensible and nobody reads what comes out of it, so two right models may "
                "differ there. The largest difference is compared, and not a mean, in which one wrong token would "
                "drown.",
    equivalent={
        "difference.max(axis=(1, 2)) > tolerance -> difference.max(axis=(1, 2)) >= tolerance, in wrong = "
        "difference.max(axis=(1, 2)) > tolerance": "No difference is exactly the tolerance, to the last bit.",
        "int(wrong.argmax()) -> wrong.argmax(), in return int(wrong.argmax()) if wrong.any() else -1":
            "A whole number of NumPy is a whole number.",
        "states - other_states -> other_states - states, in difference = np.abs(states - other_states)[:, mask]":
            "Absolute values of numbers and of the same with the other sign are equal.",
        "(1, 2) -> (2, 1), in wrong = difference.max(axis=(1, 2)) > tolerance":
            "A maximum over two axes does not depend on their order.",
    },
)


@task.reference
def first_wrong_layer(states, other_states, mask, tolerance):
    """The first layer, a whole number, or -1; states and other_states (layers, batch, length, d_model), mask (batch,
    length), True for a token."""
    difference = np.abs(states - other_states)[:, mask]
    wrong = difference.max(axis=(1, 2)) > tolerance
    return int(wrong.argmax()) if wrong.any() else -1


@task.draw
def draw(rng, layers, batch, length, d_model, wrong, sign):
    tolerance = 0.01
    states = rng.normal(size=(layers, batch, length, d_model))
    mask = np.arange(length) < np.array([length, *rng.integers(1, length, size=batch - 1)])[:, None]
    difference = tolerance * rng.uniform(-0.2, 0.2, size=states.shape)
    if wrong is not None:  # one unit at first, another one after the next layer, with the other sign, then all
        rows, units = rng.permutation(batch), rng.permutation(d_model)
        difference[wrong, rows[0], 0, units[0]] = 1.5 * sign * tolerance
        difference[wrong + 1, rows[1], 0, units[1]] = -4 * sign * tolerance
        sizes = tolerance * np.linspace(10, 40, layers - wrong - 2)[:, None, None, None]
        difference[wrong + 2:] = sizes * rng.choice([-1, 1], size=difference[wrong + 2:].shape)
    difference[:, ~mask] = rng.choice([-1, 1], size=difference[:, ~mask].shape)  # at padding
    return {"states": states, "other_states": states + difference, "mask": mask, "tolerance": tolerance}


@task.misconception
def padding_compared(states, other_states, mask, tolerance):
    """You compare the padding, too. What a model gives there is read by nobody, and two right models may differ there:
    look at the places where the mask is True."""
    return first_wrong_layer(states, other_states, np.ones_like(mask), tolerance)


@task.misconception
def mean_difference(states, other_states, mask, tolerance):
    """You compare the mean difference of a layer. One wrong token drowns in it; take the largest difference."""
    wrong = np.abs(states - other_states)[:, mask].mean(axis=(1, 2)) > tolerance
    return int(wrong.argmax()) if wrong.any() else -1


@task.misconception
def sign_kept(states, other_states, mask, tolerance):
    """A difference may be negative, and you look only for those above the tolerance: take absolute values first."""
    wrong = (states - other_states)[:, mask].max(axis=(1, 2)) > tolerance
    return int(wrong.argmax()) if wrong.any() else -1


@task.misconception
def layer_of_the_largest_difference(states, other_states, mask, tolerance):
    """You give the layer with the largest difference. Errors grow on their way up: the first layer that is wrong is the
    one with the mistake."""
    largest = np.abs(states - other_states)[:, mask].max(axis=(1, 2))
    return int(largest.argmax()) if largest.max() > tolerance else -1


@task.misconception
def zero_where_all_is_right(states, other_states, mask, tolerance):
    """Where no layer differs, you give 0, which is the embeddings. argmax of False everywhere is 0: ask `any` first."""
    return max(0, first_wrong_layer(states, other_states, mask, tolerance))


@task.misconception
def embeddings_not_counted(states, other_states, mask, tolerance):
    """You count from 1. Layer 0 is the embeddings' output."""
    found = first_wrong_layer(states, other_states, mask, tolerance)
    return found + 1 if found >= 0 else found


# ---------------------------------------------------------------------------------------------------------------------
# Few lengths

task = Exercise(
    "13.few_lengths", "What few lengths cost",
    "A compiler that starts anew for each length is given few of them: every batch is padded to the smallest of "
    "`lengths` that its longest row fits in. Write `few_lengths`: the length of each batch, and the share of all "
    "places that is padding. Each row of `tokens` is one batch, and its numbers are how many tokens its rows have.",
    difficulty=3, minutes=15, points=3,
    sizes=(dict(batches=3, rows=4, lengths=2), dict(batches=5, rows=2, lengths=3), dict(batches=8, rows=5, lengths=4),
           dict(batches=4, rows=6, lengths=1)),
    returns={"length": ("batches",), "share": ()},
    withhold=("coursekit.keras.Batches", "coursekit.keras.training.Batches"),
    hints=("One batch, one length: its longest row decides.",
           "`lengths` is in no order. A length fits if it is at least as large as the longest row.",
           "Places are rows times length, summed over the batches. All that is no token is padding."),
    explanation="With all lengths allowed, padding is as small as the sorting makes it; with one length, nothing is "
                "compiled twice and most of the work is padding. Which is cheaper depends on how long the training is.",
)


@task.reference
def few_lengths(tokens, lengths):
    """length (batches,), whole numbers, and the share of padding, a number; tokens (batches, rows), lengths in any
    order."""
    length = np.array([min(length for length in lengths if length >= longest) for longest in tokens.max(axis=1)])
    return length, 1 - tokens.sum() / (length.sum() * tokens.shape[1])


@task.draw
def draw(rng, batches, rows, lengths):
    allowed = 6 + rng.integers(5, 12, size=lengths).cumsum()
    # one more than a length, which is near but too short, and lengths that fit exactly
    longest = np.array([*(allowed[:-1] + 1), *allowed, *rng.integers(3, allowed[-1] + 1, size=batches)])[:batches]
    others = [rng.integers(1, most, size=rows - 1) for most in longest]
    tokens = np.array([rng.permutation([most, *rest]) for most, rest in zip(longest, others)])
    return {"tokens": tokens[rng.permutation(batches)], "lengths": rng.permutation(allowed)}


@task.misconception
def nearest_length(tokens, lengths):
    """You take the nearest length, which may be too short: tokens would be cut off. Take the smallest that is
    enough."""
    length = np.array([min(lengths, key=lambda length: abs(length - longest)) for longest in tokens.max(axis=1)])
    return length, 1 - tokens.sum() / (length.sum() * tokens.shape[1])


@task.misconception
def an_exact_fit_goes_one_up(tokens, lengths):
    """A batch whose longest row has exactly one of the lengths goes to the next one: it fits, so compare with >=."""
    length = np.array([min((length for length in lengths if length > longest), default=max(lengths))
                       for longest in tokens.max(axis=1)])
    return length, 1 - tokens.sum() / (length.sum() * tokens.shape[1])


@task.misconception
def largest_for_all(tokens, lengths):
    """You pad every batch to the largest length. That is padding to the longest row of all; take the smallest length
    that the batch fits in."""
    length = np.full(len(tokens), max(lengths))
    return length, 1 - tokens.sum() / (length.sum() * tokens.shape[1])


@task.misconception
def shortest_row_decides(tokens, lengths):
    """Your length fits the shortest row of a batch. All rows of a batch have one length, so the longest decides."""
    length = np.array([min(length for length in lengths if length >= shortest) for shortest in tokens.min(axis=1)])
    return length, 1 - tokens.sum() / (length.sum() * tokens.shape[1])


@task.misconception
def own_length(tokens, lengths):
    """You cut each batch after its longest row. Only the given lengths are allowed: go up to the next of them."""
    length = tokens.max(axis=1)
    return length, 1 - tokens.sum() / (length.sum() * tokens.shape[1])


@task.misconception
def mean_of_shares(tokens, lengths):
    """Your share is the mean of the batches' shares. A long batch has more places than a short one: count padding and
    places of all batches, then divide."""
    length, _ = few_lengths(tokens, lengths)
    return length, (1 - tokens.sum(axis=1) / (length * tokens.shape[1])).mean()


@task.misconception
def share_of_tokens(tokens, lengths):
    """You give the share of tokens. Padding is the rest."""
    length, share = few_lengths(tokens, lengths)
    return length, 1 - share


# ---------------------------------------------------------------------------------------------------------------------
# The learning rate of a count

task = Exercise(
    "13.rate_of_count", "The learning rate, counted from 0",
    "Write `rate_of_count`, the rate of `linear_decay` for Keras. Keras asks for the rate of the *count* of steps that "
    "are done: 0 before the first step, 1 before the second. `counts` has whole numbers; after the last step the rate "
    "is 0.",
    difficulty=3, minutes=12, points=3,
    sizes=(dict(counts=6, warm_up_steps=2, steps=5), dict(counts=4, warm_up_steps=1, steps=3),
           dict(counts=15, warm_up_steps=4, steps=12), dict(counts=20, warm_up_steps=5, steps=17)),
    returns={"rates": ("counts",)},
    withhold=("coursekit.torch.linear_decay", "coursekit.torch.training.linear_decay", "coursekit.keras.LinearDecay",
              "coursekit.keras.training.LinearDecay", "transformers.get_linear_schedule_with_warmup",
              "transformers.optimization.get_linear_schedule_with_warmup"),
    hints=("The formula of section 6 counts steps from 1. Which step is it that Keras calls 0?",
           "Two straight lines, one rising and one falling; the smaller of the two holds, and never less than 0.",
           "np.minimum compares arrays element by element."),
    explanation="With the count put into the formula as it is, the first step has the rate 0 and is wasted, and the "
                "last one has a rate that it should not have. Nobody notices it in a plot of 1,000 steps.",
    equivalent={
        "np.minimum(step / warm_up_steps, falling) -> np.minimum(falling, step / warm_up_steps), in lower = "
        "np.minimum(step / warm_up_steps, falling)": "The smaller of two numbers does not depend on their order.",
        "np.maximum(lower, 0.0) -> np.maximum(0.0, lower), in return highest * np.maximum(lower, 0.0)":
            "The larger of two numbers does not depend on their order.",
    },
)


@task.reference
def rate_of_count(counts, highest, warm_up_steps, steps):
    """The rates (counts,) for counts (counts,), whole numbers from 0; warm_up_steps and steps are whole numbers."""
    step = counts + 1
    falling = (steps + 1 - step) / (steps + 1 - warm_up_steps)
    lower = np.minimum(step / warm_up_steps, falling)
    return highest * np.maximum(lower, 0.0)


@task.draw
def draw(rng, counts, warm_up_steps, steps):
    return {"counts": np.arange(counts), "highest": float(rng.uniform(0.5, 3.0)), "warm_up_steps": warm_up_steps,
            "steps": steps}


@task.misconception
def counted_from_one(counts, highest, warm_up_steps, steps):
    """Your first step has the rate 0: you put Keras's count, which begins at 0, into a formula that begins at 1."""
    return rate_of_count(counts - 1, highest, warm_up_steps, steps)


@task.misconception
def no_warm_up(counts, highest, warm_up_steps, steps):
    """Your rate begins at its highest. It rises in the first `warm_up_steps`, and then falls."""
    step = counts + 1
    return highest * np.clip((steps + 1 - step) / (steps + 1 - warm_up_steps), 0.0, 1.0)


@task.misconception
def never_falls(counts, highest, warm_up_steps, steps):
    """Your rate stays at its highest after the warm-up. It falls in a straight line, to 0 after the last step."""
    return highest * np.minimum((counts + 1) / warm_up_steps, 1.0)


@task.misconception
def below_zero(counts, highest, warm_up_steps, steps):
    """After the last step your rate is negative: training would climb. Let it stay at 0."""
    step = counts + 1
    return highest * np.minimum(step / warm_up_steps, (steps + 1 - step) / (steps + 1 - warm_up_steps))


@task.misconception
def falls_from_the_start(counts, highest, warm_up_steps, steps):
    """Your falling line is (steps + 1 - step) / steps. It has to be at 1 where the warm-up ends: divide by the
    number of steps that are left there, steps + 1 - warm_up_steps."""
    step = counts + 1
    return highest * np.maximum(0.0, np.minimum(step / warm_up_steps, (steps + 1 - step) / steps))


@task.misconception
def larger_of_the_lines(counts, highest, warm_up_steps, steps):
    """You take the larger of the two lines. The smaller one holds: the rising one first, the falling one afterwards."""
    step = counts + 1
    falling = (steps + 1 - step) / (steps + 1 - warm_up_steps)
    return highest * np.maximum(0.0, np.maximum(step / warm_up_steps, falling))


# ---------------------------------------------------------------------------------------------------------------------
# Packed heads

task = Exercise(
    "13.packed_heads", "Three projections in one matrix",
    "torch.nn.MultiheadAttention keeps its three projections in one weight (3 · d_model, d_model): the outputs of the "
    "query, then those of the key, then those of the value, and each of these has one head after the other. "
    "keras.layers.MultiHeadAttention wants three kernels (d_model, heads, d_head): inputs first, and the heads on an "
    "axis of their own. Write `unpack`, which gives the three kernels of a packed weight.",
    difficulty=4, minutes=20, points=4,
    sizes=(dict(heads=2, d_head=3), dict(heads=3, d_head=2), dict(heads=3, d_head=4), dict(heads=2, d_head=2)),
    returns={"query": ("d_model", "heads", "d_head"), "key": ("d_model", "heads", "d_head"),
             "value": ("d_model", "heads", "d_head")},
    withhold=("coursekit.weights.copy", "coursekit.weights.weights_of", "coursekit.weights.torch_attention",
              "coursekit.weights.read", "coursekit.weights.keras_attention"),
    hints=("First the three parts: the outputs are the rows of the packed weight, so cut along axis 0.",
           "A kernel is (inputs, outputs): transpose each part before you think of heads.",
           "The outputs of head 1 are the first d_head columns of a kernel, those of head 2 the next ones: a reshape "
           "of the last axis to (heads, d_head) leaves them together."),
    explanation="Three conventions meet: what is packed, which axis is the input, and where the heads are. A square "
                "part fits without the transpose, and (d_head, heads) fits wherever both are equal. Only outputs tell.",
)


@task.reference
def unpack(packed, heads):
    """Kernels of query, key and value, each (d_model, heads, d_head), from packed (3 · d_model, d_model)."""
    d_model = packed.shape[1]
    query, key, value = packed.reshape(3, d_model, d_model)
    return tuple(part.T.reshape(d_model, heads, d_model // heads) for part in (query, key, value))


@task.draw
def draw(rng, heads, d_head):
    d_model = heads * d_head
    return {"packed": rng.normal(size=(3 * d_model, d_model)), "heads": heads}


@task.misconception
def not_transposed(packed, heads):
    """Your kernels have outputs where inputs should be. PyTorch stores (outputs, inputs), Keras (inputs, outputs):
    transpose each part before you split its heads."""
    d_model = packed.shape[1]
    return tuple(part.reshape(d_model, heads, d_model // heads) for part in np.split(packed, 3))


@task.misconception
def heads_inside(packed, heads):
    """You reshape the outputs to (d_head, heads) and swap the axes: that deals them out to the heads like cards. The
    first d_head outputs all belong to the first head."""
    d_model = packed.shape[1]
    return tuple(part.T.reshape(d_model, d_model // heads, heads).swapaxes(1, 2) for part in np.split(packed, 3))


@task.misconception
def packed_by_head(packed, heads):
    """You read query, key and value of head 1, then those of head 2. Some models are packed like that; here all of
    the query comes first."""
    d_model = packed.shape[1]
    parts = packed.reshape(heads, 3, d_model // heads, d_model)
    return tuple(parts[:, number].transpose(2, 0, 1) for number in range(3))


@task.misconception
def key_and_value_swapped(packed, heads):
    """Your second kernel is the value's, your third the key's: that is the order in which Keras's attention is
    *called*. The packed order is query, key, value."""
    query, key, value = unpack(packed, heads)
    return query, value, key


@task.misconception
def reshaped_for_transposed(packed, heads):
    """You reshape the packed weight to (d_model, 3 · d_model) and cut that. A reshape keeps the order of the numbers in
    memory; it does not exchange rows and columns as a transpose does."""
    d_model = packed.shape[1]
    whole = packed.reshape(d_model, 3 * d_model)
    return tuple(part.reshape(d_model, heads, d_model // heads) for part in np.split(whole, 3, axis=1))


@task.misconception
def every_third_row(packed, heads):
    """You take every third row for the query. The projections are packed one after the other: the first d_model rows
    are the query's."""
    d_model = packed.shape[1]
    return tuple(packed[number::3].T.reshape(d_model, heads, d_model // heads) for number in range(3))
