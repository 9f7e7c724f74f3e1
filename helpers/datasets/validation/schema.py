"""What one example of a dataset must look like, for each of the three formats.

For: finding every defect inside one parsed line. Messages begin with the place, as the
hosted service words it: "Example 4, message 2 Discriminator 'role' is missing in value".
Not for: files, line numbers and totals, see `helpers.datasets.validation.file`.

    found = ProblemCollector(example=4)
    check_chat({"messages": [{"content": "Hello"}]}, found)
    found.items     # [("missing_role", "Example 4, message 1 …"), …]
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Protocol

from helpers.base import jsonl
from helpers.base.chat_format import text_of
from helpers.datasets.example import Kind

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


_SPECIAL = re.compile(
    r"<\|[^|<>\s]{1,40}\|>"  # ChatML, Llama 3, Phi, OpenAI
    r"|<(?:repo_name|reponame|file_sep|filename|gh_stars|issue_(?:start|comment|closed)"
    r"|jupyter_(?:start|text|code|output|script)|empty_output)>"  # SmolLM2
    r"|<(?:start|end)_of_turn>|\[/?INST\]|<</?SYS>>"  # Gemma, Llama 2, Mistral
    r"|<(?:bos|eos|pad|unk)>|<\uff5c[^\uff5c<>\s]{1,40}\uff5c>"  # Gemma, T5, DeepSeek
)
_LLAMA_ENDS = re.compile(r"\A\s*<s>|</s>\s*\Z")
"""Llama's first and last mark; in pairs, HTML strikes out what stands between."""


def special_token(text: str) -> str | None:
    """The first piece of a text that reads like a mark of a chat format, or None."""
    if "<" not in text and "[" not in text:
        return None
    if found := _SPECIAL.search(text):
        return found[0]
    ends = _LLAMA_ENDS.search(text) if "s>" in text else None
    struck_out = text.count("<s>") == text.count("</s>")
    return None if ends is None or struck_out else ends[0].strip()


class ProblemCollector:
    """Collects the problems of one example; `example` counts from 1."""

    def __init__(self, example: int) -> None:
        self.example = example
        self.items: list[tuple[str, str]] = []

    def add(self, code: str, text: str, message: int = 0) -> None:
        """Note a problem of the whole example, or of one message (from 1)."""
        where = f", message {message}" if message else ""
        self.items.append((code, f"Example {self.example}{where} {text}"))


def check_chat(example: dict[str, Any], found: ProblemCollector) -> None:
    """`{"messages": [...], "tools"?, "parallel_tool_calls"?, "functions"?}`"""
    # Without further keys no tool is offered, so any call is one of an unknown tool.
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


def check_completion(example: dict[str, Any], found: ProblemCollector) -> None:
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
        elif mark := special_token(value):
            found.add("special_token", f'holds "{mark}" in its {key}')


_EMPTY_SIDE = {"prompt": "empty_message", "completion": "empty_answer"}


def check_dpo(example: dict[str, Any], found: ProblemCollector) -> None:
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


def _preference(
    example: dict[str, Any], key: str, found: ProblemCollector
) -> dict[str, Any] | None:
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
    _check_marks(message, 0, found)
    return message


def _unknown_keys(example: dict[str, Any], known: frozenset[str], found: ProblemCollector) -> None:
    for key in example.keys() - known:
        found.add("unknown_key", f'has the unknown key "{short(key)}"')


def _check_messages(
    messages: list[Any], offered: frozenset[str] | None, found: ProblemCollector
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
        # The careful checks cost time, and nearly every message passes the quick one.
        if not _is_plain(message, role):
            _check_message(message, number, found)
            check_calls(message, number, calls, found)
        elif calls.open:
            calls.close(number, found)
        _check_marks(message, number, found)
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


def _check_marks(message: dict[str, Any], number: int, found: ProblemCollector) -> None:
    if mark := special_token(text_of(message)):
        found.add("special_token", f'holds "{mark}"', number)


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


def _check_message(message: dict[str, Any], number: int, found: ProblemCollector) -> None:
    role = message.get("role")
    if role is None:
        found.add("missing_role", "Discriminator 'role' is missing in value", number)
    elif type(role) is not str:
        found.add("wrong_type", f"has a role of type {_type(role)}, expected string", number)
    elif role not in ROLES:
        found.add("unknown_role", f'has the unknown role "{short(role)}"', number)
    # An unknown role is judged as a user's: one defect must not be reported as several.
    role = role if type(role) is str and role in ROLES else "user"
    for key in message.keys() - _ROLE_KEYS.get(role, _MESSAGE_KEYS) - {"weight"}:
        found.add("unknown_key", f'has the unknown key "{short(key)}"', number)
    if not is_name(message.get("name", "x")):
        found.add("bad_name", f"has the name {short(message['name'])!r}", number)
    _check_weight(message, role, number, found)
    _check_content(message, role, number, found)


def _check_weight(message: dict[str, Any], role: str, number: int, found: ProblemCollector) -> None:
    if "weight" not in message:
        return
    weight = message["weight"]
    if role != "assistant":
        found.add("weight_ignored", f"has a weight but the role {role}", number)
    # `type` and not `isinstance`: in Python, true is an integer.
    elif type(weight) is not int or weight not in (0, 1):
        found.add("bad_weight", f"has the weight {short(weight)}, expected 0 or 1", number)


def _check_content(
    message: dict[str, Any], role: str, number: int, found: ProblemCollector
) -> None:
    content = message.get("content")
    if type(content) is str:
        if not text_of(message).strip():
            code = "empty_answer" if role == "assistant" else "empty_message"
            # A tool may well answer nothing.
            if role != "tool":
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
        if _says_nothing(message, content):
            code = "empty_answer" if role == "assistant" else "empty_message"
            found.add(code, "has only empty parts as content", number)
    else:
        text = f"has a content of type {_type(content)}, expected string"
        found.add("wrong_type", text, number)


def _says_nothing(message: dict[str, Any], parts: list[Any]) -> bool:
    """Whether sound text parts hold no text between them."""
    sound = all(
        isinstance(part, dict)
        and part.get("type") in ("text", "refusal")
        and isinstance(part.get(part["type"]), str)
        for part in parts
    )
    return bool(parts) and sound and not text_of(message).strip()


def _check_parts(parts: list[Any], number: int, found: ProblemCollector) -> None:
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
    # Cut before it becomes text again: a nested value may be megabytes long.
    text = value if isinstance(value, str) else str(value)[: limit + 1]
    return text if len(text) <= limit else text[:limit] + "…"


CHECKS: dict[Kind, Callable[[dict[str, Any], ProblemCollector], None]] = {
    "chat": check_chat,
    "completion": check_completion,
    "dpo": check_dpo,
}


_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


class Collector(Protocol):
    """Where problems go: `ProblemCollector`."""

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
