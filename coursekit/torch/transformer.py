"""The Transformer's encoder: position-wise feed-forward networks, the layer, and the stack of them."""

from functools import partial

import torch.nn.functional as F
from torch import nn

from coursekit.shapes import expect, expect_at_least, expect_choice
from coursekit.torch.attention import MultiHeadAttention

ACTIVATIONS = {"relu": F.relu, "gelu": F.gelu, "gelu_tanh": partial(F.gelu, approximate="tanh")}


class FeedForward(nn.Module):
    """The same network of two layers at every position: `expand` to `d_ff` units, `contract` to `d_model` again.

    output = W₂ activation(W₁ x + b₁) + b₂

    `activation` is "relu", "gelu" (exact, by erf, as in BERT) or "gelu_tanh" (the approximation by tanh, as in GPT-2);
    `dropout` of the d_ff units is in training only.
    Shapes: x (batch, length, d_model) or with any axes before the last; the output has the shape of x.
    Raises `ValueError` for sizes below 1, an unknown activation, or an x that is not d_model wide.
    Source: Vaswani et al. 2017, Attention Is All You Need, section 3.3; Hendrycks and Gimpel 2016, Gaussian Error
    Linear Units.
    """

    def __init__(self, d_model, d_ff, activation="relu", dropout=0.0):
        super().__init__()
        expect_at_least("d_model", d_model, 1)
        expect_at_least("d_ff", d_ff, 1)
        expect_choice("activation", activation, tuple(ACTIVATIONS))
        self.activation = activation
        self.expand = nn.Linear(d_model, d_ff)
        self.contract = nn.Linear(d_ff, d_model)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        expect("x", x.shape[-1:], d_model=self.expand.in_features)
        return self.contract(self.dropout(ACTIVATIONS[self.activation](self.expand(x))))


class EncoderLayer(nn.Module):
    """Self-attention and a feed-forward network, each with a residual connection around it and a layer norm.

    post-norm: x ← norm(x + dropout(part(x)));   pre-norm (`norm_first=True`): x ← x + dropout(part(norm(x)))

    `dropout`, in training only, leaves out units of each part's output before it is added (section 5.4 of the paper),
    and, as in the authors' code, attention weights and units inside the feed-forward network.
    Shapes: x (batch, length, d_model); mask and cache as in `MultiHeadAttention`. Returns output (batch, length,
    d_model), or (output, weights (batch, heads, length, keys)) with `return_weights=True`.
    Raises `ValueError` as its parts do.
    Source: Vaswani et al. 2017, Attention Is All You Need, section 3.1; pre-norm: Xiong et al. 2020, On Layer
    Normalization in the Transformer Architecture, section 3.
    """

    def __init__(self, d_model, n_heads, d_ff, *, dropout=0.0, activation="relu", norm_first=False, norm_epsilon=1e-5):
        super().__init__()
        self.norm_first = norm_first
        self.attention = MultiHeadAttention(d_model, n_heads, dropout=dropout)
        self.attention_norm = nn.LayerNorm(d_model, eps=norm_epsilon)
        self.feed_forward = FeedForward(d_model, d_ff, activation, dropout)
        self.feed_forward_norm = nn.LayerNorm(d_model, eps=norm_epsilon)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None, return_weights=False, cache=None):
        expect("x", x.shape, batch=None, length=None, d_model=self.attention.d_model)
        attended = self.attention(self.attention_norm(x) if self.norm_first else x, mask=mask,
                                  return_weights=return_weights, cache=cache)
        attended, weights = attended if return_weights else (attended, None)
        x = x + self.dropout(attended)
        x = x if self.norm_first else self.attention_norm(x)
        x = x + self.dropout(self.feed_forward(self.feed_forward_norm(x) if self.norm_first else x))
        x = x if self.norm_first else self.feed_forward_norm(x)
        return (x, weights) if return_weights else x


class Encoder(nn.Module):
    """A stack of `n_layers` encoder layers; with pre-norm there is a last norm, `final_norm`, after them.

    Shapes: x (batch, length, d_model); mask and cache as in `MultiHeadAttention`, the same for every layer. Returns
    output (batch, length, d_model), or (output, weights) with `return_weights=True`: a list with the weights of each
    layer, (batch, heads, length, keys). Raises `ValueError` as `EncoderLayer` does, and for n_layers below 1.
    Source: Vaswani et al. 2017, Attention Is All You Need, section 3.1.
    """

    def __init__(self, n_layers, d_model, n_heads, d_ff, *, dropout=0.0, activation="relu", norm_first=False,
                 norm_epsilon=1e-5):
        super().__init__()
        expect_at_least("n_layers", n_layers, 1)
        settings = dict(dropout=dropout, activation=activation, norm_first=norm_first, norm_epsilon=norm_epsilon)
        self.layers = nn.ModuleList(EncoderLayer(d_model, n_heads, d_ff, **settings) for _ in range(n_layers))
        self.final_norm = nn.LayerNorm(d_model, eps=norm_epsilon) if norm_first else nn.Identity()

    def forward(self, x, mask=None, return_weights=False, cache=None):
        all_weights = []
        for layer in self.layers:
            layer_output = layer(x, mask, return_weights, cache)
            x, weights = layer_output if return_weights else (layer_output, None)
            all_weights.append(weights)
        x = self.final_norm(x)
        return (x, all_weights) if return_weights else x
