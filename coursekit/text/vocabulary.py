"""The tokens of a model and their ids, from a vocabulary file in BERT's form."""

from pathlib import Path

from coursekit.files import replace_file


class Vocabulary:
    """tokens: list of strings; a token's id is its place. Raises ValueError for an empty token or a repeated one."""

    def __init__(self, tokens):
        self.tokens = list(tokens)
        self.ids = {}
        for place, token in enumerate(self.tokens):
            if not token or token in self.ids:
                fault = f"is also token {self.ids[token]}" if token else "is empty"
                raise ValueError(f"token {place} {token!r} {fault}, expected every token once")
            self.ids[token] = place

    @classmethod
    def load(cls, path, vocab_size=None):
        """Read a file of one token per line, UTF-8, the first line being id 0 (BERT's vocab.txt).

        vocab_size: how many tokens the model has; the only way to see that a file ends early at the end of a line.
        Raises ValueError for a file that is not such a file, or not complete.
        """
        try:
            *tokens, rest = Path(path).read_text(encoding="utf-8").split("\n")
        except UnicodeDecodeError as error:
            raise ValueError(f"{path} is truncated or no vocabulary file: {error}") from error
        if rest:
            raise ValueError(f"{path} is truncated: its last line {len(tokens) + 1} ({rest!r}) has no end")
        if not tokens:
            raise ValueError(f"{path} is empty")
        if vocab_size not in (None, len(tokens)):
            raise ValueError(f"{path} has {len(tokens)} tokens, expected vocab_size {vocab_size}")
        try:
            return cls(tokens)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error

    def save(self, path):
        """Write the file that `load` reads."""
        replace_file(Path(path), "".join(token + "\n" for token in self.tokens))

    def __len__(self):
        return len(self.tokens)

    def id(self, token):
        """The id of a token. Raises ValueError for an unknown one."""
        if token not in self.ids:
            raise ValueError(f"token {token!r} is not among the {len(self)} of the vocabulary")
        return self.ids[token]

    def token(self, id):
        """The token of an id. Raises ValueError for an id outside the vocabulary."""
        if not 0 <= id < len(self):
            raise ValueError(f"id {id} is unknown, expected 0 to {len(self) - 1}")
        return self.tokens[id]
