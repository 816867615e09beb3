import heapq
import math

import numpy as np
import torch
import torch.nn.functional as F

from exercise_styles import number, style

number("09.perplexity_by_hand", 4)


# 09.next_token_loss

@style("09.next_token_loss")
def token_by_token(logits, tokens, lengths):
    losses = []
    for b, length in enumerate(lengths.tolist()):
        for t in range(1, length):
            row = logits[b, t - 1]
            losses.append(math.log(sum(math.exp(float(logit)) for logit in row)) - float(row[tokens[b, t]]))
    return sum(losses) / len(losses)


@style("09.next_token_loss")
def ignored_targets(logits, tokens, lengths):
    targets = tokens[:, 1:].clone()
    for b, length in enumerate(lengths):
        targets[b, length - 1:] = -100
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), targets.flatten())


@style("09.next_token_loss")
def summed_and_divided(logits, tokens, lengths):
    losses = F.cross_entropy(logits[:, :-1].transpose(1, 2), tokens[:, 1:], reduction="none")
    mask = (torch.arange(losses.shape[1]).unsqueeze(0) < (lengths - 1).unsqueeze(1)).float()
    return (losses * mask).sum() / mask.sum()


@style("09.next_token_loss")
def rows_joined(logits, tokens, lengths):
    kept = [(row[:n - 1], ids[1:n]) for row, ids, n in zip(logits.double(), tokens, lengths)]
    return F.nll_loss(torch.cat([row for row, _ in kept]).log_softmax(1), torch.cat([ids for _, ids in kept]))


@style("09.next_token_loss")
def numpy_with_one_hot(logits, tokens, lengths):
    logits, tokens, lengths = logits.numpy(), tokens.numpy(), lengths.numpy()
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    chosen = (log_p[:, :-1] * np.eye(logits.shape[-1])[tokens[:, 1:]]).sum(-1)
    places = np.arange(2, tokens.shape[1] + 1)
    return -np.average(chosen, weights=places <= lengths[:, None])


# 09.with_temperature

@style("09.with_temperature")
def back_to_logits(probabilities, temperature):
    powers = np.exp(np.log(probabilities) / temperature)
    return powers / powers.sum(axis=-1, keepdims=True)


@style("09.with_temperature")
def torch_softmax(probabilities, temperature):
    return torch.softmax(torch.from_numpy(probabilities).log() / temperature, dim=-1)


@style("09.with_temperature")
def row_by_row(probabilities, temperature):
    rows = []
    for row in probabilities.tolist():
        powers = [p ** (1 / temperature) for p in row]
        rows.append([power / sum(powers) for power in powers])
    return rows


@style("09.with_temperature")
def largest_taken_off(probabilities, temperature):
    logits = np.log(probabilities.astype(np.float64)) / temperature
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1)[:, None]


@style("09.with_temperature")
def relative_to_the_best(probabilities, temperature):
    relative = np.power(probabilities / probabilities.max(axis=-1)[:, None], 1.0 / temperature)
    return np.einsum("bv,b->bv", relative, 1 / relative.sum(axis=-1))


# 09.nucleus

@style("09.nucleus")
def added_one_by_one(probabilities, top_p):
    left, total = np.zeros(len(probabilities)), 0.0
    for token in sorted(range(len(probabilities)), key=lambda token: -probabilities[token]):
        left[token] = probabilities[token]
        total += probabilities[token]
        if total >= top_p:
            break
    return left / total


@style("09.nucleus")
def heap(probabilities, top_p):
    waiting, left = [(-p, token) for token, p in enumerate(probabilities.tolist())], [0.0] * len(probabilities)
    heapq.heapify(waiting)
    while sum(left) < top_p:
        p, token = heapq.heappop(waiting)
        left[token] = -p
    return [p / sum(left) for p in left]


@style("09.nucleus")
def threshold(probabilities, top_p):
    descending = np.sort(probabilities)[::-1]
    smallest = descending[np.searchsorted(descending.cumsum(), top_p)]
    left = np.where(probabilities >= smallest, probabilities, 0)
    return left / left.sum()


@style("09.nucleus")
def torch_scatter(probabilities, top_p):
    descending, order = torch.tensor(probabilities).sort(descending=True)
    descending[descending.cumsum(0) - descending >= top_p] = 0
    return torch.zeros_like(descending).scatter(0, order, descending / descending.sum())


