"""`quiz`: the review quiz of notebook 08 as a web page, without its code."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from helpers import settings
from helpers.commands import lab, processes
from helpers.errors import CourseError


def run(root: Path, options: argparse.Namespace) -> int:
    """Show it until Ctrl-C."""
    found = sorted((root / "notebooks").glob("08_*.ipynb"))
    if not found:
        raise CourseError("there is no notebook 08", fix="check that the clone is complete")
    words = [sys.executable, "-m", "voila", str(found[0]), "--Voila.ip=localhost"]
    words += [f"--port={options.port}"] if options.port else []
    words += ["--no-browser"] if options.no_browser else []
    settings.load().state.mkdir(parents=True, exist_ok=True)
    return processes.call(words, env=lab.environment(root))
