"""A small environment of its own, made on demand from a file of pins.

For: old or foreign packages, which must never get into the course's environment. Not for:
that one, see `helpers.cli.bootstrap`.

    python = ensure(state / "legacy-openai-0.28.1", pins)     # Path('.../bin/python')

As there, a stamp that is written last is the only proof of a finished installation; one
that was interrupted is gone on with, and cut-off files are replaced.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

from helpers.cli import pip as installing
from helpers.cli.bootstrap import Platform, alone, python_of, write_stamp
from helpers.cli.pip import InstallProgress

DISK_NEEDED = 500_000_000
STAMP = "ready.json"


def ensure(
    folder: Path,
    pins: Path,
    *,
    machine: Platform | None = None,
    progress: InstallProgress | None = None,
) -> Path:
    """The interpreter of the environment in `folder`, after installing whatever is missing.

    Raises `SetupError`, one line with its remedy; what was fetched until then is kept.
    """
    if not is_ready(folder, pins):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with alone(folder.with_name(f"{folder.name}.lock")):
            # Asked again: another process may have made it before this one had the lock.
            if not is_ready(folder, pins):
                _set_up(
                    folder, pins, machine or Platform(), progress or InstallProgress(sys.stderr)
                )
    return python_of(folder)


def is_ready(folder: Path, pins: Path) -> bool:
    """Whether the installation of these very pins was finished; reads two small files."""
    try:
        stamp = json.loads((folder / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return python_of(folder).exists() and stamp == _state(folder, pins)


def _state(folder: Path, pins: Path) -> dict[str, object]:
    return {"folder": str(folder), "pins": hashlib.sha256(pins.read_bytes()).hexdigest()}


def _set_up(folder: Path, pins: Path, machine: Platform, progress: InstallProgress) -> None:
    (folder / STAMP).unlink(missing_ok=True)
    free = machine.free_bytes(folder.parent)
    if free < DISK_NEEDED:
        raise installing.disk_full(folder.parent, free=free, needed=DISK_NEEDED)
    pip = machine.pip(python_of(folder))
    if not (python_of(folder).exists() and installing.works(pip)):
        progress.line(f"making the environment {folder.name}")
        machine.make_venv(folder)
    log = folder / "install.log"
    # Without dependencies: the pins name all of them, and pip need not ask for any other.
    command = [*pip, "install", "--no-deps"]
    installing.install([*command, "-r", str(pins)], pins, folder, log, progress)
    if damaged := installing.damaged_packages(folder):
        repair = [*command, "--force-reinstall", *damaged]
        installing.install(repair, pins, folder, log, progress)
    write_stamp(folder / STAMP, _state(folder, pins))
    progress.line(f"the environment {folder.name} is ready")
