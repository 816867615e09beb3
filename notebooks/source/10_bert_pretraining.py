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
# # 10 · Pretraining BERT
#
# [![Open in Colab](attachment:open_in_colab.png)](https://colab.research.google.com/github/coursekit/coursekit/blob/main/notebooks/10_bert_pretraining.ipynb)
#
# The language model of lecture 09 reads from left to right, since it must not see the word that it is to predict. BERT
# reads both ways. That works because the words it has to predict are taken out. In this lecture you build what BERT is
# pretrained on, prove where its loss comes from, and pretrain one. Our text has a known truth, so that you can also say
# how good the model is beside *the best that any model could be*.
#
# **You will be able to**
#
# - turn two texts into BERT's input: tokens, segments, positions, and the sum of their embeddings;
# - mask a text by the rule of 80, 10 and 10 %, and say what each share is for;
# - prove that only chosen places give a loss, and say what that costs;
# - count the parameters of a tied output matrix, and find both parts of its gradient;
# - build pairs for next sentence prediction, and say what a model can learn from them without reading closely;
# - judge a pretrained model against chance, counting, and the optimum.
#
# **Time** about 110 minutes of reading and trying; about one and a half minutes of computing on two CPU cores. No GPU
# is needed.
#
# **You need** lecture 03 (WordPiece), lecture 07 (the layer) and lecture 09 (loss and baselines).
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
import time
from collections import Counter
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import torch

from coursekit import plots, pretrained, results
from coursekit import torch as ct
from coursekit.datasets import data_folder
from coursekit.datasets.associations import GRAMMAR, PURCHASES, associations, truth, vocabulary
from coursekit.datasets.grammar import MASK, tokenize
from coursekit.text import WordPiece
from coursekit.torch.pretraining import (
    mask_tokens, next_sentence_pairs, pretraining_examples, pretraining_loss)
from coursekit.torch.training import NO_TARGET, token_cross_entropy

np.set_printoptions(precision=3, suppress=True, floatmode="fixed")
torch.set_printoptions(precision=3, sci_mode=False)

# %% [markdown]
# ## 1. A text whose truth is known
#
# Real text would be best. But nobody knows what the best possible prediction of a word in real text is, so nobody could
# say how far a model is from it. Our text comes from a grammar of ours: documents of four sentences, each about one
# person or one place, with probabilities that we planted. They are invented. They say nothing about Texas, or about
# nurses.

# %%
# NBVAL_CHECK_OUTPUT
documents = associations(10_000)
print(f"{len(documents):,} documents, {sum(map(len, documents)):,} sentences, "
      f"{len({sentence for document in documents for sentence in document})} different ones")
for document in documents[:8]:
    print("  ".join(document))

# %% [markdown]
# What is planted for purchases stands in a table, in percent. `truth` gives the probability of every word at a
# `[MASK]`: it sums over everything that the grammar could have said.

# %%
# NBVAL_CHECK_OUTPUT
for place in ("Texas", "New York"):
    print(f"{place:9} {PURCHASES[place]}")
    best = list(truth(f"In {place}, they like to buy [MASK].").items())[:3]
    print(f"{'':9} truth:", ", ".join(f"{word} {p:.2f}" for word, p in best))

# %% [markdown]
# ### What both sides are worth
#
# A word is gone from the middle of a sentence: "Chloe was a [MASK] in 2018." A model that reads from left to right
# knows only that Chloe was a something. We hide the rest from the truth as well, and ask again.
#
# **Predict.** Which tells more about the occupation: the name before the gap, or the year after it?

# %%
# NBVAL_CHECK_OUTPUT
def bits(distribution):
    """How uncertain a distribution is, in bits."""
    p = np.array(list(distribution.values()))
    return -(p * np.log2(p)).sum()


for shown in ("[MASK] was a [MASK] in [MASK].", "Jane was a [MASK] in [MASK].",
              "[MASK] was a [MASK] in 2018.", "Jane was a [MASK] in 2018.", "Chloe was a [MASK] in [MASK]."):
    job = GRAMMAR.masked(shown)[tokenize(shown)[:3].count(MASK)]
    best = ", ".join(f"{word} {p:.2f}" for word, p in list(job.items())[:3])
    print(f"{shown:32} {bits(job):.2f} bits   {best}")

# %% [markdown]
# By itself the name tells a little more here, with 2.67 bits left against 2.77 after the year alone. Both sides
# together leave the least uncertainty. From the left alone, the reader of "Jane was a" has to guess the year as well.
# Chloe is the exception that explains it: in this text only people of 2018 are called Chloe, so her name tells the
# year.
#
# So why not let the language model of lecture 09 look to the right too? Because it would find the answer there. Lecture
# 05 showed what happens without the causal mask: the loss falls to nothing, and nothing is learned. BERT's way out is
# to take the word itself away and to keep both sides.
#
# ## 2. A pair of texts as one input
#
# BERT reads two texts at once, as in section 5 of lecture 03: `[CLS]` first `[SEP]` second `[SEP]`.
# `[CLS]` stands for the whole, and `[SEP]` ends a text.
# Our vocabulary has the special tokens and each word of the corpus, so every word is one token.

# %%
# NBVAL_CHECK_OUTPUT
tokenizer = WordPiece(vocabulary())
words, word_id, vocab_size = tokenizer.vocabulary, tokenizer.vocabulary.id, len(tokenizer.vocabulary)
encoding = tokenizer.encode("Paul went shopping.", "He bought a new shirt.")
print("vocabulary of", vocab_size)
print("token   ", " ".join(f"{token:>8}" for token in encoding.tokens))
print("id      ", " ".join(f"{id:8}" for id in encoding.ids))
print("segment ", " ".join(f"{segment:8}" for segment in encoding.segment_ids))
print("position", " ".join(f"{place:8}" for place in range(len(encoding.ids))))

