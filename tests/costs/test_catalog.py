from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from helpers.base.errors import DataError
from helpers.costs.catalog import load


def test_every_fact_has_a_day_and_a_source() -> None:
    catalog = load()
    prices = [*catalog.training.values(), *catalog.inference.values(), *catalog.embeddings.values()]
    checked = [fact.checked for fact in (*prices, *catalog.closings)]
    assert len(checked) >= 10
    assert all(fact.source and fact.checked_on >= dt.date(2026, 1, 1) for fact in checked)


def test_what_a_batch_costs_is_a_dated_fact_too() -> None:
    found = load().batches
    assert str(found).startswith("50% of the price, within 24 hours (reported by ")
    assert found.checked.checked_on >= dt.date(2026, 1, 1)


def test_reported_facts_say_so() -> None:
    price = load().chat_price("gpt-6-luna")
    assert price is not None
    assert str(price).startswith("$0.10 in, $0.50 out per 1M tokens (reported by ")


@pytest.mark.parametrize(
    ("model", "per_million"),
    [
        ("gpt-4.1-mini", 5.0),
        ("gpt-4.1-mini-2025-04-14", 5.0),
        ("gpt-4.1-2025-04-14", 25.0),
        ("ft:gpt-4o-mini-2024-07-18:org:name:id", 3.0),
    ],
)
def test_dated_and_tuned_models_cost_what_their_base_costs(model: str, per_million: float) -> None:
    price = load().training_price(model)
    assert price is not None
    assert price.per_million == per_million


def test_unknown_models_have_no_price() -> None:
    assert load().training_price("gpt-4.1-nonsense") is None
    assert load().training_price("ft:") is None


def test_what_has_closed_by_a_day() -> None:
    closed = load().closed(dt.date(2026, 11, 22))
    assert [fact.date.isoformat() for fact in closed][-1] == "2026-10-31"


def test_a_damaged_catalogue_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "catalog.json"
    for text in ("{", "[]", "{}"):
        path.write_text(text)
        with pytest.raises(DataError, match="cannot be read"):
            load(path)
