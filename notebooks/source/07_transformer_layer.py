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
# # 07 · The Transformer layer
#
# [![Open in Colab](attachment:open_in_colab.png)](https://colab.research.google.com/github/coursekit/coursekit/blob/main/notebooks/07_transformer_layer.ipynb)
#
# Lecture 06 ended with multi-head attention. A Transformer is a stack of layers, and attention is one part of a layer. The
# other parts are small and look harmless: an addition, a normalisation, a network of two layers. In this lecture you put
# them together, and measure what each of them is for.
#
# **You will be able to**
#
# - say what a residual connection does to the gradient of a deep stack, with numbers;
# - compute a layer norm by hand, and name the four ways in which code gets it wrong;
# - write the position-wise feed-forward network, and say what it adds to attention;
# - count the parameters of any encoder, and say where most of them are;
# - tell pre-norm from post-norm in code you have never seen, and know when it matters;
# - build a layer that gives the numbers of a pretrained BERT, and say what each small mistake would cost.
#
# **Time** about 130 minutes of reading and trying; about one minute of computing on two CPU cores. No GPU is needed.
#
# **You need** lectures 05 and 06 (self-attention, heads, masks) and lecture 04 (positions).
#
# **Exercises** stand at the ends of sections, as in the lectures before. No other cell needs your answers.

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

import copy

import keras
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from coursekit import keras as ck
from coursekit import plots, pretrained, reference, results, weights
from coursekit import torch as ct
from coursekit.datasets import reversal

np.set_printoptions(precision=4, suppress=True, floatmode="fixed")

# %% [markdown]
# ## 1. The layer at a glance
#
# An encoder layer takes vectors and gives vectors of the same shape, `(batch, length, d_model)`. That is why layers can be
# stacked. Inside, it has two halves: attention, and a feed-forward network. Around each half there is an addition and a
# norm.
#
# We send 2 sentences of 5 tokens, 8 numbers each, through a layer with 2 heads, and let every part note the shape of what it
# gives. For that we hang a *hook* on each part: a function that PyTorch calls with what the part gave.
#
# **Predict.** Exactly one part gives something that is not 8 wide. Which one?

# %%
coursekit.seed_everything(0)
layer = ct.EncoderLayer(d_model=8, n_heads=2, d_ff=32).eval()
x = torch.randn(2, 5, 8)
shapes = {"x": tuple(x.shape)}


def note(name):
    def hook(module, inputs, output):
        shapes[name] = tuple(output.shape)
    return hook


hooks = [part.register_forward_hook(note(name)) for name, part in layer.named_modules()
         if name and "dropout" not in name]
shapes["output"] = tuple(layer(x).shape)
for hook in hooks:
    hook.remove()

# %%
def box(height, name, words):
    return (0, height, f"{words}  {shapes[name]}")


boxes = {"x": box(0, "x", "x"), "attention": box(1, "attention", "attention"),
         "sum 1": (0, 2, "+"), "norm 1": box(3, "attention_norm", "layer norm"),
         "expand": box(4, "feed_forward.expand", "expand"),
         "contract": box(5, "feed_forward.contract", "contract"),
         "sum 2": (0, 6, "+"), "norm 2": box(7, "feed_forward_norm", "layer norm"),
         "output": box(8, "output", "output"),
         "x aside": (1.8, 0, ""), "x above": (1.8, 2, ""),
         "norm aside": (1.8, 3, ""), "norm above": (1.8, 6, "")}
path = ["x", "attention", "sum 1", "norm 1", "expand", "contract", "sum 2", "norm 2", "output"]
around = [("x", "x aside"), ("x aside", "x above", 0.1, "residual"), ("x above", "sum 1"),
          ("norm 1", "norm aside"), ("norm aside", "norm above", 0.1, "residual"), ("norm above", "sum 2")]
plots.flow(boxes, list(zip(path, path[1:])) + around, title="One encoder layer, shapes as measured",
           alt="Data flow of an encoder layer from bottom to top: x, attention, a sum, a layer "
               "norm, the feed-forward network's layers expand and contract, a sum, a layer norm, "
               "the output. A line leads around attention and another around the feed-forward "
               "network into the two sums. All shapes are (2, 5, 8) but that of expand, (2, 5, 32).")

# %%
# NBVAL_CHECK_OUTPUT
for name, shape in shapes.items():
    print(f"{name:28} {shape}{'   <- not 8 wide' if shape[-1] != 8 else ''}")

# %% [markdown]
# Only `expand`, the first layer of the feed-forward network, leaves the width of 8, and `contract`, the second, comes back
# at once. Attention is the only part in which tokens meet: everything else works on one vector at a time. The two lines
# around the parts are the *residual connections*. They have no weights at all.
#
# The figure shows what is connected to what. It does not show why. So we take the parts out, one after the other.
#
# ## 2. The residual connection
#
# A part $f$ replaces its input by $f(x)$. With a residual connection it gives $x + f(x)$: it only *adds* something.
#
# **Predict.** Stack 12 layers, each with attention and a feed-forward network, so 24 parts. A gradient of some size arrives
# at the top. How much of it arrives at the bottom if no part has a residual connection: a tenth, a thousandth, a millionth?

# %%
def twelve(step, seed=0):
    """The gradient's norm at the input of each of 12 layers and at their output, and how alike
    the positions are in the end (mean cosine)."""
    coursekit.seed_everything(seed)
    layers = [ct.EncoderLayer(64, 4, 256) for _ in range(12)]
    states = [torch.randn(8, 10, 64, requires_grad=True)]
    for layer in layers:
        middle = step(states[-1], layer.attention, layer.attention_norm)
        states.append(step(middle, layer.feed_forward, layer.feed_forward_norm))
    arriving = torch.randn_like(states[-1])  # the gradient that comes from above
    gradients = torch.autograd.grad(states[-1], states, arriving)
    alike = F.cosine_similarity(states[-1][:, :1], states[-1][:, 1:], dim=-1).mean().item()
    return [gradient.norm().item() for gradient in gradients], alike


wirings = {"the part alone": lambda x, part, norm: part(x),
           "a norm, no residual": lambda x, part, norm: norm(part(x)),
           "a residual, no norm": lambda x, part, norm: x + part(x),
           "both": lambda x, part, norm: norm(x + part(x))}
measured = {name: twelve(step) for name, step in wirings.items()}

# %%
lines = {name: (range(13), np.log10(np.array(norms) / norms[-1])) for name, (norms, _) in measured.items()}
plots.curves(lines, xlabel="after this layer (0: the input of the first)",
             ylabel="share of the gradient, as a power of ten",
             title="How much of the gradient gets there, 12 layers",
             alt="Size of the gradient at each depth on a logarithmic scale. For the parts alone it "
                 "falls in a straight line from 1 at the top to about 10 to the minus 14 at the "
                 "bottom. The other three lines stay near 1.")

# %%
rows = [{"wiring": name, "share": norms[0] / norms[-1], "alike": alike}
        for name, (norms, alike) in measured.items()]
results.table(rows, {"wiring": "{wiring}", "gradient at the bottom / at the top": "{share:.1e}",
                     "cosine between positions": "{alike:.3f}"},
              "12 layers, 64 wide, random weights as PyTorch draws them, one seed (live).")

# %%
# NBVAL_CHECK_OUTPUT
runs = {name: [twelve(step, seed) for seed in (0, 1, 2)] for name, step in wirings.items()}
share = {name: [norms[0] / norms[-1] for norms, _ in three] for name, three in runs.items()}
alike = {name: [cosine for _, cosine in three] for name, three in runs.items()}
alone, normed, summed, both = wirings
print("three seeds each")
print("the part alone:  at most 1e-12 of the gradient arrives:", max(share[alone]) < 1e-12)
print("with a residual: between 0.3 and 3 times of it arrives:",
      all(0.3 < ratio < 3 for ratio in share[summed] + share[both]))
print("no residual:     cosine between positions at least 0.99:", min(alike[alone] + alike[normed]) > 0.99)
print("with a residual: cosine between positions at most 0.60: ", max(alike[summed] + alike[both]) < 0.60)

