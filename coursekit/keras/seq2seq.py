"""An LSTM encoder-decoder, without attention and with it, in the two wirings of the papers."""

import keras
from keras import ops

from coursekit.keras.attention import BahdanauAttention, LuongAttention
from coursekit.keras.position import sinusoidal_positions
from coursekit.shapes import expect, expect_at_least, expect_choice, expect_even


def attention_layer(name, units, dtype=None):
    """The attention that `Seq2Seq` calls by name: "dot", "general", "concat" are Luong's, "additive" is Bahdanau's."""
    expect_choice("attention", name, ("dot", "general", "concat", "additive"))
    if name == "additive":
        return BahdanauAttention(units, dtype=dtype)
    return LuongAttention(units, name, dtype=dtype)


class DecoderCell:
    """One step of a `Seq2Seq`, in the form in which `keras.layers.RNN` loops over it.

    The loop is Keras's and not Python's, so the graph holds one step whatever the length. A cell sees only an input
    and states, but attention needs the whole of `keys`, `values` and `mask`: each call makes its own cell around them.
    """

    def __init__(self, model, keys, values, mask, feed_back):
        self.model, self.keys, self.values, self.mask, self.feed_back = model, keys, values, mask, feed_back
        self.state_size = [model.vocab_size, model.units, model.units]
        self.compute_dtype = model.compute_dtype

    def call(self, position, states):
        y, *state = states
        y = ops.concatenate([y, position], axis=-1)
        logits, weights, state = self.model.step(y, state, self.keys, self.values, self.mask)
        output = logits if weights is None else ops.concatenate([logits, weights], axis=-1)
        return output, [self.feed_back(logits), *state]

    __call__ = call


