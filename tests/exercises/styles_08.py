import math

import numpy as np
import torch
import torch.nn.functional as F

from exercise_styles import choice, style

choice("08.which_attention", "d")


# 08.shifted

@style("08.shifted")
def lists(sentences, lengths, start, end, padding, no_target):
    longest = sentences.shape[1]
    read, wanted = [], []
    for sentence, n in zip(sentences.tolist(), lengths):
        kept = sentence[:n]
        read.append([start] + kept + [padding] * (longest - n))
        wanted.append(kept + [end] + [no_target] * (longest - n))
    return read, wanted


@style("08.shifted")
def where(sentences, lengths, start, end, padding, no_target):
    batch, length = sentences.shape
    place = np.arange(length + 1)
    before = np.concatenate([np.full((batch, 1), start), sentences], axis=1)
    after = np.concatenate([sentences, np.full((batch, 1), no_target)], axis=1)
    n = lengths[:, None]
    return (np.where(place <= n, before, padding),
            np.where(place < n, after, np.where(place == n, end, no_target)))


@style("08.shifted")
def one_long_row(sentences, lengths, start, end, padding, no_target):
    rows = [[start, *row[:n], end] for row, n in zip(sentences, lengths)]
    longest = max(sentences.shape[1] + 2, *map(len, rows))
    read = np.array([row[:-1] + [padding] * (longest - len(row)) for row in rows])
    wanted = np.array([row[1:] + [no_target] * (longest - len(row)) for row in rows])
    return read, wanted


@style("08.shifted")
def torch_tensors(sentences, lengths, start, end, padding, no_target):
    sentences, lengths = torch.tensor(sentences), torch.tensor(lengths)
    real = torch.arange(sentences.shape[1]) < lengths[:, None]
    read = F.pad(sentences.masked_fill(~real, padding), (1, 0), value=start)
    wanted = F.pad(sentences.masked_fill(~real, no_target), (0, 1), value=no_target)
    wanted[torch.arange(len(wanted)), lengths] = end
    return read, wanted


@style("08.shifted")
def int32(sentences, lengths, start, end, padding, no_target):
    read, wanted = (np.zeros((len(sentences), sentences.shape[1] + 1), np.int32) for _ in range(2))
    for i in range(read.shape[0]):
        for t in range(read.shape[1]):
            read[i, t] = start if t == 0 else sentences[i, t - 1] if t <= lengths[i] else padding
            wanted[i, t] = sentences[i, t] if t < lengths[i] else end if t == lengths[i] else no_target
    return read, wanted


# 08.decoder_mask

@style("08.decoder_mask")
def triple_loop(lengths, length):
    return [[[key <= query and key < n for key in range(length)] for query in range(length)] for n in lengths.tolist()]


@style("08.decoder_mask")
def smallest_of_both(lengths, length):
    key, query = np.meshgrid(np.arange(length), np.arange(length))
    return np.stack([(key < min(n, length)) * (key <= query) for n in lengths])


@style("08.decoder_mask")
def tril_of_torch(lengths, length):
    real = torch.arange(length)[None] < torch.tensor(lengths)[:, None]
    return real[:, None, :].expand(-1, length, -1).tril()


@style("08.decoder_mask")
def logical(lengths, length):
    i = np.arange(length)
    return np.logical_and(np.tri(length, dtype=bool)[None], np.less(i[None, None], lengths[:, None, None]))


@style("08.decoder_mask")
def columns_cut_off(lengths, length):
    mask = np.tril(np.ones((len(lengths), length, length))).astype(bool)
    for row, n in zip(mask, lengths):
        row[:, n:] = False
    return mask


# 08.cross_attend

@style("08.cross_attend")
def sentence_by_sentence(target, memory, WQ, WK, WV, real):
    contexts = []
    for x, states, counts in zip(target, memory, real):
        states = states[counts]
        powers = np.exp((x @ WQ) @ (states @ WK).T / math.sqrt(WQ.shape[1]))
        contexts.append(powers @ (states @ WV) / powers.sum(1, keepdims=True))
    return np.stack(contexts)


@style("08.cross_attend")
def einsum(target, memory, WQ, WK, WV, real):
    scores = np.einsum("btd,dh,eh,bse->bts", target, WQ, WK, memory, optimize=True) / WK.shape[-1] ** 0.5
    scores = np.where(real[:, None], scores, -1e9)
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    return np.einsum("bts,bse,ev->btv", powers / powers.sum(-1, keepdims=True), memory, WV)


@style("08.cross_attend")
def torch_masked_fill(target, memory, WQ, WK, WV, real):
    target, memory, WQ, WK, WV, real = map(torch.tensor, (target, memory, WQ, WK, WV, real))
    scores = (target @ WQ) @ (memory @ WK).mT / math.sqrt(WK.size(1))
    return scores.masked_fill(~real.unsqueeze(1), float("-inf")).softmax(-1) @ (memory @ WV)


