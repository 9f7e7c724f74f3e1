"""Find personal data and secrets in texts, and put placeholders in their place.

For: e-mail addresses, phone numbers, payment cards (checked with Luhn's sum), API keys
and, on request, order numbers. Not for: names and addresses, which no pattern finds
reliably; a person must look for those.

    redact("Call 020 7946 0018 or write to ann@post.example").text
    # 'Call [phone] or write to [email]'
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

KINDS = ("key", "email", "card", "phone")
"""What is looked for unless told otherwise; earlier kinds win where two overlap."""

_PATTERNS = {
    "key": re.compile(
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
        r"|\b(?:sk-[\w-]{16,}|gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}"
        r"|hf_[a-zA-Z]{20,}|xox[abprs]-[\w-]{10,}|AKIA[0-9A-Z]{16}|AIza[\w-]{30,}"
        r"|eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]*)"
    ),
    "email": re.compile(r"[\w.+%'-]{1,64}@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}\b"),
    "card": re.compile(r"(?<![\w.-])\d(?:[ -]?\d){12,18}(?![\w-])"),
    "phone": re.compile(
        r"(?<![\w.,:/#€$£-])(?:\+\d{1,3}[ .-]?)?(?:\(\d{1,5}\)[ .-]?)?"
        r"\d{2,6}(?:[ .-]?\d{2,6}){0,5}(?![\w%:€$£/]|[-.,]\d)"
    ),
    "order": re.compile(r"(?<![\w-])#?(?:[A-Z]{2,4}-?\d{4,10}|#\d{4,10})(?![\w-])"),
}
_DATE = re.compile(r"\d{4}[-. ]\d{1,2}[-. ]\d{1,2}|\d{1,2}[-. ]\d{1,2}[-. ]\d{4}")
_LOCAL_PHONE = re.compile(r"\d{3}[ .-]\d{4}|\d{3}[ .-]\d{3}[ .-]\d{4}")
_SEVEN_DIGITS = re.compile(r"\d(?:[^\d\n]{0,3}\d){6}")
_KEY_STARTS = ("sk-", "gh", "glpat-", "hf_", "xox", "AKIA", "AIza", "eyJ", "-----BEGIN")


@dataclass(frozen=True)
class PersonalDatum:
    """One piece of personal data in a text."""

    kind: str
    start: int
    end: int
    value: str

    @property
    def masked(self) -> str:
        """The value with its middle hidden: fit for a report."""
        shown = 2 if len(self.value) > 6 else 0
        return f"{self.value[:shown]}…{self.value[-shown:] if shown else ''}"


@dataclass(frozen=True)
class Redaction:
    """A text without its personal data, and what was taken out."""

    text: str
    found: tuple[PersonalDatum, ...]


def find(
    text: str, *, kinds: Collection[str] = KINDS, keep: Collection[str] = ()
) -> tuple[PersonalDatum, ...]:
    """Personal data in order of place. `keep` names values that may stay, such as the
    address of the support desk itself."""
    found: list[PersonalDatum] = []
    for kind in (kind for kind in _PATTERNS if kind in kinds and _may_hold(kind, text)):
        for match in _PATTERNS[kind].finditer(text):
            start, end = match.span()
            free = all(end <= other.start or start >= other.end for other in found)
            if free and match.group() not in keep and _holds(kind, match.group()):
                found.append(PersonalDatum(kind, start, end, match.group()))
    return tuple(sorted(found, key=lambda finding: finding.start))


def redact(text: str, *, kinds: Collection[str] = KINDS, keep: Collection[str] = ()) -> Redaction:
    """Replace each finding by its kind in brackets: `[email]`, `[phone]`, `[card]`, `[key]`."""
    found = find(text, kinds=kinds, keep=keep)
    for finding in reversed(found):
        text = f"{text[: finding.start]}[{finding.kind}]{text[finding.end :]}"
    return Redaction(text, found)


def _may_hold(kind: str, text: str) -> bool:
    """A quick look that spares most texts the slower pattern."""
    if kind == "email":
        return "@" in text
    if kind == "key":
        return any(start in text for start in _KEY_STARTS)
    return kind == "order" or _SEVEN_DIGITS.search(text) is not None


def luhn(digits: str) -> bool:
    """Whether the last digit is the check sum that every payment card carries."""
    total = 0
    for place, digit in enumerate(map(int, reversed(digits))):
        doubled = digit * 2 if place % 2 else digit
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0


def _holds(kind: str, value: str) -> bool:
    """The part of a kind's definition that its pattern cannot express."""
    digits = "".join(letter for letter in value if "0" <= letter <= "9")
    if kind == "card":
        return 13 <= len(digits) <= 19 and luhn(digits) and digits.strip("0") != ""
    if kind != "phone":
        return True
    if _DATE.fullmatch(value) or not 7 <= len(digits) <= 15:
        return False
    return value[0] in "+(0" or _LOCAL_PHONE.fullmatch(value) is not None
