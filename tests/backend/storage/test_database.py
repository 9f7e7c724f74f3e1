"""A state folder of an earlier release goes on; one of a later release is refused."""

from __future__ import annotations

import json
import sqlite3

import pytest

from helpers.backend.storage.database import Sqlite
from helpers.backend.storage.store import LOCAL, Store
from helpers.base.errors import BackendError, NoSpaceError

WITHOUT_OWNERS = """
CREATE TABLE documents (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    parent TEXT,
    body TEXT NOT NULL,
    UNIQUE (kind, id)
);
CREATE INDEX by_parent ON documents (kind, parent, seq);
"""


def earlier(folder) -> None:
    """The database of a release that knew no owners."""
    db = sqlite3.connect(folder / "workbook.db")
    db.executescript("PRAGMA journal_mode=WAL;" + WITHOUT_OWNERS)
    rows = [
        ("file", "file-a", None, {"id": "file-a", "bytes": 1}),
        ("job", "ftjob-a", None, {"id": "ftjob-a", "status": "succeeded"}),
        ("event", "ftevent-1", "ftjob-a", {"id": "ftevent-1", "message": "first"}),
        ("event", "ftevent-2", "ftjob-a", {"id": "ftevent-2", "message": "second"}),
    ]
    db.executemany(
        "INSERT INTO documents (kind, id, parent, body) VALUES (?, ?, ?, ?)",
        [(kind, key, parent, json.dumps(body)) for kind, key, parent, body in rows],
    )
    db.commit()
    db.close()


def test_what_was_there_before_owners_belongs_to_the_one_user(tmp_path):
    earlier(tmp_path)
    for _ in range(2):  # the second time there is nothing to change
        store = Store(tmp_path)
        assert store.owner == LOCAL
        assert store.get("file", "file-a") == {"id": "file-a", "bytes": 1}
        events, _ = store.list("event", parent="ftjob-a", newest_first=False)
        assert [event["message"] for event in events] == ["first", "second"]
        assert store.of("key:anna").list("file") == ([], False)
        store.close()
    store = Store(tmp_path)
    store.everyones().put("event", "ftevent-3", {"id": "ftevent-3"}, parent="ftjob-a")
    after, _ = store.list("event", parent="ftjob-a", after="ftevent-2", newest_first=False)
    assert [event["id"] for event in after] == ["ftevent-3"]
    store.close()


def test_a_move_that_is_interrupted_leaves_the_old_table(tmp_path, monkeypatch):
    earlier(tmp_path)
    monkeypatch.setattr("helpers.backend.storage.database.INDICES", ("CREATE NONSENSE",))
    with pytest.raises(sqlite3.OperationalError):
        Store(tmp_path)
    monkeypatch.undo()
    store = Store(tmp_path)
    assert store.get("job", "ftjob-a") == {"id": "ftjob-a", "status": "succeeded"}
    store.close()


def test_a_folder_of_a_later_release_is_refused_in_one_line(tmp_path):
    db = sqlite3.connect(tmp_path / "workbook.db")
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(BackendError, match="later release"):
        Store(tmp_path)


def test_two_processes_may_have_the_table_open(table, tmp_path):
    one, other = Store(tmp_path, table()), Store(tmp_path, table())
    one.put("file", "a", {"id": "a"})
    other.put("file", "b", {"id": "b"})
    assert [body["id"] for body in one.list("file", newest_first=False)[0]] == ["a", "b"]


def test_a_table_without_room_says_so_and_goes_on_when_there_is_some(tmp_path):
    database = Sqlite(tmp_path / "workbook.db")
    pages = database.rows("PRAGMA page_count")[0][0]
    insert = "INSERT INTO documents (owner, kind, id, body) VALUES ('local', 'chat', ?, ?)"
    # SQLite's own bound, which it meets as it meets the end of a disk.
    database.rows(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(NoSpaceError, match="make room"), database.transaction():  # noqa: PT012
        database.change(insert, ("small", "{}"))
        database.change(insert, ("large", "x" * 100_000))
    assert database.rows("SELECT id FROM documents") == []
    database.rows("PRAGMA max_page_count = 1000")
    database.change(insert, ("large", "x" * 100_000))
    assert database.rows("SELECT id FROM documents") == [("large",)]
