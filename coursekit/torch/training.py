"""The training loop of the course."""

import json
import time
from contextlib import nullcontext
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from coursekit import device
from coursekit.bar import ProgressBar
from coursekit.files import replace_file
from coursekit.shapes import expect_at_least, expect_choice

NO_TARGET = -100  # what PyTorch's losses ignore by default
POOL = 20  # batches: among so many, rows of like length are put together, and any two batches may still mix


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


def linear_decay(highest, warm_up_steps, steps):
    """The learning rate of fine-tuning: it rises to `highest` in `warm_up_steps`, then falls in a straight line.

    rate(step) = highest · min(step / warm_up_steps, (steps + 1 - step) / (steps + 1 - warm_up_steps)),
    step = 1, 2, …, steps; 0 after `steps`.

    Returns the function of the step that `fit` takes as `learning_rate`. Raises `ValueError` for steps below 1, and for
    a warm-up below 1 or longer than `steps`.
    Source: Devlin et al. 2019, BERT, appendix A.2.
    """
    expect_at_least("warm_up_steps", warm_up_steps, 1)
    expect_at_least("steps", steps, warm_up_steps)
    return lambda step: highest * max(0.0, min(step / warm_up_steps, (steps + 1 - step) / (steps + 1 - warm_up_steps)))


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


