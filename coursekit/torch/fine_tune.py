"""Fine-tunes BERT as a classifier of texts, in one process or in many, on one machine or on several.

    python -m coursekit.torch.fine_tune --train train.tsv --test test.tsv --out folder
    torchrun --nproc-per-node 2 -m coursekit.torch.fine_tune --train train.tsv --test test.tsv --out folder
    accelerate launch -m coursekit.torch.fine_tune --train train.tsv --test test.tsv --out folder

With torchrun, --nproc-per-node is the number of GPUs, or of processes on a CPU; accelerate launch takes what `accelerate
config` was told. Every process holds the whole model and a share of each batch; gradients are averaged over all of them. `--batch` is the
size of the whole batch, so that the steps, and without dropout the losses, are the same for any number of processes.
The files have a header and at least the columns text and label, a whole number from 0. Every step's loss, every epoch's
accuracy and the end go to the standard output as JSON, a line each.
"""

import argparse
import csv
import json
from pathlib import Path

import torch
import torch.nn.functional as F
from accelerate import Accelerator

from coursekit import pretrained, seed_everything
from coursekit.text import WordPiece
from coursekit.torch.bert import BertForSequenceClassification
from coursekit.torch.training import adamw, batches, linear_decay


def read_labelled(path):
    """The texts of a file and their labels, (examples,). Raises `ValueError` that names the first line amiss."""
    with open(path, encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        if missing := {"text", "label"} - set(rows.fieldnames or ()):
            raise ValueError(f"{path} has the columns {rows.fieldnames}, expected {' and '.join(sorted(missing))} too")
        texts, labels = [], []
        for row in rows:
            if not (row["text"] or "").strip() or not (row["label"] or "").isdecimal():
                raise ValueError(f"{path}, line {rows.line_num}: text {row['text']!r}, label {row['label']!r}, "
                                 "expected some text and a whole number from 0")
            texts.append(row["text"])
            labels.append(int(row["label"]))
    if not texts:
        raise ValueError(f"{path} has no rows, expected at least one")
    return texts, torch.tensor(labels)


def encode(tokenizer, texts, max_length=512):
    """The inputs of a model, (ids, mask, segment_ids), each (examples, length); longer texts lose their end."""
    batch = tokenizer.encode_batch(texts, max_length=max_length)
    return tuple(map(torch.from_numpy, (batch.ids, batch.mask, batch.segment_ids)))


def share_of(rows, number, count):
    """The rows of a batch for process `number` of `count`, and a factor: the first row, which counts nothing, where
    there are more processes than rows."""
    mine = torch.arange(number, rows, count)
    return (mine, 1.0) if len(mine) else (torch.zeros(1, dtype=torch.long), 0.0)


def train_epoch(model, optimizer, accelerator, data, order, rate, step, settings):
    """One epoch; returns the number of the last step."""
    count, device = accelerator.num_processes, accelerator.device
    for inputs, labels, rows in batches(data, settings.batch, dynamic_padding=True, order=order):
        step += 1
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        mine, factor = share_of(rows, accelerator.process_index, count)
        logits = model(*(part[mine].to(device) for part in inputs))
        # The processes' gradients are averaged: count times this share of the batch's mean gives the mean.
        loss = F.cross_entropy(logits, labels[mine].to(device), reduction="sum") * factor * count / rows
        optimizer.zero_grad()
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        mean = accelerator.reduce(loss.detach(), reduction="mean").item()
        if accelerator.is_main_process:
            print(json.dumps({"step": step, "loss": round(mean, 6)}), flush=True)
    return step


@torch.no_grad()
def accuracy(model, accelerator, data):
    """Share of the examples that are labelled rightly, each process having read its own."""
    model.eval()
    right = torch.zeros((), device=accelerator.device)
    for inputs, labels, rows in batches(data, 64, dynamic_padding=True):
        mine, factor = share_of(rows, accelerator.process_index, accelerator.num_processes)
        logits = model(*(part[mine].to(accelerator.device) for part in inputs))
        right += factor * (logits.argmax(-1).cpu() == labels[mine]).sum().to(right.device)
    model.train()
    return accelerator.reduce(right, reduction="sum").item() / len(data[1])


def main(settings):
    accelerator = Accelerator(cpu=settings.cpu)
    seed_everything(settings.seed)  # the same new classifier everywhere
    folder = pretrained.find(settings.model)
    (texts, labels), (test_texts, test_labels) = read_labelled(settings.train), read_labelled(settings.test)
    n_classes = int(labels.max()) + 1
    if test_labels.max() >= n_classes:
        raise ValueError(f"{settings.test} has labels up to {test_labels.max()}, {settings.train} up to {labels.max()}")
    tokenizer = WordPiece.load(folder / "vocab.txt")
    train, test = (encode(tokenizer, texts), labels), (encode(tokenizer, test_texts), test_labels)
    model = BertForSequenceClassification.from_pretrained(folder, n_classes=n_classes).train()
    steps = settings.epochs * -(-len(labels) // settings.batch)
    rate = linear_decay(settings.rate, max(1, steps // 10), steps)
    model, optimizer = accelerator.prepare(model, adamw(model, rate(1), weight_decay=0.01))
    seed_everything(settings.seed + 1 + accelerator.process_index)  # and other dropout
    order, step = torch.Generator().manual_seed(settings.seed), 0
    for epoch in range(1, settings.epochs + 1):
        step = train_epoch(model, optimizer, accelerator, train, order, rate, step, settings)
        right = accuracy(model, accelerator, test)
        if accelerator.is_main_process:
            print(json.dumps({"epoch": epoch, "accuracy": round(right, 4)}), flush=True)
    if accelerator.is_main_process:
        accelerator.unwrap_model(model).save_pretrained(settings.out)
        tokenizer.vocabulary.save(settings.out / "vocab.txt")
        print(json.dumps({"saved": str(settings.out), "processes": accelerator.num_processes}), flush=True)
    accelerator.end_training()


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, required=True, help="TSV with the columns text and label")
    parser.add_argument("--test", type=Path, required=True, help="TSV with the columns text and label")
    parser.add_argument("--out", type=Path, required=True, help="folder for config.json, model.safetensors, vocab.txt")
    parser.add_argument("--model", default=pretrained.MINILM, help="a folder or a name, as coursekit.pretrained.find")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch", type=int, default=16, help="examples of a step, over all processes")
    parser.add_argument("--rate", type=float, default=2e-4, help="highest learning rate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cpu", action="store_true", help="no GPU, even where there is one")
    return parser.parse_args()


if __name__ == "__main__":
    main(arguments())
