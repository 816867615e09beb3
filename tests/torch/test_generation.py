"""Generation against transformers' generate and processors, and beam search against asking about every sequence."""

import itertools
import math

import pytest
import torch
import transformers
from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from coursekit import weights
from coursekit.torch import KVCache, LanguageModel, TranslationModel, beam_search, filter_logits, greedy, sample

VOCAB, CONTEXT, BATCH, LENGTH, END = 13, 16, 3, 5, 4
PROMPT = torch.randint(VOCAB, (BATCH, LENGTH), generator=torch.Generator().manual_seed(3))
LEFT = torch.arange(LENGTH) >= torch.tensor([[0], [2], [4]])
MASKS = pytest.mark.parametrize("mask", [None, LEFT], ids=["no padding", "padded"])
CACHES = pytest.mark.parametrize("cache", [lambda: None, KVCache], ids=["read again", "cached"])
PENALTIES = pytest.mark.parametrize("penalty", [-1.0, 0.0, 0.6, 1.0, 2.0])
MINUS_INF = float("-inf")


def away_from_start(module):
    """Logits that are far from equal, and that depend on the tokens."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return module.double().eval()


def language_model(vocab_size=VOCAB):
    torch.manual_seed(1)
    return away_from_start(LanguageModel(vocab_size, n_layers=2, d_model=12, n_heads=3, d_ff=20, max_length=CONTEXT))


def gpt2():
    config = transformers.GPT2Config(vocab_size=VOCAB, n_positions=CONTEXT, n_embd=12, n_layer=2, n_head=3, n_inner=20,
                                     bos_token_id=None, eos_token_id=None, pad_token_id=0)
    theirs = transformers.GPT2LMHeadModel(config).double().eval()
    weights.copy(language_model(), theirs)
    return theirs


def generate(mask=None, end=None, **settings):
    """What transformers' generate writes after the prompt."""
    made = gpt2().generate(PROMPT, attention_mask=(torch.ones_like(PROMPT) if mask is None else mask.long()),
                           do_sample=False, eos_token_id=end, pad_token_id=0 if end is None else end,
                           return_dict_in_generate=True, output_scores=True, **settings)
    return made.sequences[:, LENGTH:], made


def table(*rows):
    """A model by hand: the logits that follow each written token are log p of its row, after any prompt."""
    log_p = torch.tensor(rows, dtype=torch.float64).log()
    return lambda tokens: log_p[tokens]


# Greedy

@CACHES
@MASKS
@pytest.mark.parametrize("end", [None, 2, 9])
def test_greedy_equals_transformers(end, mask, cache):
    expected, _ = generate(mask, end, max_new_tokens=9)
    assert torch.equal(greedy(language_model(), PROMPT, mask, max_new_tokens=9, end=end, cache=cache()), expected)


def test_greedy_by_hand():
    model = table([0.1, 0.7, 0.2], [0.3, 0.1, 0.6], [0.5, 0.4, 0.1])  # 0 → 1 → 2 → 0
    assert greedy(model, torch.tensor([[2, 0], [1, 1]]), max_new_tokens=4).tolist() == [[1, 2, 0, 1], [2, 0, 1, 2]]
    rows = greedy(model, torch.tensor([[0], [1], [2]]), max_new_tokens=9, end=2)
    assert rows.tolist() == [[1, 2, 2], [2, 2, 2], [0, 1, 2]]  # ends with its last row, filled up with the end


def test_padded_rows_are_continued_as_alone():
    model = language_model()
    together = greedy(model, PROMPT, LEFT, max_new_tokens=6)
    for row in range(BATCH):
        assert torch.equal(greedy(model, PROMPT[row:row + 1, LEFT[row]], max_new_tokens=6), together[row:row + 1])


# Sampling

SETTINGS = [dict(temperature=0.5), dict(temperature=1.7, top_k=4), dict(top_p=0.8), dict(top_k=1), dict(top_k=VOCAB),
            dict(top_p=1.0), dict(top_p=1e-9), dict(temperature=2.0, top_k=6, top_p=0.5), dict(top_p=0.999999)]


