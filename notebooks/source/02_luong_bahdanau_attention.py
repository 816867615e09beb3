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
# # 02 · Attention as soft alignment: Luong and Bahdanau
#
# [![Open in Colab](attachment:open_in_colab.png)](https://colab.research.google.com/github/coursekit/coursekit/blob/main/notebooks/02_luong_bahdanau_attention.ipynb)
#
# In lecture 01 the decoder saw the source through one vector, the encoder's last state. That was enough for 4 symbols and far
# from enough for 20. In this lecture the decoder may look back at every encoder state and choose. The choosing is attention.
#
# **You will be able to**
#
# - compute four attention scores by hand: Luong's *dot*, *general* and *concat*, and Bahdanau's *additive*;
# - turn scores into weights and weights into a context, with padding masked out;
# - place attention in a decoder in two ways, and say which paper uses which;
# - read an alignment heatmap, measure it, and know when it misleads.
#
# **Time** about 90 minutes of reading and trying; about one minute of computing on two CPU cores. No GPU is
# needed.
#
# **You need** lecture 01 (encoder, decoder, the reversal task) and matrix products.
#
# **Exercises** stand at the ends of sections. Put your answer in place of `...`, run the cell and the one below it:
# `coursekit.check` says whether it is right, and if not, which mistake it is. `coursekit.hint("02.context_vector")` and
# `coursekit.solution("02.context_vector")` help on, `coursekit.progress()` shows what you have done. No other cell needs
# your answers.

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
import torch
from torch.nn import functional as F

from coursekit import keras as ck
from coursekit import plots, reference, results, weights
from coursekit import torch as ct
from coursekit.datasets import reversal
from coursekit.keras.training import Progress

np.set_printoptions(precision=4, suppress=True, floatmode="fixed")

# %% [markdown]
# The course has each layer twice, once in Keras and once in PyTorch, under the same name. Here `ck.LuongAttention` is the Keras
# layer and `ct.LuongAttention` the PyTorch layer. Keras leads in this lecture and PyTorch stands beside it.
#
# ## 1. Which state does the decoder need?
#
# The encoder reads `[2, 8, 1, 6]` and leaves one state after each symbol: $h_1, h_2, h_3, h_4$. The decoder has to write
# `[6, 1, 8, 2]`.
#
# **Predict.** The decoder is about to write the third symbol, 8. Which encoder state would you hand to it? Is there only one
# that would do?

# %%
# NBVAL_CHECK_OUTPUT
source, target = [2, 8, 1, 6], [6, 1, 8, 2]
for t, symbol in enumerate(target, 1):
    place = len(source) + 1 - t
    print(f"step {t} writes {symbol}, which the encoder read at place {place}")

# %% [markdown]
# For step 3 the natural choice is $h_2$: the state just after the 8 was read. In general step $t$ needs place $n + 1 - t$, the
# *mirrored place*. Draw that as a table with one row for each step and one column for each place, and you get a line from the
# top right corner to the bottom left: the anti-diagonal.
#
# It is not the only choice. The encoder reads from left to right and carries a memory, so $h_3$ has seen the 8 as well, one
# symbol ago. Keep this in mind. It comes back in section 10.
#
# We will not tell the model any of this. We only give it a way to choose, and it has to find the alignment itself.

# %% [markdown]
# ## 2. Score, weights, context
#
# Three steps, always the same. There is a *query* $q$: the decoder's state, which asks. There are *values* $h_1 … h_n$: the
# encoder's states, which answer.
#
# 1. A **score** says how well each value fits the query: $e_j = \text{score}(q, h_j)$.
# 2. Softmax turns scores into **weights**: $\alpha_j = \exp(e_j) / \sum_k \exp(e_k)$. They are positive and add up to 1.
# 3. The **context** is the weighted sum of the values: $c = \sum_j \alpha_j h_j$.
#
# The simplest score is Luong's *dot*: $\text{score}(q, h) = q^\top h$. Here is an example small enough for paper, with states of
# 2 numbers and a source of 3 symbols.

# %%
q = np.array([1.0, 0.5])
h = np.array([[1.0, 0.0],
              [0.0, 1.0],
              [1.0, 1.0]])

# %% [markdown]
# By hand:
#
# - scores: $1 \cdot 1 + 0.5 \cdot 0 = 1$, then $1 \cdot 0 + 0.5 \cdot 1 = 0.5$, then $1 \cdot 1 + 0.5 \cdot 1 = 1.5$;
# - powers: $e^{1} = 2.718$, $e^{0.5} = 1.649$, $e^{1.5} = 4.482$, with the sum $8.849$;
# - weights: $2.718 / 8.849 = 0.307$, $1.649 / 8.849 = 0.186$, $4.482 / 8.849 = 0.507$.
#
# **Predict.** The third value has the largest weight, 0.507. Is the context close to $h_3 = [1, 1]$, or somewhere else?

# %%
# NBVAL_CHECK_OUTPUT
scores = h @ q
alpha = np.exp(scores) / np.exp(scores).sum()
context = alpha @ h

print("scores ", scores)
print("weights", alpha, f"sum {alpha.sum():.4f}")
print("context", context)

# %% [markdown]
# The context is a mixture: 0.307 of $h_1$, 0.186 of $h_2$ and 0.507 of $h_3$. It lies among the values and equals none of them.
# That is why the alignment is called *soft*. A hard choice would copy one state, and no gradient would tell the model how to
# choose better. Softmax has a gradient everywhere.
#
# The package has these formulas in NumPy, batched: `query (batch, units)`, `values (batch, length, units)`. Same numbers?

# %%
# NBVAL_CHECK_OUTPUT
query, values = q[np.newaxis], h[np.newaxis]  # a batch of one: (1, 2) and (1, 3, 2)
by_package = reference.softmax(reference.dot_score(query, values))
print("weights", by_package[0])
print("context", reference.context(by_package, values)[0])

# %% [markdown]
# ### Exercise 02.context_vector: The context vector
#
# Difficulty ●○○○○ (1 of 5), about 5 minutes, 1 point
#
# Write `context_vector`, the sum of the values, each multiplied by its weight.

# %%
import numpy as np


def context_vector(weights, values):
    """The context (batch, units) of weights (batch, length) and values (batch, length, units)."""
    ...

# %%
coursekit.check("02.context_vector")

# %% [markdown]
# ## 3. Four scores on one footing
#
# The dot product has nothing to learn. It can only ask "which encoder state looks like my own state?". The other scores put
# weights between the query and the values, so the model can learn what to ask. Here $u$ is the number of units.
#
# - **dot**: $q^\top h$, nothing to learn (Luong 2015)
# - **general**: $q^\top W h$, with $u^2$ numbers to learn (Luong 2015)
# - **concat**: $v^\top \tanh(W [q; h])$, with $2u^2 + u$ numbers (Luong 2015)
# - **additive**: $v^\top \tanh(W_1 q + W_2 h + b)$, with $2u^2 + 2u$ numbers (Bahdanau 2015)
#
# $[q; h]$ is $q$ with $h$ written below it, a vector of $2u$ numbers. All four take the same two vectors and return one number.
# Softmax and context stay as they are.
#
# ### General
#
# $W$ turns each value into what the query compares itself with. Take $W = \begin{bmatrix} 1 & 2 \\ 0 & -1 \end{bmatrix}$.
# Then $W h_1 = [1, 0]$, $W h_2 = [2, -1]$ and $W h_3 = [3, -1]$. With $q = [1, 0.5]$ the scores are
# $1 + 0 = 1$, then $2 - 0.5 = 1.5$, then $3 - 0.5 = 2.5$.

