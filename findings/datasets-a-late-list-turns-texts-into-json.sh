#!/usr/bin/env bash
# datasets 5.2.0: a list of parts after the first 10 MB of a JSON Lines file changes the texts
# around it. One would guess an error, or each content as it was written. Instead every text of
# the block around the list comes back as JSON: hello becomes "hello", with its quotation marks.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/env"

"$dir/env/bin/pip" install -q datasets==5.2.0
HF_HOME="$dir/hf" "$dir/env/bin/python" - "$dir" <<'PY'
import json
import sys
from importlib.metadata import version
from pathlib import Path

from datasets import load_dataset

path = Path(sys.argv[1]) / "rows.jsonl"
row = {"messages": [{"role": "user", "content": "hello " * 100}]}
odd = {"messages": [{"role": "user", "content": [{"type": "text", "text": "hello"}]}]}
lines = [json.dumps(row)] * 40_000
lines[30_000] = json.dumps(odd)
path.write_text("\n".join(lines) + "\n")
found = load_dataset("json", data_files=str(path), split="train")
texts = [one["messages"][0]["content"] for one in found]
quoted = sum(isinstance(text, str) and text.startswith('"') for text in texts)
print("datasets", version("datasets"), quoted, "texts came back in quotation marks, of", len(texts))
assert not str(texts[0]).startswith('"') and quoted > 1000
PY
