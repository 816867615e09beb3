"""Three tasks of fine-tuning on our own data, with every baseline: reviews, entities, questions; three seeds.

    python benchmarks/fine_tuning_tasks.py reviews
    python benchmarks/fine_tuning_tasks.py entities
    python benchmarks/fine_tuning_tasks.py questions

The weights are those of all-MiniLM-L6-v2. Seconds are processor seconds of one thread.
"""

import math
import os
import re
import sys
import time
from collections import Counter, defaultdict

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
import torch.nn.functional as F
from nervaluate import Evaluator
from sklearn.feature_extraction import DictVectorizer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.pipeline import make_pipeline
from torch import nn

from coursekit import calibration, pretrained, seed_everything, squad, start
from coursekit import torch as ct
from coursekit.datasets.entities import IGNORED, LABELS, TYPES, align_batch, entities, spans
from coursekit.datasets.questions import questions
from coursekit.datasets.reviews import reviews
from coursekit.results import record
from coursekit.text import WordPiece
from coursekit.torch.training import batches, token_cross_entropy

SEEDS = (0, 1, 2)
REVIEWS = dict(examples=1600, epochs=2, rate=3e-4)
ENTITIES = dict(examples=800, epochs=2, rate=3e-4)
QUESTIONS = dict(examples=1600, epochs=1, rate=3e-4)
SPAN = "{{{0}:.{1}}} ({{{0}_low:.{1}}} to {{{0}_high:.{1}}})"


def percent(name):
    return SPAN.format(name, "1%")


def number(name):
    return SPAN.format(name, "2f")


def tensors(batch):
    """The inputs of our models, (ids, mask, segment_ids)."""
    return tuple(map(torch.from_numpy, (batch.ids, batch.mask, batch.segment_ids)))


def fine_tune(model, data, *, epochs, rate, seed=0, loss=token_cross_entropy):
    """Batches of 16 examples of like length; a tenth of the steps to warm up, then down in a straight line."""
    steps = epochs * math.ceil(len(data[1]) / 16)
    schedule = ct.linear_decay(rate, math.ceil(steps / 10), steps)
    return ct.fit(model, data, epochs=epochs, batch_size=16, learning_rate=schedule, weight_decay=0.01, clip=1.0,
                  dynamic_padding=True, loss=loss, seed=seed)


@torch.no_grad()
def predict(model, inputs):
    """What the model gives for every row, a list in the order of the rows; padding may be at their ends."""
    found, rows = {}, torch.arange(len(inputs[0]))
    for part, numbers, _ in batches((inputs, rows), 64, dynamic_padding=True):
        found |= dict(zip(numbers.tolist(), model(*part).cpu()))
    return [found[row] for row in rows.tolist()]


def model_of(head, kind, seed, **settings):
    """A model with its head, by kind: "fine-tuned", "all weights" (token embeddings are trained, too), "untrained"."""
    seed_everything(seed)
    model = head.from_pretrained(**settings)
    if kind == "untrained":
        model = head(model.config, **settings)
    model.bert.token_embedding.weight.requires_grad_(kind == "all weights")
    return model


def timed(function, *given, **named):
    """What the function returns, and the seconds that one core was busy."""
    started = time.process_time()
    return function(*given, **named), round(time.process_time() - started, 1)


# ---------------------------------------------------------------------------------------------------------------------
# Reviews

REVIEW_COLUMNS = {"By": "{model}", "Right, by hand": percent("test"), "Both of a pair": percent("pairs"),
                  "Right, unseen adjectives": percent("unseen"), "Right, between the lines": percent("hard"),
                  "Seconds of one core": "{seconds:.0f}"}
REVIEW_CAPTION = ("Product reviews, {} to train on: share right of those written by hand, of their mirror images both "
                  "right, of those with adjectives that training never shows, and of those by hand that do not say "
                  "what they mean. Mean (lowest to highest) of three seeds; {}.")
ONCE = "what is not trained by chance was run once"
CALIBRATION_COLUMNS = {"Reviews": "{texts}", "Model": "{model}", "Mean confidence": percent("confidence"),
                       "Right": percent("accuracy"), "Calibration error": percent("error"),
                       "Of a perfect model": percent("by_chance"), "Temperature": number("temperature")}


def both_right(rows, right):
    """Share of the pairs of mirror images of which both are right."""
    pairs = defaultdict(list)
    for review, hit in zip(rows, right):
        if review.pair is not None:
            pairs[review.pair].append(bool(hit))
    return float(np.mean([all(hits) for hits in pairs.values()]))


