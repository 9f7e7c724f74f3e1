"""A proof beside a clock: what fits, when the training has to end, how long to go on asking.

For: a budget that holds by the clock, whatever this machine promised. Not for: what is
measured, see `helpers.capstone.pilot`; the sizes of a plan, see `helpers.capstone.estimate`.

    budget = Budget(pace, asked=16, end=time.monotonic() + 600)
    plan = budget.plan(questions=300, epochs=5)
    budget.watch(plan)                     # ends the job
    budget.rounds(ask, plan, most=300)
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from helpers.capstone import pilot
from helpers.capstone.estimate import (
    FINISHING,
    MARGIN,
    Estimate,
    Pace,
    ProofPlan,
    estimate,
    training_seconds,
    within,
)
from helpers.capstone.methods import WITH_TRAINING
from helpers.capstone.training import Watch

ROUND = 16
"""Questions between two looks at the clock."""


@dataclass(frozen=True)
class Budget:
    """What a proof was measured to take, and when it has to be over."""

    pace: Pace
    asked: int
    """Questions that the untrained methods have answered already."""
    end: float | None
    """A moment of `time.monotonic`; None where all is done, however long it takes."""

    def plan(self, *, questions: int, epochs: int) -> ProofPlan:
        """What fits into the time that is left."""
        left = None if self.end is None else self.end - time.monotonic()
        plan = within(left, self.pace, questions=questions, epochs=epochs)
        # What was asked is answered: leaving it out would save nothing.
        return replace(plan, questions=max(plan.questions, self.asked))

    def estimate(self, plan: ProofPlan, *, spent: float = 0.0) -> Estimate:
        """How long a plan should take."""
        return estimate(self.pace, plan, asked=self.asked, timed=pilot.METHODS, spent=spent)

    def later(self, seconds: float) -> Budget:
        """The same with an end that is moved, by the time in which a reader thought."""
        return self if self.end is None else replace(self, end=self.end + seconds)

    def watch(self, plan: ProofPlan) -> Watch | None:
        """What ends the job in time; None where it runs to its own end."""
        # Of a host's jobs nobody knows the pace, and they cost money.
        if self.end is None or self.pace.epoch is None:
            return None
        # The questions have to wait where both exceed the budget: they are the clock's matter.
        planned = time.monotonic() + training_seconds(self.pace, plan) / MARGIN
        until = max(self.end - self.estimate(plan).asking, planned)
        check_steps = self.pace.check / self.pace.step if self.pace.step else 0.0
        return Watch(until, plan.epochs, check_steps)

    def slowed(self, step: float) -> Budget:
        """The same on a machine whose training steps turned out to take `step` seconds."""
        slower = step / self.pace.step
        return replace(
            self,
            pace=replace(
                self.pace,
                epoch=(self.pace.epoch or 0.0) * slower,
                check=self.pace.check * slower,
                look=self.pace.look * slower,
                asking={name: seconds * slower for name, seconds in self.pace.asking.items()},
                grading=self.pace.grading * slower,
            ),
        )

    def rounds(self, ask: Callable[[int], None], plan: ProofPlan, *, most: int) -> int:
        """Ask as planned, or ever more questions as long as another fits; how many these were.

        `ask(n)` has every method answer the first n. The clock ends it, whatever the answers are:
        what was asked remains a random draw.
        """
        if self.end is None:
            ask(plan.questions)
            return plan.questions
        # Of the first questions only the tuned methods' answers are not there yet.
        promised = self.asked * sum(self.pace.asking.get(name, 0.0) for name in WITH_TRAINING)
        number, new, each = self.asked, self.asked, sum(self.pace.asking.values())
        while new > 0:
            start = time.monotonic()
            ask(number)
            now = time.monotonic()
            ratio = (now - start) / promised if promised else 1.0
            # A question takes as long as those of the round before; the first one asked some
            # methods alone, whose haste says nothing of the others.
            each *= max(1.0, ratio) if number == self.asked else ratio
            room = self.end - FINISHING - number * self.pace.grading - now
            able = int(room / (each + self.pace.grading)) if each else ROUND
            new = min(ROUND, able, most - number)
            number, promised = number + max(0, new), new * each
        return number
