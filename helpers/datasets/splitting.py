"""Split a table into training, validation and test without leakage.

For: shares of each intent, and groups of like questions kept together; what the check for
leakage would find is on one side. The same seed gives the same split. Not for: time-based
splits.

    parts = split(table, validation=0.1, test=0.2, seed=7)
    len(parts.train), len(parts.validation), len(parts.test)
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from helpers.base.errors import DataError
from helpers.datasets import dedup
from helpers.datasets.frame import asked_texts
from helpers.datasets.same_question import asked_in_both, same_questions

if TYPE_CHECKING:
    import pandas as pd


LARGE = 5
"""Rows of a group of like questions from which it may be too large for its share."""
ROUNDS = 5
"""How often a split is dealt anew because two parts asked the same."""


@dataclass(frozen=True)
class Split:
    """Three tables without a common group of questions."""

    train: pd.DataFrame
    validation: pd.DataFrame
    test: pd.DataFrame
    intent: str = "intent"
    """The column that the shares were kept in."""
    notes: tuple[str, ...] = ()
    """What was decided on the way."""

    def counts(self) -> pd.DataFrame:
        """Rows of each intent in each part."""
        import pandas as pd

        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        found = {name: Counter(_intents(part, self.intent)) for name, part in parts.items()}
        return pd.DataFrame(found).fillna(0).astype(int).sort_index()


def split(
    table: pd.DataFrame,
    *,
    validation: float = 0.1,
    test: float = 0.2,
    seed: int = 0,
    intent: str = "intent",
    threshold: float = dedup.THRESHOLD,
) -> Split:
    """Deal out groups of like questions, intent by intent.

    Like are questions whose letters overlap (`dedup.near_duplicates`). Where that makes one
    group of more than half a share, as in tables that ask one question about many things,
    only those stay together that ask the same (`same_question`). The shares are met as
    nearly as whole groups allow. Raises `DataError` for impossible shares.
    """
    if min(validation, test) < 0 or validation + test >= 1:
        raise DataError(
            f"shares of {validation} and {test} leave nothing to train on",
            fix="choose shares that add up to less than 1",
        )
    texts, names = asked_texts(table), _intents(table, intent)
    shares = {"test": test, "validation": validation}
    wanted = [share for share in shares.values() if share]
    limit = max(LARGE, min(wanted, default=1.0) * len(table) / 2)
    groups, loosened = _groups(texts, threshold, limit)
    # Joining what leaks changes how the rest is dealt, which may leak elsewhere: so in rounds.
    for _ in range(ROUNDS):
        places = _deal(_by_intent(groups, names), shares, random.Random(seed))
        leaks = _leaks(texts, places)
        if not leaks:
            break
        groups = _joined(groups, leaks, len(texts))
    else:
        # The rounds were not enough: what still leaks is trained on, which spoils no measurement.
        _move_to_training(places, leaks)
    note = (
        f"{loosened} rows ask nearly the same words about different things; they were dealt "
        "out one by one, so that their like stand on both sides of the split"
    )
    return Split(
        train=table.iloc[sorted(places["train"])],
        validation=table.iloc[sorted(places["validation"])],
        test=table.iloc[sorted(places["test"])],
        intent=intent,
        notes=(note,) if loosened else (),
    )


def _groups(texts: Sequence[str], threshold: float, limit: float) -> tuple[list[list[int]], int]:
    """Groups that stay together, and how many rows were in one that was too large."""
    groups, loosened = [], 0
    for group in _members(dedup.near_duplicates(texts, threshold=threshold)):
        if len(group) <= limit:
            groups.append(group)
            continue
        loosened += len(group)
        within = _members(same_questions([texts[place] for place in group], threshold=threshold))
        groups += [[group[place] for place in part] for part in within]
    return sorted(groups), loosened


def _members(groups: dedup.Groups) -> list[list[int]]:
    """Every group, those of one row too, in the order of their first rows."""
    members: dict[int, list[int]] = {}
    for place, first in enumerate(groups.labels.tolist()):
        members.setdefault(first, []).append(place)
    return list(members.values())


def _by_intent(groups: list[list[int]], names: Sequence[str]) -> dict[str, list[list[int]]]:
    by_intent: dict[str, list[list[int]]] = {}
    for group in groups:
        usual = Counter(names[place] for place in group).most_common(1)[0][0]
        by_intent.setdefault(usual, []).append(group)
    return by_intent


def _leaks(texts: Sequence[str], places: dict[str, list[int]]) -> list[tuple[int, int]]:
    """Pairs of rows that ask the same, the first in training, the other held out."""
    held_out = [*places["validation"], *places["test"]]
    train = places["train"]
    found = asked_in_both([texts[row] for row in train], [texts[row] for row in held_out])
    return [(train[one], held_out[other]) for other, one in found.items()]


def _joined(groups: list[list[int]], pairs: list[tuple[int, int]], rows: int) -> list[list[int]]:
    union = dedup.Union(rows)
    for group in groups:
        for row in group[1:]:
            union.join(group[0], row)
    for one, other in pairs:
        union.join(one, other)
    return _members(union.groups())


def _move_to_training(places: dict[str, list[int]], leaks: list[tuple[int, int]]) -> None:
    leaking = {held_out for _, held_out in leaks}
    for part in ("validation", "test"):
        places["train"] += [row for row in places[part] if row in leaking]
        places[part] = [row for row in places[part] if row not in leaking]


def _intents(table: pd.DataFrame, column: str) -> list[str]:
    if column not in table:
        return ["all"] * len(table)
    return [str(value) for value in table[column]]


def _deal(
    by_intent: dict[str, list[list[int]]], shares: dict[str, float], draw: random.Random
) -> dict[str, list[int]]:
    """Rows for each part; what an intent leaves of a share is carried to the next one."""
    parts: dict[str, list[int]] = {"train": [], "validation": [], "test": []}
    owed: dict[str, float] = dict.fromkeys(shares, 0.0)
    # Sorted, so that the same seed deals the same whichever intent comes first in the table.
    for name in sorted(by_intent):
        groups = by_intent[name]
        draw.shuffle(groups)
        rows = sum(map(len, groups))
        for part, share in shares.items():
            owed[part] += rows * share
        for group in groups:
            part = _part_for(len(group), owed)
            parts[part] += group
            if part in owed:
                owed[part] -= len(group)
    return parts


def _part_for(size: int, owed: dict[str, Any]) -> str:
    """The part that is owed at least this many rows (half a row counts), or training."""
    fitting = [part for part, rows in owed.items() if size <= rows + 0.5]
    return max(fitting, key=lambda part: owed[part]) if fitting else "train"
