"""Bounds that keep one client from filling the machine.

For: every subject of the service. Not for: the size of a body, see `helpers.backend.api.app`.

    Limits(waiting=1, files=3)
    Limits.parse("jobs=3,tokens=40000,megabytes=200")       # of each owner, as `serve` takes them
"""

from __future__ import annotations

from dataclasses import dataclass

from helpers.backend.protocol.errors import ApiError
from helpers.backend.storage.store import LOCAL
from helpers.base.errors import CourseError

RETRY_SECONDS = 60


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
    own_jobs: int = 5
    """Of one owner who shares the server with others: jobs that run, wait or are paused; batches
    that are not over; bytes of files; requests at the same time; tokens a minute. Whoever has the
    state folder's token is bound by none of these."""
    own_batches: int = 5
    own_bytes: int = 512 * 1024 * 1024
    own_requests: int = 16
    own_tokens: int = 60_000

    @classmethod
    def parse(cls, text: str) -> Limits:
        """The limits of each owner, from `name=number` with commas between.

        Raises `CourseError` for a name or a number that means nothing.
        """
        names = {"jobs": 1, "batches": 1, "megabytes": 2**20, "requests": 1, "tokens": 1}
        given: dict[str, int] = {}
        for part in filter(None, text.split(",")):
            name, _, number = part.partition("=")
            if name.strip() not in names or not number.strip().isdecimal() or int(number) < 1:
                raise CourseError(
                    f"{part!r} is no limit",
                    fix=f"give a whole number for one of {', '.join(names)}, such as jobs=3",
                )
            field = "own_bytes" if name.strip() == "megabytes" else f"own_{name.strip()}"
            given[field] = int(number) * names[name.strip()]
        return cls(**given)

    def own_room_for(self, what: str, under_way: int, owner: str) -> None:
        """Raise `ApiError` 429 if an owner has as many jobs or batches as one may have."""
        most = self.own_jobs if what == "jobs" else self.own_batches
        if owner != LOCAL and under_way >= most:
            raise ApiError(
                429,
                f"You have {under_way} {what} that run or wait, and {most} is the most. "
                "Wait until one ends, or cancel one that you no longer need.",
                type="requests",
                code="rate_limit_exceeded",
                # Told at once by OpenAI's client; another one tries again after this long.
                headers={"retry-after": str(RETRY_SECONDS), "x-should-retry": "false"},
            )

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
