"""The table of what foreign programs did on the server, from runs of them.

A run of some of them replaces their rows alone:

    WORKBOOK_PEERS_TABLE=docs/peers.md python3 -m helpers test --peers -k dspy
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.peers.conftest import Outcome

HEAD = """# Programs that nobody here wrote

Each works on the embedded server with the course's base model, in an environment of its own.
`python3 -m helpers test --peers` runs them, the checks stand in `tests/peers/`, and
`tests/peers/table.py` writes this page; a row says on which day it was made. "Before" is what
passed of what was tried on the server as it was when this was begun, by hand and with other
checks.

| program | version | day | before | checks passed | not passed, and what it hangs on |
|---|---|---|---|---|---|
"""
BEFORE = {
    "ai_sdk": "25 of 29",
    "dspy": "6 of 7",
    "haystack": "5 of 6",
    "inspect_ai": "2 of 4",
    "instructor": "3 of 8",
    "langchain_js": "13 of 16",
    "langchain_openai": "11 of 14",
    "litellm": "11 of 12",
    "llama_index": "6 of 6, 7 of 8",
    "llm": "3 of 4",
    "lm_eval": "2 of 5",
    "openai_agents": "8 of 10",
    "openai_node": "32 of 43",
    "pydantic_ai": "9 of 15",
    "openai (its own tests)": "593 of 752",
}
NAMED = 4
"""Checks of one reason that are named; of more there is the number."""


def write(target: Path, outcomes: list[Outcome], today: dt.date) -> None:
    """Put the rows of these programs into the table at `target`; those of others stay."""
    rows = _rows(target)
    for one in outcomes:
        score = f"{len(one.passed)} of {len(one.passed) + len(one.failed)}"
        cells = [one.client, one.version, today.isoformat(), BEFORE.get(one.client, "")]
        rows[one.client] = f"| {' | '.join([*cells, score, _failed(one)])} |\n"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(HEAD + "".join(rows[name] for name in sorted(rows)), encoding="utf-8")


def _rows(target: Path) -> dict[str, str]:
    """The rows that are there, by program."""
    text = target.read_text(encoding="utf-8") if target.is_file() else ""
    _, _, table = text.partition("|---|---|---|---|---|---|\n")
    return {line.split("|")[1].strip(): line for line in table.splitlines(keepends=True)}


def _failed(one: Outcome) -> str:
    """The checks that failed, by reason."""
    by_reason: dict[str, list[str]] = {}
    for name, why in one.failed.items():
        by_reason.setdefault(why, []).append(name)
    return "; ".join(_named(why, names) for why, names in by_reason.items()) or "–"


def _named(why: str, names: list[str]) -> str:
    named = ", ".join(names) if len(names) <= NAMED else f"{len(names)} tests"
    return f"{named}: {' '.join(why.replace('|', '/').split())}"
