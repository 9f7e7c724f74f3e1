"""A tokenizer as the course asks it: chats as tokens, the marks that only the format may set.

For: the ids that training and inference must agree on, for a model that speaks ChatML. Not for:
which tokenizer a model has, see `tokens.local_tokenizer`; nor other families' chat formats, see
`template_tokenizer`.

    tokenizer = LocalTokenizer(core)
    tokenizer.encode_chat([{"role": "user", "content": "Hi"}])
    tokenizer.decode([19556, 28])
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from helpers.base.chat_format import END, START, Message, Turn, chat_text, turns
from helpers.base.tool_format import Tool

if TYPE_CHECKING:
    from tokenizers import Tokenizer

TEXT_END = "<|endoftext|>"


class TokenTurn(NamedTuple):
    """One message of a training example as tokens: `ids[text_at:end_at]` is what it says."""

    turn: Turn
    ids: list[int]
    text_at: int
    end_at: int
    """Place of the mark that ends the message."""


def _byte_letters() -> dict[str, int]:
    """Byte-level BPE writes each byte as one visible letter: those that are none, above 255."""
    # As in GPT-2: "Ġ" (256 + 32) is the space, since a vocabulary is text and a space would not
    # show.
    plain = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAC + 1), *range(0xAE, 0xFF + 1)]
    others = [byte for byte in range(256) if byte not in plain]
    return {chr(b): b for b in plain} | {chr(256 + n): b for n, b in enumerate(others)}


_BYTE_OF = _byte_letters()


@dataclass(frozen=True)
class LocalTokenizer:
    """The base model's tokenizer and its chat template (ChatML)."""

    core: Tokenizer

    def __post_init__(self) -> None:
        # Words of a text that read like a mark stay words; `encode` alone makes marks of them.
        self.core.encode_special_tokens = True

    @functools.cached_property
    def special_tokens(self) -> Mapping[str, int]:
        """The ids of the marks that only the chat format may set."""
        return {str(token.content): i for i, token in self.core.get_added_tokens_decoder().items()}

    @functools.cached_property
    def from_bytes(self) -> bool:
        """Whether each token is made of bytes, and not of letters with bytes where these lack."""
        return not json.loads(self.core.to_str())["model"].get("byte_fallback")

    @functools.cached_property
    def vocabulary_id(self) -> str:
        """The same for tokenizers that make the same tokens."""
        return hashlib.sha256(self.core.to_str().encode()).hexdigest()

    @functools.cached_property
    def _marks(self) -> re.Pattern[str]:
        # In a choice the first that fits wins: a mark that begins another must come after it.
        longest_first = sorted(self.special_tokens, key=len, reverse=True)
        return re.compile("(" + "|".join(map(re.escape, longest_first)) + ")")

    @property
    def end_id(self) -> int:
        """Id of the token that ends a message, `<|im_end|>`."""
        return self.special_tokens[END]

    @property
    def end_ids(self) -> tuple[int, ...]:
        """Ids after which a model has said all: of a message, and of a text."""
        text_end = self.special_tokens.get(TEXT_END)
        return (self.end_id,) if text_end is None else (self.end_id, text_end)

    def encode(self, text: str) -> list[int]:
        """Token ids of `text`; special tokens written in it become their own ids."""
        ids: list[int] = []
        for place, piece in enumerate(self._marks.split(text)):
            # With a group in the pattern, `split` gives texts and marks in turn: each second is a
            # mark.
            ids += [self.special_tokens[piece]] if place % 2 else self.encode_text(piece)
        return ids

    def encode_text(self, text: str) -> list[int]:
        """Token ids of what someone said: special tokens written in it are plain letters."""
        return list(self.core.encode(text, add_special_tokens=False).ids) if text else []

    def decode(self, ids: Sequence[int], *, special: bool = True) -> str:
        """The text of the ids, with or without special tokens."""
        return str(self.core.decode(list(ids), skip_special_tokens=not special))

    @functools.cached_property
    def longest(self) -> int:
        """Letters of the longest token: a text has at least its length divided by this."""
        return max(map(len, self.core.get_vocab()))

    def bytes_of(self, token: int) -> bytes:
        """The bytes that a token stands for, which may be a part of a letter."""
        text = str(self.core.id_to_token(token))
        if text in self.special_tokens:
            return text.encode()
        return bytes(_BYTE_OF[letter] for letter in text)

    def count(self, text: str) -> int:
        """Number of tokens of what someone said."""
        return len(self.encode_text(text))

    def chat(
        self,
        messages: Sequence[Message],
        tools: Sequence[Tool] = (),
        *,
        add_generation_prompt: bool = True,
    ) -> str:
        """The one text that a model sees for these messages and tools."""
        return chat_text(messages, tools, add_generation_prompt=add_generation_prompt)

    def encode_chat(
        self,
        messages: Sequence[Message],
        tools: Sequence[Tool] = (),
        *,
        add_generation_prompt: bool = True,
    ) -> list[int]:
        """Token ids of `chat(messages, tools)`; no message can open another turn from inside."""
        start, ids = self.special_tokens[START], []
        for turn in turns(messages, tools):
            ids += [start, *self.encode_text(turn.head + turn.text)]
            ids += [self.end_id, *self.encode_text(turn.tail)]
        opening = [start, *self.encode_text("assistant\n")] if add_generation_prompt else []
        return ids + opening

    def training_turns(
        self, messages: Sequence[Message], tools: Sequence[Tool] = ()
    ) -> list[TokenTurn]:
        """A chat as it is trained on: its tokens are those of a prompt and a real answer."""
        framed = turns(messages, tools)
        made = []
        for place, turn in enumerate(framed):
            head = self.encode_text(turn.head)
            if turn.role == "assistant":
                # Cut where generation begins: an answer's first token never joins the prompt's.
                said = head + self.encode_text(turn.text)
            else:
                said = self.encode_text(turn.head + turn.text)
            # The line break after the last message teaches nothing and costs a token.
            tail = self.encode_text(turn.tail) if place < len(framed) - 1 else []
            ids = [self.special_tokens[START], *said, self.end_id, *tail]
            made.append(TokenTurn(turn, ids, 1 + len(head), 1 + len(said)))
        return made
