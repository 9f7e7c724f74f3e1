"""The judge's arithmetic, and its question to a real model."""

from __future__ import annotations

import pytest

from helpers.base import settings
from helpers.evaluation.judge import agreement, probability_first, probability_right, report


def test_complete_agreement_and_chance():
    assert agreement([True, False], [True, False]).kappa == 1
    assert agreement([True, False, True, False], [True, True, True, True]).kappa == 0


def test_opposite_verdicts_are_worse_than_chance():
    assert agreement([True, False], [False, True]).kappa == -1


def test_unpaired_verdicts_are_refused():
    with pytest.raises(ValueError):
        agreement([True], [True, False])


def test_a_judge_gives_a_probability(client):
    for p in (
        probability_right(client, settings.BASE_MODEL, "When?", "On Monday.", "On Monday."),
        probability_first(
            client, settings.BASE_MODEL, "When?", "On Monday.", first="Monday", second="Friday"
        ),
    ):
        assert 0 <= p <= 1


def test_a_report_of_verdicts_says_where_the_judge_agrees():
    made = report([True, False, True], [0.9, 0.8, 0.2])
    assert made.column("agrees").tolist() == [1, 0, 0]
