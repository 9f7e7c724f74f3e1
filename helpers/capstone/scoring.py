"""What an answer is worth beside the table's own: facts, likeness, or the right label.

For: choosing the score that carries the verdict, and scoring with it. Not for: comparing
methods, see `helpers.capstone.ranking`.

    yardstick = choose(samples, labels=())       # "facts" or "likeness"
    scorers_of(samples, answers, embed, labels=())
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from helpers.capstone.lookup import embedded
from helpers.datasets.checkable_facts import facts
from helpers.evaluation.judge import probability_right
from helpers.evaluation.scorers import Sample, Score, Scorer, chrf, normalise
from helpers.evaluation.statistics import Interval, bootstrap
from helpers.rag.embedding import Embedder

if TYPE_CHECKING:
    from openai import OpenAI

FACTS, CHRF, SIMILARITY, LIKENESS = "facts", "chrf", "similarity", "likeness"
JUDGE, LABEL = "judge", "accuracy"
ENOUGH_FACTS, FEWEST_FACTS = 0.3, 5
"""Share, and number, of held-out answers with facts from which these carry the verdict."""
EVERYWHERE = 0.8
"""Share of the held-out answers that state a fact from which it tells nothing of a question."""
OTHER = "(another answer)"
AROUND = " .,:;!?\"'`*()[]{}"
EXPLAINED = {
    FACTS: "the share of the right answer's numbers, and of its yes or no, that an answer states",
    LIKENESS: "the mean of chrF (equal pieces of words) and the embeddings' similarity, 0 to 1",
    JUDGE: "how probable a judging model finds it that the answer says the same as the right one",
    LABEL: "the share of questions with the right label",
}


def stated_everywhere(samples: Sequence[Sample]) -> frozenset[str]:
    """Numbers that nearly all right answers state, such as the desk's own phone number.

    Whoever states them knows nothing of the question: they are no facts that could be scored.
    """
    counts = Counter(fact for sample in samples for fact in facts(sample.target))
    least = max(FEWEST_FACTS, EVERYWHERE * len(samples))
    # What is mostly answered by "yes" is decided by the few that are not.
    return frozenset(f for f, n in counts.items() if n >= least and f not in ("yes", "no"))


def fact_scorer(samples: Sequence[Sample]) -> Scorer:
    """Share of the right answer's facts that the output states; without any it does not apply."""
    idle = stated_everywhere(samples)

    def recall(output: str, sample: Sample) -> Score:
        wanted = facts(sample.target) - idle
        if not wanted:
            return Score(None)
        missing = sorted(wanted - facts(output))
        share = 1 - len(missing) / len(wanted)
        return Score(share, f"missing: {', '.join(missing)}" if missing else "")

    return recall


def right_label(output: str, sample: Sample) -> Score:
    """1 if the answer is the label, apart from case, spaces and a full stop."""
    right = plain_label(output) == plain_label(sample.target)
    return Score(float(right), "" if right else f"said: {output[:60]}")


def plain_label(text: str) -> str:
    """A label as it is compared: without quotes, brackets and the marks of a sentence around it."""
    plain = normalise(text)
    # Not all signs: "-1" and "1", "C++" and "C#" are two labels; and "+" is one that is nothing
    # else.
    return plain.strip(AROUND) or plain


def similarity_scorer(texts: Iterable[str], embed: Embedder) -> Scorer:
    """Cosine of the answer's and the target's embedding, 0 to 1; all `texts` embedded at once."""
    distinct = list(dict.fromkeys(texts))
    vectors = dict(zip(distinct, embedded(distinct, embed), strict=True))

    def similarity(output: str, sample: Sample) -> Score:
        cosine = float(vectors[output] @ vectors[sample.target])
        return Score(min(1.0, max(0.0, cosine)))

    return similarity


def judge_scorer(client: OpenAI, model: str) -> Scorer:
    """How probable the judge finds that the answer says the same as the right one."""

    def judged(output: str, sample: Sample) -> Score:
        return Score(probability_right(client, model, sample.question, sample.target, output))

    return judged


def choose(samples: Sequence[Sample], *, labels: Sequence[str], judged: bool = False) -> str:
    """The score that carries the verdict."""
    if labels:
        return LABEL
    idle = stated_everywhere(samples)
    checkable = sum(bool(facts(sample.target) - idle) for sample in samples)
    # A few facts in a large table would let a handful of questions decide.
    if checkable >= max(min(FEWEST_FACTS, len(samples)), ENOUGH_FACTS * len(samples)):
        return FACTS
    return JUDGE if judged else LIKENESS


def scorers_of(
    samples: Sequence[Sample],
    answers: Iterable[str],
    embed: Embedder,
    *,
    labels: Sequence[str],
    judge: Scorer | None = None,
) -> dict[str, Scorer]:
    """All scorers that suit a table."""
    if labels:
        return {LABEL: right_label}
    similarity = similarity_scorer([*answers, *(sample.target for sample in samples)], embed)

    def likeness(output: str, sample: Sample) -> Score:
        parts = [scorer(output, sample).value or 0.0 for scorer in (chrf, similarity)]
        return Score(sum(parts) / len(parts))

    found = {FACTS: fact_scorer(samples), CHRF: chrf, SIMILARITY: similarity, LIKENESS: likeness}
    return found | ({JUDGE: judge} if judge else {})


def macro_f1(targets: Sequence[str], outputs: Sequence[str]) -> Interval:
    """Mean of each label's F1, with its bootstrap interval; labels that occur in `targets` count.

    A label that a draw of the bootstrap leaves out does not count in that draw.
    """
    names = {name: place for place, name in enumerate(dict.fromkeys(map(plain_label, targets)))}
    # Places of labels; an answer that is no label gets one class more, which is never right.
    right = np.array([names[plain_label(text)] for text in targets])
    said = np.array([names.get(plain_label(text), len(names)) for text in outputs])
    return bootstrap(_f1(right, said, len(names) + 1), len(right))


def _f1(right: np.ndarray, said: np.ndarray, n: int) -> Callable[[np.ndarray], float]:
    def statistic(places: np.ndarray) -> float:
        # Rows are the right labels, columns what was said, shape (n, n).
        table = np.bincount(right[places] * n + said[places], minlength=n * n).reshape(n, n)
        true, wanted, given = table.diagonal(), table.sum(axis=1), table.sum(axis=0)
        # The extra class is wanted by nobody, so that it is left out here.
        there = wanted > 0
        # F1 = 2 true / (wanted + given), the harmonic mean of precision and recall.
        return float((2 * true[there] / (wanted + given)[there]).mean())

    return statistic


def confusion(
    targets: Sequence[str], outputs: Sequence[str], labels: Sequence[str]
) -> Mapping[tuple[str, str], int]:
    """How often each right label was answered by each label; anything else is one more column."""
    known = {plain_label(label): label for label in labels}
    counts: dict[tuple[str, str], int] = {}
    for target, output in zip(targets, outputs, strict=True):
        pair = (known.get(plain_label(target), target), known.get(plain_label(output), OTHER))
        counts[pair] = counts.get(pair, 0) + 1
    return counts
