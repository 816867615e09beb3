"""A translation model: embeddings and positions, the Transformer between them, and the output matrix."""

import math

from torch import nn

from coursekit.shapes import expect_at_least, expect_tokens
from coursekit.torch.attention import causal_mask
from coursekit.torch.decoder import Transformer
from coursekit.torch.position import PositionalEncoding


class TranslationModel(nn.Module):
    """For every place of the target, the logits of its next token, given the source and the target so far.

    x = dropout(√d_model E[tokens] + PE);   output = Transformer(x_source, x_target);   logits = output E_targetᵀ

    Source and target have an embedding each, and the target's is the output matrix as well. Layers are pre-norm unless
    `norm_first` is False, as in the paper. `padding` is the id that fills rows up, in both: padding of the source is
    not attended to, and padding at the end of the target does not change what comes before it.
    Shapes: source (batch, source) and target (batch, length), whole numbers. Returns logits (batch, length,
    target_vocab_size), or (logits, (encoder's weights, decoder's weights)) with `return_weights=True`.
    Raises `ValueError` for ids outside their vocabulary and for rows that are empty or longer than `max_length`.
    Source: Vaswani et al. 2017, Attention Is All You Need, sections 3.1 to 3.5.
    """

    def __init__(self, source_vocab_size, target_vocab_size, *, n_layers, d_model, n_heads, d_ff, max_length,
                 dropout=0.0, norm_first=True, padding=0):
        super().__init__()
        expect_at_least("source_vocab_size", source_vocab_size, 1)
        expect_at_least("target_vocab_size", target_vocab_size, 1)
        self.max_length, self.padding = max_length, padding
        self.source_embedding = nn.Embedding(source_vocab_size, d_model)
        self.target_embedding = nn.Embedding(target_vocab_size, d_model)
        for embedding in (self.source_embedding, self.target_embedding):
            nn.init.normal_(embedding.weight, std=d_model ** -0.5)  # so that √d_model E is of the size of PE
        self.positions = PositionalEncoding(d_model, max_length, dropout)
        self.transformer = Transformer(n_layers, d_model, n_heads, d_ff, dropout=dropout, norm_first=norm_first)

    def forward(self, source, target, return_weights=False):
        source_x, source_mask = self.read_source(source)
        target_x, mask = self.read_target(target)
        output = self.transformer(source_x, target_x, mask, source_mask, return_weights)
        output, weights = output if return_weights else (output, None)
        logits = output @ self.target_embedding.weight.T
        return (logits, weights) if return_weights else logits

    def given(self, source):
        """The model as a function of the target alone, target → logits, for `greedy`, `sample` and `beam_search`.

        The source (batch, source) is read once. A target may have several rows for each row of the source, one after
        the other, as the beams of a search are; `ValueError` where it has not as many for each.
        """
        source_x, source_mask = self.read_source(source)
        memory = self.transformer.encoder(source_x, source_mask)

        def logits(target):
            if len(target) < len(source) or len(target) % len(source):
                raise ValueError(f"target has batch {len(target)}, expected a multiple of source's, {len(source)}")
            beams = len(target) // len(source)
            target_x, mask = self.read_target(target)
            output = self.transformer.decoder(target_x, memory.repeat_interleave(beams, 0), mask,
                                              source_mask.repeat_interleave(beams, 0))
            return output @ self.target_embedding.weight.T
        logits.max_length = self.max_length
        return logits

    def read_source(self, source):
        expect_tokens("source", source, self.source_embedding.num_embeddings)
        return self.embed(source, self.source_embedding), (source != self.padding).unsqueeze(1)

    def read_target(self, target):
        expect_tokens("target", target, self.target_embedding.num_embeddings)
        return self.embed(target, self.target_embedding), causal_mask(target.shape[1], target.device)

    def embed(self, tokens, embedding):
        return self.positions(math.sqrt(embedding.embedding_dim) * embedding(tokens))
