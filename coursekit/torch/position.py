"""Where a token stands: sinusoids and learned vectors that are added to it, and rotary positions that turn it."""

from functools import lru_cache

import torch
from torch import nn

from coursekit.shapes import expect, expect_at_least, expect_even


def sinusoidal_positions(length, d_model, device=None):
    """Sines and cosines of each position at d_model / 2 wavelengths from 2π to 10000 · 2π.

    PE(pos, 2i) = sin(pos / 10000^(2i / d_model));   PE(pos, 2i + 1) = cos(pos / 10000^(2i / d_model))

    Returns (length, d_model), float32, on `device`: a copy of a table that is computed once per length and device.
    Raises `ValueError` for a negative length and for an odd or negative d_model.
    Source: Vaswani et al. 2017, Attention Is All You Need, section 3.5.
    """
    expect_at_least("length", length, 0)
    expect_even("d_model", d_model)
    return cached_waves(length, d_model, torch.float32, device or torch.get_default_device()).clone()


@lru_cache(maxsize=16)
def cached_waves(length, d_model, dtype, device):
    with torch.inference_mode(False):  # what is first asked for in inference mode must serve training later
        return waves(torch.arange(length, device="cpu"), d_model).to(device, dtype)


def waves(positions, d_model):
    """The sinusoids of any positions (length,): (length, d_model), float64."""
    # float64 until the end: at position 5,000 a float32 angle is off by 2e-4.
    frequency = 10000.0 ** (-torch.arange(0, d_model, 2, dtype=torch.float64, device=positions.device) / d_model)
    angle = positions.double().unsqueeze(1) * frequency
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)


class PositionalEncoding(nn.Module):
    """Adds the sinusoids of its position to every token, then leaves some units out (in training only).

    output = dropout(x + PE)

    Shapes: x (batch, length, d_model), length at most `max_length`; the output has the shape and dtype of x.
    Raises `ValueError` where an axis does not fit or the sequence is longer than `max_length`.
    Source: Vaswani et al. 2017, Attention Is All You Need, sections 3.5 and 5.4.
    """

    def __init__(self, d_model, max_length, dropout=0.0):
        super().__init__()
        self.register_buffer("table", sinusoidal_positions(max_length, d_model), persistent=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        return self.dropout(x + rows_for(x, self.table).to(x.dtype))


class LearnedPositions(nn.Module):
    """Adds a learned vector to every token, one for each of `max_length` positions.

    output = x + P,   P (length, d_model): the first rows of `table`, which starts as normal numbers of deviation 0.02

    Shapes: x (batch, length, d_model), length at most `max_length`; the output has the shape of x.
    Raises `ValueError` where an axis does not fit or the sequence is longer than `max_length`.
    Source: Gehring et al. 2017, Convolutional Sequence to Sequence Learning, section 3.1; Devlin et al. 2019, BERT,
    section 3 and the authors' code.
    """

    def __init__(self, max_length, d_model):
        super().__init__()
        expect_at_least("max_length", max_length, 1)
        expect_at_least("d_model", d_model, 1)
        self.table = nn.Parameter(0.02 * torch.randn(max_length, d_model))

    def forward(self, x):
        return x + rows_for(x, self.table)


def rows_for(x, table):
    """The first rows of a table of positions, as many as x (batch, length, d_model) is long."""
    max_length, d_model = table.shape
    expect("x", x.shape, batch=None, length=None, d_model=d_model)
    if x.shape[1] > max_length:
        raise ValueError(f"x has length {x.shape[1]}, expected at most max_length, which is {max_length}")
    return table[:x.shape[1]]


def rotary(x, positions=None):
    """Turns each pair of neighbouring units by an angle that grows with the position.

    (x_2i, x_2i+1) → (x_2i cos a - x_2i+1 sin a, x_2i sin a + x_2i+1 cos a),   a = pos / 10000^(2i / d_head)

    Used on queries and keys, their dot products then depend on the distance of the two positions alone.
    Shapes: x (batch, heads, length, d_head); positions (length,), whole numbers, 0 to length - 1 by default.
    Returns the shape and dtype of x. Raises `ValueError` where an axis does not fit or d_head is odd.
    Source: Su et al. 2021, RoFormer: Enhanced Transformer with Rotary Position Embedding, section 3.2.
    """
    expect("x", x.shape, batch=None, heads=None, length=None, d_head=None)
    length, d_head = x.shape[2:]
    expect_even("d_head", d_head)
    dtype = torch.promote_types(x.dtype, torch.float32)  # half precision is too coarse for sines
    if positions is None:
        turns = cached_waves(length, d_head, dtype, x.device)
    else:
        expect("positions", positions.shape, length=(length, "x"))
        turns = waves(positions, d_head).to(x.device, dtype)
    sine, cosine = turns[:, 0::2], turns[:, 1::2]
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack([even * cosine - odd * sine, even * sine + odd * cosine], dim=-1).flatten(-2).to(x.dtype)
