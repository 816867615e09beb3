"""Are a classifier's probabilities right? Reliability, expected calibration error, and a temperature that mends them.

Source: Guo et al. 2017, On Calibration of Modern Neural Networks. Arrays are NumPy's, so that both frameworks can use
them.
"""

from typing import NamedTuple

import numpy as np

from coursekit.shapes import expect, expect_at_least


class Reliability(NamedTuple):
    """The bins that are not empty, each (bins,): how many predictions fell in, their mean confidence, the share right."""

    counts: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray


def reliability(probabilities, labels, bins=10):
    """The `Reliability` of predictions, sorted by confidence into bins of equal width from 0 to 1.

    The prediction is the most probable class and its confidence that probability; bin k of K holds those above
    (k - 1) / K and up to k / K. Shapes: probabilities (examples, classes), labels (examples,), whole numbers. Raises
    `ValueError` for shapes that differ, no examples, labels that are no class, and fewer than one bin.
    """
    probabilities, labels = checked("probabilities", probabilities, labels)
    expect_at_least("bins", bins, 1)
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    places = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    counts, sums, hits = (np.bincount(places, weight, minlength=bins) for weight in (None, confidence, right))
    used = counts > 0
    return Reliability(counts[used], sums[used] / counts[used], hits[used] / counts[used])


def expected_calibration_error(probabilities, labels, bins=10):
    """How far confidence is from accuracy, on average: Σ_bins (n_bin / n) · |accuracy_bin - confidence_bin|.

    Arguments and errors as in `reliability`. With few examples it is above 0 for a perfect model, too.
    """
    counts, confidence, accuracy = reliability(probabilities, labels, bins)
    return float(counts @ np.abs(accuracy - confidence) / counts.sum())


def temperature(logits, labels):
    """The T for which softmax(logits / T) gives the labels the highest likelihood. It changes no prediction.

    The derivative of the loss by 1/T is the mean of Σ_k p_k z_k - z_label, which grows with 1/T: bisected for its zero.
    Shapes and errors as in `reliability`, and `ValueError` where no T is best: all predictions are right, so that the
    surer the better, or they are no better than chance.
    """
    logits, labels = checked("logits", logits, labels)
    of_labels = logits[np.arange(len(labels)), labels].mean()

    def slope(inverse):
        powers = np.exp(inverse * (logits - logits.max(1, keepdims=True)))
        return ((powers * logits).sum(1) / powers.sum(1)).mean() - of_labels

    low, high = 1e-4, 1e4
    if not slope(low) < 0 < slope(high):
        raise ValueError("no temperature is best for these logits: they are right every time, or no better than chance")
    for _ in range(100):
        middle = np.sqrt(low * high)
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return float(1 / middle)


def checked(name, scores, labels):
    """Scores and labels as arrays that fit."""
    scores, labels = np.asarray(scores, dtype=float), np.asarray(labels)
    expect(name, scores.shape, examples=(len(labels), "labels"), classes=None)
    expect_at_least("the number of examples", len(labels), 1)
    if labels.min() < 0 or labels.max() >= scores.shape[1]:
        raise ValueError(f"labels range from {labels.min()} to {labels.max()}, expected 0 to {scores.shape[1] - 1}")
    return scores, labels
