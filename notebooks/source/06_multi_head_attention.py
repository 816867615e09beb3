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
# # 06 · Multi-head attention
#
# [![Open in Colab](attachment:open_in_colab.png)](https://colab.research.google.com/github/coursekit/coursekit/blob/main/notebooks/06_multi_head_attention.ipynb)
#
# In lecture 05 every token had one query, one row of weights and one mixture of values. GPT-3 has 96 such rows for each
# token, side by side, in each of its layers. Why so many, what does each see, and how are they put together?
#
# **You will be able to**
#
# - say what one head cannot do, and show it by training;
# - split a layer into heads and merge them again, and recognise the two mistakes that no shape check finds;
# - say what the output projection is for, and count the learned numbers;
# - move weights and masks between PyTorch, Keras and this course, and test that the layers agree;
# - measure what the heads of a real BERT look at, without picking cherries.
#
# **Time** about 100 minutes of reading and trying; about 40 seconds of computing on two CPU cores. No GPU is needed.
#
# **You need** lecture 05 (queries, keys, values, scaling, masks).
#
# **Exercises** stand at the ends of sections. Put your answer in place of `...`, run the cell and the one below it:
# `coursekit.check` says whether it is right, and if not, which mistake it is. `coursekit.hint("06.split_heads")` and
# `coursekit.solution("06.split_heads")` help on, `coursekit.progress()` shows what you have done. No other cell needs your
# answers.

# %%
try:
    import coursekit
except ImportError:  # a fresh Colab: whatever it has (numpy, torch, tensorflow) stays as it is
    # %pip install --quiet --no-deps git+https://github.com/coursekit/coursekit
    import coursekit

coursekit.start(seed=0, threads=1)

# %%
import os

os.environ["KERAS_BACKEND"] = "tensorflow"  # read when Keras is imported

import keras
import numpy as np
import tensorflow as tf
import torch
from matplotlib.figure import Figure
from torch import nn
from torch.nn import functional as F

from coursekit import keras as ck
from coursekit import plots, pretrained, reference, results, weights
from coursekit import torch as ct
from coursekit.datasets.look_up import look_up
from coursekit.text import WordPiece

np.set_printoptions(precision=4, suppress=True, floatmode="fixed")

# %% [markdown]
# ## 1. One row of weights, one mean
#
# A head gives each query one row of weights. They are positive and sum to 1, so the context is a weighted *mean* of the
# values.
#
# Suppose a list says that A has the digit 3 and B has the digit 8, and somebody asks two kinds of questions:
#
# - *sum*: is A's digit plus B's above 9?
# - *compare*: is A's digit larger than B's?
#
# A single head looks half at A and half at B. The value of each item is its digit.
#
# **Predict.** For which of the two questions is the context enough?

# %%
# NBVAL_CHECK_OUTPUT
half = np.array([0.5, 0.5])
for digits in ([3, 8], [8, 3], [5, 6]):
    a, b = digits
    print(f"A {a}, B {b}: context {half @ digits:.1f}   sum above 9: {a + b > 9}   A larger: {a > b}")

# %% [markdown]
# The mean is 5.5 three times. Twice the mean is the sum, so the first question is answered. The second has two answers for
# the same context: who had the 3 and who had the 8 is gone. Other weights do not save it. With 0.6 and 0.4 the context of
# (3, 8) is 5.0, and so is that of (7, 2), where A has the larger one.
#
# Two heads settle it: one looks at A, the other at B, and whatever comes after them sees both numbers apart.

# %%
# NBVAL_CHECK_OUTPUT
for digits in ([3, 8], [8, 3], [5, 6]):
    head_1, head_2 = np.array([1, 0]) @ digits, np.array([0, 1]) @ digits
    print(f"contexts {head_1} and {head_2}, difference {head_1 - head_2:+d}")

# %% [markdown]
# ## 2. Does training find it?
#
# The task as data: a list of six items, each a letter of eight with a digit of ten, in any order. The query names two
# letters, a first and a second. Everything is one-hot, 24 numbers for each row, so there are no embeddings to learn.

# %%
# NBVAL_CHECK_OUTPUT
rows, answers = look_up(3, "compare", seed=5)
print("rows", rows.shape, " answers", answers.shape)
for row, answer in zip(rows, answers):
    letters, digits = row[1:, :8].argmax(-1), row[1:, 8:18].argmax(-1)
    items = " ".join(f"{'ABCDEFGH'[letter]}{digit}" for letter, digit in zip(letters, digits))
    first, second = "ABCDEFGH"[row[0, :8].argmax()], "ABCDEFGH"[row[0, 8:16].argmax()]
    print(f"{items}   is {first}'s digit larger than {second}'s? {'yes' if answer else 'no'}")

# %% [markdown]
# The model is one attention layer and a linear read-out. The number of heads is all that we vary. `ct.MultiHeadAttention` is
# the layer that we take apart in the next sections; its width stays 24, so more heads are narrower heads.

# %%
class LookUp(nn.Module):
    """Row 0 attends to the other rows; a linear layer reads the answer off what comes out."""

    def __init__(self, n_heads):
        super().__init__()
        self.attention = ct.MultiHeadAttention(24, n_heads)
        self.answer = nn.Linear(24, 1)

    def forward(self, rows, mask=None):
        return self.answer(self.attention(rows[:, :1], rows[:, 1:], mask=mask))[:, 0, 0]


def accuracy(logits, answers):
    return ((logits > 0) == (answers > 0.5)).float().mean()


def tensors(n, seed):
    return tuple(map(torch.from_numpy, look_up(n, "compare", seed)))


# %% [markdown]
# What does somebody get who looks at one of the two letters only? If a model knows only the first digit, $a$, its best guess
# is "yes" when $a$ is 5 or more.

# %%
# NBVAL_CHECK_OUTPUT
pairs = [(a, b) for a in range(10) for b in range(10) if a != b]
one_digit = np.mean([(a > b) == (a >= 5) for a, b in pairs])
print(f"guessing 0.500, reading one of the two digits {one_digit:.3f}")

# %% [markdown]
# **Predict.** One head and two heads have the same number of weights. Where will each of them end up?

# %%
training, validation, test = tensors(8000, 0), tensors(1000, 1), tensors(5000, 2)
models, curves = {}, {}
for n_heads in (1, 2):
    coursekit.seed_everything(0)
    models[n_heads] = LookUp(n_heads)
    history = ct.fit(models[n_heads], training, validation, epochs=20, batch_size=100, learning_rate=0.01,
                     loss=F.binary_cross_entropy_with_logits, metrics=(accuracy,),
                     stop=ct.reached("val_accuracy", 0.995))
    curves["1 head" if n_heads == 1 else "2 heads"] = history["val_accuracy"]

curves |= {"guessing": [0.5] * 20, "reading one digit": [one_digit] * 20}
plots.curves(curves, xlabel="epoch", ylabel="share of validation answers right", limits=(0, 1.03),
             title="Which of two digits is larger, one seed",
             alt="Learning curves. Two heads reach nearly 1 within about 4 epochs and stop. One head "
                 "creeps up to between 0.8 and 0.9 in 20 epochs. Lines mark guessing at 0.5 and "
                 "reading one digit at 0.78.")

# %%
# NBVAL_CHECK_OUTPUT
for n_heads, model in models.items():
    right = accuracy(model(test[0]), test[1]).item()
    numbers = sum(parameter.numel() for parameter in model.parameters())
    print(f"heads {n_heads}, {numbers} learned numbers: right at least 0.98: {right >= 0.98}, "
          f"at most 0.92: {right <= 0.92}")

# %% [markdown]
# Where do the heads look? For each head the mean weight on the item of the first letter and on that of the second. Six even
# weights would be 0.17 each.

# %%
def where(model, rows):
    """Mean weight of each head on the first letter's item and on the second's: (heads, 2)."""
    _, attended = model.attention(rows[:, :1], rows[:, 1:], return_weights=True)
    items = rows[:, 1:, :8]
    asked = torch.stack([(rows[:, :1, part] * items).sum(-1) for part in (slice(8), slice(8, 16))], dim=-1)
    return torch.einsum("bhi,bia->ha", attended[:, :, 0], asked).detach() / len(rows)


