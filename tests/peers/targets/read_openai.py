"""The types of openai's own package; its service's checks are not there to be run."""

import json

import reading
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam
from pydantic import TypeAdapter

MESSAGES = TypeAdapter(list[ChatCompletionMessageParam])
TOOLS = TypeAdapter(list[ChatCompletionToolParam])


def read(model, folder):
    made = {}
    for path in sorted(folder.glob("*.jsonl")):
        text = path.read_text(encoding="utf-8-sig")
        rows = [json.loads(line) for line in text.splitlines()]
        for row in rows:
            check(row)
        made[path.stem] = [{"text": ""}] * len(rows)
    return made


def check(row):
    if "prompt" in row:
        return
    given = row.get("input", row)
    sides = [*row.get("preferred_output", ()), *row.get("non_preferred_output", ())]
    MESSAGES.validate_python([*given["messages"], *sides])
    TOOLS.validate_python(given.get("tools", []))


if __name__ == "__main__":
    reading.main("openai", read)
