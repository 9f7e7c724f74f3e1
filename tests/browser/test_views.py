"""The sortable table and the verdicts of exercises, by keyboard, in both themes, narrow."""

from __future__ import annotations

import pytest

from tests.browser.conftest import (
    open_notebook,
    overflowing,
    picture,
    run_all,
    serious_violations,
    show_in_the_middle,
    switch_theme,
)

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(180)]
CELLS = [
    """import pandas as pd
from helpers.widgets.table import sortable

questions = ["How do I pay? " * 9, "When?", "Where?"]
sortable(pd.DataFrame({"question": questions, "score": [0.5, 1.0, 0.0]}))""",
    'from helpers.course import exercise\n\nexercise("00-epochs").check(...)',
    'exercise("00-epochs").check("45")',
    'exercise("00-epochs").check(45)',
    'exercise("00-epochs").hint()',
]
TABLE, VERDICT = "section.sortable", ".jp-OutputArea-output [role=status]:has(b)"


def test_table_and_verdicts_work_by_keyboard_and_read_well_in_both_themes(lab, open_tab):
    lab.write("scratch_views", CELLS)
    tab = open_tab(width=800)
    open_notebook(tab, lab, "scratch_views")
    run_all(tab)
    table = tab.page.locator(TABLE)
    table.wait_for()
    table.get_by_role("button", name="score").press("Enter")
    assert table.locator("td.number").all_inner_texts() == ["0", "0.5", "1"]
    table.get_by_role("button", name="score").press("Enter")
    assert table.locator("td.number").all_inner_texts() == ["1", "0.5", "0"]
    table.get_by_role("searchbox").fill("whe")
    table.get_by_text("2 of 3 rows").wait_for()
    assert tab.page.locator(VERDICT).all_inner_texts()[1].startswith("✗ Not yet. This is text")
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        switch_theme(tab, theme)
        for selector in (TABLE, VERDICT):
            show_in_the_middle(tab.page.locator(selector).first)
            picture(tab, f"views-{selector[:7]}-{theme[11:].lower()}")
            assert serious_violations(tab.page, selector) == []
            assert not overflowing(tab.page.locator(selector).first)
    assert tab.complaints == []
