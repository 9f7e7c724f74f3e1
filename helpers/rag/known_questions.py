"""Questions that customers have asked before, each with the article that answers it.

For: finding an article by its question. A customer's words are nearer to another customer's
than to the article's. They stand in a table of their own beside the chunks: a question whose
article is gone is ignored, and an article without questions is found by its text, so the two
tables never have to be changed in one transaction. Not for: the search itself, see `index`.

    asked = KnownQuestions.store(database, {"late-fee": ["overdue fee?"]}, embed)
    asked.nearest(vector, ["late-fee", "refund-time"])      # {'late-fee': 0.71}
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

    from helpers.rag.embedding import Embedder

TABLE = "asked"
DEPTH = 60
"""Known questions that one search compares with."""
ALL = 10_000
"""Most rows that a search within chosen articles returns."""


class KnownQuestions:
    """A table of known questions, opened."""

    def __init__(self, table: Any) -> None:
        self._table = table

    @classmethod
    def store(
        cls, database: Any, questions: Mapping[str, Sequence[str]], embed: Embedder
    ) -> KnownQuestions:
        """Write the questions, by id of their article, in place of those from before."""
        rows = [(name, text) for name, texts in questions.items() for text in texts if text.strip()]
        data = _table(rows, embed([text for _, text in rows]))
        mode = "overwrite" if TABLE in database.list_tables().tables else "create"
        return cls(database.create_table(TABLE, data, mode=mode))

    @classmethod
    def load(cls, database: Any) -> KnownQuestions | None:
        """The table, or None where no questions were stored."""
        found = TABLE in database.list_tables().tables
        return cls(database.open_table(TABLE)) if found else None

    def likely(self, vector: np.ndarray) -> list[str]:
        """Articles of the nearest questions, best first, each once."""
        return list(self._best(vector, DEPTH))

    def nearest(
        self, vector: np.ndarray, articles: Collection[str], *, without: str | None = None
    ) -> dict[str, float]:
        """Cosine of the nearest question of each of these articles that has one.

        `without`: a question that is left out, because it is the one that is asked.
        """
        where = f"article IN ({sql_list(articles)})"
        if without is not None:
            where += f" AND text != {sql_list([without])}"
        return self._best(vector, ALL, where)

    def _best(self, vector: np.ndarray, limit: int, where: str | None = None) -> dict[str, float]:
        request = self._table.search(vector).distance_type("cosine")
        request = request.where(where, prefilter=True) if where else request
        rows = request.limit(limit).select(["article", "_distance"]).to_arrow().to_pylist()
        best: dict[str, float] = {}
        for row in sorted(rows, key=lambda row: (row["_distance"], row["article"])):
            best.setdefault(row["article"], 1 - row["_distance"])
        return best

    def __len__(self) -> int:
        return int(self._table.count_rows())


def _table(rows: Sequence[tuple[str, str]], vectors: np.ndarray) -> pa.Table:
    """Pairs of article and question, and their vectors, as the table that is stored."""
    import pyarrow as pa

    flat = pa.array(np.ascontiguousarray(vectors, dtype=np.float32).reshape(-1))
    return pa.table(
        {
            "article": [article for article, _ in rows],
            "text": [text for _, text in rows],
            "vector": pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1]),
        }
    )


def sql_list(names: Iterable[str]) -> str:
    """Names as the inside of an SQL list, quoted."""
    return ", ".join("'" + name.replace("'", "''") + "'" for name in names)
