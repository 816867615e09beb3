"""The formulas of the lectures in NumPy, by hand: what every layer of the course is compared with.

Shapes as everywhere in the course. Of Luong's and Bahdanau's scores: query (batch, units), values (batch, length,
units), scores and weights (batch, length), context (batch, units). Of the Transformer: (batch, length, d_model), per
head (batch, heads, length, d_head). What does not fit raises `ValueError` with the axis and both sizes. A mask is
boolean and True means "may attend". `parameters` are a dict of arrays by the names that the layer's `state_dict()` has
in `coursekit.torch`; a weight is (outputs, inputs).
"""

import math

import numpy as np

from coursekit.shapes import expect


def softmax(scores, axis=-1, mask=None):
    """exp(scores) / sum of exp(scores) along `axis`, over the places that `mask` allows.

    The largest score is subtracted first, which changes nothing and keeps exp from overflowing. Masked places get
    zero; where nothing is allowed, all are zero. Raises `ValueError` for scores that are not real numbers and for a
    mask that is not boolean or does not broadcast against them.
    """
    scores = np.asarray(scores)
    if not np.issubdtype(scores.dtype, np.floating):
        raise ValueError(f"scores has dtype {scores.dtype}, expected float16, float32 or float64")
    if mask is not None:
        mask = np.asarray(mask)
        if mask.dtype != bool:
            raise ValueError(f"mask has dtype {mask.dtype}, expected bool (True = may attend)")
        for axis_from_end, (came, size) in enumerate(zip(mask.shape[::-1], scores.shape[::-1]), 1):
            if came not in (1, size):
                raise ValueError(f"mask has {came} places on axis -{axis_from_end}, scores have {size}")
    allowed = np.ones(scores.shape, bool) if mask is None else np.broadcast_to(mask, scores.shape)
    largest = np.max(scores, axis=axis, keepdims=True, where=allowed, initial=np.finfo(scores.dtype).min)
    powers = np.exp(np.where(allowed, scores - largest, -np.inf))
    total = powers.sum(axis=axis, keepdims=True)
    return powers / np.where(total == 0, 1, total)


def check(query, values):
    """Raise `ValueError` unless query is (batch, units) and values (batch, length, units), of one batch and width."""
    expect("values", np.shape(values), batch=None, length=None, units=None)
    batch, _, units = np.shape(values)
    expect("query", np.shape(query), batch=(batch, "values"), units=(units, "values"))
    return units


def dot_score(query, values):
    """score_s = qᵀ h_s, with one loop for each axis: Luong et al. 2015, eq. 8, "dot"."""
    check(query, values)
    batch, length, units = values.shape
    scores = np.zeros((batch, length), values.dtype)
    for b in range(batch):
        for s in range(length):
            for u in range(units):
                scores[b, s] += query[b, u] * values[b, s, u]
    return scores


def general_score(query, values, W):
    """score_s = qᵀ W h_s, W (units, units): Luong et al. 2015, eq. 8, "general"."""
    units = check(query, values)
    expect("W", np.shape(W), outputs=units, inputs=units)
    return np.einsum("bi,ij,bsj->bs", query, W, values)


def concat_score(query, values, W, v):
    """score_s = vᵀ tanh(W [q; h_s]), W (units, 2 · units), v (units,): Luong et al. 2015, eq. 8, "concat"."""
    units = check(query, values)
    expect("W", np.shape(W), outputs=units, inputs=2 * units)
    expect("v", np.shape(v), units=units)
    repeated = np.broadcast_to(query[:, None, :], values.shape)
    return np.tanh(np.concatenate([repeated, values], axis=-1) @ W.T) @ v


def additive_score(query, values, W1, W2, v, b):
    """score_s = vᵀ tanh(W₁ q + W₂ h_s + b), W₁ and W₂ (units, units), v and b (units,): Bahdanau et al. 2015, A.1.2."""
    units = check(query, values)
    for name, matrix in (("W1", W1), ("W2", W2)):
        expect(name, np.shape(matrix), outputs=units, inputs=units)
    for name, vector in (("v", v), ("b", b)):
        expect(name, np.shape(vector), units=units)
    return np.tanh((query @ W1.T)[:, None, :] + values @ W2.T + b) @ v


def context(weights, values):
    """context = sum over s of weights_s h_s."""
    expect("values", np.shape(values), batch=None, length=None, units=None)
    expect("weights", np.shape(weights), batch=(len(values), "values"), length=(np.shape(values)[1], "values"))
    return np.einsum("bs,bsu->bu", weights, values)


def scaled_dot_product_attention_in_loops(query, key, value):
    """weights = softmax over the keys of Q Kᵀ / √d_head; context = weights V, with one loop for each axis.

    One sequence: query (queries, d_head), key (keys, d_head), value (keys, d_value). Returns context (queries, d_value)
    and weights (queries, keys). Vaswani et al. 2017, section 3.2.1.
    """
    (queries, d_head), (keys, d_value) = query.shape, value.shape
    context, weights = np.zeros((queries, d_value), query.dtype), np.zeros((queries, keys), query.dtype)
    for i in range(queries):
        for j in range(keys):
            score = 0.0
            for d in range(d_head):
                score += query[i, d] * key[j, d]
            weights[i, j] = math.exp(score / math.sqrt(d_head))
        weights[i] /= sum(weights[i])
        for j in range(keys):
            for d in range(d_value):
                context[i, d] += weights[i, j] * value[j, d]
    return context, weights


