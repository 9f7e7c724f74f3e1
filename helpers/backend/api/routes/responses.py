"""`/v1/responses`: text in, text out, whole or as named events."""

from __future__ import annotations

import itertools
import time
from collections.abc import Generator, Iterator
from typing import Any

from fastapi import APIRouter
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from helpers.backend.api.answering import as_choice, begin, whole
from helpers.backend.api.routes.common import ServiceOf, sse
from helpers.backend.protocol.errors import ApiError
from helpers.backend.protocol.json_schema import enforceable
from helpers.backend.protocol.response_format import Choice
from helpers.backend.protocol.sampling import Delta, Sampling
from helpers.backend.protocol.schemas import ChatMessage, ResponseRequest, TextFormat, new_id
from helpers.backend.service import Service

router = APIRouter()
ROLES = ("system", "developer", "user", "assistant")


@router.post("/v1/responses")
def respond(body: ResponseRequest, service: ServiceOf) -> Any:
    model = service.models.resolve(body.model)
    turns = _history(body, service) + _input(body)
    messages = ([_system(body.instructions)] if body.instructions else []) + turns
    how = _sampling(body)
    frame = _frame(body)
    if body.stream:
        return sse(
            _events(frame, begin(service, model, messages, how), service, turns),
            named=True,
            done=False,
        )
    with service.slot():
        choice = whole(service, model, messages, how)
    return _finish(frame, choice, new_id("msg_"), service, turns)


def _system(text: str) -> dict[str, Any]:
    return {"role": "system", "content": text}


def _sampling(body: ResponseRequest) -> Sampling:
    form = body.text.format if body.text and body.text.format else None
    return Sampling(
        temperature=1.0 if body.temperature is None else body.temperature,
        top_p=1.0 if body.top_p is None else body.top_p,
        max_tokens=body.max_output_tokens,
        json_object=bool(form and form.type == "json_object"),
        json_schema=_schema(form) if form and form.type == "json_schema" else None,
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


def _input(body: ResponseRequest) -> list[dict[str, Any]]:
    """The turns of this request. Raises `ApiError` for anything but text messages."""
    if isinstance(body.input, str):
        return [{"role": "user", "content": body.input}]
    turns = []
    for number, item in enumerate(body.input):
        if item.get("type", "message") != "message" or item.get("role") not in ROLES:
            raise ApiError(
                400,
                f"input[{number}]: this server reads messages with the roles {', '.join(ROLES)}.",
                param="input",
                code="unsupported_value",
            )
        turns.append(_message(number, item).plain())
    if not turns:
        raise ApiError(400, "The input has no message.", param="input")
    return turns


def _message(number: int, item: dict[str, Any]) -> ChatMessage:
    try:
        return ChatMessage.model_validate({"role": item["role"], "content": item.get("content")})
    except ValidationError as error:
        wrong = [{**one, "loc": ("input", number, *one["loc"])} for one in error.errors()]
        raise RequestValidationError(wrong) from error


def _history(body: ResponseRequest, service: Service) -> list[dict[str, Any]]:
    if body.previous_response_id is None:
        return []
    kept = service.store.get("response", body.previous_response_id)
    if kept is None:
        raise ApiError(
            400,
            f"Previous response with id '{body.previous_response_id}' not found.",
            param="previous_response_id",
            code="previous_response_not_found",
        )
    turns: list[dict[str, Any]] = kept["turns"]
    return turns


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
        "parallel_tool_calls": True,
        "previous_response_id": body.previous_response_id,
        "reasoning": {"effort": None, "summary": None},
        "store": body.store is not False,
        "temperature": 1.0 if body.temperature is None else body.temperature,
        "text": {"format": form.model_dump(by_alias=True, exclude_none=True)},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0 if body.top_p is None else body.top_p,
        "truncation": "disabled",
        "metadata": body.metadata or {},
    }


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _item(key: str, text: str, status: str) -> dict[str, Any]:
    content = [_part(text)] if status != "in_progress" else []
    return {
        "id": key,
        "type": "message",
        "role": "assistant",
        "status": status,
        "content": content,
    }


def _finish(
    frame: dict[str, Any],
    choice: Choice,
    key: str,
    service: Service,
    turns: list[dict[str, Any]],
) -> dict[str, Any]:
    """The whole response; it is kept for `previous_response_id` unless `store` is false."""
    if frame["store"]:
        answer = {"role": "assistant", "content": choice.text}
        service.answers.keep("response", frame["id"], {"turns": [*turns, answer]})
    cut = choice.finish_reason == "length"
    status = "incomplete" if cut else "completed"
    return frame | {
        "status": status,
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "output": [_item(key, choice.text, status)],
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


def _events(
    frame: dict[str, Any],
    deltas: Iterator[tuple[int, Delta]],
    service: Service,
    turns: list[dict[str, Any]],
) -> Generator[dict[str, Any]]:
    """OpenAI's order: created, in progress, item, part, deltas, and each one's end."""
    number = itertools.count()
    key = new_id("msg_")
    place = {"item_id": key, "output_index": 0, "content_index": 0}

    def event(name: str, **fields: Any) -> dict[str, Any]:
        return {"type": f"response.{name}", "sequence_number": next(number), **fields}

    yield event("created", response=frame)
    yield event("in_progress", response=frame)
    yield event("output_item.added", output_index=0, item=_item(key, "", "in_progress"))
    yield event("content_part.added", **place, part=_part(""))
    text, last = "", Delta("")
    for _, delta in deltas:
        last = delta
        if delta.text:
            text += delta.text
            yield event("output_text.delta", **place, delta=delta.text, logprobs=[])
    choice = as_choice(last)
    done = Choice(text, *list(vars(choice).values())[1:])
    yield event("output_text.done", **place, text=text, logprobs=[])
    yield event("content_part.done", **place, part=_part(text))
    finished = _finish(frame, done, key, service, turns)
    yield event("output_item.done", output_index=0, item=finished["output"][0])
    yield event(finished["status"], response=finished)
