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
# # 05 · Self-attention
#
# [![Open in Colab](attachment:open_in_colab.png)](https://colab.research.google.com/github/coursekit/coursekit/blob/main/notebooks/05_self_attention.ipynb)
#
# In lecture 02 a decoder looked back at the states of an encoder. Now the decoder and the LSTM go. The words of one text
# look at each other, all at once, and every word comes out changed by what it found. This is the layer that the Transformer
# is built of.
#
# **You will be able to**
#
# - say why a dense layer is no way to read a text, with the numbers;
# - compute self-attention by hand, with loops and with matrices, in rows as code has it and in columns as books have it;
# - explain the $\sqrt d$ under the scores and measure what happens without it;
# - mask padding and the future in the right place, and notice when something leaks;
# - predict time and memory from the length of a text, and say what a fused kernel saves.
#
# **Time** about 100 minutes of reading and trying; about half a minute of computing on two CPU cores. No GPU is needed.
#
# **You need** lecture 02 (score, softmax, weighted sum), lecture 03 (words as vectors) and lecture 04 (positions).
#
# **Exercises** stand at the ends of sections. Put your answer in place of `...`, run the cell and the one below it:
# `coursekit.check` says whether it is right, and if not, which mistake it is. `coursekit.hint("05.attend")` and
# `coursekit.solution("05.attend")` help on, `coursekit.progress()` shows what you have done. No other cell needs your
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
import matplotlib.pyplot as plt
import numpy as np
import torch
from torch.nn import functional as F

from coursekit import keras as ck
from coursekit import plots, pretrained, reference, results
from coursekit import torch as ct

np.set_printoptions(precision=3, suppress=True, floatmode="fixed")
torch.set_printoptions(precision=3, sci_mode=False)

# %% [markdown]
# ## 1. Thirty-seven words and a dense layer
#
# This passage is from S. Prince, *Understanding Deep Learning*, chapter 12. What does a network have to find out in order to
# understand it?

# %%
# NBVAL_CHECK_OUTPUT
PASSAGE = ("The restaurant refused to serve me a ham sandwich, because it only cooks vegetarian food. "
           "In the end, they just gave me two slices of bread. "
           "Their ambience was just as good as the food and service.")
WIDTH = 1024
words = PASSAGE.split()
print(f"{len(words)} words, each a vector of {WIDTH:,} numbers: {len(words) * WIDTH:,} inputs")
their, restaurant = words.index("Their"), words.index("restaurant")
print(f"'Their' is word {their + 1}, the 'restaurant' that it stands for is word {restaurant + 1}: "
      f"{their - restaurant} words apart")

# %% [markdown]
# Among other things, that *their* means the *restaurant*, 25 words earlier. Some connection must lead from one word to the
# other.
#
# A dense layer connects everything. Its output is $h = a[\beta + \Omega x]$, where $x$ is the whole text as one long
# vector, and every number of $x$ has a weight to every number of $h$.
#
# **Predict.** The layer is to give back as many numbers as it takes. About how many numbers does it learn: a million, a
# hundred million, a billion?

# %%
# NBVAL_CHECK_OUTPUT
inputs = len(words) * WIDTH
dense = torch.nn.Linear(inputs, inputs, device="meta")  # "meta": shapes without memory
in_dense = sum(weight.numel() for weight in dense.parameters())
per_word = WIDTH * WIDTH + WIDTH
print(f"dense layer over the text: {in_dense:>13,} numbers, {4 * in_dense / 1e9:.1f} GB in float32")
print(f"dense layer over one word: {per_word:>13,} numbers, the same for every word")

# %% [markdown]
# 1.4 billion for one layer and one short text. The second line is the cheap alternative: one small layer that every word
# goes through by itself. It takes a text of any length. But no word ever learns of another, and so it cannot find the
# restaurant.
#
# What we want is in between: connections between all words, and the price of the second line. Self-attention learns three
# small maps, and sections 2 and 3 say what for. Here is the price first.

# %%
lengths = np.arange(1, 1001)
lines = {"dense over the text": (lengths * WIDTH) ** 2 + lengths * WIDTH,
         "self-attention": np.full(len(lengths), 3 * per_word),
         "dense over each word": np.full(len(lengths), per_word)}
figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
for (name, learned), colour, dash in zip(lines.items(), plots.COLOURS, plots.DASHES):
    axes.loglog(lengths, learned, label=name, color=colour, linestyle=dash, linewidth=2)
    axes.plot(37, learned[36], "o", color=colour)
axes.set(xlabel="words in the text", ylabel="learned numbers",
         title="What one layer learns, 1,024 numbers for each word (dots: 37 words)")
axes.grid(alpha=0.3)
axes.legend()
plots.show(figure, "Learned numbers against the length of the text, both axes logarithmic. The dense layer over the "
                   "text rises as a straight line from a million at one word to a million million at 1,000 words. "
                   "Self-attention and the layer over each word are flat, at 3.1 and 1.0 million.")

# %%
# NBVAL_CHECK_OUTPUT
for length in (1, 37, 74, 1000):
    dense_numbers, attention_numbers = lines["dense over the text"][length - 1], 3 * per_word
    print(f"{length:4} words: dense {dense_numbers:>17,}  attention {attention_numbers:,}  "
          f"ratio {dense_numbers / attention_numbers:12,.1f}")

# %% [markdown]
# Twice as many words make four times as many weights in the dense layer, and none more in attention. The figure counts what
# is *learned*. What has to be *computed* does grow with the length in attention as well, and section 9 is about that.
#
# Size is not the only trouble. A dense layer is built for one length:

# %%
# NBVAL_CHECK_OUTPUT
small = torch.nn.Linear(3 * 4, 3 * 4)  # three words of four numbers
for length in (3, 2):
    try:
        print(f"{length} words: output of", small(torch.ones(length * 4)).numel(), "numbers")
    except RuntimeError as error:
        print(f"{length} words: {type(error).__name__}, {length * 4} numbers where {small.in_features} are expected")

# %% [markdown]
# One could fill up every text to the longest one. But then there is a third trouble: the weights of a dense layer are fixed
# once it is trained, and they belong to places. What it learned about *restaurant* at place 2 says nothing about
# *restaurant* at place 5. Whether two words belong together depends on *the words*, and less on where they stand.
#
# So there are three wishes: no more parameters for more words, any length, and **weights that depend on the input**.
#
# ## 2. Values, and where they are sent
#
# Self-attention works in two steps. Step one changes each word by itself, with the same linear map for all. What comes out
# is the word's **value**:
#
# $$v_m = W^v x_m + b^v .$$
#
# It is linear, there is no ReLU. Step two makes each output as a weighted sum of *all* values. The weights $a_{nm}$ say how
# much output $n$ takes from word $m$; they are not negative, and over $m$ they add up to 1:
#
# $$\text{output}_n = \sum_m a_{nm} v_m .$$
#
# One can see this as **routing**: values are sent on to outputs, in different proportions. Here are three words of four
# numbers, without the bias. The first two rows of weights are those of the book's figure 12.1, the third is ours.

# %%
X = np.array([[1.0, 0.0, 2.0, 0.0],
              [0.0, 1.0, 0.0, 1.0],
              [1.0, 1.0, 0.0, -1.0]])       # one row for each word
W_v = np.array([[1.0, 0.0, 1.0, 0.0],
                [0.0, 2.0, 0.0, 0.0],
                [0.0, 0.0, 1.0, 1.0],
                [1.0, 0.0, 0.0, 0.0]])
A = np.array([[0.1, 0.3, 0.6],
              [0.5, 0.2, 0.3],
              [0.2, 0.7, 0.1]])             # row n: where output n comes from

# %% [markdown]
# By hand, for output 1. The first number of $v_1$ is $1 \cdot 1 + 1 \cdot 2 = 3$. In full, $v_1 = [3, 0, 2, 1]$,
# $v_2 = [0, 2, 1, 0]$ and $v_3 = [1, 2, -1, 1]$. Then output 1 is
#
# $$0.1 \begin{bmatrix} 3 \\ 0 \\ 2 \\ 1 \end{bmatrix} + 0.3 \begin{bmatrix} 0 \\ 2 \\ 1 \\ 0 \end{bmatrix}
#   + 0.6 \begin{bmatrix} 1 \\ 2 \\ -1 \\ 1 \end{bmatrix}
#   = \begin{bmatrix} 0.3 + 0 + 0.6 \\ 0 + 0.6 + 1.2 \\ 0.2 + 0.3 - 0.6 \\ 0.1 + 0 + 0.6 \end{bmatrix}
#   = \begin{bmatrix} 0.9 \\ 1.8 \\ -0.1 \\ 0.7 \end{bmatrix} .$$

