"""The pages of a report: what they say, and that nothing a learner wrote becomes markup."""

import base64
import hashlib
import json
import re
import shutil
import tracemalloc
from html.parser import HTMLParser

import pytest
from test_export import CANVAS, UNGRADED, exercise, record, report_of, rows_of

from coursekit.grading.records import Records, readable
from coursekit.grading.report import write

HOSTILE = [
    "<script>alert('ran')</script>", '"><img src=x onerror=alert(1)>', "{{7*7}}{% raw %}${7*7}",
    "</title><h1>Owned</h1>",
    "</style><style>*{display:none}</style>", "' onmouseover='alert(1)", "javascript:alert(1)", "&lt;b&gt;&#60;i&#62;",
    "--><svg/onload=alert(1)>", "\u202egnirts", "line\nbreak\r\x00\x1b[31m", "\ud800half",
    "<a href=//evil.example>x</a>",
    "<meta http-equiv=refresh content=0;url=//evil.example>", "]]></svg>", "x" * 5000,
]
VOID = {"meta", "br", "img", "input", "link", "hr"}
TAGS = set("html head meta title style body main h1 h2 h3 p ul li dl dt dd b bdi span section code a table caption "
           "thead tbody tr th td svg desc line rect text".split())
ATTRIBUTES = set("lang charset http-equiv content name class href scope data-label id role viewbox preserveaspectratio "
                 "aria-hidden aria-labelledby text-anchor x y x1 x2 y1 y2 width height".split())


class Page(HTMLParser):
    """Everything on a page as a browser's parser would find it: tags, attributes, text by the tag around it."""

    def __init__(self, path):
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.texts, self.open, self.unbalanced = [], [], [], [], []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.unbalanced.append(tag)

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else "", data))

    @property
    def text(self):
        words = " ".join(" ".join(data for tag, data in self.texts if tag != "style").split())
        return re.sub(r" ([,.])", r"\1", words)

    def of(self, tag):
        return [data for around, data in self.texts if around == tag]


def hostile_class():
    """A record for every hostile text, which stands in each field that a learner may touch."""
    for number, text in enumerate(HOSTILE):
        rows = [exercise("05.attend", 0.0, 2, "failed", text, text, (False, True)),
                exercise("05.masked", None, 3, "crashed", "", text, ())]
        yield record(f"{number} {text}", text, "partly graded", rows, file=text, message=text, days_late=1)
        yield record(f"{number} {text}", text, "duplicate", [], file=f"old {text}", message=text, content="")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    return report_of(tmp_path_factory.mktemp("hostile") / "r", hostile_class(), ["id,name", "1,Anna", '2,"<b>Ben"'])


def pages_of(folder):
    return [folder / "index.html", *sorted((folder / "students").iterdir())]


def test_what_a_learner_wrote_is_only_text(hostile):
    paths = pages_of(hostile)
    assert len(paths) == 1 + len(HOSTILE)
    for path in paths:
        page = Page(path)
        assert {tag for tag, _ in page.tags} <= TAGS
        assert page.unbalanced == [] and page.open == []
        for tag, name, value in page.attributes:
            assert name in ATTRIBUTES
            assert name != "href" or re.fullmatch(r"students/\d{5}-[0-9a-f]{12}\.html", value)
            assert not re.search(r"alert|evil|script|gnirts|x{20}|7\*7|Owned", value), (tag, name, value)


def test_a_learners_text_can_be_read(hostile):
    everything = Page(hostile / "index.html").text + "".join(Page(path).text for path in pages_of(hostile)[1:])
    for text in HOSTILE:
        for line in readable(text).split("\n"):
            assert re.sub(r" ([,.])", r"\1", " ".join(line[:200].split())) in everything
    assert "49" not in Page(hostile / "index.html").text  # {{7*7}}


def test_no_sign_turns_the_direction_or_hides(hostile):
    for path in [*pages_of(hostile), *hostile.glob("*.csv"), *(hostile / "gradescope").iterdir()]:
        assert not re.search(r"[\u202a-\u202e\u2066-\u2069\u200e\u200f\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]",
                             path.read_text(encoding="utf-8")), path.name


