"""What a validation found, as one value that notebooks show as a table.

For: reading problems, totals and token lengths. Not for: finding them, see `file`.

    report.ok               # False
    print(report.errors[0]) # line 7: missing_role: Example 7, message 2 …
    report                  # in a notebook: a table
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from helpers.base.markup import cell, html_text
from helpers.datasets.example import Kind
from helpers.datasets.validation.codes import CODES, Problem

SHOWN = 50
"""Problems in the table of a notebook."""


@dataclass(frozen=True)
class TokenLengths:
    """How many examples have which length in tokens: exact, however large the file.

    A preference pair is read as two texts, each side with its prompt, and counts as two.
    """

    counts: Mapping[int, int]

    @property
    def total(self) -> int:
        """Tokens of all examples."""
        return sum(length * number for length, number in self.counts.items())

    @property
    def examples(self) -> int:
        """Number of measured examples."""
        return sum(self.counts.values())

    @property
    def longest(self) -> int:
        """Tokens of the longest text."""
        return max(self.counts, default=0)

    def percentile(self, percent: float) -> int:
        """The length that `percent` of the examples do not exceed (nearest rank)."""
        rank = percent / 100 * self.examples
        reached = 0
        for length in sorted(self.counts):
            reached += self.counts[length]
            if reached >= rank:
                return length
        return 0


@dataclass(frozen=True)
class ValidationReport:
    """The outcome of one validation."""

    kind: Kind | None
    """The format; None if no line shows one."""
    examples: int
    """Lines that hold a JSON object."""
    problems: tuple[Problem, ...]
    """In the order of lines; those of the whole file (line 0) first."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """How often each code was found, also where not every problem was kept."""
    tokens: TokenLengths | None = None
    """None unless a way to count was given."""

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that stop an upload."""
        return tuple(p for p in self.problems if p.severity == "error")

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """The problems that do not."""
        return tuple(p for p in self.problems if p.severity == "warning")

    @property
    def ok(self) -> bool:
        """Whether the file may be trained on."""
        return not self.errors

    def __str__(self) -> str:
        return "\n".join([self.summary(), *map(str, self.problems[:SHOWN])])

    def summary(self) -> str:
        """One line: examples, format, errors, warnings."""
        errors = sum(n for code, n in self.counts.items() if CODES[code].severity == "error")
        warnings = sum(self.counts.values()) - errors
        return (
            f"{self.examples} examples ({self.kind or 'unknown format'}): "
            f"{errors} errors, {warnings} warnings"
        )

    def _repr_html_(self) -> str:
        rows = "".join(_rows(self.problems[:SHOWN]))
        total = sum(self.counts.values())
        more = f"<p>… and {total - SHOWN} more</p>" if total > SHOWN else ""
        names = ("line", "severity", "code", "message", "remedy")
        head = "".join(cell(name, "th") for name in names)
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        return f"<p>{html_text(self.summary())}</p>{table if rows else ''}{more}"


def _rows(problems: tuple[Problem, ...]) -> Iterator[str]:
    for problem in problems:
        line = str(problem.line) if problem.line else "file"
        cells = (line, problem.severity, problem.code, problem.message, problem.fix)
        yield "<tr>" + "".join(cell(html_text(one)) for one in cells) + "</tr>"
