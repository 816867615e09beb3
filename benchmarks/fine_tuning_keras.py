"""BERT in Keras, fine-tuned with `fit` on the product reviews, beside PyTorch and baselines; what a new length costs.

    python benchmarks/fine_tuning_keras.py accuracy
    python benchmarks/fine_tuning_keras.py lengths

The weights are those of all-MiniLM-L6-v2. Keras runs on TensorFlow, and for one row of the first table on PyTorch: a
process has one backend, so this row is measured by another one, as is that of PyTorch, at the same time. Seconds are
processor seconds of one thread.
"""

import json
import math
import os
import subprocess
import sys
import time

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from coursekit import start

start(threads=1)

import keras
import numpy as np
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from coursekit import keras as ck
from coursekit import pretrained, seed_everything
from coursekit import torch as ct
from coursekit.datasets.reviews import reviews
from coursekit.results import record
from coursekit.text import WordPiece

EXAMPLES, EPOCHS, BATCH_SIZE, RATE = 800, 3, 16, 2e-4
STEPS = EPOCHS * math.ceil(EXAMPLES / BATCH_SIZE)
SEEDS, TESTS = range(6), ("test", "unseen")
PERCENT = "{{{0}:.1%}} ({{{0}_low:.1%}} to {{{0}_high:.1%}})"
COLUMNS = {"By": "{model}", "Right, by hand": PERCENT.format("test"),
           "Right, unseen adjectives": PERCENT.format("unseen"), "Seconds of one core": "{seconds:.0f}"}
CAPTION = (f"Product reviews, {EXAMPLES} to train on in {EPOCHS} epochs: share right of those written by hand, and of "
           "those with adjectives that training never shows. Mean (lowest to highest) of six seeds for what is "
           "fine-tuned, one run of the others. Seconds are those of training, with everything compiled for it.")
LENGTHS = (16, 24, 32, 16, 24, 32)
LENGTH_COLUMNS = {"Batch": "16 × {length}", "graph: calls": "{graph_calls:d}", "graph: seconds": "{graph:.1f}",
                  "XLA: calls": "{xla_calls:d}", "XLA: seconds": "{xla:.1f}"}


def arrays(tokenizer, split):
    """The inputs of our models by name, and the labels."""
    rows = reviews(split)[:EXAMPLES if split == "train" else None]
    return tokenizer.encode_batch([row.text for row in rows])._asdict(), np.array([row.label for row in rows])


def compiled(model, steps, jit_compile=False):
    """As PyTorch's `fit` trains: AdamW with its epsilon, and no decay of biases and norms."""
    optimizer = keras.optimizers.AdamW(ck.LinearDecay(RATE, -(-steps // 10), steps), weight_decay=0.01,
                                       global_clipnorm=1.0, epsilon=1e-8)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                  metrics=["accuracy"], jit_compile=jit_compile)
    return model


def in_keras(kind, data, seed):
    """The share right of each test, and the seconds of training."""
    keras.backend.clear_session()  # what was recorded for the seeds before
    seed_everything(seed)
    model = ck.BertForSequenceClassification.from_pretrained(n_classes=2)
    if kind == "untrained":
        model = ck.BertForSequenceClassification(model.config, n_classes=2)
        model.build()
    model.bert.token_embedding.trainable = False
    started = time.process_time()
    compiled(model, STEPS)
    model.fit(ck.Batches(*data["train"], BATCH_SIZE, seed=seed), epochs=EPOCHS, verbose=0)
    seconds = time.process_time() - started
    right = {test: model.evaluate(*data[test], batch_size=64, verbose=0)[1] for test in TESTS}
    return right | {"seconds": seconds}


def in_torch(data, seed):
    def tensors(split):
        return tuple(torch.from_numpy(data[split][0][name]) for name in ("ids", "mask", "segment_ids"))

    seed_everything(seed)
    model = ct.BertForSequenceClassification.from_pretrained(n_classes=2)
    model.bert.token_embedding.weight.requires_grad_(False)
    started = time.process_time()
    ct.fit(model, (tensors("train"), torch.from_numpy(data["train"][1])), epochs=EPOCHS, batch_size=BATCH_SIZE,
           learning_rate=ct.linear_decay(RATE, math.ceil(STEPS / 10), STEPS), weight_decay=0.01, clip=1.0,
           dynamic_padding=True, seed=seed)
    seconds = time.process_time() - started
    with torch.no_grad():
        right = {test: float((model(*tensors(test)).argmax(1).numpy() == data[test][1]).mean()) for test in TESTS}
    return right | {"seconds": seconds}


def without_training(data):
    texts = {split: [row.text for row in reviews(split)] for split in ("train", *TESTS)}
    labels = data["train"][1]
    most = np.bincount(labels).argmax()
    yield {"model": "the more frequent label", "seconds": 0.0} | {
        test: (data[test][1] == most).mean() for test in TESTS}
    words = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(max_iter=2000))
    started = time.process_time()
    words.fit(texts["train"][:EXAMPLES], labels)
    seconds = time.process_time() - started
    yield {"model": "bag of words and word pairs", "seconds": seconds} | {
        test: words.score(texts[test], data[test][1]) for test in TESTS}
    bert = ck.Bert.from_pretrained()
    inputs = {name: keras.Input((None,), dtype=array.dtype, name=name) for name, array in data["train"][0].items()}
    means = keras.Model(inputs, keras.layers.GlobalAveragePooling1D()(bert(inputs)))
    started = time.process_time()
    frozen = LogisticRegression(max_iter=5000).fit(means.predict(data["train"][0], verbose=0), labels)
    seconds = time.process_time() - started
    yield {"model": "logistic regression on frozen BERT's means", "seconds": seconds} | {
        test: frozen.score(means.predict(data[test][0], verbose=0), data[test][1]) for test in TESTS}


