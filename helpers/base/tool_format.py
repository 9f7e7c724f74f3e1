"""How tools, calls and their results are written in a chat, and read from an answer.

For: everything that counts, trains on or answers a chat with tools. The form is Hermes', as
Qwen 2.5's and 3's chat templates write it, since SmolLM2-135M's own template has none: vLLM's
parser `hermes`, llama.cpp and Ollama read it too. Not for: what requests may ask for, see
`helpers.backend.protocol.tool_schemas`.

    tools = offered({"tools": [{"type": "function", "function": {"name": "find_order"}}]})
    tools_text(tools)                           # "\\n\\n# Tools\\n\\nYou may call one …"
    reader = CallReader(); reader.feed('<tool_call>\\n{"name": "find_order", "argu')
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

OPEN, CLOSE = "<tool_call>", "</tool_call>"
"""What stands around each call. Both are plain letters to SmolLM2's tokenizer."""
HEAD = (
    "\n\n# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
    "You are provided with function signatures within <tools></tools> XML tags:\n<tools>"
)
TAIL = (
    "\n</tools>\n\nFor each function call, return a json object with function name and arguments "
    f"within {OPEN}{CLOSE} XML tags:\n{OPEN}\n"
    f'{{"name": <function-name>, "arguments": <args-json-object>}}\n{CLOSE}'
)
SEPARATORS = (", ", ": ")
"""Between the parts of a call's JSON: what a model is trained on is what it is held to."""

Tool = Mapping[str, Any]


def offered(example: Mapping[str, Any]) -> tuple[Tool, ...]:
    """The tools of a request or an example, `functions` among them, as the template takes them.

    Only what a model reads is kept, so that a row and a request with other settings agree.
    """
    listed = [tool.get("function") for tool in _mappings(example.get("tools"))]
    found = [*_mappings(listed), *_mappings(example.get("functions"))]
    return tuple({"type": "function", "function": _read(function)} for function in found)


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    listed = value if isinstance(value, list) else []
    return [one for one in listed if isinstance(one, Mapping)]


def _read(function: Mapping[str, Any]) -> dict[str, Any]:
    keys = ("name", "description", "parameters")
    return {key: function[key] for key in keys if function.get(key) is not None}


def as_json(value: Any) -> str:
    """JSON as chat templates write it."""
    return json.dumps(value, ensure_ascii=False, separators=SEPARATORS)


def tools_text(tools: Iterable[Tool]) -> str:
    """What stands at the end of the system message; nothing without tools."""
    lines = [f"\n{as_json(tool)}" for tool in tools]
    return f"{HEAD}{''.join(lines)}{TAIL}" if lines else ""


