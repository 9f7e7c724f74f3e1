"""Batches that meet a process of their own, an odd line, or a fault of the server."""

import json
import sqlite3
import subprocess
import sys

import pytest

from helpers.backend.batch import queue as batches_module
from helpers.backend.batch import worker
from helpers.backend.batch.line_format import NAME
from helpers.backend.batch.prompts import WORTH_TOKENS
from helpers.backend.storage import uploads, work_queue
from helpers.base.settings import BASE_MODEL
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


def many(n=40):
    """So many greedy chats that they are worth a process of their own."""
    text = "word " * (WORTH_TOKENS // n + 1)
    body = BODY | {"messages": [{"role": "user", "content": text}], "temperature": 0}
    return [line(i, body) for i in range(n)]


@pytest.fixture
def process(monkeypatch):
    """What stands for the process that answers in bulk: a program with the given code."""
    started = []

    def stand_in(code):
        def start(folder, root):
            started.append(subprocess.Popen([sys.executable, "-c", code, str(folder)]))
            return started[-1]

        monkeypatch.setattr(batches_module, "start_bulk", start)
        return started

    return stand_in


def test_what_the_process_leaves_is_asked_one_by_one(client, process):
    answered = json.dumps({"id": "q0", "tokens": [57], "ended": True})
    code = (
        f"import sys; open(sys.argv[1] + '/{worker.ANSWERED}', 'w').write({answered + chr(10)!r})"
    )
    started = process(code)
    batch = over(client, send(client, many()))
    assert batch.request_counts.completed == 40
    assert len(started) == 1
    by_id = {row["custom_id"]: row for row in rows_of(client, batch.output_file_id)}
    texts = {
        key: row["response"]["body"]["choices"][0]["message"]["content"]
        for key, row in by_id.items()
    }
    assert texts.pop("q0") != "one two"
    assert set(texts.values()) == {"one two"}


def test_a_processor_that_is_not_fit_for_bulk_is_asked_once(client, process):
    started = process(f"import sys; sys.exit({worker.UNFIT})")
    for _ in range(2):
        assert over(client, send(client, many())).request_counts.completed == 40
    assert len(started) == 1


def test_few_or_unusual_chats_start_no_process(client, process):
    started = process("raise SystemExit")
    sampled = [row | {"body": row["body"] | {"temperature": 0.7}} for row in many()]
    stored = [row | {"body": row["body"] | {"store": True}} for row in many()]
    for rows in (many()[:20], sampled, stored):
        assert over(client, send(client, rows)).status == "completed"
    assert started == []


def test_cancelling_ends_the_process(client, process):
    started = process("import time; time.sleep(60)")
    batch = send(client, many())
    until(lambda: started)
    client.batches.cancel(batch.id)
    ended = over(client, batch)
    assert ended.status == "cancelled"
    assert len(rows_of(client, ended.error_file_id)) == 40
    assert started[0].poll() is not None


def test_the_engine_leaves_a_core_to_the_process_and_takes_it_back(settings, process):
    engine = HeldEngine(free=100)
    engine.shared = []
    engine.share_cores = engine.shared.append
    process("pass")
    with served(settings, engine) as there:
        own = connected(*there)
        assert over(own, send(own, many())).status == "completed"
    assert engine.shared == [True, False]


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
        seen.append(1)
        raise OSError("no space left on device")

    def fail(*args):
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(batches_module, "keep", keep)
        patch.setattr(client.app.state.service.batches, "_fail", fail)
        batch = send(client, questions(5))
        until(lambda: len(seen) > batches_module.MAX_FAULTS)
    assert over(client, batch).status == "completed"
    assert engine.asked.total() == 5
