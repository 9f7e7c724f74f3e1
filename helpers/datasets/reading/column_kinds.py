"""What stands in a column, told from its values: texts, times, numbers, names, labels.

For: telling which columns can be questions and answers. Not for: what they mean, see `columns`.

    kinds_of(["a", "b"], rows)["a"].kind      # "text"
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from helpers.datasets.reading.source import Row, words
from helpers.datasets.reading.speakers import role_of

Kind = Literal[
    "empty", "text", "label", "status", "flag", "number", "time", "duration", "name", "id", "list"
]
LOOKED_AT = 2_000
"""Values of a column that are looked at."""
_MOST = 0.8
"""A column is of a kind if so much of it is."""
# Such as "-1.234,50 €", "(12)" and "7 %".
_NUMBER = re.compile(r"[-+(]?\s?[$€£¥]?\s?\d[\d.,' \u00a0\u202f]*\)?\s?[%$€£¥]?")
# "12/04/2024", "3-Mar-24 09:15"; below "Mon, 3 March 2024", "Mar 3, 2024 9:15".
_CLOCK_TIME = re.compile(r"\d{1,4}\s?[-/.]\s?\w{2,9}\.?\s?[-/.]\s?\d{1,4}[ ,T]*([\d:.]+\s?\w*.*)?")
_NAMED_DATE = re.compile(r"(\w{3,9}\.?,? )?(\d{1,2}\.? )?\w{3,9}\.? (\d{1,2},? )?\d{4}([ ,]+\d.*)?")
# "01:30:00", "P1DT2H", "2 h 30 min".
_DURATION = re.compile(
    r"-?\d+:[0-5]\d(:[0-5]\d)?|p(?=t?\d)[\dymwdths.]+|"
    r"(\d+([.,]\d+)?\s?(d|days?|h|hrs?|hours?|m|mins?|minutes?|s|secs?|seconds?|weeks?|w|"
    r"tage?|stunden?|std|minuten?|jours?|heures?|días?|horas?)[\s,]*(and )?)+",
    re.IGNORECASE,
)
# One word with a figure or a sign in it: "TCK-104".
_ID = re.compile(r"(?=\S*[\d@_/-])[\w@.:/#&?=%+-]+")
_STATUS = frozenset(
    words(
        "on open opened closed pending resolved solved unresolved unsolved new assigned "
        "reopened hold waiting done fixed wontfix invalid duplicate incomplete low medium "
        "high urgent normal critical minor major blocker trivial archived spam deleted "
        "active inactive cancelled canceled completed escalated offen geschlossen erledigt "
        "gelöst hoch mittel niedrig abierto cannot reproduce wont do wontdo declined "
        "rejected approved unresolvable by design cerrado resuelto pendiente ouvert fermé "
        "résolu email phone portal chat web fix works workaround provided known error moved "
        "later not a bug no longer as designed timed out self solved withdrawn"
    )
)
_FLAGS = frozenset(words("true false yes no 0 1 y n ja nein t f oui non si sí"))
_NAME = re.compile(r"[A-ZÀ-ÞА-Я][\w'’.-]*( [A-ZÀ-ÞА-Я][\w'’.-]*){1,3}")
_QUESTION = re.compile(
    r"[?？؟]|^(?:how|what|when|where|why|who|which|can|could|do|does|is|are|may|will|would|"
    r"should|wie|was|wann|wo|warum|wer|welche\w*|kann|können|comment|pourquoi|quand|où|quel\w*|"
    r"cómo|qué|cuándo|dónde|come|quando|dove|como)\b",
    re.IGNORECASE,
)
_MOST_SPEAKERS = 6
# Beside customer and staff, such values mark notes or what the program did.
_NOTED = frozenset(words("note notes internal private comment internal_note private_note event"))
_LABEL_WORDS, _LABEL_LENGTH = 5, 50
_GRADES = 12
"""Different values of a column of numbers, at most, that are classes, as stars are."""
_FEW = 0.35
"""With fewer distinct values in a value they are labels."""


@dataclass(frozen=True)
class ColumnKind:
    """What a column holds."""

    kind: Kind
    filled: float
    """Share of rows with something in it."""
    distinct: int
    repeated: bool
    """Whether any value comes twice."""
    asking: float
    """Share of values that read as a question."""
    length: float
    """Mean letters."""
    json: bool = False
    """Whether its texts are objects or lists of JSON, such as what was taken from a text."""
    speaks: bool = False
    """Whether its few values tell who asks and who answers, and nothing but notes beside."""

    @property
    def graded(self) -> bool:
        """Whether beside a text it can only be the text's class: a flag, a state, a few grades."""
        few = self.repeated and 2 <= self.distinct <= _GRADES
        return few and self.kind in ("flag", "status", "number")

    @property
    def classes(self) -> bool:
        """Whether it holds different labels, each longer than a letter."""
        return self.kind == "label" and self.distinct > 1 and self.length > 1

    @property
    def numbering(self) -> bool:
        """Whether it only tells the rows apart."""
        return self.kind == "number" and not self.repeated


