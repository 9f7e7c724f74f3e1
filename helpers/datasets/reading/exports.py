"""Recognise known exports by their shape and lay them out as one message a row.

For: tickets that hold their comments, conversations that hold their messages, messages that
name the one they reply to: Zendesk, Freshdesk, Intercom, Help Scout, HubSpot, Jira, Front,
Telegram, Slack, Discord, ChatGPT, ShareGPT, and what is built like them. Not for: tables
whose columns say what they are, see `columns`.

    recognised(read_source("conversations.json"))      # None, or source and columns
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from helpers.base.chat_format import SYSTEM_ROLES
from helpers.datasets.reading.column_kinds import is_time
from helpers.datasets.reading.columns import Columns
from helpers.datasets.reading.internal_notes import names_internal, names_notes, names_public
from helpers.datasets.reading.message_objects import (
    FLAGS,
    IDS,
    PEOPLE,
    SPEAKER_KEYS,
    TEXTS,
    TIMES,
    has_key,
    keyed,
    of_the_program,
    plain_key,
    plain_text,
    speaker_of,
    text_of,
    time_of,
)
from helpers.datasets.reading.message_trees import MESSAGES, linked
from helpers.datasets.reading.source import Reject, Row, SourceTable, words
from helpers.datasets.reading.speakers import role_of

CHAT = "(a chat without threads)"
"""The thread of messages that only silence divides."""
# Fields of a ticket that name its customer, `requester_id` or `fields.reporter.accountId`.
_REQUESTERS = re.compile(
    r"(^|\.)(requester_id|requesterId|customer_id|contact_id|reporter\.(accountId|name|displayName)"
    r"|requester\.id|customer\.id|submitter_id)$"
)
# The person inside a ticket who opened it: `user.login`, `author.id`.
_OPENED_BY = re.compile(
    r"(^|\.)(author|user|creator|submitter\w*|reporter|requester|contact|from|person)"
    r"\.(id|userid|login|username)$",
    re.IGNORECASE,
)
_OPENERS = words(
    "description_text description source.body fields.description body_text body question "
    "fields.description.content message"
)
_CONVERSATIONS = words("conversation_id conversationsThreadId ticket_id conversationId thread_id")
_CONVERSATION_KEYS = frozenset(map(plain_key, _CONVERSATIONS))
_SUBJECTS = words("subject summary ticket_subject")
_THREAD_IDS = words(
    "id ticket_id conversation_id number key display_id uuid issue_key conversationId name"
)
# Jira's CSV has a comment in one cell: "12/Mar/24 10:15 AM;ann;Did you restart it?".
_JIRA_COMMENT = re.compile(r"([^;\n]{6,40});([^;\n]{1,80});(.*)", re.DOTALL)
_SKIPPED = "skipped"
_TELLING = words("weight tool_calls function_call name refusal loss train training image images")
"""Keys of a message that say how it is learnt, or hold more than its text."""
_LOGGED = frozenset([*TIMES, *words("author public private attachments fromid uuid id parentid")])
"""Keys of a message in a log, which training data has none of."""
_OWN_NAMES = frozenset(["id", "uuid"])
_LEARNT = words("tool_calls tool_call_id function_call weight loss train training")
"""Keys that only training data has: beside them the name of a message makes no log of it, and
read as a log it would lose them."""
_SPEAKING = frozenset([*PEOPLE, *FLAGS, *SPEAKER_KEYS, *IDS, "actor", "authorassociation"])
OPENER = "opener"
"""Marks the text of a ticket that stands before its first comment, and has no time."""
_LOOKED_AT = 2_000
"""Rows that tell the shape of a file."""


@dataclass(frozen=True)
class RecognisedExport:
    """An export laid out as rows that columns can name."""

    source: SourceTable
    columns: Columns | None
    """None where names and values tell the rest."""


def recognised(source: SourceTable) -> RecognisedExport | None:
    """The export laid out, if its shape is known."""
    if source.form != "table":
        here = {name: name for name in ("thread", "role", "text", "time") if name in source.columns}
        return RecognisedExport(source, Columns(**here))
    chats = [name for name in source.columns if _holds_chats(source, name)]
    if chats:
        name = MESSAGES if MESSAGES in chats else chats[0]
        return RecognisedExport(source, Columns(messages=name, system=_system(source)))
    # In most tickets, or at least in some: many may have no answer yet.
    lists = [name for name in source.columns if _share(source, name, _is_thread) > 0.5]
    if not lists:
        seen = [row for _, row in source.rows[:_LOOKED_AT]]
        lists = [name for name in source.columns if any(_is_thread(row.get(name)) for row in seen)]
    if lists:
        return _opened(source, lists)
    jira = [name for name in source.columns if _share(source, name, _is_jira) > 0.8]
    if jira:
        return _jira(source, jira)
    if (slack := _slack(source)) is not None:
        return slack
    chained = linked(source)
    return None if chained is None else RecognisedExport(chained, None)


def chat_messages(value: Any) -> Any:
    """Messages of ShareGPT's and related kinds with `role` and `content`, without names of their
    own; others as they are."""
    value = _listed(value)
    if not _is_chat(value, named=True):
        return value
    return [_chat_message(item) for item in value]


def _listed(value: Any) -> Any:
    """A list that a cell holds as JSON; other values as they are."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _chat_message(item: Mapping[str, Any]) -> dict[str, Any]:
    if "role" in item and "content" in item:
        made = {k: v for k, v in item.items() if plain_key(k) not in _OWN_NAMES}
        if item["role"] not in SYSTEM_ROLES:
            made["role"] = role_of(item["role"]) or item["role"]
        return made
    speaker = next(item[key] for key in ("from", "role", "sender") if key in item)
    said = next((item[key] for key in ("value", "content", "text") if key in item), None)
    if isinstance(parts := item.get("parts"), list):
        # Gemini's: parts that are no texts are left, for the check of the example to name.
        texts = [part.get("text") if isinstance(part, dict) else part for part in parts]
        plain = [text for text in texts if isinstance(text, str)]
        said = "\n".join(plain) if len(plain) == len(texts) else parts
    rest = {k: v for k, v in item.items() if k in _TELLING}
    return {"role": role_of(speaker) or speaker, "content": said, **rest}


