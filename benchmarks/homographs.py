"""Homographs in a pretrained BERT: what tells two senses of a word apart, layer by layer, and whose attention says why.

    python benchmarks/homographs.py
"""

import numpy as np
import torch

from coursekit import pretrained, seed_everything, start
from coursekit import torch as ct
from coursekit.datasets.homographs import homographs
from coursekit.results import record
from coursekit.text import WordPiece

SENSE_COLUMNS = {"Layer": "{layer}", "Same sense": "{same:.2f}", "Across": "{across:.2f}",
                 "AUC of the word (95 %)": "{word:.2f} ({word_low:.2f} to {word_high:.2f})",
                 "Nearest": "{nearest:.0%}", "Mean of the sentence": "{sentence:.2f}",
                 "“thing” in its place": "{thing:.2f}", "[MASK] in its place": "{masked:.2f}",
                 "BERT untrained": "{untrained:.2f}"}
SENSE_CAPTION = ("20 homographs, 2 senses with 6 sentences each, all-MiniLM-L6-v2. AUC: how often a pair of one sense "
                 "has a larger cosine than a pair across, mean over words, interval by bootstrap over words; 0.5 is "
                 "chance. Nearest: the most similar of the other 11 uses has the same sense. Untrained: mean of three "
                 "seeds.")
WHY_COLUMNS = {"Guide": "{guide}", "Rank correlation (95 %)": "{rank:.2f} ({rank_low:.2f} to {rank_high:.2f})",
               "First of both": "{first:.0%} ({first_low:.0%} to {first_high:.0%})"}
WHY_CAPTION = ("How well a guide orders the other words of a sentence by how far the homograph's last vector turns "
               "when one of them is hidden: 240 sentences, intervals by bootstrap over the 20 words. First: the same "
               "word comes first.")


def word_states(model, uses):
    """The words' vectors after the embeddings and after each layer, (layers + 1, uses, d_model)."""
    batch = word_piece.encode_batch([use.sentence for use in uses])
    states = torch.stack(model.states(torch.tensor(batch.ids), torch.tensor(batch.mask))).numpy()
    return np.stack([states[:, row, places(use)].mean(1) for row, use in enumerate(uses)], axis=1)


def places(use):
    """Where the pieces of the word stand among the tokens."""
    offsets = word_piece.encode(use.sentence).offsets
    return [place for place, (start, end) in enumerate(offsets) if use.start <= start < end <= use.end]


def pairs(vectors, uses):
    """Of each word the cosines of all its pairs: dict from word to (of the same sense, across senses)."""
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines, found = units @ units.T, {}
    for word in dict.fromkeys(use.word for use in uses):
        own = [number for number, use in enumerate(uses) if use.word == word]
        rows = [(uses[i].sense == uses[j].sense, cosines[i, j]) for i in own for j in own if i < j]
        found[word] = tuple(np.array([cosine for same, cosine in rows if same == kind]) for kind in (True, False))
    return found


def auc(same, across):
    """How often one of the first is larger than one of the second; a tie counts half."""
    difference = same[:, np.newaxis] - across
    return (difference > 0).mean() + (difference == 0).mean() / 2


def bootstrap(of_words, draws=2000):
    """The middle 95 % of the means of as many words, drawn with replacement."""
    rng = np.random.default_rng(0)
    means = np.asarray(of_words)[rng.integers(0, len(of_words), (draws, len(of_words)))].mean(1)
    return np.quantile(means, [0.025, 0.975])


def nearest(vectors, uses):
    """The share of uses whose most similar other use of the word has the same sense."""
    units, right = vectors / np.linalg.norm(vectors, axis=1, keepdims=True), []
    for i, use in enumerate(uses):
        others = [j for j, other in enumerate(uses) if other.word == use.word and j != i]
        right.append(uses[max(others, key=lambda j: units[i] @ units[j])].sense == use.sense)
    return np.mean(right)


def put(uses, other):
    """The same sentences with another word in the homograph's place."""
    return [use._replace(sentence=use.sentence[:use.start] + other + use.sentence[use.end:],
                         end=use.start + len(other)) for use in uses]


def sentence_states(model, uses):
    """The mean of all tokens, (layers + 1, uses, d_model)."""
    batch = word_piece.encode_batch([use.sentence for use in uses])
    states = torch.stack(model.states(torch.tensor(batch.ids), torch.tensor(batch.mask))).numpy()
    return (states * batch.mask[..., np.newaxis]).sum(2) / batch.mask.sum(1)[:, np.newaxis]


def mean_auc(vectors, uses):
    return np.mean([auc(*both) for both in pairs(vectors, uses).values()])


