"""Measure speed and memory on this machine, beside what they are compared with.

For: `python3 -m helpers bench`. Each group below measures everything of its own in one
run, since only ratios from one run can be trusted on a shared machine.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from helpers import settings
from helpers.bench.rows import Row
from helpers.errors import CourseError

GROUPS = {
    "training": "the trainer against TRL and against the machine's arithmetic",
    "serving": "the server against llama.cpp in process and transformers",
    "retrieval": "searches in an index of 100,000 chunks",
    "datasets": "the dataset tools against OpenAI's published checks",
}


def run(root: Path, options: argparse.Namespace) -> int:
    """Measure the groups that are named, or all; 0 if every aim is reached."""
    unknown = sorted(set(options.names) - set(GROUPS))
    if unknown:
        raise CourseError(
            f"there is no group {', '.join(unknown)}",
            fix="; ".join(f"{name}: {what}" for name, what in GROUPS.items()),
        )
    from helpers.bench.machine import description

    found: list[Row] = []
    for name in options.names or GROUPS:
        print(f"== {name}: {GROUPS[name]}", flush=True)
        module = importlib.import_module(f"helpers.bench.{name}")
        rows: list[Row] = module.rows() if name == "datasets" else module.rows(root)
        for row in rows:
            print("  ", line(row), flush=True)
        found += rows
    header = f"Measured on {datetime.now(UTC).date().isoformat()}: {description()}."
    target = settings.load().state
    target.mkdir(parents=True, exist_ok=True)
    partial = target / "bench.json.partial"
    listed = [asdict(row) | {"ratio": row.ratio} for row in found]
    partial.write_text(json.dumps(listed, indent=1), encoding="utf-8")
    os.replace(partial, target / "bench.json")
    (target / "bench.md").write_text(f"{header}\n\n{table(found)}\n", encoding="utf-8")
    print(f"\n{header}\n\n{table(found)}")
    return int(any(row.holds is False for row in found))


def line(row: Row) -> str:
    """One row in plain text."""
    beside = f" (beside {row.theirs:.3g})" if row.theirs is not None else ""
    mark = {True: "holds", False: "MISSED", None: ""}[row.holds]
    return f"{row.name}: {row.ours:.3g} {row.unit}{beside} {mark}".rstrip()


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table."""
    lines = ["| what | ours | theirs | aim | reached |", "|---|---|---|---|---|"]
    for row in rows:
        theirs = f"{row.theirs:.3g} {row.unit}" if row.theirs is not None else "–"
        mark = {True: "yes", False: "no", None: "–"}[row.holds]
        ours = f"{row.ours:.3g} {row.unit}".strip()
        lines.append(f"| {row.name} | {ours} | {theirs} | {row.aim or '–'} | {mark} |")
    return "\n".join(lines)
