"""Say in llama.cpp's words what OpenAI's parameters ask for, and read its answers.

For: the engine. Not for: OpenAI's request bodies, see `helpers.backend.protocol.schemas`.

    Sampling(temperature=0, max_tokens=5).request(room=100)["top_k"]      # 1
"""

from __future__ import annotations

import builtins
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from helpers.base.errors import BackendError

COMPACT = {"whitespace_flexible": False}
"""Free white space between JSON's signs lets a small model write blanks until it is cut off."""
START = "start: "
"""How the first rule of a grammar begins."""
UNLIMITED = 1024
"""Tokens of an answer when no limit is asked for: a small model may never stop by itself."""


@dataclass(frozen=True)
class Sampling:
    """How to choose the next token; the defaults are OpenAI's."""

    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int | None = None
    """None: 1024. Never more than the context window has left."""
    stop: tuple[str, ...] = ()
    seed: int | None = None
    logprobs: int | None = None
    """None: off. 0 to 20: how many alternatives to report for each token."""
    json_schema: Mapping[str, Any] | None = None
    json_object: bool = False
    grammar: str | None = None
    """What the answer may be, in llguidance's words, in place of a schema."""
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: Mapping[int, float] | None = None

    def limit(self, room: int) -> int:
        """The most tokens that the answer may have when the context has `room` left."""
        return min(UNLIMITED if self.max_tokens is None else self.max_tokens, room)

    @property
    def schema(self) -> Mapping[str, Any] | None:
        """What an answer without calls must fit, compact; None if anything may be said."""
        schema = {"type": "object"} if self.json_object else self.json_schema
        return None if schema is None else {**schema, "x-guidance": COMPACT}

    def request(self, room: int, *, end: int | None = None) -> dict[str, Any]:
        """The same in llama.cpp's words. Its other samplers are switched off.

        `end` is the token that ends a message, which a grammar must let through.
        """
        asked: dict[str, Any] = {
            "temperature": self.temperature,
            "top_p": self.top_p,
            # At temperature 0 the likeliest token is taken: nothing else needs sorting.
            "top_k": 0 if self.temperature > 0 else 1,
            "min_p": 0.0,
            "repeat_penalty": 1.0,
            # How far back penalties look: as many tokens as the answer may have, so all of it.
            "repeat_last_n": self.limit(room),
            "presence_penalty": self.presence_penalty,
            "frequency_penalty": self.frequency_penalty,
            "stop": list(self.stop),
            "n_predict": self.limit(room),
            # llama.cpp takes 31 bits; -1 is a new seed each time.
            "seed": -1 if self.seed is None else self.seed % 2**31,
            "logit_bias": [[token, bias] for token, bias in (self.logit_bias or {}).items()],
        }
        if self.logprobs is not None:
            # llama.cpp reports nothing for 0, so one alternative is asked for and dropped.
            asked["n_probs"] = max(self.logprobs, 1)
        if self.grammar is not None:
            return asked | {"grammar": ending(self.grammar, end)}
        if self.schema is not None:
            asked["json_schema"] = self.schema
        return asked


def one_of(texts: Sequence[str]) -> str:
    """The grammar of an answer that is one of these texts, and nothing else."""
    # JSON's escapes are the grammar's too.
    return f"%llguidance {{}}\n{START}{' | '.join(map(json.dumps, texts))}"


def ending(grammar: str, end: int | None) -> str:
    """The grammar, with the end of a message where an answer may end.

    llama.cpp tells llguidance one token that ends an answer, and may take another than the chat
    template's: without this, a model that wants to stop is made to go on.
    """
    if end is None:
        return grammar
    rules = grammar.splitlines()
    place = next(i for i, rule in enumerate(rules) if rule.startswith(START))
    rules[place] = f"{START}({rules[place].removeprefix(START)}) <[{end}]>?"
    return "\n".join(rules)


@dataclass(frozen=True)
class TokenLogprob:
    """A token with its log-probability in nats, and the likeliest alternatives."""

    token: str
    logprob: float | None
    """None for a text's first token, before which nothing stands."""
    bytes: tuple[int, ...]
    top: tuple[TokenLogprob, ...] = ()

    @classmethod
    def of(
        cls, data: builtins.bytes, logprob: float | None, top: tuple[TokenLogprob, ...] = ()
    ) -> TokenLogprob:
        """A token by its bytes, which may be a part of a letter."""
        return cls(data.decode("utf-8", "replace"), logprob, tuple(data), top)


@dataclass(frozen=True)
class Delta:
    """A piece of an answer. The last one has `finish_reason` and the counts."""

    text: str
    logprobs: tuple[TokenLogprob, ...] = ()
    finish_reason: Literal["stop", "length"] | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0


def delta(chunk: Mapping[str, Any], alternatives: int | None) -> Delta:
    """One chunk of llama.cpp's stream. Raises `BackendError` if it reports a failure."""
    if error := chunk.get("error"):
        raise BackendError(str(error.get("message", error)))
    choice = chunk["choices"][0]
    usage = chunk.get("usage") or {}
    content = (choice.get("logprobs") or {}).get("content") or []
    return Delta(
        choice["text"],
        tuple(_logprob(item, alternatives) for item in content) if alternatives is not None else (),
        choice["finish_reason"],
        usage.get("prompt_tokens", 0),
        usage.get("completion_tokens", 0),
        (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0),
    )


def _logprob(item: Mapping[str, Any], alternatives: int) -> TokenLogprob:
    return TokenLogprob(
        item["token"],
        item["logprob"],
        tuple(item["bytes"]),
        tuple(_logprob(other, 0) for other in item.get("top_logprobs", [])[:alternatives]),
    )