def processed(logits, temperature=1.0, top_k=None, top_p=None):
    logits = TemperatureLogitsWarper(temperature)(None, logits)
    logits = logits if top_k is None else TopKLogitsWarper(top_k)(None, logits)
    return logits if top_p is None else TopPLogitsWarper(top_p)(None, logits)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_filtered_logits_equal_transformers_processors(settings, dtype):
    logits = 3 * torch.randn(50, VOCAB, generator=torch.Generator().manual_seed(5), dtype=dtype)
    tied = logits.round()  # many equal ones
    short = torch.where(torch.rand(50, VOCAB, generator=torch.Generator().manual_seed(6)) < 0.3, MINUS_INF, logits)
    short[:, 0] = 0.0
    for given in (logits, tied, short, torch.zeros(2, VOCAB, dtype=dtype), 200 * logits):
        before = given.clone()
        assert torch.equal(filter_logits(given, **settings), processed(given, **settings))
        assert torch.equal(given, before)
    shaped = logits.view(5, 10, VOCAB)
    assert torch.equal(filter_logits(shaped, **settings).view(50, VOCAB), filter_logits(logits, **settings))


@pytest.mark.parametrize("settings, left", [
    (dict(), [0.1, 0.4, 0.2, 0.2, 0.1]),
    (dict(temperature=0.5), [1 / 26, 16 / 26, 4 / 26, 4 / 26, 1 / 26]),
    (dict(top_k=1), [0, 1, 0, 0, 0]),
    (dict(top_k=2), [0, 0.5, 0.25, 0.25, 0]),  # the tie stays
    (dict(top_p=0.39), [0, 1, 0, 0, 0]),
    (dict(top_k=3, top_p=0.8), [0, 0.5, 0.25, 0.25, 0]),
    (dict(top_p=0.79), [0, 0.5, 0.25, 0.25, 0]),
])
def test_filtered_distribution_by_hand(settings, left):
    logits = torch.tensor([0.1, 0.4, 0.2, 0.2, 0.1], dtype=torch.float64).log()
    expected = torch.tensor(left, dtype=torch.float64)
    torch.testing.assert_close(filter_logits(logits, **settings).softmax(-1), expected)


@pytest.mark.parametrize("settings", SETTINGS[:4] + SETTINGS[7:8], ids=str)
def test_frequencies_are_those_of_the_processors(settings):
    n, model = 20_000, language_model()
    expected = processed(model(PROMPT[:1])[:, -1], **settings).softmax(-1)[0]
    drawn = sample(model, PROMPT[:1].expand(n, LENGTH), max_new_tokens=1, **settings,
                   generator=torch.Generator().manual_seed(8))
    frequency = drawn.flatten().bincount(minlength=VOCAB) / n
    assert not frequency[expected == 0].any()
    deviation = (expected * (1 - expected) / n).sqrt()
    assert ((frequency - expected).abs() <= 4.5 * deviation).all()
    assert expected.max() == 1 or (frequency - model(PROMPT[:1])[0, -1].softmax(-1)).abs().max() > 0.02


@MASKS
def test_samples_cached_and_uncached_and_from_one_seed_are_the_same(mask):
    model, drawn = language_model(), []
    for cache, seed in ((None, 3), (KVCache(), 3), (None, 4)):
        drawn.append(sample(model, PROMPT, mask, max_new_tokens=8, top_p=0.9, cache=cache,
                            generator=torch.Generator().manual_seed(seed)))
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])


def test_samples_of_one_candidate_are_greedy():
    model, settings = language_model(), dict(max_new_tokens=8, end=END)
    expected = greedy(model, PROMPT, **settings)
    for narrow in (dict(top_k=1), dict(top_p=1e-6), dict(temperature=1e-4)):
        assert torch.equal(sample(model, PROMPT, **narrow, **settings), expected)


def test_samples_end():
    drawn = sample(table([0.5, 0.5], [0.5, 0.5]), torch.zeros(40, 1).long(), max_new_tokens=30, end=1,
                   generator=torch.Generator().manual_seed(0))
    assert (drawn.diff(dim=1) >= 0).all() and 2 < drawn.shape[1] < 30 and drawn[:, -1].all()


# Beam search

def every_sequence(model, prompt, steps, vocab_size, end, penalty):
    """(tokens, score) of all continuations of one row, best first: each is scored on its own."""
    found = []
    for length in range(1, steps + 1):
        for tokens in itertools.product(range(vocab_size), repeat=length):
            ended = tokens[-1] == end
            if end in tokens[:-1] or not ended and length < steps:
                continue
            log_p = model(torch.cat([prompt, torch.tensor([tokens])], 1)).log_softmax(-1)[0, prompt.shape[1] - 1:-1]
            score = log_p[torch.arange(length), torch.tensor(tokens)].sum().item() / length ** penalty
            found.append((list(tokens), score))
    return sorted(found, key=lambda pair: -pair[1])


def assert_same(found, expected):
    assert [list(hypothesis.tokens) for hypothesis in found] == [tokens for tokens, _ in expected]
    assert [hypothesis.score for hypothesis in found] == pytest.approx([score for _, score in expected], abs=1e-10)


