"""Jobs on a cluster as the server sees them: handed in once, found again, ended, given up."""

from __future__ import annotations

import io
import json
import os
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from helpers.backend.executors import attempts, ray_jobs
from helpers.backend.executors.choice import choose_executor, offers
from helpers.backend.executors.exchange import Exchange
from helpers.backend.executors.interface import LOST, NotNow
from helpers.backend.executors.local import LocalExecutor
from helpers.backend.executors.node import Carrier
from helpers.backend.executors.ray_client import RayClient, address_of
from helpers.backend.executors.ray_jobs import KILLED, RayExecutor
from helpers.backend.training.spec import (
    PRECISION,
    PROGRESS,
    RESUME,
    STOP,
    TrainSpec,
    read_progress,
)
from helpers.base.errors import BackendError
from helpers.base.files import write_text
from helpers.base.template_tokenizer import BASE_FILE, folder_of
from tests.backend.executors.pretended_ray import TOKEN, PretendedRay, pretended_ray
from tests.places import ROOT

JOB = "ftjob-a"


@pytest.fixture
def ray(monkeypatch) -> Iterator[PretendedRay]:
    monkeypatch.setattr(ray_jobs, "EVERY", 0.0)
    monkeypatch.setattr(ray_jobs, "STOP_AGAIN", 0.0)
    with pretended_ray() as made:
        yield made


@pytest.fixture
def exchange(tmp_path: Path) -> Exchange:
    return Exchange.at(str(tmp_path / "exchange"))


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """The folder of a job, its base model not that of the course."""
    folder = tmp_path / "jobs" / JOB
    (tmp_path / "own.gguf").write_bytes(b"GGUF and weights")
    (tmp_path / "train.jsonl").write_text("{}\n", encoding="utf-8")
    spec = TrainSpec(str(tmp_path / "own.gguf"), str(tmp_path / "train.jsonl"), threads=1)
    spec.with_own_files(folder).write(folder)
    return folder


def executor_of(ray: PretendedRay, exchange: Exchange, root: Path, **more) -> RayExecutor:
    client = RayClient(ray.url, TOKEN)
    return RayExecutor(client, exchange, root=root, python="python3 -X dev", threads=1, **more)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small project: what is sent to nodes."""
    (tmp_path / "project" / "helpers" / "__pycache__").mkdir(parents=True)
    (tmp_path / "project" / "helpers" / "__init__.py").write_text("", encoding="utf-8")
    (tmp_path / "project" / "helpers" / "__pycache__" / "x.pyc").write_bytes(b"")
    return tmp_path / "project"


@pytest.fixture
def executor(ray: PretendedRay, exchange: Exchange, root: Path) -> RayExecutor:
    return executor_of(ray, exchange, root)


def on_node(exchange: Exchange, number: int, folder: Path) -> Carrier:
    """The node's side of an attempt, with what it begins with."""
    folder.mkdir()
    carrier = Carrier(exchange, JOB, number, folder)
    carrier.bring()
    return carrier


def row(step: int) -> str:
    return json.dumps({"type": "step", "step": step}) + "\n"


def test_a_job_goes_to_a_node_with_the_code_the_spec_and_the_base(
    executor, ray, job, exchange, tmp_path
):
    executor.start(job)
    given = ray.submitted[0]
    assert given["submission_id"] == f"{JOB}-1"
    assert given["entrypoint_num_cpus"] == 1
    start = "python3 -X dev -m helpers.backend.executors.node --exchange"
    assert given["entrypoint"].startswith(start)
    assert TOKEN not in json.dumps(given)
    package = given["runtime_env"]["working_dir"].removeprefix("gcs://")
    names = zipfile.ZipFile(io.BytesIO(ray.packages[package])).namelist()
    assert names == ["helpers/__init__.py"]
    text = (exchange.get(f"jobs/{JOB}/given/spec.json") or b"").decode()
    assert str(tmp_path) not in text
    on_node(exchange, 1, tmp_path / "node")
    spec = TrainSpec.read(tmp_path / "node")
    assert Path(spec.base_gguf).read_bytes() == b"GGUF and weights"
    assert Path(spec.training_file).read_text(encoding="utf-8") == "{}\n"
    assert Path(spec.training_file).parent == tmp_path / "node"


def test_a_server_that_was_killed_finds_its_run_again_and_hands_in_nothing_twice(
    executor, ray, exchange, job, root
):
    executor.start(job)
    again = executor_of(ray, exchange, root).start(job)
    assert len(ray.submitted) == 1
    assert again.poll() is None
    ray.end(f"{JOB}-1", "SUCCEEDED", driver_exit_code=0)
    assert again.poll() == 0


