"""The program on a node of a cluster: bring a run's files, train or answer, carry back what
comes of it.

For: `ray_jobs`, which names it as a job's entry point. It may be killed at any moment, and so
may the machine: what it had carried into the exchange by then, another node goes on from.

    python -m helpers.backend.executors.node --exchange /shared --job ftjob-a --attempt 1
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from helpers.backend.executors import attempts
from helpers.backend.executors.exchange import Exchange
from helpers.backend.executors.interface import ANSWERS, LOG, TRAINER
from helpers.backend.executors.local import start_process
from helpers.backend.training.spec import LOSSES, PRECISION, PROGRESS, RESUME, STOP
from helpers.base.errors import DataError
from helpers.base.settings import BASE_SHA256, base_gguf, load

EVERY = 1.0
"""Seconds between two looks at what is new."""
GIVE_UP_SECONDS = 600
"""How long the results of a run that has ended are tried to be carried back."""
STATE_LOST = 3

log = logging.getLogger(__name__)


class Carrier:
    """Carries what a trainer writes into the exchange, and knows what is there already."""

    def __init__(self, exchange: Exchange, job: str, number: int, folder: Path) -> None:
        self._exchange, self._job, self._number, self._folder = exchange, job, number, folder
        self._place = attempts.attempt_prefix(job, number)
        self._known: dict[str, Any] = {}
        self._states = 0

    def bring(self) -> None:
        """What the trainer begins with: its files, and the newest state if there is one."""
        own = base_gguf()
        bases = {BASE_SHA256: own} if own else {}
        attempts.take(self._exchange, self._job, self._folder, bases=bases)
        self._get(PRECISION, self._place)
        state = attempts.newest_state(self._exchange, self._job, before=self._number)
        if state is None:
            return
        old = attempts.attempt_prefix(self._job, state.attempt)
        self._exchange.get_file(f"{old}/{state.name}", self._folder / RESUME)
        if attempts.sha256_of(self._folder / RESUME) != state.sha256:
            raise ValueError(f"the saved state {old}/{state.name} is damaged")
        self._get(PROGRESS, old)
        self._get(PRECISION, old)
        # As its own, so that what comes after looks no further back than here.
        self._exchange.put(f"{self._place}/{PROGRESS}", (self._folder / PROGRESS).read_bytes())
        self._known[RESUME] = _stamp(self._folder / RESUME)
        attempts.save_state(
            self._exchange, self._job, self._number, self._folder / RESUME, self._states
        )

    def carry(self) -> None:
        """Put into the exchange what is new. Raises `OSError` where it does not answer.

        The state is read first and put last: whoever finds it, finds all that was told before.
        """
        state = self._folder / RESUME
        new_state = self._copy_of(state) if self._is_new(state) else None
        progress = self._folder / PROGRESS
        told = progress.read_bytes() if progress.is_file() else b""
        stamps = {}
        for name in (PRECISION, LOSSES, ANSWERS, LOG):
            path = self._folder / name
            if self._is_new(path):
                stamps[name] = _stamp(path)
                self._exchange.put_file(f"{self._place}/{name}", path)
        for path in sorted((self._folder / "checkpoints").glob("step-*")):
            if path.name not in self._known:
                self._exchange.put_folder(f"{self._place}/checkpoints/{path.name}", path)
                stamps[path.name] = True
        # Noted only when all is there: after an error in between, everything is tried again.
        self._known |= stamps
        if told != self._known.get(PROGRESS, b""):
            self._exchange.put(f"{self._place}/{PROGRESS}", told)
            self._known[PROGRESS] = told
        if new_state:
            copy, stamp = new_state
            self._states += 1
            attempts.save_state(self._exchange, self._job, self._number, copy, self._states)
            self._known[RESUME] = stamp
            copy.unlink()

    def asks_to_stop(self) -> bool:
        """Whether the server wants the state to be saved and the run to end."""
        return self._exchange.get(f"{self._place}/{STOP}") is not None

    def _get(self, name: str, place: str) -> None:
        data = self._exchange.get(f"{place}/{name}")
        if data is not None:
            (self._folder / name).write_bytes(data)

    def _is_new(self, path: Path) -> bool:
        return path.is_file() and self._known.get(path.name) != _stamp(path)

    def _copy_of(self, path: Path) -> tuple[Path, Any]:
        """A second name of a state: the trainer puts the next one in its place."""
        copy = path.with_name(f"carried-{path.name}")
        copy.unlink(missing_ok=True)
        # Before the copy, which has a time of its own where it is no link; and if the trainer puts
        # a newer one here just now, that is carried once more.
        stamp = _stamp(path)
        try:
            os.link(path, copy)
        except OSError:
            shutil.copyfile(path, copy)
        return copy, stamp


def _stamp(path: Path) -> Any:
    known = path.stat()
    return known.st_mtime_ns, known.st_size


def run(carrier: Carrier, folder: Path, program: str = TRAINER) -> int:
    """Work in a folder that is filled; returns the program's exit code."""
    carrier.bring()
    process = start_process(folder, load().root, program, lower=False)
    # Ray asks so, and kills 3 s later: the trainer would save its state first.
    signal.signal(signal.SIGTERM, lambda *_: _end(process))
    while process.poll() is None:
        _try(carrier, folder)
        time.sleep(EVERY)
    # The trainer has ended, and what it made is here alone as long as it is not carried.
    deadline = time.monotonic() + GIVE_UP_SECONDS
    while not _try(carrier, folder):
        if time.monotonic() > deadline:
            return STATE_LOST
        time.sleep(EVERY)
    return process.returncode


def _try(carrier: Carrier, folder: Path) -> bool:
    """Carry; a store that does not answer for a while ends nothing."""
    try:
        if carrier.asks_to_stop():
            (folder / STOP).touch()
        carrier.carry()
    except (OSError, DataError) as error:
        log.warning("the exchange does not answer: %s", error)
        return False
    return True


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    sys.exit(128 + signal.SIGTERM)


def main(arguments: list[str]) -> int:
    """Run one attempt; returns its exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--exchange", required=True)
    parser.add_argument("--job", required=True)
    parser.add_argument("--attempt", type=int, required=True)
    parser.add_argument("--program", default=TRAINER)
    given = parser.parse_args(arguments)
    exchange = Exchange.at(given.exchange)
    with tempfile.TemporaryDirectory(prefix="workbook-") as scratch:
        folder = Path(scratch)
        carrier = Carrier(exchange, given.job, given.attempt, folder)
        return run(carrier, folder, given.program)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
