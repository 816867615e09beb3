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
# # 14 · What have language models learned?
#
# [![Open in Colab](attachment:open_in_colab.png)](https://colab.research.google.com/github/coursekit/coursekit/blob/main/notebooks/14_what_language_models_learned.ipynb)
#
# *In Texas, they like to buy …* A masked language model puts a probability on every word that could stand there. It is
# tempting to read such numbers as knowledge: of Texas, of women and men, of the year 1908. How much of that is allowed?
#
# With a model of the whole internet nobody can check, since nobody knows what stood in its text. So we ask the small
# BERT of lecture 10. Its text comes from a grammar of ours in which every association was planted. What the model
# learned can be laid beside what was there. Then we ask a model of real text the same questions, and know better what
# the answers are worth.
#
# **You will be able to**
#
# - read likelihoods and differences of likelihoods at a gap, and take the prior of a word off;
# - score a whole sentence, and a word of several tokens, and say why the two scores do not compare;
# - put an interval around a difference, and say over what it is an interval;
# - run a null control, and a test for many words at once;
# - move an association by changing the text, and count what that costs;
# - say in one sentence what such a measurement shows, and what it does not.
#
# **Time** about 110 minutes of reading and trying; less than one minute of computing on two CPU cores. No GPU is
# needed.
#
# **You need** lecture 10 (masked words, the pretrained model) and the end of lecture 09 (likelihood).
#
# **Exercises** stand at the ends of sections. Put your answer in place of `...`, run the cell and the one below it:
# `coursekit.check` says whether it is right, and if not, which mistake it is. `coursekit.hint("14.association")` and
# `coursekit.solution("14.association")` help on, `coursekit.progress()` shows what you have done. No other cell needs
# your answers.

# %%
try:
    import coursekit
except ImportError:  # a fresh Colab: whatever it has (numpy, torch, tensorflow) stays as it is
    # %pip install --quiet --no-deps git+https://github.com/coursekit/coursekit
    import coursekit

coursekit.start(seed=0, threads=1)

# %%
import itertools
import re

import matplotlib.pyplot as plt
import numpy as np
import torch

from coursekit import plots, pretrained, results
from coursekit import torch as ct
from coursekit.datasets import data_folder
from coursekit.datasets.associations import (GRAMMAR, NAMES, OCCUPATIONS, PLACES, PURCHASES, YEARS,
                                             associations, truth)
from coursekit.text import WordPiece
from coursekit.torch.pretraining import pretraining_examples, pretraining_loss
from coursekit.torch.probing import FillMask

np.set_printoptions(precision=3, suppress=True, floatmode="fixed")

# %% [markdown]
# ## 1. One gap
#
# The model is the one that lecture 10 stored. `FillMask` puts it to work: sentences with `[MASK]` go in, the logarithm
# of the probability of every word of the vocabulary comes out.

# %%
fill = FillMask.from_pretrained(data_folder() / "pretrained_small")
coursekit.show_source(FillMask.log_probabilities)

# %% [markdown]
# **Predict.** The text had six places and, for each, four to six things that are bought there. What will be on top for
# Texas? And how much of the probability will be left for the words that make no sense there, such as *the* or *she*?

# %%
def top(fill, sentence, n=6):
    """The n most probable words at the gap, with their probabilities."""
    log_p = fill.log_probabilities([sentence])[0]
    best = np.argsort(-log_p)[:n]
    return {fill.tokenizer.vocabulary.token(id): np.exp(log_p[id]) for id in best}


for place in ("Texas", "New York"):
    found = top(fill, f"In {place}, they like to buy [MASK].")
    print(f"{place:9}", ", ".join(f"{word} {p:.2f}" for word, p in found.items()))

# %% [markdown]
# The list looks sensible. That is the first thing to be careful about: a list always looks like something, and we know
# Texas from elsewhere. Here we can do better than to find it plausible.
#
# ## 2. What was there
#
# The grammar draws what is bought from a table, `PURCHASES`, and `truth` says how probable each word is in the text,
# given all that the sentence shows. No model can predict better than that on average.

# %%
# NBVAL_CHECK_OUTPUT
for place in ("Texas", "New York"):
    there = truth(f"In {place}, they like to buy [MASK].")
    print(f"{place:9}", ", ".join(f"{word} {p:.2f}" for word, p in there.items()))

# %% [markdown]
# How far is one distribution from another? The **Kullback-Leibler divergence** is what it costs, in nats per word, to
# predict with $q$ where the text follows $p$:
#
# $$\text{KL}(p \parallel q) = \sum_w p(w) \ln \frac{p(w)}{q(w)} .$$
#
# By hand: the text has two words with 0.5 each, the model says 0.8 and 0.2. Then $0.5 \ln(0.5/0.8) + 0.5 \ln(0.5/0.2) =
# -0.235 + 0.458 = 0.223$.
#
# **Predict.** And the other way round, the text 0.8 and 0.2, the model 0.5 and 0.5: the same, or not?

# %%
# NBVAL_CHECK_OUTPUT
def kl(p, q):
    """KL(p ‖ q) in nats along the last axis, with 0 · ln 0 = 0."""
    return (p * np.log(np.where(p > 0, p, 1) / np.where(p > 0, q, 1))).sum(-1)


print(f"{kl(np.array([0.5, 0.5]), np.array([0.8, 0.2])):.3f}")
print(f"{kl(np.array([0.8, 0.2]), np.array([0.5, 0.5])):.3f}")

# %% [markdown]
# Not the same: it is no distance. The first argument is what is there, the second what is said about it. It is 0 only
# if the two are equal. Where the model says 0 and the text does not, it is infinite.
#
# Now all six places at once, in the two sentences of the grammar that ask for a purchase. The figure has one point for
# each place and thing. On the line the model says what was planted.

# %%
GOODS = sorted({good for table in PURCHASES.values() for good in table})
BUY = ("In {}, they like to buy [MASK].", "Shops in {} sell [MASK].")
planted = np.array([[PURCHASES[place].get(good, 0) / 100 for good in GOODS] for place in PLACES])
learned = np.exp([fill.log_probabilities([template.format(place) for place in PLACES], GOODS)
                  for template in BUY])
print("learned (templates, places, goods):", learned.shape)

# %%
# NBVAL_CHECK_OUTPUT
for number, place in enumerate(PLACES):  # what `truth` says of both sentences is the table
    for template in BUY:
        said = truth(template.format(place))
        assert np.allclose(planted[number], [said.get(good, 0) for good in GOODS])
print("the same truth for both templates:", True)
print("order of the two best at each place:",
      [[GOODS[i] for i in np.argsort(-row)[:2]] == [GOODS[i] for i in np.argsort(-found)[:2]]
       for row, found in zip(planted, learned.mean(0))])

# %%
figure, axes = plt.subplots(figsize=(5.6, 4.6), layout="constrained")
for place, row, found, colour, marker in zip(PLACES, planted, learned.mean(0), plots.COLOURS, plots.MARKERS):
    axes.scatter(row, found, color=colour, marker=marker, label=place, alpha=0.8)
axes.plot([0, 0.5], [0, 0.5], color="grey", linewidth=1)
axes.set(xlabel="planted probability", ylabel="learned probability (mean of two templates)",
         title="What is bought where")
axes.legend()
axes.grid(alpha=0.3)
plots.show(figure, "Scatter plot of learned against planted probabilities, one point for each of six places and "
                   "each thing. The points follow the diagonal; those planted at 0 lie at 0.")

# %% [markdown]
# How good is that? A table needs something to compare with. *No context* says the same for every place: the mean of
# all. *Counts* counts the training text, both sentences together, as somebody would do who knows the grammar. Beside
# the KL stand how many pairs of words the prediction puts in the right order, and a **slope**: how strongly the context
# moves the logarithms, compared with how strongly it should. 1 is right, 0 is not at all, less than 1 is shrunk, more
# is exaggerated.

# %%
results.stored_table("associations")

# %%
# NBVAL_CHECK_OUTPUT
rows, _ = results.load("associations")
summary = {(row["question"], row["by"]): row for row in results.over_seeds(rows, ["question", "by"])}
for question in dict.fromkeys(row["question"] for row in rows):
    ours, counts, none = (summary[question, by] for by in ("our BERT", "counts", "no context"))
    print(f"{question}: {1 - ours['kl'] / none['kl']:.0%} of the way from no context to the truth")
    print(f"   slopes {ours['slope_low']:.2f} to {ours['slope_high']:.2f}; "
          f"counting is nearer: {counts['kl'] < ours['kl_low']}")
print("this model, place → purchase: KL below 0.1:",
      np.mean([kl(planted, found).mean() for found in learned]) < 0.1)

