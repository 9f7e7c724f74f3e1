"""One queue for what computes long: jobs and batches, each kind one after the other.

For: documents of one kind in the store, of which some states mean "to be worked on". Not for:
what the work is, see `finetune.queue` and `batch.queue`.

    queue = WorkQueue(store, "job", ("queued",), work=train, broke=say)
    queue.start()

What always holds, and why:
- The store is the queue. There is no list beside it that a crash could lose or that could
  disagree: after a restart, what waits is what the store says waits, the oldest first.
- One thread per queue works; a document is `current` from before `work` until after it.
- A change that depends on what was read before (may it be cancelled? is it still queued?) is
  made under `lock`, by the worker too; so a document cannot be both cancelled and begun.
- `work` leaves the document in a state that is no longer waited for, or it is worked on again:
  that is how a batch goes on after a fault, and a job after the death of its trainer.
- An exception in `work` ends that piece of work, and never the thread.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from helpers.backend.storage.store import Document, Kind, Store

REST = 1.0
"""Seconds after a fault before the next try; and between two looks that nothing asked for."""
JOIN_SECONDS = 5

log = logging.getLogger(__name__)


class WorkQueue:
    """The documents of a kind in some states, and the thread that works on them."""

    def __init__(
        self,
        store: Store,
        kind: Kind,
        states: tuple[str, ...],
        *,
        work: Callable[[str], None],
        broke: Callable[[str, Exception], None],
    ) -> None:
        self._store, self._kind, self._states = store, kind, states
        self._work_on, self._broke = work, broke
        # Reentrant: what is decided under it calls what decides under it.
        self.lock = threading.RLock()
        self.closing = threading.Event()
        self.current: str | None = None
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to work, also on what an earlier server left undone."""
        self._thread = threading.Thread(target=self._work, name=f"{self._kind} queue", daemon=True)
        self._thread.start()

    def waiting(self) -> list[Document]:
        """What is to be worked on, the oldest first; the current one may be among it."""
        found, _ = self._store.list(
            self._kind, newest_first=False, keep=lambda body: body["status"] in self._states
        )
        return found

    def set(self, key: str, **changes: Any) -> Document:
        """Change some fields of a document."""
        return self._store.update(self._kind, key, lambda body: body.update(changes))

    def wake(self) -> None:
        """Say that there may be something new to work on."""
        self._wake.set()

    def stop(self) -> None:
        """Begin nothing more. What is under way looks at `closing` and ends by itself."""
        self.closing.set()
        self.wake()

    def join(self) -> None:
        """Wait for the thread's end, some seconds at most."""
        if self._thread:
            self._thread.join(JOIN_SECONDS)

    def _work(self) -> None:
        while not self.closing.is_set():
            waiting = self.waiting()
            if not waiting:
                # The look each second is for documents that came without a call of `wake`.
                self._wake.wait(REST)
                self._wake.clear()
                continue
            self._one(waiting[0]["id"])

    def _one(self, key: str) -> None:
        with self.lock:
            # It may have been cancelled between the look and now.
            body = self._store.get(self._kind, key)
            if body is None or body["status"] not in self._states:
                return
            self.current = key
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
            self.current = None
