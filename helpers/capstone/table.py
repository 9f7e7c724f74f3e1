"""A table, read and cut into what is learnt, what picks the epoch, and what is held out.

For: the first step of the proof. Not for: reading and cleaning itself, see
`helpers.datasets.pipeline`.

    data = read_table("my.csv", folder, TableOptions(system="You answer."), test=0.3)
    data.train, data.held_out
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from helpers.base import jsonl
from helpers.base.errors import DataError
from helpers.base.remedies import argument
from helpers.base.tokens import local_tokenizer
from helpers.capstone.estimate import counted
from helpers.capstone.samples import MESSAGE, AnswerTurn, Message, readable, turns
from helpers.datasets.cleaning.run import Step
from helpers.datasets.frame import ANSWER, asked_texts
from helpers.datasets.pipeline import LEAST, prepare
from helpers.datasets.prepared import PreparedDataset
from helpers.datasets.reading.columns import Columns
from helpers.datasets.same_question import same_questions
from helpers.datasets.task import Task
from helpers.datasets.validation.cross_checks import leakage
from helpers.datasets.validation.schema import short
from helpers.rag.documents import fits

SYSTEM: dict[Task, str] = {
    "answers": "You answer customers' questions briefly.",
    "labels": "You name the category of a customer's message.",
}
"""The system message by task, where the user gives none."""
VALIDATION, MOST_VALIDATION, BRIEF_VALIDATION = 0.1, 150, 40
"""Share of the rows that picks the epoch, and how many of them are enough, the last under a
budget; the others are learnt from, for what is read after each epoch takes time too."""
FEWEST_VALIDATION = 10
"""Fewer examples pick nothing: then they are learnt from."""
MOST_ANSWER_TOKENS = 512
"""However long the table's own answers are; longer ones are cut, marked and counted."""
ROOM = 1.1
"""Tokens of the longest training answer, times this, may be written."""

Talk = Sequence[Message]


@dataclass(frozen=True)
class TableOptions:
    """How the table is read; all as in `helpers.datasets.pipeline.prepare`."""

    system: str | None = None
    """None: the one below that suits the table's task."""
    columns: Columns | Mapping[str, Any] | None = None
    roles: Mapping[str, str] | None = None
    date_format: str | None = None
    header: bool | None = None
    encoding: str | None = None
    sheet: str | int | None = None
    steps: Sequence[Step] | None = None
    language: str | None = None
    keep: Collection[str] = ()
    own: bool = True
    without: Collection[str] = ()
    majority: bool = False

    def arguments(self) -> dict[str, Any]:
        """What `prepare` takes."""
        return dict(vars(self))


@dataclass(frozen=True)
class TableData:
    """The talks of each part, and the answers in them."""

    prepared: PreparedDataset
    system: str
    train_talks: tuple[Talk, ...]
    validation_talks: tuple[Talk, ...]
    train: tuple[AnswerTurn, ...]
    validation: tuple[AnswerTurn, ...]
    held_out: tuple[AnswerTurn, ...]
    held_out_file: Path
    notes: tuple[str, ...] = ()
    """What the reader should know about the parts."""
    seconds: float = 0.0
    """Spent so far, of a budget: on reading, and on what else had to be there."""


def read_table(
    path: str | Path,
    folder: Path,
    options: TableOptions,
    *,
    test: float | str | Path,
    validation: float | None = None,
    brief: bool = False,
    seed: int = 0,
) -> TableData:
    """Prepare the table below `folder`; `test` is a share of it, or a table of one's own.

    `validation` None takes a tenth where that is enough to pick an epoch, else none, and with
    `brief`, for a budget, no more than needed. Raises `DataError` if the table does not make a
    training file, has one answer alone, or shares questions with the test's.
    """
    started = time.monotonic()
    own = None if isinstance(test, float | int) else test
    share = 0.0 if own is not None else float(test)  # type: ignore[arg-type]
    said = {**options.arguments(), "system": options.system or SYSTEM}
    usual = BRIEF_VALIDATION if brief else MOST_VALIDATION
    # A share that was asked for is not capped.
    most = usual if validation is None else None

    def made(part: float) -> PreparedDataset:
        return prepare(
            path, folder, validation=part, most_validation=most, test=share, seed=seed, **said
        )

    prepared = made(VALIDATION if validation is None else validation)
    # Only now is the task known, and with it the usual system message; the test table gets it too.
    options = replace(options, system=options.system or SYSTEM[prepared.task])
    notes = []
    if validation is None and len(prepared.split.validation) < FEWEST_VALIDATION:
        # Prepared again, for rows that were set aside have to go back to the training part.
        prepared = made(0.0)
        notes.append(
            "The table is too small for a validation set: the last epoch is taken, and all "
            "examples that are not held out are learnt from."
        )
    _usable(prepared)
    file = prepared.folder / "test.jsonl"
    if own is not None:
        file = _own_test(own, folder, options, prepared)
        notes.append(f"The held-out questions come from {Path(own).name}.")
    train, valid, held_out = (
        _talks(name) for name in (folder / "train.jsonl", folder / "validation.jsonl", file)
    )
    # Before `readable` cuts them.
    notes += _cut(train, valid, held_out)
    # The proof cuts as the served model will: what is learnt must look like what is asked.
    train, valid, held_out = (tuple(map(readable, part)) for part in (train, valid, held_out))
    found = tuple(turns(held_out))
    if not found:
        raise _none_held_out(prepared)
    return TableData(
        prepared,
        str(options.system),
        train,
        valid,
        tuple(turns(train)),
        tuple(turns(valid)),
        found,
        file,
        tuple(notes),
        time.monotonic() - started,
    )


