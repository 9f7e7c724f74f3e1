"""A proof with a budget ends in time by its own rules, whatever the machine promised before."""

from __future__ import annotations

import math
import random
import re
import threading
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace as Bag
from typing import Any

import numpy as np
import pytest

from helpers.base.errors import CourseError
from helpers.base.tokens import local_tokenizer
from helpers.capstone import (
    budget,
    embeddable,
    experiment,
    lookup,
    pilot,
    table,
    takeaway,
    training,
)
from helpers.capstone.budget import Budget
from helpers.capstone.estimate import FINISHING, Pace, ProofPlan, within
from helpers.capstone.table import TableOptions, read_table
from helpers.connection import Connection
from helpers.costs.monthly import BASE
from helpers.evaluation import requests
from helpers.finetuning import jobs
from helpers.rag.documents import Article
from tests.capstone.fake import FakeClient

MINUTES = 10.0
START = 10.0
"""Seconds that a trainer takes before its first step."""


class Clock:
    """Goes on only where somebody works or waits."""

    def __init__(self) -> None:
        self.now, self._lock = 0.0, threading.Lock()

    def monotonic(self) -> float:
        return self.now

    perf_counter = monotonic

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.now += seconds


class Machine(FakeClient):
    """Answers and trains at a pace of its own; what comes after the measuring may be slower."""

    def __init__(
        self,
        clock: Clock,
        *,
        answer: float,
        step: float,
        slower: float,
        embed: float,
        free: Sequence[float],
    ) -> None:
        super().__init__()
        self._clock, self._seconds, self._step, self._slower = clock, answer, step, slower
        self._embedding, self._free = embed, free
        self.jobs: list[Any] = []
        made = self.fine_tuning.jobs
        made.retrieve, made.cancel = self._at, self._cancel
        made.list_events = lambda job_id, limit: Bag(data=[self._event(self._at(job_id))])
        made.checkpoints.list = lambda job_id: self._kept(self._at(job_id))
        self.models.retrieve = lambda name: Bag(id=name)

    def _embed(self, model, input):
        self._clock.sleep(self._embedding * len(input))
        return super()._embed(model, input)

    def _answer(self, model, messages, **given):
        answer = super()._answer(model, messages, **given)
        count = local_tokenizer().count
        written = count(answer.choices[0].message.content)
        read = sum(count(message["content"]) for message in messages)
        answer.usage = Bag(prompt_tokens=read, completion_tokens=written)
        tuned = model.startswith("ft:")
        tokens = (read / 20 + written) / 20
        self._clock.sleep(self._seconds * tokens * (self._slower if tuned else 1))
        return answer

    def _keep(self, file):
        super()._keep(file)
        return Bag(id=str(len(self.uploads) - 1))

    def _train(self, **given):
        learnt = self.uploads[int(given["training_file"])]
        rows = len(learnt)
        epochs = given["method"]["supervised"]["hyperparameters"]["n_epochs"]
        # The first job is the one that measures.
        slower = self._slower if self.jobs else 1
        steps = math.ceil(rows / 8)
        # Jobs of others are over then.
        turn = max([self._clock.now, *self._free[len(self.jobs) :][:1]])
        job = Bag(
            id=f"ftjob-{len(self.jobs)}", rows=rows, epochs=epochs, per_epoch=steps, over=None,
            step=self._step * slower, turn=turn, begun=turn + START,
            trained_tokens=training.tokens_of(learnt),
        )  # fmt: skip
        self.jobs.append(job)
        return self._at(job.id)

    def rate(self):
        """Tokens a second of the job that ended last."""
        job = self.jobs[-1]
        return job.trained_tokens / (job.per_epoch * job.step)

    def _steps(self, job):
        until = self._clock.now if job.over is None else job.over
        done = int(max(0.0, until - job.begun) / job.step)
        return min(done, job.per_epoch * job.epochs)

    def _at(self, job_id):
        job = self.jobs[int(job_id.split("-")[1])]
        whole = self._steps(job) == job.per_epoch * job.epochs
        going = "queued" if self._clock.now < job.turn else "running"
        job.status = "succeeded" if whole else going if job.over is None else "cancelled"
        job.fine_tuned_model = f"ft:{job.id}" if whole else None
        job.error = None
        return job

    def _cancel(self, job_id):
        job = self.jobs[int(job_id.split("-")[1])]
        job.over = self._clock.now

    def _event(self, job):
        return Bag(data={"step": self._steps(job), "total_steps": job.per_epoch * job.epochs})

    def _kept(self, job):
        ends = range(job.per_epoch, self._steps(job) + 1, job.per_epoch)
        return [
            Bag(
                step_number=step,
                metrics=Bag(full_valid_loss=1.0),
                fine_tuned_model_checkpoint=f"ft:{job.id}:{step}",
            )
            for step in ends
        ]


