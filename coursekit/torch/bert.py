"""BERT: the encoder of the earlier lectures between three embeddings and the head of a task."""

import torch
from safetensors.torch import load_file
from torch import nn

from coursekit import checkpoint, pretrained
from coursekit.checkpoint import BertConfig
from coursekit.shapes import expect, expect_at_least, expect_tokens
from coursekit.torch.transformer import ACTIVATIONS, Encoder


class Pretrained(nn.Module):
    """A model that is read from a folder and written to one, with the files and the names of transformers.

    A subclass is named as in transformers, has a `config`, and says in `heads` which of its parts a checkpoint of the
    encoder alone may lack.
    """

    heads = ()

    @classmethod
    def from_pretrained(cls, name=pretrained.MINILM, *, network=False, **settings):
        """The model with the weights that `pretrained.find(name, network=network)` finds, ready to use (`eval`).

        `settings` are those of the class, such as `n_classes`. Heads that the checkpoint has not are drawn at random,
        which a printed line says; heads of other tasks in it are left out.
        Raises `FileNotFoundError` where there are no weights, and `ValueError` for a model that is no BERT, a file that
        is damaged, and tensors that are missing, unknown or of another shape, all of them named.
        """
        folder = pretrained.find(name, network=network)
        model = cls(checkpoint.read_config(folder), **settings)
        weights = model.weights()
        shapes = {name: weight.shape for name, weight in weights.items()}
        # The file is mapped, not copied: rows of an embedding that no text asks for take no memory.
        for weight, tensor in checkpoint.weights_for(cls, shapes, folder, name, load_file).items():
            weights[weight].data = tensor.to(weights[weight].dtype)
        return model.eval()

    def save_pretrained(self, folder):
        """Write config.json and model.safetensors, which transformers loads as well. A failed save changes nothing."""
        arrays = {name: weight.detach().cpu().contiguous().numpy() for name, weight in self.weights().items()}
        kind = "BertModel" if isinstance(self, Bert) else type(self).__name__
        checkpoint.write(folder, self.config, arrays, kind, getattr(self, "n_classes", None))

    def weights(self):
        """The parameters by the names of `coursekit.checkpoint`, which are the same with a head around BERT or not."""
        return {name.removeprefix("bert."): parameter for name, parameter in self.named_parameters()}

    def draw(self):
        """Draw all weights as BERT does: matrices from a normal distribution of deviation 0.02, biases zero."""
        for part in self.modules():
            if isinstance(part, nn.Linear | nn.Embedding):
                nn.init.normal_(part.weight, std=0.02)
            if isinstance(part, nn.Linear):
                nn.init.zeros_(part.bias)


class Bert(Pretrained):
    """Bidirectional encoder: for every token of one text, or of two, a vector that knows all the others.

    x = dropout(norm(E[ids] + P + S[segment_ids]));   output = post-norm encoder layers of x

    P are learned vectors of the positions 0 to max_length - 1. Shapes: ids (batch, length), whole numbers; mask (batch,
    length), boolean, True for a token and False for padding; segment_ids (batch, length), 0 for the first text and 1
    for the second, all 0 by default. Returns output (batch, length, d_model), or (output, weights) with
    `return_weights=True`: a list with those of each layer, (batch, heads, length, length). `pooler=False` leaves out
    what `pool` needs.
    Raises `ValueError` for ids and segment ids out of range, for shapes that differ, and for more than max_length
    tokens.
    Source: Devlin et al. 2019, BERT: Pre-training of Deep Bidirectional Transformers, section 3; norm and dropout of
    the embeddings, no dropout inside feed-forward networks, and `pool`: its published code.
    """

    def __init__(self, config, pooler=True):
        super().__init__()
        self.config = config
        self.token_embedding = nn.Embedding(config.vocab_size, config.d_model)
        self.position_embedding = nn.Embedding(config.max_length, config.d_model)
        self.segment_embedding = nn.Embedding(config.n_segments, config.d_model)
        self.embedding_norm = nn.LayerNorm(config.d_model, eps=config.norm_epsilon)
        self.dropout = nn.Dropout(config.dropout)
        self.encoder = Encoder(config.n_layers, config.d_model, config.n_heads, config.d_ff, dropout=config.dropout,
                               activation=config.activation, norm_epsilon=config.norm_epsilon)
        for layer in self.encoder.layers:  # where the Transformer of 2017 has dropout, BERT has none
            layer.feed_forward.dropout = nn.Identity()
        self.pooler = nn.Linear(config.d_model, config.d_model) if pooler else None
        self.draw()

    def forward(self, ids, mask=None, segment_ids=None, return_weights=False):
        x = self.embed(ids, segment_ids)
        return self.encoder(x, self.keys(ids, mask), return_weights)

    def states(self, ids, mask=None, segment_ids=None):
        """What every layer gives: a list of n_layers + 1 tensors (batch, length, d_model), the embeddings' first."""
        states, keys = [self.embed(ids, segment_ids)], self.keys(ids, mask)
        for layer in self.encoder.layers:
            states.append(layer(states[-1], keys))
        return states

    def pool(self, output):
        """One vector for a whole input, (batch, d_model), from an output (batch, length, d_model): tanh(W h₁ + b), of
        the first token, [CLS]."""
        return torch.tanh(self.pooler(output[:, 0]))

    def embed(self, ids, segment_ids=None):
        """The input of the first layer, (batch, length, d_model)."""
        expect_tokens("ids", ids, self.config.vocab_size)
        length = ids.shape[1]
        if length > self.config.max_length:
            raise ValueError(f"ids has length {length}, expected at most max_length, which is {self.config.max_length}")
        segments = self.segment_embedding.weight[0]
        if segment_ids is not None:
            expect("segment_ids", segment_ids.shape, batch=(len(ids), "ids"), length=(length, "ids"))
            expect_tokens("segment_ids", segment_ids, self.config.n_segments)
            segments = self.segment_embedding(segment_ids)
        x = self.token_embedding(ids) + segments + self.position_embedding.weight[:length]
        return self.dropout(self.embedding_norm(x))

    @staticmethod
    def keys(ids, mask):
        """The mask as attention takes it, (batch, 1, length), or None where there is no padding."""
        if mask is None:
            return None
        expect("mask", mask.shape, batch=(len(ids), "ids"), length=(ids.shape[1], "ids"))
        if mask.dtype != torch.bool:
            raise ValueError(f"mask has dtype {mask.dtype}, expected torch.bool (True = a token, False = padding)")
        return None if mask.all() else mask.unsqueeze(1)


