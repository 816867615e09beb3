"""coursekit.keras.Bert and its heads: the numbers of coursekit.torch and of transformers, files, `fit`, wrong input."""

import os
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch
import transformers
from keras import ops

from coursekit import keras as ck
from coursekit import pretrained, weights
from coursekit import torch as ct
from coursekit.text import WordPiece

CONFIG = ck.BertConfig(vocab_size=17, d_model=15, n_layers=2, n_heads=3, d_ff=20, max_length=11, n_segments=4)
BATCH, LENGTH, CLASSES = 5, 7, 6
RNG = np.random.default_rng(0)
IDS, SEGMENT_IDS = RNG.integers(0, 17, (BATCH, LENGTH)), RNG.integers(0, 4, (BATCH, LENGTH))
MASK = np.arange(LENGTH) < np.array([[7], [3], [1], [5], [6]])
INPUTS = {"ids": IDS, "mask": MASK, "segment_ids": SEGMENT_IDS}
TENSORS = [torch.tensor(array) for array in (IDS, MASK, SEGMENT_IDS)]
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}
DTYPE = pytest.mark.parametrize("dtype", TOLERANCE)
HEADS = ["BertForPreTraining", "BertForSequenceClassification", "BertForTokenClassification",
         "BertForQuestionAnswering"]
EVERY_KIND = pytest.mark.parametrize("kind", ["Bert", *HEADS])
EVERY_HEAD = pytest.mark.parametrize("kind", HEADS)
SPARSE = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def settings(kind):
    return {"n_classes": CLASSES} if "Classification" in kind else {}


def small(kind="Bert", **others):
    """A Keras model with biases that are not zero and norms that scale and shift."""
    model = getattr(ck, kind)(CONFIG, **settings(kind), **others)
    model.build()
    rng = np.random.default_rng(1)
    model.set_weights([array + rng.normal(scale=0.2, size=array.shape) for array in model.get_weights()])
    return model


def in_torch(model, dtype=torch.float32):
    twin = getattr(ct, type(model).__name__)(CONFIG, **settings(type(model).__name__)).to(dtype).eval()
    weights.copy(model, twin)
    return twin


def arrays(output):
    return [ops.convert_to_numpy(part) if not isinstance(part, torch.Tensor) else part.detach().numpy()
            for part in (output if isinstance(output, list | tuple) else [output])]


def assert_same(found, expected, atol=1e-5):
    for one, other in zip(arrays(found), arrays(expected), strict=True):
        np.testing.assert_allclose(one, other, atol=atol, rtol=0)


# ---------------------------------------------------------------------------------------------------------------------
# The pretrained weights

@pytest.fixture(scope="module")
def folder():
    return pretrained.find()


@pytest.fixture(scope="module", params=TOLERANCE)
def three(request, folder):
    """Keras's, ours in PyTorch and transformers', with the pretrained weights, and how far they may be apart."""
    dtype = getattr(torch, request.param)
    theirs = transformers.BertModel.from_pretrained(folder, attn_implementation="eager")
    return (ck.Bert.from_pretrained(dtype=request.param), ct.Bert.from_pretrained().to(dtype), theirs.to(dtype).eval(),
            TOLERANCE[request.param])


