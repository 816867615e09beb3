import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import torch
import torch.nn.functional as F

from exercise_styles import STYLES, style

# 11.embeddings


@style("11.embeddings")
def token_by_token(ids, segment_ids, tokens, positions, segments, gamma, beta, epsilon):
    rows = []
    for row, texts in zip(ids, segment_ids):
        vectors = []
        for place, (id, text) in enumerate(zip(row, texts)):
            x = [tokens[id, unit] + positions[place, unit] + segments[text, unit] for unit in range(len(gamma))]
            mean = sum(x) / len(x)
            variance = sum((number - mean) ** 2 for number in x) / len(x)
            vectors.append([(number - mean) / math.sqrt(variance + epsilon) * g + b
                            for number, g, b in zip(x, gamma, beta)])
        rows.append(vectors)
    return rows


@style("11.embeddings")
def library_norm(ids, segment_ids, tokens, positions, segments, gamma, beta, epsilon):
    tokens, positions, segments, gamma, beta = map(torch.tensor, (tokens, positions, segments, gamma, beta))
    places = torch.arange(ids.shape[1]).expand(ids.shape)
    x = F.embedding(torch.tensor(ids), tokens) + positions[places] + segments[torch.tensor(segment_ids)]
    return F.layer_norm(x, (x.shape[-1],), gamma, beta, epsilon)


@style("11.embeddings")
def one_hot_products(ids, segment_ids, tokens, positions, segments, gamma, beta, epsilon):
    x = np.eye(len(tokens))[ids] @ tokens + np.eye(len(positions))[:ids.shape[1]] @ positions
    x = x + np.stack([1 - segment_ids, segment_ids], axis=-1) @ segments
    return (x - x.mean(-1)[..., None]) / np.sqrt(x.var(-1) + epsilon)[..., None] * gamma + beta


@style("11.embeddings")
def taken_and_wherever(ids, segment_ids, tokens, positions, segments, gamma, beta, epsilon):
    x = np.take(tokens, ids, axis=0)
    x = x + np.where(segment_ids[..., None] == 1, segments[1], segments[0])
    x += positions[np.newaxis, np.arange(ids.shape[1])]
    mean, square = x.mean(-1, keepdims=True), (x * x).mean(-1, keepdims=True)
    return gamma * (x - mean) * (square - mean * mean + epsilon) ** -0.5 + beta


@style("11.embeddings")
def double_precision_einsum(ids, segment_ids, tokens, positions, segments, gamma, beta, epsilon):
    x = tokens[ids].astype(np.float64) + positions[None, :ids.shape[1]] + segments[segment_ids]
    x -= np.einsum("btd->bt", x)[..., None] / x.shape[-1]
    variance = np.einsum("btd,btd->bt", x, x) / x.shape[-1]
    return np.einsum("btd,bt,d->btd", x, 1 / np.sqrt(variance + epsilon), gamma) + beta


# 11.word_vector

@style("11.word_vector")
def loop_over_the_tokens(states, offsets, start, end):
    total, count = 0, 0
    for state, (first, last) in zip(states, offsets):
        if start <= first < last <= end:
            total, count = total + state, count + 1
    return total / count


@style("11.word_vector")
def without_the_ends(states, offsets, start, end):
    inner = offsets[1:-1]
    at = [1 + i for i, (first, last) in enumerate(inner) if first >= start and last <= end]
    return np.mean(states[at], axis=0)


@style("11.word_vector")
def membership_times_states(states, offsets, start, end):
    inside = ((offsets[:, 0] >= start) & (offsets[:, 1] <= end) & (offsets[:, 1] > 0)).astype(float)
    return inside @ states / inside.sum()


@style("11.word_vector")
def torch_mask(states, offsets, start, end):
    first, last = torch.tensor(offsets).T
    return torch.tensor(states)[(first < end) & (last > start)].mean(0)


@style("11.word_vector")
def slice_from_first_to_last(states, offsets, start, end):
    first = next(i for i, (begins, ends) in enumerate(offsets) if begins == start and ends > begins)
    last = next(i for i, (begins, ends) in enumerate(offsets) if ends == end)
    return [sum(column) / len(column) for column in states[first:last + 1].T.tolist()]


# 11.auc_by_hand

for value in (0.6875, 5.5 / 8, np.float32(0.6875), np.array(0.6875), torch.tensor(0.6875), float(Fraction(11, 16)),
              float(Decimal("0.6875"))):
    STYLES["11.auc_by_hand"].append(lambda value=value: value)


# 11.nearest_sense

@style("11.nearest_sense")
def pair_by_pair(vectors, senses):
    right = 0
    for i, vector in enumerate(vectors):
        best, of = -2, None
        for j, other in enumerate(vectors):
            cosine = vector @ other / (np.linalg.norm(vector) * np.linalg.norm(other))
            if i != j and cosine > best:
                best, of = cosine, senses[j]
        right += of == senses[i]
    return right / len(vectors)


