"""`/v1/chat/completions`: whole, streamed, or kept and listed."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any, Literal

from fastapi import APIRouter, Request

from helpers.backend.api.answering import as_choice, begin, several
from helpers.backend.api.routes.common import ServiceOf, has_metadata, sse, within
from helpers.backend.protocol.response_format import (
    Choice,
    chat_answer,
    chat_head,
    chat_logprobs,
    chat_sampling,
    usage,
)
from helpers.backend.protocol.sampling import Delta, Sampling
from helpers.backend.protocol.schemas import ChatRequest, page

router = APIRouter()
MOST = 100
"""Stored answers on one page."""


@router.post("/v1/chat/completions")
def chat(body: ChatRequest, service: ServiceOf) -> Any:
    model = service.models.resolve(body.model)
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
        service.answers.keep("chat", answer["id"], answer | {"metadata": body.metadata or {}})
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
