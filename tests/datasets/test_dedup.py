from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.datasets import dedup

QUESTION = "My wifi keeps dropping in the evening, what can I do about it?"
TYPOS = "my wifi keeps droping in the evenings, what can I do about it"
OTHER = "When will you refund the deposit for the old router?"


def random_texts(number: int, seed: int = 0) -> list[str]:
    draw = random.Random(seed)
    words = ["".join(draw.choices("abcdefghijklmnop", k=6)) for _ in range(500)]
    return [" ".join(draw.choices(words, k=15)) for _ in range(number)]


def test_exact_duplicates_ignore_case_spaces_and_punctuation() -> None:
    groups = dedup.exact_duplicates(["The wifi is down", "the  WiFi is down!", "A refund"])
    assert groups.labels.tolist() == [0, 0, 2]
    assert groups.members() == [[0, 1]]
    assert groups.repeated == 1


def test_texts_without_words_are_not_all_equal() -> None:
    assert dedup.exact_duplicates(["👍", "!!!", ""]).repeated == 0


def test_near_duplicates_are_found_and_others_are_not() -> None:
    groups = dedup.near_duplicates([OTHER, QUESTION, TYPOS, QUESTION.upper()])
    assert groups.members() == [[1, 2, 3]]


def test_rows_that_are_alike_through_a_third_form_one_group() -> None:
    words = [
        "we",
        "will",
        "send",
        "the",
        "engineer",
        "to",
        "your",
        "flat",
        "on",
        "the",
        "tenth",
        "of",
        "march",
        "at",
        "noon",
    ]
    chain = [" ".join(words[i : i + 11]) for i in range(4)]
    ends = (dedup.shingles(dedup.normalise(chain[i])) for i in (0, -1))
    assert dedup.jaccard(*ends) < dedup.THRESHOLD
    assert dedup.near_duplicates(chain).members() == [[0, 1, 2, 3]]


def test_nearly_all_planted_pairs_are_found_and_no_false_one() -> None:
    texts = random_texts(1000)
    copies = [" ".join([*text.split()[:-1], "changed"]) for text in texts[:300]]
    groups = dedup.near_duplicates(texts + copies)
    assert [m for m in groups.members() if m[1] - m[0] != 1000] == []
    assert groups.repeated >= 295


def test_the_same_groups_every_time() -> None:
    texts = random_texts(50) + random_texts(50)
    first, second = (dedup.near_duplicates(texts).labels for _ in range(2))
    assert np.array_equal(first, second)


def test_signature_estimates_the_similarity() -> None:
    one, other = dedup.normalise(QUESTION), dedup.normalise(TYPOS)
    true = dedup.jaccard(dedup.shingles(one), dedup.shingles(other))
    signed = dedup.signatures([one, other])
    assert float((signed[0] == signed[1]).mean()) == pytest.approx(true, abs=0.15)


@settings(max_examples=40)
@given(st.lists(st.text(max_size=20), max_size=8))
def test_any_texts_are_grouped(texts: list[str]) -> None:
    exact = dedup.exact_duplicates(texts).labels
    near = dedup.near_duplicates(texts).labels
    assert len(near) == len(texts)
    assert all(near[row] <= row and near[near[row]] == near[row] for row in range(len(texts)))
    assert all(near[row] == near[exact[row]] for row in range(len(texts)))


def test_units_are_words_and_hyphens_none() -> None:
    plain = dedup.normalise
    assert plain("Why is there a $1 charge?") != plain("Why is there a £1 charge?")
    assert plain("a fee of 5%") == plain("A fee of 5 %.") != plain("a fee of 5")
    assert plain("My top-up") == plain("my top up!")


def test_signatures_made_in_batches_are_those_of_all_texts(monkeypatch) -> None:
    texts = ["wifi", "a longer text about the wifi", "", "x" * 90, "and one more"]
    whole = dedup.signatures(texts)
    monkeypatch.setattr(dedup, "BATCH", 30)
    signing, waiting = dedup.MinHasher(), []
    for text in texts:
        signing.add(text)
        waiting.append(sum(map(len, signing._waiting)))
    assert max(waiting) < 30, "texts are held only until a batch is full"
    assert np.array_equal(signing.all(), whole)
