"""Several servers on one database and one object store, which are started here.

Each server is a process with a state folder of its own, as behind a proxy; one is killed in the
middle of a job. PostgreSQL is Debian's package `postgresql`; the rest has an environment here.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from openai import NotFoundError, OpenAI

from helpers.base.settings import BASE_MODEL
from tests import postgres
from tests.object_store import ObjectStore, object_store
from tests.places import ROOT
from tests.ports import free_ports

SECONDS = 900
pytestmark = pytest.mark.timeout(3 * SECONDS)


@pytest.fixture(scope="module")
def packages(environment_of) -> Path:
    """The folder of psycopg, which the course's environment need not have."""
    python = environment_of("several_servers")
    [found] = python.parents[1].glob("lib/python3*/site-packages")
    # Behind the course's own packages, of which none may be replaced.
    sys.path.append(str(found))
    return found


@pytest.fixture(scope="module")
def store(environment_of, tmp_path_factory) -> Iterator[ObjectStore]:
    weed = environment_of("several_servers").with_name("weed")
    with object_store(weed, tmp_path_factory.mktemp("weed"), buckets=("course",)) as found:
        yield found


@pytest.fixture(scope="module")
def database(packages) -> Iterator[postgres.Cluster]:
    with postgres.cluster() as found:
        yield found


def test_the_tests_of_storage_pass_on_postgresql(packages):
    words = ["-q", "-p", "no:cacheprovider", "-n", "0", "-rs", "tests/backend/storage"]
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(packages)])}
    env.pop("WORKBOOK_PEERS", None)
    command = [sys.executable, "-m", "pytest", *words]
    done = subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert "skipped" not in done.stdout, done.stdout[-1000:]


@dataclass
class Server:
    """A process of `serve`, and a client of it."""

    process: subprocess.Popen[bytes]
    url: str
    client: OpenAI


Started = Callable[[str], Server]


@pytest.fixture
def start(store, database, packages, tmp_path) -> Iterator[Started]:
    """Starts a server by its name, on the one database and the one store of this test."""
    address, place = database.new(), store.address(f"course/{secrets.token_hex(4)}")
    token = f"workbook-{secrets.token_urlsafe(32)}"
    made: list[Server] = []

    def begin(name: str) -> Server:
        state = tmp_path / name
        state.mkdir(exist_ok=True)
        # As a school copies it: one leader for all servers.
        (state / "token").write_text(token)
        [port] = free_ports(1)
        words = {
            "WORKBOOK_STATE": str(state),
            "WORKBOOK_DATABASE": address,
            "WORKBOOK_FILES": place,
            # Named, so that none is measured at each start.
            "WORKBOOK_ENGINE": "llama.cpp",
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(packages)]),
        }
        command = [sys.executable, "-m", "helpers", "serve", "--port", str(port)]
        with (state / "said.log").open("ab") as log:
            env = os.environ | words | store.keys
            process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log)
        url = f"http://127.0.0.1:{port}"
        client = OpenAI(base_url=f"{url}/v1", api_key=token, timeout=300)
        made.append(Server(process, url, client))
        until(lambda: answers(made[-1], state))
        return made[-1]

    yield begin
    for server in made:
        with contextlib.suppress(ProcessLookupError):
            server.process.kill()
        server.process.wait()


def answers(server: Server, state: Path) -> bool:
    assert server.process.poll() is None, (state / "said.log").read_text()[-2000:]
    with contextlib.suppress(httpx2.TransportError):
        return httpx2.get(f"{server.url}/health", timeout=5).status_code == 200
    return False


