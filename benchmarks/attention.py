"""Multi-head self-attention beside the layers a user would pick instead: time, and peak memory against length.

    python benchmarks/attention.py

Every contestant has the same size, eight heads, no mask and no dropout, and runs on one thread. A round runs each of
them once, in a random order; the ratio of two is taken within each round, so that a busy moment falls on both.
"""

import os
import random
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from coursekit import start
from coursekit.results import record
from coursekit.torch import MultiHeadAttention

HEADS, BATCH, ROUNDS, SECONDS = 8, 8, (15, 100), 8
KERAS = "keras.layers.MultiHeadAttention"
PRODUCTS = ("product in PyTorch", "product in TensorFlow")
LENGTHS, WIDTHS, PASSES = (32, 128, 512), (256, 512), ("forward", "forward and backward")
TIME_COLUMNS = {"Width": "{d_model:d}", "Length": "{length:d}", "Pass": "{passes}", "Ours, ms": "{milliseconds:.1f}",
                "Ours to the fastest in PyTorch (95 %)": "{torch:.2f} ({torch_low:.2f} to {torch_high:.2f})",
                "Fastest of all": "{fastest}", "Ours to it (95 %)": "{ratio:.2f} ({ratio_low:.2f} to {ratio_high:.2f})",
                "Ours to ours (95 %)": "{noise:.2f} ({noise_low:.2f} to {noise_high:.2f})",
                "One product, PyTorch to TensorFlow": "{product:.2f}"}
TIME_CAPTION = ("One thread, batch 8, 8 heads: median time of our layer, its median ratio to the fastest of the others "
                "with a 95 % bootstrap interval, and its ratio to a second copy of itself, which shows the noise. Of "
                "all: Keras on TensorFlow too, whose matrix products are another library's; the last column compares "
                "one product of a projection's size.")
MEMORY_COLUMNS = {"Length": "{length:d}", "Forward, MB": "{forward:.0f}", "per token, kB": "{forward_per_token:.1f}",
                  "With backward, MB": "{backward:.0f}", "per token of it, kB": "{backward_per_token:.1f}",
                  "Forward with weights, MB": "{weights:.0f}"}
MEMORY_CAPTION = ("Peak memory of one call beyond what the process held before, batch 1, width 256, 8 heads: per token "
                  "it stays the same without weights, and with them it grows with the square of the length.")


def torch_contestants(d_model, length):
    """Functions of no argument, by name, that run forward and return the output."""
    from transformers import BertConfig
    from transformers.models.bert.modeling_bert import BertSelfAttention

    x = torch.randn(BATCH, length, d_model)
    ours, ours_again = (MultiHeadAttention(d_model, HEADS) for _ in range(2))
    theirs = nn.MultiheadAttention(d_model, HEADS, batch_first=True)
    query, key, value, output, dense = (nn.Linear(d_model, d_model) for _ in range(5))
    bert = BertSelfAttention(BertConfig(hidden_size=d_model, num_attention_heads=HEADS,
                                        attention_probs_dropout_prob=0.0, attn_implementation="sdpa"))

    def plain():
        q, k, v = (layer(x).view(BATCH, length, HEADS, -1).transpose(1, 2) for layer in (query, key, value))
        return output(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(BATCH, length, d_model))

    modules = nn.ModuleList([ours, ours_again, theirs, query, key, value, output, dense, bert])
    return modules, {"ours": lambda: ours(x), "ours again": lambda: ours_again(x), "kernel, plain projections": plain,
                     "nn.MultiheadAttention": lambda: theirs(x, x, x, need_weights=False)[0],
                     "transformers' BERT": lambda: dense(bert(x)[0])}


def keras_contestant(layer, d_model, length, backward):
    """A compiled function that runs a Keras layer on TensorFlow."""
    import tensorflow as tf

    x = tf.random.normal((BATCH, length, d_model))
    layer(x, x)

    @tf.function
    def run():
        if not backward:
            return layer(x, x)
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(layer(x, x)))
        return loss, tape.gradient(loss, layer.trainable_variables)  # the graph leaves out what is not returned

    return run