# %% [markdown]
# Most of the way, and in nearly the right order. For places the slopes lie on both sides of 1; for year and pronoun
# they lie below 1 in all three seeds: what was there is learned a little *shrunk*, and nothing is exaggerated on the
# whole. And counting is better by far. That should not surprise: whoever counts was told which word of which sentence
# matters, and the network had to find out from masked words alone. What it can do for that: it also answers sentences
# that nobody can count, because they never stood there (section 6 shows how well).
#
# ## 3. Likelihoods and differences
#
# The slides that this course grew from show two kinds of picture for two sentences that differ in one word: the
# **likelihoods**, each word at its probability in the first sentence and in the second, and the **differences**, words
# sorted by how much more probable the one makes them. They come from an interactive essay by Adam Pearce (2021), who
# asked a BERT that was trained on books and Wikipedia. Here are both, of our model.

# %%
def likelihoods(fill, first, second, named, title, alt):
    """Every word of the vocabulary at its probability in the first sentence and in the second."""
    a, b = fill.log_probabilities([first, second]) / np.log(10)
    figure, axes = plt.subplots(figsize=(6.6, 5), layout="constrained")
    axes.scatter(a, b, s=8, color=plots.COLOURS[6], alpha=0.35)
    low = min(a.min(), b.min())
    axes.plot([low, 0], [low, 0], color="grey", linewidth=1)
    for word in named:
        id = fill.tokenizer.vocabulary.id(word)
        axes.scatter(a[id], b[id], s=22, color=plots.COLOURS[1])
        axes.annotate(word, (a[id], b[id]), xytext=(4, 3), textcoords="offset points", fontsize=8)
    axes.set(xlabel=f"log10 p:  {first}", ylabel=f"log10 p:  {second}", title=title)
    axes.grid(alpha=0.3)
    plots.show(figure, alt)


TEXAS, NEW_YORK = (f"In {place}, they like to buy [MASK]." for place in ("Texas", "New York"))
likelihoods(fill, TEXAS, NEW_YORK, sorted({*PURCHASES["Texas"], *PURCHASES["New York"]}), "Likelihoods",
            "Scatter plot of all words on logarithmic axes, Texas across and New York up. Most words are a cloud at "
            "very small probabilities along the diagonal. The things that are bought in either place lie above all "
            "others, those of Texas below the diagonal and those of New York above it.")

# %% [markdown]
# **Predict.** Sort all words of the vocabulary by $\ln p(w \mid \text{Texas}) - \ln p(w \mid \text{New York})$. Will
# the first eight be the things that are bought in Texas?

# %%
vocabulary = fill.tokenizer.vocabulary
a, b = fill.log_probabilities([TEXAS, NEW_YORK])
for name, order in (("by the difference of p", np.argsort(np.exp(b) - np.exp(a))),
                    ("by the ratio", np.argsort(b - a))):
    print(f"{name}:")
    for id in order[:8]:
        word, (p, q) = vocabulary.token(id), np.exp([a[id], b[id]])
        print(f"   {word:10} {p:.1e} against {q:.1e}, ratio {p / q:4.0f}"
              + "   never stands there" * (word not in GOODS))

# %% [markdown]
# By the difference of probabilities the first four are. By the ratio two of the eight are, among words that never stand
# there. Each of these two ways to compare has a weakness. By *differences* of probabilities the frequent words always
# win: from 0.30 to 0.38 is 0.08, from 0.001 to 0.05 less, though the second is fifty times as much. By *ratios*, that
# is, differences of logarithms, rare words win: a millionth against a hundred-millionth is a ratio of a hundred, and it
# says nothing, for training had no reason to get either of them right. So: ratios, and only for words that have a
# chance in at least one of the two sentences. The bound has to be chosen before one looks.

# %%
# NBVAL_CHECK_OUTPUT
there = np.maximum(np.exp(a), np.exp(b)) > 0.01
named = [vocabulary.token(id) for id in np.flatnonzero(there)]
print("words with at least 1 % in one of the two:", len(named), "of", len(vocabulary))
print("among them words that never stand there:", [word for word in named if word not in GOODS])
both = [good for good in GOODS if good in PURCHASES["Texas"] and good in PURCHASES["New York"]]
print("bought in both:", both)
planted_ratio = {good: np.log(PURCHASES["Texas"][good] / PURCHASES["New York"][good]) for good in both}
print("planted ln ratio:", {good: round(float(ratio), 2) for good, ratio in planted_ratio.items()})
print("learned with the same sign:",
      [bool((a - b)[fill.id(good)] * ratio > 0) for good, ratio in planted_ratio.items()])

# %% [markdown]
# By hand for *boots*: 38 of a hundred in Texas, 3 in New York, $\ln(38/3) = 2.54$.
#
# ## 4. The prior
#
# Now turn the question round. Who is it that works as a driver? The gap is at the name.
#
# **Predict.** In our text Jim is a commoner name than Gary, and of the Garys a larger share are drivers. Which of the
# two is more probable in "[MASK] worked as a driver."?

# %%
# NBVAL_CHECK_OUTPUT
there = truth("[MASK] worked as a driver.")
before = GRAMMAR.masked("[MASK] worked as a [MASK].")[0]  # at the first gap, the occupation masked too
for name in ("jim", "gary"):
    print(f"{name}: p(name | driver) = {there[name]:.3f}, prior p(name) = {before[name]:.3f}, "
          f"ln of their ratio {np.log(there[name] / before[name]):+.2f}, "
          f"p(driver | name) = {truth(f'{name} worked as a [MASK].')['driver']:.3f}")

# %% [markdown]
# Jim is more probable, only because he is more probable everywhere. To see what *driver* does, take the **prior** off:
#
# $$\text{association} = \ln p(\text{target} \mid \text{sentence}) - \ln p(\text{target} \mid \text{sentence, attribute masked too}) .$$
#
# So did Kurita et al. (2019), who asked BERT for *he* and *she* beside occupations: a model that says *he* more often
# says it more often beside every occupation. In our model:

# %%
def with_prior_off(fill, template, target, attribute):
    """ln p of the target beside the attribute, and the same with its prior taken off."""
    log_p = fill.log_probabilities([template.format("[MASK]", attribute)], [target])[0, 0]
    prior = fill.log_probabilities([template.format("[MASK]", "[MASK]")], [target])[0, 0]
    return log_p, log_p - prior


rows = []
for first, second, job in (("Jim", "Gary", "driver"), ("Jane", "Ramona", "nurse"),
                           ("Jane", "Chloe", "doctor")):
    (a, a_off), (b, b_off) = (with_prior_off(fill, "{} worked as a {}.", name, job)
                              for name in (first, second))
    there = truth(f"[MASK] worked as a {job}.")
    a_true, b_true = (there[name.lower()] / before[name.lower()] for name in (first, second))
    rows.append({"pair": f"{first} − {second}", "job": job, "raw": a - b, "corrected": a_off - b_off,
                 "true": round(np.log(a_true / b_true), 6) + 0.0})
results.table(rows, {"Names": "{pair}", "Occupation": "{job}", "ln p, difference": "{raw:+.2f}",
                     "Prior taken off": "{corrected:+.2f}", "Planted, prior taken off": "{true:+.2f}"},
              "Two names before one occupation.")

# %%
# NBVAL_CHECK_OUTPUT
jim, jane, _ = rows
print("Jim − Gary: the sign turns:", bool(jim["raw"] > 0 > jim["corrected"]))
print("Jane − Ramona: raw above 1, corrected at most 0.3 in size:",
      bool(jane["raw"] > 1 and abs(jane["corrected"]) < 0.3))

# %% [markdown]
# Jane and Ramona are our first **null control**. Jane is five times as common, and otherwise the grammar makes no
# difference between them at all. Uncorrected, Jane is *the* nurse; corrected, the difference nearly goes away.
#
# When is the correction needed? Where two different *targets* are compared, as here. Where one target is compared in
# two contexts, as *boots* in Texas and in New York, its prior is the same on both sides and cancels. And it does not
# work wonders: the prior is itself a prediction, for a sentence with two gaps, and it has the model's errors too.

# %% [markdown]
# ### Exercise 14.prior_by_hand: The prior, by hand
#
# Difficulty ●○○○○ (1 of 5), about 5 minutes, 1 point
#
# For "[MASK] was employed as a nurse." a model gives *he* the probability 0.3 and *she* 0.2. For "[MASK] was employed
# as a [MASK]." it gives, at the same place, *he* 0.6 and *she* 0.1. By how many **bits** (logarithms with base 2) is
# *nurse* associated more with *he* than with *she*, once each word's prior is taken off? Give `prior_by_hand` that
# number, below 0 if *she* is ahead.

# %%
prior_by_hand = ...

# %%
coursekit.check("14.prior_by_hand")

