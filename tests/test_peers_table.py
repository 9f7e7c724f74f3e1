"""The table of foreign programs: a run of some replaces their rows and keeps the others."""

from __future__ import annotations

import datetime as dt

from tests.peers import table
from tests.peers.conftest import Outcome


def test_a_run_replaces_its_own_rows_and_keeps_the_others(tmp_path):
    page = tmp_path / "docs" / "peers.md"
    first = [Outcome("llm", "0.1", ["a"]), Outcome("dspy", "3", ["a"], {"b": "said | so\nonce"})]
    table.write(page, first, dt.date(2026, 1, 1))
    table.write(page, [Outcome("llm", "0.2", ["a", "c"])], dt.date(2026, 1, 2))
    text = page.read_text(encoding="utf-8")
    assert text.startswith(table.HEAD)
    assert text.removeprefix(table.HEAD).splitlines() == [
        "| dspy | 3 | 2026-01-01 | 6 of 7 | 1 of 2 | b: said / so once |",
        "| llm | 0.2 | 2026-01-02 | 3 of 4 | 2 of 2 | – |",
    ]
