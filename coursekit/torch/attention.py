"""Attention: Luong's and Bahdanau's scores of one decoder state, and the Transformer's, of all places at once."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from coursekit.shapes import expect, expect_at_least, expect_choice, expect_real


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
    row gives zeros. Raises `ValueError` where an axis or a dtype does not fit or the mask is not boolean.

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
        expect_real("query", query.dtype)
        expect_real("values", values.dtype)
        if query.dtype != values.dtype and not torch.is_autocast_enabled(query.device.type):
            raise ValueError(f"query has dtype {query.dtype}, values have {values.dtype}")
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


def scaled_dot_product_attention(query, key, value, mask=None, *, dropout=0.0, return_weights=False):
    """Every query's mean of the values, weighted by how well their keys match the query.

    weights = softmax over the keys of Q Kᵀ / √d_head;   context = weights V

    Shapes: query (batch, heads, queries, d_head), key (batch, heads, keys, d_head) and value (batch, heads, keys,
    d_value), all three without heads, or all without heads and batch; mask boolean, True = may attend: (queries, keys)
    or with the axes before them, where all but keys may be 1. `dropout` is the probability of leaving out a weight.
    Returns context (batch, heads, queries, d_value), or (context, weights (batch, heads, queries, keys)) with
    `return_weights=True`, the weights as they are before dropout. Without weights the fused kernel computes the same
    and never holds them, except with dropout on a CPU. A query that may attend to nothing has zero weights and zero
    context.
    Raises `ValueError` where an axis does not fit, the mask is not boolean, or dropout is not from 0 to 1.
    Source: Vaswani et al. 2017, Attention Is All You Need, section 3.2.1; dropout of weights: the authors' code.
    """
    outer = outer_axes(query)
    expect("key", key.shape, **outer, keys=None, d_head=(query.shape[-1], "query"))
    expect("value", value.shape, **outer, keys=(key.shape[-2], "key"), d_value=None)
    if mask is not None:
        expect_mask(mask, **outer, queries=(query.shape[-2], "query"), keys=(key.shape[-2], "key"))
    if not 0 <= dropout <= 1:
        raise ValueError(f"dropout is {dropout}, expected a probability from 0 to 1")
    if return_weights:
        scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
        weights = masked_softmax(scores, mask)
        return F.dropout(weights, dropout) @ value, weights
    if mask is None:
        return F.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
    # What the kernels make of a row without any allowed place, NaN or zero, depends on the device and the version.
    nothing = ~mask.any(-1, keepdim=True)
    if nothing.is_cpu and not torch.compiler.is_compiling() and not nothing.any():  # on a GPU, looking would take longer
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout)
    context = F.scaled_dot_product_attention(query, key, value, attn_mask=mask | nothing, dropout_p=dropout)
    return context.masked_fill(nothing, 0.0)


def outer_axes(query):
    """The axes before queries and d_head, batch and heads or fewer, as `expect` takes them from the query."""
    if query.dim() not in (2, 3, 4):
        raise ValueError(f"query has shape {tuple(query.shape)}, expected the 4 axes (batch, heads, queries, d_head), "
                         "the 3 without heads, or the last 2")
    return {axis: (size, "query") for axis, size in zip(("batch", "heads"), query.shape[:-2])}


def expect_mask(mask, **axes):
    """Raise `ValueError` unless the mask is boolean and has two or more of these axes, the last ones: all but keys
    may be 1."""
    if mask.dtype != torch.bool:
        raise ValueError(f"mask has dtype {mask.dtype}, expected torch.bool (True = may attend)")
    if 2 <= mask.ndim < len(axes):
        axes = dict(list(axes.items())[-mask.ndim:])
    broadcast = {axis for axis, size in zip(axes, mask.shape) if size == 1 and axis != "keys"}
    expect("mask", mask.shape, **{axis: None if axis in broadcast else size for axis, size in axes.items()})


def causal_mask(length, device=None):
    """Each place may attend to itself and to those before it.

    Returns (length, length), boolean, True on and below the diagonal. Raises `ValueError` for a negative length.
    Source: Vaswani et al. 2017, Attention Is All You Need, section 3.2.3.
    """
    expect_at_least("length", length, 0)
    return torch.ones(length, length, dtype=torch.bool, device=device).tril()


def padding_mask(lengths, max_length=None):
    """Every query may attend to the first lengths[b] keys of row b, and not to the padding after them.

    Shapes: lengths (batch,), whole numbers, a tensor or a list; `max_length`: keys of a row, the longest's by default.
    Returns (batch, 1, max_length), boolean. Raises `ValueError` for lengths below 0 or beyond `max_length`.
    """
    lengths = torch.as_tensor(lengths)
    expect("lengths", lengths.shape, batch=None)
    if lengths.is_floating_point() or lengths.dtype == torch.bool or not len(lengths):
        raise ValueError(f"lengths is {lengths}, expected whole numbers, one for each row of a batch")
    max_length = int(lengths.max()) if max_length is None else max_length
    expect_at_least("max_length", max_length, 0)
    if lengths.min() < 0 or lengths.max() > max_length:
        raise ValueError(f"lengths has {int(lengths.min())} to {int(lengths.max())}, expected 0 to {max_length}")
    return (torch.arange(max_length, device=lengths.device) < lengths.unsqueeze(1)).unsqueeze(1)


class MultiHeadAttention(nn.Module):
    """Attention in `n_heads` spaces of d_head = d_model / n_heads units side by side, put together again.

    head_i = attention(Q W_iᵠ, K W_iᵏ, V W_iᵛ);   output = [head_1; …; head_h] Wᵒ

    Shapes: query (batch, queries, d_model); key and value (batch, keys, d_model), the query by default
    (self-attention), value the key by default; mask boolean, True = may attend: (queries, keys), (batch, queries, keys)
    or (batch, heads, queries, keys), where all but keys may be 1. `bias` is for the four projections alike.
    `dropout` of the weights is in training only. With `cache`, a `KVCache`, only new keys and values are given: those
    of earlier calls come before them, and the mask is over all. Returns output (batch, queries, d_model), or (output,
    weights (batch, heads, queries, keys)) with `return_weights=True`, which changes the output by rounding only. Where
    a query may attend to nothing, the output is the last projection's bias.
    Raises `ValueError` where an axis does not fit, the mask is not boolean, or n_heads does not divide d_model.
    Source: Vaswani et al. 2017, Attention Is All You Need, section 3.2.2.
    """

    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
        super().__init__()
        expect_at_least("d_model", d_model, 1)
        expect_at_least("n_heads", n_heads, 1)
        if d_model % n_heads:
            raise ValueError(f"d_model is {d_model}, expected a multiple of n_heads, which is {n_heads}")
        self.d_model, self.n_heads = d_model, n_heads
        self.query_projection = nn.Linear(d_model, d_model, bias=bias)
        self.key_projection = nn.Linear(d_model, d_model, bias=bias)
        self.value_projection = nn.Linear(d_model, d_model, bias=bias)
        self.output_projection = nn.Linear(d_model, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, query, key=None, value=None, mask=None, return_weights=False, cache=None):
        key = query if key is None else key
        value = key if value is None else value
        expect("query", query.shape, batch=None, queries=None, d_model=self.d_model)
        expect("key", key.shape, batch=(len(query), "query"), keys=None, d_model=self.d_model)
        expect("value", value.shape, batch=(len(query), "query"), keys=(key.shape[1], "key"), d_model=self.d_model)
        if mask is not None and mask.ndim == 3:
            mask = mask[:, None]  # the same for every head
        query = self.split(self.query_projection(query))
        key, value = self.split(self.key_projection(key)), self.split(self.value_projection(value))
        if cache is not None:
            key, value = cache.extend(self, key, value)
        attended = scaled_dot_product_attention(
            query, key, value, mask, dropout=self.dropout.p if self.training else 0.0, return_weights=return_weights)
        context, weights = attended if return_weights else (attended, None)
        output = self.output_projection(context.transpose(1, 2).flatten(2))
        return (output, weights) if return_weights else output

    def split(self, x):
        """(batch, length, d_model) → (batch, heads, length, d_head)"""
        return x.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)
