"""Find personal data and secrets in texts, and put placeholders in their place.

For: e-mail addresses, phone numbers, payment cards (by issuer and Luhn's sum), bank accounts
(IBAN, by country and check digits), API keys and, on request, order numbers. Numbers
that a text calls an order's, an invoice's or a parcel's, and the digits of links, are neither
cards nor phones. Not for: names and addresses, which no pattern finds reliably; a person must
look for those.

    redact("Call 020 7946 0018 or write to ann@post.example").text
    # 'Call [phone] or write to [email]'
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

KINDS = ("key", "email", "iban", "card", "phone")
"""What is looked for unless told otherwise; earlier kinds win where two overlap."""

# Lengths by country, of ISO 13616's register: the length tells where an IBAN ends in a sentence.
_IBAN_LENGTHS = (
    "NO15 BE16 DK18 FI18 FO18 GL18 NL18 MK19 SI19 AT20 BA20 EE20 KZ20 LT20 LU20 XK20 CH21 HR21 "
    "LI21 LV21 BG22 BH22 CR22 DE22 GB22 GE22 IE22 ME22 RS22 VA22 AE23 GI23 IL23 IQ23 TL23 AD24 "
    "CZ24 ES24 MD24 PK24 RO24 SA24 SE24 SK24 TN24 VG24 LY25 PT25 ST25 IS26 TR26 FR27 GR27 IT27 "
    "MC27 MR27 SM27 AL28 AZ28 BY28 CY28 DO28 GT28 HU28 LB28 PL28 SV28 BR29 EG29 PS29 QA29 UA29 "
    "JO30 KW30 MU30 MT31 SC31 LC32"
)
# The country and two check digits, then as many signs as are left.
_IBANS = "|".join(
    rf"{one[:2]}\d\d(?:[ -]?[A-Z0-9]){{{int(one[2:]) - 4}}}" for one in _IBAN_LENGTHS.split()
)
# Keys by how their makers begin them (OpenAI, GitHub, GitLab, Hugging Face, Slack, AWS, Google,
# JWT); the others by form, which `_holds` and the words before them narrow down.
_PATTERNS = {
    "key": re.compile(
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
        r"|\b(?:sk-[\w-]{16,}|gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}"
        r"|hf_[a-zA-Z]{20,}|xox[abprs]-[\w-]{10,}|AKIA[0-9A-Z]{16}|AIza[\w-]{30,}"
        r"|eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]*)"
    ),
    "email": re.compile(r"[\w.+%'-]{1,64}@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}\b"),
    "iban": re.compile(rf"(?<![\w-])(?:{_IBANS})(?!\w)", re.IGNORECASE | re.ASCII),
    "card": re.compile(r"(?<![\w.-])\d(?:[ -]?\d){12,18}(?![\w-])"),
    "phone": re.compile(
        r"(?<![\w.,:/#€$£-])(?:\+\d{1,3}[ .-]?)?(?:\(\d{1,5}\)[ .-]?)?"
        r"\d{2,6}(?:[ .-]?\d{2,6}){0,5}(?![\w%:€$£/]|[-.,]\d)"
    ),
    "order": re.compile(r"(?<![\w-])#?(?:[A-Z]{2,4}-?\d{4,10}|#\d{4,10})(?![\w-])"),
}
_ISSUERS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}"
    r"|3[47]\d{13}|3(?:0[0-5]|[689]\d)\d{11}|(?:6011|65\d\d|64[4-9]\d)\d{12}"
    r"|35(?:2[89]|[3-8]\d)\d{12}|62\d{14,17}|(?:50|5[6-9]|6[0-9])\d{10,17}"
)
"""The numbers that card issuers give out: how they begin, and how long they are."""
_LINK = re.compile(r"(?:https?://|www\.)[^\s<>\"')\]]+|\b[\w-]+(?:\.[\w-]+)+/[^\s<>\"')\]]*")
_ID_WORDS = (
    "order|purchase|invoice|receipt|reference|ref|tracking|parcel|package|shipment|"
    "consignment|ticket|case|incident|claim|policy|booking|reservation|transaction|"
    "contract|serial|model|article|item|product|sku|"
    "isbn|ean|imei|id|code|version|build|bestell\\w*|auftrag\\w*|rechnung\\w*|sendung\\w*|"
    "paket\\w*|vertrag\\w*|vorgang\\w*|artikel\\w*|serien\\w*|buchung\\w*|referenz\\w*|"
    "aktenzeichen|commande|facture|colis|suivi|dossier|contrat|pedido|factura|envío|contrato|"
    "ordine|fattura|spedizione|bestelling|factuur|zending|zamówieni\\w*|faktur\\w*|przesyłk\\w*"
)
_PEOPLES = r"(?:customer|client|account|user|member(?:ship)?)(?:'s)? (?:number|no|nr|id)|kunden\w+"
_CALLED_ID = re.compile(
    rf"(?:\b(?:{_ID_WORDS}|{_PEOPLES})\b|#)(?:[\s:.#=_-]|\b(?:number|numbers|num|no|nr|id|code|nummer|numéro|"
    rf"número|numero|is|ist|est|es|was|with|the|n°|nº)\b){{0,6}}$",
    re.IGNORECASE,
)
"""What stands before a number that is the number of something."""
_DATE = re.compile(r"\d{4}[-. ]\d{1,2}[-. ]\d{1,2}|\d{1,2}[-. ]\d{1,2}[-. ]\d{4}")
# "312-4567", "212 312 4567": without a country or a leading zero, only such groups are phones.
_LOCAL_PHONE = re.compile(r"\d{3}[ .-]\d{4}|\d{3}[ .-]\d{3}[ .-]\d{4}")
# Seven figures with little between them: fewer make neither a card nor a phone.
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
    links: list[tuple[int, int]] | None = None
    # In the order of the patterns: what is taken for a key or a card is no phone as well.
    for kind in (kind for kind in _PATTERNS if kind in kinds and _may_hold(kind, text)):
        for match in _PATTERNS[kind].finditer(text):
            start, end = match.span()
            free = all(end <= other.start or start >= other.end for other in found)
            if not free or match.group() in keep or not _holds(kind, match.group()):
                continue
            if kind in ("card", "phone"):
                if links is None:
                    links = [link.span() for link in _LINK.finditer(text)]
                if any(s <= start < e for s, e in links) or _numbers_something(kind, match):
                    continue
            found.append(PersonalDatum(kind, start, end, match.group()))
    return tuple(sorted(found, key=lambda finding: finding.start))


def redact(text: str, *, kinds: Collection[str] = KINDS, keep: Collection[str] = ()) -> Redaction:
    """Replace each finding by its kind in brackets: `[email]`, `[phone]`, `[iban]`, …."""
    found = find(text, kinds=kinds, keep=keep)
    # From the back: earlier places stay right.
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


def mod97(iban: str) -> int:
    """The rest that an account's letters and digits leave, 1 where its check digits are right."""
    # The country and the check digits go to the end, letters count from A = 10 (ISO 7064).
    return int("".join(str(int(sign, 36)) for sign in iban[4:] + iban[:4])) % 97


