"""One row of the benchmark's table, and the names by which rows are asked for.

For: what every measurement returns. Not for: measuring.

    BenchRow("idle-memory", "memory of the idle server", "MB", ours=104, aim="at most 400")
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class BenchRow:
    """A measured number beside what it is compared with, and whether the aim is reached."""

    name: str
    """The word that asks for this row alone: `bench NAME`."""
    what: str
    unit: str
    ours: float
    theirs: float | None = None
    aim: str = ""
    holds: bool | None = None

    @property
    def ratio(self) -> float | None:
        """How many times better ours is: a rate should be high, all else low."""
        if self.theirs is None or not self.ours or not self.theirs:
            return None
        return self.ours / self.theirs if self.unit.endswith("/s") else self.theirs / self.ours

    def as_json(self) -> dict[str, Any]:
        """The row as bench.json holds it."""
        return asdict(self) | {"ratio": self.ratio}


Measurement = Callable[[], BenchRow]
"""Takes one row's measurement; what several rows need is measured once and kept."""


def chosen(known: Mapping[str, Iterable[str]], wanted: Iterable[str]) -> dict[str, list[str]]:
    """Row names by group for the names asked for: rows, or groups; all of them for none.

    Raises `KeyError` with the first name that is neither.
    """
    asked = list(wanted)
    every = {name for names in known.values() for name in names}
    for name in asked:
        if name not in known and name not in every:
            raise KeyError(name)
    picked = {
        group: [name for name in names if not asked or group in asked or name in asked]
        for group, names in known.items()
    }
    return {group: names for group, names in picked.items() if names}
