"""This checkout's server beside that of another checkout, such as an earlier release.

For: `python3 -m helpers bench --against PATH`. The API lies between, so that both get the same
requests from the same client, in turns, each with the engine that it chooses itself.

    with two_servers(root, Path("../before")) as (ours, theirs):
        row("one-stream", ours, theirs)
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from helpers.base.errors import CourseError
from helpers.bench.machine import median_seconds
from helpers.bench.measurements import BenchRow
from helpers.bench.serving import (
    QUIET_SECONDS,
    STREAMS,
    TOKENS,
    all_streams,
    chat,
    first_token,
    long_chats,
)
from helpers.evaluation.requests import send_all

if TYPE_CHECKING:
    from openai import OpenAI

ROUNDS = 3
START_SECONDS = 600
"""A checkout without an environment makes one first."""
LONG = "The lighthouse keeper looks at the sea, writes down what the wind does, and waits. " * 17
"""Some 300 tokens."""


def _sixteen_streams(client: OpenAI) -> float:
    return all_streams(lambda prompt: chat(client, TOKENS, prompt=prompt))


def _beside_a_busy_process(client: OpenAI) -> float:
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        # As long as a server takes to see that the cores are not all its own.
        time.sleep(QUIET_SECONDS)
        return _sixteen_streams(client)
    finally:
        busy.kill()
        busy.wait()


def _long_prompts(client: OpenAI, *, batch: bool) -> float:
    # Others each time: an engine remembers what it has read.
    chats = long_chats(time.perf_counter_ns())
    return median_seconds(lambda: send_all(client, chats, batch=batch), runs=1)


def _one_stream(client: OpenAI) -> float:
    return TOKENS / median_seconds(lambda: chat(client, TOKENS), runs=3)


def _first_token(client: OpenAI) -> float:
    # Another beginning each time: what is measured is reading, not remembering.
    return median_seconds(lambda: first_token(client, f"{time.perf_counter_ns()} {LONG}"), runs=5)


@dataclass(frozen=True)
class PairedMeasurement:
    """A measurement of one server, and how many times better ours should be."""

    what: str
    unit: str
    aim: float
    measure: Callable[[OpenAI], float]


MEASUREMENTS = {
    "sixteen-streams": PairedMeasurement(
        f"{STREAMS} streams of short chats", "tokens/s", 4, _sixteen_streams
    ),
    "long-prompts": PairedMeasurement(
        "64 prompts of some 330 tokens, sixteen at a time", "s", 5,
        lambda client: _long_prompts(client, batch=False),
    ),
    "long-batch": PairedMeasurement(
        "the same as a batch", "s", 2, lambda client: _long_prompts(client, batch=True)
    ),
    "one-stream": PairedMeasurement("one stream", "tokens/s", 1.2, _one_stream),
    "first-token": PairedMeasurement("first token of a prompt of 300 tokens", "s", 4, _first_token),
    "busy-neighbour": PairedMeasurement(
        f"{STREAMS} streams beside one busy process", "tokens/s", 8, _beside_a_busy_process
    ),
}  # fmt: skip


def rows(root: Path, other: Path, names: list[str]) -> Iterator[BenchRow]:
    """The rows that are named, or all. Raises `CourseError` for a folder that is no checkout."""
    if not (other / "helpers" / "__main__.py").is_file():
        raise CourseError(f"{other} is no checkout of the course", fix="name one's folder")
    unknown = [name for name in names if name not in MEASUREMENTS]
    if unknown:
        raise CourseError(f"there is no row {unknown[0]}", fix=f"rows: {', '.join(MEASUREMENTS)}")
    with two_servers(root, other) as (ours, theirs):
        for name in names or MEASUREMENTS:
            yield row(name, ours, theirs)


def row(name: str, ours: OpenAI, theirs: OpenAI) -> BenchRow:
    """The medians of rounds in which the two take turns."""
    wanted = MEASUREMENTS[name]
    for client in (ours, theirs):
        # Weights are read, and memory is taken, before anything counts.
        chat(client, 1)
    rounds = []
    for _ in range(ROUNDS):
        time.sleep(QUIET_SECONDS)
        rounds.append((wanted.measure(ours), wanted.measure(theirs)))
    mine, other = (statistics.median(side) for side in zip(*rounds, strict=True))
    aim = f"at least {wanted.aim:g} times better"
    found = BenchRow(name, wanted.what, wanted.unit, mine, other, aim)
    return BenchRow(**{**vars(found), "holds": (found.ratio or 0) >= wanted.aim})


@contextmanager
def two_servers(root: Path, other: Path) -> Iterator[tuple[OpenAI, OpenAI]]:
    """A client of each checkout's server, both with an empty state folder."""
    with ExitStack() as stack:
        yield stack.enter_context(_server(root)), stack.enter_context(_server(other))


@contextmanager
def _server(root: Path) -> Iterator[OpenAI]:
    from openai import OpenAI

    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "state"
        env = {**os.environ, "WORKBOOK_STATE": str(state)}
        # Each checkout imports its own modules.
        env.pop("PYTHONPATH", None)
        log = Path(folder) / "log"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [_python(root), "-m", "helpers", "serve"],
                cwd=root, env=env, stdout=stream, stderr=stream,
            )  # fmt: skip
            try:
                url = _address(process, state / "server.json", log)
                key = (state / "token").read_text(encoding="utf-8").strip()
                yield OpenAI(base_url=f"{url}/v1", api_key=key, timeout=1800)
            finally:
                process.terminate()
                process.wait()


def _python(root: Path) -> str:
    """The checkout's own interpreter; one without an environment makes it at the first command."""
    for own in (root / ".venv/bin/python", root / ".venv/Scripts/python.exe"):
        if own.exists():
            return str(own)
    return sys.executable


def _address(process: subprocess.Popen[bytes], told: Path, log: Path) -> str:
    """Where the server says that it answers, once it does."""
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if told.exists() and "OPENAI_BASE_URL" in log.read_text(encoding="utf-8"):
            return str(json.loads(told.read_text(encoding="utf-8"))["url"])
        time.sleep(0.2)
    said = log.read_text(encoding="utf-8").strip().splitlines()
    raise CourseError(
        f"the server of {told.parent} did not start: {said[-1] if said else 'it said nothing'}",
        fix="start it there by hand: python3 -m helpers serve",
    )
