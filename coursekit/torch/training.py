"""The training loop of the course."""

import time

import torch
import torch.nn.functional as F

from coursekit.bar import ProgressBar
from coursekit.shapes import expect_at_least, expect_choice

NO_TARGET = -100  # what PyTorch's losses ignore by default


def token_cross_entropy(logits, targets, smoothing=0.0):
    """Mean negative log-likelihood of the targets, in nats per token: logits (..., vocab_size), targets (...).

    loss = -Σ_v q_v log p_v,   q_v = (1 - smoothing) [v = target] + smoothing / vocab_size

    Targets of `NO_TARGET` (-100), such as padding, are left out of the mean. `smoothing` gives a share of each target
    to all tokens alike; its loss is not 0 for a perfect model. Raises `ValueError` for targets of another shape or
    outside the vocabulary, for no target at all, and for a smoothing that is not from 0 to 1.
    Source: Szegedy et al. 2016, Rethinking the Inception Architecture, section 7; Vaswani et al. 2017, section 5.4.
    """
    wanted = with_target(logits, targets)
    least, largest = targets[wanted].min(), targets[wanted].max()
    if least < 0 or largest >= logits.shape[-1]:
        raise ValueError(f"targets range from {least} to {largest}, expected 0 to {logits.shape[-1] - 1}")
    if not 0 <= smoothing <= 1:
        raise ValueError(f"smoothing is {smoothing}, expected a share from 0 to 1")
    return F.cross_entropy(logits.flatten(0, -2), targets.flatten(), ignore_index=NO_TARGET, label_smoothing=smoothing)


def token_accuracy(logits, targets):
    """Share of tokens whose most probable symbol is the target: logits (..., vocab_size), targets (...).

    Targets of `NO_TARGET` do not count."""
    wanted = with_target(logits, targets)
    return (logits.argmax(-1) == targets)[wanted].float().mean()


def exact_match(logits, targets):
    """Share of sequences in which every token is right: logits (..., length, vocab_size), targets (..., length).

    Targets of `NO_TARGET` do not count."""
    wanted = with_target(logits, targets)
    return ((logits.argmax(-1) == targets) | ~wanted).all(-1).float().mean()


def with_target(logits, targets):
    """Which tokens have a target (...), boolean, once targets and logits are known to fit."""
    if logits.shape[:-1] != targets.shape:
        raise ValueError(f"targets has shape {tuple(targets.shape)}, logits (without their last axis, the vocabulary) "
                         f"have {tuple(logits.shape[:-1])}")
    wanted = targets != NO_TARGET
    if not wanted.any():
        raise ValueError(f"targets has no target but {NO_TARGET}, expected at least one token that counts")
    return wanted


def warm_up(d_model, steps):
    """The Transformer's learning rate: it rises for so many `steps`, then falls with the root of the step.

    rate(step) = d_model^-0.5 · min(step^-0.5, step · steps^-1.5),   step = 1, 2, …;   highest: (d_model · steps)^-0.5

    Returns the function of the step that `fit` takes as `learning_rate`. Raises `ValueError` for numbers below 1.
    Source: Vaswani et al. 2017, Attention Is All You Need, section 5.3 (there with 4,000 steps).
    """
    expect_at_least("d_model", d_model, 1)
    expect_at_least("steps", steps, 1)
    return lambda step: d_model ** -0.5 * min(step ** -0.5, step * steps ** -1.5)


def reached(name, value):
    """Stop rule: as soon as the last epoch's `name` is at least `value`."""
    def rule(epochs):
        if epochs[-1][name] >= value:
            return f"{name} reached {value}"
    rule.watches = name
    return rule


def patience(name, epochs_without):
    """Stop rule: after `epochs_without` epochs in which `name`, a loss, has not fallen below its best."""
    expect_at_least("epochs_without", epochs_without, 1)

    def rule(epochs):
        best = min(range(len(epochs)), key=lambda i: epochs[i][name])
        if len(epochs) - 1 - best >= epochs_without:
            return f"{name} has not fallen for {epochs_without} epochs"
    rule.watches = name
    return rule


class History:
    """What `fit` saw: `epochs`, one dict of numbers per epoch; `best`, the epoch whose weights were kept (counted
    from 1); `stopped`, why it ended; `seconds` of training. `history["loss"]` lists one column."""

    def __init__(self, monitor):
        self.epochs, self.monitor, self.stopped, self.seconds = [], monitor, None, 0.0

    def __getitem__(self, name):
        return [epoch[name] for epoch in self.epochs]

    @property
    def best(self):
        losses = self[self.monitor]
        return losses.index(min(losses)) + 1