def test_names_are_kept_apart_from_the_direction_around_them(tmp_path):
    page = Page(report_of(tmp_path / "r", [record("1", "حداد, ليلى")]) / "index.html")
    assert {tag for tag, data in page.texts if "ليلى" in data} == {"bdi"}


def test_the_policy_names_the_one_style_sheet_and_nothing_else(hostile):
    for path in pages_of(hostile):
        page = Page(path)
        policy, = (attrs["content"] for tag, attrs in page.tags if attrs.get("http-equiv") == "Content-Security-Policy")
        style = re.search(r"<style>(.*?)</style>", page.source, re.DOTALL)[1]
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
        assert page.source.index("Content-Security-Policy") < page.source.index("<title>")
        assert "http://" not in style and "url(" not in style and "@import" not in style


def test_pages_have_a_language_ordered_headings_and_scoped_headers(hostile):
    for path in pages_of(hostile):
        page = Page(path)
        assert ("html", {"lang": "en"}) in page.tags
        levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h\d", tag)]
        assert levels[0] == 1 and levels.count(1) == 1
        assert all(later <= earlier + 1 for earlier, later in zip(levels, levels[1:]))
        assert all(attrs.get("scope") in ("col", "row") for tag, attrs in page.tags if tag == "th")
        assert page.of("title")[0].strip() and not page.of("title")[0].startswith("Owned")


def luminance(colour):
    parts = [int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_every_colour_can_be_read_on_its_ground(hostile):
    assert round(contrast("#767676", "#ffffff"), 2) == 4.54  # WCAG's own example
    blocks = re.findall(r":root \{(.*?)\}", Page(hostile / "index.html").source, re.DOTALL)
    assert len(blocks) == 3  # light, dark, print
    for block in blocks:
        colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", block))
        for ground in ("paper", "band"):
            for ink in ("ink", "quiet", "good", "bad", "note"):
                assert contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)
        assert contrast(colours["bar"], colours["paper"]) >= 3  # WCAG 1.4.11, graphical objects


# What the class's page says.

def test_numbers_of_the_class(tmp_path):
    known = [exercise("05.attend", 0.0, 2, "failed", "scale forgotten", "Hint.", (False,))]
    longer = [exercise("05.attend", 0.0, 2, "failed", "scale forgotten", "Hint. Before that, NameError", (False,))]
    other = [exercise("05.attend", 0.0, 2, "failed", "", "Shape (2,).", (False,))]
    slow = [exercise("05.attend", None, 2, "timed out", "", "It took too long.", ()), exercise("05.masked", 3.0, 3)]
    folder = report_of(tmp_path / "r", [
        record("12", "Lee, Anna"), record("77", "Z, Ben", exercises=longer), record("78", "D, Cy", exercises=known),
        record("79", "Mo", exercises=other), record("80", "Di", "partly graded", slow),
        record("81", "Ed", **UNGRADED, message="it ended at once"),
        record("82", "Flo", "missing", [], file="", content=""),
        record("12", "Lee, Anna", "duplicate", [], file="old.ipynb", message="not graded: 12.ipynb counts"),
    ], CANVAS)
    page = Page(folder / "index.html")
    assert "Median 0, mean 1.3 of 5 points, over 5 learners with a grade, 1 of them graded in part" in page.text
    assert "4 graded 1 partly graded 1 crashed 1 missing" in page.text
    assert page.of("desc")[0] == ("0 to below 1 points: 3. 1 to below 2 points: 0. 2 to below 3 points: 0. "
                                  "3 to below 4 points: 2. 4 to below 5 points: 0. 5 points: 0.")
    # Of 4 judged, 1 passed and 3 failed; one more timed out.
    assert re.search(r"05\.attend 05\.Attend 25% 1 3 0 1", page.text)
    assert "2 × scale forgotten Hint. 1 × something else" in page.text
    eye = page.text.partition("For an instructor's eye")[2].partition("Learners")[0]
    assert "Crashed: 1" in eye and "it ended at once" in eye
    assert "Graded in part: 1" in eye and "05.attend timed out: It took too long." in eye
    assert "Missing: 1" in eye and "Handed in more than once: 1" in eye and "old.ipynb" in eye
    assert "Not on the roster: 4" in eye and "handed in as 79" in eye
    assert "7 learners, 3 on the roster" in page.text and "Z, Ben" in page.text
    assert "--lecture 05 --seed 987654321 --policy proportional --box bubblewrap" in page.text


