"""Whatever is sent: OpenAI's envelope, a status, the line and the remedy, and nothing lost."""

import json

import openai
import pytest

from helpers.base.settings import BASE_MODEL

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


def refused(caught, *, line, param, code="invalid_training_file"):
    """What every refusal of a file has: the line, the remedy, parameter and code."""
    assert "Remedy: " in caught.value.message
    if line:
        assert f"ine {line}" in caught.value.message
    assert (caught.value.param, caught.value.code) == (param, code)


def messages(*pairs):
    return {"messages": [{"role": role, "content": content} for role, content in pairs]}


@pytest.mark.parametrize(
    ("data", "line", "says"),
    [
        (b"", 0, "empty"),
        (json.dumps(GOOD).encode() + b"\nhello\n", 2, "JSONL"),
        (b"[1, 2]\n", 1, "JSONL"),
        (json.dumps(GOOD).encode() + b"\n\xff\xfe\n", 2, "UTF-8"),
        (b"PK\x03\x04 a zip", 0, "ZIP"),
    ],
    ids=["empty", "not JSON", "not an object", "not UTF-8", "an archive"],
)
def test_an_upload_that_is_not_jsonl_is_refused_and_nothing_kept_or_lost(client, data, line, says):
    before = client.files.list().data
    with pytest.raises(openai.BadRequestError) as caught:
        upload(client, data)
    assert says in caught.value.message
    refused(caught, line=line, param="file")
    assert client.files.list().data == before


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
    jobs = client.fine_tuning.jobs.list().data
    with pytest.raises(openai.BadRequestError) as caught:
        start(client, lines(GOOD, row))
    assert says in caught.value.message
    refused(caught, line=2, param="training_file")
    assert client.fine_tuning.jobs.list().data == jobs


def test_a_broken_validation_file_is_named_as_such(client):
    validation = upload(client, lines(messages(("user", "a")), count=3))
    with pytest.raises(openai.BadRequestError) as caught:
        start(client, lines(), validation_file=validation)
    refused(caught, line=1, param="validation_file")


def test_too_few_examples_are_counted_in_openais_words(client):
    with pytest.raises(openai.BadRequestError) as caught:
        start(client, lines(count=3))
    refused(caught, line=0, param="training_file", code="invalid_n_examples")
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
    key = upload(client, data)
    assert client.files.content(key).read() == data
    job = client.fine_tuning.jobs.create(model=BASE_MODEL, training_file=key)
    assert client.fine_tuning.jobs.cancel(job.id).status == "cancelled"


def test_the_same_file_cannot_train_and_validate(client):
    first, second = upload(client, lines()), upload(client, lines(), "other.jsonl")
    for validation in (first, second):
        with pytest.raises(openai.BadRequestError) as caught:
            client.fine_tuning.jobs.create(
                model=BASE_MODEL, training_file=first, validation_file=validation
            )
        refused(caught, line=0, param="validation_file", code="invalid_validation_file")


def test_unknown_models_and_files_are_named(client):
    for ask in (
        lambda: client.chat.completions.create(model="gpt-9", messages=GOOD["messages"]),
        lambda: client.responses.create(model="gpt-9", input="a"),
        lambda: client.embeddings.create(model="gpt-9", input="a"),
        lambda: client.models.retrieve("gpt-9"),
        lambda: client.models.delete("gpt-9"),
        lambda: client.fine_tuning.jobs.create(
            model="gpt-9", training_file=upload(client, lines())
        ),
    ):
        with pytest.raises(openai.NotFoundError) as caught:
            ask()
        assert caught.value.code == "model_not_found"
        assert "gpt-9" in caught.value.message
        assert "client.models.list()" in caught.value.message
    with pytest.raises(openai.NotFoundError) as caught:
        client.fine_tuning.jobs.create(model=BASE_MODEL, training_file="file-none")
    assert "file-none" in caught.value.message
    with pytest.raises(openai.NotFoundError):
        client.fine_tuning.jobs.retrieve("ftjob-none")


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_epochs": 0},
        {"n_epochs": 51},
        {"n_epochs": "many"},
        {"batch_size": 257},
        {"learning_rate_multiplier": -1},
    ],
    ids=str,
)
@pytest.mark.parametrize("place", ["top", "method"])
def test_wrong_hyperparameters_are_refused_with_the_range(client, wrong, place):
    asked = {"hyperparameters": wrong}
    method = {"method": {"type": "supervised", "supervised": asked}}
    with pytest.raises(openai.BadRequestError) as caught:
        start(client, lines(), **(asked if place == "top" else method))
    assert next(iter(wrong)) in caught.value.param
    assert "Input should be" in caught.value.message
    assert caught.value.code == "invalid_value"


def test_a_suffix_has_at_most_64_characters(client):
    with pytest.raises(openai.BadRequestError):
        start(client, lines(), suffix="x" * 65)


@pytest.mark.parametrize(
    ("sent", "code"), [(openai.Omit(), None), ("Bearer wrong", "invalid_api_key")]
)
def test_nothing_opens_without_the_token_and_the_way_to_it_is_said(client, sent, code):
    headers = {"Authorization": sent}
    for ask in (
        lambda: client.models.list(extra_headers=headers),
        lambda: client.files.create(file=("a", b"a"), purpose="user_data", extra_headers=headers),
    ):
        with pytest.raises(openai.AuthenticationError) as caught:
            ask()
        assert ".workbook/token" in caught.value.message
        assert caught.value.code == code


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
