"""`test`: lint, format and type checks, then pytest over tests/ and notebooks/.

Pytest comes last and alone writes the closing line.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from helpers.cli import foreground

CHECKS = {
    "ruff check": ["ruff", "check", "."],
    "ruff format": ["ruff", "format", "--check", "."],
    "mypy": ["mypy"],
}
CELL_TIMEOUT_SECONDS = 1800
FAST_PROCESSES = 4
"""Each loads PyTorch once more, half a gigabyte."""
PROCESSES = 2
"""One runs the notebooks in their order, beside light tests in the other; then both share the rest,
each with a server of its own. Together they take some 8 GB."""


def run(root: Path, options: argparse.Namespace) -> int:
    """Exit code 0 only if every check and every test passed."""
    os.chdir(root)
    if options.minutes is not None:
        # Read by tests/isolation.py: what is passed over is named in pytest's last lines.
        os.environ["WORKBOOK_TEST_UNTIL"] = str(time.time() + 60 * options.minutes)
    failed = False
    for name, command in CHECKS.items():
        print(f"== {name}", flush=True)
        code = foreground.call([sys.executable, "-m", *command])
        if code == foreground.INTERRUPTED:
            return code
        # All checks run even after one failed: one run tells everything.
        failed = failed or code != 0
        if code:
            print(f"== {name} failed", flush=True)
    print("== pytest", flush=True)
    if options.peers:
        # The folder of these tests is passed over without it.
        os.environ["WORKBOOK_PEERS"] = "1"
    command = pytest_command(root, fast=options.fast, peers=options.peers, rest=options.rest)
    return foreground.call(command) or int(failed)


def pytest_command(root: Path, *, fast: bool, rest: list[str], peers: bool = False) -> list[str]:
    """The pytest call; notebooks run in order, in this environment, compared by nbval."""
    command = [sys.executable, "-m", "pytest", *rest]
    if peers:
        return [*command, "tests/peers"]
    if fast:
        # Several processes, each with whole files: fixtures of a file are made once.
        spread = ["-n", "logical", "--maxprocesses", str(FAST_PROCESSES), "--dist", "loadfile"]
        fewer = ["--hypothesis-profile", "fast"]
        return [*command, *spread, *fewer, "-m", "not slow and not browser"]
    # A file or folder among the words takes the place of the whole.
    whole = not any((root / word.split("::")[0]).exists() for word in rest)
    places = ["tests", *(str(p.relative_to(root)) for p in notebooks(root))] if whole else []
    return [
        *command,
        # The plugins count even when no file of tests/ is asked for.
        *("-p", "tests.isolation", "-p", "tests.nbval_shim"),
        *("--nbval", "--nbval-current-env", "--nbval-sanitize-with", "tests/nbval_sanitize.cfg"),
        *("--nbval-cell-timeout", str(CELL_TIMEOUT_SECONDS)),
        # In the order of tests/conftest.py, not those with the most tests first.
        *(("-n", str(PROCESSES), "--dist", "loadfile", "--no-loadscope-reorder") if whole else ()),
        "--durations=20",
        *places,
    ]


def notebooks(root: Path) -> list[Path]:
    """The course's notebooks in their order."""
    return sorted((root / "notebooks").glob("[0-9][0-9]_*.ipynb"))
