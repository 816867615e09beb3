import math

import numpy as np
import torch

from exercise_styles import choice, style

choice("13.square_matrix", "c")


# 13.first_wrong_layer

@style("13.first_wrong_layer")
def loops(states, other_states, mask, tolerance):
    for layer in range(len(states)):
        for row in range(mask.shape[0]):
            for place in range(mask.shape[1]):
                difference = states[layer, row, place] - other_states[layer, row, place]
                if mask[row, place] and max(abs(difference)) > tolerance:
                    return layer
    return -1


@style("13.first_wrong_layer")
def padding_set_to_zero(states, other_states, mask, tolerance):
    largest = (np.abs(states - other_states) * mask[None, :, :, None]).max((1, 2, 3))
    return next((layer for layer, difference in enumerate(largest) if difference > tolerance), -1)


@style("13.first_wrong_layer")
def in_torch(states, other_states, mask, tolerance):
    states, other_states, mask = map(torch.tensor, (states, other_states, mask))
    wrong = ((states - other_states).abs() > tolerance) & mask[None, :, :, None]
    found = wrong.flatten(1).any(1).nonzero()
    return found[0, 0] if len(found) else torch.tensor(-1)


@style("13.first_wrong_layer")
def one_layer_at_a_time_in_single_precision(states, other_states, mask, tolerance):
    pairs = zip(states.astype("float32"), other_states.astype("float32"))
    layers = [layer for layer, (a, b) in enumerate(pairs) if np.abs(a[mask] - b[mask]).max() > tolerance]
    return np.int32(layers[0] if layers else -1)


@style("13.first_wrong_layer")
def with_where(states, other_states, mask, tolerance):
    difference = np.where(mask[..., None], states - other_states, 0.0)
    outside = np.nonzero((difference > tolerance) | (difference < -tolerance))[0]
    return -1 if outside.size == 0 else outside.min()


@style("13.first_wrong_layer")
def with_allclose(states, other_states, mask, tolerance):
    for layer, (a, b) in enumerate(zip(states, other_states)):
        if not np.allclose(a[mask], b[mask], atol=tolerance, rtol=0):
            return layer
    return -1


# 13.rate_of_count

@style("13.rate_of_count")
def one_count_at_a_time(counts, highest, warm_up_steps, steps):
    rates = []
    for count in counts:
        step = int(count) + 1
        if step <= warm_up_steps:
            rates.append(highest * step / warm_up_steps)
        else:
            rates.append(max(0.0, highest * (steps + 1 - step) / (steps + 1 - warm_up_steps)))
    return rates


@style("13.rate_of_count")
def interpolated(counts, highest, warm_up_steps, steps):
    return np.interp(counts + 1, [0, warm_up_steps, steps + 1], [0.0, highest, 0.0])


@style("13.rate_of_count")
def clipped(counts, highest, warm_up_steps, steps):
    return highest * np.clip(np.minimum((counts + 1) / warm_up_steps, (steps - counts) / (steps + 1 - warm_up_steps)),
                             0, 1)


@style("13.rate_of_count")
def rate_in_torch(counts, highest, warm_up_steps, steps):
    step = torch.tensor(counts).float() + 1
    rising, falling = step / warm_up_steps, (steps + 1 - step) / (steps + 1 - warm_up_steps)
    return highest * torch.minimum(rising, falling).clamp(min=0)


@style("13.rate_of_count")
def by_cases(counts, highest, warm_up_steps, steps):
    falling = (steps - counts) / (steps + 1 - warm_up_steps)
    rates = np.where(counts < warm_up_steps, (counts + 1) / warm_up_steps, falling) * highest
    rates[counts >= steps] = 0.0
    return rates


# 13.few_lengths

@style("13.few_lengths")
def few_loops(tokens, lengths):
    chosen, places = [], 0
    for batch in tokens:
        for length in sorted(lengths):
            if length >= max(batch):
                chosen.append(int(length))
                places += length * len(batch)
                break
    return chosen, (places - sum(map(sum, tokens.tolist()))) / places


@style("13.few_lengths")
def searched(tokens, lengths):
    ordered = np.sort(lengths)
    length = ordered[np.searchsorted(ordered, tokens.max(1))]
    return length, float((length[:, None] - tokens).sum() / (length.sum() * tokens.shape[1]))


@style("13.few_lengths")
def broadcast(tokens, lengths):
    enough = np.where(lengths >= tokens.max(1, keepdims=True), lengths, np.inf)
    length = enough.min(1).astype(int)
    places = np.repeat(length, tokens.shape[1])
    return length, (places - tokens.ravel()).sum() / places.sum()


@style("13.few_lengths")
def few_in_torch(tokens, lengths):
    tokens, lengths = torch.tensor(tokens), torch.tensor(lengths).sort().values
    length = lengths[torch.bucketize(tokens.amax(1), lengths)]
    return length, 1 - tokens.sum() / (length.sum() * tokens.shape[1])


@style("13.few_lengths")
def with_next(tokens, lengths):
    length = [next(each for each in sorted(lengths.tolist()) if each >= row.max()) for row in tokens]
    filled = math.fsum(tokens.ravel()) / (sum(length) * tokens.shape[1])
    return tuple(length), 1.0 - filled


# 13.packed_heads

@style("13.packed_heads")
def four_loops(packed, heads):
    d_model = packed.shape[1]
    d_head = d_model // heads
    kernels = np.empty((3, d_model, heads, d_head))
    for part in range(3):
        for unit in range(d_model):
            for head in range(heads):
                for place in range(d_head):
                    kernels[part, unit, head, place] = packed[part * d_model + head * d_head + place, unit]
    return kernels[0], kernels[1], kernels[2]


@style("13.packed_heads")
def split_first(packed, heads):
    return [part.T.reshape(part.shape[1], heads, -1) for part in np.split(packed, 3, axis=0)]


@style("13.packed_heads")
def axes_moved(packed, heads):
    d_model = packed.shape[1]
    return tuple(np.moveaxis(packed.reshape(3, heads, d_model // heads, d_model), -1, 1))


@style("13.packed_heads")
def unpacked_in_torch(packed, heads):
    query, key, value = torch.tensor(packed).chunk(3)
    return tuple(part.T.unflatten(1, (heads, -1)) for part in (query, key, value))


@style("13.packed_heads")
def with_einsum(packed, heads):
    d_model = packed.shape[1]
    parts = packed.astype(np.float32).reshape(3, heads, d_model // heads, d_model)
    return tuple(np.einsum("phki->pihk", parts))


@style("13.packed_heads")
def transposed_at_once(packed, heads):
    d_model = packed.shape[1]
    whole = packed.T
    return tuple(whole[:, start:start + d_model].reshape(d_model, heads, d_model // heads)
                 for start in range(0, 3 * d_model, d_model))