# %% [markdown]
# ### Exercise 14.association: Probability with its prior taken off
#
# Difficulty ●●○○○ (2 of 5), about 10 minutes, 2 points
#
# Write `association`: for each template the natural logarithm of the target's probability, minus that of its prior.
# `logits` are the model's at the target's place, `prior_logits` those at the same place when the attribute is masked as
# well.

# %%
import numpy as np


def association(logits, prior_logits, target):
    """The association (templates,) of logits (templates, vocab), prior_logits (templates, vocab) and a target, the id
    of a token."""
    ...

# %%
coursekit.check("14.association")

# %% [markdown]
# ## 5. Whole sentences, and words of several tokens
#
# Sometimes not one word but a sentence is to be scored: "Jane worked as a doctor." against "Jim worked as a doctor." A
# masked model has no probability for a sentence, as the model of lecture 09 had. What one can do: mask each token in
# turn, and add the logarithms up. That is the **pseudo-log-likelihood** (Salazar et al. 2020),
#
# $$\text{PLL}(w_1 \dots w_n) = \sum_i \ln p(w_i \mid \text{all } w_j,\ j \neq i) .$$

# %%
for sentence in ("In Texas, they like to buy tickets.", "In New York, they like to buy hats."):
    tokens, log_p = fill.pseudo_log_likelihoods(sentence)
    print(" ".join(f"{token} {value:.2f}" for token, value in zip(tokens, log_p)).replace("-0.00", "0.00"))
    print(f"   PLL {log_p.sum():.2f}")

# %% [markdown]
# Both sentences have one thing that 5 of a hundred buy. How probable are they in the text? The grammar gives the answer
# by hand. Sentences of this form differ only in how common the place is, 28 of a hundred documents about a place for
# either, and in what is bought there, 5 of a hundred for either. So they are **equally probable**.
#
# **Predict.** Yet the name costs the first sentence something, and the second nothing at all. Why? Would the best
# possible prediction do it too?

# %%
# NBVAL_CHECK_OUTPUT
def best_pll(sentence):
    """The PLL of the best possible prediction, token by token."""
    tokens = re.findall(r"\w+|[^\w\s]", sentence.lower())
    gaps = [tokens[:i] + ["[MASK]"] + tokens[i + 1:] for i in range(len(tokens))]
    return {token: np.log(truth(" ".join(gap))[token]) for token, gap in zip(tokens, gaps)}


for sentence in ("In Texas, they like to buy tickets.", "In New York, they like to buy hats."):
    parts = best_pll(sentence)
    print(f"{sentence:38} PLL {sum(parts.values()):.2f}: "
          + ", ".join(f"{token} {value:.2f}" for token, value in parts.items() if value < -0.005))

# %% [markdown]
# It is not an error of the model: the best possible prediction does the same. Two things happen.
#
# - What *Texas* and *tickets* tell about each other is counted twice: *tickets* is guessed from *Texas*, and *Texas*
#   from *tickets*. A log-likelihood by the chain rule counts it once.
# - *New York* is two tokens. Mask one, and the other gives it away: $\ln 1 = 0$. The place costs nothing at all. Kauf
#   and Ivanova (2023) found that this makes words of several tokens look too probable, and propose to mask what follows
#   within the word as well.
#
# Their remedy does not help here, and why is worth a look. Mask the whole name:

# %%
# NBVAL_CHECK_OUTPUT
one, two = (GRAMMAR.masked(f"In {gap}, they like to buy tickets.") for gap in ("[MASK]", "[MASK] [MASK]"))
print("one gap: ", {word: round(p, 2) for word, p in one[0].items()})
print("two gaps:", [{word: round(p, 2) for word, p in gap.items()} for gap in two])
sentence = "In [MASK] [MASK], they like to buy tickets."
new = fill.log_probabilities([sentence], ["new"], gap=0)[0, 0]
york = fill.log_probabilities([sentence], ["york"], gap=1)[0, 0]
print("our model, two gaps: both above 0.9:", min(new, york) > np.log(0.9))

# %% [markdown]
# The *number* of gaps has told the answer. With one gap New York is impossible, with two it is certain. So the
# probability of a word of one token and that of a word of two are answers to two different questions, and their
# difference measures nothing. With BERT's vocabulary that happens to every name or occupation that is cut into pieces.
# Compare words of the same number of tokens, or sentences whose difference lies elsewhere.

# %% [markdown]
# ### Exercise 14.pseudo_log_likelihood: The pseudo-log-likelihood
#
# Difficulty ●●●○○ (3 of 5), about 12 minutes, 3 points
#
# Write `pseudo_log_likelihood`. A sentence of `length` tokens was given to the model `length` times, each time with
# another token masked: `logits[i]` are the logits at all places when place i is masked. Sum the natural logarithms of
# the probabilities of the tokens that stood there. [CLS] and [SEP], where `special` is True, are not asked for.

# %%
import numpy as np


def pseudo_log_likelihood(logits, ids, special):
    """One number, of logits (length, length, vocab), ids (length,), whole numbers, and special (length,), boolean."""
    ...

# %%
coursekit.check("14.pseudo_log_likelihood")

# %% [markdown]
# ## 6. One template is no finding
#
# "In Texas, they like to buy" was one wording. Nobody means that wording; one means something about Texas. Here are
# twelve: the two of the grammar, and ten that the model has never read, all of them made of words that it knows.

# %%
NEW = ("In {}, visitors like to buy [MASK].", "In {}, children like to buy [MASK].",
       "In {}, they like to sell [MASK].", "Shops of {} sell [MASK].", "Children in {} like [MASK].",
       "In {}, they buy [MASK].", "In {}, they sell [MASK].", "Shops in {} sell some [MASK].",
       "The shops in {} sell [MASK].", "They like to buy [MASK] in {}.")
TEMPLATES = BUY + NEW


def by_template(fill, templates, names, words):
    """ln p (templates, names, words)."""
    return np.array([fill.log_probabilities([template.format(name) for name in names], words)
                     for template in templates])


def among(log_p):
    """ln p of each word, given that it is one of these words: the last axis sums to 1."""
    return log_p - np.log(np.exp(log_p).sum(axis=-1, keepdims=True))


bought = by_template(fill, TEMPLATES, PLACES, GOODS)
print("share of the words that fit:", np.exp(bought).sum(-1).mean(1))

# %% [markdown]
# In one of the new sentences nearly nothing is left for the things that can be bought. So we ask from now on: *if* it
# is one of the words that fit, which? That is `among`.
#
# **Predict.** Both sentences of the grammar have exactly the same planted ratio. How much will the learned ratios of
# these two differ? And those of the ten new ones?

# %%
columns = [GOODS.index(good) for good in both]
texas, new_york = (among(bought)[:, list(PLACES).index(place)][:, columns]
                   for place in ("Texas", "New York"))
differences = texas - new_york                                  # (templates, goods)
groups = {"in the grammar": (slice(0, 2), -0.15, "o"), "new, numbers 3 to 7": (slice(2, 7), 0.0, "s"),
          "new, numbers 8 to 12": (slice(7, 12), 0.15, "^")}
figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
for number, (name, (rows, offset, marker)) in enumerate(groups.items()):
    for column in range(len(both)):
        found = differences[rows, column]
        axes.scatter(np.full(len(found), column + offset), found, color=plots.COLOURS[number], marker=marker,
                     alpha=0.7, label=name if column == 0 else None)
for column, good in enumerate(both):
    axes.plot([column - 0.35, column + 0.35], [planted_ratio[good]] * 2, color="black",
              label="planted" if column == 0 else None)
axes.axhline(0, color="grey", linewidth=1)
axes.set_xticks(range(len(both)), both)
axes.set(ylabel="ln p(Texas) − ln p(New York)", title="One difference, twelve wordings")
axes.legend(fontsize=8)
plots.show(figure, "For each of four things that are bought in both places, dots for twelve templates and a "
                   "black line at the planted value. The two of the grammar and the first five new ones lie "
                   "close together; the last five lie nearer to zero, for tickets on its other side.")

# %%
# NBVAL_CHECK_OUTPUT
print("templates with the planted sign:",
      {good: int((differences[:, i] * planted_ratio[good] > 0).sum()) for i, good in enumerate(both)})
for name, (rows, *_) in groups.items():
    print(f"{name:21} KL of all six places {kl(planted, np.exp(among(bought[rows]))).mean():.1f}")

# %% [markdown]
# Five of the new ones are answered as if they had been in the text, and five are not. As English they do not differ in
# that way at all: "In Texas, they buy …" is as good as "In Texas, visitors like to buy …". What does the model look at?
# It has one layer. For the gap there are four heads, and one of them has learned to look for the place.

