"""Every notebook as it is stored: nothing stands out of the page, also in a narrow window.

Where WORKBOOK_SCREENSHOTS names a folder, each notebook is also photographed there from top
to bottom, wide and narrow, light and dark: look at the pictures after a change of a view.
"""

from __future__ import annotations

import os
from typing import Any

import pytest

from tests.browser.conftest import ROOT, Lab, Tab, picture

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(300)]
NAMES = [path.stem for path in sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))]
PICTURES = bool(os.environ.get("WORKBOOK_SCREENSHOTS"))
NARROW, WIDE = 800, 1280
LOOKS = [(NARROW, False)]
ALL_LOOKS = [(WIDE, False), (WIDE, True), (NARROW, False), (NARROW, True)]
# Pictures and views must shrink; a table of data may scroll inside its own box.
WIDER_THAN_THE_PAGE = """
() => {
  const page = document.querySelector('.jp-WindowedPanel-outer, .jp-Notebook');
  const edge = page.getBoundingClientRect().left + page.clientWidth + 1;
  const found = document.querySelectorAll(
    '.jp-RenderedMarkdown :is(p, li, h1, h2, h3, table),'
    + ' .jp-OutputArea-output :is(img, svg, section, form)',
  );
  const scrolls = (one) => {
    for (let box = one.parentElement; box && box !== page; box = box.parentElement) {
      const fits = box.getBoundingClientRect().right <= edge;
      if (fits && ['auto', 'scroll'].includes(getComputedStyle(box).overflowX)) return true;
    }
    return false;
  };
  return [...found].filter((one) => one.getBoundingClientRect().right > edge && !scrolls(one))
    .map((one) => `${one.tagName} ${one.textContent.slice(0, 60)}`);
}
"""
OPEN_FOLDED = """
() => document.querySelectorAll('.jp-OutputArea-output details')
  .forEach((one) => { one.open = true })
"""
SCROLLER = ".jp-WindowedPanel-outer"


def scroll_through(tab: Tab, name: str, look: str) -> list[str]:
    """What is too wide on any screenful of the notebook."""
    found: list[str] = []
    outer: Any = tab.page.locator(SCROLLER).first
    for place in range(60):
        tab.page.wait_for_timeout(250)
        # What the author got is folded away; opened, it must fit too.
        tab.page.evaluate(OPEN_FOLDED)
        found += tab.page.evaluate(WIDER_THAN_THE_PAGE)
        picture(tab, f"{name[:2]}-{look}-{place:02}")
        moved = outer.evaluate(
            "box => { const old = box.scrollTop; box.scrollTop += box.clientHeight - 60;"
            " return box.scrollTop > old + 5; }"
        )
        if not moved:
            break
    return found


@pytest.mark.parametrize(("width", "dark"), ALL_LOOKS if PICTURES else LOOKS)
def test_nothing_stands_out_of_any_notebook(lab: Lab, open_tab, width, dark):
    lab.use_theme("JupyterLab Dark" if dark else "JupyterLab Light")
    tab = open_tab(dark=dark, width=width, height=1500 if PICTURES else 4000)
    look = f"{width}-{'dark' if dark else 'light'}"
    too_wide = {}
    for name in NAMES:
        tab.page.goto(lab.page_url(name))
        tab.page.locator(".jp-NotebookPanel").first.wait_for()
        tab.page.get_by_role("heading", level=1).first.wait_for()
        too_wide[name] = scroll_through(tab, name, look)
        lab.end_sessions()
    assert not {name: found for name, found in too_wide.items() if found}
