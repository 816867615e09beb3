"""The NumPy formulas against numbers worked out on paper."""

import math

import numpy as np
import pytest
import torch

from coursekit import reference

QUERY = np.array([[1.0, 2.0]])
VALUES = np.array([[[3.0, -1.0], [0.5, 0.5], [-2.0, 1.0]]])


def test_scores_by_hand():
    # q = [1, 2]; h1 = [3, -1]: 3 - 2 = 1;  h2 = [0.5, 0.5]: 0.5 + 1 = 1.5;  h3 = [-2, 1]: -2 + 2 = 0
    np.testing.assert_allclose(reference.dot_score(QUERY, VALUES), [[1, 1.5, 0]])
    # W = [[0, 1], [3, 0]]: qᵀW = [6, 1];  6·3 - 1 = 17;  3 + 0.5 = 3.5;  -12 + 1 = -11
    W = np.array([[0.0, 1], [3, 0]])
    np.testing.assert_allclose(reference.general_score(QUERY, VALUES, W), [[17, 3.5, -11]])
    # first row of W [q; h] = q1 + h2, second = q2 - h1; v = [1, 10]
    W, v = np.array([[1.0, 0, 0, 1], [0, 1, -1, 0]]), np.array([1.0, 10])
    expected = [[math.tanh(0) + 10 * math.tanh(-1), math.tanh(1.5) + 10 * math.tanh(1.5),
                 math.tanh(2) + 10 * math.tanh(4)]]
    np.testing.assert_allclose(reference.concat_score(QUERY, VALUES, W, v), expected)
    zero = np.zeros(2)
    np.testing.assert_allclose(reference.additive_score(QUERY, VALUES, W[:, :2], W[:, 2:], v, zero), expected)
    shifted = reference.additive_score(QUERY, VALUES, W[:, :2], W[:, 2:], v, np.array([0.25, 0]))
    assert shifted[0, 0] == pytest.approx(math.tanh(0.25) + 10 * math.tanh(-1))


def test_softmax_by_hand():
    np.testing.assert_allclose(reference.softmax(np.log([[1.0, 3, 4]])), [[0.125, 0.375, 0.5]])
    np.testing.assert_allclose(reference.softmax(np.log([[1.0, 3, 4]]), mask=[[True, True, False]]), [[0.25, 0.75, 0]])
    assert not reference.softmax(np.ones((2, 3)), mask=[[True] * 3, [False] * 3])[1].any()


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_softmax_equals_torch_on_large_scores(axis):
    scores = np.random.default_rng(0).normal(scale=400, size=(2, 3, 5))
    np.testing.assert_allclose(reference.softmax(scores, axis=axis), torch.tensor(scores).softmax(axis), atol=1e-15)


def test_context_by_hand():
    # 0.5 [3, -1] + 0.25 [0.5, 0.5] + 0.25 [-2, 1] = [1.125, -0.125]
    np.testing.assert_allclose(reference.context(np.array([[0.5, 0.25, 0.25]]), VALUES), [[1.125, -0.125]])
