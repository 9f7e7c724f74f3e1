"""Texts to vectors, through any endpoint that speaks OpenAI's API.

For: what the index needs of an embedding model, which is one call. Not for: the model
itself, see `helpers.backend.inference.embeddings`.

    embed = embedder(course.client, course.embedding_model)
    embed(["How do I reset my router?"]).shape      # (1, 384)
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from openai import OpenAI

BATCH = 256
"""Texts in one request."""
SHORT = 100
"""Characters of a text that every model reads: if it is refused, that is for another reason."""
PART = 1_000
"""Most characters of the parts of a refused text: cutting it at once saves many refusals."""
LONG_RUN = re.compile(r"\S{200}(?=\S)")
"""Letters without a blank that are no word of any model. Some tokenizers take a time that grows
with the square of such a run: minutes for 60,000 letters."""
TOO_LARGE = (400, 413, 422)
"""What endpoints say of a text, or of a request, that is longer than they read."""


class Embedder(Protocol):
    """Anything that turns n texts into unit vectors, float32, shape (n, width)."""

    @property
    def name(self) -> str:
        """An index remembers it: vectors of two models cannot be compared."""

    def __call__(self, texts: Sequence[str]) -> np.ndarray: ...


@dataclass(frozen=True)
class ClientEmbedder:
    """An embedding model behind the openai client.

    A text that is longer than the model reads is cut, and gets the mean of its parts' vectors,
    each weighted by its length: so one long e-mail stops nothing.
    """

    client: OpenAI
    name: str

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        clean = [LONG_RUN.sub(r"\g<0> ", well_formed(text)) for text in texts]
        starts = range(0, len(clean), BATCH)
        rows = [row for start in starts for row in self._rows(clean[start : start + BATCH])]
        return unit(np.array(rows, dtype=np.float32).reshape(len(texts), -1))

    def _rows(self, texts: Sequence[str]) -> list[np.ndarray]:
        from openai import APIStatusError

        try:
            reply = self.client.embeddings.create(model=self.name, input=list(texts))
        except APIStatusError as error:
            too_large = error.status_code in TOO_LARGE or "too large" in str(error)
            if not too_large or (len(texts) == 1 and len(texts[0]) <= SHORT):
                raise
        else:
            return [np.array(item.embedding, dtype=np.float32) for item in reply.data]
        # Halved until the text that is too long stands alone; the others keep their vectors.
        if len(texts) == 1:
            return [self._mean_of_parts(texts[0])]
        middle = len(texts) // 2
        return self._rows(texts[:middle]) + self._rows(texts[middle:])

    def _mean_of_parts(self, text: str) -> np.ndarray:
        parts = [text]
        # Cut at least once, since the whole has been refused.
        while len(parts[0]) == len(text) or len(max(parts, key=len)) > PART:
            parts = [half for part in parts for half in in_two(part)]
        starts = range(0, len(parts), BATCH)
        rows = [row for start in starts for row in self._rows(parts[start : start + BATCH])]
        lengths = np.array([[len(part)] for part in parts])
        return unit((unit(np.array(rows)) * lengths).sum(axis=0))


def well_formed(text: str) -> str:
    """A text that can be sent: half a surrogate pair, as some exports have it, becomes "?"."""
    return text.encode("utf-8", "replace").decode()


def in_two(text: str) -> list[str]:
    """The two halves of a text, cut at a blank where there is one near the middle."""
    middle = len(text) // 2
    blank = max(text.rfind(" ", 0, middle), text.rfind("\n", 0, middle))
    # A blank near the beginning would leave the rest as long as before.
    place = blank + 1 if blank > middle // 2 else middle
    return [half for half in (text[:place].rstrip(), text[place:].lstrip()) if half]


def embedder(client: OpenAI, model: str) -> ClientEmbedder:
    """The embedding model `model` as a function of texts."""
    return ClientEmbedder(client, model)


def unit(vectors: np.ndarray) -> np.ndarray:
    """The rows scaled to length 1, so that a dot product is the cosine."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