# %% [markdown]
# Less than a millionth of a millionth. Each part passes on about 0.27 of the gradient, and $0.27^{24}$ is $2 \cdot
# 10^{-14}$. Gradient descent would not move the lower layers with that, and Adam, which rescales gradients, adds $10^{-8}$
# to their size before it divides.
#
# The reason is the chain rule. Along the stack derivatives are multiplied: $f_{24}' \cdots f_2' f_1'$. With residual
# connections, and without norms, the product is $(1 + f_{24}') \cdots (1 + f_1')$, and the ones carry the gradient past
# every part.
#
# Look at the second row, too. A norm alone nearly mends the *size* of the gradient. But all positions have become the same
# vector: each attention takes averages of the tokens, and averages of averages forget which token was which. The sum keeps
# every token its own.
#
# The slides say that residual connections are *within* a layer and not across layers. As a wiring diagram that is right. As
# a path it is not: the sums of all layers follow each other, so there is a way from the bottom to the top that goes through
# no part at all, at most through norms. It is what keeps the two upper lines of the figure near 1.
#
# What this does not show: these are random weights as PyTorch draws them. With larger ones the product explodes instead of
# vanishing. And a gradient that arrives is no proof that training works. We come to that in section 8.
#
# ## 3. Layer norm by hand
#
# A sum of 24 parts may grow. The norm brings each vector back to a standard size. Take one token with 4 numbers: $x = [1, 3,
# 3, 9]$.
#
# - mean: $(1 + 3 + 3 + 9) / 4 = 4$;
# - deviations from it: $-3, -1, -1, 5$;
# - variance, the mean of their squares: $(9 + 1 + 1 + 25) / 4 = 9$;
# - divide by the root of it, 3: $[-1.000, -0.333, -0.333, 1.667]$.
#
# Two learned vectors follow, a scale $\gamma$ and a shift $\beta$, one number for each unit. And a small $\epsilon$ is added
# to the variance:
#
# $$\text{norm}(x) = \frac{x - \text{mean}}{\sqrt{\text{variance} + \epsilon}} \cdot \gamma + \beta .$$
#
# **Predict.** With $\gamma = [1, 1, 2, 0.5]$ and $\beta = [0, 1, 0, -1]$, what comes out?

# %%
# NBVAL_CHECK_OUTPUT
token = np.array([1.0, 3.0, 3.0, 9.0])
gamma, beta, epsilon = np.array([1.0, 1.0, 2.0, 0.5]), np.array([0.0, 1.0, 0.0, -1.0]), 1e-5

centred = token - token.mean()
variance = (centred ** 2).mean()
standard = centred / np.sqrt(variance + epsilon)
print("variance  ", variance)
print("normalised", standard)
print("by hand   ", standard * gamma + beta)

norm = nn.LayerNorm(4, eps=epsilon)
norm.weight.data, norm.bias.data = torch.tensor(gamma).float(), torch.tensor(beta).float()
print("PyTorch   ", norm(torch.tensor(token).float()).detach().numpy())
print("coursekit ", reference.layer_norm(token, gamma, beta, epsilon))

# %% [markdown]
# The slides describe layer norm in one sentence: from each vector the mean is subtracted, and what is left is divided by the
# standard deviation. Three things are missing there, and a fourth is unclear.
#
# 1. *Scale and shift.* Without them, every token would have mean 0 and variance 1 after every layer, whether that is useful
#    or not. With them, the model sets size and mean of each unit itself. They are the same for all tokens.
# 2. *Epsilon.* A vector of equal numbers has deviation 0, and 0/0 is NaN.
# 3. *Inside the root.* Epsilon belongs to the variance, not to the deviation.
# 4. *Which standard deviation?* Divide by $n$ or by $n - 1$? Layer norm takes $n$, the *biased* variance. This is a trap:
#    `np.std` divides by $n$, `torch.std` by $n - 1$ unless told otherwise.
#
# **Predict.** How far off is the result with $n - 1$: for 4 units, and for BERT's 768?

# %%
# NBVAL_CHECK_OUTPUT
equal = np.full(4, 3.0)
with np.errstate(invalid="ignore"):
    print("equal numbers, no epsilon:  ", reference.layer_norm(equal, 1, 0, epsilon=0.0))
print("equal numbers, with epsilon:", reference.layer_norm(equal, 1, 0, epsilon))
print("np.std   ", f"{token.std():.4f}")
print("torch.std", f"{torch.tensor(token).std().item():.4f}")
for units in (4, 768):
    print(f"n - 1 for n, {units:3} units: result too small by {1 - np.sqrt(1 - 1 / units):.2%}")

# %% [markdown]
# For 4 numbers 13 %, for 768 less than a thousandth: a mistake that a small test catches and a big model hides. In section
# 10 we measure it there.
#
# ### When does epsilon matter?
#
# $10^{-5}$ beside a variance of 9 is nothing. But what if the vector is small? PyTorch's default is $10^{-5}$, Keras's is
# $10^{-3}$, BERT uses $10^{-12}$.
#
# **Predict.** Multiply the token by 0.01. A norm should not care: mean and deviation shrink alike. Which of the three
# defaults will care?

# %%
rows = []
for size in (1, 0.1, 0.01, 0.001):
    deviations = {eps: reference.layer_norm(token * size, 1, 0, eps).std() for eps in (1e-12, 1e-5, 1e-3)}
    rows.append({"size": size, "variance": (token * size).var(), "bert": deviations[1e-12],
                 "torch": deviations[1e-5], "keras": deviations[1e-3]})
results.table(rows, {"token times": "{size:g}", "variance": "{variance:.0e}", "BERT, 1e-12": "{bert:.3f}",
                     "PyTorch, 1e-5": "{torch:.3f}", "Keras, 1e-3": "{keras:.3f}"},
              "Standard deviation after the norm; 1 is what a norm is for.")

# %%
# NBVAL_CHECK_OUTPUT
small = (token * 0.01).astype("float32")[np.newaxis, np.newaxis]
default = keras.layers.LayerNormalization()
like_torch = keras.layers.LayerNormalization(epsilon=1e-5)
print("Keras's default epsilon:", default.epsilon)
print("Keras, default  ", keras.ops.convert_to_numpy(default(small))[0, 0])
print("Keras, 1e-5     ", keras.ops.convert_to_numpy(like_torch(small))[0, 0])
print("PyTorch, default", F.layer_norm(torch.tensor(small), (4,)).numpy()[0, 0])

# %% [markdown]
# With Keras's default the small token comes out at 0.69 of its size, and the same layer in PyTorch at 0.99. Epsilon matters
# as soon as the variance comes near it. So "the same weights" is not enough for the same numbers: epsilon belongs to the
# model. `coursekit.keras` uses PyTorch's default for this reason, and takes `norm_epsilon` where a model was trained with
# another.
#
# ### Over which axis?
#
# You may know *batch norm*. It subtracts a mean and divides by a deviation as well, so why a new one? Here is the
# difference, for 2 sentences *a* and *b* of 3 tokens with 4 units. Numbers that share a mean have one colour.

# %%
from matplotlib.figure import Figure

groups = {"layer norm": np.repeat(np.arange(6)[:, np.newaxis], 4, axis=1),
          "batch norm": np.repeat(np.arange(4)[np.newaxis], 6, axis=0)}
figure = Figure(figsize=(6, 2.6), layout="constrained")
for axes, (name, group) in zip(figure.subplots(1, 2), groups.items()):
    axes.imshow(group, cmap="viridis", aspect="auto")
    axes.set(title=f"{name}: {group.max() + 1} means", xlabel="unit", ylabel="sentence and token",
             xticks=range(4), xticklabels=range(1, 5),
             yticks=range(6), yticklabels=["a 1", "a 2", "a 3", "b 1", "b 2", "b 3"])
plots.show(figure, "Two grids of 6 tokens by 4 units. For layer norm every row has one colour: a token "
                   "shares its mean with nobody. For batch norm every column has one colour: a unit "
                   "shares its mean over all tokens of all sentences.")

# %% [markdown]
# **Predict.** We replace sentence *b* by another one. Which of the two norms changes the result for sentence *a*?

# %%
# NBVAL_CHECK_OUTPUT
coursekit.seed_everything(0)
sentences = torch.randn(2, 3, 4)
other = sentences.clone()
other[1] = 5 * torch.randn(3, 4)

batch_norm = nn.BatchNorm1d(4)  # wants the units on axis 1: (batch, units, length)
for name, normalise in (("layer norm", lambda x: F.layer_norm(x, (4,))),
                        ("batch norm", lambda x: batch_norm(x.mT).mT)):
    print(f"{name}: sentence a as before: {torch.allclose(normalise(sentences)[0], normalise(other)[0])}")

# %% [markdown]
# Under batch norm a sentence depends, in training, on its neighbours in the batch and on the padding among them; in use, the
# means of training stand in for them. In a layer norm a token depends on itself alone: batch size, length and padding do not
# enter, and training and use compute the same. These are the usual reasons for having it in Transformers.
#
# What does a layer norm throw away? Two numbers of each vector, its mean and its size. The pattern stays. Scale and shift do
# not bring the two back, since they do not know the token.

