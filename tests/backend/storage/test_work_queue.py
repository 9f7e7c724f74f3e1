"""What always holds of the queue of jobs and of the queue of batches."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from helpers.backend.storage import work_queue
from helpers.backend.storage.store import Store
from helpers.backend.storage.work_queue import WorkQueue


@pytest.fixture(autouse=True)
def _soon(monkeypatch) -> None:
    monkeypatch.setattr(work_queue, "REST", 0.02)


def put(store: Store, *keys: str, status: str = "queued") -> None:
    for key in keys:
        store.put("job", key, {"id": key, "status": status})


def until(seen: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not seen():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def started(store: Store, work: Callable[[WorkQueue, str], None], broke=lambda *_: None):
    queue = WorkQueue(store, "job", ("queued",), work=lambda key: work(queue, key), broke=broke)
    queue.start()
    return queue


def test_the_oldest_comes_first_and_what_a_restart_finds_waits_too(store):
    put(store, "a", "b", status="queued")
    put(store, "over", status="succeeded")
    done: list[str] = []

    def work(queue, key):
        done.append(key)
        queue.set(key, status="succeeded")

    queue = started(store, work)
    until(lambda: done == ["a", "b"])
    put(store, "c")
    queue.wake()
    until(lambda: done == ["a", "b", "c"])
    queue.stop()
    queue.join()


def test_an_exception_ends_the_piece_of_work_and_not_the_thread(store):
    put(store, "bad", "good")
    faults: list[str] = []

    def work(queue, key):
        if key == "bad" and len(faults) < 2:
            raise OSError("disk full")
        queue.set(key, status="succeeded")

    queue = started(store, work, broke=lambda key, error: faults.append(f"{key}: {error}"))
    until(lambda: not queue.waiting())
    assert faults == ["bad: disk full"] * 2
    queue.stop()
    queue.join()


def test_what_is_cancelled_between_the_look_and_the_beginning_is_not_begun(store):
    put(store, "a")
    begun: list[str] = []
    looked = threading.Event()
    queue = WorkQueue(store, "job", ("queued",), work=begun.append, broke=lambda *_: None)
    found = queue.waiting()

    def waiting():
        looked.set()
        return found if not queue.closing.is_set() else []

    queue.waiting = waiting
    with queue.lock:
        queue.start()
        looked.wait(5)
        queue.set("a", status="cancelled")
    time.sleep(0.05)
    queue.stop()
    queue.join()
    assert begun == []


def test_a_fault_while_the_server_ends_is_none(store):
    put(store, "a")
    faults: list[str] = []

    def work(queue, key):
        queue.stop()
        raise ValueError("the store is closed")

    queue = started(store, work, broke=lambda key, _: faults.append(key))
    queue.join()
    assert faults == []
