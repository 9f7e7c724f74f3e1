"""Tell the C library what to do with memory that was freed.

For: what takes and frees gigabytes, the trainer and the engine. On systems without glibc both
functions do nothing: other allocators do as they please.

    return_freed_memory()      # after a large model has gone
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

# Numbers of glibc's parameters, from malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
MMAP_BYTES, KEPT_BYTES = 32 << 20, 1 << 30
"""glibc takes no larger threshold for mapped blocks than 32 MB."""


def keep_freed_memory() -> None:
    """Stop glibc from handing memory back after each step and asking for it again: 7% of the
    time. Other systems' allocators keep it anyway."""
    if mallopt := _of_glibc("mallopt"):
        mallopt(M_MMAP_THRESHOLD, MMAP_BYTES)
        mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)


def return_freed_memory() -> None:
    """Hand back to the system what is free now. Takes some milliseconds."""
    if trim := _of_glibc("malloc_trim"):
        trim(0)


def _of_glibc(name: str) -> Any:
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