@pytest.mark.parametrize(("grading", "asked"), [(0.0, 108), (4.0, 60)])
def test_time_is_left_to_grade_what_was_asked(monkeypatch, grading, asked):
    clock = Clock()
    monkeypatch.setattr(budget, "time", clock)
    told = []

    def ask(number):
        clock.sleep(5.0 * (number - max([8, *told])))
        told.append(number)

    pace = Pace({"base": 2.0, "tuned": 3.0}, epoch=60.0, rows=80, grading=grading)
    limit = Budget(pace, asked=8, end=510.0)
    assert limit.rounds(ask, ProofPlan(300, 1), most=300) == asked
    assert clock.now + grading * asked <= 500


def test_a_first_round_that_is_slow_makes_the_next_one_small(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(budget, "time", clock)
    told = []

    def ask(number):
        # The tuned model takes twice the time that was promised for the pilot's 8 questions.
        clock.sleep(5.0 * (number - told[-1]) if told else 2 * 3.0 * 8)
        told.append(number)

    pace = Pace({"base": 2.0, "tuned": 3.0}, epoch=60.0, rows=80)
    assert Budget(pace, asked=8, end=118.0).rounds(ask, ProofPlan(300, 1), most=300) == 20
    assert told == [8, 14, 20]


def test_no_more_is_asked_than_there_is(monkeypatch):
    monkeypatch.setattr(budget, "time", Clock())
    asked = []
    quick = Budget(Pace({"tuned": 0.0}, epoch=60.0, rows=80), asked=8, end=99.0)
    assert quick.rounds(asked.append, ProofPlan(300, 1), most=30) == 30
    assert asked == [8, 24, 30]


def test_what_is_left_is_counted_from_now(monkeypatch):
    clock = Clock()
    clock.now = 100.0
    monkeypatch.setattr(budget, "time", clock)
    asking = dict.fromkeys((*pilot.METHODS, "tuned"), 1.0)
    pace = Pace(asking, epoch=60.0, rows=80)
    long = Budget(pace, asked=8, end=700.0)
    assert long.plan(questions=50, epochs=9) == within(600.0, pace, questions=50, epochs=9)
    assert long.later(50.0).end == 750.0
    # The budget is over before the questions would be asked: the training goes on as planned.
    watch = Budget(pace, asked=8, end=150.0).watch(ProofPlan(40, 1))
    assert watch is not None
    assert watch.until == pytest.approx(100.0 + 60.0 / 0.85)


def test_without_an_end_all_is_done_as_planned():
    asked = []
    free = Budget(Pace({"base": 1.0}, epoch=60.0, rows=80), asked=8, end=None)
    assert free.plan(questions=300, epochs=5) == ProofPlan(300, 5)
    assert free.watch(ProofPlan(300, 5)) is None
    assert free.rounds(asked.append, ProofPlan(300, 5), most=400) == 300
    assert asked == [300]
    assert free.later(9.0) == free


def test_a_budget_ends_no_job_of_an_unknown_pace_and_counts_the_validation_in_steps():
    host = Budget(Pace({"base": 1.0}, epoch=None), asked=8, end=900.0)
    assert host.watch(ProofPlan(30, 1)) is None
    asking = dict.fromkeys((*pilot.METHODS, "tuned"), 1.0)
    here = Budget(Pace(asking, epoch=60.0, rows=80, check=12.0), asked=8, end=1e9)
    watch = here.watch(ProofPlan(30, 2))
    assert watch is not None
    assert (watch.epochs, watch.check_steps) == (2, 2.0)
    # 30 questions of each method, of which the pilot has asked all but the tuned one 8.
    assert watch.until == 1e9 - (4 * 30 - 3 * 8)


def test_all_paces_follow_that_of_a_jobs_own_steps():
    pace = Pace({"base": 1.0}, epoch=60.0, rows=80, check=12.0, look=2.0, grading=0.5, overhead=9.0)
    slow = Budget(pace, asked=8, end=900.0).slowed(18.0).pace
    assert slow == replace(
        pace, asking={"base": 3.0}, epoch=180.0, check=36.0, look=6.0, grading=1.5
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("budget")
    draw, letters = random.Random(1), "bcdfghklmnprstvz"
    words = ["".join(draw.choice(letters) + draw.choice("aeiou") for _ in "abc") for _ in range(90)]

    def some(n):
        return " ".join(draw.sample(words, n))

    rows = [f"Where do I find {some(4)} please?,Look for {some(5)} there." for _ in range(300)]
    path = folder / "shop.csv"
    path.write_text("\n".join(["question,answer", *rows]) + "\n", encoding="utf-8")
    options = TableOptions(language="any")
    read = read_table(path, folder / "data", options, test=0.2, validation=0.0, brief=True)
    return replace(read, seconds=0.0)


@pytest.fixture
def clients():
    """Each clock and machine of a test, also where the proof ends with an error."""
    return []


@pytest.fixture
def proved(data, tmp_path, monkeypatch, clients):
    def prove(
        *, answer, step, slower, thinking=0.0, minutes=MINUTES, embed=0.005, free=(), articles=None
    ):
        clock = Clock()
        modules = (
            budget, embeddable, experiment, jobs, lookup, pilot, requests, table, training
        )  # fmt: skip
        for module in modules:
            monkeypatch.setattr(module, "time", clock)
        client = Machine(clock, answer=answer, step=step, slower=slower, embed=embed, free=free)
        clients.append((clock, client))
        monkeypatch.setattr(takeaway, "_weights", lambda *_: None)
        monkeypatch.setattr(training, "measured_rate", client.rate)
        course = Connection(client, "embedded", "http://localhost/v1", "base", "words")  # type: ignore[arg-type]
        found = experiment.prove(
            course,
            data,
            tmp_path / "out",
            articles=articles,
            minutes=minutes,
            tell=lambda _: clock.sleep(thinking),
        )
        return found, client, clock.now - thinking

    return prove


@pytest.mark.parametrize(
    ("answer", "step", "slower"),
    [
        (0.3, 3.0, 1),
        (0.3, 3.0, 10),
        (2.0, 0.2, 3),
        (0.02, 30.0, 3),
        (12.0, 0.2, 1),
        (0.02, 200.0, 1),
    ],
)
def test_ten_minutes_end_within_twelve(proved, answer, step, slower):
    done, _, seconds = proved(answer=answer, step=step, slower=slower)
    assert seconds < 720, done.estimate
    assert len(done.reports[BASE].rows) >= 1


def test_a_quick_machine_does_everything_and_takes_as_long_as_estimated(proved):
    done, client, _ = proved(answer=0.02, step=0.1, slower=1)
    assert len(done.reports[BASE].rows) == 60
    assert client.jobs[-1].epochs == 5
    expected = done.estimate.seconds - FINISHING
    assert done.estimate.took / 1.5 < expected < done.estimate.took * 1.5


def test_the_readers_time_is_none_of_the_budgets(proved):
    done, client, seconds = proved(answer=0.3, step=3.0, slower=1, thinking=5000.0)
    assert client.jobs[-1].status == "succeeded"
    assert len(done.reports[BASE].rows) > 16
    assert seconds < 720


def test_a_slow_one_asks_as_many_questions_as_the_clock_lets_and_says_so(proved):
    done, _, seconds = proved(answer=2.0, step=2.0, slower=1)
    asked = len(done.reports[BASE].rows)
    assert 16 <= asked < 60
    assert 400 < seconds < 720
    assert any(note.startswith(f"{asked} of 60 held-out answers") for note in done.notes)


def test_a_job_slower_than_measured_is_begun_anew_with_what_fits(proved):
    done, client, seconds = proved(answer=0.02, step=1.0, slower=20)
    _, first, second = client.jobs
    assert first.status == "cancelled"
    assert first.over - first.begun < 300
    assert second.status == "succeeded"
    assert 10 <= second.rows < first.rows
    assert done.model == "ft:ftjob-2"
    assert seconds < 720


def test_a_job_that_slows_down_in_a_later_epoch_keeps_the_earlier_ones(proved):
    done, client, seconds = proved(answer=0.02, step=0.5, slower=5)
    assert client.jobs[-1].status == "cancelled"
    assert done.tuned.ended is not None
    assert 1 <= done.tuned.ended < client.jobs[-1].epochs
    assert "ended for the budget" in str(done.tuned)
    assert seconds < 720


def test_a_job_that_never_begins_is_an_error_that_names_the_remedy(proved, monkeypatch):
    monkeypatch.setattr(Machine, "_steps", lambda self, job: 0 if job.id != "ftjob-0" else 2)
    with pytest.raises(CourseError, match=r"did not begin within the budget .*minutes="):
        proved(answer=0.02, step=0.5, slower=1)


def test_of_a_large_table_a_budget_embeds_a_part_and_says_so(proved, monkeypatch):
    monkeypatch.setattr(embeddable, "TALKS_A_MINUTE", 10)
    done, client, _ = proved(answer=0.02, step=0.1, slower=1)
    assert done.store == "the 100 training answers"
    assert {job.rows for job in client.jobs[1:]} == {200}
    assert any(note.startswith("The budget allowed 100 of ") for note in done.notes)


@pytest.mark.parametrize("embed", [0.5, 2.0])
def test_a_slow_embedding_model_gets_a_part_of_the_time_and_the_proof_says_what_was_left(
    proved, embed
):
    done, client, seconds = proved(answer=0.02, step=0.5, slower=1, embed=embed)
    assert seconds < 720, done.estimate
    assert done.store != "the 240 training answers"
    assert 5 <= len(done.reports[BASE].rows) < 60
    rows = next(note for note in done.notes if "looked up and learnt" in note)
    assert rows.startswith(f"The budget allowed {done.store.split()[1]} of 240 training rows")
    assert client.jobs[-1].status == "succeeded"


def test_what_is_embedded_within_its_part_of_the_time_is_a_draw_that_begins_with_the_first():
    clock, units = Clock(), [[str(place), f"{place} again"] for place in range(40)]
    asked = []

    class Slow:
        name = "slow"

        def __call__(self, texts):
            clock.sleep(1.0 * len(texts))
            asked.extend(texts)
            return np.ones((len(texts), 2), np.float32)

    embed = lookup.KeptVectors(Slow())
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(embeddable, "time", clock)
        patched.setattr(lookup, "time", clock)
        # Sixteen texts at a time: time is over when the second look at the clock says so.
        assert embeddable.in_time(units, embed, until=20.0, least=1) == 16
        assert embeddable.in_time(units, embed, until=0.0, least=20) == 24
        assert asked == [text for unit in units[:24] for text in unit]
        assert embed.per_text == pytest.approx(1.0)
        assert embeddable.in_time(units, embed, until=math.inf, least=0) == 40
    assert len(asked) == len(set(asked)) == 80


def test_of_many_articles_a_budget_embeds_a_part_and_says_so(proved):
    articles = [Article(f"a{n}", f"Note {n}", f"The pool has {n} ducks.") for n in range(400)]
    done, _, seconds = proved(answer=0.02, step=0.5, slower=1, embed=0.3, articles=articles)
    assert seconds < 720
    kept = int(re.fullmatch(r"your (\d+) articles", done.store)[1])
    assert 20 < kept < 400
    assert f"The budget allowed {kept} of 400 articles to be looked up, drawn at random." in (
        done.notes
    )


@pytest.mark.parametrize("free", [60.0, 250.0])
def test_jobs_before_the_first_one_take_time_of_the_budget(proved, free):
    done, client, seconds = proved(answer=0.3, step=1.0, slower=1, free=[free])
    assert client.jobs[0].status == client.jobs[-1].status == "succeeded"
    assert seconds < 720, done.estimate


@pytest.mark.parametrize("free", [[9e9], [0.0, 9e9], [0.0, 0.0, 9e9]])
def test_a_queue_that_does_not_end_is_an_error_within_the_budget(proved, clients, free):
    with pytest.raises(CourseError, match=r"did not begin within the budget .*minutes="):
        proved(answer=0.02, step=1.0, slower=20, free=free)
    ((clock, client),) = clients
    assert clock.now < 720
    assert len(client.jobs) == len(free)
    assert client.jobs[-1].status == "cancelled"
