"""The training process: told by files, stopped by a signal or a file, gone with its parent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from helpers.backend.training.spec import PAUSED, STOP, TrainSpec, read_progress
from helpers.backend.training.worker import ProgressFile, error_row
from tests.backend.training.tiny import write_chat, write_gguf

ORPHANED = 76


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> TrainSpec:
    folder = tmp_path_factory.mktemp("train")
    return TrainSpec(
        str(write_gguf(folder / "tiny.gguf")),
        str(write_chat(folder / "train.jsonl")),
        n_epochs=50,
        batch_size=1,
        threads=1,
        rank=4,
        alpha=8,
    )


def start(job: Path, **environment: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "helpers.backend.training.worker", str(job)],
        env={**os.environ, **environment},
        stderr=subprocess.PIPE,
    )


@pytest.fixture
def begin(tmp_path: Path, spec: TrainSpec) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start the process on a job in tmp_path/job; it is killed when the test ends."""
    started = []

    def begin(job: Path = tmp_path / "job", **changes: Any) -> subprocess.Popen[bytes]:
        if not (job / "spec.json").exists():
            TrainSpec(**{**vars(spec), **changes}).write(job)
        started.append(start(job))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def steps(job: Path) -> list[dict[str, Any]]:
    return [row for row in read_progress(job) if row["type"] == "step"]


def wait_for_steps(job: Path, number: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        if len(steps(job)) >= number:
            return
        assert process.poll() is None, process.stderr.read().decode()[-2000:]
        time.sleep(0.1)
    raise AssertionError(f"step {number} never came")


def weights(job: Path) -> bytes:
    (last,) = [row for row in read_progress(job) if row["type"] == "checkpoint"][-1:]
    return (job / last["path"] / "adapter_model.safetensors").read_bytes()


@pytest.mark.slow
def test_killed_and_stopped_and_started_again_it_ends_as_if_nothing_had_been(
    begin: Any, tmp_path: Path
) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert begin(whole, n_epochs=30).wait(120) == 0

    process = begin(cut, n_epochs=30)
    wait_for_steps(cut, 40, process)
    process.kill()
    process.wait()
    process = begin(cut)
    wait_for_steps(cut, 90, process)
    (cut / STOP).touch()
    assert process.wait(30) == PAUSED
    (cut / STOP).unlink()
    assert begin(cut).wait(120) == 0

    assert weights(cut) == weights(whole)
    assert [row["step"] for row in steps(cut)] == list(range(1, 331))
    same = ("step", "train_loss", "train_mean_token_accuracy")
    assert [[r[k] for k in same] for r in steps(cut)] == [
        [r[k] for k in same] for r in steps(whole)
    ]
    assert read_progress(cut)[-1]["type"] == "done"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")
def test_sigterm_saves_and_pauses(begin: Any, tmp_path: Path) -> None:
    process = begin()
    wait_for_steps(tmp_path / "job", 3, process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == PAUSED
    assert (tmp_path / "job/resume.pt").is_file()
    assert not list((tmp_path / "job").rglob("*.partial"))


@pytest.mark.slow
def test_a_file_that_cannot_be_read_is_an_error_row(begin: Any, tmp_path: Path) -> None:
    process = begin(training_file=str(tmp_path / "missing.jsonl"))
    assert process.wait(60) == 1
    (row,) = read_progress(tmp_path / "job")
    assert (row["type"], row["code"]) == ("error", "training_failed")
    assert "missing.jsonl" in row["message"]


@pytest.mark.slow
def test_it_ends_when_the_process_that_started_it_is_gone(spec: TrainSpec, tmp_path: Path) -> None:
    job = tmp_path / "job"
    spec.write(job)
    parent = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    process = start(job, WORKBOOK_PARENT=str(parent.pid))
    try:
        wait_for_steps(job, 1, process)
        parent.kill()
        parent.wait()
        assert process.wait(30) == ORPHANED
    finally:
        parent.kill()
        process.kill()
        process.communicate()


def test_a_half_written_last_line_of_the_progress_file_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "progress.jsonl").write_text(json.dumps({"type": "started"}) + '\n{"type": "st')
    assert read_progress(tmp_path) == [{"type": "started"}]


def test_a_start_that_fails_at_once_keeps_the_steps_that_were_told(tmp_path: Path) -> None:
    told = [{"type": "step", "step": 1}, {"type": "checkpoint", "step": 1}]
    before = [{"type": "started"}, *told]
    (tmp_path / "progress.jsonl").write_text("".join(json.dumps(row) + "\n" for row in before))
    failed = error_row(FileNotFoundError("base.gguf"))
    ProgressFile(tmp_path).emit(failed)
    assert read_progress(tmp_path) == [*told, failed]


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    ],
)
def test_too_little_memory_is_named_with_its_remedy(error: Exception) -> None:
    row = error_row(error)
    assert row["code"] == "out_of_memory"
    assert "batch_size" in row["message"]


def test_any_other_failure_is_said_in_its_own_words() -> None:
    row = error_row(ValueError("cannot train the architecture 'gpt2'"))
    assert row["message"] == "ValueError: cannot train the architecture 'gpt2'"
