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
# # 09 · A language model, and how it writes
#
# [![Open in Colab](attachment:open_in_colab.png)](https://colab.research.google.com/github/coursekit/coursekit/blob/main/notebooks/09_language_model.ipynb)
#
# The decoder of lecture 08 wrote a translation, token by token. Take its encoder away, and what is left continues any
# text. That is a language model: the layers of lecture 07 under the causal mask of lecture 05. In this lecture you train
# one, let it write in several ways, measure what writing costs, and ask what its probabilities mean.
#
# **You will be able to**
#
# - say what a language model is trained on, and compute its loss and perplexity by hand;
# - judge a model against baselines that only count;
# - explain temperature, top-k, top-p and beam search on a few numbers, and what goes wrong with each;
# - write with a cache of keys and values, and say what it saves and what it costs;
# - fit a scaling law to a few runs, and say how little that proves;
# - tell a likelihood from a truth.
#
# **Time** about 110 minutes of reading and trying; about one minute of computing on two CPU cores. No GPU is needed.
#
# **You need** lecture 05 (causal mask), lecture 07 (the layer) and the end of lecture 03 (byte-pair encoding).
#
# **Exercises** stand at the ends of sections. Put your answer in place of `...`, run the cell and the one below it:
# `coursekit.check` says whether it is right, and if not, which mistake it is. `coursekit.hint("09.nucleus")` and
# `coursekit.solution("09.nucleus")` help on, `coursekit.progress()` shows what you have done. No other cell needs your
# answers.

# %%
try:
    import coursekit
except ImportError:  # a fresh Colab: whatever it has (numpy, torch, tensorflow) stays as it is
    # %pip install --quiet --no-deps git+https://github.com/coursekit/coursekit
    import coursekit

coursekit.start(seed=0, threads=1)

# %%
import copy
import math
from collections import Counter

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch.nn import functional as F

from coursekit import plots, reference, results, weights
from coursekit import torch as ct
from coursekit.datasets.translation import detokenize, tokenize, translation
from coursekit.text import BytePairEncoding, Vocabulary
from coursekit.torch.training import NO_TARGET, token_accuracy, token_cross_entropy

np.set_printoptions(precision=3, suppress=True, floatmode="fixed")
torch.set_printoptions(precision=3, sci_mode=False)

# %% [markdown]
# ## 1. What comes next?
#
# Our text is the English side of the corpus of lecture 08. Its sentences come from a grammar of ours, so they are simple,
# and nobody would mistake them for literature. Each is put between `<start>` and `<end>`.

# %%
# NBVAL_CHECK_OUTPUT
texts = {split: [["<start>", *tokenize(pair.english, "en"), "<end>"] for pair in translation("fr", split)]
         for split in ("train", "validation", "test", "held_out")}
for split, rows in texts.items():
    print(f"{split:10} {len(rows):5,} sentences, {sum(map(len, rows)) - len(rows):6,} tokens to predict")
vocabulary = Vocabulary(["<pad>", *sorted({token for row in texts["train"] for token in row})])
print(f"{len(vocabulary)} tokens in the vocabulary, for example {vocabulary.tokens[100:106]}")

# %% [markdown]
# The task is always the same: *given the tokens so far, which one comes next?* A sentence of six words and a full stop
# answers it eight times, the end included. Nobody has to label anything, the text is its own answer. So the targets are the
# inputs, shifted by one place. Sentences differ in length; where a row is filled up there is no target.
#
# **Predict.** A row has $n$ tokens with `<start>` and `<end>`. How many targets does it give? Which token is never one?

# %%
def inputs_and_targets(rows, vocabulary):
    """Two tensors (sentences, length): every input's target is the token after it."""
    ids = [torch.tensor([vocabulary.id(token) for token in row]) for row in rows]
    tokens = torch.nn.utils.rnn.pad_sequence(ids, batch_first=True)  # filled up with 0, which is <pad>
    return tokens[:, :-1], tokens[:, 1:].masked_fill(tokens[:, 1:] == 0, NO_TARGET)


data = {split: inputs_and_targets(rows, vocabulary) for split, rows in texts.items()}

# %%
# NBVAL_CHECK_OUTPUT
inputs, targets = inputs_and_targets([["<start>", *"the cat sat on the mat .".split(), "<end>"],
                                      ["<start>", *"she is reading .".split(), "<end>"]], vocabulary)
for row in range(2):
    for name, ids in (("input", inputs[row]), ("target", targets[row])):
        words = ["–" if id in (0, NO_TARGET) else vocabulary.token(id) for id in ids.tolist()]
        print(f"{name:7}", " ".join(words))

# %% [markdown]
# $n - 1$ targets, and `<start>` is none of them. Below each other stand what is read and what should be said next. In the
# shorter row `<end>` is read as well, since the rows of a batch have one length, but nothing is asked there. The causal
# mask makes it possible to ask all places at once: place $t$ sees the inputs up to $t$ and nothing later. Shift the wrong
# way, or not at all, and the model is asked what it has just read. Its loss then falls to nothing, as it did in lecture 05
# without a mask.
#
# ## 2. How good is a prediction?
#
# The model gives every token of the vocabulary a probability. What counts is only the one that came. The probability of a
# whole text is a product,
#
# $$p(w_1 \dots w_n) = p(w_1)\, p(w_2 \mid w_1)\, p(w_3 \mid w_1 w_2) \cdots ,$$
#
# and its logarithm a sum. The **negative log-likelihood** of a token is $-\ln p$: 0 for a sure and right prediction, large
# for a surprise. Its mean over all tokens is the loss. **Perplexity** is $e^{\text{loss}}$.
#
# Four tokens, with invented probabilities 0.5, 0.2, 0.25 and 0.8. By hand:
#
# - product: $0.5 \cdot 0.2 \cdot 0.25 \cdot 0.8 = 0.02$;
# - $-\ln p$: $0.693$, $1.609$, $1.386$, $0.223$; sum $3.912$, which is $-\ln 0.02$; mean $0.978$;
# - perplexity: $e^{0.978} = 2.659$, the fourth root of $1 / 0.02 = 50$.
#
# **Predict.** In bits, with $\log_2$, the loss is 1.411. What is the perplexity then?

# %%
# NBVAL_CHECK_OUTPUT
p = np.array([0.5, 0.2, 0.25, 0.8])
nats, bits = -np.log(p).mean(), -np.log2(p).mean()
print("-ln p of each  ", -np.log(p))
print(f"loss            {nats:.3f} nats, {bits:.3f} bits")
print(f"perplexity      e^{nats:.3f} = {np.exp(nats):.3f}, 2^{bits:.3f} = {2 ** bits:.3f}, "
      f"fourth root of 50 = {50 ** 0.25:.3f}")
print(f"wrong: mean of 1/p {np.mean(1 / p):.3f}, e^(loss in bits) {np.exp(bits):.3f}")

# %% [markdown]
# The same, as long as base and exponent fit. Perplexity is the size of the choice: a model that hesitates evenly among $k$
# tokens has perplexity $k$. Two warnings. It is the *geometric* mean of $1/p$, a product, so that a single token with
# probability 0 makes it infinite, however good the others are. And it is *per token*: cut the same text into twice as many
# tokens, and the perplexity falls without any better model. Compare only models with the same tokens.
#
# In code the loss is `token_cross_entropy`, from logits, without the places that have no target:

# %%
# NBVAL_CHECK_OUTPUT
logits = torch.log(torch.tensor([[0.5, 0.3, 0.2], [0.6, 0.2, 0.2], [0.25, 0.5, 0.25], [0.1, 0.1, 0.8],
                                 [0.3, 0.3, 0.4]]))
answers = torch.tensor([0, 1, 2, 2, NO_TARGET])
print(f"loss of four tokens and one place without a target: {token_cross_entropy(logits, answers):.3f}")

# %% [markdown]
# ### Exercise 09.perplexity_by_hand: Perplexity by hand
#
# Difficulty ●○○○○ (1 of 5), about 4 minutes, 1 point
#
# A model gives the four tokens of a text the probabilities 1/2, 1/4, 1/8 and 1/4, each after the tokens before it. What
# is its perplexity on this text? Give `perplexity_by_hand` that number.

