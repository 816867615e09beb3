"""One attention layer that predicts the next word, trained with the causal mask and without it, three seeds each.

    python benchmarks/causal_leak.py

The sentences come from a grammar whose best possible loss is known: what is lower was not predicted but read.
"""

import math

from reversal import side_by_side

import torch
import torch.nn.functional as F
from torch import nn

from coursekit import start
from coursekit import torch as ct
from coursekit.results import record

WORDS = ("the . cook waiter guest critic ordered tasted praised paid soup bread salad cake").split()
KINDS = torch.tensor([0, 1] + [2] * 4 + [3] * 4 + [4] * 4)
SEEN = 16
FLOOR = 9 * math.log(4) / SEEN  # 9 of the 16 words asked for are one of four, the others follow from the grammar
SETTINGS = dict(epochs=25, batch_size=64, learning_rate=0.003)
COLUMNS = {"Trained": "{mask}", "Training loss": "{train:.3f} ({train_low:.3f} to {train_high:.3f})",
           "Test loss, same mask": "{test:.3f}", "Test loss, future hidden": "{hidden:.2f}",
           "Generated sentences that are right": "{right:.0%} ({right_low:.0%} to {right_high:.0%})"}
CAPTION = ("Predicting the next word with one attention layer, mean (lowest to highest) of three seeds, nats per word. "
           f"No prediction can have a loss below {FLOOR:.3f}; guessing has {math.log(len(WORDS)):.3f}.")


def windows(n, seed):
    """Inputs and targets (n, 16): 17 words of three sentences "the COOK ORDERED the SOUP ." """
    generator = torch.Generator().manual_seed(seed)
    noun, verb, dish = (torch.randint(first, first + 4, (3 * n,), generator=generator) for first in (2, 6, 10))
    the, stop = torch.zeros_like(noun), torch.ones_like(noun)
    text = torch.stack([the, noun, verb, the, dish, stop], dim=1).view(n, 18)
    return text[:, :SEEN], text[:, 1:SEEN + 1]


class Predictor(nn.Module):
    """Scores of the next word at every place, by one attention layer with one head."""

    def __init__(self, causal, d_model=64):
        super().__init__()
        self.causal = causal
        self.embed = nn.Embedding(len(WORDS), d_model)
        self.positions = ct.PositionalEncoding(d_model, max_length=18)
        self.query, self.key, self.value = (nn.Linear(d_model, d_model, bias=False) for _ in range(3))
        self.output = nn.Linear(d_model, len(WORDS))

    def forward(self, words):
        x = self.positions(self.embed(words))
        mask = ct.causal_mask(words.shape[1]) if self.causal else None
        return self.output(x + ct.scaled_dot_product_attention(self.query(x), self.key(x), self.value(x), mask))


@torch.no_grad()
def generate(model, n, seed):
    """n sequences of 18 words, each drawn from what the model gives after the words before it."""
    generator, words = torch.Generator().manual_seed(seed), torch.zeros(n, 1, dtype=torch.long)
    while words.shape[1] < 18:
        chances = model(words)[:, -1].softmax(-1)
        words = torch.cat([words, torch.multinomial(chances, 1, generator=generator)], dim=1)
    return words


@torch.no_grad()
def loss(model, data):
    return round(F.cross_entropy(model(data[0]).flatten(0, 1), data[1].flatten()).item(), 4)


def run(causal, seed):
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    model, train, test = Predictor(causal), windows(1000, seed), windows(1000, 100)
    ct.fit(model, train, **SETTINGS, seed=seed)
    row = {"mask": "with the causal mask" if causal else "without a mask", "seed": seed,
           "train": loss(model, train), "test": loss(model, test)}
    model.causal = True
    row["hidden"] = loss(model, test)
    model.causal = causal
    kinds = KINDS[generate(model, 500, seed)].view(-1, 6)
    return row | {"right": (kinds == torch.tensor([0, 2, 3, 0, 4, 1])).all(1).float().mean().item()}


if __name__ == "__main__":
    start(threads=1)
    rows = side_by_side(run, [dict(causal=causal, seed=seed) for causal in (True, False) for seed in (0, 1, 2)])
    record("causal_leak", rows, columns=COLUMNS, caption=CAPTION, by=["mask"], settings=SETTINGS, threads=1)
