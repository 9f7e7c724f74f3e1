"""How fast an index of 100,000 chunks is searched.

For: the rows of the benchmark's table about retrieval. Not for: how good the search is, see
`helpers.retrieval.measure`.

    rows(root)
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from helpers.bench.rows import Row
from helpers.chunking import Chunk, Chunking
from helpers.retrieval import How, Index
from helpers.retrieval.index import store
from helpers.retrieval.rows import table_of

CHUNKS, WIDTH, QUERIES = 100_000, 384, 200
VOCABULARY, WORDS = 20_000, 60
TOPICS = 500


class Vectors:
    """In place of an embedding model: its time is a row of its own elsewhere."""

    name = "random"

    def __call__(self, texts: object) -> np.ndarray:
        raise NotImplementedError("the benchmark searches with ready vectors")


def rows(root: Path) -> list[Row]:
    """Median time of one search, by each way, after the query was embedded."""
    del root
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((TOPICS, WIDTH), dtype=np.float32)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        index = store(_table(rng, centres), Vectors(), folder, chunking=Chunking())
        made = time.perf_counter() - start
        ways: tuple[How, ...] = ("dense", "bm25", "hybrid")
        found = [_row(index, how, rng, centres) for how in ways]
        share = _agreement(index, rng, centres)
    return [
        *found,
        Row("the graph index finds what an exact search finds, k = 10", "", share,
            aim="at least 0.9", holds=share >= 0.9),
        Row(f"write and index {CHUNKS:,} chunks with ready vectors", "s", made),
    ]  # fmt: skip


def _table(rng: np.random.Generator, centres: np.ndarray) -> object:
    topics = rng.integers(0, TOPICS, CHUNKS)
    vectors = near(rng, centres[topics])
    # Words as frequent as in real texts (Zipf), or the word index would have no long lists.
    ids = rng.zipf(1.3, (CHUNKS, WORDS)) % VOCABULARY
    chunks = [
        Chunk(f"a{i // 4}#s{i % 4}", f"a{i // 4}", ("Article",), " ".join(f"w{n}" for n in ids[i]))
        for i in range(CHUNKS)
    ]
    return table_of(chunks, vectors)


def near(rng: np.random.Generator, centres: np.ndarray) -> np.ndarray:
    """Unit vectors around some centres, as texts lie around topics."""
    vectors = centres + 0.7 * rng.standard_normal(centres.shape, dtype=np.float32)
    unit: np.ndarray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def _row(index: Index, how: How, rng: np.random.Generator, centres: np.ndarray) -> Row:
    vectors = near(rng, centres[rng.integers(0, TOPICS, QUERIES)])
    texts = [" ".join(f"w{n}" for n in rng.zipf(1.3, 8) % VOCABULARY) for _ in range(QUERIES)]
    taken = []
    for text, vector in zip(texts, vectors, strict=True):
        start = time.perf_counter()
        index.search(text, k=3, how=how, vector=vector)
        taken.append(1000 * (time.perf_counter() - start))
    middle = statistics.median(taken[QUERIES // 10 :])
    return Row(f"{how} search in {CHUNKS:,} chunks, median", "ms", middle, aim="under 10",
               holds=middle < 10)  # fmt: skip


def _agreement(index: Index, rng: np.random.Generator, centres: np.ndarray) -> float:
    """Share of the ten nearest chunks that the graph index returns."""
    shares = []
    for vector in near(rng, centres[rng.integers(0, TOPICS, 20)]):
        got = index.search("", k=10, how="dense", vector=vector)
        exact = index.exact(vector, k=10)
        shares.append(len({hit.id for hit in got} & {hit.id for hit in exact}) / 10)
    return float(np.mean(shares))
