"""What must hold before a file goes to a training service: sound, apart, and paid for knowingly.

For: stopping an upload before it is made. Not for: the single checks, see
`helpers.datasets.validation`, nor for price and upload, see `job_plan` and `jobs`.

    files = TrainingFile.read("train.jsonl"), TrainingFile.read("validation.jsonl")
    make_ready(*files, model="gpt-4.1-mini", cap=5.0, yes=True)
"""

from __future__ import annotations

from collections.abc import Sequence

from helpers.base.errors import DataError
from helpers.costs import catalog
from helpers.datasets.token_counts import OpenAICounter
from helpers.datasets.training_file import TrainingFile
from helpers.datasets.validation.codes import Problem
from helpers.datasets.validation.cross_checks import leaks
from helpers.finetuning.job_plan import Plan, approve, make_plan


def make_ready(
    training: TrainingFile,
    validation: TrainingFile | None = None,
    *,
    model: str,
    n_epochs: int | None = None,
    cap: float = 0.0,
    yes: bool = False,
) -> Plan | None:
    """Let a job's files pass; returns its plan where the catalogue has a training price.

    Raises `DataError` for a severe problem: a defect of the form, a key in a text, a question of
    the validation file that stands in the training file. Raises `CourseError` for a paid job
    above `cap` dollars, or without `yes`. Each file is parsed once.
    """
    known = catalog.load()
    paid = known.training_price(model) is not None
    checked = training.check(
        count_tokens=OpenAICounter() if paid else None,
        max_tokens=known.example_tokens if paid else None,
    )
    _stop(training, checked.report.errors)
    if validation is not None:
        # A validation file may have fewer examples than training takes.
        other = validation.check(minimum=1)
        _stop(validation, other.report.errors)
        found = leaks(checked.questions, other.questions)
        _stop(validation, [leak for leak in found if leak.severity == "error"])
    report = checked.report
    if report.tokens is None:
        return None
    plan = make_plan(report.examples, report.tokens, model=model, n_epochs=n_epochs)
    return approve(plan, cap=cap, yes=yes)


def _stop(file: TrainingFile, errors: Sequence[Problem]) -> None:
    if errors:
        more = f" and {len(errors) - 1} more" if len(errors) > 1 else ""
        raise DataError(
            f"{file.name} is not uploaded: {errors[0]}{more}",
            fix="mend them; helpers.datasets.validation.file.validate_file lists all",
        )
