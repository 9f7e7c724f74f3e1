"""How much of the model each owner uses: tokens a minute, and requests at the same time.

For: a class, in which nobody shall wait because one of them asks without end. The one user of a
machine has no such bound. Not for: what the whole server can take, see `service.limits`.

    meter = Rates(limits).of("key:anna")
    with meter.request():           # 429 where the minute's tokens are used up
        meter.count(prompt_tokens + completion_tokens)
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable, Iterator

from helpers.backend.protocol.errors import ApiError
from helpers.backend.service.limits import Limits
from helpers.backend.storage.store import LOCAL

MINUTE = 60.0
RESERVED = 256
"""Tokens that a request counts for before it is known how many it takes."""
LONGEST_WAIT = 110
"""Seconds; OpenAI's client sleeps what it is told in full, and gives up from 120 on."""


class Meter:
    """One owner's bucket of tokens: it fills at the limit's rate, and holds a minute's worth.

    What a request really took is known at its end, so the bucket may be overdrawn, by at most
    what was under way.
    """

    def __init__(self, limits: Limits | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits, self._clock = limits, clock
        self._lock = threading.Lock()
        # A full bucket: whoever comes first is not made to wait.
        self._level = float(limits.own_tokens) if limits else math.inf
        self._at, self.under_way = clock(), 0

    @contextlib.contextmanager
    def request(self) -> Iterator[None]:
        """Hold a place for a request. Raises `ApiError` 429 with the seconds to wait."""
        self._enter()
        try:
            yield
        finally:
            with self._lock:
                self.under_way -= 1

    def _enter(self) -> None:
        with self._lock:
            limits, left = self._limits, self._left()
            if limits and self.under_way >= limits.own_requests:
                raise ApiError(
                    429,
                    f"{limits.own_requests} of your requests are under way already. "
                    "Wait for one of them, or send many as a batch.",
                    type="requests",
                    code="rate_limit_exceeded",
                    headers={"retry-after": "1"},
                )
            # Not at 0: a request that is let in takes some hundreds of tokens before it is counted.
            if limits and left < RESERVED:
                wait = min(self._seconds_until(RESERVED, limits), LONGEST_WAIT)
                raise ApiError(
                    429,
                    f"Rate limit reached on tokens per min (TPM): Limit {limits.own_tokens}, "
                    f"Used {round(limits.own_tokens - left)}. Please try again in {wait:.0f}s, or "
                    "send many requests as a batch, which has no such limit.",
                    type="tokens",
                    code="rate_limit_exceeded",
                    headers={"retry-after": f"{math.ceil(wait)}"},
                )
            self.under_way += 1

    def count(self, tokens: int) -> None:
        """Take the tokens of a request out of the bucket."""
        with self._lock:
            self._fill()
            self._level -= tokens

    def headers(self) -> dict[str, str]:
        """What OpenAI's answers say of the tokens that are left; nothing without a limit."""
        with self._lock:
            if self._limits is None:
                return {}
            left = max(0, round(self._left()))
            full = self._seconds_until(self._limits.own_tokens, self._limits)
        return {
            "x-ratelimit-limit-tokens": str(self._limits.own_tokens),
            "x-ratelimit-remaining-tokens": str(left),
            "x-ratelimit-reset-tokens": f"{full:.3f}s",
        }

    def _left(self) -> float:
        self._fill()
        # What is under way has taken its share already, though nobody knows yet how much.
        return self._level - RESERVED * self.under_way

    def _fill(self) -> None:
        now = self._clock()
        if self._limits:
            more = (now - self._at) * self._limits.own_tokens / MINUTE
            self._level = min(self._level + more, self._limits.own_tokens)
        self._at = now

    def _seconds_until(self, tokens: float, limits: Limits) -> float:
        return max(0.0, tokens - self._left()) * MINUTE / limits.own_tokens


class Rates:
    """The meter of each owner, the same for all of an owner's requests."""

    def __init__(self, limits: Limits) -> None:
        self._limits, self._lock = limits, threading.Lock()
        self._meters: dict[str, Meter] = {LOCAL: Meter(None)}

    def of(self, owner: str) -> Meter:
        with self._lock:
            if owner not in self._meters:
                self._meters[owner] = Meter(self._limits)
            return self._meters[owner]
