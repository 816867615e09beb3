# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 13 · BERT in Keras
#
# [![Open in Colab](attachment:open_in_colab.png)](https://colab.research.google.com/github/coursekit/coursekit/blob/main/notebooks/13_bert_in_keras.ipynb)
#
# A pretrained model is a file of numbers. Formulas are the same everywhere. So the BERT of lectures 11 and 12 should work in
# Keras, too: load the file, and go on. In practice a port is where models are quietly damaged. Everything runs, the accuracy
# is a little lower than in the paper, and nobody can say why.
#
# In this lecture you port a model and *prove* that it is the same one. Then you fine-tune it with `model.fit`, and see
# whether Keras gets where PyTorch got.
#
# **You will be able to**
#
# - compare two implementations layer by layer, and tell rounding from a mistake;
# - carry weights from one framework to another: names, transposed kernels, order in memory;
# - find the layer in which a port goes wrong, and say what the usual mistakes cost;
# - give a Keras model ids, a mask and segments, and know where Keras loses a mask without a word;
# - say when TensorFlow records a graph, when it compiles, and what a new sequence length costs;
# - fine-tune BERT with `fit`, a schedule, frozen parts and callbacks, save it, and load it into PyTorch.
#
# **Time** about 110 minutes of reading and trying; about 90 seconds of computing on two CPU cores. A GPU makes the
# fine-tuning of section 6 faster; the code stays the same.
#
# **You need** lecture 07 (the layer, in both frameworks) and lecture 12 (fine-tuning). Lecture 01 introduced `fit`.
#
# **Exercises** stand at the ends of sections, as in the lectures before. No other cell needs your answers.

# %%
try:
    import coursekit
except ImportError:  # a fresh Colab: whatever it has (numpy, torch, tensorflow) stays as it is
    # %pip install --quiet --no-deps git+https://github.com/coursekit/coursekit
    import coursekit

coursekit.start(seed=0, threads=2)

# %%
import os

os.environ["KERAS_BACKEND"] = "tensorflow"  # read when Keras is imported

import dataclasses
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import keras
import numpy as np
import torch
from keras import ops
from safetensors.numpy import load, load_file, save

from coursekit import keras as ck
from coursekit import plots, pretrained, results, weights
from coursekit import torch as ct
from coursekit.datasets.reviews import reviews
from coursekit.text import WordPiece

# %% [markdown]
# ## 1. One file, two models
#
# The weights are those of all-MiniLM-L6-v2, the BERT of 6 layers from lecture 11. If they are not installed, the next cell
# says how to get them, and the cells that need them do nothing.
#
# `coursekit.torch.Bert` and `coursekit.keras.Bert` have the same arguments, the same parts, and read the same folder.

# %%
folder = pretrained.find(required=False)
if folder:
    in_torch, in_keras = ct.Bert.from_pretrained(), ck.Bert.from_pretrained()
    tokenizer = WordPiece.load(folder / "vocab.txt")
    print(folder.why)
    print(f"{sum(parameter.numel() for parameter in in_torch.parameters()):,} numbers in PyTorch,",
          f"{in_keras.count_params():,} in Keras")

# %%
texts = ["The pizza came out of the oven and it tasted good.", "I sat by the river bank.", "Yes.",
         "How many legs does a trout have?"]
pairs = ["Nobody left any of it.", "The water was cold.", "Are you sure?", "None, it is a fish."]
if folder:
    batch = tokenizer.encode_batch(texts, pairs)
    inputs = batch._asdict()  # {"ids": ..., "segment_ids": ..., "mask": ...}
    real = batch.mask
    print(f"{len(real)} pairs of texts, {real.sum()} tokens, {(~real).sum()} places of padding")

# %% [markdown]
# `states` gives the output of the embeddings and of every layer, seven arrays in all.
#
# **Predict.** Same file, same formulas, same inputs. Are the numbers of the two models equal to the last bit? If not, how far
# apart are they, and does the distance grow from layer to layer?

# %%
def states_of(model, inputs):
    """The output of the embeddings and of every layer, as NumPy arrays."""
    if isinstance(model, torch.nn.Module):
        with torch.no_grad():
            states = model.states(**{name: torch.from_numpy(array) for name, array in inputs.items()})
        return [state.numpy() for state in states]
    return [ops.convert_to_numpy(state) for state in model.states(**inputs)]


def differences(states, other_states):
    """The largest difference at any real token, for each layer."""
    return np.array([np.abs(a - b)[real].max() for a, b in zip(states, other_states)])


# %%
if folder:
    right = states_of(in_torch, inputs)
    distance = {"float32": differences(states_of(in_keras, inputs), right)}
    exact_keras = ck.Bert.from_pretrained(dtype="float64")
    exact = states_of(ct.Bert.from_pretrained().double(), inputs)
    distance["float64"] = differences(states_of(exact_keras, inputs), exact)
    lines = {f"both in {dtype}": (range(7), np.log10(gap)) for dtype, gap in distance.items()}
    plots.curves(lines, xlabel="after this layer (0: the embeddings)",
                 ylabel="largest difference, as a power of ten", limits=(-17, 0),
                 title="Keras beside PyTorch, the same weights",
                 alt="Largest difference between the two models after each layer, on a logarithmic "
                     "scale. In float32 it lies between 10 to the minus 6 and 10 to the minus 5, in "
                     "float64 between 10 to the minus 15 and 10 to the minus 14. Both lines rise "
                     "a little from layer to layer.")

