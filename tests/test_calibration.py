"""Calibration against scikit-learn's curve, against numbers worked out by hand, and against a search by SciPy."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.calibration import calibration_curve

from coursekit.calibration import expected_calibration_error, reliability, temperature


def drawn(examples, classes, seed=0, sharper=1.0):
    """Logits whose softmax, were they not made sharper, is the probability that the labels were drawn with."""
    rng = np.random.default_rng(seed)
    logits = 1.5 * rng.normal(size=(examples, classes))
    labels = np.array([rng.choice(classes, p=row) for row in softmax(logits, axis=1)])
    return sharper * logits, labels


def test_bins_are_those_of_scikit_learn():
    logits, labels = drawn(300, 2)
    probabilities = softmax(logits, axis=1)
    counts, confidence, accuracy = reliability(probabilities, labels, bins=7)
    right = probabilities.argmax(1) == labels
    of_sklearn = calibration_curve(right, probabilities.max(1), n_bins=7)
    np.testing.assert_allclose(accuracy, of_sklearn[0])
    np.testing.assert_allclose(confidence, of_sklearn[1])
    assert counts.sum() == 300 and len(counts) == 4  # below one half there is nothing


def test_error_by_hand():
    confidence = np.array([0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.6, 0.6, 0.6, 0.6])
    probabilities = np.stack([confidence, 1 - confidence], axis=1)
    labels = np.array([0, 0, 0, 0, 1, 1, 0, 0, 0, 1])  # four of six, three of four
    assert expected_calibration_error(probabilities, labels) == pytest.approx(0.6 * (0.9 - 4 / 6) + 0.4 * (0.75 - 0.6))
    assert expected_calibration_error(probabilities, labels, bins=1) == pytest.approx(0.78 - 0.7)


def test_a_border_belongs_to_the_bin_below_and_both_ends_to_some_bin():
    probabilities = np.array([[0.5, 0.25, 0.25], [0.75, 0.25, 0.0], [1.0, 0.0, 0.0]])
    counts, confidence, _ = reliability(probabilities, np.zeros(3, int), bins=4)
    np.testing.assert_array_equal(counts, [1, 1, 1])
    np.testing.assert_allclose(confidence, [0.5, 0.75, 1.0])
    assert expected_calibration_error(np.eye(3), np.arange(3)) == 0.0


@pytest.mark.parametrize("sharper", [0.4, 1.0, 3.0])
def test_temperature_is_what_a_search_finds(sharper):
    logits, labels = drawn(400, 3, seed=1, sharper=sharper)

    def loss(t):
        return -log_softmax(logits / t, axis=1)[np.arange(len(labels)), labels].mean()

    found = temperature(logits, labels)
    assert found == pytest.approx(minimize_scalar(loss, bounds=(0.05, 20), method="bounded").x, rel=1e-3)
    assert found == pytest.approx(sharper, rel=0.2)  # those who sharpened know by how much
    assert temperature(5 + logits, labels) == pytest.approx(found)


def test_without_a_best_temperature():
    logits, labels = drawn(50, 4)
    with pytest.raises(ValueError, match="right every time"):
        temperature(logits, logits.argmax(1))
    with pytest.raises(ValueError, match="no better than chance"):
        temperature(logits, logits.argmin(1))


@pytest.mark.parametrize("probabilities, labels, bins, message", [
    (np.full((3, 2), 0.5), [0, 1], 10, "probabilities has examples 3, labels have 2"),
    (np.full(3, 0.5), [0, 1, 1], 10, "probabilities has shape \\(3,\\), expected the 2 axes"),
    (np.full((3, 2), 0.5), [0, 1, 2], 10, "labels range from 0 to 2, expected 0 to 1"),
    (np.full((3, 2), 0.5), [0, -1, 1], 10, "labels range from -1 to 1"),
    (np.empty((0, 2)), [], 10, "the number of examples is 0"),
    (np.full((2, 2), 0.5), [0, 1], 0, "bins is 0"),
])
def test_bad_input(probabilities, labels, bins, message):
    with pytest.raises(ValueError, match=message):
        expected_calibration_error(probabilities, labels, bins)
