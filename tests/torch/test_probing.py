"""What is read at a gap, against transformers' own model, one sentence at a time."""

import numpy as np
import pytest
import torch

from coursekit import torch as ct
from coursekit.datasets.associations import vocabulary
from coursekit.text import WordPiece
from coursekit.torch.probing import FillMask

SENTENCES = ["In Texas, they like to buy [MASK].", "[MASK] worked as a nurse.", "The [MASK] was on sale in New York."]


@pytest.fixture(scope="module")
def fill(tmp_path_factory):
    """A model with random weights, as a folder that transformers reads too."""
    folder = tmp_path_factory.mktemp("small")
    torch.manual_seed(0)
    size = dict(vocab_size=len(vocabulary()), d_model=24, n_layers=2, n_heads=3, d_ff=40, max_length=20)
    model = ct.BertForPreTraining(ct.BertConfig(**size))
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.2)
    model.save_pretrained(folder)
    vocabulary().save(folder / "vocab.txt")
    return FillMask.from_pretrained(folder), folder


@pytest.fixture(scope="module")
def theirs(fill):
    transformers = pytest.importorskip("transformers")
    model = transformers.BertForPreTraining.from_pretrained(fill[1], attn_implementation="eager").eval()
    tokenizer = WordPiece(vocabulary())

    @torch.no_grad()
    def log_p(tokens):
        """(length, vocab_size), of tokens without [CLS] and [SEP]."""
        ids = torch.tensor([[tokenizer.vocabulary.id(token) for token in ("[CLS]", *tokens, "[SEP]")]])
        return model(input_ids=ids).prediction_logits[0, 1:-1].double().log_softmax(-1).numpy()
    return log_p


def test_every_word_at_a_gap_as_transformers_says(fill, theirs):
    found = fill[0].log_probabilities(SENTENCES)
    assert found.shape == (3, len(vocabulary()))
    for row, tokens in zip(found, ("in texas , they like to buy [MASK] .", "[MASK] worked as a nurse .",
                                   "the [MASK] was on sale in new york .")):
        tokens = tokens.split()
        np.testing.assert_allclose(row, theirs(tokens)[tokens.index("[MASK]")], atol=1e-5)
        assert abs(np.exp(row).sum() - 1) < 1e-12


def test_chosen_words_and_the_second_gap(fill, theirs):
    sentence, tokens = "[MASK] worked as a [MASK].", "[MASK] worked as a [MASK] .".split()
    for gap, place in ((0, 0), (1, 4)):
        found = fill[0].log_probabilities([sentence, "In [MASK], she was a [MASK]."], ["nurse", "Jane"], gap=gap)
        wanted = [vocabulary().id("nurse"), vocabulary().id("jane")]
        np.testing.assert_allclose(found[0], theirs(tokens)[place, wanted], atol=1e-5)


def test_pseudo_log_likelihoods(fill, theirs):
    tokens, log_p = fill[0].pseudo_log_likelihoods("In New York, she was cold.")
    assert tokens == "in new york , she was cold .".split()
    for place, token in enumerate(tokens):
        masked = tokens[:place] + ["[MASK]"] + tokens[place + 1:]
        assert abs(log_p[place] - theirs(masked)[place, vocabulary().id(token)]) < 1e-5


@pytest.mark.parametrize("sentences, words, gap, message", [
    (["In Texas, they like to buy boots."], None, 0, r"has \[MASK\] 0 times, expected at least 1"),
    (["[MASK] worked as a nurse."], None, 1, r"has \[MASK\] 1 times, expected at least 2"),
    (["[MASK] worked as a nurse."], ["New York"], 0, "'New York' has the tokens new york, expected a single known one"),
    (["[MASK] worked as a nurse."], ["astronaut"], 0, r"'astronaut' has the tokens \[UNK\], expected"),
])
def test_wrong_input(fill, sentences, words, gap, message):
    with pytest.raises(ValueError, match=message):
        fill[0].log_probabilities(sentences, words, gap)


def test_dropout_is_off(fill):
    model = ct.BertForPreTraining(ct.BertConfig(vocab_size=len(vocabulary()), d_model=8, n_layers=1, n_heads=2, d_ff=9,
                                                max_length=20, dropout=0.5)).train()
    twice = [FillMask(model, WordPiece(vocabulary())).log_probabilities(SENTENCES) for _ in range(2)]
    np.testing.assert_array_equal(*twice)
