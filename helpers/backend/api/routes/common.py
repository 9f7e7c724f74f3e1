"""What routes share: the service of the running app, and server-sent events."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Annotated, Any, Literal

import anyio.to_thread
from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import StreamingResponse
from pydantic import TypeAdapter, ValidationError
from starlette.types import Receive, Scope, Send

from helpers.backend.protocol.errors import ApiError, unknown_place
from helpers.backend.protocol.schemas import Metadata, page
from helpers.backend.service import Service
from helpers.backend.service.callers import CALLER, Caller

METADATA: TypeAdapter[dict[str, str]] = TypeAdapter(Metadata)
# The second one keeps nginx from holding events back until a buffer is full.
SSE_HEADERS = {"cache-control": "no-cache", "x-accel-buffering": "no"}


def service_of(request: Request) -> Service:
    """The service as the request's caller sees it: a route has no way to another's things."""
    caller: Caller = request.scope[CALLER]
    whole: Service = request.app.state.service
    whole.presence.note(caller.owner)
    return whole.of(caller.owner, metered=not caller.in_batch)


ServiceOf = Annotated[Service, Depends(service_of)]


def within(limit: int, most: int) -> int:
    """A page's length: any number may be asked for, and 1 to `most` items come."""
    return min(max(limit, 1), most)


def part_of(
    items: Sequence[Mapping[str, Any]], after: str | None, limit: int, order: Literal["asc", "desc"]
) -> dict[str, Any]:
    """A page of items that are stored together. Raises `ApiError` for an unknown `after`."""
    ordered = list(items) if order == "asc" else list(items)[::-1]
    if after is not None:
        places = [place for place, item in enumerate(ordered) if item["id"] == after]
        if not places:
            raise unknown_place(after)
        ordered = ordered[places[0] + 1 :]
    return page(ordered[:limit], len(ordered) > limit, ends=True)


def has_metadata(request: Request) -> Callable[[Mapping[str, Any]], bool]:
    """The filter of `metadata[key]=value` and `metadata=null` in an address.

    Raises `ApiError` 400 for what cannot be metadata.
    """
    query = request.query_params
    given = [
        (key[len("metadata[") : -1], value)
        for key, value in query.multi_items()
        if key.startswith("metadata[") and key.endswith("]")
    ]
    wanted = dict(given)
    # "metadata[a][b]=1" gives the name "a][b".
    nested = [name for name in wanted if "[" in name or "]" in name]
    try:
        METADATA.validate_python(wanted)
    except ValidationError as error:
        raise RequestValidationError([error.errors()[0] | {"loc": ("metadata",)}]) from error
    if nested or len(wanted) < len(given):
        raise ApiError(400, "Give each key of the metadata once, with a text.", param="metadata")

    def keep(item: Mapping[str, Any]) -> bool:
        if query.get("metadata") == "null":
            return not item["metadata"]
        return wanted.items() <= (item["metadata"] or {}).items()

    return keep


class EventStream(StreamingResponse):
    """Server-sent events; when the client leaves, what makes them is closed at once."""

    def __init__(self, lines: Generator[str]) -> None:
        super().__init__(lines, media_type="text/event-stream", headers=SSE_HEADERS)
        self._lines = lines

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            # Shielded, since the client's leaving has cancelled what this runs in.
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._lines.close)


def sse(
    chunks: Generator[Mapping[str, Any]], *, named: bool = False, done: bool = True
) -> EventStream:
    """A stream of JSON objects; `named` puts each object's type in front, as Responses does."""

    def lines() -> Generator[str]:
        with contextlib.closing(chunks):
            for chunk in chunks:
                head = f"event: {chunk['type']}\n" if named else ""
                yield f"{head}data: {json.dumps(chunk)}\n\n"
        if done:
            yield "data: [DONE]\n\n"

    return EventStream(lines())
