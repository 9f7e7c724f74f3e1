"""`/v1/responses`: text and calls, whole or as named events; stored, read back, referred to."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any, Literal

from fastapi import APIRouter

from helpers.backend.api.routes.common import ServiceOf, part_of, sse, within
from helpers.backend.api.routes.generation import (
    as_measured,
    begin,
    chat_prompt,
    collected,
    read_stream,
    whole,
)
from helpers.backend.inference.engine import Prompt
from helpers.backend.inference.models import ServedModel
from helpers.backend.protocol.errors import ApiError
from helpers.backend.protocol.json_schema import enforceable
from helpers.backend.protocol.parameters import unsupported
from helpers.backend.protocol.response_format import read_choice, with_tools
from helpers.backend.protocol.response_items import (
    Item,
    ResponseEvents,
    finished,
    frame,
    input_item,
    messages,
)
from helpers.backend.protocol.sampling import Delta, Sampling
from helpers.backend.protocol.schemas import (
    InputTokensRequest,
    ResponseInput,
    ResponseRequest,
    TextFormat,
)
from helpers.backend.protocol.tool_answers import AnswerReader, check_results
from helpers.backend.service import Service
from helpers.backend.storage.store import public

router = APIRouter()
MOST = 100
"""Input items on one page."""


@router.post("/v1/responses")
def respond(body: ResponseRequest, service: ServiceOf) -> Any:
    model = service.models.resolve(body.model)
    items = _items(body, service)
    prompt = _prompt(body, items, model)
    how = as_measured(model, _sampling(body), temperature=body.temperature)
    if body.stream:
        begun = begin(service, model, prompt, how)
        return sse(_events(body, begun, service, items), named=True, done=False)
    with service.slot():
        choice = read_choice(whole(service, model, prompt, how), body.tool_use)
    return _kept(finished(frame(body), choice), service, items)


@router.post("/v1/responses/input_tokens")
def count_input_tokens(body: InputTokensRequest, service: ServiceOf) -> Any:
    model = service.models.resolve(body.model)
    prompt = _prompt(body, _items(body, service), model)
    return {
        "object": "response.input_tokens",
        "input_tokens": service.engine.count(model, prompt),
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
    how = Sampling(
        temperature=1.0 if body.temperature is None else body.temperature,
        top_p=1.0 if body.top_p is None else body.top_p,
        max_tokens=body.max_output_tokens,
        json_object=bool(form and form.type == "json_object"),
        json_schema=_schema(form) if form and form.type == "json_schema" else None,
        logprobs=(body.top_logprobs or 0) if body.with_logprobs else None,
    )
    return with_tools(how, body.tool_use)


def _schema(form: TextFormat) -> dict[str, Any]:
    if form.schema_ is None:
        raise ApiError(
            400,
            "Missing required parameter: 'text.format.schema'.",
            param="text.format.schema",
            code="missing_required_parameter",
        )
    return enforceable(form.schema_, param="text.format")


def _prompt(body: ResponseInput, items: list[Item], model: ServedModel) -> Prompt:
    chat = messages(items, body.instructions)
    check_results(chat, param="input")
    return chat_prompt(model, chat, body.tool_use)


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
    # A reference may leave out its type, as OpenAI's description says: then it has an id alone.
    if item.get("type") == "item_reference" or (item.keys() <= {"type", "id"} and "id" in item):
        return service.answers.item(str(item["id"]))
    return input_item(number, item)


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


def _kept(done: dict[str, Any], service: Service, items: list[Item]) -> dict[str, Any]:
    """The response; it is kept, with its input, unless `store` is false."""
    if done["store"]:
        service.answers.keep("response", done["id"], done | {"_input": items})
    return done


def _events(
    body: ResponseRequest,
    deltas: Iterator[tuple[int, Delta]],
    service: Service,
    items: list[Item],
) -> Generator[dict[str, Any]]:
    begun = frame(body)
    events, reader, said = ResponseEvents(begun), AnswerReader(body.tool_use), list[Delta]()
    yield from events.start()
    for event, tokens in read_stream((delta for _, delta in deltas), reader, said):
        yield from events.take(event, reader.calls, tokens)
    choice = collected(said).read(reader)
    yield from events.finish(choice)
    done = _kept(finished(begun, choice, events.items), service, items)
    yield events.event(done["status"], response=done)
