"""What the documentation of the `openai` client promises for each served endpoint, kept here."""

from __future__ import annotations

import asyncio
import json
import re
import time
from pathlib import Path

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

from helpers.backend.api.app import PARTS
from helpers.backend.api.door import OPEN
from helpers.base.settings import BASE_MODEL, EMBEDDING_MODEL
from helpers.finetuning.jobs import wait

HELLO = [{"role": "user", "content": "Say hello."}]
CHAT = {"model": BASE_MODEL, "messages": HELLO, "temperature": 0, "max_tokens": 8}
COUNT = [{"role": "user", "content": "Count from one to five."}]
WHOLE = CHAT | {"messages": COUNT, "max_tokens": 80}
"""Long enough to end by itself: the client's helpers take no answer that was cut off. Each token
is clearly the likeliest, so that what the server still holds of a prompt cannot tip a choice."""


class Person(BaseModel):
    """A form that an answer is to have."""

    name: str
    age: int


ANNA = {
    "model": BASE_MODEL,
    "messages": [{"role": "user", "content": "Anna is 31. Answer in JSON."}],
    "temperature": 0,
    "max_tokens": 60,
}


def chat_lines(count=10):
    row = {"messages": [*HELLO, {"role": "assistant", "content": "Hello!"}]}
    return "\n".join([json.dumps(row)] * count).encode()


def upload(client, data, name="train.jsonl"):
    return client.files.create(file=(name, data), purpose="fine-tune").id


@pytest.fixture(scope="module")
def jobs(client):
    """Three jobs that were cancelled at once, oldest first, marked by metadata."""
    file = upload(client, chat_lines())
    made = []
    for number in range(3):
        job = client.fine_tuning.jobs.create(
            model=BASE_MODEL, training_file=file, metadata={"twin": "yes", "number": str(number)}
        )
        made.append(client.fine_tuning.jobs.cancel(job.id))
    return made


CALLS = {
    "models.list": lambda c: c.models.with_raw_response.list(),
    "models.retrieve": lambda c: c.models.with_raw_response.retrieve(BASE_MODEL),
    "chat": lambda c: c.chat.completions.with_raw_response.create(**CHAT),
    "chat.parse": lambda c: c.chat.completions.with_raw_response.parse(
        **ANNA, response_format=Person
    ),
    "completions": lambda c: c.completions.with_raw_response.create(
        model=BASE_MODEL, prompt="Hi", max_tokens=2
    ),
    "embeddings": lambda c: c.embeddings.with_raw_response.create(
        model=EMBEDDING_MODEL, input="Hi"
    ),
    "responses": lambda c: c.responses.with_raw_response.create(
        model=BASE_MODEL, input="Hi", max_output_tokens=16
    ),
    "files.list": lambda c: c.files.with_raw_response.list(),
    "files.create": lambda c: c.files.with_raw_response.create(
        file=("a.txt", b"a"), purpose="user_data"
    ),
    "jobs.list": lambda c: c.fine_tuning.jobs.with_raw_response.list(),
}


@pytest.mark.parametrize("name", CALLS)
def test_raw_responses_carry_headers_and_parse_to_the_same_type(client, name):
    first, second = CALLS[name](client), CALLS[name](client)
    assert first.http_response.status_code == 200
    assert first.headers["x-request-id"] != second.headers["x-request-id"]
    assert first.headers["openai-processing-ms"].isdigit()
    parsed = first.parse()
    assert isinstance(parsed, BaseModel)
    assert parsed._request_id == first.headers["x-request-id"]


