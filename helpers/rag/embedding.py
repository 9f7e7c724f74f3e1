"""Texts to vectors, through any endpoint that speaks OpenAI's API.

For: what the index needs of an embedding model, which is one call. Not for: the model
itself, see `helpers.backend.inference.embeddings`.

    embed = embedder(course.client, course.embedding_model)
    embed(["How do I reset my router?"]).shape      # (1, 384)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from openai import OpenAI

BATCH = 256
"""Texts in one request."""


class Embedder(Protocol):
    """Anything that turns n texts into unit vectors, float32, shape (n, width)."""

    @property
    def name(self) -> str:
        """An index remembers it: vectors of two models cannot be compared."""

    def __call__(self, texts: Sequence[str]) -> np.ndarray: ...


@dataclass(frozen=True)
class ClientEmbedder:
    """An embedding model behind the openai client."""

    client: OpenAI
    name: str

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        rows: list[list[float]] = []
        for start in range(0, len(texts), BATCH):
            reply = self.client.embeddings.create(
                model=self.name, input=list(texts[start : start + BATCH])
            )
            rows += [item.embedding for item in reply.data]
        return unit(np.array(rows, dtype=np.float32).reshape(len(texts), -1))


def embedder(client: OpenAI, model: str) -> ClientEmbedder:
    """The embedding model `model` as a function of texts."""
    return ClientEmbedder(client, model)


def unit(vectors: np.ndarray) -> np.ndarray:
    """The rows scaled to length 1, so that a dot product is the cosine."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