table = [{"model": "even weights", "head": "–", "first": 1 / 6, "second": 1 / 6}]
for n_heads, model in models.items():
    for head, (first, second) in enumerate(where(model, test[0]).tolist()):
        table.append({"model": f"{n_heads} head{'s' * (n_heads > 1)}", "head": str(head), "first": first,
                      "second": second})
results.table(table, {"model": "{model}", "head": "{head}", "on the first letter's item": "{first:.2f}",
                      "on the second's": "{second:.2f}"}, "Mean weights, 5,000 test rows, one seed (live).")

# %%
# NBVAL_CHECK_OUTPUT
single, pair = where(models[1], test[0])[0], where(models[2], test[0])
print("1 head:  both weights between 0.25 and 0.55:", bool(((single > 0.25) & (single < 0.55)).all()))
print("2 heads: each item has its own head, at least 0.55:", bool((pair.max(0).values > 0.55).all()),
      "and the heads differ:", bool(pair[:, 0].argmax() != pair[:, 1].argmax()))

# %% [markdown]
# With two heads each has taken one of the letters. Nobody assigned them. The single head shares its weight between both
# items, and its context is a mixture.
#
# One head still does better than a reader of one digit. Its two weights are not quite equal, and the values of the digits
# are learned, so a little of "who had which" can be smuggled through the mixture. A test: exchange the two letters in the
# query. The right answer always changes.

# %%
# NBVAL_CHECK_OUTPUT
exchanged = test[0].clone()
exchanged[:, 0, :8], exchanged[:, 0, 8:16] = test[0][:, 0, 8:16], test[0][:, 0, :8]
for n_heads, model in models.items():
    flipped = ((model(exchanged) > 0) != (model(test[0]) > 0)).float().mean().item()
    print(f"heads {n_heads}: answers that change: at least 0.98: {flipped >= 0.98}, at most 0.90: {flipped <= 0.90}")

# %% [markdown]
# Is that one unlucky seed? Here are three seeds each, for all three questions of the task, made by `benchmarks/heads.py`.
# *One* asks about the first letter alone: is its digit above 4?

# %%
look_ups, about = results.load("heads_look_up")
baseline = {"one": 0.5, "sum": 5 / 9, "compare": 0.5}
rows = [dict(question=question, n_heads="guessing", readout="–") |
        dict.fromkeys(("accuracy", "accuracy_low", "accuracy_high"), share) for question, share in baseline.items()]
rows += results.over_seeds(look_ups, about["by"])
results.table(sorted(rows, key=lambda row: list(baseline).index(row["question"])),
              {"question": "{question}", "heads": "{n_heads}", "after attention": "{readout}",
               "answers right": "{accuracy:.1%}", "lowest seed": "{accuracy_low:.1%}",
               "highest seed": "{accuracy_high:.1%}"},
              "5,000 test rows, mean of three seeds (stored), width 24 throughout, at most 40 epochs.")

# %%
# NBVAL_CHECK_OUTPUT
compare = [row for row in look_ups if row["question"] == "compare"]
easy = [row for row in look_ups if row["question"] != "compare"]
print(f"one and sum, {len(easy)} runs: at least 0.98:", min(row["accuracy"] for row in easy) >= 0.98)
for several in (False, True):
    shares = [row["accuracy"] for row in compare if (row["n_heads"] > 1) == several]
    print(f"compare, {'several heads' if several else 'one head'}, {len(shares)} runs: "
          f"at least 0.98: {min(shares) >= 0.98}, at most 0.90: {max(shares) <= 0.90}")

# %% [markdown]
# Read the table by question. For *one* and *sum* a single head is as good as eight. For *compare* the step from one head to
# two is everything, and a feed-forward network after a single head does not make up for it: it can only work with what the
# mean has kept.
#
# So the claim "more heads are better" is too simple. Heads help where one token needs several things from several places.
# What the table does not show: whether a real text asks for that. Section 8 looks.

# %% [markdown]
# ## 3. Cutting vectors into heads
#
# How does one layer hold several heads? It does not store several layers. It projects once, and cuts the projected vector
# into blocks of neighbouring units, one block for each head. With `d_model` $D$ and $H$ heads, each head has $D / H$ units.
#
# Shapes by hand, with every dimension different: batch 4, length 5, $D = 6$, $H = 2$, so `d_head` is 3.
#
# | step | shape | with numbers |
# |---|---|---|
# | input $x$ | (batch, length, d_model) | (4, 5, 6) |
# | $q = x W_q^\top$, and $k$, $v$ alike | (batch, length, d_model) | (4, 5, 6) |
# | cut the last axis | (batch, length, heads, d_head) | (4, 5, 2, 3) |
# | heads before time | (batch, heads, length, d_head) | (4, 2, 5, 3) |
# | scores $q k^\top / \sqrt{3}$ | (batch, heads, queries, keys) | (4, 2, 5, 5) |
# | contexts, weights times $v$ | (batch, heads, queries, d_head) | (4, 2, 5, 3) |
# | heads back, after time | (batch, queries, heads, d_head) | (4, 5, 2, 3) |
# | side by side | (batch, queries, d_model) | (4, 5, 6) |
# | output projection $W_o$ | (batch, queries, d_model) | (4, 5, 6) |
#
# The slides have vectors of size 64 and divide the scores by 8: that is the paper's $D = 512$ cut into 8 heads, and
# $8 = \sqrt{64}$. The book and the slides stack the heads *vertically*, since a token is a column there. In code a token is
# a row, and the heads stand side by side. It is the same layer, transposed.

# %%
plots.flow({"x": (0, 1, "x\n(4, 5, 6)"), "q": (1, 2, "q\n(4, 5, 6)"), "k": (1, 1, "k\n(4, 5, 6)"),
            "v": (1, 0, "v\n(4, 5, 6)"),
            "head 0": (2.1, 1.6, "head 0\nq, k, v (4, 5, 3)"), "head 1": (2.1, 0.4, "head 1\nq, k, v (4, 5, 3)"),
            "c0": (3.6, 1.6, "context 0\n(4, 5, 3)"), "c1": (3.6, 0.4, "context 1\n(4, 5, 3)"),
            "both": (4.6, 1, "side by side\n(4, 5, 6)"), "out": (5.8, 1, "output\n(4, 5, 6)")},
           [("x", "q"), ("x", "k"), ("x", "v")] +
           [(part, head) for part in "qkv" for head in ("head 0", "head 1")] +
           [("head 0", "c0", 0.1, "attend"), ("head 1", "c1", 0.1, "attend"), ("c0", "both"), ("c1", "both"),
            ("both", "out", 0.1, "W_o")],
           title="Two heads, batch 4, length 5, d_model 6",
           alt="Flow from x of shape 4, 5, 6 through query, key and value of the same shape to two heads, "
               "each with a third axis of 3. Each gives a context of shape 4, 5, 3. Side by side they are "
               "4, 5, 6 again, and W_o gives the output.")

# %% [markdown]
# Let us watch the numbers move. Three tokens, six units; the entry 24 is token 2, unit 4.
#
# **Predict.** Two heads. Which numbers belong to head 0? And what does a `reshape` straight to (heads, length, d_head) give?

# %%
# NBVAL_CHECK_OUTPUT
x = 10 * np.arange(1, 4)[:, np.newaxis] + np.arange(1, 7)
print("three tokens:", x.tolist(), sep="\n")
print("cut, then transpose, head 0: ", x.reshape(3, 2, 3).transpose(1, 0, 2)[0].tolist())
print("reshape only, head 0:        ", x.reshape(2, 3, 3)[0].tolist())

