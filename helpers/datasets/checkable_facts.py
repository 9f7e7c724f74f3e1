"""The facts in a text that can be checked without understanding it: mostly its numbers.

For: telling whether two answers contradict each other, whether an answer agrees with an
article, and what an answer made up. Everything in the library that looks for numbers in a
text looks here. Not for: judging facts without numbers.

    facts("Hold it for twelve seconds.")       # frozenset({"12 second"})
    contradict("It takes 3 days.", "It takes 5 days.")      # True
    stated_facts("Pay $12 under Plan > Leave")              # ["Plan > Leave", "$12"]
"""

from __future__ import annotations

import re

from helpers.datasets import personal_data

NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
"""A number as it is written, with its separators."""
_SPELT = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen twenty"
)
_NUMBERS = {word: str(value) for value, word in enumerate(_SPELT.split())} | {
    "thirty": "30",
    "forty": "40",
    "fifty": "50",
    "sixty": "60",
    "ninety": "90",
    "hundred": "100",
}
_UNITS = {
    "second": "s sec secs second seconds sekunde sekunden seconde secondes segundo segundos",
    "minute": "min mins minute minutes minuten minuto minutos minuti",
    "hour": "h hr hrs hour hours stunde stunden heure heures hora horas ora ore uur",
    "day": "day days tag tage tagen werktag werktage werktagen jour jours día días giorno giorni",
    "week": "week weeks woche wochen semaine semaines semana semanas settimana settimane weken",
    "month": "month months monat monate monaten mois mes meses mese mesi maand maanden",
    "year": "yr yrs year years jahr jahre jahren ans année années año años anno anni jaar",
    "%": "% percent prozent pourcent",
    "€": "€ eur euro euros",
    "£": "£ gbp pound pounds",
    "$": "$ usd dollar dollars",
    "rupee": "rs inr rupee rupees ₹",
    "gb": "gb gigabyte gigabytes",
    "mb": "mb megabyte megabytes",
    "tb": "tb terabyte terabytes",
    "mbit": "mbit mbps",
    "gbit": "gbit gbps",
    "m": "m metre metres meter meters",
    "cm": "cm",
    "mm": "mm",
    "km": "km",
    "mile": "mile miles",
    "kg": "kg kilo kilos",
    "g": "g",
    "litre": "l litre litres liter liters",
    "kwh": "kwh",
    "w": "w watt watts",
}
_UNIT = {word: unit for unit, words in _UNITS.items() for word in words.split()}
"""Units of measure by the words for them. Any other word behind a number is none: "5 stars" and
"a rating of 5" are one fact."""
_UNIT_WORDS = "|".join(sorted(map(re.escape, _UNIT), key=len, reverse=True))
_CURRENCIES = "rs|inr|eur|usd|gbp"
"""Words for money that may stand before the number too."""
# Behind these words a unit belongs to something else: "5 a day", "2 per week".
_BETWEEN = "a|an|per|each|every|and|or|to|in|of|for|at|by|und|oder|pro|je|et|ou|par|y|o|por"
_DATE = r"\d{4}-\d{1,2}-\d{1,2}|\d{1,2}[./]\d{1,2}[./]\d{2,4}"
# A date, or an amount with perhaps a currency before and a unit behind.
_FACT = re.compile(
    rf"\s?(?P<date>(?<![\w./-])(?:{_DATE})(?![\w/-]))"
    # Digits behind a letter, "#" or "/" are a piece of a name, an order's id or a path.
    rf"|(?:(?P<money>[€$£₹]|\b(?:{_CURRENCIES})\b)\.?)?\s?"
    r"(?:(?<=Rs\.)|(?<![\w.#/@]))(?<!\d[,.:])(?<![^\W\d_]-)(?P<number>\d[\d,.:]*\d|\d)"
    # One word may stand between: "7 working days"; but "5 a day" are no 5 days.
    rf"(?:[ \t\u00a0\u202f-]?(?:(?!(?:{_BETWEEN})\b)[^\W\d_]+[ -])?(?P<unit>{_UNIT_WORDS})(?!\w))?",
    re.IGNORECASE,
)
# A number in words counts only with a word behind it: "twelve seconds", but not "for two".
_WORD_NUMBER = re.compile(r"\b(" + "|".join(_NUMBERS) + r")\b(?=[\s-]+[a-z])", re.IGNORECASE)
_VERDICTS = {"ja": "yes", "oui": "yes", "sí": "yes", "nein": "no", "non": "no", "nee": "no"}
_VERDICT = re.compile(r"\W*(yes|no|" + "|".join(_VERDICTS) + r")\b", re.IGNORECASE)
_ADDRESS = re.compile(r"(?:https?://|www\.)\S+|[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_ALWAYS = re.compile(r"\b24 ?/ ?7\b|\b24 ?x ?7\b", re.IGNORECASE)
# Numbers of nine figures and more, names in parts such as "A7-12-XY", and words such as "Mk2".
_ID = re.compile(
    r"(?<![\d.,])\d{9,}(?![\d.,]*\d)|\b(?=\w*\d)\w+(?:[-_]\w+){2,}\b|\b[^\W\d_]+\d[\w-]*\b"
)
_STEP = "step|schritt|étape|paso|passo|stap|krok"
# "1.", "(2)", "Step 3:".
_ITEM = re.compile(
    rf"(?<!\S)[(*]*(?P<step>(?:{_STEP})\s+)?(?P<item>\d{{1,2}})(?P<mark>[.):]?)(?=[\s*]|$)",
    re.IGNORECASE,
)
_BEFORE_ITEM = re.compile(r"(?P<line>(?:^|\n)[\s>*-]*)$|[.:;!?)*]\s*$")


def facts(text: str) -> frozenset[str]:
    """Each number, with its unit of measure, and "yes" or "no" where the text opens so.

    A date and a phone number are one fact each. No facts are the numbers of a list and of
    its steps, pieces of ids, links and addresses, and "24/7", which says "always".
    """
    verdict = _VERDICT.match(text)
    opening = {_VERDICTS.get(said := verdict[1].lower(), said)} if verdict else set()
    # "one" is left alone: it is a pronoun far more often than a number.
    spelt = _WORD_NUMBER.sub(
        lambda m: m.group() if m.group().lower() == "one" else _NUMBERS[m.group().lower()], text
    )
    if not any(letter.isdigit() for letter in spelt):
        return frozenset(opening)
    rest = _ALWAYS.sub(" ", _ADDRESS.sub(" ", without_list_numbers(spelt)))
    phones = personal_data.find(rest, kinds=("phone",))
    # From the back, so that the places of the others stay right.
    for found in reversed(phones):
        rest = f"{rest[: found.start]} {rest[found.end :]}"
    rest = _ID.sub(_unless_a_date, rest)
    stated = {_fact(match) for match in _FACT.finditer(rest)}
    return frozenset(opening | stated | {f"phone {_digits(one.value)}" for one in phones})


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text)