# %%
# NBVAL_CHECK_OUTPUT
if folder:
    print("equal to the last bit after the last layer:   ", bool(distance["float32"][-1] == 0))
    print("float32, every layer below 0.00001:           ", bool((distance["float32"] < 1e-5).all()))
    print("float64, every layer below 0.000000000001:    ", bool((distance["float64"] < 1e-12).all()))
    output, attended = in_keras(inputs, return_weights=True)
    with torch.no_grad():
        of_torch, weights_of_torch = in_torch(*map(torch.from_numpy, (batch.ids, real, batch.segment_ids)),
                                              return_weights=True)
        pooled = in_torch.pool(of_torch).numpy()
    apart = [np.abs(ops.convert_to_numpy(a) - b.numpy()).max() for a, b in zip(attended, weights_of_torch)]
    print(f"attention maps of {len(apart)} layers below 0.00001:     ", max(apart) < 1e-5)
    print("pooled output below 0.00001:                  ",
          bool(np.abs(ops.convert_to_numpy(in_keras.pool(output)) - pooled).max() < 1e-5))

# %% [markdown]
# Not equal to the last bit. A sum of 384 products has a rounding error in every step, and the two libraries add in
# different orders. In float32 that is about $10^{-6}$ for numbers around 1. It grows a little from layer to layer,
# since each layer adds its own.
#
# But how do you know that $10^{-6}$ *is* rounding, and not a small mistake? Compute in float64. Rounding errors become
# about $10^9$ times smaller. A mistake, such as another epsilon, stays as large as it was. The lower line is the proof,
# the upper one is only a hint.
#
# This test found a real one. In an earlier version of the package the lower line stood at $10^{-8}$, a million times
# too high. Keras's attention on TensorFlow takes its scale, $1/\sqrt{32}$, as a Python number, and turns it into
# float64 by a detour.

# %%
# NBVAL_CHECK_OUTPUT
import tensorflow as tf

scale = 32 ** -0.5
print(f"error of tf.cast(scale, 'float64'):     {abs(float(tf.cast(scale, 'float64')) - scale):.0e}")
print(f"error of tf.constant(scale, 'float64'): {abs(float(tf.constant(scale, 'float64')) - scale):.0e}")

# %% [markdown]
# `tf.cast` makes a float32 tensor of a Python number first, and then casts that. In float32 nobody would ever have seen it.
# Now the queries are scaled before they get there.
#
# ## 2. How the weights travel
#
# What does it take to load the file? Look at what is in it, and at what Keras wants.
#
# **Predict.** The first feed-forward layer takes 384 numbers to 1536. Which shape has its weight in the file, and which in
# Keras?

# %%
# NBVAL_CHECK_OUTPUT
if folder:
    stored = load_file(folder / "model.safetensors")
    first = in_keras.encoder.layers[0]
    there = {"embeddings.word_embeddings.weight": in_keras.token_embedding.embeddings,
             "embeddings.LayerNorm.weight": in_keras.embedding_norm.gamma,
             "encoder.layer.0.attention.self.query.weight": first.attention.query_projection.kernel,
             "encoder.layer.0.attention.self.query.bias": first.attention.query_projection.bias,
             "encoder.layer.0.intermediate.dense.weight": first.feed_forward.expand.kernel,
             "encoder.layer.0.output.dense.weight": first.feed_forward.contract.kernel}
    for name, variable in there.items():
        print(f"{name:45} {str(stored[name].shape):13} Keras: {variable.name:10} {tuple(variable.shape)}")
    print(len(stored), "tensors in the file,", len(in_keras.weights), "variables in Keras")

# %% [markdown]
# One tensor of the file is no weight: the positions 0, 1, 2 …, which some programs store as well. Of the 103 others, three
# things differ.
#
# - **Names.** The file has transformers' names. `coursekit.checkpoint` has one list of pairs, theirs and ours, and both
#   frameworks read it. What is not in the list is an error: a tensor that is silently left out would leave random numbers in
#   the model.
# - **Kernels.** PyTorch computes $x W^\top + b$ and stores $W$ as (outputs, inputs). Keras computes $x K + b$ and stores $K$
#   as (inputs, outputs). So $K = W^\top$. The embedding tables are no kernels: their rows are looked up, in both.
# - **A norm's** weight and bias are called gamma and beta.
#
# By hand, for one layer of the network:

# %%
# NBVAL_CHECK_OUTPUT
if folder:
    dense = keras.layers.Dense(1536)
    dense.build((None, 384))
    weight, bias = (stored[f"encoder.layer.0.intermediate.dense.{name}"] for name in ("weight", "bias"))
    try:
        dense.set_weights([weight, bias])
    except ValueError as error:
        print("ValueError:", str(error).partition("weight ")[2].split(". ")[0])
    dense.set_weights([weight.T, bias])
    vectors = right[0][real]
    print("the same as PyTorch:", bool(np.allclose(dense(vectors), vectors @ weight.T + bias, atol=1e-5)))

# %% [markdown]
# Here the forgotten transpose is an error, because 384 × 1536 is no square. Four of the six matrices of a layer are
# squares, and there nothing complains.
#
# The way back has a trap of its own. To write a file for PyTorch, the kernels are transposed again, with `.T`, and saved.

# %%
kernel = np.arange(6.0).reshape(2, 3)
print(kernel.T)
print("saved and loaded:")
print(load(save({"kernel": kernel.T}))["kernel"])
print("made contiguous first:")
print(load(save({"kernel": np.ascontiguousarray(kernel.T)}))["kernel"])

# %% [markdown]
# The shape is right and the numbers are at other places. `.T` moves no number: it is a *view*, which reads the same memory in
# another order. This function of safetensors writes the memory as it lies. `np.ascontiguousarray` brings the numbers into the
# order in which they are read. `save_pretrained` does so, and a test compares the bytes with those that PyTorch writes.
#
# In short: every step of a port has a mistake that raises no error. So errors must be looked for, with numbers.

