"""The training files of a table, the job, and the epoch that a validation set picks.

For: the two tuned methods. Each answer is learnt twice: after its talk alone, and with the notes
that a search finds for it, so that one model serves both. Not for: jobs in general, see
`helpers.finetuning.jobs`.

    write_training(folder / "train.jsonl", talks, turns, notes, form)
    tuned = train(client, files, TrainingRecipe(base, epochs=5, seed=42), suffix="pool")
    tuned.model, tuned.epoch
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers.base import jsonl
from helpers.base.errors import CourseError
from helpers.base.remedies import argument
from helpers.base.tokens import local_tokenizer
from helpers.capstone.estimate import BATCH, counted
from helpers.capstone.lookup import Found
from helpers.capstone.methods import PromptForm
from helpers.capstone.samples import AnswerTurn, Message
from helpers.datasets.training_file import TrainingFile
from helpers.finetuning.job_plan import measured_rate
from helpers.finetuning.jobs import (
    Hyperparameters,
    fine_tune,
    job_fingerprint,
    same_job,
    wait,
    wait_for_turn,
)

if TYPE_CHECKING:
    from openai import OpenAI
    from openai.types.fine_tuning import FineTuningJob
    from openai.types.fine_tuning.jobs import FineTuningJobCheckpoint

    from helpers.capstone.table import TableData

SURE_STEPS = 3
"""Steps behind the first that tell how long the others take."""
SLACK = 0.15
"""Of its time, what the first epoch may take longer."""
UNENDED = 2.0
"""How much slower a machine is taken for whose short job did not end in time."""
PROBE = 3 * BATCH
"""Examples of the short job that measures how fast this machine trains."""


@dataclass(frozen=True)
class JobFiles:
    """What a job reads; each file is read once, when it is first asked for."""

    training: Path
    validation: Path | None

    @cached_property
    def learnt(self) -> TrainingFile:
        """What is trained on."""
        return TrainingFile.read(self.training)

    @cached_property
    def measured(self) -> TrainingFile | None:
        """What picks the epoch."""
        return TrainingFile.read(self.validation) if self.validation else None


@dataclass(frozen=True)
class TrainingRecipe:
    """How a table is learnt."""

    model: str
    epochs: int
    seed: int
    prompt_loss_weight: float | None = None
    """What a word of the question counts; None leaves it to the endpoint."""

    def settings(self) -> Hyperparameters:
        """What the job is told."""
        return Hyperparameters(
            n_epochs=self.epochs,
            batch_size=BATCH,
            prompt_loss_weight=self.prompt_loss_weight,
        )


@dataclass(frozen=True)
class TunedModel:
    """What came of the job: the model of its best epoch."""

    job: str
    model: str
    epoch: int
    epochs: int
    """That were planned."""
    step: int | None = None
    """Of the checkpoint; None for the last one, which is the job's own model."""
    losses: tuple[tuple[int, float], ...] = ()
    """Epoch and validation loss of each checkpoint that the server keeps."""
    ended: int | None = None
    """Epochs after which a budget was used up."""

    def __str__(self) -> str:
        run = counted(self.epochs, "epoch")
        if self.ended is not None:
            run = f"{self.ended} of {run}, ended for the budget"
        if not self.losses:
            return f"trained for {run}, the last one taken (no validation set)"
        known = ", ".join(f"{loss:.2f} after {epoch}" for epoch, loss in self.losses)
        text = (
            f"trained for {run}; the validation loss picks epoch {self.epoch} "
            f"(of those that the server keeps: {known})"
        )
        first = self.losses[0][0]
        if self.epoch == first > 1 and len(self.losses) > 1:
            told = argument("epochs", first - 1)
            text += f"; an earlier one may have been better: {told} would tell"
        return text


@dataclass(frozen=True)
class Speed:
    """How fast this machine trains."""

    tokens_per_second: float
    overhead: float
    """Seconds of a job besides its steps: starting, loading, storing."""


def files_of(folder: Path, data: TableData) -> JobFiles:
    """Where the job's files stand below `folder`."""
    valid = folder / "validation_with_notes.jsonl" if data.validation else None
    return JobFiles(folder / "train_with_notes.jsonl", valid)