def test_a_server_that_was_killed_before_it_handed_in_hands_in_the_same_run(
    executor, ray, exchange, job, root, monkeypatch
):
    monkeypatch.setattr(executor, "_submit", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        executor.start(job)
    executor_of(ray, exchange, root).start(job)
    assert [given["submission_id"] for given in ray.submitted] == [f"{JOB}-1"]


def test_what_a_node_tells_comes_into_the_folder_in_its_order(executor, exchange, job, tmp_path):
    executor.start(job)
    node = tmp_path / "node"
    carrier = on_node(exchange, 1, node)
    (node / PROGRESS).write_text(row(1), encoding="utf-8")
    (node / PRECISION).write_text("float32", encoding="utf-8")
    (node / "trainer.log").write_text("a warning\n", encoding="utf-8")
    carrier.carry()
    executor.sync(job)
    inode = (job / PROGRESS).stat().st_ino
    assert [one["step"] for one in read_progress(job)] == [1]
    assert (job / "trainer.log").read_text(encoding="utf-8") == "a warning\n"
    (node / "checkpoints" / "step-2").mkdir(parents=True)
    (node / "checkpoints" / "step-2" / "adapter.gguf").write_bytes(b"matrices")
    (node / PROGRESS).write_text(row(1) + row(2), encoding="utf-8")
    (node / RESUME).write_bytes(b"state 2")
    carrier.carry()
    executor.sync(job)
    assert [one["step"] for one in read_progress(job)] == [1, 2]
    # The reader goes on where it was.
    assert (job / PROGRESS).stat().st_ino == inode
    assert (job / "checkpoints/step-2/adapter.gguf").read_bytes() == b"matrices"
    # 59 MB of a state are for the next node, not for the server.
    assert not (job / RESUME).exists()


def test_a_job_whose_node_is_lost_goes_on_from_its_last_state_under_another_name(
    executor, ray, exchange, job, tmp_path
):
    run = executor.start(job)
    first = tmp_path / "first"
    carrier = on_node(exchange, 1, first)
    (first / PRECISION).write_text("bfloat16", encoding="utf-8")
    for step in (8, 9):
        (first / PROGRESS).write_text("".join(map(row, range(1, step + 1))), encoding="utf-8")
        if step == 8:
            (first / RESUME).write_bytes(b"state 8")
        carrier.carry()
    ray.end(f"{JOB}-1", "FAILED", error_type="JOB_SUPERVISOR_ACTOR_DIED")
    assert run.poll() == LOST
    assert [one["step"] for one in read_progress(job)] == list(range(1, 10))
    executor.start(job)
    assert ray.submitted[-1]["submission_id"] == f"{JOB}-2"
    second = tmp_path / "second"
    on_node(exchange, 2, second)
    assert (second / RESUME).read_bytes() == b"state 8"
    assert len(read_progress(second)) == 9
    assert (second / PRECISION).read_text(encoding="utf-8") == "bfloat16"
    # The first was only cut off, and goes on: nobody reads that.
    (first / PROGRESS).write_text(row(99), encoding="utf-8")
    (first / RESUME).write_bytes(b"state 99")
    carrier.carry()
    executor.sync(job)
    assert 99 not in [one["step"] for one in read_progress(job)]
    third = on_node(exchange, 3, tmp_path / "third")
    assert third
    assert (tmp_path / "third" / RESUME).read_bytes() == b"state 8"


def test_a_damaged_state_is_said_and_not_trained_on(executor, exchange, job, tmp_path):
    executor.start(job)
    first = tmp_path / "first"
    carrier = on_node(exchange, 1, first)
    (first / PROGRESS).write_text(row(1), encoding="utf-8")
    (first / RESUME).write_bytes(b"state")
    carrier.carry()
    exchange.put(f"jobs/{JOB}/attempts/1/resume-1.pt", b"half")
    with pytest.raises(ValueError, match="damaged"):
        on_node(exchange, 2, tmp_path / "second")


def test_a_job_that_began_here_goes_on_there(executor, exchange, job, tmp_path):
    (job / RESUME).write_bytes(b"state of here")
    (job / PROGRESS).write_text(row(1), encoding="utf-8")
    (job / PRECISION).write_text("float32", encoding="utf-8")
    executor.start(job)
    on_node(exchange, 1, tmp_path / "node")
    assert (tmp_path / "node" / RESUME).read_bytes() == b"state of here"


def test_pausing_reaches_the_node_and_a_cancel_stops_and_clears(
    executor, ray, exchange, job, tmp_path
):
    run = executor.start(job)
    carrier = on_node(exchange, 1, tmp_path / "node")
    assert not carrier.asks_to_stop()
    (job / STOP).touch()
    executor.sync(job)
    assert carrier.asks_to_stop()
    run.kill()
    assert ray.stopped == [f"{JOB}-1"]
    # An answer that was lost says nothing: until it is over, it is said again.
    assert run.poll() is None
    assert len(ray.stopped) > 1
    ray.end(f"{JOB}-1", "STOPPED")
    assert run.poll() == KILLED
    executor.discard(job)
    assert exchange.names(f"jobs/{JOB}") == {}


@pytest.mark.parametrize("paused", [True, False])
def test_a_paused_job_keeps_its_state_when_what_a_dead_server_left_is_ended(
    executor, ray, exchange, job, paused
):
    executor.start(job)
    ray.end(f"{JOB}-1", "STOPPED")
    executor.forget(job, discard=not paused)
    deadline = time.monotonic() + 60
    while not json.loads((job / "attempt.json").read_text(encoding="utf-8"))["ended"]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    while not paused and exchange.names(f"jobs/{JOB}"):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert bool(exchange.names(f"jobs/{JOB}")) == paused


def test_a_base_that_came_as_a_folder_travels_once_and_is_a_folder_there(
    ray, executor, exchange, job, tmp_path
):
    folder = tmp_path / "Tiny"
    folder.mkdir()
    for name in ("config.json", "model.safetensors", "chat_template.jinja", "weights.bin"):
        (folder / name).write_text(f"this is {name}", encoding="utf-8")
    # As the registry keeps it: a GGUF that nobody has made yet, and where the folder is.
    write_text(tmp_path / "bases" / BASE_FILE, json.dumps({"folder": str(folder)}))
    spec = replace(TrainSpec.read(job), base_gguf=str(tmp_path / "bases" / "model.gguf"))
    spec.write(job)
    executor.start(job)
    on_node(exchange, 1, tmp_path / "node")
    found = folder_of(Path(TrainSpec.read(tmp_path / "node").base_gguf))
    assert found
    assert found.is_relative_to(tmp_path / "node")
    names = sorted(path.name for path in found.iterdir())
    assert names == ["chat_template.jinja", "config.json", "model.safetensors"]
    assert (found / "config.json").read_text(encoding="utf-8") == "this is config.json"
    [place] = (tmp_path / "exchange" / "bases").iterdir()
    (place / "config.json").write_text("another", encoding="utf-8")
    with pytest.raises(ValueError, match="is not what the job names"):
        on_node(exchange, 2, tmp_path / "second")


def test_a_store_that_breaks_off_in_the_middle_of_a_file_ends_no_run(
    executor, ray, exchange, job, tmp_path, monkeypatch
):
    run = executor.start(job)
    carrier = on_node(exchange, 1, tmp_path / "node")
    (tmp_path / "node" / PRECISION).write_text("float32", encoding="utf-8")
    carrier.carry()
    ray.end(f"{JOB}-1", "SUCCEEDED", driver_exit_code=0)

    class Broken:
        def read(self, *_: object) -> bytes:
            raise OSError("connection reset")

        def __enter__(self) -> Broken:
            return self

        def __exit__(self, *_: object) -> None: ...

    class Store:
        def __getattr__(self, name: str) -> object:
            return getattr(exchange.fs, name)

        def open_input_stream(self, path: str) -> object:
            whole = path.endswith(PRECISION)
            return Broken() if whole else exchange.fs.open_input_stream(path)

    monkeypatch.setattr(run, "_exchange", replace(exchange, fs=Store()))
    assert run.poll() is None
    monkeypatch.setattr(run, "_exchange", exchange)
    assert run.poll() == 0


def test_what_an_earlier_server_left_running_is_ended(executor, ray, exchange, job, root):
    executor.start(job)
    again = executor_of(ray, exchange, root)
    again.forget(job, discard=True)
    deadline = time.monotonic() + 10
    while not ray.stopped:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    ray.end(f"{JOB}-1", "STOPPED")
    while not json.loads((job / "attempt.json").read_text(encoding="utf-8"))["ended"]:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("ended", "code"),
    [
        ({"status": "FAILED", "driver_exit_code": 75}, 75),
        ({"status": "FAILED", "error_type": "RUNTIME_ENV_SETUP_FAILURE"}, 1),
        ({"status": "FAILED", "error_type": "JOB_SUPERVISOR_ACTOR_START_TIMEOUT"}, LOST),
        ({"status": "SUCCEEDED", "driver_exit_code": 0}, 0),
    ],
)
def test_each_end_of_a_ray_job_has_its_meaning(executor, ray, job, ended, code):
    run = executor.start(job)
    ray.end(f"{JOB}-1", message="what Ray says", **ended)
    assert run.poll() == code
    assert ((job / "trainer.log").exists()) == (code != 0)


