"""Split a table into training, validation and test without leakage.

For: shares of each intent, and groups of nearly equal questions kept together. The same
seed gives the same split. Not for: time-based splits.

    parts = split(table, validation=0.1, test=0.2, seed=7)
    len(parts.train), len(parts.validation), len(parts.test)
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from helpers.base.errors import DataError
from helpers.datasets import dedup
from helpers.datasets.frame import asked_texts

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Split:
    """Three tables without a common group of questions."""

    train: pd.DataFrame
    validation: pd.DataFrame
    test: pd.DataFrame
    intent: str = "intent"
    """The column that the shares were kept in."""

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
    """Deal out groups of near-duplicate questions, intent by intent.

    The shares are met as nearly as whole groups allow; a group too large for its share
    stays in training. Raises `DataError` for impossible shares.
    """
    if min(validation, test) < 0 or validation + test >= 1:
        raise DataError(
            f"shares of {validation} and {test} leave nothing to train on",
            fix="choose shares that add up to less than 1",
        )
    groups = dedup.near_duplicates(asked_texts(table), threshold=threshold)
    members: dict[int, list[int]] = {}
    for place, first in enumerate(groups.labels.tolist()):
        members.setdefault(first, []).append(place)
    by_intent: dict[str, list[list[int]]] = {}
    names = _intents(table, intent)
    for group in members.values():
        usual = Counter(names[place] for place in group).most_common(1)[0][0]
        by_intent.setdefault(usual, []).append(group)
    places = _deal(by_intent, {"test": test, "validation": validation}, random.Random(seed))
    return Split(
        train=table.iloc[sorted(places["train"])],
        validation=table.iloc[sorted(places["validation"])],
        test=table.iloc[sorted(places["test"])],
        intent=intent,
    )


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
