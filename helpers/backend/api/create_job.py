"""Turn a request for a fine-tuning job into a job and what its trainer needs to know.

For: today's route and the retired one, which create the same jobs. Not for: running them, see
`helpers.backend.finetune.queue`.

    job = create_job(JobRequest.model_validate(body), service)
"""

from __future__ import annotations

import filecmp
import time
from pathlib import Path
from typing import Any

from helpers.backend.protocol.errors import ApiError, unknown_model
from helpers.backend.protocol.schemas import JobRequest, new_id
from helpers.backend.service import MAX_TRAINING_TOKENS, Service
from helpers.backend.storage.store import Document
from helpers.backend.training.hyperparameters import NEFTUNE_ALPHA, PROMPT_LOSS_WEIGHT, resolve
from helpers.backend.training.spec import TrainSpec

DEFAULT_BETA = 0.1


DPO_SHARE = 0.1
"""Preferences are learnt at a tenth of the learning rate: more breaks the model."""


def create_job(body: JobRequest, service: Service) -> Document:
    """Check a request and queue its job. Raises `ApiError` for anything that cannot run."""
    kind = body.method.type if body.method else "supervised"
    if kind == "reinforcement":
        raise ApiError(
            400,
            "This server trains with the methods 'supervised' and 'dpo'.",
            param="method",
            code="unsupported_value",
        )
    service.room_for_job()
    gguf, parent = _base(body.model, service)
    if body.validation_file == body.training_file:
        raise _same_twice()
    examples = service.training_problems(body.training_file, kind=kind, param="training_file")
    if body.validation_file:
        service.training_problems(body.validation_file, kind=kind, param="validation_file")
        first, second = (
            service.store.files / key for key in (body.training_file, body.validation_file)
        )
        if filecmp.cmp(first, second, shallow=False):
            raise _same_twice()
    return service.jobs.submit(*_job(body, service, kind, examples, gguf, parent))


def _same_twice() -> ApiError:
    return ApiError(
        400,
        "The same file is given for training and for validation. "
        "Remedy: split off other examples for validation.",
        param="validation_file",
        code="invalid_validation_file",
    )


def _base(name: str, service: Service) -> tuple[Path, Path | None]:
    """Weights, and the adapter to go on from if the base is a fine-tuned model."""
    if alias := service.store.get("alias", name):
        name = alias["model"]
    if name in service.bases:
        return service.bases[name].gguf, None
    model = service.store.get("model", name)
    if model is None:
        raise unknown_model(name)
    return Path(model["_gguf"]), Path(model["_adapter"])


def _job(
    body: JobRequest,
    service: Service,
    kind: str,
    examples: int,
    gguf: Path,
    parent: Path | None,
) -> tuple[Document, TrainSpec]:
    asked = body.settings
    found = resolve(examples, asked.n_epochs, asked.batch_size, asked.learning_rate_multiplier)
    beta = DEFAULT_BETA if asked.beta == "auto" else asked.beta
    seed = 42 if body.seed is None else body.seed
    shown: dict[str, Any] = vars(found).copy()
    weight = PROMPT_LOSS_WEIGHT if asked.prompt_loss_weight == "auto" else asked.prompt_loss_weight
    if kind == "dpo":
        shown["beta"] = beta
    else:
        shown["prompt_loss_weight"] = weight
    files = service.store.files
    spec = TrainSpec(
        base_gguf=str(gguf),
        training_file=str(files / body.training_file),
        validation_file=str(files / body.validation_file) if body.validation_file else None,
        parent_adapter=str(parent) if parent else None,
        method="dpo" if kind == "dpo" else "supervised",
        n_epochs=found.n_epochs,
        batch_size=found.batch_size,
        learning_rate=found.learning_rate * (DPO_SHARE if kind == "dpo" else 1),
        prompt_loss_weight=weight,
        neftune_alpha=NEFTUNE_ALPHA,
        beta=beta,
        seed=seed,
        threads=service.settings.threads,
        max_tokens=MAX_TRAINING_TOKENS,
    )
    job = {
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
        "seed": seed,
        "estimated_finish": None,
        "method": {"type": kind, kind: {"hyperparameters": shown}},
        "metadata": body.metadata,
        "user_provided_suffix": body.suffix,
        "_suffix": body.suffix,
    }
    return job, spec
