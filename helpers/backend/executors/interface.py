"""What the queue of jobs knows of where its work runs: start it, ask how it is, end it.

For: `local` and `ray_jobs`, the two kinds, and the queue of jobs, which takes either. Not for:
what a run tells, which stands in its folder, see `training.spec`.

    run = executor.start(folder)
    while run.poll() is None: executor.sync(folder)
    run.kill()
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

TRAINER = "helpers.backend.training.worker"
"""The program; it takes the folder, and works in it."""
ANSWERER = "helpers.backend.answerer"
"""The same for a part of a batch."""
ANSWERS = "answers.jsonl"
"""What that answers, in the folder."""
LOG = "trainer.log"
"""What the program says, in the folder."""
LOST = 1000
"""In place of an exit code: where it ran is gone, say a node of a cluster. No program ends so."""


class NotNow(Exception):
    """A run cannot be started at the moment, say because a cluster does not answer."""


class Run(Protocol):
    """A program that was started in a folder."""

    def poll(self) -> int | None:
        """Its exit code, once all that it wrote is in the folder; None while it runs."""

    def kill(self) -> None:
        """End it now, whatever it is doing; `poll` then tells when it has ended."""


class Executor(Protocol):
    """A place where programs run."""

    def room(self) -> AbstractContextManager[bool]:
        """What a run needs of this machine for as long as it runs; False: not to be had now."""

    def free(self, busy: int) -> int:
        """How many more runs may begin beside the `busy` ones of the caller."""

    def start(self, folder: Path, program: str = TRAINER) -> Run:
        """Begin a run in a folder, or find the one that an earlier server began there.

        Raises `NotNow` where trying again later may help.
        """

    def sync(self, folder: Path) -> None:
        """Carry what is new between the folder and where the run is, both ways."""

    def forget(self, folder: Path, *, discard: bool) -> None:
        """End what an earlier server may have left running for a folder; `discard` it, too."""

    def discard(self, folder: Path) -> None:
        """Remove what lies elsewhere for a folder whose work is over for good."""

    def close(self) -> None:
        """The server ends: end the runs that cannot outlive it."""

    def describe(self) -> str:
        """Where runs take place, for people."""