# %% [markdown]
# ### Exercise 07.layer_norm: Layer norm
#
# Difficulty ●○○○○ (1 of 5), about 10 minutes, 2 points
#
# Write `normalise_tokens`: subtract from each token's vector its mean, divide by the root of its variance (the mean of
# the squared deviations) plus epsilon, multiply by `scale` and add `shift`.

# %%
import numpy as np


def normalise_tokens(x, scale, shift, epsilon):
    """x (batch, length, d_model) normalised over its last axis, in the same shape; scale and shift (d_model,), epsilon
    a number."""
    ...

# %%
coursekit.check("07.layer_norm")

# %% [markdown]
# ## 4. The feed-forward network
#
# The second half of a layer is a network of two layers, with the same weights at every position:
#
# $$\text{FFN}(x) = W_2\,\text{relu}(W_1 x + b_1) + b_2 .$$
#
# $W_1$ goes from $D$ to $4D$ numbers, $W_2$ comes back. Here $D = 8$, so 32 in between. BERT has 768 and 3072.

# %%
# NBVAL_CHECK_OUTPUT
network = layer.feed_forward
W1, b1 = network.expand.weight.detach().numpy(), network.expand.bias.detach().numpy()
W2, b2 = network.contract.weight.detach().numpy(), network.contract.bias.detach().numpy()
print("W1", W1.shape, "b1", b1.shape, "W2", W2.shape, "b2", b2.shape)

one = x[0, 2].numpy()                                  # sentence 0, position 2
hidden = np.maximum(W1 @ one + b1, 0)
print("by hand", (W2 @ hidden + b2)[:4], "...")
print("package", network(x)[0, 2, :4].detach().numpy(), "...")
print("units of 32 that are not zero:", (hidden > 0).sum())

# %% [markdown]
# ### The same network at every position
#
# Two experiments, each with the feed-forward network and with attention. *Shuffle*: put the tokens into another order. Is
# the result the old one, in that other order? *Alone*: send one token without its neighbours. Does it get the result that it
# had in the sentence?
#
# **Predict.** Two experiments, two parts: which of the four answers is *no*?

# %%
# NBVAL_CHECK_OUTPUT
order = torch.tensor([3, 0, 4, 1, 2])
parts = {"feed-forward": layer.feed_forward, "attention": layer.attention}
for name, part in parts.items():
    shuffled = torch.allclose(part(x[:, order]), part(x)[:, order], atol=1e-5)
    by_itself = torch.allclose(part(x[:, 2:3]), part(x)[:, 2:3], atol=1e-5)
    print(f"{name:13} shuffled: same numbers in the new order: {shuffled}")
    print(f"{'':13} alone:    same numbers as in the sentence: {by_itself}")

# %% [markdown]
# Three times *yes*. Both parts carry a shuffle through: attention without positions does not know the order either (lecture
# 04). So the shuffle does not show that a part works position by position. The token sent alone does: only the feed-forward
# network does not miss the others.
#
# ### What it adds
#
# The slides argue like this: attention enriches a word with context, but does not enlarge the space in which the word is
# described; so a feed-forward network takes it to $4D$ dimensions, and compresses it back. What is right about it?
#
# - Right: attention brings *context*. Once the weights are fixed, the context is a weighted mean of values, and nothing in
#   it bends: twice the values give twice the context.
# - Right: what the network does concerns the *word itself*. It sees one position only.
# - Not quite: *nothing stays expanded*. After the layer a word has $D$ numbers as before. And expanding alone buys nothing:
#   what counts is the activation between the two matrices.
#
# **Predict.** We leave out the relu. How many numbers are enough to write down the whole network of 8 → 32 → 8?

# %%
# NBVAL_CHECK_OUTPUT
q, k, v = torch.randn(3, 2, 5, 8).unbind()
first, second = network.expand.weight, network.contract.weight  # without biases, to see the point


def through_both(vector):
    return second @ F.relu(first @ vector)


for factor in (2, -1):
    straight = torch.allclose(ct.scaled_dot_product_attention(q, k, factor * v),
                              factor * ct.scaled_dot_product_attention(q, k, v), atol=1e-5)
    print(f"attention, values times {factor:2}:    output times {factor:2}: {straight}")
    straight = torch.allclose(through_both(factor * x[0, 2]), factor * through_both(x[0, 2]), atol=1e-5)
    print(f"feed-forward, input times {factor:2}:  output times {factor:2}: {straight}")

merged = second @ first
print("without relu, equal to one matrix of shape", tuple(merged.shape), "-",
      torch.allclose(second @ (first @ x[0, 2]), merged @ x[0, 2], atol=1e-5))
print(f"numbers: {W1.size + W2.size} in two matrices, {merged.numel()} in one")

# %% [markdown]
# Without the relu 512 numbers do the work of 64. With it the network bends: the output for $-x$ is not minus the output for
# $x$. (Doubling is no test for relu. It lets any positive factor through, so only the change of sign tells.)
#
# There is another way to read the same formula. Write $k_i$ for row $i$ of $W_1$ and $v_i$ for column $i$ of $W_2$:
#
# $$\text{FFN}(x) = \sum_{i=1}^{4D} \text{relu}(k_i \cdot x + b_i)\, v_i \;+\; b_2 .$$
#
# That looks like attention: $x$ asks, 32 keys answer, and values are summed. But keys and values are learned and do not come
# from the sentence, and there is no softmax.

# %%
# NBVAL_CHECK_OUTPUT
total = b2.copy()
for key, bias, value in zip(W1, b1, W2.T):
    total += max(key @ one + bias, 0) * value
print("sum over 32 keys and values equals the network:", np.allclose(total, W2 @ hidden + b2, atol=1e-5))

# %% [markdown]
# Geva and others (2021) read trained feed-forward networks in this way, as memories. This is what stands behind the sentence
# that these networks "store facts". Our cell shows that the formula *can* be read so. It does not show that a unit stores a
# fact.

# %% [markdown]
# ### Exercise 07.feed_forward: The same network at every position
#
# Difficulty ●●○○○ (2 of 5), about 10 minutes, 2 points
#
# Write `position_wise`, the feed-forward network $W_2\,\text{relu}(W_1 x + b_1) + b_2$, applied to the vector of each
# position.

# %%
import numpy as np


def position_wise(x, W1, b1, W2, b2):
    """The output (batch, length, d_model) for x (batch, length, d_model), W1 (d_ff, d_model), b1 (d_ff,), W2 (d_model,
    d_ff) and b2 (d_model,)."""
    ...

# %%
coursekit.check("07.feed_forward")

# %% [markdown]
# ### ReLU or GELU?
#
# The paper's activation is relu, BERT's is GELU: $\text{gelu}(x) = x\,\Phi(x)$, where $\Phi(x)$ is the share of a normal
# distribution below $x$. At $x = 1$ that is 0.841, so gelu(1) = 0.841; at $x = -1$ it is 0.159, so gelu(−1) = −0.159. There
# is no corner at 0, and a little of the negative side comes through. $\Phi$ needs the error function erf. GPT-2 uses an
# approximation by tanh instead.
#
# **Predict.** How far apart are the two GELUs at most: a tenth, a hundredth, a thousandth?

# %%
grid = torch.linspace(-4, 4, 801)
exact, by_tanh = F.gelu(grid), F.gelu(grid, approximate="tanh")
figure = Figure(figsize=(8, 3), layout="constrained")
left, right = figure.subplots(1, 2)
left.plot(grid, F.relu(grid), color=plots.COLOURS[1], linestyle="--", label="relu")
left.plot(grid, exact, color=plots.COLOURS[0], label="gelu, by erf")
left.set(xlabel="x", ylabel="activation", title="Two activations")
left.legend()
right.plot(grid, exact - by_tanh, color=plots.COLOURS[2])
right.set(xlabel="x", ylabel="gelu by erf minus gelu by tanh", title="Two ways to compute gelu")
for axes in (left, right):
    axes.grid(alpha=0.3)
plots.show(figure, "Left: relu with its corner at 0, and gelu, which is smooth, dips to minus 0.17 near "
                   "minus 0.75 and joins relu beyond 3 on either side. Right: the difference of the two "
                   "ways to compute gelu, two waves of at most 0.0005.")

# %%
# NBVAL_CHECK_OUTPUT
at_1, at_minus_1 = F.gelu(torch.tensor([1.0, -1.0]))
print(f"gelu(1) {at_1:.4f}, gelu(-1) {at_minus_1:.4f}, lowest value {exact.min():.4f}")
print(f"largest difference of the two: {(exact - by_tanh).abs().max():.5f}")

# %% [markdown]
# Less than a thousandth. Is that little enough to be ignored? It depends on what the next layers do with it, and section 10
# measures it on a real model.

