"""Turn threads with one row a message into conversations that end with an answer.

For: help desk and chat exports. Rows that cannot be used are rejected one by one, with
the reason. Not for: tables with a question and an answer in each row, see `to_examples`.

    grouped = group(rows, columns)
    grouped.conversations[0].messages     # [{"role": "user", …}, {"role": "assistant", …}]
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from helpers.base.errors import DataError
from helpers.base.remedies import argument
from helpers.datasets.reading.column_names import rank
from helpers.datasets.reading.columns import Columns
from helpers.datasets.reading.exports import CHAT, OPENER
from helpers.datasets.reading.internal_notes import (
    find_marks,
    names_public,
    note_in,
    values_of_customers,
)
from helpers.datasets.reading.source import Reject, Row
from helpers.datasets.reading.speakers import SpeakerRoles, find_roles, role_of
from helpers.datasets.reading.times import CLOCK, TimeColumn, read_times, runs_one_way

SILENCE = 8 * 3600
"""Seconds without a word after which a chat without threads begins a new conversation."""
DAY = 24 * 3600
LONGEST = 60
"""Messages of one conversation, where neither a thread nor a time divides them."""
# Running numbers, or days as a spreadsheet counts them: 45018.5.
_COUNTED = re.compile(r"\d{1,8}|[2-9]\d{4}\.\d+")
_UNREAD = 0.5
"""With more unreadable times than this the column holds none."""

Message = dict[str, Any]
Numbered = tuple[int, Row]


@dataclass
class Conversation:
    """The messages of one thread, and the rows that they came from."""

    messages: list[Message] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    merged: list[int] = field(default_factory=list)
    """Rows whose text was added to the message before, by the same speaker."""
    first: Row = field(default_factory=dict)


@dataclass(frozen=True)
class ConversationGroups:
    """All conversations, and the rows that are in none."""

    conversations: list[Conversation]
    rejected: list[Reject]
    notes: tuple[str, ...] = ()
    """Guesses about order and roles, each with its ground."""


def group(
    rows: Sequence[Numbered],
    columns: Columns,
    *,
    roles: Mapping[str, str] | None = None,
    date_format: str | None = None,
) -> ConversationGroups:
    """Group rows by thread, in order of time where there is such a column.

    `roles` maps names in the role column, such as agents' names, to user or assistant;
    `date_format` is as in `read_times`. Raises `ChoiceNeeded` where order or roles can be
    read in two ways.
    """
    rejected: list[Reject] = []
    used, doubts = _public(rows, columns, rejected)
    threads, notes = _ordered(used, columns, date_format, rejected)
    found_roles = _roles(threads, columns, roles)
    conversations = []
    for place, thread in enumerate(threads):
        named = _role_in(found_roles, place)
        built = _conversation(thread, columns, named, rejected)
        if built is not None:
            conversations.append(built)
    ordered = sorted(rejected, key=lambda reject: reject.row)
    return ConversationGroups(conversations, ordered, (*doubts, *notes, *found_roles.notes))


def _public(
    rows: Sequence[Numbered], columns: Columns, rejected: list[Reject]
) -> tuple[list[Numbered], tuple[str, ...]]:
    """Rows that belong to a conversation and were written for the customer, and doubts."""
    used = []
    marks = find_marks(
        [row for _, row in rows],
        [_key(row, columns) for _, row in rows],
        [_known(row, columns) for _, row in rows],
        without=(columns.thread, columns.role, columns.text, columns.time),
    )
    # What customers' own messages carry cannot mark notes: visibility = 0 may well mean "public".
    openly = values_of_customers([row for _, row in rows if _known(row, columns) == "user"])
    flags = [name for name in (rows[0][1] if rows else ()) if names_public(name)]
    flags = [name for name in flags if any(_filled(row.get(name)) for _, row in rows)]
    for number, row in rows:
        note = note_in(row, text=columns.text, role=columns.role, openly=openly)
        note = note or marks.found_in(row)
        unsaid = [name for name in flags if not _filled(row.get(name))]
        if not note and unsaid and _known(row, columns) != "user":
            note = f"{unsaid[0]} says nothing"
        if note:
            rejected.append(Reject(number, f"an internal note: {note}", row))
        elif columns.thread is not None and not _key(row, columns):
            rejected.append(Reject(number, "no thread", row))
        else:
            used.append((number, row))
    return used, marks.notes


def _filled(value: Any) -> bool:
    return value is not None and str(value).strip() != ""


def _key(row: Row, columns: Columns) -> str:
    value = row.get(columns.thread or "")
    return "" if value is None else str(value).strip()


def _by_thread(used: Sequence[Numbered], columns: Columns) -> list[list[int]]:
    """Places in `used`, thread by thread."""
    places: dict[str, list[int]] = {}
    for place, (_, row) in enumerate(used):
        places.setdefault(_key(row, columns), []).append(place)
    return list(places.values())


def _ordered(
    used: list[Numbered], columns: Columns, date_format: str | None, rejected: list[Reject]
) -> tuple[list[list[Numbered]], list[str]]:
    """Each thread in order, and notes on how it was found."""
    threads = _by_thread(used, columns)
    times = _times(used, columns, date_format)
    if times is None or _tells_no_order(times, threads, used):
        if columns.thread is None and len(used) > LONGEST:
            raise DataError(
                f"{len(used):,} messages without a thread or a time that can be read",
                fix="name the column that tells conversations apart, as in "
                + argument("columns", {"thread": "NAME"}),
            )
        return _in_file_order(used, threads, columns)
    keys = [_key(row, columns) for _, row in used]
    way = runs_one_way(times.stamps, keys)
    # After the look at which way the file runs, which the openers' made-up times must not decide.
    times = _with_openers(times, threads, used)
    ordered, notes = [], [] if not times.ground else [f"times are read {_why(times)}"]
    for places in threads:
        reason = _unordered(places, times, way, used, columns)
        if times.form == CLOCK and not reason:
            reason = _without_days(places, times, way)
        if reason:
            rejected += [Reject(used[place][0], reason, used[place][1]) for place in places]
            continue
        # Equal times keep the order of the file, in a file that runs backwards the reverse.
        kept = places[::-1] if way == "newest first" else places
        ordered.append(sorted(kept, key=lambda place: times.stamps[place] or 0.0))
    if way == "newest first":
        notes.append("the file runs newest first; conversations are put in order of time")
    parts = [_split(thread, times) if _endless(thread, keys) else [thread] for thread in ordered]
    if any(len(part) > 1 for part in parts):
        notes.append(
            f"a guess: {sum(map(len, parts))} conversations, a new one after "
            f"{SILENCE // 3600} hours without a message; decide with "
            + argument("columns", {"thread": "NAME"})
        )
    ordered = [part for split in parts for part in split]
    return [[used[place] for place in thread] for thread in ordered], notes


def _tells_no_order(
    times: TimeColumn, threads: Sequence[Sequence[int]], used: Sequence[Numbered]
) -> bool:
    """Whether every message of each conversation has the same time: days without a clock."""
    long = [thread for thread in threads if len(thread) > 1]
    held = [{times.stamps[p] for p in thread if OPENER not in used[p][1]} for thread in long]
    return bool(long) and all(len(stamps) < 2 and None not in stamps for stamps in held)


def _with_openers(
    times: TimeColumn, threads: Sequence[Sequence[int]], used: Sequence[Numbered]
) -> TimeColumn:
    """The times with a ticket's own text, which has none, before all that answers it."""
    stamps = list(times.stamps)
    for thread in threads:
        known = [stamp for place in thread if (stamp := stamps[place]) is not None]
        for place in thread:
            if stamps[place] is None and used[place][1].get(OPENER) is True and known:
                stamps[place] = min(known) - 1.0
    return replace(times, stamps=tuple(stamps))


