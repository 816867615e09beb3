import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from coursekit import reference
from exercise_styles import choice, number, style

choice("07.which_order", "c")
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
class OneLoop(nn.Module):
    def __init__(self, d_model, d_ff, norm_first):
        super().__init__()
        self.W1, self.W2 = nn.Linear(d_model, d_ff, bias=False), nn.Linear(d_ff, d_model, bias=False)
        self.norm, self.norm_first = nn.LayerNorm(d_model, elementwise_affine=False), norm_first

    def forward(self, x, mixing):
        for part in (lambda x: torch.matmul(mixing, x), lambda x: self.W2(F.relu(self.W1(x)))):
            x = x + part(self.norm(x)) if self.norm_first else self.norm(x + part(x))
        return x


@style("07.both_orders")
class WithParameters(nn.Module):
    def __init__(self, d_model, d_ff, norm_first):
        super().__init__()
        self.W1, self.W2 = nn.Parameter(torch.randn(d_ff, d_model)), nn.Parameter(torch.randn(d_model, d_ff))
        self.before, self.after = (self.norm, self.same) if norm_first else (self.same, self.norm)

    def norm(self, x):
        variance, mean = torch.var_mean(x, dim=-1, correction=0, keepdim=True)
        return (x - mean) / torch.sqrt(variance + 1e-5)

    def same(self, x):
        return x

    def forward(self, x, mixing):
        x = self.after(x + torch.einsum("ts,bsd->btd", mixing, self.before(x)))
        return self.after(x + (self.before(x) @ self.W1.T).clamp(min=0) @ self.W2.T)


@style("07.both_orders")
class TwoMethods(nn.Module):
    def __init__(self, d_model, d_ff, norm_first):
        super().__init__()
        self.W1 = nn.Linear(d_model, d_ff, bias=False)
        self.W2 = nn.Linear(d_ff, d_model, bias=False)
        self.network = nn.Sequential(self.W1, nn.ReLU(), self.W2)
        self.forward = self.pre_norm if norm_first else self.post_norm

    def pre_norm(self, x, mixing):
        x = x + mixing @ F.layer_norm(x, (x.shape[-1],))
        return x + self.network(F.layer_norm(x, (x.shape[-1],)))

    def post_norm(self, x, mixing):
        x = F.layer_norm(x + mixing @ x, (x.shape[-1],))
        return F.layer_norm(x + self.network(x), (x.shape[-1],))


@style("07.both_orders")
class DoublePrecision(nn.Module):
    def __init__(self, d_model, d_ff, norm_first):
        super().__init__()
        self.W1 = nn.Linear(d_model, d_ff, bias=False, dtype=torch.float64)
        self.W2 = nn.Linear(d_ff, d_model, bias=False, dtype=torch.float64)
        self.norm_first = norm_first

    def forward(self, x, mixing):
        x, mixing = x.to(self.W1.weight.dtype), mixing.to(self.W1.weight.dtype)
        h = reference_norm(x) if self.norm_first else x
        x = torch.add(x, torch.stack([mixing @ sentence for sentence in h]))
        x = x if self.norm_first else reference_norm(x)
        h = reference_norm(x) if self.norm_first else x
        x = torch.add(x, self.W2(torch.where(self.W1(h) > 0, self.W1(h), 0)))
        return x if self.norm_first else reference_norm(x)


@style("07.both_orders")
class SentenceBySentence(nn.Module):
    def __init__(self, d_model, d_ff, norm_first):
        super().__init__()
        self.W1 = nn.Linear(d_model, d_ff, bias=False)
        self.W2 = nn.Linear(d_ff, d_model, bias=False)
        self.norm_first = norm_first

    def one(self, sentence, mixing):
        normalise = nn.LayerNorm(sentence.shape[-1], dtype=sentence.dtype)
        if self.norm_first:
            sentence = sentence + mixing.mm(normalise(sentence))
            return sentence + self.W2(self.W1(normalise(sentence)).relu())
        sentence = normalise(sentence + mixing.mm(sentence))
        return normalise(sentence + self.W2(self.W1(sentence).relu()))

    def forward(self, x, mixing):
        return torch.stack([self.one(sentence, mixing) for sentence in x])


def reference_norm(x):
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()


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


# 07.encoder

def unit_norm(x):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)