# %% [markdown]
# ### Exercise 07.gelu: The exact GELU
#
# Difficulty ●●○○○ (2 of 5), about 8 minutes, 2 points
#
# BERT's activation is $\text{gelu}(x) = x\,\Phi(x)$, where $\Phi(x) = (1 + \text{erf}(x / \sqrt 2)) / 2$ is the share
# of a normal distribution below x. Write `exact_gelu`, by erf and not by one of the approximations. `math.erf` takes
# one number at a time, `torch.erf` takes a tensor.

# %%
import math
import numpy as np


def exact_gelu(x):
    """gelu of x (batch, units), element by element, in the same shape."""
    ...

# %%
coursekit.check("07.gelu")

# %% [markdown]
# ## 5. The layer, assembled
#
# Now the parts in order, on our 2 sentences. After each step we look at the first token: its mean and its deviation.

# %%
# NBVAL_CHECK_OUTPUT
steps = {"x": x}
steps["attention(x)"] = layer.attention(x)
steps["x + attention(x)"] = x + steps["attention(x)"]
steps["norm of the sum"] = layer.attention_norm(steps["x + attention(x)"])
steps["FFN of that"] = layer.feed_forward(steps["norm of the sum"])
steps["sum"] = steps["norm of the sum"] + steps["FFN of that"]
steps["norm of the sum, the output"] = output = layer.feed_forward_norm(steps["sum"])
for name, vectors in steps.items():
    first = vectors[0, 0].detach()
    mean = round(first.mean().item(), 3) + 0.0  # no minus zero
    print(f"{name:28} mean {mean:6.3f}, deviation {first.std(correction=0):.3f}")
print("equal to the package's layer:", torch.allclose(output, layer(x), atol=1e-6))

# %% [markdown]
# After each norm the mean is 0 and the deviation 1, since $\gamma = 1$ and $\beta = 0$ at the start. Here is the package's
# layer. Its lines are these steps, for both orders of the norm (section 8); `dropout` has section 6 to itself, and `cache`
# is for lecture 09.

# %%
coursekit.show_source(ct.EncoderLayer.forward)

# %% [markdown]
# The paper stacks six of them. They are alike in structure, and each has weights of its own.

# %%
# NBVAL_CHECK_OUTPUT
coursekit.seed_everything(0)
stack = ct.Encoder(n_layers=6, d_model=8, n_heads=2, d_ff=32).eval()
state = x
for one_layer in stack.layers:
    state = one_layer(state)
print("six layers, one after the other, equal the stack:", torch.equal(state, stack(x)))
firsts = [one_layer.feed_forward.expand.weight[0, 0].item() for one_layer in stack.layers]
print("six different first weights:", len(set(firsts)) == 6)


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


print(f"numbers learned: {count(layer)} in a layer, {count(stack)} in the stack")

# %% [markdown]
# ## 6. Where dropout is
#
# In training, dropout sets numbers to zero at random and enlarges the rest, so that the mean stays. The paper (section 5.4)
# names two places: the output of each part before it is added to $x$, and the sum of embedding and position. The authors'
# own code has two more: the attention weights, and the units inside the feed-forward network. PyTorch's layer and ours
# follow the code.
#
# We set the rate to 0.25, count the zeros at each place, and use GELU, because relu makes zeros of its own. The attention
# weights that a layer returns are those before dropout. To see the ones it uses, we attend to the rows of the identity
# matrix: the context is then the row of weights itself.
#
# **Predict.** How many of the numbers that leave the layer are zero?

# %%
dropping = ct.EncoderLayer(64, 4, 256, dropout=0.25, activation="gelu")
long_input, identity = torch.randn(4, 50, 64), torch.eye(50).expand(4, 50, 50)
zeros = {}


def count_zeros(name):
    def hook(module, inputs, output):
        zeros.setdefault(name, []).append((output == 0).float().mean().item())
    return hook


dropping.dropout.register_forward_hook(count_zeros("output of a part, before the sum"))
dropping.feed_forward.dropout.register_forward_hook(count_zeros("units inside the feed-forward"))
rows = []
for mode in ("train", "eval"):
    coursekit.seed_everything(0)
    zeros.clear()
    dropping.train(mode == "train")
    used = ct.scaled_dot_product_attention(long_input, long_input, identity,
                                           dropout=0.25 if dropping.training else 0.0)
    zeros["attention weights"] = [(used == 0).float().mean().item()]
    zeros["output of the layer"] = [(dropping(long_input) == 0).float().mean().item()]
    rows += [{"mode": mode, "place": place, "share": np.mean(shares)} for place, shares in zeros.items()]
results.table(rows, {"mode": "{mode}", "place": "{place}", "zeros": "{share:.3f}"},
              "Share of zeros at dropout rate 0.25 (live).")

# %%
# NBVAL_CHECK_OUTPUT
for row in rows:
    print(f"{row['mode']:5} {row['place']:33} zero: {row['share'] == 0}, "
          f"near 0.25: {abs(row['share'] - 0.25) < 0.02}")

# %% [markdown]
# A quarter at three places, in training only, and none in the output: a sum with $x$ follows every dropout. Forget
# `.eval()`, and a trained model gives other numbers at every call.
#
# ## 7. Where are the parameters?
#
# Count one layer, with $D$ for `d_model` and $F$ for `d_ff`:
#
# - attention: four projections with biases, $4 (D^2 + D)$;
# - feed-forward: two matrices with biases, $2 D F + F + D$;
# - two norms: a scale and a shift each, $2 \cdot 2 D$.
#
# With $F = 4D$ that is $4D^2$ against $8D^2$, and the rest is small. The number of heads does not enter. Embeddings come on
# top: one vector for each token of the vocabulary, and in BERT one for each position and for each of 2 segments, and a norm.
#
# **Predict.** The notes this course draws on say that feed-forward networks (MLPs) hold the majority of a model's
# parameters. Is that true of a layer? Of BERT-base? Of a small model?

# %%
def by_part(d_model, d_ff, n_layers, vocabulary, positions=0, segments=0, embedding_norm=False):
    """How many numbers each part of an encoder learns."""
    return {"embeddings": (vocabulary + positions + segments + 2 * embedding_norm) * d_model,
            "attention": n_layers * 4 * (d_model ** 2 + d_model),
            "feed-forward": n_layers * (2 * d_model * d_ff + d_ff + d_model),
            "norms": n_layers * 4 * d_model}


bert = dict(vocabulary=30522, positions=512, segments=2, embedding_norm=True)
models = {"the paper's base encoder": by_part(512, 2048, 6, 37000),
          "BERT-base": by_part(768, 3072, 12, **bert),
          "all-MiniLM-L6-v2": by_part(384, 1536, 6, **bert),
          "GPT-3": by_part(12288, 4 * 12288, 96, 50257, positions=2048)}
rows = []
for name, parts in models.items():
    total = sum(parts.values())
    rows.append({"model": name, "total": total, "share": parts["feed-forward"] / total,
                 "of_layers": parts["feed-forward"] / (total - parts["embeddings"])} | parts)
results.table(rows, {"model": "{model}"} | {part: f"{{{part}:,}}" for part in models["BERT-base"]}
              | {"total": "{total:,}", "feed-forward of the layers": "{of_layers:.0%}",
                 "of all": "{share:.0%}"}, "Numbers learned, by the formulas.")

# %%
figure = Figure(figsize=(7.5, 3), layout="constrained")
axes, left = figure.subplots(), np.zeros(4)
for part, colour, hatch in zip(models["BERT-base"], plots.COLOURS, ("", "//", "..", "")):
    shares = np.array([parts[part] / sum(parts.values()) for parts in models.values()])
    axes.barh(list(models), shares, left=left, label=part, color=colour, hatch=hatch, edgecolor="white")
    left += shares
axes.invert_yaxis()
axes.axvline(0.5, color="black", linestyle=":", linewidth=1)
axes.set(xlabel="share of all numbers learned", xlim=(0, 1), title="Where the parameters are")
axes.legend(ncols=4, loc="upper center", bbox_to_anchor=(0.4, -0.25), frameon=False)
plots.show(figure, "Stacked bars of four models. The feed-forward networks have a third of the paper's "
                   "base encoder and of MiniLM, half of BERT-base and two thirds of GPT-3. Embeddings "
                   "have half of the first and of MiniLM, a fifth of BERT-base, and nearly nothing of "
                   "GPT-3. Norms cannot be seen.")

# %% [markdown]
# A formula may be wrong, so we also count. On the device `"meta"` a layer has shapes and no memory, so that even the layers
# of GPT-3 can be built here.

