"""`takeout`: files, jobs, results and stored completions of an account, into a folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from helpers.connection import connect
from helpers.finetuning.takeout import takeout


def run(root: Path, options: argparse.Namespace) -> int:
    """Fetch what is not there yet; 0 also where some of it may not be had: it is named."""
    course = connect()
    print(course.summary)
    print(takeout(course.client, options.out))
    return 0
