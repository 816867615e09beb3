"""Exercises of lecture 12: fine-tuning BERT, judging it, and sharing the work."""

import numpy as np

from coursekit.exercises.exercise import Exercise

IGNORED = -100

# ---------------------------------------------------------------------------------------------------------------------
# Padding by hand

task = Exercise(
    "12.padding_by_hand", "Padding by hand",
    "Six texts have 4, 12, 5, 11, 6 and 10 tokens. They are sorted by length, taken two at a time, and each batch is "
    "padded to its own longest text. What share of all places that are computed is padding? Give `padding_by_hand` "
    "that number.",
    difficulty=1, minutes=4, points=1, kind="number",
    hints=("Sorted: 4, 5, 6, 10, 11, 12. Which batches do they make, and how many places has each?",
           "Places: 2 · 5, 2 · 10 and 2 · 12. Tokens: 48. What is neither?"),
    explanation="The batches are (4, 5), (6, 10) and (11, 12): 10 + 20 + 24 = 54 places for 48 tokens. 6 of 54 places "
                "are padding, a ninth. In the order given it would be 18 of 66.",
)


@task.reference
def padding_by_hand():
    return 6 / 54


@task.misconception
def not_sorted():
    """You kept the order in which the texts came: (4, 12), (5, 11), (6, 10). Sort them first."""
    return 18 / 66


@task.misconception
def padded_to_the_longest_of_all():
    """You padded every text to 12, the longest of all. Each batch only needs the length of its own longest text."""
    return 24 / 72


@task.misconception
def share_of_the_tokens():
    """You divided the padding by the number of tokens. Asked for is its share of all places, tokens and padding."""
    return 6 / 48


@task.misconception
def mean_of_the_batches():
    """You averaged the shares of the three batches. They have different numbers of places: add up padding and places
    over all batches, then divide."""
    return (1 / 10 + 4 / 20 + 1 / 24) / 3


@task.misconception
def share_of_tokens_that_count():
    """That is the share of places that hold tokens. Asked for is the rest."""
    return 48 / 54


@task.misconception
def number_of_places():
    """That is the number of padded places. Divide it by the number of all places."""
    return 6


# ---------------------------------------------------------------------------------------------------------------------
# Expected calibration error

task = Exercise(
    "12.calibration_error", "Expected calibration error",
    "Write `calibration_error`. The prediction for an example is its most probable class, and its confidence that "
    "probability. Sort the examples by confidence into `bins` bins of equal width from 0 to 1. The error is the mean, "
    "over the bins and weighted by their numbers of examples, of the distance between the share of right predictions "
    "and the mean confidence of a bin. No confidence lies on the border of two bins.",
    difficulty=3, minutes=15, points=3,
    sizes=(dict(examples=12, classes=2, bins=4, right=0.2), dict(examples=30, classes=3, bins=5, right=0.5),
           dict(examples=25, classes=4, bins=10, right=0.9), dict(examples=40, classes=2, bins=7, right=0.5)),
    returns={"error": ()},
    withhold=("coursekit.calibration.expected_calibration_error", "coursekit.calibration.reliability"),
    hints=("probabilities.max(1) is the confidence. When is an example right?",
           "The bin of a confidence c is int(c * bins). For each bin: the mean confidence and the share right of the "
           "examples in it.",
           "The weight of a bin is its number of examples, divided by the number of all. An empty bin has weight 0."),
    explanation="Within a bin the differences are taken with their sign, since confidence speaks about groups and not "
                "about one example; between bins they are taken without, or a bin that is too sure would make up for "
                "one that is not sure enough.",
    equivalent={
        "confidence[places == place].sum() - right[places == place].sum() -> right[places == place].sum() - "
        "confidence[places == place].sum(), in return sum((abs(confidence[places == place].sum() - right[places == "
        "place].sum()) for place in set(places))) / len(labels)":
            "|a - b| = |b - a|.",
    },
)


@task.reference
def calibration_error(probabilities, labels, bins):
    """The error, a number, of probabilities (examples, classes) and labels (examples,), whole numbers."""
    confidence = probabilities.max(axis=1)
    right, places = probabilities.argmax(axis=1) == labels, (confidence * bins).astype(int)
    return sum(abs(confidence[places == place].sum() - right[places == place].sum())
               for place in set(places)) / len(labels)


