"""Checks of tools, tool calls and their answers inside one chat example.

For: the part of an example's check that knows about tools. Not for: anything else of
an example, see `checks`, which calls this module.

    offered = check_tools({"tools": [...]}, found)      # {"order_status"}
"""

from __future__ import annotations

import re
from typing import Any, Protocol

from helpers import jsonl

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


class Collector(Protocol):
    """Where problems go: `checks.Found`."""

    def add(self, code: str, text: str, message: int = 0) -> None:
        """Note one problem."""


class Calls:
    """Which calls of one conversation still wait for their answer."""

    def __init__(self, offered: frozenset[str] | None) -> None:
        self.offered = offered
        """Names of the tools; None if they could not be read."""
        self.open: set[str] = set()
        self.seen: set[str] = set()
        self.function_called = False

    def close(self, number: int, found: Collector) -> None:
        """Complain that the conversation goes on before every call was answered."""
        for call_id in sorted(self.open):
            text = f'comes before the tool call "{call_id[:40]}" is answered'
            found.add("call_without_answer", text, number)
        self.open.clear()


def is_name(name: Any) -> bool:
    """Whether a tool or a speaker may have this name."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def check_tools(example: dict[str, Any], found: Collector) -> frozenset[str] | None:
    """Check what an example offers; return the names, or None if they are unreadable."""
    parallel = example.get("parallel_tool_calls")
    if parallel is not None and type(parallel) is not bool:
        found.add("wrong_type", "has parallel_tool_calls that is neither true nor false")
    names: set[str] = set()
    sound = _check_list(example, "tools", names, found)
    if example.get("functions") is not None:
        found.add("deprecated_functions", 'uses "functions"')
        sound = _check_list(example, "functions", names, found) and sound
    return frozenset(names) if sound else None


def _check_list(example: dict[str, Any], key: str, names: set[str], found: Collector) -> bool:
    """Check `tools` or `functions`, adding their names; False if one is unreadable."""
    offers = example.get(key)
    if offers is None:
        return True
    if not isinstance(offers, list):
        found.add("wrong_type", f"has {key} that are no list")
        return False
    sound = True
    for place, offer in enumerate(offers, 1):
        function = offer if key == "functions" else _function_of(offer)
        fault = _function_fault(function)
        if fault:
            found.add("bad_tool", f"has a defect in number {place} of its {key}: {fault}")
            sound = False
        else:
            names.add(function["name"])
    return sound


def _function_of(offer: Any) -> Any:
    if not isinstance(offer, dict) or offer.get("type") != "function":
        return None
    return offer.get("function")


def _function_fault(function: Any) -> str:
    if not isinstance(function, dict):
        return "no function"
    if not is_name(function.get("name")):
        return "no proper name"
    if not isinstance(function.get("parameters", {}), dict):
        return "parameters that are no JSON schema"
    return ""


def check_calls(message: dict[str, Any], number: int, calls: Calls, found: Collector) -> None:
    """Check the calls that a message makes, or that it answers one."""
    role = message.get("role")
    if role == "tool":
        _check_answer(message, number, calls, found)
        return
    if role == "function":
        _check_function_answer(message, number, calls, found)
        return
    calls.close(number, found)
    if role != "assistant":
        return
    if message.get("tool_calls") is not None:
        _check_tool_calls(message["tool_calls"], number, calls, found)
    if message.get("function_call") is not None:
        found.add("deprecated_functions", 'uses "function_call"', number)
        calls.function_called = True
        _check_function(message["function_call"], number, calls, found)


def _check_answer(message: dict[str, Any], number: int, calls: Calls, found: Collector) -> None:
    call_id = message.get("tool_call_id")
    if isinstance(call_id, str) and call_id in calls.open:
        calls.open.discard(call_id)
    else:
        found.add("tool_without_call", "answers no tool call before it", number)


def _check_function_answer(
    message: dict[str, Any], number: int, calls: Calls, found: Collector
) -> None:
    if not is_name(message.get("name")):
        found.add("bad_name", "has the role function but no name", number)
    if not calls.function_called:
        found.add("tool_without_call", "answers no function call before it", number)


def _check_tool_calls(made: Any, number: int, calls: Calls, found: Collector) -> None:
    if not isinstance(made, list) or not made:
        found.add("bad_tool_call", "has tool_calls that are no list of calls", number)
        return
    for call in made:
        if not isinstance(call, dict) or call.get("type") != "function":
            found.add("bad_tool_call", "has a tool call without the type function", number)
            continue
        call_id = call.get("id")
        if not isinstance(call_id, str) or not call_id:
            found.add("bad_tool_call", "has a tool call without an id", number)
        elif call_id in calls.seen:
            found.add("duplicate_call_id", f'uses the id "{call_id[:40]}" again', number)
        else:
            calls.seen.add(call_id)
            calls.open.add(call_id)
        _check_function(call.get("function"), number, calls, found)


def _check_function(function: Any, number: int, calls: Calls, found: Collector) -> None:
    """Check name and arguments of a call."""
    if not isinstance(function, dict) or not is_name(function.get("name")):
        found.add("bad_tool_call", "has a call without a proper function name", number)
        return
    name = function["name"]
    if calls.offered is not None and name not in calls.offered:
        found.add("unknown_tool", f'calls "{name}", which it does not offer', number)
    if not _is_json_object(function.get("arguments")):
        found.add("bad_arguments", f'calls "{name}" with arguments that are no JSON', number)


def _is_json_object(text: Any) -> bool:
    if not isinstance(text, str):
        return False
    try:
        return isinstance(jsonl.parse(text.encode("utf-8", "surrogatepass")), dict)
    except ValueError:
        return False
