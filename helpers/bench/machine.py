"""What this machine can do at most, and how measurements are taken.

For: the rows of the benchmark. Not for: comparing anything.

    gflops(rows=600, inputs=576, outputs=1536, dtype="bfloat16", threads=2)
"""

from __future__ import annotations

import platform
import statistics
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil


def median_seconds(work: Callable[[], Any], *, runs: int = 5) -> float:
    """The median duration of some runs."""
    taken = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def gflops(*, rows: int, inputs: int, outputs: int, dtype: str, threads: int) -> float:
    """Billions of operations a second in one matrix product of this shape, as PyTorch does it.

    The best tenth of a hundred: others' work on the machine only makes it slower, and a
    clock that jumps gives single values that are far too good.
    """
    import torch

    torch.set_num_threads(threads)
    kind = getattr(torch, dtype)
    left = torch.randn(rows, inputs).to(kind)
    right = torch.randn(outputs, inputs).to(kind)
    taken = []
    for _ in range(100):
        start = time.perf_counter()
        torch.nn.functional.linear(left, right)
        taken.append(time.perf_counter() - start)
    # A product of shape (rows, outputs) takes two operations for each of its inputs.
    return 2 * rows * inputs * outputs / sorted(taken)[10] / 1e9


def run_measured(command: list[str], *, env: dict[str, str], log: Path) -> float:
    """Run a program to its end; returns the most memory in MB that its processes held at once.

    Raises `RuntimeError` with the end of its output when it fails.
    """
    with log.open("w", encoding="utf-8") as stream:
        process = subprocess.Popen(command, env=env, stdout=stream, stderr=subprocess.STDOUT)
        peak = Peak(process.pid)
        code = process.wait()
    if code:
        said = log.read_text(encoding="utf-8")[-2000:]
        raise RuntimeError(f"{' '.join(command[:4])} ended with {code}: {said}")
    return peak.megabytes


class Peak:
    """Watches a process and its children until they end."""

    def __init__(self, pid: int) -> None:
        self.megabytes = 0.0
        self._pid = pid
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while (now := resident(self._pid)) is not None:
            self.megabytes = max(self.megabytes, now)
            time.sleep(0.05)


def resident(pid: int) -> float | None:
    """Megabytes that a process and its children hold; None when it is gone."""
    try:
        root = psutil.Process(pid)
        family = [root, *root.children(recursive=True)]
        return sum(process.memory_info().rss for process in family) / 2**20
    # A child can end between the listing and the question.
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return None


def description() -> str:
    """The processor, its cores as seen here, and the memory."""
    # Empty on many Linux systems, where the kernel's own list knows the name.
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                name = line.split(":", 1)[1].strip()
                break
    memory = psutil.virtual_memory().total / 2**30
    system = f"{platform.system()}, Python {platform.python_version()}"
    return f"{name}, {psutil.cpu_count()} cores, {memory:.0f} GiB, {system}"
