"""coursekit.keras's multi-head self-attention beside keras.layers.MultiHeadAttention, both on TensorFlow.

    python benchmarks/attention_keras.py

Sizes, interleaved rounds and ratios as in attention.py; each layer is compiled by tf.function and runs on one thread.
"""

import random

import numpy as np
from attention import BATCH, HEADS, KERAS, LENGTHS, PASSES, TIME_COLUMNS, WIDTHS, interval, keras_contestant, times

from coursekit import start
from coursekit.results import record

COLUMNS = {name: TIME_COLUMNS[name] for name in ("Width", "Length", "Pass", "Ours, ms")} | {
    "Keras's, ms": "{theirs:.1f}", "Ours to Keras's (95 %)": "{ratio:.2f} ({ratio_low:.2f} to {ratio_high:.2f})",
    "Ours to ours (95 %)": TIME_COLUMNS["Ours to ours (95 %)"]}
CAPTION = ("One thread, batch 8, 8 heads, TensorFlow: median time of our Keras layer and of "
           "keras.layers.MultiHeadAttention, the median ratio of the two with a 95 % bootstrap interval, and the ratio "
           "of ours to a second copy of itself, which shows the noise.")


def measure(d_model, length, passes):
    import keras

    from coursekit.keras import MultiHeadAttention

    layers = {"ours": MultiHeadAttention(d_model, HEADS), "ours again": MultiHeadAttention(d_model, HEADS),
              KERAS: keras.layers.MultiHeadAttention(HEADS, d_model // HEADS)}
    taken = times({name: keras_contestant(layer, d_model, length, passes == PASSES[1])
                   for name, layer in layers.items()})
    ours, theirs = (round(1000 * np.median(taken[name]), 2) for name in ("ours", KERAS))
    return ({"d_model": d_model, "length": length, "passes": passes, "rounds": len(taken["ours"]),
             "milliseconds": ours, "theirs": theirs} | interval("ratio", taken["ours"] / taken[KERAS])
            | interval("noise", taken["ours"] / taken["ours again"]))


if __name__ == "__main__":
    start(threads=1)
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    random.seed(0)
    rows = [measure(d_model, length, passes) for d_model in WIDTHS for length in LENGTHS for passes in PASSES]
    record("attention_keras", rows, columns=COLUMNS, caption=CAPTION, batch=BATCH, heads=HEADS)
