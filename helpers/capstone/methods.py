"""How each method asks: the one form of its prompt, in training, in the proof and when served.

For: messages of a talk in, messages for a model out. Not for: finding the notes and examples,
see `helpers.capstone.lookup`; answers without a model, see `helpers.capstone.baselines`.

    form = PromptForm("You answer customers.")
    form.looked_up(talk, notes)
    form.few_shot(talk, examples)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from helpers.capstone.lookup import Found
from helpers.capstone.samples import AnswerTurn, Message, newest, spoken
from helpers.costs.monthly import BOTH, FEW_SHOT, RETRIEVAL, TUNED
from helpers.rag.answering import WITHIN
from helpers.rag.documents import shortened
from helpers.rag.prompts import with_notes

K = 2
"""Examples, and notes, in a prompt."""
SHOWN = 1200
"""Letters of a past talk that is shown as an example; of a longer one, its end."""
NOTE = 600
"""Tokens of a past answer in a prompt; of a longer one, its beginning and end."""
WITH_NOTES = (RETRIEVAL, BOTH)
WITH_TRAINING = (TUNED, BOTH)

Messages = list[dict[str, Any]]


@dataclass(frozen=True)
class PromptForm:
    """What all prompts of one table have in common."""

    system: str
    labels: tuple[str, ...] = ()
    """The answers to choose from, told to a model that was not trained on them."""
    k: int = K
    within: float = WITHIN
    """How far below the best note's likeness another one may lie and be read too."""

    def plain(self, talk: Sequence[Message], *, told: bool = False) -> Messages:
        """The talk after the system message; with `told`, the labels stand in that."""
        return [self._start(talk, told=told), *map(dict, newest(spoken(talk)))]

    def few_shot(self, talk: Sequence[Message], examples: Sequence[AnswerTurn]) -> Messages:
        """Whole examples first, then the customer's talk; the nearest example comes last,
        where a model weighs it most."""
        start, *rest = self.plain(talk, told=True)
        # Nearest first as they were found, so reversed.
        shown = [message for turn in reversed(examples) for message in example(turn)]
        return [start, *shown, *rest]

    def looked_up(
        self, talk: Sequence[Message], notes: Sequence[Found], *, told: bool = False
    ) -> Messages:
        """The talk, with the notes in its last message."""
        start, *before, last = self.plain(talk, told=told)
        near = [note._replace(text=shortened(note.text, NOTE)[0]) for note in self.near(notes)]
        # It returns a system message and the question with its notes; the talk between is put back.
        asked = with_notes(last["content"], near, system=start["content"])
        return [start, *before, asked[-1]]

    def near(self, notes: Sequence[Found]) -> list[Found]:
        """The notes that are nearly as good as the best one: the rest would distract."""
        least = max((note.score for note in notes), default=0.0) - self.within
        return [note for note in notes if note.score >= least]

    def _start(self, talk: Sequence[Message], *, told: bool) -> dict[str, Any]:
        # A conversation that brings a system message of its own was learnt with that one.
        given = [str(m["content"]) for m in talk if m["role"] in ("system", "developer")]
        text = given[0] if given else self.system
        if told and self.labels:
            text += f"\nAnswer with exactly one of these: {'; '.join(self.labels)}"
        return {"role": "system", "content": text}


def prompt(
    method: str,
    form: PromptForm,
    talk: Sequence[Message],
    *,
    notes: Sequence[Found],
    examples: Sequence[AnswerTurn],
) -> Messages:
    """What a method sends to its model."""
    if method == FEW_SHOT:
        return form.few_shot(talk, examples)
    if method in WITH_NOTES:
        # A trained model knows the labels by heart; it was trained without the list.
        return form.looked_up(talk, notes, told=method not in WITH_TRAINING)
    return form.plain(talk, told=method not in WITH_TRAINING)


def example(turn: AnswerTurn) -> Messages:
    """A past talk with its answer, from a customer's message on; of a long one, its end."""
    messages = [dict(message) for message in turn.spoken]
    # An example must begin with a customer's message: some chat templates refuse any other start.
    while len(messages) > 1 and (
        messages[0]["role"] != "user" or sum(len(m["content"]) for m in messages) > SHOWN
    ):
        messages.pop(0)
    while len(messages) > 1 and messages[0]["role"] != "user":
        messages.pop(0)
    return [*messages, {"role": "assistant", "content": shortened(turn.answer, NOTE)[0]}]