@style("11.nearest_sense")
def torch_cosines(vectors, senses):
    vectors, senses = torch.tensor(vectors), torch.tensor(senses)
    cosines = torch.cosine_similarity(vectors[:, None], vectors[None], dim=-1) - 3 * torch.eye(len(vectors))
    return (senses[cosines.argmax(1)] == senses).double().mean()


@style("11.nearest_sense")
def second_of_the_order(vectors, senses):
    units = vectors / np.sqrt((vectors**2).sum(axis=1))[:, None]
    order = np.argsort(-(units @ units.T), axis=1)
    others = [next(j for j in row if j != i) for i, row in enumerate(order)]
    return np.mean(senses[others] == senses)


@style("11.nearest_sense")
def each_left_out(vectors, senses):
    units = F.normalize(torch.from_numpy(vectors), dim=1).numpy()
    found = []
    for i in range(len(units)):
        rest, of = np.delete(units, i, axis=0), np.delete(senses, i)
        found.append(int(of[np.argmax(rest @ units[i])] == senses[i]))
    return sum(found) / len(found)


@style("11.nearest_sense")
def masked_array(vectors, senses):
    lengths = np.linalg.norm(vectors, axis=1)
    cosines = np.ma.masked_array(vectors @ vectors.T / np.outer(lengths, lengths), np.eye(len(vectors), dtype=bool))
    return np.count_nonzero(senses[np.ma.argmax(cosines, axis=1)] == senses) / senses.size


# 11.score_products

@style("11.score_products")
def whole_then_cut(x_query, x_key, W_query, b_query, W_key, b_key, head, n_heads):
    query = (x_query @ W_query.T + b_query).reshape(n_heads, -1)[head]
    key = (x_key @ W_key.T + b_key).reshape(n_heads, -1)[head]
    return query * key / len(key) ** 0.5


@style("11.score_products")
def library_linear(x_query, x_key, W_query, b_query, W_key, b_key, head, n_heads):
    x_query, x_key, W_query, b_query, W_key, b_key = map(
        torch.tensor, (x_query, x_key, W_query, b_query, W_key, b_key))
    products = F.linear(x_query, W_query, b_query) * F.linear(x_key, W_key, b_key)
    return products.chunk(n_heads)[head] / math.sqrt(len(products) // n_heads)


@style("11.score_products")
def rows_of_the_head_first(x_query, x_key, W_query, b_query, W_key, b_key, head, n_heads):
    size = W_query.shape[0] // n_heads
    rows = np.arange(size) + head * size
    query = np.dot(W_query[rows], x_query) + b_query[rows]
    return query * size**-0.5 * (np.dot(W_key[rows], x_key) + b_key[rows])


@style("11.score_products")
def sums_written_out(x_query, x_key, W_query, b_query, W_key, b_key, head, n_heads):
    size, products = len(x_query) // n_heads, []
    for unit in range(head * size, head * size + size):
        query = sum(float(w) * float(x) for w, x in zip(W_query[unit], x_query)) + float(b_query[unit])
        key = sum(float(w) * float(x) for w, x in zip(W_key[unit], x_key)) + float(b_key[unit])
        products.append(query * key / math.sqrt(size))
    return products


@style("11.score_products")
def scaled_before(x_query, x_key, W_query, b_query, W_key, b_key, head, n_heads):
    scale = (len(x_query) / n_heads) ** 0.25
    query = np.split((np.einsum("oi,i->o", W_query, x_query) + b_query) / scale, n_heads)
    key = np.split((np.einsum("oi,i->o", W_key, x_key) + b_key) / scale, n_heads)
    return np.multiply(query, key)[head]


# 11.hide_or_silence

def softmax(scores):
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


@style("11.hide_or_silence")
def without_the_key(scores, values, place):
    hidden = softmax(np.delete(scores, place, axis=1)) @ np.delete(values, place, axis=0)
    alpha = softmax(scores)
    return hidden, np.delete(alpha, place, axis=1) @ np.delete(values, place, axis=0)


@style("11.hide_or_silence")
def weights_shared_out_again(scores, values, place):
    alpha = softmax(scores)
    alpha[:, place] = 0
    return alpha / alpha.sum(axis=1, keepdims=True) @ values, alpha @ values


@style("11.hide_or_silence")
def torch_masked_fill(scores, values, place):
    scores, values = torch.tensor(scores), torch.tensor(values)
    at = torch.arange(scores.shape[1]) == place
    hidden = scores.masked_fill(at, float("-inf")).softmax(-1) @ values
    return hidden, scores.softmax(-1) @ values.masked_fill(at[:, None], 0)


@style("11.hide_or_silence")
def less_what_it_says(scores, values, place):
    alpha = softmax(scores.astype(np.float64))
    silenced = alpha @ values - np.outer(alpha[:, place], values[place])
    return [silenced / (1 - alpha[:, [place]]), silenced]


@style("11.hide_or_silence")
def query_by_query(scores, values, place):
    others = [key for key in range(len(values)) if key != place]
    both = [], []
    for row in scores:
        powers = np.exp(row)
        said = sum(powers[key] * values[key] for key in others)
        both[0].append(said / powers[others].sum())
        both[1].append(said / powers.sum())
    return both
