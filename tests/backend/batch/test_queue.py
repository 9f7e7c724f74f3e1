"""Batches from upload to output file, with an engine that answers at once."""

import itertools
import json
import threading
import time
import tracemalloc
from dataclasses import replace

import openai
import pytest
from openai.types import Batch

from helpers.backend.batch import queue as batches_module
from helpers.backend.batch.line_format import NAME, Answers, BatchLine, output, read
from helpers.backend.batch.queue import INPUT
from helpers.backend.service.limits import Limits
from helpers.backend.storage.store import Store
from helpers.backend.storage.uploads import keep
from helpers.base import settings as settings_module
from helpers.base.settings import BASE_MODEL, EMBEDDING_MODEL
from tests.backend.batch.batching import (
    BODY,
    CHAT,
    HeldEngine,
    connected,
    line,
    over,
    questions,
    rows_of,
    send,
    until,
)
from tests.backend.in_process import InstantEngine, served


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """One server for all tests that leave nothing behind that others would see."""
    own = replace(settings_module.load(), state=tmp_path_factory.mktemp("state"))
    with served(own, InstantEngine()) as there:
        yield connected(*there)


@pytest.fixture
def held(settings):
    engine = HeldEngine()
    with served(settings, engine) as there:
        yield engine, connected(*there)
        engine.go.set()


def test_a_batch_answers_every_line_as_a_single_request_would_be(client):
    batch = over(client, send(client, [line(1), line(2)], metadata={"run": "a"}))
    assert batch.status == "completed"
    assert batch.errors is None
    assert batch.error_file_id is None
    assert batch.request_counts.to_dict() == {"total": 2, "completed": 2, "failed": 0}
    assert batch.metadata == {"run": "a"}
    assert batch.model == BASE_MODEL
    rows = rows_of(client, batch.output_file_id)
    assert {row["custom_id"] for row in rows} == {"q1", "q2"}
    alone = client.chat.completions.create(**BODY).to_dict()
    for row in rows:
        assert row["error"] is None
        assert row["id"].startswith("batch_req_")
        assert row["response"]["status_code"] == 200
        assert row["response"]["request_id"].startswith("req_")
        same = ("choices", "usage", "model", "object")
        assert [row["response"]["body"][name] for name in same] == [alone[name] for name in same]
    assert batch.usage.total_tokens == 2 * alone["usage"]["total_tokens"]
    file = client.files.retrieve(batch.output_file_id)
    assert file.purpose == "batch_output"
    assert file.filename == f"{batch.id}_output.jsonl"


def test_its_form_is_that_of_openais_client(client):
    made = send(client, [line(1)])
    for body in (made.to_dict(), over(client, made).to_dict()):
        assert Batch.model_validate(body, strict=True)
        assert body.keys() <= Batch.model_fields.keys()


@pytest.mark.parametrize(
    ("endpoint", "body", "name"),
    [
        ("/v1/responses", {"model": BASE_MODEL, "input": "Hi"}, "output"),
        ("/v1/completions", {"model": BASE_MODEL, "prompt": "Hi"}, "choices"),
        ("/v1/embeddings", {"model": EMBEDDING_MODEL, "input": "Hi"}, "data"),
    ],
)
def test_other_endpoints_can_be_asked_too(client, endpoint, body, name):
    batch = over(client, send(client, [line(1, body, endpoint)], endpoint))
    [row] = rows_of(client, batch.output_file_id)
    assert row["response"]["body"][name]


def test_a_refused_request_is_in_the_error_file_and_the_others_are_answered(client):
    rows = [line(1), line(2, BODY | {"temperature": 9})]
    batch = over(client, send(client, rows))
    assert batch.status == "completed"
    assert batch.request_counts.to_dict() == {"total": 2, "completed": 1, "failed": 1}
    assert [row["custom_id"] for row in rows_of(client, batch.output_file_id)] == ["q1"]
    [refused] = rows_of(client, batch.error_file_id)
    assert refused["custom_id"] == "q2"
    assert refused["response"]["status_code"] == 400
    assert refused["response"]["body"]["error"]["param"] == "temperature"


