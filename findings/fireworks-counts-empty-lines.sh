#!/usr/bin/env bash
# fireworks-ai 1.2.30: count_dataset_examples counts line ends, an empty last line among them.
# One would guess 2 for two examples, as for JSON Lines an empty line holds no value. It says 3.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/env"

"$dir/env/bin/pip" install -q fireworks-ai==1.2.30
printf '{"messages": []}\n{"messages": []}\n\n' > "$dir/rows.jsonl"
"$dir/env/bin/python" - "$dir/rows.jsonl" <<'PY'
import sys
from importlib.metadata import version

from fireworks.lib.dataset_upload import count_dataset_examples

found = count_dataset_examples(sys.argv[1])
print("fireworks-ai", version("fireworks-ai"), found)
assert found == 3
PY
