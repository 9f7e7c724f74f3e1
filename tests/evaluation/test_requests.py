"""Many chats: by threads, alone with a clock, and as a batch."""

import time
from dataclasses import replace
from types import SimpleNamespace

import openai
import pytest

from helpers.backend.api import app as app_module
from helpers.backend.api.routes import batches as batch_routes
from helpers.backend.protocol.sampling import Delta
from helpers.base import settings as settings_module
from helpers.base.errors import BackendError
from helpers.base.settings import BASE_MODEL
from helpers.evaluation import requests
from helpers.evaluation.requests import run_batch, send_all
from tests.backend.in_process import TOKEN, InstantEngine, served


class EchoEngine(InstantEngine):
    """Says what was asked, and by which model."""

    def generate(self, model, prompt, sampling):
        text = f" {model.id}: {prompt[-1]['content']} "
        yield Delta(text, finish_reason="stop", prompt_tokens=3, completion_tokens=2)


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    own = replace(settings_module.load(), state=tmp_path_factory.mktemp("state"))
    with served(own, EchoEngine()) as (app, url):
        app.state.service.models.set_alias("other", BASE_MODEL)
        yield openai.OpenAI(base_url=f"{url}/v1", api_key=TOKEN, max_retries=0)


def bodies(n, model=BASE_MODEL):
    return [{"model": model, "messages": [{"role": "user", "content": str(i)}]} for i in range(n)]


def texts(replies):
    return [reply.text for reply in replies]


WANTED = [f"{BASE_MODEL}: {i}" for i in range(20)]


@pytest.mark.parametrize("how", [{}, {"in_a_row": 8}, {"workers": 1}, {"batch": True}])
def test_replies_come_in_the_order_of_the_chats(client, how):
    replies = send_all(client, bodies(20), **how)
    assert texts(replies) == WANTED
    assert {(one.prompt_tokens, one.completion_tokens) for one in replies} == {(3, 2)}


@pytest.mark.parametrize("batch", [False, True])
def test_only_those_that_were_sent_alone_have_a_time(client, batch):
    told = []
    replies = send_all(
        client, bodies(20), timed=3, batch=batch, on_reply=lambda *done: told.append(done)
    )
    assert texts(replies) == WANTED
    assert [i for i, one in enumerate(replies) if one.seconds is not None] == [0, 6, 13]
    assert told[:3] == [(1, 20), (2, 20), (3, 20)]
    assert told[-1] == (20, 20)
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    assert all(one.seconds for one in send_all(client, bodies(2), timed=5))


def test_there_is_a_batch_for_each_model(client):
    mixed = [body for pair in zip(bodies(3), bodies(3, "other"), strict=True) for body in pair]
    replies = send_all(client, mixed, batch=True)
    assert texts(replies) == [f"{BASE_MODEL}: {i}" for i in range(3) for _ in range(2)]
    newest = client.batches.list(limit=2).data
    assert [batch.model for batch in newest] == ["other", BASE_MODEL]
    assert {batch.request_counts.total for batch in newest} == {3}


def test_nothing_is_sent_for_no_chats(client):
    before = client.batches.list(limit=1).data
    assert send_all(client, [], batch=True, timed=3) == []
    assert client.batches.list(limit=1).data == before


def test_an_endpoint_without_batches_is_asked_by_threads(settings, monkeypatch):
    known = tuple(part for part in app_module.PARTS if part is not batch_routes)
    monkeypatch.setattr(app_module, "PARTS", known)
    with served(settings, EchoEngine()) as (_, url):
        client = openai.OpenAI(base_url=f"{url}/v1", api_key=TOKEN, max_retries=0)
        with pytest.raises(openai.NotFoundError):
            run_batch(client, bodies(1))
        assert texts(send_all(client, bodies(20), batch=True)) == WANTED


def test_what_the_package_does_not_know_goes_into_the_body_of_a_batch_too(client):
    odd = bodies(1)[0] | {"extra_body": {"structured_outputs": {"choice": []}}}
    with pytest.raises(BackendError, match=r"request 0 of the batch: .*choice"):
        run_batch(client, [odd])
    with pytest.raises(openai.BadRequestError, match="choice"):
        send_all(client, [odd])


def test_a_refused_chat_is_named(client):
    wrong = [*bodies(2), bodies(1)[0] | {"temperature": 9}]
    with pytest.raises(BackendError, match=r"request 2 of the batch: .*temperature"):
        run_batch(client, wrong)


def test_a_batch_that_fails_says_why(client):
    with pytest.raises(BackendError, match="one model"):
        run_batch(client, bodies(1) + bodies(1, "other"))


def test_an_interrupted_wait_cancels_the_batch(client, monkeypatch):
    def interrupted(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(requests, "time", SimpleNamespace(sleep=interrupted))
    with pytest.raises(KeyboardInterrupt):
        run_batch(client, bodies(500))
    monkeypatch.undo()
    [batch] = client.batches.list(limit=1).data
    assert batch.cancelling_at
    while batch.status == "cancelling":
        time.sleep(0.01)
        batch = client.batches.retrieve(batch.id)


def test_progress_is_told(client):
    told = []
    run_batch(client, bodies(5), on_progress=lambda *done: told.append(done))
    assert told[-1] == (5, 5)


def test_no_file_stays_behind(client):
    before = client.files.list().data
    run_batch(client, bodies(3))
    with pytest.raises(BackendError):
        run_batch(client, bodies(1) + bodies(1, "other"))
    assert client.files.list().data == before
