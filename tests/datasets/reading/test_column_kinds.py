from __future__ import annotations

from typing import Any

import pytest

from helpers.datasets.reading.column_kinds import LOOKED_AT, kind_of_values, kinds_of


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["2024-03-01 09:00", "2024-03-02"], "time"),
        (["Mar 12, 2024 4:40 PM", "Apr 1, 2024 9:00 AM"], "time"),
        (["1710000000", "1710000001"], "time"),
        (["00:12:33", "1:05"], "duration"),
        (["2h 5m", "3 days", "45 minutes"], "duration"),
        (["P1DT2H", "PT45M", "p3w"], "duration"),
        (["price", "price", "payment", "price", "payment", "price"], "label"),
        (["1,234.50", "€9.50", "25 %", "-3"], "number"),
        (["true", "false", "TRUE"], "flag"),
        (["Open", "Closed", "On hold"], "status"),
        (["Kim Lee", "Agent Alpha", "Al Roe"], "name"),
        (["a@example.com", "b-17", "https://example.com/x"], "id"),
        (["billing", "login", "billing", "login", "billing", "login"], "label"),
        ([[1], [2]], "list"),
        (["[1, 2]", "[3]"], "list"),
        (["", None], "empty"),
        (["Where is it?", "When?", "Where is it?"], "text"),
        (["I cannot log in.", "The invoice is wrong."], "text"),
    ],
)
def test_kinds_are_told_from_values(values: list[Any], kind: str) -> None:
    assert kind_of_values(values).kind == kind


def test_threads_of_a_long_table_are_seen_to_repeat() -> None:
    rows = [(n, {"ticket": n // 4, "id": n}) for n in range(20 * LOOKED_AT)]
    kinds = kinds_of(["ticket", "id"], rows)
    assert kinds["ticket"].repeated
    assert not kinds["id"].repeated
