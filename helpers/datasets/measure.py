"""The texts of an example, and their length in tokens.

For: what the validator, the statistics and the price all measure in the same way. Not
for: the tokenizers, see `helpers.tokens`.

    texts("chat", {"messages": [{"role": "user", "content": "Hi"}]})      # ["Hi"]
    TokenCounter(tokenizer.count).count("chat", example)                   # 6
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from helpers.datasets.checks import Kind

MESSAGE_TOKENS = 4
"""What a chat format adds around each message (start, role, separator, end)."""
REPLY_TOKENS = 3
"""What it adds once, before the answer."""
CACHED = 512
"""Texts whose length is remembered: system prompts and short answers come again."""


def messages_of(kind: Kind, example: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All messages of a chat or preference example; what is malformed is left out."""
    if kind == "chat":
        lists = [example.get("messages")]
    else:
        given = example.get("input")
        lists = [given.get("messages") if isinstance(given, dict) else None]
        lists += [example.get("preferred_output"), example.get("non_preferred_output")]
    for messages in lists:
        if isinstance(messages, list):
            yield from (message for message in messages if isinstance(message, dict))


def texts(kind: Kind, example: dict[str, Any]) -> list[str]:
    """Every text of an example, in order."""
    if kind == "completion":
        sides = (example.get("prompt"), example.get("completion"))
        return [side for side in sides if isinstance(side, str)]
    return [text_of(message) for message in messages_of(kind, example)]


def text_of(message: dict[str, Any]) -> str:
    """A message's content as text: parts joined, calls written out as JSON."""
    content = message.get("content")
    if type(content) is not str:
        parts = content if isinstance(content, list) else []
        found = [part.get("text") for part in parts if isinstance(part, dict)]
        content = "".join(text for text in found if isinstance(text, str))
    calls = message.get("tool_calls") or message.get("function_call")
    return content + json.dumps(calls) if calls else content


class TokenCounter:
    """Counts the tokens of examples; texts that come again are counted once."""

    def __init__(self, count: Callable[[str], int]) -> None:
        self._count = count
        self._known: dict[str, int] = {}

    def count(self, kind: Kind, example: dict[str, Any]) -> int:
        """Tokens of an example, with what the chat format adds."""
        found = texts(kind, example)
        return sum(map(self.length, found)) if kind == "completion" else self.chat(found)

    def chat(self, contents: list[str]) -> int:
        """Tokens of a chat example by the texts of its messages."""
        added = MESSAGE_TOKENS * len(contents) + REPLY_TOKENS
        return added + sum(map(self.length, contents))

    def length(self, text: str) -> int:
        """Tokens of one text."""
        known = self._known.get(text)
        if known is None:
            known = self._count(text)
            if len(self._known) >= CACHED:
                # Oldest out: what comes again and again is soon back.
                del self._known[next(iter(self._known))]
            self._known[text] = known
        return known
