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
    "answers_to",
    "article_note",
    "build",
    "chunk",
    "diagnosis",
    "embedder",
    "fuse",
    "grounding",
    "injection",
    "load",
    "load_articles",
    "metrics",
    "near_best",
    "search_scores",
    "with_notes",
]

__getattr__, __dir__ = offer(
    __name__,
    {
        "Chunking": "documents:Chunking",
        "Rag": "answering:Rag",
        "answers_to": "answering:answers_to",
        "article_note": "prompts:article_note",
        "build": "index:build",
        "chunk": "documents:chunk",
        "diagnosis": "diagnosis",
        "embedder": "embedding:embedder",
        "fuse": "index:fuse",
        "grounding": "answering:grounding",
        "injection": "injection",
        "load": "index:load",
        "load_articles": "documents:load_articles",
        "metrics": "metrics",
        "near_best": "answering:near_best",
        "search_scores": "metrics:search_scores",
        "with_notes": "prompts:with_notes",
    },
)
