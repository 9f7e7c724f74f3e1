"""Notice when other programs need the cores that the engine's threads count on.

For: the daemon, about once a second. llama.cpp's threads wait for each other many hundred
times a token; where another program holds one of the cores they wait in vain. Measured on
two busy cores: 24 tokens in 107 s with two threads, in 5 s with one.

    neighbours = Neighbours(threads=2)
    neighbours.crowd()      # True while there are too few free cores for two threads
"""

from __future__ import annotations

from collections.abc import Callable

import psutil

SMOOTHING = 0.5
"""Weight of the newest second: a short burst is no crowd."""
TOO_FEW, ENOUGH = 0.5, 0.25
"""Cores that may be missing before it counts as a crowd, and at which it no longer does."""


class Neighbours:
    """Remembers how busy the others were in the last seconds."""

    def __init__(
        self, threads: int, *, cores: int | None = None, others: Callable[[], float] | None = None
    ) -> None:
        self._threads, self._cores = threads, cores or psutil.cpu_count() or threads
        self._others = others or cores_of_others()
        self._level, self._crowded = 0.0, False

    def crowd(self) -> bool:
        """Whether there are fewer free cores than threads."""
        self._level += SMOOTHING * (self._others() - self._level)
        missing = self._threads - (self._cores - self._level)
        # Two bounds, so that a level between them does not load the models anew each second.
        self._crowded = missing > (ENOUGH if self._crowded else TOO_FEW)
        return self._crowded and self._threads > 1


def cores_of_others() -> Callable[[], float]:
    """A function that says how many cores other programs kept busy since it was last called."""
    # This process alone: a trainer of ours needs cores as any other program does.
    own, cores = psutil.Process(), psutil.cpu_count() or 1

    def look() -> float:
        all_of_them = psutil.cpu_percent() / 100 * cores
        return max(0.0, all_of_them - own.cpu_percent() / 100)

    # psutil measures since the last call, so the first one says nothing.
    look()
    return look
