"""The rows of an example as each target reads them.

For: one example in, no row, one, or one for each answer in it, out. Not for: files and their
settings, see `export`.

    rows_of(TrainingExample.of(example), "mistral")     # [{"messages": [...]}]
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from helpers.base.chat_format import SYSTEM_ROLES, is_result, text_of
from helpers.base.tool_format import in_order
from helpers.datasets.example import TrainingExample
from helpers.datasets.exporting import features
from helpers.datasets.exporting.targets import Target, target_of

Message = Mapping[str, Any]
Row = dict[str, Any]
JOIN = "\n\n"
"""Between messages of one role that become one."""
ID_LETTERS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def rows_of(example: TrainingExample, target: Target | str) -> list[Row]:
    """What a target gets of an example; nothing if it has no form for it."""
    target = target_of(target) if isinstance(target, str) else target
    return [_WRITERS[target.name](part) for part in parts_of(example, target)]


def parts_of(example: TrainingExample, target: Target) -> list[TrainingExample]:
    """The same before they are written: rewritten and unrolled as the target needs it."""
    fates = {target.fate(name) for name in features.of(example)}
    if "row left out" in fates:
        return []
    made = _plain(example) if target.fate("parts") == "rewritten" else example
    # After `_plain`: by then every system role has one name.
    if target.fate("same_role") == "rewritten":
        made = _alternating(made)
    return _unrolled(made) if "unrolled" in fates else [made]


def _plain(example: TrainingExample) -> TrainingExample:
    """Messages of text alone, with the roles that every reader knows."""
    preferred, rejected = (
        _plain_message(m) if m is not None else None for m in (example.preferred, example.rejected)
    )
    return replace(
        example,
        messages=tuple(map(_plain_message, _ordered(example.messages))),
        preferred=preferred,
        rejected=rejected,
        parallel_tool_calls=None,
        metadata={},
    )


def _ordered(messages: Sequence[Message]) -> Iterator[Message]:
    """Tools' answers in the order of their calls, as here: most forms have no ids to tell them."""
    calls: Any = None
    for results, group in itertools.groupby(messages, is_result):
        listed = list(group)
        yield from in_order(listed, calls) if results else listed
        calls = listed[-1].get("tool_calls")


def _plain_message(message: Message) -> Row:
    calls = message.get("tool_calls")
    made: Row = {
        "role": "system" if message["role"] in SYSTEM_ROLES else message["role"],
        "content": text_of({**message, "tool_calls": None}),
    }
    kept = {key: message[key] for key in ("weight", "tool_call_id") if key in message}
    return {**made, **kept, **({"tool_calls": calls} if calls else {})}


def _alternating(example: TrainingExample) -> TrainingExample:
    """One system message in front, and neighbours of one role as one message."""
    systems = [m for m in example.messages if m["role"] == "system"]
    made: list[Row] = []
    if systems and example.kind != "completion":
        made.append({"role": "system", "content": JOIN.join(m["content"] for m in systems)})
    for message in example.messages:
        last = made[-1] if made else {}
        if message["role"] == "system":
            continue
        # Tools' answers are never joined: each belongs to a call.
        if last.get("role") == message["role"] in ("user", "assistant"):
            texts = [text for text in (last["content"], message["content"]) if text]
            calls = [*last.get("tool_calls", ()), *message.get("tool_calls", ())]
            made[-1] = {**last, **message, "content": JOIN.join(texts)}
            made[-1] |= {"tool_calls": calls} if calls else {}
        else:
            made.append(dict(message))
    return replace(example, messages=tuple(made))


def _unrolled(example: TrainingExample) -> list[TrainingExample]:
    """One chat for each answer that is learnt, which ends with it."""
    made = []
    for place, message in enumerate(example.messages):
        if message["role"] == "assistant" and message.get("weight", 1) != 0:
            # Answers before the last are context in this row; each has a row in which it is learnt.
            before = [{**m, "weight": 0} if m["role"] == "assistant" else m
                      for m in example.messages[:place]]  # fmt: skip
            made.append(replace(example, messages=(*before, message)))
    return made


def _without(messages: Sequence[Message], *keys: str) -> list[Row]:
    return [{k: v for k, v in message.items() if k not in keys} for message in messages]


def _openai(example: TrainingExample) -> Row:
    return example.as_json()


def short_id(call_id: str) -> str:
    """Nine letters and digits for the id of a call, the same ones each time."""
    # By hash: the call and its answer are shortened apart, and must stay equal.
    number = int.from_bytes(hashlib.sha256(call_id.encode("utf-8", "surrogatepass")).digest()[:8])
    letters = []
    for _ in range(9):
        number, digit = divmod(number, len(ID_LETTERS))
        letters.append(ID_LETTERS[digit])
    return "".join(letters)