# %%
# NBVAL_CHECK_OUTPUT
values = X @ W_v.T                          # one row for each word again
outputs = A @ values
for n, row in enumerate(A):
    terms = " + ".join(f"{weight} v{m}" for m, weight in enumerate(row, 1))
    print(f"output {n + 1} = {terms} = {outputs[n]}")

# %%
boxes = {f"x{m}": (0, 3 - m) for m in (1, 2, 3)} | {f"v{m}": (1.5, 3 - m) for m in (1, 2, 3)}
to_values = [(f"x{m}", f"v{m}", 0.1, "Wᵛ") for m in (1, 2, 3)]
plots.flow(boxes | {"output 1": (4, 1)},
           to_values + [(f"v{m}", "output 1", A[0, m - 1], f"{A[0, m - 1]}") for m in (1, 2, 3)],
           title="Output 1 takes 0.1, 0.3 and 0.6 of the three values",
           alt="Three words x1 to x3, each with an arrow to its value. From the values arrows of different width lead to "
               "output 1: thin from v1 with 0.1, medium from v2 with 0.3, thick from v3 with 0.6.")

# %%
plots.flow(boxes | {f"output {n}": (4, 3 - n) for n in (1, 2, 3)},
           to_values + [(f"v{m}", f"output {n}", A[n - 1, m - 1]) for n in (1, 2, 3) for m in (1, 2, 3)],
           title="Three routings of the same values, arrow width = weight",
           alt="The same three words and values, now with arrows from every value to each of three outputs. Output 1 is "
               "fed mostly by v3, output 2 mostly by v1, output 3 mostly by v2.")

# %% [markdown]
# The values are computed once and shared. Only the routing differs from output to output. The picture shows how much is
# sent, and not what it says: a thick arrow from a value near zero carries little.
#
# ### A dense layer in disguise
#
# All this is linear in the values. So with the weights given, there must be one big matrix that does the same to the whole
# text, as a dense layer would. Which one? Block $(n, m)$ of it takes word $m$ to output $n$, and that is $a_{nm} W^v$.
#
# **Predict.** The big matrix has $12 \times 12 = 144$ entries. How many numbers decide them all?

# %%
# NBVAL_CHECK_OUTPUT
as_dense = np.kron(A, W_v)                  # block (n, m) is A[n, m] * W_v
print("shape", as_dense.shape)
print("the same outputs:", np.allclose(as_dense @ X.flatten(), outputs.flatten()))
print(f"{as_dense.size} entries made of {A.size} + {W_v.size} = {A.size + W_v.size} numbers")

# %%
rng = np.random.default_rng(0)
places = range(1, 13)
plots.heatmaps({"a dense layer, random entries": rng.uniform(0, 1.4, size=(12, 12)), "self-attention as one": as_dense},
               rows=places, columns=places, xlabel="number of the text", ylabel="number of the output", bar="entry",
               alt="Two 12 by 12 matrices. The entries of the dense layer show no order. That of self-attention consists of "
                   "nine blocks of four by four, the same pattern in each, stronger or weaker.")

# %% [markdown]
# 25 numbers instead of 144. The pattern of $W^v$ repeats in every block, and the weight sets its strength. Of the 25, only
# the 16 of $W^v$ are learned. The nine weights are still missing, and they are what has to depend on the words.
#
# ## 3. Queries and keys
#
# Where do the weights come from? From two more linear maps. Each word gets
#
# - a **query** $q_n = W^q x_n$: what word $n$ is looking for,
# - a **key** $k_m = W^k x_m$: what word $m$ has to offer to those who look.
#
# A dot product compares the two, and softmax turns the comparisons of one query into weights:
#
# $$a_{nm} = \frac{\exp(q_n^\top k_m)}{\sum_{m'} \exp(q_n^\top k_{m'})} .$$
#
# It is lecture 02 once more: score, softmax, weighted sum. The score is Luong's *dot*. New is that query, key and value
# come from the same words, each by a map of its own. Hence *self*-attention.
#
# Three words of two numbers are enough for paper. The numbers are invented.

# %%
tokens = ["cook", "tastes", "soup"]
x = np.array([[1.0, 0.0],
              [0.0, 1.0],
              [1.0, 1.0]])
W_query = np.array([[1.0, 0.0], [0.0, 2.0]])
W_key = np.array([[0.0, 1.0], [1.0, 0.0]])
W_value = np.array([[2.0, 0.0], [0.0, 4.0]])

# %% [markdown]
# By hand, for the first word:
#
# - its query: $q_1 = [1, 0]$;
# - all keys, the numbers of each word swapped: $k_1 = [0, 1]$, $k_2 = [1, 0]$, $k_3 = [1, 1]$;
# - scores $q_1^\top k_m$: $0$, $1$, $1$; powers $1$, $2.718$, $2.718$ with the sum $6.437$; weights $0.155$, $0.422$,
#   $0.422$;
# - all values: $v_1 = [2, 0]$, $v_2 = [0, 4]$, $v_3 = [2, 4]$;
# - output: $0.155 \cdot [2, 0] + 0.422 \cdot [0, 4] + 0.422 \cdot [2, 4] = [1.155, 3.379]$.
#
# **Predict.** The query of the second word is $[0, 2]$. Which word or words will it attend to most?

# %%
# NBVAL_CHECK_OUTPUT
def attend_in_loops(x):
    outputs, weights = [], []
    for x_n in x:
        query = W_query @ x_n
        powers = [np.exp(query @ (W_key @ x_m)) for x_m in x]
        weights.append([power / sum(powers) for power in powers])
        outputs.append(sum(weight * (W_value @ x_m) for weight, x_m in zip(weights[-1], x)))
    return np.array(outputs), np.array(weights)


by_loops, weights_by_loops = attend_in_loops(x)
for word, weights, output in zip(tokens, weights_by_loops, by_loops):
    print(f"{word:6} weights {weights} sum {weights.sum():.3f}  output {output}")

# %% [markdown]
# *tastes* scores 2, 0 and 2: it attends to *cook* and *soup* alike, 0.468 each, and little to itself. All outputs
# can be computed side by side, for none of them needs another. With a word as a row, all queries are one matrix, and three
# matrix products do everything:
#
# $$Q = X W^{q\top},\quad K = X W^{k\top},\quad V = X W^{v\top},\qquad \text{outputs} = \text{softmax}(Q K^\top)\, V .$$

# %%
# NBVAL_CHECK_OUTPUT
Q, K, V = x @ W_query.T, x @ W_key.T, x @ W_value.T
scores = Q @ K.T                             # (queries, keys): row n compares query n with every key
weights = reference.softmax(scores)          # along the last axis, the keys
print("scores\n", scores)
print("outputs equal those of the loops:", np.allclose(weights @ V, by_loops))

longer = np.vstack([x, [[0.0, 2.0], [1.0, -1.0]]])
print("five words, same matrices: outputs", attend_in_loops(longer)[0].shape)

# %% [markdown]
# Two of the three wishes are visible here. The same three matrices serve five words as well as three, and the weights came
# out of the words.
#
# Could these weights be *any* weights? Which scores would give the 0.1, 0.3 and 0.6 of section 2? Softmax undoes a
# logarithm:

# %%
# NBVAL_CHECK_OUTPUT
wanted = np.log([1.0, 3.0, 6.0])
for shift in (0.0, 5.0, -100.0):
    print(f"scores {wanted + shift} weights {reference.softmax(wanted + shift)}")

# %% [markdown]
# Any positive weights can be had, and a number added to all scores of a row changes nothing. Only differences between
# scores count. Exact zeros cannot be had; softmax only comes near them. That is why masks need section 7.
#
# ### The library, and where it limps
#
# People explain the three names with a library. You come with a *query*, a question. The spines of the books carry *keys*.
# You compare, choose a book, and take home its content, the *value*. It helps to keep the names apart: matching happens
# between queries and keys, and what is taken away is the values.
#
# It limps in three places.
#
# - You do not choose a book. You take a bit of each, blended.
# - There is no "nothing found". The weights add up to 1, whatever you ask.
# - Every book is a reader as well. It asks all others, and itself, at the same moment. Nobody wrote the questions or the
#   labels: both are learned.
#
# The second one is worth seeing. What does a word get whose query is zero, and so fits nothing?

