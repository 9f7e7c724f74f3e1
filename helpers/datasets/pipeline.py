"""Bring your own: from a table of any shape to validated splits and a report.

For: one call that reads, maps, cleans, splits, writes, checks and versions, and accounts
for every row. Each part can be used alone. Not for: deciding what is right in your
data; read the report.

    done = prepare("my_tickets.csv", "my_dataset", system="You answer for our shop.")
    done.report_file        # my_dataset/report.html
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers.base import jsonl
from helpers.base.errors import DataError
from helpers.base.files import atomic
from helpers.datasets import html_report
from helpers.datasets import manifest as lineage
from helpers.datasets.cleaning.contradicting import Contradiction, contradicting_rows
from helpers.datasets.cleaning.run import CleaningResult, Step, run
from helpers.datasets.cleaning.steps import default_steps, own_contacts
from helpers.datasets.conversion import csv_bytes, messages_of, rows_of, write_rejects
from helpers.datasets.frame import ANSWER, QUESTION
from helpers.datasets.reading.columns import Columns
from helpers.datasets.reading.formats import read_source
from helpers.datasets.reading.source import Reject
from helpers.datasets.reading.to_examples import ExampleTable, to_table
from helpers.datasets.splitting import Split, split
from helpers.datasets.table_problems import table_problems
from helpers.datasets.task import Task, find_task
from helpers.datasets.validation.codes import Problem
from helpers.datasets.validation.cross_checks import leakage
from helpers.datasets.validation.file import validate_file
from helpers.datasets.validation.report import ValidationReport

if TYPE_CHECKING:
    import pandas as pd

PARTS = ("train", "validation", "test")
LEAST = 10
"""Rows without which no training file is taken."""
TOP = 3
"""Reasons that are named where no row is left."""


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
    task: Task = "answers"
    """Whether the answers are texts of their own, or labels: few that come again."""
    problems: tuple[Problem, ...] = ()
    """Of the table: what a person should look at; `line` is the row of the source."""
    contradictions: tuple[Contradiction, ...] = ()
    """Rows with one question and other facts in the answers; both sides were kept."""
    changed_file: Path | None = None
    """Each row that is not trained as it was read, before and after; None without any."""
    training_price: float | None = None
    """Dollars for a million tokens of training, if that was given."""

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
        return html_report.body(self)


def prepare(
    path: str | Path,
    folder: str | Path,
    *,
    columns: Columns | Mapping[str, Any] | None = None,
    roles: Mapping[str, str] | None = None,
    date_format: str | None = None,
    header: bool | None = None,
    encoding: str | None = None,
    sheet: str | int | None = None,
    system: str | None = None,
    steps: Sequence[Step] | None = None,
    language: str | None = None,
    keep: Collection[str] = (),
    validation: float = 0.1,
    test: float = 0.2,
    seed: int = 0,
    name: str | None = None,
    version: str = "1.0",
    count_tokens: Callable[[str], int] | None = None,
    training_price: float | None = None,
) -> PreparedDataset:
    """Run the whole pipeline over one file and write the results to `folder`.

    Written are train, validation and test as chat JSONL, `rows.rejected.csv`,
    `rows.changed.csv`, `dataset.json` and `report.html`. `header`, `encoding` and `sheet` are
    as in `read_source`; `language` (a two-letter code, or "any") and `keep` (contacts that
    may stay) go to the default steps, in whose place `steps` puts others. `training_price`,
    in dollars for a million tokens, adds the price to the report. Raises `DataError` if the
    file or its columns cannot be read, if it is in two languages, or if no row is left.
    """
    folder = Path(folder)
    source = read_source(path, header=header, encoding=encoding, sheet=sheet)
    tabled = to_table(source, columns, roles=roles, date_format=date_format)
    task = find_task(tabled.table)
    usual = default_steps(keep=keep, wanted=language, task=task) if steps is None else steps
    cleaning = run(usual, tabled.table)
    rejected = _rejects(tabled, cleaning)
    write_rejects(folder / "rows", rejected)
    _something_left(cleaning, rejected, folder)
    by = ANSWER if task == "labels" else "intent"
    shares, small = _affordable(cleaning.kept, {"validation": validation, "test": test})
    parts = split(cleaning.table, **shares, seed=seed, intent=by)
    parts = replace(parts, notes=(*small, *parts.notes))
    for part in PARTS:
        jsonl.write(folder / f"{part}.jsonl", _examples(getattr(parts, part), system))
    stays = {*keep, *own_contacts(cleaning.table)}
    reports = {
        part: validate_file(
            folder / f"{part}.jsonl",
            minimum=LEAST if part == "train" else 0,
            count_tokens=count_tokens,
            deep=True,
            keep=stays,
        )
        if part == "train" or len(getattr(parts, part))
        else ValidationReport(None, 0, ())
        for part in PARTS
    }
    files = [f"{part}.jsonl" for part in PARTS]
    manifest = lineage.write_manifest(
        folder, name=name or Path(path).stem, version=version, files=files
    )
    wanted = {"validation": validation, "test": test}
    against = tuple(contradicting_rows(cleaning.table, task=task))
    done = PreparedDataset(
        folder=folder,
        columns=tabled.columns,
        tabled=tabled,
        cleaning=cleaning,
        split=parts,
        reports=reports,
        leaks=_leaks(folder),
        rejected=rejected,
        version=manifest,
        report_file=folder / "report.html",
        task=task,
        problems=tuple(table_problems(cleaning, against, parts, wanted)),
        contradictions=against,
        changed_file=_write_changes(folder / "rows.changed.csv", tabled, cleaning),
        training_price=training_price,
    )
    with atomic(done.report_file) as stream:
        stream.write(html_report.whole(done).encode("utf-8", "replace"))
    return done


def _affordable(rows: int, shares: Mapping[str, float]) -> tuple[dict[str, float], tuple[str, ...]]:
    """Shares that leave a small table the rows that training needs, and a note of it."""
    held_out = sum(shares.values())
    if rows < LEAST or held_out <= 0 or rows * (1 - held_out) >= LEAST:
        return dict(shares), ()
    less = (rows - LEAST) / (rows * held_out)
    note = f"{rows} rows are few: {rows - LEAST} of them are held out, for training needs {LEAST}"
    return {part: share * less for part, share in shares.items()}, (note,)


def _something_left(cleaning: CleaningResult, rejected: Sequence[Reject], folder: Path) -> None:
    """Raise `DataError` with the most frequent reasons if no row is left."""
    if cleaning.kept:
        return
    plain = (re.sub(r"\brow \d+", "another row", reject.reason) for reject in rejected)
    named = [f"{rows} rows: {reason}" for reason, rows in Counter(plain).most_common(TOP)]
    cleaned = len(cleaning.rejected) > 0
    undo = "steps=default_steps(without=[...]) leaves out a step"
    mend = "mend them in the table, or tell how it is read with columns=..."
    raise DataError(
        f"no row is left of {len(rejected)}; {'; '.join(named) or 'the file holds none'}",
        fix=f"see all of them in {folder.name}/rows.rejected.csv; {undo if cleaned else mend}",
    )


def _write_changes(path: Path, tabled: ExampleTable, cleaning: CleaningResult) -> Path | None:
    """Each kept row that is not trained as it was read: by what, before and after."""
    by = cleaning.changed_by()
    rows = []
    for index in cleaning.table.index:
        read = "reading: joined with others or freed of marks" if index in tabled.changed else ""
        if read or index in by:
            before, after = tabled.table.loc[index], cleaning.table.loc[index]
            rows.append(
                {
                    "row": index,
                    "changed by": "; ".join(filter(None, (read, by.get(index)))),
                    **{f"{side} as read": before[side] for side in (QUESTION, ANSWER)},
                    **{f"{side} as trained": after[side] for side in (QUESTION, ANSWER)},
                }
            )
    if not rows:
        path.unlink(missing_ok=True)
        return None
    with atomic(path) as stream:
        stream.write(csv_bytes(rows))
    return path


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