# %% [markdown]
# Cut first and transpose then, and head 0 has the first three units of *every* token. The plain reshape has the same shape,
# and its head 0 has *all* units of token 1 and half of token 2. It never sees token 3.
#
# The same mistake can be made on the way back: contexts (heads, length, d_head) reshaped straight to (length, d_model).
# Neither raises an error. What do they cost? A causal mask gives two sharp tests. Change the *last* token: only the last
# output may change. Change the *first*: every output should.

# %%
def split(x, n_heads):
    return x.unflatten(-1, (n_heads, -1)).transpose(1, 2)


def split_wrong(x, n_heads):
    return x.reshape(len(x), n_heads, x.shape[1], -1)


def merge(contexts):
    return contexts.transpose(1, 2).flatten(2)


def merge_wrong(contexts):
    return contexts.reshape(len(contexts), contexts.shape[2], -1)


# %%
# NBVAL_CHECK_OUTPUT
coursekit.seed_everything(0)
tokens = torch.randn(4, 5, 6)
for name, cut, join in (("right", split, merge), ("split by reshape", split_wrong, merge),
                        ("merged by reshape", split, merge_wrong), ("both by reshape", split_wrong, merge_wrong)):
    def attend_causally(x):
        q = cut(x, 2)  # query, key and value alike: what matters here is where the numbers go
        return join(ct.scaled_dot_product_attention(q, q, q, ct.causal_mask(5)))

    moved = []
    for place in (4, 0):
        changed = tokens.clone()
        changed[:, place] += 1
        differs = (attend_causally(changed) != attend_causally(tokens)).any(-1).any(0)
        moved.append((differs.nonzero()[:, 0] + 1).tolist())
    print(f"{name:18} {tuple(attend_causally(tokens).shape)}  changed by the last token: {str(moved[0]):8}"
          f"by the first: {moved[1]}")

# %% [markdown]
# All four have the right shape, and only the first passes both tests. One mistake, either of them, and the last token leaks
# into an earlier place in spite of the mask: the mask forbids places, and the rows of a wrong split are no places. Both
# mistakes together do not leak, and the first token does not reach the end: here the sequence has been cut in two. A
# language model with such a leak can read its answers while it trains, and has none to read when it writes.
#
# The habit from lecture 02 does not help here: every dimension was different and nothing complained. What helps is a test
# with numbers, such as "change one token and see what moves".

# %% [markdown]
# ### Exercise 06.split_heads: Split into heads
#
# Difficulty ●●○○○ (2 of 5), about 10 minutes, 2 points
#
# Write `split_heads`. Each head gets its own block of neighbouring units, head 0 the first, and the axis of heads comes
# before the axis of time.

# %%
def split_heads(x, n_heads):
    """(batch, heads, length, d_head) of x (batch, length, d_model), where d_model is n_heads times d_head."""
    ...

# %%
coursekit.check("06.split_heads")

# %% [markdown]
# ## 4. Loop, batched, fused: one layer in three versions
#
# First with a loop over the heads, in NumPy, as the paper's formula says it:
# $\text{head}_i = \text{attention}(Q W_i^Q, K W_i^K, V W_i^V)$. The matrix of head $i$ is a block of rows of the layer's one
# big matrix.

# %%
# NBVAL_CHECK_OUTPUT
layer = ct.MultiHeadAttention(6, 2)
parameters = {name: tensor.numpy() for name, tensor in layer.state_dict().items()}
x = np.random.default_rng(0).normal(size=(4, 5, 6)).astype("float32")


def project(x, name, units=slice(None)):
    return x @ parameters[f"{name}_projection.weight"][units].T + parameters[f"{name}_projection.bias"][units]


contexts = []
for head in range(2):
    units = slice(3 * head, 3 * head + 3)
    q, k, v = (project(x, name, units) for name in ("query", "key", "value"))
    alpha = reference.softmax(q @ k.swapaxes(1, 2) / np.sqrt(3))
    contexts.append(alpha @ v)
by_loop = project(np.concatenate(contexts, axis=-1), "output")
print("one head's q", q.shape, " weights", alpha.shape, " output", by_loop.shape)

# %% [markdown]
# Then batched: all heads in one matrix product, with the split of section 3. And fused: the same through PyTorch's kernel,
# which never stores the weights (lecture 05). Both are in the package's class. Asked for weights it computes them, otherwise
# it takes the kernel. Two things that you see here come later: `dropout` in lecture 07, and `cache` in lecture 09.

# %%
coursekit.show_source(ct.MultiHeadAttention.forward)

# %%
# NBVAL_CHECK_OUTPUT
tensor = torch.from_numpy(x)
versions = {"reference, NumPy": reference.multi_head_attention(x, x, x, parameters, 2)[0],
            "batched": layer(tensor, return_weights=True)[0].detach().numpy(),
            "fused": layer(tensor).detach().numpy()}
for name, output in versions.items():
    print(f"{name:17} equals the loop within 0.000001:", np.allclose(output, by_loop, rtol=0, atol=1e-6))

# %% [markdown]
# Equal numbers. Equal speed?
#
# **Predict.** Eight heads, width 256. By how much does the batched version beat the loop at length 32, and at length 512?

# %%
results.stored_table("heads_speed")

# %%
# NBVAL_CHECK_OUTPUT
speed, _ = results.load("heads_speed")
short, long = ([row for row in speed if row["length"] == length] for length in (32, 512))
print("length 32:  loop slower than batched in both passes:", all(row["loop_low"] > 1 for row in short))
print("length 512: loop faster than batched in both passes:", all(row["loop_high"] < 1 for row in long))
print("fused at most 0.97 of batched everywhere:           ", all(row["fused"] <= 0.97 for row in speed))

# %% [markdown]
# Most people expect the loop to lose. At length 32 it does, by a few percent. At length 512 it wins clearly. Eight heads at
# once write a table of 8 · 8 · 512 · 512 weights, 67 MB, to memory and read it back for the softmax; one head's table is
# eight times smaller and stays closer to the processor. That is our reading of the table, not a measurement. The fused
# kernel goes all the way and never writes the table at all.
#
# So one writes batched code because it is short, and calls the fused kernel because it is fast. "Loops are slow" is not a
# law. This is one processor, one thread and one width, and on another machine the ratios will differ.

# %% [markdown]
# ## 5. What the last matrix is for
#
# ### Heads add up
#
# "Concatenate, then multiply by $W_o$" sounds like one thing. It is a sum. Cut $W_o$ into blocks of columns, one for each
# head:
#
# $$W_o\,[h_1; h_2; …] = W_o^{(1)} h_1 + W_o^{(2)} h_2 + …$$
#
# Every head computes on its own, and adds its part to the output. Here it is for the layer of section 4.

# %%
# NBVAL_CHECK_OUTPUT
W_o, bias = parameters["output_projection.weight"], parameters["output_projection.bias"]
parts = [contexts[head] @ W_o[:, 3 * head:3 * head + 3].T for head in range(2)]
print("one part", parts[0].shape, " bias", bias.shape)
print("sum of the parts and the bias equals the output:", np.allclose(sum(parts) + bias, by_loop, atol=1e-6))
print("what each part adds to the first token:")
print(np.stack(parts)[:, 0, 0])

# %% [markdown]
# ### Without it
#
# **Predict.** Leave $W_o$ out and return the heads side by side. The shapes still fit. What can unit 0 of the output no
# longer know?

# %%
# NBVAL_CHECK_OUTPUT
changed = [contexts[0], contexts[1] + 1]  # head 1 finds something else
for name, combine in (("with W_o", lambda heads: np.concatenate(heads, -1) @ W_o.T),
                      ("without", lambda heads: np.concatenate(heads, -1))):
    moved = np.abs(combine(changed) - combine(contexts)).max(axis=(0, 1)) > 1e-6
    print(f"{name:8} output units that change when head 1 does: {np.flatnonzero(moved).tolist()}")

