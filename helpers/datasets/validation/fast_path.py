"""Recognise blocks of sound chat examples in one call, so that only others cost time.

For: speed. A block either consists of nothing but the plainest sound examples, or is left
to the careful checks line by line, which then say what is wrong. Not for: finding
problems, see `schema`.

    chats = plain_chats(block)      # None: look closely
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec


class System(msgspec.Struct, tag_field="role", tag="system", forbid_unknown_fields=True, gc=False):
    """A system message."""

    content: str


class User(msgspec.Struct, tag_field="role", tag="user", forbid_unknown_fields=True, gc=False):
    """A user message."""

    content: str


class Assistant(
    msgspec.Struct, tag_field="role", tag="assistant", forbid_unknown_fields=True, gc=False
):
    """An assistant message."""

    content: str


Message = System | User | Assistant


class Chat(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """An example that holds messages of role and text, and nothing else."""

    messages: list[Message]


def as_example(chat: Chat) -> dict[str, Any]:
    """The example as JSON gives it."""
    roles = {System: "system", User: "user", Assistant: "assistant"}
    messages = [{"role": roles[type(m)], "content": m.content} for m in chat.messages]
    return {"messages": messages}


# "\u003c" is "<" and "\u005b" is "[" to whoever reads the JSON.
_OTHER_MARKS = re.compile(rb"\[/?INST\]|\\u003[cC]|\\u005[bB]")
"""Marks without an angle bracket, and brackets that JSON spells by their number."""
_DECODER = msgspec.json.Decoder(Chat)


def plain_chats(data: bytes) -> list[Chat] | None:
    """The examples of a block of lines if all are plain and sound, else None."""
    lines = data.count(b"\n")
    # With as many objects as lines, and a line break only between objects, each line
    # holds one object.
    if not data.startswith(b"{") or not data.endswith(b"}\n"):
        return None
    # A half surrogate would pass here and cannot be written again.
    if data.count(b"}\n{") != lines - 1 or b"\\ud" in data or b"\\uD" in data:
        return None
    # What may be a mark of a chat format is looked at closely.
    if b"<" in data or _OTHER_MARKS.search(data):
        return None
    try:
        chats = _DECODER.decode_lines(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if len(chats) != lines or not all(_is_sound(chat.messages) for chat in chats):
        return None
    messages = sum(len(chat.messages) for chat in chats)
    # A key that stands twice in an object would be counted once more.
    counts = data.count(b'"messages"'), data.count(b'"role"'), data.count(b'"content"')
    return chats if counts == (lines, messages, messages) else None


def _is_sound(messages: Sequence[Message]) -> bool:
    """Perhaps a system message, then a user's, at last an assistant's; no empty text."""
    first = 1 if messages and type(messages[0]) is System else 0
    if len(messages) < first + 2 or type(messages[first]) is not User:
        return False
    if type(messages[-1]) is not Assistant:
        return False
    for place, message in enumerate(messages):
        if not message.content or message.content.isspace():
            return False
        if place >= first and type(message) is System:
            return False
    return True