FINE_TUNED = {"tensorflow": "Keras on TensorFlow, fine-tuned", "torch": "Keras on PyTorch, fine-tuned",
              "pytorch": "PyTorch, fine-tuned"}


def fine_tuned(where, data):
    """The rows of all seeds, printed as JSON as soon as they are there."""
    for seed in SEEDS:
        row = {"model": FINE_TUNED[where]} | (in_torch(data, seed) if where == "pytorch"
                                              else in_keras("fine-tuned", data, seed))
        print(json.dumps(row), flush=True)
        yield row


def measure_accuracy(data):
    others = [subprocess.Popen([sys.executable, __file__, where], stdout=subprocess.PIPE, text=True,
                               env={**os.environ, "KERAS_BACKEND": backend})
              for where, backend in (("torch", "torch"), ("pytorch", "tensorflow"))]
    rows = list(without_training(data))
    rows.append({"model": "Keras, BERT not pretrained"} | in_keras("untrained", data, 0))
    print(*rows, sep="\n", flush=True)
    rows += fine_tuned("tensorflow", data)
    for other in others:
        rows += [json.loads(line) for line in other.communicate()[0].splitlines() if line.startswith("{")]
        if other.returncode:
            raise RuntimeError("a process that measured one of the rows has failed")
    record("fine_tuning_keras", rows, columns=COLUMNS, by=["model"], caption=CAPTION, examples=EXAMPLES, epochs=EPOCHS,
           learning_rate=RATE, steps=STEPS)


def measure_lengths():
    """A step on a batch of each length, one after the other: how often `call` ran, and the seconds."""
    counted = {}
    for name, jit_compile in (("graph", False), ("xla", True)):
        model, calls = ck.BertForSequenceClassification.from_pretrained(n_classes=2), []
        random, call = np.random.default_rng(0), model.call

        def counting(*given, calls=calls, call=call, **named):
            calls.append(1)
            return call(*given, **named)

        model.call = counting
        model.bert.token_embedding.trainable = False
        compiled(model, STEPS, jit_compile)
        counted[name] = []
        for length in LENGTHS:
            batch = {"ids": random.integers(1000, 20000, (16, length)), "mask": np.ones((16, length), bool)}
            calls.clear()
            started = time.process_time()
            model.train_on_batch(batch, random.integers(0, 2, 16))
            counted[name].append({name: time.process_time() - started, f"{name}_calls": len(calls)})
            print(name, length, counted[name][-1], flush=True)
    rows = [{"length": length} | graph | xla
            for length, graph, xla in zip(LENGTHS, counted["graph"], counted["xla"])]
    record("fine_tuning_keras_lengths", rows, columns=LENGTH_COLUMNS,
           caption="Six steps of fine-tuning all-MiniLM-L6-v2, one after the other: how often Python runs the model's "
                   "`call`, and seconds of one core.")


if __name__ == "__main__":
    wordpiece = WordPiece.load(pretrained.find() / "vocab.txt")
    splits = {split: arrays(wordpiece, split) for split in ("train", *TESTS)}
    what = sys.argv[1]
    if what in FINE_TUNED:
        list(fine_tuned(what, splits))
    elif what == "lengths":
        measure_lengths()
    else:
        measure_accuracy(splits)
