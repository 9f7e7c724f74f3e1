"""Watch a fine-tuning job while it runs: status, time left, loss curves, events, cancel.

For: notebooks. The view is an anywidget; where no widgets run, its text and HTML
forms show the same facts. Not for: the polling itself, see `helpers.finetuning.jobs.follow`.

    monitor = watch(client, run.job.id)
    monitor                  # a live panel; the cell returns at once
    job = await monitor.wait()     # until the job has ended
"""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from helpers.base.markup import html_text
from helpers.finetuning.jobs import ENDED, Snapshot, follow

if TYPE_CHECKING:
    from openai import OpenAI
    from openai.types.fine_tuning import FineTuningJob

STATIC = Path(__file__).parent / "static"
CURVES = {"training": "train_loss", "validation": "valid_loss"}


def seconds_left(state: Snapshot) -> float | None:
    """Time left at the pace of the steps so far; None before two steps have reported."""
    stamps = [event.created_at for event in state.events if event.type == "metrics"]
    done, total = state.step, state.total_steps
    if len(stamps) < 2 or done < 2 or not total:
        return None
    return (stamps[-1] - stamps[0]) / (len(stamps) - 1) * (total - done)


def describe(state: Snapshot) -> str:
    """One line for a text console, for instance "running, step 12 of 80, loss 1.93"."""
    parts = [state.status]
    if state.step:
        parts.append(f"step {state.step} of {state.total_steps}")
    if state.train_loss is not None:
        parts.append(f"loss {state.train_loss:.2f}")
    left = seconds_left(state)
    if left is not None and not state.ended:
        parts.append(f"about {left:.0f} s left")
    return ", ".join(parts)


def curves(state: Snapshot) -> dict[str, list[tuple[int, float]]]:
    """The points of each loss curve: (step, nats per target token)."""
    return {
        label: [(step, round(value, 4)) for step, value in zip(*state.series(name), strict=True)]
        for label, name in CURVES.items()
    }


class TrainingMonitor(anywidget.AnyWidget):
    """The panel. All state that the browser sees stands in these traits."""

    _esm = STATIC / "monitor.js"
    _css = STATIC / "monitor.css"

    job_id = traitlets.Unicode().tag(sync=True)
    status = traitlets.Unicode("queued").tag(sync=True)
    line = traitlets.Unicode("").tag(sync=True)
    step = traitlets.Int(0).tag(sync=True)
    total_steps = traitlets.Int(0).tag(sync=True)
    points = traitlets.Dict().tag(sync=True)
    messages = traitlets.List(traitlets.Unicode()).tag(sync=True)
    ended = traitlets.Bool(False).tag(sync=True)
    cancel_requested = traitlets.Bool(False).tag(sync=True)

    def __init__(self, client: OpenAI, job_id: str, *, every: float = 0.5) -> None:
        super().__init__(job_id=job_id)
        self._client = client
        self._every = every
        self._snapshot: Snapshot | None = None
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._poll, name=f"watch {job_id}", daemon=True)
        self._thread.start()

    @traitlets.observe("cancel_requested")
    def _on_cancel(self, change: dict[str, Any]) -> None:
        if change["new"] and not self.ended:
            self.cancel()

    def cancel(self) -> None:
        """Ask the server to cancel the job; the panel shows it once it has happened."""
        self._client.fine_tuning.jobs.cancel(self.job_id)

    def show(self, state: Snapshot) -> None:
        """Copy a snapshot into the traits."""
        self._snapshot = state
        with self.hold_sync():
            self.status = state.status
            self.line = describe(state)
            self.step, self.total_steps = state.step, state.total_steps
            self.points = curves(state)
            self.messages = [event.message for event in state.events if event.type != "metrics"]
            self.ended = state.ended

    async def wait(self) -> FineTuningJob:
        """Wait until the job has ended; returns it, whatever its end.

        A cell that awaits leaves the kernel free to hear the button; one that blocks does not.
        """
        while self._thread.is_alive():
            await asyncio.sleep(0.2)
        if self._failure or not self._snapshot:
            raise self._failure or RuntimeError("the job was never seen")
        return self._snapshot.job

    def _poll(self) -> None:
        try:
            for state in follow(self._client, self.job_id, every=self._every, sleep=time.sleep):
                self.show(state)
        except Exception as error:  # noqa: BLE001
            # A thread's traceback would reach nobody: `wait` raises it in the reader's cell.
            self._failure = error
            self.line = f"the job cannot be followed any more: {error}"

    def __repr__(self) -> str:
        return f"TrainingMonitor({self.job_id}: {self.line or self.status})"

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle = super()._repr_mimebundle_(**kwargs)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        if data is not None:
            data["text/plain"] = repr(self)
            data["text/html"] = f"<p>{html_text(repr(self))}</p>"
        return bundle


def watch(client: OpenAI, job_id: str, *, every: float = 0.5) -> TrainingMonitor:
    """A panel that follows the job from now on, polling every `every` seconds."""
    return TrainingMonitor(client, job_id, every=every)


def watch_text(client: OpenAI, job_id: str, *, every: float = 2.0) -> FineTuningJob:
    """The same without widgets: print a line when something changed, return the ended job."""
    last = ""
    for state in follow(client, job_id, every=every):
        line = describe(state)
        if line != last:
            print(line)  # noqa: T201 - printing is what it is for
            last = line
    assert state.status in ENDED
    return state.job
