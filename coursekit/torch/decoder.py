"""The Transformer's decoder, which attends to itself and to the encoder's output, and the whole Transformer."""

from typing import NamedTuple

import torch
from torch import nn

from coursekit.shapes import expect, expect_at_least
from coursekit.torch.attention import MultiHeadAttention
from coursekit.torch.transformer import Encoder, FeedForward


class DecoderWeights(NamedTuple):
    """Attention weights of one decoder layer, (batch, heads, length, length) and (batch, heads, length, source)."""

    self_attention: torch.Tensor
    cross_attention: torch.Tensor


class DecoderLayer(nn.Module):
    """Self-attention, cross-attention and a feed-forward network, each with a residual connection and a layer norm.

    post-norm: x ← norm(x + dropout(part(x)));   pre-norm (`norm_first=True`): x ← x + dropout(part(norm(x)))

    The queries of cross-attention come from x, its keys and values from `memory`, the encoder's output.
    Shapes: x (batch, length, d_model); memory (batch, source, d_model); `mask` says to which places of x a place may
    attend, (length, length) or (batch, length, length), in a model that writes the `causal_mask`; `memory_mask` to
    which of memory, (batch, length or 1, source). Returns output (batch, length, d_model), or (output,
    `DecoderWeights`) with `return_weights=True`. Dropout as in `EncoderLayer`. Raises `ValueError` as its parts do.
    Source: Vaswani et al. 2017, Attention Is All You Need, section 3.1; pre-norm: Xiong et al. 2020, On Layer
    Normalization in the Transformer Architecture, section 3.
    """

    def __init__(self, d_model, n_heads, d_ff, *, dropout=0.0, activation="relu", norm_first=False, norm_epsilon=1e-5):
        super().__init__()
        self.norm_first = norm_first
        self.self_attention = MultiHeadAttention(d_model, n_heads, dropout=dropout)
        self.self_attention_norm = nn.LayerNorm(d_model, eps=norm_epsilon)
        self.cross_attention = MultiHeadAttention(d_model, n_heads, dropout=dropout)
        self.cross_attention_norm = nn.LayerNorm(d_model, eps=norm_epsilon)
        self.feed_forward = FeedForward(d_model, d_ff, activation, dropout)
        self.feed_forward_norm = nn.LayerNorm(d_model, eps=norm_epsilon)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, memory, mask=None, memory_mask=None, return_weights=False):
        expect("x", x.shape, batch=None, length=None, d_model=self.self_attention.d_model)
        expect("memory", memory.shape, batch=(len(x), "x"), source=None, d_model=self.self_attention.d_model)
        attended = self.self_attention(self.self_attention_norm(x) if self.norm_first else x, mask=mask,
                                       return_weights=return_weights)
        attended, self_weights = attended if return_weights else (attended, None)
        x = x + self.dropout(attended)
        x = x if self.norm_first else self.self_attention_norm(x)
        attended = self.cross_attention(self.cross_attention_norm(x) if self.norm_first else x, memory,
                                        mask=memory_mask, return_weights=return_weights)
        attended, cross_weights = attended if return_weights else (attended, None)
        x = x + self.dropout(attended)
        x = x if self.norm_first else self.cross_attention_norm(x)
        x = x + self.dropout(self.feed_forward(self.feed_forward_norm(x) if self.norm_first else x))
        x = x if self.norm_first else self.feed_forward_norm(x)
        return (x, DecoderWeights(self_weights, cross_weights)) if return_weights else x


class Decoder(nn.Module):
    """A stack of `n_layers` decoder layers; with pre-norm there is a last norm, `final_norm`, after them.

    Shapes: x, memory and the masks as in `DecoderLayer`, the same memory and masks for every layer. Returns output
    (batch, length, d_model), or (output, weights) with `return_weights=True`: a list of `DecoderWeights`, one for each
    layer. Raises `ValueError` as `DecoderLayer` does, and for n_layers below 1.
    Source: Vaswani et al. 2017, Attention Is All You Need, section 3.1.
    """

    def __init__(self, n_layers, d_model, n_heads, d_ff, *, dropout=0.0, activation="relu", norm_first=False,
                 norm_epsilon=1e-5):
        super().__init__()
        expect_at_least("n_layers", n_layers, 1)
        settings = dict(dropout=dropout, activation=activation, norm_first=norm_first, norm_epsilon=norm_epsilon)
        self.layers = nn.ModuleList(DecoderLayer(d_model, n_heads, d_ff, **settings) for _ in range(n_layers))
        self.final_norm = nn.LayerNorm(d_model, eps=norm_epsilon) if norm_first else nn.Identity()

    def forward(self, x, memory, mask=None, memory_mask=None, return_weights=False):
        all_weights = []
        for layer in self.layers:
            layer_output = layer(x, memory, mask, memory_mask, return_weights)
            x, weights = layer_output if return_weights else (layer_output, None)
            all_weights.append(weights)
        x = self.final_norm(x)
        return (x, all_weights) if return_weights else x


class Transformer(nn.Module):
    """An encoder that reads the source and a decoder that looks at its output, between vectors and vectors.

    output = decoder(target, encoder(source))

    Embeddings, positions and the output matrix are around it, in `TranslationModel`: this is what torch.nn.Transformer
    is, but for its last norms after post-norm stacks too, which the paper has not.
    Shapes: source (batch, source, d_model); target (batch, length, d_model); `mask` says to which places of the target
    a target place may attend, (length, length) or (batch, length, length), in a model that writes the `causal_mask`;
    `source_mask` to which of the source every place may, (batch, 1, source), a `padding_mask`. Returns output (batch,
    length, d_model), or (output, (encoder's weights, decoder's weights)) with `return_weights=True`, as `Encoder` and
    `Decoder` give them. Raises `ValueError` as these do.
    Source: Vaswani et al. 2017, Attention Is All You Need, section 3 and figure 1.
    """

    def __init__(self, n_layers, d_model, n_heads, d_ff, *, dropout=0.0, activation="relu", norm_first=False,
                 norm_epsilon=1e-5):
        super().__init__()
        settings = dict(dropout=dropout, activation=activation, norm_first=norm_first, norm_epsilon=norm_epsilon)
        self.encoder = Encoder(n_layers, d_model, n_heads, d_ff, **settings)
        self.decoder = Decoder(n_layers, d_model, n_heads, d_ff, **settings)

    def forward(self, source, target, mask=None, source_mask=None, return_weights=False):
        if source_mask is not None:
            expect("source_mask", source_mask.shape, batch=(len(source), "source"), queries=1,
                   keys=(source.shape[1], "source"))
        memory = self.encoder(source, source_mask, return_weights)
        memory, encoder_weights = memory if return_weights else (memory, None)
        output = self.decoder(target, memory, mask, source_mask, return_weights)
        output, decoder_weights = output if return_weights else (output, None)
        return (output, (encoder_weights, decoder_weights)) if return_weights else output
