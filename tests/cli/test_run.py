"""`run`: which notebooks, which cell failed, what the report says."""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from helpers.backend import daemon
from helpers.base import settings as settings_module
from helpers.base.errors import CourseError
from helpers.cli import run
from helpers.cli.run import NotebookRun
from tests.places import ROOT


def write(path: Path, *sources: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    cells = [new_markdown_cell("# Title"), *(new_code_cell(source) for source in sources)]
    nbformat.write(new_notebook(cells=cells), path)
    return path


def test_names_choose_notebooks_by_their_beginning():
    paths = [Path("00_start.ipynb"), Path("02_tune.ipynb")]
    assert run.choose(paths, ["02"]) == paths[1:]
    assert run.choose(paths, []) == paths


def test_an_unknown_name_is_an_error_that_lists_the_notebooks():
    with pytest.raises(CourseError, match=r"named 07.*00_start"):
        run.choose([Path("00_start.ipynb")], ["07"])


@pytest.mark.slow
def test_a_failing_cell_is_named_by_its_place_and_its_error(tmp_path):
    notebook, result = run.execute(write(tmp_path / "00_x.ipynb", "a = 1", "1 / 0", "b = 2"))
    assert result.error == "cell 3: ZeroDivisionError: division by zero"
    assert notebook.cells[1].execution_count == 1
    assert notebook.cells[3].execution_count is None


@pytest.mark.slow
def test_a_dead_kernel_is_an_error_of_the_cell_that_killed_it(tmp_path):
    _, result = run.execute(write(tmp_path / "00_x.ipynb", "a = 1", "import os; os._exit(1)"))
    assert result.error.startswith("cell 3: ")
    assert "died" in result.error.lower()


@pytest.mark.slow
def test_tidy_leaves_nothing_that_differs_between_machines(tmp_path):
    notebook, _ = run.execute(write(tmp_path / "00_x.ipynb", "print(1)"))
    notebook = run.tidy(notebook)
    assert "version" not in notebook.metadata.language_info
    assert all("execution" not in cell.metadata for cell in notebook.cells)


def test_the_index_escapes_what_a_notebook_said():
    page = run.index_page([NotebookRun("00_x", 90.0, 3, "cell 1: <script>")])
    assert "1.5 min" in page
    assert "<script>" not in page


def test_measurements_of_other_notebooks_are_kept(tmp_path):
    file = tmp_path / "run.json"
    run.record(file, [NotebookRun("00_x", 60.0, 3)])
    run.record(file, [NotebookRun("02_y", 30.0, 3)])
    assert {k: v["minutes"] for k, v in json.loads(file.read_text()).items()} == {
        "00_x": 1.0,
        "02_y": 0.5,
    }


def test_forgetting_training_keeps_answers(settings):
    for name in ("jobs/1", "models"):
        (settings.state / name).mkdir(parents=True)
    for name in ("workbook.db", "progress.json"):
        (settings.state / name).write_text("x")
    run.forget_training(settings)
    assert [p.name for p in settings.state.iterdir()] == ["progress.json"]


@pytest.mark.slow
@pytest.mark.parametrize("update", [False, True])
def test_the_report_holds_every_notebook_and_source_files_change_only_when_asked(
    tmp_path, monkeypatch, capsys, update
):
    good = write(tmp_path / "notebooks" / "00_good.ipynb", "print('hello')")
    bad = write(tmp_path / "notebooks" / "01_bad.ipynb", "raise SystemError('no')")
    before = good.read_text(), bad.read_text()
    config = replace(settings_module.load(), state=tmp_path / "state")
    monkeypatch.setattr(settings_module, "load", lambda: config)
    monkeypatch.setattr(daemon, "find", lambda settings: None)
    monkeypatch.setattr(daemon, "ensure_running", lambda settings: None)
    options = argparse.Namespace(names=[], fresh=False, update=update)
    assert run.run(tmp_path, options) == 1
    report = config.state / "report"
    page = (report / "00_good.html").read_text()
    assert "hello" in page
    assert not re.findall(r"""<(?:script|link|img)[^>]+(?:src|href)=["']?(?:https?:)?//""", page)
    assert "<script src=" not in page
    assert (report / "index.html").exists()
    assert (good.read_text() != before[0]) is update
    assert bad.read_text() == before[1]
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("00_good ... ok (")
    assert said[1].startswith("01_bad ... cell 2: SystemError: no (")


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="sends POSIX signals")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_ends_the_kernel_and_says_so_in_one_line(tmp_path, name):
    mark = tmp_path / "pid"
    write(
        tmp_path / "notebooks" / "00_long.ipynb",
        f"import os, pathlib, time; pathlib.Path({str(mark)!r}).write_text(str(os.getpid()))\n"
        "time.sleep(60)",
    )
    code = (
        "import argparse, pathlib, sys\n"
        "from helpers.cli import run\n"
        "options = argparse.Namespace(names=[], fresh=False, update=False)\n"
        f"try: run.run(pathlib.Path({str(tmp_path)!r}), options)\n"
        "except KeyboardInterrupt: sys.exit(130)"
    )
    command = [sys.executable, "-c", code]
    environ = {**os.environ, "WORKBOOK_STATE": str(tmp_path / "state")}
    running = subprocess.Popen(command, cwd=ROOT, env=environ, stderr=subprocess.PIPE, text=True)
    while not mark.exists() or not mark.read_text():
        time.sleep(0.05)
    running.send_signal(getattr(signal, name))
    _, said = running.communicate(timeout=30)
    assert running.returncode == 130
    assert "Traceback" not in said
    assert not psutil.pid_exists(int(mark.read_text()))


@pytest.mark.slow
@pytest.mark.parametrize("fresh", [False, True])
def test_only_a_fresh_run_forgets_what_was_trained(tmp_path, monkeypatch, fresh):
    write(tmp_path / "notebooks" / "00_good.ipynb", "print('hello')")
    config = replace(settings_module.load(), state=tmp_path / "state")
    old = config.state / "jobs" / "ftjob-old"
    old.mkdir(parents=True)
    monkeypatch.setattr(settings_module, "load", lambda: config)
    monkeypatch.setattr(daemon, "find", lambda settings: None)
    monkeypatch.setattr(daemon, "ensure_running", lambda settings: None)
    options = argparse.Namespace(names=[], fresh=fresh, update=False)
    assert run.run(tmp_path, options) == 0
    assert old.exists() is not fresh
