"""What is put into a prompt beside the question: notes from articles, in one fixed form.

For: answering from notes, and the training examples that teach it, which must look the same.
Not for: finding the notes, see `helpers.rag`.

    note = article_note(article)
    with_notes("What is the late fee?", [note], system="You answer.")     # chat messages
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from helpers.datasets.checkable_facts import stated_facts
from helpers.rag.documents import Article, sections
from helpers.rag.markdown import ITEM, Piece, note_text, pieces

ORDERS = re.compile(
    r"\b(?:ignore|disregard|forget|override)\b.*\b(?:instruction|rule|prompt|above|previous)"
    r"|\b(?:assistant|ai|model|chatbot)\b\s*[:,]"
    r"|\b(?:you must|always|now|only) (?:say|answer|reply|tell|respond)\b"
    r"|^(?:say|answer|reply|respond) (?:that|with|only)\b",
    re.IGNORECASE,
)
"""Known forms of an order to the model, as somebody might hide it in an article."""


class Passage(Protocol):
    """Anything with a heading and a text: a note, or a hit of a search."""

    @property
    def heading(self) -> str: ...

    @property
    def text(self) -> str: ...


class ArticleNote(NamedTuple):
    """What the prompt says of one article."""

    article: str
    heading: str
    text: str


def article_note(article: Article) -> ArticleNote:
    """The short form of a whole article."""
    parts = [
        (heading[-1] if len(heading) > 1 else "", pieces(text))
        for heading, text in sections(article)
    ]
    return ArticleNote(article.id, article.title, brief(parts))


def brief(parts: Sequence[tuple[str, Sequence[Piece]]]) -> str:
    """Sections, as (heading, pieces), cut to what they state; an introduction goes first.

    Kept are the first sentence of each section, list items, tables and code, and every sentence
    with a number, a price, an address or a path. The rest explains, and would cost tokens in
    each request.
    """
    telling = [part for part in parts if part[0]] or list(parts)
    text = ""
    for heading, own in telling:
        chosen = [
            one
            for place, one in enumerate(own)
            if place == 0 or one.line or ITEM.match(one.text) or stated_facts(one.text)
        ]
        if chosen:
            # A table or code does not go on in the line of its heading, nor anything in its own.
            first, last = (one.line and not one.flows for one in (chosen[0], chosen[-1]))
            section = (f"{heading}:\n\n" if first else f"{heading}: ") if heading else ""
            text += section + note_text(chosen) + ("\n\n" if last else " ")
    return text.strip()


def with_notes(
    question: str, notes: Iterable[Passage], *, guard: bool = True, system: str
) -> list[dict[str, Any]]:
    """The chat messages of a question with its notes: notes first, the question last.

    Without any note it is the question alone, as a tuned model knows it.
    """
    start = {"role": "system", "content": system}
    notes = list(notes)
    if not notes:
        return [start, {"role": "user", "content": question}]
    lines = "\n".join(
        f"[{place}] {note.heading}: {clean(note.text) if guard else note.text}"
        for place, note in enumerate(notes, start=1)
    )
    content = f"Notes:\n{lines}\n\nAnswer from the notes.\nQuestion: {question}"
    return [start, {"role": "user", "content": content}]


def clean(text: str) -> str:
    """A note without the sentences that give orders to the assistant."""
    return note_text(part for part in pieces(text) if not ORDERS.search(part.text))