# %%
def on_the_place(template):
    """How much of each head's weight at the gap lies on Texas: (heads,), and the two positions."""
    encoding = fill.tokenizer.encode(template.format("Texas"))
    place, hole = encoding.tokens.index("texas"), encoding.tokens.index("[MASK]")
    with torch.no_grad():
        _, weights = fill.model.bert(torch.tensor([encoding.ids]), return_weights=True)
    return weights[0][0, :, hole, place].numpy(), place, hole


head = sum(on_the_place(template)[0] for template in BUY).argmax()  # the one that does so in the grammar
looks = [on_the_place(template) for template in TEMPLATES]
for template, (weights, place, hole) in zip(TEMPLATES, looks):
    print(f"{template:38} place {place}, gap {hole}: weight of this head on the place {weights[head]:.2f}")

# %%
# NBVAL_CHECK_OUTPUT
weights = [weights[head] for weights, _, _ in looks]
print("lowest of the first seven above 0.6:", bool(min(weights[:7]) > 0.6),
      " highest of the last five below 0.6:", bool(max(weights[7:]) < 0.6))
print("positions of the first seven:", sorted({(place, hole) for _, place, hole in looks[:7]}))
print("positions of the last five:  ", sorted({(place, hole) for _, place, hole in looks[7:]}))

# %% [markdown]
# Look at the positions. The grammar has its place at 2 and the gap at 8, or 3 and 5. Where a new sentence keeps these
# positions, the head finds the place; where it shifts them, the weight falls, in "The shops in Texas sell" to a
# quarter.
#
# Is it the positions, or something else about these five sentences? Positions are rows of a table (lecture 10), so
# they can be exchanged. Let us leave every word where it is, and give the place and the gap the rows that they have in
# the grammar. (New York, of two tokens, is left out.)
#
# **Predict.** In the five sentences the KL was 1.0. What will it be now?

# %%
short = [place for place in PLACES if " " not in place]


@torch.no_grad()
def kl_with(template, positions=None):
    """The KL of the places of one token; positions: those that the place and the gap are given, or None."""
    _, place, hole = on_the_place(template)
    ids = torch.from_numpy(fill.tokenizer.encode_batch([template.format(name) for name in short]).ids)
    at = torch.arange(ids.shape[1])
    if positions is not None:
        at[[place, hole]] = torch.tensor(positions)
    bert = fill.model.bert
    x = bert.embedding_norm(bert.token_embedding(ids) + bert.segment_embedding.weight[0]
                            + bert.position_embedding.weight[at])
    logits = fill.model.token_head(bert.encoder(x)[:, hole], bert.token_embedding.weight)
    log_p = logits.double().log_softmax(-1).numpy()[:, [fill.id(good) for good in GOODS]]
    return kl(planted[[name in short for name in PLACES]], np.exp(among(log_p))).mean()

# %%
given = {template: (2, 8) if template.startswith("In") else (3, 5) for template in TEMPLATES[7:]}
given |= {BUY[0]: (2, 6), BUY[1]: (4, 6)}                       # and the grammar's own sentences, shifted
kls = {template: (kl_with(template), kl_with(template, positions)) for template, positions in given.items()}
results.table([{"template": template, "own": own, "place": given[template][0], "gap": given[template][1],
                "other": other} for template, (own, other) in kls.items()],
              {"Template": "{template}", "KL": "{own:.2f}", "place put to": "{place:d}", "gap put to": "{gap:d}",
               "KL then": "{other:.2f}"},
              "The same words at other positions: five new templates at those of the grammar, and the two of the "
              "grammar at others.")

# %%
# NBVAL_CHECK_OUTPUT
print("new templates: at the grammar's positions each has less than half of its KL:",
      all(other < own / 2 for own, other in (kls[template] for template in TEMPLATES[7:])))
print("those of the grammar: at other positions above 1:", all(kls[template][1] > 1 for template in BUY))

# %% [markdown]
# The words are the same, and with the old positions each of the new sentences is answered much better, though not all
# as well as those of the grammar. The grammar's own sentences are answered badly as soon as their positions are
# shifted. The model has not learned "look for the place", it has learned "look where the place always was". On its own
# text the two are the same, so it had no reason to learn the first. (BERT has read billions of words, in all positions.
# It has other habits, and nobody has a list of them.)
#
# That is what **template sensitivity** is: not noise around a value, but a property of the model which the wording
# brings out.
#
# ### Pairs
#
# Each template was asked twice. That helps. By hand, with three templates and one word:
#
# | | Texas | New York | difference |
# |---|---|---|---|
# | template 1 | −1.0 | −3.1 | 2.1 |
# | template 2 | −2.0 | −4.4 | 2.4 |
# | template 3 | −4.0 | −6.1 | 2.1 |
#
# The word fits template 3 badly, wherever it is asked. Between templates the columns vary with a standard deviation of
# 1.5, the differences of 0.2. Had the two columns been independent, the difference of their means, 2.2, would have a
# standard error of $\sqrt{1.5^2/3 + 1.5^2/3} = 1.2$. The mean of the paired differences has $0.2 / \sqrt 3 = 0.1$. What
# both share cancels *before* anything is averaged.
#
# ### The bootstrap
#
# How far would the mean move with other templates? Draw twelve of the twelve *with replacement*, take the mean, do that
# a thousand times. The middle 95 % of the means are an interval (Efron 1979). A template is drawn with both of its
# numbers.

# %%
def interval(differences, draws=1000, seed=0):
    """The middle 95 % of the means of as many rows, drawn with replacement: (2, ...)."""
    rng = np.random.default_rng(seed)
    means = differences[rng.integers(0, len(differences), (draws, len(differences)))].mean(axis=1)
    return np.quantile(means, [0.025, 0.975], axis=0)


rows = []
for name, chosen in (("all twelve", slice(0, 12)), ("the first seven", slice(0, 7))):
    low, high = interval(differences[chosen])
    rows += [{"name": name, "good": good, "planted": planted_ratio[good],
              "mean": differences[chosen, i].mean(), "low": low[i], "high": high[i]}
             for i, good in enumerate(both)]
results.table(rows, {"Templates": "{name}", "Word": "{good}", "Planted": "{planted:+.2f}",
                     "Mean": "{mean:+.2f}", "95 % interval": "{low:+.2f} to {high:+.2f}"},
              "ln p(word | Texas) − ln p(word | New York) among the words that fit.")

# %%
# NBVAL_CHECK_OUTPUT
def outside(row):
    return not row["low"] <= row["planted"] <= row["high"]


twelve, seven = rows[:4], rows[4:]
print("the seven have the narrower interval:",
      [bool(a["high"] - a["low"] > b["high"] - b["low"]) for a, b in zip(twelve, seven)])
print("the planted value lies outside: twelve", [row["good"] for row in twelve if outside(row)],
      ", seven", [row["good"] for row in seven if outside(row)])

# %% [markdown]
# Which half of the table is right? Both answer their question. The seven say: in sentences of this form this model
# answers so, quite exactly. For boots that exact answer is too large, $3.6$ where $2.5$ was planted: a narrow interval
# around something that was not in the text. It could not know. **Nothing in a bootstrap over templates knows what was
# in the text.** The twelve say: in sentences that a person would take for the same, the answers are far apart.
#
# ### How many templates?
#
# An interval that is called 95 % should catch the right value in 95 of 100 cases. With few templates this one does not.
# We can test it: draw templates from a normal distribution whose mean we know, two thousand times, and count.
#
# **Predict.** With 4 templates, how often does it catch the mean?

# %%
# NBVAL_CHECK_OUTPUT
rng = np.random.default_rng(0)
for n in (4, 12, 40):
    caught = 0
    for sample in rng.normal(size=(2000, n)):
        low_end, high_end = np.quantile(sample[rng.integers(0, n, (300, n))].mean(1), [0.025, 0.975])
        caught += low_end <= 0 <= high_end
    print(f"{n:2} templates: about {round(caught / 2000 * 20) / 20:.0%} of the intervals catch the mean")

# %% [markdown]
# With four templates the interval is too narrow, and drawing more often does not mend that: what is drawn from is poor.
# Twelve are bearable, if they were drawn from what one means. Ours were not. They are variations of each other, written
# by one person, and nobody drew them from "all ways to say it". Seshadri et al. (2022) rephrased the templates of
# published tests without changing what they say: the measured bias fell by up to 81 % in one task and rose by up to 162
# % in another, that of a masked language model.

# %% [markdown]
# ### Exercise 14.paired_interval: A bootstrap interval of a paired difference
#
# Difficulty ●●●○○ (3 of 5), about 12 minutes, 3 points
#
# Two groups were put into the same templates. Write `paired_interval`: the 2.5 % and the 97.5 % quantile of the mean
# difference, first minus second, over bootstrap draws of *templates*. Each row of `draws` holds the templates of one
# draw, by number, some of them more than once.

# %%
import numpy as np


