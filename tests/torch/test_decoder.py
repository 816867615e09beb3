"""The decoder against nn.TransformerDecoderLayer and nn.Transformer, and the translation model against its parts."""

import math

import pytest
import torch
from torch import nn

from coursekit import weights
from coursekit.torch import (
    Decoder,
    DecoderLayer,
    Transformer,
    TranslationModel,
    causal_mask,
    padding_mask,
    sinusoidal_positions,
)

BATCH, LENGTH, SOURCE, D_MODEL, HEADS, D_FF = 2, 5, 7, 12, 3, 8
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}
DTYPES = pytest.mark.parametrize("dtype", TOLERANCE)
NORM_FIRST = pytest.mark.parametrize("norm_first", [False, True], ids=["post-norm", "pre-norm"])
CAUSAL, PADDING = causal_mask(LENGTH), padding_mask([4, 7])
MASKS = {"none": (None, None), "causal": (CAUSAL, None), "padding": (CAUSAL, PADDING),
         "both": (CAUSAL & padding_mask([5, 3]), PADDING)}


def random(*shape, dtype=torch.float64, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def away_from_start(module, dtype=torch.float64):
    """Norms that scale and shift, biases that are not zero."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return module.to(dtype)


def of_torch(ours, dtype=torch.float64, **settings):
    theirs = nn.TransformerDecoderLayer(D_MODEL, HEADS, D_FF, batch_first=True, dtype=dtype,
                                        **({"dropout": 0.0} | settings))
    weights.copy(ours, theirs)
    return theirs


def their_mask(mask, keys):
    """A mask of ours as torch's, True = forbidden, (batch · heads, length, keys)."""
    return None if mask is None else ~mask.expand(BATCH, LENGTH, keys).repeat_interleave(HEADS, 0)


@DTYPES
@NORM_FIRST
@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("mask, memory_mask", MASKS.values(), ids=MASKS)
def test_layer_equals_torch_with_gradients(dtype, norm_first, activation, mask, memory_mask):
    settings = dict(activation=activation, norm_first=norm_first)
    ours = away_from_start(DecoderLayer(D_MODEL, HEADS, D_FF, norm_epsilon=1e-3, **settings), dtype)
    theirs, tolerance = of_torch(ours, dtype, layer_norm_eps=1e-3, **settings), TOLERANCE[dtype]
    x, memory = random(BATCH, LENGTH, D_MODEL, dtype=dtype), random(BATCH, SOURCE, D_MODEL, dtype=dtype, seed=5)
    given = [tensor.clone().requires_grad_() for tensor in (x, memory, x, memory)]
    output = ours(*given[:2], mask, memory_mask)
    expected = theirs(*given[2:], tgt_mask=their_mask(mask, LENGTH), memory_mask=their_mask(memory_mask, SOURCE))
    torch.testing.assert_close(output, expected, atol=tolerance, rtol=0)
    readable, attended = ours(x, memory, mask, memory_mask, return_weights=True)
    torch.testing.assert_close(readable, output, atol=tolerance, rtol=0)
    assert attended.self_attention.shape == (BATCH, HEADS, LENGTH, LENGTH)
    assert attended.cross_attention.shape == (BATCH, HEADS, LENGTH, SOURCE)
    for made in (output, expected):
        made.square().sum().backward()
    for mine, its in zip(given[:2], given[2:]):
        torch.testing.assert_close(mine.grad, its.grad, atol=20 * tolerance, rtol=tolerance)
    mine, its = weights.weights_of(ours), weights.weights_of(theirs)
    for name in mine:
        gradients = [weight.variables[0].grad[weight.rows] for weight in (mine[name], its[name])]
        torch.testing.assert_close(*gradients, atol=20 * tolerance, rtol=tolerance, msg=name)


@NORM_FIRST
def test_returned_weights_are_torchs(norm_first):
    """Its own attention modules, asked on the inputs that the layer gives them."""
    ours = away_from_start(DecoderLayer(D_MODEL, HEADS, D_FF, norm_first=norm_first))
    theirs, seen = of_torch(ours, norm_first=norm_first), []
    for module in (theirs.self_attn, theirs.multihead_attn):
        module.register_forward_pre_hook(lambda module, args: seen.append((module, args)))
    x, memory = random(BATCH, LENGTH, D_MODEL), random(BATCH, SOURCE, D_MODEL, seed=5)
    theirs(x, memory, tgt_mask=~CAUSAL, memory_key_padding_mask=~PADDING[:, 0])
    masks = [dict(attn_mask=~CAUSAL), dict(key_padding_mask=~PADDING[:, 0])]
    expected = [module(*args, **mask, average_attn_weights=False)[1] for (module, args), mask in zip(list(seen), masks)]
    _, attended = ours(x, memory, CAUSAL, PADDING, return_weights=True)
    torch.testing.assert_close(attended.self_attention, expected[0], atol=1e-12, rtol=0)
    torch.testing.assert_close(attended.cross_attention, expected[1], atol=1e-12, rtol=0)


@NORM_FIRST
@pytest.mark.parametrize("batch, length, source", [(1, 1, 1), (1, 6, 1), (3, 1, 4)])
def test_layer_equals_torch_on_small_batches(norm_first, batch, length, source):
    ours = away_from_start(DecoderLayer(D_MODEL, HEADS, D_FF, norm_first=norm_first))
    x, memory = random(batch, length, D_MODEL), random(batch, source, D_MODEL, seed=5)
    expected = of_torch(ours, norm_first=norm_first)(x, memory)
    torch.testing.assert_close(ours(x, memory), expected, atol=1e-12, rtol=0)


@NORM_FIRST
def test_dropout_falls_where_torchs_does(norm_first):
    """The same draws at the same places, in training only."""
    ours = away_from_start(DecoderLayer(D_MODEL, HEADS, D_FF, dropout=0.3, norm_first=norm_first))
    # One row: with more, torch's attention returns them in another order of memory, in which the draws are made.
    x, memory, outputs = random(1, LENGTH, D_MODEL), random(1, SOURCE, D_MODEL, seed=5), []
    for layer in (ours, of_torch(ours, dropout=0.3, norm_first=norm_first)):
        torch.manual_seed(4)
        outputs.append(layer(x, memory))
    torch.testing.assert_close(*outputs, atol=1e-12, rtol=0)
    assert not torch.isclose(ours(x, memory), outputs[0]).all()
    expected = of_torch(ours, norm_first=norm_first)(x, memory)
    torch.testing.assert_close(ours.eval()(x, memory), expected, atol=1e-12, rtol=0)


@pytest.mark.filterwarnings("ignore:enable_nested_tensor is True")
@DTYPES
@NORM_FIRST
def test_transformer_equals_torchs(dtype, norm_first):
    ours = away_from_start(Transformer(2, D_MODEL, HEADS, D_FF, norm_first=norm_first, norm_epsilon=1e-4), dtype)
    theirs = nn.Transformer(D_MODEL, HEADS, 2, 2, D_FF, dropout=0.0, norm_first=norm_first, layer_norm_eps=1e-4,
                            batch_first=True, dtype=dtype)
    if not norm_first:
        theirs.encoder.norm = theirs.decoder.norm = None
    weights.copy(ours, theirs)
    source, target = random(BATCH, SOURCE, D_MODEL, dtype=dtype), random(BATCH, LENGTH, D_MODEL, dtype=dtype, seed=5)
    padding = ~PADDING[:, 0]
    expected = theirs(source, target, tgt_mask=~CAUSAL, src_key_padding_mask=padding, memory_key_padding_mask=padding)
    output, (encoder_weights, decoder_weights) = ours(source, target, CAUSAL, PADDING, return_weights=True)
    for made in (output, ours(source, target, CAUSAL, PADDING)):
        torch.testing.assert_close(made, expected, atol=TOLERANCE[dtype], rtol=0)
    assert [layer.shape for layer in encoder_weights] == [(BATCH, HEADS, SOURCE, SOURCE)] * 2
    assert [layer.cross_attention.shape for layer in decoder_weights] == [(BATCH, HEADS, LENGTH, SOURCE)] * 2
    assert not encoder_weights[0][0, :, :, 4:].any() and not decoder_weights[1].cross_attention[0, :, :, 4:].any()
    back = Transformer(2, D_MODEL, HEADS, D_FF, norm_first=norm_first, norm_epsilon=1e-4).to(dtype)
    weights.copy(theirs, back)
    assert torch.equal(back(source, target, CAUSAL, PADDING), ours(source, target, CAUSAL, PADDING))


@NORM_FIRST
def test_stack_equals_torch(norm_first):
    ours = away_from_start(Decoder(3, D_MODEL, HEADS, D_FF, norm_first=norm_first))
    theirs = nn.TransformerDecoder(of_torch(ours.layers[0], norm_first=norm_first), 3,
                                   norm=nn.LayerNorm(D_MODEL, dtype=torch.float64) if norm_first else None)
    weights.copy(ours, theirs)
    x, memory = random(BATCH, LENGTH, D_MODEL), random(BATCH, SOURCE, D_MODEL, seed=5)
    expected = theirs(x, memory, tgt_mask=~CAUSAL, memory_key_padding_mask=~PADDING[:, 0])
    torch.testing.assert_close(ours(x, memory, CAUSAL, PADDING), expected, atol=1e-12, rtol=0)
    weight = ours(x, memory, CAUSAL, PADDING, return_weights=True)[1][1]
    after_first = ours.layers[0](x, memory, CAUSAL, PADDING)
    torch.testing.assert_close(weight, ours.layers[1](after_first, memory, CAUSAL, PADDING, return_weights=True)[1])


@pytest.mark.filterwarnings("ignore:enable_nested_tensor is True")
def test_post_norm_transformer_of_torch_has_norms_that_the_paper_has_not():
    with pytest.raises(ValueError, match="target Transformer has the weight decoder.final_norm.bias, which source"):
        weights.copy(Transformer(1, D_MODEL, HEADS, D_FF), nn.Transformer(D_MODEL, HEADS, 1, 1, D_FF))


@NORM_FIRST
def test_causal_mask_hides_what_follows(norm_first):
    ours = away_from_start(Decoder(2, D_MODEL, HEADS, D_FF, norm_first=norm_first))
    x, memory = random(BATCH, LENGTH, D_MODEL), random(BATCH, SOURCE, D_MODEL, seed=5)
    changed = torch.cat([x[:, :3], random(BATCH, 2, D_MODEL, seed=6)], dim=1)
    torch.testing.assert_close(ours(changed, memory, CAUSAL)[:, :3], ours(x, memory, CAUSAL)[:, :3])
    assert not torch.isclose(ours(changed, memory)[:, :3], ours(x, memory)[:, :3]).any()


@NORM_FIRST
def test_source_without_any_place_stays_finite(norm_first):
    ours = away_from_start(Transformer(2, D_MODEL, HEADS, D_FF, norm_first=norm_first))
    source, target = random(BATCH, SOURCE, D_MODEL), random(BATCH, LENGTH, D_MODEL, seed=5)
    output = ours(source, target, CAUSAL, padding_mask([0, 4], max_length=SOURCE))
    output.square().sum().backward()
    assert output.isfinite().all() and all(parameter.grad.isfinite().all() for parameter in ours.parameters())
    torch.testing.assert_close(output[1:], ours(source[1:, :4], target[1:], CAUSAL), atol=1e-12, rtol=0)


def test_inputs_are_left_as_they_were():
    ours = away_from_start(DecoderLayer(D_MODEL, HEADS, D_FF))
    given = [random(D_MODEL, LENGTH, BATCH).permute(2, 1, 0), random(BATCH, SOURCE, D_MODEL), CAUSAL, PADDING]
    before = [tensor.clone() for tensor in given]
    output = ours(*given)
    assert all(torch.equal(*pair) for pair in zip(before, given))
    torch.testing.assert_close(output, ours(given[0].contiguous(), *given[1:]), atol=1e-12, rtol=0)


def translation_model(**settings):
    return away_from_start(TranslationModel(11, 9, **(dict(n_layers=2, d_model=D_MODEL, n_heads=HEADS, d_ff=D_FF,
                                                           max_length=8) | settings)))


SENTENCE = torch.tensor([[1, 10, 3, 2, 0, 0], [1, 4, 5, 6, 7, 2]])
TRANSLATION = torch.tensor([[1, 8, 3, 2], [1, 4, 4, 5]])


@NORM_FIRST
def test_translation_model_equals_its_parts(norm_first):
    model = translation_model(norm_first=norm_first)
    vectors = [math.sqrt(D_MODEL) * embedding.weight[tokens] + sinusoidal_positions(tokens.shape[1], D_MODEL).double()
               for embedding, tokens in ((model.source_embedding, SENTENCE), (model.target_embedding, TRANSLATION))]
    output = model.transformer(*vectors, causal_mask(4), (SENTENCE != 0).unsqueeze(1))
    expected = output @ model.target_embedding.weight.T
    torch.testing.assert_close(model(SENTENCE, TRANSLATION), expected, atol=1e-12, rtol=0)
    logits, (_, decoder_weights) = model(SENTENCE, TRANSLATION, return_weights=True)
    torch.testing.assert_close(logits, expected, atol=1e-12, rtol=0)
    assert decoder_weights[-1].cross_attention.shape == (2, HEADS, 4, 6)


def test_padding_and_later_tokens_do_not_change_a_translation():
    model = translation_model()
    logits = model(SENTENCE, TRANSLATION)
    torch.testing.assert_close(model(SENTENCE[:1, :4], TRANSLATION[:1]), logits[:1], atol=1e-12, rtol=0)
    torch.testing.assert_close(model(SENTENCE, TRANSLATION[:, :3]), logits[:, :3], atol=1e-12, rtol=0)


def test_given_its_source_the_model_is_a_function_of_the_target():
    model = translation_model()
    torch.testing.assert_close(model.given(SENTENCE)(TRANSLATION), model(SENTENCE, TRANSLATION), atol=1e-12, rtol=0)
    beams = torch.tensor([[1, 2], [1, 3], [1, 4], [1, 5], [1, 6], [1, 7]])
    expected = model(SENTENCE[[0, 0, 0, 1, 1, 1]], beams)
    torch.testing.assert_close(model.given(SENTENCE)(beams), expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("call, message", [
    (lambda: DecoderLayer(10, 3, 7), "d_model is 10, expected a multiple of n_heads, which is 3"),
    (lambda: DecoderLayer(12, 3, 7)(torch.zeros(2, 5, 8), torch.zeros(2, 4, 12)), "x has d_model 8, expected 12"),
    (lambda: DecoderLayer(12, 3, 7)(torch.zeros(2, 5, 12), torch.zeros(3, 4, 12)), "memory has batch 3, x has 2"),
    (lambda: DecoderLayer(12, 3, 7, norm_first=True)(torch.zeros(2, 5, 12), torch.zeros(2, 4, 8)),
     "memory has d_model 8, expected 12"),
    (lambda: DecoderLayer(12, 3, 7)(torch.zeros(2, 5, 12), torch.zeros(2, 4, 12), causal_mask(4)),
     "mask has queries 4, query has 5"),
    (lambda: DecoderLayer(12, 3, 7)(torch.zeros(2, 5, 12), torch.zeros(2, 4, 12), None, padding_mask([5, 2])),
     "mask has keys 5, key has 4"),
    (lambda: Decoder(0, 12, 3, 7), "n_layers is 0, expected a whole number of at least 1"),
    (lambda: Transformer(1, 12, 3, 7)(torch.zeros(2, 5, 12), torch.zeros(2, 5, 12), None,
                                      causal_mask(5).expand(2, 5, 5)), "source_mask has queries 5, expected 1"),
    (lambda: translation_model()(SENTENCE, torch.tensor([[1, 9], [1, 2]])), "target has ids 1 to 9, expected 0 to 8"),
    (lambda: translation_model()(torch.full((2, 3), -1), TRANSLATION), "source has ids -1 to -1, expected 0 to 10"),
    (lambda: translation_model()(SENTENCE.float(), TRANSLATION), "source has dtype torch.float32, expected whole"),
    (lambda: translation_model()(SENTENCE, TRANSLATION[:, :0]), r"target has shape \(2, 0\), expected at least one"),
    (lambda: translation_model()(SENTENCE, TRANSLATION.repeat(1, 3)), "x has length 12, expected at most max_length"),
    (lambda: translation_model()(SENTENCE[:1], TRANSLATION), "memory has batch 1, x has 2"),
    (lambda: translation_model().given(SENTENCE)(TRANSLATION[:1]), "target has batch 1, expected a multiple of"),
    (lambda: translation_model().given(SENTENCE)(TRANSLATION[[0, 1, 0]]), "target has batch 3, expected a multiple of"),
])
def test_wrong_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