# %% [markdown]
# Without $W_o$ a head can write only to its own block of units, the same one for all time, and no unit holds something of
# two heads. With $W_o$ each head decides where it writes. In section 2 we needed just that: the read-out wants the
# *difference* of two heads.
#
# In the models of section 2 a linear layer follows at once and could have taken over. In a Transformer (lecture 07) the
# output is added to the input, unit by unit, and there it matters at once.
#
# ### Their order is free
#
# Give the heads other numbers: permute the blocks of rows in $W_q$, $W_k$ and $W_v$, and the blocks of columns in $W_o$.
#
# **Predict.** What happens to the output? What follows for a claim like "head 7 is the pronoun head"?

# %%
# NBVAL_CHECK_OUTPUT
coursekit.seed_everything(0)
four, permuted = ct.MultiHeadAttention(12, 4), ct.MultiHeadAttention(12, 4)
order = torch.tensor([2, 0, 3, 1])
units = torch.arange(12).reshape(4, 3)[order].flatten()
state = {name: array[units] for name, array in four.state_dict().items()}
state["output_projection.weight"] = four.output_projection.weight.data[:, units]
state["output_projection.bias"] = four.output_projection.bias.data
permuted.load_state_dict(state)

x = torch.randn(2, 5, 12)
(output, alpha), (other_output, other_alpha) = four(x, return_weights=True), permuted(x, return_weights=True)
print("same output:                   ", torch.allclose(output, other_output, atol=1e-6))
print("same weights:                  ", torch.allclose(alpha, other_alpha, atol=1e-6))
print("same weights in the new order: ", torch.allclose(alpha[:, order], other_alpha, atol=1e-6))

# %% [markdown]
# The layer cannot tell its heads apart, since a sum has no order. A head's number means nothing across two trained models.
# It is a name inside one set of weights.
#
# ### How many learned numbers?
#
# **Predict.** Width 12. Does the layer with 12 heads have more weights than that with one, fewer, or as many?

# %%
# NBVAL_CHECK_OUTPUT
for n_heads in (1, 2, 3, 4, 6, 12):
    numbers = sum(parameter.numel() for parameter in ct.MultiHeadAttention(12, n_heads).parameters())
    print(f"heads {n_heads:2}, units of each {12 // n_heads:2}: {numbers} learned numbers")
print("4 matrices and 4 biases:", 4 * (12 * 12 + 12))

# %% [markdown]
# As many. Notes on the subject often say that every head has "its own parameters". True, but they are a cut of a fixed
# amount. Heads are paid for in another coin: a score is a sum of only $D / H$ products. With 12 heads of one unit the scores
# of a head are $q_i k_j$, one number times another, a matrix of rank 1. Bhojanapalli and others (2020) call it the low-rank
# bottleneck.

# %% [markdown]
# ### Exercise 06.parameters: The attention of one layer of GPT-3
#
# Difficulty ●○○○○ (1 of 5), about 5 minutes, 1 point
#
# A layer of GPT-3 has `d_model` 12,288 and 96 heads. Taken as the layer of this section, with four projections and
# their biases, how many learned numbers does its attention have? Give `gpt3_attention` the number.

# %%
gpt3_attention = ...

# %%
coursekit.check("06.parameters")

# %% [markdown]
# ### Exercise 06.contributions: What each head adds to the output
#
# Difficulty ●●●○○ (3 of 5), about 15 minutes, 3 points
#
# The output projection without its bias, `W` (outputs, inputs), acts on the contexts of all heads side by side. Write
# `contributions`: what each head alone adds to the output. The sum over the heads is the layer's output.

# %%
import numpy as np


def contributions(contexts, W):
    """(batch, heads, length, d_model) of contexts (batch, heads, length, d_head) and W (d_model, d_model), outputs
    first."""
    ...

# %%
coursekit.check("06.contributions")

# %% [markdown]
# ## 6. One layer, four classes
#
# PyTorch and Keras have this layer too. Do they compute the same? To find out, one needs the same weights in all of them,
# and they store them differently:
#
# | layer | how it stores the projections |
# |---|---|
# | `ct.MultiHeadAttention` | four `nn.Linear`, each (outputs, inputs) |
# | `torch.nn.MultiheadAttention` | query, key and value stacked in one matrix (3 · d_model, d_model) |
# | `ck.MultiHeadAttention` | four `Dense`, each (inputs, outputs) |
# | `keras.layers.MultiHeadAttention` | kernels (d_model, heads, d_head), the last (heads, d_head, d_model) |
#
# `weights.copy` knows all four. The shapes below differ in every dimension: batch 2, queries 5, keys 7, 3 heads of 4 units.

# %%
# NBVAL_CHECK_OUTPUT
coursekit.seed_everything(0)
ours = ct.MultiHeadAttention(12, 3).eval()
in_torch = nn.MultiheadAttention(12, 3, batch_first=True).eval()
ours_in_keras, in_keras = ck.MultiHeadAttention(12, 3), keras.layers.MultiHeadAttention(3, 4)
in_keras.build((None, None, 12), (None, None, 12))
for layer in (in_torch, ours_in_keras, in_keras):
    weights.copy(ours, layer)
print("nn.MultiheadAttention:            ", tuple(in_torch.in_proj_weight.shape))
print("keras.layers.MultiHeadAttention:  ", tuple(in_keras.query_dense.kernel.shape))

query, memory = torch.randn(2, 5, 12), torch.randn(2, 7, 12)
probe = torch.randn(2, 5, 12)  # the loss is the sum of output times probe: any gradient will do
mask_self, mask_cross = torch.rand(2, 5, 5) < 0.6, torch.rand(2, 5, 7) < 0.6
mask_self[..., 0] = mask_cross[..., 3] = True  # every query may attend to something

# %% [markdown]
# Two helpers take a layer and return three arrays: the output, and the gradients with respect to query and key.

# %%
def through_torch(layer, query, key, **mask):
    query, key = query.clone().requires_grad_(), key.clone().requires_grad_()
    output = layer(query, key, key, **mask)
    output = output[0] if isinstance(output, tuple) else output  # nn.MultiheadAttention returns weights as well
    (output * probe).sum().backward()
    return [tensor.detach().numpy() for tensor in (output, query.grad, key.grad)]


def through_keras(layer, query, key, **mask):
    query, key = tf.constant(query.numpy()), tf.constant(key.numpy())
    with tf.GradientTape() as tape:
        tape.watch([query, key])
        output = layer(query, key, key, **mask)
        loss = tf.reduce_sum(output * probe.numpy())
    return [array.numpy() for array in (output, *tape.gradient(loss, [query, key]))]


# %% [markdown]
# The parity cell. The mask is the same boolean tensor, but each library wants it under another name, in another shape, and
# one of them with the opposite meaning. Section 7 is about that.

# %%
# NBVAL_CHECK_OUTPUT
parameters = {name: array.numpy() for name, array in ours.state_dict().items()}
for name, key, mask in (("self", query, None), ("self, masked", query, mask_self),
                        ("cross", memory, None), ("cross, masked", memory, mask_cross)):
    given = mask is not None
    expected = through_torch(ours, query, key, mask=mask)
    others = {"NumPy": reference.multi_head_attention(query.numpy(), key.numpy(), key.numpy(), parameters, 3,
                                                      mask[:, None].numpy() if given else None)[:1],
              "torch.nn": through_torch(in_torch, query, key,
                                        attn_mask=~mask.repeat_interleave(3, 0) if given else None),
              "coursekit.keras": through_keras(ours_in_keras, query, key, mask=mask.numpy() if given else None),
              "keras.layers": through_keras(in_keras, query, key, attention_mask=mask.numpy() if given else None)}
    for library, results_of in others.items():
        same = [np.allclose(result, right, rtol=0, atol=1e-5) for result, right in zip(results_of, expected)]
        print(f"{name:14} {library:16} output {same[0]}  gradients {all(same[1:]) if same[1:] else '–'}")

# %% [markdown]
# Five ways, one layer: outputs and gradients agree within 0.00001. From now on we may use any of them, and whatever one of
# them shows holds for the others.

# %% [markdown]
# ### Exercise 06.multi_head: Multi-head attention
#
# Difficulty ●●●●○ (4 of 5), about 25 minutes, 4 points
#
# Write the layer as an `nn.Module` (or a Keras layer). It has four linear layers from `d_model` to `d_model` without
# bias, called `W_q`, `W_k`, `W_v` and `W_o`. The mask is boolean, `True` = may attend.

