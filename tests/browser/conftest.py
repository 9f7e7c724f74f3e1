"""A real JupyterLab and a real Chromium, or a skip that says which of them is missing."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.sign import NotebookNotary

from helpers.backend import daemon
from helpers.base import settings as settings_module
from helpers.cli import lab as lab_verb
from helpers.course import copies
from tests.places import ROOT
from tests.ports import free_port

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Written by the browser or by Jupyter itself, whatever is on the page.
HARMLESS = ("favicon", "Autofocus", "preloaded using link preload")


def wait_for(address: str, *, seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            urllib.request.urlopen(address, timeout=5).close()
        except OSError:
            assert time.monotonic() < deadline, f"{address} did not answer"
            time.sleep(0.2)
        else:
            return


def end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def chromium() -> str:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not found:
        pytest.skip("no Chromium on this machine (looked for " + ", ".join(BROWSERS) + ")")
    pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")
    return found


@dataclass
class Lab:
    """A running JupyterLab on a copy of the course, with a learner's copies of the notebooks."""

    url: str
    folder: Path
    state: Path

    def page_url(self, notebook: str) -> str:
        return f"{self.url}/lab/tree/{copies.NAME}/{notebook}.ipynb?reset"

    def copy(self, notebook: str) -> Path:
        """The learner's copy of a notebook."""
        return copies.folder(self.folder) / f"{notebook}.ipynb"

    def write(self, name: str, cells: list[str]) -> None:
        """A notebook of these code cells beside the course's own."""
        made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
        made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
        nbformat.write(made, self.copy(name))

    def use_theme(self, name: str) -> None:
        """For pages opened from now on."""
        file = (
            self.folder / "settings/lab/@jupyterlab/apputils-extension/themes.jupyterlab-settings"
        )
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"theme": name}), encoding="utf-8")

    def sessions(self) -> list[dict[str, Any]]:
        with urllib.request.urlopen(f"{self.url}/api/sessions", timeout=5) as answer:
            found: list[dict[str, Any]] = json.load(answer)
        return found

    def end_sessions(self) -> None:
        for session in self.sessions():
            address = f"{self.url}/api/sessions/{session['id']}"
            urllib.request.urlopen(urllib.request.Request(address, method="DELETE"), timeout=10)

    def kernel_is_ready(self) -> bool:
        kernels = [session["kernel"] for session in self.sessions()]
        return any(k["execution_state"] == "idle" and k["connections"] for k in kernels)


