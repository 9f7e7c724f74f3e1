"""A job of notebook 02, followed and cancelled by its button, against the real server."""

from __future__ import annotations

from typing import Any

import nbformat
import pytest

from tests.browser.conftest import (
    ROOT,
    open_notebook,
    overflowing,
    picture,
    serious_violations,
    show_in_the_middle,
)

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]
SMALL = """
rows = parts["train"][:12]
jsonl.write(WORK / "small.jsonl", rows)
"""


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
        curve = monitor.locator(".curve.training")
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
    picture(tab, "02-monitor-running-light")
    assert serious_violations(tab.page, "section.monitor") == []
    assert not overflowing(monitor)

    cancel = monitor.get_by_role("button", name="Cancel this job")
    cancel.focus()
    tab.page.keyboard.press("Enter")
    monitor.get_by_role("status").get_by_text("cancelled").wait_for(timeout=90_000)
    assert monitor.get_by_role("button").count() == 0
    last: Any = tab.page.locator(".jp-CodeCell").last
    last.get_by_text("cancelled after").wait_for(timeout=90_000)
    picture(tab, "02-monitor-cancelled-light")
    assert tab.complaints == []