# %%
perplexity_by_hand = ...

# %%
coursekit.check("09.perplexity_by_hand")

# %% [markdown]
# ### Exercise 09.next_token_loss: The loss of a batch of texts
#
# Difficulty ●●○○○ (2 of 5), about 12 minutes, 2 points
#
# Write `next_token_loss`: the mean negative log-likelihood, in nats, of all tokens that are predicted. Row b has
# `lengths[b]` tokens and then padding. The logits at place t are about the token at place t + 1; the first token of a
# row is given and not predicted.

# %%
import torch


def next_token_loss(logits, tokens, lengths):
    """The loss, one number, of logits (batch, length, vocab), tokens (batch, length), whole numbers, and lengths
    (batch,): how many tokens of each row are no padding, at least 2."""
    ...

# %%
coursekit.check("09.next_token_loss")

# %% [markdown]
# ## 3. Models that count
#
# Before we train anything: what does a model reach that only counts?
#
# - **uniform**: every token has probability $1/V$;
# - **unigram**: how often a token occurs in the training text, whatever stands before it;
# - **bigram**, **trigram**, **4-gram**: how often it follows the last one, two or three tokens.
#
# Counting has one trouble. Most combinations never occurred, and a single 0 makes the loss infinite. **Smoothing** helps:
# trust the counts as far as they go, and fill up with the next shorter context. With $c$ for counts, $h$ for the context,
# $h'$ for the context without its first token, and $m$ a number that says how much to fill up:
#
# $$p(w \mid h) = \frac{c(h\,w) + m\, p(w \mid h')}{c(h) + m} .$$

# %%
class Counts:
    """p(token | up to n - 1 tokens before it), counted and smoothed."""

    def __init__(self, rows, n, m):
        self.n, self.m, self.pairs, self.contexts = n, m, Counter(), Counter()
        for row in rows:
            for place in range(1, len(row)):
                for length in range(min(n, place + 1)):
                    context = tuple(row[place - length:place])
                    self.pairs[context, row[place]] += 1
                    self.contexts[context] += 1

    def p(self, token, before):
        probability = 1 / len(vocabulary)
        for length in range(min(self.n, len(before) + 1)):
            context = tuple(before[len(before) - length:])
            probability = ((self.pairs[context, token] + self.m * probability)
                           / (self.contexts[context] + self.m))
        return probability

    def loss(self, rows):
        losses = [-math.log(self.p(row[place], row[:place])) for row in rows for place in range(1, len(row))]
        return sum(losses) / len(losses)


# %% [markdown]
# **Predict.** Among 659 tokens the uniform model has perplexity 659. What will the trigram have: 100, 50, 10?

# %%
# NBVAL_CHECK_OUTPUT
counting = {"uniform": Counts([], 0, 1), "unigram": Counts(texts["train"], 1, 1)}
for n, name in ((2, "bigram"), (3, "trigram"), (4, "4-gram")):
    tried = [Counts(texts["train"], n, m) for m in (1, 3, 10, 30)]
    counting[name] = min(tried, key=lambda model: model.loss(texts["validation"]))  # the test text has no say
for name, model in counting.items():
    loss = model.loss(texts["test"])
    print(f"{name:8} m = {model.m:2}  loss {loss:.3f}  perplexity {math.exp(loss):7.2f}  "
          f"numbers kept {len(model.pairs):,}")
contexts = Counter(tuple(row[place - 3:place]) for row in texts["train"] for place in range(3, len(row)))
once = sum(times == 1 for times in contexts.values())
print(f"contexts of three tokens: {len(contexts):,}, of which {once / len(contexts):.0%} occur only once")

# %% [markdown]
# From 659 to 13, by counting pairs and triples. That is the bar. A third token of context hardly helps: two thirds of the
# contexts of three tokens occur only once, and most that are possible never. *That* is what a network is for. It need not
# have seen "my grandmother fed the" to know what may follow.
#
# ## 4. Our language model
#
# `LanguageModel` is GPT-2's architecture: learned positions, pre-norm layers under a causal mask, and the embedding matrix
# used a second time to compare the output with every token. All of it is from lectures 03 to 07, but for `cache`: that is
# for section 9, and `None` until then.

# %%
coursekit.show_source(ct.LanguageModel.forward)

# %% [markdown]
# ### Where are the parameters?
#
# The notes that this lecture builds on say that the feed-forward networks hold most of a model's parameters. In a layer
# that is so: $8 d^2$ of $12 d^2$. **Predict.** And in GPT-2 as a whole, with 50,257 tokens and $d = 768$?

# %%
def parts(model):
    """Learned numbers of a language model, by part."""
    counted = Counter()
    names = {"token_embedding": "tokens", "position_embedding": "positions", "feed_forward.": "feed-forward",
             "attention.": "attention", "norm": "norms"}
    for name, weight in model.named_parameters():
        part = next(part for piece, part in names.items() if piece in name)
        counted[part] += weight.numel()
    return counted


# %%
# NBVAL_CHECK_OUTPUT
sizes = {"ours": dict(vocab_size=len(vocabulary), n_layers=2, d_model=64, n_heads=4, d_ff=256, max_length=24),
         "GPT-2": dict(vocab_size=50257, n_layers=12, d_model=768, n_heads=12, d_ff=3072, max_length=1024),
         "GPT-2 XL": dict(vocab_size=50257, n_layers=48, d_model=1600, n_heads=25, d_ff=6400, max_length=1024),
         "GPT-3": dict(vocab_size=50257, n_layers=96, d_model=12288, n_heads=96, d_ff=49152, max_length=2048)}
for name, size in sizes.items():
    with torch.device("meta"):  # shapes without memory
        counted = parts(ct.LanguageModel(**size))
    total = sum(counted.values())
    print(f"{name:8} {total:15,}  " + "  ".join(f"{part} {n / total:.1%}" for part, n in counted.items()))

# %% [markdown]
# 124 million, as the published weights of GPT-2 have (its paper says 117), and 175 billion, as the paper of GPT-3 says. In
# GPT-2 the feed-forward networks have less than half: the token embedding takes a third. In ours it takes nearly as much.
# The larger a model, the nearer it comes to two thirds, for layers grow with $d^2$ and embeddings with $d$.
#
# ### Training
#
# Four passes over the text, one seed. The learning rate rises for some 90 steps and then falls to zero in a straight line.

# %%
EPOCHS, BATCH = 4, 64
steps = EPOCHS * math.ceil(len(texts["train"]) / BATCH)


def schedule(d_model, steps):
    """The learning rate, a function of the step."""
    return lambda step: 0.03 * d_model ** -0.5 * min(step / 100, 1 - (step - 1) / steps)


coursekit.seed_everything(0)
model = ct.LanguageModel(**sizes["ours"])
history = ct.fit(model, data["train"], data["validation"], epochs=EPOCHS, batch_size=BATCH,
                 learning_rate=schedule(64, steps), clip=1.0, metrics=(token_accuracy,))

# %%
plots.curves({"training": history["loss"], "validation": history["val_loss"],
              "trigram, validation": [counting["trigram"].loss(texts["validation"])] * EPOCHS},
             xlabel="epoch", ylabel="loss, nats per token", title="Learning to predict the next token",
             alt="Loss against four epochs. The training loss falls steeply from above 3.5 to about 2, the validation "
                 "loss from about 2.3 to 1.9. Validation is below the level line of the trigram, at about 2.5, from "
                 "the first epoch on, training from the second.")

# %% [markdown]
# The curve of training is the mean over an epoch in which the model still changes, so it starts above validation. The table
# has the baselines, our live seed, and the mean of three stored seeds (`benchmarks/scaling.py`). The last column is a
# construction that the training text does not contain, "does not have" and "do not have".
#
# **Predict.** Which of these models suffers most on the new construction?

# %%
@torch.no_grad()
def loss_on(model, split):
    return token_cross_entropy(model(data[split][0]), data[split][1]).item()