@task.draw
def draw(rng, examples, classes, bins, right):
    while True:
        logits = 1.3 * rng.normal(size=(examples, classes))
        probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        best, places = probabilities.argmax(1), probabilities.max(axis=1) * bins
        labels = np.where(rng.random(examples) < right, best, (best + rng.integers(1, classes, examples)) % classes)
        error = calibration_error(probabilities, labels, bins)
        others = (no_bins(probabilities, labels, bins), equally_full_bins(probabilities, labels, bins))
        apart = min(abs(error - other) for other in others) > 0.01 or right != 0.5  # some bins too sure, others not
        if np.abs(places - places.round()).min() > 1e-4 and apart:
            break
    return {"probabilities": probabilities, "labels": labels, "bins": bins}


def in_bins(confidence, right, bins):
    """(examples, mean confidence, share right) of each bin that is not empty."""
    places = np.minimum((confidence * bins).astype(int), bins - 1)
    return [(inside.sum(), confidence[inside].mean(), right[inside].mean())
            for place in range(bins) if (inside := places == place).any()]


def confident(probabilities, labels, bins):
    return in_bins(probabilities.max(1), probabilities.argmax(1) == labels, bins)


@task.misconception
def signs_kept(probabilities, labels, bins):
    """You add the differences with their signs: a bin that is too sure makes up for one that is not sure enough. Take
    the distance in each bin."""
    return sum(n * (confidence - right) for n, confidence, right in confident(probabilities, labels, bins)) / len(labels)


@task.misconception
def signs_kept_the_other_way(probabilities, labels, bins):
    """You add the differences with their signs: a bin that is too sure makes up for one that is not sure enough. Take
    the distance in each bin, without a sign."""
    return -signs_kept(probabilities, labels, bins)


@task.misconception
def bins_weigh_the_same(probabilities, labels, bins):
    """Your bins weigh the same, whether they hold one example or most. Weight each by its number of examples."""
    return float(np.mean([abs(confidence - right) for _, confidence, right in confident(probabilities, labels, bins)]))


@task.misconception
def worst_bin(probabilities, labels, bins):
    """That is the distance in the worst bin, the maximum calibration error. Asked for is the weighted mean."""
    return max(abs(confidence - right) for _, confidence, right in confident(probabilities, labels, bins))


@task.misconception
def no_bins(probabilities, labels, bins):
    """You compare mean confidence and accuracy of all examples at once. Do it in each bin, or mistakes in both
    directions cancel."""
    return abs(probabilities.max(1).mean() - (probabilities.argmax(1) == labels).mean())


@task.misconception
def example_by_example(probabilities, labels, bins):
    """You take the distance of each single example. A prediction with confidence 0.7 is right or wrong, never 0.7
    right: average within the bin first."""
    return np.abs((probabilities.argmax(1) == labels) - probabilities.max(1)).mean()


@task.misconception
def probability_of_the_label(probabilities, labels, bins):
    """Your confidence is the probability of the true label. It is that of the predicted class, right or wrong."""
    confidence = probabilities[np.arange(len(labels)), labels]
    found = in_bins(confidence, probabilities.argmax(1) == labels, bins)
    return sum(n * abs(mean - right) for n, mean, right in found) / len(labels)


@task.misconception
def probability_of_class_1(probabilities, labels, bins):
    """Your confidence is the probability of class 1. It is that of the most probable class, whichever that is."""
    found = in_bins(probabilities[:, 1], labels == 1, bins)
    return sum(n * abs(mean - right) for n, mean, right in found) / len(labels)


@task.misconception
def middle_of_the_bin(probabilities, labels, bins):
    """You take the middle of a bin for its confidence. Take the mean confidence of the examples in it."""
    places = (probabilities.max(1) * bins).astype(int)
    right = probabilities.argmax(1) == labels
    return sum((places == place).sum() * abs((place + 0.5) / bins - right[places == place].mean())
               for place in set(places)) / len(labels)


