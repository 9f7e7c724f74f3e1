"""What one example of a dataset must look like, for each of the three formats.

For: finding every defect inside one parsed line. Messages begin with the place, as the
hosted service words it: "Example 4, message 2 Discriminator 'role' is missing in value".
Not for: files, line numbers and totals, see `validate`.

    found = Found(example=4)
    check_chat({"messages": [{"content": "Hello"}]}, found)
    found.items     # [("missing_role", "Example 4, message 1 …"), …]
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from helpers.datasets.tools import Calls, check_calls, check_tools, is_name

Kind = Literal["chat", "completion", "dpo"]

ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
_PLAIN_ROLES = frozenset({"system", "developer", "user", "assistant"})
_CHAT_KEYS = frozenset({"messages", "tools", "parallel_tool_calls", "functions"})
_DPO_KEYS = frozenset({"input", "preferred_output", "non_preferred_output"})
_COMPLETION_KEYS = frozenset({"prompt", "completion"})
_MESSAGE_KEYS = frozenset({"role", "content", "name"})
_ROLE_KEYS = {
    "assistant": _MESSAGE_KEYS | {"weight", "tool_calls", "function_call", "refusal"},
    "tool": _MESSAGE_KEYS | {"tool_call_id"},
}


class Found:
    """Collects the problems of one example; `example` counts from 1."""

    def __init__(self, example: int) -> None:
        self.example = example
        self.items: list[tuple[str, str]] = []

    def add(self, code: str, text: str, message: int = 0) -> None:
        """Note a problem of the whole example, or of one message (from 1)."""
        where = f", message {message}" if message else ""
        self.items.append((code, f"Example {self.example}{where} {text}"))


def kind_of(example: dict[str, Any]) -> Kind | None:
    """The format that the keys of an example belong to."""
    if "messages" in example:
        return "chat"
    if "preferred_output" in example or "non_preferred_output" in example:
        return "dpo"
    if "prompt" in example or "completion" in example:
        return "completion"
    return None


def check_chat(example: dict[str, Any], found: Found) -> None:
    """`{"messages": [...], "tools"?, "parallel_tool_calls"?, "functions"?}`"""
    offered: frozenset[str] | None = frozenset()
    if len(example) > 1:
        _unknown_keys(example, _CHAT_KEYS, found)
        offered = check_tools(example, found)
    messages = example.get("messages")
    if type(messages) is not list or not messages:
        found.add("messages_missing", "has no list of messages")
        return
    answers = _check_messages(messages, offered, found)
    if not answers:
        found.add("missing_assistant", "has no assistant message")
        return
    if answers[-1] is not messages[-1]:
        found.add("last_not_assistant", "does not end with an assistant message")
    if all(answer.get("weight") == 0 for answer in answers):
        found.add("all_weights_zero", "has weight 0 on every assistant message")


def check_completion(example: dict[str, Any], found: Found) -> None:
    """`{"prompt": "...", "completion": "..."}`"""
    if len(example) > 2:
        _unknown_keys(example, _COMPLETION_KEYS, found)
    for key in ("prompt", "completion"):
        value = example.get(key)
        if value is None:
            found.add(f"missing_{key}", f"has no {key}")
        elif type(value) is not str:
            found.add("wrong_type", f"has a {key} of type {_type(value)}, expected string")
        elif not value or value.isspace():
            found.add(_EMPTY_SIDE[key], f"has an empty {key}")


_EMPTY_SIDE = {"prompt": "empty_message", "completion": "empty_answer"}


def check_dpo(example: dict[str, Any], found: Found) -> None:
    """`{"input": {"messages": [...]}, "preferred_output": [m], "non_preferred_output": [m]}`"""
    if len(example) > 3:
        _unknown_keys(example, _DPO_KEYS, found)
    given = example.get("input")
    messages = given.get("messages") if isinstance(given, dict) else None
    if not isinstance(given, dict) or type(messages) is not list or not messages:
        found.add("bad_preference", "has no input with a list of messages")
    else:
        _check_messages(messages, check_tools(given, found), found)
    outputs = [_preference(example, key, found) for key in ("preferred_output", _OTHER)]
    if outputs[0] is not None and outputs[0] == outputs[1]:
        found.add("same_preference", "prefers an answer to itself")


_OTHER = "non_preferred_output"


def _preference(example: dict[str, Any], key: str, found: Found) -> dict[str, Any] | None:
    """The one assistant message under `key`, if that is what stands there."""
    output = example.get(key)
    if type(output) is not list or len(output) != 1 or type(output[0]) is not dict:
        found.add("bad_preference", f"needs a list of one assistant message in {key}")
        return None
    message: dict[str, Any] = output[0]
    if message.get("role") != "assistant":
        found.add("bad_preference", f"has another role than assistant in {key}")
        return None
    _check_message(message, 0, found)
    return message


def _unknown_keys(example: dict[str, Any], known: frozenset[str], found: Found) -> None:
    for key in example.keys() - known:
        found.add("unknown_key", f'has the unknown key "{short(key)}"')


def _check_messages(
    messages: list[Any], offered: frozenset[str] | None, found: Found
) -> list[dict[str, Any]]:
    """Check all messages and their order; return the assistant's."""
    answers: list[dict[str, Any]] = []
    calls = Calls(offered)
    asked = False
    for number, message in enumerate(messages, 1):
        if type(message) is not dict:
            text = f"is of type {_type(message)}, expected an object"
            found.add("wrong_type", text, number)
            continue
        role = message.get("role")
        if not _is_plain(message, role):
            _check_message(message, number, found)
            check_calls(message, number, calls, found)
        elif calls.open:
            calls.close(number, found)
        if role == "assistant":
            if not asked and not answers:
                found.add("missing_user", "answers before anyone asked", number)
            answers.append(message)
        elif role == "system" or role == "developer":
            if number > 1 and (asked or answers):
                found.add("system_not_first", f"has the role {role} after others", number)
        else:
            asked = True
    return answers


