"""Choosing tokens from logits that are written down here, without any model."""

from __future__ import annotations

import json

import numpy as np
import pytest

from helpers.backend.inference.token_choice import Chooser, drawn, log_probabilities
from helpers.backend.protocol.sampling import Sampling
from helpers.base.tokens import local_tokenizer

SIZE = 49152


def logits(**likely: float) -> np.ndarray:
    """Words, and how likely they are; all others hardly at all."""
    values = np.full(SIZE, -90, np.float32)
    for word, value in likely.items():
        values[token(word)] = value
    return values


def token(word: str) -> int:
    (one,) = local_tokenizer().encode_text(word)
    return one


def chooser(prompt: tuple[int, ...] = (), limit: int = 100, **how) -> Chooser:
    return Chooser(Sampling(**how), local_tokenizer(), prompt=prompt, limit=limit)


def share(word: str, row: np.ndarray, times: int = 1000, **how) -> float:
    one = chooser(seed=1, **how)
    return sum(one.choose(row)[0] == token(word) for _ in range(times)) / times


def test_temperature_zero_takes_the_likeliest() -> None:
    assert chooser(temperature=0).choose(logits(cat=1, dog=2))[0] == token("dog")


def test_samples_come_as_often_as_they_are_likely() -> None:
    row = logits(cat=0, dog=np.log(3))
    assert share("dog", row) == pytest.approx(0.75, abs=0.03)


def test_a_temperature_flattens_or_sharpens() -> None:
    row = logits(cat=0, dog=np.log(3))
    assert share("dog", row, temperature=0.5) == pytest.approx(0.9, abs=0.02)
    assert share("dog", row, temperature=2) == pytest.approx(3**0.5 / (1 + 3**0.5), abs=0.03)


def test_the_nucleus_leaves_out_what_is_not_needed_for_it() -> None:
    row = logits(cat=np.log(0.5), dog=np.log(0.3), car=np.log(0.2))
    assert share("car", row, times=500, top_p=0.79) == 0
    assert share("car", row, top_p=0.81) == pytest.approx(0.2, abs=0.03)
    assert share("cat", row, times=200, top_p=0.1) == 1


def test_a_wide_nucleus_looks_at_as_many_tokens_as_it_takes() -> None:
    row = np.zeros(SIZE, np.float32)
    found = {chooser(seed=n, top_p=0.9).choose(row)[0] for n in range(60)}
    assert len(found) > 50


def test_a_seed_repeats_the_draws() -> None:
    row = np.zeros(SIZE, np.float32)
    draws = [[chooser(seed=s).choose(row)[0] for _ in range(3)] for s in (5, 5, 6)]
    assert draws[0] == draws[1] != draws[2]
    assert len({chooser().choose(row)[0] for _ in range(5)}) > 1


def test_rows_without_a_token_are_never_chosen_under_a_schema() -> None:
    row = np.append(logits(cat=1), np.full(100, 50, np.float32))
    assert chooser(temperature=0, json_schema={"type": "integer"}).choose(row)[0] < SIZE


def test_a_bias_is_added_and_leaves_what_is_reported_alone() -> None:
    row = logits(cat=1, dog=2)
    how = {"temperature": 0, "logprobs": 2, "logit_bias": {token("dog"): -100.0}}
    chosen, entry = chooser(**how).choose(row)
    assert chosen == token("cat")
    assert entry.top[0].token == "dog"
    assert entry.logprob == pytest.approx(-np.log(1 + np.e), abs=1e-4)


def test_penalties_count_the_last_tokens_of_prompt_and_answer() -> None:
    row = logits(cat=1, dog=1.5)
    often = chooser(prompt=(token("dog"),), temperature=0, frequency_penalty=0.4)
    words = [often.choose(row)[0] for _ in range(4)]
    assert words == [token(word) for word in ("dog", "cat", "dog", "cat")]
    once = chooser(temperature=0, presence_penalty=0.6)
    assert [once.choose(row)[0] for _ in range(3)] == [token(w) for w in ("dog", "cat", "dog")]
    short = chooser(prompt=(token("dog"), token("car")), limit=1, temperature=0, presence_penalty=2)
    assert short.choose(row)[0] == token("dog")


def test_an_answer_keeps_to_its_schema_whatever_the_model_prefers() -> None:
    schema = {
        "type": "object",
        "properties": {"size": {"enum": ["small", "large"]}, "count": {"type": "integer"}},
        "required": ["size", "count"],
        "additionalProperties": False,
    }
    one, made = chooser(seed=3, json_schema=schema), list[int]()
    rng = np.random.default_rng(0)
    ends = local_tokenizer().end_ids
    while not one.done and len(made) < 200:
        chosen, _ = one.choose(rng.normal(0, 5, SIZE).astype(np.float32))
        if chosen in ends:
            break
        made.append(chosen)
    answer = json.loads(local_tokenizer().decode(made))
    assert answer["size"] in ("small", "large")
    assert isinstance(answer["count"], int)


def test_a_draw_at_either_end_takes_nothing_that_cannot_come() -> None:
    weights = np.zeros(SIZE, np.float32)
    weights[[700, 40_000]] = 1
    assert {drawn(weights, place) for place in (0, 0.25, 0.4999)} == {700}
    assert {drawn(weights, place) for place in (0.5, 0.9, 1 - 1e-12, 1.0)} == {40_000}


def test_log_probabilities_add_up_to_one() -> None:
    rows = np.random.default_rng(0).normal(0, 10, (3, SIZE)).astype(np.float32)
    assert np.exp(log_probabilities(rows)).sum(-1) == pytest.approx([1, 1, 1], abs=1e-5)
