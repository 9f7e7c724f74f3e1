"""The verbs `test`, `doctor`, `clean`, `lab` and `serve`, without starting anything large."""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from datetime import date
from pathlib import Path

import psutil
import pytest

from helpers.base import settings as settings_module
from helpers.base.errors import BackendError, SetupError
from helpers.cli import bootstrap, clean, doctor, lab, platforms, serve
from helpers.cli import test as test_verb
from tests.places import ROOT


def test_the_whole_runs_the_notebooks_in_order_beside_the_tests():
    words = test_verb.pytest_command(ROOT, fast=False, rest=[])
    places = words[words.index("tests") :]
    assert places[1:] == sorted(places[1:])
    assert all(place.endswith(".ipynb") for place in places[1:])
    assert "--nbval" in words
    assert "tests.nbval_shim" in words
    assert words[words.index("--dist") + 1] == "loadfile"


def test_fast_leaves_out_training_and_notebooks():
    words = test_verb.pytest_command(ROOT, fast=True, rest=["-x"])
    assert "--nbval" not in words
    assert "-x" in words
    assert "not slow" in words[-1]
    assert words[words.index("--dist") + 1] == "loadfile"


def test_a_named_place_replaces_the_whole():
    words = test_verb.pytest_command(ROOT, fast=False, rest=["tests/test_layers.py"])
    assert "tests" not in words
    assert "--dist" not in words


def test_doctor_never_prints_a_key_or_what_stands_in_a_url(settings):
    config = replace(settings, api_key="sk-very-secret", base_url="http://me:hidden@127.0.0.1:9/v1")
    said = json.dumps([str(one) for one in doctor.findings(ROOT, config)])
    assert "very-secret" not in said
    assert "hidden" not in said
    assert "a key is set" in said


def test_doctor_gives_a_remedy_with_every_bad_finding(tmp_path, settings):
    bad = [one for one in doctor.findings(tmp_path, settings) if not one.ok]
    assert {"environment", "packages"} <= {one.what for one in bad}
    assert all(one.fix for one in bad)


@pytest.mark.parametrize(
    ("finding", "ok"),
    [
        (doctor._python((3, 11)), True),
        (doctor._python((3, 14)), True),
        (doctor._python((3, 10)), False),
        (doctor._python((3, 15)), False),
        (doctor._disk(4 * 10**9, ready=False), True),
        (doctor._disk(3 * 10**9, ready=False), False),
        (doctor._disk(2 * 10**9, ready=True), True),
        (doctor._disk(9 * 10**8, ready=True), False),
        (doctor._wheels("linux-x86_64", (3, 14)), True),
        (doctor._wheels("linux-x86_64", (3, 15)), False),
        (doctor._wheels("darwin-x86_64", (3, 12)), False),
        (doctor._clock(platforms.made()), True),
        (doctor._clock(date(2020, 1, 1)), False),
        (doctor._memory(3 * 10**9), True),
        (doctor._memory(10**9), False),
        (doctor._proxy({}, passed_by=False), True),
        (doctor._proxy({"http": "http://user:secret@proxy:3128"}, passed_by=False), False),
        (doctor._proxy({"http": "http://user:secret@proxy:3128"}, passed_by=True), True),
    ],
)
def test_doctor_names_what_would_fail_before_it_fails(finding, ok):
    assert finding.ok is ok
    assert finding.ok or finding.fix
    assert "secret" not in finding.text


def test_doctor_looks_at_the_database_and_the_place_of_files(tmp_path, settings):
    assert doctor._shared(settings).text == "in the state folder"
    shared = tmp_path / "shared"
    shared.mkdir()
    assert doctor._shared(replace(settings, files=str(shared))).ok
    assert not any(file.is_file() for file in shared.rglob("*"))
    (tmp_path / "file").write_text("in the way")
    for bad in (
        replace(settings, files=str(tmp_path / "file" / "below")),
        replace(settings, database="postgresql://anna:secret@127.0.0.1:1/course"),
    ):
        said = doctor._shared(bad)
        assert not said.ok
        assert said.fix
        assert "secret" not in f"{said.text} {said.fix}"