def test_a_job_that_the_cluster_has_forgotten_is_lost(executor, ray, job):
    run = executor.start(job)
    ray.jobs.clear()
    assert run.poll() == LOST


def test_a_cluster_that_does_not_answer_ends_no_run_and_takes_none(executor, ray, job):
    run = executor.start(job)
    ray.answers = False
    assert run.poll() is None
    assert executor.free(0) == 0
    with pytest.raises(NotNow, match="503"):
        executor.start(job)


def test_only_what_is_free_is_handed_in(ray, executor, exchange, root):
    ray.nodes = [[0.0, 1.0], [0.0, 4.0]]
    assert executor.free(0) == 5
    # What was just handed in, Ray does not count yet; what others take, it does.
    assert executor.free(2) == 3
    ray.nodes = [[1.0, 1.0], [4.0, 4.0]]
    assert executor.free(2) == 0
    ray.nodes = [[0.0, 8.0]]
    assert executor_of(ray, exchange, root, at_once=2).free(1) == 1


def test_a_cluster_that_asks_nobody_for_a_token_gets_nothing(executor, ray, job):
    ray.open_to_all = True
    with pytest.raises(NotNow, match="RAY_AUTH_MODE=token"):
        executor.start(job)
    assert ray.submitted == []


def test_the_settings_choose_and_what_lacks_is_said(settings, tmp_path):
    assert isinstance(choose_executor(settings), LocalExecutor)
    cluster = replace(settings, executor="ray://10.0.0.5")
    with pytest.raises(BackendError, match="no token"):
        choose_executor(cluster)
    with pytest.raises(BackendError, match="WORKBOOK_EXCHANGE is not set"):
        choose_executor(replace(cluster, ray_token="secret"))
    with pytest.raises(BackendError, match="holds a password") as caught:
        choose_executor(replace(cluster, ray_token="t", exchange="s3://me:hidden@bucket/x"))
    assert "hidden" not in str(caught.value)
    made = choose_executor(replace(cluster, ray_token="secret", exchange=str(tmp_path)))
    assert made.describe() == "jobs of the Ray cluster at http://10.0.0.5:8265"
    assert "secret" not in repr(replace(cluster, ray_token="secret"))