def _numbers_something(kind: str, match: re.Match[str]) -> bool:
    """Whether the words before call it the number of an order or the like.

    A card in its usual groups, and a phone with a country or an area in front, are what
    they look like, whatever is said before them.
    """
    value = match.group()
    if kind == "card" and re.fullmatch(r"\d{4}([ -])\d{4}\1\d{4}\1\d{1,7}", value):
        return False
    if kind == "phone" and value[0] in "+(":
        return False
    # Sixty letters before it, so that a long text is not searched anew for each number.
    return _CALLED_ID.search(match.string, max(0, match.start() - 60), match.start()) is not None


def _holds(kind: str, value: str) -> bool:
    """The part of a kind's definition that its pattern cannot express."""
    # Not `isdigit`, which other scripts' figures pass.
    digits = "".join(letter for letter in value if "0" <= letter <= "9")
    if kind == "iban":
        return mod97(re.sub("[ -]", "", value)) == 1
    if kind == "card":
        return _ISSUERS.fullmatch(digits) is not None and luhn(digits)
    if kind != "phone":
        return True
    if _DATE.fullmatch(value) or not 7 <= len(digits) <= 15 or digits.startswith("000"):
        return False
    return value[0] in "+(0" or _LOCAL_PHONE.fullmatch(value) is not None
