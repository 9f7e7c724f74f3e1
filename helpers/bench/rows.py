"""One row of the benchmark's table.

For: what every measurement returns. Not for: measuring.

    Row("validate 100,000 examples", "s", ours=0.6, theirs=4.1, aim="at least 5 times faster",
        holds=True)
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A measured number beside what it is compared with, and whether the aim is reached."""

    name: str
    unit: str
    ours: float
    theirs: float | None = None
    aim: str = ""
    holds: bool | None = None

    @property
    def ratio(self) -> float | None:
        """How many times theirs is ours; None where there is nothing to compare with."""
        return self.theirs / self.ours if self.theirs is not None and self.ours else None
