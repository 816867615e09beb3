"""The training loop against the same steps written out, and its rules on cases worked out by hand."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from coursekit.torch import fit, linear_decay, patience, reached, warm_up
from coursekit.torch.training import (
    NO_TARGET,
    Run,
    batches,
    evaluate,
    exact_match,
    token_accuracy,
    token_cross_entropy,
)

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


def test_linear_decay_equals_transformers_schedule_begun_one_step_later():
    from transformers import get_linear_schedule_with_warmup

    optimizer = torch.optim.SGD(linear().parameters(), lr=0.3)
    schedule, theirs = get_linear_schedule_with_warmup(optimizer, 4, 12), []
    for _ in range(11):  # its first step has rate 0, and would do nothing
        optimizer.step()
        schedule.step()
        theirs.append(schedule.get_last_lr()[0])
    rate = linear_decay(0.3, 4, 11)
    assert [rate(step) for step in range(1, 12)] == pytest.approx(theirs)
    assert rate(11) > 0 == rate(12) == rate(13)
    with pytest.raises(ValueError, match="steps is 3, expected a whole number of at least 4"):
        linear_decay(0.3, 4, 3)


def test_weight_decay_shrinks_matrices_and_nothing_else():
    model, twin = linear(), linear()
    inputs, targets = data()
    fit(model, (inputs, targets), epochs=1, batch_size=N, learning_rate=0.1, weight_decay=0.5)
    optimizer = torch.optim.Adam(twin.parameters(), lr=0.1)
    token_cross_entropy(twin(inputs), targets).backward()
    with torch.no_grad():
        twin.weight *= 1 - 0.1 * 0.5
    optimizer.step()
    torch.testing.assert_close(model.weight, twin.weight)
    torch.testing.assert_close(model.bias, twin.bias)


def test_frozen_weights_stay():
    model = linear()
    before = model.weight.clone()
    model.weight.requires_grad_(False)
    fit(model, data(), epochs=1, batch_size=3, learning_rate=0.1, weight_decay=0.5)
    assert torch.equal(model.weight, before) and not torch.equal(model.bias, linear().bias)


class Noisy(nn.Module):
    """A model with dropout, whose result depends on every random number drawn."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.network = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Dropout(0.4), nn.Linear(6, VOCAB))

    def forward(self, x):
        return self.network(x)


def test_resumed_training_ends_like_one_that_was_never_stopped(tmp_path, monkeypatch):
    settings = dict(batch_size=2, learning_rate=linear_decay(0.1, 3, 24), weight_decay=0.1, clip=1.0, seed=5)

    def train(model, **more):
        torch.manual_seed(8)
        return fit(model, data(0), data(1), epochs=6, **settings, **more)

    whole, stopped, resumed = Noisy(), Noisy(), Noisy()
    history = train(whole)
    steps, real = [], Run.step

    def killed_in_the_fourth_epoch(*given):
        steps.append(given)
        if len(steps) == 14:  # 4 batches an epoch
            raise KeyboardInterrupt
        return real(*given)

    monkeypatch.setattr(Run, "step", killed_in_the_fourth_epoch)
    with pytest.raises(KeyboardInterrupt):
        train(stopped, checkpoint=tmp_path / "run.safetensors")
    monkeypatch.undo()
    for weight in resumed.parameters():
        weight.data.normal_()  # nothing of the new model is left
    again = train(resumed, checkpoint=tmp_path / "run.safetensors")
    assert again.epochs == history.epochs and len(again.epochs) == 6 and again.best == history.best
    for name, weight in whole.state_dict().items():
        assert torch.equal(weight, resumed.state_dict()[name]), name
    once_more = train(Noisy(), checkpoint=tmp_path / "run.safetensors")
    assert once_more.epochs == history.epochs and once_more.stopped == "all 6 epochs done"


