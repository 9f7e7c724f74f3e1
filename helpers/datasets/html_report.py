"""The report of a prepared dataset as one HTML page without outside parts.

For: reading in a browser or a notebook what became of each row. Not for: measuring
anything; it shows what `pipeline.prepare` found.

    Path("report.html").write_text(whole(prepared))
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from helpers.base.markup import html_text

if TYPE_CHECKING:
    from helpers.datasets.pipeline import PreparedDataset

SHOWN = 20
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: 0.5rem 0 1.5rem }
th, td { border-bottom: 1px solid #ccc; padding: 0.25rem 0.75rem; text-align: left;
  vertical-align: top; white-space: pre-wrap }
th { background: #f2f2f2 }
"""


def whole(done: PreparedDataset) -> str:
    """A complete page."""
    return document(f"Dataset {done.version.name} {done.version.version}", body(done))


def document(title: str, content: str) -> str:
    """An HTML page around `content`, which is HTML already."""
    name = html_text(title)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{name}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{name}</h1>{content}</body></html>\n"
    )


def body(done: PreparedDataset) -> str:
    """The sections, without the page around them."""
    verdict = "may be uploaded" if done.ok else "needs work before an upload"
    account = done.account()
    parts = [
        f"<p>The training file <strong>{verdict}</strong>.</p>",
        section("Where each row went", account.keys(), [account.values()]),
        "".join(f"<p>Note: {html_text(note)}.</p>" for note in done.tabled.notes),
        section("Columns", ("meaning", "column"), done.columns.used.items()),
        _cleaning(done),
        _rejects(done),
        section("Examples in each part", *_split(done)),
        _problems(done),
        section("Lengths in tokens", *_lengths(done)),
        section(
            "Files",
            ("file", "examples", "SHA-256 of the content"),
            [(file.name, file.examples, file.sha256) for file in done.version.files],
        ),
    ]
    return "".join(parts)


def section(
    title: str, head: Iterable[object], rows: Iterable[Iterable[object]], note: str = ""
) -> str:
    """A heading and a table; nothing without rows."""
    made = "".join(f"<tr>{_cells('td', row)}</tr>" for row in rows)
    if not made:
        return ""
    table = f"<table><thead><tr>{_cells('th', head)}</tr></thead><tbody>{made}</tbody></table>"
    return f"<h2>{html_text(title)}</h2>{note}{table}"


def _cells(tag: str, values: Iterable[object]) -> str:
    return "".join(f"<{tag}>{html_text(value)}</{tag}>" for value in values)


def _cleaning(done: PreparedDataset) -> str:
    steps = [
        (s.step.name, s.rows_in, s.changed, len(s.rejected), s.rows_out, s.step.why)
        for s in done.cleaning.steps
    ]
    head = ("step", "examples in", "changed", "rejected", "examples out", "why")
    examples = [
        (s.step.name, _cut(s.examples[0].before), _cut(s.examples[0].after))
        for s in done.cleaning.steps
        if s.examples
    ]
    return section("Cleaning", head, steps) + section(
        "One change of each step", ("step", "before", "after"), examples
    )


def _rejects(done: PreparedDataset) -> str:
    rows = [(r.row, r.reason, _cut(" | ".join(_texts(r.values.values())))) for r in done.rejected]
    more = len(rows) - SHOWN
    note = f"<p>{more} more stand in rows.rejected.csv.</p>" if more > 0 else ""
    return section("Rejected rows", ("row", "reason", "content"), rows[:SHOWN], note)


def _texts(values: Iterable[object]) -> list[str]:
    return [value for value in values if isinstance(value, str) and value]


def _split(done: PreparedDataset) -> tuple[Sequence[object], list[Sequence[object]]]:
    counts = done.split.counts()
    rows: list[Sequence[object]] = [
        (name, *row) for name, row in zip(counts.index, counts.to_numpy(), strict=True)
    ]
    return ("intent", *counts.columns), rows


def _problems(done: PreparedDataset) -> str:
    found = [
        (part, p.line or "file", p.severity, p.code, p.message, p.fix)
        for part, report in done.reports.items()
        for p in report.problems
    ]
    found += [("split", p.line, p.severity, p.code, p.message, p.fix) for p in done.leaks]
    head = ("part", "line", "severity", "code", "message", "remedy")
    if not found:
        return "<h2>Problems</h2><p>None were found.</p>"
    return section("Problems", head, found[: 5 * SHOWN])


def _lengths(done: PreparedDataset) -> tuple[Sequence[object], list[Sequence[object]]]:
    head = ("part", "total", "10th percentile", "median", "90th percentile", "longest")
    rows: list[Sequence[object]] = []
    for part, report in done.reports.items():
        found = report.tokens
        if found is not None and found.examples:
            middle = [found.percentile(percent) for percent in (10, 50, 90)]
            rows.append((part, found.total, *middle, found.longest))
    return head, rows


def _cut(text: str, limit: int = 300) -> str:
    return text if len(text) <= limit else text[:limit] + "…"
