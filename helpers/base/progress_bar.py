"""Show in a notebook or a terminal how far a long wait is; nothing is left of it afterwards.

For: calls that block a cell or a command. Not for: training jobs, which have a panel of their
own, see `helpers.widgets`; nor the learner's progress, see `helpers.course.progress`.

    with counted("answers") as tell:
        tell(17, 254)
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from html import escape

from helpers.base import settings

Tell = Callable[[int, int], None]
"""Called with how many are done, and how many there are."""
Show = Callable[[int, int, str], None]
"""The same with what is counted; how many there are is 0 at the end."""

# The innermost is asked: a command may show a wait within a wait in its own way.
_shown_by: list[Show] = []


@contextlib.contextmanager
def shown_by(show: Show) -> Iterator[None]:
    """Let `show` tell the waits of this block, in place of a notebook's bar."""
    _shown_by.append(show)
    try:
        yield
    finally:
        _shown_by.pop()


@contextlib.contextmanager
def counted(what: str) -> Iterator[Tell]:
    """A bar with its number, until the end of the block; elsewhere, as `shown_by` was told."""
    if _shown_by:
        show = _shown_by[-1]
        try:
            yield lambda done, total: show(done, total, what)
        finally:
            show(0, 0, what)
        return
    if not in_a_kernel() or settings.load().headless:
        yield lambda done, total: None
        return
    from IPython.display import display

    def shown(html: str) -> dict[str, str]:
        # Empty as plain text: a stored notebook keeps no bar.
        return {"text/html": html, "text/plain": ""}

    handle = display(shown(""), raw=True, display_id=True)
    try:
        yield lambda done, total: handle.update(shown(bar(done, total, what)), raw=True)
    finally:
        handle.update(shown(""), raw=True)


def note(text: str) -> None:
    """A line that stays under the cell; outside a notebook, nothing is shown."""
    if not in_a_kernel() or settings.load().headless:
        return
    from IPython.display import display

    display({"text/html": f"<p>{escape(text)}</p>", "text/plain": text}, raw=True)


def in_a_kernel() -> bool:
    """Whether this is a notebook's process, and not a terminal's or a test's."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


def bar(done: int, total: int, what: str) -> str:
    """The bar as HTML that needs no script."""
    return (
        f'<label><progress max="{total}" value="{done}"></progress> '
        f"{done} of {total} {escape(what)}</label>"
    )
