"""A number, date or yes of a spreadsheet as the sheet shows it.

For: the formats that cells carry: "0%", "00000", "€ 9.50", "dd mmm yyyy", "[h]:mm". Not for:
colours, and conditions in brackets; `shown` then says None.

    shown(0.25, "0%")           # "25%"
    shown(42, "00000")          # "00042"
"""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any

LOCAL_DATES = frozenset(["mm-dd-yy", "m/d/yy", "m/d/yyyy", "m/d/yy h:mm", "general date"])
"""Formats that a program replaces by those of the reader's country."""
# A format cut into what stands for itself ("text", \x, _x, *x, [Red]), parts of a date, figures.
_PIECES = re.compile(
    r'"[^"]*"|\\.|_.|\*.|\[[^\]]*\]|general|am/pm|a/p|e[+-]0+|y+|m+|d+|h+|s+|\.0+(?=$|[^0-9#?.,])'
    r"|[0#?][0#?.,]*|[.][0#?]+|%|@|.",
    re.IGNORECASE | re.DOTALL,
)
# "[$€-407]" writes the €, with the country behind it.
_CURRENCY = re.compile(r"\[\$([^-\]]*)(?:-[^\]]*)?\]")
# "[h]" counts on beyond 24.
_ELAPSED = re.compile(r"\[(h+|m+|s+)\]", re.IGNORECASE)
_CONDITION = re.compile(r"\[[<>=]")
_DIGITS = 11
"""Figures that a cell without a format shows."""


def shown(value: Any, form: str) -> str | None:
    """The text of a cell's value in this format; None if the format is not understood."""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, datetime | date | time | timedelta):
        return _date(value, form)
    if not isinstance(value, int | float):
        return str(value)
    if form.lower() in ("general", "@", ""):
        return _general(value)
    return _number(value, form)


def _general(value: float) -> str:
    if isinstance(value, int) or value.is_integer():
        return str(int(value)) if abs(value) < 1e15 else repr(value)
    return f"{value:.{_DIGITS - 1}g}"


def _sections(form: str) -> list[list[str]]:
    """The pieces of each part, which a semicolon ends."""
    parts: list[list[str]] = [[]]
    for piece in _PIECES.findall(form):
        if piece == ";":
            parts.append([])
        else:
            parts[-1].append(piece)
    return parts


def _literal(piece: str) -> str | None:
    """What a piece writes by itself; None for one that stands for part of the value."""
    if piece.startswith('"'):
        return piece[1:-1]
    if piece.startswith("\\"):
        return piece[1:]
    if piece.startswith("_"):
        # "_x" leaves as much room as an x takes; "*x" fills the cell's width.
        return " "
    if piece.startswith("*"):
        return ""
    if currency := _CURRENCY.fullmatch(piece):
        return currency[1]
    if piece.startswith("["):
        return ""
    return None


def _number(value: float, form: str) -> str | None:
    if _CONDITION.search(form):
        return None
    parts = _sections(form)
    # Parts are for positive, negative and zero; a part for negatives writes its own sign.
    place = 1 if value < 0 and len(parts) > 1 else 2 if value == 0 and len(parts) > 2 else 0
    pieces = parts[place]
    size = abs(value) if place == 1 else value
    joined = "".join(piece for piece in pieces if _literal(piece) is None)
    # "# ?/?": a fraction.
    if re.search(r"[0#?]\s*/\s*[0#?\d]", joined):
        return _fraction(size, joined)
    digits = [piece for piece in pieces if re.match(r"[0#?.]", piece) and _literal(piece) is None]
    if len(digits) > 1:
        # Such as 000-00-0000: figures with marks between them.
        return _spread(size, pieces, digits)
    size = size * 100 ** pieces.count("%")
    made, signed = [], size < 0
    for piece in pieces:
        said = _literal(piece)
        if said is not None:
            made.append(said)
        elif digits and piece == digits[0]:
            power = next((p for p in pieces if re.fullmatch(r"e[+-]0+", p, re.I)), "")
            made.append(_scientific(abs(size), piece) if power else _placed(abs(size), piece))
        elif piece.lower() == "general":
            made.append(_general(abs(size)))
        elif not re.fullmatch(r"e[+-]0+", piece, re.I):
            made.append(piece)
    return ("-" if signed else "") + "".join(made).strip()


def _placed(size: float, pattern: str) -> str:
    whole, _, rest = pattern.partition(".")
    # Commas behind the figures divide by a thousand each.
    scaled = re.search(r",+$", whole if not rest else pattern)
    size /= 1000 ** (len(scaled[0]) if scaled else 0)
    rest = rest.rstrip(",")
    # Half away from zero, as spreadsheets do it; by the shortest decimal form of the number, since
    # its binary one lies beside the half.
    rounded = Decimal(repr(float(size))).quantize(Decimal(1).scaleb(-len(rest)), ROUND_HALF_UP)
    text = f"{rounded:f}"
    left, _, right = text.partition(".")
    left = left.lstrip("0").rjust(whole.count("0"), "0")
    if "," in whole.rstrip(","):
        left = re.sub(r"(?<=\d)(?=(\d{3})+$)", ",", left)
    # Zeros stay where the format has a 0, and go where it has # or ?.
    kept = len(rest.rstrip("#?"))
    while len(right) > kept and right.endswith("0"):
        right = right[:-1]
    return f"{left}.{right}" if right else left


