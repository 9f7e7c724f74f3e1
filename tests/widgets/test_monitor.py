"""The training monitor without a browser: its words, its figure, its end."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from helpers.base.errors import BackendError
from helpers.finetuning.jobs import Snapshot
from helpers.widgets import loss_chart
from helpers.widgets.monitor import TrainingMonitor, phase


def snapshot(status: str, step: int = 0) -> Snapshot:
    job: Any = SimpleNamespace(id="ftjob-1", status=status, created_at=100, finished_at=160)
    row = {"step": step, "total_steps": 144, "train_loss": 1.234}
    return Snapshot(job, (), (row,) if step else ())


@pytest.mark.parametrize(
    ("state", "before", "said"),
    [
        (snapshot("validating_files"), 0, "checking the files"),
        (snapshot("queued"), 0, "starting"),
        (snapshot("queued"), 2, "waiting: 2 before it in the queue"),
        (snapshot("running"), 0, "reading the base model and the examples"),
        (snapshot("running", 12), 0, "step 12 of 144, loss 1.2"),
        (snapshot("cancelled", 12), 0, "cancelled after step 12 of 144"),
        (snapshot("succeeded", 144), 0, "succeeded"),
    ],
)
def test_each_moment_of_a_job_has_words(state, before, said):
    assert phase(state, before) == said


class Endpoint:
    """A fine-tuning API whose one job is in a state."""

    def __init__(self, status: str) -> None:
        job = snapshot(status).job
        page = SimpleNamespace(data=[job])
        self.fine_tuning = SimpleNamespace(
            jobs=SimpleNamespace(
                retrieve=lambda name: job, list_events=lambda name, limit: [], list=lambda **_: page
            )
        )


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """What it returns, from a thread of its own: Playwright keeps a loop running in the first."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


def ended(status: str) -> TrainingMonitor:
    client: Any = Endpoint(status)
    return TrainingMonitor(client, "ftjob-1", every=0.01)


def test_waiting_returns_the_job_and_says_what_to_run_after_a_cancelled_one():
    assert run(ended("succeeded").wait()).status == "succeeded"
    with pytest.raises(BackendError, match=r"cancelled.*run the cell that starts the job again"):
        run(ended("cancelled").wait())


def test_interrupted_waiting_says_that_the_job_goes_on():
    async def stopped() -> None:
        view = ended("running")
        task = asyncio.ensure_future(view.wait())
        await asyncio.sleep(0.05)
        task.cancel()
        try:
            await task
        finally:
            view._client.fine_tuning.jobs.retrieve("").status = "succeeded"

    with pytest.raises(BackendError, match="goes on in the server"):
        run(stopped())


def test_a_page_that_comes_back_gets_everything_anew(monkeypatch):
    view, sent = ended("succeeded"), []
    monkeypatch.setattr(view, "send_state", lambda: sent.append("state"))
    monkeypatch.setattr(view, "send", lambda content: sent.append(content))
    view._on_message(view, {"do": "refresh"}, [])
    assert sent == ["state", {"kind": "here"}]


POINTS = {"training": [(1, 2.0), (50, 0.02), (100, 0.002)], "validation": [(100, 0.0021)]}


def test_the_loss_axis_is_logarithmic_and_says_what_it_shows():
    svg = loss_chart.draw(POINTS, 144)
    scale = loss_chart.scale_of(POINTS, 144)
    assert scale.y(0.02) - scale.y(0.2) == pytest.approx(scale.y(0.2) - scale.y(2.0), abs=0.3)
    assert "loss (nats per token)" in svg
    assert "training 0.002 at step 100" in svg


def test_names_at_the_ends_of_curves_never_lie_over_each_other():
    svg = loss_chart.draw(POINTS, 144)
    heights = [float(y) for y in re.findall(r'y="([\d.]+)"[^>]*>(?:training|validation)<', svg)]
    assert len(heights) == 2
    assert abs(heights[0] - heights[1]) >= loss_chart.APART - 1
    assert max(heights) < loss_chart.HEIGHT - loss_chart.BOTTOM + 8


def test_without_a_kernel_the_page_shows_the_last_curve():
    view = ended("succeeded")
    run(view.wait())
    view.chart = loss_chart.draw(POINTS, 144)
    page = view._bundle()["text/html"]
    assert "<svg" in page
    assert "succeeded" in page
    assert "queued" not in page


def test_what_each_epoch_said_stands_on_the_page_and_in_the_panel(monkeypatch):
    heard = [
        SimpleNamespace(label="before", text="A <b>"),
        SimpleNamespace(label="later", text="B"),
    ]
    monkeypatch.setattr("helpers.widgets.monitor.EpochAnswers.look", lambda *_: None)
    monkeypatch.setattr("helpers.widgets.monitor.EpochAnswers.due", lambda *_: False)
    client: Any = Endpoint("running")
    view = TrainingMonitor(
        client, "ftjob-1", every=0.01, question=[{"role": "user", "content": "Fee?"}]
    )
    assert view._heard
    view._heard.answers += heard  # type: ignore[arg-type]
    client.fine_tuning.jobs.retrieve("").status = "succeeded"
    run(view.wait())
    assert view.said == [{"when": "before", "text": "A <b>"}, {"when": "later", "text": "B"}]
    page = view._bundle()["text/html"]
    assert "Asked: Fee?" in page
    assert "A &lt;b&gt;" in page
