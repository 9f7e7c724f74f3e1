"""The table that a job leaves: one row a step, in the columns of OpenAI's result file.

For: `jobs`, when a job has succeeded.

    metrics_csv(read_progress(job_dir))     # b"step,train_loss,..."
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any

COLUMNS = ("step", "train_loss", "train_accuracy", "valid_loss", "valid_mean_token_accuracy")


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
