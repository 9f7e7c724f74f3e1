"""JupyterLab as `lab` opens it, and notebook 00 run in it against the real server."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import nbformat
import pytest

from helpers.cli import lab as lab_verb
from helpers.course.quiz import attempt, questions
from tests.browser.conftest import (
    Lab,
    Tab,
    new_tab,
    open_notebook,
    overflowing,
    picture,
    rewrite,
    run_all,
    save,
    serious_violations,
    show_in_the_middle,
    switch_theme,
)

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]
NOTEBOOK = "00_start_here"
EPOCHS = '\\"n_epochs\\": 5'
MAP, QUIZ, MONITOR = "section.course-map", "section.quiz", "section.monitor"
VERDICT = ".jp-OutputArea-output [role=status]:has(b)"


def test_lab_opens_on_00_with_its_contents_its_map_and_no_dialog(lab, open_tab):
    tab = open_tab()
    tab.page.goto(lab.url + lab_verb.FIRST)
    tab.page.get_by_role("tab", name=f"{NOTEBOOK}.ipynb").first.wait_for()
    contents = tab.page.locator(".jp-TableOfContents")
    contents.get_by_text("A sculptor and a block of marble").first.wait_for()
    assert contents.is_visible()
    # Nothing has been run, so nothing of the author's passes for the reader's own.
    tab.page.get_by_role("navigation", name="Course map").first.wait_for()
    assert tab.page.locator(MAP).count() == 0
    tab.page.wait_for_timeout(1500)
    picture(tab, "lab-opens")
    assert tab.page.locator(".jp-Dialog, .jp-toast, .Toastify__toast").count() == 0
    assert tab.complaints == []


@pytest.fixture(scope="module")
def start(lab, browser) -> Iterator[Tab]:
    """Notebook 00, run from top to bottom with fewer epochs: one page for all tests below."""
    (lab.state / "progress.json").unlink(missing_ok=True)
    lab.end_sessions()
    copy = lab.copy(NOTEBOOK)
    text = copy.read_text(encoding="utf-8")
    assert text.count(EPOCHS) == 1, f"notebook 00 trains without {EPOCHS}"
    copy.write_text(text.replace(EPOCHS, EPOCHS.replace("5", "2")), encoding="utf-8")
    tab = new_tab(browser)
    tab.page.on("dialog", lambda dialog: dialog.accept())
    open_notebook(tab, lab, NOTEBOOK)
    run_all(tab, seconds=600)
    tab.page.locator(QUIZ).first.wait_for()
    yield tab
    tab.page.context.close()


def box(tab: Tab, selector: str) -> Any:
    """The last such view of the notebook, in sight."""
    found = tab.page.locator(selector).last
    show_in_the_middle(found)
    return found


def exercise_cell(tab: Tab, name: str) -> Any:
    cell = tab.page.locator(".jp-CodeCell").filter(has_text=f'exercise("{name}")').last
    show_in_the_middle(cell)
    return cell


def kept(lab: Lab) -> Any:
    return json.loads((lab.state / "progress.json").read_text(encoding="utf-8"))


def test_every_cell_of_00_runs_and_a_model_is_trained(start, lab):
    save(start)
    cells = nbformat.read(lab.copy(NOTEBOOK), as_version=4).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not [o for cell in code for o in cell.outputs if o.output_type == "error"]
    monitor = box(start, MONITOR)
    monitor.get_by_text(re.compile("^succeeded")).wait_for()
    assert len(monitor.locator(".curve.training").get_attribute("points").split()) > 3
    assert not monitor.get_by_role("button", name="Cancel this job").is_visible()
    picture(start, "00-monitor-light")
    assert list(kept(lab)["notebooks"]) == ["00"]
    assert start.complaints == []


def test_an_exercise_says_why_then_is_solved_and_the_map_counts_it(start, lab):
    name = "00-epochs"
    cell = exercise_cell(start, name)
    cell.get_by_text("Not done yet.").wait_for()
    rewrite(start, cell, f'answer = 14\n\nexercise("{name}").check(answer)')
    cell.get_by_text("multiplied, not added").wait_for()
    picture(start, "00-exercise-wrong-light")
    for number in (1, 2, 3):
        rewrite(start, cell, f'exercise("{name}").hint()')
        cell.get_by_text(f"Hint {number} of 3").wait_for()
    rewrite(start, cell, f'exercise("{name}").solution()')
    cell.get_by_text("answer = 9 * 5").wait_for()
    first = box(start, MAP).locator(".row").first
    assert first.get_by_text("exercises 0 of 3").is_visible()
    rewrite(start, exercise_cell(start, name), f'answer = 45\n\nexercise("{name}").check(answer)')
    cell.get_by_text("Correct.").wait_for()
    picture(start, "00-exercise-right-light")
    box(start, MAP).get_by_role("button", name="Refresh").click()
    first.get_by_text("exercises 1 of 3").wait_for()
    assert kept(lab)["exercises"][name] == {"solved": True, "tries": 2}
    assert start.complaints == []


def test_its_quiz_by_mouse_and_by_keyboard_is_kept_after_a_reload(start, lab):
    one, two = questions.select(notebook="00", check=True)[:2]
    panel = box(start, QUIZ)
    wrong = next(option for option in one.options if not option.right)
    panel.get_by_label(wrong.text, exact=True).check()
    panel.get_by_role("button", name="Check", exact=True).click()
    panel.get_by_text(wrong.feedback[:40]).wait_for()
    panel.get_by_role("button", name="Next", exact=True).click()
    panel.get_by_text("Question 2 of").wait_for()

    right = next(option for option in two.options if option.right)
    radios, place = panel.get_by_role("radio"), attempt.Attempt(two).shown.index(right.text)
    radios.first.focus()
    start.page.keyboard.press("Space")
    for _ in range(place):
        start.page.keyboard.press("ArrowDown")
    start.page.keyboard.press("Enter")
    panel.get_by_text("✓ Right.").wait_for()
    picture(start, "00-quiz-right-light")

    save(start)
    start.page.goto(lab.page_url(NOTEBOOK))
    start.page.locator(QUIZ).last.wait_for()
    panel = box(start, QUIZ)
    panel.get_by_text("✓ Right.").wait_for()
    panel.get_by_role("button", name="Back", exact=True).click()
    panel.get_by_text(wrong.feedback[:40]).wait_for()
    assert {name: row["right"] for name, row in kept(lab)["questions"].items()} == {
        one.id: False,
        two.id: True,
    }
    assert start.complaints == []


@pytest.mark.parametrize("theme", ["JupyterLab Dark", "JupyterLab Light"])
def test_axe_finds_nothing_serious_in_any_view_of_00(start, theme):
    switch_theme(start, theme)
    for name, selector in {"monitor": MONITOR, "card": VERDICT, "quiz": QUIZ, "map": MAP}.items():
        view = box(start, selector)
        picture(start, f"00-{name}-{theme[11:].lower()}")
        assert serious_violations(start.page, selector) == [], name
        assert not overflowing(view), name
    assert start.complaints == []
