"""Byte-pair encoding by hand, against counting everything anew at every merge, and against the library `tokenizers`."""

import json
import random
import re
from itertools import pairwise

import pytest
from mixed_text import mixed_lines

from coursekit.text import BytePairEncoding
from coursekit.text.bpe import WORDS


@pytest.fixture(scope="module")
def lines():
    return mixed_lines(1500, seed=1)


@pytest.fixture(scope="module")
def trained(lines):
    return BytePairEncoding.train("\n".join(lines), 256 + 600)


def test_low_lower_lowest_by_hand():
    """The words are "low", " lower", " lowest"; a space is byte 32, l 108, o 111, w 119, e 101.

    l-o and o-w occur three times; l-o has the lower first id and becomes 256. Then lo-w, three times, is 257. Then
    space-low and low-e occur twice; 32 is the lower id: 258. Then 258-e occurs twice: 259. All other pairs occur once.
    """
    encoding = BytePairEncoding.train("low lower lowest", 1000)
    assert list(encoding.merges.items()) == [((108, 111), 256), ((256, 119), 257), ((32, 257), 258), ((258, 101), 259)]
    assert encoding.tokens[256:] == [b"lo", b"low", b" low", b" lowe"]
    assert encoding.encode("low lower") == [257, 259, 114]
    assert encoding.encode("slowest") == [115, 257, 101, 115, 116]
    assert encoding.decode([259, 114]) == encoding.decode(iter([259, 114])) == " lower"


def test_training_stops_at_the_size_asked_for():
    assert BytePairEncoding.train("low lower lowest", 257).tokens[256:] == [b"lo"]
    assert len(BytePairEncoding.train("low lower lowest", 256).tokens) == 256
    assert BytePairEncoding.train("", 300).merges == {}


def test_words_by_hand():
    assert WORDS.findall("Is it 1994,  or\n\nno\n x_y's?²") == [
        "Is", " it", " 1994", ",", " ", " or", "\n", "\n", "no", "\n", " x", "_", "y", "'", "s", "?", "²",
    ]


def test_words_are_those_of_gpt_2_where_letters_are_only_latin_and_nothing_is_contracted(lines):
    pre_tokenizers = pytest.importorskip("tokenizers.pre_tokenizers")
    gpt_2 = pre_tokenizers.ByteLevel(add_prefix_space=False)
    plain = [re.sub("[^a-zA-ZÀ-ÖØ-öø-ſ0-9 \t\n\r.,;:!?()<>=@#$%&*/-]", " ", line) for line in lines]
    assert sum(map(len, plain)) > 50_000
    for line in plain:
        assert WORDS.findall(line) == [line[start:end] for _, (start, end) in gpt_2.pre_tokenize_str(line)], line


def merges_counting_everything_anew(words, n):
    """The algorithm as it is told: all pairs of all words counted at every step."""
    words, merges = [list(word.encode()) for word in words], []
    while len(merges) < n:
        counts = {}
        for word in words:
            for pair in zip(word, word[1:]):
                counts[pair] = counts.get(pair, 0) + 1
        often = max(counts.values(), default=0)
        if often < 2:
            break
        merges.append(sorted(pair for pair in counts if counts[pair] == often)[0])
        for word in words:
            place = 0
            while place < len(word) - 1:
                if (word[place], word[place + 1]) == merges[-1]:
                    word[place:place + 2] = [255 + len(merges)]
                place += 1
    return merges


def test_merges_are_those_of_counting_everything_anew():
    draw, lengths = random.Random(5), []
    for alphabet in ["a", "ab", "abc ", "abcdef  ", "éê中 "] * 20:
        text = "".join(draw.choice(alphabet) for _ in range(draw.randint(0, 300)))
        merges = list(BytePairEncoding.train(text, 256 + 20).merges)
        assert merges == merges_counting_everything_anew(WORDS.findall(text), 20), text
        lengths.append(len(merges))
    assert lengths.count(20) > 10 and sum(0 < length < 20 for length in lengths) > 10  # both ways to end


def as_letters(word):
    """Every byte as a letter of its own, in the same order, for a library that merges characters."""
    return "".join(chr(0x100 + byte) for byte in word.encode("utf-8", "surrogatepass"))


