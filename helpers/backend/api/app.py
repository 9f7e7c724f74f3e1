"""The web application: routes, the door, and errors in OpenAI's envelope.

For: `daemon` and tests. Not for: deciding (see `service`).

    app = create_app(settings, token="…")
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import threading
from collections.abc import AsyncIterator, Mapping
from typing import Any

import anyio.to_thread
import httpx2
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from helpers.backend.api.door import AuthMiddleware
from helpers.backend.api.routes import (
    batches,
    chat,
    classroom,
    completions,
    embeddings,
    engines,
    files,
    fine_tunes,
    fine_tuning,
    models,
    responses,
    uploads,
)
from helpers.backend.batch.queue import Ask
from helpers.backend.executors.exchange import Exchange
from helpers.backend.inference.engine import CLIENT_LEFT, ContextTooLong, Engine
from helpers.backend.inference.engine_choice import resolved
from helpers.backend.protocol.errors import ApiError
from helpers.backend.service import Service
from helpers.backend.service.callers import CALLER, Caller, Callers
from helpers.backend.service.hub import Hub
from helpers.backend.service.limits import Limits
from helpers.backend.storage.database import StoreGone
from helpers.backend.storage.keys import Keys
from helpers.backend.storage.store import Store, database_of
from helpers.base.errors import CourseError, NoSpaceError
from helpers.base.settings import Settings

LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")
THREADS = 128
"""Requests that may wait in a thread; the service sheds load before these run out."""

TODAY = (models, files, uploads, fine_tuning, chat, responses, embeddings, batches)
PARTS = (*TODAY, completions, engines, fine_tunes, classroom)
"""The modules whose routes make the API."""
HERE = (
    "models, files, uploads, fine-tuning jobs, chat and other completions, responses, embeddings "
    "and batches"
)
ELSEWHERE = (
    "/assistants", "/audio", "/chatkit", "/chat", "/containers", "/content_provenance_checks",
    "/conversations", "/decisions", "/evals", "/fine_tuning", "/images", "/live", "/moderations",
    "/organization", "/projects", "/realtime", "/responses", "/skills", "/threads",
    "/vector_stores", "/videos", "/edits", "/answers", "/classifications", "/search",
)  # fmt: skip
"""Parts of OpenAI's API, of today and of before, that are not here or not whole."""
BODY_BYTES = 16 * 1024 * 1024
"""The largest body that is not an upload."""
PART_BYTES = 64 * 1024 * 1024
"""The largest part of an upload, and the size that OpenAI's client makes them."""
FORM_BYTES = 64 * 1024
"""What a form adds to the file in it."""


TYPE_NAME = re.compile(r"literal\[|constrained-|list\[|dict\[|(?:int|float|str|bool)$")
"""What pydantic adds to the path of a field that may have several types."""


class BodyLimit:
    """No body beyond its bound is read: neither one that says its length nor one that does not."""

    def __init__(self, app: ASGIApp, *, upload: int) -> None:
        self.app, self.upload = app, upload

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        bound = self._bound(scope["path"])
        # Refused by what it says, before a byte is read; who says nothing or lies is counted below.
        said = Headers(scope=scope).get("content-length", "0")
        if not said.isdecimal() or int(said) > bound:
            await _answer(_too_large(bound))(scope, receive, send)
            return
        read = 0

        async def receive_counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > bound:
                raise HTTPException(413, _too_large(bound).args[0])
            return message

        await self.app(scope, receive_counted, send)

    def _bound(self, path: str) -> int:
        if path == "/v1/files":
            return self.upload + FORM_BYTES
        if path.startswith("/v1/uploads/") and path.endswith("/parts"):
            return min(self.upload, PART_BYTES) + FORM_BYTES
        return BODY_BYTES


class ClientWatch:
    """Tells the engine when a client has left: nothing is worked out for nobody.

    A stream notices that by itself when it sends; an answer that is sent whole would not, and
    hold its slot for minutes.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        left = threading.Event()
        watching: asyncio.Future[Message] | None = None
        CLIENT_LEFT.set(left)

        async def watch() -> Message:
            # After the body, the only message is that the client has gone.
            message = await receive()
            left.set()
            return message

        async def receive_watched() -> Message:
            nonlocal watching
            if watching is not None:
                # Shielded: whoever stops waiting for the message must not end the watch.
                return await asyncio.shield(watching)
            message = await receive()
            if not message.get("more_body"):
                watching = asyncio.ensure_future(watch())
            return message

        try:
            await self.app(scope, receive_watched, send)
        finally:
            if watching is not None:
                watching.cancel()


def _too_large(bound: int) -> ApiError:
    return ApiError(
        413,
        f"The request is too large. The limit is {bound:,} bytes. Send it in smaller parts.",
        code="request_too_large",
    )


def create_app(
    settings: Settings,
    *,
    token: str,
    engine: Engine | None = None,
    limits: Limits | None = None,
    hosts: tuple[str, ...] = LOCAL_HOSTS,
    hub: Hub | None = None,
    prefix: str = "",
) -> FastAPI:
    """The server for one state folder. `prefix`: what a proxy leaves before each path."""
    place = Exchange.at(settings.files, "WORKBOOK_FILES") if settings.files else None
    store = Store(settings.state, database_of(settings), place)
    store.enter()
    model_engine = engine or Engine(
        threads=settings.threads, cache=settings.state / "cache", chosen=resolved(settings)
    )
    bounds = limits or Limits()
    service = Service(settings, store, model_engine, bounds)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
        service.batch_queue.start(through(app))
        yield
        service.close()

    app = FastAPI(title="workbook", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.service = service
    for part in PARTS:
        app.include_router(part.router)
    app.add_api_route("/health", lambda: {"status": "ok"}, methods=["GET"])
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(ContextTooLong, _too_long)
    app.add_exception_handler(CourseError, _course_error)
    app.add_exception_handler(NoSpaceError, _no_space)
    app.add_exception_handler(StoreGone, _store_gone)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _unexpected)
    # The last one added is the outermost: first the door, then the bound on bodies, then the watch.
    app.add_middleware(ClientWatch)
    app.add_middleware(BodyLimit, upload=bounds.file_bytes)
    callers = Callers(token, Keys(store), hub)
    app.add_middleware(
        AuthMiddleware, callers=callers, hosts=hosts, rates=service.rates, prefix=prefix
    )
    return app


def through(app: FastAPI) -> Ask:
    """A way for the server to ask itself, so that a batch gets what its owner's requests get."""
    headers = {"content-type": "application/json"}

    async def ask(owner: str, path: str, body: Mapping[str, Any]) -> tuple[int, str, Any]:
        async def as_owner(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, CALLER: Caller(owner, in_batch=True)}, receive, send)

        # An error that nobody expected is answered with 500 here too.
        inside = httpx2.ASGITransport(app=as_owner, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=inside, base_url="http://127.0.0.1") as client:
            # No timeout: a batch waits for its answer as long as it takes.
            answer = await client.post(
                path, content=json.dumps(body), headers=headers, timeout=None
            )
        return answer.status_code, answer.headers["x-request-id"], answer.json()

    return ask