@pytest.fixture(scope="module")
def lab(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("course")
    for part in ("notebooks", "data", "docs"):
        shutil.copytree(ROOT / part, folder / part)
    lab_verb.lay_out(ROOT, folder / "workspaces")
    (folder / "jupyter").mkdir()
    lab_verb.prepare(folder, notary=NotebookNotary(data_dir=str(folder / "jupyter")))
    state, port = folder / "state", free_port()
    settings = folder / "settings"
    environment = {
        **lab_verb.environment(ROOT),
        "WORKBOOK_STATE": str(state),
        "WORKBOOK_LAB_ROOT": str(folder),
        "PYTHONPATH": str(ROOT),
        "JUPYTER_CONFIG_DIR": str(settings),
        "JUPYTER_DATA_DIR": str(folder / "jupyter"),
        "JUPYTERLAB_SETTINGS_DIR": str(settings / "lab"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
    }
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", f"--ServerApp.port={port}"]
    command += [f"--ServerApp.root_dir={folder}", "--IdentityProvider.token=", "--allow-root"]
    command += [
        "--ServerApp.password=",
        "--ServerApp.disable_check_xsrf=True",
        "--ServerApp.port_retries=0",
        "--ServerApp.ip=127.0.0.1",
        lab_verb.style(ROOT),
    ]
    environment.pop("MPLBACKEND", None)
    with (folder / "lab.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder)
        url = f"http://127.0.0.1:{port}"
        try:
            wait_for(f"{url}/api/status")
            yield Lab(url, folder, state)
        finally:
            end(process)
            # The API server, if a notebook started one.
            daemon.stop(replace(settings_module.load(), state=state))


@dataclass
class Tab:
    """A browser page that remembers what its console complained about."""

    page: Any
    complaints: list[str] = field(default_factory=list)

    @property
    def errors(self) -> Any:
        """Playwright's own kinds of errors."""
        from playwright import sync_api

        return sync_api

    def listen(self) -> None:
        def on_console(message: Any) -> None:
            if message.type == "error" and not any(h in message.text for h in HARMLESS):
                self.complaints.append(f"{message.text} ({message.location.get('url', '')})")

        self.page.on("console", on_console)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()


def new_tab(browser: Any, *, dark: bool = False, width: int = 1280, height: int = 900) -> Tab:
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if dark else "light",
    )
    tab = Tab(context.new_page())
    tab.page.set_default_timeout(40_000)
    tab.listen()
    return tab


@pytest.fixture
def open_tab(browser: Any, request: pytest.FixtureRequest) -> Iterator[Callable[..., Tab]]:
    """Makes a page; `dark=True` for readers whose system is dark, `width` in CSS pixels."""
    contexts = []

    def make(**looks: Any) -> Tab:
        tab = new_tab(browser, **looks)
        contexts.append(tab.page.context)
        return tab

    yield make
    for number, context in enumerate(contexts):
        picture(Tab(context.pages[0]), f"end-{request.node.name}-{number}")
        context.close()


def open_notebook(tab: Tab, lab: Lab, name: str) -> None:
    """Open a notebook and wait until its kernel is connected and idle."""
    tab.page.goto(lab.page_url(name))
    wait_for_kernel(tab, lab)


def wait_for_kernel(tab: Tab, lab: Lab) -> None:
    """Until the page that is open has a kernel that is connected and idle."""
    tab.page.locator(".jp-NotebookPanel").first.wait_for()
    deadline = time.monotonic() + 40
    while not lab.kernel_is_ready():
        choose = tab.page.get_by_role("button", name="Select Kernel")
        if choose.count():
            choose.first.click()
        assert time.monotonic() < deadline, "the kernel was never idle"
        tab.page.wait_for_timeout(200)
    # The page itself must know the kernel too, and widgets that it had before a reload must be
    # fetched: the widget manager waits two seconds for a model, then calls it missing.
    tab.page.locator(".jp-Notebook-ExecutionIndicator[data-status='idle']").first.wait_for(
        state="attached"
    )
    tab.page.wait_for_load_state("networkidle")


def run_all(tab: Tab, *, seconds: float = 90) -> None:
    """Run every cell from the menu, and wait until none is waiting."""
    tab.page.get_by_role("menuitem", name="Run", exact=True).click()
    tab.page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    waiting = (
        "[...document.querySelectorAll('.jp-InputPrompt')]"
        ".some((prompt) => prompt.textContent.includes('*'))"
    )
    with contextlib.suppress(tab.errors.TimeoutError):
        # Short cells may be done before anybody looks.
        tab.page.wait_for_function(waiting, timeout=2000)
    tab.page.wait_for_function(f"!{waiting}", timeout=seconds * 1000)


def rewrite(tab: Tab, cell: Any, source: str) -> None:
    """Put other code into a cell and run it, by keyboard.

    A page that is still building itself now and then takes the focus away from the editor, so
    each half is looked at, and done again where it went elsewhere.
    """
    # The element itself: a cell that was found by its text is not found by it any more.
    box = cell.element_handle()

    def part(selector: str) -> Any:
        return box.wait_for_selector(selector)

    for _ in range(3):
        part(".cm-content").click()
        tab.page.keyboard.press("Control+A")
        tab.page.keyboard.insert_text(source)
        written = part(".cm-content").inner_text()
        if "".join(written.split()) == "".join(source.split()):
            break
    else:
        raise AssertionError(f"the cell holds {written!r}")
    before = part(".jp-InputPrompt").inner_text()
    for _ in range(3):
        part(".cm-content").press("Control+Enter")
        for _ in range(20):
            if part(".jp-InputPrompt").inner_text() != before:
                return
            tab.page.wait_for_timeout(100)
    raise AssertionError(f"the cell does not run: {before!r}")


def save(tab: Tab) -> None:
    """By the menu: a view that has the focus keeps Ctrl+S to itself."""
    tab.page.get_by_role("menuitem", name="File", exact=True).click()
    tab.page.locator(".lm-Menu-itemLabel").get_by_text("Save Notebook", exact=True).click()
    tab.page.wait_for_timeout(1500)


def switch_theme(tab: Tab, name: str) -> None:
    """By the menu, in the page as it stands."""
    tab.page.get_by_role("menuitem", name="Settings", exact=True).click()
    for words in ("Theme", name):
        tab.page.locator(".lm-Menu-itemLabel").get_by_text(words, exact=True).first.click()
    wanted = "false" if "Dark" in name else "true"
    tab.page.wait_for_function(f"document.body.dataset.jpThemeLight === '{wanted}'")


def overflowing(box: Any) -> bool:
    """Whether something stands out of a box, or is cut off at its edge."""
    return bool(box.evaluate("box => box.scrollWidth > box.clientWidth + 1"))


def show_in_the_middle(box: Any) -> None:
    """The notebook draws cells as they come into sight: scroll, wait, scroll again."""
    for _ in range(3):
        box.evaluate("box => box.scrollIntoView({block: 'center'})")
        box.page.wait_for_timeout(400)


def picture(tab: Tab, name: str) -> None:
    """A screenshot for people, where WORKBOOK_SCREENSHOTS names a folder."""
    folder = os.environ.get("WORKBOOK_SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        tab.page.screenshot(path=str(Path(folder) / f"{name}.png"))


def serious_violations(page: Any, selector: str) -> list[str]:
    """What axe-core calls serious or critical below `selector`."""
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright",
        reason="the package axe-playwright-python is not installed",
    )
    results = axe.Axe().run(page, context=selector)
    return [
        f"{violation['id']}: {[node['html'][:120] for node in violation['nodes'][:3]]}"
        for violation in results.response["violations"]
        if violation["impact"] in ("serious", "critical")
    ]
