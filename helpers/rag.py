"""Answer from a knowledge base: search, put notes into the prompt, answer with citations.

For: one object that a program can keep. The parts are shown one by one in notebook 06.
Not for: the search itself, see `helpers.retrieval`; the form of the prompt, see `prompts`.

    rag_model = Rag(client, model, {"tech_support_kb": index})
    done = rag_model.generate(query="How do I reset my router?", knowledge_base="tech_support_kb")
    done.answer, done.citations, done.hits
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from html import escape
from operator import attrgetter
from typing import TYPE_CHECKING

from helpers.chunking import sentences
from helpers.datasets.noted import DECLINE
from helpers.errors import DataError
from helpers.evaluation import Answer
from helpers.prompts import Note, brief, with_notes
from helpers.retrieval import Hit, How, Index
from helpers.scorers import Sample

if TYPE_CHECKING:
    from openai import OpenAI

LEAST = 0.3
"""Score of the best article below which nothing is relevant. Of the training and validation
questions, each one itself left out of the index, it turns away 1 in 100 that have an article,
and 6 in 10 of the others."""
UNSURE = 0.4
"""Score of the best article below which a model that was tuned on the same desk is asked from
memory. Of the same questions that is 4 in 100 of those that have an article, and 2 in 10 of the
others, which notes on something else would tempt a model to answer."""
WITHIN = 0.15
"""How far below the best article another one may score to be read too. Of the validation questions
98 in 100 then have every article they need among the notes, of which there are 1.8 in the mean;
with always two it is 92 in 100."""
IN_A_ROW = 8
"""Questions that one worker of `generate_all` asks after each other."""
ENOUGH = 3
"""Longer words and numbers in a sentence from which its source can be told."""
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
    """Ids of the articles that the answer's sentences come from; empty where it declined."""
    hits: tuple[Hit, ...]
    """The best chunk of each article found."""
    declined: bool
    notes: tuple[Note, ...] = ()
    """The short form of each article found."""
    aided: bool = True
    """Whether the prompt held them."""
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def grounding(self) -> list[Grounded]:
        """Each sentence of the answer against the notes."""
        return grounding(self.answer, [note.text for note in self.notes])

    def _repr_html_(self) -> str:
        cited = ", ".join(f"<code>{escape(name)}</code>" for name in self.citations) or "none"
        return f"<p>{escape(self.answer)}</p><p>Articles: {cited}</p>"


@dataclass(frozen=True)
class Rag:
    """A model with knowledge bases to answer from."""

    client: OpenAI
    model: str
    bases: Mapping[str, Index]
    k: int = 3
    """Most articles whose notes go into the prompt."""
    how: How = "questions"
    within: float = WITHIN
    """How far below the best one their scores may lie."""
    least: float = LEAST
    by_heart: str | None = None
    """Model that is asked without notes where the search is unsure; None: `model`, with notes.
    Not the same one where that was trained to read: its numbers are those of the notes."""
    unsure: float = UNSURE
    guard: bool = True
    """Drop sentences of a note that give orders to the assistant."""

    def generate(self, *, query: str, knowledge_base: str, max_tokens: int = 100) -> Generation:
        """Search, then answer from what was found; declines where nothing is relevant.

        Raises `DataError` for a knowledge base that is not there.
        """
        index = self._base(knowledge_base)
        hits = index.search(query, k=self.k, how=self.how, per_article=True)
        return self._answer(index, query, hits, max_tokens)

    def generate_all(
        self,
        samples: Sequence[Sample],
        *,
        knowledge_base: str,
        max_tokens: int = 100,
        workers: int = 16,
    ) -> tuple[list[Generation], list[Answer]]:
        """`generate` for many samples, `workers` requests at once; answers ready to grade.

        A question that is declined without asking the model takes no tokens.
        """
        index = self._base(knowledge_base)
        questions = [sample.question for sample in samples]
        found = index.search_all(questions, k=self.k, how=self.how, per_article=True)

        def answer(place: int) -> tuple[Generation, Answer]:
            start = time.perf_counter()
            done = self._answer(index, questions[place], found[place], max_tokens)
            used = done.prompt_tokens, done.completion_tokens
            seconds = time.perf_counter() - start
            return done, Answer(samples[place].id, done.answer, *used, seconds)

        # Like notes one after the other: a server need not read again what it has just read.
        order = sorted(range(len(samples)), key=lambda i: [hit.article for hit in found[i]])
        runs = [order[i : i + IN_A_ROW] for i in range(0, len(order), IN_A_ROW)]
        with ThreadPoolExecutor(workers) as pool:
            made = list(pool.map(lambda run: [(place, answer(place)) for place in run], runs))
        by_place = {place: pair for run in made for place, pair in run}
        pairs = [by_place[place] for place in range(len(samples))]
        return [done for done, _ in pairs], [graded for _, graded in pairs]

    def _base(self, name: str) -> Index:
        if name not in self.bases:
            known = ", ".join(sorted(self.bases)) or "none"
            raise DataError(f"no knowledge base {name!r}", fix=f"the ones here are: {known}")
        return self.bases[name]

    def _answer(self, index: Index, query: str, hits: Sequence[Hit], max_tokens: int) -> Generation:
        hits = near_best(hits, within=self.within, relevance=self._relevance)
        best = max(map(self._relevance, hits), default=0.0)
        if best < self.least or not hits:
            return Generation(DECLINE, (), tuple(hits), declined=True, aided=False)
        notes = tuple(notes_of(index, hits))
        by_heart = self.by_heart if best < self.unsure else None
        prompt = with_notes(query, () if by_heart else notes, guard=self.guard)
        reply = self.client.chat.completions.create(
            model=by_heart or self.model,
            messages=prompt,  # type: ignore[arg-type]
            temperature=0,
            max_completion_tokens=max_tokens,
        )
        usage = reply.usage
        text = (reply.choices[0].message.content or "").strip()
        return Generation(
            text,
            cited(text, notes),
            tuple(hits),
            declined=False,
            notes=notes,
            aided=not by_heart,
            prompt_tokens=usage.prompt_tokens if usage else 0,
            completion_tokens=usage.completion_tokens if usage else 0,
        )

    def _relevance(self, hit: Hit) -> float:
        """How near a hit is; BM25 and fused ranks are no measure of that, the cosine is."""
        return hit.score if self.how in ("dense", "questions") else hit.similarity


