"""What a notebook shows when a cell fails: a line that says what to do, not the library's insides.

For: kernels, where importing `helpers` installs it; those of `lab` do so before the first cell.
The whole traceback is still there, with `%tb`. Not for: programs and tests, whose tracebacks
stay as they are.

    install()
    said(BackendError("the job was cancelled", fix="run the cell that starts it"))
"""

from __future__ import annotations

import sys
import traceback
from types import TracebackType
from typing import Any

from helpers.base.errors import CourseError

GONE = (
    "the server does not answer any more. Run the cell with connect() again: it starts the "
    "server. Then run this cell again."
)
STOPPED = (
    "stopped. A training job that was under way goes on in the server; run this cell again to "
    "go on waiting."
)
LONGEST = 400
"""Letters of a message that are shown."""


def install(shell: Any = None) -> bool:
    """Show errors in short from now on; returns whether there is a kernel to show them in."""
    if shell is None:
        ipython = sys.modules.get("IPython")
        shell = ipython.get_ipython() if ipython else None
    if shell is None or not hasattr(shell, "kernel"):
        return False
    shell.set_custom_exc((Exception, KeyboardInterrupt), _show)
    return True


def load_ipython_extension(shell: Any) -> None:
    """For kernels that `lab` starts: importing this module has installed what is to be."""
    install(shell)


def said(error: BaseException) -> str:
    """What to tell a reader: what is wrong, and what to do about it."""
    name = type(error).__name__
    if isinstance(error, KeyboardInterrupt):
        return STOPPED
    if isinstance(error, CourseError):
        return f"{error.message}. {_sentence(error.fix)}" if error.fix else error.message
    if isinstance(error, NameError) and error.name:
        return (
            f"{error.name!r} is not known yet. If a cell above makes it, that cell has not run to "
            "its end: run the cells above first (Run > Run All Above Selected Cell)."
        )
    if type(error).__module__.startswith("openai"):
        if name in ("APIConnectionError", "APITimeoutError"):
            return GONE
        body = getattr(error, "body", None)
        message = body.get("message") if isinstance(body, dict) else None
        return f"{name}: {message or error}"
    return f"{name}: {error}"


def lines(error: BaseException, trace: TracebackType | None) -> list[str]:
    """At most ten lines: those of the reader's own cells that led here, and what to do."""
    words = said(error)
    words = words if len(words) <= LONGEST else words[: LONGEST - 1] + "…"
    # No lines of code: what is wrong is not in the cell, and the message says all.
    if isinstance(error, CourseError | KeyboardInterrupt) or words == GONE:
        return [words]
    own = [f for f in traceback.extract_tb(trace) if _is_cell(f.filename)]
    places = [f"line {frame.lineno}: {frame.line}" for frame in own[-3:]]
    return [*places, *words.splitlines()[:5], "(%tb shows the whole traceback.)"]


def _show(shell: Any, kind: type, error: BaseException, trace: Any, tb_offset: Any = None) -> Any:
    # What `%tb` shows.
    sys.last_type, sys.last_value, sys.last_traceback = kind, error, trace
    if isinstance(error, SyntaxError):
        return shell.showtraceback((kind, error, trace), tb_offset=tb_offset)
    shown = lines(error, trace)
    # The only way to send an error with other lines; IPython's own handlers do the same.
    shell._showtraceback(kind, error, shown)  # noqa: SLF001
    return shown


def _is_cell(filename: str) -> bool:
    return "ipykernel_" in filename or filename.startswith("<ipython-input")


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]
