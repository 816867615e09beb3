"""Exercises of lecture 04: positional encoding."""

import math

import numpy as np
import torch
from torch import nn

from coursekit import reference
from coursekit import torch as ct
from coursekit.exercises.call import Case
from coursekit.exercises.exercise import Exercise


# ---------------------------------------------------------------------------------------------------------------------
# A choice

task = Exercise(
    "04.who_knows_order", "Who knows the order?",
    "None of these models is given positions. Which of them can tell *I ate the apple* from *apple ate I the*? Give "
    "`knows_order` the letter.",
    difficulty=1, minutes=4, points=1, kind="choice",
    options={
        "a": ("Six layers of self-attention with learned matrices.",
              "Each layer hands on the same vectors in another order, and so does a stack of them. Learned matrices "
              "treat all places alike, too."),
        "b": ("One layer in which a mask lets a word attend to itself and to the words before it.",
              "The mask is a matter of places: the first word sees one word, the last sees all. So a word's output "
              "depends on which words stand before it."),
        "c": ("One layer, and a network with a hidden layer that works on each word's output.",
              "The network sees one word's output at a time, and these are the same vectors in both sentences."),
        "d": ("One layer, whose outputs are averaged; a classifier reads the mean.",
              "A mean does not depend on the order of what is averaged, and the outputs are the same vectors: the "
              "classifier sees the same numbers."),
    },
    hints=("If two sentences give the same vectors in another order, what is done to each of them alike cannot help.",
           "What in a model may differ from place to place, if not the words?"),
    explanation="Whatever treats all places alike permutes its output with its input. A mask that depends on places "
                "breaks this, and so do positions.",
)


@task.reference
def knows_order():
    return "b"


# ---------------------------------------------------------------------------------------------------------------------
# The formula

task = Exercise(
    "04.position_vectors", "The formula",
    "Write `position_vectors`, the sinusoids of any positions, not only of 0, 1, 2, …:\n\n"
    "$PE(pos, 2i) = \\sin(pos / 10000^{2i/d})$ and $PE(pos, 2i + 1) = \\cos(pos / 10000^{2i/d})$, with "
    "$i = 0, 1, …, d/2 - 1$.",
    difficulty=2, minutes=12, points=2,
    sizes=(dict(length=1, d_model=2), dict(length=3, d_model=4), dict(length=5, d_model=8),
           dict(length=7, d_model=6)),
    returns={"vectors": ("length", "d_model")},
    withhold=(
        "coursekit.reference.sinusoidal_positions", "coursekit.torch.sinusoidal_positions",
        "coursekit.torch.PositionalEncoding", "coursekit.torch.position.waves",
        "coursekit.torch.position.cached_waves", "coursekit.keras.sinusoidal_positions",
        "coursekit.keras.PositionalEncoding", "coursekit.keras.position.waves",
        "coursekit.torch.position.sinusoidal_positions", "coursekit.torch.position.PositionalEncoding",
        "coursekit.keras.position.sinusoidal_positions", "coursekit.keras.position.PositionalEncoding",
    ),
    hints=(
        "There are d_model / 2 angles for each position, one for each i. Compute them first: (length, d_model / 2).",
        "np.arange(0, d_model, 2) is 2i for all i at once; positions[:, None] / 10000 ** (...) gives all the angles.",
        "Fill an array of zeros: vectors[:, 0::2] are the units 0, 2, 4, … and vectors[:, 1::2] the units 1, 3, 5, …",
    ),
    explanation="Sine and cosine of one angle stand side by side, and the angle slows down from pair to pair by the "
                "factor 10000^(2/d). Other programs put all sines first and all cosines after them. A layer that is "
                "learned with them does not mind the order, but a copied weight does.",
)


@task.reference
def position_vectors(positions, d_model):
    """Sinusoids (length, d_model) of positions (length,), whole numbers; d_model is even."""
    angle = positions[:, None] / 10000 ** (np.arange(0, d_model, 2) / d_model)
    vectors = np.zeros((len(positions), d_model))
    vectors[:, 0::2] = np.sin(angle)
    vectors[:, 1::2] = np.cos(angle)
    return vectors


@task.draw
def draw(rng, length, d_model):
    return {"positions": rng.permutation(np.arange(1, 40))[:length], "d_model": d_model}


def with_exponents(positions, d_model, exponents):
    angle = positions[:, None] / 10000.0 ** exponents
    return np.stack([np.sin(angle), np.cos(angle)], axis=-1).reshape(len(positions), d_model)


