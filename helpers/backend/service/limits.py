"""Bounds that keep one client from filling the machine.

For: every subject of the service. Not for: the size of a body, see `helpers.backend.api.app`.

    Limits(waiting=1, files=3)
"""

from __future__ import annotations

from dataclasses import dataclass

from helpers.backend.protocol.errors import ApiError


@dataclass(frozen=True)
class Limits:
    """How much of each there may be."""

    file_bytes: int = 512 * 1024 * 1024
    total_bytes: int = 4 * 1024 * 1024 * 1024
    files: int = 10_000
    waiting: int = 64
    """Inference requests under way or waiting; more get a 429."""
    jobs: int = 100
    """Jobs that may wait, and batches; more get a 429 too."""
    answers: int = 1000
    """Answers that are kept for clients that ask for it, of chats and of responses each."""

    def room_for(self, what: str, waiting: int) -> None:
        """Raise `ApiError` 429 if too many wait. Trying again soon would not help."""
        if waiting >= self.jobs:
            raise ApiError(
                429,
                f"{self.jobs} {what} are waiting already. Cancel some, or wait for them.",
                type="requests",
                code="rate_limit_exceeded",
                headers={"x-should-retry": "false"},
            )
