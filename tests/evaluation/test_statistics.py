"""Corrections, sizes and intervals against values worked out by hand or by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.base.errors import DataError
from helpers.evaluation import statistics
from helpers.evaluation.statistics import bootstrap, compare, holm, p_text, questions_needed


def test_holm_steps_down_and_never_orders_the_other_way():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_holm_keeps_false_alarms_rare_where_plain_tests_do_not():
    rng = np.random.default_rng(1)
    draws = rng.random((2000, 20))
    assert (draws.min(axis=1) < 0.05).mean() > 0.5
    assert np.mean([min(holm(list(ps))) < 0.05 for ps in draws]) < 0.07


def test_a_p_value_is_never_printed_as_zero():
    assert p_text(0.0001) == "p < 0.001"
    assert p_text(0.0004) == "p < 0.001"
    assert p_text(0.012) == "p = 0.012"


def test_the_number_of_questions_is_one_at_which_most_studies_find_the_difference():
    rng = np.random.default_rng(0)
    gap = rng.normal(0.2, 0.5, 4000)
    n = questions_needed(gap)
    assert n is not None
    found = [compare(np.zeros(n), rng.normal(0.2, 0.5, n), draws=500).p < 0.05 for _ in range(150)]
    assert 0.68 < np.mean(found) < 0.92
    more = questions_needed(gap, comparisons=20)
    assert more is not None
    assert more > n


def test_no_number_of_questions_shows_a_difference_that_is_not_there():
    assert questions_needed([0.0, 0.0, 0.0]) is None
    assert questions_needed([1.0, -1.0]) is None
    # A sign-flip test of two equal differences cannot go below one in two.
    assert questions_needed([1.0, 1.0]) == 6


def test_signs_drawn_in_parts_give_the_same_kind_of_p(monkeypatch):
    rng = np.random.default_rng(2)
    a, b = rng.normal(0, 1, 50), rng.normal(0.3, 1, 50)
    whole = compare(a, b).p
    monkeypatch.setattr(statistics, "SIGNS_AT_ONCE", 1000)
    assert compare(a, b).p == pytest.approx(whole, abs=0.02)


def test_the_bootstrap_of_a_mean_is_its_interval():
    values = np.random.default_rng(0).random(80)
    found = bootstrap(lambda places: float(values[places].mean()), 80)
    assert found.mean == pytest.approx(values.mean())
    assert found.low < found.mean < found.high
    assert found.high - found.low == pytest.approx(4 * values.std() / 80**0.5, rel=0.2)
    with pytest.raises(DataError):
        bootstrap(lambda places: 0.0, 0)
