"""`/v1/files`: upload, list, retrieve, content, delete."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, Query, UploadFile
from fastapi.responses import FileResponse

from helpers.backend.routes.common import ServiceOf
from helpers.backend.schemas import page
from helpers.backend.service import public

router = APIRouter()


@router.post("/v1/files")
def upload(file: UploadFile, purpose: Annotated[str, Form()], service: ServiceOf) -> Any:
    return service.add_file(file.filename or "upload", purpose, file.file)


@router.get("/v1/files")
def list_files(
    service: ServiceOf,
    purpose: str | None = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 10_000,
    order: Literal["asc", "desc"] = "desc",
    after: str | None = None,
) -> Any:
    found, more = service.store.list(
        "file",
        after=after,
        limit=limit,
        newest_first=order == "desc",
        keep=lambda item: purpose in (None, item["purpose"]),
    )
    return page([public(item) for item in found], more, ends=True)


@router.get("/v1/files/{key}")
def retrieve_file(key: str, service: ServiceOf) -> Any:
    return public(service.file(key))


@router.get("/v1/files/{key}/content")
def file_content(key: str, service: ServiceOf) -> Any:
    name = service.file(key)["filename"]
    path = service.store.files / key
    return FileResponse(path, media_type="application/octet-stream", filename=name)


@router.delete("/v1/files/{key}")
def delete_file(key: str, service: ServiceOf) -> Any:
    return service.delete_file(key)
