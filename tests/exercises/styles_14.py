import math
import statistics

import numpy as np
import torch

from exercise_styles import choice, number, style

number("14.prior_by_hand", -2)
choice("14.what_it_shows", "c")


# 14.association

@style("14.association")
def torch_log_softmax(logits, prior_logits, target):
    log_p, log_prior = (torch.from_numpy(x).log_softmax(-1) for x in (logits, prior_logits))
    return log_p[:, target] - log_prior[:, target]


@style("14.association")
def one_template_at_a_time(logits, prior_logits, target):
    found = []
    for row, prior in zip(logits.tolist(), prior_logits.tolist()):
        p = math.exp(row[target]) / sum(math.exp(logit) for logit in row)
        p_prior = math.exp(prior[target]) / sum(math.exp(logit) for logit in prior)
        found.append(math.log(p / p_prior))
    return found


@style("14.association")
def probabilities_divided(logits, prior_logits, target):
    p, prior = (np.exp(x) / np.exp(x).sum(1)[:, np.newaxis] for x in (logits, prior_logits))
    return np.log(p.T[target] / prior.T[target])


@style("14.association")
def sums_apart(logits, prior_logits, target):
    sums = [np.logaddexp.reduce(x, axis=1) for x in (logits, prior_logits)]
    return (logits - prior_logits)[:, target] - sums[0] + sums[1]


@style("14.association")
def cross_entropies(logits, prior_logits, target):
    wanted = torch.full((len(logits),), target)
    losses = [torch.nn.functional.cross_entropy(torch.tensor(x), wanted, reduction="none")
              for x in (logits, prior_logits)]
    return losses[1] - losses[0]


# 14.pseudo_log_likelihood

@style("14.pseudo_log_likelihood")
def token_by_token(logits, ids, special):
    total = 0.0
    for place in range(len(ids)):
        if not special[place]:
            row = [float(logit) for logit in logits[place][place]]
            total += row[ids[place]] - math.log(sum(math.exp(logit) for logit in row))
    return total


@style("14.pseudo_log_likelihood")
def torch_cross_entropy(logits, ids, special):
    places = torch.arange(len(ids))
    at_masks = torch.from_numpy(logits)[places, places]
    targets = torch.from_numpy(np.where(special, -100, ids))
    return -torch.nn.functional.cross_entropy(at_masks, targets, ignore_index=-100, reduction="sum")


@style("14.pseudo_log_likelihood")
def diagonal(logits, ids, special):
    at_masks = np.diagonal(logits).T
    log_p = at_masks - np.logaddexp.reduce(at_masks, axis=1)[:, None]
    return (log_p[np.arange(len(ids)), ids] * ~special).sum()


@style("14.pseudo_log_likelihood")
def product_of_probabilities(logits, ids, special):
    p = np.exp(logits.astype(np.float64))
    p = p / p.sum(-1, keepdims=True)
    return np.log(np.prod([p[i, i, ids[i]] for i in range(len(ids)) if not special[i]]))


@style("14.pseudo_log_likelihood")
def one_hot_einsum(logits, ids, special):
    log_p = torch.tensor(logits).log_softmax(-1).numpy()
    one_hot = np.eye(logits.shape[-1])[ids]
    return np.einsum("iiv,iv,i->", log_p, one_hot, (~special).astype(float))


# 14.paired_interval

@style("14.paired_interval")
def draw_by_draw(first, second, draws):
    means = []
    for templates in draws:
        means.append(sum(float(first[t]) - float(second[t]) for t in templates) / len(templates))
    return np.percentile(means, 2.5), np.percentile(means, 97.5)


@style("14.paired_interval")
def means_subtracted(first, second, draws):
    return np.quantile(first[draws].mean(-1) - second[draws].mean(-1), (0.025, 0.975)).tolist()


@style("14.paired_interval")
def torch_quantile(first, second, draws):
    differences = torch.from_numpy(first - second)
    means = differences[torch.from_numpy(draws)].mean(dim=1)
    return torch.quantile(means, torch.tensor([0.025, 0.975], dtype=means.dtype))


@style("14.paired_interval")
def counts(first, second, draws):
    times = np.stack([np.bincount(row, minlength=len(first)) for row in draws])
    means = times @ (first - second) / draws.shape[1]
    return np.array([np.quantile(means, 0.025), np.quantile(means, 0.975)])


@style("14.paired_interval")
def sorted_by_hand(first, second, draws):
    means = sorted(statistics.fmean((first - second)[row]) for row in draws)

    def quantile(q):
        place = q * (len(means) - 1)
        low = int(place)
        return means[low] + (place - low) * (means[low + 1] - means[low])
    return [quantile(0.025), quantile(0.975)]


# 14.largest_by_chance

@style("14.largest_by_chance")
def row_by_row(differences, signs):
    own = np.abs(differences.mean(0))
    at_least = np.ones(len(own))
    for row in signs:
        largest = max(abs(np.mean(row * differences[:, word])) for word in range(len(own)))
        at_least += largest >= own
    return at_least / (len(signs) + 1)


@style("14.largest_by_chance")
def einsum_of_sums(differences, signs):
    own = abs(differences.sum(axis=0))
    largest = abs(np.einsum("rp,pw->rw", signs, differences)).max(-1)
    return [(1 + np.count_nonzero(largest >= word)) / (1 + len(largest)) for word in own]


@style("14.largest_by_chance")
def torch_broadcast(differences, signs):
    differences, signs = torch.from_numpy(differences), torch.from_numpy(signs)
    means = (signs[:, :, None] * differences).mean(1).abs().amax(1)
    own = differences.mean(0).abs()
    return ((means[:, None] >= own).sum(0) + 1) / (len(signs) + 1)


@style("14.largest_by_chance")
def searched_in_sorted(differences, signs):
    largest = np.sort(np.abs(signs @ differences).max(axis=1) / len(differences))
    below = np.searchsorted(largest, np.abs(np.mean(differences, axis=0)))
    return (1 + len(largest) - below) / (1 + len(largest))


@style("14.largest_by_chance")
def pairs_turned(differences, signs):
    def largest(turned):
        return np.max(np.abs(np.average(turned, axis=0)))
    by_chance = np.array([largest(np.where(row[:, None] < 0, -differences, differences)) for row in signs])
    own = np.abs(np.average(differences, axis=0))
    p = [np.mean(np.append(by_chance >= word, True)) for word in own]
    return np.array(p)