# %%
# NBVAL_CHECK_OUTPUT
print("scores ", np.zeros(2) @ K.T)
print("weights", reference.softmax(np.zeros(2) @ K.T))
print("output ", reference.softmax(np.zeros(2) @ K.T) @ V, " mean of all values", V.mean(axis=0))

# %% [markdown]
# The mean of everything. A trained model that wants to look nowhere needs a place to look at that says nothing. Lecture 06
# will show heads that rest on the token `[CLS]`.
#
# The slides call queries, keys and values "copies" of the word. The idea is right: the word itself stays as it is. But a
# projection is no copy. From 1,024 numbers to 64, most is dropped, and each of the three maps drops something else. The
# slides also write the weight once as $a[x_m, x_n]$ and once as $a[x_n, x_m]$. When you read a formula, look for the index
# that the weights are summed over: that one belongs to the keys.

# %% [markdown]
# ### Exercise 05.attention_parameters: How many numbers does attention learn?
#
# Difficulty ●○○○○ (1 of 5), about 4 minutes, 1 point
#
# A text has 50 words, each a vector of 512 numbers. Self-attention gives every word a query, a key and a value of 512
# numbers each, by three linear maps with biases. How many numbers does it learn? Give `attention_parameters` that
# number.

# %%
attention_parameters = ...

# %%
coursekit.check("05.attention_parameters")

# %% [markdown]
# ## 4. Why the scores are divided by √d
#
# The Transformer does one more thing. It divides each score by the root of the size of a query, $\sqrt{d}$:
#
# $$\text{Attention}(Q, K, V) = \text{softmax}\left(\frac{Q K^\top}{\sqrt{d}}\right) V .$$
#
# The slides divide by 8, since their queries have 64 numbers, and give stable gradients as the reason. Why the root, and
# what is unstable without it?
#
# Suppose the numbers of $q$ and $k$ are independent, with mean 0 and variance 1. Each product $q_i k_i$ then has mean 0 and
# variance $1 \cdot 1 = 1$. A dot product is a sum of $d$ of them, and variances of independent numbers add up.
#
# **Predict.** With $d = 64$, how large is a typical score? What is then $e^{\text{score}}$ of two scores that lie 16 apart,
# one divided by the other?

# %%
# NBVAL_CHECK_OUTPUT
rng = np.random.default_rng(0)
TEXTS, KEYS = 2000, 16
some_scores = {}
for d in (1, 4, 16, 64, 256, 1024):
    some_queries, some_keys = rng.normal(size=(TEXTS, 1, d)), rng.normal(size=(TEXTS, KEYS, d))
    some_scores[d] = (some_queries @ some_keys.swapaxes(-2, -1))[:, 0]
    print(f"d = {d:4}: variance of a score {some_scores[d].var():7.1f}, "
          f"divided by √d {(some_scores[d] / np.sqrt(d)).var():.2f}")

# %% [markdown]
# The variance is $d$, so a typical score is $\sqrt d$: 8 for $d = 64$. Two scores that lie 16 apart, one two typical sizes
# above the other, differ by a factor of $e^{16}$, nine million, after exp. Divided by 8 they lie 2 apart, and differ by a
# factor of 7.
#
# What does softmax make of this, and what of its gradient? If score $m$ moves a little, weight $n$ moves by
#
# $$\frac{\partial w_n}{\partial s_m} = w_n (1_{n = m} - w_m) .$$
#
# With one weight near 1 and all others near 0, all of these are near 0: whatever the scores do, the weights stay. We measure
# how large that matrix is as a whole (the root of the sum of its squares), for the middle one of 2,000 queries.

# %%
def softmax_gradient(weights):
    """Size of the matrix of ∂w_n / ∂s_m, for weights (texts, keys): (texts,)."""
    matrix = weights[:, :, None] * (np.eye(weights.shape[1]) - weights[:, None, :])
    return np.sqrt((matrix ** 2).sum(axis=(1, 2)))


dimensions = list(some_scores)
measured = {name: [reference.softmax(some_scores[d] / scale(d)) for d in dimensions]
            for name, scale in (("divided by √d", np.sqrt), ("not divided", np.ones_like))}

# %%
figure, panels = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for (name, rows), colour, marker in zip(measured.items(), plots.COLOURS, plots.MARKERS):
    panels[0].plot(dimensions, [w.max(axis=1).mean() for w in rows], label=name, color=colour, marker=marker)
    panels[1].plot(dimensions, [np.median(softmax_gradient(w)) for w in rows], color=colour, marker=marker)
panels[0].axhline(1 / KEYS, color="black", linestyle=":", label="even weights")
panels[0].set(ylabel="largest weight of 16, mean", ylim=(0, 1.03), title="Softmax")
panels[1].set(ylabel="size of the gradient, median", yscale="log", title="Its gradient")
for axes in panels:
    axes.set(xlabel="size of queries and keys, d", xscale="log", xticks=dimensions, xticklabels=dimensions)
    axes.grid(alpha=0.3)
panels[0].legend()
plots.show(figure, "Two panels against the size d from 1 to 1,024. Left, the largest of 16 weights: divided by √d it stays "
                   "near 0.25, not divided it rises to 0.96. Right, the size of softmax's gradient on a logarithmic axis: "
                   "divided by √d it stays at 0.3, not divided it falls below one ten-thousandth.")

# %%
# NBVAL_CHECK_OUTPUT
for name, rows in measured.items():
    for d, w in list(zip(dimensions, rows))[3::2]:
        flat = (softmax_gradient(w) < 1e-3).mean()
        print(f"{name:13} d = {d:4}: largest weight {w.max(axis=1).mean():.2f}, "
              f"queries with a gradient below 0.001: {flat:.0%}")

# %% [markdown]
# With the division nothing depends on $d$. Without it softmax turns, as $d$ grows, into a hard choice, made by chance before
# anything is learned, and the gradient that could correct it goes away: at $d = 64$ for one query in eight, at $d = 1024$
# for two in three. At $d = 4$ you would hardly notice. Some queries keep a gradient even at 1,024, those whose two best keys
# happen to lie close together.
#
# What the figure does not show: trained queries and keys. It is about the start of training, where vectors are random.
# Could the model not learn the scale itself? It could; the scale can be moved into $W^q$:

# %%
# NBVAL_CHECK_OUTPUT
d = x.shape[1]
scaled = reference.softmax(Q @ K.T / np.sqrt(d))
inside = reference.softmax((x @ (W_query / np.sqrt(d)).T) @ K.T)
print("scale in the formula = scale in W_query:", np.allclose(scaled, inside))

# %% [markdown]
# Both are the same function. The division changes where training *starts*, and how far one step goes. That is all, and it
# is enough.
#
# ### Which d?
#
# In lecture 06 the 512 numbers of a word are shared out among 8 heads, so that a query has 64. Two slips are common:
# dividing by $d$ instead of its root, and taking the root of the 512.

# %%
# NBVAL_CHECK_OUTPUT
d_head, d_model = 64, 512
print("divided by                 spread of scores   largest weight   words shared among")
for name, scale in (("nothing", 1), ("√d_head = 8", np.sqrt(d_head)),
                    ("√d_model = 22.6", np.sqrt(d_model)), ("d_head = 64", d_head)):
    w = reference.softmax(some_scores[d_head] / scale)
    shared = np.exp(-(w * np.log(w)).sum(axis=1)).mean()
    print(f"{name:15} {(some_scores[d_head] / scale).std():26.2f} {w.max(axis=1).mean():16.2f} {shared:20.1f}")

# %% [markdown]
# "Words shared among" is $e^{\text{entropy}}$: 16 means perfectly even, 1 means one word takes all. Only
# $\sqrt{d_\text{head}}$ gives scores of size 1. With the two slips every word sees nearly the mean of all words, and
# nothing raises an error. The gradient at the scores is no smaller then; but on its way to the query it is divided by the
# same large number.
#
# Below you see the weights of a query with $d = 64$, sorted, as the mean over 2,000 queries. In a running notebook the
# slider moves the divisor.
#
# **Predict.** Where on the way from 1 to 64 do the sixteen bars become nearly level?

# %%
def sorted_weights(axes, divisor):
    w = np.sort(reference.softmax(some_scores[64] / divisor), axis=1)[:, ::-1].mean(axis=0)
    axes.bar(np.arange(1, KEYS + 1), w, color=plots.COLOURS[0])
    axes.axhline(1 / KEYS, color="black", linestyle=":")
    axes.set(xlabel="keys, largest weight first", ylabel="weight", ylim=(0, 1))


