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


WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
REFUSED = {
    "/chat/completions": {
        "tools": [WEATHER],
        "tool_choice": "required",
        "functions": [{"name": "weather"}],
        "function_call": {"name": "weather"},
        "audio": {"voice": "ash", "format": "mp3"},
        "modalities": ["text", "audio"],
        "moderation": {"model": "any"},
        "prediction": {"type": "content", "content": "Hi"},
        "reasoning_effort": "high",
        "verbosity": "low",
        "web_search_options": {},
    },
    "/completions": {"suffix": " end", "best_of": 3},
    "/responses": {
        "background": True,
        "context_management": [{"type": "compaction"}],
        "conversation": "conv_1",
        "moderation": {"model": "any"},
        "prompt": {"id": "pmpt_1"},
        "reasoning": {"effort": "low"},
        "tools": [WEATHER | {"name": "weather"}],
        "tool_choice": {"type": "function", "name": "weather"},
        "truncation": "auto",
    },
    "/fine_tuning/jobs": {"integrations": [{"type": "wandb", "wandb": {"project": "p"}}]},
}
LEAST = {
    "/chat/completions": CHAT,
    "/completions": {"model": BASE_MODEL, "prompt": "Hi"},
    "/responses": RESPONSE,
    "/embeddings": {"model": "all-minilm-l6-v2", "input": "Hi"},
    "/fine_tuning/jobs": {"model": BASE_MODEL, "training_file": "file-none"},
}


@pytest.mark.parametrize(
    ("path", "name"), [(path, name) for path, names in REFUSED.items() for name in names]
)
def test_what_cannot_be_honoured_is_refused_by_name(http, path, name):
    error = refusal(http.post(path, json=LEAST[path] | {name: REFUSED[path][name]}))
    assert (error["code"], error["param"]) == ("unsupported_parameter", name)
    assert error["message"].count(". ") >= 2, "it says why, and what to do"


@pytest.mark.parametrize("path", LEAST)
def test_a_name_that_openai_does_not_have_is_refused_and_null_is_none(http, path):
    error = refusal(http.post(path, json=LEAST[path] | {"temprature": 0}))
    assert (error["code"], error["param"]) == ("unknown_parameter", "temprature")
    plain = http.post(path, json=LEAST[path] | {"temprature": None})
    assert plain.status_code == (404 if "jobs" in path else 200)


@pytest.mark.parametrize(
    "more",
    [
        {"tools": []},
        {"tools": [WEATHER], "tool_choice": "none"},
        {"functions": [{"name": "a"}], "function_call": "none"},
        {"modalities": ["text"], "verbosity": "medium", "reasoning_effort": "none"},
        {"stop": []},
        {"stop": ["a", "b", "c", "d"]},
        {"stream_options": None, "user": "u", "service_tier": "flex", "n": 2},
    ],
    ids=str,
)
def test_what_asks_for_no_more_than_is_done_is_accepted(http, more):
    assert http.post("/chat/completions", json=CHAT | more).status_code == 200


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"stop": ""}, "stop"),
        ({"stop": [""]}, "stop"),
        ({"stop": ["a", ""]}, "stop"),
        ({"stop": list("abcde")}, "stop"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"metadata": {"a": "b"}}, "metadata"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"max_tokens": 3, "max_completion_tokens": 4}, "max_tokens"),
        ({"messages": [{"role": "user", "content": "Hi", "name": "Ann"}]}, "messages.name"),
        ({"messages": [{"role": "assistant", "audio": {"id": "a"}}]}, "messages.audio"),
    ],
    ids=str,
)
def test_what_would_be_passed_over_is_refused(http, more, param):
    for stream in (False, True):
        if stream and "stream_options" in more:
            continue
        error = refusal(http.post("/chat/completions", json=CHAT | more | {"stream": stream}))
        assert error["param"].startswith(param)


@pytest.mark.parametrize(
    "more",
    [
        {"method": {"type": "supervised", "supervised": {"hyperparameters": {"beta": 0.2}}}},
        {"method": {"type": "dpo", "dpo": {"hyperparameters": {"prompt_loss_weight": 0.2}}}},
        {"method": {"type": "supervised", "dpo": {"hyperparameters": {"n_epochs": 1}}}},
        {
            "method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 1}}},
            "hyperparameters": {"n_epochs": 2},
        },
        {"hyperparameters": {"epochs": 3}},
    ],
    ids=str,
)
def test_hyperparameters_that_nothing_reads_are_refused(http, more):
    error = refusal(http.post("/fine_tuning/jobs", json=LEAST["/fine_tuning/jobs"] | more))
    assert error["code"] in ("unsupported_parameter", "unknown_parameter")
