"""What a request asks for is done, refused or said; nothing is passed over with a 200."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx2
import openai
import pytest
from openai.types.fine_tuning import FineTuningJob

from helpers.backend.bases.registry import find
from helpers.backend.inference.engine import ContextTooLong, refuse_by_length
from helpers.backend.inference.models import ServedModel
from helpers.base import settings as settings_module
from helpers.base.settings import BASE_MODEL, EMBEDDING_MODEL
from helpers.base.tokens import local_tokenizer
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


def test_one_of_several_texts_has_no_other_form(http):
    body = CHAT | {"structured_outputs": {"choice": ["yes, surely", "never"]}}
    for more in ({"response_format": {"type": "json_object"}}, {"tools": [WEATHER]}):
        error = refusal(http.post("/chat/completions", json=body | more))
        assert (error["param"], error["code"]) == ("structured_outputs", "unsupported_parameter")
    other = {"structured_outputs": {"regex": "a+"}}
    assert refusal(http.post("/chat/completions", json=CHAT | other))


WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
REFUSED = {
    "/chat/completions": {
        "tools": [{"type": "custom", "custom": {"name": "code"}}],
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
        "access_programs": {"cyber": "standard"},
        "background": True,
        "background_options": {"completion_window": "2h"},
        "context_management": [{"type": "compaction"}],
        "conversation": "conv_1",
        "image": {"context_compression": "enabled"},
        "moderation": {"model": "any"},
        "prompt": {"id": "pmpt_1"},
        "reasoning": {"effort": "low"},
        "tools": [{"type": "web_search"}],
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
        {"tools": [WEATHER]},
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


@pytest.fixture(scope="module")
def openai_client(http) -> openai.OpenAI:
    return openai.OpenAI(base_url=str(http.base_url), api_key=TOKEN, max_retries=0)


# What is stored is read back


def test_a_stored_response_is_read_back_with_its_input_and_deleted(openai_client):
    responses = openai_client.responses
    first = responses.create(model=BASE_MODEL, input="Hi", metadata={"a": "b"})
    assert responses.retrieve(first.id) == first
    then = responses.create(model=BASE_MODEL, input="And?", previous_response_id=first.id)
    items = responses.input_items.list(then.id, order="asc", limit=2)
    texts = [item.content[0].text for item in items]
    assert texts == ["Hi", first.output_text, "And?"]
    assert len({item.id for item in items}) == 3
    responses.delete(first.id)
    for gone in (lambda: responses.retrieve(first.id), lambda: responses.delete(first.id)):
        with pytest.raises(openai.NotFoundError, match="'store'"):
            gone()


def test_a_reference_stands_for_the_item_it_names(openai_client):
    responses = openai_client.responses
    first = responses.create(model=BASE_MODEL, input="Hi")
    turns = [
        {"role": "user", "content": "Hi"},
        {"type": "item_reference", "id": first.output[0].id},
        {"role": "user", "content": "And?"},
    ]
    then = responses.create(model=BASE_MODEL, input=turns)
    said = [item.content[0].text for item in responses.input_items.list(then.id, order="asc")]
    assert said == ["Hi", "one two", "And?"]
    assert responses.input_tokens.count(model=BASE_MODEL, input=turns).input_tokens == 3
    with pytest.raises(openai.NotFoundError, match="msg_none"):
        responses.create(model=BASE_MODEL, input=[{"type": "item_reference", "id": "msg_none"}])


@pytest.mark.parametrize("stream", [False, True])
def test_a_stored_chat_is_read_back_changed_and_deleted(openai_client, stream):
    chats = openai_client.chat.completions
    made = chats.create(**CHAT, store=True, metadata={"n": "1"}, stream=stream)
    key = {chunk.id for chunk in made}.pop() if stream else made.id
    found = chats.retrieve(key)
    assert found.choices[0].message.content == "one two"
    assert [message.content for message in chats.messages.list(key)] == ["Hi"]
    assert chats.update(key, metadata={"n": "2"}).metadata == {"n": "2"}
    assert chats.delete(key).deleted
    with pytest.raises(openai.NotFoundError):
        chats.retrieve(key)


def test_logprobs_of_responses_come_where_they_are_asked_for(http):
    body = RESPONSE | {"include": ["message.output_text.logprobs"], "top_logprobs": 1}
    part = http.post("/responses", json=body).json()["output"][0]["content"][0]
    assert part["logprobs"][0]["bytes"] == list(b"one")
    assert refusal(http.post("/responses", json=RESPONSE | {"top_logprobs": 1}))["param"] == (
        "top_logprobs"
    )


def test_embeddings_are_counted_in_the_tokens_of_their_own_model(openai_client):
    made = openai_client.embeddings.create(model=EMBEDDING_MODEL, input="Hi")
    # The word, and the two marks that the model reads around a text.
    assert made.usage.prompt_tokens == 3


# Uploads in parts


def test_the_clients_helper_uploads_in_parts(openai_client, tmp_path):
    data = bytes(range(256)) * 40
    (tmp_path / "a.bin").write_bytes(data)
    done = openai_client.uploads.upload_file_chunked(
        file=tmp_path / "a.bin",
        mime_type="application/octet-stream",
        purpose="user_data",
        part_size=3000,
        md5=hashlib.md5(data, usedforsecurity=False).hexdigest(),
    )
    assert done.status == "completed"
    assert openai_client.files.content(done.file.id).content == data
    with pytest.raises(openai.BadRequestError, match="completed already"):
        openai_client.uploads.cancel(done.id)


def test_an_upload_that_is_not_what_was_announced_makes_no_file(openai_client, http):
    begun = openai_client.uploads.create(
        filename="a", bytes=4, mime_type="text/plain", purpose="user_data"
    )
    parts = [
        openai_client.uploads.parts.create(begun.id, data=text).id for text in (b"ab", b"cd", b"e")
    ]
    complete = openai_client.uploads.complete
    for part_ids, md5 in ((parts, None), (parts[:1] * 2, None), (parts[:2], "0" * 32)):
        with pytest.raises(openai.BadRequestError):
            complete(begun.id, part_ids=part_ids, **({"md5": md5} if md5 else {}))
    assert complete(begun.id, part_ids=parts[1::-1]).file.bytes == 4
    other = openai_client.uploads.create(
        filename="a", bytes=4, mime_type="text/plain", purpose="user_data"
    )
    openai_client.uploads.parts.create(other.id, data=b"abcd")
    assert openai_client.uploads.cancel(other.id).status == "cancelled"
    with pytest.raises(openai.BadRequestError, match="cancelled already"):
        openai_client.uploads.parts.create(other.id, data=b"ab")


def test_a_page_behind_what_was_deleted_is_refused_and_not_empty(openai_client):
    gone = openai_client.files.create(file=("a", b"x"), purpose="user_data").id
    openai_client.files.delete(gone)
    with pytest.raises(openai.BadRequestError, match="read it to its end first") as caught:
        openai_client.files.list(after=gone)
    assert caught.value.param == "after"


# Jobs, addresses


def test_a_paused_job_is_one_of_openais_to_strict_clients(openai_client):
    row = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
    data = "\n".join([json.dumps(row)] * 10).encode()
    file = openai_client.files.create(file=("a.jsonl", data), purpose="fine-tune").id
    jobs = openai_client.fine_tuning.jobs
    made = jobs.create(model=BASE_MODEL, training_file=file)
    for job in (jobs.pause(made.id), jobs.retrieve(made.id), jobs.list().data[0]):
        FineTuningJob.model_validate(job.model_dump(), strict=False)
        assert (job.status, job.model_extra["paused"]) == ("queued", True)
    assert "paused" not in (jobs.resume(made.id).model_extra or {})
    jobs.cancel(made.id)


@pytest.mark.parametrize(
    ("method", "path", "says"),
    [
        ("POST", "/images/generations", "not offered"),
        ("POST", "/audio/speech", "not offered"),
        ("GET", "/vector_stores", "not offered"),
        ("POST", "/responses/compact", "Not allowed"),
        ("GET", "/nonsense", "Invalid URL"),
    ],
)
def test_what_openai_has_and_this_server_has_not_is_said_so(http, method, path, says):
    answer = http.request(method, path, json={})
    assert says in answer.json()["error"]["message"]


# Scoring


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("most", [0, 1])
def test_echo_with_logprobs_covers_the_prompt_and_offsets_the_whole_text(http, stream, most):
    body = {"model": BASE_MODEL, "prompt": "The capital", "echo": True, "logprobs": 1}
    answer = http.post("/completions", json=body | {"max_tokens": most, "stream": stream})
    if stream:
        lines = [line[6:] for line in answer.text.splitlines() if line.startswith("data: {")]
        choices = [json.loads(line)["choices"][0] for line in lines]
    else:
        choices = answer.json()["choices"]
    text = "".join(choice["text"] for choice in choices)
    assert text == ("The capital" if most == 0 else "The capitalone two")
    first = choices[0]["logprobs"]
    assert (first["tokens"][0], first["token_logprobs"][0], first["top_logprobs"][0]) == (
        "The", None, None,
    )  # fmt: skip
    assert first["text_offset"][:2] == [0, 3]
    assert first["top_logprobs"][1] == {"x": -1.0}


def test_token_ids_are_prompts_and_embedding_inputs(http):
    body = {"model": BASE_MODEL, "echo": True, "max_tokens": 0}
    ids = local_tokenizer().encode("The capital")
    for prompt, texts in ((ids, ["The capital"]), ([ids, ids[:1]], ["The capital", "The"])):
        choices = http.post("/completions", json=body | {"prompt": prompt}).json()["choices"]
        assert [choice["text"] for choice in choices] == texts
    assert (
        "no token" in refusal(http.post("/completions", json=body | {"prompt": [99**9]}))["message"]
    )
    for given, count in (([9906, 1917], 1), ([[9906], [1917]], 2), (["a", "b"], 2)):
        answer = http.post("/embeddings", json=LEAST["/embeddings"] | {"input": given})
        assert len(answer.json()["data"]) == count, answer.text
    for bad in ([-1], [[10**8]], [[]], [100256]):
        refusal(http.post("/embeddings", json=LEAST["/embeddings"] | {"input": bad}))


def test_what_is_too_long_is_refused_before_it_is_tokenised(http):
    model = ServedModel.of(find(settings_module.load()).fit[BASE_MODEL])
    tokenizer = local_tokenizer(model.gguf)
    long = "word " * 500_000
    started = time.perf_counter()
    for prompt in (long, [{"role": "user", "content": long}]):
        with pytest.raises(ContextTooLong, match="at least"):
            refuse_by_length(model, tokenizer, prompt)
    assert time.perf_counter() - started < 0.5
    body = {"model": BASE_MODEL, "prompt": [long, "Hi"]}
    assert refusal(http.post("/completions", json=body))["code"] == "context_length_exceeded"
    body = LEAST["/embeddings"] | {"input": ["a", long]}
    assert refusal(http.post("/embeddings", json=body))["code"] == "context_length_exceeded"
    refuse_by_length(model, tokenizer, "word " * 8000)
