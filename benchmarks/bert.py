"""BERT with pretrained weights beside transformers' BertModel (sdpa): time of a forward pass and of a training step,
and peak memory.

    python benchmarks/bert.py

Both have the weights of all-MiniLM-L6-v2 and the same batch of 8 with padding. A round runs each contestant once, in a
random order, on one thread; the ratio of two is taken within each round, so that a busy moment falls on both. A
training step is forward with dropout, backward, and AdamW. Memory is measured in fresh processes, one for each number.
"""

import os
import random
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from attention import highest_memory, interval, times

import numpy as np
import torch
from transformers import BertModel

from coursekit import pretrained, start
from coursekit.results import record
from coursekit.torch import Bert

BATCH, LENGTHS, PASSES = 8, (32, 128, 512), ("forward", "training step")
ROUNDS, SECONDS = (9, 60), 45
COLUMNS = {"Length": "{length:d}", "Pass": "{passes}", "Ours, ms": "{ours:.0f}", "transformers, ms": "{theirs:.0f}",
           "Ours to transformers (95 %)": "{ratio:.3f} ({ratio_low:.3f} to {ratio_high:.3f})",
           "Ours to ours (95 %)": "{noise:.3f} ({noise_low:.3f} to {noise_high:.3f})",
           "Peak memory, ours, MB": "{our_memory:.0f}", "transformers, MB": "{their_memory:.0f}"}
CAPTION = ("all-MiniLM-L6-v2, batch 8 with padding, one thread: median processor time, the median of the ratios within "
           "a round with a 95 % bootstrap interval, and ours to a second copy of itself, which shows the noise. "
           "Memory: the most that a fresh process holds during the pass, with Python, its libraries and the model.")


def batch(length):
    generator = torch.Generator().manual_seed(length)
    ids = torch.randint(1000, 30000, (BATCH, length), generator=generator)
    lengths = torch.randint(length // 2, length, (BATCH,), generator=generator)
    lengths[0] = length
    return ids, torch.arange(length) < lengths.unsqueeze(1)


def contestant(kind, training):
    """A function of the length that runs one pass of "ours" or "theirs"."""
    if kind == "ours":
        model = Bert.from_pretrained()
    else:
        model = BertModel.from_pretrained(pretrained.find(), attn_implementation="sdpa")
    model.train(training)
    weights = [weight for name, weight in model.named_parameters() if "pooler" not in name]
    optimizer = torch.optim.AdamW(weights, lr=1e-6)

    def run(length):
        ids, mask = batch(length)
        with torch.set_grad_enabled(training):
            output = model(ids, mask) if kind == "ours" else model(ids, mask.long()).last_hidden_state
        if training:
            output[mask].square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()

    return run


def measure(length, passes):
    training = passes == PASSES[1]
    kinds = {"ours": "ours", "ours again": "ours", "theirs": "theirs"}
    functions = {name: partial(contestant(kind, training), length) for name, kind in kinds.items()}
    taken = times(functions, ROUNDS, SECONDS)
    return ({"length": length, "passes": passes, "rounds": len(taken["ours"])}
            | {name: round(1000 * np.median(taken[name]), 1) for name in ("ours", "theirs")}
            | interval("ratio", taken["ours"] / taken["theirs"])
            | interval("noise", taken["ours"] / taken["ours again"])
            | {"our_memory": fresh(peak, "ours", length, training),
               "their_memory": fresh(peak, "theirs", length, training)})


def peak(kind, length, training):
    """The most that this process, which has run a short pass before, holds during one pass, in MB."""
    torch.set_num_threads(1)
    run = contestant(kind, training)
    run(16)
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak of what came before, such as loading
    run(length)
    return round(highest_memory(), 1)


def fresh(function, *given):
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *given).result()


if __name__ == "__main__":
    start(threads=1)
    random.seed(0)
    rows = []
    for length in LENGTHS:
        for passes in PASSES:
            rows.append(measure(length, passes))
            print(rows[-1], flush=True)
    record("bert_speed", rows, columns=COLUMNS, caption=CAPTION, batch=BATCH)
