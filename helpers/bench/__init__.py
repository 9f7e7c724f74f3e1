"""Measure speed and memory on this machine, beside what they are compared with.

For: `python3 -m helpers bench`. Each group below is a module with `NAMES`, its rows in
their order, and `measuring(root)`, which gives a measurement for each of them. What is
compared is measured in one run, since only ratios from one run can be trusted.
"""

from __future__ import annotations

import argparse
import importlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from helpers.base import settings
from helpers.base.errors import CourseError
from helpers.base.files import atomic, write_text
from helpers.bench.measurements import BenchRow, chosen

GROUPS = {
    "training": "the trainer against TRL and against the machine's arithmetic",
    "serving": "the server against llama.cpp in process and transformers",
    "retrieval": "searches in an index of 100,000 chunks",
    "datasets": "the dataset tools against OpenAI's published checks",
    "targets": "our exports in the packages of other hosts and trainers",
    "models": "what each base model of this machine costs",
    "growth": "how cost grows with work",
    "cluster": "jobs on a Ray cluster, and what is killed there",
    "class": "forty learners on one server, and forty tuned models",
}
MODULES = {"class": "classroom"}
"""Where a group's name is none of its module."""
ON_REQUEST = ("targets", "models", "growth", "cluster", "class")
"""Groups that run only when they are named: they install what others wrote, train each base,
take minutes or an hour, or need root."""


def run(root: Path, options: argparse.Namespace) -> int:
    """Measure the rows or groups that are named, or all; 0 if every aim is reached.

    With `options.against`, the server beside that of the checkout in this folder.
    """
    if options.against:
        from helpers.bench import against

        print(f"== beside {options.against}", flush=True)
        return _finish(_said(against.rows(root, Path(options.against).resolve(), options.names)))
    modules = {
        name: importlib.import_module(f"helpers.bench.{MODULES.get(name, name)}") for name in GROUPS
    }
    known = {name: module.NAMES for name, module in modules.items()}
    try:
        every = [name for name in GROUPS if name not in ON_REQUEST]
        wanted = chosen(known, options.names or every)
    except KeyError as unknown:
        rows = "; ".join(f"{group}: {', '.join(names)}" for group, names in known.items())
        raise CourseError(f"there is no row {unknown}", fix=f"the rows are {rows}") from None
    return _finish(measured(root, modules, wanted))


def _finish(rows: Iterable[BenchRow]) -> int:
    """Keep the rows, and print them as a table."""
    from helpers.bench.machine import description

    found = list(rows)

    header = f"Measured on {datetime.now(UTC).date().isoformat()}: {description()}."
    write(settings.load().state, found, header)
    _draw(settings.load().state, found)
    print(f"\n{header}\n\n{table(found)}")
    # A row without an aim neither holds nor fails.
    return int(any(row.holds is False for row in found))


def measured(
    root: Path, modules: Mapping[str, Any], wanted: Mapping[str, Sequence[str]]
) -> Iterator[BenchRow]:
    """Take the measurements, saying each one as it comes."""
    for group, names in wanted.items():
        print(f"== {group}: {GROUPS[group]}", flush=True)
        with modules[group].measuring(root) as measurements:
            yield from _said(measurements[name]() for name in names)


def _said(rows: Iterable[BenchRow]) -> Iterator[BenchRow]:
    """The same rows, each printed as it comes: a measurement takes minutes."""
    for row in rows:
        print("  ", line(row), flush=True)
        yield row


def write(state: Path, rows: Sequence[BenchRow], header: str) -> None:
    """bench.json holds the rows of the latest run, bench.md the same as a table."""
    texts = {
        "bench.json": json.dumps([row.as_json() for row in rows], indent=1),
        "bench.md": f"{header}\n\n{table(rows)}",
    }
    for name, text in texts.items():
        write_text(state / name, f"{text}\n")


def _draw(state: Path, rows: Sequence[BenchRow]) -> None:
    from helpers.bench import growth

    if any(row.name in growth.NAMES for row in rows):
        with atomic(state / "growth.svg") as stream:
            growth.figure(rows).savefig(stream, format="svg")


def line(row: BenchRow) -> str:
    """One row in plain text."""
    beside = f" (beside {row.theirs:.3g})" if row.theirs is not None else ""
    mark = {True: "holds", False: "MISSED", None: ""}[row.holds]
    return f"{row.name}: {row.ours:.3g} {row.unit}{beside} {mark}".rstrip()


def table(rows: Sequence[BenchRow]) -> str:
    """The rows as a Markdown table."""
    lines = ["| what | ours | theirs | ratio | aim | reached |", "|---|---|---|---|---|---|"]
    for row in rows:
        theirs = f"{row.theirs:.3g} {row.unit}".strip() if row.theirs is not None else "–"
        ratio = f"{row.ratio:.2f}" if row.ratio is not None else "–"
        mark = {True: "yes", False: "no", None: "–"}[row.holds]
        ours = f"{row.ours:.3g} {row.unit}".strip()
        lines.append(f"| {row.what} | {ours} | {theirs} | {ratio} | {row.aim or '–'} | {mark} |")
    return "\n".join(lines)
