"""What a target cannot carry, counted by row before anything is written.

For: an account that a person reads and decides on. Not for: the rows, see `rows`.

    account = Account(target_of("cohere"))
    account.add(1, example)
    account.stops       # losses of meaning, which need an explicit yes
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from helpers.base.chat_format import text_of
from helpers.datasets.example import TrainingExample
from helpers.datasets.exporting import features
from helpers.datasets.exporting.targets import LOSSES, Fate, Target

TRIED = Path(__file__).resolve().parents[3] / "data" / "targets.json"
_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?)?")
TIMES = "one column holds dates alone: the JSON reader of datasets makes times of them"
SERVER_ALONE = (
    "This course's server also learns the words of a question, at a weight of 0.3, and puts noise "
    "on the embeddings (NEFTune, 7); the settings here do neither."
)
SHOWN = 20
"""Lines that are named of each loss; all are counted."""


@dataclass
class Loss:
    """One feature that a target does not take as it is."""

    feature: str
    fate: Fate
    rows: int = 0
    lines: list[int] = field(default_factory=list)

    @property
    def changes_meaning(self) -> bool:
        """Whether the target would learn something else than these rows say."""
        return self.fate in LOSSES and features.FEATURES[self.feature].meaning

    @property
    def what(self) -> str:
        """The feature in words."""
        return features.FEATURES[self.feature].what

    def __str__(self) -> str:
        more = ", …" if self.rows > len(self.lines) else ""
        lines = ", ".join(map(str, self.lines)) + more
        return f"{self.what}: {self.fate} ({self.rows} rows: {lines})"


@dataclass
class Account:
    """What becomes of the rows of one file in one target."""

    target: Target
    rows_in: int = 0
    rows_left_out: int = 0
    losses: dict[str, Loss] = field(default_factory=dict)
    dated: list[int] = field(default_factory=lambda: [0, 0])
    """Rows in whose last two texts, each a column of a pair or completion, stands a date alone."""

    def add(self, line: int, example: TrainingExample) -> None:
        """Count one row."""
        self.rows_in += 1
        left_out = False
        for name in sorted(features.of(example)):
            fate = self.target.fate(name)
            if fate == "kept":
                continue
            loss = self.losses.setdefault(name, Loss(name, fate))
            loss.rows += 1
            if len(loss.lines) < SHOWN:
                loss.lines.append(line)
            # A row with two such features is left out once.
            left_out |= fate == "row left out"
        self.rows_left_out += left_out
        # A chat's answers share their column with questions, which keep it text.
        for column, message in enumerate(example.said[-2:]):
            alone = _DATE.fullmatch(text_of(message)) is not None
            self.dated[column] += alone and example.kind in self.target.times

    @property
    def times(self) -> bool:
        """Whether the target would read a column as times: one other text keeps them texts."""
        return self.rows_in > 0 and self.rows_in in self.dated

    @property
    def stops(self) -> list[Loss]:
        """What changes the meaning of rows: nothing is written without an explicit yes."""
        return [loss for loss in self.losses.values() if loss.changes_meaning]


HEAD = """# What {title} does not take as it is

{tried} `left out`: the row is there without it. `row left out`: the whole row is
not there. `trained on`: an answer of weight 0 is learnt all the same. `rewritten` and
`unrolled` (one row for each answer) lose nothing that is learnt.
"""


def losses_page(
    target: Target, accounts: Sequence[tuple[str, Account]], remarks: Sequence[str] = ()
) -> str:
    """`LOSSES.md` for the files of one export; `remarks` are about these files alone."""
    unseen = "No package read these rows: the notes below say why."
    known = f"Tried with {target.package}." if target.name in tried() else unseen
    parts = [HEAD.format(title=target.title, tried=known)]
    for name, account in accounts:
        parts.append(f"\n## {name}: {account.rows_in} rows, {account.rows_left_out} left out\n\n")
        if account.losses:
            parts.append(
                "| what | becomes | meaning lost | rows | lines |\n|---|---|---|---|---|\n"
            )
        else:
            parts.append("Everything is kept.\n")
        parts += [_line(loss) for loss in account.losses.values()]
    own = (SERVER_ALONE,) if target.trainer else ()
    parts += [f"\n{note}\n" for note in (*remarks, *target.notes, *own)]
    return "".join([*parts, *_carried(target)])


def _carried(target: Target) -> Iterator[str]:
    """What the target does with everything that examples may hold, here or not."""
    seen = tried().get(target.name, {})
    yield f"\n## What {target.title} carries\n\n"
    if seen:
        package, date = seen["package"], seen["date"]
        yield f"The last column is from {date}: what {package} made of such rows.\n\n"
    yield "| what | becomes | meaning lost | seen |\n|---|---|---|---|\n"
    for name, feature in features.FEATURES.items():
        fate = target.fate(name)
        lost = "yes" if fate in LOSSES and feature.meaning else "no"
        yield f"| {feature.what} | {fate} | {lost} | {seen.get(name, 'not tried')} |\n"


def tried() -> Mapping[str, Mapping[str, str]]:
    """What the packages made of our exports, by target: package, date, and outcome by case."""
    found: dict[str, dict[str, str]] = json.loads(TRIED.read_text(encoding="utf-8"))["targets"]
    return found


def _line(loss: Loss) -> str:
    lost = "yes" if loss.changes_meaning else "no"
    lines = ", ".join(map(str, loss.lines)) + (", …" if loss.rows > len(loss.lines) else "")
    return f"| {loss.what} | {loss.fate} | {lost} | {loss.rows} | {lines} |\n"
