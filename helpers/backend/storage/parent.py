"""End a process when the one that started it has gone.

For: the programs that an executor starts. Not for: starting them, see `local`.

    watch_parent()      # from here on, this process ends with its parent
"""

from __future__ import annotations

import contextlib
import os
import threading
import time

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
            # psutil compares the time at which it began too: another process of that number is not
            # it.
            return parent.is_running() and parent.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    def look() -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            parent = psutil.Process(int(pid))
            while alive(parent):
                time.sleep(PARENT_POLL)
        # At once, without cleaning up: what matters is saved, and threads of PyTorch could hang.
        os._exit(ORPHANED)

    threading.Thread(target=look, daemon=True).start()
