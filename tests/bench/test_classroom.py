"""The bench of a class: what counts as an error, a refusal, a crossing."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import httpx2
import pytest
from openai import NotFoundError, RateLimitError

from helpers.bench import classroom
from helpers.bench.classroom import Learner, Seen


def answered(kind, status: int, **headers: str):
    request = httpx2.Request("GET", "http://127.0.0.1/")
    return kind("no", response=httpx2.Response(status, headers=headers, request=request), body=None)


class Client:
    """What a server says to one learner; `leaks` are ids of others that it shows."""

    def __init__(self, *leaks: str, own: tuple[str, ...] = ("file-a", "ftjob-a")) -> None:
        self._leaks, self._own = leaks, own
        self.files = SimpleNamespace(content=self.get, list=self.list)
        self.fine_tuning = SimpleNamespace(
            jobs=SimpleNamespace(
                retrieve=self.get, list_events=self.get, cancel=self.get, list=self.list
            )
        )

    def with_options(self, **_: object) -> Client:
        return self

    def get(self, key: str) -> object:
        if key not in self._leaks:
            raise answered(NotFoundError, 404)
        return object()

    def list(self) -> list[object]:
        return [SimpleNamespace(id=key) for key in (*self._own, *self._leaks)]


IDS = {"anna": {"file": "file-a", "job": "ftjob-a"}, "ben": {"file": "file-b", "job": "ftjob-b"}}


def looked(client: Client) -> list[str]:
    seen = Seen(ids=dict(IDS))
    Learner("anna", client, seen, b"")._look_at_others()  # type: ignore[arg-type]
    return seen.crossings


def test_what_a_server_shows_of_others_is_counted():
    assert looked(Client()) == []
    found = looked(Client("ftjob-b"))
    assert found[0] == "anna is shown what is ben's"
    assert {text.rsplit(" ", 1)[1] for text in found[1:]} == {"job", "events", "cancel"}


class Never(threading.Event):
    """Nobody ends the class, and nobody waits; remembers for how long they would."""

    def __init__(self) -> None:
        super().__init__()
        self.waited: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waited.append(timeout or 0)
        return False


def test_a_refusal_is_counted_and_asked_again_when_it_says():
    replies = [answered(RateLimitError, 429, **{"retry-after": "7"}), "done"]

    def call():
        reply = replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply

    seen = Seen(over=Never())
    assert Learner("anna", Client(), seen, b"")._asked(call) == "done"  # type: ignore[arg-type]
    assert (seen.refusals, seen.over.waited) == (1, [7.0])


def test_who_waits_goes_home_when_the_class_is_ended():
    seen = Seen()
    client = Client()
    client.files.create = lambda **_: SimpleNamespace(id="file-a")
    client.fine_tuning.jobs.create = lambda **_: SimpleNamespace(id="ftjob-a")
    learner = threading.Thread(target=Learner("anna", client, seen, b"").attend, args=(0,))
    learner.start()
    # Reading takes seconds, and so would the jobs.
    learner.join(0.5)
    assert learner.is_alive()
    seen.over.set()
    learner.join(5)
    assert not learner.is_alive()
    assert "ended" in seen.errors[0]


def test_an_error_is_told_and_ends_nobody_elses_course():
    seen = Seen(over=Never())
    Learner("anna", Client(), seen, b"").attend(0)  # type: ignore[arg-type]
    assert seen.errors[0].startswith("anna: AttributeError")


def test_every_row_has_a_measurement(settings):
    with classroom.measuring(settings.root) as measurements:
        assert tuple(measurements) == classroom.NAMES


def test_the_95th_of_a_hundred():
    assert classroom.percentile(list(range(101))) == pytest.approx(95)


def test_the_examples_are_those_of_notebook_00(settings):
    assert len(classroom.first_examples(settings.root).splitlines()) >= 10
