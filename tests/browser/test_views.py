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


DOLLARS = [
    'from helpers.course import exercise\n\nexercise("01-price").check(31_000 * 25)',
    'exercise("01-price").check(2.325)',
    'for _ in range(3):\n    display(exercise("01-price").hint())',
    'exercise("01-price").solution(show=True)',
    """import pandas as pd
from helpers.widgets.table import sortable

bills = pd.DataFrame({"bill": ["$5 in, $11 out", "from $3 to $8"]})
sortable(bills)""",
    """from helpers.base.errors import CourseError

raise CourseError("it costs $3 here, $9 there", fix="pay $3 or $9")""",
]


def test_two_prices_never_become_a_formula(lab, open_tab):
    lab.write("scratch_dollars", DOLLARS)
    tab = open_tab(width=1366, height=768)
    open_notebook(tab, lab, "scratch_dollars")
    run_all(tab)
    tab.page.locator(".jp-OutputArea-output").get_by_text("pay $3 or $9", exact=False).wait_for()
    for summary in tab.page.locator(".jp-OutputArea-output summary").all():
        summary.click()
    tab.page.wait_for_timeout(1500)
    picture(tab, "dollars")
    assert tab.page.locator("mjx-container, .MathJax").count() == 0
    error = tab.page.locator(".jp-OutputArea-output").last.inner_text()
    assert error == "it costs $3 here, $9 there. Pay $3 or $9"
    printed = tab.page.locator(".jp-RenderedText pre").last
    assert printed.evaluate("box => getComputedStyle(box).wordBreak") == "normal"
    assert tab.complaints == []