def _none_held_out(prepared: PreparedDataset) -> DataError:
    """Why no question is left to be asked: too few rows, or too few questions among them."""
    kept = prepared.cleaning.kept
    asked = len(set(same_questions(asked_texts(prepared.cleaning.table)).labels.tolist()))
    elsewhere = f"{argument('test', 'FILE')} holds out the questions of another table"
    if kept < 2 * LEAST:
        return DataError(
            f"no question is left to be held out of {kept} examples: training takes {LEAST} at "
            "least",
            fix=f"collect {2 * LEAST} examples or more; {elsewhere}",
        )
    return DataError(
        f"no question is left to be held out: {kept} examples ask {counted(asked, 'question')}, "
        "and what asks the same stays on one side",
        fix=f"see whether another column holds the questions; {elsewhere}",
    )


def _usable(prepared: PreparedDataset) -> None:
    """Raise `DataError` with the first problem, unless the files can be used."""
    if prepared.cleaning.kept < LEAST:
        rows = prepared.tabled.rows_in
        raise DataError(
            f"{prepared.cleaning.kept} examples came of {rows} rows: training takes {LEAST}",
            fix=f"collect {2 * LEAST} or more; its report.html says what became of each row",
        )
    answers = set(prepared.cleaning.table[ANSWER])
    if len(answers) == 1:
        pair = {"question": "NAME", "answer": "NAME"}
        raise DataError(
            f"all {prepared.cleaning.kept} answers are {short(answers.pop())!r}: who always says "
            "it is always right",
            fix=f"look whether another column holds the answers: {argument('columns', pair)}",
        )
    if not prepared.ok:
        problems = [*prepared.reports["train"].problems, *prepared.leaks]
        first = next((p for p in problems if p.severity == "error"), problems[0])
        raise DataError(f"the table makes no training file: {first}", fix="see its report.html")


def _own_test(
    path: str | Path, folder: Path, options: TableOptions, prepared: PreparedDataset
) -> Path:
    """Prepare the user's own test table; no question of it may stand in the training file."""
    made = prepare(path, folder / "test", validation=0.0, test=0.0, **options.arguments())
    file = made.folder / "train.jsonl"
    leaks = [p for p in leakage(prepared.folder / "train.jsonl", file) if p.severity == "error"]
    if leaks:
        raise DataError(
            f"{Path(path).name} shares questions with the table: {leaks[0]}",
            fix="take the shared rows out of one of the two files",
        )
    # To where a share of the table itself would stand.
    return file.replace(prepared.folder / "test.jsonl")


def _talks(path: Path) -> tuple[Talk, ...]:
    return tuple(row["messages"] for row in jsonl.read(path))


def _cut(*parts: Sequence[Talk]) -> list[str]:
    """A note of how many messages are too long to be read whole."""
    texts = [str(m["content"]) for talks in parts for talk in talks for m in talk]
    long = sum(not fits(text, MESSAGE) for text in texts)
    if not long:
        return []
    what = f"{long} of {len(texts)} messages have more than {MESSAGE:,} tokens"
    return [f"{what}: no method reads the middle of such a question, nor of such an answer."]


def answer_limit(answers: Sequence[str], *, most: int = MOST_ANSWER_TOKENS) -> int:
    """Tokens that an answer may have: a little more than the longest of these, at most `most`."""
    count = local_tokenizer().count
    # A few more for the mark that ends an answer, and for very short answers.
    return min(most, round(max(map(count, answers)) * ROOM) + 4)
