"""Tables in a notebook show their texts whole: pandas cuts a cell after 50 letters, mid-word.

For: every kernel that imports the library; `helpers` installs it. Not for: how a table looks,
see the style sheet of `helpers.cli.jupyter`.

    install()            # from the next cell on, where pandas is in use
"""

from __future__ import annotations

import sys
from typing import Any

CUT_BY_DEFAULT = 50
LETTERS = 240
"""Of a text in a table: three lines of a wide column; longer ones belong into `print`."""


def widen(*_: Any) -> None:
    """Raise pandas' limit, unless somebody chose one already; without pandas do nothing."""
    pandas = sys.modules.get("pandas")
    if pandas is None or not hasattr(pandas, "get_option"):
        return
    if pandas.get_option("display.max_colwidth") == CUT_BY_DEFAULT:
        pandas.set_option("display.max_colwidth", LETTERS)


def install() -> None:
    """Look before each cell: pandas is loaded when a cell wants it, not before."""
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    if shell is not None:
        shell.events.register("pre_run_cell", widen)
