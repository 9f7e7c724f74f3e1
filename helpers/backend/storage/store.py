"""What the server remembers: SQLite in WAL mode, and files written atomically.

For: everything that must survive a restart or a kill. Not for: what it means.

    store = Store(settings.load().state)
    store.put("file", "file-abc", {"id": "file-abc", "bytes": 6})
    store.list("file", limit=20)
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Literal

from helpers.base.files import atomic, sweep, write_bytes

Kind = Literal[
    "file", "job", "event", "checkpoint", "model", "alias", "response", "chat", "batch", "upload"
]
Document = dict[str, Any]

SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    parent TEXT,
    body TEXT NOT NULL,
    UNIQUE (kind, id)
);
CREATE INDEX IF NOT EXISTS by_parent ON documents (kind, parent, seq);
"""
CHUNK = 1 << 20


class Store:
    """Documents by kind and id, in the order in which they were made."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files = root / "files"
        self.jobs = root / "jobs"
        self.prepared = root / "prepared"
        for folder in (root, self.files, self.jobs, self.prepared):
            folder.mkdir(parents=True, exist_ok=True)
        # What a server that was killed in the middle of an upload has left.
        sweep(self.files)
        self._lock = threading.RLock()
        self._db = sqlite3.connect(root / "workbook.db", check_same_thread=False)
        self._db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;")
        self._db.executescript(SCHEMA)

    def put(self, kind: Kind, key: str, body: Mapping[str, Any], parent: str | None = None) -> None:
        """Insert or replace a document; it keeps its place in the order."""
        text = json.dumps(body)
        with self._lock, self._db:
            self._db.execute(
                "INSERT INTO documents (kind, id, parent, body) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body",
                (kind, key, parent, text),
            )

    def get(self, kind: Kind, key: str) -> Document | None:
        """The document, or None."""
        with self._lock:
            row = self._db.execute(
                "SELECT body FROM documents WHERE kind = ? AND id = ?", (kind, key)
            ).fetchone()
        return json.loads(row[0]) if row else None

    def update(self, kind: Kind, key: str, change: Callable[[Document], None]) -> Document:
        """Read, change and write as one step. Raises `KeyError` for an unknown id."""
        with self._lock:
            body = self.get(kind, key)
            if body is None:
                raise KeyError(key)
            change(body)
            self.put(kind, key, body)
            return body

    def delete(self, kind: Kind, key: str) -> bool:
        """Remove a document; False if there was none."""
        with self._lock, self._db:
            done = self._db.execute("DELETE FROM documents WHERE kind = ? AND id = ?", (kind, key))
            return done.rowcount > 0

    def keep_newest(self, kind: Kind, most: int) -> None:
        """Remove the oldest documents of a kind until `most` are left."""
        with self._lock, self._db:
            self._db.execute(
                "DELETE FROM documents WHERE kind = ? AND seq NOT IN "
                "(SELECT seq FROM documents WHERE kind = ? ORDER BY seq DESC LIMIT ?)",
                (kind, kind, most),
            )

    def list(
        self,
        kind: Kind,
        *,
        parent: str | None = None,
        after: str | None = None,
        limit: int = 10_000,
        newest_first: bool = True,
        keep: Callable[[Document], bool] = lambda _: True,
    ) -> tuple[list[Document], bool]:
        """A page of documents after the one with id `after`, and whether more follow."""
        order, side = ("DESC", "<") if newest_first else ("ASC", ">")
        query = "SELECT body FROM documents WHERE kind = ?"
        values: list[Any] = [kind]
        if parent is not None:
            query += " AND parent = ?"
            values.append(parent)
        if after is not None:
            query += f" AND seq {side} (SELECT seq FROM documents WHERE kind = ? AND id = ?)"
            values += [kind, after]
        with self._lock:
            rows = self._db.execute(f"{query} ORDER BY seq {order}", values).fetchall()
        kept = [body for (text,) in rows if keep(body := json.loads(text))]
        return kept[:limit], len(kept) > limit

    def save_file(self, key: str, source: BinaryIO) -> int:
        """Copy an upload to disk; returns its bytes."""
        with atomic(self.files / key) as target:
            shutil.copyfileobj(source, target, CHUNK)
            return target.tell()

    def write_file(self, key: str, data: bytes) -> None:
        """Store bytes that the server made itself."""
        write_bytes(self.files / key, data)

    def job_dir(self, job_id: str) -> Path:
        """The folder of a job's process."""
        return self.jobs / job_id

    def remove_job_dir(self, job_id: str) -> None:
        shutil.rmtree(self.job_dir(job_id), ignore_errors=True)

    def close(self) -> None:
        with self._lock:
            self._db.close()


def public(body: Document) -> Document:
    """A document without the server's own fields."""
    return {key: value for key, value in body.items() if not key.startswith("_")}
