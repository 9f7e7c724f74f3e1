"""How a note or an error names the argument that decides: in Python, or as a flag.

For: remedies that are true wherever they are read. In a notebook it is `language="any"`; the
command line says once, around all it does, how it spells its own. Not for: what an error is
about, see `helpers.base.errors`.

    argument("language", "any")         # 'language="any"'
    with spelt(flag):
        argument("language", "any")     # '--language any', if `flag` makes that of it
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

Spelling = Callable[[str, Any], str]
"""Makes a remedy of an argument's name and value; the value `...` is left to the reader."""

_SPELLING: ContextVar[Spelling | None] = ContextVar("spelling", default=None)


def argument(name: str, value: Any = ...) -> str:
    """The argument as whoever reads it has to write it."""
    spell = _SPELLING.get()
    return spell(name, value) if spell else f"{name}={_python(value)}"


@contextlib.contextmanager
def spelt(spell: Spelling) -> Iterator[None]:
    """Name arguments by `spell` within this block."""
    token = _SPELLING.set(spell)
    try:
        yield
    finally:
        _SPELLING.reset(token)


def _python(value: Any) -> str:
    if value is ...:
        return "..."
    if isinstance(value, bool | int | float):
        return repr(value)
    return json.dumps(value, ensure_ascii=False)
