"""Attention: Luong's and Bahdanau's scores of one decoder state, and the Transformer's, of all places at once."""

import keras
import ml_dtypes
from keras import ops

from coursekit.shapes import expect, expect_at_least, expect_choice, expect_real


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
    row gives zeros. Raises `ValueError` where an axis or a dtype does not fit or the mask is not boolean.

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
        expect_real("query", keras.backend.standardize_dtype(query.dtype))
        expect_real("values", keras.backend.standardize_dtype(values.dtype))
        mask = values_mask if mask is None else mask
        if mask is not None:
            expect("mask", mask.shape, batch=(batch, "values"), length=(length, "values"))
            expect_boolean(mask)
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


def scaled_dot_product_attention(query, key, value, mask=None, *, dropout=0.0, return_weights=False, seed=None):
    """Every query's mean of the values, weighted by how well their keys match the query.

    weights = softmax over the keys of Q Kᵀ / √d_head;   context = weights V

    Shapes: query (batch, heads, queries, d_head), key (batch, heads, keys, d_head), value (batch, heads, keys,
    d_value), all three without heads, or all without heads and batch; mask boolean, True = may attend: (queries, keys)
    or with the axes before them, where all but keys may be 1. `dropout` is the probability of leaving out a weight,
    drawn from `seed`, a number or a `keras.random.SeedGenerator`.
    Returns context (batch, heads, queries, d_value), or (context, weights (batch, heads, queries, keys)) with
    `return_weights=True`, the weights as they are before dropout. Without weights and dropout the backend's fused
    kernel, where it has one, computes the same of heads with d_value = d_head. A query that may attend to nothing has
    zero weights and zero context.
    Raises `ValueError` where an axis does not fit, the mask is not boolean, or dropout is not from 0 to 1.
    Source: Vaswani et al. 2017, Attention Is All You Need, section 3.2.1; dropout of weights: the authors' code.
    """
    outer, (*_, queries, d_head), keys = outer_axes(query), query.shape, key.shape[-2]
    expect("key", key.shape, **outer, keys=None, d_head=(d_head, "query"))
    expect("value", value.shape, **outer, keys=(keys, "key"), d_value=None)
    if mask is not None:
        expect_mask(mask, **outer, queries=(queries, "query"), keys=(keys, "key"))
    expect_probability("dropout", dropout)
    if len(outer) == 2 and value.shape[-1] == d_head and not dropout and not return_weights:
        return fused_attention(query, key, value, mask)
    weights = masked_softmax(ops.matmul(query * d_head ** -0.5, ops.swapaxes(key, -1, -2)), mask)
    kept = keras.random.dropout(weights, dropout, seed=seed) if dropout else weights
    context = ops.matmul(kept, value)
    return (context, weights) if return_weights else context


def fused_attention(query, key, value, mask):
    """The context by the backend's kernel, which wants the heads after the places and leaves open what a row gives
    that may attend to nothing: such a row attends to everything here, and is set to zero afterwards."""
    nothing = None if mask is None else ops.logical_not(ops.any(mask, axis=-1, keepdims=True))
    query = query * query.shape[-1] ** -0.5  # TensorFlow's kernel would round the scale to float32, in float64 too
    context = ops.swapaxes(ops.dot_product_attention(
        *(ops.swapaxes(tensor, 1, 2) for tensor in (query, key, value)), scale=1.0,
        mask=None if mask is None else ops.logical_or(mask, nothing)), 1, 2)
    return context if mask is None else ops.where(nothing, 0.0, context)


def outer_axes(query):
    """The axes before queries and d_head, batch and heads or fewer, as `expect` takes them from the query."""
    if len(query.shape) not in (2, 3, 4):
        raise ValueError(f"query has shape {tuple(query.shape)}, expected the 4 axes (batch, heads, queries, d_head), "
                         "the 3 without heads, or the last 2")
    return {axis: (size, "query") for axis, size in zip(("batch", "heads"), query.shape[:-2])}


def expect_mask(mask, **axes):
    """Raise `ValueError` unless the mask is boolean and has these axes, or the last of them: all but keys may be 1."""
    expect_boolean(mask)
    if 2 <= len(mask.shape) < len(axes):
        axes = dict(list(axes.items())[-len(mask.shape):])
    broadcast = {axis for axis, size in zip(axes, mask.shape) if size == 1 and axis != "keys"}
    expect("mask", mask.shape, **{axis: None if axis in broadcast else size for axis, size in axes.items()})


def expect_boolean(mask):
    dtype = keras.backend.standardize_dtype(mask.dtype)
    if dtype != "bool":
        raise ValueError(f"mask has dtype {dtype}, expected bool (True = may attend)")


def expect_probability(name, value):
    """Raise `ValueError` unless `value` is from 0 to 1."""
    if not 0 <= value <= 1:
        raise ValueError(f"{name} is {value}, expected a probability from 0 to 1")


def causal_mask(length):
    """Each place may attend to itself and to those before it: (length, length), boolean, True from the diagonal down.

    `length` is a number, or a scalar tensor where a graph learns it only when it runs.
    Raises `ValueError` for a negative length. Source: Vaswani et al. 2017, section 3.2.3.
    """
    if not ops.is_tensor(length):
        expect_at_least("length", length, 0)
    places = ops.arange(length)
    return ops.expand_dims(places, 1) >= places


