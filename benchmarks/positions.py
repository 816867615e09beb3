"""One attention layer that must find a symbol by its place: no positions, sinusoids, learned, rotary; three seeds.

    python benchmarks/positions.py

Five tables: the symbol three places back, trained on sentences that all start at position 0 (`positions`) or anywhere
up to 99 (`positions_anywhere`), the symbol at the mirrored place (`positions_reversal`), and two experiments on why
sinusoids (`positions_held`) and rotary positions (`positions_far`) fail beyond their training.
"""

import time

from reversal import side_by_side

import torch
import torch.nn.functional as F
from torch import nn

from coursekit import torch as ct
from coursekit.results import record

SYMBOLS, LENGTH = 16, 20
SETTINGS = dict(epochs=30, batch_size=50, learning_rate=5e-3)
GUESS = "guess: most frequent symbol"
SCHEMES = (GUESS, "none", "sinusoids", "learned", "rotary")


def spread(header, name):
    """A column with the lowest and the highest seed."""
    return {header: f"{{{name}_low:.0%}}–{{{name}_high:.0%}}"}


COLUMNS = {"Positions": "{scheme}", "As trained": "{as_trained:.1%}"}
ELSEWHERE = (spread("Starts at 10", "start_10") | spread("at 50", "start_50") | spread("at 150", "start_150")
             | spread("Length 40", "length_40") | spread("Length 100", "length_100"))
STEPS = (spread("First and last step", "ends") | spread("Steps between", "between")
         | {"Learned numbers": "{parameters:,.0f}"})
SECONDS = {"Seconds": "{seconds:.0f}"}


class Finder(nn.Module):
    """Writes, at every place from `first` on, the symbol that it finds by attention; one layer, one head."""

    def __init__(self, scheme, first, starts=1, symbols=16, d_model=32, max_length=200):
        super().__init__()
        self.scheme, self.first, self.starts = scheme, first, starts
        self.embed = nn.Embedding(symbols, d_model)
        if scheme == "sinusoids":
            self.positions = ct.PositionalEncoding(d_model, max_length)
        elif scheme == "learned":
            self.positions = ct.LearnedPositions(max_length, d_model)
        self.query, self.key, self.value = (nn.Linear(d_model, d_model, bias=False) for _ in range(3))
        self.output = nn.Linear(d_model, symbols)

    def forward(self, tokens, start=0, return_weights=False):
        start = int(torch.randint(self.starts, ())) if self.training else start  # one of `starts` places
        x, places = self.embed(tokens), torch.arange(start, start + tokens.shape[1])
        if self.scheme in ("sinusoids", "learned"):
            x = x + self.positions.table[places]
        query, key, value = (layer(x).unsqueeze(1) for layer in (self.query, self.key, self.value))
        if self.scheme == "rotary":
            query, key = ct.rotary(query, places), ct.rotary(key, places)
        context, weights = ct.scaled_dot_product_attention(query, key, value, return_weights=True)
        logits = self.output(context.squeeze(1))[:, self.first:]
        return (logits, weights.squeeze(1)) if return_weights else logits


def draw(n, length, seed):
    """Sentences (n, length) of random symbols."""
    return torch.randint(SYMBOLS, (n, length), generator=torch.Generator().manual_seed(seed))


def three_back(n, length, seed):
    tokens = draw(n, length, seed)
    return tokens, tokens[:, :-3]


def mirrored(n, length, seed):
    tokens = draw(n, length, seed)
    return tokens, tokens.flip(1)


def most_frequent(tokens, start=0):
    """Not trained: at every place, the symbol that the sentence holds most often."""
    return F.one_hot(tokens, SYMBOLS).sum(1, keepdim=True)


@torch.no_grad()
def right(model, data, start=0):
    """Which symbols are right: (n, steps)."""
    tokens, targets = data
    return (model(tokens, start).argmax(-1) == targets).float()


def train(make, first, scheme, seed, starts=1):
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    model = Finder(scheme, first, starts)
    ct.fit(model, make(2000, LENGTH, 1000 * seed), make(200, LENGTH, 1000 * seed + 1), seed=seed, **SETTINGS)
    return model


