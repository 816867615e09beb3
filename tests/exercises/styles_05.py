import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from exercise_styles import choice, keras_styles, number, style

number("05.attention_parameters", 787968)
choice("05.too_good", "c")


# 05.attend

@style("05.attend")
def loops(query, key, value):
    context = torch.zeros(len(query), value.shape[1])
    for i, q in enumerate(query):
        powers = [math.exp(float(q @ k) / len(q) ** 0.5) for k in key]
        for power, v in zip(powers, value):
            context[i] += power / sum(powers) * v
    return context


@style("05.attend")
def numpy_with_the_largest_taken_off(query, key, value):
    query, key, value = (tensor.numpy() for tensor in (query, key, value))
    scores = query @ key.T * query.shape[1] ** -0.5
    powers = np.exp(scores - scores.max(1, keepdims=True))
    return (powers / powers.sum(1, keepdims=True)) @ value


@style("05.attend")
def einsum_in_double_precision(query, key, value):
    scores = torch.einsum("id,jd->ij", query.double(), key.double()) / math.sqrt(key.shape[-1])
    return torch.einsum("ij,jv->iv", torch.softmax(scores, dim=-1), value.double())


@style("05.attend")
def query_scaled_first(query, key, value):
    return F.softmax(F.linear(query / query.size(-1) ** 0.5, key), dim=1).mm(value)


@style("05.attend")
def logsumexp(query, key, value):
    scores = (key @ query.T / np.sqrt(query.shape[1])).T
    return torch.exp(scores - scores.logsumexp(1, keepdim=True)) @ value


# 05.in_columns

def softmax_of_columns(scores):
    powers = np.exp(scores - scores.max(axis=0))
    return powers / powers.sum(axis=0)


@style("05.in_columns")
def word_by_word(X, W_query, W_key, W_value):
    outputs = []
    for x in X.T:
        scores = np.array([W_query @ x @ (W_key @ other) for other in X.T]) / math.sqrt(len(W_query))
        outputs.append(sum(weight * (W_value @ other) for weight, other in zip(softmax_of_columns(scores), X.T)))
    return np.stack(outputs, axis=1)


@style("05.in_columns")
def rows_inside(X, W_query, W_key, W_value):
    query, key, value = (X.T @ W.T for W in (W_query, W_key, W_value))
    weights = softmax_of_columns((query @ key.T / query.shape[1] ** 0.5).T).T
    return (weights @ value).T


@style("05.in_columns")
def torch_softmax(X, W_query, W_key, W_value):
    X, W_query, W_key, W_value = map(torch.from_numpy, (X, W_query, W_key, W_value))
    scores = (W_key @ X).T @ (W_query @ X) / math.sqrt(W_query.shape[0])
    return W_value @ X @ scores.softmax(dim=0)


@style("05.in_columns")
def einsum_in_single_precision(X, W_query, W_key, W_value):
    X, W_query, W_key, W_value = (array.astype(np.float32) for array in (X, W_query, W_key, W_value))
    scores = np.einsum("hd,dm,he,en->mn", W_key, X, W_query, X, optimize=True) / np.float32(len(W_query)) ** 0.5
    return np.einsum("vd,dm,mn->vn", W_value, X, softmax_of_columns(scores), optimize=True)


@style("05.in_columns")
def fused_kernel(X, W_query, W_key, W_value):
    query, key, value = (torch.tensor((W @ X).T) for W in (W_query, W_key, W_value))
    return F.scaled_dot_product_attention(query[None], key[None], value[None])[0].T


# 05.masked

@style("05.masked")
def one_query_at_a_time(query, key, value, mask):
    context = torch.zeros(*query.shape[:2], value.shape[-1])
    for b in range(len(query)):
        for i in range(query.shape[1]):
            if mask[b, i].any():
                scores = key[b, mask[b, i]] @ query[b, i] / math.sqrt(query.shape[-1])
                context[b, i] = scores.softmax(0) @ value[b, mask[b, i]]
    return context


@style("05.masked")
def minus_infinity_and_nan_to_num(query, key, value, mask):
    scores = torch.bmm(query, key.transpose(1, 2)) / query.shape[-1] ** 0.5
    return torch.bmm(scores.masked_fill(mask.logical_not(), float("-inf")).softmax(-1).nan_to_num(0.0), value)


