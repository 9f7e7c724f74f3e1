"""Start, find again and follow a fine-tuning job through the `openai` client.

For: notebooks and the training monitor. Works with any endpoint that has
OpenAI's fine-tuning API. Not for: training itself, see `helpers.backend`.

    run = fine_tune(client, model="smollm2-135m-instruct", training="data/support/train.jsonl")
    for snapshot in follow(client, run.job.id):
        snapshot.step, snapshot.train_loss
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import io
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from helpers.base.errors import BackendError, NotAvailable
from helpers.base.progress_bar import Tell, counted
from helpers.datasets.training_file import TrainingFile

if TYPE_CHECKING:
    import pandas as pd
    from openai import OpenAI
    from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent

ENDED = frozenset({"succeeded", "failed", "cancelled"})
QUEUED = frozenset({"validating_files", "queued"})
UNDER_WAY = QUEUED | {"running"}
Auto = Literal["auto"]


@dataclass(frozen=True)
class Hyperparameters:
    """What a job may be told; "auto" leaves the choice to the server."""

    n_epochs: int | Auto = "auto"
    batch_size: int | Auto = "auto"
    learning_rate_multiplier: float | Auto = "auto"
    beta: float | Auto | None = None
    """Only for direct preference optimisation (DPO)."""
    prompt_loss_weight: float | Auto | None = None
    """What a word of the question counts beside one of the answer, 0 to 1; this course's server
    knows it, as OpenAI's first fine-tuning API did."""

    def method(self) -> dict[str, Any]:
        """The `method` argument of `fine_tuning.jobs.create`."""
        # Only those that were set: a hyperparameter of the other method is refused.
        values = {key: value for key, value in vars(self).items() if value is not None}
        kind = "supervised" if self.beta is None else "dpo"
        return {"type": kind, kind: {"hyperparameters": values}}


@dataclass(frozen=True)
class FineTuneRun:
    """A job that was created now, or found again because nothing of it changed."""

    job: FineTuningJob
    reused: bool

    def __repr__(self) -> str:
        if not self.reused:
            return "new job"
        same = "same data, settings and base model"
        return f"under way: {same}" if self.job.status in UNDER_WAY else f"reused: {same}"


@dataclass(frozen=True)
class Snapshot:
    """Where a job stands. Losses are per target token, in nats."""

    job: FineTuningJob
    events: tuple[FineTuningJobEvent, ...] = ()
    """Oldest first."""
    metrics: tuple[Mapping[str, float], ...] = field(default=())
    """One mapping for each step that reported."""

    @property
    def status(self) -> str:
        return self.job.status

    @property
    def ended(self) -> bool:
        return self.job.status in ENDED

    @property
    def step(self) -> int:
        return int(self.metrics[-1]["step"]) if self.metrics else 0

    @property
    def total_steps(self) -> int:
        return int(self.metrics[-1].get("total_steps", 0)) if self.metrics else 0

    @property
    def train_loss(self) -> float | None:
        return self.metrics[-1]["train_loss"] if self.metrics else None

    def series(self, name: str) -> tuple[list[int], list[float]]:
        """Steps and values of one metric, for instance "valid_loss"."""
        rows = [row for row in self.metrics if row.get(name) is not None]
        return [int(row["step"]) for row in rows], [float(row[name]) for row in rows]


