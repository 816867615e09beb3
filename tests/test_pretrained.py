"""Where weights are found, in which order, and what is refused."""

import json
import shutil
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from coursekit import pretrained


def model(folder, name=pretrained.WEIGHTS):
    folder.mkdir()
    save_file({"embedding": np.arange(6, dtype=np.float32).reshape(2, 3)}, folder / name)
    return folder


@pytest.fixture
def not_installed(monkeypatch):
    monkeypatch.setattr(pretrained, "installed", lambda: None)


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A hub that has one model, as what huggingface_hub would do; the calls are kept."""
    calls = []

    def snapshot_download(repository, *, revision, allow_patterns, local_files_only):
        calls.append((repository, revision, local_files_only))
        if repository not in ("owner/model", pretrained.REPOSITORY):
            raise OSError(f"no snapshot of {repository}")
        return tmp_path / "snapshot"

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    model(tmp_path / "snapshot")
    return calls


def test_the_installed_weights_are_those_of_a_bert_of_six_layers():
    folder = pretrained.find()
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    weights = load_file(folder / pretrained.WEIGHTS)
    assert folder.why == "all-MiniLM-L6-v2 from the installed package, its SHA-256 is right"
    assert (config["num_hidden_layers"], config["num_attention_heads"], config["hidden_size"]) == (6, 12, 384)
    assert weights["embeddings.word_embeddings.weight"].shape == (30522, 384)
    assert (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()[101:104] == ["[CLS]", "[SEP]", "[MASK]"]


def test_a_named_folder_comes_first(tmp_path):
    folder = model(tmp_path / "mine")
    found = pretrained.find(folder)
    assert found == folder and found.why == f"{folder} in the folder that was named, not checked"


def test_a_folder_with_a_pickle_alone_is_refused(tmp_path):
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(ValueError, match="has no model.safetensors: weights in a pickle are never loaded"):
        pretrained.find(tmp_path)


@pytest.mark.parametrize("name", ["./nowhere", "~/nowhere", "a/b/nowhere"])
def test_a_folder_that_is_not_there_is_not_looked_for_on_the_hub(name, hub):
    with pytest.raises(FileNotFoundError, match=f"There is no folder {name}."):
        pretrained.find(name, network=True)
    assert hub == []


def test_damaged_weights_are_refused_wherever_they_lie(monkeypatch, tmp_path, hub):
    folder = shutil.copytree(pretrained.find(), tmp_path / "damaged", ignore=shutil.ignore_patterns("*.json"))
    with open(folder / pretrained.WEIGHTS, "r+b") as weights:
        weights.seek(-1, 2)
        weights.write(b"\1")
    for installed in (folder, None):  # None: the cache of the hub has another model under this name
        monkeypatch.setattr(pretrained, "installed", lambda: installed)
        with pytest.raises(ValueError, match=r"the SHA-256 .{12}\.\.\., expected 53aa51172d14\.\.\.: it is damaged"):
            pretrained.find()


def test_a_package_that_lost_its_weights_is_told_apart(monkeypatch, tmp_path):
    monkeypatch.setattr(pretrained, "installed", lambda: tmp_path)
    with pytest.raises(FileNotFoundError, match="has no model.safetensors. To mend it: .* --force-reinstall"):
        pretrained.find()


def test_the_cache_of_the_hub_comes_before_the_network(hub):
    assert pretrained.find("owner/model").why == "owner/model from the hub's local cache, not checked"
    assert pretrained.find("owner/model", network=True).why == "owner/model from the hub, not checked"
    assert hub == [("owner/model", None, True), ("owner/model", None, False)]


def test_the_revision_of_the_checked_weights_is_asked_for(hub, not_installed):
    with pytest.raises(ValueError, match="SHA-256"):  # what this hub has is another model
        pretrained.find()
    assert hub == [(pretrained.REPOSITORY, pretrained.REVISION, True)]


def test_without_weights_the_error_names_one_command(hub, not_installed, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"To get them: coursekit.pretrained.find\('bert-x', network=True\)"):
        pretrained.find("bert-x")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(FileNotFoundError) as error:
        pretrained.find()
    assert str(error.value) == f"The weights of all-MiniLM-L6-v2 are not here. To get them: {pretrained.INSTALL}"


def test_a_hub_that_does_not_answer_is_quoted(hub):
    with pytest.raises(FileNotFoundError, match="The hub did not give the weights of bert-x: no snapshot of bert-x"):
        pretrained.find("bert-x", network=True)


def test_a_lecture_goes_on_without_weights(hub, not_installed, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert pretrained.find(required=False) is None
    assert pretrained.INSTALL in capsys.readouterr().out
