"""The same right answers as different people write them: with loops, einsum or matrix products, in NumPy or torch, in
single or double precision, as arrays, lists or numbers. Each must pass."""

import functools
from collections import defaultdict
from fractions import Fraction

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

STYLES = defaultdict(list)


def style(id):
    def keep(definition):
        STYLES[id].append(definition)
        return definition
    return keep


# 01.one_hot

@style("01.one_hot")
def loops(tokens, vocab_size):
    vectors = np.zeros((*tokens.shape, vocab_size))
    for b in range(tokens.shape[0]):
        for t in range(tokens.shape[1]):
            vectors[b, t, tokens[b, t]] = 1
    return vectors


@style("01.one_hot")
def comparison(tokens, vocab_size):
    return (tokens[:, :, None] == np.arange(vocab_size)).astype(np.float32)


@style("01.one_hot")
def library(tokens, vocab_size):
    return F.one_hot(torch.from_numpy(tokens), vocab_size).float()


@style("01.one_hot")
def put_along_axis(tokens, vocab_size):
    vectors = np.zeros(tokens.shape + (vocab_size,), dtype=np.float32)
    np.put_along_axis(vectors, tokens[..., np.newaxis], 1, axis=-1)
    return vectors


@style("01.one_hot")
def plain_python(tokens, vocab_size):
    return [[[float(symbol == token) for symbol in range(vocab_size)] for token in row] for row in tokens]


@style("01.one_hot")
def torch_rows_on_a_graph(tokens, vocab_size):
    return torch.eye(vocab_size, requires_grad=True)[torch.as_tensor(tokens)]


# 01.read_tokens

@style("01.read_tokens")
def argmax_function(probabilities):
    return np.argmax(probabilities, -1).astype(np.int32)


@style("01.read_tokens")
def loops(probabilities):
    return [[max(range(len(row)), key=row.__getitem__) for row in sequence] for sequence in probabilities.tolist()]


@style("01.read_tokens")
def torch_argmax(probabilities):
    return torch.tensor(probabilities).argmax(dim=2)


@style("01.read_tokens")
def sorting(probabilities):
    return probabilities.argsort(axis=2)[:, :, -1]


@style("01.read_tokens")
def topk(probabilities):
    return torch.from_numpy(probabilities).topk(1).indices.squeeze(-1).numpy()


# 01.reversed_target

@style("01.reversed_target")
def row_by_row(source):
    target = source.copy()
    for row in target:
        n = (row > 0).sum()
        row[:n] = row[:n][::-1].copy()
    return target


@style("01.reversed_target")
def gather(source):
    count = (source != 0).sum(axis=1, keepdims=True)
    place = np.arange(source.shape[1])
    return np.where(place < count, np.take_along_axis(source, (count - 1 - place) % source.shape[1], axis=1), 0)


@style("01.reversed_target")
def lists(source):
    rows = []
    for row in source.tolist():
        symbols = [token for token in row if token]
        rows.append(symbols[::-1] + [0] * (len(row) - len(symbols)))
    return np.array(rows)


@style("01.reversed_target")
def torch_flip(source):
    target = torch.zeros_like(torch.from_numpy(source))
    for i, row in enumerate(torch.from_numpy(source)):
        n = int(row.count_nonzero())
        target[i, :n] = row[:n].flip(0)
    return target


@style("01.reversed_target")
def stable_sort_of_padding(source):
    flipped = source[:, ::-1]
    return np.take_along_axis(flipped, np.argsort(flipped == 0, axis=1, kind="stable"), axis=1).astype(np.int32)


# 01.lstm_step

def sigmoid(z):
    return 1 / (1 + np.exp(-z))


@style("01.lstm_step")
def slices(x, h, c, K, R, b):
    units = h.shape[1]
    z = np.dot(x, K) + np.dot(h, R) + b
    i, f = sigmoid(z[:, :units]), sigmoid(z[:, units:2 * units])
    g, o = np.tanh(z[:, 2 * units:3 * units]), sigmoid(z[:, 3 * units:])
    new_c = f * c + i * g
    return o * np.tanh(new_c), new_c


@style("01.lstm_step")
def loops(x, h, c, K, R, b):
    batch, units = h.shape
    new_h, new_c = np.empty((batch, units)), np.empty((batch, units))
    for n in range(batch):
        for u in range(units):
            z = [b[j] + sum(x[n, k] * K[k, j] for k in range(x.shape[1])) + sum(h[n, k] * R[k, j] for k in range(units))
                 for j in range(u, 4 * units, units)]
            new_c[n, u] = sigmoid(z[1]) * c[n, u] + sigmoid(z[0]) * np.tanh(z[2])
            new_h[n, u] = sigmoid(z[3]) * np.tanh(new_c[n, u])
    return new_h, new_c


