"""Copies weights between the same layer of coursekit.keras, coursekit.torch and the libraries that have it as well."""

from typing import NamedTuple

import numpy as np

from coursekit import checkpoint


class Weight(NamedTuple):
    """One weight matrix or vector of a layer: the sum of `variables`, `transposed` if stored (inputs, outputs).

    Of variables that hold more than this weight it is the `rows`. Those that have more axes are seen in `shape`.
    """

    variables: list
    transposed: bool = False
    rows: slice = slice(None)
    shape: tuple | None = None


def copy(source, target):
    """Give `target` the weights of `source`, of the same class, in either framework; `source` is left as it is.

    These count as of one class: `MultiHeadAttention`, keras.layers.MultiHeadAttention and
    torch.nn.MultiheadAttention; `EncoderLayer`, torch.nn.TransformerEncoderLayer, transformers' BertLayer and
    GPT2Block; `Encoder` and torch.nn.TransformerEncoder; `DecoderLayer`, `Decoder` and `Transformer` and torch.nn's;
    `LanguageModel` and transformers' GPT2LMHeadModel; `Bert` and transformers' BertModel, `BertForPreTraining` and the
    three of tasks and those that have the same names there. Settings that are no weights are not copied: heads,
    dropout, activation, order of the norms and their epsilon, which is 1e-5 in PyTorch and here, 1e-3 in Keras, 1e-12
    in BERT.
    A torch.nn.Transformer of post-norm layers has last norms too, which `Transformer` has not: set them to None.

    Where PyTorch's LSTM has two biases and Keras's has one, Keras gets their sum, and PyTorch gets it in the first
    and zeros in the second. From Keras to PyTorch and back is exact.
    Raises `ValueError`, before anything is written, where the classes differ, one has a weight that the other lacks,
    or two shapes differ.
    """
    kind, target_kind = (SAME_AS.get(type(model).__name__, type(model).__name__) for model in (source, target))
    if kind != target_kind:
        raise ValueError(f"source is a {kind}, target is a {target_kind}, expected the same class in either framework")
    arrays, weights = {name: read(weight) for name, weight in weights_of(source).items()}, weights_of(target)
    for name in sorted(arrays.keys() ^ weights.keys()):
        having, lacking = ("source", "target") if name in arrays else ("target", "source")
        raise ValueError(f"{having} {kind} has the weight {name}, which {lacking} has not: their settings differ")
    for name, array in arrays.items():
        shape = read(weights[name]).shape
        if array.shape != shape:
            raise ValueError(f"{name} has shape {array.shape} in source, {shape} in target")
    for name, array in arrays.items():
        write(array, weights[name])


def weights_of(model):
    """The weights of a layer by the names that `coursekit.torch` gives them."""
    kind, packages = type(model).__name__, {cls.__module__.partition(".")[0] for cls in type(model).__mro__}
    if "keras" in packages:  # asked first: with its torch backend, a Keras layer is a PyTorch module as well
        if kind not in KERAS:
            raise ValueError(f"no weights known of {kind}, expected one of {', '.join(KERAS)}")
        if "coursekit" not in packages:
            return keras_attention(model)
        if not model.built:
            model.build()
        return KERAS[kind](model)
    if "coursekit" in packages:
        return torch_weights(model)
    if "torch" in packages:
        if kind not in TORCH:
            raise ValueError(f"no weights known of {kind}, expected a layer of coursekit or one of {', '.join(TORCH)}")
        return TORCH[kind](model)
    raise ValueError(f"source or target is a {kind}, expected a layer of Keras or of PyTorch")


def torch_weights(module):
    weights = {}
    for name, parameter in module.named_parameters():
        name = name.replace("bias_hh", "bias_ih").removesuffix("_l0")  # nn.LSTM numbers its layers, nn.LSTMCell is one
        weights.setdefault(name, Weight([])).variables.append(parameter)
    return weights


def luong(layer):
    weights = {} if layer.kind == "dot" else dense("W", layer.W)
    return weights | dense("v", layer.v) if layer.kind == "concat" else weights


def bahdanau(layer):
    return dense("query_layer", layer.query_layer) | dense("values_layer", layer.values_layer) | dense("v", layer.v)


def seq2seq(model):
    weights = lstm("encoder", model.encoder.cell) | lstm("decoder", model.decoder) | dense("output", model.output_layer)
    if model.attention is not None:
        weights |= within("attention", weights_of(model.attention))
        if model.wiring == "luong":
            weights |= dense("combine", model.combine)
    return weights


def dense(name, layer):
    weights = {f"{name}.weight": Weight([layer.kernel], transposed=True)}
    return weights | {f"{name}.bias": Weight([layer.bias])} if layer.use_bias else weights


def lstm(name, cell):
    # Both frameworks stack the gates in one order: input, forget, candidate (Keras's c, PyTorch's g), output.
    return {
        f"{name}.weight_ih": Weight([cell.kernel], transposed=True),
        f"{name}.weight_hh": Weight([cell.recurrent_kernel], transposed=True),
        f"{name}.bias_ih": Weight([cell.bias]),
    }


