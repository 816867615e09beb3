"""The reversal task and the one-hot coding."""

import numpy as np
import pytest

from coursekit.datasets import data_folder, one_hot, one_hot_decode, reversal


def test_targets_are_sources_backwards():
    source, target = reversal(50, 7, 5, seed=3)
    assert source.shape == target.shape == (50, 7) and source.dtype == target.dtype == np.int64
    assert [list(reversed(row)) for row in source.tolist()] == target.tolist()


def test_every_symbol_but_zero_is_drawn_about_evenly():
    source, _ = reversal(2000, 4, 10, seed=0)
    counts = np.bincount(source.ravel(), minlength=10)
    assert counts[0] == 0 and len(counts) == 10
    # 8,000 draws of 9 symbols: 889 each, standard deviation 28; four of them either way
    assert (abs(counts[1:] - 8000 / 9) < 4 * 28.2).all()


def test_same_seed_same_sequences():
    assert (reversal(9, 4, 6, seed=1)[0] == reversal(9, 4, 6, seed=1)[0]).all()
    assert (reversal(9, 4, 6, seed=1)[0] != reversal(9, 4, 6, seed=2)[0]).any()


def test_one_hot_by_hand_and_back():
    vectors = one_hot([[2, 0, 1]], 4)
    assert vectors.tolist() == [[[0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0]]] and vectors.dtype == np.float32
    assert one_hot_decode(vectors).tolist() == [[2, 0, 1]]
    assert one_hot_decode([[0.2, 0.5, 0.3]]).tolist() == [1]


def test_data_folder_holds_the_data_cards():
    assert (data_folder() / "README.md").is_file()


@pytest.mark.parametrize("call, message", [
    (lambda: reversal(5, -1, 10), "length is -1, expected a whole number of at least 1"),
    (lambda: reversal(0, 4, 10), "n is 0"),
    (lambda: reversal(5, 4, 1), "vocab_size is 1, expected a whole number of at least 2"),
    (lambda: reversal(5, 4, 10, seed=-1), "seed is -1"),
    (lambda: one_hot([0.0, 1.0], 4), "tokens has dtype float64, expected whole numbers"),
    (lambda: one_hot([], 0), "vocab_size is 0"),
    (lambda: one_hot([0, 4], 4), "tokens range from 0 to 4, expected 0 to 3"),
    (lambda: one_hot([-1, 2], 4), "tokens range from -1 to 2"),
])
def test_wrong_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