@pytest.mark.parametrize("case", ["pairs and padding", "maximum length"])
def test_hidden_states_attention_and_pooled_output_of_the_pretrained_model(three, folder, case):
    model, twin, theirs, atol = three
    pair = ["The pizza came out of the oven.", "It rained."], ["It tasted good, and it was eaten.", "So?"]
    if case == "maximum length":
        pair = [" ".join([*pair[0], *pair[1]] * 12)], [" ".join([*pair[1], *pair[0]] * 12)]
    batch = WordPiece.load(folder / "vocab.txt").encode_batch(*pair)._asdict()
    batch = {name: array[:, :512] for name, array in batch.items()}
    assert batch["ids"].shape == ((1, 512) if case == "maximum length" else (2, 20))
    ids, mask, segment_ids = (torch.tensor(batch[name]) for name in ("ids", "mask", "segment_ids"))
    with torch.no_grad():
        expected = theirs(ids, mask.long(), segment_ids, output_hidden_states=True, output_attentions=True)
        ours, our_weights = twin(ids, mask, segment_ids, return_weights=True)
        our_states, our_pooled = twin.states(ids, mask, segment_ids), twin.pool(ours)
    output, all_weights = model(batch, return_weights=True)
    states, real = model.states(**batch), mask.numpy()
    for number, (state, of_torch, of_theirs) in enumerate(zip(states, our_states, expected.hidden_states, strict=True)):
        for other in (of_torch, of_theirs):
            # rtol: some units are as large as 10, where float32's numbers are a millionth apart
            np.testing.assert_allclose(state.numpy()[real], other.numpy()[real], atol=atol, rtol=atol,
                                       err_msg=f"layer {number}")
    for found in (output, model(batch)):  # with weights, and by the fused kernel
        np.testing.assert_allclose(found.numpy()[real], expected.last_hidden_state.numpy()[real], atol=atol, rtol=0)
    for found, of_torch, of_theirs in zip(all_weights, our_weights, expected.attentions, strict=True):
        for other in (of_torch, of_theirs):
            np.testing.assert_allclose(found.numpy(), other.numpy(), atol=atol, rtol=0)
    for other in (our_pooled, expected.pooler_output):
        np.testing.assert_allclose(model.pool(output), other, atol=atol, rtol=0)


def test_one_token_beyond_the_maximum_is_refused_in_a_graph_too():
    model = small()
    with pytest.raises(ValueError, match="ids has length 12, expected at most max_length, which is 11"):
        model(np.ones((2, 12), int))
    with pytest.raises(tf.errors.InvalidArgumentError, match="longer than max_length, which is 11"):
        tf.function(model, input_signature=[tf.TensorSpec((None, None), tf.int64)])(np.ones((2, 12), int))


# ---------------------------------------------------------------------------------------------------------------------
# Small models with random weights

@EVERY_KIND
def test_heads_equal_those_in_torch_however_the_inputs_come(kind):
    model = small(kind)
    expected = in_torch(model)(*TENSORS)
    for found in (model(INPUTS), model(IDS, MASK, SEGMENT_IDS), model(IDS, segment_ids=SEGMENT_IDS, mask=MASK)):
        assert_same(found, expected)
    assert_same(model(IDS), in_torch(model)(TENSORS[0]))
    named = {name: keras.Input((None,), dtype="bool" if name == "mask" else "int32", name=name) for name in INPUTS}
    assert_same(keras.Model(named, model(named))(INPUTS), expected)
    if kind == "BertForPreTraining":
        assert_same(model.predict(INPUTS, batch_size=2, verbose=0), expected)


@pytest.mark.parametrize("activation", ["relu", "gelu_tanh"])
def test_other_activations(activation):
    config = ck.BertConfig(vocab_size=17, d_model=15, n_layers=1, n_heads=3, d_ff=20, max_length=7,
                           activation=activation, norm_epsilon=1e-3)
    for kind in ("Bert", "BertForPreTraining"):
        model, twin = (getattr(framework, kind)(config) for framework in (ck, ct))
        weights.copy(model, twin)
        assert_same(model(IDS, MASK), twin.eval()(*TENSORS[:2]))


@DTYPE
def test_gradients_and_one_step_equal_torch(dtype):
    model = small("BertForPreTraining", dtype=dtype)
    twin = in_torch(model, getattr(torch, dtype))
    random = np.random.default_rng(3)
    factors = [random.normal(size=array.shape) for array in arrays(model(INPUTS))]

    loss = sum((output * torch.tensor(factor)).sum() for output, factor in zip(twin(*TENSORS), factors))
    loss.backward()
    ours, theirs = weights.weights_of(model), weights.weights_of(twin)
    with tf.GradientTape() as tape:
        parts = [tf.reduce_sum(tf.cast(output, "float64") * factor) for output, factor in zip(model(INPUTS), factors)]
        loss = sum(parts)
    gradients = tape.gradient(loss, [weight.variables[0].value for weight in ours.values()])
    assert len(gradients) == len(list(twin.parameters()))
    # of sums of 35 products; a key's bias has no say in the weights, so its gradient is rounding alone
    atol = {"float32": 1e-4, "float64": 1e-11}[dtype]
    for (name, weight), gradient in zip(ours.items(), gradients):
        gradient = weights.read(weight._replace(variables=[torch.tensor(tf.convert_to_tensor(gradient).numpy())]))
        np.testing.assert_allclose(gradient, theirs[name].variables[0].grad, atol=atol, rtol=0, err_msg=name)

    before = arrays(model(INPUTS))[0]
    optimizer = keras.optimizers.SGD(2 ** -6)  # a rate that float32 has, as which Keras stores it
    optimizer.apply(gradients, [weight.variables[0] for weight in ours.values()])
    torch.optim.SGD(twin.parameters(), 2 ** -6).step()
    assert_same(model(INPUTS), twin(*TENSORS), atol)
    assert np.abs(arrays(model(INPUTS))[0] - before).max() > 0.01


