"""Notebook 08 in a browser, answered by mouse and by keyboard."""

from __future__ import annotations

import json
import re
import shutil
from typing import Any

import nbformat
import pytest
from nbformat.sign import NotebookNotary

from helpers.course.quiz import attempt, questions
from tests.browser.conftest import (
    ROOT,
    Lab,
    Tab,
    open_notebook,
    overflowing,
    picture,
    run_all,
    serious_violations,
    show_in_the_middle,
)

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(240)]
NOTEBOOK = "08_review_quiz"
QUESTIONS = list(questions.load().values())


@pytest.fixture
def review(lab, open_tab):
    """The review quiz, run; what was answered before is forgotten."""
    (lab.state / "progress.json").unlink(missing_ok=True)
    tab = open_tab()
    open_notebook(tab, lab, NOTEBOOK)
    run_all(tab)
    panel(tab).wait_for()
    yield tab
    assert tab.complaints == []


def panel(tab: Tab) -> Any:
    return tab.page.locator("section.quiz").first


def button(tab: Tab, name: str) -> Any:
    return panel(tab).get_by_role("button", name=name, exact=True)


def try_again(tab: Tab, *, by_keyboard: bool = False) -> None:
    """Start over, and wait for the fresh form: what is chosen in the old one is lost."""
    again = button(tab, "Try again")
    if by_keyboard:
        again.press("Enter")
    else:
        again.click()
    again.wait_for(state="detached")


def go_to(tab: Tab, kind: str) -> questions.Question:
    """Jump to the first question of a kind."""
    place, question = next((i, q) for i, q in enumerate(QUESTIONS) if q.kind == kind)
    if not panel(tab).locator("ol.all").is_visible():
        panel(tab).get_by_text("All questions").click()
    panel(tab).get_by_role("button", name=re.compile(rf"Question {place + 1},")).click()
    panel(tab).get_by_text(f"Question {place + 1} of").wait_for()
    return question


def status(tab: Tab, words: str) -> None:
    panel(tab).get_by_role("status").get_by_text(words).first.wait_for()


def option(question: questions.Question, *, right: bool) -> questions.Option:
    return next(option for option in question.options if option.right is right)


def focused(tab: Tab) -> str:
    return str(tab.page.evaluate("document.activeElement.textContent"))


def cells(tab: Tab) -> int:
    return int(tab.page.locator(".jp-Cell").count())


def test_by_mouse_wrong_then_right_and_kept_after_a_reload(review, lab):
    question = QUESTIONS[0]
    wrong, right = option(question, right=False), option(question, right=True)
    panel(review).get_by_label(wrong.text, exact=True).check()
    button(review, "Check").click()
    status(review, "✗ Not yet.")
    status(review, wrong.feedback[:40])
    picture(review, "quiz-wrong-light")
    try_again(review)
    panel(review).get_by_label(right.text, exact=True).check()
    button(review, "Check").click()
    status(review, "✓ Right.")
    kept = json.loads((lab.state / "progress.json").read_text(encoding="utf-8"))["questions"]
    assert kept[question.id]["right"] is True
    assert kept[question.id]["tries"] == 2

    open_notebook(review, lab, NOTEBOOK)
    run_all(review)
    panel(review).get_by_text("Question 2 of").wait_for()
    button(review, "Back").click()
    status(review, "✓ Right.")
    assert panel(review).get_by_label(right.text, exact=True).is_checked()


def test_by_keyboard_alone_and_the_notebook_keeps_its_cells(review):
    page, question, before = review.page, QUESTIONS[0], cells(review)
    shown = attempt.Attempt(question).shown
    radios = panel(review).get_by_role("radio")
    radios.first.focus()
    page.keyboard.press("Space")
    for key in ("b", "a", "d", "d", "x", "y", "m"):
        page.keyboard.press(key)
    place = shown.index(option(question, right=True).text)
    for _ in range(place):
        page.keyboard.press("ArrowDown")
    assert radios.nth(place).is_checked()
    page.keyboard.press("Enter")
    status(review, "✓ Right.")
    assert focused(review) == "Next"
    page.keyboard.press("Enter")
    panel(review).get_by_text("Question 2 of").wait_for()
    assert cells(review) == before


def test_check_without_an_answer_says_what_is_missing(review):
    button(review, "Check").click()
    status(review, "Choose an answer first.")
    panel(review).get_by_role("radio").first.check()
    button(review, "Check").click()
    panel(review).get_by_text(re.compile("Right|Not yet")).first.wait_for()


def test_steps_are_put_in_order_by_buttons(review):
    question = go_to(review, "order")
    wanted = [step.text for step in question.options]
    order = attempt.Attempt(question).shown
    for target, text in enumerate(wanted):
        for _ in range(order.index(text) - target):
            panel(review).get_by_role("button", name=f"Move up: {text}", exact=True).press("Enter")
        order.remove(text)
        order.insert(target, text)
    picture(review, "quiz-order-light")
    button(review, "Check").click()
    status(review, "✓ Right.")


def test_what_is_typed_is_judged_by_enter(review):
    for kind in ("number", "gap"):
        question = go_to(review, kind)
        box = panel(review).get_by_role("textbox")
        box.fill(next(iter(question.traps)))
        box.press("Enter")
        status(review, "✗ Not yet.")
        picture(review, f"quiz-{kind}-light")
        try_again(review, by_keyboard=True)
        box = panel(review).get_by_role("textbox")
        box.fill(question.accepted[0])
        box.press("Enter")
        status(review, "✓ Right.")


def test_several_need_all_that_are_right(review):
    question = go_to(review, "several")
    rights = [option.text for option in question.options if option.right]
    panel(review).get_by_label(rights[0], exact=True).check()
    button(review, "Check").click()
    status(review, "something is still missing")
    try_again(review)
    for text in rights:
        panel(review).get_by_label(text, exact=True).check()
    button(review, "Check").click()
    status(review, "✓ Right.")


