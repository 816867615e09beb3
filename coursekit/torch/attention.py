"""Attention between one decoder state and the encoder's states: the scores of Luong and of Bahdanau."""

import torch
from torch import nn

from coursekit.shapes import expect, expect_at_least, expect_choice


def masked_softmax(scores, mask=None):
    """Softmax over the last axis in which masked places get weight zero.

    `scores` (..., length) real; `mask` broadcasts against them, boolean, True where attending is allowed. Returns
    weights of the shape of `scores`; a row without any allowed place is all zeros, and its gradient is zero too.
    """
    if mask is None:
        return scores.softmax(-1)
    # The lowest finite number, not -inf: softmax of a row of -inf is NaN, which would be replaced below, but stops
    # whoever debugs with torch.autograd.detect_anomaly.
    lowest = torch.finfo(scores.dtype).min
    return scores.masked_fill(~mask, lowest).softmax(-1).masked_fill(~mask, 0.0)


class Attention(nn.Module):
    """Weighs the encoder's states by a score and returns their weighted sum, the context.

    weights = softmax over s of score(query, values_s);   context = sum over s of weights_s values_s

    Shapes: query (batch, units); values (batch, length, units); mask (batch, length), boolean, True = may attend.
    Returns context (batch, units), or (context, weights (batch, length)) with `return_weights=True`; a fully masked
    row gives zeros. Raises `ValueError` where an axis does not fit or the mask is not boolean.

    A subclass defines `keys(values)`, the part of the score that no query changes (a decoder computes it once for
    all its steps), and `score(query, keys)`.
    """

    def __init__(self, units):
        super().__init__()
        expect_at_least("units", units, 1)
        self.units = units

    def forward(self, query, values, mask=None, return_weights=False):
        expect("values", values.shape, batch=None, length=None, units=self.units)
        batch, length, _ = values.shape
        expect("query", query.shape, batch=(batch, "values"), units=self.units)
        if mask is not None:
            expect("mask", mask.shape, batch=(batch, "values"), length=(length, "values"))
            if mask.dtype != torch.bool:
                raise ValueError(f"mask has dtype {mask.dtype}, expected torch.bool (True = may attend)")
        context, weights = self.attend(query, self.keys(values), values, mask)
        return (context, weights) if return_weights else context

    def attend(self, query, keys, values, mask=None):
        """Context and weights from keys computed before."""
        weights = masked_softmax(self.score(query, keys), mask)
        return (weights.unsqueeze(1) @ values).squeeze(1), weights


class LuongAttention(Attention):
    """Luong's attention with one of his three scores.

    dot: qᵀh;   general: qᵀ W h;   concat: vᵀ tanh(W [q; h])

    `score` is "dot", "general" or "concat"; shapes and errors as in `Attention`.
    Source: Luong, Pham and Manning 2015, Effective Approaches to Attention-based Neural Machine Translation, eq. 8.
    """

    def __init__(self, units, score="dot"):
        super().__init__(units)
        expect_choice("score", score, ("dot", "general", "concat"))
        self.kind = score
        if score == "general":
            self.W = nn.Linear(units, units, bias=False)
        elif score == "concat":
            self.W = nn.Linear(2 * units, units, bias=False)
            self.v = nn.Linear(units, 1, bias=False)

    def keys(self, values):
        if self.kind == "dot":
            return values
        if self.kind == "general":
            return self.W(values)
        return values @ self.W.weight[:, self.units:].T  # W [q; h] = W_q q + W_h h: this is W_h h

    def score(self, query, keys):
        if self.kind == "concat":
            query = query @ self.W.weight[:, :self.units].T
            return self.v(torch.tanh(query.unsqueeze(1) + keys)).squeeze(-1)
        return (keys @ query.unsqueeze(-1)).squeeze(-1)


class BahdanauAttention(Attention):
    """Bahdanau's additive attention.

    score = vᵀ tanh(W₁ q + W₂ h + b)

    Shapes and errors as in `Attention`. A bias on vᵀ would move all scores alike, which softmax ignores: there is none.
    Source: Bahdanau, Cho and Bengio 2015, Neural Machine Translation by Jointly Learning to Align and Translate, A.1.2.
    """

    def __init__(self, units):
        super().__init__(units)
        self.query_layer = nn.Linear(units, units)
        self.values_layer = nn.Linear(units, units, bias=False)
        self.v = nn.Linear(units, 1, bias=False)

    def keys(self, values):
        return self.values_layer(values)

    def score(self, query, keys):
        return self.v(torch.tanh(self.query_layer(query).unsqueeze(1) + keys)).squeeze(-1)
