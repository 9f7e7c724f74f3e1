"""`lab`: JupyterLab on notebook 00, with the API server up before it opens."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from helpers.base import settings
from helpers.base.settings import Settings
from helpers.cli import foreground
from helpers.cli.test import notebooks

if TYPE_CHECKING:
    from nbformat.sign import NotebookNotary

FIRST = "/lab/tree/notebooks/00_start_here.ipynb"
WORKSPACE = "default"
"""The name under which JupyterLab keeps which tabs and panels were open."""


def run(root: Path, options: argparse.Namespace) -> int:
    """Run until Ctrl-C; then the server ends too, unless it was there before."""
    from helpers.backend import daemon

    config = settings.load()
    already_up = daemon.find(config) is not None
    try:
        with foreground.sigterm_as_interrupt():
            address = daemon.ensure_running(config)
            print(f"the course's API server answers at {address.url}", flush=True)
            trust(root)
            lay_out(root, workspaces(config))
            return foreground.call(command(root, options), env=environment(root))
    finally:
        if not already_up:
            daemon.stop(config)


def command(root: Path, options: argparse.Namespace) -> list[str]:
    """The JupyterLab call: the whole course in the file list, notebook 00 open."""
    words = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={root}"]
    words += [f"--LabApp.default_url={FIRST}", f"--ServerApp.ip={options.ip}"]
    words += [f"--ServerApp.port={options.port}"] if options.port else []
    words += ["--no-browser"] if options.no_browser else []
    # Running as root is common in containers; Jupyter refuses it without this word.
    return [*words, "--allow-root"] if _is_root() else words


def environment(root: Path) -> dict[str, str]:
    """The process's own, with the course's quiet settings and its own layout of the window."""
    paths = [str(root / "helpers" / "cli" / "jupyter"), os.environ.get("JUPYTER_CONFIG_PATH", "")]
    return {
        **os.environ,
        "JUPYTER_CONFIG_PATH": os.pathsep.join(filter(None, paths)),
        "JUPYTERLAB_WORKSPACES_DIR": str(workspaces(settings.load())),
    }


def workspaces(config: Settings) -> Path:
    """Where JupyterLab keeps the course's layout, apart from that of the reader's other work."""
    return config.state / "lab" / "workspaces"


def lay_out(root: Path, folder: Path) -> None:
    """At the first start: notebook 00 with its table of contents. Later, as it was left."""
    from jupyterlab_server.workspaces_handler import WorkspacesManager

    manager = WorkspacesManager(str(folder))
    if not manager.load(WORKSPACE)["data"]:
        layout = root / "helpers" / "cli" / "jupyter" / "workspace.json"
        manager.save(WORKSPACE, layout.read_text(encoding="utf-8"))


def trust(root: Path, notary: NotebookNotary | None = None) -> None:
    """Sign the course's own notebooks, so that their stored outputs show in full."""
    import nbformat
    from nbformat.sign import NotebookNotary

    signer = notary or NotebookNotary()
    for path in notebooks(root):
        signer.sign(nbformat.read(path, as_version=4))


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0
