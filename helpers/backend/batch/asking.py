"""Ask for the answers of some requests, so many at a time, until each has one.

For: the queue of batches, and a node that answers a part of one. Not for: where answers go.

    anyio.run(ask_all, ask, lines, most, stopped, answered)
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import anyio
import anyio.to_thread

from helpers.backend.batch import line_format
from helpers.backend.batch.line_format import BatchLine
from helpers.backend.protocol.errors import ApiError
from helpers.backend.protocol.schemas import new_id

Ask = Callable[[Mapping[str, Any]], Awaitable[tuple[int, str, Any]]]
"""Sends a body to the batch's endpoint; status, request id and body of the answer."""


async def ask_all(
    ask: Ask,
    lines: Sequence[BatchLine],
    most: int,
    stopped: Callable[[], bool],
    answered: Callable[[dict[str, Any]], None],
) -> None:
    """Send each request; `answered` gets the output line of each that was not stopped before."""
    at_once = anyio.CapacityLimiter(most)
    # This loop is not the server's: its threads have a limit of their own, of forty.
    anyio.to_thread.current_default_thread_limiter().total_tokens = max(40, most + 8)

    async def one(line: BatchLine) -> None:
        async with at_once:
            while not stopped():
                try:
                    status, request_id, body = await ask(line.body)
                except Exception as error:  # noqa: BLE001 - the other lines have to go on
                    refusal = ApiError(500, str(error), type="server_error")
                    status, request_id, body = 500, new_id("req_"), refusal.body
                # 429: too many requests are under way. It is no answer, so the line is sent again.
                if status != 429:
                    answered(line_format.output(line, status, request_id, body))
                    return
                await anyio.sleep(1)

    async with anyio.create_task_group() as group:
        for line in lines:
            group.start_soon(one, line)
