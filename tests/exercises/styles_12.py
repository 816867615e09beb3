import itertools

import numpy as np
import torch
from exercise_styles import STYLES, style

for share in (1 / 9, np.float32(6) / 54, np.array(1 / 9), torch.tensor(6) / 54, 0.1111111):
    STYLES["12.padding_by_hand"].append(lambda share=share: share)


# 12.aligned_labels

@style("12.aligned_labels")
def token_by_token(words, labels):
    targets, before = [], -1
    for word in words:
        targets.append(labels[word] if word >= 0 and word != before else -100)
        before = word
    return targets


@style("12.aligned_labels")
def where_the_number_changes(words, labels):
    begins = np.append(True, words[1:] != words[:-1])
    return np.where(begins & (words > -1), labels[words], -100)


@style("12.aligned_labels")
def word_by_word(words, labels):
    targets = np.full_like(words, -100)
    for word, label in enumerate(labels):
        targets[words.tolist().index(word)] = label
    return targets


@style("12.aligned_labels")
def grouped(words, labels):
    targets = []
    for word, pieces in itertools.groupby(words.tolist()):
        pieces = list(pieces)
        targets += [-100] * len(pieces) if word < 0 else [int(labels[word])] + [-100] * (len(pieces) - 1)
    return targets


@style("12.aligned_labels")
def in_torch(words, labels):
    words, labels = torch.from_numpy(words), torch.from_numpy(labels)
    targets = labels[words.clamp(min=0)]
    targets[words < 0] = -100
    targets[1:][words[1:] == words[:-1]] = -100
    return targets


# 12.strict_f1

@style("12.strict_f1")
def precision_and_recall(true, predicted):
    found = {tuple(name) for name in predicted.tolist()}
    hits = sum(tuple(name) in found for name in true.tolist())
    if hits == 0:
        return 0.0
    precision, recall = hits / len(predicted), hits / len(true)
    return 2 * precision * recall / (precision + recall)


@style("12.strict_f1")
def every_pair(true, predicted):
    same = (true[:, None, :] == predicted[None, :, :]).all(axis=-1)
    return same.sum() / np.mean([len(true), len(predicted)])


@style("12.strict_f1")
def counted_out(true, predicted):
    true, missed, false = [tuple(row) for row in true], 0, 0
    predicted = [tuple(row) for row in predicted]
    for row in true:
        missed += row not in predicted
    for row in predicted:
        false += row not in true
    hits = len(true) - missed
    return hits / (hits + 0.5 * (missed + false))


@style("12.strict_f1")
def unique_rows(true, predicted):
    _, times = np.unique(np.concatenate([true, predicted]), axis=0, return_counts=True)
    return np.float64(2 * (times == 2).sum() / times.sum())


@style("12.strict_f1")
def in_torch_one_number_a_name(true, predicted):
    base = torch.tensor([10**6, 10**5, 300, 1])
    hits = torch.isin(torch.from_numpy(true) @ base, torch.from_numpy(predicted) @ base).sum()
    return 2 * hits / (len(true) + len(predicted))


# 12.best_span

@style("12.best_span")
def two_loops(start_scores, end_scores, paragraph, longest):
    best = None
    for i in range(paragraph, len(start_scores)):
        for j in range(i, min(i + longest, len(start_scores))):
            score = start_scores[i] + end_scores[j]
            if best is None or score > best[0]:
                best = (score, i, j)
    return best[1], best[2]


@style("12.best_span")
def matrix_of_sums(start_scores, end_scores, paragraph, longest):
    sums = start_scores[:, None] + end_scores[None, :]
    allowed = np.triu(np.ones_like(sums, dtype=bool)) & ~np.triu(np.ones_like(sums, dtype=bool), longest)
    allowed[:paragraph] = False
    return np.unravel_index(np.where(allowed, sums, -np.inf).argmax(), sums.shape)


@style("12.best_span")
def length_by_length(start_scores, end_scores, paragraph, longest):
    starts, ends, found = start_scores[paragraph:], end_scores[paragraph:], []
    for more in range(min(longest, len(starts))):
        sums = starts[:len(starts) - more] + ends[more:]
        found.append((sums.max(), paragraph + int(sums.argmax()), paragraph + int(sums.argmax()) + more))
    return max(found)[1:]


