"""The texts of an example, and their length in tokens.

For: what the validator, the statistics and the price all measure in the same way. Not
for: the tokenizers, see `helpers.base.tokens`.

    texts("chat", {"messages": [{"role": "user", "content": "Hi"}]})      # ["Hi"]
    TokenCounter(tokenizer.count).count("chat", example)                   # 6
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from gigatoken import Tokenizer

from helpers.base import settings
from helpers.base.tokens import CACHE_NAMES, openai_tokenizer
from helpers.datasets.example import Kind, texts

MESSAGE_TOKENS = 4
"""What a chat format adds around each message (start, role, separator, end)."""
REPLY_TOKENS = 3
"""What it adds once, before the answer."""
CACHED = 512
"""Texts whose length is remembered: system prompts and short answers come again."""


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


RENEWED = 2**26
"""Letters after which the remembered words are dropped: bounds the memory."""


_SCHEMES = {"o200k_base": "o200k", "cl100k_base": "cl100k"}


class OpenAICounter:
    """Counts like `len(encoding.encode_ordinary(text))`."""

    def __init__(self, name: str = "o200k_base") -> None:
        openai_tokenizer(name)  # puts the vocabulary into the cache folder
        self._path = settings.load().state / "cache" / "tiktoken" / CACHE_NAMES[name]
        self._scheme = _SCHEMES[name]
        self._renew()

    def __call__(self, text: str) -> int:
        """Number of tokens."""
        self._seen += len(text)
        if self._seen > RENEWED:
            self._renew()
        return len(self._tokenizer.encode(text))

    def _renew(self) -> None:
        self._seen = 0
        self._tokenizer = _tokenizer(self._path, self._scheme)


def _tokenizer(path: Path, scheme: str) -> Tokenizer:
    """Without special tokens: in a text they are text, and count as such."""
    return Tokenizer.from_tiktoken(path, scheme, {})
