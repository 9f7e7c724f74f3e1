"""Answers conform to OpenAI's own API description, where it stands beside the checkout."""

import json

import jsonschema
import pytest

from helpers.base.settings import BASE_MODEL, EMBEDDING_MODEL
from helpers.finetuning.jobs import wait
from tests.backend.openai_document import document

DOCUMENT = document()
MESSAGES = [{"role": "user", "content": "Hi"}]


def path_of(template):
    """The description's paths stand without /v1 in front, or with it."""
    return template if template in DOCUMENT["paths"] else f"/v1{template}"


def check(template, method, body, kind="application/json"):
    """Raise if `body` does not conform to the schema of the 200 answer."""
    operation = DOCUMENT["paths"][path_of(template)][method]
    schema = operation["responses"]["200"]["content"][kind]["schema"]
    whole = {**schema, "components": DOCUMENT["components"]}
    jsonschema.Draft202012Validator(whole).validate(body)


def call(client, method, path, **more):
    answer = client._client.request(
        method, path, headers={"authorization": f"Bearer {client.api_key}"}, **more
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_models_conform(client):
    check("/models", "get", call(client, "GET", "/models"))
    check("/models/{model}", "get", call(client, "GET", f"/models/{BASE_MODEL}"))


def test_files_conform(client):
    made = client.files.create(file=("a.txt", b"x"), purpose="user_data")
    check("/files", "get", call(client, "GET", "/files"))
    check("/files/{file_id}", "get", call(client, "GET", f"/files/{made.id}"))
    check("/files/{file_id}", "delete", call(client, "DELETE", f"/files/{made.id}"))


@pytest.mark.parametrize("extra", [{}, {"logprobs": True, "top_logprobs": 2}, {"n": 2}])
def test_chats_conform(client, extra):
    body = {"model": BASE_MODEL, "messages": MESSAGES, "max_tokens": 4, **extra}
    check("/chat/completions", "post", call(client, "POST", "/chat/completions", json=body))


def streamed(client, path, body):
    """The data of each event."""
    headers = {"authorization": f"Bearer {client.api_key}"}
    body |= {"stream": True}
    with client._client.stream("POST", path, json=body, headers=headers) as answer:
        lines = [line for line in answer.iter_lines() if line.startswith("data: {")]
    assert len(lines) > 3
    return [json.loads(line.removeprefix("data: ")) for line in lines]


@pytest.mark.parametrize("extra", [{}, {"logprobs": True, "top_logprobs": 2}])
def test_streamed_chats_conform(client, extra):
    options = {"stream_options": {"include_usage": True}}
    body = {"model": BASE_MODEL, "messages": MESSAGES, "max_tokens": 4, **options, **extra}
    for chunk in streamed(client, "/chat/completions", body):
        check("/chat/completions", "post", chunk, kind="text/event-stream")


def test_streamed_responses_conform(client):
    body = {"model": BASE_MODEL, "input": "Hi", "max_output_tokens": 16}
    for event in streamed(client, "/responses", body):
        check("/responses", "post", event, kind="text/event-stream")


def test_stored_chats_conform(client):
    body = {"model": BASE_MODEL, "messages": MESSAGES, "max_tokens": 4, "store": True}
    call(client, "POST", "/chat/completions", json=body)
    check("/chat/completions", "get", call(client, "GET", "/chat/completions"))


def test_completions_conform(client):
    body = {"model": BASE_MODEL, "prompt": "Hi", "max_tokens": 4, "logprobs": 1}
    check("/completions", "post", call(client, "POST", "/completions", json=body))


def test_embeddings_conform(client):
    body = {"model": EMBEDDING_MODEL, "input": "Hi", "encoding_format": "float"}
    check("/embeddings", "post", call(client, "POST", "/embeddings", json=body))


def test_responses_conform(client):
    body = {"model": BASE_MODEL, "input": "Hi", "max_output_tokens": 16}
    check("/responses", "post", call(client, "POST", "/responses", json=body))


@pytest.mark.slow
def test_a_job_that_succeeded_its_checkpoints_and_its_model_conform(client):
    row = {"messages": [*MESSAGES, {"role": "assistant", "content": "Hello"}]}
    data = "\n".join([json.dumps(row)] * 10).encode()
    file = client.files.create(file=("train.jsonl", data), purpose="fine-tune")
    other = client.files.create(file=("valid.jsonl", data[:-1] + b" }"), purpose="fine-tune")
    hyperparameters = {"n_epochs": 2, "batch_size": 5}
    made = client.fine_tuning.jobs.create(
        model=BASE_MODEL,
        training_file=file.id,
        validation_file=other.id,
        method={"type": "supervised", "supervised": {"hyperparameters": hyperparameters}},
    )
    job = wait(client, made.id)
    root, name = f"/fine_tuning/jobs/{job.id}", "/fine_tuning/jobs/{fine_tuning_job_id}"
    check(name, "get", call(client, "GET", root))
    check(f"{name}/events", "get", call(client, "GET", f"{root}/events"))
    checkpoints = call(client, "GET", f"{root}/checkpoints")
    assert len(checkpoints["data"]) == 2
    check(f"{name}/checkpoints", "get", checkpoints)
    check("/files/{file_id}", "get", call(client, "GET", f"/files/{job.result_files[0]}"))
    check("/models/{model}", "delete", call(client, "DELETE", f"/models/{job.fine_tuned_model}"))


def test_jobs_their_events_and_lists_conform(client):
    row = {"messages": [*MESSAGES, {"role": "assistant", "content": "Hello"}]}
    data = "\n".join([json.dumps(row)] * 10).encode()
    file = client.files.create(file=("train.jsonl", data), purpose="fine-tune")
    body = {"model": BASE_MODEL, "training_file": file.id}
    job = call(client, "POST", "/fine_tuning/jobs", json=body)
    root = "/fine_tuning/jobs"
    check(root, "post", job)
    check(root, "get", call(client, "GET", root))
    for action in ("pause", "resume", "cancel"):
        done = call(client, "POST", f"{root}/{job['id']}/{action}")
        if action == "cancel":
            check(f"{root}/{{fine_tuning_job_id}}/cancel", "post", done)
    events = call(client, "GET", f"{root}/{job['id']}/events")
    assert events["data"]
    check(f"{root}/{{fine_tuning_job_id}}/events", "get", events)
