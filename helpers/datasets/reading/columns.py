"""Which column of a table means what: found from names and values, or told.

For: mapping any columns to question, answer, intent, or thread, role and text. What is a guess
is named with its ground; what can be read in two ways is asked. Not for: reading files, see
`formats`.

    choose(["Frage", "Antwort"])        # Columns(question="Frage", answer="Antwort")
    choose(["a", "b"], question="a", answer="b")
    decide(read_source("export.csv")).notes
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from helpers.base.errors import Candidate, ChoiceNeeded, DataError
from helpers.base.remedies import argument
from helpers.datasets.reading.column_kinds import ColumnKind, kinds_of
from helpers.datasets.reading.column_names import (
    ASKERS,
    GENUINE,
    OFTEN_OTHER,
    plain_name,
    rank,
)
from helpers.datasets.reading.internal_notes import names_notes
from helpers.datasets.reading.source import Row, SourceTable

LISTED = 20
"""Columns that an error names."""
_SAMPLE = 60
_SPEAKERS = 0.7
"""Speakers of a chat have at least so few names for each text."""
_TELLING = 4
"""Different values from which on they speak against the names."""
Part = str | tuple[str, ...]
_PAIR = {"question": "NAME", "answer": "NAME"}
"""What a remedy shows."""


@dataclass(frozen=True)
class Columns:
    """The name of the column for each meaning, or None; a question can have several parts."""

    question: Part | None = None
    answer: str | None = None
    intent: str | None = None
    thread: str | None = None
    role: str | None = None
    text: str | None = None
    time: str | None = None
    system: str | None = None
    messages: str | None = None

    @property
    def threaded(self) -> bool:
        """Whether each row is one message of a conversation."""
        return None not in (self.role, self.text)

    @property
    def used(self) -> dict[str, str]:
        """Meaning and column, where there is one; parts of a question with a plus between."""
        found = {meaning: name for meaning, name in asdict(self).items() if name is not None}
        return {m: name if isinstance(name, str) else " + ".join(name) for m, name in found.items()}

    @property
    def named(self) -> tuple[str, ...]:
        """Every column that has a meaning."""
        single = [name for name in asdict(self).values() if isinstance(name, str)]
        return (*question_parts(self), *(n for n in single if n != self.question))


@dataclass(frozen=True)
class ColumnChoice:
    """The mapping, and what was guessed."""

    columns: Columns
    notes: tuple[str, ...] = ()
    """A sample pair first, then each guess with its ground."""


def question_parts(columns: Columns) -> tuple[str, ...]:
    """The columns that the question is made of, in order."""
    if columns.question is None:
        return ()
    return (columns.question,) if isinstance(columns.question, str) else columns.question


def choose(
    present: Sequence[str],
    rows: Sequence[tuple[int, Row]] = (),
    **told: Part | None,
) -> Columns:
    """The mapping: what is told holds, the rest is found from names and values.

    Raises `ChoiceNeeded` where two readings are as likely, and `DataError`, listing the columns
    that are there, if one that is told is missing or none can be found.
    """
    return decide(SourceTable("", tuple(present), tuple(rows)), **told).columns


def decide(source: SourceTable, **told: Part | None) -> ColumnChoice:
    """As `choose`, with notes: a sample pair, and each guess with its ground."""
    present = source.columns
    _check_told(present, told)
    kinds = kinds_of(present, source.rows) if source.rows else {}
    # What is named as notes of the staff is never found by itself.
    free = [name for name in present if name not in told.values() and not names_notes(name)]
    found = _Finder(free, kinds, told)
    mapping = Columns(**{**found.threads_or_pairs(), **told})
    if mapping.messages is not None or mapping.threaded:
        return ColumnChoice(mapping)
    if mapping.question is None or mapping.answer is None:
        mapping = found.by_values(mapping)
    ways = found.doubts(mapping, told)
    if ways:
        sampled = [_candidate(columns, ground, source) for columns, ground in ways]
        raise ChoiceNeeded(
            f"cannot tell which columns hold question and answer; {listed(present)}",
            argument="columns",
            candidates=sampled,
        )
    if mapping.question is None or mapping.answer is None:
        lacking = ": no column holds answers" if mapping.question and not found.refused else ""
        if notes := [name for name in present if names_notes(name)]:
            lacking += f"; {notes[0]!r} is named as notes of the staff"
        if len(present) == 1:
            fix = "write each question and its answer into two columns"
            raise DataError(f"the table has one column alone: {present[0]!r}", fix=fix)
        raise DataError(
            "cannot tell which columns hold question and answer, or thread, role and text"
            + (lacking or found.why_not()),
            fix=f"name them, as in {argument('columns', _PAIR)}; {listed(present)}",
        )
    return ColumnChoice(mapping, _notes(mapping, source, found.grounds, kinds))


def told_columns(told: Mapping[str, Any]) -> Columns:
    """The mapping that a plain dict names, as an error's remedy shows it."""
    _check_meanings(told)
    parts = told.get("question")
    return Columns(**{**told, **({"question": tuple(parts)} if isinstance(parts, list) else {})})


