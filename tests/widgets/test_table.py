"""The sortable table: what it hands to the page, and what stands there without one."""

from __future__ import annotations

import pandas as pd

from helpers.widgets.table import LONGEST, sortable

FRAME = pd.DataFrame({"question": ["b" * 400, "a"], "score": [0.12345, 1.0]})


def test_numbers_sort_as_numbers_and_long_texts_are_cut():
    table = sortable(FRAME).table
    assert table["numeric"] == [False, True]
    assert table["rows"][1] == ["a", 1.0]
    assert table["rows"][0][1] == 0.123
    assert len(table["rows"][0][0]) == LONGEST


def test_without_a_page_the_plain_table_stands_there():
    view = sortable(FRAME)
    bundle = view._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    assert "<table" in data["text/html"]
    assert "score" in repr(view)
