"""An index of a knowledge base's chunks on disk: build, search, update.

For: LanceDB tables, in a folder or in object storage. Every change is one transaction that
makes a new version of the table: a reader, or a crash, sees the old one or the new one.
Not for: measuring how good the search is, see `helpers.rag.metrics`.

    index = build(articles, embed, folder)
    index.search("internet is dead", k=3, mode="hybrid")
    index.search("internet is dead", k=3, mode="questions")     # also by what was asked before
    index.upsert(changed_article)
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from helpers.base.errors import DataError
from helpers.rag.documents import Article, Chunking
from helpers.rag.embedding import Embedder, well_formed
from helpers.rag.hits import COLUMNS, Hit, best_first, best_of_each, rows_of, shown
from helpers.rag.known_questions import ALL, KnownQuestions, sql_list
from helpers.rag.known_questions import TABLE as QUESTIONS

if TYPE_CHECKING:
    import pyarrow as pa

SearchMode = Literal["bm25", "dense", "hybrid", "questions"]

TABLE = "chunks"
RRF_K = 60
"""The constant of Cormack, Clarke and Büttcher (2009)."""
DEPTH = 30
"""Chunks that each search hands to the fusion."""
REFINED_ABOVE, CANDIDATES = 200_000, 200
"""Chunks above which the best of so many candidates are ordered anew by their true vectors, since
the graph holds 8 bits of each number: of a million chunks it found 0.82 to 0.87 of the ten nearest,
and so all. Of 100,000 it finds 0.96 to 0.98 without, 4 ms sooner."""
EXACT_BELOW = 20_000
"""Chunks up to which every vector is compared; above, a graph index finds near ones."""
FRESH = timedelta(seconds=1)
"""How soon a reader sees what another process wrote."""


def fuse(rankings: Iterable[Sequence[str]], *, k: int = RRF_K) -> dict[str, float]:
    """Reciprocal rank fusion: each ranking gives 1 / (k + rank); best first.

    Ranks, not scores, are added, so that BM25 and cosine need no common scale.
    """
    scores: defaultdict[str, float] = defaultdict(float)
    for ranking in rankings:
        for rank, name in enumerate(ranking, start=1):
            scores[name] += 1 / (k + rank)
    return dict(sorted(scores.items(), key=lambda pair: (-pair[1], pair[0])))


class Index:
    """A table of chunks, opened. Make one with `build` or `load`."""

    def __init__(
        self, table: Any, embed: Embedder, chunking: Chunking, asked: KnownQuestions | None = None
    ) -> None:
        self._table = table
        self._embed = embed
        self._asked = asked
        self.chunking = chunking

    def search(
        self,
        query: str,
        *,
        k: int = 3,
        mode: SearchMode = "hybrid",
        per_article: bool = False,
        vector: np.ndarray | None = None,
        leave_out: bool = False,
    ) -> list[Hit]:
        """The k best chunks, best first; with `per_article` the best chunk of k articles.

        Any text may be asked: quotation marks and operators are words like others, and a query
        that says nothing finds nothing.
        `vector` is the query's embedding, where it is known already. With `leave_out`, a known
        question with the query's very words does not count: for searches with training data.
        """
        query = well_formed(query)
        if not query.strip() and vector is None:
            return []
        if vector is None and mode != "bm25":
            vector = self._embed([query])[0]
        # Deeper than k: fusion needs both lists, and several chunks may be of one article.
        depth = max(DEPTH, k)
        if mode == "bm25":
            hits = self._by_words(query, depth)
        elif mode == "dense":
            hits = self._by_meaning(vector, depth)
        elif mode == "hybrid":
            hits = self._hybrid(query, vector, depth)
        elif mode == "questions":
            hits = self._by_questions(vector, depth, without=query if leave_out else None)
        else:
            raise DataError(f"no search {mode!r}", fix="use bm25, dense, hybrid or questions")
        return (best_of_each(hits) if per_article else hits)[:k]

    def search_all(
        self, queries: Sequence[str], *, mode: SearchMode = "hybrid", **options: Any
    ) -> list[list[Hit]]:
        """`search` for many queries, embedded together, with the same options."""
        queries = [well_formed(query) for query in queries]
        # An empty text cannot be embedded, and finds nothing.
        telling = [query for query in queries if query.strip()]
        known = {}
        if telling and mode != "bm25":
            known = dict(zip(telling, self._embed(telling), strict=True))
        return [
            self.search(query, mode=mode, vector=known.get(query), **options) for query in queries
        ]

    def _by_words(self, query: str, depth: int) -> list[Hit]:
        from lancedb.query import MatchQuery

        # As a plain string, a query in quotation marks would be a search for a phrase, for which
        # the word index would have to hold every word's place.
        words = MatchQuery(query, "passage")  # type: ignore[call-arg]
        request = self._table.search(words, query_type="fts").limit(depth)
        rows = request.select([*COLUMNS, "_score"]).to_arrow().to_pylist()
        return best_first(Hit(row["id"], row["_score"], *shown(row)) for row in rows)

    @cached_property
    def _large(self) -> bool:
        return len(self) > REFINED_ABOVE

    def exact(self, vector: np.ndarray, *, k: int = 3) -> list[Hit]:
        """The k nearest chunks with every vector compared: what `dense` comes close to."""
        return self._by_meaning(vector, k, exact=True)

    def _by_meaning(
        self,
        vector: np.ndarray | None,
        depth: int,
        where: str | None = None,
        *,
        exact: bool = False,
    ) -> list[Hit]:
        request = self._table.search(vector).distance_type("cosine").limit(depth)
        if exact:
            request = request.bypass_vector_index()
        elif where:
            request = request.where(where, prefilter=True)
        elif self._large:
            request = request.ef(CANDIDATES).refine_factor(1)
        rows = request.select([*COLUMNS, "_distance"]).to_arrow().to_pylist()
        near = [(row, 1 - row["_distance"]) for row in rows]
        return best_first(Hit(row["id"], cosine, *shown(row), cosine) for row, cosine in near)

    def _hybrid(self, query: str, vector: np.ndarray | None, depth: int) -> list[Hit]:
        # LanceDB works outside Python's lock, so the two searches run side by side.
        with ThreadPoolExecutor(1) as beside:
            asked = beside.submit(self._by_words, query, depth)
            meaning = self._by_meaning(vector, depth)
        words = asked.result()
        # The meaning's hits come last: they know the cosine, and a chunk found by both keeps it.
        known = {hit.id: hit for hit in [*words, *meaning]}
        fused = fuse([[hit.id for hit in words], [hit.id for hit in meaning]])
        return [known[name]._replace(score=score) for name, score in fused.items()]

    def _by_questions(
        self, vector: np.ndarray | None, depth: int, *, without: str | None = None
    ) -> list[Hit]:
        """Chunks by meaning, their articles by the mean of best chunk and nearest question.

        An article that nobody has asked about yet counts with its best chunk alone.
        """
        near = self._by_meaning(vector, depth)
        if self._asked is None or vector is None:
            return near
        if not near:
            return []
        likely = {hit.article for hit in near} | set(self._asked.likely(vector))
        chunks = self._by_meaning(vector, ALL, f"article IN ({sql_list(sorted(likely))})")
        # Reversed, so that the best chunk of an article is the one that stays.
        best = {hit.article: hit.similarity for hit in reversed(chunks)}
        asked = self._asked.nearest(vector, best, without=without)
        # (score + asked) / 2 for the article's best chunk; its other chunks are lifted by as much,
        # so that their order stays.
        lift = {name: (asked.get(name, score) - score) / 2 for name, score in best.items()}
        return best_first(hit._replace(score=hit.similarity + lift[hit.article]) for hit in chunks)

    def upsert(self, *articles: Article) -> int:
        """Put in articles, in place of what they had before; returns the new version.

        One transaction: chunks that an article no longer has go when the new ones come.
        """
        if not articles:
            return self.version
        rows = rows_of(articles, self._embed, self.chunking)
        names = sql_list(article.id for article in articles)
        merge = self._table.merge_insert("id").when_matched_update_all()
        merge = merge.when_not_matched_insert_all()
        merge.when_not_matched_by_source_delete(f"article IN ({names})").execute(rows)
        # A search finds the new rows at once; this merges them into the word index.
        self._table.optimize()
        return self.version

    def delete(self, *articles: str) -> int:
        """Take out articles by their ids; returns the new version."""
        if articles:
            self._table.delete(f"article IN ({sql_list(articles)})")
        return self.version

    def restore(self, version: int) -> int:
        """Make an earlier version the newest; the ones between stay in the history."""
        self._table.restore(version)
        return self.version

    @property
    def version(self) -> int:
        """Number of the newest version; grows with each change."""
        return int(self._table.version)

    def articles(self) -> list[str]:
        """Ids of the articles that have chunks, sorted."""
        return sorted({row["article"] for row in self._read(["article"])})

    def chunks(self, article: str) -> list[Hit]:
        """All chunks of one article, in its order; their score is 0."""
        where = f"article = {sql_list([article])}"
        rows = sorted(self._read([*COLUMNS, "place"], where), key=lambda row: row["place"])
        return [Hit(row["id"], 0.0, *shown(row)) for row in rows]

    def _read(self, columns: list[str], where: str | None = None) -> list[dict[str, Any]]:
        request = self._table.search().select(columns)
        request = request.where(where) if where else request
        # A search returns ten rows unless it is told otherwise; a limit of zero is refused.
        rows: list[dict[str, Any]] = request.limit(len(self) or 1).to_arrow().to_pylist()
        return rows

    def __len__(self) -> int:
        return int(self._table.count_rows())

    def __repr__(self) -> str:
        return f"Index({len(self)} chunks, version {self.version}, {self._embed.name})"


def build(
    articles: Sequence[Article],
    embed: Embedder,
    folder: str | Path,
    *,
    chunking: Chunking | None = None,
    questions: Mapping[str, Sequence[str]] | None = None,
) -> Index:
    """Chunk, embed and store articles; what the folder held before is replaced.

    `questions`: what customers asked, by the id of the article that answers it. `folder` may
    be an address that LanceDB knows, such as "s3://bucket/kb". Raises `DataError` for articles
    without any text.
    """
    rule = chunking or Chunking()
    return store(rows_of(articles, embed, rule), embed, folder, chunking=rule, questions=questions)


def store(
    rows: pa.Table,
    embed: Embedder,
    folder: str | Path,
    *,
    chunking: Chunking,
    questions: Mapping[str, Sequence[str]] | None = None,
) -> Index:
    """An index of rows that are embedded already, as `table_of` gives them."""
    if not rows.num_rows:
        raise DataError("the articles have no text", fix="check the folder of the articles")
    about = {"embedder": embed.name, "chunking": json.dumps(asdict(chunking))}
    database = _connect(folder)
    # Overwriting a table that is not there works, but warns.
    mode = "overwrite" if TABLE in database.list_tables().tables else "create"
    table = database.create_table(TABLE, rows.replace_schema_metadata(about), mode=mode)
    if any(text.strip() for texts in (questions or {}).values() for text in texts):
        asked = KnownQuestions.store(database, questions or {}, embed)
    else:
        asked = None
        # Questions of an earlier build would lead to articles that may be gone.
        database.drop_table(QUESTIONS, ignore_missing=True)
    return _ready(Index(table, embed, chunking, asked), table)


def load(folder: str | Path, embed: Embedder) -> Index:
    """Open what `build` made. Raises `DataError` if it is not there or of another model."""
    try:
        database = _connect(folder)
        table = database.open_table(TABLE)
        about = table.schema.metadata
        name = about[b"embedder"].decode()
        chunking = Chunking(**json.loads(about[b"chunking"]))
    except (ValueError, OSError, KeyError, TypeError) as error:
        raise DataError(f"no index in {Path(folder).name}", fix="make one with build") from error
    if name != embed.name:
        raise DataError(
            f"the index holds vectors of {name}, not of {embed.name}",
            fix="use the same embedding model, or build the index anew",
        )
    return _ready(Index(table, embed, chunking, KnownQuestions.load(database)), table)


def _connect(folder: str | Path) -> Any:
    import lancedb

    return lancedb.connect(str(folder), read_consistency_interval=FRESH)


def _ready(index: Index, table: Any) -> Index:
    """Make the search indices that are missing: a crash may have come between."""
    from lancedb.index import FTS, IvfHnswSq

    present = {column for config in table.list_indices() for column in config.columns}
    if "passage" not in present:
        # Without stop words left out, "how do I" would decide what a question is about.
        table.create_index("passage", config=FTS(stem=True, remove_stop_words=True))
    if "vector" not in present and len(index) > EXACT_BELOW:
        table.create_index("vector", config=IvfHnswSq(distance_type="cosine"))
    return index