def fit(model, train, validation=None, *, epochs, batch_size=50, learning_rate=1e-3, clip=None, stop=None,
        loss=token_cross_entropy, metrics=(token_accuracy, exact_match), seed=0):
    """Trains a model with Adam and leaves it with the weights of its best epoch.

    `train` and `validation` are pairs (inputs, targets) of tensors with the examples on the first axis, on the model's
    device; inputs may be a tuple of tensors, for a model of several arguments. `loss(model(inputs), targets)` is a
    mean over the batch. `learning_rate` is a number or a function of the step, counted from 1, such as `warm_up`
    returns. `clip` bounds the norm of the whole gradient.
    `stop` is a rule such as `reached("val_token_accuracy", 0.99)` or `patience("val_loss", 3)`, asked after every
    epoch. The best epoch is the one of lowest validation loss (training loss where there is no validation set).
    `seed` fixes the order of the examples. Returns a `History`: "loss" is the mean over the epoch's batches while
    the weights change, "val_loss" and "val_<metric>" are measured after the epoch.
    Raises `ValueError` for unequal numbers of examples, for a rule about a value that is not measured, and for a loss
    that is no longer finite.
    """
    expect_at_least("epochs", epochs, 1)
    expect_at_least("batch_size", batch_size, 1)
    for name, pair in (("train", train), ("validation", validation)):
        for inputs in as_tuple(pair[0]) if pair is not None else ():
            if len(inputs) != len(pair[1]):
                raise ValueError(f"{name} has {len(inputs)} inputs and {len(pair[1])} targets, "
                                 "expected as many of each")
    measured = ["loss"]
    if validation is not None:
        measured += ["val_loss"] + [f"val_{metric.__name__}" for metric in metrics]
    if hasattr(stop, "watches"):  # a rule of your own may look at anything
        expect_choice("value in the stop rule", stop.watches, measured)
    inputs, targets = as_tuple(train[0]), train[1]
    rate = learning_rate if callable(learning_rate) else lambda step: learning_rate
    optimizer = torch.optim.Adam(model.parameters(), lr=rate(1))
    order = torch.Generator().manual_seed(seed)
    history = History("loss" if validation is None else "val_loss")
    steps = -(-len(targets) // batch_size)
    best_loss, best_weights, step, started = float("inf"), None, 0, time.monotonic()
    with ProgressBar(epochs * steps, "training") as bar:
        for _ in range(epochs):
            model.train()
            total, note = 0.0, numbers(history.epochs[-1]) if history.epochs else ""
            for batch in torch.randperm(len(targets), generator=order).split(batch_size):
                batch, step = batch.to(targets.device), step + 1
                optimizer.param_groups[0]["lr"] = rate(step)
                optimizer.zero_grad()
                batch_loss = loss(model(*(part[batch] for part in inputs)), targets[batch])
                batch_loss.backward()
                if clip is not None:
                    torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
                optimizer.step()
                total += batch_loss.item() * len(batch)
                bar.update(note)
            epoch = {"loss": total / len(targets)}
            if validation is not None:
                epoch |= {f"val_{name}": value for name, value in evaluate(model, validation, loss, metrics).items()}
            history.epochs.append(epoch)
            if not epoch[history.monitor] < float("inf"):
                raise ValueError(f"{history.monitor} is {epoch[history.monitor]} after epoch {len(history.epochs)}: "
                                 "training has diverged; lower learning_rate or set clip")
            if epoch[history.monitor] < best_loss:
                best_loss = epoch[history.monitor]
                best_weights = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
            history.stopped = stop(history.epochs) if stop else None
            if history.stopped:
                break
    history.stopped = history.stopped or f"all {epochs} epochs done"
    history.seconds = time.monotonic() - started
    model.load_state_dict(best_weights)
    model.eval()
    return history


@torch.no_grad()
def evaluate(model, data, loss=token_cross_entropy, metrics=(token_accuracy, exact_match), batch_size=500):
    """Mean loss and metrics over (inputs, targets), as a dict: "loss" and each metric's name.

    The mean is over the examples of batches: where targets are left out, that is nearly the mean over tokens."""
    model.eval()
    inputs, targets = as_tuple(data[0]), data[1]
    totals = {"loss": 0.0} | {metric.__name__: 0.0 for metric in metrics}
    for *batch_inputs, batch_targets in zip(*(part.split(batch_size) for part in (*inputs, targets))):
        output = model(*batch_inputs)
        for name, measure in [("loss", loss)] + [(metric.__name__, metric) for metric in metrics]:
            totals[name] += measure(output, batch_targets).item() * len(batch_targets)
    return {name: total / len(targets) for name, total in totals.items()}


def as_tuple(inputs):
    return inputs if isinstance(inputs, tuple) else (inputs,)


def numbers(epoch):
    return ", ".join(f"{name} {value:.3f}" for name, value in epoch.items())
