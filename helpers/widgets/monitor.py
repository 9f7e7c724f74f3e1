"""Watch a fine-tuning job while it runs: status, time left, loss curves, events, cancel.

For: notebooks. The view is an anywidget; where no widgets run, its text and HTML
forms show the same facts. Not for: the polling itself, see `helpers.finetuning.jobs.follow`.

    monitor = watch(client, run.job.id, question=messages)
    monitor                  # a live panel; the cell returns at once
    job = await monitor.wait()     # until the job has ended
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from helpers.base.markup import cell, html_text
from helpers.finetuning.epoch_answers import EpochAnswers
from helpers.finetuning.jobs import (
    ENDED,
    Snapshot,
    before_the_first_step,
    follow,
    no_longer_waiting,
    succeeded,
)
from helpers.widgets import loss_chart
from helpers.widgets.assets import assets
from helpers.widgets.reachable import reachable

if TYPE_CHECKING:
    from openai import OpenAI
    from openai.types.fine_tuning import FineTuningJob

SHOWN_ANSWERS = 5
"""Of the newest epochs; the one before the job began is shown besides."""
CURVES = {"training": "train_loss", "validation": "valid_loss"}


def seconds_left(state: Snapshot) -> float | None:
    """Time left at the pace of the steps so far; None before two steps have reported."""
    stamps = [event.created_at for event in state.events if event.type == "metrics"]
    done, total = state.step, state.total_steps
    if len(stamps) < 2 or done < 2 or not total:
        return None
    # One event a step: n stamps are n - 1 steps apart.
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


def phase(state: Snapshot, before: int = 0) -> str:
    """What happens now, for a reader who waits.

    `before`: how many jobs stand before this one in the queue.
    """
    if state.ended:
        steps = f" after step {state.step} of {state.total_steps}" if state.step else ""
        return state.status + (steps if state.status != "succeeded" else "")
    if state.status == "queued":
        return f"waiting: {before} before it in the queue" if before else "starting"
    if not state.step:
        return before_the_first_step(state.status)
    return f"step {state.step} of {state.total_steps}, loss {state.train_loss:.2g}"


class TrainingMonitor(anywidget.AnyWidget):
    """The panel. All state that the browser sees stands in these traits."""

    _esm, _css = assets("monitor")

    job_id = traitlets.Unicode().tag(sync=True)
    status = traitlets.Unicode("queued").tag(sync=True)
    line = traitlets.Unicode("").tag(sync=True)
    step = traitlets.Int(0).tag(sync=True)
    total_steps = traitlets.Int(0).tag(sync=True)
    phase = traitlets.Unicode("asking the server").tag(sync=True)
    """What happens now, in words; also while no step has been done."""
    seconds = traitlets.Float(0.0).tag(sync=True)
    """Since the job was created; the view counts on from here."""
    left = traitlets.Float(-1.0).tag(sync=True)
    """Seconds until the last step at the pace so far; -1 while it is not known."""
    chart = traitlets.Unicode("").tag(sync=True)
    """The curves as SVG."""
    messages = traitlets.List(traitlets.Unicode()).tag(sync=True)
    asked = traitlets.Unicode("").tag(sync=True)
    """The question that each epoch's model is asked; empty if there is none."""
    said = traitlets.List(traitlets.Dict()).tag(sync=True)
    """What they said: {"when": "after epoch 1", "text": "…"}, the earliest first."""
    ended = traitlets.Bool(False).tag(sync=True)
    cancel_requested = traitlets.Bool(False).tag(sync=True)

    def __init__(
        self,
        client: OpenAI,
        job_id: str,
        *,
        every: float = 0.5,
        question: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        super().__init__(job_id=job_id)
        self._client = client
        self._every = every
        self._heard = EpochAnswers(client, question) if question else None
        self._asking: threading.Thread | None = None
        self.asked = self._heard.asked if self._heard else ""
        self._snapshot: Snapshot | None = None
        self._failure: Exception | None = None
        self._handle: Any = None
        self.on_msg(self._on_message)
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
        # One message to the browser for all traits, or it would draw each in turn.
        with self.hold_sync():
            self.status = state.status
            self.line = describe(state)
            self.phase = phase(state, self._before(state))
            self.seconds = max(0.0, (state.job.finished_at or time.time()) - state.job.created_at)
            self.left = seconds_left(state) or -1.0
            self.step, self.total_steps = state.step, state.total_steps
            self.chart = loss_chart.draw(curves(state), state.total_steps)
            self.messages = [event.message for event in state.events if event.type != "metrics"]
            self.ended = state.ended

    async def wait(self) -> FineTuningJob:
        """Wait until the job has ended; returns it, or raises `BackendError` if it has no model.

        A cell that awaits leaves the kernel free to hear the button; one that blocks does not.
        Interrupted, it raises one too, which says that the job goes on.
        """
        try:
            # A page that is reloaded during training gets its panel back.
            with reachable():
                while self._thread.is_alive():
                    await asyncio.sleep(0.2)
        # Stopped by the reader: which of the two comes depends on where the kernel was.
        except (asyncio.CancelledError, KeyboardInterrupt):
            raise no_longer_waiting(self.job_id) from None
        if self._handle:
            # What is stored with the notebook shows the end of the job, not its first moment.
            self._handle.update(self._bundle(), raw=True)
        if self._failure or not self._snapshot:
            raise self._failure or RuntimeError("the job was never seen")
        return succeeded(self._snapshot.job)

    def _before(self, state: Snapshot) -> int:
        """How many jobs stand before this one in the queue; 0 if that cannot be had."""
        from openai import OpenAIError

        if state.status != "queued":
            return 0
        with contextlib.suppress(OpenAIError):
            others = self._client.fine_tuning.jobs.list(limit=50).data
            return sum(
                one.status in ("queued", "running")
                and one.id != state.job.id
                and one.created_at <= state.job.created_at
                for one in others
            )
        return 0

    def _on_message(self, widget: Any, content: Any, buffers: Any) -> None:
        """A page that came back, or was asleep, asks for everything anew."""
        if content == {"do": "refresh"}:
            self.send_state()
            self.send({"kind": "here"})

    def _poll(self) -> None:
        try:
            for state in follow(self._client, self.job_id, every=self._every, sleep=time.sleep):
                self.show(state)
                self._listen(state)
            # After the end: the last epoch's model is there only now.
            self._listen(state, last=True)
        except Exception as error:  # noqa: BLE001
            # A thread's traceback would reach nobody: `wait` raises it in the reader's cell.
            self._failure = error
            self.line = f"the job cannot be followed any more: {error}"

    def _listen(self, state: Snapshot, *, last: bool = False) -> None:
        """Ask the newest model in a thread of its own: the curve must not wait for words."""
        heard = self._heard
        if heard is None:
            return
        # At the end it is waited for, so that `heard` is not used by two threads.
        if self._asking and (last or not self._asking.is_alive()):
            self._asking.join()
            self._asking = None
        if last and state.status == "succeeded":
            heard.look(state)
        elif not last and self._asking is None and heard.due(state):
            self._asking = threading.Thread(target=heard.look, args=(state,), daemon=True)
            self._asking.start()
        kept = [*heard.answers[:1], *heard.answers[1:][-SHOWN_ANSWERS:]]
        self.said = [{"when": one.label, "text": one.text} for one in kept]

    def __repr__(self) -> str:
        return f"TrainingMonitor({self.job_id}: {self.line or self.status})"

    def _ipython_display_(self) -> None:
        """Show it under a name, so that the end of the job can replace what is stored."""
        from IPython.display import display

        self._handle = display(self._bundle(), raw=True, display_id=True)

    def _bundle(self) -> dict[str, Any]:
        bundle = self._repr_mimebundle_()
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        return dict(data or {})

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle = super()._repr_mimebundle_(**kwargs)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        if data is not None:
            data["text/plain"] = repr(self)
            line = html_text(f"Job {self.job_id}: {self.line or self.status}")
            data["text/html"] = f"<p>{line}</p>{self.chart}{self._said_page()}"
        return bundle

    def _said_page(self) -> str:
        rows = "".join(
            f"<tr>{cell(one['when'], 'th')}{cell(html_text(one['text']))}</tr>" for one in self.said
        )
        caption = f'<caption style="text-align:left">Asked: {html_text(self.asked)}</caption>'
        return f"<table>{caption}{rows}</table>" if rows else ""


def watch(
    client: OpenAI,
    job_id: str,
    *,
    every: float = 0.5,
    question: Sequence[Mapping[str, Any]] = (),
) -> TrainingMonitor:
    """A panel that follows the job from now on, polling every `every` seconds.

    `question`: messages that the model is asked before and after each epoch; take one that no
    training example holds.
    """
    return TrainingMonitor(client, job_id, every=every, question=question)


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
