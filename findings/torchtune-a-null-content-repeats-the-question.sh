#!/usr/bin/env bash
# torchtune 0.6.1: a tool call whose content is null teaches the model to repeat the question.
# One would guess an error, or an empty answer. OpenAIToMessages keeps the content of the message
# before, so the assistant's message is a copy of the user's, and it is learnt.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/env"

"$dir/env/bin/pip" install -q torchtune==0.6.1 torchao==0.9.0 torch==2.13.0
"$dir/env/bin/python" - 2> "$dir/log" <<'PY' || { cat "$dir/log"; exit 1; }
from importlib.metadata import version

from torchtune.data import OpenAIToMessages

call = {"id": "c", "type": "function", "function": {"name": "hours", "arguments": "{}"}}
said = [
    {"role": "user", "content": "When do you open?"},
    {"role": "assistant", "content": None, "tool_calls": [call]},
]
made = OpenAIToMessages()({"messages": said})["messages"]
print("torchtune", version("torchtune"), [(m.role, m.text_content, m.masked) for m in made])
assert made[1].text_content == "When do you open?" and not made[1].masked
PY
