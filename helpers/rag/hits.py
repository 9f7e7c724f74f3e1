"""What the index stores of a chunk, and what a search returns of it.

For: the rows of the table and the hits. Not for: opening and searching it, see `index`.

    table_of(chunks, embed([chunk.passage for chunk in chunks]))
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from helpers.rag.documents import Article, Chunk, Chunking, check_unique, chunk
from helpers.rag.embedding import Embedder

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = ["id", "article", "heading", "text"]


class Hit(NamedTuple):
    """A chunk that was found."""

    id: str
    score: float
    """BM25, cosine or fused score; to be compared within one search only."""
    text: str
    article: str
    heading: str
    similarity: float = float("nan")
    """Cosine of question and chunk, where the question was embedded."""


def table_of(chunks: Sequence[Chunk], vectors: np.ndarray) -> pa.Table:
    """Chunks and their vectors, shape (n, width), as the table that is stored."""
    import pyarrow as pa

    flat = pa.array(np.ascontiguousarray(vectors, dtype=np.float32).reshape(-1))
    return pa.table(
        {
            "id": [one.id for one in chunks],
            "article": [one.article for one in chunks],
            "heading": [" > ".join(one.heading) for one in chunks],
            "text": [one.text for one in chunks],
            "passage": [one.passage for one in chunks],
            "effective": pa.array([one.effective.isoformat() for one in chunks], pa.string()),
            "place": pa.array(range(len(chunks)), pa.int64()),
            "vector": pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1]),
        }
    )


def rows_of(articles: Sequence[Article], embed: Embedder, chunking: Chunking) -> pa.Table:
    """The articles cut, embedded, and written as rows. Raises `DataError` for an id twice."""
    check_unique(articles)
    chunks = [piece for article in articles for piece in chunk(article, chunking)]
    vectors = embed([one.passage for one in chunks]) if chunks else np.zeros((0, 1))
    return table_of(chunks, vectors)


def best_of_each(hits: Iterable[Hit]) -> list[Hit]:
    """The first hit of each article."""
    first: dict[str, Hit] = {}
    for hit in hits:
        first.setdefault(hit.article, hit)
    return list(first.values())


def best_first(hits: Iterable[Hit]) -> list[Hit]:
    """Best first; equal scores by id, so that two runs agree."""
    return sorted(hits, key=lambda hit: (-hit.score, hit.id))


def shown(row: dict[str, Any]) -> tuple[str, str, str]:
    """Text, article and heading of a stored row, as a hit takes them."""
    return row["text"], row["article"], row["heading"]
