"""Scores of several systems as tables: what a notebook shows after it has graded.

For: the plumbing between reports and a table, written once. A cell is text, most often a mean
with its interval, so that a table says how sure it is. Not for: the numbers themselves, see
`helpers.evaluation.statistics`; the methods of the whole course, see `leaderboard`.

    score_table(reports, {"recall": "key_fact_recall", "declines": ("declines", "misuse")})
    comparison_table(reports, "key_fact_recall", baseline="base")
    as_table(kind_intervals(reports, "declines", kinds=["misuse"]))
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from helpers.base.errors import DataError
from helpers.evaluation.grading import EvaluationReport
from helpers.evaluation.statistics import Comparison, Interval, compare, interval

if TYPE_CHECKING:
    import pandas as pd

Measure = str | Callable[[EvaluationReport], np.ndarray]
"""A scorer's name, or a function that gives one value for each row of a report."""
Column = Measure | tuple[str, ...]
"""A measure, or a scorer's name and the kinds of question that it is about."""
Reports = Mapping[Any, EvaluationReport]
"""By the name of the system, or a number such as that of its demonstrations."""
ALL = "all"
TOKENS = ("prompt_tokens", "completion_tokens")
Name = TypeVar("Name", bound=Hashable)


def as_table(rows: Mapping[Any, Mapping[Any, object]]) -> pd.DataFrame:
    """Rows, each with its cells by column, as a table of text."""
    import pandas as pd

    return pd.DataFrame({name: dict(cells) for name, cells in rows.items()}).T.map(str)


def score_table(reports: Reports, columns: Mapping[str, Column] | Sequence[str]) -> pd.DataFrame:
    """One row a system; for each heading the mean of a score with its interval.

    A column is a scorer's name, or `(scorer, kind, ...)` for some kinds of question alone, or a
    function of the report. Three further names are no scores: "prompt_tokens" and
    "completion_tokens" give their mean, "seconds" the median of the questions asked alone.
    Raises `DataError` for a scorer that a report does not have.
    """
    headed = columns if isinstance(columns, Mapping) else {name: name for name in columns}
    return as_table(
        {
            name: {heading: _cell(report, column) for heading, column in headed.items()}
            for name, report in reports.items()
        }
    )


def _cell(report: EvaluationReport, column: Column) -> object:
    if column == "seconds":
        taken = report.seconds()
        return "not timed" if taken is None else f"{taken:.2f}"
    if column in TOKENS:
        return round(float(np.mean([row[column] for row in report.rows])))
    if isinstance(column, tuple):
        scorer, *kinds = column
        return interval(values(report.of(*kinds), scorer))
    return interval(values(report, column))


def values(report: EvaluationReport, measure: Measure) -> np.ndarray:
    """One value for each row, shape (n,). Raises `DataError` for an unknown scorer."""
    if callable(measure):
        return measure(report)
    if measure not in report.scorers:
        known = ", ".join(report.scorers)
        raise DataError(f"no scores {measure!r} in this report", fix=f"it has {known}")
    return report.column(measure)


def kind_intervals(
    reports: Mapping[Name, EvaluationReport], measure: Measure, kinds: Sequence[str] | None = None
) -> dict[str, dict[Name, Interval]]:
    """Kind of question, then system: the mean with its interval.

    Without `kinds`, those of the reports in their order, and "all" of them together.
    """
    # A dict as an ordered set: kinds appear as the reports have them.
    found = {row["kind"]: None for report in reports.values() for row in report.rows}
    return {
        kind: {
            name: interval(values(report if kind == ALL else report.of(kind), measure))
            for name, report in reports.items()
        }
        for kind in kinds or (*found, ALL)
    }


def paired_scores(
    a: EvaluationReport, b: EvaluationReport, measure: Measure
) -> tuple[np.ndarray, np.ndarray]:
    """The scores of two systems on the questions that both were asked, each (n,), in b's order."""
    known = dict(zip((row["sample"] for row in a.rows), values(a, measure), strict=True))
    both = [
        (known[row["sample"]], value)
        for row, value in zip(b.rows, values(b, measure), strict=True)
        if row["sample"] in known
    ]
    # The reshape keeps two empty columns where the systems share no question.
    first, second = np.array(both, dtype=float).reshape(-1, 2).T
    return first, second


def compare_all(
    reports: Mapping[Name, EvaluationReport], measure: Measure, *, baseline: Name
) -> dict[Name, Comparison]:
    """Each other system against the baseline, on the questions that both were asked.

    A difference above 0 says that the other one is better.
    """
    return {
        name: compare(*paired_scores(reports[baseline], report, measure))
        for name, report in reports.items()
        if name != baseline
    }


def champion_against(
    reports: Mapping[Name, EvaluationReport], measure: Measure, *, champion: Name
) -> dict[Name, Comparison]:
    """The champion against each other system: above 0, the champion is better."""
    return {
        name: compare(*paired_scores(report, reports[champion], measure))
        for name, report in reports.items()
        if name != champion
    }


def comparison_table(
    reports: Reports, measure: Measure, *, baseline: Any = None, champion: Any = None
) -> pd.DataFrame:
    """The paired differences and their p-values, one row for each other system.

    Name the `baseline` that the others are to beat, or the `champion` that is to beat them.
    """
    if (baseline is None) == (champion is None):
        raise DataError("compare with one system", fix="name a baseline or a champion")
    if champion is not None:
        found = champion_against(reports, measure, champion=champion)
    else:
        found = compare_all(reports, measure, baseline=baseline)
    return as_table(
        {name: {"difference": c.difference, "p": f"{c.p:.4f}"} for name, c in found.items()}
    )
