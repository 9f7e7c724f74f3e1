"""Run a program in the foreground so that nothing of it is left behind.

For: the verbs that start other programs. Not for: the background server.

    code = call([sys.executable, "-m", "pytest"])
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from types import FrameType

GRACE_SECONDS = 15.0
INTERRUPTED = 130


def call(command: Sequence[str], *, env: Mapping[str, str] | None = None) -> int:
    """Run `command` on this terminal and return its exit code.

    Ctrl-C reaches the program by the terminal; a SIGTERM to this process is passed on. It
    then has 15 s to end in its own way, before it and all its descendants are killed.
    """
    with sigterm_as_interrupt(), subprocess.Popen(command, env=env) as child:
        try:
            return child.wait()
        except KeyboardInterrupt as interrupt:
            end_tree(child, polite="SIGTERM" in interrupt.args)
            return INTERRUPTED


def end_tree(child: subprocess.Popen[bytes], *, polite: bool) -> None:
    """Wait for a program that is ending, then kill whatever of its family is left.

    `polite`: it has not been told yet, so tell it first.
    """
    import psutil

    family: list[psutil.Process] = []
    with contextlib.suppress(psutil.NoSuchProcess):
        # Listed before the parent ends: afterwards its children belong to nobody that could be
        # asked.
        family = psutil.Process(child.pid).children(recursive=True)
    # Ctrl-C reaches the whole group by the terminal; a SIGTERM reached this process alone.
    if polite:
        child.terminate()
    try:
        child.wait(GRACE_SECONDS)
    # A second Ctrl-C means now.
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        child.kill()
        child.wait()
    _, alive = psutil.wait_procs(family, timeout=2)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


@contextlib.contextmanager
def sigterm_as_interrupt() -> Iterator[None]:
    """Let a SIGTERM end this process as Ctrl-C does: through every `finally`."""

    def handler(signum: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt("SIGTERM")

    before = signal.signal(signal.SIGTERM, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