# %% [markdown]
# ### Exercise 13.square_matrix: A square matrix, not transposed
#
# Difficulty ●○○○○ (1 of 5), about 4 minutes, 1 point
#
# Someone loads BERT into Keras by hand and forgets to transpose the 384 × 384 weight of the query projection in layer 4
# of 6. All other weights are right. What happens? Set `square_matrix` to a letter.
#
# - **a** Keras raises a `ValueError`, since a kernel is (inputs, outputs).
# - **b** Nothing changes: all the numbers of the weight are there.
# - **c** The model runs. The output of layer 3 is right, that of layer 4 and of all layers after it is not.
# - **d** The model runs. Only the output of layer 4 is wrong; the residual connections carry the right numbers past it.
# - **e** The model runs. Every output is wrong, that of the embeddings too.

# %%
square_matrix = ...

# %%
coursekit.check("13.square_matrix")

# %% [markdown]
# ## 3. What each mistake costs, and where it shows
#
# We make eight copies of the model and break each in its own way. None of them raises an error.

# %%
def ported(damage=None, **changes):
    """A Keras BERT with the right weights, but other settings, or damaged afterwards."""
    model = ck.Bert(dataclasses.replace(in_keras.config, **changes))
    weights.copy(in_torch, model)
    if damage is not None:
        damage(model)
    return model


def square_kernel(model):
    kernel = model.encoder.layers[3].attention.query_projection.kernel
    kernel.assign(ops.transpose(kernel))


def norm_exchanged(model):
    norm = model.encoder.layers[1].feed_forward_norm
    gamma, beta = norm.get_weights()
    norm.set_weights([beta, gamma])


def positions_late(model):
    table = model.position_embedding.table
    table.assign(np.roll(table, 1, axis=0))  # position 0 gets the vector of the last one


# %%
def without(name):
    return {key: array for key, array in inputs.items() if key != name}


if folder:
    broken = {
        "none": (ported(), inputs),
        "epsilon 1e-5, PyTorch's default": (ported(norm_epsilon=1e-5), inputs),
        "epsilon 1e-3, Keras's default": (ported(norm_epsilon=1e-3), inputs),
        "GELU by tanh": (ported(activation="gelu_tanh"), inputs),
        "query kernel of layer 4 not transposed": (ported(square_kernel), inputs),
        "gamma and beta exchanged in layer 2": (ported(norm_exchanged), inputs),
        "positions one too late": (ported(positions_late), inputs),
        "no segments": (in_keras, without("segment_ids")),
        "no mask": (in_keras, without("mask")),
    }

# %% [markdown]
# **Predict.** After which layer does each mistake show for the first time? Which one do you fear most: the one that changes
# the numbers most, or the one that changes them least?
#
# As a measure of the damage we use what the model is made for: the mean of a text's vectors, and the cosine between the right
# mean and the damaged one.

# %%
def cosines(output):
    """Between the mean vectors of these outputs and of the right ones, for each text."""
    mine, other = ((array * real[..., None]).sum(1) for array in (output, right[-1]))
    return (mine * other).sum(1) / np.linalg.norm(mine, axis=1) / np.linalg.norm(other, axis=1)


if folder:
    damage = {name: differences(states_of(model, given), right) for name, (model, given) in broken.items()}
    worst = {name: cosines(states_of(model, given)[-1]).min() for name, (model, given) in broken.items()}
    found = {name: next((layer for layer, gap in enumerate(gaps) if gap > 1e-4), None)
             for name, gaps in damage.items()}
    results.table([{"name": name, "first": found[name], "last": gaps[-1], "cosine": worst[name]}
                   for name, gaps in damage.items()],
                  {"mistake": "{name}", "first layer off": "{first:d}", "largest difference": "{last:.6f}",
                   "cosine of the worst text": "{cosine:.4f}"},
                  "The first layer that is off by more than 0.0001 (0: the embeddings), the largest "
                  "difference of the output, whose numbers are typically 0.4 in size, and the cosine (live).")

# %%
if folder:
    shown = ["none", "epsilon 1e-3, Keras's default", "GELU by tanh",
             "query kernel of layer 4 not transposed", "no mask"]
    plots.curves({name: (range(7), np.log10(damage[name] + 1e-9)) for name in shown}, limits=(-13, 1.5),
                 xlabel="after this layer (0: the embeddings)",
                 ylabel="largest difference, as a power of ten", title="Where a mistake begins",
                 alt="Largest difference after each layer for five models, on a logarithmic scale. "
                     "The right model stays near a millionth. A wrong epsilon is off from layer 0 "
                     "on, GELU by tanh and a missing mask from layer 1 on. With a kernel of layer "
                     "4 not transposed the line stays at a millionth up to layer 3 and then jumps.")

# %%
# NBVAL_CHECK_OUTPUT
if folder:
    print(f"{'mistake':40} first seen  cosine of the worst text")
    for name in damage:
        group = next(low for low in (0.999, 0.99, 0.9, -1) if worst[name] > low)
        print(f"{name:40} {'never' if found[name] is None else f'layer {found[name]}':11} "
              f"{f'above {group}' if group > 0 else 'below 0.9'}")

