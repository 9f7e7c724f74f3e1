"""The life of a batch: checked, answered when the machine is free, written to a file.

For: many requests that can wait. They are answered one batch after the other: on the nodes of a
cluster if there is one (`spread`), else here and never while a job trains; a job that waits gets
its turn after some hundred of them. What was answered survives the death of the server. Not for:
the forms of the lines (`line_format`), nor how many are answered together (`inference.engine`).

    batches.submit("/v1/chat/completions", "file-abc", owner="key:anna")
    batches.cancel("batch_abc")
"""

from __future__ import annotations

import contextlib
import itertools
import json
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import anyio

from helpers.backend.batch import line_format
from helpers.backend.batch.asking import ask_all
from helpers.backend.batch.line_format import Answers, BatchInput, BatchLine, tally, total_usage
from helpers.backend.batch.spread import Spread
from helpers.backend.executors.interface import Executor
from helpers.backend.inference.models import ServedModel
from helpers.backend.protocol.errors import ApiError, not_found
from helpers.backend.protocol.schemas import new_id
from helpers.backend.storage.database import FAULTS
from helpers.backend.storage.store import LAST, OWNER, Document, Store
from helpers.backend.storage.uploads import keep
from helpers.backend.storage.work_queue import WorkQueue
from helpers.base.files import own_copy

POLL = 0.15
SHARE = 0.75
"""Of what the engine answers at the same time: people come first."""
CANCELLABLE = ("validating", "in_progress", "cancelling")
UNDER_WAY = (*CANCELLABLE, "finalizing")
# Not "failed": what was answered before a fault stays in the batch's folder.
ENDED = ("completed", "cancelled", "expired")
INPUT = "input.jsonl"
SLICE = 500
"""Requests between two looks at whether a job waits for the cores."""
MAX_FAULTS = 3
"""Times that the server itself stumbles over a batch, say at a full disk, before it fails."""

Ask = Callable[[str, str, Mapping[str, Any]], Awaitable[tuple[int, str, Any]]]
"""Sends an owner's body to a path of this server; status, request id and body of the answer."""


