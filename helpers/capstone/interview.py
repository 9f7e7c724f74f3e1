"""Ask the methods: what all draw from, and every answer kept, so that nothing is asked twice.

For: the proof's questions, those with a clock and the others. Not for: the order of the
proof, see `helpers.capstone.experiment`.

    embed = KeptVectors(embedder(course.client, course.embedding_model))
    material = gather(course, data, None, folder, embed, brief=False)
    Interview(course, material).ask("base", course.chat_model, data.held_out)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from helpers.capstone.lookup import (
    Found,
    KeptVectors,
    NoteStore,
    OwnArticles,
    PastAnswers,
    embedded,
)
from helpers.capstone.methods import Messages, PromptForm, prompt
from helpers.capstone.samples import AnswerTurn, sample
from helpers.capstone.table import MOST_ANSWER_TOKENS, TableData, answer_limit
from helpers.evaluation.grading import Answer, ask
from helpers.rag.documents import Article

if TYPE_CHECKING:
    from helpers.connection import Connection

BRIEF_TOKENS = 256
"""Most tokens of an answer under a budget."""
MOST_TOLD = 100
"""Labels that are told to a model in its prompt."""


@dataclass(frozen=True)
class Material:
    """What all methods draw from."""

    data: TableData
    embed: KeptVectors
    past: PastAnswers
    store: NoteStore
    form: PromptForm
    vectors: np.ndarray
    """Of the held-out turns, shape (n, width)."""
    labels: tuple[str, ...]
    choices: tuple[str, ...]
    """The only answers that a model may give, where the endpoint can be told."""
    max_tokens: int

    def notes_for_training(self, turns: Sequence[AnswerTurn]) -> list[list[Found]]:
        """For each turn its notes, without those of its own talk."""
        texts = [turn.search_text for turn in turns]
        own = [turn.talk for turn in turns]
        # A training answer would find itself, and learn to copy its first note.
        if turns is self.data.train:
            vectors = self.past.vectors
        else:
            # Talks are numbered in each part from 1: a validation talk's number is another talk's
            # there.
            vectors, own = embedded(texts, self.embed), [-1] * len(turns)
        return self.store.find(texts, vectors, k=self.form.k, without=own)


def gather(
    course: Connection,
    data: TableData,
    articles: Sequence[Article] | None,
    folder: Path,
    embed: KeptVectors,
    *,
    brief: bool,
) -> Material:
    """Embed what was asked, build the stores, and settle the prompts and their lengths.

    With `brief`, for a budget, answers may have fewer tokens.
    """
    past = PastAnswers.build(data.train, embed)
    vectors = embedded([turn.search_text for turn in data.held_out], embed)
    store: NoteStore = OwnArticles.build(articles, embed, folder) if articles else past
    labels = _labels(data)
    most = BRIEF_TOKENS if brief else MOST_ANSWER_TOKENS
    limit = answer_limit([turn.answer for turn in data.train], most=most)
    # A longer list of labels would fill the prompt of a small model.
    form = PromptForm(data.system, labels=labels if len(labels) <= MOST_TOLD else ())
    # A model that words a label otherwise would be wrong for its words alone; other endpoints may
    # not know the parameter.
    choices = labels if course.backend == "embedded" else ()
    return Material(data, embed, past, store, form, vectors, labels, choices, limit)


def _labels(data: TableData) -> tuple[str, ...]:
    if data.prepared.task != "labels":
        return ()
    return tuple(sorted({turn.answer for turn in data.train}))


class Interview:
    """Asks the methods, keeps what they answered, and asks nothing twice."""

    def __init__(self, course: Connection, material: Material) -> None:
        self._client, self.material = course.client, material
        turns, form = material.data.held_out, material.form
        texts = [turn.search_text for turn in turns]
        notes = material.store.find(texts, material.vectors, k=form.k)
        near = material.past.find(texts, material.vectors, k=form.k)
        names = [turn.id for turn in turns]
        self._turns = dict(zip(names, turns, strict=True))
        self._notes = dict(zip(names, notes, strict=True))
        self.near = dict(zip(names, near, strict=True))
        self._held: dict[str, dict[str, Answer]] = {}

    def prompt(self, method: str, name: str) -> Messages:
        """What a method sends for one held-out turn."""
        # `place` counts in `past.turns`, as `find` gave it.
        examples = [self.material.past.turns[found.place] for found in self.near[name]]
        return prompt(
            method,
            self.material.form,
            self._turns[name].before,
            notes=self._notes[name],
            examples=examples,
        )

    def ask(
        self, method: str, model: str, turns: Sequence[AnswerTurn], *, timed: int = 0
    ) -> list[Answer]:
        """The answers of one method to turns, in their order; the first `timed` asked alone."""
        held = self._held.setdefault(method, {})
        # Those asked before keep their answer, and the seconds of the ones asked alone.
        new = [sample(turn) for turn in turns if turn.id not in held]
        found = ask(
            self._client,
            model,
            new,
            prompt=lambda one: self.prompt(method, one.id),
            max_tokens=self.material.max_tokens,
            timed=sum(turn.id not in held for turn in turns[:timed]),
            choices=self.material.choices,
        )
        held |= {answer.sample: answer for answer in found}
        return [held[turn.id] for turn in turns]