def _endless(thread: Sequence[int], keys: Sequence[str]) -> bool:
    """Whether a thread is a chat that holds many conversations."""
    return bool(thread) and (
        not keys[thread[0]] or keys[thread[0]].startswith(CHAT) or len(thread) > LONGEST
    )


def _why(times: TimeColumn) -> str:
    return f"{times.form}: {times.ground}"


def _times(
    used: Sequence[Numbered], columns: Columns, date_format: str | None
) -> TimeColumn | None:
    """The column of times; None where there is none with anything in it."""
    if columns.time is None:
        return None
    values = [row.get(columns.time) for _, row in used]
    filled = [value for value in values if value is not None and str(value).strip()]
    if not filled:
        return None
    if all(_COUNTED.fullmatch(str(value).strip()) for value in filled):
        # Running numbers, and days as a spreadsheet counts them, rank as a clock does.
        stamps = [float(str(v)) if v is not None and str(v).strip() else None for v in values]
        return TimeColumn(tuple(stamps), "running numbers")
    keys = [_key(row, columns) for _, row in used]
    times = read_times(values, keys, date_format)
    if times.form == CLOCK:
        times = _with_days(times, used, keys, columns.time, date_format)
    read = sum(stamp is not None for stamp in times.stamps)
    if read < _UNREAD * len(filled):
        raise DataError(
            f"{len(filled) - read} of {len(filled)} times in {columns.time!r} cannot be read, "
            f"such as {str(filled[0])[:40]!r}",
            fix=f"tell their form, as in {argument('date_format', '%d/%m/%Y %H:%M')}",
        )
    return times


