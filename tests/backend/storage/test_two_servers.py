"""Two servers on one table of PostgreSQL: files, queues, and what is left of one that has gone."""

from __future__ import annotations

import threading
import time

import pytest

from helpers.backend.storage import postgres, work_queue
from helpers.backend.storage.database import StoreGone
from helpers.backend.storage.postgres import Postgres
from helpers.backend.storage.store import AT, LAST, Store, database_of
from helpers.backend.storage.work_queue import WorkQueue
from helpers.base import settings
from helpers.base.errors import BackendError


def until(seen) -> None:
    deadline = time.monotonic() + 30
    while not seen():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_one_stores_the_other_finds_and_removes(servers):
    one, two = servers
    one.write_file("file-a", b"hello")
    one.put("file", "file-a", {"id": "file-a"})
    assert two.get("file", "file-a") == {"id": "file-a"}
    assert two.file("file-a").read_bytes() == b"hello"
    two.remove_file("file-a")
    assert not two.file("file-a").exists()
    assert not (one.root.parent / "place" / "files" / "file-a").exists()
    assert not two.file("file-of-nobody").exists()


def test_a_jobs_folder_goes_with_the_job(servers):
    one, two = servers
    folder = one.job_dir("ftjob-a")
    (folder / "checkpoints" / "step-8").mkdir(parents=True)
    for name in ("progress.jsonl", "resume.pt", "checkpoints/step-8/adapter.gguf", "stop"):
        (folder / name).write_text(f"{name} 1")
    (folder / "checkpoints" / ".step-9.partial").mkdir()
    one.share_job("ftjob-a")
    job = {"id": "ftjob-a", LAST: one.server}
    assert one.bring_job(job) == folder
    brought = two.bring_job(job)
    found = sorted(path.relative_to(brought).as_posix() for path in brought.rglob("*.*"))
    assert found == ["checkpoints/step-8/adapter.gguf", "progress.jsonl", "resume.pt"]
    # It goes on there, and comes back.
    (brought / "resume.pt").write_text("resume.pt 22")
    two.share_job("ftjob-a")
    back = one.bring_job(job | {LAST: two.server})
    assert (back / "resume.pt").read_text() == "resume.pt 22"
    assert one.adapter("ftjob-a/checkpoints/step-8").is_dir()


def test_a_saved_state_is_never_newer_than_the_progress_beside_it(servers, monkeypatch):
    one, _ = servers
    folder = one.job_dir("ftjob-a")
    folder.mkdir()
    (folder / "resume.pt").write_text("step 8")
    (folder / "progress.jsonl").write_text("step 8")
    place, put = one._folder._place, type(one._folder._place).put_file

    def meanwhile(self, name, source):
        put(self, name, source)
        # The trainer goes on between the two copies.
        (folder / "new").write_text("step 16")
        (folder / "new").replace(folder / "resume.pt")

    monkeypatch.setattr(type(place), "put_file", meanwhile)
    one.share_job("ftjob-a")
    names = {name: place.get(f"jobs/ftjob-a/{name}") for name in ("progress.jsonl", "resume.pt")}
    assert names == {"progress.jsonl": b"step 8", "resume.pt": b"step 8"}


@pytest.fixture
def queues(servers, monkeypatch):
    """The queue of each server, and who has worked on what."""
    monkeypatch.setattr(work_queue, "REST", 0.02)
    done: list[tuple[str, str]] = []
    gates = {store.server: threading.Event() for store in servers}
    made = []
    for store in servers:

        def work(key, store=store):
            done.append((key, store.server))
            gates[store.server].wait(30)
            store.update("job", key, lambda body: body.update(status="succeeded"))

        made.append(WorkQueue(store, "job", ("queued",), work=work, broke=lambda *_: None))
    yield made, done, gates
    for gate in gates.values():
        gate.set()
    for queue in made:
        queue.stop()
        queue.join()


def test_each_job_is_worked_on_once(servers, queues):
    made, done, gates = queues
    for gate in gates.values():
        gate.set()
    keys = [f"job-{at}" for at in range(12)]
    for key in keys:
        servers[0].put("job", key, {"id": key, "status": "queued"})
    for queue in made:
        queue.start()
    until(lambda: not made[0].waiting())
    assert sorted(key for key, _ in done) == sorted(keys)
    assert {server for _, server in done} == {"1", "2"}
    until(lambda: all(body[AT] is None for body in servers[0].list("job")[0]))


def test_what_a_server_that_is_gone_had_claimed_is_free_again(servers, queues):
    (first, second), done, gates = queues
    one, two = servers
    one.put("job", "a", {"id": "a", "status": "queued"})
    first.start()
    until(lambda: done)
    second.start()
    time.sleep(0.2)
    assert done == [("a", "1")], "it is the first one's"
    assert two.is_elsewhere(two.get("job", "a"))
    one._db._db.close()  # as the end of its process does
    until(lambda: len(done) == 2)
    assert done[1] == ("a", "2")
    gates["2"].set()
    until(lambda: (two.get("job", "a") or {})["status"] == "succeeded")


def test_a_name_is_held_by_one_of_them(servers):
    one, two = servers
    with one.alone("upload_a") as first, two.alone("upload_a") as second:
        assert (first, second) == (True, False)
    with two.alone("upload_a") as later:
        assert later


def test_a_second_server_whose_files_nobody_finds_is_refused_in_one_line(cluster, tmp_path):
    address = cluster.new()
    first = Store(tmp_path / "one", Postgres(address, server="1"))
    first.enter()
    second = Store(tmp_path / "two", Postgres(address, server="2"))
    with pytest.raises(BackendError, match="WORKBOOK_FILES") as refused:
        second.enter()
    assert "\n" not in str(refused.value)
    first.close()
    second.enter()
    second.close()


def test_a_copied_state_folder_is_refused(servers, tmp_path):
    address, place = servers[0]._db._url, servers[0]._folder._place
    copy = Store(tmp_path / "copy", Postgres(address, server="1"), place)
    with pytest.raises(BackendError, match="server_id"):
        copy.enter()
    copy.close()


def test_a_database_that_was_away_is_found_again(cluster, tmp_path):
    store = Store(tmp_path, Postgres(cluster.new(), server="1"))
    store.enter()
    other = Store(tmp_path / "other", Postgres(store._db._url, server="2"))
    store.put("file", "a", {"id": "a"})
    cluster.stop()
    with pytest.raises(StoreGone, match=r"try again|look whether"):
        store.get("file", "a")
    cluster.start()
    assert store.get("file", "a") == {"id": "a"}
    assert other.is_elsewhere({AT: "1"}), "it says again that it is there"
    store.put("file", "b", {"id": "b"})
    store.close()
    other.close()


def test_an_address_that_cannot_be_read_is_not_repeated(tmp_path):
    pytest.importorskip("psycopg")
    for address, words in {
        "postgresql://anna:secret%zz@nowhere/db": "no address",
        "mysql://anna:secret@nowhere/db": "no address",
        "postgresql://anna:secret@127.0.0.1:1/db": "cannot be opened",
    }.items():
        with pytest.raises(BackendError, match=words) as refused:
            database_of(
                settings.load({"WORKBOOK_STATE": str(tmp_path), "WORKBOOK_DATABASE": address})
            )
        assert "secret" not in str(refused.value)


def test_which_postgresql_answers(cluster):
    assert postgres.release(cluster.new())[0].isdigit()


def test_without_the_package_the_remedy_is_said(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)
    with pytest.raises(BackendError, match="pip install"):
        postgres.Postgres("postgresql:///course", server="1")