@EVERY_KIND
def test_weights_travel_between_keras_torch_and_transformers(kind):
    model = small(kind)
    config = transformers.BertConfig(
        vocab_size=17, hidden_size=15, num_hidden_layers=2, num_attention_heads=3, intermediate_size=20,
        max_position_embeddings=11, type_vocab_size=4, num_labels=CLASSES if settings(kind) else 2)
    theirs = getattr(transformers, "BertModel" if kind == "Bert" else kind)(config).eval()
    weights.copy(in_torch(model), theirs)
    expected = list(theirs(*(tensor.long() for tensor in TENSORS)).to_tuple())
    found = arrays(model(INPUTS))
    if kind == "Bert":
        found = [found[0][MASK], model.pool(found[0])]
        expected[0] = expected[0][TENSORS[1]]
    elif kind == "BertForQuestionAnswering":
        found = [found[0][..., 0], found[0][..., 1]]
    assert_same(found, expected)
    again = getattr(ck, kind)(CONFIG, **settings(kind))
    weights.copy(theirs, again)
    assert_same(again.get_weights(), model.get_weights(), 0)


def test_an_output_matrix_of_its_own_is_not_left_out():
    theirs = transformers.BertForPreTraining(transformers.BertConfig(
        vocab_size=17, hidden_size=15, num_hidden_layers=1, num_attention_heads=3, intermediate_size=20,
        tie_word_embeddings=False))
    with pytest.raises(ValueError, match="BertForPreTraining has an output matrix of its own, expected it tied"):
        weights.weights_of(theirs)


def test_pretraining_predicts_where_it_is_asked_with_the_embedding_as_output_matrix():
    model, at = small("BertForPreTraining"), np.zeros((BATCH, LENGTH), bool)
    at[0, 6] = at[3, 1] = at[3, 4] = True
    everywhere, (places, following) = model(INPUTS)[0], model(INPUTS | {"at": at})
    assert places.shape == (3, 17) and following.shape == (BATCH, 2)
    assert_same(places, everywhere.numpy()[at])
    embedding = model.bert.token_embedding.embeddings
    embedding.assign(embedding + np.eye(17, 15))
    assert_same(model(INPUTS), in_torch(model)(*TENSORS))
    assert np.abs(model(INPUTS)[0] - everywhere).max() > 0.1
    with pytest.raises(ValueError, match="at has length 6, ids have 7"):
        model(IDS, at=at[:, 1:])


def test_padding_changes_nothing_and_the_mask_is_carried_on():
    model = small()
    alone = model(IDS[1:2, :3], segment_ids=SEGMENT_IDS[1:2, :3])
    assert_same(model(INPUTS)[1:2, :3], alone)
    for found in (model(INPUTS), model(IDS, MASK), model(IDS, mask=MASK, return_weights=True)[0]):
        np.testing.assert_array_equal(found._keras_mask, MASK)
    pooled = keras.layers.GlobalAveragePooling1D()(model(INPUTS))  # knows of the padding by itself
    assert_same(pooled[1], np.mean(model(INPUTS)[1, :3], axis=0))
    ids = ops.convert_to_tensor(IDS)
    ids._keras_mask = ops.convert_to_tensor(MASK)
    assert_same(model(ids), model(IDS, MASK))
    assert_same(model(ids, segment_ids=SEGMENT_IDS), model(INPUTS))


def test_dropout_is_where_bert_has_it_in_training_only():
    model = small("BertForSequenceClassification")
    rates = [layer.rate for layer in model._flatten_layers() if isinstance(layer, keras.layers.Dropout)]
    attention = [layer.attention.dropout for layer in model.bert.encoder.layers]
    # after the embeddings, before the classifier, after the two parts of each layer; none in feed-forward networks
    assert sorted(rates) == [0, 0, 0.1, 0.1, 0.1, 0.1] and attention == [0.1, 0.1]
    assert_same(model(INPUTS), model(INPUTS, training=False), 0)
    assert np.abs(model(INPUTS, training=True) - model(INPUTS)).max() > 0.01