def test_doctor_says_what_a_cluster_offers_and_what_is_wrong_with_it(settings, ray, exchange):
    cluster = replace(
        settings, executor=ray.url, ray_token=TOKEN, exchange=exchange.uri, node_threads=1
    )
    ray.nodes = [[1.0, 1.0], [0.0, 4.0]]
    said = offers(cluster)
    assert "2 nodes, 1 of 5 processors in use, room for 5 jobs of 1; exchange writable" in said
    assert TOKEN not in said
    with pytest.raises(BackendError, match="refuses the token"):
        offers(replace(cluster, ray_token="another"))
    ray.open_to_all = True
    with pytest.raises(BackendError, match="takes programs from anybody"):
        offers(cluster)


def test_addresses_of_clusters():
    assert address_of("ray://head") == "http://head:8265"
    assert address_of("ray://head:9000/") == "http://head:9000"
    assert address_of("https://ray.example.org") == "https://ray.example.org"
    for wrong in ("slurm", "ray://", "ftp://x"):
        with pytest.raises(BackendError, match="WORKBOOK_EXECUTOR"):
            address_of(wrong)


def test_a_state_is_found_whole_while_the_next_is_written(exchange, tmp_path):
    for count in range(1, 5):
        (tmp_path / RESUME).write_bytes(b"%d" % count)
        attempts.save_state(exchange, JOB, 1, tmp_path / RESUME, count)
        found = attempts.newest_state(exchange, JOB, before=2)
        assert found
        assert exchange.get(f"jobs/{JOB}/attempts/1/{found.name}") == b"%d" % count
    left = exchange.names(f"jobs/{JOB}/attempts/1")
    assert set(left) == {"resume.json", "resume-3.pt", "resume-4.pt"}
    assert attempts.newest_state(exchange, JOB, before=1) is None


def test_a_state_is_carried_once_where_a_file_cannot_have_two_names(
    executor, exchange, job, tmp_path, monkeypatch
):
    def no_links(*_):
        raise OSError("not supported")

    executor.start(job)
    carrier = on_node(exchange, 1, tmp_path / "first")
    (tmp_path / "first" / RESUME).write_bytes(b"state 8")
    os.utime(tmp_path / "first" / RESUME, (1, 1))
    monkeypatch.setattr(os, "link", no_links)
    carrier.carry()
    carrier.carry()
    names = exchange.names(f"jobs/{JOB}/attempts/1")
    assert [name for name in names if name.endswith(".pt")] == ["resume-1.pt"]


def test_the_code_that_is_sent_has_the_same_name_as_long_as_it_is_the_same():
    assert ray_jobs.package_of(ROOT) == ray_jobs.package_of(ROOT)
    names = zipfile.ZipFile(io.BytesIO(ray_jobs.package_of(ROOT))).namelist()
    assert "helpers/backend/executors/node.py" in names
