"""`/v1/responses`: text in, text out, whole or as named events; stored, read back, referred to."""

from __future__ import annotations

import itertools
import time
from collections.abc import Generator, Iterator, Mapping
from typing import Any, Literal

from fastapi import APIRouter
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from helpers.backend.api.generation import as_measured, begin, collected, whole
from helpers.backend.api.routes.common import ServiceOf, part_of, sse, within
from helpers.backend.protocol.errors import ApiError
from helpers.backend.protocol.json_schema import enforceable
from helpers.backend.protocol.parameters import unsupported
from helpers.backend.protocol.response_format import Choice, logprob_item
from helpers.backend.protocol.sampling import Delta, Sampling
from helpers.backend.protocol.schemas import (
    ChatMessage,
    InputTokensRequest,
    ResponseInput,
    ResponseRequest,
    TextFormat,
    new_id,
)
from helpers.backend.service import Service
from helpers.backend.storage.store import public

router = APIRouter()
ROLES = ("system", "developer", "user", "assistant")
MOST = 100
"""Input items on one page."""
Item = dict[str, Any]


@router.post("/v1/responses")
def respond(body: ResponseRequest, service: ServiceOf) -> Any:
    model = service.models.resolve(body.model)
    items = _items(body, service)
    messages = _messages(body, items)
    how = as_measured(model, _sampling(body), temperature=body.temperature)
    frame = _frame(body)
    if body.stream:
        return sse(
            _events(frame, begin(service, model, messages, how), service, items),
            named=True,
            done=False,
        )
    with service.slot():
        choice = whole(service, model, messages, how)
    return _finish(frame, choice, new_id("msg_"), service, items)


@router.post("/v1/responses/input_tokens")
def count_input_tokens(body: InputTokensRequest, service: ServiceOf) -> Any:
    model = service.models.resolve(body.model)
    messages = _messages(body, _items(body, service))
    return {
        "object": "response.input_tokens",
        "input_tokens": service.engine.count(model, messages),
    }


@router.get("/v1/responses/{key}")
def retrieve(key: str, service: ServiceOf, stream: bool = False) -> Any:
    if stream:
        why = "A stored response is read back whole"
        raise unsupported("stream", why)
    return public(service.answers.get("response", key))


@router.delete("/v1/responses/{key}")
def delete(key: str, service: ServiceOf) -> Any:
    service.answers.delete("response", key)
    return {"id": key, "object": "response", "deleted": True}


@router.post("/v1/responses/{key}/cancel")
def cancel(key: str, service: ServiceOf) -> Any:
    service.answers.get("response", key)
    raise ApiError(
        400,
        "Only responses that are made in the background can be cancelled; here, none is. "
        "Close the stream instead.",
        code="invalid_request",
    )


@router.get("/v1/responses/{key}/input_items")
def input_items(
    key: str,
    service: ServiceOf,
    after: str | None = None,
    limit: int = 20,
    order: Literal["asc", "desc"] = "desc",
) -> Any:
    """What the response was made from, the turns before it included."""
    items = service.answers.get("response", key)["_input"]
    return part_of(items, after, within(limit, MOST), order)


def _sampling(body: ResponseRequest) -> Sampling:
    form = body.text.format if body.text and body.text.format else None
    return Sampling(
        temperature=1.0 if body.temperature is None else body.temperature,
        top_p=1.0 if body.top_p is None else body.top_p,
        max_tokens=body.max_output_tokens,
        json_object=bool(form and form.type == "json_object"),
        json_schema=_schema(form) if form and form.type == "json_schema" else None,
        logprobs=(body.top_logprobs or 0) if body.with_logprobs else None,
    )


def _schema(form: TextFormat) -> dict[str, Any]:
    if form.schema_ is None:
        raise ApiError(
            400,
            "Missing required parameter: 'text.format.schema'.",
            param="text.format.schema",
            code="missing_required_parameter",
        )
    return enforceable(form.schema_, param="text.format")


def _messages(body: ResponseInput, items: list[Item]) -> list[dict[str, Any]]:
    """The chat that the items make, as the chat template takes it."""
    system = [{"role": "system", "content": body.instructions}] if body.instructions else []
    return system + [_message(number, item).plain() for number, item in enumerate(items)]


def _items(body: ResponseInput, service: Service) -> list[Item]:
    """All messages, those before included. Raises `ApiError` for anything but text messages."""
    given = body.input
    if isinstance(given, str):
        given = [{"role": "user", "content": given}]
    own = [_item_of(number, item, service) for number, item in enumerate(given)]
    if not own:
        raise ApiError(400, "The input has no message.", param="input")
    return _history(body, service) + own


