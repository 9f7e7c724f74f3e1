"""The review quiz as `python3 -m helpers quiz` serves it: a page of the quiz alone."""

from __future__ import annotations

import argparse
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.cli import lab as lab_verb
from helpers.cli import quiz as quiz_verb
from helpers.course.quiz import questions
from tests.browser.conftest import ROOT, end, free_port, picture, serious_violations, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture
def served(chromium: str, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Address and state folder of a running quiz."""
    port, state = free_port(), tmp_path / "state"
    state.mkdir()
    words = quiz_verb.command(ROOT, argparse.Namespace(port=port, no_browser=True))
    environment = {
        **lab_verb.environment(ROOT),
        "WORKBOOK_STATE": str(state),
        "PYTHONPATH": str(ROOT),
        "JUPYTER_DATA_DIR": str(tmp_path / "data"),
    }
    environment.pop("MPLBACKEND", None)
    with (tmp_path / "voila.log").open("wb") as log:
        process = subprocess.Popen(words, env=environment, stdout=log, stderr=log)
        try:
            wait_for(f"http://localhost:{port}/voila/static/favicon.ico")
            yield f"http://localhost:{port}/", state
        finally:
            end(process)


def test_the_quiz_is_answered_on_a_page_that_shows_no_code(served, open_tab):
    address, state = served
    tab = open_tab(width=900)
    tab.page.goto(address)
    panel = tab.page.locator("section.quiz").first
    panel.wait_for()
    said = tab.page.inner_text("body")
    assert "quiz.review(" not in said
    assert "Run this cell" not in said
    assert "leader" not in said.lower()
    assert tab.page.locator("section").count() == 1
    assert not (state / "progress.json").exists()

    question = next(iter(questions.load().values()))
    wrong = next(option for option in question.options if not option.right)
    panel.get_by_label(wrong.text, exact=True).check()
    panel.get_by_role("button", name="Check", exact=True).click()
    panel.get_by_role("status").get_by_text(wrong.feedback[:40]).wait_for()
    kept = json.loads((state / "progress.json").read_text(encoding="utf-8"))["questions"]
    assert kept[question.id]["right"] is False
    # Other notebooks are not served here: what to read again stands there in words.
    assert panel.get_by_text(question.source).is_visible()
    assert panel.get_by_role("link").count() == 0
    picture(tab, "quiz-voila")
    assert serious_violations(tab.page, "section.quiz") == []
    assert tab.complaints == []