def _answer(error: ApiError) -> JSONResponse:
    return JSONResponse(error.body, error.status, headers=error.headers)


async def _api_error(request: Request, error: Any) -> JSONResponse:
    return _answer(error)


async def _too_long(request: Request, error: Any) -> JSONResponse:
    return _answer(ApiError(400, str(error), param="messages", code="context_length_exceeded"))


async def _no_space(request: Request, error: Any) -> JSONResponse:
    """Nothing was half written; trying again at once would not help."""
    headers = {"x-should-retry": "false"}
    fault = ApiError(507, str(error), type="server_error", code="disk_full", headers=headers)
    return _answer(fault)


async def _store_gone(request: Request, error: Any) -> JSONResponse:
    """A client of OpenAI's asks again by itself."""
    fault = ApiError(503, str(error), type="server_error", code="store_unavailable")
    fault.headers["retry-after"] = "2"
    return _answer(fault)


async def _course_error(request: Request, error: Any) -> JSONResponse:
    return _answer(ApiError(400, str(error)))


async def _invalid(request: Request, error: Any) -> JSONResponse:
    """The first fault of a body, with the path of the field that has it."""
    found = error.errors()
    first = found[0]
    if first["type"] == "json_invalid":
        return _answer(
            ApiError(400, "We could not parse the JSON body of your request. Check its syntax.")
        )
    where = _field(first)
    if first["type"] == "missing":
        return _answer(
            ApiError(
                400,
                f"Missing required parameter: '{where}'.",
                param=where or None,
                code="missing_required_parameter",
            )
        )
    if first["type"] == "extra_forbidden":
        return _answer(
            ApiError(400, f"Unknown parameter: '{where}'.", param=where, code="unknown_parameter")
        )
    # A field of several types has a fault for each of them.
    faults = dict.fromkeys(one["msg"] for one in found if _field(one) == where)
    wanted = " or ".join(faults).replace(" or Input should be ", " or ")
    message = f"Invalid value for '{where}': {wanted}." if where else f"{wanted}."
    return _answer(ApiError(400, message, param=where or None, code="invalid_value"))


def _field(fault: Mapping[str, Any]) -> str:
    """The field's path as the client wrote it: without pydantic's names for types."""
    parts = [str(part) for part in fault["loc"] if part not in ("body", "query")]
    path = ".".join(part for part in parts if not TYPE_NAME.match(part))
    # A name may hold half of a surrogate pair, which could not be sent back.
    return path.encode("utf-8", "backslashreplace").decode()


async def _http_error(request: Request, error: Any) -> JSONResponse:
    if error.status_code == 404:
        message = _no_such_path(request)
    elif error.status_code == 405:
        message = f"Not allowed to {request.method} on {request.url.path}."
    else:
        message = str(error.detail)
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(_methods(request.url.path) or ["GET"])
    return _answer(ApiError(error.status_code, message, headers=headers))


def _no_such_path(request: Request) -> str:
    path = request.url.path
    if any(path == f"/v1{part}" or path.startswith(f"/v1{part}/") for part in ELSEWHERE):
        return f"{request.method} {path} is not offered by this server. It has {HERE}."
    return f"Invalid URL ({request.method} {path})"


def _methods(path: str) -> list[str]:
    """All methods of a path; Starlette names those of one route alone."""
    every = (route for part in PARTS for route in part.router.routes)
    found = set[str]()
    for route in every:
        if isinstance(route, APIRoute) and route.path_regex.match(path):
            found |= route.methods or set()
    return sorted(found)


async def _unexpected(request: Request, error: Any) -> JSONResponse:
    settings = request.app.state.service.settings
    # The whole path would tell a class where its leader keeps things.
    usual = settings.state == settings.root / ".workbook"
    place = ".workbook/" if usual else "in the folder that WORKBOOK_STATE names, "
    message = f"The server had an error; its log is {place}logs/server.log."
    return _answer(ApiError(500, message, type="server_error"))