def test_the_page_holds_no_answer_before_one_is_chosen(review):
    content = review.page.content()
    question = QUESTIONS[0]
    assert question.stem in content
    said = [option.feedback for option in question.options] + [question.explanation]
    assert not [text for text in said if len(text) > 4 and text in content]


def test_the_result_names_the_sections_and_opens_them(review, lab):
    question = QUESTIONS[0]
    panel(review).get_by_label(option(question, right=False).text, exact=True).check()
    button(review, "Check").click()
    status(review, "✗ Not yet.")
    button(review, "Next").click()
    last = len(QUESTIONS)
    panel(review).get_by_text("All questions").click()
    panel(review).get_by_role("button", name=re.compile(rf"Question {last},")).click()
    panel(review).get_by_text(f"Question {last} of").wait_for()
    button(review, "See the result").click()
    panel(review).get_by_role("heading", name=f"0 of {last} right").wait_for()
    picture(review, "quiz-result-light")
    assert serious_violations(review.page, "section.quiz") == []
    panel(review).get_by_role("link", name=re.compile(question.source)).click()
    tabs = review.page.get_by_role("tab", name=re.compile("00_start_here"))
    tabs.first.wait_for()
    heading = review.page.get_by_role("heading", name=question.source).first
    heading.wait_for()


def test_the_course_map_refreshes_exports_and_resets(review, lab):
    course_map = review.page.locator("section.course-map")
    course_map.get_by_text("Next:").wait_for()
    show_in_the_middle(course_map)
    picture(review, "course-map-light")
    assert serious_violations(review.page, "section.course-map") == []
    export = course_map.get_by_role("button", name="Export my progress")
    export.click()
    course_map.get_by_label("A nickname for the file you hand in").fill("Ana B.")
    assert serious_violations(review.page, "section.course-map") == []
    picture(review, "course-map-nickname-light")
    with review.page.expect_download() as download:
        course_map.get_by_role("button", name="Export", exact=True).click()
    assert download.value.suggested_filename == "progress-ana-b.json"
    # It is asked once.
    course_map.get_by_text("Your browser has got the file").wait_for()
    with review.page.expect_download() as download:
        export.click()
    assert download.value.suggested_filename == "progress-ana-b.json"
    (lab.state / "progress.json").write_text('{"version": 1}', encoding="utf-8")
    course_map.get_by_role("button", name="Reset …").click()
    course_map.get_by_role("button", name="Forget all my progress").click()
    course_map.get_by_text("Your progress has been forgotten.").wait_for()
    assert not (lab.state / "progress.json").exists()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_serious_and_nothing_overflows(lab, open_tab, dark):
    (lab.state / "progress.json").unlink(missing_ok=True)
    tab = open_tab(dark=dark, width=700)
    lab.use_theme("JupyterLab Dark" if dark else "JupyterLab Light")
    open_notebook(tab, lab, NOTEBOOK)
    assert tab.page.evaluate("document.body.dataset.jpThemeLight") == str(not dark).lower()
    run_all(tab)
    for kind in ("one", "several", "order", "number", "gap"):
        question = go_to(tab, kind)
        assert serious_violations(tab.page, "section.quiz") == []
        answer_wrongly(tab, question)
        status(tab, "Not yet")
        assert serious_violations(tab.page, "section.quiz") == []
        picture(tab, f"quiz-{kind}-{'dark' if dark else 'light'}-narrow")
        assert not overflowing(panel(tab))
    course_map = tab.page.locator("section.course-map")
    assert serious_violations(tab.page, "section.course-map") == []
    assert not overflowing(course_map)
    show_in_the_middle(course_map)
    picture(tab, f"course-map-{'dark' if dark else 'light'}-narrow")
    assert tab.complaints == []


def answer_wrongly(tab: Tab, question: questions.Question) -> None:
    if question.kind in ("one", "several"):
        panel(tab).get_by_label(option(question, right=False).text, exact=True).check()
    elif question.kind in ("number", "gap"):
        panel(tab).get_by_role("textbox").fill(next(iter(question.traps)))
    button(tab, "Check").click()


def test_an_untrusted_clone_shows_the_questions_as_a_form(lab, open_tab):
    tab, question = open_tab(), QUESTIONS[0]
    fresh_copy(lab, trusted=False)
    open_notebook(tab, lab, NOTEBOOK)
    form = tab.page.locator(".jp-OutputArea").first
    form.get_by_text(f"{question.topic} (").click()
    form.get_by_text(question.stem).wait_for()
    picture(tab, "static-form-light")
    assert form.get_by_role("radio").count() >= len(question.options)
    assert not any(option.feedback in tab.page.content() for option in question.options[:1])


def test_a_view_without_its_kernel_says_what_to_do(lab, open_tab):
    tab, question = open_tab(), QUESTIONS[0]
    fresh_copy(lab, trusted=True)
    open_notebook(tab, lab, NOTEBOOK)
    panel(tab).get_by_label(question.options[0].text, exact=True).check()
    button(tab, "Check").click()
    status(tab, "Run this cell")
    picture(tab, "no-kernel-light")


def fresh_copy(lab: Lab, *, trusted: bool) -> None:
    """The notebook as it stands in the clone, in a Lab that has not run it."""
    lab.end_sessions()
    copy = lab.copy(NOTEBOOK)
    shutil.copy(ROOT / "notebooks" / copy.name, copy)
    notary = NotebookNotary(data_dir=str(lab.folder / "jupyter"))
    notebook = nbformat.read(copy, as_version=4)
    (notary.sign if trusted else notary.unsign)(notebook)
