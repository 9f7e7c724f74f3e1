from __future__ import annotations

import json
from pathlib import Path

import pytest

from helpers.backend.training import hyperparameters
from helpers.base import settings
from helpers.base.errors import CourseError
from helpers.datasets.validation.report import TokenLengths
from helpers.finetuning.job_plan import approve, auto_epochs, make_plan, measured_rate

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


@pytest.mark.parametrize(
    ("examples", "epochs"),
    [(0, 3), (1, 25), (10, 10), (33, 3), (34, 3), (8333, 3), (8334, 2), (30_000, 1)],
)
def test_automatic_epochs(examples: int, epochs: int) -> None:
    assert auto_epochs(examples) == epochs


def test_the_server_uses_the_same_rule() -> None:
    for examples in (1, 5, 12, 33, 34, 100, 9000, 100_000):
        assert auto_epochs(examples) == hyperparameters.auto_epochs(examples)


def test_the_rate_comes_from_the_newest_finished_job(tmp_path: Path) -> None:
    assert measured_rate(tmp_path) is None
    events = [
        {"type": "step", "seconds": 4.0},
        {"type": "step", "seconds": 10.0},
        {"type": "done", "trained_tokens": 1500},
    ]
    for name, kept in (("one", events), ("two", events[:2])):
        folder = tmp_path / "jobs" / name
        folder.mkdir(parents=True)
        text = "\n".join(map(json.dumps, kept)) + '\n{"broken'
        (folder / "progress.jsonl").write_text(text)
    assert measured_rate(tmp_path) == 150
