"""Runs on the nodes of a Ray cluster: each is a Ray job, its files go through an exchange.

For: jobs of fine-tuning, with `WORKBOOK_EXECUTOR=ray://HOST:8265`. Not for: what the node does,
see `node`; Ray's interface, see `ray_client`.

    executor = RayExecutor(client, exchange, root=root, python="python", threads=2)
    run = executor.start(folder)

What always holds, and why:
- A run's name is written into its folder before it is handed in, and Ray takes a name only once:
  a server that was killed in between finds its run again, or hands in the same one.
- Nothing is handed in that no node is free for: Ray gives up what waits for 15 minutes.
- Ray tries nothing again. A run whose node is lost ends as `LOST`, and the next attempt goes on
  from the last state in the exchange.
- Nothing is handed in to a cluster that asks nobody for a token: its port runs any program.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import logging
import shlex
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from helpers.backend.executors import attempts
from helpers.backend.executors.exchange import Exchange
from helpers.backend.executors.interface import LOG, LOST, TRAINER, NotNow
from helpers.backend.executors.ray_client import RayClient, RayJob, Unreachable
from helpers.backend.training.spec import PRECISION, PROGRESS, RESUME, SPEC, STOP
from helpers.base.errors import DataError
from helpers.base.files import write_bytes, write_text

ATTEMPT = "attempt.json"
EVERY = 0.5
"""Seconds between two looks at a run, and at its files."""
STOP_AGAIN = 2.0
# As of a process that SIGKILL ended.
KILLED = -9
NODE_GONE = (
    "JOB_SUPERVISOR_ACTOR_DIED",
    "JOB_SUPERVISOR_ACTOR_START_TIMEOUT",
    "JOB_SUPERVISOR_ACTOR_START_FAILURE",
    "JOB_SUPERVISOR_ACTOR_UNKNOWN_FAILURE",
)
"""Ray's errors for which the program can do nothing."""
NOT_NOW = (OSError, DataError)
"""What the exchange and this machine's disk raise; a stream that breaks off inside `atomic` becomes
a `DataError`."""
# The earliest that a zip can hold; with real times the same code would have other bytes.
ZIP_TIME = (1980, 1, 1, 0, 0, 0)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunAttempt:
    """The newest start of a job, as its folder knows it."""

    number: int
    key: str
    """Its name at Ray."""
    ended: bool = False

    @classmethod
    def read(cls, folder: Path) -> RunAttempt | None:
        """From the job's folder; None before the first."""
        with contextlib.suppress(FileNotFoundError):
            return cls(**json.loads((folder / ATTEMPT).read_text(encoding="utf-8")))
        return None

    def write(self, folder: Path) -> None:
        """Into the job's folder."""
        write_text(folder / ATTEMPT, json.dumps(asdict(self)))


class RayRun:
    """One attempt of one job."""

    def __init__(
        self, ray: RayClient, exchange: Exchange, folder: Path, attempt: RunAttempt
    ) -> None:
        self._ray, self._exchange, self._folder, self._attempt = ray, exchange, folder, attempt
        self._looked = self._stopped = 0.0
        self._killed = threading.Event()
        # Whether the last look failed: a cluster that is away for an hour is one line in the log.
        self._unheard = False

    def poll(self) -> int | None:
        if self._killed.is_set():
            self._stop()
        now = time.monotonic()
        if now - self._looked < EVERY:
            return None
        self._looked = now
        try:
            job = self._ray.job(self._attempt.key)
            self._unheard = False
            if job is not None and not job.over:
                return None
            return self._end(job)
        except (Unreachable, *NOT_NOW) as error:
            # A run on a node goes on without us, and its results wait for us.
            if not self._unheard:
                log.warning("%s: %s", self._attempt.key, error)
            self._unheard = True
            return None

    def kill(self) -> None:
        self._killed.set()
        self._stop()

    def _stop(self) -> None:
        """Again and again until it is over: an answer that was lost says nothing."""
        if time.monotonic() - self._stopped < STOP_AGAIN:
            return
        self._stopped = time.monotonic()
        with contextlib.suppress(Unreachable):
            self._ray.stop(self._attempt.key)

    def _end(self, job: RayJob | None) -> int:
        code = self._code(job)
        # Before the code is returned: who sees the end finds everything that was told.
        bring(self._exchange, self._folder, self._attempt.number)
        if job and code != 0 and job.message:
            with (self._folder / LOG).open("a", encoding="utf-8") as stream:
                stream.write(f"{job.message}\n")
        # Now nothing of this attempt is still to come.
        replace(self._attempt, ended=True).write(self._folder)
        return code

    def _code(self, job: RayJob | None) -> int:
        if self._killed.is_set():
            return KILLED
        # A head that was started anew knows none of its earlier jobs.
        if job is None or job.error in NODE_GONE:
            return LOST
        if job.status == "SUCCEEDED":
            return 0
        return job.code if job.code is not None else 1


