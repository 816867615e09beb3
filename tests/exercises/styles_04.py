import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from coursekit.torch import PositionalEncoding, scaled_dot_product_attention, sinusoidal_positions
from exercise_styles import choice, number, style

choice("04.who_knows_order", "b")
number("04.first_crest", 157)


# 04.position_vectors

@style("04.position_vectors")
def loops(positions, d_model):
    vectors = np.zeros((len(positions), d_model))
    for row, pos in enumerate(positions):
        for i in range(d_model // 2):
            vectors[row, 2 * i] = math.sin(pos / 10000 ** (2 * i / d_model))
            vectors[row, 2 * i + 1] = math.cos(pos / 10000 ** (2 * i / d_model))
    return vectors


@style("04.position_vectors")
def stack_and_reshape(positions, d_model):
    frequency = np.exp(-np.arange(0, d_model, 2) * math.log(10000) / d_model)
    angle = np.outer(positions, frequency)
    return np.stack([np.sin(angle), np.cos(angle)], axis=2).reshape(len(positions), -1)


@style("04.position_vectors")
def where_even(positions, d_model):
    unit = np.arange(d_model)
    angle = positions[:, None] / np.power(10000.0, 2 * (unit // 2) / d_model)
    return np.where(unit % 2 == 0, np.sin(angle), np.cos(angle))


@style("04.position_vectors")
def torch_in_single_precision(positions, d_model):
    angle = torch.tensor(positions).float().unsqueeze(1) * 10000.0 ** (-torch.arange(0, d_model, 2) / d_model)
    return torch.stack((angle.sin(), angle.cos()), -1).flatten(1)


@style("04.position_vectors")
def complex_exponential(positions, d_model):
    turned = np.exp(1j * positions[:, None] * 10000.0 ** (-np.arange(0, d_model, 2) / d_model))
    return np.stack([turned.imag, turned.real], axis=-1).reshape(len(positions), d_model)


@style("04.position_vectors")
def plain_python(positions, d_model):
    return [[(math.cos if unit % 2 else math.sin)(pos / 10000 ** ((unit - unit % 2) / d_model))
             for unit in range(d_model)] for pos in positions.tolist()]


# 04.padded_positions

@style("04.padded_positions")
def row_by_row(x, mask):
    output = x.copy()
    table = sinusoidal_positions(x.shape[1], x.shape[2]).numpy()
    for b in range(len(x)):
        words = np.flatnonzero(mask[b])
        output[b, words] += table[:len(words)]
    return output


@style("04.padded_positions")
def assign_where_true(x, mask):
    _, length, d_model = x.shape
    output = np.array(x)
    places = (np.cumsum(mask, axis=-1) - 1)[mask]
    output[mask] = x[mask] + sinusoidal_positions(length, d_model).double().numpy()[places]
    return output


@style("04.padded_positions")
def torch_where(x, mask):
    x, mask = torch.tensor(x), torch.tensor(mask)
    places = (mask.cumsum(1) - 1).clamp(min=0)
    added = F.embedding(places, sinusoidal_positions(x.shape[1], x.shape[2]).to(x.dtype))
    return torch.where(mask.unsqueeze(-1), x + added, x)


@style("04.padded_positions")
def counting_in_loops(x, mask):
    batch, length, d_model = x.shape
    table, output = sinusoidal_positions(length, d_model), x.tolist()
    for b in range(batch):
        position = 0
        for t in range(length):
            if mask[b, t]:
                for unit in range(d_model):
                    output[b][t][unit] += table[position, unit].item()
                position += 1
    return output


@style("04.padded_positions")
def one_sentence_at_a_time(x, mask):
    layer = PositionalEncoding(x.shape[2], x.shape[1])
    rows = []
    for vectors, words in zip(torch.tensor(x, dtype=torch.float32), torch.tensor(mask)):
        row = vectors.clone()
        row[words] = layer(vectors[words].unsqueeze(0))[0]
        rows.append(row)
    return torch.stack(rows)


# 04.shift_matrix

@style("04.shift_matrix")
def element_by_element(k, d_model):
    M = np.zeros((d_model, d_model))
    for unit in range(0, d_model, 2):
        b = k / 10000 ** (unit / d_model)
        M[unit, unit] = M[unit + 1, unit + 1] = math.cos(b)
        M[unit, unit + 1], M[unit + 1, unit] = math.sin(b), -math.sin(b)
    return M


@style("04.shift_matrix")
def torch_block_diag(k, d_model):
    angles = k * 10000.0 ** (-torch.arange(0, d_model, 2) / d_model)
    return torch.block_diag(*[torch.tensor([[b.cos(), b.sin()], [-b.sin(), b.cos()]]) for b in angles])


@style("04.shift_matrix")
def diagonals(k, d_model):
    b = np.repeat(k / 10000 ** (np.arange(0, d_model, 2) / d_model), 2)
    beside = (np.sin(b) * (np.arange(d_model) % 2 == 0))[:-1]
    return np.diag(np.cos(b)) + np.diag(beside, 1) - np.diag(beside, -1)


@style("04.shift_matrix")
def matrix_exponential(k, d_model):
    speed = torch.zeros(d_model, d_model, dtype=torch.float64)
    for i in range(d_model // 2):
        omega = 10000 ** (-2 * i / d_model)
        speed[2 * i, 2 * i + 1], speed[2 * i + 1, 2 * i] = omega, -omega
    return torch.linalg.matrix_exp(k * speed)


@style("04.shift_matrix")
def nested_lists(k, d_model):
    M = [[0.0] * d_model for _ in range(d_model)]
    for i in range(d_model // 2):
        b = k * 10000 ** (-2 * i / d_model)
        M[2 * i][2 * i:2 * i + 2] = [math.cos(b), math.sin(b)]
        M[2 * i + 1][2 * i:2 * i + 2] = [-math.sin(b), math.cos(b)]
    return M


# 04.rotary_attention

class Projections(nn.Module):
    def __init__(self, d_model, base):
        super().__init__()
        self.base = base
        self.query, self.key, self.value = (nn.Linear(d_model, d_model, bias=False) for _ in range(3))

    def angles(self, x, first=0):
        length, d_model = x.shape[-2:]
        positions = torch.arange(first, first + length, dtype=x.dtype)
        return torch.outer(positions, self.base ** (-torch.arange(0, d_model, 2, dtype=x.dtype) / d_model))


@style("04.rotary_attention")
class ComplexNumbers(Projections):
    def forward(self, x):
        turns = torch.polar(torch.ones_like(self.angles(x)), self.angles(x))
        query, key = (torch.view_as_real(torch.view_as_complex(part.unflatten(-1, (-1, 2))) * turns).flatten(-2)
                      for part in (self.query(x), self.key(x)))
        return scaled_dot_product_attention(query, key, self.value(x))


@style("04.rotary_attention")
class CountedFromOne(Projections):
    def forward(self, x):
        return F.scaled_dot_product_attention(self.turn(self.query(x)), self.turn(self.key(x)), self.value(x))

    def turn(self, x):
        angle = self.angles(x, first=1)
        turned = torch.empty_like(x)
        turned[..., 0::2] = x[..., 0::2] * angle.cos() - x[..., 1::2] * angle.sin()
        turned[..., 1::2] = x[..., 0::2] * angle.sin() + x[..., 1::2] * angle.cos()
        return turned


@style("04.rotary_attention")
class RotateHalfOfRepeated(Projections):
    def forward(self, x):
        query, key = self.turn(self.query(x)), self.turn(self.key(x))
        weights = (query @ key.transpose(1, 2) / x.shape[-1] ** 0.5).softmax(dim=-1)
        return weights @ self.value(x)

    def turn(self, x):
        angle = self.angles(x).repeat_interleave(2, dim=-1)
        partner = torch.stack([-x[..., 1::2], x[..., 0::2]], dim=-1).reshape(x.shape)
        return x * angle.cos() + partner * angle.sin()


@style("04.rotary_attention")
class OneMatrixForEachPosition(Projections):
    def forward(self, x):
        matrices = torch.stack([self.matrix(row) for row in self.angles(x)])
        query = torch.einsum("tij,btj->bti", matrices, self.query(x))
        key = torch.einsum("tij,btj->bti", matrices, self.key(x))
        return scaled_dot_product_attention(query, key, self.value(x))

    def matrix(self, row):
        return torch.block_diag(*[torch.stack([torch.stack([a.cos(), -a.sin()]), torch.stack([a.sin(), a.cos()])])
                                  for a in row])


@style("04.rotary_attention")
class LazyLayers(RotateHalfOfRepeated):
    def __init__(self, d_model, base):
        super().__init__(d_model, base)
        self.query, self.key, self.value = (nn.LazyLinear(d_model, bias=False) for _ in range(3))


@style("04.rotary_attention")
class ByTheDistance(Projections):
    """Turns nothing: the rotation by the distance stands inside each score."""

    def forward(self, x):
        query, key = (part.unflatten(-1, (-1, 2)) for part in (self.query(x), self.key(x)))
        turn = self.angles(x)[:, None] - self.angles(x)[None]  # (queries, keys, pairs)
        same = torch.einsum("bmpc,bnpc->bmnp", query, key) * turn.cos()
        cross = (torch.einsum("bmp,bnp->bmnp", query[..., 0], key[..., 1])
                 - torch.einsum("bmp,bnp->bmnp", query[..., 1], key[..., 0])) * turn.sin()
        return ((same + cross).sum(-1) / x.shape[-1] ** 0.5).softmax(-1) @ self.value(x)