def test_a_histogram_of_many_points_has_few_bars(tmp_path):
    rows = [[exercise("05.attend", float(points), 50)] for points in (0, 13, 49, 50)]
    page = Page(report_of(tmp_path / "r", [record(str(i), exercises=row, of=50) for i, row in enumerate(rows)])
                / "index.html")
    counts = [int(count) for count in re.findall(r"points: (\d+)", page.of("desc")[0])]
    assert sum(counts) == 4 and len(counts) <= 19
    bars = [attrs for tag, attrs in page.tags if tag == "rect" and "class" not in attrs]
    assert len(bars) == sum(count > 0 for count in counts)
    assert all(0 <= float(bar["x"]) and float(bar["x"]) + float(bar["width"]) <= 400 for bar in bars)
    assert all(float(bar["y"]) + float(bar["height"]) == pytest.approx(150, abs=0.2) for bar in bars)


def test_nobody_graded(tmp_path):
    page = Page(report_of(tmp_path / "r", [record("1", **UNGRADED)]) / "index.html")
    assert "Nobody has a grade yet." in page.text and "svg" not in {tag for tag, _ in page.tags}


def test_a_learners_page_tells_of_nobody_else(tmp_path):
    practice = exercise("05.train", None, 0, "practice", passed=())
    half = exercise("05.attend", 1.0, 2, "failed", "scale forgotten", "Hint.", (True, False))
    chosen = exercise("05.which", 0.0, 1, "failed", "b", "Why b is wrong.", (False,), "choice")
    folder = report_of(tmp_path / "r", [
        record("1", "Anna", exercises=[half, practice, chosen], days_late=2, deducted=0.25), record("2", "Ben")])
    anna, = (Page(path) for path in (folder / "students").iterdir() if "Anna" in path.read_text())
    assert "0.75 of 5 points" in anna.text and "2 days late, 0.25 points taken off" in anna.text
    assert "Not passed, 1 of 2 points, 1 of 2 cases passed" in anna.text
    assert "This looks like a known mistake: scale forgotten. Hint." in anna.text
    assert "You chose b. Why b is wrong." in anna.text and "Practice, no points" in anna.text
    for elsewhere in ("Ben", "987654321", "Median", "index.html"):
        assert elsewhere not in anna.source


def test_not_graded_is_said_to_be_no_zero(tmp_path):
    page = Page(next((report_of(tmp_path / "r", [record("1", **UNGRADED)]) / "students").iterdir()))
    assert "Not graded crashed" in page.text and "no zero" in page.text and "0 of 5" not in page.text


# Which records count.

def test_the_last_line_of_a_learner_counts_and_a_cut_line_is_left_out(tmp_path):
    lines = [record("1", "Anna", exercises=[exercise("05.attend", 0.0, 2, "failed")]), record("2", "Ben"),
             record("1", "Anna", exercises=[exercise("05.attend", 2.0, 2)], content="another")]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (tmp_path / "results.jsonl").write_text(text + json.dumps(record("2", "Ben", **UNGRADED))[:90])
    write(tmp_path)
    assert [(row[0], row[4]) for row in rows_of(tmp_path / "grades.csv")[1:]] == [("1", "2"), ("2", "3.5")]
    assert "1 damaged line was left out" in Page(tmp_path / "index.html").text


@pytest.mark.parametrize("line", ["", "null", "[]", "3", '{"learner": "x"}', "[" * 100_000, "\x00"])
def test_lines_that_are_no_records_are_left_out(tmp_path, line):
    (tmp_path / "results.jsonl").write_text(line + "\n" + json.dumps(record("1")) + "\n")
    assert [place.learner for place, _ in Records(tmp_path)] == ["1"]


def test_shares_of_a_job_array_are_read_together(tmp_path):
    for share, learner in enumerate("12", 1):
        (tmp_path / f"results-{share}-of-2.jsonl").write_text(json.dumps(record(learner)) + "\n")
    write(tmp_path)
    assert [row[0] for row in rows_of(tmp_path / "grades.csv")[1:]] == ["1", "2"]