def judged(name, predicted, splits):
    """A row of the table, from the predictions of both tests."""
    test = np.asarray(predicted["test"]) == [review.label for review in splits["test"]]
    return {"model": name, "test": test.mean(), "pairs": both_right(splits["test"], test)} | {
        split: accuracy_score([review.label for review in splits[split]], predicted[split])
        for split in ("unseen", "hard")}


def error_by_chance(probabilities, rng, times=200):
    """The mean calibration error of labels that are drawn with these very probabilities."""
    errors = []
    for _ in range(times):
        labels = (rng.random(len(probabilities)) < probabilities[:, 1]).astype(int)
        errors.append(calibration.expected_calibration_error(probabilities, labels))
    return float(np.mean(errors))


def calibrated(logits, splits, seed):
    """Rows for both tests by hand: the model as it is, and with the temperature that suits the validation reviews."""
    labels = {split: np.array([review.label for review in splits[split]]) for split in logits}
    rows, rng = [], np.random.default_rng(seed)
    best = calibration.temperature(logits["validation"], labels["validation"])
    for split, name in (("test", "by hand"), ("hard", "between the lines")):
        for model, temperature in (("as trained", 1.0), ("with a temperature", best)):
            probabilities = torch.from_numpy(logits[split] / temperature).softmax(1).numpy()
            rows.append({"texts": name, "model": model, "confidence": probabilities.max(1).mean(),
                         "accuracy": accuracy_score(labels[split], probabilities.argmax(1)),
                         "error": calibration.expected_calibration_error(probabilities, labels[split]),
                         "by_chance": error_by_chance(probabilities, rng), "temperature": temperature})
    return rows


def review_rows(tokenizer):
    splits = {split: reviews(split) for split in ("train", "validation", "test", "unseen", "hard")}
    splits["train"] = splits["train"][:REVIEWS["examples"]]
    texts = {split: [review.text for review in rows] for split, rows in splits.items()}
    labels = torch.tensor([review.label for review in splits["train"]])
    inputs = {split: tensors(tokenizer.encode_batch(rows)) for split, rows in texts.items()}

    most = int(labels.mode().values)
    yield judged("the more frequent label", {split: [most] * len(texts[split]) for split in texts}, splits) | {
        "seconds": 0.0}, []
    words = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(max_iter=2000))
    _, seconds = timed(words.fit, texts["train"], labels.numpy())
    yield judged("bag of words and word pairs", {split: words.predict(texts[split]) for split in texts}, splits) | {
        "seconds": seconds}, []

    bert = ct.Bert.from_pretrained()

    def means(split):
        return np.stack([output[:length].mean(0).numpy()
                         for output, length in zip(predict(bert, inputs[split]), inputs[split][1].sum(1))])

    frozen = LogisticRegression(max_iter=5000)
    _, seconds = timed(lambda: frozen.fit(means("train"), labels.numpy()))
    yield judged("frozen BERT", {split: frozen.predict(means(split)) for split in ("test", "unseen", "hard")}, splits) | {
        "seconds": seconds}, []

    for name, kind, times in (("BERT, not pretrained", "untrained", 1), ("BERT, fine-tuned", "fine-tuned", 1),
                              ("the same, learning rate × 10", "fine-tuned", 10)):
        for seed in SEEDS:
            model = model_of(ct.BertForSequenceClassification, kind, seed, n_classes=2)
            _, seconds = timed(fine_tune, model, (inputs["train"], labels), epochs=REVIEWS["epochs"],
                               rate=times * REVIEWS["rate"], seed=seed)
            logits = {split: torch.stack(predict(model, inputs[split])).numpy()
                      for split in ("validation", "test", "unseen", "hard")}
            row = judged(name, {split: each.argmax(1) for split, each in logits.items()}, splits)
            yield (row | {"seed": seed, "seconds": seconds},
                   calibrated(logits, splits, seed) if name == "BERT, fine-tuned" else [])


def measure_reviews(tokenizer):
    rows, reliabilities = [], []
    for row, calibrations in review_rows(tokenizer):
        rows.append({name: value for name, value in row.items() if name != "seed"})
        reliabilities += calibrations
        print(row, *calibrations, sep="\n", flush=True)
    record("fine_tuning_reviews", rows, columns=REVIEW_COLUMNS, by=["model"], settings=REVIEWS,
           caption=REVIEW_CAPTION.format(f"{REVIEWS['examples']:,}", ONCE))
    record("fine_tuning_calibration", reliabilities, columns=CALIBRATION_COLUMNS, by=["texts", "model"],
           settings=REVIEWS,
           caption="Calibration of the fine-tuned model: mean (lowest to highest) of three seeds. The temperature is "
                   "chosen on the validation reviews. Of a perfect model: the error that labels drawn with the "
                   "model's own probabilities would give.")


