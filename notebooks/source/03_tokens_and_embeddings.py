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
# # 03 · Tokens and embeddings: from text to vectors
#
# [![Open in Colab](attachment:open_in_colab.png)](https://colab.research.google.com/github/coursekit/coursekit/blob/main/notebooks/03_tokens_and_embeddings.ipynb)
#
# In lectures 01 and 02 the symbols were small numbers, and nobody asked where they came from. Text is no sequence of
# numbers. Two steps make it one: cut it into **tokens**, and give each token a **vector**. Everything that follows in this
# course, attention included, only ever sees these vectors.
#
# **You will be able to**
#
# - say what characters and whole words cost, and measure it;
# - build byte-pair encoding by hand, and cut words as BERT's WordPiece does;
# - prepare a pair of texts for BERT: special tokens, segments, padding mask;
# - explain why a look-up is a product with one-hot vectors, and what its gradient is;
# - train word vectors, ask them for analogies, and judge the answers beside honest baselines;
# - say why a space of a few hundred dimensions has room for so many meanings.
#
# **Time** about 130 minutes of reading and trying; less than a minute of computing on two CPU cores. No GPU is needed.
#
# **You need** lecture 01 (one-hot vectors) and matrix products. Sections 4, 9 and 10 use a real pretrained model where it is
# installed, and say so where it is not.
#
# **Exercises** stand at the ends of sections. Put your answer in place of `...`, run the cell and the one below it:
# `coursekit.check` says whether it is right, and if not, which mistake it is. `coursekit.hint("03.wordpiece")` and
# `coursekit.solution("03.wordpiece")` help on, `coursekit.progress()` shows what you have done. No other cell needs your
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

from collections import Counter
from itertools import pairwise
from pydoc_data.topics import topics

import keras
import numpy as np
import tensorflow as tf
import torch
from matplotlib.figure import Figure

from coursekit import plots, pretrained, results
from coursekit import torch as ct
from coursekit.datasets.small_world import RELATIONS, analogies, small_world
from coursekit.text import BytePairEncoding, Vocabulary, WordPiece
from coursekit.text.bpe import WORDS
from coursekit.text.word_vectors import (context_pairs, count_vectors, nearest, negative_samples,
                                         solve_analogies, unit)
from coursekit.torch.skip_gram import SkipGram, negative_sampling_loss

# %%
folder = pretrained.find(required=False)  # a real BERT, or a line that says how to get it
if folder:
    print(folder.why)

# %% [markdown]
# ## 1. Why not characters, and why not words?
#
# The shortest answer to "what is a token?" is: a character. There are few of them, and hardly any is unknown. The second
# answer is: a word. Words carry meaning, and a text has far fewer of them.
#
# We measure both on real text: the reference of the Python language, which every Python carries with it. Every other page
# is for counting, the rest is held back. A *word* is here a run of letters, of digits or of other signs (`WORDS` finds
# them); white space is left out. A word is counted every time it occurs.
#
# **Predict.** If the vocabulary has every word of the first half, what share of the words in the second half is unknown?

# %%
pages = [topics[name] for name in sorted(topics)]
counted, held_back = "\n".join(pages[::2]), "\n".join(pages[1::2])
words, held_words = ([word.strip() for word in WORDS.findall(text) if not word.isspace()]
                     for text in (counted, held_back))
by_frequency = [word for word, _ in Counter(words).most_common()]


def unknown_share(tokens, vocabulary):
    known = set(vocabulary)
    return np.mean([token not in known for token in tokens])


per_thousand = 1000 / len(held_back)
rows = [dict(unit="characters", size=len(set(counted)), tokens=1000.0,
             unknown=unknown_share(held_back, counted))]
rows += [dict(unit="words", size=size, tokens=len(held_words) * per_thousand,
              unknown=unknown_share(held_words, by_frequency[:size]))
         for size in (500, 1000, 2000, len(by_frequency))]
COLUMNS = {"unit": "{unit}", "vocabulary": "{size:,}", "tokens per 1,000 characters": "{tokens:.0f}",
           "unknown": "{unknown:.1%}"}
results.table(rows, COLUMNS, "Held-back pages of the Python reference (live).")

# %%
# NBVAL_CHECK_OUTPUT
print("characters: at least 4 times as many tokens as words:", 1000 > 4 * rows[1]["tokens"])
print("words: with all that were seen, still more than 2 % unknown:", rows[-1]["unknown"] > 0.02)
print("words: with the 1,000 most frequent, more than 8 % unknown:", rows[2]["unknown"] > 0.08)

# %% [markdown]
# Characters make sequences about five times as long. Attention compares every token with every other, so five times the
# length is 25 times the work (lecture 05 measures it). And a single letter means nothing: the model has to build words
# first.
#
# Words fail at the other end. Even with all words of the first half about every twentieth word of the second half is
# unknown, and each becomes the same token `[UNK]`. Names, numbers, spelling mistakes and new words never end, so a longer
# list does not help for long. And to such a vocabulary *expression* and *expressions* are as different as *expression* and
# *banana*.
#
# So we want something in between: frequent words whole, rare words in parts, and nothing unknown. (Even of the characters a
# few may be new, in our run the letter ß: Unicode has some 150,000 of them.) The table is one text in English; languages
# that build long words lose more with whole words, Chinese loses less with characters.
#
# ## 2. Byte-pair encoding by hand
#
# Byte-pair encoding (BPE) begins with characters and joins what is often together: count all pairs of neighbours, join the
# most frequent pair everywhere into one new token, count again. The number of merges decides the size of the vocabulary.
#
# A popular example is a text of three words, each once: *low, lower, lowest*. We write `_` at the end of a word, so that the
# `w_` of *low* differs from a `w` inside a word. (Sennrich and others, who brought BPE to translation, mark the end too,
# with another sign.)
#
# **Predict.** Count by hand. Which pair is joined first? Is there a tie?

# %%
def count_pairs(split_words):
    return Counter(pair for word in split_words for pair in pairwise(word))


def join(word, pair):
    """word, a list of tokens, with every occurrence of the pair joined."""
    joined = []
    for token in word:
        joined.append(token)
        if tuple(joined[-2:]) == pair:
            joined[-2:] = ["".join(pair)]
    return joined

# %%
# NBVAL_CHECK_OUTPUT
split_words = [list("low_"), list("lower_"), list("lowest_")]
alphabet = sorted({letter for word in split_words for letter in word})
merges = []
while (counts := count_pairs(split_words)) and max(counts.values()) >= 2:
    equals = sorted(pair for pair, count in counts.items() if count == max(counts.values()))
    merges.append(equals[0])  # of equally frequent pairs the first in the alphabet
    split_words = [join(word, equals[0]) for word in split_words]
    print(f"{counts[equals[0]]} times: {' and '.join('+'.join(pair) for pair in equals)}, "
          f"joined {'+'.join(equals[0])}:  {',  '.join(' '.join(word) for word in split_words)}")
print("vocabulary:", *alphabet, *("".join(pair) for pair in merges))

# %% [markdown]
# Three merges: `lo`, then `low`, then `lowe`, which stands in two words. After that every pair occurs once, and we stop:
# joining what occurs once saves nothing.
#
# There was a tie at the first step, `l+o` and `o+w`. Our rule takes the first in the alphabet; another program may take the
# other. Does it matter?