# %% [markdown]
# The layer tells what to look for. From layer 0 on: the embeddings, their norm, positions, segments. From layer 1 on, and in
# all of them: something every layer does, an activation or the mask. In the middle: one weight.
#
# The mistakes to fear are the small ones. Without the mask, or with one square kernel wrong, somebody will notice. With
# GELU by tanh, or PyTorch's epsilon, every text keeps a cosine of 0.999 or more. The model works. But it is another
# model: the numbers of a paper may not come out again, and after fine-tuning nobody can tell the damage from bad luck.
# (Both are fine in a model that was *trained* with them. Weights and formulas belong together.)
#
# Why does Keras's epsilon show at layer 0 already, and so much? Lecture 07 found it: the inputs of the embeddings' norm are
# so small that 0.001 is much beside their variance.

# %% [markdown]
# ### Exercise 13.first_wrong_layer: The first layer that differs
#
# Difficulty ●●○○○ (2 of 5), about 10 minutes, 2 points
#
# Write `first_wrong_layer`: the number of the first layer at which two models differ by more than `tolerance` at any
# real token, or -1 if there is none. Layer 0 is the embeddings' output. What stands at padding does not count.

# %%
import numpy as np


def first_wrong_layer(states, other_states, mask, tolerance):
    """The first layer, a whole number, or -1; states and other_states (layers, batch, length, d_model), mask (batch,
    length), True for a token."""
    ...

# %%
coursekit.check("13.first_wrong_layer")

# %% [markdown]
# ## 4. One dict, and a mask that travels
#
# `model.fit(x, y)` hands `x` to the model as its *first* argument. BERT has three inputs. In Keras they come as one dict, by
# name. A tuple would do, too, but nothing in it says which array is which. Ids and segments are both whole numbers, and
# exchanged they would run. So our model refuses it.

# %%
# NBVAL_CHECK_OUTPUT
if folder:
    by_name, by_place = in_keras(inputs), in_keras(batch.ids, batch.mask, batch.segment_ids)
    print("a dict gives what three arguments give:", bool(ops.all(by_name == by_place)))
    try:
        in_keras((batch.ids, batch.segment_ids, batch.mask))
    except ValueError as error:
        print("ValueError:", error)

# %% [markdown]
# Now the mask. In PyTorch it is yours: you pass it to every function that needs it. Keras carries it along, fastened to the
# tensor. Layers that know about masks use it and hand it on. So a sentence vector needs no mask of its own:
#
# **Predict.** The third text has the most padding. Three ways to average its vectors are below. Which two agree?

# %%
# NBVAL_CHECK_OUTPUT
if folder:
    output = in_keras(inputs)
    average = keras.layers.GlobalAveragePooling1D()
    by_hand = ops.convert_to_numpy(output)[2, real[2]].mean(axis=0)
    for name, means in {"output":       average(output),
                        "output * 1.0": average(output * 1.0),
                        "Dropout(0.1)(output), not in training": average(keras.layers.Dropout(0.1)(output))}.items():
        print(f"{name:38} the mean of the real tokens: {bool(np.allclose(means[2], by_hand, atol=1e-5))}")

# %% [markdown]
# The second one is wrong, and nothing says so. `output * 1.0` is a new tensor of TensorFlow, and TensorFlow knows nothing of
# Keras's masks. A layer (`Dropout`) hands the mask on, a bare operation drops it, and `GlobalAveragePooling1D` then averages
# the padding, too. `ops.*` are bare operations as well.
#
# Keras's losses look for the mask in the same place. The logits of `BertForTokenClassification` carry it, so padding does not
# count in the loss or the accuracy of `fit`. The logits for whole texts have no length axis, and carry none.
#
# ## 5. Graphs, and what a new length costs
#
# PyTorch runs line after line. TensorFlow's `fit` *records* the step once, as a graph, and replays it. While it records, it
# runs the Python code of `call`; while it replays, it does not. So we can count how often it records: we count the calls.
#
# On top of that, `compile` has a switch. With `jit_compile=True`, XLA compiles the graph to machine code. The default
# is `"auto"`: on TensorFlow Keras then uses XLA where there is a GPU or TPU, and does not on a machine that has only a
# CPU.
#
# **Predict.** Six batches of lengths 16, 24, 32, 16, 24 and 32. How often is the graph recorded? And which of the six steps
# are slow, with XLA and without?

# %%
LENGTHS = [16, 24, 32, 16, 24, 32]
small = ck.BertConfig(vocab_size=200, d_model=32, n_layers=1, n_heads=4, d_ff=64, max_length=32)


def six_steps(jit_compile):
    """For each batch: how often `call` ran, and the seconds of the step."""
    model, calls, measured = ck.BertForSequenceClassification(small), [], []
    call = model.call
    model.call = lambda *given, **named: calls.append(1) or call(*given, **named)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                  jit_compile=jit_compile)
    for length in LENGTHS:
        calls.clear()
        started = time.perf_counter()
        model.train_on_batch({"ids": np.ones((8, length), int)}, np.ones(8, int))
        measured.append({"length": length, "calls": len(calls), "seconds": time.perf_counter() - started})
    return measured


plain, with_xla = six_steps(jit_compile=False), six_steps(jit_compile=True)

# %%
rows = [{"length": a["length"], "calls": a["calls"], "plain": a["seconds"], "xla_calls": b["calls"],
         "xla": b["seconds"]} for a, b in zip(plain, with_xla)]
results.table(rows, {"length": "{length:d}", "graph: calls": "{calls:d}", "graph: seconds": "{plain:.3f}",
                     "XLA: calls": "{xla_calls:d}", "XLA: seconds": "{xla:.3f}"},
              "Six steps of a BERT with one layer of 32 units, one after the other (live).")

# %%
# NBVAL_CHECK_OUTPUT
print("calls, graph:", [row["calls"] for row in plain])
print("calls, XLA:  ", [row["calls"] for row in with_xla])
for name, measured in (("graph", plain), ("XLA", with_xla)):
    again = np.median([row["seconds"] for row in measured[3:]])
    slow = [row["length"] for row in measured[:3] if row["seconds"] > 30 * again]
    print(f"{name + ',':6} 30 times as slow as the later steps, or more: the first batches of lengths {slow}")

