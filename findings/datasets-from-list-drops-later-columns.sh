#!/usr/bin/env bash
# datasets 5.2.0: Dataset.from_list takes the columns of the first row alone.
# One would guess that a column which only later rows have is there, with None in the first. The
# whole column is gone without a word: in a chat file, every list of tools.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/env"

"$dir/env/bin/pip" install -q datasets==5.2.0
"$dir/env/bin/python" - <<'PY'
from importlib.metadata import version

from datasets import Dataset

rows = [{"text": "a"}, {"text": "b", "tools": ["hours"]}]
found = Dataset.from_list(rows)
print("datasets", version("datasets"), found.column_names, list(found))
assert found.column_names == ["text"]
PY