def _scientific(size: float, pattern: str) -> str:
    figures = len(pattern.partition(".")[2])
    mantissa, _, power = f"{size:.{figures}E}".partition("E")
    return f"{mantissa}E{power}"


def _spread(size: float, pieces: list[str], digits: list[str]) -> str | None:
    if any(re.search(r"[.,]", piece) for piece in digits) or "%" in pieces:
        return None
    places = "".join(digits)
    text = str(round(abs(size))).rjust(places.count("0"), "0").rjust(len(places))
    head, rest = text[: len(text) - len(places)], list(text[len(text) - len(places) :])
    made = []
    for piece in pieces:
        said = _literal(piece)
        if said is not None:
            made.append(said)
        elif piece in digits:
            made.append("".join(rest.pop(0) for _ in piece))
        else:
            made.append(piece)
    return ("-" if size < 0 else "") + head + "".join(made).strip()


def _fraction(size: float, form: str) -> str:
    below = form.rpartition("/")[2].strip()
    whole, rest = divmod(abs(size), 1)
    if below.isdigit() and int(below):
        top, bottom = round(rest * int(below)), int(below)
    else:
        near = Fraction(rest).limit_denominator(10 ** len(below) - 1)
        top, bottom = near.numerator, near.denominator
    if top == bottom:
        whole, top = whole + 1, 0
    sign = "-" if size < 0 else ""
    parts = [str(int(whole))] if whole or not top else []
    return sign + " ".join([*parts, *([f"{top}/{bottom}"] if top else [])])


def _date(value: datetime | date | time | timedelta, form: str) -> str | None:
    if isinstance(value, timedelta):
        return _duration(value, form)
    if form.lower() in (*LOCAL_DATES, "general", "@"):
        return _iso(value)
    moment = (
        value
        if isinstance(value, datetime)
        else datetime.combine(date(1900, 1, 1), value)
        if isinstance(value, time)
        else datetime.combine(value, time())
    )
    if _ELAPSED.search(form):
        since = timedelta(hours=moment.hour, minutes=moment.minute, seconds=moment.second)
        return _duration(since, form)
    pieces = _sections(form)[0]
    half = any(piece.lower() in ("am/pm", "a/p") for piece in pieces)
    made = [_date_piece(pieces, place, moment, half=half) for place in range(len(pieces))]
    return "".join(made).strip()


def _iso(value: datetime | date | time) -> str:
    if isinstance(value, datetime):
        bare = value.hour == value.minute == value.second == 0
        return value.date().isoformat() if bare else value.isoformat(sep=" ", timespec="minutes")
    return value.isoformat()


def _date_piece(pieces: list[str], place: int, moment: datetime, *, half: bool) -> str:
    piece = pieces[place]
    said = _literal(piece)
    if said is not None:
        return said
    low = piece.lower()
    hour = (moment.hour % 12 or 12) if half else moment.hour
    if low[0] == "y":
        return f"{moment:%Y}" if len(low) > 2 else f"{moment:%y}"
    if low[0] == "m" and low.strip("m") == "":
        return _minute(moment, low) if _is_minute(pieces, place) else _month(moment, low)
    if low[0] == "d" and low.strip("d") == "":
        return (str(moment.day), f"{moment:%d}", f"{moment:%a}", f"{moment:%A}")[len(low[:4]) - 1]
    if low[0] == "h":
        return f"{hour:0{len(low)}d}"
    if low[0] == "s":
        return f"{moment.second:0{len(low)}d}"
    if low in ("am/pm", "a/p"):
        return ("AM" if moment.hour < 12 else "PM")[: 2 if low == "am/pm" else 1]
    if low.startswith(".0"):
        return f".{moment.microsecond:06d}"[: len(low)]
    return piece if piece not in ("@", "%") else ""


def _is_minute(pieces: list[str], place: int) -> bool:
    """An m after hours or before seconds means minutes."""
    letters = [(i, p.lower()[0]) for i, p in enumerate(pieces) if re.match(r"[ymdhs]+$", p, re.I)]
    here = next(i for i, (at, _) in enumerate(letters) if at == place)
    before = letters[here - 1][1] if here else ""
    after = letters[here + 1][1] if here + 1 < len(letters) else ""
    return before == "h" or after == "s"


def _minute(moment: datetime, low: str) -> str:
    return f"{moment.minute:0{len(low)}d}"


def _month(moment: datetime, low: str) -> str:
    names = (str(moment.month), f"{moment:%m}", f"{moment:%b}", f"{moment:%B}", f"{moment:%b}"[:1])
    return names[min(len(low), 5) - 1]


def _duration(value: timedelta, form: str) -> str:
    total = round(value.total_seconds())
    sign, total = ("-" if total < 0 else ""), abs(total)
    units = {"h": total // 3600, "m": total // 60, "s": total}
    rest = {"h": total // 3600 % 24, "m": total // 60 % 60, "s": total % 60}
    made = []
    for piece in _sections(form)[0]:
        elapsed = _ELAPSED.fullmatch(piece)
        low = elapsed[1].lower() if elapsed else piece.lower()
        if low[:1] in units and low.strip("hms") == "":
            made.append(f"{(units if elapsed else rest)[low[0]]:0{len(low)}d}")
        else:
            made.append(_literal(piece) if _literal(piece) is not None else piece)  # type: ignore[arg-type]
    return sign + "".join(made).strip() if made and form.lower() != "general" else str(value)
