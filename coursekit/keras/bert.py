"""BERT: the encoder of the earlier lectures between three embeddings and the head of a task, in Keras."""

from dataclasses import asdict

import keras
from keras import ops

from coursekit import checkpoint, pretrained, weights
from coursekit.checkpoint import BertConfig
from coursekit.keras.position import LearnedPositions
from coursekit.keras.seq2seq import has_values
from coursekit.keras.transformer import ACTIVATIONS, Encoder
from coursekit.shapes import expect, expect_at_least, expect_choice, expect_tokens


class Pretrained(keras.Model):
    """A model that is read from a folder and written to one, with the files and the names of transformers.

    It is called as in `coursekit.torch`, or with one dict that has its arguments by name, as `fit`, `evaluate` and
    `predict` need it: model({"ids": ids, "mask": mask, "segment_ids": segment_ids}), of which only the ids must be
    there. A tuple is refused: nothing in it would say which is which.
    Where the output has a vector for every token, it carries the mask on, as Keras's layers do: in Keras's losses and
    metrics, padding does not count. A mask that Keras carries with the ids is used where none is given.

    A subclass is named as in transformers, and says in `heads` which of its parts a checkpoint of the encoder alone may
    lack.
    """

    heads, arguments = (), ("ids", "mask", "segment_ids")

    def __init__(self, config, **kwargs):
        super().__init__(**kwargs)
        self.config, self.supports_masking = config, True

    @classmethod
    def from_pretrained(cls, name=pretrained.MINILM, *, network=False, **settings):
        """The model with the weights that `pretrained.find(name, network=network)` finds.

        `settings` are those of the class, such as `n_classes`, or Keras's, such as `dtype`. Heads and errors are as in
        `coursekit.torch`.
        """
        folder = pretrained.find(name, network=network)
        model = cls(checkpoint.read_config(folder), **settings)
        own = model.weights_by_name()
        shapes = {name: weights.read(weight).shape for name, weight in own.items()}
        for weight, array in checkpoint.weights_for(cls, shapes, folder, name).items():
            weights.write(array, own[weight])
        return model

    def save_pretrained(self, folder):
        """Write config.json and model.safetensors, which `coursekit.torch` and transformers load as well. A failed save
        changes nothing."""
        arrays = {name: weights.read(weight) for name, weight in self.weights_by_name().items()}
        kind = "BertModel" if isinstance(self, Bert) else type(self).__name__
        checkpoint.write(folder, self.config, arrays, kind, getattr(self, "n_classes", None))

    def weights_by_name(self):
        """The weights by the names of `coursekit.checkpoint`, which are the same with a head around BERT or not."""
        return {name.removeprefix("bert."): weight for name, weight in weights.weights_of(self).items()}

    def __call__(self, ids, mask=None, segment_ids=None, **others):
        given = {"mask": mask, "segment_ids": segment_ids, **others}
        if isinstance(ids, dict):
            for name in ids:
                expect_choice("input", name, self.arguments)
            given |= ids
            ids = given.pop("ids", None)
        if ids is None or isinstance(ids, tuple | list):
            raise ValueError(f"ids is a {type(ids).__name__}, expected an array, or a dict with "
                             f"{', '.join(self.arguments)}")
        if given["mask"] is None:
            given["mask"] = getattr(ids, "_keras_mask", None)
        return super().__call__(ids, **given)

    def build_parts(self, *parts):
        """Build these layers. Their matrices start as in BERT, as normal numbers of deviation 0.02."""
        for part in parts:
            for layer in part._flatten_layers():  # Keras has no public list of the layers inside layers
                if isinstance(layer, keras.layers.Dense):
                    layer.kernel_initializer = normal()
            if not part.built:
                part.build((None, None, self.config.d_model))

    def get_config(self):
        return {**super().get_config(), "config": asdict(self.config)}

    @classmethod
    def from_config(cls, config):
        return cls(**config | {"config": BertConfig(**config["config"])})