@style("08.cross_attend")
def single_precision(target, memory, WQ, WK, WV, real):
    target, memory, WQ, WK, WV = (torch.tensor(array).float() for array in (target, memory, WQ, WK, WV))
    scores = torch.bmm(target @ (WQ / WQ.shape[1] ** 0.5), (memory @ WK).transpose(1, 2))
    scores = scores + torch.where(torch.tensor(real), 0.0, -torch.inf)[:, None]
    return torch.bmm(F.softmax(scores, dim=2), memory @ WV)


@style("08.cross_attend")
def loops(target, memory, WQ, WK, WV, real):
    batch, length, _ = target.shape
    context = np.zeros((batch, length, WV.shape[1]))
    for b in range(batch):
        for t in range(length):
            powers = [math.exp((target[b, t] @ WQ) @ (memory[b, s] @ WK) / np.sqrt(WK.shape[1])) if real[b, s] else 0
                      for s in range(memory.shape[1])]
            for s, power in enumerate(powers):
                context[b, t] += power / sum(powers) * (memory[b, s] @ WV)
    return context


# 08.smoothed_loss

@style("08.smoothed_loss")
def loops_over_tokens(logits, wanted, smoothing):
    losses = []
    for row, ids in zip(logits.reshape(-1, logits.shape[-1]), wanted.flatten()):
        if ids == -100:
            continue
        p = np.exp(row) / np.exp(row).sum()
        q = [smoothing / len(p) + (1 - smoothing) * (v == ids) for v in range(len(p))]
        losses.append(-sum(share * math.log(chance) for share, chance in zip(q, p)))
    return sum(losses) / len(losses)


@style("08.smoothed_loss")
def one_hot(logits, wanted, smoothing):
    vocab_size = logits.shape[-1]
    q = np.eye(vocab_size)[np.where(wanted < 0, 0, wanted)] * (1 - smoothing) + smoothing / vocab_size
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    loss = -(q * log_p).sum(-1)
    return (loss * (wanted >= 0)).sum() / (wanted >= 0).sum()


@style("08.smoothed_loss")
def log_softmax(logits, wanted, smoothing):
    log_p, wanted = torch.tensor(logits).log_softmax(-1), torch.tensor(wanted)
    chosen = log_p.gather(-1, wanted.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    return -((1 - smoothing) * chosen + smoothing * log_p.mean(-1))[wanted != -100].mean()


@style("08.smoothed_loss")
def nll_loss(logits, wanted, smoothing):
    log_p = F.log_softmax(torch.tensor(logits).flatten(0, 1), dim=1)
    wanted = torch.tensor(wanted).flatten()
    uniform = -log_p[wanted != -100].mean(1).mean()
    return (1 - smoothing) * F.nll_loss(log_p, wanted, ignore_index=-100) + smoothing * uniform


@style("08.smoothed_loss")
def logsumexp_in_single_precision(logits, wanted, smoothing):
    logits, wanted = torch.tensor(logits).float(), torch.tensor(wanted)
    real = wanted.ne(-100)
    logits, wanted = logits[real], wanted[real]
    q = torch.full_like(logits, smoothing / logits.shape[1])
    q[torch.arange(len(q)), wanted] += 1 - smoothing
    return (logits.logsumexp(1) - (q * logits).sum(1)).mean().item()


# 08.share_aligned

@style("08.share_aligned")
def word_by_word(weights, links):
    right = []
    for row, partners in zip(weights, links):
        for t in range(partners.shape[0]):
            if partners[t].any():
                right.append(partners[t, sum(head[t] for head in row).argmax()])
    return sum(right) / len(right)


@style("08.share_aligned")
def take_along_axis(weights, links):
    place = np.sum(weights, axis=1).argmax(-1)[..., None]
    return np.take_along_axis(links, place, axis=-1).sum() / links.any(-1).sum()


@style("08.share_aligned")
def one_hot_places(weights, links):
    mean = np.einsum("bhts->bts", weights) / weights.shape[1]
    most = mean == mean.max(-1, keepdims=True)
    return np.logical_and(most, links).any(-1)[links.sum(-1) > 0].mean()


@style("08.share_aligned")
def gather(weights, links):
    weights, links = torch.tensor(weights).float(), torch.tensor(links)
    found = links.gather(2, weights.mean(1).argmax(2, keepdim=True)).squeeze(2)
    return found[links.any(2)].double().mean()


@style("08.share_aligned")
def sets_of_partners(weights, links):
    looks = np.moveaxis(weights, 1, -1).mean(-1).argmax(-1)
    pairs = set(zip(*(place.tolist() for place in np.nonzero(links))))
    words = {(b, t) for b, t, _ in pairs}
    return len([word for word in words if (*word, looks[word]) in pairs]) / len(words)
