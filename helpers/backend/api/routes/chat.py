"""`/v1/chat/completions`: whole, streamed, or kept and listed."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any, Literal

from fastapi import APIRouter, Request

from helpers.backend.api.generation import as_measured, begin, collected, several
from helpers.backend.api.routes.common import ServiceOf, has_metadata, part_of, sse, within
from helpers.backend.protocol.response_format import (
    Choice,
    chat_answer,
    chat_head,
    chat_logprobs,
    chat_sampling,
    usage,
)
from helpers.backend.protocol.sampling import Delta, Sampling
from helpers.backend.protocol.schemas import ChatRequest, MetadataRequest, page
from helpers.backend.service import Service
from helpers.backend.storage.store import public

router = APIRouter()
MOST = 100
"""Stored answers on one page."""


@router.post("/v1/chat/completions")
def chat(body: ChatRequest, service: ServiceOf) -> Any:
    model = service.models.resolve(body.model)
    messages = [message.plain() for message in body.messages]
    how = as_measured(model, chat_sampling(body), temperature=body.temperature)
    head = chat_head(body)
    if body.stream:
        first = begin(service, model, messages, how, body.n or 1)
        return sse(_chat_chunks(head, first, how, body, service))
    with service.slot():
        choices = several(service, model, [messages], how, body.n or 1)
    answer = chat_answer(head, choices, how, body)
    _keep(answer, body, service)
    return answer


def _keep(answer: dict[str, Any], body: ChatRequest, service: Service) -> None:
    """Store an answer, with its metadata and its messages, if that was asked for."""
    if not body.store:
        return
    messages = [
        {"id": f"{answer['id']}-{place}"} | message.stored()
        for place, message in enumerate(body.messages)
    ]
    kept = answer | {"metadata": body.metadata or {}, "_input": messages}
    service.answers.keep("chat", answer["id"], kept)


@router.get("/v1/chat/completions")
def stored(
    request: Request,
    service: ServiceOf,
    model: str | None = None,
    after: str | None = None,
    limit: int = 20,
    order: Literal["asc", "desc"] = "asc",
) -> Any:
    """Answers that were asked for with `store`."""
    fits = has_metadata(request)
    found, more = service.store.list(
        "chat",
        after=after,
        limit=within(limit, MOST),
        newest_first=order == "desc",
        keep=lambda answer: model in (None, answer["model"]) and fits(answer),
    )
    return page([public(answer) for answer in found], more, ends=True)


@router.get("/v1/chat/completions/{key}")
def retrieve(key: str, service: ServiceOf) -> Any:
    return public(service.answers.get("chat", key))


@router.post("/v1/chat/completions/{key}")
def change(key: str, body: MetadataRequest, service: ServiceOf) -> Any:
    return public(service.answers.change_metadata("chat", key, body.metadata))


@router.delete("/v1/chat/completions/{key}")
def delete(key: str, service: ServiceOf) -> Any:
    service.answers.delete("chat", key)
    return {"id": key, "object": "chat.completion.deleted", "deleted": True}


@router.get("/v1/chat/completions/{key}/messages")
def messages(
    key: str,
    service: ServiceOf,
    after: str | None = None,
    limit: int = 20,
    order: Literal["asc", "desc"] = "asc",
) -> Any:
    """The messages that the stored answer was made from."""
    return part_of(service.answers.get("chat", key)["_input"], after, within(limit, MOST), order)


def _chat_chunks(
    head: dict[str, Any],
    deltas: Iterator[tuple[int, Delta]],
    how: Sampling,
    body: ChatRequest,
    service: Service,
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
    said: list[Delta] = []
    for index, delta in deltas:
        said.append(delta)
        # A token may be a part of a letter: it has a probability, and no text yet.
        if delta.text or delta.logprobs:
            yield chunk(index, {"content": delta.text}, None, chat_logprobs(delta.logprobs, how))
        if delta.finish_reason:
            ends.append(collected(said))
            said = []
            yield chunk(index, {}, delta.finish_reason, None)
    _keep(chat_answer(head, ends, how, body), body, service)
    if counts:
        yield frame | {"choices": [], "usage": usage(ends, body.n or 1)}