@pytest.mark.parametrize(
    ("rows", "code", "number"),
    [
        ([""], "empty_file", None),
        ([line(1), "{oops"], "invalid_json_line", 2),
        ([line(1), "[1]"], "invalid_json_line", 2),
        ([line(1), {"custom_id": "q2"}], "missing_required_parameter", 2),
        ([line(1), line(2) | {"custom_id": 2}], "missing_required_parameter", 2),
        ([line(1) | {"method": "GET"}], "invalid_method", 1),
        ([line(1, url="/v1/embeddings")], "url_mismatch", 1),
        ([line(1), line(1)], "duplicate_custom_id", 2),
        ([line(1, BODY | {"stream": True})], "invalid_request", 1),
        ([line(1), line(2, BODY | {"model": "x"})], "model_mismatch", None),
        ([line(1, {"messages": []})], "missing_required_parameter", 1),
    ],
)
def test_a_faulty_file_fails_as_a_whole_and_says_where(client, rows, code, number):
    batch = over(client, send(client, rows))
    assert batch.status == "failed"
    assert batch.output_file_id is None
    [error] = batch.errors.data
    assert (error.code, error.line) == (code, number)
    assert len(error.message.split()) > 3


def test_a_file_for_something_else_is_refused_at_once(client):
    file = client.files.create(file=("a.txt", b"x"), purpose="user_data")
    for key, code in ((file.id, "invalid_purpose"), ("file-none", "file_not_found")):
        with pytest.raises(openai.BadRequestError) as refused:
            client.batches.create(input_file_id=key, endpoint=CHAT, completion_window="24h")
        assert (refused.value.code, refused.value.param) == (code, "input_file_id")


def test_batches_are_listed_newest_first_and_found_by_id(client):
    made = [over(client, send(client, [line(1)])).id for _ in range(3)]
    first = client.batches.list(limit=2)
    assert [batch.id for batch in first.data] == made[:0:-1]
    assert first.has_more
    assert [batch.id for batch in client.batches.list()][:3] == made[::-1]
    with pytest.raises(openai.NotFoundError):
        client.batches.retrieve("batch_none")


def test_the_upload_may_go_while_the_batch_waits(held):
    engine, client = held
    send(client, questions(1))
    waiting = send(client, questions(2))
    client.files.delete(waiting.input_file_id)
    engine.go.set()
    assert over(client, waiting).request_counts.completed == 2


def test_a_cancelled_batch_keeps_what_was_answered(held):
    engine, client = held
    engine.free = 3
    batch = send(client, questions(40))
    until(lambda: client.batches.retrieve(batch.id).request_counts.completed == 3)
    assert client.batches.cancel(batch.id).status == "cancelling"
    engine.go.set()
    ended = over(client, batch)
    assert ended.status == "cancelled"
    assert ended.cancelled_at >= ended.cancelling_at
    good, bad = (rows_of(client, key) for key in (ended.output_file_id, ended.error_file_id))
    assert len(good) + len(bad) == 40
    assert 3 <= len(good) < 40
    assert {row["error"]["code"] for row in bad} == {"batch_cancelled"}
    assert engine.asked.total() == len(good)
    with pytest.raises(openai.ConflictError):
        client.batches.cancel(batch.id)


def test_a_batch_whose_time_is_over_says_so(held):
    engine, client = held
    batch = send(client, questions(30))
    until(lambda: engine.asked.total())
    store = client.app.state.service.store
    store.update("batch", batch.id, lambda body: body.update(expires_at=1))
    engine.go.set()
    ended = over(client, batch)
    assert ended.status == "expired"
    assert ended.expired_at
    assert {row["error"]["code"] for row in rows_of(client, ended.error_file_id)} == {
        "batch_expired"
    }


def test_a_batch_goes_on_after_the_server_and_asks_nothing_twice(settings):
    engine = HeldEngine(free=5)
    with served(settings, engine) as there:
        client = connected(*there)
        batch = send(client, questions(30))
        until(lambda: client.batches.retrieve(batch.id).request_counts.completed == 5)
    kept = settings.state / "jobs" / batch.id / NAME
    done = {json.loads(text)["custom_id"] for text in kept.read_text().splitlines()}
    with kept.open("a") as stream:
        stream.write('{"custom_id": "q')  # as a kill leaves it
    again = HeldEngine(free=100)
    with served(settings, again) as there:
        client = connected(*there)
        ended = over(client, batch)
        assert ended.request_counts.to_dict() == {"total": 30, "completed": 30, "failed": 0}
        rows = rows_of(client, ended.output_file_id)
    assert sorted(row["custom_id"] for row in rows) == sorted(f"q{i}" for i in range(30))
    assert again.asked.total() == 30 - len(done)
    assert not kept.parent.exists()


