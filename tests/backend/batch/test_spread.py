"""A batch on nodes, which are threads here: who answers which lines, and what a lost node costs."""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from helpers.backend import answerer
from helpers.backend.batch import spread as spread_module
from helpers.backend.executors.interface import ANSWERER, ANSWERS, LOST, NotNow
from helpers.backend.storage import work_queue
from helpers.base.settings import BASE_MODEL, EMBEDDING_MODEL
from tests.backend.batch.batching import (
    CHAT,
    connected,
    line,
    over,
    questions,
    rows_of,
    send,
    until,
)
from tests.backend.in_process import InstantEngine, served


class OnThread:
    """A run whose program answers in a thread of the test."""

    def __init__(self, folder: Path, code: int = 0, *, lines: int | None = None) -> None:
        self.folder, self.code, self.lines = folder, code, lines
        self.killed = False
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        with tempfile.TemporaryDirectory() as disk:
            node = Path(shutil.copytree(self.folder, Path(disk) / "node"))
            answerer.main(node, InstantEngine())
            texts = (node / ANSWERS).read_text().splitlines(keepends=True)
        if self.lines is not None:
            # The node was lost when it had carried so many, and the next one in part.
            texts = [*texts[: self.lines], texts[self.lines][:20]]
        (self.folder / ANSWERS).write_text("".join(texts))

    def poll(self) -> int | None:
        return None if self._thread.is_alive() else self.code

    def kill(self) -> None:
        self.killed = True


class Held(OnThread):
    """A run that answers nothing until it is killed."""

    def _work(self) -> None:
        while not self.killed:
            time.sleep(0.005)


class Nodes:
    """Two nodes; what happens on them, a test says."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.discarded: list[str] = []
        self.most = 0
        self.next: list[type[OnThread] | dict[str, int] | Exception] = []
        self.runs: list[OnThread] = []

    def free(self, busy: int) -> int:
        self.most = max(self.most, busy)
        return 2 - busy

    def start(self, folder: Path, program: str) -> OnThread:
        assert program == ANSWERER
        how = self.next.pop(0) if self.next else {}
        if isinstance(how, Exception):
            raise how
        self.started.append(folder.name)
        self.runs.append(OnThread(folder, **how) if isinstance(how, dict) else how(folder))
        return self.runs[-1]

    def sync(self, folder: Path) -> None: ...

    def discard(self, folder: Path) -> None:
        self.discarded.append(folder.name)


@contextmanager
def on_nodes(settings, nodes: Nodes) -> Iterator:
    with served(settings, InstantEngine()) as (app, url):
        queue = app.state.service.batch_queue
        queue._nodes, queue._model = nodes, app.state.service._for_nodes
        yield connected(app, url)


@pytest.fixture(autouse=True)
def small_and_quick(monkeypatch):
    monkeypatch.setattr(spread_module, "PART", 5)
    monkeypatch.setattr(spread_module, "EVERY", 0.01)
    monkeypatch.setattr(spread_module, "ASK_EVERY", 0.0)
    monkeypatch.setattr(work_queue, "REST", 0.01)


def ids(client, batch) -> Counter:
    return Counter(row["custom_id"] for row in rows_of(client, batch.output_file_id))


def test_parts_are_answered_on_as_many_nodes_as_are_free(settings):
    nodes = Nodes()
    with on_nodes(settings, nodes) as client:
        batch = over(client, send(client, questions(12)))
        assert batch.status == "completed"
        assert ids(client, batch) == Counter(f"q{n}" for n in range(12))
        row = rows_of(client, batch.output_file_id)[0]
        assert row["response"]["body"]["model"] == BASE_MODEL
        assert batch.request_counts.to_dict() == {"total": 12, "completed": 12, "failed": 0}
    assert sorted(nodes.started) == [f"{batch.id}-{n}" for n in range(3)]
    assert sorted(nodes.discarded) == sorted(nodes.started)
    assert nodes.most == 2
    assert not (settings.state / "jobs" / batch.id).exists()


def test_a_lost_node_costs_no_answer_and_doubles_none(settings):
    nodes = Nodes()
    nodes.next = [NotNow("the cluster does not answer"), {"code": LOST, "lines": 3}]
    with on_nodes(settings, nodes) as client:
        batch = over(client, send(client, questions(5)))
        assert ids(client, batch) == Counter(f"q{n}" for n in range(5))
        assert batch.request_counts.completed == 5
    assert nodes.started == [f"{batch.id}-0"] * 2


def test_an_odd_line_costs_the_others_of_its_part_nothing(settings):
    deep = '"messages": [{"role": "user", "content": "a"}], "metadata": ' + "[" * 900 + "]" * 900
    body = f'{{"model": "{BASE_MODEL}", {deep}}}'
    odd = f'{{"custom_id": "q9", "method": "POST", "url": "{CHAT}", "body": {body}}}'
    with on_nodes(settings, Nodes()) as client:
        batch = over(client, send(client, [*questions(3), odd]))
        assert batch.status == "completed"
        assert ids(client, batch) >= Counter(["q0", "q1", "q2"])
        assert batch.request_counts.total == 4


def test_a_program_that_fails_on_every_node_fails_the_batch_in_words(settings):
    nodes = Nodes()
    nodes.next = [{"code": 1, "lines": 2}] * 100
    with on_nodes(settings, nodes) as client:
        batch = over(client, send(client, questions(5)))
        assert batch.status == "failed"
        assert "fails on the nodes, the last time with 1" in batch.errors.data[0].message


def test_a_cancelled_batch_ends_its_runs_and_keeps_what_was_answered(settings):
    nodes = Nodes()
    nodes.next = [{}, Held]
    with on_nodes(settings, nodes) as client:
        batch = send(client, questions(20))
        until(lambda: client.batches.retrieve(batch.id).request_counts.completed >= 5)
        client.batches.cancel(batch.id)
        ended = over(client, batch)
        assert ended.status == "cancelled"
        assert ids(client, ended)["q0"] == 1
        assert nodes.runs[1].killed
    assert nodes.started[1] in nodes.discarded


def test_a_server_that_ends_leaves_its_runs_to_the_next(settings):
    nodes = Nodes()
    nodes.next = [Held]
    with on_nodes(settings, nodes) as client:
        batch = send(client, questions(5))
        until(lambda: nodes.runs)
    assert not nodes.runs[0].killed
    given = json.loads((settings.state / "jobs" / batch.id / f"{batch.id}-0/spec.json").read_text())
    assert given["model"] == BASE_MODEL
    nodes.runs[0].killed = True
    again = Nodes()
    # Before the server answers, since it goes on at once.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("helpers.backend.batch.queue.Batches._spread", told(again))
        with on_nodes(settings, again) as client:
            assert over(client, batch).status == "completed"
    assert again.started == [f"{batch.id}-0"]


def told(nodes: Nodes):
    """`_spread` of a queue that has nodes from its start."""
    from helpers.backend.batch.queue import Batches

    kept = Batches._spread

    def spread(self, *args):
        self._nodes = nodes
        self._model = lambda owner, name: answerer.model_of(
            {"model": name, "base_gguf": "x", "parent_adapter": None, "context": 1}
        )
        return kept(self, *args)

    return spread


def test_what_only_this_machine_can_answer_stays_here(settings):
    nodes = Nodes()
    body = {"model": EMBEDDING_MODEL, "input": "Hi"}
    with on_nodes(settings, nodes) as client:
        rows = [line(1, body, "/v1/embeddings")]
        assert over(client, send(client, rows, "/v1/embeddings")).status == "completed"
    assert nodes.started == []
