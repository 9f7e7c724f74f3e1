"""Runs as processes of their own on this machine: the default.

For: one machine. Not for: what a process tells, see `training.spec`.

    executor = LocalExecutor(settings.root)
    run = executor.start(store.job_dir("ftjob-abc"))
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

from helpers.backend.executors.interface import LOG, TRAINER

NICE = 10
"""Lower than everything else: chats are answered meanwhile."""
CORES_SECONDS = 1.0
"""To wait for the cores: not longer, since what waits may be cancelled or paused meanwhile."""


class LocalExecutor:
    """Processes on this machine, `at_once` at a time; the cores are theirs while one runs."""

    def __init__(
        self,
        root: Path,
        *,
        at_once: int = 1,
        cores: threading.Lock | None = None,
        share_cores: Callable[[bool], None] = lambda _: None,
    ) -> None:
        self._root, self._at_once, self._share_cores = root, at_once, share_cores
        # Whoever else computes long waits for it, and is waited for.
        self._cores = cores or threading.Lock()
        self._guard, self._inside = threading.Lock(), 0
        self._processes: list[subprocess.Popen[bytes]] = []

    @contextlib.contextmanager
    def room(self) -> Iterator[bool]:
        """The cores, for all runs together: the first takes them, the last gives them back."""
        with self._guard:
            # The lock is waited for by the first only; further runs share what that one holds.
            inside = self._inside > 0 or self._cores.acquire(timeout=CORES_SECONDS)
            if inside:
                self._inside += 1
                self._share_cores(True)
        try:
            yield inside
        finally:
            with self._guard:
                if inside:
                    self._inside -= 1
                if inside and not self._inside:
                    self._share_cores(False)
                    self._cores.release()

    def free(self, busy: int) -> int:
        return self._at_once - busy

    def start(self, folder: Path, program: str = TRAINER) -> subprocess.Popen[bytes]:
        process = start_process(folder, self._root, program)
        self._processes = [*(one for one in self._processes if one.poll() is None), process]
        return process

    def sync(self, folder: Path) -> None:
        """A process works in the folder itself."""

    def forget(self, folder: Path, *, discard: bool) -> None:
        """A process ends with its server, see `watch_parent`."""

    def discard(self, folder: Path) -> None:
        """All of it lies in the folder."""

    def close(self) -> None:
        """It would end by itself soon; but the next server may begin before."""
        for process in self._processes:
            process.kill()

    def describe(self) -> str:
        return f"processes on this machine, {self._at_once} at a time"


def start_process(
    folder: Path, root: Path, program: str = TRAINER, *, lower: bool = True
) -> subprocess.Popen[bytes]:
    """A process that works in `folder`; what it says goes into its log there.

    `lower`: below the priority of whatever else runs here.
    """
    options: dict[str, Any] = {}
    if sys.platform == "win32":
        # Else a console window opens where the server has none.
        options = {"creationflags": subprocess.CREATE_NO_WINDOW}
    with (folder / LOG).open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", program, str(folder)],
            cwd=root,
            # `watch_parent` reads it: the trainer ends with this server.
            env=os.environ | {"WORKBOOK_PARENT": str(os.getpid())},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            **options,
        )
    if lower:
        with contextlib.suppress(psutil.Error):
            below = psutil.BELOW_NORMAL_PRIORITY_CLASS if psutil.WINDOWS else NICE
            psutil.Process(process.pid).nice(below)
    return process
