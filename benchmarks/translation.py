"""A small Transformer that translates: exact match, BLEU and alignment on our own corpus, three seeds and a baseline.

    python benchmarks/translation.py
    python benchmarks/translation.py --pairs eng_fra.tsv

The first trains on English to Russian and to French. The second trains the same code on real pairs, one per line,
English, a tab and French (further columns and a first line "english french" are passed over), beside torch.nn's
Transformer with the same sizes and the same weights to begin with. Such pairs are Tatoeba's (CC-BY 2.0 FR), at
https://www.manythings.org/anki/fra-eng.zip. The stored result is of the 5,000 shortest, a file with the SHA-256
61e7fbeb8b301fcbde45a9fd49b5a8cee8db55199f24f8b63e868d56e55feee3, which is no part of this project.
"""

import argparse
import hashlib
import os
import re
import time
from collections import Counter, defaultdict
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import sacrebleu
import torch
from reversal import side_by_side
from torch import nn

from coursekit import weights
from coursekit.datasets.translation import detokenize, tokenize, translation
from coursekit.results import record
from coursekit.text import Vocabulary
from coursekit.torch import TranslationModel, fit, greedy
from coursekit.torch.training import NO_TARGET, token_cross_entropy

PADDING, START, END, UNKNOWN = range(4)
MODEL = dict(n_layers=2, d_model=80, n_heads=4, d_ff=160, max_length=40)
TRAINING = dict(peak=5e-3, warm_up=300, batch_size=64, smoothing=0.1)
EPOCHS = {"ru": 13, "fr": 10}  # Russian has nearly twice as many forms to learn
REAL_MODEL, REAL_TRAINING = MODEL | dict(dropout=0.05), TRAINING | dict(epochs=15)  # for real pairs, which are fewer
NAMES = {"ru": "Russian", "fr": "French"}
PERCENT = "{{{0}:.1%}} ({{{0}_low:.1%}} to {{{0}_high:.1%}})"
POINTS = "{{{0}:.1f}} ({{{0}_low:.1f}} to {{{0}_high:.1f}})"
COLUMNS = {"To": "{language}", "By": "{model}", "Exact, test": PERCENT.format("test_exact"),
           "BLEU, test": POINTS.format("test_bleu"), "Exact, held out": PERCENT.format("held_out_exact"),
           "BLEU, held out": POINTS.format("held_out_bleu"), "Aligned": PERCENT.format("aligned"),
           "Seconds of one core": "{seconds:.0f}"}
CAPTION = ("800 test sentences, which are combinations that training never shows, and 200 of a construction that it "
           "never shows: mean (lowest to highest) of three seeds. Aligned: share of the target's words whose most "
           "attended source word is one that the grammar aligns with it; of the baseline, whose source word at the "
           "same place is.")
STEP_COLUMNS = {"Seed": "{seed}", "Step": "{step:d}", "Writes": "`{word}`", "Probability": "{probability:.2f}",
                "Looks most at": "`{source}`", "with weight": "{weight:.2f}"}
STEP_CAPTION = ("How the models of three seeds write the translation of “{}”, step by step. The weight is that of the "
                "source word in the last layer's cross-attention, as the mean of the heads.")
SENTENCES = {"ru": "The cat sat on the mat.", "fr": "The black cat ate the mouse."}
REAL_COLUMNS = {"Transformer": "{model}", "BLEU": POINTS.format("bleu"), "Exact": PERCENT.format("exact"),
                "Seconds of one core": POINTS.format("seconds")}


class Pairs:
    """Sentences as ids: `rows(name)` are tensors (source, target), the target from START to END, padded with 0."""

    def __init__(self, splits, least=1):
        self.splits = splits
        self.vocabularies = [Vocabulary(["<padding>", "<start>", "<end>", "<unknown>"] + sorted(
            word for word, count in Counter(word for pair in splits["train"] for word in pair[side]).items()
            if count >= least)) for side in (0, 1)]

    def rows(self, name):
        source, target = ([[vocabulary.ids.get(word, UNKNOWN) for word in pair[side]] for pair in self.splits[name]]
                          for side, vocabulary in enumerate(self.vocabularies))
        return padded(source), padded([[START, *row, END] for row in target])

    def words(self, row):
        row = row[:row.index(END)] if END in row else row
        return [self.vocabularies[1].token(id) for id in row]


def padded(rows):
    return nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=PADDING)