@task.misconception
def squared(probabilities, labels, bins):
    """You square the distances. Asked for is their mean as they are."""
    found = confident(probabilities, labels, bins)
    return sum(n * (mean - right) ** 2 for n, mean, right in found) / len(labels)


@task.misconception
def equally_full_bins(probabilities, labels, bins):
    """Your bins hold the same number of examples. Asked for are bins of the same width."""
    order = probabilities.max(1).argsort()
    confidence, right = probabilities.max(1)[order], (probabilities.argmax(1) == labels)[order]
    return sum(len(part) * abs(part.mean() - hits.mean()) for part, hits in
               zip(np.array_split(confidence, bins), np.array_split(right, bins)) if len(part)) / len(labels)


# ---------------------------------------------------------------------------------------------------------------------
# Labels of words come to stand on pieces

task = Exercise(
    "12.aligned_labels", "From the labels of words to targets of tokens",
    "A sentence has one label for each word, the model one place for each token. Write `aligned_labels`: the first "
    "token of a word has the word's label as its target; every other token has -100, which the loss leaves out. "
    "`words` says for each token which word it is from, and -1 at [CLS], [SEP] and padding.",
    difficulty=2, minutes=10, points=2,
    sizes=(dict(n_words=2, padding=0), dict(n_words=3, padding=2), dict(n_words=5, padding=1),
           dict(n_words=6, padding=3)),
    returns={"targets": ("length",)},
    hints=("Where does a word begin? Its token's number differs from that of the token before.",
           "labels[words] has the right label at every token of a word. What has it where words is -1?",
           "A token counts if its number is at least 0 and not the number of the token before it."),
    explanation="One decision for each word: the first piece speaks for it. Special tokens and padding are no words, "
                "and O is a label like the others, so that 0 there would be a claim.",
)


@task.reference
def aligned_labels(words, labels):
    """The targets (length,), of words (length,), the number of each token's word or -1, and labels (n_words,)."""
    targets = np.full(len(words), -100)
    _, first = np.unique(words, return_index=True)
    targets[first[1:]] = labels  # the first number is -1
    return targets


@task.draw
def draw(rng, n_words, padding):
    pieces = rng.integers(1, 4, n_words)
    pieces[rng.integers(n_words)] = 3
    words = np.concatenate([[-1], np.repeat(np.arange(n_words), pieces), [-1] * (1 + padding)])
    labels = rng.integers(1, 7, n_words)
    if n_words > 2:
        labels[1] = labels[0]  # neighbours alike
        labels[-1] = 0
    return {"words": words, "labels": labels}


def first_pieces(words):
    return (words >= 0) & (words != np.concatenate([[-1], words[:-1]]))


@task.misconception
def every_piece_counts(words, labels):
    """You give the label to every piece of a word. A word cut into three would then count three times; only its first
    piece has a target."""
    return np.where(words >= 0, labels[words], IGNORED)


@task.misconception
def last_piece(words, labels):
    """Your target stands at the last piece of a word. Asked for is the first."""
    last = (words >= 0) & (words != np.concatenate([words[1:], [-1]]))
    return np.where(last, labels[words], IGNORED)


@task.misconception
def special_tokens_outside(words, labels):
    """You give [CLS], [SEP] and padding the label 0, which is O. They are no words: -100 leaves them out of the
    loss."""
    targets = np.where(first_pieces(words), labels[words], IGNORED)
    return np.where(words < 0, 0, targets)


@task.misconception
def other_pieces_outside(words, labels):
    """You give the other pieces of a word the label 0, which is O. The model would learn that a name ends inside its
    first word; use -100."""
    targets = np.where(words >= 0, 0, IGNORED)
    return np.where(first_pieces(words), labels[words], targets)


@task.misconception
def special_tokens_take_the_last_label(words, labels):
    """At the special tokens words is -1, and labels[-1] is the label of the last word. Those places need -100."""
    begins = words != np.concatenate([[-2], words[:-1]])
    return np.where(begins, labels[words], IGNORED)


