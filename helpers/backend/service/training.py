"""Turn a request for a fine-tuning job into a job and what its trainer needs to know.

For: today's route and the retired one, which create the same jobs. Not for: running them, see
`helpers.backend.finetune.queue`.

    job = training.create(JobRequest.model_validate(body))
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any, Literal, NamedTuple

import psutil

from helpers.backend.protocol.errors import ApiError
from helpers.backend.protocol.schemas import JobRequest, new_id
from helpers.backend.service import job_memory
from helpers.backend.service.files import Files, invalid_file, longest_example
from helpers.backend.service.limits import Limits
from helpers.backend.service.models import Models
from helpers.backend.service.owned import OwnedJobs
from helpers.backend.storage.store import Document
from helpers.backend.training.hyperparameters import (
    NEFTUNE_ALPHA,
    PROMPT_LOSS_WEIGHT,
    ResolvedHyperparameters,
    resolve,
)
from helpers.backend.training.prepared import PreparedFile
from helpers.backend.training.spec import GET_FOUR_BITS, NO_FOUR_BITS, TrainSpec, has_four_bits
from helpers.base.settings import Settings
from helpers.base.template_tokenizer import folder_of
from helpers.datasets.validation.codes import CODES
from helpers.datasets.validation.file import MINIMUM, too_few

DEFAULT_BETA = 0.1
DPO_SHARE = 0.1
"""Preferences are learnt at a tenth of the learning rate: more breaks the model."""
HARMLESS = frozenset({"bom", "crlf", "blank_line", "weight_elsewhere"})
"""Oddities of a file that change nothing in training."""
NAMED = 3
"""Lines that the event of each kind of warning names."""


class JobData(NamedTuple):
    """What a job trains on, and what it is measured on."""

    training: PreparedFile
    validation: PreparedFile | None

    def warnings(self) -> list[str]:
        """What is not trained as it was read, one text for each kind of warning."""
        texts = []
        for name, file in zip(("training", "validation"), self, strict=True):
            if file is None:
                continue
            report = file.report
            for code in sorted(report.counts.keys() - HARMLESS):
                # The report counts all problems of a kind, and holds the first of them alone.
                found = [p.message for p in report.problems if p.code == code]
                more = report.counts[code] - NAMED
                text = "; ".join(found[:NAMED]) + (f"; and {more:,} more" if more > 0 else "")
                texts.append(f"The {name} file has the warning {code}: {text}. {CODES[code].why}")
        return texts


class JobSettings(NamedTuple):
    """A job's hyperparameters, with a value for each that was left to the server."""

    method: Literal["supervised", "dpo"]
    found: ResolvedHyperparameters
    beta: float
    prompt_loss_weight: float
    seed: int

    @classmethod
    def of(
        cls, body: JobRequest, method: Literal["supervised", "dpo"], examples: int
    ) -> JobSettings:
        asked = body.settings
        weight = asked.prompt_loss_weight
        return cls(
            method,
            resolve(examples, asked.n_epochs, asked.batch_size, asked.learning_rate_multiplier),
            DEFAULT_BETA if asked.beta == "auto" else asked.beta,
            PROMPT_LOSS_WEIGHT if weight == "auto" else weight,
            42 if body.seed is None else body.seed,
        )

    def shown(self) -> dict[str, Any]:
        """Those that the method reads, as a job shows them."""
        if self.method == "dpo":
            return vars(self.found) | {"beta": self.beta}
        return vars(self.found) | {"prompt_loss_weight": self.prompt_loss_weight}