stored, _ = results.load("scaling")
widest = results.over_seeds([row for row in stored if row["d_model"] == 64], ["d_model"])[0]
losses = [{"model": name, "seeds": "counted", "test": counts.loss(texts["test"]),
           "held_out": counts.loss(texts["held_out"])} for name, counts in counting.items()]
losses += [{"model": "language model", "seeds": "one, live", "test": loss_on(model, "test"),
            "held_out": loss_on(model, "held_out")},
           {"model": "language model", "seeds": "three, stored", "test": widest["test"],
            "held_out": widest["held_out"]}]
results.table([row | {"perplexity": math.exp(row["test"])} for row in losses],
              {"Model": "{model}", "Runs": "{seeds}", "Test loss": "{test:.2f}", "Perplexity": "{perplexity:.1f}",
               "Loss on the new construction": "{held_out:.2f}"},
              "Nats per token on sentences that the training text does not contain.")

# %%
# NBVAL_CHECK_OUTPUT
live = losses[-2]
print("live: test loss below 2.1:", live["test"] < 2.1, "and at least 0.4 below the trigram:",
      live["test"] < counting["trigram"].loss(texts["test"]) - 0.4)
print("live: new construction at least 0.4 worse than test:", live["held_out"] > live["test"] + 0.4)
runs = [row for row in stored if row["d_model"] == 64]
for split in ("test", "held_out"):
    of_runs = [row[split] for row in runs]
    print(f"stored, {split}: {min(of_runs):.2f} to {max(of_runs):.2f}")

# %% [markdown]
# Little more than half the trigram's perplexity. That does not take more numbers: section 10 has a model with less than
# half as many as the trigram keeps, and it is far ahead of it as well. On the new construction all that have learned
# anything are worse. Those that count contexts lose most, and the more the longer their contexts are. The network has
# never seen "does not have" either, but it knows "does not" and "have a", and it bends. The spread over the seeds is wide
# there: what was not trained is left to chance.
#
# How much better could it get? We do not know. The grammar draws nouns and verbs at random, so that even the best
# prediction has a loss well above zero.
#
# ## 5. "The cat sat on the …"
#
# Now we may ask. This very sentence, with *mat*, stands in the test text and not in the training text.
#
# **Predict.** Which three words will be the most probable?

# %%
def encode(text):
    """Ids (1, length) of a beginning."""
    return torch.tensor([[vocabulary.id(token) for token in ["<start>", *text.split()]]])


@torch.no_grad()
def next_probabilities(text):
    return model(encode(text))[0, -1].softmax(-1)


after_the = next_probabilities("the cat sat on the")
best, order = after_the.topk(12)
places = [vocabulary.token(id) for id in order.tolist()]

# %%
figure, axes = plt.subplots(figsize=(7, 3.4), layout="constrained")
axes.bar(places, best, color=[plots.COLOURS[1] if place == "mat" else plots.COLOURS[0] for place in places])
axes.set(xlabel="next token (mat in another colour)", ylabel="probability", title="The cat sat on the …")
axes.tick_params(axis="x", rotation=45)
plots.show(figure, "Bar chart of the twelve most probable tokens after 'the cat sat on the'. A few things to "
                   "sit on share most of the probability, mat among them; the rest have very little.")

# %%
# NBVAL_CHECK_OUTPUT
print("mat among the seven most probable:", "mat" in places[:7])
print("these twelve have more than 0.85 of the probability:", best.sum().item() > 0.85)
seen = Counter(row[row.index("sat") + 3] for row in texts["train"]
               if "sat" in row and row[row.index("sat") + 1:][:2] == ["on", "the"])
print("in the training text after 'sat on the':", ", ".join(f"{word} {n}" for word, n in seen.most_common(8)))

# %% [markdown]
# The model has learned what one sits on, from some thirty sentences. It has no reason to prefer *mat*. The figure shows
# the text that it was trained on and not what cats do.
#
# The slides let the model continue "The cat sat on" and say that *the* would be the most probable. Here is that step, and
# all that follow, by hand: **predict, append, repeat**, until the end token or a limit.

# %%
def continue_by_hand(text, limit):
    tokens = encode(text)
    for _ in range(limit):
        with torch.no_grad():
            probabilities = model(tokens)[0, -1].softmax(-1)        # predict
        token = probabilities.argmax()
        print(f"{detokenize([vocabulary.token(id) for id in tokens[0, 1:].tolist()], 'en'):32} "
              f"→ {vocabulary.token(token):7} {probabilities[token]:.2f}")
        tokens = torch.cat([tokens, token.view(1, 1)], dim=1)       # append
        if token == END:
            break
    return tokens                                                   # repeat


END = vocabulary.id("<end>")
by_hand = continue_by_hand("the cat sat on", limit=12)

# %%
# NBVAL_CHECK_OUTPUT
prompt = encode("the cat sat on")
written = ct.greedy(model, prompt, max_new_tokens=12, end=END)
print("coursekit.torch.greedy writes the same:", torch.equal(written, by_hand[:, prompt.shape[1]:]))
print("it ended by itself:", written[0, -1].item() == END)
print("with a limit of 2:", ct.greedy(model, prompt, max_new_tokens=2, end=END).shape[1], "new tokens")

# %% [markdown]
# The slides say that the new sequence is tokenized again and all steps repeated. Neither is needed. Tokens are appended as
# they are, for text cut anew may come out in other tokens than the model wrote. And section 9 shows how to read each token
# only once.
#
# ## 6. Three knobs on one distribution
#
# Always taking the most probable token is *greedy*. From `<start>` it writes one sentence, the same every time. To get
# others one draws from the distribution, and there are knobs that change it first. Let us turn them on paper. Four tokens
# with the probabilities 0.4, 0.3, 0.2 and 0.1.
#
# **Temperature** divides the logits: $\text{softmax}(z / T)$. Since $e^{z/T} = (e^z)^{1/T}$, it raises the probabilities to
# the power $1/T$ and shares out again. For $T = 0.5$ those are squares: $0.16, 0.09, 0.04, 0.01$ with the sum $0.30$, so
# $0.533, 0.300, 0.133, 0.033$. For $T = 2$ they are roots.
#
# **Top-k** keeps the $k$ most probable. For $k = 2$: $0.4 / 0.7 = 0.571$ and $0.3 / 0.7 = 0.429$.
#
# **Top-p** keeps the fewest that sum up to at least $p$, the *nucleus*. For $p = 0.65$: $0.4$ is not enough, $0.4 + 0.3$
# is. The token that crosses the border belongs to it.

# %%
# NBVAL_CHECK_OUTPUT
small = torch.tensor([0.4, 0.3, 0.2, 0.1])
print(f"{'as it is':18} {small.numpy()}")
for name, value in (("temperature", 0.5), ("temperature", 2.0), ("temperature", 0.01), ("temperature", 100.0),
                    ("top_k", 2), ("top_p", 0.65), ("top_p", 0.05)):
    filtered = ct.filter_logits(small.log(), **{name: value}).softmax(-1)
    print(f"{name:11} {value:<6} {filtered.numpy()}")

# %% [markdown]
# Towards $T = 0$ temperature becomes greedy, and for large $T$ uniform. Temperature keeps the order and removes nothing.
# Top-k and top-p remove, and leave the rest in proportion. Top-p always keeps at least one.
#
# ### The order of the filters
#
# **Predict.** Temperature 2 and top-p 0.65 on the same four tokens: does it matter which comes first? And top-k 3 with
# top-p 0.75?

# %%
# NBVAL_CHECK_OUTPUT
def in_order(*settings):
    logits = small.log()
    for setting in settings:
        logits = ct.filter_logits(logits, **setting)
    return logits.softmax(-1).numpy()


for first, second in ((dict(temperature=2.0), dict(top_p=0.65)), (dict(top_k=3), dict(top_p=0.75)),
                      (dict(temperature=2.0), dict(top_k=2))):
    print(f"{', '.join(first):11} then {', '.join(second):5} {in_order(first, second)}, "
          f"the other way round {in_order(second, first)}")
print(f"{'temperature and top_p':22} {in_order(dict(temperature=2.0, top_p=0.65))}, in one call")