def _with_days(
    times: TimeColumn,
    used: Sequence[Numbered],
    keys: Sequence[str],
    clock: str,
    date_format: str | None,
) -> TimeColumn:
    """Times of day with the days of another column, if there is one."""
    for name in used[0][1]:
        if name == clock or rank("time", name) is None:
            continue
        days = read_times([row.get(name) for _, row in used], keys, date_format)
        both = list(zip(days.stamps, times.stamps, strict=True))
        # Whole days only: a second column with a clock of its own is no day to add to.
        if days.form != CLOCK and all(day is not None and day % DAY == 0 for day, _ in both):
            stamps = tuple(None if at is None else (day or 0.0) + at for day, at in both)
            return TimeColumn(stamps, days.form, f"their days stand in {name!r}")
    return times


def _unordered(
    places: Sequence[int],
    times: TimeColumn,
    way: str,
    used: Sequence[Numbered],
    columns: Columns,
) -> str:
    """Why the messages of a thread cannot be put in order, or ""."""
    if len(places) < 2:
        return ""
    lost = [place for place in places if times.stamps[place] is None]
    if lost:
        value = str(used[lost[0]][1].get(columns.time or "") or "")
        what = f"the time {value[:40]!r} cannot be read" if value.strip() else "has no time"
        return f"the order of its thread is unknown: row {used[lost[0]][0]} {what}"
    stamps = [times.stamps[place] for place in places]
    if not way and len(set(stamps)) < len(stamps):
        twice = Counter(stamps).most_common(1)[0][0]
        equal = [place for place in places if times.stamps[place] == twice]
        speakers = {str(used[place][1].get(columns.role or "")) for place in equal}
        if len(speakers) > 1:
            return "the order of its thread is unknown: several messages of one time"
    return ""


def _without_days(places: Sequence[int], times: TimeColumn, way: str) -> str:
    """Why times without days do not tell the order of a thread, or ""."""
    if len(places) < 2 or way or runs_one_way(times.stamps, _one_thread(places, times)):
        return ""
    return "the order of its thread is unknown: its times have no day, and go up and down"


def _one_thread(places: Sequence[int], times: TimeColumn) -> list[int]:
    """Threads for `runs_one_way` in which these places are one and every other is alone."""
    inside = set(places)
    return [0 if place in inside else place + 1 for place in range(len(times.stamps))]