# %%
# NBVAL_CHECK_OUTPUT
built = {"the paper's base encoder": (6, 512, 8, 2048), "BERT-base": (12, 768, 12, 3072),
         "all-MiniLM-L6-v2": (6, 384, 12, 1536), "GPT-3": (96, 12288, 96, 4 * 12288)}
for name, sizes in built.items():
    with torch.device("meta"):
        counted = count(ct.Encoder(*sizes))
    of_layers = sum(models[name].values()) - models[name]["embeddings"]
    print(f"{name:25} layers by the formula {of_layers:15,}, counted {counted:15,}")

# %% [markdown]
# Of a *layer* with $F = 4D$ the sentence is true for every size: two thirds. Of the *model* it depends on the embeddings.
# They grow with $D$, layers with $D^2$ and with their number. In GPT-3 nothing else counts, and the feed-forward networks
# have 66 % of 175 billion. BERT-base is just above one half. In the paper's base encoder and in MiniLM the embeddings alone
# have half, and the feed-forward networks a third. So: a majority in large models, and not in small ones.
#
# The row of the paper is its encoder alone, with 37,000 tokens as in its section 5.1; the whole model has a decoder as well.
# GPT-3 is no encoder, but its layers have the same parts, in pre-norm. The usual count for BERT-base, 109.5 million,
# includes the *pooler*, one more linear layer of $D^2 + D$, which belongs to no encoder layer.

# %% [markdown]
# ### Exercise 07.layer_parameters: One layer of BERT-large
#
# Difficulty ●●○○○ (2 of 5), about 8 minutes, 2 points
#
# BERT-large has layers with d_model 1024, 16 heads and d_ff 4096. How many numbers does one of them learn, biases and
# norms included? Give `large_layer` that number.

# %%
large_layer = ...

# %%
coursekit.check("07.layer_parameters")

# %% [markdown]
# ## 8. Pre-norm and post-norm
#
# Where does the norm go? There are two answers, with the same parts and the same weights.
#
# | | post-norm (the paper, BERT) | pre-norm (GPT-2 and most models since) |
# |---|---|---|
# | attention | $x \leftarrow \text{norm}(x + \text{attention}(x))$ | $x \leftarrow x + \text{attention}(\text{norm}(x))$ |
# | feed-forward | $x \leftarrow \text{norm}(x + \text{FFN}(x))$ | $x \leftarrow x + \text{FFN}(\text{norm}(x))$ |
# | end of the stack | nothing | one last norm |
#
# In pre-norm $x$ is only ever added to. So the output of a stack, before its last norm, is the input plus everything that
# any part has said. Is that literally so?

# %%
# NBVAL_CHECK_OUTPUT
coursekit.seed_everything(0)
pre = ct.Encoder(6, 8, 2, 32, norm_first=True).eval()
post = ct.Encoder(6, 8, 2, 32).eval()
weights_of_pre = {name: array for name, array in pre.state_dict().items() if "final" not in name}
post.load_state_dict(weights_of_pre)
print("same weights, same output:", torch.allclose(pre(x), post(x), atol=1e-3))

said = []
for one_layer in pre.layers:
    for part in (one_layer.attention, one_layer.feed_forward):
        part.register_forward_hook(lambda module, inputs, output: said.append(output))
output = pre(x)
print(f"{len(said)} parts; norm(x + all they said) equals the output:",
      torch.allclose(pre.final_norm(x + sum(said)), output, atol=1e-5))

# %% [markdown]
# It is. In post-norm there is no such sum: each norm rescales all that came before.
#
# ### Which one is this code?
#
# You will meet code whose text says one thing and whose lines do another. The best-known case is *The Annotated Transformer*
# (Rush 2018, revised 2022). Its text gives the paper's formula, $\text{LayerNorm}(x + \text{Sublayer}(x))$. Its code
# computes `x + dropout(sublayer(norm(x)))` and ends each stack with a norm: pre-norm. A comment in the code says so ("for
# code simplicity"), and readers have asked about it ever since.
#
# Three ways to tell:
#
# 1. *Read the sum.* Is the result of `x + …` handed to a norm and kept (post), or kept as it is (pre)?
# 2. *Look at the end of the stack.* A norm after the last layer, such as `final_norm` or GPT-2's `ln_f`, goes with pre-norm.
#    A hint and no proof: `nn.Transformer` has such a norm in either order, and `nn.TransformerEncoder` has it in neither,
#    unless you hand it one.
# 3. *Ask the layer.* Multiply its input by 1,000. What comes out of a post-norm layer has been normalised, whatever came in.
#
# **Predict.** By what factor does the output of each layer grow?

# %%
# NBVAL_CHECK_OUTPUT
of_torch = nn.TransformerEncoderLayer(8, 2, 32, batch_first=True).eval()
for name, one_layer in (("pre-norm", pre.layers[0]), ("post-norm", post.layers[0]),
                        ("torch.nn, default", of_torch)):
    growth = (one_layer(1000 * x).norm() / one_layer(x).norm()).item()
    print(f"{name:18} output grows by more than 100: {growth > 100}, by less than 2: {growth < 2}")

# %% [markdown]
# PyTorch's own layer is post-norm unless you say `norm_first=True`.

# %% [markdown]
# ### Exercise 07.which_order: Which order is this code?
#
# Difficulty ●●○○○ (2 of 5), about 4 minutes, 1 point
#
# A repository says that it follows the paper: a norm after each residual sum. This is its code.
#
# ```
# def block(x):
#     h = norm_a(x)
#     x = x + attention(h, h, h)
#     h = norm_b(x)
#     return x + mlp(h)
#
#
# def encoder(x):
#     for block in blocks:
#         x = block(x)
#     return x
# ```
#
# Which order is it, and is anything missing? Give `norm_order` the letter.
#
# - **a** Post-norm, as the repository says: norm_b stands after the first residual sum.
# - **b** Pre-norm, and nothing is missing: every part gets a normalised input.
# - **c** Pre-norm, and the last norm is missing: what leaves the encoder is a sum that no norm has seen.
# - **d** Neither: norm_a is pre-norm, norm_b is post-norm.
# - **e** It cannot be told without the weights.

# %%
norm_order = ...

# %%
coursekit.check("07.which_order")

# %% [markdown]
# ### Exercise 07.both_orders: One layer, both orders
#
# Difficulty ●●●○○ (3 of 5), about 15 minutes, 3 points
#
# Assemble a small layer in both orders, as an `nn.Module`. Its parts are
#
# - attention with fixed weights: `mixing @ x`;
# - a feed-forward network without biases: $W_2\,\text{relu}(W_1 x)$ at each position, `W1` and `W2` being linear
#   layers;
# - a norm without scale and shift, with epsilon 1e-5: `F.layer_norm(x, x.shape[-1:])` in PyTorch.
#
# It is pre-norm if `norm_first` is true and post-norm otherwise.

# %%
import torch.nn.functional as F
import torch.nn as nn
import torch


class SmallLayer(nn.Module):
    """Attention with fixed weights, then relu between W1 and W2, linear layers without bias, at each position."""

    def __init__(self, d_model, d_ff, norm_first):
        super().__init__()
        ...

    def forward(self, x, mixing):
        """The output (batch, length, d_model) for x (batch, length, d_model) and mixing (length, length)."""
        ...

# %%
coursekit.check("07.both_orders")

# %% [markdown]
# ### Gradients at the start
#
# Section 2 showed that gradients arrive in both. Are they even? Here is the norm of the gradient of all weights of each
# layer, in a fresh stack of 12 layers that is to reverse 10 symbols. Weights are drawn as PyTorch's layers do by default,
# and in the way of Glorot and Bengio (2010), "Xavier", which draws larger numbers.

# %%
def reverser(norm_first, n_layers=12):
    """An encoder that writes a symbol at each place: 15 symbols, 10 places, 32 wide, 4 heads."""
    return nn.Sequential(nn.Embedding(16, 32), ct.PositionalEncoding(32, 10),
                         ct.Encoder(n_layers, 32, 4, 128, norm_first=norm_first), nn.Linear(32, 16))


def pair(n, seed):
    return tuple(torch.from_numpy(array) for array in reversal(n, 10, 16, seed=seed))


def gradient_by_layer(norm_first, xavier, seed):
    coursekit.seed_everything(seed)
    model, (source, target) = reverser(norm_first), pair(256, seed)
    for parameter in model[2].parameters():
        if xavier and parameter.ndim == 2:
            nn.init.xavier_uniform_(parameter)
    F.cross_entropy(model(source).flatten(0, 1), target.flatten()).backward()
    return [nn.utils.get_total_norm([weight.grad for weight in one.parameters()]).item()
            for one in model[2].layers]


