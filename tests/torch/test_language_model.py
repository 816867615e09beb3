"""The language model against transformers' GPT-2 with random weights, and its cache against reading all at once."""

import pytest
import torch
import transformers

from coursekit import weights
from coursekit.torch import EncoderLayer, KVCache, LanguageModel, causal_mask

VOCAB, LAYERS, D_MODEL, HEADS, D_FF, CONTEXT, BATCH, LENGTH = 17, 2, 12, 3, 20, 11, 4, 7
TOKENS = torch.randint(VOCAB, (BATCH, LENGTH), generator=torch.Generator().manual_seed(3))
LEFT = torch.arange(LENGTH) >= torch.tensor([[0], [2], [5], [6]])
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}
CHUNKS = pytest.mark.parametrize("chunks", [[7], [1] * 7, [3, 1, 1, 2], [2, 5], [6, 1]], ids=str)
HOLES = LEFT & (torch.arange(LENGTH) != 4)
MASKS = pytest.mark.parametrize("mask", [None, LEFT, LEFT.flip(1), HOLES], ids=["none", "left", "right", "holes"])


def away_from_start(module, dtype=torch.float64):
    """Norms that scale and shift, biases that are not zero, logits that are far from equal."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return module.to(dtype).eval()


def language_model(dtype=torch.float64, **settings):
    sizes = dict(n_layers=LAYERS, d_model=D_MODEL, n_heads=HEADS, d_ff=D_FF, max_length=CONTEXT)
    torch.manual_seed(1)
    return away_from_start(LanguageModel(VOCAB, **(sizes | settings)), dtype)


def gpt2(ours, dtype=torch.float64, **settings):
    config = transformers.GPT2Config(vocab_size=VOCAB, n_positions=CONTEXT, n_embd=D_MODEL, n_layer=LAYERS,
                                     n_head=HEADS, n_inner=D_FF, bos_token_id=0, eos_token_id=0, **settings)
    theirs = transformers.GPT2LMHeadModel(config).to(dtype).eval()
    weights.copy(ours, theirs)
    return theirs


def gradients(model):
    """Of every weight by our names: what weights.copy would read, were the parameters their gradients."""
    for parameter in model.parameters():
        parameter.data = parameter.grad
    return {name: weights.read(weight) for name, weight in weights.weights_of(model).items()}


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("ours, theirs", [("gelu_tanh", "gelu_new"), ("gelu", "gelu"), ("relu", "relu")])
def test_logits_equal_gpt2s(dtype, ours, theirs):
    model = language_model(dtype, activation=ours, norm_epsilon=1e-3)
    expected = gpt2(model, dtype, activation_function=theirs, layer_norm_epsilon=1e-3)(TOKENS).logits
    torch.testing.assert_close(model(TOKENS), expected, atol=TOLERANCE[dtype], rtol=0)


def test_gradients_equal_gpt2s():
    model = language_model()
    theirs = gpt2(model)
    model(TOKENS).logsumexp(-1).square().sum().backward()
    theirs(TOKENS).logits.logsumexp(-1).square().sum().backward()
    ours, expected = gradients(model), gradients(theirs)
    assert ours.keys() == expected.keys() and len(ours) == 2 + 16 * LAYERS + 2
    for name in ours:
        torch.testing.assert_close(ours[name], expected[name], atol=1e-10, rtol=0, msg=name)


def test_padded_logits_and_attention_equal_gpt2s():
    model = language_model()
    theirs = gpt2(model, attn_implementation="eager")
    expected = theirs(TOKENS, attention_mask=LEFT.long(), position_ids=(LEFT.cumsum(1) - 1).clamp(min=0),
                      output_attentions=True)
    logits, attended = model(TOKENS, LEFT, return_weights=True)
    torch.testing.assert_close(logits[LEFT], expected.logits[LEFT], atol=1e-12, rtol=0)
    rows = LEFT[:, None, :, None].expand_as(attended[0])  # queries that are no padding
    assert len(attended) == len(expected.attentions) == LAYERS
    for mine, its in zip(attended, expected.attentions):
        torch.testing.assert_close(mine[rows], its[rows], atol=1e-12, rtol=0)


def test_weights_come_back_from_gpt2():
    model, back = language_model(), language_model(d_ff=D_FF)
    theirs = gpt2(model)
    torch.nn.init.zeros_(back.token_embedding.weight)
    weights.copy(theirs, back)
    assert torch.equal(back(TOKENS), model(TOKENS))


def test_block_equals_gpt2s():
    theirs = away_from_start(gpt2(language_model()).transformer.h[1])
    ours = EncoderLayer(D_MODEL, HEADS, D_FF, activation="gelu_tanh", norm_first=True).double()
    weights.copy(theirs, ours)
    x = torch.randn(2, 5, D_MODEL, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    mask = torch.zeros(5, 5, dtype=torch.float64).masked_fill(~causal_mask(5), float("-inf"))
    torch.testing.assert_close(ours(x, causal_mask(5)), theirs(x, attention_mask=mask[None, None]), atol=1e-12, rtol=0)


def test_gpt2_with_an_output_matrix_of_its_own_is_refused():
    theirs = gpt2(language_model())
    theirs.lm_head.weight = torch.nn.Parameter(theirs.lm_head.weight.clone())
    with pytest.raises(ValueError, match="GPT2LMHeadModel has an output matrix of its own"):
        weights.copy(theirs, language_model())


@MASKS
def test_padding_changes_nothing(mask):
    model = language_model()
    logits = model(TOKENS, mask)
    for row in range(BATCH):
        kept = slice(None) if mask is None else mask[row]
        torch.testing.assert_close(logits[row, kept], model(TOKENS[row:row + 1, kept])[0], atol=1e-12, rtol=0)


@MASKS
@CHUNKS
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_cached_equals_uncached(chunks, mask, dtype):
    model, cache, logits, attended, read = language_model(dtype), KVCache(), [], [], 0
    expected, all_weights = model(TOKENS, mask, return_weights=True)
    for size in chunks:
        chunk = slice(read, read + size)
        made, chunk_weights = model(TOKENS[:, chunk], None if mask is None else mask[:, chunk], return_weights=True,
                                    cache=cache)
        logits.append(made)
        for mine, whole in zip(chunk_weights, all_weights):
            torch.testing.assert_close(mine, whole[:, :, chunk, :read + size], atol=TOLERANCE[dtype], rtol=0)
        read += size
        assert cache.length == read
    kept = slice(None) if mask is None else mask  # what the model says of padding depends on nothing
    torch.testing.assert_close(torch.cat(logits, 1)[kept], expected[kept], atol=TOLERANCE[dtype], rtol=0)


def test_new_tokens_see_the_cache_and_not_what_follows():
    """A causal mask aligned to the first keys, as is_causal=True has it, would show them the first two places only."""
    model, cache = language_model(), KVCache()
    model(TOKENS[:, :3], cache=cache)
    _, attended = model(TOKENS[:, 3:5], return_weights=True, cache=cache)
    for layer in attended:
        assert (layer > 0).tolist() == [[[[True] * 4 + [False], [True] * 5]] * HEADS] * BATCH


def test_cache_follows_selected_rows_and_forgets():
    model, cache, rows = language_model(), KVCache(), torch.tensor([2, 0, 0])
    model(TOKENS[:, :4], LEFT[:, :4], cache=cache)
    cache.select(rows)
    logits = model(TOKENS[rows, 4:], LEFT[rows, 4:], cache=cache)
    kept = LEFT[rows, 4:]
    torch.testing.assert_close(logits[kept], model(TOKENS[rows], LEFT[rows])[:, 4:][kept], atol=1e-12, rtol=0)
    cache.clear()
    assert cache.length == 0
    torch.testing.assert_close(model(TOKENS, cache=cache), model(TOKENS), atol=1e-12, rtol=0)


def test_reading_all_leaves_a_cache_as_it_is():
    model, cache = language_model(), KVCache()
    model(TOKENS[:, :4], cache=cache)
    before = {layer: [tensor.clone() for tensor in pair] for layer, pair in cache.layers.items()}
    model(TOKENS)
    assert len(before) == LAYERS and cache.length == 4
    assert all(torch.equal(*pair) for layer in before for pair in zip(before[layer], cache.layers[layer]))


def test_parameters_are_those_of_the_parts_with_one_embedding_for_input_and_output():
    layer = 4 * D_MODEL * (D_MODEL + 1) + D_FF * (D_MODEL + 1) + D_MODEL * (D_FF + 1) + 4 * D_MODEL
    expected = (VOCAB + CONTEXT) * D_MODEL + LAYERS * layer + 2 * D_MODEL
    assert sum(parameter.numel() for parameter in language_model().parameters()) == expected


def test_first_predictions_are_nearly_uniform():
    torch.manual_seed(0)
    model = LanguageModel(VOCAB, n_layers=LAYERS, d_model=48, n_heads=HEADS, d_ff=96, max_length=CONTEXT)
    assert model(TOKENS).softmax(-1).sub(1 / VOCAB).abs().max() < 0.05


def test_dropout_is_in_training_only():
    model = language_model(dropout=0.3)
    assert torch.equal(model(TOKENS), model(TOKENS))
    model.train()
    assert not torch.isclose(model(TOKENS), model(TOKENS)).all()
    model.encoder.eval()  # what is left is the dropout of the embeddings
    assert not torch.isclose(model(TOKENS), model(TOKENS)).all()


def test_half_precision():
    model, cache = language_model(torch.float32), KVCache()
    expected = model(TOKENS, LEFT).softmax(-1)
    model.bfloat16()
    logits = torch.cat([model(TOKENS[:, chunk], LEFT[:, chunk], cache=cache) for chunk in (slice(5), slice(5, 7))], 1)
    assert logits.dtype == torch.bfloat16
    torch.testing.assert_close(logits.float().softmax(-1)[LEFT], expected[LEFT], atol=0.1, rtol=0)


def read(tokens=TOKENS, mask=None, earlier=None):
    cache = None if earlier is None else KVCache()
    model = language_model()
    if earlier is not None:
        model(earlier, cache=cache)
    model(tokens, mask, cache=cache)


@pytest.mark.parametrize("call, message", [
    (lambda: read(torch.zeros(2, 12).long()), "tokens has rows of 12 with those in the cache, expected at most max_"),
    (lambda: read(TOKENS, earlier=TOKENS), "tokens has rows of 14 with those in the cache, expected at most"),
    (lambda: read(TOKENS[:2], earlier=TOKENS[:3, :2]), "tokens has batch 2, cache has 3"),
    (lambda: read(TOKENS[:, :0]), r"tokens has shape \(4, 0\), expected at least one row and one token"),
    (lambda: read(TOKENS[0]), r"tokens has shape \(7,\), expected the 2 axes \(batch, length\)"),
    (lambda: read(TOKENS + 10), "tokens has ids 11 to 26, expected 0 to 16"),
    (lambda: read(TOKENS - 4), "tokens has ids -3 to 12"),
    (lambda: read(TOKENS.float()), "tokens has dtype torch.float32, expected whole numbers"),
    (lambda: read(TOKENS > 5), "tokens has dtype torch.bool, expected whole numbers"),
    (lambda: read(mask=LEFT[:, 1:]), "mask has length 6, tokens have 7"),
    (lambda: read(mask=LEFT[:2]), "mask has batch 2, tokens have 4"),
    (lambda: read(mask=LEFT.long()), "mask has dtype torch.int64, expected torch.bool"),
    (lambda: LanguageModel(0, n_layers=1, d_model=4, n_heads=2, d_ff=4, max_length=3), "vocab_size is 0"),
    (lambda: LanguageModel(3, n_layers=1, d_model=4, n_heads=2, d_ff=4, max_length=0), "max_length is 0"),
    (lambda: LanguageModel(3, n_layers=1, d_model=4, n_heads=3, d_ff=4, max_length=3), "expected a multiple of"),
])
def test_wrong_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
