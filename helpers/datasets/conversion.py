"""Convert between tables, prompt/completion pairs and chat examples.

For: CSV, Excel, TSV, JSON and JSONL with any column names in; chat, prompt/completion or
preference JSONL, or a CSV table, out. Nothing is dropped silently: rows kept, changed and
rejected add up to the rows that came in, and the rejects are written beside the result. Not
for: mending texts, see `cleaning`.

    done = convert_file("export.csv", "train.jsonl", to="chat", system="You help.")
    done.kept, done.changed, len(done.rejected)
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from helpers.base import files, jsonl
from helpers.base.chat_format import SYSTEM_ROLES
from helpers.datasets.exporting.readers import UNREADABLE, read_row, rows_of_file
from helpers.datasets.frame import ANSWER, QUESTION, TURNS
from helpers.datasets.reading.columns import Columns
from helpers.datasets.reading.exports import chat_messages
from helpers.datasets.reading.formats import read_source
from helpers.datasets.reading.source import Reject, Row
from helpers.datasets.reading.to_examples import (
    HALF_A_LETTER,
    MORE_THAN_TEXT,
    OFFERS,
    ExampleTable,
    chat_faults,
    to_table,
)

if TYPE_CHECKING:
    import pandas as pd

Form = Literal["chat", "completion", "preference", "table"]
OURS = ("row", "reason")
"""What a file of rejects says of each row, before the row itself."""


@dataclass(frozen=True)
class Conversion:
    """The account of a conversion: `kept + changed + len(rejected) == rows_in`."""

    examples: tuple[dict[str, Any], ...]
    rows_in: int
    kept: int
    changed: int
    rejected: tuple[Reject, ...]
    rejects_file: Path | None = None
    notes: tuple[str, ...] = ()
    """What a person should know of how the file was read."""

    def __str__(self) -> str:
        account = (
            f"{self.rows_in} rows: {self.kept} kept, {self.changed} changed, "
            f"{len(self.rejected)} rejected; {len(self.examples)} examples"
        )
        return "\n".join([account, *self.notes])


def convert_file(
    path: str | Path,
    target: str | Path,
    *,
    to: Form,
    columns: Columns | None = None,
    system: str | None = None,
    roles: Mapping[str, str] | None = None,
    date_format: str | None = None,
    separator: str | None = None,
    stop: str | None = None,
    header: bool | None = None,
    encoding: str | None = None,
    sheet: str | int | None = None,
) -> Conversion:
    """Read a file of any make, convert it, and write the result and its rejects.

    `columns` None finds them from names and values; `columns`, `roles` and `date_format` decide
    where `ChoiceNeeded` is raised. `system` is put before every example that has
    no system message. `separator` and `stop` are the marks at the end of prompts and
    completions: None finds the usual ones when reading, and adds none when writing. `header`,
    `encoding` and `sheet` are as in `read_source`. A chat that holds more than texts (tools,
    weights, parts) becomes a chat as it stands, and one in another trainer's form a chat of
    OpenAI's. `to="preference"` reads the pairs of OpenAI and of other trainers, from JSONL or
    Parquet; from Parquet come chats and completions too.
    """
    if to == "preference" or (to != "table" and Path(path).suffix == ".parquet"):
        done = _of_trainers(Path(path), to, system)
        jsonl.write(target, done.examples)
        return replace(done, rejects_file=write_rejects(target, done.rejected))
    source = read_source(path, header=header, encoding=encoding, sheet=sheet)
    tabled = to_table(
        source,
        columns,
        roles=roles,
        date_format=date_format,
        system=system,
        separator=separator,
        stop=stop,
    )
    done = from_table(tabled, to=to, system=system, separator=separator or "", stop=stop or "")
    if to == "chat":
        done = _with_whole_chats(done, tabled, system)
    if to == "table":
        with files.atomic(target) as stream:
            stream.write(csv_bytes(done.examples))
    else:
        jsonl.write(target, done.examples)
    return replace(done, rejects_file=write_rejects(target, done.rejected))


def _with_whole_chats(done: Conversion, tabled: ExampleTable, system: str | None) -> Conversion:
    """The chats that no table could hold, each in its place with all that it holds."""
    made = dict(zip(tabled.table.index, done.examples, strict=True))
    rejected, changed = [], 0
    for reject in done.rejected:
        chat, changes = _whole_chat(reject, tabled)
        if chat is None:
            rejected.append(reject)
            continue
        made[reject.row] = _with_system(chat, system)
        changed += changes or made[reject.row] != chat
    # In the order of the source, among those that came from the table.
    examples = tuple(made[row] for row in sorted(made))
    changed += done.changed
    kept = done.rows_in - changed - len(rejected)
    return replace(done, examples=examples, kept=kept, changed=changed, rejected=tuple(rejected))


def _whole_chat(reject: Reject, tabled: ExampleTable) -> tuple[dict[str, Any] | None, bool]:
    """The chat of a row that fits no table, if it is one, and whether that changes the row."""
    if reject.reason in MORE_THAN_TEXT:
        chat = {"messages": chat_messages(reject.values[tabled.columns.messages or ""])}
        held = {key: reject.values[key] for key in OFFERS if reject.values.get(key) is not None}
        return chat | held, False
    if reject.reason == HALF_A_LETTER:
        return None, False
    try:
        example = read_row(reject.values)
    except UNREADABLE:
        return None, False
    chat = example.as_json()
    # As it stands it was refused already: only what another trainer's form explains is new.
    known = example.kind == "chat" and chat != reject.values and not chat_faults(chat)
    return (chat if known else None), True


def _with_system(chat: dict[str, Any], system: str | None) -> dict[str, Any]:
    if not system or chat["messages"][0].get("role") in SYSTEM_ROLES:
        return chat
    return {**chat, "messages": [{"role": "system", "content": system}, *chat["messages"]]}


_KINDS = {"chat": "chat", "completion": "completion", "preference": "dpo"}


def _of_trainers(path: Path, to: Form, system: str | None) -> Conversion:
    """Rows in the form of any trainer as OpenAI's of one kind; others are rejects."""
    examples, rejected, kept, rows_in = [], [], 0, 0
    for rows_in, row in enumerate(rows_of_file(path), 1):
        try:
            example = read_row(row)
        except UNREADABLE as error:
            rejected.append(Reject(rows_in, f"no form that is known: {error!r}", dict(row)))
            continue
        if example.kind != _KINDS[to]:
            rejected.append(Reject(rows_in, f"a {example.kind}, not a {to}", dict(row)))
            continue
        made = example.as_json()
        examples.append(_with_system(made, system) if to == "chat" else made)
        kept += examples[-1] == row
    changed = len(examples) - kept
    return Conversion(tuple(examples), rows_in, kept, changed, tuple(rejected))


