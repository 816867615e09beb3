"""The encoder-decoder against the same equations in NumPy, one row and one step at a time."""

import numpy as np
import pytest
import torch

from coursekit import reference
from coursekit.torch import Seq2Seq, seq2seq

VOCAB, UNITS, BATCH, LENGTH, STEPS, POSITION = 6, 5, 3, 4, 7, 2
MODELS = [dict(attention=None)] + [dict(attention=attention, wiring=wiring) for wiring in ("bahdanau", "luong")
                                   for attention in ("dot", "general", "concat", "additive")]


def model(**settings):
    torch.manual_seed(2)
    made = Seq2Seq(VOCAB, UNITS, **settings).double()
    with torch.no_grad():  # far from the flat predictions of a fresh model
        for parameter in made.parameters():
            parameter.mul_(3)
    return made


def sources():
    return torch.tensor([[1, 5, 2, 3], [4, 4, 1, 2], [3, 1, 5, 0]])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm_step(weight, prefix, suffix, x, h, c):
    """The four gates in PyTorch's order: input, forget, candidate, output."""
    gates = (weight[f"{prefix}.weight_ih{suffix}"] @ x + weight[f"{prefix}.bias_ih{suffix}"]
             + weight[f"{prefix}.weight_hh{suffix}"] @ h + weight[f"{prefix}.bias_hh{suffix}"])
    i, f, g, o = np.split(gates, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def attend(weight, name, h, values):
    query, values = h[None], values[None]
    if name == "dot":
        scores = reference.dot_score(query, values)
    elif name == "general":
        scores = reference.general_score(query, values, weight["attention.W.weight"])
    elif name == "concat":
        scores = reference.concat_score(query, values, weight["attention.W.weight"], weight["attention.v.weight"][0])
    else:
        scores = reference.additive_score(query, values, weight["attention.query_layer.weight"],
                                          weight["attention.values_layer.weight"], weight["attention.v.weight"][0],
                                          weight["attention.query_layer.bias"])
    weights = reference.softmax(scores)
    return reference.context(weights, values)[0], weights[0]


def positions(t):
    return np.array([np.sin(t), np.cos(t)]).astype(np.float32).astype(np.float64)


def by_hand(network, row, steps, settings, feed_back):
    """Logits and weights of one row, from the equations of the two papers."""
    weight = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    with_position = settings.get("position_units", 0) > 0
    h = c = np.zeros(UNITS)
    values = []
    for t, symbol in enumerate(row):
        x = np.eye(VOCAB)[symbol]
        h, c = lstm_step(weight, "encoder", "_l0", np.concatenate([x, positions(t)]) if with_position else x, h, c)
        values.append(h)
    values, y, logits, all_weights = np.array(values), np.zeros(VOCAB), [], []
    for t in range(steps):
        x = np.concatenate([y, positions(t)]) if with_position else y
        name, wiring, weights = settings["attention"], settings.get("wiring"), None
        if name and wiring == "bahdanau":
            context, weights = attend(weight, name, h, values)
            x = np.concatenate([x, context])
        h, c = lstm_step(weight, "decoder", "", x, h, c)
        out = h
        if name and wiring == "luong":
            context, weights = attend(weight, name, h, values)
            out = np.tanh(weight["combine.weight"] @ np.concatenate([context, h]))
        logits.append(weight["output.weight"] @ out + weight["output.bias"])
        all_weights.append(weights)
        y = feed_back(logits[-1])
    return np.array(logits), all_weights


def softmax(logits):
    return reference.softmax(logits)


def one_hot_of_best(logits):
    return np.eye(VOCAB)[logits.argmax()]


@pytest.mark.parametrize("settings", MODELS + [MODELS[1] | dict(position_units=POSITION),
                                               MODELS[7] | dict(position_units=POSITION),
                                               MODELS[0] | dict(position_units=POSITION)], ids=str)
@pytest.mark.parametrize("steps", [None, STEPS])
def test_equals_the_equations_in_numpy(settings, steps):
    network = model(**settings)
    logits = network(sources(), length=steps)
    for row, source in enumerate(sources().tolist()):
        expected, _ = by_hand(network, source, steps or LENGTH, settings, softmax)
        np.testing.assert_allclose(logits[row].detach(), expected, atol=1e-12)


@pytest.mark.parametrize("settings", [MODELS[1], MODELS[8]], ids=str)
def test_weights_are_those_of_the_equations(settings):
    network = model(**settings)
    logits, weights = network(sources(), length=STEPS, return_weights=True)
    assert weights.shape == (BATCH, STEPS, LENGTH)
    assert torch.equal(logits, network(sources(), length=STEPS))
    _, expected = by_hand(network, sources()[1].tolist(), STEPS, settings, softmax)
    np.testing.assert_allclose(weights[1].detach(), np.array(expected), atol=1e-12)


@pytest.mark.parametrize("settings", [MODELS[0], MODELS[2], MODELS[7]], ids=str)
def test_greedy_feeds_back_one_symbol(settings):
    network = model(**settings)
    tokens = network.greedy(sources(), length=STEPS)
    for row, source in enumerate(sources().tolist()):
        logits, _ = by_hand(network, source, STEPS, settings, one_hot_of_best)
        assert tokens[row].tolist() == logits.argmax(-1).tolist()


@pytest.mark.parametrize("settings", [MODELS[0], MODELS[3], MODELS[6] | dict(position_units=POSITION)], ids=str)
def test_padding_changes_nothing(settings):
    network = model(**settings)
    padded = torch.tensor([[1, 5, 2, 3], [4, 2, 0, 0], [3, 1, 5, 0]])
    mask = torch.tensor([[True] * 4, [True, True, False, False], [True, True, True, False]])
    logits = network(padded, mask, length=STEPS)
    torch.testing.assert_close(logits[1:2], network(torch.tensor([[4, 2]]), length=STEPS), atol=1e-12, rtol=0)
    torch.testing.assert_close(logits[2:3], network(torch.tensor([[3, 1, 5]]), length=STEPS), atol=1e-12, rtol=0)


@pytest.mark.parametrize("dtype", [torch.int32, torch.int16, torch.uint8])
def test_ids_of_every_whole_number_type(dtype):
    network = model(attention="dot", wiring="luong")
    assert torch.equal(network(sources().to(dtype)), network(sources()))
    assert torch.equal(network.greedy(sources().to(dtype)), network.greedy(sources()))


def test_an_lstm_on_mps_warns(monkeypatch):
    asked = []
    monkeypatch.setattr(seq2seq, "warn_about", lambda device, layer: asked.append((str(device), layer)))
    model(attention=None)(sources())
    assert asked == [("cpu", "lstm")]


@pytest.mark.parametrize("call, message", [
    (lambda m: m(torch.zeros(2, 3, dtype=torch.complex64)), "source has dtype torch.complex64, expected whole numbers"),
    (lambda m: m(sources(), torch.tensor([[True] * 4, [False] * 4, [True] * 4])), "mask has no symbol in row 1"),
    (lambda m: m(torch.zeros(2, 3)), "source has dtype torch.float32, expected whole numbers"),
    (lambda m: m(torch.zeros(4, dtype=torch.long)), r"source has shape \(4,\), expected the 2 axes \(batch, length\)"),
    (lambda m: m(torch.tensor([[1, 6]])), "source has ids 1 to 6, expected 0 to 5"),
    (lambda m: m(torch.tensor([[-1, 2]])), "source has ids -1 to 2, expected 0 to 5"),
    (lambda m: m(torch.zeros(0, 3, dtype=torch.long)), r"source has shape \(0, 3\), expected at least one row"),
    (lambda m: m(sources(), length=-2), "length is -2, expected a whole number of at least 1"),
    (lambda m: m(sources(), torch.ones(3, 5).bool()), "mask has length 5, source has 4"),
    (lambda m: m(sources(), torch.ones(3, 4)), "mask has dtype torch.float32, expected torch.bool"),
    (lambda m: m(sources(), torch.tensor([[False, True, True, True]] * 3)), "mask has padding before a symbol"),
    (lambda m: m(sources(), return_weights=True), "this Seq2Seq has no attention"),
    (lambda m: Seq2Seq(6, 5, attention="cosine"), "unknown attention 'cosine', expected one of 'dot', 'general'"),
    (lambda m: Seq2Seq(6, 5, attention="dot", wiring="both"), "unknown wiring 'both', expected one of 'bahdanau', 'luong'"),
    (lambda m: Seq2Seq(6, 5, position_units=3), "position_units is 3, expected an even number"),
    (lambda m: Seq2Seq(0, 5), "vocab_size is 0"),
])
def test_wrong_input_says_what_came(call, message):
    with pytest.raises(ValueError, match=message):
        call(model(attention=None))
