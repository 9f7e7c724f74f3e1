"""The training files of a table, the job, and the epoch that a validation set picks.

For: the two tuned methods. Each answer is learnt twice: after its talk alone, and with the notes
that a search finds for it, so that one model serves both. Not for: jobs in general, see
`helpers.finetuning.jobs`.

    write_training(folder / "train.jsonl", talks, turns, notes, form)
    tuned = train(client, files, model=base, epochs=5, suffix="pool", seed=42)
    tuned.model, tuned.epoch
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers.base import jsonl
from helpers.base.errors import CourseError
from helpers.base.remedies import argument
from helpers.capstone.estimate import counted
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

BATCH = 8
PROBE = 3 * BATCH
"""Examples of the short job that measures how fast this machine trains."""
BRIEF_PROBE = 10
"""Of it under a budget; a job takes no fewer."""


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
class TunedModel:
    """What came of the job: the model of its best epoch."""

    job: str
    model: str
    epoch: int
    epochs: int
    step: int | None = None
    """Of the checkpoint; None for the last one, which is the job's own model."""
    losses: tuple[tuple[int, float], ...] = ()
    """Epoch and validation loss of each checkpoint that the server keeps."""

    def __str__(self) -> str:
        run = counted(self.epochs, "epoch")
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
    client: OpenAI, files: JobFiles, *, model: str, epochs: int, suffix: str, seed: int
) -> TunedModel:
    """Run the job to its end, or find it again, and take the epoch of the lowest loss."""
    started = fine_tune(
        client,
        model=model,
        training=files.learnt,
        validation=files.measured,
        hyperparameters=_hyperparameters(epochs),
        suffix=suffix,
        seed=seed,
    )
    return best_epoch(
        client, wait(client, started.job.id), epochs, validated=bool(files.validation)
    )


def is_trained(client: OpenAI, files: JobFiles, *, model: str, epochs: int, seed: int) -> bool:
    """Whether the same job was run before, so that it takes no time."""
    method = _hyperparameters(epochs).method()
    held = [file.data if file else b"" for file in (files.learnt, files.measured)]
    mark = job_fingerprint(held, model=model, method=method, seed=seed)
    job = same_job(client, mark)
    return job is not None and job.status == "succeeded"


def best_epoch(client: OpenAI, job: FineTuningJob, epochs: int, *, validated: bool) -> TunedModel:
    """The checkpoint with the lowest loss on the whole validation set; else the last one."""
    last = TunedModel(job.id, job.fine_tuned_model or "", epochs, epochs)
    held = list(client.fine_tuning.jobs.checkpoints.list(job.id)) if validated else []
    measured = sorted(
        (one.step_number, one.metrics.full_valid_loss, one.fine_tuned_model_checkpoint)
        for one in held
        if one.metrics.full_valid_loss is not None
    )
    if not measured:
        return last
    # The job's last checkpoint is the end of its last epoch; earlier ones may be gone.
    per_epoch = measured[-1][0] / epochs
    losses = tuple((round(step / per_epoch), loss) for step, loss, _ in measured)
    step, _, name = min(measured, key=lambda one: one[1])
    # The last checkpoint is the job's own model, whose id is the one without a step.
    if step == measured[-1][0]:
        return TunedModel(job.id, last.model, epochs, epochs, None, losses)
    return TunedModel(job.id, name, round(step / per_epoch), epochs, step, losses)


def measure(
    client: OpenAI, rows: Sequence[dict[str, Any]], folder: Path, *, model: str, most: int = PROBE
) -> Speed | None:
    """Train a few of the rows once, on the embedded server, with a clock; None if it cannot."""
    # Every n-th: the first rows are plain talks, and the ones with notes come last and are longer.
    picked = rows[:: max(1, len(rows) // most)][:most]
    path = folder / "speed.jsonl"
    jsonl.write(path, picked)
    start = time.monotonic()
    try:
        started = fine_tune(
            client,
            model=model,
            training=path,
            hyperparameters=_hyperparameters(1),
            suffix="speed",
            # A job found again would take no time, and measure nothing.
            fresh=True,
        )
        queued = wait_for_turn(client, started.job.id, every=0.1)
        job = wait(client, started.job.id, every=0.1)
    except CourseError:
        # Fewer than 10 examples, or a server that cannot train: the real job will say so.
        return None
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


def _hyperparameters(epochs: int) -> Hyperparameters:
    return Hyperparameters(n_epochs=epochs, batch_size=BATCH)