def _split(thread: Sequence[int], times: TimeColumn) -> list[list[int]]:
    """A chat without threads, cut where nobody spoke for long."""
    parts: list[list[int]] = [[]]
    before = None
    for place in thread:
        stamp = times.stamps[place]
        if before is not None and stamp is not None and stamp - before > SILENCE:
            parts.append([])
        parts[-1].append(place)
        before = stamp if stamp is not None else before
    return [part for part in parts if part]


def _in_file_order(
    used: Sequence[Numbered], threads: Sequence[Sequence[int]], columns: Columns
) -> tuple[list[list[Numbered]], list[str]]:
    """Threads as they stand, or backwards if all of them begin with an answer."""
    made = [[used[place] for place in thread] for thread in threads]
    known = [[_known(row, columns) for _, row in thread] for thread in made]
    spoken = [[role for role in thread if role] for thread in known]
    backwards = [t for t in spoken if t and t[0] == "assistant" and t[-1] == "user"]
    forwards = [t for t in spoken if t and t[0] == "user"]
    if backwards and not forwards:
        notes = ["a guess: the file runs newest first, every conversation begins with an answer"]
        return [thread[::-1] for thread in made], notes
    return made, []


def _known(row: Row, columns: Columns) -> str | None:
    return role_of(row.get(columns.role or ""), column=columns.role or "")


def _roles(
    threads: Sequence[Sequence[Numbered]], columns: Columns, roles: Mapping[str, str] | None
) -> SpeakerRoles:
    names = [[_name(row, columns) for _, row in thread] for thread in threads]
    asks: Counter[str] = Counter()
    for thread in threads:
        for _, row in thread:
            asks[_name(row, columns)] += str(row.get(columns.text or "")).rstrip().endswith("?")
    return find_roles(names, asks, roles, columns.role or "")


def _name(row: Row, columns: Columns) -> str:
    value = row.get(columns.role or "")
    return "" if value is None else str(value).strip()


def _role_in(roles: SpeakerRoles, place: int) -> Callable[[str], str | None]:
    return lambda name: roles.of(place, name)


def _conversation(
    thread: Sequence[Numbered],
    columns: Columns,
    named: Callable[[str], str | None],
    rejected: list[Reject],
) -> Conversation | None:
    """One conversation; rows without use are added to `rejected`."""
    spoken: list[tuple[int, Row, str, str]] = []
    asked = False
    for number, row in thread:
        role = named(_name(row, columns))
        text = row.get(columns.text or "")
        reason = _fault(row, columns, role, text, asked)
        if reason or role is None or not isinstance(text, str):
            rejected.append(Reject(number, reason, row))
        else:
            asked = asked or role == "user"
            spoken.append((number, row, role, text))
    # A conversation ends with an answer: what a customer says behind it was never answered.
    last = max((i for i, item in enumerate(spoken) if item[2] == "assistant"), default=-1)
    for number, row, _, _ in spoken[last + 1 :]:
        reason = "nobody answered in this thread" if last < 0 else "comes after the last answer"
        rejected.append(Reject(number, reason, row))
    return _joined(spoken[: last + 1]) if last >= 0 else None


def _fault(row: Row, columns: Columns, role: str | None, text: Any, asked: bool) -> str:
    """Why a row cannot be a message, or ""."""
    if role is None:
        return f"unknown role {str(row.get(columns.role or ''))[:40]!r}"
    if not isinstance(text, str) or not text.strip():
        return "no text"
    if role == "system" and asked:
        return "a system message after the first question"
    return "comes before the first question" if role == "assistant" and not asked else ""


def _joined(spoken: list[tuple[int, Row, str, str]]) -> Conversation:
    """Messages of one speaker in a row become one message."""
    made = Conversation(first=spoken[0][1])
    for number, _, role, text in spoken:
        made.rows.append(number)
        if made.messages and made.messages[-1]["role"] == role:
            made.messages[-1]["content"] += "\n\n" + text
            made.merged.append(number)
        else:
            made.messages.append({"role": role, "content": text})
    return made
