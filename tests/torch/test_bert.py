"""BERT against transformers, on the pretrained weights and on small random ones, and what it refuses."""

import json

import pytest
import torch
import torch.nn.functional as F
import transformers
from safetensors.torch import load_file

from coursekit import pretrained
from coursekit import torch as ct
from coursekit.text import WordPiece

CONFIG = ct.BertConfig(vocab_size=17, d_model=12, n_layers=2, n_heads=3, d_ff=20, max_length=11, n_segments=2)
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}
DTYPE = pytest.mark.parametrize("dtype", TOLERANCE, ids=["float32", "float64"])
HEADS = [ct.BertForPreTraining, ct.BertForSequenceClassification, ct.BertForTokenClassification,
         ct.BertForQuestionAnswering]


@pytest.fixture(scope="module")
def folder():
    return pretrained.find()


@pytest.fixture(scope="module")
def ours():
    return ct.Bert.from_pretrained()


@pytest.fixture(scope="module", params=["eager", "sdpa"])
def theirs(request, folder):
    return transformers.BertModel.from_pretrained(folder, attn_implementation=request.param).eval()


@pytest.fixture(scope="module")
def texts(folder):
    """Two pairs of texts of different lengths, as (ids, mask, segment_ids)."""
    tokenizer = WordPiece.load(folder / "vocab.txt")
    batch = tokenizer.encode_batch(["The pizza came out of the oven.", "It rained."],
                                   ["It tasted good, and nobody left any of it.", "So?"])
    assert batch.mask.sum(1).tolist() == [22, 8] and batch.segment_ids.sum(1).tolist() == [12, 3]
    return tuple(map(torch.from_numpy, (batch.ids, batch.mask, batch.segment_ids)))


def small(kind=ct.Bert, **settings):
    torch.manual_seed(4)
    model = kind(CONFIG, **settings)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.2 * torch.randn_like(weight))
    return model.eval()


def inputs(seed=0):
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(17, (4, 7), generator=generator)
    return ids, ct.padding_mask([7, 3, 5, 1])[:, 0], torch.randint(2, (4, 7), generator=generator)


def close(found, expected, atol):
    torch.testing.assert_close(found, expected, atol=atol, rtol=0)


@DTYPE
def test_equals_transformers_at_every_layer_with_padding_and_pairs(ours, theirs, texts, dtype):
    ids, mask, segment_ids = texts
    ours.to(dtype), theirs.to(dtype)
    eager = theirs.config._attn_implementation == "eager"
    with torch.no_grad():
        expected = theirs(ids, mask.long(), segment_ids, output_hidden_states=True, output_attentions=eager)
        output, weights = ours(ids, mask, segment_ids, return_weights=True)
        states, fused = ours.states(ids, mask, segment_ids), ours(ids, mask, segment_ids)
    atol = TOLERANCE[dtype]
    assert len(states) == len(expected.hidden_states) == 7
    for state, hidden in zip(states, expected.hidden_states):
        close(state[mask], hidden[mask], atol)
    close(output[mask], expected.last_hidden_state[mask], atol)
    close(fused[mask], expected.last_hidden_state[mask], atol)
    close(ours.pool(output), expected.pooler_output, atol)
    if eager:
        for found, attention in zip(weights, expected.attentions, strict=True):
            close(found, attention, atol)


@DTYPE
def test_equals_transformers_at_the_maximum_length(ours, theirs, dtype):
    ids = torch.randint(1000, 30000, (1, 512), generator=torch.Generator().manual_seed(1))
    ours.to(dtype), theirs.to(dtype)
    with torch.no_grad():
        close(ours(ids), theirs(ids).last_hidden_state, TOLERANCE[dtype])
    with pytest.raises(ValueError, match="ids has length 513, expected at most max_length, which is 512"):
        ours(torch.ones(1, 513).long())


@pytest.mark.parametrize("kind", [ct.Bert, ct.BertForSequenceClassification, ct.BertForTokenClassification])
def test_dropout_is_where_transformers_has_it(kind, tmp_path):
    model, (ids, mask, segment_ids) = small(kind), inputs()
    model.save_pretrained(tmp_path)
    same = getattr(transformers, "BertModel" if kind is ct.Bert else kind.__name__)
    theirs = same.from_pretrained(tmp_path, attn_implementation="sdpa").train()
    torch.manual_seed(6)
    found = model.train()(ids, mask, segment_ids)
    torch.manual_seed(6)  # the same numbers are drawn, if they are drawn for the same places
    expected = theirs(ids, mask.long(), segment_ids)[0]
    there = mask if found.ndim == 3 else torch.ones(4, dtype=torch.bool)
    close(found[there], expected[there], 1e-5)
    assert (found - model.eval()(ids, mask, segment_ids))[there].abs().max() > 0.1


