"""Answer from a knowledge base: search, put notes into the prompt, answer with citations.

For: one object that a program can keep. The parts are shown one by one in notebook 06.
Not for: the search itself, see `helpers.rag`; the form of the prompt, see `prompts`.

    rag_model = Rag(client, model, {"tech_support_kb": index}, system=system, decline="No.")
    done = rag_model.generate(query="How do I reset my router?", knowledge_base="tech_support_kb")
    done.answer, done.citations, done.hits
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from operator import attrgetter
from typing import TYPE_CHECKING

from helpers.base.errors import DataError
from helpers.base.markup import html_text
from helpers.datasets.checkable_facts import NUMBER
from helpers.evaluation.grading import Answer, Message, chat_body
from helpers.evaluation.requests import Reply, send_all
from helpers.evaluation.scorers import Sample
from helpers.evaluation.side_by_side import Prompted, Voice
from helpers.rag.documents import fits, shortened
from helpers.rag.embedding import well_formed
from helpers.rag.hits import Hit, best_of_each
from helpers.rag.index import Index, SearchMode
from helpers.rag.markdown import Piece, pieces, sentences
from helpers.rag.prompts import ArticleNote, brief, with_notes

if TYPE_CHECKING:
    from openai import OpenAI

MIN_SCORE = 0.3
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
NOTE_TOKENS = 600
"""Most tokens of one note: of a longer article, the part around what was found is read."""
QUERY_TOKENS = 2000
"""Most tokens of a question that a model is shown; the search reads all of it."""
IN_A_ROW = 8
"""Questions that one worker of `generate_all` asks after each other."""
ENOUGH = 3
"""Longer words and numbers in a sentence from which its source can be told."""


@dataclass(frozen=True)
class GroundedSentence:
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
    notes: tuple[ArticleNote, ...] = ()
    """The short form of each article found."""
    aided: bool = True
    """Whether the prompt held them."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float | None = None
    """How long a customer would have waited; None where it was not asked alone."""
    tokens_cut: int = 0
    """Tokens of a very long question that were left out of the prompt, from its middle."""

    def grounding(self) -> list[GroundedSentence]:
        """Each sentence of the answer against the notes."""
        return grounding(self.answer, [note.text for note in self.notes])

    def _repr_html_(self) -> str:
        cited = ", ".join(f"<code>{html_text(name)}</code>" for name in self.citations) or "none"
        return f"<p>{html_text(self.answer)}</p><p>Articles: {cited}</p>"


@dataclass(frozen=True)
class _Plan:
    """What was found for a question, and what is to be asked; without a prompt, nothing is."""

    hits: tuple[Hit, ...]
    notes: tuple[ArticleNote, ...] = ()
    model: str = ""
    prompt: Sequence[Message] = ()
    aided: bool = False
    tokens_cut: int = 0

    def answered(self, reply: Reply) -> Generation:
        """The answer with everything behind it."""
        return Generation(
            reply.text,
            cited(reply.text, self.notes),
            self.hits,
            declined=not self.prompt,
            notes=self.notes,
            aided=self.aided,
            prompt_tokens=reply.prompt_tokens,
            completion_tokens=reply.completion_tokens,
            seconds=reply.seconds,
            tokens_cut=self.tokens_cut,
        )


