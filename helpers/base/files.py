"""Open, write and copy files so that a crash leaves the old file whole.

For: every file that the library or the server writes. Not for: what stands in it.

    write_text("report.html", "<p>done</p>")
    with atomic("train.jsonl") as stream:       # replaces the file when the block ends well
        stream.write(b"{}")
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from helpers.base.errors import CourseError, DataError, NoSpaceError

PARTIAL = ".partial"
"""How the name of a file ends that is being written; it begins with a dot."""
# Disk full, quota used up, file larger than allowed.
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
HELD_SECONDS = 2.0 if os.name == "nt" else 0.0
"""How long to try again: on Windows nobody may move a file that an antivirus still reads."""


def replace(source: Path, target: Path) -> Path:
    """Move a file or folder to where another may be. Raises `OSError` if it cannot be moved."""
    last = time.monotonic() + HELD_SECONDS
    while True:
        try:
            return source.replace(target)
        except PermissionError:
            if time.monotonic() >= last:
                raise
            time.sleep(0.05)


def own_copy(source: Path, target: Path) -> None:
    """Give a file a second name that lives on when the first one is deleted, or copy it."""
    try:
        os.link(source, target)
    except OSError:
        # Not every file system has hard links.
        shutil.copyfile(source, target)


Readable = str | os.PathLike[str] | BinaryIO


@contextmanager
def opened(source: Readable) -> Iterator[BinaryIO]:
    """A binary stream of `source`; a stream that was passed in stays open."""
    if not isinstance(source, str | os.PathLike):
        yield source
        return
    path = Path(source)
    try:
        stream = path.open("rb")
    except OSError as error:
        reason = "is a folder" if path.is_dir() else error.strerror or "cannot be read"
        raise DataError(f"{path.name}: {reason}", fix="check the path of the file") from error
    with stream:
        yield stream


@contextmanager
def atomic(path: str | os.PathLike[str], *, mode: int = 0o644) -> Iterator[BinaryIO]:
    """A binary stream whose bytes replace the file at `path` when the block ends well.

    `mode` says who may read it, as for `chmod`. Raises `DataError` where nothing can be written:
    no such place, no right, no room (`NoSpaceError`).
    """
    with atomic_path(path, mode=mode) as partial, partial.open("wb") as stream:
        yield stream


@contextmanager
def atomic_path(path: str | os.PathLike[str], *, mode: int = 0o644) -> Iterator[Path]:
    """The path of a new empty file that replaces the one at `path` when the block ends well.

    For libraries that write to a path and not to a stream. `mode` and errors as for `atomic`.
    """
    target = Path(path)
    with _said(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        # The name differs each time: two processes may write the same target at once.
        handle, name = tempfile.mkstemp(
            dir=target.parent, prefix=f".{target.name}.", suffix=PARTIAL
        )
        os.close(handle)
        partial = Path(name)
        try:
            yield partial
            # Without this the new name can reach the disk before the bytes: after a power
            # cut, the file would be there and empty.
            _flush(partial)
            # `mkstemp` lets the owner alone read what it makes.
            partial.chmod(mode)
            replace(partial, target)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """A new folder that replaces the one at `path` when the block ends well.

    A folder cannot be replaced in one step: a crash between the two leaves none, never half.
    """
    with _said(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=PARTIAL))
        try:
            yield partial
            for file in partial.rglob("*"):
                if file.is_file():
                    _flush(file)
            partial.chmod(0o755)
            shutil.rmtree(path, ignore_errors=True)
            replace(partial, path)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Replace a file by these bytes, whole or not at all. Errors as for `atomic`."""
    with atomic(path) as stream:
        stream.write(data)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Replace a file by this text in UTF-8, whole or not at all. Errors as for `atomic`."""
    write_bytes(path, text.encode())


def sweep(folder: Path) -> None:
    """Remove what killed writers left in a folder; nobody may be writing there now."""
    for left in folder.glob(f".*{PARTIAL}"):
        shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)


@contextmanager
def locked(
    path: str | os.PathLike[str], *, held: Callable[[], CourseError], seconds: float = 0
) -> Iterator[None]:
    """Hold a lock that the operating system gives back however this process ends.

    Waits `seconds` for another holder, then raises what `held` makes; its message should say
    who that may be. The file stays: one that is removed could be locked by two at once.
    """
    import filelock

    # Not by thread: a lock may be given back in another one than it was taken in.
    lock = filelock.FileLock(path, timeout=seconds, thread_local=False)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    try:
        lock.acquire(poll_interval=0.05)
    except filelock.Timeout:
        raise held() from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _said(target: Path) -> Iterator[None]:
    """Turn the system's errors into one that says what to do."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        message = f"{target.name} cannot be written: {reason}"
        if error.errno in NO_SPACE:
            raise NoSpaceError(message, fix="make room on the disk, then try again") from error
        raise DataError(message, fix="choose another place, or make room") from error


def _flush(path: Path) -> None:
    # Windows flushes only what is open for writing.
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())