def test_gradients_and_a_step_equal_transformers(folder, texts):
    ids, mask, segment_ids = texts
    ours = ct.Bert.from_pretrained().double()
    theirs = transformers.BertModel.from_pretrained(folder).double().eval()
    generator = torch.Generator().manual_seed(2)
    factors = torch.randn(2, 22, 384, generator=generator, dtype=torch.float64) * mask.unsqueeze(-1)
    pooled = torch.randn(2, 384, generator=generator, dtype=torch.float64)

    output, expected = ours(ids, mask, segment_ids), theirs(ids, mask.long(), segment_ids)
    ((output * factors).sum() + (ours.pool(output) * pooled).sum()).backward()
    ((expected.last_hidden_state * factors).sum() + (expected.pooler_output * pooled).sum()).backward()
    by_name = dict(theirs.named_parameters())
    assert len(by_name) == len(list(ours.parameters())) == 103
    for mine, name in [("token_embedding", "embeddings.word_embeddings"), ("pooler", "pooler.dense"),
                       ("position_embedding", "embeddings.position_embeddings"),
                       ("segment_embedding", "embeddings.token_type_embeddings"),
                       ("encoder.layers.0.attention.key_projection", "encoder.layer.0.attention.self.key"),
                       ("encoder.layers.5.feed_forward.expand", "encoder.layer.5.intermediate.dense")]:
        close(ours.get_submodule(mine).weight.grad, by_name[f"{name}.weight"].grad, 1e-10)
    for model in (ours, theirs):
        torch.optim.SGD(model.parameters(), lr=0.01).step()
    with torch.no_grad():
        after, expected = ours(ids, mask, segment_ids), theirs(ids, mask.long(), segment_ids).last_hidden_state
    assert (after - output)[mask].abs().max() > 1e-3
    close(after[mask], expected[mask], 1e-10)


@pytest.mark.parametrize("kind", HEADS)
def test_heads_equal_transformers_and_travel_both_ways(kind, tmp_path):
    settings = {"n_classes": 5} if "Classification" in kind.__name__ else {}
    model, (ids, mask, segment_ids) = small(kind, **settings), inputs()
    model.save_pretrained(tmp_path / "ours")
    theirs, report = getattr(transformers, kind.__name__).from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not any(report.values())
    theirs.save_pretrained(tmp_path / "theirs")
    again = kind.from_pretrained(tmp_path / "theirs", **settings)
    with torch.no_grad():
        expected = theirs.eval()(ids, mask.long(), segment_ids).to_tuple()
        for found in (model(ids, mask, segment_ids), again(ids, mask, segment_ids)):
            if kind is ct.BertForPreTraining:
                close(found[0][mask], expected[0][mask], 1e-6)
                close(found[1], expected[1], 1e-6)
            elif kind is ct.BertForQuestionAnswering:
                close(found[mask], torch.stack(expected, -1)[mask], 1e-6)
            elif kind is ct.BertForTokenClassification:
                close(found[mask], expected[0][mask], 1e-6)
            else:
                close(found, expected[0], 1e-6)


def test_pretraining_predicts_where_it_is_asked_with_the_embedding_as_output_matrix():
    model, (ids, mask, segment_ids) = small(ct.BertForPreTraining), inputs()
    at = torch.zeros_like(mask)
    at[0, 6] = at[2, 1] = at[2, 4] = True
    everywhere, places = model(ids, mask, segment_ids)[0], model(ids, mask, segment_ids, at)[0]
    assert places.shape == (3, 17)
    close(places, everywhere[at], 1e-6)
    places[:, 13].sum().backward()  # 13 is no token of the input: its row of E is used as an output alone
    assert not (ids == 13)[at.any(1)].any() and model.bert.token_embedding.weight.grad[13].abs().sum() > 0
    with pytest.raises(ValueError, match="at has length 6, ids have 7"):
        model(ids, mask, segment_ids, at[:, 1:])


def test_question_answering_loss_is_the_mean_of_start_and_end():
    logits = torch.randn(3, 7, 2, generator=torch.Generator().manual_seed(0))
    spans = torch.tensor([[0, 4], [6, 6], [2, 3]])
    start, end = logits.unbind(-1)
    expected = (F.cross_entropy(start, spans[:, 0]) + F.cross_entropy(end, spans[:, 1])) / 2
    close(F.cross_entropy(logits, spans), expected, 1e-6)