plots.explore(sorted_weights, [1, 2, 4, 8, 12, 16, 23, 32, 64], shown=[1, 8, 23, 64], name="divisor",
              title="Weights of 16 keys, d = 64 (dotted: even weights)", size=(2.6, 2.6),
              alt="Four bar charts of sixteen sorted weights. Divided by 1, the first bar is 0.84 and the rest nearly nothing; "
                  "divided by 8, they fall smoothly from 0.25; divided by 23 or 64 they are close to level.")

# %% [markdown]
# Near 23 the bars slope gently, and at 64 they are level. There is no sharp border: the scale is a matter of degree, and
# training can move it. What the figure does not show is how far a *trained* query is from even.

# %% [markdown]
# ### Exercise 05.attend: Scaled dot-product attention
#
# Difficulty ●●○○○ (2 of 5), about 10 minutes, 2 points
#
# Write `attend`: every query's weighted sum of the values. The weights of a query are the softmax, over the keys, of
# its dot products with the keys, divided by the root of the size of a key.

# %%
import math


def attend(query, key, value):
    """The context (queries, d_value) of query (queries, d_head), key (keys, d_head) and value (keys, d_value), all of
    them tensors."""
    ...

# %%
coursekit.check("05.attend")

# %% [markdown]
# ## 5. Rows or columns
#
# Code stacks words as rows: a text is $X$ of shape $N \times D$. Many books, Prince's among them, stack them as columns: $D
# \times N$. Nothing about attention changes, but every formula turns around, and copying a line from one convention into
# the other is a good way to go wrong. Let the columns have a bar: $\bar X = X^\top$, and so on.
#
# Start from the scores. The entry for query $n$ and key $m$ is $q_n^\top k_m$ in both. In rows it stands at $(n, m)$ of $Q
# K^\top$. Transposing turns the order of a product around:
#
# $$(Q K^\top)^\top = K Q^\top = \bar K^\top \bar Q ,\qquad (A V)^\top = V^\top A^\top = \bar V \bar A .$$
#
# | | rows, as in code | columns, as in the book |
# |---|---|---|
# | one text | $X$, $N \times D$ | $\bar X$, $D \times N$ |
# | queries | $X W^{q\top}$ | $W^q \bar X$ |
# | scores | $Q K^\top$, queries × keys | $\bar K^\top \bar Q$, keys × queries |
# | softmax | along each row | along each column |
# | outputs | $A V$ | $\bar V \bar A$ |
#
# The package has both, and both with $\sqrt d$.
#
# **Predict.** Along which axis do the weights of each convention sum to 1?

# %%
# NBVAL_CHECK_OUTPUT
context, weights = reference.scaled_dot_product_attention(x @ W_query.T, x @ W_key.T, x @ W_value.T)
context_in_columns, weights_in_columns = reference.scaled_dot_product_attention_in_columns(
    W_query @ x.T, W_key @ x.T, W_value @ x.T)
for name, matrix in (("rows:   ", weights), ("columns:", weights_in_columns)):
    print(name, "along axis 0", matrix.sum(axis=0), "along axis 1", matrix.sum(axis=1))
print("one is the other transposed:", np.allclose(weights_in_columns.T, weights),
      np.allclose(context_in_columns.T, context))

# %% [markdown]
# Now the mistake. In self-attention the scores are square, $N \times N$, so that softmax along the wrong axis runs without
# complaint.

# %%
# NBVAL_CHECK_OUTPUT
scores = Q @ K.T / np.sqrt(2)
wrong = reference.softmax(scores, axis=0)    # over the queries
print("right weights\n", reference.softmax(scores))
print("wrong axis\n", wrong)
print("what each word gets in sum, wrong axis:", wrong.sum(axis=1))

# %% [markdown]
# With the wrong axis the keys are shared out among the queries: one word gets 1.42 in sum, another 0.65, and a query's
# output depends on who else is asking. Check one thing whenever you meet weights: along which axis do they sum to 1? It
# must be that of the keys.

# %% [markdown]
# ### Exercise 05.in_columns: Self-attention in columns
#
# Difficulty ●●●○○ (3 of 5), about 15 minutes, 3 points
#
# Write the scaled self-attention of one text in the book's convention, in which a word is a column of $X$. Every matrix
# acts from the left, $q_n = W^q x_n$, and the outputs are columns again. For softmax you may take
# `reference.softmax(scores, axis=...)`.

# %%
import numpy as np
import coursekit.reference as reference


def attend_in_columns(X, W_query, W_key, W_value):
    """The outputs (d_value, words) of X (d_model, words), W_query and W_key (d_head, d_model) and W_value (d_value,
    d_model)."""
    ...

# %%
coursekit.check("05.in_columns")

# %% [markdown]
# ## 6. Not a similarity, and not symmetric
#
# "Attention looks for similar words." Is that so? If $W^q$ and $W^k$ were both the identity, yes: the scores would be $X
# X^\top$. Let us see what real words would do then. The next cell needs the pretrained model all-MiniLM-L6-v2. Where it is
# missing, the cell says how to get it, and everything after it runs without.

# %%
folder = pretrained.find(required=False)
if folder:
    from safetensors.torch import load_file

    table = load_file(folder / "model.safetensors")["embeddings.word_embeddings.weight"].numpy()
    vocabulary = (folder / "vocab.txt").read_text(encoding="utf-8").split("\n")
    some_words = "restaurant refused sandwich vegetarian food bread their good service".split()
    embeddings = table[[vocabulary.index(word) for word in some_words]]
    plots.heatmap(embeddings @ embeddings.T, some_words, some_words, xlabel="word that answers",
                  ylabel="word that asks", title="Dot products of the word vectors themselves", bar="score",
                  alt="A 9 by 9 heatmap of dot products between word vectors of the passage. The diagonal is by far the "
                      "brightest. Food is a little bright with restaurant, bread and vegetarian. The row of 'their' is "
                      "dark but for itself.")

# %%
if folder:
    products = embeddings @ embeddings.T
    for word in ("restaurant", "food", "their"):
        row = products[some_words.index(word)]
        order = np.argsort(-row)[:3]
        print(f"{word:10}", ", ".join(f"{some_words[i]} {row[i]:.2f}" for i in order),
              f"| restaurant {row[0]:.2f}")

# %% [markdown]
# Every word is most similar to itself. Next come words that are about the same thing. *Their* has nothing in common with
# *restaurant*, and with this score it would never find it. What we need is not likeness but *fit*: a pronoun looks for the
# noun that it stands for. That is what two different maps can do. In lecture 06 a trained model does it, with these very
# vectors at its input.
#
# And fit has a direction. *Their* needs *restaurant*; *restaurant* does not need *their*. Our three words show both
# differences:

# %%
# NBVAL_CHECK_OUTPUT
print("X Xᵀ, both maps the identity\n", x @ x.T)
print("Q Kᵀ\n", Q @ K.T)
print("symmetric:", np.array_equal(x @ x.T, (x @ x.T).T), np.array_equal(Q @ K.T, (Q @ K.T).T))

both_identity = reference.softmax(3 * x @ x.T)
print("even with symmetric scores, weights are symmetric:", np.allclose(both_identity, both_identity.T))

# %% [markdown]
# *cook* scores *tastes* with 1, *tastes* scores *cook* with 2. In $Q K^\top = X W^{q\top} W^k X^\top$ the matrix in the
# middle need not be symmetric. And even where the scores are, the weights are not, as each row is divided by a sum of its
# own. In a heatmap of attention rows and columns mean different things: always read the labels.
#
# The formula shows something else. Queries and keys enter only through the product $W^{q\top} W^k$. Turn all queries and
# all keys by the same rotation, and nothing changes. So a single number of a query means nothing by itself.

# %%
# NBVAL_CHECK_OUTPUT
turn = np.array([[0.6, -0.8], [0.8, 0.6]])   # a rotation: turn @ turn.T is the identity
print("queries change:", not np.allclose(Q @ turn, Q))
print("scores change: ", not np.allclose(Q @ turn @ (K @ turn).T, Q @ K.T))

# %% [markdown]
# ## 7. Masks: who may attend to whom
#
# A mask says for each query and each key whether the one may attend to the other. In this course `True` means *may attend*.
# There are two reasons to forbid something: the key is padding, or it lies in the future. The future has section 8 to
# itself.
#
# ### Before softmax
#
# Lecture 02 masked before softmax, by giving forbidden places the lowest possible score. What if one multiplies the weights
# by the mask *after* softmax? And what if one then divides by the sum, to repair it? Take the scaled scores of the first of
# our three words, and let *soup* be padding.
#
# **Predict.** Which of the three ways gives weights that sum to 1? Do any two of them agree?

