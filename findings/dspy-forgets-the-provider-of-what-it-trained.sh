#!/usr/bin/env bash
# dspy 3.4.1: LM.finetune, on a server that speaks OpenAI's API, gives back an LM that cannot be
# asked: its name lacks the "openai/" that the first one had, and LiteLLM then knows the provider
# of OpenAI's own fine-tuned names alone. One would guess that it answers as the first one does.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/env"

"$dir/env/bin/pip" install -q dspy==3.4.1 litellm==1.110.2 openai==3.57.0
cd "$dir"
HOME=$dir "$dir/env/bin/python" - <<'PY'
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import version

TRAINED = "ft:small-model:desk::1"
JOB = {
    "id": "ftjob-1", "object": "fine_tuning.job", "created_at": 1, "error": None,
    "fine_tuned_model": TRAINED, "finished_at": 2, "hyperparameters": {}, "model": "small-model",
    "organization_id": "o", "result_files": [], "seed": 1, "status": "succeeded",
    "trained_tokens": 1, "training_file": "file-1", "validation_file": None,
}
FILE = {"id": "file-1", "object": "file", "bytes": 1, "created_at": 1, "filename": "a.jsonl"}
CHAT = {
    "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "small-model",
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hello."}}
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}


class Server(BaseHTTPRequestHandler):
    """Trains at once and answers everything alike."""

    def answer(self):
        self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.path.startswith("/v1/files"):
            body = FILE | {"purpose": "fine-tune", "status": "processed"}
        elif "/events" in self.path:
            body = {"object": "list", "data": [], "has_more": False}
        else:
            body = CHAT if "chat" in self.path else JOB
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    do_GET = do_POST = answer

    def log_message(self, *words):
        pass


server = HTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/v1"
os.environ |= {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": "none"}

import dspy
from dspy.clients.utils_finetune import TrainDataFormat

lm = dspy.LM("openai/small-model", api_base=url, api_key="none", cache=False)
assert lm("Hi") == ["Hello."]
rows = [{"messages": [{"role": r, "content": "Hi"} for r in ("user", "assistant")]}]
trained = lm.finetune(rows, TrainDataFormat.CHAT).result()
print("dspy", version("dspy"), "litellm", version("litellm"), trained.model)
assert trained.model == TRAINED
try:
    trained("Hi")
except Exception as error:
    print(str(error).splitlines()[0][:120])
    assert "LLM Provider NOT provided" in str(error)
else:
    raise SystemExit("it answers now")
again = dspy.LM(f"openai/{TRAINED}", api_base=url, api_key="none", cache=False)
assert again("Hi") == ["Hello."]
print("with openai/ before the name it answers")
PY
