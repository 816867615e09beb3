"""The training script that runs in one process or in many: the same losses, the same weights, and what it refuses."""

import json
import random
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from coursekit import torch as ct
from coursekit.text import Vocabulary
from coursekit.torch.fine_tune import read_labelled, share_of

WORDS = ["good", "bad", "dull", "fine", "film", "book", "the", "a", "was", "very"]
TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small BERT without dropout and two files: 11 rows in batches of 5 leave 1 row for two processes."""
    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    ct.Bert(ct.BertConfig(vocab_size=len(TOKENS), d_model=12, n_layers=1, n_heads=3, d_ff=20, max_length=9,
                          dropout=0.0)).save_pretrained(folder)
    Vocabulary(TOKENS).save(folder / "vocab.txt")
    rng = random.Random(1)
    for name, rows in (("train", 11), ("test", 7)):
        lines = [(" ".join(rng.choices(WORDS, k=rng.randint(1, 6))), rng.randrange(3)) for _ in range(rows)]
        lines[0] = (lines[0][0], 2)
        (folder / f"{name}.tsv").write_text("text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in lines))
    return folder


def run(folder, out, *launcher):
    command = [*launcher, "-m", "coursekit.torch.fine_tune", "--model", folder, "--train", folder / "train.tsv",
               "--test", folder / "test.tsv", "--out", out, "--epochs", "2", "--batch", "5", "--rate", "0.01", "--cpu"]
    done = subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {key: [line[key] for line in lines if key in line] for key in ("loss", "accuracy", "processes")}


def test_two_processes_have_the_losses_and_the_weights_of_one(folder, tmp_path):
    one = run(folder, tmp_path / "one")
    two = run(folder, tmp_path / "two", "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-addr",
              "127.0.0.1", "--master-port", "0", "--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0")
    assert one["processes"] == [1] and two["processes"] == [2]
    assert len(one["loss"]) == 6 and one["loss"][0] != one["loss"][3]
    assert two["loss"] == pytest.approx(one["loss"], abs=2e-6) and two["accuracy"] == one["accuracy"]
    weights, others = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    assert weights["classifier.weight"].shape == (3, 12) and weights.keys() == others.keys()
    start = load_file(folder / "model.safetensors")["embeddings.word_embeddings.weight"]
    assert np.abs(weights["bert.embeddings.word_embeddings.weight"] - start).max() > 0.01
    for name, array in weights.items():
        np.testing.assert_allclose(others[name], array, atol=1e-5, err_msg=name)


def test_every_row_of_a_batch_goes_to_one_process():
    shares = [share_of(5, number, 3) for number in range(3)]
    assert sorted(torch.cat([rows for rows, factor in shares]).tolist()) == [0, 1, 2, 3, 4]
    assert [(rows.tolist(), factor) for rows, factor in (share_of(1, 0, 2), share_of(1, 1, 2))] == [([0], 1), ([0], 0)]


@pytest.mark.parametrize("content, message", [
    ("text\tanswer\nfine\t1\n", r"has the columns \['text', 'answer'\], expected label too"),
    ("text\tlabel\nfine\t1\n \t0\n", "line 3: text ' ', label '0', expected some text"),
    ("text\tlabel\nfine\t-1\n", "line 2: text 'fine', label '-1', expected some text and a whole number from 0"),
    ("text\tlabel\nfine\n", "line 2: text 'fine', label None"),
    ("text\tlabel\n", "has no rows"),
    ("", "has the columns None, expected label and text too"),
])
def test_files_that_are_amiss_are_named(tmp_path, content, message):
    path = tmp_path / "rows.tsv"
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        read_labelled(path)