@dataclass(frozen=True)
class Rag:
    """A model with knowledge bases to answer from."""

    client: OpenAI
    model: str
    bases: Mapping[str, Index]
    _: KW_ONLY
    system: str
    """The system message of every prompt."""
    decline: str
    """What is said where nothing relevant was found; no model is asked."""
    k: int = 3
    """Most articles whose notes go into the prompt."""
    mode: SearchMode = "questions"
    within: float = WITHIN
    """How far below the best one their scores may lie."""
    min_score: float = MIN_SCORE
    closed_book_model: str | None = None
    """Model that is asked without notes where the search is unsure; None: `model`, with notes.
    Not the same one where that was trained to read: its numbers are those of the notes."""
    unsure: float = UNSURE
    guard: bool = True
    """Drop sentences of a note that give orders to the assistant."""

    def generate(self, *, query: str, knowledge_base: str, max_tokens: int = 100) -> Generation:
        """Search, then answer from what was found; declines where nothing is relevant.

        Raises `DataError` for a knowledge base that is not there.
        """
        return self.generate_all([query], knowledge_base=knowledge_base, max_tokens=max_tokens)[0]

    def generate_all(
        self,
        queries: Sequence[str],
        *,
        knowledge_base: str | Sequence[str],
        max_tokens: int = 100,
        workers: int = 16,
        timed: int = 0,
        batch: bool = False,
    ) -> list[Generation]:
        """`generate` for many questions, sent as `send_all` does, in their order.

        `knowledge_base` may name one for each question. A question that is declined without
        asking the model takes no tokens. `answers_to` makes the result ready to grade.
        """
        queries = [well_formed(query) for query in queries]
        if isinstance(knowledge_base, str):
            knowledge_base = [knowledge_base] * len(queries)
        indexes = [self._base(name) for name in knowledge_base]
        found = self._search(indexes, queries)
        plans = [
            self._plan(index, query, hits)
            for index, query, hits in zip(indexes, queries, found, strict=True)
        ]
        # Like notes one after the other: a server need not read again what it has just read.
        order = sorted(
            (place for place, plan in enumerate(plans) if plan.prompt),
            key=lambda place: [hit.article for hit in found[place]],
        )
        bodies = [chat_body(plans[place].model, plans[place].prompt, max_tokens) for place in order]
        replies = send_all(
            self.client, bodies, workers=workers, in_a_row=IN_A_ROW, timed=timed, batch=batch
        )
        by_place = dict(zip(order, replies, strict=True))
        declined = Reply(self.decline, 0, 0, None)
        return [plan.answered(by_place.get(place, declined)) for place, plan in enumerate(plans)]

    def voice(self, knowledge_base: str) -> Voice:
        """For a chat: each question is searched for by itself, and its notes are shown.

        Raises `DataError` for a knowledge base that is not there.
        """
        index = self._base(knowledge_base)

        def prompted(talk: Sequence[Message]) -> Prompted:
            query = well_formed(str(talk[-1]["content"]))
            plan = self._plan(index, query, self._search([index], [query])[0])
            if not plan.prompt:
                return Prompted(said=self.decline)
            notes = plan.notes if plan.aided else ()
            shown = tuple((note.heading, note.text) for note in notes)
            return Prompted(plan.model, plan.prompt, shown)

        return prompted

    def _search(self, indexes: Sequence[Index], questions: Sequence[str]) -> list[list[Hit]]:
        """The hits of each question in its own index; those of one index are searched together."""
        found: dict[int, list[Hit]] = {}
        # By identity: an index has no equality of its own, and one may stand under several names.
        for index in {id(index): index for index in indexes}.values():
            own = [place for place, other in enumerate(indexes) if other is index]
            asked = [questions[place] for place in own]
            hits = index.search_all(asked, k=self.k, mode=self.mode, per_article=True)
            found |= dict(zip(own, hits, strict=True))
        return [found[place] for place in range(len(questions))]

    def _base(self, name: str) -> Index:
        if name not in self.bases:
            known = ", ".join(sorted(self.bases)) or "none"
            raise DataError(f"no knowledge base {name!r}", fix=f"the ones here are: {known}")
        return self.bases[name]

    def _plan(self, index: Index, query: str, hits: Sequence[Hit]) -> _Plan:
        hits = near_best(hits, within=self.within, relevance=self._relevance)
        best = max(map(self._relevance, hits), default=0.0)
        if best < self.min_score or not hits:
            return _Plan(tuple(hits))
        notes = tuple(notes_of(index, hits))
        alone = self.closed_book_model if best < self.unsure else None
        shown, cut = shortened(query, QUERY_TOKENS)
        prompt = with_notes(shown, () if alone else notes, guard=self.guard, system=self.system)
        return _Plan(tuple(hits), notes, alone or self.model, prompt, not alone, cut)

    def _relevance(self, hit: Hit) -> float:
        """How near a hit is; BM25 and fused ranks are no measure of that, the cosine is."""
        return hit.score if self.mode in ("dense", "questions") else hit.similarity


