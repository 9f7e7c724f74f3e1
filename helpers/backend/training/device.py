"""What this machine can do, and how to use it: device, precision, memory.

For: the trainer, once at its start.

    device, dtype = choose_device(), choose_precision("auto")
"""

from __future__ import annotations

import ctypes
import os
import sys
from typing import Literal

import torch

Precision = Literal["float32", "bfloat16", "auto"]

NATIVE = ("avx512_bf16", "amx_bf16")
"""CPU features that multiply bfloat16; elsewhere it is converted and slower than float32."""
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
MMAP_BYTES, KEPT_BYTES = 32 << 20, 1 << 30
"""glibc takes no larger threshold for mapped blocks than 32 MB."""


def choose_device() -> torch.device:
    """The first CUDA device, or the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def choose_precision(wanted: Precision, device: torch.device | None = None) -> torch.dtype:
    """The type of the frozen weights and of what flows between the layers.

    "auto" is bfloat16 where the processor multiplies it natively, twice as fast as
    float32; the residual stream, the adapter and the losses are float32 in any case.
    """
    if wanted != "auto":
        return torch.bfloat16 if wanted == "bfloat16" else torch.float32
    return torch.bfloat16 if _native(device or choose_device()) else torch.float32


def _native(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    features = torch.cpu.get_capabilities()
    return any(features.get(name) for name in NATIVE)


def repeatable(device: torch.device) -> None:
    """On CUDA, choose operations that give the same result every time."""
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)


def keep_freed_memory() -> None:
    """Stop glibc from handing memory back after each step and asking for it again: 7% of the
    time. Other systems' allocators keep it anyway."""
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(M_MMAP_THRESHOLD, MMAP_BYTES)
            mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
