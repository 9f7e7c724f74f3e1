"""Bring your own: from a table of any shape to validated splits and a report.

For: one call that reads, maps, cleans, splits, writes, checks and versions, and accounts
for every row. Each part can be used alone. Not for: deciding what is right in your
data; read the report.

    done = prepare("my_tickets.csv", "my_dataset", system="You answer for our shop.")
    done.report_file        # my_dataset/report.html
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers.base import jsonl
from helpers.base.errors import DataError
from helpers.base.files import atomic
from helpers.base.remedies import argument
from helpers.datasets import html_report
from helpers.datasets import manifest as lineage
from helpers.datasets.cleaning import languages
from helpers.datasets.cleaning.contradicting import contradicting_rows
from helpers.datasets.cleaning.run import CleaningResult, Step, run
from helpers.datasets.cleaning.steps import default_steps, own_contacts
from helpers.datasets.conversion import csv_bytes, messages_of, rows_of, write_rejects
from helpers.datasets.frame import ANSWER, QUESTION, full_texts
from helpers.datasets.prepared import PARTS, PreparedDataset
from helpers.datasets.reading.columns import Columns
from helpers.datasets.reading.formats import read_source
from helpers.datasets.reading.source import Reject
from helpers.datasets.reading.to_examples import ExampleTable, to_table
from helpers.datasets.splitting import split
from helpers.datasets.table_problems import table_problems
from helpers.datasets.task import Task, find_task
from helpers.datasets.training_file import CheckedFile, TrainingFile
from helpers.datasets.validation.codes import Problem
from helpers.datasets.validation.cross_checks import leaks
from helpers.datasets.validation.report import ValidationReport

if TYPE_CHECKING:
    import pandas as pd

LEAST = 10
"""Rows without which no training file is taken."""
LARGE = 3000
"""Rows from which memory is short: smaller tables keep what the next one needs again."""
TOP = 3
"""Reasons that are named where no row is left."""


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
    system: str | Mapping[Task, str] | None = None,
    steps: Sequence[Step] | None = None,
    language: str | None = None,
    keep: Collection[str] = (),
    own: bool = True,
    without: Collection[str] = (),
    majority: bool = False,
    validation: float = 0.1,
    most_validation: int | None = None,
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
    as in `read_source`; `language` (a two-letter code, or "any"), `keep` (contacts that may
    stay), `own`, `without` and `majority` go to `default_steps`, in whose place `steps` puts
    others. `system` is the system message, or one for each task that a table may have. However
    many rows there are, `most_validation` of them are enough for validation. `training_price`,
    in dollars for a million tokens, adds the price to the report. Raises `DataError` if the file
    or its columns cannot be read, if it is in two languages, or if no row is left.
    """
    folder = Path(folder)
    # Before the table, so that what reading it takes for a moment does not come on top.
    languages.hold()
    source = read_source(path, header=header, encoding=encoding, sheet=sheet)
    tabled = to_table(source, columns, roles=roles, date_format=date_format)
    task = find_task(tabled.table)
    told = system.get(task) if isinstance(system, Mapping) else system
    if steps is None:
        steps = default_steps(
            keep=keep, own=own, wanted=language, task=task, without=without, majority=majority
        )
    cleaning = run(steps, tabled.table)
    main = languages.table_language(full_texts(cleaning.table)).main
    if tabled.rows_in >= LARGE:
        languages.let_go()
    rejected = _rejects(tabled, cleaning)
    # Before a failure is raised for want of rows: it points to this file.
    write_rejects(folder / "rows", rejected)
    _something_left(cleaning, rejected, folder)
    if most_validation is not None:
        validation = min(validation, most_validation / cleaning.kept)
    by = ANSWER if task == "labels" else "intent"
    shares, small = _affordable(cleaning.kept, {"validation": validation, "test": test})
    parts = split(cleaning.table, **shares, seed=seed, intent=by)
    parts = replace(parts, notes=(*small, *parts.notes))
    for part in PARTS:
        jsonl.write(folder / f"{part}.jsonl", _examples(getattr(parts, part), told))
    stays = {*keep, *(own_contacts(cleaning.table) if own else ())}
    # What was written is read back, once: it is that file which is trained on.
    checked = {
        part: TrainingFile.read(folder / f"{part}.jsonl").check(
            minimum=LEAST if part == "train" else 0, count_tokens=count_tokens, keep=stays
        )
        for part in PARTS
        if part == "train" or len(getattr(parts, part))
    }
    nothing = ValidationReport(None, 0, ())
    reports = {part: checked[part].report if part in checked else nothing for part in PARTS}
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
        leaks=_leaks(checked),
        rejected=rejected,
        version=manifest,
        report_file=folder / "report.html",
        task=task,
        language=main,
        problems=tuple(table_problems(cleaning, against, parts, wanted, task)),
        contradictions=against,
        changed_file=_write_changes(folder / "rows.changed.csv", tabled, cleaning),
        training_price=training_price,
    )
    done = replace(done, page=html_report.body(done))
    # Last: a report in the folder says that all that it names is there.
    with atomic(done.report_file) as stream:
        stream.write(html_report.whole(done).encode("utf-8", "replace"))
    return done


def _affordable(rows: int, shares: Mapping[str, float]) -> tuple[dict[str, float], tuple[str, ...]]:
    """Shares that leave a small table the rows that training needs, and a note of it."""
    held_out = sum(shares.values())
    wanted = sum(math.ceil(share * rows) for share in shares.values())
    if rows < LEAST or held_out <= 0 or rows - wanted >= LEAST:
        return dict(shares), ()
    # Whole rows: two shares that are both rounded up would take one from the training.
    kept = {part: int(share / held_out * (rows - LEAST)) for part, share in shares.items()}
    out = sum(kept.values())
    note = f"{rows} rows are few: {out} of them are held out, for training needs {LEAST}"
    return {part: number / rows for part, number in kept.items()}, (note,)


def _something_left(cleaning: CleaningResult, rejected: Sequence[Reject], folder: Path) -> None:
    """Raise `DataError` with the most frequent reasons if no row is left."""
    if cleaning.kept:
        return
    plain = (re.sub(r"\brow \d+", "another row", reject.reason) for reject in rejected)
    named = [f"{rows} rows: {reason}" for reason, rows in Counter(plain).most_common(TOP)]
    cleaned = len(cleaning.rejected) > 0
    undo = f"{argument('without', ['STEP'])} leaves out a step"
    pair = {"question": "NAME", "answer": "NAME"}
    mend = f"mend them in the table, or tell how it is read with {argument('columns', pair)}"
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


def _leaks(checked: Mapping[str, CheckedFile]) -> tuple[Problem, ...]:
    learnt = checked["train"].questions
    held_out = [file.questions for part, file in checked.items() if part != "train"]
    return tuple(leak for asked in held_out for leak in leaks(learnt, asked))
