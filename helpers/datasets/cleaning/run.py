"""Run named cleaning steps over a table, and keep account of every row.

For: showing one step at a time what it changed and rejected, and why; the counts always
add up. The steps themselves stand in `steps`. Not for: the form of JSONL, see `validate`.

    result = run(default_steps(), table)
    result.summary()        # rows in, changed, rejected and kept, step by step
    result.rejected         # the rows that went, each with its step and reason
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from helpers.base.errors import DataError
from helpers.base.markup import lone_dollars
from helpers.datasets.frame import full_texts

if TYPE_CHECKING:
    import pandas as pd

EXAMPLES = 5
"""Before-and-after pairs that are kept of each step."""


@dataclass(frozen=True)
class StepOutcome:
    """What a step makes of a table: the rows that stay, and why the others went."""

    table: pd.DataFrame
    rejected: Mapping[Any, str]
    """Reason by row index."""


@dataclass(frozen=True)
class Step:
    """One small thing that is done to a table."""

    name: str
    why: str
    """What a model would learn if it were not done."""
    function: Callable[[pd.DataFrame], StepOutcome]


@dataclass(frozen=True)
class Change:
    """A row's text before and after a step."""

    row: Any
    before: str
    after: str


@dataclass(frozen=True)
class StepResult:
    """The account of one step."""

    step: Step
    rows_in: int
    changed: int
    rejected: Mapping[Any, str]
    examples: tuple[Change, ...]

    @property
    def rows_out(self) -> int:
        """Rows that went on."""
        return self.rows_in - len(self.rejected)


@dataclass(frozen=True)
class CleaningResult:
    """What is left, what went and why; `rows_in == len(table) + len(rejected)`."""

    table: pd.DataFrame
    rejected: pd.DataFrame
    """The rows as they came in, with the columns `step` and `reason`."""
    steps: tuple[StepResult, ...]
    rows_in: int
    changed: int
    """Kept rows whose text differs from what came in."""

    @property
    def kept(self) -> int:
        """Rows that are left, changed or not."""
        return len(self.table)

    def summary(self) -> pd.DataFrame:
        """One row a step: rows in, changed, rejected, rows out."""
        import pandas as pd

        return pd.DataFrame(
            [(s.step.name, s.rows_in, s.changed, len(s.rejected), s.rows_out) for s in self.steps],
            columns=["step", "rows in", "changed", "rejected", "rows out"],
        ).set_index("step")

    def before_after(self, name: str) -> pd.DataFrame:
        """A few texts before and after the step of this name."""
        import pandas as pd

        for done in self.steps:
            if done.step.name == name:
                rows = [(c.row, c.before, c.after) for c in done.examples]
                return pd.DataFrame(rows, columns=["row", "before", "after"]).set_index("row")
        names = ", ".join(done.step.name for done in self.steps)
        raise DataError(f"no step {name!r} was run", fix=f"choose one of: {names}")

    def _repr_html_(self) -> str:
        return lone_dollars(str(self.summary()._repr_html_()))  # type: ignore[operator]


def apply(step: Step, table: pd.DataFrame) -> tuple[pd.DataFrame, StepResult]:
    """Run one step; the table that goes on, and the account."""
    outcome = step.function(table)
    if len(outcome.table) + len(outcome.rejected) != len(table):
        raise DataError(
            f"the step {step.name!r} loses rows without a reason",
            fix="return a reason for each row that it takes out",
        )
    before = dict(zip(table.index, full_texts(table), strict=True))
    pairs = zip(outcome.table.index, full_texts(outcome.table), strict=True)
    changes = [Change(row, before[row], after) for row, after in pairs if before[row] != after]
    examples = tuple(changes[:EXAMPLES])
    account = StepResult(step, len(table), len(changes), dict(outcome.rejected), examples)
    return outcome.table, account


def run(steps: Sequence[Step], table: pd.DataFrame) -> CleaningResult:
    """Run the steps in order over a table with `question` and `answer` columns."""
    import pandas as pd

    if not table.index.is_unique:
        raise DataError("two rows have the same index", fix="call table.reset_index(drop=True)")
    current, accounts, gone = table, [], []
    for step in steps:
        current, account = apply(step, current)
        accounts.append(account)
        gone += [(row, step.name, reason) for row, reason in account.rejected.items()]
    rejected = table.loc[[row for row, _, _ in gone]].copy()
    rejected["step"] = pd.Series([name for _, name, _ in gone], rejected.index, dtype=object)
    rejected["reason"] = pd.Series([why for _, _, why in gone], rejected.index, dtype=object)
    first = dict(zip(table.index, full_texts(table), strict=True))
    pairs = zip(current.index, full_texts(current), strict=True)
    changed = sum(first[row] != text for row, text in pairs)
    return CleaningResult(current, rejected, tuple(accounts), len(table), changed)
