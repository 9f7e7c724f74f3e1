"""The estimate adds up what was timed; a budget takes epochs, then questions, then examples."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from helpers.capstone import training
from helpers.capstone.estimate import (
    Pace,
    ProofPlan,
    duration,
    estimate,
    pilot_size,
    rates,
    within,
)
from helpers.capstone.training import Speed, TrainingRecipe, TunedModel, Watch, best_epoch
from helpers.evaluation.grading import Answer
from tests.capstone.fake import Bag, FakeClient

PACE = Pace({"base": 0.5, "tuned": 0.5}, epoch=60.0, overhead=10.0)


def test_without_a_budget_everything_is_done():
    assert within(None, PACE, questions=300, epochs=5) == ProofPlan(300, 5)


@pytest.mark.parametrize("minutes", [2, 5, 10, 30])
@pytest.mark.parametrize("epoch", [5.0, 60.0, 900.0])
@pytest.mark.parametrize("question", [0.05, 0.5, 4.0])
def test_a_plan_fits_its_budget(minutes, epoch, question):
    asking = {"base": question / 2, "tuned": question / 2}
    pace = Pace(asking, epoch, overhead=10.0, look=epoch / 100, rows=500, rest=15.0)
    plan = within(minutes * 60, pace, questions=300, epochs=5)
    expected = estimate(pace, plan)
    least = 5 * question + 10 / 500 * epoch * 1.02 + 10 + 15
    assert expected.seconds <= max(minutes * 60, least)
    assert plan.questions >= 5
    if plan.share < 1:
        assert plan.epochs == 1


def test_a_tight_budget_takes_epochs_before_questions():
    plan = within(300, PACE, questions=100, epochs=5)
    assert plan.epochs < 5
    assert plan.questions == 100


def test_an_estimate_is_the_sum_of_what_was_measured():
    pace = replace(PACE, grading=0.5, rows=80, rest=7.0)
    assert pace.step == 6.0
    found = estimate(pace, ProofPlan(20, 2))
    assert (found.asking, found.training) == (20 * 1.5 + 7.0, 2 * 60.0 + 10.0)
    assert found.seconds == 20 * 1.5 + 7.0 + 130.0
    assert estimate(replace(pace, epoch=None), ProofPlan(20, 2)).seconds == 37.0


def test_thirty_questions_come_before_more_training_and_no_more_than_that():
    plan = within(600, replace(PACE, asking={"base": 8.0}), questions=100, epochs=20)
    assert plan == ProofPlan(32, 4)


@pytest.mark.parametrize(
    ("seconds", "said"), [(99, "99 s"), (100, "2 min"), (5399, "90 min"), (5400, "1.5 h")]
)
def test_a_time_is_said_in_the_unit_that_fits(seconds, said):
    assert duration(seconds) == said


def test_reading_the_validation_set_is_counted_and_training_keeps_its_share_of_slow_answers():
    pace = Pace({"base": 30.0}, epoch=600.0, overhead=10.0, check=20.0)
    assert estimate(pace, ProofPlan(1, 2, share=0.5)).training == 2 * (300 + 20) + 10
    plan = within(600, pace, questions=100, epochs=3)
    assert estimate(pace, plan).training == pytest.approx(0.35 * 0.85 * 600, rel=0.01)
    assert plan.questions >= 5


def test_looks_between_the_epochs_and_what_comes_but_once_are_counted():
    pace = Pace({"base": 1.0}, epoch=100.0, overhead=10.0, check=5.0, look=2.0, rows=80, rest=30.0)
    # 10 steps an epoch, a look at each fourth; of a long job there are no more than 12.
    assert estimate(pace, ProofPlan(20, 2)).training == 2 * 105 + 20 / 4 * 2 + 10
    assert estimate(pace, ProofPlan(20, 9)).training == 9 * 105 + 12 * 2 + 10
    assert estimate(pace, ProofPlan(20, 2)).asking == 20 + 30


def test_a_large_table_trains_no_fewer_rows_than_a_job_takes_and_no_more_than_fit():
    pace = Pace({"base": 0.1}, epoch=40_000.0, overhead=10.0, rows=20_000)
    plan = within(600, pace, questions=100, epochs=5)
    assert 10 / 20_000 < plan.share < 600 / 40_000
    slow = replace(pace, epoch=4_000_000.0)
    assert within(600, slow, questions=100, epochs=5).share == 10 / 20_000


def test_what_was_answered_while_timing_is_not_counted_again():
    whole = estimate(PACE, ProofPlan(20, 1))
    rest = estimate(PACE, ProofPlan(20, 1), asked=9, timed=["base"])
    assert whole.asking - rest.asking == pytest.approx(9 * 0.5)
    assert rest.training == 70


def test_one_is_said_as_one():
    assert "(1 epoch)" in str(estimate(PACE, ProofPlan(20, 1)))
    assert "(2 epochs)" in str(estimate(PACE, ProofPlan(20, 2)))
    assert str(TunedModel("ftjob-1", "ft:x", 1, 1)).startswith("trained for 1 epoch,")
    assert str(TunedModel("j", "ft:x", 1, 1, 3, ((1, 0.5),))).startswith("trained for 1 epoch;")


def test_reading_and_writing_are_told_apart():
    def run(read, written):
        return [Answer("a", "", read, written, None)], 0.002 * read + 0.01 * written

    read, write = rates([run(100, 50), run(900, 40), run(500, 10)])
    assert (read, write) == pytest.approx((0.002, 0.01))


@pytest.mark.parametrize("seconds", [[1.0, 9.0, 0.1], [5.0, 0.2, 9.0], [0.0, 0.0, 0.0]])
def test_no_token_takes_less_than_no_time(seconds):
    from scipy.optimize import nnls

    counts = [(100, 50), (900, 40), (10, 300)]
    runs = [([Answer("a", "", *n, None)], s) for n, s in zip(counts, seconds, strict=True)]
    assert rates(runs) == pytest.approx(tuple(nnls(counts, seconds)[0]))


def test_measuring_takes_a_small_part_of_a_budget_however_slow_the_machine_is():
    assert pilot_size(600, 0.5, methods=3) == 40
    assert pilot_size(600, 5.0, methods=3) == 4
    assert pilot_size(600, 60.0, methods=3) == 1
    assert pilot_size(600, 0.0, methods=3) > 100


def test_what_a_job_waited_behind_others_is_no_part_of_the_pace(tmp_path, monkeypatch):
    clock = [0.0]

    def passing(seconds, result):
        def call(*_, **__):
            clock[0] += seconds
            return result

        return call

    job = Bag(id="ftjob-1", status="succeeded", fine_tuned_model=None, trained_tokens=100)
    monkeypatch.setattr(training, "time", Bag(monotonic=lambda: clock[0]))
    monkeypatch.setattr(training, "fine_tune", passing(1, Bag(job=job)))
    monkeypatch.setattr(training, "wait_for_turn", passing(600, 600.0))
    monkeypatch.setattr(training, "wait", passing(7, job))
    monkeypatch.setattr(training, "measured_rate", lambda: 50.0)
    rows = [{"messages": []}] * 12
    found = training.measure(FakeClient(), rows, tmp_path, TrainingRecipe("m", 5, 1), most=24)  # type: ignore[arg-type]
    assert found == Speed(50.0, 6.0)


def checkpoint(step, loss):
    metrics = Bag(full_valid_loss=loss)
    return Bag(step_number=step, metrics=metrics, fine_tuned_model_checkpoint=f"ft:x:{step}")


def test_the_validation_loss_picks_the_epoch():
    client = FakeClient()
    client.checkpoints = [checkpoint(30, 1.4), checkpoint(20, 1.1), checkpoint(10, 1.2)]
    job = Bag(id="ftjob-1", fine_tuned_model="ft:x", status="succeeded")
    found = best_epoch(client, job, 3, validated=True)  # type: ignore[arg-type]
    assert (found.model, found.epoch, found.step) == ("ft:x:20", 2, 20)
    assert "picks epoch 2" in str(found)
    assert "may have been better" not in str(found)
    assert best_epoch(client, job, 3, validated=False).model == "ft:x"  # type: ignore[arg-type]
    client.checkpoints[0] = checkpoint(30, 0.9)
    assert best_epoch(client, job, 3, validated=True).model == "ft:x"  # type: ignore[arg-type]


def test_where_the_first_kept_epoch_is_the_best_an_earlier_one_is_named():
    client = FakeClient()
    client.checkpoints = [checkpoint(30, 1.1), checkpoint(40, 1.2), checkpoint(50, 1.4)]
    job = Bag(id="ftjob-1", fine_tuned_model="ft:x", status="succeeded")
    found = best_epoch(client, job, 5, validated=True)  # type: ignore[arg-type]
    assert str(found).endswith("an earlier one may have been better: epochs=2 would tell")


def test_of_a_job_that_a_budget_ended_the_best_epoch_so_far_is_taken():
    client = FakeClient()
    client.checkpoints = [checkpoint(20, 1.4), checkpoint(10, 1.2)]
    job = Bag(id="ftjob-1", fine_tuned_model=None, status="cancelled")
    found = best_epoch(client, job, 5, validated=True)  # type: ignore[arg-type]
    assert (found.model, found.epoch, found.step, found.ended) == ("ft:x:10", 1, 10, 2)
    assert str(found).startswith("trained for 2 of 5 epochs, ended for the budget; ")
    found = best_epoch(client, job, 5, validated=False)  # type: ignore[arg-type]
    assert (found.model, found.epoch) == ("ft:x:20", 2)


def test_a_job_ends_at_its_moment_or_as_soon_as_no_epoch_can_end_by_then(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(training, "time", Bag(monotonic=lambda: clock[0]))

    def ends(until, steps, epochs=2, check_steps=0.0, hangs_at=math.inf):
        """When it says so, of 20 steps of which the first takes 30 s and each other one 5 s."""
        watch = Watch(until, epochs, check_steps)
        for second in range(500):
            clock[0] = float(second)
            step = 0 if second < 30 else min(1 + (second - 30) // 5, steps, hangs_at)
            if watch(step, steps):
                return second, watch.pace
        return None, watch.pace

    # An epoch ends at 75 s.
    assert ends(100, 20) == (101, 5.0)
    assert ends(80, 20) == (81, 5.0)
    # Too late by less than the slack; with the epoch's last step its checkpoint is written.
    assert ends(72, 20) == (80, 5.0)
    # Reading the validation set takes as long as four steps, after the epoch.
    assert ends(80, 20, check_steps=4) == (45, 5.0)
    assert ends(100, 20, check_steps=4) == (101, 5.0)
    assert ends(60, 20) == (45, 5.0)
    assert ends(20, 20) == (21, 0.0)
    # Four steps would end in time, if the one under way did.
    assert ends(200, 20, hangs_at=6) == (211, 5.0)
    # Too short for a pace, and begun: it goes on, and after its last step it ends by itself.
    assert ends(32, 2, epochs=1) == (None, 0.0)
