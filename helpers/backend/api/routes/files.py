"""`/v1/files`: upload, list, retrieve, content, delete."""

from __future__ import annotations

import functools
from typing import Annotated, Any, Literal

import anyio.to_thread
from fastapi import APIRouter, Form, Request, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse
from pydantic import ValidationError
from starlette.datastructures import FormData

from helpers.backend.api.routes.common import ServiceOf, within
from helpers.backend.protocol.errors import ApiError
from helpers.backend.protocol.schemas import Expiry, page
from helpers.backend.storage.store import public

router = APIRouter()
MOST = 10_000
"""Files on one page of the list."""
EXPIRY = "expires_after"
# `expires_after[anchor]` and the like: how OpenAI's clients write an object into a form.
BRACKETED = {f"{EXPIRY}[{name}]": name for name in Expiry.model_fields}
FIELDS = {"file", "purpose", EXPIRY, *BRACKETED}


@router.post("/v1/files")
async def upload(
    request: Request, file: UploadFile, purpose: Annotated[str, Form()], service: ServiceOf
) -> Any:
    # Read already for the parameters; here it is looked through for names that nobody knows.
    form = await request.form()
    if unknown := form.keys() - FIELDS:
        name = min(unknown)
        raise ApiError(400, f"Unknown parameter: '{name}'.", param=name, code="unknown_parameter")
    expiry = expiry_of(form)
    keep = functools.partial(
        service.files.add,
        file.filename or "upload",
        purpose,
        file.file,
        seconds=expiry.seconds if expiry else None,
    )
    return await anyio.to_thread.run_sync(keep)


def expiry_of(form: FormData) -> Expiry | None:
    """`expires_after`, as fields with brackets or as one part of JSON; None if it is not given."""
    parts = {name: str(form[key]) for key, name in BRACKETED.items() if key in form}
    given = form.get(EXPIRY)
    try:
        if isinstance(given, str):
            return Expiry.model_validate_json(given)
        return Expiry.model_validate(parts) if parts else None
    except ValidationError as error:
        wrong = [{**one, "loc": (EXPIRY, *one["loc"])} for one in error.errors()]
        raise RequestValidationError(wrong) from error


@router.get("/v1/files")
def list_files(
    service: ServiceOf,
    purpose: str | None = None,
    limit: int = MOST,
    order: Literal["asc", "desc"] = "desc",
    after: str | None = None,
) -> Any:
    service.files.drop_expired()
    found, more = service.store.list(
        "file",
        after=after,
        limit=within(limit, MOST),
        newest_first=order == "desc",
        keep=lambda item: purpose in (None, item["purpose"]),
    )
    return page([public(item) for item in found], more, ends=True)


@router.get("/v1/files/{key}")
def retrieve_file(key: str, service: ServiceOf) -> Any:
    return public(service.files.get(key))


@router.get("/v1/files/{key}/content")
def file_content(key: str, service: ServiceOf) -> Any:
    name = service.files.get(key)["filename"]
    path = service.files.path(key)
    return FileResponse(path, media_type="application/octet-stream", filename=name)


@router.delete("/v1/files/{key}")
def delete_file(key: str, service: ServiceOf) -> Any:
    return service.files.delete(key)
