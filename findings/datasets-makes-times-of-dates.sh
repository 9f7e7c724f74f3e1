#!/usr/bin/env bash
# datasets 5.2.0: a column of a JSON Lines file whose texts are all dates comes back as times.
# One would guess that JSON's texts stay texts, as Python's own reader keeps them. A trainer that
# joins them to a prompt fails, or learns "2027-01-06 00:00:00" where "2027-01-06" was written.
# One row that is no date keeps the whole column text.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/env"

"$dir/env/bin/pip" install -q datasets==5.2.0
cd "$dir" && HF_HOME="$dir/hf" "$dir/env/bin/python" - <<'PY'
import json
from importlib.metadata import version

from datasets import load_dataset


def read(name, answers):
    with open(name, "w", encoding="utf-8") as stream:
        for answer in answers:
            stream.write(json.dumps({"prompt": "When?", "completion": answer}) + "\n")
    return load_dataset("json", data_files=name, split="train")


dates = read("dates.jsonl", ["2027-01-06", "2027-02-07"])
mixed = read("mixed.jsonl", ["2027-01-06", "On Monday."])
print("datasets", version("datasets"), dates.features["completion"], dates[0], mixed[0])
assert dates.features["completion"].dtype == "timestamp[s]"
assert str(dates[0]["completion"]) == "2027-01-06 00:00:00"
assert mixed[0]["completion"] == "2027-01-06"
PY