# %%
# NBVAL_CHECK_OUTPUT
W = np.array([[1.0, 2.0],
              [0.0, -1.0]])
print("W h, one row for each value:")
print(h @ W.T)
print("scores", h @ W.T @ q)

# %% [markdown]
# ### Concat
#
# Now query and value are stacked, go through a small layer with tanh, and $v$ reads off one number. Take
# $W = \begin{bmatrix} 1 & 0 & 0 & 1 \\ 0 & 1 & 1 & 0 \end{bmatrix}$ and $v = [2, -1]$. The left half copies $q$, the right half
# adds $h$ with its two numbers swapped. For $h_1 = [1, 0]$ that gives $[1, 0.5] + [0, 1] = [1, 1.5]$.
# With $\tanh 1 = 0.762$ and $\tanh 1.5 = 0.905$ the score is $2 \cdot 0.762 - 0.905 = 0.618$.
#
# **Predict.** Can a concat score ever be larger than $|v_1| + |v_2| = 3$, however large the states are?

# %%
# NBVAL_CHECK_OUTPUT
W_concat = np.array([[1.0, 0.0, 0.0, 1.0],
                     [0.0, 1.0, 1.0, 0.0]])
v = np.array([2.0, -1.0])
for place, state in enumerate(h, 1):
    hidden = np.tanh(W_concat @ np.concatenate([q, state]))
    print(f"h_{place}: tanh {hidden}, score {v @ hidden:.4f}")

# %% [markdown]
# It cannot: tanh stays between −1 and 1, so the score stays between −3 and 3. A dot product has no such limit, it grows with the
# length of its vectors. For small states this hardly matters. In lecture 05 it will.
#
# ### Additive
#
# Bahdanau's score has a matrix for the query, a matrix for the value, and a bias. Take $W_1$ and $W_2$ as the two halves of the
# matrix above and $b = [-1, 0.5]$. For $h_1$: $[1, 0.5] + [0, 1] + [-1, 0.5] = [0, 2]$, and $2 \cdot 0 - \tanh 2 = -0.964$.

# %%
# NBVAL_CHECK_OUTPUT
W1, W2 = W_concat[:, :2], W_concat[:, 2:]
b = np.array([-1.0, 0.5])
for place, state in enumerate(h, 1):
    hidden = np.tanh(W1 @ q + W2 @ state + b)
    print(f"h_{place}: tanh {hidden}, score {v @ hidden:.4f}")

# %% [markdown]
# ### The same four from the package
#
# Do the layers that we will train compute what we computed by hand? We give PyTorch's layers our matrices, then copy the
# weights to the Keras layers.

# %%
def tensor(array):
    return torch.tensor(array, dtype=torch.float32)


torch_layers = {score: ct.LuongAttention(2, score) for score in ("dot", "general", "concat")}
torch_layers["additive"] = ct.BahdanauAttention(2)
torch_layers["general"].W.weight.data = tensor(W)
torch_layers["concat"].W.weight.data = tensor(W_concat)
torch_layers["concat"].v.weight.data = tensor(v[np.newaxis])
torch_layers["additive"].query_layer.weight.data = tensor(W1)
torch_layers["additive"].query_layer.bias.data = tensor(b)
torch_layers["additive"].values_layer.weight.data = tensor(W2)
torch_layers["additive"].v.weight.data = tensor(v[np.newaxis])

keras_layers = {score: ck.LuongAttention(2, score) for score in ("dot", "general", "concat")}
keras_layers["additive"] = ck.BahdanauAttention(2)
for score in keras_layers:
    weights.copy(torch_layers[score], keras_layers[score])

# %% [markdown]
# A layer returns the context. With `return_weights=True` it returns the context and the weights, three numbers for our three
# values.

# %%
# NBVAL_CHECK_OUTPUT
by_hand = {"dot": reference.dot_score(query, values),
           "general": reference.general_score(query, values, W),
           "concat": reference.concat_score(query, values, W_concat, v),
           "additive": reference.additive_score(query, values, W1, W2, v, b)}
for score in by_hand:
    _, in_keras = keras_layers[score](query, values, return_weights=True)
    _, in_torch = torch_layers[score](tensor(query), tensor(values), return_weights=True)
    print(f"{score:9} scores  {by_hand[score][0]}")
    print(f"{'':9} weights {reference.softmax(by_hand[score])[0]} by hand")
    print(f"{'':9} weights {keras.ops.convert_to_numpy(in_keras)[0]} Keras")
    print(f"{'':9} weights {in_torch.detach().numpy()[0]} PyTorch")

# %% [markdown]
# Three ways, the same numbers. With the same query and the same values the four scores disagree about which value matters:
# dot and general prefer $h_3$, concat and additive prefer $h_2$. Nothing is wrong with that. Only training decides what $W$ and
# $v$ should be.

# %% [markdown]
# ### Exercise 02.four_scores: Four scores on one footing
#
# Difficulty ●●●○○ (3 of 5), about 20 minutes, 4 points
#
# Write `attention_scores`, which compares a query with every value by one of four scores:
#
# - `"dot"`: $q^\top h_j$
# - `"general"`: $q^\top W h_j$, with $W$ (units, units)
# - `"concat"`: $v^\top \tanh(W [q; h_j])$, with $W$ (units, 2 · units)
# - `"additive"`: $v^\top \tanh(W_1 q + W_2 h_j + b)$, with $W = [W_1\; W_2]$
#
# All six arguments always come; a score ignores what it does not need.

# %%
import numpy as np


def attention_scores(kind, query, values, W, v, b):
    """Scores (batch, length) of query (batch, units) and values (batch, length, units); kind is "dot", "general",
    "concat" or "additive"; W (units, units) for "general" and (units, 2 * units) otherwise; v and b (units,)."""
    ...

# %%
coursekit.check("02.four_scores")

# %% [markdown]
# ## 4. Two of the four are one function
#
# Concat and additive look different on paper. Are they?
#
# Cut $W$ into its left half $W_q$ and its right half $W_h$. Then
#
# $$W [q; h] = W_q\, q + W_h\, h .$$
#
# That is Bahdanau's $W_1 q + W_2 h$ without the bias.
#
# **Predict.** We copy the two halves of a random concat layer into an additive layer and set the bias to zero. How large will
# the largest difference between their weights be?

# %%
# NBVAL_CHECK_OUTPUT
coursekit.seed_everything(0)
units = 5
concat, additive = ct.LuongAttention(units, "concat"), ct.BahdanauAttention(units)
additive.query_layer.weight.data = concat.W.weight.data[:, :units]
additive.values_layer.weight.data = concat.W.weight.data[:, units:]
additive.query_layer.bias.data.zero_()
additive.v.weight.data = concat.v.weight.data

some_query, some_values = torch.randn(3, units), torch.randn(3, 7, units)
_, from_concat = concat(some_query, some_values, return_weights=True)
_, from_additive = additive(some_query, some_values, return_weights=True)
print("weights", tuple(from_concat.shape), "equal within 0.00001:",
      torch.allclose(from_concat, from_additive, atol=1e-5))
for name, layer in (("concat", concat), ("additive", additive)):
    print(f"{name:8} {sum(weight.numel() for weight in layer.parameters())} learned numbers")