# %%
# NBVAL_CHECK_OUTPUT
row = scores[0]
allowed = np.array([True, True, False])
before = reference.softmax(row, mask=allowed)
after = reference.softmax(row) * allowed
print("before softmax      ", before, f"sum {before.sum():.3f}")
print("after softmax       ", after, f"sum {after.sum():.3f}")
print("after, renormalised ", after / after.sum(), f"sum {(after / after.sum()).sum():.3f}")

# %% [markdown]
# Masking afterwards loses what went to the padding. Dividing by the sum mends that, and gives the same numbers as masking
# before. So is it only a matter of taste? Two tests. First, how does the result depend on the *masked* score, which should
# not matter at all? Second, what if the masked score is large?

# %%
# NBVAL_CHECK_OUTPUT
def before_softmax(s, allowed):
    return s.masked_fill(~allowed, -torch.inf).softmax(-1)


def after_softmax(s, allowed):
    return s.softmax(-1) * allowed


def renormalised(s, allowed):
    return after_softmax(s, allowed) / after_softmax(s, allowed).sum()


for way in (before_softmax, after_softmax, renormalised):
    s = torch.tensor(row, dtype=torch.float32, requires_grad=True)
    way(s, torch.tensor(allowed))[0].backward()
    large = way(torch.tensor([0.0, 1.0, 200.0]), torch.tensor(allowed))
    print(f"{way.__name__:15} gradient of weight 1 at the masked score {round(s.grad[2].item(), 4) + 0:7.4f}; "
          f"weights if that score is 200: {large.numpy()}")

# %% [markdown]
# - Masked *after* softmax, the forbidden place still pulls: if its score rises, the others' weights fall. In training a
#   gradient flows into the padding, or into the future. It leaks.
# - *Renormalised*, the leak is closed on paper. But softmax has already rounded: with a large masked score the allowed
#   weights are 0, and 0 divided by 0 is NaN.
# - Masked *before*, neither happens.
#
# ### Nothing allowed
#
# What if a query may attend to nothing? It happens more easily than one thinks: an empty text in a batch, or a mask that
# forbids the word itself. Then all scores are $-\infty$, and softmax divides 0 by 0. "That row is padding, nobody looks at
# it", one may say. So we leave it out of the loss.
#
# **Predict.** Rows 1 and 3 are fine and enter the loss. Row 2 is not, and does not. Will the gradient of the values be fine?

# %%
# NBVAL_CHECK_OUTPUT
coursekit.seed_everything(0)
query, key, value = (torch.randn(3, 4) for _ in range(3))
mask = torch.tensor([[True, True, True], [False, False, False], [True, False, False]])


def with_infinity(query, key, value, mask):
    scores = query @ key.T / 4 ** 0.5
    return scores.masked_fill(~mask, -torch.inf).softmax(-1) @ value


for function in (with_infinity, ct.scaled_dot_product_attention):
    learned = value.clone().requires_grad_()
    context = function(query, key, learned, mask)
    context[[0, 2]].square().sum().backward()
    print(f"{function.__name__}\n  row 2 {context[1].tolist()}\n  gradient of the values is NaN: "
          f"{learned.grad.isnan().any().item()}")

# %% [markdown]
# The whole gradient of the values is lost, though the row had weight zero in the loss. On its way back, zero meets the
# row's weights, and $0 \cdot \text{NaN}$ is NaN. One update carries it into the parameters, and the next pass from there
# into everything.
#
# In this course such a row gets zero weights and a zero context. What do others do? This is not compared with what is
# stored, since it may change with the next release:

# %%
queries, keys, values = (tensor[None].numpy() for tensor in (query, key, value))
nothing = np.zeros((1, 3), bool)
_, of_attention = keras.layers.Attention()([queries, values, keys], mask=[None, nothing],
                                           return_attention_scores=True)
_, of_multi_head = keras.layers.MultiHeadAttention(1, 4)(
    queries, values, keys, attention_mask=nothing[:, None], return_attention_scores=True)
print("keras.layers.Attention           weights", of_attention.numpy()[0, 0])
print("keras.layers.MultiHeadAttention  weights", of_multi_head.numpy()[0, 0, 0])
in_torch = torch.nn.MultiheadAttention(4, 1, batch_first=True)
padded = torch.ones(1, 3, dtype=torch.bool)  # here True means "may not attend"
for need_weights in (True, False):
    output, _ = in_torch(query[None], key[None], value[None], key_padding_mask=padded,
                         need_weights=need_weights)
    print("torch.nn.MultiheadAttention      output ", output[0, 0].detach().numpy(),
          f"with need_weights={need_weights}")
row_2 = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)[1]
print("F.scaled_dot_product_attention   output ", row_2.numpy())

# %% [markdown]
# Even weights over things that do not count, zeros, and NaN. In `nn.MultiheadAttention` the answer even depends on whether
# you ask for the weights, and lecture 06 shows the same of Keras's `MultiHeadAttention`. Do not rely on any of them.
# `coursekit` replaces such a row before and after the kernel, and its tests hold it to zero.
#
# ### Padding
#
# Texts of different length share a batch: the short ones are filled up, and `ct.padding_mask` lets everyone attend to real
# words only. The test that counts: does a text give the same in the batch as alone? The filling is 100 everywhere, so that
# a leak would show.

# %%
# NBVAL_CHECK_OUTPUT
coursekit.seed_everything(0)
maps = [torch.nn.Linear(8, 6, bias=False) for _ in range(3)]
texts = [torch.randn(5, 8), torch.randn(3, 8)]
batch = torch.full((2, 5, 8), 100.0)
for i, text in enumerate(texts):
    batch[i, :len(text)] = text

mask = ct.padding_mask([5, 3])
print("mask", tuple(mask.shape), mask[:, 0].int().tolist())
together = ct.scaled_dot_product_attention(*(layer(batch) for layer in maps), mask)
without_mask = ct.scaled_dot_product_attention(*(layer(batch) for layer in maps))
for i, text in enumerate(texts):
    alone = ct.scaled_dot_product_attention(*(layer(text) for layer in maps))
    print(f"text of {len(text)} words, alone = in the batch:",
          torch.allclose(together[i, :len(text)], alone, atol=1e-5),
          "| without the mask:", torch.allclose(without_mask[i, :len(text)], alone, atol=1e-5))

# %% [markdown]
# The mask forbids padding as a *key*. As *queries* the padded places still compute something. Nothing reads it, as long as
# the loss leaves those places out.

# %% [markdown]
# ### Exercise 05.masked: Attention with a mask
#
# Difficulty ●●●○○ (3 of 5), about 15 minutes, 3 points
#
# Write `attend_where_allowed`: scaled dot-product attention of a batch in which a query may attend only where the mask
# is True. What is masked has weight 0, the rest shares the 1, and a query that may attend to nothing gets a context of
# zeros.

# %%
import math


def attend_where_allowed(query, key, value, mask):
    """The context (batch, queries, d_value) of query (batch, queries, d_head), key (batch, keys, d_head), value (batch,
    keys, d_value) and a boolean mask (batch, queries, keys), True = may attend."""
    ...

# %%
coursekit.check("05.masked")

# %% [markdown]
# ## 8. Why later words must not leak
#
# A language model predicts the next word. In training it does so at all places at once: place 1 predicts word 2, place 2
# predicts word 3, and so on. The whole text goes in, and the targets are the same text moved by one. So the answer to place
# 1 is among the inputs, at place 2. Attention could simply look there.
#
# The **causal mask** forbids it. Each word attends to itself and to the words before it.

# %%
sentence = "the cook praised the soup .".split()
coursekit.seed_everything(3)
text = 2 * torch.randn(6, 16)                # invented vectors for the six words
maps = [torch.nn.Linear(16, 16, bias=False) for _ in range(3)]


@torch.no_grad()
def self_attention(text, mask):
    """Context and weights of the words of one text."""
    return ct.scaled_dot_product_attention(*(layer(text) for layer in maps), mask, return_weights=True)


plots.heatmaps({"no mask": self_attention(text, None)[1],
                "causal mask": self_attention(text, ct.causal_mask(6))[1]},
               rows=sentence, columns=sentence, limits=(0, 1),
               xlabel="word that answers (key)", ylabel="word that asks (query)",
               alt="Two 6 by 6 heatmaps of random attention weights. Without a mask all cells have some weight. With the "
                   "causal mask everything above the diagonal is zero and the first row has its whole weight on itself.")

# %% [markdown]
# The first word has only itself. Each row below has one word more to choose from. There is a test for leaks that works on
# any layer and any model: **change the last word, and see which outputs change.**

