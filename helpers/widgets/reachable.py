"""Let a page that comes back find its views while a cell awaits.

For: cells that await for minutes, such as the monitor's. Not for: cells that compute.

    with reachable():
        await asyncio.sleep(60)

ipykernel 7.4 passes the messages of views on beside a cell that awaits, and nothing else. A page
that was closed or reloaded first asks who the kernel is and which views it has; without an
answer it draws none until the cell has ended. Here these two questions are answered too. Cells
that are run meanwhile still wait for their turn.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

QUESTIONS = frozenset({"kernel_info_request", "comm_info_request"})
VIEWS = frozenset({"comm_open", "comm_msg", "comm_close"})


class _Open:
    """In place of the lock that a running cell holds: everything comes through."""

    def locked(self) -> bool:
        return False

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, *error: object) -> None:
        return None


@contextlib.contextmanager
def reachable() -> Iterator[None]:
    """Answer a page's first questions while this cell awaits; outside a kernel, nothing."""
    ipython = sys.modules.get("IPython")
    kernel: Any = getattr(ipython.get_ipython() if ipython else None, "kernel", None)
    # An ipykernel without this lock is left as it is.
    lock = getattr(kernel, "_main_asyncio_lock", None)
    if lock is None or isinstance(lock, _Open) or not lock.locked():
        yield
        return
    ordered = kernel.dispatch_shell

    async def dispatch(msg: Any, /, subshell_id: str | None = None, **options: Any) -> None:
        kind = _kind(kernel, msg)
        if kind in QUESTIONS and subshell_id is None:
            await _answer(kernel, msg, kind)
        elif kind in VIEWS:
            # Answering a view makes its message the parent of what is printed; the cell's own
            # output would then appear elsewhere.
            parent, ident = kernel.get_parent("shell"), kernel._shell_parent_ident  # noqa: SLF001
            before = kernel._get_shell_context_var(ident)  # noqa: SLF001
            try:
                await ordered(msg, subshell_id=subshell_id, concurrent=True)
            finally:
                kernel.set_parent(before, parent, channel="shell")
        # Everything else waits for the running cell, as it would without this.
        elif subshell_id is None:
            async with lock:
                await ordered(msg, subshell_id=subshell_id, **options)
        else:
            await ordered(msg, subshell_id=subshell_id, **options)

    kernel._main_asyncio_lock, kernel.dispatch_shell = _Open(), dispatch  # noqa: SLF001
    try:
        yield
    finally:
        kernel._main_asyncio_lock = lock  # noqa: SLF001
        # The attribute of the instance goes, and the class's own method is seen again.
        del kernel.dispatch_shell


def _kind(kernel: Any, msg: Any) -> str:
    try:
        _, frames = kernel.session.feed_identities(msg, copy=False)
        header = kernel.session.deserialize(frames, content=False, copy=False)["header"]
        return str(header.get("msg_type", ""))
    except Exception:  # noqa: BLE001 - the kernel's own code says what is wrong with it
        return ""


async def _answer(kernel: Any, msg: Any, kind: str) -> None:
    """As the kernel does, without its handling of interrupts, which belongs to the cell."""
    idents, frames = kernel.session.feed_identities(msg, copy=False)
    asked = kernel.session.deserialize(frames, content=True, copy=False)
    stream = kernel.shell_stream
    # With subshells the kernel answers through a thread that owns the socket.
    if kernel.shell_channel_thread:
        manager = kernel.shell_channel_thread.manager
        stream = manager.get_subshell_to_shell_channel_socket(None)
    kernel._publish_status("busy", "shell", parent=asked)  # noqa: SLF001
    await kernel.shell_handlers[kind](stream, idents, asked)
    # The page waits for both, the answer and this.
    kernel._publish_status("idle", "shell", parent=asked)  # noqa: SLF001
