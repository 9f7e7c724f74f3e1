"""A model as the judge of answers, and the checks that the judge itself must pass.

For: notebook 03. Not for: facts that a rule can check, see `helpers.evaluation.scorers`; a rule is
cheaper and never tired.

    p = probability_right(client, model, question, reference, answer)      # 0 to 1
    agreement([True, False], [p > 0.5 for p in ps]).kappa
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from helpers.evaluation.grading import EvaluationReport

if TYPE_CHECKING:
    from openai import OpenAI

GRADE = """Question: {question}
Right answer: {reference}
Given answer: {answer}
Does the given answer say the same as the right answer, with the same numbers? Say Yes or No."""

PREFER = """Question: {question}
Right answer: {reference}
Answer A: {first}
Answer B: {second}
Which answer is closer to the right answer? Say A or B."""


def probability_right(
    client: OpenAI, model: str, question: str, reference: str, answer: str
) -> float:
    """How probable "Yes" is against "No" as the judge's next word, 0 to 1."""
    prompt = GRADE.format(question=question, reference=reference, answer=answer)
    return _first_word(client, model, prompt, yes="yes", no="no")


def probability_first(
    client: OpenAI, model: str, question: str, reference: str, *, first: str, second: str
) -> float:
    """How probable it is that the judge prefers the answer shown first, 0 to 1."""
    prompt = PREFER.format(question=question, reference=reference, first=first, second=second)
    return _first_word(client, model, prompt, yes="a", no="b")


def report(hand: Sequence[bool], said: Sequence[float]) -> EvaluationReport:
    """The judge's verdicts as graded answers, to be stored: 1 where it agrees with the hand."""
    rows = (
        {"sample": str(place), "kind": "judge", "said": p, "agrees": float((p > 0.5) == right)}
        for place, (right, p) in enumerate(zip(hand, said, strict=True))
    )
    return EvaluationReport(tuple(rows), ("agrees",))


def _first_word(client: OpenAI, model: str, prompt: str, *, yes: str, no: str) -> float:
    reply = client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": prompt}],
        temperature=0,
        # Only the first word counts: its probabilities are finer than the word itself, which is one
        # verdict.
        max_completion_tokens=1,
        logprobs=True,
        top_logprobs=20,
    )
    logprobs = reply.choices[0].logprobs
    tokens = logprobs.content[0].top_logprobs if logprobs and logprobs.content else []
    weight = {yes: 0.0, no: 0.0}
    for token in tokens:
        # "Yes", " yes" and "YES" are different tokens of the same verdict: their weights add up.
        word = token.token.strip().lower()
        if word in weight:
            weight[word] += math.exp(token.logprob)
    total = sum(weight.values())
    # Neither word among the likeliest: the judge has no opinion.
    return weight[yes] / total if total else 0.5


@dataclass(frozen=True)
class Agreement:
    """How far a judge agrees with a person on the same answers."""

    n: int
    share: float
    """Share of equal verdicts."""
    kappa: float
    """Cohen's kappa (1960): agreement beyond chance; 0 is chance, 1 is complete."""

    def __str__(self) -> str:
        return f"{self.share:.2f} of {self.n} verdicts agree, kappa {self.kappa:.2f}"


def agreement(person: Sequence[bool], judge: Sequence[bool]) -> Agreement:
    """Compare two lists of verdicts on the same answers. Raises `ValueError` if not paired."""
    pairs = list(zip(person, judge, strict=True))
    n = len(pairs)
    same = sum(a == b for a, b in pairs) / n
    yes_person, yes_judge = sum(person) / n, sum(judge) / n
    chance = yes_person * yes_judge + (1 - yes_person) * (1 - yes_judge)
    # Both always give the same verdict: chance alone explains it, so there is nothing to be beyond.
    kappa = (same - chance) / (1 - chance) if chance < 1 else 0.0
    return Agreement(n, same, kappa)
