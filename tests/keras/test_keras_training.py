"""What the lectures give to fit: when the stop rule stops, what the bar counts, which rows are in a batch, the rate."""

import keras
import numpy as np
import pytest
import torch

from coursekit import keras as ck
from coursekit import torch as ct
from coursekit import weights
from coursekit.keras import Batches, LinearDecay, Progress, Reached
from coursekit.keras import training
from coursekit.torch import linear_decay
from coursekit.torch.training import adamw


class Loss(keras.callbacks.Callback):
    """Puts given numbers in place of what was measured."""

    def __init__(self, values):
        super().__init__()
        self.values = iter(values)

    def on_epoch_end(self, epoch, logs=None):
        logs["val_accuracy"] = next(self.values)


def model():
    made = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    made.compile("sgd", "mse")
    return made


@pytest.mark.parametrize("values, epochs", [([0.5, 0.899, 0.9, 0.2, 0.1], 3), ([0.1] * 5, 5)])
def test_stops_after_the_first_epoch_that_reached_it(values, epochs):
    history = model().fit(np.ones((4, 3)), np.ones((4, 1)), epochs=5, verbose=0,
                          callbacks=[Loss(values), Reached("val_accuracy", 0.9)])
    assert len(history.epoch) == epochs


def test_bar_counts_every_batch_and_is_closed(monkeypatch):
    seen = []

    class Bar:
        def __init__(self, total, label):
            seen.append(total)

        def __enter__(self):
            return self

        def update(self, note):
            seen.append(note)

        def __exit__(self, *exception):
            seen.append("closed")

    monkeypatch.setattr(training, "ProgressBar", Bar)
    model().fit(np.ones((5, 3)), np.ones((5, 1)), batch_size=2, epochs=2, verbose=0, callbacks=[Progress()])
    assert seen[0] == 6 and seen[-1] == "closed" and len(seen) == 1 + 6 + 1
    assert seen[1:4] == ["", "", ""] and seen[4].startswith("loss ")


def rows(n=103, longest=19):
    tokens = np.random.default_rng(0).integers(1, longest + 1, n)
    mask = np.arange(longest) < tokens[:, None]
    return {"ids": np.arange(n)[:, None] * mask, "mask": mask, "bag": np.arange(n)[:, None].repeat(4, 1)}, np.arange(n)


def test_batches_have_every_row_once_and_are_cut_after_their_longest():
    inputs, targets = rows()
    batches, orders = Batches(inputs, targets, 8, pool=3), []
    for _ in range(2):
        assert len(batches) == 13
        given = [batches[place] for place in range(13)]
        orders.append([target for _, part in given for target in part])
        assert sorted(orders[-1]) == list(range(103)) and sorted(len(part) for _, part in given) == [7] + 12 * [8]
        for part, target in given:
            longest = inputs["mask"][target].sum(1).max()
            assert part["mask"].shape == part["ids"].shape == (len(target), longest) and part["bag"].shape[1] == 4
            assert part["mask"].sum() == inputs["mask"][target].sum()
            np.testing.assert_array_equal(part["ids"].max(1), target)
        widths = [part["mask"].shape[1] for part, _ in given]
        assert widths[0] == max(widths) and widths[1] == min(widths)
        assert sum(width * len(target) for width, (_, target) in zip(widths, given)) < 0.75 * 19 * 103
        batches.on_epoch_end()
    assert orders[0] != orders[1]
    again = Batches(inputs, targets, 8, pool=3)
    assert [target for place in range(13) for target in again[place][1]] == orders[0]


def test_batches_of_few_lengths():
    batches = Batches(*rows(), 8, lengths=(24, 6, 12))
    assert {batches[place][0]["ids"].shape[1] for place in range(len(batches))} == {6, 12, 19}  # or all


def test_fit_takes_batches_of_any_length():
    inputs, targets = rows()
    mask = keras.Input((None,), dtype="bool", name="mask")
    total = keras.ops.sum(keras.ops.cast(mask, "float32"), axis=1, keepdims=True)
    made = keras.Model({"mask": mask}, keras.layers.Dense(1)(total))
    made.compile("sgd", "mse", jit_compile=False)
    with pytest.warns(UserWarning, match="doesn't match the expected structure|keys"):
        made.fit(Batches(inputs, targets / 100, 8), epochs=2, verbose=0)
    assert made.optimizer.iterations == 26


@pytest.mark.parametrize("change, message", [
    (lambda inputs: (inputs, np.arange(7)), "ids has 103 examples, targets have 7"),
    (lambda inputs: (inputs | {"mask": ~inputs["mask"]}, np.arange(103)), "mask has padding before a token"),
])
def test_wrong_rows_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        Batches(*change(rows()[0]), 8)
    with pytest.raises(ValueError, match="lengths end at 12, a row has 19 tokens"):
        Batches(*rows(), 8, lengths=(6, 12))


def test_the_rate_is_that_of_torch():
    expected, rate = linear_decay(2e-4, 5, 23), LinearDecay(2e-4, 5, 23)
    found = [rate(count) for count in range(24)]
    np.testing.assert_allclose(found, [expected(step) for step in range(1, 25)], atol=1e-9)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(rate))
    assert again.get_config() == rate.get_config()
    with pytest.raises(ValueError, match="steps is 4, expected a whole number of at least 5"):
        LinearDecay(1.0, 5, 4)


def test_the_recipe_of_fine_tuning_is_that_of_torch():
    """The same weights and batches, no dropout: AdamW, what does not decay, clipping and the warm-up are alike."""
    config, random, steps = ck.BertConfig(50, 24, 2, 3, 40, 11, dropout=0.0), np.random.default_rng(0), 8
    torch.manual_seed(0)
    twin = ct.BertForSequenceClassification(config, n_classes=5).double()
    made = ck.BertForSequenceClassification(config, n_classes=5, dtype="float64")
    weights.copy(twin, made)
    for name in ("token_embedding", "segment_embedding"):  # Keras clips by the norm of rows, not of their sums
        getattr(twin.bert, name).weight.requires_grad_(False)
        getattr(made.bert, name).trainable = False
    # Keras adds epsilon before Adam's bias correction, PyTorch after it: a tiny one makes them alike.
    optimizer = keras.optimizers.AdamW(LinearDecay(3e-3, 3, steps), weight_decay=3.0, global_clipnorm=0.2,
                                       epsilon=1e-13)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    made.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True), run_eagerly=True)
    their_optimizer, rate = adamw(twin, 1.0, 3.0), linear_decay(3e-3, 3, steps)
    losses = []
    for step in range(1, steps + 1):
        ids, labels = random.integers(50, size=(16, 9)), random.integers(5, size=16)
        mask = np.arange(9) < random.integers(1, 10, (16, 1))
        for group in their_optimizer.param_groups:
            group["lr"], group["eps"] = rate(step), 1e-13
        their_optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(twin(torch.tensor(ids), torch.tensor(mask)), torch.tensor(labels))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(twin.parameters(), 0.2)
        their_optimizer.step()
        losses.append((made.train_on_batch({"ids": ids, "mask": mask}, labels), loss.item()))
    np.testing.assert_allclose(*zip(*losses), atol=1e-6, rtol=0)
    assert np.ptp(losses) > 0.01
