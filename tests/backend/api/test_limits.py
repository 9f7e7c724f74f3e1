"""When too much is asked for at once: 429 with the time to wait, and bounds on uploads."""

from __future__ import annotations

import errno
import io
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx2
import openai
import pytest

from helpers.backend.inference.engine import CLIENT_LEFT
from helpers.backend.protocol.sampling import Delta
from helpers.backend.service.limits import Limits
from helpers.base import files
from helpers.base.settings import BASE_MODEL, EMBEDDING_MODEL
from tests.backend.in_process import TOKEN, served

CHAT = {"model": BASE_MODEL, "messages": [{"role": "user", "content": "Hi"}]}
KEY = {"authorization": f"Bearer {TOKEN}"}
GOOD = b'{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n'


@dataclass
class SlowEngine:
    """An engine that answers when it is told to."""

    go: threading.Event = field(default_factory=threading.Event)
    asked: int = 0
    scored: int = 0
    at_once: int = 16

    def engine_of(self, model):
        return self

    def generate(self, model, prompt, sampling) -> Iterator[Delta]:
        self.asked += 1
        yield Delta("one ")
        self.go.wait(20)
        yield Delta("two", finish_reason="stop", prompt_tokens=1, completion_tokens=2)

    def score(self, model, ids, *, alternatives):
        self.scored += 1
        return []

    def share_cores(self, sharing: bool) -> None: ...
    def unload(self, name: str) -> None: ...
    def warm(self, model) -> None: ...
    def close(self) -> None:
        self.go.set()


@pytest.fixture
def small(settings):
    """A server with room for one answer and little else; yields its engine and a client."""
    engine = SlowEngine()
    limits = Limits(waiting=1, files=3, file_bytes=2000, total_bytes=5000, jobs=2)
    with served(settings, engine, limits) as (_, url):
        yield engine, openai.OpenAI(base_url=f"{url}/v1", api_key=TOKEN)
        engine.go.set()


def upload(client, size, purpose="user_data"):
    return client.files.create(file=("a", io.BytesIO(b"x" * size)), purpose=purpose)


def test_a_full_queue_answers_429_with_the_time_to_wait(small):
    _, client = small
    client.max_retries = 0
    held = client.chat.completions.create(**CHAT, stream=True)
    for ask in (
        lambda: client.chat.completions.create(**CHAT),
        lambda: client.chat.completions.create(**CHAT, stream=True),
        lambda: client.completions.create(model=BASE_MODEL, prompt="Hi"),
        lambda: client.responses.create(model=BASE_MODEL, input="Hi"),
        lambda: client.embeddings.create(model=EMBEDDING_MODEL, input="Hi"),
    ):
        with pytest.raises(openai.RateLimitError) as caught:
            ask()
        assert caught.value.code == "rate_limit_exceeded"
        assert float(caught.value.response.headers["retry-after"]) >= 1
    held.close()


def test_a_prompt_is_not_scored_while_the_queue_is_full(small):
    engine, client = small
    client.max_retries = 0
    held = client.chat.completions.create(**CHAT, stream=True)
    next(iter(held))
    echoed = {"prompt": "Hi", "stream": True, "echo": True, "logprobs": 1}
    for most in (0, 1):
        with pytest.raises(openai.RateLimitError):
            client.completions.create(model=BASE_MODEL, max_tokens=most, **echoed)
    assert engine.scored == 0
    held.close()
    engine.go.set()
    assert list(client.completions.create(model=BASE_MODEL, **echoed))
    assert engine.scored == 1


def test_the_client_waits_as_told_and_then_succeeds(small):
    engine, client = small
    held = client.chat.completions.create(**CHAT, stream=True)
    threading.Timer(0.5, engine.go.set).start()
    begin = time.perf_counter()
    drain = threading.Thread(target=lambda: list(held))
    drain.start()
    reply = client.chat.completions.create(**CHAT)
    assert reply.choices[0].message.content == "one two"
    assert time.perf_counter() - begin >= 1, "retry-after is one second"
    assert engine.asked == 2
    drain.join()


def test_a_stream_that_was_left_gives_its_place_back(small):
    engine, client = small
    held = client.chat.completions.create(**CHAT, stream=True)
    next(iter(held))
    held.close()
    engine.go.set()
    assert client.chat.completions.create(**CHAT).choices[0].message.content


def test_a_failed_answer_gives_its_place_back(small):
    engine, client = small
    client.max_retries = 0
    engine.go.set()
    for _ in range(3):
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.create(**CHAT | {"model": "none"})
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.create(**CHAT | {"model": "none"}, stream=True)
    assert client.chat.completions.create(**CHAT).choices[0].message.content