# %% [markdown]
# - **First batch.** `call` runs twice: once with placeholders, so that Keras learns the shapes, once to record.
# - **Second length.** It is recorded anew. But TensorFlow has learned: this time it records a graph for *any* length. The
#   third length needs nothing.
# - **XLA** compiles for exact shapes. The third length costs no recording, and still it is slow: it is compiled. Every new
#   length will be.
#
# For the model with 6 layers of 384 units, measured beforehand:

# %%
results.stored_table("fine_tuning_keras_lengths")

# %% [markdown]
# A step takes about a fifth of a second, recording or compiling for a new length 8 to 17 seconds: about as long as a
# whole epoch of the training in the next section. That decides what to do with texts of different length:
#
# - *Without XLA*, cut every batch after its longest row, as in lecture 12. One graph serves all.
# - *With XLA* (on GPUs it often pays off, and on TPUs there is nothing else) allow few lengths, and pad to the next of
#   them.
# - *Pad everything to one length* if you must. Then most of the work is padding:

# %%
def padding_of(lengths):
    """The share of padding, and the number of different lengths."""
    batches = ck.Batches(inputs_of["train"], labels["train"], batch_size=16, lengths=lengths)
    masks = [batches[place][0]["mask"] for place in range(len(batches))]
    share = 1 - sum(mask.sum() for mask in masks) / sum(mask.size for mask in masks)
    return share, len({mask.shape[1] for mask in masks})


# %%
if folder:
    splits = {split: reviews(split) for split in ("train", "test", "unseen")}
    splits["train"] = splits["train"][:800]
    labels = {split: np.array([row.label for row in rows]) for split, rows in splits.items()}
    inputs_of = {split: tokenizer.encode_batch([row.text for row in rows])._asdict()
                 for split, rows in splits.items()}
    longest = inputs_of["train"]["mask"].shape[1]
    padding = {"each batch its own length": padding_of(None),
               "three lengths": padding_of((16, 24, longest)), "one length": padding_of((longest,)),
               "one length, 128": (1 - inputs_of["train"]["mask"].sum() / (800 * 128), 1)}
    results.table([{"way": way, "share": share, "shapes": shapes} for way, (share, shapes) in padding.items()],
                  {"way": "{way}", "share of padding": "{share:.0%}", "different lengths": "{shapes:d}"},
                  "800 product reviews in batches of 16 with rows of like length (live).")

# %%
# NBVAL_CHECK_OUTPUT
if folder:
    shares = [share for share, _ in padding.values()]
    print("each way has more padding than the one before:", shares == sorted(shares))
    print("own length: below 10 %:", shares[0] < 0.1, "  three lengths: below 30 %:", shares[1] < 0.3,
          "  128: above 80 %:", shares[3] > 0.8)

# %% [markdown]
# `ck.Batches` sorts the rows of twenty batches by length, cuts each batch, and shuffles again after every epoch. It is a
# `keras.utils.PyDataset`, so it works on any backend. (One trap it takes care of: with TensorFlow, Keras looks at the first
# two batches and takes what they have in common for what *all* have. Two batches of length 20 at the start, and the first one
# of length 24 stops the training. So it puts the longest batch and the shortest first.)

# %% [markdown]
# ### Exercise 13.few_lengths: What few lengths cost
#
# Difficulty ●●●○○ (3 of 5), about 15 minutes, 3 points
#
# A compiler that starts anew for each length is given few of them: every batch is padded to the smallest of `lengths`
# that its longest row fits in. Write `few_lengths`: the length of each batch, and the share of all places that is
# padding. Each row of `tokens` is one batch, and its numbers are how many tokens its rows have.

# %%
import numpy as np


def few_lengths(tokens, lengths):
    """length (batches,), whole numbers, and the share of padding, a number; tokens (batches, rows), lengths in any
    order."""
    ...

# %%
coursekit.check("13.few_lengths")

# %% [markdown]
# ## 6. Fine-tuning with `fit`
#
# The task is that of lecture 12: is a product review for or against? We train on 800 of its reviews, for three epochs. Two
# tests: reviews written by hand, and reviews with adjectives that training never shows. The recipe has the form of that of lecture 12,
# with fewer reviews, more epochs and a lower rate: batches of 16, the word embeddings frozen, AdamW. In the first tenth of the steps the learning rate rises to its
# highest value, then it falls in a straight line; with steps counted from 1,
#
# $$\text{rate}(\text{step}) = \text{highest} \cdot \min\left(\frac{\text{step}}{\text{warm-up}},
# \frac{\text{steps} + 1 - \text{step}}{\text{steps} + 1 - \text{warm-up}}\right).$$
#
# Four settings are easily missed when a recipe moves from PyTorch to Keras:
#
# | Setting | PyTorch | Keras |
# |---|---|---|
# | the first step is | step 1 of the schedule | count 0 |
# | Adam's epsilon | 1e-8, after the bias correction | 1e-7, before it |
# | no decay for biases and norms | groups of parameters | `exclude_from_weight_decay`, before the first step |
# | clipping the whole gradient | `clip_grad_norm_` | `global_clipnorm` (`clipnorm` clips each variable alone) |

# %%
EPOCHS, BATCH_SIZE, RATE = 3, 16, 2e-4