def senses(bert, uses):
    words, sentences = word_states(bert, uses), sentence_states(bert, uses)
    things, masked, untrained = word_states(bert, put(uses, "thing")), word_states(bert, put(uses, "[MASK]")), []
    for seed in (0, 1, 2):
        seed_everything(seed)
        untrained.append(word_states(ct.Bert(bert.config).eval(), uses))
    rows = []
    for layer in range(len(words)):
        by_word = pairs(words[layer], uses)
        of_words = [auc(*both) for both in by_word.values()]
        low, high = bootstrap(of_words)
        less = {}
        for name, other in (("sentence", sentences), ("thing", things), ("masked", masked)):
            others = [auc(*both) for both in pairs(other[layer], uses).values()]
            less[name] = np.mean(others)
            less[f"{name}_gap_low"], less[f"{name}_gap_high"] = bootstrap(np.subtract(of_words, others))
        seeds = [mean_auc(vectors[layer], uses) for vectors in untrained]
        numbers = dict(same=np.mean([same.mean() for same, _ in by_word.values()]),
                       across=np.mean([across.mean() for _, across in by_word.values()]),
                       word=np.mean(of_words), word_low=low, word_high=high, nearest=nearest(words[layer], uses),
                       untrained=np.mean(seeds), untrained_lowest=min(seeds), untrained_highest=max(seeds))
        rows.append({"layer": layer} | {name: round(float(number), 4) for name, number in (numbers | less).items()})
    return rows


def contributions(bert, states, weights):
    """The length of what each token (key) adds to each other (query), all heads together: (layers, length, length)."""
    lengths = []
    for layer, x, alpha in zip(bert.encoder.layers, states, weights):
        attention = layer.attention
        value = attention.value_projection(x[0]).unflatten(-1, (attention.n_heads, -1))      # (key, head, d_head)
        blocks = attention.output_projection.weight.T.unflatten(0, (attention.n_heads, -1))  # (head, d_head, d_model)
        lengths.append(torch.einsum("hij,jhd,hdm->ijm", alpha[0], value, blocks).norm(dim=-1))
    return torch.stack(lengths)


def turns(bert, ids, place, hidden):
    """How far the last vector at a place turns, 1 - cosine, when no token may attend to one of the hidden places."""
    masks = torch.ones(len(hidden), ids.shape[1], dtype=torch.bool)
    masks[range(len(hidden)), hidden] = False
    without, whole = bert(ids.expand(len(hidden), -1), masks)[:, place], bert(ids)[:, place]
    return (1 - torch.cosine_similarity(without, whole)).numpy()


def ranks(numbers):
    """1 for the smallest; equal numbers share the mean of their ranks."""
    numbers = np.asarray(numbers)
    return (numbers[:, None] > numbers).sum(1) + (numbers[:, None] == numbers).sum(1) / 2 + 0.5


def rollout(weights):
    """Attention multiplied through the layers, half of each layer being the residual (Abnar and Zuidema 2020)."""
    product = torch.eye(weights[0].shape[-1])
    for alpha in weights:
        product = (alpha[0].mean(0) + torch.eye(len(product))) / 2 @ product
    return product


def why(bert, uses):
    measured = {}
    for use in uses:
        ids, (place,) = torch.tensor([word_piece.encode(use.sentence).ids]), places(use)
        others = [other for other in range(1, ids.shape[1] - 1) if other != place]
        turn = turns(bert, ids, place, others)
        states, (_, weights) = bert.states(ids), bert(ids, return_weights=True)
        heads = torch.cat(weights)[:, :, place, others].flatten(0, 1)
        guides = {"nearness in the sentence": -abs(np.array(others) - place),
                  "rollout": rollout(weights)[place, others], "weights, mean of 72 heads": heads.mean(0),
                  "lengths of what is added": contributions(bert, states, weights)[:, place, others].mean(0)}
        guides |= {number: head for number, head in enumerate(heads)}
        for guide, values in guides.items():
            values = np.asarray(values)
            measured.setdefault(guide, []).append((np.corrcoef(ranks(values), ranks(turn))[0, 1],
                                                   values.argmax() == turn.argmax()))
    by_word = {guide: np.reshape(rows, (20, 12, 2)).mean(1) for guide, rows in measured.items()}  # (words, 2)
    heads = [by_word.pop(number) for number in range(72)]
    in_order = sorted(heads, key=lambda rows: rows[:, 0].mean())
    by_word |= {"weights, a head in the middle of 72": in_order[36],
                "weights, the best of 72, chosen afterwards": in_order[-1]}
    rows = []
    for guide, values in sorted(by_word.items(), key=lambda item: item[1][:, 0].mean()):
        row = {"guide": guide}
        for number, name in enumerate(("rank", "first")):
            low, high = bootstrap(values[:, number])
            row |= {name: round(float(values[:, number].mean()), 4), f"{name}_low": round(float(low), 4),
                    f"{name}_high": round(float(high), 4)}
        rows.append(row)
    return rows


if __name__ == "__main__":
    start(threads=1)
    torch.set_grad_enabled(False)
    folder = pretrained.find()
    word_piece = WordPiece.load(folder / "vocab.txt")
    bert, uses = ct.Bert.from_pretrained(folder), homographs()
    record("homographs", senses(bert, uses), columns=SENSE_COLUMNS, caption=SENSE_CAPTION, model=pretrained.MINILM)
    record("homographs_why", why(bert, uses), columns=WHY_COLUMNS, caption=WHY_CAPTION, model=pretrained.MINILM)
