"""A wheel of the package; for learners, with compiled exercises in place of those with references and solutions."""

import base64
import hashlib
import io
import re
import tempfile
import zipfile
from importlib import metadata
from pathlib import Path

import coursekit
from coursekit.datasets import data_folder
from coursekit.exercises import compiled, library
from coursekit.files import replace_file

LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip file can name
WITH_ANSWERS = ("coursekit/grading/hostile", "coursekit/grading/rehearsal")


def build_wheel(out, solutions=False):
    """Write coursekit-<version>-py3-none-any.whl into the folder `out` and return its path.

    Without solutions, an instructor's private exercises (COURSEKIT_EXERCISES) are compiled with the others. With them
    it is the ordinary wheel, and private exercises stay in their folder. Needs no build tool and no network: the
    metadata are those of the installed package. The same package gives the same bytes. Raises ValueError where
    solutions are asked of a copy that has none.
    """
    if solutions and any(library.HERE.glob("lecture_*.json")):
        raise ValueError("a wheel with solutions cannot be made: this copy of the course comes without solutions")
    files = {**files_below(Path(coursekit.__file__).parent, "coursekit"),
             **files_below(data_folder(), "coursekit/data")}
    if not solutions:
        files = {name: content for name, content in files.items() if not gives_away(name, content)}
        files.update(compiled_exercises())
    installed = metadata.distribution("coursekit")
    info = f"coursekit-{installed.version}.dist-info"
    for name in ("METADATA", "WHEEL", "entry_points.txt", "licenses/LICENSE"):
        files[f"{info}/{name}"] = installed.read_text(name).encode()
    record = [f"{name},sha256={digest(content)},{len(content)}" for name, content in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,", ""]).encode()
    wheel = Path(out) / f"coursekit-{installed.version}-py3-none-any.whl"
    wheel.parent.mkdir(parents=True, exist_ok=True)
    replace_file(wheel, zipped(files))
    return wheel


def files_below(folder, prefix):
    """The files below a folder by their names in the wheel: no bytecode, nothing hidden, such as an editor's
    checkpoints."""
    files = {}
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        hidden = any(part.startswith(".") or part == "__pycache__" for part in parts)
        if path.is_file() and not hidden:
            files[f"{prefix}/{'/'.join(parts)}"] = path.read_bytes()
    return files


def gives_away(name, content):
    """Whether a file is called like a lecture's exercises or a copy of them, defines a reference, or holds answers for
    trying out the grader."""
    called = "lecture_" in name.rpartition("/")[2] or name.startswith(WITH_ANSWERS)
    return called or bool(re.search(rb"^@\w+\.reference\b", content, re.MULTILINE))


def compiled_exercises():
    """The exercises of all lectures, compiled: the files by their names in the wheel."""
    with tempfile.TemporaryDirectory() as folder:
        for lecture in library.lectures():
            compiled.save(library.exercises(lecture), Path(folder) / f"lecture_{lecture}")
        return {f"coursekit/exercises/{path.name}": path.read_bytes() for path in sorted(Path(folder).iterdir())}


def digest(content):
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def zipped(files):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, LONG_AGO)
            entry.external_attr = 0o644 << 16  # readable by all, writable by its owner
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED, 9)
    return packed.getvalue()
