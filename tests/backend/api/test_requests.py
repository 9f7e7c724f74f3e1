"""What a request asks for is done, refused or said; nothing is passed over with a 200."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from helpers.base import settings as settings_module
from helpers.base.settings import BASE_MODEL
from tests.backend.in_process import TOKEN, InstantEngine, served

CHAT = {"model": BASE_MODEL, "messages": [{"role": "user", "content": "Hi"}]}
RESPONSE = {"model": BASE_MODEL, "input": "Hi"}
URI = {"type": "object", "properties": {"site": {"type": "string", "format": "uri"}}}


@pytest.fixture(scope="module")
def http(tmp_path_factory) -> Iterator[httpx2.Client]:
    """A client of a server whose engine says two words to everything."""
    state = tmp_path_factory.mktemp("requests") / "workbook"
    with served(replace(settings_module.load(), state=state), InstantEngine()) as (_, url):
        headers = {"authorization": f"Bearer {TOKEN}"}
        with httpx2.Client(base_url=f"{url}/v1", headers=headers, timeout=30) as client:
            yield client


def refusal(answer: httpx2.Response, status: int = 400) -> dict[str, Any]:
    """The error of an answer that must be one."""
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()["error"]
    return found


@pytest.mark.parametrize("stream", [False, True])
def test_a_schema_that_cannot_be_enforced_is_refused_on_every_path(http, stream):
    form = {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": URI}}
    chat = CHAT | {"response_format": form, "stream": stream}
    flat = {"type": "json_schema", "name": "x", "schema": URI}
    response = RESPONSE | {"text": {"format": flat}, "stream": stream}
    for path, body, param in (
        ("/chat/completions", chat, "response_format"),
        ("/responses", response, "text.format"),
    ):
        error = refusal(http.post(path, json=body))
        assert (error["param"], error["code"]) == (param, "invalid_json_schema")
        assert "'format' cannot be enforced: Unknown format: uri" in error["message"]


def test_a_schema_that_is_announced_must_be_there(http):
    for path, body in (
        ("/chat/completions", CHAT | {"response_format": {"type": "json_schema"}}),
        ("/responses", RESPONSE | {"text": {"format": {"type": "json_schema", "name": "x"}}}),
    ):
        assert refusal(http.post(path, json=body))["code"] == "missing_required_parameter"
