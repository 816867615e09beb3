"""Where a token stands, as a vector."""

import torch

from coursekit.shapes import expect_at_least, expect_even


def sinusoidal_positions(length, d_model):
    """Sines and cosines of each position at d_model / 2 wavelengths from 2π to 10000 · 2π.

    PE(pos, 2i) = sin(pos / 10000^(2i / d_model));   PE(pos, 2i + 1) = cos(pos / 10000^(2i / d_model))

    Returns (length, d_model), float32. Raises `ValueError` for a negative length and for an odd or negative d_model.
    Source: Vaswani et al. 2017, Attention Is All You Need, section 3.5.
    """
    expect_at_least("length", length, 0)
    expect_even("d_model", d_model)
    # float64 until the end: at position 5,000 a float32 angle is off by 2e-4.
    frequency = 10000.0 ** (-torch.arange(0, d_model, 2, dtype=torch.float64) / d_model)
    angle = torch.arange(length, dtype=torch.float64).unsqueeze(1) * frequency
    return torch.stack([angle.sin(), angle.cos()], dim=-1).reshape(length, d_model).float()
