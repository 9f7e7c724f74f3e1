"""How many connections the server holds: fewer than the process may have files open.

Without a bound, one more connection than descriptors makes asyncio try again and log an error
as fast as it can, and no file can be opened any more. For: `daemon`, as `uvicorn.Config(http=…)`.
Not for: how many requests are worked on, see `helpers.backend.service.limits`.

    uvicorn.Config(app, http=BoundedProtocol)
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

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