@style("12.best_span")
def in_torch_with_probabilities(start_scores, end_scores, paragraph, longest):
    p = torch.from_numpy(start_scores).softmax(0)[:, None] * torch.from_numpy(end_scores).softmax(0)
    p[:paragraph] = 0
    p = p.triu().tril(longest - 1)
    return divmod(p.argmax().item(), len(start_scores))


@style("12.best_span")
def best_end_of_each_start(start_scores, end_scores, paragraph, longest):
    choices = []
    for i in range(paragraph, len(start_scores)):
        j = i + int(np.argmax(end_scores[i:i + longest]))
        choices.append((i, j))
    return sorted(choices, key=lambda pair: -(start_scores[pair[0]] + end_scores[pair[1]]))[0]


# 12.calibration_error

@style("12.calibration_error")
def bin_by_bin(probabilities, labels, bins):
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    error = 0.0
    for k in range(bins):
        inside = (confidence > k / bins) & (confidence <= (k + 1) / bins)
        if inside.any():
            error += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    return error


@style("12.calibration_error")
def bincount(probabilities, labels, bins):
    confidence = probabilities.max(axis=-1)
    gaps = np.equal(probabilities.argmax(-1), labels) - confidence
    return np.abs(np.bincount(np.floor(confidence * bins).astype(int), weights=gaps, minlength=bins)).sum() / len(gaps)


@style("12.calibration_error")
def example_after_example(probabilities, labels, bins):
    groups = {}
    for row, label in zip(probabilities.tolist(), labels.tolist()):
        confidence = max(row)
        groups.setdefault(int(confidence * bins), []).append((confidence, row.index(confidence) == label))
    total = sum(len(group) for group in groups.values())
    return sum(len(group) / total * abs(sum(c for c, _ in group) - sum(hit for _, hit in group)) / len(group)
               for group in groups.values())


@style("12.calibration_error")
def digitize(probabilities, labels, bins):
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    which = np.digitize(confidence, np.linspace(0, 1, bins + 1))
    counts = np.array([(which == k).sum() for k in np.unique(which)])
    gaps = [abs(confidence[which == k].mean() - right[which == k].mean()) for k in np.unique(which)]
    return np.average(gaps, weights=counts)


@style("12.calibration_error")
def in_torch_scattered(probabilities, labels, bins):
    confidence, best = torch.from_numpy(probabilities).max(1)
    gaps = (best == torch.from_numpy(labels)).double() - confidence
    sums = torch.zeros(bins, dtype=torch.double).index_add(0, (confidence * bins).long(), gaps.double())
    return sums.abs().sum() / len(labels)


# 12.whole_gradient

@style("12.whole_gradient")
def process_by_process(gradients, targets):
    total, count = np.zeros(gradients.shape[1]), 0
    for gradient, share in zip(gradients, targets):
        n = (share != -100).sum()
        total += n * gradient
        count += n
    return total / count


@style("12.whole_gradient")
def weighted_average(gradients, targets):
    return np.average(gradients, axis=0, weights=np.count_nonzero(targets != -100, axis=(-2, -1)))


@style("12.whole_gradient")
def einsum_of_shares(gradients, targets):
    counts = np.array([(row >= 0).sum() for row in targets.reshape(len(targets), -1)])
    return np.einsum("p,pw->w", counts / counts.sum(), gradients)


@style("12.whole_gradient")
def in_torch_flattened(gradients, targets):
    counts = (torch.from_numpy(targets) != -100).flatten(1).sum(1).to(torch.float64)
    return (torch.from_numpy(gradients).double() * counts[:, None]).sum(0) / counts.sum()


@style("12.whole_gradient")
def weight_by_weight(gradients, targets):
    counts = [sum(target != -100 for row in share for target in row) for share in targets.tolist()]
    return [sum(n * float(g) for n, g in zip(counts, column)) / sum(counts) for column in gradients.T]
