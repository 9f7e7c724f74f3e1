"""Who asks: the bearer token of a request, and whose things it opens.

For: the door. Not for: what an owner has, see `storage.store`, nor keys, see `storage.keys`.

    callers = Callers(token, Keys(store))
    callers.of("workbook-…")        # Caller(owner="key:anna", leader=False), or None
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from helpers.backend.service.hub import Hub
from helpers.backend.storage.keys import Keys
from helpers.backend.storage.store import LOCAL

CALLER = "workbook.caller"
"""Where a request's scope says who sent it. Nothing that comes by network can write there."""


@dataclass(frozen=True)
class Caller:
    """Whoever sent a request."""

    owner: str
    """Whose documents the request may see: `local`, or the kind of key and a name."""
    leader: bool = False
    """Whether the whole class may be looked at."""
    in_batch: bool = False
    """Whether the server itself asks, for a batch of the owner's."""


class Callers:
    """All whom the server lets in: who has the state folder's token, a key, or a hub's token."""

    def __init__(self, token: str, keys: Keys, hub: Hub | None = None) -> None:
        self._token, self._keys, self._hub = token.encode(), keys, hub

    def of(self, given: str) -> Caller | None:
        """Who a token stands for; None for an unknown one."""
        # In constant time, so that nobody can guess the token letter by letter.
        if hmac.compare_digest(given.encode("utf-8", "surrogateescape"), self._token):
            return Caller(LOCAL, leader=True)
        if owner := self._keys.owner_of(given):
            return Caller(owner)
        user = self._hub.user(given) if self._hub else None
        return Caller(f"hub:{user.name}", leader=user.admin) if user else None
