"""`/v1/fine-tunes`: the API of 2021 to 2023, which `openai==0.28.1` calls; on the same jobs.

A fine-tune `ft-…` is the job `ftjob-…`; each is known by both ids here. Statuses, events
and files have their old shapes and words.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio.to_thread
from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from helpers.backend.api.routes.common import SSE_HEADERS, ServiceOf
from helpers.backend.finetune.queue import OVER
from helpers.backend.protocol.errors import ApiError
from helpers.backend.protocol.schemas import FineTuneRequest, JobRequest
from helpers.backend.service import Service
from helpers.backend.storage.store import Document, public

router = APIRouter()
POLL = 0.2
PING_SECONDS = 15.0
"""A silent stream sends a comment this often, so that no client gives it up for dead."""
STATUS = {"validating_files": "pending", "queued": "pending", "paused": "pending"}
"""Old names; running, succeeded, failed and cancelled were called the same."""
HYPERPARAMETERS = ("n_epochs", "batch_size", "learning_rate_multiplier", "prompt_loss_weight")
OLD_WORDS = [
    (re.compile(pattern), words)
    for pattern, words in (
        (r"^Created fine-tuning job: ftjob-", "Created fine-tune: ft-"),
        (r"^Files validated, moving job to queued state$", "Fine-tune enqueued"),
        (r"^Fine-tuning job started$", "Fine-tune started"),
        (r"^New fine-tuned model created: ", "Uploaded model: "),
        (r"^The job has successfully completed$", "Fine-tune succeeded"),
        (r"^The job has been ", "Fine-tune "),
        (r"^The job failed: ", "Fine-tune failed. "),
    )
]


@router.post("/v1/fine-tunes")
def create(body: FineTuneRequest, service: ServiceOf) -> Any:
    if body.compute_classification_metrics:
        raise ApiError(
            400,
            "This server computes no classification metrics; judge the model's answers instead.",
            param="compute_classification_metrics",
            code="unsupported_parameter",
        )
    given = body.model_dump(exclude_none=True)
    settings = {name: given[name] for name in HYPERPARAMETERS if name in given}
    asked = {name: given[name] for name in given.keys() & JobRequest.model_fields.keys()}
    job = service.training.create(JobRequest.model_validate(asked | {"hyperparameters": settings}))
    return fine_tune(service, service.jobs.get(job["id"]), with_events=True)


@router.get("/v1/fine-tunes")
def list_all(service: ServiceOf) -> Any:
    found, _ = service.store.list("job", newest_first=False)
    return {"object": "list", "data": [fine_tune(service, job) for job in found]}


@router.get("/v1/fine-tunes/{key}")
def retrieve(key: str, service: ServiceOf) -> Any:
    return fine_tune(service, service.jobs.get(job_id(key)), with_events=True)


@router.post("/v1/fine-tunes/{key}/cancel")
def cancel(key: str, service: ServiceOf) -> Any:
    return fine_tune(service, service.jobs.cancel(job_id(key)), with_events=True)


@router.get("/v1/fine-tunes/{key}/events")
def events(key: str, service: ServiceOf, stream: bool = False) -> Any:
    job = service.jobs.get(job_id(key))
    if not stream:
        return {"object": "list", "data": event_list(service, job["id"])}
    lines = until_the_end(service, job["id"])
    return StreamingResponse(lines, media_type="text/event-stream", headers=SSE_HEADERS)


@router.delete("/v1/fine-tunes/{key}")
def delete(key: str, service: ServiceOf) -> Any:
    """Remove the models that a fine-tune made; the record of it stays."""
    job = service.jobs.get(job_id(key))
    if job["status"] not in OVER:
        raise ApiError(400, f"Cancel {key} first: it is {job['status']}.", code="invalid_job_state")
    if not job["fine_tuned_model"]:
        raise ApiError(404, f"{key} has made no model.", param="id", code="model_not_found")
    service.models.delete(job["fine_tuned_model"])
    return {"id": key, "object": "fine-tune", "deleted": True}


def job_id(key: str) -> str:
    """The job of a fine-tune; its own id is understood too."""
    return "ftjob-" + key.removeprefix("ftjob-").removeprefix("ft-")


def fine_tune(service: Service, job: Document, *, with_events: bool = False) -> Document:
    """A job as it looked in the old API. Lists leave the events out."""
    asked = job["hyperparameters"]
    told = event_list(service, job["id"]) if with_events else []
    shown = {
        "object": "fine-tune",
        "id": job["id"].replace("ftjob-", "ft-", 1),
        "hyperparams": {
            **{name: asked[name] for name in HYPERPARAMETERS if name in asked},
        },
        "organization_id": job["organization_id"],
        "model": job["model"],
        "training_files": files(service, [job["training_file"]]),
        "validation_files": files(service, [job["validation_file"]]),
        "result_files": files(service, job["result_files"]),
        "created_at": job["created_at"],
        "updated_at": job["finished_at"] or (told[-1] if told else job)["created_at"],
        "status": STATUS.get(job["status"], job["status"]),
        "fine_tuned_model": job["fine_tuned_model"],
    }
    return shown | ({"events": told} if with_events else {})


def files(service: Service, keys: list[str | None]) -> list[Document]:
    """File objects; one that was deleted since is shown by its id."""
    gone = {"object": "file", "status": "deleted"}
    return [public(service.store.get("file", key) or gone | {"id": key}) for key in keys if key]


def event_list(service: Service, key: str) -> list[Document]:
    """All events of a job, oldest first."""
    found, _ = service.store.list("event", parent=key, newest_first=False)
    return [old_event(event) for event in found]


def old_event(event: Document) -> Document:
    """An event with its old shape and words."""
    message = event["message"]
    for pattern, words in OLD_WORDS:
        message = pattern.sub(words, message)
    return {
        "object": "fine-tune-event",
        "created_at": event["created_at"],
        "level": event["level"],
        "message": message,
    }


async def until_the_end(service: Service, key: str) -> AsyncIterator[str]:
    """Server-sent events: those so far, then each as it comes, until the job is over."""
    last, silent = None, 0.0
    while True:
        # First the status, then the events: an ended job writes no more of them.
        over = (await _in_thread(service.jobs.get, key))["status"] in OVER
        listed = functools.partial(service.store.list, parent=key, after=last, newest_first=False)
        found, _ = await _in_thread(listed, "event")
        for event in found:
            yield f"data: {json.dumps(old_event(event))}\n\n"
            last = event["id"]
        if over:
            break
        silent = 0.0 if found else silent + POLL
        if silent >= PING_SECONDS:
            silent = 0.0
            yield ": the job goes on\n\n"
        await anyio.sleep(POLL)
    yield "data: [DONE]\n\n"


async def _in_thread(work: Callable[[str], Any], key: str) -> Any:
    return await anyio.to_thread.run_sync(work, key)