def run(task, scheme, seed, starts=1):
    make, first = (three_back, 3) if task == "three back" else (mirrored, 0)
    model, parameters, began = most_frequent, 0, time.process_time()
    if scheme != GUESS:
        model = train(make, first, scheme, seed, starts)
        parameters = sum(weight.numel() for weight in model.parameters())
    test = make(1000, LENGTH, 1000 * seed + 2)
    shares = {"as_trained": right(model, test)}
    if task == "three back":
        shares |= {f"start_{start}": right(model, test, start) for start in (10, 50, 150)}
        shares |= {f"length_{length}": right(model, make(1000, length, 1000 * seed + 3)) for length in (40, 100)}
    else:
        shares |= {"ends": shares["as_trained"][:, [0, -1]], "between": shares["as_trained"][:, 1:-1]}
    return (dict(scheme=scheme, seed=seed, parameters=parameters)
            | {name: round(share.mean().item(), 4) for name, share in shares.items()}
            | {"seconds": round(time.process_time() - began, 1)})


@torch.no_grad()
def held(seed):
    """Symbols right when all waves of the sinusoids run, or the first only; the others stay where training saw them."""
    with torch.enable_grad():
        model = train(three_back, 3, "sinusoids", seed)
    rows, table, test = [], model.positions.table.clone(), three_back(1000, LENGTH, 1000 * seed + 2)
    for start in (10, 50, 150):
        rows.append({"start": start, "seed": seed})
        for name, running in (("all", 32), ("two", 4), ("three", 6)):
            model.positions.table[start:start + LENGTH, running:] = table[:LENGTH, running:]
            rows[-1][name] = round(right(model, test, start).mean().item(), 4)
            model.positions.table.copy_(table)
    return rows


@torch.no_grad()
def far(seed):
    """Mean weight of rotary attention on one place of 100: the right one, another nearer than 20, one further away."""
    with torch.enable_grad():
        model = train(three_back, 3, "rotary", seed)
    _, weights = model(draw(200, 100, 1000 * seed + 3), return_weights=True)
    places, weights = torch.arange(100), weights.mean(0)[3:]
    distance = (places[:, None] - places)[3:]
    near = (distance.abs() < LENGTH) & (distance != 3)
    return {"seed": seed} | {name: round(weights[part].mean().item(), 5) for name, part in (
        ("right", distance == 3), ("near", near), ("far", distance.abs() >= LENGTH))}


def store(name, columns, caption, **setting):
    rows = side_by_side(run, [dict(scheme=scheme, seed=seed, **setting) for scheme in SCHEMES for seed in (0, 1, 2)])
    record(name, rows, columns={**COLUMNS, **columns, **SECONDS}, caption=caption, by=["scheme"],
           settings=SETTINGS | setting, threads=1)


if __name__ == "__main__":
    store("positions", ELSEWHERE, "Symbols right, three seeds: the symbol three places back, 16 symbols, trained on "
          "2,000 sentences of length 20 from position 0, tested on 1,000. By chance 6.2% are right. Lowest to highest "
          "seed; seconds of one core.", task="three back")
    store("positions_anywhere", ELSEWHERE, "The same, trained on sentences that start at any position from 0 to 99.",
          task="three back", starts=100)
    store("positions_reversal", STEPS, "Symbols right, three seeds: the symbol at the mirrored place, length 20.",
          task="mirrored")
    seeds = [dict(seed=seed) for seed in (0, 1, 2)]
    record("positions_held", [row for rows in side_by_side(held, seeds) for row in rows],
           columns={"Starts at": "{start:}"} | spread("All waves run", "all")
           | spread("Only the first two", "two") | spread("Only the first three", "three"),
           caption="Symbols right, sinusoids, lowest to highest of three seeds; waves that do not run stand as at "
           "positions 0 to 19.", by=["start"], settings=SETTINGS, threads=1)
    record("positions_far", side_by_side(far, seeds),
           columns={"Seed": "{seed}", "On the right place": "{right:.2f}", "On one other nearer than 20": "{near:.4f}",
                    "On one 20 or more away": "{far:.4f}"},
           caption="Mean attention weight at length 100, rotary, three seeds.", settings=SETTINGS, threads=1)
