from dataclasses import replace

import pytest

from helpers.base import settings as settings_module
from helpers.base.errors import BackendError
from helpers.base.settings import BASE_MODEL
from helpers.connection import connect

KEY = "sk-not-a-real-key"


@pytest.fixture
def config(server):
    return settings_module.load()


def test_without_variables_the_embedded_server_answers(config):
    course = connect(settings=config)
    assert course.backend == "embedded"
    assert course.chat_model == BASE_MODEL
    assert "No key" in course.summary


def test_a_base_url_is_honoured_with_its_key(config, server):
    other = replace(config, base_url=f"{server.url}/v1", api_key=server.token)
    course = connect(settings=other)
    assert course.backend == "other"
    assert course.chat_model == BASE_MODEL


def test_a_key_alone_costs_nothing_without_a_yes(config):
    course = connect(settings=replace(config, api_key=KEY))
    assert course.backend == "embedded"
    assert "paid=True" in course.note


def test_openais_own_address_costs_nothing_without_a_yes(config):
    named = replace(config, api_key=KEY, base_url="https://api.openai.com/v1")
    assert connect(settings=named).backend == "embedded"
    assert connect(settings=named, paid=True).backend == "openai"


@pytest.mark.parametrize("alive", [False, True])
def test_a_password_in_the_address_is_never_shown(config, server, alive):
    port = server.url.rpartition(":")[2] if alive else 9
    hidden = replace(config, base_url=f"http://ann:secret@127.0.0.1:{port}/v1", api_key=KEY)
    with pytest.raises(BackendError, match=r"127\.0\.0\.1") as caught:
        connect(settings=hidden)
    assert "secret" not in str(caught.value)


def test_a_yes_uses_openai_and_shows_the_prices(config):
    course = connect(settings=replace(config, api_key=KEY), paid=True)
    assert course.backend == "openai"
    assert "$" in course.note


@pytest.mark.parametrize("paid", [False, True])
def test_a_key_is_never_shown(config, paid):
    course = connect(settings=replace(config, api_key=KEY), paid=paid)
    for text in (repr(course), str(course), course._repr_html_(), repr(config)):
        assert KEY not in text
        assert course.client.api_key not in text


def test_an_endpoint_that_does_not_answer_is_named_with_a_remedy(config):
    gone = replace(config, base_url="http://127.0.0.1:9/v1", api_key=KEY)
    with pytest.raises(BackendError, match="OPENAI_BASE_URL"):
        connect(settings=gone)


def test_a_wrong_key_is_named_with_a_remedy(config, server):
    wrong = replace(config, base_url=f"{server.url}/v1", api_key=KEY)
    with pytest.raises(BackendError, match="401") as caught:
        connect(settings=wrong)
    assert KEY not in str(caught.value)
