"""coursekit.keras on Keras's torch backend: in child processes, since Keras chooses its backend once."""

import os
import subprocess
import sys

import pytest

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

TRANSFORMER = """
import sys

import keras
import numpy as np
import torch

import coursekit.torch
from coursekit import weights
from coursekit.keras import Encoder, LearnedPositions, MultiHeadAttention, PositionalEncoding
from coursekit.keras import causal_mask, padding_mask, report_nan, rotary

torch.set_num_threads(1)
assert keras.backend.backend() == "torch"
keras.utils.set_random_seed(0)
tokens = np.array([[1, 5, 2, 6, 3], [4, 4, 1, 0, 0]])
x = np.random.default_rng(0).normal(size=(2, 5, 12)).astype("float32")
masks = [None, padding_mask([5, 3]), causal_mask(5), padding_mask([5, 0], 5)]


def same(ours, theirs):
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0, check_device=False)


# the same as coursekit.torch, and a row without any place is finite
for norm_first in (False, True):
    stack = Encoder(2, 12, 3, 7, norm_first=norm_first, activation="gelu")
    twin = coursekit.torch.Encoder(2, 12, 3, 7, norm_first=norm_first, activation="gelu")
    weights.copy(twin, stack)
    for mask in masks:
        their_mask = None if mask is None else mask.cpu()
        same(stack(x, mask=mask), twin(torch.tensor(x), their_mask))
        for ours, theirs in zip(stack(x, mask=mask, return_weights=True)[1],
                                twin(torch.tensor(x), their_mask, return_weights=True)[1]):
            same(ours, theirs)
    stack(x, mask=masks[-1]).square().sum().backward()
    assert all(variable.value.grad.isfinite().all() for variable in stack.trainable_weights)

# gradients, of an input that is not contiguous, and mixed precision; in float64, Keras's Dense and LayerNormalization
# have no more than float32's digits on this backend
full, mixed = (Encoder(1, 12, 3, 7, norm_first=True, dtype=dtype) for dtype in ("float32", "mixed_bfloat16"))
twin = coursekit.torch.Encoder(1, 12, 3, 7, norm_first=True)
weights.copy(twin, full)
weights.copy(twin, mixed)
strided = torch.tensor(x.T.copy()).permute(2, 1, 0)
assert not strided.is_contiguous()
for mask in (None, masks[-1]):
    full.zero_grad()
    twin.zero_grad()
    output, expected = full(strided, mask=mask), twin(strided, None if mask is None else mask.cpu())
    same(output, expected)
    output.square().sum().backward()
    expected.square().sum().backward()
    for name, weight in weights.weights_of(full).items():
        gradient = weight.variables[0].value.grad
        same(gradient.T if weight.transposed else gradient, weights.weights_of(twin)[name].variables[0].grad)
    spacings = 4 * torch.finfo(torch.bfloat16).eps * expected.abs().max().item()
    torch.testing.assert_close(mixed(strided, mask=mask).float(), expected, atol=spacings, rtol=0, check_device=False)

heads = np.random.default_rng(1).normal(size=(2, 3, 5, 4)).astype("float32")
same(rotary(heads), coursekit.torch.rotary(torch.tensor(heads)))

attention = MultiHeadAttention(12, 3)
output, attended = attention(x, mask=masks[-1], return_weights=True)
same(attention(x, mask=masks[-1]), output)
assert not attended[1].any() and not output[1].any()  # the bias of a new layer is zero

# trains, carries the padding, saves and loads, and takes any length
ids = keras.Input((None,), dtype="int32")
embedded = PositionalEncoding(12, 8, dropout=0.1)(keras.layers.Embedding(7, 12, mask_zero=True)(ids))
hidden, seen = stack(LearnedPositions(8, 12)(embedded), return_weights=True)
model = keras.Model(ids, keras.layers.Dense(7)(hidden))
model.compile(keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
losses = model.fit(tokens, tokens, epochs=8, verbose=0).history["loss"]
assert losses[-1] < 0.9 * losses[0]
for attended in keras.Model(ids, seen)(tokens):
    assert torch.equal(attended.cpu() > 0, torch.tensor(tokens > 0)[:, None, None].expand(2, 3, 5, 5))
model.save(sys.argv[1])
loaded = keras.models.load_model(sys.argv[1])
for source in (tokens, tokens[:, :3]):
    assert torch.equal(loaded(source), model(source))

# NaN is reported while asked for
embedded = keras.ops.ones((2, 5, 12)) * keras.ops.convert_to_tensor([[[1.0]], [[float("nan")]]])
with report_nan(stack):
    Encoder(1, 12, 3, 7)(embedded)  # another model
    inputs = keras.Input((5, 12))
    keras.Model(inputs, stack(inputs))
    try:
        stack(embedded)
    except ValueError as error:
        assert "(Encoder): x is nan at batch 1, position 0, unit 0, the first of 60 out of 120" in str(error), error
    else:
        raise AssertionError("NaN was not reported")
stack(embedded)

# wrong input
try:
    attention(x, mask=padding_mask([4, 6]))
except ValueError as error:
    assert "mask has keys 6, key has 5" in str(error)
else:
    raise AssertionError("a mask of the wrong length was accepted")
"""


@pytest.mark.parametrize("script", [SCRIPT, TRANSFORMER], ids=["seq2seq", "transformer"])
def test_the_torch_backend_computes_trains_and_saves_the_same(script, tmp_path):
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path / "model.keras")], capture_output=True, text=True,
                          env={**os.environ, "KERAS_BACKEND": "torch"})
    assert done.returncode == 0, done.stderr
