"""Exercises of lecture 01: an LSTM encoder-decoder and its bottleneck."""

import numpy as np

from coursekit.datasets import reversal
from coursekit.exercises.exercise import Exercise


# ---------------------------------------------------------------------------------------------------------------------
# The reversed pair

task = Exercise(
    "01.reversed_target", "The pair of a padded batch",
    "Sequences in one batch have different lengths; shorter ones are filled up with zeros at the end. Write "
    "`reversed_target`, which reverses the symbols of each row and leaves the padding where it is: `[3, 1, 2, 0, 0]` "
    "becomes `[2, 1, 3, 0, 0]`.",
    difficulty=2, minutes=10, points=2,
    sizes=(dict(batch=2, length=3), dict(batch=3, length=5), dict(batch=4, length=8)),
    returns={"target": ("batch", "length")},
    hints=(
        "Reverse a row by hand: how many of its entries may move?",
        "A row has as many symbols as it has entries other than 0.",
        "Begin with an array of zeros, and write the reversed symbols of each row into its first places.",
    ),
    explanation="Only the first entries of a row are symbols. Reversing the whole row would put the padding in front, "
                "and the decoder would have to begin by writing padding.",
)


@task.reference
def reversed_target(source):
    """Targets (batch, length) of padded sources (batch, length): each row's symbols reversed, its zeros still at the
    end."""
    target = np.zeros_like(source)
    for row, symbols in zip(target, source):
        count = np.count_nonzero(symbols)
        row[:count] = symbols[:count][::-1]
    return target


@task.draw
def draw(rng, batch, length):
    source = np.stack([rng.permutation(np.arange(1, length + 4))[:length] for _ in range(batch)])
    # Row 0 falls at its end and then rises: sorting does not reverse it. One row in two is padded.
    source[0, :3] = sorted(source[0, :3])[1], sorted(source[0, :3])[0], sorted(source[0, :3])[2]
    source[1::2, -1] = 0
    source[3::4, -3:] = 0
    return {"source": source}


@task.misconception
def padding_in_front(source):
    """You reverse the whole row, so that the padding comes first. Only the symbols change places; the zeros stay at the
    end."""
    return source[:, ::-1].copy()


@task.misconception
def batch_reversed(source):
    """You reverse the order of the sequences, axis 0. The time steps are axis 1."""
    return source[::-1].copy()


@task.misconception
def sorted_downwards(source):
    """Your rows are sorted from large to small. Reversing has nothing to do with the size of a symbol: the last one
    comes first."""
    return -np.sort(-source, axis=1)


@task.misconception
def first_symbol_lost(source):
    """The symbol that should come last in each target is missing, the first of the source. A slice that runs backwards
    to place 0, as in x[n:0:-1], stops before it: write x[n::-1] or x[:n][::-1]."""
    target = np.zeros_like(source)
    for row, symbols in zip(target, source):
        count = np.count_nonzero(symbols)
        row[:count - 1] = symbols[1:count][::-1]
    return target


# ---------------------------------------------------------------------------------------------------------------------
# One-hot coding

task = Exercise(
    "01.one_hot", "One-hot coding",
    "Write `one_hot_vectors`, which turns each token of a batch into a vector with a one at the token's place. Tokens "
    "count from 0.",
    difficulty=1, minutes=5, points=1,
    sizes=(dict(batch=1, length=2, vocab_size=4), dict(batch=2, length=4, vocab_size=7),
           dict(batch=5, length=3, vocab_size=9)),
    returns={"vectors": ("batch", "length", "vocab_size")},
    withhold=("coursekit.datasets.one_hot", "coursekit.datasets.reversal.one_hot", "torch.nn.functional.one_hot",
              "keras.ops.one_hot", "keras.ops.nn.one_hot"),
    hints=(
        "How many numbers does one token become? Add an axis of that size at the end.",
        "The identity matrix of size vocab_size has the vector of token k in row k.",
        "NumPy looks up whole arrays of rows at once: matrix[tokens].",
    ),
    explanation="Row k of the identity matrix is the vector of token k. Indexing with an array of shape (batch, "
                "length) looks up a row for each of its tokens, so the result has shape (batch, length, vocab_size).",
)


@task.reference
def one_hot_vectors(tokens, vocab_size):
    """Vectors (batch, length, vocab_size), real numbers, of tokens (batch, length): 1 at the token's place, 0
    elsewhere."""
    return np.eye(vocab_size)[tokens]


@task.draw
def draw(rng, batch, length, vocab_size):
    # The two largest symbols stay unused, as happens in a small batch: a width that is read off the tokens is then too
    # small by two or more, and cannot be taken for one that is too small by one.
    return {"tokens": rng.integers(0, vocab_size - 2, (batch, length)), "vocab_size": vocab_size}