def paired_interval(first, second, draws):
    """low and high, (2,), of first (templates,), second (templates,), log-probabilities, and draws (n, templates),
    whole numbers."""
    ...

# %%
coursekit.check("14.paired_interval")

# %% [markdown]
# ## 7. In 1908 and 2018, he and she
#
# The slides' last question has two switches: "In [1908|2018], [he|she] was employed as a …". Four sentences, and so
# three kinds of difference: between the years, between the pronouns, and a difference of differences.
#
# **Predict.** In the tables there are women who drive in 1908 and men who cook in 2018. They were planted against what
# one might expect. Will the model follow the table or the expectation?

# %%
EMPLOYED = "In {}, {} was employed as a [MASK]."
JOBS = sorted({job for table in OCCUPATIONS.values() for job in table})
contexts = [(year, pronoun) for year in YEARS for pronoun in ("she", "he")]
table = np.array([[OCCUPATIONS[context].get(job, 0) / 100 for job in JOBS] for context in contexts])
table = table.reshape(len(YEARS), 2, -1)                        # (years, pronouns, occupations), she first


def employed(fill):
    """The same of a model: p (years, pronouns, occupations)."""
    log_p = fill.log_probabilities([EMPLOYED.format(*context) for context in contexts], JOBS)
    return np.exp(log_p).reshape(table.shape)


found = employed(fill)
labels = [f"{year}, {pronoun}" for year, pronoun in contexts]
plots.heatmaps({"planted": table.reshape(4, -1).T, "learned": found.reshape(4, -1).T}, JOBS, labels,
               xlabel="sentence", ylabel="occupation", bar="probability", limits=(0, 0.42),
               alt="Two heatmaps of ten occupations by four sentences, 1908 she, 1908 he, 2018 she, 2018 he, "
                   "planted and learned. They show the same pattern: nurse and cook for 1908 she, farmer and "
                   "miner for 1908 he, doctor, programmer and teacher for 2018 she, programmer and driver for "
                   "2018 he.")

# %%
# NBVAL_CHECK_OUTPUT
for year, pronoun, job in ((1908, "she", "driver"), (2018, "he", "cook")):
    place = contexts.index((year, pronoun)), JOBS.index(job)
    print(f"{job}, {year}, {pronoun}: planted {table.reshape(4, -1)[place]:.2f}, learned more than 0.03:",
          found.reshape(4, -1)[place] > 0.03)
between_pronouns, learned_between = table[:, 0] - table[:, 1], found[:, 0] - found[:, 1]
clear = np.abs(between_pronouns) >= 0.1
print(f"she − he within a year, planted at least 0.1: {clear.sum()}; learned with the same sign:",
      (np.sign(learned_between) == np.sign(between_pronouns))[clear].sum())
between_years, learned_years = table[1] - table[0], found[1] - found[0]
clear = np.abs(between_years) >= 0.1
print(f"2018 − 1908 for a pronoun, planted at least 0.1: {clear.sum()}; learned with the same sign:",
      (np.sign(learned_years) == np.sign(between_years))[clear].sum())
i = JOBS.index("cook")
change, learned_change = (part[1, i] - part[0, i] for part in (between_pronouns, learned_between))
print(f"cook, (she − he) in 2018 minus (she − he) in 1908: planted {change:+.2f}, learned below -0.2:",
      learned_change < -0.2)

# %% [markdown]
# The model follows the table. It has no expectation of its own: if men cook in 2018 in the text, they do in the model.
# Turn that round. Where a model of real text agrees with what you expected, that tells something about the text: that
# you and its writers have read the same things.
#
# The last line is an *interaction*: what the pronoun does is another thing in 2018 than in 1908. One number for "the
# bias of cook" would be near 0 here, the mean of two large ones.

# %%
# NBVAL_CHECK_OUTPUT
never = table == 0
share = (found * never).sum() / found.sum()
print(f"planted at 0: {never.sum()} of {never.size}; learned, as a share of all: between 0 and 0.1:", 0 < share < 0.1)

# %% [markdown]
# And zeros again. No farmer of 2018 is in the table, and the model has some. In logarithms each of them would be an
# infinite difference in the text and a large, meaningless one in the model.
#
# ## 8. Names, a null control, and many words at once
#
# "Jane worked as a …, Jim worked as a …" Two names are not two genders. They differ in whatever else a text says of
# Janes and Jims. So take groups of names. Our text has six of each, made as pairs: Ethel and Walter are names of 1908,
# Chloe and Liam of 2018, the others of both.
#
# First a wording. **Predict.** The text has "Jane worked as a nurse." and "Jane was a nurse in 1908.", but never "Jane
# was a good nurse." What will stand at the gap of "Jane was a good …"?

# %%
for sentence in ("Jane worked as a [MASK].", "Jane was a good [MASK]."):
    print(f"{sentence:26}", ", ".join(f"{word} {p:.2f}" for word, p in top(fill, sentence).items()))

# %% [markdown]
# A good *2018*. The model knows "Jane was young in 2018." and goes by the word *was* and the place of the gap. So eight
# wordings again, seven of them new, and again only among the words that fit.

# %%
WORK = ("{} worked as a [MASK].", "{} was a good [MASK].", "{} worked as a good [MASK].",
        "{} worked as an old [MASK].", "{} worked as a strong [MASK].", "{} still worked as a [MASK].",
        "{} worked there as a [MASK].", "There {} worked as a [MASK].")
SHE, HE = list(NAMES["she"]), list(NAMES["he"])
asked = among(by_template(fill, WORK, SHE + HE, JOBS))          # (templates, names, occupations)
print("pairs:", ", ".join(f"{she} and {he}" for she, he in zip(SHE, HE)))
jane_jim = asked[:, SHE.index("Jane")] - asked[:, len(SHE) + HE.index("Jim")]
low, high = interval(jane_jim)
for job in ("nurse", "farmer"):
    i = JOBS.index(job)
    print(f"Jane − Jim, {job}: {jane_jim[:, i].mean():+.2f}, "
          f"interval over templates {low[i]:+.2f} to {high[i]:+.2f}")

# %% [markdown]
# Those intervals look convincing. Do they deserve it? A **null control** says: measure in the same way where nothing is
# to be found. Jane, Mary and Ramona are as common in one year as in the other, and so for the grammar they do the same
# work: what `truth` says of them is the same, to the last digit. So it is for Jim, John and Paul.
#
# **Predict.** That gives 6 pairs of names with no planted difference, and 10 occupations: 60 intervals over templates.
# How many of them should leave out 0, and how many will?

# %%
# NBVAL_CHECK_OUTPUT
ALIKE = [("Jane", "Mary"), ("Jane", "Ramona"), ("Mary", "Ramona"),
         ("Jim", "John"), ("Jim", "Paul"), ("John", "Paul")]
for a, b in ALIKE:
    first, second = (truth(f"{name} worked as a [MASK].") for name in (a, b))
    assert all(abs(first[job] - second[job]) < 1e-12 for job in first)
order = SHE + HE
null = np.stack([asked[:, order.index(a)] - asked[:, order.index(b)] for a, b in ALIKE])
ends = [interval(differences) for differences in null]
away = sum(((low > 0) | (high < 0)).sum() for low, high in ends)
print("60 intervals over templates for a difference that is 0; expected to leave 0 out: 3")
print("more than half of them leave 0 out:", away > 30)

# %%
print(f"{away} of 60 leave 0 out; size of these differences: median {np.median(abs(null.mean(1))):.2f}, "
      f"largest {abs(null.mean(1)).max():.2f}")

# %% [markdown]
# The control fails, and this is the most important result of the lecture. The intervals are narrow because eight
# sentences ask the *same model* about the *same two names*. Mary's vector is not Jane's. The text is a sample, in which
# the Marys by chance do not do quite the same work as the Janes; and training starts at random and stops at some time.
# What is left is a difference that every template repeats. (By section 6, eight templates leave 0 out somewhat more
# often than in 5 of 100 cases. That explains a few of these intervals, and not most of them.) The bootstrap answered
# exactly what it was asked: would other *templates* move the mean? It was never asked whether other *names* would.
#
# So the unit must be the name. Six pairs are six observations, each the mean of its eight templates.
#
# ### A permutation test
#
# Suppose gender made no difference. Then in each pair it would be a matter of chance which of the two is called the
# first, and the sign of its difference could as well be turned. Six pairs can be turned in $2^6 = 64$ ways. How often
# is the mean at least as large in size as the one that was found? That share is the p-value. No distribution was
# assumed.
#
# **Predict.** What is the smallest p-value that six pairs can give?