gradients = {f"{'pre' if norm_first else 'post'}-norm, {'Xavier' if xavier else 'default'}":
             np.array([gradient_by_layer(norm_first, xavier, seed) for seed in (0, 1, 2)])
             for xavier in (False, True) for norm_first in (False, True)}

# %%
plots.curves({name: runs.mean(0) for name, runs in gradients.items()},
             bands={name: (runs.min(0), runs.max(0)) for name, runs in gradients.items()},
             xlabel="layer, 1 is the lowest", ylabel="norm of the gradient", limits=(0, None),
             title="Gradient of each layer before training, mean and range of three seeds",
             alt="Gradient norm against the layer for four cases. With Xavier weights post-norm rises "
                 "to about twice its first value at layer 12 and pre-norm falls to about a half. With "
                 "default weights post-norm rises a little and pre-norm falls a little.")

# %%
# NBVAL_CHECK_OUTPUT
for name, runs in gradients.items():
    ratio = runs[:, -1].mean() / runs[:, 0].mean()
    print(f"{name:18} last layer / first layer: above 1.5: {ratio > 1.5}, below 0.7: {ratio < 0.7}")

# %% [markdown]
# With Xavier weights, as `nn.Transformer` draws them, the last layers of post-norm have the largest gradients, and in
# pre-norm they shrink upwards. The first half is what Xiong and others (2020) derive: with post-norm the top layers get
# large gradients, a high rate makes large steps of them, and warm-up protects against these. With PyTorch's default weights
# the difference is small. If the gradients at the start were the whole story, we should not see much difference with those.
# Do we?
#
# ### Training, one seed live
#
# 12 layers, default weights, Adam with the high learning rate 0.01, and three runs: pre-norm, post-norm, and post-norm with
# *warm-up*, the rate rising from 0 over the first 100 steps. A model that knows nothing and guesses evenly has the loss $\ln
# 15 = 2.71$.
#
# **Predict.** Which of the three learn?

# %%
def train(norm_first, warm_up, steps=260, batch=64, learning_rate=0.01):
    coursekit.seed_everything(0)
    model, (source, target) = reverser(norm_first), pair(steps * batch, 0)
    optimizer = torch.optim.Adam(model.parameters())
    losses = []
    for step, (inputs, targets) in enumerate(zip(source.split(batch), target.split(batch)), 1):
        optimizer.param_groups[0]["lr"] = learning_rate * (min(1, step / 100) if warm_up else 1)
        loss = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return model, np.array(losses)


runs = {"pre-norm": train(True, False), "post-norm": train(False, False),
        "post-norm, warm-up": train(False, True)}

# %%
middle = range(5, 261, 10)
plots.curves({name: (middle, losses.reshape(-1, 10).mean(1)) for name, (_, losses) in runs.items()}
             | {"guessing": ([5, 255], [np.log(15)] * 2)},
             xlabel="step of training", ylabel="loss, mean of 10 steps", limits=(0, 3.2),
             title="12 layers, learning rate 0.01, one seed (live)",
             alt="Loss over 260 steps. Pre-norm falls to nearly 0 by about step 100. Post-norm stays "
                 "at 2.7, the line of guessing. Post-norm with warm-up falls to nearly 0 by about "
                 "step 200.")

# %%
# NBVAL_CHECK_OUTPUT
test_source, test_target = pair(500, 1)
for name, (model, losses) in runs.items():
    right = (model(test_source).argmax(-1) == test_target).float().mean().item()
    vectors = F.normalize(model[:3](test_source).detach().flatten(0, 1), dim=-1)
    alike = (vectors @ vectors.T).mean().item()
    print(name)
    print(f"  symbols right at least 0.95: {right >= 0.95}, at most 0.10: {right <= 0.10}")
    print(f"  mean cosine between any two outputs above 0.99: {alike > 0.99}")

# %% [markdown]
# Post-norm without warm-up learns nothing at this rate, and the cosine says how it fails: all its output vectors, of all
# places and all sequences, point the same way. Nothing in them tells what was read. The best that the last layer can do with
# that is to guess, and 2.71 is guessing. With warm-up the same model learns.
#
# So the gradients at the start are not the whole story: here they were nearly even. In post-norm every norm divides what
# came before by the size of what was just added. If a few early steps make the parts large, and alike for all tokens, then
# what distinguishes the tokens is divided away, 24 times in a row. In pre-norm it stays in the sum. That is a reading that
# fits the cosine, not a proof; Liu and others (2020) examine it with care.
#
# ### Three seeds, two depths, three rates
#
# One run proves little, and 0.01 is a rate that suits pre-norm. Here are all combinations, by `benchmarks/norms.py`.

# %%
stored, _ = results.load("norms")
variants = {("post", "no"): "post-norm", ("post", "yes"): "post-norm, warm-up",
            ("pre", "no"): "pre-norm", ("pre", "yes"): "pre-norm, warm-up"}
by_case = {}
for row in results.over_seeds(stored, ["n_layers", "learning_rate", "norm", "warm_up"]):
    case = by_case.setdefault((row["n_layers"], row["learning_rate"]), {})
    case[variants[row["norm"], row["warm_up"]]] = row
rows = [{"layers": layers, "rate": rate}
        | {name: f"{row['token_accuracy_low']:.0%} / {row['steps_to_goal']:.0f}"
           for name, row in case.items()}
        for (layers, rate), case in by_case.items()]
results.table(rows, {"layers": "{layers:d}", "learning rate": "{rate:g}"}
              | {name: f"{{{name}}}" for name in variants.values()},
              "Symbols right of the worst of three seeds / mean number of steps to loss 0.1 (400 where it "
              "is not reached). Guessing gets 7 %. Stored, 400 steps, 1,000 fresh sequences.")

# %%
steps = range(20, 401, 20)
case = by_case[12, 0.01]
lines = {name: (steps, [row[f"loss_{step}"] for step in steps]) for name, row in case.items()}
bands = {name: tuple([row[f"loss_{step}_{edge}"] for step in steps] for edge in ("low", "high"))
         for name, row in case.items()}
plots.curves(lines | {"guessing": ([20, 400], [np.log(15)] * 2)}, bands=bands, limits=(0, 3.2),
             xlabel="step of training", ylabel="loss, mean of 20 steps",
             title="12 layers, learning rate 0.01, mean and range of three seeds (stored)",
             alt="Loss over 400 steps. Pre-norm with and without warm-up falls to nearly 0 within 100 "
                 "to 150 steps. Post-norm with warm-up follows at about 200 steps and has small bumps "
                 "later. Post-norm without warm-up stays at the line of guessing in all three seeds.")

# %%
# NBVAL_CHECK_OUTPUT
def shares(**wanted):
    """Share of symbols right of every run with these settings."""
    return [row["token_accuracy"] for row in stored
            if all(row[name] == value for name, value in wanted.items())]


print(len(stored), "runs")
print("pre-norm, all: at least 0.95 right:", min(shares(norm="pre")) >= 0.95)
print("post-norm with warm-up, all: at least 0.90 right:", min(shares(norm="post", warm_up="yes")) >= 0.90)
for rate in (0.001, 0.003, 0.01):
    for n_layers in (6, 12):
        found = shares(norm="post", warm_up="no", learning_rate=rate, n_layers=n_layers)
        print(f"post-norm without warm-up, rate {rate:5}, {n_layers:2} layers: "
              f"{sum(share >= 0.95 for share in found)} of 3 seeds have at least 0.95 right")
post_steps, pre_steps = ([row["steps_to_goal"] for row in stored if row["norm"] == norm]
                         for norm in ("post", "pre"))
print("pre-norm needs no more steps than post-norm in any of the 36 pairs:",
      all(pre <= post for post, pre in zip(post_steps, pre_steps)))

# %% [markdown]
# What the table says:
#
# - *Post-norm is not broken.* With warm-up it reaches the goal at both depths and all three rates, and at the smallest rate
#   without warm-up as well. The paper trains six layers of it, with 4,000 steps of warm-up.
# - *It is less forgiving.* The higher the rate and the deeper the stack, the more it needs the warm-up. At 0.01 all three
#   seeds with 12 layers learn nothing, and with 6 layers two of three.
# - *Pre-norm works in every cell*, and never in more steps.
#
# What it does not say: which is better in the end. All of this is about getting started, on one small task with small
# models. Where both train well, post-norm is often reported to end a little ahead in translation (Liu and others 2020).

