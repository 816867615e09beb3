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
# # 12 · Fine-tuning BERT
#
# [![Open in Colab](attachment:open_in_colab.png)](https://colab.research.google.com/github/coursekit/coursekit/blob/main/notebooks/12_bert_fine_tuning.ipynb)
#
# *The camera quality is excellent, but the battery life is disappointing.* Is that a good review? Lecture 11 had a BERT
# that gives every word a vector that knows its sentence. Nobody asked it for an opinion yet. In this lecture a thousand
# examples or two, and at most a few thousand new numbers, turn it into a judge of reviews, a finder of names and an
# answerer of questions. At least as much of the lecture is about another question: how do you know that it works?
#
# **You will be able to**
#
# - put a head on a pretrained model and train all of it, with warm-up, decay and dynamic padding, and say why;
# - judge a model beside baselines, over three seeds, on text that differs from the training text;
# - read errors by kind, and measure whether a model is as sure as it may be;
# - bring labels of words to pieces of words, and count names strictly;
# - find the best span from start and end scores, with windows and with "no answer";
# - say what is computed where when one training runs on many processes.
#
# **Time** about 150 minutes of reading and trying; about three minutes of computing on two CPU cores, half of it in
# section 8. Where there is a GPU the same cells use it; sizes stay as they are, so that figures can be compared.
#
# **You need** lecture 11 (the model), lecture 03 (WordPiece), and section 4 of lecture 09 for baselines.
#
# **Exercises** stand at the ends of sections. Put your answer in place of `...`, run the cell and the one below it:
# `coursekit.check` says whether it is right, and if not, which mistake it is. `coursekit.hint("12.best_span")` and
# `coursekit.solution("12.best_span")` help on, `coursekit.progress()` shows what you have done. No other cell needs
# your answers.

# %%
try:
    import coursekit
except ImportError:  # a fresh Colab: whatever it has (numpy, torch, tensorflow) stays as it is
    # %pip install --quiet --no-deps git+https://github.com/coursekit/coursekit
    import coursekit

coursekit.start(seed=0, threads=2)

# %%
import copy
import math
import re
import tempfile
import textwrap
import warnings
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from safetensors import safe_open
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, confusion_matrix
from sklearn.pipeline import make_pipeline

# %%
from coursekit import calibration, plots, pretrained, results, squad
from coursekit import torch as ct
from coursekit.datasets.entities import IGNORED, LABELS, TYPES, align, align_batch, entities, spans
from coursekit.datasets.questions import questions
from coursekit.datasets.reviews import reviews
from coursekit.text import WordPiece
from coursekit.torch.training import adamw, batches, token_cross_entropy

np.set_printoptions(precision=3, suppress=True, floatmode="fixed")
device = coursekit.device.best("torch")

# %% [markdown]
# ## 1. Reviews, and a bag of words
#
# Our reviews are for or against a product. 1,600 of them, made by a generator of ours, are for training. The test is
# written by hand, in sentences that the generator does not know. Many reviews of the test have a **mirror image**: a
# small change turns the opinion round.

# %%
# NBVAL_CHECK_OUTPUT
texts = {split: reviews(split) for split in ("train", "validation", "test", "unseen", "hard")}
for split, rows in texts.items():
    kinds = Counter(review.kind for review in rows)
    print(f"{split:10} {len(rows):5,} reviews, {np.mean([review.label for review in rows]):.0%} for:",
          ", ".join(f"{kind} {n}" for kind, n in kinds.most_common(4)), "…")
print()
for review in texts["test"][:2] + texts["test"][4:6]:
    print(review.label, review.text)

# %% [markdown]
# `validation` is about products that training never shows, and `unseen` uses adjectives that it never shows. `hard` is
# by hand as well, but says between the lines what it means: irony, or a fact that leaves the conclusion to you. Keep an
# eye on it.
#
# First the simplest thing that reads. A **bag of words** counts the words of a text and forgets their order; a
# logistic regression gives each word a weight.
#
# **Predict.** The first two reviews above have opposite labels. How many of the two can a bag of words get right?

# %%
# NBVAL_CHECK_OUTPUT
def bag(text):
    return Counter(re.findall(r"\w+", text.lower()))


first, second = texts["test"][:2]
print("the same bag:", bag(first.text) == bag(second.text), "and opposite labels:", first.label != second.label)
words = make_pipeline(CountVectorizer(), LogisticRegression(max_iter=1000))
words.fit([review.text for review in texts["train"]], [review.label for review in texts["train"]])
for split in ("train", "test"):
    found = words.predict([review.text for review in texts[split]])
    print(f"bag of words, {split:5}: {accuracy_score([r.label for r in texts[split]], found):.0%} right")

# %% [markdown]
# One, whatever the weights are. To most reviews here a bag of words is blind on purpose: words of praise stand in both
# labels, where they are negated, conceded, or said of something else. That makes it an honest hurdle for a model that
# claims to read, and no fair picture of reviews in the wild, where a bag of words does rather well. (On sentences
# about films, which nobody here wrote, it is far above one half; the project's README has that table.)
#
# ## 2. A head on BERT
#
# The recipe of 2018 fits into one line: take the vector that the pretrained network gives at `[CLS]`, pass it through
# one small layer (the *pooler*, whose weights are in the file), multiply it by a small matrix, and train *everything*
# on the labels.

# %%
coursekit.show_source(ct.BertForSequenceClassification.forward)

# %%
# NBVAL_CHECK_OUTPUT
folder = pretrained.find(required=False)
if folder:
    tokenizer = WordPiece.load(folder / "vocab.txt")
    coursekit.seed_everything(0)
    judge = ct.BertForSequenceClassification.from_pretrained(n_classes=2).to(device)
    sizes = {name: weight.numel() for name, weight in judge.named_parameters()}
    new = sum(size for name, size in sizes.items() if name.startswith("classifier"))
    print(f"{sum(sizes.values()):,} numbers, of which {new} are new")

# %% [markdown]
# The message is worth reading. 770 numbers were drawn at random: whatever the model answers now is a guess, however
# pretrained the rest may be. Somebody who overlooks this and evaluates at once gets a number that looks like a bad
# model.
#
# **Predict.** What will it say about our two reviews before training?

# %%
def tensors(batch):
    """The inputs of our models, (ids, mask, segment_ids)."""
    return tuple(torch.from_numpy(part).to(device) for part in (batch.ids, batch.mask, batch.segment_ids))


def p_good(sentences):
    with torch.no_grad():
        return judge(*tensors(tokenizer.encode_batch(sentences))).softmax(-1)[:, 1].tolist()


if folder:
    for text, p in zip((first.text, second.text), p_good([first.text, second.text])):
        print(f"{p:.2f} {text}")

# %% [markdown]
# About one half, for both. Labels are whole numbers from 0, and one that does not fit is refused by the loss. Without
# that check a GPU fails somewhere else, in words that do not help:

# %%
# NBVAL_CHECK_OUTPUT
try:
    token_cross_entropy(torch.zeros(3, 2), torch.tensor([0, 1, 2]))
except ValueError as error:
    print(error)

# %% [markdown]
# ## 3. Padding: what is computed for nothing
#
# A batch is a rectangle, and reviews have different lengths. What is filled up is computed like everything else and
# thrown away afterwards. Tutorials often pad every text to 128 tokens.
#
# **Predict.** Our reviews have 18 tokens on average. What share of the work is then for nothing?

# %%
# NBVAL_CHECK_OUTPUT
if folder:
    inputs = {split: tensors(tokenizer.encode_batch([review.text for review in rows]))
              for split, rows in texts.items()}
    labels = {split: torch.tensor([review.label for review in rows]).to(device) for split, rows in texts.items()}
    lengths = inputs["train"][1].sum(1).cpu()
    shuffled = lengths[torch.randperm(len(lengths), generator=torch.Generator().manual_seed(0))].split(16)
    bucketed = [part[1] for part, _, _ in batches((inputs["train"], labels["train"]), 16, dynamic_padding=True,
                                                  order=torch.Generator().manual_seed(0))]
    computed = {"to 128": len(lengths) * 128,
                "to the longest of all": len(lengths) * lengths.max().item(),
                "to the longest of the batch": sum(len(part) * part.max().item() for part in shuffled),
                "the same, lengths together": sum(mask.numel() for mask in bucketed)}
    rows = [{"way": way, "places": places, "padding": 1 - lengths.sum().item() / places,
             "times": places / computed["the same, lengths together"]} for way, places in computed.items()]
    results.table(rows, {"Padded": "{way}", "Places": "{places:,}", "Of these padding": "{padding:.0%}",
                         "Work": "{times:.1f}"}, "1,600 reviews, batches of 16, one epoch.")