# %%
# NBVAL_CHECK_OUTPUT
other = [list("low_"), list("lower_"), list("lowest_")]
for pair in (("o", "w"), ("l", "ow"), ("low", "e")):
    other = [join(word, pair) for word in other]
print("o+w first:", ",  ".join(" ".join(word) for word in other))

# %% [markdown]
# The words come out alike. The vocabulary does not: this one has `ow` where ours has `lo`, so *cow* and *lot* would be cut
# differently. A tie rule is part of the algorithm.
#
# **The note this section grew from** gives the result for the same words as the vocabulary {low_, e, r, s, t}. Let us hold
# it against the steps above.
#
# - After *two* merges the words are `low _`, `low e r _` and `low e s t _`. The tokens low, e, r, s, t are these, so the
#   note seems to stop there. The algorithm does not: `low+e` occurs twice and is joined next.
# - `low_` with its end mark would need the merge `low+_`. That pair occurs once, in one word. And *lower* does not contain
#   `low_`.
# - The letters l, o, w and the token `lo` are missing. BPE only ever adds tokens, so they stay, and they are needed for
#   *slow* or *lot*.

# %%
# NBVAL_CHECK_OUTPUT
note = ["low_", "e", "r", "s", "t"]
for word in ("low_", "lower_", "lowest_"):
    print(f"{word:8} begins with a token of the note's vocabulary:", any(map(word.startswith, note)))

# %% [markdown]
# With that vocabulary two of its own three words cannot be written.

# %% [markdown]
# ### Exercise 03.most_frequent_pair: The pair to merge
#
# Difficulty ●●○○○ (2 of 5), about 15 minutes, 2 points
#
# Write `most_frequent_pair`, the heart of byte-pair encoding: which two tokens stand next to each other most often?
# `words` has a different word in each row, filled up with zeros at the end, and `times` says how often each word occurs
# in the text. Of pairs that are equally frequent take the one with the smaller first token, then the one with the
# smaller second.

# %%
import collections


def most_frequent_pair(words, times):
    """The pair (left, right) of tokens, of words (n, length), filled up with 0, that occur times (n,) in the text."""
    ...

# %%
coursekit.check("03.most_frequent_pair")

# %% [markdown]
# ## 3. Byte-pair encoding on real text
#
# `coursekit.text.BytePairEncoding` is the same algorithm with two choices that GPT-2 made. It starts from the 256 **bytes**
# of UTF-8 instead of letters, so there is nothing it cannot write. And it marks the *beginning* of a word, by the space
# before it, instead of its end. Our three words again, with the note's commas:

# %%
# NBVAL_CHECK_OUTPUT
three_words = BytePairEncoding.train("low, lower, lowest", vocab_size=300)
print("merged tokens:", [token.decode() for token in three_words.tokens[256:]])
print("lowest:", [three_words.tokens[token].decode() for token in three_words.encode(" lowest")])

# %% [markdown]
# `lo` and `low` as before, then ` low` with its space, then ` lowe`. The first word has no space before it, so it stays
# `low`: in GPT's tokenizers a word at the beginning of a text is another token than the same word later on.
#
# Now the pages of section 1. We train with 2,048 tokens. Merges are learned one after the other, so a smaller vocabulary is
# simply the first part of the list, and one training gives us all sizes.
#
# **Predict.** Between characters (1,000) and words: where will 2,048 tokens lie?

# %%
bpe = BytePairEncoding.train(counted, vocab_size=2048)
for size in (256, 512, 1024, 2048):
    smaller = BytePairEncoding(list(bpe.merges)[:size - 256])
    rows.append(dict(unit="BPE", size=size, unknown=0.0,
                     tokens=len(smaller.encode(held_back)) * per_thousand))

figure = Figure(figsize=(7, 4), layout="constrained")
axes = figure.subplots()
for (name, _), colour, marker in zip(Counter(row["unit"] for row in rows).items(), plots.COLOURS,
                                     plots.MARKERS):
    points = [row for row in rows if row["unit"] == name]
    axes.plot([row["size"] for row in points], [row["tokens"] for row in points], marker=marker,
              color=colour, label=name)
    for row in points if name == "words" else []:
        axes.annotate(f"{row['unknown']:.0%}\nunknown", (row["size"], row["tokens"] - 30), va="top",
                      ha="center", fontsize=8)
axes.set(xscale="log", xlabel="size of the vocabulary", ylabel="tokens per 1,000 characters",
         ylim=(0, 1060), title="Held-back pages of the Python reference")
axes.legend()
plots.show(figure, "Tokens per 1,000 characters against the size of the vocabulary. Characters: "
           "1,000. Words: about 200 at every size, 22 % to 5 % of them unknown. BPE falls from "
           "1,000 with 256 tokens to about 290 with 2,048, with none unknown.")

# %%
# NBVAL_CHECK_OUTPUT
print("BPE, 2,048 tokens: at most 1.8 times as many tokens as words:",
      rows[-1]["tokens"] < 1.8 * rows[1]["tokens"])
print("BPE, 2,048 tokens: less than a third of the characters:", rows[-1]["tokens"] < 1000 / 3)
strange = held_back + "Crème brûlée, 東京, 🙂, \0 and \ud800"
print("decoded again, equal in every character:", bpe.decode(bpe.encode(strange)) == strange)

# %% [markdown]
# With as many entries as a short word list, BPE needs about one and a half tokens for a word, and nothing is unknown: what
# it has not seen, it spells. The text comes back exactly, white space included, and even `\ud800`, half of a pair, which is
# no valid text at all.
#
# The figure shows sequences only. It does not show the other cost: each entry of the vocabulary has a vector of its own to
# be learned, and rare entries have few examples to learn from. Most real models have 30,000 to 260,000 entries.
#
# Which tokens did it learn, and how are words cut that it hardly knows?

# %%
print("first:", *[repr(bpe.tokens[token].decode(errors="replace")) for token in range(256, 272)])
print("last: ", *[repr(bpe.tokens[token].decode(errors="replace")) for token in range(2040, 2048)])
for word in (" expression", " expressions", " tokenization", " unhappiness", " 東京"):
    print(f"{word}:", *[bpe.tokens[token] for token in bpe.encode(word)])

# %% [markdown]
# The first merges are spaces, dashes and letter pairs, the last ones words and signs of programming. A tokenizer learns the
# text it is given: this one has *expression* whole and breaks *unhappiness* into bits. Each Japanese character costs three
# tokens, its three bytes. A tokenizer that was trained mostly on English charges other languages the same way: their text
# is longer in tokens.
#
# The parts are not the stems and endings of grammar. Merges follow counts and know nothing else.

# %% [markdown]
# ### Exercise 03.merge_order: In which order?
#
# Difficulty ●○○○○ (1 of 5), about 5 minutes, 1 point
#
# Byte-pair encoding has learned five merges, in this order: e + s, es + t, w + est, l + o, lo + w. Which tokens does it
# make of the word lowest? Give `lowest_tokens` the letter.
#
# - **a** low, est
# - **b** lo, west
# - **c** lo, w, es, t
# - **d** lowest

# %%
lowest_tokens = ...

# %%
coursekit.check("03.merge_order")