# %% [markdown]
# ## 9. The same layer in five places
#
# Now the layer must prove itself. One set of weights, five implementations: NumPy by hand, `coursekit.torch`, `torch.nn`,
# `coursekit.keras`, and one layer of a pretrained BERT. First the four that know both orders and both activations, on 2
# sentences of 7 and 4 tokens, with a mask over the padding. In `nn.TransformerEncoderLayer` a mask says what is *forbidden*,
# as in `nn.MultiheadAttention` (lecture 06).

# %%
def arrays(module):
    return {name: weight.numpy() for name, weight in module.state_dict().items()}


def four_layers(norm_first, activation):
    """The output of four implementations with the same weights, at the tokens that are no padding."""
    settings = dict(activation=activation, norm_first=norm_first)
    coursekit.seed_everything(1)
    ours = ct.EncoderLayer(12, 3, 20, **settings).eval()
    for parameter in ours.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)  # norms that scale and shift
    theirs = nn.TransformerEncoderLayer(12, 3, 20, dropout=0.0, batch_first=True, **settings).eval()
    in_keras = ck.EncoderLayer(12, 3, 20, **settings)
    weights.copy(ours, theirs)
    weights.copy(ours, in_keras)
    x, mask = torch.randn(2, 7, 12), ct.padding_mask([7, 4])  # (batch, 1, keys), True = may attend
    by_hand = reference.encoder_layer(
        x.numpy(), arrays(ours), 3, mask.numpy()[:, None], activation=getattr(reference, activation),
        norm_first=norm_first)
    outputs = {"coursekit.torch": ours(x, mask).detach().numpy(), "NumPy by hand": by_hand,
               "torch.nn": theirs(x, src_key_padding_mask=~mask[:, 0]).detach().numpy(),
               "coursekit.keras": keras.ops.convert_to_numpy(in_keras(x.numpy(), mask=mask.numpy()))}
    return {name: output[mask[:, 0].numpy()] for name, output in outputs.items()}


# %%
# NBVAL_CHECK_OUTPUT
for norm_first in (False, True):
    for activation in ("relu", "gelu"):
        outputs = four_layers(norm_first, activation)
        ours = outputs.pop("coursekit.torch")
        equal = {name: bool(np.abs(output - ours).max() < 1e-5) for name, output in outputs.items()}
        print("pre-norm, " if norm_first else "post-norm,", activation, ours.shape, equal)

# %% [markdown]
# Now a real one: all-MiniLM-L6-v2, a BERT of 6 layers with 384 units and 12 heads. BERT is post-norm, its activation is the
# exact GELU, and its epsilon is $10^{-12}$. If the weights are not installed, the next cell says how to get them, and the
# cells below do nothing.

# %%
folder = pretrained.find(required=False)
if folder:
    import transformers
    from coursekit.text import WordPiece

    transformers.utils.logging.disable_progress_bar()
    bert = transformers.BertModel.from_pretrained(folder, attn_implementation="eager").eval()
    print(folder.why)
    print(f"{count(bert) - count(bert.pooler):,} numbers learned without the pooler, "
          f"{sum(models['all-MiniLM-L6-v2'].values()):,} by the formula of section 7")

# %%
lines_of_text = ["The pizza came out of the oven and it tasted good.", "I sat by the river bank.",
                 "How many legs does a trout have?", "Yes.",
                 "The restaurant refused to serve me a ham sandwich because it only cooks vegetarian food."]
if folder:
    batch = WordPiece.load(folder / "vocab.txt").encode_batch(lines_of_text)
    ids, real = torch.from_numpy(batch.ids), torch.from_numpy(batch.mask)
    with torch.no_grad():
        states = bert(ids, attention_mask=real.long(), output_hidden_states=True).hidden_states
    print(f"{len(ids)} sentences, {int(real.sum())} tokens, {int((~real).sum())} places of padding")

# %% [markdown]
# `states[0]` goes into the first layer, `states[1]` comes out of it, and so on. We copy BERT's weights into our layers, one
# by one.

# %%
# NBVAL_CHECK_OUTPUT
if folder:
    ours = ct.Encoder(6, 384, 12, 1536, activation="gelu", norm_epsilon=1e-12).eval()
    of_torch = nn.TransformerEncoderLayer(384, 12, 1536, activation="gelu", layer_norm_eps=1e-12,
                                          batch_first=True).eval()
    in_keras = ck.EncoderLayer(384, 12, 1536, activation="gelu", norm_epsilon=1e-12)
    for number, (theirs, mine) in enumerate(zip(bert.encoder.layer, ours.layers)):
        for other in (mine, of_torch, in_keras):
            weights.copy(theirs, other)
        x, mask, right = states[number], real[:, None], states[number + 1][real].numpy()
        by_hand = reference.encoder_layer(x.numpy(), arrays(mine), 12, mask.numpy()[:, None],
                                          activation=reference.gelu, epsilon=1e-12)
        outputs = {"coursekit.torch": mine(x, mask).detach().numpy(), "NumPy": by_hand,
                   "torch.nn": of_torch(x, src_key_padding_mask=~real).detach().numpy(),
                   "coursekit.keras": keras.ops.convert_to_numpy(in_keras(x.numpy(), mask=mask.numpy()))}
        equal = {name: bool(np.abs(output[real.numpy()] - right).max() < 2e-5)
                 for name, output in outputs.items()}
        print(f"layer {number + 1}, less than 0.00002 from BERT's:", equal)
    largest = (ours(states[0], real[:, None]) - states[6])[real].abs().max()
    print("all six, one after the other:", bool(largest < 2e-5))

# %% [markdown]
# Each layer, in four implementations, and the stack as a whole. There is nothing in a BERT layer that you have not seen in
# this lecture and the one before. So you can write a whole encoder yourself.

# %% [markdown]
# ### Exercise 07.encoder: A whole encoder, from its weights
#
# Difficulty ●●●●● (5 of 5), about 35 minutes, 5 points
#
# Write `pre_norm_encoder` in NumPy: as many pre-norm layers as there are weights, and the last norm. No linear layer
# has a bias, and the activation is relu.
#
# - `attention` holds the matrices W_q, W_k, W_v and W_o of each layer, outputs first; `expand` and `contract` hold
#   those of its feed-forward network.
# - `real` is True at tokens and False at padding, to which nobody may attend.
# - `reference.layer_norm(x, 1, 0)` is the norm, without scale and shift. `reference.softmax(scores, mask=...)` gives
#   weights, 0 where the mask is False.

# %%
import numpy as np
import coursekit.reference as reference


def pre_norm_encoder(x, real, attention, expand, contract, n_heads):
    """The output (batch, length, d_model) for x (batch, length, d_model), real (batch, length), boolean, attention
    (layers, 4, d_model, d_model), expand (layers, d_ff, d_model) and contract (layers, d_model, d_ff)."""
    ...

# %%
coursekit.check("07.encoder")

# %% [markdown]
# ## 10. What each mistake costs
#
# The stack is right to 0.00002. Now we break it on purpose, one mistake at a time and in all six layers, and see how far the
# output moves. None of them raises an error. Here a mistake is a function that damages one layer.

# %%
class HandNorm(nn.Module):
    """A layer norm with one or two of the classic mistakes."""

    def __init__(self, right, unbiased=False, outside=False):
        super().__init__()
        self.right, self.unbiased, self.outside = right, unbiased, outside

    def forward(self, x):
        variance, mean = torch.var_mean(x, -1, correction=int(self.unbiased), keepdim=True)
        eps = self.right.eps
        deviation = variance.sqrt() + eps if self.outside else (variance + eps).sqrt()
        return (x - mean) / deviation * self.right.weight + self.right.bias


# %%
def norms(epsilon=1e-12, **mistakes):
    def damage(layer):
        for name in ("attention_norm", "feed_forward_norm"):
            getattr(layer, name).eps = epsilon
            setattr(layer, name, HandNorm(getattr(layer, name), **mistakes))
    return damage


def activation(kind):
    def damage(layer):
        layer.feed_forward.activation = kind
    return damage


def pre_norm(layer):
    layer.norm_first = True


def no_scaling(layer):
    for parameter in layer.attention.query_projection.parameters():
        parameter.data *= 32 ** 0.5  # what is divided by the root of d_head = 384 / 12 later


# %%
def nothing(layer):
    pass


mistakes = {"none": nothing, "our own norm, no mistake": norms(),
            "epsilon 1e-5, PyTorch's default": norms(1e-5), "epsilon 1e-3, Keras's default": norms(1e-3),
            "epsilon 1e-12 outside the root": norms(outside=True),
            "epsilon 1e-3 outside the root": norms(1e-3, outside=True),
            "unbiased variance": norms(unbiased=True),
            "unbiased, and 1e-6 outside the root": norms(1e-6, unbiased=True, outside=True),
            "GELU by tanh": activation("gelu_tanh"), "ReLU for GELU": activation("relu"),
            "no scaling of the scores": no_scaling, "no mask over the padding": nothing,
            "pre-norm for post-norm": pre_norm}

