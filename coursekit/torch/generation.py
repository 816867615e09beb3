"""Writing with a model: the most probable token at a time, draws from the model's distribution, and beam search.

A model is here any function of tokens (batch, length) that returns logits (batch, length, vocab_size): a
`LanguageModel`, or a `TranslationModel` that is `given` its source. All three return new tokens only and end at the
token `end` or, at the latest, after `max_new_tokens`.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F

from coursekit.shapes import expect, expect_at_least


def greedy(model, prompt, mask=None, *, max_new_tokens, end=None, cache=None):
    """Continues every row of the prompt with the most probable token, again and again.

    token_t = argmax over the vocabulary of p(token | prompt, token_1 … token_t-1)

    Shapes: prompt (batch, length), whole numbers; mask (batch, length), boolean, False for padding, which must be on
    the left; `cache` is an empty `KVCache` for a model that takes one: the same tokens in less time. Returns the new
    tokens (batch, steps), steps at most `max_new_tokens`; a row that has reached `end` is filled up with it.
    Raises `ValueError` for an empty prompt, padding on the right, a cache in use, max_new_tokens below 1, an end token
    outside the vocabulary, and, before anything is written, where prompt and new tokens exceed `model.max_length`.
    """
    return write(model, prompt, mask, max_new_tokens, end, cache, lambda logits: logits.argmax(-1))


def sample(model, prompt, mask=None, *, max_new_tokens, temperature=1.0, top_k=None, top_p=None, end=None, cache=None,
           generator=None):
    """Continues every row of the prompt with tokens drawn from the model's distribution, as `filter_logits` changes it.

    token_t ~ softmax(filter_logits(logits_t))

    `generator`, a torch.Generator, fixes the draws. Shapes, result and errors as in `greedy` and `filter_logits`.
    """
    check_filter(temperature, top_k, top_p)

    def draw(logits):
        logits = filter_logits(logits, temperature=temperature, top_k=top_k, top_p=top_p)
        return torch.multinomial(logits.softmax(-1), 1, generator=generator).squeeze(1)
    return write(model, prompt, mask, max_new_tokens, end, cache, draw)


@torch.no_grad()
def write(model, prompt, mask, max_new_tokens, end, cache, choose):
    """Continues the prompt with what `choose` makes of each step's logits (batch, vocab_size)."""
    check(model, prompt, mask, max_new_tokens, end, cache)
    tokens, ended = prompt, torch.zeros(len(prompt), dtype=torch.bool, device=prompt.device)
    for _ in range(max_new_tokens):
        logits = next_logits(model, tokens, mask, end, cache)
        token = choose(logits)
        if end is not None:
            token = token.masked_fill(ended, end)  # an ended row stays so
            ended = token == end
        tokens = torch.cat([tokens, token.unsqueeze(1)], dim=1)
        if ended.all():
            break
    return tokens[:, prompt.shape[1]:]


def filter_logits(logits, *, temperature=1.0, top_k=None, top_p=None):
    """Divides logits by the temperature, then leaves only the `top_k` best and the `top_p` nucleus, in this order.

    p = softmax(logits / temperature);   top-k: those not below the k-th;   top-p: the fewest whose p sum up to top_p

    A temperature below 1 sharpens the distribution, one above 1 flattens it. Tokens equal to the k-th all stay, and the
    most probable token always does. Shapes: logits (..., vocab_size); returns the same, -inf for what is left out.
    Raises `ValueError` for a temperature that is not above 0, a top_k outside 1 to vocab_size, a top_p outside (0, 1].
    Sources: top-k: Fan, Lewis and Dauphin 2018, Hierarchical Neural Story Generation, section 5.1; top-p: Holtzman
    et al. 2020, The Curious Case of Neural Text Degeneration, section 3.1.
    """
    check_filter(temperature, top_k, top_p)
    logits = logits / temperature
    if top_k is not None:
        if top_k > logits.shape[-1]:
            raise ValueError(f"top_k is {top_k}, the vocabulary has {logits.shape[-1]} tokens")
        logits = logits.masked_fill(logits < logits.topk(top_k).values[..., -1:], float("-inf"))
    if top_p is not None:
        ascending, order = logits.sort(-1)
        left_out = ascending.softmax(-1).cumsum(-1) <= 1 - top_p  # from the least probable up to here
        left_out[..., -1] = False
        logits = logits.masked_fill(left_out.gather(-1, order.argsort(-1)), float("-inf"))
    return logits


class Hypothesis(NamedTuple):
    """What a beam search has found: new tokens, a list, with the end token if it was reached, and their score."""

    tokens: list
    score: float


