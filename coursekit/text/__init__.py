"""From text to tokens, to be read; code that tokenizes in bulk uses the library `tokenizers`."""

from coursekit.text.bpe import BytePairEncoding
from coursekit.text.padding import pad
from coursekit.text.vocabulary import Vocabulary
from coursekit.text.wordpiece import Batch, Encoding, WordPiece, normalise, split_words

__all__ = ["Batch", "BytePairEncoding", "Encoding", "Vocabulary", "WordPiece", "normalise", "pad", "split_words"]
