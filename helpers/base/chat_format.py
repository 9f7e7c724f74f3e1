"""One chat as the one text that a model reads: who speaks, what is said, and the marks between.

For: everything that counts, trains on or answers a chat, so that all see the same text. The
form is ChatML, as SmolLM2's chat template writes it. Not for: tokens, see
`helpers.base.tokens`, nor for how tools are written, see `helpers.base.tool_format`.

    text_of({"role": "user", "content": [{"type": "text", "text": "Hi"}]})      # "Hi"
    chat_text([{"role": "user", "content": "Hi"}])      # "<|im_start|>system\\nYou are …"
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from helpers.base.tool_format import Tool, calls_of, calls_text, in_order, result_text, tools_text

DEFAULT_SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
"""What SmolLM2's chat template puts in front when a conversation has no system message."""
START, END = "<|im_start|>", "<|im_end|>"
SYSTEM_ROLES = ("system", "developer")
"""OpenAI's newer models say developer; this one knows system alone."""

Message = Mapping[str, Any]


class Turn(NamedTuple):
    """One message between its marks: `START + head + text + END + tail`.

    What several tools answered at once is one turn, of the first of these messages.
    """

    message: Message
    role: str
    head: str
    """The role and a line break."""
    text: str
    """What the message says. Whatever stands in it is text: it can open no other turn."""
    tail: str
    """The line break before the next message."""


def text_of(message: Message) -> str:
    """What a message says: its text or text parts, its refusal, and its calls.

    Pictures and sounds have no text; `helpers.datasets.validation` reports them.
    """
    content = message.get("content")
    if not isinstance(content, str):
        content = "".join(map(_part_text, content if isinstance(content, list) else ()))
    parts = [content, message.get("refusal"), calls_text(calls_of(message))]
    return "\n".join(part for part in parts if isinstance(part, str) and part)


def _part_text(part: Any) -> str:
    said = (part.get("text") or part.get("refusal")) if isinstance(part, Mapping) else None
    return said if isinstance(said, str) else ""


def role_of(message: Message) -> str:
    """A message's role in the words of the chat template."""
    role = message.get("role", "")
    return "system" if role in SYSTEM_ROLES else str(role)


def turns(messages: Sequence[Message], tools: Sequence[Tool] = ()) -> list[Turn]:
    """The turns of a chat; without a system message it begins with the template's own.

    Tools are listed at the end of the system message; what they answered is one turn of the
    user, in the order of the calls.
    """
    given = list(messages)
    if given and role_of(given[0]) != "system":
        given.insert(0, {"role": "system", "content": DEFAULT_SYSTEM})
    made: list[Turn] = []
    calls: Any = None
    # Results that stand in a row are one turn of the user, as the template writes them.
    for answers, group in itertools.groupby(given, is_result):
        listed = list(group)
        if answers:
            texts = [result_text(text_of(message)) for message in in_order(listed, calls)]
            made.append(Turn(listed[0], "user", "user\n", "\n".join(texts), "\n"))
        else:
            made += [Turn(m, role_of(m), f"{role_of(m)}\n", text_of(m), "\n") for m in listed]
            calls = listed[-1].get("tool_calls")
    if tools and made:
        made[0] = made[0]._replace(text=made[0].text + tools_text(tools))
    return made


def is_result(message: Message) -> bool:
    """Whether a message is what a tool answered."""
    return message.get("role") in ("tool", "function")


def chat_text(
    messages: Sequence[Message], tools: Sequence[Tool] = (), *, add_generation_prompt: bool = True
) -> str:
    """The whole text, with the beginning of an answer if asked for."""
    text = "".join(f"{START}{t.head}{t.text}{END}{t.tail}" for t in turns(messages, tools))
    return text + (f"{START}assistant\n" if add_generation_prompt else "")


@dataclass(frozen=True)
class ChatPrompt:
    """The messages of a chat, and the tools that its last answer may call."""

    messages: Sequence[Message]
    tools: Sequence[Tool] = ()