@keras.saving.register_keras_serializable(package="coursekit")
class Seq2Seq(keras.Model):
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
    Raises `ValueError` for axes that do not fit or weights asked of a model without attention, and, where values are
    known (TensorFlow's `fit` and `predict` build their graph before that), for ids outside the vocabulary or padding
    before a symbol.
    Sources: Sutskever et al. 2014; Bahdanau et al. 2015, section 3 (without the maxout layer and the bidirectional
    encoder); Luong et al. 2015, section 3 (without input feeding).
    """

    def __init__(self, vocab_size, units, *, attention=None, wiring="bahdanau", position_units=0, **kwargs):
        super().__init__(**kwargs)
        expect_choice("wiring", wiring, ("bahdanau", "luong"))
        expect_at_least("vocab_size", vocab_size, 1)
        expect_at_least("units", units, 1)
        expect_even("position_units", position_units)
        self.vocab_size, self.units, self.wiring, self.position_units = vocab_size, units, wiring, position_units
        self.attention_name, dtype = attention, self.dtype_policy
        self.attention = None if attention is None else attention_layer(attention, units, dtype)
        self.encoder = keras.layers.LSTM(units, return_sequences=True, return_state=True, dtype=dtype)
        self.decoder = keras.layers.LSTMCell(units, dtype=dtype)
        if attention is not None and wiring == "luong":
            self.combine = keras.layers.Dense(units, use_bias=False, dtype=dtype)
        self.output_layer = keras.layers.Dense(vocab_size, dtype=dtype)

    def build(self, source_shape=None):
        symbol_units = self.vocab_size + self.position_units
        attends_first = self.attention is not None and self.wiring == "bahdanau"
        self.encoder.build((None, None, symbol_units))
        self.decoder.build((None, symbol_units + (self.units if attends_first else 0)))
        if self.attention is not None:
            self.attention.build()
            if self.wiring == "luong":
                self.combine.build((None, 2 * self.units))
        self.output_layer.build((None, self.units))

    def call(self, source, mask=None, length=None, return_weights=False):
        if return_weights and self.attention is None:
            raise ValueError("this Seq2Seq has no attention, so it has no weights to return")
        logits, weights = self.decode(source, mask, length, ops.softmax)
        return (logits, weights) if return_weights else logits

    def greedy(self, source, mask=None, length=None):
        """The most probable symbol of each step (batch, steps), each fed back as a one-hot vector."""
        source = ops.convert_to_tensor(source)
        mask = None if mask is None else ops.convert_to_tensor(mask)
        logits, _ = self.decode(source, mask, length, lambda logits: self.one_hot(ops.argmax(logits, axis=-1)))
        return ops.argmax(logits, axis=-1)

    def decode(self, source, mask, length, feed_back):
        """Logits and weights of all steps; `feed_back` turns a step's logits into the next step's y."""
        values, h, c = self.encode(source, mask)
        if length is None:
            length = ops.shape(source)[1]
        else:
            expect_at_least("length", length, 1)
        keys = None if self.attention is None else self.attention.keys(values)
        y = ops.zeros((ops.shape(source)[0], self.vocab_size), dtype=self.compute_dtype)
        cell = DecoderCell(self, keys, values, mask, feed_back)
        loop = keras.layers.RNN(cell, return_sequences=True, dtype=self.dtype_policy)
        outputs = loop(self.positions(source, length), initial_state=[y, h, c])
        weights = None if self.attention is None else outputs[:, :, self.vocab_size:]
        return outputs[:, :, :self.vocab_size], weights

    def step(self, y, state, keys, values, mask):
        """One step of the decoder: logits (batch, vocab_size), weights (batch, length) or None, and the new state."""
        if self.attention is None:
            h, state = self.decoder(y, state)
            return self.output_layer(h), None, state
        if self.wiring == "bahdanau":
            context, weights = self.attention.attend(state[0], keys, values, mask)
            h, state = self.decoder(ops.concatenate([y, context], axis=-1), state)
            return self.output_layer(h), weights, state
        h, state = self.decoder(y, state)
        context, weights = self.attention.attend(h, keys, values, mask)
        attentional = ops.tanh(self.combine(ops.concatenate([context, h], axis=-1)))
        return self.output_layer(attentional), weights, state

    def encode(self, source, mask):
        """The encoder's states (batch, length, units) and its last h and c (batch, units)."""
        self.check(source, mask)
        positions = self.positions(source, ops.shape(source)[1])
        return self.encoder(ops.concatenate([self.one_hot(source), positions], axis=-1), mask=mask)

    def positions(self, source, length):
        """The sinusoids of `length` steps for each row of `source`: (batch, length, position_units), which may be 0."""
        table = ops.cast(sinusoidal_positions(length, self.position_units), self.compute_dtype)
        return ops.broadcast_to(table, (ops.shape(source)[0], length, self.position_units))

    def one_hot(self, tokens):
        return ops.one_hot(tokens, self.vocab_size, dtype=self.compute_dtype)

    def check(self, source, mask):
        expect("source", source.shape, batch=None, length=None)
        if not keras.backend.is_int_dtype(source.dtype):
            raise ValueError(f"source has dtype {source.dtype}, expected whole numbers (symbol ids)")
        if 0 in tuple(source.shape):
            raise ValueError(f"source has shape {tuple(source.shape)}, expected at least one row and one symbol")
        if has_values(source) and (ops.min(source) < 0 or ops.max(source) >= self.vocab_size):
            raise ValueError(f"source has ids {int(ops.min(source))} to {int(ops.max(source))}, "
                             f"expected 0 to {self.vocab_size - 1}")
        if mask is None:
            return
        expect("mask", mask.shape, batch=(source.shape[0], "source"), length=(source.shape[1], "source"))
        if keras.backend.standardize_dtype(mask.dtype) != "bool":
            raise ValueError(f"mask has dtype {mask.dtype}, expected bool (True = a symbol, False = padding)")
        if has_values(mask) and not (ops.all(mask[:, 0]) and ops.all(mask[:, :-1] | ~mask[:, 1:])):
            raise ValueError("mask has padding before a symbol, expected at least one symbol and padding only after it")

    def compute_mask(self, source, previous_mask):
        return None  # which steps of the target are padding, the source does not say: weigh the loss by `sample_weight`

    def get_config(self):
        return {**super().get_config(), "vocab_size": self.vocab_size, "units": self.units,
                "attention": self.attention_name, "wiring": self.wiring, "position_units": self.position_units}


def has_values(tensor):
    """True for a tensor that holds numbers, False for the placeholder of a graph that is still being built."""
    return hasattr(tensor, "numpy") and not getattr(tensor, "is_meta", False)
