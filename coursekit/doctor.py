"""coursekit doctor: is everything here that the course needs, and if not, which command mends it?"""

import platform
import socket
import sys
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from coursekit import device, pretrained

GIB = 2**30
MEMORY_NEEDED = 2 * GIB  # one notebook with both frameworks loaded stays below


class Row(NamedTuple):
    """One line of the report; `mend` is the command that helps where something is missing."""

    name: str
    ok: bool
    found: str
    mend: str = ""


def report(extras=("all",), network=False):
    """Print an [ok] or a [missing] line for everything the course needs, and return whether nothing is missing.

    extras: the extras of coursekit that count as needed, such as ("torch", "lab"). network: whether to try the network,
    which is never needed. Raises ValueError for an extra that coursekit does not have.
    """
    needed = requirements(extras)
    names = {requirement.name for requirement in needed}
    rows = [_python(), *map(_package, needed), _device("torch" in names), _memory()]
    rows += [_weights()] if pretrained.PACKAGE in names else []
    rows += [_network() if network else Row("network", True, "not needed, not tried")]
    width = max(len(row.name) for row in rows)
    for row in rows:
        print(f"{'[ok]' if row.ok else '[missing]':9} {row.name:{width}}  {row.found}")
        if not row.ok:
            print(f"{'':9} {'':{width}}  to mend it: {row.mend}")
    return all(row.ok for row in rows)


def requirements(extras):
    """What coursekit and these of its extras require, by the metadata of the installed package, sorted by name."""
    offered = metadata.metadata("coursekit").get_all("Provides-Extra")
    for extra in extras:
        if extra not in offered:
            raise ValueError(f"extra is {extra!r}, expected one of {', '.join(sorted(offered))}")
    lines = [Requirement(line) for line in metadata.requires("coursekit")]
    wanted = [r for r in lines if r.marker is None or any(r.marker.evaluate({"extra": extra}) for extra in extras)]
    return sorted({r.name: r for r in wanted}.values(), key=lambda r: r.name)


def _python():
    allowed = metadata.metadata("coursekit")["Requires-Python"]
    version = platform.python_version()
    return Row("Python", version in SpecifierSet(allowed), f"{version} at {sys.executable} (needs {allowed})",
               "start the course with another Python, for example: python3.13 course.py doctor")


def _package(requirement):
    bounds = str(requirement.specifier) or "any version"
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return Row(requirement.name, False, f"not installed (needs {bounds})", _install(requirement))
    ok = requirement.specifier.contains(version, prereleases=True)
    return Row(requirement.name, ok, f"{version} (needs {bounds})", _install(requirement))


def _install(requirement):
    checkout = Path(__file__).resolve().parent.parent
    if Path(sys.prefix) == checkout / ".venv":
        return f"python {checkout / 'course.py'} install"
    return f'{sys.executable} -m pip install "{requirement.name}{requirement.specifier}"'


def _device(with_torch):
    if not with_torch:
        return Row("device", True, device.machine())
    try:
        best = device.best("torch")
    except (ImportError, OSError) as error:  # OSError: a shared library of it is missing
        return Row("device", False, f"torch cannot be imported: {error}", _install(Requirement("torch")))
    memory = device.memory(best)
    return Row("device", True, best.why + (f", {_gib(memory)}" if best != "cpu" else ""))


def _memory():
    memory = device.memory("cpu")
    return Row("memory", memory.free >= MEMORY_NEEDED, f"{_gib(memory)} (needs {MEMORY_NEEDED / GIB:.0f} GiB)",
               "close other programs, or shut down kernels in JupyterLab")


def _gib(memory):
    return f"{memory.free / GIB:.1f} of {memory.total / GIB:.1f} GiB free"


def _weights():
    """The pretrained weights are accepted by their SHA-256 alone."""
    folder = pretrained.installed()
    if folder is None:
        return Row("weights", False, f"{pretrained.MINILM} is not installed", pretrained.INSTALL)
    try:
        pretrained.check(folder)
    except (FileNotFoundError, ValueError) as error:
        return Row("weights", False, str(error).partition(" To mend it:")[0], pretrained.INSTALL)
    megabytes = (folder / pretrained.WEIGHTS).stat().st_size / 1e6
    return Row("weights", True, f"{pretrained.MINILM}, {megabytes:.0f} MB, the SHA-256 is right")


def _network():
    try:
        socket.create_connection(("huggingface.co", 443), timeout=5).close()
    except OSError as error:
        return Row("network", True, f"not needed; huggingface.co does not answer ({error})")
    return Row("network", True, "not needed; huggingface.co answers")