def _mistral(example: TrainingExample) -> Row:
    made = []
    for message in example.messages:
        row = dict(message)
        if row.get("tool_calls"):
            row["tool_calls"] = [{**c, "id": short_id(c["id"])} for c in row["tool_calls"]]
        if "tool_call_id" in row:
            row["tool_call_id"] = short_id(row["tool_call_id"])
        made.append(row)
    return {"messages": made, **({"tools": list(example.tools)} if example.tools else {})}


def _google(example: TrainingExample) -> Row:
    row: Row = {}
    # Gemini's answers name the function and not the call.
    names: dict[str, str] = {}
    contents: list[Row] = []
    for message in example.messages:
        if message["role"] == "system":
            row["systemInstruction"] = {"role": "system", "parts": [{"text": message["content"]}]}
            continue
        made = _content(message, names)
        # One turn answers all calls of the turn before.
        if message["role"] == "tool" and "functionResponse" in contents[-1]["parts"][0]:
            contents[-1]["parts"] += made["parts"]
        else:
            contents.append(made)
    row["contents"] = contents
    if example.tools:
        functions = [dict(tool["function"]) for tool in example.tools]
        row["tools"] = [{"functionDeclarations": functions}]
    if example.preferred and example.rejected:
        scored = ((1, example.preferred), (0, example.rejected))
        row["completions"] = [{"score": s, "completion": _content(m, names)} for s, m in scored]
    return row


def _content(message: Message, names: dict[str, str]) -> Row:
    """A message as Gemini writes it; `names` keeps which call has which function."""
    parts: list[Row] = []
    if message["role"] == "tool":
        name = names.get(message["tool_call_id"], "")
        answer = {"name": name, "response": {"output": message["content"]}}
        return {"role": "user", "parts": [{"functionResponse": answer}]}
    if message["content"] or not message.get("tool_calls"):
        parts.append({"text": message["content"]})
    for call in message.get("tool_calls", ()):
        function = call["function"]
        names[call["id"]] = function["name"]
        args = json.loads(function["arguments"])
        parts.append({"functionCall": {"name": function["name"], "args": args}})
    return {"role": "model" if message["role"] == "assistant" else "user", "parts": parts}


def _cohere(example: TrainingExample) -> Row:
    roles = {"system": "System", "user": "User", "assistant": "Chatbot"}
    return {
        "messages": [{"role": roles[m["role"]], "content": m["content"]} for m in example.messages]
    }


def _bedrock(example: TrainingExample) -> Row:
    """Nova's form; `claude` makes the other."""
    system = [{"text": m["content"]} for m in example.messages if m["role"] == "system"]
    messages = [
        {"role": m["role"], "content": [{"text": m["content"]}]}
        for m in example.messages
        if m["role"] != "system"
    ]
    row: Row = {"schemaVersion": "bedrock-conversation-2024"}
    return row | ({"system": system} if system else {}) | {"messages": messages}


def claude(nova: Row) -> Row:
    """A row in Nova's form as Claude's fine-tuning on Bedrock takes it."""
    system = "".join(part["text"] for part in nova.get("system", ()))
    said = [{"role": m["role"], "content": m["content"][0]["text"]} for m in nova["messages"]]
    return ({"system": system} if system else {}) | {"messages": said}


def _trl(example: TrainingExample) -> Row:
    if example.kind == "completion":
        return example.as_json()
    tools = {"tools": list(example.tools)} if example.tools else {}
    messages = [_parsed(message) for message in example.messages]
    if example.preferred and example.rejected:
        chosen, rejected = _parsed(example.preferred), _parsed(example.rejected)
        return {"prompt": messages, "chosen": [chosen], "rejected": [rejected], **tools}
    return {"messages": messages, **tools}


def _parsed(message: Message) -> Row:
    """A message whose arguments are objects, as templates of Hugging Face expect them."""
    calls = message.get("tool_calls")
    if not calls:
        return dict(message)
    parsed = [
        {**c, "function": {**c["function"], "arguments": json.loads(c["function"]["arguments"])}}
        for c in calls
    ]
    return {**message, "tool_calls": parsed}


def _axolotl(example: TrainingExample) -> Row:
    if example.kind == "completion":
        prompt, completion = (m["content"] for m in example.messages)
        return {
            "segments": [
                {"label": False, "text": prompt},
                # This target trains on the segments as they are and adds no end mark.
                {"label": True, "text": f"{completion}<|im_end|>"},
            ]
        }
    tools = {"tools": list(example.tools)} if example.tools else {}
    if example.preferred and example.rejected:
        sides = {"chosen": dict(example.preferred), "rejected": dict(example.rejected)}
        return {"messages": _without(example.messages, "weight"), **sides, **tools}
    # axolotl reads a missing weight as "not learnt".
    weighed = [
        {**m, "weight": m.get("weight", 1)} if m["role"] == "assistant" else dict(m)
        for m in example.messages
    ]
    return {"messages": weighed, **tools}


