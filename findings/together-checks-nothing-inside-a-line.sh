#!/usr/bin/env bash
# together 3.1.1: the check before an upload looks at nothing inside a line.
# One would guess that a line without any message, or with an unknown role, is refused, and that
# the report leaves open what was not looked at. The file passes, and the report says True.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/env"

"$dir/env/bin/pip" install -q together==3.1.1
cat > "$dir/rows.jsonl" <<'ROWS'
{"messages": [{"role": "user", "content": "When?"}, {"role": "assistant", "content": "At 9."}]}
{"messages": [{"role": "robot", "content": "When?"}]}
{"colour": "blue"}
ROWS
"$dir/env/bin/python" - "$dir/rows.jsonl" <<'PY'
import sys
from importlib.metadata import version
from pathlib import Path

from together.lib.utils import check_file

report = check_file(Path(sys.argv[1]))
print("together", version("together"), report)
assert report["is_check_passed"] and report["num_samples"] == 3
assert report["text_field"] is True and report["key_value"] is True
PY