def kinds_of(columns: Sequence[str], rows: Sequence[tuple[int, Row]]) -> Mapping[str, ColumnKind]:
    """The kind of each column."""
    step = max(1, len(rows) // LOOKED_AT)
    seen = [row for _, row in rows[::step]]
    made = {name: kind_of_values([row.get(name) for row in seen]) for name in columns}
    # Every twentieth message of threads of four meets none of them twice.
    return {
        name: kind if kind.repeated or step == 1 else replace(kind, repeated=_repeats(name, rows))
        for name, kind in made.items()
    }


def _repeats(name: str, rows: Sequence[tuple[int, Row]]) -> bool:
    met: set[str] = set()
    for _, row in rows:
        value = row.get(name)
        if value is None or value == "" or isinstance(value, list | dict):
            continue
        if str(value) in met:
            return True
        met.add(str(value))
    return False


def kind_of_values(values: Sequence[Any]) -> ColumnKind:
    """The kind of one column's values."""
    filled = [value for value in values if value is not None and value != "" and value != []]
    texts = [str(value).strip() for value in filled if not isinstance(value, list | dict)]
    texts = [text for text in texts if text]
    counts = Counter(texts)
    lists = len(filled) - sum(not isinstance(value, list | dict) for value in filled)
    kind: Kind = "list" if lists > len(texts) else _kind(texts, counts)
    return ColumnKind(
        kind=kind,
        filled=(len(texts) + lists) / len(values) if values else 0.0,
        distinct=len(counts),
        repeated=len(counts) < len(texts),
        asking=_share(texts, lambda text: bool(_QUESTION.search(text))),
        length=sum(map(len, texts)) / len(texts) if texts else 0.0,
        json=kind == "list" and _share(texts, _is_json) >= _MOST,
        speaks=_speaks(counts),
    )


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict | list)
    except (ValueError, RecursionError):
        return False


def _speaks(counts: Counter[str]) -> bool:
    roles = {role_of(value) for value in counts} if len(counts) <= _MOST_SPEAKERS else set()
    noted = [value for value in counts if role_of(value) is None]
    return {"user", "assistant"} <= roles and all(value.lower() in _NOTED for value in noted)


def _share(texts: Sequence[str], test: Any) -> float:
    return sum(map(bool, map(test, texts))) / len(texts) if texts else 0.0


def _kind(texts: Sequence[str], counts: Counter[str]) -> Kind:
    if not texts:
        return "empty"
    # In this order: 0 and 1 are flags before they are numbers, a date is no number with signs.
    tests: tuple[tuple[Kind, Any], ...] = (
        ("flag", lambda text: text.lower() in _FLAGS),
        ("time", is_time),
        ("duration", lambda text: bool(_DURATION.fullmatch(text))),
        ("number", lambda text: bool(_NUMBER.fullmatch(text))),
        ("status", lambda text: all(word in _STATUS for word in _letters(text))),
        ("list", lambda text: text[:1] + text[-1:] in ("[]", "{}") and len(text) > 1),
    )
    for kind, test in tests:
        # Three different flags are a column of something else, such as "yes", "no" and "n".
        if _share(texts, test) >= _MOST and (kind != "flag" or len({*map(str.lower, counts)}) < 3):
            return kind
    return _kind_of_words(texts, counts)


def _letters(text: str) -> list[str]:
    # A text without any letter is no state.
    return re.findall(r"[^\W\d_]+", text.lower().replace("'", "").replace("’", "")) or ["?"]


def _kind_of_words(texts: Sequence[str], counts: Counter[str]) -> Kind:
    short = all(len(text.split()) <= _LABEL_WORDS and len(text) < _LABEL_LENGTH for text in counts)
    if short and _share(texts, _NAME.fullmatch) >= _MOST:
        return "name"
    few = len(texts) > 2 and (len(counts) <= _FEW * len(texts) or len(counts) < 2)
    # Those that end as sentences do are answers, such as "Yes." and "No.", and no labels.
    if short and few and _share(texts, lambda text: text[-1] in "?!.。？") < _FEW:
        return "label"
    if _share(texts, _ID.fullmatch) >= _MOST:
        return "id"
    return "text"


def is_time(text: str) -> bool:
    """Whether a text has the form of a date or a moment."""
    if len(text) > 40 or not any(letter.isdigit() for letter in text):
        return False
    dated = _CLOCK_TIME.fullmatch(text) or _NAMED_DATE.fullmatch(text)
    # Seconds or milliseconds since 1970.
    return bool(dated) or bool(re.fullmatch(r"1[0-9]{9}(\d{3})?(\.\d+)?", text))