def test_doctor_passes_over_what_a_killed_install_left(tmp_path):
    place = tmp_path / ".venv" / "lib" / "python3.11" / "site-packages"
    (place / "torch-2.13.0.dist-info").mkdir(parents=True)
    (place / "openai-3.54.0.dist-info").mkdir()
    (place / "openai-3.54.0.dist-info" / "METADATA").write_text("Name: openai\nVersion: 3.54.0\n")
    said = next(doctor._packages(tmp_path))
    assert not said.ok
    assert "torch missing" in said.text
    assert "openai 3.54.0" in said.text


def test_doctor_sees_a_second_copy_and_a_set_up_that_runs(tmp_path):
    assert doctor._others(tmp_path, [str(tmp_path)]).ok
    assert "elsewhere" in doctor._others(tmp_path, ["/elsewhere"]).text
    with bootstrap.alone(tmp_path / ".venv.lock"):
        assert "setting up this folder" in doctor._others(tmp_path, []).text


def test_doctor_sees_a_port_that_is_taken_and_a_machine_that_gives_none(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as other:
        monkeypatch.setattr(doctor, "JUPYTER_PORT", other.getsockname()[1])
        assert "taken" in doctor._port().text
    assert "free" in doctor._port().text

    def refuse(address):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(doctor.socket, "create_server", refuse)
    none = doctor._port()
    assert (none.ok, none.text) == (False, "no port can be opened: Permission denied")
    assert "firewall" in none.fix


def test_doctor_runs_on_a_bare_python():
    command = [sys.executable, "-S", "-m", "helpers", "doctor", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert {"what", "ok", "text", "fix"} <= set(json.loads(done.stdout)[0])


@pytest.fixture
def used(tmp_path, monkeypatch) -> Path:
    config = replace(settings_module.load(), state=tmp_path / ".workbook")
    (config.state / "models").mkdir(parents=True)
    (tmp_path / ".venv").mkdir()
    monkeypatch.setattr(settings_module, "load", lambda: config)
    return tmp_path


@pytest.mark.parametrize(("answer", "left"), [("", True), ("n", True), ("y", False)])
def test_clean_asks_and_takes_silence_for_no(used, monkeypatch, answer, left):
    monkeypatch.setattr("builtins.input", lambda prompt: answer)
    clean.run(used, argparse.Namespace(all=False, yes=False))
    assert (used / ".workbook").exists() is left
    assert (used / ".venv").exists()


def test_clean_all_removes_the_environment_too(used):
    assert clean.run(used, argparse.Namespace(all=True, yes=True)) == 0
    assert not (used / ".workbook").exists()
    assert not (used / ".venv").exists()


def test_the_environment_does_not_remove_itself(used, monkeypatch):
    monkeypatch.setattr(bootstrap, "is_current", lambda root: True)
    with pytest.raises(SetupError, match="cannot remove itself"):
        clean.run(used, argparse.Namespace(all=True, yes=True))
    assert (used / ".workbook").exists()


def test_lab_shows_the_whole_course_and_opens_notebook_00():
    options = argparse.Namespace(no_browser=True, port=8999, ip="localhost")
    words = lab.command(ROOT, options)
    assert f"--ServerApp.root_dir={ROOT}" in words
    assert "--LabApp.default_url=/lab/tree/my_notebooks/00_start_here.ipynb" in words
    assert {"--no-browser", "--ServerApp.port=8999"} <= set(words)


def test_the_first_layout_is_one_that_jupyterlab_finds_and_a_learners_own_stays(tmp_path):
    from jupyterlab_server.workspaces_handler import WorkspacesManager

    lab.lay_out(ROOT, tmp_path)
    manager = WorkspacesManager(str(tmp_path))
    first = manager.load("default")
    assert "notebook:my_notebooks/00_start_here.ipynb" in first["data"]
    own = {"data": {"notebook:mine.ipynb": {}}, "metadata": {"id": "default"}}
    kept = manager.save("default", json.dumps(own))
    lab.lay_out(ROOT, tmp_path)
    assert json.loads(kept.read_text(encoding="utf-8")) == own
    manager.save("default", json.dumps(own).replace("mine", "notebooks/00"))
    lab.lay_out(ROOT, tmp_path)
    assert manager.load("default")["data"] == first["data"]


def test_before_jupyterlab_starts_nothing_large_is_imported(tmp_path):
    code = "import sys, helpers.cli.lab as lab; lab.lay_out(*map(lab.Path, sys.argv[1:]))"
    command = [sys.executable, "-c", code + "; print(*sys.modules)", str(ROOT), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert not {"jupyterlab_server", "jupyter_server", "nbformat"} & set(done.stdout.split())


def test_lab_keeps_a_learners_own_jupyter_settings(monkeypatch):
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", "mine")
    paths = lab.environment(ROOT)["JUPYTER_CONFIG_PATH"].split(os.pathsep)
    assert paths[1] == "mine"
    overrides = Path(paths[0]) / "labconfig" / "default_setting_overrides.json"
    quiet = json.loads(overrides.read_text())
    assert quiet["@jupyterlab/apputils-extension:notification"]["fetchNews"] == "false"


FIRST_CELL = """
from jupyter_client.manager import start_new_kernel

manager, client = start_new_kernel(kernel_name="python3")
told = client.execute_interactive("job = await monitor.wait()", output_hook=lambda _: None)
print(*told["content"]["traceback"], sep="\\n")
client.stop_channels()
manager.shutdown_kernel(now=True)
"""


def test_a_cell_that_is_run_before_all_others_says_in_a_line_what_to_run():
    """The day after: a new kernel, and the reader goes on where they stopped."""
    environ = lab.environment(ROOT)
    words = [sys.executable, "-c", FIRST_CELL]
    done = subprocess.run(words, env=environ, capture_output=True, text=True, check=True)
    shown = done.stdout.strip().splitlines()
    assert len(shown) == 3
    assert shown[1].startswith("'monitor' is not known yet")


def test_serving_on_a_foreign_address_is_one_clear_error():
    with pytest.raises(BackendError, match="no address of this machine"):
        serve.free_port("192.0.2.1")


@pytest.mark.skipif(os.name == "nt", reason="sends POSIX signals")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_ends_the_program_and_its_children(tmp_path, name):
    grandchild = "import time; time.sleep(60)"
    child = (
        "import subprocess, sys, pathlib, time\n"
        f"p = subprocess.Popen([sys.executable, '-c', {grandchild!r}])\n"
        f"pathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(p.pid))\n"
        "time.sleep(60)"
    )
    code = (
        "import sys; from helpers.cli import foreground\n"
        f"sys.exit(foreground.call([sys.executable, '-c', {child!r}]))"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.DEVNULL, start_new_session=True
    )
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        time.sleep(0.05)
    # Ctrl-C on a terminal reaches the whole group; `kill` reaches one process.
    if name == "SIGINT":
        os.killpg(parent.pid, signal.SIGINT)
    else:
        parent.terminate()
    assert parent.wait(30) == 130
    pid = int((tmp_path / "pid").read_text())
    assert not psutil.pid_exists(pid) or is_zombie(pid)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="sends POSIX signals")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("verb", ["lab", "serve"])
def test_a_signal_ends_the_server_that_the_verb_started(tmp_path, verb, name):
    options = ["--no-browser"] if verb == "lab" else []
    environ = {
        **os.environ,
        "WORKBOOK_STATE": str(tmp_path / "state"),
        "JUPYTER_DATA_DIR": str(tmp_path / "jupyter"),
    }
    running = subprocess.Popen(
        [sys.executable, "-m", "helpers", verb, *options],
        cwd=ROOT,
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    known = tmp_path / "state" / "server.json"
    while not known.exists():
        assert running.poll() is None
        time.sleep(0.05)
    server = json.loads(known.read_text())["pid"]
    # Ctrl-C on a terminal reaches the whole group; `kill` reaches one process.
    if name == "SIGINT":
        os.killpg(running.pid, signal.SIGINT)
    else:
        running.terminate()
    # A server that is just starting is not waited for: it may be measuring engines.
    _, said = running.communicate(timeout=30)
    # JupyterLab itself shows one where it is interrupted while it is imported.
    assert str(ROOT / "helpers") not in said
    assert "did not start" not in said
    assert not psutil.pid_exists(server) or is_zombie(server)


def is_zombie(pid):
    return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
