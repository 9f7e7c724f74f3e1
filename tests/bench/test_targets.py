"""The agreement of trainers, from readings made here."""

from __future__ import annotations

import json

from helpers.bench.targets import agreement, write_table


def reading(*rows):
    return frozenset((tuple(ids), tuple(targets)) for ids, targets in rows)


def test_letters_are_tokens_and_numbers_are_targets():
    plain = reading(([1, 2], [False, True]))
    all_learnt = reading(([1, 2], [True, True]))
    longer = reading(([1, 2, 3], [False, True, True]))
    made = {"a": {"x": plain}, "b": {"x": all_learnt}, "c": {"x": longer}, "d": {"x": plain}}
    assert agreement(made) == {"x": {"a": "A1", "b": "A2", "c": "B1", "d": "A1"}}


def test_a_trainer_that_read_nothing_is_left_out_of_a_case():
    made = {"a": {"x": reading(([1], [True]))}, "b": {"y": reading(([1], [True]))}}
    assert agreement(made) == {"x": {"a": "A1"}, "y": {"b": "A1"}}


def test_the_table_holds_outcomes_agreement_and_a_date(tmp_path):
    write_table(tmp_path / "t.json", {"a": {"x": "read"}}, {"x": {"a": "A1"}})
    body = json.loads((tmp_path / "t.json").read_text(encoding="utf-8"))
    assert body["targets"] == {"a": {"x": "read"}}
    assert body["agreement"] == {"x": {"a": "A1"}}
    assert len(body["date"]) == 10
