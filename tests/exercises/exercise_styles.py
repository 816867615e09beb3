"""The same right answers as different people write them: with loops, einsum or matrix products, in NumPy or torch, in
single or double precision, as arrays, lists or numbers. Each must pass. Those of lecture NN are in styles_NN.py."""

from collections import defaultdict
from fractions import Fraction

import numpy as np
import torch

STYLES = defaultdict(list)
KERAS_STYLES = {}


def style(id):
    def keep(definition):
        STYLES[id].append(definition)
        return definition
    return keep


def keras_styles(id):
    """Of a function that returns Keras layers: they are made on demand, since importing Keras costs seconds."""
    def keep(layers):
        KERAS_STYLES[id] = layers
        return layers
    return keep


def number(id, value):
    for same in (value, float(value), np.int32(value), np.array(float(value)), torch.tensor(value),
                 Fraction(value).numerator):
        STYLES[id].append(lambda same=same: same)


def choice(id, letter):
    for same in (letter, letter.upper(), f" {letter} ", f"{letter}\n", np.str_(letter.upper())):
        STYLES[id].append(lambda same=same: same)


def reversal_predictor(id):
    """Predictors without the training: what a learner's function may take and return."""
    STYLES[id] += [reverse_loops, reverse_torch, reverse_int32, reverse_view, ReverseObject()]


def reverse_loops(source):
    return [list(reversed(row)) for row in source.tolist()]


def reverse_torch(source):
    return torch.from_numpy(source).flip(1)


def reverse_int32(source):
    return np.flip(source, axis=1).astype(np.int32)


def reverse_view(source):
    return source[:, ::-1]


class ReverseObject:
    def __call__(self, source):
        return np.stack([row[::-1] for row in source])
