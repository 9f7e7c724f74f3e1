"""Jobs from the server through a real Ray cluster: a head and two nodes in network namespaces.

Each node has its own /tmp, as machines of their own would. The base is a Llama of random weights;
server, trainer, Ray and S3 store are the real ones. What every test compares with is the adapter
of the same job, trained on this machine by a server without a cluster.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.backend.batch.spread import PART
from helpers.backend.executors.choice import offers
from helpers.backend.executors.exchange import Exchange
from helpers.backend.finetune.queue import ELSEWHERE
from helpers.bench.cluster_server import BASE, ServerApart, until
from helpers.bench.ray_cluster import ADDRESS, HEAD, RayCluster, possible
from tests.places import ROOT

pytestmark = [
    pytest.mark.skipif(not possible(), reason="this machine makes no network namespaces for us"),
    pytest.mark.timeout(3600),
]
EPOCHS, PER_EPOCH = 8, 16
KEYS = {"AWS_ACCESS_KEY_ID": "course", "AWS_SECRET_ACCESS_KEY": "for-this-test-alone"}
CANCEL_SECONDS = 5
CHAT = "/v1/chat/completions"
OVER = ("completed", "failed", "cancelled", "expired")


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exchange")


@pytest.fixture(scope="module")
def ray(environment_of) -> Path:
    return environment_of("ray").with_name("ray")


@pytest.fixture(scope="module")
def cluster(ray, exchange, tmp_path_factory) -> Iterator[RayCluster]:
    seen = [exchange, Path(sys.prefix), ROOT]
    folder = tmp_path_factory.mktemp("ray")
    with RayCluster(ray, folder, nodes=2, seen=seen, words=KEYS) as made:
        yield made


def words(cluster: RayCluster, exchange: str) -> dict[str, str]:
    return {
        "WORKBOOK_EXECUTOR": f"ray://{ADDRESS}",
        "WORKBOOK_EXCHANGE": exchange,
        "WORKBOOK_NODE_PYTHON": sys.executable,
        "WORKBOOK_NODE_THREADS": "1",
        "RAY_AUTH_TOKEN": cluster.token,
        **KEYS,
    }


@pytest.fixture(scope="module")
def server(cluster, exchange, tmp_path_factory) -> Iterator[ServerApart]:
    folder = tmp_path_factory.mktemp("server")
    with ServerApart(folder, **words(cluster, str(exchange))) as made:
        yield made


@pytest.fixture(scope="module")
def reference(tmp_path_factory) -> str:
    """The SHA-256 of the adapter that a job on this machine ends with."""
    with ServerApart(tmp_path_factory.mktemp("local")) as here:
        job = here.wait(here.submit(epochs=EPOCHS).id)
        assert job.status == "succeeded", job.error
        return here.adapter_sha256(job.id)


def handed_in(cluster: RayCluster, key: str) -> int:
    """How many runs of a job the cluster ever got. Ray ends one where memory is short."""
    return sum(name.startswith(key) for name in cluster.submissions())


def test_a_job_goes_through_the_cluster_as_through_this_machine(
    server, cluster, exchange, reference
):
    job = server.submit(epochs=EPOCHS)
    done = server.wait(job.id)
    assert done.status == "succeeded", done.error
    assert server.adapter_sha256(job.id) == reference
    told = server.events(job.id)
    assert "Fine-tuning job started" in told
    assert told[-1] == "The job has successfully completed"
    newest = server.client.fine_tuning.jobs.checkpoints.list(job.id, limit=10).data
    last = EPOCHS * PER_EPOCH
    assert [one.step_number for one in newest] == [last, last - PER_EPOCH, last - 2 * PER_EPOCH]
    assert server.steps(job.id)[-1] == last
    asked = [{"role": "user", "content": "1. The capital of Kenya?"}]
    said = server.client.chat.completions.create(
        model=done.fine_tuned_model, messages=asked, max_tokens=4
    )
    assert said.choices[0].message.content is not None
    assert handed_in(cluster, job.id) == 1 + server.events(job.id).count(ELSEWHERE)
    # Bases stay for the next job; all else of this one is gone.
    until(lambda: not Exchange.at(str(exchange)).names(f"jobs/{job.id}"), 30)


def test_two_jobs_run_at_once_and_the_third_waits_in_the_server(server, cluster):
    jobs = [server.submit(epochs=EPOCHS, seed=n).id for n in range(3)]
    until(lambda: len(cluster.busy()) == 2, 300)
    assert server.job(jobs[2]).status == "queued"
    assert not any(jobs[2] in name for name in cluster.submissions())
    assert {server.wait(key).status for key in jobs} == {"succeeded"}


def test_a_cancel_ends_the_trainer_on_its_node_within_five_seconds(server, cluster, exchange):
    job = server.submit(epochs=50)
    server.until_step(job.id, 1)
    assert cluster.busy()
    begun = time.monotonic()
    assert server.client.fine_tuning.jobs.cancel(job.id).status == "cancelled"
    until(lambda: not cluster.busy(), 60)
    taken = time.monotonic() - begun
    print(f"nothing of it ran any more after {taken:.1f} s")
    assert taken < CANCEL_SECONDS
    until(lambda: not Exchange.at(str(exchange)).names(f"jobs/{job.id}"), 60)
    assert server.job(job.id).status == "cancelled"


def test_a_paused_job_saves_its_state_and_goes_on_from_there(server, cluster, reference):
    job = server.submit(epochs=EPOCHS)
    server.until_step(job.id, PER_EPOCH + 1)
    server.client.fine_tuning.jobs.pause(job.id)
    until(lambda: not cluster.busy(), 120)
    time.sleep(2)
    server.client.fine_tuning.jobs.resume(job.id)
    assert server.wait(job.id).status == "succeeded"
    assert server.adapter_sha256(job.id) == reference


def test_a_server_that_is_killed_finds_its_job_again_and_hands_in_nothing_twice(
    server, cluster, reference
):
    job = server.submit(epochs=EPOCHS)
    server.until_step(job.id, PER_EPOCH + 1)
    server.kill()
    assert cluster.busy()
    server.start()
    assert server.wait(job.id).status == "succeeded"
    assert server.adapter_sha256(job.id) == reference
    assert handed_in(cluster, job.id) == 1 + server.events(job.id).count(ELSEWHERE)
    steps = server.steps(job.id)
    assert steps == sorted(set(steps))


def test_a_job_that_ended_while_no_server_ran_is_only_taken_up(server, cluster, reference):
    job = server.submit(epochs=EPOCHS)
    server.until_step(job.id, 1)
    server.kill()
    until(lambda: not cluster.busy(), 300)
    server.start()
    assert server.wait(job.id).status == "succeeded"
    assert server.adapter_sha256(job.id) == reference
    assert handed_in(cluster, job.id) == 1 + server.events(job.id).count(ELSEWHERE)


def test_a_job_whose_node_is_killed_goes_on_elsewhere_to_the_same_adapter(
    server, cluster, reference
):
    job = server.submit(epochs=EPOCHS)
    server.until_step(job.id, 2 * PER_EPOCH + 1)
    [node] = cluster.busy()
    cluster.kill(node)
    try:
        assert server.wait(job.id).status == "succeeded"
    finally:
        cluster.add(node)
        cluster.wait_for(node)
    assert ELSEWHERE in server.events(job.id)
    assert server.adapter_sha256(job.id) == reference
    log = server.settings.state / "jobs" / job.id / "2.trainer.log"
    assert log.exists(), "the second attempt has a log of its own"
    rows = (server.settings.state / "jobs" / job.id / "progress.jsonl").read_text().splitlines()
    assert json.loads(rows[-1])["type"] == "done"


def test_a_node_that_is_cut_off_and_computes_on_changes_nothing(server, cluster, reference):
    job = server.submit(epochs=3 * EPOCHS)
    twin = server.submit(epochs=3 * EPOCHS)
    server.until_step(job.id, PER_EPOCH + 1)
    [node] = cluster.busy()[:1]
    cluster.cut_off(node)
    try:
        assert server.wait(job.id).status == "succeeded"
        assert server.wait(twin.id).status == "succeeded"
    finally:
        cluster.kill(node)
        cluster.add(node)
        cluster.wait_for(node)
    assert server.adapter_sha256(job.id) == server.adapter_sha256(twin.id)


def test_a_batch_is_answered_by_both_nodes_and_a_killed_one_loses_nothing(server, cluster):
    asked = {"model": BASE, "max_tokens": 2, "temperature": 0}
    rows = [
        {"custom_id": f"q{n}", "method": "POST", "url": CHAT, "body": asked | {"messages": said(n)}}
        for n in range(3 * PART)
    ]
    text = "".join(json.dumps(row) + "\n" for row in rows).encode()
    file = server.client.files.create(file=("asked.jsonl", text), purpose="batch")
    batch = server.client.batches.create(
        input_file_id=file.id, endpoint=CHAT, completion_window="24h"
    )
    until(lambda: len(cluster.busy()) == 2, 300)
    until(lambda: server.client.batches.retrieve(batch.id).request_counts.completed, 300)
    node = cluster.busy()[0]
    cluster.kill(node)
    cluster.add(node)
    until(lambda: server.client.batches.retrieve(batch.id).status in OVER, 900)
    ended = server.client.batches.retrieve(batch.id)
    cluster.wait_for(node)
    assert ended.request_counts.to_dict() == {
        "total": len(rows),
        "completed": len(rows),
        "failed": 0,
    }
    found = server.client.files.content(ended.output_file_id).text.splitlines()
    bodies = {row["custom_id"]: row["response"]["body"] for row in map(json.loads, found)}
    answers = {key: body["choices"][0]["message"]["content"] for key, body in bodies.items()}
    assert len(found) == len(answers) == len(rows)
    for n in (0, len(rows) - 1):
        alone = server.client.chat.completions.create(messages=said(n), **asked)
        assert (
            answers[f"q{n}"]["choices"][0]["message"]["content"] == alone.choices[0].message.content
        )


def said(number: int) -> list[dict[str, str]]:
    return [{"role": "user", "content": f"{number}. The capital of Kenya?"}]


def test_doctor_says_what_the_cluster_offers(server):
    said = offers(server.settings)
    assert "a token needed: 2 nodes, 0 of 2 processors in use, room for 2 jobs of 1" in said


@pytest.fixture(scope="module")
def bucket(cluster, ray, tmp_path_factory) -> Iterator[str]:
    """An S3 store in the head's namespace, with a bucket for the exchange."""
    folder = tmp_path_factory.mktemp("weed")
    known = {"accessKey": KEYS["AWS_ACCESS_KEY_ID"], "secretKey": KEYS["AWS_SECRET_ACCESS_KEY"]}
    actions = ["Admin", "Read", "Write", "List"]
    identity = {"name": "course", "credentials": [known], "actions": actions}
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    command = [str(ray.with_name("weed")), "server", f"-dir={folder}", f"-ip={HEAD}", "-s3"]
    command += ["-s3.config=s3.json", "-master.volumeSizeLimitMB=64", "-volume.max=20"]
    with (folder / "log").open("wb") as log:
        space = ["ip", "netns", "exec", "wb-head"]
        process = subprocess.Popen([*space, *command], cwd=folder, stdout=log, stderr=log)
    try:
        place = {"endpoint_override": f"{HEAD}:8333", "scheme": "http"}
        until(lambda: made_bucket(place), 120)
        yield f"s3://course/exchange?endpoint_override={HEAD}:8333&scheme=http"
    finally:
        process.kill()
        process.wait()


def made_bucket(place: dict[str, str]) -> bool:
    from pyarrow.fs import S3FileSystem

    key, secret = KEYS["AWS_ACCESS_KEY_ID"], KEYS["AWS_SECRET_ACCESS_KEY"]
    store = S3FileSystem(access_key=key, secret_key=secret, allow_bucket_creation=True, **place)
    try:
        store.create_dir("course")
    except OSError:
        return False
    return True


def test_files_travel_by_s3_too_and_a_killed_node_loses_nothing(
    cluster, bucket, reference, tmp_path
):
    with ServerApart(tmp_path, **words(cluster, bucket)) as server:
        job = server.submit(epochs=EPOCHS)
        server.until_step(job.id, 2 * PER_EPOCH + 1)
        [node] = cluster.busy()
        cluster.kill(node)
        try:
            assert server.wait(job.id).status == "succeeded"
        finally:
            cluster.add(node)
            cluster.wait_for(node)
        assert ELSEWHERE in server.events(job.id)
        assert server.adapter_sha256(job.id) == reference
        assert KEYS["AWS_SECRET_ACCESS_KEY"] not in json.dumps(cluster.ask("/api/jobs/"))
