"""One server for a state folder, whatever became of the one before."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from helpers.backend import daemon
from helpers.base.errors import BackendError
from helpers.base.files import locked


@pytest.fixture
def silent(settings) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is known as the server, and answers nobody."""
    # The last word stands in its command line, as in that of a server.
    command = [sys.executable, "-c", "import time; time.sleep(60)", "helpers"]
    process = subprocess.Popen(command)
    # A program that has just begun has no command line for a moment.
    while not psutil.Process(process.pid).cmdline():
        time.sleep(0.01)
    settings.state.mkdir(parents=True)
    known = {"url": "http://127.0.0.1:9", "pid": process.pid}
    (settings.state / "server.json").write_text(json.dumps(known), encoding="utf-8")
    (settings.state / "token").write_text("t", encoding="utf-8")
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def spawned(monkeypatch) -> list[object]:
    """Settings with which a server was started; none really is."""
    started: list[object] = []

    def spawn(settings):
        started.append(settings)
        return subprocess.Popen([sys.executable, "-c", ""])

    monkeypatch.setattr(daemon, "_spawn", spawn)
    monkeypatch.setattr(daemon, "START_SECONDS", 1)
    return started


def test_a_server_that_is_slow_to_answer_gets_no_second_one_beside_it(settings, silent, spawned):
    with pytest.raises(BackendError, match=f"process {silent.pid}"):
        daemon.ensure_running(settings)
    assert spawned == []


def test_a_server_that_is_gone_is_replaced(settings, silent, spawned):
    # Nobody waits for it, so its number stays taken by a zombie.
    silent.kill()
    with pytest.raises(BackendError, match="did not start"):
        daemon.ensure_running(settings)
    assert spawned == [settings]


def test_a_server_that_is_still_starting_is_not_called_dead(settings, monkeypatch):
    """Seen on a machine that was busy: it said "the log is empty", and answered a minute later."""
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    slow = subprocess.Popen(command)
    monkeypatch.setattr(daemon, "_spawn", lambda settings: slow)
    monkeypatch.setattr(daemon, "START_SECONDS", 0.5)
    try:
        with pytest.raises(BackendError, match="still starting after"):
            daemon.ensure_running(settings)
    finally:
        slow.kill()
        slow.wait()


def test_a_number_that_another_program_has_now_is_not_ended(settings, silent, spawned):
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    known = {"url": "http://127.0.0.1:9", "pid": other.pid}
    (settings.state / "server.json").write_text(json.dumps(known), encoding="utf-8")
    assert daemon.stop(settings) is False
    assert other.poll() is None
    other.kill()
    other.wait()


def test_no_second_server_works_on_one_state_folder(settings, silent):
    """Whether the first answers or not: it holds the folder for life."""
    with (
        locked(settings.state / "server.lock", held=RuntimeError),
        pytest.raises(BackendError) as refused,
    ):
        daemon.serve(settings)
    said = str(refused.value)
    assert f"process {silent.pid}" in said
    assert "\n" not in said
    assert not (settings.state / "workbook.db").exists()


def test_a_second_server_ends_in_one_line(settings):
    env = os.environ | {"WORKBOOK_STATE": str(settings.state)}
    with locked(settings.state / "server.lock", held=RuntimeError):
        command = [sys.executable, "-m", "helpers.backend.daemon"]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: another server works on ")
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(os.name != "posix", reason="Windows has other rights than file modes")
def test_the_token_is_its_owners_alone(settings):
    settings.state.mkdir(parents=True)
    token = daemon.token_of(settings)
    assert len(token) > 40
    assert daemon.token_of(settings) == token
    assert (settings.state / "token").stat().st_mode & 0o777 == 0o600


def test_an_empty_token_is_none(settings):
    settings.state.mkdir(parents=True)
    (settings.state / "token").write_text("", encoding="utf-8")
    assert len(daemon.token_of(settings)) > 40


def test_a_stopped_server_is_ended_and_forgotten(settings, silent):
    assert daemon.stop(settings)
    assert silent.poll() is not None
    assert not (settings.state / "server.json").exists()
    assert daemon.find(settings) is None


def test_stopping_a_server_leaves_the_address_of_the_next(settings, silent, monkeypatch):
    known = settings.state / "server.json"
    wait = psutil.wait_procs

    def next_one_starts(family, timeout):
        ended = wait(family, timeout=timeout)
        address = {"url": "http://127.0.0.1:9", "pid": other.pid}
        known.write_text(json.dumps(address), encoding="utf-8")
        return ended

    monkeypatch.setattr(psutil, "wait_procs", next_one_starts)
    command = [sys.executable, "-c", "import time; time.sleep(60)", "helpers"]
    with subprocess.Popen(command) as other:
        while not psutil.Process(other.pid).cmdline():
            time.sleep(0.01)
        assert daemon.stop(settings)
        assert json.loads(known.read_text(encoding="utf-8"))["pid"] == other.pid
        other.kill()


def test_llama_cpp_is_told_to_give_a_busy_core_away_before_it_is_loaded(tmp_path):
    """The library reads it once, when it is loaded; what a user has said stands."""
    code = """
import dataclasses, os, sys, uvicorn
from helpers.base import settings
from helpers.backend import daemon
uvicorn.Server.run = lambda *_, **__: print(os.environ["GOMP_SPINCOUNT"])
assert "xllamacpp" not in sys.modules
config = settings.load()
daemon.serve(config)
os.environ["GOMP_SPINCOUNT"] = "7"
daemon.serve(dataclasses.replace(config, state=config.state / "another"))
"""
    env = {k: v for k, v in os.environ.items() if k != "GOMP_SPINCOUNT"}
    # Named, so that no engine is measured.
    env |= {"WORKBOOK_STATE": str(tmp_path), "WORKBOOK_ENGINE": "llama.cpp"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [daemon.SPIN, "7"]
