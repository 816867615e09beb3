"""A small BERT pretrained on sentences whose truth is known: three seeds, a textbook recipe, and every baseline.

    python benchmarks/pretraining.py

Masked words and next sentences beside chance, counting, and the best that any model could do. The model of seed 0 goes
to data/pretrained_small.
"""

import os
import time
from collections import Counter
from typing import NamedTuple

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from reversal import side_by_side

from coursekit import start
from coursekit import torch as ct
from coursekit.datasets import data_folder
from coursekit.datasets.associations import GRAMMAR, associations, vocabulary
from coursekit.datasets.grammar import MASK, tokenize
from coursekit.results import record
from coursekit.text import WordPiece
from coursekit.torch.pretraining import next_sentence_pairs, pretraining_examples, pretraining_loss

SEEDS, TRAIN, TEST = (0, 1, 2), 10_000, 500
# All three take about a minute of one core: what costs more sees fewer examples.
RECIPES = {
    "BERT, our recipe": dict(n_layers=1, d_model=64, deviation=0.1, dropout=0.0, share=0.30, copies=8, peak=3e-3),
    "BERT, two layers": dict(n_layers=2, d_model=64, deviation=0.1, dropout=0.0, share=0.30, copies=5, peak=2e-3),
    "BERT, textbook recipe": dict(n_layers=2, d_model=128, deviation=0.02, dropout=0.1, share=0.15, copies=2,
                                  peak=1e-3),
}
PERCENT = "{{{0}:.1%}} ({{{0}_low:.1%}} to {{{0}_high:.1%}})"
NUMBER = "{{{0}:.2f}} ({{{0}_low:.2f}} to {{{0}_high:.2f}})"
COLUMNS = {"Prediction": "{model}", "Masked words right": PERCENT.format("masked"),
           "Those that nobody can be sure of": PERCENT.format("unsure"), "KL to the truth": NUMBER.format("kl"),
           "Next sentences right": PERCENT.format("next"), "Seconds of one core": "{seconds:.0f}"}
CAPTION = ("1,500 test pairs, 15 % of their words replaced with [MASK]: mean (lowest to highest) of three seeds. "
           "Nobody can be sure where even the best prediction has a probability below 0.9. KL: mean divergence of the "
           "predicted from the planted distribution, in nats. Next sentences are asked without masks.")


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


@torch.no_grad()
def asked(model, test):
    """What the model says: p(word) at every mask (places, vocab_size), and p(it follows) of every pair (pairs,)."""
    token_logits, _ = model(*test.masked)
    _, next_logits = model(*test.whole)
    return token_logits.softmax(-1), next_logits.softmax(-1)[:, 0]


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


def run(name, seed):
    torch.set_num_threads(1)
    documents, tokenizer = associations(TRAIN), WordPiece(vocabulary())
    test = questions(associations(TEST, "test", seed=1), tokenizer, np.random.default_rng(1))
    model, seconds = pretrain(documents, tokenizer, **RECIPES[name], seed=seed)
    if (name, seed) == ("BERT, our recipe", 0):
        model.save_pretrained(data_folder() / "pretrained_small")
        tokenizer.vocabulary.save(data_folder() / "pretrained_small" / "vocab.txt")
    found = measured(*asked(model, test), test, tokenizer.vocabulary)
    return {"model": name, "seed": seed} | {key: round(value, 4) for key, value in found.items()} | {
        "parameters": sum(weight.numel() for weight in model.parameters()), "seconds": round(seconds, 1)}


if __name__ == "__main__":
    start(threads=1)
    documents, tokenizer = associations(TRAIN), WordPiece(vocabulary())
    test = questions(associations(TEST, "test", seed=1), tokenizer, np.random.default_rng(1))
    *simple, optimum = [row | {"seed": None, "parameters": None, "seconds": None}
                        for row in baselines(documents, test, tokenizer.vocabulary)]
    runs = side_by_side(run, [dict(name=name, seed=seed) for name in RECIPES for seed in SEEDS])
    record("pretraining", simple + runs + [optimum], columns=COLUMNS, caption=CAPTION, by=["model"],
           settings=f"{TRAIN} documents, batch 32, warm-up 200 steps, clip 1.0", threads=1)
