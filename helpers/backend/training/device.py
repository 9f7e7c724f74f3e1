"""What this machine can do, and how to use it: device and precision.

For: the trainer, once at its start.

    device, dtype = choose_device(), choose_precision("auto")
"""

from __future__ import annotations

import os
import time
from functools import cache
from pathlib import Path

import torch

from helpers.backend.training.kernels import FrozenLinear
from helpers.backend.training.spec import PRECISION
from helpers.base.files import write_text
from helpers.base.settings import Precision

# PyTorch's names for the features, not those of /proc/cpuinfo.
NATIVE = ("avx512_bf16", "amx_bf16")
"""CPU features that multiply bfloat16; elsewhere it is converted and slower than float32."""
LAYER = (640, 576, 1536)
"""Rows, inputs and outputs of a product as training makes them."""
GAIN = 1.25
"""How much faster bfloat16 must be, so that noise does not decide."""


def choose_device() -> torch.device:
    """The first CUDA device, or the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def choose_precision(wanted: Precision, device: torch.device | None = None) -> torch.dtype:
    """The type of the frozen weights and of what flows between the layers.

    "auto" is bfloat16 where it is faster, by a measurement on a CPU; the residual stream, the
    adapter and the losses are float32 in any case.
    """
    if wanted != "auto":
        return torch.bfloat16 if wanted == "bfloat16" else torch.float32
    place = device or choose_device()
    faster = multiplies_bfloat16(place) and (place.type == "cuda" or _gain() > GAIN)
    return torch.bfloat16 if faster else torch.float32


def job_precision(folder: Path, wanted: Precision, device: torch.device) -> torch.dtype:
    """The precision of a job, chosen at its first start: a resumed job computes as it began."""
    # Both precisions are sound, but a run that changes over in the middle no longer equals one that
    # ran through.
    kept = folder / PRECISION
    if not kept.is_file():
        write_text(kept, str(choose_precision(wanted, device)).removeprefix("torch."))
    return torch.bfloat16 if kept.read_text(encoding="utf-8") == "bfloat16" else torch.float32


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 itself, fast or not."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    features = torch.cpu.get_capabilities()
    return any(features.get(name) for name in NATIVE)


@cache
def _gain() -> float:
    """How many times faster this CPU multiplies bfloat16 than float32, at its best.

    Features do not tell: some processors with them have half as many units for them.
    """
    return _least_seconds(torch.float32) / _least_seconds(torch.bfloat16)


def _least_seconds(dtype: torch.dtype) -> float:
    rows, inputs, outputs = LAYER
    layer = FrozenLinear(torch.ones(outputs, inputs, dtype=dtype))
    x = torch.ones(rows, inputs, dtype=dtype)
    taken = []
    # The least of many, since whatever else runs on the machine can only make a product slower.
    for _ in range(20):
        begun = time.perf_counter()
        layer.forward(x)
        taken.append(time.perf_counter() - begun)
    return min(taken)


def repeatable(device: torch.device) -> None:
    """On CUDA, choose operations that give the same result every time."""
    if device.type == "cuda":
        # Without this PyTorch refuses cuBLAS in deterministic mode. The size is one of the two that
        # NVIDIA names for it.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