@keras.saving.register_keras_serializable(package="coursekit")
class Bert(Pretrained):
    """Bidirectional encoder: for every token of one text, or of two, a vector that knows all the others.

    x = dropout(norm(E[ids] + S[segment_ids] + P));   output = post-norm encoder layers of x

    P are learned vectors of the positions 0 to max_length - 1. Shapes: ids (batch, length), whole numbers; mask (batch,
    length), boolean, True for a token and False for padding; segment_ids (batch, length), 0 for the first text and 1
    for the second, all 0 by default; or one dict of them. Returns output (batch, length, d_model), or (output, weights)
    with `return_weights=True`: a list with those of each layer, (batch, heads, length, length). `pooler=False` leaves
    out what `pool` needs.
    Raises `ValueError` for shapes that differ, for more than max_length tokens, and, where values are known (a graph
    is built before that), for ids and segment ids out of range.
    Source: Devlin et al. 2019, BERT: Pre-training of Deep Bidirectional Transformers, section 3; norm and dropout of
    the embeddings, no dropout inside feed-forward networks, and `pool`: its published code.
    """

    def __init__(self, config, pooler=True, **kwargs):
        super().__init__(config, **kwargs)
        dtype = self.dtype_policy
        self.token_embedding, self.segment_embedding = (
            keras.layers.Embedding(rows, config.d_model, embeddings_initializer=normal(), dtype=dtype)
            for rows in (config.vocab_size, config.n_segments))
        self.token_embedding.supports_masking = True  # of a mask that comes with the ids: it goes on as `mask`
        self.position_embedding = LearnedPositions(config.max_length, config.d_model, dtype=dtype)
        self.embedding_norm = keras.layers.LayerNormalization(epsilon=config.norm_epsilon, dtype=dtype)
        self.dropout = keras.layers.Dropout(config.dropout, dtype=dtype)
        self.encoder = Encoder(config.n_layers, config.d_model, config.n_heads, config.d_ff, dropout=config.dropout,
                               activation=config.activation, norm_epsilon=config.norm_epsilon, dtype=dtype)
        for layer in self.encoder.layers:  # where the Transformer of 2017 has dropout, BERT has none
            layer.feed_forward.dropout.rate = 0
        self.pooler = keras.layers.Dense(config.d_model, dtype=dtype) if pooler else None

    def build(self, ids_shape=None):
        parts = (self.token_embedding, self.position_embedding, self.segment_embedding, self.embedding_norm,
                 self.encoder, self.pooler)
        self.build_parts(*(part for part in parts if part is not None))

    def call(self, ids, mask=None, segment_ids=None, return_weights=False):
        x = self.embed(ids, segment_ids)
        return self.encoder(x, mask=self.keys(ids, mask), return_weights=return_weights)

    def states(self, ids, mask=None, segment_ids=None):
        """What every layer gives: a list of n_layers + 1 tensors (batch, length, d_model), the embeddings' first."""
        states, keys = [self.embed(ids, segment_ids)], self.keys(ids, mask)
        for layer in self.encoder.layers:
            states.append(layer(states[-1], mask=keys))
        return states

    def pool(self, output):
        """One vector for a whole input, (batch, d_model), from an output (batch, length, d_model): tanh(W h₁ + b), of
        the first token, [CLS]."""
        return ops.tanh(self.pooler(output[:, 0]))

    def embed(self, ids, segment_ids=None):
        """The input of the first layer, (batch, length, d_model)."""
        ids = ops.convert_to_tensor(ids)
        expect_ids("ids", ids, self.config.vocab_size)
        batch, length = ids.shape
        if has_values(ids) and length > self.config.max_length:
            raise ValueError(f"ids has length {length}, expected at most max_length, which is {self.config.max_length}")
        segment_ids = ops.zeros_like(ids) if segment_ids is None else ops.convert_to_tensor(segment_ids)
        expect("segment_ids", segment_ids.shape, batch=(batch, "ids"), length=(length, "ids"))
        expect_ids("segment_ids", segment_ids, self.config.n_segments)
        x = self.position_embedding(self.token_embedding(ids) + self.segment_embedding(segment_ids))
        return self.dropout(self.embedding_norm(x))

    @staticmethod
    def keys(ids, mask):
        """The mask as attention takes it, (batch, 1, length), or None."""
        if mask is None:
            return None
        expect("mask", mask.shape, batch=(ids.shape[0], "ids"), length=(ids.shape[1], "ids"))
        if (dtype := keras.backend.standardize_dtype(mask.dtype)) != "bool":
            raise ValueError(f"mask has dtype {dtype}, expected bool (True = a token, False = padding)")
        return ops.expand_dims(mask, 1)

    def get_config(self):
        return {**super().get_config(), "pooler": self.pooler is not None}


