"""A language model: the Transformer's layers with a causal mask, from tokens to the logits of the next ones."""

import torch
from torch import nn

from coursekit.shapes import expect, expect_at_least, expect_tokens
from coursekit.torch.attention import causal_mask
from coursekit.torch.transformer import Encoder


class KVCache:
    """The keys and values that each attention layer has computed, so that no token is read twice.

        cache = KVCache()
        logits = model(prompt, cache=cache)            # reads the prompt
        logits = model(next_token, cache=cache)        # reads one token, which attends to all

    `length` is the number of tokens read, with padding; `mask` (batch, length) says which of them are tokens. Growing
    copies what is there: about one more look at every key, little beside the rest of a step.
    """

    def __init__(self):
        self.clear()

    def clear(self):
        """Forget everything."""
        self.layers, self.mask = {}, None

    @property
    def length(self):
        return 0 if self.mask is None else self.mask.shape[1]

    def extend(self, layer, key, value):
        """Keep new keys and values (batch, heads, new, d_head) of an attention layer; returns all that it has now."""
        if layer in self.layers:
            old_key, old_value = self.layers[layer]
            key, value = torch.cat([old_key, key], dim=2), torch.cat([old_value, value], dim=2)
        self.layers[layer] = key, value
        return key, value

    def select(self, rows):
        """Go on with these rows of the batch, (new batch,), any of them several times: the beams that survive."""
        self.mask = self.mask[rows]
        self.layers = {layer: (key[rows], value[rows]) for layer, (key, value) in self.layers.items()}


class LanguageModel(nn.Module):
    """For every place of a text, the logits of its next token, given the tokens up to there: GPT-2's architecture.

    x = dropout(E[tokens] + P);   output = pre-norm encoder layers of x under a causal mask;   logits = output Eᵀ

    P are learned vectors of the positions 0 to max_length - 1, the context; E is the output matrix as well.
    Shapes: tokens (batch, length), whole numbers; mask (batch, length), boolean, True for a token and False for
    padding, which is not attended to and has no position: rows may be padded on either side. With `cache`, a `KVCache`,
    tokens and mask are those after what it has. Returns logits (batch, length, vocab_size), or (logits, weights) with
    `return_weights=True`, a list with those of each layer, (batch, heads, length, tokens so far).
    Raises `ValueError` for ids outside the vocabulary, empty rows, and rows of more than `max_length` tokens.
    Source: Radford et al. 2019, Language Models are Unsupervised Multitask Learners, section 2.3; Radford et al. 2018.
    """

    def __init__(self, vocab_size, *, n_layers, d_model, n_heads, d_ff, max_length, dropout=0.0,
                 activation="gelu_tanh", norm_epsilon=1e-5):
        super().__init__()
        expect_at_least("vocab_size", vocab_size, 1)
        expect_at_least("max_length", max_length, 1)
        self.max_length = max_length
        self.token_embedding = nn.Embedding(vocab_size, d_model)
        self.position_embedding = nn.Embedding(max_length, d_model)
        for embedding in (self.token_embedding, self.position_embedding):
            nn.init.normal_(embedding.weight, std=0.02)  # small, or the first logits would be far from equal
        self.dropout = nn.Dropout(dropout)
        self.encoder = Encoder(n_layers, d_model, n_heads, d_ff, dropout=dropout, activation=activation,
                               norm_first=True, norm_epsilon=norm_epsilon)

    def forward(self, tokens, mask=None, return_weights=False, cache=None):
        mask = self.mask_of_all(tokens, mask, cache)
        length = tokens.shape[1]
        # A row's position counts its tokens, not its padding; the first ones may be in the cache.
        positions = (mask.cumsum(1) - 1).clamp(min=0)[:, -length:]
        x = self.dropout(self.token_embedding(tokens) + self.position_embedding(positions))
        # The last rows of the mask of all tokens: what F.scaled_dot_product_attention does for is_causal=True, the
        # first rows, would hide the cache's tokens from the new ones.
        allowed = causal_mask(mask.shape[1], tokens.device)[-length:] & mask.unsqueeze(1)
        output = self.encoder(x, allowed, return_weights, cache)
        if cache is not None:
            cache.mask = mask
        output, weights = output if return_weights else (output, None)
        logits = output @ self.token_embedding.weight.T
        return (logits, weights) if return_weights else logits

    def mask_of_all(self, tokens, mask, cache):
        """Which of the cache's and the new tokens are no padding: (batch, tokens so far)."""
        expect_tokens("tokens", tokens, self.token_embedding.num_embeddings)
        if mask is None:
            mask = torch.ones_like(tokens, dtype=torch.bool)
        expect("mask", mask.shape, batch=(len(tokens), "tokens"), length=(tokens.shape[1], "tokens"))
        if mask.dtype != torch.bool:
            raise ValueError(f"mask has dtype {mask.dtype}, expected torch.bool (True = a token, False = padding)")
        if cache is not None and cache.length:
            expect("tokens", tokens.shape, batch=(len(cache.mask), "cache"), length=None)
            mask = torch.cat([cache.mask, mask], dim=1)
        if mask.sum(1).max() > self.max_length:
            raise ValueError(f"tokens has rows of {int(mask.sum(1).max())} with those in the cache, "
                             f"expected at most max_length, which is {self.max_length}")
        return mask
