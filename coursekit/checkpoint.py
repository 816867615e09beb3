"""BERT on disk: `config.json` and `model.safetensors`, with the names that transformers gives, read and written for
both frameworks."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from coursekit.files import replace_files
from coursekit.shapes import expect_at_least, expect_choice

WEIGHTS, CONFIG = "model.safetensors", "config.json"
ACTIVATIONS = {"gelu": "gelu", "gelu_tanh": "gelu_new", "relu": "relu"}  # ours: transformers'

# Each weight's name in coursekit and in transformers, whose `bert.` in front of a model's body comes and goes.
NAMES = [
    ("token_embedding", "embeddings.word_embeddings"),
    ("position_embedding", "embeddings.position_embeddings"),
    ("segment_embedding", "embeddings.token_type_embeddings"),
    ("embedding_norm", "embeddings.LayerNorm"),
    ("encoder.layers.{n}.attention.query_projection", "encoder.layer.{n}.attention.self.query"),
    ("encoder.layers.{n}.attention.key_projection", "encoder.layer.{n}.attention.self.key"),
    ("encoder.layers.{n}.attention.value_projection", "encoder.layer.{n}.attention.self.value"),
    ("encoder.layers.{n}.attention.output_projection", "encoder.layer.{n}.attention.output.dense"),
    ("encoder.layers.{n}.attention_norm", "encoder.layer.{n}.attention.output.LayerNorm"),
    ("encoder.layers.{n}.feed_forward.expand", "encoder.layer.{n}.intermediate.dense"),
    ("encoder.layers.{n}.feed_forward.contract", "encoder.layer.{n}.output.dense"),
    ("encoder.layers.{n}.feed_forward_norm", "encoder.layer.{n}.output.LayerNorm"),
    ("pooler", "pooler.dense"),
    ("token_head.transform", "cls.predictions.transform.dense"),
    ("token_head.norm", "cls.predictions.transform.LayerNorm"),
    ("token_head", "cls.predictions"),  # its bias
    ("next_sentence_head", "cls.seq_relationship"),
    ("classifier", "classifier"),
    ("span_head", "qa_outputs"),
]
HEADS = ("token_head.", "next_sentence_head.", "classifier.", "span_head.")  # before these there is no `bert.`
# Of what other programs store beside the weights: the positions 0, 1, 2 …, and the output matrix and its bias again,
# which are the token embedding and `token_head.bias`.
NO_WEIGHT = ("embeddings.position_ids", "cls.predictions.decoder.weight", "cls.predictions.decoder.bias")
OLD_NAMES = {".gamma": ".weight", ".beta": ".bias"}  # of a norm, in checkpoints that came from TensorFlow 1


@dataclass(frozen=True)
class BertConfig:
    """The sizes of a BERT and what else its weights do not tell; the defaults are those of bert-base-uncased.

    Raises `ValueError` for sizes below 1, an unknown activation, or n_heads that do not divide d_model.
    Source: Devlin et al. 2019, BERT, section 3; dropout and epsilon: its published code.
    """

    vocab_size: int = 30522
    d_model: int = 768
    n_layers: int = 12
    n_heads: int = 12
    d_ff: int = 3072
    max_length: int = 512
    n_segments: int = 2
    dropout: float = 0.1
    activation: str = "gelu"
    norm_epsilon: float = 1e-12

    def __post_init__(self):
        for name in ("vocab_size", "d_model", "n_layers", "n_heads", "d_ff", "max_length", "n_segments"):
            expect_at_least(name, getattr(self, name), 1)
        expect_choice("activation", self.activation, tuple(ACTIVATIONS))
        if self.d_model % self.n_heads:
            raise ValueError(f"d_model is {self.d_model}, expected a multiple of n_heads, which is {self.n_heads}")


# The same settings as transformers' config.json calls them.
SETTINGS = {"vocab_size": "vocab_size", "hidden_size": "d_model", "num_hidden_layers": "n_layers",
            "num_attention_heads": "n_heads", "intermediate_size": "d_ff", "max_position_embeddings": "max_length",
            "type_vocab_size": "n_segments", "hidden_dropout_prob": "dropout", "layer_norm_eps": "norm_epsilon"}


def read_config(folder):
    """The `BertConfig` of a folder. Raises `ValueError` for a model that is no BERT, or that computes another way."""
    path = Path(folder) / CONFIG
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    wanted = {"model_type": "bert", "is_decoder": False, "position_embedding_type": "absolute",
              "tie_word_embeddings": True}
    for name, value in wanted.items():
        if stored.get(name, value) != value:
            raise ValueError(f"{path} has {name} {stored[name]!r}, expected {value!r}")
    if missing := SETTINGS.keys() - stored.keys():
        raise ValueError(f"{path} lacks {', '.join(sorted(missing))}: is it the configuration of a BERT?")
    activation = {theirs: ours for ours, theirs in ACTIVATIONS.items()}.get(stored.get("hidden_act"))
    if activation is None:
        raise ValueError(f"{path} has hidden_act {stored.get('hidden_act')!r}, expected one of "
                         + ", ".join(ACTIVATIONS.values()))
    return BertConfig(activation=activation, **{ours: stored[theirs] for theirs, ours in SETTINGS.items()})


def read_weights(folder, load_file=None):
    """The weights of a folder by their names here: dict of arrays, NumPy's unless `load_file` is that of
    safetensors.torch.

    Raises `ValueError` for a file that is cut short or no safetensors file, and for tensors that no BERT has.
    """
    from safetensors import SafetensorError, numpy

    path = Path(folder) / WEIGHTS
    try:
        stored = (load_file or numpy.load_file)(path)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{path} cannot be read, it is damaged or cut short: {error}") from error
    weights, unknown = by_our_names(stored)
    if unknown:
        raise ValueError(f"{path} has tensors that no BERT has: {', '.join(sorted(unknown))}")
    return weights


def by_our_names(stored):
    """What transformers or TensorFlow 1 named, by our names, and a list of names that no BERT has."""
    weights, unknown = {}, []
    for name, array in stored.items():
        for old, new in OLD_NAMES.items():
            name = name.removesuffix(old) + new if name.endswith(old) else name
        name = name.removeprefix("bert.")
        if name not in NO_WEIGHT:
            ours = _renamed(name, [(theirs, ours) for ours, theirs in NAMES])
            weights[ours] = array
            unknown += [name] if ours is None else []
    return weights, unknown


def weights_for(model_class, shapes, folder, name, load_file=None):
    """The arrays of a folder for a model of that class whose weights have these shapes, a dict by name.

    Of a head that the folder has not there is none, which a printed line says. `name` is what the user calls the
    model. Raises `ValueError` as `read_weights` and `check_weights` do.
    """
    arrays = read_weights(folder, load_file)
    fresh = check_weights({name: array.shape for name, array in arrays.items()}, shapes, model_class.heads, folder)
    if fresh:
        print(f"{model_class.__name__}: {name} has no {' and no '.join(fresh)}. New ones were drawn at random: "
              "train them before you use them.")
    return {name: array for name, array in arrays.items() if name in shapes}


def check_weights(found, wanted, heads=(), where="the file"):
    """Compare two dicts of shapes by name, found and wanted; returns the names of `heads` that are not found at all.

    A head, the name of a part such as "classifier", may be missing as a whole: a checkpoint of the encoder alone has
    none. What is found and not wanted is another task's head. Raises `ValueError` that names every other missing
    tensor, and every one whose shape differs.
    """
    missing = sorted(wanted.keys() - found.keys())
    fresh = [head for head in heads if all(name in missing for name in wanted if _within(name, head))]
    lost = [name for name in missing if not any(_within(name, head) for head in fresh)]
    if lost:
        raise ValueError(f"{where} lacks {len(lost)} tensor{'s'[:len(lost) > 1]}: {', '.join(lost)}")
    wrong = [f"{name} has shape {tuple(found[name])}, expected {tuple(wanted[name])}"
             for name in sorted(wanted.keys() & found.keys()) if tuple(found[name]) != tuple(wanted[name])]
    if wrong:
        raise ValueError(f"{where}: {'; '.join(wrong)}")
    return fresh


def write(folder, config, weights, kind, n_classes=None):
    """Write what transformers reads as a `kind` ("BertModel", "BertForTokenClassification", ...): both
    files, or neither where writing fails. `weights`: dict of arrays by their names here."""
    import numpy as np
    from safetensors.numpy import save

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    body = "" if kind == "BertModel" else "bert."
    stored = {}
    for name, array in weights.items():
        theirs = _renamed(name, NAMES)
        # safetensors writes an array's memory as it lies, in whatever order its axes are
        stored[theirs if name.startswith(HEADS) else body + theirs] = np.ascontiguousarray(array)
    settings = {theirs: getattr(config, ours) for theirs, ours in SETTINGS.items()}
    settings |= {"model_type": "bert", "architectures": [kind], "hidden_act": ACTIVATIONS[config.activation],
                 "attention_probs_dropout_prob": config.dropout, "initializer_range": 0.02}
    if n_classes is not None:
        settings["id2label"] = {str(number): f"LABEL_{number}" for number in range(n_classes)}
        settings["label2id"] = {label: int(number) for number, label in settings["id2label"].items()}
    replace_files({folder / WEIGHTS: save(stored, metadata={"format": "pt"}),
                   folder / CONFIG: json.dumps(settings, indent=2) + "\n"})


def _within(name, part):
    return name.startswith(f"{part}.")


def _renamed(name, names):
    """`name` by the first of the pairs (old, new) that fits, the number of a layer and the last word kept; or None."""
    number = re.search(r"\.(\d+)\.", name)
    part, _, last = name.rpartition(".")
    for old, new in names:
        if number:
            old, new = old.replace("{n}", number[1]), new.replace("{n}", number[1])
        if part == old:
            return f"{new}.{last}"
    return None
