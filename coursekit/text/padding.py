"""Rows of different lengths in one array."""

import numpy as np


def pad(rows, value=0):
    """An array (batch, length) of lists of numbers or booleans, shorter rows filled up with value at their end."""
    padded = np.full((len(rows), max(map(len, rows), default=0)), value)
    for row, entries in zip(padded, rows):
        row[:len(entries)] = entries
    return padded