@task.misconception
def place_by_place(words, labels):
    """You put the labels down one after the other, a token each. As soon as a word has two pieces, all later labels
    stand on the wrong word."""
    targets = np.full(len(words), IGNORED)
    targets[1:1 + len(labels)] = labels
    return targets


@task.misconception
def cls_forgotten(words, labels):
    """Your targets stand one place too early: the first token is [CLS]."""
    return np.append(aligned_labels(words, labels)[1:], IGNORED)


@task.misconception
def where_the_label_changes(words, labels):
    """You look for a change of the label and miss a word that has the same label as the one before. A word begins where
    its number changes."""
    of_tokens = np.where(words >= 0, labels[words], -1)
    return np.where((words >= 0) & (of_tokens != np.concatenate([[-1], of_tokens[:-1]])), of_tokens, IGNORED)


# ---------------------------------------------------------------------------------------------------------------------
# Strict F1 of names

task = Exercise(
    "12.strict_f1", "Strict F1 of names",
    "A name is right if sentence, type, first word and end are all right. Write `strict_f1`, the harmonic mean of "
    "precision (right names of those found) and recall (right names of those there are), over all sentences together. "
    "Where no name is right it is 0. Each row of an array is one name: sentence, type, first word, end; no row comes "
    "twice in one array.",
    difficulty=3, minutes=10, points=2,
    sizes=(dict(n_sentences=1, names=2), dict(n_sentences=3, names=2), dict(n_sentences=4, names=3), dict(nothing=True),
           dict(n_sentences=5, names=2)),
    returns={"f1": ()},
    hints=("A name of one array is right if the very same row stands in the other. How many are?",
           "With h right names: precision is h / found, recall h / true. What is 2PR / (P + R)?"),
    explanation="2PR / (P + R) is 2h / (found + true). All names are counted together, so that a sentence with many "
                "names weighs more, and half a name is worth nothing.",
)


@task.reference
def strict_f1(true, predicted):
    """The F1, a number from 0 to 1, of the names true (n_true, 4) and predicted (n_predicted, 4), whole numbers."""
    right = len({*map(tuple, true)} & {*map(tuple, predicted)})
    return 2 * right / (len(true) + len(predicted))


@task.draw
def draw(rng, n_sentences=2, names=2, nothing=False):
    true, predicted = [], []
    for sentence in range(n_sentences):
        place = 20 * sentence
        for _ in range(names + int(rng.integers(2))):
            first = place + int(rng.integers(3))
            end, kind = first + int(rng.integers(2, 4)), int(rng.integers(3))
            place = end + 1
            name = (sentence, kind, first, end)
            true.append(name)
            wrong = [(sentence, (kind + 1) % 3, first, end), (sentence, kind, first, end - 1),
                     (sentence, kind, first + 1, end), None]
            mistake = int(rng.integers(4)) if nothing or rng.random() < 0.45 else -1
            found = name if mistake < 0 else wrong[mistake]
            predicted += [found] if found else []
    if not nothing:  # all kinds of mistakes, a name that is right, and one found in the wrong sentence
        more = n_sentences
        true += [(more, 0, 1, 3), (more, 1, 5, 6), (more + 1, 2, 2, 4), (more + 1, 0, 7, 9), (more + 1, 1, 10, 12),
                 (more + 1, 2, 15, 18)]
        predicted += [(more, 0, 1, 3), (more, 2, 5, 6), (more, 2, 2, 4), (more, 0, 9, 10), (more + 1, 0, 7, 8),
                      (more + 1, 1, 11, 12), (more + 1, 2, 15, 17), (more, 1, 13, 14)]
    else:
        predicted.append((0, 0, 30, 31))
    return {"true": rng.permutation(np.array(true)), "predicted": rng.permutation(np.array(predicted))}


def rows_of(names, *columns):
    return {tuple(row) for row in names[:, list(columns)]}


def of_counts(right, n_true, n_predicted):
    return 2 * right / (n_true + n_predicted)


@task.misconception
def type_ignored(true, predicted):
    """You count names whose place is right, whatever their type. Strict asks for the type as well."""
    return of_counts(len(rows_of(true, 0, 2, 3) & rows_of(predicted, 0, 2, 3)), len(true), len(predicted))


