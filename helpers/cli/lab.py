"""`lab`: JupyterLab on the learner's copy of notebook 00, the API server up before it opens."""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from helpers.base import settings
from helpers.base.files import write_text
from helpers.base.settings import Settings
from helpers.cli import foreground
from helpers.course import copies
from helpers.course.chapters import CHAPTERS

if TYPE_CHECKING:
    from nbformat.sign import NotebookNotary

    from helpers.backend.daemon import Address

FIRST = f"/lab/tree/{copies.NAME}/00_start_here.ipynb"
LAYOUT = "default-37a8.jupyterlab-workspace"
"""Where JupyterLab keeps which tabs and panels were open. It would say so itself, but importing
it takes longer than all else that is done before it starts."""


def run(root: Path, options: argparse.Namespace) -> int:
    """Run until Ctrl-C; then the server ends too, unless it was there before."""
    from helpers.backend import daemon

    if options.wheels:
        # For what is installed later: the old releases of notebook 09. As an address, since
        # pip takes a space in this variable for the end of a folder's name.
        os.environ.update(PIP_NO_INDEX="1", PIP_FIND_LINKS=options.wheels.resolve().as_uri())
    config = settings.load()
    shared = config.base_url is not None
    # What this command did not start, it does not stop.
    already_up = shared or daemon.find(config) is not None
    # Both take seconds to start, and neither needs the other for that.
    starting, ending = ThreadPoolExecutor(1), threading.Event()
    begun: list[Future[Address]] = []
    try:
        with foreground.sigterm_as_interrupt():
            if not shared:
                begun.append(starting.submit(daemon.ensure_running, config))
                begun[0].add_done_callback(lambda server: announce(server, ending))
            prepare(root, options.restore)
            lay_out(root, workspaces(config))
            return foreground.call(command(root, options), env=environment(root))
    finally:
        ending.set()
        if not already_up:
            # A first start measures engines, which may take a minute: it is ended, not waited for.
            # Its process is known some moments after it was begun.
            while begun and not begun[0].done():
                daemon.stop(config)
                time.sleep(0.1)
        starting.shutdown()
        if not already_up:
            daemon.stop(config)


def announce(server: Future[Address], ending: threading.Event) -> None:
    """Say where the server answers, or why it does not: a notebook then tries once more."""
    if ending.is_set():
        return
    if error := server.exception():
        print(f"error: {error}", file=sys.stderr, flush=True)
    else:
        print(f"the course's API server answers at {server.result().url}", flush=True)


def command(root: Path, options: argparse.Namespace) -> list[str]:
    """The JupyterLab call: the whole course in the file list, notebook 00 open."""
    words = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={root}"]
    words += [style(root), f"--LabApp.default_url={FIRST}"]
    if settings.load().lab_in_hub:
        # The hub says where to listen and who may come in; it reads the same options.
        words[2:3] = ["jupyterhub.singleuser"]
        words += [f"--ServerApp.default_url={FIRST}"]
    else:
        words += [f"--ServerApp.ip={options.ip}"]
        words += [f"--ServerApp.port={options.port}"] if options.port else []
        words += ["--no-browser"] if options.no_browser else []
    # Running as root is common in containers; Jupyter refuses it without this word.
    return [*words, "--allow-root"] if _is_root() else words


def style(root: Path) -> str:
    """The option that gives pages the course's style sheet; Jupyter looks in its own folder."""
    folder = str(root / "helpers" / "cli" / "jupyter" / "custom")
    return f"--ServerApp.tornado_settings={ {'static_custom_path': [folder]}!r}"


def environment(root: Path) -> dict[str, str]:
    """The process's own, with the course's quiet settings and its own layout of the window.

    Its kernels, found by JUPYTER_PATH, show errors in short from the first cell on, also where a
    reader begins with one in the middle.
    """
    ours = str(root / "helpers" / "cli" / "jupyter")
    found = ("JUPYTER_CONFIG_PATH", "JUPYTER_PATH")
    paths = {
        name: os.pathsep.join(filter(None, (ours, os.environ.get(name, "")))) for name in found
    }
    return {
        **os.environ,
        **paths,
        "JUPYTERLAB_WORKSPACES_DIR": str(workspaces(settings.load())),
        # Views make links from it, which are relative to the root of the server.
        "WORKBOOK_LAB_ROOT": str(root),
    }


def workspaces(config: Settings) -> Path:
    """Where JupyterLab keeps the course's layout, apart from that of the reader's other work."""
    return config.state / "lab" / "workspaces"


def lay_out(root: Path, folder: Path) -> None:
    """At the first start: notebook 00 with its table of contents. Later, as it was left.

    A layout that opens the course's own notebooks, as an older version had it, is none.
    """
    file = folder / LAYOUT
    try:
        left = json.loads(file.read_text(encoding="utf-8"))["data"]
    except (OSError, ValueError, KeyError):
        left = None
    if not left or any(name.startswith("notebook:notebooks/") for name in left):
        layout = root / "helpers" / "cli" / "jupyter" / "workspace.json"
        write_text(file, layout.read_text(encoding="utf-8"))


def prepare(root: Path, restored: Sequence[str] = (), notary: NotebookNotary | None = None) -> None:
    """Bring the learner's copies up to date, restore those asked for, and say what changed."""
    for number in restored:
        if kept := copies.restore(root, number):
            print(f"notebook {number} is as it came; yours is kept as {kept}", flush=True)
    done = copies.refresh(root)
    if done.summary:
        print(done.summary, flush=True)
    # Only what was written just now: a signature for cells that the reader wrote would be a lie.
    fresh = [*done.made, *done.updated]
    fresh += [CHAPTERS[number].path.stem for number in restored]
    if fresh:
        trust([copies.folder(root) / f"{name}.ipynb" for name in fresh], notary)


def trust(paths: Iterable[Path], notary: NotebookNotary | None = None) -> None:
    """Sign notebooks that the course has just written, so that what they hold shows in full."""
    import nbformat
    from nbformat.sign import NotebookNotary

    signer = notary or NotebookNotary()
    for path in paths:
        signer.sign(nbformat.read(path, as_version=4))


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


if __name__ == "__main__":
    # In a class, one environment is everybody's and nobody's to change: nothing is installed.
    sys.exit(run(settings.load().root, argparse.Namespace(restore=[], wheels=None)))