def test_merges_and_ids_are_those_of_the_library(lines, trained):
    tokenizers = pytest.importorskip("tokenizers")
    library = tokenizers.Tokenizer(tokenizers.models.BPE())
    library.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    letters = [chr(0x100 + byte) for byte in range(256)]
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=256 + 600, min_frequency=2, initial_alphabet=letters, show_progress=False
    )
    text = "\n".join(lines)
    library.train_from_iterator([" ".join(map(as_letters, WORDS.findall(text)))], trainer)
    ids = library.get_vocab()
    assert [ids[letter] for letter in letters] == list(range(256))
    merges = [(ids[left], ids[right]) for left, right in json.loads(library.to_str())["model"]["merges"]]
    assert merges == list(trained.merges) and len(merges) == 600
    for line in [*lines, *mixed_lines(500, seed=2)]:
        assert trained.encode(line) == library.encode(" ".join(map(as_letters, WORDS.findall(line)))).ids


def test_every_text_comes_back(trained, lines):
    draw = random.Random(7)
    anything = ["".join(chr(draw.randrange(0x110000)) for _ in range(draw.randint(0, 12))) for _ in range(3000)]
    low = ["".join(chr(draw.randrange(0x180)) for _ in range(draw.randint(0, 40))) for _ in range(2000)]
    odd = ["", " ", "   ", "\n\n \t", "\0", "\ud800", "\udfff\ud83d", "\ud83d\ude00", "a\u0301", "\ufeffx", "👩‍👩‍👧‍👦",
           "🇫🇷", "\r\n", "\u2028", "_ __ _a_", "\x1c \x1f", "\ufffd", "ÿþ", "\U0010ffff"]
    untrained = BytePairEncoding([])
    for text in [*odd, *anything, *low, *lines]:
        assert trained.decode(trained.encode(text)) == text, ascii(text)
        assert untrained.decode(untrained.encode(text)) == text, ascii(text)
    everything = "".join(map(chr, range(0x110000)))
    assert "".join(WORDS.findall(everything)) == everything


def test_training_shortens_the_text_it_was_trained_on(trained, lines):
    text = "\n".join(lines)
    assert len(trained.encode(text)) < 0.6 * len(text.encode("utf-8"))
    assert all(pair not in trained.merges for line in lines[:100] for word in WORDS.findall(line)
               for pair in pairwise(trained.encode(word)))


def test_a_character_cut_in_two():
    encoding = BytePairEncoding([])
    assert encoding.decode(encoding.encode("a😀")[:3]) == "a\ufffd"
    assert encoding.decode([0xFF, 0x61]) == "\ufffda"


def test_file_there_and_back(tmp_path, trained, lines):
    path = tmp_path / "merges.json"
    trained.save(path)
    loaded = BytePairEncoding.load(str(path))
    assert loaded.merges == trained.merges and loaded.tokens == trained.tokens
    assert [loaded.encode(line) for line in lines[:50]] == [trained.encode(line) for line in lines[:50]]


def test_a_file_cut_at_any_byte_is_refused(tmp_path):
    path = tmp_path / "merges.json"
    BytePairEncoding.train("low lower lowest", 300).save(path)
    whole = path.read_text()
    for end in range(len(whole) - 1):
        path.write_text(whole[:end])
        with pytest.raises(ValueError, match="merges.json is truncated, or was not written by BytePairEncoding.save"):
            BytePairEncoding.load(path)


@pytest.mark.parametrize("content", [
    "[]", "{}", "7", '{"merges": 7}', '{"merges": [[1]]}', '{"merges": [["a", "b"]]}', '{"merges": [[1.5, 2]]}',
    '{"merges": [[97, 256]]}', '{"merges": [[97, 98], [97, 98]]}', '{"merges": null}', '{"merges": [null]}', "\ud800",
])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "merges.json"
    path.write_bytes(content.encode("utf-8", "surrogatepass"))
    with pytest.raises(ValueError, match="was not written by BytePairEncoding.save"):
        BytePairEncoding.load(path)


@pytest.mark.parametrize("call, message", [
    (lambda: BytePairEncoding.train("low", 255), "vocab_size is 255, expected a whole number of at least 256"),
    (lambda: BytePairEncoding([(97, 98), (256, 257)]), r"merge 1 is \(256, 257\), expected .* ids from 0 to 256$"),
    (lambda: BytePairEncoding([(97, 98), (97, 98)]), r"merge 1 is \(97, 98\), expected a new pair"),
    (lambda: BytePairEncoding([(-1, 98)]), r"merge 0 is \(-1, 98\)"),
    (lambda: BytePairEncoding([]).decode([256]), "token 256 is unknown, expected 0 to 255"),
    (lambda: BytePairEncoding([]).decode([-1]), "token -1 is unknown"),
])
def test_wrong_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
