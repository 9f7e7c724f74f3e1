"""The verdict in words: which method to begin with, how sure that is, what to do next.

For: the report's first sentences, and the advice for one's own table. Not for: the tests that
decide, see `helpers.capstone.ranking`.

    verdict(done)           # "Best is fine-tuned: facts 0.81 [0.74, 0.87] on 60 …"
    advice(done).method     # "fine-tuned"
"""

from __future__ import annotations

from helpers.capstone.baselines import FREQUENT, LOOKUPS
from helpers.capstone.ranking import MethodPair, best_sentence, lookup_sentences, rounded, undecided
from helpers.capstone.result import CapstoneResult
from helpers.costs.advisor import ENOUGH, FIRST, Advice
from helpers.costs.monthly import BOTH, TUNED
from helpers.evaluation.statistics import p_text

SLIGHT = 0.02
"""A difference that many questions leave undecided, and that is not worth many more."""
NO_METHOD = "reading the answers"
"""What is advised where no method scored anything."""


def verdict(done: CapstoneResult) -> str:
    """The best method, how sure that is, and whether a lookup does as well: a few sentences."""
    parts = [best_sentence(done.ranking), *lookup_sentences(done.ranking), *undecided(done.ranking)]
    if done.within_reach is not None and done.ranking.yardstick == "facts":
        parts.append(
            f"{done.within_reach:.0%} of the held-out facts stand in some training answer; "
            "the others no training on this table can teach."
        )
    return " ".join(parts)


def advice(done: CapstoneResult) -> Advice:
    """What to begin with, read from this result."""
    found = done.ranking
    if found.nothing:
        return _start_again(done)
    reasons = [best_sentence(found), *lookup_sentences(found)]
    against = {
        name: f"{_gap(pair)}, {p_text(pair.p)}."
        if pair.decided
        else f"{_gap(pair)}, not decided: {pair.remedy}."
        for name, pair in found.against_best().items()
    }
    steps = [f"Try the folder {done.model_folder.name}: it answers as {found.best} did."]
    near = {name: pair for name, pair in found.against_best().items() if not pair.decided}
    gaps = [pair.comparison.difference.mean for pair in near.values()]
    if near and max(gaps) < SLIGHT and found.questions >= ENOUGH:
        # So small a difference is hardly worth the questions that would prove it.
        steps.append(f"Between {found.best} and {' and '.join(near)}, let the costs decide.")
    elif near:
        needed = max(pair.needed or 0 for pair in near.values())
        # First, since the rest of the advice rests on a result that is not decided.
        steps.insert(
            0, f"Hold out more questions ({rounded(max(needed, ENOUGH)):,} or so), ask again."
        )
    steps += [FIRST[found.best]] if found.best in FIRST else []
    return Advice(found.best, _place(found.best), tuple(reasons), against, tuple(steps))


def _gap(pair: MethodPair) -> str:
    mean = pair.comparison.difference.mean
    # Of two that are nearly alike the simpler one is called better.
    return f"{abs(mean):.2f} {'behind' if mean >= 0 else 'ahead, and less simple'}"


def _start_again(done: CapstoneResult) -> Advice:
    """What to do where every method failed: the table is at fault, or asks what nobody told."""
    steps = (
        "Compare some answers with the right ones: does what they say stand in any other row?",
        "Look in the dataset's report whether the right columns were read.",
        "Bring articles that hold the facts, or more rows that ask for the same.",
    )
    return Advice(NO_METHOD, "the report's page", (best_sentence(done.ranking),), {}, steps)


def _place(method: str) -> str:
    if method in (TUNED, BOTH):
        return "an open model, on your own machine or with a host"
    if method in (*LOOKUPS, FREQUENT):
        return "any machine: no language model is needed"
    return "any compatible endpoint, hosted or your own"
