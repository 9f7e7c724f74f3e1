"""Open, write and copy files so that a crash leaves the old file whole.

For: every file that the library or the server writes. Not for: what stands in it.

    with atomic("report.html") as stream:
        stream.write(b"<p>done</p>")
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from helpers.base.errors import DataError


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
def atomic(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A binary stream whose bytes replace the file at `path` when the block ends well.

    Raises `DataError` where nothing can be written: no such place, no right, no room.
    """
    target = Path(path)
    partial = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        partial = Path(name)
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        partial.chmod(0o644)
        partial.replace(target)
    except BaseException as error:
        if partial is not None:
            partial.unlink(missing_ok=True)
        if isinstance(error, OSError):
            reason = error.strerror or str(error)
            fix = "choose another place, or make room"
            raise DataError(f"{target.name} cannot be written: {reason}", fix=fix) from error
        raise