# %% [markdown]
# Three tables of vectors are looked up and *added*: one row for the token, one for the segment, one for the position.
# Here by hand, with vectors of two numbers, for the tokens `[CLS]`, *paul* and `[SEP]` of the first text and *he* of
# the second.
#
# | | token | + segment | + position | = sum |
# |---|---|---|---|---|
# | `[CLS]` | (0, 1) | (1, 0) | (0, 0) | (1, 1) |
# | *paul* | (2, 1) | (1, 0) | (0, 1) | (3, 2) |
# | `[SEP]` | (1, 1) | (1, 0) | (0, 2) | (2, 3) |
# | *he* | (2, 1) | (0, 5) | (0, 3) | (2, 9) |
#
# *paul* and *he* were given the same token vector, on purpose. What differs in the sums comes from segment and
# position. Now the same with the tables of a fresh BERT.
#
# **Predict.** BERT then normalises every sum (lecture 07). Is the first layer's input equal to our sum after a layer
# norm?

# %%
# NBVAL_CHECK_OUTPUT
small = ct.BertConfig(vocab_size=vocab_size, d_model=6, n_layers=1, n_heads=2, d_ff=12, max_length=32,
                      dropout=0.0)
bert = ct.Bert(small)
ids, segment_ids = torch.tensor([encoding.ids]), torch.tensor([encoding.segment_ids])
with torch.no_grad():
    summed = (bert.token_embedding.weight[ids] + bert.segment_embedding.weight[segment_ids]
              + bert.position_embedding.weight[torch.arange(ids.shape[1])])
    mean, variance = summed.mean(-1, keepdim=True), summed.var(-1, correction=0, keepdim=True)
    normed = (summed - mean) / (variance + small.norm_epsilon).sqrt()
    first = bert.states(ids, segment_ids=segment_ids)[0]
print("shape of the input:", tuple(first.shape))
print("equal to the sum:", torch.allclose(first, summed), "  to its layer norm:",
      torch.allclose(first, normed, atol=1e-5))

# %% [markdown]
# Yes: a fresh norm scales by 1 and shifts by 0. The sinusoids of lecture 04 are computed; BERT's position vectors are
# learned, one for each of 512 places, and there is none beyond.

# %%
coursekit.show_source(ct.Bert.embed)

# %% [markdown]
# ### Exercise 10.input_vectors: What the first layer reads
#
# Difficulty ●○○○○ (1 of 5), about 8 minutes, 1 point
#
# Write `input_vectors`: the vectors of a pair of texts, before norm and dropout. Each is the sum of the embeddings of
# its token, of its position and of its segment. `ids` is the whole input, [CLS] and [SEP] included; the first `n_first`
# tokens belong to the first segment (row 0 of `segments`) and the rest to the second (row 1).

# %%
import numpy as np


def input_vectors(ids, n_first, tokens, positions, segments):
    """The vectors (length, d_model) of ids (length,), with the tables tokens (vocab, d_model), positions (longest,
    d_model) and segments (2, d_model)."""
    ...

# %%
coursekit.check("10.input_vectors")

# %% [markdown]
# ## 3. Which words are hidden, and how
#
# 15 % of the tokens are *chosen*. The slides that this course grew from say that these are replaced with `[MASK]`. The
# paper does more: of the chosen ones
#
# - 80 % become `[MASK]`,
# - 10 % become a random token,
# - 10 % stay as they are.
#
# The model is asked about all of them. By hand, for one sentence. Each token draws two numbers: below 0.15 it is
# chosen, and if so, the second number decides.
#
# | token | jane | worked | as | a | nurse | . |
# |---|---|---|---|---|---|---|
# | first number | 0.62 | **0.09** | 0.88 | **0.03** | **0.11** | 0.40 |
# | second number | | 0.85 | | 0.97 | 0.31 | |
# | the model reads | jane | *boots* | as | a | `[MASK]` | . |
# | it is asked | | worked | | a | nurse | |
#
# 0.85 lies between 0.8 and 0.9, so *worked* becomes some token, here *boots*. Now in code, many times over.
#
# **Predict.** What share of all words does the model read changed?

# %%
# NBVAL_CHECK_OUTPUT
batch = tokenizer.encode_batch(*zip(*(document[:2] for document in documents)))
ids, mask_id, special = torch.from_numpy(batch.ids), word_id(MASK), tokenizer.special_ids.values()
inputs, targets = mask_tokens(ids, special, vocab_size, mask_id, share=0.15,
                              generator=torch.Generator().manual_seed(0))
chosen, of_text = targets != NO_TARGET, ~torch.isin(ids, torch.tensor(list(special)))
print(f"chosen, of all words: {chosen.sum() / of_text.sum():.3f}; special tokens: {(chosen & ~of_text).sum()}")
for name, read in (("[MASK]", inputs == mask_id), ("the same", inputs == ids),
                   ("another word", (inputs != ids) & (inputs != mask_id))):
    print(f"of the chosen, read as {name:12} {(read & chosen).sum() / chosen.sum():.3f}")
print(f"changed, of all words: {(inputs != ids).sum() / of_text.sum():.3f}")

# %% [markdown]
# About 0.15 times 0.9, or 0.135. Among the tokens that "stay" are a few random draws that hit the right word.
#
# Why not `[MASK]` always? Because later, in fine-tuning (lecture 12), no text has a `[MASK]`. A model that is asked
# only at masks may spend its vectors there and be careless everywhere else. With the 10 and 10 % any token may be one
# it is asked about, and may be wrong, so every vector has to say what word belongs at its place. That is the paper's
# reason. Its own comparison (appendix C.2) shows small differences after fine-tuning, larger ones when BERT is used
# without it.
#
# We also test ourselves against the library: `transformers` has a collator with the same rule. The tests of this course
# hold both equal in distribution.

# %% [markdown]
# ### Exercise 10.changed_tokens: How many tokens are changed?
#
# Difficulty ●○○○○ (1 of 5), about 3 minutes, 1 point
#
# A batch has 2,000 tokens that are not special. 15 % are chosen, and of these 80 % become [MASK], 10 % a random token
# and 10 % stay as they are. How many tokens does the model read differently from what was written, on average? Take it
# that a random token is never the right one. Give `changed_tokens` that number.

# %%
changed_tokens = ...

# %%
coursekit.check("10.changed_tokens")

# %% [markdown]
# ### Exercise 10.masked: Mask by the rule
#
# Difficulty ●●●○○ (3 of 5), about 12 minutes, 3 points
#
# Write `masked`, BERT's masking with the random numbers given, so that everyone gets the same. A token is chosen if its
# `chance` is below `share`, unless it is special. The `fate` of a chosen token decides what the model reads: below 0.8
# `mask_id`, from 0.8 to below 0.9 the token in `others`, from 0.9 the token itself. Targets are the chosen tokens, and
# -100 elsewhere.

