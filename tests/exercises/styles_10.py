import numpy as np
import torch
import torch.nn.functional as F

from exercise_styles import number, style

number("10.changed_tokens", 270)


# 10.input_vectors

@style("10.input_vectors")
def token_by_token(ids, n_first, tokens, positions, segments):
    rows = []
    for place, id in enumerate(ids):
        rows.append(tokens[id] + positions[place] + (segments[0] if place < n_first else segments[1]))
    return np.array(rows)


@style("10.input_vectors")
def one_hot_products(ids, n_first, tokens, positions, segments):
    places = np.arange(len(ids))
    return (np.eye(len(tokens))[ids] @ tokens + np.eye(len(positions))[places] @ positions
            + np.eye(2)[np.where(places < n_first, 0, 1)] @ segments)


@style("10.input_vectors")
def torch_embedding(ids, n_first, tokens, positions, segments):
    segment_ids = torch.cat([torch.zeros(n_first), torch.ones(len(ids) - n_first)]).long()
    return (F.embedding(torch.tensor(ids), torch.tensor(tokens)) + torch.tensor(positions)[:len(ids)]
            + torch.tensor(segments)[segment_ids])


@style("10.input_vectors")
def added_in_place(ids, n_first, tokens, positions, segments):
    vectors = tokens[ids].copy()
    vectors += positions[:len(ids)]
    vectors[:n_first] += segments[0]
    vectors[n_first:] += segments[1]
    return vectors


@style("10.input_vectors")
def two_halves(ids, n_first, tokens, positions, segments):
    halves = [tokens[ids[:n_first]] + segments[:1], tokens[ids[n_first:]] + segments[1:]]
    return (np.concatenate(halves) + np.take(positions, range(len(ids)), axis=0)).tolist()


# 10.masked

@style("10.masked")
def cell_by_cell(ids, special, chance, fate, others, share, mask_id):
    inputs, targets = [list(row) for row in ids], [[-100] * len(row) for row in ids]
    for b in range(len(ids)):
        for t in range(len(ids[b])):
            if special[b, t] or chance[b, t] >= share:
                continue
            targets[b][t] = ids[b, t]
            if fate[b, t] < 0.8:
                inputs[b][t] = mask_id
            elif fate[b, t] < 0.9:
                inputs[b][t] = others[b, t]
    return inputs, targets


@style("10.masked")
def indexed_copies(ids, special, chance, fate, others, share, mask_id):
    chosen = np.logical_and(chance < share, np.logical_not(special))
    inputs, targets = ids.copy(), np.full_like(ids, -100)
    targets[chosen] = ids[chosen]
    inputs[chosen & (fate < 0.8)] = mask_id
    swapped = chosen & (fate >= 0.8) & (fate < 0.9)
    inputs[swapped] = others[swapped]
    return inputs, targets


@style("10.masked")
def torch_masked_fill(ids, special, chance, fate, others, share, mask_id):
    ids, special, chance, fate, others = map(torch.from_numpy, (ids, special, chance, fate, others))
    chosen = (chance < share).masked_fill(special, False)
    targets = ids.masked_fill(~chosen, -100)
    inputs = ids.masked_fill(chosen & (fate < 0.8), mask_id)
    return torch.where(chosen & (fate >= 0.8) & (fate < 0.9), others, inputs), targets


@style("10.masked")
def select(ids, special, chance, fate, others, share, mask_id):
    chosen = (chance < share) * ~special
    inputs = np.select([~chosen, fate < 0.8, fate < 0.9], [ids, np.full_like(ids, mask_id), others], default=ids)
    return inputs, ids * chosen - 100 * ~chosen


@style("10.masked")
def what_happens_as_a_number(ids, special, chance, fate, others, share, mask_id):
    chance = np.where(special, 1.0, chance)
    happens = np.where(chance < share, np.digitize(fate, [0.8, 0.9]), 2)
    return (np.choose(happens, [np.full(ids.shape, mask_id), others, ids]),
            np.where(chance < share, ids, -100).astype(np.int32))


# 10.sentence_pairs

@style("10.sentence_pairs")
def sentence_by_sentence(document_of, coin, draw):
    first, second, labels = [], [], []
    for i in range(len(document_of) - 1):
        if document_of[i] != document_of[i + 1]:
            continue
        others = [j for j in range(len(document_of)) if document_of[j] != document_of[i]]
        first.append(i)
        second.append(i + 1 if coin[i] < 0.5 else others[int(draw[i] * len(others))])
        labels.append(0 if coin[i] < 0.5 else 1)
    return first, second, labels


@style("10.sentence_pairs")
def one_document_cut_out(document_of, coin, draw):
    pairs, sentences = [], np.arange(len(document_of))
    for document in np.unique(document_of):
        own = sentences[document_of == document]
        others = np.delete(sentences, own)
        for i, after in zip(own, own[1:]):
            pairs.append((i, after, 0) if coin[i] < 0.5 else (i, others[int(draw[i] * len(others))], 1))
    return tuple(np.array(column) for column in zip(*pairs))