@task.misconception
def sentence_ignored(true, predicted):
    """You mix the sentences: a name at the same place of another sentence counts as found. Compare whole rows."""
    right = sum(tuple(row) in rows_of(true, 1, 2, 3) for row in predicted[:, 1:])
    return of_counts(right, len(true), len(predicted))


@task.misconception
def end_ignored(true, predicted):
    """You count names that begin at the right word, wherever they end. Strict asks for the end as well."""
    return of_counts(len(rows_of(true, 0, 1, 2) & rows_of(predicted, 0, 1, 2)), len(true), len(predicted))


@task.misconception
def overlap_is_enough(true, predicted):
    """You count a name as right where it overlaps with a true one of its type. Half a name is no name: all four numbers
    must agree."""
    right = sum(any(a[0] == b[0] and a[1] == b[1] and a[2] < b[3] and b[2] < a[3] for b in true) for a in predicted)
    return of_counts(right, len(true), len(predicted))


@task.misconception
def precision(true, predicted):
    """That is precision: it does not mind the names that were missed."""
    return len(rows_of(true, 0, 1, 2, 3) & rows_of(predicted, 0, 1, 2, 3)) / len(predicted)


@task.misconception
def recall(true, predicted):
    """That is recall: it does not mind names that are none."""
    return len(rows_of(true, 0, 1, 2, 3) & rows_of(predicted, 0, 1, 2, 3)) / len(true)


@task.misconception
def ordinary_mean(true, predicted):
    """That is the ordinary mean of precision and recall. F1 is the harmonic one, 2PR / (P + R)."""
    return (precision(true, predicted) + recall(true, predicted)) / 2


@task.misconception
def of_all_different_names(true, predicted):
    """You divide by the number of different names in both arrays together. That is the Jaccard index, lower than F1."""
    both = rows_of(true, 0, 1, 2, 3), rows_of(predicted, 0, 1, 2, 3)
    return len(both[0] & both[1]) / len(both[0] | both[1])


@task.misconception
def mean_over_sentences(true, predicted):
    """You take the F1 of each sentence and average. Count over all sentences together, then divide once."""
    numbers = sorted({*true[:, 0].tolist(), *predicted[:, 0].tolist()})
    return float(np.mean([strict_f1(true[true[:, 0] == n], predicted[predicted[:, 0] == n]) for n in numbers]))


# ---------------------------------------------------------------------------------------------------------------------
# The best span

task = Exercise(
    "12.best_span", "The best span",
    "The answer begins at the token i and ends at the token j, j included, and the best span is the one with the "
    "largest start_scores[i] + end_scores[j]. Write `best_span`, which gives i and j. The answer must lie in the "
    "paragraph, which begins at the token `paragraph` and goes to the end; it must not end before it begins; and it "
    "has at most `longest` tokens.",
    difficulty=3, minutes=15, points=3,
    sizes=(dict(length=6, paragraph=2, longest=3, trap="reversed"),
           dict(length=9, paragraph=3, longest=2, trap="near"), dict(length=12, paragraph=4, longest=3, trap="far"),
           dict(length=8, paragraph=3, longest=1, trap="reversed"),
           dict(length=14, paragraph=5, longest=3, trap="near"), dict(length=11, paragraph=4, longest=2, trap="far")),
    returns={"first": (), "last": ()},
    withhold=("coursekit.squad.best_span", "coursekit.squad.best_answer"),
    hints=("The best start and the best end, each for itself, may not make a span. Which pairs (i, j) can be?",
           "From each i of the paragraph the ends are i, i + 1, …, i + longest - 1, as far as there are tokens.",
           "Two loops and the best sum so far are enough."),
    explanation="The model scores starts and ends separately, and nothing ties them together until here. All pairs "
                "that can be are compared by their sum, which is the logarithm of the product of both probabilities, "
                "up to a constant.",
)


@task.reference
def best_span(start_scores, end_scores, paragraph, longest):
    """The first and the last token of the answer, of start_scores and end_scores (length,)."""
    spans = [(i, j) for i in range(paragraph, len(start_scores)) for j in range(i, len(end_scores))
             if j - i < longest]
    return max(spans, key=lambda span: start_scores[span[0]] + end_scores[span[1]])