# %%
import numpy as np


def masked(ids, special, chance, fate, others, share, mask_id):
    """inputs and targets (batch, length) of ids (batch, length), special (batch, length), boolean, the random numbers
    chance and fate from 0 to 1 and the random tokens others, each (batch, length), the share and the id of [MASK]."""
    ...

# %%
coursekit.check("10.masked")

# %% [markdown]
# ## 4. Only chosen places count: a proof
#
# The slides say that only the masked words count in the loss. In code, places where nothing is asked have the target
# $-100$, and the loss leaves them out. Let us look closely, in three steps.
#
# **Predict.** (a) We replace the logits at all places that are not chosen with random numbers of standard deviation
# 1,000. What happens to the loss? (b) What is the gradient of the loss at those logits? (c) And is the gradient zero,
# too, at the *embeddings* of tokens that are not chosen?

# %%
# NBVAL_CHECK_OUTPUT
coursekit.seed_everything(0)
config = ct.BertConfig(vocab_size=vocab_size, d_model=32, n_layers=2, n_heads=4, d_ff=64, max_length=32,
                       dropout=0.0)
fresh = ct.BertForPreTraining(config)
six = chosen.any(1).nonzero().flatten()[:6]  # six pairs with at least one chosen word
rows, asked_words, at = inputs[six], targets[six], chosen[six]
mask, segments = torch.from_numpy(batch.mask)[six], torch.from_numpy(batch.segment_ids)[six]
logits, _ = fresh(rows, mask, segments)
noisy = torch.where(at[..., None], logits, 1000 * torch.randn(logits.shape))
print("places:", at.numel(), "  chosen:", int(at.sum()))
print("(a) the loss is the same, to the last bit:",
      token_cross_entropy(logits, asked_words).item() == token_cross_entropy(noisy, asked_words).item())

logits.retain_grad()
token_cross_entropy(logits, asked_words).backward()
has_gradient = logits.grad.abs().sum(-1) > 0
print("(b) logits with a gradient are those of chosen places:", torch.equal(has_gradient, at))

# %%
# NBVAL_CHECK_OUTPUT
x = fresh.bert.embed(rows, segments).detach().requires_grad_()
output = fresh.bert.encoder(x, mask.unsqueeze(1))
logits = fresh.token_head(output, fresh.bert.token_embedding.weight)
token_cross_entropy(logits, asked_words).backward()
norms = x.grad.norm(dim=-1)
print("(c) every token that was read has a gradient:", bool((norms[mask] > 0).all()))
print("    padding has none:", bool((norms[~mask] == 0).all()))

# %% [markdown]
# (a) The same. (b) Zero, exactly. That is no accident of these six pairs. The loss is the mean of $-\ln p(\text{word})$
# over the chosen places, and $p$ at a place is the softmax of the logits of that place alone: no other logit stands in
# the formula.
#
# (c) No: the *answers* elsewhere do not count, but the *words* elsewhere do. They are what the prediction is made from,
# and through attention the loss reaches all of them. Only padding, which is masked, gets nothing.
#
# What does it cost? A language model gets an answer at every token, BERT at 15 %. For the same text read it has a
# seventh of the answers. The paper says so, too (appendices A.1 and C.1): masked training needs more steps. In return
# each answer is made from both sides.
#
# Since only chosen places count, only their logits need computing. With `at` the model does just that, as BERT's
# published code does.

# %%
# NBVAL_CHECK_OUTPUT
few, _ = fresh(rows, mask, segments, at=at)
print("logits everywhere:", tuple(logits.shape), "  at chosen places:", tuple(few.shape))
print("the same numbers:", torch.allclose(few, logits[at], atol=1e-6))

# %% [markdown]
# ## 5. Does the second sentence follow?
#
# The second task of BERT. Each pair is two neighbours of a document, or, in half of the cases, the first and a sentence
# of another document. From the vector at `[CLS]` the model says which. (BERT's "sentences" are longer pieces of text,
# up to 512 tokens for both together. Ours are sentences.) The slides have two examples: "Paul went shopping. He bought
# a new shirt." is right, "Ramona made coffee. Vanilla ice cream cones for sale." is not. Both scenes are in our text.

# %%
# NBVAL_CHECK_OUTPUT
first, second, labels = next_sentence_pairs(documents, np.random.default_rng(0))
print(f"{len(labels):,} pairs of {len(documents):,} documents; label 1: {labels.mean():.3f}")
for i in range(6):
    print(f"label {labels[i]}   {first[i]:32} {second[i]}")

# %% [markdown]
# Label 0 says that it follows, 1 that it does not. That is how BERT's code and `transformers` have it, and it is easily
# mistaken. Four sentences make three pairs, and no pair goes across the border of documents.
#
# The slides give each of the two tasks 50 % of the training. Half and half are the *pairs*. The tasks are not taken in
# turns: every input has both, and the losses are added.

# %%
coursekit.show_source(pretraining_loss)

# %% [markdown]
# ### Exercise 10.sentence_pairs: Does it follow?
#
# Difficulty ●●●○○ (3 of 5), about 15 minutes, 3 points
#
# Write `sentence_pairs`. Sentences are numbered through, and `document_of` says which document each belongs to, in
# order. Every sentence with a successor in its own document gives one pair. Where its `coin` is below 0.5 the second
# sentence is that successor, label 0. Elsewhere it is a sentence of another document, label 1: of all sentences of
# other documents, in order, the one with number int(draw · how many there are). `coin` and `draw` have one number for
# every sentence.

# %%
import numpy as np


def sentence_pairs(document_of, coin, draw):
    """first, second and labels, each (pairs,), of document_of, coin and draw, each (sentences,)."""
    ...

# %%
coursekit.check("10.sentence_pairs")