# %%
# NBVAL_CHECK_OUTPUT
changed = text.clone()
changed[-1] = torch.ones(16)                 # another last word
for name, mask in (("no mask", None), ("causal mask", ct.causal_mask(6)),
                   ("causal mask, transposed", ct.causal_mask(6).T)):
    difference = self_attention(changed, mask)[0] - self_attention(text, mask)[0]
    moved = difference.abs().amax(dim=1) > 1e-6
    print(f"{name:24} outputs that change: {[sentence[i] for i in range(6) if moved[i]]}")

# %% [markdown]
# The transposed mask lets every word see itself and the future. It looks like a causal mask in a shape check, and it leaks
# as much as no mask.
#
# ### What a leak looks like in training
#
# Now an experiment in which we know the truth. A small grammar writes sentences such as *the cook praised the soup .* Three
# of the six words are drawn at random, each from four; the other three are certain. Nobody can predict a fair choice among
# four better than with probability ¼, which costs $\ln 4 = 1.386$ (in *nats*, the unit of a natural logarithm). So we know
# the lowest loss that any *prediction* can have.

# %%
# NBVAL_CHECK_OUTPUT
KINDS = torch.tensor([0, 1] + [2] * 4 + [3] * 4 + [4] * 4)   # the, stop, noun, verb, dish
WORDS = "the . cook waiter guest critic ordered tasted praised paid soup bread salad cake".split()
SEEN = 16                                    # a window has 17 words: 16 inputs, 16 targets


def windows(n, seed):
    generator = torch.Generator().manual_seed(seed)
    noun, verb, dish = (torch.randint(first, first + 4, (3 * n,), generator=generator) for first in (2, 6, 10))
    the, stop = torch.zeros_like(noun), torch.ones_like(noun)
    text = torch.stack([the, noun, verb, the, dish, stop], dim=1).view(n, 18)
    return text[:, :SEEN], text[:, 1:SEEN + 1]


train, test = windows(1000, seed=1), windows(1000, seed=100)
print("inputs ", " ".join(WORDS[i] for i in train[0][0]))
print("targets", " ".join(WORDS[i] for i in train[1][0]))
floor = np.array([np.log(4) if i >= 2 else 0.0 for i in train[1][0].tolist()])
print(f"lowest loss of any prediction: {floor.mean():.3f} for each word")
print(f"guessing among {len(WORDS)} words:       {np.log(len(WORDS)):.3f}")

# %% [markdown]
# The model is as small as it can be: word vectors, the sinusoids of lecture 04, one attention layer whose output is added
# to its input, and a last layer that scores the 14 words. The same model twice, once with the mask and once without.
#
# The test has windows of its own. (The grammar has only 64 sentences, but $64^3 = 262{,}144$ rows of three: hardly any test
# window was among the 1,000 of training.)
#
# **Predict.** Which of the two will have the lower loss on these *test* windows?

# %%
class Predictor(torch.nn.Module):
    """Scores of the next word at every place, by one attention layer with one head."""

    def __init__(self, causal, d_model=64):
        super().__init__()
        self.causal = causal
        self.embed = torch.nn.Embedding(len(WORDS), d_model)
        self.positions = ct.PositionalEncoding(d_model, max_length=18)
        self.query, self.key, self.value = (torch.nn.Linear(d_model, d_model, bias=False) for _ in range(3))
        self.output = torch.nn.Linear(d_model, len(WORDS))

    def forward(self, words, return_weights=False):
        x = self.positions(self.embed(words))
        mask = ct.causal_mask(words.shape[1]) if self.causal else None
        context, weights = ct.scaled_dot_product_attention(
            self.query(x), self.key(x), self.value(x), mask, return_weights=True)
        logits = self.output(x + context)
        return (logits, weights) if return_weights else logits


# %%
models = {}
for name, causal in (("with the mask", True), ("without", False)):
    coursekit.seed_everything(1)
    models[name] = Predictor(causal)
    ct.fit(models[name], train, epochs=25, batch_size=64, learning_rate=0.003, seed=1)


@torch.no_grad()
def loss_at_each_place(model):
    inputs, targets = test
    return F.cross_entropy(model(inputs).mT, targets, reduction="none").mean(dim=0).numpy()


# %%
by_place = {name: loss_at_each_place(model) for name, model in models.items()}
places = np.arange(SEEN)
figure, axes = plt.subplots(figsize=(8, 3.6), layout="constrained")
for shift, (name, losses), colour in zip((-0.2, 0.2), by_place.items(), plots.COLOURS):
    axes.bar(places + shift, losses, width=0.4, label=name, color=colour)
axes.hlines(floor, places - 0.45, places + 0.45, color="black", label="lowest of any prediction")
asked = ["the", ".", "noun", "verb", "dish"]
axes.set_xticks(places, [asked[kind] for kind in KINDS[test[1][0]]], rotation=60)
axes.set(xlabel="what is asked for, from place 1 to place 16", ylabel="loss on test windows, nats",
         title="Predicting the next word, one seed")
axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
plots.show(figure, "Loss at 16 places. With the mask it follows the lowest possible loss, 1.39 at places "
                   "where a noun, a verb or a dish is asked for and 0 elsewhere. Without the mask it is 0 "
                   "everywhere, except at the last place, where it is 1.39 too.")

# %%
lowest = {"lowest of any prediction": floor, "guessing": np.full(SEEN, np.log(len(WORDS)))}
results.table([{"model": name, "mean": losses.mean(), "last": losses[-1]}
               for name, losses in (by_place | lowest).items()],
              {"": "{model}", "all places": "{mean:.3f}", "last place": "{last:.3f}"},
              "Loss on 1,000 test windows, nats for each word, one seed (live).")

# %%
# NBVAL_CHECK_OUTPUT
for name, losses in by_place.items():
    print(f"{name:13} test loss below the floor: {losses.mean() < floor.mean() - 0.02}, "
          f"within 0.05 of it: {abs(losses.mean() - floor.mean()) < 0.05}, "
          f"at the last place alone below it: {losses[-1] < floor[-1] - 0.2}")

# %% [markdown]
# Without the mask the loss is far below what any prediction can have. It is low on test windows too, because at test time
# the answers are among the inputs as well. No split into training and test can find this mistake. The last place gives it
# away: the answer to place 16 is word 17, which is not among the inputs, and there the model is no better than the floor.
#
# Where does it look? Its weights on one window show it:

# %%
window = test[0][:1]
labels = [WORDS[i] for i in window[0]]
with torch.no_grad():
    looks = {name: model(window, return_weights=True)[1][0] for name, model in models.items()}
plots.heatmaps(looks, rows=labels, columns=labels, limits=(0, 1),
               xlabel="word that answers", ylabel="word that asks",
               alt="Two 16 by 16 heatmaps of trained attention weights. Without the mask, rows whose next word is drawn at "
                   "random put their weight on the cell just to the right of the diagonal: the next word. With the mask "
                   "that side is empty.")

# %%
# NBVAL_CHECK_OUTPUT
with torch.no_grad():
    weights = models["without"](test[0], return_weights=True)[1].mean(dim=0)
next_word = weights.diagonal(offset=1)       # row n, column n + 1
drawn = torch.tensor(floor[:-1] > 0)
print("mean weight on the next word, where it is drawn at random, at least 0.7:",
      next_word[drawn].mean().item() >= 0.7)
print("where it is certain, at most 0.3:", next_word[~drawn].mean().item() <= 0.3)

# %% [markdown]
# Wherever the next word is drawn at random, most of the weight lies one cell to the right: on the answer. Where the next
# word is certain there is nothing to steal, and the weight goes anywhere.
#
# Does it matter, with such a good loss? When the model *writes*, the next word does not exist yet. Let both write three
# sentences, drawing each word from the probabilities that the model gives after the words so far.

# %%
@torch.no_grad()
def write(model, n, seed):
    generator, text = torch.Generator().manual_seed(seed), torch.zeros(n, 1, dtype=torch.long)
    while text.shape[1] < 18:
        chances = model(text)[:, -1].softmax(-1)
        text = torch.cat([text, torch.multinomial(chances, 1, generator=generator)], dim=1)
    return text


for name, model in models.items():
    print(f"{name:13}", " ".join(WORDS[i] for i in write(model, 1, seed=0)[0]))

