"""`run`: execute every notebook in order, as a learner would, and write a report.

The executed copies, one HTML page for each and an index stand in .workbook/report/; the
measured minutes in .workbook/run.json.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any

from helpers.base import settings
from helpers.base.errors import CourseError
from helpers.base.files import write_text
from helpers.base.settings import Settings
from helpers.cli import foreground
from helpers.cli.test import notebooks

CELL_TIMEOUT_SECONDS = 3600
# What training and serving leave; answers to exercises stay.
TRAINED = ("workbook.db", "workbook.db-wal", "workbook.db-shm", "files", "jobs", "models", "cache")
# What is left of an address that was set to nothing below.
NO_SOURCE = re.compile(r'<script src="">\s*</script>')
# "\\x1b[0;31m", the colours of a traceback.
COLOURS = re.compile(r"\x1b\[[\d;]*m")


@dataclass(frozen=True)
class NotebookRun:
    """What one notebook took."""

    name: str
    seconds: float
    cells: int
    error: str = ""
    """Empty, or which cell failed and with what."""


def run(root: Path, options: argparse.Namespace) -> int:
    """Exit code 0 if every cell of every notebook ran."""
    config = settings.load()
    chosen = choose(notebooks(root), options.names)
    from helpers.backend import daemon

    already_up = daemon.find(config) is not None
    # The server first: it holds the database that is removed.
    if options.fresh:
        daemon.stop(config)
        forget_training(config)
    report = config.state / "report"
    report.mkdir(parents=True, exist_ok=True)
    try:
        with foreground.sigterm_as_interrupt():
            # Here and not by the first kernel, so that no kernel's end can touch it.
            daemon.ensure_running(config)
            done = [_one(path, report, update=options.update) for path in chosen]
    finally:
        if not already_up:
            daemon.stop(config)
    (report / "index.html").write_text(index_page(done), encoding="utf-8")
    record(config.state / "run.json", done)
    print(f"report: {report / 'index.html'}")
    return int(any(one.error for one in done))


def choose(paths: list[Path], names: list[str]) -> list[Path]:
    """The notebooks whose names begin with one of `names`; all without names."""
    unknown = [name for name in names if not any(p.name.startswith(name) for p in paths)]
    if unknown or not paths:
        what = f"named {unknown[0]}" if unknown else "in notebooks/"
        known = ", ".join(p.stem for p in paths)
        raise CourseError(f"there is no notebook {what}", fix=f"the course has: {known or 'none'}")
    return [p for p in paths if not names or p.name.startswith(tuple(names))]


def forget_training(config: Settings) -> None:
    """Remove uploads, jobs, models and caches, so that everything is trained anew."""
    for name in TRAINED:
        path = config.state / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def execute(path: Path) -> tuple[Any, NotebookRun]:
    """Run one notebook in its own folder; it comes back with its outputs, also after an error."""
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT_SECONDS,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(path.parent)}},
        # A kernel's own start-up warnings would break the one line per notebook.
        extra_arguments=["--IPKernelApp.log_level=40"],
    )
    started, error = time.monotonic(), ""
    try:
        _execute(client)
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as failure:
        error = f"{failing_cell(notebook)}: {_last_line(str(failure))}"
    cells = sum(cell.cell_type == "code" for cell in notebook.cells)
    return notebook, NotebookRun(path.stem, round(time.monotonic() - started, 1), cells, error)


def failing_cell(notebook: Any) -> str:
    """Which cell an execution stopped in: the one with an error, else the last that ran."""
    code = [(i, c) for i, c in enumerate(notebook.cells, start=1) if c.cell_type == "code"]
    failed = [i for i, c in code if any(o.output_type == "error" for o in c.outputs)]
    ran = [i for i, c in code if c.execution_count is not None]
    place = failed[0] if failed else (ran or [0])[-1] + 1
    return f"cell {min(place, len(notebook.cells))}"


def tidy(notebook: Any) -> Any:
    """Without what differs between two machines: timestamps and the Python version."""
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    notebook.metadata.get("language_info", {}).pop("version", None)
    notebook.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
    }
    return notebook


def index_page(done: list[NotebookRun]) -> str:
    """The report's first page: every notebook with its time, and what failed."""
    rows = "".join(
        f'<tr><td><a href="{escape(one.name)}.html">{escape(one.name)}</a></td>'
        f"<td>{one.seconds / 60:.1f} min</td><td>{one.cells}</td>"
        f"<td>{escape(one.error) or 'ran through'}</td></tr>"
        for one in done
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>The course, executed</title>'
        "<style>body{font:16px sans-serif;margin:3em}td,th{padding:.3em 1em}</style>"
        "<h1>The course, executed</h1><table><tr><th>notebook</th><th>time</th>"
        f"<th>code cells</th><th>result</th></tr>{rows}</table></html>\n"
    )


def record(file: Path, done: list[NotebookRun]) -> None:
    """Keep the latest measurement of each notebook."""
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = {}
    known |= {one.name: asdict(one) | {"minutes": round(one.seconds / 60, 2)} for one in done}
    write_text(file, json.dumps(known, indent=1) + "\n")


def _one(path: Path, report: Path, *, update: bool) -> NotebookRun:
    import nbformat

    print(f"{path.stem} ...", end=" ", flush=True)
    notebook, result = execute(path)
    print(f"{result.error or 'ok'} ({result.seconds:.0f} s, {result.cells} code cells)", flush=True)
    nbformat.write(tidy(notebook), report / path.name)
    (report / f"{path.stem}.html").write_text(_as_html(notebook), encoding="utf-8")
    if update and not result.error:
        nbformat.write(notebook, path)
    return result


def _execute(client: Any) -> None:
    """Execute in a thread: in the main one, nbclient would take over Ctrl-C and stumble."""
    import psutil

    with ThreadPoolExecutor(max_workers=1) as pool:
        env = {**os.environ, "WORKBOOK_HEADLESS": "1"}
        running = pool.submit(client.execute, env=env)
        try:
            running.result()
        except KeyboardInterrupt:
            # The kernel is this process's only child; without it the thread ends by itself.
            for kernel in psutil.Process().children():
                kernel.kill()
            raise


def _as_html(notebook: Any) -> str:
    """One page that asks no other server for anything; widgets show their text form."""
    from nbconvert import HTMLExporter

    sources = ("mathjax", "require_js", "jquery", "widget_renderer", "mermaid_js")
    # Each would be loaded from a CDN.
    none = {f"{name}_url": "" for name in (*sources, "mermaid_layout_elk_js")}
    exporter = HTMLExporter(**none)
    page, _ = exporter.from_notebook_node(notebook)
    return NO_SOURCE.sub("", str(page))


def _last_line(text: str) -> str:
    lines = [line for line in COLOURS.sub("", text).splitlines() if line.strip()]
    return lines[-1] if lines else "no message"
