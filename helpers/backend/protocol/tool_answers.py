"""Read the calls in an answer, whole or as it is made, and say them in the words of chats.

For: the routes. Not for: how a call is written, see `helpers.base.tool_format`, nor for the
words of responses, see `response_items`.

    reader = AnswerReader(use)
    deltas = [reader.chat_delta(event) for event in reader.feed("<tool_call>")]
    reader.close(); reader.text, reader.calls       # "", [Call(id="call_…", name="find_order", …)]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from helpers.backend.protocol.errors import ApiError
from helpers.backend.protocol.schemas import new_id
from helpers.backend.protocol.tools import ToolUse
from helpers.base.chat_format import is_result
from helpers.base.tool_format import OPEN, ArgumentsPiece, CallReader, CallStart, Event, TextPiece


@dataclass
class Call:
    """A call of one of the client's functions."""

    id: str
    name: str
    arguments: str = ""
    """JSON; cut off where the answer is."""


class AnswerReader:
    """One answer: its text and its calls. Without tools, all is text."""

    def __init__(self, use: ToolUse | None) -> None:
        self._use, self._reader = use, CallReader()
        self._raw, self.text, self.calls = "", "", list[Call]()

    def feed(self, text: str) -> list[Event]:
        """What another piece adds."""
        self._raw += text
        return self._taken(self._reader.feed(text) if self._use else [TextPiece(text)])

    def close(self) -> list[Event]:
        """What is left at the end."""
        return self._taken(self._reader.close() if self._use else [])

    def _taken(self, events: list[Event]) -> list[Event]:
        for event in events:
            if isinstance(event, TextPiece):
                self.text += event.text
            elif isinstance(event, CallStart):
                self.calls.append(Call(new_id("call_"), event.name))
            else:
                self.calls[event.index].arguments += event.text
        return events

    @property
    def letters(self) -> int:
        """Length of what the model wrote before its first call."""
        return self._raw.index(OPEN) if self.calls else len(self._raw)

    def finish_reason(self, reason: str) -> str:
        """Why the answer ended, in the words of chats. Of a named call OpenAI says "stop"."""
        if not self.calls or reason != "stop" or self._use is None or self._use.named:
            return reason
        return "function_call" if self._use.older_form else "tool_calls"

    def chat_delta(self, event: Event) -> dict[str, Any]:
        """An event as a chunk of a streamed chat has it."""
        if isinstance(event, TextPiece):
            return {"content": event.text}
        call = self.calls[event.index]
        older = self._use is not None and self._use.older_form
        if isinstance(event, ArgumentsPiece):
            function = {"arguments": event.text}
            return _older(function) if older else _newer(event.index, {"function": function})
        function = {"name": call.name, "arguments": ""}
        if older:
            return _older(function)
        return _newer(event.index, {"id": call.id, "type": "function", "function": function})


def _older(function: Mapping[str, str]) -> dict[str, Any]:
    return {"function_call": function}


def _newer(index: int, call: Mapping[str, Any]) -> dict[str, Any]:
    return {"tool_calls": [{"index": index, **call}]}


def chat_calls(calls: Sequence[Call], *, older_form: bool) -> dict[str, Any]:
    """The calls as a chat's message has them; nothing if there are none."""
    functions = [{"name": call.name, "arguments": call.arguments} for call in calls]
    if not calls:
        return {}
    if older_form:
        return {"function_call": functions[0]}
    return {
        "tool_calls": [
            {"id": call.id, "type": "function", "function": function}
            for call, function in zip(calls, functions, strict=True)
        ]
    }


def check_results(messages: Sequence[Mapping[str, Any]], *, param: str = "messages") -> None:
    """Raise `ApiError` 400 unless each call has its result right behind it, and each result a call.

    The older form has no ids to tell by.
    """
    # Ids of calls that have no result yet, with the place of their message.
    waiting: dict[str, int] = {}
    for place, message in enumerate(messages):
        if message["role"] == "tool":
            if waiting.pop(str(message.get("tool_call_id")), None) is None:
                raise _unanswered(
                    param,
                    f"{param}[{place}]: a tool's result must follow the call that it answers; "
                    f"no call before it has the id {message.get('tool_call_id')!r}.",
                )
            continue
        # Any other message ends the time for results.
        _all_answered(waiting, param)
        if not is_result(message):
            waiting = {str(call.get("id")): place for call in message.get("tool_calls") or ()}
    _all_answered(waiting, param)


def _all_answered(waiting: Mapping[str, int], param: str) -> None:
    if waiting:
        raise _unanswered(
            param,
            f"{param}[{min(waiting.values())}]: each call must be followed by its result; "
            f"these have none: {', '.join(waiting)}.",
        )


def _unanswered(param: str, message: str) -> ApiError:
    return ApiError(400, message, param=param, code="invalid_value")
