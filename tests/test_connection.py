import json
import threading
from contextlib import nullcontext
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from helpers.backend import daemon
from helpers.base import settings as settings_module
from helpers.base.errors import BackendError
from helpers.base.progress_bar import Teller
from helpers.base.settings import BASE_MODEL, EMBEDDING_MODEL
from helpers.base.tokens import local_tokenizer
from helpers.connection import Connection, connect
from tests.backend.bases.plain_folder import write_plain

KEY = "sk-not-a-real-key"


@pytest.fixture
def config(server):
    return settings_module.load()


def test_without_variables_the_embedded_server_answers(config):
    course = connect(settings=config)
    assert course.backend == "embedded"
    assert course.chat_model == BASE_MODEL
    assert "No key" in course.summary


@pytest.fixture
def elsewhere():
    """A server of another kind: its list of models, and the keys that it was asked with."""
    keys, models = [], ["another-chat", "nomic-embed"]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            keys.append(self.headers["Authorization"])
            listed = [{"id": name, "object": "model", "owned_by": "them"} for name in models]
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps({"object": "list", "data": listed}).encode())

        def log_message(self, *_): ...

    at = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=at.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{at.server_address[1]}/v1", keys, models
    at.shutdown()
    at.server_close()


def test_a_base_url_is_honoured_with_its_key(settings, elsewhere):
    url, keys, models = elsewhere
    there = replace(settings, base_url=url, api_key=KEY)
    course = connect(settings=there)
    assert (course.backend, course.shared, keys) == ("other", False, [f"Bearer {KEY}"])
    assert (course.chat_model, course.embedding_model) == ("another-chat", "nomic-embed")
    # A model of the course's name on a server that is not ours changes nothing of that.
    models.append(BASE_MODEL)
    course = connect(settings=there)
    assert (course.backend, course.chat_model) == ("other", BASE_MODEL)


def test_a_server_of_this_course_is_known_as_one_also_by_its_address(config, server):
    other = replace(config, base_url=f"{server.url}/v1", api_key=server.token)
    course = connect(settings=other)
    assert (course.backend, course.shared) == ("embedded", True)
    assert course.chat_model == BASE_MODEL
    assert "OPENAI_BASE_URL" in course.summary


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


def test_another_base_is_chosen_by_name_or_by_the_environment_and_one_that_lacks_is_named(config):
    assert connect(settings=config, base=BASE_MODEL).chat_model == BASE_MODEL
    with pytest.raises(BackendError, match=r"none-such.*python3 -m helpers models"):
        connect(settings=replace(config, base="none-such"))
    with pytest.raises(BackendError, match="all-minilm"):
        connect(settings=config, base="all-minilm-l6-v2")


def test_the_tokenizer_is_that_of_the_chat_model(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBOOK_MODELS", str(write_plain(tmp_path / "Tiny")))
    own = local_tokenizer().vocabulary_id
    course = Connection(None, "embedded", "http://127.0.0.1:9/v1", "tiny", EMBEDDING_MODEL)
    assert course.tokenizer.vocabulary_id != own
    tuned = replace(course, chat_model="ft:tiny:workbook:mine:AbC123")
    assert tuned.tokenizer.vocabulary_id == course.tokenizer.vocabulary_id
    assert replace(course, chat_model=BASE_MODEL).tokenizer.vocabulary_id == own
    # What another endpoint's model reads cannot be known here.
    assert replace(course, backend="other").tokenizer.vocabulary_id == own
    with pytest.raises(BackendError, match=r"none-such is not on this machine .*models add"):
        _ = replace(course, chat_model="none-such").tokenizer


def test_a_cell_that_starts_the_server_says_so(settings, monkeypatch):
    """Seen after a server was killed on a busy machine: a silent cell for more than a minute."""
    told = []
    monkeypatch.setattr(
        "helpers.connection.counted", lambda what: nullcontext(Teller(told.append, told.append))
    )
    monkeypatch.setattr(daemon, "find", lambda settings: None)
    monkeypatch.setattr(
        daemon, "ensure_running", lambda settings: daemon.Address("http://localhost:1", "t")
    )
    assert connect(settings=settings).url == "http://localhost:1/v1"
    assert told
    assert told[0].startswith("the server is starting")
