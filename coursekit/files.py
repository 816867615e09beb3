"""Writing a file so that a reader finds the old text or the new one, never half of either."""

import os


def replace_file(path, text):
    """Write `text` (UTF-8) beside `path`, then put it in its place.

    A full disk or an interruption leaves `path` as it was.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
