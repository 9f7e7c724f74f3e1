"""What every reader of an export shares: run with MODEL FOLDER..., it prints one line a folder.

A row is `{"ids": [...], "targets": [...]}`, token by token, or `{"text": ...}` where the package
builds no tokens. An error of the package is an outcome too.
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path

UNMASKED = -100


def rows_of_labels(rows):
    """Token ids, and which of them are learnt, from labels that hold -100 elsewhere."""
    return [
        {
            "ids": [int(i) for i in row["input_ids"]],
            "targets": [int(label) != UNMASKED for label in row["labels"]],
        }
        for row in rows
    ]


def labelled(row):
    """A row of labels, or of two answers with the labels of the better one."""
    if "chosen_input_ids" in row:
        keys = {"input_ids": "chosen_input_ids", "labels": "chosen_labels"}
        (chosen,) = rows_of_labels([{k: row[v] for k, v in keys.items()}])
        return chosen | {"rejected": list(row["rejected_input_ids"])}
    return rows_of_labels([row])[0]


def checked(folder, check):
    """Every row of a folder, for packages that judge a row and build nothing of it."""
    made = {}
    for path in sorted(folder.glob("*.jsonl")):
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        for row in rows:
            check(row)
        made[path.stem] = [{"text": ""}] * len(rows)
    return made


def main(package, read):
    """Read each folder in turn; `read(model, folder)` gives rows by file."""
    model, *folders = map(Path, sys.argv[1:])
    for folder in folders:
        try:
            found = {"files": read(model, folder)}
        except Exception as error:  # noqa: BLE001 - whatever a package raises is the outcome
            found = {"error": f"{type(error).__name__}: {str(error)[:300]}"}
        said = {"folder": folder.name, "package": f"{package} {version(package)}", **found}
        print("RESULT " + json.dumps(said), flush=True)


def kind_of(folder):
    """chat, dpo or completion, from the first row."""
    with (folder / "train.jsonl").open(encoding="utf-8") as stream:
        row = json.loads(stream.readline())
    if "chosen" in row or "rejected_response" in row:
        return "dpo"
    return "completion" if "prompt" in row or "segments" in row else "chat"
