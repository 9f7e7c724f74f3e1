"""Dated facts about OpenAI's models: prices and the days on which things close.

For: everything that a notebook prints about hosted models and other hosts. The facts live in
`data/openai_catalog.json`, each with the day it was checked and its source; no module and
no notebook holds one itself. Not for: the local model, which costs nothing.

    catalog = load()
    catalog.training_price("gpt-4.1-mini").per_million      # 5.0
    str(catalog.training_price("gpt-4.1-mini"))   # '$5.00 per 1M tokens (OpenAI …)'
"""

from __future__ import annotations

import datetime as dt
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.base import settings
from helpers.base.errors import DataError


@dataclass(frozen=True)
class CheckedFact:
    """When a fact was looked up, and where."""

    checked_on: dt.date
    source: str
    reported: bool
    """True where no copy of OpenAI's own page was seen."""

    def __str__(self) -> str:
        doubt = "reported by " if self.reported else ""
        return f"{doubt}{self.source}, checked {self.checked_on:%Y-%m-%d}"


@dataclass(frozen=True)
class Price:
    """Dollars for a million tokens; `output_per_million` for chat alone."""

    model: str
    per_million: float
    checked: CheckedFact
    output_per_million: float | None = None

    def __str__(self) -> str:
        output = self.output_per_million
        both = f" in, ${output:.2f} out" if output is not None else ""
        return f"${self.per_million:.2f}{both} per 1M tokens ({self.checked})"


@dataclass(frozen=True)
class BatchTerms:
    """What OpenAI asks for requests that can wait."""

    price_share: float
    """Of the price of a single request."""
    hours: int
    """Until all answers are there, at the latest."""
    checked: CheckedFact

    def __str__(self) -> str:
        return f"{self.price_share:.0%} of the price, within {self.hours} hours ({self.checked})"


@dataclass(frozen=True)
class Closing:
    """What ends on a day."""

    date: dt.date
    what: str
    checked: CheckedFact


@dataclass(frozen=True)
class Destination:
    """Where a dataset or a trained adapter can go."""

    name: str
    kind: str
    takes: str
    """Which files, in which form."""
    api: str
    check: str
    """What to look at first, besides licence and price."""
    checked: CheckedFact


@dataclass(frozen=True)
class Catalog:
    """All dated facts."""

    checked_on: dt.date
    training: dict[str, Price]
    inference: dict[str, Price]
    tuned_inference: dict[str, Price]
    """By the name of the base model: what a fine-tune on it costs to ask."""
    embeddings: dict[str, Price]
    batches: BatchTerms
    closings: tuple[Closing, ...]
    destinations: tuple[Destination, ...]
    example_tokens: int
    """Tokens after which the hosted service cuts an example."""

    def training_price(self, model: str) -> Price | None:
        """The price of training a model, or a fine-tune on it, or a dated version of it."""
        return _find(self.training, model)

    def chat_price(self, model: str) -> Price | None:
        """The price of asking a model."""
        return _find(self.inference, model)

    def tuned_chat_price(self, model: str) -> Price | None:
        """The price of asking a fine-tune on a model."""
        return _find(self.tuned_inference, model)

    def closed(self, today: dt.date) -> tuple[Closing, ...]:
        """What has ended by a day."""
        return tuple(closing for closing in self.closings if closing.date <= today)

    def end_of(self, model: str) -> Closing | None:
        """When a model shuts down, if a date is known: the first closing that names it."""
        # "gpt-4" must not be found in "gpt-4.1", "gpt-4-turbo" or "ft-gpt-4"; a full stop may
        # follow it.
        name = re.compile(rf"(?<![\w.-]){re.escape(model)}(?![\w-]|\.\d)")
        return next((closing for closing in self.closings if name.search(closing.what)), None)


def _find(prices: dict[str, Price], model: str) -> Price | None:
    """An exact name first, then the longest name that a dated version begins with."""
    # "ft:gpt-4.1-mini:org:name:id" names its base second.
    base = model.split(":")[1] if model.startswith("ft:") and ":" in model[3:] else model
    if base in prices:
        return prices[base]
    # "gpt-4.1-mini-2025-04-14" is "gpt-4.1-mini" with a date, and no kind of "gpt-4.1".
    begun = [name for name in prices if base.startswith(f"{name}-20")]
    return prices[max(begun, key=len)] if begun else None


def load(path: Path | None = None) -> Catalog:
    """Read the catalogue. Raises `DataError` if the file is missing or damaged."""
    path = path or settings.load().root / "data" / "openai_catalog.json"
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        return Catalog(
            dt.date.fromisoformat(raw["checked_on"]),
            _prices(raw["training"]),
            _prices(raw["inference"]),
            _prices(raw["tuned_inference"]),
            _prices(raw["embeddings"]),
            _batches(raw["batches"]),
            tuple(
                Closing(dt.date.fromisoformat(entry["date"]), entry["what"], _checked(entry))
                # By day, so that `end_of` finds the first.
                for entry in sorted(raw["dates"], key=lambda entry: entry["date"])
            ),
            tuple(_destination(entry) for entry in raw["destinations"]),
            int(raw["limits"]["example_tokens"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path.name} cannot be read: {error}", fix="restore the file from the repository"
        ) from error


def _prices(entries: list[dict[str, Any]]) -> dict[str, Price]:
    return {
        entry["model"]: Price(
            entry["model"],
            float(entry["per_million"]),
            _checked(entry),
            entry.get("output_per_million"),
        )
        for entry in entries
    }


def _batches(entry: dict[str, Any]) -> BatchTerms:
    return BatchTerms(float(entry["price_share"]), int(entry["hours"]), _checked(entry))


def _destination(entry: dict[str, Any]) -> Destination:
    words = {key: str(entry[key]) for key in ("name", "kind", "takes", "api", "check")}
    return Destination(**words, checked=_checked(entry))


def _checked(entry: dict[str, Any]) -> CheckedFact:
    day = dt.date.fromisoformat(entry["checked_on"])
    return CheckedFact(day, entry["source"], bool(entry["reported"]))
