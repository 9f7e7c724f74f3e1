"""A class: the leader sees who is where and speaks to all; a learner sees nobody else."""

from __future__ import annotations

import re
import time
from dataclasses import replace

import httpx2
import openai
import pytest

from helpers import connection
from helpers.backend.storage.keys import Keys
from helpers.base import settings as settings_module
from helpers.course import progress
from tests.backend.in_process import TOKEN, InstantEngine, served


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """A kernel that has connected to nothing yet."""
    monkeypatch.setattr(connection, "_told", None)


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """The application, its address, and a learner's key."""
    config = replace(settings_module.load(), state=tmp_path_factory.mktemp("room"))
    with served(config, InstantEngine()) as (app, url):
        yield app, url, Keys(app.state.service.store).add("anna")


def leads(url, method="GET", path="", key=TOKEN, **more):
    opened = {"authorization": f"Bearer {key}"}
    return httpx2.request(method, f"{url}/v1/class{path}", headers=opened, **more)


def test_the_leader_sees_where_people_are_and_how_far(room):
    _, url, key = room
    done = {
        "notebooks": {"00": {"runs": 1}},
        "exercises": {"a": {"solved": True}, "b": {"solved": False}},
        "questions": {"q": {"right": True}},
    }
    leads(url, "PUT", "/here", key, json={"notebook": "02_fine_tuning"})
    assert leads(url, "PUT", "/here", key, json={"progress": done}).json() == {"text": ""}
    [anna] = leads(url).json()["people"]
    assert (anna["name"], anna["notebook"]) == ("anna", "02_fine_tuning")
    counts = ("notebooks_finished", "exercises_solved", "questions_right")
    assert [anna[name] for name in counts] == [1, 1, 1]
    assert abs(anna["last_seen"] - time.time()) < 30


def test_a_learner_sees_nobody_and_says_nothing_to_all(room):
    _, url, key = room
    for method, path, body in (("GET", "", None), ("PUT", "/notice", {"text": "x"})):
        answer = leads(url, method, path, key, json=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "not_leader")
    assert leads(url, path="/notice").json()["text"] == ""


def test_a_notebook_that_connects_says_where_it_is_and_hears_the_notice(room):
    _, url, key = room
    leads(url, "PUT", "/notice", json={"text": "  Back at <ten>.  "})
    here = replace(
        settings_module.load(), base_url=f"{url}/v1", api_key=key, notebook="03_evaluation"
    )
    course = connection.connect(settings=here)
    assert (course.backend, course.shared) == ("embedded", True)
    assert "Back at <ten>." in repr(course)
    assert "Back at &lt;ten&gt;." in course._repr_html_()
    assert leads(url).json()["people"][0]["notebook"] == "03_evaluation"
    leads(url, "PUT", "/notice", json={"text": ""})
    assert connection.connect(settings=here).note == ""


def test_progress_reaches_the_class_and_a_server_that_is_gone_stops_no_exercise(room, monkeypatch):
    app, url, key = room
    client = openai.OpenAI(base_url=f"{url}/v1", api_key=key)
    monkeypatch.setattr(connection, "_told", client)
    progress.record_exercise("00-first", solved=True)
    place = app.state.service.of("key:anna").store
    deadline = time.monotonic() + 10
    while "00-first" not in str(place.get("place", "here")):
        assert time.monotonic() < deadline
    gone = openai.OpenAI(base_url="http://127.0.0.1:9/v1", api_key=key)
    monkeypatch.setattr(connection, "_told", gone)
    progress.record_exercise("00-second", solved=True)
    assert progress.read().exercises["00-second"]["solved"]
    client.close()


def test_progress_goes_nowhere_but_to_a_server_of_the_course(monkeypatch):
    assert connection._told is None
    monkeypatch.setattr(connection, "tell", lambda *_, **__: pytest.fail("told somebody"))
    progress.record_exercise("00-third", solved=True)


def test_what_is_told_has_a_form_and_a_bound(room):
    _, url, key = room
    for body in ({"notebook": 3}, {"notebook": "x" * 101}, {"progress": {"a": 1}}, {"other": 1}):
        assert leads(url, "PUT", "/here", key, json=body).status_code == 400


def test_the_page_holds_nothing_without_a_key_and_can_load_nothing_elsewhere(room):
    _, url, _ = room
    page = httpx2.get(f"{url}/class")
    assert page.status_code == 200
    assert "anna" not in page.text
    assert not re.search(r"https?://", page.text)
    assert "default-src 'none'" in page.headers["content-security-policy"]