def write_training(
    path: Path,
    talks: Sequence[Sequence[Message]],
    turns: Sequence[AnswerTurn],
    notes: Sequence[Sequence[Found]],
    form: PromptForm,
) -> list[dict[str, Any]]:
    """Write the talks as they are, then each answer with its notes; returns the rows."""
    rows: list[dict[str, Any]] = [{"messages": list(messages)} for messages in talks]
    for turn, found in zip(turns, notes, strict=True):
        # What the desk said before stands in the first form already.
        asked = [
            m | {"weight": 0} if m["role"] == "assistant" else m
            for m in form.looked_up(turn.before, found)
        ]
        rows.append({"messages": [*asked, {"role": "assistant", "content": turn.answer}]})
    jsonl.write(path, rows)
    return rows


def train(
    client: OpenAI,
    files: JobFiles,
    recipe: TrainingRecipe,
    *,
    suffix: str,
    watch: Watch | None = None,
) -> TunedModel:
    """Run the job to its end, or find it again, and take the epoch of the lowest loss.

    `watch` ends it with the epoch that it has reached when its time is over. Raises `TooSlow` if
    no epoch can end by then, as soon as the job's pace tells it.
    """
    started = fine_tune(
        client,
        model=recipe.model,
        training=files.learnt,
        validation=files.measured,
        hyperparameters=recipe.settings(),
        suffix=suffix,
        seed=recipe.seed,
    )
    job_id, epochs = started.job.id, recipe.epochs
    if watch is None:
        job = wait(client, job_id)
    else:
        job = wait(client, job_id, stop=watch)
        if job.status != "succeeded" and not _held(client, job_id):
            raise TooSlow(watch.pace)
    return best_epoch(client, job, epochs, validated=bool(files.validation))


class TooSlow(Exception):
    """A job that ends no epoch in time; `pace` are the seconds of its steps, 0 if it made none."""

    def __init__(self, pace: float) -> None:
        super().__init__(f"{pace:.1f} seconds a step")
        self.pace = pace


@dataclass
class Watch:
    """Says when a job has to end, from the steps that it tells of."""

    until: float
    """A moment of `time.monotonic`."""
    epochs: int
    check_steps: float = 0.0
    """Steps that the validation after an epoch takes as long as."""
    pace: float = 0.0
    """Seconds of a step, as far as it is known."""
    to_its_end: bool = False
    """Whether it may take longer, once it has begun."""
    _first: tuple[float, int] | None = None
    """When the first step was seen, and its number."""
    _newest: tuple[float, int] = (0.0, 0)

    def __call__(self, step: int, steps: int) -> bool:
        """Whether time is over, or no epoch can end in time at the pace so far."""
        now, per_epoch = time.monotonic(), steps / self.epochs
        if self.to_its_end and step:
            return False
        if step == 0 or step >= per_epoch:
            # A step that ends an epoch is told of before its checkpoint is written.
            return now > self.until and not (step and step % per_epoch == 0)
        # The first step takes longer than others: the pace is that of those behind it.
        self._first = self._first or (now, step)
        begun, first = self._first
        if step > self._newest[1]:
            self._newest = now, step
            self.pace = (now - begun) / (step - first) if step - first >= SURE_STEPS else 0.0
        if not self.pace:
            return False
        left = (per_epoch - step + self.check_steps) * self.pace
        # The next step is under way; one that hangs lets the end move on.
        over = max(self._newest[0] + left, now + left - self.pace)
        # What is nearly done is not begun anew.
        return over > self.until + SLACK * max(0.0, self.until - begun)


def tokens_of(rows: Iterable[Mapping[str, Any]]) -> int:
    """Tokens of training rows: texts, and what the chat template adds to each message."""
    count = local_tokenizer().count
    return sum(count(str(m["content"])) + 5 for row in rows for m in row["messages"])


def is_trained(client: OpenAI, files: JobFiles, recipe: TrainingRecipe) -> bool:
    """Whether the same job was run before, so that it takes no time."""
    method = recipe.settings().method()
    held = [file.data if file else b"" for file in (files.learnt, files.measured)]
    mark = job_fingerprint(held, model=recipe.model, method=method, seed=recipe.seed)
    job = same_job(client, mark)
    return job is not None and job.status == "succeeded"


