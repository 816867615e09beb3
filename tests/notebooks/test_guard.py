"""What every stored notebook keeps to, read from the file alone; each rule is also seen to fail."""

import re
from html.parser import HTMLParser

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from coursekit.notebooks import NOTEBOOKS

MOST_BYTES = 1_000_000
MOST_LINES = 25
VIEW = "application/vnd.jupyter.widget-view+json"
IMAGES = ("image/png", "image/jpeg", "image/svg+xml", "image/gif")
MACHINE = re.compile(r"(?<![\w.])/(?:home|root|tmp|usr|opt|var|mnt|private|content|Users|work)/|\b[A-Z]:\\(?!\\)\w+\\"
                     r"|ipykernel_\d|site-packages|\bat 0x[0-9a-f]{6}")


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def markdown_texts(notebook):
    return [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]


def outputs(notebook):
    return [output for cell in code_cells(notebook) for output in cell.outputs]


def shown(notebook, *kinds):
    """The text of the outputs of these MIME types."""
    return [str(output.data[kind]) for output in outputs(notebook) for kind in kinds if kind in output.get("data", {})]


def html_tags(notebook):
    """Every HTML tag that a reader's browser meets, with its attributes: in Markdown, in HTML and in SVG outputs."""
    tags = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: tags.append((tag, {key: value or "" for key, value in attributes}))
    for text in markdown_texts(notebook) + shown(notebook, "text/html", "text/markdown", "image/svg+xml"):
        parser.feed(text)
        parser.reset()
    return tags


def is_valid(notebook):
    try:
        nbformat.validate(notebook)
    except nbformat.ValidationError as error:
        yield f"not valid: {error.message}"


def is_small(notebook):
    size = len(nbformat.writes(notebook).encode())
    if size >= MOST_BYTES:
        yield f"{size} bytes"


def ran_from_top_to_bottom(notebook):
    counts = [cell.execution_count for cell in code_cells(notebook)]
    if counts != list(range(1, len(counts) + 1)):
        yield f"execution counts are {counts}"


def ran_without_error_and_stderr(notebook):
    for output in outputs(notebook):
        if output.output_type == "error":
            yield f"error {output.ename}: {output.evalue}"
        elif output.get("name") == "stderr":
            yield f"stderr: {output.text[:80]}"


def has_cell_ids(notebook):
    ids = [cell.get("id") for cell in notebook.cells]
    if None in ids or len(set(ids)) < len(ids):
        yield "cell ids are missing or repeated"


def has_the_kernel_python3(notebook):
    if notebook.metadata.get("kernelspec", {}).get("name") != "python3":
        yield f"kernelspec is {notebook.metadata.get('kernelspec')}"


def has_no_widget_without_its_state(notebook):
    widgets = notebook.metadata.get("widgets", {}).values()
    if not all("state" in widget for widget in widgets):
        yield "widget metadata without a state"
    known = {model for widget in widgets for model in widget.get("state", {})}
    for output in outputs(notebook):
        if VIEW in output.get("data", {}) and output.data[VIEW]["model_id"] not in known:
            yield f"view of an unknown widget {output.data[VIEW]['model_id']}"


def names_no_machine(notebook):
    texts = [cell.source for cell in notebook.cells]
    texts += [output.text for output in outputs(notebook) if output.output_type == "stream"]
    texts += shown(notebook, "text/plain", "text/html", "text/markdown", "image/svg+xml", "application/json")
    for text in texts:
        for found in MACHINE.finditer(text):
            yield f"names the machine: {text[max(0, found.start() - 20) : found.end() + 40]!r}"


def loads_nothing_from_outside(notebook):
    for text in markdown_texts(notebook) + shown(notebook, "text/markdown"):
        for address in re.findall(r"!\[[^\]]*\]\(\s*<?((?!attachment:|data:)[^)\s]+)", text):
            yield f"image {address} is not in the notebook"
    for tag, attributes in html_tags(notebook):
        # A link is followed by the reader, everything else by the browser on its own.
        for key in {"src", "srcset", "data", "poster"} | ({"href", "xlink:href"} if tag != "a" else set()):
            if key in attributes and not attributes[key].startswith(("attachment:", "data:", "#")):
                yield f"<{tag} {key}={attributes[key]!r}> is not in the notebook"
    for text in markdown_texts(notebook) + shown(notebook, "text/html", "image/svg+xml", "application/javascript"):
        if re.search(r"""@import|url\(\s*['"]?(https?:)?//|(import|require|fetch)\s*\(?\s*\[?['"](https?:)?//""", text):
            yield "a style sheet or script loads something"


