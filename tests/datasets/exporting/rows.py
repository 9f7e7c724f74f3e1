"""One sound example for each thing that examples may hold; the peers read the same ones."""

from __future__ import annotations

import itertools
import json
from typing import Any

from helpers.datasets.example import TrainingExample
from tests.places import ROOT

CASES = ROOT / "tests" / "peers" / "targets" / "cases.json"
EXAMPLES: dict[str, dict[str, Any]] = json.loads(CASES.read_text(encoding="utf-8"))


def canonical(example: TrainingExample, *, weights: bool = True) -> str:
    """The example without what has no meaning: ids of calls, the order in which their answers come
    back, spaces in JSON, null for no text.

    Weights count in chats alone: of a preference, only the compared answers are learnt.
    """
    ids: dict[str, str] = {}
    messages = []
    for message in example.said:
        row = {"content": None, **message}
        row["content"] = row["content"] or ""
        if row.get("weight") == 1 or not weights or example.kind == "dpo":
            row.pop("weight", None)
        for call in row.pop("tool_calls", None) or ():
            ids[call["id"]] = f"call {len(ids)}"
            held = [ids[call["id"]], call["function"]["name"]]
            row.setdefault("calls", []).append([*held, json.loads(call["function"]["arguments"])])
        if "tool_call_id" in row:
            row["tool_call_id"] = ids[row["tool_call_id"]]
        messages.append(row)
    # Answers that follow each other belong to calls by their ids; some targets want their order.
    runs = itertools.groupby(messages, key=lambda row: "tool_call_id" in row)
    messages = [
        row
        for answers, rows in runs
        for row in (sorted(rows, key=lambda one: one["tool_call_id"]) if answers else rows)
    ]
    return json.dumps([example.kind, messages, example.tools, example.parallel_tool_calls,
                       example.metadata], sort_keys=True)  # fmt: skip
