"""Start what computes long, a trainer or a batch, as a process of its own on this machine.

For: both queues, which need a process to wait for and to kill, and no more: another
engine, say a cluster's, would stand here. Not for: what a process tells, see `training.spec`.

    process = start_trainer(store.job_dir("ftjob-abc"), settings.root)
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil

NICE = 15
"""Lower than everything else: chats are answered meanwhile."""


def start_trainer(folder: Path, root: Path) -> subprocess.Popen[bytes]:
    """A process that trains the job in `folder`; what it says goes into trainer.log there."""
    return _start("helpers.backend.training.worker", folder, root, "trainer.log")


def start_bulk(folder: Path, root: Path) -> subprocess.Popen[bytes]:
    """A process that answers the prompts in `folder`; what it says goes into bulk.log there."""
    return _start("helpers.backend.batch.worker", folder, root, "bulk.log")


def _start(module: str, folder: Path, root: Path, log_name: str) -> subprocess.Popen[bytes]:
    options: dict[str, Any] = {}
    if sys.platform == "win32":
        # Else a console window opens where the server has none.
        options = {"creationflags": subprocess.CREATE_NO_WINDOW}
    with (folder / log_name).open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", module, str(folder)],
            cwd=root,
            env=os.environ | {"WORKBOOK_PARENT": str(os.getpid())},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            **options,
        )
    with contextlib.suppress(psutil.Error):
        lower = psutil.BELOW_NORMAL_PRIORITY_CLASS if psutil.WINDOWS else NICE
        psutil.Process(process.pid).nice(lower)
    return process


ORPHANED = 76
"""Exit code when the server that started this process is gone."""


PARENT_POLL = 0.25
"""Seconds: a new server may start the job again soon after, in the same folder."""


def watch_parent() -> None:
    """End this process when the server that started it has gone: nobody would read on.

    A killed process that nobody has asked for its exit code yet keeps its number, as a
    zombie; and a number that is free is given to another process.
    """
    import psutil

    pid = os.environ.get("WORKBOOK_PARENT")
    if pid is None:
        return

    def alive(parent: psutil.Process) -> bool:
        try:
            return parent.is_running() and parent.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    def look() -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            parent = psutil.Process(int(pid))
            while alive(parent):
                time.sleep(PARENT_POLL)
        os._exit(ORPHANED)

    threading.Thread(target=look, daemon=True).start()