def scaled_dot_product_attention(query, key, value, mask=None):
    """The same with matrices and any axes before: a token is a row, and softmax goes along each row of Q Kᵀ / √d_head.

    The mask broadcasts against the weights (..., queries, keys).
    """
    weights = softmax(query @ key.swapaxes(-2, -1) / math.sqrt(query.shape[-1]), mask=mask)
    return weights @ value, weights


def scaled_dot_product_attention_in_columns(query, key, value, mask=None):
    """The same for one sequence as D × N, as in Prince 2023, Understanding Deep Learning, section 12.2.

    A token is a column: weights = softmax along each column of Kᵀ Q / √d_head; context = V weights. Query (d_head,
    queries), key (d_head, keys), value (d_value, keys), mask and weights (keys, queries), context (d_value, queries).
    """
    weights = softmax(key.T @ query / math.sqrt(len(query)), axis=0, mask=mask)
    return value @ weights, weights


def linear(x, parameters, layer):
    """x Wᵀ + b with the weights of one layer; without b where the layer has none."""
    return x @ parameters[f"{layer}.weight"].T + parameters.get(f"{layer}.bias", 0)


def multi_head_attention(query, key, value, parameters, n_heads, mask=None):
    """Each head attends in its own slice of the projected units; their contexts, side by side, are projected once more.

    mask broadcasts against the weights of all heads. Returns output (batch, queries, d_model) and weights (batch,
    heads, queries, keys). Vaswani et al. 2017, section 3.2.2.
    """
    query, key, value = (linear(x, parameters, f"{name}_projection")
                         for x, name in ((query, "query"), (key, "key"), (value, "value")))
    (batch, queries, d_model), keys = query.shape, key.shape[1]
    allowed = np.broadcast_to(True if mask is None else mask, (batch, n_heads, queries, keys))
    d_head, contexts, weights = d_model // n_heads, [], []
    for head in range(n_heads):
        units = slice(head * d_head, (head + 1) * d_head)
        of_head = scaled_dot_product_attention(query[..., units], key[..., units], value[..., units], allowed[:, head])
        contexts.append(of_head[0])
        weights.append(of_head[1])
    return linear(np.concatenate(contexts, axis=-1), parameters, "output_projection"), np.stack(weights, axis=1)


def layer_norm(x, scale, shift, epsilon=1e-5):
    """(x - mean) / √(variance + ε) · scale + shift, over the last axis; the variance divides by n. Ba et al. 2016."""
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon) * scale + shift


def relu(x):
    """max(x, 0)"""
    return np.maximum(x, 0)


def gelu(x):
    """x Φ(x), Φ the normal distribution: x (1 + erf(x / √2)) / 2. Hendrycks and Gimpel 2016, section 2."""
    return x * (1 + np.vectorize(math.erf, otypes=[x.dtype])(x / math.sqrt(2))) / 2


def feed_forward(x, parameters, activation=relu):
    """W₂ activation(W₁ x + b₁) + b₂. Vaswani et al. 2017, section 3.3."""
    return linear(activation(linear(x, parameters, "expand")), parameters, "contract")


def encoder_layer(x, parameters, n_heads, mask=None, *, activation=relu, norm_first=False, epsilon=1e-5):
    """Attention, then a feed-forward network, each with a residual connection and a layer norm.

    post-norm: x ← norm(x + part(x)); pre-norm: x ← x + part(norm(x)). Vaswani et al. 2017, section 3.1.
    """
    def attention(x):
        return multi_head_attention(x, x, x, part(parameters, "attention"), n_heads, mask)[0]

    def network(x):
        return feed_forward(x, part(parameters, "feed_forward"), activation)

    for function, name in ((attention, "attention_norm"), (network, "feed_forward_norm")):
        scale, shift = parameters[f"{name}.weight"], parameters[f"{name}.bias"]
        if norm_first:
            x = x + function(layer_norm(x, scale, shift, epsilon))
        else:
            x = layer_norm(x + function(x), scale, shift, epsilon)
    return x


def part(parameters, layer):
    """The parameters of one layer inside another, by the names that they have in it."""
    return {name.removeprefix(f"{layer}."): array for name, array in parameters.items() if name.startswith(f"{layer}.")}


def sinusoidal_positions(length, d_model):
    """PE(pos, 2i) = sin(pos / 10000^(2i / d_model)), PE(pos, 2i + 1) = cos of the same: (length, d_model), with one
    loop for each axis. Vaswani et al. 2017, section 3.5."""
    table = np.zeros((length, d_model))
    for pos in range(length):
        for i in range(d_model // 2):
            angle = pos / 10000 ** (2 * i / d_model)
            table[pos, 2 * i], table[pos, 2 * i + 1] = math.sin(angle), math.cos(angle)
    return table


def rotary(x, positions):
    """Each pair of units (2i, 2i + 1) as a complex number times e^(i a), a = pos / 10000^(2i / d_head): (..., length,
    d_head). Su et al. 2021, section 3.2."""
    d_head = x.shape[-1]
    angle = np.asarray(positions)[:, None] / 10000 ** (np.arange(0, d_head, 2) / d_head)
    turned = (x[..., 0::2] + 1j * x[..., 1::2]) * np.exp(1j * angle)
    return np.stack([turned.real, turned.imag], axis=-1).reshape(x.shape)
