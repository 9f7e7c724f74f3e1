"""The capstone's report: one HTML page without outside parts.

For: reading and passing on what the methods said to the held-out questions. Not for:
measuring anything; it shows what `helpers.capstone.experiment.run` found.

    write_text("report.html", whole(done))
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING

from helpers.capstone.conclusion import advice, verdict
from helpers.capstone.methods import WITH_TRAINING
from helpers.capstone.ranking import MethodPair, Ranking, explained
from helpers.capstone.scoring import OTHER, confusion
from helpers.datasets import html_report
from helpers.evaluation.statistics import Interval, p_text

if TYPE_CHECKING:
    from helpers.capstone.result import CapstoneResult

SHOWN = 40
"""Questions whose answers are shown; all stand in the results' files."""
WIDE = 25
"""Labels up to which the whole table of confusions is shown."""
TEXT = 600
"""Letters of an answer that are shown."""
_STYLE = """<style>
.verdict { border-left: 4px solid var(--edge); background: var(--good);
  padding: 0.75rem 1rem; margin: 1rem 0 }
.scores td:nth-child(n+2), .scores th:nth-child(n+2) { text-align: right }
.scores td, .pairs td:nth-child(-n+4) { white-space: nowrap }
.scores th:nth-child(n+2) { max-width: 7rem; vertical-align: bottom }
.scores table, .pairs table { font-size: 0.9em }
.answers { margin: 0 0 1.5rem; border-top: 1px solid var(--line); padding-top: 0.75rem }
.answers dl { display: grid; grid-template-columns: 11rem 1fr; gap: 0.25rem 1rem; margin: 0 }
.answers dt { color: var(--quiet) }
.answers dd { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere;
  unicode-bidi: plaintext }
.answers .right { font-weight: 600 }
.cut { color: var(--warn); font-size: 0.85em }
td.hit { background: var(--hit) } td.miss { background: var(--miss) }
svg text { font: 13px system-ui, sans-serif; fill: var(--ink) }
svg .range { stroke: var(--edge); stroke-width: 3 } svg circle { fill: var(--dot) }
svg .grid { stroke: var(--grid) }
@media (max-width: 50rem) {
  .answers dl { grid-template-columns: 1fr } .answers dd { margin: 0 0 0.5rem }
}
</style>"""


def whole(done: CapstoneResult) -> str:
    """A complete page: verdict, scores, tests, answers, lineage, and the dataset's own report."""
    parts = [
        _STYLE,
        f'<div class="verdict"><strong>Verdict.</strong> {escape(verdict(done))}</div>',
        f"<p>The score that carries the verdict is {escape(explained(done.ranking))}.</p>",
        _chart(done.ranking),
        _scores(done),
        _conditions(done),
        _tests(done.ranking),
        _recommendation(done),
        _confusions(done),
        _answers(done),
        _lineage(done),
        f"<hr><h1>The dataset</h1>{done.prepared.page}",
    ]
    name = done.prepared.version.name
    return html_report.document(f"{name}: every method on your own data", "".join(parts))


def _chart(found: Ranking) -> str:
    """Means with their intervals, best first, on a scale from 0 to 1."""
    left, width, step = 190, 460, 28
    rows = []
    for place, (name, value) in enumerate(found.means.items()):
        y = 24 + place * step
        low, middle, high = (left + width * x for x in (value.low, value.mean, value.high))
        rows.append(
            f'<text x="{left - 12}" y="{y + 4}" text-anchor="end">{escape(name)}</text>'
            f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{y}" y2="{y}" '
            f'class="range"/><circle cx="{middle:.1f}" cy="{y}" r="5"/>'
            f'<text x="{left + width + 14}" y="{y + 4}">{value.mean:.2f}</text>'
        )
    bottom = 24 + len(rows) * step
    ticks = "".join(
        f'<line x1="{left + width * x / 4}" x2="{left + width * x / 4}" y1="8" y2="{bottom - 10}" '
        f'class="grid"/><text x="{left + width * x / 4}" y="{bottom + 6}" '
        f'text-anchor="middle">{x / 4:g}</text>'
        for x in range(5)
    )
    words = ", ".join(f"{name} {value.mean:.2f}" for name, value in found.means.items())
    return (
        f'<svg role="img" aria-label="{escape(found.yardstick)} by method: {escape(words)}" '
        f'viewBox="0 0 {left + width + 60} {bottom + 14}" width="100%" style="max-width:46rem">'
        f"{ticks}{''.join(rows)}</svg>"
    )


def _scores(done: CapstoneResult) -> str:
    table = done.table()
    rows = [(name, *row) for name, row in zip(table.index, table.to_numpy(), strict=True)]
    title = "Scores with 95% intervals"
    shown = html_report.section(title, ("method", *table.columns), rows)
    return f'<div class="scores">{shown}</div>'


def _conditions(done: CapstoneResult) -> str:
    """What a sceptic asks first: what was looked up, how long answers could be, the time."""
    cut = {name: number for name, number in done.cut.items() if number}
    told = ", ".join(f"{name} {number}" for name, number in cut.items()) or "none"
    lines = [
        f"Looked up could be {done.store}. No held-out answer is in the store or in an example.",
        f"An answer could have {done.max_tokens} tokens, by the table's own; cut there: {told}.",
        f"The model was {done.tuned}.",
        f"Time: {done.estimate}.",
        *done.notes,
    ]
    if len(set(done.talks)) < len(done.talks):
        lines.append(
            f"All {len(done.talks)} answers of {len(set(done.talks))} held-out conversations are "
            "scored; those of one conversation count together as one."
        )
    return f"<h2>Conditions</h2>{_list(lines)}"