@task.misconception
def counted_from_one(tokens, vocab_size):
    """Token 1 stands at the first place of your vectors. Places count from 0, and so do tokens: no shift is needed."""
    return np.eye(vocab_size)[tokens - 1]


@task.misconception
def one_vector_per_sequence(tokens, vocab_size):
    """You return one vector per sequence, with a 1 for every symbol in it. That forgets the order, which is all that
    the reversal task is about: each step needs its own vector."""
    return np.eye(vocab_size)[tokens].max(axis=1)


@task.misconception
def symbols_on_the_middle_axis(tokens, vocab_size):
    """Your axes are (batch, vocab_size, length). An LSTM reads (batch, length, features): the vector is the last
    axis."""
    return np.eye(vocab_size)[tokens].transpose(0, 2, 1)


@task.misconception
def width_read_off_the_tokens(tokens, vocab_size):
    """Your vectors are as wide as the largest token of this batch asks for. The next batch may hold another largest
    token, and the network needs one width: vocab_size."""
    return np.eye(tokens.max() + 1)[tokens]


@task.misconception
def whole_numbers(tokens, vocab_size):
    """The ones stand at the right places, but as whole numbers or booleans. A network multiplies its inputs with
    real-valued weights: return floats, for example with astype(float)."""
    return np.eye(vocab_size, dtype=int)[tokens]


# ---------------------------------------------------------------------------------------------------------------------
# ... and back

task = Exercise(
    "01.read_tokens", "From a network's outputs back to tokens",
    "A network puts out one probability per symbol and step. Write `read_tokens`, which says the most probable token "
    "of each step.",
    difficulty=1, minutes=5, points=1,
    sizes=(dict(batch=1, length=2, vocab_size=5), dict(batch=2, length=4, vocab_size=7),
           dict(batch=6, length=3, vocab_size=9)),
    returns={"tokens": ("batch", "length")},
    withhold=("coursekit.datasets.one_hot_decode", "coursekit.datasets.reversal.one_hot_decode"),
    hints=(
        "The outputs of a network are never exactly 1: look for the largest entry, not for a one.",
        "The function argmax gives the place of the largest entry; which of the three axes holds the symbols?",
    ),
    explanation="The symbols lie on the last axis. argmax over it removes that axis and leaves (batch, length), the "
                "shape of the tokens.",
)


@task.reference
def read_tokens(probabilities):
    """Tokens (batch, length), whole numbers, of probabilities (batch, length, vocab_size): the most probable of each
    step."""
    return probabilities.argmax(axis=-1)


@task.draw
def draw(rng, batch, length, vocab_size):
    powers = np.exp(rng.normal(size=(batch, length, vocab_size)))
    return {"probabilities": powers / powers.sum(axis=-1, keepdims=True)}


@task.misconception
def most_probable_step(probabilities):
    """You take the largest entry over the steps, axis 1, so that each symbol gets a step. Each step needs a symbol: the
    symbols are on the last axis."""
    return probabilities.argmax(axis=1)


@task.misconception
def the_probability_itself(probabilities):
    """You return the largest probability. Asked for is the place where it stands: argmax instead of max."""
    return probabilities.max(axis=-1)


@task.misconception
def counted_from_one(probabilities):
    """Every token is one too large. Tokens count from 0, as places do, so the place of the largest entry is the
    token."""
    return probabilities.argmax(axis=-1) + 1


@task.misconception
def token_0_everywhere(probabilities):
    """All your tokens are 0. Either nothing was written into the result yet, or nothing was found: a softmax never
    gives exactly 1, and as whole numbers its entries are all 0. Look for the largest entry."""
    return (probabilities == 1).argmax(axis=-1)


# ---------------------------------------------------------------------------------------------------------------------
# Token accuracy and exact match

task = Exercise(
    "01.accuracies", "Token accuracy and exact match",
    "Write `accuracies`, which returns the share of tokens that are right and the share of sequences in which every "
    "token is. The target is padded with 0; what is predicted at the padding counts for neither.",
    difficulty=2, minutes=10, points=2,
    sizes=(dict(batch=3, length=4), dict(batch=4, length=7), dict(batch=6, length=5)),
    returns={"token_accuracy": (), "exact_match": ()},
    hints=(
        "Two boolean arrays are enough: which places are real symbols, and which predictions are right.",
        "The mean of a boolean array is the share of its True entries; array[mask] keeps the entries where mask is "
        "True.",
        "A sequence is right if at every place the prediction is right or the target is padding.",
    ),
    explanation="Token accuracy is a mean over all real tokens, so a long sequence weighs more than a short one. Exact "
                "match asks for a whole sequence: with 20 tokens of 98 % each, about two sequences in three are right.",
)


