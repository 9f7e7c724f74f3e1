"""`takeout`: files, jobs, results and stored completions of an account, into a folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from helpers.connection import connect
from helpers.finetuning.takeout import takeout


def run(root: Path, options: argparse.Namespace) -> int:
    """Fetch what is not there yet; 0 also where some of it may not be had: it is named."""
    # "paid" lets a key alone mean OpenAI, whose accounts are the reason for this; nothing that is
    # fetched here costs anything.
    course = connect(paid=True)
    print(f"from {course.url}; fetching costs nothing")
    if course.backend == "embedded":
        print("that is this machine's own server: set OPENAI_API_KEY for an account at OpenAI")
    print(takeout(course.client, options.out))
    return 0
