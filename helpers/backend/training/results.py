"""What a job tells of its steps: an event for each, and at the end one table of all.

For: `finetune.queue`. The columns are those of OpenAI's result file.

    metrics_csv(read_progress(job_dir))     # b"step,train_loss,..."
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any

# OpenAI's file and OpenAI's events do not call the accuracy by the same name.
COLUMNS = ("step", "train_loss", "train_accuracy", "valid_loss", "valid_mean_token_accuracy")
METRICS = (
    "train_loss",
    "train_mean_token_accuracy",
    "valid_loss",
    "valid_mean_token_accuracy",
    "full_valid_loss",
    "full_valid_mean_token_accuracy",
)


def step_event(row: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Message and data of the event for a step row of a progress file."""
    text = f"Step {row['step']}/{row['steps']}: training loss={row['train_loss']:.2f}"
    if "valid_loss" in row:
        text += f", validation loss={row['valid_loss']:.2f}"
    if "full_valid_loss" in row:
        text += f", full validation loss={row['full_valid_loss']:.2f}"
    data = {name: row[name] for name in METRICS if name in row}
    extra = {"step": row["step"], "total_steps": row["steps"], "epoch": row["epoch"]}
    return text, extra | data


def metrics_csv(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """The step rows of a progress file as CSV; what a step did not measure stays empty."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for row in rows:
        if row["type"] == "step":
            values = {**row, "train_accuracy": row["train_mean_token_accuracy"]}
            writer.writerow([values.get(name, "") for name in COLUMNS])
    return text.getvalue().encode()