# %% [markdown]
# No difference. The additive layer has 5 learned numbers more, its bias, and that is all. So when a table shows Bahdanau's
# attention ahead of Luong's concat or behind it, the score is hardly the reason. The papers differ in *where* attention sits in
# the decoder, and section 7 is about that.
#
# ## 5. A mistake that shapes do not catch
#
# `values` is a matrix with one row for each place and one column for each unit. $W$ belongs to the units: it multiplies every
# row. A common slip multiplies the columns instead, so that $W$ runs along time.

# %%
# NBVAL_CHECK_OUTPUT
right = (h @ W.T)[:2] @ q   # W applied to each state: two places, two units
wrong = (W @ h[:2]) @ q     # W applied along time: it mixes the two places
print("two places, right:", right, "shape", right.shape)
print("two places, wrong:", wrong, "shape", wrong.shape)
print("with W the identity, equal:", np.array_equal(h[:2] @ np.eye(2).T @ q, np.eye(2) @ h[:2] @ q))

# %% [markdown]
# Both run and both return one score for each place. With as many places as units a shape check has nothing to say, and training
# does not crash either. Two of the four public solutions we read make this mistake: their length equals their width.
#
# **Predict.** What happens with three places? And with padding?

# %%
# NBVAL_CHECK_OUTPUT
try:
    (W @ h) @ q
except ValueError:
    print("three places: W of shape", W.shape, "does not fit values of shape", h.shape)

changed = h[:2].copy()
changed[1] = [9.0, 9.0]  # the second place is padding: it must not matter to the first
print(f"score of place 1, right: {(h[:2] @ W.T @ q)[0]:.4f}, then {(changed @ W.T @ q)[0]:.4f}")
print(f"score of place 1, wrong: {(W @ h[:2] @ q)[0]:.4f}, then {(W @ changed @ q)[0]:.4f}")

# %% [markdown]
# The cost is threefold. The layer works for one length only. Its scores are not those of the formula. And every place leaks into
# the score of every other, so a mask comes too late: place 1 jumped from 2.0 to 28.0 because of padding at place 2.
#
# Two habits catch it. Test with shapes in which every dimension differs. And never test with $W$ equal to the identity, where
# right and wrong agree, as the cell before last showed.
#
# ## 6. Padding: mask before softmax
#
# Sequences in a batch have different lengths. The short ones are filled up, and the fill must get weight zero. A mask says which
# places count: `True` means *may attend*.
#
# **Predict.** Why not compute the weights as always and set those of the padding to zero afterwards?

# %%
# NBVAL_CHECK_OUTPUT
mask = np.array([True, True, False])  # the third place is padding
after = alpha * mask
before = reference.softmax(scores, mask=mask)
for name, row in (("no mask", alpha), ("mask after softmax", after),
                  ("mask before softmax", before)):
    print(f"{name:19} {row} sum {row.sum():.4f}")

# %% [markdown]
# Masked afterwards, the weights add up to 0.4935. Half of the attention is lost, and the context shrinks with the amount of
# padding in the batch. Masked before, softmax shares the whole 1 among the places that exist. In code, "before" means giving the
# padding the lowest possible score.
#
# Does the package's layer agree, in both frameworks? And what if a row has nothing to attend to at all?

# %%
# NBVAL_CHECK_OUTPUT
two_queries, two_values = np.repeat(query, 2, axis=0), np.repeat(values, 2, axis=0)
masks = np.array([[True, True, False], [False, False, False]])
in_keras = keras_layers["dot"](two_queries, two_values, masks, return_weights=True)
in_torch = torch_layers["dot"](tensor(two_queries), tensor(two_values), torch.tensor(masks),
                               return_weights=True)
for row, name in enumerate(("one place masked", "all places masked")):
    print(name)
    print("  Keras   weights", in_keras[1].numpy()[row], "context", in_keras[0].numpy()[row])
    print("  PyTorch weights", in_torch[1].numpy()[row], "context", in_torch[0].numpy()[row])

# %% [markdown]
# A row without any allowed place gets zero weights and a zero context. This is a decision of the course. What do others do?

# %%
# NBVAL_CHECK_OUTPUT
minus_infinity = torch.full((3,), float("-inf"))
print("softmax of three -inf:            ", minus_infinity.softmax(-1).tolist())
_, uniform = keras.layers.Attention()([two_queries[1:, np.newaxis], two_values[1:]],
                                      mask=[None, masks[1:]], return_attention_scores=True)
print("keras.layers.Attention, all masked:", uniform.numpy()[0, 0])

# %% [markdown]
# With $-\infty$ you get NaN, which spreads to every weight of the model at the next update. Keras's own layer spreads the
# attention evenly over the padding, as if it were text. Zero is the only answer that says "there was nothing".

# %% [markdown]
# ### Exercise 02.masked_weights: Weights with a mask
#
# Difficulty ●●●○○ (3 of 5), about 15 minutes, 3 points
#
# Write `masked_weights`: a softmax over the places that the mask allows. Places that are not allowed get weight 0, a
# row without any allowed place is all zeros, and large scores do not overflow.

# %%
import numpy as np


def masked_weights(scores, mask):
    """Weights (batch, length) of scores (batch, length) and a boolean mask (batch, length), True where attending is
    allowed."""
    ...

# %%
coursekit.check("02.masked_weights")

# %% [markdown]
# ## 7. Two wirings
#
# A score compares a query with values. Which decoder state is the query, the one before the step or the one after it? And where
# does the context go? The two papers answer differently. Let $y_{t-1}$ be the symbol written last and $s_t$ the decoder's state.
#
# | | Bahdanau: attend, then step | Luong: step, attend, combine |
# |---|---|---|
# | first | $c_t = \text{attend}(s_{t-1})$ | $s_t = \text{LSTM}(y_{t-1},\ s_{t-1})$ |
# | then | $s_t = \text{LSTM}([y_{t-1}; c_t],\ s_{t-1})$ | $c_t = \text{attend}(s_t)$ |
# | then | | $\tilde h_t = \tanh(W_c [c_t; s_t])$ |
# | output | $\text{Dense}(s_t)$ | $\text{Dense}(\tilde h_t)$ |
#
# $\tilde h_t$ is Luong's *attentional vector*. In his wiring the context goes straight to the output. In Bahdanau's it goes into
# the LSTM, and what was read becomes part of the state.
#
# Any score fits into either wiring, and it is easy to mix them without a word. The slides this lecture grew from *describe* Luong's
# order and *draw and code* Bahdanau's order with Luong's dot score. Both are fine, as long as one says which.
#
# Here is one step of each, by hand with the parts of an untrained Keras model.

# %%
# NBVAL_CHECK_OUTPUT
ops = keras.ops
tokens = np.array([[2, 8, 1, 6]])
first_y = ops.zeros((1, 10))  # before the first symbol: zeros

bahdanau = ck.Seq2Seq(10, 16, attention="dot", wiring="bahdanau")
expected = bahdanau(tokens)[:, 0]
states, s, cell = bahdanau.encode(ops.convert_to_tensor(tokens), None)
context = bahdanau.attention(s, states)            # attend with the old state, then step
s, _ = bahdanau.decoder(ops.concatenate([first_y, context], axis=-1), [s, cell])
print("Bahdanau, step 1 equal:", np.allclose(bahdanau.output_layer(s), expected, atol=1e-5))