def within(name, weights):
    """The weights of a part, by their names in the whole."""
    return {f"{name}.{part}": weight for part, weight in weights.items()}


def multi_head_attention(layer):
    return (dense("query_projection", layer.query_projection) | dense("key_projection", layer.key_projection)
            | dense("value_projection", layer.value_projection) | dense("output_projection", layer.output_projection))


def feed_forward(layer):
    return dense("expand", layer.expand) | dense("contract", layer.contract)


def encoder_layer(layer):
    return (within("attention", multi_head_attention(layer.attention)) | norm("attention_norm", layer.attention_norm)
            | within("feed_forward", feed_forward(layer.feed_forward))
            | norm("feed_forward_norm", layer.feed_forward_norm))


def encoder(stack):
    weights = norm("final_norm", stack.final_norm) if stack.final_norm.weights else {}
    for number, layer in enumerate(stack.layers):
        weights |= within(f"layers.{number}", encoder_layer(layer))
    return weights


def bert(model):
    weights = {"token_embedding.weight": Weight([model.token_embedding.embeddings]),
               "position_embedding.weight": Weight([model.position_embedding.table]),
               "segment_embedding.weight": Weight([model.segment_embedding.embeddings])}
    weights |= norm("embedding_norm", model.embedding_norm) | within("encoder", encoder(model.encoder))
    return weights if model.pooler is None else weights | dense("pooler", model.pooler)


def bert_for_pre_training(model):
    head = model.token_head
    return (within("bert", bert(model.bert)) | {"token_head.bias": Weight([head.bias])}
            | dense("token_head.transform", head.transform) | norm("token_head.norm", head.norm)
            | dense("next_sentence_head", model.next_sentence_head))


def bert_with_classes(model):
    return within("bert", bert(model.bert)) | dense("classifier", model.classifier)


def bert_for_question_answering(model):
    return within("bert", bert(model.bert)) | dense("span_head", model.span_head)


def learned_positions(layer):
    return {"table": Weight([layer.table])}


def norm(name, layer):
    return {f"{name}.weight": Weight([layer.gamma]), f"{name}.bias": Weight([layer.beta])}


def keras_attention(layer):
    """Of keras.layers.MultiHeadAttention, whose kernels keep the heads on an axis of their own."""
    if not layer.built:
        raise ValueError("keras.layers.MultiHeadAttention has no weights yet, expected it to have been called once")
    weights = {}
    for name in ("query", "key", "value", "output"):
        part = getattr(layer, f"{name}_dense")
        d_model = part.kernel.shape[-1 if name == "output" else 0]
        shape = (-1, d_model) if name == "output" else (d_model, -1)
        weights[f"{name}_projection.weight"] = Weight([part.kernel], transposed=True, shape=shape)
        if part.bias is not None:
            weights[f"{name}_projection.bias"] = Weight([part.bias], shape=(-1,))
    return weights


def torch_attention(module):
    """Of torch.nn.MultiheadAttention, which packs three projections into one."""
    if module.in_proj_weight is None or module.bias_k is not None:
        raise ValueError("torch.nn.MultiheadAttention has a kdim, a vdim or add_bias_kv, expected none of them")
    weights, d_model = linear("output_projection", module.out_proj), module.embed_dim
    for number, name in enumerate(("query_projection", "key_projection", "value_projection")):
        rows = slice(number * d_model, (number + 1) * d_model)
        weights[f"{name}.weight"] = Weight([module.in_proj_weight], rows=rows)
        if module.in_proj_bias is not None:
            weights[f"{name}.bias"] = Weight([module.in_proj_bias], rows=rows)
    return weights


def torch_encoder_layer(module):
    return (within("attention", torch_attention(module.self_attn)) | linear("attention_norm", module.norm1)
            | linear("feed_forward.expand", module.linear1) | linear("feed_forward.contract", module.linear2)
            | linear("feed_forward_norm", module.norm2))


def torch_encoder(module):
    weights = {} if module.norm is None else linear("final_norm", module.norm)
    for number, layer in enumerate(module.layers):
        weights |= within(f"layers.{number}", torch_encoder_layer(layer))
    return weights


def bert_layer(module):
    attention = module.attention.self
    return (linear("attention.query_projection", attention.query) | linear("attention.key_projection", attention.key)
            | linear("attention.value_projection", attention.value)
            | linear("attention.output_projection", module.attention.output.dense)
            | linear("attention_norm", module.attention.output.LayerNorm)
            | linear("feed_forward.expand", module.intermediate.dense)
            | linear("feed_forward.contract", module.output.dense)
            | linear("feed_forward_norm", module.output.LayerNorm))


def torch_decoder_layer(module):
    return (within("self_attention", torch_attention(module.self_attn)) | linear("self_attention_norm", module.norm1)
            | within("cross_attention", torch_attention(module.multihead_attn))
            | linear("cross_attention_norm", module.norm2)
            | linear("feed_forward.expand", module.linear1) | linear("feed_forward.contract", module.linear2)
            | linear("feed_forward_norm", module.norm3))