def test_an_error_names_its_request_too(client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("nothing")
    assert caught.value.request_id == caught.value.response.headers["x-request-id"]
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


def test_streaming_responses_are_read_line_by_line_and_to_a_file(client, tmp_path):
    with client.chat.completions.with_streaming_response.create(**CHAT, stream=True) as answer:
        lines = [line for line in answer.iter_lines() if line]
    assert lines[-1] == "data: [DONE]"
    assert all(line.startswith("data: ") for line in lines)
    file = client.files.create(file=("a.bin", bytes(range(256)) * 999), purpose="user_data")
    with client.files.with_streaming_response.content(file.id) as answer:
        answer.stream_to_file(tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == bytes(range(256)) * 999
    client.files.content(file.id).write_to_file(tmp_path / "other")
    assert (tmp_path / "other").stat().st_size == file.bytes


def test_the_streaming_helper_tells_events_and_the_final_answer(client):
    with client.chat.completions.stream(**WHOLE, stream_options={"include_usage": True}) as stream:
        events = list(stream)
        final = stream.get_final_completion()
    deltas = "".join(event.delta for event in events if event.type == "content.delta")
    assert deltas == final.choices[0].message.content
    assert events[-1].type == "chunk"
    assert final.usage.completion_tokens < 80
    assert client.chat.completions.create(**WHOLE).choices[0].message.content == deltas


def test_the_streaming_helper_parses_into_a_model(client):
    with client.chat.completions.stream(**ANNA, response_format=Person) as stream:
        done = [event for event in stream if event.type == "content.done"]
    assert isinstance(done[0].parsed, Person)


def test_logprobs_come_through_the_streaming_helper(client):
    with client.chat.completions.stream(**CHAT, logprobs=True, top_logprobs=2) as stream:
        events = [event for event in stream if event.type == "logprobs.content.delta"]
    assert len(events[-1].snapshot) == 8
    assert all(len(item.top_logprobs) == 2 for item in events[-1].snapshot)


def test_an_answer_that_was_cut_off_cannot_be_parsed_and_says_so(client):
    with pytest.raises(openai.LengthFinishReasonError):
        client.chat.completions.parse(**ANNA | {"max_tokens": 2}, response_format=Person)


def test_responses_parse_and_stream_through_their_helpers(client):
    asked = {"model": BASE_MODEL, "input": "Anna is 31. Answer in JSON.", "temperature": 0}
    done = client.responses.parse(**asked, text_format=Person, max_output_tokens=60)
    assert isinstance(done.output_parsed, Person)
    assert done.text.format.type == "json_schema"
    with client.responses.stream(**asked, text_format=Person, max_output_tokens=60) as stream:
        seen = [event.type for event in stream]
        final = stream.get_final_response()
    assert final.output_parsed == done.output_parsed
    assert seen[0] == "response.created"


def test_iterators_walk_all_pages(client, jobs):
    ours = [job.id for job in client.fine_tuning.jobs.list(limit=1, metadata={"twin": "yes"})]
    assert ours == [job.id for job in reversed(jobs)]
    told = [event.message for event in client.fine_tuning.jobs.list_events(jobs[0].id, limit=1)]
    assert told[-1] == f"Created fine-tuning job: {jobs[0].id}"
    assert told[0] == "The job has been cancelled"
    made = [upload(client, chat_lines(), f"{n}.jsonl") for n in range(3)]
    listed = [file.id for file in client.files.list(limit=2, order="asc", after=made[0])]
    assert listed == made[1:]
    assert list(client.fine_tuning.jobs.checkpoints.list(jobs[0].id, limit=1)) == []
    page = client.fine_tuning.jobs.list(limit=1)
    assert page.has_next_page()
    assert page.get_next_page().data[0].id != page.data[0].id


def test_jobs_are_found_by_metadata(client, jobs):
    found = client.fine_tuning.jobs.list(metadata={"twin": "yes", "number": "1"}).data
    assert [job.id for job in found] == [jobs[1].id]
    assert client.fine_tuning.jobs.list(metadata={"twin": "no"}).data == []


def test_a_file_is_waited_for(client):
    key = upload(client, chat_lines())
    assert client.files.wait_for_processing(key, poll_interval=0.1).status == "processed"


def test_uploads_come_from_paths_bytes_and_open_files(client, tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(chat_lines())
    for given in (path, path.open("rb"), ("rows.jsonl", chat_lines(), "application/jsonl")):
        made = client.files.create(file=given, purpose="fine-tune")
        assert (made.filename, made.bytes) == ("rows.jsonl", path.stat().st_size)


def test_both_places_for_hyperparameters_are_understood(client):
    file = upload(client, chat_lines())
    asked = {"n_epochs": 2, "batch_size": 5}
    method = {"type": "supervised", "supervised": {"hyperparameters": asked}}
    for more in ({"hyperparameters": asked}, {"method": method}):
        job = client.fine_tuning.jobs.create(model=BASE_MODEL, training_file=file, **more)
        client.fine_tuning.jobs.cancel(job.id)
        assert job.method.supervised.hyperparameters.n_epochs == 2
        assert job.hyperparameters.batch_size == 5
        assert job.seed is not None


def test_the_async_client_does_the_same(server):
    async def work():
        async with AsyncOpenAI(base_url=f"{server.url}/v1", api_key=server.token) as other:
            stream = await other.chat.completions.create(**CHAT, stream=True)
            parts = [chunk.choices[0].delta.content or "" async for chunk in stream]
            several = await asyncio.gather(
                *(other.chat.completions.create(**CHAT) for _ in range(4))
            )
            names = [model.id async for model in other.models.list()]
            made = await other.files.create(file=("a.txt", b"a"), purpose="user_data")
            back = (await other.files.content(made.id)).read()
            vector = await other.embeddings.create(model=EMBEDDING_MODEL, input="Hi")
            async with other.chat.completions.stream(**WHOLE) as helper:
                final = await helper.get_final_completion()
            parsed = await other.chat.completions.parse(**ANNA, response_format=Person)
            said = await other.responses.create(model=BASE_MODEL, input="Hi", max_output_tokens=16)
            jobs = [job.id async for job in other.fine_tuning.jobs.list()]
            return "".join(parts), several, names, back, vector, final, parsed, said, jobs

    text, several, names, back, vector, final, parsed, said, jobs = asyncio.run(work())
    assert isinstance(parsed.choices[0].message.parsed, Person)
    assert said.output_text
    with OpenAI(base_url=f"{server.url}/v1", api_key=server.token) as client:
        assert jobs == [job.id for job in client.fine_tuning.jobs.list()]
    assert text
    assert final.choices[0].message.content
    assert all(reply.choices[0].message.content for reply in several)
    assert {BASE_MODEL, EMBEDDING_MODEL} <= set(names)
    assert back == b"a"
    assert len(vector.data[0].embedding) == 384


def test_a_timeout_is_the_clients_and_the_server_goes_on(client):
    asked = CHAT | {"max_tokens": 200, "logit_bias": {"2": -100}}
    begin = time.perf_counter()
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.2).chat.completions.create(**asked)
    assert time.perf_counter() - begin < 2
    assert client.chat.completions.create(**CHAT).choices[0].message.content


def test_a_stream_can_be_left_in_the_middle(client):
    stream = client.chat.completions.create(**CHAT | {"max_tokens": 400}, stream=True)
    next(iter(stream))
    stream.close()
    assert client.chat.completions.create(**CHAT).choices[0].message.content


def test_embeddings_arrive_as_base64_unless_asked_otherwise(client):
    raw = client.embeddings.with_raw_response.create(
        model=EMBEDDING_MODEL, input=["a", "b"], encoding_format="base64"
    )
    sent = json.loads(raw.http_response.text)["data"]
    assert all(isinstance(row["embedding"], str) for row in sent)
    rows = client.embeddings.create(model=EMBEDDING_MODEL, input=["a", "b"]).data
    numbers = client.embeddings.create(
        model=EMBEDDING_MODEL, input=["a", "b"], encoding_format="float"
    ).data
    for row, other in zip(rows, numbers, strict=True):
        assert len(row.embedding) == 384
        assert row.embedding == pytest.approx(other.embedding, abs=1e-6)


def test_a_file_ends_when_it_was_told_to(client):
    expiry = {"anchor": "created_at", "seconds": 3600}
    made = client.files.create(file=("a.txt", b"a"), purpose="user_data", expires_after=expiry)
    assert made.expires_at == made.created_at + 3600
    with pytest.raises(openai.BadRequestError) as caught:
        client.files.create(
            file=("a.txt", b"a"), purpose="user_data", expires_after=expiry | {"seconds": 5}
        )
    assert caught.value.param == "expires_after.seconds"


def test_answers_are_stored_on_request_and_found_by_metadata(client):
    # The server is shared, and other tests may store answers too.
    mine = {"stored by": "test_twin"}
    kept = [
        client.chat.completions.create(**CHAT, store=True, metadata={"twin": number} | mine)
        for number in ("1", "2")
    ]
    pages = client.chat.completions.list(limit=1, order="desc", metadata=mine)
    listed = [one.id for one in pages]
    assert listed == [one.id for one in reversed(kept)]
    found = client.chat.completions.list(metadata={"twin": "1"}).data
    assert [one.choices[0].message for one in found] == [kept[0].choices[0].message]


def test_chats_are_parsed_into_a_model(client):
    reply = client.chat.completions.parse(**ANNA, response_format=Person)
    assert isinstance(reply.choices[0].message.parsed, Person)


def test_every_route_with_something_to_tell_is_closed_to_whoever_has_no_token(server, client):
    routes = [route for part in PARTS for route in part.router.routes]
    assert len(routes) > 25
    for route in routes:
        if route.path in OPEN:
            continue
        path = re.sub(r"\{[^}]*\}", "x", route.path)
        for method in (*route.methods, "OPTIONS"):
            for headers in ({}, {"authorization": "Bearer x"}):
                url = f"{server.url}{path}"
                answer = client._client.request(method, url, headers=headers)
                assert answer.status_code == 401, (method, path)
                assert set(answer.json()) == {"error"}


def test_nothing_but_health_opens_without_the_token(server, client):
    def status(path, **more):
        return client._client.request("GET", f"{server.url}{path}", **more).status_code

    assert status("/health") == 200
    for path in ("/v1/models", "/v1/fine-tunes", "/v1/engines", "/docs", "/openapi.json", "/"):
        assert status(path) == 401, path
    assert status("/health", headers={"host": "evil.example"}) == 403
    assert status("/health", headers={"origin": "https://evil.example"}) == 403
    assert status("/v1/models", headers={"authorization": "Bearer \xe9".encode("latin-1")}) == 401
    for headers in ({"host": "["}, {"origin": "http://["}, {"origin": "null"}):
        assert status("/health", headers=headers) == 403, headers


def test_aliases_cannot_point_at_each_other(client):
    def name(alias, model):
        client.put(f"/models/{alias}/alias", body={"model": model}, cast_to=object)

    for alias, model in (("one", BASE_MODEL), ("two", "one"), ("one", "two")):
        name(alias, model)
    for alias in ("one", "two"):
        assert client.models.retrieve(alias).id == alias
        client.models.delete(alias)


# With training


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_job_is_paused_resumed_and_ends_with_all_its_steps(client):
    job = client.fine_tuning.jobs.create(
        model=BASE_MODEL,
        training_file=upload(client, chat_lines(12)),
        hyperparameters={"n_epochs": 4, "batch_size": 4},
    )
    until(client, job.id, lambda events: any(e.message.startswith("Step 2/") for e in events))
    assert client.fine_tuning.jobs.pause(job.id).status == "queued"
    time.sleep(3)
    told = [event.message for event in client.fine_tuning.jobs.list_events(job.id, limit=100)]
    time.sleep(2)
    assert told == [e.message for e in client.fine_tuning.jobs.list_events(job.id, limit=100)]
    assert client.fine_tuning.jobs.resume(job.id).status in ("queued", "running")
    done = wait(client, job.id)
    told = [event.message for event in client.fine_tuning.jobs.list_events(job.id, limit=100)]
    steps = [text.split(":")[0] for text in reversed(told) if text.startswith("Step ")]
    assert steps == [f"Step {n}/12" for n in range(1, 13)]
    assert {"The job has been paused", "The job has been resumed"} <= set(told)
    kept = client.fine_tuning.jobs.checkpoints.list(done.id, limit=1)
    assert [item.step_number for item in kept] == [12, 9, 6]


def until(client, job_id, seen, seconds=200):
    deadline = time.monotonic() + seconds
    while not seen(client.fine_tuning.jobs.list_events(job_id, limit=100).data):
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_direct_preference_optimisation_moves_towards_the_preferred_answer(client):
    questions = [f"Is shop {n} open?" for n in range(10)]
    rows = [
        {
            "input": {"messages": [{"role": "user", "content": text}]},
            "preferred_output": [{"role": "assistant", "content": "Yes, all day."}],
            "non_preferred_output": [{"role": "assistant", "content": "I do not know."}],
        }
        for text in questions
    ]
    job = client.fine_tuning.jobs.create(
        model=BASE_MODEL,
        training_file=upload(client, "\n".join(map(json.dumps, rows)).encode()),
        method={"type": "dpo", "dpo": {"hyperparameters": {"n_epochs": 2, "beta": 0.2}}},
    )
    assert job.method.dpo.hyperparameters.beta == 0.2
    done = wait(client, job.id)
    metrics = [
        event.data["train_loss"]
        for event in client.fine_tuning.jobs.list_events(done.id, limit=100)
        if event.type == "metrics"
    ]
    assert metrics[0] < metrics[-1], "the newest loss is the lowest"
    asked = {**CHAT, "model": done.fine_tuned_model}
    assert client.chat.completions.create(**asked).choices[0].message.content


def test_the_library_of_the_course_is_the_one_that_is_tested():
    assert Path(openai.__file__).parent.name == "openai"
    assert openai.__version__.startswith("3.")
