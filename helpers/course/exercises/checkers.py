"""Checkers for the usual kinds of answers: a number, a choice, a function.

For: the exercises of `helpers.course.exercises.nb00` and so on, so that a quoted number or a
function without `return` gets the same helpful words everywhere. Not for: answers of
a shape of their own, which a notebook's module checks itself.

    number(45, "the number of times", {9: "…"}, "Examples x epochs.")("45")
    # 'This is text. Write the number without quotes.'
"""

from __future__ import annotations

import copy
import math
import reprlib
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from numbers import Real
from typing import Any

Checker = Callable[[Any], str | None]
"""Returns None for a right answer, otherwise what is missing and why."""

LONGEST = 70
"""Letters of a value that a message repeats."""
# Cuts inside containers too: a list of long texts stays one line.
_short = reprlib.Repr()
_short.maxstring = _short.maxother = LONGEST


def shown(value: object) -> str:
    """A value as a message repeats it: short, whatever its own `repr` does."""
    try:
        text = _short.repr(value)
    except Exception:  # noqa: BLE001 - a learner's class may raise anything
        text = f"an object of {type(value).__name__}"
    return text if len(text) <= 3 * LONGEST else text[: 3 * LONGEST] + "…"


def said(error: BaseException) -> str:
    """The kind of an error and its words, if it can say them."""
    try:
        words = str(error)
    except Exception:  # noqa: BLE001 - an error of a learner's own may fail at this too
        words = ""
    return f"{type(error).__name__}: {words[:LONGEST]}" if words else type(error).__name__


def no_number(answer: Any, what: str) -> str | None:
    """Why `answer` is not one finite number; None if it is one."""
    # Before numbers: for Python, True is 1.
    if isinstance(answer, bool):
        return f"True and False answer a yes-or-no question; wanted is {what}."
    if isinstance(answer, str):
        return "This is text. Write the number without quotes."
    if callable(answer):
        return f"This is a function. Write the number itself, or the calculation: {what}."
    if isinstance(answer, list | tuple | set | dict):
        return f"This is a {type(answer).__name__}. Wanted is one number: {what}."
    # NumPy's and torch's scalars that are no `Real` are told by their type.
    if not isinstance(answer, Real | Decimal):
        return f"This is of type {type(answer).__name__}. Wanted is one number: {what}."
    if not math.isfinite(answer):
        return f"{answer} is no usable number; wanted is {what}."
    return None


def number(
    wanted: float,
    what: str,
    known: Mapping[float, str],
    otherwise: str,
    *,
    within: float = 1e-9,
) -> Checker:
    """For a number; `known` holds the mistakes with a reason of their own."""

    def close(answer: Any, value: float) -> bool:
        # Huge whole numbers do not fit into a float, and are never the answer.
        return abs(answer) < 10**15 and abs(float(answer) - value) <= within

    def check(answer: Any) -> str | None:
        fault = no_number(answer, what)
        if fault:
            return fault
        near = [value for value in (wanted, *known) if close(answer, value)]
        if not near:
            return otherwise
        # A rounded right answer may come close to a known mistake too: the nearer one counts.
        nearest = min(near, key=lambda value: abs(float(answer) - value))
        return None if nearest == wanted else known[nearest]

    return check


def choice(wanted: str, others: Mapping[str, str]) -> Checker:
    """For one of some words; `others` says why each other one is not it."""
    words = ", ".join(f'"{word}"' for word in sorted((wanted, *others)))

    def check(answer: Any) -> str | None:
        if not isinstance(answer, str):
            return f"Wanted is one of these words, in quotes: {words}."
        word = answer.strip().lower()
        if word == wanted:
            return None
        return others.get(word, f"{shown(answer)} is none of the words: {words}.")

    return check


def call(answer: Any, arguments: tuple[Any, ...]) -> tuple[Any, str | None]:
    """What a learner's function returns, and what went wrong when it was called."""
    try:
        # A copy, for the function may sort or empty what it gets.
        value = answer(*copy.deepcopy(arguments))
    except (Exception, SystemExit) as error:  # noqa: BLE001
        # A learner's code may raise anything; `exit()` must not end the kernel.
        return None, f"it raises {said(error)}."
    if value is None or value is ...:
        return None, f"it gives {value!r}. Does it end with return?"
    return value, None


def function(
    arguments: str, cases: Iterable[tuple[tuple[Any, ...], str, Callable[[Any], str | None]]]
) -> Checker:
    """For a function: each case has the arguments, their label and a judge of the result.

    The judge's words go on after "For …", such as "it gives 3; wanted is 4."
    """
    known = list(cases)

    def check(answer: Any) -> str | None:
        if not callable(answer):
            return f"Assign a function with {arguments}: its name, without calling it."
        for given, label, judge in known:
            value, fault = call(answer, given)
            fault = fault or judge(value)
            if fault:
                return f"For {label} {fault}"
        return None

    return check


def any_function(arguments: str) -> Checker:
    """For a function that is measured and not compared: whether it is one at all."""

    def check(answer: Any) -> str | None:
        if callable(answer):
            return None
        return f"Assign a function with {arguments}: its name, without calling it."

    return check
