"""The capstone's report: one HTML page without outside parts.

For: reading and passing on what the methods said to the held-out questions. Not for:
measuring anything; it shows what `helpers.capstone.methods.run` found.

    Path("report.html").write_text(whole(done))
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from helpers.costs.monthly import BASE
from helpers.datasets import html_report
from helpers.evaluation.statistics import compare, interval

if TYPE_CHECKING:
    from helpers.capstone.methods import CapstoneResult

CHECKABLE = "with facts"


def whole(done: CapstoneResult) -> str:
    """A complete page: verdict, scores, tests, answers, lineage, and the dataset's own report."""
    version = done.prepared.version
    content = f"<p>{verdict(done)}</p>{_scores(done)}{_tests(done)}{_answers(done)}{_lineage(done)}"
    return html_report.document(
        f"{version.name}: every method on your own data",
        f"{content}<hr>{html_report.body(done.prepared)}",
    )


def verdict(done: CapstoneResult) -> str:
    """The best method on the facts, and how sure that is, in two or three sentences."""
    scores = {name: report.column("facts", kind=CHECKABLE) for name, report in done.reports.items()}
    best = max(scores, key=lambda name: float(scores[name].mean()))
    found = interval(scores[best])
    text = (
        f"Most facts come from {best}: {found} of them on {found.n} held-out questions. "
        f"{done.within_reach:.0%} of the held-out facts stand in some training answer; "
        "the others no training on this table can teach, and only a lookup can bring them."
    )
    if best == BASE:
        return f"{text} No method beats the plain base model."
    return f"{text} Against the plain base model, p = {compare(scores[BASE], scores[best]).p:.3f}."


def _scores(done: CapstoneResult) -> str:
    table = done.table()
    rows = [(name, *row) for name, row in zip(table.index, table.to_numpy(), strict=True)]
    return html_report.section("Scores with 95% intervals", ("method", *table.columns), rows)


def _tests(done: CapstoneResult) -> str:
    base = done.reports[BASE].column("facts", kind=CHECKABLE)
    rows = []
    for name, report in done.reports.items():
        if name != BASE:
            found = compare(base, report.column("facts", kind=CHECKABLE))
            rows.append((name, found.difference, f"{found.p:.3f}"))
    head = ("method", "facts more than base", "p (paired)")
    return html_report.section("Against the base model, question by question", head, rows)


def _answers(done: CapstoneResult) -> str:
    names = list(done.reports)
    rows = [
        (one[0]["question"], one[0]["target"], *(row["answer"] for row in one))
        for one in zip(*(report.rows for report in done.reports.values()), strict=True)
    ]
    return html_report.section("Every answer", ("question", "right answer", *names), rows)


def _lineage(done: CapstoneResult) -> str:
    version = done.prepared.version
    rows = [(version.sha256[:16], version.created, done.model)]
    return html_report.section("Lineage", ("dataset (SHA-256)", "made", "tuned model"), rows)
