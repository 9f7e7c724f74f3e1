"""Make a table of examples of any source: pairs, threads, or chat examples.

For: the way in. Each row of the source ends in the table or among the rejects. Not for:
writing files, see `conversion`.

    tabled = to_table(read_source("export.csv"))
    tabled.table[["question", "answer"]]
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from helpers.base.chat_format import SYSTEM_ROLES
from helpers.base.errors import DataError
from helpers.base.remedies import argument
from helpers.datasets.frame import ANSWER, QUESTION, TURNS, make_table
from helpers.datasets.reading import conversations
from helpers.datasets.reading.columns import (
    ColumnChoice,
    Columns,
    decide,
    listed,
    question_parts,
    told_columns,
)
from helpers.datasets.reading.exports import chat_messages, recognised
from helpers.datasets.reading.internal_notes import note_in
from helpers.datasets.reading.legacy_delimiters import find_marks
from helpers.datasets.reading.source import Reject, Row, SourceTable, is_unicode, words
from helpers.datasets.validation import schema

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 80
"""Letters of a sample's text."""
_NO_SUBJECT = re.compile(
    r"\W*(?:no ?(?:subject|input)|kein betreff|sin asunto|untitled|none|null|nan|n/?a)\W*", re.I
)
_NOTHING = frozenset(
    words("nan NaN null NULL <NA> NaT #N/A #REF! #VALUE! #DIV/0! #NAME? #NUM! #NULL!")
)
"""What programs write into cells that hold no value."""
_PREFERENCES = (("chosen", "rejected"), ("preferred_output", "non_preferred_output"))
HISTORY = "history"
"""Turns before the question, as pairs of question and answer: LLaMA-Factory's Alpaca."""


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
    """What a person should know of how the source was read: a sample pair, guesses with their
    grounds."""
    columns: Columns = field(default_factory=Columns)
    """Which column was read as what."""


def to_table(
    source: SourceTable,
    columns: Columns | Mapping[str, Any] | None = None,
    *,
    roles: Mapping[str, str] | None = None,
    date_format: str | None = None,
    system: str | None = None,
    separator: str | None = None,
    stop: str | None = None,
) -> ExampleTable:
    """The rows of a source as a table of examples with `question`, `answer`, `turns`.

    Without `columns` known exports are recognised and columns found from names and values.
    `roles` maps speakers to user or assistant; `date_format` is as in `read_times`. Raises
    `ChoiceNeeded` where two readings are as likely: it names the argument that decides.
    """
    source, choice = _read_columns(source, columns)
    columns = choice.columns
    if columns.messages is not None:
        made = _from_messages(source, columns)
    elif columns.threaded:
        made = _from_threads(source, columns, roles, date_format)
    else:
        made = _from_pairs(source, columns, system, separator, stop)
    sample = () if choice.notes else _first_pair(made)
    notes = (*choice.notes, *sample, *source.notes, *made.notes)
    return replace(made, notes=notes, columns=columns)


def _read_columns(
    source: SourceTable, told: Columns | Mapping[str, Any] | None
) -> tuple[SourceTable, ColumnChoice]:
    if told is not None:
        told = told if isinstance(told, Columns) else told_columns(told)
        missing = [name for name in told.named if name not in source.columns]
        if missing:
            raise DataError(f"there is no column {missing[0]!r}", fix=listed(source.columns))
        return source, ColumnChoice(told)
    _refuse_preferences(source.columns)
    known = recognised(source)
    if known is None:
        return source, decide(source)
    if known.columns is not None:
        return known.source, ColumnChoice(known.columns)
    return known.source, decide(known.source, thread="thread")


def _refuse_preferences(present: Sequence[str]) -> None:
    """Raise `DataError` for a better and a worse answer: the worse one must not be learnt."""
    for better, worse in _PREFERENCES:
        if {better, worse} <= set(present):
            pair = {"question": "NAME", "answer": better}
            raise DataError(
                f"{better!r} and {worse!r} are preferences, which are learnt by DPO",
                fix="check the file with validate_file and train it with method dpo; to learn the "
                f"better answers alone: {argument('columns', pair)}",
            )