def torch_decoder(module):
    weights = {} if module.norm is None else linear("final_norm", module.norm)
    for number, layer in enumerate(module.layers):
        weights |= within(f"layers.{number}", torch_decoder_layer(layer))
    return weights


def torch_transformer(module):
    return within("encoder", torch_encoder(module.encoder)) | within("decoder", torch_decoder(module.decoder))


def gpt2_block(module):
    d_model, weights = module.attn.embed_dim, conv1d("attention.output_projection", module.attn.c_proj)
    for number, name in enumerate(("query_projection", "key_projection", "value_projection")):
        rows = slice(number * d_model, (number + 1) * d_model)
        weights |= conv1d(f"attention.{name}", module.attn.c_attn, rows)
    return (weights | linear("attention_norm", module.ln_1) | conv1d("feed_forward.expand", module.mlp.c_fc)
            | conv1d("feed_forward.contract", module.mlp.c_proj) | linear("feed_forward_norm", module.ln_2))


def gpt2(model):
    if model.lm_head.weight is not model.transformer.wte.weight:
        raise ValueError("GPT2LMHeadModel has an output matrix of its own, expected it tied to the token embedding")
    weights = (linear("token_embedding", model.transformer.wte) | linear("position_embedding", model.transformer.wpe)
               | linear("encoder.final_norm", model.transformer.ln_f))
    for number, block in enumerate(model.transformer.h):
        weights |= within(f"encoder.layers.{number}", gpt2_block(block))
    return weights


def transformers_bert(model):
    """Of transformers' BertModel, alone or with the head of a task around it."""
    parameters, body = dict(model.named_parameters()), "" if type(model).__name__ == "BertModel" else "bert."
    if "cls.predictions.decoder.weight" in parameters:
        raise ValueError(f"{type(model).__name__} has an output matrix of its own, expected it tied to the token "
                         "embedding")
    named, _ = checkpoint.by_our_names(parameters)
    return {name if name.startswith(checkpoint.HEADS) else body + name: Weight([parameter])
            for name, parameter in named.items()}


def conv1d(name, module, rows=slice(None)):
    """Of transformers' Conv1D, a linear layer that stores its weight (inputs, outputs); `rows` are outputs."""
    return {f"{name}.weight": Weight([module.weight.T], rows=rows), f"{name}.bias": Weight([module.bias], rows=rows)}


def linear(name, module):
    """Of torch.nn.Linear and torch.nn.LayerNorm, which store what they compute with."""
    return within(name, torch_weights(module))


KERAS = {"LuongAttention": luong, "BahdanauAttention": bahdanau, "Seq2Seq": seq2seq,
         "MultiHeadAttention": multi_head_attention, "FeedForward": feed_forward, "EncoderLayer": encoder_layer,
         "Encoder": encoder, "LearnedPositions": learned_positions, "Bert": bert,
         "BertForPreTraining": bert_for_pre_training, "BertForSequenceClassification": bert_with_classes,
         "BertForTokenClassification": bert_with_classes, "BertForQuestionAnswering": bert_for_question_answering}
TORCH = {"MultiheadAttention": torch_attention, "TransformerEncoderLayer": torch_encoder_layer,
         "TransformerEncoder": torch_encoder, "BertLayer": bert_layer,
         "TransformerDecoderLayer": torch_decoder_layer, "TransformerDecoder": torch_decoder,
         "Transformer": torch_transformer, "GPT2Block": gpt2_block, "GPT2LMHeadModel": gpt2,
         "BertModel": transformers_bert, "BertForPreTraining": transformers_bert,
         "BertForSequenceClassification": transformers_bert, "BertForTokenClassification": transformers_bert,
         "BertForQuestionAnswering": transformers_bert}
SAME_AS = {"MultiheadAttention": "MultiHeadAttention", "TransformerEncoderLayer": "EncoderLayer",
           "TransformerEncoder": "Encoder", "BertLayer": "EncoderLayer",
           "TransformerDecoderLayer": "DecoderLayer", "TransformerDecoder": "Decoder",
           "GPT2Block": "EncoderLayer", "GPT2LMHeadModel": "LanguageModel",
           "BertModel": "Bert"}


def read(weight):
    array = sum(as_array(variable)[weight.rows] for variable in weight.variables)
    array = array if weight.shape is None else array.reshape(weight.shape)
    return array.T if weight.transposed else array


def write(array, weight):
    first, *rest = weight.variables
    assign(first, array.T if weight.transposed else array, weight.rows)
    for variable in rest:
        assign(variable, np.zeros_like(array), weight.rows)


def as_array(variable):
    """The numbers of a variable; those of bfloat16, which NumPy lacks, in float32, which has them all."""
    if hasattr(variable, "assign"):  # Keras's variables have it, PyTorch's parameters have not
        array = np.asarray(variable)
        return array.astype("float32") if array.dtype.name == "bfloat16" else array
    tensor = variable.detach().cpu()
    return (tensor.float() if "bfloat16" in str(tensor.dtype) else tensor).numpy()


def assign(variable, array, rows):
    if hasattr(variable, "assign"):
        variable.assign(array.reshape(variable.shape))
    else:
        import torch

        variable.data[rows].copy_(torch.tensor(array))
