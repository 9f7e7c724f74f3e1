"""What an example asks of whoever trains on it: roles, weights, tools, and so on.

For: saying, before anything is written, which rows a target cannot carry. Not for: defects,
see `helpers.datasets.validation`.

    of(TrainingExample.of({"prompt": "When?", "completion": " At 9."}))     # {"completion"}
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from helpers.base.chat_format import SYSTEM_ROLES, text_of
from helpers.datasets.example import TrainingExample
from helpers.datasets.validation.schema import special_token


@dataclass(frozen=True)
class Feature:
    """One thing that examples may hold. Losing one of `meaning` teaches something else."""

    what: str
    meaning: bool


FEATURES = {
    "chat": Feature("a chat", meaning=True),
    "preference": Feature("a preference between two answers", meaning=True),
    "completion": Feature("a prompt and its completion, without a chat template", meaning=True),
    "weight_0": Feature("an answer of weight 0, which is not learnt", meaning=True),
    "several_answers": Feature("several answers to be learnt", meaning=True),
    "tools": Feature("a list of tools", meaning=True),
    "tool_calls": Feature("a call of a tool", meaning=True),
    "several_calls": Feature("several calls in one message", meaning=True),
    "text_and_call": Feature("text and a call in one message", meaning=True),
    "tool_answers": Feature("a tool's answer", meaning=True),
    "preferred_call": Feature("a call in one of the compared answers", meaning=True),
    "picture": Feature("a picture, sound or file", meaning=True),
    "marks": Feature("a text that reads like a mark of a chat format", meaning=True),
    "developer": Feature("the role developer", meaning=False),
    "late_system": Feature("a system message after others", meaning=False),
    "no_system": Feature("no system message", meaning=False),
    "mixed_answers": Feature("two answers in a row, one of them of weight 0", meaning=True),
    "answer_first": Feature("an answer before any question", meaning=True),
    "same_role": Feature("two messages of one role in a row", meaning=False),
    "parts": Feature("a content that is a list of parts", meaning=False),
    "refusal": Feature("a refusal beside the content", meaning=False),
    "name": Feature("a speaker's name", meaning=False),
    "parallel_tool_calls": Feature("the switch parallel_tool_calls", meaning=False),
    "metadata": Feature("metadata", meaning=False),
}


def of(example: TrainingExample) -> frozenset[str]:
    """The names of what stands in an example, as in `FEATURES`."""
    kind = "preference" if example.kind == "dpo" else example.kind
    return frozenset({kind, *_around(example), *_order(example), *_inside(example)})


def _around(example: TrainingExample) -> Iterator[str]:
    learnt = [m for m in example.messages if m["role"] == "assistant"]
    if example.kind == "chat":
        zero = [m for m in learnt if m.get("weight") == 0]
        yield from ["weight_0"] if zero else []
        yield from ["several_answers"] if len(learnt) - len(zero) > 1 else []
    if example.tools:
        yield "tools"
    if example.parallel_tool_calls is not None:
        yield "parallel_tool_calls"
    if example.metadata:
        yield "metadata"


def _order(example: TrainingExample) -> Iterator[str]:
    if example.kind == "completion":
        return
    # "developer" is the newer name of "system".
    roles = ["system" if m["role"] in SYSTEM_ROLES else m["role"] for m in example.messages]
    if "developer" in (m["role"] for m in example.messages):
        yield "developer"
    if roles[0] != "system":
        yield "no_system"
    if "system" in roles[1:]:
        yield "late_system"
    spoken = [m for m, role in zip(example.messages, roles, strict=True) if role != "system"]
    if spoken and spoken[0]["role"] == "assistant":
        yield "answer_first"
    for one, other in itertools.pairwise(spoken):
        # Several tools may answer one after the other.
        if one["role"] == other["role"] != "tool":
            yield "same_role" if _weight(one) == _weight(other) else "mixed_answers"
            # As one message they have both.
            yield from ["text_and_call"] if other.get("tool_calls") and text_of(one) else []


def _weight(message: Mapping[str, Any]) -> Any:
    return message.get("weight", 1)


def _inside(example: TrainingExample) -> Iterator[str]:
    if any(m and m.get("tool_calls") for m in (example.preferred, example.rejected)):
        yield "preferred_call"
    for message in example.said:
        if message.get("tool_calls"):
            yield "tool_calls"
            yield from ["several_calls"] if len(message["tool_calls"]) > 1 else []
            # `text_of` would write the calls too.
            yield from ["text_and_call"] if text_of({**message, "tool_calls": None}) else []
        if message["role"] == "tool":
            yield "tool_answers"
        if isinstance(message.get("content"), list):
            yield "parts"
            yield from ["picture"] if any(map(_is_picture, message["content"])) else []
        for key in ("refusal", "name"):
            if message.get(key):
                yield key
        if special_token(text_of(message)):
            yield "marks"


def _is_picture(part: Mapping[str, Any]) -> bool:
    return part.get("type") not in ("text", "refusal")