@task.reference
def accuracies(predicted, target):
    """Token accuracy and exact match, two numbers, of predicted tokens (batch, length) against targets (batch, length)
    padded with 0."""
    real = target != 0
    right = predicted == target
    return right[real].mean(), (right | ~real).all(axis=1).mean()


@task.draw
def draw(rng, batch, length):
    target = rng.integers(1, 9, (batch, length))
    target[0, length - 1:] = 0
    target[1, 2:] = 0
    predicted = target.copy()
    # Row 0 is right but for its padding, the last row is all wrong, and the others have a wrong token and a right one.
    predicted[target == 0] = 9
    wrong = rng.random((batch, length)) < 0.4
    wrong[1:, 0], wrong[1:, 1], wrong[0], wrong[-1] = True, False, False, True
    predicted = np.where(wrong & (target != 0), target % 8 + 1, predicted)
    return {"predicted": predicted, "target": target}


@task.misconception
def padding_counted(predicted, target):
    """You count what is predicted at the padding. Where the target is 0 there is nothing to predict: leave those places
    out of both numbers."""
    right = predicted == target
    return right.mean(), right.all(axis=1).mean()


@task.misconception
def padding_counted_in_exact_match(predicted, target):
    """Your token accuracy is right. For the exact match you still ask for equal padding; only real symbols decide."""
    right = predicted == target
    return right[target != 0].mean(), right.all(axis=1).mean()


@task.misconception
def padding_counted_as_right(predicted, target):
    """You count every place of the padding as a right token, which flatters short sequences. Divide by the number of
    real tokens."""
    right = (predicted == target) | (target == 0)
    return right.mean(), right.all(axis=1).mean()


@task.misconception
def one_right_token_is_enough(predicted, target):
    """Your exact match counts a sequence as soon as one of its tokens is right. Every token must be: all instead of
    any."""
    right = (predicted == target) & (target != 0)
    return right[target != 0].mean(), right.any(axis=1).mean()


@task.misconception
def mean_of_the_rows_means(predicted, target):
    """You average within each sequence first, so that a token of a short sequence weighs more than one of a long
    sequence. Token accuracy counts all real tokens alike."""
    real = target != 0
    right = (predicted == target) & real
    return (right.sum(axis=1) / real.sum(axis=1)).mean(), (right | ~real).all(axis=1).mean()


@task.misconception
def a_count_of_sequences(predicted, target):
    """Your second number counts the sequences that are right. Asked for is their share: divide by the size of the
    batch."""
    real = target != 0
    right = predicted == target
    return right[real].mean(), (right | ~real).all(axis=1).sum()


# ---------------------------------------------------------------------------------------------------------------------
# One step of an LSTM

task = Exercise(
    "01.lstm_step", "One step of an LSTM, by hand",
    "Write one step of the encoder's LSTM:\n\n"
    "$$i, f, g, o = xK + hR + b \\qquad c' = \\sigma(f)\\,c + \\sigma(i)\\tanh(g) \\qquad h' = "
    "\\sigma(o)\\tanh(c')$$\n\n"
    "The last axes of `K`, `R` and `b` hold the four blocks in the order input gate, forget gate, candidate, output "
    "gate.",
    difficulty=3, minutes=15, points=3,
    sizes=(dict(batch=1, features=2, units=3), dict(batch=2, features=5, units=3), dict(batch=3, features=2, units=4)),
    returns={"h": ("batch", "units"), "c": ("batch", "units")},
    withhold=("torch.lstm_cell",),
    hints=(
        "Compute xK + hR + b first; its shape is (batch, 4 · units). Then cut it into four parts.",
        "np.split(z, 4, axis=1) cuts the last axis into four equal blocks.",
        "Gates go through the sigmoid 1 / (1 + exp(-z)), since they say how much passes; the candidate goes through "
        "tanh.",
        "The new h is made from the new c, not from the one that came in.",
    ),
    explanation="The gates lie between 0 and 1: f says how much of the old cell stays, i how much of the candidate is "
                "written, o how much of the cell is shown. Both returned arrays are all that the next step, and in the "
                "end the decoder, will know.",
)