def test_stored_answers_are_bounded_in_number(settings):
    engine = SlowEngine()
    engine.go.set()
    with served(settings, engine, Limits(answers=2)) as (_, url):
        client = openai.OpenAI(base_url=f"{url}/v1", api_key=TOKEN)
        first, *_, last = [
            client.responses.create(model=BASE_MODEL, input="Hi").id for _ in range(3)
        ]
        go_on = {"model": BASE_MODEL, "input": "And?"}
        client.responses.create(**go_on, previous_response_id=last)
        with pytest.raises(openai.APIStatusError, match="not found"):
            client.responses.create(**go_on, previous_response_id=first)
        chats = [client.chat.completions.create(**CHAT, store=True).id for _ in range(3)]
        assert [one.id for one in client.chat.completions.list()] == chats[1:]


def test_uploads_are_bounded_in_size_count_and_total(small):
    _, client = small
    client.max_retries = 0
    with pytest.raises(openai.APIStatusError) as caught:
        upload(client, 2001)
    assert caught.value.status_code == 413
    assert caught.value.code == "file_too_large"
    assert "2001 bytes, and the limit is 2000 bytes. Upload it in parts" in caught.value.message
    assert client.files.list().data == []
    upload(client, 2000)
    upload(client, 2000)
    with pytest.raises(openai.APIStatusError, match="1000 bytes"):
        upload(client, 1001)
    upload(client, 1000)
    with pytest.raises(openai.BadRequestError, match=r"full\. Delete files") as caught:
        upload(client, 1)
    assert caught.value.code == "file_storage_full"
    assert len(client.files.list().data) == 3


def test_a_body_that_is_too_large_is_refused_before_it_is_read(small):
    _, client = small
    client.max_retries = 0
    with pytest.raises(openai.APIStatusError) as caught:
        upload(client, 3_000_000)
    assert caught.value.status_code == 413
    assert caught.value.code == "request_too_large"
    assert "smaller parts" in caught.value.message
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(
            model=BASE_MODEL, messages=[{"role": "user", "content": "x" * 30_000_000}]
        )
    assert caught.value.status_code == 413


def test_a_body_of_unsaid_length_is_cut_off_too(small):
    _, client = small

    def endless():
        for _ in range(60):
            yield b"x" * 1_000_000

    answer = client._client.post(
        "/chat/completions",
        content=endless(),
        headers={"authorization": f"Bearer {TOKEN}", "content-type": "application/json"},
    )
    assert answer.status_code == 413


def test_more_jobs_than_may_wait_are_refused(small):
    _, client = small
    client.max_retries = 0
    file = client.files.create(file=("a.jsonl", GOOD * 10), purpose="fine-tune").id
    for _ in range(2):
        client.fine_tuning.jobs.create(model=BASE_MODEL, training_file=file)
    with pytest.raises(openai.RateLimitError, match="jobs are waiting"):
        client.fine_tuning.jobs.create(model=BASE_MODEL, training_file=file)


def on_the_wire(path, body):
    """A whole request as it goes over the wire."""
    text = json.dumps(body)
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
    return (head + text).encode()


def wait_until(true, *, seconds):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class PatientEngine(SlowEngine):
    """An engine whose answers take as long as somebody waits for them, as the real one's do."""

    def generate(self, model, prompt, sampling) -> Iterator[Delta]:
        left = CLIENT_LEFT.get()
        self.asked += 1
        while not (self.go.is_set() or left.is_set()):
            time.sleep(0.01)
        yield Delta("two", finish_reason="stop", prompt_tokens=1, completion_tokens=2)


@pytest.mark.parametrize(
    ("path", "body", "asked"),
    [
        ("/v1/chat/completions", CHAT, 1),
        ("/v1/chat/completions", {**CHAT, "n": 3}, 3),
        ("/v1/completions", {"model": BASE_MODEL, "prompt": ["a", "b"]}, 2),
        ("/v1/responses", {"model": BASE_MODEL, "input": "Hi"}, 1),
    ],
)
def test_a_whole_answer_that_nobody_waits_for_frees_its_place(settings, path, body, asked):
    engine = PatientEngine()
    with served(settings, engine, Limits(waiting=1)) as (app, url):
        with socket.create_connection(("127.0.0.1", httpx2.URL(url).port)) as link:
            link.sendall(on_the_wire(path, body))
            wait_until(lambda: engine.asked == asked, seconds=20)
        wait_until(lambda: app.state.service._waiting._value == 1, seconds=1)
        engine.go.set()
        assert httpx2.post(f"{url}{path}", json=body, headers=KEY).status_code == 200


def test_a_full_disk_is_a_507_and_leaves_no_half_upload(small, monkeypatch, settings):
    _, client = small
    client.max_retries = 0

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fsync", full)
        with pytest.raises(openai.InternalServerError, match="make room") as caught:
            upload(client, 100)
    assert caught.value.status_code == 507
    assert list((settings.state / "files").iterdir()) == []
    assert upload(client, 100).bytes == 100
