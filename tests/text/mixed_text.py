"""Lines of mixed text and a vocabulary for them, the same on every machine."""

import random
import unicodedata

from coursekit.text import Vocabulary
from coursekit.text.wordpiece import SPECIAL

ENGLISH = """the pizza came out of the oven and it tasted good restaurant waiter waiting waited unwaited
low lower lowest
newest widest don't
it's $5.00 3.14 e-mail a_b C++ #tag @you 50% (so) "quoted" [brackets] x=y <b> ~ ^ ` | \\ Hello WORLD
McDonald 2026 1234567890 state-of-the-art end. what? stop! well, etc... [mask] [Mask] here: there; 'so'""".split()
ACCENTED = """café CAFÉ naïve Ångström Übermut crème brûlée señor façade œuvre straße STRAẞE İstanbul ılık Łódź Đà Nẵng
Việt phở ﬁn ﬂow ǅ ŉ ſ Ωμέγα ΌΣΟΣ Привет ёжик Йод שָׁלוֹם مَرْحَبًا हिन्दी ไทย ខ្មែរ 한국어 각 ｆｕｌｌ １２３ ² ½ Ⅷ ①""".split()
CHINESE = "中文字符 今天天气很好 日本語のテキスト カタカナ 漢字かな ｶﾀｶﾅ 東京２０２６ 豈更車 \U00020000\U0002a6df \U0002f800 㐀䶵 。、「」".split()
EMOJI = ["😀", "👍🏽", "👩‍👩‍👧‍👦", "🇫🇷", "❤️", "☕", "🏳️‍🌈", "🦊🦊", "™", "→", "©", "✓", "𝔘𝔫𝔦", "1️⃣"]
CONTROL = ["\0", "\x01", "\x07", "\x0b", "\x0c", "\x1b", "\x1c", "\x1f", "\x7f", "\x85", "\xad", "\u200b", "\u200d",
           "\u200e", "\u202e", "\u2060", "\ufeff", "\ufffd", "\ue000", "\U000e0041", "\U0010fffd"]
SPACES = [" ", "  ", "\t", "\r\n", "\xa0", "\u2003", "\u2028", "\u2029", "\u3000", "\u1680"]
MARKS = ["\u0301", "\u0308", "\u0323", "\u0327", "\u0338", "\u20dd", "\u0345", "\u3099", "\ufe0f", "\u05b8", "\u093e"]
LONG = ["a" * 99, "b" * 100, "c" * 101, "waiting" * 30, "é" * 100, "é" * 101, "e\u0301" * 100, "中" * 120, "-" * 101]

# Unicode changed what these four are after the library took its tables.
CHANGED = {"\u166d", "\u1734", "\u1885", "\u1886"}
# What was assigned in 2002 is the same for every library; surrogates are no characters.
ASSIGNED = [
    character for character in map(chr, range(0x110000))
    if unicodedata.ucd_3_2_0.category(character) not in ("Cn", "Cs", "Co") and character not in CHANGED
]


def mixed_lines(n, seed=0):
    """n lines of all of this; no two spacing marks with a combining class follow one another (see `normalise`)."""
    draw = random.Random(seed)
    kinds = [ENGLISH, ACCENTED, CHINESE, EMOJI, CONTROL, MARKS, list(SPECIAL), ASSIGNED, LONG]
    weights = [32, 6, 4, 3, 2, 2, 0.5, 4, 0.1]
    lines = []
    for _ in range(n):
        line = ""
        for kind in draw.choices(kinds, weights, k=draw.randint(1, 24)):
            word = draw.choice(kind)
            if draw.random() < 0.15:
                word = "".join(character + draw.choice(MARKS) * draw.randint(0, 2) for character in word)
            line += word + (draw.choice(SPACES) if draw.random() < 0.2 else draw.choice([" ", " ", ""]))
        lines.append(line)
    return lines


def own_vocabulary():
    """Special tokens; beginnings, middles and ends of the words above; single characters, a good part of Unicode."""
    words = ENGLISH + ACCENTED + CHINESE
    plain = {unicodedata.normalize("NFD", form(word)) for word in words for form in (str, str.lower)}
    plain |= {"".join(part for part in word if unicodedata.category(part) != "Mn") for word in plain}
    pieces = {word[start:start + n] for word in plain for start in range(len(word)) for n in (1, 3, len(word))}
    pieces |= set("".join(EMOJI + MARKS)) | set(ASSIGNED[::3])
    starts = sorted(piece for piece in pieces if piece.split() == [piece])
    return Vocabulary([*SPECIAL, *starts, *("##" + piece for piece in starts)])
