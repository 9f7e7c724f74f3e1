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
from typing import Any

from helpers.datasets.reading.columns import Columns
from helpers.datasets.reading.source import Reject, Row, SourceTable, words
from helpers.datasets.reading.speakers import role_of

CHAT = "(a chat without threads)"
"""The thread of messages that only silence divides."""
MESSAGES = "messages"
_TEXTS = words(
    "body_text plain_body text_body plaintext description_text text content body message value "
    "html_body comment note rendered_body"
)
_PEOPLE = words("author sender from createdBy created_by user creator updateAuthor owner")
_TIMES = words(
    "created_at createdAt created create_time date timestamp ts sent_at sentAt time published "
    "date_unixtime created_time createdTime"
)
_FLAGS = words("is_inbound inbound incoming is_incoming from_customer is_agent from_agent outbound")
_SPEAKER_KEYS = words(
    "role from sender author_type authorType sender_type senderType direction author_role "
    "senderRole speaker"
)
_IDS = words("author_id user_id sender_id from_id")
_REQUESTERS = re.compile(
    r"(^|\.)(requester_id|requesterId|customer_id|contact_id|reporter\.(accountId|name|displayName)"
    r"|requester\.id|customer\.id|submitter_id)$"
)
_OPENERS = words(
    "description_text description source.body fields.description body_text body question "
    "fields.description.content"
)
_CONVERSATIONS = words("conversation_id conversationsThreadId ticket_id conversationId thread_id")
_SUBJECTS = words("subject summary ticket_subject")
_THREAD_IDS = words(
    "id ticket_id conversation_id number key display_id uuid issue_key conversationId name"
)
_REPLY = re.compile(
    r"in_?(?:reply|response)_?to(?:_\w*)?|reply_?to(?:_\w*)?id|reply_to_message_id|parent_?id"
    r"|reference\.messageid|parent_message_id",
    re.IGNORECASE,
)
_JIRA_COMMENT = re.compile(r"([^;\n]{6,40});([^;\n]{1,80});(.*)", re.DOTALL)
_SPOKEN_SUBTYPES = frozenset(words("thread_broadcast bot_message file_share me_message"))
_SKIPPED = "skipped"
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
    chats = [name for name in source.columns if _share(source, name, _is_chat) > 0.5]
    if chats:
        name = MESSAGES if MESSAGES in chats else chats[0]
        return RecognisedExport(source, Columns(messages=name, system=_system(source)))
    lists = [name for name in source.columns if _share(source, name, _is_thread) > 0.5]
    if not lists:
        seen = [row for _, row in source.rows[:_LOOKED_AT]]
        lists = [name for name in source.columns if any(_is_thread(row.get(name)) for row in seen)]
    if lists:
        return _opened(source, lists)
    jira = [name for name in source.columns if _share(source, name, _is_jira) > 0.8]
    if jira:
        return _jira(source, jira)
    return _slack(source) or _linked(source)


