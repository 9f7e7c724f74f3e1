"""How long a proof will take on this machine, told before it begins, and how to stay in a budget.

For: an estimate from runs with a clock: some questions of each method, and a short training job.
Not for: what hosted models cost, see `helpers.costs`.

    pace = Pace(asking={"base": 0.4}, epoch=12.0, overhead=6.0)
    plan = within(60.0, pace, questions=100, epochs=5)      # what fits into a minute
    estimate(pace, plan)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from helpers.evaluation.grading import Answer

FEWEST = 30
"""Held-out questions below which a budget takes from the training first."""
TRAINING_SHARE = 0.6
"""Of a budget, at most, for the job."""
LEAST_TRAINING = 0.35
"""Of a budget, at least, for the job, however slow the answers are."""
PILOT_SHARE = 0.1
"""Of a budget, for the questions that measure how long answers take."""
PROBE_SHARE = 0.2
"""Of a budget, at most, for the short job that measures the training."""
QUEUE_SHARE = 0.5
"""Of a budget, at most, to wait for other jobs: what is left is for one's own."""
MARGIN = 0.85
"""Of a budget that is planned; the rest is for what an estimate cannot know."""
BATCH = 8
"""Examples of a training step."""
LEAST_ROWS = 10
"""A job takes no fewer."""
LOOKS, LOOK_EVERY = 12, 4
"""Looks at part of the validation set in a job, and the fewest steps between two."""
FINISHING = 10.0
"""Seconds for comparing, the report and the folder, on two cores."""


@dataclass(frozen=True)
class Pace:
    """What was measured, in seconds."""

    asking: Mapping[str, float]
    """One question, by method, with others under way."""
    epoch: float | None
    """One pass over the training file; None where the server does not say, 0 if trained before."""
    overhead: float = 0.0
    """A job's own time besides its steps."""
    check: float = 0.0
    """One reading of the validation set, after each epoch."""
    look: float = 0.0
    """One look at a part of it, between."""
    rows: int = 0
    """Of the training file."""
    rest: float = 0.0
    """What comes but once: loading the tuned model, questions with a clock, the report."""
    grading: float = 0.0
    """Scoring one question's answers, of all methods."""

    @property
    def question(self) -> float:
        """One question, asked of every method and graded."""
        return sum(self.asking.values()) + self.grading

    @property
    def step(self) -> float:
        """One training step; 0 where that is not known."""
        return (self.epoch or 0.0) * BATCH / self.rows if self.rows else 0.0


@dataclass(frozen=True)
class ProofPlan:
    """What will be done."""

    questions: int
    epochs: int
    share: float = 1.0
    """Of the training examples."""


@dataclass(frozen=True)
class Estimate:
    """What was planned, and how long it should take."""

    plan: ProofPlan
    asking: float
    training: float | None
    """Seconds; None where no rate is known."""
    spent: float = 0.0
    """Seconds already gone when the estimate was made."""
    took: float | None = None
    """Seconds from there on, once it is over."""

    @property
    def seconds(self) -> float:
        """From the estimate on, to the end."""
        return self.asking + (self.training or 0.0)

    def __str__(self) -> str:
        epochs = counted(self.plan.epochs, "epoch")
        questions = counted(self.plan.questions, "question")
        training = (
            "training at the endpoint's pace"
            if self.training is None
            else f"{duration(self.training)} of training ({epochs})"
        )
        text = (
            f"estimated {duration(self.seconds)}: {training}, {duration(self.asking)} for "
            f"{questions} to every method"
        )
        return text if self.took is None else f"{text}; it took {duration(self.took)}"


