"""Batches that meet an odd line, or a fault of the server."""

import sqlite3

import pytest

from helpers.backend.batch import queue as batches_module
from helpers.backend.batch.line_format import NAME
from helpers.backend.storage import uploads, work_queue
from helpers.base.settings import BASE_MODEL
from tests.backend.batch.batching import (
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


@pytest.fixture
def client(settings):
    with served(settings, InstantEngine()) as there:
        yield connected(*there)


@pytest.fixture
def held(settings, monkeypatch):
    monkeypatch.setattr(work_queue, "REST", 0.01)
    engine = HeldEngine()
    with served(settings, engine) as there:
        yield engine, connected(*there)
        engine.go.set()


@pytest.mark.parametrize(
    "odd",
    [
        '"messages": [{"role": "user", "tool_calls": [{"id": "x"}]}]',
        '"messages": [{"role": "user", "content": "a"}], "metadata": ' + "[" * 985 + "]" * 985,
    ],
)
def test_one_odd_line_costs_the_others_nothing(client, odd):
    body = f'{{"model": "{BASE_MODEL}", "temperature": 0, {odd}}}'
    row = f'{{"custom_id": "q2", "method": "POST", "url": "{CHAT}", "body": {body}}}'
    batch = over(client, send(client, [line(1), row, line(3)]))
    assert batch.status == "completed"
    assert {one["custom_id"] for one in rows_of(client, batch.output_file_id)} >= {"q1", "q3"}
    assert batch.request_counts.total == 3


def test_a_fault_of_the_server_is_tried_again_and_costs_no_answer(held, monkeypatch):
    engine, client = held
    engine.free = 100
    kept, faults = uploads.keep, [OSError("no space left on device")]

    def keep(*args, **more):
        if faults:
            raise faults.pop()
        return kept(*args, **more)

    monkeypatch.setattr(batches_module, "keep", keep)
    batch = over(client, send(client, questions(5)))
    assert batch.status == "completed"
    assert batch.request_counts.to_dict() == {"total": 5, "completed": 5, "failed": 0}
    assert engine.asked.total() == 5


def test_a_fault_before_the_last_status_leaves_each_output_file_once(held, monkeypatch):
    engine, client = held
    engine.free = 100
    queue = client.app.state.service.batch_queue
    kept, faults = queue._set, [OSError("no space left on device")]

    def fail_once(key, **changes):
        if changes.get("status") == "completed" and faults:
            raise faults.pop()
        return kept(key, **changes)

    monkeypatch.setattr(queue, "_set", fail_once)
    batch = over(client, send(client, questions(5)))
    assert batch.status == "completed"
    outputs = [file.id for file in client.files.list() if file.purpose == "batch_output"]
    assert outputs == [batch.output_file_id]


def test_a_lasting_fault_ends_the_batch_and_names_what_is_there(held, monkeypatch, settings):
    engine, client = held
    engine.free = 100

    def keep(*args, **more):
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(batches_module, "keep", keep)
        batch = over(client, send(client, questions(5)))
    [error] = batch.errors.data
    assert (batch.status, error.code) == ("failed", "server_error")
    answers = settings.state / "jobs" / batch.id / NAME
    assert str(answers) in error.message
    assert len(answers.read_text().splitlines()) == 5
    assert over(client, send(client, questions(1))).status == "completed"


def test_a_fault_that_cannot_even_be_stored_does_not_end_the_queue(held, monkeypatch):
    engine, client = held
    engine.free, seen = 100, []

    def keep(*args, **more):
        raise OSError("no space left on device")

    def fail(*args):
        seen.append(1)
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(batches_module, "keep", keep)
        patch.setattr(client.app.state.service.batch_queue, "_fail", fail)
        batch = send(client, questions(5))
        until(lambda: seen)
    assert over(client, batch).status == "completed"
    assert engine.asked.total() == 5