@torch.no_grad()
def beam_search(model, prompt, mask=None, *, beams, max_new_tokens, end=None, length_penalty=1.0, cache=None):
    """Continues every row of the prompt by keeping the `beams` most probable beginnings at every step.

    score(y) = log p(y | prompt) / |y|^length_penalty

    |y| counts the new tokens, `end` included. A continuation has finished with `end`, if it is among the best `beams`
    of its step, or at `max_new_tokens`. With a length penalty of 0 the most probable continuation wins, which favours
    short ones; 1 compares means per token. The search stops when no beginning can become better than what has finished.
    A beam wider than the vocabulary starts with as many beginnings as there are.
    Returns for each row of the prompt a list of at most `beams` finished `Hypothesis`, best first.
    Shapes and errors as in `greedy`; beams is at least 1.
    Source: Wu et al. 2016, Google's Neural Machine Translation System, section 7, with this simpler length penalty.
    """
    expect_at_least("beams", beams, 1)
    check(model, prompt, mask, max_new_tokens, end, cache)
    batch, length = prompt.shape
    tokens = prompt.repeat_interleave(beams, 0)  # (batch · beams, length), which grows
    mask = None if mask is None else mask.repeat_interleave(beams, 0)
    first_rows = beams * torch.arange(batch, device=prompt.device).unsqueeze(1)
    # log p of each beginning. All of a row are the same prompt at first, of which one counts.
    scores = torch.full((batch, beams), float("-inf"), device=prompt.device)
    scores[:, 0] = 0.0
    finished = [[] for _ in range(batch)]
    for step in range(1, max_new_tokens + 1):
        log_p = next_logits(model, tokens, mask, end, cache).log_softmax(-1).unflatten(0, (batch, beams))
        vocab_size = log_p.shape[-1]
        # The best candidates. Each beginning has one that ends, so that among twice as many at least `beams` go on.
        candidates = (scores.unsqueeze(-1) + log_p).flatten(1)
        best, chosen = candidates.topk(min(2 * beams, candidates.shape[1]))
        rows, token = first_rows + chosen // vocab_size, chosen % vocab_size
        written = torch.cat([tokens[rows], token.unsqueeze(-1)], dim=-1)  # (batch, 2 · beams, length + step)
        ends = torch.full_like(token, step == max_new_tokens, dtype=torch.bool)
        if end is not None:
            ends = ends | (token == end)

        for row, place in (ends & best.isfinite())[:, :beams].nonzero().tolist():
            score = best[row, place].item() / step ** length_penalty
            finished[row].append(Hypothesis(written[row, place, length:].tolist(), score))
        finished = [sorted(row, key=lambda found: found.score, reverse=True)[:beams] for row in finished]

        scores, going_on = best.masked_fill(ends, float("-inf")).topk(beams)
        # log p only falls: what can still be reached is today's, divided for the length that suits it best.
        best_length = max_new_tokens if length_penalty > 0 else step + 1
        reachable = (scores[:, 0] / best_length ** length_penalty).tolist()
        if all(score == float("-inf") or len(row) == beams and score <= row[-1].score
               for score, row in zip(reachable, finished)):
            break
        tokens = written.take_along_dim(going_on.unsqueeze(-1), dim=1).flatten(0, 1)
        if cache is not None:
            cache.select(rows.gather(1, going_on).flatten())
    return finished


def next_logits(model, tokens, mask, end, cache):
    """Logits of the token after the last one (batch, vocab_size); with a cache, only what it lacks is read."""
    new = slice(0 if cache is None else cache.length, None)
    settings = {} if cache is None else {"cache": cache}
    if mask is not None:  # what was written after the prompt is no padding
        settings["mask"] = F.pad(mask, (0, tokens.shape[1] - mask.shape[1]), value=True)[:, new]
    logits = model(tokens[:, new], **settings)[:, -1]
    if end is not None and end >= logits.shape[-1]:
        raise ValueError(f"end is {end}, expected a token of the vocabulary, 0 to {logits.shape[-1] - 1}")
    return logits


def check(model, prompt, mask, max_new_tokens, end, cache):
    expect("prompt", prompt.shape, batch=None, length=None)
    expect_at_least("max_new_tokens", max_new_tokens, 1)
    if end is not None:
        expect_at_least("end", end, 0)
    if 0 in prompt.shape:
        raise ValueError(f"prompt has shape {tuple(prompt.shape)}, expected at least one row and one token")
    if mask is not None:
        expect("mask", mask.shape, batch=(len(prompt), "prompt"), length=(prompt.shape[1], "prompt"))
        if not mask[:, -1].all():
            raise ValueError("mask has padding at the end of a row, expected it on the left, away from the new tokens")
    if cache is not None and cache.length:
        raise ValueError(f"cache has {cache.length} tokens, expected an empty one: clear it")
    longest = prompt.shape[1] if mask is None else int(mask.sum(1).max())
    limit = getattr(model, "max_length", None)  # any function will do as a model
    if limit is not None and longest + max_new_tokens > limit:
        raise ValueError(f"prompt has {longest} tokens and max_new_tokens is {max_new_tokens}, "
                         f"expected together at most max_length, which is {limit}")


def check_filter(temperature, top_k, top_p):
    if not 0 < temperature < float("inf"):
        raise ValueError(f"temperature is {temperature}, expected a number above 0 (towards 0 it becomes greedy)")
    if top_k is not None:
        expect_at_least("top_k", top_k, 1)
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p is {top_p}, expected a probability above 0 and up to 1")
