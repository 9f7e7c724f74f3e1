"""The errors that this library raises, each with a remedy.

For: everything a caller may want to catch. Not for: HTTP error envelopes, which
the server builds from `ApiError` in `helpers.backend.protocol.errors`.

    raise CourseError("no file support.csv", fix="check the spelling of the path")
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from helpers.base import remedies


class CourseError(Exception):
    """A failure that the reader can mend; `fix` says how."""

    def __init__(self, message: str, *, fix: str = "") -> None:
        super().__init__(f"{message} ({fix})" if fix else message)
        self.message = message
        self.fix = fix


class SetupError(CourseError):
    """The environment is missing, damaged or cannot be made."""


class DataError(CourseError):
    """A dataset cannot be read at all; single defects are `Problem` values instead."""


class BackendError(CourseError):
    """The server did not start, did not answer, or a model could not be loaded."""


class NotAvailable(CourseError):
    """The chosen endpoint does not offer what was asked for."""


class NoSpaceError(DataError):
    """The disk is full, or the user's share of it; nothing was half written."""


@dataclass(frozen=True)
class Candidate:
    """One way to read what can be read in several, and what speaks for it."""

    value: Any
    """What to pass for the argument; strings, numbers, and dicts of them alone."""
    ground: str
    sample: str = ""
    """What comes out with it."""


class ChoiceNeeded(DataError):
    """Several readings are as likely; `argument` decides, with the value of one candidate."""

    def __init__(self, message: str, *, argument: str, candidates: Sequence[Candidate]) -> None:
        ways = (f"{remedies.argument(argument, one.value)} ({one.ground})" for one in candidates)
        super().__init__(message, fix=f"decide with {'; '.join(ways)}")
        self.argument = argument
        self.candidates = tuple(candidates)
