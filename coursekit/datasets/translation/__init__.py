"""English sentences with their Russian and French translations, from a grammar of our own."""

from coursekit.datasets.translation.corpus import Pair, generate, translation
from coursekit.datasets.translation.tokens import detokenize, tokenize

__all__ = ["Pair", "detokenize", "generate", "tokenize", "translation"]
