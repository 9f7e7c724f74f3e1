"""A job of notebook 02, followed and cancelled by its button, against the real server."""

from __future__ import annotations

import urllib.request
from typing import Any

import nbformat
import pytest

from tests.browser.conftest import (
    ROOT,
    open_notebook,
    overflowing,
    picture,
    rewrite,
    serious_violations,
    show_in_the_middle,
    wait_for_kernel,
)

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]
SMALL = """
rows = parts["train"][:12]
jsonl.write(WORK / "small.jsonl", rows)
"""
END = """from helpers.connection import connect

client = connect().client
job = client.fine_tuning.jobs.list(limit=1).data[0]
print(client.fine_tuning.jobs.cancel(job.id).status)"""


def scratch() -> list[str]:
    """Cells of notebook 02 from its first to the one that waits, on twelve examples."""
    cells = nbformat.read(ROOT / "notebooks" / "02_fine_tuning.ipynb", as_version=4).cells
    code = [cell.source for cell in cells if cell.cell_type == "code"]

    def cell(words: str) -> str:
        return str(next(source for source in code if words in source))

    start = cell("fine_tune(\n")
    for old, new in {
        'DATA / "train.jsonl"': 'WORK / "small.jsonl"',
        "hyperparameters=settings_v1": "hyperparameters=Hyperparameters(n_epochs=50, batch_size=4)",
    }.items():
        assert start.count(old) == 1, f"notebook 02 starts its job without {old}"
        start = start.replace(old, new)
    return [
        cell("connect()"),
        cell("parts = "),
        SMALL,
        cell("manifest.describe("),
        start,
        cell("watch(client, run"),
        cell("monitor.wait()"),
    ]


def test_the_curve_moves_and_the_button_cancels_while_a_cell_waits(lab, open_tab):
    lab.write("scratch_training", scratch())
    tab = open_tab()
    open_notebook(tab, lab, "scratch_training")
    tab.page.get_by_role("menuitem", name="Run", exact=True).click()
    tab.page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    monitor = tab.page.locator("section.monitor")
    monitor.wait_for(timeout=120_000)
    show_in_the_middle(monitor)

    def points() -> int:
        curve = tab.page.locator("section.monitor .curve.training")
        return len(curve.get_attribute("points").split()) if curve.count() else 0

    def wait_for_points(wanted: int) -> None:
        for _ in range(2000):
            if points() >= wanted:
                return
            tab.page.wait_for_timeout(200)
        raise AssertionError(f"{points()} points, and no more come: {monitor.inner_text()}")

    wait_for_points(2)
    seen, text = points(), monitor.get_by_role("status").inner_text()
    wait_for_points(seen + 2)
    assert monitor.get_by_role("status").inner_text() != text
    # One held-out question: what the model said before, and after an epoch that has ended.
    heard = monitor.locator(".heard")
    heard.get_by_text("before", exact=True).wait_for(timeout=90_000)
    heard.get_by_text("after epoch").first.wait_for(timeout=90_000)
    assert len(heard.locator("td").first.inner_text()) > 20
    picture(tab, "02-monitor-running-light")
    assert serious_violations(tab.page, "section.monitor") == []
    assert not overflowing(monitor)

    # The page is left and comes back in the middle of the job.
    tab.page.get_by_role("menuitem", name="File", exact=True).click()
    tab.page.locator(".lm-Menu-itemLabel").get_by_text("Save Notebook", exact=True).click()
    tab.page.wait_for_timeout(1000)
    tab.page.reload()
    tab.page.locator(".jp-NotebookPanel").first.wait_for()
    monitor = tab.page.locator("section.monitor").first
    monitor.wait_for(timeout=5_000)
    show_in_the_middle(monitor)
    assert tab.page.get_by_text("Loading widget").count() == 0
    seen = points()
    wait_for_points(seen + 2)

    cancel = monitor.get_by_role("button", name="Cancel this job …")
    cancel.focus()
    tab.page.keyboard.press("Enter")
    monitor.get_by_role("button", name="Go on training").wait_for()
    picture(tab, "02-monitor-asks-light")
    monitor.get_by_role("button", name="Yes, cancel it").press("Enter")
    monitor.get_by_role("status").get_by_text("cancelled after step").wait_for(timeout=90_000)
    assert not monitor.get_by_role("button").first.is_visible()
    # JupyterLab shows nothing of a cell that was running before the reload: run it again.
    # By its text: below a monitor that has grown it may not be drawn, and another is then the last.
    last: Any = tab.page.locator(".jp-CodeCell").filter(has_text="await monitor.wait()")
    wait_for_kernel(tab, lab)
    tab.page.wait_for_timeout(1500)
    monitor.hover()
    tab.page.mouse.wheel(0, 3000)
    rewrite(tab, last, "job = await monitor.wait()")
    said = last.locator(".jp-OutputArea-output").last
    said.get_by_text("was cancelled, so there is no model").wait_for(timeout=90_000)
    assert len(said.inner_text().splitlines()) <= 10
    picture(tab, "02-monitor-cancelled-light")
    assert tab.complaints == []


def test_without_its_kernel_the_monitor_says_so_and_offers_no_button_that_nobody_hears(
    lab, open_tab
):
    lab.end_sessions()
    lab.write("scratch_restart", scratch()[:-1])
    tab = open_tab(width=1366, height=768)
    open_notebook(tab, lab, "scratch_restart")
    tab.page.get_by_role("menuitem", name="Run", exact=True).click()
    tab.page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    monitor = tab.page.locator("section.monitor")
    monitor.wait_for(timeout=120_000)
    monitor.get_by_role("status").get_by_text("step").first.wait_for(timeout=120_000)
    monitor.get_by_role("button", name="Cancel this job …").click()
    (kernel,) = [session["kernel"]["id"] for session in lab.sessions()]
    address = f"{lab.url}/api/kernels/{kernel}/restart"
    urllib.request.urlopen(urllib.request.Request(address, method="POST"), timeout=60).close()
    monitor.get_by_text("does not answer").wait_for(timeout=30_000)
    picture(tab, "02-monitor-without-kernel")
    assert monitor.get_by_role("button").count() == 0
    assert " left" not in monitor.locator(".time").inner_text()

    # The notebook goes on below with nothing known: one line says what to run.
    rewrite(tab, tab.page.locator(".jp-CodeCell").last, "job = await monitor.wait()")
    said = tab.page.locator(".jp-CodeCell").last.locator(".jp-OutputArea-output").last
    said.get_by_text("'monitor' is not known yet").wait_for()
    assert len(said.inner_text().splitlines()) <= 3
    # Whoever runs the cells again finds the job by its fingerprint, and can end it.
    rewrite(tab, tab.page.locator(".jp-CodeCell").last, END)
    said.get_by_text("cancelled", exact=True).wait_for(timeout=60_000)