# ---------------------------------------------------------------------------------------------------------------------
# Entities

ENTITY_COLUMNS = {"By": "{model}", "F1, seen names": percent("test_seen"), "F1, unseen names": percent("test_unseen"),
                  "F1, by hand": percent("test_written"), "Seconds of one core": "{seconds:.0f}"}
ENTITY_CAPTION = ("Named entities, {} sentences to train on: strict F1 (same words, same type) of nervaluate. Mean "
                  "(lowest to highest) of three seeds; {}.")
TESTS = ("test_seen", "test_unseen", "test_written")


def entity_f1(true, predicted):
    """Strict F1 of lists of BIO labels: a name counts if its words and its type are right."""
    found = Evaluator(true, predicted, tags=list(TYPES), loader="list").evaluate()
    return found["overall"]["strict"].f1


def gazetteer(sentences):
    """The names of these sentences, each with its most frequent type: a dictionary from tuples of words."""
    types = defaultdict(Counter)
    for words, labels in sentences:
        for name in spans(labels):
            types[tuple(words[name.start:name.end])][name.type] += 1
    return {name: counted.most_common(1)[0][0] for name, counted in types.items()}


def looked_up(words, names):
    """BIO labels of the longest names that stand in the list, from left to right."""
    labels, place, longest = ["O"] * len(words), 0, max(map(len, names))
    while place < len(words):
        for length in range(longest, 0, -1):
            if (found := names.get(tuple(words[place:place + length]))) and place + length <= len(words):
                labels[place:place + length] = [f"B-{found}"] + [f"I-{found}"] * (length - 1)
                break
        place += length
    return labels


def word_labels_of(logits, targets):
    """The label of every word, from the logits of its first piece."""
    chosen = zip(logits.argmax(-1).tolist(), targets.tolist())
    return [LABELS[best] for best, target in chosen if target != IGNORED]


def neighbours(words):
    """What a bag of words knows of each word of a sentence."""
    padded = ["<start>", *words, "<end>"]
    return [{f"word {word}": 1, f"before {before}": 1, f"after {after}": 1, "capital": word[0].isupper()}
            for before, word, after in zip(padded, padded[1:], padded[2:])]


def grouped(labels, sentences):
    """One list of labels as lists for the sentences."""
    labels = iter(labels)
    return [[next(labels) for _ in sentence.words] for sentence in sentences]


def entity_rows(tokenizer):
    splits = {split: entities(split) for split in ("train", *TESTS)}
    splits["train"] = splits["train"][:ENTITIES["examples"]]
    data = {}
    for split, sentences in splits.items():
        batch, targets = align_batch(tokenizer, sentences)
        data[split] = tensors(batch), torch.from_numpy(targets)

    def scores(labels_of):
        return {split: entity_f1([sentence.labels for sentence in splits[split]], labels_of(split)) for split in TESTS}

    yield {"model": "no name at all", "seconds": 0.0} | scores(
        lambda split: [["O"] * len(sentence.words) for sentence in splits[split]])
    names = gazetteer(splits["train"])
    yield {"model": "list of the names of training", "seconds": 0.0} | scores(
        lambda split: [looked_up(sentence.words, names) for sentence in splits[split]])
    flat = [label for sentence in splits["train"] for label in sentence.labels]
    words = make_pipeline(DictVectorizer(), LogisticRegression(max_iter=500))
    _, seconds = timed(words.fit, [each for sentence in splits["train"] for each in neighbours(sentence.words)], flat)
    yield {"model": "bag of a word, its neighbours and its capital", "seconds": seconds} | scores(
        lambda split: grouped(words.predict([each for sentence in splits[split]
                                             for each in neighbours(sentence.words)]), splits[split]))

    bert = ct.Bert.from_pretrained()

    def states(split):
        inputs, targets = data[split]
        return torch.cat([output[row[:len(output)] != IGNORED]
                          for output, row in zip(predict(bert, inputs), targets)]).numpy()

    frozen = LogisticRegression(max_iter=300)
    _, seconds = timed(lambda: frozen.fit(states("train"), flat))
    yield {"model": "frozen BERT", "seconds": seconds} | scores(
        lambda split: grouped(frozen.predict(states(split)), splits[split]))

    for name, kind in (("BERT, not pretrained", "untrained"), ("BERT, fine-tuned", "fine-tuned"),
                       ("the same, token embeddings too", "all weights")):
        for seed in SEEDS:
            model = model_of(ct.BertForTokenClassification, kind, seed, n_classes=len(LABELS))
            _, seconds = timed(fine_tune, model, data["train"], epochs=ENTITIES["epochs"], rate=ENTITIES["rate"],
                               seed=seed)
            yield {"model": name, "seed": seed, "seconds": seconds} | scores(
                lambda split: [word_labels_of(*row) for row in zip(predict(model, data[split][0]), data[split][1])])


