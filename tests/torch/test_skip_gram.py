"""Skip-gram against loops over words."""

import math

import torch

from coursekit.torch.skip_gram import SkipGram, negative_sampling_loss


def test_scores_and_loss_against_loops():
    torch.manual_seed(0)
    model = SkipGram(7, 5).double()
    torch.nn.init.normal_(model.contexts.weight)
    words, candidates = torch.tensor([3, 0]), torch.tensor([[1, 6, 6, 3], [2, 0, 5, 4]])
    targets = torch.tensor([[1.0, 0, 0, 0], [1, 0, 0, 0]]).double()
    scores, expected = model(words, candidates), 0.0
    for row, word in enumerate(words.tolist()):
        for place, candidate in enumerate(candidates[row].tolist()):
            pairs = zip(model.words.weight[word].tolist(), model.contexts.weight[candidate].tolist())
            score = sum(left * right for left, right in pairs)
            assert abs(scores[row, place].item() - score) < 1e-12
            expected -= math.log(1 / (1 + math.exp(-score if place == 0 else score)))
    assert abs(negative_sampling_loss(scores, targets).item() - expected / 2) < 1e-12


def test_an_untrained_model_cannot_tell_words_apart():
    """Contexts begin at zero: every score is 0 and the loss is (1 + negatives) · log 2."""
    model = SkipGram(9, 4)
    scores = model(torch.tensor([1, 2]), torch.tensor([[3, 4, 5], [6, 7, 8]]))
    assert scores.tolist() == [[0.0] * 3] * 2
    loss = negative_sampling_loss(scores, torch.tensor([[1.0, 0, 0]] * 2))
    assert abs(loss.item() - 3 * math.log(2)) < 1e-6
