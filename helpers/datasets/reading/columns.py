"""Which column of a table means what: guessed from its name, or told.

For: mapping any column names to question, answer, intent, or thread, role and text. Not
for: reading files, see `sources`.

    choose(["Frage", "Antwort"])        # Columns(question="Frage", answer="Antwort")
    choose(["a", "b"], question="a", answer="b")
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields

from helpers.base.errors import DataError

_NAMES = {
    "question": "question|query|prompt|user|input|customer|customer message|customer question|"
    "user message|request|ask|instruction|frage|anfrage|pregunta|problem|utterance|subject|title",
    "answer": "answer|response|completion|assistant|output|reply|agent reply|agent answer|"
    "agent message|agent|solution|resolution|antwort|respuesta|target",
    "intent": "intent|label|category|class|topic|tag|kategorie|thema|queue|type",
    "thread": "thread|thread id|ticket|ticket id|ticket number|conversation|conversation id|"
    "case|case id|dialogue id|chat id|session id",
    "role": "role|author role|author|sender|speaker|from|who|direction|author type",
    "text": "text|message|body|content|message body|comment|note",
    "time": "time|timestamp|date|created|created at|sent|sent at|datetime|updated at|datum",
    "system": "system|system prompt",
}
"""Usual names for each meaning, without case and punctuation."""

_WORDS = {
    "question": {"question", "frage", "query", "request"},
    "answer": {"answer", "antwort", "reply", "response"},
    "intent": {"intent", "category", "topic"},
}
"""Words that tell the meaning of a longer name: "Staff reply"."""
LISTED = 20
"""Columns that an error names."""
_NAME_WORDS = 4
"""With more words it is a sentence that ends in such a word, and no name."""
_SENTENCE = re.compile(r"[.?!]\s|[.?!]$|\S+(?:\s+\S+){5,}")


@dataclass(frozen=True)
class Columns:
    """The name of the column for each meaning, or None."""

    question: str | None = None
    answer: str | None = None
    intent: str | None = None
    thread: str | None = None
    role: str | None = None
    text: str | None = None
    time: str | None = None
    system: str | None = None
    messages: str | None = None

    @property
    def threaded(self) -> bool:
        """Whether each row is one message of a thread."""
        return None not in (self.thread, self.role, self.text)

    @property
    def used(self) -> dict[str, str]:
        """Meaning and column, where there is one."""
        return {meaning: name for meaning, name in asdict(self).items() if name is not None}


def choose(present: Sequence[str], **told: str | None) -> Columns:
    """The mapping: what is told holds, the rest is guessed from the names.

    Two columns without known names are question and answer. Raises `DataError`, listing
    the columns that are there, if one that is told is missing or the mapping is not enough.
    """
    meanings = [field.name for field in fields(Columns)]
    for meaning, name in told.items():
        if meaning not in meanings:
            fix = f"choose from: {', '.join(meanings)}"
            raise DataError(f"a column cannot be a {meaning!r}", fix=fix)
        if name is not None and name not in present:
            raise DataError(f"there is no column {name!r}", fix=listed(present))
    found = _guess([name for name in present if name not in told.values()])
    mapping = Columns(**{**found, **told})
    paired = mapping.question is not None and mapping.answer is not None
    if not paired and not mapping.threaded and mapping.messages is None and len(present) == 2:
        return Columns(question=present[0], answer=present[1])
    if not paired and not mapping.threaded and mapping.messages is None:
        raise DataError(
            "cannot tell which columns hold question and answer, or thread, role and text",
            fix=f"name them, as in question=..., answer=...; {listed(present)}",
        )
    return mapping


def listed(present: Sequence[str]) -> str:
    """The columns that are there, for an error's remedy."""
    names = ", ".join(map(repr, present[:LISTED]))
    more = f" and {len(present) - LISTED:,} more" if len(present) > LISTED else ""
    return f"the columns are: {names}{more}"


def _guess(present: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for meaning in _NAMES:
        ranked = [(rank, name) for name in present if (rank := _rank(meaning, name)) is not None]
        free = sorted(item for item in ranked if item[1] not in found.values())
        if free:
            found[meaning] = free[0][1]
    if "messages" in present:
        found["messages"] = "messages"
    if {"thread", "role", "text"} <= found.keys():
        # One row a message: a subject column is then no question.
        found.pop("question", None)
        found.pop("answer", None)
    return found


def _rank(meaning: str, name: str) -> int | None:
    """Place of a name in the list of a meaning's usual names; None if it is not there."""
    usual = _NAMES[meaning].split("|")
    plain = _plain(name)
    if plain in usual:
        return usual.index(plain)
    words = plain.split()
    told = 0 < len(words) <= _NAME_WORDS and words[-1] in _WORDS.get(meaning, ())
    return len(usual) if told else None


def _plain(name: str) -> str:
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return " ".join(re.findall(r"[^\W_]+", spaced.lower()))


def looks_like_header(cells: Sequence[str]) -> bool:
    """Whether a first row names columns: a known name in it, or no sentence and no gap."""
    filled = [cell.strip() for cell in cells]
    if names_a_meaning(filled):
        return True
    distinct = len(set(filled)) == len(filled) and all(filled)
    return distinct and not any(_SENTENCE.search(cell) for cell in filled)


def names_a_meaning(cells: Sequence[str]) -> bool:
    """Whether one of the cells is a usual name of a column."""
    return any(_rank(meaning, cell) is not None for meaning in _NAMES for cell in cells)
