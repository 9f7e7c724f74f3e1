"""Bring your own: from a table of any shape to validated splits and a report.

For: one call that reads, maps, cleans, splits, writes, checks and versions, and accounts
for every row. Each part can be used alone. Not for: deciding what is right in your
data; read the report.

    done = prepare("my_tickets.csv", "my_dataset", system="You answer for our shop.")
    done.report_file        # my_dataset/report.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from helpers.base import jsonl
from helpers.base.files import atomic
from helpers.datasets import html_report
from helpers.datasets import manifest as lineage
from helpers.datasets.cleaning.run import CleaningResult, Step, run
from helpers.datasets.cleaning.steps import default_steps
from helpers.datasets.conversion import messages_of, rows_of, write_rejects
from helpers.datasets.reading.columns import Columns, choose
from helpers.datasets.reading.formats import read_source
from helpers.datasets.reading.source import Reject
from helpers.datasets.reading.to_examples import ExampleTable, to_table
from helpers.datasets.splitting import Split, split
from helpers.datasets.validation.codes import Problem
from helpers.datasets.validation.cross_checks import leakage
from helpers.datasets.validation.file import validate_file
from helpers.datasets.validation.report import ValidationReport

if TYPE_CHECKING:
    import pandas as pd

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
    version: lineage.DatasetVersion
    report_file: Path

    @property
    def ok(self) -> bool:
        """Whether the training file may be uploaded."""
        return self.reports["train"].ok and not self.leaks

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
        return html_report.body(self)


def prepare(
    path: str | Path,
    folder: str | Path,
    *,
    columns: Columns | None = None,
    roles: Mapping[str, str] | None = None,
    header: bool | None = None,
    encoding: str | None = None,
    sheet: str | int | None = None,
    system: str | None = None,
    steps: Sequence[Step] | None = None,
    validation: float = 0.1,
    test: float = 0.2,
    seed: int = 0,
    name: str | None = None,
    version: str = "1.0",
    count_tokens: Callable[[str], int] | None = None,
) -> PreparedDataset:
    """Run the whole pipeline over one file and write the results to `folder`.

    Written are train, validation and test as chat JSONL, `rows.rejected.csv`, `dataset.json`
    and `report.html`. `header`, `encoding` and `sheet` are as in `read_source`. Raises
    `DataError` if the file or its columns cannot be read.
    """
    folder = Path(folder)
    source = read_source(path, header=header, encoding=encoding, sheet=sheet)
    chosen = columns or choose(source.columns)
    tabled = to_table(source, chosen, roles=roles)
    cleaning = run(default_steps() if steps is None else steps, tabled.table)
    parts = split(cleaning.table, validation=validation, test=test, seed=seed)
    for part in PARTS:
        jsonl.write(folder / f"{part}.jsonl", _examples(getattr(parts, part), system))
    rejected = _rejects(tabled, cleaning)
    write_rejects(folder / "rows", rejected)
    reports = {
        part: validate_file(
            folder / f"{part}.jsonl",
            minimum=10 if part == "train" else 0,
            count_tokens=count_tokens,
            deep=True,
        )
        for part in PARTS
    }
    files = [f"{part}.jsonl" for part in PARTS]
    manifest = lineage.write_manifest(
        folder, name=name or Path(path).stem, version=version, files=files
    )
    done = PreparedDataset(
        folder=folder,
        columns=chosen,
        tabled=tabled,
        cleaning=cleaning,
        split=parts,
        reports=reports,
        leaks=_leaks(folder),
        rejected=rejected,
        version=manifest,
        report_file=folder / "report.html",
    )
    with atomic(done.report_file) as stream:
        stream.write(html_report.whole(done).encode("utf-8", "replace"))
    return done


def _examples(table: pd.DataFrame, system: str | None) -> list[dict[str, object]]:
    return [{"messages": messages_of(row, system)} for row in rows_of(table)]


def _rejects(tabled: ExampleTable, cleaning: CleaningResult) -> tuple[Reject, ...]:
    """Rows that were not read, and those behind the examples that cleaning took out."""
    found = list(tabled.rejected)
    for index, row in zip(cleaning.rejected.index, rows_of(cleaning.rejected), strict=True):
        reason = f"{row.pop('step')}: {row.pop('reason')}"
        found += [Reject(number, reason, row) for number in tabled.rows[index]]
    return tuple(sorted(found, key=lambda reject: reject.row))


def _leaks(folder: Path) -> tuple[Problem, ...]:
    train = folder / "train.jsonl"
    return tuple(
        leak for part in ("validation", "test") for leak in leakage(train, folder / f"{part}.jsonl")
    )