def _unless_a_date(match: re.Match[str]) -> str:
    return match[0] if re.fullmatch(_DATE, match[0]) else " "


def _fact(match: re.Match[str]) -> str:
    if match["date"]:
        return match["date"]
    unit = _UNIT.get((match["money"] or match["unit"] or "").lower(), "")
    return f"{_plain_number(match['number'])} {unit}".strip()


def _plain_number(written: str) -> str:
    """One spelling of a number: "1,299.00", "1.299,00" and "1299" are equal."""
    if ":" in written:
        return written
    # "1.299,00": points group, a comma parts the cents.
    if re.fullmatch(r"\d{1,3}(?:\.\d{3})+,\d+|\d+,\d{1,2}", written):
        written = written.replace(".", "").replace(",", ".")
    number = written.replace(",", "")
    # A trailing zero is no other amount: 12.50 and 12.5. Two points are a version or a date.
    return number.rstrip("0").rstrip(".") if number.count(".") == 1 else number


def without_list_numbers(text: str) -> str:
    """The text without the numbers that count the items of a list, or its steps.

    A list counts up from 1, or stands at the beginning of lines. "It takes 5. Then …" and
    "on the 1. May" are none.
    """
    runs: list[list[re.Match[str]]] = []
    for item in _ITEM.finditer(text):
        if not _may_be_item(item):
            continue
        if runs and int(item["item"]) == int(runs[-1][-1]["item"]) + 1:
            runs[-1].append(item)
        else:
            runs.append([item])
    for item in reversed([item for run in runs if _is_list(run) for item in run]):
        text = f"{text[: item.start('item')]}{text[item.end('item') :]}"
    return text


def _may_be_item(item: re.Match[str]) -> bool:
    """Whether it opens a line or a sentence, or is marked as an item by its form."""
    opens = _BEFORE_ITEM.search(item.string, 0, item.start())
    return bool(item["step"] or item["mark"] == ")" or (item["mark"] and opens))


def _is_list(run: list[re.Match[str]]) -> bool:
    opens = [_BEFORE_ITEM.search(item.string, 0, item.start()) for item in run]
    lined = all(found is not None and found["line"] is not None for found in opens)
    long, from_one = len(run) > 1, run[0]["item"] == "1"
    return bool(run[0]["step"]) or (long and (lined or from_one)) or (lined and from_one)


# From the longest form to the shortest: addresses, paths in an app ("Plan > Leave"), phones,
# prices, bare numbers.
FACT_PATTERNS = (
    re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"),
    re.compile(r"\b(?:[\w-]+\.)+(?:example|com|net|org)(?:/[\w/-]+)?"),
    re.compile(r"\b[A-Z][\w-]*(?: [a-z]+)? > [A-Z][\w-]*(?: (?:[a-z]+|&))*"),
    re.compile(r"\b\d{3}-\d{4}\b"),
    re.compile(r"\$\d+(?:\.\d\d)?"),
    re.compile(r"\b\d+(?:[.,]\d+)*\b"),
)


def stated_facts(text: str) -> list[str]:
    """Numbers, prices, phone numbers, addresses and app paths in `text`, in order of pattern.

    As they are written, to be looked up in other texts. A text that one pattern took is not
    searched again, so "$12" is one fact, not two; the numbers of a list are none.
    """
    found: list[str] = []
    rest = without_list_numbers(text)
    for pattern in FACT_PATTERNS:
        found += [match.rstrip(".") for match in pattern.findall(rest)]
        rest = pattern.sub(" ", rest)
    return found


def contradict(one: str | frozenset[str], other: str | frozenset[str]) -> bool:
    """Whether each of two answers states a fact that the other lacks.

    An answer that merely says more than the other does not contradict it.
    """
    first = facts(one) if isinstance(one, str) else one
    second = facts(other) if isinstance(other, str) else other
    return bool(lacking(first, second) and lacking(second, first))


def lacking(one: frozenset[str], other: frozenset[str]) -> frozenset[str]:
    """The facts of one answer that another lacks.

    The same number without a unit is no other number, and to "yes" only a "no" is another word.
    """
    amounts = {fact.split(" ")[0] for fact in other}
    verdicts = {"yes", "no"}
    return frozenset(
        fact
        for fact in one - other
        if (verdicts & other if fact in verdicts else True)
        and fact not in amounts
        and fact.split(" ")[0] not in other
    )
