"""The report of a prepared dataset as one HTML page without outside parts.

For: reading in a browser or a notebook what became of each row. Not for: measuring
anything; it shows what `pipeline.prepare` found.

    write_text("report.html", whole(prepared))
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from helpers.base.markup import html_text, lone_dollars
from helpers.base.remedies import argument
from helpers.datasets.frame import ANSWER, QUESTION

if TYPE_CHECKING:
    from helpers.datasets.cleaning.run import StepResult
    from helpers.datasets.prepared import PreparedDataset

SHOWN = 20
_STYLE = """
:root { color-scheme: light dark; --ink: #1c1f22; --page: #fff; --quiet: #555; --line: #ccc;
  --band: #f2f2f2; --mark: #ffe08a; --good: #f3faf6; --hit: #dff2e6; --miss: #fbe9e2;
  --warn: #a40; --edge: #2a6; --dot: #174; --grid: #e2e2e2 }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e6e8; --page: #16191c; --quiet: #a9b0b6;
  --line: #3c4248; --band: #23282d; --mark: #6b5300; --good: #14261c; --hit: #1d4630;
  --miss: #4d2a1d; --warn: #ffa366; --edge: #3c8; --dot: #6eb; --grid: #30363b } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  color: var(--ink); background: var(--page); overflow-wrap: break-word }
.scroll { overflow-x: auto }
table { border-collapse: collapse; margin: 0.5rem 0 1.5rem }
th, td { border-bottom: 1px solid var(--line); padding: 0.25rem 0.75rem; text-align: left;
  vertical-align: top; white-space: pre-wrap; unicode-bidi: plaintext }
th { background: var(--band) }
mark { background: var(--mark); color: inherit }
"""


def whole(done: PreparedDataset) -> str:
    """A complete page."""
    return document(f"Dataset {done.version.name} {done.version.version}", done.page)


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
        f"<p>The training file <strong>{verdict}</strong>. {_TASKS[done.task]}</p>",
        section("Where each row went", account.keys(), [account.values()]),
        "".join(f"<p>Note: {html_text(note)}.</p>" for note in done.notes),
        _to_look_at(done),
        section("Columns", ("meaning", "column"), done.columns.used.items()),
        _cleaning(done),
        _rejects(done),
        section("Examples in each part", *_split(done)),
        _problems(done),
        section("Lengths", *_lengths(done), note=_price(done)),
        section(
            "Files",
            ("file", "examples", "SHA-256 of the content"),
            [(file.name, file.examples, file.sha256) for file in done.version.files],
        ),
    ]
    return "".join(parts)


_TASKS = {
    "answers": "Its answers are texts.",
    "labels": "Its answers are labels: a few short ones that come again and again.",
}


def section(
    title: str, head: Iterable[object], rows: Iterable[Iterable[object]], note: str = ""
) -> str:
    """A heading and a table; nothing without rows."""
    made = "".join(f"<tr>{_cells('td', row)}</tr>" for row in rows)
    if not made:
        return ""
    table = f"<table><thead><tr>{_cells('th', head)}</tr></thead><tbody>{made}</tbody></table>"
    return f'<h2>{html_text(title)}</h2>{note}<div class="scroll">{table}</div>'


class Html(str):
    """A cell that is HTML already."""


def _cells(tag: str, values: Iterable[object]) -> str:
    made = (value if isinstance(value, Html) else html_text(value) for value in values)
    return "".join(f"<{tag}>{value}</{tag}>" for value in made)


def _to_look_at(done: PreparedDataset) -> str:
    """The table's own problems, then both sides of contradictions and of long cuts."""
    found = [(p.line or "table", p.code, p.message, p.fix) for p in done.problems]
    texts = done.cleaning.table
    clashes = [
        (*(f"row {row}: {_cut(str(texts.at[row, ANSWER]))}" for row in (one.row, one.other)),)
        for one in done.contradictions
    ]
    asked = [_cut(str(texts.at[one.row, QUESTION])) for one in done.contradictions]
    both = [(question, *pair) for question, pair in zip(asked, clashes, strict=True)]
    cuts = [(c.row, ", ".join(c.kinds), *spot(c.before, c.after)) for c in done.cleaning.shortened]
    return (
        _shown("To look at", ("row", "code", "what", "remedy"), found)
        + _shown("One question, two answers", ("question", "one row", "another"), both)
        + _shown("Answers that lost more than a third", ("row", "steps", "before", "after"), cuts)
    )


def _shown(title: str, head: Iterable[object], rows: Sequence[Iterable[object]]) -> str:
    more = f"<p>The first {SHOWN} of {len(rows)}.</p>" if len(rows) > SHOWN else ""
    return section(title, head, rows[:SHOWN], more)


def _cleaning(done: PreparedDataset) -> str:
    steps = [
        (s.step.name, s.rows_in, s.changed, s.lost, len(s.rejected), s.rows_out, s.step.why)
        for s in done.cleaning.steps
    ]
    head = ("step", "examples in", "changed", "letters lost", "rejected", "examples out", "why")
    changes = [
        (s.step.name, kind, rows, *_example(s, kind), argument("without", [s.step.name]))
        for s in done.cleaning.steps
        for kind, rows in s.kinds.most_common()
    ]
    where = f"<p>All of them: {done.changed_file.name}.</p>" if done.changed_file else ""
    undo = f"<p>{html_text(argument('without', ['STEP']))} undoes a step.</p>"
    kinds = ("step", "kind", "examples", "before", "after", "undo")
    return section("Cleaning", head, steps) + section(
        "What was changed", kinds, changes, undo + where if changes else ""
    )


def _example(done: StepResult, kind: str) -> tuple[Html, Html]:
    """The changed spot of the first example of a kind."""
    change = next(one for one in done.examples if kind in one.kinds)
    return spot(change.before, change.after)


AROUND, SPOT = 40, 160
"""Letters shown before and after a changed spot, and at most within it."""


def spot(before: str, after: str) -> tuple[Html, Html]:
    """Where two texts differ, marked, with a few letters around it."""
    start = _common(before, after)
    # The same letters at the end must not be counted twice where the texts overlap.
    rest = min(len(before), len(after)) - start
    end = _common(before[::-1][:rest], after[::-1][:rest])
    return _marked(before, start, len(before) - end), _marked(after, start, len(after) - end)


def _common(one: str, other: str) -> int:
    """Letters with which both texts begin."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))


def _marked(text: str, start: int, end: int) -> Html:
    inside = text[start:end]
    if len(inside) > SPOT:
        inside = f"{inside[: SPOT // 2]} … {inside[-SPOT // 2 :]}"
    # Blanks and letters without a shape would be marked and yet not seen.
    shown = html_text(inside).replace("\n", "↵\n").replace("\r", "␍").replace("\t", "⇥")
    left, right = text[max(0, start - AROUND) : start], text[end : end + AROUND]
    dots = ("…" * (start > AROUND), "…" * (end + AROUND < len(text)))
    return Html(f"{dots[0]}{html_text(left)}<mark>{shown}</mark>{html_text(right)}{dots[1]}")


def _rejects(done: PreparedDataset) -> str:
    rows = [(r.row, r.reason, _cut(" | ".join(_texts(r.values.values())))) for r in done.rejected]
    # "duplicate of row 7" and "of row 9" are one reason.
    plain = [(re.sub(r"\brow \d+", "another row", reason), shown) for _, reason, shown in rows]
    counts = Counter(reason for reason, _ in plain)
    # Reversed, so that the first row with a reason is its example.
    first = dict(reversed(plain))
    counted: list[Sequence[object]] = [
        (number, reason, first[reason]) for reason, number in counts.most_common()
    ]
    more = len(rows) - SHOWN
    note = f"<p>{more} more stand in rows.rejected.csv.</p>" if more > 0 else ""
    return _shown("Why rows were rejected", ("rows", "reason", "for example"), counted) + section(
        "Rejected rows", ("row", "reason", "content"), rows[:SHOWN], note
    )


def _texts(values: Iterable[object]) -> list[str]:
    return [value for value in values if isinstance(value, str) and value]


def _split(done: PreparedDataset) -> tuple[Sequence[object], list[Sequence[object]]]:
    counts = done.split.counts()
    rows: list[Sequence[object]] = [
        (name, *row) for name, row in zip(counts.index, counts.to_numpy(), strict=True)
    ]
    return ("intent", *counts.columns), rows


def _problems(done: PreparedDataset) -> str:
    found: list[tuple[object, ...]] = [
        (part, p.line or "file", p.severity, p.code, p.message, p.fix)
        for part, report in done.reports.items()
        for p in report.problems
    ]
    found += [("split", p.line, p.severity, p.code, p.message, p.fix) for p in done.leaks]
    head = ("part", "line", "severity", "code", "message", "remedy")
    if not found:
        return "<h2>Problems of the files</h2><p>None were found.</p>"
    found.sort(key=lambda row: str(row[2]))
    return _shown("Problems of the files", head, found)


def _lengths(done: PreparedDataset) -> tuple[Sequence[object], list[Sequence[object]]]:
    """Letters and words of questions and answers, and tokens where they were counted."""
    head = ("part", "what", "total", "10th percentile", "median", "90th percentile", "longest")
    rows: list[Sequence[object]] = []
    for part, report in done.reports.items():
        table = getattr(done.split, part)
        for side in (QUESTION, ANSWER):
            letters = [len(text) for text in table[side]]
            words = [len(text.split()) for text in table[side]]
            rows += [(part, f"{side}, letters", *_spread(letters))] if letters else []
            rows += [(part, f"{side}, words", *_spread(words))] if words else []
        found = report.tokens
        if found is not None and found.examples:
            middle = [found.percentile(percent) for percent in (10, 50, 90)]
            rows.append((part, "example, tokens", found.total, *middle, found.longest))
    return head, rows


def _spread(lengths: Sequence[int]) -> list[int]:
    ordered = sorted(lengths)
    middle = [ordered[(len(ordered) - 1) * percent // 100] for percent in (10, 50, 90)]
    return [sum(ordered), *middle, ordered[-1]]


def _price(done: PreparedDataset) -> str:
    tokens = done.reports["train"].tokens
    if tokens is None or done.training_price is None:
        return ""
    price = tokens.total * done.training_price / 1_000_000
    return lone_dollars(
        f"<p>One epoch of training is {tokens.total:,} tokens: ${price:,.2f} at "
        f"${done.training_price:,.2f} for a million.</p>"
    )


def _cut(text: str, limit: int = 300) -> str:
    return text if len(text) <= limit else text[:limit] + "…"