luong = ck.Seq2Seq(10, 16, attention="dot", wiring="luong")
expected = luong(tokens)[:, 0]
states, s, cell = luong.encode(ops.convert_to_tensor(tokens), None)
s, _ = luong.decoder(first_y, [s, cell])           # step, then attend with the new state
context = luong.attention(s, states)
attentional = ops.tanh(luong.combine(ops.concatenate([context, s], axis=-1)))
print("Luong, step 1 equal:   ", np.allclose(luong.output_layer(attentional), expected, atol=1e-5))

# %% [markdown]
# An LSTM's state has two halves: `s`, which it shows and which attention compares, and `cell`, which it keeps to itself. The
# package writes both orders once, as the method `step` of `Seq2Seq`, for all scores. Here `state[0]` is the half shown, and
# `keys` is the part of the score that no query changes, such as $W h_j$: it is computed once for all steps.

# %%
coursekit.show_source(ck.Seq2Seq.step)

# %% [markdown]
# One check before training, with the same model in PyTorch. Does the whole model ignore padding, as section 6 wants it? We write
# four symbols from `[2, 8, 1, 6]` alone, and from the same four with three zeros of padding behind them and a mask.

# %%
# NBVAL_CHECK_OUTPUT
in_torch = ct.Seq2Seq(10, 16, attention="dot", wiring="luong")
weights.copy(luong, in_torch)
alone = in_torch(torch.tensor(tokens))
padded = torch.tensor([[2, 8, 1, 6, 0, 0, 0]])
logits, attention_weights = in_torch(padded, mask=padded != 0, length=4, return_weights=True)
print("PyTorch equals Keras:        ", np.allclose(alone.detach(), luong(tokens), atol=1e-5))
print("padded equals alone:         ", torch.allclose(logits, alone, atol=1e-5))
print(f"weight on the padded places:  {attention_weights[:, :, 4:].sum().item():.4f}")

# %% [markdown]
# ### Exercise 02.wiring: Which state asks?
#
# Difficulty ●○○○○ (1 of 5), about 3 minutes, 1 point
#
# In Bahdanau's wiring, which decoder state is the query of step t? Give `query_state` the letter.
#
# - **a** The state before the step, since the context is an input of the step.
# - **b** The state after the step, as in Luong's wiring.
# - **c** The encoder's last state, in every step.
# - **d** The encoder state at place t.

# %%
query_state = ...

# %%
coursekit.check("02.wiring")

# %% [markdown]
# ### Exercise 02.attentional_vector: Luong's attentional vector
#
# Difficulty ●●○○○ (2 of 5), about 10 minutes, 2 points
#
# In Luong's wiring the decoder steps first and then looks back; context and state are joined to the attentional vector
# $\tanh(W [c; s])$. Write it as a class, an `nn.Module` or a Keras layer, whose `W` is a linear layer without bias.

# %%
import torch.nn as nn
import torch


class AttentionalVector(nn.Module):
    """tanh(W [c; s]); W is linear, from 2 * units to units, without bias."""

    def __init__(self, units):
        super().__init__()
        ...

    def forward(self, context, state):
        """The attentional vector (batch, units) of a context (batch, units) and a decoder state (batch, units)."""
        ...

# %%
coursekit.check("02.attentional_vector")

# %% [markdown]
# ## 8. Twenty symbols, with attention and without
#
# Lecture 01 ended with sequences of 20 symbols drawn from 15. A decoder that sees only the last state got about half of the symbols
# and not one whole sequence. Everything else stays: 64 units, 2,000 training sequences, batches of 50, Adam with learning rate 0.005,
# gradients clipped to norm 1.
#
# **Predict.** Dot attention adds no learned number to the score. In Luong's wiring it adds one matrix, $W_c$. Will that be enough
# to reverse whole sequences after 10 epochs?

# %%
LENGTH, VOCABULARY, UNITS, EPOCHS = 20, 16, 64, 10
training = reversal(2000, LENGTH, VOCABULARY, seed=0)
validation = reversal(200, LENGTH, VOCABULARY, seed=1)
test = reversal(1000, LENGTH, VOCABULARY, seed=2)


def train_keras(attention):
    coursekit.seed_everything(0)  # the same start, whatever ran before
    model = ck.Seq2Seq(VOCABULARY, UNITS, attention=attention, wiring="luong")
    model.compile(optimizer=keras.optimizers.Adam(0.005, global_clipnorm=1.0),
                  loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                  metrics=["accuracy"], jit_compile=False)
    # With this patience nothing stops early; it only brings back the weights of the best epoch.
    best = keras.callbacks.EarlyStopping("val_loss", patience=EPOCHS, restore_best_weights=True)
    history = model.fit(*training, validation_data=validation, batch_size=50, epochs=EPOCHS,
                        verbose=0, callbacks=[best, Progress()])
    return model, history.history["val_accuracy"]


# %%
without, curve_without = train_keras(None)
dot, curve_dot = train_keras("dot")
plots.curves({"no attention": curve_without, "dot attention, Luong's wiring": curve_dot},
             xlabel="epoch", ylabel="share of validation symbols right", limits=(0, 1.03),
             title="Reversing 20 symbols, one seed",
             alt="Two learning curves over 10 epochs. With dot attention the share of right "
                 "symbols rises to nearly 1 within about 6 epochs; without attention it creeps "
                 "up and stays below one half.")

# %%
# NBVAL_CHECK_OUTPUT
for name, model in (("no attention", without), ("dot attention", dot)):
    right = model.greedy(test[0]).numpy() == test[1]
    share, exact = right.mean(), right.all(axis=-1).mean()
    print(name)
    print(f"  symbols right at least 0.95: {share >= 0.95}, at most 0.60: {share <= 0.60}")
    print(f"  exact match at least 0.80:   {exact >= 0.80}, at most 0.01: {exact <= 0.01}")

# %% [markdown]
# It is enough, and the curve shows how: slow at first, then a sudden rise. A plausible reading: while the weights are spread over
# all places the context says little, and once they begin to settle every step profits at the same time.
#
# One seed proves little, and accuracy is not the only cost. Here are all scores in both wirings, three seeds each, measured by
# `benchmarks/reversal_variants.py` and stored. Training stops when 99 % of the validation symbols are right, or after 30 epochs.

# %%
variants, about = results.load("reversal_variants")
rows = results.over_seeds(variants, about["by"])
guessing = dict(attention="guessing", wiring="–", parameters=0, epochs=0, seconds=0,
                token_accuracy=1 / 15, exact_match=0)
results.table([guessing] + rows,
              {"attention": "{attention}", "wiring": "{wiring}",
               "learned numbers": "{parameters:,.0f}", "symbols right": "{token_accuracy:.1%}",
               "exact match": "{exact_match:.1%}", "epochs": "{epochs:.1f}",
               "seconds": "{seconds:.1f}"},
              "Length 20, 1,000 test sequences, mean of three seeds (stored), one CPU core.")

# %%
# NBVAL_CHECK_OUTPUT
attentive = [row for row in variants if row["attention"] != "none"]
plain = [row for row in variants if row["attention"] == "none"]
print(f"{len(attentive)} runs with attention: symbols right at least 0.95:",
      min(row["token_accuracy"] for row in attentive) >= 0.95)
print(f"{len(plain)} runs without: symbols right at most 0.65:",
      max(row["token_accuracy"] for row in plain) <= 0.65)
print(f"{len(plain)} runs without: exact match at most 0.01:",
      max(row["exact_match"] for row in plain) <= 0.01)

spread = max(row["exact_match_high"] - row["exact_match_low"] for row in rows)
means = [row["exact_match"] for row in rows if row["attention"] != "none"]
print("exact match differs more between seeds of one variant than between the variants:",
      spread > max(means) - min(means))

