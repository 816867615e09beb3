"""What BERT is pretrained on: masked words, and pairs of sentences of which the second may follow the first."""

import copy
import functools

import numpy as np
import torch
import torch.nn.functional as F

from coursekit.shapes import expect, expect_at_least, expect_tokens
from coursekit.torch.training import NO_TARGET, token_cross_entropy


def mask_tokens(ids, special_ids, vocab_size, mask_id, share=0.15, generator=None):
    """Inputs and targets of the masked language model: what the model reads, and what it is asked.

    Each token is chosen with the probability `share`, unless it is one of `special_ids`. A chosen one becomes mask_id
    in 80 % of cases, any token of the vocabulary in 10 %, and stays as it is in 10 %. Targets are the chosen tokens,
    and `NO_TARGET` (-100) elsewhere. Shapes: ids, inputs, targets (batch, length).
    Raises `ValueError` for ids outside the vocabulary and for a share that is not from 0 to 1.
    Source: Devlin et al. 2019, BERT, section 3.1 and appendix A.1. (Its code chooses the same number in every text.)
    """
    expect_tokens("ids", ids, vocab_size)
    if not 0 <= share <= 1:
        raise ValueError(f"share is {share}, expected a share from 0 to 1")
    special = torch.isin(ids, torch.tensor(list(special_ids)))
    chosen = (torch.rand(ids.shape, generator=generator) < share) & ~special
    fate = torch.rand(ids.shape, generator=generator)
    others = torch.randint(vocab_size, ids.shape, generator=generator)
    shown = torch.where(fate < 0.8, mask_id, torch.where(fate < 0.9, others, ids))
    return torch.where(chosen, shown, ids), ids.masked_fill(~chosen, NO_TARGET)


def next_sentence_pairs(documents, rng):
    """Pairs of sentences: (first, second, labels), two lists and an array; label 0: it follows, 1: it does not.

    Every two neighbours of a document (a list of sentences) make one pair, in which with the probability ½ the second
    is replaced with a sentence of another document, drawn evenly. rng: a NumPy generator.
    Raises `ValueError` for fewer than two documents, for an empty one, and where no document has two sentences.
    Source: Devlin et al. 2019, BERT, section 3.1 (there a "sentence" is a longer piece of text).
    """
    expect_at_least("the number of documents", len(documents), 2)
    expect_at_least("the number of sentences in a document", min(map(len, documents)), 1)
    expect_at_least("the number of sentences in the longest document", max(map(len, documents)), 2)
    first, second, labels = [], [], []
    for place, document in enumerate(documents):
        for sentence, following in zip(document, document[1:]):
            label = int(rng.integers(2))
            if label == 1:
                other = documents[(place + rng.integers(1, len(documents))) % len(documents)]
                following = other[rng.integers(len(other))]
            first.append(sentence)
            second.append(following)
            labels.append(label)
    return first, second, np.array(labels)


def pretraining_examples(documents, tokenizer, *, share=0.15, copies=1, seed=0):
    """Everything that `fit` needs for a `BertForPreTraining`: (ids, mask, segment_ids, at), (token targets, labels).

    The pairs of the documents `copies` times, each time with other random sentences and other masks, as BERT was
    pretrained. tokenizer: a `WordPiece`; seed fixes both. Shapes: ids, mask, segment_ids, at (where tokens are to be
    predicted) and token targets (examples, length), labels (examples,).
    Raises `ValueError` as `next_sentence_pairs` and `mask_tokens` do.
    """
    expect_at_least("copies", copies, 1)
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    tokenizer = copy.copy(tokenizer)
    tokenizer.tokenize = functools.cache(tokenizer.tokenize)  # a sentence stands in many pairs
    pairs = [next_sentence_pairs(documents, rng) for _ in range(copies)]
    first, second = ([sentence for pair in pairs for sentence in pair[side]] for side in (0, 1))
    ids, segment_ids, mask = map(torch.from_numpy, tokenizer.encode_batch(first, second))
    special = tokenizer.special_ids
    inputs, targets = mask_tokens(ids, special.values(), len(tokenizer.vocabulary), special["[MASK]"], share, generator)
    labels = torch.from_numpy(np.concatenate([pair[2] for pair in pairs]))
    return (inputs, mask, segment_ids, targets != NO_TARGET), (targets, labels)


def pretraining_loss(output, targets):
    """The loss of BERT's pretraining: that of the masked tokens plus that of the next sentence, both in nats.

    output: token logits, (batch, length, vocab_size) or (places, vocab_size) at the places that have a target, and
    next-sentence logits (batch, 2); targets: tokens (batch, length), `NO_TARGET` where nothing is asked, and labels
    (batch,). Raises `ValueError` for shapes that do not fit and where no token is asked.
    Source: Devlin et al. 2019, BERT, appendix A.2.
    """
    (token_logits, next_logits), (tokens, labels) = output, targets
    if token_logits.ndim == 2:
        tokens = tokens[tokens != NO_TARGET]
    expect("labels", labels.shape, batch=(len(next_logits), "next-sentence logits"))
    return token_cross_entropy(token_logits, tokens) + F.cross_entropy(next_logits, labels)