def test_padding_changes_nothing():
    model, (ids, mask, segment_ids) = small(), inputs()
    alone = model(ids[1:2, :3], segment_ids=segment_ids[1:2, :3])
    other = ids.masked_fill(~mask, 9)
    close(model(ids, mask, segment_ids)[1:2, :3], alone, 1e-6)
    close(model(other, mask, segment_ids)[mask], model(ids, mask, segment_ids)[mask], 0)
    close(model(ids[:1], torch.ones(1, 7).bool()), model(ids[:1]), 0)


def test_starts_as_bert_does():
    torch.manual_seed(0)
    model = ct.BertForSequenceClassification(ct.BertConfig(vocab_size=900, d_model=64, n_layers=1, n_heads=4, d_ff=99))
    for name, weight in model.named_parameters():
        if "norm" in name:
            assert weight.unique().tolist() == [float("weight" in name)], name
        elif name.endswith("bias"):
            assert not weight.any(), name
        elif weight.numel() > 1000:
            assert weight.mean().abs() < 0.002 and 0.019 < weight.std() < 0.021, name


def test_an_encoder_alone_gives_a_fresh_head_and_says_so(tmp_path, capsys):
    small().save_pretrained(tmp_path)
    model = ct.BertForTokenClassification.from_pretrained(tmp_path, n_classes=5)
    assert f"BertForTokenClassification: {tmp_path} has no classifier. New ones were drawn" in capsys.readouterr().out
    assert model.classifier.weight.shape == (5, 12) and not model.training
    torch.testing.assert_close(model.bert.token_embedding.weight, small().token_embedding.weight)
    small(ct.BertForTokenClassification, n_classes=5).save_pretrained(tmp_path)
    ct.BertForTokenClassification.from_pretrained(tmp_path, n_classes=5)
    assert capsys.readouterr().out == ""
    ct.BertForQuestionAnswering.from_pretrained(tmp_path)  # the other task's head stays out
    assert "has no span_head" in capsys.readouterr().out
    with pytest.raises(ValueError, match=r"classifier\.weight has shape \(5, 12\), expected \(3, 12\)"):
        ct.BertForTokenClassification.from_pretrained(tmp_path, n_classes=3)


def test_names_of_old_checkpoints_are_read(tmp_path):
    from safetensors.torch import save_file

    model = small(ct.BertForPreTraining)
    model.save_pretrained(tmp_path)
    stored = load_file(tmp_path / "model.safetensors")
    renamed = {name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
               for name, tensor in stored.items()}
    renamed["bert.embeddings.position_ids"] = torch.arange(11)[None]
    save_file(renamed, tmp_path / "model.safetensors")
    assert sum(name.endswith(("gamma", "beta")) for name in renamed) == 12
    again = ct.BertForPreTraining.from_pretrained(tmp_path)
    for name, weight in model.named_parameters():
        torch.testing.assert_close(again.get_parameter(name), weight)


@pytest.mark.parametrize("call, message", [
    (lambda ids, mask, seg: (ids + 17, mask, seg), "ids has ids .* expected 0 to 16"),
    (lambda ids, mask, seg: (ids.float(), mask, seg), "ids has dtype torch.float32, expected whole numbers"),
    (lambda ids, mask, seg: (ids, mask[:, 1:], seg), "mask has length 6, ids have 7"),
    (lambda ids, mask, seg: (ids, mask[1:], seg), "mask has batch 3, ids have 4"),
    (lambda ids, mask, seg: (ids, mask.long(), seg), "mask has dtype torch.int64, expected torch.bool"),
    (lambda ids, mask, seg: (ids, mask, seg + 1), "segment_ids has ids 1 to 2, expected 0 to 1"),
    (lambda ids, mask, seg: (ids, mask, seg[:, 2:]), "segment_ids has length 5, ids have 7"),
    (lambda ids, mask, seg: (ids[:, :0], None, None), r"ids has shape \(4, 0\), expected at least one row and"),
])
def test_wrong_inputs_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        small()(*call(*inputs()))


@pytest.mark.parametrize("changes, message", [
    (dict(d_model=13), "d_model is 13, expected a multiple of n_heads, which is 12"),
    (dict(n_layers=0), "n_layers is 0, expected a whole number of at least 1"),
    (dict(activation="tanh"), "unknown activation 'tanh'"),
])
def test_wrong_sizes_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        ct.BertConfig(**changes)


def test_configuration_is_that_of_transformers(tmp_path):
    small(ct.BertForSequenceClassification, n_classes=3).save_pretrained(tmp_path)
    theirs = transformers.AutoConfig.from_pretrained(tmp_path)
    assert (theirs.hidden_size, theirs.num_labels, theirs.architectures) == (12, 3, ["BertForSequenceClassification"])
    stored = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert stored["hidden_act"] == "gelu" and stored["layer_norm_eps"] == 1e-12
