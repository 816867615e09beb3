"""Word vectors by counting, by hand; analogies against loops over words."""

import numpy as np
import pytest

from coursekit.text.word_vectors import context_pairs, count_vectors, nearest, negative_samples, solve_analogies, unit


def test_context_pairs_by_hand():
    assert context_pairs([[4, 7, 9], [1]], 1).tolist() == [[4, 7], [7, 4], [7, 9], [9, 7]]
    assert context_pairs([[4, 7, 9]], 2).tolist() == [[4, 7], [4, 9], [7, 4], [7, 9], [9, 4], [9, 7]]
    assert context_pairs([[1], []], 3).shape == (0, 2) and context_pairs([[1, 2]], 1).dtype == np.int64


def test_negative_samples_are_drawn_by_count_to_the_three_quarters():
    contexts = np.repeat([0, 2, 3], [1, 16, 81])
    pairs = np.column_stack([np.zeros_like(contexts), contexts])
    candidates = np.concatenate([negative_samples(pairs, 5, 40, seed) for seed in range(20)])
    assert candidates.shape == (98 * 20, 41) and (candidates[:98, 0] == contexts).all()
    shares = np.bincount(candidates[:, 1:].ravel(), minlength=5) / candidates[:, 1:].size
    # 1, 8 and 27 of 36; 78,400 draws have a standard deviation of at most 0.0018
    np.testing.assert_allclose(shares, [1 / 36, 0, 8 / 36, 27 / 36, 0], atol=0.008)
    assert (negative_samples(pairs, 5, 3, seed=1) == negative_samples(pairs, 5, 3, seed=1)).all()


def test_count_vectors_by_hand():
    """Counts [[0, 3], [3, 0]] beside [[0, 1], [1, 0]]: 8 pairs, so ppmi of the first two words is log(3 · 8 / 9)."""
    pairs = np.array([[0, 1], [1, 0]] * 3 + [[2, 3], [3, 2]])
    vectors = count_vectors(pairs, 4, 4)
    # U √S: rows have length √ppmi, and every row is at right angles to every other.
    lengths = np.log([3 * 8 / 9, 3 * 8 / 9, 8, 8])
    np.testing.assert_allclose(vectors @ vectors.T, np.diag(lengths), atol=1e-12)
    # Only the two largest singular values are kept: words 2 and 3.
    kept = count_vectors(pairs, 4, 2)
    np.testing.assert_allclose(kept @ kept.T, np.diag([0, 0, np.log(8), np.log(8)]), atol=1e-12)


def test_count_vectors_rebuild_the_matrix():
    pairs = np.random.default_rng(0).integers(0, 6, (400, 2))
    pairs = np.concatenate([pairs, pairs[:, ::-1]])
    counts = np.zeros((6, 6))
    for word, context in pairs:
        counts[word, context] += 1
    total, sums = counts.sum(), counts.sum(0)
    ppmi = np.array([[max(0.0, np.log(counts[i, j] * total / (sums[i] * sums[j]))) for j in range(6)]
                     for i in range(6)])
    vectors = count_vectors(pairs, 6, 6)
    np.testing.assert_allclose(vectors @ vectors.T @ vectors @ vectors.T, ppmi @ ppmi.T, atol=1e-12)


def by_loops(vectors, a, b, c, exclude):
    best, found = -np.inf, None
    one = [vector / np.sqrt((vector ** 2).sum()) for vector in vectors]
    target = one[b] - one[a] + one[c]
    for word, direction in enumerate(one):
        cosine = target @ direction / np.sqrt((target ** 2).sum())
        if cosine > best and not (exclude and word in (a, b, c)):
            best, found = cosine, word
    return found


@pytest.mark.parametrize("exclude", [True, False])
def test_analogies_against_loops(exclude):
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(23, 5)) * rng.uniform(0.5, 3, (23, 1))
    questions = rng.permuted(np.tile(np.arange(23), (40, 1)), axis=1)[:, :3]
    before = vectors.copy(), questions.copy()
    found = solve_analogies(vectors, questions, exclude)
    assert found.tolist() == [by_loops(vectors, *question, exclude) for question in questions]
    assert (vectors == before[0]).all() and (questions == before[1]).all()


def test_an_exact_analogy():
    man, royal, woman = np.eye(3)
    vectors = np.stack([man, woman, man + royal, woman + royal, royal])
    assert solve_analogies(vectors, [[0, 1, 2], [1, 0, 3]]).tolist() == [3, 2]


def test_nearest_by_hand():
    vectors = np.array([[1.0, 0], [3, 1], [0, 2], [-1, 0]])
    assert nearest(vectors, [0, 2], 3).tolist() == [[1, 2, 3], [1, 0, 3]]
    assert nearest(vectors, np.array([3])).tolist() == [[2]]


def test_unit_by_hand():
    np.testing.assert_allclose(unit(np.array([[3.0, 4], [0, -2]])), [[0.6, 0.8], [0, -1]])


@pytest.mark.parametrize("call, message", [
    (lambda: unit(np.array([[1.0, 0], [0, 0]])), "row 1 of vectors is zero"),
    (lambda: solve_analogies(np.eye(4), [[0, 1]]), "questions has words 2, expected 3"),
    (lambda: context_pairs([[1, 2]], 0), "window is 0, expected a whole number of at least 1"),
    (lambda: negative_samples(np.array([[0, 1]]), 2, 0), "negatives is 0"),
    (lambda: count_vectors(np.array([[0, 1]]), 2, 3), "d_model is 3, expected 1 to vocab_size 2"),
])
def test_wrong_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
