"""Fine-tuning on text that nobody here wrote, with every baseline, beside transformers trained the same way.

    python benchmarks/fine_tuning.py --train sst2_train.tsv --test sst2_dev.tsv

The files have the columns text and label (0 or 1), with a header. Measured with 4,000 phrases of the training split of
SST-2 (Stanford Sentiment Treebank, Socher et al. 2013, as in GLUE) and its 872 development sentences, from the hub's
data set stanfordnlp/sst2; the SHA-256 of the files is stored with the result.

Both models have the weights of all-MiniLM-L6-v2 with frozen token embeddings and the same first classifier, and see the
same batches in the same order; a run of one follows a run of the other. Seconds are processor seconds of one thread.
"""

import argparse
import hashlib
import time
from pathlib import Path

import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from torch import nn
from transformers import BertForSequenceClassification as Theirs

from coursekit import pretrained, seed_everything, start
from coursekit import torch as ct
from coursekit.results import record
from coursekit.text import WordPiece
from coursekit.torch.fine_tune import encode, read_labelled
from coursekit.torch.training import evaluate, token_accuracy

SEEDS, EPOCHS, BATCH, RATE = (0, 1, 2), 2, 16, 2e-4
COLUMNS = {"By": "{model}", "Right, test": "{accuracy:.1%} ({accuracy_low:.1%} to {accuracy_high:.1%})",
           "Seconds of one core": "{seconds:.0f}"}


class InTheirs(nn.Module):
    """transformers' model, called as ours is."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, ids, mask, segment_ids):
        return self.model(ids, mask.long(), segment_ids).logits


def model_of(kind, seed):
    """A classifier: "ours" or "theirs" pretrained, with the same classifier on top, or ours "untrained"."""
    seed_everything(seed)
    ours = ct.BertForSequenceClassification.from_pretrained()
    if kind == "untrained":
        ours = ct.BertForSequenceClassification(ours.config)
    if kind == "theirs":
        theirs = Theirs.from_pretrained(pretrained.find(), attn_implementation="sdpa")
        theirs.classifier.load_state_dict(ours.classifier.state_dict())
        theirs.bert.embeddings.word_embeddings.weight.requires_grad_(False)
        return InTheirs(theirs)
    ours.bert.token_embedding.weight.requires_grad_(kind == "untrained")
    return ours


def fine_tuned(kind, seed, train, test):
    model = model_of(kind, seed)
    steps = EPOCHS * -(-len(train[1]) // BATCH)
    before = time.process_time()
    ct.fit(model, train, epochs=EPOCHS, batch_size=BATCH, learning_rate=ct.linear_decay(RATE, steps // 10, steps),
           weight_decay=0.01, clip=1.0, dynamic_padding=True, seed=seed)
    seconds = time.process_time() - before
    measured = evaluate(model, test, metrics=(token_accuracy,), batch_size=64, dynamic_padding=True)
    return {"accuracy": measured["token_accuracy"], "seconds": seconds}


@torch.no_grad()
def frozen(train, test, seed):
    """The pretrained network as it is: a logistic regression on the mean of its last vectors."""
    bert, seconds = ct.Bert.from_pretrained(), time.process_time()

    def features(inputs):
        rows = []
        for ids, mask, segment_ids in zip(*(part.split(64) for part in inputs)):
            longest = int(mask.sum(1).max())
            ids, mask, segment_ids = ids[:, :longest], mask[:, :longest], segment_ids[:, :longest]
            rows.append((bert(ids, mask, segment_ids) * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True))
        return torch.cat(rows).numpy()

    classifier = LogisticRegression(max_iter=2000, random_state=seed).fit(features(train[0]), train[1].numpy())
    return {"accuracy": classifier.score(features(test[0]), test[1].numpy()),
            "seconds": time.process_time() - seconds}


def main(train_path, test_path):
    start(threads=1)
    (texts, labels), (test_texts, test_labels) = read_labelled(train_path), read_labelled(test_path)
    tokenizer = WordPiece.load(pretrained.find() / "vocab.txt")
    train, test = (encode(tokenizer, texts), labels), (encode(tokenizer, test_texts), test_labels)

    most = labels.mode().values
    rows = [{"model": "the more frequent label", "accuracy": (test_labels == most).float().mean(), "seconds": 0.0}]
    before = time.process_time()
    words = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(max_iter=2000))
    words.fit(texts, labels.numpy())
    rows.append({"model": "bag of words and word pairs, logistic regression",
                 "accuracy": words.score(test_texts, test_labels.numpy()), "seconds": time.process_time() - before})
    rows.append({"model": "frozen BERT, logistic regression"} | frozen(train, test, 0))
    names = {"untrained": "BERT, not pretrained", "theirs": "BertForSequenceClassification of transformers",
             "ours": "BertForSequenceClassification"}
    for seed in SEEDS:
        for kind, name in names.items():
            rows.append({"model": name, "seed": seed} | fine_tuned(kind, seed, train, test))
            print(rows[-1], flush=True)
    rows = [{"model": row["model"], "accuracy": round(float(row["accuracy"]), 4), "seconds": round(row["seconds"], 1)}
            for row in sorted(rows, key=lambda row: (row["model"] in names.values(),
                                                     list(names.values()).index(row["model"])
                                                     if row["model"] in names.values() else 0))]
    hashes = {f"{name}_sha256": hashlib.sha256(Path(path).read_bytes()).hexdigest()
              for name, path in (("train", train_path), ("test", test_path))}
    record("fine_tuning", rows, columns=COLUMNS, by=["model"], **hashes, caption=(
        f"SST-2, {len(labels):,} training phrases and {len(test_labels)} test sentences: mean (lowest to highest) of "
        f"three seeds, {EPOCHS} epochs, batch {BATCH}, learning rate {RATE}. transformers' model starts from the same "
        "weights and sees the same batches."))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", required=True, help="TSV with the columns text and label")
    parser.add_argument("--test", required=True, help="TSV with the columns text and label")
    given = parser.parse_args()
    main(given.train, given.test)
