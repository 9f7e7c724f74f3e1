"""`export`: a dataset for another host or trainer, or a tuned model for another server.

python3 -m helpers export train.jsonl --to trl --out out
python3 -m helpers export ftjob-a81Kd --serve vllm --out out      # its files, and serve-vllm.sh
"""

from __future__ import annotations

import argparse
from pathlib import Path

from helpers.datasets.exporting.export import LOSSES_FILE
from helpers.datasets.exporting.export import export as export_dataset
from helpers.datasets.exporting.job_settings import recipe_of_job
from helpers.datasets.exporting.recipes import OURS


def run(root: Path, options: argparse.Namespace) -> int:
    """Write the folder and say what is in it."""
    return _model(options) if options.serve else _dataset(options)


def _model(options: argparse.Namespace) -> int:
    # Here: who exports a dataset needs none of it.
    from helpers.finetuning.exporting import client_address, export, write_start

    out = export(options.dataset, Path(options.out), name=options.name)
    script = write_start(out, options.serve)
    print(out)
    print(f"\nstart it:  sh {script}")
    print(f"then:      export OPENAI_BASE_URL={client_address(options.serve)} OPENAI_API_KEY=none")
    print(f"and ask for the model {out.name!r}")
    return 0


def _dataset(options: argparse.Namespace) -> int:
    done = export_dataset(
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
