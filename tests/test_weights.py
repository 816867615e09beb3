"""coursekit.weights: neither model is trained, both give the same outputs and gradients; wrong pairs are refused."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch

import coursekit.keras
import coursekit.torch
from coursekit import weights

VOCAB, UNITS, STEPS = 7, 3, 4
SOURCE = np.array([[1, 5, 2, 6, 3], [4, 4, 1, 0, 0]])
MASK = SOURCE > 0
ATTENTION_MASK = np.array([[True, False, True, True, False], [False] * 5])
SCORES = ["dot", "general", "concat", "additive"]
VARIANTS = [(attention, wiring, position_units) for attention in [None, *SCORES] for wiring in ("bahdanau", "luong")
            for position_units in (0, 6)]


def seq2seq(framework, attention=None, wiring="bahdanau", position_units=0, vocab_size=VOCAB):
    return framework.Seq2Seq(vocab_size, UNITS, attention=attention, wiring=wiring, position_units=position_units)


def layer(framework, score, units=UNITS):
    return framework.BahdanauAttention(units) if score == "additive" else framework.LuongAttention(units, score)


def arrays(model):
    return {name: weights.read(weight) for name, weight in weights.weights_of(model).items()}


@pytest.mark.parametrize("mask", [None, ATTENTION_MASK], ids=["unmasked", "masked"])
@pytest.mark.parametrize("to", ["torch", "keras"])
@pytest.mark.parametrize("score", SCORES)
def test_attention_is_the_same_in_both_frameworks(score, to, mask):
    ours, theirs = layer(coursekit.keras, score), layer(coursekit.torch, score)
    weights.copy(*((ours, theirs) if to == "torch" else (theirs, ours)))
    random = np.random.default_rng(5)
    query, values = (random.normal(size=size).astype("float32") for size in [(2, UNITS), (2, 5, UNITS)])
    context, attended = ours(query, values, mask=mask, return_weights=True)
    expected = theirs(torch.tensor(query), torch.tensor(values), None if mask is None else torch.tensor(mask), True)
    np.testing.assert_allclose(context, expected[0].detach(), atol=1e-5)
    np.testing.assert_allclose(attended, expected[1].detach(), atol=1e-5)


@pytest.mark.parametrize("mask", [None, MASK], ids=["unmasked", "masked"])
@pytest.mark.parametrize("attention, wiring, position_units", VARIANTS)
def test_seq2seq_is_the_same_in_both_frameworks(attention, wiring, position_units, mask):
    ours, theirs = (seq2seq(framework, attention, wiring, position_units)
                    for framework in (coursekit.keras, coursekit.torch))
    # the larger models check one direction, the smaller the other
    weights.copy(*((ours, theirs) if position_units else (theirs, ours)))
    want_weights = attention is not None
    result = ours(SOURCE, mask=mask, length=STEPS, return_weights=want_weights)
    torch_mask = None if mask is None else torch.tensor(mask)
    with torch.no_grad():
        expected = theirs(torch.tensor(SOURCE), torch_mask, STEPS, return_weights=want_weights)
    for ours_, theirs_ in zip(result, expected) if want_weights else [(result, expected)]:
        np.testing.assert_allclose(ours_, theirs_, atol=1e-5)
    np.testing.assert_array_equal(ours.greedy(SOURCE, mask), theirs.greedy(torch.tensor(SOURCE), torch_mask))


def test_gradients_are_the_same_in_both_frameworks():
    ours, theirs = (seq2seq(framework, "additive", "luong", 6) for framework in (coursekit.keras, coursekit.torch))
    weights.copy(ours, theirs)
    factors = np.random.default_rng(6).normal(size=(2, STEPS, VOCAB)).astype("float32")
    (theirs(torch.tensor(SOURCE), torch.tensor(MASK), STEPS) * torch.tensor(factors)).sum().backward()
    ours_by_name, theirs_by_name = weights.weights_of(ours), weights.weights_of(theirs)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(ours(SOURCE, mask=MASK, length=STEPS) * factors)
    gradients = tape.gradient(loss, [weight.variables[0].value for weight in ours_by_name.values()])
    for (name, weight), gradient in zip(ours_by_name.items(), gradients):
        gradient = gradient.numpy().T if weight.transposed else gradient.numpy()
        np.testing.assert_allclose(gradient, theirs_by_name[name].variables[0].grad, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("attention, wiring", [(None, "bahdanau"), ("concat", "bahdanau"), ("additive", "luong")])
def test_from_keras_to_torch_and_back_is_exact(attention, wiring):
    first, between, last = (seq2seq(framework, attention, wiring, 6)
                            for framework in (coursekit.keras, coursekit.torch, coursekit.keras))
    weights.copy(first, between)
    weights.copy(between, last)
    assert len(first.weights) == len(weights.weights_of(between))
    for before, after in zip(first.get_weights(), last.get_weights()):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
def test_every_floating_point_type_is_copied_exactly(dtype):
    ours, fresh = (coursekit.torch.MultiHeadAttention(6, 3).to(getattr(torch, dtype)) for _ in range(2))
    mine = coursekit.keras.MultiHeadAttention(6, 3, dtype=dtype)
    weights.copy(ours, mine)
    kernel = np.float64(mine.query_projection.kernel)
    np.testing.assert_array_equal(kernel.T, ours.query_projection.weight.detach().double())
    weights.copy(mine, fresh)
    for before, after in zip(ours.parameters(), fresh.parameters()):
        assert after.dtype == getattr(torch, dtype) and torch.equal(before, after)


def test_both_biases_of_a_torch_lstm_reach_keras_and_come_back_as_one():
    source, target = seq2seq(coursekit.torch), seq2seq(coursekit.keras)
    weights.copy(source, target)
    total = (source.encoder.bias_ih_l0 + source.encoder.bias_hh_l0).detach()
    np.testing.assert_array_equal(target.encoder.cell.bias.numpy(), total)
    weights.copy(target, source)
    assert torch.equal(source.encoder.bias_ih_l0, total) and not source.encoder.bias_hh_l0.any()


@pytest.mark.parametrize("source, target, message", [
    (lambda: layer(coursekit.keras, "general", 3), lambda: layer(coursekit.torch, "general", 4),
     "W.weight has shape (3, 3) in source, (4, 4) in target"),
    (lambda: seq2seq(coursekit.torch, vocab_size=7), lambda: seq2seq(coursekit.keras, vocab_size=8),
     "has shape (12, 7) in source, (12, 8) in target"),
    (lambda: layer(coursekit.keras, "concat"), lambda: layer(coursekit.torch, "dot"),
     "source LuongAttention has the weight W.weight, which target has not"),
    (lambda: seq2seq(coursekit.torch, "dot", "bahdanau"), lambda: seq2seq(coursekit.keras, "dot", "luong"),
     "target Seq2Seq has the weight combine.weight, which source has not"),
    (lambda: layer(coursekit.keras, "dot"), lambda: seq2seq(coursekit.torch),
     "source is a LuongAttention, target is a Seq2Seq"),
    (lambda: keras.layers.GRUCell(3), lambda: torch.nn.GRUCell(3, 3), "no weights known of GRUCell"),
    (lambda: torch.nn.GRU(3, 3), lambda: torch.nn.GRU(3, 3), "no weights known of GRU, expected a layer of coursekit"),
    (lambda: np.zeros(3), lambda: np.zeros(3), "expected a layer of Keras or of PyTorch"),
])
def test_wrong_pairs_are_refused_before_anything_is_written(source, target, message):
    source, target = source(), target()
    before = {} if "Seq2Seq" not in type(target).__name__ else arrays(target)
    with pytest.raises(ValueError) as error:
        weights.copy(source, target)
    assert message in str(error.value)
    for name, array in before.items():
        np.testing.assert_array_equal(arrays(target)[name], array)
