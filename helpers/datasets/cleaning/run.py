"""Run named cleaning steps over a table, and keep account of every row.

For: showing one step at a time what it changed and rejected, and why; the counts always
add up. The steps themselves stand in `steps`. Not for: the form of JSONL, see
`helpers.datasets.validation`.

    result = run(default_steps(), table)
    result.summary()        # rows in, changed, rejected and kept, step by step
    result.rejected         # the rows that went, each with its step and reason
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from helpers.base.errors import DataError
from helpers.base.markup import lone_dollars
from helpers.datasets.cleaning.markup import without_tags
from helpers.datasets.frame import ANSWER, full_texts, texts_of

if TYPE_CHECKING:
    import pandas as pd

EXAMPLES = 5
"""Before-and-after pairs that are kept of each kind of change of each step."""
MUCH = 1 / 3
"""Share of an answer's letters whose removal is a problem to look at."""

Kinds = Callable[[str, str], Collection[str]]
"""What was changed in a text, in a few words, from the text before and after."""


@dataclass(frozen=True)
class StepOutcome:
    """What a step makes of a table: the rows that stay, and why the others went."""

    table: pd.DataFrame
    rejected: Mapping[Any, str]
    """Reason by row index."""
    notes: tuple[str, ...] = ()
    """What the step decided by itself, and how to decide otherwise."""


@dataclass(frozen=True)
class Step:
    """One small thing that is done to a table."""

    name: str
    why: str
    """What a model would learn if it were not done."""
    function: Callable[[pd.DataFrame], StepOutcome]
    kinds: Kinds | None = None
    """Names what the step did to a text; without it the step's own name stands for all."""


@dataclass(frozen=True)
class Change:
    """A row's text before and after a step."""

    row: Any
    before: str
    after: str
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True)
class StepResult:
    """The account of one step."""

    step: Step
    rows_in: int
    changes: Mapping[Any, tuple[str, ...]]
    """Kinds of change by row index."""
    rejected: Mapping[Any, str]
    examples: tuple[Change, ...]
    lost: int = 0
    """Letters and digits that went from the rows that stayed; tags of HTML are none."""
    notes: tuple[str, ...] = ()

    @property
    def changed(self) -> int:
        """Rows whose text was changed."""
        return len(self.changes)

    @property
    def kinds(self) -> Counter[str]:
        """Rows by kind of change, the most frequent first."""
        return Counter(kind for kinds in self.changes.values() for kind in kinds)

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
    shortened: tuple[Change, ...] = ()
    """Kept rows whose answer lost more than a third; the kinds say to which steps."""
    origin: pd.DataFrame | None = field(default=None, repr=False)
    """The table that came in."""

    @property
    def kept(self) -> int:
        """Rows that are left, changed or not."""
        return len(self.table)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the steps decided by themselves."""
        return tuple(note for done in self.steps for note in done.notes)

    def changed_by(self) -> dict[Any, str]:
        """Of each kept row that was changed: by which steps, and how."""
        found: dict[Any, list[str]] = {}
        for done in self.steps:
            for row, kinds in done.changes.items():
                found.setdefault(row, []).append(f"{done.step.name}: {', '.join(kinds)}")
        kept = set(self.table.index)
        return {row: "; ".join(said) for row, said in found.items() if row in kept}

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
    changes, shown, lost = _changes(step, table, outcome.table)
    account = StepResult(
        step, len(table), changes, dict(outcome.rejected), shown, lost, outcome.notes
    )
    return outcome.table, account


def _changes(
    step: Step, before: pd.DataFrame, after: pd.DataFrame
) -> tuple[dict[Any, tuple[str, ...]], tuple[Change, ...], int]:
    """Kinds of change by row, examples of each kind, and how many letters went."""
    earlier = dict(zip(before.index, texts_of(before), strict=True))
    changes: dict[Any, tuple[str, ...]] = {}
    shown: list[Change] = []
    seen: Counter[str] = Counter()
    lost = 0
    for row, later in zip(after.index, texts_of(after), strict=True):
        if later == earlier[row]:
            continue
        # A chat may have been ended earlier, and has fewer texts then.
        both = zip_longest(earlier[row], later, fillvalue="")
        pairs = [pair for pair in both if pair[0] != pair[1]]
        kinds = tuple(dict.fromkeys(kind for pair in pairs for kind in _kinds(step, *pair)))
        changes[row] = kinds
        lost += sum(max(0, _letters(without_tags(one)) - _letters(two)) for one, two in pairs)
        if any(seen[kind] < EXAMPLES for kind in kinds):
            shown.append(Change(row, "\n".join(earlier[row]), "\n".join(later), kinds))
            seen.update(kinds)
    return changes, tuple(shown), lost


def _kinds(step: Step, before: str, after: str) -> Collection[str]:
    return (step.kinds(before, after) if step.kinds else ()) or (step.name,)


def _letters(text: str) -> int:
    return sum(map(str.isalnum, text))


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
    # As they came in, not as earlier steps have left them: so a person recognises them.
    rejected = table.loc[[row for row, _, _ in gone]].copy()
    rejected["step"] = pd.Series([name for _, name, _ in gone], rejected.index, dtype=object)
    rejected["reason"] = pd.Series([why for _, _, why in gone], rejected.index, dtype=object)
    first = dict(zip(table.index, full_texts(table), strict=True))
    pairs = zip(current.index, full_texts(current), strict=True)
    changed = sum(first[row] != text for row, text in pairs)
    shortened = tuple(_shortened(table, current, accounts))
    return CleaningResult(current, rejected, tuple(accounts), len(table), changed, shortened, table)


def _shortened(
    table: pd.DataFrame, kept: pd.DataFrame, accounts: Sequence[StepResult]
) -> Iterator[Change]:
    """Rows whose answer lost more than a third of its letters."""
    for row, before, after in zip(
        kept.index, table.loc[kept.index, ANSWER], kept[ANSWER], strict=True
    ):
        if before == after:
            continue
        letters = _letters(without_tags(before))
        if letters - _letters(after) > MUCH * letters:
            steps = tuple(done.step.name for done in accounts if row in done.changes)
            yield Change(row, before, after, steps)
