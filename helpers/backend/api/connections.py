"""How many connections the server holds, and what they are told when it ends.

They are fewer than the process may have files open. Without a bound, one more connection than
descriptors makes asyncio try again and log an error as fast as it can, and no file can be opened
any more. For: `daemon`, as `uvicorn.Config(http=…)`. Not for: how many requests are worked on,
see `helpers.backend.service.limits`.

    uvicorn.Config(ShutdownNotice(app), http=BoundedProtocol)
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from helpers.backend.protocol.errors import ApiError

MOST = 512
LEAST = 16
PATIENCE = 30.0
"""Seconds in which a connection that was opened must ask for something."""
_BODY = (
    b'{"error": {"message": "The server has too many connections. Close some, and try again.", '
    b'"type": "requests", "param": null, "code": "too_many_connections"}}'
)
FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\n"
    b"connection: close\r\ncontent-length: %d\r\n\r\n%s" % (len(_BODY), _BODY)
)
ENDS = ApiError(
    503,
    "The server was ended before it had answered. Ask again when it runs.",
    type="server_error",
    code="server_ended",
)


def most_connections() -> int:
    """Half of the descriptors that the process may have; the others are for files."""
    if sys.platform == "win32":
        return MOST
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    # No limit is told as -1.
    return MOST if soft < 0 else max(LEAST, min(MOST, soft // 2))


class BoundedProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """uvicorn's protocol that refuses a connection too many, in words and without a log line."""

    refused = False

    def connection_made(self, transport: Any) -> None:
        if len(self.connections) >= most_connections():
            # uvicorn's own protocol is never told of this connection, so nothing below may reach
            # it.
            self.refused = True
            transport.write(FULL)
            transport.close()
            return
        super().connection_made(transport)
        asyncio.get_running_loop().call_later(PATIENCE, self._give_up)

    def _give_up(self) -> None:
        """Close a connection that never asked for anything: it keeps others out."""
        if self.cycle is None and not self.transport.is_closing():
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        if not self.refused:
            super().data_received(data)

    def eof_received(self) -> None:
        if not self.refused:
            super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.refused:
            super().connection_lost(exc)


class ShutdownNotice:
    """The application, which tells a client whose request is cut off that the server ends.

    uvicorn cancels such a request, answers it with a bare 500 and logs a traceback for each.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def send_noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, receive, send_noted)
        except asyncio.CancelledError:
            if scope["type"] != "http":
                raise
            if not begun:
                await JSONResponse(ENDS.body, ENDS.status)(scope, receive, send)
