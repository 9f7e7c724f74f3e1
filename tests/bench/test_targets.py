"""The table of outcomes, and the comparison that makes one of them, on rows made here."""

from __future__ import annotations

import json

import pytest

from helpers.backend.training.examples import chat_example
from helpers.base.tokens import local_tokenizer
from helpers.bench.targets import LINE_BREAK, OTHER, SAME, compare, write_table
from helpers.datasets.exporting.losses import tried

CHAT = [{"role": "user", "content": "When?"}, {"role": "assistant", "content": "At 9."}]


def test_the_table_holds_outcomes_and_a_date_and_keeps_the_other_targets(tmp_path):
    def table():
        return json.loads((tmp_path / "t.json").read_text(encoding="utf-8"))["targets"]

    write_table(tmp_path / "t.json", {"a": {"package": "a 1", "x": "read"}})
    assert table() == tried() | {"a": table()["a"]}
    assert len(table()["a"].pop("date")) == 10
    write_table(tmp_path / "t.json", {"b": {"package": "b 1", "x": "read"}})
    assert table()["a"] == table()["b"] | {"package": "a 1"}


@pytest.mark.parametrize(
    ("more", "change", "outcome"),
    [("", {}, SAME), ("\n", {}, LINE_BREAK), ("!", {}, OTHER), ("", {-2: False}, OTHER)],
)
def test_rows_are_the_same_token_by_token_and_target_by_target(more, change, outcome):
    ours = chat_example(1, CHAT, local_tokenizer())
    ids = [*ours.ids, *local_tokenizer().encode_text(more)]
    targets = [*ours.targets, *[True] * (len(ids) - len(ours.ids))]
    for place, learnt in change.items():
        targets[place] = learnt
    assert compare(ours, {"ids": ids, "targets": targets}) == outcome