def chat_messages(value: Any) -> Any:
    """Messages of ShareGPT's and related kinds with `role` and `content`; others as they are."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except ValueError:
            return value
    if not _is_chat(value):
        return value
    return [_chat_message(item) for item in value]


def _chat_message(item: Mapping[str, Any]) -> dict[str, Any]:
    if "role" in item and "content" in item:
        made = dict(item)
        made["role"] = role_of(item["role"]) or item["role"]
        return made
    speaker = next(item[key] for key in ("from", "role", "sender") if key in item)
    said = next(item[key] for key in ("value", "content", "text") if key in item)
    rest = {k: v for k, v in item.items() if k in ("weight", "tool_calls", "name")}
    return {"role": role_of(speaker) or speaker, "content": said, **rest}


def _system(source: SourceTable) -> str | None:
    return next((name for name in source.columns if name in ("system", "system_prompt")), None)


def _share(source: SourceTable, name: str, test: Any) -> float:
    held = [row[name] for _, row in source.rows[:_LOOKED_AT] if row.get(name) not in (None, "", [])]
    return sum(map(bool, map(test, held))) / len(held) if held else 0.0


def _is_chat(value: Any) -> bool:
    """Turns of speaker and text and little else: training data, not a log."""
    if isinstance(value, str) and value.lstrip().startswith("[{"):
        try:
            value = json.loads(value)
        except ValueError:
            return False
    if not isinstance(value, list) or not value:
        return False
    logged = {*_TIMES, "author", "public", "private", "attachments", "from_id", "uuid"}
    for item in value:
        if not isinstance(item, dict) or logged & item.keys():
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
    speaking = {*_PEOPLE, *_FLAGS, *_SPEAKER_KEYS, *_IDS, "from", "actor"}
    told = [bool(speaking & item.keys()) and any(key in item for key in _TEXTS) for item in items]
    return sum(told) > 0.5 * len(items)


def _messages(value: Any) -> list[dict[str, Any]]:
    """Objects of a list, without one around each that holds nothing else: `{"note": {…}}`."""
    items = [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
    inner = [next(iter(item.values())) if len(item) == 1 else item for item in items]
    return [one if isinstance(one, dict) else item for one, item in zip(inner, items, strict=True)]


def _is_jira(value: Any) -> bool:
    return isinstance(value, str) and bool(_JIRA_COMMENT.fullmatch(value))


def _opened(source: SourceTable, lists: Sequence[str]) -> RecognisedExport:
    """One row a message, of the outer objects' lists of messages."""
    rows: list[tuple[int, Row]] = []
    rejected: list[Reject] = list(source.rejected)
    chat = len(source.rows) == 1
    branches = 0
    for _, outer in source.rows:
        branches += int(outer.get("other branches") or 0)
        thread = next((str(outer[k]) for k in _THREAD_IDS if outer.get(k)), str(len(rows)))
        if not chat and all(map(_chatty, outer.get(lists[0]) or [None])):
            thread = f"{CHAT} {thread}"
        around = {k: v for k, v in outer.items() if not isinstance(v, list | dict)}
        items = [item for name in lists for item in _messages(outer.get(name))]
        items = _with_opener(outer, items)
        asker = {str(v) for k, v in outer.items() if _REQUESTERS.search(k) and v is not None}
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


def _chatty(item: Any) -> bool:
    """Whether a message stands in an endless chat, as in Telegram and Discord."""
    return isinstance(item, dict) and bool(
        {"date_unixtime", "from_id", "actor_id", "isPinned", "timestampEdited"} & item.keys()
    )