# %% [markdown]
# Attention or none decides everything. Score and wiring decide much less: all eight combinations arrive, some after twice as many
# epochs as others. Dot, with nothing to learn in its score, is among the fastest.
#
# Look at *exact match* as well as at symbols. A sequence has twenty chances to go wrong, so 99 % of the symbols may still leave
# one sequence in ten with an error.
#
# The table does not say which score is best. Exact match differs more between three seeds of one variant than between the
# variants, and this is one small task.
#
# How does it depend on length? The curve of lecture 01 again, with a second line.

# %%
by_length, _ = results.load("reversal_lengths")
curve = {"no attention": [], "dot attention": []}
for row in results.over_seeds(by_length, ["attention", "length"]):
    curve["no attention" if row["attention"] == "none" else "dot attention"].append(row)
lengths = [row["length"] for row in curve["no attention"]]
lines = {name: (lengths, [row["token_accuracy"] for row in rows]) for name, rows in curve.items()}
bands = {name: tuple([row[f"token_accuracy_{edge}"] for row in rows] for edge in ("low", "high"))
         for name, rows in curve.items()}
lines["guessing"] = (lengths, [1 / 15] * len(lengths))
plots.curves(lines, bands=bands, limits=(0, 1.03), xlabel="length of the sequence",
             ylabel="share of test symbols right",
             title="Accuracy against length, mean and range of three seeds (stored)",
             alt="Share of right symbols against length 4 to 30. With dot attention it stays near "
                 "1 at every length. Without attention it falls from near 1 at length 4 to about "
                 "a third at length 30. Guessing is at 0.07.")

# %%
# NBVAL_CHECK_OUTPUT
for attention in ("none", "dot"):
    longest = [row["token_accuracy"] for row in by_length
               if row["attention"] == attention and row["length"] == 30]
    print(f"{attention:4} at length 30, all seeds: at least 0.95: {min(longest) >= 0.95}, "
          f"at most 0.50: {max(longest) <= 0.5}")

# %% [markdown]
# The bottleneck is gone: 64 units need no longer hold 30 symbols. The figure shows this for lengths up to 30. Section 12 asks
# about 100.
#
# ## 9. What the weights show
#
# For every step the decoder leaves a row of weights, one for each place. Stacked, they make the *alignment heatmap*.
#
# **Predict.** Rows are steps from top to bottom, columns are places from left to right. Where will the bright cells be?

# %%
logits, alignment = dot(test[0], return_weights=True)
alignment = alignment.numpy()
written = logits.numpy().argmax(-1)
plots.heatmap(alignment[0], rows=written[0], columns=test[0][0], limits=(0, 1),
              xlabel="source, in reading order", ylabel="written, first on top",
              title="Dot attention, Luong's wiring",
              alt="A 20 by 20 heatmap of attention weights for one test sequence. The bright cells "
                  "lie on a line from the top right to the bottom left.")

# %% [markdown]
# The anti-diagonal of section 1. Nobody told the model; it is the alignment that lowers the loss.
#
# A picture of one sequence is an anecdote, so let us count over all 1,000 test sequences. Two numbers:
#
# - **mass**: the mean weight on the mirrored place;
# - **hits**: the share of steps whose *largest* weight is on the mirrored place. We also count the neighbour that was read one
#   step later, and the one read one step earlier.

# %%
def align(weights):
    """Mass on the mirrored place, and hits on it, on its later and on its earlier neighbour."""
    length = weights.shape[-1]
    mirrored = np.arange(length)[::-1]
    distance = weights.argmax(-1) - mirrored
    mass = weights[:, np.arange(length), mirrored].mean()
    return {"mass": mass, "hits": (distance == 0).mean(),
            "later": (distance == 1).mean(), "earlier": (distance == -1).mean()}


def show_alignment(maps):
    results.table([{"weights": name} | align(weights) for name, weights in maps.items()],
                  {"weights": "{weights}", "mass": "{mass:.2f}", "hits": "{hits:.2f}",
                   "later neighbour": "{later:.2f}", "earlier neighbour": "{earlier:.2f}"},
                  "Where the weights lie, 1,000 test sequences, one seed (live).")


# %%
perfect = np.eye(LENGTH)[::-1][np.newaxis]
even = np.full((1, LENGTH, LENGTH), 1 / LENGTH)
show_alignment({"perfect alignment": perfect, "even weights": even, "dot, trained": alignment})

# %%
# NBVAL_CHECK_OUTPUT
measured = align(alignment)
print("hits at least 0.90:", measured["hits"] >= 0.90)
print("mass between 0.45 and 0.95:", 0.45 <= measured["mass"] <= 0.95)

# %% [markdown]
# The two numbers differ, and that is worth a thought. Nearly every step has its largest weight in the right place, and yet a
# good part of the weight lies elsewhere. Nothing in the loss asks for a sharp map. It asks for right symbols, and a mixture in
# which the right state is loudest is good enough for that.
#
# ### The other scores
#
# Now general and concat in Luong's wiring and additive in Bahdanau's, each as in its own paper. PyTorch this time: `ct.fit` is
# the course's training loop. It stops when 99 % of the validation symbols are right.
#
# **Predict.** Will all four draw the same picture?

# %%
def pair(arrays):
    return tuple(torch.from_numpy(array) for array in arrays)


def train_torch(attention, wiring):
    coursekit.seed_everything(0)
    model = ct.Seq2Seq(VOCABULARY, UNITS, attention=attention, wiring=wiring)
    ct.fit(model, pair(training), pair(validation), epochs=20, batch_size=50, learning_rate=0.005,
           clip=1.0, stop=ct.reached("val_token_accuracy", 0.99))
    return model


trained = {"general": train_torch("general", "luong"),
           "concat": train_torch("concat", "luong"),
           "additive": train_torch("additive", "bahdanau")}

# %%
# NBVAL_CHECK_OUTPUT
sources, targets = pair(test)
maps = {"dot": alignment}
for name, model in trained.items():
    symbols_right = (model.greedy(sources) == targets).float().mean().item()
    maps[name] = model(sources, return_weights=True)[1].detach().numpy()
    print(f"{name:9} symbols right at least 0.90:", symbols_right >= 0.90)

# %%
numbers = range(1, LENGTH + 1)
plots.heatmaps({name: maps[name][0] for name in maps}, rows=numbers, columns=numbers, limits=(0, 1),
               xlabel="place in the source", ylabel="step",
               alt="Four heatmaps side by side for one test sequence: dot, general, concat and "
                   "additive. Each shows a line from top right to bottom left. Additive is the "
                   "sharpest, concat the most spread.")

# %%
show_alignment(maps | {"even weights": even})

# %%
# NBVAL_CHECK_OUTPUT
for name, matrix in maps.items():
    found = align(matrix)
    print(f"{name:8} hits on the mirrored place or the later neighbour at least 0.85:",
          found["hits"] + found["later"] >= 0.85)
    print(f"{'':8} hits on the earlier neighbour at most 0.05:", found["earlier"] <= 0.05)

# %% [markdown]
# Is that one lucky seed? The same two counts for every score in both wirings, three seeds each, stored:

# %%
results.table(results.over_seeds(attentive, about["by"]),
              {"attention": "{attention}", "wiring": "{wiring}", "mass": "{mass:.2f}",
               "hits": "{on_diagonal:.2f}", "lowest": "{on_diagonal_low:.2f}",
               "either neighbour": "{one_off:.2f}"},
              "Where the weights lie, mean of three seeds, and hits of the lowest seed (stored).")

