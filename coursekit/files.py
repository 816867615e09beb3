"""Writing a file so that a reader finds the old content or the new one, never half of either."""

import os


def replace_file(path, content):
    """Write `content` (text, as UTF-8, or bytes) beside `path`, then put it in its place.

    A full disk or an interruption leaves `path` as it was.
    """
    replace_files({path: content})


def replace_files(contents):
    """Replace several files, a dict from path to content: none is touched before all of them have been written."""
    partial = {path: path.with_name(f".{path.name}.partial") for path in contents}
    try:
        for path, content in contents.items():
            with partial[path].open("wb") as file:
                file.write(content.encode("utf-8") if isinstance(content, str) else content)
                file.flush()
                os.fsync(file.fileno())
        for path in contents:
            os.replace(partial[path], path)
    finally:
        for path in partial.values():
            path.unlink(missing_ok=True)
