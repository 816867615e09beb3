"""Word vectors by counting, and what is asked of word vectors: neighbours and analogies."""

import numpy as np

from coursekit.shapes import expect, expect_at_least


def context_pairs(sentences, window):
    """(word, context) for every word and each word at most `window` places away in the same sentence: (n, 2) int64.

    sentences: lists of ids. Source: Mikolov et al. 2013, Efficient Estimation of Word Representations, section 3.2.
    """
    expect_at_least("window", window, 1)
    pairs = [(word, sentence[place]) for sentence in sentences for here, word in enumerate(sentence)
             for place in range(max(0, here - window), min(len(sentence), here + window + 1)) if place != here]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def negative_samples(pairs, vocab_size, negatives, seed=0):
    """For each pair (word, context) its context and `negatives` words drawn in proportion to count^0.75.

    pairs (n, 2) to candidates (n, 1 + negatives), the true context first; words are counted as contexts.
    Source: Mikolov et al. 2013, Distributed Representations of Words and Phrases, section 2.2.
    """
    expect_at_least("negatives", negatives, 1)
    share = np.bincount(pairs[:, 1], minlength=vocab_size) ** 0.75
    drawn = np.random.default_rng(seed).random((len(pairs), negatives))
    return np.column_stack([pairs[:, 1], np.searchsorted(share.cumsum() / share.sum(), drawn, side="right")])


def count_vectors(pairs, vocab_size, d_model):
    """Word vectors (vocab_size, d_model) without any training: positive pointwise mutual information, then an SVD.

    M = max(0, log(P(word, context) / (P(word) P(context)))) = U S Vᵀ,   vectors = the first columns of U √S

    Source: Levy and Goldberg 2014, Neural Word Embedding as Implicit Matrix Factorization, sections 3 and 4.
    """
    if not 1 <= d_model <= vocab_size:
        raise ValueError(f"d_model is {d_model}, expected 1 to vocab_size {vocab_size}")
    counts = np.zeros((vocab_size, vocab_size))
    np.add.at(counts, (pairs[:, 0], pairs[:, 1]), 1)
    by_chance = np.outer(counts.sum(1), counts.sum(0)) / counts.sum()
    more_than_chance = np.where(counts > by_chance, counts / np.maximum(by_chance, 1e-12), 1)
    left, size, _ = np.linalg.svd(np.log(more_than_chance))
    return left[:, :d_model] * np.sqrt(size[:d_model])


def unit(vectors):
    """The rows of vectors (n, d_model), each divided by its length, so that a dot product is a cosine.

    Raises ValueError for a row of zeros, which has no direction.
    """
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not length.all():
        raise ValueError(f"row {length.argmin()} of vectors is zero, expected a vector that has a direction")
    return vectors / length


def solve_analogies(vectors, questions, exclude=True):
    """The ids (n,) nearest to b - a + c by cosine, of vectors (vocab_size, d_model) and questions (n, 3) of a, b, c.

    Every vector has length 1 first. exclude: whether a, b and c themselves are left out, as is the custom.
    Source: Levy and Goldberg 2014, Linguistic Regularities in Sparse and Explicit Word Representations, section 3.
    """
    questions = np.asarray(questions)
    expect("questions", questions.shape, n=None, words=3)
    directions, (a, b, c) = unit(vectors), questions.T
    cosines = (directions[b] - directions[a] + directions[c]) @ directions.T
    if exclude:
        np.put_along_axis(cosines, questions, -np.inf, axis=1)
    return cosines.argmax(axis=1)


def nearest(vectors, words, count=1):
    """The ids (n, count) nearest to each of the ids `words` (n,) by cosine, the nearest first, without the word."""
    directions = unit(vectors)
    cosines = directions[words] @ directions.T
    cosines[np.arange(len(words)), words] = -np.inf
    return np.argsort(-cosines, axis=1, kind="stable")[:, :count]
