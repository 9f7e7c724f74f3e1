"""Questions of the support desk with its three tools, and the calls in their answers."""

from __future__ import annotations

import json

from helpers.base import jsonl
from tests.places import ROOT

DATA = ROOT / "data" / "support"
ROWS = list(jsonl.read(DATA / "tool_calls.jsonl"))
SYSTEM, TOOLS = ROWS[0]["messages"][0], ROWS[0]["tools"]


def asked(client, model, question, **more):
    turns = [SYSTEM, {"role": "user", "content": question}]
    options = {"tools": TOOLS, "temperature": 0, "max_completion_tokens": 60, **more}
    reply = client.chat.completions.create(model=model, messages=turns, **options)
    return reply.choices[0].message


def call_in(message):
    """Name and arguments of the one call; None if there is none, or there are several."""
    if not message.tool_calls or len(message.tool_calls) > 1:
        return None
    call = message.tool_calls[0]
    return {"name": call.function.name, "arguments": json.loads(call.function.arguments)}
