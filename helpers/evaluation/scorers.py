"""Score one answer against one sample: small functions with one signature.

For: evaluation, where `score(output, sample)` is called for each test question.
Not for: means, intervals and comparisons, see `helpers.evaluation.grading`.

    sample = Sample(id="t1", question="...", target="...", kind="paraphrase",
                    key_facts=(("12 seconds", "twelve seconds"),))
    key_fact_recall("Hold it for 12 seconds.", sample).value     # 1.0
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from helpers.datasets.checkable_facts import stated_facts

Fact = tuple[str, ...]
"""The accepted spellings of one fact, lower case."""


@dataclass(frozen=True)
class Sample:
    """One test question and what a right answer to it contains."""

    id: str
    question: str
    target: str
    kind: str
    intent: str = ""
    article: str = ""
    """Id of the article that holds the answer, or several with ";" between them; empty where
    the right answer is to decline."""
    key_facts: tuple[Fact, ...] = ()
    messages: tuple[dict[str, Any], ...] = field(default=(), repr=False)
    """The conversation up to the answer, as it is sent to a model."""

    @property
    def articles(self) -> tuple[str, ...]:
        """The ids of all articles that the answer needs."""
        return tuple(filter(None, self.article.split(";")))


@dataclass(frozen=True)
class Score:
    """A number, most often from 0 to 1, and a short reason that an error table can show."""

    value: float | None
    """None where the score does not apply to the sample; means leave it out."""
    reason: str = ""


Scorer = Callable[[str, Sample], Score]


def normalise(text: str) -> str:
    """Lower case, one space between words, plain quotes and hyphens."""
    plain = text.lower().translate(str.maketrans("‘’“”–—", "''\"\"--"))
    return re.sub(r"\s+", " ", plain).strip()


def contains(text: str, spelling: str) -> bool:
    """True if `spelling` stands in `text` and no letter or digit touches it."""
    # "12 s" must not be found in "112 s", "2.12 s" or "12 seconds", nor "5" in "5.3"; a full stop
    # that ends a sentence may follow it.
    pattern = rf"(?<![\w.]){re.escape(normalise(spelling))}(?!\w|\.\d)"
    return re.search(pattern, normalise(text)) is not None


def exact_match(output: str, sample: Sample) -> Score:
    """1 if the answer equals the target, apart from case and spaces."""
    same = normalise(output) == normalise(sample.target)
    return Score(float(same), "" if same else "differs from the target")


def key_fact_recall(output: str, sample: Sample) -> Score:
    """Share of the sample's key facts that the answer states in an accepted spelling.

    It does not apply to a sample without key facts, which is to be declined.
    """
    if not sample.key_facts:
        return Score(None)
    missing = [
        fact[0]
        for fact in sample.key_facts
        if not any(contains(output, spelling) for spelling in fact)
    ]
    recall = 1 - len(missing) / len(sample.key_facts)
    return Score(recall, f"missing: {', '.join(missing)}" if missing else "")


def chrf(output: str, sample: Sample) -> Score:
    """Character n-gram F-score, 0 to 1 (Popović 2015), computed by sacrebleu."""
    from sacrebleu.metrics.chrf import CHRF

    return Score(CHRF().sentence_score(output, [sample.target]).score / 100)


def made_up_facts(known: Iterable[str]) -> Scorer:
    """A scorer that counts the facts of an answer which stand in none of the `known` texts."""
    allowed: set[str] = set()
    for text in known:
        allowed.update(normalise(fact) for fact in stated_facts(text))

    def score(output: str, sample: Sample) -> Score:
        # A number that the customer named may be repeated; it is not made up.
        asked = {normalise(fact) for fact in stated_facts(sample.question)}
        invented = [
            fact
            for fact in dict.fromkeys(stated_facts(output))
            if normalise(fact) not in allowed and normalise(fact) not in asked
        ]
        return Score(float(len(invented)), f"invented: {', '.join(invented)}" if invented else "")

    return score


def outdated(
    before: Mapping[str, str], after: Mapping[str, str], *, kind: str = "changed policy"
) -> Scorer:
    """A scorer for questions about articles that have changed: 1 if the answer states a fact
    that the earlier text of its article held and the later one does not.

    `before` and `after` are texts by article id, `kind` the kind of question that is about such
    a change. Elsewhere it does not apply.
    """
    # Facts of the earlier text that the later one no longer states.
    gone = {
        name: {normalise(fact) for fact in stated_facts(text)}
        - {normalise(fact) for fact in stated_facts(after[name])}
        for name, text in before.items()
        if name in after and after[name] != text
    }

    def score(output: str, sample: Sample) -> Score:
        if sample.kind != kind or sample.article not in gone:
            return Score(None)
        old = [f for f in stated_facts(output) if normalise(f) in gone[sample.article]]
        return Score(float(bool(old)), f"no longer true: {', '.join(old)}" if old else "")

    return score


def length(output: str, sample: Sample) -> Score:
    """Length of the answer in words; not a quality, but a change in it is a sign."""
    return Score(float(len(output.split())))
