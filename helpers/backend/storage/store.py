"""What the server remembers, by owner: documents in a table, and files written atomically.

For: everything that must survive a restart or a kill. Not for: what it means.

A store is the view of one owner: nothing of another is found, listed, changed, counted or
deleted through it. The server's own queues work for all owners, through `everyones`.

    store = Store(settings.load().state)            # what the one user of this machine has
    store.put("file", "file-abc", {"id": "file-abc", "bytes": 6})
    store.of("key:anna").get("file", "file-abc")    # None
"""

from __future__ import annotations

import builtins
import copy
import json
import secrets
import shutil
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO, Literal

from helpers.backend.protocol.errors import unknown_place
from helpers.backend.storage.database import FIRST_OWNER, Database, Sqlite
from helpers.backend.storage.shared_folder import FILES, Place, SharedFolder
from helpers.base.errors import BackendError
from helpers.base.files import atomic, write_text
from helpers.base.settings import Settings

Kind = Literal[
    "file", "job", "event", "checkpoint", "model", "alias", "response", "chat", "batch", "upload",
    "key", "place", "notice",
]  # fmt: skip
Document = dict[str, Any]

LOCAL = FIRST_OWNER
"""The owner whom the token of the state folder stands for: the one user, or a class's leader."""
SERVER = "server"
"""Owns what is no client's, such as keys. No client is ever known by this name."""
OWNER = "_owner"
"""The field of a document that says whose it is, where a view shows those of all owners."""
LAST = "_folder"
"""The field that says in whose state folder a job's or batch's folder is the newest."""
AT = "_server"
"""The field that says which server works on a document now."""
CHUNK = 1 << 20


def database_of(settings: Settings) -> Database:
    """The table that the settings name. Raises `BackendError` for one that cannot be opened."""
    if settings.database is None:
        settings.state.mkdir(parents=True, exist_ok=True)
        return Sqlite(settings.state / "workbook.db")
    if not settings.database.startswith(("postgresql://", "postgres://")):
        raise BackendError(
            "WORKBOOK_DATABASE is no address of PostgreSQL",
            fix="write postgresql://USER@HOST/DATABASE, or leave it out for a file of one's own",
        )
    from helpers.backend.storage.postgres import Postgres

    known = settings.state / "server_id"
    if not known.is_file():
        settings.state.mkdir(parents=True, exist_ok=True)
        write_text(known, str(secrets.randbits(31)))
    return Postgres(settings.database, server=known.read_text(encoding="utf-8"))