# %% [markdown]
# All four found an alignment, and no two maps are equal. They differ in sharpness, and sometimes in place: where the largest
# weight misses the mirrored place, it sits on the state that was read one step *later*, one cell to the right. In the live table
# it almost never sits one cell to the left. Why only there?

# %% [markdown]
# ### Exercise 02.alignment: How mirrored is the alignment?
#
# Difficulty ●●●○○ (3 of 5), about 15 minutes, 3 points
#
# Counted from 0, the mirrored place of step t is length − 1 − t. Write `measure_alignment`, which returns two numbers
# for a tensor of attention weights: `hits`, the share of steps whose largest weight is on the mirrored place, and
# `mass`, the mean weight there.

# %%
import torch


def measure_alignment(weights):
    """hits and mass, two numbers, of weights (batch, steps, length), a tensor with as many steps as the source has
    symbols."""
    ...

# %%
coursekit.check("02.alignment")

# %% [markdown]
# ## 10. One step off, and still right
#
# Here is the model that the slides draw: Luong's dot score in Bahdanau's wiring. The vocabulary of 10 and the 16 units are those
# of the first model of lecture 01. The length is 6 instead of 4: at length 4 the last state holds the whole sequence, and attention
# has little to do. The model is so small that we can afford three seeds of it, and three of Luong's wiring beside them.

# %%
def small(wiring, seed):
    coursekit.seed_everything(seed)
    model = ct.Seq2Seq(10, 16, attention="dot", wiring=wiring)
    ct.fit(model, pair(reversal(2000, 6, 10, seed=0)), epochs=12, batch_size=50,
           learning_rate=0.005, clip=1.0, seed=seed)
    return model


models = {(wiring, seed): small(wiring, seed)
          for wiring in ("bahdanau", "luong") for seed in (0, 1, 2)}

# %%
off, on = models["bahdanau", 0], models["luong", 0]
example = torch.tensor([[2, 8, 1, 6, 3, 9]])
plots.heatmaps({"Bahdanau's wiring": off(example, return_weights=True)[1][0].detach(),
                "Luong's wiring": on(example, return_weights=True)[1][0].detach()},
               rows=off.greedy(example)[0].tolist(), columns=example[0].tolist(), limits=(0, 1),
               xlabel="source, in reading order", ylabel="written, first on top",
               alt="Two 6 by 6 heatmaps for one sequence. In Luong's wiring the bright cells lie "
                   "on the anti-diagonal. In Bahdanau's wiring, from the second step on, most lie "
                   "one place to the right of it.")

# %% [markdown]
# Look at the left map. From the second row on, the brightest cell mostly stands under a symbol that is *not* the one being written.
#
# **Predict.** Does this model make mistakes?

# %%
short, short_target = pair(reversal(1000, 6, 10, seed=2))
rows = []
for (wiring, seed), model in models.items():
    right = (model.greedy(short) == short_target).float().mean().item()
    matrix = model(short, return_weights=True)[1].detach().numpy()
    rows.append({"wiring": wiring, "seed": seed, "right": right} | align(matrix))
baseline = {"wiring": "even weights, guessing", "seed": "–", "right": 1 / 9}
results.table(rows + [baseline | align(np.full((1, 6, 6), 1 / 6))],
              {"wiring": "{wiring}", "seed": "{seed}", "symbols right": "{right:.2f}",
               "mass": "{mass:.2f}", "hits": "{hits:.2f}", "later neighbour": "{later:.2f}"},
              "Dot attention, length 6, 1,000 test sequences (live).")

# %%
# NBVAL_CHECK_OUTPUT
for wiring in ("bahdanau", "luong"):
    three = [row for row in rows if row["wiring"] == wiring]
    print(f"{wiring}, all three seeds")
    print("  symbols right at least 0.90:          ", min(row["right"] for row in three) >= 0.9)
    print("  hits on later neighbour at least 0.50:", min(row["later"] for row in three) >= 0.5)
    print("  hits on mirrored place at least 0.80: ", min(row["hits"] for row in three) >= 0.8)

# %% [markdown]
# It makes hardly any. In Bahdanau's wiring the model mostly looks one step off, in all three seeds, and is right. Only the first
# step cannot be off: its mirrored place is the last one, and nothing was read later. So 0.83, five steps of six, is the most that
# the column *later neighbour* can show.
#
# How can it be right? Perhaps the state it looks at *holds the symbol too*. To check this we ask a linear read-out, fitted by
# least squares: given one encoder state, which symbol was read there, one step before, two steps before? And, as a control, which
# will be read next?

# %%
@torch.no_grad()
def read_out(model, source, back):
    """Share of symbols that a linear map, fitted on half of the sequences, finds in the states
    of the other half, `back` steps after the symbols were read."""
    states, _ = model.encode(source, None)
    states = F.pad(states, (0, 1), value=1.0)  # a constant, for the bias
    length, half = source.shape[1], len(source) // 2
    places = [place for place in range(length) if 0 <= place - back < length]
    inputs = torch.stack([states[:, place] for place in places], dim=1)
    symbols = torch.stack([source[:, place - back] for place in places], dim=1)
    one_hot = F.one_hot(symbols[:half].flatten(), model.vocab_size).float()
    solution = torch.linalg.lstsq(inputs[:half].flatten(0, 1), one_hot).solution
    return ((inputs[half:] @ solution).argmax(-1) == symbols[half:]).float().mean().item()


# %%
asked = {-1: "the next symbol (control)", 0: "the symbol just read", 1: "one step before",
         2: "two steps before"}
found = {back: read_out(off, short, back) for back in asked}
results.table([{"asked": asked[back], "found": found[back]} for back in asked] +
              [{"asked": "guessing", "found": 1 / 9}],
              {"asked for": "{asked}", "found": "{found:.2f}"},
              "What a linear read-out finds in one state, Bahdanau's wiring, seed 0 (live).")

# %%
# NBVAL_CHECK_OUTPUT
print("just read:       found at least 0.95:", found[0] >= 0.95)
print("one step before: found at least 0.50:", found[1] >= 0.50)
print("next symbol:     found at most 0.20: ", found[-1] <= 0.20)

# %% [markdown]
# The encoder reads from left to right. A state knows its own symbol, most of the one before, and nothing of the one to come.
# That is why the largest weight may sit on the later neighbour and not on the earlier one: only later states hold the symbol.
#
# Why does the wiring matter? In Bahdanau's wiring the query is the state from *before* the step. It has just written the
# symbol at the later neighbour. Dot has nothing learned in its score, it can only look for what resembles its query, and the
# state that has just read that same symbol resembles it well. So the model goes there and unpacks the older symbol. In Luong's
# wiring the query has already moved on by one LSTM step, which can turn it towards the symbol that is due. This is a
# reading that fits the table, not a proof.
#
# With more units and longer sequences the effect is weaker, but it need not vanish: see *concat* in section 9.
#
# Remember what an axis label says: *where* a state was made. It does not say what the state holds.

# %% [markdown]
# ## 11. When the heatmap misleads
#
# A heatmap invites a story: "the model looked at this symbol, therefore it wrote that one". The second half is a claim about
# cause. Weights do not prove it, but an experiment can test it. Change something, and see whether the output changes. That is an
# *ablation*.
#
# The first experiment **forbids states**. At step $t$ the decoder may not attend to some places; the steps before are left alone.
# Does the symbol of step $t$ break?

