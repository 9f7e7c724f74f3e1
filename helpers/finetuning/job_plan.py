"""Plan a training job before it is started: tokens, epochs, price and time.

For: knowing what a job costs, and stopping one that costs too much. Prices come from the
dated catalogue. Not for: starting a job, see `helpers.finetuning.jobs`.

    plan = make_plan(report.examples, report.tokens, model="gpt-4.1-mini")
    approve(plan, cap=5.00, yes=True)      # raises CourseError above five dollars
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from helpers.backend.training.hyperparameters import auto_epochs
from helpers.backend.training.spec import read_rate
from helpers.base import settings
from helpers.base.errors import CourseError
from helpers.costs import catalog
from helpers.datasets.validation.report import TokenLengths


@dataclass(frozen=True)
class Plan:
    """What a job will train on, cost and take."""

    model: str
    examples: int
    tokens: int
    """Tokens of the file, each example cut where the service cuts it."""
    n_epochs: int
    price: catalog.Price | None
    """Per token; None where the catalogue knows none."""
    local: bool
    """Trained on this machine: free of charge."""
    seconds: float | None
    """Time on this machine, where a rate is known."""

    @property
    def trained_tokens(self) -> int:
        """What is billed: every token once an epoch."""
        return self.tokens * self.n_epochs

    @property
    def dollars(self) -> float | None:
        """What the job costs; None if no price is known."""
        if self.local:
            return 0.0
        return self.trained_tokens * self.price.per_million / 1e6 if self.price else None

    def __str__(self) -> str:
        text = (
            f"{self.examples:,} examples, {self.tokens:,} tokens x {self.n_epochs} epochs "
            f"= {self.trained_tokens:,} trained tokens on {self.model}"
        )
        if not self.local:
            cost = "price unknown" if self.dollars is None else _money(self.dollars)
            text += f": {cost}" + (f" at {self.price}" if self.price else "")
        if self.seconds is not None:
            text += f"; about {_duration(self.seconds)} on this machine"
        return text


def make_plan(
    examples: int,
    lengths: TokenLengths,
    *,
    model: str = settings.BASE_MODEL,
    n_epochs: int | None = None,
    tokens_per_second: float | None = None,
    prices: catalog.Catalog | None = None,
) -> Plan:
    """Plan a job from a report's `examples` and `tokens`.

    `n_epochs` None takes what the server takes for "auto". `tokens_per_second` is the rate of
    training on this machine, from `measured_rate`; models in the catalogue have a price instead.
    """
    known = prices or catalog.load()
    price = known.training_price(model)
    local = price is None and _is_local(model)
    cut = known.example_tokens
    # A histogram of lengths: exact, and no second pass over the file.
    tokens = sum(min(length, cut) * number for length, number in lengths.counts.items())
    epochs = auto_epochs(examples) if n_epochs is None else n_epochs
    seconds = tokens * epochs / tokens_per_second if local and tokens_per_second else None
    return Plan(model, examples, tokens, epochs, price, local, seconds)


def _is_local(model: str) -> bool:
    bases = (settings.BASE_MODEL, settings.load().base)
    # A tuned local model, "ft:BASE:…", can be trained further here.
    return model in bases or any(model.startswith(f"ft:{base}:") for base in bases if base)


def approve(plan: Plan, *, cap: float, yes: bool) -> Plan:
    """Let a plan pass, or raise `CourseError`.

    A paid job needs a known price, at most `cap` dollars, and an explicit `yes`.
    """
    cost = plan.dollars
    if plan.local:
        return plan
    if cost is None:
        raise CourseError(
            f"no training price is known for {plan.model}",
            fix="add it to data/openai_catalog.json, or train the local model",
        )
    if cost > cap:
        raise CourseError(
            f"this job costs {_money(cost)}, more than the cap of {_money(cap)}",
            fix="use fewer examples or epochs, a cheaper model, or raise the cap",
        )
    if not yes:
        raise CourseError(
            f"this job costs {_money(cost)}, and nobody has agreed to it",
            fix="read the plan, then pass yes=True",
        )
    return plan


def measured_rate(state: Path | None = None) -> float | None:
    """Tokens a second of the job that finished last on this machine; None before the first."""
    return read_rate(state or settings.load().state)


def _money(dollars: float) -> str:
    return f"${dollars:,.2f}" if dollars >= 1 else f"${dollars:.3f}"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