# %% [markdown]
# ## 4. WordPiece, as BERT cuts
#
# BERT's tokenizer ends with a vocabulary too, of 30,522 entries, but it *uses* it differently. It keeps no list of merges.
# It takes a word and looks for the **longest entry that fits**, from the left, again and again. Entries that go on inside a
# word are marked with `##`. If at some place nothing fits, the whole word is `[UNK]`. (How the entries were chosen is
# another matter: also by merges, but of the pairs that make the training text most likely. BERT's program for that was not
# published.)
#
# Take a vocabulary with `to`, `tok`, `##ken`, `##kens`, `##en`, `##s` and the word *tokens*:
#
# - the longest entry at the beginning is `tok`, longer than `to`. Left: *ens*;
# - the longest entry for *ens* is `##en`. Left: *s*;
# - `##s` fits. Result: `tok ##en ##s`.
#
# **Predict.** `to ##kens` would need fewer tokens. Why does WordPiece not find it? And what happens if we take `##en` away?

# %%
# NBVAL_CHECK_OUTPUT
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
by_hand = SPECIAL + ["to", "tok", "##ken", "##kens", "##en", "##s"]
without_en = [token for token in by_hand if token != "##en"]
for name, entries in (("all", by_hand), ("without ##en", without_en)):
    print(f"{name:13}", *[token for token, _ in WordPiece(Vocabulary(entries)).tokenize("tokens")])

# %% [markdown]
# Greedy means: what was taken is never given back. After `tok` the rest *ens* cannot be written any more, and the word
# becomes `[UNK]`, although `to ##kens` would have fitted. BERT's own vocabulary has nearly every letter both with and
# without `##`, so this happens only with rare characters.
#
# Before the cutting, BERT normalises: lower case (in the *uncased* models), no accents, no control characters, spaces around
# every punctuation mark and every Chinese character. Here is the tokenizer of the pretrained model on words from this
# lecture, by our class and by the library `tokenizers`.

# %%
# NBVAL_CHECK_OUTPUT
examples = ["low lower lowest", "Tokenization of embeddings", "unhappiness, don't!",
            "Crème brûlée", "naïve 🙂", "東京タワー", "I\u200b can't\tsee\0 it"]
if folder:
    from tokenizers import Tokenizer

    ours, theirs = WordPiece.load(folder / "vocab.txt"), Tokenizer.from_file(str(folder / "tokenizer.json"))
    theirs.no_truncation()
    theirs.no_padding()
    for text in examples:
        mine, its = ours.encode(text), theirs.encode(text)
        print(f"{text!r:31} {' '.join(mine.tokens[1:-1])}")
        assert (mine.ids, mine.tokens, mine.offsets) == (its.ids, its.tokens, its.offsets)
    lines = held_back.splitlines() + ours.vocabulary.tokens
    same = [ours.encode(line).ids == its.ids for line, its in zip(lines, theirs.encode_batch(lines))]
    print("same ids on every held-back line and every entry of the vocabulary:", all(same))

# %% [markdown]
# Look at what is lost. *Crème brûlée* has lost its accents, which no decoding brings back; the emoji is `[UNK]`; 東京 is cut
# into single characters. BERT only reads, so it can afford this. A model that *writes* needs every byte back, as BPE on
# bytes gives it.
#
# *low*, *lower* and *lowest* are three entries of BERT's vocabulary and share nothing: frequent words stay whole, and their
# parts are not used. The model has to learn from text that the three belong together. Section 7 shows how.

# %% [markdown]
# ### Exercise 03.wordpiece: Greedy longest match
#
# Difficulty ●●●○○ (3 of 5), about 20 minutes, 3 points
#
# Write `wordpiece_ids`, which cuts one word into tokens as BERT does. From the left, take the longest token of the
# vocabulary that fits, again and again; inside the word tokens begin with `##`. If at some place nothing fits, the
# whole word is the one token `[UNK]`. A token's id is its place in the vocabulary.

# %%
def wordpiece_ids(word, vocabulary):
    """The list of ids of word, a string; vocabulary is a tuple of strings, among them "[UNK]"."""
    ...

# %%
coursekit.check("03.wordpiece")

# %% [markdown]
# ## 5. Special tokens, pairs and padding
#
# BERT reads one or two texts at a time, and five tokens are no text at all:
#
# | token | what it is for |
# |---|---|
# | `[CLS]` | stands first; its output speaks for the whole input (lecture 12) |
# | `[SEP]` | ends a text |
# | `[MASK]` | hides a token that the model is to guess (lecture 10) |
# | `[PAD]` | fills up the shorter inputs of a batch |
# | `[UNK]` | a word that cannot be cut |
#
# Beside the ids the model gets **segment ids**, 0 for the first text and 1 for the second, and a **mask** that is True at
# tokens and False at padding.
#
# **Predict.** Two inputs in one batch: the pair "The cat sat." and "It slept.", and the single text "It sat." How long are
# the rows, and where do the ones of the segments stand?

# %%
# NBVAL_CHECK_OUTPUT
small = WordPiece(Vocabulary(SPECIAL + ["the", "cat", "sat", "it", "slept", "."]))
pair, single = small.encode("The cat sat.", "It slept."), small.encode("It sat.")
for encoding in (pair, single):
    print(*[f"{token:6}" for token in encoding.tokens])
    print(*[f"{segment:<6}" for segment in encoding.segment_ids])
print("offset of 'cat':", pair.offsets[2], "which is", repr("The cat sat."[slice(*pair.offsets[2])]))

batch = small.encode_batch(["The cat sat.", "It sat."], ["It slept.", ""])
print("\nids\n", batch.ids, "\nmask\n", batch.mask.astype(int), sep="")

# %% [markdown]
# The first `[SEP]` belongs to the first text. The batch is as long as its longest row. Note the last row: with an *empty*
# second text it has a second `[SEP]`, which the single text above has not. An empty text and no text are two different
# inputs.
#
# The **offsets** say where in the original text each token came from, whatever the normalising did in between. Without them
# one could not mark a found name in the text (lecture 12).

# %% [markdown]
# ### Exercise 03.pair_input: A pair as BERT reads it
#
# Difficulty ●●○○○ (2 of 5), about 10 minutes, 2 points
#
# Write `pair_input`, which makes the input of BERT from the ids of two texts: [CLS] first [SEP] second [SEP], then
# [PAD] up to `length`. Return the ids, the segment ids (0 for everything up to the first [SEP], that one included, then
# 1, and 0 at padding) and the mask, which is True at tokens and False at padding. The ids are: [PAD] 0, [CLS] 101,
# [SEP] 102.

# %%
import numpy as np


def pair_input(first, second, length):
    """The ids, segment ids and mask, each (length,), of two texts' ids first (n,) and second (m,)."""
    ...

# %%
coursekit.check("03.pair_input")

# %% [markdown]
# ## 6. A token becomes a vector
#
# A token id is a name and no quantity: token 7 is not more than token 3. So lecture 01 wrote symbols as one-hot vectors. The
# slides this course grew from do the same for a Transformer: tokens are one-hot vectors, and a matrix, here called $E$,
# makes them shorter. What does that product do?
#
# Take five tokens with vectors of three numbers, so $E$ is $5 \times 3$, and the text $[2, 0, 2]$.

# %%
# NBVAL_CHECK_OUTPUT
E = np.array([[0.1, 0.2, 0.3],
              [1.0, 1.0, 1.0],
              [-2.0, 0.5, 0.0],
              [0.0, 3.0, -1.0],
              [4.0, 4.0, 4.0]])
