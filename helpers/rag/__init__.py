"""Find the passages of a knowledge base that answer a question, and answer from them.

    index = build(load_articles("data/support/kb"), embedder(client, model), "kb.lance")
    index.search("How do I reset my router?", k=3)[0].article     # 'router-reset'
    Rag(client, model, {"help": index}, system="You answer.", decline="I do not know.")

Not for: what an answer is worth, see `helpers.evaluation`.
"""

from helpers.base.facade import offer

__all__ = [
    "Chunking",
    "Rag",
    "article_note",
    "build",
    "chunk",
    "embedder",
    "fuse",
    "grounding",
    "judge",
    "load",
    "load_articles",
    "ndcg",
    "near_best",
    "recall",
    "reciprocal_rank",
    "with_notes",
]

__getattr__, __dir__ = offer(
    __name__,
    {
        "Chunking": "documents:Chunking",
        "Rag": "answering:Rag",
        "article_note": "prompts:article_note",
        "build": "index:build",
        "chunk": "documents:chunk",
        "embedder": "embedding:embedder",
        "fuse": "index:fuse",
        "grounding": "answering:grounding",
        "judge": "metrics:judge",
        "load": "index:load",
        "load_articles": "documents:load_articles",
        "ndcg": "metrics:ndcg",
        "near_best": "answering:near_best",
        "recall": "metrics:recall",
        "reciprocal_rank": "metrics:reciprocal_rank",
        "with_notes": "prompts:with_notes",
    },
)