def until(seen: Callable[[], object], seconds: float = SECONDS) -> object:
    deadline = time.monotonic() + seconds
    while not (found := seen()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


def examples(number: int) -> bytes:
    rows = [
        {
            "messages": [
                {"role": "user", "content": f"What opens locker {at}?"},
                {"role": "assistant", "content": f"Code {at * 7}."},
            ]
        }
        for at in range(number)
    ]
    return "\n".join(map(json.dumps, rows)).encode()


def test_two_servers_are_one_to_their_clients(start):
    one, two = start("one"), start("two")
    file = one.client.files.create(file=("train.jsonl", examples(24)), purpose="fine-tune")
    assert two.client.files.content(file.id).read() == examples(24)
    # Made on one, followed and cancelled on the other.
    doomed = one.client.fine_tuning.jobs.create(training_file=file.id, model=BASE_MODEL)
    until(lambda: two.client.fine_tuning.jobs.retrieve(doomed.id).status == "running")
    two.client.fine_tuning.jobs.cancel(doomed.id)
    job = two.client.fine_tuning.jobs.create(
        training_file=file.id, model=BASE_MODEL, hyperparameters={"n_epochs": 1}
    )
    done = until(lambda: over(one.client, job.id))
    assert done.status == "succeeded", done.error
    assert one.client.fine_tuning.jobs.retrieve(doomed.id).status == "cancelled"
    said = {ask(server.client, done.fine_tuned_model) for server in (one, two)}
    assert len(said) == 1, "the adapter is the same on both"
    kept = {server.client.files.content(done.result_files[0]).read() for server in (one, two)}
    assert len(kept) == 1
    two.client.files.delete(file.id)
    with pytest.raises(NotFoundError):
        one.client.files.content(file.id)
    line = {
        "custom_id": "a",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {
            "model": BASE_MODEL,
            "messages": [{"role": "user", "content": "Hi"}],
            "max_tokens": 4,
        },
    }
    sent = one.client.files.create(file=("asked.jsonl", json.dumps(line).encode()), purpose="batch")
    batch = one.client.batches.create(
        input_file_id=sent.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    until(lambda: two.client.batches.retrieve(batch.id).status == "completed")
    output = two.client.batches.retrieve(batch.id).output_file_id
    assert two.client.files.content(output).read()


def over(client: OpenAI, job_id: str):
    job = client.fine_tuning.jobs.retrieve(job_id)
    return job if job.status in ("succeeded", "failed", "cancelled") else None


def ask(client: OpenAI, model: str) -> str:
    answer = client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": "What opens locker 3?"}],
        max_tokens=8,
        temperature=0,
    )
    return str(answer.choices[0].message.content)


def test_a_job_of_a_server_that_is_killed_goes_on_at_the_other(start):
    one = start("one")
    file = one.client.files.create(file=("train.jsonl", examples(16)), purpose="fine-tune")
    more = {"n_epochs": 3, "batch_size": 8}
    job = one.client.fine_tuning.jobs.create(
        training_file=file.id, model=BASE_MODEL, hyperparameters=more, seed=3
    )
    two = start("two")
    # Behind its first epoch: a state was saved, and a checkpoint.
    until(lambda: two.client.fine_tuning.jobs.checkpoints.list(job.id).data)
    os.kill(one.process.pid, signal.SIGKILL)
    done = until(lambda: over(two.client, job.id))
    assert done.status == "succeeded", done.error
    told = [event.message for event in two.client.fine_tuning.jobs.list_events(job.id, limit=100)]
    assert "The server was interrupted; the job goes on" in told
    steps = [text for text in told if text.startswith("Step ")]
    assert len(steps) == len(set(steps)), "no step is told twice"
    assert len(two.client.fine_tuning.jobs.checkpoints.list(job.id).data) == 3
    assert ask(two.client, done.fine_tuned_model)


def test_a_second_server_on_one_state_folder_ends_in_one_line(start, tmp_path):
    start("one")
    env = os.environ | {"WORKBOOK_STATE": str(tmp_path / "one")}
    done = subprocess.run(
        [sys.executable, "-m", "helpers", "serve", "--port", "0"],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 1
    [line] = done.stderr.strip().splitlines()
    assert "another server works on" in line