class RayExecutor:
    """A cluster's nodes; a run takes `threads` processors of one."""

    def __init__(
        self,
        ray: RayClient,
        exchange: Exchange,
        *,
        root: Path,
        python: str,
        threads: int,
        at_once: int | None = None,
    ) -> None:
        self._ray, self._exchange, self._root = ray, exchange, root
        self._python, self._threads, self._at_once = python, threads, at_once
        self._synced: dict[Path, float] = {}
        self._guarded, self._unheard = False, False

    def room(self) -> contextlib.AbstractContextManager[bool]:
        """Nothing: it computes elsewhere."""
        return contextlib.nullcontext(True)

    def free(self, busy: int) -> int:
        """Places on the nodes, less what is taken: by ours, which Ray may not count yet, or all."""
        try:
            nodes = self._ray.nodes()
            self._unheard = False
        except Unreachable as error:
            # Asked each second: a cluster that is away for an hour is one line in the log.
            if not self._unheard:
                log.warning("%s", error)
            self._unheard = True
            return 0
        places = sum(int(node.total // self._threads) for node in nodes)
        # Rounded up: a node that is used in part has no room for a whole job in that part.
        taken = sum(-int(-node.used // self._threads) for node in nodes)
        free = places - max(busy, taken)
        return min(free, self._at_once - busy) if self._at_once else free

    def start(self, folder: Path, program: str = TRAINER) -> RayRun:
        try:
            self._see_guard()
            attempt = RunAttempt.read(folder)
            if attempt is None or attempt.ended:
                attempt = self._prepare(folder, attempt.number + 1 if attempt else 1)
            if self._ray.job(attempt.key) is None:
                self._submit(folder.name, attempt, program)
        except FileNotFoundError:
            # A file of the job itself: no waiting brings it back.
            raise
        except (Unreachable, *NOT_NOW) as error:
            raise NotNow(str(error)) from error
        self._synced.pop(folder, None)
        return RayRun(self._ray, self._exchange, folder, attempt)

    def sync(self, folder: Path) -> None:
        now = time.monotonic()
        attempt = RunAttempt.read(folder)
        if attempt is None or now - self._synced.get(folder, 0.0) < EVERY:
            return
        self._synced[folder] = now
        place = attempts.attempt_prefix(folder.name, attempt.number)
        try:
            if (folder / STOP).exists():
                self._exchange.put(f"{place}/{STOP}", b"")
            bring(self._exchange, folder, attempt.number)
        except NOT_NOW as error:
            log.warning("the exchange does not answer: %s", error)

    def forget(self, folder: Path, *, discard: bool) -> None:
        attempt = RunAttempt.read(folder)
        if attempt is None or attempt.ended:
            return
        run = RayRun(self._ray, self._exchange, folder, attempt)

        def end() -> None:
            run.kill()
            while run.poll() is None:
                time.sleep(EVERY)
            if discard:
                self.discard(folder)

        threading.Thread(target=end, name=f"end {attempt.key}", daemon=True).start()

    def discard(self, folder: Path) -> None:
        try:
            self._exchange.remove_all(attempts.prefix(folder.name))
        except OSError as error:
            log.warning("%s stays in the exchange: %s", folder.name, error)

    def close(self) -> None:
        """Runs go on; the next server finds them."""

    def describe(self) -> str:
        return f"jobs of the Ray cluster at {self._ray.address}"

    def _see_guard(self) -> None:
        """Raise `NotNow` where the cluster asks nobody for a token."""
        self._guarded = self._guarded or self._ray.is_guarded()
        if not self._guarded:
            raise NotNow(
                f"{self._ray.address} takes programs from anybody; "
                "start its nodes with RAY_AUTH_MODE=token"
            )

    def _prepare(self, folder: Path, number: int) -> RunAttempt:
        """Put what a node needs into the exchange; then the attempt counts as begun."""
        job = folder.name
        # Once for a job: a later attempt finds the files of the first.
        if not attempts.is_given(self._exchange, job):
            self._give_state(folder, job)
            attempts.give(self._exchange, job, folder)
        place = attempts.attempt_prefix(job, number)
        if (folder / PRECISION).is_file():
            self._exchange.put_file(f"{place}/{PRECISION}", folder / PRECISION)
        attempt = RunAttempt(number, f"{job}-{number}")
        # Before it is handed in, as the module says.
        attempt.write(folder)
        return attempt

    def _give_state(self, folder: Path, job: str) -> None:
        """What a process on this machine had come to, for a job that began here."""
        if not (folder / RESUME).is_file():
            return
        for name in (PRECISION, PROGRESS):
            # As attempt 0, which no node has: the search for the newest state ends with it.
            self._exchange.put_file(f"{attempts.attempt_prefix(job, 0)}/{name}", folder / name)
        attempts.save_state(self._exchange, job, 0, folder / RESUME, 0)

    def _submit(self, job: str, attempt: RunAttempt, program: str) -> None:
        package = package_of(self._root)
        name = f"_ray_pkg_{hashlib.sha256(package).hexdigest()[:16]}.zip"
        self._ray.keep_package(name, lambda: package)
        words = [*shlex.split(self._python), "-m", "helpers.backend.executors.node"]
        words += ["--exchange", self._exchange.uri, "--job", job]
        words += ["--attempt", str(attempt.number), "--program", program]
        self._ray.submit(attempt.key, shlex.join(words), cpus=self._threads, package=name)


def bring(exchange: Exchange, folder: Path, number: int) -> None:
    """Bring what an attempt has written into the job's folder; its saved state stays there."""
    place = attempts.attempt_prefix(folder.name, number)
    # First, and written last: what it tells of has then been brought.
    told = exchange.get(f"{place}/{PROGRESS}")
    found = exchange.names(place)
    log_name = LOG
    for name, size in found.items():
        # Each attempt's log is kept; the later ones are 2.trainer.log and so on.
        path = folder / (name if name != log_name or number == 1 else f"{number}.{name}")
        if name.startswith("resume") or name in (PROGRESS, STOP, SPEC):
            continue
        # By size: only the log grows, all else is written once.
        if not path.is_file() or path.stat().st_size != size:
            exchange.get_file(f"{place}/{name}", path)
    if told is not None:
        _tell(folder / PROGRESS, told)


def _tell(path: Path, told: bytes) -> None:
    """Append what is new, so that a reader goes on where it was; else replace the file."""
    known = path.read_bytes() if path.is_file() else b""
    if known and told.startswith(known):
        if len(told) > len(known):
            with path.open("ab") as stream:
                stream.write(told[len(known) :])
    elif told != known:
        write_bytes(path, told)


def package_of(root: Path) -> bytes:
    """The library's code as a zip that is the same bytes for the same code."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in _sources(root / "helpers"):
            info = zipfile.ZipInfo(path.relative_to(root).as_posix(), ZIP_TIME)
            packed.writestr(info, path.read_bytes(), zipfile.ZIP_DEFLATED)
    return whole.getvalue()


def _sources(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path