def compiled(model, steps, jit_compile=False):
    """As PyTorch's `fit` trains: AdamW with its epsilon, and no decay of biases and norms."""
    optimizer = keras.optimizers.AdamW(ck.LinearDecay(RATE, -(-steps // 10), steps), weight_decay=0.01,
                                       global_clipnorm=1.0, epsilon=1e-8)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                  metrics=["accuracy"], jit_compile=jit_compile)
    return model


# %%
if folder:
    coursekit.seed_everything(0)
    model = ck.BertForSequenceClassification.from_pretrained(n_classes=2)
    model.bert.token_embedding.trainable = False
    steps = EPOCHS * -(-len(labels["train"]) // BATCH_SIZE)
    compiled(model, steps)
    learned = sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)
    print(f"{learned:,} of {model.count_params():,} numbers are trained, in {steps} steps")

# %% [markdown]
# A *callback* is an object whose methods `fit` calls on its way: after a batch, after an epoch. `Progress` draws the course's
# bar. The second one here asks the model the same two questions after every epoch. They have the same words:

# %%
MIRRORED = ["The camera quality is excellent, but the battery life is disappointing.",
            "The camera quality is disappointing, but the battery life is excellent."]


class Ask(keras.callbacks.Callback):
    """Keeps the probability of "for" of some texts after every epoch."""

    def __init__(self, texts):
        super().__init__()
        self.inputs, self.answers = tokenizer.encode_batch(texts)._asdict(), []

    def on_epoch_end(self, epoch, logs=None):
        self.answers.append(ops.convert_to_numpy(ops.softmax(self.model(self.inputs))[:, 1]))


# %% [markdown]
# **Predict.** A bag of words sees no difference between the two sentences. Which of them is for? And when will the model know:
# after the first epoch, or only after the third?

# %%
if folder:
    ask = Ask(MIRRORED)
    train = ck.Batches(inputs_of["train"], labels["train"], BATCH_SIZE)
    history = model.fit(train, epochs=EPOCHS, verbose=0, callbacks=[ck.Progress(), ask])
    results.table([{"epoch": epoch, "loss": loss, "accuracy": accuracy, "first": first, "second": second}
                   for epoch, (loss, accuracy, (first, second)) in enumerate(zip(
                       history.history["loss"], history.history["accuracy"], ask.answers), 1)],
                  {"epoch": "{epoch:d}", "loss": "{loss:.2f}", "accuracy in training": "{accuracy:.1%}",
                   "camera good, battery bad": "{first:.2f}", "camera bad, battery good": "{second:.2f}"},
                  "Means of each epoch, and the probability of “for” after it (live, one seed).")

# %% [markdown]
# When we ran this it knew after the first epoch already: *for* is the second one, whose battery life is excellent. Why
# the second? Both praise one thing and blame another, and what comes after *but* has the last word.
#
# Now the two tests. The first baseline is the more frequent label, which is right for half of the reviews.

# %%
if folder:
    right_share = {}
    for split in ("test", "unseen"):
        logits = model.predict(inputs_of[split], batch_size=64, verbose=0)
        right_share[split] = (logits.argmax(axis=1) == labels[split]).mean()
        print(f"{split:8} {right_share[split]:.1%} right, "
              f"the more frequent label {max(np.bincount(labels[split])) / len(labels[split]):.1%}")

# %%
# NBVAL_CHECK_OUTPUT
if folder:
    losses = history.history["loss"]
    print("loss falls from epoch to epoch:          ", losses == sorted(losses, reverse=True))
    print("written by hand, above 75 %:             ", bool(right_share["test"] > 0.75))
    print("unseen adjectives, above 75 %:           ", bool(right_share["unseen"] > 0.75))

# %% [markdown]
# One seed says little about a difference of a few percent. Six seeds for what is fine-tuned, measured beforehand, with PyTorch
# beside Keras, the same reviews and the same recipe:

# %%
results.stored_table("fine_tuning_keras")

# %% [markdown]
# The three fine-tuned rows lie within one and a half points of each other in both tests, and every row's seeds lie
# further apart than that. All of them are far above the baselines: a bag of words cannot judge these reviews, a frozen
# BERT hardly can, and the same network without its pretrained weights learns nothing in 150 steps. (Its word embeddings
# were frozen as well, as they were drawn.)
#
# Why six seeds, and not three as elsewhere in the course?

# %%
# NBVAL_CHECK_OUTPUT
stored_rows, _ = results.load("fine_tuning_keras")
for name in ("Keras on TensorFlow, fine-tuned", "Keras on PyTorch, fine-tuned", "PyTorch, fine-tuned"):
    shares = np.array([row["test"] for row in stored_rows if row["model"] == name])
    three = shares[:3]
    print(f"{name:32} first three seeds: {three.mean():.1%} ({three.min():.1%} to {three.max():.1%})   "
          f"all six: {shares.mean():.1%}")

# %% [markdown]
# After three seeds it looked as if PyTorch were better than Keras on PyTorch: no seed of the one reached any seed of
# the other. Three more, and nothing is left of it. The test has 140 reviews, so one review is 0.7 points, and the
# standard error of a share of 90 % is $\sqrt{0.9 \cdot 0.1 / 140}$, 2.5 points. A difference of a few points between
# two models needs more than three seeds, and better more test reviews, before it is worth a sentence.
#
# Is the recipe the same, then? No table can prove it. Each run draws a new head, another order of the reviews, and at every
# step the units that dropout leaves out, and no two frameworks draw alike. So take the drawing away: the same weights, the
# same batches, no dropout. Then the losses must be the same, step by step.
#
# **Predict.** A second run in Keras has `clipnorm` in place of `global_clipnorm`. Does that one word show in four steps?

# %%
def steps_in_torch(model, batches):
    """The loss before each step."""
    optimizer, rate, losses = ct.training.adamw(model, 1.0, 0.01), ct.linear_decay(3e-3, 2, 4), []
    for step, (given, wanted) in enumerate(batches, 1):
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(torch.from_numpy(given)), torch.from_numpy(wanted))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.2)
        optimizer.step()
        losses.append(loss.item())
    return np.array(losses)