RESULTS = "\n</tool_response>\n<tool_response>\n"
"""Between the answers of several tools in one message, as the model reads them."""


def _llamafactory(example: TrainingExample) -> Row:
    messages: list[Row] = []
    for message in map(_sharegpt, example.messages):
        # A row with two answers of tools in a row would be left out.
        if messages and messages[-1]["role"] == message["role"] == "observation":
            messages[-1]["content"] += RESULTS + message["content"]
        else:
            messages.append(message)
    # The column of tools that dataset_info.json names must be there, also where it is empty.
    row: Row = {"messages": messages, "tools": ""}
    if example.tools:
        row["tools"] = json.dumps([t["function"] for t in example.tools], ensure_ascii=False)
    if example.preferred and example.rejected:
        row |= {"chosen": _sharegpt(example.preferred), "rejected": _sharegpt(example.rejected)}
    return row


def _sharegpt(message: Message) -> Row:
    if message.get("tool_calls"):
        return {"role": "function_call", "content": _calls_text(message)}
    role = "observation" if message["role"] == "tool" else message["role"]
    return {"role": role, "content": message["content"]}


def _calls_text(message: Message) -> str:
    """Calls as JSON: name and arguments; one call stands without brackets."""
    calls = [
        {"name": c["function"]["name"], "arguments": json.loads(c["function"]["arguments"])}
        for c in message["tool_calls"]
    ]
    return json.dumps(calls[0] if len(calls) == 1 else calls, ensure_ascii=False)


def _torchtune(example: TrainingExample) -> Row:
    if example.preferred and example.rejected:
        messages = _without(example.messages, "weight")
        sides = {"chosen": example.preferred, "rejected": example.rejected}
        return {k: [*messages, *_without([m], "weight")] for k, m in sides.items()}
    return {"messages": [dict(message) for message in example.messages]}


def _swift(example: TrainingExample) -> Row:
    messages: list[Row] = []
    for message in example.messages:
        loss = {"loss": message.get("weight", 1) != 0} if message["role"] == "assistant" else {}
        # ms-swift has one message a call.
        if message.get("tool_calls"):
            for call in message["tool_calls"]:
                text = _calls_text({"tool_calls": [call]})
                messages.append({"role": "tool_call", "content": text, **loss})
        else:
            role = "tool_response" if message["role"] == "tool" else message["role"]
            messages.append({"role": role, "content": message["content"], **loss})
    row: Row = {"messages": messages}
    if example.tools:
        row["tools"] = json.dumps(list(example.tools), ensure_ascii=False)
    if example.preferred and example.rejected:
        answer = {"role": "assistant", "content": example.preferred["content"]}
        row["messages"] = [*_without(messages, "loss"), answer]
        row["rejected_response"] = example.rejected["content"]
    return row


def _mlx(example: TrainingExample) -> Row:
    return {"messages": _without(example.messages, "weight")}


def _parquet(example: TrainingExample) -> Row:
    """Flat columns of one type each; what has no fixed form is JSON text."""
    row: Row = {
        "messages": [_cells(message) for message in example.messages],
        "preferred": _cells(example.preferred) if example.preferred else None,
        "rejected": _cells(example.rejected) if example.rejected else None,
        "kind": example.kind,
        "tools": json.dumps(list(example.tools), ensure_ascii=False) if example.tools else None,
        "parallel_tool_calls": example.parallel_tool_calls,
    }
    held = json.dumps(dict(example.metadata), ensure_ascii=False) if example.metadata else None
    return {**row, "metadata": held}


CELLS = ("role", "content", "weight", "name", "tool_call_id")
JSON_CELLS = ("tool_calls", "parts", "more")


def _cells(message: Message) -> Row:
    content = message.get("content")
    parts = content if isinstance(content, list) else None
    # One column has one type: text in `content`, lists as JSON in `parts`.
    flat = {key: message.get(key) for key in CELLS} | {"content": None if parts else content}
    more = {k: v for k, v in message.items() if k not in (*CELLS, "tool_calls")}
    inner = {"tool_calls": message.get("tool_calls"), "parts": parts, "more": more}
    texts = {k: json.dumps(v, ensure_ascii=False) if v else None for k, v in inner.items()}
    return {**flat, **texts}


_WRITERS: dict[str, Callable[[TrainingExample], Row]] = {
    "openai": _openai, "azure": _openai, "together": _openai, "fireworks": _openai,
    "mistral": _mistral, "google": _google, "cohere": _cohere, "bedrock": _bedrock,
    "trl": _trl, "unsloth": _trl, "axolotl": _axolotl, "llamafactory": _llamafactory,
    "torchtune": _torchtune, "ms-swift": _swift, "mlx-lm": _mlx, "oumi": _mlx,
    "safe": _mlx, "datasets": _parquet,
}  # fmt: skip
