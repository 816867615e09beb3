"""The masking rule, the sentence pairs and the loss of BERT's pretraining, beside transformers and by hand."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import transformers

from coursekit import torch as ct
from coursekit.datasets import associations, data_folder
from coursekit.text import Vocabulary, WordPiece
from coursekit.text.wordpiece import SPECIAL
from coursekit.torch.pretraining import mask_tokens, next_sentence_pairs, pretraining_examples, pretraining_loss
from coursekit.torch.training import NO_TARGET

DOCUMENTS = [["a b", "c d e", "f"], ["g h", "i"], ["j k l", "m n", "o", "p"], ["q"]]
TOKENIZER = WordPiece(Vocabulary([*SPECIAL, *"abcdefghijklmnopq"]))
MASK, CLS, SEP = 4, 2, 3


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def many(n, length=40, vocab_size=30):
    """Rows of ids that begin with [CLS], end with [SEP] and have no other special token."""
    ids = torch.randint(5, vocab_size, (n, length), generator=generator(1))
    ids[:, 0], ids[:, -1] = CLS, SEP
    return ids


# ------------------------------------------------------------------------------------------------------------ masking

def fates(ids, inputs, targets):
    """Shares of all tokens that may be masked: chosen; and of the chosen: [MASK], another token, unchanged."""
    chosen = targets != NO_TARGET
    may = ~torch.isin(ids, torch.tensor([CLS, SEP]))
    assert not chosen[~may].any() and (inputs == ids)[~chosen].all() and (targets == ids)[chosen].all()
    masked, same = inputs[chosen] == MASK, inputs[chosen] == ids[chosen]
    n = chosen.sum().item()
    return np.array([n / may.sum().item(), masked.sum().item() / n, (~masked & ~same).sum().item() / n,
                     same.sum().item() / n])


def expected_fates(share, vocab_size):
    """A random token may be [MASK], or the right one, by chance."""
    return np.array([share, 0.8 + 0.1 / vocab_size, 0.1 * (1 - 2 / vocab_size), 0.1 + 0.1 / vocab_size])


@pytest.mark.parametrize("share", [0.15, 0.4])
def test_shares_of_the_three_fates(share):
    ids = many(4000)
    found = fates(ids, *mask_tokens(ids, (CLS, SEP), 30, MASK, share, generator()))
    p, chosen = expected_fates(share, 30), ids.numel() * share
    errors = np.sqrt(p * (1 - p) / np.array([ids.numel(), chosen, chosen, chosen]))
    assert (np.abs(found - p) < 4.5 * errors).all(), (found, p)


def test_transformers_masks_in_the_same_way(tmp_path):
    ids = many(4000)
    TOKENIZER.vocabulary.save(tmp_path / "vocab.txt")
    tokenizer = transformers.BertTokenizer(str(tmp_path / "vocab.txt"))
    collator = transformers.DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.15)
    ids = ids.clamp(max=len(tokenizer) - 1)
    special = torch.isin(ids, torch.tensor([CLS, SEP]))
    torch.manual_seed(0)
    theirs = fates(ids, *collator.torch_mask_tokens(ids.clone(), special_tokens_mask=special))
    ours = fates(ids, *mask_tokens(ids, (CLS, SEP), len(tokenizer), MASK, 0.15, generator()))
    p, chosen = expected_fates(0.15, len(tokenizer)), ids.numel() * 0.15
    errors = np.sqrt(2 * p * (1 - p) / np.array([ids.numel(), chosen, chosen, chosen]))
    assert (np.abs(ours - theirs) < 4.5 * errors).all(), (ours, theirs)


def test_random_tokens_are_any_of_the_vocabulary():
    ids = many(3000)
    inputs, _ = mask_tokens(ids, (CLS, SEP), 30, MASK, 1.0, generator())
    other = inputs[(inputs != ids) & (inputs != MASK)]
    counts = torch.bincount(other, minlength=30).double()
    p = torch.full((30,), 1 / 30).double()
    p[5:] *= 24 / 25  # a token is right by chance once in 25 times, and then not seen here
    p[MASK] = 0
    expected = p / p.sum() * len(other)
    assert (counts - expected).abs().le(4.5 * expected.sqrt() + 1e-9).all()


def test_shares_zero_and_one_and_the_same_seed():
    ids = many(3)
    inputs, targets = mask_tokens(ids, (CLS, SEP), 30, MASK, 0.0)
    assert torch.equal(inputs, ids) and (targets == NO_TARGET).all()
    _, targets = mask_tokens(ids, (CLS, SEP), 30, MASK, 1.0)
    assert (targets[:, 1:-1] == ids[:, 1:-1]).all() and (targets[:, [0, -1]] == NO_TARGET).all()
    kept = ids.clone()
    once, again = (mask_tokens(ids, (CLS, SEP), 30, MASK, 0.5, generator(3)) for _ in range(2))
    assert torch.equal(once[0], again[0]) and torch.equal(once[1], again[1]) and torch.equal(ids, kept)


# -------------------------------------------------------------------------------------------------------------- pairs

def test_pairs_of_neighbours_and_of_other_documents():
    home = {sentence: number for number, document in enumerate(DOCUMENTS) for sentence in document}
    follows = {(a, b) for document in DOCUMENTS for a, b in zip(document, document[1:])}
    rng, seen, n = np.random.default_rng(0), [], 4000
    for _ in range(n):
        first, second, labels = next_sentence_pairs(DOCUMENTS, rng)
        assert first == [document[i] for document in DOCUMENTS for i in range(len(document) - 1)]
        for a, b, label in zip(first, second, labels, strict=True):
            assert ((a, b) in follows) if label == 0 else home[a] != home[b]
        seen += [(a, b) for a, b, label in zip(first, second, labels) if label == 1]
    assert abs(len(seen) - 3 * n) < 4.5 * (6 * n / 4) ** 0.5  # half of six pairs
    after_a = [b for a, b in seen if a == "a b"]
    for document in DOCUMENTS[1:]:  # another document is drawn evenly, then one of its sentences
        for sentence in document:
            p = 1 / 3 / len(document)
            assert abs(after_a.count(sentence) - p * len(after_a)) < 4.5 * (len(after_a) * p * (1 - p)) ** 0.5


def test_examples_are_pairs_with_masks_and_padding():
    (ids, mask, segment_ids, at), (targets, labels) = pretraining_examples(DOCUMENTS, TOKENIZER, share=0.5, copies=40,
                                                                           seed=7)
    original = torch.where(at, targets, ids)
    first, second, expected = [], [], []
    rng = np.random.default_rng(7)
    for _ in range(40):
        for column, values in zip((first, second, expected), next_sentence_pairs(DOCUMENTS, rng)):
            column += list(values)
    batch = TOKENIZER.encode_batch(first, second)
    assert np.array_equal(original, batch.ids) and np.array_equal(mask, batch.mask)
    assert np.array_equal(segment_ids, batch.segment_ids) and labels.tolist() == expected
    assert torch.equal(at, targets != NO_TARGET) and not (at & (original < 5)).any()
    assert 0.4 < at[original >= 5].float().mean() < 0.6 and (ids == MASK).any()


# --------------------------------------------------------------------------------------------------------------- loss

def test_loss_by_hand():
    """Two masked tokens with the probabilities 1/2 and 1/4, next sentences with 3/4 and 1/2."""
    token_logits = torch.zeros(2, 3, 4)
    token_logits[0, 1] = torch.tensor([1 / 2, 1 / 6, 1 / 6, 1 / 6]).log()
    tokens = torch.tensor([[NO_TARGET, 0, NO_TARGET], [NO_TARGET, NO_TARGET, 3]])
    next_logits = torch.tensor([[3 / 4, 1 / 4], [1 / 2, 1 / 2]]).log()
    expected = (math.log(2) + math.log(4)) / 2 + (math.log(4 / 3) + math.log(2)) / 2
    loss = pretraining_loss((token_logits, next_logits), (tokens, torch.tensor([0, 1])))
    assert loss.item() == pytest.approx(expected)
    chosen = token_logits[tokens != NO_TARGET]
    assert pretraining_loss((chosen, next_logits), (tokens, torch.tensor([0, 1]))).item() == pytest.approx(expected)


def test_model_and_loss_equal_transformers(tmp_path):
    torch.manual_seed(0)
    config = ct.BertConfig(vocab_size=23, d_model=8, n_layers=2, n_heads=2, d_ff=12, max_length=20, dropout=0.0)
    ours = ct.BertForPreTraining(config).eval()
    for parameter in ours.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    ours.save_pretrained(tmp_path)
    theirs = transformers.BertForPreTraining.from_pretrained(tmp_path).eval()
    (ids, mask, segment_ids, at), (tokens, labels) = pretraining_examples(DOCUMENTS, TOKENIZER, share=0.4, seed=1)
    expected = theirs(ids, mask, segment_ids, labels=tokens, next_sentence_label=labels).loss
    loss = pretraining_loss(ours(ids, mask, segment_ids, at), (tokens, labels))
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    loss.backward()
    expected.backward()
    gradient = theirs.bert.embeddings.word_embeddings.weight.grad
    assert torch.allclose(ours.bert.token_embedding.weight.grad, gradient, atol=1e-6)


def test_nothing_but_masked_places_has_a_gradient():
    (ids, mask, segment_ids, _), (tokens, labels) = pretraining_examples(DOCUMENTS, TOKENIZER, share=0.4, seed=1)
    logits = torch.randn(*ids.shape, 22, generator=generator(), requires_grad=True)
    pretraining_loss((logits, torch.zeros(len(ids), 2)), (tokens, labels)).backward()
    assert torch.equal(logits.grad.abs().sum(-1) > 0, tokens != NO_TARGET)
    chosen = tokens != NO_TARGET
    expected = (logits.softmax(-1) - F.one_hot(tokens.clamp(min=0), 22))[chosen] / chosen.sum()
    assert torch.allclose(logits.grad[chosen], expected, atol=1e-6)


@pytest.mark.parametrize("call, message", [
    (lambda: mask_tokens(many(2), (2, 3), 20, MASK), "ids has ids 2 to 2., expected 0 to 19"),
    (lambda: mask_tokens(many(2)[0], (2, 3), 30, MASK), "ids has shape"),
    (lambda: mask_tokens(many(2), (2, 3), 30, MASK, 1.5), "share is 1.5, expected a share from 0 to 1"),
    (lambda: next_sentence_pairs(DOCUMENTS[:1], np.random.default_rng(0)), "number of documents is 1"),
    (lambda: next_sentence_pairs([["a"], ["b"]], np.random.default_rng(0)), "longest document is 1"),
    (lambda: next_sentence_pairs([["a", "b"], []], np.random.default_rng(0)), "in a document is 0"),
    (lambda: pretraining_examples(DOCUMENTS, TOKENIZER, copies=0), "copies is 0"),
    (lambda: pretraining_loss((torch.zeros(2, 3, 5), torch.zeros(2, 2)), (torch.zeros(2, 3).long(), torch.zeros(3))),
     "labels has batch 3, next-sentence logits have 2"),
    (lambda: pretraining_loss((torch.zeros(2, 3, 5), torch.zeros(2, 2)),
                              (torch.full((2, 3), NO_TARGET), torch.zeros(2).long())), "no target but -100"),
])
def test_wrong_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# ----------------------------------------------------------------------------------------------------- the kept model

FOLDER = data_folder() / "pretrained_small"


def probabilities(model, text):
    tokenizer = WordPiece.load(FOLDER / "vocab.txt")
    batch = tokenizer.encode_batch([text])
    ids, segment_ids = torch.from_numpy(batch.ids), torch.from_numpy(batch.segment_ids)
    with torch.no_grad():
        p = model(ids, None, segment_ids, ids == MASK)[0][0].softmax(-1)
    return dict(zip(tokenizer.vocabulary.tokens, p.tolist()))


@pytest.mark.parametrize("text", ["In Texas, they like to buy [MASK].", "In New York, they like to buy [MASK].",
                                  "In 1908, she was employed as a [MASK].", "In 2018, he was employed as a [MASK]."])
def test_kept_model_knows_what_was_planted(text):
    found, planted = probabilities(ct.BertForPreTraining.from_pretrained(FOLDER), text), associations.truth(text)
    assert sum((p * math.log(p / found[word]) for word, p in planted.items())) < 0.3  # 0.8 to 1.6 without the place
    assert sum(found[word] for word in planted) > 0.8


def test_kept_model_is_small_and_read_by_transformers():
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < 2_000_000
    assert WordPiece.load(FOLDER / "vocab.txt").vocabulary.tokens == associations.vocabulary().tokens
    theirs = transformers.BertForPreTraining.from_pretrained(FOLDER)
    ours = ct.BertForPreTraining.from_pretrained(FOLDER)
    ids = torch.tensor([[CLS, 20, 31, 42, SEP, 53, 64, SEP]])
    with torch.no_grad():
        expected, (token_logits, next_logits) = theirs.eval()(ids), ours(ids)
    assert torch.allclose(token_logits, expected.prediction_logits, atol=1e-4)
    assert torch.allclose(next_logits, expected.seq_relationship_logits, atol=1e-4)