def steps_in_keras(model, batches, **clipping):
    optimizer = keras.optimizers.AdamW(ck.LinearDecay(3e-3, 2, 4), weight_decay=0.01, epsilon=1e-8,
                                       **clipping)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True), run_eagerly=True)
    return np.array([model.train_on_batch(given, wanted) for given, wanted in batches])


# %%
# NBVAL_CHECK_OUTPUT
coursekit.seed_everything(0)
still = dataclasses.replace(small, dropout=0.0)
twins = [framework.BertForSequenceClassification(still) for framework in (ct, ck, ck)]
for twin in twins[1:]:
    weights.copy(twins[0], twin)
random = np.random.default_rng(0)
batches = [(random.integers(200, size=(16, 12)), random.integers(2, size=16)) for _ in range(4)]
expected = steps_in_torch(twins[0], batches)
for twin, clipping in zip(twins[1:], ({"global_clipnorm": 0.2}, {"clipnorm": 0.2})):
    gap = np.abs(steps_in_keras(twin, batches, **clipping) - expected)
    print(f"{next(iter(clipping)):15} first loss within 0.00001: {bool(gap[0] < 1e-5)}, "
          f"all four within 0.0003: {bool(gap.max() < 3e-4)}")

# %% [markdown]
# With the same recipe the losses are the same within 0.0003, and one word makes another training of it. So what
# separates the rows of the table is what was drawn, and the recipe is not to blame.

# %% [markdown]
# ### Exercise 13.rate_of_count: The learning rate, counted from 0
#
# Difficulty ●●●○○ (3 of 5), about 12 minutes, 3 points
#
# Write `rate_of_count`, the rate of `linear_decay` for Keras. Keras asks for the rate of the *count* of steps that are
# done: 0 before the first step, 1 before the second. `counts` has whole numbers; after the last step the rate is 0.

# %%
import numpy as np


def rate_of_count(counts, highest, warm_up_steps, steps):
    """The rates (counts,) for counts (counts,), whole numbers from 0; warm_up_steps and steps are whole numbers."""
    ...

# %%
coursekit.check("13.rate_of_count")

# %% [markdown]
# ## 7. Saved, and loaded into the other framework
#
# `model.save` writes one `.keras` file: the settings, the weights, the optimizer. `keras.models.load_model` builds the model
# from it, as long as the class is known: that is what `get_config` and `register_keras_serializable` in our classes are for.
#
# **Predict.** We froze the word embeddings. Are they frozen in the model that comes out of the file? And has the optimizer
# kept its 150 steps?

# %%
# NBVAL_CHECK_OUTPUT
if folder:
    place = tempfile.TemporaryDirectory()
    path = Path(place.name) / "reviews.keras"
    model.save(path)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        loaded = keras.models.load_model(path)
    asked = tokenizer.encode_batch(MIRRORED)._asdict()
    logits = ops.convert_to_numpy(model(asked))
    print("the same logits:            ", bool(ops.all(loaded(asked) == logits)))
    print("word embeddings frozen:     ", not loaded.bert.token_embedding.trainable)
    print("steps that the optimizer did:", int(loaded.optimizer.iterations), "of", int(model.optimizer.iterations))
    print("warning:", [str(one.message).split(",")[0] for one in said if "optimizer" in str(one.message)])

# %% [markdown]
# Twice no. The file has the switch of the model as a whole, and none for the parts inside a model of one's own class. So the
# loaded model is not frozen, its optimizer is built for one table more than was saved, and Keras drops what Adam had
# gathered, with a warning that is easily overlooked.
#
# To *use* the model that does not matter. To go on training after a break, give `fit` the callback
# `keras.callbacks.BackupAndRestore`: then your own code builds and freezes the model, and the callback fills it.
#
# A `.keras` file is for Keras. `save_pretrained` writes what transformers and `coursekit.torch` read. Trained in Keras, used
# in PyTorch:

# %%
# NBVAL_CHECK_OUTPUT
if folder:
    model.save_pretrained(Path(place.name) / "reviews")
    in_torch_now = ct.BertForSequenceClassification.from_pretrained(Path(place.name) / "reviews")
    with torch.no_grad():
        of_torch = in_torch_now(*map(torch.from_numpy, (asked["ids"], asked["mask"], asked["segment_ids"])))
    print("files:", sorted(file.name for file in (Path(place.name) / "reviews").iterdir()))
    print("PyTorch gives the same logits to 0.00001:", bool(np.abs(of_torch.numpy() - logits).max() < 1e-5))

# %% [markdown]
# ## 8. The other backend
#
# Keras 3 computes with TensorFlow, PyTorch or JAX. Our classes use `keras.ops` alone, so they should not care. But a process
# has one backend, chosen when Keras is imported. To try the other one we need another process. It loads the same `.keras`
# file, and we hand it the same two reviews.

# %%
ON_TORCH = """
import sys, keras, numpy as np
from coursekit import keras as ck
model = keras.models.load_model(sys.argv[1])
asked = dict(np.load(sys.argv[2]))
np.save(sys.argv[3], keras.ops.convert_to_numpy(model(asked)))
print(keras.backend.backend(), type(model.bert.pooler.kernel.value).__module__)
"""
if folder:
    files = [str(Path(place.name) / name) for name in ("reviews.keras", "asked.npz", "logits.npy")]
    np.savez(files[1], **asked)
    child = subprocess.run([sys.executable, "-c", ON_TORCH, *files], capture_output=True, text=True,
                           env={**os.environ, "KERAS_BACKEND": "torch"})

