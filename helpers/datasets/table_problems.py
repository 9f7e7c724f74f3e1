"""What a person should look at in a prepared table, with the rows of the source.

For: answers that lost much in cleaning, contradicting rows, placeholders, parts without a
row. Nothing is changed here. Not for: the files that were written, see
`helpers.datasets.validation`.

    for found in table_problems(cleaning, contradictions, split, {"test": 0.2}):
        print(found)        # line 7: much_removed: Row 7 …
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from helpers.base.remedies import argument
from helpers.datasets.cleaning.contradicting import Contradiction
from helpers.datasets.cleaning.run import CleaningResult
from helpers.datasets.frame import ANSWER
from helpers.datasets.personal_data import KINDS
from helpers.datasets.task import Task
from helpers.datasets.validation.codes import Problem

if TYPE_CHECKING:
    import pandas as pd

    from helpers.datasets.splitting import Split

# Gaps of templates: "{{name}}", "${order}", "<<date>>", "[[id]]", "%ORDER_ID%", "[YOUR NAME]",
# "[insert date]", "{name}", "{0}", "{% if late %}", "%s", "%(name)s", "__NAME__" and "<ORDER ID>".
_PLACEHOLDER = re.compile(
    r"\{\{[^{}\n]{1,40}\}\}|\$\{[^{}\n]{1,40}\}|<<[^<>\n]{1,40}>>|\[\[[^][\n]{1,40}\]\]"
    r"|%[A-Z][A-Z_]{2,30}%|\[(?:[A-Z][A-Z _-]{2,30}|(?:[Yy]our|[Ii]nsert) [\w ]{2,30})\]"
    r"|\{(?:[A-Za-z][A-Za-z_ ]{1,30}|\d)\}|\{%[^{}%\n]{1,60}%\}|(?<![\w%])%(?:\(\w{1,30}\))?[sd]\b"
    r"|\b__[A-Z][A-Z_]{1,30}__\b|(?<!<)<[A-Z][A-Z _-]{2,30}>(?!>)"
)
_TAKEN_OUT = re.compile(r"\[(?:" + "|".join(KINDS) + r")\]")
SHOWN = 5


def table_problems(
    cleaning: CleaningResult,
    contradictions: Sequence[Contradiction],
    split: Split,
    shares: Mapping[str, float],
    task: Task = "answers",
) -> Iterator[Problem]:
    """All of them; `line` is the row of the source, 0 for the table as a whole."""
    yield from _empty(split, shares)
    if task == "labels":
        yield from _spelt_apart(cleaning.table)
    for change in cleaning.shortened:
        share = 1 - len(change.after) / len(change.before)
        text = f"Row {change.row} lost {share:.0%} of its answer ({', '.join(change.kinds)})"
        fix = f"compare both in the report; {argument('without', change.kinds)} keeps it"
        yield Problem(change.row, "much_removed", "warning", text, fix)
    decide = (
        "both are kept: correct the wrong one in your table, or keep the side of most answers "
        f"with {argument('majority', True)}"
    )
    for found in contradictions:
        text = f"Row {found.row} answers the question of row {found.other} with other facts"
        detail = f"{', '.join(found.here)} against {', '.join(found.there)}"
        yield Problem(found.row, "contradicting_rows", "warning", f"{text}: {detail}", decide)
    yield from _placeholders(cleaning.table)


def _empty(split: Split, shares: Mapping[str, float]) -> Iterator[Problem]:
    rows = sum(len(getattr(split, part)) for part in ("train", "validation", "test"))
    for part, share in shares.items():
        if share > 0 and getattr(split, part).empty:
            text = f"No row is left for {part}: {share:.0%} of {rows} rows in whole groups is none"
            fix = f"collect more rows, or raise the share: {argument(part, min(0.5, 2 * share))}"
            yield Problem(0, "empty_split", "warning", text, fix)


def _spelt_apart(table: pd.DataFrame) -> Iterator[Problem]:
    """Labels that differ in their capitals alone, which count as one where they are scored."""
    spelt: dict[str, Counter[str]] = {}
    for label in map(str, table[ANSWER]):
        spelt.setdefault(label.casefold(), Counter())[label] += 1
    for ways in spelt.values():
        if len(ways) > 1:
            often = ways.most_common()
            told = ", ".join(f"{label!r} ({rows} rows)" for label, rows in often)
            text = f"{told} count as one label, and are learnt as {len(ways)}"
            fix = f"write all of them as {often[0][0]!r} in your table"
            yield Problem(0, "labels_spelt_apart", "warning", text, fix)


def _placeholders(table: pd.DataFrame) -> Iterator[Problem]:
    """Gaps of templates, and those that redaction left, which a model learns to say."""
    say_otherwise = (
        f"name what may stay with {argument('keep', ['CONTACT'])}, or write answers that need no "
        "data of a customer"
    )
    for pattern, code, fix in (
        (_PLACEHOLDER, "placeholder", _FILL_IN),
        (_TAKEN_OUT, "redacted_answer", say_otherwise),
    ):
        held = {row: pattern.findall(answer) for row, answer in table[ANSWER].items()}
        rows = [row for row, found in held.items() if found]
        if rows:
            counts = Counter(name for found in held.values() for name in dict.fromkeys(found))
            names = ", ".join(name for name, _ in counts.most_common(SHOWN))
            more = f" and {len(counts) - SHOWN} others" if len(counts) > SHOWN else ""
            many = "answer holds" if len(rows) == 1 else "answers hold"
            text = f"{len(rows)} {many} {names}{more}: the model learns to say them as such"
            yield Problem(int(str(rows[0])), code, "warning", text, fix)


_FILL_IN = "put the values in, or let your program fill them in what the model says"
