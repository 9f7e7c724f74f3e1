"""The table of what foreign programs did on the server, from one run of all of them."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.peers.conftest import Outcome

HEAD = """# Programs that nobody here wrote

Each works on the embedded server with the course's base model, in an environment of its own
(`python3 -m helpers test --peers`). Run on {date}.

| program | version | checks passed | not passed |
|---|---|---|---|
"""


def write(target: Path, outcomes: list[Outcome]) -> None:
    """Replace the table at `target`."""
    lines = [
        f"| {one.client} | {one.version} | {len(one.passed)} of "
        f"{len(one.passed) + len(one.failed)} | {', '.join(one.failed) or '–'} |\n"
        for one in sorted(outcomes, key=lambda one: one.client)
    ]
    target.parent.mkdir(parents=True, exist_ok=True)
    text = HEAD.format(date=dt.datetime.now(dt.UTC).date().isoformat()) + "".join(lines)
    target.write_text(text, encoding="utf-8")
