import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from exercise_styles import keras_styles, number, style

number("06.parameters", 604028928)


# 06.split_heads

@style("06.split_heads")
def loops(x, n_heads):
    batch, length, d_model = x.shape
    d_head = d_model // n_heads
    result = np.empty((batch, n_heads, length, d_head), x.dtype)
    for i in range(n_heads):
        result[:, i] = x[:, :, i * d_head:(i + 1) * d_head]
    return result


@style("06.split_heads")
def split_and_stack(x, n_heads):
    return np.stack(np.split(x, n_heads, axis=-1), axis=1)


@style("06.split_heads")
def torch_view(x, n_heads):
    x = torch.from_numpy(x)
    return x.view(x.size(0), x.size(1), n_heads, -1).transpose(1, 2)


@style("06.split_heads")
def torch_unflatten(x, n_heads):
    return torch.tensor(x).unflatten(2, (n_heads, x.shape[2] // n_heads)).permute(0, 2, 1, 3).contiguous()


@style("06.split_heads")
def moveaxis_in_single_precision(x, n_heads):
    return np.moveaxis(x.astype(np.float32).reshape(*x.shape[:2], n_heads, -1), 2, 1)


# 06.contributions

@style("06.contributions")
def loops(contexts, W):
    batch, n_heads, length, d_head = contexts.shape
    parts = []
    for i in range(n_heads):
        parts.append(contexts[:, i] @ W[:, i * d_head:(i + 1) * d_head].T)
    return np.stack(parts, axis=1)


@style("06.contributions")
def others_set_to_zero(contexts, W):
    batch, n_heads, length, d_head = contexts.shape
    result = np.zeros((batch, n_heads, length, len(W)))
    for i in range(n_heads):
        alone = np.zeros_like(contexts)
        alone[:, i] = contexts[:, i]
        result[:, i] = alone.transpose(0, 2, 1, 3).reshape(batch, length, -1) @ W.T
    return result


@style("06.contributions")
def torch_linear(contexts, W):
    contexts, W = torch.tensor(contexts), torch.tensor(W)
    blocks = W.chunk(contexts.shape[1], dim=1)
    return torch.stack([F.linear(context, block) for context, block in zip(contexts.unbind(1), blocks)], dim=1)


@style("06.contributions")
def batched_matmul(contexts, W):
    n_heads, d_head = contexts.shape[1], contexts.shape[-1]
    return contexts @ W.T.reshape(1, n_heads, d_head, -1)


@style("06.contributions")
def einsum_in_single_precision(contexts, W):
    blocks = np.stack(np.hsplit(W.astype("f4"), contexts.shape[1]))
    return np.einsum("bhqd,hmd->bhqm", contexts.astype("f4"), blocks)


# 06.multi_head

class Given(nn.Module):
    def __init__(self, d_model, n_heads):
        super().__init__()
        self.n_heads, self.d_head = n_heads, d_model // n_heads
        self.W_q, self.W_k, self.W_v, self.W_o = (nn.Linear(d_model, d_model, bias=False) for _ in range(4))


@style("06.multi_head")
class Loop(Given):
    def forward(self, query, key, mask):
        heads = []
        for q, k, v in zip(*(x.split(self.d_head, -1) for x in (self.W_q(query), self.W_k(key), self.W_v(key)))):
            scores = torch.bmm(q, k.mT) / self.d_head ** 0.5
            heads.append(torch.where(mask, scores, -1e9).softmax(-1) @ v)
        return self.W_o(torch.cat(heads, -1))


@style("06.multi_head")
class Fused(Given):
    def forward(self, query, key, mask):
        q, k, v = (x.view(*x.shape[:2], self.n_heads, self.d_head).transpose(1, 2)
                   for x in (self.W_q(query), self.W_k(key), self.W_v(key)))
        context = F.scaled_dot_product_attention(q, k, v, attn_mask=mask.unsqueeze(1))
        return self.W_o(context.transpose(1, 2).reshape(query.shape))


@style("06.multi_head")
class Einsum(Given):
    def forward(self, query, key, mask):
        q, k, v = (x.reshape(*x.shape[:2], self.n_heads, self.d_head)
                   for x in (self.W_q(query), self.W_k(key), self.W_v(key)))
        scores = torch.einsum("bqhd,bkhd->bhqk", q, k) / np.sqrt(self.d_head)
        weights = (scores + torch.zeros_like(scores).masked_fill(~mask[:, None], -torch.inf)).softmax(-1)
        return self.W_o(torch.einsum("bhqk,bkhd->bqhd", weights, v).flatten(2))


@style("06.multi_head")
class HeadsInTheBatch(Given):
    def forward(self, query, key, mask):
        def fold(x):
            return x.unflatten(2, (self.n_heads, -1)).transpose(1, 2).flatten(0, 1)

        q, k, v = fold(self.W_q(query)) * self.d_head ** -0.5, fold(self.W_k(key)), fold(self.W_v(key))
        scores = torch.bmm(q, k.transpose(1, 2)).masked_fill(~mask.repeat_interleave(self.n_heads, 0), -1e30)
        context = torch.bmm(F.softmax(scores, dim=-1), v).unflatten(0, (-1, self.n_heads))
        return self.W_o(context.transpose(1, 2).flatten(2))


@style("06.multi_head")
class HeadsAddedUp(Given):
    def forward(self, query, key, mask):
        output = torch.zeros_like(query)
        for i in range(self.n_heads):
            rows = slice(i * self.d_head, (i + 1) * self.d_head)
            q, k, v = query @ self.W_q.weight[rows].T, key @ self.W_k.weight[rows].T, key @ self.W_v.weight[rows].T
            powers = torch.exp(q @ k.transpose(-1, -2) / self.d_head ** 0.5) * mask
            output = output + powers / powers.sum(-1, keepdim=True) @ v @ self.W_o.weight[:, rows].T
        return output


# 06.mask_for_torch

@style("06.mask_for_torch")
def loops(mask, n_heads):
    return torch.stack([~row for row in mask for _ in range(n_heads)])


@style("06.mask_for_torch")
def expand_and_flatten(mask, n_heads):
    return mask.logical_not()[:, None].expand(-1, n_heads, -1, -1).flatten(0, 1)


@style("06.mask_for_torch")
def index(mask, n_heads):
    return (mask == False)[torch.arange(len(mask) * n_heads) // n_heads]  # noqa: E712


@style("06.mask_for_torch")
def numpy_repeat(mask, n_heads):
    return np.repeat(np.logical_not(mask.numpy()), n_heads, axis=0)


@style("06.mask_for_torch")
def tile_then_reorder(mask, n_heads):
    tiled = mask.repeat(1, n_heads, 1).reshape(-1, mask.shape[1], mask.shape[2])
    return tiled ^ True


# 06.find_head

@style("06.find_head")
def loops(weights, query, wanted, other):
    best, count = (-np.inf, 0, 0), 0
    for layer, heads in enumerate(weights):
        for head, matrix in enumerate(heads):
            preference = matrix[query, wanted] - matrix[query, other]
            best = max(best, (preference, layer, head))
            count += preference > 0
    return best[1], best[2], count / (weights.shape[0] * weights.shape[1])


@style("06.find_head")
def divmod_of_a_flat_place(weights, query, wanted, other):
    preference = (weights[..., query, wanted] - weights[..., query, other]).ravel()
    layer, head = divmod(int(np.argmax(preference)), weights.shape[1])
    return layer, head, np.count_nonzero(preference > 0) / preference.size


@style("06.find_head")
def torch_topk(weights, query, wanted, other):
    rows = torch.from_numpy(weights)[:, :, query]
    preference = (rows[..., wanted] - rows[..., other]).flatten()
    place = preference.topk(1).indices.item()
    return place // weights.shape[1], place % weights.shape[1], (preference > 0).float().mean().item()


@style("06.find_head")
def argwhere(weights, query, wanted, other):
    preference = weights[:, :, query, wanted] - weights[:, :, query, other]
    layer, head = np.argwhere(preference == preference.max())[0]
    return int(layer), int(head), float(np.mean(weights[:, :, query, wanted] > weights[:, :, query, other]))


@style("06.find_head")
def sorted_list(weights, query, wanted, other):
    heads = [(layer, head) for layer in range(len(weights)) for head in range(weights.shape[1])]
    prefers = {name: float(weights[name][query, wanted] - weights[name][query, other]) for name in heads}
    layer, head = sorted(heads, key=prefers.get)[-1]
    return layer, head, sum(value > 0 for value in prefers.values()) / len(heads)


@keras_styles("06.multi_head")
def layers_of_heads():
    import keras
    from keras import ops

    class WithDense(keras.layers.Layer):
        def __init__(self, d_model, n_heads):
            super().__init__()
            self.heads, self.d_model = n_heads, d_model
            self.W_q, self.W_k, self.W_v, self.W_o = (keras.layers.Dense(d_model, use_bias=False) for _ in range(4))

        def split(self, x):
            return ops.transpose(ops.reshape(x, (x.shape[0], -1, self.heads, self.d_model // self.heads)), (0, 2, 1, 3))

        def call(self, query, key, mask):
            q, k, v = self.split(self.W_q(query)), self.split(self.W_k(key)), self.split(self.W_v(key))
            scores = ops.einsum("bhqd,bhkd->bhqk", q, k) / (self.d_model // self.heads) ** 0.5
            weights = ops.softmax(ops.where(mask[:, None], scores, -1e9))
            return self.W_o(ops.reshape(ops.einsum("bhqk,bhkd->bqhd", weights, v), query.shape))

    return [WithDense]