def answers_to(samples: Sequence[Sample], generations: Sequence[Generation]) -> list[Answer]:
    """The answers to test questions, ready for `helpers.evaluation.grading.grade`."""
    return [
        Answer(sample.id, one.answer, one.prompt_tokens, one.completion_tokens, one.seconds)
        for sample, one in zip(samples, generations, strict=True)
    ]


def near_best(
    hits: Sequence[Hit],
    *,
    within: float = WITHIN,
    relevance: Callable[[Hit], float] = attrgetter("score"),
) -> list[Hit]:
    """The hits that are nearly as good as the best one, in their order: the rest would distract."""
    lowest = max(map(relevance, hits), default=0.0) - within
    return [hit for hit in hits if relevance(hit) >= lowest]


def notes_of(index: Index, hits: Sequence[Hit]) -> list[ArticleNote]:
    """One note for each article among the hits: small pieces are searched, the whole is read.

    Of an article whose note would be longer than `NOTE_TOKENS`, the part around the hit is read.
    """
    return [_note(index.chunks(hit.article), hit) for hit in best_of_each(hits)]


def _note(chunks: Sequence[Hit], hit: Hit) -> ArticleNote:
    title = (chunks[0].heading if chunks else hit.article).split(" > ")[0]
    whole = _text(chunks, title)
    if fits(whole, NOTE_TOKENS):
        return ArticleNote(hit.article, title, whole)
    at = next((place for place, chunk in enumerate(chunks) if chunk.id == hit.id), 0)
    text = _text(chunks[at : at + 1], title)
    for reach in range(1, len(chunks)):
        # As many chunks before as behind: what stands around a passage explains it.
        wider = _text(chunks[max(at - reach, 0) : at + reach + 1], title)
        if not fits(wider, NOTE_TOKENS):
            break
        text = wider
    return ArticleNote(hit.article, title, text)


def _text(chunks: Sequence[Hit], title: str) -> str:
    parts: dict[str, list[Piece]] = {}
    for chunk in chunks:
        _add(parts.setdefault(chunk.heading, []), pieces(chunk.text))
    return brief(
        [
            (heading.rpartition(" > ")[2] if heading != title else "", own)
            for heading, own in parts.items()
        ]
    )


def _add(known: list[Piece], more: Sequence[Piece]) -> None:
    """Put pieces behind those known, without the ones that the two chunks share."""
    # The longest run of pieces with which the first ends and the second begins.
    overlap = next(
        n for n in range(min(len(known), len(more)), -1, -1) if known[len(known) - n :] == more[:n]
    )
    known += more[overlap:]


def cited(answer: str, notes: Sequence[ArticleNote]) -> tuple[str, ...]:
    """The articles behind an answer: for each sentence the note that says most of it.

    A sentence of which no note has half the longer words, a very short one, and a refusal
    cite nothing.
    """
    found = []
    for sentence in sentences(answer):
        own = _words(sentence) | set(NUMBER.findall(sentence))
        shared = [len(own & _said_by(note)) for note in notes]
        most = max(shared, default=0)
        if len(own) >= ENOUGH and most >= len(own) / 2:
            found.append(notes[shared.index(most)].article)
    return tuple(dict.fromkeys(found))


def _said_by(note: ArticleNote) -> set[str]:
    text = f"{note.heading} {note.text}"
    return _words(text) | set(NUMBER.findall(text))


def _words(text: str) -> set[str]:
    """The longer words, which carry what a sentence is about."""
    return set(re.findall(r"[a-z]{4,}", text.lower()))


def grounding(answer: str, notes: Sequence[str]) -> list[GroundedSentence]:
    """Whether each sentence's numbers stand in the notes, and half of its longer words."""
    text = " ".join(notes)
    numbers, words = set(NUMBER.findall(text)), _words(text)
    found = []
    for sentence in sentences(answer):
        missing = tuple(n for n in NUMBER.findall(sentence) if n not in numbers)
        own = _words(sentence)
        covered = len(own & words) >= len(own) / 2
        found.append(GroundedSentence(sentence, not missing and covered, missing))
    return found
