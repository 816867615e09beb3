from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F

from exercise_styles import choice, style

choice("03.merge_order", "b")


# 03.most_frequent_pair

@style("03.most_frequent_pair")
def counter_over_lists(words, times):
    counts = Counter()
    for word, count in zip(words.tolist(), times.tolist()):
        tokens = [token for token in word if token]
        for pair in pairwise(tokens):
            counts[pair] += count
    largest = max(counts.values())
    return min(pair for pair, count in counts.items() if count == largest)


@style("03.most_frequent_pair")
def matrix_of_counts(words, times):
    counts = np.zeros((words.max() + 1, words.max() + 1), int)
    np.add.at(counts, (words[:, :-1], words[:, 1:]), times[:, None])
    counts[:, 0] = counts[0] = 0
    return np.unravel_index(counts.argmax(), counts.shape)


@style("03.most_frequent_pair")
def unique_rows(words, times):
    pairs = np.stack([words[:, :-1], words[:, 1:]], axis=-1).reshape(-1, 2)
    repeated = np.repeat(times, words.shape[1] - 1)
    pairs, repeated = pairs[pairs[:, 1] > 0], repeated[pairs[:, 1] > 0]
    different, which = np.unique(pairs, axis=0, return_inverse=True)
    return different[np.bincount(which.ravel(), repeated).argmax()]


@style("03.most_frequent_pair")
def sorted_list(words, times):
    counts = defaultdict(int)
    for row in range(len(words)):
        for place in range(words.shape[1] - 1):
            left, right = words[row, place], words[row, place + 1]
            if right != 0:
                counts[int(left), int(right)] += times[row]
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[0][0]


@style("03.most_frequent_pair")
def repeated_text(words, times):
    text = [word for word, count in zip(words, times) for _ in range(count)]
    seen = [pair for word in text for pair in zip(word, word[1:]) if all(pair)]
    left, right = max(sorted(set(seen)), key=seen.count)
    return [left, right]


# 03.wordpiece

@style("03.wordpiece")
def shrink_the_end(word, vocabulary):
    ids = []
    start = 0
    while start < len(word):
        end = len(word)
        while end > start:
            piece = word[start:end] if start == 0 else "##" + word[start:end]
            if piece in vocabulary:
                break
            end -= 1
        if end == start:
            return np.array([vocabulary.index("[UNK]")])
        ids.append(vocabulary.index(piece))
        start = end
    return np.array(ids)


@style("03.wordpiece")
def recursive(word, vocabulary):
    ids = {token: id for id, token in enumerate(vocabulary)}

    def rest(text, mark):
        if not text:
            return []
        for end in range(len(text), 0, -1):
            if mark + text[:end] in ids:
                after = rest(text[end:], "##")
                return None if after is None else [ids[mark + text[:end]], *after]
        return None

    found = rest(word, "")
    return torch.tensor([ids["[UNK]"]] if found is None else found)


@style("03.wordpiece")
def longest_of_all_tokens(word, vocabulary):
    ids, left = [], word
    while left:
        mark = "##" if ids else ""
        fitting = [token for token in vocabulary if token.startswith(mark) and left.startswith(token[len(mark):])
                   and (mark or not token.startswith("##"))]
        if not fitting:
            return (vocabulary.index("[UNK]"),)
        token = max(fitting, key=len)
        ids.append(vocabulary.index(token))
        left = left[len(token) - len(mark):]
    return tuple(ids)


@style("03.wordpiece")
def for_loop(word, vocabulary):
    lookup = dict(zip(vocabulary, range(len(vocabulary))))
    output, start = [], 0
    for _ in range(len(word)):
        if start == len(word):
            break
        for end in reversed(range(start + 1, len(word) + 1)):
            id = lookup.get("##" * (start > 0) + word[start:end])
            if id is not None:
                output += [id]
                start = end
                break
        else:
            output = [lookup["[UNK]"]]
            break
    return np.asarray(output, dtype=np.int32)


@style("03.wordpiece")
def first_that_fits(word, vocabulary):
    ids, start = [], 0
    try:
        while start < len(word):
            start, id = next((end, vocabulary.index("##"[:2 * bool(start)] + word[start:end]))
                             for end in range(len(word), start, -1)
                             if "##"[:2 * bool(start)] + word[start:end] in vocabulary)
            ids.append(id)
    except StopIteration:
        ids = [vocabulary.index("[UNK]")]
    return ids


# 03.pair_input

@style("03.pair_input")
def python_lists(first, second, length):
    ids = [101, *first, 102, *second, 102]
    segments = [0] * (len(first) + 2) + [1] * (len(second) + 1)
    padding = [0] * (length - len(ids))
    return ids + padding, segments + padding, [True] * len(ids) + [False] * len(padding)


@style("03.pair_input")
def numpy_pad(first, second, length):
    left, right = np.r_[101, first, 102], np.r_[second, 102]
    after = length - len(left) - len(right)
    ids = np.pad(np.concatenate([left, right]), (0, after))
    segments = np.repeat([0, 1, 0], [len(left), len(right), after])
    return ids, segments, ids != 0


