"""Plain values that several layers share.

For: frozen dataclasses without behaviour. Not for: anything that reads a file.

    Problem(line=7, code="missing_assistant", severity="error",
            message="no assistant message", fix="end the example with one")
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Problem:
    """One defect of a dataset file. `line` counts from 1; 0 means the whole file."""

    line: int
    code: str
    severity: Severity
    message: str
    fix: str

    def __str__(self) -> str:
        where = f"line {self.line}" if self.line else "file"
        return f"{where}: {self.code}: {self.message} ({self.fix})"
