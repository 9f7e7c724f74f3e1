"""The training process: one job folder in, adapters and a progress file out.

For: the server, which starts it as a process of its own. It can be killed at any
moment: started again on the same folder, it goes on from the last saved state and
ends with the same adapter.

    python -m helpers.backend.training.worker .workbook/jobs/ftjob-…
"""

from __future__ import annotations

import json
import math
import os
import re
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any, TextIO

from helpers.backend.storage.parent import watch_parent
from helpers.backend.training.spec import PAUSED, PROGRESS, STOP, TrainSpec, read_progress
from helpers.base.files import write_text


class ProgressFile:
    """Appends one JSON object per line; the server reads along."""

    def __init__(self, job_dir: Path) -> None:
        self._job_dir = job_dir
        self._stream: TextIO | None = None

    def emit(self, row: dict[str, Any]) -> None:
        if self._stream is None:
            # A start that fails before it says where it goes on has undone no step.
            self._stream = self._begin(keep_to_step=row.get("resumed_at", math.inf))
        self._stream.write(json.dumps(row) + "\n")
        self._stream.flush()

    def _begin(self, *, keep_to_step: float) -> TextIO:
        path = self._job_dir / PROGRESS
        # Written anew as a whole: readers see by the new inode that steps may be told again.
        kept = [row for row in read_progress(self._job_dir) if _until(row, keep_to_step)]
        write_text(path, "".join(json.dumps(row) + "\n" for row in kept))
        return path.open("a", encoding="utf-8")


def _until(row: dict[str, Any], step: float) -> bool:
    """Steps after the saved state are done again, so their lines go."""
    # Each start writes a "started" of its own, and what ended the last one is no longer true.
    return row["type"] in ("step", "checkpoint") and row["step"] <= step


def stop_requested(job_dir: Path) -> threading.Event:
    """An event that SIGTERM sets; a file named `stop` does the same where signals differ."""
    event = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: event.set())

    def look() -> None:
        while not (job_dir / STOP).exists():
            time.sleep(0.2)
        event.set()

    threading.Thread(target=look, daemon=True).start()
    return event


def error_row(error: Exception) -> dict[str, Any]:
    """What went wrong, as a line of the progress file."""
    # PyTorch says "can't allocate memory" on a CPU, "out of memory" on CUDA.
    if isinstance(error, MemoryError) or re.search("allocate memory|out of memory", str(error)):
        message = "not enough memory to train; a smaller batch_size needs less"
        return {"type": "error", "code": "out_of_memory", "message": message}
    message = f"{type(error).__name__}: {error}"
    return {"type": "error", "code": "training_failed", "message": message}


def main(job_dir: Path) -> int:
    """Train the job in `job_dir`; returns the exit code."""
    stop = stop_requested(job_dir)
    watch_parent()
    spec = TrainSpec.read(job_dir)
    # PyTorch reads the number of threads when it is first imported.
    os.environ["OMP_NUM_THREADS"] = str(spec.threads)
    # oneDNN keeps what it prepares for each number of rows, and no two batches have the same:
    # 3 MB for each product, up to 1,024 of them.
    for cache in ("LRU_CACHE_CAPACITY", "ONEDNN_PRIMITIVE_CACHE_CAPACITY"):
        os.environ.setdefault(cache, "64")
    from helpers.backend.training.loop import Stopped, Trainer

    progress = ProgressFile(job_dir)
    try:
        Trainer(spec, job_dir, emit=progress.emit, should_stop=stop.is_set).run()
    except Stopped:
        return PAUSED
    except Exception as error:  # noqa: BLE001 - any failure must reach the job
        traceback.print_exc()
        progress.emit(error_row(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
