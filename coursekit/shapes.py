"""Checks of shapes that speak of axes by name, shared by every framework."""


def expect(name, shape, **axes):
    """Raise `ValueError` unless `shape` has exactly these axes, in this order, with these sizes.

    A size is a number, a pair `(number, whose)` that says which other argument it must agree with, or `None` where
    any size will do. Axes whose size a symbolic graph does not know yet (`None` in `shape`) are accepted.

        expect("mask", (2, 5), batch=(2, "values"), length=(7, "values"))
        ValueError: mask has length 5, values have 7
    """
    shape = tuple(shape)
    if len(shape) != len(axes):
        wanted = "one axis" if len(axes) == 1 else f"{len(axes)} axes"
        raise ValueError(f"{name} has shape {shape}, expected the {wanted} ({', '.join(axes)})")
    for came, (axis, wanted) in zip(shape, axes.items()):
        size, whose = wanted if isinstance(wanted, tuple) else (wanted, None)
        if size is None or came is None or came == size:
            continue
        verb = "have" if whose and whose.endswith("s") else "has"
        raise ValueError(f"{name} has {axis} {came}, " + (f"{whose} {verb} {size}" if whose else f"expected {size}"))


def expect_choice(name, value, choices):
    """Raise `ValueError` unless `value` is one of `choices`."""
    if value not in choices:
        raise ValueError(f"unknown {name} {value!r}, expected one of {', '.join(map(repr, choices))}")


def expect_at_least(name, value, least):
    """Raise `ValueError` unless `value` is a whole number of at least `least`."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or value < least:
        raise ValueError(f"{name} is {value!r}, expected a whole number of at least {least}")


def expect_real(name, dtype):
    """Raise `ValueError` unless a dtype of any framework is a floating-point type."""
    if "float" not in str(dtype):
        raise ValueError(f"{name} has dtype {dtype}, expected a floating-point type")


def expect_even(name, value):
    """Raise `ValueError` unless `value` is an even number: in sinusoidal positions each sine has its cosine."""
    expect_at_least(name, value, 0)
    if value % 2:
        raise ValueError(f"{name} is {value}, expected an even number: each sine has its cosine")


def expect_tokens(name, tokens, vocab_size):
    """Raise `ValueError` unless tokens are ids (batch, length) of a vocabulary, at least one row and one id a row."""
    expect(name, tokens.shape, batch=None, length=None)
    if "int" not in str(tokens.dtype):
        raise ValueError(f"{name} has dtype {tokens.dtype}, expected whole numbers (token ids)")
    if 0 in tokens.shape:
        raise ValueError(f"{name} has shape {tuple(tokens.shape)}, expected at least one row and one token")
    least, largest = int(tokens.min()), int(tokens.max())
    if least < 0 or largest >= vocab_size:
        raise ValueError(f"{name} has ids {least} to {largest}, expected 0 to {vocab_size - 1}")
