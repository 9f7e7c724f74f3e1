"""Pytest plugin: mends what nbval 0.11 lets pass and where it hangs.

It patches `nbval.kernel.RunningKernel` and watches the cells, in six points:

- cells run with `store_history=True`, so `Out`, `_` and a trailing `;` mean what they mean in Lab;
- a cell whose reply says "error" fails, also when no error output was published
  (an unknown magic before a `raise`, for one);
- a `%pip`, `!command` or `%%script` that ends with a failure fails its cell;
- a kernel that died fails the cell within about two seconds; nbval waits for its timeout;
- what a long cell shows is kept, however much: nbval reads it only after the reply, and ZeroMQ
  drops what comes after the first thousands of messages, the one that says "idle" among them;
- pytest-timeout keeps off the cells: nbval's own limit interrupts the kernel.
"""

from __future__ import annotations

import time
from queue import Empty
from typing import Any

import pytest
import zmq
from nbval.kernel import RunningKernel
from nbval.plugin import IPyNbCell

POLL_SECONDS = 1.0

# Runs in the kernel after a cell: `!cmd` and `%pip` leave their exit status in `_exit_code`.
READ_EXIT_CODE = "get_ipython().user_ns.get('_exit_code', 0)"
RESET_EXIT_CODE = "get_ipython().user_ns.pop('_exit_code', None)"


_init = RunningKernel.__init__


def init(self: RunningKernel, *args: Any, **options: Any) -> None:
    """Start a kernel whose messages wait without a limit: a monitor sends some each second."""
    _init(self, *args, **options)
    self.kc.iopub_channel.socket.setsockopt(zmq.RCVHWM, 0)


class KernelDiedError(Exception):
    """The kernel's process ended while a cell ran."""


def execute_cell_input(
    self: RunningKernel, cell_input: str, allow_stdin: bool | None = None
) -> str:
    """Send one cell; ask in the same request for the exit code of its shell commands."""
    message: str = self.kc.execute(
        cell_input,
        store_history=True,
        allow_stdin=allow_stdin,
        stop_on_error=False,
        user_expressions={"exit_code": READ_EXIT_CODE, "reset": RESET_EXIT_CODE},
    )
    return message


def await_reply(self: RunningKernel, msg_id: str, timeout: float | None = None) -> None:
    """Wait for the reply in short steps, keep it, and notice a dead kernel."""
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        try:
            message = self.get_message(stream="shell", timeout=POLL_SECONDS)
        except Empty:
            if not self.km.is_alive():
                raise KernelDiedError("the kernel died while this cell ran") from None
            if deadline is not None and time.monotonic() > deadline:
                raise
            continue
        if message["parent_header"].get("msg_id") == msg_id:
            self.last_reply = message["content"]
            return


def complaint(reply: dict[str, Any]) -> str | None:
    """What a kernel's reply says went wrong; None when nothing did."""
    if reply.get("status") != "ok":
        return f"{reply.get('ename', 'error')}: {reply.get('evalue', reply.get('status'))}"
    answer = reply.get("user_expressions", {}).get("exit_code", {})
    code = answer.get("data", {}).get("text/plain", "0")
    return None if code == "0" else f"a shell command of this cell ended with exit code {code}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Any:
    """Fail a notebook cell whose reply is an error, though nbval found nothing."""
    result = yield
    if isinstance(item, IPyNbCell) and not item.options["check_exception"]:
        problem = complaint(getattr(item.parent.kernel, "last_reply", {"status": "ok"}))
        if problem:
            item.raise_cell_error(problem)
    return result


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave a cell's time limit to nbval: pytest-timeout would leave the kernel busy."""
    for item in items:
        if isinstance(item, IPyNbCell):
            item.add_marker(pytest.mark.timeout(0))


def pytest_configure() -> None:
    """Put the mended methods in place."""
    RunningKernel.__init__ = init
    RunningKernel.execute_cell_input = execute_cell_input
    RunningKernel.await_reply = await_reply
