"""Every method against every other: which is best, and how sure that is.

For: what the whole report reads. Pairs are tested on the same questions by sign flips, the
p-values corrected by Holm; answers of one conversation count as one. Not for: scores
themselves, see `helpers.capstone.scoring`; nor the verdict, see `helpers.capstone.conclusion`.

    found = rank(scores, yardstick="facts")
    found.best, found.pair("base", found.best).decided
    undecided(found)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from helpers.capstone.baselines import FREQUENT, LINEAR, LOOKUPS, NEAREST, NEIGHBOURS
from helpers.capstone.scoring import EXPLAINED
from helpers.costs.monthly import BASE, BOTH, FEW_SHOT, RETRIEVAL, TUNED
from helpers.evaluation.statistics import (
    SIGNIFICANT,
    Comparison,
    Interval,
    compare,
    holm,
    interval,
    p_text,
    questions_needed,
)

SIMPLEST_FIRST = (
    FREQUENT,
    NEAREST,
    NEIGHBOURS,
    LINEAR,
    BASE,
    FEW_SHOT,
    RETRIEVAL,
    TUNED,
    BOTH,
)
"""Of equal methods the one that takes least to build and to run is the better one."""
SAME = 0.01
"""Means nearer than this are called equal."""
NIL = 0.005
"""A mean below it is printed as 0.00."""


@dataclass(frozen=True)
class MethodPair:
    """Two methods on the same questions, the better one second: the one with the higher mean, or of
    two that are nearly alike the simpler."""

    worse: str
    better: str
    comparison: Comparison
    p: float
    """Corrected for the number of pairs."""
    needed: int | None
    """Questions after which such a difference would be found; None where there is none."""

    @property
    def decided(self) -> bool:
        """Whether the difference is more than chance."""
        return self.p < SIGNIFICANT

    def __str__(self) -> str:
        gap = self.comparison.difference
        text = f"{gap.mean:+.2f} [{gap.low:+.2f}, {gap.high:+.2f}], {p_text(self.p)}"
        return text if self.decided else f"{text}: not decided, {self.remedy}"

    @property
    def remedy(self) -> str:
        """How many questions it would take."""
        if self.needed is None:
            return "no difference that more questions would show"
        return f"it would take about {self.enough:,} questions"

    @property
    def enough(self) -> int:
        """Questions, in round numbers, that would decide a pair that is not; 0 where none would."""
        if self.needed is None:
            return 0
        # Where the approximation says that these were enough, the test says that they were not.
        n = self.comparison.difference.n
        return rounded(max(self.needed, n + n // 4 + 1))


@dataclass(frozen=True)
class Ranking:
    """All methods on one score."""

    yardstick: str
    means: Mapping[str, Interval]
    """By method, best first."""
    pairs: tuple[MethodPair, ...]

    @property
    def best(self) -> str:
        """The method with the highest mean; of equal ones the simplest."""
        return next(iter(self.means))

    @property
    def nothing(self) -> bool:
        """Whether even the highest mean is nil: then no method is best."""
        return self.means[self.best].mean < NIL

    @property
    def questions(self) -> int:
        """How many questions, or conversations, the means are over."""
        return self.means[self.best].n

    def pair(self, one: str, other: str) -> MethodPair:
        """The comparison of two methods."""
        return next(pair for pair in self.pairs if {pair.worse, pair.better} == {one, other})

    def against_best(self) -> dict[str, MethodPair]:
        """Each other method beside the best one."""
        return {name: self.pair(name, self.best) for name in self.means if name != self.best}


def rank(scores: Mapping[str, np.ndarray], *, yardstick: str) -> Ranking:
    """Compare all methods; `scores` by method, one value a question, NaN where none applies."""
    means = {name: interval(values) for name, values in scores.items()}

    def place(name: str) -> tuple[float, int]:
        # In steps of SAME: within a step the simpler one is better, though its mean may be a little
        # lower. Differences of such pairs can be slightly below 0.
        return -round(means[name].mean / SAME) * SAME, _simplicity(name)

    order = sorted(means, key=place)
    # `order` is best first, so that `combinations` gives the better one first.
    couples = [(worse, better) for better, worse in combinations(order, 2)]
    found = [compare(scores[worse], scores[better]) for worse, better in couples]
    # All pairs together, since the report is read for whichever pair stands out.
    corrected = holm([comparison.p for comparison in found])
    pairs = tuple(
        MethodPair(
            worse,
            better,
            comparison,
            p,
            questions_needed(scores[better] - scores[worse], comparisons=len(couples)),
        )
        for (worse, better), comparison, p in zip(couples, found, corrected, strict=True)
    )
    return Ranking(yardstick, {name: means[name] for name in order}, pairs)


def by_talk(values: np.ndarray, talks: Sequence[int]) -> np.ndarray:
    """One mean a conversation, in order of the first; NaN where no answer of it has a value."""
    own: dict[int, list[float]] = {}
    for value, talk in zip(values, talks, strict=True):
        own.setdefault(talk, []).append(float(value))
    # Answers of one talk are alike; each as a question of its own would make p too small.
    kept = [[value for value in found if not np.isnan(value)] for found in own.values()]
    return np.array([float(np.mean(found)) if found else np.nan for found in kept])


def _simplicity(name: str) -> int:
    return SIMPLEST_FIRST.index(name) if name in SIMPLEST_FIRST else len(SIMPLEST_FIRST)


def rounded(number: int) -> int:
    """Two leading digits: more would pretend to be exact."""
    step = 10 ** max(0, len(str(number)) - 2)
    # Rounded up: "about 90" must not be fewer than were needed.
    return -(-number // step) * step


def best_sentence(found: Ranking) -> str:
    """Who has the highest score, and whom it surely beats."""
    if found.nothing:
        return (
            f"None is best: no method has more than {found.yardstick} 0.00 on "
            f"{found.questions} held-out {_what(found)}."
        )
    beaten = [name for name, pair in found.against_best().items() if pair.decided]
    text = (
        f"Best is {found.best}: {found.yardstick} {found.means[found.best]} "
        f"on {found.questions} held-out {_what(found)}."
    )
    if not beaten:
        return f"{text} That it beats any of the others is not decided."
    worst = max(found.pair(name, found.best).p for name in beaten)
    return f"{text} It surely beats {_listed(beaten)} ({p_text(worst)} at most, corrected)."


def undecided(found: Ranking) -> list[str]:
    """The methods that may be as good as the best one, and what would settle it."""
    if found.nothing:
        return []
    near = {name: pair for name, pair in found.against_best().items() if not pair.decided}
    remedies: dict[str, list[str]] = {}
    for name, pair in near.items():
        gap = pair.comparison.difference.mean
        remedies.setdefault(pair.remedy, []).append(f"{name} ({gap:+.2f})")
    return [f"Not decided against {_listed(names)}: {why}." for why, names in remedies.items()]


def lookup_sentences(found: Ranking) -> list[str]:
    """What the baselines without a language model say of the others."""
    lookups = [name for name in found.means if name in LOOKUPS]
    models = [name for name in found.means if name not in (*LOOKUPS, FREQUENT)]
    if not lookups or not models or found.nothing:
        return []
    # `means` is best first: the best of each sort.
    lookup, model = lookups[0], models[0]
    pair = found.pair(lookup, model)
    ahead = found.means[model].mean - found.means[lookup].mean
    if ahead <= SAME:
        scores = f"{found.means[lookup].mean:.2f}, {model} {found.means[model].mean:.2f}"
        how = "better" if ahead < -SAME else "as well"
        return [f"A lookup does {how}, without any language model: {lookup} has {scores}."]
    if not pair.decided:
        return [f"Whether any model beats a lookup ({lookup}) is not decided."]
    return [f"No lookup does as well: {model} beats {lookup} by {ahead:.2f} ({p_text(pair.p)})."]


def _what(found: Ranking) -> str:
    return "question" if found.questions == 1 else "questions"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def explained(found: Ranking) -> str:
    """What the score means."""
    return f"{found.yardstick}: {EXPLAINED.get(found.yardstick, 'the score of an answer')}"