@style("01.lstm_step")
def torch_chunk(x, h, c, K, R, b):
    x, h, c, K, R, b = (torch.tensor(array, dtype=torch.float32) for array in (x, h, c, K, R, b))
    i, f, g, o = (x @ K + h @ R + b).chunk(4, dim=1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return [o.sigmoid() * c.tanh(), c]


@style("01.lstm_step")
def joined_input(x, h, c, K, R, b):
    z = np.concatenate([x, h, np.ones((len(x), 1), x.dtype)], axis=1) @ np.concatenate([K, R, b[None]], axis=0)
    i, f, g, o = np.moveaxis(z.reshape(len(x), 4, -1), 1, 0)
    c = c / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
    return np.stack([np.tanh(c) / (1 + np.exp(-o)), c])


@style("01.lstm_step")
def einsum_in_double_precision(x, h, c, K, R, b):
    x, h, c, K, R, b = (np.asarray(array, np.float64) for array in (x, h, c, K, R, b))
    z = np.einsum("bf,fu->bu", x, K) + np.einsum("bv,vu->bu", h, R) + b
    i, f, g, o = np.hsplit(z, 4)
    c = (1 + np.tanh(f / 2)) / 2 * c + (1 + np.tanh(i / 2)) / 2 * np.tanh(g)
    return (1 + np.tanh(o / 2)) / 2 * np.tanh(c), c


# 01.accuracies

@style("01.accuracies")
def sums(predicted, target):
    real = (target != 0).astype(int)
    right = (predicted == target) * real
    return right.sum() / real.sum(), np.mean(right.sum(1) == real.sum(1))


@style("01.accuracies")
def counting(predicted, target):
    tokens = right_tokens = right_rows = 0
    for p, t in zip(predicted.tolist(), target.tolist()):
        pairs = [(a, b) for a, b in zip(p, t) if b != 0]
        tokens, right_tokens = tokens + len(pairs), right_tokens + sum(a == b for a, b in pairs)
        right_rows += all(a == b for a, b in pairs)
    return right_tokens / tokens, right_rows / len(target)


@style("01.accuracies")
def torch_masks(predicted, target):
    predicted, target = torch.from_numpy(predicted), torch.from_numpy(target)
    right = predicted.eq(target)
    return right[target > 0].float().mean(), right.logical_or(target == 0).all(-1).float().mean()


@style("01.accuracies")
def masked_arrays(predicted, target):
    right = np.ma.array(predicted == target, mask=target == 0)
    return right.mean(), right.all(axis=1).mean()


@style("01.accuracies")
def weighted_average(predicted, target):
    real = target > 0
    exact = [np.array_equal(p[r], t[r]) for p, t, r in zip(predicted, target, real)]
    return [float(np.average(predicted == target, weights=real)), float(np.mean(exact))]


# 01.encoder_weights

for value in (1728, 1728.0, np.int32(1728), np.array(1728.0), torch.tensor(1728), Fraction(1728).numerator):
    STYLES["01.encoder_weights"].append(lambda value=value: value)

# 01.bottleneck, 02.wiring

for value in ("b", "B", " b ", "b\n", np.str_("b")):
    STYLES["01.bottleneck"].append(lambda value=value: value)
for value in ("a", "A", " a", "a ", np.str_("A")):
    STYLES["02.wiring"].append(lambda value=value: value)


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


@functools.cache
def keras_styles():
    """Keras layers, made on demand: importing Keras costs seconds."""
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


# Predictors, without the training: what a learner's function may take and return.

def reverse_loops(source):
    return [list(reversed(row)) for row in source.tolist()]


def reverse_torch(source):
    return torch.from_numpy(source).flip(1)


def reverse_int32(source):
    return np.flip(source, axis=1).astype(np.int32)


def reverse_view(source):
    return source[:, ::-1]


class ReverseObject:
    def __call__(self, source):
        return np.stack([row[::-1] for row in source])


for predictor in (reverse_loops, reverse_torch, reverse_int32, reverse_view, ReverseObject()):
    STYLES["01.length_20"].append(predictor)
    STYLES["02.length_100"].append(predictor)
