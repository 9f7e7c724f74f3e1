"""The settings of an OpenAI job for a training elsewhere.

For: `python3 -m helpers export --job`, with a job that `takeout` brought home. Not for: what
the settings mean here, see `recipes`.

    recipe = recipe_of_job("my_account/jobs/ftjob-…/job.json")
    export("train.jsonl", "out", target="trl", recipe=recipe)
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from helpers.base.errors import DataError
from helpers.datasets.exporting.recipes import OURS, Recipe


def recipe_of_job(path: str | Path) -> Recipe:
    """Epochs, batch size and DPO's beta of a job; what it leaves to the host ("auto") is ours.

    The learning-rate multiplier multiplies our rate: what it multiplies at OpenAI was never
    published. The seed stays ours: no other program draws the same numbers from one.
    Raises `DataError` for a file that holds no job.
    """
    try:
        job = json.loads(Path(path).read_text(encoding="utf-8"))
        method = job.get("method") or {}
        own = (method.get(method.get("type")) or {}).get("hyperparameters")
        given = own or job["hyperparameters"] or {}
        found = {key: value for key, value in given.items() if _is_number(value)}
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        fix = "give the job.json of one job, as takeout writes it"
        raise DataError(f"{path} holds no job: {error!r}", fix=fix) from error
    rate = OURS.learning_rate * found.get("learning_rate_multiplier", 1)
    kept = {key: found[key] for key in ("n_epochs", "batch_size", "beta") if key in found}
    return replace(OURS, learning_rate=rate, **kept)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