class TokenHead(keras.layers.Layer):
    """The logits of the token at a place, from BERT's output there.

    logits = E norm(activation(W h + b)) + c,   E the token embedding

    Shapes: output (..., d_model), embedding (vocab_size, d_model); returns (..., vocab_size).
    Source: Devlin et al. 2019, section 3.1; W and the norm: its published code.
    """

    def __init__(self, config, **kwargs):
        super().__init__(**kwargs)
        self.vocab_size, self.activation, self.supports_masking = config.vocab_size, config.activation, True
        dtype = self.dtype_policy
        self.transform = keras.layers.Dense(config.d_model, dtype=dtype)
        self.norm = keras.layers.LayerNormalization(epsilon=config.norm_epsilon, dtype=dtype)

    def build(self, output_shape):
        self.transform.build(output_shape)
        self.norm.build(output_shape)
        self.bias = self.add_weight(shape=(self.vocab_size,), initializer="zeros", name="bias")

    def call(self, output, embedding):
        x = self.norm(ACTIVATIONS[self.activation](self.transform(output)))
        return ops.matmul(x, ops.transpose(embedding)) + self.bias


@keras.saving.register_keras_serializable(package="coursekit")
class BertForPreTraining(Pretrained):
    """BERT with the two heads of its pretraining: which token was masked, and does the second text follow the first.

    The output matrix of the first is the token embedding. Shapes: as in `Bert`; `at` (batch, length), boolean, says
    where tokens are to be predicted, everywhere by default. Returns (token logits (batch, length, vocab_size), or
    (places, vocab_size) with `at`; next-sentence logits (batch, 2), 0: it follows, 1: it does not).
    In `fit`, targets of the tokens that were not masked are ignored by
    keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-100).
    Source: Devlin et al. 2019, section 3.1.
    """

    heads, arguments = ("token_head", "next_sentence_head"), (*Pretrained.arguments, "at")

    def __init__(self, config, **kwargs):
        super().__init__(config, **kwargs)
        self.bert = Bert(config, dtype=self.dtype_policy)
        self.token_head = TokenHead(config, dtype=self.dtype_policy)
        self.next_sentence_head = keras.layers.Dense(2, dtype=self.dtype_policy)

    def build(self, ids_shape=None):
        self.build_parts(self.bert, self.token_head, self.next_sentence_head)

    def call(self, ids, mask=None, segment_ids=None, at=None):
        output = self.bert(ids, mask, segment_ids)
        places = output
        if at is not None:
            expect("at", at.shape, batch=(ids.shape[0], "ids"), length=(ids.shape[1], "ids"))
            rows = ops.nonzero(ops.reshape(at, (-1,)))[0]
            places = ops.take(ops.reshape(output, (-1, self.config.d_model)), rows, axis=0)
        embedding = ops.convert_to_tensor(self.bert.token_embedding.embeddings)
        return self.token_head(places, embedding), self.next_sentence_head(self.bert.pool(output))

    def compute_mask(self, ids, previous_mask):
        return None  # the token logits have it from the head, the next-sentence logits have no length axis