def _check_meanings(told: Mapping[str, Any]) -> None:
    meanings = [field.name for field in fields(Columns)]
    for meaning in told:
        if meaning not in meanings:
            fix = f"choose from: {', '.join(meanings)}"
            raise DataError(f"a column cannot be a {meaning!r}", fix=fix)


def _check_told(present: Sequence[str], told: Mapping[str, Part | None]) -> None:
    _check_meanings(told)
    for name in told.values():
        for part in (name,) if isinstance(name, str) else name or ():
            if part not in present:
                raise DataError(f"there is no column {part!r}", fix=listed(present))


def listed(present: Sequence[str]) -> str:
    """The columns that are there, for an error's remedy."""
    names = ", ".join(map(repr, present[:LISTED]))
    more = f" and {len(present) - LISTED:,} more" if len(present) > LISTED else ""
    return f"the columns are: {names}{more}"


def _candidate(columns: Columns, ground: str, source: SourceTable) -> Candidate:
    value = {k: v for k, v in asdict(columns).items() if v is not None}
    return Candidate(value, ground, _sample(columns, source))


def _sample(columns: Columns, source: SourceTable) -> str:
    """The first row with both sides, as a pair."""
    for _, row in source.rows:
        asked = " / ".join(_short(row.get(name)) for name in question_parts(columns))
        said = _short(row.get(columns.answer or ""))
        if asked and said:
            return f"{asked!r} → {said!r}"
    return ""


def _short(value: Any) -> str:
    text = " ".join(str("" if value is None else value).split())
    return text if len(text) <= _SAMPLE else text[:_SAMPLE] + "…"


def _notes(
    mapping: Columns,
    source: SourceTable,
    grounds: Sequence[str],
    kinds: Mapping[str, ColumnKind],
) -> tuple[str, ...]:
    """Nothing where the names say it all."""
    plain = {plain_name(part) for part in (*question_parts(mapping), mapping.answer or "")}
    if not grounds and plain <= GENUINE | {"response"}:
        return ()
    asked = " + ".join(map(repr, question_parts(mapping)))
    pair = f"read as question {asked} and answer {mapping.answer!r}"
    shown = f", so the first pair is {sample}" if (sample := _sample(mapping, source)) else ""
    return (pair + shown, *grounds)


