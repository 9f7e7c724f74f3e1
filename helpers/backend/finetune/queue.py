"""The life of a fine-tuning job: queue, process, events, checkpoints, the end.

For: jobs, each in a process of its own, that survive the death of either side. Not for:
training (`training.worker`), checking the files (`service.training`), or where a process runs
(`executors`).

    jobs.submit(body, spec)     # queued
    jobs.cancel("ftjob-abc")
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from helpers.backend.executors.interface import LOST, Executor, NotNow, Run
from helpers.backend.executors.local import LocalExecutor
from helpers.backend.protocol.errors import ApiError, not_found
from helpers.backend.protocol.schemas import new_id
from helpers.backend.storage.database import FAULTS
from helpers.backend.storage.store import AT, LAST, OWNER, Document, Store
from helpers.backend.storage.uploads import keep
from helpers.backend.storage.work_queue import WorkQueue
from helpers.backend.training.results import metrics_csv, step_event
from helpers.backend.training.spec import (
    LOSSES,
    PAUSED,
    STOP,
    ProgressPlace,
    TrainSpec,
    read_new_progress,
    read_progress,
    write_rate,
)
from helpers.base.settings import Settings

POLL = 0.15
SHARE_SECONDS = 10.0
"""Between two looks at what other servers should have of a running job's folder."""
RETRY_SECONDS = 10
"""Between two tries to start a job where a cluster does not answer."""
KEPT_CHECKPOINTS = 3
MAX_DEATHS = 3  # of a process without a reason; then the job is given up
MAX_LOSSES = 20  # of the node under a process, for which the job can do nothing
ELSEWHERE = "Its node was lost; the job goes on elsewhere"
INTERRUPTED = "The trainer was interrupted; the job goes on"
WAITING = ("validating_files", "queued")
# States in which nothing of a job may still run on a cluster, should the server have died before it
# could end it.
SETTLED = ("cancelled", "paused", "failed")
CUT_OFF = ("running", "validating_files")
OVER = ("succeeded", "failed", "cancelled")