def _item_of(number: int, item: Item, service: Service) -> Item:
    """An input item as it is stored; a reference becomes what it refers to."""
    if item.get("type") == "item_reference" or (item.keys() <= {"type", "id"} and "id" in item):
        return service.answers.item(str(item["id"]))
    if item.get("type", "message") != "message" or item.get("role") not in ROLES:
        raise ApiError(
            400,
            f"input[{number}]: this server reads messages with the roles {', '.join(ROLES)}, "
            "and references to stored ones.",
            param="input",
            code="unsupported_value",
        )
    said = _message(number, item)
    kind = "output_text" if item["role"] == "assistant" else "input_text"
    content = said.content
    parts = (
        [part.model_dump() for part in content]
        if isinstance(content, list)
        else [{"type": kind, "text": content or ""}]
    )
    kept = {"id": str(item.get("id") or new_id("msg_")), "type": "message", "role": item["role"]}
    return kept | {"status": "completed", "content": parts}


def _message(number: int, item: Item) -> ChatMessage:
    try:
        return ChatMessage.model_validate({"role": item["role"], "content": item.get("content")})
    except ValidationError as error:
        wrong = [{**one, "loc": ("input", number, *one["loc"])} for one in error.errors()]
        raise RequestValidationError(wrong) from error


def _history(body: ResponseInput, service: Service) -> list[Item]:
    if body.previous_response_id is None:
        return []
    try:
        kept = service.answers.get("response", body.previous_response_id)
    except ApiError:
        raise ApiError(
            400,
            f"Previous response with id '{body.previous_response_id}' not found.",
            param="previous_response_id",
            code="previous_response_not_found",
        ) from None
    return [*kept["_input"], *kept["output"]]


def _frame(body: ResponseRequest) -> dict[str, Any]:
    """All that is known before the first token."""
    form = (body.text and body.text.format) or TextFormat()
    return {
        "id": new_id("resp_", 40),
        "object": "response",
        "created_at": int(time.time()),
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": body.instructions,
        "max_output_tokens": body.max_output_tokens,
        "model": body.model,
        "output": [],
        "parallel_tool_calls": body.parallel_tool_calls is not False,
        "previous_response_id": body.previous_response_id,
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "default",
        "store": body.store is not False,
        "temperature": 1.0 if body.temperature is None else body.temperature,
        "text": {"format": form.model_dump(by_alias=True, exclude_none=True)},
        "tool_choice": "auto",
        "tools": [],
        "top_logprobs": body.top_logprobs or 0,
        "top_p": 1.0 if body.top_p is None else body.top_p,
        "truncation": "disabled",
        "metadata": body.metadata or {},
    }


def _part(choice: Choice | None) -> dict[str, Any]:
    """The content of an answer; that of None is still empty."""
    text, logprobs = (choice.text, choice.logprobs) if choice else ("", ())
    return {
        "type": "output_text",
        "text": text,
        "annotations": [],
        "logprobs": [logprob_item(item) for item in logprobs],
    }


def _item(key: str, choice: Choice | None, status: str) -> Item:
    return {
        "id": key,
        "type": "message",
        "role": "assistant",
        "status": status,
        "content": [_part(choice)] if choice else [],
    }


def _finish(
    frame: Mapping[str, Any], choice: Choice, key: str, service: Service, items: list[Item]
) -> dict[str, Any]:
    """The whole response; it is kept, with its input, unless `store` is false."""
    cut = choice.finish_reason == "length"
    status = "incomplete" if cut else "completed"
    done = {
        **frame,
        "status": status,
        "completed_at": None if cut else int(time.time()),
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "output": [_item(key, choice, status)],
        "usage": {
            "input_tokens": choice.prompt_tokens,
            "input_tokens_details": {
                "cached_tokens": choice.cached_tokens,
                "cache_write_tokens": 0,
            },
            "output_tokens": choice.completion_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": choice.prompt_tokens + choice.completion_tokens,
        },
    }
    if frame["store"]:
        service.answers.keep("response", frame["id"], done | {"_input": items})
    return done


def _events(
    frame: dict[str, Any],
    deltas: Iterator[tuple[int, Delta]],
    service: Service,
    items: list[Item],
) -> Generator[dict[str, Any]]:
    """OpenAI's order: created, in progress, item, part, deltas, and each one's end."""
    number = itertools.count()
    key = new_id("msg_")
    place = {"item_id": key, "output_index": 0, "content_index": 0}

    def event(name: str, **fields: Any) -> dict[str, Any]:
        return {"type": f"response.{name}", "sequence_number": next(number), **fields}

    yield event("created", response=frame)
    yield event("in_progress", response=frame)
    yield event("output_item.added", output_index=0, item=_item(key, None, "in_progress"))
    yield event("content_part.added", **place, part=_part(None))
    said: list[Delta] = []
    for _, delta in deltas:
        said.append(delta)
        if delta.text or delta.logprobs:
            logprobs = [logprob_item(item) for item in delta.logprobs]
            yield event("output_text.delta", **place, delta=delta.text, logprobs=logprobs)
    choice = collected(said)
    part = _part(choice)
    yield event("output_text.done", **place, text=choice.text, logprobs=part["logprobs"])
    yield event("content_part.done", **place, part=part)
    finished = _finish(frame, choice, key, service, items)
    yield event("output_item.done", output_index=0, item=finished["output"][0])
    yield event(finished["status"], response=finished)