@task.reference
def lstm_step(x, h, c, K, R, b):
    """The next h and c, both (batch, units). x (batch, features), h and c (batch, units), K (features, 4 * units),
    R (units, 4 * units), b (4 * units,)."""
    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    i, f, g, o = np.split(x @ K + h @ R + b, 4, axis=1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


@task.draw
def draw(rng, batch, features, units):
    def normal(*shape):
        return 0.7 * rng.normal(size=shape)

    return {"x": normal(batch, features), "h": normal(batch, units), "c": normal(batch, units),
            "K": normal(features, 4 * units), "R": normal(units, 4 * units), "b": normal(4 * units)}


def gates(x, h, K, R, b):
    i, f, g, o = np.split(x @ K + h @ R + b, 4, axis=-1)
    return 1 / (1 + np.exp(-i)), 1 / (1 + np.exp(-f)), np.tanh(g), 1 / (1 + np.exp(-o))


@task.misconception
def input_and_forget_gate_swapped(x, h, c, K, R, b):
    """The input and the forget gate have changed places. The first block says how much of the candidate is written, the
    second how much of the old cell stays."""
    f, i, g, o = gates(x, h, K, R, b)
    c = f * c + i * g
    return o * np.tanh(c), c


@task.misconception
def cell_shown_without_tanh(x, h, c, K, R, b):
    """Your c is right, your h is not: the cell goes through tanh before the output gate lets it pass."""
    i, f, g, o = gates(x, h, K, R, b)
    c = f * c + i * g
    return o * c, c


@task.misconception
def candidate_through_sigmoid(x, h, c, K, R, b):
    """The candidate went through the sigmoid like a gate. It is a value, not a share: tanh, so that the cell can also
    fall."""
    i, f, _, o = gates(x, h, K, R, b)
    g = 1 / (1 + np.exp(-np.split(x @ K + h @ R + b, 4, axis=-1)[2]))
    c = f * c + i * g
    return o * np.tanh(c), c


@task.misconception
def old_cell_shown(x, h, c, K, R, b):
    """Your c is right, but h was made from the cell that came in. The output gate shows the new cell."""
    i, f, g, o = gates(x, h, K, R, b)
    return o * np.tanh(c), f * c + i * g


@task.misconception
def nothing_forgotten(x, h, c, K, R, b):
    """The old cell stays whole in your step. The forget gate multiplies it before the candidate is added."""
    i, f, g, o = gates(x, h, K, R, b)
    c = c + i * g
    return o * np.tanh(c), c


@task.misconception
def gate_order_of_another_library(x, h, c, K, R, b):
    """You read the blocks as input, forget, output, candidate. Here the candidate is the third and the output gate the
    fourth."""
    i, f, o, g = np.split(x @ K + h @ R + b, 4, axis=-1)
    c = c / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
    return np.tanh(c) / (1 + np.exp(-o)), c


@task.misconception
def c_returned_before_h(x, h, c, K, R, b):
    """Both are right, in the other order: h first, then c."""
    i, f, g, o = gates(x, h, K, R, b)
    c = f * c + i * g
    return c, o * np.tanh(c)


# ---------------------------------------------------------------------------------------------------------------------
# A number

task = Exercise(
    "01.encoder_weights", "How many numbers does the encoder learn?",
    "The encoder of this section is a Keras LSTM with 16 units that reads one-hot vectors of width 10. How many "
    "numbers does it learn, biases included? Give `encoder_weights` that number.",
    difficulty=1, minutes=5, points=1, kind="number",
    hints=(
        "Look at the exercise on one step of an LSTM: which arrays are learned, and what are their shapes?",
        "K is (10, 4 · 16), R is (16, 4 · 16), and b is (4 · 16,).",
    ),
    explanation="Each of the four blocks sees 10 inputs, 16 entries of h and a 1 for the bias, and has 16 units.",
)


@task.reference
def encoder_weights():
    symbols, units = 10, 16
    return 4 * units * (symbols + units + 1)


@task.misconception
def a_single_gate():
    """That is one block. An LSTM has four: three gates and the candidate, each with its own weights."""
    return 16 * (10 + 16 + 1)


@task.misconception
def biases_left_out():
    """You counted K and R but not b, one number for each unit of each block."""
    return 4 * 16 * (10 + 16)


@task.misconception
def nothing_from_h():
    """You counted what reads x, but not R, which reads the h of the step before. Without it there would be no
    memory."""
    return 4 * 16 * (10 + 1)


@task.misconception
def two_vectors_of_biases():
    """That is right for PyTorch, which keeps two bias vectors per block and adds them. A Keras LSTM has one."""
    return 4 * 16 * (10 + 16 + 2)


# ---------------------------------------------------------------------------------------------------------------------
# The slides' own exercise

task = Exercise(
    "01.length_20", "The slides' exercise: length 20",
    "This exercise is the slides': change the length to 20 and the width of the vectors to 16, and retrain. Give "
    "`reverse_20` a function from sources (n, 20) to predicted tokens (n, 20), NumPy arrays of whole numbers. Keras or "
    "PyTorch, the units, and the epochs are up to you. It is judged on 200 fresh sequences: guessing gets 1 token in "
    "15, and 30 % of the tokens pass. Then look at how many whole sequences are right. The next section does the same, "
    "so try it first.",
    difficulty=2, minutes=15, points=2, kind="predictor", goal=0.30, seconds=20,
    sizes=(dict(n=200),), signature="reverse_20 = a function of source",
    symptoms=(
        (0.10, "That is guessing. Are the symbols in training the ones that are predicted, 1 to 15, and is the source, "
               "not the target, given to the model?"),
        (0.30, "It learns; train a few more epochs, or with a learning rate of 0.01."),
    ),
    starter="# Train a model on reversal(2000, 20, 16), then:\n\nreverse_20 = ...   # a function from source (n, 20) "
            "to tokens (n, 20)\n",
    hints=(
        "The model's constructor takes the vocabulary size and the number of units; neither depends on the length.",
        "In PyTorch: model_20 = Seq2Seq(16, 64), then fit(model_20, pair, epochs=6, learning_rate=0.01, clip=1.0). The "
        "pair is source and target, as tensors.",
        "The predictor turns the array into a tensor: lambda source: model_20.greedy(torch.from_numpy(source)).",
    ),
    solution="""import torch
from coursekit.datasets import reversal
from coursekit.torch import Seq2Seq, fit

pair_20 = tuple(torch.from_numpy(array) for array in reversal(2000, 20, 16))
model_20 = Seq2Seq(16, 64)
fit(model_20, pair_20, epochs=6, learning_rate=0.01, clip=1.0)


def reverse_20(source):
    return model_20.greedy(torch.from_numpy(source)).numpy()
""",
    explanation="About 35 % to 50 % of the tokens become right, nearly all at the beginning of the target, and not one "
                "whole sequence. The first symbols to write are the last that were read; the others have been "
                "overwritten in the encoder's state.",
)


@task.reference
def reverse_20(source):
    return source[:, ::-1]


@task.draw
def draw(rng, n):
    return {"source": reversal(n, 20, 16, seed=int(rng.integers(2**31)))[0]}


@task.misconception
def source_copied(source):
    """Your predictor repeats the source in its own order. Is the target of the training reversed?"""
    return source


@task.misconception
def one_step_late(source):
    """Your predictor is one step late: each token stands one place after its own. Is there a start symbol in the
    target, or the input of a step in place of its output?"""
    return np.roll(source[:, ::-1], 1, axis=1)


@task.misconception
def symbols_counted_from_zero(source):
    """Every token is one too small. Symbols run from 1 to 15, since 0 is padding; was 1 taken off for the training and
    not put back?"""
    return source[:, ::-1] - 1


@task.misconception
def batch_reversed(source):
    """Your predictor reverses the order of the sequences and not that of their steps: axis 1, not axis 0."""
    return source[::-1]


# ---------------------------------------------------------------------------------------------------------------------
# A choice

task = Exercise(
    "01.bottleneck", "Why does accuracy fall with length?",
    "With 64 units and no attention, nearly every token is right at length 4 and about half at length 20. Why? Give "
    "`bottleneck` the letter.",
    difficulty=1, minutes=3, points=1, kind="choice",
    options={
        "a": ("Longer sequences need a larger vocabulary.",
              "The symbols are the same at every length; only their number per sequence grows."),
        "b": ("All that the decoder learns of the source must fit into the encoder's last state, which does not grow "
              "with the length.",
              "The last h and c are 128 numbers, whether they stand for 4 symbols or for 30. More training does not "
              "mend that within reasonable time, and a way to look back at all states does: attention, lecture 02."),
        "c": ("The decoder is fed its own predictions, and one mistake spoils the rest.",
              "Feeding back happens at length 4 too, and with attention the same loop reaches 99 % at length 20. "
              "Mistakes do propagate a little, but they are not the cause."),
        "d": ("An LSTM cannot count beyond about ten steps.",
              "The forget gate can keep a cell for hundreds of steps. What fails is not one number kept for long but "
              "all symbols and their order in one state."),
    },
    hints=("What does the decoder see of the source, and how large is it?",
           "Compare the size of that at length 4 and at length 30."),
    explanation="The last state has 2 · 64 numbers at every length, and the whole sequence must be read back from it.",
)


@task.reference
def bottleneck():
    return "b"
