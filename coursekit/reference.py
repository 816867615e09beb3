"""The formulas of the lectures in NumPy, by hand: what every layer of the course is compared with.

Shapes as everywhere in the course: query (batch, units), values (batch, length, units), scores and weights
(batch, length), context (batch, units); a mask is boolean and True means "may attend".
"""

import numpy as np


def softmax(scores, axis=-1, mask=None):
    """exp(scores) / sum of exp(scores) along `axis`, over the places that `mask` allows.

    The largest score is subtracted first, which changes nothing and keeps exp from overflowing. Masked places get
    zero; where nothing is allowed, all are zero.
    """
    allowed = np.ones(scores.shape, bool) if mask is None else np.broadcast_to(mask, scores.shape)
    largest = np.max(scores, axis=axis, keepdims=True, where=allowed, initial=np.finfo(scores.dtype).min)
    powers = np.exp(np.where(allowed, scores - largest, -np.inf))
    total = powers.sum(axis=axis, keepdims=True)
    return powers / np.where(total == 0, 1, total)


def dot_score(query, values):
    """score_s = qᵀ h_s, with one loop for each axis: Luong et al. 2015, eq. 8, "dot"."""
    batch, length, units = values.shape
    scores = np.zeros((batch, length), values.dtype)
    for b in range(batch):
        for s in range(length):
            for u in range(units):
                scores[b, s] += query[b, u] * values[b, s, u]
    return scores


def general_score(query, values, W):
    """score_s = qᵀ W h_s, W (units, units): Luong et al. 2015, eq. 8, "general"."""
    return np.einsum("bi,ij,bsj->bs", query, W, values)


def concat_score(query, values, W, v):
    """score_s = vᵀ tanh(W [q; h_s]), W (units, 2 · units), v (units,): Luong et al. 2015, eq. 8, "concat"."""
    repeated = np.broadcast_to(query[:, None, :], values.shape)
    return np.tanh(np.concatenate([repeated, values], axis=-1) @ W.T) @ v


def additive_score(query, values, W1, W2, v, b):
    """score_s = vᵀ tanh(W₁ q + W₂ h_s + b), W₁ and W₂ (units, units), v and b (units,): Bahdanau et al. 2015, A.1.2."""
    return np.tanh((query @ W1.T)[:, None, :] + values @ W2.T + b) @ v


def context(weights, values):
    """context = sum over s of weights_s h_s."""
    return np.einsum("bs,bsu->bu", weights, values)