@task.misconception
def sines_first_cosines_after(positions, d_model):
    """Your sines fill the first half of the vector and your cosines the second. Some libraries do that, the authors'
    own code among them; in the formula, unit 2i and unit 2i + 1 are neighbours."""
    vectors = position_vectors(positions, d_model)
    return np.concatenate([vectors[:, 0::2], vectors[:, 1::2]], axis=1)


@task.misconception
def cosine_before_sine(positions, d_model):
    """Your cosines stand at the even units. The formula has the sine at unit 2i and the cosine at unit 2i + 1."""
    return position_vectors(positions, d_model).reshape(len(positions), -1, 2)[:, :, ::-1].reshape(-1, d_model)


@task.misconception
def doubled_twice(positions, d_model):
    """Your exponent is 4i / d: the 2 is counted twice. If your index already runs over 0, 2, 4, … it is 2i itself."""
    return with_exponents(positions, d_model, 2 * np.arange(0, d_model, 2) / d_model)


@task.misconception
def not_doubled(positions, d_model):
    """Your exponent is i / d with i = 0, 1, 2, …; the formula has 2i / d. Your slowest wave comes round after about 600
    places instead of tens of thousands."""
    return with_exponents(positions, d_model, np.arange(d_model // 2) / d_model)


@task.misconception
def a_wave_of_its_own_for_each_unit(positions, d_model):
    """You give the cosines slower waves than the sines beside them: unit 2i + 1 has the exponent 2i / d as well. Only a
    sine and a cosine of one angle make a pair that can be rotated."""
    angle = positions[:, None] / 10000.0 ** (np.arange(d_model) / d_model)
    return np.where(np.arange(d_model) % 2 == 0, np.sin(angle), np.cos(angle))


@task.misconception
def pairs_counted_from_one(positions, d_model):
    """Your i runs from 1. It begins with 0, so that the first pair is sin(pos), cos(pos); you lose this fastest wave,
    the one that tells neighbours apart."""
    return with_exponents(positions, d_model, np.arange(2, d_model + 2, 2) / d_model)


@task.misconception
def positions_counted_from_one(positions, d_model):
    """Your vectors belong to the position after. Position 0 has the angle 0 and the vector [0, 1, 0, 1, …]: nothing is
    added to the position."""
    return position_vectors(positions + 1, d_model)


@task.misconception
def places_in_the_list(positions, d_model):
    """You use 0, 1, 2, … and not the positions that were given, which may be any."""
    return position_vectors(np.arange(len(positions)), d_model)


# ---------------------------------------------------------------------------------------------------------------------
# Reading off

task = Exercise(
    "04.first_crest", "The first crest",
    "With `d_model = 4`, unit 2 begins at 0 and rises very slowly. At which position is it largest for the first time? "
    "Give `crest` that whole number.",
    difficulty=2, minutes=6, points=1, kind="number",
    hints=(
        "Unit 2 is sin(pos / 100). For which angle is a sine largest for the first time?",
        "That angle is π/2, a quarter of the way round. Which position gives it? Round to the nearest whole number.",
    ),
    explanation="The angle pos / 100 reaches π/2 at pos = 50π = 157.08. The whole wave takes 628 positions; a text of "
                "5 words sees less than a hundredth of it.",
    equivalent={
        f"10000 -> {near}, in return round(math.pi / 2 * 10000 ** (unit / d_model))":
            f"π/2 · √{near} is 157.1 as well, and a whole number is asked for." for near in (9999, 10001)
    },
)


@task.reference
def crest():
    d_model, unit = 4, 2
    return round(math.pi / 2 * 10000 ** (unit / d_model))


@task.misconception
def a_whole_wave():
    """That is the whole wavelength, where the sine is back at 0 and begins anew. The crest comes after a quarter."""
    return 628


@task.misconception
def half_a_wave():
    """There the sine is back at 0, on its way down. The crest is half as far."""
    return 314


@task.misconception
def the_angle_one():
    """At position 100 the angle is 1, and sin(1) is 0.84. The sine rises until the angle is π/2."""
    return 100


@task.misconception
def the_first_wave():
    """That is the crest of unit 0, sin(pos). Unit 2 is a hundred times slower."""
    return 2


@task.misconception
def exponent_one():
    """You divide by 10000. For unit 2 of 4 the exponent is 2 / 4, and the root of 10000 is 100."""
    return 15708


@task.misconception
def degrees():
    """You count the angle in degrees. The formula has radians: a quarter of the way round is π/2."""
    return 9000


# ---------------------------------------------------------------------------------------------------------------------
# A padded batch

task = Exercise(
    "04.padded_positions", "Positions in a padded batch",
    "Sentences of different lengths are filled up with padding, at the end of a row or at its beginning. Write "
    "`add_positions`: the first word of each row gets the sinusoids of position 0, the next of position 1, and so on; "
    "the padding stays as it is. `coursekit.reference.sinusoidal_positions(length, d_model)` has the vectors.",
    difficulty=3, minutes=12, points=3,
    sizes=(dict(batch=2, length=3, d_model=4), dict(batch=3, length=5, d_model=2), dict(batch=4, length=6, d_model=8)),
    returns={"output": ("batch", "length", "d_model")},
    hints=(
        "Which position has the word at place t? As many words as stand before it in its row.",
        "mask.cumsum(axis=1) counts the words up to and with each place. Is the first then 0 or 1?",
        "table[places] with places (batch, length) picks a row for each: (batch, length, d_model). The padding gets 0 "
        "times its row.",
    ),
    explanation="The count of words so far, less one, is the position. Padding at the beginning is usual where a model "
                "writes on at the end of a row; counting places would then give the same sentence other vectors in "
                "every batch.",
)


@task.reference
def add_positions(x, mask):
    """x (batch, length, d_model) with positions added where mask (batch, length), boolean, is True: there stand
    words."""
    table = reference.sinusoidal_positions(x.shape[1], x.shape[2])
    places = mask.cumsum(axis=1) - 1
    return x + table[places] * mask[:, :, None]


@task.draw
def draw(rng, batch, length, d_model):
    words = rng.integers(2, length, batch)
    mask = np.arange(length) < words[:, None]
    mask[::2] = mask[::2, ::-1]  # every other row has its padding first
    return {"x": rng.normal(size=(batch, length, d_model)), "mask": mask}


def counted_in_words(x, mask):
    return reference.sinusoidal_positions(*x.shape[1:])[mask.cumsum(axis=1) - 1]


@task.misconception
def places_of_the_row(x, mask):
    """You count places from the beginning of the row, padding too. Where the padding comes first, the first word must
    get position 0 all the same: count words."""
    return x + reference.sinusoidal_positions(*x.shape[1:]) * mask[:, :, None]


@task.misconception
def padding_gets_positions(x, mask):
    """Your words are right, but the padding got positions as well. It stays as it is."""
    return x + counted_in_words(x, mask)


@task.misconception
def mask_not_used(x, mask):
    """You add a position to every place of the row and do not look at the mask: padding gets positions, and where it
    comes first, the words get the wrong ones."""
    return x + reference.sinusoidal_positions(*x.shape[1:])


@task.misconception
def counted_from_one(x, mask):
    """Your first word gets position 1. A count of the words up to and with this one begins with 1: subtract 1."""
    return x + reference.sinusoidal_positions(x.shape[1] + 1, x.shape[2])[mask.cumsum(axis=1)] * mask[:, :, None]


@task.misconception
def multiplied(x, mask):
    """You multiply word and position. Position 0 is [0, 1, 0, 1, …]: half of the first word would be gone. They are
    added."""
    return np.where(mask[:, :, None], x * counted_in_words(x, mask), x)


@task.misconception
def appended(x, mask):
    """You append the positions: your vectors are twice as wide as x. The Transformer adds them."""
    return np.concatenate([x, counted_in_words(x, mask) * mask[:, :, None]], axis=-1)


@task.misconception
def words_lost(x, mask):
    """You return the positions alone. What a word means must stay: x plus the positions."""
    return counted_in_words(x, mask) * mask[:, :, None]


@task.misconception
def padding_instead_of_words(x, mask):
    """You add positions to the padding and leave the words alone. True means that a word stands there."""
    return add_positions(x, ~mask)


# ---------------------------------------------------------------------------------------------------------------------
# The shift

task = Exercise(
    "04.shift_matrix", "One matrix for every step of k",
    "Write `shift_matrix`, the matrix $M$ with $M p_t = p_{t+k}$ for every position $t$. The vectors $p_t$ are "
    "columns, with sine and cosine side by side.",
    difficulty=3, minutes=15, points=3,
    sizes=(dict(k=3, d_model=2), dict(k=1, d_model=4), dict(k=2, d_model=6), dict(k=-4, d_model=6),
           dict(k=7, d_model=8)),
    returns={"M": ("d_model", "d_model")},
    hints=(
        "One pair first: sin(a + b) = sin a cos b + cos a sin b and cos(a + b) = cos a cos b − sin a sin b. What is a, "
        "what is b?",
        "Written as a matrix on the column [sin a, cos a], the two rows are [cos b, sin b] and [−sin b, cos b].",
        "Pair i turns by b = k / 10000^(2i / d_model). Its block stands at the rows and columns 2i and 2i + 1, and "
        "everything else is 0.",
    ),
    explanation="M depends on k and not on t: a fixed matrix finds 'three places further on' from anywhere. A learned "
                "layer can hold this matrix. Turning leaves lengths alone, so M is orthogonal, and M for −k is its "
                "transpose.",
)


@task.reference
def shift_matrix(k, d_model):
    """M (d_model, d_model) that takes the sinusoids of any position t to those of t + k; k is a whole number."""
    M = np.zeros((d_model, d_model))
    for i in range(d_model // 2):
        angle = k / 10000 ** (2 * i / d_model)
        pair = slice(2 * i, 2 * i + 2)
        M[pair, pair] = [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]
    return M


@task.draw
def draw(rng, k, d_model):
    return {"k": k, "d_model": d_model}


@task.misconception
def backwards(k, d_model):
    """Your matrix takes p_t to p_(t − k): it is the transpose. With sine before cosine the rows of a block are [cos,
    sin] and [−sin, cos]."""
    return shift_matrix(-k, d_model)


@task.misconception
def one_angle_for_all_pairs(k, d_model):
    """You turn every pair by the angle k. Only pair 0 turns that fast; pair i turns by k / 10000^(2i / d_model)."""
    return np.kron(np.eye(d_model // 2), shift_matrix(k, 2))


@task.misconception
def one_step_whatever_k(k, d_model):
    """Your matrix moves by one position, whatever k is. The angle of each pair is k times as large."""
    return shift_matrix(1, d_model)


@task.misconception
def halves_instead_of_neighbours(k, d_model):
    """You pair unit i with unit i + d_model / 2. In these vectors sine and cosine of one wave are neighbours."""
    order = np.arange(d_model).reshape(-1, 2).T.reshape(-1)
    return shift_matrix(k, d_model)[np.ix_(order, order)]


@task.misconception
def not_doubled(k, d_model):
    """Your angle has the exponent i / d_model. It is 2i / d_model, as in the vectors that you turn."""
    return shift_matrix(k, 2 * d_model)[:d_model, :d_model]


@task.misconception
def a_difference_of_vectors(k, d_model):
    """That is a matrix with p_k on its diagonal. The sinusoids of t + k are no product of p_t and p_k unit by unit:
    write down sin(a + b)."""
    return np.diag(reference.sinusoidal_positions(abs(k) + 1, d_model)[abs(k)])


# ---------------------------------------------------------------------------------------------------------------------
# Rotary attention

task = Exercise(
    "04.rotary_attention", "Rotary attention",
    "Write self-attention with rotary positions as an `nn.Module`. Its `query`, `key` and `value` are linear layers "
    "without bias. Word $m$ ($m = 0, 1, …$) turns the pair of units $2i$ and $2i + 1$ by the angle "
    "$m / \\text{base}^{2i/d}$; the base is 10000 in the paper and an argument here. "
    "`coursekit.torch.scaled_dot_product_attention(query, key, value)` does the rest.",
    difficulty=4, minutes=25, points=4, kind="class",
    sizes=(dict(batch=1, length=2, d_model=4, base=100), dict(batch=2, length=5, d_model=4, base=10000),
           dict(batch=3, length=4, d_model=6, base=20)),
    returns={"context": ("batch", "length", "d_model")},
    withhold=("coursekit.torch.rotary", "coursekit.torch.position.rotary", "coursekit.keras.rotary",
              "coursekit.keras.position.rotary", "coursekit.reference.rotary",
              "transformers.models.gptj.modeling_gptj.apply_rotary_pos_emb"),
    hints=(
        "Three steps: project x to queries, keys and values; turn what must be turned; attend.",
        "Write the turning as a method of its own, and test it: position 0 is left as it is, and no length changes.",
        "The pair (a, b) becomes (a cos − b sin, a sin + b cos). x[..., 0::2] are all the a, x[..., 1::2] all the b.",
        "torch.stack([new_a, new_b], dim=-1).flatten(-2) puts the pairs side by side again.",
    ),
    explanation="Only queries and keys are turned: positions decide where to look, not what is found there. A score "
                "depends on the difference of two positions, so counting from 1 would give the same context.",
    equivalent={
        f"{change}, in return torch.stack([a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos()], "
        "dim=-1).flatten(-2)": proof for change, proof in {
            "-2 -> 2": "What is flattened has four axes, so axis 2 is axis -2.",
            "1 -> 2": "Queries and keys then have all a before all b; the same reordering of both changes no product.",
            "a * angle.cos() - b * angle.sin() -> b * angle.sin() - a * angle.cos()":
                "The sign of the same unit changes in queries and keys alike, so their products stay.",
        }.items()
    },
)


@task.reference
class RotaryAttention(nn.Module):
    """Attention of the words of a sentence to each other; queries and keys are turned by their positions."""

    def __init__(self, d_model, base):
        super().__init__()
        self.base = base
        self.query = nn.Linear(d_model, d_model, bias=False)
        self.key = nn.Linear(d_model, d_model, bias=False)
        self.value = nn.Linear(d_model, d_model, bias=False)

    def forward(self, x):
        """Context (batch, length, d_model) of the words x (batch, length, d_model)."""
        return ct.scaled_dot_product_attention(self.turn(self.query(x)), self.turn(self.key(x)), self.value(x))

    def turn(self, x):
        """x (batch, length, d_model) with each pair of neighbouring units turned by its angle."""
        length, d_model = x.shape[1:]
        angle = torch.arange(length)[:, None] / self.base ** (torch.arange(0, d_model, 2) / d_model)
        a, b = x[..., 0::2], x[..., 1::2]
        return torch.stack([a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos()], dim=-1).flatten(-2)


@task.draw
def draw(rng, batch, length, d_model, base):
    weights = {name: rng.normal(size=(d_model, d_model)) * 1.3 / d_model**0.5 for name in ("query", "key", "value")}
    return Case({"x": rng.normal(size=(batch, length, d_model))}, init={"d_model": d_model, "base": base},
                weights=weights)


@task.misconception
class values_turned_too(RotaryAttention):
    """You turn the values as well. Then what a word contributes depends on where it stands; only queries and keys are
    turned, since only their products give a distance."""

    def forward(self, x):
        query, key, value = self.turn(self.query(x)), self.turn(self.key(x)), self.turn(self.value(x))
        return ct.scaled_dot_product_attention(query, key, value)


@task.misconception
class nothing_turned(RotaryAttention):
    """Your attention does not know positions: nothing is turned, or all words are turned alike."""

    def turn(self, x):
        return x


@task.misconception
class turned_before_projecting(RotaryAttention):
    """You turn x and project afterwards. Then W stands between the two rotations and they do not combine to one by the
    distance: project first, then turn."""

    def forward(self, x):
        turned = self.turn(x)
        return ct.scaled_dot_product_attention(self.query(turned), self.key(turned), self.value(x))


@task.misconception
class queries_alone(RotaryAttention):
    """You turn the queries and not the keys. The score then depends on the query's position alone, not on the
    distance."""

    def forward(self, x):
        return ct.scaled_dot_product_attention(self.turn(self.query(x)), self.key(x), self.value(x))


@task.misconception
class the_other_way(RotaryAttention):
    """You turn the other way round: (a cos + b sin, b cos − a sin). Left and right are then swapped, and weights from
    elsewhere would not fit."""

    def turn(self, x):
        return super().turn(x.unflatten(-1, (-1, 2)).flip(-1).flatten(-2)).unflatten(-1, (-1, 2)).flip(-1).flatten(-2)


@task.misconception
class halves_paired(RotaryAttention):
    """You pair unit i with unit i + d / 2, as several libraries do. Here the pairs are neighbours, 2i and 2i + 1. Both
    are good, but weights that were trained with one do not fit the other."""

    def turn(self, x):
        neighbours = x.unflatten(-1, (2, -1)).transpose(-1, -2).flatten(-2)
        return super().turn(neighbours).unflatten(-1, (-1, 2)).transpose(-1, -2).flatten(-2)


@task.misconception
class one_angle_for_all(RotaryAttention):
    """You turn every pair by the angle m. Only the first pair turns that fast; pair i turns by m / base^(2i / d)."""

    def turn(self, x):
        pairs = x.unflatten(-1, (-1, 2))
        return torch.stack([super(one_angle_for_all, self).turn(pair) for pair in pairs.unbind(-2)], dim=-2).flatten(-2)


@task.misconception
class base_not_used(RotaryAttention):
    """You turn by m / 10000^(2i / d), whatever base is given. Models for long texts use larger bases: take the
    argument."""

    def __init__(self, d_model, base):
        super().__init__(d_model, 10000)


@task.misconception
class positions_added(RotaryAttention):
    """You add the sinusoids to queries and keys. Rotary positions turn them: they multiply."""

    def turn(self, x):
        return x + torch.from_numpy(reference.sinusoidal_positions(*x.shape[1:])).to(x.dtype)
