"""Rows that other hosts and trainers read, back as examples.

For: a dataset that comes home, and `convert_file`: the form is recognised by its keys. Not
for: tables of any columns, see `helpers.datasets.reading`.

    read_row({"prompt": [...], "chosen": [...], "rejected": [...]}).kind       # "dpo"
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from helpers.base import jsonl
from helpers.base.chat_format import END
from helpers.datasets.example import NOWHERE, Provenance, TrainingExample, kind_of
from helpers.datasets.exporting.rows import RESULTS

Row = Mapping[str, Any]
_ROLES = {
    "System": "system", "User": "user", "Chatbot": "assistant", "model": "assistant",
    "function_call": "assistant", "tool_call": "assistant", "observation": "tool",
    "tool_response": "tool",
}  # fmt: skip
UNREADABLE = (ValueError, KeyError, TypeError, IndexError, AttributeError)
"""What a row of another form raises."""
_CALLS = ("function_call", "tool_call")


def rows_of_file(path: Path) -> Iterator[Row]:
    """The objects of a JSONL or Parquet file."""
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        yield from pq.read_table(path).to_pylist()
    else:
        yield from jsonl.read(path)


def read_row(row: Row, source: Provenance = NOWHERE) -> TrainingExample:
    """One row of any known form. Raises `ValueError` or `KeyError` for another."""
    # By keys that no other form has, the most telling first.
    if "kind" in row and "preferred" in row:
        made = _parquet(row)
    elif "contents" in row:
        made = _google(row)
    elif "segments" in row:
        made = _segments(row)
    elif row.get("rejected_response") is not None:
        made = _swift_pair(row)
    elif row.get("chosen") is not None and row.get("rejected") is not None:
        made = _pair(row)
    elif kind_of(dict(row)) == "chat":
        made = _chat(row)
    else:
        made = TrainingExample.of(row)
    return replace(made, source=source)


def _chat(row: Row) -> TrainingExample:
    calls = _CallIds()
    system = row.get("system")
    messages = calls.messages(row["messages"])
    # Bedrock's Nova gives a list of parts.
    if isinstance(system, list):
        system = "".join(part["text"] for part in system)
    if isinstance(system, str):
        messages.insert(0, {"role": "system", "content": system})
    own = ("schemaVersion", "system", "tools")
    rest = {key: value for key, value in row.items() if key not in own}
    made: dict[str, Any] = {**rest, "messages": messages}
    if tools := _tools(row.get("tools")):
        made["tools"] = tools
    return TrainingExample.of(made)


def _pair(row: Row) -> TrainingExample:
    chosen, rejected = row["chosen"], row["rejected"]
    if isinstance(row.get("prompt"), str):
        asked = [{"role": "user", "content": row["prompt"]}]
        sides = [{"role": "assistant", "content": text} for text in (chosen, rejected)]
        return _dpo(row, asked, *sides)
    asked = row.get("prompt") or row.get("messages") or []
    if isinstance(chosen, list):
        # Without a prompt of its own, it is what both sides begin with.
        asked = asked or chosen[:-1]
        chosen, rejected = chosen[-1], rejected[-1]
    return _dpo(row, asked, chosen, rejected)


def _swift_pair(row: Row) -> TrainingExample:
    *asked, answer = row["messages"]
    rejected = {"role": "assistant", "content": row["rejected_response"]}
    return _dpo(row, asked, answer, rejected)


def _dpo(row: Row, asked: Sequence[Row], chosen: Row, rejected: Row) -> TrainingExample:
    calls = _CallIds()
    given: dict[str, Any] = {"messages": calls.messages(asked)}
    if tools := _tools(row.get("tools")):
        given["tools"] = tools
    outputs = [calls.message(side) for side in (chosen, rejected)]
    sides = dict(zip(("preferred_output", "non_preferred_output"), outputs, strict=True))
    return TrainingExample.of({"input": given, **{key: [side] for key, side in sides.items()}})


class _CallIds:
    """Messages in OpenAI's form; calls without an id get one, and answers that of their call."""

    def __init__(self) -> None:
        self._made = 0
        self._open: list[str] = []

    def messages(self, given: Sequence[Row]) -> list[dict[str, Any]]:
        """The messages of a chat; calls and answers of one turn together, as OpenAI has them."""
        made: list[dict[str, Any]] = []
        for number, row in enumerate(given):
            # LLaMA-Factory has one message for all answers, ms-swift one for each call.
            if row.get("role") == "observation":
                # No more than there are calls: what a tool said may look like what is between.
                answers = row["content"].split(RESULTS, len(self._open) - 1)
                made += [self.message({**row, "content": answer}) for answer in answers]
            elif number and row.get("role") == given[number - 1].get("role") == "tool_call":
                made[-1]["tool_calls"] += self.message(row)["tool_calls"]
            else:
                made.append(self.message(row))
        return made

    def message(self, given: Row) -> dict[str, Any]:
        """One message."""
        row = {key: value for key, value in given.items() if value is not None}
        role = row.get("role", "")
        # ms-swift's word for a weight.
        if "loss" in row:
            weight = 0 if row.pop("loss") is False else 1
            row |= {"weight": weight} if weight == 0 else {}
        made: dict[str, Any] = {**row, "role": _ROLES.get(role, role)}
        if role in _CALLS:
            calls = json.loads(row["content"])
            calls = calls if isinstance(calls, list) else [calls]
            made |= {"content": None, "tool_calls": calls}
        content = made.get("content")
        # Nova's parts, which have no type.
        if isinstance(content, list) and all(isinstance(p, dict) and set(p) == {"text"}
                                             for p in content):  # fmt: skip
            made["content"] = "".join(part["text"] for part in content)
        if made.get("tool_calls"):
            made["tool_calls"] = [self._call(call) for call in made["tool_calls"]]
        elif made["role"] == "tool" and "tool_call_id" not in made:
            # Forms without ids have the answers in the order of the calls.
            made["tool_call_id"] = self._open.pop(0) if self._open else ""
        return made

    def _call(self, call: Row) -> dict[str, Any]:
        # With or without the wrapper {"type": "function", "function": …}.
        function = dict(call.get("function", call))
        if not isinstance(function["arguments"], str):
            function["arguments"] = json.dumps(function["arguments"], ensure_ascii=False)
        function = {key: function[key] for key in ("name", "arguments")}
        self._made += 1
        call_id = call.get("id") or f"call_{self._made}"
        self._open.append(call_id)
        return {"id": call_id, "type": "function", "function": function}


