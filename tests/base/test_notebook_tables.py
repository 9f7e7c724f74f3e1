"""A table's texts are whole in a notebook, unless somebody chose otherwise."""

from __future__ import annotations

import sys

import pandas as pd
import pytest

from helpers.base import notebook_tables


@pytest.fixture(autouse=True)
def as_before():
    with pd.option_context("display.max_colwidth", notebook_tables.CUT_BY_DEFAULT):
        yield


def test_a_long_text_is_shown_whole():
    text = ", ".join(["a long sentence of the desk"] * 5)
    table = pd.DataFrame({"said": [text]})
    assert "..." in table._repr_html_()
    notebook_tables.widen()
    assert text in table._repr_html_()


def test_what_a_reader_chose_stays():
    pd.set_option("display.max_colwidth", 20)
    notebook_tables.widen()
    assert pd.get_option("display.max_colwidth") == 20


def test_without_pandas_nothing_is_loaded(monkeypatch):
    monkeypatch.delitem(sys.modules, "pandas")
    notebook_tables.widen()
    assert "pandas" not in sys.modules
