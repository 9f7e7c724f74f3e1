"""How sure a mean is, and whether one system is better than another.

For: scores of any kind. Not for: making them, see `helpers.evaluation.scorers`.

    interval([1.0, 0.0, 1.0])
    compare(before, after).p
    holm([0.01, 0.04])              # [0.02, 0.04]
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from helpers.base.errors import DataError

SIGNIFICANT = 0.05
"""The usual bound for p, shared by all comparisons of one report."""
POWER = 0.8
"""How often a study of the size that `questions_needed` names finds a difference that is there."""
SIGNS_AT_ONCE = 20_000_000
"""Random signs held in memory at a time, 8 bytes each."""


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
    # One row a draw, shape (draws, n) before the mean.
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
    # A question where either score does not apply is no pair.
    gap = gap[~np.isnan(gap)]
    means = np.abs(_flipped_means(gap, draws, np.random.default_rng(seed)))
    # The tolerance keeps a tie, computed in another order, from counting as smaller.
    extreme = int((means >= abs(gap.mean()) - 1e-12).sum())
    # The signs as they came are one of the choices, so p is never 0 (Phipson and Smyth 2010).
    return Comparison(interval(gap, seed=seed), (extreme + 1) / (draws + 1))


def _flipped_means(gap: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Means under random signs, shape (draws,); drawn in parts, since n x draws may be large."""
    part = max(1, min(draws, SIGNS_AT_ONCE // max(gap.size, 1)))
    sizes = [min(part, draws - start) for start in range(0, draws, part)]
    parts = [(rng.choice([-1.0, 1.0], (size, gap.size)) * gap).mean(axis=1) for size in sizes]
    return np.concatenate(parts)


def bootstrap(
    statistic: Callable[[np.ndarray], float], n: int, *, seed: int = 0, draws: int = 1000
) -> Interval:
    """A statistic that is no mean, with its percentile bootstrap interval (Efron 1979).

    `statistic` takes the places of the samples that were drawn, shape (n,). Raises `DataError`
    for no samples.
    """
    if n < 1:
        raise DataError("no samples to draw from", fix="hold out more rows")
    rng = np.random.default_rng(seed)
    # All statistics are of places, not values: a pair (right, said) has to be drawn together.
    found = [statistic(rng.integers(0, n, n)) for _ in range(draws)]
    low, high = np.percentile(found, [2.5, 97.5])
    return Interval(statistic(np.arange(n)), float(low), float(high), n)


def holm(ps: Sequence[float]) -> list[float]:
    """p-values adjusted for their number by Holm's step-down method (1979), in their order.

    Where each is compared with 0.05, the chance of any false alarm among them is at most 0.05.
    """
    order = sorted(range(len(ps)), key=ps.__getitem__)
    adjusted, least = [0.0] * len(ps), 0.0
    for rank, place in enumerate(order):
        # Never below an earlier one: a larger p may not become the more significant.
        least = max(least, min(1.0, (len(ps) - rank) * ps[place]))
        adjusted[place] = least
    return adjusted


def p_text(p: float) -> str:
    """A p-value as it is printed: never 0.000, which no finite test can show."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def questions_needed(
    gap: Sequence[float] | np.ndarray, *, comparisons: int = 1, power: float = POWER
) -> int | None:
    """Paired questions after which a difference like this one would be found; None for no gap.

    By the normal approximation for a paired test, (z(1 - a/2) + z(power))^2 (sd / mean)^2, with
    a = 0.05 shared between `comparisons`; at least as many as a sign-flip test needs to reach a.
    """
    data = np.asarray(gap, dtype=float)
    data = data[~np.isnan(data)]
    mean = float(data.mean()) if data.size else 0.0
    if abs(mean) < 1e-9:
        return None
    level = SIGNIFICANT / max(comparisons, 1)
    z = NormalDist().inv_cdf(1 - level / 2) + NormalDist().inv_cdf(power)
    # One value has no spread; its size stands in, which gives the fewest questions below.
    spread = float(data.std(ddof=1)) if data.size > 1 else abs(mean)
    # n pairs have 2^n sign choices, and the observed one and its mirror are as extreme as any: p is
    # 2^(1-n) at least, however large the difference.
    fewest = math.ceil(1 + math.log2(1 / level))
    return max(fewest, math.ceil((z * spread / mean) ** 2))
