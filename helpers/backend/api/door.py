"""The door: who may come in, and as whom.

For: `app`. A request passes with a host name of this server, from no foreign page, and with a
token that stands for somebody; from here on it is that caller's, and routes get the caller's
view of the service. Not for: what a caller may do, see `helpers.backend.service`.

    app.add_middleware(AuthMiddleware, callers=callers, hosts=("127.0.0.1",))
"""

from __future__ import annotations

import time
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
from fastapi.responses import JSONResponse
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from helpers.backend.protocol.errors import ApiError
from helpers.backend.protocol.schemas import new_id
from helpers.backend.service.callers import CALLER, Caller, Callers
from helpers.backend.service.rates import Rates

# The page of a class holds nothing itself; it asks for a key and sends that.
OPEN = ("/health", "/class")
"""Paths that ask for no token."""
LOOKUPS = 8
"""Tokens that are looked up at the same time."""


class AuthMiddleware:
    """Lets a request in as somebody, or answers it with what is wrong."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        callers: Callers,
        hosts: tuple[str, ...],
        rates: Rates,
        prefix: str = "",
    ) -> None:
        self.app, self.callers, self.hosts, self.rates = app, callers, hosts, rates
        self.prefix = prefix.rstrip("/")
        self._lookups: anyio.CapacityLimiter | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if self.prefix and scope["path"].startswith(f"{self.prefix}/"):
            # Through a hub's proxy, which leaves the service's place in the path.
            path = scope["path"].removeprefix(self.prefix)
            scope = {**scope, "path": path, "raw_path": path.encode()}
        started, request_id = time.monotonic(), new_id("req_")

        async def send_stamped(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = request_id
                headers["openai-processing-ms"] = str(round((time.monotonic() - started) * 1000))
                headers["openai-version"] = "2020-10-01"
                if caller := scope.get(CALLER):
                    headers.update(self.rates.of(caller.owner).headers())
            await send(message)

        try:
            # The server asks itself in the name of a batch's owner.
            if CALLER not in scope:
                await self._let_in(scope)
        except ApiError as fault:
            answer = JSONResponse(fault.body, fault.status, headers=fault.headers)
            await answer(scope, receive, send_stamped)
            return
        await self.app(scope, receive, send_stamped)

    async def _let_in(self, scope: Scope) -> None:
        """Write down whose request it is. Raises `ApiError` where it may not pass."""
        headers = Headers(scope=scope)
        # Against names that a foreign page lets lead here (DNS rebinding): they come with their own
        # host.
        if _host(f"//{headers.get('host', '')}") not in self.hosts:
            raise ApiError(403, "This server answers on this machine only.", code="bad_host")
        origin = headers.get("origin")
        if origin and _host(origin) not in self.hosts:
            raise ApiError(403, "Pages of other sites may not use this server.", code="bad_origin")
        if scope["path"] in OPEN:
            return
        given = headers.get("authorization", "")
        if not given:
            raise ApiError(
                401,
                "You didn't provide an API key. Connect with helpers.connection.connect(), or send "
                "the text of .workbook/token, or a key of your own, as a bearer token.",
            )
        scope[CALLER] = await self._caller(given)

    async def _caller(self, given: str) -> Caller:
        # In a thread: a key is looked up in the database, and elsewhere if it is not there.
        # A bound of its own: wrong keys must not take the threads that answer.
        self._lookups = self._lookups or anyio.CapacityLimiter(LOOKUPS)
        kind, _, token = given.partition(" ")
        found = None
        if kind.lower() == "bearer":
            found = await anyio.to_thread.run_sync(
                self.callers.of, token.strip(), limiter=self._lookups
            )
        if found is None:
            raise ApiError(
                401,
                "Incorrect API key provided. The right one stands in .workbook/token, or was "
                "given to you by whoever runs this server; it may have been revoked.",
                param=None,
                code="invalid_api_key",
            )
        return found


def _host(address: str) -> str | None:
    """The host name in an address; None where it is no address."""
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None