# %%
# NBVAL_CHECK_OUTPUT
for name, model in models.items():
    kinds = KINDS[write(model, 300, seed=0)].view(-1, 6)
    right = (kinds == torch.tensor([0, 2, 3, 0, 4, 1])).all(dim=1).float().mean().item()
    print(f"{name:13} sentences that follow the grammar: at least 0.9: {right >= 0.9}, "
          f"at most 0.1: {right <= 0.1}")

# %% [markdown]
# The cheat has learned next to nothing about the grammar. It hardly ever had to. The same over three seeds, by
# `benchmarks/causal_leak.py`:

# %%
results.stored_table("causal_leak")

# %%
# NBVAL_CHECK_OUTPUT
rows, _ = results.load("causal_leak")
for mask in ("with the causal mask", "without a mask"):
    seeds = [row for row in rows if row["mask"] == mask]
    print(f"{mask}, {len(seeds)} seeds")
    print("  test loss below 0.78 in all:            ", max(row["test"] for row in seeds) < 0.78)
    print("  right sentences at least 0.9 in all:    ", min(row["right"] for row in seeds) >= 0.9)
    print("  worse than guessing, future hidden, all:", min(row["hidden"] for row in seeds) > np.log(14))

# %% [markdown]
# One of the three seeds cheats only in part: it settled before it found the next word at every place, and it is still far
# below the floor. The fourth column hides the future from a model that was trained to see it: worse than guessing, since it
# is sure of itself and wrong.
#
# Three habits follow. Know a floor or at least a plausible loss, and distrust what is better. Run the change-the-last-word
# test on every causal model. And look at samples, not only at losses.
#
# BERT, in lecture 10, is allowed to look to the right. It is not asked for the next word, but for words that were taken
# *out* of its input.

# %% [markdown]
# ### Exercise 05.too_good: Too good to be true
#
# Difficulty ●●○○○ (2 of 5), about 3 minutes, 1 point
#
# A next-word predictor is trained on the sentences of this section, where no prediction can have a loss below 0.78. Its
# test loss is 0.09. What is most likely? Give `what_happened` the letter.
#
# - **a** It has overfitted: it knows its training sentences by heart.
# - **b** Its architecture is so good that it found a rule which the grammar's author did not see.
# - **c** At most places the answer is among its inputs, and it looks there.
# - **d** The test set is too small to tell.

# %%
what_happened = ...

# %%
coursekit.check("05.too_good")

# %% [markdown]
# ### Exercise 05.causal_self_attention: A causal self-attention layer
#
# Difficulty ●●●●○ (4 of 5), about 20 minutes, 4 points
#
# Write causal self-attention with one head as a class, an `nn.Module` or a Keras layer. `W_query`, `W_key` and
# `W_value` are linear layers without bias, from d_model to d_head. Each word attends to itself and to the words before
# it; the scores are scaled.

# %%
import math
import torch.nn as nn
import torch


class CausalSelfAttention(nn.Module):
    """Self-attention with one head in which a word sees itself and the words before it; W_query, W_key and W_value are
    linear, from d_model to d_head, without bias."""

    def __init__(self, d_model, d_head):
        super().__init__()
        ...

    def forward(self, x):
        """The context (batch, length, d_head) of x (batch, length, d_model)."""
        ...

# %%
coursekit.check("05.causal_self_attention")

# %% [markdown]
# ## 9. What it costs
#
# Every word is compared with every word: $n$ words make $n^2$ scores. Let us count multiplications, for a width $d$ and one
# layer with four maps (queries, keys, values, and the output map of lecture 06).
#
# - Each map multiplies $n$ words by a $d \times d$ matrix: $n d^2$. Four of them: $4 n d^2$.
# - The scores are $n^2$ dot products of $d$ numbers: $n^2 d$. The weighted sums are as many again: together $2 n^2 d$.
#
# PyTorch can count as well. It counts a multiplication and the addition after it as two operations. We ask for the weights,
# since on a CPU the counter does not see into the kernel that is used without them.

# %%
# NBVAL_CHECK_OUTPUT
from torch.utils.flop_counter import FlopCounterMode

d = 256
layer = ct.MultiHeadAttention(d, n_heads=8)
for n in (100, 200, 400):
    with FlopCounterMode(display=False) as counter:
        layer(torch.zeros(1, n, d), return_weights=True)
    maps, attention = 4 * n * d * d, 2 * n * n * d
    print(f"{n} words: maps {maps:>11,} + attention {attention:>11,} = {maps + attention:>11,}; "
          f"counted {counter.get_total_flops() // 2:>11,}")

# %% [markdown]
# Equal. Twice the words: the maps cost twice as much, attention four times. The ratio of attention to maps is $2 n^2 d / 4
# n d^2 = n / 2d$. So at $n = 2d$ words both cost the same. Below that, the famous quadratic part is the smaller one.
#
# **Predict.** We measure times with $d = 256$. At which length should attention take as long as the maps? And by how much
# will the time of attention grow from 1,024 to 8,192 words?

# %%
results.stored_table("attention_cost")

# %%
# NBVAL_CHECK_OUTPUT
cost, _ = results.load("attention_cost")
row_of = {row["length"]: row for row in cost}
growth = row_of[8192]["fused"] / row_of[1024]["fused"]
print(f"8 times the words: attention takes {growth:.0f} times as long, the maps "
      f"{row_of[8192]['projections'] / row_of[1024]['projections']:.0f} times")
print(f"at 512 words, attention to maps: {row_of[512]['share']:.2f}, "
      f"by counting {row_of[512]['counted']:.2f}")

# %% [markdown]
# The count predicts the time well: at $2d = 512$ words attention and maps take as long as each other, and 8 times the words
# take 64 times as long. There are two columns of attention. Both do the same multiplications, and yet one takes up to five
# times as long. What differs is memory: how much is used, and how often it is read and written.
#
# ### The fused kernel
#
# The plain way writes down all scores, then all weights: two tables of $n^2$ numbers for each head.
# `F.scaled_dot_product_attention` is a *fused kernel*, one piece of code for scores, softmax and sum, and it never writes
# the tables down. How can that be? To divide by the sum of all powers, one must have seen all scores.
#
# The trick is to correct afterwards. Take the keys in blocks. Keep three things for each query: the largest score so far,
# the sum of powers so far, and the weighted sum of values so far, all relative to that largest score. When a larger one
# comes, shrink what you have.

# %%
# NBVAL_CHECK_OUTPUT
def attend_in_blocks(query, key, value, block):
    largest, total, summed = np.full((len(query), 1), -np.inf), 0.0, 0.0
    for first in range(0, len(key), block):
        scores = query @ key[first:first + block].T / np.sqrt(query.shape[1])  # (queries, block)
        new_largest = np.maximum(largest, scores.max(axis=1, keepdims=True))
        shrink, powers = np.exp(largest - new_largest), np.exp(scores - new_largest)
        total = total * shrink + powers.sum(axis=1, keepdims=True)
        summed = summed * shrink + powers @ value[first:first + block]
        largest = new_largest
    return summed / total


rng = np.random.default_rng(0)
query, key, value = rng.normal(size=(50, 8)), rng.normal(size=(300, 8)), rng.normal(size=(300, 6))
expected, _ = reference.scaled_dot_product_attention(query, key, value)
for block in (300, 64, 7, 1):
    largest_difference = np.abs(attend_in_blocks(query, key, value, block) - expected).max()
    print(f"blocks of {block:3} keys: scores held at once {50 * block:6,}, "
          f"largest difference below 1e-12: {largest_difference < 1e-12}")

# %% [markdown]
# The result is exact, not an approximation. Only 50 numbers for each key of a block are held at once. Rabe and Staats
# (2021) and FlashAttention (Dao et al. 2022) built attention on this sum, which Milakov and Gimelshein (2018) had described
# for softmax alone. What is saved is memory, and the time to move it. The multiplications stay $n^2 d$.
#
# In `coursekit` one function has both ways. Ask for weights, and it computes them; do not ask, and it calls the kernel.

# %%
coursekit.show_source(ct.scaled_dot_product_attention)

# %% [markdown]
# Time and memory against length, from two stored tables (`benchmarks/attention_cost.py` and `benchmarks/attention.py`). On
# logarithmic axes a straight line of slope 1 is linear, and one of slope 2 is quadratic.

# %%
memory, _ = results.load("attention_memory")
drawn = [(cost, "ms for one pass", "Time", {"fused kernel": "fused", "with weights": "weights",
                                            "the four maps": "projections"}),
         (memory, "MB beyond what was held", "Memory", {"fused kernel": "forward", "with weights": "weights"})]