@style("03.pair_input")
def torch_tensors(first, second, length):
    tokens = torch.cat([torch.tensor([101]), torch.from_numpy(first), torch.tensor([102]), torch.from_numpy(second),
                        torch.tensor([102])])
    ids = F.pad(tokens, (0, length - len(tokens)))
    places = torch.arange(length)
    segments = ((places > len(first) + 1) & (places < len(tokens))).long()
    return ids, segments, places < len(tokens)


@style("03.pair_input")
def written_into_zeros(first, second, length):
    n, m = len(first), len(second)
    ids = np.zeros(length, np.int64)
    ids[0], ids[1:n + 1], ids[n + 1], ids[n + 2:n + m + 2], ids[n + m + 2] = 101, first, 102, second, 102
    segments = np.zeros(length, np.int32)
    segments[n + 2:n + m + 3] += 1
    mask = np.zeros(length, bool)
    mask[:n + m + 3] = True
    return ids, segments, mask


@style("03.pair_input")
def token_by_token(first, second, length):
    rows = [(101, 0)] + [(id, 0) for id in first] + [(102, 0)] + [(id, 1) for id in second] + [(102, 1)]
    rows = [(int(id), segment, True) for id, segment in rows]
    while len(rows) < length:
        rows.append((0, 0, False))
    ids, segments, mask = zip(*rows)
    return np.array(ids), np.array(segments), np.array(mask)


@style("03.pair_input")
def a_list_of_three_arrays(first, second, length):
    ids = np.zeros(length, int)
    ids[:len(first) + len(second) + 3] = [101, *first, 102, *second, 102]
    before = np.cumsum(ids == 102) - (ids == 102)
    return [ids, (before == 1).astype(int), ids > 0]


# 03.embedding_gradient

@style("03.embedding_gradient")
def loops(tokens, gradient, vocab_size):
    result = np.zeros((vocab_size, gradient.shape[-1]))
    for row in range(tokens.shape[0]):
        for place in range(tokens.shape[1]):
            result[tokens[row, place]] += gradient[row, place]
    return result


@style("03.embedding_gradient")
def one_hot_product(tokens, gradient, vocab_size):
    one_hot = np.eye(vocab_size)[tokens.ravel()]
    return one_hot.T @ gradient.reshape(-1, gradient.shape[2])


@style("03.embedding_gradient")
def backpropagation(tokens, gradient, vocab_size):
    E = torch.zeros(vocab_size, gradient.shape[2], dtype=torch.from_numpy(gradient).dtype, requires_grad=True)
    F.embedding(torch.from_numpy(tokens), E).backward(torch.from_numpy(gradient))
    return E.grad


@style("03.embedding_gradient")
def index_add(tokens, gradient, vocab_size):
    flat = torch.from_numpy(gradient).flatten(0, 1).float()
    return torch.zeros(vocab_size, flat.shape[1]).index_add(0, torch.from_numpy(tokens).flatten(), flat)


@style("03.embedding_gradient")
def masks(tokens, gradient, vocab_size):
    return [gradient[tokens == token].sum(axis=0) for token in range(vocab_size)]


@style("03.embedding_gradient")
def einsum_in_single_precision(tokens, gradient, vocab_size):
    one_hot = (tokens[..., None] == np.arange(vocab_size)).astype(np.float32)
    return np.einsum("blv,bld->vd", one_hot, gradient.astype(np.float32))


# 03.analogy

@style("03.analogy")
def loops(vectors, questions):
    answers = []
    units = [vector / np.sqrt(np.sum(vector ** 2)) for vector in vectors]
    for a, b, c in questions:
        target = units[b] - units[a] + units[c]
        scores = {word: target @ units[word] for word in range(len(units)) if word not in (a, b, c)}
        answers.append(max(scores, key=scores.get))
    return answers


@style("03.analogy")
def torch_cosine(vectors, questions):
    vectors, questions = torch.from_numpy(vectors), torch.from_numpy(questions)
    units = F.normalize(vectors, dim=1)
    target = units[questions[:, 1]] - units[questions[:, 0]] + units[questions[:, 2]]
    cosines = F.cosine_similarity(target[:, None], units[None], dim=-1)
    return cosines.scatter(1, questions, -2.0).argmax(dim=1)


@style("03.analogy")
def distances(vectors, questions):
    units = vectors / np.linalg.norm(vectors, axis=1)[:, None]
    target = units[questions[:, 1]] - units[questions[:, 0]] + units[questions[:, 2]]
    far = np.linalg.norm(target[:, None] - units, axis=-1)
    far[np.arange(len(questions))[:, None], questions] = np.inf
    return far.argmin(-1)


@style("03.analogy")
def walk_down_the_ranking(vectors, questions):
    units = vectors / (vectors ** 2).sum(1, keepdims=True) ** 0.5
    found = []
    for question in questions:
        a, b, c = units[question]
        ranking = np.argsort(-(units @ (b - a + c)))
        found.append(next(word for word in ranking if word not in question))
    return np.array(found)


@style("03.analogy")
def einsum_with_a_mask(vectors, questions):
    units = vectors.astype(np.float32)
    units = units / np.sqrt(np.einsum("vd,vd->v", units, units))[:, np.newaxis]
    scores = np.einsum("q,nqd,vd->nv", np.array([-1, 1, 1], np.float32), units[questions], units)
    allowed = ~np.any(questions[:, :, None] == np.arange(len(vectors)), axis=1)
    return np.where(allowed, scores, -np.inf).argmax(axis=1)