def test_starts_as_bert_does():
    config = ck.BertConfig(vocab_size=900, d_model=64, n_layers=1, n_heads=4, d_ff=99)
    model = ck.BertForSequenceClassification(config)
    seen = []
    for name, weight in weights.weights_of(model).items():
        array = weights.read(weight)
        if "norm" in name:
            assert np.unique(array).tolist() == [float("weight" in name)], name
        elif name.endswith("bias"):
            assert not array.any(), name
        elif array.size > 1000:
            assert abs(array.mean()) < 0.002 and 0.019 < array.std() < 0.021, name
            seen.append(array.flat[0])
    assert len(set(seen)) == len(seen) == 9


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_stays_close(policy):
    half, whole = (ck.BertForPreTraining(CONFIG, dtype=dtype) for dtype in (policy, "float32"))
    weights.copy(small("BertForPreTraining"), whole)
    weights.copy(whole, half)
    for found, expected in zip(half(INPUTS), whole(INPUTS)):
        assert keras.backend.standardize_dtype(found.dtype) == half.compute_dtype
        np.testing.assert_allclose(np.float32(found)[:, :1], expected[:, :1], atol=0.15)


# ---------------------------------------------------------------------------------------------------------------------
# Files

@EVERY_KIND
def test_a_keras_file_gives_the_same_model(kind, tmp_path):
    model = small(kind)
    expected = model(INPUTS)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded) is type(model) and loaded.get_config() == model.get_config() and loaded.config == CONFIG
    assert_same(loaded(INPUTS), expected, 0)


@EVERY_KIND
def test_folders_are_the_same_in_both_frameworks(kind, tmp_path, capsys):
    model = small(kind)
    model.save_pretrained(tmp_path / "keras")
    twin = getattr(ct, kind).from_pretrained(tmp_path / "keras", **settings(kind))
    twin.save_pretrained(tmp_path / "torch")
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / "keras" / name).read_bytes() == (tmp_path / "torch" / name).read_bytes()
    again = getattr(ck, kind).from_pretrained(tmp_path / "torch", **settings(kind))
    assert capsys.readouterr().out == ""
    assert_same(again.get_weights(), model.get_weights(), 0)


def test_an_encoder_alone_gives_a_fresh_head_and_says_so_as_in_torch(tmp_path, capsys):
    small().save_pretrained(tmp_path)
    said = []
    for framework in (ck, ct):
        model = framework.BertForTokenClassification.from_pretrained(tmp_path, n_classes=5)
        said.append(capsys.readouterr().out)
        assert tuple(model.classifier.weights[0].shape if framework is ck else ()) in ((15, 5), ())
    assert said[0] == said[1] and f"BertForTokenClassification: {tmp_path} has no classifier. New" in said[0]
    small("BertForTokenClassification").save_pretrained(tmp_path)
    errors = []
    for framework in (ck, ct):
        with pytest.raises(ValueError) as error:
            framework.BertForTokenClassification.from_pretrained(tmp_path, n_classes=3)
        errors.append(str(error.value))
    assert errors[0] == errors[1] and "classifier.weight has shape (6, 15), expected (3, 15)" in errors[0]
    (tmp_path / "model.safetensors").write_bytes(b"cut short")
    with pytest.raises(ValueError, match="is damaged or cut short"):
        ck.Bert.from_pretrained(tmp_path)
    with pytest.raises(FileNotFoundError, match="coursekit.pretrained.find"):
        ck.Bert.from_pretrained("bert-of-nobody")


# ---------------------------------------------------------------------------------------------------------------------
# fit

def targets(kind):
    random = np.random.default_rng(5)
    if kind == "BertForPreTraining":
        masked = MASK & (random.random(MASK.shape) < 0.5)
        return [np.where(masked, IDS, -100), random.integers(0, 2, BATCH)]
    if kind == "BertForSequenceClassification":
        return random.integers(0, CLASSES, BATCH)
    if kind == "BertForTokenClassification":
        return random.integers(0, CLASSES, (BATCH, LENGTH))
    return random.integers(0, LENGTH, (BATCH, 2))