# %%
@torch.no_grad()
def forbid(model, source, forbidden):
    """Symbols written when step t may not attend where forbidden[:, t] (batch, steps, places) is
    True; the steps before it are left alone."""
    states, state = model.encode(source, None)
    keys = model.attention.keys(states)
    y, written = torch.zeros(len(source), model.vocab_size), []
    for t in range(source.shape[1]):
        ablated, _, _ = model.step(y, state, keys, states, ~forbidden[:, t])
        written.append(ablated.argmax(-1))
        logits, _, state = model.step(y, state, keys, states, None)
        y = logits.softmax(-1)
    return torch.stack(written, dim=1)

# %% [markdown]
# The second **changes a symbol**. Replace one symbol of the source by another, run the model from the start, and see which written
# symbols change.

# %%
@torch.no_grad()
def change(model, source, place):
    """Symbols written when the symbol at one place is replaced by the next of the vocabulary."""
    changed = source.clone()
    changed[:, place] = changed[:, place] % (model.vocab_size - 1) + 1
    return model(changed).argmax(-1)

# %% [markdown]
# **Predict.** For the left map of section 10, Bahdanau's wiring, what will the maps of the two experiments look like? Take a guess
# for each before you go on.

# %%
def two_experiments(model, source):
    """Shares of written symbols that change when a state is forbidden, or a symbol is changed:
    (steps, places) each."""
    written, length = model(source).argmax(-1), source.shape[1]
    forbidden, changed = torch.zeros(length, length), torch.zeros(length, length)
    for place in range(length):
        one_place = (torch.arange(length) == place).expand(len(source), length, length)
        forbidden[:, place] = (forbid(model, source, one_place) != written).float().mean(0)
        changed[:, place] = (change(model, source, place) != written).float().mean(0)
    return forbidden.numpy(), changed.numpy()


# %%
forbidden, changed = two_experiments(off, short)
mean_weights = off(short, return_weights=True)[1].detach().mean(0).numpy()
plots.heatmaps({"weights": mean_weights, "state forbidden": forbidden, "symbol changed": changed},
               rows=range(1, 7), columns=range(1, 7), limits=(0, 1), bar="weight, or share changed",
               xlabel="place in the source", ylabel="step",
               alt="Three 6 by 6 heatmaps for Bahdanau's wiring. The weights are brightest one "
                   "place to the right of the anti-diagonal. Forbidding a state changes little "
                   "except at the first step. Changing a symbol gives a clean anti-diagonal.")

# %%
# NBVAL_CHECK_OUTPUT
mirror = np.eye(6, dtype=bool)[::-1]
print("changed symbol: written symbols that change on the anti-diagonal at least 0.90:",
      changed[mirror].min() >= 0.90)
print("changed symbol: elsewhere at most 0.10:", changed[~mirror].max() <= 0.10)
print("forbidden state, steps 2 to 6: at most 0.60:", forbidden[1:].max() <= 0.60)

# %% [markdown]
# Three questions, three answers.
#
# - *Changed symbols* show what the output depends on: a clean anti-diagonal. Each written symbol depends on its mirrored symbol
#   and hardly on any other.
# - *Weights* point beside it.
# - *Forbidden states* say that after the first step no single state is needed.
#
# Someone who reads the first map as the third would name the wrong symbol as the cause, in a model that is nearly perfect.
#
# No single state is needed. Is that because another state serves, or because the decoder remembers the symbol without any
# attention? Forbid two states at once, the mirrored one and its later neighbour, and see. For comparison the same model in Luong's
# wiring, and additive attention at length 20. A random state is the control.

# %%
def survival(model, source):
    """Share of written symbols that stay when states are forbidden, for five choices of them."""
    logits, attention_weights = model(source, return_weights=True)
    written, length = logits.argmax(-1), source.shape[1]
    mirrored = torch.eye(length).flip(0).bool()
    later = torch.diag(torch.ones(length - 1), 1).flip(0).bool()
    chance = torch.randint(length, written.shape, generator=torch.Generator().manual_seed(0))
    choices = {"largest": F.one_hot(attention_weights.argmax(-1), length).bool(),
               "mirrored": mirrored, "later": later, "both": mirrored | later,
               "random": F.one_hot(chance, length).bool()}
    return {name: (forbid(model, source, places.expand(len(source), length, length)) == written)
            .float().mean().item() for name, places in choices.items()}


# %%
rows = [{"model": "dot, Bahdanau's wiring, length 6"} | survival(off, short),
        {"model": "dot, Luong's wiring, length 6"} | survival(on, short),
        {"model": "additive, Bahdanau's, length 20"} | survival(trained["additive"], sources)]
results.table(rows, {"model": "{model}", "largest weight": "{largest:.2f}",
                     "mirrored": "{mirrored:.2f}", "later neighbour": "{later:.2f}",
                     "both": "{both:.2f}", "random (control)": "{random:.2f}"},
              "Share of written symbols that stay the same when these states are forbidden (live).")

# %%
# NBVAL_CHECK_OUTPUT
misleading, luong_6, additive_20 = rows
print("dot, Bahdanau's wiring: largest weight forbidden, at least 0.60 stay:",
      misleading["largest"] >= 0.60)
print("dot, Bahdanau's wiring: both forbidden, at most 0.45 stay:", misleading["both"] <= 0.45)
print("dot, Luong's wiring:    largest weight forbidden, at most 0.35 stay:",
      luong_6["largest"] <= 0.35)
print("additive, length 20:    largest weight forbidden, at most 0.35 stay:",
      additive_20["largest"] <= 0.35)

# %% [markdown]
# In the lower two models the heatmap holds: forbid the brightest state and the symbol breaks. In the first it does not: most
# symbols survive. Forbid both states, though, and they break as well. So attention is needed, and mostly either of the two will
# do. If anything the model misses the mirrored state more, the one with the smaller weight. The heatmap told us none of this.
#
# All three models write nearly every symbol right, and all three give a heatmap that looks convincing. Only the experiment tells
# them apart.
#
# What follows from this, and what does not? Jain and Wallace (2019) found that weights often disagree with other measures of
# importance, and that very different weights can give the same prediction: "Attention is not Explanation". Wiegreffe and Pinter
# (2019) answered that this depends on what one calls an explanation, and that a fair test has to train the alternative. Our
# small case takes no side. It says: weights are a guess of where information comes from. Before you build on the guess,
# forbid, change, and count.
#
# ## 12. Length 100: where am I?
#
# Take the same models to sequences of 100 symbols, drawn from 19 instead of 15. Units, data and training stay as they were, with
# at most 15 epochs.
#
# **Predict.** Attention removed the bottleneck at 30. Will it do at 100?
#
# A public solution of a University of Barcelona assignment (after Karakaya) reports, for 2,000 training sequences, 52.3 % of the symbols for dot, 38.0 % for
# general and 23.4 % for Bahdanau's, after about 13 minutes of a GPU each. Our runs, by `benchmarks/reversal_100.py`:

# %%
by_position, _ = results.load("reversal_100")
public = {"dot": "52.3%", "general": "38.0%", "additive": "23.4%"}
rows = [dict(attention="guessing", positions="–", public="", token_accuracy=1 / 19,
             token_accuracy_low=1 / 19, token_accuracy_high=1 / 19, exact_match=0, seconds=0)]
for row in results.over_seeds(by_position, ["position_units", "attention"]):
    without_positions = row["position_units"] == 0
    rows.append(row | {"positions": "no" if without_positions else "yes",
                       "public": public.get(row["attention"], "") if without_positions else ""})
