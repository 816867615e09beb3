"""Word vectors that learn to tell a word's true neighbours from random words."""

import torch
from torch import nn
from torch.nn import functional as F


class SkipGram(nn.Module):
    """score(word, candidate) = word_vector · context_vector, for words (batch,) and candidates (batch, k): (batch, k).

    Each word has two vectors, one as a word and one as a context; `words.weight` (vocab_size, d_model) are the word
    vectors that one keeps. Source: Mikolov et al. 2013, Distributed Representations of Words and Phrases, section 2.2.
    """

    def __init__(self, vocab_size, d_model):
        super().__init__()
        self.words = nn.Embedding(vocab_size, d_model)
        self.contexts = nn.Embedding(vocab_size, d_model)
        nn.init.normal_(self.words.weight, std=d_model ** -0.5)
        nn.init.zeros_(self.contexts.weight)

    def forward(self, words, candidates):
        return (self.words(words).unsqueeze(1) * self.contexts(candidates)).sum(-1)


def negative_sampling_loss(scores, targets):
    """-Σ log σ(±score) over the candidates, + where the target is 1 and - where it is 0, mean over the batch.

    scores and targets (batch, k). Source: as `SkipGram`, equation 4.
    """
    return F.binary_cross_entropy_with_logits(scores, targets, reduction="sum") / len(scores)