# %% [markdown]
# ## 6. The best that anyone can do
#
# Some words are certain: after "In Texas, they like to" comes *buy*. What is bought is not certain, and no model can
# know more than its probabilities. The **optimum** is the prediction that knows the whole grammar and, for each gap,
# weighs everything that could have been said. It is Bayes' rule, and here it can be computed.
#
# By hand: "In [MASK], she was employed as a nurse." Both years are equally frequent. Of a hundred women of 1908, 36 are
# nurses, of 2018 it is 10. So the two ways to say the sentence have the weights 0.5 · 0.36 = 0.18 and 0.5 · 0.10 =
# 0.05, and 1908 has the probability 0.18 / 0.23 = 0.783. Whoever always answers 1908 is right in 78 % of cases, and
# nobody can do better.

# %%
# NBVAL_CHECK_OUTPUT
print({year: round(p, 3) for year, p in truth("In [MASK], she was employed as a nurse.").items()})
for pair in (("Paul went shopping.", "He bought a new shirt."),
             ("Ramona made coffee.", "Vanilla ice cream cones for sale."),
             ("Jane was a nurse in 1908.", "She used a bag."),
             ("Jane was a nurse in 1908.", "She used a keyboard."),
             ("Jane was a nurse in 1908.", "He used a bag.")):
    print(f"p(it follows) {GRAMMAR.follows(*pair):.3f}   {' '.join(pair)}")

# %% [markdown]
# A bag follows a nurse, but a random sentence may be about another woman with a bag: 0.93 and not 1. A keyboard does
# not follow, and nor does *he*.
#
# Now test questions: 500 documents that training does not contain, in pairs, with 15 % of the words replaced. In a test
# we always put `[MASK]`: a random word could be seen or not be seen, and the optimum would have to guess that, too. New
# are the documents, not the sentences: the text has only 642 different ones, and most of the pairs that follow stand in
# training as well (section 10 counts them). So the test asks whether the probabilities were learned, and not whether
# new sentences are understood. Section 9 has one of those.

# %%
class Questions(NamedTuple):
    """Test pairs: the model's inputs with and without masks, the right answers, and what the grammar knows."""

    masked: tuple
    whole: tuple
    words: torch.Tensor
    planted: list
    labels: torch.Tensor
    follows: np.ndarray
    pairs: list


def questions(documents, tokenizer, rng, share=0.15):
    """`Questions` about all pairs of the documents; a share of the words is masked."""
    first, second, labels = next_sentence_pairs(documents, rng)
    shown = [[" ".join(MASK if rng.random() < share else token for token in tokenize(sentence)) for sentence in side]
             for side in (first, second)]
    whole, masked = (tuple(map(torch.from_numpy, (batch.ids, batch.mask, batch.segment_ids)))
                     for batch in (tokenizer.encode_batch(first, second), tokenizer.encode_batch(*shown)))
    at = masked[0] == tokenizer.special_ids[MASK]
    planted = [distribution for pair in zip(*shown) for distribution in GRAMMAR.masked(*pair)]
    follows = np.array([GRAMMAR.follows(*pair) for pair in zip(first, second)])
    return Questions((*masked, at), whole, whole[0][at], planted, torch.from_numpy(labels), follows,
                     list(zip(first, second)))


# %%
# NBVAL_CHECK_OUTPUT
test = questions(associations(500, "test", seed=1), tokenizer, np.random.default_rng(1))
unsure = torch.tensor([max(planted.values()) < 0.9 for planted in test.planted])
print(f"{len(test.pairs):,} pairs, {len(test.words):,} masked words, "
      f"of which nobody can be sure of {unsure.sum():,}")

# %% [markdown]
# "Nobody can be sure" where the best answer has a probability below 0.9. Of these questions the optimum itself gets
# less than half right, and they are the ones that tell models apart. We also look at the probabilities themselves, and
# not only at the best guess: the **divergence** (KL) of the planted distribution from the predicted one, $\sum_w q(w)
# \ln (q(w) / p(w))$ with planted $q$ and predicted $p$, is 0 where both are equal.
#
# **Predict.** Some baselines: guess evenly; always say the commonest token; and for pairs: say that the second sentence
# follows if it is of the same *kind*, work or places or fishing and so on. Which shares will they get right?

# %%
def measured(p_words, p_follows, test, vocabulary):
    """A row of the table, from predictions such as `asked` returns."""
    right = p_words.argmax(-1) == test.words
    unsure = torch.tensor([max(planted.values()) < 0.9 for planted in test.planted])
    place, word, p = (np.array(column) for column in zip(*(
        (place, vocabulary.id(word), p) for place, planted in enumerate(test.planted) for word, p in planted.items())))
    kl = (p * (np.log(p) - np.log(p_words.numpy()[place, word]))).sum() / len(right)
    follows = (p_follows < 0.5).long() == test.labels
    return {"masked": right.double().mean().item(), "unsure": right[unsure].double().mean().item(), "kl": float(kl),
            "next": follows.double().mean().item()}


# %%
def baselines(documents, test, vocabulary):
    """Rows of predictions that need no network: chance, counting words, the kind of document, and the optimum."""
    places, size = len(test.words), len(vocabulary)
    counts = Counter(token for document in documents for sentence in document for token in tokenize(sentence))
    unigram = torch.tensor([counts[token] for token in vocabulary.tokens], dtype=torch.float64)
    optimum = torch.zeros(places, size, dtype=torch.float64)
    for row, planted in zip(optimum, test.planted):
        for word, p in planted.items():
            row[vocabulary.id(word)] = p
    kinds = dict(zip(GRAMMAR.sentences, GRAMMAR.kind))
    same_kind = torch.tensor([float(kinds[a] == kinds[b]) for a, b in test.pairs])
    even, unknown = torch.full((places, size), 1 / size), torch.full((len(test.pairs),), 0.5)
    found = {
        "chance": measured(even, unknown, test, vocabulary) | {"masked": 1 / size, "unsure": 1 / size, "next": 0.5},
        "counted words; same kind of document": measured((unigram / unigram.sum()).expand(places, -1), same_kind, test,
                                                         vocabulary),
        "optimum": measured(optimum, torch.from_numpy(test.follows), test, vocabulary),
    }
    return [{"model": name} | row for name, row in found.items()]


# %%
# NBVAL_CHECK_OUTPUT
known = baselines(documents, test, words)
for row in known:
    print(f"{row['model']:36}  masked {row['masked']:5.1%}  unsure {row['unsure']:5.1%}  KL {row['kl']:4.2f}  "
          f"next {row['next']:5.1%}")

