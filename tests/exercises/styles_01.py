import numpy as np
import torch
import torch.nn.functional as F

from exercise_styles import choice, number, reversal_predictor, style

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


number("01.encoder_weights", 1728)
choice("01.bottleneck", "b")
reversal_predictor("01.length_20")