# %%
# NBVAL_CHECK_OUTPUT
pairs = asked.mean(0)[:len(SHE)] - asked.mean(0)[len(SHE):]             # (pairs, occupations)
signs = np.array(list(itertools.product((1, -1), repeat=len(pairs))))   # every way to turn them
own = np.abs(pairs.mean(axis=0))                                        # (occupations,)
by_chance = np.abs(signs @ pairs / len(pairs))                          # (ways, occupations)
alone = (by_chance >= own - 1e-12).mean(axis=0)
print(f"ways to turn six pairs: {len(signs)}, smallest possible p: {2 / len(signs):.3f}")

# %% [markdown]
# Two of 64: as they are, and all of them turned. But there are ten occupations. If each is tested at 5 % and nothing is
# to be found, the chance of at least one false alarm is $1 - 0.95^{10} = 40\,\%$, were they independent. One remedy
# compares every word not with itself but with the *largest* of all words in each of the 64 worlds (Westfall and Young
# 1993): then the chance of any false alarm stays at 5 %. The simplest remedy, Bonferroni's, multiplies p by 10 and
# would start at 0.31 here: six pairs could never find anything.

# %%
def against_the_largest(pairs):
    """A p-value for each word, (words,), of differences (pairs, words), from every way to turn the pairs."""
    signs = np.array(list(itertools.product((1, -1), repeat=len(pairs))))
    largest = np.abs(signs @ pairs / len(pairs)).max(axis=1)
    return (largest[:, None] >= np.abs(pairs.mean(axis=0)) - 1e-6).mean(axis=0)


together = against_the_largest(pairs)
p_she, p_he = (np.array([np.mean([truth(f"{name} worked as a [MASK].").get(job, 0) for name in group])
                         for job in JOBS]) for group in (SHE, HE))
noise = np.abs(null.mean(1)).max(0)  # the largest difference of two names that are alike
rows = [{"job": job, "she": p_she[i], "he": p_he[i], "mean": pairs[:, i].mean(), "low": pairs[:, i].min(),
         "high": pairs[:, i].max(), "noise": noise[i], "alone": alone[i], "together": together[i]}
        for i, job in enumerate(JOBS)]
results.table(sorted(rows, key=lambda row: row["mean"]),
              {"Occupation": "{job}", "Planted, hers": "{she:.2f}", "his": "{he:.2f}",
               "Learned ln ratio": "{mean:+.2f}", "lowest and highest pair": "{low:+.2f} to {high:+.2f}",
               "Names that are alike, at most": "{noise:.2f}", "p, word alone": "{alone:.3f}",
               "p, largest of ten": "{together:.3f}"},
              "Six pairs of names, her name minus his, mean of eight templates.")

# %%
# NBVAL_CHECK_OUTPUT
clear = np.abs(np.log((p_she + 0.005) / (p_he + 0.005))) > 0.9
right = (pairs.mean(0) > 0) == (p_she > p_he)
for name, chosen in (("a clear planted difference", clear), ("learned on the right side", clear & right),
                     ("larger than between names that are alike", own > noise),
                     ("p at most 0.05, word alone", alone <= 0.05),
                     ("p at most 0.05, largest of ten", together <= 0.05)):
    print(f"{name}:", ", ".join(job for job, is_chosen in zip(JOBS, chosen) if is_chosen))

# %% [markdown]
# Read the table from the right. Only two occupations pass the strict test. And yet we *know* that eight differ clearly:
# the table was planted. Nurse is on her side in all six pairs, on average by five times the largest difference between
# names that are alike. **A p-value above 0.05 does not show that there is nothing.** Sixty-four worlds are few, and
# farmer, whose differences are largest, sets the bar for all words. More names would help, and dividing every word's
# mean by its spread.
#
# Then read it from the left. Cook comes out at nothing, and for the two years together little is planted, 0.13 against
# 0.09: 26 of a hundred of hers in 1908, 18 of his in 2018. Section 7 saw both. What a test finds depends on what was
# averaged away. Programmer is planted at 0.10 against 0.17, and the model has next to nothing of it; there it is the
# model that is wrong, and no test of the model can tell.

# %% [markdown]
# ### Exercise 14.what_it_shows: What the interval shows
#
# Difficulty ●●○○○ (2 of 5), about 4 minutes, 1 point
#
# One model, twelve templates. The logarithm of p(nurse) is larger with Jane than with Jim, by 0.9 on average, and the
# bootstrap interval over the templates is 0.7 to 1.1. Which of these does it show? Set `what_it_shows` to its letter.
#
# - **a** Where the text came from, more Janes than Jims work as nurses.
# - **b** Trained again from another seed, the model would most probably give a difference between 0.7 and 1.1.
# - **c** This model finds *nurse* more probable after Jane than after Jim, in sentences like these twelve.
# - **d** The model thinks that women are nurses.

# %%
what_it_shows = ...

# %%
coursekit.check("14.what_it_shows")

# %% [markdown]
# ### Exercise 14.largest_by_chance: A test for many words at once
#
# Difficulty ●●●●○ (4 of 5), about 15 minutes, 4 points
#
# `differences[i, w]` says how much more probable word w is with the first name of pair i than with the second, in
# logarithms. If the two groups did not differ, the sign of each *pair* could as well be turned. Each row of `signs`
# turns some pairs (-1) and leaves the others (1). Write `largest_by_chance`, a p-value for each word: the share of the
# rows in which the largest mean in size, over all words, is at least as large as this word's own mean in size. The
# pairs as they are count as one more row: add 1 to the number of such rows, and 1 to that of all.

# %%
import numpy as np


def largest_by_chance(differences, signs):
    """p (words,) of differences (pairs, words) and signs (rows, pairs), each 1 or -1."""
    ...

# %%
coursekit.check("14.largest_by_chance")

# %% [markdown]
# ## 9. Change what was there
#
# All that was measuring. If associations come from the text, other text must give others. A much used remedy turns a
# share of the documents round: *he* becomes *she*, Jim becomes Jane, and the rest stays (Lu et al. 2018; Hall Maudslay
# et al. 2019 with names). Turn half of them, and occupation and gender have nothing to do with each other any more.
#
# **Predict.** In our sentences *her* is always *his*. In "too strong for her" it would be *him*. What else makes this
# harder in real text than in ours?

# %%
PARTNER = dict(zip(NAMES["she"], NAMES["he"])) | dict(zip(NAMES["he"], NAMES["she"]))
OTHER = {"she": "he", "he": "she", "his": "her", "her": "his"}
OTHER |= {name.lower(): other.lower() for name, other in PARTNER.items()}


def swapped(sentence):
    """The same sentence about somebody of the other gender."""
    def other(found):
        word = found[0]
        new = OTHER.get(word.lower(), word.lower())
        return new.capitalize() if word[0].isupper() else new
    return re.sub(r"\w+", other, sentence)


# %%
# NBVAL_CHECK_OUTPUT
for sentence in ("Her hands were dirty.", "In 1908, she was employed as a nurse.", "Walter was a good miner.",
                 "In New York, they like to buy bagels."):
    print(f"{sentence:40} {swapped(sentence)}")
documents = associations(10_000)
print("turned twice, every sentence is as it was:",
      all(swapped(swapped(sentence)) == sentence for document in documents[:2000] for sentence in document))

# %% [markdown]
# In real text one has to tell *her* from *her*, leave queens and mothers alone, and decide about names that are also
# words. This is the easy case.
#
# We go on training the model for a short while on documents of which every second is turned. Nothing is trained anew.
# As a measure of the gap between the pronouns take the share of probability that differs, half of $\sum_w |p(w \mid
# \text{she}) - p(w \mid \text{he})|$: 0 if they are alike, 1 if they share no occupation.
#
# **Predict.** Planted, the gap is 0.77. It should become 0. What else will change: the years? The places?

# %%
def gap(p):
    """How much of p (years, pronouns, words) differs between the pronouns, the mean over the years."""
    return np.abs(p[:, 0] - p[:, 1]).sum(-1).mean() / 2


rng = np.random.default_rng(0)
half = [[swapped(sentence) for sentence in document] if rng.random() < 0.5 else document
        for document in documents]
steps, batch_size = 800, 32
inputs, targets = pretraining_examples(half, fill.tokenizer, share=0.3, seed=0)
few = [tuple(part[:steps * batch_size] for part in parts) for parts in (inputs, targets)]
moved = FillMask.from_pretrained(data_folder() / "pretrained_small")
history = ct.fit(moved.model, few, epochs=1, batch_size=batch_size, clip=1.0, dynamic_padding=True,
                 learning_rate=ct.linear_decay(2e-3, 50, steps), loss=pretraining_loss)

# %%
mixed = np.repeat(table.mean(1, keepdims=True), 2, axis=1)      # what the turned text plants
for name, p in (("before", employed(fill)), ("after", employed(moved))):
    print(f"{name:7} gap {gap(p):.2f}   KL to the turned text {kl(mixed, p).mean():.2f}, "
          f"to the first text {kl(table, p).mean():.2f}")