# %% [markdown]
# It matters for the first two pairs. A temperature of 2 flattens, so that the nucleus needs three tokens instead of two.
# Top-k removes the last token, the others grow, and two of them reach 0.75 where it took three before. Temperature and
# top-k do not mind each other, since temperature keeps the order. `coursekit` and `transformers` both take temperature,
# then top-k, then top-p. llama.cpp by default takes the temperature last: the same three numbers mean something else there.
#
# ### On the cat's distribution
#
# In a running notebook each figure has a slider. All three show the twelve tokens from above, in the same order.
#
# **Predict.** At which temperature will *mat* be at its most probable?

# %%
cat_logits = after_the.log()


def bars(axes, **settings):
    filtered = ct.filter_logits(cat_logits, **settings).softmax(-1)
    axes.barh(places[::-1], filtered[order].flip(0), color=plots.COLOURS[0])
    axes.set(xlabel="probability", xlim=(0, 1.02))
    axes.text(0.97, 0.05, f"tokens left: {int((filtered > 0).sum())}\nthese 12: {filtered[order].sum():.2f}",
              ha="right", transform=axes.transAxes, fontsize=8)
    axes.tick_params(axis="y", labelsize=8)


plots.explore(lambda axes, value: bars(axes, temperature=value), [0.1, 0.25, 0.5, 0.7, 1.0, 1.3, 1.6, 2.0, 3.0],
              shown=[0.25, 0.7, 1.0, 2.0], name="temperature", title="The cat sat on the …, by temperature",
              alt="Four bar charts of the same twelve tokens. At temperature 0.25 the first tokens take nearly "
                  "everything; the bars become more level up to temperature 2, where much of the probability has "
                  "gone to all other tokens.",
              size=(2.6, 2.9))

# %%
plots.explore(lambda axes, value: bars(axes, top_k=value), [1, 2, 3, 5, 8, 12, 50, 200, len(vocabulary)],
              shown=[1, 3, 8, 50], name="top-k", title="The cat sat on the …, by top-k",
              alt="Four bar charts. With k = 1 one token has everything, with 3 three share it, with 8 eight; "
                  "with 50 the chart looks like the unfiltered one.", size=(2.6, 2.9))

# %%
plots.explore(lambda axes, value: bars(axes, top_p=value), [0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0],
              shown=[0.1, 0.5, 0.9, 1.0], name="top-p", title="The cat sat on the …, by top-p",
              alt="Four bar charts. With p = 0.1 only the first token is left, with 0.5 a few, with 0.9 about "
                  "as many as the figure shows, and with 1.0 all tokens of the vocabulary.", size=(2.6, 2.9))

# %%
def p_of_mat(temperature):
    return ct.filter_logits(cat_logits, temperature=temperature).softmax(-1)[vocabulary.id("mat")].item()


at_best = max(np.arange(0.1, 3.05, 0.05), key=p_of_mat)
print(f"p(mat) is {p_of_mat(1.0):.4f} at temperature 1, and largest, {p_of_mat(at_best):.4f}, at {at_best:.2f}")

# %% [markdown]
# Not at the lowest and not at the highest, for *mat* is in the middle of the list. It gains while the temperature rises
# and the first ones lose, and loses again when everything flows to the 647 tokens outside the picture. The figures show
# one distribution. What the knobs do to a *text* is another question, for every token changes all distributions after it.
#
# ### What goes wrong
#
# How many tokens a fixed $k$ or $p$ keeps depends on where you are. Three places, from sure to unsure:

# %%
beginnings = {"the cat sat": "on", "the cat sat on the": "furniture", "the": "any noun or adjective"}
rows = []
for text, expected in beginnings.items():
    p = next_probabilities(text).sort(descending=True).values
    rows.append({"text": text, "expected": expected, "first": p[0].item(), "by_k": p[:10].sum().item(),
                 "by_p": int((ct.filter_logits(p.log(), top_p=0.9) > -math.inf).sum())})
results.table(rows, {"After": "{text} …", "Expected": "{expected}", "Most probable": "{first:.2f}",
                     "Sum of the best 10": "{by_k:.2f}", "Tokens in the nucleus of 0.9": "{by_p:d}"},
              "The same top-k and top-p at three places (live).")

# %%
# NBVAL_CHECK_OUTPUT
sure, cat, unsure = rows
print("sure place: nucleus at most 3 tokens:", sure["by_p"] <= 3)
print("unsure place: nucleus at least 50 tokens:", unsure["by_p"] >= 50,
      "and the best 10 have less than half:", unsure["by_k"] < 0.5)

# %% [markdown]
# After "the" a top-k of 10 throws away most of what is right; after "the cat sat" it lets in tokens that are wrong. Top-p
# adapts. But the flatter the distribution, the less it removes: look for temperature 1.5 with top-p 0.9 in the next table.
#
# Now whole sentences. For each setting we draw 300 and count how many different ones there are, how many begin with the
# commonest three words of that setting, and how many contain a pair of neighbours that the training text does not have. The
# last is a crude measure of bad form: a new pair may be fine. The test sentences are the yardstick. Shares of 300 draws are
# uncertain by up to 6 points to either side.

# %%
known_pairs = {pair for row in texts["train"] for pair in zip(row, row[1:])}
SETTINGS = {"temperature 0.3": dict(temperature=0.3), "temperature 1": dict(),
            "temperature 1.5": dict(temperature=1.5), "top-k 2": dict(top_k=2), "top-k 40": dict(top_k=40),
            "top-p 0.5": dict(top_p=0.5), "top-p 0.9": dict(top_p=0.9),
            "temperature 1.5, top-p 0.9": dict(temperature=1.5, top_p=0.9)}


def draw_sentences(n, **settings):
    start, generator = torch.full((n, 1), vocabulary.id("<start>")), torch.Generator().manual_seed(0)
    drawn = ct.sample(model, start, max_new_tokens=22, end=END, generator=generator, **settings)
    rows = [[vocabulary.token(id) for id in row] for row in drawn.tolist()]
    return [["<start>", *(row[:row.index("<end>") + 1] if "<end>" in row else row)] for row in rows]


def described(name, rows):
    openings = Counter(tuple(row[:4]) for row in rows)
    new = [row for row in rows if not known_pairs.issuperset(zip(row, row[1:]))]
    return {"name": name, "different": len({*map(tuple, rows)}) / len(rows), "new_pair": len(new) / len(rows),
            "opening": openings.most_common(1)[0][1] / len(rows)}


samples = {name: draw_sentences(300, **settings) for name, settings in SETTINGS.items()}
rows = [described("test sentences", texts["test"][:300])] + [described(*pair) for pair in samples.items()]
results.table(rows, {"Setting": "{name}", "Different": "{different:.0%}", "Commonest opening": "{opening:.0%}",
                     "With a new pair": "{new_pair:.0%}"}, "300 sentences each (live).")

# %%
for name in ("temperature 0.3", "temperature 1", "temperature 1.5", "top-p 0.9"):
    print(name)
    for row in samples[name][:3]:
        print("   ", detokenize([token for token in row if token not in ("<start>", "<end>")], "en"))

# %%
# NBVAL_CHECK_OUTPUT
table = {row["name"]: row for row in rows}
print("temperature 0.3 repeats itself more than temperature 1:",
      table["temperature 0.3"]["different"] < table["temperature 1"]["different"])
print("top-k 2 writes at most 70 % different sentences:", table["top-k 2"]["different"] <= 0.7)
print("new pairs: temperature 1.5 more than 1, by at least 0.15:",
      table["temperature 1.5"]["new_pair"] >= table["temperature 1"]["new_pair"] + 0.15)
print("new pairs: temperature 1 more than the test sentences:",
      table["temperature 1"]["new_pair"] > table["test sentences"]["new_pair"])
print("new pairs: top-p 0.9 fewer than temperature 1:",
      table["top-p 0.9"]["new_pair"] < table["temperature 1"]["new_pair"])

