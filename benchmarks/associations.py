"""What a small BERT learned of associations that were planted, and what balancing the text changes, three seeds.

    python benchmarks/associations.py

Every seed pretrains a model; "as planted" compares it with the tables of the corpus. Then it goes on for a few hundred
steps, each time from the same weights, on text in which a share of the documents speaks of the other gender.
"""

import os
import re
from collections import Counter

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from pretraining import RECIPES, TRAIN, pretrain
from reversal import side_by_side

from coursekit import start
from coursekit import torch as ct
from coursekit.datasets.associations import NAMES, OCCUPATIONS, PURCHASES, YEARS, associations, truth, vocabulary
from coursekit.results import record
from coursekit.text import WordPiece
from coursekit.torch.pretraining import pretraining_examples, pretraining_loss
from coursekit.torch.probing import FillMask

RECIPE = RECIPES["BERT, our recipe"]
MORE = dict(steps=800, batch_size=32, peak=2e-3)

GOODS = sorted({good for table in PURCHASES.values() for good in table})
JOBS = sorted({job for table in OCCUPATIONS.values() for job in table})
TWELVE = [name for pronoun in NAMES for name in NAMES[pronoun]]
QUESTIONS = {  # templates of the corpus, what is put into them, and the words that may stand in the gap
    "place → purchase": (("In {}, they like to buy [MASK].", "Shops in {} sell [MASK]."),
                         [(place,) for place in PURCHASES], GOODS),
    "year and pronoun → occupation": (("In {}, {} was employed as a [MASK].",),
                                      [(year, pronoun) for year in YEARS for pronoun in ("she", "he")], JOBS),
    "name → occupation": (("{} worked as a [MASK].",), [(name,) for name in TWELVE], JOBS),
}
PARTNER = dict(zip(NAMES["she"], NAMES["he"])) | dict(zip(NAMES["he"], NAMES["she"]))
OTHER = {"she": "he", "he": "she", "his": "her", "her": "his"}
OTHER |= {name.lower(): other.lower() for name, other in PARTNER.items()}

AGREEMENT = {"Question": "{question}", "Predicted by": "{by}", "KL, nats": "{kl:.3f}", "best seed": "{kl_low:.3f}",
             "worst seed": "{kl_high:.3f}", "Pairs in the right order": "{order:.0%}", "Slope": "{slope:.2f}",
             "Seconds of one core": "{seconds:.0f}"}
AGREEMENT_CAPTION = ("What was planted and what is predicted, mean over contexts and templates; of our BERT the mean "
                     "of three seeds.")
BALANCED = {"Documents turned": "{share:.0%}", "Gap planted": "{planted_gap:.2f}", "Gap learned": "{gap:.2f}",
            "lowest to highest seed": "{gap_low:.2f} to {gap_high:.2f}", "KL to its own text": "{own:.2f}",
            "KL to the first text": "{first:.2f}", "of the best prediction": "{best:.2f}",
            "KL of places": "{places:.2f}"}
BALANCED_CAPTION = (f"Occupations by year and pronoun after {MORE['steps']} more steps on a text in which a share of "
                    "the documents speaks of the other gender; mean of three seeds.")


def agreement(planted, log_p):
    """How well ln p (contexts, words) agrees with what was planted (contexts, words)."""
    above = (planted[:, :, None] > planted[:, None]) & (planted[:, None] > 0)
    there, general = planted > 0, np.log(planted.mean(axis=0))
    log_planted = np.log(np.where(there, planted, 1))                                # 0 · ln 0 is 0
    x, y = (log_planted - general)[there], (log_p - general)[there]
    return {"kl": (planted * (log_planted - log_p)).sum(axis=1).mean(),
            "order": (log_p[:, :, None] > log_p[:, None])[above].mean(), "slope": (x * y).sum() / (x * x).sum()}


def swapped(sentence):
    """The same sentence about somebody of the other gender."""
    def other(found):
        word = found[0]
        new = OTHER.get(word.lower(), word.lower())
        return new.capitalize() if word[0].isupper() else new
    return re.sub(r"\w+", other, sentence)


def turned(documents, share, seed):
    """The documents, of which about this share speaks of the other gender."""
    rng = np.random.default_rng(seed)
    return [[swapped(sentence) for sentence in document] if rng.random() < share else document
            for document in documents]


def planted(templates, contexts, words):
    """What every template plants, which is the same for all: (contexts, words)."""
    return np.array([[truth(templates[0].format(*context)).get(word, 0.0) for word in words] for context in contexts])


