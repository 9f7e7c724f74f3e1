"""Two servers in turns: what is compared, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from helpers.base.errors import CourseError
from helpers.bench import against
from tests.places import ROOT


@pytest.mark.parametrize(
    ("unit", "ours", "theirs", "ratio", "holds"),
    [
        ("tokens/s", [400, 410, 90], [100, 100, 100], 4.0, True),
        ("tokens/s", [390, 410, 90], [100, 100, 100], 3.9, False),
        ("s", [1.0, 9.0, 1.0], [4.0, 4.0, 4.0], 4.0, True),
    ],
)
def test_the_medians_of_rounds_in_turns_are_compared(monkeypatch, unit, ours, theirs, ratio, holds):
    order, values = [], {"ours": iter(ours), "theirs": iter(theirs)}

    def measure(client):
        order.append(client.name)
        return next(values[client.name])

    wanted = replace(against.MEASUREMENTS["one-stream"], unit=unit, aim=4, measure=measure)
    monkeypatch.setitem(against.MEASUREMENTS, "one-stream", wanted)
    monkeypatch.setattr(against, "chat", lambda client, tokens: None)
    monkeypatch.setattr(against, "QUIET_SECONDS", 0)
    clients = [SimpleNamespace(name=name) for name in values]
    row = against.row("one-stream", *clients)
    assert order == ["ours", "theirs"] * 3
    assert (row.ratio, row.holds) == (pytest.approx(ratio), holds)


def test_what_is_no_checkout_and_what_is_no_row_is_said(tmp_path):
    with pytest.raises(CourseError, match="no checkout"):
        list(against.rows(ROOT, tmp_path, []))
    with pytest.raises(CourseError, match=r"no row nothing.*one-stream"):
        list(against.rows(ROOT, ROOT, ["nothing"]))


@pytest.mark.slow
def test_each_server_has_a_state_folder_of_its_own(monkeypatch):
    monkeypatch.setenv("WORKBOOK_ENGINE", "llama.cpp")
    with against.two_servers(ROOT, ROOT) as clients:
        first = clients[0].files.create(file=("a.jsonl", b"{}\n"), purpose="user_data")
        assert [one.id for one in clients[0].files.list()] == [first.id]
        assert list(clients[1].files.list()) == []
