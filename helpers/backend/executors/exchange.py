"""Files that a server and the nodes of a cluster both reach: an S3 store, or a shared folder.

For: what travels to a run and back. Not for: which files these are, see `attempts`.

    exchange = Exchange.at("s3://course/exchange?endpoint_override=10.0.0.5:8333&scheme=http")
    exchange.put("jobs/a/spec.json", b"{}")
    exchange.get("jobs/a/spec.json")

Credentials are never part of the address: both sides have them in their own environment, under
the names that every S3 client reads, `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`.
"""

from __future__ import annotations

import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from helpers.base.errors import BackendError
from helpers.base.files import atomic

CHUNK = 1 << 22


@dataclass(frozen=True)
class Exchange:
    """A place for files by name; a file is there whole or not at all."""

    uri: str
    fs: Any
    """`pyarrow.fs.FileSystem`."""
    root: str

    @classmethod
    def at(cls, uri: str, setting: str = "WORKBOOK_EXCHANGE") -> Exchange:
        """The place at an S3 address or in a folder. Raises `BackendError` for any other.

        `setting` is what errors name.
        """
        from pyarrow import ArrowException
        from pyarrow.fs import FileSystem

        if "@" in (urlsplit(uri).netloc if "://" in uri else ""):
            raise BackendError(
                f"the address in {setting} holds a password",
                fix="leave it out, and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            )
        try:
            fs, root = FileSystem.from_uri(uri if "://" in uri else str(Path(uri).absolute()))
        except (ValueError, OSError, ArrowException) as error:
            raise BackendError(
                f"{setting} cannot be used: {error}",
                fix="name a folder that all nodes see, or s3://BUCKET/PREFIX?endpoint_override=…",
            ) from error
        return cls(uri, fs, root)

    @property
    def _moves(self) -> bool:
        """Whether a file has to be written under another name to be there whole or not at all."""
        return bool(self.fs.type_name == "local")

    def put(self, name: str, data: bytes) -> None:
        """Store a small file."""
        with self._writing(name) as stream:
            stream.write(data)

    def put_file(self, name: str, source: Path) -> None:
        """Store a copy of a file."""
        with source.open("rb") as given, self._writing(name) as stream:
            shutil.copyfileobj(given, stream, CHUNK)

    def put_folder(self, name: str, source: Path) -> None:
        """Store a copy of all files of a folder."""
        for path in sorted(source.rglob("*")):
            if path.is_file():
                self.put_file(f"{name}/{path.relative_to(source).as_posix()}", path)

    def get(self, name: str) -> bytes | None:
        """A small file; None if it is not there."""
        try:
            with self.fs.open_input_stream(self._path(name)) as stream:
                return bytes(stream.read())
        except FileNotFoundError:
            return None

    def get_file(self, name: str, target: Path) -> None:
        """Bring a file here. Raises `FileNotFoundError`."""
        with self.fs.open_input_stream(self._path(name)) as stream, atomic(target) as out:
            shutil.copyfileobj(stream, out, CHUNK)

    def names(self, prefix: str) -> dict[str, int]:
        """The files below a prefix, by their names behind it, and their bytes."""
        from pyarrow.fs import FileSelector, FileType

        place = f"{self.root}/{prefix}"
        found = self.fs.get_file_info(FileSelector(place, allow_not_found=True, recursive=True))
        return {
            one.path.removeprefix(f"{place}/"): one.size
            for one in found
            # Names with a dot are those of `_Move`, still being written.
            if one.type == FileType.File and not one.base_name.startswith(".")
        }

    def remove(self, name: str) -> None:
        """Remove one file; nothing happens if it is not there."""
        try:
            self.fs.delete_file(self._path(name))
        except FileNotFoundError:
            return

    def remove_all(self, prefix: str) -> None:
        """Remove everything below a prefix."""
        from pyarrow.fs import FileType

        place = f"{self.root}/{prefix}"
        if self.fs.get_file_info(place).type == FileType.Directory:
            self.fs.delete_dir(place)

    def _writing(self, name: str) -> Any:
        return _Move(self, name) if self._moves else self.fs.open_output_stream(self._path(name))

    def _path(self, name: str) -> str:
        return f"{self.root}/{name}"


class _Move:
    """Write under another name, then give the file its own: in a folder, readers look any time."""

    def __init__(self, exchange: Exchange, name: str) -> None:
        self.fs, self.target = exchange.fs, f"{exchange.root}/{name}"
        folder, _, last = self.target.rpartition("/")
        self.fs.create_dir(folder, recursive=True)
        self.partial = f"{folder}/.{last}.{uuid.uuid4().hex}"

    def __enter__(self) -> Any:
        self.stream = self.fs.open_output_stream(self.partial)
        return self.stream

    def __exit__(self, kind: Any, *_: object) -> None:
        self.stream.close()
        if kind is None:
            self.fs.move(self.partial, self.target)
        else:
            self.fs.delete_file(self.partial)
