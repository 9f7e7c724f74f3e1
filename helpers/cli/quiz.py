"""`quiz`: the review quiz of notebook 08 as a web page, without its code."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from helpers.base import settings
from helpers.base.errors import CourseError
from helpers.cli import foreground, lab
from helpers.course.chapters import CHAPTERS


def run(root: Path, options: argparse.Namespace) -> int:
    """Show it until Ctrl-C."""
    words = command(root, options)
    settings.load().state.mkdir(parents=True, exist_ok=True)
    return foreground.call(words, env=environment(root))


def environment(root: Path) -> dict[str, str]:
    """That of `lab`, with the template of a page that asks no other server for anything."""
    paths = [str(root / "helpers" / "cli" / "jupyter"), os.environ.get("JUPYTER_PATH", "")]
    return lab.environment(root) | {"JUPYTER_PATH": os.pathsep.join(filter(None, paths))}


def command(root: Path, options: argparse.Namespace) -> list[str]:
    """The Voilà call for notebook 08. Raises `CourseError` if there is none."""
    chapter = CHAPTERS["08"]
    notebook = root / "notebooks" / chapter.file
    if not notebook.is_file():
        raise CourseError(f"there is no {chapter.file}", fix="check that the clone is complete")
    words = [sys.executable, "-m", "voila", str(notebook), "--Voila.ip=localhost"]
    words += ["--template=offline"]
    words += [f"--port={options.port}"] if options.port else []
    return [*words, "--no-browser"] if options.no_browser else words
