"""A wheel for learners: the whole package with compiled exercises in place of those with references and solutions."""

import base64
import hashlib
import re
import tempfile
import zipfile
from importlib import metadata
from pathlib import Path

import coursekit
from coursekit.datasets import data_folder
from coursekit.exercises import compiled, library


def build_without_solutions(out):
    """Write coursekit-<version>-py3-none-any.whl into the folder `out` and return its path.

    An instructor's private exercises (COURSEKIT_EXERCISES) are compiled with the others. Needs no build tool and no
    network: the metadata are those of the installed package.
    """
    installed = metadata.distribution("coursekit")
    info = f"coursekit-{installed.version}.dist-info"
    with tempfile.TemporaryDirectory() as folder:
        files = package_files(Path(folder))
        for name in ("METADATA", "WHEEL", "entry_points.txt", "licenses/LICENSE"):
            files[f"{info}/{name}"] = installed.read_text(name).encode()
    record = [f"{name},sha256={digest(content)},{len(content)}" for name, content in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,", ""]).encode()
    wheel = Path(out) / f"coursekit-{installed.version}-py3-none-any.whl"
    wheel.parent.mkdir(parents=True, exist_ok=True)
    beside = wheel.with_suffix(".part")
    with zipfile.ZipFile(beside, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    beside.replace(wheel)  # an interrupted build leaves the previous wheel
    return wheel


def package_files(compiled_folder):
    """Every file of the package by its name in the wheel, the lectures' exercises compiled."""
    files = {**shared_files(Path(coursekit.__file__).parent, "coursekit"),
             **shared_files(data_folder(), "coursekit/data")}
    for lecture in library.lectures():
        compiled.save(library.exercises(lecture), compiled_folder / f"lecture_{lecture}")
    for path in sorted(compiled_folder.iterdir()):
        files[f"coursekit/exercises/{path.name}"] = path.read_bytes()
    return files


def shared_files(folder, prefix):
    """The files below a folder that learners may have: no bytecode, nothing hidden, such as an editor's checkpoints,
    and no file that is called like a lecture's exercises or a copy of them, or that defines a reference."""
    files = {}
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        hidden = any(part.startswith(".") or part == "__pycache__" for part in parts)
        if path.is_file() and not hidden and "lecture_" not in path.name:
            content = path.read_bytes()
            if not re.search(rb"^@\w+\.reference\b", content, re.MULTILINE):
                files[f"{prefix}/{'/'.join(parts)}"] = content
    return files


def digest(content):
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
