"""Whatever is sent: OpenAI's envelope, a status, the line and the remedy, and nothing lost."""

import json

import openai
import pytest

from helpers.settings import BASE_MODEL

GOOD = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}


def lines(*rows, count=10):
    filler = [json.dumps(GOOD)] * (count - len(rows))
    return "\n".join(
        [*(r if isinstance(r, str) else json.dumps(r) for r in rows), *filler]
    ).encode()


def upload(client, data, name="train.jsonl"):
    return client.files.create(file=(name, data), purpose="fine-tune").id


def start(client, data, **more):
    return client.fine_tuning.jobs.create(
        model=BASE_MODEL, training_file=upload(client, data), **more
    )


def messages(*pairs):
    return {"messages": [{"role": role, "content": content} for role, content in pairs]}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty"),
        (b"hello\n", "Line 1"),
        (b"[1, 2]\n", "Line 1"),
        (json.dumps(GOOD).encode() + b"\n\xff\xfe\n", "Line 2"),
        (b"PK\x03\x04 a zip", "ZIP"),
    ],
    ids=["empty", "not JSON", "not an object", "not UTF-8", "an archive"],
)
def test_an_upload_that_is_not_jsonl_is_refused(client, data, says):
    before = len(client.files.list().data)
    with pytest.raises(openai.BadRequestError) as caught:
        upload(client, data)
    assert says.lower() in caught.value.message.lower()
    assert "Remedy" in caught.value.message
    assert caught.value.code == "invalid_training_file"
    assert len(client.files.list().data) == before


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"messages": [{"content": "a"}, {"role": "assistant", "content": "b"}]}, "role"),
        (messages(("robot", "a"), ("assistant", "b")), "robot"),
        (messages(("user", "a"), ("assistant", None)), "null"),
        (messages(("user", 5), ("assistant", "b")), "content"),
        (messages(("user", "a")), "assistant"),
        ({"text": "hello"}, "format"),
        (messages(("user", "word " * 3000), ("assistant", "b")), "token"),
    ],
    ids=[
        "no role", "unknown role", "null", "wrong type", "no assistant", "unknown keys", "too long",
    ],
)  # fmt: skip
def test_a_job_names_the_line_and_the_remedy_of_a_broken_example(client, row, says):
    with pytest.raises(openai.BadRequestError) as caught:
        start(client, lines(GOOD, row))
    assert says in caught.value.message
    assert "Remedy" in caught.value.message
    assert caught.value.param == "training_file"


def test_too_few_examples_are_counted_in_openais_words(client):
    with pytest.raises(openai.BadRequestError) as caught:
        start(client, lines(count=3))
    assert caught.value.code == "invalid_n_examples"
    assert "3 example(s), but must have at least 10" in caught.value.message


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf" + lines(),
        lines().replace(b"\n", b"\r\n"),
        lines().replace(b"\n", b"\n\n", 2),
    ],
    ids=["BOM", "CRLF", "0-byte lines"],
)
def test_harmless_oddities_of_a_file_are_accepted(client, data):
    assert client.files.retrieve(upload(client, data)).status == "processed"


def test_the_same_file_cannot_train_and_validate(client):
    key = upload(client, lines())
    with pytest.raises(openai.BadRequestError) as caught:
        client.fine_tuning.jobs.create(model=BASE_MODEL, training_file=key, validation_file=key)
    assert caught.value.param == "validation_file"


def test_unknown_models_and_files_are_named(client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="gpt-9", messages=[{"role": "user", "content": "a"}])
    assert caught.value.code == "model_not_found"
    assert "gpt-9" in caught.value.message
    with pytest.raises(openai.NotFoundError) as caught:
        client.fine_tuning.jobs.create(model=BASE_MODEL, training_file="file-none")
    assert "file-none" in caught.value.message
    with pytest.raises(openai.NotFoundError):
        client.fine_tuning.jobs.retrieve("ftjob-none")


@pytest.mark.parametrize(
    "wrong",
    [{"n_epochs": 0}, {"n_epochs": 51}, {"batch_size": 257}, {"learning_rate_multiplier": -1}],
    ids=str,
)
def test_wrong_hyperparameters_are_refused(client, wrong):
    with pytest.raises(openai.BadRequestError) as caught:
        start(client, lines(), hyperparameters=wrong)
    assert next(iter(wrong)) in str(caught.value.param)


def test_a_suffix_has_at_most_64_characters(client):
    with pytest.raises(openai.BadRequestError):
        start(client, lines(), suffix="x" * 65)


@pytest.mark.parametrize("key", ["", "wrong"])
def test_nothing_opens_without_the_token(server, key):
    stranger = openai.OpenAI(base_url=f"{server.url}/v1", api_key=key or "x", max_retries=0)
    with pytest.raises(openai.AuthenticationError) as caught:
        stranger.models.list()
    assert caught.value.code == "invalid_api_key"


def test_other_hosts_and_other_sites_pages_are_refused(client):
    for headers in ({"host": "evil.example"}, {"origin": "https://evil.example"}):
        with pytest.raises(openai.PermissionDeniedError):
            client.models.list(extra_headers=headers)


def test_a_body_that_is_not_json_is_an_error_in_the_envelope(client):
    answer = client._client.post(
        "/chat/completions",
        content=b"{not json",
        headers={
            "authorization": f"Bearer {client.api_key}",
            "content-type": "application/json",
        },
    )
    assert answer.status_code == 400
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


def test_an_unknown_path_and_a_wrong_method_are_errors_in_the_envelope(client):
    for method, path in (("GET", "/nothing"), ("PUT", "/chat/completions")):
        answer = client._client.request(
            method, path, headers={"authorization": f"Bearer {client.api_key}"}
        )
        assert answer.status_code in (404, 405)
        assert answer.json()["error"]["message"]


def test_a_prompt_over_the_context_window_says_both_numbers(client):
    with pytest.raises(openai.BadRequestError) as caught:
        client.completions.create(model=BASE_MODEL, prompt="hello " * 9000)
    assert caught.value.code == "context_length_exceeded"
    assert "8192" in caught.value.message


def test_a_picture_is_refused_by_a_text_model(client):
    part = {"type": "image_url", "image_url": {"url": "data:,"}}
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(
            model=BASE_MODEL, messages=[{"role": "user", "content": [part]}]
        )