class TokenHead(nn.Module):
    """The logits of the token at a place, from BERT's output there.

    logits = E norm(activation(W h + b)) + c,   E the token embedding

    Shapes: output (..., d_model), embedding (vocab_size, d_model); returns (..., vocab_size).
    Source: Devlin et al. 2019, section 3.1; W and the norm: its published code.
    """

    def __init__(self, config):
        super().__init__()
        self.transform = nn.Linear(config.d_model, config.d_model)
        self.activation = config.activation
        self.norm = nn.LayerNorm(config.d_model, eps=config.norm_epsilon)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))

    def forward(self, output, embedding):
        return self.norm(ACTIVATIONS[self.activation](self.transform(output))) @ embedding.T + self.bias


class BertForPreTraining(Pretrained):
    """BERT with the two heads of its pretraining: which token was masked, and does the second text follow the first.

    The output matrix of the first is the token embedding. Shapes: as in `Bert`; `at` (batch, length), boolean, says
    where tokens are to be predicted, everywhere by default. Returns (token logits (batch, length, vocab_size), or
    (places, vocab_size) with `at`; next-sentence logits (batch, 2), 0: it follows, 1: it does not).
    Source: Devlin et al. 2019, section 3.1.
    """

    heads = ("token_head", "next_sentence_head")

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.bert = Bert(config)
        self.token_head = TokenHead(config)
        self.next_sentence_head = nn.Linear(config.d_model, 2)
        self.draw()

    def forward(self, ids, mask=None, segment_ids=None, at=None):
        output = self.bert(ids, mask, segment_ids)
        if at is not None:
            expect("at", at.shape, batch=(len(ids), "ids"), length=(ids.shape[1], "ids"))
        token_logits = self.token_head(output if at is None else output[at], self.bert.token_embedding.weight)
        return token_logits, self.next_sentence_head(self.bert.pool(output))


class BertForSequenceClassification(Pretrained):
    """BERT with one decision about a whole input: logits (batch, n_classes) = W dropout(pooled output) + b.

    Source: Devlin et al. 2019, section 4.1.
    """

    heads = ("classifier",)

    def __init__(self, config, n_classes=2):
        super().__init__()
        expect_at_least("n_classes", n_classes, 1)
        self.config, self.n_classes = config, n_classes
        self.bert = Bert(config)
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(config.d_model, n_classes)
        self.draw()

    def forward(self, ids, mask=None, segment_ids=None):
        return self.classifier(self.dropout(self.bert.pool(self.bert(ids, mask, segment_ids))))


class BertForTokenClassification(Pretrained):
    """BERT with a decision about every token: logits (batch, length, n_classes) = W dropout(output) + b.

    Source: Devlin et al. 2019, section 5.3.
    """

    heads = ("classifier",)

    def __init__(self, config, n_classes=2):
        super().__init__()
        expect_at_least("n_classes", n_classes, 1)
        self.config, self.n_classes = config, n_classes
        self.bert = Bert(config, pooler=False)
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(config.d_model, n_classes)
        self.draw()

    def forward(self, ids, mask=None, segment_ids=None):
        return self.classifier(self.dropout(self.bert(ids, mask, segment_ids)))


class BertForQuestionAnswering(Pretrained):
    """BERT with a start and an end score for every token, to find an answer in a text.

    logits (batch, length, 2) = W output + b; softmax over the length gives where the answer starts and where it ends.
    F.cross_entropy(logits, targets (batch, 2)) is the mean of both losses.
    Source: Devlin et al. 2019, section 4.2.
    """

    heads = ("span_head",)

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.bert = Bert(config, pooler=False)
        self.span_head = nn.Linear(config.d_model, 2)
        self.draw()

    def forward(self, ids, mask=None, segment_ids=None):
        return self.span_head(self.bert(ids, mask, segment_ids))