@style("09.nucleus")
def sum_of_larger_ones(probabilities, top_p):
    before = (probabilities[None] * (probabilities[None] > probabilities[:, None])).sum(axis=1)
    left = probabilities * (before < top_p)
    return (left / left.sum()).astype(np.float32)


# 09.beam_step

@style("09.beam_step")
def list_of_all(scores, log_p):
    found = [(scores[i] + log_p[i, token], i, token) for i in range(len(scores)) for token in range(log_p.shape[1])]
    new, beginnings, tokens = map(list, zip(*sorted(found, reverse=True)[:len(scores)]))
    return beginnings, tokens, new


@style("09.beam_step")
def torch_topk(scores, log_p):
    candidates = torch.tensor(scores).unsqueeze(1) + torch.tensor(log_p)
    new, best = candidates.flatten().topk(len(scores))
    return best // log_p.shape[1], best % log_p.shape[1], new


@style("09.beam_step")
def unravelled(scores, log_p):
    candidates = log_p + scores.reshape(-1, 1)
    best = np.unravel_index(np.argsort(candidates, axis=None)[::-1][:scores.size], candidates.shape)
    return best[0], best[1], candidates[best]


@style("09.beam_step")
def argmax_again_and_again(scores, log_p):
    candidates, found = np.add.outer(scores, np.zeros(log_p.shape[1])) + log_p, []
    for _ in scores:
        i, token = divmod(int(candidates.argmax()), log_p.shape[1])
        found.append((i, token, candidates[i, token]))
        candidates[i, token] = -np.inf
    return tuple(np.array(part) for part in zip(*found))


@style("09.beam_step")
def probabilities_multiplied(scores, log_p):
    products = np.exp(scores.astype(np.float64))[:, None] * np.exp(log_p.astype(np.float64))
    best = heapq.nlargest(len(scores), range(products.size), key=products.ravel().__getitem__)
    return ([i // log_p.shape[1] for i in best], [i % log_p.shape[1] for i in best], np.log(products.ravel()[best]))


# 09.cached_step

@style("09.cached_step")
def loops(x, keys, values, W_query, W_key, W_value):
    query = W_query @ x
    keys, values = [*keys, W_key @ x], [*values, W_value @ x]
    powers = [math.exp(sum(q * k for q, k in zip(query, key)) / math.sqrt(len(query))) for key in keys]
    context = sum(power / sum(powers) * value for power, value in zip(powers, values))
    return context, np.stack(keys), np.stack(values)


@style("09.cached_step")
def torch_cat(x, keys, values, W_query, W_key, W_value):
    x, keys, values, W_query, W_key, W_value = map(torch.from_numpy, (x, keys, values, W_query, W_key, W_value))
    keys, values = torch.cat([keys, (W_key @ x)[None]]), torch.cat([values, (W_value @ x)[None]])
    weights = (keys @ (W_query @ x) / keys.shape[1] ** 0.5).softmax(0)
    return weights @ values, keys, values


@style("09.cached_step")
def rows_with_vstack(x, keys, values, W_query, W_key, W_value):
    keys, values = np.vstack((keys, x @ W_key.T)), np.vstack((values, x @ W_value.T))
    scores = (x @ W_query.T) @ keys.T * len(W_key) ** -0.5
    powers = np.exp(scores - scores.max())
    return (powers[:, None] * values).sum(0) / powers.sum(), keys, values


@style("09.cached_step")
def room_made_first(x, keys, values, W_query, W_key, W_value):
    all_keys, all_values = np.empty((len(keys) + 1, keys.shape[1])), np.empty((len(keys) + 1, values.shape[1]))
    all_keys[:-1], all_keys[-1] = keys, W_key.dot(x)
    all_values[:-1], all_values[-1] = values, W_value.dot(x)
    powers = np.exp(np.einsum("sh,h->s", all_keys, W_query.dot(x)) / np.sqrt(all_keys.shape[-1]))
    return np.einsum("s,sv->v", powers, all_values) / powers.sum(), all_keys, all_values


@style("09.cached_step")
def new_token_apart(x, keys, values, W_query, W_key, W_value):
    query, key, value = W_query @ x, W_key @ x, W_value @ x
    scale = math.sqrt(query.size)
    old, new = np.exp(keys @ query / scale), np.exp(key @ query / scale)
    context = (old @ values + new * value) / (old.sum() + new)
    return context, np.append(keys, key[None], axis=0), np.append(values, value[None], axis=0)