# %%
import torch.nn as nn


class MultiHead(nn.Module):
    """[head_1; …; head_h] W_o, head_i = softmax(q_i k_iᵀ / √d_head) v_i; all four linear layers without bias."""

    def __init__(self, d_model, n_heads):
        super().__init__()
        ...

    def forward(self, query, key, mask):
        """Output (batch, queries, d_model) of query (batch, queries, d_model), key (batch, keys, d_model), which is
        the value too, and mask (batch, queries, keys), boolean, True = may attend."""
        ...

# %%
coursekit.check("06.multi_head")

# %% [markdown]
# ## 7. One mask, two meanings
#
# A boolean mask has two possible meanings, and the libraries do not agree. Nothing in the tensor says which one is meant,
# and the wrong one raises no error.
#
# The test is simple. Take a mask that allows the first three of seven keys, hand it to each library as it is, and look where
# the weight goes.
#
# **Predict.** PyTorch has two functions for attention, `F.scaled_dot_product_attention` and `nn.MultiheadAttention`. Do they
# at least agree with each other?

# %%
allowed = (torch.arange(7) < 3).expand(2, 5, 7)  # True: the first three of seven keys


def attend(name, mask):
    """The weights (…, queries, keys) of a library that is given this mask (batch, queries, keys)."""
    with torch.no_grad():
        if name == "F.scaled_dot_product_attention":  # with one-hot values the context shows the weights themselves
            return F.scaled_dot_product_attention(query, memory, torch.eye(7).expand(2, 7, 7), attn_mask=mask)
        if name == "nn.MultiheadAttention, attn_mask":
            return in_torch(query, memory, memory, attn_mask=mask[0])[1]
        if name == "nn.MultiheadAttention, key_padding_mask":
            return in_torch(query, memory, memory, key_padding_mask=mask[:, 0])[1]
        if name == "keras.layers.MultiHeadAttention":
            return in_keras(query.numpy(), memory.numpy(), attention_mask=mask.numpy(),
                            return_attention_scores=True)[1].numpy()
        return ours(query, memory, mask=mask, return_weights=True)[1]


# %%
# NBVAL_CHECK_OUTPUT
libraries = ["F.scaled_dot_product_attention", "nn.MultiheadAttention, attn_mask",
             "nn.MultiheadAttention, key_padding_mask", "keras.layers.MultiHeadAttention", "ct.MultiHeadAttention"]
print(f"{'weight on the three allowed keys, mask':40}    as it is    inverted   as 0 and 1")
found = {}
for name in libraries:
    found[name] = []
    for mask in (allowed, ~allowed, allowed.float()):
        try:
            found[name].append(f"{np.asarray(attend(name, mask))[..., :3].sum(-1).mean():.2f}")
        except ValueError:
            found[name].append("refused")
    print(f"{name:40}", "".join(f"{share:>12}" for share in found[name]))

# %% [markdown]
# They do not. Given the mask as it is, `nn.MultiheadAttention` attends to exactly what it must not see, and to nothing else.
# The function in the same library has it the other way round, and so have Keras and this course.
#
# The last column is a second trap. As floating-point *numbers*, 0 and 1 are no mask in PyTorch: they are added to the
# scores. The three keys get a little more weight and nothing is forbidden. Keras reads 0 and 1 as false and true. Our layers
# take booleans only.
#
# ### A row with nothing to attend to
#
# The second sequence of the batch is all padding. What comes out for it, when the layer is asked for its weights and when it
# is not?
#
# **Predict.** Asking for the weights should not change the output. In how many of the libraries does it?

# %%
nothing = torch.tensor([[True] * 7, [False] * 7])[:, np.newaxis].expand(2, 5, 7)
keras_input = dict(query=query.numpy(), value=memory.numpy(), attention_mask=nothing.numpy())
padding = dict(key_padding_mask=~nothing[:, 0])


def outcome(output):
    """What the second sequence of the batch holds, in words."""
    row = output[1].detach() if torch.is_tensor(output) else torch.tensor(output.numpy()[1])
    even = ours.output_projection(ours.value_projection(memory[1].mean(0)))
    if row.isnan().any():
        return "NaN"
    for name, expected in (("zero context", ours.output_projection.bias), ("even weights", even)):
        if torch.allclose(row, expected.expand_as(row), atol=1e-5):
            return name


# %%
# NBVAL_CHECK_OUTPUT
context = F.scaled_dot_product_attention(query, memory, memory, attn_mask=nothing)
four_heads = nn.MultiheadAttention(12, 4, batch_first=True).eval()
with torch.no_grad():
    quick = [layer(memory, memory, memory, **padding, need_weights=False)[0] for layer in (in_torch, four_heads)]
empty = {"F.scaled_dot_product_attention": ("–", "zero context" if not context[1].any() else "other"),
         "nn.MultiheadAttention": (outcome(in_torch(query, memory, memory, **padding)[0]),
                                   outcome(in_torch(query, memory, memory, **padding, need_weights=False)[0])),
         "  self-attention, no gradients, 3 heads": ("–", outcome(quick[0])),
         "  self-attention, no gradients, 4 heads": ("–", outcome(quick[1])),
         "keras.layers.MultiHeadAttention": (outcome(in_keras(**keras_input, return_attention_scores=True)[0]),
                                             outcome(in_keras(**keras_input))),
         "ct.MultiHeadAttention": (outcome(ours(query, memory, mask=nothing, return_weights=True)[0]),
                                   outcome(ours(query, memory, mask=nothing)))}
for name, (with_weights, without) in empty.items():
    print(f"{name:40} with weights: {with_weights:14} without: {without}")

# %% [markdown]
# In two of them. `nn.MultiheadAttention` gives NaN with weights and a zero context without. With self-attention and no
# gradients it takes a quicker path, which gives NaN again; but only if the number of heads is even, since the quicker path
# is not there for an odd one. Keras's layer gives a zero context with its scores and even weights over the padding without
# them. These are the versions that this notebook was built with; the libraries promise nothing for this case, so do not rely
# on it. In this course it is a zero context always.
#
# ### Which shapes
#
# One mask of each shape that somebody might try, all of it `True`. Batch 2, heads 3, queries 5, keys 7.

# %%
SHAPES = {"(queries, keys)": (5, 7), "(batch, keys)": (2, 7), "(batch, queries, keys)": (2, 5, 7),
          "(batch · heads, queries, keys)": (6, 5, 7), "(batch, heads, queries, keys)": (2, 3, 5, 7)}


def shapes(call):
    """The shapes of a mask that a library takes without an error."""
    taken = []
    for name, shape in SHAPES.items():
        try:
            call(torch.ones(shape, dtype=torch.bool))
        except (ValueError, RuntimeError, AssertionError, tf.errors.InvalidArgumentError):
            continue
        taken.append(name)
    return ", ".join(taken)


# %%
of_heads = [split(tensor, 3) for tensor in (query, memory, memory)]
takes = dict(zip(libraries, map(shapes, (
    lambda mask: F.scaled_dot_product_attention(*of_heads, attn_mask=mask),
    lambda mask: in_torch(query, memory, memory, attn_mask=~mask),
    lambda mask: in_torch(query, memory, memory, key_padding_mask=~mask),
    lambda mask: in_keras(query.numpy(), memory.numpy(), attention_mask=mask.numpy()),
    lambda mask: ours(query, memory, mask=mask)))))

# %%
# NBVAL_CHECK_OUTPUT
for name, taken in takes.items():
    print(f"{name:40} {taken}")

# %% [markdown]
# All that we found, in one table. Every entry comes from the cells above.

# %%
rows = []
for name in libraries:
    as_it_is, _, as_numbers = found[name]
    with_weights, without = empty[name.split(",")[0]]
    rows.append({"name": name, "true": "may attend" if as_it_is == "1.00" else "**forbidden**", "shapes": takes[name],
                 "numbers": {"refused": "refused", "1.00": "read as booleans"}.get(as_numbers, "added to the scores"),
                 "nothing": with_weights if with_weights == without else f"{with_weights} / {without}"})
