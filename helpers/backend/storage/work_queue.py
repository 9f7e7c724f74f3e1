"""One queue for what computes long: jobs and batches, as many at once as there is room for.

For: documents of one kind in the store, of which some states mean "to be worked on". Not for:
what the work is, see `finetune.queue` and `batch.queue`; nor where it runs, see `executors`.

    queue = WorkQueue(store, "job", ("queued",), work=train, broke=say)
    queue.start()

What always holds, and why:
- The store is the queue. There is no list beside it that a crash could lose or that could
  disagree: after a restart, what waits is what the store says waits, the oldest first.
- Nothing begins that has no room: what waits, waits here, where it can be cancelled and counted,
  and not in the queue of a cluster, which gives up what it cannot start soon.
- Owners take turns: next is the oldest of the owner who has the fewest at work, and among those
  of the one who has waited longest since the last. Forty jobs of one delay nobody's first.
- One thread chooses and each piece of work has its own; a document is in `current` from before
  `work` until after it, so none is worked on twice at a time.
- Where several servers share the store, each works on what it has claimed: the document names it
  in `_server` until the work has ended. What a server that is gone has claimed is free again.
- A change that depends on what was read before (may it be cancelled? is it still queued?) is
  made in `deciding`, by the worker too; so a document cannot be both cancelled and begun.
- `work` leaves the document in a state that is no longer waited for, or it is worked on again:
  that is how a batch goes on after a fault, and a job after the death of its trainer.
- An exception in `work` ends that piece of work, and never the thread.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from helpers.backend.storage.database import FAULTS
from helpers.backend.storage.store import AT, OWNER, Document, Kind, Store

REST = 1.0
"""Seconds after a fault before the next try; and between two looks that nothing asked for."""
JOIN_SECONDS = 5

log = logging.getLogger(__name__)


class WorkQueue:
    """The documents of a kind in some states, and the threads that work on them.

    `free` says how many more may begin beside those under way; by default one is worked on.
    `look` is called before each choice.
    """

    def __init__(
        self,
        store: Store,
        kind: Kind,
        states: tuple[str, ...],
        *,
        work: Callable[[str], None],
        broke: Callable[[str, Exception], None],
        free: Callable[[int], int] = lambda busy: 1 - busy,
        look: Callable[[], None] = lambda: None,
    ) -> None:
        self._store, self._kind, self._states = store, kind, states
        self._work_on, self._broke = work, broke
        self._free, self._look = free, look
        # Reentrant: what is decided under it calls what decides under it.
        self.lock = threading.RLock()
        self.closing = threading.Event()
        self.current: dict[str, str] = {}
        """Owner of each document that is worked on, by its id."""
        self._turns: dict[str, float] = {}
        """When each owner's last piece of work began."""
        self._wake = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin to work, also on what an earlier server left undone."""
        self._spawn(self._choose)

    def waiting(self) -> list[Document]:
        """What is to be worked on, the oldest first; the current one may be among it."""
        found, _ = self._store.list(
            self._kind, newest_first=False, keep=lambda body: body["status"] in self._states
        )
        return found

    def set(self, key: str, **changes: Any) -> Document:
        """Change some fields of a document."""
        return self._store.update(self._kind, key, lambda body: body.update(changes))

    @contextlib.contextmanager
    def deciding(self) -> Iterator[None]:
        """What is read and changed in here is one step, for all threads and servers."""
        with self.lock, self._store.transaction():
            yield

    def claim(self, key: str) -> Document | None:
        """The document as it was, now this server's to work on; None if it is not to be had."""
        with self.deciding():
            body = self._store.get(self._kind, key)
            if body is None or body["status"] not in self._states:
                return None
            if key in self.current or self._store.is_elsewhere(body):
                return None
            self.set(key, **{AT: self._store.server})
            return body

    def wake(self) -> None:
        """Say that there may be something new to work on."""
        self._wake.set()

    def stop(self) -> None:
        """Begin nothing more. What is under way looks at `closing` and ends by itself."""
        self.closing.set()
        self.wake()

    def join(self) -> None:
        """Wait for the threads' end, some seconds at most."""
        deadline = time.monotonic() + JOIN_SECONDS
        for thread in list(self._threads):
            thread.join(max(0.0, deadline - time.monotonic()))

    def _spawn(self, target: Callable[..., None], *args: str) -> None:
        thread = threading.Thread(target=target, args=args, name=f"{self._kind} queue", daemon=True)
        self._threads = [*(one for one in self._threads if one.is_alive()), thread]
        thread.start()

    def _choose(self) -> None:
        while not self.closing.is_set():
            try:
                self._look()
                begun = self._begin()
            except FAULTS as error:
                if not self.closing.is_set():
                    log.warning("the queue of %ss waits: %s", self._kind, error)
                begun = False
            if not begun:
                # The look each second is for documents that came without a call of `wake`,
                # and for room that others gave back.
                self._wake.wait(REST)
            # Cleared before the next look at the store: what is queued during that look sets it
            # again.
            self._wake.clear()

    def _begin(self) -> bool:
        """Start to work on what is next; False if nothing waits or there is no room."""
        left = [
            body
            for body in self.waiting()
            if body["id"] not in self.current and not self._store.is_elsewhere(body)
        ]
        if not left or self._free(len(self.current)) < 1:
            return False
        # The oldest among equals: `min` takes the first, and they are sorted so.
        key = min(left, key=self._turn)["id"]
        with self.lock:
            # It may have been cancelled between the look and now, or begun by another server.
            body = self.claim(key)
            if body is None:
                return True
            owner = _owner(body)
            self.current[key], self._turns[owner] = owner, time.monotonic()
        self._spawn(self._one, key)
        return True

    def _turn(self, body: Document) -> tuple[int, float]:
        owner = _owner(body)
        busy = sum(other == owner for other in list(self.current.values()))
        return busy, self._turns.get(owner, 0.0)

    def _one(self, key: str) -> None:
        try:
            self._work_on(key)
        except Exception as error:
            # When the server ends, the store is closed under the work: that is no fault.
            if not self.closing.is_set():
                log.exception("the server stumbled over %s", key)
                self._broke(key, error)
                # A full disk is not emptier a moment later.
                self.closing.wait(REST)
        finally:
            # After `work` has left the document in its next state: before, it could be chosen once
            # more.
            self._let_go(key)
            del self.current[key]
            self.wake()

    def _let_go(self, key: str) -> None:
        """Leave a document to all servers again, unless another one has it by now."""
        # Without a store, the claim ends with this server.
        with contextlib.suppress(*FAULTS), self.deciding():
            body = self._store.get(self._kind, key)
            if body is not None and body.get(AT) == self._store.server:
                self.set(key, **{AT: None})


def _owner(body: Document) -> str:
    return str(body.get(OWNER) or "")