tokens = np.array([2, 0, 2])
one_hot = np.eye(5)[tokens]
print("one-hot\n", one_hot.astype(int), "\none-hot @ E\n", one_hot @ E, sep="")
print("rows 2, 0 and 2 of E:", np.array_equal(one_hot @ E, E[tokens]))

# %% [markdown]
# Each row of the product is one row of $E$: a one picks it out, the zeros cancel the rest. The product is a look-up,
# `E[tokens]`.
#
# It is also learned like any other layer. If $g$ is the gradient that arrives at the output, the gradient of $E$ is
# $\text{onehot}^\top g$.
#
# **Predict.** Token 2 stands twice. What does row 2 of the gradient hold: the first $g$, the last $g$, or their sum? And
# rows 1, 3 and 4?

# %%
# NBVAL_CHECK_OUTPUT
g = np.array([[1.0, 0.0, 0.0],
              [0.0, 5.0, 0.0],
              [10.0, 0.0, 2.0]])
print("gradient of E:\n", one_hot.T @ g, sep="")

assigned = np.zeros_like(E)
assigned[tokens] += g  # looks like adding, but writes each row only once
print("the mistake:\n", assigned, sep="")

# %% [markdown]
# The sum: $[1, 0, 0] + [10, 0, 2] = [11, 0, 2]$, since the vector was used in both places. Tokens that do not occur get
# zero. The mistake below it has lost the first place without any error. In a real text *the* stands a hundred times in a
# batch; it would learn from one of them.
#
# ### The parity cell
#
# One-hot product, look-up, `nn.Embedding` and `keras.layers.Embedding`, forward and backward, on random numbers with a shape
# in which every dimension differs:

# %%
# NBVAL_CHECK_OUTPUT
rng = np.random.default_rng(0)
E_big = rng.normal(size=(11, 6)).astype("float32")
ids = rng.integers(0, 9, (4, 5))  # tokens repeat, and 9 and 10 never occur
g_big = rng.normal(size=(4, 5, 6)).astype("float32")
hot = np.eye(11, dtype="float32")[ids]
by_product = hot @ E_big, np.einsum("blv,bld->vd", hot, g_big)

layer = torch.nn.Embedding.from_pretrained(torch.tensor(E_big), freeze=False)
in_torch = layer(torch.tensor(ids))
in_torch.backward(torch.tensor(g_big))

keras_layer = keras.layers.Embedding(11, 6, weights=[E_big])
with tf.GradientTape() as tape:
    in_keras = keras_layer(ids)
slices = tape.gradient(in_keras, keras_layer.embeddings.value, output_gradients=g_big)

for name, output, gradient in (("look-up", E_big[ids], by_product[1]),
                               ("nn.Embedding", in_torch.detach(), layer.weight.grad),
                               ("keras Embedding", in_keras, tf.convert_to_tensor(slices))):
    print(f"{name:16} equal to one-hot @ E: {np.allclose(output, by_product[0], atol=1e-6)}, "
          f"gradients equal: {np.allclose(gradient, by_product[1], atol=1e-5)}")

# %% [markdown]
# So the slides are right about *what* is computed. Nobody computes it that way. What would it cost, for a text of 128
# tokens, BERT's 30,522 entries, and the 384 numbers per vector of the small pretrained model of this course? For comparison:
# one layer of that model takes $12 d^2$ multiplications per token in its matrices and $2nd$ in its attention (lectures 05 to
# 07).

# %%
# NBVAL_CHECK_OUTPUT
n, vocab_size, d = 128, 30_522, 384
product, six_layers = n * vocab_size * d, 6 * (n * 12 * d**2 + 2 * n**2 * d)
print(f"one-hot product: {product:>13,} multiplications, {n * vocab_size * 4:,} bytes of one-hot vectors")
print(f"all six layers:  {six_layers:>13,} multiplications")
print(f"look-up:         {0:>13,} multiplications, {n * 8:,} bytes of ids")

# %% [markdown]
# The one-hot product would cost more than all six layers behind it. And in the parity cell TensorFlow kept even the gradient
# short: what came back were the rows that had been used, which we had to turn into a full matrix.

# %% [markdown]
# ### Exercise 03.embedding_gradient: The gradient of a look-up
#
# Difficulty ●●●○○ (3 of 5), about 15 minutes, 3 points
#
# A layer looks up `E[tokens]`. Backpropagation hands it the gradient of the loss with respect to each of the vectors
# that were looked up. Write `embedding_gradient`, the gradient with respect to E. Tokens repeat.

# %%
import numpy as np


def embedding_gradient(tokens, gradient, vocab_size):
    """The gradient (vocab_size, d_model) of E, for tokens (batch, length) and the gradient (batch, length, d_model) of
    E[tokens]."""
    ...

# %%
coursekit.check("03.embedding_gradient")

# %% [markdown]
# ## 7. Words that occur in the same company
#
# At the beginning the rows of $E$ are random. Where do meanings come from? From company: words in the same surroundings mean
# similar things (Harris, 1954; Firth, 1957). Skip-gram (Mikolov and others, 2013) makes this a task: given a word, which
# words stand near it?
#
# We train on a corpus of our own, and say openly what it is. A grammar that we wrote makes short sentences, and into it we
# *planted* three relations: man to woman, grown animal to young, country to capital. Men have *his* and a *beard*, women
# *her* and a *gown*; king and queen share *ruled* and *crown*; royals meet in the *palace*. Each word also has habits of its
# own, which no relation explains. So we know what there is to find. It is no English, and no proof that English works like
# this; section 9 looks at real vectors.

# %%
# NBVAL_CHECK_OUTPUT
sentences = small_world(8000, seed=0)
vocabulary = Vocabulary(sorted({word for sentence in sentences for word in sentence}))
pairs = context_pairs([[vocabulary.id(word) for word in sentence] for sentence in sentences], window=3)
for sentence in sentences[:5]:
    print(" ".join(sentence))
print(f"{sum(map(len, sentences)):,} words, {len(vocabulary)} different, {len(pairs):,} pairs")
print([vocabulary.token(context) for word, context in pairs[:4]], "are near", sentences[0][0])

# %% [markdown]
# Each word has two vectors: $v_w$ as a word and $u_c$ as the context of others. Their dot product is the score of the pair.
# The loss asks for a high score of the pair that was seen, and for low scores of $K = 5$ pairs with words $n_k$ drawn at
# random, frequent ones more often, the *negative samples*:
#
# $$-\log \sigma(u_c^\top v_w) - \sum_{k=1}^{K} \log \sigma(-u_{n_k}^\top v_w) .$$
#
# By hand for one pair with two negatives and scores 2, 1 and −1: $\sigma(2) = 0.881$, $\sigma(-1) = 0.269$, $\sigma(1) =
# 0.731$, so the loss is $0.127 + 1.313 + 0.313 = 1.753$.
#
# **Predict.** All $u$ begin at zero. What is the loss of the untrained model, with five negatives?

# %%
coursekit.show_source(SkipGram)

# %%
# NBVAL_CHECK_OUTPUT
def positive_first(candidates):
    """Targets: 1 for the context that was seen, 0 for the negative samples."""
    targets = torch.zeros(candidates.shape)
    targets[:, 0] = 1
    return targets