results.table(rows, {"library": "{name}", "`True` means": "{true}", "shapes of the mask": "{shapes}",
                     "0.0 and 1.0 are": "{numbers}", "nothing allowed: with / without weights": "{nothing}"},
              "Masks in PyTorch, in Keras and here (live).")

# %% [markdown]
# ### What a silently inverted mask costs
#
# The two-head model of section 2 is trained. Now pad its lists of six items with three more, which belong to another list.
# Each layer of a real model meets such rows in every batch.
#
# **Predict.** How many answers stay right with the mask, without it, and with the mask inverted?

# %%
padded = torch.cat([test[0], test[0].roll(1, dims=0)[:, 1:4]], dim=1)
mask = ct.padding_mask([6] * len(padded), max_length=9)
logits = {"no padding": models[2](test[0]), "padding, masked": models[2](padded, mask),
          "padding, no mask": models[2](padded), "padding, mask inverted": models[2](padded, ~mask)}
shares = {name: accuracy(rows, test[1]).item() for name, rows in logits.items()} | {"guessing": 0.5}
results.table([{"rows": name, "right": share} for name, share in shares.items()],
              {"rows": "{rows}", "answers right": "{right:.3f}"},
              "The trained two-head model of section 2, 5,000 test rows (live).")

# %%
# NBVAL_CHECK_OUTPUT
print("masked, as many right as before:   ", abs(shares["padding, masked"] - shares["no padding"]) < 0.001)
print("no mask, between 0.70 and 0.95:    ", 0.70 <= shares["padding, no mask"] <= 0.95)
print("inverted, between 0.40 and 0.60:   ", 0.40 <= shares["padding, mask inverted"] <= 0.60)

# %% [markdown]
# Inverted, the model sees only the padding and guesses. No line of it raised an error. So test a mask once, as here: change
# what is forbidden, and see that the output stays.

# %% [markdown]
# ### Exercise 06.mask_for_torch: A mask for nn.MultiheadAttention
#
# Difficulty ●●●○○ (3 of 5), about 10 minutes, 2 points
#
# In this course `True` means "may attend". `nn.MultiheadAttention` takes `attn_mask` (batch · heads, queries, keys) in
# which `True` means "forbidden"; all heads of the first row of the batch come first. Write `mask_for_torch`.

# %%
def mask_for_torch(mask, n_heads):
    """attn_mask (batch * n_heads, queries, keys), boolean, True = forbidden, of mask (batch, queries, keys),
    boolean, True = may attend."""
    ...

# %%
coursekit.check("06.mask_for_torch")

# %% [markdown]
# ## 8. What heads learn
#
# Now a model that somebody else trained on a lot of text: all-MiniLM-L6-v2, a BERT with 6 layers of 12 heads. Where its
# weights are not installed, the next cell says what to do, and the cells of this section do nothing.

# %%
folder = pretrained.find(required=False)
if folder:
    from transformers import BertModel

    bert = BertModel.from_pretrained(folder, attn_implementation="eager").eval()
    word_piece = WordPiece.load(folder / "vocab.txt")
    print(folder.why)


@torch.no_grad()
def all_heads(text):
    """Tokens of a text and all weights of BERT on it, (layers, heads, queries, keys)."""
    encoding = word_piece.encode(text)
    attentions = bert(torch.tensor([encoding.ids]), output_attentions=True).attentions
    return encoding.tokens, torch.stack(attentions)[:, 0].numpy()


# %% [markdown]
# (`"eager"` because the fused kernel has no weights to give.) The sentence of the slides: *The pizza came out of the oven
# and it tasted good!* What is *it*? Here is one of the 72 heads, layer 3, head 1, counted from 0.

# %%
PIZZA = "The pizza came out of the oven and it tasted good!"
if folder:
    tokens, pizza = all_heads(PIZZA)
    plots.heatmap(pizza[3, 1], rows=tokens, columns=tokens, limits=(0, 1), xlabel="attended to (key)",
                  ylabel="asks (query)", title="Layer 3, head 1",
                  alt="Heatmap of one head over the 14 tokens of the pizza sentence. The row of 'it' is "
                      "bright at 'pizza' and dark at 'oven'. Most other rows are bright at [CLS].")

# %%
# NBVAL_CHECK_OUTPUT
if folder:
    row = dict(zip(tokens, pizza[3, 1, tokens.index("it")]))
    print(f"it → pizza {row['pizza']:.2f}, it → oven {row['oven']:.3f}")

# %% [markdown]
# A beautiful row. It is also one row out of 72 · 14, and we chose it. Before we believe that this head "resolves pronouns",
# two questions: how do *all* heads treat the pair, and does this one do it again on sentences that we did not choose it by?
#
# **Predict.** Of 72 heads, how many give *pizza* more weight than *oven*?

# %%
if folder:
    it, pizza_place, oven_place = (tokens.index(word) for word in ("it", "pizza", "oven"))
    preference = pizza[:, :, it, pizza_place] - pizza[:, :, it, oven_place]
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    axes = figure.subplots()
    layers, heads = np.indices(preference.shape)
    axes.axvline(0, color="grey", linewidth=1)
    axes.scatter(preference, layers, color=plots.COLOURS[0], marker="o", alpha=0.6, label="the other 71 heads")
    axes.scatter(preference[3, 1], 3, color=plots.COLOURS[1], marker="D", s=60, label="layer 3, head 1")
    axes.set(xlabel="weight it → pizza minus weight it → oven", ylabel="layer", xlim=(-0.8, 0.8),
             title="All 72 heads on one question")
    axes.invert_yaxis()
    axes.legend(loc="upper left")
    plots.show(figure, "Dots for 72 heads, one line for each of six layers: weight from 'it' to 'pizza' "
               "minus weight to 'oven'. Most dots lie near 0 on both sides. Four lie between 0.3 and "
               "0.5, and layer 3 head 1 far to the right at 0.7.")

# %%
# NBVAL_CHECK_OUTPUT
if folder:
    print("heads that prefer pizza:", int((preference > 0).sum()), "of", preference.size)
    print("within 0.05 of indifference:", int((abs(preference) < 0.05).sum()))
    print("rank of layer 3, head 1:", int((preference > preference[3, 1]).sum()) + 1)

# %% [markdown]
# Forty of 72 is hardly more than a coin would give, and most heads do not care. Layer 3, head 1 is first of all. But
# something has to be first of 72.
#
# The second text of the slides, in which three pronouns point back:

# %%
RESTAURANT = ("The restaurant refused to serve me a ham sandwich, because it only cooks vegetarian food. In the end, "
              "they just gave me two slices of bread. Their ambience was just as good as the food and service.")
