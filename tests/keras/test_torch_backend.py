"""coursekit.keras on Keras's torch backend: one child process, since Keras chooses its backend once."""

import os
import subprocess
import sys

SCRIPT = """
import sys

import keras
import numpy as np
import torch

import coursekit.torch
from coursekit import weights
from coursekit.keras import BahdanauAttention, LuongAttention, Seq2Seq

torch.set_num_threads(1)
assert keras.backend.backend() == "torch"
source = np.array([[1, 5, 2, 6, 3], [4, 4, 1, 0, 0]])
mask = source > 0

# the same as coursekit.torch
for attention in (None, "dot", "general", "concat", "additive"):
    for wiring in ("bahdanau", "luong"):
        model = Seq2Seq(7, 3, attention=attention, wiring=wiring, position_units=6)
        twin = coursekit.torch.Seq2Seq(7, 3, attention=attention, wiring=wiring, position_units=6)
        weights.copy(model, twin)
        torch.testing.assert_close(model(source, mask=mask, length=4), twin(*map(torch.tensor, (source, mask)), 4),
                                   atol=1e-5, rtol=0, check_device=False)
        assert torch.equal(model.greedy(source, mask).cpu().long(), twin.greedy(*map(torch.tensor, (source, mask))))

# masks: given, carried by Keras, and a row without any place
tokens, query = np.array([[4, 1, 2, 0, 0], [0, 0, 0, 0, 0]]), np.ones((2, 3), "float32")
embedding = keras.layers.Embedding(7, 3, mask_zero=True)
for layer in (LuongAttention(3, "concat"), BahdanauAttention(3)):
    context, attended = layer(query, embedding(tokens), return_weights=True)
    assert (keras.ops.convert_to_numpy(attended) > 0).tolist() == (tokens > 0).tolist()
    assert not context[1].any()
    context.sum().backward()
    assert all(variable.value.grad.isfinite().all() for variable in layer.trainable_weights)

# trains, saves and loads
model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
losses = model.fit(source, source[:, ::-1].copy(), epochs=3, verbose=0).history["loss"]
assert losses[2] < losses[0]
model.save(sys.argv[1])
assert torch.equal(keras.models.load_model(sys.argv[1])(source, mask=mask), model(source, mask=mask))

# a symbolic model of unknown length, and wrong input
inputs = keras.Input((None,), dtype="int32")
assert keras.Model(inputs, model(inputs)).predict(source, verbose=0).shape == (2, 5, 7)
try:
    model(source, mask=mask[:, :4])
except ValueError as error:
    assert "mask has length 4, source has 5" in str(error)
else:
    raise AssertionError("a mask of the wrong length was accepted")
"""


def test_the_torch_backend_computes_trains_and_saves_the_same(tmp_path):
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path / "model.keras")], capture_output=True, text=True,
                          env={**os.environ, "KERAS_BACKEND": "torch"})
    assert done.returncode == 0, done.stderr
