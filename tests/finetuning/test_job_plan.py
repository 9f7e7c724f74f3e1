from __future__ import annotations

from pathlib import Path

import pytest

from helpers.backend.training.hyperparameters import resolve
from helpers.backend.training.spec import RATE, write_rate
from helpers.base import settings
from helpers.base.errors import CourseError
from helpers.datasets.validation.report import TokenLengths
from helpers.finetuning.job_plan import approve, make_plan, measured_rate

LENGTHS = TokenLengths({100: 50})


def test_price_is_tokens_times_epochs_times_price() -> None:
    plan = make_plan(50, LENGTHS, model="gpt-4.1-mini")
    assert (plan.tokens, plan.n_epochs, plan.trained_tokens) == (5000, 3, 15_000)
    assert plan.dollars == pytest.approx(0.075)
    assert "$0.075 at $5.00 per 1M tokens" in str(plan)
    assert "checked 2026" in str(plan)


def test_what_the_service_cuts_off_is_not_counted() -> None:
    plan = make_plan(1, TokenLengths({100_000: 1}), model="gpt-4.1", n_epochs=1)
    assert plan.tokens == 65_536


def test_the_local_model_is_free_and_takes_time() -> None:
    plan = make_plan(50, LENGTHS, tokens_per_second=150)
    assert plan.dollars == 0
    assert plan.seconds == 100
    assert "about 100 s on this machine" in str(plan)
    assert approve(plan, cap=0, yes=False) is plan
    assert make_plan(50, LENGTHS, model=f"ft:{settings.BASE_MODEL}:me::1").local


def test_a_paid_job_needs_price_cap_and_yes() -> None:
    plan = make_plan(50, LENGTHS, model="gpt-4.1", n_epochs=8)
    with pytest.raises(CourseError, match=r"costs \$1\.00, more than the cap of \$0\.500"):
        approve(plan, cap=0.5, yes=True)
    with pytest.raises(CourseError, match="nobody has agreed"):
        approve(plan, cap=2, yes=False)
    assert approve(plan, cap=2, yes=True) is plan
    with pytest.raises(CourseError, match="no training price is known for gpt-9"):
        approve(make_plan(50, LENGTHS, model="gpt-9"), cap=100, yes=True)


def test_automatic_epochs_are_those_of_the_server() -> None:
    for examples in (1, 5, 12, 33, 34, 100, 9000, 100_000):
        assert make_plan(examples, LENGTHS).n_epochs == resolve(examples).n_epochs


def test_the_rate_is_that_of_the_job_that_finished_last(tmp_path: Path) -> None:
    assert measured_rate(tmp_path) is None
    write_rate(tmp_path, tokens=1000, seconds=10.0)
    write_rate(tmp_path, tokens=1500, seconds=10.0)
    write_rate(tmp_path, tokens=0, seconds=0.0)
    assert measured_rate(tmp_path) == 150
    (tmp_path / RATE).write_text("{broken")
    assert measured_rate(tmp_path) is None