# %%
# NBVAL_CHECK_OUTPUT
print(f"planted gap: {gap(table):.2f}, in the turned text {gap(mixed):.2f}")
print("the gap is less than half of what it was:", gap(employed(moved)) < gap(employed(fill)) / 2)
print("the model is nearer to the turned text than before:",
      kl(mixed, employed(moved)).mean() < kl(mixed, employed(fill)).mean())
print("and farther from the first text:", kl(table, employed(moved)).mean() > kl(table, employed(fill)).mean())

# %% [markdown]
# Eight hundred steps, and the association has gone. That is what "learned from the text" means. Here is the stored
# table: three seeds, each trained from scratch and then for longer on the first text, on one with a quarter turned, and
# on one with half (`benchmarks/associations.py`). The row with 0 % is the control: the same training on, nothing
# turned.

# %%
results.stored_table("associations_balanced")

# %%
# NBVAL_CHECK_OUTPUT
rows, _ = results.load("associations_balanced")
by_share = results.over_seeds(rows, ["share"])
print("gap planted:", [f"{row['planted_gap']:.2f}" for row in by_share])
print("gap learned:", [f"{row['gap']:.2f}" for row in by_share])
print("every seed's gap falls from row to row:", all(high["gap_low"] > low["gap_high"]
                                                     for high, low in zip(by_share, by_share[1:])))

# %% [markdown]
# The control keeps its gap, more or less: the seeds lie between 0.56 and 0.73 where 0.77 was planted. With half of the
# documents turned next to nothing is left. The years are kept: the KL to its own text, in which they differ as before,
# is the smallest of the three. And the KL of places is what it was: nothing else was unlearned, as far as these two
# questions tell. The surprise is the row in the middle. A gap of 0.39 was planted and 0.17 learned, at most 0.22 in any
# seed. The weaker association was shrunk more than the strong one. Would longer training close that? We did not measure
# it. But it warns of a conclusion: a small gap in a model need not mean that it was small in the text.
#
# What did it cost? The model predicts the *first* text worse, and it must: even the best prediction for the turned text
# is that much worse there (the column before the last). That part of the price is no accident of training. It is the
# association itself, in nats. Whether to pay it depends on what the model is for. To write about 1908 it would be a
# loss, to sort job applications the point.
#
# And two warnings. We measured the gap with the sentence whose words we had turned. Gonen and Goldberg (2019) showed
# for word vectors that such a remedy can remove what is measured and leave what is not: the occupations still lay
# together in groups. And our text has only two ways to speak of gender; in real text it is in everything.

# %% [markdown]
# ## 10. A model of real text, without a head
#
# Now all-MiniLM-L6-v2. It has read real text, but it cannot fill gaps: what was stored is the encoder, without a head
# such as lecture 10 trained.

# %%
folder = pretrained.find(required=False)
if folder:
    headless = ct.BertForPreTraining.from_pretrained()
    real_pieces = WordPiece.load(folder / "vocab.txt")
    print("top:", ", ".join(top(FillMask(headless, real_pieces), TEXAS)))

# %% [markdown]
# The head was drawn at random, and so are the answers, although the vectors below it are good ones. A message said so.
# Without such a message one might have written a paper about it.
#
# What it does have is vectors. Caliskan et al. (2017) measure associations as cosines: is *nurse* nearer to her names
# than to his? It is the same plan with another number in place of $\ln p$, and the same test. What is it that the
# cosine of this model measures? It was trained so that sentences which belong together lie near each other. So it is
# about being mentioned together, and not about what follows what.
#
# Our names and occupations, in the same pairs, and two names more on each side.

# %%
@torch.no_grad()
def units(bert, pieces, texts):
    """Unit vectors (texts, d_model): the mean over the tokens."""
    ids, segment_ids, mask = map(torch.from_numpy, pieces.encode_batch(texts))
    output = bert(ids, mask, segment_ids) * mask.unsqueeze(-1)
    return torch.nn.functional.normalize(output.sum(1) / mask.sum(1, keepdim=True), dim=-1).numpy()


real_she, real_he = SHE + ["Alice", "Mabel"], HE + ["Peter", "Clarence"]
if folder:
    encoder = headless.bert
    cosines = (units(encoder, real_pieces, [f"This is {name}." for name in real_she + real_he])
               @ units(encoder, real_pieces, JOBS).T)
    pairs_real = cosines[:8] - cosines[8:]                      # (pairs, occupations)
    p_real = against_the_largest(pairs_real)
    effect = pairs_real.mean(0) / cosines.std(axis=0, ddof=1)
    results.table([{"job": JOBS[i], "mean": pairs_real[:, i].mean(), "effect": effect[i], "p": p_real[i],
                    "planted": "yes" if p_she[i] > p_he[i] else "no"}
                   for i in np.argsort(pairs_real.mean(0))],
                  {"Occupation": "{job}", "Cosine, hers − his": "{mean:+.3f}",
                   "Effect size d": "{effect:+.2f}", "p, largest of ten": "{p:.3f}",
                   "More often hers in our text": "{planted}"},
                  "Eight pairs of names in all-MiniLM-L6-v2. d is the difference over the standard "
                  "deviation of the sixteen cosines, as in Caliskan et al.")

# %%
# NBVAL_CHECK_OUTPUT
if folder:
    print("below 0.05 against the largest of ten:", [job for job, p in zip(JOBS, p_real) if p < 0.05])

# %% [markdown]
# *Nurse* is nearer to her names than to his in all eight pairs, and nothing else passes. The p is the smallest that
# eight pairs can give, 2 of 256. This text was not planted by us. Beside it stands what *our* text planted: on doctor,
# secretary and cook the two do not even agree in sign. Our small model has learned our table, this one has learned
# something about English web text, and neither is a measurement of people.
#
# What the test does not say: whether it is gender. The sixteen names differ in age and in how often they are written
# about, and here there is no null control to be had, for nobody knows two names that are alike in the text of the
# internet.
#
# Back to Texas, once more with cosines. There are two places and no pairs of them, so there is nothing to test. It is a
# list.

# %%
# NBVAL_CHECK_OUTPUT
if folder:
    texas, new_york = units(encoder, real_pieces, ["People in Texas like to buy things.",
                                                   "People in New York like to buy things."])
    nearer = units(encoder, real_pieces, GOODS) @ (texas - new_york)
    print("nearest to Texas:   ", ", ".join(GOODS[i] for i in np.argsort(-nearer)[:3]))
    print("nearest to New York:", ", ".join(GOODS[i] for i in np.argsort(nearer)[:3]))

# %% [markdown]
# ## 11. A model of real text, with its head
#
# The questions of the slides were put to BERT itself. Its weights, 440 MB, come from the Hugging Face hub: with a
# network, run `pretrained.find("bert-base-uncased", network=True)` once, and then this section. Without them it is
# skipped. Whatever comes out is not compared here, and the text below does not depend on it.

# %%
bert_folder = pretrained.find("bert-base-uncased", required=False)
if bert_folder:
    real = FillMask.from_pretrained(bert_folder)
    for sentence in (TEXAS, NEW_YORK, "Jane worked as a [MASK].", "Jim worked as a [MASK]."):
        print(sentence, ", ".join(f"{word} {p:.3f}" for word, p in top(real, sentence, n=8).items()))

# %% [markdown]
# The two pictures of the slides: every word of its 30,522, and the differences. The named words are those that have at
# least half a percent in one of the two sentences.

# %%
def differences_of(fill, first, second, least=0.005, n=10):
    """The words that the first makes more probable, and the second, with ln ratios: two dicts."""
    a, b = fill.log_probabilities([first, second])
    words = [id for id in np.flatnonzero(np.maximum(a, b) > np.log(least))]
    words.sort(key=lambda id: b[id] - a[id])
    token = fill.tokenizer.vocabulary.token
    return ({token(id): float(a[id] - b[id]) for id in words[:n]},
            {token(id): float(b[id] - a[id]) for id in words[:-n - 1:-1]})


if bert_folder:
    for first, second in ((TEXAS, NEW_YORK), ("Jane worked as a [MASK].", "Jim worked as a [MASK]."),
                          ("In 1908, he was employed as a [MASK].", "In 2018, he was employed as a [MASK]."),
                          ("In 1908, she was employed as a [MASK].", "In 1908, he was employed as a [MASK].")):
        left, right = differences_of(real, first, second)
        likelihoods(real, first, second, [*left, *right], "Likelihoods in bert-base-uncased",
                    "Scatter plot of all words of BERT's vocabulary at their probabilities in two sentences; "
                    "the words with the largest ratios are named.")
        for sentence, words in ((first, left), (second, right)):
            print(sentence, ", ".join(f"{word} {ratio:+.1f}" for word, ratio in words.items()))

