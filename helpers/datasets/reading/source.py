"""Rows of a learner's file as they were read, and those that were not taken.

For: the values that reading, mapping and converting share. Not for: reading, see `formats`.

    Reject(row=7, reason="no answer", values={"question": "When?"})
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Row = dict[str, Any]


@dataclass(frozen=True)
class Reject:
    """A row that was not taken, where it stood, and why."""

    row: int
    """Counts the file's rows from 1, the header left out."""
    reason: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class SourceTable:
    """All rows of a file."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[int, Row], ...]
    """Each with its number, as in `Reject`."""
    rejected: tuple[Reject, ...] = ()
    encoding: str = "utf-8"
    separator: str = ""
    notes: tuple[str, ...] = ()
    """What the reader decided and a person should know: sheets left out, a guessed encoding."""
    form: Literal["table", "chat", "mail"] = "table"
    """A chat or mails have the columns thread, role, text and time, as far as they are known."""

    @property
    def rows_in(self) -> int:
        """Rows of the file, taken or not."""
        return len(self.rows) + len(self.rejected)


@dataclass(frozen=True)
class Grid:
    """Cells as text, row by row; empty rows are left out."""

    rows: list[list[str]]
    faults: Mapping[int, str]
    """By place in `rows`: why a row cannot be taken."""
    notes: tuple[str, ...] = ()


def words(text: str) -> tuple[str, ...]:
    """Words that are written in one string, which takes less room than a list of them."""
    return tuple(text.split())


def is_unicode(text: str) -> bool:
    """Whether a text can be written as UTF-8: JSON escapes can hold half a letter."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
