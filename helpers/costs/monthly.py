"""What each method costs a month, and from how many questions on another one is cheaper.

For: the comparison and the cost explorer of notebook 07. Prices of hosted models come from
the dated catalogue; what a machine of your own costs is your own figure. Not for: the price
of one job before an upload, see `helpers.finetuning.job_plan`.

    load = Workload(questions=10_000, prompt=40, answer=30)
    hosted("few-shot", load, "gpt-6-luna", catalog.load()).total(10_000)
    cheapest(bills(load, "gpt-6-luna", catalog.load(), Machine()))
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from helpers.base.errors import DataError
from helpers.costs import catalog

BASE, FEW_SHOT, RETRIEVAL, TUNED, BOTH = (
    "base",
    "few-shot",
    "retrieval",
    "tuned",
    "tuned + retrieval",
)
METHODS = (BASE, FEW_SHOT, RETRIEVAL, TUNED, BOTH)
HERE = "your machine"
MONTH_SECONDS = 30 * 24 * 3600
BUSY = 0.5
"""Share of the time that a machine can work before people begin to wait."""
MOST_QUESTIONS = 10_000_000
"""A month; break-evens are looked for up to here."""


@dataclass(frozen=True)
class Workload:
    """What is asked, and how long prompts and answers are, in tokens."""

    questions: int = 10_000
    """A month."""
    prompt: int = 40
    """System prompt and question."""
    answer: int = 40
    demonstrations: int = 240
    """Tokens that the examples add to a few-shot prompt."""
    notes: int = 300
    """Tokens that the notes add to a prompt with retrieval."""
    updates: float = 1.0
    """How often the facts change, a month."""
    job: int = 120_000
    """Tokens that one training job sees: those of the file, times the epochs."""
    life: int = 12
    """Months after which a model is trained anew although no fact changed."""
    documents: int = 15_000
    """Tokens of the knowledge base; embedded anew with each update."""

    def prompt_of(self, method: str) -> int:
        """Prompt tokens of one question."""
        extra = {FEW_SHOT: self.demonstrations, RETRIEVAL: self.notes, BOTH: self.notes}
        return self.prompt + extra.get(method, 0)

    def jobs(self, method: str) -> float:
        """Training jobs a month. With retrieval, new facts need none: they are in the notes."""
        if method == TUNED:
            return self.updates + 1 / self.life
        return 1 / self.life if method == BOTH else 0.0


@dataclass(frozen=True)
class Machine:
    """A machine that answers and trains: its cost is the reader's own figure."""

    dollars: float = 20.0
    """A month, with power, whether it is used or not."""
    read: float = 1_000.0
    """Prompt tokens a second."""
    write: float = 100.0
    """Answer tokens a second."""
    train: float = 300.0
    """Training tokens a second."""


@dataclass(frozen=True)
class Bill:
    """What one method costs in one place."""

    method: str
    place: str
    """The name of a hosted model, or `HERE`."""
    fixed: float
    """Dollars a month before the first question; for a machine, of one machine."""
    each: float
    """Dollars a question."""
    seconds: float = 0.0
    """That a question keeps a machine of your own busy; 0 for a hosted model."""
    busy: float = 0.0
    """Seconds a month that training keeps it busy; 0 for a hosted model."""

    @property
    def name(self) -> str:
        return f"{self.method} on {self.place}"

    def machines(self, questions: int) -> float:
        """Machines of your own that this many questions a month need: one, and shares of more."""
        work = (questions * self.seconds + self.busy) / (BUSY * MONTH_SECONDS)
        return max(1.0, work)

    def total(self, questions: int) -> float:
        """Dollars a month."""
        return self.fixed * self.machines(questions) + self.each * questions