def padding_mask(lengths, max_length=None):
    """Every query may attend to the first lengths[b] keys of row b, and not to the padding after them.

    Shapes: lengths (batch,), whole numbers, a tensor or a list; `max_length`: keys of a row, the longest's by default.
    Returns (batch, 1, max_length), boolean. Raises `ValueError` for lengths below 0 or beyond `max_length`.
    """
    lengths = ops.convert_to_numpy(lengths)
    expect("lengths", lengths.shape, batch=None)
    if lengths.dtype.kind not in "iu" or not len(lengths):
        raise ValueError(f"lengths is {lengths}, expected whole numbers, one for each row of a batch")
    max_length = int(lengths.max()) if max_length is None else max_length
    expect_at_least("max_length", max_length, 0)
    if lengths.min() < 0 or lengths.max() > max_length:
        raise ValueError(f"lengths has {lengths.min()} to {lengths.max()}, expected 0 to {max_length}")
    return ops.arange(max_length) < ops.convert_to_tensor(lengths[:, None, None], dtype="int32")


class MaskedLayer(keras.layers.Layer):
    """Called with `mask`, a mask of scores; its `call` gets it as `attention_mask`.

    Keras would fill an argument `mask` of `call` with the mask (batch, length) that it carries with an embedding of
    padded tokens. Under another name the two stay apart, and the output carries on what the first input carried.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def __call__(self, *args, mask=None, **kwargs):
        if mask is not None:
            kwargs["attention_mask"] = mask
        return super().__call__(*args, **kwargs)


def whole_mask(mask, key, **axes):
    """The caller's mask and the one that Keras carries with the key, together: None, or one that fits every head."""
    carried = getattr(key, "_keras_mask", None)
    if mask is not None and len(mask.shape) == 3:
        mask = ops.expand_dims(mask, 1)
    if carried is None:
        return mask
    carried = ops.expand_dims(carried, (1, 2))
    if mask is None:
        return carried
    expect_mask(mask, **axes)
    return ops.logical_and(mask, carried)


@keras.saving.register_keras_serializable(package="coursekit")
class MultiHeadAttention(MaskedLayer):
    """Attention in `n_heads` spaces of d_head = d_model / n_heads units side by side, put together again.

    head_i = attention(Q W_iᵠ, K W_iᵏ, V W_iᵛ);   output = [head_1; …; head_h] Wᵒ

    Shapes: query (batch, queries, d_model); key and value (batch, keys, d_model), the query by default
    (self-attention), value the key by default; mask boolean, True = may attend: (queries, keys), (batch, queries, keys)
    or (batch, heads, queries, keys), where all but keys may be 1. The mask that Keras carries with the key holds
    besides. `bias` is for the four projections alike. `dropout` of the weights is in training only.
    Returns output (batch, queries, d_model), or (output, weights (batch, heads, queries, keys)) with
    `return_weights=True`, which changes the output by rounding only. Where a query may attend to nothing, the output
    is the last projection's bias.
    Raises `ValueError` where an axis does not fit, the mask is not boolean, or n_heads does not divide d_model.
    Source: Vaswani et al. 2017, Attention Is All You Need, section 3.2.2.
    """

    def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        expect_at_least("d_model", d_model, 1)
        expect_at_least("n_heads", n_heads, 1)
        if d_model % n_heads:
            raise ValueError(f"d_model is {d_model}, expected a multiple of n_heads, which is {n_heads}")
        expect_probability("dropout", dropout)
        self.d_model, self.n_heads, self.bias, self.dropout = d_model, n_heads, bias, dropout
        self.query_projection, self.key_projection, self.value_projection, self.output_projection = (
            keras.layers.Dense(d_model, use_bias=bias, dtype=self.dtype_policy) for _ in range(4))
        self.seed = keras.random.SeedGenerator()

    def build(self, query_shape=None, key_shape=None, value_shape=None):
        for layer in (self.query_projection, self.key_projection, self.value_projection, self.output_projection):
            layer.build((None, None, self.d_model))

    def call(self, query, key=None, value=None, attention_mask=None, return_weights=False, training=False):
        key = query if key is None else key
        value = key if value is None else value
        batch, keys = (query.shape[0], "query"), (key.shape[1], "key")
        expect("query", query.shape, batch=None, queries=None, d_model=self.d_model)
        expect("key", key.shape, batch=batch, keys=None, d_model=self.d_model)
        expect("value", value.shape, batch=batch, keys=keys, d_model=self.d_model)
        mask = whole_mask(attention_mask, key, batch=batch, heads=self.n_heads, queries=(query.shape[1], "query"),
                          keys=keys)
        attended = scaled_dot_product_attention(
            self.split(self.query_projection(query)), self.split(self.key_projection(key)),
            self.split(self.value_projection(value)), mask, dropout=self.dropout if training else 0.0,
            return_weights=return_weights, seed=self.seed)
        context, weights = attended if return_weights else (attended, None)
        output = self.output_projection(ops.reshape(ops.swapaxes(context, 1, 2), ops.shape(query)))
        return (output, weights) if return_weights else output

    def split(self, x):
        """(batch, length, d_model) → (batch, heads, length, d_head)"""
        return ops.swapaxes(ops.reshape(x, (*ops.shape(x)[:2], self.n_heads, self.d_model // self.n_heads)), 1, 2)

    def get_config(self):
        return {**super().get_config(), "d_model": self.d_model, "n_heads": self.n_heads, "bias": self.bias,
                "dropout": self.dropout}