scores = torch.tensor([[2.0, 1.0, -1.0]])
print(f"by hand 1.753, computed {negative_sampling_loss(scores, positive_first(scores)):.3f}")
all_zero = torch.zeros(1, 6)
print(f"six scores of 0, 6 log 2: {negative_sampling_loss(all_zero, positive_first(all_zero)):.3f}")

# %% [markdown]
# With all $u$ at zero every score is 0 and every $\sigma$ is one half, so each of the six terms is $\log 2 = 0.693$. Now we
# train. The vectors before training are kept for comparison.

# %%
def train(pairs, d_model, seed):
    coursekit.seed_everything(seed)
    model = SkipGram(len(vocabulary), d_model)
    untrained = model.words.weight.detach().numpy().copy()
    candidates = torch.tensor(negative_samples(pairs, len(vocabulary), negatives=5, seed=seed))
    history = ct.fit(model, ((torch.tensor(pairs[:, 0]), candidates), positive_first(candidates)),
                     epochs=4, batch_size=1024, learning_rate=0.01, loss=negative_sampling_loss, seed=seed)
    return model.words.weight.detach().numpy(), untrained, history


vectors, untrained, history = train(pairs, d_model=48, seed=0)
print("loss by epoch:", *[f"{loss:.2f}" for loss in history["loss"]])

# %%
# NBVAL_CHECK_OUTPUT
print("loss below 1.9, from 4.159 untrained:", history["loss"][-1] < 1.9)

# %% [markdown]
# The model has never seen a definition. Which words does it hold to be similar? We ask for the largest cosine. Two baselines
# get the same question: the untrained vectors, and vectors that were only *counted*. For these, a large table says of each
# two words how much more often than by chance they meet (the logarithm, and 0 where they do not: *positive pointwise mutual
# information*). A singular value decomposition makes its rows 48 numbers short. No training at all.

# %%
counted_vectors = count_vectors(pairs, len(vocabulary), 48)
METHODS = {"untrained": untrained, "counted": counted_vectors, "skip-gram": vectors}
asked = [vocabulary.id(word) for word in ("king", "puppy", "paris", "cheese", "yesterday")]
for name, table in METHODS.items():
    print(name)
    for word, near in zip(asked, nearest(table, asked, 4)):
        print(f"  {vocabulary.token(word):10}", *[vocabulary.token(other) for other in near])

# %% [markdown]
# Untrained, the neighbours are accidents. After training, and after counting, they are of one kind.
#
# A map shows it at a glance. We take 58 words of six kinds; principal component analysis finds the two directions in which
# their vectors differ most.
#
# **Predict.** In the list above the nearest words were of one kind. Will a word's neighbour on the map be its nearest word?

# %%
def two_dimensions(table):
    """table (n, d) in the plane of its largest variance, (n, 2), and the share of the variance in it."""
    left, size, _ = np.linalg.svd(table - table.mean(axis=0), full_matrices=False)
    return left[:, :2] * size[:2], (size[:2]**2).sum() / (size**2).sum()


people, animals, places = RELATIONS.values()
KINDS = {"royals": sum(people[:4], ()), "family": sum(people[4:9], ()),
         "grown animals": tuple(zip(*animals))[0], "young animals": tuple(zip(*animals))[1],
         "countries": tuple(zip(*places))[0], "capitals": tuple(zip(*places))[1]}
shown = [vocabulary.id(word) for words in KINDS.values() for word in words]
kinds = np.repeat(np.arange(len(KINDS)), [len(words) for words in KINDS.values()])
flat, share = two_dimensions(unit(vectors[shown]))

figure = Figure(figsize=(7.5, 4.6), layout="constrained")
axes = figure.subplots()
for number, (kind, colour, marker) in enumerate(zip(KINDS, plots.COLOURS, plots.MARKERS)):
    axes.scatter(*flat[kinds == number].T, color=colour, marker=marker, label=kind)
axes.set(xlabel="first component", ylabel="second component", title="58 words, 48 dimensions in two")
axes.legend()
plots.show(figure, "A scatter plot of 58 words. People, animals and places form three separate groups; "
           "within a group the two kinds lie side by side or overlap.")

# %%
# NBVAL_CHECK_OUTPUT
own = nearest(vectors[shown], np.arange(len(shown)))[:, 0]
distances = np.linalg.norm(flat[:, np.newaxis] - flat, axis=-1) + 1e9 * np.eye(len(shown))
kept = (distances.argmin(axis=1) == own).mean()
print(f"share of the variance in the map between 0.3 and 0.6: {0.3 < share < 0.6}")
print(f"nearest word of the map is the nearest word, in at most 0.2 of the cases: {kept <= 0.2}")
same_kind = (kinds[own] == kinds).mean()
print(f"nearest word is of the same kind, in at least 0.7 of the cases: {same_kind >= 0.7}")

# %% [markdown]
# What the map shows is true: the groups are there. What it hides is more. Over half of the variance lies in the other 46
# dimensions, and the word next to another on the paper is hardly ever its nearest word. Never read a single distance off
# such a map.
#
# ## 8. Directions that carry meaning
#
# If *queen* stands in the company of *king*, except that *his* has become *her*, then the step from *king* to *queen* should
# be about the step from *man* to *woman*:
#
# $$v_{king} - v_{man} + v_{woman} \approx v_{queen} .$$
#
# **Predict.** We look for the word nearest to the left side, among *all* words. Will it be *queen*?

# %%
def ask(table, a, b, c, count=4):
    """The words nearest to b − a + c, all words allowed."""
    a, b, c = (unit(table)[vocabulary.id(word)] for word in (a, b, c))
    cosines = unit(table) @ (b - a + c)
    return [vocabulary.token(word) for word in np.argsort(-cosines)[:count]]


for a, b, c in (("man", "woman", "king"), ("puppy", "dog", "kitten"), ("france", "paris", "peru")):
    print(f"{c} − {a} + {b}:", *ask(vectors, a, b, c))

# %% [markdown]
# In our run *queen* comes first, and *cat*. *Lima* comes third, behind *paris* and *peru*, two words of the question.
#
# Is there a direction for gender? Take the 28 words for people and the one direction in which they differ most. Nobody tells
# this computation who is a man.

# %%
flat, _ = two_dimensions(unit(vectors[[vocabulary.id(word) for pair in people for word in pair]]))
men, women = flat[::2, 0], flat[1::2, 0]
way = np.sign((women - men).mean())  # the sign of a component is arbitrary

figure = Figure(figsize=(7, 4.4), layout="constrained")
axes = figure.subplots()
rows = np.arange(len(people))
axes.hlines(rows, way * men, way * women, color="lightgrey")
axes.plot(way * men, rows, "o", color=plots.COLOURS[0], label="man")
axes.plot(way * women, rows, "s", color=plots.COLOURS[1], label="woman")
axes.set_yticks(rows, [f"{man}, {woman}" for man, woman in people], fontsize=8)
axes.invert_yaxis()
axes.set(xlabel="first component of 28 words for people", title="One direction of 48")
axes.legend()
plots.show(figure, "The first component of 14 pairs, one row for each. All words for men lie on the left, all words "
           "for women on the right, about as far from each other in every row.")

# %%
# NBVAL_CHECK_OUTPUT
print("every man on one side, every woman on the other:", (way * men).max() < (way * women).min())