def calls_of(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Name and arguments of each call in a message, today's form or the older one."""
    calls = message.get("tool_calls") or message.get("function_call") or []
    listed = calls if isinstance(calls, list) else [calls]
    return [_function(call) for call in listed if isinstance(call, Mapping)]


def _function(call: Mapping[str, Any]) -> Mapping[str, Any]:
    """The arguments are JSON already, and are not written as a text again."""
    given = call.get("function")
    function = given if isinstance(given, Mapping) else call
    try:
        arguments = json.loads(function["arguments"])
    except (KeyError, TypeError, ValueError):
        arguments = function.get("arguments") or {}
    return {"name": function.get("name", ""), "arguments": arguments}


def calls_text(calls: Iterable[Mapping[str, Any]]) -> str:
    """The calls as an assistant writes them."""
    return "\n".join(f"{OPEN}\n{as_json(call)}\n{CLOSE}" for call in calls)


def result_text(content: str) -> str:
    """What a tool answered, as the model reads it."""
    return f"<tool_response>\n{content}\n</tool_response>"


def in_order(results: Sequence[Mapping[str, Any]], calls: Any) -> list[Mapping[str, Any]]:
    """Results in the order of the calls: the form has no ids that would tell them apart."""
    ids = [call.get("id") for call in _mappings(calls)]

    def place(result: Mapping[str, Any]) -> int:
        known = result.get("tool_call_id")
        return ids.index(known) if known in ids else len(ids)

    # `sorted` keeps the order of equals: results without an id stay as they came, at the end.
    return sorted(results, key=place)


@dataclass(frozen=True)
class TextPiece:
    """A piece of what is said beside the calls."""

    text: str


@dataclass(frozen=True)
class CallStart:
    """A call begins; its arguments follow."""

    index: int
    name: str


@dataclass(frozen=True)
class ArgumentsPiece:
    """A piece of a call's arguments, which are JSON when put together."""

    index: int
    text: str


Event = TextPiece | CallStart | ArgumentsPiece
# The usual beginning of a call, `{"name": "find_order", "arguments": {`, after which arguments can
# be told as they come.
_START = re.compile(r'\s*\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)*")\s*,\s*"arguments"\s*:\s*(?=\{)')


class CallReader:
    """Reads an answer as it comes. What is no call after all is text: nothing gets lost."""

    def __init__(self) -> None:
        self._buffer = ""
        self._read: Callable[[], Iterator[Event]] = self._text
        self._count = 0
        self._depth, self._quoted, self._escaped = 0, False, False

    def feed(self, text: str) -> list[Event]:
        """What another piece of the answer adds; a half mark waits for its other half."""
        self._buffer += text
        events: list[Event] = []
        # A step may leave something for the next one: text, mark, call and text again in one piece.
        while True:
            before = self._read, self._buffer
            events += self._read()
            if (self._read, self._buffer) == before:
                return events

    def close(self) -> list[Event]:
        """What is left at the end of the answer."""
        rest, self._buffer = self._buffer, ""
        if self._read == self._text:
            return [TextPiece(rest)] if rest.strip() or (rest and not self._count) else []
        # Of a call that was cut off in its arguments, what there is of them was told already.
        return [TextPiece(OPEN + rest)] if self._read == self._start else []

    def _text(self) -> Iterator[Event]:
        before, mark, after = self._buffer.partition(OPEN)
        if mark:
            self._buffer, self._read = after, self._start
            said = before.rstrip()
        else:
            held = _half_mark(before)
            said, self._buffer = before[: len(before) - held], before[len(before) - held :]
        # Blanks between calls are no text; those before any call are.
        if said.strip() or (said and not self._count):
            yield TextPiece(said)

    def _start(self) -> Iterator[Event]:
        if found := _START.match(self._buffer):
            yield CallStart(self._count, str(json.loads(found[1], strict=False)))
            self._buffer, self._read = self._buffer[found.end() :], self._arguments
        elif CLOSE in self._buffer:
            # In another order, a list of calls, or none: only the whole tells.
            inner, _, self._buffer = self._buffer.partition(CLOSE)
            self._read = self._text
            yield from self._whole(inner)

    def _whole(self, inner: str) -> Iterator[Event]:
        calls = _calls_in(inner)
        if calls is None:
            yield TextPiece(f"{OPEN}{inner}{CLOSE}")
            return
        for call in calls:
            arguments = call["arguments"]
            yield CallStart(self._count, call["name"])
            yield ArgumentsPiece(self._count, as_json(arguments))
            self._count += 1

    def _arguments(self) -> Iterator[Event]:
        end = next((place for place, sign in enumerate(self._buffer, 1) if self._ends(sign)), 0)
        piece = self._buffer[: end or None]
        if piece:
            yield ArgumentsPiece(self._count, piece)
        self._buffer = self._buffer[len(piece) :]
        if end:
            self._count += 1
            self._read = self._close

    def _ends(self, sign: str) -> bool:
        """Whether the object ends with this sign."""
        if self._escaped:
            self._escaped = False
        elif self._quoted:
            self._escaped, self._quoted = sign == "\\", sign != '"'
        elif sign == '"':
            self._quoted = True
        elif sign in "{[":
            self._depth += 1
        elif sign in "}]":
            self._depth -= 1
            return self._depth == 0
        return False

    def _close(self) -> Iterator[Event]:
        _, mark, after = self._buffer.partition(CLOSE)
        if mark:
            self._buffer, self._read = after, self._text
        return iter(())


def _half_mark(text: str) -> int:
    """Letters at the end that may be the beginning of a mark, and the blanks before it."""
    half = next((n for n in range(len(OPEN) - 1, 0, -1) if text.endswith(OPEN[:n])), 0)
    return len(text) - len(text[: len(text) - half].rstrip())


def _calls_in(inner: str) -> list[dict[str, Any]] | None:
    """The calls in a piece of JSON; None if it holds anything else."""
    try:
        found = json.loads(inner)
    except ValueError:
        return None
    listed = found if isinstance(found, list) else [found]
    if not all(isinstance(one, dict) and isinstance(one.get("name"), str) for one in listed):
        return None
    return [dict(_function(one)) for one in listed]


def read_answer(text: str) -> list[Event]:
    """All that a whole answer holds."""
    reader = CallReader()
    return reader.feed(text) + reader.close()
