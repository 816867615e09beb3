"""BERT's files: what is read, what is refused, and that a failed save loses nothing."""

import json
import os

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from coursekit import checkpoint
from coursekit.checkpoint import BertConfig

CONFIG = BertConfig(vocab_size=7, d_model=6, n_layers=2, n_heads=3, d_ff=5, max_length=4, n_segments=2,
                    activation="gelu_tanh", dropout=0.3, norm_epsilon=1e-7)
SHAPES = {"token_embedding.weight": (7, 6), "embedding_norm.bias": (6,), "pooler.weight": (6, 6),
          "encoder.layers.1.attention.key_projection.weight": (6, 6), "encoder.layers.0.feed_forward.expand.bias": (5,),
          "token_head.bias": (7,), "token_head.norm.weight": (6,), "classifier.bias": (3,)}


@pytest.fixture
def folder(tmp_path):
    checkpoint.write(tmp_path, CONFIG, arrays(), "BertForSequenceClassification", 3)
    return tmp_path


def arrays(seed=0):
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=shape).astype("float32") for name, shape in SHAPES.items()}


def test_what_is_written_is_read(folder):
    assert checkpoint.read_config(folder) == CONFIG
    again = checkpoint.read_weights(folder)
    assert again.keys() == arrays().keys()
    for name, array in arrays().items():
        np.testing.assert_array_equal(again[name], array)
    assert set(load_file(folder / "model.safetensors")) == {
        "bert.embeddings.word_embeddings.weight", "bert.embeddings.LayerNorm.bias", "bert.pooler.dense.weight",
        "bert.encoder.layer.1.attention.self.key.weight", "bert.encoder.layer.0.intermediate.dense.bias",
        "cls.predictions.bias", "cls.predictions.transform.LayerNorm.weight", "classifier.bias"}
    assert json.loads((folder / "config.json").read_text())["id2label"] == {"0": "LABEL_0", "1": "LABEL_1",
                                                                           "2": "LABEL_2"}


def test_heads_are_named_without_the_body_before_them(tmp_path):
    names = {"token_head.bias": "cls.predictions.bias", "next_sentence_head.weight": "cls.seq_relationship.weight",
             "classifier.weight": "classifier.weight", "span_head.bias": "qa_outputs.bias",
             "pooler.bias": "bert.pooler.dense.bias"}
    checkpoint.write(tmp_path, CONFIG, {name: np.zeros(2) for name in names}, "BertForQuestionAnswering")
    assert set(load_file(tmp_path / "model.safetensors")) == set(names.values())


def test_a_view_is_written_in_the_order_in_which_it_is_read(tmp_path):
    transposed = arrays()["token_embedding.weight"].T
    checkpoint.write(tmp_path, CONFIG, {"token_embedding.weight": transposed}, "BertModel")
    np.testing.assert_array_equal(checkpoint.read_weights(tmp_path)["token_embedding.weight"], transposed)


@pytest.mark.parametrize("place", ["write", "fsync", "replace"])
def test_a_failed_save_leaves_the_old_checkpoint(folder, monkeypatch, place):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full(*given, **settings):
        raise OSError("No space left on device")

    if place == "write":
        monkeypatch.setattr("safetensors.numpy.save", full)
    else:
        monkeypatch.setattr(os, place, full)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.write(folder, CONFIG, arrays(1), "BertModel")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("cut", [3, 100, -5])
def test_a_file_cut_short_is_refused(folder, cut):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ValueError, match="model.safetensors cannot be read, it is damaged or cut short"):
        checkpoint.read_weights(folder)


def test_tensors_that_no_bert_has_are_all_named(folder):
    stored = load_file(folder / "model.safetensors")
    save_file(stored | {"lm_head.weight": np.ones(2), "bert.encoder.layer.0.rotary.weight": np.ones(3)},
              folder / "model.safetensors")
    with pytest.raises(ValueError, match="no BERT has: encoder.layer.0.rotary.weight, lm_head.weight$"):
        checkpoint.read_weights(folder)


def test_missing_and_misshapen_tensors_are_all_named():
    wanted = SHAPES | {"span_head.weight": (2, 6), "span_head.bias": (2,)}
    with pytest.raises(ValueError, match="the file lacks 2 tensors: span_head.bias, span_head.weight$"):
        checkpoint.check_weights(SHAPES, wanted)
    assert checkpoint.check_weights(SHAPES, wanted, heads=("span_head",)) == ["span_head"]
    half = {name: shape for name, shape in wanted.items() if name != "span_head.bias"}
    with pytest.raises(ValueError, match="the file lacks 1 tensor: span_head.bias$"):  # a head cut in two is no head
        checkpoint.check_weights(half, wanted, heads=("span_head",))
    other = wanted | {"pooler.weight": (6, 9), "token_head.bias": (8,)}
    with pytest.raises(ValueError, match=r"pooler.weight has shape \(6, 9\), expected \(6, 6\); "
                                         r"token_head.bias has shape \(8,\), expected \(7,\)"):
        checkpoint.check_weights(other, wanted)


@pytest.mark.parametrize("changes, message", [
    ({"model_type": "roberta"}, "has model_type 'roberta', expected 'bert'"),
    ({"is_decoder": True}, "has is_decoder True, expected False"),
    ({"position_embedding_type": "relative_key"}, "has position_embedding_type 'relative_key', expected 'absolute'"),
    ({"tie_word_embeddings": False}, "has tie_word_embeddings False, expected True"),
    ({"hidden_act": "silu"}, "has hidden_act 'silu', expected one of gelu, gelu_new, relu"),
    ({"hidden_size": None}, "lacks hidden_size: is it the configuration of a BERT?"),
])
def test_configurations_of_other_models_are_refused(folder, changes, message):
    path = folder / "config.json"
    stored = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({name: value for name, value in stored.items() if value is not None}))
    with pytest.raises(ValueError, match=message):
        checkpoint.read_config(folder)


def test_a_configuration_that_is_no_json_is_refused(folder):
    (folder / "config.json").write_text('{"vocab_size": 7,')
    with pytest.raises(ValueError, match="config.json cannot be read"):
        checkpoint.read_config(folder)