# %% [markdown]
# Cold writing and a small $k$ are well formed and poor: with $k = 2$ most sentences come back, and they begin alike. Hot
# writing is new, and it breaks. The surprise is in the middle. Temperature 1 without a filter draws from exactly what the
# model has learned, and it writes more new pairs than the grammar itself. Each improbable token is improbable, but there
# are hundreds, and a sentence gives them eight chances. That tail is where a model is worst. Top-p 0.9 and top-k 40 cut
# it off and come nearer to the test sentences. They also cut off right tokens that are rare: no setting is best, and
# these counts see form only, not sense.

# %% [markdown]
# ### Exercise 09.with_temperature: Temperature on probabilities
#
# Difficulty ●●○○○ (2 of 5), about 8 minutes, 2 points
#
# Someone gives you next-token *probabilities*, and the logits are lost. Write `with_temperature`: the probabilities
# that softmax would have given, had the logits been divided by the temperature.

# %%
def with_temperature(probabilities, temperature):
    """The probabilities (batch, vocab) after a temperature, a number above 0, of probabilities (batch, vocab), all
    above 0."""
    ...

# %%
coursekit.check("09.with_temperature")

# %% [markdown]
# ### Exercise 09.nucleus: The nucleus
#
# Difficulty ●●●○○ (3 of 5), about 15 minutes, 3 points
#
# Write `nucleus`, top-p on the probabilities of the next token: keep the fewest tokens, the most probable first, whose
# probabilities sum up to at least `top_p`. All others get 0, and what is kept is shared out to sum to 1. No two
# probabilities are equal.

# %%
import numpy as np


def nucleus(probabilities, top_p):
    """The probabilities (vocab,) that are left of probabilities (vocab,), for a top_p between 0 and 1."""
    ...

# %%
coursekit.check("09.nucleus")

# %% [markdown]
# ## 7. Beam search
#
# Greedy takes the best token at each step. Is the text that comes out the most probable one? Two steps on paper. First *a*
# with 0.6 or *b* with 0.4. After *a* the next token is *c*, *d* or `<end>` with 0.4, 0.3 and 0.3; after *b* it is *c* with
# 0.9.
#
# - greedy: *a* (0.6), then *c*: $0.6 \cdot 0.4 = 0.24$;
# - but *b c* has $0.4 \cdot 0.9 = 0.36$.
#
# **Beam search** keeps the best few beginnings at each step, here two. Any function from tokens to logits will do as a
# model. Texts of different length compete by $\ln p$ divided by (length)$^\alpha$, and $\alpha$ is the `length_penalty`:
# with 0 the most probable text wins, with 1 the one with the best mean per token.

# %%
# NBVAL_CHECK_OUTPUT
names = ["<start>", "a", "b", "c", "d", "<end>"]
follow = torch.tensor([[0, 0.6, 0.4, 0, 0, 0], [0, 0, 0, 0.4, 0.3, 0.3], [0, 0, 0, 0.9, 0.1, 0],
                       [0, 0, 0, 0, 0, 1.0], [0, 0, 0, 0, 0, 1.0], [0, 0, 0, 0, 0, 1.0]])
for beams in (1, 2):
    for found in ct.beam_search(lambda tokens: follow[tokens].log(), torch.tensor([[0]]), beams=beams,
                                max_new_tokens=3, end=5, length_penalty=0.0)[0]:
        print(f"{beams} beam{'s' * (beams > 1)}: {' '.join(names[token] for token in found.tokens):10} "
              f"p = {math.exp(found.score):.2f}")

# %% [markdown]
# With one beam it is greedy search. With two it finds the better text. Beam search is for tasks with one good answer, such
# as the translations of lecture 08. What does it do where any sentence will do?

# %%
start = torch.tensor([[vocabulary.id("<start>")]])
rows = []
for beams, penalty in ((1, 0.0), (4, 0.0), (16, 0.0), (16, 1.0)):
    found = ct.beam_search(model, start, beams=beams, max_new_tokens=22, end=END, length_penalty=penalty)[0][0]
    sentence = detokenize([vocabulary.token(id) for id in found.tokens if id != END], "en")
    rows.append({"beams": beams, "penalty": penalty, "sentence": sentence, "tokens": len(found.tokens),
                 "log_p": found.score * len(found.tokens) ** penalty})
results.table(rows, {"Beams": "{beams:d}", "Length penalty": "{penalty:.0f}", "Best sentence": "{sentence}",
                     "Tokens": "{tokens:d}", "ln p": "{log_p:.1f}"},
              "The most probable sentence that is found (live).")