def _is_plain(message: dict[str, Any], role: Any) -> bool:
    """Role and text alone, nothing to complain about: nearly every message."""
    content = message.get("content")
    return (
        len(message) == 2
        and type(role) is str
        and role in _PLAIN_ROLES
        and type(content) is str
        and content != ""
        and not content.isspace()
    )


def _check_message(message: dict[str, Any], number: int, found: Found) -> None:
    role = message.get("role")
    if role is None:
        found.add("missing_role", "Discriminator 'role' is missing in value", number)
    elif type(role) is not str:
        found.add("wrong_type", f"has a role of type {_type(role)}, expected string", number)
    elif role not in ROLES:
        found.add("unknown_role", f'has the unknown role "{short(role)}"', number)
    role = role if type(role) is str and role in ROLES else "user"
    for key in message.keys() - _ROLE_KEYS.get(role, _MESSAGE_KEYS) - {"weight"}:
        found.add("unknown_key", f'has the unknown key "{short(key)}"', number)
    if not is_name(message.get("name", "x")):
        found.add("bad_name", f"has the name {short(message['name'])!r}", number)
    _check_weight(message, role, number, found)
    _check_content(message, role, number, found)


def _check_weight(message: dict[str, Any], role: str, number: int, found: Found) -> None:
    if "weight" not in message:
        return
    weight = message["weight"]
    if role != "assistant":
        found.add("weight_ignored", f"has a weight but the role {role}", number)
    elif type(weight) is not int or weight not in (0, 1):
        found.add("bad_weight", f"has the weight {short(weight)}, expected 0 or 1", number)


def _check_content(message: dict[str, Any], role: str, number: int, found: Found) -> None:
    content = message.get("content")
    if type(content) is str:
        if not content or content.isspace():
            code = "empty_answer" if role == "assistant" else "empty_message"
            if role != "tool" and "tool_calls" not in message:
                found.add(code, "has an empty content", number)
    elif content is None:
        spoken = ("tool_calls", "function_call", "refusal")
        if role == "assistant" and any(message.get(key) for key in spoken):
            return
        code, text = (
            ("content_null", "has the content null")
            if "content" in message
            else ("missing_content", "has no content")
        )
        found.add(code, text, number)
    elif type(content) is list:
        _check_parts(content, number, found)
    else:
        text = f"has a content of type {_type(content)}, expected string"
        found.add("wrong_type", text, number)


def _check_parts(parts: list[Any], number: int, found: Found) -> None:
    if not parts:
        found.add("bad_content_part", "has an empty list as content", number)
    for part in parts:
        kind = part.get("type") if isinstance(part, dict) else None
        if not isinstance(part, dict) or not isinstance(kind, str):
            found.add("bad_content_part", "has a content part without a type", number)
        elif kind == "image_url":
            found.add("image_part", "holds a picture", number)
        elif kind not in ("text", "refusal"):
            found.add("bad_content_part", f'has a content part "{short(kind)}"', number)
        elif type(part.get(kind)) is not str:
            found.add("bad_content_part", f"has a {kind} part without {kind}", number)


_TYPES = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}


def _type(value: Any) -> str:
    """JSON's name of a value's type."""
    return _TYPES.get(type(value), "number")


def short(value: Any, limit: int = 40) -> str:
    """A value as text for a message, cut."""
    text = value if isinstance(value, str) else str(value)[: limit + 1]
    return text if len(text) <= limit else text[:limit] + "…"


CHECKS: dict[Kind, Callable[[dict[str, Any], Found], None]] = {
    "chat": check_chat,
    "completion": check_completion,
    "dpo": check_dpo,
}
