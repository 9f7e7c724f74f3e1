"""How sure a mean is, and whether one system is better than another.

For: scores of any kind. Not for: making them, see `helpers.evaluation.scorers`.

    interval([1.0, 0.0, 1.0])
    compare(before, after).p
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from helpers.base.errors import DataError


@dataclass(frozen=True)
class Interval:
    """A mean with its 95% bootstrap interval."""

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.mean:.2f} [{self.low:.2f}, {self.high:.2f}]"


@dataclass(frozen=True)
class Comparison:
    """Two systems on the same samples: mean difference b - a, its interval, and a p-value."""

    difference: Interval
    p: float
    """Two-sided, by sign-flip permutation of the paired differences."""

    def __repr__(self) -> str:
        gap = self.difference
        return f"difference {gap.mean:+.2f} [{gap.low:+.2f}, {gap.high:+.2f}], p = {self.p:.4f}"


def interval(values: Sequence[float] | np.ndarray, *, seed: int = 0, draws: int = 2000) -> Interval:
    """Mean and percentile bootstrap interval (Efron 1979) over samples drawn with replacement.

    NaN, where a score does not apply, is left out. Raises `DataError` for no values.
    """
    data = np.asarray(values, dtype=float)
    data = data[~np.isnan(data)]
    if data.size == 0:
        raise DataError("no values to average", fix="check the kind and the scorer's name")
    rng = np.random.default_rng(seed)
    means = data[rng.integers(0, data.size, (draws, data.size))].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return Interval(float(data.mean()), float(low), float(high), data.size)


def compare(
    a: Sequence[float] | np.ndarray,
    b: Sequence[float] | np.ndarray,
    *,
    seed: int = 0,
    draws: int = 10_000,
) -> Comparison:
    """Is b better than a on the same samples? Paired, by sign-flip permutation.

    If the two were equal, each difference could as well have the other sign; p is
    the share of random sign choices whose mean difference is at least as large.
    """
    gap = np.asarray(b, dtype=float) - np.asarray(a, dtype=float)
    gap = gap[~np.isnan(gap)]
    rng = np.random.default_rng(seed)
    signs = rng.choice([-1.0, 1.0], (draws, gap.size))
    # The tolerance keeps a tie, computed in another order, from counting as smaller.
    extreme = np.abs((signs * gap).mean(axis=1)) >= abs(gap.mean()) - 1e-12
    return Comparison(interval(gap, seed=seed), float((extreme.sum() + 1) / (draws + 1)))
