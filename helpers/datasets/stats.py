"""Count what is in a dataset: turns, words, tokens, intents.

For: frames that notebooks show and `helpers.widgets.plots` draws. Not for: judging a file, see
`helpers.datasets.validation`.

    frame = measure("train.jsonl", count_tokens=local_tokenizer().count)
    summary(frame)      # mean, 10th, 50th and 90th percentile, longest
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from helpers.base import files, jsonl
from helpers.datasets.example import kind_of, messages_of, sides
from helpers.datasets.token_counts import TokenCounter

if TYPE_CHECKING:
    import pandas as pd

MEASURES = ("turns", "question words", "answer words", "tokens", "answer tokens")


def measure(
    source: files.Readable, *, count_tokens: Callable[[str], int] | None = None
) -> pd.DataFrame:
    """One row an example: turns, words and tokens, and the intent where it has one.

    Without `count_tokens` the two token columns are left out. Raises `DataError` at a line
    that is no JSON object; validate the file first.
    """
    import pandas as pd

    counter = TokenCounter(count_tokens) if count_tokens else None
    rows = []
    for example in jsonl.read(source):
        kind = kind_of(example)
        if kind is None:
            continue
        seen = sides(kind, example)
        said = [] if kind == "completion" else [*messages_of(kind, example)]
        answers = sum(message.get("role") == "assistant" for message in said)
        row = {
            "turns": 1 if kind != "chat" else answers,
            "question words": len(seen.question.split()),
            "answer words": len(seen.answer.split()),
        }
        if counter:
            row["tokens"] = counter.count(kind, example)
            row["answer tokens"] = counter.length(seen.answer)
        rows.append({**row, "intent": example.get("intent")})
    return pd.DataFrame(rows).dropna(axis="columns", how="all")


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """Mean, percentiles and the largest value of each measure, one a row."""
    measures = [name for name in MEASURES if name in frame]
    found = frame[measures].quantile([0.1, 0.5, 0.9]).T
    found.columns = ["10th percentile", "median", "90th percentile"]
    found.insert(0, "mean", frame[measures].mean())
    found["longest"] = frame[measures].max()
    return found.round(1)


def intents(table: pd.DataFrame, *, column: str = "intent") -> pd.Series[int]:
    """Examples of each intent, the most frequent first."""
    return table[column].value_counts()