@CACHES
@PENALTIES
@pytest.mark.parametrize("vocab_size, steps, end", [(3, 4, 2), (3, 4, None), (5, 3, 1), (2, 5, 0), (4, 1, 3)])
def test_wide_beam_equals_exhaustive_search(vocab_size, steps, end, penalty, cache):
    model, prompt = language_model(vocab_size), torch.tensor([[1, 0, 1], [0, 0, 1]])
    found = beam_search(model, prompt, beams=vocab_size ** steps, max_new_tokens=steps, end=end, length_penalty=penalty,
                        cache=cache())
    with torch.no_grad():
        for row in range(2):
            assert_same(found[row], every_sequence(model, prompt[row:row + 1], steps, vocab_size, end, penalty))


@PENALTIES
def test_wide_beam_on_a_translation_model_equals_exhaustive_search(penalty):
    torch.manual_seed(1)
    model = away_from_start(TranslationModel(7, 3, n_layers=1, d_model=12, n_heads=3, d_ff=8, max_length=9))
    source, start = torch.tensor([[1, 5, 2, 0], [3, 4, 6, 2]]), torch.tensor([[1], [1]])
    found = beam_search(model.given(source), start, beams=27, max_new_tokens=4, end=2, length_penalty=penalty)
    with torch.no_grad():
        for row in range(2):
            alone = model.given(source[row:row + 1, :3 + row])  # without its padding
            assert_same(found[row], every_sequence(alone, start[:1], 4, 3, 2, penalty)[:27])


@MASKS
@pytest.mark.parametrize("beams", [2, 3, 20])
@pytest.mark.parametrize("end", [None, 2, 9])
@pytest.mark.parametrize("penalty", [0.0, 0.6, 2.0])
def test_beams_equal_transformers(beams, end, penalty, mask):
    expected, made = generate(mask, end, max_new_tokens=6, num_beams=beams, num_return_sequences=beams,
                              length_penalty=penalty, early_stopping="never")
    for cache in (None, KVCache()):
        rows = beam_search(language_model(), PROMPT, mask, beams=beams, max_new_tokens=6, end=end,
                           length_penalty=penalty, cache=cache)
        assert [len(row) for row in rows] == [beams] * BATCH
        found = [hypothesis for row in rows for hypothesis in row]
        # transformers adds up in float32
        assert [score for _, score in found] == pytest.approx(made.sequences_scores.tolist(), abs=1e-5)
        for (tokens, _), padded in zip(found, expected.tolist()):
            assert tokens == padded[:len(tokens)] and (len(tokens) == 6 or tokens[-1] == end)


def to_the_limit(model, prompt, beams, steps, end, penalty):
    """A narrow search of one row with plain lists, which looks at every candidate and never stops early."""
    going_on, finished = [([], 0.0)], []
    for step in range(1, steps + 1):
        candidates = []
        for tokens, log_p in going_on:
            following = model(torch.cat([prompt, torch.tensor([tokens], dtype=torch.long)], 1))[0, -1].log_softmax(-1)
            candidates += [([*tokens, token], log_p + more) for token, more in enumerate(following.tolist())]
        candidates.sort(key=lambda candidate: -candidate[1])
        finished += [(tokens, log_p / step ** penalty) for tokens, log_p in candidates[:beams]
                     if tokens[-1] == end or step == steps]
        going_on = [candidate for candidate in candidates if candidate[0][-1] != end][:beams]
    return sorted(finished, key=lambda candidate: -candidate[1])[:beams]


@PENALTIES
@pytest.mark.parametrize("beams", [1, 2, 3, 6])
def test_narrow_beams_equal_a_search_that_goes_to_the_limit(beams, penalty):
    prompt, generator, ended_early = torch.tensor([[0], [1], [3]]), torch.Generator().manual_seed(2), 0
    for _ in range(12):
        # By place and last token: by last token alone, some sequences would be equally probable.
        logits, asked = 2 * torch.randn(13, 4, 4, generator=generator, dtype=torch.float64), []

        def model(tokens):
            asked.append(tokens.shape[1])
            return logits[torch.arange(tokens.shape[1]), tokens]
        found = beam_search(model, prompt, beams=beams, max_new_tokens=12, end=2, length_penalty=penalty)
        ended_early += len(asked) < 12
        for row in range(3):
            assert_same(found[row], to_the_limit(model, prompt[row:row + 1], beams, 12, 2, penalty))
    assert penalty != 0 or beams > 3 or ended_early, "some must end early, or the test does not show that it may"


