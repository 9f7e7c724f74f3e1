"""`quiz`: the review quiz as a web page of its own, without the rest of notebook 08."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from helpers.base import settings
from helpers.base.files import write_text
from helpers.cli import foreground, lab

TITLE = "# Review quiz\n\nAnswers are kept; close this page and come back whenever you like."
CODE = "from helpers.widgets import quiz\n\nquiz.review()"


def run(root: Path, options: argparse.Namespace) -> int:
    """Show it until Ctrl-C."""
    return foreground.call(command(root, options), env=lab.environment(root))


def command(root: Path, options: argparse.Namespace) -> list[str]:
    """The Voilà call for a notebook that holds the quiz alone; it is written here."""
    page = settings.load().state / "quiz.ipynb"
    page.parent.mkdir(parents=True, exist_ok=True)
    write_text(page, json.dumps(notebook()))
    words = [sys.executable, "-m", "voila", str(page), "--Voila.ip=localhost"]
    # Its template, one that asks no other server for anything, is found by JUPYTER_PATH.
    words += ["--template=offline"]
    words += [f"--port={options.port}"] if options.port else []
    return [*words, "--no-browser"] if options.no_browser else words


def notebook() -> dict[str, Any]:
    """A title and the quiz; opening it records nothing, since no notebook of the course has run."""
    cell: dict[str, Any] = {"cell_type": "code", "execution_count": None, "outputs": []}
    cells = [
        {"cell_type": "markdown", "id": "title", "metadata": {}, "source": TITLE},
        cell | {"id": "quiz", "metadata": {}, "source": CODE},
    ]
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    meta = {"kernelspec": kernel, "title": "Review quiz"}
    return {"cells": cells, "metadata": meta, "nbformat": 4, "nbformat_minor": 5}