def contestants(d_model, length, passes):
    import keras

    modules, functions = torch_contestants(d_model, length)
    backward = passes == PASSES[1]
    modules.train(backward)  # nn.MultiheadAttention has a faster path outside training

    def of(function):
        def run():
            with torch.set_grad_enabled(backward):
                output = function()
            if backward:
                output.square().sum().backward()
                modules.zero_grad()
        return run

    return ({name: of(function) for name, function in functions.items()}
            | {KERAS: keras_contestant(keras.layers.MultiHeadAttention(HEADS, d_model // HEADS), d_model, length,
                                       backward)}
            | products(d_model, length))


def products(d_model, length):
    """One matrix product of a projection's size in either framework: what no layer in it can avoid."""
    import tensorflow as tf

    x, weight = torch.randn(BATCH * length, d_model), torch.randn(d_model, d_model)
    tf_x, tf_weight = (tf.constant(tensor.numpy()) for tensor in (x, weight))
    return {PRODUCTS[0]: lambda: x @ weight, PRODUCTS[1]: lambda: tf.matmul(tf_x, tf_weight)}


def times(functions, rounds=ROUNDS, seconds=SECONDS):
    """Seconds of processor time of each function in each round, {name: array}: at least the first of `rounds`, at most
    the second, and none that begins after so many seconds."""
    for function in functions.values():
        function()
        function()
    order, taken, started = list(functions), {name: [] for name in functions}, time.monotonic()
    while len(taken["ours"]) < rounds[0] or (len(taken["ours"]) < rounds[1] and time.monotonic() - started < seconds):
        random.shuffle(order)
        for name in order:
            before = time.process_time()
            functions[name]()
            taken[name].append(time.process_time() - before)
    return {name: np.array(each) for name, each in taken.items()}


def interval(name, ratios):
    """The median of the ratios and its 95 % bootstrap interval, under three names."""
    draws = np.random.default_rng(0).choice(ratios, size=(2000, len(ratios)))
    low, high = np.quantile(np.median(draws, axis=1), [0.025, 0.975])
    return {name: round(np.median(ratios), 3), f"{name}_low": round(low, 3), f"{name}_high": round(high, 3)}


def measure(d_model, length, passes):
    taken = times(contestants(d_model, length, passes))
    medians = {name: round(1000 * np.median(seconds), 2) for name, seconds in taken.items()}
    others = medians.keys() - {"ours", "ours again", *PRODUCTS}
    fastest, in_torch = (min(names, key=medians.get) for names in (others, others - {KERAS}))
    return ({"d_model": d_model, "length": length, "passes": passes, "rounds": len(taken["ours"]),
             "milliseconds": medians["ours"], "fastest": fastest}
            | interval("ratio", taken["ours"] / taken[fastest]) | interval("torch", taken["ours"] / taken[in_torch])
            | interval("noise", taken["ours"] / taken["ours again"])
            | {"product": round(np.median(taken[PRODUCTS[0]] / taken[PRODUCTS[1]]), 3)}
            | {f"{name}, ms": medians[name] for name in sorted(others)})


def peak(length, kind):
    """Megabytes that one call adds to the peak of a fresh process."""
    torch.set_num_threads(1)
    layer = MultiHeadAttention(256, HEADS)

    def run(length):
        with torch.set_grad_enabled(kind == "backward"):
            output = layer(torch.randn(1, length, 256), return_weights=kind == "weights")
        if kind == "backward":
            output.sum().backward()

    run(64)
    before = highest_memory()
    run(length)
    return highest_memory() - before


def highest_memory():
    """Megabytes that this process has held at most; getrusage would count what its parent held."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def memory(length):
    def fresh(kind):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            return round(pool.submit(peak, length, kind).result(), 1)

    row = {"length": length, "forward": fresh("forward"), "backward": fresh("backward"),
           "weights": fresh("weights") if length <= 2048 else None}  # at 8,192 they would take several GB
    return row | {f"{kind}_per_token": round(1024 * row[kind] / length, 2) for kind in ("forward", "backward")}


if __name__ == "__main__":
    start(threads=1)
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    random.seed(0)
    memory_rows = [memory(length) for length in (512, 1024, 2048, 4096, 8192)]
    record("attention_memory", memory_rows, columns=MEMORY_COLUMNS, caption=MEMORY_CAPTION, batch=1, d_model=256)
    rows = []
    for d_model in WIDTHS:
        for length in LENGTHS:
            for passes in PASSES:
                rows.append(measure(d_model, length, passes))
                print(rows[-1], flush=True)
    record("attention", rows, columns=TIME_COLUMNS, caption=TIME_CAPTION, batch=BATCH, heads=HEADS)
