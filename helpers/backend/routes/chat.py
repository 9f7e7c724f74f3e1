"""`/v1/chat/completions`: whole, streamed, or kept and listed."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Literal

from fastapi import APIRouter, Request

from helpers.backend.answers import (
    Choice,
    chat_answer,
    chat_head,
    chat_logprobs,
    chat_sampling,
    usage,
)
from helpers.backend.models import ServedModel
from helpers.backend.routes.common import ServiceOf, has_metadata, sse, within
from helpers.backend.schemas import ChatRequest, page
from helpers.backend.serve import Delta, Prompt, Sampling
from helpers.backend.service import Service

router = APIRouter()
MOST = 100
"""Stored answers on one page."""


def whole(service: Service, model: ServedModel, prompt: Prompt, how: Sampling) -> Choice:
    """Collect a stream into one answer."""
    deltas = list(service.engine.generate(model, prompt, how))
    last = deltas[-1]
    return Choice(
        "".join(delta.text for delta in deltas),
        tuple(itertools.chain.from_iterable(delta.logprobs for delta in deltas)),
        last.finish_reason or "stop",
        last.prompt_tokens,
        last.completion_tokens,
        last.cached_tokens,
    )


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
        return list(pool.map(lambda pair: whole(service, model, *pair), asked))


@router.post("/v1/chat/completions")
def chat(body: ChatRequest, service: ServiceOf) -> Any:
    model = service.resolve(body.model)
    messages = [message.plain() for message in body.messages]
    how = chat_sampling(body)
    head = chat_head(body)
    if body.stream:
        first = begin(service, model, messages, how, body.n or 1)
        return sse(_chat_chunks(head, first, how, body))
    with service.slot():
        choices = several(service, model, [messages], how, body.n or 1)
    answer = chat_answer(head, choices, how, body)
    if body.store:
        service.keep_answer("chat", answer["id"], answer | {"metadata": body.metadata or {}})
    return answer


@router.get("/v1/chat/completions")
def stored(
    request: Request,
    service: ServiceOf,
    model: str | None = None,
    after: str | None = None,
    limit: int = 20,
    order: Literal["asc", "desc"] = "asc",
) -> Any:
    """Answers that were asked for with `store`; streamed ones are not kept."""
    fits = has_metadata(request)
    found, more = service.store.list(
        "chat",
        after=after,
        limit=within(limit, MOST),
        newest_first=order == "desc",
        keep=lambda answer: model in (None, answer["model"]) and fits(answer),
    )
    return page(found, more, ends=True)


def begin(
    service: Service, model: ServedModel, prompt: Prompt, how: Sampling, n: int = 1
) -> Iterator[tuple[int, Delta]]:
    """Start a stream: errors are raised here, while an error status can still be sent."""

    def numbered() -> Iterator[tuple[int, Delta]]:
        with service.slot():
            for index in range(n):
                seed = None if how.seed is None else how.seed + index
                for delta in service.engine.generate(model, prompt, replace(how, seed=seed)):
                    yield index, delta

    stream = numbered()
    first = next(stream)
    return itertools.chain([first], stream)


def as_choice(delta: Delta) -> Choice:
    """The last delta of a stream, for its counts."""
    return Choice(
        "",
        (),
        delta.finish_reason or "stop",
        delta.prompt_tokens,
        delta.completion_tokens,
        delta.cached_tokens,
    )


def _chat_chunks(
    head: dict[str, Any],
    deltas: Iterator[tuple[int, Delta]],
    how: Sampling,
    body: ChatRequest,
) -> Generator[dict[str, Any]]:
    counts = bool(body.stream_options and body.stream_options.include_usage)
    frame = head | {"object": "chat.completion.chunk"} | ({"usage": None} if counts else {})

    def chunk(index: int, delta: dict[str, Any], finish: str | None, logprobs: Any) -> Any:
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        return frame | {"choices": [choice]}

    for index in range(body.n or 1):
        start = {"role": "assistant", "content": "", "refusal": None}
        yield chunk(index, start, None, None)
    ends: list[Choice] = []
    for index, delta in deltas:
        if delta.text:
            yield chunk(index, {"content": delta.text}, None, chat_logprobs(delta.logprobs, how))
        if delta.finish_reason:
            ends.append(as_choice(delta))
            yield chunk(index, {}, delta.finish_reason, None)
    if counts:
        yield frame | {"choices": [], "usage": usage(ends, body.n or 1)}