def losses(kind):
    if kind == "BertForPreTraining":
        return [keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-100), SPARSE]
    return ck.span_loss if kind == "BertForQuestionAnswering" else SPARSE


@EVERY_HEAD
def test_fit_sees_the_loss_of_torch_and_lowers_it(kind, tmp_path):
    model, wanted = small(kind), targets(kind)
    model.compile(keras.optimizers.Adam(0.01), losses(kind), jit_compile=False)
    first = model.evaluate(INPUTS, wanted, batch_size=BATCH, verbose=0)
    output, cross_entropy = in_torch(model)(*TENSORS), torch.nn.functional.cross_entropy
    if kind == "BertForPreTraining":
        tokens, following = map(torch.tensor, wanted)
        expected = cross_entropy(output[0].flatten(0, 1), tokens.flatten()) + cross_entropy(output[1], following)
        first = first[0]
    elif kind == "BertForTokenClassification":
        expected = cross_entropy(output[TENSORS[1]], torch.tensor(wanted)[TENSORS[1]])  # of the tokens, not of padding
    else:
        expected = cross_entropy(output, torch.tensor(wanted))
    np.testing.assert_allclose(first, expected.item(), atol=1e-5)
    history = model.fit(INPUTS, wanted, batch_size=BATCH, epochs=12, verbose=0)
    assert history.history["loss"][-1] < 0.8 * history.history["loss"][0]
    if kind == "BertForQuestionAnswering":  # whose loss is ours
        model.save(tmp_path / "model.keras")
        loaded = keras.models.load_model(tmp_path / "model.keras")
        assert_same(loaded(INPUTS), model(INPUTS), 0)
        assert loaded.optimizer.iterations == 12
        assert_same(loaded.evaluate(INPUTS, wanted, verbose=0), model.evaluate(INPUTS, wanted, verbose=0))


def test_frozen_word_embeddings_stay():
    model = small("BertForSequenceClassification")
    model.bert.token_embedding.trainable = False
    before = weights.read(weights.weights_of(model)["bert.token_embedding.weight"])
    model.compile(keras.optimizers.SGD(0.1), SPARSE, jit_compile=False)
    model.train_on_batch(INPUTS, targets("BertForSequenceClassification"))
    after = {name: weights.read(weight) for name, weight in weights.weights_of(model).items()}
    np.testing.assert_array_equal(after["bert.token_embedding.weight"], before)
    assert np.abs(after["classifier.bias"] - small("BertForSequenceClassification").classifier.bias).max() > 1e-3


# ---------------------------------------------------------------------------------------------------------------------
# Wrong input

@pytest.mark.parametrize("call, message", [
    (lambda model: model(IDS + 17), "ids has ids 17 to 3"),
    (lambda model: model(IDS.astype("float32")), "ids has dtype float32, expected whole numbers"),
    (lambda model: model(IDS[0]), r"ids has shape \(7,\), expected the 2 axes \(batch, length\)"),
    (lambda model: model(IDS[:, :0]), r"ids has shape \(5, 0\), expected at least one row and one token"),
    (lambda model: model(IDS, MASK[:, 1:]), "mask has length 6, ids have 7"),
    (lambda model: model(IDS, MASK[1:]), "mask has batch 4, ids have 5"),
    (lambda model: model(IDS, SEGMENT_IDS), "mask has dtype int64, expected bool"),
    (lambda model: model(IDS, MASK, SEGMENT_IDS + 1), "segment_ids has ids 1 to 4, expected 0 to 3"),
    (lambda model: model(IDS, MASK, SEGMENT_IDS[:, 2:]), "segment_ids has length 5, ids have 7"),
    (lambda model: model((IDS, MASK)), "ids is a tuple, expected an array, or a dict with ids, mask, segment_ids"),
    (lambda model: model({"mask": MASK}), "ids is a NoneType, expected an array, or a dict with"),
    (lambda model: model({"ids": IDS, "attention_mask": MASK}), "unknown input 'attention_mask', expected one of"),
    (lambda model: model(keras.Input((None,))), "ids has dtype float32, expected whole"),
    (lambda model: ck.BertForTokenClassification(CONFIG, n_classes=0), "n_classes is 0, expected a whole number"),
    (lambda model: weights.copy(model, ct.Bert(CONFIG, pooler=False)), "source Bert has the weight pooler.bias"),
    (lambda model: weights.copy(model, ct.BertForPreTraining(CONFIG)), "source is a Bert, target is a BertFor"),
])
def test_wrong_input_is_named(call, message):
    with pytest.raises(ValueError) as error:
        call(small())
    assert re.search(message, str(error.value))


