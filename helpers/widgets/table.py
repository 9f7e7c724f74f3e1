"""A table that a reader can sort by any column, and search.

For: reading errors row by row in notebooks 03 and 04. Where no kernel runs, the plain
table stands there. Not for: more than some hundred rows.

    sortable(report.worst("key_fact_recall", n=40))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from helpers.base.markup import lone_dollars
from helpers.widgets.assets import assets

if TYPE_CHECKING:
    import pandas as pd

LONGEST = 220
"""Letters of a cell that are shown."""


class SortableTable(anywidget.AnyWidget):
    """The panel; sorting and searching happen in the page."""

    _esm, _css = assets("table")

    table = traitlets.Dict().tag(sync=True)

    def __init__(self, frame: pd.DataFrame, *, caption: str) -> None:
        super().__init__()
        self._frame = frame
        self.table = {
            "caption": caption,
            "columns": [str(name) for name in frame.columns],
            # pandas' kinds: "i" for whole numbers, "f" for others.
            "numeric": [bool(kind.kind in "if") for kind in frame.dtypes],
            "rows": [[_cell(value) for value in row] for row in frame.itertuples(index=False)],
        }

    def __repr__(self) -> str:
        return self._frame.to_string(max_rows=10, max_colwidth=40, index=False)

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle = super()._repr_mimebundle_(**kwargs)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        if data is not None:
            data["text/plain"] = repr(self)
            # Two "$" in a cell would be read as a formula.
            data["text/html"] = lone_dollars(self._frame.head(20).to_html(index=False))
        return bundle


def sortable(frame: pd.DataFrame, *, caption: str = "Sort by a column's name") -> SortableTable:
    """Show a data frame so that a click on a column's name sorts by it."""
    return SortableTable(frame, caption=caption)


def _cell(value: Any) -> str | float:
    if isinstance(value, bool | str):
        text = str(value)
        return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
    return round(float(value), 3)
