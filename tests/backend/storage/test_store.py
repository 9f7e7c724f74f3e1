"""What a store holds for each owner, and what a start finds in the state folder."""

from __future__ import annotations

import threading

import pytest

from helpers.backend.protocol.errors import ApiError
from helpers.backend.service.files import Files
from helpers.backend.service.limits import Limits
from helpers.backend.storage.store import Store


def test_what_a_killed_upload_left_is_swept_at_the_start(tmp_path):
    first = Store(tmp_path)
    first.write_file("file-a", b"whole")
    first.close()
    (first.files / ".file-b.x1.partial").write_bytes(b"half")
    second = Store(tmp_path)
    assert (second.files / ".file-b.x1.partial").exists(), "a server may be writing it"
    Files(second, Limits())
    assert [path.name for path in second.files.iterdir()] == ["file-a"]
    second.close()


def ids(found: tuple[list[dict], bool]) -> list[str]:
    return [body["id"] for body in found[0]]


def test_documents_keep_their_order_and_their_place_when_they_change(store):
    for key in ("a", "b", "c"):
        store.put("file", key, {"id": key})
    store.put("file", "a", {"id": "a", "bytes": 6})
    assert ids(store.list("file", newest_first=False)) == ["a", "b", "c"]
    assert store.get("file", "a") == {"id": "a", "bytes": 6}
    assert (ids(store.list("file", after="c", limit=1)), store.list("file", limit=3)[1]) == (
        ["b"], False,
    )  # fmt: skip
    assert store.delete("file", "b")
    assert not store.delete("file", "b")
    assert ids(store.list("file")) == ["c", "a"]
    with pytest.raises(ApiError, match="is in this list"):
        store.list("file", after="b")


def test_owners_have_the_same_id_each_for_themselves(store):
    anna, ben = store.of("key:anna"), store.of("key:ben")
    anna.put("alias", "mine", {"id": "mine", "model": "a"})
    ben.put("alias", "mine", {"id": "mine", "model": "b"})
    assert (anna.get("alias", "mine") or {})["model"] == "a"
    assert store.get("alias", "mine") is None
    anna.delete("alias", "mine")
    assert (ben.get("alias", "mine") or {})["model"] == "b"
    with pytest.raises(ApiError):
        anna.list("alias", after="mine")
    assert [body["_owner"] for body in store.everyones().list("alias")[0]] == ["key:ben"]


def test_the_newest_are_kept(store):
    for key in "abcd":
        store.put("chat", key, {"id": key})
        store.of("key:anna").put("chat", key, {"id": key})
    store.keep_newest("chat", 2)
    assert ids(store.list("chat")) == ["d", "c"]
    assert len(store.of("key:anna").list("chat")[0]) == 4


def test_texts_and_ids_of_any_kind_are_kept_or_unknown(store):
    told = {"id": "chat-1", "text": "nul \0, half \ud83d, ' \" ? %s {} \u0130"}
    store.put("chat", "chat-1", told)
    assert store.get("chat", "chat-1") == told
    for key in ("chat-1\0", "%s", "?", "'; DROP TABLE documents; --"):
        assert store.get("chat", key) is None
        assert not store.delete("chat", key)


def test_a_change_that_fails_changes_nothing(store):
    store.put("job", "a", {"id": "a", "status": "queued"})
    with pytest.raises(ValueError, match="no"), store.transaction():  # noqa: PT012
        store.put("job", "a", {"id": "a", "status": "running"})
        store.put("job", "b", {"id": "b"})
        raise ValueError("no")
    assert [body["status"] for body in store.list("job")[0]] == ["queued"]
    with pytest.raises(KeyError):
        store.update("job", "b", lambda body: None)


def test_many_threads_of_two_processes_lose_no_change(table, tmp_path):
    stores = [Store(tmp_path, table()), Store(tmp_path, table())]
    stores[0].put("batch", "a", {"id": "a", "count": 0})

    def count(store: Store) -> None:
        for _ in range(10):
            store.update("batch", "a", lambda body: body.update(count=body["count"] + 1))

    threads = [threading.Thread(target=count, args=[stores[at % 2]]) for at in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (stores[1].get("batch", "a") or {})["count"] == 80