def near_best(
    hits: Sequence[Hit],
    *,
    within: float = WITHIN,
    relevance: Callable[[Hit], float] = attrgetter("score"),
) -> list[Hit]:
    """The hits that are nearly as good as the best one, in their order: the rest would distract."""
    least = max(map(relevance, hits), default=0.0) - within
    return [hit for hit in hits if relevance(hit) >= least]


def notes_of(index: Index, hits: Sequence[Hit]) -> list[Note]:
    """One note for each article among the hits: small pieces are searched, the whole is read."""
    found = []
    for name in dict.fromkeys(hit.article for hit in hits):
        parts: dict[str, list[str]] = {}
        for piece in index.chunks(name):
            parts.setdefault(piece.heading, []).append(piece.text)
        title = next(iter(parts), name).split(" > ")[0]
        whole = [
            (heading.rpartition(" > ")[2] if heading != title else "", "\n".join(texts))
            for heading, texts in parts.items()
        ]
        found.append(Note(name, title, brief(whole)))
    return found


def cited(answer: str, notes: Sequence[Note]) -> tuple[str, ...]:
    """The articles behind an answer: for each sentence the note that says most of it.

    A sentence of which no note has half the longer words, a very short one, and a refusal
    cite nothing.
    """
    found = []
    for sentence in sentences(answer):
        own = _words(sentence) | set(_NUMBER.findall(sentence))
        shared = [len(own & _said_by(note)) for note in notes]
        most = max(shared, default=0)
        if len(own) >= ENOUGH and most >= len(own) / 2:
            found.append(notes[shared.index(most)].article)
    return tuple(dict.fromkeys(found))


def _said_by(note: Note) -> set[str]:
    text = f"{note.heading} {note.text}"
    return _words(text) | set(_NUMBER.findall(text))


def _words(text: str) -> set[str]:
    """The longer words, which carry what a sentence is about."""
    return set(re.findall(r"[a-z]{4,}", text.lower()))


def grounding(answer: str, notes: Sequence[str]) -> list[Grounded]:
    """Whether each sentence's numbers stand in the notes, and half of its longer words."""
    text = " ".join(notes)
    numbers, words = set(_NUMBER.findall(text)), _words(text)
    found = []
    for sentence in sentences(answer):
        missing = tuple(n for n in _NUMBER.findall(sentence) if n not in numbers)
        own = _words(sentence)
        covered = len(own & words) >= len(own) / 2
        found.append(Grounded(sentence, not missing and covered, missing))
    return found
