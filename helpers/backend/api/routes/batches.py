"""`/v1/batches`: create, list, retrieve, cancel."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from helpers.backend.api.routes.common import ServiceOf, within
from helpers.backend.protocol.schemas import BatchRequest, page
from helpers.backend.storage.store import public

router = APIRouter()
MOST = 100
"""Batches on one page of the list."""


@router.post("/v1/batches")
def create(body: BatchRequest, service: ServiceOf) -> Any:
    return public(service.submit_batch(body))


@router.get("/v1/batches")
def list_batches(service: ServiceOf, after: str | None = None, limit: int = 20) -> Any:
    found, more = service.store.list("batch", after=after, limit=within(limit, MOST))
    return page([public(batch) for batch in found], more, ends=True)


@router.get("/v1/batches/{key}")
def retrieve(key: str, service: ServiceOf) -> Any:
    return public(service.batches.get(key))


@router.post("/v1/batches/{key}/cancel")
def cancel(key: str, service: ServiceOf) -> Any:
    return public(service.batches.cancel(key))