@pytest.mark.parametrize("end", [None, 2, 9])
def test_one_beam_is_greedy(end):
    model = language_model()
    for row, written in zip(beam_search(model, PROMPT, beams=1, max_new_tokens=8, end=end, length_penalty=0.0),
                            greedy(model, PROMPT, max_new_tokens=8, end=end).tolist()):
        assert row[0].tokens == written[:len(row[0].tokens)]
        assert len(row[0].tokens) == 8 or row[0].tokens[-1] == end


def test_beam_finds_what_greedy_misses():
    """After 0, token 1 is likelier than 2, but what follows 2 is certain: 0.6 · 0.55 = 0.33 against 0.4 · 1 = 0.4."""
    model = table([0, 0.6, 0.4, 0], [0.45, 0, 0, 0.55], [0, 0, 0, 1.0], [0, 0, 0, 1.0])
    prompt = torch.tensor([[0]])
    assert greedy(model, prompt, max_new_tokens=2).tolist() == [[1, 3]]
    (best, second), = beam_search(model, prompt, beams=2, max_new_tokens=2, length_penalty=0.0)
    assert (best.tokens, second.tokens) == ([2, 3], [1, 3])
    assert (math.exp(best.score), math.exp(second.score)) == pytest.approx((0.4, 0.33))


def test_length_penalty_by_hand():
    """Ending at once has p 0.5; going on and ending has 0.5 · 0.8 = 0.4, a better mean per token (√0.4 = 0.63)."""
    model, prompt = table([0, 0.5, 0.5], [0.1, 0.1, 0.8], [0, 0, 1.0]), torch.tensor([[0]])
    for penalty, best, score in ((0.0, [2], math.log(0.5)), (1.0, [1, 2], math.log(0.4) / 2)):
        (first, *_), = beam_search(model, prompt, beams=3, max_new_tokens=2, end=2, length_penalty=penalty)
        assert first.tokens == best and first.score == pytest.approx(score)


def test_beams_change_nothing_that_they_were_given():
    seen, model = [], language_model()

    def watched(tokens):
        seen.append((tokens, tokens.clone()))
        return model(tokens)
    prompt = PROMPT.clone()
    found = beam_search(watched, prompt, beams=4, max_new_tokens=6, end=END)
    assert torch.equal(prompt, PROMPT) and len(seen) == 6
    assert all(torch.equal(*pair) for pair in seen)
    assert [tokens.shape for tokens, _ in seen] == [(4 * BATCH, LENGTH + step) for step in range(6)]
    for row in found:
        assert [hypothesis.score for hypothesis in row] == sorted((h.score for h in row), reverse=True)
        for tokens, _ in row:
            assert END not in tokens[:-1] and (len(tokens) == 6 or tokens[-1] == END)


def test_impossible_tokens_are_never_written():
    model, prompt = table([0, 1.0, 0], [0.5, 0, 0.5], [0, 0, 1.0]), torch.tensor([[0]])
    (*found,), = beam_search(model, prompt, beams=8, max_new_tokens=3, end=2, length_penalty=0.0)
    assert [(tokens, math.exp(score)) for tokens, score in found] == [([1, 2], 0.5), ([1, 0, 1], 0.5)]


@pytest.mark.parametrize("row, beams", [([0.05, 0.05, 0.9], 1), ([0, 0, 1.0], 3)], ids=["better", "nothing goes on"])
def test_search_stops_when_nothing_better_can_come(row, beams):
    asked = []

    def ending(tokens):
        asked.append(tokens.shape[1])
        return table(row, row, row)(tokens)
    (*found,), = beam_search(ending, torch.tensor([[0]]), beams=beams, max_new_tokens=50, end=2, length_penalty=0.0)
    assert asked == [1] and [tokens for tokens, _ in found] == [[2]]


@pytest.mark.parametrize("write", [
    lambda model, **settings: greedy(model, PROMPT, **settings).tolist(),
    lambda model, **settings: sample(model, PROMPT, **settings).tolist(),
    lambda model, **settings: [row[0].tokens for row in beam_search(model, PROMPT, beams=3, **settings)],
], ids=["greedy", "sample", "beam search"])
def test_an_end_that_never_comes_is_waited_for_until_the_limit(write):
    model = language_model()

    def endless(tokens):
        logits = model(tokens)
        return logits.masked_fill(torch.arange(VOCAB) == END, MINUS_INF)
    assert [len(row) for row in write(endless, max_new_tokens=7, end=END)] == [7] * BATCH
    assert [len(row) for row in write(model, max_new_tokens=CONTEXT - LENGTH)] == [CONTEXT - LENGTH] * BATCH


