"""How far BERT's numbers are from those of transformers, layer by layer, in PyTorch and in Keras on two backends.

    python benchmarks/bert_parity.py
"""

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from transformers import BertModel

from coursekit import pretrained, start
from coursekit.results import record
from coursekit.text import WordPiece

TEXTS = (["The pizza came out of the oven.", "It rained.", "A " + "very " * 600 + "long text."],
         ["It tasted good, and nobody left any of it.", "So?", "The end."])
CAPTION = ("all-MiniLM-L6-v2, three pairs of texts in one batch, 10, 24 and 512 tokens long: the largest absolute difference "
           "to transformers' BertModel (eager) in the same precision, over all layers and all places that are no padding.")
COLUMNS = {"Ours": "{ours}", "Precision": "{precision}", "Hidden states": "{hidden:.1e}",
           "Attention weights": "{attention:.1e}", "Pooled output": "{pooled:.1e}"}


def batch():
    encoded = WordPiece.load(pretrained.find() / "vocab.txt").encode_batch(*TEXTS)
    return [part[:, :512] for part in (encoded.ids, encoded.mask, encoded.segment_ids)]


def of_transformers(precision):
    model = BertModel.from_pretrained(pretrained.find(), attn_implementation="eager").to(getattr(torch, precision))
    ids, mask, segment_ids = map(torch.from_numpy, batch())
    with torch.no_grad():
        output = model.eval()(ids, mask.long(), segment_ids, output_hidden_states=True, output_attentions=True)
    return ([part.numpy() for part in output.hidden_states], [part.numpy() for part in output.attentions],
            output.pooler_output.numpy())


def in_torch(precision):
    from coursekit.torch import Bert

    model = Bert.from_pretrained().to(getattr(torch, precision))
    ids, mask, segment_ids = map(torch.from_numpy, batch())
    with torch.no_grad():
        output, weights = model(ids, mask, segment_ids, return_weights=True)
        return ([part.numpy() for part in model.states(ids, mask, segment_ids)], [part.numpy() for part in weights],
                model.pool(output).numpy())


def in_keras(precision):
    from keras import ops

    from coursekit.keras import Bert

    model = Bert.from_pretrained(dtype=precision)
    ids, mask, segment_ids = batch()
    given = {"ids": ids, "mask": mask, "segment_ids": segment_ids}
    output, weights = model(given, return_weights=True)
    found = model.states(**given), weights, model.pool(output)
    return [ops.convert_to_numpy(part) if not isinstance(part, (list, tuple)) else
            [ops.convert_to_numpy(one) for one in part] for part in found]


CONTESTANTS = {"PyTorch": (in_torch, ""), "Keras on TensorFlow": (in_keras, "tensorflow"),
               "Keras on PyTorch": (in_keras, "torch")}


def row(name, precision):
    function, backend = CONTESTANTS[name]
    os.environ["KERAS_BACKEND"] = backend or "tensorflow"
    with torch.no_grad():
        ours, theirs, mask = function(precision), of_transformers(precision), batch()[1]
    hidden = [np.abs(one[mask] - other[mask]).max() for one, other in zip(ours[0], theirs[0], strict=True)]
    attention = [np.abs(one - other).transpose(0, 2, 1, 3)[mask].max()
                 for one, other in zip(ours[1], theirs[1], strict=True)]
    return {"ours": name, "precision": precision, "hidden": float(max(hidden)), "attention": float(max(attention)),
            "pooled": float(np.abs(ours[2] - theirs[2]).max())}


def fresh(*given):
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:  # a process has one backend
        return pool.submit(row, *given).result()


if __name__ == "__main__":
    start(threads=1)
    rows = []
    for name in CONTESTANTS:
        for precision in ("float32", "float64"):
            rows.append(fresh(name, precision))
            print(rows[-1], flush=True)
    record("bert_parity", rows, columns=COLUMNS, caption=CAPTION)