def write_rejects(target: str | Path, rejected: Sequence[Reject]) -> Path | None:
    """Write `<name>.rejected.csv` beside the result; remove an old one if there is nothing."""
    path = Path(target).with_suffix(".rejected.csv")
    if not rejected:
        # A file of an earlier run would be taken for this one's.
        path.unlink(missing_ok=True)
        return None
    with files.atomic(path) as stream:
        stream.write(csv_bytes([_with_reason(reject) for reject in rejected]))
    return path


def _with_reason(reject: Reject) -> dict[str, Any]:
    """A rejected row; columns of its own that are called like ours get another name."""
    own = {f"{key} (source)" if key in OURS else key: v for key, v in reject.values.items()}
    return dict(zip(OURS, (reject.row, reject.reason), strict=True)) | own


def csv_bytes(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """A table of all columns that any row has."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO(newline="")
    # Quoted throughout: a bare CR in a cell would else read as the end of a row.
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows(rows)
    # Half a letter, which UTF-8 cannot hold, is written as its escape: the file stays readable.
    return text.getvalue().encode("utf-8", "backslashreplace")


def from_table(
    tabled: ExampleTable,
    *,
    to: Form,
    system: str | None = None,
    separator: str = "",
    stop: str = "",
) -> Conversion:
    """Examples of the wanted form, with the account of every row."""
    examples: list[dict[str, Any]] = []
    rejected, changed = list(tabled.rejected), set(tabled.changed)
    for index, row in zip(tabled.table.index, rows_of(tabled.table), strict=True):
        messages = messages_of(row, system)
        if to == "chat":
            examples.append({"messages": messages})
        elif to == "table":
            intent = row.get("intent")
            # What is missing in a table is not a number.
            named = {"intent": intent} if isinstance(intent, str) and intent else {}
            thread = {"thread": index} | named
            examples += [{**thread, "role": m["role"], "text": m["content"]} for m in messages]
        elif isinstance(row.get(TURNS), list) and row[TURNS]:
            reason = f"{len(messages)} messages do not fit a prompt/completion pair"
            rejected += [Reject(number, reason, row) for number in tabled.rows[index]]
            changed -= set(tabled.rows[index])
        else:
            before = "".join(f"{m['content']}\n\n" for m in messages[:-2])
            prompt = f"{before}{row[QUESTION]}{separator}"
            space = " " if separator else ""
            examples.append({"prompt": prompt, "completion": f"{space}{row[ANSWER]}{stop}"})
            if before or separator or stop:
                changed.update(tabled.rows[index])
    kept = tabled.rows_in - len(changed) - len(rejected)
    return Conversion(
        examples=tuple(examples),
        rows_in=tabled.rows_in,
        kept=kept,
        changed=len(changed),
        rejected=tuple(rejected),
        notes=(*tabled.notes, *_left_out(tabled.table, to)),
    )


def _left_out(table: pd.DataFrame, to: Form) -> list[str]:
    """A note that names the columns for which the wanted form has no place."""
    placed = {QUESTION, ANSWER, TURNS, "system", *(("intent",) if to == "table" else ())}
    names = [str(name) for name in table.columns if name not in placed]
    return [f"columns without a place in the result: {', '.join(names)}"] if names else []


def rows_of(table: pd.DataFrame) -> list[Row]:
    """The rows of a table as dicts."""
    return [dict(zip(table.columns, row, strict=True)) for row in table.itertuples(index=False)]


def messages_of(row: Mapping[str, Any], system: str | None = None) -> list[dict[str, Any]]:
    """The chat messages of one row; its own system prompt goes before `system`."""
    own = row.get("system")
    prompt = own if isinstance(own, str) and own else system
    turns = row.get(TURNS)
    return [
        *([{"role": "system", "content": prompt}] if prompt else []),
        *(turns if isinstance(turns, list) else []),
        {"role": "user", "content": row[QUESTION]},
        {"role": "assistant", "content": row[ANSWER]},
    ]
