import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from exercise_styles import choice, keras_styles, reversal_predictor, style

choice("02.wiring", "a")
reversal_predictor("02.length_100")


# 02.four_scores

@style("02.four_scores")
def loops(kind, query, values, W, v, b):
    batch, length, units = values.shape
    result = np.zeros((batch, length), values.dtype)
    for n in range(batch):
        for s in range(length):
            q, h = query[n], values[n, s]
            if kind == "dot":
                result[n, s] = sum(q[i] * h[i] for i in range(units))
            elif kind == "general":
                result[n, s] = q.dot(W.dot(h))
            elif kind == "concat":
                result[n, s] = v @ np.tanh(W @ np.hstack([q, h]))
            else:
                result[n, s] = v @ np.tanh(W[:, :units] @ q + W[:, units:] @ h + b)
    return result


@style("02.four_scores")
def matmul(kind, query, values, W, v, b):
    if kind in ("dot", "general"):
        keys = values if kind == "dot" else values @ W.T
        return (keys @ query[:, :, None])[:, :, 0]
    joined = np.concatenate([np.repeat(query[:, None], values.shape[1], axis=1), values], axis=-1)
    return np.tanh(joined @ W.T + (b if kind == "additive" else 0)) @ v


@style("02.four_scores")
def torch_linear(kind, query, values, W, v, b):
    query, values, W, v, b = (torch.tensor(array, requires_grad=True) for array in (query, values, W, v, b))
    if kind == "dot":
        return torch.bmm(values, query.unsqueeze(2)).squeeze(2)
    if kind == "general":
        return torch.bmm(F.linear(values, W), query.unsqueeze(2)).squeeze(2)
    joined = torch.cat([query.unsqueeze(1).expand_as(values), values], dim=-1)
    return torch.tanh(F.linear(joined, W, b if kind == "additive" else None)).matmul(v)


@style("02.four_scores")
def einsum_in_single_precision(kind, query, values, W, v, b):
    query, values, W, v, b = (array.astype(np.float32) for array in (query, values, W, v, b))
    match kind:
        case "dot":
            return np.einsum("bi,bsi->bs", query, values)
        case "general":
            return np.einsum("bj,bsj->bs", query @ W, values)
    W1, W2 = np.split(W, 2, axis=1)
    inside = np.einsum("ui,bi->bu", W1, query)[:, None] + np.einsum("ui,bsi->bsu", W2, values)
    return np.einsum("u,bsu->bs", v, np.tanh(inside + b * (kind == "additive")))


@style("02.four_scores")
def one_sequence_at_a_time(kind, query, values, W, v, b):
    bias = b if kind == "additive" else np.zeros_like(b)
    score = {
        "dot": lambda q, h: h @ q,
        "general": lambda q, h: h @ (q @ W),
    }.get(kind, lambda q, h: np.tanh(W[:, :len(q)] @ q + h @ W[:, len(q):].T + bias) @ v)
    return [list(score(q, h)) for q, h in zip(query, values)]


# 02.masked_weights

@style("02.masked_weights")
def loops(scores, mask):
    weights = np.zeros_like(scores)
    for b in range(len(scores)):
        allowed = np.flatnonzero(mask[b])
        if len(allowed):
            powers = np.exp(scores[b, allowed] - scores[b, allowed].max())
            weights[b, allowed] = powers / powers.sum()
    return weights


@style("02.masked_weights")
def torch_softmax(scores, mask):
    scores, mask = torch.from_numpy(scores), torch.from_numpy(mask)
    return torch.softmax(scores.masked_fill(~mask, float("-inf")), dim=-1).nan_to_num(0)


@style("02.masked_weights")
def large_negative_number(scores, mask):
    scores = np.where(mask, scores, -1e30)
    scores = scores - scores.max(axis=1, keepdims=True)
    weights = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    return weights * mask


@style("02.masked_weights")
def logsumexp(scores, mask):
    lowered = torch.where(torch.from_numpy(mask), torch.from_numpy(scores).double(), -torch.inf)
    return torch.exp(lowered - torch.logsumexp(lowered, 1, keepdim=True).clamp(min=-1e30))


@style("02.masked_weights")
def division_where_there_is_something(scores, mask):
    shifted = scores - np.max(scores, axis=1, keepdims=True, where=mask, initial=-np.finfo(scores.dtype).max)
    powers = np.exp(shifted, where=mask, out=np.zeros_like(scores))
    total = powers.sum(1, keepdims=True)
    return np.divide(powers, total, where=total > 0, out=np.zeros_like(powers))


# 02.context_vector

@style("02.context_vector")
def broadcasting(weights, values):
    return np.sum(weights[..., np.newaxis] * values, axis=-2)


