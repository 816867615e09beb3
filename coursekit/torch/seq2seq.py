"""An LSTM encoder-decoder, without attention and with it, in the two wirings of the papers."""

import torch
import torch.nn.functional as F
from torch import nn

from coursekit.device import warn_about
from coursekit.shapes import expect, expect_at_least, expect_choice, expect_even
from coursekit.torch.attention import BahdanauAttention, LuongAttention
from coursekit.torch.position import sinusoidal_positions


def attention_layer(name, units):
    """The attention that `Seq2Seq` calls by name: "dot", "general" and "concat" are Luong's, "additive" is Bahdanau's."""
    expect_choice("attention", name, ("dot", "general", "concat", "additive"))
    return BahdanauAttention(units) if name == "additive" else LuongAttention(units, name)


class Seq2Seq(nn.Module):
    """Reads a sequence with one LSTM and writes one, step by step, with another that is fed its own predictions.

    `attention` is None or one of "dot", "general", "concat", "additive". `wiring` says where it sits in step t
    (y: prediction, h: decoder state, c: context, [;]: concatenation):

    - "bahdanau", attend, then step:  c = attend(h before the step);  h = LSTM([y before; c]);  logits = W h + b
    - "luong", step, attend, combine: h = LSTM(y before);  c = attend(h);  logits = W tanh(W_c [c; h]) + b

    The first y is a vector of zeros, later ones are the softmax of the logits before. With `position_units` > 0,
    sinusoids of t, that many wide, are joined to the encoder's and to the decoder's input t.

    Shapes: source (batch, length), whole numbers in 0 … vocab_size - 1; mask (batch, length), boolean, True for a
    symbol and False for the padding at a row's end; `length`: number of steps to write, the source's by default.
    Returns logits (batch, steps, vocab_size), or (logits, weights (batch, steps, length)) with `return_weights=True`.
    Raises `ValueError` for axes that do not fit, ids outside the vocabulary, or weights asked of a model without attention.
    Sources: Sutskever et al. 2014; Bahdanau et al. 2015, section 3 (without the maxout layer and the bidirectional
    encoder); Luong et al. 2015, section 3 (without input feeding).
    """

    def __init__(self, vocab_size, units, *, attention=None, wiring="bahdanau", position_units=0):
        super().__init__()
        expect_choice("wiring", wiring, ("bahdanau", "luong"))
        expect_at_least("vocab_size", vocab_size, 1)
        expect_at_least("units", units, 1)
        expect_even("position_units", position_units)
        self.vocab_size, self.wiring, self.position_units = vocab_size, wiring, position_units
        self.attention = None if attention is None else attention_layer(attention, units)
        attends_first = attention is not None and wiring == "bahdanau"
        symbol_units = vocab_size + position_units
        self.encoder = nn.LSTM(symbol_units, units, batch_first=True)
        self.decoder = nn.LSTMCell(symbol_units + (units if attends_first else 0), units)
        if attention is not None and wiring == "luong":
            self.combine = nn.Linear(2 * units, units, bias=False)
        self.output = nn.Linear(units, vocab_size)

    def forward(self, source, mask=None, length=None, return_weights=False):
        if return_weights and self.attention is None:
            raise ValueError("this Seq2Seq has no attention, so it has no weights to return")
        logits, weights = self.decode(source, mask, length, lambda logits: logits.softmax(-1))
        return (logits, weights) if return_weights else logits

    @torch.no_grad()
    def greedy(self, source, mask=None, length=None):
        """The most probable symbol of each step (batch, steps), each fed back as a one-hot vector."""
        logits, _ = self.decode(source, mask, length, lambda logits: self.one_hot(logits.argmax(-1)))
        return logits.argmax(-1)

    def decode(self, source, mask, length, feed_back):
        """Logits and weights of all steps; `feed_back` turns a step's logits into the next step's y."""
        values, (h, c) = self.encode(source, mask)
        length = source.shape[1] if length is None else length
        expect_at_least("length", length, 1)
        positions = sinusoidal_positions(length, self.position_units).to(h) if self.position_units else None
        keys = None if self.attention is None else self.attention.keys(values)
        y = values.new_zeros(len(source), self.vocab_size)
        all_logits, all_weights = [], []
        for t in range(length):
            if positions is not None:
                y = torch.cat([y, positions[t].expand(len(y), -1)], dim=-1)
            logits, weights, (h, c) = self.step(y, (h, c), keys, values, mask)
            y = feed_back(logits)
            all_logits.append(logits)
            all_weights.append(weights)
        weights = None if self.attention is None else torch.stack(all_weights, dim=1)
        return torch.stack(all_logits, dim=1), weights

    def step(self, y, state, keys, values, mask):
        """One step of the decoder: logits (batch, vocab_size), weights (batch, length) or None, and the new state."""
        if self.attention is None:
            state = self.decoder(y, state)
            return self.output(state[0]), None, state
        if self.wiring == "bahdanau":
            context, weights = self.attention.attend(state[0], keys, values, mask)
            state = self.decoder(torch.cat([y, context], dim=-1), state)
            return self.output(state[0]), weights, state
        state = self.decoder(y, state)
        context, weights = self.attention.attend(state[0], keys, values, mask)
        attentional = torch.tanh(self.combine(torch.cat([context, state[0]], dim=-1)))
        return self.output(attentional), weights, state

    def encode(self, source, mask):
        """The encoder's states (batch, length, units) and its last h and c (batch, units)."""
        self.check(source, mask)
        warn_about(source.device, "lstm")
        inputs = self.one_hot(source)
        if self.position_units:
            positions = sinusoidal_positions(source.shape[1], self.position_units).to(inputs)
            inputs = torch.cat([inputs, positions.expand(len(source), -1, -1)], dim=-1)
        if mask is None:
            values, (h, c) = self.encoder(inputs)
        else:  # packing makes "last" mean a row's last symbol, not its last padding
            packed = nn.utils.rnn.pack_padded_sequence(inputs, mask.sum(1).cpu(), batch_first=True, enforce_sorted=False)
            packed, (h, c) = self.encoder(packed)
            values, _ = nn.utils.rnn.pad_packed_sequence(packed, batch_first=True, total_length=source.shape[1])
        return values, (h[0], c[0])

    def one_hot(self, tokens):
        return F.one_hot(tokens.long(), self.vocab_size).to(self.output.weight.dtype)

    def check(self, source, mask):
        expect("source", source.shape, batch=None, length=None)
        if source.is_floating_point() or source.is_complex() or source.dtype == torch.bool:
            raise ValueError(f"source has dtype {source.dtype}, expected whole numbers (symbol ids)")
        if source.numel() == 0:
            raise ValueError(f"source has shape {tuple(source.shape)}, expected at least one row and one symbol")
        if source.min() < 0 or source.max() >= self.vocab_size:
            raise ValueError(f"source has ids {int(source.min())} to {int(source.max())}, "
                             f"expected 0 to {self.vocab_size - 1}")
        if mask is None:
            return
        expect("mask", mask.shape, batch=(source.shape[0], "source"), length=(source.shape[1], "source"))
        if mask.dtype != torch.bool:
            raise ValueError(f"mask has dtype {mask.dtype}, expected torch.bool (True = a symbol, False = padding)")
        if not mask.any(1).all():
            raise ValueError(f"mask has no symbol in row {int(mask.any(1).int().argmin())}, expected at least one")
        if not mask[:, 0].all() or (mask[:, 1:] & ~mask[:, :-1]).any():
            raise ValueError("mask has padding before a symbol, expected padding only after a row's symbols")
