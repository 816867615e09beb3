"""Time of self-attention against length: its projections, the fused kernel, and the same with the weights kept.

    python benchmarks/attention_cost.py

The size is that of the memory table of benchmarks/attention.py: batch 1, width 256, 8 heads, one thread, forward only.
A round runs each of them once, in a random order, and ratios are taken within a round.
"""

import os
import random
import time

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from torch import nn

from coursekit import start
from coursekit.results import record
from coursekit.torch import scaled_dot_product_attention

WIDTH, HEADS = 256, 8
LENGTHS, MOST_WITH_WEIGHTS = (128, 256, 512, 1024, 2048, 4096, 8192), 4096  # at 8,192 the weights take 2 GB a copy
COLUMNS = {"Length": "{length:d}", "Projections, ms": "{projections:.1f}", "Attention fused, ms": "{fused:.1f}",
           "with weights, ms": "{weights:.1f}", "with weights to fused": "{ratio:.1f}",
           "attention to projections": "{share:.2f}", "the same by counting": "{counted:.2f}"}
CAPTION = ("Time of one forward pass against length, batch 1, width 256, 8 heads, one thread: medians, and ratios "
           "within a round. Counted are multiplications: 2 n² d of attention to 4 n d² of the four projections, n / "
           "(2 d).")


def contestants(length):
    x = torch.randn(1, length, WIDTH)
    query, key, value = (torch.randn(1, HEADS, length, WIDTH // HEADS) for _ in range(3))
    projections = [nn.Linear(WIDTH, WIDTH) for _ in range(4)]
    functions = {"projections": lambda: [layer(x) for layer in projections],
                 "fused": lambda: scaled_dot_product_attention(query, key, value)}
    if length <= MOST_WITH_WEIGHTS:
        functions["weights"] = lambda: scaled_dot_product_attention(query, key, value, return_weights=True)
    return functions


@torch.no_grad()
def measure(length):
    functions = contestants(length)
    for function in functions.values():
        function()
    taken = {name: [] for name in functions}
    for _ in range(max(5, min(100, 40_000 // length))):
        for name in random.sample(list(functions), len(functions)):
            before = time.process_time()
            functions[name]()
            taken[name].append(time.process_time() - before)
    taken = {name: np.array(seconds) for name, seconds in taken.items()}
    medians = {name: round(1000 * np.median(seconds), 2) for name, seconds in taken.items()}
    with_weights = "weights" in taken
    return {"length": length, "rounds": len(taken["fused"]), "projections": medians["projections"],
            "fused": medians["fused"], "weights": medians["weights"] if with_weights else None,
            "ratio": round(np.median(taken["weights"] / taken["fused"]), 2) if with_weights else None,
            "share": round(np.median(taken["fused"] / taken["projections"]), 3),
            "counted": round(length / (2 * WIDTH), 3)}


if __name__ == "__main__":
    start(seed=0, threads=1)
    rows = []
    for length in LENGTHS:
        rows.append(measure(length))
        print(rows[-1], flush=True)
    record("attention_cost", rows, columns=COLUMNS, caption=CAPTION, batch=1, d_model=WIDTH, heads=HEADS)
