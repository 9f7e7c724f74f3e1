"""Keys of the people who share one server: made, listed, revoked; only their hashes are kept.

For: `python3 -m helpers keys` and the server's door. A key that was revoked opens nothing from
the next request on; what its owner made stays, and is theirs again with a new key. Not for: the
token of the state folder, which is its one user's or the leader's.

    keys = Keys(Store(settings.load().state))
    secret = keys.add("anna")       # shown once
    keys.owner_of(secret)           # "key:anna"
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from dataclasses import dataclass

from helpers.backend.storage.store import SERVER, Store
from helpers.base.errors import CourseError

NAME = re.compile(r"[\w.@+-]{1,64}")


@dataclass(frozen=True)
class Key:
    """A key as it is remembered."""

    name: str
    created_at: int
    """Unix seconds."""
    end: str
    """Its last four letters, to tell it from others."""


class Keys:
    """The keys of one state folder. Two processes may use them at the same time."""

    def __init__(self, store: Store) -> None:
        self._store = store.of(SERVER)

    def add(self, name: str) -> str:
        """A new key for a name, which is not kept. Raises `CourseError` if the name has one."""
        if not NAME.fullmatch(name):
            raise CourseError(
                f"{name!r} cannot be a name of a key",
                fix="take up to 64 letters, digits and . @ + - _, such as anna or anna@school",
            )
        if any(key.name == name for key in self.all()):
            raise CourseError(
                f"{name} has a key already, and it is not kept where it could be read",
                fix=f"if it is lost, run: python3 -m helpers keys revoke {name}; then add it anew",
            )
        # 256 random bits: nobody tries them out, so a plain hash is enough to keep.
        secret = f"workbook-{secrets.token_urlsafe(32)}"
        key, now = _hash(secret), int(time.time())
        body = {"id": key, "name": name, "created_at": now, "end": secret[-4:]}
        self._store.put("key", key, body)
        return secret

    def all(self) -> list[Key]:
        """The keys that open the server, in the order in which they were made."""
        found, _ = self._store.list("key", newest_first=False)
        return [Key(body["name"], body["created_at"], body["end"]) for body in found]

    def revoke(self, name: str) -> None:
        """Forget a key. Raises `CourseError` where there is none."""
        found, _ = self._store.list("key", keep=lambda body: body["name"] == name)
        if not found:
            raise CourseError(f"{name} has no key", fix="run: python3 -m helpers keys list")
        # Two processes may have made a key for one name at the same moment.
        for body in found:
            self._store.delete("key", body["id"])

    def owner_of(self, secret: str) -> str | None:
        """Whom a key stands for; None if it is none."""
        body = self._store.get("key", _hash(secret))
        return f"key:{body['name']}" if body else None


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