# %% [markdown]
# **Predict.** Sort them: which ones would you never notice, which ones spoil the model? The typical size of a number in the
# output is about 0.45.
#
# Beside the numbers we compare what the model is used for. The mean of a sentence's output vectors is its *sentence vector*;
# the cosine between the right one and the damaged one is 1 if nothing has turned.

# %%
def sentence_vectors(output):
    return F.normalize((output * real[..., None]).sum(1), dim=-1)


@torch.no_grad()
def cost(name, x):
    damaged = copy.deepcopy(ours)
    for one_layer in damaged.layers:
        mistakes[name](one_layer)
    output = damaged(x, None if name.startswith("no mask") else real[:, None])
    difference = (output - states[6])[real]
    cosines = (sentence_vectors(output) * sentence_vectors(states[6])).sum(-1)
    return {"mistake": name, "largest": difference.abs().max().item(),
            "typical": difference.square().mean().sqrt().item(), "cosine": cosines.min().item()}


if folder:
    size = states[6][real].square().mean().sqrt().item()
    costs = {name: cost(name, states[0]) for name in mistakes}
    results.table([row | {"share": row["typical"] / size} for row in costs.values()],
                  {"mistake": "{mistake}", "largest difference": "{largest:.6f}",
                   "typical difference / typical size": "{share:.6f}",
                   "cosine of the worst sentence": "{cosine:.3f}"},
                  "All six layers of all-MiniLM-L6-v2, 5 sentences. Typical is the root mean square; of the "
                  f"right output it is {size:.2f} (live).")

# %%
# NBVAL_CHECK_OUTPUT
if folder:
    print("typical size of the output between 0.4 and 0.5:", 0.4 < size < 0.5)
    groups = {"below 0.001 %": (0, 1e-5), "below 0.01 %": (1e-5, 1e-4), "below 1 %": (1e-4, 1e-2),
              "above 10 %": (0.1, np.inf)}
    for words, (low, high) in groups.items():
        print(words)
        for name, row in costs.items():
            if low <= row["typical"] / size < high:
                print("   ", name)

# %% [markdown]
# Three groups.
#
# - *Not seen at all.* Epsilon $10^{-12}$ outside the root instead of inside: below the rounding of float32. It is wrong, and
#   no test on this model would find it. A test needs an epsilon that is large beside the variance, as in the exercise of
#   section 3.
# - *Small errors.* The epsilons of other libraries, the unbiased variance, GELU by tanh: up to a few tenths of a percent.
#   The model still works, and nobody notices, until someone compares with another implementation and has to find out why the
#   numbers differ. *The Annotated Transformer*'s norm is one of these rows: `torch.std`, which is unbiased, with $10^{-6}$
#   outside the root. A model that is trained with that norm may be as good. But its weights belong to that norm.
# - *Another model.* ReLU, no scaling, no mask, pre-norm. All shapes fit, nothing crashes, and the sentence vectors are
#   wrong. The numbers of pre-norm are even ten times too large, since BERT has no last norm to end such a stack with.
#
# A surprise may be Keras's epsilon: a billion times BERT's, and so little damage? Section 3 has the answer. Epsilon
# counts beside the variance, so look at the variances.

# %%
variances = []


def note_variance(module, inputs, output):
    variances.append(inputs[0][real].var(-1, correction=0).median().item())


if folder:
    in_order = [bert.embeddings.LayerNorm]
    for one_layer in ours.layers:
        in_order += [one_layer.attention_norm, one_layer.feed_forward_norm]
    hooks = [norm.register_forward_hook(note_variance) for norm in in_order]
    with torch.no_grad():
        ours(bert.embeddings(ids), real[:, None])
    for hook in hooks:
        hook.remove()
    embedding, *in_layers = variances
    print(f"median variance before the embedding's norm {embedding:.4f}, before the 12 others "
          f"{min(in_layers):.2f} to {max(in_layers):.2f}")

# %% [markdown]
# In the layers the variance is a few tenths, and 0.001 is little beside that. But BERT has a thirteenth norm, after the
# embeddings, and its inputs are small. We have left it alone so far.
#
# **Predict.** Give that norm Keras's epsilon, too. How much larger will the error be?

# %%
if folder:
    rows = []
    for eps, name in ((1e-5, "epsilon 1e-5, PyTorch's default"), (1e-3, "epsilon 1e-3, Keras's default")):
        bert.embeddings.LayerNorm.eps = eps
        with torch.no_grad():
            everywhere = cost(name, bert.embeddings(ids))
        rows.append({"epsilon": eps, "layers": costs[name]["largest"], "everywhere": everywhere["largest"],
                     "cosine": everywhere["cosine"]})
    bert.embeddings.LayerNorm.eps = 1e-12
    results.table(rows, {"epsilon": "{epsilon:g}", "12 norms of the layers": "{layers:.4f}",
                         "all 13 norms": "{everywhere:.4f}",
                         "cosine of the worst sentence, all 13": "{cosine:.4f}"},
                  "Largest difference of the output, by where epsilon is changed (live).")

# %%
# NBVAL_CHECK_OUTPUT
if folder:
    print("variance before the embedding's norm at most a tenth of any other:",
          embedding < min(in_layers) / 10)
    print("with the embedding's norm the largest difference is at least 10 times larger:",
          [row["everywhere"] > 10 * row["layers"] for row in rows])

# %% [markdown]
# The one norm with small inputs does most of the damage. So when you port a model, copy its epsilon with its weights,
# everywhere, and compare the numbers after each layer, not only at the end.

# %% [markdown]
# ## Summary
#
# - A layer is attention and a feed-forward network, each with a residual connection and a norm. Only attention lets tokens
#   meet.
# - Without residual connections and norms the gradient of 12 fresh layers shrinks by $10^{13}$ and more. A norm saves its
#   size, but all tokens become alike. With residual connections it arrives nearly whole, and tokens stay apart.
# - Layer norm works on one token's vector: biased variance, epsilon inside the root, then scale and shift. Batch norm works
#   across the batch.
# - The feed-forward network is the same at every position and does not see the others. Its activation is what counts.
# - With $F = 4D$, two thirds of a layer's parameters are in the feed-forward network. How much of the model that is depends
#   on the embeddings.
# - In our runs post-norm needed warm-up or a small learning rate, the more the deeper it was. Pre-norm was forgiving. Follow
#   $x$ in the code to see which one it is.
# - A copied model has the numbers of the original only with its order, its activation, its epsilon and its mask.
#
# ## Further reading
#
# - A. Vaswani et al. *Attention Is All You Need.* NeurIPS 2017. [arXiv:1706.03762](https://arxiv.org/abs/1706.03762).
#   Sections 3.1, 3.3 and 5.4.
# - K. He, X. Zhang, S. Ren, J. Sun. *Deep Residual Learning for Image Recognition.* CVPR 2016.
#   [arXiv:1512.03385](https://arxiv.org/abs/1512.03385). Where residual connections come from.
# - J. L. Ba, J. R. Kiros, G. E. Hinton. *Layer Normalization.* 2016. [arXiv:1607.06450](https://arxiv.org/abs/1607.06450).
# - D. Hendrycks, K. Gimpel. *Gaussian Error Linear Units (GELUs).* 2016.
#   [arXiv:1606.08415](https://arxiv.org/abs/1606.08415).
# - X. Glorot, Y. Bengio. *Understanding the Difficulty of Training Deep Feedforward Neural Networks.* AISTATS 2010.
# - R. Xiong et al. *On Layer Normalization in the Transformer Architecture.* ICML 2020.
#   [arXiv:2002.04745](https://arxiv.org/abs/2002.04745).
# - L. Liu, X. Liu, J. Gao, W. Chen, J. Han. *Understanding the Difficulty of Training Transformers.* EMNLP 2020.
#   [arXiv:2004.08249](https://arxiv.org/abs/2004.08249).
# - Y. Dong, J.-B. Cordonnier, A. Loukas. *Attention is Not All You Need: Pure Attention Loses Rank Doubly Exponentially with
#   Depth.* ICML 2021. [arXiv:2103.03404](https://arxiv.org/abs/2103.03404). Why tokens become alike without residual
#   connections.
# - M. Geva, R. Schuster, J. Berant, O. Levy. *Transformer Feed-Forward Layers Are Key-Value Memories.* EMNLP 2021.
#   [arXiv:2012.14913](https://arxiv.org/abs/2012.14913).
# - A. Rush. *The Annotated Transformer.* Workshop for NLP Open Source Software, ACL 2018.
