"""Answer from a knowledge base: search, put notes into the prompt, answer with citations.

For: one object that a program can keep. The parts are shown one by one in notebook 06.
Not for: the search itself, see `helpers.retrieval`.

    rag_model = Rag(client, model, embed, bases={"tech_support_kb": index})
    done = rag_model.generate(query="How do I reset my router?", knowledge_base="tech_support_kb")
    done.answer, done.citations, done.hits
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from helpers.chunking import sentences
from helpers.errors import DataError
from helpers.retrieval import Hit, Index

if TYPE_CHECKING:
    from openai import OpenAI

SYSTEM = "You are the support assistant of Larkwell Fibre."
DECLINE = (
    "I can only help with Larkwell Fibre services. For anything else, please ask a "
    "specialist or call our team on 555-0142."
)
LEAST = 0.25
"""Cosine of the best hit below which nothing is relevant."""
_ORDERS = re.compile(
    r"\b(?:ignore|disregard|forget|override)\b.*\b(?:instruction|rule|prompt|above|previous)"
    r"|\b(?:assistant|ai|model|chatbot)\b\s*[:,]|\byou must (?:say|answer|reply|tell)\b",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")


@dataclass(frozen=True)
class Grounded:
    """One sentence of an answer, and whether the notes support it."""

    sentence: str
    supported: bool
    missing: tuple[str, ...] = ()
    """Numbers that stand in no note."""


@dataclass(frozen=True)
class Generation:
    """An answer with everything behind it."""

    answer: str
    citations: tuple[str, ...]
    """Ids of the articles whose notes were in the prompt; empty where it declined."""
    hits: tuple[Hit, ...]
    declined: bool
    prompt_tokens: int = 0

    def grounding(self) -> list[Grounded]:
        """Each sentence of the answer against the notes."""
        return grounding(self.answer, [hit.text for hit in self.hits])

    def _repr_html_(self) -> str:
        cited = ", ".join(f"<code>{escape(name)}</code>" for name in self.citations) or "none"
        return f"<p>{escape(self.answer)}</p><p>Articles: {cited}</p>"


@dataclass(frozen=True)
class Rag:
    """A model with knowledge bases to answer from."""

    client: OpenAI
    model: str
    bases: Mapping[str, Index]
    k: int = 2
    least: float = LEAST
    guard: bool = True
    """Drop sentences of a note that give orders to the assistant."""

    def generate(self, *, query: str, knowledge_base: str, max_tokens: int = 100) -> Generation:
        """Search, then answer from what was found; declines where nothing is relevant.

        Raises `DataError` for a knowledge base that is not there.
        """
        index = self.bases.get(knowledge_base)
        if index is None:
            known = ", ".join(sorted(self.bases)) or "none"
            raise DataError(
                f"no knowledge base {knowledge_base!r}", fix=f"the ones here are: {known}"
            )
        hits = tuple(index.search(query, k=self.k))
        # A hit of the word index alone has no cosine, hence the comparison this way round.
        if not any(hit.similarity >= self.least for hit in hits):
            return Generation(DECLINE, (), hits, declined=True)
        reply = self.client.chat.completions.create(
            model=self.model,
            messages=with_notes(query, hits, guard=self.guard),  # type: ignore[arg-type]
            temperature=0,
            max_completion_tokens=max_tokens,
        )
        text = (reply.choices[0].message.content or "").strip()
        cited = tuple(dict.fromkeys(hit.article for hit in hits))
        used = reply.usage.prompt_tokens if reply.usage else 0
        return Generation(text, cited, hits, declined=False, prompt_tokens=used)


def with_notes(
    question: str, hits: Sequence[Hit], *, guard: bool = True, system: str = SYSTEM
) -> list[dict[str, Any]]:
    """The chat messages of a question with its notes: notes first, the question last."""
    notes = "\n".join(
        f"[{place}] {hit.heading}: {clean(hit.text) if guard else hit.text}"
        for place, hit in enumerate(hits, start=1)
    )
    content = f"Notes:\n{notes}\n\nAnswer from the notes.\nQuestion: {question}"
    return [{"role": "system", "content": system}, {"role": "user", "content": content}]


def clean(text: str) -> str:
    """A note without the sentences that give orders to the assistant."""
    return " ".join(part for part in sentences(text) if not _ORDERS.search(part))


def grounding(answer: str, notes: Sequence[str]) -> list[Grounded]:
    """Whether each sentence's numbers stand in the notes, and half of its longer words."""
    text = " ".join(notes).lower()
    numbers, words = set(_NUMBER.findall(text)), set(re.findall(r"[a-z]{4,}", text))
    found = []
    for sentence in sentences(answer):
        missing = tuple(n for n in _NUMBER.findall(sentence) if n not in numbers)
        own = set(re.findall(r"[a-z]{4,}", sentence.lower()))
        covered = len(own & words) >= len(own) / 2
        found.append(Grounded(sentence, not missing and covered, missing))
    return found