def _tests(found: Ranking) -> str:
    rows = [
        (
            pair.better,
            pair.worse,
            _signed(pair.comparison.difference),
            p_text(pair.p),
            "yes" if pair.decided else _undecided(pair),
        )
        for pair in found.pairs
    ]
    note = (
        f"<p>Paired on {found.questions} questions, by random signs; {len(found.pairs)} p-values "
        "corrected together (Holm). A pair below 0.05 is decided; of another one it is told how "
        "many questions would decide a difference such as this.</p>"
    )
    head = ("method", "beside", "difference with 95% interval", "corrected p", "decided")
    shown = html_report.section("Every method against every other", head, rows, note)
    return f'<div class="pairs">{shown}</div>'


def _undecided(pair: MethodPair) -> str:
    return f"no: {pair.enough:,} questions" if pair.enough else "no difference"


def _signed(gap: Interval) -> str:
    return f"{gap.mean:+.2f} [{gap.low:+.2f}, {gap.high:+.2f}]"


def _recommendation(done: CapstoneResult) -> str:
    return f"<h2>What follows</h2>{advice(done)._repr_html_()}"


def _confusions(done: CapstoneResult) -> str:
    """For label tables: right labels against given ones, of the best method."""
    if not done.labels:
        return ""
    rows = done.reports[done.ranking.best].rows
    targets, outputs = ([row[key] for row in rows] for key in ("target", "answer"))
    counts = confusion(targets, outputs, done.labels)
    title = f"Confusions of {done.ranking.best}"
    # OTHER has its own column, and is never right: no row for it.
    names = sorted({right for right, _ in counts} | {said for _, said in counts} - {OTHER})
    if len(names) > WIDE:
        wrong = sorted(
            ((n, *pair) for pair, n in counts.items() if pair[0] != pair[1]), reverse=True
        )
        most = [(right, said, n) for n, right, said in wrong[:SHOWN]]
        return html_report.section(title, ("right label", "answered", "times"), most)
    columns = [*names, OTHER] if any(said == OTHER for _, said in counts) else names
    head = "".join(f"<th>{escape(name)}</th>" for name in ("right \\ answered", *columns))
    body = "".join(
        f"<tr><th>{escape(right)}</th>"
        + "".join(_count(counts.get((right, said), 0), right == said) for said in columns)
        + "</tr>"
        for right in names
    )
    table = f"<table><tr>{head}</tr>{body}</table>"
    return f'<h2>{escape(title)}</h2><div class="scroll">{table}</div>'


def _count(number: int, right: bool) -> str:
    kind = "hit" if right else "miss"
    return f'<td class="{kind}">{number}</td>' if number else "<td></td>"


def _answers(done: CapstoneResult) -> str:
    names = list(done.reports)
    # Rows of all reports are in the order of `turns`: one tuple is one question.
    every = list(zip(*(report.rows for report in done.reports.values()), strict=True))
    parts = [_answer(dict(zip(names, rows, strict=True)), done) for rows in every[:SHOWN]]
    more = len(every) - len(parts)
    note = f"<p>{more} more stand in the files of the folder <code>results</code>.</p>"
    return f"<h2>Every answer</h2>{''.join(parts)}{note if more > 0 else ''}"


def _answer(rows: dict[str, dict[str, object]], done: CapstoneResult) -> str:
    first = next(iter(rows.values()))
    lines = [
        _line("question", _shown(first["question"])),
        _line("right answer", _shown(first["target"]), kind="right"),
        *(
            _line(name, _shown(row["answer"]) + _marks(row, done.ranking.yardstick))
            for name, row in rows.items()
        ),
    ]
    return f'<div class="answers"><dl>{"".join(lines)}</dl></div>'


def _line(name: str, text: str, *, kind: str = "") -> str:
    return f'<dt>{escape(name)}</dt><dd class="{kind}">{text}</dd>'


def _shown(text: object) -> str:
    words = str(text)
    return escape(words if len(words) <= TEXT else f"{words[:TEXT]}…")


def _marks(row: dict[str, object], yardstick: str) -> str:
    value = row[yardstick]
    score = "" if value is None else f' <span class="cut">[{float(str(value)):.2f}]</span>'
    return score + (' <span class="cut">(cut)</span>' if row["cut"] else "")


def _lineage(done: CapstoneResult) -> str:
    version = done.prepared.version
    rows = [
        ("dataset (SHA-256)", version.sha256[:16]),
        ("made", version.created),
        ("tuned model", done.model),
        (
            "simplest method" if done.ranking.nothing else "best method, to take away",
            f"{done.model_folder.name}/ ({done.ranking.best})",
        ),
    ]
    if done.ranking.best not in WITH_TRAINING and not done.ranking.nothing:
        rows.append(("note", "the best method does not need the tuned model"))
    return html_report.section("Lineage", ("what", "which"), rows)


def _list(lines: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"