class BertWithClasses(Pretrained):
    """BERT with a linear layer after a dropout, for `n_classes` classes; `pooled` says what it decides about."""

    heads, pooled = ("classifier",), False

    def __init__(self, config, n_classes=2, **kwargs):
        super().__init__(config, **kwargs)
        expect_at_least("n_classes", n_classes, 1)
        self.n_classes = n_classes
        self.bert = Bert(config, self.pooled, dtype=self.dtype_policy)
        self.dropout = keras.layers.Dropout(config.dropout, dtype=self.dtype_policy)
        self.classifier = keras.layers.Dense(n_classes, dtype=self.dtype_policy)

    def build(self, ids_shape=None):
        self.build_parts(self.bert, self.classifier)

    def get_config(self):
        return {**super().get_config(), "n_classes": self.n_classes}


@keras.saving.register_keras_serializable(package="coursekit")
class BertForSequenceClassification(BertWithClasses):
    """BERT with one decision about a whole input: logits (batch, n_classes) = W dropout(pooled output) + b.

    Source: Devlin et al. 2019, section 4.1.
    """

    pooled = True

    def call(self, ids, mask=None, segment_ids=None):
        return self.classifier(self.dropout(self.bert.pool(self.bert(ids, mask, segment_ids))))

    def compute_mask(self, ids, previous_mask):
        return None  # no length axis is left


@keras.saving.register_keras_serializable(package="coursekit")
class BertForTokenClassification(BertWithClasses):
    """BERT with a decision about every token: logits (batch, length, n_classes) = W dropout(output) + b.

    The logits carry the mask, so that padding counts neither in Keras's losses nor in its metrics.
    Source: Devlin et al. 2019, section 5.3.
    """

    def call(self, ids, mask=None, segment_ids=None):
        return self.classifier(self.dropout(self.bert(ids, mask, segment_ids)))


@keras.saving.register_keras_serializable(package="coursekit")
class BertForQuestionAnswering(Pretrained):
    """BERT with a start and an end score for every token, to find an answer in a text.

    logits (batch, length, 2) = W output + b; softmax over the length gives where the answer starts and where it ends.
    For targets (batch, 2), `fit` takes `span_loss`. The logits carry no mask, since the loss is over the length.
    Source: Devlin et al. 2019, section 4.2.
    """

    heads = ("span_head",)

    def __init__(self, config, **kwargs):
        super().__init__(config, **kwargs)
        self.bert = Bert(config, pooler=False, dtype=self.dtype_policy)
        self.span_head = keras.layers.Dense(2, dtype=self.dtype_policy)

    def build(self, ids_shape=None):
        self.build_parts(self.bert, self.span_head)

    def call(self, ids, mask=None, segment_ids=None):
        return self.span_head(self.bert.states(ids, mask, segment_ids)[-1])  # what bert(...) gives, but for the mask

    def compute_mask(self, ids, previous_mask):
        return None


@keras.saving.register_keras_serializable(package="coursekit")
def span_loss(targets, logits):
    """Cross-entropy of the first and of the last token of an answer, (batch, 2), for targets (batch, 2) and logits
    (batch, length, 2). `fit` takes the mean."""
    return keras.losses.sparse_categorical_crossentropy(targets, ops.swapaxes(logits, 1, 2), from_logits=True)


def normal():
    return keras.initializers.RandomNormal(stddev=0.02)  # a new one each time: one gives equal shapes equal numbers


def expect_ids(name, ids, size):
    """As `expect_tokens`; of a graph's placeholder, which has no values yet, axes and dtype alone."""
    if has_values(ids):
        expect_tokens(name, ops.convert_to_numpy(ids), size)
        return
    expect(name, ids.shape, batch=None, length=None)
    if "int" not in (dtype := keras.backend.standardize_dtype(ids.dtype)):
        raise ValueError(f"{name} has dtype {dtype}, expected whole numbers (token ids)")
