"""OpenAI's published checks of a chat file, written anew from their description.

For: being measured against. The whole file becomes a list, each message is checked for
its keys, role and content, then every example's and every answer's tokens are counted.
Not for: use; `helpers.datasets.validation.file` finds more.

    outcome = check_file(path, encoding.encode)
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KEYS = ("role", "content", "name", "function_call", "weight")
ROLES = ("system", "user", "assistant", "function")

Encode = Callable[[str], Sequence[int]]


@dataclass(frozen=True)
class CheckResult:
    """Errors by kind, and the lengths that are printed as a distribution."""

    errors: dict[str, int]
    example_tokens: list[int]
    answer_tokens: list[int]


def check_file(path: Path, encode: Encode | None) -> CheckResult:
    """Load, check the format, and count tokens where `encode` is given."""
    with path.open(encoding="utf-8") as stream:
        dataset = [json.loads(line) for line in stream]
    errors = check_format(dataset)
    if encode is None:
        return CheckResult(errors, [], [])
    return CheckResult(
        errors,
        [example_tokens(example["messages"], encode) for example in dataset],
        [answer_tokens(example["messages"], encode) for example in dataset],
    )


def check_format(dataset: list[Any]) -> dict[str, int]:
    """Count the defects that the published checks know."""
    errors: Counter[str] = Counter()
    for example in dataset:
        if not isinstance(example, dict):
            errors["data_type"] += 1
            continue
        messages = example.get("messages", None)
        if not messages:
            errors["missing_messages_list"] += 1
            continue
        for message in messages:
            _check_message(message, errors)
        if not any(message.get("role", None) == "assistant" for message in messages):
            errors["example_missing_assistant_message"] += 1
    return dict(errors)


def _check_message(message: dict[str, Any], errors: Counter[str]) -> None:
    if "role" not in message or "content" not in message:
        errors["message_missing_key"] += 1
    if any(key not in KEYS for key in message):
        errors["message_unrecognized_key"] += 1
    if message.get("role") not in ROLES:
        errors["unrecognized_role"] += 1
    content = message.get("content")
    function_call = message.get("function_call")
    if (not content and not function_call) or not isinstance(content, str):
        errors["missing_content"] += 1


def example_tokens(messages: list[dict[str, Any]], encode: Encode) -> int:
    """Tokens of all values of all messages, three more a message and three at the end."""
    total = 3
    for message in messages:
        total += 3
        for key, value in message.items():
            total += len(encode(value)) + (key == "name")
    return total


def answer_tokens(messages: list[dict[str, Any]], encode: Encode) -> int:
    """Tokens of the assistant's messages."""
    return sum(len(encode(m["content"])) for m in messages if m["role"] == "assistant")