def test_a_batch_waits_while_a_job_trains_and_can_be_cancelled_meanwhile(client):
    service = client.app.state.service
    with service.batch_queue._cores:
        waiting, other = send(client, [line(1)]), send(client, [line(1)])
        time.sleep(0.5)
        assert client.batches.retrieve(waiting.id).request_counts.completed == 0
        assert service.batch_queue.waiting
        client.batches.cancel(waiting.id)
        assert over(client, waiting).status == "cancelled"
    assert over(client, other).status == "completed"
    assert not service.batch_queue.waiting


def test_too_many_waiting_batches_are_refused(settings):
    engine = HeldEngine()
    with served(settings, engine, Limits(jobs=1)) as there:
        client = connected(*there)
        send(client, [line(1)])
        with pytest.raises(openai.RateLimitError):
            send(client, [line(1)])
        engine.go.set()


def test_a_cancelled_batch_does_not_wait_for_the_one_in_front(held):
    engine, client = held
    first, second = send(client, questions(1)), send(client, questions(2))
    until(lambda: engine.asked.total())
    assert client.batches.cancel(second.id).status == "cancelled"
    assert len(rows_of(client, client.batches.retrieve(second.id).error_file_id)) == 2
    engine.go.set()
    assert over(client, first).status == "completed"


def test_a_job_gets_its_turn_between_the_parts_of_a_long_batch(client, monkeypatch):
    service = client.app.state.service
    monkeypatch.setattr(batches_module, "SLICE", 5)
    turns = []

    def job():
        for _ in range(3):
            with service.batch_queue._cores:
                found = client.batches.retrieve(batch.id)
                turns.append(found.request_counts.completed)
            time.sleep(0.02)

    with service.batch_queue._cores:
        batch = send(client, questions(150))
        thread = threading.Thread(target=job)
        thread.start()
    thread.join(20)
    assert over(client, batch).request_counts.completed == 150
    assert any(0 < done < 150 for done in turns)


def test_a_long_batch_is_read_and_written_one_line_at_a_time(settings):
    long = "word " * 4_000
    store, folder = Store(settings.state), settings.state / "jobs" / "batch_long"
    folder.mkdir(parents=True)
    with (folder / INPUT).open("w") as stream:
        for number in range(1_000):
            asked = {"messages": [{"role": "user", "content": long}]}
            stream.write(json.dumps(line(number, BODY | asked)) + "\n")
    answers = Answers(folder)
    for number in range(900):
        answers.add([output(BatchLine(f"q{number}", {}), 200, "req_a", {"said": long})])
    tracemalloc.start()
    lines, problems = read(folder / INPUT, endpoint=CHAT)
    answers = Answers(folder)
    rows = itertools.chain(answers.good(), answers.bad(lines, code="batch_expired", message="-"))
    data = (json.dumps(row).encode() + b"\n" for row in rows)
    keep(store, "output.jsonl", data, purpose="batch_output", parent="batch_long")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    [file] = store.list("file")[0]
    store.close()
    assert problems == []
    assert (len(answers), lines.total) == (900, 1_000)
    # Both files have some 20 MB.
    assert file["bytes"] > 15e6
    assert peak < 3e6


def test_a_batch_of_a_hundred_thousand_is_taken_and_no_larger_one(tmp_path):
    path = tmp_path / INPUT
    with path.open("w") as stream:
        for number in range(100_000):
            stream.write(json.dumps(line(number)) + "\n")
    lines, problems = read(path, endpoint=CHAT)
    assert (lines.total, problems) == (100_000, [])
    with path.open("a") as stream:
        stream.write(json.dumps(line(100_000)) + "\n")
    [problem] = read(path, endpoint=CHAT)[1]
    assert problem.code == "too_many_tasks"
    assert "in parts" in problem.message
