"""Language models of seven sizes on the English side of our translation corpus, three seeds each.

    python benchmarks/scaling.py

All have two layers, the same data, steps and schedule; only the width differs. The widest is the model of lecture 09.
"""

import math
import time

from reversal import side_by_side

import torch

from coursekit import start
from coursekit import torch as ct
from coursekit.datasets.translation import tokenize, translation
from coursekit.results import record
from coursekit.text import Vocabulary
from coursekit.torch.training import NO_TARGET, token_cross_entropy

WIDTHS, SEEDS, SPLITS = (8, 12, 16, 24, 32, 48, 64), (0, 1, 2), ("train", "validation", "test", "held_out")
SETTINGS = dict(epochs=4, batch_size=64, clip=1.0)
COLUMNS = {"Width": "{d_model:.0f}", "In the layers": "{layers:,.0f}", "In all": "{parameters:,.0f}",
           "Training loss": "{train:.3f}", "Test loss": "{test:.3f} ({test_low:.3f} to {test_high:.3f})",
           "Perplexity": "{perplexity:.2f}", "Held-out construction": "{held_out:.2f}",
           "Seconds of one core": "{seconds:.0f}"}
CAPTION = ("Language models of two layers after {} epochs of {:,} sentences: learned numbers, nats per token and "
           "perplexity on the test sentences, mean (lowest to highest) of three seeds.")


def sentences(split):
    return [["<start>", *tokenize(pair.english, "en"), "<end>"] for pair in translation("fr", split)]


def inputs_and_targets(rows, vocabulary):
    """Two tensors (sentences, length): every token's target is the next one, padding has none."""
    ids = [torch.tensor([vocabulary.id(token) for token in row]) for row in rows]
    tokens = torch.nn.utils.rnn.pad_sequence(ids, batch_first=True)
    return tokens[:, :-1], tokens[:, 1:].masked_fill(tokens[:, 1:] == 0, NO_TARGET)


def schedule(d_model, steps):
    """A learning rate that rises over nearly 100 steps, then falls to 0 in a straight line; narrow models bear more."""
    return lambda step: 0.03 * d_model ** -0.5 * min(step / 100, 1 - (step - 1) / steps)


@torch.no_grad()
def loss(model, data):
    return round(token_cross_entropy(model(data[0]), data[1]).item(), 4)


def run(d_model, seed):
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    texts = {split: sentences(split) for split in SPLITS}
    vocabulary = Vocabulary(["<pad>", *sorted({token for row in texts["train"] for token in row})])
    data = {split: inputs_and_targets(rows, vocabulary) for split, rows in texts.items()}
    model = ct.LanguageModel(len(vocabulary), n_layers=2, d_model=d_model, n_heads=4, d_ff=4 * d_model, max_length=24)
    steps = SETTINGS["epochs"] * math.ceil(len(texts["train"]) / SETTINGS["batch_size"])
    started = time.process_time()
    ct.fit(model, data["train"], learning_rate=schedule(d_model, steps), **SETTINGS, seed=seed)
    row = {"d_model": d_model, "seed": seed, "seconds": round(time.process_time() - started, 1),
           "layers": sum(weight.numel() for weight in model.encoder.parameters()),
           "parameters": sum(weight.numel() for weight in model.parameters())}
    row |= {split: loss(model, data[split]) for split in SPLITS}
    return row | {"perplexity": round(math.exp(row["test"]), 3)}


if __name__ == "__main__":
    start(threads=1)
    rows = side_by_side(run, [dict(d_model=d_model, seed=seed) for d_model in reversed(WIDTHS) for seed in SEEDS])
    rows.sort(key=lambda row: (row["d_model"], row["seed"]))
    caption = CAPTION.format(SETTINGS["epochs"], len(sentences("train")))
    record("scaling", rows, columns=COLUMNS, caption=caption, by=["d_model"], settings=SETTINGS, threads=1)