class Training:
    """Checks what a job is to be made of, and queues it."""

    def __init__(
        self, settings: Settings, limits: Limits, models: Models, files: Files, jobs: OwnedJobs
    ) -> None:
        self._settings, self._limits = settings, limits
        self._models, self._files, self._jobs = models, files, jobs

    def create(self, body: JobRequest) -> Document:
        """Check a request and queue its job. Raises `ApiError` for anything that cannot run."""
        kind = body.method.type if body.method else "supervised"
        if kind == "reinforcement":
            raise ApiError(
                400,
                "This server trains with the methods 'supervised' and 'dpo'.",
                param="method",
                code="unsupported_value",
            )
        self._limits.room_for("jobs", self._jobs.waiting)
        self._limits.own_room_for("jobs", self._jobs.under_way, self._jobs.owner)
        gguf, parent = self._models.trainable(body.model)
        data = self._data(body, kind, gguf)
        settings = JobSettings.of(body, kind, data.training.report.examples)
        spec = self._spec(settings, data, gguf, parent)
        spec, notes = self._fitted(spec, data)
        warnings = [*data.warnings(), *notes]
        return self._jobs.submit(_document(body, settings), spec, warnings=warnings)

    def _fitted(self, spec: TrainSpec, data: JobData) -> tuple[TrainSpec, list[str]]:
        """The job as it fits into memory. Raises `ApiError` for one that does not."""
        if self._settings.executor:
            return spec, []  # not this machine's memory, nor its packages
        if spec.four_bit and not has_four_bits():
            why = f"WORKBOOK_4BIT is set: {NO_FOUR_BITS}. Remedy: {GET_FOUR_BITS}."
            raise ApiError(400, why, param="model", code="unsupported_value")
        lengths = data.training.report.tokens
        free = self._free()
        if lengths and job_memory.needed(spec, lengths) > free:
            # Models at rest would be loaded again in seconds; a job would be refused for good.
            self._models.rest()
            free = self._free()
        found = job_memory.fit(spec, lengths, free=free)
        return found, [job_memory.RECOMPUTED] if found.recompute else []

    def _free(self) -> int:
        """Bytes that a job may take."""
        return self._settings.job_memory or psutil.virtual_memory().available + self._held()

    def _held(self) -> int:
        """Bytes of the trainer that will be over before another job begins."""
        if (self._settings.jobs_at_once or 1) > 1:
            return 0
        held = 0
        for child in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                held += child.memory_info().rss
        return held

    def _data(self, body: JobRequest, kind: str, gguf: Path) -> JobData:
        """What there is to train on, when both files are good."""
        # By id first, then by content: the same file may have been uploaded twice.
        if body.validation_file == body.training_file:
            raise _same_twice()
        training = self._check(body.training_file, gguf, kind=kind, param="training_file")
        if not body.validation_file:
            return JobData(training, None)
        other = self._check(body.validation_file, gguf, kind=kind, param="validation_file")
        if training.sha256 == other.sha256:
            raise _same_twice()
        return JobData(training, other)

    def _check(self, key: str, gguf: Path, *, kind: str, param: str) -> PreparedFile:
        """A file that can be trained on. Raises `ApiError` with its first problem."""
        try:
            self._files.get(key)
        except ApiError:
            raise ApiError(
                404, f"No such File object: {key}", param=param, code="file_not_found"
            ) from None
        file = self._files.prepared(key, gguf)
        report, found = file.report, file.report.kind or ""
        few = too_few(report.examples, MINIMUM if param == "training_file" else 1)
        # Only the first problem is told, as OpenAI's API has room for one.
        for problem in [few] if few else report.errors:
            raise invalid_file(problem.message, problem.fix, problem.line, problem.code, param)
        if (found == "dpo") != (kind == "dpo"):
            raise ApiError(
                400,
                f"The file holds {found} examples, which the method {kind!r} cannot use.",
                param=param,
                code="invalid_training_file",
            )
        return file

    def _spec(
        self, settings: JobSettings, data: JobData, gguf: Path, parent: Path | None
    ) -> TrainSpec:
        found = settings.found
        return TrainSpec(
            base_gguf=str(gguf),
            training_file=str(data.training.examples),
            validation_file=str(data.validation.examples) if data.validation else None,
            parent_adapter=str(parent) if parent else None,
            method=settings.method,
            n_epochs=found.n_epochs,
            batch_size=found.batch_size,
            learning_rate=found.learning_rate * (DPO_SHARE if settings.method == "dpo" else 1),
            prompt_loss_weight=settings.prompt_loss_weight,
            neftune_alpha=NEFTUNE_ALPHA,
            beta=settings.beta,
            seed=settings.seed,
            threads=self._settings.job_threads,
            max_tokens=longest_example(gguf),
            precision=self._settings.precision,
            four_bit=self._settings.four_bit and folder_of(gguf) is not None,
            training_sha256=data.training.sha256,
        )


def _document(body: JobRequest, settings: JobSettings) -> Document:
    """The job as clients see it when it is new."""
    shown = settings.shown()
    return {
        "object": "fine_tuning.job",
        "id": new_id("ftjob-"),
        "model": body.model,
        "created_at": int(time.time()),
        "finished_at": None,
        "fine_tuned_model": None,
        "organization_id": "org-workbook",
        "result_files": [],
        "status": "validating_files",
        "validation_file": body.validation_file,
        "training_file": body.training_file,
        "hyperparameters": shown,
        "trained_tokens": None,
        "error": None,
        "integrations": [],
        "seed": settings.seed,
        "estimated_finish": None,
        "method": {"type": settings.method, settings.method: {"hyperparameters": shown}},
        "metadata": body.metadata,
        "user_provided_suffix": body.suffix,
        "_suffix": body.suffix,
    }


def _same_twice() -> ApiError:
    return ApiError(
        400,
        "The same file is given for training and for validation. "
        "Remedy: split off other examples for validation.",
        param="validation_file",
        code="invalid_validation_file",
    )
