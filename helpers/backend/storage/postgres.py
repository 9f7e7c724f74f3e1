"""The same table in PostgreSQL, for several servers that stand behind one proxy.

For: `WORKBOOK_DATABASE=postgresql://…`. It needs the package psycopg, which nobody else does.
Not for: files, see `storage.shared_folder`.

    database = Postgres("postgresql://course@db.school.example/course", server="17")
    database.enter(sharing=True)

What always holds, and why:
- All servers' changes take turns, as those of SQLite do: what was read in a transaction is still so
  when it ends, and numbers of rows are given in the order in which they can be seen.
- A server holds a lock for as long as its connection lives, so all know who is there. One that was
  killed has lost it at once; one whose machine is off, after some 11 s.
- A connection that broke is made anew for the next statement; a transaction is never tried twice.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from helpers.backend.storage.database import INDICES, TABLE, Row, StoreGone, Values
from helpers.base.errors import BackendError, NoSpaceError

if TYPE_CHECKING:
    import psycopg

# First numbers of PostgreSQL's advisory locks; the second tells one from another.
WRITER, SERVER, PRESENT, NAME = (0x776B_0000 + at for at in range(4))
AUTOINCREMENT, IDENTITY = (
    "INTEGER PRIMARY KEY AUTOINCREMENT",
    "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
)
# A machine that is off says nothing: both sides ask, and give up after some 11 s.
QUIET = {
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "connect_timeout": 10,
}
SESSION = (
    "SET tcp_keepalives_idle = 5",
    "SET tcp_keepalives_interval = 2",
    "SET tcp_keepalives_count = 3",
    # Nobody waits for ever for a server that hangs in a transaction.
    "SET lock_timeout = '30s'",
    "SET idle_in_transaction_session_timeout = '30s'",
)
HELD = (
    "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 2 "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
    "AND classid::bigint = ? AND objid::bigint = ?"
)


class Postgres:
    """One connection that threads take turns on; each server has its own."""

    def __init__(self, url: str, *, server: str) -> None:
        """Raises `BackendError` where psycopg is missing or the database cannot be opened."""
        self._url, self.server = url, server
        self._lock = threading.RLock()
        self._depth = 0
        self._sharing: bool | None = None
        """None until this is a server: a command only looks in."""
        self._db: psycopg.Connection[Row] | None = None
        with self.transaction():
            self._execute(TABLE.replace(AUTOINCREMENT, IDENTITY))
            for index in INDICES:
                self._execute(index)

    def rows(self, query: str, values: Values = ()) -> list[Row]:
        """What a SELECT finds."""
        with self._lock:
            if not self._depth:
                self._connect()
            return self._execute(query, values).fetchall()

    def change(self, statement: str, values: Values = ()) -> int:
        """Run a statement; returns how many rows it changed."""
        with self.transaction():
            return self._execute(statement, values).rowcount

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything in the block happens, or nothing; no other thread or server gets between."""
        with self._lock:
            # Inside another one it is a part of that.
            if self._depth:
                yield
                return
            self._connect()
            self._depth += 1
            try:
                self._execute("BEGIN")
                self._execute("SELECT pg_advisory_xact_lock(?, 0)", (WRITER,))
                yield
                self._execute("COMMIT")
            except BaseException:
                with contextlib.suppress(StoreGone):
                    self._execute("ROLLBACK")
                raise
            finally:
                self._depth -= 1

    def enter(self, *, sharing: bool) -> None:
        """Work as a server. Raises `BackendError` if others do that cannot see its files."""
        with self._lock:
            lock = "pg_try_advisory_lock_shared" if sharing else "pg_try_advisory_lock"
            if not self.rows(f"SELECT {lock}(?, 0)", (PRESENT,))[0][0]:
                raise BackendError(
                    "another server works on the database of WORKBOOK_DATABASE, and files of one "
                    "of the two are where the other does not find them",
                    fix="set WORKBOOK_FILES to the same folder or S3 address for each server",
                )
            if self.is_alive(self.server):
                raise BackendError(
                    "another server on this database has the same server_id",
                    fix="remove the file server_id from a state folder that was copied",
                )
            # Shared: after a broken connection, the old one may be held for some seconds more.
            self._execute("SELECT pg_advisory_lock_shared(?, ?)", (SERVER, int(self.server)))
            self._sharing = sharing

    def is_alive(self, server: str) -> bool:
        """Whether a server works on the table now."""
        return bool(self.rows(HELD, (SERVER, int(server))))

    @contextlib.contextmanager
    def alone(self, name: str) -> Iterator[bool]:
        """Hold a name; False where another server holds it. Threads see to themselves."""
        values = (NAME, name)
        (taken,) = self.rows("SELECT pg_try_advisory_lock(?, hashtext(?))", values)[0]
        try:
            yield bool(taken)
        finally:
            if taken:
                # Lost with the connection, it is given back already.
                with contextlib.suppress(StoreGone):
                    self.rows("SELECT pg_advisory_unlock(?, hashtext(?))", values)

    def close(self) -> None:
        """End the connection."""
        with self._lock:
            self._sharing = None
            if self._db is not None:
                self._db.close()

    def _connect(self) -> None:
        """See to it that there is a connection, as a server's if this is one."""
        if self._answers():
            return
        self._db = _opened(self._url)
        for words in SESSION:
            self._execute(words)
        if self._sharing is not None:
            # Waiting: PostgreSQL may not have noticed yet that the connection before is gone.
            lock = "pg_advisory_lock_shared" if self._sharing else "pg_advisory_lock"
            self._execute(f"SELECT {lock}(?, 0)", (PRESENT,))
            self._execute("SELECT pg_advisory_lock_shared(?, ?)", (SERVER, int(self.server)))

    def _answers(self) -> bool:
        if self._db is None or self._db.closed:
            return False
        # A connection that broke while nobody used it says so only when it is asked.
        try:
            self._execute("SELECT 1")
        except StoreGone:
            return False
        return True

    def _execute(self, statement: str, values: Values = ()) -> Any:
        import psycopg

        assert self._db is not None
        # PostgreSQL holds no NUL in a text, and no document has one in its id.
        given = [one.replace("\0", "\ufffd") if isinstance(one, str) else one for one in values]
        try:
            return self._db.execute(statement.replace("?", "%s").encode(), given)
        except psycopg.errors.DiskFull as error:
            raise NoSpaceError(
                f"nothing more can be stored: {error}", fix="make room on the database's disk"
            ) from error
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            raise StoreGone(
                "the database does not answer", fix="try again in some seconds"
            ) from error


def release(url: str) -> str:
    """Which PostgreSQL answers there. Raises `BackendError` where none does; changes nothing."""
    with _opened(url) as db:
        return str(db.execute("SHOW server_version").fetchall()[0][0])


def _opened(url: str) -> psycopg.Connection[Row]:
    try:
        import psycopg
    except ImportError as error:
        raise BackendError(
            "WORKBOOK_DATABASE needs the package psycopg",
            fix="run: .venv/bin/python -m pip install --no-deps -r requirements-postgres.txt",
        ) from error
    try:
        return psycopg.connect(url, autocommit=True, **QUIET)
    # Not in words of its own: they may hold a part of the address, and that a password.
    except psycopg.ProgrammingError:
        raise BackendError(
            "WORKBOOK_DATABASE is no address of PostgreSQL",
            fix="write postgresql://USER@HOST/DATABASE; the password goes into PGPASSWORD",
        ) from None
    except psycopg.OperationalError as error:
        raise StoreGone(
            f"the database of WORKBOOK_DATABASE cannot be opened: {error}",
            fix="look whether it runs, and at user and password",
        ) from error
