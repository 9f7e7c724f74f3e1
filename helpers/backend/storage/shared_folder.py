"""The state folder's files, of which copies lie where other servers reach them.

For: several servers, each with a state folder of its own; the place is an S3 store or a folder that
all have. With one server there is no place, and all this does nothing. Not for: documents.

    folder = SharedFolder(state, Exchange.at("s3://course/files?region=eu-central-1"))
    folder.share(state / "files" / "file-abc")      # others can now bring it
    folder.bring(state / "files" / "file-abc")      # on another server

A file is written here and then shared, so a file that is named in the table can be had. What is in
`files` never changes, so a copy that is there is right; a job's folder does, and is brought anew by
the server that goes on with the job.
"""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from helpers.backend.storage.database import StoreGone
from helpers.base.files import PARTIAL, atomic_folder, own_copy

FILES = "files"
"""The folder below the state in which each name is a file; elsewhere each is a folder."""
LAST = ("progress.jsonl", "resume.pt")
"""Of a job's folder, in this order: rows that tell of more steps than the saved state knows are
dropped by whoever goes on, and rows that are missing would stay missing."""
NOT_SHARED = ("stop",)


class Place(Protocol):
    """Where the copies lie; `Exchange` is one."""

    def put_file(self, name: str, source: Path) -> None:
        """Store a copy of a file."""

    def get_file(self, name: str, target: Path) -> None:
        """Bring a file here. Raises `FileNotFoundError`."""

    def names(self, prefix: str) -> dict[str, int]:
        """The files below a prefix, by their names behind it, and their bytes."""

    def remove(self, name: str) -> None:
        """Remove one file; nothing happens if it is not there."""

    def remove_all(self, prefix: str) -> None:
        """Remove everything below a prefix."""


class SharedFolder:
    """A state folder and its place. Raises `StoreGone` where the place does not answer."""

    def __init__(self, root: Path, place: Place | None = None) -> None:
        self._root, self._place = root, place
        self._lock = threading.Lock()
        self._known: dict[Path, tuple[int, int]] = {}
        """What was shared of each file: its bytes and its time."""

    @property
    def is_shared(self) -> bool:
        """Whether there is a place."""
        return self._place is not None

    def share(self, path: Path) -> None:
        """Copy a file, or what is new in a folder, to the place."""
        if self._place is None:
            return
        if path.is_file():
            self._put(path, path)
            return
        kept = path / f".resume{PARTIAL}"
        kept.unlink(missing_ok=True)
        # The state under a second name first: what is copied before it is then as new, or newer.
        if (path / LAST[-1]).is_file():
            own_copy(path / LAST[-1], kept)
        for file in _in_order(path):
            self._put(file, kept if file == path / LAST[-1] else file)
        kept.unlink(missing_ok=True)

    def _put(self, path: Path, source: Path) -> None:
        if self._place is None or not source.is_file():
            return  # a folder; or a file that was just removed
        mark = _mark(source)
        if self._known.get(path) == mark:
            return
        with _answering():
            self._place.put_file(self._name(path), source)
        self._known[path] = mark

    def bring(self, path: Path, *, anew: bool = False) -> Path:
        """A file or folder, copied here from the place if it is missing, or in any case if `anew`.

        What is nowhere stays missing.
        """
        if self._place is None or (path.exists() and not anew):
            return path
        # One thread copies, others wait here for what it brings.
        with self._lock, _answering():
            if path.exists() and not anew:
                return path
            if path.parent.name == FILES:
                with contextlib.suppress(FileNotFoundError):
                    self._place.get_file(self._name(path), path)
            else:
                self._bring_folder(self._place, path)
        return path

    def _bring_folder(self, place: Place, path: Path) -> None:
        name = self._name(path)
        found = place.names(name)
        if not found:
            return
        with atomic_folder(path) as partial:
            for inside in found:
                place.get_file(f"{name}/{inside}", partial / inside)
        # What came from there need not go there again.
        self._known |= {path / inside: _mark(path / inside) for inside in found}

    def drop(self, path: Path) -> None:
        """Remove a file or folder, here and at the place."""
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
        if self._place is None:
            return
        with _answering():
            if path.parent.name == FILES:
                self._place.remove(self._name(path))
            else:
                self._place.remove_all(self._name(path))

    def _name(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()


def _in_order(folder: Path) -> list[Path]:
    """The files to share; those of `LAST` at the end, and none that is being written."""
    found = [
        path
        for path in sorted(folder.rglob("*"))
        if path.name not in NOT_SHARED and "/." not in f"/{path.relative_to(folder).as_posix()}"
    ]
    return sorted(found, key=lambda path: LAST.index(path.name) + 1 if path.name in LAST else 0)


def _mark(path: Path) -> tuple[int, int]:
    known = path.stat()
    return known.st_size, known.st_mtime_ns


@contextlib.contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreGone(
            "the place of shared files, WORKBOOK_FILES, does not answer",
            fix="try again in some seconds",
        ) from error