# %% [markdown]
# Six sevenths for nothing, and seven times the work. Cutting each batch after its own longest text
# (**dynamic padding**) helps; putting texts of like length into one batch (**bucketing**) removes nearly all of the
# rest. `fit` does both with `dynamic_padding=True`. It sorts within pools of 20 batches and then shuffles the batches,
# for an order by length alone would show the model all short texts first. Nothing changes in the result of a text: the
# mask of lecture 11 keeps padding out of attention. What does change is which texts share a step.
#
# ### Texts that are too long
#
# The other end: a model has a maximum length, 512 for ours, and whatever is longer must be cut. Say how much is lost.
# Suppose we allowed 16 tokens only:

# %%
# NBVAL_CHECK_OUTPUT
if folder:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        tokenizer.encode_batch([review.text for review in texts["test"]], max_length=16)
    print(caught[0].message)
    print(tokenizer.decode(tokenizer.encode(first.text, max_length=9).ids))

# %% [markdown]
# The end of our sentence is exactly what decides. Cutting is no small thing just because no error comes; for questions
# about long texts section 8 has something better, windows.

# %% [markdown]
# ### Exercise 12.padding_by_hand: Padding by hand
#
# Difficulty ●○○○○ (1 of 5), about 4 minutes, 1 point
#
# Six texts have 4, 12, 5, 11, 6 and 10 tokens. They are sorted by length, taken two at a time, and each batch is padded
# to its own longest text. What share of all places that are computed is padding? Give `padding_by_hand` that number.

# %%
padding_by_hand = ...

# %%
coursekit.check("12.padding_by_hand")

# %% [markdown]
# ## 4. The recipe
#
# Four decisions, each for a reason.
#
# **A small learning rate that rises and falls.** The weights are good already; steps as large as in training from
# scratch would wash them out. Adam divides a gradient by its own recent size. In the first step that size is known
# from this one gradient: $m = g$, $v = g^2$, and so the step is $\eta\, g / \sqrt{g^2} = \pm\eta$ for *every* weight,
# whether its gradient is large or next to nothing. And the gradients come through 770 random numbers. So the rate
# begins near zero and rises while Adam gets to know the gradients and the head stops being random. Then it falls in a
# straight line to zero.

# %%
# NBVAL_CHECK_OUTPUT
weight = torch.zeros(4, requires_grad=True)
optimizer = torch.optim.Adam([weight], lr=3e-4)
weight.grad = torch.tensor([5.0, 0.02, -1e-5, -40.0])
optimizer.step()
print("gradients  ", weight.grad.tolist())
print("first step ", [round(number, 6) for number in weight.tolist()])

