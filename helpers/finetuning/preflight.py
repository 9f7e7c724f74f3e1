"""What must hold before a file goes to a training service: sound, apart, and paid for knowingly.

For: stopping an upload before it is made. Not for: the single checks, see `validate`, `deep`
and `plan`, nor for the upload, see `helpers.finetuning.jobs`.

    make_ready("train.jsonl", "validation.jsonl", model="gpt-4.1-mini", cap=5.0, yes=True)
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from helpers.base.errors import DataError
from helpers.costs import catalog
from helpers.datasets.token_counts import OpenAICounter
from helpers.datasets.validation.codes import Problem
from helpers.datasets.validation.cross_checks import leakage
from helpers.datasets.validation.file import validate_file
from helpers.finetuning.job_plan import Plan, approve, make_plan


def make_ready(
    training: str | Path,
    validation: str | Path | None = None,
    *,
    model: str,
    n_epochs: int | None = None,
    cap: float = 0.0,
    yes: bool = False,
) -> Plan | None:
    """Let a job's files pass; returns its plan where the catalogue has a training price.

    Raises `DataError` for a severe problem: a defect of the form, a key in a text, a question of
    the validation file that stands in the training file. Raises `CourseError` for a paid job
    above `cap` dollars, or without `yes`.
    """
    paid = catalog.load().training_price(model) is not None
    count = OpenAICounter() if paid else None
    report = validate_file(training, deep=True, count_tokens=count)
    _stop(training, report.errors)
    if validation is not None:
        _stop(validation, validate_file(validation, deep=True, minimum=1).errors)
        leaks = [found for found in leakage(training, validation) if found.severity == "error"]
        _stop(validation, leaks)
    if report.tokens is None:
        return None
    plan = make_plan(report.examples, report.tokens, model=model, n_epochs=n_epochs)
    return approve(plan, cap=cap, yes=yes)


def _stop(path: str | Path, errors: Sequence[Problem]) -> None:
    if errors:
        more = f" and {len(errors) - 1} more" if len(errors) > 1 else ""
        raise DataError(
            f"{Path(path).name} is not uploaded: {errors[0]}{more}",
            fix="mend them; helpers.datasets.validation.file.validate_file lists all",
        )
