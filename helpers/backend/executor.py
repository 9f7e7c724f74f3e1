"""Start what computes long, a trainer or a batch, as a process of its own on this machine.

For: `jobs` and `batches`, which need a process to wait for and to kill, and no more: another
engine, say a cluster's, would stand here. Not for: what a process tells, see `training.spec`.

    process = start_trainer(store.job_dir("ftjob-abc"), settings.root)
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil

NICE = 15
"""Lower than everything else: chats are answered meanwhile."""


def start_trainer(folder: Path, root: Path) -> subprocess.Popen[bytes]:
    """A process that trains the job in `folder`; what it says goes into trainer.log there."""
    return _start("helpers.backend.train", folder, root, "trainer.log")


def start_bulk(folder: Path, root: Path) -> subprocess.Popen[bytes]:
    """A process that answers the prompts in `folder`; what it says goes into bulk.log there."""
    return _start("helpers.backend.bulk", folder, root, "bulk.log")


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
