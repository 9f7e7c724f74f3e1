"""Every answer of a conversation, with all that was said before it.

For: what is held out and asked, and what is learnt from and looked up. Not for: single
questions only: a row with one question is a conversation with one answer.

    held_out = turns(examples)
    held_out[0].search_text        # what a search looks for
    sample(held_out[0])            # what a scorer reads
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from helpers.datasets.checkable_facts import facts
from helpers.evaluation.scorers import Sample
from helpers.rag.documents import shortened, token_count

CHECKABLE, FREE = "with facts", "without facts"
"""Kinds of samples: whether the right answer states a number, or yes or no."""
MESSAGE, TALK = 1000, 3000
"""Tokens of a message, and of a talk, that a model reads; with two examples or notes and a long
answer that fits into its 8,192."""
PIECES = 400
"""Letters by threes, and other signs, of a text that is embedded: below 512 tokens of the model."""
# "refunds!" gives "ref", "und", "s", "!".
_PIECE = re.compile(r"[A-Za-z]{1,3}|[^\sA-Za-z]")

Message = Mapping[str, Any]


@dataclass(frozen=True)
class AnswerTurn:
    """One answer, and the talk that leads to it."""

    id: str
    talk: int
    """Number of the conversation; answers of one talk are not independent of each other."""
    before: tuple[Message, ...]
    """All messages up to the answer, a system message included; the last is the customer's."""
    answer: str

    @property
    def question(self) -> str:
        """What was said last."""
        return str(self.before[-1]["content"])

    @property
    def spoken(self) -> tuple[Message, ...]:
        """The talk without a system message."""
        return spoken(self.before)

    @property
    def search_text(self) -> str:
        """The end of the whole talk: a last "yes" alone would find nothing."""
        return search_text(self.before)


def turns(examples: Sequence[Sequence[Message]]) -> list[AnswerTurn]:
    """Each answer to a user's message, of all conversations, in their order."""
    found = []
    for talk, messages in enumerate(examples, start=1):
        places = [
            place
            for place in range(1, len(messages))
            # Two desk messages in a row: the second answers no question.
            if messages[place]["role"] == "assistant" and messages[place - 1]["role"] == "user"
        ]
        for number, place in enumerate(places, start=1):
            name = f"row-{talk}" if len(places) == 1 else f"row-{talk}.{number}"
            before = tuple(messages[:place])
            found.append(AnswerTurn(name, talk, before, str(messages[place]["content"])))
    return found


def spoken(messages: Sequence[Message]) -> tuple[Message, ...]:
    """Messages without those of the system."""
    return tuple(m for m in messages if m["role"] not in ("system", "developer"))


def readable(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """The messages, each customer's one cut to its beginning and end if it is very long."""
    return [
        dict(m, content=shortened(m["content"], MESSAGE)[0]) if m["role"] == "user" else dict(m)
        for m in messages
    ]


def newest(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The newest messages of a long talk, from one of the customer's on; the last in any case."""
    left, kept = TALK, list(messages[-1:])
    for place in range(len(messages) - 2, -1, -1):
        left -= token_count(messages[place]["content"])
        if left < 0:
            break
        # A talk that begins with the desk's words would leave out what they answer.
        if messages[place]["role"] == "user":
            kept = list(messages[place:])
    return tuple(kept)


def search_text(messages: Sequence[Message]) -> str:
    """What a search looks for: the talk's texts, the newest ones if it is long."""
    return tail("\n".join(str(message["content"]) for message in spoken(messages)))


def tail(text: str, pieces: int = PIECES) -> str:
    """The end of a text, short enough for the embedding model."""
    found = list(_PIECE.finditer(text))
    return text if len(found) <= pieces else text[found[-pieces].start() :]


def head(text: str, pieces: int = PIECES) -> str:
    """The beginning of a text, short enough for the embedding model."""
    found = list(_PIECE.finditer(text))
    return text if len(found) <= pieces else text[: found[pieces - 1].end()]


def sample(turn: AnswerTurn) -> Sample:
    """The turn as scorers and reports know it."""
    return Sample(
        id=turn.id,
        question="\n".join(said(turn.spoken)) if len(turn.spoken) > 1 else turn.question,
        target=turn.answer,
        kind=CHECKABLE if facts(turn.answer) else FREE,
        messages=tuple(dict(message) for message in turn.before),
    )


def said(messages: Sequence[Message]) -> list[str]:
    """A talk as lines that a reader can follow."""
    names = {"user": "customer", "assistant": "desk"}
    return [f"{names.get(m['role'], m['role'])}: {m['content']}" for m in messages]
