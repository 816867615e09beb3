"""Analogies and nearest neighbours of word vectors trained on the small world, by method and width: three seeds each.

    python benchmarks/embeddings.py
"""

import os
import time

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in reversal.py

import numpy as np
import torch

from coursekit.datasets.small_world import analogies, small_world
from coursekit.results import record
from coursekit.text import Vocabulary
from coursekit.text.word_vectors import context_pairs, count_vectors, nearest, negative_samples, solve_analogies
from coursekit.torch import fit
from coursekit.torch.skip_gram import SkipGram, negative_sampling_loss

SETTINGS = dict(sentences=8000, window=3, negatives=5, epochs=4, batch_size=1024, learning_rate=0.01)
COLUMNS = {"Vectors": "{method}", "Width": "{width}",
           "Right, a, b, c left out": "{right:.1%} ({right_low:.1%} to {right_high:.1%})",
           "right, all allowed": "{allowed:.1%} ({allowed_low:.1%} to {allowed_high:.1%})",
           "answers c itself": "{returns_c:.1%}", "nearest to c alone": "{only_c:.1%}",
           "Seconds": "{seconds:.1f}"}
CAPTION = ("All 724 analogies of the small world, 8,000 sentences, 244 words: mean (lowest to highest) of three seeds, "
           "and seconds of one core. Guessing among the other 241 words gives 0.4%.")


def run(seed, width):
    torch.set_num_threads(1)
    sentences = small_world(SETTINGS["sentences"], seed)
    vocabulary = Vocabulary(sorted({word for sentence in sentences for word in sentence}))
    started = time.process_time()
    pairs = context_pairs([[vocabulary.id(word) for word in sentence] for sentence in sentences], SETTINGS["window"])
    pairing = time.process_time() - started
    torch.manual_seed(seed)
    model = SkipGram(len(vocabulary), width)
    rows = [measured("untrained", model.words.weight.detach().numpy(), vocabulary, 0)]

    started = time.process_time()
    counted = count_vectors(pairs, len(vocabulary), width)
    rows.append(measured("counted", counted, vocabulary, pairing + time.process_time() - started))

    started = time.process_time()
    train(model, pairs, seed)
    learned = model.words.weight.detach().numpy()
    rows.append(measured("skip-gram", learned, vocabulary, pairing + time.process_time() - started))
    return [row | {"width": width, "seed": seed} for row in rows]


def train(model, pairs, seed):
    candidates = negative_samples(pairs, model.words.num_embeddings, SETTINGS["negatives"], seed)
    targets = torch.zeros(candidates.shape)
    targets[:, 0] = 1
    inputs = torch.from_numpy(pairs[:, 0]), torch.from_numpy(candidates)
    fit(model, (inputs, targets), loss=negative_sampling_loss, seed=seed,
        **{name: SETTINGS[name] for name in ("epochs", "batch_size", "learning_rate")})


def measured(method, vectors, vocabulary, seconds):
    *questions, answers = np.array([[vocabulary.id(word) for word in words] for _, *words in analogies()]).T
    questions = np.stack(questions, axis=1)
    allowed = solve_analogies(vectors, questions, exclude=False)
    return {"method": method, "right": (solve_analogies(vectors, questions) == answers).mean(),
            "allowed": (allowed == answers).mean(), "returns_c": (allowed == questions[:, 2]).mean(),
            "only_c": (nearest(vectors, questions[:, 2])[:, 0] == answers).mean(), "seconds": seconds}


if __name__ == "__main__":
    rows = [row for seed in (0, 1, 2) for width in (24, 48, 96) for row in run(seed, width)]
    rows.sort(key=lambda row: (["untrained", "counted", "skip-gram"].index(row["method"]), row["width"]))
    for row in rows:
        print(row)
    record("embeddings", rows, columns=COLUMNS, caption=CAPTION, by=["method", "width"], settings=SETTINGS)