results.table(sorted(rows, key=lambda row: ["–", "no", "yes"].index(row["positions"])),
              {"attention": "{attention}", "positions": "{positions}",
               "public solution": "{public}", "symbols right": "{token_accuracy:.1%}",
               "lowest seed": "{token_accuracy_low:.1%}", "highest seed": "{token_accuracy_high:.1%}",
               "exact match": "{exact_match:.1%}", "seconds": "{seconds:.0f}"},
              "Length 100, 1,000 test sequences, mean of three seeds (stored), one CPU core.")

# %%
# NBVAL_CHECK_OUTPUT
for positions, name in ((0, "without positions"), (16, "with positions")):
    runs = [row for row in by_position if row["position_units"] == positions]
    shares = [row["token_accuracy"] for row in runs]
    print(f"{name}, {len(runs)} runs")
    print(f"  symbols right at least 0.99: {min(shares) >= 0.99}, at most 0.75: {max(shares) <= 0.75}")
    print("  exact match at most 0.01:   ", max(row["exact_match"] for row in runs) <= 0.01)
    print("  at most 12 epochs:          ", max(row["epochs"] for row in runs) <= 12)

# %% [markdown]
# The same layers, the same data, the same training. Without positions all 15 epochs pass, every run leaves a quarter of the
# symbols wrong or more, and hardly a sequence comes out whole. The public figures lie in the same region. With positions every
# run has 99 % of the symbols, in fewer epochs. So it was neither the bottleneck nor the score. What is missing?
#
# Without positions, a state can only be described by what was read lately. The query has to say "the state that has just read a 7,
# and a 3 before that". Is that description unique?

# %%
# NBVAL_CHECK_OUTPUT
for length, vocabulary in ((20, 16), (100, 20)):
    sample, _ = reversal(1000, length, vocabulary, seed=2)
    others = (sample[:, :, np.newaxis] == sample[:, np.newaxis, :]).sum(-1) - 1
    pairs = sample[:, :-1] * vocabulary + sample[:, 1:]
    repeated = ((pairs[:, :, np.newaxis] == pairs[:, np.newaxis, :]).sum(-1) > 1).mean()
    print(f"length {length:3}: {others.mean():.2f} other places with the same symbol, "
          f"{repeated:.3f} of the pairs occur more than once")

# %% [markdown]
# At length 20 a pair of symbols nearly always names one place. At length 100 nearly every fourth pair names two places or more.
# A decoder that finds its way from pair to pair can take the wrong turn at each of them. It could count instead, or describe each
# place by more symbols; both have to be learned through 100 steps. It does not know *where it is*. Our cell counts ambiguous
# pairs, it does not look into the model. The evidence is the table above: tell the model where it is, and it learns the task.
#
# How does one tell it? Give every place $p$ a vector of sines and cosines, and join it to what the encoder reads and to what the
# decoder is fed. With 16 numbers for each position, is there a score that finds the mirrored place, whatever the symbols are?
# Luong's general score, with a $W$ that we write down and do not train:

# %%
# NBVAL_CHECK_OUTPUT
positions = ct.sinusoidal_positions(100, 16).numpy()
W = np.zeros((16, 16))
for i in range(8):
    angle = 99 * 10000.0 ** (-2 * i / 16)  # how far the i-th wave turns over the whole sequence
    block = slice(2 * i, 2 * i + 2)
    W[block, block] = [[-np.cos(angle), np.sin(angle)], [np.sin(angle), np.cos(angle)]]

position_scores = positions @ W @ positions.T
hits = position_scores.argmax(-1) == np.arange(100)[::-1]
print(f"steps whose largest score is on the mirrored place: {hits.mean():.4f}")

# %%
plots.heatmap(reference.softmax(position_scores), rows=range(1, 101), columns=range(1, 101),
              xlabel="place in the source", ylabel="step", title="General score on positions alone",
              alt="A 100 by 100 heatmap of weights computed from positions alone: a thin bright "
                  "line from the top right to the bottom left.")

# %% [markdown]
# Every one of 100 steps, without any symbol and without training. The mirrored place $n + 1 - t$ is one matrix product away from
# place $t$. This shows that the alignment *can be written* with positions; the table shows that it is also *learned*.
#
# Where do these sines come from, why this mixture of wavelengths, and what else could one use? That is lecture 04. There it
# becomes a necessity: a Transformer has no LSTM, and without positions it has no order at all.

# %% [markdown]
# ### Exercise 02.length_100: Capstone: length 100 in two minutes
#
# Difficulty ●●●●● (5 of 5), about 45 minutes, 5 points
#
# Reverse sequences of 100 symbols out of 19 (`reversal(2000, 100, 20)`). Train for at most 120 seconds and give
# `reverse_100` the pair (predictor, seconds): a function from sources (n, 100) to predicted tokens (n, 100), NumPy
# arrays of whole numbers, and the seconds its training took (`fit(...).seconds`). It passes with 99 % of the tokens of
# 50 fresh sequences.

# %%
# Train for at most 120 seconds on reversal(2000, 100, 20), then:

reverse_100 = (..., ...)   # a function from source (n, 100) to tokens (n, 100), and the seconds

# %%
coursekit.check("02.length_100")

# %% [markdown]
# ## Summary
#
# - Attention is three steps: score, softmax, weighted sum. It lets the decoder read all encoder states instead of one.
# - Dot has nothing to learn, general has one matrix, concat and additive have a small layer. Concat and additive are the same
#   function up to a bias.
# - $W$ acts on units, never along time. Test with shapes whose every dimension differs.
# - Mask before softmax. A row with nothing to attend to gets zeros.
# - Bahdanau attends and then steps. Luong steps, attends and combines. Say which one you use.
# - At length 20 attention turns no right sequence into nearly all. Which score you take matters little here.
# - The weights say where a state was made, not what it holds. They are a guess about cause; an ablation tests it.
# - Attention finds by content. To find by place it needs positions.
#
# ## Further reading
#
# - D. Bahdanau, K. Cho, Y. Bengio. *Neural Machine Translation by Jointly Learning to Align and Translate.* ICLR 2015.
#   [arXiv:1409.0473](https://arxiv.org/abs/1409.0473). Section 3 and appendix A.
# - M.-T. Luong, H. Pham, C. D. Manning. *Effective Approaches to Attention-based Neural Machine Translation.* EMNLP 2015,
#   pages 1412–1421. [arXiv:1508.04025](https://arxiv.org/abs/1508.04025). Section 3.
# - S. Jain, B. C. Wallace. *Attention is not Explanation.* NAACL 2019, pages 3543–3556.
#   [arXiv:1902.10186](https://arxiv.org/abs/1902.10186).
# - S. Wiegreffe, Y. Pinter. *Attention is not not Explanation.* EMNLP 2019, pages 11–20.
#   [arXiv:1908.04626](https://arxiv.org/abs/1908.04626).
# - I. Sutskever, O. Vinyals, Q. V. Le. *Sequence to Sequence Learning with Neural Networks.* NeurIPS 2014.
#   [arXiv:1409.3215](https://arxiv.org/abs/1409.3215). They feed the source in reverse order: what does that do to the
#   distance between a symbol and its translation?
# - A. Vaswani et al. *Attention Is All You Need.* NeurIPS 2017. [arXiv:1706.03762](https://arxiv.org/abs/1706.03762).
#   Section 3.5 has the sinusoids.
