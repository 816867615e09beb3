"""Heads: one against several on look-ups, and three ways to compute them side by side.

    python benchmarks/heads.py
"""

import random
import time

from attention import interval  # first: it sets what torch reads when it loads

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from coursekit import start
from coursekit.datasets.look_up import D_MODEL, QUESTIONS, look_up
from coursekit.results import record
from coursekit.torch import MultiHeadAttention, fit, reached
from coursekit.torch.training import evaluate

SETTINGS = dict(epochs=40, batch_size=100, learning_rate=0.01)
LOOK_UP_COLUMNS = {"Question": "{question}", "Heads": "{n_heads:d}", "After attention": "{readout}",
                   "Parameters": "{parameters_low:,}",
                   "Answers right": "{accuracy:.1%} ({accuracy_low:.1%} to {accuracy_high:.1%})",
                   "Epochs": "{epochs_low} to {epochs_high}"}
LOOK_UP_CAPTION = ("Look-ups, width 24: 5,000 test rows, mean (lowest to highest) of three seeds; 8,000 training rows, "
                   "at most 40 epochs, until 99.5% of the validation answers are right.")
SPEED_COLUMNS = {"Length": "{length:d}", "Pass": "{passes}", "Batched, ms": "{milliseconds:.1f}",
                 "Loop to batched (95 %)": "{loop:.2f} ({loop_low:.2f} to {loop_high:.2f})",
                 "Fused to batched (95 %)": "{fused:.2f} ({fused_low:.2f} to {fused_high:.2f})",
                 "Batched to itself (95 %)": "{noise:.2f} ({noise_low:.2f} to {noise_high:.2f})"}
SPEED_CAPTION = ("One layer, width 256, 8 heads, batch 8, one thread. Ratios of processor time within a round: median "
                 "and 95 % bootstrap interval; below 1 is faster than the batched version.")


class LookUp(nn.Module):
    """The query attends to the items; a linear layer, or two with a relu, reads the answer off the result."""

    def __init__(self, n_heads, readout):
        super().__init__()
        self.attention = MultiHeadAttention(D_MODEL, n_heads)
        self.answer = nn.Linear(D_MODEL, 1)
        if readout == "feed-forward":
            self.answer = nn.Sequential(nn.Linear(D_MODEL, 4 * D_MODEL), nn.ReLU(), nn.Linear(4 * D_MODEL, 1))

    def forward(self, rows):
        return self.answer(self.attention(rows[:, :1], rows[:, 1:]))[:, 0, 0]


def accuracy(logits, answers):
    return ((logits > 0) == (answers > 0.5)).float().mean()


def train(question, n_heads, readout, seed):
    torch.manual_seed(seed)
    training, validation, test = (tuple(map(torch.from_numpy, look_up(n, question, seed=10 * seed + part)))
                                  for part, n in enumerate((8000, 1000, 5000)))
    model = LookUp(n_heads, readout)
    history = fit(model, training, validation, **SETTINGS, loss=F.binary_cross_entropy_with_logits,
                  metrics=(accuracy,), stop=reached("val_accuracy", 0.995), seed=seed)
    measured = evaluate(model, test, F.binary_cross_entropy_with_logits, (accuracy,))
    return dict(question=question, n_heads=n_heads, readout=readout, seed=seed, epochs=len(history.epochs),
                parameters=sum(weight.numel() for weight in model.parameters()),
                accuracy=round(measured["accuracy"], 4))


def versions(layer, x):
    """The same layer computed with a loop over the heads, with one product for all heads, and by the fused kernel."""
    batch, length, d_model = x.shape
    d_head = d_model // layer.n_heads

    def projected():
        return layer.query_projection(x), layer.key_projection(x), layer.value_projection(x)

    def loop():
        contexts = []
        for query, key, value in zip(*(tensor.split(d_head, dim=-1) for tensor in projected())):
            weights = (query @ key.transpose(-2, -1) / d_head**0.5).softmax(-1)
            contexts.append(weights @ value)
        return layer.output_projection(torch.cat(contexts, dim=-1))

    def batched():
        return layer(x, return_weights=True)[0]

    def fused():
        return layer(x)

    return {"loop": loop, "batched": batched, "fused": fused, "noise": batched}


def measure(length, passes, rounds):
    layer, x = MultiHeadAttention(256, 8), torch.randn(8, length, 256)
    functions = versions(layer, x)
    expected = layer(x)
    for function in functions.values():
        torch.testing.assert_close(function(), expected, atol=1e-5, rtol=0)

    def run(function):
        before = time.process_time()
        with torch.set_grad_enabled(passes != "forward"):
            output = function()
        if passes != "forward":
            output.square().sum().backward()
            layer.zero_grad()
        return time.process_time() - before

    order, taken = list(functions), {name: [] for name in functions}
    for number in range(rounds + 2):  # the first two warm up
        random.shuffle(order)
        for name in order:
            seconds = run(functions[name])
            if number >= 2:
                taken[name].append(seconds)
    taken = {name: np.array(seconds) for name, seconds in taken.items()}
    row = {"length": length, "passes": passes, "rounds": rounds,
           "milliseconds": round(1000 * np.median(taken["batched"]), 2)}
    return row | {key: value for name in ("loop", "fused", "noise")
                  for key, value in interval(name, taken[name] / taken["batched"]).items()}


if __name__ == "__main__":
    start(threads=1)
    random.seed(0)
    torch.manual_seed(0)
    rows = [measure(length, passes, rounds=60) for length in (32, 128, 512) for passes in ("forward", "both passes")]
    record("heads_speed", rows, columns=SPEED_COLUMNS, caption=SPEED_CAPTION, batch=8, d_model=256, heads=8)
    variants = [(question, heads, "linear") for question in QUESTIONS for heads in (1, 2, 4, 8)]
    variants += [("compare", heads, "feed-forward") for heads in (1, 2)]
    rows = [train(*variant, seed) for variant in variants for seed in (0, 1, 2)]
    record("heads_look_up", rows, columns=LOOK_UP_COLUMNS, caption=LOOK_UP_CAPTION,
           by=["question", "n_heads", "readout"], settings=SETTINGS)
