"""The bar of a long wait: there while a cell runs, and gone afterwards."""

from __future__ import annotations

import re

import pytest

from tests.browser.conftest import open_notebook, picture, rewrite

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(300)]
ASKING = """from helpers.evaluation.requests import send_all
from helpers.connection import connect

course = connect()
story = {"role": "user", "content": "Tell a story."}
body = {"model": course.chat_model, "messages": [story], "max_tokens": 30}
print(len(send_all(course.client, [body] * 60, batch=BATCH)), "replies")"""


@pytest.mark.parametrize("batch", ["False", "True"])
def test_a_cell_that_asks_much_shows_how_far_it_is(lab, open_tab, batch):
    lab.write("asking", ["None"])
    tab = open_tab()
    open_notebook(tab, lab, "asking")
    rewrite(tab, tab.page.locator(".jp-CodeCell").first, ASKING.replace("BATCH", batch))
    output = tab.page.locator(".jp-OutputArea-output")
    output.get_by_text(re.compile(r"[1-9]\d? of 60 answers")).wait_for(timeout=60_000)
    assert output.locator("progress").is_visible()
    picture(tab, f"waiting-{batch}")
    output.get_by_text("60 replies").wait_for(timeout=120_000)
    assert output.locator("progress").count() == 0
    assert "answers" not in " ".join(output.all_inner_texts())
    lab.end_sessions()