def duration(seconds: float) -> str:
    """A time as one says it."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def counted(number: int, what: str) -> str:
    """A number of things as one says it: "1 epoch", "5 epochs"."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def within(seconds: float | None, pace: Pace, *, questions: int, epochs: int) -> ProofPlan:
    """The largest plan that fits: fewer epochs, then fewer questions, then fewer examples.

    Without a budget it is everything. A method is asked at least a few questions in any case.
    """
    whole = ProofPlan(questions, epochs)
    if seconds is None:
        return whole
    room = max(0.0, MARGIN * seconds - pace.rest)
    needed = min(questions, FEWEST)
    # All that asking every question would leave over, or the usual share if that is more.
    for_training = max(TRAINING_SHARE * room, room - questions * pace.question)
    # Few questions decide nothing, but without training there is nothing to decide.
    for_training = min(for_training, max(room - needed * pace.question, room * LEAST_TRAINING))
    plan = _training(whole, pace, for_training)
    left = room - training_seconds(pace, plan)
    able = int(left / pace.question) if pace.question else questions
    # Five at least, even where that exceeds the budget.
    return replace(plan, questions=max(min(questions, 5), min(questions, able)))


def pilot_size(budget: float, answer: float, *, methods: int) -> int:
    """Questions that each method is asked to measure its pace, within a part of a budget.

    `answer` are the seconds of the first one. At least one, or nothing would be measured.
    """
    able = PILOT_SHARE * budget / (methods * answer) if answer else math.inf
    return int(min(max(able, 1), 1000))


def _training(plan: ProofPlan, pace: Pace, seconds: float) -> ProofPlan:
    if not pace.epoch:
        return plan
    left = seconds - pace.overhead
    # The looks between are counted for one epoch, of which they are the largest part.
    left -= _looks(pace, replace(plan, epochs=1))
    able = left / (pace.epoch + pace.check)
    if able >= 1:
        return replace(plan, epochs=min(plan.epochs, int(able)))
    # Less than one epoch fits: one epoch over a part of the examples, of which some must remain.
    least = min(1.0, LEAST_ROWS / pace.rows) if pace.rows else 0.0
    share = (left - pace.check) / pace.epoch
    return replace(plan, epochs=1, share=min(1.0, max(share, least)))


def training_seconds(pace: Pace, plan: ProofPlan) -> float:
    """How long the job of a plan should take."""
    if not pace.epoch:
        return 0.0
    read = (pace.epoch * plan.share + pace.check) * plan.epochs
    return read + _looks(pace, plan) + pace.overhead


def _looks(pace: Pace, plan: ProofPlan) -> float:
    steps = pace.rows * plan.share * plan.epochs / BATCH
    return pace.look * min(LOOKS, steps / LOOK_EVERY)


def estimate(
    pace: Pace, plan: ProofPlan, *, asked: int = 0, timed: Sequence[str] = (), spent: float = 0.0
) -> Estimate:
    """The time of a plan; `asked` questions of the `timed` methods are answered already."""
    known = sum(pace.asking[name] for name in timed)
    # Answers of the pilot are kept, so they cost nothing again.
    asking = plan.questions * pace.question - min(asked, plan.questions) * known
    training = None if pace.epoch is None else training_seconds(pace, plan)
    return Estimate(plan, max(0.0, asking) + pace.rest, training, spent)


def rates(runs: Sequence[tuple[Sequence[Answer], float]]) -> tuple[float, float]:
    """Seconds a token read and a token written, from answers and the time they took together."""
    counts = [
        [sum(a.prompt_tokens for a in answers), sum(a.completion_tokens for a in answers)]
        for answers, _ in runs
    ]
    tokens, seconds = np.array(counts, dtype=float), np.array([taken for _, taken in runs])
    found = np.linalg.lstsq(tokens, seconds)[0]
    if found.min() < 0:
        # No token takes less than no time: then one kind alone explains the times best.
        # A column of zeros gets a rate of 0: lstsq takes the solution of least norm.
        alone = [np.linalg.lstsq(tokens * kind, seconds)[0] for kind in np.eye(2)]
        found = min(alone, key=lambda one: float(np.linalg.norm(tokens @ one - seconds)))
    return float(found[0]), float(found[1])