class Batches:
    """Answers batches one after the other in a background thread."""

    def __init__(
        self,
        store: Store,
        *,
        cores: threading.Lock,
        at_once: Callable[[str, str], int],
        nodes: Executor | None = None,
        threads: int = 1,
        model: Callable[[str, str], ServedModel | None] = lambda owner, name: None,
    ) -> None:
        """`nodes`: where parts of a batch are answered, if elsewhere, each with so many `threads`;
        `model` says of an owner's model what a node needs, or None if only this machine has it."""
        # It works for all owners. Who may ask for what is settled before, see `service.owned`.
        self._store, self._cores = store.everyones(), cores
        self._queue = WorkQueue(self._store, "batch", UNDER_WAY, work=self._run, broke=self._broke)
        self._set = self._queue.set
        self._engine_takes = at_once
        self._nodes, self._threads, self._model = nodes, threads, model
        self._ask: Ask | None = None

    def start(self, ask: Ask) -> None:
        """Begin to answer, also what an earlier server left undone."""
        self._ask = ask
        # Left by a server that died between the last status and the removal.
        for folder in self._store.jobs.glob("batch_*"):
            batch = self._store.get("batch", folder.name)
            if batch is None or batch["status"] in ENDED:
                self._store.remove_job_dir(folder.name)
        self._queue.start()

    @property
    def waiting(self) -> int:
        """How many batches are not over yet."""
        return len(self._queue.waiting())

    def submit(
        self,
        endpoint: str,
        input_file: str,
        *,
        owner: str,
        metadata: Mapping[str, str] | None = None,
        output_seconds: int | None = None,
    ) -> Document:
        """Store a new batch with a copy of its requests, and queue it."""
        key = new_id("batch_")
        folder = self._store.job_dir(key)
        folder.mkdir(parents=True)
        # A copy, since the upload may be deleted while the batch waits.
        own_copy(self._store.file(input_file), folder / INPUT)
        self._store.share_job(key)
        body = line_format.new_batch(
            key, endpoint, input_file, metadata=metadata, output_seconds=output_seconds
        )
        self._store.put("batch", key, body | {OWNER: owner, LAST: self._store.server})
        self._queue.wake()
        return body

    def get(self, key: str) -> Document:
        batch = self._store.get("batch", key)
        if batch is None:
            raise not_found("Batch", key, "batch_id")
        return batch

    def cancel(self, key: str) -> Document:
        """Stop a batch; what was answered until then is in its output file."""
        with self._queue.lock:
            with self._queue.deciding():
                status = self.get(key)["status"]
                if status not in CANCELLABLE:
                    raise ApiError(
                        409,
                        f"Cannot cancel a batch with status '{status}'.",
                        code="invalid_status",
                        headers={"x-should-retry": "false"},
                    )
                self._set(key, status="cancelling", cancelling_at=int(time.time()))
                waits = self._queue.claim(key) is not None
            # One that waits for others ends at once.
            if waits:
                self._finish(key, Answers(self._bring(key)), self._read(key)[0])
            return self.get(key)

    def _bring(self, key: str) -> Path:
        """The batch's folder as whoever answered last has left it, now the newest there is."""
        folder = self._store.bring_job(self.get(key))
        self._set(key, **{LAST: self._store.server})
        return folder

    def stop(self) -> None:
        """Answer nothing more; the batch goes on at the next start."""
        self._queue.stop()

    def join(self) -> None:
        """Wait for the thread's end, after its requests to the engine have been cancelled."""
        self._queue.join()

    def _begin(self, key: str) -> bool:
        """Mark a batch as being answered; False if there is nothing more to answer."""
        with self._queue.deciding():
            batch = self.get(key)
            if self._stopped(key) or batch["status"] == "finalizing":
                return False
            since = batch["in_progress_at"] or int(time.time())
            self._set(key, status="in_progress", in_progress_at=since)
            return True

    def _stopped(self, key: str) -> bool:
        """Whether nothing more is to be answered: cancelled, out of time, or the server ends."""
        batch = self.get(key)
        late = time.time() > batch["expires_at"]
        return self._queue.closing.is_set() or batch["status"] == "cancelling" or late

    def _broke(self, key: str, error: Exception) -> None:
        """The server itself stumbled over a batch: it is tried again, and what is there stays."""
        with contextlib.suppress(*FAULTS):
            faults = self.get(key).get("_faults", 0) + 1
            self._set(key, _faults=faults)
            if faults >= MAX_FAULTS:
                kept = self._store.job_dir(key) / line_format.NAME
                message = f"{type(error).__name__}: {error}. What was answered is in {kept}."
                self._fail(key, [line_format.BatchProblem("server_error", message)])

    def _read(self, key: str) -> tuple[BatchInput, list[line_format.BatchProblem]]:
        source = self._store.job_dir(key) / INPUT
        return line_format.read(source, endpoint=self.get(key)["endpoint"])

    def _run(self, key: str) -> None:
        folder = self._bring(key)
        lines, problems = self._read(key)
        if problems:
            self._fail(key, problems)
            self._store.remove_job_dir(key)
            return
        answers = Answers(folder)
        counts = tally(answers.rows()) | {"total": lines.total}
        self._set(key, model=lines.model, request_counts=counts)
        if self._begin(key):
            spread = self._spread(key, answers, lines)
            spread.run() if spread else self._answer_here(key, answers, lines)
        if not self._queue.closing.is_set():
            self._finish(key, answers, lines)

    def _answer_here(self, key: str, answers: Answers, lines: BatchInput) -> None:
        left = answers.left(lines)
        while not self._stopped(key) and (part := list(itertools.islice(left, SLICE))):
            with self._alone(key) as free:
                if free:
                    anyio.run(self._ask_all, key, answers, part)
                    self._store.share_job(key)
            # Whoever waits for the cores takes them now.
            time.sleep(0.01)

    def _spread(self, key: str, answers: Answers, lines: BatchInput) -> Spread | None:
        """Nodes that answer it, part by part; None if this machine is to answer."""
        batch = self.get(key)
        model = self._model(batch[OWNER], lines.model) if self._nodes else None
        if self._nodes is None or model is None:
            return None
        return Spread(
            self._nodes,
            self._store.job_dir(key),
            lines,
            model,
            answers,
            threads=self._threads,
            stopped=lambda: self._stopped(key),
            leaving=self._queue.closing.is_set,
            answered=lambda rows: self._answered(key, answers, rows),
        )

    @contextlib.contextmanager
    def _alone(self, key: str) -> Iterator[bool]:
        """Wait until nothing trains; False if the batch was stopped meanwhile."""
        # In short waits: a batch that is cancelled meanwhile must not wait for the training's end.
        while not self._cores.acquire(timeout=POLL):
            if self._stopped(key):
                yield False
                return
        try:
            yield True
        finally:
            self._cores.release()

    def _answered(self, key: str, answers: Answers, rows: Sequence[Mapping[str, Any]]) -> None:
        """Keep answers, and count them."""
        new = tally(rows)

        def count(batch: Document) -> None:
            for name, number in new.items():
                batch["request_counts"][name] += number

        # Answers come from many tasks; a line must be whole in the file, and counted once.
        with self._queue.lock:
            answers.add(rows)
            self._store.update("batch", key, count)

    async def _ask_all(self, key: str, answers: Answers, lines: Sequence[BatchLine]) -> None:
        """Send each request to this server, some at a time."""
        assert self._ask
        ask, batch = self._ask, self.get(key)
        owner, endpoint = batch[OWNER], batch["endpoint"]
        most = max(1, int(SHARE * self._engine_takes(owner, lines[0].body["model"])))

        def answered(row: dict[str, Any]) -> None:
            # Of a server that ends, it may be the answer that it ends.
            if not self._queue.closing.is_set():
                self._answered(key, answers, [row])

        await ask_all(
            lambda body: ask(owner, endpoint, body),
            lines,
            most,
            lambda: self._stopped(key),
            answered,
        )

    def _finish(self, key: str, answers: Answers, lines: BatchInput) -> None:
        """Write the files of a batch that ran to its end, was cancelled or ran out of time.

        One line after the other, so that the longest batch takes no more memory than a short one.
        """
        # From here on it can no longer be cancelled. After a crash it is found "finalizing", and
        # its files are written again.
        with self._queue.deciding():
            batch = self.get(key)
            cancelled = batch["status"] == "cancelling"
            if not cancelled:
                self._set(key, status="finalizing", finalizing_at=int(time.time()))
        whole = len(answers) == lines.total
        status = "cancelled" if cancelled else "completed" if whole else "expired"
        message = f"The batch is {status}; this request was not sent."
        counts = tally(answers.rows())
        counts["failed"] = lines.total - counts["completed"]
        bad = answers.bad(lines, code=f"batch_{status}", message=message)
        files = {
            f"{kind}_file_id": keep(
                self._store,
                f"{key}_{kind}.jsonl",
                (json.dumps(row).encode() + b"\n" for row in rows),
                purpose="batch_output",
                parent=key,
                seconds=batch["_output_seconds"],
            )
            for kind, number, rows in (
                ("output", counts["completed"], answers.good()),
                ("error", counts["failed"], bad),
            )
            if number
        }
        with self._queue.lock:
            self._set(
                key,
                **{"status": status, f"{status}_at": int(time.time())},
                **files,
                usage=total_usage(answers.good()),
                request_counts={"total": lines.total, **counts},
            )
        # Last: until the status is written, the answers are here alone.
        self._store.remove_job_dir(key)

    def _fail(self, key: str, problems: Sequence[line_format.BatchProblem]) -> None:
        data = [problem.body() for problem in problems]
        errors = {"object": "list", "data": data}
        with self._queue.lock:
            self._set(key, status="failed", failed_at=int(time.time()), errors=errors)