@style("10.sentence_pairs")
def by_lengths(document_of, coin, draw):
    """Others before this document keep their number, those after it are shifted by its length."""
    first = np.array([i for i in range(len(document_of) - 1) if document_of[i] == document_of[i + 1]])
    length = np.bincount(document_of)[document_of[first]]
    start = np.searchsorted(document_of, document_of[first])
    number = (draw[first] * (len(document_of) - length)).astype(int)
    labels = (coin[first] >= 0.5) * 1
    return first, np.where(labels == 0, first + 1, number + length * (number >= start)), labels


@style("10.sentence_pairs")
def torch_nonzero(document_of, coin, draw):
    document_of, coin = torch.tensor(document_of), torch.tensor(coin)
    first = torch.nonzero(document_of.diff() == 0).flatten()
    labels = (~(coin[first] < 0.5)).long()
    second = first + 1
    for pair in torch.nonzero(labels).flatten():
        others = torch.nonzero(document_of != document_of[first[pair]]).flatten()
        second[pair] = others[int(draw[first[pair].item()] * len(others))]
    return first, second, labels


@style("10.sentence_pairs")
def generator_of_pairs(document_of, coin, draw):
    def pairs():
        for i, (own, following) in enumerate(zip(document_of, document_of[1:])):
            if own == following:
                others, = np.where(document_of != own)
                yield (i, i + 1, 0) if coin[i] < 0.5 else (i, int(others[int(draw[i] * others.size)]), 1)
    first, second, labels = zip(*pairs())
    return list(first), list(second), list(labels)


# 10.optimum

@style("10.optimum")
def word_by_word(prior, word_given_fact):
    accuracy = 0.0
    for word in range(word_given_fact.shape[1]):
        accuracy += max(prior[fact] * word_given_fact[fact, word] for fact in range(len(prior)))
    return accuracy


@style("10.optimum")
def posterior_times_evidence(prior, word_given_fact):
    evidence = prior @ word_given_fact
    posterior = prior[:, None] * word_given_fact / evidence
    return np.sum(posterior.max(axis=0) * evidence)


@style("10.optimum")
def torch_amax(prior, word_given_fact):
    return (torch.tensor(prior)[:, None] * torch.tensor(word_given_fact)).amax(0).sum()


@style("10.optimum")
def einsum_and_argmax(prior, word_given_fact):
    joint = np.einsum("f,fw->wf", prior, word_given_fact)
    return float(joint[np.arange(len(joint)), joint.argmax(1)].sum())


@style("10.optimum")
def diagonal(prior, word_given_fact):
    return np.sum(np.max(np.diag(prior) @ word_given_fact, 0))


# 10.tied_gradient

@style("10.tied_gradient")
def one_hot_matrices(embedding, ids, targets):
    read, wanted = np.eye(len(embedding))[ids], np.eye(len(embedding))[targets]
    logits = read @ embedding @ embedding.T
    g = (np.exp(logits) / np.exp(logits).sum(1, keepdims=True) - wanted) / len(ids)
    return g.T @ read @ embedding + read.T @ g @ embedding


@style("10.tied_gradient")
def token_by_token_sum(embedding, ids, targets):
    gradient = np.zeros_like(embedding)
    for id, target in zip(ids, targets):
        p = np.exp(embedding @ embedding[id])
        p /= p.sum()
        p[target] -= 1
        gradient += np.outer(p, embedding[id])
        gradient[id] += p @ embedding
    return gradient / len(ids)


@style("10.tied_gradient")
def torch_index_add(embedding, ids, targets):
    embedding, ids, targets = map(torch.from_numpy, (embedding, ids, targets))
    read = embedding[ids]
    g = torch.softmax(read @ embedding.T, dim=-1) - F.one_hot(targets, len(embedding)).to(embedding.dtype)
    g = g / len(ids)
    return (g.T @ read).index_add(0, ids, g @ embedding)


@style("10.tied_gradient")
def whole_table_first(embedding, ids, targets):
    """The gradient of the logits for every id at once: how often it was read with which target."""
    vocab = len(embedding)
    counts = np.zeros((vocab, vocab))
    np.add.at(counts, (ids, targets), 1 / len(ids))
    exponentials = np.exp(embedding @ embedding.T)
    p = exponentials / exponentials.sum(axis=1, keepdims=True)
    g = counts.sum(1, keepdims=True) * p - counts
    return (g + g.T) @ embedding


@style("10.tied_gradient")
def two_uses_apart(embedding, ids, targets):
    log_p = F.log_softmax(torch.tensor(embedding[ids] @ embedding.T, dtype=torch.float64), -1).numpy()
    g = np.exp(log_p)
    np.subtract.at(g, (range(len(ids)), targets), 1)
    as_output = np.einsum("nv,nd->vd", g, embedding[ids])
    as_input = np.stack([(g[ids == id] @ embedding).sum(0) for id in range(len(embedding))])
    return ((as_output + as_input) / len(ids)).astype(embedding.dtype)
