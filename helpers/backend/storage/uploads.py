"""Files that the server keeps: uploads, and what jobs and batches make.

For: the service, jobs and batches. Not for: the bytes on disk alone, see `storage.store`.

    keep(store, "losses.csv", data, purpose="fine-tune-results", parent=job["id"])  # "file-a81Kd…"
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterable
from typing import Any

from helpers.backend.storage.store import Document, Store


def base_name(name: str) -> str:
    """The last part of a path in either style: a client may send a whole path."""
    # Dots, blanks and NUL at the ends go too, so that ".." is no name.
    return re.split(r"[\\/]", name)[-1].strip("\x00. ") or "upload"


def document(
    key: str, name: str, purpose: str, size: int, *, seconds: int | None = None, **own: Any
) -> Document:
    """What is known of a file of `size` bytes, which ends after `seconds`; None: never.

    `own` are the server's own fields; their names begin with an underscore.
    """
    now = int(time.time())
    body = {
        "id": key,
        "object": "file",
        "bytes": size,
        "created_at": now,
        "filename": name,
        "purpose": purpose,
        "status": "processed",
    }
    return body | ({} if seconds is None else {"expires_at": now + seconds}) | own


def keep(
    store: Store,
    name: str,
    data: bytes | Iterable[bytes],
    *,
    purpose: str,
    parent: str,
    **more: Any,
) -> str:
    """Store what the server made itself for the owner of `parent`, a job or a batch.

    Returns the file's id, which is the same when it is made again: after a crash in between
    the parent has each file once. `more` as for `document`; of `data` in parts, one at a time is
    held in memory.
    """
    key = "file-" + hashlib.sha256(f"{parent}/{name}".encode()).hexdigest()[:24]
    size = store.write_file(key, data)
    store.put("file", key, document(key, name, purpose, size, **more), parent=parent)
    return key