def measure_entities(tokenizer):
    rows = []
    for row in entity_rows(tokenizer):
        print(row, flush=True)
        rows.append({name: value for name, value in row.items() if name != "seed"})
    record("fine_tuning_entities", rows, columns=ENTITY_COLUMNS, by=["model"], settings=ENTITIES,
           caption=ENTITY_CAPTION.format(ENTITIES["examples"], ONCE))


# ---------------------------------------------------------------------------------------------------------------------
# Questions

QUESTION_TESTS = ("test_seen", "test_unseen", "two_people", "written")
QUESTION_NAMES = ("seen names", "unseen names", "two people", "by hand")
QUESTION_COLUMNS = {"By": "{model}"} | {f"Exact, {name}": percent(split)
                                        for split, name in zip(QUESTION_TESTS, QUESTION_NAMES)} | {
    "F1, by hand": percent("written_f1"), "Seconds of one core": "{seconds:.0f}"}
QUESTION_CAPTION = ("Questions about a paragraph, {} to train on, a quarter of all without an answer: SQuAD's exact "
                    "match and F1. Mean (lowest to highest) of three seeds; {}.")


def windowed(tokenizer, asked):
    """The window of each question, and the tensors (inputs, targets): the first and the last token of the answer."""
    found = [squad.windows(tokenizer, each.question, each.paragraph, 256, 128) for each in asked]
    first = [windows[0] for windows in found]
    targets = [squad.token_span(window, each.answer, each.start) for window, each in zip(first, asked)]
    return first, (tensors(squad.batch(first)), torch.tensor(targets))


def answers(model, asked, windows, inputs):
    """The text of the answer to each question, "" for none."""
    found = []
    for each, window, logits in zip(asked, windows, predict(model, inputs)):
        starts, ends = logits.T.numpy()
        found.append(squad.best_answer(each.paragraph, [window], [starts], [ends]).text)
    return found


def sentences(paragraph):
    return re.split(r"(?<=[.?!])\s+", paragraph)


def most_alike(each):
    """The sentence that shares most words with the question."""
    asked = set(re.findall(r"\w+", each.question.lower()))
    return max(sentences(each.paragraph), key=lambda text: len(asked & set(re.findall(r"\w+", text.lower()))))


class Words:
    """A bag of words that answers: logistic regressions for where the answer starts and where it ends.

    What they know of a word: itself, its neighbours, its shape, and what the question begins with and shares with its
    sentence. Without an answer is a question whose best span scores below a bound that suits training.
    """

    def __init__(self, asked):
        known, starts, ends = [], [], []
        for each in asked:
            offsets, rows = self.rows(each)
            inside = [bool(each.answer) and each.start <= start and end <= each.start + len(each.answer)
                      for start, end in offsets]
            known += rows
            starts += [is_in and not before for before, is_in in zip([False, *inside], inside)]
            ends += [is_in and not after for is_in, after in zip(inside, [*inside[1:], False])]
        self.models = [make_pipeline(DictVectorizer(), LogisticRegression(max_iter=500)).fit(known, places)
                       for places in (starts, ends)]
        self.bound = -math.inf
        tried = [(self.best(each)[0], bool(each.answer)) for each in asked]
        self.bound = max((score for score, _ in tried), key=lambda bound: sum(
            (score >= bound) == answered for score, answered in tried))

    @staticmethod
    def rows(each):
        question = re.findall(r"\w+|[^\w\s]", each.question.lower())
        asked, rows, offsets = set(question[1:-1]), [], []
        place = 0
        for sentence in sentences(each.paragraph):
            words = [(word.group(), *word.span()) for word in re.finditer(r"\w+|[^\w\s]", sentence)]
            shared = len(asked & {word.lower() for word, _, _ in words})
            place = each.paragraph.index(sentence, place)
            around = ["<start>", *(word.lower() for word, _, _ in words), "<end>"]
            for (word, first, end), before, after in zip(words, around, around[2:]):
                shape = re.sub(r"[A-Z]+", "A", re.sub(r"[a-z]+", "a", re.sub(r"\d+", "0", word)))
                rows.append({f"word {word.lower()}": 1, f"before {before}": 1, f"after {after}": 1,
                             f"{question[0]} {shape}": 1, f"{question[0]} after {before}": 1, "shared": shared,
                             "asked": word.lower() in asked, "asked before": before in asked,
                             "asked after": after in asked})
                offsets.append((place + first, place + end))
        return offsets, rows

    def best(self, each):
        offsets, rows = self.rows(each)
        score, first, last = squad.best_span(*(model.decision_function(rows) for model in self.models), offsets)
        return score, each.paragraph[offsets[first][0]:offsets[last][1]]

    def __call__(self, each):
        score, text = self.best(each)
        return text if score >= self.bound else ""