def hosted(method: str, load: Workload, model: str, known: catalog.Catalog) -> Bill | None:
    """The bill of a method on a hosted model; None where the method is not offered on it.

    Raises `DataError` for a model without a price and for an unknown method.
    """
    if method not in METHODS:
        raise DataError(f"no method {method!r}", fix=f"one of {', '.join(METHODS)}")
    tuned = method in (TUNED, BOTH)
    price = known.tuned_chat_price(model) if tuned else known.chat_price(model)
    training = known.training_price(model)
    if known.chat_price(model) is None:
        raise DataError(f"no price of {model!r}", fix=f"one of {', '.join(known.inference)}")
    if price is None or (tuned and training is None):
        return None
    each = load.prompt_of(method) * price.per_million
    each += load.answer * (price.output_per_million or 0.0)
    fixed = load.jobs(method) * load.job * (training.per_million if training else 0.0)
    if method in (RETRIEVAL, BOTH):
        embedding = min(p.per_million for p in known.embeddings.values())
        # The question is embedded to be searched with; the notes are embedded once an update.
        each += load.prompt * embedding
        fixed += load.documents * load.updates * embedding
    # Prices are for a million tokens.
    return Bill(method, model, fixed / 1e6, each / 1e6)


def local(method: str, load: Workload, machine: Machine) -> Bill:
    """The bill of a method on a machine of your own: by the machine, not by the token."""
    seconds = load.prompt_of(method) / machine.read + load.answer / machine.write
    busy = load.jobs(method) * load.job / machine.train
    return Bill(method, HERE, machine.dollars, 0.0, seconds, busy)


def bills(
    load: Workload, model: str, known: catalog.Catalog, machine: Machine | None
) -> list[Bill]:
    """Every method on a hosted model where it is offered, then on the machine if there is one."""
    found = [bill for method in METHODS if (bill := hosted(method, load, model, known))]
    return found + ([local(method, load, machine) for method in METHODS] if machine else [])


def cheapest(offered: Sequence[Bill], *, most: int = MOST_QUESTIONS) -> list[tuple[int, Bill]]:
    """From how many questions a month on which bill is the lowest; the base model is left out.

    The base model is always cheapest and knows none of your facts. Of equal bills the one
    counts that keeps the machine less busy. Empty without a bill.
    """
    rivals = [bill for bill in offered if bill.method != BASE]
    if not rivals:
        return []

    def best(questions: int) -> int:
        return min(
            range(len(rivals)),
            # Rounded, so that equal sums in another order of adding are equal.
            key=lambda i: (round(rivals[i].total(questions), 9), rivals[i].seconds),
        )

    return [(start, rivals[place]) for start, place in changes(best, most=most)]


def break_even(one: Bill, other: Bill, *, most: int = MOST_QUESTIONS) -> int | None:
    """The questions a month from which `other` costs less than `one`; None if it never does."""

    def less(questions: int) -> int:
        return int(other.total(questions) < one.total(questions) - 1e-9)

    return next((start for start, value in changes(less, most=most) if value), None)


def changes(key: Callable[[int], int], *, most: int = MOST_QUESTIONS) -> list[tuple[int, int]]:
    """Where a function of the questions a month takes another value: (first number, value).

    Looked at in steps of a fortieth of a decade, then narrowed to the number itself; a value that
    comes and goes again inside one step is not seen.
    """
    steps = range(1, math.floor(40 * math.log10(most)) + 1)
    grid = sorted({0, 1, *(round(10 ** (i / 40)) for i in steps), most})
    found = [(0, key(0))]
    for low, high in pairwise(grid):
        new = key(high)
        # More than once where a step holds several changes.
        while (old := found[-1][1]) != new:
            end = high
            # At every turn key(low) is the old value and key(end) is not.
            while end - low > 1:
                middle = (low + end) // 2
                low, end = (middle, end) if key(middle) == old else (low, middle)
            found.append((end, key(end)))
            low = end
    return found


def money(dollars: float) -> str:
    """Dollars for people: two places, and more only where they would hide everything."""
    if 0 < dollars < 0.01:
        return f"${dollars:.2g}" if dollars >= 1e-4 else f"${dollars:.0e}"
    return f"${dollars:,.2f}" if dollars < 1000 else f"${dollars:,.0f}"