if folder:
    words, restaurant = all_heads(RESTAURANT)
    pronouns = ["it", "they", "their"]
    places = [words.index(word) for word in pronouns]
    figure = Figure(figsize=(10, 2.4), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(restaurant[3, 1, places], vmin=0, vmax=1, cmap="viridis", aspect="auto")
    axes.set_xticks(range(len(words)), words, rotation=90, fontsize=8)
    axes.set_yticks(range(3), pronouns)
    axes.set(xlabel="attended to (key)", ylabel="asks (query)", title="Layer 3, head 1, three rows")
    figure.colorbar(image, label="weight")
    plots.show(figure, "Three rows of the same head over the 46 tokens of the restaurant passage, for 'it', "
               "'they' and 'their'. In each the brightest cell is 'restaurant'.")

# %%
# NBVAL_CHECK_OUTPUT
if folder:
    for word, place in zip(pronouns, places):
        all_72 = restaurant[:, :, place, words.index("restaurant")]
        print(f"{word:5} → restaurant {all_72[3, 1]:.2f}, rank {int((all_72 > all_72[3, 1]).sum()) + 1} of 72, "
              f"mean of all heads {all_72.mean():.2f}")

# %% [markdown]
# ### Sixteen sentences of our own
#
# We wrote these before looking at any weight on them. In eight the pronoun means the first noun, in eight the nearest, so
# neither of these two rules gets more than half. After each sentence: the pronoun, what it means, and the other noun.

# %%
SENTENCES = [line.split(" | ") for line in """\
The cat slept on the sofa because it was tired. | it | cat | sofa
The soup stood on the stove and it tasted great. | it | soup | stove
The boy threw the ball and then he ran away. | he | boy | ball
The letter lay on the desk because it had just arrived. | it | letter | desk
The girl opened the window because she was hot. | she | girl | window
The bird left the tree when it heard a noise. | it | bird | tree
The books stood on the shelf until they were sold. | they | books | shelf
The teacher wrote on the board while she talked. | she | teacher | board
The man bought a car because it was cheap. | it | car | man
The chef tasted the sauce and it was too salty. | it | sauce | chef
The woman painted the door and now it is red. | it | door | woman
The children found a dog and it followed them home. | it | dog | children
The farmer fed the horses because they were hungry. | they | horses | farmer
The truck crossed the bridge although it was built of wood. | it | bridge | truck
The storm hit the house so hard that it lost the roof. | it | house | storm
The doctor called the nurses and they came at once. | they | nurses | doctor""".splitlines()]

# %%
if folder:
    preferences, first_noun = [], []
    for text, pronoun, meant, other in SENTENCES:
        tokens, alpha = all_heads(text)
        query_row = alpha[:, :, tokens.index(pronoun)]
        preferences.append(query_row[..., tokens.index(meant)] - query_row[..., tokens.index(other)])
        first_noun.append(tokens.index(meant) < tokens.index(other))
    preferences = np.stack(preferences)  # (sentences, layers, heads)
    right = (preferences > 0).sum(0)
    results.table([{"who": "nearest noun", "right": 16 - sum(first_noun)},
                   {"who": "first noun", "right": sum(first_noun)}, {"who": "a head on average", "right": right.mean()},
                   {"who": "mean of all 72 heads' weights", "right": (preferences.mean((1, 2)) > 0).sum()},
                   {"who": "layer 3, head 1", "right": right[3, 1]},
                   {"who": "best of the other 71, chosen afterwards", "right": np.delete(right, 37).max()}],
                  {"who": "{who}", "right of 16": "{right:.1f}"},
                  "Which noun gets more weight from the pronoun (live).")

# %%
# NBVAL_CHECK_OUTPUT
if folder:
    print("head (3, 1)  mean of 72")
    for (text, *_), head, mean in zip(SENTENCES, preferences[:, 3, 1], preferences.mean((1, 2))):
        print(f"{head:+11.2f} {mean:+11.3f}  {text}")
    print("right: layer 3, head 1", right[3, 1], " mean of all", (preferences.mean((1, 2)) > 0).sum(),
          " best other", np.delete(right, 37).max(), " nearest noun", 16 - sum(first_noun))

# %% [markdown]
# The head was chosen on the pizza sentence and is right on 15 of 16 new ones. A coin does as well once in 3,855 tries. Had
# we searched 72 heads for the best on these very sentences, it would mean much less; that is why they had to be new.
#
# Two things temper it. The plain mean of all 72 heads is right on 13, with tiny margins: what this head shows is spread
# thinly over many. And in most of these sentences grammar gives the answer away: *they* needs a plural, *he* a person. Only
# six have two nouns that would both fit, and the one miss is among those six: the truck and the bridge.
#
# ### Other kinds
#
# Which kinds of head are there? For each of four simple patterns, the head with most of it, on all 18 texts. The last two
# columns are the baselines: the mean over all heads, and what even weights would give.

# %%
if folder:
    kinds = {name: np.zeros((6, 12)) for name in ("previous token", "next token", "the token itself", "[CLS] or [SEP]")}
    even, texts = dict.fromkeys(kinds, 0.0), [PIZZA, RESTAURANT] + [text for text, *_ in SENTENCES]
    for text in texts:
        tokens, alpha = all_heads(text)
        inner = alpha[:, :, 1:-1]  # the words' rows; [CLS] has no previous token and [SEP] no next one
        for name, part in (("previous token", inner.diagonal(0, 2, 3)), ("the token itself", inner.diagonal(1, 2, 3)),
                           ("next token", inner.diagonal(2, 2, 3)), ("[CLS] or [SEP]", inner[..., 0] + inner[..., -1])):
            kinds[name] += part.mean(-1) / len(texts)
            even[name] += (2 if "CLS" in name else 1) / len(tokens) / len(texts)
    table = []
    for name, share in kinds.items():
        layer, head = np.unravel_index(share.argmax(), share.shape)
        table.append({"kind": name, "head": f"{layer}, {head}", "largest": share.max(), "mean": share.mean(),
                      "even": even[name]})
    results.table(table, {"weight on": "{kind}", "layer, head": "{head}", "its share": "{largest:.2f}",
                          "mean of all heads": "{mean:.2f}", "even weights": "{even:.2f}"},
                  "Mean weight of the words' rows, 18 texts (live).")

# %%
# NBVAL_CHECK_OUTPUT
if folder:
    for row in table:
        print(f"{row['kind']:17} head ({row['head']}) {row['largest']:.2f}, mean of all {row['mean']:.2f}")

# %%
if folder:
    tokens, pizza = all_heads(PIZZA)
    shown = {"(0, 2): previous": pizza[0, 2], "(1, 8): next": pizza[1, 8], "(1, 11): rests on [CLS]": pizza[1, 11]}
    plots.heatmaps(shown, rows=tokens, columns=tokens, limits=(0, 1), xlabel="attended to (key)", ylabel="asks (query)",
                   alt="Three heatmaps over the pizza sentence. The first is bright just below the diagonal, "
                       "the second just above it, the third in the column of [CLS].")

# %% [markdown]
# One head has made the previous token its only business, one prefers the next, and half of all weight rests on `[CLS]` and
# `[SEP]`. Clark and others (2019) found the same kinds in BERT-base, and read the resting as "nothing to do here": the row
# must sum to 1, and a token that carries little is a place to put it. It is a softmax that cannot say "none".
#
# ### The same head in our own layer
#
# Is there anything in these heads that the layer of this lecture does not have? Copy the weights of BERT's layer 3 into ours
# (`ct.EncoderLayer` is our attention with what lecture 07 puts around it), hand it the hidden states that enter that layer,
# and compare.

# %%
# NBVAL_CHECK_OUTPUT
if folder:
    own = ct.EncoderLayer(384, 12, 1536, activation="gelu", norm_epsilon=1e-12).eval()
    weights.copy(bert.encoder.layer[3], own)
    ids = torch.tensor([word_piece.encode(PIZZA).ids])
    with torch.no_grad():
        hidden = bert(ids, output_hidden_states=True).hidden_states
        _, alpha = own.attention(hidden[3], return_weights=True)
        output = own(hidden[3])
    print("all twelve heads equal within 0.00001:  ", np.allclose(alpha[0], pizza[3], rtol=0, atol=1e-5))
    print("the layer's output within 0.00001:      ", torch.allclose(output, hidden[4], rtol=0, atol=1e-5))
    print(f"our head 1: it → pizza {alpha[0, 1, it, pizza_place]:.2f}, it → oven {alpha[0, 1, it, oven_place]:.3f}")

# %% [markdown]
# ### Exercise 06.find_head: Find the head, and say how special it is
#
# Difficulty ●●●○○ (3 of 5), about 15 minutes, 3 points
#
# `weights` are those of a whole model for one sentence. A head *prefers* the token at `wanted` by its weight from
# `query` to `wanted` minus its weight from `query` to `other`. Write `find_head`, which returns three numbers: layer
# and number of the head that prefers it most, and the share of all heads whose preference is above zero.

# %%
import numpy as np


def find_head(weights, query, wanted, other):
    """layer, head and share, three numbers, of weights (layers, heads, queries, keys) and three places in the
    sentence."""
    ...

# %%
coursekit.check("06.find_head")

# %% [markdown]
# ## 9. Is the head needed?
#
# The heat map says where the head looks. Lecture 02 ended with a warning: that is a guess about cause, and an ablation tests
# it.
#
# First: how loud is it? Heads add up (section 5), so the part that each of the twelve adds to *it* is a vector, and has a
# length. The heat map knows nothing of that: it shows neither the values nor $W_o$.

# %%
# NBVAL_CHECK_OUTPUT
if folder:
    attention = own.attention  # our copy of layer 3
    with torch.no_grad():
        of_it = alpha[0, :, it, None] @ attention.split(attention.value_projection(hidden[3]))[0]
        blocks = attention.output_projection.weight.T.unflatten(0, (12, 32))
        loudness = (of_it @ blocks).norm(dim=-1)[:, 0]  # (12, 1, 32) times (12, 32, 384)
    print("rank of head 1 among the twelve of its layer:", int((loudness > loudness[1]).sum()) + 1)
    print(f"length of its part {loudness[1]:.1f}, of the loudest {loudness.max():.1f}, median {loudness.median():.1f}")

# %% [markdown]
# In this sentence it is the loudest of its layer. So far everything speaks for it. Now take it out: does anything change?
#
# Section 5 tells us how: set its columns of $W_o$ to zero, and it adds nothing. Two measures, for each of the 72 heads in
# turn, on our 17 sentences with two nouns.
#
# - **turn**: by how much does the pronoun's last vector turn (1 minus the cosine between before and after)?
# - **lean**: the pronoun's last vector has a cosine with that of the right noun and one with that of the other. By how much
#   does the difference change?
#
# **Predict.** Where in the ranking of 72 will layer 3, head 1 be?

# %%
@torch.no_grad()
def pronoun_vectors():
    """Unit vectors at the end of BERT, (sentences, 3, 384): of the pronoun, of what it means, of the other noun."""
    cases = [[PIZZA, "it", "pizza", "oven"]] + SENTENCES
    batch = word_piece.encode_batch([text for text, *_ in cases])
    last = bert(torch.tensor(batch.ids), attention_mask=torch.tensor(batch.mask).long()).last_hidden_state
    places = torch.tensor([[word_piece.encode(text).tokens.index(word) for word in rest] for text, *rest in cases])
    return F.normalize(last[torch.arange(len(cases))[:, None], places], dim=-1)


@torch.no_grad()
def without(layer, heads):
    """The same vectors with some heads of one layer set to zero; BERT is left as it was."""
    W = bert.encoder.layer[layer].attention.output.dense.weight
    kept = W.clone()
    for head in heads:
        W[:, 32 * head:32 * head + 32] = 0
    vectors = pronoun_vectors()
    W.copy_(kept)
    return vectors


def lean(vectors):
    pronoun, meant, other = vectors.unbind(1)
    return (pronoun * meant).sum(-1) - (pronoun * other).sum(-1)


# %%
if folder:
    intact = pronoun_vectors()
    turn, change = np.zeros((6, 12)), np.zeros((6, 12))
    for layer in range(6):
        for head in range(12):
            ablated = without(layer, [head])
            turn[layer, head] = (1 - (ablated[:, 0] * intact[:, 0]).sum(-1)).mean()
            change[layer, head] = (lean(ablated) - lean(intact)).mean()
    whole = without(3, range(12))
    whole_turn = (1 - (whole[:, 0] * intact[:, 0]).sum(-1)).mean().item()
    table = [{"what": "layer 3, head 1", "turn": turn[3, 1], "lean": change[3, 1]},
             {"what": "median of 72 heads", "turn": np.median(turn), "lean": np.median(change)},
             {"what": "the head that turns it most", "turn": turn.max(), "lean": change.flat[turn.argmax()]},
             {"what": "all heads of layer 3 (control)", "turn": whole_turn,
              "lean": (lean(whole) - lean(intact)).mean().item()}]
    results.table(table, {"set to zero": "{what}", "turn": "{turn:.3f}", "change of lean": "{lean:+.3f}"},
                  f"Means over 17 sentences; before, the lean is {lean(intact).mean():+.3f} (live).")

# %%
# NBVAL_CHECK_OUTPUT
if folder:
    print("rank of layer 3, head 1 by turn:", int((turn > turn[3, 1]).sum()) + 1, "of 72")
    print("rank by loss of lean:           ", int((change < change[3, 1]).sum()) + 1, "of 72")
    print("sentences that lean to the right noun:", int((lean(intact) > 0).sum()), "before,",
          int((lean(without(3, [1])) > 0).sum()), "without the head, of", len(intact))

# %% [markdown]
# The head with the finest heat map ranks 23rd and 52nd of 72. Without it the pronoun's vector hardly turns, and it leans to
# the right noun in as many sentences as before. The weights were real: the head does look at the antecedent. What it brings
# from there makes little difference to this output. A plausible reading: a residual connection (lecture 07) goes past every
# head, and other heads know the antecedent too, as their mean showed.
#
# What this does not show: that the head is useless. Even all twelve heads of the layer hardly change the lean, so the lean
# is a blunt instrument. We took out one head at a time, looked at one output of a model that was trained for whole
# sentences, and used 17 of them. Michel, Levy and Neubig (2019) found that most heads of trained models can be taken out,
# one at a time, with hardly any loss, and Voita and others (2019) pruned a translation model down to a few specialised
# heads. So: a weight says where a head looks, a rank says how special that is, and only an experiment says what it is for.
#
# ## Summary
#
# - A head gives each query one weighted mean. Where two things must be read apart, it takes two heads. Where a mean is
#   enough, one will do.
# - Heads are a cut of the units: split the last axis, then move heads before time, and back in the reverse order. A plain
#   reshape in one of the two places gives the right shape, and a leak through the causal mask.
# - The number of learned numbers does not depend on the number of heads. What shrinks is the width of each.
# - The output is a sum over the heads, each with its own columns of $W_o$. Their order means nothing.
# - PyTorch, Keras and this course compute the same layer. `nn.MultiheadAttention` reads `True` as forbidden, the others as
#   may attend. Rows with nothing to attend to differ even within one library.
# - Heads of a trained BERT have kinds: previous token, next token, resting on `[CLS]`, and one that finds the antecedent in
#   15 of our 16 sentences. Rank it among all, test it on fresh sentences, compare with simple rules, and ablate it before
#   you call it a cause.
#
# ## Further reading
#
# - A. Vaswani et al. *Attention Is All You Need.* NeurIPS 2017. [arXiv:1706.03762](https://arxiv.org/abs/1706.03762).
#   Section 3.2.2.
# - S. J. D. Prince. *Understanding Deep Learning.* MIT Press 2023. Section 12.3: the layer with tokens as columns.
# - K. Clark, U. Khandelwal, O. Levy, C. D. Manning. *What Does BERT Look At? An Analysis of BERT's Attention.*
#   BlackboxNLP 2019. [arXiv:1906.04341](https://arxiv.org/abs/1906.04341).
# - P. Michel, O. Levy, G. Neubig. *Are Sixteen Heads Really Better than One?* NeurIPS 2019.
#   [arXiv:1905.10650](https://arxiv.org/abs/1905.10650).
# - E. Voita, D. Talbot, F. Moiseev, R. Sennrich, I. Titov. *Analyzing Multi-Head Self-Attention: Specialized Heads Do the
#   Heavy Lifting, the Rest Can Be Pruned.* ACL 2019. [arXiv:1905.09418](https://arxiv.org/abs/1905.09418).
# - S. Bhojanapalli, C. Yun, A. S. Rawat, S. Reddi, S. Kumar. *Low-Rank Bottleneck in Multi-head Attention Models.*
#   ICML 2020. [arXiv:2002.07028](https://arxiv.org/abs/2002.07028).
# - S. Jain, B. C. Wallace. *Attention is not Explanation.* NAACL 2019. [arXiv:1902.10186](https://arxiv.org/abs/1902.10186).
