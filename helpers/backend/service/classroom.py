"""A class on one server: who is where, which jobs wait, a word to all, and progress gathered.

For: the leader's page and the learners' notebooks, which say where they are. A learner tells
what is their own and reads the leader's notice; all the rest is the leader's alone. Not for:
what a learner may do, see `service.limits`.

    room = Classroom(store.of("key:anna"), Presence())
    room.tell(notebook="02_fine_tuning")
    room.overview()      # {"people": [...], "jobs": [...], "notice": ...}
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from helpers.backend.finetune.queue import OVER
from helpers.backend.storage.store import LOCAL, OWNER, SERVER, Document, Store

NOTICE = "now"
HERE = "here"


class Presence:
    """When each owner last asked for something, while this server runs."""

    def __init__(self) -> None:
        self._seen: dict[str, float] = {}
        self._lock = threading.Lock()

    def note(self, owner: str) -> None:
        with self._lock:
            self._seen[owner] = time.time()

    def all(self) -> dict[str, float]:
        """Unix seconds by owner."""
        with self._lock:
            return dict(self._seen)


class Classroom:
    """What one owner tells and hears; and the overview, for whoever leads."""

    def __init__(self, store: Store, presence: Presence) -> None:
        self._store, self._presence = store, presence

    def tell(self, **said: Any) -> None:
        """Note where the owner is, or how far; what was told before and is not named stays."""
        known = self._store.get("place", HERE) or {"id": HERE}
        self._store.put("place", HERE, known | said | {"at": int(time.time())})

    @property
    def notice(self) -> Document | None:
        """What the leader says to all: `text` and `created_at`; None if nothing."""
        found = self._store.of(SERVER).get("notice", NOTICE)
        return found if found and found["text"] else None

    def announce(self, text: str) -> Document:
        """Say something to all, in place of what was said before; an empty text takes it back."""
        body = {"id": NOTICE, "text": text, "created_at": int(time.time())}
        self._store.of(SERVER).put("notice", NOTICE, body)
        return body

    def overview(self) -> Document:
        """Everybody, and every job that is not over, the next one first."""
        everyones = self._store.everyones()
        places = {body[OWNER]: body for body in everyones.list("place")[0]}
        jobs, _ = everyones.list("job", newest_first=False)
        seen = self._presence.all()
        held = [body[OWNER] for body in everyones.list("file")[0]]
        # Whoever was heard of in any way; the leader's own token is no learner.
        owners = {*places, *seen, *held, *(job[OWNER] for job in jobs)} - {SERVER, LOCAL}
        people = [
            _person(owner, places.get(owner, {}), seen.get(owner), jobs)
            for owner in sorted(owners, key=name_of)
        ]
        open_ = [job for job in jobs if job["status"] not in OVER]
        return {
            "object": "class",
            "people": people,
            "jobs": [_job(job) for job in open_],
            "notice": self.notice,
        }


def name_of(owner: str) -> str:
    """The name that an owner has for people."""
    return owner.partition(":")[2] or owner


def _person(
    owner: str, place: Mapping[str, Any], seen: float | None, jobs: list[Document]
) -> Document:
    own = [job["status"] for job in jobs if job[OWNER] == owner]
    done = place.get("progress") or {}
    return {
        "name": name_of(owner),
        "by": owner.partition(":")[0],
        "notebook": place.get("notebook"),
        # After a restart nobody was seen yet; where they were last is on disk.
        "last_seen": int(seen) if seen else place.get("at"),
        "jobs_running": own.count("running"),
        "jobs_waiting": own.count("queued"),
        "jobs_done": own.count("succeeded"),
        "notebooks_finished": len(done.get("notebooks", {})),
        "exercises_solved": _count(done.get("exercises"), "solved"),
        "questions_right": _count(done.get("questions"), "right"),
    }


def _count(rows: Any, name: str) -> int:
    # A learner's own words: anything may stand there, so nothing is assumed.
    return sum(bool(row.get(name)) for row in rows.values()) if isinstance(rows, dict) else 0


def _job(job: Document) -> Document:
    return {
        "name": name_of(job[OWNER]),
        "status": job["status"],
        "model": job["model"],
        "created_at": job["created_at"],
    }
