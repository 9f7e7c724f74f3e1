"""What routes share: the service of the running app, and server-sent events."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.responses import StreamingResponse

from helpers.backend.service import Service

SSE_HEADERS = {"cache-control": "no-cache", "x-accel-buffering": "no"}


def service_of(request: Request) -> Service:
    """The service that `create_app` made."""
    found: Service = request.app.state.service
    return found


ServiceOf = Annotated[Service, Depends(service_of)]


def sse(chunks: Iterator[Mapping[str, Any]], *, named: bool = False, done: bool = True) -> Any:
    """A stream of JSON objects; `named` puts each object's type in front, as Responses does."""

    def lines() -> Iterator[str]:
        for chunk in chunks:
            head = f"event: {chunk['type']}\n" if named else ""
            yield f"{head}data: {json.dumps(chunk)}\n\n"
        if done:
            yield "data: [DONE]\n\n"

    return StreamingResponse(lines(), media_type="text/event-stream", headers=SSE_HEADERS)