class Store:
    """An owner's documents by kind and id, in the order in which they were made."""

    def __init__(
        self, root: Path, database: Database | None = None, place: Place | None = None
    ) -> None:
        """`place`: where other servers find the files, if there are several."""
        self.root = root
        self.files = root / FILES
        self.jobs = root / "jobs"
        self.prepared = root / "prepared"
        for folder in (root, self.files, self.jobs, self.prepared):
            folder.mkdir(parents=True, exist_ok=True)
        self._db = database or Sqlite(root / "workbook.db")
        self._folder = SharedFolder(root, place)
        self._owner: str | None = LOCAL

    @property
    def owner(self) -> str:
        """Whose view this is. Raises `ValueError` for that of the server."""
        if self._owner is None:
            raise ValueError("this view shows all owners")
        return self._owner

    @property
    def server(self) -> str:
        """Which of the servers that share the documents this one is."""
        return self._db.server

    def enter(self) -> None:
        """Work here as a server. Raises `BackendError` where it would get in another's way."""
        self._db.enter(sharing=self._folder.is_shared)

    def is_elsewhere(self, body: Document) -> bool:
        """Whether another server, which is there, works on a document."""
        at = body.get(AT)
        return at not in (None, self.server) and self._db.is_alive(at)

    def transaction(self) -> AbstractContextManager[None]:
        """What is read and changed in the block is one step, for all servers."""
        return self._db.transaction()

    def alone(self, name: str) -> AbstractContextManager[bool]:
        """Hold a name; False where another server holds it."""
        return self._db.alone(name)

    def of(self, owner: str) -> Store:
        """The same store as another owner sees it."""
        return self._seen_by(owner)

    def everyones(self) -> Store:
        """The view of the server itself: documents of all owners, which `_owner` names.

        A new document there needs an `_owner`, or a `parent` whose owner it then has.
        """
        return self._seen_by(None)

    def _seen_by(self, owner: str | None) -> Store:
        # A shallow copy: all views share one connection, whose lock they take turns on.
        view = copy.copy(self)
        view._owner = owner  # noqa: SLF001 - its own class
        return view

    def put(self, kind: Kind, key: str, body: Mapping[str, Any], parent: str | None = None) -> None:
        """Insert or replace a document; it keeps its place in the order."""
        text = json.dumps({name: value for name, value in body.items() if name != OWNER})
        with self._db.transaction():
            owner = self._owner or body.get(OWNER) or self._owner_of(kind, key, parent)
            # Not INSERT OR REPLACE, which deletes the row and would give it a new place.
            self._db.change(
                "INSERT INTO documents (owner, kind, id, parent, body) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT (kind, id, owner) DO UPDATE SET body = excluded.body",
                (owner, kind, key, parent, text),
            )

    def _owner_of(self, kind: Kind, key: str, parent: str | None) -> str:
        """Who has a document, or will have one that is new."""
        here = self._db.rows("SELECT owner FROM documents WHERE kind = ? AND id = ?", (kind, key))
        found = here or self._db.rows(
            "SELECT owner FROM documents WHERE kind IN ('job', 'batch') AND id = ?", (parent,)
        )
        if not found:
            raise ValueError(f"the {kind} {key} belongs to nobody")
        return str(found[0][0])

    def get(self, kind: Kind, key: str) -> Document | None:
        """The document, or None."""
        where, values = self._mine("kind = ? AND id = ?", kind, key)
        rows = self._db.rows(f"SELECT owner, body FROM documents WHERE {where}", values)
        return self._document(*rows[0]) if rows else None

    def update(self, kind: Kind, key: str, change: Callable[[Document], None]) -> Document:
        """Read, change and write as one step. Raises `KeyError` for an unknown id."""
        with self._db.transaction():
            body = self.get(kind, key)
            if body is None:
                raise KeyError(key)
            change(body)
            self.put(kind, key, body)
            return body

    def delete(self, kind: Kind, key: str) -> bool:
        """Remove a document; False if there was none."""
        where, values = self._mine("kind = ? AND id = ?", kind, key)
        return self._db.change(f"DELETE FROM documents WHERE {where}", values) > 0

    def keep_newest(self, kind: Kind, most: int) -> None:
        """Remove the owner's oldest documents of a kind until `most` are left."""
        where, values = self._mine("kind = ?", kind)
        self._db.change(
            f"DELETE FROM documents WHERE {where} AND seq NOT IN "
            f"(SELECT seq FROM documents WHERE {where} ORDER BY seq DESC LIMIT ?)",
            (*values, *values, most),
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
        """A page of documents after the one with id `after`, and whether more follow.

        Raises `ApiError` for an `after` that is not there: an empty page would look like the end.
        """
        order, side = ("DESC", "<") if newest_first else ("ASC", ">")
        where, values = self._mine("kind = ?", kind)
        query = f"SELECT owner, body FROM documents WHERE {where}"
        if parent is not None:
            query += " AND parent = ?"
            values.append(parent)
        if after is not None:
            # Within the view too: an id of another owner is no place in this list.
            there, known = self._mine("kind = ? AND id = ?", kind, after)
            place = self._db.rows(f"SELECT seq FROM documents WHERE {there}", known)
            if not place:
                raise unknown_place(after)
            query += f" AND seq {side} ?"
            values.append(place[0][0])
        # By number and not by time: two that were made in one second keep their order, and a
        # page that is asked for later begins where the last one ended, whatever came meanwhile.
        rows = self._db.rows(f"{query} ORDER BY seq {order}", values)
        kept = [body for row in rows if keep(body := self._document(*row))]
        return kept[:limit], len(kept) > limit

    def _mine(self, condition: str, *values: Any) -> tuple[str, builtins.list[Any]]:
        """A condition that holds for this view's documents alone, and its values."""
        if self._owner is None:
            return condition, [*values]
        return f"{condition} AND owner = ?", [*values, self._owner]

    def _document(self, owner: str, text: str) -> Document:
        body: Document = json.loads(text)
        return body | {OWNER: owner} if self._owner is None else body

    def save_file(self, key: str, source: BinaryIO) -> int:
        """Copy an upload to disk; returns its bytes."""
        with atomic(self.files / key) as target:
            shutil.copyfileobj(source, target, CHUNK)
            size = target.tell()
        self._share_file(key)
        return size

    def write_file(self, key: str, data: bytes | Iterable[bytes]) -> int:
        """Store what the server made itself, whole or in parts; returns its bytes."""
        with atomic(self.files / key) as target:
            target.writelines([data] if isinstance(data, bytes) else data)
            size = target.tell()
        self._share_file(key)
        return size

    def _share_file(self, key: str) -> None:
        try:
            self._folder.share(self.files / key)
        except BaseException:
            # No document will name it.
            (self.files / key).unlink(missing_ok=True)
            raise

    def file(self, key: str) -> Path:
        """Where the bytes of a file lie; there only if they are anywhere."""
        return self._folder.bring(self.files / key)

    def remove_file(self, key: str) -> None:
        """Remove the bytes of a file; nothing happens if there are none."""
        self._folder.drop(self.files / key)

    def job_dir(self, job_id: str) -> Path:
        """The folder of a job's process."""
        return self.jobs / job_id

    def share_job(self, job_id: str) -> None:
        """Let other servers have what is new in a job's folder."""
        self._folder.share(self.job_dir(job_id))

    def bring_job(self, body: Document) -> Path:
        """The folder of a job or batch, as whoever worked on it last has left it."""
        return self._folder.bring(self.job_dir(body["id"]), anew=body.get(LAST) != self.server)

    def adapter(self, relative: str) -> Path:
        """A folder below `jobs` that a job has made; an absolute path is of an earlier release."""
        return self._folder.bring(self.jobs / relative)

    def remove_job_dir(self, job_id: str) -> None:
        self._folder.drop(self.job_dir(job_id))

    def close(self) -> None:
        self._db.close()


def public(body: Document) -> Document:
    """A document without the server's own fields."""
    return {key: value for key, value in body.items() if not key.startswith("_")}
