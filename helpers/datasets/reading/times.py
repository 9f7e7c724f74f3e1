"""Read a column of times in one form, found from the whole column.

For: putting messages in order. ISO 8601, seconds and milliseconds since 1970, days and months
in either order, month names in many languages, mornings and afternoons. Not for: dates inside
texts.

    read_times(["12/04/2024 16:40", "13/04/2024 08:15"]).stamps    # seconds since 1970
    read_times(["03/04/2024", "04/03/2024"])                       # raises ChoiceNeeded
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import Any

from helpers.base.errors import Candidate, ChoiceNeeded
from helpers.datasets.reading.source import words

ORDERS: Mapping[str, tuple[int, int, int]] = {
    "day first": (2, 1, 0),
    "month first": (2, 0, 1),
    "year first": (0, 1, 2),
}
"""Where year, month and day stand among three numbers."""
MONTH_NAMES = "month names: "
"""Before the language in a told format, as in "month names: cs"."""
_LANGUAGES = words(
    "en de fr es it pt nl pl cs sk sl hr hu ro bg ru uk el tr sv da nb fi et lv lt ca eu gl "
    "id ms th hi bn ar he fa sw af is"
)
# Three numbers with signs between: "12/04/2024", "2024년 4월 12일".
_NUMBERS = re.compile(
    r"(\d{1,4})(\s?[-/.年년]\s?)(\d{1,2})\s?[-/.月월]\s?(\d{1,4})(?!\d)[日일]?\.?"
)
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}([t ]\d{2}:\d{2}.*)?$")
_AM, _PM = r"a\.?\s?m\b\.?|上午|午前|오전|πμ|π\.μ\.", r"p\.?\s?m\b\.?|下午|午後|오후|μμ|μ\.μ\."
# "9:14", "09.14.05,250", "9時14", with a morning or afternoon before or behind.
_CLOCK = re.compile(
    rf"(?P<before>{_AM}|{_PM})?\s?(?P<hour>\d{{1,2}})\s?[:.h時时시点點]\s?(?P<minute>\d{{2}})[分분]?"
    rf"(?:[:.m](?P<second>\d{{2}})(?:[.,](?P<part>\d+))?)?s?\s?(?P<after>{_AM}|{_PM})?"
)
_PM_MARK = re.compile(_PM)
# "+0100", "UTC+01:00": anywhere, and at the end of what follows the clock.
_ANY_OFFSET = re.compile(r"(?:^|\s|gmt|utc)[+-]\d{2}:?\d{2}\b")
_OFFSET = re.compile(r"(?:utc|gmt)?\s?([+-])(\d{2}):?(\d{2})?$")
# Hours east of Greenwich.
_ZONES = {"utc": 0, "gmt": 0, "z": 0, "wet": 0, "bst": 1, "west": 1, "cet": 1, "cest": 2, "eet": 2}
_ZONES |= {"eest": 3, "est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6}
_ZONES |= {"pst": -8, "pdt": -7, "jst": 9, "kst": 9, "aest": 10, "aedt": 11}
# Letters, and the signs of Indian scripts, which belong to a word and are no letters.
_WORD = re.compile(r"(?:[^\W\d_]|[\u0900-\u0d7f])+")
_TUESDAY = "mar"
"""In French, Spanish, Italian and Romanian; in English the same letters are March."""
_EPOCHS = {9: 1.0, 10: 1.0, 12: 1e-3, 13: 1e-3, 15: 1e-6, 16: 1e-6, 18: 1e-9, 19: 1e-9}
"""Digits before the point, and seconds a unit."""
_DIGITS = re.compile(r"((?:19|20)\d{6})(?:[t ]?(\d{6}|\d{4}))?z?")
"""A time as one number, from the year to the day, the minute or the second."""
# "1,712,345,678": seconds since 1970 that a spreadsheet has grouped.
_GROUPED = re.compile(r"\d{1,3}(?:,\d{3}){3,4}")
# JSON of .NET: "/Date(1712345678000+0200)/", in milliseconds.
_OF_DOT_NET = re.compile(r"/date\((\d{9,19})(?:[+-]\d{4})?\)/")
_ZONE_IN_WORDS = re.compile(
    r"(?:(?<=[+-]\d{4})|(?<=[+-]\d\d:\d\d)"
    rf"|(?<=\d)(?! ?\((?:{'|'.join(_ZONES)})\)$)) ?\([a-z ]+\)$"
)
"""A zone in brackets that tells nothing: its distance stands before it, or is not known."""
CLOCK = "times of day"
"""How a column is read that holds no days."""
_BLANKS = re.compile(r"[\s\u00a0\u202f\u2009\u200e\u200f]+")


@dataclass(frozen=True)
class TimeColumn:
    """Each time in seconds since 1970, or None, and how the column was read."""

    stamps: tuple[float | None, ...]
    form: str
    ground: str = ""
    """Why this form, where it is a guess."""


@dataclass(frozen=True)
class _Parsed:
    """One value cut up; which number is the day is not yet decided."""

    kind: str
    numbers: tuple[int, int, int] = (0, 0, 0)
    seconds: float = 0.0
    """Of the day less its distance from UTC."""
    month: str = ""
    dotted: bool = False
    absolute: bool = False
    """The seconds count from 1970, and the numbers are not needed."""


def read_times(
    values: Sequence[Any],
    threads: Sequence[Hashable] | None = None,
    date_format: str | None = None,
) -> TimeColumn:
    """Read a column; `threads` are the conversations of the rows, which must run one way.

    `date_format` is one of `ORDERS`, "month names: " and a language, or a format for
    `strptime`. Raises `ChoiceNeeded` where days and months can be told in two ways.
    """
    texts = [_plain(value) for value in values]
    if date_format is not None and "%" in date_format:
        told = [_with_format(str(value or "").strip(), date_format) for value in values]
        return TimeColumn(tuple(told), date_format)
    parsed = [_parse(text) for text in texts]
    kinds = [one.kind for one in parsed if one is not None]
    if not kinds:
        return TimeColumn(tuple(None for _ in values), "no form that is known")
    # One form a column: what is written in another was made by another hand.
    kind = max(dict.fromkeys(kinds), key=kinds.count)
    kept = [one if one is not None and one.kind == kind else None for one in parsed]
    if kind == "epoch":
        return TimeColumn(tuple(one.seconds if one else None for one in kept), "since 1970")
    if kind == CLOCK:
        stamps = tuple(one.seconds if one else None for one in kept)
        return TimeColumn(stamps, CLOCK, "no day stands with them")
    if kind == "named months":
        return _named(kept, date_format)
    return _numbered(kept, threads or [0] * len(kept), date_format)


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat().lower()
    return _BLANKS.sub(" ", str("" if value is None else value)).strip(" []").lower()


def _with_format(text: str, form: str) -> float | None:
    try:
        return _seconds(datetime.strptime(text, form))  # noqa: DTZ007
    except ValueError:
        return None


def _seconds(moment: datetime) -> float:
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _parse(text: str) -> _Parsed | None:
    # Before seconds since 1970: 20240412 has eight digits, which no such count has here.
    if (digits := _DIGITS.fullmatch(text)) is not None:
        stamp = _with_format(digits[1] + (digits[2] or "").ljust(6, "0"), "%Y%m%d%H%M%S")
        if stamp is not None:
            return _Parsed("epoch", seconds=stamp, absolute=True)
    text = _ZONE_IN_WORDS.sub("", text)
    if _GROUPED.fullmatch(text):
        text = text.replace(",", "")
    if (of_dot_net := _OF_DOT_NET.fullmatch(text)) is not None:
        text = of_dot_net[1]
    if re.fullmatch(r"\d{9,19}(\.\d+)?", text):
        unit = _EPOCHS.get(len(text.partition(".")[0]))
        return _Parsed("epoch", seconds=float(text) * unit, absolute=True) if unit else None
    if _ISO.match(text):
        try:
            moment = datetime.fromisoformat(_iso(text))
            return _Parsed("year first", seconds=_seconds(moment), absolute=True)
        except ValueError:
            pass
    found = _NUMBERS.search(text)
    rest = text[: found.start()] + " " + text[found.end() :] if found else ""
    if found and _are_a_date(text, rest):
        first, second, third = int(found[1]), int(found[3]), int(found[4])
        kind = "numbers" if len(found[1]) < 3 else "year first"
        return _clocked(kind, (first, second, third), rest, dotted="." in found[2])
    named = _parse_named(text)
    if named is None and _CLOCK.fullmatch(text):
        return _clocked(CLOCK, (0, 0, 0), text)
    return named


def _are_a_date(text: str, rest: str) -> bool:
    """Whether three numbers of a text are a date, by what stands around them.

    In "01-mar-24 09.00.00" they are the clock's. "mar. 12.03.24 10:15" has another clock:
    there the word is a Tuesday.
    """
    if not any(_months_of(word) for word in _WORD.findall(text)):
        return True
    return _CLOCK.search(_ANY_OFFSET.sub(" ", rest)) is not None


def _iso(text: str) -> str:
    """As `fromisoformat` takes it."""
    text = re.sub(r"\s?(?:utc|gmt|z)$", "+00:00", text)
    text = re.sub(r"\s([+-]\d{2}:?\d{2})$", r"\1", text)
    return text.upper()


def _parse_named(text: str) -> _Parsed | None:
    """A date with the month as a word: its year has four digits, its day one or two."""
    clock = _CLOCK.search(text)
    rest = text[: clock.start()] + " " + text[clock.end() :] if clock else text
    rest = _ANY_OFFSET.sub(" ", rest)
    named = [word for word in _WORD.findall(rest) if word not in _ZONES and _months_of(word)]
    if len(named) > 1 and named[0] == _TUESDAY and text.startswith(_TUESDAY):
        named = named[1:]
    numbers = re.findall(r"\d+", rest)
    years = [number for number in numbers if len(number) == 4]
    days = [number for number in numbers if len(number) < 3]
    # "12 March 24": the second short number is the year.
    if len(days) == 2 and not years:
        years = [f"20{days.pop()}"]
    if len(named) != 1 or len(days) != 1 or len(years) != 1:
        return None
    made = _clocked("named months", (int(years[0]), 1, int(days[0])), text, named=True)
    return None if made is None else _Parsed(made.kind, made.numbers, made.seconds, named[0])


def _clocked(
    kind: str,
    numbers: tuple[int, int, int],
    rest: str,
    *,
    dotted: bool = False,
    named: bool = False,
) -> _Parsed | None:
    found = _CLOCK.search(rest)
    seconds = 0.0
    if found:
        hour, minute = int(found["hour"]), int(found["minute"])
        mark = found["before"] or found["after"]
        if mark:
            hour = hour % 12 + (12 if _PM_MARK.match(mark) else 0)
        # 24:00 is written by some programs for the end of a day.
        if hour > 24 or minute > 59:
            return None
        part = float(f"0.{found['part']}") if found["part"] else 0.0
        seconds = hour * 3600 + minute * 60 + int(found["second"] or 0) + part
        rest = rest[found.end() :]
    elif not named and _WORD.search(rest):
        return None
    return _Parsed(kind, numbers, seconds - _offset(rest), dotted=dotted)


def _offset(rest: str) -> float:
    rest = rest.strip(" ()")
    found = _OFFSET.search(re.sub(r"\s\d{4}$", "", rest))
    if found:
        sign = 1 if found[1] == "+" else -1
        return sign * (int(found[2]) * 3600 + int(found[3] or 0) * 60)
    zone = _WORD.findall(rest)
    return _ZONES.get(zone[-1], 0) * 3600 if zone else 0


@cache
def _months(language: str) -> Mapping[str, int]:
    from babel.dates import get_month_names

    made: dict[str, int] = {}
    for width in ("wide", "abbreviated"):
        for context in ("format", "stand-alone"):
            for number, name in get_month_names(width, context, language).items():
                # At least three letters: in some languages a month's short form is a figure and a
                # sign.
                named = [word for word in _WORD.findall(name.lower()) if len(word) > 2]
                made.update(dict.fromkeys(named[:1], number))
    if language == "en":
        made["sept"] = 9
    if language == "de":
        made |= {"mrz": 3, "mär": 3, "jän": 1, "jänner": 1}
    return made


@cache
def _months_of(word: str) -> Mapping[str, int]:
    """What a word means as a month, by language; English alone is tried first."""
    english = _months("en").get(word)
    if english:
        return {"en": english}
    return {code: number for code in _LANGUAGES if (number := _months(code).get(word))}


def _named(parsed: Sequence[_Parsed | None], told: str | None) -> TimeColumn:
    named = sorted({one.month for one in parsed if one})
    code = (told or "").removeprefix(MONTH_NAMES)
    fitting = [
        language
        for language in ([code] if code in _LANGUAGES else _LANGUAGES)
        if all(word in _months(language) for word in named)
    ]
    by_meaning: dict[tuple[int, ...], str] = {}
    for language in fitting:
        by_meaning.setdefault(tuple(_months(language)[word] for word in named), language)
    if len(by_meaning) > 1:
        # Croatian and Czech give one name to two months.
        ways = [
            Candidate(f"{MONTH_NAMES}{language}", f"{named[0]!r} is month {meaning[0]}")
            for meaning, language in by_meaning.items()
        ]
        raise ChoiceNeeded(
            f"the month {named[0]!r} has two meanings", argument="date_format", candidates=ways
        )
    language = fitting[0] if fitting else ""

    def month(one: _Parsed) -> int:
        if language:
            return _months(language)[one.month]
        return next(iter(_months_of(one.month).values()))

    stamps = [
        _stamp(one.numbers[0], month(one), one.numbers[2], one) if one else None for one in parsed
    ]
    return TimeColumn(tuple(stamps), f"month names ({language or 'several languages'})")


def _stamp(year: int, month: int, day: int, one: _Parsed) -> float | None:
    if one.absolute:
        return one.seconds
    # Two figures: 00 to 69 are this century's, as in Python's own %y.
    year += 2000 if year < 70 else 1900 if year < 100 else 0
    try:
        start = datetime(year, month, day, tzinfo=UTC)
        return (start + timedelta(seconds=one.seconds)).timestamp()
    except (ValueError, OverflowError):
        return None


def _numbered(
    parsed: Sequence[_Parsed | None], threads: Sequence[Hashable], told: str | None
) -> TimeColumn:
    def read(order: str) -> tuple[float | None, ...]:
        year, month, day = ORDERS[order]
        return tuple(
            _stamp(one.numbers[year], one.numbers[month], one.numbers[day], one) if one else None
            for one in parsed
        )

    if told is not None and told in ORDERS:
        return TimeColumn(read(told), told)
    known = [one for one in parsed if one]
    if known[0].kind == "year first":
        return TimeColumn(read("year first"), "year first")
    readings = {order: read(order) for order in _possible(known)}
    gaps = {order: sum(stamp is None for stamp in stamps) for order, stamps in readings.items()}
    best = [order for order in readings if gaps[order] == min(gaps.values())]
    if len(best) == 1:
        (other,) = [order for order in readings if order != best[0]][:1] or [""]
        ground = f"read {other}, {gaps[other]} times would be no date" if other else ""
        return TimeColumn(readings[best[0]], best[0], ground)
    if all(one.dotted for one in known):
        return TimeColumn(readings["day first"], "day first", "dates with dots name the day first")
    return _by_order({order: readings[order] for order in best}, threads)


def _possible(known: Sequence[_Parsed]) -> list[str]:
    """The orders that can be meant: the year stands last, or has two digits and stands first."""
    if any(one.numbers[2] > 31 for one in known):
        return ["day first", "month first"]
    short = all(one.numbers[0] < 100 and one.numbers[2] < 100 for one in known)
    days_only = all(1 <= one.numbers[0] <= 31 for one in known)
    return ["day first", "month first"] if days_only or not short else ["year first"]


def _by_order(
    readings: Mapping[str, tuple[float | None, ...]], threads: Sequence[Hashable]
) -> TimeColumn:
    """The reading in which every conversation runs one way, if the other makes it jump."""
    runs = {order: runs_one_way(stamps, threads) for order, stamps in readings.items()}
    straight = [order for order, way in runs.items() if way]
    if len(straight) == 1:
        ground = f"only so do the rows of each conversation follow each other, {runs[straight[0]]}"
        return TimeColumn(readings[straight[0]], straight[0], ground)
    if _same_order(list(readings.values()), threads):
        first = next(iter(readings))
        return TimeColumn(readings[first], first, "either order of day and month ranks them alike")
    ways = [
        Candidate(order, f"the first time is {_shown(stamps)}")
        for order, stamps in readings.items()
    ]
    raise ChoiceNeeded(
        "days and months can be told in two ways", argument="date_format", candidates=ways
    )


def _shown(stamps: Sequence[float | None]) -> str:
    first = next((stamp for stamp in stamps if stamp is not None), 0.0)
    return datetime.fromtimestamp(first, UTC).strftime("%d %B %Y")


def _each_thread(threads: Sequence[Hashable]) -> list[list[int]]:
    places: dict[Hashable, list[int]] = {}
    for place, thread in enumerate(threads):
        places.setdefault(thread, []).append(place)
    return list(places.values())


def runs_one_way(stamps: Sequence[float | None], threads: Sequence[Hashable]) -> str:
    """ "oldest first" or "newest first" if every conversation runs so in the file, else ""."""
    steps = []
    for places in _each_thread(threads):
        known = [stamp for place in places if (stamp := stamps[place]) is not None]
        steps += [after - before for before, after in pairwise(known)]
    if all(step >= 0 for step in steps):
        return "oldest first"
    return "newest first" if all(step <= 0 for step in steps) else ""


def _same_order(readings: Sequence[tuple[float | None, ...]], threads: Sequence[Hashable]) -> bool:
    def ranked(stamps: tuple[float | None, ...]) -> list[list[int]]:
        def key(place: int) -> tuple[bool, float]:
            return stamps[place] is None, stamps[place] or 0.0

        return [sorted(places, key=key) for places in _each_thread(threads)]

    return all(ranked(one) == ranked(readings[0]) for one in readings)
