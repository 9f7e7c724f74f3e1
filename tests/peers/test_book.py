"""The book as Jupyter Book builds it: pages, search, both themes, static widgets."""

from __future__ import annotations

import subprocess
import sys

import pytest

from helpers.course.chapters import CHAPTERS
from tests.places import ROOT

pytestmark = [pytest.mark.peers, pytest.mark.slow, pytest.mark.timeout(900)]


def test_the_book_is_built_from_the_stored_outputs(tmp_path):
    out = tmp_path / "site"
    command = [sys.executable, str(ROOT / ".ci" / "book.py"), str(out)]
    subprocess.run(command, check=True, timeout=800)
    pages = {c.number: out / "notebooks" / f"{c.path.stem}.html" for c in CHAPTERS.values()}
    texts = {number: page.read_text(encoding="utf-8") for number, page in pages.items()}
    assert "<fieldset>" in texts["08"]
    assert all('aria-label="Course map"' in text for text in texts.values())
    assert all("theme-switch-button" in text for text in texts.values())
    assert (out / "searchindex.js").stat().st_size > 100_000
    assert all("book.css" in text for text in texts.values())
    assert "Loading widget" not in "".join(texts.values())
    # A page that holds two of them opens neither in a narrow window.
    assert {text.count("sidebar-toggle primary-toggle") for text in texts.values()} == {1}
