"""The card of an exported model: what it is, what it learnt from, and how to serve it.

For: `exporting`, whose folder it explains to whoever gets it. Not for: the capstone's folder,
which has a card with its own proof.

    model_card(facts, commands={"vLLM": "vllm serve …"}, scores={"key facts": "0.81 [0.74, 0.87]"})
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class CardFacts:
    """What is known of a tuned model."""

    name: str
    base: str
    source: str
    """Where the base can be had; empty if only here."""
    licence: str
    """Of the base; empty if its files do not say."""
    job: str
    data_sha256: str
    """Of the training file; empty for a job of an older release."""
    examples: int
    epochs: int
    rank: int
    seed: int


def model_card(
    facts: CardFacts, *, commands: Mapping[str, str], scores: Mapping[str, object] | None = None
) -> str:
    """Markdown, with the head that Hugging Face's hub reads."""
    source = facts.source.partition("@")[0]
    head = [f"base_model: {source}"] if source else []
    # The hub's names of licences are in small letters: "apache-2.0".
    head += [f"license: {facts.licence.lower()}"] if facts.licence else []
    base = f"`{facts.source or facts.base}`"
    data = f"`{facts.data_sha256}`" if facts.data_sha256 else "not known"
    rows = [f"| {_cell(name)} | {_cell(value)} |" for name, value in (scores or {}).items()]
    table = ["| score | value |", "|---|---|", *rows] if rows else ["No scores were given."]
    serving = [f"### {name}\n```\n{command}\n```" for name, command in commands.items()]
    trained = f"{facts.examples} examples, {facts.epochs} epochs, seed {facts.seed}"
    licence = facts.licence or "its files do not say; look it up where it came from"
    parts = [
        *("---", "library_name: peft", *head, "---"),
        f"# {facts.name}",
        f"A LoRA adapter (rank {facts.rank}) of {base}, of the job `{facts.job}`: {trained}.",
        "## Data",
        f"SHA-256 of the training file: {data}.",
        "## Scores",
        *table,
        "## Licence",
        f"Base model: {licence}. What it was trained on is its trainer's own.",
        "## Serve it",
        "In this folder:",
        *serving,
    ]
    return "\n".join(parts) + "\n"


def _cell(value: object) -> str:
    # A "|" or a line end would break the table.
    return " ".join(str(value).split()).replace("|", "\\|")