class _Finder:
    """Looks for the meanings among some columns, and remembers on what ground."""

    def __init__(
        self,
        present: Sequence[str],
        kinds: Mapping[str, ColumnKind],
        told: Mapping[str, Part | None],
    ) -> None:
        self.present, self.kinds, self.told = present, kinds, told
        self.grounds: list[str] = []
        self.refused: dict[str, str] = {}

    def kind(self, name: str) -> str:
        return self.kinds[name].kind if name in self.kinds else "text"

    def best(self, meaning: str, *, without: Sequence[str] = ()) -> str | None:
        # Beside b and c, a is a choice of a test and not an answer.
        choices = {"b", "c"} <= set(map(plain_name, self.present))
        ranked = [
            (sureness, place, name)
            for place, name in enumerate(self.present)
            if name not in without
            and not (choices and plain_name(name) == "a")
            and (sureness := rank(meaning, name)) is not None
            and self._fits(meaning, name)
        ]
        return min(ranked)[2] if ranked else None

    def _fits(self, meaning: str, name: str) -> bool:
        """Whether the values of a column can mean this; what cannot is remembered."""
        kind = self.kind(name)
        # An empty column keeps a name that can mean one thing, so that its rows are told to be
        # empty.
        if kind == "empty":
            return plain_name(name) in GENUINE | {"thread", "role", "text"}
        if meaning in ("question", "answer", "body", "subject"):
            fitting = self._can_be_said(meaning, name, kind)
            if not fitting and meaning == "answer":
                self.refused[name] = kind
            return fitting
        if meaning == "text":
            return kind in ("text", "label", "name")
        if meaning == "thread" and self.kinds:
            return self.kinds[name].repeated
        if meaning == "role":
            return kind not in ("text", "time", "list") or self._few_names(name)
        if meaning == "time":
            return kind in ("time", "number", "text", "id", "duration") if self.kinds else True
        return kind != "list"

    def _few_names(self, name: str) -> bool:
        held = self.kinds.get(name)
        return held is None or (held.length < 40 and not held.asking)

    def _can_be_said(self, meaning: str, name: str, kind: str) -> bool:
        plain = plain_name(name)
        if meaning == "answer" and plain in ("agent", "assistant") and not self.kinds:
            return bool(ASKERS & set(map(plain_name, self.present)))
        if kind in ("text", "label") and not (plain in OFTEN_OTHER and kind == "label"):
            return meaning != "body" or kind == "text" or plain in GENUINE
        if kind == "list":
            # Whoever has a model take data from texts, or tell data, has JSON on one side.
            return self.kinds[name].json and plain in GENUINE | {"input", "target", "response"}
        if plain in GENUINE:
            return kind in ("label", "number", "name", "flag", "status", "id") or (
                kind == "time" and self.kinds[name].length < 11
            )
        if plain in ("response", "reply", "target") and kind in ("label", "number", "flag"):
            return True
        return meaning == "subject" and kind in ("name", "id")

    def threads_or_pairs(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if "messages" in self.present and self.kind("messages") in ("list", "text", "empty"):
            found["messages"] = "messages"
        pair = self._pair()
        thread = self._thread(pair)
        # A table with question and answer in each row is read as that, whatever else it could be.
        if thread and not (pair.get("question") and pair.get("answer") and "thread" not in thread):
            found.update(thread)
        else:
            found.update({k: v for k, v in pair.items() if v is not None})
            found.update(self._others(pair, ("thread", "time")))
        found.update(self._others(found, ("intent", "system")))
        return found

    def _others(self, taken: Mapping[str, Any], meanings: Sequence[str]) -> dict[str, str]:
        used: list[str] = []
        for value in taken.values():
            used += [value] if isinstance(value, str) else value or []
        found = {}
        for meaning in meanings:
            name = self.best(meaning, without=used)
            if name:
                found[meaning] = name
                used.append(name)
        return found

    def _thread(self, pair: Mapping[str, Any]) -> dict[str, Any]:
        """One message a row: who speaks, and what; mostly also in which thread."""
        if {"thread", "role", "text"} <= set(self.present):
            own = ("thread", "role", "text", "time")
            return {name: name for name in own if name in self.present}
        told = self.told.get("thread")
        thread = told if isinstance(told, str) else self.best("thread")
        text = self.best("text", without=[thread or ""])
        role = self.best("role", without=[thread or "", text or ""])
        speaking = [name for name in self.present if name in self.kinds and self.kinds[name].speaks]
        role = role or next(iter(speaking), None)
        if not text or not role or not (thread or self._chats(role, text)):
            return {}
        answers = pair.get("answer")
        if answers and answers not in (text, role) and plain_name(answers) in GENUINE:
            return {}
        found = {"thread": thread, "role": role, "text": text}
        time = self.best("time", without=[thread or "", role, text])
        return {k: v for k, v in {**found, "time": time}.items() if v}

    def _chats(self, role: str, text: str) -> bool:
        """Whether rows without a thread are messages: few speakers, many texts."""
        speakers, texts = self.kinds.get(role), self.kinds.get(text)
        if speakers is None or texts is None:
            return False
        timed = self.best("time", without=[role, text]) is not None
        many = speakers.repeated and 1 < speakers.distinct <= _SPEAKERS * texts.distinct
        return many and speakers.filled > 0.9 and (timed or len(self.present) < 4)

    def _pair(self) -> dict[str, Any]:
        answer = self.best("answer")
        return {"question": self._question(answer), "answer": answer}

    def _question(self, answer: str | None) -> Part | None:
        without = [answer or ""]
        question = self.best("question", without=without)
        subject = self.best("subject", without=without)
        body = self.best("body", without=without)
        if question and plain_name(question) == "instruction":
            context = self.best("context", without=[*without, question])
            return (question, context) if context else question
        unsure = ("user", "customer", "problem", "issue", "input")
        if question and plain_name(question) not in unsure:
            return question
        if body and subject and body != subject:
            return (subject, body)
        return question or body or subject

    def by_values(self, mapping: Columns) -> Columns:
        """What names did not tell: labels as answers, and two columns of texts."""
        texts = [name for name in self.present if self.kind(name) == "text"]
        labels = [name for name in self.present if self._is_label(name)]
        if len(self.present) == 2 and len(texts) == 1 and not labels:
            labels = [name for name, held in self.kinds.items() if held.graded]
        others = [n for n in self.present if n not in texts + labels and self.kind(n) != "id"]
        if self.kinds and len(others) == 1 and self.kinds[others[0]].numbering:
            others = []
        question = mapping.question
        if question is None and len(texts) == 1:
            question = texts[0]
        if isinstance(question, str) and mapping.answer is None and len(labels) == 1 and not others:
            distinct = f"{self.kinds[labels[0]].distinct} labels" if self.kinds else "labels"
            self.grounds.append(f"a guess: {labels[0]!r} holds {distinct}, which are the answers")
            return Columns(question=question, answer=labels[0], system=mapping.system)
        if len(self.present) == 2 and not self.refused and self._two_said():
            return self._two(texts)
        return mapping

    def _is_label(self, name: str) -> bool:
        stated = self.kind(name) in ("status", "number", "flag", "id") or not self.kinds
        return self.kind(name) == "label" or (stated and rank("intent", name) is not None)

    def _two_said(self) -> bool:
        kinds = [self.kind(name) for name in self.present]
        data = [name in self.kinds and self.kinds[name].json for name in self.present]
        said = [kind in ("text", "label") or one for kind, one in zip(kinds, data, strict=True)]
        return all(said) and not all(data) and kinds[0] != "label"

    def _two(self, texts: Sequence[str]) -> Columns:
        first, second = self.present
        if not self.kinds:
            return Columns(question=first, answer=second)
        ask = [self.kinds[name].asking for name in (first, second)]
        if ask[1] > ask[0] + 0.3:
            self.grounds.append(f"a guess: {second!r} holds the questions, {ask[1]:.0%} ask")
            return Columns(question=second, answer=first)
        ground = f"{ask[0]:.0%} of {first!r} ask" if ask[0] > ask[1] else f"{first!r} stands first"
        self.grounds.append(f"a guess: {ground}")
        return Columns(question=first, answer=second)

    def doubts(self, mapping: Columns, told: Mapping[str, Any]) -> list[tuple[Columns, str]]:
        """Readings that are as likely as each other; none where one is clear."""
        parts, answer = question_parts(mapping), mapping.answer
        if told.get("question") or told.get("answer"):
            return []
        if answer is not None and (ways := self._as_good(mapping)):
            return ways
        if answer is not None and len(parts) == 1:
            return self._swapped(parts[0], answer, mapping)
        if answer is not None or not parts:
            return []
        comments = [name for name in self.present if plain_name(name).endswith("comments")]
        if comments:
            ground = "they may be internal: read some first"
            return [(Columns(question=mapping.question, answer=comments[0]), ground)]
        subject = self.best("subject")
        body = self.best("body", without=[subject or ""])
        if subject and body and self._stands_alone(subject, body):
            return self._titled(subject, body)
        return [] if self.refused else self._labelled(parts if len(parts) > 1 else parts[0])

    def _as_good(self, mapping: Columns) -> list[tuple[Columns, str]]:
        """The mapping and those in which a column of as good a name has the place of another."""
        for meaning, name in (("answer", mapping.answer), ("question", mapping.question)):
            if not isinstance(name, str):
                continue
            free = [n for n in self.present if n not in (mapping.question, mapping.answer)]
            rivals = [other for other in free if self._rivals(meaning, name, other)]
            if rivals:
                ways = [replace(mapping, **{meaning: one}) for one in (name, *rivals)]
                return [(way, f"{meaning}s may stand in it") for way in ways]
        return []

    def _rivals(self, meaning: str, name: str, other: str) -> bool:
        """Whether another column of texts is named as well as the one that was found."""
        if self.kind(other) != "text" or self.kind(name) != "text":
            return False
        again = re.fullmatch(rf"{re.escape(name)} \(\d+\)", other) is not None
        sure = rank(meaning, other)
        return bool(self.kinds) and (again or (sure is not None and sure == rank(meaning, name)))

    def _stands_alone(self, subject: str, body: str) -> bool:
        """Whether a title and a text can be a question and its answer: no ticket has them."""
        tickets = {"priority", "status", "agent", "requester", "ticket id", "case number"}
        if tickets & {plain_name(name) for name in self.present} or self.refused:
            return False
        others = [self.kind(name) for name in self.present if name not in (subject, body)]
        return not {"time", "duration", "name", "status", "number", "flag"}.intersection(others)

    def _titled(self, subject: str, body: str) -> list[tuple[Columns, str]]:
        held = self.kinds.get(subject)
        asking = f"{held.asking:.0%} of {subject!r} ask" if held else f"{subject!r} may ask"
        pair = Columns(question=subject, answer=body), f"{asking}, and {body!r} may answer"
        return [pair, *self._labelled((subject, body))]

    def _labelled(self, question: Part) -> list[tuple[Columns, str]]:
        """Readings in which a column of labels is the answer."""
        # Single letters stand for one of several choices, which other columns hold.
        labels = [name for name in self.present if self.kinds[name].classes]
        return [(Columns(question=question, answer=n), f"{n!r} holds labels") for n in labels[:3]]

    def _swapped(self, question: str, answer: str, mapping: Columns) -> list[tuple[Columns, str]]:
        """Names that say one thing, and values that say the other."""
        if question not in self.kinds or answer not in self.kinds:
            return []
        asked, said = self.kinds[question], self.kinds[answer]
        if {question, answer} == {"prompt", "completion"} or said.distinct < _TELLING:
            return []
        if self.grounds or said.asking < 0.6 or asked.asking > said.asking - 0.5:
            return []
        turned = Columns(**{**asdict(mapping), "question": answer, "answer": question})
        return [
            (turned, f"{said.asking:.0%} of {answer!r} ask, {asked.asking:.0%} of {question!r}"),
            (mapping, "so say their names"),
        ]

    def why_not(self) -> str:
        """What was found instead of answers."""
        if not self.kinds:
            return ""
        held = ", ".join(f"{name!r} holds {_SAID[kind]}" for name, kind in self.refused.items())
        if not held:
            bare = [n for n in self.present if self.kind(n) in ("time", "list", "duration")]
            held = ", ".join(f"{name!r} holds {_SAID[self.kind(name)]}" for name in bare)
        return f": {held}" if held else ""


_SAID = {
    "empty": "nothing",
    "status": "states",
    "label": "labels",
    "flag": "yes and no",
    "number": "numbers",
    "time": "times",
    "duration": "durations",
    "name": "names",
    "id": "identifiers",
    "list": "lists",
    "text": "texts",
}
