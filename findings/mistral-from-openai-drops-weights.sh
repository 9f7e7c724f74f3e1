#!/usr/bin/env bash
# mistral-common 1.13.1: ChatCompletionRequest.from_openai drops the weight of an answer.
# One would guess that a reader of OpenAI's chats keeps a key which the library itself knows
# (FinetuningAssistantMessage has `weight`), or refuses it. It is gone without a word, so an
# answer that must not be learnt can no longer be told from the others.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/env"

"$dir/env/bin/pip" install -q mistral-common==1.13.1
"$dir/env/bin/python" - <<'PY'
from importlib.metadata import version

from mistral_common.protocol.instruct.messages import FinetuningAssistantMessage
from mistral_common.protocol.instruct.request import ChatCompletionRequest

answer = {"role": "assistant", "content": "At 9.", "weight": 0}
request = ChatCompletionRequest.from_openai([{"role": "user", "content": "When?"}, answer])
print("mistral-common", version("mistral-common"), request.messages[-1])
assert "weight" in FinetuningAssistantMessage.model_fields
assert getattr(request.messages[-1], "weight", None) is None
PY
