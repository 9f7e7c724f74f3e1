"""How well a search finds the article that answers: recall@k, MRR and nDCG.

For: comparing ways to search on the same questions, with intervals. Not for: judging the
answers, see `helpers.evaluation.grading`.

    scores = search_scores(index, samples, mode="bm25")
    str(scores.recall)         # '0.93 [0.88, 0.97]'
    scores.misses()            # the questions whose article was not among the first k
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from helpers.evaluation.scorers import Sample
from helpers.evaluation.statistics import Interval, interval
from helpers.rag.index import Index, SearchMode

if TYPE_CHECKING:
    import pandas as pd

LIST = 10
"""Articles that are looked at; one further down counts as not found."""


def recall_at_k(found: Sequence[str], relevant: Collection[str], k: int) -> float:
    """Share of the relevant ids that are among the first k found."""
    return len(set(found[:k]) & set(relevant)) / len(set(relevant))


def reciprocal_rank(found: Sequence[str], relevant: Collection[str]) -> float:
    """1 for a relevant id in the first place, 1/2 in the second, ...; 0 if none is found."""
    for rank, name in enumerate(found, start=1):
        if name in relevant:
            return 1 / rank
    return 0.0


def ndcg_at_k(found: Sequence[str], relevant: Collection[str], k: int) -> float:
    """Discounted cumulative gain at k, as a share of the best order's (Järvelin 2002)."""
    gain = sum(
        1 / math.log2(rank + 1) for rank, name in enumerate(found[:k], start=1) if name in relevant
    )
    best = sum(1 / math.log2(rank + 1) for rank in range(1, min(k, len(set(relevant))) + 1))
    return gain / best


@dataclass(frozen=True)
class SearchScores:
    """One way to search, judged on questions whose article is known."""

    mode: str
    k: int
    samples: tuple[Sample, ...]
    found: tuple[tuple[str, ...], ...]
    """For each sample the articles found, best first, each once."""

    def _pairs(self) -> list[tuple[tuple[str, ...], set[str]]]:
        return [(f, set(s.articles)) for f, s in zip(self.found, self.samples, strict=True)]

    @property
    def recalls(self) -> list[float]:
        """Recall@k of each sample, for paired comparisons; the property below is their mean."""
        return [recall_at_k(found, gold, self.k) for found, gold in self._pairs()]

    @property
    def ranks(self) -> list[float]:
        """Reciprocal rank of each sample."""
        return [reciprocal_rank(found, gold) for found, gold in self._pairs()]

    @property
    def recall(self) -> Interval:
        """Mean recall@k with its interval."""
        return interval(self.recalls)

    @property
    def mrr(self) -> Interval:
        """Mean reciprocal rank with its interval."""
        return interval(self.ranks)

    @property
    def ndcg(self) -> Interval:
        """Mean nDCG@k with its interval."""
        return interval([ndcg_at_k(found, gold, self.k) for found, gold in self._pairs()])

    def recall_at(self, k: int) -> Interval:
        """Mean recall for another k, up to the `LIST` articles that were looked at."""
        return replace(self, k=k).recall

    def row(self) -> dict[str, Interval]:
        """The three measures by name, as a row of a table."""
        return {f"recall@{self.k}": self.recall, "MRR": self.mrr, f"nDCG@{self.k}": self.ndcg}

    def misses(self) -> pd.DataFrame:
        """The questions whose article is not among the first k, with what came instead."""
        import pandas as pd

        rows = [
            {"question": sample.question, "article": sample.article, "found": found[: self.k]}
            for sample, found, value in zip(self.samples, self.found, self.recalls, strict=True)
            if value < 1
        ]
        return pd.DataFrame(rows, columns=["question", "article", "found"])


def search_scores(
    index: Index, samples: Sequence[Sample], *, mode: SearchMode = "hybrid", k: int = 3
) -> SearchScores:
    """Search for each sample that has an article, and note which articles come, in order."""
    asked = tuple(sample for sample in samples if sample.article)
    questions = [sample.question for sample in asked]
    results = index.search_all(questions, k=LIST, mode=mode, per_article=True)
    found = tuple(tuple(hit.article for hit in hits) for hits in results)
    return SearchScores(mode, k, asked, found)
