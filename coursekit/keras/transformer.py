"""The Transformer's encoder: position-wise feed-forward networks, the layer, and the stack of them."""

import math
from functools import partial

import keras
from keras import ops

from coursekit.keras.attention import MaskedLayer, MultiHeadAttention
from coursekit.shapes import expect, expect_at_least, expect_choice


def gelu(x):
    """x Φ(x), Φ the normal distribution. TensorFlow's own takes √2 in float32, whatever the dtype of x."""
    return x * (1 + ops.erf(x / math.sqrt(2))) / 2


ACTIVATIONS = {"relu": ops.relu, "gelu": gelu, "gelu_tanh": partial(ops.gelu, approximate=True)}


@keras.saving.register_keras_serializable(package="coursekit")
class FeedForward(keras.layers.Layer):
    """The same network of two layers at every position: `expand` to `d_ff` units, `contract` to `d_model` again.

    output = W₂ activation(W₁ x + b₁) + b₂

    `activation` is "relu", "gelu" (exact, by erf, as in BERT) or "gelu_tanh" (the approximation by tanh); `dropout` of
    the d_ff units is in training only.
    Shapes: x (batch, length, d_model) or with any axes before the last; the output has the shape of x.
    Raises `ValueError` for sizes below 1, an unknown activation, or an x that is not d_model wide.
    Source: Vaswani et al. 2017, Attention Is All You Need, section 3.3; Hendrycks and Gimpel 2016, Gaussian Error
    Linear Units.
    """

    def __init__(self, d_model, d_ff, activation="relu", dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        expect_at_least("d_model", d_model, 1)
        expect_at_least("d_ff", d_ff, 1)
        expect_choice("activation", activation, tuple(ACTIVATIONS))
        self.d_model, self.d_ff, self.activation, self.supports_masking = d_model, d_ff, activation, True
        self.expand = keras.layers.Dense(d_ff, dtype=self.dtype_policy)
        self.contract = keras.layers.Dense(d_model, dtype=self.dtype_policy)
        self.dropout = keras.layers.Dropout(dropout, dtype=self.dtype_policy)

    def build(self, x_shape=None):
        self.expand.build((None, self.d_model))
        self.contract.build((None, self.d_ff))

    def call(self, x):
        expect("x", x.shape[-1:], d_model=self.d_model)
        return self.contract(self.dropout(ACTIVATIONS[self.activation](self.expand(x))))

    def get_config(self):
        return {**super().get_config(), "d_model": self.d_model, "d_ff": self.d_ff, "activation": self.activation,
                "dropout": self.dropout.rate}


@keras.saving.register_keras_serializable(package="coursekit")
class EncoderLayer(MaskedLayer):
    """Self-attention and a feed-forward network, each with a residual connection around it and a layer norm.

    post-norm: x ← norm(x + dropout(part(x)));   pre-norm (`norm_first=True`): x ← x + dropout(part(norm(x)))

    `dropout`, in training only, leaves out units of each part's output before it is added (section 5.4 of the paper),
    and, as in the authors' code, attention weights and units inside the feed-forward network. `norm_epsilon` is
    PyTorch's by default, not the 1e-3 of Keras.
    Shapes: x (batch, length, d_model); mask as in `MultiHeadAttention`. Returns output (batch, length, d_model), or
    (output, weights (batch, heads, length, length)) with `return_weights=True`.
    Raises `ValueError` as its parts do.
    Source: Vaswani et al. 2017, Attention Is All You Need, section 3.1; pre-norm: Xiong et al. 2020, On Layer
    Normalization in the Transformer Architecture, section 3.
    """

    def __init__(self, d_model, n_heads, d_ff, *, dropout=0.0, activation="relu", norm_first=False, norm_epsilon=1e-5,
                 **kwargs):
        super().__init__(**kwargs)
        self.d_model, self.norm_first, dtype = d_model, norm_first, self.dtype_policy
        self.settings = dict(d_model=d_model, n_heads=n_heads, d_ff=d_ff, dropout=dropout, activation=activation,
                             norm_first=norm_first, norm_epsilon=norm_epsilon)
        self.attention = MultiHeadAttention(d_model, n_heads, dropout=dropout, dtype=dtype)
        self.attention_norm = keras.layers.LayerNormalization(epsilon=norm_epsilon, dtype=dtype)
        self.feed_forward = FeedForward(d_model, d_ff, activation, dropout, dtype=dtype)
        self.feed_forward_norm = keras.layers.LayerNormalization(epsilon=norm_epsilon, dtype=dtype)
        self.dropout = keras.layers.Dropout(dropout, dtype=dtype)

    def build(self, x_shape=None):
        for layer in (self.attention, self.attention_norm, self.feed_forward, self.feed_forward_norm):
            layer.build((None, None, self.d_model))

    def call(self, x, attention_mask=None, return_weights=False):
        expect("x", x.shape, batch=None, length=None, d_model=self.d_model)
        attended = self.attention(self.attention_norm(x) if self.norm_first else x, mask=attention_mask,
                                  return_weights=return_weights)
        attended, weights = attended if return_weights else (attended, None)
        x = x + self.dropout(attended)
        x = x if self.norm_first else self.attention_norm(x)
        x = x + self.dropout(self.feed_forward(self.feed_forward_norm(x) if self.norm_first else x))
        x = x if self.norm_first else self.feed_forward_norm(x)
        return (x, weights) if return_weights else x

    def get_config(self):
        return {**super().get_config(), **self.settings}


@keras.saving.register_keras_serializable(package="coursekit")
class Encoder(MaskedLayer):
    """A stack of `n_layers` encoder layers; with pre-norm there is a last norm, `final_norm`, after them.

    Shapes: x (batch, length, d_model); mask as in `MultiHeadAttention`, the same for every layer. Returns output
    (batch, length, d_model), or (output, weights) with `return_weights=True`: a list with the weights of each layer,
    (batch, heads, length, length). Raises `ValueError` as `EncoderLayer` does, and for n_layers below 1.
    Source: Vaswani et al. 2017, Attention Is All You Need, section 3.1.
    """

    def __init__(self, n_layers, d_model, n_heads, d_ff, *, dropout=0.0, activation="relu", norm_first=False,
                 norm_epsilon=1e-5, **kwargs):
        super().__init__(**kwargs)
        expect_at_least("n_layers", n_layers, 1)
        self.d_model, dtype = d_model, self.dtype_policy
        self.settings = dict(n_layers=n_layers, d_model=d_model, n_heads=n_heads, d_ff=d_ff, dropout=dropout,
                             activation=activation, norm_first=norm_first, norm_epsilon=norm_epsilon)
        settings = dict(dropout=dropout, activation=activation, norm_first=norm_first, norm_epsilon=norm_epsilon)
        self.layers = [EncoderLayer(d_model, n_heads, d_ff, **settings, dtype=dtype) for _ in range(n_layers)]
        self.final_norm = (keras.layers.LayerNormalization(epsilon=norm_epsilon, dtype=dtype) if norm_first
                           else keras.layers.Identity(dtype=dtype))

    def build(self, x_shape=None):
        for layer in (*self.layers, self.final_norm):
            layer.build((None, None, self.d_model))

    def call(self, x, attention_mask=None, return_weights=False):
        all_weights = []
        for layer in self.layers:
            x = layer(x, mask=attention_mask, return_weights=return_weights)
            if return_weights:
                x, weights = x
                all_weights.append(weights)
        x = self.final_norm(x)
        return (x, all_weights) if return_weights else x

    def get_config(self):
        return {**super().get_config(), **self.settings}
