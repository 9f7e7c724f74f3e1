"""How fast an index of 100,000 chunks is searched.

For: the rows of the benchmark's table about retrieval. Not for: how good the search is, see
`helpers.rag.metrics`.

    with measuring(root) as measurements:
        measurements["search-dense"]()
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from helpers.bench.measurements import BenchRow, Measurement
from helpers.rag.documents import Chunk, Chunking
from helpers.rag.hits import table_of
from helpers.rag.index import Index, SearchMode, store

NAMES = ("search-dense", "search-bm25", "search-hybrid", "search-agreement")
CHUNKS, WIDTH, QUERIES = 100_000, 384, 200
VOCABULARY, WORDS = 20_000, 60
TOPICS = 500


class Vectors:
    """In place of an embedding model: its time is a row of its own elsewhere."""

    name = "random"

    def __call__(self, texts: object) -> np.ndarray:
        raise NotImplementedError("the benchmark searches with ready vectors")


@contextmanager
def measuring(root: Path, *, chunks: int = CHUNKS) -> Iterator[Mapping[str, Measurement]]:
    """All measurements of this group, on one index; each search starts from a ready vector."""
    del root
    rng = np.random.default_rng(0)
    # Random vectors without topics lie all equally far apart, and no index finds neighbours then.
    centres = rng.standard_normal((TOPICS, WIDTH), dtype=np.float32)
    with tempfile.TemporaryDirectory() as folder:
        index = store(_table(rng, centres, chunks), Vectors(), folder, chunking=Chunking())
        yield {
            "search-dense": lambda: _row(index, "dense", rng, centres),
            "search-bm25": lambda: _row(index, "bm25", rng, centres),
            "search-hybrid": lambda: _row(index, "hybrid", rng, centres),
            "search-agreement": lambda: _agreement(index, rng, centres),
        }


def _table(rng: np.random.Generator, centres: np.ndarray, chunks: int) -> Any:
    topics = rng.integers(0, TOPICS, chunks)
    vectors = near(rng, centres[topics])
    # Words as frequent as in real texts (Zipf), or the word index would have no long lists.
    ids = rng.zipf(1.3, (chunks, WORDS)) % VOCABULARY
    made = [
        Chunk(f"a{i // 4}#s{i % 4}", f"a{i // 4}", ("Article",), " ".join(f"w{n}" for n in ids[i]))
        for i in range(chunks)
    ]
    return table_of(made, vectors)


def near(rng: np.random.Generator, centres: np.ndarray) -> np.ndarray:
    """Unit vectors around some centres, as texts lie around topics."""
    vectors = centres + 0.7 * rng.standard_normal(centres.shape, dtype=np.float32)
    unit: np.ndarray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def _row(index: Index, mode: SearchMode, rng: np.random.Generator, centres: np.ndarray) -> BenchRow:
    vectors = near(rng, centres[rng.integers(0, TOPICS, QUERIES)])
    texts = [" ".join(f"w{n}" for n in rng.zipf(1.3, 8) % VOCABULARY) for _ in range(QUERIES)]
    taken = []
    for text, vector in zip(texts, vectors, strict=True):
        start = time.perf_counter()
        index.search(text, k=3, mode=mode, vector=vector)
        taken.append(1000 * (time.perf_counter() - start))
    # The first tenth warms the index up.
    middle = statistics.median(taken[QUERIES // 10 :])
    return BenchRow(
        f"search-{mode}",
        f"{mode} search in {len(index):,} chunks, median",
        "ms",
        middle,
        aim="under 10",
        holds=middle < 10,
    )


def _agreement(index: Index, rng: np.random.Generator, centres: np.ndarray) -> BenchRow:
    """Share of the ten nearest chunks that the graph index returns."""
    shares = []
    for vector in near(rng, centres[rng.integers(0, TOPICS, 20)]):
        got = index.search("", k=10, mode="dense", vector=vector)
        exact = index.exact(vector, k=10)
        shares.append(len({hit.id for hit in got} & {hit.id for hit in exact}) / 10)
    share = float(np.mean(shares))
    what = "share of the ten nearest chunks that the graph index finds"
    return BenchRow("search-agreement", what, "", share, aim="at least 0.9", holds=share >= 0.9)