def _system(source: SourceTable) -> str | None:
    return next((name for name in source.columns if name in ("system", "system_prompt")), None)


def _share(source: SourceTable, name: str, test: Any) -> float:
    held = [row[name] for _, row in source.rows[:_LOOKED_AT] if row.get(name) not in (None, "", [])]
    return sum(map(bool, map(test, held))) / len(held) if held else 0.0


def _holds_chats(source: SourceTable, name: str) -> bool:
    """Whether most cells are training data; one that tells what is learnt speaks for all."""
    told = any(_tells_learning(row.get(name)) for _, row in source.rows[:_LOOKED_AT])
    return _share(source, name, partial(_is_chat, named=told)) > 0.5


def _tells_learning(value: Any) -> bool:
    value = _listed(value)
    items = [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
    return any(item.get(key) not in (None, []) for item in items for key in _LEARNT)


def _is_chat(value: Any, *, named: bool) -> bool:
    """Turns of speaker and text and little else: training data, not a log.

    `named` allows each message a name of its own.
    """
    value = _listed(value)
    if not isinstance(value, list) or not value:
        return False
    logged = _LOGGED - _OWN_NAMES if named else _LOGGED
    for item in value:
        if not isinstance(item, dict) or has_key(item, logged) or time_of(item):
            return False
        turned = {"from", "value"} <= item.keys() or {"from", "content"} <= item.keys()
        if not turned and "role" not in item:
            return False
    return True


def _is_thread(value: Any) -> bool:
    """A list of messages: each has a text and something that tells who wrote it."""
    items = _messages(value)
    if not items:
        return False
    told = [has_key(item, _SPEAKING) and has_key(item, TEXTS) for item in items]
    return sum(told) > 0.5 * len(items)


def _messages(value: Any) -> list[dict[str, Any]]:
    """Objects of a list, without one around each that holds nothing else: `{"note": {…}}`."""
    items = [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
    parts = [part for item in items for part in _part(item)]
    inner = [next(iter(item.values())) if len(item) == 1 else item for item in parts]
    return [one if isinstance(one, dict) else item for one, item in zip(inner, parts, strict=True)]


def _part(item: dict[str, Any]) -> list[dict[str, Any]]:
    """A message, or those of a part of a chat, which holds them in a list of its own."""
    lists = [held for held in item.values() if isinstance(held, list)]
    held = [one for one in lists[0] if isinstance(one, dict)] if len(lists) == 1 else []
    if has_key(item, TEXTS) or not held or not all(has_key(one, TEXTS) for one in held):
        return [item]
    return held


def _is_jira(value: Any) -> bool:
    found = _JIRA_COMMENT.fullmatch(value) if isinstance(value, str) else None
    return found is not None and is_time(found[1].strip())


def _opened(source: SourceTable, lists: Sequence[str]) -> RecognisedExport:
    """One row a message, of the outer objects' lists of messages."""
    rows: list[tuple[int, Row]] = []
    rejected: list[Reject] = list(source.rejected)
    # One object with one list is one long chat, not one conversation.
    chat = len(source.rows) == 1
    branches = 0
    for _, outer in source.rows:
        branches += int(outer.get("other branches") or 0)
        thread = next((str(outer[k]) for k in _THREAD_IDS if outer.get(k)), str(len(rows)))
        if not chat and all(map(_chatty, outer.get(lists[0]) or [None])):
            thread = f"{CHAT} {thread}"
        around = {k: v for k, v in outer.items() if not isinstance(v, list | dict)}
        items = [item for name in lists for item in _items(outer, name, lists)]
        items = _with_opener(outer, items)
        asker = _askers(outer)
        for item in items:
            number = len(rows) + len(rejected) + 1
            row = _row(item, around, thread, asker)
            if row.get(_SKIPPED):
                rejected.append(Reject(number, str(row.pop(_SKIPPED)), row))
            else:
                rows.append((number, row))
    columns = tuple(dict.fromkeys(key for _, row in rows for key in row))
    timed = any(row.get("time") for _, row in rows)
    endless = [_chatty(item) for _, outer in source.rows for item in outer.get(lists[0]) or []]
    grouped = not chat or 2 * sum(endless) < len(endless)
    note = f"read as messages of {len(source.rows)} conversations, found in {lists[0]!r}"
    left = (f"{branches} answers of abandoned branches are not read",) if branches else ()
    made = replace(
        source,
        columns=columns,
        rows=tuple(rows),
        rejected=tuple(rejected),
        notes=(*source.notes, note, *left),
    )
    mapping = Columns(
        thread="thread" if grouped else None,
        role="role",
        text="text",
        time="time" if timed else None,
    )
    return RecognisedExport(made, mapping)


def _askers(outer: Row) -> set[str]:
    """What names the customer of a conversation: identifiers and names."""
    found = {str(v) for k, v in outer.items() if _REQUESTERS.search(k) and v is not None}
    for key, value in outer.items():
        person = key.rpartition(".")[0]
        kinds = [outer.get(f"{person}.{name}") for name in ("type", "role")]
        ours = "assistant" in [role_of(kind or "") for kind in kinds]
        if _OPENED_BY.search(key) and value is not None and not ours:
            found.add(str(value))
        for one in value if isinstance(value, list) else ():
            if isinstance(one, dict) and role_of(one.get("type") or one.get("role")) == "user":
                found |= {str(one[k]) for k in ("id", "user_id") if one.get(k) is not None}
    return found


def _items(outer: Row, name: str, lists: Sequence[str]) -> list[dict[str, Any]]:
    """Messages of one list; comments and notes that stand beside messages are the staff's own."""
    items = _messages(outer.get(name))
    last = name.rpartition(".")[2]
    # Comments beside messages: there the messages go to the customer, and comments to colleagues.
    beside = last == "comments" or names_notes(last) or names_internal(last)
    if not beside or not (set(lists) - {name} or names_internal(last)):
        return items
    shown = [any(_is_public(k, v) for k, v in item.items()) for item in items]
    why = f"an internal note: it stands among {last!r}"
    return [i if ok else {**i, _SKIPPED: why} for i, ok in zip(items, shown, strict=True)]


def _is_public(name: str, value: Any) -> bool:
    return (names_public(name) and value is True) or (names_internal(name) and value is False)


def _chatty(item: Any) -> bool:
    """Whether a message stands in an endless chat, as in Telegram and Discord."""
    return isinstance(item, dict) and bool(
        {
            *("date_unixtime", "from_id", "actor_id", "isPinned", "timestampEdited"),
            *("timestamp_ms", "originalarrivaltime", "origin_server_ts"),
        }
        & item.keys()
    )


def _with_opener(outer: Row, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages, with the ticket's own text before them if none of them repeats it."""
    text = next((t for k in _OPENERS if (t := plain_text(_under(outer, k)).strip())), "")
    subject = next((t for k in _SUBJECTS if (t := str(_under(outer, k) or "").strip())), "")
    joined = text if subject.casefold() in text.casefold() else f"{subject}\n\n{text}"
    if not text:
        return items
    for place, item in enumerate(items):
        if _same(text, text_of(item)):
            return [*items[:place], {**item, TEXTS[0]: joined}, *items[place + 1 :]]
    text = joined
    who = outer.get("source.author.type") or "user"
    # The outermost wins: the loop goes backwards, and a later key writes over an earlier one.
    time = time_of({key.rpartition(".")[2]: held for key, held in reversed(outer.items())})
    said = {"created_at": time} if time else {OPENER: True}
    return [{"text": text, "role": who, **said}, *items]


def _under(outer: Row, key: str) -> Any:
    """The value of a key, also where the object that holds it stands inside another."""
    if key in outer:
        return outer[key]
    plain = f".{key}".lower()
    return next((v for k, v in outer.items() if f".{k}".lower().endswith(plain)), None)


def _same(first: str, second: str) -> bool:
    def plain(text: str) -> str:
        # By the first letters without signs and HTML: the same text may be shortened in one place.
        return re.sub(r"<[^>]+>|\W+", "", text).lower()[:200]

    return plain(first) == plain(second)


def _row(
    item: Mapping[str, Any],
    around: Row,
    thread: str,
    asker: set[str],
) -> Row:
    kept = {k: v for k, v in _scalars(item) if k not in ("thread", "role", "text", "time")}
    time = time_of(item)
    row: Row = {**around, **kept, "thread": thread, "role": speaker_of(item, asker)}
    row |= {"text": text_of(item), "time": time}
    skipped = item.get(_SKIPPED) or of_the_program(item)
    return {**row, _SKIPPED: skipped} if skipped else row


def _scalars(item: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in item.items():
        if isinstance(value, dict):
            yield from _scalars(value, f"{before}{key}.")
        elif not isinstance(value, list):
            yield f"{before}{key}", value


def threaded(values: list[Any]) -> list[Any]:
    """Bare messages whose author is an object, as help desks' interfaces give them, by
    conversation; other rows as they are."""
    speaking = [v for v in values if isinstance(v, dict) and _is_message(v)]
    said = [v for v in values if isinstance(v, dict) and text_of(v)]
    if not speaking or 2 * len(speaking) < len(values) or len(said) < len(values):
        return values
    threads: dict[str, list[Any]] = {}
    for item in values:
        key = next((str(item[k]) for k in _CONVERSATIONS if item.get(k) is not None), "1")
        threads.setdefault(key, []).append(item)
    return [{"conversation_id": key, MESSAGES: items} for key, items in threads.items()]


def _is_message(item: Mapping[str, Any]) -> bool:
    held = keyed(item)
    people = [key for key in PEOPLE if isinstance(held.get(key), dict)]
    flagged = isinstance(item.get("is_inbound"), bool)
    told = bool(people) or isinstance(item.get("senders"), list) or flagged
    if any(_is_thread(one) for one in held.values()):
        return False
    parts = any(isinstance(held.get(key), list) for key in TEXTS)
    told = told or (parts and has_key(item, SPEAKER_KEYS) and has_key(item, _CONVERSATION_KEYS))
    return told and any(isinstance(held.get(key), str | list) for key in TEXTS)


def _jira(source: SourceTable, comments: Sequence[str]) -> RecognisedExport:
    """Jira's table: an issue a row, each comment a column of "date;author;text"."""
    rows: list[tuple[int, Row]] = []
    reporters = [n for n in source.columns if n in ("Reporter", "Reporter Id", "Creator")]
    for number, issue in source.rows:
        key = str(issue.get("Issue key") or issue.get("Key") or number)
        opening = [issue.get("Summary"), issue.get("Description")]
        asked = "\n\n".join(text for text in opening if isinstance(text, str) and text.strip())
        asker = {str(issue.get(name)) for name in reporters}
        made = [{"role": "user", "text": asked, "time": issue.get("Created")}]
        for cell in [issue.get(name) for name in comments]:
            found = _JIRA_COMMENT.fullmatch(cell) if isinstance(cell, str) else None
            if found:
                role = "user" if found[2] in asker else "assistant"
                made.append({"role": role, "text": found[3], "time": found[1]})
        rows += [(len(rows) + i, {"thread": key, **row}) for i, row in enumerate(made, 1)]
    note = f"read as issues of Jira: {len(comments)} columns of comments"
    columns = ("thread", "role", "text", "time")
    made_source = replace(source, columns=columns, rows=tuple(rows), notes=(*source.notes, note))
    return RecognisedExport(
        made_source, Columns(thread="thread", role="role", text="text", time="time")
    )


def _slack(source: SourceTable) -> RecognisedExport | None:
    """Slack's messages of a channel: `ts` is their time and name, `thread_ts` their thread."""
    if not {"ts", "text"} <= set(source.columns) or not {"user", "bot_id"} & set(source.columns):
        return None
    rows, rejected = [], list(source.rejected)
    for number, row in source.rows:
        reason = of_the_program(row)
        name = row.get("user_profile.real_name") or row.get("user") or row.get("username")
        laid = {**row, "thread": row.get("thread_ts") or CHAT, "role": name or row.get("bot_id")}
        if reason:
            rejected.append(Reject(number, reason, row))
        else:
            rows.append((number, laid))
    made = replace(
        source,
        columns=(*source.columns, "thread", "role"),
        rows=tuple(rows),
        rejected=tuple(rejected),
        notes=(*source.notes, "read as messages of a Slack channel"),
    )
    return RecognisedExport(made, Columns(thread="thread", role="role", text="text", time="ts"))
