"""Pytest plugin: tests never touch the learner's .workbook, a key or a paid endpoint.

The environment is changed when this module is imported, before any test or kernel starts,
so that notebooks, servers and trainers started by tests inherit it.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from helpers.base import settings as settings_module
from helpers.base.settings import Settings

if TYPE_CHECKING:
    from openai import OpenAI

    from helpers.backend.daemon import Address

STATE = Path(tempfile.mkdtemp(prefix="workbook-tests-"))

for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "WORKBOOK_MODELS", "WORKBOOK_BASE"):
    os.environ.pop(name, None)
os.environ["WORKBOOK_STATE"] = str(STATE / "tests")
# Made once for tests and notebooks: it takes a minute, and nothing in it is a learner's.
os.environ["WORKBOOK_ENVIRONMENTS"] = str(STATE / "environments")
# A run in the background (CI, nohup) starts with interrupts ignored, and programs inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs a running model is slow; marked so before `-m "not slow"` is looked at."""
    for item in items:
        if {"server", "llama"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)


def is_light(path: Path) -> bool:
    """Whether tests of this file need neither a server nor a model that is trained."""
    return path.parts[:1] == ("tests",) and path.parts[1] in LIGHT_FOLDERS


def of_the_course(path: Path) -> bool:
    """Whether tests of this file run notebooks, or read what these have stored."""
    return path.suffix == ".ipynb" or path.name == "test_claims.py"


COURSE, LIGHT = "course", "light"
"""Groups of files that stay together: what runs notebooks, and what needs no server."""
LIGHT_FOLDERS = ("base", "costs", "datasets")


class ByFile(LoadScopeScheduling):
    """Where several processes share the work, a file stays in one: its fixtures are made once.

    So do all notebooks and the claims: each builds on the models and results of those before it.
    They train on all cores, and a trainer that has to wait for one core waits on all: beside them
    only light tests run, in one process; the others begin when the notebooks have ended.

    pytest-xdist's own groups would do for the first, but release 3.8.0 loses them beside
    pytest 9.2.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = Path(nodeid.partition("::")[0])
        if of_the_course(file):
            return COURSE
        return LIGHT if is_light(file) else file.as_posix()

    def _reschedule(self, node: Any) -> None:
        if COURSE in self.assigned_work.get(node, {}) or not self._course_runs():
            super()._reschedule(node)

    def mark_test_complete(self, node: Any, item_index: int, duration: float = 0) -> None:
        ran = self._course_runs()
        super().mark_test_complete(node, item_index, duration)
        if ran and not self._course_runs():
            for other in self.nodes:
                self._reschedule(other)

    def _course_runs(self) -> bool:
        units = [work.get(COURSE, {}) for work in self.assigned_work.values()]
        return any(not done for unit in units for done in unit.values())


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    """Called by pytest-xdist, once, where tests run in several processes."""
    return ByFile(config, log)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Notebooks share a state of their own, and their kernels draw into the page.

    No file or model of a test shows up in them. The backend for tests would make `plt.show()`
    show nothing in a kernel, and a cell with a figure then differs from what is stored. What is
    shown only while somebody waits is not stored.
    """
    if _too_late(item):
        pytest.skip("out of time: test --minutes leaves out what has not begun")
    state = "notebooks" if of_the_course(item.path) else "tests"
    os.environ["WORKBOOK_STATE"] = str(STATE / state)
    if item.path.suffix == ".ipynb":
        os.environ["WORKBOOK_HEADLESS"] = "1"
        os.environ.pop("MPLBACKEND", None)
    else:
        os.environ.pop("WORKBOOK_HEADLESS", None)
        os.environ["MPLBACKEND"] = "agg"


def _too_late(item: pytest.Item) -> bool:
    """Whether the time of `test --minutes` is over; fast tests and claims run in any case."""
    until = float(os.environ.get("WORKBOOK_TEST_UNTIL") or "inf")
    long = item.get_closest_marker("slow") or item.path.suffix == ".ipynb"
    return bool(long) and item.path.name != "test_claims.py" and time.time() > until


def pytest_unconfigure() -> None:
    """Stop the servers that tests or notebooks started, then remove what they left."""
    for known in STATE.glob("*/server.json"):
        from helpers.backend import daemon

        daemon.stop(replace(settings_module.load(), state=known.parent))
    shutil.rmtree(STATE, ignore_errors=True)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings with an empty state folder, for one test."""
    return replace(settings_module.load(), state=tmp_path / "workbook")


@pytest.fixture(scope="session")
def server() -> Iterator[Address]:
    """The real server with the real model, shared by all tests and notebooks of the run."""
    from helpers.backend import daemon

    config = settings_module.load()
    yield daemon.ensure_running(config)
    daemon.stop(config)


@pytest.fixture(scope="session")
def client(server: Address) -> OpenAI:
    """The real openai client, connected to the shared server."""
    from openai import OpenAI

    return OpenAI(base_url=server.url.rstrip("/") + "/v1", api_key=server.token, max_retries=0)