# %%
# NBVAL_CHECK_OUTPUT
if folder:
    print("this process: ", keras.backend.backend())
    print("the other one:", child.stdout.strip() or child.stderr)
    print("the same logits to 0.00001:", bool(np.abs(np.load(files[2]) - logits).max() < 1e-5))
    place.cleanup()

# %% [markdown]
# The same file, the same class, the same numbers. In the table of section 6 one row was fine-tuned on this backend. There the
# weights are PyTorch's parameters, `fit` runs line after line, and nothing is recorded or compiled.
#
# What does not carry over is speed, and precision in float64: on the PyTorch backend some of Keras's own layers compute in
# float32 whatever you ask for. The test of section 1 shows it; we ran it on TensorFlow for that reason.
#
# ## 9. Other people's layers
#
# A last look at names and shapes. Both libraries have an attention layer of their own, and models in the wild are built from
# those. How do *they* keep the weights of query, key and value?

# %%
# NBVAL_CHECK_OUTPUT
of_keras = keras.layers.MultiHeadAttention(num_heads=12, key_dim=32)
of_keras.build((None, None, 384), (None, None, 384))
of_torch = torch.nn.MultiheadAttention(384, 12, batch_first=True)
print("coursekit.torch, each of three:", tuple(ct.MultiHeadAttention(384, 12).query_projection.weight.shape))
print("torch.nn, all three in one:    ", tuple(of_torch.in_proj_weight.shape))
print("keras.layers, each of three:   ", tuple(of_keras.query_dense.kernel.shape))
weights.copy(of_torch, of_keras)
x = np.random.default_rng(0).normal(size=(2, 5, 384)).astype("float32")
theirs = of_torch(*[torch.from_numpy(x)] * 3, need_weights=False)[0].detach().numpy()
print("the same after weights.copy:   ", bool(np.abs(ops.convert_to_numpy(of_keras(x, x)) - theirs).max() < 1e-5))

# %% [markdown]
# ### Exercise 13.packed_heads: Three projections in one matrix
#
# Difficulty ●●●●○ (4 of 5), about 20 minutes, 4 points
#
# torch.nn.MultiheadAttention keeps its three projections in one weight (3 · d_model, d_model): the outputs of the
# query, then those of the key, then those of the value, and each of these has one head after the other.
# keras.layers.MultiHeadAttention wants three kernels (d_model, heads, d_head): inputs first, and the heads on an axis
# of their own. Write `unpack`, which gives the three kernels of a packed weight.

# %%
def unpack(packed, heads):
    """Kernels of query, key and value, each (d_model, heads, d_head), from packed (3 · d_model, d_model)."""
    ...

# %%
coursekit.check("13.packed_heads")

# %% [markdown]
# ## Summary
#
# - Two right implementations differ by rounding. In float64 rounding is about $10^9$ times smaller, and a mistake is
#   not.
# - Weights travel by name. A kernel of Keras is the transpose of a weight of PyTorch, and a view that is saved as it lies in
#   memory is scrambled. Square matrices raise no error.
# - Compare after every layer. The first that differs says where to look, and often at what.
# - In Keras the inputs are one dict. The mask is fastened to the tensor: layers hand it on, bare operations drop it.
# - TensorFlow records a graph, here twice at most, and XLA compiles anew for each length. Cut batches to their own
#   length without XLA, and to few lengths with it.
# - With the same recipe, down to Adam's epsilon and the first step, Keras gets where PyTorch gets.
# - A `.keras` file keeps settings, weights and optimizer, but not which inner parts were frozen, and then it loses the
#   optimizer, too. `save_pretrained` takes the model to PyTorch.
#
# ## Further reading
#
# - J. Devlin, M.-W. Chang, K. Lee, K. Toutanova. *BERT: Pre-training of Deep Bidirectional Transformers for Language
#   Understanding.* NAACL 2019. [arXiv:1810.04805](https://arxiv.org/abs/1810.04805). Appendix A has the recipe of
#   fine-tuning.
# - F. Chollet and others. *Keras 3.* [keras.io/keras_3](https://keras.io/keras_3/). Backends, `keras.ops`, and
#   [masking and padding](https://keras.io/guides/understanding_masking_and_padding/).
# - TensorFlow. *Better performance with tf.function.*
#   [tensorflow.org/guide/function](https://www.tensorflow.org/guide/function). When a graph is recorded anew; and
#   [XLA](https://openxla.org/xla).
# - D. Goldberg. *What Every Computer Scientist Should Know About Floating-Point Arithmetic.* ACM Computing
#   Surveys 23, 1991. Why sums depend on their order.
# - M. Mosbach, M. Andriushchenko, D. Klakow. *On the Stability of Fine-tuning BERT.* ICLR 2021.
#   [arXiv:2006.04884](https://arxiv.org/abs/2006.04884). Why seeds differ so much, and what small settings do.
# - T. Zhang, F. Wu, A. Katiyar, K. Q. Weinberger, Y. Artzi. *Revisiting Few-sample BERT Fine-tuning.* ICLR 2021.
#   [arXiv:2006.05987](https://arxiv.org/abs/2006.05987). What it cost that the optimizer published with BERT left out
#   Adam's bias correction.
# - N. Reimers, I. Gurevych. *Sentence-BERT: Sentence Embeddings using Siamese BERT-Networks.* EMNLP 2019.
#   [arXiv:1908.10084](https://arxiv.org/abs/1908.10084). The family of models that all-MiniLM-L6-v2 belongs to.