def test_lines_of_other_rules_are_passed_over(tmp_path):
    lines = [record("1"), record("1", exercises=[exercise("05.attend", 0.0, 2, "failed")], policy="strict")]
    (tmp_path / "results.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "assignment.json").write_text(json.dumps({"lecture": "05", "policy": "proportional"}))
    write(tmp_path)
    assert rows_of(tmp_path / "grades.csv")[1][4] == "3.5"


def test_learners_are_sorted_by_name(tmp_path):
    folder = report_of(tmp_path / "r", [record(name, name) for name in ("zoe", "Öz", "Ot", "Émile", "Anna")])
    assert [row[1] for row in rows_of(folder / "grades.csv")[1:]] == ["Anna", "Émile", "Ot", "Öz", "zoe"]


def test_who_has_no_record_yet_is_counted(tmp_path):
    page = Page(report_of(tmp_path / "r", [record("1")], ["id,name", "1,Anna", "2,Ben", "3,Cy"]) / "index.html")
    assert "2 of the roster have no record yet" in page.text


def test_nothing_was_graded(tmp_path):
    with pytest.raises(ValueError, match="results.jsonl"):
        write(tmp_path)


def test_file_names_stay_are_safe_and_pages_that_are_out_of_date_go(tmp_path):
    names = ["../../evil", "A", "a", "con", "x" * 300, "é", "e\u0301"]
    folder = report_of(tmp_path / "r", [record(name) for name in names])
    first = sorted(path.name for path in (folder / "students").iterdir())
    assert len(first) == len({name.casefold() for name in first}) == len(names)
    assert all(re.fullmatch(r"\d{5}-[0-9a-f]{12}\.html", name) for name in first)
    (folder / "students" / "notes.txt").write_text("the instructor's own")
    times = {path: path.stat().st_mtime_ns for path in (folder / "students").iterdir()}
    report_of(folder, [record(name) for name in [*names, "later"]])
    assert {path: path.stat().st_mtime_ns for path in times} == times  # what is the same is not written again
    report_of(folder, [record("A")])
    assert len(list((folder / "students").glob("*.html"))) == len(list((folder / "gradescope").iterdir())) == 1
    assert (folder / "students" / "notes.txt").exists()


def test_flat_memory(tmp_path):
    text = "y" * 50_000
    with (tmp_path / "results.jsonl").open("w") as file:
        for number in range(200):
            file.write(json.dumps(record(str(number), exercises=[
                exercise("05.attend", 0.0, 2, "failed", "", text, (False,))])) + "\n")
    write(tmp_path)  # templates are compiled, files are there
    tracemalloc.start()
    write(tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 * 2**20  # the records have 10 MB


FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--host-resolver-rules=MAP * ~NOTFOUND"]
WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", event => window.violations.push(event.violatedDirective));
"""


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_a_browser_no_script_runs_and_no_request_leaves(hostile, scheme):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page(viewport={"width": 400, "height": 800}, color_scheme=scheme)
        requests, dialogues, errors = [], [], []
        page.on("request", lambda request: requests.append(request.url))
        page.on("dialog", lambda dialogue: (dialogues.append(dialogue.message), dialogue.dismiss()))
        page.on("console", lambda message: errors.append(message.text))
        page.add_init_script(WATCH)
        paths = pages_of(hostile)
        for path in paths:
            page.goto(path.as_uri())
            page.mouse.move(100, 100)
            assert page.evaluate("window.violations") == []
            assert page.evaluate("document.scripts.length + document.images.length + document.forms.length") == 0
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path.name
            # The style sheet was let in: its hash is right.
            assert page.evaluate("getComputedStyle(document.body).backgroundColor") == (
                "rgb(255, 255, 255)" if scheme == "light" else "rgb(22, 25, 29)")
        assert requests == [path.as_uri() for path in paths]
        assert dialogues == errors == []
        # The watch can see a violation: a style that is put in is stopped and noticed.
        page.evaluate("document.body.append(Object.assign(document.createElement('style'), {textContent: 'p {}'}))")
        page.wait_for_function("window.violations.length === 1")
        browser.close()