def question_rows(tokenizer):
    splits = {split: questions(split) for split in ("train", "two_people_train", *QUESTION_TESTS)}
    splits["train"] = splits["train"][:QUESTIONS["examples"]]
    windows, data = {}, {}
    for split, asked in splits.items():
        windows[split], data[split] = windowed(tokenizer, asked)

    def scores(found_in):
        row = {}
        for split in QUESTION_TESTS:
            score = squad.score(found_in(split), [each.answer for each in splits[split]])
            row |= {split: score["exact"], f"{split}_f1": score["f1"]}
        return row

    def of_model(model):
        return scores(lambda split: answers(model, splits[split], windows[split], data[split][0]))

    yield {"model": "never an answer", "seconds": 0.0} | scores(lambda split: [""] * len(splits[split]))
    yield {"model": "sentence most like the question", "seconds": 0.0} | scores(
        lambda split: [most_alike(each) for each in splits[split]])
    words, seconds = timed(Words, splits["train"])
    yield {"model": "bag of words", "seconds": seconds} | scores(lambda split: [words(each) for each in splits[split]])

    bert = ct.Bert.from_pretrained()
    states, seconds = timed(lambda: nn.utils.rnn.pad_sequence(predict(bert, data["train"][0]), batch_first=True))
    for seed in SEEDS:
        seed_everything(seed)
        head = nn.Linear(bert.config.d_model, 2)
        _, more = timed(ct.fit, head, (states, data["train"][1]), epochs=20, batch_size=64, learning_rate=3e-3,
                        loss=F.cross_entropy, seed=seed)
        yield {"model": "frozen BERT", "seed": seed, "seconds": seconds + more} | of_model(
            lambda *inputs: head.eval()(bert(*inputs)))
    for name, kind in (("BERT, not pretrained", "untrained"), ("BERT, fine-tuned", "fine-tuned")):
        for seed in SEEDS:
            model = model_of(ct.BertForQuestionAnswering, kind, seed)
            _, seconds = timed(fine_tune, model, data["train"], epochs=QUESTIONS["epochs"], rate=QUESTIONS["rate"],
                               seed=seed, loss=F.cross_entropy)
            yield {"model": name, "seed": seed, "seconds": seconds} | of_model(model)
            if kind == "fine-tuned":
                _, more = timed(fine_tune, model, data["two_people_train"], epochs=1, rate=QUESTIONS["rate"],
                                seed=seed, loss=F.cross_entropy)
                yield {"model": "and then on two people", "seed": seed, "seconds": seconds + more} | of_model(model)


def measure_questions(tokenizer):
    rows = []
    for row in question_rows(tokenizer):
        print(row, flush=True)
        rows.append({name: value for name, value in row.items() if name != "seed"})
    record("fine_tuning_questions", rows, columns=QUESTION_COLUMNS, by=["model"], settings=QUESTIONS,
           caption=QUESTION_CAPTION.format(f"{QUESTIONS['examples']:,}", ONCE))


if __name__ == "__main__":
    tasks = {"reviews": measure_reviews, "entities": measure_entities, "questions": measure_questions}
    if unknown := set(sys.argv[1:]) - set(tasks):
        sys.exit(f"unknown task {', '.join(unknown)}, expected {', '.join(tasks)}")
    start(threads=1)
    for task in sys.argv[1:]:
        tasks[task](WordPiece.load(pretrained.find() / "vocab.txt"))
