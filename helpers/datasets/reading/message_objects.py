"""What one message in the JSON of a help desk or a chat says, who wrote it and when.

For: the objects that exports hold in lists, whatever their keys are called. Not for: the lists
themselves, see `exports`.

    text_of({"body": "Hello", "author": {"type": "user"}})             # "Hello"
    speaker_of({"body": "Hello", "author": {"type": "user"}}, set())   # "user"
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from helpers.datasets.reading.column_kinds import is_time
from helpers.datasets.reading.source import words
from helpers.datasets.reading.speakers import role_of

# In this order: plain forms before HTML, a preview last, since it is cut off.
TEXTS = words(
    "bodytext plainbody textbody plaintext strippedtext descriptiontext text content contents "
    "body message msg value htmlbody bodyhtml comment commentbody commenttext note notes "
    "renderedbody messageparts preview"
)
"""Keys without case and punctuation, as all of these lists hold them."""
PEOPLE = words(
    "author sender from createdby user creator updateauthor owner by commenter person poster "
    "sentby submitter u"
)
TIMES = words(
    "createdat created createtime date timestamp ts sentat time published dateunixtime "
    "createdtime postedat timestampms createat createddatetime createdon datecreated"
)
# Parts of names for the moment of writing; those for anything later are none.
_TIME_NAME = re.compile(r"creat|sent|post|date|time|stamp|arriv|received|when|\bts\b")
_LATER = re.compile(r"updat|modif|edit|read|delet|due|clos|resolv|zone")
FLAGS = words(
    "isinbound inbound incoming isincoming fromcustomer isagent fromagent outbound isrequester "
    "isstaff staff iscustomer isfromcustomer fromuser isadmin"
)
SPEAKER_KEYS = words(
    "role from sender authortype sendertype direction authorrole senderrole speaker usertype "
    "actortype creatortype persontype sendername authorname"
)
IDS = words("authorid userid senderid fromid posterid creatorid personid")
_NAMES = words("nickname name displayname email username login id")
_SPOKEN_SUBTYPES = frozenset(words("thread_broadcast bot_message file_share me_message"))
_OF_THE_HOUSE = frozenset(words("owner member collaborator"))
"""How GitHub calls those who may write to a project."""


@lru_cache(maxsize=10_000)
def plain_key(key: str) -> str:
    """A key without case and punctuation: "createdAt" and "created_at" are one."""
    return re.sub(r"[\W_]", "", key.lower())


def keyed(item: Mapping[str, Any]) -> dict[str, Any]:
    """An object by its plain keys."""
    return {plain_key(str(key)): value for key, value in item.items()}


def has_key(item: Mapping[str, Any], names: Iterable[str]) -> bool:
    """Whether an object has a key of these."""
    return not {plain_key(str(key)) for key in item}.isdisjoint(names)


def text_of(item: Mapping[str, Any]) -> str:
    """The text of a message, or "": the first key that holds one."""
    held = keyed(item)
    return next((text for k in TEXTS if (text := plain_text(held.get(k)).strip())), "")


def time_of(item: Mapping[str, Any]) -> Any:
    """When a message was written, as it stands there; None if nothing tells."""
    held = keyed(item)
    known = next((held[key] for key in TIMES if held.get(key) not in (None, "")), None)
    if known is not None:
        return known
    named = [k for k in held if _TIME_NAME.search(k) and not _LATER.search(k)]
    return next((held[k] for k in named if is_time(str(held[k]))), None)


def plain_text(value: Any) -> str:
    """The text of a string, of parts, or of a document of nodes."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(map(plain_text, value))
    if not isinstance(value, dict):
        return ""
    if isinstance(value.get("parts"), list):
        return "\n".join(part for part in value["parts"] if isinstance(part, str))
    if isinstance(value.get("text"), str):
        return str(value["text"]) if value.get("type") != "thinking" else ""
    inner = plain_text(value.get("content")) or plain_text(value.get("text") or value.get("body"))
    # Blocks of a document end lines; marks inside them do not.
    return inner + "\n" if value.get("type") in ("paragraph", "heading", "listItem") else inner


def speaker_of(item: Mapping[str, Any], asker: set[str]) -> str:
    """A role where the message tells it, else the name of who wrote it.

    `asker` holds what names the customer of the conversation: identifiers, or a name.
    """
    held = keyed(item)
    # From the surest to the least sure: a flag, the program's own words, ids, names of roles.
    if (flagged := _flagged(held)) is not None:
        return flagged
    if item.get("message_type") in (0, 1) and "sender" in item:
        # In Chatwoot 0 comes in and 1 goes out, and the sender's type "user" is one of the staff.
        return "assistant" if item["message_type"] else "user"
    created = item.get("createdBy")
    if isinstance(created, dict) and created.get("type") in ("user", "customer", "system_user"):
        # In Help Scout a "user" is one of the staff.
        return "user" if created["type"] == "customer" else "assistant"
    for key in IDS:
        if asker and held.get(key) is not None:
            return "user" if str(held[key]) in asker else "assistant"
    told = [str(held[key]) for key in SPEAKER_KEYS if isinstance(held.get(key), str)]
    known = [role for name in told if (role := role_of(name))]
    people = [key for key in PEOPLE if isinstance(held.get(key), dict)]
    if people:
        person = _person(held[people[0]], asker)
        return person if role_of(person) or not known else known[0]
    if known:
        return known[0]
    named = [held[k] for k in (*PEOPLE, "username", *IDS) if held.get(k)]
    return told[0] if told else str(named[0]) if named else ""


def _flagged(held: Mapping[str, Any]) -> str | None:
    """The role that a yes or no tells, such as "is_inbound"."""
    for key in FLAGS:
        told = held.get(key)
        # Most of the staff have no rights of an administrator: a no tells nothing.
        if isinstance(told, bool) and (told or key != "isadmin"):
            return role_of(told, column=key) or ""
    if str(held.get("authorassociation")).lower() in _OF_THE_HOUSE:
        return "assistant"
    return None


def _person(person: Mapping[str, Any], asker: set[str]) -> str:
    held = keyed(person)
    if asker & {str(held[key]) for key in ("accountid", *_NAMES) if held.get(key) is not None}:
        return "user"
    if (flagged := _flagged(held)) is not None:
        return flagged
    for key in ("type", "role", "t", "usertype"):
        role = role_of(held.get(key) or "")
        if role:
            return role
    # The customer is known, and it is somebody else.
    if asker:
        return "assistant"
    if held.get("isbot"):
        return "bot"
    return next((str(held[key]) for key in _NAMES if held.get(key)), str(held.get("type")))


def of_the_program(item: Mapping[str, Any]) -> str:
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
    written = [key for key in item if plain_key(key) in ("system", "issystem", "isautomated")]
    return next((f"a message of the program: {k} = True" for k in written if item[k] is True), "")
