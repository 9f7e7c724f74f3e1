"""The bar of a long wait, as a kernel shows it."""

from __future__ import annotations

from types import SimpleNamespace

import IPython
import IPython.display
import pytest

from helpers.base.progress_bar import bar, counted


@pytest.fixture
def shown(monkeypatch):
    """What a kernel would show: the HTML of each display and update."""
    pages = []

    def display(data, *, raw, display_id=None):
        pages.append(data["text/html"])
        return SimpleNamespace(update=display)

    monkeypatch.setattr(IPython, "get_ipython", lambda: SimpleNamespace(kernel=1))
    monkeypatch.setattr(IPython.display, "display", display)
    return pages


def test_a_bar_grows_and_is_gone_at_the_end(shown):
    with counted("answers") as tell:
        tell(2, 3)
    assert [text.count("<progress") for text in shown] == [1, 1, 0]
    assert "2 of 3 answers" in shown[1]


def test_there_is_a_bar_before_the_first_is_counted_and_it_says_what_happens(shown):
    with counted("answers") as tell:
        assert "answers: none yet" in shown[-1]
        tell.now("loading <the> model")
        assert "<progress></progress> loading &lt;the&gt; model" in shown[-1]


def test_it_is_gone_after_an_error_too(shown):
    with pytest.raises(KeyboardInterrupt), counted("answers"):
        raise KeyboardInterrupt
    assert shown[-1] == ""


def test_nothing_is_shown_where_nobody_watches(shown, monkeypatch):
    monkeypatch.setenv("WORKBOOK_HEADLESS", "1")
    with counted("answers") as tell:
        tell(1, 3)
    monkeypatch.delenv("WORKBOOK_HEADLESS")
    monkeypatch.setattr(IPython, "get_ipython", lambda: None)
    with counted("answers") as tell:
        tell(1, 3)
    assert shown == []


def test_its_number_stands_beside_it_as_text():
    assert bar(1, 2, "<b>") == (
        '<label><progress max="2" value="1"></progress> 1 of 2 &lt;b&gt;</label>'
    )
