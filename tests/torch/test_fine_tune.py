"""The training script that runs in one process or in many: the same losses, the same weights, and what it refuses."""

import json
import random
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from coursekit import seed_everything
from coursekit import torch as ct
from coursekit.text import Vocabulary, WordPiece
from coursekit.torch.fine_tune import encode, read_labelled, share_of

WORDS = ["good", "bad", "dull", "fine", "film", "book", "the", "a", "was", "very"]
TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small BERT without dropout and two files: 11 rows in batches of 5 leave 1 row for two processes."""
    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    model = ct.Bert(ct.BertConfig(vocab_size=len(TOKENS), d_model=12, n_layers=1, n_heads=3, d_ff=20, max_length=9,
                                  dropout=0.0))
    with torch.no_grad():  # weights so large that gradients are clipped
        for weight in model.parameters():
            weight.add_(0.4 * torch.randn_like(weight))
    model.save_pretrained(folder)
    Vocabulary(TOKENS).save(folder / "vocab.txt")
    rng = random.Random(1)
    for name, rows in (("train", 11), ("test", 7)):
        lines = [(" ".join(rng.choices(WORDS, k=rng.randint(1, 6))), rng.randrange(3)) for _ in range(rows)]
        lines[0] = (lines[0][0], 2)
        (folder / f"{name}.tsv").write_text("text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in lines))
    return folder


def run(folder, out, *launcher, test=None):
    command = [*launcher, "-m", "coursekit.torch.fine_tune", "--model", folder, "--train", folder / "train.tsv",
               "--test", test or folder / "test.tsv", "--out", out, "--epochs", "2", "--batch", "5", "--rate", "0.01",
               "--cpu"]
    done = subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {key: [line[key] for line in lines if key in line] for key in ("loss", "accuracy", "processes")}


def same_weights(found, expected):
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        if not name.endswith("key.bias"):  # softmax does not see it: its gradient is rounding, which Adam enlarges
            np.testing.assert_allclose(found[name], array, atol=1e-5, err_msg=name)


@pytest.fixture(scope="module")
def one(folder):
    """What one process prints; it leaves its model in `folder / "one"`."""
    return run(folder, folder / "one")


def test_one_process_trains_as_fit_does(folder, one):
    texts, labels = read_labelled(folder / "train.tsv")
    seed_everything(0)
    model = ct.BertForSequenceClassification.from_pretrained(folder, n_classes=3)
    history = ct.fit(model, (encode(WordPiece.load(folder / "vocab.txt"), texts, 9), labels), epochs=2, batch_size=5,
                     learning_rate=ct.linear_decay(0.01, 1, 6), weight_decay=0.01, clip=1.0, dynamic_padding=True)
    assert history.best == 2  # fit leaves the weights of the best epoch, the script those of the last
    model.save_pretrained(folder / "by_fit")
    trained, expected = (load_file(folder / name / "model.safetensors") for name in ("one", "by_fit"))
    same_weights(trained, expected)
    assert (folder / "one" / "vocab.txt").read_text() == (folder / "vocab.txt").read_text()


def test_a_label_that_training_does_not_show_is_named(folder, tmp_path):
    (tmp_path / "test.tsv").write_text("text\tlabel\nfine\t3\n")
    with pytest.raises(AssertionError, match="test.tsv has labels up to 3, .*train.tsv up to 2"):
        run(folder, tmp_path / "out", test=tmp_path / "test.tsv")


def test_two_processes_have_the_losses_and_the_weights_of_one(folder, one, tmp_path):
    two = run(folder, tmp_path / "two", "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-addr",
              "127.0.0.1", "--master-port", "0", "--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0")
    assert one["processes"] == [1] and two["processes"] == [2]
    assert len(one["loss"]) == 6 and one["loss"][0] != one["loss"][3]
    assert two["loss"] == pytest.approx(one["loss"], abs=2e-6) and two["accuracy"] == one["accuracy"]
    weights, others = (load_file(place / "model.safetensors") for place in (folder / "one", tmp_path / "two"))
    assert weights["classifier.weight"].shape == (3, 12)
    start = load_file(folder / "model.safetensors")["embeddings.word_embeddings.weight"]
    assert np.abs(weights["bert.embeddings.word_embeddings.weight"] - start).max() > 0.01
    same_weights(others, weights)


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