figure, panels = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
for axes, (rows, label, title, lines) in zip(panels, drawn):
    for (name, column), colour, marker, dash in zip(lines.items(), plots.COLOURS, plots.MARKERS, plots.DASHES):
        points = [(row["length"], row[column]) for row in rows if row[column] is not None]
        axes.loglog(*zip(*points), label=name, color=colour, marker=marker, linestyle=dash)
    lengths = [row["length"] for row in rows]
    axes.set(xlabel="words", ylabel=label, title=title)
    axes.set_xticks(lengths, lengths, rotation=45)
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend()
plots.show(figure, "Two panels against the length, all axes logarithmic. Time: the kernel and the way with "
                   "weights both rise with slope 2, the latter up to five times higher; the maps rise with "
                   "slope 1. Memory: with weights the line has slope 2 and reaches 266 MB at 2,048 words; the "
                   "kernel's has slope 1 and reaches 41 MB at 8,192.")

# %%
# NBVAL_CHECK_OUTPUT
held = {row["length"]: row for row in memory}
short, long = held[512], held[2048]
print("4 times the words, 512 to 2,048")
print(f"  memory with weights      × {long['weights'] / short['weights']:.1f}")
print(f"  memory of the kernel     × {long['forward'] / short['forward']:.1f}")
two_tables = 2 * 8 * 2048 ** 2 * 4 / 2 ** 20
print(f"two tables, 8 heads, 2,048 words, 4 bytes: {two_tables:.0f} MB of {long['weights']:.0f} MB measured")

# %% [markdown]
# Left, time is quadratic for both. Right, memory is quadratic only where weights are kept: two tables explain nearly all of
# it. The memory is that of the whole layer with its maps. All of it was measured on one CPU core, one text at a time; a GPU
# has other numbers.
#
# So what does it mean that a model has a context of 100,000 words? Counted for $d = 256$ and one layer:

# %%
# NBVAL_CHECK_OUTPUT
for n in (37, 512, 8192, 100_000):
    share = 2 * n * n * 256 / (2 * n * n * 256 + 4 * n * 256 * 256)
    print(f"{n:7,} words: {n * n:>14,} weights for each head, "
          f"attention is {share:4.0%} of the multiplications")

# %% [markdown]
# For our 37 words attention is almost free. For a book it is everything. Lecture 09 measures what that means for a model
# that writes.
#
# ## 10. One function, many ways
#
# The parity of this lecture. Loops, matrices and columns in NumPy; `coursekit` in PyTorch, with weights and with the
# kernel; PyTorch's own function; `coursekit` in Keras; and Keras's own layer. The last one leaves out the scale unless you
# train one (`use_scale=True`), and takes its inputs in the order query, *value*, key. Every axis has another size, so that
# nothing fits by accident.

# %%
# NBVAL_CHECK_OUTPUT
rng = np.random.default_rng(0)
query, key, value = (rng.normal(size=shape).astype("float32") for shape in ((5, 4), (7, 4), (7, 3)))
as_tensors = [torch.tensor(array) for array in (query, key, value)]
ways = {
    "NumPy, loops": reference.scaled_dot_product_attention_in_loops(query, key, value)[0],
    "NumPy, columns": reference.scaled_dot_product_attention_in_columns(query.T, key.T, value.T)[0].T,
    "coursekit.torch, with weights": ct.scaled_dot_product_attention(*as_tensors, return_weights=True)[0],
    "coursekit.torch, kernel": ct.scaled_dot_product_attention(*as_tensors),
    "F.scaled_dot_product_attention": F.scaled_dot_product_attention(*as_tensors),
    "coursekit.keras": ck.scaled_dot_product_attention(query, key, value),
    "keras.layers.Attention": keras.layers.Attention()([query[None], value[None], key[None]])[0],
    "keras.layers.Attention, query / √d":
        keras.layers.Attention()([query[None] / 2, value[None], key[None]])[0],
}
matrices, _ = reference.scaled_dot_product_attention(query, key, value)
for name, context in ways.items():
    print(f"{name:35} = NumPy, matrices: {np.allclose(np.asarray(context), matrices, atol=1e-5)}")

# %% [markdown]
# One `False`, the one that was announced: without the scale Keras's layer is another function, and with the queries divided
# by $\sqrt 4 = 2$ it agrees. Equal outputs are half of the story. Training needs equal *gradients*. By hand they come from
# the definition: move one number by a little, and see how much the result moves.

# %%
def by_definition(array, result, step=1e-5):
    """Gradient of result() for every entry of array, by moving each up and down."""
    gradient = np.zeros_like(array)
    for index in np.ndindex(array.shape):
        kept = array[index]
        moved = []
        for array[index] in (kept + step, kept - step):
            moved.append(result())
        array[index] = kept
        gradient[index] = (moved[0] - moved[1]) / (2 * step)
    return gradient


exact = [array.astype("float64") for array in (query, key, value)]
direction = rng.normal(size=(5, 3))          # what the context is multiplied with to make one number


def result():
    return (reference.scaled_dot_product_attention(*exact)[0] * direction).sum()


in_numpy = [by_definition(array, result) for array in exact]

# %%
import tensorflow as tf


def torch_gradients(function):
    tensors = [torch.tensor(array, requires_grad=True) for array in (query, key, value)]
    (function(*tensors) * torch.tensor(direction)).sum().backward()
    return [tensor.grad for tensor in tensors]


def keras_gradients(function):
    tensors = [tf.constant(array) for array in (query, key, value)]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        result = keras.ops.sum(function(*tensors) * direction.astype("float32"))
    return tape.gradient(result, tensors)


# %%
# NBVAL_CHECK_OUTPUT
gradients = {
    "coursekit.torch, with weights": torch_gradients(
        lambda *qkv: ct.scaled_dot_product_attention(*qkv, return_weights=True)[0]),
    "coursekit.torch, kernel": torch_gradients(ct.scaled_dot_product_attention),
    "F.scaled_dot_product_attention": torch_gradients(F.scaled_dot_product_attention),
    "coursekit.keras": keras_gradients(ck.scaled_dot_product_attention),
    "keras.layers.Attention, query / √d": keras_gradients(
        lambda q, k, v: keras.layers.Attention()([q[None] / 2, v[None], k[None]])[0]),
}
for name, theirs in gradients.items():
    print(f"{name:35} gradients of query, key and value = by definition:",
          [np.allclose(ours, other, atol=1e-5) for ours, other in zip(in_numpy, theirs)])

# %% [markdown]
# ## Summary
#
# - A dense layer over 37 words learns 1.4 billion numbers and takes no other length. Self-attention learns 3.1 million, for
#   any length.
# - Values come from one linear map for all words. Weights route them: positive, with the sum 1, and computed from the
#   words.
# - The weights are a softmax over dot products of queries and keys. They express fit, not likeness, and they have a
#   direction.
# - In rows $\text{softmax}(QK^\top)V$ along rows; in columns $V\,\text{softmax}(K^\top Q)$ along columns. The weights sum
#   to 1 over the keys.
# - Dot products of $d$ numbers vary by $\sqrt d$. Divide by the root of the size of a *query*, or softmax turns hard and
#   its gradient vanishes.
# - Mask before softmax. A query with nothing to attend to gets zero, not NaN.
# - Without the causal mask a language model reads the answer. Its test loss looks wonderful, and it cannot write.
# - Time grows with the square of the length. Memory does not have to: a fused kernel keeps no table of weights.
#
# ## Further reading
#
# - A. Vaswani, N. Shazeer, N. Parmar, J. Uszkoreit, L. Jones, A. N. Gomez, Ł. Kaiser, I. Polosukhin. *Attention Is All You
#   Need.* NeurIPS 2017. [arXiv:1706.03762](https://arxiv.org/abs/1706.03762). Section 3.2.1; its footnote 4 has the
#   argument about $\sqrt d$.
# - S. J. D. Prince. *Understanding Deep Learning.* MIT Press 2023. Chapter 12, from which the passage and the figure of the
#   routing come.
# - T. Dao, D. Y. Fu, S. Ermon, A. Rudra, C. Ré. *FlashAttention: Fast and Memory-Efficient Exact Attention with
#   IO-Awareness.* NeurIPS 2022. [arXiv:2205.14135](https://arxiv.org/abs/2205.14135).
# - M. N. Rabe, C. Staats. *Self-attention Does Not Need O(n²) Memory.* 2021.
#   [arXiv:2112.05682](https://arxiv.org/abs/2112.05682).
# - M. Milakov, N. Gimelshein. *Online normalizer calculation for softmax.* 2018.
#   [arXiv:1805.02867](https://arxiv.org/abs/1805.02867).