# %%
STEPS = 2 * math.ceil(1600 / 16)  # two epochs
schedule = ct.linear_decay(3e-4, STEPS // 10, STEPS)
at = np.arange(1, STEPS + 1)
plots.curves({"rises, then falls": (at, [schedule(step) for step in at]), "constant": (at, [3e-4] * STEPS)},
             xlabel="step", ylabel="learning rate", title="The learning rate of our two epochs",
             alt="Learning rate against 200 steps. It rises in a straight line to 0.0003 within 20 steps and then "
                 "falls in a straight line to nearly zero; beside it a constant rate of 0.0003.")

# %% [markdown]
# **Weights decay, biases and norms do not.** AdamW makes matrices a little smaller at every step. A bias has no reason
# to be small, and a norm's gain should be near one, not near zero.
#
# **The gradient is clipped** to a norm of 1, so that one strange batch cannot do much.
#
# **The token embeddings are frozen.** They are more than half of the model.

# %%
# NBVAL_CHECK_OUTPUT
if folder:
    tokens = sizes["bert.token_embedding.weight"]
    print(f"token embeddings: {tokens:,} of {sum(sizes.values()):,} numbers, {tokens / sum(sizes.values()):.0%}")
    used = torch.cat([ids[mask] for ids, mask, _ in inputs.values()]).unique()
    print(f"rows of words that occur in any of our reviews: {len(used):,} of {judge.config.vocab_size:,}")
    judge.bert.token_embedding.weight.requires_grad_(False)
    for group in adamw(judge, 3e-4, weight_decay=0.01).param_groups:
        print(f"decay {group['weight_decay']}: {len(group['params'])} tensors, "
              f"{sum(weight.numel() for weight in group['params']):,} numbers")

# %% [markdown]
# A text touches a few rows of that table, but its gradient is a full table, nearly all zeros, and Adam moves its
# averages and its weights in full, at every step. That is memory traffic for 11.7 million numbers to learn something
# about fewer than two thousand words, of which most occur only a few times. Frozen, training took two thirds of the
# time when we measured it, and section 7 has the table that says what it costs in quality.
#
# Now train. `fine_tune` is all of the above; the loss is the cross-entropy of lecture 09.

# %%
def fine_tune(model, data, *, epochs, rate, seed=0, loss=token_cross_entropy):
    """Batches of 16 examples of like length; a tenth of the steps to warm up, then down in a straight line."""
    steps = epochs * math.ceil(len(data[1]) / 16)
    schedule = ct.linear_decay(rate, math.ceil(steps / 10), steps)
    return ct.fit(model, data, epochs=epochs, batch_size=16, learning_rate=schedule, weight_decay=0.01, clip=1.0,
                  dynamic_padding=True, loss=loss, seed=seed)


@torch.no_grad()
def predict(model, inputs):
    """What the model gives for every row, a list in the order of the rows; padding may be at their ends."""
    found, rows = {}, torch.arange(len(inputs[0]))
    for part, numbers, _ in batches((inputs, rows), 64, dynamic_padding=True):
        found |= dict(zip(numbers.tolist(), model(*part).cpu()))
    return [found[row] for row in rows.tolist()]


# %%
if folder:
    before = copy.deepcopy(judge.state_dict())
    history = fine_tune(judge, (inputs["train"], labels["train"]), epochs=2, rate=3e-4)
    print("loss of each epoch:", [round(loss, 2) for loss in history["loss"]])

# %% [markdown]
# ## 5. Does it work?
#
# **Predict.** First the pair we began with, then *good* and *bad* with and without *not*. Which of these will it get
# wrong?

# %%
if folder:
    asked = [first.text, second.text, "It is good.", "It is bad.", "It is not good.", "It is not bad.",
             "Not good.", "Not bad.", "Nobody could call this camera bad.", "I would buy it again if it were free."]
    for text, p in zip(asked, p_good(asked)):
        print(f"{p:.2f} {text}")

# %%
# NBVAL_CHECK_OUTPUT
if folder:
    p = p_good([first.text, second.text, "It is good.", "It is bad."])
    print("our pair is told apart:", p[0] < 0.5 < p[1])
    print("good above bad:", p[2] > p[3])

# %% [markdown]
# A number is a probability *for*. The pair, which no bag of words can split, is split, and *not bad* is told from
# *not good*. The last two are harder, and when we ran this one of them was taken for what it seems to say. Single
# sentences are anecdotes, though. So now the tests, with baselines, in a table of three seeds
# (`benchmarks/fine_tuning_tasks.py reviews`, run elsewhere and stored), and below it the one model that you have
# trained here.

# %%
results.stored_table("fine_tuning_reviews")

# %%
def both_right(rows, right):
    """Share of the pairs of mirror images of which both are right."""
    pairs = defaultdict(list)
    for review, hit in zip(rows, right):
        if review.pair is not None:
            pairs[review.pair].append(bool(hit))
    return float(np.mean([all(hits) for hits in pairs.values()]))


if folder:
    logits = {split: torch.stack(predict(judge, inputs[split])).numpy()
              for split in ("validation", "test", "unseen", "hard")}
    answers_of = {split: each.argmax(1) for split, each in logits.items()}
    live = {split: accuracy_score(labels[split].cpu(), found) for split, found in answers_of.items()}
    live["pairs"] = both_right(texts["test"], answers_of["test"] == labels["test"].cpu().numpy())
    print(", ".join(f"{split} {share:.1%}" for split, share in live.items()))

# %%
# NBVAL_CHECK_OUTPUT
stored = {row["model"]: row for row in results.over_seeds(results.load("fine_tuning_reviews")[0], ["model"])}
tuned, counted = stored["BERT, fine-tuned"], stored["bag of words and word pairs"]
for split in ("test", "pairs", "unseen"):
    print(f"stored, {split}: every seed of BERT more than 15 points above the bag of words:",
          tuned[f"{split}_low"] > counted[split] + 0.15)
if folder:
    print("live, test: more than 15 points above the bag of words:", live["test"] > counted["test"] + 0.15)
    print("live: at least 10 points worse between the lines than in plain words:",
          live["hard"] < live["test"] - 0.1)

# %% [markdown]
# From the top. The **bag of words** is where a coin is, and of the pairs it gets 8 % right, where a coin would get 25
# %: mirror images share most of their words, so it says the same of both. **Frozen BERT**, its vectors as they are and
# a logistic regression on their means, does better, and yet gets only one pair in three. **The same network with random
# weights** (its token embeddings frozen as well, as they were drawn) ends at one half in all three runs, and with no
# pair right: it says the same of every text. 200 steps on 1,600 short texts teach nobody English. **Fine-tuned**, it is
# right in 90 %, with both of a pair in 84 %, and adjectives that training never shows cost little: in our live run it
# had 83 % with them, and 85 % on the validation reviews, which are generated as well. What it learned is how *but*,
# *although* and *not* turn an opinion round; what *abysmal* means it knew before.
#
# The last row is the same training with ten times the learning rate: one half, in all three runs. Steps of this size
# take the network apart before they can teach it anything. No error is raised, no number becomes infinite; a rate that
# is right for training from scratch does this to pretrained weights.
#
# And between the lines nothing of all this helps. There it is a coin, although the generator has some irony in
# training, too: what was learned from its few frames does not carry over to irony by hand.

# %% [markdown]
# ### Where is it wrong?
#
# 140 texts are few. If the true share were 90 %, the next 140 texts would give between 85 and 95 % in 95 of 100 cases:
# $2\sqrt{0.9 \cdot 0.1 / 140} = 0.05$. By kind the groups are smaller still. The intervals below add two hits and two
# misses to each group (Agresti and Coull 1998), so that 20 of 20 does not look like certainty. Where intervals overlap
# like these, the table is a place to look and not a ranking.

# %%
if folder:
    truth = labels["test"].cpu().numpy()
    kinds = defaultdict(list)
    for review, hit in zip(texts["test"], answers_of["test"] == truth):
        kinds[review.kind].append(hit)
    rows = []
    for kind, hits in sorted(kinds.items(), key=lambda item: np.mean(item[1])):
        middle, n = (sum(hits) + 2) / (len(hits) + 4), len(hits) + 4
        width = 2 * math.sqrt(middle * (1 - middle) / n)
        rows.append({"kind": kind, "n": len(hits), "right": float(np.mean(hits)),
                     "low": middle - width, "high": min(1, middle + width)})
    results.table(rows, {"Kind": "{kind}", "Texts": "{n:d}", "Right": "{right:.0%}",
                         "95 % interval": "{low:.0%} to {high:.0%}"},
                  "The test by hand, by kind of review (live, one seed).")
    print("rows: truly against, for; columns: called against, for")
    print(confusion_matrix(truth, answers_of["test"]))

# %% [markdown]
# Now the errors themselves, the surest first. Before you scroll on, decide for each what the word or phrase is that
# leads the model astray.

# %%
if folder:
    p = torch.from_numpy(logits["test"]).softmax(-1)[:, 1].numpy()
    wrong = sorted(np.flatnonzero(answers_of["test"] != truth), key=lambda i: -abs(p[i] - 0.5))
    for i in wrong[:8]:
        print(f"{p[i]:.2f}  should be {truth[i]}, {texts['test'][i].kind:11} {texts['test'][i].text}")
    p_hard = torch.from_numpy(logits["hard"]).softmax(-1)[:, 1].numpy()
    print("\nbetween the lines:")
    surest = sorted(np.flatnonzero(answers_of["hard"] != labels["hard"].cpu().numpy()),
                    key=lambda i: -abs(p_hard[i] - 0.5))
    for i in surest[:5]:
        print(f"{p_hard[i]:.2f}  should be {texts['hard'][i].label}  {texts['hard'][i].text}")

# %% [markdown]
# What we saw in our run: a turn without a word that marks it (*Horrible bottle, gorgeous smell*); praise first, and
# the fact that undoes it at the end (*Cute design, sturdy clips. Unfortunately …*); and sentences whose verdict has to
# be concluded (*I have blisters on both feet*). Between the lines most of the surest errors are irony. The model takes
# words of praise for praise.
#
# Each of these is a guess from a few texts. To find out, write pairs that differ in one thing and ask again:
# `p_good(["Horrible bottle, gorgeous smell.", "Horrible bottle, but a gorgeous smell."])`.

# %% [markdown]
# ## 6. Is it as sure as it may be?
#
# A model that says 0.95 should be right in 95 of 100 such cases. That is **calibration**, and accuracy says nothing
# about it: a model may be right often and far too sure of the rest.
#
# By hand, with ten predictions. Six have a confidence of 0.9, and four of these are right; four have a confidence of
# 0.6, and three of these are right.
#
# - first group: confidence 0.9, right $4/6 = 0.667$, distance 0.233;
# - second group: confidence 0.6, right $3/4 = 0.75$, distance 0.15, in the other direction;
# - **expected calibration error**: $\frac{6}{10} \cdot 0.233 + \frac{4}{10} \cdot 0.15 = 0.2$.
#
# **Predict.** Mean confidence is $0.6 \cdot 0.9 + 0.4 \cdot 0.6 = 0.78$ and 7 of 10 are right. Why is the error not
# $0.78 - 0.7 = 0.08$?

# %%
# NBVAL_CHECK_OUTPUT
confidence = np.array([0.9] * 6 + [0.6] * 4)
right = np.array([1, 1, 1, 1, 0, 0, 1, 1, 1, 0])
pairs_of = np.stack([confidence, 1 - confidence], axis=1)  # class 0 is predicted
error = calibration.expected_calibration_error(pairs_of, 1 - right)
print(f"expected calibration error {error:.3f}")
print(f"all at once                {abs(confidence.mean() - right.mean()):.3f}")

# %% [markdown]
# Because the two groups err in opposite directions, and all at once they make up for each other. Nobody who acts on
# single predictions is helped by that.
#
# Now our model. The figure sorts the test texts by confidence into ten bins of equal width; with two classes
# confidence is at least one half, so five can be used. Points below the line are bins that are too sure.

# %%
def reliability_diagram(axes, probabilities, labels, title):
    counts, confidence, accuracy = calibration.reliability(probabilities, labels)
    axes.plot([0.5, 1], [0.5, 1], color=plots.COLOURS[-1], linestyle=":", label="as sure as right")
    axes.plot(confidence, accuracy, color=plots.COLOURS[0], marker="o", label="bins, with their number of texts")
    for n, x, y in zip(counts, confidence, accuracy):
        axes.annotate(f"{n:.0f}", (x, y), textcoords="offset points", xytext=(6, -12), fontsize=9)
    error = calibration.expected_calibration_error(probabilities, labels)
    axes.set(xlabel="mean confidence", ylabel="share right", xlim=(0.48, 1.03), ylim=(-0.03, 1.05),
             title=f"{title}\nexpected calibration error {error:.2f}")
    axes.grid(alpha=0.3)

# %%
if folder:
    best = calibration.temperature(logits["validation"], labels["validation"].cpu().numpy())
    panels = {"By hand, as trained": ("test", 1.0), f"By hand, temperature {best:.2f}": ("test", best),
              "Between the lines, as trained": ("hard", 1.0)}
    figure = Figure(figsize=(11, 3.9), layout="constrained")
    for axes, (title, (split, by)) in zip(figure.subplots(1, 3, sharey=True), panels.items()):
        probabilities = torch.from_numpy(logits[split] / by).softmax(-1).numpy()
        reliability_diagram(axes, probabilities, labels[split].cpu().numpy(), title)
        axes.label_outer()
    axes.legend(loc="lower right", fontsize=8)
    plots.show(figure, "Three reliability diagrams: share of right predictions against mean confidence, by bin, beside "
                       "a dotted diagonal. For the reviews by hand most texts are in the surest bin, which lies near "
                       "the diagonal; bins with few texts scatter. Between the lines the surest bin has most texts as "
                       "well, and lies far below the diagonal.")

# %% [markdown]
# **Temperature** divides all logits by one number $T$, as in lecture 09. It changes no prediction, for the order
# stays; it only makes all confidences smaller ($T > 1$) or larger. The $T$ is chosen on the validation texts, by
# likelihood: one number to learn, and little that can go wrong.
#
# Two cautions. With 140 texts even a model whose probabilities are exactly right does not get the error 0; the table
# has the error of labels that are drawn with the model's very own probabilities. And the validation texts come from the
# generator, and the test was written by hand.
#
# **Predict.** What is right for the plain reviews: is it right between the lines?

# %%
results.stored_table("fine_tuning_calibration")

# %%
# NBVAL_CHECK_OUTPUT
measured = results.over_seeds(results.load("fine_tuning_calibration")[0], ["texts", "model"])
for row in measured:
    print(f"{row['texts']:18} {row['model']:18} error more than 10 points above chance:",
          row["error"] > row["by_chance"] + 0.1)
if folder:
    found = [(logits["test"] / by).argmax(1) for by in (1.0, best)]
    print("live: the temperature changed no prediction:", np.array_equal(*found))
    p_best = torch.from_numpy(logits["hard"]).softmax(-1).max(-1).values.mean().item()
    print("live, between the lines: confidence more than 15 points above the share right:",
          p_best > live["hard"] + 0.15)

# %% [markdown]
# Mind the axes: the bins with few texts say little. On the plain reviews there is nothing that had to be mended in the
# three stored runs: the model is about as sure as it is right, the error is what chance gives, and the temperature
# that suits the validation texts makes it a little larger every time. Your live run may look worse or better, and its
# temperature may seem to help. On 140 texts that is noise.
#
# Between the lines the same model is right about as often as a coin, and still 82 % sure of itself, against 90 %
# before. A temperature of 1.2 does not begin to mend that. Calibration is a statement about a model *and a kind of
# text*, and it breaks where you would need it most: where the texts are no longer those that it was measured on. (Guo
# and others (2017) found large image networks far too sure on their own kind of data. Ours, fine-tuned for two epochs,
# is not. Such findings have to be measured, not cited.)

# %% [markdown]
# ### Exercise 12.calibration_error: Expected calibration error
#
# Difficulty ●●●○○ (3 of 5), about 15 minutes, 3 points
#
# Write `calibration_error`. The prediction for an example is its most probable class, and its confidence that
# probability. Sort the examples by confidence into `bins` bins of equal width from 0 to 1. The error is the mean, over
# the bins and weighted by their numbers of examples, of the distance between the share of right predictions and the
# mean confidence of a bin. No confidence lies on the border of two bins.

# %%
def calibration_error(probabilities, labels, bins):
    """The error, a number, of probabilities (examples, classes) and labels (examples,), whole numbers."""
    ...

# %%
coursekit.check("12.calibration_error")

# %% [markdown]
# ### What changed in the weights
#
# We kept a copy of the weights from before. How far did each part move, as a share of its size,
# $\lVert W' - W \rVert / \lVert W \rVert$?
#
# **Predict.** Which layers move most, the first or the last? And by how much: 1 %, 10 %, 50 %?

# %%
def part_of(name):
    """Where in the model a weight is; segments and the embedding's norm are counted with the positions."""
    if found := re.search(r"layers\.(\d)", name):
        return f"layer {int(found[1]) + 1}"
    return {"token_embedding": "tokens", "classifier": "classifier", "pooler": "pooler"}.get(
        name.removeprefix("bert.").split(".")[0], "positions")


def moved(before, after):
    """Of each part: the root mean square of its weights, and of how far they moved."""
    sizes, squares, changes = Counter(), Counter(), Counter()
    for name, weight in before.items():
        part = part_of(name)
        sizes[part] += weight.numel()
        squares[part] += weight.square().sum().item()
        changes[part] += (after[name] - weight).square().sum().item()
    return {part: (math.sqrt(squares[part] / n), math.sqrt(changes[part] / n)) for part, n in sizes.items()}

# %%
if folder:
    parts = moved(before, judge.state_dict())
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right_axes = figure.subplots(1, 2)
    for axes, title, heights in ((left, "‖W′ − W‖ / √n", [change for _, change in parts.values()]),
                                 (right_axes, "‖W′ − W‖ / ‖W‖", [change / size for size, change in parts.values()])):
        axes.bar(list(parts), heights, color=plots.COLOURS[0])
        axes.set(title=title, ylabel="how far it moved")
        axes.tick_params(axis="x", rotation=60)
    plots.show(figure, "Two bar charts by part of the model. On the left the root mean square of the change of a "
                       "weight: nothing for the frozen tokens, and about the same for all six layers. On the right "
                       "the change relative to the weights' size: about a twentieth for each layer, most for the "
                       "pooler.")

# %%
# NBVAL_CHECK_OUTPUT
if folder:
    layers = [change / size for part, (size, change) in parts.items() if part.startswith("layer")]
    print("frozen tokens moved by exactly", parts["tokens"][1])
    print("every layer by 1 to 10 % of its size:", 0.01 < min(layers) and max(layers) < 0.1)
    print("no layer more than twice as far as another:", max(layers) < 2 * min(layers))
    print("the pooler, whose weights are small, relatively more:",
          parts["pooler"][1] / parts["pooler"][0] > max(layers))
    rates = sum(schedule(step) for step in range(1, STEPS + 1))
    print(f"all rates of the training added up: {rates:.3f}")

# %% [markdown]
# All layers moved about alike, by a twentieth of their size. That is no discovery about BERT, it is Adam: every
# weight's step is about as large as the rate, whatever its gradient, and so the sum of all rates, 0.03, is about as far
# as a weight could come that always went the same way. Relative to its size a part moves far when its weights are
# small. The pooler's are; the sentence vectors that this network was last trained for do not use it (they are means
# over the tokens). "The upper layers change most" is a popular finding of this kind of figure. Before you believe it,
# look at the sizes and at the optimizer.
#
# A small distance is no proof that little was forgotten: after fine-tuning this network is a judge of reviews, and
# lecture 11's experiments with it may come out differently. Keep the original.
#
# ## 7. Names: a decision for every token
#
# Who, where, which firm? **Named entity recognition** puts a label on every word: `B-PER` begins a person, `I-PER`
# continues it, `O` is outside; likewise `ORG` and `LOC`. With three types that makes seven labels.

# %%
# NBVAL_CHECK_OUTPUT
named = {split: entities(split) for split in ("train", "test_seen", "test_unseen", "test_written")}
named["train"] = named["train"][:800]
for split in ("train", "test_written"):
    for words, word_labels in named[split][:2]:
        print(f"{split:13}", " ".join(word if label == "O" else f"{word}/{label}"
                                      for word, label in zip(words, word_labels)))
counted = Counter(label for sentence in named["train"] for label in sentence.labels)
print(f"O is {counted['O'] / counted.total():.0%} of {counted.total():,} labels")

# %% [markdown]
# Say "O" every time, and three quarters of the words are right and no name is found. Accuracy of words is the wrong
# measure; we count names.
#
# The labels belong to words and the model has pieces. The first piece of a word carries its label; the others, the
# special tokens and the padding get −100, which the loss leaves out.

# %%
# NBVAL_CHECK_OUTPUT
if folder:
    words, word_labels = named["test_written"][0]
    aligned = align(tokenizer, words, word_labels)
    print(f"{'token':10} {'word':>4} target")
    for id, word, target in list(zip(aligned.ids, aligned.words, aligned.targets))[:14]:
        label = LABELS[target] if target != IGNORED else "–"
        print(f"{tokenizer.vocabulary.token(id):10} {'–' if word is None else word:>4} {label}")

# %% [markdown]
# ### Exercise 12.aligned_labels: From the labels of words to targets of tokens
#
# Difficulty ●●○○○ (2 of 5), about 10 minutes, 2 points
#
# A sentence has one label for each word, the model one place for each token. Write `aligned_labels`: the first token of
# a word has the word's label as its target; every other token has -100, which the loss leaves out. `words` says for
# each token which word it is from, and -1 at [CLS], [SEP] and padding.

# %%
import numpy as np


def aligned_labels(words, labels):
    """The targets (length,), of words (length,), the number of each token's word or -1, and labels (n_words,)."""
    ...

# %%
coursekit.check("12.aligned_labels")

# %% [markdown]
# ### A list of names
#
# A **gazetteer** is a list of names and their types, here those of the training text. It is what people built for
# decades.

# %%
def gazetteer(sentences):
    """The names of these sentences, each with its most frequent type: a dictionary from tuples of words."""
    types = defaultdict(Counter)
    for words, labels in sentences:
        for name in spans(labels):
            types[tuple(words[name.start:name.end])][name.type] += 1
    return {name: counted.most_common(1)[0][0] for name, counted in types.items()}


def looked_up(words, names):
    """BIO labels of the longest names that stand in the list, from left to right."""
    labels, place, longest = ["O"] * len(words), 0, max(map(len, names))
    while place < len(words):
        for length in range(longest, 0, -1):
            if (found := names.get(tuple(words[place:place + length]))) and place + length <= len(words):
                labels[place:place + length] = [f"B-{found}"] + [f"I-{found}"] * (length - 1)
                break
        place += length
    return labels


# %% [markdown]
# We count **strictly**: a name is right if its words and its type are. The library `nervaluate` does the counting.
# Precision is the share of right names among those found, recall among those there are, and F1 their harmonic mean.
#
# By hand: the truth is *Bartholomew Finch* (PER) and *Ely* (LOC). Found are *Finch* (PER) and *Ely* (LOC). One right,
# two found, two there: $P = R = F_1 = 1/2$. Half a name is no name.
#
# **Predict.** What will the list's F1 be on names that training never shows? And on names that it does?

# %%
try:
    from nervaluate import Evaluator
except ImportError:  # a fresh Colab
    # %pip install --quiet --no-deps nervaluate
    from nervaluate import Evaluator


def entity_f1(true, predicted):
    """Strict F1 of lists of BIO labels: a name counts if its words and its type are right."""
    found = Evaluator(true, predicted, tags=list(TYPES), loader="list").evaluate()
    return found["overall"]["strict"].f1


# %%
# NBVAL_CHECK_OUTPUT
by_hand = [["B-PER", "I-PER", "O", "B-LOC"]], [["O", "B-PER", "O", "B-LOC"]]
print("by hand:", entity_f1(*by_hand))
names = gazetteer(named["train"])
print(f"{len(names)} names in the list")
for split in ("test_seen", "test_unseen", "test_written"):
    found = [looked_up(sentence.words, names) for sentence in named[split]]
    print(f"{split:12} {entity_f1([sentence.labels for sentence in named[split]], found):.2f}")

# %% [markdown]
# Of seen names it finds somewhat more than half. What it misses are mostly new combinations of words that it knows,
# such as a first and a last name, and then names of two types, such as *Jordan*. On unseen names it is worth nothing at
# all.

# %% [markdown]
# ### Exercise 12.strict_f1: Strict F1 of names
#
# Difficulty ●●●○○ (3 of 5), about 10 minutes, 2 points
#
# A name is right if sentence, type, first word and end are all right. Write `strict_f1`, the harmonic mean of precision
# (right names of those found) and recall (right names of those there are), over all sentences together. Where no name
# is right it is 0. Each row of an array is one name: sentence, type, first word, end; no row comes twice in one array.

# %%
def strict_f1(true, predicted):
    """The F1, a number from 0 to 1, of the names true (n_true, 4) and predicted (n_predicted, 4), whole numbers."""
    ...

# %%
coursekit.check("12.strict_f1")

# %% [markdown]
# ### Fine-tuned
#
# The same recipe, another head: two passes over 800 sentences.

# %%
if folder:
    name_data = {}
    for split, sentences in named.items():
        batch, targets = align_batch(tokenizer, sentences)
        name_data[split] = tensors(batch), torch.from_numpy(targets).to(device)
    coursekit.seed_everything(0)
    finder = ct.BertForTokenClassification.from_pretrained(n_classes=len(LABELS)).to(device)
    finder.bert.token_embedding.weight.requires_grad_(False)
    history = fine_tune(finder, name_data["train"], epochs=2, rate=3e-4)
    print("loss of each epoch:", [round(loss, 2) for loss in history["loss"]])

# %%
def word_labels_of(logits, targets):
    """The label of every word, from the logits of its first piece."""
    chosen = zip(logits.argmax(-1).tolist(), targets.tolist())
    return [LABELS[best] for best, target in chosen if target != IGNORED]


if folder:
    found_names, f1 = {}, {}
    for split in ("test_seen", "test_unseen", "test_written"):
        rows = zip(predict(finder, name_data[split][0]), name_data[split][1])
        found_names[split] = [word_labels_of(*row) for row in rows]
        f1[split] = entity_f1([sentence.labels for sentence in named[split]], found_names[split])
    print("live:", ", ".join(f"{split} {value:.2f}" for split, value in f1.items()))
results.stored_table("fine_tuning_entities")

# %%
# NBVAL_CHECK_OUTPUT
of_seeds = {row["model"]: row for row in results.over_seeds(results.load("fine_tuning_entities")[0], ["model"])}
tuned = of_seeds["BERT, fine-tuned"]
others = [row for name, row in of_seeds.items()
          if name not in ("BERT, fine-tuned", "the same, token embeddings too")]
for split in ("test_seen", "test_unseen", "test_written"):
    best_other = max(others, key=lambda row: row[split])
    print(f"{split:12} best of the others: {best_other['model']}")
    print(f"{'':12} fine-tuned is above it in every seed:", tuned[f"{split}_low"] > best_other[f"{split}_high"])
slower = of_seeds["the same, token embeddings too"]["seconds"] / tuned["seconds"]
print("training the token embeddings too takes at least 1.3 times as long:", slower >= 1.3)
if folder:
    print("live: above 0.8 on unseen names:", f1["test_unseen"] > 0.8)

# %% [markdown]
# Read it from the top. Nobody is helped by "no name at all", though three quarters of its words are right. The list
# finds what it has and nothing else. The bag of a word, its neighbours and its capital is much better than its name:
# *Mr* before, *in* before, a capital letter, and on names that it has never seen it has an F1 of 60 %. A paper that
# compares with the list alone would look better than it is.
#
# Frozen BERT is *below* that bag on unseen names. Two reasons are at hand: its last layer was trained to compare whole
# sentences, and its tokenizer threw the capitals away. What is in there has to be brought out, and that is what
# fine-tuning does: 91 % on names that training never shows. The same network with random weights learns some names by
# heart, and on unseen ones its F1 is 8 %.
#
# By hand it is 73 %, with 8 points between the seeds: with one seed you could have reported 67 or 76. And training the
# token embeddings too costs more than half as much again, for nothing that the seeds would not explain.
#
# ### Where is it wrong?

# %%
if folder:
    mistakes, impossible = Counter(), 0
    for (words, true), guessed in zip(named["test_written"], found_names["test_written"]):
        for label, guess in zip(true, guessed):
            if label != guess:
                mistakes[label.removeprefix("B-").removeprefix("I-"),
                         guess.removeprefix("B-").removeprefix("I-")] += 1
        try:
            spans(guessed)
        except ValueError:
            impossible += 1
    for (true, guess), n in mistakes.most_common(6):
        print(f"{n:3} words of {true:3} called {guess}" + (", B for I or I for B" if true == guess else ""))
    print(f"{impossible} of {len(named['test_written'])} sentences have labels that cannot be")

# %% [markdown]
# "Labels that cannot be": every token is decided by itself, and nothing stops an `I-LOC` after `O`. Our reader of data
# refuses such a sequence; a score has to take it somehow. `nervaluate` lets such an `I` begin a name. A different
# repair gives a different F1, so say which library counted. What would make it impossible is a search for the best
# sequence among those that can be; a conditional random field learns scores for it.
#
# **Predict.** *Jordan*, *Washington*, *Florence* and *Ford* are of several types. Which of these will go wrong?

# %%
if folder:
    for text in ("Jordan flew to Jordan .", "Washington sued Ford in Washington .", "Florence moved to Florence .",
                 "the zorblatt company hired quillon marsh in vexley ."):
        words = text.split()
        batch, targets = align_batch(tokenizer, [entities("train")[0]._replace(words=words, labels=["O"] * len(words))])
        guessed = word_labels_of(predict(finder, tensors(batch))[0], torch.from_numpy(targets[0]))
        print(" ".join(word if label == "O" else f"{word}/{label}" for word, label in zip(words, guessed)))

# %% [markdown]
# The sentence decides, and not the word; where it leaves things open, as in *sued Ford*, the model has to guess. The
# last line has invented names only and no capital letter. Our model is uncased: it never sees capitals at all.

# %% [markdown]
# ## 8. Questions: where does the answer begin, where does it end?
#
# The third head gives two numbers for every token, with no more weights than the first one. The input is question and
# paragraph with `[SEP]` between them, and the answer is a piece of the paragraph. One vector $S$ is compared with every
# token and says how much it looks like a first token of the answer, another, $E$, does so for the last. A span from $i$
# to $j$ has the score $s_i + e_j$, and "no answer" is the span that consists of `[CLS]`.

# %%
# NBVAL_CHECK_OUTPUT
asked = {split: questions(split) for split in ("train", "test_seen", "test_unseen", "two_people", "written")}
asked["train"] = asked["train"][:1600]
for split, rows in asked.items():
    print(f"{split:12} {len(rows):5,} questions, {np.mean([not each.answer for each in rows]):.0%} without an answer")
example = asked["written"][0]
print("\n" + textwrap.fill(example.paragraph, 95))
print("Question:", example.question, "\nAnswer:  ", example.answer, f"(from character {example.start})")

# %%
# NBVAL_CHECK_OUTPUT
if folder:
    window = squad.windows(tokenizer, example.question, example.paragraph, 256, 128)[0]
    first_token, last_token = squad.token_span(window, example.answer, example.start)
    pieces = [tokenizer.vocabulary.token(id) for id in window.ids]
    print(" ".join(pieces[:24]), "…")
    print("targets:", (first_token, last_token), "which are", pieces[first_token:last_token + 1])
    print("without an answer:", squad.token_span(window, "", -1), "which is", pieces[0])

# %% [markdown]
# The loss is a cross-entropy over the *places* of the input: which token is the first? And another one: which is the
# last?
#
# **Predict.** A good bag of words for this task? What could a question and a paragraph give away without being
# understood?

# %%
def windowed(tokenizer, asked):
    """The window of each question, and the tensors (inputs, targets): the first and the last token of the answer."""
    found = [squad.windows(tokenizer, each.question, each.paragraph, 256, 128) for each in asked]
    first = [windows[0] for windows in found]
    targets = [squad.token_span(window, each.answer, each.start) for window, each in zip(first, asked)]
    return first, (tensors(squad.batch(first)), torch.tensor(targets))


def answers(model, asked, windows, inputs):
    """The text of the answer to each question, "" for none."""
    found = []
    for each, window, logits in zip(asked, windows, predict(model, inputs)):
        starts, ends = logits.T.numpy()
        found.append(squad.best_answer(each.paragraph, [window], [starts], [ends]).text)
    return found


# %% [markdown]
# This is the longest training of the lecture: one pass over 1,600 questions, in about a minute on two cores.

# %%
if folder:
    windows_of, question_data = {}, {}
    for split, rows in asked.items():
        windows_of[split], question_data[split] = windowed(tokenizer, rows)
    coursekit.seed_everything(0)
    answerer = ct.BertForQuestionAnswering.from_pretrained().to(device)
    answerer.bert.token_embedding.weight.requires_grad_(False)
    inputs_and_places = question_data["train"][0], question_data["train"][1].to(device)
    history = fine_tune(answerer, inputs_and_places, epochs=1, rate=3e-4, loss=F.cross_entropy)
    print("loss of the epoch:", round(history["loss"][0], 2))

# %% [markdown]
# **Exact match** and **F1** are SQuAD's: both texts in lower case, without punctuation and articles; F1 counts words
# in common, so that *former fire station* for *a former fire station on the hill* is worth something. Without an
# answer both are 1 for silence and 0 for anything else.

# %%
if folder:
    given, scores = {}, {}
    for split in list(asked)[1:]:
        given[split] = answers(answerer, asked[split], windows_of[split], question_data[split][0])
        scores[split] = squad.score(given[split], [each.answer for each in asked[split]])
    print("live, exact / F1:", ", ".join(f"{split} {score['exact']:.2f} / {score['f1']:.2f}"
                                         for split, score in scores.items()))
results.stored_table("fine_tuning_questions")

# %%
# NBVAL_CHECK_OUTPUT
of_seeds = {row["model"]: row for row in results.over_seeds(results.load("fine_tuning_questions")[0], ["model"])}
tuned, counted = of_seeds["BERT, fine-tuned"], of_seeds["bag of words"]
for split in ("test_unseen", "written"):
    print(f"stored, {split:11}: every seed more than 10 points above the bag of words:",
          tuned[f"{split}_low"] > counted[split] + 0.1)
print("two people: at least 20 points below one person, in the mean:",
      tuned["two_people"] < tuned["test_unseen"] - 0.2)
print("a second training, on two people, helps there:",
      of_seeds["and then on two people"]["two_people"] > tuned["two_people"] + 0.05)
if folder:
    print("live: unseen names above 0.6:", scores["test_unseen"]["exact"] > 0.6,
          "and two people at least 0.2 below:", scores["two_people"]["exact"] < scores["test_unseen"]["exact"] - 0.2)

# %% [markdown]
# Silence, always, is right in a quarter of the generated cases and in a fifth of those by hand; that is the floor, and
# frozen BERT and the network with random weights lie near it or below. Then a surprise: a **bag of words** gets more
# than half of the generated questions right. *How much* wants a number, and the word before a price is *for*. It knows
# our templates. By hand it is hardly above silence. That is worth remembering wherever a test set looks like its
# training set.
#
# **Fine-tuned BERT** has 78 % with one person in the paragraph, and unseen names are no harder than seen ones: it
# compares, it does not recite. By hand it has 46 %. And with two people in a paragraph it has 39 %.
#
# ### Where it stops

# %%
if folder:
    rows = []
    for split, found in given.items():
        right = np.array([squad.exact(text, each.answer) for text, each in zip(found, asked[split])])
        there = np.array([bool(each.answer) for each in asked[split]])
        silent = np.array([not text for text in found])
        rows.append({"split": split, "answered": right[there].mean(), "silent": silent[~there].mean(),
                     "missed": silent[there].mean()})
    results.table(rows, {"Questions": "{split}", "Exact, where there is an answer": "{answered:.0%}",
                         "Silent, where there is none": "{silent:.0%}", "Silent, where there is one": "{missed:.0%}"},
                  "The live model, by whether the paragraph has the answer.")

# %%
# NBVAL_CHECK_OUTPUT
if folder:
    silent = {row["split"]: row["silent"] for row in rows}
    print("two people: silent at less than a quarter of the questions without an answer:",
          silent["two_people"] < 0.25)

# %%
if folder:
    told = 0
    for each, text in zip(asked["two_people"], given["two_people"]):
        if not each.answer and text and told < 3:
            told += 1
            print(textwrap.fill(each.paragraph, 95))
            print(f"  {each.question}  →  {text!r}, and the paragraph does not say\n")

# %% [markdown]
# Of two people the model finds the fact and not the person. The question names one of them, the paragraph tells the
# very fact of the other, and the answer is that fact. Training had one person in a paragraph, so that the name was
# never needed: a **shortcut** that every score on such paragraphs hides. A model must be asked questions that its
# shortcut gets wrong, or nobody will know. The last row of the stored table trains on, with 1,200 questions about two
# people, as long again: 47 % instead of 39 %, paid for with a few points everywhere else. Better, and far from good.
# This is where the small model and the minutes of this lecture stop; we do not know how far more of both would get.
#
# Now text by hand, of a kind that training does not have:

# %%
if folder:
    for number in (0, 2, 3, 4, 5, 6, 7, 9):
        each, text = asked["written"][number], given["written"][number]
        verdict = "right" if squad.exact(text, each.answer) else f"should be {each.answer or 'no answer'!r}"
        print(f"{each.question:50} {text or '(no answer)':28} {verdict}")

# %% [markdown]
# Of the questions by hand that have an answer, it got 45 % right in our run; to a fifth it was silent, and the rest
# have a wrong answer. Look closely at the answers that are nearly right: nothing keeps a span from beginning inside a
# word, at a piece such as *##wan* of *Ewan*.
#
# ### From scores to a span
#
# The two best tokens, one for each score, need not make a span. All pairs are compared:

# %%
if folder:
    window = windows_of["written"][5]
    with torch.no_grad():
        starts, ends = answerer(*tensors(squad.batch([window])))[0].cpu().numpy().T
    pieces = [tokenizer.vocabulary.token(id) for id in window.ids]
    from_place, length = pieces.index("1871"), 24
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    axes = figure.subplots()
    at = np.arange(length)
    for offset, (name, values) in zip((-0.2, 0.2), {"start": starts, "end": ends}.items()):
        axes.bar(at + offset, values[from_place:from_place + length], width=0.4, label=name,
                 color=plots.COLOURS[0 if name == "start" else 1], hatch="" if name == "start" else "//")
    axes.set_xticks(at, pieces[from_place:from_place + length], rotation=60)
    axes.set(ylabel="score", title=asked["written"][5].question)
    axes.axhline(0, color="black", linewidth=0.8)
    axes.legend()
    plots.show(figure, "Bars of a start and an end score for each of 24 tokens of the paragraph. Both are far below "
                       "zero nearly everywhere and stand out at a few tokens.")
    score, i, j = squad.best_span(starts, ends, window.offsets)
    print(f"best span: {asked['written'][5].paragraph[window.offsets[i][0]:window.offsets[j][1]]!r} with {score:.1f}; "
          f"no answer: {starts[0] + ends[0]:.1f}")

# %% [markdown]
# ### Exercise 12.best_span: The best span
#
# Difficulty ●●●○○ (3 of 5), about 15 minutes, 3 points
#
# The answer begins at the token i and ends at the token j, j included, and the best span is the one with the largest
# start_scores[i] + end_scores[j]. Write `best_span`, which gives i and j. The answer must lie in the paragraph, which
# begins at the token `paragraph` and goes to the end; it must not end before it begins; and it has at most `longest`
# tokens.

# %%
def best_span(start_scores, end_scores, paragraph, longest):
    """The first and the last token of the answer, of start_scores and end_scores (length,)."""
    ...

# %%
coursekit.check("12.best_span")

# %% [markdown]
# ### A paragraph that is too long: windows
#
# Cutting would throw the answer away. So a long text is read in **windows** that overlap, each with the whole
# question, and the best span of all windows wins. The overlap is there so that no answer is cut in two.
#
# **Predict.** A text of 302 tokens, windows of 128 tokens in all with a question of 8, each beginning 64 tokens after
# the one before. How many windows?

# %%
# NBVAL_CHECK_OUTPUT
long_text = " ".join(dict.fromkeys(each.paragraph for each in asked["written"][:17]))
question = asked["written"][5].question
if folder:
    parts = squad.windows(tokenizer, question, long_text, max_length=128, stride=64)
    room = 128 - len(tokenizer.tokenize(question)) - 3
    print(f"{len(tokenizer.tokenize(long_text))} tokens, room for {room} in a window, {len(parts)} windows")
    print("each begins at token", [64 * number for number in range(len(parts))])
    where = long_text.index("whale oil")
    print("windows with the answer:", [squad.token_span(part, "whale oil", where) != (0, 0) for part in parts])

# %%
if folder:
    with torch.no_grad():
        logits_of = answerer(*tensors(squad.batch(parts))).cpu().numpy()
    found = squad.best_answer(long_text, parts, logits_of[:, :, 0], logits_of[:, :, 1])
    print(f"{question} → {found.text or '(no answer)'!r}, score {found.score:.1f}, no answer {found.null_score:.1f}")

# %% [markdown]
# Four: 128 less 8 for the question and 3 for `[CLS]` and two `[SEP]` leave 117, and only the fourth, from token 192 on,
# reaches the end. Where a window does not hold the answer its target is `[CLS]`, in training as well. The score of "no
# answer" for the whole text is the *lowest* over its windows: each window may say "not here", and only if all do is it
# nowhere.
#
# ## 9. One training, many processes
#
# A model that fits one GPU may still want the work of eight. **Data parallelism** is the simple way: every process has
# a copy of the whole model, gets its share of the batch, computes its own gradient; the gradients are averaged, and
# everyone makes the same step. Copies that began equal stay equal, and nobody ever sends weights.
#
# Why may one do that? The loss is a mean over texts, and the gradient of a mean is the mean of the gradients:
#
# $$\nabla \frac{1}{16}\sum_{i=1}^{16} \ell_i = \frac{1}{2}\left(\nabla \frac{1}{8}\sum_{i=1}^{8} \ell_i +
# \nabla \frac{1}{8}\sum_{i=9}^{16} \ell_i\right).$$
#
# **Predict.** And if one process has 12 of the texts and the other 4?

# %%
def gradient(rows):
    """The gradient of the mean loss of these reviews, one long vector; dropout is off."""
    part = tuple(each[rows] for each in inputs["test"])
    loss = token_cross_entropy(judge.eval()(*part), labels["test"][rows])
    weights = [weight for weight in judge.parameters() if weight.requires_grad]
    return torch.cat([each.flatten() for each in torch.autograd.grad(loss, weights)])


def distance(a, b):
    return ((a - b).norm() / b.norm()).item()


# %%
# NBVAL_CHECK_OUTPUT
if folder:
    everyone = gradient(range(16))
    halves = [gradient(range(8)), gradient(range(8, 16))]
    unequal = [gradient(range(12)), gradient(range(12, 16))]
    print("two halves, plain mean equals the whole:", distance(sum(halves) / 2, everyone) < 1e-4)
    print("12 and 4, plain mean is more than 10 % off:", distance(sum(unequal) / 2, everyone) > 0.1)
    weighted = 12 / 16 * unequal[0] + 4 / 16 * unequal[1]
    print("12 and 4, weighted by their numbers equals the whole:", distance(weighted, everyone) < 1e-4)
    print(f"sent in every step: {4 * everyone.numel() / 1e6:.0f} MB")

# %% [markdown]
# Libraries take the plain mean, so with unequal shares everyone has to weight its own loss first. For names it is
# worse: the mean goes over *targets*, and two shares with equally many sentences have different numbers of them. The
# same trap waits where one process adds up the gradients of several small batches. The `Trainer` of `transformers`
# averaged there as if all batches had as many targets, until October 2024. Nothing failed; the loss was merely a
# little off.
#
# The course's script does it right. This is its step:

# %%
from coursekit.torch import fine_tune as script

coursekit.show_source(script.train_epoch)

# %% [markdown]
# The loss is the *sum* over this share, times `count / rows`: the plain mean over `count` processes then is the sum
# over all, divided by `rows`. (`factor` is 0 for a process that got no row.) Everything else is what `fit` does, with
# `accelerate` for the averaging. One script, three ways to start it (in a terminal; `train.tsv` and `test.tsv` have the
# columns *text* and *label*):
#
#     python -m coursekit.torch.fine_tune --train train.tsv --test test.tsv --out mine
#     torchrun --nproc-per-node 2 -m coursekit.torch.fine_tune --train train.tsv --test test.tsv --out mine
#     accelerate launch -m coursekit.torch.fine_tune --train train.tsv --test test.tsv --out mine
#
# `--batch` is the batch over all processes. So one process or many make the same steps: the project's tests start two
# real processes, without dropout, and hold every loss and every weight equal to those of one. With dropout the
# processes draw different numbers, and the losses differ as between two seeds. The README has the command for several
# machines.
#
# **What a GPU does to this lecture.** The cells above move model and data to it where there is one. The
# multiplications of a batch run side by side on thousands of small units, and with `mixed_precision=True` in `fit`
# most are done in bfloat16, which takes half the memory traffic. 16 short texts are then too few to keep it busy:
# larger batches, with a larger rate, are the first thing to change, and unfreezing the token embeddings is the second.

# %% [markdown]
# ### Exercise 12.whole_gradient: One gradient from many
#
# Difficulty ●●●●○ (4 of 5), about 10 minutes, 2 points
#
# A batch of sentences, whose tokens are to be labelled, is shared out among processes. Process p computes
# `gradients[p]`, the gradient of the mean loss over *its* targets; where all its targets are -100 it gives zeros. Write
# `whole_gradient`: the gradient of the mean loss over the targets of all processes. A target of -100 does not count.

# %%
import numpy as np


def whole_gradient(gradients, targets):
    """The gradient (weights,), of gradients (processes, weights) and targets (processes, rows, length)."""
    ...

# %%
coursekit.check("12.whole_gradient")

# %% [markdown]
# ## 10. Keep it, and go on after a kill
#
# A trained model is a folder with `config.json` and `model.safetensors`; put the vocabulary beside them. `transformers`
# reads it too.

# %%
# NBVAL_CHECK_OUTPUT
if folder:
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as mine:
        judge.save_pretrained(mine)
        print(sorted(path.name for path in Path(mine).iterdir()))
        again = ct.BertForSequenceClassification.from_pretrained(mine, n_classes=2).to(device)
        theirs = transformers.BertForSequenceClassification.from_pretrained(mine).eval()
    ids, mask, segment_ids = (part[:9].cpu() for part in inputs["test"])
    with torch.no_grad():
        expected = torch.from_numpy(logits["test"][:9])
        print("read again, the same logits: ",
              torch.allclose(torch.stack(predict(again, inputs["test"]))[:9], expected, atol=1e-5))
        print("transformers says the same:  ",
              torch.allclose(theirs(ids, mask.long(), segment_ids).logits, expected, atol=1e-4))

# %% [markdown]
# No message this time: the head was in the file. Compare section 2.
#
# Long trainings are killed: a machine is taken back, a session times out, someone closes a lid. With `checkpoint=`
# `fit` writes one file after every epoch, whole or not at all: weights, the best weights, Adam's two averages, the
# random states, the history. Started again with the same arguments it goes on after the last whole epoch.
#
# **Predict.** Half-way through the third of four epochs the training is killed, and then started again. Weights alone
# would not give the numbers of a run that was never stopped. What else is needed?

# %%
class Killed(Exception):
    pass


def killed_at(step):
    """A loss that ends the training at this step."""
    steps = iter(range(1, step))

    def loss(logits, targets):
        if next(steps, None) is None:
            raise Killed
        return token_cross_entropy(logits, targets)

    return loss


def small_run(loss=token_cross_entropy, checkpoint=None):
    coursekit.seed_everything(0)
    model = ct.BertForSequenceClassification(ct.BertConfig(vocab_size=50, d_model=12, n_layers=1, n_heads=2,
                                                           d_ff=24, max_length=7, n_segments=2), n_classes=2)
    rows = torch.randint(50, (40, 7), generator=torch.Generator().manual_seed(1))
    ct.fit(model, (rows, rows[:, 0] % 2), epochs=4, batch_size=8, learning_rate=ct.linear_decay(5e-3, 2, 20),
           loss=loss, checkpoint=checkpoint)
    return torch.cat([weight.flatten() for weight in model.parameters()])


# %%
never_stopped = small_run()
with tempfile.TemporaryDirectory() as folder_of_run:
    path = Path(folder_of_run) / "run.safetensors"
    try:
        small_run(killed_at(13), path)  # 5 steps an epoch: in the third
    except Killed:
        with safe_open(path, "pt") as file:
            kept = Counter(name.split(".")[0] for name in file.keys())
    gone_on = small_run(checkpoint=path)

# %%
# NBVAL_CHECK_OUTPUT
print("killed; in the file are tensors of", dict(kept))
print("the same weights as never stopped:", torch.allclose(gone_on, never_stopped, atol=1e-6))

# %% [markdown]
# The file has four kinds of tensors: the weights; the weights of the best epoch; Adam's two averages and its count of
# steps for every weight; and two random states, one that shuffles the examples and one for dropout. Leave out any of
# the four, and the run goes on, may end somewhere else, and nobody notices. The half of the third epoch that was lost
# is trained again, in the same order and with the same dropout.
#
# ### What is refused
#
# None of these trains or answers anything; each says what is wrong and where.

# %%
# NBVAL_CHECK_OUTPUT
if folder:
    long_ids = torch.zeros(1, 513, dtype=torch.long, device=device)
    requests = {"513 tokens": lambda: judge(long_ids),
                "no such token": lambda: judge(torch.tensor([[101, 30522, 102]], device=device)),
                "an answer that is not there": lambda: squad.token_span(window, "gas", -1),
                "labels that cannot be": lambda: align(tokenizer, ["in", "Ely"], ["O", "I-LOC"]),
                "labels of another text": lambda: align(tokenizer, ["in", "Ely"], ["O"]),
                "no room for the paragraph": lambda: squad.windows(tokenizer, question, long_text, 10, 4)}
    for name, request in requests.items():
        try:
            request()
        except ValueError as error:
            print(f"{name}: {error}")

# %% [markdown]
# ## Summary
#
# - A head of a few hundred or thousand numbers, and all of the network trained with small steps: that is fine-tuning. A
#   fresh head guesses until it has been trained.
# - Cut batches after their longest row and put like lengths together. Padding to 128 costs nearly seven times the work
#   here.
# - Adam's first step has the size of the rate, whatever the gradient. Warm up.
# - One seed is an anecdote, and so is a test that looks like the training text. Baselines that count words were better
#   than we expected, twice.
# - Look at errors by kind, at pairs that differ in one thing, and at text from somewhere else. The shortcuts showed
#   there: one person in a paragraph, words of praise in a review.
# - Calibration belongs to a model and a kind of text.
# - Labels of words go to first pieces; the rest is −100. Names are counted strictly, and spans are compared as pairs
#   of start and end.
# - The gradient of a batch is the mean of its shares' gradients, weighted by what each share counted.
# - What goes on after a kill needs weights, Adam's averages and random states.
#
# ## Further reading
#
# - J. Devlin, M.-W. Chang, K. Lee, K. Toutanova. *BERT: Pre-training of Deep Bidirectional Transformers for Language
#   Understanding.* NAACL 2019. [arXiv:1810.04805](https://arxiv.org/abs/1810.04805). Section 4 and appendix A.2, A.3.
# - I. Loshchilov, F. Hutter. *Decoupled Weight Decay Regularization.* ICLR 2019.
#   [arXiv:1711.05101](https://arxiv.org/abs/1711.05101).
# - M. Mosbach, M. Andriushchenko, D. Klakow. *On the Stability of Fine-tuning BERT.* ICLR 2021.
#   [arXiv:2006.04884](https://arxiv.org/abs/2006.04884). Why some seeds fail, and what warm-up does about it.
# - C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger. *On Calibration of Modern Neural Networks.* ICML 2017.
#   [arXiv:1706.04599](https://arxiv.org/abs/1706.04599).
# - A. Agresti, B. A. Coull. *Approximate is Better than "Exact" for Interval Estimation of Binomial Proportions.* The
#   American Statistician 52, 1998, pages 119–126.
# - E. F. Tjong Kim Sang, F. De Meulder. *Introduction to the CoNLL-2003 Shared Task: Language-Independent Named Entity
#   Recognition.* CoNLL 2003. [arXiv:cs/0306050](https://arxiv.org/abs/cs/0306050).
# - P. Rajpurkar, J. Zhang, K. Lopyrev, P. Liang. *SQuAD: 100,000+ Questions for Machine Comprehension of Text.*
#   EMNLP 2016. [arXiv:1606.05250](https://arxiv.org/abs/1606.05250).
# - P. Rajpurkar, R. Jia, P. Liang. *Know What You Don't Know: Unanswerable Questions for SQuAD.* ACL 2018.
#   [arXiv:1806.03822](https://arxiv.org/abs/1806.03822).
# - R. Jia, P. Liang. *Adversarial Examples for Evaluating Reading Comprehension Systems.* EMNLP 2017.
#   [arXiv:1707.07328](https://arxiv.org/abs/1707.07328). One added sentence, and the answer is gone.
# - P. Goyal et al. *Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour.* 2017.
#   [arXiv:1706.02677](https://arxiv.org/abs/1706.02677). Data parallelism, its pitfalls, and the rate of large
#   batches.
# - Hugging Face. *Fixing Gradient Accumulation.* October 2024.
#   [Blog](https://huggingface.co/blog/gradient_accumulation).
