"""Show in a notebook or a terminal how far a long wait is; nothing is left of it afterwards.

For: calls that block a cell or a command. Not for: training jobs, which have a panel of their
own, see `helpers.widgets`; nor the learner's progress, see `helpers.course.progress`.

    with counted("answers") as tell:
        tell.now("loading the model")
        tell(17, 254)
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape

from helpers.base import settings

Tell = Callable[[int, int], None]
"""Called with how many are done, and how many there are."""
Show = Callable[[int, int, str], None]
"""The same with what is counted; how many there are is 0 at the end."""


@dataclass(frozen=True)
class Teller:
    """Called as a `Tell`; `now` says what happens while there is nothing to count."""

    count: Tell
    now: Callable[[str], None] = lambda words: None

    def __call__(self, done: int, total: int) -> None:
        self.count(done, total)


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
def counted(what: str) -> Iterator[Teller]:
    """A bar with its number, until the end of the block; elsewhere, as `shown_by` was told."""
    if _shown_by:
        show = _shown_by[-1]
        try:
            yield Teller(lambda done, total: show(done, total, what))
        finally:
            show(0, 0, what)
        return
    if not in_a_kernel() or settings.load().headless:
        yield Teller(lambda done, total: None)
        return
    from IPython.display import display

    def shown(html: str) -> dict[str, str]:
        # Empty as plain text: a stored notebook keeps no bar.
        return {"text/html": html, "text/plain": ""}

    # At once, and not with the first of them: until then, a reader would see an idle cell.
    handle = display(shown(bar(0, 0, f"{what}: none yet")), raw=True, display_id=True)

    def update(done: int, total: int, words: str) -> None:
        handle.update(shown(bar(done, total, words)), raw=True)

    try:
        yield Teller(
            lambda done, total: update(done, total, what), lambda words: update(0, 0, words)
        )
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
    """The bar as HTML that needs no script; without a total it moves by itself."""
    if not total:
        return f"<label><progress></progress> {escape(what)}</label>"
    return (
        f'<label><progress max="{total}" value="{done}"></progress> '
        f"{done} of {total} {escape(what)}</label>"
    )
