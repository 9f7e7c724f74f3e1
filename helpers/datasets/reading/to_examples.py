"""Make a table of examples of any source: pairs, threads, or chat examples.

For: the way in. Each row of the source ends in the table or among the rejects. Not for:
writing files, see `convert`.

    tabled = to_table(read_source("export.csv"))
    tabled.table[["question", "answer"]]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from helpers.base.errors import DataError
from helpers.datasets.frame import ANSWER, QUESTION, TURNS, make_table
from helpers.datasets.reading import conversations
from helpers.datasets.reading.columns import Columns, choose, listed
from helpers.datasets.reading.legacy_delimiters import find_marks
from helpers.datasets.reading.source import Reject, Row, SourceTable, is_unicode
from helpers.datasets.validation import schema

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class ExampleTable:
    """A source as a table of examples; the frame's index is the number of the first row."""

    table: pd.DataFrame
    rows: Mapping[int, tuple[int, ...]]
    """The rows of the source behind each example."""
    changed: frozenset[int]
    """Rows whose text does not stand in the table as it stood in the file."""
    rejected: tuple[Reject, ...]
    rows_in: int
    notes: tuple[str, ...] = ()
    """What a person should know of how the source was read."""


def to_table(
    source: SourceTable,
    columns: Columns | None = None,
    *,
    roles: Mapping[str, str] | None = None,
    system: str | None = None,
    separator: str | None = None,
    stop: str | None = None,
) -> ExampleTable:
    """The rows of a source as a table of examples with `question`, `answer`, `turns`."""
    columns = columns or choose(source.columns)
    missing = [name for name in columns.used.values() if name not in source.columns]
    if missing:
        raise DataError(f"there is no column {missing[0]!r}", fix=listed(source.columns))
    if columns.messages is not None:
        made = _from_messages(source, columns)
    elif columns.threaded:
        made = _from_threads(source, columns, roles)
    else:
        made = _from_pairs(source, columns, system, separator, stop)
    return replace(made, notes=source.notes)


def _from_pairs(
    source: SourceTable,
    columns: Columns,
    system: str | None,
    separator: str | None,
    stop: str | None,
) -> ExampleTable:
    question, answer = columns.question or "", columns.answer or ""
    marks = None
    if (question, answer) == ("prompt", "completion"):
        marks = find_marks([row for _, row in source.rows], separator, stop)
    made, rejected, changed = {}, list(source.rejected), set()
    for number, row in source.rows:
        asked, said = row.get(question), row.get(answer)
        reason = _pair_fault(asked, said)
        if reason or not isinstance(asked, str) or not isinstance(said, str):
            rejected.append(Reject(number, reason, row))
            continue
        plain = marks.strip(asked, said, system) if marks else (asked, said)
        if plain != (asked, said):
            changed.add(number)
        extra = {k: v for k, v in row.items() if k not in (question, answer)}
        made[number] = {**_renamed(extra, columns), QUESTION: plain[0], ANSWER: plain[1]}
    rows = {number: (number,) for number in made}
    return _tabled(made, rows, changed, rejected, source.rows_in)


def _pair_fault(asked: Any, said: Any) -> str:
    for name, value in (("question", asked), ("answer", said)):
        if value is None or (isinstance(value, str) and not value.strip()):
            return f"no {name}"
        if not isinstance(value, str):
            return f"the {name} is no text"
    return ""


def _renamed(row: Row, columns: Columns) -> Row:
    """Other columns under the names that later steps look for."""
    names = {columns.intent: "intent", columns.system: "system", columns.time: "time"}
    return {names.get(key, key): value for key, value in row.items() if key is not None}


def _from_threads(
    source: SourceTable, columns: Columns, roles: Mapping[str, str] | None
) -> ExampleTable:
    grouped = conversations.group(source.rows, columns, roles=roles)
    made, rows, changed = {}, {}, set()
    for conversation in grouped.conversations:
        first = conversation.rows[0]
        taken = (columns.thread, columns.role, columns.text)
        extra = {k: v for k, v in conversation.first.items() if k not in taken}
        made[first] = {**_renamed(extra, columns), **_sides(conversation.messages)}
        rows[first] = tuple(conversation.rows)
        changed.update(conversation.merged)
    rejected = [*source.rejected, *grouped.rejected]
    return _tabled(made, rows, changed, rejected, source.rows_in)


def _from_messages(source: SourceTable, columns: Columns) -> ExampleTable:
    made, rejected = {}, list(source.rejected)
    for number, row in source.rows:
        example: dict[str, Any] = {"messages": row.get(columns.messages or "")}
        reason = _chat_fault(example, row)
        if reason:
            rejected.append(Reject(number, reason, row))
            continue
        extra = {key: value for key, value in row.items() if key != columns.messages}
        made[number] = {**_renamed(extra, columns), **_sides(example["messages"])}
    rows = {number: (number,) for number in made}
    return _tabled(made, rows, set(), rejected, source.rows_in)


def _chat_fault(example: dict[str, Any], row: Row) -> str:
    """Why a chat example does not fit a table of texts, or ""."""
    found = schema.ProblemCollector(1)
    schema.check_chat(example, found)
    if found.items:
        return found.items[0][1].removeprefix("Example 1, ").removeprefix("Example 1 ")
    if any(set(message) - {"role", "content"} for message in example["messages"]):
        return "a message holds more than role and content"
    if any(not isinstance(message["content"], str) for message in example["messages"]):
        return "a message holds more than text"
    if not all(is_unicode(message["content"]) for message in example["messages"]):
        return "a message holds half a letter (a lone surrogate)"
    if row.get("tools") or row.get("functions"):
        return "offers tools"
    if len(example["messages"]) < 2 or example["messages"][-2]["role"] != "user":
        return "no question right before the answer"
    return ""


def _sides(messages: Sequence[Mapping[str, Any]]) -> Row:
    """A conversation as system, turns, question and answer."""
    rest = [dict(message) for message in messages]
    row: Row = {}
    if rest[0]["role"] == "system" and len(rest) > 2:
        row["system"] = rest.pop(0)["content"]
    row[ANSWER] = rest.pop()["content"]
    row[QUESTION] = rest.pop()["content"]
    return {**row, TURNS: rest}


def _tabled(
    made: Mapping[int, Row],
    rows: Mapping[int, tuple[int, ...]],
    changed: set[int],
    rejected: Sequence[Reject],
    rows_in: int,
) -> ExampleTable:
    table = make_table(made.values())
    table.index = list(made)
    ordered = tuple(sorted(rejected, key=lambda reject: reject.row))
    return ExampleTable(table, rows, frozenset(changed), ordered, rows_in)
