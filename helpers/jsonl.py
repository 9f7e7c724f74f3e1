"""Read and write JSON Lines files: one JSON object a line.

For: files of any size, read line by line in constant memory, and written so that a
crash leaves the old file whole. Not for: judging what stands in a line, see
`helpers.datasets.validate`.

    write("train.jsonl", [{"messages": []}])
    for example in read("train.jsonl"):
        print(example["messages"])
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import jiter

from helpers.errors import DataError

BOM = b"\xef\xbb\xbf"
LINE_LIMIT = 16 * 2**20
"""Longest line that is read, in bytes: 65,536 tokens are about 0.3 MB."""
CHUNK = 2**20

Source = str | os.PathLike[str] | BinaryIO


class Line(NamedTuple):
    """One line as it stands in the file."""

    number: int
    """Counts from 1."""
    raw: bytes
    """The bytes without line ending and byte order mark; cut at the limit."""
    ending: bytes
    """b"\\n", b"\\r\\n", or b"" for a last line without one."""
    bom: bool = False
    over_long: bool = False


@contextmanager
def opened(source: Source) -> Iterator[BinaryIO]:
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


def lines(source: Source, *, limit: int = LINE_LIMIT) -> Iterator[Line]:
    """Each line of a file. A line over `limit` bytes is skipped to its end and marked."""
    with opened(source) as stream:
        number = 0
        while raw := stream.readline(limit):
            number += 1
            over_long = len(raw) >= limit and not raw.endswith(b"\n")
            if over_long:
                _skip_line(stream)
            bom = number == 1 and raw.startswith(BOM)
            body, ending = _without_ending(raw[len(BOM) :] if bom else raw)
            yield Line(number, body, ending, bom, over_long)


def _without_ending(raw: bytes) -> tuple[bytes, bytes]:
    if raw.endswith(b"\r\n"):
        return raw[:-2], b"\r\n"
    if raw.endswith(b"\n"):
        return raw[:-1], b"\n"
    return raw, b""


def _skip_line(stream: BinaryIO) -> None:
    while (chunk := stream.readline(CHUNK)) and not chunk.endswith(b"\n"):
        pass


def parse(raw: bytes) -> Any:
    """The JSON value of one line. Raises `ValueError` that says where it breaks."""
    return jiter.from_json(raw, allow_inf_nan=False)


def read(source: Source) -> Iterator[dict[str, Any]]:
    """Each object of a file that should be sound; blank lines are passed over.

    Raises `DataError` with the line number at the first line that is no JSON object.
    """
    for line in lines(source):
        if not line.raw.strip():
            continue
        try:
            value = None if line.over_long else parse(line.raw)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise DataError(
                f"line {line.number} is not a JSON object",
                fix="see every problem with helpers.datasets.validate.validate_file",
            )
        yield value


def dump(row: Mapping[str, Any]) -> bytes:
    """One line with its ending, in UTF-8. Raises `DataError` for what JSON cannot hold."""
    try:
        return json.dumps(row, ensure_ascii=False, allow_nan=False).encode() + b"\n"
    except (TypeError, ValueError) as error:
        raise DataError(f"a row cannot be written as JSON: {error}") from error


def write(path: str | os.PathLike[str], rows: Iterable[Mapping[str, Any]]) -> int:
    """Write the rows and return their number. The file appears whole or not at all."""
    count = 0
    with atomic(path) as stream:
        for row in rows:
            stream.write(dump(row))
            count += 1
    return count


@contextmanager
def atomic(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A binary stream whose bytes replace the file at `path` when the block ends well."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    partial = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        partial.chmod(0o644)
        partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