@task.draw
def draw(rng, length, paragraph, longest, trap):
    starts, ends = (0.7 * rng.normal(size=length) for _ in range(2))
    starts[0], ends[0] = rng.uniform(9, 10, 2)  # as [CLS] has where the model sees no answer
    first = paragraph + int(rng.integers(2))
    if trap == "reversed":  # the best start stands at the end, the best end before it; two bad scores stand together
        starts[-1] += 4
        ends[paragraph] += 7
        starts[paragraph + 1] = ends[paragraph + 1] = -7
    else:  # the best start and the best end are too far apart
        starts[first] += 6
        ends[first + longest + (trap == "far")] += 5
    return {"start_scores": starts, "end_scores": ends, "paragraph": paragraph, "longest": longest}


def spans(length, paragraph, longest):
    return [(i, j) for i in range(paragraph, length) for j in range(i, min(i + longest, length))]


def of_sum(start_scores, end_scores, pairs):
    return max(pairs, key=lambda pair: start_scores[pair[0]] + end_scores[pair[1]])


@task.misconception
def each_for_itself(start_scores, end_scores, paragraph, longest):
    """You take the best start and the best end separately. Together they may be no span at all: compare pairs."""
    return paragraph + int(start_scores[paragraph:].argmax()), paragraph + int(end_scores[paragraph:].argmax())


@task.misconception
def put_in_order(start_scores, end_scores, paragraph, longest):
    """You take the best start and the best end separately and swap them where the end came first. That pair was never
    scored: the start score belongs to the start."""
    return tuple(sorted(each_for_itself(start_scores, end_scores, paragraph, longest)))


@task.misconception
def start_first(start_scores, end_scores, paragraph, longest):
    """You choose the best start, and then the best end for it. A start that is a little worse may have a much better
    end: compare the sums of all pairs."""
    i = paragraph + int(start_scores[paragraph:].argmax())
    return of_sum(start_scores, end_scores, [pair for pair in spans(len(start_scores), paragraph, longest)
                                             if pair[0] == i])


@task.misconception
def question_allowed(start_scores, end_scores, paragraph, longest):
    """Your span may lie in the question, or be [CLS]. It begins at `paragraph` or later."""
    return of_sum(start_scores, end_scores, spans(len(start_scores), 0, longest))


@task.misconception
def as_long_as_it_likes(start_scores, end_scores, paragraph, longest):
    """Your span may be longer than `longest` tokens."""
    return of_sum(start_scores, end_scores, spans(len(start_scores), paragraph, len(start_scores)))


@task.misconception
def one_token_too_long(start_scores, end_scores, paragraph, longest):
    """Your spans may have one token more than `longest`: i to j, both included, are j - i + 1 tokens."""
    return of_sum(start_scores, end_scores, spans(len(start_scores), paragraph, longest + 1))


@task.misconception
def end_left_out(start_scores, end_scores, paragraph, longest):
    """Your second number is the place after the answer. Asked for is its last token."""
    first, last = best_span(start_scores, end_scores, paragraph, longest)
    return first, last + 1


@task.misconception
def counted_from_the_paragraph(start_scores, end_scores, paragraph, longest):
    """Your numbers count from the beginning of the paragraph. Count from the first token of the input."""
    first, last = best_span(start_scores, end_scores, paragraph, longest)
    return first - paragraph, last - paragraph


@task.misconception
def scores_multiplied(start_scores, end_scores, paragraph, longest):
    """You multiply scores. Two very bad scores have a large product; scores are logarithms, so add them."""
    return max(spans(len(start_scores), paragraph, longest),
               key=lambda pair: start_scores[pair[0]] * end_scores[pair[1]])


@task.misconception
def ends_before_it_begins(start_scores, end_scores, paragraph, longest):
    """Your pairs may have the end before the start. Only j ≥ i makes a span."""
    places = range(paragraph, len(start_scores))
    return of_sum(start_scores, end_scores, [(i, j) for i in places for j in places if j - i < longest])


# ---------------------------------------------------------------------------------------------------------------------
# One gradient from many

