"""Rows that answer one question in two ways.

For: naming both rows, so that a person decides. A contradiction is two answers to the same
question of which each states a fact that the other lacks. Not for: answers that differ in
words alone.

    contradicting_rows(table)[0]
    # Contradiction(row=7, other=2, here=("5 day",), there=("3 day",))
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from helpers.datasets.checkable_facts import facts, lacking
from helpers.datasets.dedup import normalise
from helpers.datasets.frame import ANSWER, QUESTION, asked_texts
from helpers.datasets.same_question import same_questions
from helpers.datasets.task import Task

if TYPE_CHECKING:
    import pandas as pd

Facts = frozenset[str]


@dataclass(frozen=True)
class Contradiction:
    """Two rows with one question, by their indices, and what only one of them states."""

    row: Any
    other: Any
    """The row of which the group has more of a kind, or that the caller's rule prefers."""
    here: tuple[str, ...]
    there: tuple[str, ...]


def same_question_groups(table: pd.DataFrame) -> list[list[int]]:
    """Places of the rows that ask the same, earlier turns included; groups of two or more."""
    return same_questions(asked_texts(table)).members()


def contradicting_rows(
    table: pd.DataFrame,
    *,
    article: Callable[[str], str] | None = None,
    newest: str | None = None,
    task: Task = "answers",
) -> list[Contradiction]:
    """Each row that contradicts the answer taken as right among those to its question.

    Right is the answer whose facts stand in `article(question)`, if that is given and tells
    them apart; else the newest by the column `newest`; else what most answers say. With the
    task "labels" any other label is a contradiction.
    """
    labels = task == "labels"
    read = (lambda text: frozenset({normalise(text)})) if labels else facts
    less = frozenset.difference if labels else lacking
    found = []
    for places in same_question_groups(table):
        group = table.iloc[places]
        stated = {row: read(str(answer)) for row, answer in group[ANSWER].items()}
        if len(set(stated.values())) == 1:
            continue
        right = _right_row(group, stated, less, article, newest)
        for row in group.index:
            here, there = less(stated[row], stated[right]), less(stated[right], stated[row])
            if here and there:
                found.append(Contradiction(row, right, tuple(sorted(here)), tuple(sorted(there))))
    return found


def _right_row(
    group: pd.DataFrame,
    stated: Mapping[Any, Facts],
    less: Callable[[Facts, Facts], Facts],
    article: Callable[[str], str] | None,
    newest: str | None,
) -> Any:
    """Index of the row whose answer is taken as right."""
    rows = list(stated)
    if article is not None:
        known = facts(article(group.iloc[0][QUESTION]))
        # Those whose facts the article confirms; all, if it confirms none.
        rows = [row for row in rows if stated[row] and stated[row] <= known] or rows
    if newest is not None and newest in group:
        # Dates as text: year first they rank as such. Of equal ones the first row.
        return max(rows, key=lambda row: (str(group.at[row, newest]), -rows.index(row)))
    counts = Counter(stated[row] for row in rows)
    agree = {
        one: sum(
            number
            for other, number in counts.items()
            if not (less(one, other) and less(other, one))
        )
        for one in counts
    }
    # An answer that states something wins over one that states nothing, then the most agreed with.
    return max(rows, key=lambda row: (bool(stated[row]), agree[stated[row]], -rows.index(row)))
