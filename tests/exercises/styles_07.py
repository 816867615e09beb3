import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from coursekit import reference
from exercise_styles import choice, number, style

choice("07.which_order", "b")
number("07.layer_parameters", 12_596_224)


# 07.layer_norm

@style("07.layer_norm")
def loops(x, scale, shift, epsilon):
    result = np.empty_like(x)
    for b, sentence in enumerate(x):
        for t, token in enumerate(sentence):
            mean = sum(token) / len(token)
            variance = sum((number - mean) ** 2 for number in token) / len(token)
            result[b, t] = (token - mean) / math.sqrt(variance + epsilon) * scale + shift
    return result


@style("07.layer_norm")
def numpy_var(x, scale, shift, epsilon):
    return shift + scale * (x - np.mean(x, -1, keepdims=True)) * (np.var(x, -1, keepdims=True) + epsilon) ** -0.5


@style("07.layer_norm")
def torch_var(x, scale, shift, epsilon):
    x, scale, shift = torch.tensor(x), torch.tensor(scale), torch.tensor(shift)
    variance, mean = torch.var_mean(x, dim=2, correction=0, keepdim=True)
    return (x - mean) * torch.rsqrt(variance + epsilon) * scale + shift


@style("07.layer_norm")
def mean_of_squares(x, scale, shift, epsilon):
    mean = x.mean(axis=2)
    variance = (x ** 2).mean(axis=2) - mean ** 2
    return ((x - mean[..., None]) / np.sqrt(variance + epsilon)[..., None]) * scale + shift


@style("07.layer_norm")
def einsum_in_single_precision(x, scale, shift, epsilon):
    x, scale, shift = (array.astype(np.float32) for array in (x, scale, shift))
    centred = x - np.einsum("bld->bl", x)[:, :, None] / x.shape[-1]
    variance = np.einsum("bld,bld->bl", centred, centred) / x.shape[-1]
    return np.einsum("bld,bl,d->bld", centred, 1 / np.sqrt(variance + np.float32(epsilon)), scale) + shift


@style("07.layer_norm")
def one_token_at_a_time(x, scale, shift, epsilon):
    def one(token):
        return (token - token.mean()) / np.sqrt(token.var() + epsilon) * scale + shift
    return np.apply_along_axis(one, -1, x)


# 07.feed_forward

@style("07.feed_forward")
def loops_over_positions(x, W1, b1, W2, b2):
    return [[W2 @ np.maximum(W1 @ vector + b1, 0) + b2 for vector in sentence] for sentence in x]


@style("07.feed_forward")
def einsum(x, W1, b1, W2, b2):
    hidden = np.einsum("fd,bld->blf", W1, x) + b1
    return np.einsum("df,blf->bld", W2, hidden * (hidden > 0)) + b2


@style("07.feed_forward")
def torch_linear(x, W1, b1, W2, b2):
    x, W1, b1, W2, b2 = (torch.tensor(array, requires_grad=True) for array in (x, W1, b1, W2, b2))
    return F.linear(F.relu(F.linear(x, W1, b1)), W2, b2)


@style("07.feed_forward")
def torch_modules(x, W1, b1, W2, b2):
    first, second = nn.Linear(*W1.shape[::-1]), nn.Linear(*W2.shape[::-1])
    for layer, weight, bias in ((first, W1, b1), (second, W2, b2)):
        layer.weight.data, layer.bias.data = torch.tensor(weight).float(), torch.tensor(bias).float()
    return nn.Sequential(first, nn.ReLU(), second)(torch.tensor(x).float())


@style("07.feed_forward")
def flattened(x, W1, b1, W2, b2):
    rows = x.reshape(-1, x.shape[-1])
    hidden = np.clip(rows @ W1.T + b1, 0, None)
    return (hidden @ W2.T + b2).reshape(x.shape)


@style("07.feed_forward")
def sum_over_units(x, W1, b1, W2, b2):
    return b2 + sum(np.maximum(x @ key + bias, 0)[..., None] * value for key, bias, value in zip(W1, b1, W2.T))


# 07.both_orders

@style("07.both_orders")
def with_the_reference(x, mixing, W1, W2, norm_first):
    for part in (lambda x: mixing @ x, lambda x: reference.relu(x @ W1.T) @ W2.T):
        x = x + part(reference.layer_norm(x, 1, 0)) if norm_first else reference.layer_norm(x + part(x), 1, 0)
    return x


@style("07.both_orders")
def in_torch(x, mixing, W1, W2, norm_first):
    x, mixing, W1, W2 = (torch.tensor(array) for array in (x, mixing, W1, W2))

    def norm(x):
        return F.layer_norm(x, x.shape[-1:])

    if norm_first:
        x = x + torch.einsum("ts,bsd->btd", mixing, norm(x))
        return x + F.relu(norm(x) @ W1.T) @ W2.T
    x = norm(x + torch.einsum("ts,bsd->btd", mixing, x))
    return norm(x + F.relu(x @ W1.T) @ W2.T)


@style("07.both_orders")
def sentence_by_sentence(x, mixing, W1, W2, norm_first):
    def norm(rows):
        return np.stack([(row - row.mean()) / np.sqrt(row.var() + 1e-5) for row in rows])

    outputs = []
    for sentence in x:
        attended = sentence + mixing.dot(norm(sentence) if norm_first else sentence)
        middle = attended if norm_first else norm(attended)
        hidden = (norm(middle) if norm_first else middle).dot(W1.T)
        output = middle + np.where(hidden > 0, hidden, 0).dot(W2.T)
        outputs.append(output if norm_first else norm(output))
    return np.array(outputs)


@style("07.both_orders")
def first_and_last_norm(x, mixing, W1, W2, norm_first):
    def norm(x):
        return (x - x.mean(-1, keepdims=True)) / (x.var(-1, keepdims=True) + 1e-5) ** 0.5

    def same(x):
        return x

    before, after = (norm, same) if norm_first else (same, norm)
    x = after(x + np.matmul(mixing, before(x)))
    return after(x + np.maximum(0, before(x) @ W1.T) @ W2.T)


@style("07.both_orders")
def in_single_precision(x, mixing, W1, W2, norm_first):
    x, mixing, W1, W2 = (array.astype("float32") for array in (x, mixing, W1, W2))
    return in_torch(x, mixing, W1, W2, norm_first).numpy()


# 07.gelu

@style("07.gelu")
def loops_of_erf(x):
    return np.array([[number * (1 + math.erf(number / math.sqrt(2))) / 2 for number in row] for row in x])


@style("07.gelu")
def torch_erf(x):
    x = torch.tensor(x)
    return 0.5 * x * (1.0 + torch.erf(x / 2 ** 0.5))


@style("07.gelu")
def normal_distribution(x):
    x = torch.tensor(x)
    return x * torch.distributions.Normal(0.0, 1.0).cdf(x)


@style("07.gelu")
def by_the_complement(x):
    return x * np.vectorize(math.erfc)(-x * math.sqrt(0.5)) / 2


@style("07.gelu")
def in_float32(x):
    return (x * torch.special.ndtr(torch.tensor(x, dtype=torch.float32)).numpy()).astype(np.float32)