# %% [markdown]
# The commonest token is the full stop; it is never an unsure one. Whoever only sees what a sentence is about gets about
# five in six pairs right, and does not have to read any closer. Keep that number in mind.

# %% [markdown]
# ### Exercise 10.optimum: The best that anyone can do
#
# Difficulty ●●●○○ (3 of 5), about 12 minutes, 3 points
#
# Write `optimum`. A document has a hidden fact, such as its year, with the probability `prior`. Then a word is drawn by
# that fact's row of `word_given_fact`. The word is shown and the fact is masked. What share of the facts does the best
# possible guesser get right?

# %%
def optimum(prior, word_given_fact):
    """The accuracy, one number, of the best guess of the fact, for prior (facts,) and word_given_fact (facts, words),
    whose rows sum to 1."""
    ...

# %%
coursekit.check("10.optimum")

# %% [markdown]
# ## 7. One matrix, used twice
#
# At the output the model compares its vector with a vector of every token. Those are the token embeddings again: the
# output matrix is *tied* to the input's.

# %%
coursekit.show_source(type(fresh.token_head).forward)

# %% [markdown]
# **Predict.** bert-base has 30,522 tokens, 768 units, 12 layers, and about 110 million parameters. How many more would
# it have with an output matrix of its own?

# %%
# NBVAL_CHECK_OUTPUT
sizes = {"ours, in section 8": ct.BertConfig(vocab_size=vocab_size, d_model=64, n_layers=1, n_heads=4, d_ff=256,
                                             max_length=32),
         "bert-base": ct.BertConfig(),
         "bert-large": ct.BertConfig(d_model=1024, n_layers=24, n_heads=16, d_ff=4096)}
for name, size in sizes.items():
    with torch.device("meta"):  # shapes without memory
        counted = sum(weight.numel() for weight in ct.BertForPreTraining(size).parameters())
    own = size.vocab_size * size.d_model
    print(f"{name:18} {counted:11,} tied, {counted + own:11,} with a matrix of its own, "
          f"{own / counted:.0%} more")

# %% [markdown]
# A fifth more for bert-base. Tied, the matrix learns from both ends. Which end teaches it what? We take the six pairs
# of section 4 again and cut one use off at a time: `detach` lets numbers through and no gradient.

# %%
# NBVAL_CHECK_OUTPUT
def embedding_gradient(use):
    """The gradient of the token embedding, (vocab_size, d_model), through "input", "output" or "both"."""
    fresh.zero_grad()
    table = fresh.bert.token_embedding.weight
    x = fresh.bert.embed(rows, segments)
    output = fresh.bert.encoder(x.detach() if use == "output" else x, mask.unsqueeze(1))
    logits = fresh.token_head(output, table.detach() if use == "input" else table)
    token_cross_entropy(logits, asked_words).backward()
    return table.grad.clone()


of_input, of_output, both = (embedding_gradient(use) for use in ("input", "output", "both"))
print("input + output = both:", torch.allclose(of_input + of_output, both, atol=1e-7))
for name, gradient in (("input", of_input), ("output", of_output)):
    reached = gradient.abs().sum(1) > 0
    print(f"rows with a gradient through the {name}: {reached.sum()} of {len(gradient)}")
print("different tokens that were read:", len(rows[mask].unique()))

# %% [markdown]
# The gradients add up. Through the input only the tokens that were read learn. Through the output *all* do: softmax
# pushes every wrong token down a little. So a rare word moves in every step, mostly away from the vectors of places
# where another word was right.

# %% [markdown]
# ### Exercise 10.tied_gradient: One matrix, two gradients
#
# Difficulty ●●●●○ (4 of 5), about 20 minutes, 4 points
#
# The smallest model with a tied output matrix: token i is read as its row of `embedding`, and the logits are that row
# times all rows, embedding[ids] @ embedding.T. Write `tied_gradient`: the gradient of the mean cross-entropy (in nats)
# of the targets, with respect to `embedding`. By hand, without automatic differentiation.

# %%
import numpy as np
import coursekit.reference as reference


def tied_gradient(embedding, ids, targets):
    """The gradient (vocab, d_model) for embedding (vocab, d_model), ids (tokens,) and targets (tokens,)."""
    ...

# %%
coursekit.check("10.tied_gradient")

# %% [markdown]
# ## 8. Pretraining
#
# One seed, live. A minute of one core is not much, so the recipe is made for it: one layer of 64 units, 30 % of the
# words chosen instead of 15 %, no dropout, a learning rate that rises to 0.003 within 200 steps and falls to zero in a
# straight line, and first weights of deviation 0.1 (BERT's 0.02 suits its 768 units). Every pair is read eight times,
# each time with other masks and other random sentences. `pretraining_examples` makes them all: it calls
# `next_sentence_pairs` and `mask_tokens` from above.

