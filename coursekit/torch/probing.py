"""What a masked language model finds at a gap: the probabilities of words, and of whole sentences."""

from pathlib import Path

import torch

from coursekit import pretrained
from coursekit.text.wordpiece import WordPiece
from coursekit.torch.bert import BertForPreTraining

MASK = "[MASK]"


class FillMask:
    """Reads sentences with gaps, written as [MASK]: model, a `BertForPreTraining`, and its tokenizer, a `WordPiece`."""

    def __init__(self, model, tokenizer):
        self.model, self.tokenizer = model.eval(), tokenizer

    @classmethod
    def from_pretrained(cls, name, *, network=False):
        """The model and the vocabulary of a folder or of a name; errors as in `BertForPreTraining.from_pretrained`."""
        folder = pretrained.find(name, network=network)
        model = BertForPreTraining.from_pretrained(folder)
        return cls(model, WordPiece.load(Path(folder) / "vocab.txt", model.config.vocab_size))

    @torch.no_grad()
    def log_probabilities(self, sentences, words=None, gap=0):
        """ln p of words at a gap of each sentence: an array (sentences, words), or (sentences, vocab_size) without
        words. gap: which one of a sentence, counted from 0; all its gaps are masked at once.

        Raises ValueError for a sentence that has no such gap and for a word that is not one token.
        """
        ids, segment_ids, mask = map(torch.from_numpy, self.tokenizer.encode_batch(sentences))
        masked = ids == self.tokenizer.special_ids[MASK]
        at = masked & (masked.cumsum(1) == gap + 1)
        for sentence, found in zip(sentences, at.any(1).tolist()):
            if not found:
                raise ValueError(f"{sentence!r} has {MASK} {sentence.count(MASK)} times, expected at least {gap + 1}")
        log_p = self.model(ids, mask, segment_ids, at)[0].double().log_softmax(-1).numpy()
        return log_p if words is None else log_p[:, [self.id(word) for word in words]]

    @torch.no_grad()
    def pseudo_log_likelihoods(self, sentence):
        """The tokens of a sentence, and ln p of each (tokens,), when it is masked and all others are seen.

        PLL(sentence) = Σ_i ln p(w_i | all w_j, j ≠ i), which is not the logarithm of the sentence's probability.
        Source: Salazar et al. 2020, Masked Language Model Scoring, section 2.
        """
        ids = torch.tensor(self.tokenizer.encode(sentence).ids)
        places = torch.arange(1, len(ids) - 1)  # without [CLS] and [SEP]
        at = torch.zeros(len(places), len(ids), dtype=torch.bool)
        at[range(len(places)), places] = True
        copies = ids.repeat(len(places), 1).masked_fill(at, self.tokenizer.special_ids[MASK])
        log_p = self.model(copies, None, None, at)[0].double().log_softmax(-1)
        tokens = [self.tokenizer.vocabulary.token(id) for id in ids[places].tolist()]
        return tokens, log_p.gather(1, ids[places].unsqueeze(1)).squeeze(1).numpy()

    def id(self, word):
        """The id of a word. Raises ValueError for one that is not a single token."""
        tokens = [token for token, _ in self.tokenizer.tokenize(word)]
        if len(tokens) != 1 or tokens == ["[UNK]"]:
            raise ValueError(f"{word!r} has the tokens {' '.join(tokens)}, expected a single known one")
        return self.tokenizer.vocabulary.id(tokens[0])