def has_one_title_and_no_skipped_heading(notebook):
    text = re.sub(r"(?ms)^(```|~~~).*?^\1", "", "\n\n".join(markdown_texts(notebook)))
    levels = [len(marks) for marks in re.findall(r"(?m)^ {0,3}(#{1,6})\s", text)]
    if levels.count(1) != 1 or levels[0] != 1:
        yield f"heading levels are {levels}, expected one title, first"
    for above, below in zip(levels, levels[1:]):
        if below > above + 1:
            yield f"a heading of level {below} follows one of level {above}"


def has_words_for_every_image(notebook):
    for text in markdown_texts(notebook) + shown(notebook, "text/markdown"):
        if re.search(r"!\[\s*\]", text):
            yield "a Markdown image without alt text"
    for tag, attributes in html_tags(notebook):
        if tag == "img" and not attributes.get("alt", "").strip():
            yield "an <img> without alt text"
    for output in outputs(notebook):
        for kind in IMAGES:
            if kind in output.get("data", {}) and not output.metadata.get(kind, {}).get("alt", "").strip():
                yield f"an {kind} output without alt text"


def has_short_code_cells(notebook):
    for cell in code_cells(notebook):
        if len(cell.source.splitlines()) > MOST_LINES:
            yield f"a code cell of {len(cell.source.splitlines())} lines: {cell.source[:40]!r}"


RULES = [is_valid, is_small, ran_from_top_to_bottom, ran_without_error_and_stderr, has_cell_ids, has_the_kernel_python3,
         has_no_widget_without_its_state, names_no_machine, loads_nothing_from_outside,
         has_one_title_and_no_skipped_heading, has_words_for_every_image, has_short_code_cells]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_every_notebook(path, rule):
    # nbformat.read would mend missing ids on its way.
    assert list(rule(nbformat.reader.reads(path.read_text(encoding="utf-8")))) == []


def good(*more, title="# Title", code="print(1)", count=1, outputs=(), metadata=None):
    """A notebook that keeps every rule, but for what the arguments say."""
    cells = [new_markdown_cell(title), new_code_cell(code, execution_count=count, outputs=list(outputs)), *more]
    kernel = {"kernelspec": {"display_name": "Python 3", "name": "python3"}}
    return new_notebook(cells=cells, metadata=kernel if metadata is None else kernel | metadata)


def html(text):
    return new_output("display_data", {"text/html": text})


def picture(kind="image/png", **metadata):
    return new_output("display_data", {kind: "iVBO"}, metadata=metadata)


def printed(text, name="stdout"):
    return new_output("stream", name=name, text=text)


def view(model):
    return new_output("display_data", {VIEW: {"model_id": model, "version_major": 2, "version_minor": 0}})


def widgets(state):
    return {"widgets": {"application/vnd.jupyter.widget-state+json": state}}


def with_equal_ids():
    notebook = good()
    notebook.cells[0].id = notebook.cells[1].id
    return notebook


def without_outputs():
    notebook = good()
    del notebook.cells[1]["outputs"]
    return notebook


def without_ids():
    notebook = good()
    for cell in notebook.cells:
        del cell["id"]
    return notebook


