"""The branches that Windows takes, run here with its names in place of this system's.

What only a real Windows can show stays open: docs/measurements.md says what was not run.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from helpers.backend import daemon
from helpers.backend.api import connections
from helpers.backend.executors import local
from helpers.base.errors import SetupError
from helpers.cli import bootstrap, pip, uv
from helpers.legacy import openai_package

NEW_GROUP, NO_WINDOW = 0x200, 0x8000000


class Windows:
    """A module's `os` or `sys` that says it is Windows, and is this system's otherwise."""

    def __init__(self, module: ModuleType, **changes: Any) -> None:
        self.__dict__.update(changes)
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


@pytest.fixture
def posing(monkeypatch):
    """Make modules of ours take the machine for one with Windows."""

    def pose(*modules: ModuleType) -> None:
        for module in modules:
            for name, changes in (("os", {"name": "nt"}), ("sys", {"platform": "win32"})):
                if own := getattr(module, name, None):
                    monkeypatch.setattr(module, name, Windows(own, **changes))

    return pose


@pytest.fixture
def started(monkeypatch) -> list[dict[str, Any]]:
    """What was asked of each process, none of which is started."""
    asked: list[dict[str, Any]] = []

    def popen(command: list[str], **options: Any) -> SimpleNamespace:
        asked.append(options)
        return SimpleNamespace(pid=-1, poll=lambda: None)

    monkeypatch.setattr(subprocess, "Popen", popen)
    monkeypatch.setattr(subprocess, "CREATE_NEW_PROCESS_GROUP", NEW_GROUP, raising=False)
    monkeypatch.setattr(subprocess, "CREATE_NO_WINDOW", NO_WINDOW, raising=False)
    return asked


def test_programs_stand_where_windows_has_them(posing, tmp_path):
    posing(bootstrap, openai_package)
    assert bootstrap.python_of(Path("env")) == Path("env/Scripts/python.exe")
    assert pip.site_packages(tmp_path) == tmp_path / "Lib" / "site-packages"
    old = openai_package.Package("0.28.1", Path("env/Scripts/python.exe"), SimpleNamespace())
    assert old._program("openai") == Path("env/Scripts/openai.exe")


def test_uv_is_looked_for_under_its_name_there(posing, tmp_path, monkeypatch):
    posing(uv)
    pins = tmp_path / "requirements-uv.txt"
    pins.write_text("uv==0.13.9\n")
    (tmp_path / "tools" / "uv-0.13.9.dist-info").mkdir(parents=True)
    monkeypatch.setattr(uv.shutil, "which", lambda name: None)
    monkeypatch.setattr(uv, "fits", lambda program: True)
    found = uv.find(tmp_path, ["pip"], pins, uv.Sources(), pip.InstallProgress(sys.stderr))
    assert found == [str(tmp_path / "tools" / "bin" / "uv.exe")]


@pytest.mark.parametrize(("arguments", "code"), [(["--help"], 0), (["no-such-verb"], 2)])
def test_the_same_command_line_runs_as_a_child_and_hands_its_exit_code_on(
    posing, capfd, arguments, code
):
    posing(bootstrap)
    assert bootstrap.rerun(Path(sys.executable), arguments) == code
    assert "usage" in "".join(capfd.readouterr())


def test_ctrl_c_is_left_to_the_child(posing, monkeypatch):
    posing(bootstrap)
    outcomes: list[Any] = [KeyboardInterrupt(), KeyboardInterrupt(), 130]

    class Child:
        def __enter__(self) -> Child:
            return self

        def __exit__(self, *error: object) -> None: ...

        def wait(self) -> int:
            outcome = outcomes.pop(0)
            if isinstance(outcome, BaseException):
                raise outcome
            return int(outcome)

    monkeypatch.setattr(bootstrap.subprocess, "Popen", lambda command: Child())
    assert bootstrap.rerun(Path("python.exe"), ["lab"]) == 130


def test_one_set_up_at_a_time_is_kept_with_windows_own_lock(posing, tmp_path, monkeypatch):
    posing(bootstrap)
    held: set[str] = set()

    def locking(number: int, mode: int, size: int) -> None:
        assert (mode, size) == (1, 1)
        if held:
            raise OSError(13, "Permission denied")
        held.add("by another")

    monkeypatch.setitem(sys.modules, "msvcrt", SimpleNamespace(LK_NBLCK=1, locking=locking))
    with bootstrap.alone(tmp_path / "lock"):
        assert held
    with pytest.raises(SetupError, match="another command"), bootstrap.alone(tmp_path / "lock"):
        pass


def test_the_server_outlives_its_terminal_and_opens_no_window(posing, started, settings):
    posing(daemon)
    daemon._spawn(settings)
    assert started[0]["creationflags"] == NEW_GROUP | NO_WINDOW
    assert "start_new_session" not in started[0]


def test_a_trainer_opens_no_window(posing, started, tmp_path):
    posing(local)
    local.start_process(tmp_path, tmp_path, lower=False)
    assert started[0]["creationflags"] == NO_WINDOW


def test_connections_are_bounded_without_a_limit_of_descriptors(posing, monkeypatch):
    posing(connections)
    monkeypatch.setitem(sys.modules, "resource", None)
    assert connections.most_connections() == connections.MOST


def test_a_path_with_backslashes_stays_one_word(posing):
    posing(openai_package)
    assert openai_package._split(r'openai -f "C:\my files\a.jsonl"') == [
        "openai", "-f", "C:/my files/a.jsonl",
    ]  # fmt: skip
