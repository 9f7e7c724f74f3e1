"""Read and write JSON Lines files: one JSON object per line.

For: files of any size, read line by line in constant memory, and written so that a
crash leaves the old file whole. Not for: judging what stands in a line, see
`helpers.datasets.validation.file`.

    write("train.jsonl", [{"messages": []}])
    for example in read("train.jsonl"):
        print(example["messages"])
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO, NamedTuple

import jiter

from helpers.base.errors import DataError
from helpers.base.files import Readable, atomic, opened

BOM = b"\xef\xbb\xbf"
LINE_LIMIT = 16 * 2**20
"""Longest line that is read, in bytes: 65,536 tokens are about 0.3 MB."""
BLOCK = 2**20
"""Bytes read at a time."""


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


class LineBlock(NamedTuple):
    """Some whole lines."""

    first: int
    """Number of the first line."""
    data: bytes
    cut: bool
    """Whether the last line went on beyond the limit; its rest was skipped."""


def blocks(source: Readable, *, limit: int = LINE_LIMIT) -> Iterator[LineBlock]:
    """The file in blocks of whole lines: about 1 MB, or one long line, at a time."""
    with opened(source) as stream:
        first = 1
        while data := stream.read(BLOCK):
            # To the end of a line, so that no line is in two blocks.
            rest = b"" if data.endswith(b"\n") else stream.readline(limit)
            cut = len(rest) >= limit and not rest.endswith(b"\n")
            if cut:
                _skip_line(stream)
            yield LineBlock(first, data + rest, cut)
            # A line that was cut has lost its "\n", and counts all the same.
            first += (data + rest).count(b"\n") + cut


def lines(source: Readable, *, limit: int = LINE_LIMIT) -> Iterator[Line]:
    """Each line of a file. A line over `limit` bytes is cut and marked."""
    for block in blocks(source, limit=limit):
        yield from lines_of(block, limit=limit)


def lines_of(block: LineBlock, *, limit: int = LINE_LIMIT) -> Iterator[Line]:
    """The lines of one block."""
    parts = block.data.split(b"\n")
    last = len(parts) - 1
    for place, part in enumerate(parts):
        # What stands behind the last "\n" is no line, unless it holds something.
        if place == last and not part:
            return
        ending = b"\n" if place < last else b""
        over_long = len(part) + len(ending) > limit or (block.cut and place == last)
        number = block.first + place
        bom = number == 1 and part.startswith(BOM)
        body = part[len(BOM) :] if bom else part
        if body.endswith(b"\r") and ending:
            body, ending = body[:-1], b"\r\n"
        yield Line(number, body[:limit] if over_long else body, ending, bom, over_long)


def _skip_line(stream: BinaryIO) -> None:
    while (chunk := stream.readline(BLOCK)) and not chunk.endswith(b"\n"):
        pass


def parse(raw: bytes) -> Any:
    """The JSON value of one line. Raises `ValueError` that says where it breaks."""
    return jiter.from_json(raw, allow_inf_nan=False)


def read(source: Readable) -> Iterator[dict[str, Any]]:
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
                fix="see every problem with helpers.datasets.validation.file.validate_file",
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
