"""Say in the words of the Responses API what was asked and answered: items, and their events.

For: the route. An answer is one message, or calls with perhaps a message before them; each is an
item of its own. Not for: chats, see `response_format`.

    messages(items, instructions="Be brief.")       # as the chat template takes them
    ResponseEvents(frame(body)).start()             # what comes before the first token
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from helpers.backend.protocol.errors import ApiError
from helpers.backend.protocol.response_format import Choice, logprob_item
from helpers.backend.protocol.sampling import TokenLogprob
from helpers.backend.protocol.schemas import (
    ChatMessage,
    FunctionCallItem,
    FunctionResultItem,
    ResponseRequest,
    TextFormat,
    new_id,
)
from helpers.backend.protocol.tool_answers import Call
from helpers.base.tool_format import ArgumentsPiece, CallStart, Event, TextPiece

ROLES = ("system", "developer", "user", "assistant")
Item = dict[str, Any]
Model = TypeVar("Model", bound=BaseModel)
_KINDS: dict[str, type[BaseModel]] = {
    "function_call": FunctionCallItem,
    "function_call_output": FunctionResultItem,
}


def input_item(number: int, item: Item) -> Item:
    """An item of a request as it is stored. Raises for one that cannot be read."""
    kind = item.get("type", "message")
    if kind in _KINDS:
        given = _valid(_KINDS[kind], number, item).model_dump(exclude_none=True)
        return {"id": new_id("fc_"), "status": "completed", **given}
    if kind != "message" or item.get("role") not in ROLES:
        raise ApiError(
            400,
            f"input[{number}]: this server reads messages with the roles {', '.join(ROLES)}, "
            "function calls and their outputs, and references to stored items.",
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
    return _valid(ChatMessage, number, {"role": item["role"], "content": item.get("content")})


def _valid(model: type[Model], number: int, item: Item) -> Model:
    try:
        return model.model_validate(item)
    except ValidationError as error:
        # The place within the whole request, so that the error names what the client wrote.
        wrong = [{**one, "loc": ("input", number, *one["loc"])} for one in error.errors()]
        raise RequestValidationError(wrong) from error


def messages(items: Sequence[Item], instructions: str | None) -> list[dict[str, Any]]:
    """The chat that the items make, as the chat template takes it."""
    made: list[dict[str, Any]] = []
    if instructions:
        made.append({"role": "system", "content": instructions})
    for number, item in enumerate(items):
        if item["type"] == "function_call":
            # Calls are part of what the assistant said just before them.
            if not made or made[-1]["role"] != "assistant":
                made.append({"role": "assistant", "content": ""})
            function = {"name": item["name"], "arguments": item["arguments"]}
            call = {"id": item["call_id"], "type": "function", "function": function}
            made[-1].setdefault("tool_calls", []).append(call)
        elif item["type"] == "function_call_output":
            said = {"role": "tool", "content": item["output"], "tool_call_id": item["call_id"]}
            made.append(_valid(ChatMessage, number, said).plain())
        else:
            made.append(_message(number, item).plain())
    return made


def frame(body: ResponseRequest) -> dict[str, Any]:
    """All that is known before the first token."""
    form = (body.text and body.text.format) or TextFormat()
    choice = body.tool_choice
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
        "tool_choice": choice.model_dump() if isinstance(choice, BaseModel) else choice or "auto",
        "tools": [tool.model_dump() for tool in body.tools or ()],
        "top_logprobs": body.top_logprobs or 0,
        "top_p": 1.0 if body.top_p is None else body.top_p,
        "truncation": "disabled",
        "metadata": body.metadata or {},
    }


def _part(text: str, logprobs: Sequence[TokenLogprob]) -> dict[str, Any]:
    return {
        "type": "output_text",
        "text": text,
        "annotations": [],
        "logprobs": [logprob_item(item) for item in logprobs],
    }


def _message_item(key: str, status: str, parts: list[dict[str, Any]]) -> Item:
    return {"id": key, "type": "message", "role": "assistant", "status": status, "content": parts}


def _call_item(key: str, status: str, call: Call) -> Item:
    return {
        "id": key,
        "type": "function_call",
        "status": status,
        "call_id": call.id,
        "name": call.name,
        "arguments": call.arguments,
    }


def output_items(choice: Choice, status: str) -> list[Item]:
    """What was answered: a message, unless there are only calls, and the calls."""
    items = []
    if choice.text or not choice.calls:
        items.append(_message_item(new_id("msg_"), status, [_part(choice.text, choice.logprobs)]))
    return items + [_call_item(new_id("fc_"), status, call) for call in choice.calls]


def finished(
    begun: Mapping[str, Any], choice: Choice, items: Sequence[Item] | None = None
) -> dict[str, Any]:
    """The whole response; `items` are those that a stream has announced already."""
    cut = choice.finish_reason == "length"
    status = "incomplete" if cut else "completed"
    return {
        **begun,
        "status": status,
        "completed_at": None if cut else int(time.time()),
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "output": output_items(choice, status) if items is None else list(items),
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


class ResponseEvents:
    """The events of one streamed response, in OpenAI's order; each item is opened and closed."""

    def __init__(self, begun: dict[str, Any]) -> None:
        self._begun, self._number = begun, itertools.count()
        # What was announced, with the ids that the client knows: the whole response at the end
        # repeats them.
        self.items: list[Item] = []
        self._call: Call | None = None
        self._said: list[TokenLogprob] = []
        self._text = ""
        self._open = False

    def event(self, name: str, /, **fields: Any) -> dict[str, Any]:
        """One event, with its number."""
        return {"type": f"response.{name}", "sequence_number": next(self._number), **fields}

    def start(self) -> Iterator[dict[str, Any]]:
        """What comes before the first token."""
        yield self.event("created", response=self._begun)
        yield self.event("in_progress", response=self._begun)

    def take(
        self, event: Event, calls: Sequence[Call], tokens: Sequence[TokenLogprob]
    ) -> Iterator[dict[str, Any]]:
        """What a piece of the answer adds; `calls` are those that have begun."""
        if isinstance(event, TextPiece):
            yield from self._say(event.text, tokens)
        elif isinstance(event, CallStart):
            # A call ends what was open, be it a message or the call before it.
            yield from self.close_item("completed")
            self._call, self._open = calls[event.index], True
            # Without its arguments, which come piece by piece.
            begun = Call(self._call.id, self._call.name)
            self.items.append(_call_item(new_id("fc_"), "in_progress", begun))
            yield self.event("output_item.added", output_index=self._place, item=self._now)
        else:
            yield from self._argue(event)

    @property
    def _place(self) -> int:
        return len(self.items) - 1

    @property
    def _now(self) -> Item:
        return dict(self.items[-1])

    def _where(self) -> dict[str, Any]:
        return {"item_id": self.items[-1]["id"], "output_index": self._place}

    def _argue(self, event: ArgumentsPiece) -> Iterator[dict[str, Any]]:
        yield self.event("function_call_arguments.delta", **self._where(), delta=event.text)

    def _say(self, text: str, tokens: Sequence[TokenLogprob]) -> Iterator[dict[str, Any]]:
        # Text behind a call is a new message; text behind text goes on in the same one.
        if not self._open or self._call is not None:
            yield from self.close_item("completed")
            self._call, self._open, self._text, self._said = None, True, "", []
            self.items.append(_message_item(new_id("msg_"), "in_progress", []))
            yield self.event("output_item.added", output_index=self._place, item=self._now)
            part = _part("", ())
            yield self.event("content_part.added", **self._where(), content_index=0, part=part)
        self._text += text
        self._said += tokens
        if text or tokens:
            told = [logprob_item(item) for item in tokens]
            where = self._where() | {"content_index": 0}
            yield self.event("output_text.delta", **where, delta=text, logprobs=told)

    def close_item(self, status: str) -> Iterator[dict[str, Any]]:
        """The end of the item that is open, if one is."""
        if not self._open:
            return
        self._open, where = False, self._where()
        key = self.items[-1]["id"]
        if self._call is not None:
            arguments = {"name": self._call.name, "arguments": self._call.arguments}
            yield self.event("function_call_arguments.done", **where, **arguments)
            self.items[-1] = _call_item(key, status, self._call)
        else:
            part = _part(self._text, self._said)
            done = {"text": self._text, "logprobs": part["logprobs"]}
            yield self.event("output_text.done", **where, content_index=0, **done)
            yield self.event("content_part.done", **where, content_index=0, part=part)
            self.items[-1] = _message_item(key, status, [part])
        yield self.event("output_item.done", output_index=self._place, item=self._now)

    def finish(self, choice: Choice) -> Iterator[dict[str, Any]]:
        """The end of the last item; an answer that says nothing is an empty message."""
        if not self.items:
            yield from self._say("", ())
        yield from self.close_item(
            "incomplete" if choice.finish_reason == "length" else "completed"
        )
