"""The estimate adds up what was timed; a budget takes epochs, then questions, then examples."""

from __future__ import annotations

import pytest

from helpers.capstone import training
from helpers.capstone.estimate import Pace, ProofPlan, estimate, fewer, pilot_size, rates, within
from helpers.capstone.training import Speed, TunedModel, best_epoch
from helpers.evaluation.grading import Answer
from tests.capstone.fake import Bag, FakeClient

PACE = Pace({"base": 0.5, "tuned": 0.5}, epoch=60.0, overhead=10.0)


def test_without_a_budget_everything_is_done():
    assert within(None, PACE, questions=300, epochs=5) == ProofPlan(300, 5)


@pytest.mark.parametrize("minutes", [2, 5, 10, 30])
@pytest.mark.parametrize("epoch", [5.0, 60.0, 900.0])
@pytest.mark.parametrize("question", [0.05, 0.5, 4.0])
def test_a_plan_fits_its_budget(minutes, epoch, question):
    pace = Pace({"base": question / 2, "tuned": question / 2}, epoch, overhead=10.0)
    plan = within(minutes * 60, pace, questions=300, epochs=5)
    expected = estimate(pace, plan)
    least = 5 * question + 0.02 * epoch + 10
    assert expected.seconds <= max(minutes * 60, least)
    assert plan.questions >= 5
    if plan.share < 1:
        assert plan.epochs == 1


def test_a_tight_budget_takes_epochs_before_questions():
    plan = within(300, PACE, questions=100, epochs=5)
    assert plan.epochs < 5
    assert plan.questions == 100


def test_reading_the_validation_set_is_counted_and_training_keeps_its_share_of_slow_answers():
    pace = Pace({"base": 30.0}, epoch=600.0, overhead=10.0, check=20.0)
    assert estimate(pace, ProofPlan(1, 2, share=0.5)).training == 2 * (300 + 20) + 10
    plan = within(600, pace, questions=100, epochs=3)
    assert estimate(pace, plan).training == pytest.approx(0.35 * 0.85 * 600, rel=0.01)
    assert plan.questions >= 5


def test_a_training_slower_than_promised_leaves_fewer_questions():
    plan = ProofPlan(100, 1)  # promised: 70 s of training, 1 s a question
    assert fewer(plan, PACE, left=200, trained=70).questions == 100
    assert fewer(plan, PACE, left=200, trained=30).questions == 100
    assert fewer(plan, PACE, left=90, trained=70).questions == 90
    assert fewer(plan, PACE, left=200, trained=280).questions == 50
    assert fewer(plan, PACE, left=-60, trained=280).questions == 5
    assert fewer(ProofPlan(3, 1), PACE, left=-60, trained=280).questions == 3


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
    assert pilot_size(600, 60.0, methods=3) == 2
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
    assert training.measure(FakeClient(), rows, tmp_path, model="m") == Speed(50.0, 6.0)  # type: ignore[arg-type]


def checkpoint(step, loss):
    metrics = Bag(full_valid_loss=loss)
    return Bag(step_number=step, metrics=metrics, fine_tuned_model_checkpoint=f"ft:x:{step}")


def test_the_validation_loss_picks_the_epoch():
    client = FakeClient()
    client.checkpoints = [checkpoint(30, 1.4), checkpoint(20, 1.1), checkpoint(10, 1.2)]
    job = Bag(id="ftjob-1", fine_tuned_model="ft:x")
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
    job = Bag(id="ftjob-1", fine_tuned_model="ft:x")
    found = best_epoch(client, job, 5, validated=True)  # type: ignore[arg-type]
    assert str(found).endswith("an earlier one may have been better: epochs=2 would tell")
