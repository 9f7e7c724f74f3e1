"""The table in which documents lie: SQLite in WAL mode, one file in the state folder.

For: `storage.store`, which alone knows what the columns mean. Not for: files; nor for several
servers, which share a table of PostgreSQL, see `storage.postgres`.

    database = Sqlite(settings.load().state / "workbook.db")
    database.rows("SELECT body FROM documents WHERE kind = ?", ("file",))
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from helpers.base.errors import BackendError, NoSpaceError

Values = Sequence[Any]
Row = tuple[Any, ...]

# `seq` is the order of all lists; AUTOINCREMENT gives no number twice, also not that of a
# row that was deleted.
TABLE = """
CREATE TABLE IF NOT EXISTS documents (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    owner TEXT NOT NULL,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    parent TEXT,
    body TEXT NOT NULL,
    UNIQUE (kind, id, owner)
)
"""
INDICES = (
    "CREATE INDEX IF NOT EXISTS by_parent ON documents (kind, parent, seq)",
    "CREATE INDEX IF NOT EXISTS by_owner ON documents (owner, kind, seq)",
)
VERSION = 1
"""Of the table; version 0 had no owners."""
NO_ROOM = ("SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE")
"""What SQLite says on a full disk, or of a share of it: of the table, its log, and its index."""
FIRST_OWNER = "local"
"""Who owns what a table without owners held: its one user."""


class StoreGone(BackendError):
    """The database, or the place of shared files, does not answer; later it may."""


FAULTS = (OSError, sqlite3.Error, StoreGone)
"""What a change may raise that has nothing wrong in itself."""


class Database(Protocol):
    """Where the table is. Statements are written for SQLite, with ? for each value."""

    server: str
    """Which of the servers that share the table this one is: the same for a state folder."""

    def rows(self, query: str, values: Values = ()) -> list[Row]:
        """What a SELECT finds."""

    def change(self, statement: str, values: Values = ()) -> int:
        """Run a statement; returns how many rows it changed."""

    def transaction(self) -> AbstractContextManager[None]:
        """Everything in the block happens, or nothing; nobody else changes anything meanwhile."""

    def enter(self, *, sharing: bool) -> None:
        """Work on the table as a server; `sharing`: others reach the same files."""

    def is_alive(self, server: str) -> bool:
        """Whether another server works on the table now."""

    def alone(self, name: str) -> AbstractContextManager[bool]:
        """Hold a name; False where another server holds it."""

    def close(self) -> None:
        """Let go of it."""


class Sqlite:
    """One connection that threads take turns on; another process may have the file open too.

    Only one server works on it, for which the lock of the state folder sees.
    """

    server = "here"

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        # Statements are grouped into transactions here alone.
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._depth = 0
        # Readers never wait for a writer, and a kill leaves the last whole transaction.
        self._db.execute("PRAGMA journal_mode=WAL")
        # A power cut may cost the last change, never the file; each fsync would cost milliseconds.
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._prepare(path)

    def rows(self, query: str, values: Values = ()) -> list[Row]:
        """What a SELECT finds."""
        with self._lock:
            return self._db.execute(query, values).fetchall()

    def change(self, statement: str, values: Values = ()) -> int:
        """Run a statement; returns how many rows it changed."""
        with self.transaction():
            return self._db.execute(statement, values).rowcount

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything in the block happens, or nothing; no other thread gets in between."""
        with self._lock:
            # Inside another one it is a part of that: SQLite knows no transaction in another.
            if self._depth:
                yield
                return
            # At once the writer: one that began as a reader could not become it once another
            # process has written, and would fail instead of waiting.
            with _room_needed():
                self._db.execute("BEGIN IMMEDIATE")
                self._depth += 1
                try:
                    yield
                    self._db.execute("COMMIT")
                except BaseException:
                    self._roll_back()
                    raise
                finally:
                    self._depth -= 1

    def _roll_back(self) -> None:
        """A full disk may have ended the transaction already; none may stay open."""
        with contextlib.suppress(sqlite3.Error):
            self._db.execute("ROLLBACK")

    def enter(self, *, sharing: bool) -> None:
        """Nothing to do: nobody else is there."""

    def is_alive(self, server: str) -> bool:
        return False

    def alone(self, name: str) -> AbstractContextManager[bool]:
        return contextlib.nullcontext(True)

    def close(self) -> None:
        """Write what is in the log into the file, and let go of it."""
        with self._lock:
            self._db.close()

    def _prepare(self, path: Path) -> None:
        """Make the table, or bring one of an earlier release to today's form."""
        with self.transaction():
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version > VERSION:
                raise BackendError(
                    f"{path.name} was written by a later release of the course",
                    fix="use that release, or name another folder with WORKBOOK_STATE",
                )
            # A new file says version 0 as well; only one with a table is of an earlier release.
            # The whole change is one transaction: a kill in between leaves the old table, and the
            # next start does it again.
            old = version == 0 and bool(self.rows("PRAGMA table_info(documents)"))
            if old:
                self._db.execute("ALTER TABLE documents RENAME TO ownerless")
                self._db.execute("DROP INDEX IF EXISTS by_parent")
            self._db.execute(TABLE)
            for index in INDICES:
                self._db.execute(index)
            if old:
                self._db.execute(
                    "INSERT INTO documents (seq, owner, kind, id, parent, body) "
                    "SELECT seq, ?, kind, id, parent, body FROM ownerless",
                    (FIRST_OWNER,),
                )
                self._db.execute("DROP TABLE ownerless")
            self._db.execute(f"PRAGMA user_version = {VERSION}")


@contextlib.contextmanager
def _room_needed() -> Iterator[None]:
    """Turn SQLite's words for a full disk into ours."""
    try:
        yield
    except sqlite3.Error as error:
        # Errors of Python's own module have no such name.
        if getattr(error, "sqlite_errorname", None) not in NO_ROOM:
            raise
        raise NoSpaceError(
            f"nothing more can be stored: {error}", fix="make room on the disk, then try again"
        ) from error