@style("02.context_vector")
def matmul(weights, values):
    return (weights[:, None, :] @ values).squeeze(1)


@style("02.context_vector")
def loops(weights, values):
    context = np.zeros((values.shape[0], values.shape[2]))
    for b, (row, states) in enumerate(zip(weights, values)):
        for weight, state in zip(row, states):
            context[b] += weight * state
    return context


@style("02.context_vector")
def torch_bmm(weights, values):
    return torch.bmm(torch.tensor(weights).unsqueeze(1), torch.tensor(values)).squeeze(1)


@style("02.context_vector")
def dot_in_single_precision(weights, values):
    return np.array([row.astype("float32") @ states.astype("float32") for row, states in zip(weights, values)])


@style("02.context_vector")
def plain_python(weights, values):
    return [[sum(weight * state[u] for weight, state in zip(row, states)) for u in range(len(states[0]))]
            for row, states in zip(weights.tolist(), values.tolist())]


# 02.attentional_vector

@style("02.attentional_vector")
class WithAParameter(nn.Module):
    def __init__(self, units):
        super().__init__()
        self.W = nn.Parameter(torch.empty(units, 2 * units))
        nn.init.xavier_uniform_(self.W)

    def forward(self, context, state):
        return torch.tanh(torch.cat((context, state), 1) @ self.W.T)


@style("02.attentional_vector")
class TwoHalves(nn.Module):
    def __init__(self, units):
        super().__init__()
        self.units = units
        self.W = nn.Linear(2 * units, units, bias=False)

    def forward(self, context, state):
        left, right = self.W.weight.split(self.units, dim=1)
        return (F.linear(context, left) + F.linear(state, right)).tanh()


@style("02.attentional_vector")
class Einsum(nn.Module):
    def __init__(self, units):
        super().__init__()
        self.W = nn.Linear(2 * units, units, bias=False)

    def forward(self, context, state):
        return torch.einsum("bi,ui->bu", torch.hstack([context, state]), self.W.weight).tanh()


@style("02.attentional_vector")
class DoublePrecision(nn.Module):
    def __init__(self, units):
        super().__init__()
        self.W = nn.Linear(2 * units, units, bias=False, dtype=torch.float64)

    def forward(self, context, state):
        return torch.tanh(self.W(torch.concat([context, state], dim=-1).to(self.W.weight.dtype)))


@keras_styles("02.attentional_vector")
def attentional_vectors():
    import keras

    class WithDense(keras.layers.Layer):
        def __init__(self, units):
            super().__init__()
            self.W = keras.layers.Dense(units, use_bias=False)

        def call(self, context, state):
            return keras.ops.tanh(self.W(keras.ops.concatenate([context, state], axis=-1)))

    class WithAWeight(keras.layers.Layer):
        def __init__(self, units):
            super().__init__()
            self.units = units

        def build(self, context_shape, state_shape):
            self.W = self.add_weight(shape=(self.units, 2 * self.units), name="W")

        def call(self, context, state):
            joined = keras.ops.concatenate([context, state], axis=1)
            return keras.ops.tanh(keras.ops.einsum("bi,ui->bu", joined, self.W))

    return [WithDense, WithAWeight]


# 02.alignment

@style("02.alignment")
def loops(weights):
    batch, length, _ = weights.shape
    hits, mass = 0, 0.0
    for b in range(batch):
        for t in range(length):
            hits += int(weights[b, t].argmax()) == length - 1 - t
            mass += float(weights[b, t, length - 1 - t])
    return hits / (batch * length), mass / (batch * length)


@style("02.alignment")
def numpy_flip(weights):
    flipped = weights.numpy()[:, :, ::-1]
    return np.mean(flipped.argmax(-1) == np.arange(flipped.shape[1])), np.mean(np.diagonal(flipped, axis1=1, axis2=2))


@style("02.alignment")
def torch_diagonal(weights):
    flipped = weights.flip(-1)
    on = flipped.diagonal(dim1=1, dim2=2)
    return (on == flipped.max(-1).values).double().mean(), on.double().mean()


@style("02.alignment")
def gather(weights):
    batch, length, _ = weights.shape
    places = torch.arange(length - 1, -1, -1).expand(batch, length)
    return (weights.argmax(2) == places).sum() / places.numel(), weights.gather(2, places[..., None]).mean()


@style("02.alignment")
def mask_of_ones(weights):
    mirror = torch.eye(weights.shape[1]).flip(0)
    hits = F.one_hot(weights.argmax(-1), weights.shape[1]) * mirror
    return torch.stack([hits.sum(), (weights * mirror).sum()]) / (weights.shape[0] * weights.shape[1])