def fit(model, train, validation=None, *, epochs, batch_size=50, learning_rate=1e-3, weight_decay=0.0, clip=None,
        stop=None, loss=token_cross_entropy, metrics=(token_accuracy, exact_match), dynamic_padding=False,
        mixed_precision=False, checkpoint=None, seed=0):
    """Trains a model with Adam and leaves it with the weights of its best epoch.

    `train` and `validation` are pairs (inputs, targets) of tensors with the examples on the first axis, on the model's
    device; either may be a tuple of tensors, for a model of several arguments or a loss of several targets.
    `loss(model(inputs), targets)` is a mean over the batch. `learning_rate` is a number or a function of the step,
    counted from 1, such as `warm_up` and `linear_decay` return. `weight_decay` shrinks matrices, not biases and norms,
    by learning rate times this at every step (AdamW). `clip` bounds the norm of the whole gradient.
    `stop` is a rule such as `reached("val_token_accuracy", 0.99)` or `patience("val_loss", 3)`, asked after every
    epoch. The best epoch is the one of lowest validation loss (training loss where there is no validation set).
    `dynamic_padding` makes batches of rows of like length and cuts them after the longest: the first boolean mask
    (examples, length) of the inputs says how long they are, and every input and target of that width is cut.
    `mixed_precision` computes as `coursekit.device.autocast` does: in float32 on a CPU. `checkpoint` is a path, to
    which everything is written after every epoch (safetensors): where that file is there already, training goes on
    after its last epoch, and ends with the numbers of a run that was never stopped. `seed` fixes the order of the
    examples.
    Returns a `History`: "loss" is the mean over the epoch's batches while the weights change, "val_loss" and
    "val_<metric>" are measured after the epoch.
    Raises `ValueError` for unequal numbers of examples, for a rule about a value that is not measured, for a loss that
    is no longer finite, and for a checkpoint that is damaged or of another training.
    Source: Loshchilov and Hutter 2019, Decoupled Weight Decay Regularization.
    """
    expect_at_least("epochs", epochs, 1)
    expect_at_least("batch_size", batch_size, 1)
    for name, pair in [("train", train)] + [("validation", validation)] * (validation is not None):
        n = len(as_tuple(pair[1])[0])
        for part in (*as_tuple(pair[0]), *as_tuple(pair[1])):
            if len(part) != n:
                raise ValueError(f"{name} has {len(part)} inputs and {n} targets, expected as many of each")
    measured = ["loss"]
    if validation is not None:
        measured += ["val_loss"] + [f"val_{metric.__name__}" for metric in metrics]
    if hasattr(stop, "watches"):  # a rule of your own may look at anything
        expect_choice("value in the stop rule", stop.watches, measured)
    n = len(as_tuple(train[1])[0])
    history = History("loss" if validation is None else "val_loss")
    rate = learning_rate if callable(learning_rate) else lambda step: learning_rate
    run = Run(model, rate(1), weight_decay, mixed_precision, seed, history)
    settings = dict(examples=n, batch_size=batch_size, weight_decay=weight_decay, clip=clip, seed=seed,
                    dynamic_padding=dynamic_padding, mixed_precision=mixed_precision)
    if checkpoint is not None and Path(checkpoint).exists():
        run.restore(checkpoint, settings)
    steps, started = -(-n // batch_size), time.monotonic()
    history.stopped = stop(history.epochs) if stop and history.epochs else None
    with ProgressBar((epochs - len(history.epochs)) * steps, "training") as bar:
        while len(history.epochs) < epochs and not history.stopped:
            model.train()
            total, step = 0.0, len(history.epochs) * steps
            note = numbers(history.epochs[-1]) if history.epochs else ""
            for inputs, targets, size in batches(train, batch_size, dynamic_padding, run.order):
                step += 1
                total += run.step(inputs, targets, loss, rate(step), clip) * size
                bar.update(note)
            epoch = {"loss": total / n}
            if validation is not None:
                epoch |= {f"val_{name}": value for name, value in
                          evaluate(model, validation, loss, metrics, dynamic_padding=dynamic_padding).items()}
            history.epochs.append(epoch)
            if not epoch[history.monitor] < float("inf"):
                raise ValueError(f"{history.monitor} is {epoch[history.monitor]} after epoch {len(history.epochs)}: "
                                 "training has diverged; lower learning_rate or set clip")
            if history.best == len(history.epochs):
                run.keep_weights()
            history.seconds += time.monotonic() - started
            started = time.monotonic()
            if checkpoint is not None:
                run.save(checkpoint, settings)
            history.stopped = stop(history.epochs) if stop else None
    history.stopped = history.stopped or f"all {epochs} epochs done"
    model.load_state_dict(run.best_weights)
    model.eval()
    return history


class Run:
    """What changes while a model is trained: its weights, Adam's averages, the order of the examples, the history."""

    def __init__(self, model, rate, weight_decay, mixed_precision, seed, history):
        self.model, self.history, self.best_weights = model, history, {}
        self.order = torch.Generator().manual_seed(seed)
        self.device = next(model.parameters()).device
        self.optimizer = adamw(model, rate, weight_decay)
        self.precision = device.autocast(self.device) if mixed_precision else nullcontext()
        # The gradients of float16, not those of bfloat16, have to be scaled, or small ones become zero.
        half = mixed_precision and getattr(self.precision, "fast_dtype", None) == torch.float16
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=half)

    def step(self, inputs, targets, loss, rate, clip):
        """One step on one batch; returns its loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad()
        with self.precision:
            batch_loss = loss(self.model(*inputs), targets)
        self.scaler.scale(batch_loss).backward()
        self.scaler.unscale_(self.optimizer)
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return batch_loss.item()

    def keep_weights(self):
        self.best_weights = {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}

    def save(self, path, settings):
        tensors = {f"weights.{name}": tensor.clone() for name, tensor in self.model.state_dict().items()}
        tensors |= {f"best.{name}": tensor for name, tensor in self.best_weights.items()}
        for number, averages in self.optimizer.state_dict()["state"].items():
            tensors |= {f"adam.{number}.{name}": tensor for name, tensor in averages.items()}
        tensors |= {f"random.{name}": state for name, state in self.random_states().items()}
        about = {"settings": settings, "epochs": self.history.epochs, "seconds": self.history.seconds,
                 "scaler": self.scaler.state_dict()}
        replace_file(Path(path), save(tensors, metadata={"training": json.dumps(about)}))

    def restore(self, path, settings):
        try:
            with safe_open(path, "pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}
                about = json.loads(file.metadata()["training"])
        except (SafetensorError, KeyError, TypeError) as error:
            raise ValueError(f"{path} is no checkpoint of fit, or is damaged: {error}") from error
        for name, value in settings.items():
            if about["settings"][name] != value:
                raise ValueError(f"{path} is of a training with {name} {about['settings'][name]}, this one has {value}")

        def part(prefix):
            return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}

        self.model.load_state_dict(part("weights."))
        self.best_weights = part("best.")
        state = self.optimizer.state_dict()
        numbers = {name.split(".")[0] for name in part("adam.")}
        self.optimizer.load_state_dict(state | {"state": {int(number): part(f"adam.{number}.") for number in numbers}})
        self.scaler.load_state_dict(about["scaler"])
        self.set_random_states(part("random."))
        self.history.epochs, self.history.seconds = about["epochs"], about["seconds"]

    def random_states(self):
        """The states that the next numbers come from: the order of the examples, and dropout on the CPU and a GPU."""
        states = {"order": self.order.get_state(), "cpu": torch.get_rng_state()}
        if self.device.type != "cpu":
            states[self.device.type] = getattr(torch, self.device.type).get_rng_state()
        return states

    def set_random_states(self, states):
        self.order.set_state(states["order"])
        torch.set_rng_state(states["cpu"])
        if self.device.type in states.keys() - {"cpu"}:
            getattr(torch, self.device.type).set_rng_state(states[self.device.type])


def adamw(model, rate, weight_decay=0.0):
    """AdamW for the weights of a model that are not frozen; biases and norms, which have one axis, do not decay."""
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    return torch.optim.AdamW([
        {"params": [weight for weight in weights if weight.ndim > 1], "weight_decay": weight_decay},
        {"params": [weight for weight in weights if weight.ndim <= 1], "weight_decay": 0.0}], lr=rate)


def batches(data, batch_size, dynamic_padding=False, order=None):
    """The batches of one epoch, as (tuple of inputs, targets, number of examples); `order`, a generator, shuffles them.

    With `dynamic_padding` as in `fit`: rows of like length together, cut after the longest of the batch. Raises
    `ValueError` where it finds no mask, or one that has padding before a token.
    """
    inputs, targets = as_tuple(data[0]), as_tuple(data[1])
    lengths, width = row_lengths(inputs) if dynamic_padding else (None, None)
    n = len(targets[0])
    rows = torch.arange(n) if order is None else torch.randperm(n, generator=order)
    if lengths is not None:
        pools = rows.split(POOL * batch_size) if order is not None else [rows]
        rows = torch.cat([pool[lengths[pool].argsort(stable=True)] for pool in pools])
    chosen = list(rows.split(batch_size))
    if lengths is not None and order is not None:  # short rows must not always come first
        chosen = [chosen[place] for place in torch.randperm(len(chosen), generator=order)]
    for rows in chosen:
        longest = None if lengths is None else int(lengths[rows].max())

        def cut(part):
            part = part[rows.to(part.device)]
            return part[:, :longest] if longest and part.shape[1:] == (width,) else part

        given = tuple(cut(part) for part in targets)
        yield tuple(cut(part) for part in inputs), given if isinstance(data[1], tuple) else given[0], len(rows)


def row_lengths(inputs):
    """How many tokens each row has, (examples,), by the first boolean mask among the inputs, and the mask's width."""
    masks = [part for part in inputs if part.dtype == torch.bool and part.ndim == 2]
    if not masks:
        raise ValueError("inputs have no boolean mask (examples, length), expected one for dynamic_padding")
    lengths = masks[0].sum(1).cpu()
    if not torch.equal(masks[0].cpu(), torch.arange(masks[0].shape[1]) < lengths.unsqueeze(1)):
        raise ValueError("mask has padding before a token, expected it at the end of a row for dynamic_padding")
    return lengths, masks[0].shape[1]


@torch.no_grad()
def evaluate(model, data, loss=token_cross_entropy, metrics=(token_accuracy, exact_match), batch_size=500,
             dynamic_padding=False):
    """Mean loss and metrics over (inputs, targets), as a dict: "loss" and each metric's name.

    The mean is over the examples of batches: where targets are left out, that is nearly the mean over tokens."""
    model.eval()
    totals = {"loss": 0.0} | {metric.__name__: 0.0 for metric in metrics}
    for inputs, targets, size in batches(data, batch_size, dynamic_padding):
        output = model(*inputs)
        for name, measure in [("loss", loss)] + [(metric.__name__, metric) for metric in metrics]:
            totals[name] += float(measure(output, targets)) * size
    return {name: total / len(as_tuple(data[1])[0]) for name, total in totals.items()}


def as_tuple(inputs):
    return inputs if isinstance(inputs, tuple) else (inputs,)


def numbers(epoch):
    return ", ".join(f"{name} {value:.3f}" for name, value in epoch.items())
