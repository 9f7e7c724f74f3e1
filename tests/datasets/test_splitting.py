from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.base.errors import DataError
from helpers.datasets import dedup
from helpers.datasets.frame import asked_texts, make_table
from helpers.datasets.splitting import split


def table(rows: int, *, intents: int = 4, seed: int = 0) -> Any:
    draw = random.Random(seed)
    words = ["".join(draw.choices("abcdefghijklm", k=6)) for _ in range(400)]
    return make_table(
        {
            "question": " ".join(draw.choices(words, k=12)),
            "answer": "x",
            "intent": f"i{n % intents}",
        }
        for n in range(rows)
    )


def test_shares_are_met_in_each_intent() -> None:
    counts = split(table(200), validation=0.1, test=0.2, seed=1).counts()
    assert counts.sum().to_dict() == {"train": 140, "validation": 20, "test": 40}
    assert set(counts["test"]) == {10}
    assert set(counts["validation"]) == {5}
    topics = table(200).rename(columns={"intent": "topic"})
    named = split(topics, validation=0.1, test=0.2, seed=1, intent="topic").counts()
    assert set(named["test"]) == {10}


def test_near_duplicates_stay_together() -> None:
    rows = table(60)
    rows["question"] = [rows["question"].iloc[n - n % 3] + f" {n % 3}" for n in range(60)]
    parts = split(rows, validation=0.2, test=0.3)
    texts = [set(asked_texts(part)) for part in (parts.train, parts.validation, parts.test)]
    everything = [text for part in texts for text in part]
    groups = dedup.near_duplicates(everything).members()
    assert len(groups) == 20
    for group in groups:
        named = {next(i for i, part in enumerate(texts) if everything[n] in part) for n in group}
        assert len(named) == 1


def test_a_seed_decides_the_split() -> None:
    rows = table(50)
    first, again, other = (split(rows, seed=seed).test.index.tolist() for seed in (3, 3, 4))
    assert first == again
    assert first != other


def test_rare_intents_share_out_too() -> None:
    counts = split(table(100, intents=50), validation=0.1, test=0.2).counts()
    assert counts.sum().to_dict() == {"train": 70, "validation": 10, "test": 20}


def test_impossible_shares_are_refused() -> None:
    with pytest.raises(DataError, match="leave nothing to train on"):
        split(table(5), validation=0.5, test=0.5)


@settings(max_examples=30)
@given(st.lists(st.sampled_from(["How?", "How so", "Where is it", "When"]), max_size=12))
def test_every_row_is_in_one_part(questions: list[str]) -> None:
    rows = make_table({"question": q, "answer": "x"} for q in questions)
    parts = split(rows, validation=0.2, test=0.3)
    places = [*parts.train.index, *parts.validation.index, *parts.test.index]
    assert sorted(places) == list(range(len(questions)))