@style("07.encoder")
def heads_in_a_loop(x, real, attention, expand, contract, n_heads):
    d_head = x.shape[-1] // n_heads
    for layer, (W_q, W_k, W_v, W_o) in enumerate(attention):
        normed, contexts = unit_norm(x), []
        for head in range(n_heads):
            units = slice(head * d_head, (head + 1) * d_head)
            q, k, v = (normed @ W[units].T for W in (W_q, W_k, W_v))
            scores = np.where(real[:, None], q @ k.transpose(0, 2, 1) / math.sqrt(d_head), -1e9)
            powers = np.exp(scores - scores.max(-1, keepdims=True))
            contexts.append(powers / powers.sum(-1, keepdims=True) @ v)
        x = x + np.concatenate(contexts, -1) @ W_o.T
        x = x + np.maximum(unit_norm(x) @ expand[layer].T, 0) @ contract[layer].T
    return unit_norm(x)


@style("07.encoder")
def sentence_by_sentence(x, real, attention, expand, contract, n_heads):
    def one(x, real):
        for (W_q, W_k, W_v, W_o), W1, W2 in zip(attention, expand, contract):
            q, k, v = (np.stack(np.split(unit_norm(x) @ W.T, n_heads, axis=1)) for W in (W_q, W_k, W_v))
            scores = np.einsum("hqd,hkd->hqk", q, k[:, real]) / np.sqrt(k.shape[-1])
            powers = np.exp(scores)
            contexts = np.einsum("hqk,hkd->qhd", powers / powers.sum(-1, keepdims=True), v[:, real])
            x = x + contexts.reshape(len(x), -1) @ W_o.T
            hidden = unit_norm(x) @ W1.T
            x = x + (hidden * (hidden > 0)) @ W2.T
        return unit_norm(x)
    return [one(*pair) for pair in zip(x, real)]


@style("07.encoder")
def torch_kernel(x, real, attention, expand, contract, n_heads):
    x, real, attention, expand, contract = map(torch.from_numpy, (x, real, attention, expand, contract))
    for matrices, W1, W2 in zip(attention, expand, contract):
        q, k, v = (F.linear(F.layer_norm(x, x.shape[-1:]), W).unflatten(-1, (n_heads, -1)).transpose(1, 2)
                   for W in matrices[:3])
        context = F.scaled_dot_product_attention(q, k, v, attn_mask=real[:, None, None])
        x = x + F.linear(context.transpose(1, 2).flatten(2), matrices[3])
        x = x + F.linear(F.relu(F.linear(F.layer_norm(x, x.shape[-1:]), W1)), W2)
    return F.layer_norm(x, x.shape[-1:])


@style("07.encoder")
def torch_modules_in_float32(x, real, attention, expand, contract, n_heads):
    x, real, attention, expand, contract = (torch.tensor(array) for array in (x, real, attention, expand, contract))
    x, norm = x.float(), nn.LayerNorm(x.shape[-1], elementwise_affine=False)
    for matrices, W1, W2 in zip(attention.float(), expand.float(), contract.float()):
        layer = nn.MultiheadAttention(x.shape[-1], n_heads, bias=False, batch_first=True)
        layer.in_proj_weight.data, layer.out_proj.weight.data = matrices[:3].flatten(0, 1), matrices[3]
        x = x + layer(norm(x), norm(x), norm(x), key_padding_mask=~real)[0]
        x = x + torch.relu(norm(x) @ W1.T) @ W2.T
    return norm(x)


@style("07.encoder")
def parts_as_functions(x, real, attention, expand, contract, n_heads):
    def attend(x, W_q, W_k, W_v, W_o):
        q, k, v = (np.moveaxis((x @ W.T).reshape(*x.shape[:2], n_heads, -1), 2, 0) for W in (W_q, W_k, W_v))
        weights = reference.softmax(q @ k.swapaxes(-1, -2) * q.shape[-1] ** -0.5, mask=real[None, :, None, :])
        return np.concatenate(list(weights @ v), axis=-1) @ W_o.T

    def network(x, W1, W2):
        return reference.relu(x @ W1.T) @ W2.T

    for layer in range(len(attention)):
        for part, parameters in ((attend, attention[layer]), (network, (expand[layer], contract[layer]))):
            x = x + part(reference.layer_norm(x, 1, 0), *parameters)
    return reference.layer_norm(x, 1, 0)
