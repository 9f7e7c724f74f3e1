"""The first five minutes: `lab` from a profile that has never seen the course, then every link."""

from __future__ import annotations

import re
from typing import Any

import pytest

from helpers.cli import lab as lab_verb
from helpers.course import chapters
from tests.browser.conftest import (
    ROOT,
    Lab,
    Tab,
    picture,
    rewrite,
    show_in_the_middle,
    wait_for_kernel,
)

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(240)]
SHOW = "from helpers.widgets import course_map\n\ncourse_map.show()"
REVIEW = "from helpers.widgets import quiz\n\nquiz.review(topic='Fine-tuning')"


def first_start(lab: Lab, tab: Tab) -> Any:
    """The page as `lab` opens it; not at the address of a notebook, and without `?reset`."""
    lab.end_sessions()
    lab_verb.lay_out(ROOT, lab.folder / "workspaces")
    tab.page.goto(lab.url + lab_verb.FIRST)
    cell = tab.page.locator(".jp-CodeCell").filter(has_text="course_map.show()").first
    wait_for_kernel(tab, lab)
    return cell


def test_every_title_of_the_map_is_a_link_at_a_first_start(lab, open_tab):
    tab = open_tab(width=1366, height=768)
    cell = first_start(lab, tab)
    rewrite(tab, cell, SHOW)
    themap = tab.page.locator("section.course-map").first
    themap.wait_for()
    picture(tab, "first-start")
    links = themap.locator("li.row a")
    assert links.count() == len(chapters.CHAPTERS), themap.inner_text()
    links.nth(1).click()
    tab.page.get_by_role("tab", name="01_dataset_preparation.ipynb").first.wait_for()
    tab.page.get_by_role("heading", name="Prepare a dataset").first.wait_for()
    assert tab.complaints == []


def test_read_again_lands_on_its_section_at_a_first_start(lab, open_tab):
    tab = open_tab(width=1366, height=768)
    cell = first_start(lab, tab)
    rewrite(tab, cell, REVIEW)
    panel = tab.page.locator("section.quiz").first
    panel.get_by_role("radio").first.wait_for()
    for place in range(panel.get_by_role("radio").count()):
        panel.get_by_role("radio").nth(place).check()
        panel.get_by_role("button", name="Check", exact=True).click()
        panel.get_by_role("status").get_by_text(re.compile("Not yet|Right")).first.wait_for()
        if panel.get_by_text("Read again").count():
            break
        panel.get_by_role("button", name="Next", exact=True).click()
    link = panel.get_by_role("link").first
    heading = link.inner_text().split(" · ")[-1]
    link.click()
    target = tab.page.get_by_role("heading", name=heading).last
    target.wait_for()
    for _ in range(50):
        place = target.bounding_box()
        if place and 0 < place["y"] < 700:
            break
        tab.page.wait_for_timeout(200)
    picture(tab, "read-again")
    assert place
    assert 0 < place["y"] < 700


def test_next_at_the_end_of_a_notebook_is_a_link(lab, open_tab):
    tab = open_tab(width=1366, height=768)
    first_start(lab, tab)
    tab.page.keyboard.press("Escape")
    last = tab.page.locator(".jp-WindowedPanel-outer").first
    for _ in range(6):
        last.evaluate("box => { box.scrollTop = box.scrollHeight }")
        tab.page.wait_for_timeout(400)
    link = tab.page.get_by_role("link", name="1 Prepare a dataset").last
    show_in_the_middle(link)
    link.click()
    tab.page.get_by_role("tab", name="01_dataset_preparation.ipynb").first.wait_for()
