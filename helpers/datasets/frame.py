"""The table that cleaning, splitting and converting share: one example a row.

For: a pandas frame with the columns `question` and `answer` as text, and as it may be
`turns` (the messages before the question, a list), `intent`, and whatever else the
source had. Not for: reading files, see `reading`; writing them, see `conversion`.

    table = make_table([{"question": "How?", "answer": "Hold the button."}])
    map_texts(table, str.strip)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

QUESTION, ANSWER, TURNS = "question", "answer", "turns"
TEXT_COLUMNS = (QUESTION, ANSWER)


def make_table(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """A table of rows that each hold at least a question and an answer."""
    import pandas as pd

    table = pd.DataFrame(list(rows), dtype=object)
    for column in TEXT_COLUMNS:
        held = table[column] if column in table else pd.Series([""] * len(table), dtype=object)
        table[column] = [value if isinstance(value, str) else "" for value in held]
    return table.astype(object)


def map_texts(
    table: pd.DataFrame,
    change: Callable[[str], str],
    *,
    columns: Iterable[str] = (QUESTION, ANSWER, TURNS),
) -> pd.DataFrame:
    """A copy of the table with `change` applied to every text of an example."""
    result = table.copy()
    for column in columns:
        if column == TURNS and TURNS in table:
            result[TURNS] = _objects([_map_turns(turns, change) for turns in table[TURNS]])
        elif column in table:
            result[column] = _objects([change(text) for text in table[column]])
    return result


def _map_turns(turns: Any, change: Callable[[str], str]) -> Any:
    if not isinstance(turns, list):
        return turns
    return [{**turn, "content": change(turn["content"])} for turn in turns]


def _objects(values: list[Any]) -> Any:
    """A column of any values: numpy would else unpack lists of equal length."""
    import numpy as np

    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


def texts_of(table: pd.DataFrame) -> list[tuple[str, ...]]:
    """Each text of each example: the turns before, the question, the answer."""
    turns = table[TURNS] if TURNS in table else [None] * len(table)
    said = [[turn["content"] for turn in t] if isinstance(t, list) else [] for t in turns]
    both = zip(said, table[QUESTION], table[ANSWER], strict=True)
    return [(*before, question, answer) for before, question, answer in both]


def full_texts(table: pd.DataFrame) -> list[str]:
    """All that is said in each example, as one text a row."""
    return ["\n".join(texts) for texts in texts_of(table)]


def asked_texts(table: pd.DataFrame) -> list[str]:
    """What stands before the answer of each example."""
    return ["\n".join(texts[:-1]) for texts in texts_of(table)]
