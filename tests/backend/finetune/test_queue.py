"""The queue without training: which job runs when, and what each end of a process means."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from helpers.backend.executors.interface import LOST, NotNow
from helpers.backend.executors.local import LocalExecutor
from helpers.backend.finetune import queue as jobs_module
from helpers.backend.finetune.queue import MAX_DEATHS, Jobs
from helpers.backend.protocol.errors import ApiError
from helpers.backend.storage.store import LOCAL, Store
from helpers.backend.training.spec import (
    LOSSES,
    PAUSED,
    PROGRESS,
    STOP,
    ProgressPlace,
    TrainSpec,
    read_new_progress,
)
from helpers.base.files import write_text

STEP = {"type": "step", "step": 1, "steps": 1, "epoch": 1, "train_loss": 0.5}
ROWS = [
    {"type": "started", "tokens": 7},
    STEP | {"train_mean_token_accuracy": 0.9},
    {"type": "checkpoint", "step": 1, "path": "checkpoints/step-1", "metrics": {}},
]
DONE = {"type": "done", "trained_tokens": 7}


class Process:
    """What a trainer is to the queue: alive until a test lets it end, or until it is killed."""

    pid = 0

    def __init__(self, folder: Path) -> None:
        self.folder, self.returncode = folder, None

    def poll(self) -> int | None:
        return self.returncode

    def kill(self) -> None:
        self.returncode = -9

    def end(self, code: int = 0, *rows: dict) -> None:
        text = "".join(json.dumps(row) + "\n" for row in [*ROWS, *rows])
        (self.folder / PROGRESS).write_text(text, encoding="utf-8")
        (self.folder / LOSSES).write_text("line,loss\n", encoding="utf-8")
        self.returncode = code


class Waiting(LocalExecutor):
    """Starts what waits for a test, in the place of processes."""

    def __init__(self, *args, **more) -> None:
        super().__init__(*args, **more)
        self.started: list[Process] = []
        self.discarded: list[str] = []

    def start(self, folder: Path) -> Process:
        self.started.append(Process(folder))
        return self.started[-1]

    def discard(self, folder: Path) -> None:
        self.discarded.append(folder.name)

    def close(self) -> None:
        for one in self.started:
            one.kill()


class Queue:
    """Jobs on an empty store, with processes that train nothing."""

    def __init__(self, settings, monkeypatch, warm: Callable[[str, str], None], at_once=1) -> None:
        self.store = Store(settings.state)
        monkeypatch.setattr(jobs_module, "POLL", 0.005)
        self.cores = threading.Lock()
        self.executor = Waiting(settings.root, at_once=at_once, cores=self.cores)
        self.started = self.executor.started
        self.jobs = Jobs(settings, self.store, executor=self.executor, warm=warm)

    def submit(self, name: str, **more: str) -> str:
        body = {
            "id": f"ftjob-{name}", "model": "base", "status": "validating_files",
            "training_file": "file-a", "validation_file": None, "_suffix": None,
            "_owner": LOCAL,
        } | more  # fmt: skip
        return self.jobs.submit(body, TrainSpec("base.gguf", "train.jsonl"))["id"]

    def status(self, name: str) -> str:
        return self.jobs.get(name)["status"]

    def told(self, name: str) -> list[str]:
        events, _ = self.store.list("event", parent=name, newest_first=False)
        return [event["message"] for event in events]


def until(seen: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.fixture
def warmed() -> list[str]:
    return []


@pytest.fixture
def queue(settings, monkeypatch, warmed) -> Iterator[Queue]:
    made = Queue(settings, monkeypatch, lambda owner, model: warmed.append(model))
    yield made
    made.jobs.close()
    made.store.close()


def test_jobs_run_one_at_a_time_in_the_order_of_their_creation(queue):
    first, second, third = (queue.submit(name) for name in "abc")
    until(lambda: queue.started)
    time.sleep(0.05)
    assert [queue.status(name) for name in (first, second, third)] == [
        "running",
        "queued",
        "queued",
    ]
    for done in range(1, 4):
        queue.started[-1].end(0, DONE)
        until(lambda done=done: len(queue.started) > done or queue.status(third) == "succeeded")
    assert [one.folder.name for one in queue.started] == [first, second, third]


def test_several_jobs_run_at_once_where_there_is_room_and_owners_take_turns(settings, monkeypatch):
    queue = Queue(settings, monkeypatch, lambda *_: None, at_once=2)
    first, second, third = (queue.submit(name, _owner="eager") for name in "abc")
    until(lambda: len(queue.started) == 2)
    late = queue.submit("d", _owner="late")
    time.sleep(0.05)
    assert len(queue.started) == 2
    # The cores are theirs until the last has ended.
    queue.started[0].end(0, DONE)
    until(lambda: len(queue.started) == 3)
    assert not queue.cores.acquire(blocking=False)
    queue.started[1].end(0, DONE)
    until(lambda: len(queue.started) == 4)
    names = [one.folder.name for one in queue.started]
    # The first two start at the same moment, each in a thread of its own.
    assert (sorted(names[:2]), names[2:]) == (sorted([first, second]), [late, third])
    for one in queue.started[2:]:
        one.end(0, DONE)
    until(lambda: not queue.jobs.busy)
    assert queue.cores.acquire(timeout=5)
    queue.jobs.close()
    queue.store.close()


def test_a_job_whose_node_is_lost_goes_on_and_is_not_said_to_have_died(queue):
    name = queue.submit("a")
    for number in range(1, MAX_DEATHS + 3):
        until(lambda number=number: len(queue.started) == number)
        queue.started[-1].end(LOST)
    until(lambda: len(queue.started) == MAX_DEATHS + 3)
    queue.started[-1].end(0, DONE)
    until(lambda: queue.status(name) == "succeeded")
    assert "Its node was lost; the job goes on elsewhere" in queue.told(name)
    assert "_deaths" not in queue.jobs.get(name)


def test_a_job_that_cannot_be_started_waits_and_says_why(settings, monkeypatch):
    queue = Queue(settings, monkeypatch, lambda *_: None)
    monkeypatch.setattr(jobs_module, "RETRY_SECONDS", 0.01)
    start, refusals = queue.executor.start, ["the cluster does not answer"] * 3

    def refuse_once(folder: Path) -> Process:
        if refusals:
            raise NotNow(refusals.pop())
        return start(folder)

    monkeypatch.setattr(queue.executor, "start", refuse_once)
    name = queue.submit("a")
    until(lambda: queue.started)
    said = [text for text in queue.told(name) if "waits: the cluster does not answer" in text]
    assert len(said) == 1, "once, however long it is away"
    queue.started[0].end(0, DONE)
    until(lambda: queue.status(name) == "succeeded")
    queue.jobs.close()
    queue.store.close()


def test_a_job_that_is_cancelled_while_it_is_being_started_is_ended(settings, monkeypatch):
    queue = Queue(settings, monkeypatch, lambda *_: None)
    start = queue.executor.start

    def slowly(folder: Path) -> Process:
        queue.jobs.cancel(folder.name)
        return start(folder)

    monkeypatch.setattr(queue.executor, "start", slowly)
    name = queue.submit("a")
    until(lambda: queue.started and queue.started[0].returncode == -9)
    until(lambda: not queue.jobs.busy)
    assert queue.status(name) == "cancelled"
    queue.jobs.close()
    queue.store.close()


def test_a_job_waits_for_the_cores_and_the_queue_can_end_meanwhile(queue):
    with queue.cores:
        first, second = queue.submit("a"), queue.submit("b")
        time.sleep(0.05)
        assert queue.started == []
        queue.jobs.cancel(first)
    until(lambda: queue.started)
    assert queue.started[0].folder.name == second
    queue.started[0].end(0, DONE)
    until(lambda: queue.status(second) == "succeeded")
    with queue.cores:
        third = queue.submit("c")
        time.sleep(0.1)
        start = time.monotonic()
        queue.jobs.close()
        assert time.monotonic() - start < 3
    assert queue.status(third) == "queued"


def test_a_model_is_loaded_before_its_job_is_said_to_have_succeeded(queue, warmed):
    name = queue.submit("a")
    until(lambda: queue.started)
    queue.started[0].end(0, DONE)
    until(lambda: queue.status(name) == "succeeded")
    assert warmed == [queue.jobs.get(name)["fine_tuned_model"]]


def test_a_job_that_is_cancelled_while_its_model_is_loaded_leaves_no_model(settings, monkeypatch):
    def cancel(owner: str, model: str) -> None:
        queue.jobs.cancel("ftjob-a")

    queue = Queue(settings, monkeypatch, cancel)
    name = queue.submit("a")
    until(lambda: queue.started)
    queue.started[0].end(0, DONE)
    until(lambda: not queue.jobs.busy)
    assert queue.status(name) == "cancelled"
    models, _ = queue.store.list("model")
    assert [model["id"].endswith(":ckpt-step-1") for model in models] == [True]
    assert queue.store.list("file") == ([], False)
    queue.jobs.close()
    queue.store.close()


def test_a_server_that_dies_at_the_end_of_a_job_trains_nothing_again_and_keeps_each_file_once(
    queue, monkeypatch
):
    name = queue.submit("a")
    until(lambda: queue.started)
    kept, deaths = queue.jobs._set, []

    def die_once(key: str, **changes: object) -> dict:
        if changes.get("status") == "succeeded" and not deaths:
            deaths.append(key)
            changes = {"status": "queued"}
        return kept(key, **changes)

    monkeypatch.setattr(queue.jobs, "_set", die_once)
    queue.started[0].end(0, DONE)
    until(lambda: queue.status(name) == "succeeded")
    assert deaths == [name]
    assert len(queue.started) == 1
    files, _ = queue.store.list("file", newest_first=False)
    assert [file["id"] for file in files] == queue.jobs.get(name)["result_files"]


def test_a_job_whose_last_files_cannot_be_stored_leaves_no_model(queue, monkeypatch):
    def keep(*args: object, **more: object) -> str:
        raise OSError("no space left")

    monkeypatch.setattr(jobs_module, "keep", keep)
    name = queue.submit("a")
    until(lambda: queue.started)
    queue.started[0].end(0, DONE)
    until(lambda: queue.status(name) == "failed")
    models, _ = queue.store.list("model")
    assert [model["id"].endswith(":ckpt-step-1") for model in models] == [True]


def test_checkpoints_that_are_told_again_do_not_drive_out_newer_ones(queue):
    name = queue.submit("a")
    until(lambda: queue.started)
    rows = [
        {"type": "checkpoint", "step": n, "path": f"checkpoints/step-{n}", "metrics": {}}
        for n in range(1, 6)
    ]
    queue.started[0].end(-9, *rows)
    until(lambda: len(queue.started) == 2)
    # It died before it told the last two of them again.
    queue.started[1].end(-9, *rows[:3])
    until(lambda: len(queue.started) == 3)
    found, _ = queue.store.list("checkpoint", parent=name)
    assert [one["step_number"] for one in found] == [5, 4, 3]


def test_a_run_that_is_being_started_when_the_server_closes_is_ended(settings, monkeypatch):
    queue = Queue(settings, monkeypatch, lambda *_: None)
    start, at_it, go = queue.executor.start, threading.Event(), threading.Event()

    def slowly(folder: Path) -> Process:
        at_it.set()
        go.wait(5)
        return start(folder)

    monkeypatch.setattr(queue.executor, "start", slowly)
    queue.submit("a")
    assert at_it.wait(5)
    threading.Timer(0.1, go.set).start()
    queue.jobs.close()
    assert [one.returncode for one in queue.started] == [-9]
    queue.store.close()


def test_a_job_that_is_resumed_before_its_trainer_has_stopped_is_no_death(queue):
    name = queue.submit("a")
    until(lambda: queue.started)
    queue.jobs.pause(name)
    assert (queue.started[0].folder / STOP).exists()
    queue.jobs.resume(name)
    queue.started[0].end(PAUSED)
    until(lambda: len(queue.started) == 2)
    assert not (queue.started[1].folder / STOP).exists()
    assert "_deaths" not in queue.jobs.get(name)
    assert not any("interrupted" in text for text in queue.told(name))


def test_a_paused_job_whose_trainer_dies_stays_paused(queue):
    name = queue.submit("a")
    until(lambda: queue.started)
    queue.jobs.pause(name)
    queue.started[0].end(-9)
    until(lambda: not queue.jobs.busy)
    until(lambda: queue.jobs.get(name).get("_deaths") == 1)
    assert queue.status(name) == "paused"


def test_a_jobs_files_are_its_own(queue, tmp_path):
    upload = tmp_path / "file-a"
    upload.write_text("{}\n", encoding="utf-8")
    spec = TrainSpec("base.gguf", str(upload)).with_own_files(tmp_path / "job")
    upload.unlink()
    assert Path(spec.training_file).read_text(encoding="utf-8") == "{}\n"
    assert spec.validation_file is None


def test_what_lies_elsewhere_is_removed_when_a_job_is_over_and_not_before(queue):
    gone = queue.executor.discarded
    good = queue.submit("good")
    until(lambda: queue.started)
    queue.started[0].end(LOST)
    until(lambda: len(queue.started) == 2)
    assert gone == []
    queue.started[1].end(0, DONE)
    until(lambda: gone == [good])
    bad = queue.submit("bad")
    until(lambda: len(queue.started) == 3)
    queue.started[2].end(1, {"type": "error", "code": "training_failed", "message": "no"})
    until(lambda: gone == [good, bad])
    kept = queue.submit("kept")
    until(lambda: len(queue.started) == 4)
    queue.jobs.pause(kept)
    queue.started[3].end(PAUSED)
    until(lambda: not queue.jobs._queue.current)
    assert gone == [good, bad]
    queue.jobs.cancel(kept)
    assert gone == [good, bad, kept]


def test_a_queued_job_that_is_paused_or_cancelled_never_starts(queue):
    queue.submit("a")
    paused, cancelled, last = (queue.submit(name) for name in "bcd")
    until(lambda: queue.started)
    queue.jobs.pause(paused)
    queue.jobs.cancel(cancelled)
    queue.started[0].end(0, DONE)
    until(lambda: len(queue.started) == 2)
    assert queue.started[1].folder.name == last
    assert (queue.status(paused), queue.status(cancelled)) == ("paused", "cancelled")


def test_a_cancelled_job_is_killed_at_once_and_cannot_be_cancelled_again(queue):
    name = queue.submit("a")
    until(lambda: queue.started)
    queue.jobs.cancel(name)
    assert queue.started[0].returncode == -9
    with pytest.raises(ApiError, match="'cancelled' cannot be cancelled"):
        queue.jobs.cancel(name)


def test_a_trainer_that_dies_is_started_again_some_times(queue):
    name = queue.submit("a")
    for number in range(1, MAX_DEATHS + 2):
        until(lambda number=number: len(queue.started) == number)
        queue.started[-1].end(-9)
    until(lambda: queue.status(name) == "failed")
    assert queue.jobs.get(name)["error"]["code"] == "training_failed"
    # A step that was reported before a death is not reported again.
    assert sum(text.startswith("Step 1/1") for text in queue.told(name)) == 1


def test_a_failure_of_the_server_itself_ends_one_job_and_not_the_queue(
    settings, monkeypatch, caplog
):
    def warm(owner: str, model: str) -> None:
        if "first" in model:
            raise OSError("no space left")

    queue = Queue(settings, monkeypatch, warm)
    first, second = queue.submit("first"), queue.submit("second")
    until(lambda: queue.started)
    queue.started[0].end(0, DONE)
    until(lambda: len(queue.started) == 2)
    queue.started[1].end(0, DONE)
    until(lambda: queue.status(second) == "succeeded")
    assert queue.jobs.get(first)["error"]["message"] == "OSError: no space left"
    assert "no space left" in caplog.text
    queue.jobs.close()
    queue.store.close()


def test_a_job_that_ran_when_the_server_died_waits_first_in_line(settings, monkeypatch, warmed):
    before = Queue(settings, monkeypatch, lambda owner, model: warmed.append(model))
    first, second = before.submit("a"), before.submit("b")
    until(lambda: before.started)
    before.jobs.close()
    # What a death in the middle of its creation would leave.
    before.store.update("job", second, lambda job: job.update(status="validating_files"))
    before.store.close()
    after = Queue(settings, monkeypatch, lambda owner, model: warmed.append(model))
    until(lambda: after.started)
    assert after.started[0].folder.name == first
    assert after.status(second) == "queued"
    assert "The server was interrupted; the job goes on" in after.told(first)
    after.jobs.close()
    after.store.close()


def test_only_what_is_new_in_the_progress_file_is_read(tmp_path):
    file = tmp_path / PROGRESS
    file.write_text('{"step": 1}\n{"st', encoding="utf-8")
    rows, place = read_new_progress(tmp_path, ProgressPlace())
    assert rows == [{"step": 1}]
    assert read_new_progress(tmp_path, place) == ([], place)
    with file.open("a", encoding="utf-8") as stream:
        stream.write('ep": 2}\n')
    rows, place = read_new_progress(tmp_path, place)
    assert rows == [{"step": 2}]
    # A trainer that goes on puts a new file in the place of the old one.
    write_text(file, '{"step": 1}\n{"step": 3}\n')
    assert read_new_progress(tmp_path, place)[0] == [{"step": 1}, {"step": 3}]