def _first_pair(made: ExampleTable) -> tuple[str, ...]:
    """The first question and answer of what is read as conversations."""
    if not made.columns.threaded or not len(made.table):
        return ()
    first = made.table.iloc[0]
    return (f"the first pair is {_short(first[QUESTION])!r} → {_short(first[ANSWER])!r}",)


def _short(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= SHOWN else plain[:SHOWN] + "…"


def _from_pairs(
    source: SourceTable,
    columns: Columns,
    system: str | None,
    separator: str | None,
    stop: str | None,
) -> ExampleTable:
    parts, answer = question_parts(columns), columns.answer or ""
    marks = None
    # Only under the names of OpenAI's old guides are their marks looked for.
    if (parts, answer) == (("prompt",), "completion"):
        marks = find_marks([row for _, row in source.rows], separator, stop)
    made, rejected, changed = {}, list(source.rejected), set()
    for number, row in source.rows:
        asked, said = _asked(row, parts), _said(row.get(answer))
        earlier = _earlier(row.get(HISTORY))
        reason = _pair_fault(asked, said) or _note_fault(row, answer, parts)
        reason = reason or ("" if earlier is not None else f"{HISTORY!r} holds no pairs of texts")
        if reason or not isinstance(asked, str) or not isinstance(said, str):
            rejected.append(Reject(number, reason, row))
            continue
        plain = marks.strip(asked, said, system) if marks else (asked, said)
        if plain != (row.get(parts[0]), row.get(answer)):
            changed.add(number)
        extra = {k: v for k, v in row.items() if k not in (*parts, answer)}
        made[number] = {**_renamed(extra, columns), QUESTION: plain[0], ANSWER: plain[1]}
        if earlier:
            del made[number][HISTORY]
            made[number][TURNS] = earlier
    rows = {number: (number,) for number in made}
    return _tabled(made, rows, changed, rejected, source.rows_in)


def _asked(row: Row, parts: Sequence[str]) -> Any:
    """The question; of several parts those that say something, one below the other."""
    if len(parts) == 1:
        return row.get(parts[0])
    said = [row[part] for part in parts if row.get(part) not in (None, "")]
    if any(not isinstance(text, str) for text in said):
        return said
    filled = [text for text in said if text.strip() and not _NO_SUBJECT.fullmatch(text)]
    # A subject that the body begins with, or repeats, says nothing twice.
    last = filled[-1].casefold() if filled else ""
    kept = [text for text in filled[:-1] if text.strip().casefold() not in last]
    return "\n\n".join([*kept, *filled[-1:]])


def _earlier(history: Any) -> list[dict[str, str]] | None:
    """Messages before the question; a text is another column of that name, None is a fault."""
    if not isinstance(history, list):
        return []
    pairs = [pair for pair in history if isinstance(pair, list) and len(pair) == 2]
    said = [text for pair in pairs for text in pair if isinstance(text, str) and text.strip()]
    if len(said) != 2 * len(history):
        return None
    roles = ("user", "assistant")
    return [{"role": roles[place % 2], "content": text} for place, text in enumerate(said)]


def _said(value: Any) -> Any:
    """An answer; a label that JSON holds as a number or a yes is its text."""
    return str(value) if isinstance(value, int | float) else value


def _note_fault(row: Row, answer: str, parts: Sequence[str]) -> str:
    others = {k: v for k, v in row.items() if k not in parts}
    note = note_in(others, text=answer)
    return f"an internal note: {note}" if note else ""


def _pair_fault(asked: Any, said: Any) -> str:
    for name, value in (("question", asked), ("answer", said)):
        if value is None or (isinstance(value, str) and not value.strip()):
            return f"no {name}"
        if not isinstance(value, str):
            return f"the {name} is no text"
        if value.strip() in _NOTHING:
            return f"no {name}: {value.strip()} stands for an empty cell"
    return ""


def _renamed(row: Row, columns: Columns) -> Row:
    """Other columns under the names that later steps look for."""
    names = {columns.intent: "intent", columns.system: "system", columns.time: "time"}
    return {names.get(key, key): value for key, value in row.items() if key is not None}


def _from_threads(
    source: SourceTable,
    columns: Columns,
    roles: Mapping[str, str] | None,
    date_format: str | None,
) -> ExampleTable:
    grouped = conversations.group(source.rows, columns, roles=roles, date_format=date_format)
    made, rows, changed = {}, {}, set()
    for conversation in grouped.conversations:
        first = conversation.rows[0]
        taken = (columns.thread, columns.role, columns.text)
        extra = {k: v for k, v in conversation.first.items() if k not in taken}
        made[first] = {**_renamed(extra, columns), **_sides(conversation.messages)}
        rows[first] = tuple(conversation.rows)
        changed.update(conversation.merged)
    rejected = [*source.rejected, *grouped.rejected]
    tabled = _tabled(made, rows, changed, rejected, source.rows_in)
    return replace(tabled, notes=(*grouped.notes, *_gaps(source, columns)), columns=columns)


def _gaps(source: SourceTable, columns: Columns) -> list[str]:
    """A note of conversations in which a message is missing that could not be read."""
    name = columns.thread
    gone = {reject.row: reject.values.get(name) for reject in source.rejected} if name else {}
    kept = {row.get(name or "") for _, row in source.rows}
    number = len({thread for thread in gone.values() if thread} & kept)
    return [f"{number} conversations lack messages whose rows could not be read"] * bool(number)


def _from_messages(source: SourceTable, columns: Columns) -> ExampleTable:
    made, rejected, changed = {}, list(source.rejected), set()
    for number, row in source.rows:
        held = chat_messages(row.get(columns.messages or ""))
        messages, refused = _with_refusals(held)
        offered = {key: row[key] for key in OFFERS if row.get(key) is not None}
        example: dict[str, Any] = {"messages": messages, **offered}
        reason = _chat_fault(example, row)
        if reason:
            rejected.append(Reject(number, reason, row))
            continue
        if refused:
            changed.add(number)
        extra = {key: value for key, value in row.items() if key != columns.messages}
        made[number] = {**_renamed(extra, columns), **_sides(messages)}
    rows = {number: (number,) for number in made}
    return _tabled(made, rows, changed, rejected, source.rows_in)


def _with_refusals(messages: Any) -> tuple[Any, bool]:
    """Messages whose refusal is what they say, and whether there were any."""
    if not isinstance(messages, list):
        return messages, False
    made = [_with_refusal(message) for message in messages]
    return made, made != messages


def _with_refusal(message: Any) -> Any:
    refusal = message.get("refusal") if isinstance(message, dict) else None
    if not isinstance(refusal, str) or message.get("content") or message.get("tool_calls"):
        return message
    rest = {key: value for key, value in message.items() if key != "refusal"}
    return {**rest, "content": refusal}


OFFERS = ("tools", "functions", "parallel_tool_calls")
MORE_THAN_TEXT = (
    "a message holds more than role and content",
    "a message holds more than text",
    "offers tools",
)
"""Why a sound chat has no place in a table of texts."""


HALF_A_LETTER = "a message holds half a letter (a lone surrogate)"


def chat_faults(example: dict[str, Any]) -> list[str]:
    """What is unsound in a chat example, in words."""
    found = schema.ProblemCollector(1)
    schema.check_chat(example, found)
    # What is text all the same, such as a mark of a chat format, is for the file's report.
    return [said for code, said in found.items if code != "special_token"]


def _chat_fault(example: dict[str, Any], row: Row) -> str:
    """Why a chat example does not fit a table of texts, or ""."""
    if faults := chat_faults(example):
        return faults[0].removeprefix("Example 1, ").removeprefix("Example 1 ")
    if any(set(message) - {"role", "content"} for message in example["messages"]):
        return MORE_THAN_TEXT[0]
    if any(not isinstance(message["content"], str) for message in example["messages"]):
        return MORE_THAN_TEXT[1]
    if not all(is_unicode(message["content"]) for message in example["messages"]):
        return HALF_A_LETTER
    if row.get("tools") or row.get("functions"):
        return MORE_THAN_TEXT[2]
    # A table has a question in one column and what answers it in the next.
    if len(example["messages"]) < 2 or example["messages"][-2]["role"] != "user":
        return "no question right before the answer"
    return ""


def _sides(messages: Sequence[Mapping[str, Any]]) -> Row:
    """A conversation as system, turns, question and answer."""
    rest = [dict(message) for message in messages]
    row: Row = {}
    if rest[0]["role"] in SYSTEM_ROLES and len(rest) > 2:
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