def _tools(held: Any) -> list[Any]:
    """A list of tools, given as such, as JSON text, or as bare functions."""
    listed = json.loads(held) if isinstance(held, str) and held else held or []
    return [t if "function" in t else {"type": "function", "function": t} for t in listed]


def _google(row: Row) -> TrainingExample:
    calls = _CallIds()
    given = row.get("systemInstruction")
    messages = [{"role": "system", "content": _parts_text(given)}] if given else []
    messages += [calls.message(m) for content in row["contents"] for m in _contents(content)]
    declared = [f for tool in row.get("tools") or () for f in tool["functionDeclarations"]]
    body: dict[str, Any] = {"messages": messages}
    if declared:
        body["tools"] = _tools(declared)
    if "completions" not in row:
        return TrainingExample.of(body)
    # Vertex scores both answers: the higher one is preferred.
    ordered = sorted(row["completions"], key=lambda one: -one["score"])
    sides = [[calls.message(m) for m in _contents(one["completion"])] for one in ordered]
    keys = ("preferred_output", "non_preferred_output")
    return TrainingExample.of({"input": body, **dict(zip(keys, sides, strict=True))})


def _parts_text(content: Row) -> str:
    return "".join(part["text"] for part in content["parts"] if "text" in part)


def _contents(content: Row) -> list[dict[str, Any]]:
    answers = [p["functionResponse"] for p in content["parts"] if "functionResponse" in p]
    if answers:
        # Gemini has an answer to a call as a user's part.
        return [{"role": "tool", "content": one["response"]["output"]} for one in answers]
    called = [p["functionCall"] for p in content["parts"] if "functionCall" in p]
    calls = [{"name": call["name"], "arguments": call["args"]} for call in called]
    made: dict[str, Any] = {"role": content["role"], "content": _parts_text(content)}
    return [{**made, "tool_calls": calls} if calls else made]


def _segments(row: Row) -> TrainingExample:
    first, second = row["segments"]
    # The end mark is written into the text for axolotl, and is none of the completion's own words.
    completion = second["text"].removesuffix(END)
    return TrainingExample.of({"prompt": first["text"], "completion": completion})


def _parquet(row: Row) -> TrainingExample:
    preferred, rejected = (_cells(row[k]) if row[k] else None for k in ("preferred", "rejected"))
    tools = json.loads(row["tools"]) if row["tools"] else ()
    return TrainingExample(
        row["kind"],
        tuple(map(_cells, row["messages"])),
        preferred,
        rejected,
        tools=tuple(tools),
        parallel_tool_calls=row["parallel_tool_calls"],
        metadata=json.loads(row["metadata"]) if row["metadata"] else {},
    )


def _cells(cells: Row) -> dict[str, Any]:
    held = {key: value for key, value in cells.items() if value is not None}
    more = json.loads(held.pop("more")) if "more" in held else {}
    parts = json.loads(held.pop("parts")) if "parts" in held else None
    if "tool_calls" in held:
        held["tool_calls"] = json.loads(held["tool_calls"])
    return {**held, **({"content": parts} if parts else {}), **more}