def test_nothing_is_asked_for_gradients():
    model = language_model()
    assert not greedy(model, PROMPT, max_new_tokens=2).requires_grad
    cache = KVCache()
    beam_search(model, PROMPT, beams=2, max_new_tokens=2, cache=cache)
    assert not any(tensor.requires_grad for pair in cache.layers.values() for tensor in pair)


WRITERS = [greedy, sample, lambda *args, **settings: beam_search(*args, beams=2, **settings)]


@pytest.mark.parametrize("write", WRITERS, ids=["greedy", "sample", "beam search"])
@pytest.mark.parametrize("arguments, settings, message", [
    ([PROMPT.repeat(1, 4)], {}, "prompt has 20 tokens and max_new_tokens is 3, expected together at most max_length, "
                                "which is 16"),
    ([PROMPT], dict(max_new_tokens=12), "prompt has 5 tokens and max_new_tokens is 12, expected together at most"),
    ([PROMPT[:, :0]], {}, r"prompt has shape \(3, 0\), expected at least one row and one token"),
    ([PROMPT[:0]], {}, r"prompt has shape \(0, 5\), expected at least one row and one token"),
    ([PROMPT[0]], {}, r"prompt has shape \(5,\), expected the 2 axes"),
    ([PROMPT + VOCAB], {}, "ids .* expected 0 to 12"),
    ([PROMPT.double()], {}, "dtype torch.float64, expected whole numbers"),
    ([PROMPT], dict(max_new_tokens=0), "max_new_tokens is 0, expected a whole number of at least 1"),
    ([PROMPT], dict(max_new_tokens=float("inf")), "max_new_tokens is inf, expected a whole number"),
    ([PROMPT], dict(end=VOCAB), "end is 13, expected a token of the vocabulary, 0 to 12"),
    ([PROMPT], dict(end=-1), "end is -1, expected a whole number of at least 0"),
    ([PROMPT], dict(end=2.0), "end is 2.0, expected a whole number of at least 0"),
    ([PROMPT, LEFT.flip(1)], {}, "mask has padding at the end of a row, expected it on the left"),
    ([PROMPT, LEFT[:, 1:]], {}, "mask has length 4, prompt has 5"),
    ([PROMPT, LEFT.long()], {}, "mask has dtype torch.int64, expected torch.bool"),
])
def test_wrong_prompts(write, arguments, settings, message):
    with pytest.raises(ValueError, match=message):
        write(language_model(), *arguments, **(dict(max_new_tokens=3) | settings))


@pytest.mark.parametrize("write", WRITERS, ids=["greedy", "sample", "beam search"])
def test_a_cache_in_use_is_refused_and_cleared_serves_again(write):
    model, cache = language_model(), KVCache()
    write(model, PROMPT, max_new_tokens=3, cache=cache)
    with pytest.raises(ValueError, match="cache has 7 tokens, expected an empty one: clear it"):
        write(model, PROMPT, max_new_tokens=3, cache=cache)
    cache.clear()
    write(model, PROMPT, max_new_tokens=3, cache=cache)


def test_padding_takes_no_room_in_the_context():
    mask = torch.arange(LENGTH) >= torch.tensor([[3], [3], [4]])
    assert greedy(language_model(), PROMPT, mask, max_new_tokens=14).shape == (BATCH, 14)


@pytest.mark.parametrize("settings, message", [
    (dict(temperature=0), r"temperature is 0, expected a number above 0 \(towards 0 it becomes greedy\)"),
    (dict(temperature=-0.5), "temperature is -0.5, expected a number above 0"),
    (dict(temperature=float("nan")), "temperature is nan"),
    (dict(temperature=float("inf")), "temperature is inf"),
    (dict(top_p=0.0), "top_p is 0.0, expected a probability above 0 and up to 1"),
    (dict(top_p=1.01), "top_p is 1.01"),
    (dict(top_p=-0.1), "top_p is -0.1"),
    (dict(top_p=float("nan")), "top_p is nan"),
    (dict(top_k=0), "top_k is 0, expected a whole number of at least 1"),
    (dict(top_k=2.0), "top_k is 2.0, expected a whole number of at least 1"),
    (dict(top_k=VOCAB + 1), "top_k is 14, the vocabulary has 13 tokens"),
])
def test_wrong_filters(settings, message):
    for call in (lambda: filter_logits(torch.zeros(2, VOCAB), **settings),
                 lambda: sample(language_model(), PROMPT, max_new_tokens=1, **settings)):
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize("beams", [0, -2, 1.5, None])
def test_wrong_beams(beams):
    with pytest.raises(ValueError, match=f"beams is {beams}, expected a whole number of at least 1"):
        beam_search(language_model(), PROMPT, beams=beams, max_new_tokens=1)