def test_checkpoints_that_do_not_fit_are_refused(tmp_path):
    path = tmp_path / "run.safetensors"
    fit(linear(), data(), epochs=1, batch_size=3, checkpoint=path)
    with pytest.raises(ValueError, match="is of a training with batch_size 3, this one has 4"):
        fit(linear(), data(), epochs=2, batch_size=4, checkpoint=path)
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(ValueError, match="is no checkpoint of fit, or is damaged"):
        fit(linear(), data(), epochs=2, batch_size=3, checkpoint=path)


def test_a_failed_save_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "run.safetensors"
    fit(linear(), data(), epochs=1, batch_size=3, checkpoint=path)
    before = path.read_bytes()

    def full(*given):
        raise OSError("No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        fit(linear(), data(), epochs=2, batch_size=3, checkpoint=path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_mixed_precision_computes_in_the_precision_of_autocast(monkeypatch):
    seen = []
    monkeypatch.setattr("coursekit.device.autocast", lambda kind: torch.autocast("cpu", dtype=torch.bfloat16))

    def loss(logits, targets):
        seen.append(logits.dtype)
        return token_cross_entropy(logits, targets)

    model = linear()
    fit(model, data(), epochs=1, batch_size=3, loss=loss, mixed_precision=True)
    fit(linear(), data(), epochs=1, batch_size=3, loss=loss)
    assert set(seen[:3]) == {torch.bfloat16} and set(seen[3:]) == {torch.float32}
    assert model.weight.dtype == torch.float32


def padded_rows(lengths, width):
    """(ids, mask) of rows that hold their own number, and targets of their shape."""
    mask = torch.arange(width) < torch.tensor(lengths).unsqueeze(1)
    ids = torch.arange(1, len(lengths) + 1).unsqueeze(1) * mask
    return (ids, mask), ids.masked_fill(~mask, NO_TARGET)


def test_dynamic_padding_cuts_batches_of_rows_of_like_length():
    lengths = [3, 9, 4, 10, 2, 5, 8]
    inputs, targets = padded_rows(lengths, 12)
    whole = torch.arange(7)
    seen = list(batches((inputs, (targets, whole)), 2, dynamic_padding=True))
    assert [ids.shape for (ids, _), _, _ in seen] == [(2, 3), (2, 5), (2, 9), (1, 10)]  # 2 3, 4 5, 8 9, 10
    assert [rows.tolist() for _, (_, rows), _ in seen] == [[4, 0], [2, 5], [6, 1], [3]]
    for (ids, mask), (wanted, rows), size in seen:
        assert size == len(rows) and mask.sum(1).tolist() == [lengths[row] for row in rows]
        assert torch.equal(ids[mask], wanted[mask]) and set(ids[:, 0].tolist()) == set((rows + 1).tolist())
    shuffled = [rows.tolist() for _, (_, rows), _ in
                batches((inputs, (targets, whole)), 2, True, torch.Generator().manual_seed(1))]
    assert sorted(sum(shuffled, [])) == list(range(7)) and shuffled != [rows.tolist() for _, (_, rows), _ in seen]
    assert sum(max(lengths[row] for row in rows) * len(rows) for rows in shuffled) < 60 < 7 * 12


def test_dynamic_padding_leaves_the_loss_as_it_is():
    class Embed(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(3)
            self.embed = nn.Embedding(9, 4)
            self.output = nn.Linear(4, 9)

        def forward(self, ids, mask):
            return self.output(self.embed(ids))

    rows = padded_rows([3, 8, 4], 12)
    runs = [fit(Embed(), rows, epochs=2, batch_size=3, learning_rate=0.1, dynamic_padding=cut) for cut in (True, False)]
    assert runs[0]["loss"] == pytest.approx(runs[1]["loss"], abs=1e-6)


@pytest.mark.parametrize("inputs, message", [
    ((torch.zeros(2, 3).long(),), "inputs have no boolean mask"),
    ((torch.tensor([[False, True, True], [True, True, False]]),), "mask has padding before a token"),
])
def test_dynamic_padding_needs_one_mask_with_padding_at_the_end(inputs, message):
    with pytest.raises(ValueError, match=message):
        fit(linear(), (inputs, torch.zeros(2, 3).long()), epochs=1, dynamic_padding=True)
