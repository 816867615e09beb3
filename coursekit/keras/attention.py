"""Attention between one decoder state and the encoder's states: the scores of Luong and of Bahdanau."""

import keras
import ml_dtypes
from keras import ops

from coursekit.shapes import expect, expect_at_least, expect_choice


def masked_softmax(scores, mask=None):
    """Softmax over the last axis in which masked places get weight zero.

    `scores` (..., length) real; `mask` broadcasts against them, boolean, True where attending is allowed. Returns
    weights of the shape of `scores`; a row without any allowed place is all zeros, and its gradient is zero too.
    """
    if mask is None:
        return ops.softmax(scores, axis=-1)
    # The lowest finite number, not -inf: softmax of a row of -inf is NaN, which would be replaced below, but stops
    # whoever debugs with tf.debugging.enable_check_numerics. ml_dtypes knows it for float16, bfloat16 and float32.
    lowest = float(ml_dtypes.finfo(keras.backend.standardize_dtype(scores.dtype)).min)
    return ops.where(mask, ops.softmax(ops.where(mask, scores, lowest), axis=-1), 0.0)


class Attention(keras.layers.Layer):
    """Weighs the encoder's states by a score and returns their weighted sum, the context.

    weights = softmax over s of score(query, values_s);   context = sum over s of weights_s values_s

    Shapes: query (batch, units); values (batch, length, units); mask (batch, length), boolean, True = may attend.
    Without `mask`, the mask that Keras carries with `values` is used (Keras hands it over as `values_mask`).
    Returns context (batch, units), or (context, weights (batch, length)) with `return_weights=True`; a fully masked
    row gives zeros. Raises `ValueError` where an axis does not fit or the mask is not boolean.

    A subclass defines `keys(values)`, the part of the score that no query changes (a decoder computes it once for
    all its steps), and `score(query, keys)`.
    """

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        expect_at_least("units", units, 1)
        self.units = units

    def call(self, query, values, mask=None, return_weights=False, values_mask=None):
        expect("values", values.shape, batch=None, length=None, units=self.units)
        batch, length, _ = values.shape
        expect("query", query.shape, batch=(batch, "values"), units=self.units)
        mask = values_mask if mask is None else mask
        if mask is not None:
            expect("mask", mask.shape, batch=(batch, "values"), length=(length, "values"))
            if keras.backend.standardize_dtype(mask.dtype) != "bool":
                raise ValueError(f"mask has dtype {mask.dtype}, expected bool (True = may attend)")
        context, weights = self.attend(query, self.keys(values), values, mask)
        return (context, weights) if return_weights else context

    def attend(self, query, keys, values, mask=None):
        """Context and weights from keys computed before."""
        weights = masked_softmax(self.score(query, keys), mask)
        return ops.squeeze(ops.matmul(ops.expand_dims(weights, 1), values), 1), weights

    def dense(self, units, use_bias=False):
        return keras.layers.Dense(units, use_bias=use_bias, dtype=self.dtype_policy)

    def compute_mask(self, query, previous_mask):
        return None  # the context has no length axis left to mask

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable(package="coursekit")
class LuongAttention(Attention):
    """Luong's attention with one of his three scores.

    dot: qᵀh;   general: qᵀ W h;   concat: vᵀ tanh(W [q; h])

    `score` is "dot", "general" or "concat"; shapes and errors as in `Attention`.
    Source: Luong, Pham and Manning 2015, Effective Approaches to Attention-based Neural Machine Translation, eq. 8.
    """

    def __init__(self, units, score="dot", **kwargs):
        super().__init__(units, **kwargs)
        expect_choice("score", score, ("dot", "general", "concat"))
        self.kind = score
        if score != "dot":
            self.W = self.dense(units)
        if score == "concat":
            self.v = self.dense(1)

    def build(self, query_shape=None, values_shape=None):
        if self.kind == "general":
            self.W.build((None, self.units))
        elif self.kind == "concat":
            self.W.build((None, 2 * self.units))
            self.v.build((None, self.units))

    def keys(self, values):
        if self.kind == "dot":
            return values
        if self.kind == "general":
            return self.W(values)
        return ops.matmul(values, self.W.kernel[self.units:])  # W [q; h] = W_q q + W_h h: this is W_h h

    def score(self, query, keys):
        if self.kind == "concat":
            query = ops.matmul(query, self.W.kernel[:self.units])
            return ops.squeeze(self.v(ops.tanh(ops.expand_dims(query, 1) + keys)), -1)
        return ops.squeeze(ops.matmul(keys, ops.expand_dims(query, -1)), -1)

    def get_config(self):
        return {**super().get_config(), "score": self.kind}


@keras.saving.register_keras_serializable(package="coursekit")
class BahdanauAttention(Attention):
    """Bahdanau's additive attention.

    score = vᵀ tanh(W₁ q + W₂ h + b)

    Shapes and errors as in `Attention`. A bias on vᵀ would move all scores alike, which softmax ignores: there is none.
    Source: Bahdanau, Cho and Bengio 2015, Neural Machine Translation by Jointly Learning to Align and Translate, A.1.2.
    """

    def __init__(self, units, **kwargs):
        super().__init__(units, **kwargs)
        self.query_layer = self.dense(units, use_bias=True)
        self.values_layer = self.dense(units)
        self.v = self.dense(1)

    def build(self, query_shape=None, values_shape=None):
        for layer in (self.query_layer, self.values_layer, self.v):
            layer.build((None, self.units))

    def keys(self, values):
        return self.values_layer(values)

    def score(self, query, keys):
        return ops.squeeze(self.v(ops.tanh(ops.expand_dims(self.query_layer(query), 1) + keys)), -1)
