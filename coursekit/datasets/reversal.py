"""The reversal task: read a sequence of symbols, write it backwards."""

import numpy as np

from coursekit.shapes import expect_at_least


def reversal(n, length, vocab_size, seed=0):
    """Random sequences and the same sequences reversed, in the standard form of the task.

    Symbols are drawn evenly from 1 … vocab_size - 1; 0 is reserved for padding and never appears. Returns (source,
    target), both (n, length), int64; the same seed gives the same sequences. Raises `ValueError` for a length or a
    number of sequences below 1 and for a vocabulary without any symbol.
    """
    expect_at_least("n", n, 1)
    expect_at_least("length", length, 1)
    expect_at_least("vocab_size", vocab_size, 2)
    expect_at_least("seed", seed, 0)
    source = np.random.default_rng(seed).integers(1, vocab_size, size=(n, length))
    return source, source[:, ::-1].copy()


def one_hot(tokens, vocab_size):
    """Symbols (...) as vectors (..., vocab_size), float32: a one at the symbol's place and zeros elsewhere.

    Raises `ValueError` for symbols that are no whole numbers or outside 0 … vocab_size - 1.
    """
    expect_at_least("vocab_size", vocab_size, 1)
    tokens = np.asarray(tokens)
    if not np.issubdtype(tokens.dtype, np.integer):
        raise ValueError(f"tokens has dtype {tokens.dtype}, expected whole numbers")
    if tokens.size and (tokens.min() < 0 or tokens.max() >= vocab_size):
        raise ValueError(f"tokens range from {tokens.min()} to {tokens.max()}, expected 0 to {vocab_size - 1}")
    return np.eye(vocab_size, dtype=np.float32)[tokens]


def one_hot_decode(vectors):
    """The symbols (...) of vectors (..., vocab_size): the place of the largest entry."""
    return np.asarray(vectors).argmax(-1)
