"""The cost explorer in a real JupyterLab: by keyboard, in both themes, in a narrow window."""

from __future__ import annotations

import re
from typing import Any

import nbformat
import pytest

from tests.browser.conftest import Lab, Tab, open_notebook, picture, run_all, serious_violations

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(240)]
NOTEBOOK = "costs_alone"


@pytest.fixture
def alone(lab: Lab) -> Lab:
    """A notebook that holds the explorer and nothing else."""
    cell = nbformat.v4.new_code_cell(
        "from helpers.widgets import cost_explorer\n\ncost_explorer.show()"
    )
    made = nbformat.v4.new_notebook(cells=[cell])
    made.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(made, lab.copy(NOTEBOOK))
    return lab


def explorer(tab: Tab, lab: Lab) -> Any:
    open_notebook(tab, lab, NOTEBOOK)
    run_all(tab)
    panel = tab.page.locator("section.costs").first
    panel.wait_for()
    return panel


def test_every_assumption_can_be_changed_by_keyboard_alone(alone, open_tab):
    tab = open_tab()
    panel = explorer(tab, alone)
    keys = tab.page.keyboard
    panel.get_by_role("combobox", name="Hosted model").focus()
    keys.press("ArrowUp")
    panel.get_by_role("columnheader", name="A month on gpt-4o-mini").wait_for()
    keys.press("Tab")
    keys.press("Control+a")
    keys.type("2000000")
    panel.get_by_text("The bill for 2,000,000 questions a month").wait_for()
    keys.press("Tab")
    keys.press("ArrowLeft")
    panel.get_by_text(re.compile(r"The bill for 1,[89]\d\d?,?\d* ?\d*")).wait_for()
    keys.press("Tab")
    keys.press("Control+a")
    keys.type("none, b")
    panel.get_by_role("status").get_by_text("Prompt, tokens: a whole number").wait_for()
    # A "b" in command mode would have added a cell to the notebook.
    assert tab.page.locator(".jp-CodeCell").count() == 1
    panel.get_by_role("button", name="Back to the first numbers").click()
    panel.get_by_text("The bill for 10,000 questions a month").wait_for()
    assert tab.complaints == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 640])
def test_it_is_readable_in_both_themes_and_in_a_narrow_window(alone, open_tab, dark, width):
    tab = open_tab(dark=dark, width=width, height=1500)
    alone.use_theme("JupyterLab Dark" if dark else "JupyterLab Light")
    panel = explorer(tab, alone)
    for summary in panel.locator("summary").all():
        summary.click()
    assert serious_violations(tab.page, "section.costs") == []
    picture(tab, f"costs-{'dark' if dark else 'light'}-{width}")
    assert not panel.evaluate("box => box.scrollWidth > box.clientWidth + 1")
    assert tab.complaints == []
