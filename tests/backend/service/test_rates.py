"""Limits of each owner: a 429 with the seconds to wait, and none for the one user alone."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import httpx2
import openai
import pytest

from helpers.backend.protocol.errors import ApiError
from helpers.backend.service.limits import Limits
from helpers.backend.service.rates import LONGEST_WAIT, RESERVED, Meter
from helpers.backend.storage.keys import Keys
from helpers.base import settings as settings_module
from helpers.base.errors import CourseError
from helpers.base.settings import BASE_MODEL
from tests.backend.in_process import COUNTS, TOKEN, InstantEngine, served

MESSAGES = [{"role": "user", "content": "Hi"}]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def refusal(meter: Meter) -> ApiError:
    with pytest.raises(ApiError) as refused, meter.request():
        pass
    assert refused.value.status == 429
    return refused.value


def test_used_tokens_come_back_within_a_minute():
    clock = Clock()
    meter = Meter(Limits(own_tokens=6000), clock)
    with meter.request():
        meter.count(6000)
    error = refusal(meter)
    assert "Limit 6000, Used 6000. Please try again in 3s" in error.body["error"]["message"]
    assert error.body["error"]["type"] == "tokens"
    wait = int(error.headers["retry-after"])
    assert wait == pytest.approx(RESERVED / 100, abs=1)
    clock.now = wait
    with meter.request():
        assert meter.headers()["x-ratelimit-remaining-tokens"] == "44"
    clock.now = 1000
    assert meter.headers() == {
        "x-ratelimit-limit-tokens": "6000",
        "x-ratelimit-remaining-tokens": "6000",
        "x-ratelimit-reset-tokens": "0.000s",
    }


def test_no_debt_makes_anyone_wait_longer_than_clients_do():
    meter = Meter(Limits(own_tokens=6000), Clock())
    with meter.request():
        meter.count(1_000_000)
    assert int(refusal(meter).headers["retry-after"]) == LONGEST_WAIT < 120


def test_requests_under_way_hold_their_place_until_they_end():
    meter = Meter(Limits(own_requests=2), Clock())
    with meter.request(), meter.request():
        assert refusal(meter).headers == {"retry-after": "1"}
    with pytest.raises(KeyError), meter.request():
        raise KeyError
    with meter.request():
        assert meter.under_way == 1


@pytest.mark.parametrize("text", ["jobs", "jobs=0", "jobs=-1", "cows=3", "tokens=1.5"])
def test_limits_that_mean_nothing_are_refused(text):
    with pytest.raises(CourseError, match="is no limit"):
        Limits.parse(text)


def test_limits_are_read_from_one_word():
    limits = Limits.parse("jobs=3, tokens=40000,megabytes=2")
    assert (limits.own_jobs, limits.own_tokens, limits.own_bytes) == (3, 40_000, 2 * 2**20)


@pytest.fixture(scope="module")
def clients(tmp_path_factory):
    """A learner and the leader of a class with tight limits."""
    config = replace(settings_module.load(), state=tmp_path_factory.mktemp("rates"))
    own = {"own_tokens": 6000, "own_jobs": 2, "own_bytes": 3000, "own_batches": 1}
    with served(config, InstantEngine(), Limits(**own)) as (app, url):
        anna = Keys(app.state.service.store).add("anna")
        pair = [
            openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0) for key in (anna, TOKEN)
        ]
        yield app, *pair
        for client in pair:
            client.close()


def chat(client):
    return client.chat.completions.with_raw_response.create(model=BASE_MODEL, messages=MESSAGES)


def test_answers_say_what_is_left_and_a_stream_counts_too(clients):
    app, anna, leader = clients
    meter = app.state.service.rates.of("key:anna")
    before = meter._level
    assert chat(anna).headers["x-ratelimit-limit-tokens"] == "6000"
    list(anna.chat.completions.create(model=BASE_MODEL, messages=MESSAGES, stream=True))
    used = 2 * sum(COUNTS.values())
    assert before - meter._level == pytest.approx(used, abs=1) or meter._level > 5990
    assert meter.under_way == 0
    assert "x-ratelimit-limit-tokens" not in chat(leader).headers


def test_the_client_waits_as_long_as_it_is_told_and_then_gets_its_answer(clients):
    app, anna, leader = clients
    app.state.service.rates.of("key:anna").count(6000)
    with pytest.raises(openai.RateLimitError, match="tokens per min"):
        chat(anna)
    chat(leader)
    started = time.monotonic()
    chat(anna.with_options(max_retries=1))
    assert 1 < time.monotonic() - started < 6


def upload(client, size=0):
    rows = [
        {"messages": [*MESSAGES, {"role": "assistant", "content": f"answer {n}"}]}
        for n in range(10)
    ]
    data = "".join(json.dumps(row) + "\n" for row in rows).encode() + b"\n" * size
    return client.files.create(file=("a.jsonl", data), purpose="fine-tune").id


def test_jobs_beyond_the_limit_are_refused_at_once_until_one_is_over(clients):
    _, anna, leader = clients
    file = upload(anna)

    def create(client, file):
        return client.fine_tuning.jobs.create(model=BASE_MODEL, training_file=file)

    first, _ = create(anna, file), create(anna, file)
    patient = anna.with_options(max_retries=2)
    started = time.monotonic()
    with pytest.raises(openai.RateLimitError, match="2 jobs that run or wait") as refused:
        create(patient, file)
    assert time.monotonic() - started < 5, "waiting a minute in silence helps nobody"
    assert int(refused.value.response.headers["retry-after"]) < 120
    own = upload(leader)
    assert len([create(leader, own) for _ in range(3)]) == 3
    anna.fine_tuning.jobs.cancel(first.id)
    assert create(anna, file).status == "queued"


def test_bytes_of_ones_own_are_counted_and_the_leaders_are_not(clients):
    _, anna, leader = clients
    with pytest.raises(openai.RateLimitError, match="Delete files") as refused:
        upload(anna, 2500)
    assert refused.value.code == "insufficient_quota"
    upload(leader, 5000)
    for file in anna.files.list():
        anna.files.delete(file.id)
    upload(anna, 1000)


def test_a_batch_takes_nothing_from_the_minutes_tokens(clients):
    app, anna, _ = clients
    app.state.service.rates.of("key:anna").count(20_000)
    line = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions"}
    body = {"model": BASE_MODEL, "messages": MESSAGES}
    data = json.dumps(line | {"body": body}).encode()
    file = anna.files.create(file=("b.jsonl", data), purpose="batch")
    batch = anna.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    deadline = time.monotonic() + 20
    while batch.status != "completed":
        assert time.monotonic() < deadline
        batch = anna.batches.retrieve(batch.id)
    assert batch.request_counts.completed == 1


def test_leaving_a_stream_gives_the_place_back(clients):
    app, anna, _ = clients
    meter = app.state.service.rates.of("key:anna")
    meter.count(-100_000)
    body = {"model": BASE_MODEL, "messages": MESSAGES, "stream": True}
    headers = {"authorization": f"Bearer {anna.api_key}"}
    with httpx2.stream("POST", f"{anna.base_url}chat/completions", json=body, headers=headers):
        pass
    deadline = time.monotonic() + 10
    while meter.under_way:
        assert time.monotonic() < deadline