# %% [markdown]
# One direction tells men from women, and the step across is about as long in every row. Gender is what these words differ in
# most, since we planted it in all 14 pairs. The figure does not say that every relation has such an axis, nor that real text
# has.
#
# The famous example is one question, and somebody chose it. So we ask *all* that the corpus has: every pair of a relation
# beside every other pair, in both directions, 724 questions.
#
# There is also a custom that often goes unsaid: the three words of the question are **left out** of the search. We count
# with and without. Beside them stands a baseline that does not look at $a$ and $b$ at all: the nearest word to $c$.

# %%
def judged(table, questions):
    """Shares of analogies (n, 4), a to b as c to d, that word vectors answer."""
    abc, c, d = questions[:, :3], questions[:, 2], questions[:, 3]
    allowed = solve_analogies(table, abc, exclude=False)
    return {"right": (solve_analogies(table, abc) == d).mean(), "allowed": (allowed == d).mean(),
            "returns_c": (allowed == c).mean(), "only_c": (nearest(table, c)[:, 0] == d).mean()}


questions = np.array([[vocabulary.id(word) for word in words] for _, *words in analogies()])
live = {name: judged(table, questions) for name, table in METHODS.items()}
SHARES = {"right, a, b, c left out": "{right:.1%}", "right, all allowed": "{allowed:.1%}",
          "answers c itself": "{returns_c:.1%}", "nearest to c alone": "{only_c:.1%}"}
results.table([{"name": name} | row for name, row in live.items()], {"vectors": "{name}"} | SHARES,
              "724 analogies, 48 dimensions, one seed (live). Guessing gives 0.4%.")

# %%
# NBVAL_CHECK_OUTPUT
for name, row in live.items():
    print(f"{name:10} at least 0.80 right: {row['right'] >= 0.80}, at most 0.05: {row['right'] <= 0.05}")
learned = live["skip-gram"]
print("skip-gram, all words allowed, at least 0.05 fewer:", learned["right"] - learned["allowed"] >= 0.05)
print("skip-gram, nearest to c alone, at most 0.45 right:", learned["only_c"] <= 0.45)

# %% [markdown]
# The directions are there: far more is right than by guessing, and far more than by looking near $c$ alone. The custom
# matters too. With all words allowed fewer answers are right, and most of those lost went to $c$ itself: the step $b - a$ is
# short, and what comes out is still nearest to where it began. (The untrained vectors answer $c$ in over half of the cases,
# and $b$ in nearly all others. Random vectors are almost at right angles, so that only the words in the sum are near it.)
#
# One seed and one width prove little. The stored table has three seeds and three widths, by `benchmarks/embeddings.py`.

# %%
results.stored_table("embeddings")

# %%
# NBVAL_CHECK_OUTPUT
stored, about = results.load("embeddings")
summary = {(row["method"], row["width"]): row for row in results.over_seeds(stored, about["by"])}
learned, counted_48 = summary["skip-gram", 48], summary["counted", 48]
print("width 48: every seed of skip-gram above counting:", learned["right_low"] > counted_48["right_high"])
learned, counted_96 = summary["skip-gram", 96], summary["counted", 96]
print("width 96: every seed of skip-gram below counting:", learned["right_high"] < counted_96["right_low"])
print("width 96: counted, nearest to c alone, at least 0.9:", counted_96["only_c_low"] >= 0.9)

# %% [markdown]
# Now it is less of a miracle.
#
# - Which method wins depends on the width. At 48 training wins, at 96 counting does, without any training. Levy and Goldberg
#   (2014) showed why they are close: skip-gram with negative sampling factorises nearly the same matrix that we counted.
# - At width 96 the counted vectors answer 98 % of the analogies, but 95 % are answered *without* $a$ and $b$: each word's
#   partner is its nearest neighbour. The analogy then tests nothing. Only the last column shows it.
# - With all words allowed nearly half of the answers are lost at width 96, and the wider the vectors, the more often the
#   answer is $c$.
#
# So: report all questions, say whether words were left out, and show what the nearest neighbour alone would have given
# (Linzen, 2016).
#
# Are the steps really parallel? For each of the 34 pairs take the step from the first word to the second. Here is the cosine
# of each step with each other step.

# %%
steps = np.array([unit(vectors)[vocabulary.id(b)] - unit(vectors)[vocabulary.id(a)]
                  for relation in RELATIONS.values() for a, b in relation])
cosines = unit(steps) @ unit(steps).T
figure = Figure(figsize=(6.2, 4.8), layout="constrained")
axes = figure.subplots()
image = axes.imshow(cosines, vmin=-1, vmax=1, cmap="viridis")
sizes = np.array([len(group) for group in RELATIONS.values()])
centres = sizes.cumsum() - sizes / 2 - 0.5
axes.set_xticks(centres, [f"{name}\n({size} steps)" for name, size in zip(RELATIONS, sizes)], fontsize=8)
axes.set_yticks(centres, RELATIONS, fontsize=8, rotation=90, va="center")
axes.set(title="Cosine of two steps", xlabel="step", ylabel="step")
figure.colorbar(image, label="cosine", shrink=0.9)
plots.show(figure, "A 34 by 34 heatmap of cosines between steps. Three bright blocks along the diagonal, one for each "
           "relation; between the relations the cosines are near zero.")

# %%
# NBVAL_CHECK_OUTPUT
relation = np.repeat(np.arange(3), sizes)
within = (relation[:, np.newaxis] == relation) & ~np.eye(len(steps), dtype=bool)
between = relation[:, np.newaxis] != relation
print("mean cosine within a relation at least 0.4:  ", cosines[within].mean() >= 0.4)
print("mean cosine between relations within ±0.2:   ", abs(cosines[between].mean()) <= 0.2)
print("no step within a relation exactly like another:", cosines[within].max() < 0.95)

# %% [markdown]
# Three blocks: each relation has a direction of its own, and the directions have little to do with each other. Within a
# block the steps are similar and not equal, because every word also has a company of its own. A direction is an average, no
# law.
#
# The figure does not show that every relation is a direction. We planted relations in which one set of neighbours is
# exchanged for another, and that is what such a step can express. And vectors repeat whatever the text says: had we planted
# that nurses are women, *nurse* would lie on that side. Real text does plant such things (lecture 14).

# %% [markdown]
# ### Exercise 03.analogy: King − man + woman
#
# Difficulty ●●●●○ (4 of 5), about 20 minutes, 3 points
#
# Write `analogy_answers`: for each question (a, b, c), such as (man, woman, king), the word nearest to b − a + c. First
# divide every word vector by its length. Nearest means the largest cosine, and the three words of the question
# themselves do not count.

# %%
import numpy as np


def analogy_answers(vectors, questions):
    """The ids (n,) of the words nearest to b - a + c, of vectors (vocab_size, d_model) and questions (n, 3) of a, b,
    c."""
    ...

# %%
coursekit.check("03.analogy")

# %% [markdown]
# ## 9. Real embeddings
#
# The input vectors of the pretrained all-MiniLM-L6-v2 were learned from a large amount of real text: 30,522 entries, 384
# numbers each. They are the first thing this model does with a token, before any attention.

# %%
# NBVAL_CHECK_OUTPUT
if folder:
    from safetensors.numpy import load_file

    real = load_file(folder / "model.safetensors")["embeddings.word_embeddings.weight"]
    entries = WordPiece.load(folder / "vocab.txt").vocabulary
    print(real.shape)
    for word in ("king", "bank", "lower", "paris", "seven", "##ing"):
        near = nearest(real, [entries.id(word)], 5)[0]
        print(f"{word:6}", *[entries.token(other) for other in near])