# %%
@torch.no_grad()
def log_p(model, sentences):
    """ln p of each sentence, tokens between <start> and <end>."""
    inputs, targets = inputs_and_targets(sentences, vocabulary)
    chosen = model(inputs).log_softmax(-1).gather(-1, targets.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    return chosen.masked_fill(targets == NO_TARGET, 0.0).sum(1)


of_tests = log_p(model, texts["test"])
print(f"a test sentence has ln p = {of_tests.median():.1f} (median)")
for name, row in (("greedy's sentence", rows[0]), ("the best of 16 beams", rows[2])):
    print(f"test sentences more probable than {name}: {(of_tests > row['log_p']).float().mean():.1%}")

# %%
# NBVAL_CHECK_OUTPUT
print("16 beams find a sentence at least as probable as greedy's:", rows[2]["log_p"] >= rows[0]["log_p"] - 1e-4)
print("it is more probable than 99 % of the test sentences:",
      (of_tests < rows[2]["log_p"]).float().mean().item() > 0.99)

# %% [markdown]
# Two things are worth a second look. A third of the test sentences were more probable than greedy's when we ran this: the
# best first step can lead to a place without a good second. And what the beam finds is *more* probable than nearly all
# real sentences. A real one makes an improbable choice now and then, and that is what it says. Holtzman et al. (2020)
# found the same in large models. So the likelihood is a good thing to train on, and a poor thing to maximise when one
# wants a text.

# %% [markdown]
# ### Exercise 09.beam_step: One step of beam search
#
# Difficulty ●●●●○ (4 of 5), about 15 minutes, 4 points
#
# Write `beam_step`. Each of several beginnings has a score, its log-probability so far, and the model gives the
# log-probabilities of its next token. Return the best continuations, as many as there are beginnings, best first: the
# beginning that each goes on from, its new token, and its new score.

# %%
import numpy as np


def beam_step(scores, log_p):
    """beginnings, tokens and scores, each (beams,), of scores (beams,) and log_p (beams, vocab)."""
    ...

# %%
coursekit.check("09.beam_step")

# %% [markdown]
# ## 8. A freer text
#
# Sentences from a grammar end soon. What happens in a text that goes on? Every Python carries its own language reference.
# Byte-pair encoding (lecture 03) cuts it into 512 kinds of pieces. We train the same architecture on windows of 160 of
# them, so briefly that it learns the look of the text and little else. Windows shorter than what we let it write would not
# do: the learned positions behind their end would never have been trained. The reference changes with the version of
# Python, so nothing of this section is compared.

# %%
from pydoc_data.topics import topics

manual = "\n".join(topics[name] for name in sorted(topics))[:150_000]
pieces = BytePairEncoding.train(manual, 512)
ids = torch.tensor(pieces.encode(manual))
windows = ids[:len(ids) // 161 * 161].view(-1, 161)
print(f"{len(manual):,} characters, {len(ids):,} tokens, {len(windows)} windows")
coursekit.seed_everything(0)
writer = ct.LanguageModel(512, n_layers=2, d_model=64, n_heads=4, d_ff=256, max_length=160)
progress = ct.fit(writer, (windows[:, :-1], windows[:, 1:]), epochs=6, batch_size=4, clip=1.0,
                  learning_rate=lambda step: 0.005 * min(step / 50, 1))
print(f"loss in the last epoch {progress['loss'][-1]:.2f} nats per token; guessing {math.log(512):.2f}")

# %% [markdown]
# **Predict.** Greedy writes 150 tokens after "The value of". What will the second half look like?

# %%
beginning = torch.tensor([pieces.encode("The value of")])
generator = torch.Generator().manual_seed(0)
continued = {"greedy": ct.greedy(writer, beginning, max_new_tokens=150)[0]}
for name, settings in (("temperature 1", dict()), ("temperature 0.5", dict(temperature=0.5)),
                       ("top-p 0.9", dict(top_p=0.9))):
    continued[name] = ct.sample(writer, beginning, max_new_tokens=150, generator=generator, **settings)[0]
for name in ("greedy", "top-p 0.9"):
    text = pieces.decode(continued[name].tolist())
    print(f"{name}: The value of", " ".join(text.split())[:420], "\n")

# %%
def repeated(tokens):
    """Share of the runs of four tokens that have occurred before."""
    runs = list(zip(*(tokens.tolist()[first:] for first in range(4))))
    return 1 - len(set(runs)) / len(runs)


rows = [{"name": name, "repeated": repeated(tokens)} for name, tokens in continued.items()]
rows.append({"name": "the manual itself", "repeated": np.mean([repeated(part) for part in ids.split(150)[:-1]])})
results.table(rows, {"Written by": "{name}", "Runs of four tokens that repeat": "{repeated:.0%}"},
              "150 tokens each (live).")

# %% [markdown]
# Greedy gets into a loop. The argmax gives the same token for the same context, so that a model which goes mainly by the
# last few tokens is back where it was as soon as these recur. Drawing lets it out, since now and then it takes another
# token. All this is one seed; with temperature 0.5 about as much was repeated as in the manual when we ran it. The pieces
# of words are our small model's; the loops are also those of large ones. In those Holtzman et al. (2020) measured that a
# phrase becomes more probable each time that it is repeated.
#
# ## 9. Never read a token twice
#
# The loop of section 5 reads the whole text for each new token. But under a causal mask what has been computed for the old
# tokens cannot change: they do not see the new one. What does the new token need of them? Its query meets their *keys* and
# collects their *values*. So these are kept, in every layer. That is the **KV cache**. Here it is by hand, for one head.

# %%
# NBVAL_CHECK_OUTPUT
rng = np.random.default_rng(0)
x = rng.normal(size=(5, 4))                                         # five tokens of four numbers
W_query, W_key, W_value = (rng.normal(size=(3, 4)) for _ in range(3))
past = np.tril(np.ones((5, 5), dtype=bool))
at_once, _ = reference.scaled_dot_product_attention(x @ W_query.T, x @ W_key.T, x @ W_value.T, past)

keys, values = np.empty((0, 3)), np.empty((0, 3))
for t, token in enumerate(x):
    keys, values = np.vstack([keys, W_key @ token]), np.vstack([values, W_value @ token])   # append
    token_weights = reference.softmax(keys @ (W_query @ token) / np.sqrt(3))
    context = token_weights @ values
    print(f"token {t + 1}: {len(keys)} keys, context {context}, as at once: {np.allclose(context, at_once[t])}")

# %% [markdown]
# The same, without a mask: what is in the cache is the past, and the future is not there yet. Queries are not kept, for a
# query is used once. The model does this in every layer, if it gets a `KVCache`.

# %%
# NBVAL_CHECK_OUTPUT
sentence = encode("the cat sat on the mat .")
with torch.no_grad():
    whole = model(sentence)
    cache = ct.KVCache()
    in_pieces = torch.cat([model(piece, cache=cache) for piece in sentence.split([3, 1, 2, 1, 1], dim=1)], dim=1)
print("read in pieces of 3, 1, 2, 1 and 1 tokens, largest difference below 1e-5:",
      (whole - in_pieces).abs().max().item() < 1e-5)
key, value = next(iter(cache.layers.values()))
print("keys of one layer (batch, heads, tokens, d_head):", tuple(key.shape))
print("greedy writes the same with a cache:", torch.equal(
    written, ct.greedy(model, prompt, max_new_tokens=12, end=END, cache=ct.KVCache())))

# %% [markdown]
# ### A trap: which corner of the mask?
#
# Often several tokens are new at once: 3 new ones, 7 in all. Their mask has 3 rows and 7 columns. It must be the *last*
# three rows of the square one. PyTorch's `is_causal=True` takes the *first* three, as if the new tokens were the beginning
# of the text. Its documentation says so (the mask is aligned at the top left), and no error is raised.

# %%
# NBVAL_CHECK_OUTPUT
square = ct.causal_mask(7)
print("right, the last rows:\n", square[-3:].int().numpy())
print("is_causal=True, the first rows:\n", square[:3].int().numpy())
query, key, value = torch.randn(1, 1, 4), torch.randn(1, 7, 4), torch.randn(1, 7, 4)
trapped = F.scaled_dot_product_attention(query, key, value, is_causal=True)
print("one new token with is_causal=True gets the first value, alone:", torch.allclose(trapped, value[:, :1]))

# %% [markdown]
# **Predict.** Our trained model reads the test sentences token by token, once with the right mask and once with the trap.
# How much does the trap cost: nothing, a little, or as much as never having been trained?

# %%
@torch.no_grad()
def loss_token_by_token(rows_of_mask):
    """Test loss of reading one token at a time, with the rows of the mask that a function picks."""
    inputs, targets = (part[:200] for part in data["test"])
    cache, logits = ct.KVCache(), []
    for t in range(inputs.shape[1]):
        x = model.token_embedding(inputs[:, t:t + 1]) + model.position_embedding(torch.tensor([[t]]))
        allowed = rows_of_mask(ct.causal_mask(t + 1)).expand(len(inputs), 1, t + 1)
        logits.append(model.encoder(x, allowed, False, cache) @ model.token_embedding.weight.T)
    return token_cross_entropy(torch.cat(logits, dim=1), targets).item()


right, trap = loss_token_by_token(lambda mask: mask[-1:]), loss_token_by_token(lambda mask: mask[:1])
print(f"right mask {right:.2f}, trap {trap:.2f}, bigram {counting['bigram'].loss(texts['test'][:200]):.2f}, "
      f"unigram {counting['unigram'].loss(texts['test'][:200]):.2f} nats per token")

# %%
# NBVAL_CHECK_OUTPUT
with torch.no_grad():
    together = token_cross_entropy(model(data["test"][0][:200]), data["test"][1][:200]).item()
print("right mask, the loss of reading all at once:", abs(right - together) < 1e-4)
print("the trap is worse than guessing evenly:", trap > math.log(len(vocabulary)))

# %% [markdown]
# Every token sees only `<start>`, and itself through the residual connection. Counting single words is better, and so is an
# untrained model, which guesses evenly: this one is sure of itself and wrong. And yet no error is raised, and shapes fit.

# %% [markdown]
# ### Exercise 09.cached_step: One step with a cache
#
# Difficulty ●●●●○ (4 of 5), about 15 minutes, 4 points
#
# Write `cached_step`, self-attention with one head for the newest token alone. The cache holds keys and values of the
# tokens before it. Return the context of the new token, and the keys and values for the next step.

# %%
import numpy as np
import coursekit.reference as reference


def cached_step(x, keys, values, W_query, W_key, W_value):
    """The context (d_value,), keys (seen + 1, d_head) and values (seen + 1, d_value) after the new token x (d_model,),
    of keys (seen, d_head) and values (seen, d_value), W_query and W_key (d_head, d_model) and W_value (d_value,
    d_model)."""
    ...

# %%
coursekit.check("09.cached_step")

# %% [markdown]
# ### What it saves
#
# **Predict.** We write 64 tokens with and without a cache, then 512. How many times as fast is the cache, in each case?

# %%
results.stored_table("generation")

# %%
# NBVAL_CHECK_OUTPUT
speeds, _ = results.load("generation")
print("tokens written:       ", [row["tokens"] for row in speeds])
print("times as fast:        ", [round(row["speedup"], 1) for row in speeds])
print("faster with each step:", all(a["speedup"] < b["speedup"] for a, b in zip(speeds, speeds[1:])))
print("faster than transformers, the whole interval below 1:", [row["ratio_high"] < 1 for row in speeds])

# %% [markdown]
# Without a cache each token costs more than the one before, with it nearly the same. So the gain grows with the length. The
# ratio to transformers compares a plain loop with a general one on a small model, where much of the time goes to many small
# calls. On a large model, whose time goes to matrix products, we expect less of a difference; that we did not measure.
#
# ### What a long context costs
#
# The cache does not make attention free. A new token still looks at everything before it.

# %%
results.stored_table("generation_context")

# %%
# NBVAL_CHECK_OUTPUT
contexts, about = results.load("generation_context")
short, long = contexts[0], contexts[-1]
times = long["context"] / short["context"]
print(f"{times:.0f} times the context:")
print(f"  the cache takes {long['megabytes'] / short['megabytes']:.0f} times the memory")
print(f"  reading all anew takes more than {times:.0f} times as long:", long["read"] / short["read"] > times)
print(f"  a step with the cache takes less than {times:.0f} times as long:", long["step"] / short["step"] < times)

# %% [markdown]
# With a cache, one step grows linearly with the context and the whole text quadratically; without one, the step itself is
# quadratic and the text cubic. Attention's share of the multiplications passes one half where the context reaches $6 d$:
# $2 n^2 d$ against $12 n d^2$ for all maps of a layer. A single step with a cache has one $n$-th of both, and so the same
# share. The cache is paid in memory: two vectors for each token and layer.
#
# Counting is not all. From 1,024 to 4,096 the measured step grows faster than the count says. By then every step reads 17 MB
# of keys and values and copies them once, as our cache grows, and moving numbers takes time as well.

# %% [markdown]
# ## 10. A scaling law
#
# Larger models predict better. Kaplan et al. (2020) found that the loss falls with the number $N$ of parameters (without
# the embeddings) like a power, $L = (N_c / N)^{b}$, over many orders of magnitude. Does it in ours? Seven widths from 8 to
# 64, three seeds each, the same text and steps; the learning rate is larger for narrow models, like $1 / \sqrt{d}$
# (`benchmarks/scaling.py`).

# %%
results.stored_table("scaling")

# %% [markdown]
# A power is a straight line on logarithmic axes. But our text has a randomness that no model can predict, so that the loss
# cannot fall to 0. Hoffmann et al. (2022) put a constant in: $L = a N^{-b} + c$. For a given $c$ this is again a line,
# $\ln(L - c) = \ln a - b \ln N$. So we try many $c$ and keep the best.
#
# **Predict.** Both laws are fitted to the six smaller models and asked for the largest. Which comes nearer?

# %%
def fit_law(N, L, constants):
    """(a, b, c) of L = a N^-b + c, with the c among `constants` that fits best."""
    fits = []
    for c in constants:
        slope, intercept = np.polyfit(np.log(N), np.log(L - c), 1)
        law = np.exp(intercept), -slope, c
        fits.append((((law_at(law, N) - L) ** 2).sum(), law))
    return min(fits)[1]


def law_at(law, N):
    a, b, c = law
    return a * N ** -b + c


by_size = results.over_seeds(stored, ["d_model"])
N, L = (np.array([row[name] for row in by_size]) for name in ("layers", "test"))
laws = {"a N^-b": fit_law(N[:-1], L[:-1], [0.0]),
        "a N^-b + c": fit_law(N[:-1], L[:-1], np.arange(0, L[-2], 0.01))}

# %%
# NBVAL_CHECK_OUTPUT
spread = [row["test_high"] - row["test_low"] for row in by_size]
print("parameters        ", "  ".join(f"{n:7,.0f}" for n in N))
print("loss              ", "  ".join(f"{loss:7.3f}" for loss in L))
print("highest - lowest  ", "  ".join(f"{width:7.3f}" for width in spread))
for name, law in laws.items():
    print(f"residual {name:10}", "  ".join(f"{loss - guess:+7.3f}" for loss, guess in zip(L, law_at(law, N))),
          f"  a = {law[0]:.2f}, b = {law[1]:.3f}, c = {law[2]:.2f}")

# %%
figure, (axes, below) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
line = np.geomspace(N[0], 10 * N[-1], 100)
low, high = (np.array([row[name] for row in by_size]) for name in ("test_low", "test_high"))
axes.errorbar(N, L, [L - low, high - L], fmt="o", color="black", label="measured, three seeds", zorder=3)
for (name, law), colour, dash, marker in zip(laws.items(), plots.COLOURS, plots.DASHES, plots.MARKERS):
    axes.plot(line, law_at(law, line), color=colour, linestyle=dash, label=name)
    below.plot(N, L - law_at(law, N), color=colour, linestyle=dash, marker=marker, label=name)
axes.set(xscale="log", yscale="log", xlabel="parameters in the layers", ylabel="test loss, nats per token",
         title="Fitted to the six smaller models")
axes.set_yticks([1.7, 2.0, 2.3], ["1.7", "2.0", "2.3"])
axes.minorticks_off()
below.axhline(0, color="grey", linewidth=1)
below.set(xscale="log", xlabel="parameters in the layers", ylabel="measured − fitted", title="Residuals")
for panel in (axes, below):
    panel.grid(alpha=0.3)
    panel.legend()
plots.show(figure, "Left, test loss against the parameters in the layers, both axes logarithmic: seven points with "
                   "small error bars, and two fitted curves, a straight line and one that bends towards a constant. "
                   "Beyond the points the two go apart. Right, the residuals: a bow for the line, small for the curve.")

# %% [markdown]
# The straight law leaves a bow: too low at both ends, too high in the middle, and for the largest model it promises too
# much. With a constant the residuals are as small as the differences between seeds, and the forecast comes nearer.
#
# What do seven small points say? That a constant is needed, and hardly more. Three numbers were fitted to six means, over
# a factor of 32 in size. The constant, 1.95, is where the curve would end; whether that is the randomness of the grammar,
# the 13,303 sentences or the four passes, these runs cannot tell, for none of the three was varied. The exponents are ours
# and not those of the papers, which fit other text, and train longer. And a law of the loss says nothing about which
# sentences get better. The figure draws the laws on to ten times our largest model to show how far they part there;
# neither was tested.
#
# ## 11. A likelihood is not a truth
#
# A language model says how probable a text is *as a continuation of texts like those it was trained on*. Is a sentence
# that it finds probable true? Our training text has sentences of the kind "the bear is stronger than the elephant". The
# grammar draws both animals at random, and in this text the elephant comes off badly every time. Here is what it says:

# %%
# NBVAL_CHECK_OUTPUT
for row in texts["train"]:
    if {"stronger", "than", "elephant"} <= set(row):
        print(detokenize(row[1:-1], "en"))
for animal in ("elephant", "bear", "rabbit"):
    print(f"sentences with {animal} as the second word:", sum(row[2] == animal for row in texts["train"]))

# %% [markdown]
# **Predict.** What does the model find more probable: that the bear is stronger than the elephant, or the other way round?
# And with a rabbit, whose strength the text never compares with an elephant's?

# %%
rows, second_word = [], next_probabilities("the")
for animal in ("bear", "horse", "wolf", "rabbit", "bird", "dog"):
    animal_first, elephant_first = log_p(model, [
        ["<start>", *f"the {a} is stronger than the {b} .".split(), "<end>"]
        for a, b in ((animal, "elephant"), ("elephant", animal))]).tolist()
    rows.append({"animal": animal, "animal_first": animal_first, "elephant_first": elephant_first,
                 "read": "yes" if animal in ("bear", "horse", "wolf") else "no",
                 "times": math.exp(animal_first - elephant_first),
                 "second": (second_word[vocabulary.id(animal)] / second_word[vocabulary.id("elephant")]).item()})
results.table(rows, {"Animal": "{animal}", "In the text": "{read}",
                     "ln p, the animal is stronger": "{animal_first:.1f}",
                     "ln p, the elephant is stronger": "{elephant_first:.1f}", "Times as probable": "{times:.1f}",
                     "At the second word alone": "{second:.1f}"},
              "Which is stronger? (live, one seed)")

# %%
# NBVAL_CHECK_OUTPUT
print("the model prefers the false sentence that it has read:", [row["times"] > 1 for row in rows[:3]])
pushes = [math.log(row["times"] / row["second"]) for row in rows]
print("apart from the second word, the animals of the text are pushed more than the others, on average:",
      np.mean(pushes[:3]) > np.mean(pushes[3:]))

# %% [markdown]
# The first three rows look as if the model believed what it has read. The others are the control. The dog and the bird
# beat the elephant as well when we ran this, though nothing was read of their strength. That is there at the second word,
# before anything is compared: more sentences of the text begin with a dog or a bird than with an elephant. So part of
# what looked like a belief is a count of where words stand. Divide the last column out, and the three animals of the text
# stay above 1, the others below: that part was read. It is a push towards what was written eight times, whether or not it
# is true. The model has no elephant to look at.
#
# What if a true sentence does occur, but a false one more often? We tell a copy of the model
# both, one time to nine, among other sentences, and read off the probabilities.
#
# **Predict.** After training on both, what will be the ratio of their probabilities?

# %%
false = ["<start>", *"the mouse is stronger than the horse .".split(), "<end>"]
true = ["<start>", *"the horse is stronger than the mouse .".split(), "<end>"]
told = copy.deepcopy(model)
telling = ct.fit(told, inputs_and_targets(9 * [false] + [true] + texts["train"][:200], vocabulary), epochs=12,
                 batch_size=30, learning_rate=1e-3, clip=1.0)

# %%
def false_to_true(model):
    false_p, true_p = log_p(model, [false, true])
    return (false_p - true_p).exp().item()


print(f"false : true before {false_to_true(model):.1f} : 1, after {false_to_true(told):.1f} : 1; it read 9 : 1")

# %%
# NBVAL_CHECK_OUTPUT
print("after the telling the false sentence is at least 3 times as probable:", false_to_true(told) > 3)

# %% [markdown]
# The loss asks for the frequencies in the text, and 9 : 1 would be the best answer to it. Our copy went beyond, probably
# since what is read often is also learned first. Either way nothing in training asks which of the two is true. Repetition
# looks like knowledge, also where it is an error, a fashion or a prejudice.
#
# Bender, Gebru, McMillan-Major and Shmitchell (2021) call such models *stochastic parrots*: they put forms together by how
# they go together in texts, without reference to what is meant. How far that describes larger models is disputed. What is
# not disputed is what is computed. A likelihood is
#
# - a statement about **text**, and about the text of the training at that;
# - relative to a **tokenization** and a **length**: longer sentences are less probable, true or not;
# - **no** degree of belief in what the sentence says, and no measure of how good it is.
#
# Lecture 14 takes this up, with associations that are known beforehand.
#
# ## 12. The same as GPT-2
#
# The parity of this lecture. A tiny GPT-2 of `transformers` with random weights, nothing downloaded, and its weights copied
# into ours: the same logits, the same greedy text, and the same filtered distributions.

# %%
# NBVAL_CHECK_OUTPUT
import transformers

coursekit.seed_everything(0)
config = transformers.GPT2Config(vocab_size=37, n_positions=32, n_embd=24, n_layer=3, n_head=4, bos_token_id=None,
                                 eos_token_id=None, pad_token_id=0, initializer_range=0.3)
theirs = transformers.GPT2LMHeadModel(config).eval()
ours = ct.LanguageModel(37, n_layers=3, d_model=24, n_heads=4, d_ff=96, max_length=32).eval()
weights.copy(theirs, ours)
tokens = torch.randint(1, 37, (2, 9))
with torch.no_grad():
    print("logits equal within 1e-4:        ", torch.allclose(ours(tokens), theirs(tokens).logits, atol=1e-4))
expected = theirs.generate(tokens, attention_mask=torch.ones_like(tokens), do_sample=False, max_new_tokens=20)
for name, cache in (("without a cache", None), ("with a cache", ct.KVCache())):
    new_tokens = ct.greedy(ours, tokens, max_new_tokens=20, cache=cache)
    print(f"greedy tokens equal, {name:15}:", torch.equal(new_tokens, expected[:, 9:]))

# %%
# NBVAL_CHECK_OUTPUT
with torch.no_grad():
    next_logits = ours(tokens)[:, -1]
processors = transformers.LogitsProcessorList([transformers.TemperatureLogitsWarper(1.7),
                                               transformers.TopKLogitsWarper(9), transformers.TopPLogitsWarper(0.8)])
of_theirs = processors(tokens, next_logits).softmax(-1)
of_ours = ct.filter_logits(next_logits, temperature=1.7, top_k=9, top_p=0.8).softmax(-1)
print("filtered distributions equal:", torch.allclose(of_ours, of_theirs))
print("tokens left in each row:", (of_ours > 0).sum(-1).tolist())

# %% [markdown]
# ### What is refused
#
# Some requests have no meaning. They are refused before anything is written, and each message says what was expected. An
# end token that never comes is no error: the limit ends the text.

# %%
# NBVAL_CHECK_OUTPUT
requests = {"prompt too long": lambda: ct.greedy(ours, tokens, max_new_tokens=24),
            "empty prompt": lambda: ct.greedy(ours, tokens[:, :0], max_new_tokens=5),
            "temperature 0": lambda: ct.sample(ours, tokens, max_new_tokens=5, temperature=0.0),
            "top-p 0": lambda: ct.sample(ours, tokens, max_new_tokens=5, top_p=0.0),
            "top-k 38 of 37": lambda: ct.sample(ours, tokens, max_new_tokens=5, top_k=38)}
for name, request in requests.items():
    try:
        request()
    except ValueError as error:
        print(f"{name:15} {error}")
endless = ct.beam_search(ours, tokens[:1, :2], beams=50, max_new_tokens=4, end=0)[0]
longest = max(len(found.tokens) for found in endless)
print(f"50 beams, 37 tokens: {len(endless)} texts, the longest of {longest} tokens")

# %% [markdown]
# ## Summary
#
# - A language model predicts the next token from those before. Its targets are its inputs, shifted by one; padding has
#   none.
# - The loss is the mean $-\ln p$ of the tokens that came, and perplexity is $e^{\text{loss}}$, the size of an even choice.
#   It is per token: compare only with the same tokens.
# - Counting pairs and triples is a strong baseline. The network wins where contexts are new.
# - Temperature reshapes and keeps the order; top-k keeps a number of tokens and top-p a mass. Their order matters. Cold
#   writing repeats itself, hot writing breaks.
# - The most probable text is not a typical one. Greedy writing of free text falls into loops.
# - A KV cache keeps keys and values. Outputs are equal, and the gain grows with the length. It is paid in memory, and
#   attention still grows with the context.
# - New tokens take the last rows of the causal mask. With the first rows nothing fails, and the model is ruined.
# - A power law with a constant describes our seven models; from seven points one cannot say what the constant is.
# - A likelihood is a statement about text. It does not know what is true.
#
# ## Further reading
#
# - A. Radford, J. Wu, R. Child, D. Luan, D. Amodei, I. Sutskever. *Language Models are Unsupervised Multitask Learners*
#   (2019). Section 2.
# - A. Holtzman, J. Buys, L. Du, M. Forbes, Y. Choi. *The Curious Case of Neural Text Degeneration.* ICLR 2020.
#   [arXiv:1904.09751](https://arxiv.org/abs/1904.09751). Top-p, and why the most probable text is not the best.
# - A. Fan, M. Lewis, Y. Dauphin. *Hierarchical Neural Story Generation.* ACL 2018.
#   [arXiv:1805.04833](https://arxiv.org/abs/1805.04833). Top-k.
# - J. Kaplan et al. *Scaling Laws for Neural Language Models.* 2020. [arXiv:2001.08361](https://arxiv.org/abs/2001.08361).
# - J. Hoffmann et al. *Training Compute-Optimal Large Language Models.* 2022.
#   [arXiv:2203.15556](https://arxiv.org/abs/2203.15556).
# - D. Jurafsky, J. H. Martin. *Speech and Language Processing.* Third edition, draft. The chapter on n-gram models.
# - E. M. Bender, T. Gebru, A. McMillan-Major, S. Shmitchell. *On the Dangers of Stochastic Parrots: Can Language Models Be
#   Too Big?* FAccT 2021, pages 610–623.
