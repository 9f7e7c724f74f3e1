"""Whose a JupyterHub token is: the hub is asked, and its answer is kept for a minute.

For: the server as a service of a hub, where each learner's Lab has a token already. The token
must carry the scope of this service, `access:services!service=NAME`; one without it opens
nothing, whoever has it. Not for: logging in by a browser, which the hub itself does.

    hub = Hub("http://127.0.0.1:8081/hub/api", "course")
    hub.user("7d5b…")       # HubUser(name="anna", admin=False), or None
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from helpers.backend.protocol.errors import ApiError

KEPT_SECONDS = 60.0
"""How long an answer of the hub counts; a learner whom the hub forgets is let in so long."""
MOST_KEPT = 10_000
PATIENCE = 5.0
"""Seconds for the hub's answer."""


@dataclass(frozen=True)
class HubUser:
    """A person whom the hub knows."""

    name: str
    admin: bool = False


class Hub:
    """A JupyterHub, asked through its HTTP interface."""

    def __init__(
        self, api_url: str, service: str, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._url, self._service, self._clock = f"{api_url.rstrip('/')}/user", service, clock
        self._kept: dict[str, tuple[float, HubUser | None]] = {}
        self._lock = threading.Lock()
        # The hub is on this machine or beside it: no proxy of the environment lies between.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def user(self, token: str) -> HubUser | None:
        """Whose token it is, if it may use this service. Raises `ApiError` 503 without the hub."""
        # A token itself is nowhere kept.
        key, now = (
            hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest(),
            self._clock(),
        )
        # Not held while the hub is asked: one slow answer would keep everybody waiting.
        with self._lock:
            until, known = self._kept.get(key, (0.0, None))
        if now < until:
            return known
        found = self._allowed(self._ask(token))
        with self._lock:
            # All at once: a table that is this full was filled by guessing, and the rest is asked
            # again.
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            self._kept[key] = now + KEPT_SECONDS, found
        return found

    def _ask(self, token: str) -> dict[str, Any] | None:
        """What the hub says of a token; None where it knows none such."""
        # A header cannot carry it, so it is nobody's token.
        if not token.isascii() or not token.isprintable():
            return None
        request = urllib.request.Request(self._url, headers={"Authorization": f"token {token}"})
        try:
            with self._opener.open(request, timeout=PATIENCE) as answer:
                said: dict[str, Any] = json.load(answer)
                return said
        except urllib.error.HTTPError as error:
            if error.code in (401, 403, 404):
                return None
            # Any other answer says nothing about the token: a refusal would end a learner's work.
            raise _silent() from error
        except (OSError, ValueError) as error:
            raise _silent() from error

    def _allowed(self, said: dict[str, Any] | None) -> HubUser | None:
        if not said or said.get("kind") != "user":
            return None
        fits = {f"access:services!service={self._service}", "access:services"}
        if not fits & set(said.get("scopes") or ()):
            return None
        return HubUser(str(said["name"]), bool(said.get("admin")))


def _silent() -> ApiError:
    return ApiError(
        503,
        "The hub that knows whose token this is does not answer. Try again in some seconds.",
        type="server_error",
        code="hub_unavailable",
        headers={"retry-after": "5"},
    )