# %% [markdown]
# Plurals, synonyms, numbers, and endings near endings. *lower* and *low*, two entries without a common part, have found each
# other by their company. Note *bank*: only money. An entry has one vector for all its meanings, and the river has no part in
# what is nearest. Lecture 11 shows how attention tells them apart.
#
# **Predict.** The famous analogy on these vectors, with all words allowed, and in the note's form with *male* and *female*.
# What comes first?

# %%
# NBVAL_CHECK_OUTPUT
if folder:
    for a, b in (("man", "woman"), ("male", "female")):
        question = np.array([[entries.id(word) for word in (a, b, "king")]])
        for exclude in (False, True):
            answer = solve_analogies(real, question, exclude)[0]
            print(f"king − {a} + {b}, {'three words left out' if exclude else 'all words allowed'}:",
                  entries.token(answer))

# %% [markdown]
# Here the most famous equation of word vectors gives *king*. It gives *queen* only when we forbid *king*. Is that an
# exception? Our relations again, as far as their words are entries, and three short lists of grammar.

# %%
GRAMMAR = {
    "present to past": "walk walked play played call called start started open opened live lived",
    "one to many": "dog dogs house houses car cars book books tree trees hand hands city cities",
    "comparative": "big bigger small smaller long longer short shorter high higher strong stronger"}
REAL = RELATIONS | {name: tuple(zip(words.split()[::2], words.split()[1::2]))
                    for name, words in GRAMMAR.items()}


def all_questions(pairs):
    """All analogies of the pairs whose words are entries, (n, 4)."""
    ids = [[entries.id(word) for word in pair] for pair in pairs if entries.ids.keys() >= set(pair)]
    return np.array([[*p[::way], *q[::way]] for way in (1, -1) for p in ids for q in ids if p != q])


if folder:
    real_rows = [{"name": name, "n": len(all_questions(pairs))} | judged(real, all_questions(pairs))
                 for name, pairs in REAL.items()]
    results.table(real_rows, {"relation": "{name}", "questions": "{n:.0f}"} | SHARES,
                  "All analogies within each relation, all-MiniLM-L6-v2, 30,522 entries (live).")

# %%
# NBVAL_CHECK_OUTPUT
if folder:
    print("a, b, c left out: grammar, each at least 0.7 right:", min(row["right"] for row in real_rows[3:]) >= 0.7)
    print("all allowed: at most 0.1 right everywhere:", max(row["allowed"] for row in real_rows) <= 0.1)
    print("all allowed: c itself in at least 0.8:", min(row["returns_c"] for row in real_rows) >= 0.8)

# %% [markdown]
# With the custom, grammar works well, gender and capitals in about six of ten cases, young animals hardly at all. Without it
# *nothing* works: the answer is practically always $c$. In 384 dimensions the steps are short beside what makes each word
# itself. The steps do point the right way, or leaving out would not help so much. But "king − man + woman = queen" is a
# statement about the nearest word *among the others*. These are the input vectors of one BERT; vectors of other models may
# be less extreme, as ours of section 8 were.
#
# The last column is again worth a look: for *one to many* the partner is the nearest neighbour anyway.

# %% [markdown]
# ## 10. Room for many directions
#
# In the plane two directions can be at right angles, and a third one cannot. In $d$ dimensions there are $d$. That seems few
# for 30,522 entries and all their shades. But what if *almost* at right angles is enough?
#
# **Predict.** Draw two random directions in 384 dimensions. What angle will they have?

# %%
rng = np.random.default_rng(0)
DIMENSIONS = (2, 3, 5, 10, 20, 50, 100, 200, 384, 1000)


def random_directions(n, d):
    return unit(rng.normal(size=(n, d)))


angles = {d: np.degrees(np.arccos((random_directions(2000, d) * random_directions(2000, d)).sum(axis=1)))
          for d in DIMENSIONS}
low, middle, high = np.array([np.percentile(angles[d], [2.5, 50, 97.5]) for d in DIMENSIONS]).T
figure = Figure(figsize=(7, 3.6), layout="constrained")
axes = figure.subplots()
axes.plot(DIMENSIONS, middle, marker="o", color=plots.COLOURS[0], label="median")
axes.fill_between(DIMENSIONS, low, high, color=plots.COLOURS[0], alpha=0.2, label="95 % of the angles")
axes.plot(DIMENSIONS, 90 - np.degrees(np.arcsin(np.minimum(1, 1.96 / np.sqrt(DIMENSIONS)))), linestyle="--",
          color=plots.COLOURS[1], label="where the cosine is $1.96/\\sqrt{d}$")
axes.set(xscale="log", xlabel="dimensions", ylabel="angle in degrees", yticks=range(0, 181, 30),
         title="Angle of two random directions")
axes.legend()
plots.show(figure, "Angles of random pairs of directions against the dimension. In 2 dimensions they spread "
           "over 0 to 180 degrees; the band closes around 90 degrees, in 384 dimensions it is about 84 to 96.")

# %%
# NBVAL_CHECK_OUTPUT
for d in (3, 30, 384):
    cosines_d = (random_directions(20000, d) * random_directions(20000, d)).sum(axis=1)
    print(f"{d:4} dimensions: spread of the cosine within 3 % of 1/√d = {d**-0.5:.3f}:",
          abs(cosines_d.std() * np.sqrt(d) - 1) < 0.03)

# %% [markdown]
# About 90 degrees, nearly always. The cosine of two random directions is a sum of $d$ small terms of either sign, which
# spreads like $1/\sqrt d$. So 95 % of the cosines lie within $\pm 1.96/\sqrt d$, the dashed line. (Below 10 dimensions,
# where that exceeds 1 or comes near it, the rule does not hold.)
#
# So how many directions fit, if no two may come closer than 60 degrees? We draw one after the other until a new one comes
# too close to an old one. Two random directions are closer than 60 degrees with a probability $p$, the share of a cap on the
# sphere. As with birthdays, half of the time the first accident has happened after about $1.18 / \sqrt p$ draws.
#
# **Predict.** In 20 dimensions it takes about 11 draws. Guess for 60 dimensions.

# %%
def cap(d, degrees=60):
    """Share of all directions in d dimensions that are within so many degrees of a given one."""
    angle = np.linspace(0, np.pi, 200_001)
    density = np.sin(angle) ** (d - 2)
    return density[angle <= np.radians(degrees)].sum() / density.sum()


def draws_until_close(d, most):
    """How many random directions until two are closer than 60 degrees."""
    directions = random_directions(most, d).astype("float32")
    close = np.tril(directions @ directions.T, -1).max(axis=1) > 0.5
    return close.argmax() + 1 if close.any() else most


MOST = {10: 40, 20: 100, 30: 200, 40: 400, 50: 800, 60: 1500}
drawn = {d: np.median([draws_until_close(d, most) for _ in range(60)]) for d, most in MOST.items()}
expected = {d: 1.18 / np.sqrt(cap(d)) for d in (*MOST, 100, 200, 384)}
rows = [{"d": d, "drawn": drawn.get(d), "expected": expected[d]} for d in expected]
results.table(rows, {"dimensions": "{d:.0f}", "drawn, median of 60": "{drawn:.0f}", "expected": "{expected:,.0f}"},
              "Random directions until two are closer than 60 degrees (live).")