class InBatches(nn.Module):
    """The model for `fit`, to which a whole batch of sentences of like length is one example."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, source, target):
        return self.model(trimmed(source[0]), trimmed(target[0]))


def trimmed(rows):
    return rows[:, :(rows != PADDING).sum(1).max()]


def in_batches(source, target, size):
    """Batches (batches, size, length) of inputs (source, target without its last) and of the target without its first.

    A few sentences stay over: those that fill no batch."""
    order = torch.randperm(len(source))[:len(source) - len(source) % size]
    lengths = 100 * (target != PADDING).sum(1) + (source != PADDING).sum(1)
    order = order[lengths[order].argsort(stable=True)].view(-1, size)
    shifted = target[:, :-1].masked_fill(target[:, 1:] == PADDING, PADDING)  # END is no input
    return (source[order], shifted[order]), target[:, 1:].masked_fill(target[:, 1:] == PADDING, NO_TARGET)[order]


def train(model, pairs, *, epochs, peak, warm_up, batch_size, smoothing, seed):
    """Trains the model; returns the seconds that one core was busy."""
    batches, wanted = in_batches(*pairs.rows("train"), batch_size)
    steps = epochs * len(wanted)

    def rate(step):
        return peak * min(step / warm_up, (steps + 1 - step) / (steps - warm_up))

    def loss(logits, wanted):
        return token_cross_entropy(logits, wanted[0][:, :logits.shape[1]], smoothing)

    started = time.process_time()
    fit(InBatches(model), (batches, wanted), epochs=epochs, batch_size=1, learning_rate=rate, loss=loss, seed=seed)
    return time.process_time() - started


@torch.no_grad()
def translated(model, source):
    return greedy(model.given(source), torch.full((len(source), 1), START), max_new_tokens=model.max_length - 1,
                  end=END).tolist()


def measure(found, pairs, name, language):
    """Exact match and BLEU of lists of words."""
    wanted = [target for _, target in pairs.splits[name]]
    bleu = sacrebleu.corpus_bleu([detokenize(words, language) for words in found],
                                 [[detokenize(words, language) for words in wanted]]).score
    return {f"{name}_exact": sum(map(list.__eq__, found, wanted)) / len(wanted), f"{name}_bleu": round(bleu, 2)}


@torch.no_grad()
def aligned(model, pairs, alignments):
    """Share of aligned target words whose most attended source word (last layer, mean of its heads) is right."""
    source, target = pairs.rows("test")
    _, (_, decoder) = model(source, target[:, :-1], return_weights=True)
    chosen = decoder[-1].cross_attention.mean(1).argmax(-1)  # row t is where the model looks when it writes word t
    return share_right(alignments, lambda i, t: int(chosen[i, t]))


def share_right(alignments, choice):
    right = words = 0
    for i, alignment in enumerate(alignments):
        places = defaultdict(set)
        for source_place, target_place in alignment:
            places[target_place].add(source_place)
        right += sum(choice(i, t) in places[t] for t in places)
        words += len(places)
    return right / words


def corpus(language):
    splits = {name: translation(language, name) for name in ("train", "test", "held_out")}
    pairs = Pairs({name: [(tokenize(pair.english, "en"), tokenize(pair.other, language)) for pair in split]
                   for name, split in splits.items()})
    return pairs, {name: [pair.alignment for pair in split] for name, split in splits.items()}


def run(language, seed):
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    pairs, alignments = corpus(language)
    model = TranslationModel(*map(len, pairs.vocabularies), **MODEL)
    row = {"language": NAMES[language], "model": "Transformer", "seed": seed,
           "parameters": sum(parameter.numel() for parameter in model.parameters()),
           "seconds": round(train(model, pairs, **TRAINING, epochs=EPOCHS[language], seed=seed), 1)}
    for name in ("test", "held_out"):
        found = [pairs.words(ids) for ids in translated(model, pairs.rows(name)[0])]
        row |= measure(found, pairs, name, language)
    return row | {"aligned": aligned(model, pairs, alignments["test"])}, steps(model, pairs, language, seed)


@torch.no_grad()
def steps(model, pairs, language, seed):
    """One row for every token that the model writes for the language's sentence, up to END."""
    words = tokenize(SENTENCES[language], "en")
    source = torch.tensor([[pairs.vocabularies[0].id(word) for word in words]])
    written = translated(model, source)[0]
    logits, (_, decoder) = model(source, torch.tensor([[START, *written[:-1]]]), return_weights=True)
    looks = decoder[-1].cross_attention[0].mean(0)
    return [{"step": step, "seed": seed, "word": pairs.vocabularies[1].token(id), "probability": p[id].item(),
             "source": words[look.argmax()], "weight": look.max().item()}
            for step, (id, p, look) in enumerate(zip(written, logits[0].softmax(-1), looks), 1)]


