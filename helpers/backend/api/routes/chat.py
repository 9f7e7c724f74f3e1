"""`/v1/chat/completions`: whole, streamed, or kept and listed."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterator
from typing import Any, Literal

from fastapi import APIRouter, Request

from helpers.backend.api.routes.common import ServiceOf, has_metadata, part_of, sse, within
from helpers.backend.api.routes.generation import (
    as_measured,
    begin,
    chat_prompt,
    collected,
    read_stream,
    several,
)
from helpers.backend.inference.engine import Prompt
from helpers.backend.inference.models import ServedModel
from helpers.backend.protocol.response_format import (
    Choice,
    chat_answer,
    chat_head,
    chat_logprobs,
    chat_sampling,
    read_choice,
    usage,
)
from helpers.backend.protocol.sampling import Delta, Sampling
from helpers.backend.protocol.schemas import ChatRequest, MetadataRequest, page
from helpers.backend.protocol.tool_answers import AnswerReader, check_results
from helpers.backend.service import Service
from helpers.backend.storage.store import public

router = APIRouter()
MOST = 100
"""Stored answers on one page."""


@router.post("/v1/chat/completions")
def chat(body: ChatRequest, service: ServiceOf) -> Any:
    model = service.models.resolve(body.model)
    prompt = _prompt(body, model)
    how = as_measured(model, chat_sampling(body), temperature=body.temperature)
    head = chat_head(body)
    if body.stream:
        first = begin(service, model, prompt, how, body.n or 1)
        return sse(_chat_chunks(head, first, how, body, service))
    with service.slot():
        made = several(service, model, [prompt], how, body.n or 1)
    choices = [read_choice(choice, body.tool_use) for choice in made]
    answer = chat_answer(head, choices, how, body)
    _keep(answer, body, service)
    return answer


def _prompt(body: ChatRequest, model: ServedModel) -> Prompt:
    messages = [message.plain() for message in body.messages]
    check_results(messages)
    return chat_prompt(model, messages, body.tool_use)


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
    # The answers come one after the other, so neighbours of one number are one answer.
    for index, answer in itertools.groupby(deltas, key=lambda numbered: numbered[0]):
        reader, said = AnswerReader(body.tool_use), list[Delta]()
        for event, tokens in read_stream((delta for _, delta in answer), reader, said):
            yield chunk(index, reader.chat_delta(event), None, chat_logprobs(tokens, how))
        ends.append(collected(said).read(reader))
        yield chunk(index, {}, ends[-1].finish_reason, None)
    # Before the stream ends: whoever has it whole can read the answer back.
    _keep(chat_answer(head, ends, how, body), body, service)
    if counts:
        yield frame | {"choices": [], "usage": usage(ends, body.n or 1)}
