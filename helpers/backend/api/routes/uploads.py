"""`/v1/uploads`: a file in parts, as `client.uploads.upload_file_chunked` sends it."""

from __future__ import annotations

import functools
from typing import Any

import anyio.to_thread
from fastapi import APIRouter, UploadFile

from helpers.backend.api.routes.common import ServiceOf
from helpers.backend.protocol.schemas import UploadCompletion, UploadRequest
from helpers.backend.storage.store import public

router = APIRouter()


@router.post("/v1/uploads")
def create(body: UploadRequest, service: ServiceOf) -> Any:
    return public(service.uploads.create(body))


@router.post("/v1/uploads/{key}/parts")
async def add_part(key: str, data: UploadFile, service: ServiceOf) -> Any:
    return await anyio.to_thread.run_sync(
        functools.partial(service.uploads.add_part, key, data.file)
    )


@router.post("/v1/uploads/{key}/complete")
def complete(key: str, body: UploadCompletion, service: ServiceOf) -> Any:
    return public(service.uploads.complete(key, body.part_ids, body.md5))


@router.post("/v1/uploads/{key}/cancel")
def cancel(key: str, service: ServiceOf) -> Any:
    return public(service.uploads.cancel(key))