def word_by_word(language):
    """Every English word gives what it most often is aligned with in training, in the English order."""
    pairs, alignments = corpus(language)
    counts = defaultdict(Counter)
    for (source, target), alignment in zip(pairs.splits["train"], alignments["train"]):
        for place, word in enumerate(source):
            counts[word][tuple(target[t] for s, t in alignment if s == place)] += 1
    row = {"language": NAMES[language], "model": "word by word", "seed": None, "parameters": None, "seconds": None}
    for name in ("test", "held_out"):
        found = [[word for english in source for word in counts[english].most_common(1)[0][0]]
                 for source, _ in pairs.splits[name]]
        row |= measure(found, pairs, name, language)
    lengths = [len(source) for source, _ in pairs.splits["test"]]
    return row | {"aligned": share_right(alignments["test"], lambda i, t: min(t, lengths[i] - 1))}


class OfTorch(nn.Module):
    """torch.nn.Transformer in the place of ours, whose masks say what is allowed and not what is forbidden."""

    def __init__(self, ours, *, n_layers, d_model, n_heads, d_ff, dropout):
        super().__init__()
        self.transformer = nn.Transformer(d_model, n_heads, n_layers, n_layers, d_ff, dropout, batch_first=True,
                                          norm_first=True)
        weights.copy(ours, self.transformer)

    def encoder(self, x, mask):
        return self.transformer.encoder(x, src_key_padding_mask=~mask[:, 0])

    def decoder(self, x, memory, mask, memory_mask):
        return self.transformer.decoder(x, memory, ~mask, memory_key_padding_mask=~memory_mask[:, 0])

    def forward(self, source, target, mask, source_mask, return_weights=False):
        return self.decoder(target, self.encoder(source, source_mask), mask, source_mask)


def real_pairs(path, n_test=500):
    """Pairs of a file, without a test sentence's English in training; every French for one English is a reference."""
    by_english = defaultdict(list)
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        english, french, *_ = (re.findall(r"[\w-]+'?|[^\w\s]", cell.lower()) for cell in line.split("\t"))
        by_english[tuple(english)].append(french)
    by_english.pop(("english",), None)
    english = [list(by_english)[i] for i in torch.randperm(len(by_english), generator=torch.Generator().manual_seed(0))]
    splits = {"train": [(words, french) for words in english[n_test:] for french in by_english[words]],
              "test": [(words, by_english[words][0]) for words in english[:n_test]]}
    return Pairs(splits, least=2), [[" ".join(french) for french in by_english[words]] for words in english[:n_test]]


def run_real(path, of_torch, seed):
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    pairs, references = real_pairs(path)
    model = TranslationModel(*map(len, pairs.vocabularies), **REAL_MODEL)
    if of_torch:
        sizes = {name: value for name, value in REAL_MODEL.items() if name != "max_length"}
        model.transformer = OfTorch(model.transformer, **sizes)
    seconds = train(model, pairs, **REAL_TRAINING, seed=seed)
    model.eval()
    found = [" ".join(pairs.words(row)) for row in translated(model, pairs.rows("test")[0])]
    most = max(map(len, references))
    columns = [[each[i] if i < len(each) else None for each in references] for i in range(most)]
    return {"model": "torch.nn" if of_torch else "ours", "seed": seed, "seconds": round(seconds, 1),
            "bleu": round(sacrebleu.corpus_bleu(found, columns, tokenize="none").score, 2),
            "exact": sum(text in each for text, each in zip(found, references)) / len(found)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", help="a file of real pairs, to train on these instead")
    path = parser.parse_args().pairs
    if path:
        pairs, references = real_pairs(path)
        digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
        rows = side_by_side(run_real, [dict(path=path, of_torch=of_torch, seed=seed)
                                       for seed in (0, 1, 2) for of_torch in (False, True)])
        caption = (f"{len(pairs.splits['train']):,} real pairs to train on, {len(references)} English sentences that "
                   "are not among them to test, with all their references: mean (lowest to highest) of three seeds.")
        record("translation_real", rows, columns=REAL_COLUMNS, caption=caption, by=["model"],
               settings=REAL_MODEL | REAL_TRAINING, sha256=digest, threads=1)
    else:
        rows = [word_by_word(language) for language in NAMES]
        tasks = [dict(language=language, seed=seed) for language in NAMES for seed in (0, 1, 2)]
        measured = side_by_side(run, tasks)
        rows += [row for row, _ in measured]
        settings = MODEL | TRAINING | {"epochs": EPOCHS}
        record("translation", rows, columns=COLUMNS, caption=CAPTION, by=["language", "model"], settings=settings,
               threads=1)
        for language, sentence in SENTENCES.items():
            record(f"translation_steps_{language}",
                   [step for task, (_, walk) in zip(tasks, measured) if task["language"] == language for step in walk],
                   columns=STEP_COLUMNS, caption=STEP_CAPTION.format(sentence), settings=settings, threads=1)