class Jobs:
    """Runs queued jobs in the background, as many at once as the executor has room for."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        *,
        executor: Executor | None = None,
        warm: Callable[[str, str], None] = lambda owner, model: None,
    ) -> None:
        # It works for all owners. Who may ask for what is settled before, see `service.owned`.
        self._store, self._warm = store.everyones(), warm
        self._executor = executor or LocalExecutor(settings.root)
        self._runs: dict[str, Run] = {}
        self._queue = WorkQueue(
            self._store,
            "job",
            ("queued",),
            work=self._work,
            broke=self._broke,
            free=self._executor.free,
            look=self._rescue,
        )
        self._set = self._queue.set
        for job in self._store.list("job", keep=lambda job: job["status"] in SETTLED)[0]:
            # A paused one goes on from what lies there.
            over = job["status"] != "paused"
            self._executor.forget(self._store.job_dir(job["id"]), discard=over)
        self._rescue(starting=True)
        self._queue.start()

    @property
    def busy(self) -> bool:
        """Whether a job runs or waits."""
        return bool(self._queue.current) or self.waiting > 0

    @property
    def waiting(self) -> int:
        """How many jobs are in the queue."""
        return len(self._queue.waiting())

    def submit(self, body: Document, spec: TrainSpec, *, warnings: Sequence[str] = ()) -> Document:
        """Store a new job whose files are good, and queue it; each warning becomes an event.

        `body["_owner"]` says whose it is.
        """
        job_id = body["id"]
        folder = self._store.job_dir(job_id)
        # Folder first, then the document: whoever finds a job finds its files. After a crash in
        # between the folder is left over, and no job without files.
        spec.with_own_files(folder).write(folder)
        self._store.share_job(job_id)
        here = self._store.server
        self._store.put("job", job_id, body | {AT: here, LAST: here})
        self.event(job_id, f"Created fine-tuning job: {job_id}")
        self.event(job_id, f"Validating training file: {body['training_file']}")
        if body["validation_file"]:
            self.event(job_id, f"Validating validation file: {body['validation_file']}")
        for text in warnings:
            self.event(job_id, text, level="warn")
        self.event(job_id, "Files validated, moving job to queued state")
        # Queued only now: until here a worker would begin before its first events.
        done = self._set(job_id, status="queued", **{AT: None})
        self._queue.wake()
        return done

    def get(self, job_id: str) -> Document:
        job = self._store.get("job", job_id)
        if job is None:
            raise not_found("FineTuningJob", job_id, "fine_tuning_job_id")
        return job

    def cancel(self, job_id: str) -> Document:
        """End a job now; its process is killed, what it made stays in its folder."""
        with self._queue.deciding():
            self._must(job_id, ("running", "paused", *WAITING), "cancelled")
            self.event(job_id, "The job has been cancelled", level="warn")
            done = self._set(job_id, status="cancelled", finished_at=int(time.time()))
        # On another server, the job's thread sees it, see `_obey`.
        if run := self._runs.get(job_id):
            run.kill()
        # One that is worked on is discarded when its run has ended.
        if job_id not in self._queue.current and not self._store.is_elsewhere(done):
            self._executor.discard(self._store.job_dir(job_id))
        return done

    def pause(self, job_id: str) -> Document:
        """Save the state and stop; `resume` goes on from there."""
        with self._queue.deciding():
            self._must(job_id, ("running", "queued"), "paused")
            done = self._set(job_id, status="paused")
            self.event(job_id, "The job has been paused")
            # One that only waits needs no stop; its status alone keeps it from being chosen.
            if job_id in self._queue.current:
                (self._store.job_dir(job_id) / STOP).touch()
        return done

    def resume(self, job_id: str) -> Document:
        """Queue a paused job again."""
        with self._queue.deciding():
            self._must(job_id, ("paused",), "resumed")
            done = self._set(job_id, status="queued")
            self.event(job_id, "The job has been resumed")
        self._queue.wake()
        return done

    def event(self, job_id: str, message: str, *, level: str = "info", data: Any = None) -> None:
        """Append an event; with `data` it is one of type metrics."""
        key = new_id("ftevent-")
        body = {
            "object": "fine_tuning.job.event",
            "id": key,
            "created_at": int(time.time()),
            "level": level,
            "message": message,
            "data": data or {},
            "type": "metrics" if data else "message",
        }
        self._store.put("event", key, body, parent=job_id)

    def close(self) -> None:
        """Stop the threads, and what runs on this machine; jobs go on at the next start."""
        self._queue.stop()
        with self._queue.lock:
            self._executor.close()
        self._queue.join()

    def _must(self, job_id: str, states: tuple[str, ...], done: str) -> None:
        status = self.get(job_id)["status"]
        if status not in states:
            raise ApiError(
                400, f"A job in status '{status}' cannot be {done}.", code="invalid_job_state"
            )

    def _rescue(self, *, starting: bool = False) -> None:
        """A job that ran, or was just created, when its server died waits again."""
        found, _ = self._store.list("job", keep=lambda job: self._is_adrift(job, starting))
        for job in found:
            with self._queue.deciding():
                # Another server may have been quicker.
                if self._is_adrift(self.get(job["id"]), starting):
                    self._set(job["id"], status="queued", **{AT: None})
                    text = "The server was interrupted; the job goes on"
                    self.event(job["id"], text, level="warn")

    def _is_adrift(self, job: Document, starting: bool) -> bool:
        """Whether nobody works on a job that should be worked on."""
        if job["status"] not in CUT_OFF:
            return False
        if job.get(AT) == self._store.server:
            # One that is just being created is in good hands.
            mine = job["id"] in self._queue.current or job["status"] == "validating_files"
            return starting or not mine
        return not self._store.is_elsewhere(job)

    def _work(self, job_id: str) -> None:
        with self._executor.room() as inside:
            if inside:
                self._run(job_id)

    def _run(self, job_id: str) -> None:
        folder = self._bring(job_id)
        with self._queue.deciding():
            if self.get(job_id)["status"] != "queued" or self._queue.closing.is_set():
                return
            # Left by an earlier pause, it would stop the trainer in its first step.
            (folder / STOP).unlink(missing_ok=True)
            self._set(job_id, status="running")
        # The last server was killed before it could say so: nothing is left to be trained.
        if (read_progress(folder) or [{"type": "none"}])[-1]["type"] == "done":
            self._executor.forget(folder, discard=False)
            self._take(job_id, ProgressPlace())
            self._ended(job_id, 0)
            return
        # Not under the lock: its files may have to travel first.
        try:
            run = self._executor.start(folder)
        except NotNow as error:
            self._wait(job_id, str(error))
            return
        with self._queue.lock:
            self._runs[job_id] = run
            # It was cancelled while it was being started, when there was no run to kill.
            if self.get(job_id)["status"] == "cancelled":
                run.kill()
            # Or the server was closed, when the executor did not know of it yet.
            if self._queue.closing.is_set():
                self._executor.close()
        # Once in a job's life, not at each start.
        if not self.get(job_id).get("_started"):
            self.event(job_id, "Fine-tuning job started")
            self._set(job_id, _started=True)
        code = self._follow(job_id, run, folder)
        with self._queue.lock:
            self._runs.pop(job_id, None)
        if code is not None and not self._queue.closing.is_set():
            self._ended(job_id, code)

    def _bring(self, job_id: str) -> Path:
        """The job's folder as whoever worked on it last has left it, now the newest there is."""
        job = self.get(job_id)
        folder = self._store.bring_job(job)
        if job.get(LAST) not in (None, self._store.server):
            self._moved(TrainSpec.read(folder), folder).write(folder)
        self._set(job_id, **{LAST: self._store.server})
        return folder

    def _moved(self, spec: TrainSpec, folder: Path) -> TrainSpec:
        """What another server was to train, with this machine's paths."""
        parent = spec.parent_adapter
        if parent:
            parts = Path(parent).parts
            inside = max(at for at, part in enumerate(parts) if part.startswith("ftjob-"))
            parent = str(self._store.adapter("/".join(parts[inside:])))
        other = spec.validation_file
        return replace(
            spec,
            training_file=str(folder / Path(spec.training_file).name),
            validation_file=str(folder / Path(other).name) if other else None,
            parent_adapter=parent,
        )

    def _follow(self, job_id: str, run: Run, folder: Path) -> int | None:
        """See to a run until its end; returns its exit code, None if the server ends before."""
        place, shared = ProgressPlace(), time.monotonic()
        while (code := run.poll()) is None and not self._queue.closing.is_set():
            self._executor.sync(folder)
            place = self._take(job_id, place)
            self._obey(job_id, run)
            if time.monotonic() - shared > SHARE_SECONDS:
                self._store.share_job(job_id)
                shared = time.monotonic()
            time.sleep(POLL)
        # Once more: what it wrote between the last look and its end.
        self._take(job_id, place)
        self._store.share_job(job_id)
        return code

    def _obey(self, job_id: str, run: Run) -> None:
        """Do what another server was told about the job."""
        job = self.get(job_id)
        if job["status"] == "cancelled" or job.get(AT) != self._store.server:
            run.kill()
        elif job["status"] == "paused":
            (self._store.job_dir(job_id) / STOP).touch()

    def _wait(self, job_id: str, why: str) -> None:
        """Put a job that could not be started back into the queue."""
        with self._queue.deciding():
            job = self.get(job_id)
            if job["status"] == "running":
                self._set(job_id, status="queued", _waits=why)
        # Once: it is tried again and again while a cluster is away.
        if job.get("_waits") != why:
            self.event(job_id, f"The job could not be started and waits: {why}", level="warn")
        self._queue.closing.wait(RETRY_SECONDS)

    def _take(self, job_id: str, place: ProgressPlace) -> ProgressPlace:
        """Turn new lines of the progress file into events and checkpoints."""
        rows, place = read_new_progress(self._store.job_dir(job_id), place)
        for row in rows:
            # Read anew for each row: what it tells may stand in the job already, since a
            # trainer that goes on writes the steps before the saved state again.
            job = self.get(job_id)
            if row["type"] == "started" and not job.get("_tokens"):
                self._set(job_id, _tokens=row["tokens"])
            elif row["type"] == "step" and row["step"] > job.get("_seen", 0):
                text, data = step_event(row)
                self.event(job_id, text, data=data)
                self._set(job_id, _seen=row["step"])
            elif row["type"] == "checkpoint":
                self._checkpoint(job, row)
        return place

    def _checkpoint(self, job: Document, row: dict[str, Any]) -> None:
        newest, _ = self._store.list("checkpoint", parent=job["id"], limit=1)
        # Told once more by a trainer that goes on; one that is no longer kept must not come back.
        if newest and row["step"] <= newest[0]["step_number"]:
            return
        key = f"ftckpt_{job['id'].removeprefix('ftjob-')}{row['step']}"
        model = f"{self._model_name(job)}:ckpt-step-{row['step']}"
        body = {
            "object": "fine_tuning.job.checkpoint",
            "id": key,
            "created_at": int(time.time()),
            "fine_tuned_model_checkpoint": model,
            "fine_tuning_job_id": job["id"],
            "step_number": row["step"],
            "metrics": row["metrics"],
            "_path": row["path"],
        }
        self._store.put("checkpoint", key, body, parent=job["id"])
        self._add_model(job, model, row["path"], checkpoint=True)
        every, _ = self._store.list("checkpoint", parent=job["id"])
        for old in every[KEPT_CHECKPOINTS:]:
            self._store.delete("checkpoint", old["id"])
            self._store.delete("model", old["fine_tuned_model_checkpoint"])

    def _model_name(self, job: Document) -> str:
        """`ft:base:course:suffix:id`, the same for the job's whole life."""
        # The base of "ft:smollm2:workbook:support:1a2b3c4d", where a job goes on from a tuned
        # model.
        base = re.sub(r"^ft:([^:]+):.*$", r"\1", job["model"])
        return f"ft:{base}:workbook:{job['_suffix'] or ''}:{job['id'].removeprefix('ftjob-')[:8]}"

    def _add_model(self, job: Document, name: str, path: str, *, checkpoint: bool) -> None:
        folder = self._store.job_dir(job["id"])
        # Before it can be asked for: another server brings it from there.
        self._store.share_job(job["id"])
        body = {
            "id": name,
            "object": "model",
            "created": int(time.time()),
            "owned_by": "workbook",
            "_gguf": TrainSpec.read(folder).base_gguf,
            "_adapter": f"{job['id']}/{path}",
            "_job": job["id"],
            "_checkpoint": checkpoint,
        }
        self._store.put("model", name, body, parent=job["id"])

    def _ended(self, job_id: str, code: int) -> None:
        """Decide what the end of the process means."""
        job, folder = self.get(job_id), self._store.job_dir(job_id)
        if job.get(AT) != self._store.server:
            return
        if job["status"] == "cancelled":
            self._executor.discard(folder)
            return
        # A trainer that was killed before its first line leaves none.
        rows = read_progress(folder) or [{"type": "none"}]
        last = rows[-1]
        # It may be resumed already: then it waits for its turn.
        if code == PAUSED and job["status"] in ("paused", "queued"):
            return
        # What it told counts, not its exit code: a trainer may be killed right after "done".
        if last["type"] == "done":
            seconds = max(row.get("seconds", 0.0) for row in rows)
            write_rate(self._store.root, tokens=last["trained_tokens"], seconds=seconds)
            self._succeed(job, last["trained_tokens"])
            self._executor.discard(folder)
        elif last["type"] == "error":
            self._fail(job_id, last["code"], last["message"])
        else:
            self._died(job, code)

    def _died(self, job: Document, code: int) -> None:
        lost = code == LOST
        count, most = ("_losses", MAX_LOSSES) if lost else ("_deaths", MAX_DEATHS)
        times = job.get(count, 0) + 1
        if times > most:
            said = "Its node was lost" if lost else "The trainer ended"
            why = "" if lost else f" ({code})"
            self._fail(job["id"], "training_failed", f"{said} {times} times{why}.")
            return
        with self._queue.deciding():
            # A job that was paused while its trainer died stays so.
            status = self.get(job["id"])["status"]
            again = "queued" if status == "running" else status
            self._set(job["id"], status=again, **{count: times})
        text = ELSEWHERE if lost else INTERRUPTED
        self.event(job["id"], text, level="warn")

    def _succeed(self, job: Document, trained_tokens: int) -> None:
        newest, _ = self._store.list("checkpoint", parent=job["id"], limit=1)
        name = self._model_name(job)
        self._add_model(job, name, newest[0]["_path"], checkpoint=False)
        folder = self._store.job_dir(job["id"])
        # Before the status: whoever sees that the job is over gets a quick first answer.
        self._warm(job[OWNER], name)
        files = [
            self._keep(job["id"], "step_metrics.csv", metrics_csv(read_progress(folder))),
            self._keep(job["id"], LOSSES, (folder / LOSSES).read_bytes()),
        ]
        with self._queue.deciding():
            # Cancelled while the model was loaded: that stays, and what was made for it goes.
            if self.get(job["id"])["status"] == "cancelled":
                self._store.delete("model", name)
                for key in files:
                    self._store.delete("file", key)
                return
            # Events come before the status: who sees that the job is over has all of them.
            self.event(job["id"], f"New fine-tuned model created: {name}")
            self.event(job["id"], "The job has successfully completed")
            self._set(
                job["id"],
                status="succeeded",
                fine_tuned_model=name,
                trained_tokens=trained_tokens,
                result_files=files,
                finished_at=int(time.time()),
            )

    def _broke(self, job_id: str, error: Exception) -> None:
        """The server itself stumbled over a job, say at a full disk; the others go on."""
        with self._queue.lock:
            if run := self._runs.pop(job_id, None):
                run.kill()
        with contextlib.suppress(*FAULTS):
            self._fail(job_id, "server_error", f"{type(error).__name__}: {error}")

    def _fail(self, job_id: str, code: str, message: str) -> None:
        # It may have been added already, when what came after it failed.
        self._store.delete("model", self._model_name(self.get(job_id)))
        error = {"code": code, "message": message, "param": None}
        self.event(job_id, f"The job failed: {message}", level="error")
        self._set(job_id, status="failed", error=error, finished_at=int(time.time()))
        self._executor.discard(self._store.job_dir(job_id))

    def _keep(self, job_id: str, name: str, data: bytes) -> str:
        return keep(self._store, name, data, purpose="fine-tune-results", parent=job_id)
