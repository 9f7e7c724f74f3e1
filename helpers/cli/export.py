"""`export`: a dataset for another host or trainer, with its settings and its losses."""

from __future__ import annotations

import argparse
from pathlib import Path

from helpers.datasets.exporting.export import LOSSES_FILE, export
from helpers.datasets.exporting.job_settings import recipe_of_job
from helpers.datasets.exporting.recipes import OURS


def run(root: Path, options: argparse.Namespace) -> int:
    """Write the folder and say what is in it."""
    done = export(
        options.dataset,
        options.out,
        target=options.to,
        validation=options.validation,
        recipe=recipe_of_job(options.job) if options.job else OURS,
        accept=options.accept,
    )
    print(done)
    print(f"read {Path(options.out) / LOSSES_FILE} before you upload or train")
    return 0