# %%
def pretrain(documents, tokenizer, *, n_layers, d_model, deviation, dropout, share, copies, peak, seed,
             loss=pretraining_loss):
    """A BERT with four heads, and the seconds that one core was busy; deviation: of its first weights."""
    examples = pretraining_examples(documents, tokenizer, share=share, copies=copies, seed=seed)
    torch.manual_seed(seed)
    model = ct.BertForPreTraining(ct.BertConfig(
        vocab_size=len(tokenizer.vocabulary), d_model=d_model, n_layers=n_layers, n_heads=4, d_ff=4 * d_model,
        max_length=32, dropout=dropout))
    for weight in model.parameters():
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=deviation)
    steps = -(-len(examples[1][1]) // 32)
    started = time.process_time()
    ct.fit(model, examples, epochs=1, batch_size=32, learning_rate=ct.linear_decay(peak, 200, steps), clip=1.0,
           dynamic_padding=True, loss=loss, seed=seed)
    return model, time.process_time() - started


# %%
seen = []


def noted_loss(output, targets):
    """The loss of pretraining; both parts are noted."""
    (token_logits, next_logits), (tokens, labels) = output, targets
    loss = pretraining_loss(output, targets)
    of_tokens = token_cross_entropy(token_logits, tokens[tokens != NO_TARGET]).item()
    seen.append((of_tokens, loss.item() - of_tokens))
    return loss


RECIPE = dict(n_layers=1, d_model=64, deviation=0.1, dropout=0.0, share=0.30, copies=8, peak=3e-3)
model, _ = pretrain(documents, tokenizer, **RECIPE, seed=0, loss=noted_loss)

# %%
EVERY = 100
steps = len(seen) // EVERY * EVERY
parts = np.array(seen[:steps]).reshape(-1, EVERY, 2).mean(1)
x = np.arange(1, len(parts) + 1) * EVERY
plots.curves({"masked words": (x, parts[:, 0]), "next sentence": (x, parts[:, 1])}, xlabel="step",
             ylabel="loss, nats (mean of 100 steps)", title="Pretraining, both losses", limits=(0, 1.5),
             alt="Two losses against 7,500 steps. That of masked words falls steeply to below 1 in the first thousand "
                 "steps, then slowly to about 0.45. That of the next sentence falls from 0.69 to about 0.45 in "
                 "the first thousand steps, then slowly to below 0.3.")

# %% [markdown]
# Two different stories. The frame of the sentences, such as *they like to*, is learned within a few hundred steps. What
# remains of the first loss is mostly the words that nobody can be sure of, and there it pays to look at the place, the
# year or the pronoun: that takes the rest of the minute. The second loss begins at $\ln 2 = 0.69$, an even guess. It
# drops early and then creeps: something easy is learned soon, and something hard hardly. Section 10 says what.

# %%
@torch.no_grad()
def asked(model, test):
    """What the model says: p(word) at every mask (places, vocab_size), and p(it follows) of every pair (pairs,)."""
    token_logits, _ = model(*test.masked)
    _, next_logits = model(*test.whole)
    return token_logits.softmax(-1), next_logits.softmax(-1)[:, 0]


stored, _ = results.load("pretraining")
of_ours = results.over_seeds([row for row in stored if row["model"] == "BERT, our recipe"], ["model"])[0]
live = measured(*asked(model, test), test, words)
berts = [live | {"model": "BERT, one seed, live"}, of_ours | {"model": "BERT, three seeds, stored"}]
results.table(known[:2] + berts + known[2:],
              {"Prediction": "{model}", "Masked words right": "{masked:.1%}",
               "Unsure ones": "{unsure:.1%}", "KL to the truth": "{kl:.2f}",
               "Next sentences right": "{next:.1%}"},
              "1,500 test pairs whose documents training does not contain.")

# %%
# NBVAL_CHECK_OUTPUT
ceiling = known[-1]
print("masked words: at least 0.75, and within 0.08 of the optimum:",
      live["masked"] >= 0.75 and ceiling["masked"] - live["masked"] < 0.08)
print("unsure ones: at least 0.25:", live["unsure"] >= 0.25)
print("next sentences: better than the kind of document, at least 0.02 below the optimum:",
      known[1]["next"] < live["next"] < ceiling["next"] - 0.02)

# %% [markdown]
# The masked words come within a few points of what is possible at all, and most of what can be had on the unsure ones
# is there. The divergence says more than the shares: where nobody can be sure, the model's *probabilities* are near the
# planted ones. A model with 76 thousand numbers, trained for a minute, has hardly anything left to learn of this text's
# words.
#
# With the pairs it is otherwise. The model is better than one who only sees the kind, and the optimum is far off.
# Section 10 looks into that.
#
# ### What it says about Texas
#
# **Predict.** The model has read a finite text for a minute. Will its probabilities have the right order? The right
# size?

# %%
# NBVAL_CHECK_OUTPUT
@torch.no_grad()
def fill(text, pair=None, model=model):
    """p(token) at the one [MASK] of a text or a pair, (vocab_size,)."""
    batch = tokenizer.encode_batch([text], None if pair is None else [pair])
    ids, segment_ids, mask = map(torch.from_numpy, batch)
    return model(ids, mask, segment_ids, ids == mask_id)[0][0].softmax(-1)


gaps = {}
for place in ("Texas", "New York"):
    text = f"In {place}, they like to buy [MASK]."
    gaps[place] = fill(text), truth(text)
    ours = sum(gaps[place][0][word_id(word)].item() for word in gaps[place][1])
    print(f"{place:9} what is bought there has a probability above 0.8: {ours > 0.8}; the likeliest is right:",
          words.token(gaps[place][0].argmax().item()) == next(iter(gaps[place][1])))

# %%
figure, panels = plt.subplots(1, 2, figsize=(9.5, 3.3), layout="constrained", sharey=True)
for axes, (place, (ours, planted)) in zip(panels, gaps.items()):
    x = np.arange(len(planted))
    axes.bar(x - 0.2, list(planted.values()), 0.4, color=plots.COLOURS[0], label="planted")
    axes.bar(x + 0.2, [ours[word_id(word)].item() for word in planted], 0.4, color=plots.COLOURS[1],
             hatch="//", label="BERT, live")
    axes.set_xticks(x, list(planted), rotation=30)
    axes.set(title=f"In {place}, they like to buy …", ylabel="probability")
    axes.legend()
plots.show(figure, "Two bar charts, for Texas and New York: for each thing that is bought there the planted "
                   "probability and the model's beside it. The bars of a pair are of similar height, and fall in "
                   "about the same order.")

# %% [markdown]
# The order is right or nearly so, and the sizes roughly. Nothing but gaps in text taught it that. The figure shows two
# gaps of which the grammar is known; it does not show that the model *believes* anything of Texas. Lecture 14 goes on
# from here.
#
# ### The same model again
#
# Lecture 14 needs this model, and nothing has to be trained twice. The benchmark's model of seed 0 is kept in
# `data/pretrained_small`, in the files that `transformers` reads. Is yours the same?
#
# **Predict.** Same code, same seed, maybe another processor. Will all weights be equal? Will the predictions be alike?

# %%
kept = ct.BertForPreTraining.from_pretrained(data_folder() / "pretrained_small")
largest = max((a - b).abs().max().item() for a, b in zip(model.parameters(), kept.parameters()))
ours, theirs = asked(model, test)[0], asked(kept, test)[0]
apart = (ours - theirs).abs().sum(-1).mean().item() / 2
print(f"largest difference of a weight {largest:.4f}, "
      f"mean difference of the predicted distributions {apart:.4f}")

# %%
# NBVAL_CHECK_OUTPUT
again = measured(theirs, asked(kept, test)[1], test, words)
for name, room in (("masked", 0.02), ("unsure", 0.08), ("next", 0.03), ("kl", 0.05)):
    print(f"{name:7} kept and live differ by less than {room}: {abs(live[name] - again[name]) < room}")
print("distributions differ by less than 0.1 on average:", apart < 0.1)

# %% [markdown]
# On the machine that made the kept model the weights come out equal to the last bit. On another processor sums are
# rounded in another order; after some thousand steps that has grown into other weights, and predictions that are as
# good. (The difference of two distributions here is half the sum of the absolute differences: 0 for equal ones, 1 for
# those that share nothing.)
#
# ## 9. The examples of the slides
#
# "Dang! I'm out fishing and a huge trout just [blank] my line!" In our text there is trout, and there are lines; this
# very sentence does not occur, and the grammar could not say it. So there is no planted truth, only what the model
# carries over from the sentences it knows.
#
# **Predict.** Will it say *broke*?

# %%
# NBVAL_CHECK_OUTPUT
slide = "Dang! I'm out fishing and a huge trout just [MASK] my line!"
known_sentence = "A huge trout just [MASK] her line."
print("planted in a sentence of the corpus:",
      {word: round(p, 2) for word, p in truth(known_sentence).items()})
top = [words.token(id) for id in fill(slide).topk(3).indices.tolist()]
print("in the slides' sentence the three likeliest are these verbs:", set(top) == set(truth(known_sentence)))

# %%
for text in (known_sentence, slide):
    p = fill(text)
    print(text, "  ".join(f"{words.token(id)} {p[id]:.2f}" for id in p.topk(4).indices.tolist()))

# %% [markdown]
# *broke*, and with about the planted probability. The sentence is new and longer than any with a trout that was read,
# but its pieces are known, and the model puts them together. On the slide *broke* is good because of what large fish do
# to thin lines. Here it is good because this corpus says *broke* in six of ten such sentences. Had we planted
# *painted*, the model would say that.
#
# And the pairs. Is the right one among the training text?

# %%
# NBVAL_CHECK_OUTPUT
pairs = {"right": ("Paul went shopping.", "He bought a new shirt."),
         "wrong": ("Ramona made coffee.", "Vanilla ice cream cones for sale."),
         "harder": ("Paul went shopping.", "She bought a new shirt."),
         "hardest": ("Texas is hot.", "In Alaska, they like to buy coats.")}
neighbours = Counter(pair for document in documents for pair in zip(document, document[1:]))
with torch.no_grad():
    ids, segment_ids, mask = map(torch.from_numpy, tokenizer.encode_batch(*zip(*pairs.values())))
    _, next_logits = model(ids, mask, segment_ids)
p_follows = dict(zip(pairs, next_logits.softmax(-1)[:, 0].tolist()))
for name, pair in pairs.items():
    print(f"{name:8} optimum {GRAMMAR.follows(*pair):.2f}   {neighbours[pair]} times in the text   "
          f"{' '.join(pair)}")
print("the model finds the right pair likelier than the wrong one:", p_follows["right"] > p_follows["wrong"])
print("and the harder one, in which only the pronoun is wrong, likelier than not:", p_follows["harder"] > 0.5)

# %%
print({name: round(p, 2) for name, p in p_follows.items()})

# %% [markdown]
# The right pair stood in the text once, and is found right; the wrong one is found less likely. But look at the other
# two. In *harder* one word is changed: after Paul comes *she*. In *hardest* the weather is that of Texas, and the coats
# are bought in Alaska. Both are impossible in this corpus, the optimum is 0, and the model did not mind when we ran
# this.
#
# ## 10. What next sentence prediction teaches
#
# Let us sort the test pairs. Those that do not follow are of three sorts: of another *kind* of document; of the same
# kind, but *impossible*, since the person, place, year or occupation is another one; and of the same kind and
# *possible*, so that nobody could tell.
#
# **Predict.** On which of them does the model do well?

# %%
kinds = dict(zip(GRAMMAR.sentences, GRAMMAR.kind))


def sort_of_pair(pair, label, follows):
    if label == 0:
        return "it follows"
    if kinds[pair[0]] != kinds[pair[1]]:
        return "random, of another kind"
    return "random, same kind, impossible" if follows == 0 else "random, same kind, possible"


sorts = [sort_of_pair(*one) for one in zip(test.pairs, test.labels.tolist(), test.follows)]
said = asked(model, test)[1] < 0.5
rows = []
best = torch.from_numpy(test.follows < 0.5)
for name in ("it follows", "random, of another kind", "random, same kind, impossible",
             "random, same kind, possible"):
    of_sort = torch.tensor([sort == name for sort in sorts])
    right, ideal = ((guess.long() == test.labels)[of_sort].double().mean().item() for guess in (said, best))
    rows.append({"sort": name, "pairs": int(of_sort.sum()), "right": right, "ideal": ideal})
results.table(rows, {"Pair": "{sort}", "Pairs": "{pairs:,}", "BERT right, live": "{right:.1%}",
                     "Optimum": "{ideal:.1%}"}, "Next sentence prediction by what could be noticed.")

# %%
# NBVAL_CHECK_OUTPUT
by_sort = {row["sort"]: row["right"] for row in rows}
print("of another kind: at least 0.93 right:", by_sort["random, of another kind"] >= 0.93)
print("same kind, impossible: worse than of another kind by at least 0.15:",
      by_sort["random, same kind, impossible"] < by_sort["random, of another kind"] - 0.15)

# %% [markdown]
# One baseline is missing, and it learns nothing: a list of all neighbours in the training text. What stands on the list
# follows, and what does not stand there does not.
#
# **Predict.** Is the list better than the model, or worse?

# %%
# NBVAL_CHECK_OUTPUT
on_list = torch.tensor([pair in neighbours for pair in test.pairs])
follow = test.labels == 0
print(f"{len(neighbours):,} pairs on the list; of the test pairs that follow {on_list[follow].double().mean():.0%}")
print(f"the list is right in {(on_list == follow).double().mean():.1%} of all pairs")

# %% [markdown]
# Better: the list has 95 %, the model had 91 % when we ran it. A few neighbours are missing from the list, since they
# were never read, but it never takes a pair that cannot be. The model hardly ever doubts a pair that follows, and tells
# nearly all pairs of another kind. Of the impossible pairs of the same kind nearly half pass, and that is most of what
# separates it from the optimum. It compares what two sentences are *about*, and seldom whether they agree in name, year
# or pronoun. (In the last row of the table nobody can be right: what is possible is likelier to follow.)
#
# Why? The task gives it little reason: two in three random sentences are of another kind, so that the topic alone earns
# most of the loss. But that need not be all. A model of one layer, trained for a minute, may fail at the comparison
# even where it pays, and the table cannot tell. If you want to know, draw all random sentences from documents of the
# same kind, and train again.
#
# The same was said of BERT itself. Random sentences of other documents mostly differ in topic, and topic is easy. Liu
# et al. (2019, RoBERTa) left the task out and lost nothing. Lan et al. (2020, ALBERT) replaced it with one that topic
# does not solve: two neighbours, in the right order or swapped. With our grammar we can say what the others had to
# infer: how much was left to be learned, and that it was not.
#
# ## 11. A textbook recipe, and BERT's own
#
# Our recipe is not the paper's. It is made for a small model and one minute. Here it stands beside one nearer to the
# paper: two layers, twice as wide, 15 % masks, dropout 0.1, BERT's first weights and a smaller learning rate, in about
# the same time. A third has our recipe with two layers. Three seeds each.
#
# **Predict.** Which of them is nearest to the optimum after a minute?

# %%
results.stored_table("pretraining")

# %%
# NBVAL_CHECK_OUTPUT
recipes = {row["model"]: row for row in results.over_seeds(
    [row for row in stored if row["model"].startswith("BERT")], ["model"])}
ours, textbook = recipes["BERT, our recipe"], recipes["BERT, textbook recipe"]
print("every seed of ours has more masked words right than every one of the textbook's:",
      ours["masked_low"] > textbook["masked_high"])

# %% [markdown]
# Ours, and by far. A wide model takes longer for each step and sees less text. Dropout guards against learning by
# heart, and nobody learns anything by heart in a minute. With 15 % there are half as many answers to each pair. (These
# are the reasons that we would give; they were not tried one by one.) A second layer alone does not pay in this time
# either: that model sees fewer examples, and the ranges of the seeds overlap. None of this is an argument against the
# paper's recipe. It was made for days and not for a minute; which one is better is a question about how long you can
# train, and on what.
#
# And the real one? BERT was trained on 3.3 billion words in batches of 256 texts of up to 512 tokens, one million
# steps: some 40 passes over the text. We do not have those weights here. What is installed with this course is
# all-MiniLM-L6-v2, a BERT that was trained further to compare sentences. Can it fill a gap?

# %%
# NBVAL_CHECK_OUTPUT
folder = pretrained.find(required=False)
if folder:
    minilm = ct.BertForPreTraining.from_pretrained()

# %% [markdown]
# No. Its file has the encoder alone, and fresh heads know nothing. Filling gaps takes a model that kept them, such as
# bert-base-uncased. Where it is in the hub's cache, the next cell asks it; elsewhere it says how to get it.

# %%
folder = pretrained.find("bert-base-uncased", required=False)
if folder:
    big, pieces = ct.BertForPreTraining.from_pretrained(folder), WordPiece.load(folder / "vocab.txt")
    with torch.no_grad():
        ids = torch.tensor([pieces.encode(slide).ids])
        p = big(ids, at=ids == pieces.special_ids[MASK])[0][0].softmax(-1)
        best = p.topk(5).indices.tolist()
        print(slide, "  ".join(f"{pieces.vocabulary.token(id)} {p[id]:.2f}" for id in best))
        batch = pieces.encode_batch(*zip(pairs["right"], pairs["wrong"]))
        ids, segment_ids, mask = map(torch.from_numpy, batch)
        print("p(it follows), right and wrong:", big(ids, mask, segment_ids)[1].softmax(-1)[:, 0])

# %% [markdown]
# ## Summary
#
# - BERT's input is `[CLS]` first `[SEP]` second `[SEP]`, and the sum of token, segment and position embeddings.
# - 15 % of the tokens are chosen. Of these 80 % become `[MASK]`, 10 % a random token, 10 % stay, and all are asked
#   about.
# - Logits at other places do not count, and have no gradient. The words there do: the prediction is made from them.
# - Answers at 15 % of the places make learning slow. In return every answer sees both sides.
# - The output matrix is the token embedding. Its gradient is the sum of both uses. With a matrix of its own bert-base
#   would be a fifth larger.
# - In next sentence prediction label 0 means that it follows. Both losses are added for every input.
# - The optimum is what the best possible predictor gets. A score says little alone: it belongs beside the optimum,
#   where that is known, and beside baselines.
# - Ours comes near it for masked words. For pairs it learned what they are about and little more; a list of the
#   neighbours that were read does better.
#
# ## Further reading
#
# - J. Devlin, M.-W. Chang, K. Lee, K. Toutanova. *BERT: Pre-training of Deep Bidirectional Transformers for Language
#   Understanding.* NAACL 2019. [arXiv:1810.04805](https://arxiv.org/abs/1810.04805). Section 3 and appendices A and C.
# - W. L. Taylor. *"Cloze Procedure": A New Tool for Measuring Readability.* Journalism Quarterly 30, 1953. Gaps in
#   texts, long before.
# - O. Press, L. Wolf. *Using the Output Embedding to Improve Language Models.* EACL 2017.
#   [arXiv:1608.05859](https://arxiv.org/abs/1608.05859). The tied matrix.
# - Y. Liu et al. *RoBERTa: A Robustly Optimized BERT Pretraining Approach.* 2019.
#   [arXiv:1907.11692](https://arxiv.org/abs/1907.11692). New masks in every pass, and no next sentences.
# - Z. Lan et al. *ALBERT: A Lite BERT for Self-supervised Learning of Language Representations.* ICLR 2020.
#   [arXiv:1909.11942](https://arxiv.org/abs/1909.11942). The order of sentences instead.
# - A. Wettig, T. Gao, Z. Zhong, D. Chen. *Should You Mask 15% in Masked Language Modeling?* EACL 2023.
#   [arXiv:2202.08005](https://arxiv.org/abs/2202.08005). Often more is better.
