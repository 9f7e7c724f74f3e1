"""Where an answer can be looked up: the answers of the past, or one's own articles.

For: the notes of retrieval, the examples of few-shot, the nearest-answer baseline. Both kinds
of store answer the same call. The answers that are held out stand in neither. Not for: large
knowledge bases with versions, see `helpers.rag.index`; articles are searched there.

    past = PastAnswers.build(turns, embed)
    past.find(["What is the late fee?"], embed(["What is the late fee?"]), k=2)
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from helpers.base import jsonl
from helpers.base.errors import DataError
from helpers.base.files import atomic
from helpers.capstone.estimate import counted
from helpers.capstone.samples import AnswerTurn, head
from helpers.rag import index as rag_index
from helpers.rag.documents import Article
from helpers.rag.embedding import Embedder

TITLE = 160
"""Letters of a past question that stand before its answer in a note."""
BLOCK = 512
"""Questions compared with all past ones at a time."""
FEW = 32
"""Nearest questions among which k different answers mostly are."""
PAST, VECTORS, ARTICLES = "past.jsonl", "vectors.npy", "articles.lance"


class Found(NamedTuple):
    """A note: a past answer under its question, or a piece of an article under its title."""

    heading: str
    text: str
    score: float
    """Cosine of what was asked and what was found."""
    place: int = -1
    """Of the past answer; -1 for an article."""


class NoteStore(Protocol):
    """Anything that finds k notes for each question, best first."""

    @property
    def what(self) -> str:
        """What it holds, in words."""

    def find(
        self,
        texts: Sequence[str],
        vectors: np.ndarray,
        *,
        k: int,
        without: Sequence[int] | None = None,
    ) -> list[list[Found]]: ...

    def save(self, folder: Path) -> None: ...


@dataclass(frozen=True)
class PastAnswers:
    """Answers given before, found by the likeness of what was asked."""

    turns: tuple[AnswerTurn, ...]
    vectors: np.ndarray
    """Of each turn's search text, unit length, shape (n, width)."""

    @property
    def what(self) -> str:
        return f"the {len(self.turns)} training answers"

    @classmethod
    def build(cls, turns: Sequence[AnswerTurn], embed: Embedder) -> PastAnswers:
        """Embed what was asked; the answers are kept as text."""
        return cls(tuple(turns), embedded([turn.search_text for turn in turns], embed))

    def find(
        self,
        texts: Sequence[str],
        vectors: np.ndarray,
        *,
        k: int,
        without: Sequence[int] | None = None,
    ) -> list[list[Found]]:
        """The k nearest turns with different answers.

        `without`: for each question the talk that may not be found, since it is its own.
        """
        found = []
        # In blocks: a whole (asked, past) matrix of a large table would not fit into memory.
        for start in range(0, len(vectors), BLOCK):
            nearness = vectors[start : start + BLOCK] @ self.vectors.T
            for place, row in enumerate(nearness, start=start):
                own = None if without is None else without[place]
                found.append(self._best(row, k, own))
        return found

    def _best(self, nearness: np.ndarray, k: int, own: int | None) -> list[Found]:
        best: dict[str, Found] = {}
        for place in _nearest_first(nearness):
            turn = self.turns[place]
            # k different answers: two equal ones in a prompt would waste half of it.
            if turn.talk != own and turn.answer not in best:
                title = " ".join(turn.question.split())
                title = title if len(title) <= TITLE else f"{title[:TITLE]}…"
                best[turn.answer] = Found(title, turn.answer, float(nearness[place]), int(place))
                if len(best) == k:
                    break
        return list(best.values())

    def save(self, folder: Path) -> None:
        """Write texts and vectors below `folder`."""
        rows = [
            # The talk's number is kept, though nothing but training leaves a talk out.
            {"talk": turn.talk, "messages": [*turn.before, _assistant(turn.answer)]}
            for turn in self.turns
        ]
        folder.mkdir(parents=True, exist_ok=True)
        jsonl.write(folder / PAST, rows)
        with atomic(folder / VECTORS) as stream:
            np.save(stream, self.vectors.astype(np.float32))

    @classmethod
    def load(cls, folder: Path) -> PastAnswers:
        """What `save` wrote. Raises `DataError` if texts and vectors do not pair up."""
        rows = list(jsonl.read(folder / PAST))
        vectors = np.load(folder / VECTORS, allow_pickle=False)
        if len(rows) != len(vectors):
            raise DataError(
                f"{len(rows)} past answers, {len(vectors)} vectors", fix="copy the folder again"
            )
        made = []
        for place, row in enumerate(rows):
            *before, answer = row["messages"]
            made.append(AnswerTurn(str(place), row["talk"], tuple(before), answer["content"]))
        return cls(tuple(made), vectors)