def counted(documents, templates, contexts, words, m=5):
    """ln p (contexts, words) by counting: all templates together, filled up with m sentences without a context."""
    seen = Counter(sentence for document in documents for sentence in document)
    counts = np.array([[sum(seen[capital(template.format(*context).replace("[MASK]", word))] for template in templates)
                        for word in words] for context in contexts])
    return np.log((counts + m * counts.sum(0) / counts.sum()) / (counts.sum(1, keepdims=True) + m))


def capital(sentence):
    return sentence[0].upper() + sentence[1:]


def learned(fill, question):
    """How well a model answers a question, the mean over its templates."""
    templates, contexts, words = QUESTIONS[question]
    there = planted(templates, contexts, words)
    found = [agreement(there, fill.log_probabilities([template.format(*context) for context in contexts], words))
             for template in templates]
    return {name: np.mean([row[name] for row in found]) for name in found[0]}


def of_pronouns(fill):
    """p (years, pronouns, occupations), she first."""
    templates, contexts, words = QUESTIONS["year and pronoun → occupation"]
    log_p = fill.log_probabilities([templates[0].format(*context) for context in contexts], words)
    return np.exp(log_p).reshape(len(YEARS), 2, len(words))


def gap(p):
    """How much of the probability differs between the pronouns, the mean over the years: from 0 to 1."""
    return np.abs(p[:, 0] - p[:, 1]).sum(-1).mean() / 2


def kl(p, q):
    return (p * np.log(np.where(p > 0, p, 1) / np.where(p > 0, q, 1))).sum(-1).mean()


def train_on(model, tokenizer, documents, seed):
    """A few hundred steps more, on other documents."""
    inputs, targets = pretraining_examples(documents, tokenizer, share=RECIPE["share"], seed=seed)
    few = [tuple(part[:MORE["steps"] * MORE["batch_size"]] for part in parts) for parts in (inputs, targets)]
    ct.fit(model, few, epochs=1, batch_size=MORE["batch_size"], clip=1.0, dynamic_padding=True, loss=pretraining_loss,
           learning_rate=ct.linear_decay(MORE["peak"], 50, MORE["steps"]), seed=seed)


def run(seed):
    torch.set_num_threads(1)
    documents, tokenizer = associations(TRAIN), WordPiece(vocabulary())
    model, seconds = pretrain(documents, tokenizer, **RECIPE, seed=seed)
    fill = FillMask(model, tokenizer)
    rows = [{"question": question, "by": "our BERT", "seed": seed, "seconds": seconds} | learned(fill, question)
            for question in QUESTIONS]
    templates, contexts, words = QUESTIONS["year and pronoun → occupation"]
    first = planted(templates, contexts, words).reshape(len(YEARS), 2, len(words))
    base, moved = {name: weight.clone() for name, weight in model.state_dict().items()}, []
    for share in (0, 0.25, 0.5):
        model.load_state_dict(base)
        train_on(model, tokenizer, turned(documents, share, seed), seed + 10)
        own, p = (1 - share) * first + share * first[:, ::-1], of_pronouns(FillMask(model, tokenizer))
        moved.append({"share": share, "seed": seed, "planted_gap": gap(own), "gap": gap(p), "own": kl(own, p),
                      "first": kl(first, p), "best": kl(first, own),
                      "places": learned(FillMask(model, tokenizer), "place → purchase")["kl"]})
    return {"rows": rows, "moved": moved}


def counting():
    """The two baselines: no context at all, and counts of the training text."""
    rows = []
    for question, (templates, contexts, words) in QUESTIONS.items():
        there = planted(templates, contexts, words)
        general = np.log(np.tile(there.mean(0), (len(contexts), 1)))
        counts = counted(associations(TRAIN), templates, contexts, words)
        rows += [{"question": question, "by": by, "seed": 0, "seconds": None} | agreement(there, log_p)
                 for by, log_p in (("no context", general), ("counts", counts))]
    return rows


def rounded(row):
    return {name: round(float(value), 4) if isinstance(value, float) else value for name, value in row.items()}


if __name__ == "__main__":
    start(threads=1)
    found = side_by_side(run, [dict(seed=seed) for seed in (0, 1, 2)])
    rows = counting() + [row for one in found for row in one["rows"]]
    rows.sort(key=lambda row: list(QUESTIONS).index(row["question"]))
    settings = dict(recipe=RECIPE, documents=TRAIN, more=MORE)
    record("associations", [rounded(row) for row in rows], columns=AGREEMENT, caption=AGREEMENT_CAPTION,
           by=["question", "by"], settings=settings, threads=1)
    moved = sorted((row for one in found for row in one["moved"]), key=lambda row: row["share"])
    record("associations_balanced", [rounded(row) for row in moved], columns=BALANCED, caption=BALANCED_CAPTION,
           by=["share"], settings=settings, threads=1)
