"""One verdict: best method, what is decided, what a lookup is worth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from helpers.capstone.baselines import FREQUENT, NEAREST
from helpers.capstone.ranking import (
    MethodPair,
    best_sentence,
    by_talk,
    lookup_sentences,
    rank,
    undecided,
)
from helpers.costs.monthly import BASE, TUNED
from helpers.evaluation.statistics import Comparison, Interval, questions_needed

RNG = np.random.default_rng(0)


def scores(**means):
    noise = RNG.normal(0, 0.05, 60)
    return {name.replace("_", " "): np.clip(mean + noise, 0, 1) for name, mean in means.items()}


def test_all_pairs_are_compared_and_p_is_corrected_for_their_number():
    given = {name: RNG.random(30) for name in "abc"}
    found = rank(given, yardstick="facts")
    assert len(found.pairs) == 3
    for pair in found.pairs:
        gaps = given[pair.better] - given[pair.worse]
        assert pair.needed == questions_needed(gaps, comparisons=3)
    assert all(pair.p >= pair.comparison.p for pair in found.pairs)
    assert any(pair.p > pair.comparison.p for pair in found.pairs)
    assert all(pair.comparison.difference.mean >= -0.01 for pair in found.pairs)


@pytest.mark.parametrize(
    ("needed", "enough"), [(None, 0), (30, 51), (51, 51), (90, 90), (1234, 1300)]
)
def test_more_questions_than_were_asked_are_named_where_these_decided_nothing(needed, enough):
    gap = Comparison(Interval(0.1, -0.1, 0.3, 40), 0.2)
    pair = MethodPair("a", "b", gap, 0.2, needed)
    assert pair.enough == enough
    assert not pair.decided
    assert not replace(pair, p=0.05).decided
    assert replace(pair, p=0.049).decided


def test_of_equal_methods_the_simplest_is_best():
    same = np.full(20, 0.47)
    found = rank({TUNED: same + 0.004, NEAREST: same}, yardstick="facts")
    assert found.best == NEAREST
    assert lookup_sentences(found)[0].startswith("A lookup does as well")


def test_a_lookup_that_is_far_behind_is_said_to_be():
    noise = RNG.normal(0, 0.1, 60)
    found = rank({TUNED: 0.8 + noise, NEAREST: 0.3 - noise, FREQUENT: 0 * noise}, yardstick="facts")
    assert found.best == TUNED
    assert found.pair(TUNED, NEAREST).decided
    assert lookup_sentences(found)[0].startswith("No lookup does as well: tuned beats")
    assert undecided(found) == []


def test_what_few_questions_cannot_decide_comes_with_the_number_that_could():
    gap = np.array([1.0, 0, 1, 0, 0, 1])
    found = rank({BASE: np.zeros(6), TUNED: gap, NEAREST: np.zeros(6)}, yardstick="facts")
    pair = found.pair(BASE, TUNED)
    assert not pair.decided
    assert pair.needed is not None
    assert pair.needed > 6
    assert "it would take about" in undecided(found)[0]
    assert "not decided" in str(pair)
    assert "0.000" not in str(pair)
    assert lookup_sentences(found)[0].endswith("a lookup (nearest past answer) is not decided.")


def test_answers_of_one_conversation_count_once():
    found = by_talk(np.array([1.0, 0.0, np.nan, 0.5, np.nan]), [1, 1, 2, 3, 3])
    assert found[0] == 0.5
    assert np.isnan(found[1])
    assert found[2] == 0.5


def test_questions_without_a_score_are_left_out_of_means_and_tests():
    one = np.array([1.0, np.nan, 0.0, 1.0])
    found = rank({BASE: one, TUNED: np.array([1.0, np.nan, 1.0, 1.0])}, yardstick="facts")
    assert found.questions == 3
    assert found.means[BASE].mean == pytest.approx(2 / 3)


def test_more_questions_are_named_where_these_did_not_decide():
    gap = np.array([1.0] * 6)
    names = [f"m{place}" for place in range(9)]
    found = rank({BASE: gap * 0, **dict.fromkeys(names, gap)}, yardstick="facts")
    pair = found.pair(BASE, "m0")
    assert not pair.decided
    assert pair.remedy.startswith("it would take about ")
    assert int(pair.remedy.split()[4]) > 6


def test_where_every_score_is_nil_no_method_is_called_best():
    nil = np.zeros(20)
    found = rank({BASE: nil, TUNED: nil, NEAREST: nil, FREQUENT: nil}, yardstick="facts")
    assert found.nothing
    said = best_sentence(found)
    assert said == "None is best: no method has more than facts 0.00 on 20 held-out questions."
    assert lookup_sentences(found) == undecided(found) == []
    assert not rank({BASE: nil, TUNED: nil + 0.02}, yardstick="facts").nothing
