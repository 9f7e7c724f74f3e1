"""Turn threads with one row a message into conversations that end with an answer.

For: help desk and chat exports. Rows that cannot be used are rejected one by one, with
the reason. Not for: tables with a question and an answer in each row, see `convert`.

    grouped = group(rows, columns)
    grouped.conversations[0].messages     # [{"role": "user", …}, {"role": "assistant", …}]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from helpers.datasets.reading.columns import Columns
from helpers.datasets.reading.source import Reject, Row

_USERS = (
    "user customer client requester visitor guest human contact end-user member patient kunde "
    "incoming inbound"
)
_ASSISTANTS = (
    "assistant agent support staff operator bot helpdesk desk employee admin team gpt model "
    "mitarbeiter outgoing outbound"
)
USER_ROLES = frozenset(_USERS.split())
ASSISTANT_ROLES = frozenset(_ASSISTANTS.split())

Message = dict[str, Any]
Numbered = tuple[int, Row]


@dataclass
class Conversation:
    """The messages of one thread, and the rows that they came from."""

    messages: list[Message] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    merged: list[int] = field(default_factory=list)
    """Rows whose text was added to the message before, by the same speaker."""
    first: Row = field(default_factory=dict)


@dataclass(frozen=True)
class ConversationGroups:
    """All conversations, and the rows that are in none."""

    conversations: list[Conversation]
    rejected: list[Reject]


def role_of(name: Any, roles: Mapping[str, str] | None = None) -> str | None:
    """The role that a speaker's name stands for; None if it is unknown."""
    plain = str(name).strip()
    if roles and plain in roles:
        return roles[plain]
    lower = plain.lower()
    if lower in USER_ROLES:
        return "user"
    if lower in ASSISTANT_ROLES:
        return "assistant"
    return "system" if lower in ("system", "developer") else None


def group(
    rows: Sequence[Numbered], columns: Columns, *, roles: Mapping[str, str] | None = None
) -> ConversationGroups:
    """Group rows by thread, in order of time where there is such a column.

    `roles` maps names in the role column, such as agents' names, to user or assistant.
    """
    threads: dict[str, list[Numbered]] = {}
    rejected: list[Reject] = []
    for number, row in rows:
        key = str(row.get(columns.thread or "") or "").strip()
        if key:
            threads.setdefault(key, []).append((number, row))
        else:
            rejected.append(Reject(number, "no thread", row))
    found = []
    for thread in threads.values():
        built = _conversation(_in_order(thread, columns.time), columns, roles, rejected)
        if built is not None:
            found.append(built)
    return ConversationGroups(found, sorted(rejected, key=lambda reject: reject.row))


def _in_order(thread: list[Numbered], time: str | None) -> list[Numbered]:
    """Rows by time; in the order of the file if one of the times cannot be read."""
    if time is None:
        return thread
    import pandas as pd

    texts = [str(row.get(time) or "") for _, row in thread]
    stamps = pd.to_datetime(pd.Series(texts), errors="coerce", utc=True, format="mixed")
    if stamps.isna().any():
        return thread
    order = stamps.sort_values(kind="stable").index
    return [thread[place] for place in order]


def _conversation(
    thread: list[Numbered],
    columns: Columns,
    roles: Mapping[str, str] | None,
    rejected: list[Reject],
) -> Conversation | None:
    """One conversation; rows without use are added to `rejected`."""
    spoken: list[tuple[int, Row, str, str]] = []
    asked = False
    for number, row in thread:
        role = role_of(row.get(columns.role or ""), roles)
        text = row.get(columns.text or "")
        reason = _fault(row, columns, role, text, asked)
        if reason or role is None or not isinstance(text, str):
            rejected.append(Reject(number, reason, row))
        else:
            asked = asked or role == "user"
            spoken.append((number, row, role, text))
    last = max((i for i, item in enumerate(spoken) if item[2] == "assistant"), default=-1)
    for number, row, _, _ in spoken[last + 1 :]:
        reason = "nobody answered in this thread" if last < 0 else "comes after the last answer"
        rejected.append(Reject(number, reason, row))
    return _joined(spoken[: last + 1]) if last >= 0 else None


def _fault(row: Row, columns: Columns, role: str | None, text: Any, asked: bool) -> str:
    """Why a row cannot be a message, or ""."""
    if role is None:
        return f"unknown role {str(row.get(columns.role or ''))[:40]!r}"
    if not isinstance(text, str) or not text.strip():
        return "no text"
    if role == "system" and asked:
        return "a system message after the first question"
    return "comes before the first question" if role == "assistant" and not asked else ""


def _joined(spoken: list[tuple[int, Row, str, str]]) -> Conversation:
    """Messages of one speaker in a row become one message."""
    made = Conversation(first=spoken[0][1])
    for number, _, role, text in spoken:
        made.rows.append(number)
        if made.messages and made.messages[-1]["role"] == role:
            made.messages[-1]["content"] += "\n\n" + text
            made.merged.append(number)
        else:
            made.messages.append({"role": role, "content": text})
    return made
