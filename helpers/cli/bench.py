"""`bench`: measure speed and memory on this machine."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path


def run(root: Path, options: argparse.Namespace) -> int:
    """Run the rows that are named, or all; the results stand in .workbook/bench.json."""
    code: int = importlib.import_module("helpers.bench").run(root, options)
    return code
