"""`clean`: remove what runs have left behind; with --all the environment too."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from helpers.base import settings
from helpers.base.errors import SetupError
from helpers.cli import bootstrap
from helpers.cli.confirm import confirmed

LEFT = "trained models, uploads, answers to exercises and reports"


def run(root: Path, options: argparse.Namespace) -> int:
    """Ask first, unless --yes. The source files of the course are never touched."""
    config = settings.load()
    folders = [(config.state, LEFT)]
    if options.all:
        folders.append((root / ".venv", "the environment: the next command installs it again"))
    present = [(folder, what) for folder, what in folders if folder.exists()]
    if not present:
        print("nothing to remove")
        return 0
    if options.all and bootstrap.is_current(root):
        raise SetupError(
            "the environment cannot remove itself",
            fix="run this with the Python that you started the course with",
        )
    for folder, what in present:
        print(f"{folder}: {what}")
    if not options.yes and not confirmed("Remove?"):
        print("nothing was removed")
        return 1
    # Before removing: a server would write its database anew into the empty folder.
    _stop_server(root)
    for folder, _ in present:
        shutil.rmtree(folder)
        print(f"removed {folder}")
    return 0


def _stop_server(root: Path) -> None:
    """End a server that would go on writing into what is removed."""
    # `daemon` needs packages, which this Python may not have.
    python = Path(sys.executable) if bootstrap.is_current(root) else _python(root)
    if python.exists():
        code = "from helpers.base import settings; from helpers.backend import daemon"
        stop = f"{code}; daemon.stop(settings.load())"
        subprocess.run([str(python), "-c", stop], cwd=root, capture_output=True, check=False)


def _python(root: Path) -> Path:
    return bootstrap.python_of(root / ".venv")
