"""Find the passages of a knowledge base that answer a question.

For: build, search, save and load an index on disk (LanceDB), with BM25, dense and hybrid
search, and the metrics that compare them. Not for: answering, see `helpers.rag`.

    index = build(load_articles("data/support/kb"), embedder(client, model), "kb.lance")
    index.search("How do I reset my router?", k=3)[0].article     # 'router-reset'
    index = load("kb.lance", embedder(client, model))
"""

from helpers.retrieval.embedding import Embedder, embedder
from helpers.retrieval.index import How, Index, build, fuse, load
from helpers.retrieval.measure import Judged, judge, ndcg, recall, reciprocal_rank
from helpers.retrieval.rows import Hit

__all__ = [
    "Embedder",
    "Hit",
    "How",
    "Index",
    "Judged",
    "build",
    "embedder",
    "fuse",
    "judge",
    "load",
    "ndcg",
    "recall",
    "reciprocal_rank",
]