def not_begun() -> CourseError:
    """A budget that was over before other jobs were."""
    return CourseError(
        "the training did not begin within the budget",
        fix=f"try again when other jobs are over, or give more: {argument('minutes', 30)}",
    )


def _held(client: OpenAI, job_id: str) -> list[FineTuningJobCheckpoint]:
    """The checkpoints that the server keeps, in order of their steps."""
    held = client.fine_tuning.jobs.checkpoints.list(job_id)
    return sorted(held, key=lambda one: one.step_number)


def best_epoch(client: OpenAI, job: FineTuningJob, epochs: int, *, validated: bool) -> TunedModel:
    """The checkpoint with the lowest loss on the whole validation set; else the last one."""
    whole = job.status == "succeeded"
    held = _held(client, job.id) if validated or not whole else []
    if not held:
        return TunedModel(job.id, job.fine_tuned_model or "", epochs, epochs)
    steps = [one.step_number for one in held]
    # Each epoch ends with a checkpoint; of several the last are kept.
    per_epoch = steps[-1] - steps[-2] if len(steps) > 1 else steps[-1]
    losses = tuple(
        (round(one.step_number / per_epoch), loss)
        for one in held
        if validated and (loss := one.metrics.full_valid_loss) is not None
    )
    best = min(losses, key=lambda one: one[1])[0] if losses else round(steps[-1] / per_epoch)
    taken = next(one for one in held if round(one.step_number / per_epoch) == best)
    ended = None if whole else round(steps[-1] / per_epoch)
    # The last checkpoint of a whole job is its own model, whose id is the one without a step.
    if whole and taken is held[-1]:
        return TunedModel(job.id, job.fine_tuned_model or "", epochs, epochs, None, losses)
    name = taken.fine_tuned_model_checkpoint
    return TunedModel(job.id, name, best, epochs, taken.step_number, losses, ended)


def measure(
    client: OpenAI,
    rows: Sequence[dict[str, Any]],
    folder: Path,
    recipe: TrainingRecipe,
    *,
    most: int,
    seconds: float = math.inf,
    queue: float = math.inf,
) -> Speed | None:
    """Train a few of the rows once, on the embedded server, with a clock; None if it cannot.

    After `seconds` the job is ended: then the machine is taken for half as fast as would have done.
    Raises `CourseError` if other jobs let it wait longer than `queue` seconds.
    """
    # Every n-th: the first rows are plain talks, and the ones with notes come last and are longer.
    picked = rows[:: max(1, len(rows) // most)][:most]
    path = folder / "speed.jsonl"
    jsonl.write(path, picked)
    start = time.monotonic()
    try:
        started = fine_tune(
            client,
            model=recipe.model,
            training=path,
            hyperparameters=replace(recipe, epochs=1).settings(),
            suffix="speed",
            # A job found again would take no time, and measure nothing.
            fresh=True,
        )
        queued = wait_for_turn(client, started.job.id, every=0.1, seconds=queue)
        # One that has not begun by then would only stand in the others' way.
        over = time.monotonic() + (seconds if queued < queue else 0.0)
        job = wait(client, started.job.id, every=0.1, stop=lambda *_: time.monotonic() > over)
    except CourseError:
        # Fewer than 10 examples, or a server that cannot train: the real job will say so.
        return None
    if job.status != "succeeded" and queued >= queue:
        raise not_begun()
    if job.status != "succeeded":
        return Speed(tokens_of(picked) / seconds / UNENDED, 0.0)
    # A job of an earlier run, before this one, says nothing of how long this one takes.
    wall = time.monotonic() - start - queued
    # It served to measure only, and would stand in the list of models.
    if job.fine_tuned_model:
        client.models.delete(job.fine_tuned_model)
    rate = measured_rate()
    if rate is None or not job.trained_tokens:
        return None
    # What the clock saw beyond the steps themselves.
    return Speed(rate, max(0.0, wall - job.trained_tokens / rate))
