"""What came of one table: its parts, their checks, and where each row went.

For: whoever reads a prepared dataset. Not for: making one, see `pipeline.prepare`; nor how it
looks, see `html_report`.

    done = prepare("my_tickets.csv", "my_dataset")
    done.ok                 # may the training file be uploaded?
    done.account()          # {"rows in": 412, "train": 290, ...}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from helpers.datasets.cleaning.contradicting import Contradiction
from helpers.datasets.cleaning.run import CleaningResult
from helpers.datasets.manifest import DatasetVersion
from helpers.datasets.reading.columns import Columns
from helpers.datasets.reading.source import Reject
from helpers.datasets.reading.to_examples import ExampleTable
from helpers.datasets.splitting import Split
from helpers.datasets.task import Task
from helpers.datasets.validation.codes import Problem
from helpers.datasets.validation.report import ValidationReport

PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class PreparedDataset:
    """Everything that came of one file."""

    folder: Path
    columns: Columns
    tabled: ExampleTable
    cleaning: CleaningResult
    split: Split
    reports: Mapping[str, ValidationReport]
    """By part: train, validation, test."""
    leaks: tuple[Problem, ...]
    """Of validation and test against training."""
    rejected: tuple[Reject, ...]
    """Every row of the source that is in no part."""
    version: DatasetVersion
    report_file: Path
    task: Task = "answers"
    """Whether the answers are texts of their own, or labels: few that come again."""
    language: str = ""
    """The one that most of it is in, as two letters, or "" where no text is long enough to tell."""
    problems: tuple[Problem, ...] = ()
    """Of the table: what a person should look at; `line` is the row of the source."""
    contradictions: tuple[Contradiction, ...] = ()
    """Rows with one question and other facts in the answers; both sides were kept."""
    changed_file: Path | None = None
    """Each row that is not trained as it was read, before and after; None without any."""
    training_price: float | None = None
    """Dollars for a million tokens of training, if that was given."""
    page: str = field(default="", repr=False)
    """The report as HTML, without the page around it; see `html_report`."""

    @property
    def ok(self) -> bool:
        """Whether the training file may be uploaded: it has no errors, and leaks nothing."""
        leaking = any(leak.severity == "error" for leak in self.leaks)
        return self.reports["train"].ok and not leaking

    @property
    def notes(self) -> tuple[str, ...]:
        """What was decided on the way, from reading to splitting."""
        return (*self.tabled.notes, *self.cleaning.notes, *self.split.notes)

    def account(self) -> dict[str, int]:
        """Rows in, rows behind each part, and rows rejected; the parts add up to the whole."""
        parts = {name: getattr(self.split, name) for name in PARTS}
        rows = {
            name: sum(len(self.tabled.rows[index]) for index in part.index)
            for name, part in parts.items()
        }
        return {"rows in": self.tabled.rows_in, **rows, "rejected": len(self.rejected)}

    def __repr__(self) -> str:
        kept = len(self.split.train) + len(self.split.validation) + len(self.split.test)
        return (
            f"{self.version.name} {self.version.version}: {kept} examples from "
            f"{self.tabled.rows_in} rows, {len(self.rejected)} rows rejected"
        )

    def _repr_html_(self) -> str:
        return self.page