# %%
# NBVAL_CHECK_OUTPUT
print("measured within a factor of 1.4 of the estimate:",
      all(1 / 1.4 < drawn[d] / expected[d] < 1.4 for d in drawn))
print(f"each further dimension multiplies by about {(expected[384] / expected[200]) ** (1 / 184):.2f}, "
      f"384 dimensions give {expected[384]:.0e}")

# %% [markdown]
# About 270 draws for 60 dimensions, far more than three times those for 20. The number of *exactly* orthogonal directions
# grows by one with each dimension. The number that are 60 degrees apart is multiplied by about 1.08: an exponential. For 384
# dimensions the estimate is $5 \cdot 10^{12}$, and we did not even choose the directions, we drew them blindly. That is what
# the note's "exponentially more" means, with a number.
#
# But 60 degrees, a cosine of one half, is a generous reading of "almost orthogonal". What if we ask for more? If we may also
# *choose*, there are more: as long as the caps around $n$ directions do not cover the sphere, another one fits, so at
# least $1/p$ fit.
#
# **Predict.** How many random directions in 384 dimensions stay 80 degrees apart: billions, thousands, or fewer?

# %%
rows = [{"d": d, "degrees": degrees, "drawn": 1.18 / np.sqrt(cap(d, degrees)), "chosen": 1 / cap(d, degrees)}
        for d in (384, 1536) for degrees in (60, 70, 80, 85)]
results.table(rows, {"dimensions": "{d:.0f}", "degrees apart": "{degrees:.0f}", "drawn blindly": "{drawn:.2g}",
                     "chosen, at least": "{chosen:.2g}"}, "How many directions fit, by the estimate (live).")

# %%
# NBVAL_CHECK_OUTPUT
fits = {(row["d"], row["degrees"]): row for row in rows}
print("384 dimensions, 80 degrees: fewer than 100 drawn, at least 3,000 chosen:",
      fits[384, 80]["drawn"] < 100 and fits[384, 80]["chosen"] > 3000)
print("384 dimensions, 85 degrees: both fewer than the 384 at right angles:", fits[384, 85]["chosen"] < 384)

# %% [markdown]
# Fewer than a hundred. At 85 degrees the estimates are even below 384, the number of directions that are *exactly*
# orthogonal. "Exponentially many" is true at every angle below 90 degrees, but the closer to 90, the more dimensions it
# takes until it helps: at 80 degrees, four times the dimensions bring the drawn ones from 67 to 600,000. So whoever says
# "almost orthogonal" should say how nearly.
#
# There is a price. Almost orthogonal is not orthogonal: each pair disturbs the other by about $1/\sqrt d$, and a sum of many
# directions gathers many small disturbances. Also, room for many directions does not mean that a model uses it. Do real
# vectors spread like random ones?
#
# **Predict.** The nearest of $n$ random directions to a given one has a cosine of about $\sqrt{2 \ln n / d}$. For 30,522
# entries that is 0.23. What will it be for real words?

# %%
if folder:
    words_only = np.array([place for place, token in enumerate(entries.tokens)
                           if token.isalpha() and len(token) > 1])
    spread, closest = {}, {}
    for name, table in (("random", random_directions(*real.shape)), ("real", unit(real))):
        a, b = rng.choice(words_only, (2, 20000))
        spread[name] = (table[a] * table[b]).sum(axis=1).std()
        some = rng.choice(words_only, 200, replace=False)
        closest[name] = np.median((table[some] * table[nearest(table, some)[:, 0]]).sum(axis=1))
        print(f"{name:6} vectors: spread of the cosines {spread[name]:.3f}, as in "
              f"{1 / spread[name]**2:.0f} dimensions; nearest neighbour {closest[name]:.2f}")

# %%
# NBVAL_CHECK_OUTPUT
if folder:
    print("spread as in at most 0.6 times as many dimensions:", (spread["random"] / spread["real"])**2 <= 0.6)
    print("nearest neighbour at least twice as near:", closest["real"] >= 2 * closest["random"])

# %% [markdown]
# The estimate is a little high for random directions. Real vectors fill the space less evenly: their cosines spread like
# those of random directions in half as many dimensions. And each word has neighbours far nearer than chance would put there.
# The space has room; training decides who lives side by side.
#
# ## Summary
#
# - Characters make long sequences, words leave unknown ones. Parts of words are the compromise, and it can be measured.
# - BPE learns merges and applies them in the order in which they were learned; a tie rule belongs to it. WordPiece takes the
#   longest entry from the left and gives up on the whole word where nothing fits.
# - The tokens of *low, lower, lowest* are not those of the note: `lo`, `low`, `lowe` are merged, and letters never leave.
# - BERT's input is `[CLS]` first `[SEP]` second `[SEP]`, with segments and a mask.
# - A look-up is a product with one-hot vectors that nobody computes. Its gradient adds up over repeated tokens.
# - Words in similar company get similar vectors; where company changes in the same way, steps become parallel.
# - *King − man + woman* is *king* in a real model, unless *king* is left out. Ask all questions and show the baseline.
# - In $d$ dimensions $d$ directions are orthogonal. How many are *almost* so grows exponentially, at a rate that depends on
#   how nearly.
#
# A token's vector is the same in every sentence, and the same at every place of it. Lecture 04 tells the model *where* a
# token stands, lecture 05 lets it look at its neighbours.
#
# ## Further reading
#
# - R. Sennrich, B. Haddow, A. Birch. *Neural Machine Translation of Rare Words with Subword Units.* ACL 2016, pages
#   1715–1725. [arXiv:1508.07909](https://arxiv.org/abs/1508.07909). Algorithm 1 is our section 2.
# - A. Radford et al. *Language Models are Unsupervised Multitask Learners.* 2019. Section 2.2: BPE on bytes.
# - Y. Wu et al. *Google's Neural Machine Translation System.* 2016. [arXiv:1609.08144](https://arxiv.org/abs/1609.08144).
#   Section 4.1: WordPiece.
# - J. Devlin, M.-W. Chang, K. Lee, K. Toutanova. *BERT: Pre-training of Deep Bidirectional Transformers for Language
#   Understanding.* NAACL 2019. [arXiv:1810.04805](https://arxiv.org/abs/1810.04805). Section 3: the input.
# - T. Mikolov, I. Sutskever, K. Chen, G. Corrado, J. Dean. *Distributed Representations of Words and Phrases and their
#   Compositionality.* NeurIPS 2013. [arXiv:1310.4546](https://arxiv.org/abs/1310.4546). Section 2.2: negative sampling.
# - Z. S. Harris. *Distributional Structure.* Word 10, 1954, pages 146–162.
# - J. R. Firth. *A Synopsis of Linguistic Theory, 1930–1955.* In: Studies in Linguistic Analysis, 1957.
# - T. Mikolov, W. Yih, G. Zweig. *Linguistic Regularities in Continuous Space Word Representations.* NAACL 2013, pages
#   746–751. Where king − man + woman comes from.
# - O. Levy, Y. Goldberg. *Neural Word Embedding as Implicit Matrix Factorization.* NeurIPS 2014.
# - T. Linzen. *Issues in evaluating semantic spaces using word analogies.* RepEval 2016.
#   [arXiv:1606.07736](https://arxiv.org/abs/1606.07736). The baselines that we used.
