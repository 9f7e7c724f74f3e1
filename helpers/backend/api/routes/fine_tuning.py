"""`/v1/fine_tuning/jobs`: create, list, retrieve, cancel, pause, resume, events, checkpoints."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi import Request as HttpRequest

from helpers.backend.api.routes.common import ServiceOf, has_metadata, within
from helpers.backend.protocol.schemas import JobRequest, page
from helpers.backend.storage.store import Document, public

router = APIRouter()
MOST = 1000
"""Items on one page of a list."""


def shown(job: Document) -> Document:
    """A job as clients know it: to OpenAI's, one that is paused waits in the queue."""
    paused = job["status"] == "paused"
    return public(job) | ({"status": "queued", "paused": True} if paused else {})


@router.post("/v1/fine_tuning/jobs")
def create(body: JobRequest, service: ServiceOf) -> Any:
    return shown(service.training.create(body))


@router.get("/v1/fine_tuning/jobs")
def list_jobs(
    request: HttpRequest,
    service: ServiceOf,
    after: str | None = None,
    limit: int = 20,
) -> Any:
    found, more = service.store.list(
        "job", after=after, limit=within(limit, MOST), keep=has_metadata(request)
    )
    return page([shown(job) for job in found], more)


@router.get("/v1/fine_tuning/jobs/{job_id}")
def retrieve(job_id: str, service: ServiceOf) -> Any:
    return shown(service.jobs.get(job_id))


@router.post("/v1/fine_tuning/jobs/{job_id}/cancel")
def cancel(job_id: str, service: ServiceOf) -> Any:
    return shown(service.jobs.cancel(job_id))


@router.post("/v1/fine_tuning/jobs/{job_id}/pause")
def pause(job_id: str, service: ServiceOf) -> Any:
    return shown(service.jobs.pause(job_id))


@router.post("/v1/fine_tuning/jobs/{job_id}/resume")
def resume(job_id: str, service: ServiceOf) -> Any:
    return shown(service.jobs.resume(job_id))


@router.get("/v1/fine_tuning/jobs/{job_id}/events")
def events(
    job_id: str,
    service: ServiceOf,
    after: str | None = None,
    limit: int = 20,
) -> Any:
    # Another owner's job is none: without this look its list would be empty instead of a 404.
    service.jobs.get(job_id)
    found, more = service.store.list("event", parent=job_id, after=after, limit=within(limit, MOST))
    return page(found, more)


@router.get("/v1/fine_tuning/jobs/{job_id}/checkpoints")
def checkpoints(
    job_id: str,
    service: ServiceOf,
    after: str | None = None,
    limit: int = 10,
) -> Any:
    service.jobs.get(job_id)
    found, more = service.store.list(
        "checkpoint", parent=job_id, after=after, limit=within(limit, MOST)
    )
    return page([public(item) for item in found], more, ends=True)
