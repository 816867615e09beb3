"""The training loop against the same steps written out, and its rules on cases worked out by hand."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from coursekit.torch import fit, patience, reached, warm_up
from coursekit.torch.training import NO_TARGET, evaluate, exact_match, token_accuracy, token_cross_entropy

N, LENGTH, VOCAB = 7, 3, 5


def data(seed=0, n=N):
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(n, LENGTH, 4, generator=generator),
            torch.randint(VOCAB, (n, LENGTH), generator=generator))


def linear():
    torch.manual_seed(3)
    return nn.Linear(4, VOCAB)


def test_equals_the_steps_written_out():
    (inputs, targets), model, twin = data(), linear(), linear()
    history = fit(model, (inputs, targets), epochs=2, batch_size=3, learning_rate=0.1, clip=0.05, seed=4)
    optimizer, order, losses = torch.optim.Adam(twin.parameters(), lr=0.1), torch.Generator().manual_seed(4), []
    for _ in range(2):
        total = 0.0
        for batch in torch.randperm(N, generator=order).split(3):
            optimizer.zero_grad()
            loss = F.cross_entropy(twin(inputs[batch]).reshape(-1, VOCAB), targets[batch].reshape(-1))
            loss.backward()
            norm = torch.cat([p.grad.flatten() for p in twin.parameters()]).norm()
            assert norm > 0.05  # so that clipping is seen
            for p in twin.parameters():
                p.grad *= 0.05 / (norm + 1e-6)
            optimizer.step()
            total += loss.item() * len(batch)
        losses.append(total / N)
    assert history["loss"] == pytest.approx(losses, abs=1e-6)
    assert history.best == 2
    torch.testing.assert_close(model.weight, twin.weight, atol=1e-6, rtol=0)


def test_model_is_left_with_its_best_epoch():
    model, train, validation = linear(), data(0), data(1)
    history = fit(model, train, validation, epochs=30, batch_size=2, learning_rate=0.3)
    lowest = min(history["val_loss"])
    assert history["val_loss"][-1] > lowest + 0.1, "the case must overfit, or the test shows nothing"
    assert history.best == history["val_loss"].index(lowest) + 1 < 30
    assert evaluate(model, validation)["loss"] == pytest.approx(lowest, abs=1e-6)
    assert history.stopped == "all 30 epochs done" and not model.training


def test_stops_when_the_rule_says_so_and_says_why():
    history = fit(linear(), data(), data(1), epochs=50, learning_rate=0.3, batch_size=2, stop=patience("val_loss", 3))
    losses = history["val_loss"]
    assert history.stopped == "val_loss has not fallen for 3 epochs"
    assert min(losses[-3:]) >= min(losses[:-3]) and len(losses) == history.best + 3


@pytest.mark.parametrize("rule, values, stops_after", [
    (reached("x", 0.9), [0.5, 0.89, 0.9, 0.2], 3),
    (patience("x", 2), [3.0, 2.0, 2.5, 2.0, 1.0], 4),
    (patience("x", 2), [3.0, 2.0, 2.5, 1.0, 0.5], None),
])
def test_rules_by_hand(rule, values, stops_after):
    epochs = [{"x": value} for value in values]
    said = [bool(rule(epochs[:n])) for n in range(1, len(epochs) + 1)]
    assert said.index(True) + 1 == stops_after if stops_after else not any(said)


def test_same_seed_same_weights_other_seed_others():
    weights = []
    for seed in (1, 1, 2):
        model = linear()
        fit(model, data(), epochs=1, batch_size=2, seed=seed)
        weights.append(model.weight.detach().clone())
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


def test_metrics_by_hand():
    logits = torch.tensor([[[5.0, 0], [0, 5.0]], [[5.0, 0], [5.0, 0]], [[0, 5.0], [0, 5.0]]])
    targets = torch.tensor([[0, 1], [0, 1], [1, 1]])
    assert token_accuracy(logits, targets).item() == pytest.approx(5 / 6)
    assert exact_match(logits, targets).item() == pytest.approx(2 / 3)
    right, wrong = torch.log(torch.tensor(1 + torch.e ** -5)), torch.log(torch.tensor(1 + torch.e ** 5))
    assert token_cross_entropy(logits, targets).item() == pytest.approx(((5 * right + wrong) / 6).item(), abs=1e-5)


@pytest.mark.parametrize("metric", [token_accuracy, exact_match, token_cross_entropy])
def test_targets_of_another_shape_are_refused(metric):
    with pytest.raises(ValueError, match=r"targets has shape \(2, 1\), logits .* have \(2, 4\)"):
        metric(torch.zeros(2, 4, 7), torch.zeros(2, 1).long())


def test_places_without_a_target_do_not_count():
    logits, targets = torch.randn(2, 3, VOCAB, generator=torch.Generator().manual_seed(7)), data(n=2)[1]
    logits[0, 0, targets[0, 0]] = logits[1, 0, targets[1, 0]] = 9.0
    cut = targets.clone()
    cut[:, 1:] = NO_TARGET
    assert token_accuracy(logits, targets) < 1 and token_accuracy(logits, cut) == 1
    assert exact_match(logits, targets) == 0 and exact_match(logits, cut) == 1
    torch.testing.assert_close(token_cross_entropy(logits, cut), token_cross_entropy(logits[:, :1], targets[:, :1]))


def test_label_smoothing_equals_pytorchs_and_its_formula():
    logits, targets = torch.randn(2, 3, VOCAB, generator=torch.Generator().manual_seed(7)), data(n=2)[1]
    targets[1, 2] = NO_TARGET
    loss = token_cross_entropy(logits, targets, smoothing=0.2)
    torch.testing.assert_close(loss, F.cross_entropy(logits.view(-1, VOCAB), targets.view(-1), label_smoothing=0.2))
    log_p, places = logits.log_softmax(-1).view(-1, VOCAB)[:5], targets.view(-1)[:5]
    by_hand = -(0.8 * log_p[torch.arange(5), places] + 0.2 / VOCAB * log_p.sum(-1)).mean()
    torch.testing.assert_close(loss, by_hand)


def test_warm_up_by_hand():
    rate = warm_up(64, 400)
    assert rate(1) == pytest.approx(0.125 / 8000)
    assert rate(400) == pytest.approx((64 * 400) ** -0.5) == pytest.approx(0.00625)
    assert rate(1600) == pytest.approx(0.00625 / 2)
    assert max(range(1, 2000), key=rate) == 400


def test_learning_rate_follows_its_schedule():
    asked, model = [], linear()

    def rate(step):
        asked.append(step)
        return 0.1 if step <= 3 else 0.0
    fit(model, data(), epochs=1, batch_size=3, learning_rate=rate)
    after = [parameter.detach().clone() for parameter in model.parameters()]
    model = linear()
    fit(model, data(), epochs=1, batch_size=3, learning_rate=0.1)
    assert all(torch.equal(*pair) for pair in zip(after, model.parameters()))
    fit(model, data(), epochs=2, batch_size=3, learning_rate=lambda step: 0.0)
    assert all(torch.equal(*pair) for pair in zip(after, model.parameters()))
    assert asked[-3:] == [1, 2, 3]


def test_model_of_two_inputs():
    class Sum(nn.Linear):
        def forward(self, x, y):
            return super().forward(x + y)
    (inputs, targets), losses = data(), []
    for model, train in ((linear(), (inputs, targets)), (Sum(4, VOCAB), ((0.25 * inputs, 0.75 * inputs), targets))):
        model.load_state_dict(linear().state_dict())
        history = fit(model, train, train, epochs=2, batch_size=3, loss=partial(token_cross_entropy, smoothing=0.1))
        losses.append(history["loss"] + history["val_loss"])
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)


def test_rules_of_nothing_are_refused():
    with pytest.raises(ValueError, match="epochs_without is 0"):
        patience("val_loss", 0)
    with pytest.raises(ValueError, match="steps is 0, expected a whole number of at least 1"):
        warm_up(64, 0)


def test_evaluation_does_not_depend_on_its_batches():
    model, examples = linear(), data(n=11)
    whole, parts = evaluate(model, examples), evaluate(model, examples, batch_size=4)
    assert whole == pytest.approx(parts, abs=1e-6) and whole["loss"] > 0


def test_nothing_is_left_on_the_screen(capfd):
    fit(linear(), data(), epochs=2)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("settings, message", [
    (dict(train=(torch.zeros(4, 3, 4), torch.zeros(5, 3).long())), "train has 4 inputs and 5 targets"),
    (dict(validation=(torch.zeros(2, 3, 4), torch.zeros(1, 3).long())), "validation has 2 inputs and 1 targets"),
    (dict(stop=reached("val_token_accuracy", 0.9)), "unknown value in the stop rule 'val_token_accuracy', expected one of 'loss'"),
    (dict(train=(torch.zeros(4, 3, 4), torch.zeros(4, 2).long())), r"targets has shape \(4, 2\), logits .* have \(4, 3\)"),
    (dict(train=(torch.zeros(4, 3, 4), torch.full((4, 3), VOCAB))), "targets range from 5 to 5, expected 0 to 4"),
    (dict(train=(torch.zeros(4, 3, 4), torch.full((4, 3), -1))), "targets range from -1 to -1, expected 0 to 4"),
    (dict(train=(torch.zeros(4, 3, 4), torch.full((4, 3), NO_TARGET))), "targets has no target but -100"),
    (dict(train=((torch.zeros(4, 3), torch.zeros(5, 3)), torch.zeros(4, 3).long())), "train has 5 inputs"),
    (dict(loss=partial(token_cross_entropy, smoothing=1.5)), "smoothing is 1.5, expected a share from 0 to 1"),
    (dict(learning_rate=-1.0), "Invalid learning rate: -1.0"),
    (dict(epochs=0), "epochs is 0, expected a whole number of at least 1"),
    (dict(batch_size=-1), "batch_size is -1"),
    (dict(train=(torch.full((4, 3, 4), torch.inf), torch.zeros(4, 3).long())), "loss is nan after epoch 1"),
])
def test_wrong_input(settings, message):
    with pytest.raises(ValueError, match=message):
        fit(linear(), **(dict(train=data(), epochs=1) | settings))