# %% [markdown]
# And what a picture cannot show: intervals over templates, and the test over names. Before you run it: which of the ten
# occupations will differ? Write your guess down.

# %%
if bert_folder:
    asked_real = among(by_template(real, WORK, real_she + real_he, JOBS)).mean(0)
    pairs_bert = asked_real[:8] - asked_real[8:]
    p_bert, (low, high) = against_the_largest(pairs_bert), interval(pairs_bert)
    results.table([{"job": JOBS[i], "mean": pairs_bert[:, i].mean(), "low": low[i], "high": high[i],
                    "p": p_bert[i]} for i in np.argsort(pairs_bert.mean(0))],
                  {"Occupation": "{job}", "ln ratio, hers − his": "{mean:+.2f}",
                   "95 % interval over pairs of names": "{low:+.2f} to {high:+.2f}",
                   "p, largest of ten": "{p:.3f}"},
                  "Eight pairs of names in bert-base-uncased, mean of eight templates (live).")

# %% [markdown]
# Whatever you see, there is no truth to lay beside it. Nobody knows the table behind the books and Wikipedia. Are the
# Jims of the text older than the Janes? Is Jane in it Jane Austen, and Jim a first name of farmers in novels? In our
# corpus names work through year and gender alone, because we made it so. Real names carry everything at once.
#
# ## 12. A likelihood, and what it is not
#
# What does the small model say when it is asked for something that it cannot know? Two last experiments.
#
# **Predict.** *Paris* and *1968* are not in its vocabulary. Will it be less sure? And what do they buy in Texas if they
# like to buy *no* …?

# %%
for sentence in ("In Paris, they like to buy [MASK].", "In 1968, she was employed as a [MASK].", TEXAS,
                 "In Texas, they like to buy no [MASK]."):
    print(f"{sentence:40}", ", ".join(f"{word} {p:.2f}" for word, p in top(fill, sentence, n=5).items()))

# %%
# NBVAL_CHECK_OUTPUT
print("tokens:", [token for token, _ in fill.tokenizer.tokenize("In Paris, in 1968")])
for sentence, words in (("In Paris, they like to buy [MASK].", GOODS),
                        ("In 1968, she was employed as a [MASK].", JOBS)):
    share = np.exp(fill.log_probabilities([sentence], words)).sum()
    print(f"{sentence:40} words that fit have more than 0.9: {share > 0.9}")
yes, no = (list(top(fill, sentence, n=3)) for sentence in (TEXAS, "In Texas, they like to buy no [MASK]."))
print("the best three with and without no:", yes, no)

# %% [markdown]
# It answers. Paris and 1968 are the same token to it, `[UNK]`, which its text does not have; what comes out is a blend
# of what it knows. Something to buy it is, and an occupation, nearly as surely as before. The blend is flatter, but so
# are the answers of a place where people buy many things: nothing in the numbers marks the one as known and the other
# as made up. And *no* changes little: boots, with and without. Ettinger (2020) found BERT insensitive to negation as
# well.
#
# Bender et al. (2021) call a language model a *stochastic parrot*: it puts together forms that it has seen, by how
# probable their combinations are, and without any reference to what they mean. For our small model that is simply a
# description. We have the table, and there is nothing else in it: Texas is a vector that makes *boots* probable.
# Whether the same holds for models that are a hundred thousand times as large is disputed, and this lecture cannot
# settle it. It can say what follows for likelihoods, for those are computed in the same way everywhere.
#
# **What a likelihood at a gap is.** How probable this token is at this place, given these other tokens, in text like
# the text of the training, as this one model has learned it.
#
# **What it is not:**
#
# - *Not the world.* Text is not a sample of what happens. The usual goes without saying and so is not said: people
#   write of murders much more often than of blinking (Gordon and Van Durme 2013 call it reporting bias). The women who
#   drive in 1908 are in our text because a table says so.
# - *Not a belief.* Nothing in the model says yes or no. In sections 5 and 6 the same facts gave different numbers in
#   other words.
# - *Not a harm, and not its absence.* A difference at a gap says nothing about what a system does with it. Measures at
#   gaps and measures in use often disagree (Delobelle et al. 2022), and Blodgett et al. (2020) ask of every paper on
#   "bias": what is harmful here, to whom, and why?
# - *Not complete.* We looked at he and she because the table had these two. Who is not in the templates is not in the
#   result.
#
# **And so, when you report one:** say which model, which templates (all of them), which words and how they were chosen,
# over what the interval is, how many things were looked at, and what the null control gave.

# %% [markdown]
# ## Summary
#
# - A masked language model gives every word a probability at a gap. The KL divergence compares it with what was there;
#   for real text nobody has that table.
# - Ratios, not differences of probabilities, and only for words that have a chance. Between two *targets* the prior has
#   to come off.
# - The pseudo-log-likelihood counts shared information twice and lets words of several tokens in for free. A number of
#   gaps is a hint.
# - An interval is over what was varied. Over templates it was narrow around differences that were planted as 0. Only a
#   null control shows that.
# - A permutation test turns whole pairs; against the largest of all words it stays honest when many are looked at.
# - The association follows the text: turn the text, and it goes. The price can be computed.
# - A likelihood is about text, as one model learned it. It is not the world, and no belief.
#
# ## Further reading
#
# - E. M. Bender, T. Gebru, A. McMillan-Major and S. Shmitchell (2021). *On the Dangers of Stochastic Parrots: Can
#   Language Models Be Too Big?* FAccT. [doi:10.1145/3442188.3445922](https://doi.org/10.1145/3442188.3445922)
# - S. L. Blodgett, S. Barocas, H. Daumé III and H. Wallach (2020). *Language (Technology) is Power: A Critical Survey
#   of "Bias" in NLP.* ACL. [arXiv:2005.14050](https://arxiv.org/abs/2005.14050)
# - A. Caliskan, J. J. Bryson and A. Narayanan (2017). *Semantics derived automatically from language corpora contain
#   human-like biases.* Science 356. [arXiv:1608.07187](https://arxiv.org/abs/1608.07187)
# - P. Delobelle, E. Tokpo, T. Calders and B. Berendt (2022). *Measuring Fairness with Biased Rulers: A Comparative
#   Study on Bias Metrics for Pre-trained Language Models.* NAACL. [arXiv:2112.07447](https://arxiv.org/abs/2112.07447)
# - B. Efron (1979). *Bootstrap Methods: Another Look at the Jackknife.* Annals of Statistics 7.
# - A. Ettinger (2020). *What BERT Is Not: Lessons from a New Suite of Psycholinguistic Diagnostics for Language
#   Models.* TACL 8. [arXiv:1907.13528](https://arxiv.org/abs/1907.13528)
# - H. Gonen and Y. Goldberg (2019). *Lipstick on a Pig: Debiasing Methods Cover up Systematic Gender Biases in Word
#   Embeddings But do not Remove Them.* NAACL. [arXiv:1903.03862](https://arxiv.org/abs/1903.03862)
# - J. Gordon and B. Van Durme (2013). *Reporting Bias and Knowledge Acquisition.* AKBC.
# - R. Hall Maudslay, H. Gonen, R. Cotterell and S. Teufel (2019). *It's All in the Name: Mitigating Gender Bias with
#   Name-Based Counterfactual Data Substitution.* EMNLP. [arXiv:1909.00871](https://arxiv.org/abs/1909.00871)
# - C. Kauf and A. Ivanova (2023). *A Better Way to Do Masked Language Model Scoring.* ACL.
#   [arXiv:2305.10588](https://arxiv.org/abs/2305.10588)
# - K. Kurita, N. Vyas, A. Pareek, A. W. Black and Y. Tsvetkov (2019). *Measuring Bias in Contextualized Word
#   Representations.* Workshop on Gender Bias in NLP. [arXiv:1906.07337](https://arxiv.org/abs/1906.07337)
# - K. Lu, P. Mardziel, F. Wu, P. Amancharla and A. Datta (2018). *Gender Bias in Neural Natural Language Processing.*
#   [arXiv:1807.11714](https://arxiv.org/abs/1807.11714)
# - A. Pearce (2021). *What Have Language Models Learned?* PAIR Explorables.
#   [pair.withgoogle.com/explorables/fill-in-the-blank](https://pair.withgoogle.com/explorables/fill-in-the-blank/)
# - J. Salazar, D. Liang, T. Q. Nguyen and K. Kirchhoff (2020). *Masked Language Model Scoring.* ACL.
#   [arXiv:1910.14659](https://arxiv.org/abs/1910.14659)
# - P. Seshadri, P. Pezeshkpour and S. Singh (2022). *Quantifying Social Biases Using Templates is Unreliable.*
#   [arXiv:2210.04337](https://arxiv.org/abs/2210.04337)
# - P. H. Westfall and S. S. Young (1993). *Resampling-Based Multiple Testing.* Wiley.
