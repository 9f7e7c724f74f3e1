"""Weights in a file without a name, whose memory the system can have back.

For: `llama_graph`. A compiled model holds weights in an order of its own, made at the first pass,
and besides the ones that it was given, of which it hardly reads any more. These lie in a file that
is gone with the process: what was set aside comes from it again where it is read after all. Not
for: systems without `posix_fallocate` and `madvise`; there, weights are held in memory.

    file = WeightFile(Path(".workbook/cache"), size=320_000_000)
    weights = file.take(weights)        # the same numbers
    file.set_aside()
"""

from __future__ import annotations

import contextlib
import mmap
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

POSSIBLE = hasattr(os, "posix_fallocate") and hasattr(mmap, "MADV_DONTNEED")
SPARE = 1 << 30
"""Bytes of the disk that are left free."""


class WeightFile:
    """Room for so many bytes of arrays; without a disk that has it, all stays in memory."""

    def __init__(self, folder: Path, size: int) -> None:
        self._map: mmap.mmap | None = None
        self._end = 0
        with contextlib.suppress(OSError):
            self._map = _mapped(folder, size)

    @staticmethod
    def room(sizes: Iterable[int]) -> int:
        """The bytes that arrays of these sizes take together."""
        return sum(_whole_pages(size) for size in sizes)

    def take(self, values: np.ndarray) -> np.ndarray:
        """The same array, in the file; as it is where there is no room."""
        start, end = self._end, self._end + _whole_pages(values.nbytes)
        if self._map is None or end > len(self._map):
            return values
        self._end = end
        copy = np.frombuffer(self._map, values.dtype, values.size, start).reshape(values.shape)
        copy[...] = values
        return copy

    def set_aside(self) -> None:
        """Give the memory back, and no number."""
        if self._map is not None:
            self._map.madvise(mmap.MADV_DONTNEED)


def _mapped(folder: Path, size: int) -> mmap.mmap | None:
    if not POSSIBLE or not size:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as stream:
        found = os.fstatvfs(stream.fileno())
        if found.f_bavail * found.f_frsize < size + SPARE:
            return None
        # Taken now: a disk that is full when a page is written would end the process.
        os.posix_fallocate(stream.fileno(), 0, size)
        return mmap.mmap(stream.fileno(), size)


def _whole_pages(size: int) -> int:
    return -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