def _with_opener(outer: Row, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages, with the ticket's own text before them if none of them repeats it."""
    text = next((t for k in _OPENERS if (t := _plain_text(_under(outer, k)).strip())), "")
    subject = next((t for k in _SUBJECTS if (t := str(_under(outer, k) or "").strip())), "")
    joined = text if subject.casefold() in text.casefold() else f"{subject}\n\n{text}"
    if not text:
        return items
    for place, item in enumerate(items):
        if _same(text, _text(item)):
            return [*items[:place], {**item, _TEXTS[0]: joined}, *items[place + 1 :]]
    text = joined
    who = outer.get("source.author.type") or "user"
    time = next((held for k in _TIMES if (held := _under(outer, k))), None)
    return [{"text": text, "role": who, **({"created_at": time} if time else {})}, *items]


def _under(outer: Row, key: str) -> Any:
    """The value of a key, also where the object that holds it stands inside another."""
    if key in outer:
        return outer[key]
    return next((v for k, v in outer.items() if k.endswith(f".{key}")), None)


def _same(first: str, second: str) -> bool:
    def plain(text: str) -> str:
        return re.sub(r"<[^>]+>|\W+", "", text).lower()[:200]

    return plain(first) == plain(second)


def _row(
    item: Mapping[str, Any],
    around: Row,
    thread: str,
    asker: set[str],
) -> Row:
    kept = {k: v for k, v in _scalars(item) if k not in ("thread", "role", "text", "time")}
    time = next((item[key] for key in _TIMES if item.get(key) not in (None, "")), None)
    row: Row = {**around, **kept, "thread": thread, "role": _speaker(item, asker)}
    row |= {"text": _text(item), "time": time}
    skipped = _of_the_program(item)
    return {**row, _SKIPPED: skipped} if skipped else row


def _scalars(item: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in item.items():
        if isinstance(value, dict):
            yield from _scalars(value, f"{before}{key}.")
        elif not isinstance(value, list):
            yield f"{before}{key}", value


def _text(item: Mapping[str, Any]) -> str:
    return next((text for k in _TEXTS if (text := _plain_text(item.get(k)).strip())), "")


def _plain_text(value: Any) -> str:
    """The text of a string, of parts, or of a document of nodes."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(map(_plain_text, value))
    if not isinstance(value, dict):
        return ""
    if isinstance(value.get("parts"), list):
        return "\n".join(part for part in value["parts"] if isinstance(part, str))
    if isinstance(value.get("text"), str):
        return str(value["text"]) if value.get("type") != "thinking" else ""
    inner = _plain_text(value.get("content"))
    return inner + "\n" if value.get("type") in ("paragraph", "heading", "listItem") else inner


def _speaker(item: Mapping[str, Any], asker: set[str]) -> str:
    """A role where the message tells it, else the name of who wrote it."""
    for key in _FLAGS:
        if isinstance(item.get(key), bool):
            return role_of(item[key], column=key) or ""
    if item.get("message_type") in (0, 1) and "sender" in item:
        # In Chatwoot 0 comes in and 1 goes out, and the sender's type "user" is one of the staff.
        return "assistant" if item["message_type"] else "user"
    created = item.get("createdBy")
    if isinstance(created, dict) and created.get("type") in ("user", "customer", "system_user"):
        # In Help Scout a "user" is one of the staff.
        return "user" if created["type"] == "customer" else "assistant"
    for key in _IDS:
        if asker and item.get(key) is not None:
            return "user" if str(item[key]) in asker else "assistant"
    for key in _PEOPLE:
        if isinstance(item.get(key), dict):
            return _person(item[key], asker)
    told = [str(item[key]) for key in _SPEAKER_KEYS if isinstance(item.get(key), str)]
    known = [role for name in told if (role := role_of(name))]
    if known:
        return known[0]
    named = [item[k] for k in (*_PEOPLE, "author_name", "user_name", *_IDS) if item.get(k)]
    return told[0] if told else str(named[0]) if named else ""


def _person(person: Mapping[str, Any], asker: set[str]) -> str:
    for key in ("id", "accountId", "name", "displayName"):
        if asker and str(person.get(key)) in asker:
            return "user"
    for key in ("type", "role"):
        role = role_of(person.get(key) or "")
        if role:
            return role
    if asker:
        return "assistant"
    if person.get("isBot"):
        return "bot"
    names = ("nickname", "name", "displayName", "display_name", "email", "username", "id")
    return next((str(person[key]) for key in names if person.get(key)), str(person.get("type")))


def _of_the_program(item: Mapping[str, Any]) -> str:
    """Why a message was written by nobody, or ""."""
    subtype = item.get("subtype")
    if isinstance(subtype, str) and subtype and subtype not in _SPOKEN_SUBTYPES:
        return f"a message of the program: {subtype}"
    kind = item.get("type")
    inside = {"senders", "conversationsThreadId", "is_inbound"} & item.keys()
    if inside and str(kind).lower() == "comment":
        # HubSpot and Front call "comment" what staff write for each other.
        return f"an internal note: type = {kind!r}"
    if kind in ("service", "lineitem") or str(kind).startswith(("GuildMember", "Channel")):
        return f"a message of the program: {item.get('action') or kind}"[:80]
    return ""


def threaded(values: list[Any]) -> list[Any]:
    """Bare messages whose author is an object, as help desks' interfaces give them, by
    conversation; other rows as they are."""
    speaking = [v for v in values if isinstance(v, dict) and _is_message(v)]
    if not values or len(speaking) < len(values):
        return values
    threads: dict[str, list[Any]] = {}
    for item in values:
        key = next((str(item[k]) for k in _CONVERSATIONS if item.get(k) is not None), "1")
        threads.setdefault(key, []).append(item)
    return [{"conversation_id": key, MESSAGES: items} for key, items in threads.items()]


def _is_message(item: Mapping[str, Any]) -> bool:
    people = [key for key in _PEOPLE if isinstance(item.get(key), dict)]
    flagged = isinstance(item.get("is_inbound"), bool)
    told = bool(people) or isinstance(item.get("senders"), list) or flagged
    return told and any(isinstance(item.get(key), str | list) for key in _TEXTS)


def linear(value: Row) -> Row:
    """A ChatGPT conversation, whose messages form a tree, with the messages of the branch that
    was shown last."""
    nodes = value.get("mapping")
    if not isinstance(nodes, dict) or not nodes:
        return value
    if not all(isinstance(node, dict) and "parent" in node for node in nodes.values()):
        return value
    place = value.get("current_node")
    if place not in nodes:
        leaves = [key for key, node in nodes.items() if not node.get("children")]
        place = max(leaves or nodes, key=lambda key: _created(nodes[key]))
    path: list[dict[str, Any]] = []
    seen: set[str] = set()
    while isinstance(place, str) and place in nodes and place not in seen:
        seen.add(place)
        if (message := nodes[place].get("message")) and _shown(message):
            path.append(_flat_message(message))
        place = nodes[place].get("parent")
    left = [n for k, n in nodes.items() if k not in seen and (m := n.get("message")) and _shown(m)]
    rest = {key: held for key, held in value.items() if key != "mapping"}
    return {**rest, MESSAGES: path[::-1], "other branches": len(left)}


def _created(node: Mapping[str, Any]) -> float:
    message = node.get("message")
    created = message.get("create_time") if isinstance(message, dict) else None
    return float(created) if isinstance(created, int | float) else 0.0


def _shown(message: Any) -> bool:
    if not isinstance(message, dict):
        return False
    hidden = (message.get("metadata") or {}).get("is_visually_hidden_from_conversation")
    return not hidden and bool(_plain_text(message.get("content")).strip())


def _flat_message(message: Mapping[str, Any]) -> dict[str, Any]:
    author = message.get("author") or {}
    content = message.get("content") or {}
    kind = str(content.get("content_type") or "text")
    to = message.get("recipient") or "all"
    said = {"uuid": message.get("id"), "role": str(author.get("role"))}
    said |= {"text": _plain_text(content), "content_type": kind}
    if kind not in ("text", "multimodal_text") or to != "all":
        said["subtype"] = f"{kind} for {to}"
    return said


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
        reason = _of_the_program(row)
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


def _linked(source: SourceTable) -> RecognisedExport | None:
    """Messages that name the one they answer: the first of each chain names its thread."""
    links = [name for name in source.columns if _REPLY.fullmatch(name.replace(" ", "_"))]
    if not links:
        return None
    link = links[0]
    targets = {_id(row.get(link)) for _, row in source.rows} - {""}
    best = max(source.columns, key=lambda name: _hits(source, name, link, targets))
    if not targets or _hits(source, best, link, targets) < 0.3 * len(targets):
        return None
    parents = {_id(row.get(best)): _id(row.get(link)) for _, row in source.rows}
    rows = tuple(
        (n, {**row, "thread": _root(_id(row.get(best)), parents)}) for n, row in source.rows
    )
    note = f"conversations are found by following {link!r} to {best!r}"
    made = replace(
        source, columns=(*source.columns, "thread"), rows=rows, notes=(*source.notes, note)
    )
    return RecognisedExport(made, None)


def _id(value: Any) -> str:
    return "" if value is None else str(value).strip().removesuffix(".0")


def _hits(source: SourceTable, name: str, link: str, targets: set[str]) -> int:
    if name == link or "response" in name:
        return 0
    return len({_id(row.get(name)) for _, row in source.rows} & targets)


def _root(place: str, parents: Mapping[str, str]) -> str:
    seen = {place}
    while (above := parents.get(place, "")) and above not in seen:
        seen.add(above)
        place = above
    return place