# ---------------------------------------------------------------------------------------------------------------------
# The other backend, in a process of its own, since Keras chooses its backend once

ON_TORCH = """
import sys

import keras
import numpy as np
import torch

from coursekit import keras as ck
from coursekit import pretrained, weights
from coursekit import torch as ct
from coursekit.text import WordPiece

torch.set_num_threads(1)
assert keras.backend.backend() == "torch"
batch = WordPiece.load(pretrained.find() / "vocab.txt").encode_batch(
    ["The pizza came out of the oven.", "It rained."], ["It tasted good.", "So?"])
tensors = [torch.tensor(array) for array in (batch.ids, batch.mask, batch.segment_ids)]
real = tensors[1]


def same(ours, theirs):
    torch.testing.assert_close(ours.to(theirs.dtype), theirs, atol=1e-5, rtol=0, check_device=False)


# the pretrained weights: in float64, Keras's Dense and LayerNormalization have float32's digits on this backend
model, twin, long = ck.Bert.from_pretrained(), ct.Bert.from_pretrained(), torch.randint(1000, 30000, (1, 512))
with torch.no_grad():
    for dtype in (torch.float32, torch.float64):
        twin.to(dtype)
        model = ck.Bert.from_pretrained(dtype=str(dtype).removeprefix("torch."))
        for state, expected in zip(model.states(**batch._asdict()), twin.states(*tensors), strict=True):
            same(state[real], expected[real])
        output, attended = model(batch._asdict(), return_weights=True)
        expected, expected_weights = twin(*tensors, return_weights=True)
        for found, wanted in zip(attended, expected_weights, strict=True):
            same(found, wanted)
        same(model.pool(output), twin.pool(expected))
        same(model(batch._asdict())[real], expected[real])
        same(model(long), twin(long))

# gradients and a step, with a small model
config = ck.BertConfig(vocab_size=17, d_model=12, n_layers=2, n_heads=3, d_ff=20, max_length=11)
ids, mask = torch.randint(17, (5, 7)), ct.padding_mask([7, 3, 1, 5, 6])[:, 0]
labels = torch.randint(4, (5,))
model, twin = (framework.BertForSequenceClassification(config, n_classes=4) for framework in (ck, ct))
weights.copy(twin, model)
twin.eval()
same(model({"ids": ids, "mask": mask}), twin(ids, mask))
torch.nn.functional.cross_entropy(model({"ids": ids, "mask": mask}), labels).backward()
torch.nn.functional.cross_entropy(twin(ids, mask), labels).backward()
for name, weight in weights.weights_of(model).items():
    gradient = weight.variables[0].value.grad
    same(gradient.T if weight.transposed else gradient, weights.weights_of(twin)[name].variables[0].grad)

# fit, saving, and a graph of unknown lengths
model.compile(keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
inputs = {"ids": ids.numpy(), "mask": mask.numpy()}
losses = model.fit(inputs, labels.numpy(), epochs=12, verbose=0).history["loss"]
assert losses[-1] < 0.8 * losses[0]
model.save(sys.argv[1])
assert torch.equal(keras.models.load_model(sys.argv[1])(inputs), model(inputs))
named = {name: keras.Input((None,), dtype=dtype, name=name) for name, dtype in (("ids", "int32"), ("mask", "bool"))}
same(keras.Model(named, model(named))(inputs), model(inputs))
try:
    model(np.ones((2, 12), int))
except ValueError as error:
    assert "ids has length 12, expected at most max_length, which is 11" in str(error)
else:
    raise AssertionError("a sequence that is too long was accepted")
"""


def test_the_torch_backend(tmp_path):
    done = subprocess.run([sys.executable, "-c", ON_TORCH, str(tmp_path / "model.keras")], capture_output=True,
                          text=True, env={**os.environ, "KERAS_BACKEND": "torch"})
    assert done.returncode == 0, done.stderr
