"""Where answers from notes go wrong: in the search, or in what the model made of the notes.

For: reading the results of a `Rag` that was asked a test set. Not for: the search alone, see
`metrics`; the facts of an answer, see `helpers.evaluation.scorers`.

    outcomes(samples, generations, report.column("key_fact_recall"))   # ['right', …]
    citation_scores(samples, generations)["a right article cited"]     # an interval
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Literal

import numpy as np

from helpers.evaluation.scorers import Sample
from helpers.evaluation.statistics import Interval, interval
from helpers.rag.answering import WITHIN, Generation, near_best
from helpers.rag.hits import Hit

Outcome = Literal["right", "retrieval miss", "generation miss"]
ENOUGH_FACTS = 0.5
"""Share of the key facts from which an answer counts as right."""


def outcome(sample: Sample, generation: Generation, recall: float) -> Outcome:
    """Right; or whether the search missed an article, or the model did not use what it had."""
    if recall >= ENOUGH_FACTS:
        return "right"
    found = {hit.article for hit in generation.hits}
    # All that it needed was found, so what is wrong was made of it.
    return "generation miss" if set(sample.articles) <= found else "retrieval miss"


def outcomes(
    samples: Sequence[Sample], generations: Sequence[Generation], recalls: Iterable[float]
) -> list[Outcome]:
    """The outcome of each question that an article answers, in their order."""
    rows = zip(samples, generations, recalls, strict=True)
    return [outcome(sample, done, recall) for sample, done, recall in rows if sample.articles]


def citation_scores(
    samples: Sequence[Sample], generations: Sequence[Generation]
) -> dict[str, Interval]:
    """How many sentences the notes support, and how many answers cite a right article."""
    sentences = [one for done in generations if not done.declined for one in done.grounding()]
    cites = [
        bool(set(sample.articles) & set(done.citations))
        for sample, done in zip(samples, generations, strict=True)
        if sample.articles
    ]
    return {
        "sentences grounded": interval([one.supported for one in sentences]),
        "a right article cited": interval(cites),
    }


def note_coverage(
    wanted: Sequence[Collection[str]],
    found: Sequence[Sequence[Hit]],
    *,
    k: int,
    within: float = WITHIN,
) -> dict[str, object]:
    """How often all articles that a question needs would be read, and how many are read.

    `wanted` holds the ids that each question needs, `found` its hits, one an article.
    """
    read = [{hit.article for hit in near_best(hits[:k], within=within)} for hits in found]
    complete = [set(names) <= have for names, have in zip(wanted, read, strict=True)]
    return {
        "all it needs is there": interval(complete),
        "notes in a prompt": round(float(np.mean([len(have) for have in read])), 2),
    }