BAD = [
    (is_valid, without_outputs()),
    (is_small, good(outputs=[printed("x" * MOST_BYTES)])),
    (ran_from_top_to_bottom, good(count=None)),
    (ran_from_top_to_bottom, good(count=2)),
    (ran_from_top_to_bottom, good(new_code_cell("2", execution_count=1))),
    (ran_without_error_and_stderr, good(outputs=[new_output("error", ename="ValueError", evalue="no", traceback=[])])),
    (ran_without_error_and_stderr, good(outputs=[printed("careful", name="stderr")])),
    (has_cell_ids, with_equal_ids()),
    (has_cell_ids, without_ids()),
    (has_the_kernel_python3, good(metadata={"kernelspec": {"display_name": "course", "name": "course"}})),
    (has_the_kernel_python3, new_notebook(cells=good().cells)),
    (has_no_widget_without_its_state, good(outputs=[view("a")])),
    (has_no_widget_without_its_state, good(outputs=[view("a")], metadata=widgets({"state": {"b": {}}}))),
    (has_no_widget_without_its_state, good(metadata=widgets({"version_major": 2}))),
    *[(names_no_machine, good(outputs=[printed(text)])) for text in (
        "saved to /home/ada/x.json", "/root/.cache/x", "'/tmp/x'", "/Users/ada/x", "C:\\Users\\ada",
        "ipykernel_4242/1.py", "lib/site-packages/x.py:3: UserWarning", "<object at 0x7f0123456789>")],
    (names_no_machine, good(code="open('/home/ada/data.txt')")),
    (names_no_machine, good(title="# Title\n\nSee file:///home/ada/x.")),
    (names_no_machine, good(outputs=[html("<p>/tmp/x</p>")])),
    *[(loads_nothing_from_outside, good(title="# Title\n\n" + text)) for text in (
        "![map](https://x.org/a.png)", "![map](map.png)", "<img alt='map' src='http://x.org/a.png'>")],
    *[(loads_nothing_from_outside, good(outputs=[html(text)])) for text in (
        "<script src='https://x.org/a.js'></script>", "<link rel='stylesheet' href='//x.org/a.css'>",
        "<style>@import 'https://x.org/a.css'</style>", "<style>p {background: url(https://x.org/a.png)}</style>",
        "<script>require(['https://x.org/a.js'])</script>", "<script>import('https://x.org/a.js')</script>")],
    (has_one_title_and_no_skipped_heading, good(title="no title")),
    (has_one_title_and_no_skipped_heading, good(new_markdown_cell("# Another"))),
    (has_one_title_and_no_skipped_heading, good(new_markdown_cell("### Third"))),
    (has_one_title_and_no_skipped_heading, good(title="## Second\n\n# Title")),
    (has_words_for_every_image, good(title="# Title\n\n![](attachment:a.png)")),
    (has_words_for_every_image, good(title="# Title\n\n<img src='data:image/png;base64,iVBO'>")),
    (has_words_for_every_image, good(outputs=[html("<img alt='' src='data:image/png;base64,iVBO'>")])),
    *[(has_words_for_every_image, good(outputs=[picture(kind)])) for kind in IMAGES],
    (has_words_for_every_image, good(outputs=[picture(**{"image/png": {"alt": " "}})])),
    (has_short_code_cells, good(code="1\n" * (MOST_LINES + 1))),
]

GOOD = [
    good(),
    good(new_markdown_cell("## Two\n\n### Three\n\n```python\n# a comment\n```\n\n## Two again")),
    good(title="# Title\n\n[![Open](attachment:a.png)](https://x.org/blob/main/tmp/home.ipynb) $a:\\alpha/\\beta$"),
    good(outputs=[picture(**{"image/png": {"alt": "A map."}}), html("<a href='https://x.org'>more</a>")]),
    good(outputs=[view("a")], metadata=widgets({"state": {"a": {}}, "version_major": 2, "version_minor": 0})),
    good(outputs=[printed("tokens/home/run 3/tmp/4")], code="\n".join("1" * MOST_LINES)),
]


@pytest.mark.parametrize("rule, notebook", BAD, ids=lambda value: getattr(value, "__name__", ""))
def test_each_rule_fails_on_a_bad_notebook(rule, notebook):
    assert list(rule(notebook)) != []


def test_every_rule_is_seen_to_fail():
    assert {rule for rule, _ in BAD} == set(RULES)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("notebook", GOOD, ids=range(len(GOOD)))
def test_a_good_notebook_passes_every_rule(notebook, rule):
    assert list(rule(notebook)) == []
