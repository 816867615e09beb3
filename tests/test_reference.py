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


ONES = np.ones
Q, H, SQUARE = ONES((2, 3)), ONES((2, 4, 3)), ONES((3, 3))


@pytest.mark.parametrize("call, message", [
    (lambda: reference.dot_score(ONES((5, 3)), H), "query has batch 5, values have 2"),
    (lambda: reference.dot_score(ONES((2, 7)), H), "query has units 7, values have 3"),
    (lambda: reference.dot_score(Q, ONES((2, 3))), r"values has shape \(2, 3\), expected the 3 axes"),
    (lambda: reference.general_score(Q, H, ONES((3, 4))), "W has inputs 4, expected 3"),
    (lambda: reference.concat_score(Q, H, SQUARE, ONES(3)), "W has inputs 3, expected 6"),
    (lambda: reference.concat_score(Q, H, ONES((3, 6)), ONES(4)), "v has units 4, expected 3"),
    (lambda: reference.additive_score(ONES((1, 3)), H, SQUARE, SQUARE, ONES(3), ONES(3)), "query has batch 1, values have 2"),
    (lambda: reference.additive_score(Q, H, SQUARE, ONES((4, 3)), ONES(3), ONES(3)), "W2 has outputs 4, expected 3"),
    (lambda: reference.additive_score(Q, H, SQUARE, SQUARE, ONES(3), ONES(2)), "b has units 2, expected 3"),
    (lambda: reference.context(ONES((2, 5)), H), "weights has length 5, values have 4"),
    (lambda: reference.softmax(np.ones((2, 3), int)), "scores has dtype int64, expected float16"),
    (lambda: reference.softmax(Q, mask=ONES((2, 3))), "mask has dtype float64, expected bool"),
    (lambda: reference.softmax(Q, mask=ONES((2, 4), bool)), "mask has 4 places on axis -1, scores have 3"),
])
def test_wrong_input_names_the_axis(call, message):
    with pytest.raises(ValueError, match=message):
        call()


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


# The Transformer's formulas


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def test_scaled_dot_product_attention_by_hand():
    # scores [2 log 3, 0] / √4 = [log 3, 0]: weights 3/4 and 1/4
    query, key = np.array([[2 * math.log(3), 0, 0, 0]]), np.array([[1.0, 5, 0, 0], [0, 0, 7, 1]])
    value = np.array([[8.0, 4, 0], [0, 4, 12]])
    for function in (reference.scaled_dot_product_attention_in_loops, reference.scaled_dot_product_attention):
        context, weights = function(query, key, value)
        np.testing.assert_allclose(weights, [[0.75, 0.25]], atol=1e-15)
        np.testing.assert_allclose(context, [[6, 4, 3]], atol=1e-14)


def test_loops_matrices_and_columns_agree_with_torch():
    query, key, value = random(5, 4), random(7, 4, seed=1), random(7, 3, seed=2)
    expected = torch.nn.functional.scaled_dot_product_attention(*map(torch.from_numpy, (query, key, value)))
    context, weights = reference.scaled_dot_product_attention(query, key, value)
    np.testing.assert_allclose(context, expected, atol=1e-12)
    for made in (reference.scaled_dot_product_attention_in_loops(query, key, value),
                 [array.T for array in reference.scaled_dot_product_attention_in_columns(query.T, key.T, value.T)]):
        np.testing.assert_allclose(made[0], context, atol=1e-12)
        np.testing.assert_allclose(made[1], weights, atol=1e-12)


def test_masks_of_rows_and_of_columns():
    query, key, value = random(2, 5, 4), random(2, 7, 4, seed=1), random(2, 7, 3, seed=2)
    mask = random(2, 5, 7, seed=3) > 0
    mask[1, 2] = False
    context, weights = reference.scaled_dot_product_attention(query, key, value, mask)
    assert not weights[~mask].any() and not context[1, 2].any()
    rows = np.arange(10) != 7  # all but the fully masked one, which torch's own formula cannot do
    scores = torch.from_numpy(query @ key.swapaxes(1, 2) / 2).masked_fill(torch.from_numpy(~mask), -torch.inf)
    np.testing.assert_allclose(weights.reshape(10, 7)[rows], scores.softmax(-1).reshape(10, 7)[rows], atol=1e-12)
    for b in range(2):
        columns = reference.scaled_dot_product_attention_in_columns(query[b].T, key[b].T, value[b].T, mask[b].T)
        np.testing.assert_allclose(columns[0].T, context[b], atol=1e-12)


def test_layer_norm_by_hand_and_by_torch():
    # mean 3, variance (4 + 0 + 4) / 3 = 8/3
    made = reference.layer_norm(np.array([1.0, 3, 5]), 2.0, 1.0, epsilon=0)
    np.testing.assert_allclose(made, [1 - 4 / math.sqrt(8 / 3), 1, 1 + 4 / math.sqrt(8 / 3)])
    x, scale, shift = random(2, 5, 4), random(4, seed=1), random(4, seed=2)
    expected = torch.nn.functional.layer_norm(torch.from_numpy(x), [4], torch.from_numpy(scale),
                                              torch.from_numpy(shift), eps=0.1)
    np.testing.assert_allclose(reference.layer_norm(x, scale, shift, epsilon=0.1), expected, atol=1e-12)


def test_activations_equal_torch():
    x = random(3, 50)
    np.testing.assert_allclose(reference.relu(x), torch.from_numpy(x).relu())
    np.testing.assert_allclose(reference.gelu(x), torch.nn.functional.gelu(torch.from_numpy(x)), atol=1e-15)
    assert reference.gelu(x.astype(np.float32)).dtype == np.float32


def test_sinusoids_and_rotations_by_hand():
    np.testing.assert_allclose(reference.sinusoidal_positions(3, 4)[2],
                               [math.sin(2), math.cos(2), math.sin(0.02), math.cos(0.02)])
    turned = reference.rotary(np.array([[1.0, 0, 0, 1]]), [2])
    np.testing.assert_allclose(turned, [[math.cos(2), math.sin(2), -math.sin(0.02), math.cos(0.02)]])
