"""The first lecture in a real JupyterLab and a real browser: Run All Cells completes, without an error."""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import nbformat
import pytest

from coursekit.notebooks import NOTEBOOKS

START_SECONDS, RUN_SECONDS = 60, 300
# No dialogue that waits for an answer, and every cell in the page, not only those in sight.
SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "notebook-extension/tracker": {"windowingMode": "none"},
}
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"]
EVERY_CELL_HAS_RUN = """() => {
    const prompts = [...document.querySelectorAll(".jp-Notebook .jp-CodeCell .jp-InputPrompt")];
    return prompts.length && prompts.every((prompt, i) => prompt.textContent === `[${i + 1}]:`)
        && document.querySelector(".jp-Notebook-ExecutionIndicator").dataset.status === "idle";
}"""


@pytest.fixture
def lab(tmp_path):
    """The address of a JupyterLab of its own, on loopback, over an empty folder `course` of `tmp_path`."""
    (tmp_path / "course").mkdir()
    for name, values in SETTINGS.items():
        file = tmp_path / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    folders = {"JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
               "JUPYTER_CONFIG_DIR": "config", "JUPYTER_RUNTIME_DIR": "runtime", "IPYTHONDIR": "ipython"}
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}",
               "--ServerApp.port_retries=0", f"--IdentityProvider.token={token}"]
    with (tmp_path / "lab.log").open("w") as log:
        learners = {key: value for key, value in os.environ.items() if key not in ("COURSEKIT_HEADLESS", "CI")}
        server = subprocess.Popen(command, cwd=tmp_path / "course", stdout=log, stderr=log,
                                  env=learners | {key: str(tmp_path / folder) for key, folder in folders.items()})
        try:
            address = f"http://127.0.0.1:{port}"
            wait_until_it_answers(f"{address}/api?token={token}", tmp_path / "lab.log")
            yield lambda name: f"{address}/lab/tree/{name}?token={token}"
        finally:
            server.terminate()
            server.wait(30)


def wait_until_it_answers(address, log):
    for _ in range(START_SECONDS * 5):
        try:
            return urllib.request.urlopen(address).close()
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"JupyterLab does not answer:\n{log.read_text()}")


def without_results(path):
    notebook = nbformat.read(path, 4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return notebook


@pytest.fixture
def run_all(lab, tmp_path):
    """A function that opens a notebook in the browser, runs all its cells, and gives the page."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 1600})

        def run(notebook, name):
            nbformat.write(notebook, tmp_path / "course" / name)
            page.goto(lab(name))
            # The status bar knows when the kernel is there; the notebook's own indicator says idle before.
            page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=START_SECONDS * 1000)
            page.get_by_role("menuitem", name="Run", exact=True).click()
            page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
            try:
                page.wait_for_function(EVERY_CELL_HAS_RUN, timeout=RUN_SECONDS * 1000)
            finally:
                page.screenshot(path=tmp_path / "run_all.png")

        yield page, run
        browser.close()


@pytest.mark.browser
@pytest.mark.parametrize("lecture", list(NOTEBOOKS.glob("01_*.ipynb")), ids=lambda path: path.stem)
def test_run_all_completes_in_a_browser(run_all, lecture):
    page, run = run_all
    outside = []
    page.on("request", lambda request: outside.append(request.url) if "//127.0.0.1:" not in request.url else None)
    run(without_results(lecture), lecture.name)
    results = page.locator(".jp-Notebook .jp-OutputArea-output")
    assert results.count() > 0
    for kind in ("error", "stderr"):
        complaints = page.locator(f'.jp-Notebook [data-mime-type="application/vnd.jupyter.{kind}"]')
        assert complaints.all_inner_texts() == []
    images = page.locator(".jp-Notebook img").all()
    assert all(image.evaluate("image => image.naturalWidth") for image in images)
    assert [url for url in outside if url.startswith("http")] == []


SLIDER = """\
from coursekit import plots

def draw(axes, power):
    axes.plot([0, 1, 2, 3], [x ** power for x in (0, 1, 2, 3)])
    axes.set(xlabel="x", ylabel="x to the power")

plots.explore(draw, [1, 2, 3], shown=[1, 3], name="power", title="Powers", alt="Two rising lines.")"""


@pytest.mark.browser
def test_a_slider_redraws_its_picture(run_all):
    page, run = run_all
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    run(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(SLIDER)], metadata=kernel), "slider.ipynb")
    picture = page.locator(".jp-Notebook .widget-image")
    picture.wait_for(timeout=START_SECONDS * 1000)
    seen = [picture.get_attribute("src")]
    for value in ("2", "3"):
        page.locator(".jp-Notebook .noUi-handle").focus()
        page.keyboard.press("ArrowRight")
        page.locator(".jp-Notebook .widget-readout", has_text=value).wait_for(timeout=START_SECONDS * 1000)
        page.wait_for_function("before => document.querySelector('.widget-image').src !== before", arg=seen[-1])
        seen.append(picture.get_attribute("src"))
    assert len(set(seen)) == 3
    assert picture.evaluate("image => image.naturalWidth") > 0
