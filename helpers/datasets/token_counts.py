"""The length of examples in tokens, message by message.

For: what the validator, the statistics and the price all measure in the same way. Not
for: the tokenizers, see `helpers.base.tokens`.

    counter = TokenCounter(OpenAICounter())
    counter.count("chat", {"messages": [{"role": "user", "content": "Hi"}]})      # 8
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gigatoken import Tokenizer

from helpers.base import settings
from helpers.base.chat_format import Message, role_of, text_of
from helpers.base.local_tokenizer import LocalTokenizer, TokenTurn
from helpers.base.tokens import CACHE_NAMES, openai_tokenizer
from helpers.base.tool_format import Tool, as_json
from helpers.datasets.example import Kind, chats_of, tools_of

MESSAGE_TOKENS = 4
"""What a chat format adds around each message (start, role, separator, end)."""
REPLY_TOKENS = 3
"""What it adds once, before the answer."""
CACHED = 512
"""Texts whose length is remembered: system prompts and short answers come again."""


class Part(NamedTuple):
    """One message of an example, or one side of a prompt and its completion."""

    role: str
    text: str
    tokens: int
    """With what the chat format puts around it."""
    lead: int
    """Tokens before the first of the text."""
    learnt: bool


class TokenCounter:
    """Counts the tokens of examples; texts that come again are counted once.

    Made with `local_tokenizer().count` it counts what this course's trainer builds, to the
    token; with any other function, what OpenAI's chat format adds is estimated.
    """

    def __init__(self, count: Callable[[str], int]) -> None:
        self._count = count
        self._known: dict[str, int] = {}
        # The bound method tells whose it is: with our own tokenizer, lengths are exact.
        owner = getattr(count, "__self__", None)
        self._local = owner if isinstance(owner, LocalTokenizer) else None

    def count(self, kind: Kind, example: dict[str, Any]) -> int:
        """Tokens of a sound example; of a preference pair, those of both sides."""
        return sum(part.tokens for parts in self.sequences(kind, example) for part in parts)

    def sequences(self, kind: Kind, example: dict[str, Any]) -> list[list[Part]]:
        """What is read as one: the messages of a chat; of a pair, each side with the prompt."""
        if kind == "completion":
            return [[self._side(key, example.get(key)) for key in ("prompt", "completion")]]
        tools = tools_of(kind, example)
        return [self._chat(messages, tools) for messages in chats_of(kind, example)]

    def _side(self, role: str, value: object) -> Part:
        text = value if isinstance(value, str) else ""
        # The mark that ends a completion here.
        end = 1 if self._local and role == "completion" else 0
        return Part(role, text, self.length(text) + end, 0, role == "completion")

    def _chat(self, messages: Sequence[Message], tools: Sequence[Tool]) -> list[Part]:
        if self._local:
            return [token_part(turn) for turn in self._local.training_turns(messages, tools)]
        parts = []
        if tools:
            # OpenAI writes them in a form of its own, which it does not publish.
            text = "\n".join(map(as_json, tools))
            parts.append(Part("tools", text, self.length(text), 0, learnt=False))
        for place, message in enumerate(messages):
            text = text_of(message)
            # The fourth token of a message stands behind its text.
            lead = MESSAGE_TOKENS - 1 + (REPLY_TOKENS if place == len(messages) - 1 else 0)
            tokens = lead + self.length(text) + 1
            parts.append(Part(role_of(message), text, tokens, lead, is_learnt(message)))
        return parts

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


def token_part(turn: TokenTurn) -> Part:
    """The measures of one message as the trainer builds it."""
    message = turn.turn.message
    return Part(turn.turn.role, turn.turn.text, len(turn.ids), turn.text_at, is_learnt(message))


def is_learnt(message: Message) -> bool:
    """Whether a message is an answer to learn; a weight of 0 makes it context."""
    return bool(message.get("role") == "assistant" and message.get("weight", 1) != 0)


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
