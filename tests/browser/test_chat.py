"""The chat panel in a real JupyterLab against the real server: typed, streamed, stopped, read."""

from __future__ import annotations

from typing import Any

import nbformat
import pytest

from tests.browser.conftest import (
    Lab,
    Tab,
    open_notebook,
    overflowing,
    picture,
    run_all,
    serious_violations,
    show_in_the_middle,
)

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(400)]
NOTEBOOK = "chat_alone"
SOURCE = """
from helpers.connection import connect
from helpers.evaluation import side_by_side
from helpers.widgets import chat

course = connect()


def noted(talk):
    note = ("Late payment", "When a bill is 15 days overdue, we add a late fee of $5.")
    asked = f"Notes:\\n[1] {note[0]}: {note[1]}\\n\\n{talk[-1]['content']}"
    return side_by_side.Prompted(course.chat_model, [{"role": "user", "content": asked}], (note,))


chat.panel(
    course.client,
    {"base": course.chat_model, "with a system message": course.chat_model, "with notes": noted},
    system="You answer in one short sentence.",
    examples=["What is the late fee?", "Say hello."],
    max_tokens=60,
)
"""


@pytest.fixture(scope="module")
def alone(lab: Lab) -> Lab:
    """A notebook that holds a panel of three columns and nothing else."""
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(SOURCE.strip())])
    made.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(made, lab.copy(NOTEBOOK))
    return lab


def panel_of(tab: Tab, lab: Lab) -> Any:
    open_notebook(tab, lab, NOTEBOOK)
    run_all(tab, seconds=180)
    panel = tab.page.locator("section.chat").first
    panel.wait_for(timeout=180_000)
    return panel


def test_what_is_typed_is_answered_in_every_column_and_can_be_stopped(alone, open_tab):
    tab = open_tab()
    panel = panel_of(tab, alone)
    assert panel.locator(".turn").count() == 1
    assert panel.locator(".turn .reply").count() == 3
    field = panel.get_by_label("Your question")
    field.focus()
    tab.page.keyboard.type("How big is a barn? b")
    tab.page.keyboard.press("Enter")
    panel.get_by_text("How big is a barn? b").wait_for()
    # A "b" or Enter in command mode would have changed the notebook.
    assert tab.page.locator(".jp-CodeCell").count() == 1
    second = panel.locator(".turn").nth(1)
    second.get_by_text("written").nth(2).wait_for(timeout=120_000)
    costs = second.locator(".meta").all_inner_texts()
    assert len(costs) == 3
    assert all("tokens read" in cost for cost in costs)
    notes = second.locator("details.notes")
    notes.locator("summary").click()
    notes.get_by_text("15 days overdue").wait_for()
    panel.get_by_role("button", name="Say hello.").click()
    panel.get_by_role("button", name="Stop").click()
    panel.locator(".turn").nth(2).get_by_text("stopped").first.wait_for(timeout=60_000)
    panel.get_by_role("button", name="Clear").click()
    panel.locator(".turn").first.wait_for(state="detached")
    assert tab.complaints == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1366, 800])
def test_it_is_readable_in_both_themes_and_in_a_narrow_window(alone, open_tab, dark, width):
    tab = open_tab(dark=dark, width=width, height=768)
    alone.use_theme("JupyterLab Dark" if dark else "JupyterLab Light")
    panel = panel_of(tab, alone)
    show_in_the_middle(panel)
    assert serious_violations(tab.page, "section.chat") == []
    assert not overflowing(panel)
    picture(tab, f"chat-{'dark' if dark else 'light'}-{width}")
    assert tab.complaints == []