def _nearest_first(nearness: np.ndarray) -> Iterator[int]:
    """All places, nearest first; of equally near ones the earlier, on every machine."""
    # The first few are mostly enough, and take no sorting of all.
    least = np.partition(nearness, -FEW)[-FEW] if len(nearness) > FEW else -np.inf
    for places in (np.flatnonzero(nearness >= least), np.flatnonzero(nearness < least)):
        yield from places[np.argsort(-nearness[places], kind="stable")]


@dataclass(frozen=True)
class OwnArticles:
    """The user's documents, found by meaning."""

    index: rag_index.Index
    folder: Path

    @property
    def what(self) -> str:
        return f"your {counted(len(self.index.articles()), 'article')}"

    @classmethod
    def build(cls, articles: Sequence[Article], embed: Embedder, folder: Path) -> OwnArticles:
        """Cut, embed and store the articles. Raises `DataError` for articles without text."""
        target = folder / ARTICLES
        return cls(rag_index.build(articles, embed, target), target)

    def find(
        self,
        texts: Sequence[str],
        vectors: np.ndarray,
        *,
        k: int,
        without: Sequence[int] | None = None,
    ) -> list[list[Found]]:
        """The k best pieces for each question; no article is a question's own."""
        found = []
        for text, vector in zip(texts, vectors, strict=True):
            hits = self.index.search(text, vector=vector, k=k, mode="dense")
            found.append([Found(hit.heading, hit.text, hit.similarity) for hit in hits])
        return found

    def save(self, folder: Path) -> None:
        """Copy the index below `folder`."""
        import shutil

        # The index may have been loaded from there.
        if (folder / ARTICLES).resolve() != self.folder.resolve():
            shutil.copytree(self.folder, folder / ARTICLES, dirs_exist_ok=True)

    @classmethod
    def load(cls, folder: Path, embed: Embedder) -> OwnArticles:
        """What `save` wrote."""
        return cls(rag_index.load(folder / ARTICLES, embed), folder / ARTICLES)


def load_store(folder: Path, embed: Embedder) -> NoteStore:
    """The store in a folder, whichever it is. Raises `DataError` if there is none."""
    if (folder / ARTICLES).is_dir():
        return OwnArticles.load(folder, embed)
    if (folder / PAST).is_file():
        return PastAnswers.load(folder)
    raise DataError(f"no index in {folder.name}", fix="copy the whole folder of the model")


class KeptVectors:
    """An embedder that embeds no text twice, and knows how long a text takes."""

    def __init__(self, embed: Embedder) -> None:
        self._embed, self.name = embed, embed.name
        self._held: dict[str, np.ndarray] = {}
        self._seconds = 0.0

    @property
    def per_text(self) -> float:
        """Seconds to embed a text, so far."""
        return self._seconds / max(1, len(self._held))

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        new = [text for text in dict.fromkeys(texts) if text not in self._held]
        if new or not texts:
            start = time.monotonic()
            vectors = self._embed(new)
            self._seconds += time.monotonic() - start
            self._held |= dict(zip(new, vectors, strict=True))
        return np.array([self._held[text] for text in texts]) if texts else vectors


def embedded(texts: Sequence[str], embed: Embedder) -> np.ndarray:
    """Vectors of texts of any length, equal ones embedded once; an empty one is like no other."""
    distinct = list(dict.fromkeys(head(text) for text in texts))
    asked = [text for text in distinct if text.strip()]
    vectors = dict(zip(asked, embed(asked), strict=True)) if asked else {}
    width = len(next(iter(vectors.values()))) if vectors else 1
    # A zero vector has cosine 0 with everything.
    nothing = np.zeros(width, dtype=np.float32)
    return np.array([vectors.get(head(text), nothing) for text in texts])


def _assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}