def fingerprint(parts: Sequence[bytes | str]) -> str:
    """SHA-256 over the parts, each preceded by its length so that none can run together."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()


def job_fingerprint(
    files: Sequence[bytes], *, model: str, method: Mapping[str, Any], seed: int
) -> str:
    """What makes two jobs the same; `fine_tune` stores it in the job's metadata.

    `files`: the bytes of the training and the validation file, the latter empty without one.
    """
    # Sorted keys, so that the order in which settings were given does not make another job.
    return fingerprint([*files, json.dumps([model, method, seed], sort_keys=True)])


def fine_tune(
    client: OpenAI,
    *,
    model: str,
    training: str | Path | TrainingFile,
    validation: str | Path | TrainingFile | None = None,
    hyperparameters: Hyperparameters | None = None,
    seed: int = 42,
    suffix: str | None = None,
    metadata: Mapping[str, str] | None = None,
    fresh: bool = False,
    cap: float = 0.0,
    yes: bool = False,
) -> FineTuneRun:
    """Upload the files and create the job, or find the same job: done before, or under way.

    "Same" means: the bytes of both files, the base model, the method, the
    hyperparameters and the seed. `fresh=True` trains anew in any case. A hosted model that
    the catalogue has a training price for needs a `cap` in dollars and `yes=True`.

    Raises `DataError` for files with severe problems and `CourseError` for a price that was not
    agreed to, both before anything is uploaded; `NotAvailable` where the endpoint no longer
    trains.
    """
    from helpers.finetuning.preflight import make_ready

    method = (hyperparameters or Hyperparameters()).method()
    # Read once: what is checked, fingerprinted and sent are the same bytes.
    learnt = _read(training)
    measured = _read(validation) if validation else None
    files = [learnt.data, measured.data if measured else b""]
    mark = job_fingerprint(files, model=model, method=method, seed=seed)
    # Before the checks: a job that is done costs nothing, so neither cap nor consent is asked.
    if not fresh and (job := same_job(client, mark)):
        return FineTuneRun(job, reused=True)
    epochs = hyperparameters.n_epochs if hyperparameters else "auto"
    n_epochs = None if epochs == "auto" else epochs
    make_ready(learnt, measured, model=model, n_epochs=n_epochs, cap=cap, yes=yes)
    job = _create(
        client,
        model=model,
        training_file=upload(client, learnt),
        validation_file=upload(client, measured) if measured else None,
        method=method,
        seed=seed,
        suffix=suffix,
        metadata={**(metadata or {}), "fingerprint": mark},
    )
    return FineTuneRun(job, reused=False)


def upload(client: OpenAI, file: str | Path | TrainingFile) -> str:
    """Upload a JSONL file for fine-tuning; returns its id, `file-…`."""
    given = _read(file)
    return client.files.create(file=(given.name, given.data), purpose="fine-tune").id


def _read(file: str | Path | TrainingFile) -> TrainingFile:
    return file if isinstance(file, TrainingFile) else TrainingFile.read(file)


def _create(client: OpenAI, **arguments: Any) -> FineTuningJob:
    from openai import PermissionDeniedError

    given = {key: value for key, value in arguments.items() if value is not None}
    try:
        return client.fine_tuning.jobs.create(**given)
    except PermissionDeniedError as error:
        if getattr(error, "code", None) != "training_not_available":
            raise
        raise NotAvailable(
            "this account can no longer create fine-tuning jobs at OpenAI",
            fix="unset OPENAI_API_KEY and OPENAI_BASE_URL: the embedded server trains",
        ) from error


def same_job(client: OpenAI, mark: str) -> FineTuningJob | None:
    """The newest job with this fingerprint that is under way, or whose model still exists."""
    from openai import NotFoundError

    for job in client.fine_tuning.jobs.list(metadata={"fingerprint": mark}):
        # An endpoint that cannot filter lists them all.
        if (job.metadata or {}).get("fingerprint") != mark:
            continue
        if job.status in UNDER_WAY:
            return job
        if job.status != "succeeded" or not job.fine_tuned_model:
            continue
        # A model can be deleted while its job stays listed: then the job has to be run again.
        try:
            client.models.retrieve(job.fine_tuned_model)
        except NotFoundError:
            continue
        return job
    return None


def snapshot(client: OpenAI, job_id: str) -> Snapshot:
    """The job, its events and its metrics at this moment."""
    job = client.fine_tuning.jobs.retrieve(job_id)
    # The iterator fetches the further pages itself; 100 is the size of one.
    newest_first = list(client.fine_tuning.jobs.list_events(job_id, limit=100))
    events = tuple(reversed(newest_first))
    metrics = tuple(
        # A step without a validation has a null there; a series leaves it out.
        {key: value for key, value in event.data.items() if value is not None}
        for event in events
        if event.type == "metrics" and isinstance(event.data, dict)
    )
    return Snapshot(job, events, metrics)


def follow(
    client: OpenAI,
    job_id: str,
    *,
    every: float = 0.5,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Snapshot]:
    """Yield a snapshot every `every` seconds; the last one has `ended` true."""
    while True:
        current = snapshot(client, job_id)
        yield current
        if current.ended:
            return
        sleep(every)


def wait(
    client: OpenAI,
    job_id: str,
    *,
    every: float = 0.5,
    stop: Callable[[int, int], bool] = lambda step, steps: False,
) -> FineTuningJob:
    """Block until the job has ended; raises `BackendError` unless it succeeded.

    `stop` hears the newest step and how many there are, 0 and 0 before the first; where it says
    so the job is cancelled, and comes back as that. Interrupted, it raises a `BackendError` too,
    which says that the job goes on.
    """
    try:
        job = client.fine_tuning.jobs.retrieve(job_id)
        with counted("training steps") as tell:
            while job.status not in ENDED:
                time.sleep(every)
                step, steps = _newest_step(client, job_id, tell)
                if not steps:
                    tell.now(before_the_first_step(job.status))
                if stop(step, steps):
                    return _cancelled(client, job_id)
                job = client.fine_tuning.jobs.retrieve(job_id)
    except KeyboardInterrupt:
        # "from None": a reader who pressed stop needs no traceback of the sleep.
        raise no_longer_waiting(job_id) from None
    return succeeded(job)


def before_the_first_step(status: str) -> str:
    """What a job does of which no step is known yet, for a reader who waits."""
    if status == "validating_files":
        return "checking the files"
    if status == "queued":
        return "waiting for its turn to train"
    return "reading the base model and the examples"


def wait_for_turn(
    client: OpenAI, job_id: str, *, every: float = 0.5, seconds: float = math.inf
) -> float:
    """Block until a job is no longer queued behind others; the seconds that it took.

    A job of an earlier run that was broken off goes on, and the next one waits for it. After
    `seconds` it is waited for no longer.
    """
    start, waited = time.monotonic(), 0.0
    with counted("jobs before this one") as tell:
        while waited < seconds and client.fine_tuning.jobs.retrieve(job_id).status in QUEUED:
            time.sleep(every)
            tell(0, 1)
            waited = time.monotonic() - start
    return waited


def succeeded(job: FineTuningJob) -> FineTuningJob:
    """The job itself; raises `BackendError` if it ended without a model."""
    if job.status == "succeeded":
        return job
    if job.status == "cancelled":
        raise BackendError(
            f"job {job.id} was cancelled, so there is no model",
            fix="run the cell that starts the job again, then those below it",
        )
    reason = job.error.message if job.error and job.error.message else "no reason given"
    raise BackendError(
        f"job {job.id} {job.status}: {reason}",
        fix="mend the file or the setting that the message names, then create the job again",
    )


def no_longer_waiting(job_id: str) -> BackendError:
    """What a reader is told who interrupts a cell that waits."""
    return BackendError(
        f"stopped waiting; job {job_id} goes on in the server",
        fix=f"run this cell again to go on waiting; "
        f"client.fine_tuning.jobs.cancel({job_id!r}) ends the job",
    )


def _newest_step(client: OpenAI, job_id: str, tell: Tell) -> tuple[int, int]:
    """Show the newest step; a job can be waited for where events cannot be had."""
    from openai import APIError

    with contextlib.suppress(APIError):
        newest = client.fine_tuning.jobs.list_events(job_id, limit=1).data
        if newest and isinstance(newest[0].data, dict) and "total_steps" in newest[0].data:
            told = newest[0].data["step"], newest[0].data["total_steps"]
            tell(*told)
            return told
    return 0, 0


def _cancelled(client: OpenAI, job_id: str) -> FineTuningJob:
    """The job after an end that was asked for, or as it ended by itself in that moment."""
    from openai import APIError

    with contextlib.suppress(APIError):
        client.fine_tuning.jobs.cancel(job_id)
    return client.fine_tuning.jobs.retrieve(job_id)


def result_tables(client: OpenAI, job: FineTuningJob) -> tuple[pd.DataFrame, ...]:
    """The job's result files as tables: first the metrics of each step."""
    import pandas as pd

    tables = []
    for file_id in job.result_files:
        content = client.files.content(file_id).read()
        tables.append(pd.read_csv(io.BytesIO(_decoded(content))))
    return tuple(tables)


def _decoded(content: bytes) -> bytes:
    """OpenAI's own result files came base64-encoded; the embedded server's are plain CSV."""
    try:
        # Commas and line ends are outside base64's alphabet, so that a CSV never decodes by chance.
        return base64.b64decode(content, validate=True)
    except binascii.Error:
        return content
