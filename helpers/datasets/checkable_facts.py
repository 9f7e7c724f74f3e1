"""The checkable facts in an answer: its numbers with their units, and a yes or no.

For: telling whether two answers to one question contradict each other, and whether an
answer agrees with an article. Not for: judging facts without numbers.

    facts("Hold it for twelve seconds.")       # frozenset({"12 second"})
    contradict("It takes 3 days.", "It takes 5 days.")      # True
"""

from __future__ import annotations

import re

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
_FACT = re.compile(
    r"(?P<money>[€$£])?\s?(?<![\w.])(?P<number>\d[\d,.:]*\d|\d)\s?(?P<unit>%|[€$£]|[^\W\d_]+)?"
)
_WORD_NUMBER = re.compile(r"\b(" + "|".join(_NUMBERS) + r")\b(?=[\s-]+[a-z])", re.IGNORECASE)
_VERDICT = re.compile(r"\W*(yes|no)\b", re.IGNORECASE)
_JOINERS = {"and", "or", "to", "if", "in", "is", "on", "at", "for", "the", "but", "of", "then"}


def facts(text: str) -> frozenset[str]:
    """Each number with its unit in the singular, and "yes" or "no" where the text opens so."""
    # "one" is left alone: it is a pronoun far more often than a number.
    spelt = _WORD_NUMBER.sub(
        lambda m: m.group() if m.group().lower() == "one" else _NUMBERS[m.group().lower()], text
    )
    found = {_fact(match) for match in _FACT.finditer(spelt)}
    verdict = _VERDICT.match(text)
    return frozenset(found | {verdict.group(1).lower()} if verdict else found)


def _fact(match: re.Match[str]) -> str:
    number = match["number"].replace(",", "")
    if "." in number and ":" not in number:
        number = number.rstrip("0").rstrip(".")
    unit = (match["money"] or match["unit"] or "").lower()
    unit = "" if unit in _JOINERS else unit
    return f"{number} {unit.removesuffix('s') if len(unit) > 2 else unit}".strip()


def contradict(one: str | frozenset[str], other: str | frozenset[str]) -> bool:
    """Whether each of two answers states a fact that the other lacks.

    An answer that merely says more than the other does not contradict it.
    """
    first = facts(one) if isinstance(one, str) else one
    second = facts(other) if isinstance(other, str) else other
    return not (first <= second or second <= first)