@style("05.masked")
def powers_times_the_mask(query, key, value, mask):
    powers = torch.exp(torch.einsum("bqd,bkd->bqk", query, key) / math.sqrt(query.shape[-1])) * mask
    return powers @ value / powers.sum(-1, keepdim=True).clamp_min(1e-30)


@style("05.masked")
def renormalised(query, key, value, mask):
    weights = (query @ key.mT / math.sqrt(key.shape[-1])).softmax(-1).where(mask, 0.0)
    total = weights.sum(dim=-1, keepdim=True)
    return weights / torch.where(total == 0, 1.0, total) @ value


@style("05.masked")
def numpy_in_double_precision(query, key, value, mask):
    query, key, value = (tensor.double().numpy() for tensor in (query, key, value))
    scores = np.where(mask.numpy(), query @ key.swapaxes(-1, -2) / np.sqrt(query.shape[-1]), -1e9)
    powers = np.exp(scores - scores.max(-1, keepdims=True)) * mask.numpy()
    return powers / np.maximum(powers.sum(-1, keepdims=True), 1e-9) @ value


# 05.causal_self_attention

@style("05.causal_self_attention")
class WithParameters(nn.Module):
    def __init__(self, d_model, d_head):
        super().__init__()
        self.W_query, self.W_key, self.W_value = (nn.Parameter(0.1 * torch.randn(d_head, d_model)) for _ in range(3))

    def forward(self, x):
        query, key, value = (x @ W.T for W in (self.W_query, self.W_key, self.W_value))
        scores = torch.einsum("bid,bjd->bij", query, key) * key.shape[-1] ** -0.5
        future = torch.triu(torch.full(scores.shape[1:], -torch.inf), diagonal=1)
        return torch.einsum("bij,bjd->bid", torch.softmax(scores + future, dim=-1), value)


@style("05.causal_self_attention")
class Kernel(nn.Module):
    def __init__(self, d_model, d_head):
        super().__init__()
        self.W_query, self.W_key, self.W_value = (nn.Linear(d_model, d_head, bias=False) for _ in range(3))

    def forward(self, x):
        return F.scaled_dot_product_attention(self.W_query(x), self.W_key(x), self.W_value(x), is_causal=True)


@style("05.causal_self_attention")
class WordByWord(Kernel):
    def forward(self, x):
        outputs = []
        for i in range(x.shape[1]):
            seen = x[:, :i + 1]
            scores = self.W_key(seen) @ self.W_query(x[:, i]).unsqueeze(-1) / math.sqrt(self.W_key.out_features)
            outputs.append((scores.softmax(1) * self.W_value(seen)).sum(1))
        return torch.stack(outputs, dim=1)


@style("05.causal_self_attention")
class DoublePrecision(Kernel):
    def forward(self, x):
        self.double()
        x, places = x.double(), torch.arange(x.shape[1])
        scores = self.W_query(x) @ self.W_key(x).mT / self.W_query.out_features ** 0.5
        return F.softmax(scores.where(places[:, None] >= places, -1e9), dim=2) @ self.W_value(x)


@style("05.causal_self_attention")
class QueriesScaledAndFutureLowered(nn.Module):
    def __init__(self, d_model, d_head):
        super().__init__()
        self.W_query = nn.Linear(d_model, d_head, False)
        self.W_key = nn.Linear(d_model, d_head, False)
        self.W_value = nn.Linear(d_model, d_head, False)

    def forward(self, x):
        length = x.shape[1]
        scores = torch.bmm(self.W_query(x) / math.sqrt(self.W_query.out_features), self.W_key(x).transpose(1, 2))
        for i in range(length):
            scores[:, i, i + 1:] = -1e30
        return torch.bmm(torch.softmax(scores, -1), self.W_value(x))


@keras_styles("05.causal_self_attention")
def causal_layers():
    import keras
    from keras import ops

    class WithDense(keras.layers.Layer):
        def __init__(self, d_model, d_head):
            super().__init__()
            self.W_query, self.W_key, self.W_value = (keras.layers.Dense(d_head, use_bias=False) for _ in range(3))
            self.scale = d_head ** -0.5

        def call(self, x):
            scores = self.scale * self.W_query(x) @ ops.transpose(self.W_key(x), (0, 2, 1))
            allowed = ops.tril(ops.ones(scores.shape[1:], "bool"))
            return ops.softmax(ops.where(allowed, scores, float("-inf"))) @ self.W_value(x)

    return [WithDense]
