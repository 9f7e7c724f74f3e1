"""Rows that show a key or a type first, in front of all others of a large file.

For: trainers that read JSON Lines with `datasets`, which takes the types of all columns from the
first ten megabytes and stops at a key that it meets later. Not for: what stands in a row, see
`rows`.

    moved = show_first("out/train.jsonl")       # rows that now stand in front
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from helpers.base import files, jsonl

BLOCK = 10_000_000
"""Bytes from which `datasets` takes the types of a JSON Lines file."""


def show_first(path: str | Path) -> int:
    """Reorder a file that is larger than `BLOCK`; returns how many rows were moved."""
    path = Path(path)
    if path.stat().st_size <= BLOCK:
        return 0
    seen: set[str] = set()
    new: dict[int, bytes] = {}
    above = 0
    for line in jsonl.lines(path):
        shown = set(_places(jsonl.parse(line.raw)))
        # What the first block shows already may stay where it is.
        if not shown <= seen and above > BLOCK:
            new[line.number] = line.raw
        seen |= shown
        above += len(line.raw) + 1
    if new:
        with files.atomic(path) as stream:
            stream.writelines(raw + b"\n" for raw in new.values())
            others = (line for line in jsonl.lines(path) if line.number not in new)
            stream.writelines(line.raw + b"\n" for line in others)
    return len(new)


def _places(value: Any, at: str = "") -> Iterator[str]:
    """Each key and type in a row, such as ".messages[].weight:int"."""
    if isinstance(value, dict):
        yield f"{at}{{}}"
        for key, held in value.items():
            yield from _places(held, f"{at}.{key}")
    elif isinstance(value, list):
        yield f"{at}[]"
        for held in value:
            yield from _places(held, f"{at}[]")
    else:
        yield f"{at}:{type(value).__name__}"
