"""The cost explorer without a browser: what it reads, shows, and says where no kernel runs."""

from __future__ import annotations

import json

import pytest

from helpers.costs import catalog, monthly
from helpers.costs.monthly import Machine, Workload
from helpers.widgets import cost_explorer


@pytest.fixture
def panel():
    return cost_explorer.show(Workload(questions=1_000), machine=Machine(dollars=5))


def receive(panel, **message):
    """As if the browser had sent it."""
    panel._handle_custom_msg(message, [])
    return panel.screen


def row(screen, method):
    return next(row for row in screen["rows"] if row["method"] == method)


def test_a_number_that_is_typed_changes_the_bills(panel):
    before = row(panel.screen, monthly.FEW_SHOT)["hosted"]
    screen = receive(panel, do="set", name="questions", value="2,000")
    assert screen["questions"] == 2_000
    bill = monthly.hosted(monthly.FEW_SHOT, panel.load, panel.model, catalog.load())
    assert bill is not None
    assert row(screen, monthly.FEW_SHOT)["hosted"] == monthly.money(bill.total(2_000)) != before


@pytest.mark.parametrize("typed", ["", "many", "-1", "1.5", "1e99", "nan", None, [3]])
def test_what_is_no_number_is_refused_in_words_and_changes_nothing(panel, typed):
    before = panel.screen
    screen = receive(panel, do="set", name="questions", value=typed)
    assert "a whole number from 0 to 10,000,000" in screen["notice"]
    assert screen["rows"] == before["rows"]


def test_fractions_are_read_where_they_make_sense(panel):
    assert receive(panel, do="set", name="updates", value="0.5")["notice"] == ""
    assert panel.load.updates == 0.5
    assert receive(panel, do="set", name="dollars", value="0")["notice"] == ""
    assert row(panel.screen, monthly.TUNED)["here"] == "$0.00"


@pytest.mark.parametrize(
    "message", [{"do": "set", "name": "__class__", "value": 1}, {"do": "model", "value": "x"},
                {"do": "model", "value": ["a"]}, {"do": "format"}, {}]
)  # fmt: skip
def test_strange_messages_change_nothing(panel, message):
    before = {k: v for k, v in panel.screen.items() if k != "turn"}
    after = receive(panel, **message)
    assert {k: v for k, v in after.items() if k != "turn"} == before


def test_another_model_brings_its_prices_and_its_end(panel):
    screen = receive(panel, do="model", value="gpt-4o")
    assert any("training: $25.00" in line for line in screen["prices"])
    assert any(line.startswith("2027-01-14") for line in screen["prices"])
    screen = receive(panel, do="model", value="gpt-6-luna")
    assert row(screen, monthly.TUNED)["hosted"] == "not offered"
    assert "gpt-6-luna cannot be fine-tuned." in screen["prices"]


def test_every_price_that_is_used_is_shown_with_its_day(panel):
    for model in catalog.load().inference:
        lines = receive(panel, do="model", value=model)["prices"]
        assert all("checked 2026-" in line for line in lines if "$" in line)
        assert any("asking" in line for line in lines)


def test_reset_brings_the_first_numbers_back(panel):
    first = panel.screen["rows"]
    receive(panel, do="set", name="notes", value="9000")
    receive(panel, do="model", value="gpt-4o")
    screen = receive(panel, do="reset")
    assert screen["rows"] == first
    assert screen["model"] == "gpt-4.1-mini"


def test_the_ranges_cover_every_number_without_a_gap(panel):
    import re

    lines = receive(panel, do="set", name="dollars", value="60")["ranges"]
    assert len(lines) >= 2
    ends = [int(re.findall(r"[\d,]+", line.split(":")[0])[-1].replace(",", "")) for line in lines]
    starts = [int(re.findall(r"[\d,]+", line)[0].replace(",", "")) for line in lines[1:]]
    assert starts == [end + 1 for end in ends[:-1]]


def test_break_evens_agree_with_the_lowest_bill(panel):
    screen = receive(panel, do="set", name="dollars", value="1000000")
    turn = next(
        t for t in screen["turns"] if t.startswith("tuned on gpt-4.1-mini instead of few-shot")
    )
    start = next(r for r in screen["ranges"] if "tuned on gpt-4.1-mini" in r).split(" ")
    assert f"from {start[0] if start[0] != 'from' else start[1]} questions" in turn


def test_the_lowest_bill_is_marked_and_never_that_of_the_base(panel):
    rows = panel.screen["rows"]
    assert any(any(row["lowest"]) for row in rows)
    assert rows[0]["method"] == monthly.BASE
    assert not any(rows[0]["lowest"])


def test_a_screen_is_plain_json(panel):
    assert json.loads(json.dumps(panel.screen))["rows"] == panel.screen["rows"]


def test_the_static_forms_are_the_same_whatever_was_typed(panel):
    def forms():
        bundle = panel._repr_mimebundle_()
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        return data["text/plain"], data["text/html"]

    before = forms()
    receive(panel, do="set", name="questions", value="7")
    assert forms() == before
    assert before[0].startswith("Cost explorer: 1,000 questions a month")
    assert "checked 2026-" in before[1]
    assert "<caption>Dollars a month" in before[1]
