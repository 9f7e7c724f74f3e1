"""Ask the engine for one answer or several, whole or streamed.

For: the routes that answer. Not for: the form of the answer, see
`helpers.backend.protocol.response_format`.

    whole(service, model, prompt, Sampling())       # a Choice
"""

from __future__ import annotations

import contextvars
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from helpers.backend.inference.engine import Prompt
from helpers.backend.inference.models import ServedModel
from helpers.backend.protocol.parameters import unsupported
from helpers.backend.protocol.response_format import Choice
from helpers.backend.protocol.sampling import Delta, Sampling, TokenLogprob, one_of
from helpers.backend.protocol.tool_answers import AnswerReader
from helpers.backend.protocol.tools import ToolUse
from helpers.backend.service import Service
from helpers.base.chat_format import ChatPrompt
from helpers.base.tool_format import Event, TextPiece


def whole(service: Service, model: ServedModel, prompt: Prompt, how: Sampling) -> Choice:
    """Collect a stream into one answer."""
    return collected(list(_counted(service, model, prompt, how)))


def _counted(
    service: Service, model: ServedModel, prompt: Prompt, how: Sampling
) -> Iterator[Delta]:
    """The engine's stream; what it took is counted for whoever asked, also when they leave."""
    used = 0
    try:
        for delta in service.engine.generate(model, prompt, how):
            # The last piece brings the counts; until then, for who leaves early, each piece is one
            # token.
            used = (delta.prompt_tokens + delta.completion_tokens) or used + 1
            yield delta
    finally:
        service.meter.count(used)


def collected(deltas: Sequence[Delta]) -> Choice:
    """The answer whose pieces these are; the last has the counts."""
    last = deltas[-1]
    return Choice(
        "".join(delta.text for delta in deltas),
        tuple(itertools.chain.from_iterable(delta.logprobs for delta in deltas)),
        last.finish_reason or "stop",
        last.prompt_tokens,
        last.completion_tokens,
        last.cached_tokens,
    )


def as_measured(model: ServedModel, how: Sampling, *, temperature: float | None) -> Sampling:
    """A served method's own limit and form, and its likeliest words, unless the client asks."""
    method = model.method
    if method is None:
        return how
    limit = method.max_tokens if how.max_tokens is None else how.max_tokens
    how = replace(how, max_tokens=limit, temperature=temperature or 0.0)
    free = how.schema is None and how.grammar is None
    return replace(how, grammar=one_of(method.choices)) if method.choices and free else how


def chat_prompt(
    model: ServedModel, messages: Sequence[Mapping[str, Any]], use: ToolUse | None
) -> Prompt:
    """The chat with its tools. Raises `ApiError` for a model that is part of a method."""
    if use is None:
        return messages
    if model.method:
        raise unsupported("tools", "This model looks up notes or examples before it answers")
    return ChatPrompt(messages, use.tools)


def read_stream(
    deltas: Iterable[Delta], reader: AnswerReader, said: list[Delta]
) -> Iterator[tuple[Event, list[TokenLogprob]]]:
    """Text and calls as they are made, with the tokens of the text; `said` gets the deltas."""
    waiting: list[TokenLogprob] = []
    for delta in deltas:
        said.append(delta)
        waiting += delta.logprobs
        events = reader.feed(delta.text) + (reader.close() if delta.finish_reason else [])
        for event in events:
            is_text = isinstance(event, TextPiece)
            # A token may be a part of a letter: it has a probability, and no text yet.
            if event != TextPiece("") or waiting:
                yield event, waiting if is_text else []
            waiting = []


def several(
    service: Service, model: ServedModel, prompts: Sequence[Prompt], how: Sampling, n: int
) -> list[Choice]:
    """n answers to each prompt, at the same time; each with a seed of its own."""
    asked = [
        (prompt, replace(how, seed=None if how.seed is None else how.seed + i))
        for prompt in prompts
        for i in range(n)
    ]
    if len(asked) == 1:
        return [whole(service, model, *asked[0])]
    with ThreadPoolExecutor(min(8, len(asked))) as pool:
        # Each thread gets the context of the request, in which it stands whether its client left.
        def one(pair: tuple[Prompt, Sampling]) -> Choice:
            return whole(service, model, *pair)

        running = [pool.submit(contextvars.copy_context().run, one, pair) for pair in asked]
        return [one.result() for one in running]


def begin(
    service: Service, model: ServedModel, prompt: Prompt, how: Sampling, n: int = 1
) -> Iterator[tuple[int, Delta]]:
    """Start a stream: errors are raised here, while an error status can still be sent."""

    def numbered() -> Iterator[tuple[int, Delta]]:
        with service.slot():
            for index in range(n):
                # n answers of one seed would be one answer n times.
                seed = None if how.seed is None else how.seed + index
                for delta in _counted(service, model, prompt, replace(how, seed=seed)):
                    yield index, delta

    stream = numbered()
    first = next(stream)
    # When the client leaves, this is dropped; the generator is closed with it, which frees the
    # slot.
    return itertools.chain([first], stream)