task = Exercise(
    "12.whole_gradient", "One gradient from many",
    "A batch of sentences, whose tokens are to be labelled, is shared out among processes. Process p computes "
    "`gradients[p]`, the gradient of the mean loss over *its* targets; where all its targets are -100 it gives zeros. "
    "Write `whole_gradient`: the gradient of the mean loss over the targets of all processes. A target of -100 does "
    "not count.",
    difficulty=4, minutes=10, points=2,
    sizes=(dict(processes=2, rows=1, length=4, weights=3), dict(processes=2, rows=3, length=5, weights=4),
           dict(processes=3, rows=2, length=6, weights=5), dict(processes=4, rows=3, length=7, weights=2)),
    returns={"gradient": ("weights",)},
    hints=("The gradient of a sum is the sum of the gradients. What is the gradient of the *sum* of the losses of "
           "process p?",
           "Its mean times its number of targets. And of the whole mean: the sum of those, divided by the number of "
           "all targets."),
    explanation="Each process divided by its own number of targets; multiplied back in, everything is divided once by "
                "the number of all. Only where all numbers are equal is this the plain mean that data-parallel "
                "training takes by itself.",
)


@task.reference
def whole_gradient(gradients, targets):
    """The gradient (weights,), of gradients (processes, weights) and targets (processes, rows, length)."""
    counts = np.array([(share != -100).sum() for share in targets])
    return counts @ gradients / counts.sum()


@task.draw
def draw(rng, processes, rows, length, weights):
    targets = np.full((processes, rows, length), IGNORED)
    for process in range(processes):
        for row in range(rows):
            n = int(rng.integers(1, length - 1)) if process or row == 0 else length - 1
            targets[process, row, 1:1 + n] = rng.integers(7, size=n)
    targets[1, 0, 1:] = IGNORED  # a share with fewer rows that count, or with none
    gradients = rng.normal(size=(processes, weights))
    gradients[(targets == IGNORED).all(axis=(1, 2))] = 0.0
    return {"gradients": gradients, "targets": targets}


@task.misconception
def plain_mean(gradients, targets):
    """You average the processes' gradients evenly. A target of a process that has few then weighs more than one of a
    process that has many."""
    return gradients.mean(axis=0)


@task.misconception
def gradients_added(gradients, targets):
    """You add the gradients. That is the step of a much larger learning rate: each is of a mean, and so is the whole."""
    return gradients.sum(axis=0)


@task.misconception
def not_divided(gradients, targets):
    """That is the gradient of the sum of all losses. Of the mean it is that, divided by the number of all targets."""
    return (targets != IGNORED).sum(axis=(1, 2)) @ gradients


@task.misconception
def divided_by_the_processes(gradients, targets):
    """You weight by the numbers of targets and divide by the number of processes. The weights must add up to 1."""
    return not_divided(gradients, targets) / len(gradients)


@task.misconception
def divided_by_all_places(gradients, targets):
    """You divide by all places, those of -100 too: the more padding, the smaller your step."""
    return not_divided(gradients, targets) / targets.size


@task.misconception
def weighted_by_rows(gradients, targets):
    """You weight a process by its rows that have a target. The loss is a mean over tokens: count the targets."""
    rows = (targets != IGNORED).any(axis=2).sum(axis=1)
    return rows @ gradients / rows.sum()


@task.misconception
def weighted_by_what_does_not_count(gradients, targets):
    """Your weights are the numbers of targets that are -100. Those are left out: count the others."""
    counts = (targets == IGNORED).sum(axis=(1, 2))
    return counts @ gradients / counts.sum()


@task.misconception
def label_0_left_out(gradients, targets):
    """You count the targets above 0. The label 0 is O, no name, and it counts; only -100 does not."""
    counts = (targets > 0).sum(axis=(1, 2))
    return counts @ gradients / counts.sum()


@task.misconception
def weights_divided_out(gradients, targets):
    """You divide each gradient by its number of targets. That has been done: multiply it back."""
    counts = (targets != IGNORED).sum(axis=(1, 2))
    return (gradients / np.maximum(counts, 1)[:, None]).sum(axis=0)
