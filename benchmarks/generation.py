"""Writing with and without a KV cache, beside transformers' generate on the same weights, and what long contexts cost.

    python benchmarks/generation.py

A round runs each contestant once, in a random order, on one thread; the ratio of two is taken within each round, so
that a busy moment falls on both. All write the same tokens, which is checked.
"""

import random
import time

from attention import interval

import numpy as np
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from coursekit import start, weights
from coursekit.results import record
from coursekit.torch import KVCache, LanguageModel, greedy

VOCAB, PROMPT, ROUNDS, ROUNDS_WITHOUT = 1000, 16, 25, 7
SIZES = dict(n_layers=4, d_model=128, n_heads=4, d_ff=512, max_length=4096)
COLUMNS = {"Tokens written": "{tokens:d}", "Without cache, s": "{without:.2f}", "With cache, s": "{ours:.2f}",
           "Times as fast (95 %)": "{speedup:.1f} ({speedup_low:.1f} to {speedup_high:.1f})",
           "transformers, s": "{theirs:.2f}",
           "Ours to transformers (95 %)": "{ratio:.2f} ({ratio_low:.2f} to {ratio_high:.2f})",
           "Ours to ours (95 %)": "{noise:.2f} ({noise_low:.2f} to {noise_high:.2f})"}
CAPTION = (f"Greedy writing after {PROMPT} tokens, one text at a time, one thread: 4 layers, width 128, 1,000 tokens. "
           "Median seconds of processor time, and medians of paired ratios with a 95 % bootstrap interval; ours to a "
           "second copy of itself shows the noise. transformers: generate with its own cache on the same weights.")
CONTEXT_COLUMNS = {"Context": "{context:d}", "Next token with cache, ms": "{step:.1f}",
                   "Next token without, ms": "{read:.0f}", "Times as long": "{ratio:.0f}",
                   "Attention, counted": "{share:.0%}", "Cache, MB": "{megabytes:.1f}"}
CONTEXT_CAPTION = ("What the next token costs after a context of so many, same model, median of processor time; "
                   "attention's share of the multiplications in the layers, of a step as of reading all; keys and "
                   "values in float32.")


def models():
    torch.manual_seed(0)
    ours = LanguageModel(VOCAB, **SIZES).eval()
    theirs = GPT2LMHeadModel(GPT2Config(
        vocab_size=VOCAB, n_positions=SIZES["max_length"], n_embd=SIZES["d_model"], n_layer=SIZES["n_layers"],
        n_head=SIZES["n_heads"], n_inner=SIZES["d_ff"], bos_token_id=None, eos_token_id=None, pad_token_id=0)).eval()
    weights.copy(ours, theirs)
    return ours, theirs


def timed(function):
    before = time.process_time()
    result = function()
    return time.process_time() - before, result


def writing(ours, theirs, tokens):
    prompt = torch.randint(VOCAB, (1, PROMPT))

    def with_cache():
        return greedy(ours, prompt, max_new_tokens=tokens, cache=KVCache())

    def generate():
        return theirs.generate(prompt, attention_mask=torch.ones_like(prompt), do_sample=False, use_cache=True,
                               min_new_tokens=tokens, max_new_tokens=tokens)[:, PROMPT:]

    functions = {"ours": with_cache, "ours again": with_cache, "theirs": generate,
                 "without": lambda: greedy(ours, prompt, max_new_tokens=tokens)}
    taken, expected = {name: [] for name in functions}, with_cache()
    generate()
    for number in range(ROUNDS):
        names = [name for name in functions if name != "without" or number < ROUNDS_WITHOUT]
        for name in random.sample(names, len(names)):
            seconds, written = timed(functions[name])
            assert torch.equal(written, expected), f"{name} wrote other tokens"
            taken[name].append(seconds)
    taken = {name: np.array(seconds) for name, seconds in taken.items()}
    return ({"tokens": tokens} | {name: round(np.median(taken[name]), 3) for name in ("ours", "theirs", "without")}
            | interval("speedup", taken["without"] / taken["ours"][:ROUNDS_WITHOUT])
            | interval("ratio", taken["ours"] / taken["theirs"])
            | interval("noise", taken["ours"] / taken["ours again"]))


@torch.no_grad()
def context(model, n):
    tokens, d_model, n_layers = torch.randint(VOCAB, (1, n)), SIZES["d_model"], SIZES["n_layers"]
    steps, reads = [], []
    for _ in range(7):
        cache = KVCache()
        model(tokens[:, :-1], cache=cache)
        steps.append(timed(lambda: model(tokens[:, -1:], cache=cache))[0])
        reads.append(timed(lambda: model(tokens))[0])
    maps = 12 * d_model ** 2  # multiplications for each token: four maps of attention, and the feed-forward network
    step, read = np.median(steps), np.median(reads)
    return {"context": n, "step": round(1000 * step, 2), "read": round(1000 * read, 1), "ratio": round(read / step, 1),
            "share": round(2 * n * d_model / (2 * n * d_model + maps), 4),
            "megabytes": round(2 * n_layers * n * d_model * 4 / 1e6, 3)}


if __name__ == "__main__":
    start(threads=1)
    random.seed(0)
    ours, theirs = models()
    rows = [context(ours, n) for n in (64, 256, 1024, 4096)]
    record("generation_context", rows, columns=CONTEXT_COLUMNS, caption=CONTEXT_CAPTION, **SIZES)
    rows = []
    for tokens in (64, 128, 256, 512):
        rows.append(writing(ours, theirs, tokens))
        print(rows[-1], flush=True)
    record("generation", rows, columns=COLUMNS, caption=CAPTION, **SIZES)
